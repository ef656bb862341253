//! Everyday words and the terms of law (俗语与法律用语): what a question says, and what the articles that answer it
//! say instead.
//!
//! What must hold: the terms only help to rank near answers; they never make a row an exact one, and never replace
//! a word that was typed. The longest everyday word at a place counts.

use std::collections::HashMap;
use std::sync::OnceLock;

use crate::base::text::folded_chars;

/// The table of the project; its head says where it is from.
const TABLE: &str = include_str!("words.txt");

/// Longest everyday word, in characters.
const WORD_CHARS_MAX: usize = 8;

type Table = HashMap<Vec<char>, Vec<&'static str>>;

/// The terms of law for the everyday words of `chars`, which is folded; each once, in order.
pub(super) fn terms_of_law(chars: &[char]) -> Vec<&'static str> {
    let table = table();
    let mut terms: Vec<&'static str> = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let longest = WORD_CHARS_MAX.min(chars.len() - at);
        let known = (1..=longest).rev().find_map(|n| Some((n, table.get(&chars[at..at + n])?)));
        if let Some((_, more)) = known {
            more.iter().for_each(|term| {
                if !terms.contains(term) {
                    terms.push(term);
                }
            });
        }
        at += known.map_or(1, |(n, _)| n);
    }
    terms
}

/// The terms of law that a search text also stands for where nothing has it as it is.
pub fn terms_of_law_in(text: &str) -> Vec<&'static str> {
    terms_of_law(&folded_chars(text))
}

fn table() -> &'static Table {
    static WORDS: OnceLock<Table> = OnceLock::new();
    WORDS.get_or_init(|| {
        let mut table = Table::new();
        for line in TABLE.lines().filter(|l| !l.starts_with('#')) {
            let mut words = line.split_whitespace();
            if let Some(everyday) = words.next() {
                table.entry(folded_chars(everyday)).or_default().extend(words);
            }
        }
        table
    })
}

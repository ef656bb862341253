//! Everyday words and the terms of law (俗语与法律用语): what a question says, and what the articles that answer it
//! say instead.
//!
//! What must hold: the terms only help to rank near answers; they never make a row an exact one, and never replace
//! a word that was typed. The longest everyday word at a place counts.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::OnceLock;

use crate::base::text::folded_chars;

/// The table of the project; its head says where it is from.
const TABLE: &str = include_str!("words.txt");

/// Longest everyday word, in characters.
const WORD_CHARS_MAX: usize = 8;

type Table = HashMap<Vec<char>, Vec<&'static str>>;

/// What a county changed of the table; nothing by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    own: BTreeMap<Vec<char>, Vec<String>>,
    off: BTreeSet<Vec<char>>,
}

impl Words {
    /// Everyday words with their terms, which hold instead of the table's own, and words of the table that do not
    /// count.
    pub fn new<'a>(
        own: impl Iterator<Item = (&'a str, Vec<String>)>,
        off: impl Iterator<Item = &'a str>,
    ) -> Self {
        let own = own.map(|(word, terms)| (folded_chars(word), terms)).collect();
        Self { own, off: off.map(folded_chars).collect() }
    }

    /// The terms of law that a search text also stands for where nothing has it as it is.
    pub fn terms_in(&self, text: &str) -> Vec<String> {
        terms_of_law(&folded_chars(text), self)
    }

    fn terms(&self, word: &[char]) -> Option<Vec<&str>> {
        if let Some(terms) = self.own.get(word) {
            return Some(terms.iter().map(String::as_str).collect());
        }
        table().get(word).filter(|_| !self.off.contains(word)).cloned()
    }
}

/// The table of the project: everyday words and their terms, in its order.
pub fn shipped_words() -> impl Iterator<Item = (&'static str, Vec<&'static str>)> {
    TABLE.lines().filter(|l| !l.starts_with('#')).filter_map(|line| {
        let mut words = line.split_whitespace();
        Some((words.next()?, words.collect()))
    })
}

/// The terms of law for the everyday words of `chars`, which is folded; each once, in order.
pub(super) fn terms_of_law(chars: &[char], words: &Words) -> Vec<String> {
    let mut terms: Vec<String> = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let longest = WORD_CHARS_MAX.min(chars.len() - at);
        let known = (1..=longest).rev().find_map(|n| Some((n, words.terms(&chars[at..at + n])?)));
        at += known.as_ref().map_or(1, |(n, _)| *n);
        for term in known.into_iter().flat_map(|(_, more)| more) {
            if !terms.iter().any(|t| t == term) {
                terms.push(term.to_owned());
            }
        }
    }
    terms
}

fn table() -> &'static Table {
    static WORDS: OnceLock<Table> = OnceLock::new();
    WORDS.get_or_init(|| {
        let mut table = Table::new();
        for (everyday, terms) in shipped_words() {
            table.entry(folded_chars(everyday)).or_default().extend(terms);
        }
        table
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_county_adds_replaces_and_takes_out() {
        let shipped = Words::default();
        assert!(shipped.terms_in("他是老赖").contains(&"失信被执行人".to_owned()));
        let own = [("老赖", vec!["被执行人".to_owned()]), ("跑路", vec!["逃匿".to_owned()])];
        let words = Words::new(own.into_iter(), ["欠钱"].into_iter());
        assert_eq!(words.terms_in("老赖跑路，欠钱不还"), ["被执行人", "逃匿"]);
        assert!(!shipped.terms_in("欠钱").is_empty() && words.terms_in("欠钱").is_empty());
        assert!(shipped_words().count() > 400);
    }
}

//! From text to the tokens of the index: sliding pairs for recall, words and numbers for ranking.
//!
//! What must hold: every piece of two or more folded characters of a text is a phrase of its pairs, whatever
//! the words make of it; index and query use the same functions. How characters are folded is `base::text`'s
//! business.

use std::ops::Range;
use std::sync::OnceLock;

use jieba_rs::Jieba;
use tantivy::tokenizer::{Token, TokenStream, Tokenizer};

use crate::base::text::{Numeral, find_numerals, fold_both, folded_chars, is_alphanumeric};

/// Name of the tokenizer of the pair fields.
pub(super) const PAIRS: &str = "jiceng-pairs";

/// Name of the tokenizer of the word fields.
pub(super) const WORDS: &str = "jiceng-words";

/// Every two neighbours, then the last character alone; the position is the place of the first character.
#[derive(Clone, Debug, Default)]
pub(super) struct Pairs;

/// Characters, words, folded numbers; positions mean nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct Words;

impl Tokenizer for Pairs {
    type TokenStream<'a> = PairStream;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> PairStream {
        PairStream { chars: folded_chars(text), next: 0, token: Token::default() }
    }
}

impl Tokenizer for Words {
    type TokenStream<'a> = WordStream;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> WordStream {
        let (chars, spaced) = fold_both(text);
        let (words, numbers) = (words(&spaced).into_iter(), numbers_of(&chars, &spaced).into_iter());
        WordStream { chars: chars.into_iter(), spaced, words, numbers, token: Token::default() }
    }
}

/// The stream of [`Pairs`].
#[derive(Debug)]
pub(super) struct PairStream {
    chars: Vec<char>,
    next: usize,
    token: Token,
}

impl TokenStream for PairStream {
    fn advance(&mut self) -> bool {
        let Some(&first) = self.chars.get(self.next) else { return false };
        self.token.text.clear();
        self.token.text.push(first);
        self.token.text.extend(self.chars.get(self.next + 1));
        self.token.position = self.next;
        self.next += 1;
        true
    }

    fn token(&self) -> &Token {
        &self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.token
    }
}

/// The stream of [`Words`].
#[derive(Debug)]
pub(super) struct WordStream {
    chars: std::vec::IntoIter<char>,
    spaced: String,
    words: std::vec::IntoIter<Range<usize>>,
    numbers: std::vec::IntoIter<String>,
    token: Token,
}

impl TokenStream for WordStream {
    fn advance(&mut self) -> bool {
        self.token.text.clear();
        if let Some(c) = self.chars.find(|&c| is_alphanumeric(c)) {
            self.token.text.push(c);
        } else if let Some(word) = self.words.next() {
            self.token.text.push_str(&self.spaced[word]);
        } else {
            let Some(number) = self.numbers.next() else { return false };
            self.token.text.push_str(&number);
        }
        self.token.position = self.token.position.wrapping_add(1);
        true
    }

    fn token(&self) -> &Token {
        &self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.token
    }
}

static JIEBA: OnceLock<Jieba> = OnceLock::new();

/// The dictionary of words is in memory: reading it is what makes a first search slow.
pub fn is_warm() -> bool {
    JIEBA.get().is_some()
}

/// Words of two and more characters, and the numbers: what a long question is ranked by, besides its pairs.
pub(super) fn terms(text: &str) -> Vec<String> {
    let (chars, spaced) = fold_both(text);
    let mut out: Vec<String> = words(&spaced).into_iter().map(|word| spaced[word].to_owned()).collect();
    out.extend(numbers_of(&chars, &spaced));
    out
}

/// Where words of two and more characters stand.
fn words(spaced: &str) -> Vec<Range<usize>> {
    let cut = JIEBA.get_or_init(Jieba::new).cut_for_search(spaced, false);
    let long = cut.iter().filter(|t| t.word.chars().nth(1).is_some() && t.word.chars().all(is_alphanumeric));
    long.map(|t| t.byte_start..t.byte_end).collect()
}

/// The folded numerals and document numbers of a text, one spelling each: `第21条`, `2020年`, `文2020-5`.
pub(super) fn numbers(text: &str) -> Vec<String> {
    let (chars, spaced) = fold_both(text);
    numbers_of(&chars, &spaced)
}

fn numbers_of(chars: &[char], spaced: &str) -> Vec<String> {
    let mut out: Vec<String> = find_numerals(chars).iter().map(Numeral::canonical).collect();
    // Most texts name no document.
    if spaced.contains('号') {
        out.extend(document_numbers(spaced));
    }
    out
}

/// 文号 in any brackets: a year, one or two marks, the number, 号.
fn document_numbers(spaced: &str) -> Vec<String> {
    let chars: Vec<char> = spaced.chars().collect();
    let mut out = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let year = digits(&chars, at);
        if year == 4 && (chars[at] == '1' || chars[at] == '2') {
            out.extend(document_number(&chars, at));
        }
        at += year.max(1);
    }
    out
}

fn document_number(chars: &[char], at: usize) -> Option<String> {
    let rest = &chars[at + 4..];
    let marks = rest.iter().take(3).take_while(|c| " 年第-)〕]】".contains(**c)).count();
    let count = digits(rest, marks);
    let fits = marks > 0 && (1..=5).contains(&count) && rest.get(marks + count) == Some(&'号');
    let text = |part: &[char]| part.iter().collect::<String>();
    let number = text(&rest[marks..marks + count]);
    fits.then(|| format!("文{}-{}", text(&chars[at..at + 4]), number.trim_start_matches('0')))
}

fn digits(chars: &[char], at: usize) -> usize {
    chars.iter().skip(at).take_while(|c| c.is_ascii_digit()).count()
}

/// The fewest pairs that pin down `chars` as a phrase, with their places: every other pair and the last one.
/// Empty for fewer than two characters.
pub(super) fn phrase(chars: &[char]) -> Vec<(usize, String)> {
    let Some(last) = chars.len().checked_sub(2) else { return Vec::new() };
    let pair = |at: usize| (at, chars[at..at + 2].iter().collect());
    (0..last).step_by(2).chain([last]).map(pair).collect()
}

/// What everybody leaves out of the titles of laws.
const STATE: &[char] = &['中', '华', '人', '民', '共', '和', '国'];

/// A name without marks and with numerals in one spelling, for comparing as a whole: 《信访工作条例》第二十一条 and
/// `信访工作条例 21条` are the same, and 《中华人民共和国刑法》 is 刑法.
pub(super) fn bare(text: &str) -> String {
    let mut chars = folded_chars(text);
    chars.retain(|c| c.is_alphanumeric());
    while let Some(at) = chars.windows(STATE.len()).position(|w| w == STATE).filter(|_| chars.len() > STATE.len()) {
        chars.drain(at..at + STATE.len());
    }
    let mut out = String::new();
    let mut at = 0;
    for n in find_numerals(&chars) {
        let front = n.range.start - usize::from(n.ordinal);
        out.extend(&chars[at..front]);
        out.push_str(n.canonical().trim_start_matches('第'));
        at = n.sub.map_or(n.range.end + 1, |(sub, _)| sub.end);
    }
    out.extend(&chars[at..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pairs(text: &str) -> Vec<(usize, String)> {
        let mut out = Vec::new();
        Pairs.token_stream(text).process(&mut |t| out.push((t.position, t.text.clone())));
        out
    }

    #[test]
    fn pairs_slide_and_end_with_the_tail() {
        let expected = [(0, "信访"), (1, "访件"), (2, "件a"), (3, "a1"), (4, "1")];
        assert_eq!(pairs("信 访件\nＡ1"), expected.map(|(at, t)| (at, t.to_owned())));
        assert!(pairs(" \u{200B}").is_empty());
    }

    /// An index keeps the tokens it was made with: other ones want another version of the schema.
    #[test]
    fn the_words_of_a_text_are_these() {
        let mut words = Vec::new();
        let text = "請求農業機械化，见《条例》第二十一条。中纪发〔2020〕5號Ａ４";
        Words.token_stream(text).process(&mut |t| words.push(t.text.clone()));
        let right = "请 求 农 业 机 械 化 见 条 例 第 二 十 一 条 中 纪 发 2 0 2 0 5 号 a 4 \
            请求 农业 机械 机械化 条例 第二 二十 十一 一条 第二十 二十一 第二十一条 2020 a4 第21条 第5号 文2020-5";
        assert_eq!(words.join(" "), right);
    }

    #[test]
    fn names_and_numbers_have_one_spelling() {
        assert_eq!(bare("《信访工作条例》第二十一条"), bare("信訪工作條例　２１条"));
        assert_eq!(bare("刑法第二百条之一"), "刑法200条之1");
        for text in ["中纪发〔2020〕5号", "中纪发[2020]5号", "中纪发2020 05号", "中纪发（2020）第5号"]
        {
            assert!(numbers(text).contains(&"文2020-5".to_owned()), "{text}: {:?}", numbers(text));
        }
        assert!(terms("纪律处分条例二〇二〇年").contains(&"2020年".to_owned()));
    }

    proptest! {
        #[test]
        fn every_piece_is_a_phrase_of_the_pairs(
            text in "[一-三a-c，。 \n]{2,30}",
            from in 0usize..30,
            len in 2usize..12,
        ) {
            let piece: String = text.chars().skip(from).take(len).collect();
            let wanted = phrase(&folded_chars(&piece));
            let have = pairs(&text);
            let found = wanted.is_empty() || (0..have.len()).any(|start| {
                wanted.iter().all(|(at, pair)| have.get(start + at).is_some_and(|(_, p)| p == pair))
            });
            prop_assert!(found);
        }

        #[test]
        fn no_text_is_too_strange(text in "\\PC{0,60}") {
            let mut words = 0;
            Words.token_stream(&text).process(&mut |_| words += 1);
            let _ = (terms(&text), bare(&text), phrase(&folded_chars(&text)));
        }
    }
}

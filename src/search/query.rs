//! From what a person typed to queries of the engine.
//!
//! What must hold: no text is an error; a short text finds rows that contain it and nothing else as long as
//! there is one such row. The gate of rights that every query passes is `gate`'s, running queries and putting
//! answers together is `search::Index`'s business.

use std::collections::BTreeMap;

use tantivy::Term;
use tantivy::query::{
    Bm25StatisticsProvider, BooleanQuery, BoostQuery, ConstScoreQuery, DisjunctionMaxQuery, Occur,
    PhraseQuery, Query, TermQuery,
};
use tantivy::schema::{Field, IndexRecordOption};

use crate::base::text::{folded_chars, numeral_variants};

use super::analyzer;
use super::schema::Fields;
use super::statistics::Statistics;
use super::step::Stepped;
use super::{
    NAME_CHARS_MAX, NEAR_CHARS_MIN, NEAR_POSTINGS_MAX, NEAR_POSTINGS_MIN, NEAR_TERMS_MAX, QUERY_CHARS_MAX,
    QUERY_PARTS_MAX,
};

/// Words of questions, which no record is about.
const ASKING: &[&str] = &[
    "什么",
    "怎么",
    "怎样",
    "如何",
    "哪些",
    "哪个",
    "是否",
    "可以",
    "能否",
    "请问",
    "多少",
    "为什么",
    "怎么办",
    "吗",
    "呢",
    "谁",
    "哪",
    "么",
    "怎",
    "啊",
    "吧",
];

/// Weights of a match by the field it is in; the body weighs 1.
mod weight {
    pub(super) const TITLE: f32 = 3.0;
    pub(super) const NUMBER: f32 = 3.0;
    pub(super) const NAMES: f32 = 2.0;
    /// The whole text in one piece, against its parts apart.
    pub(super) const IN_ONE_PIECE: f32 = 100.0;
    /// A numeral of the text as a number of the title.
    pub(super) const NUMERAL: f32 = 4.0;
    /// A year of the text as the year of the row.
    pub(super) const YEAR: f32 = 100.0;
    /// Power of the number of times that a question says a word.
    pub(super) const REPEATED: f32 = 0.7;
    /// The text is the title or the number.
    pub(super) const WHOLE: f32 = 500.0;
    /// The text is the reference.
    pub(super) const REFERENCE: f32 = 1000.0;
}

/// A search text, taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    text: String,
    /// What must occur, each in one piece.
    parts: Vec<Part>,
    /// What must not occur.
    banned: Vec<Vec<char>>,
}

/// A piece of the search text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) chars: Vec<char>,
    /// Stood in quotes: also near answers must contain it.
    pub(super) quoted: bool,
}

impl Plan {
    /// Takes `text` apart. Parts stand between blanks; `"…"` is one part, `-x` is banned. Where that leaves
    /// nothing to look for, or a quote is open, the characters stand for themselves.
    pub(super) fn new(text: &str) -> Self {
        let text: String = text.trim().chars().take(QUERY_CHARS_MAX).collect();
        let mut plan = Self { text: text.clone(), ..Self::default() };
        let mut rest = text.trim();
        while !rest.is_empty() && plan.parts.len() + plan.banned.len() < QUERY_PARTS_MAX {
            let (piece, quoted, behind) = next_piece(rest);
            rest = behind.trim_start();
            match piece.strip_prefix(['-', '－']).filter(|_| !quoted).map(folded_chars) {
                Some(chars) if !chars.is_empty() => plan.banned.push(chars),
                _ => plan.parts.push(Part { chars: folded_chars(piece), quoted }),
            }
        }
        let single_mark = |p: &Part| p.chars.len() == 1 && !p.chars[0].is_alphanumeric();
        plan.parts.retain(|p| !p.chars.is_empty() && !single_mark(p));
        if plan.parts.is_empty() {
            plan.banned.clear();
            let chars = folded_chars(&text);
            plan.parts.extend((!chars.is_empty()).then_some(Part { chars, quoted: false }));
        }
        plan
    }

    /// Nothing to look for.
    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// What must occur.
    pub(super) fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Rows that contain every part, or the text in one piece, or are named by it.
    pub(super) fn strict(&self, fields: &Fields) -> Box<dyn Query> {
        let mut ways = vec![all(self.parts.iter().map(|p| occurs(fields, &p.chars)).collect())];
        let joined = folded_chars(&self.text);
        let apart = self.parts.len() > 1 || self.parts.iter().any(|p| p.chars != joined);
        if apart {
            ways.push(occurs(fields, &joined));
        }
        ways.push(equals(fields.reference, &self.text, weight::REFERENCE));
        ways.push(equals(fields.whole, &analyzer::bare(&self.text), weight::WHOLE));
        let mut clauses = vec![(Occur::Must, any(ways))];
        if apart {
            let bonus = ConstScoreQuery::new(occurs(fields, &joined), weight::IN_ONE_PIECE);
            clauses.push((Occur::Should, Box::new(bonus)));
        }
        for number in analyzer::numbers(&self.text) {
            let title = boosted(term(fields.title_words, &number), weight::NUMERAL);
            clauses.push((Occur::Should, any(vec![title, term(fields.body_words, &number)])));
        }
        for year in self.parts.iter().filter_map(|p| year(&p.chars)) {
            clauses.push((Occur::Should, equals(fields.title_words, &year, weight::YEAR)));
        }
        self.without_banned(fields, clauses)
    }

    /// Rows that share characters and words with the text; `None` when the text is too short for that.
    pub(super) fn near(&self, fields: &Fields, statistics: &Statistics<'_>) -> Option<Box<dyn Query>> {
        if self.length() < NEAR_CHARS_MIN {
            return None;
        }
        let shared = self.shared(fields, statistics);
        let quoted = self.parts.iter().filter(|p| p.quoted).map(|p| occurs(fields, &p.chars));
        let must = all(std::iter::once(any(shared)).chain(quoted).collect());
        Some(self.without_banned(fields, vec![(Occur::Must, must)]))
    }

    /// The rarest of the text's characters, pairs and words, as many as the bounds allow.
    fn shared(&self, fields: &Fields, statistics: &Statistics<'_>) -> Vec<Box<dyn Query>> {
        let mut candidates: Vec<(u64, Term, f32)> = Vec::new();
        let mut add = |field: Field, text: &str, weight: f32| {
            let term = Term::from_field_text(field, text);
            let known = statistics.doc_freq(&term).unwrap_or(0);
            if known > 0 {
                candidates.push((known, term, weight));
            }
        };
        let name = self.is_name();
        for (text, (kind, times)) in self.tokens() {
            let times = times.powf(weight::REPEATED);
            let (pairs, words) = kind.weights();
            let (pairs, words) = (pairs * times, words * times);
            if pairs > 0.0 {
                add(fields.body, &text, pairs);
            }
            if words > 0.0 {
                add(fields.body_words, &text, words);
            }
            if pairs > 0.0 && name {
                add(fields.title, &text, pairs);
                add(fields.names, &text, pairs);
            }
            if words > 0.0 && name {
                add(fields.title_words, &text, words);
            }
        }
        candidates.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        let mut budget = statistics.rows().clamp(NEAR_POSTINGS_MIN, NEAR_POSTINGS_MAX);
        let affordable = |(known, _, _): &(u64, Term, f32)| {
            let fits = *known <= budget;
            budget = budget.saturating_sub(*known);
            fits
        };
        let chosen = candidates.into_iter().take(NEAR_TERMS_MAX).take_while(affordable);
        chosen.map(|(_, t, w)| boosted(term_query(t), w)).collect()
    }

    /// Short and asking nothing: most likely a title or a name, misspelt. Titles then count; for a question
    /// the titles of regulations would drown what their articles say.
    fn is_name(&self) -> bool {
        let asking = |p: &Part| p.chars.contains(&'?') || telling(&p.chars).len() > 1 + marks(&p.chars);
        self.length() <= NAME_CHARS_MAX && !self.parts.iter().any(asking)
    }

    fn length(&self) -> usize {
        self.parts.iter().map(|p| p.chars.len()).sum()
    }

    /// What a near answer can share with the text, and how often the text says it.
    fn tokens(&self) -> BTreeMap<String, (Token, f32)> {
        let mut tokens: BTreeMap<String, (Token, f32)> = BTreeMap::new();
        let mut add = |text: String, kind: Token| tokens.entry(text).or_insert((kind, 0.0)).1 += 1.0;
        for run in self.parts.iter().flat_map(|p| telling(&p.chars)) {
            run.iter().for_each(|c| add(c.to_string(), Token::Character));
            run.windows(2).for_each(|pair| add(pair.iter().collect(), Token::Pair));
        }
        for word in analyzer::terms(&self.text).into_iter().filter(|w| !ASKING.contains(&w.as_str())) {
            match tokens.get_mut(&word) {
                Some((kind, _)) => *kind = Token::PairAndWord,
                None => {
                    tokens.insert(word, (Token::Word, 1.0));
                }
            }
        }
        tokens
    }

    fn without_banned(&self, fields: &Fields, mut clauses: Vec<(Occur, Box<dyn Query>)>) -> Box<dyn Query> {
        for banned in &self.banned {
            clauses.push((Occur::MustNot, occurs(fields, banned)));
        }
        Box::new(BooleanQuery::new(clauses))
    }
}

/// What a token of a near query is.
#[derive(Clone, Copy, Debug)]
enum Token {
    Character,
    Pair,
    Word,
    PairAndWord,
}

impl Token {
    /// Its weight in the pair fields and in the word fields.
    fn weights(self) -> (f32, f32) {
        match self {
            Self::Character => (0.0, 1.2),
            Self::Pair => (1.0, 0.0),
            Self::Word => (0.0, 0.7),
            Self::PairAndWord => (1.0, 0.7),
        }
    }
}

/// The runs of characters between marks and words of asking.
fn telling(chars: &[char]) -> Vec<Vec<char>> {
    let mut runs = vec![Vec::new()];
    let mut at = 0;
    while at < chars.len() {
        let asking =
            ASKING.iter().find(|w| w.chars().eq(chars[at..].iter().copied().take(w.chars().count())));
        match asking {
            Some(word) => at += word.chars().count(),
            None => at += 1,
        }
        match (asking, chars[at - 1], runs.last_mut()) {
            (None, c, Some(run)) if c.is_alphanumeric() => run.push(c),
            _ => runs.push(Vec::new()),
        }
    }
    runs
}

fn marks(chars: &[char]) -> usize {
    chars.iter().filter(|c| !c.is_alphanumeric()).count()
}

/// The first piece of `rest`, whether it stood in quotes, and what is behind it.
fn next_piece(rest: &str) -> (&str, bool, &str) {
    for (open, close) in [('"', '"'), ('“', '”')] {
        let Some(inner) = rest.strip_prefix(open) else { continue };
        let Some(end) = inner.find(close) else { continue };
        let behind = &inner[end + close.len_utf8()..];
        if end > 0 && (behind.is_empty() || behind.starts_with(char::is_whitespace)) {
            return (&inner[..end], true, behind);
        }
    }
    let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
    (&rest[..end], false, &rest[end..])
}

/// Rows in which `chars` occurs, in any field and with its numerals in any script.
fn occurs(fields: &Fields, chars: &[char]) -> Box<dyn Query> {
    let mut ways = Vec::new();
    if let [c] = chars {
        let c = c.to_string();
        ways.push(boosted(term(fields.title_words, &c), weight::TITLE));
        ways.push(term(fields.body_words, &c));
        return any(ways);
    }
    let variants = numeral_variants(chars);
    for way in std::iter::once(chars).chain(variants.iter().map(Vec::as_slice)) {
        // The number of an article repeats the title of its regulation: only the better of both counts.
        let heading = [(fields.title, weight::TITLE), (fields.number, weight::NUMBER)];
        let heading = heading.map(|(field, weight)| boosted(phrase(field, way), weight));
        ways.push(Box::new(DisjunctionMaxQuery::new(heading.into())));
        ways.push(boosted(phrase(fields.names, way), weight::NAMES));
        ways.push(phrase(fields.body, way));
    }
    if let Some(year) = year(chars) {
        ways.push(boosted(term(fields.title_words, &year), weight::TITLE));
    }
    any(ways)
}

/// `2020年` for a part that is a year and nothing else.
fn year(chars: &[char]) -> Option<String> {
    let digits = chars.strip_suffix(&['年']).unwrap_or(chars);
    let year = digits.len() == 4 && digits.iter().all(char::is_ascii_digit);
    year.then(|| digits.iter().copied().chain(['年']).collect())
}

/// Rows whose field has `chars` somewhere.
pub(super) fn phrase(field: Field, chars: &[char]) -> Box<dyn Query> {
    let mut terms: Vec<(usize, Term)> = analyzer::phrase(chars)
        .into_iter()
        .map(|(at, pair)| (at, Term::from_field_text(field, &pair)))
        .collect();
    match terms.len() {
        0 => any(Vec::new()),
        1 => term_query(terms.remove(0).1),
        _ => Box::new(PhraseQuery::new_with_offset(terms)),
    }
}

fn equals(field: Field, text: &str, weight: f32) -> Box<dyn Query> {
    if text.is_empty() {
        return any(Vec::new());
    }
    Box::new(ConstScoreQuery::new(term(field, text), weight))
}

fn term(field: Field, text: &str) -> Box<dyn Query> {
    term_query(Term::from_field_text(field, text))
}

fn term_query(term: Term) -> Box<dyn Query> {
    Box::new(TermQuery::new(term, IndexRecordOption::WithFreqs))
}

fn boosted(query: Box<dyn Query>, weight: f32) -> Box<dyn Query> {
    Box::new(BoostQuery::new(query, weight))
}

fn any(queries: Vec<Box<dyn Query>>) -> Box<dyn Query> {
    Box::new(BooleanQuery::union(queries))
}

fn all(queries: Vec<Box<dyn Query>>) -> Box<dyn Query> {
    let stepped = |q| -> Box<dyn Query> { Box::new(Stepped::new(q)) };
    if queries.len() < 3 {
        // The sum of two is the same either way.
        return Box::new(BooleanQuery::intersection(queries));
    }
    Box::new(BooleanQuery::intersection(queries.into_iter().map(stepped).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Vec<String> {
        Plan::new(text).parts.iter().map(|p| p.chars.iter().collect()).collect()
    }

    #[test]
    fn texts_come_apart_at_blanks_quotes_and_dashes() {
        assert_eq!(parts("刘方 E市"), ["刘方", "e市"]);
        assert_eq!(parts("\"a b\" c"), ["ab", "c"]);
        assert_eq!(parts("\"开着"), ["\"开着"]);
        assert_eq!(parts("说\"你好\"的"), ["说\"你好\"的"]);
        let plan = Plan::new("招生 -双林");
        assert_eq!((plan.parts.len(), plan.banned.len()), (1, 1));
        assert_eq!(parts("-双林"), ["-双林"]);
        assert_eq!(parts("事 。"), ["事"]);
        assert!(Plan::new(" \u{200B}\n").is_empty());
    }

    #[test]
    fn long_texts_are_cut() {
        let plan = Plan::new(&"长 ".repeat(100_000));
        assert_eq!(plan.parts.len(), QUERY_PARTS_MAX);
        assert_eq!(Plan::new(&"长".repeat(100_000)).parts[0].chars.len(), QUERY_CHARS_MAX);
    }
}

//! From what a person typed to queries of the engine.
//!
//! What must hold: no text is an error; a short text finds rows that contain it and nothing else as long as
//! there is one such row. The gate of rights that every query passes is `gate`'s, running queries and putting
//! answers together is `search::Index`'s business.

use std::collections::BTreeMap;
use std::ops::Bound;

use tantivy::Term;
use tantivy::query::{
    Bm25StatisticsProvider, BooleanQuery, BoostQuery, ConstScoreQuery, DisjunctionMaxQuery, Occur,
    PhraseQuery, Query, RangeQuery, TermQuery,
};
use tantivy::schema::{Field, IndexRecordOption};

use crate::base::text::{find_numerals, folded_chars, numeral_variants};

use super::analyzer;
use super::asked::Asked;
use super::schema::Fields;
use super::statistics::Statistics;
use super::step::Stepped;
use super::words::Words;
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

/// What stands between two of which one is enough.
const OR: &[&str] = &["或", "OR", "|", "｜", "或者"];

/// Weights of a match by the field it is in; the body weighs 1.
mod weight {
    pub(super) const TITLE: f32 = 3.0;
    pub(super) const NUMBER: f32 = 3.0;
    pub(super) const NAMES: f32 = 2.0;
    /// Each attachment that says it counts the same, and less than the record itself.
    pub(super) const ATTACHED: f32 = 0.3;
    /// The whole text in one piece, against its parts apart.
    pub(super) const IN_ONE_PIECE: f32 = 100.0;
    /// A numeral of the text as a number of the title.
    pub(super) const NUMERAL: f32 = 4.0;
    /// A year of the text as the year of the row.
    pub(super) const YEAR: f32 = 100.0;
    /// Power of the number of times that a question says a word.
    pub(super) const REPEATED: f32 = 0.7;
    /// A term of law that nobody typed, against an everyday word that somebody did.
    pub(super) const MEANT: f32 = 0.5;
    /// The text with one mistake put right.
    pub(super) const CORRECTED: f32 = 100.0;
    /// The text is a title, or a part of one, and the number of an article of it.
    pub(super) const ADDRESS: f32 = 300.0;
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
    /// What the search is narrowed to.
    asked: Vec<Asked>,
}

/// A piece of the search text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) chars: Vec<char>,
    /// Stood in quotes: also near answers must contain it.
    pub(super) quoted: bool,
    /// What may stand in its place.
    pub(super) or: Vec<Vec<char>>,
}

impl Part {
    fn new(chars: Vec<char>, quoted: bool) -> Self {
        Self { chars, quoted, or: Vec::new() }
    }

    fn occurs(&self, fields: &Fields) -> Box<dyn Query> {
        let ways = std::iter::once(&self.chars).chain(&self.or);
        if self.or.is_empty() { occurs(fields, &self.chars) } else { any(ways.map(|w| occurs(fields, w)).collect()) }
    }

    fn is_single_mark(&self) -> bool {
        self.chars.len() == 1 && !self.chars[0].is_alphanumeric()
    }
}

impl Plan {
    /// Takes `text` apart. Parts stand between blanks; `"…"` is one part, `-x` is banned, `a 或 b` is one of two, and
    /// [`Asked`] says what narrows. Where that leaves nothing to look for, or a quote is open, the characters stand for
    /// themselves.
    pub(super) fn new(text: &str) -> Self {
        let text: String = text.trim().chars().take(QUERY_CHARS_MAX).collect();
        let mut plan = Self { text: text.clone(), ..Self::default() };
        let mut rest = text.trim();
        let mut either = false;
        while !rest.is_empty() && plan.parts.len() + plan.banned.len() + plan.asked.len() < QUERY_PARTS_MAX {
            let (piece, quoted, behind) = next_piece(rest);
            rest = behind.trim_start();
            let or = !quoted && OR.contains(&piece) && !plan.parts.is_empty() && !rest.is_empty();
            let part = Part::new(folded_chars(piece), quoted);
            let banned = piece.strip_prefix(['-', '－']).filter(|_| !quoted).map(folded_chars);
            match (banned.filter(|b| !b.is_empty()), Asked::read(piece).filter(|_| !quoted)) {
                _ if or => {}
                (Some(chars), _) => plan.banned.push(chars),
                (_, Some(asked)) => plan.asked.push(asked),
                _ if part.chars.is_empty() || part.is_single_mark() => {}
                _ => match plan.parts.last_mut().filter(|_| either) {
                    Some(last) => last.or.push(part.chars),
                    None => plan.parts.push(part),
                },
            }
            either = or;
        }
        if plan.parts.is_empty() && plan.asked.is_empty() {
            plan.banned.clear();
            let chars = folded_chars(&text);
            plan.parts.extend((!chars.is_empty()).then(|| Part::new(chars, false)));
        }
        plan
    }

    /// Nothing to look for.
    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty() && self.asked.is_empty()
    }

    /// Every run of characters that is looked for.
    pub(super) fn looked_for(&self) -> Vec<Vec<char>> {
        let parts = self.parts.iter().flat_map(|p| std::iter::once(&p.chars).chain(&p.or).cloned());
        parts.chain(self.asked.iter().map(Asked::chars)).filter(|c| !c.is_empty()).collect()
    }

    /// The text, where it is one part that may hold a mistake.
    pub(super) fn correctable(&self) -> Option<&[char]> {
        match self.parts.as_slice() {
            [part] if self.asked.is_empty() && self.banned.is_empty() && !part.quoted && part.or.is_empty() => {
                self.is_name().then_some(part.chars.as_slice())
            }
            _ => None,
        }
    }

    /// The first part, where it may be the name of a person.
    pub(super) fn name(&self) -> Option<&[char]> {
        self.parts.first().map(|p| p.chars.as_slice())
    }

    /// Rows that contain every part, or the text in one piece, or are named by it.
    pub(super) fn strict(&self, fields: &Fields, units: &[u64]) -> Box<dyn Query> {
        let parts = self.parts.iter().map(|p| p.occurs(fields));
        let mut ways = vec![all(parts.chain(self.narrowed(fields, units)).collect())];
        let joined = folded_chars(&self.text);
        let apart = self.parts.len() > 1 || !self.asked.is_empty() || self.parts.iter().any(|p| p.chars != joined);
        if apart {
            ways.push(occurs(fields, &joined));
        }
        ways.push(equals(fields.reference, &self.text, weight::REFERENCE));
        ways.push(equals(fields.whole, &analyzer::bare(&self.text), weight::WHOLE));
        ways.extend(address(fields, &joined));
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

    /// Rows whose petitioner is known by every part; `None` without a part.
    pub(super) fn identities(&self, fields: &Fields) -> Option<Box<dyn Query>> {
        let ways = |p: &Part| -> Box<dyn Query> {
            any(std::iter::once(&p.chars).chain(&p.or).map(|c| phrase(fields.identity, c)).collect())
        };
        (!self.parts.is_empty()).then(|| all(self.parts.iter().map(ways).collect()))
    }

    /// Rows that share characters and words with the text; `None` when the text is too short for that.
    pub(super) fn near(
        &self,
        fields: &Fields,
        statistics: &Statistics<'_>,
        (units, words): (&[u64], &Words),
    ) -> Option<Box<dyn Query>> {
        if self.length() < NEAR_CHARS_MIN {
            return None;
        }
        let shared = self.shared(fields, statistics, words);
        let quoted = self.parts.iter().filter(|p| p.quoted).map(|p| p.occurs(fields));
        let must = all(std::iter::once(any(shared)).chain(quoted).chain(self.narrowed(fields, units)).collect());
        Some(self.without_banned(fields, vec![(Occur::Must, must)]))
    }

    /// What the text narrows to; `units` are those that are called as it says.
    fn narrowed<'a>(&'a self, fields: &'a Fields, units: &'a [u64]) -> impl Iterator<Item = Box<dyn Query>> + 'a {
        self.asked.iter().map(move |asked| match asked {
            Asked::Title(chars) => within(fields.title, fields.title_words, chars),
            Asked::Name(chars) => within(fields.names, fields.title_words, chars),
            Asked::Number(text) => {
                let mut ways = vec![
                    equals(fields.reference, text, weight::REFERENCE),
                    equals(fields.whole, &analyzer::bare(text), weight::WHOLE),
                    within(fields.number, fields.title_words, &folded_chars(text)),
                ];
                ways.extend(analyzer::numbers(text).iter().map(|n| equals(fields.title_words, n, weight::NUMERAL)));
                any(ways)
            }
            Asked::Unit(name) => {
                let mut ways = vec![within(fields.names, fields.title_words, &folded_chars(name))];
                ways.extend(units.iter().map(|unit| between(fields.unit, *unit, *unit)));
                any(ways)
            }
            Asked::Days(from, to) => between(fields.day, (*from).max(1), *to),
        })
    }

    /// The rarest of the text's characters, pairs and words, as many as the bounds allow.
    fn shared(&self, fields: &Fields, statistics: &Statistics<'_>, words: &Words) -> Vec<Box<dyn Query>> {
        let mut candidates: Vec<(u64, Term, f32)> = Vec::new();
        let mut add = |field: Field, text: &str, weight: f32| {
            let term = Term::from_field_text(field, text);
            let known = statistics.doc_freq(&term).unwrap_or(0);
            if known > 0 {
                candidates.push((known, term, weight));
            }
        };
        let name = self.is_name();
        for (text, (kind, times)) in self.tokens(words) {
            let times = times.powf(if times < 1.0 { 1.0 } else { weight::REPEATED });
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
    fn tokens(&self, words: &Words) -> BTreeMap<String, (Token, f32)> {
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
        let said: Vec<char> = self.parts.iter().flat_map(|p| p.chars.iter().copied()).collect();
        for term in super::words::terms_of_law(&said, words) {
            for pair in folded_chars(&term).windows(2) {
                tokens.entry(pair.iter().collect()).or_insert((Token::Pair, weight::MEANT));
            }
            for word in analyzer::terms(&term) {
                let token = tokens.entry(word).or_insert((Token::Word, weight::MEANT));
                if matches!(token.0, Token::Pair) {
                    token.0 = Token::PairAndWord;
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

/// The rows of `near`, those of `better` above the others.
pub(super) fn above(near: Box<dyn Query>, better: impl Iterator<Item = Box<dyn Query>>) -> Box<dyn Query> {
    let better: Vec<Box<dyn Query>> = better.collect();
    if better.is_empty() {
        return near;
    }
    let bonus = ConstScoreQuery::new(any(better), weight::CORRECTED);
    Box::new(BooleanQuery::new(vec![(Occur::Must, near), (Occur::Should, Box::new(bonus))]))
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

/// Rows in whose `field` the characters occur; one character alone is looked up among `words`.
fn within(field: Field, words: Field, chars: &[char]) -> Box<dyn Query> {
    match chars {
        [c] => term(words, &c.to_string()),
        _ => phrase(field, chars),
    }
}

/// Rows whose column has a value of these.
/// Rows with a greater number than this; all of them for 0.
pub(super) fn after(query: Box<dyn Query>, fields: &Fields, since: u64) -> Box<dyn Query> {
    if since == 0 {
        return query;
    }
    all(vec![query, between(fields.id, since.saturating_add(1), u64::MAX)])
}

fn between(field: Field, from: u64, to: u64) -> Box<dyn Query> {
    let bound = |value| Bound::Included(Term::from_field_u64(field, value));
    Box::new(ConstScoreQuery::new(Box::new(RangeQuery::new(bound(from), bound(to))), 1.0))
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
        ways.push(Box::new(ConstScoreQuery::new(phrase(fields.attached, way), weight::ATTACHED)));
    }
    if let Some(year) = year(chars) {
        ways.push(boosted(term(fields.title_words, &year), weight::TITLE));
    }
    any(ways)
}

/// Rows whose title has the title and the number of an article that `chars` is made of: 警察法第3条 is the third one of
/// 《中华人民共和国人民警察法》, and no other that mentions it.
fn address(fields: &Fields, chars: &[char]) -> Option<Box<dyn Query>> {
    let numeral = find_numerals(chars).pop().filter(|n| n.unit == '条')?;
    let front = chars.get(..numeral.range.start - usize::from(numeral.ordinal))?;
    let end = numeral.sub.as_ref().map_or(numeral.range.end + 1, |(sub, _)| sub.end);
    let whole = chars[end..].is_empty() || chars[end..].starts_with(&['第']);
    let title: Vec<char> = front.iter().copied().filter(|c| !"<>\"".contains(*c)).collect();
    let number = equals(fields.title_words, &numeral.canonical(), weight::ADDRESS);
    (whole && title.len() > 1).then(|| all(vec![boosted(phrase(fields.title, &title), weight::TITLE), number]))
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

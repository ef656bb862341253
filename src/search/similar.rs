//! What resembles a text: rows that share rare pieces with it, or name the same person or place.
//!
//! What must hold: everything passes the gate, as in every search; the work is bounded however long the text and
//! however large the index is; how much two texts share is counted on the texts themselves, so that it does not
//! depend on what else is there. Judging what was found is left to `app`.

use std::collections::BTreeSet;

use tantivy::Term;
use tantivy::query::{Bm25StatisticsProvider, BooleanQuery, ConstScoreQuery, Query};

use super::gather::Gather;
use super::query::phrase;
use super::statistics::Statistics;
use super::{Doc, Index, Order, Request, Scope, indexer};
use crate::base::Result;
use crate::base::text::{folded_chars, is_alphanumeric};

/// Characters of a piece.
const PIECE: usize = 4;
/// Most characters of a text that are compared.
const COMPARED_CHARS_MAX: usize = 20_000;
/// Most pieces whose frequency is asked for.
const PIECES_LOOKED_AT: usize = 256;
/// Most pieces that are searched for.
const PIECES_ASKED: usize = 32;
/// Postings that pieces may walk, in rows summed over them.
const POSTINGS_MAX: u64 = 200_000;

/// What rows are to resemble.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Like {
    /// Names, each of which is enough.
    pub names: Vec<String>,
    /// A place; empty for none.
    pub place: String,
    /// The text.
    pub text: String,
    /// Words that are to stand in a text as they are; empty for none.
    pub said: String,
}

/// Rows that may resemble it, the best of each reason first. Each at most once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Alike {
    /// They hold one of the names.
    pub named: Vec<u64>,
    /// They hold the place.
    pub placed: Vec<u64>,
    /// They hold rare pieces of the text.
    pub worded: Vec<u64>,
    /// Their text holds the words.
    pub said: Vec<u64>,
}

/// The pieces of a text, for counting how much two texts share.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pieces(Vec<u64>);

impl Pieces {
    /// The pieces of `text`: four characters each, marks and blanks aside.
    pub fn of(text: &str) -> Self {
        let chars = comparable(text);
        let mut all: Vec<u64> = chars.windows(PIECE).map(hash).collect();
        all.sort_unstable();
        all.dedup();
        Self(all)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The pieces, as numbers.
    pub fn iter(&self) -> impl Iterator<Item = u64> + '_ {
        self.0.iter().copied()
    }

    /// How many pieces both have.
    pub fn shared(&self, other: &Self) -> usize {
        let (few, many) = if self.count() < other.count() { (self, other) } else { (other, self) };
        few.0.iter().filter(|p| many.0.binary_search(p).is_ok()).count()
    }

    /// How much of the shorter text is in the longer one, in hundredths. A text of a few pieces is in no other.
    pub fn overlap(&self, other: &Self) -> u32 {
        let shorter = self.count().min(other.count());
        let share = (self.shared(other) * 100).checked_div(shorter).unwrap_or(0);
        if shorter < PIECE { 0 } else { u32::try_from(share).unwrap_or(100) }
    }
}

fn comparable(text: &str) -> Vec<char> {
    let cut: String = text.chars().take(COMPARED_CHARS_MAX).collect();
    let mut chars = folded_chars(&cut);
    chars.retain(|c| is_alphanumeric(*c));
    chars
}

/// FNV-1a: the same in every process, and quick. Two pieces that meet in it by chance change nothing that matters.
fn hash(piece: &[char]) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    piece.iter().flat_map(|c| u32::from(*c).to_le_bytes()).fold(0xcbf2_9ce4_8422_2325, step)
}

impl Index {
    /// Rows that resemble `like`, at most `request.limit` of each reason; the text of `request` is not looked at.
    ///
    /// # Errors
    /// `Io` or `Internal` when the index cannot be read.
    pub fn similar(&self, scope: &Scope, request: &Request, fresh: &[Doc], like: &Like) -> Result<Alike> {
        let ask = self.ask(scope, request, fresh)?;
        let fields = self.fields();
        let first = |order, query: Box<dyn Query>| -> Result<Vec<u64>> {
            let answer = ask.run(query.as_ref(), Gather { order, keep: request.limit, count: false })?;
            Ok(answer.rows.iter().map(|row| row.id).collect())
        };
        let everywhere = [fields.names, fields.title, fields.body];
        let named = like.names.iter().flat_map(|name| {
            let name = folded_chars(name);
            everywhere.map(|field| phrase(field, &name))
        });
        let named: Vec<_> = named.collect();
        let (place, said) = (folded_chars(&like.place), folded_chars(&like.said));
        let pieces = self.telling(&ask.statistics(), &like.text)?;
        let pieces = pieces.iter().map(|piece| -> Box<dyn Query> {
            Box::new(ConstScoreQuery::new(phrase(fields.body, piece), 1.0))
        });
        let pieces: Vec<_> = pieces.collect();
        let union = |queries| -> Box<dyn Query> { Box::new(BooleanQuery::union(queries)) };
        Ok(Alike {
            named: if named.is_empty() { Vec::new() } else { first(Order::Newest, union(named))? },
            placed: if place.len() < 2 { Vec::new() } else { first(Order::Newest, phrase(fields.names, &place))? },
            said: if said.len() < 2 { Vec::new() } else { first(Order::Newest, phrase(fields.body, &said))? },
            worded: if pieces.is_empty() { Vec::new() } else { first(Order::Relevance, union(pieces))? },
        })
    }

    /// The rarest pieces of a text that are somewhere in the index. Which are looked at in a long text is told by the
    /// pieces alone, so that a copy of it is looked at in the same places.
    fn telling(&self, statistics: &Statistics<'_>, text: &str) -> Result<Vec<Vec<char>>> {
        let cut: String = text.chars().take(COMPARED_CHARS_MAX).collect();
        let chars = folded_chars(&cut);
        let whole = chars.windows(PIECE).filter(|w| w.iter().all(|c| is_alphanumeric(*c)));
        let pieces: BTreeSet<(u64, &[char])> = whole.map(|w| (hash(w), w)).collect();
        let mut rare = Vec::new();
        for (_, piece) in pieces.into_iter().take(PIECES_LOOKED_AT) {
            let rows = |pair: &[char]| {
                let pair: String = pair.iter().collect();
                let rows = statistics.doc_freq(&Term::from_field_text(self.fields().body, &pair));
                rows.map_err(indexer::failed)
            };
            let (front, back) = piece.split_at(PIECE / 2);
            let rows = rows(front)?.min(rows(back)?);
            rare.extend((rows > 0).then_some((rows, piece)));
        }
        rare.sort_unstable();
        let mut walked = 0;
        let affordable = rare.into_iter().take_while(|(rows, _)| {
            walked += rows;
            walked <= POSTINGS_MAX
        });
        Ok(affordable.take(PIECES_ASKED).map(|(_, piece)| piece.to_vec()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Units;
    use super::super::tests::{doc, everything, index};
    use super::*;

    const TEXT: &str = "来信反映青石村会计在发放种粮补贴时多报了十七户，名单至今没有公示，村民多次询问没有答复。";

    fn like(text: &str) -> Like {
        Like { text: text.to_owned(), ..Like::default() }
    }

    fn request() -> Request {
        Request { limit: 10, ..Request::default() }
    }

    #[test]
    fn a_changed_copy_is_found_and_another_text_is_not() {
        let copy = "群众来电称，青石村会计发放种粮补贴时多报了十七户人家，公示名单一直没有，多次询问也没有答复。";
        let other = "反映水渠工程用料不足，验收时没有测量厚度。";
        let (_dir, index) = index(&[doc(1, "一件", TEXT), doc(2, "二件", copy), doc(3, "三件", other)]);
        let found = index.similar(&everything(), &request(), &[], &like(TEXT)).unwrap();
        assert_eq!(found.worded, [1, 2]);
        assert_eq!(Pieces::of(TEXT).overlap(&Pieces::of(TEXT)), 100);
        assert!(Pieces::of(TEXT).overlap(&Pieces::of(copy)) >= 30);
        assert_eq!(Pieces::of(TEXT).overlap(&Pieces::of(other)), 0);
        assert_eq!(Pieces::of("甲").overlap(&Pieces::of("甲")), 0);
    }

    #[test]
    fn names_and_places_are_found_in_fresh_rows_too_and_nothing_passes_the_gate() {
        let named = |id, unit| Doc { unit, names: "阙知晦\n青石村".into(), ..doc(id, "一件", "无") };
        let (_dir, index) = index(&[named(1, 7), named(2, 8)]);
        let like = Like { names: vec!["阙知晦".into()], place: "青石村".into(), text: TEXT.into(), said: "无".into() };
        let own = Scope::nothing().with(1, Units::Only(vec![7]));
        let found = index.similar(&own, &request(), &[named(3, 7), named(4, 8)], &like).unwrap();
        assert_eq!((&found.named, &found.placed), (&vec![1, 3], &vec![1, 3]));
        let hidden = Request { exclude: vec![1], ..request() };
        assert_eq!(index.similar(&own, &hidden, &[], &like).unwrap(), Alike::default());
        assert_eq!(index.similar(&Scope::nothing(), &request(), &[], &like).unwrap(), Alike::default());
    }

    #[test]
    fn no_text_is_too_strange_or_too_long() {
        let (_dir, index) = index(&[doc(1, "一件", TEXT)]);
        for text in ["", "的", "\u{0}\u{FFFF}", "👩‍👩‍👧", "ﷺﷺﷺﷺ", "\"-", &TEXT.repeat(5_000)] {
            let whole = || text.to_owned();
            let like = Like { names: vec![whole()], place: whole(), text: whole(), said: whole() };
            index.similar(&everything(), &request(), &[doc(9, text, text)], &like).unwrap();
        }
    }
}

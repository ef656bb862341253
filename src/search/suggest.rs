//! What may be meant: rows whose title, number or names begin with what was typed so far, and rows that name somebody
//! who sounds or looks alike.
//!
//! What must hold: both pass the gate of rights as every search does; what they cost is bounded, however large the
//! index is.

use std::collections::BTreeSet;

use tantivy::Term;
use tantivy::query::{BooleanQuery, ConstScoreQuery, PhraseQuery, Query, TermQuery};
use tantivy::schema::{Field, IndexRecordOption};

use crate::base::Result;

use super::analyzer::bare;
use super::schema::Fields;
use super::statistics::Statistics;
use super::{Doc, Hit, Index, Order, Request, Scope, indexer, sounds};

/// Most beginnings that are looked at in a segment.
const STARTS_MAX: usize = 64;

/// Most rows that offers are chosen from, and that a group of names alike is.
const ROWS_MAX: u64 = 20_000;

/// Most rows in a group of names alike.
pub(super) const ALIKE_HITS_MAX: usize = 10;

impl Index {
    /// Rows to offer for `request.text`, as far as it is typed: characters, pinyin, or first letters. At most
    /// `request.limit`; the caller reads their titles and names from the record store.
    ///
    /// # Errors
    /// Those of [`Self::search`].
    pub fn suggest(&self, scope: &Scope, request: &Request, fresh: &[Doc]) -> Result<Vec<Hit>> {
        let start = bare(&request.text);
        if start.is_empty() {
            return Ok(Vec::new());
        }
        let ask = self.ask(scope, request, fresh)?;
        let fields = self.fields();
        let mut terms: BTreeSet<(usize, Term)> = BTreeSet::new();
        for shelf in &ask.shelves {
            for reader in shelf.searcher().segment_readers() {
                let known = reader.inverted_index(fields.starts).map_err(indexer::failed)?;
                let mut stream = known.terms().range().ge(start.as_bytes()).into_stream()?;
                let mut rows = 0;
                for _ in 0..STARTS_MAX {
                    if rows > ROWS_MAX || !stream.advance() || !stream.key().starts_with(start.as_bytes()) {
                        break;
                    }
                    rows += u64::from(stream.value().doc_freq);
                    let text = String::from_utf8_lossy(stream.key()).into_owned();
                    terms.insert((text.chars().count(), Term::from_field_text(fields.starts, &text)));
                }
            }
        }
        let ways = terms.into_iter().map(|(length, term)| -> Box<dyn Query> {
            let term = Box::new(TermQuery::new(term, IndexRecordOption::Basic));
            Box::new(ConstScoreQuery::new(term, 1.0 + 1.0 / length as f32))
        });
        let query = BooleanQuery::union(ways.collect());
        let found = ask.exact(&query, Order::Relevance)?.found(request, true);
        Ok(found.hits)
    }
}

/// The first of the names in `names` that begins with what was typed: characters, pinyin, or first letters.
pub fn begun_name<'a>(names: &'a str, typed: &str) -> Option<&'a str> {
    sounds::names(names).find(|name| sounds::begins(name, typed))
}

/// Rows that name somebody who sounds or looks like `chars`, those that name them as they are among them; `None` when
/// they name nobody, or too many sound so.
pub(super) fn alike(
    fields: &Fields,
    chars: &[char],
    statistics: &Statistics<'_>,
) -> Option<Box<dyn Query>> {
    use tantivy::query::Bm25StatisticsProvider;
    let sounds = sounds::name_sounds(chars);
    let rows = |(_, text): &(usize, String)| {
        statistics.doc_freq(&Term::from_field_text(fields.sounds, text)).unwrap_or(u64::MAX)
    };
    let rarest = sounds.iter().map(rows).min()?;
    let mut ways: Vec<Box<dyn Query>> = Vec::new();
    if (1..=ROWS_MAX).contains(&rarest) {
        ways.push(phrase(fields.sounds, sounds));
    }
    for way in sounds::shapes(chars) {
        ways.extend([fields.names, fields.title].map(|field| phrase(field, super::analyzer::phrase(&way))));
    }
    Some(Box::new(BooleanQuery::union(ways)))
}

fn phrase(field: Field, tokens: Vec<(usize, String)>) -> Box<dyn Query> {
    let mut terms: Vec<(usize, Term)> =
        tokens.into_iter().map(|(at, text)| (at, Term::from_field_text(field, &text))).collect();
    if let [(_, term)] = terms.as_slice() {
        return Box::new(TermQuery::new(term.clone(), IndexRecordOption::WithFreqs));
    }
    terms.sort_by_key(|t| t.0);
    Box::new(PhraseQuery::new_with_offset(terms))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ask, doc, everything, ids, index};
    use super::super::{Doc, Request, Scope, Units};

    fn named(id: u64, names: &str) -> Doc {
        Doc { names: names.into(), ..doc(id, "一件", "举报村干部") }
    }

    #[test]
    fn names_alike_stand_beside_the_answers_and_pass_the_gate() {
        let hidden = Doc { kind: 2, ..named(4, "章三") };
        let (_dir, index) = index(&[named(1, "张三"), named(2, "章珊"), named(3, "李四"), hidden, named(5, "弓三")]);
        let found = index.search(&Scope::nothing().with(1, Units::All), &ask("张三"), &[]).unwrap();
        assert_eq!((ids(&found), found.total), (vec![1], 1));
        assert_eq!(found.alike.iter().map(|h| h.id).collect::<Vec<_>>(), [2]);
        let found = index.search(&everything(), &ask("杨末"), &[named(9, "扬末")]).unwrap();
        assert_eq!(found.alike.iter().map(|h| h.id).collect::<Vec<_>>(), [9]);
        assert!(index.search(&Scope::nothing(), &ask("张三"), &[]).unwrap().alike.is_empty());
    }

    #[test]
    fn beginnings_are_offered_from_what_may_be_seen() {
        let hidden = Doc { kind: 2, ..named(4, "张三丰") };
        let law = Doc { names: String::new(), ..doc(5, "信访工作条例", "") };
        let (_dir, index) = index(&[named(1, "张三；李四"), named(2, "章珊"), hidden, law]);
        let offers = |text: &str| -> Vec<u64> {
            let request = Request { limit: 8, ..ask(text) };
            let scope = Scope::nothing().with(1, Units::All);
            index.suggest(&scope, &request, &[named(9, "张五")]).unwrap().iter().map(|h| h.id).collect()
        };
        assert_eq!(offers("张"), [1, 9]);
        assert_eq!(offers("zs"), [1, 2]);
        assert_eq!(offers("zhangw"), [9]);
        // The shorter one is nearer to what was typed.
        assert_eq!(offers("Zhang"), [9, 1, 2]);
        assert_eq!(offers("信访工"), [5]);
        assert_eq!(offers("xfgz"), [5]);
        assert_eq!(offers("　"), [0u64; 0]);
        assert_eq!(offers("李四"), [1]);
        let names = "某镇政府；张三、李四";
        for (typed, name) in [("zs", "张三"), ("li s", "李四"), ("李", "李四"), ("mouzhen", "某镇政府")] {
            assert_eq!(super::begun_name(names, typed), Some(name), "{typed}");
        }
        assert_eq!((super::begun_name(names, "三"), super::begun_name(names, "")), (None, None));
    }
}

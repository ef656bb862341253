//! What ranking knows of all rows: how many there are, how long they are, and how many hold a term.
//!
//! What must hold: only rows that can be found count, each by itself, so that the same rows rank the same
//! however the index grew. The engine's own figures count replaced rows until a merge drops them, and guess
//! lengths when it does. Scoring a row is left to the engine.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tantivy::index::SegmentId;
use tantivy::query::Bm25StatisticsProvider;
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{DocId, DocSet, Opstamp, Searcher, SegmentReader, TERMINATED, Term};

use super::sheet::{Sheets, lengths};

/// Rows that are searched together, with their figures.
#[derive(Clone)]
pub(super) struct Shelf {
    searcher: Searcher,
    sheets: Arc<Sheets>,
    census: Arc<Census>,
}

/// The figures of one shelf.
#[derive(Clone, Debug, Default)]
struct Census {
    rows: u64,
    /// Tokens by field, as far as the field knows its lengths.
    tokens: BTreeMap<Field, u64>,
    /// By segment: rows that do not count.
    gone: Vec<Arc<Gone>>,
}

/// Rows of one segment that do not count.
#[derive(Debug, Default)]
struct Gone {
    segment: Option<(SegmentId, Option<Opstamp>)>,
    /// Ascending.
    rows: Vec<DocId>,
    tokens: Vec<(Field, u64)>,
}

impl Gone {
    /// What was removed from a segment.
    fn of(reader: &SegmentReader) -> tantivy::Result<Self> {
        let rows: Vec<DocId> = match reader.alive_bitset() {
            Some(alive) => (0..reader.max_doc()).filter(|d| alive.is_deleted(*d)).collect(),
            None => Vec::new(),
        };
        let tokens = if rows.is_empty() { Vec::new() } else { lengths(reader, &rows.iter().copied())? };
        Ok(Self { segment: Some((reader.segment_id(), reader.delete_opstamp())), rows, tokens })
    }
}

impl Shelf {
    /// Counts the rows of `searcher`; what `before` knows of its segments is not counted again.
    pub(super) fn new(searcher: Searcher, before: Option<&Self>) -> tantivy::Result<Self> {
        let readers = searcher.segment_readers();
        let sheets = Arc::new(before.map_or(&Sheets::default(), |b| b.sheets.as_ref()).of(readers)?);
        let mut census = Census::default();
        for reader in readers {
            let segment = Some((reader.segment_id(), reader.delete_opstamp()));
            let known = before.and_then(|b| b.census.gone.iter().find(|gone| gone.segment == segment));
            let gone = known.map_or_else(|| Gone::of(reader).map(Arc::new), |known| Ok(Arc::clone(known)))?;
            census.rows += u64::from(reader.num_docs());
            for (field, tokens) in sheets.sheet(reader)?.tokens() {
                *census.tokens.entry(*field).or_default() += tokens;
            }
            census.take_off(&gone.tokens);
            census.gone.push(gone);
        }
        Ok(Self { searcher, sheets, census: Arc::new(census) })
    }

    /// The same shelf, on which the rows `hidden` (by their ids) do not count.
    pub(super) fn without(&self, hidden: &[u64]) -> tantivy::Result<Self> {
        if hidden.is_empty() {
            return Ok(self.clone());
        }
        let mut census = (*self.census).clone();
        for (reader, place) in self.searcher.segment_readers().iter().zip(0..) {
            let sheet = self.sheets.sheet(reader)?;
            let more = hidden.iter().flat_map(|id| sheet.rows_of(*id)).filter(|row| !reader.is_deleted(*row));
            let mut rows: Vec<DocId> = more.collect();
            if rows.is_empty() {
                continue;
            }
            census.rows -= rows.len() as u64;
            census.take_off(&lengths(reader, &rows.iter().copied())?);
            rows.extend(&census.gone[place].rows);
            rows.sort_unstable();
            census.gone[place] = Arc::new(Gone { rows, ..Gone::default() });
        }
        Ok(Self { searcher: self.searcher.clone(), sheets: Arc::clone(&self.sheets), census: Arc::new(census) })
    }

    /// What is known of each row.
    pub(super) fn sheets(&self) -> &Arc<Sheets> {
        &self.sheets
    }

    /// The rows themselves.
    pub(super) fn searcher(&self) -> &Searcher {
        &self.searcher
    }

    fn doc_freq(&self, term: &Term) -> tantivy::Result<u64> {
        let mut rows = 0;
        for (reader, gone) in self.searcher.segment_readers().iter().zip(&self.census.gone) {
            let postings = reader.inverted_index(term.field())?;
            let Some(info) = postings.get_term_info(term)? else { continue };
            rows += u64::from(info.doc_freq);
            if !gone.rows.is_empty() {
                let postings = postings.read_postings_from_terminfo(&info, IndexRecordOption::Basic)?;
                rows -= in_both(postings, &gone.rows);
            }
        }
        Ok(rows)
    }
}

impl Census {
    fn take_off(&mut self, tokens: &[(Field, u64)]) {
        for (field, tokens) in tokens {
            *self.tokens.entry(*field).or_default() -= tokens;
        }
    }
}

/// Figures over several shelves, so that scores of all compare.
pub(super) struct Statistics<'a> {
    pub(super) shelves: &'a [Shelf],
    /// Terms that were looked up: one question asks for the same ones several times.
    pub(super) known: &'a Known,
}

/// In how many rows terms are.
pub(super) type Known = Mutex<HashMap<Term, u64>>;

impl Statistics<'_> {
    /// Rows that can be found.
    pub(super) fn rows(&self) -> u64 {
        self.shelves.iter().map(|s| s.census.rows).sum()
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Term, u64>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bm25StatisticsProvider for Statistics<'_> {
    fn total_num_tokens(&self, field: Field) -> tantivy::Result<u64> {
        Ok(self.shelves.iter().filter_map(|s| s.census.tokens.get(&field)).sum())
    }

    fn total_num_docs(&self) -> tantivy::Result<u64> {
        Ok(self.rows())
    }

    fn doc_freq(&self, term: &Term) -> tantivy::Result<u64> {
        if let Some(rows) = self.known().get(term) {
            return Ok(*rows);
        }
        let rows = self.shelves.iter().map(|s| s.doc_freq(term)).sum::<tantivy::Result<u64>>()?;
        self.known().insert(term.clone(), rows);
        Ok(rows)
    }
}

/// How many of `rows` are in `gone`, which is ascending.
fn in_both(mut rows: impl DocSet, mut gone: &[DocId]) -> u64 {
    let mut both = 0;
    while rows.doc() != TERMINATED {
        gone = &gone[gone.partition_point(|g| *g < rows.doc())..];
        match gone.first() {
            None => break,
            Some(next) if *next == rows.doc() => {
                both += 1;
                rows.advance();
            }
            Some(next) => {
                rows.seek(*next);
            }
        }
    }
    both
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ask, changes, doc, everything};
    use super::super::{Change, Doc, Found, Index, Order, Request};
    use crate::base::Seq;

    const ROWS: u64 = 400;
    const WORDS: &[&str] = &[
        "低保", "公示", "名单", "村干部", "举报", "危房", "改造", "水渠", "补贴", "发放", "宅基地", "审批", "会计", "账目",
        "第二十一条", "信访", "条例", "办理", "期限", "一事一议", "扶贫", "资金", "挪用", "招待", "公车", "私用", "收受", "红包",
    ];

    /// Numbers that look drawn and are the same every time.
    struct Draw(u64);

    impl Draw {
        fn below(&mut self, bound: usize) -> usize {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) as usize % bound
        }

        fn text(&mut self, words: usize) -> String {
            (0..words).map(|_| WORDS[self.below(WORDS.len())]).collect::<Vec<_>>().join("，")
        }
    }

    fn rows() -> Vec<Doc> {
        let mut draw = Draw(7);
        let row = |id| {
            let words = 3 + draw.below(40);
            let (title, body) = (draw.text(2), draw.text(words));
            let day = 20_180_101 + 10_000 * i32::try_from(draw.below(5)).unwrap();
            let boost = if draw.below(9) == 0 { 0.5 } else { 1.0 };
            Doc { day, boost, names: draw.text(1), number: format!("〔2020〕{id}号"), ..doc(id, &title, &body) }
        };
        (1..=ROWS).map(row).collect()
    }

    /// Sixty questions: what occurs, in one and several parts, in quotes, without something, and what does not.
    fn questions() -> Vec<Request> {
        let mut draw = Draw(11);
        let mut texts = Vec::new();
        for (n, word) in WORDS.iter().enumerate().take(10) {
            texts.push((*word).to_owned());
            texts.push([draw.text(1), draw.text(1), draw.text(1), draw.text(1)].join(" "));
            texts.push(format!("\"{}\" {} 2020年 -{}", draw.text(1), draw.text(1), draw.text(1)));
            texts.push(format!("{}的{}怎么会不见了", draw.text(1), draw.text(2)));
            texts.push(format!("\"{}\" \"{}\" {}龘", draw.text(1), draw.text(1), draw.text(2)));
            texts.push(format!("{}{}", draw.text(1).chars().next().unwrap(), n % 3));
        }
        let order = |n| if n % 7 == 0 { Order::Newest } else { Order::Relevance };
        texts.iter().enumerate().map(|(n, t)| Request { order: order(n), limit: 500, ..ask(t) }).collect()
    }

    /// An index that took up `batches`, one commit each.
    fn grown(batches: &[Vec<Change>], settled: bool) -> (tempfile::TempDir, Index) {
        let dir = tempfile::tempdir().unwrap();
        let (index, _) = Index::open(dir.path(), 1, &super::super::tests::keys()).unwrap();
        for (seq, batch) in (1..).zip(batches) {
            index.apply(batch.clone()).unwrap();
            index.commit(Seq(seq)).unwrap();
        }
        if settled {
            while index.settle().is_err() {
                std::thread::yield_now();
            }
        }
        (dir, index)
    }

    fn answers(index: &Index, fresh: &[Doc], hidden: &[u64]) -> Vec<Found> {
        let ask = |r: Request| index.search(&everything(), &Request { exclude: hidden.to_vec(), ..r }, fresh);
        questions().into_iter().map(|r| ask(r).unwrap()).collect()
    }

    /// A county's store was rebuilt and the same question had its hits in another order: rows that had been
    /// replaced still weighed, and so did the way the index was cut.
    #[test]
    fn how_the_index_grew_does_not_show() {
        let rows = rows();
        let mut draw = Draw(13);
        let mut shuffled = rows.clone();
        for at in (1..shuffled.len()).rev() {
            shuffled.swap(at, draw.below(at + 1));
        }
        let older: Vec<Doc> = rows.iter().map(|d| Doc { body: draw.text(60), ..d.clone() }).collect();
        let strangers: Vec<Doc> = (ROWS + 1..ROWS + 200).map(|id| doc(id, "低保", &draw.text(90))).collect();
        let removal = |d: &Doc| Change { id: d.id, doc: None };
        let batches = |rows: &[Doc], size| rows.chunks(size).map(changes).collect::<Vec<_>>();
        let reversed: Vec<Doc> = rows.iter().rev().cloned().collect();

        let (_dir, plain) = grown(&batches(&rows, 1000), false);
        let wanted = answers(&plain, &[], &[]);
        assert_eq!(wanted.len(), 60);
        assert!(wanted.iter().filter(|f| f.exact && f.total > 10).count() > 20);
        assert!(wanted.iter().filter(|f| !f.exact && f.total > 10).count() > 10);

        let updated = [batches(&older, 60), batches(&shuffled, 37)].concat();
        let gone = vec![strangers.iter().map(removal).collect()];
        let thinned = [batches(&strangers, 50), batches(&rows, 90), gone].concat();
        let ways = [
            ("in many commits", batches(&reversed, 29), false),
            ("shuffled", batches(&shuffled, 400), false),
            ("updated", updated.clone(), false),
            ("updated and merged", updated, true),
            ("with others that were removed", thinned, false),
        ];
        for (way, batches, settled) in ways {
            let (_dir, index) = grown(&batches, settled);
            for (n, (have, wanted)) in answers(&index, &[], &[]).iter().zip(&wanted).enumerate() {
                assert_eq!(have, wanted, "{way}: question {n}");
            }
        }
        let (_dir, behind) = grown(&[batches(&older, 150), batches(&strangers, 70)].concat(), false);
        let hidden: Vec<u64> = strangers.iter().map(|d| d.id).collect();
        assert_eq!(answers(&behind, &rows, &hidden), wanted, "not taken up yet");
    }
}

//! The search floor (检索): the only one that names tantivy.
//!
//! What must hold: a search finds every row that contains its text, the newest included; rows outside the
//! scope are neither found nor counted; the same rows give the same answer to the same question. The index
//! is a follower of the journal and can be thrown away. Reading hits again from the record store, authorising
//! them and writing the journal entry of the search is left to `app`.

mod analyzer;
mod asked;
mod correct;
mod directory;
mod fuzz;
mod gate;
mod gather;
mod golden;
mod indexer;
mod merging;
mod query;
mod schema;
mod sheet;
mod similar;
mod snippet;
mod sounds;
mod statistics;
mod step;
mod suggest;
mod words;

use std::collections::BTreeMap;
use std::sync::Arc;

use tantivy::query::{AllQuery, Query};

use crate::base::Result;

pub use analyzer::is_warm;
pub use asked::wanted_unit;
pub use indexer::Index;
pub use similar::{Alike, Like, Pieces};
pub use snippet::{Piece, highlight, looked_for, occurs_in, snippet};
pub use suggest::begun_name;
pub use words::{Words, shipped_words};

use gate::{Gate, Gated};
use gather::{Answer, Gather, Gathering, Matches, merge, rank};
use query::Plan;
use statistics::{Known, Shelf, Statistics};

/// Memory of the index writer before it writes a segment, in bytes.
pub const INDEX_WRITER_HEAP_BYTES: usize = 64 << 20;
/// Threads that make postings: an import keeps both cores of a small box busy with them.
pub(crate) const INDEX_WRITER_THREADS: usize = 2;
/// Bytes of a chunk of a file of the index: what is opened to read one byte of it. A short list of rows is in one.
pub(crate) const INDEX_CHUNK_BYTES: usize = 16 << 10;
/// Memory for opened pieces of the files of the index, in bytes: lists of rows, columns, lengths.
pub const INDEX_CACHE_BYTES: usize = 64 << 20;
/// The same for merges, which read everything once and in order.
pub const INDEX_MERGE_CACHE_BYTES: usize = 8 << 20;
/// Memory of the throw-away index of fresh rows, in bytes.
pub const FRESH_MEMORY_BYTES: usize = 16 << 20;
/// Longest search text that is looked at, in characters.
pub const QUERY_CHARS_MAX: usize = 512;
/// Most parts of a search text that are looked at.
pub const QUERY_PARTS_MAX: usize = 16;
/// Shortest text for which near answers are offered, in characters.
pub const NEAR_CHARS_MIN: usize = 3;
/// Longest text that can be a misspelt name or title, in characters; longer ones are questions.
pub const NAME_CHARS_MAX: usize = 16;
/// Most terms of a near query.
pub const NEAR_TERMS_MAX: usize = 160;
/// Postings a near query may always walk, in rows summed over its terms; in a larger index as many as it has
/// rows.
pub const NEAR_POSTINGS_MIN: u64 = 60_000;
/// Most postings a near query may walk however large the index is: this bounds its time.
pub const NEAR_POSTINGS_MAX: u64 = 300_000;
/// Most near answers, in rows: behind these nothing resembles the text.
pub const NEAR_HITS_MAX: usize = 200;
/// Deepest row a page can start at or reach, counted from the first.
pub const PAGE_DEPTH_MAX: usize = 10_000;

/// A row of the index: a record, or one article (条) of a regulation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Doc {
    /// The caller's number of the row; unique.
    pub id: u64,
    /// Kind of the row; scope and filters go by it.
    pub kind: u8,
    /// Unit the row belongs to.
    pub unit: u64,
    /// State in the flow of its kind.
    pub state: u8,
    /// Import batch it came in with; 0 when none.
    pub batch: u64,
    /// How far it may be known: the higher, the fewer may.
    pub label: u8,
    /// `yyyymmdd`; 0 when unknown.
    pub day: i32,
    /// Factor of the relevance, from 0 to 1: lower than 1 for regulations that are no longer in force.
    pub boost: f32,
    /// Register number, 文号, or an address like 《信访工作条例》第二十一条.
    pub number: String,
    /// The caller's own id, found by its exact value only.
    pub reference: String,
    /// Title.
    pub title: String,
    /// Names of persons and places.
    pub names: String,
    /// Text.
    pub body: String,
    /// What a petitioner is known by. Only a request for it looks here; nothing is offered, resembled or shown of it.
    pub identity: String,
    /// Text of its attachments.
    pub attached: String,
}

/// The new content of a row; `None` removes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The row.
    pub id: u64,
    /// What it is from now on.
    pub doc: Option<Doc>,
}

/// Units whose rows are visible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Units {
    /// Those of every unit.
    All,
    /// Those of the units listed.
    Only(Vec<u64>),
}

/// What a person may find: nothing, unless a kind is listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope(Vec<(u8, Units)>, u8);

/// The order of hits; equal ones by id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// Best match first.
    #[default]
    Relevance,
    /// Latest day first, unknown days last.
    Newest,
    /// Earliest day first, unknown days last.
    Oldest,
}

/// A question to the index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// What was typed; without text everything that passes the filters is listed, newest first.
    pub text: String,
    /// Look for the text where petitioners are named, and nowhere else. The scope is what the person may open of them.
    pub identity: bool,
    /// Only rows with a greater number, and nothing near; 0 for all.
    pub since: u64,
    /// Everyday words that stand for terms of law besides, or not, for near answers.
    pub words: Arc<Words>,
    /// Kinds wanted; empty for all.
    pub kinds: Vec<u8>,
    /// Units wanted; empty for all.
    pub units: Vec<u64>,
    /// Units that are called as [`wanted_unit`] says.
    pub named_units: Vec<u64>,
    /// Pairs of kind and state wanted; empty for all.
    pub states: Vec<(u8, u8)>,
    /// First day, `yyyymmdd`; 0 for no bound.
    pub from: i32,
    /// Last day, `yyyymmdd`; 0 for no bound.
    pub to: i32,
    /// Order of the hits.
    pub order: Order,
    /// Hits to skip.
    pub offset: usize,
    /// Hits wanted.
    pub limit: usize,
    /// Rows that changed since the index position: the index must not answer for them.
    pub exclude: Vec<u64>,
    /// Import batches whose rows cannot be seen.
    pub hidden: Vec<u64>,
    /// Newest batch the caller knows of: rows of later ones cannot be seen either.
    pub newest_batch: u64,
}

/// The answer to a [`Request`]. All counts are of rows within scope and filters.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// Rows that match.
    pub total: u64,
    /// False when no row contains the text and the nearest rows are given instead, at most [`NEAR_HITS_MAX`].
    pub exact: bool,
    /// The page that was asked for.
    pub hits: Vec<Hit>,
    /// Matches by kind, ascending.
    pub kinds: Vec<(u8, u64)>,
    /// Matches by unit, ascending.
    pub units: Vec<(u64, u64)>,
    /// Matches by kind and state, ascending.
    pub states: Vec<((u8, u8), u64)>,
    /// Matches by month (`yyyymm`, the month 0 where only the year is known), ascending; those of unknown days are
    /// in none.
    pub months: Vec<(u32, u64)>,
    /// Where the text is the name of a person: rows that name somebody who sounds or looks alike and that are not
    /// among the matches, best first; counted nowhere.
    pub alike: Vec<Hit>,
    /// Where no row contains the text: the text with one mistake put right that some row in scope contains.
    pub meant: Option<String>,
}

/// A row that was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit {
    /// The row.
    pub id: u64,
    /// Its kind.
    pub kind: u8,
    /// Its relevance; comparable within one answer only, never shown.
    pub score: f32,
}

impl Scope {
    /// A scope in which nothing is visible.
    pub fn nothing() -> Self {
        Self::default()
    }

    /// Makes rows of `kind` visible.
    #[must_use]
    pub fn with(mut self, kind: u8, units: Units) -> Self {
        self.0.push((kind, units));
        self
    }

    /// Rows with a label up to this one are visible; without it those with none.
    #[must_use]
    pub fn under(self, label: u8) -> Self {
        Self(self.0, label)
    }

    fn lanes(&self) -> &[(u8, Units)] {
        &self.0
    }
}

impl Index {
    /// Answers `request` for a person with `scope`. `fresh` are the rows the index does not have yet, or not
    /// in this version: they are asked the same question and take the place of older versions.
    ///
    /// # Errors
    /// `Io` or `Internal` when the index cannot be read; never because of the text.
    pub fn search(&self, scope: &Scope, request: &Request, fresh: &[Doc]) -> Result<Found> {
        let ask = self.ask(scope, request, fresh)?;
        let plan = Plan::new(&request.text);
        if request.identity {
            let Some(query) = plan.identities(&self.fields()) else { return Ok(Found::default()) };
            return Ok(ask.exact(query.as_ref(), request.order)?.found(request, true));
        }
        if plan.is_empty() {
            let order = if request.order == Order::Relevance { Order::Newest } else { request.order };
            let query = query::after(Box::new(AllQuery), &self.fields(), request.since);
            return Ok(ask.exact(query.as_ref(), order)?.found(request, true));
        }
        let fields = self.fields();
        let query = plan.strict(&fields, &request.named_units);
        if request.since > 0 {
            let query = query::after(query, &fields, request.since);
            return Ok(ask.exact(query.as_ref(), request.order)?.found(request, true));
        }
        let mut strict = ask.exact(query.as_ref(), request.order)?;
        let found = std::mem::take(&mut strict.matches);
        let named = plan.name().and_then(|n| suggest::alike(&fields, n, &ask.statistics()));
        let alike = named.map_or(Ok(Vec::new()), |q| ask.few(q.as_ref(), suggest::ALIKE_HITS_MAX, found))?;
        if strict.tally.total > 0 {
            return Ok(Found { alike, ..strict.found(request, true) });
        }
        let right = plan.correctable().map_or(Ok(Vec::new()), |c| correct::corrections(&ask, &fields, c))?;
        let meant = right.first().map(|(text, _)| text.clone());
        match plan.near(&fields, &ask.statistics(), (&request.named_units, &request.words)) {
            Some(near) => {
                let query = query::above(near, right.into_iter().map(|(_, query)| query));
                Ok(Found { alike, meant, ..ask.near(query.as_ref())?.found(request, false) })
            }
            None => Ok(Found { exact: true, alike, ..Found::default() }),
        }
    }

    /// The shelves and gates of a question.
    fn ask<'a>(&self, scope: &Scope, request: &'a Request, fresh: &[Doc]) -> Result<Ask<'a>> {
        let latest: BTreeMap<u64, &Doc> = fresh.iter().map(|d| (d.id, d)).collect();
        let gate = Gate::new(scope, request);
        let gates = [gate.hiding(latest.keys().copied()), gate.hiding_none()];
        let mut shelves = vec![self.shelf(gates[0].hidden())?];
        if !latest.is_empty() {
            shelves.push(indexer::beside(latest.into_values())?);
        }
        Ok(Ask { shelves, gates, request, known: Known::default() })
    }
}

/// A question on its way through the shelves: the index, and the fresh rows beside it.
struct Ask<'a> {
    shelves: Vec<Shelf>,
    gates: [Gate; 2],
    request: &'a Request,
    known: Known,
}

impl Ask<'_> {
    fn statistics(&self) -> Statistics<'_> {
        Statistics { shelves: &self.shelves, known: &self.known }
    }

    /// All matches counted, the first ones in `order` kept.
    fn exact(&self, query: &dyn Query, order: Order) -> Result<Answer> {
        let depth = self.request.offset.saturating_add(self.request.limit).min(PAGE_DEPTH_MAX);
        self.run(query, Gather { order, keep: depth, count: true })
    }

    /// The best rows, uncounted, without some.
    fn few(&self, query: &dyn Query, keep: usize, without: Matches) -> Result<Vec<Hit>> {
        let gather = Gather { order: Order::Relevance, keep, count: false };
        let best = self.run_without(query, gather, &Arc::new(without))?;
        Ok(best.rows.iter().map(|r| Hit { id: r.id, kind: r.kind, score: r.score }).collect())
    }

    /// The nearest rows are the whole answer: counted and put in order afterwards.
    fn near(&self, query: &dyn Query) -> Result<Answer> {
        let nearest =
            self.run(query, Gather { order: Order::Relevance, keep: NEAR_HITS_MAX, count: false })?;
        let mut answer = Answer::default();
        let mut rows = nearest.rows;
        for row in &mut rows {
            answer.tally.add(row);
            row.rank = rank(self.request.order, row.day, row.score);
        }
        rows.sort_unstable();
        answer.rows = rows;
        Ok(answer)
    }

    fn run(&self, query: &dyn Query, gather: Gather) -> Result<Answer> {
        self.run_without(query, gather, &Arc::default())
    }

    fn run_without(&self, query: &dyn Query, how: Gather, without: &Arc<Matches>) -> Result<Answer> {
        let statistics = self.statistics();
        let mut answers = Vec::new();
        for (shelf, gate) in self.shelves.iter().zip(&self.gates) {
            let sheets = shelf.sheets();
            let gated = Gated::new(query.box_clone(), gate.clone(), Arc::clone(sheets));
            let gathering = Gathering { how, sheets: Arc::clone(sheets), without: Arc::clone(without) };
            let answer = shelf.searcher().search_with_statistics_provider(&gated, &gathering, &statistics);
            answers.push(answer.map_err(indexer::failed)?);
        }
        Ok(merge(answers, how.keep))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Seq;

    pub(super) fn doc(id: u64, title: &str, body: &str) -> Doc {
        let (title, body) = (title.to_owned(), body.to_owned());
        Doc { id, kind: 1, unit: 7, state: 2, day: 20_200_600, boost: 1.0, title, body, ..Doc::default() }
    }

    pub(super) fn changes(docs: &[Doc]) -> Vec<Change> {
        docs.iter().map(|d| Change { id: d.id, doc: Some(d.clone()) }).collect()
    }

    /// The same keys for every index of these tests.
    pub(super) fn keys() -> crate::store::FileKeys {
        static KEYS: std::sync::OnceLock<crate::store::FileKeys> = std::sync::OnceLock::new();
        KEYS.get_or_init(|| crate::store::FileKeys::passing().unwrap()).clone()
    }

    pub(super) fn index(docs: &[Doc]) -> (tempfile::TempDir, Index) {
        let dir = tempfile::tempdir().unwrap();
        let (index, at) = Index::open(dir.path(), 1, &keys()).unwrap();
        assert_eq!(at, None);
        index.apply(changes(docs)).unwrap();
        index.commit(Seq(5)).unwrap();
        (dir, index)
    }

    pub(super) fn everything() -> Scope {
        (0..=9).fold(Scope::nothing(), |s, kind| s.with(kind, Units::All))
    }

    pub(super) fn ask(text: &str) -> Request {
        Request { text: text.to_owned(), limit: 20, ..Request::default() }
    }

    pub(super) fn ids(found: &Found) -> Vec<u64> {
        found.hits.iter().map(|h| h.id).collect()
    }

    #[test]
    fn what_is_out_of_scope_is_neither_found_nor_counted() {
        let other = Doc { kind: 2, unit: 8, ..doc(2, "另一件", "举报村干部") };
        let (_dir, index) = index(&[doc(1, "一件", "举报村干部"), other]);
        for (scope, expected) in [
            (Scope::nothing(), vec![]),
            (Scope::nothing().with(1, Units::All), vec![1]),
            (Scope::nothing().with(2, Units::Only(vec![7, 9])), vec![]),
            (Scope::nothing().with(2, Units::Only(vec![9, 8])), vec![2]),
            (Scope::nothing().with(2, Units::Only(vec![9])).with(2, Units::Only(vec![8])), vec![2]),
            (Scope::nothing().with(1, Units::All).with(2, Units::Only(vec![])), vec![1]),
            (everything(), vec![1, 2]),
        ] {
            for text in ["村干部", "", "举报村干布"] {
                let found = index.search(&scope, &ask(text), &[]).unwrap();
                assert_eq!(
                    (ids(&found), found.total),
                    (expected.clone(), expected.len() as u64),
                    "{text} {scope:?}"
                );
                assert_eq!(found.kinds.iter().map(|k| k.1).sum::<u64>(), found.total);
                assert_eq!(found.units.iter().map(|k| k.1).sum::<u64>(), found.total);
                assert_eq!(found.states.iter().map(|k| k.1).sum::<u64>(), found.total);
            }
        }
    }

    #[test]
    fn fresh_rows_are_found_and_replace_their_older_selves() {
        let old =
            [doc(1, "旧标题", "举报村干部"), doc(2, "一件", "举报村干部"), doc(3, "一件", "举报镇干部")];
        let (_dir, index) = index(&old);
        let fresh = [doc(1, "新标题", "无关"), doc(4, "一件", "举报村干部"), doc(4, "一件", "举报村干部")];
        let found = index.search(&everything(), &ask("村干部"), &fresh).unwrap();
        assert_eq!((ids(&found), found.total, found.exact), (vec![2, 4], 2, true));
        assert_eq!(found.states, [((1, 2), 2)]);
        let gone = Request { exclude: vec![2], ..ask("村干部") };
        assert_eq!(ids(&index.search(&everything(), &gone, &fresh).unwrap()), [4]);
        assert_eq!(ids(&index.search(&Scope::nothing(), &gone, &fresh).unwrap()), [0u64; 0]);
        assert_eq!(index.search(&everything(), &ask(""), &fresh).unwrap().total, 4);
        assert_eq!(ids(&index.search(&everything(), &ask("新标题"), &fresh).unwrap()), [1]);
    }

    #[test]
    fn rows_that_came_later_are_counted_alone_and_nothing_near() {
        let (_dir, index) = index(&[doc(1, "一件", "举报村干部"), doc(2, "又一件", "举报村干部"), doc(3, "三", "无关")]);
        let since = |text: &str, since: u64| {
            let request = Request { since, ..ask(text) };
            index.search(&everything(), &request, &[doc(7, "新来", "举报村干部")]).unwrap().total
        };
        assert_eq!([0, 1, 2, 6, 7].map(|n| since("村干部", n)), [3, 2, 1, 1, 0]);
        assert_eq!([0, 1, 3].map(|n| since("", n)), [4, 3, 1]);
        assert_eq!((since("举报村干布", 1), since("举报村干布", u64::MAX)), (0, 0));
    }

    #[test]
    fn petitioners_are_found_by_a_request_for_them_and_by_nothing_else() {
        let known = Doc { identity: "闻人渡舟\n13900001234".into(), ..doc(1, "来信", "举报村干部") };
        let (_dir, index) = index(&[known, doc(2, "闻人渡舟", "举报")]);
        let asked = |text: &str, scope: &Scope, fresh: &[Doc]| {
            let request = Request { identity: true, ..ask(text) };
            ids(&index.search(scope, &request, fresh).unwrap())
        };
        for text in ["闻人渡舟", "渡舟", "0001234", "闻人 1390", "渡舟 或 无此人"] {
            assert_eq!(asked(text, &everything(), &[]), [1], "{text}");
        }
        for text in ["", "举报", "来信", "闻人 举报", "渡州", "-举报"] {
            assert_eq!(asked(text, &everything(), &[]), [0u64; 0], "{text}");
        }
        assert_eq!(asked("渡舟", &Scope::nothing(), &[]), [0u64; 0]);
        let fresh = Doc { identity: "闻人渡舟".into(), ..doc(9, "新", "新") };
        let mut both = asked("闻人渡舟", &everything(), &[fresh]);
        both.sort_unstable();
        assert_eq!(both, [1, 9]);
        // Whatever else is asked is answered as if it were not there.
        let (_dir, without) = self::index(&[doc(1, "来信", "举报村干部"), doc(2, "闻人渡舟", "举报")]);
        for text in ["闻人渡舟", "13900001234", "wrdz", "渡舟", "来信"] {
            let both = [&index, &without].map(|i| i.search(&everything(), &ask(text), &[]).unwrap());
            assert_eq!(both[0], both[1], "{text}");
            let both = [&index, &without].map(|i| i.suggest(&everything(), &ask(text), &[]).unwrap());
            assert_eq!(both[0], both[1], "{text}");
        }
    }

    #[test]
    fn equal_rows_come_by_id_and_pages_join() {
        let docs: Vec<Doc> = (1..=50).rev().map(|id| doc(id, "一件", "举报村干部")).collect();
        let (_dir, index) = index(&docs);
        for order in [Order::Relevance, Order::Newest, Order::Oldest] {
            let mut seen = Vec::new();
            for offset in (0..60).step_by(7) {
                let page = Request { order, offset, limit: 7, ..ask("村干部") };
                let found = index.search(&everything(), &page, &[]).unwrap();
                assert_eq!(found.total, 50);
                seen.extend(ids(&found));
            }
            assert_eq!(seen, (1..=50).collect::<Vec<u64>>());
        }
    }

    #[test]
    fn what_contains_the_text_keeps_the_rest_away() {
        let article = Doc {
            number: "《信访工作条例》第二十一条".into(),
            ..doc(3, "信访工作条例第二十一条", "第二十一条 办理")
        };
        let other = doc(4, "信访工作条例第三十一条", "依照本条例第二十一条");
        let named = Doc { reference: "XF-0007".into(), ..doc(5, "无关", "无关") };
        let docs = [doc(1, "一件", "反映村干部"), doc(2, "一件", "反映镇干部和村"), article, other, named];
        let (_dir, index) = index(&docs);
        let found = |text: &str| ids(&index.search(&everything(), &ask(text), &[]).unwrap());
        assert_eq!(found("映村"), [1]);
        assert_eq!(found("反映 镇"), [2]);
        assert_eq!(found("反映 -镇"), [1]);
        assert_eq!(found("\"反映 镇干\""), [2]);
        for text in ["信访工作条例第21条", "信訪工作條例 第２１條", "《信访工作条例》21条"]
        {
            assert_eq!(found(text)[0], 3, "{text}");
        }
        assert_eq!(found("XF-0007"), [5]);
        let near = index.search(&everything(), &ask("反应村干部问题"), &[]).unwrap();
        assert_eq!((near.exact, near.hits[0].id), (false, 1));
        assert_eq!(found("村"), [1, 2]);
    }

    #[test]
    fn no_text_is_an_error() {
        let (_dir, index) = index(&[doc(1, "一件", "举报村干部")]);
        let long = "很长".repeat(5000);
        let deep = "(".repeat(3000);
        for text in [
            "\"",
            "\"\"",
            "-",
            "--",
            "- -",
            "AND OR NOT",
            "title:x^9",
            "*",
            "[a TO b]",
            "\u{0}\u{FFFF}",
            "\\",
            "-\"a",
            "\"-a\" -b",
            "零条之",
            "第条",
            "\u{200B}",
            "👩‍👩‍👧",
            "ﷺ",
            &long,
            &deep,
        ] {
            for order in [Order::Relevance, Order::Oldest] {
                let request = Request { order, offset: usize::MAX, limit: usize::MAX, ..ask(text) };
                index.search(&everything(), &request, &[doc(9, text, text)]).unwrap();
            }
        }
        assert_eq!(index.search(&everything(), &Request { limit: 0, ..ask("村干") }, &[]).unwrap().total, 1);
    }
}

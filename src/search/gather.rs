//! The one collector: the best rows in the order wanted, and counts of all.
//!
//! What must hold: equal rows come by id, so that the same question has the same answer however the index is
//! cut into segments. Which rows pass is `gate`'s business.

use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::sync::Arc;

use tantivy::collector::{Collector, SegmentCollector};
use tantivy::index::SegmentId;
use tantivy::{DocId, Score, SegmentOrdinal, SegmentReader};

use super::sheet::{Sheet, Sheets};
use super::{Found, Hit, Order, Request};

/// A match with what its counting and ordering need. Smaller is better: by rank, then by id.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) rank: u32,
    pub(super) id: u64,
    pub(super) kind: u8,
    pub(super) state: u8,
    pub(super) unit: u64,
    pub(super) day: u32,
    pub(super) score: f32,
}

/// The place of a row in an order: the smaller, the earlier.
pub(super) fn rank(order: Order, day: u32, score: f32) -> u32 {
    match order {
        // Scores are positive, and the bits of positive floats sort like the floats. The low bits are dropped: what
        // differs by less than one part in a hundred thousand is equal, and comes by id.
        Order::Relevance => !(score.max(0.0).to_bits() >> 6),
        Order::Newest => !day,
        Order::Oldest => day.wrapping_sub(1),
    }
}

impl PartialEq for Row {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Row {}

impl PartialOrd for Row {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Row {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.rank, self.id).cmp(&(other.rank, other.id))
    }
}

/// Counts of matches.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    pub(super) total: u64,
    pub(super) units: BTreeMap<u64, u64>,
    pub(super) states: BTreeMap<(u8, u8), u64>,
    /// By `yyyymm`; rows whose day nobody knows are left out.
    pub(super) months: BTreeMap<u32, u64>,
}

impl Tally {
    pub(super) fn add(&mut self, row: &Row) {
        self.total += 1;
        *self.units.entry(row.unit).or_default() += 1;
        *self.states.entry((row.kind, row.state)).or_default() += 1;
        if row.day > 0 {
            *self.months.entry(row.day / 100).or_default() += 1;
        }
    }

    fn join(&mut self, other: Self) {
        self.total += other.total;
        for (unit, n) in other.units {
            *self.units.entry(unit).or_default() += n;
        }
        for (state, n) in other.states {
            *self.states.entry(state).or_default() += n;
        }
        for (month, n) in other.months {
            *self.months.entry(month).or_default() += n;
        }
    }
}

/// What one pass over one or more segments brings: the best rows, sorted, and the counts.
#[derive(Clone, Debug, Default)]
pub(super) struct Answer {
    pub(super) rows: Vec<Row>,
    pub(super) tally: Tally,
    pub(super) matches: Matches,
}

/// Which rows match, by segment: a bit for each.
pub(super) type Matches = HashMap<SegmentId, Vec<u64>>;

impl Answer {
    pub(super) fn found(self, request: &Request, exact: bool) -> Found {
        let mut kinds: BTreeMap<u8, u64> = BTreeMap::new();
        for ((kind, _), n) in &self.tally.states {
            *kinds.entry(*kind).or_default() += n;
        }
        let page = self.rows.iter().skip(request.offset).take(request.limit);
        Found {
            total: self.tally.total,
            exact,
            hits: page.map(|r| Hit { id: r.id, kind: r.kind, score: r.score }).collect(),
            kinds: kinds.into_iter().collect(),
            units: self.tally.units.into_iter().collect(),
            states: self.tally.states.into_iter().collect(),
            months: self.tally.months.into_iter().collect(),
            ..Found::default()
        }
    }
}

pub(super) fn merge(answers: Vec<Answer>, keep: usize) -> Answer {
    let mut all = Answer::default();
    for answer in answers {
        all.rows.extend(answer.rows);
        all.tally.join(answer.tally);
        all.matches.extend(answer.matches);
    }
    all.rows.sort_unstable();
    all.rows.truncate(keep);
    all
}

/// What is gathered: the best `keep` rows in `order`, and counts of all and which they are if `count`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gather {
    pub(super) order: Order,
    pub(super) keep: usize,
    pub(super) count: bool,
}

/// The one collector, for the segments of these sheets.
pub(super) struct Gathering {
    pub(super) how: Gather,
    pub(super) sheets: Arc<Sheets>,
    /// Rows that are left out.
    pub(super) without: Arc<Matches>,
}

pub(super) struct SegmentGather {
    how: Gather,
    segment: SegmentId,
    sheets: Arc<Sheets>,
    sheet: Arc<Sheet>,
    without: Arc<Matches>,
    /// The worst row that is kept lies on top.
    best: BinaryHeap<Row>,
    /// Matches by the place of their class, and by that of their month.
    classes: Vec<u32>,
    months: Vec<u32>,
    matches: Vec<u64>,
}

impl Collector for Gathering {
    type Fruit = Answer;
    type Child = SegmentGather;

    fn for_segment(&self, _: SegmentOrdinal, reader: &SegmentReader) -> tantivy::Result<SegmentGather> {
        let (sheet, sheets) = (self.sheets.sheet(reader)?, Arc::clone(&self.sheets));
        let counted = |places: usize| if self.how.count { places } else { 0 };
        let room = |places: usize| vec![0; counted(places)];
        let (classes, months) = (room(sheets.classes().len()), room(sheets.months().len()));
        let words = reader.max_doc().div_ceil(u64::BITS) as usize;
        Ok(SegmentGather {
            how: self.how,
            segment: reader.segment_id(),
            sheets,
            sheet,
            without: Arc::clone(&self.without),
            best: BinaryHeap::new(),
            classes,
            months,
            matches: vec![0; counted(words)],
        })
    }

    fn requires_scoring(&self) -> bool {
        self.how.order == Order::Relevance
    }

    fn merge_fruits(&self, fruits: Vec<Answer>) -> tantivy::Result<Answer> {
        Ok(merge(fruits, self.how.keep))
    }
}

impl SegmentCollector for SegmentGather {
    type Fruit = Answer;

    fn collect(&mut self, doc: DocId, score: Score) {
        let (word, bit) = ((doc / u64::BITS) as usize, 1 << (doc % u64::BITS));
        if !self.without.is_empty() && self.without.get(&self.segment).is_some_and(|rows| rows[word] & bit != 0) {
            return;
        }
        let cell = self.sheet.cell(doc);
        if self.how.count {
            self.matches[word] |= bit;
            self.classes[cell.class as usize] += 1;
            self.months[cell.month as usize] += 1;
        }
        let score = score * cell.factor;
        let rank = rank(self.how.order, cell.day, score);
        let full = self.best.len() >= self.how.keep;
        if full && self.best.peek().is_none_or(|worst| worst.rank < rank) {
            return;
        }
        let class = self.sheets.classes()[cell.class as usize];
        let (kind, state, unit, id) = (class.kind, class.state, class.unit, self.sheet.id(doc));
        self.best.push(Row { rank, id, kind, state, unit, day: cell.day, score });
        if full {
            self.best.pop();
        }
    }

    fn harvest(self) -> Answer {
        let mut tally = Tally::default();
        for (class, n) in self.sheets.classes().iter().zip(&self.classes).filter(|(_, n)| **n > 0) {
            let n = u64::from(*n);
            tally.total += n;
            *tally.units.entry(class.unit).or_default() += n;
            *tally.states.entry((class.kind, class.state)).or_default() += n;
        }
        for (month, n) in self.sheets.months().iter().zip(&self.months).filter(|(m, n)| **m > 0 && **n > 0) {
            *tally.months.entry(*month).or_default() += u64::from(*n);
        }
        let matches = if self.how.count { HashMap::from([(self.segment, self.matches)]) } else { HashMap::new() };
        Answer { rows: self.best.into_sorted_vec(), tally, matches }
    }
}

//! The one collector: the best rows in the order wanted, and counts of all.
//!
//! What must hold: equal rows come by id, so that the same question has the same answer however the index is
//! cut into segments. Which rows pass is `gate`'s business.

use std::collections::{BTreeMap, BinaryHeap};

use tantivy::collector::{Collector, SegmentCollector};
use tantivy::{DocId, Score, SegmentOrdinal, SegmentReader};

use super::schema::Columns;
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
pub(super) fn rank(order: Order, row: &Row) -> u32 {
    match order {
        // Scores are positive, and the bits of positive floats sort like the floats. The low bits are dropped: what
        // differs by less than one part in a hundred thousand is equal, and comes by id.
        Order::Relevance => !(row.score.max(0.0).to_bits() >> 6),
        Order::Newest => !row.day,
        Order::Oldest => row.day.wrapping_sub(1),
    }
}

/// A mild preference for what is newer: of two versions of a text that match alike, the later one.
fn recency(day: u32) -> f32 {
    const FIRST: f32 = 1950.0;
    const SPAN: f32 = 100.0;
    const MOST: f32 = 0.02;
    let year = day as f32 / 10_000.0;
    1.0 + MOST * ((year - FIRST) / SPAN).clamp(0.0, 1.0)
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
}

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
    }
    all.rows.sort_unstable();
    all.rows.truncate(keep);
    all
}

/// The one collector: the best `keep` rows in `order`, and counts of all if `count`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gather {
    pub(super) order: Order,
    pub(super) keep: usize,
    pub(super) count: bool,
}

pub(super) struct SegmentGather {
    how: Gather,
    columns: Columns,
    /// The worst row that is kept lies on top.
    best: BinaryHeap<Row>,
    tally: Tally,
}

impl Collector for Gather {
    type Fruit = Answer;
    type Child = SegmentGather;

    fn for_segment(&self, _: SegmentOrdinal, reader: &SegmentReader) -> tantivy::Result<SegmentGather> {
        let columns = Columns::open(reader)?;
        Ok(SegmentGather { how: *self, columns, best: BinaryHeap::new(), tally: Tally::default() })
    }

    fn requires_scoring(&self) -> bool {
        self.order == Order::Relevance
    }

    fn merge_fruits(&self, fruits: Vec<Answer>) -> tantivy::Result<Answer> {
        Ok(merge(fruits, self.keep))
    }
}

impl SegmentCollector for SegmentGather {
    type Fruit = Answer;

    fn collect(&mut self, doc: DocId, score: Score) {
        let c = &self.columns;
        let (kind, state, unit, day) = (c.kind(doc), c.state(doc), c.unit(doc), c.day(doc));
        let score = score * c.boost(doc).clamp(0.0, 1.0) * recency(day);
        let mut row = Row { rank: 0, id: 0, kind, state, unit, day, score };
        row.rank = rank(self.how.order, &row);
        if self.how.count {
            self.tally.add(&row);
        }
        let full = self.best.len() >= self.how.keep;
        if full && self.best.peek().is_none_or(|worst| worst.rank < row.rank) {
            return;
        }
        row.id = c.id(doc);
        self.best.push(row);
        if full {
            self.best.pop();
        }
    }

    fn harvest(self) -> Answer {
        Answer { rows: self.best.into_sorted_vec(), tally: self.tally }
    }
}

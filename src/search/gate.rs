//! The gate of rights, through which every query passes.
//!
//! What must hold: the gate is part of the query, so that what a person may not see is neither counted nor
//! ranked. What the person may see is told by the caller.

use std::collections::BTreeMap;
use std::sync::Arc;

use tantivy::query::{EnableScoring, Explanation, Query, Scorer, Weight};
use tantivy::{DocId, DocSet, Score, SegmentReader, TERMINATED};

use super::sheet::{Class, Sheet, Sheets};
use super::{Request, Scope, Units};

/// Who may see what, and what was asked for besides the text. Decided once for all rows of a class.
#[derive(Clone, Debug)]
pub(super) struct Gate {
    /// By kind; a kind that is absent lets nothing through.
    kinds: BTreeMap<u8, Lane>,
    units: Vec<u64>,
    from: u32,
    to: u32,
    hidden: Vec<u64>,
    /// Batches whose rows are hidden, ascending, and the newest that is known.
    batches: (Vec<u64>, u64),
    /// The highest label that passes.
    ceiling: u8,
}

/// What passes of one kind.
#[derive(Clone, Debug)]
struct Lane {
    /// Units whose rows are visible, ascending; `None` for all.
    units: Option<Vec<u64>>,
    /// States wanted; `None` for all.
    states: Option<Vec<u8>>,
}

impl Lane {
    /// Lets the rows of `units` pass as well.
    fn widen(&mut self, units: &Units) {
        self.units = match (self.units.take(), units) {
            (Some(have), Units::Only(more)) => Some(sorted([have.as_slice(), more].concat())),
            _ => None,
        };
    }
}

impl Gate {
    /// The gate for `scope` and the filters of `request`.
    pub(super) fn new(scope: &Scope, request: &Request) -> Self {
        let mut kinds: BTreeMap<u8, Lane> = BTreeMap::new();
        let wanted = |kind: &u8| request.kinds.is_empty() || request.kinds.contains(kind);
        for (kind, units) in scope.lanes().iter().filter(|l| wanted(&l.0)) {
            let of_kind = || request.states.iter().filter(|s| s.0 == *kind).map(|s| s.1).collect();
            let states = (!request.states.is_empty()).then(of_kind);
            kinds.entry(*kind).or_insert(Lane { units: Some(Vec::new()), states }).widen(units);
        }
        let day = |day: i32| u32::try_from(day).unwrap_or(0);
        let (from, to) = (day(request.from), day(request.to));
        let batches = (sorted(request.hidden.clone()), request.newest_batch);
        let (units, hidden) = (request.units.clone(), sorted(request.exclude.clone()));
        Self { kinds, units, from, to, hidden, batches, ceiling: scope.1 }
    }

    /// The same gate that also hides `ids`.
    pub(super) fn hiding(&self, ids: impl Iterator<Item = u64>) -> Self {
        let mut gate = self.clone();
        gate.hidden.extend(ids);
        gate.hidden = sorted(gate.hidden);
        gate
    }

    /// The same gate that hides no ids: for rows that are newer than the index.
    pub(super) fn hiding_none(&self) -> Self {
        Self { hidden: Vec::new(), ..self.clone() }
    }

    /// The ids that are hidden, ascending.
    pub(super) fn hidden(&self) -> &[u64] {
        &self.hidden
    }

    /// Decides for every class of `sheets`.
    fn decide(&self, sheets: &Sheets) -> Vec<bool> {
        sheets.classes().iter().map(|class| self.lets_class(class)).collect()
    }

    fn lets_class(&self, class: &Class) -> bool {
        let Some(lane) = self.kinds.get(&class.kind) else { return false };
        lane.units.as_ref().is_none_or(|only| only.binary_search(&class.unit).is_ok())
            && (self.units.is_empty() || self.units.contains(&class.unit))
            && class.label <= self.ceiling
            && lane.states.as_ref().is_none_or(|only| only.contains(&class.state))
            && self.lets_batch(class.batch)
    }

    fn lets_batch(&self, batch: u64) -> bool {
        let (hidden, newest) = &self.batches;
        batch == 0 || (batch <= *newest && hidden.binary_search(&batch).is_err())
    }

    fn lets_day(&self, day: u32) -> bool {
        (self.from == 0 || day >= self.from) && (self.to == 0 || (day != 0 && day <= self.to))
    }
}

fn sorted(mut ids: Vec<u64>) -> Vec<u64> {
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// A query whose matches have passed the gate.
#[derive(Clone, Debug)]
pub(super) struct Gated {
    inner: Arc<dyn Query>,
    gate: Arc<Decided>,
}

/// A gate that has decided for the classes of these sheets.
#[derive(Debug)]
struct Decided {
    gate: Gate,
    classes: Vec<bool>,
    sheets: Arc<Sheets>,
}

impl Gated {
    /// Puts `gate` before `inner`, which is asked of the segments of `sheets`.
    pub(super) fn new(inner: Box<dyn Query>, gate: Gate, sheets: Arc<Sheets>) -> Self {
        let classes = gate.decide(&sheets);
        Self { inner: Arc::from(inner), gate: Arc::new(Decided { gate, classes, sheets }) }
    }
}

impl Query for Gated {
    fn weight(&self, scoring: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        Ok(Box::new(GatedWeight { inner: self.inner.weight(scoring)?, gate: Arc::clone(&self.gate) }))
    }
}

struct GatedWeight {
    inner: Box<dyn Weight>,
    gate: Arc<Decided>,
}

impl GatedWeight {
    fn pass(&self, reader: &SegmentReader) -> tantivy::Result<Pass> {
        Ok(Pass { sheet: self.gate.sheets.sheet(reader)?, gate: Arc::clone(&self.gate) })
    }
}

impl Weight for GatedWeight {
    fn scorer(&self, reader: &SegmentReader, boost: Score) -> tantivy::Result<Box<dyn Scorer>> {
        let inner = self.inner.scorer(reader, boost)?;
        let mut gated = GatedScorer { inner, pass: self.pass(reader)? };
        gated.go_on();
        Ok(Box::new(gated))
    }

    // The engine's own loops are quicker than one over a scorer that it does not know.
    fn for_each(&self, reader: &SegmentReader, callback: &mut dyn FnMut(DocId, Score)) -> tantivy::Result<()> {
        let pass = self.pass(reader)?;
        self.inner.for_each(reader, &mut |doc, score| {
            if pass.lets(doc) {
                callback(doc, score);
            }
        })
    }

    fn for_each_no_score(
        &self,
        reader: &SegmentReader,
        callback: &mut dyn FnMut(&[DocId]),
    ) -> tantivy::Result<()> {
        let pass = self.pass(reader)?;
        let mut passed = Vec::new();
        self.inner.for_each_no_score(reader, &mut |docs| {
            passed.clear();
            passed.extend(docs.iter().copied().filter(|doc| pass.lets(*doc)));
            callback(&passed);
        })
    }

    fn explain(&self, reader: &SegmentReader, doc: DocId) -> tantivy::Result<Explanation> {
        self.inner.explain(reader, doc)
    }
}

/// The gate before one segment.
struct Pass {
    sheet: Arc<Sheet>,
    gate: Arc<Decided>,
}

impl Pass {
    fn lets(&self, doc: DocId) -> bool {
        let cell = self.sheet.cell(doc);
        let gate = &self.gate.gate;
        self.gate.classes[cell.class as usize]
            && gate.lets_day(cell.day)
            && (gate.hidden.is_empty() || gate.hidden.binary_search(&self.sheet.id(doc)).is_err())
    }
}

struct GatedScorer {
    inner: Box<dyn Scorer>,
    pass: Pass,
}

impl GatedScorer {
    /// Moves on to the next row the gate lets through, the present one included.
    fn go_on(&mut self) -> DocId {
        let mut doc = self.inner.doc();
        while doc != TERMINATED && !self.pass.lets(doc) {
            doc = self.inner.advance();
        }
        doc
    }
}

impl DocSet for GatedScorer {
    fn advance(&mut self) -> DocId {
        self.inner.advance();
        self.go_on()
    }

    fn seek(&mut self, target: DocId) -> DocId {
        self.inner.seek(target);
        self.go_on()
    }

    fn doc(&self) -> DocId {
        self.inner.doc()
    }

    fn size_hint(&self) -> u32 {
        self.inner.size_hint()
    }
}

impl Scorer for GatedScorer {
    fn score(&mut self) -> Score {
        self.inner.score()
    }
}

//! Scores in whole steps, so that their sum is the same in whatever order it is taken.
//!
//! What must hold: an intersection adds the scores of its members from the rarest to the commonest of each
//! segment; floats that were not cut to steps would make the sum depend on how the index is cut into segments.
//! Unions add in the order of the query and need no steps.

use std::sync::Arc;

use tantivy::query::{EmptyScorer, EnableScoring, Explanation, Query, Scorer, Weight};
use tantivy::{DocId, DocSet, Score, SegmentReader, Term};

/// Steps in 1. Sums stay exact up to 2²⁴ steps, a score of 65,536; the highest weight is 1,000.
const STEPS: Score = 256.0;

/// A query whose scores are whole steps.
#[derive(Clone, Debug)]
pub(super) struct Stepped(Arc<dyn Query>);

impl Stepped {
    /// Cuts the scores of `inner` to steps.
    pub(super) fn new(inner: Box<dyn Query>) -> Self {
        Self(Arc::from(inner))
    }
}

impl Query for Stepped {
    fn weight(&self, scoring: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        let scored = scoring.is_scoring_enabled();
        let inner = self.0.weight(scoring)?;
        Ok(if scored { Box::new(SteppedWeight(inner)) } else { inner })
    }

    fn query_terms<'a>(&'a self, visitor: &mut dyn FnMut(&'a Term, bool)) {
        self.0.query_terms(visitor);
    }
}

struct SteppedWeight(Box<dyn Weight>);

impl Weight for SteppedWeight {
    fn scorer(&self, reader: &SegmentReader, boost: Score) -> tantivy::Result<Box<dyn Scorer>> {
        let inner = self.0.scorer(reader, boost)?;
        // Intersections look out for empty members.
        Ok(if inner.is::<EmptyScorer>() { inner } else { Box::new(SteppedScorer(inner)) })
    }

    fn explain(&self, reader: &SegmentReader, doc: DocId) -> tantivy::Result<Explanation> {
        self.0.explain(reader, doc)
    }
}

struct SteppedScorer(Box<dyn Scorer>);

impl DocSet for SteppedScorer {
    fn advance(&mut self) -> DocId {
        self.0.advance()
    }

    fn seek(&mut self, target: DocId) -> DocId {
        self.0.seek(target)
    }

    fn doc(&self) -> DocId {
        self.0.doc()
    }

    fn size_hint(&self) -> u32 {
        self.0.size_hint()
    }

    fn cost(&self) -> u64 {
        self.0.cost()
    }
}

impl Scorer for SteppedScorer {
    fn score(&mut self) -> Score {
        (self.0.score() * STEPS).round() / STEPS
    }
}

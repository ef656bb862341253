//! Which segments become one.
//!
//! What must hold: every term of a question is looked up in every segment, so there are few of them however the index
//! grew; a row is written again only when what it lies with has grown several times over, so that keeping them few
//! costs less than making them. Removed rows go when their segment is merged.

use tantivy::SegmentMeta;
use tantivy::index::SegmentId;
use tantivy::merge_policy::{MergeCandidate, MergePolicy};

/// Fewer segments than these are not worth a merge.
const TOGETHER: usize = 4;
/// A segment is written again along with smaller ones when it has no more than so many times their rows.
const GROWTH: u64 = 2;
/// Rows that cost nothing to write again.
const SMALL: u64 = 100;

/// Keeps segments few.
#[derive(Clone, Debug)]
pub(super) struct Few;

impl MergePolicy for Few {
    fn compute_merge_candidates(&self, segments: &[SegmentMeta]) -> Vec<MergeCandidate> {
        let mut sizes: Vec<(u64, SegmentId)> =
            segments.iter().map(|s| (u64::from(s.num_docs()), s.id())).collect();
        sizes.sort_unstable();
        let joined = joined(sizes.iter().map(|s| s.0));
        let ids: Vec<SegmentId> = sizes.into_iter().take(joined).map(|s| s.1).collect();
        if ids.is_empty() { Vec::new() } else { vec![MergeCandidate(ids)] }
    }
}

/// How many of the segments become one, those with the fewest rows; `sizes` are ascending.
fn joined(sizes: impl Iterator<Item = u64>) -> usize {
    let (mut joined, mut smaller) = (0, 0);
    for (at, size) in sizes.enumerate() {
        if at + 1 >= TOGETHER && size <= GROWTH * smaller.max(SMALL) {
            joined = at + 1;
        }
        smaller += size;
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Adds segments of these sizes one by one; the most there were at once, and the rows written in all.
    fn grown(sizes: impl Iterator<Item = u64>) -> (usize, u64) {
        let (mut have, mut most, mut written) = (Vec::new(), 0, 0);
        for size in sizes {
            have.push(size);
            have.sort_unstable();
            let joined = joined(have.iter().copied());
            if joined > 0 {
                let sum: u64 = have.drain(..joined).sum();
                written += sum;
                have.push(sum);
                have.sort_unstable();
            }
            most = most.max(have.len());
        }
        (most, written)
    }

    #[test]
    fn segments_stay_few_and_rows_are_written_again_a_few_times() {
        for (rows, count) in [(10_000, 50_u64), (5, 40_000), (300, 2_000)] {
            let (most, written) = grown((0..count).map(|_| rows));
            assert!(most <= 10, "{most} segments of {rows}");
            assert!(written <= 16 * rows * count, "{written} rows written for {}", rows * count);
        }
        // One large load, then days of single rows.
        let (most, written) = grown(std::iter::once(500_000).chain((0..20_000).map(|n| 1 + n % 3)));
        assert!(most <= 10 && written < 1_000_000, "{most} {written}");
    }

    #[test]
    fn nothing_is_merged_for_nothing() {
        assert_eq!(joined([].into_iter()), 0);
        assert_eq!(joined([5, 10, 20].into_iter()), 0);
        assert_eq!(joined([10, 10, 10, 500_000].into_iter()), 0);
        assert_eq!(joined([10, 10, 10, 10, 500_000].into_iter()), 4);
        assert_eq!(joined([200_000, 200_000, 200_000, 500_000].into_iter()), 4);
    }
}

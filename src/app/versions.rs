//! Two versions of a regulation side by side: which article became which, and what changed in it. Pure.
//!
//! What must hold: every article of both stands in exactly one row; rows follow the newer version, and what was taken
//! out stands where it stood; the work is bounded however long the texts are.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use similar::{Algorithm, DiffOp, capture_diff_slices};

use crate::search::Pieces;

/// Least share of pieces in common, in hundredths of both, for two articles to be one.
const ALIKE: usize = 25;
/// A piece that more articles have tells nothing.
const TELLING: usize = 12;
/// Articles that one may have become, at the most.
const CHOICES: usize = 8;
/// Longer texts are compared sentence by sentence.
const BY_CHARACTER: usize = 600;
/// Longer texts are cut.
const SHOWN_CHARS: usize = 8_000;

/// A row of the comparison: places in the older and in the newer version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// In the older one; `None` for what is new.
    pub old: Option<usize>,
    /// In the newer one; `None` for what was taken out.
    pub new: Option<usize>,
}

/// A text in pieces, and which of them the other version does not have.
pub type Marked = Vec<(bool, String)>;

/// Which article of the older version became which of the newer one.
pub fn align(old: &[&str], new: &[&str]) -> Vec<Row> {
    let olds: Vec<Pieces> = old.iter().map(|t| Pieces::of(t)).collect();
    let mut holders: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    for (at, pieces) in olds.iter().enumerate() {
        pieces.iter().for_each(|piece| holders.entry(piece).or_default().push(at));
    }
    let mut choices = Vec::new();
    for (at, text) in new.iter().enumerate() {
        let pieces = Pieces::of(text);
        let mut shared: BTreeMap<usize, usize> = BTreeMap::new();
        for piece in pieces.iter() {
            let of = holders.get(&piece).filter(|of| of.len() <= TELLING);
            of.into_iter().flatten().for_each(|old| *shared.entry(*old).or_default() += 1);
        }
        let score = |(old, n): (usize, usize)| {
            let score = (200 * n).checked_div(pieces.count() + olds[old].count()).unwrap_or(0);
            // What is equally like is what stands nearest.
            (Reverse(score), old.abs_diff(at), old, at)
        };
        let mut best: Vec<_> = shared.into_iter().map(score).filter(|c| c.0.0 >= ALIKE).collect();
        best.sort_unstable();
        choices.extend(best.into_iter().take(CHOICES));
    }
    choices.sort_unstable();
    let (mut became, mut came) = (vec![None; old.len()], vec![None; new.len()]);
    for (_, _, old, new) in choices {
        if became[old].is_none() && came[new].is_none() {
            (became[old], came[new]) = (Some(new), Some(old));
        }
    }
    rows(&became, &came)
}

/// The rows in the order of the newer version; what was taken out behind what stood before it.
fn rows(became: &[Option<usize>], came: &[Option<usize>]) -> Vec<Row> {
    let gone = |from: usize| {
        let gone = (from..became.len()).take_while(|at| became[*at].is_none());
        gone.map(|at| Row { old: Some(at), new: None })
    };
    let mut rows: Vec<Row> = gone(0).collect();
    for (new, old) in came.iter().enumerate() {
        rows.push(Row { old: *old, new: Some(new) });
        rows.extend(old.iter().flat_map(|old| gone(old + 1)));
    }
    rows
}

/// What changed from one text to the other: both, with what the other one does not have marked.
pub fn changes(old: &str, new: &str) -> (Marked, Marked) {
    let (olds, news) = (tokens(old), tokens(new));
    let ops = capture_diff_slices(Algorithm::Myers, &olds, &news);
    let (mut left, mut right) = (Vec::new(), Vec::new());
    for (at, op) in ops.iter().enumerate() {
        let (old, new) = (op.old_range(), op.new_range());
        let inside = at > 0 && at + 1 < ops.len();
        // A single character that happens to be the same between two changes only makes the eye stumble.
        let same = matches!(op, DiffOp::Equal { .. }) && !(inside && olds[old.clone()].concat().chars().count() < 2);
        add(&mut left, !same, &olds[old]);
        add(&mut right, !same, &news[new]);
    }
    (left, right)
}

fn add(to: &mut Marked, changed: bool, tokens: &[&str]) {
    match to.last_mut().filter(|(last, _)| *last == changed) {
        Some((_, text)) => text.push_str(&tokens.concat()),
        None if tokens.is_empty() => {}
        None => to.push((changed, tokens.concat())),
    }
}

/// Characters, or sentences where there are many.
fn tokens(text: &str) -> Vec<&str> {
    let end = text.char_indices().nth(SHOWN_CHARS).map_or(text.len(), |(at, _)| at);
    let text = &text[..end];
    if text.chars().count() > BY_CHARACTER {
        return text.split_inclusive(['。', '；', '\n']).collect();
    }
    text.char_indices().map(|(at, c)| &text[at..at + c.len_utf8()]).collect()
}

/// The text is longer than what is shown of it.
pub fn is_cut(text: &str) -> bool {
    text.chars().nth(SHOWN_CHARS).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: [&str; 4] = [
        "第一条 为了样例地做好来信来访登记工作，制定本规程。",
        "第二条 来信应当在五个工作日内登记，并告知来信人。",
        "第三条 样例印章由专人保管，不得外借或者带出。",
        "第四条 本规程自印发之日起施行，由办公室解释。",
    ];

    #[test]
    fn articles_are_aligned_by_what_they_say_whatever_their_number() {
        let new = [
            "第一条 为了样例地做好来信来访登记工作，根据上级规定，制定本规程。",
            "第二条 登记人员回避办法另行制定，报请批准后执行。",
            "第三条 来信应当在三个工作日内登记，并告知来信人。",
            "第四条 本规程自印发之日起施行，由信访室解释。",
        ];
        let row = |old, new| Row { old, new };
        let expected = [
            row(Some(0), Some(0)),
            row(None, Some(1)),
            row(Some(1), Some(2)),
            row(Some(2), None),
            row(Some(3), Some(3)),
        ];
        assert_eq!(align(&OLD, &new), expected);
        assert_eq!(align(&OLD, &OLD), (0..4).map(|n| row(Some(n), Some(n))).collect::<Vec<_>>());
        assert_eq!(align(&OLD[..1], &[]), [row(Some(0), None)]);
        assert_eq!(align(&[], &OLD[..1]), [row(None, Some(0))]);
        // Moved to the front: each still once.
        let moved = [OLD[3], OLD[0], OLD[1]];
        let rows = align(&OLD, &moved);
        assert_eq!(rows.iter().filter_map(|r| r.old).collect::<std::collections::BTreeSet<_>>().len(), 4);
        assert_eq!(rows.iter().filter_map(|r| r.new).collect::<Vec<_>>(), [0, 1, 2]);
    }

    #[test]
    fn changed_words_are_marked_on_both_sides() {
        let mark = |text: &Marked| text.iter().map(|(m, t)| if *m { format!("[{t}]") } else { t.clone() }).collect();
        let (old, new) = changes("应当在五个工作日内登记", "应当在三个工作日内登记并告知");
        let (old, new): (String, String) = (mark(&old), mark(&new));
        assert_eq!((old.as_str(), new.as_str()), ("应当在[五]个工作日内登记", "应当在[三]个工作日内登记[并告知]"));
        for (one, other) in [("", ""), ("甲", ""), ("", "乙"), ("甲\n乙", "甲乙")] {
            let (old, new) = changes(one, other);
            let plain = |m: Marked| m.into_iter().map(|(_, t)| t).collect::<String>();
            assert_eq!((plain(old).as_str(), plain(new).as_str()), (one, other));
        }
        let long = "样例条文的一句话。".repeat(20_000);
        let (old, _) = changes(&long, &long[..long.len() / 2]);
        assert!(is_cut(&long) && old.iter().map(|(_, t)| t.chars().count()).sum::<usize>() <= SHOWN_CHARS);
    }
}

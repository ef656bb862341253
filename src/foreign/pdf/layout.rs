//! From runs of text at places to lines, and from lines to paragraphs.
//!
//! What must hold: a line that the width of the page broke goes on in the next one; a paragraph begins where a line is
//! indented, where the one before ended early, where there is more room between them, or where an article or item
//! begins behind a full stop. Page numbers and what stands on every page are left out.

use std::collections::HashMap;

use crate::foreign::statute;

/// A line that ends this many characters before the margin ended early.
const EARLY: f64 = 2.2;
/// A line that begins this many characters behind the margin is indented.
const INDENTED: f64 = 1.2;
/// So much more room than usual between two lines is a new paragraph.
const ROOM: f64 = 1.4;
/// Lines further apart than this many characters are no lines of one paragraph.
const WIDEST: f64 = 2.7;
/// Pages on which a line must stand to be a header or footer.
const REPEATED: usize = 3;

/// A piece of text and where it begins, in points from the lower left.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) size: f64,
    pub(super) text: String,
}

/// A line of a page.
#[derive(Clone, Debug)]
pub(super) struct Line {
    x: f64,
    y: f64,
    end: f64,
    size: f64,
    text: String,
}

/// The lines of a page from top to bottom, each from left to right.
pub(super) fn lines(mut runs: Vec<Run>) -> Vec<Line> {
    runs.retain(|r| [r.x, r.y, r.width, r.size].iter().all(|n| n.is_finite()) && r.size > 0.0);
    runs.sort_by(|a, b| b.y.total_cmp(&a.y));
    let mut groups: Vec<Vec<Run>> = Vec::new();
    for run in runs {
        match groups.last_mut().filter(|g| g[0].y - run.y < 0.5 * g[0].size.max(run.size)) {
            Some(group) => group.push(run),
            None => groups.push(vec![run]),
        }
    }
    groups.into_iter().map(line).filter(|l| !l.text.trim().is_empty()).collect()
}

fn line(mut runs: Vec<Run>) -> Line {
    runs.sort_by(|a, b| a.x.total_cmp(&b.x));
    let mut line = Line { x: f64::MAX, y: runs[0].y, end: f64::MIN, size: 0.0, text: String::new() };
    for run in &runs {
        let gap = run.x - line.end;
        let latin = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        let words = latin(line.text.chars().last()) && latin(run.text.chars().next());
        if !line.text.is_empty() && (gap > 0.8 * run.size || words && gap > 0.2 * run.size) {
            line.text.push(' ');
        }
        line.text += &run.text;
        if !run.text.trim().is_empty() {
            let lead = run.text.len() - run.text.trim_start().len();
            let share = run.text[..lead].chars().count() as f64 / run.text.chars().count() as f64;
            line.x = line.x.min(run.x + share * run.width);
            line.end = line.end.max(run.x + run.width);
            line.size = line.size.max(run.size);
        }
    }
    line.text = line.text.trim().to_owned();
    line
}

/// The paragraphs of all pages.
pub(super) fn paragraphs(mut pages: Vec<Vec<Line>>) -> Vec<String> {
    let repeated = repeated(&pages);
    for page in &mut pages {
        for from_end in [false, true] {
            while let Some(line) = if from_end { page.last() } else { page.first() } {
                if !is_page_number(&line.text) && !repeated.contains(&key(&line.text)) {
                    break;
                }
                if from_end { page.truncate(page.len() - 1) } else { drop(page.remove(0)) }
            }
        }
    }
    let mut paragraphs: Vec<String> = Vec::new();
    let mut before: Option<(Line, Margins)> = None;
    pages.retain(|p| !p.is_empty());
    let usual = Margins::usual(&pages);
    for page in &pages {
        let margins = Margins::of(page).within(usual);
        for (n, line) in page.iter().enumerate() {
            let goes_on = before.as_ref().is_some_and(|(last, m)| continues(last, m, line, &margins, n == 0));
            match paragraphs.last_mut().filter(|_| goes_on) {
                Some(paragraph) => join(paragraph, &line.text),
                None => paragraphs.push(line.text.clone()),
            }
            before = Some((line.clone(), margins));
        }
    }
    paragraphs
}

/// Where the text of a page begins and ends, and how far its lines are apart.
#[derive(Clone, Copy)]
struct Margins {
    left: f64,
    right: f64,
    step: f64,
}

impl Margins {
    fn of(page: &[Line]) -> Self {
        let left = page.iter().map(|l| l.x).fold(f64::MAX, f64::min);
        let right = page.iter().map(|l| l.end).fold(f64::MIN, f64::max);
        let mut steps: Vec<f64> = page.windows(2).map(|w| w[0].y - w[1].y).collect();
        steps.sort_by(f64::total_cmp);
        // The lines of paragraphs stand closer than paragraphs do: the lower third is theirs.
        Self { left, right, step: steps.get(steps.len() / 3).copied().unwrap_or(f64::MAX) }
    }
}

impl Margins {
    /// The margins of most pages: the last page, or one of a few words, does not show them.
    fn usual(pages: &[Vec<Line>]) -> (f64, f64) {
        let of = |pick: fn(Margins) -> f64, third: usize| {
            let mut all: Vec<f64> = pages.iter().map(|p| pick(Self::of(p))).collect();
            all.sort_by(f64::total_cmp);
            all.get(all.len() * third / 3).copied().unwrap_or_default()
        };
        (of(|m| m.left, 1), of(|m| m.right, 2))
    }

    fn within(self, (left, right): (f64, f64)) -> Self {
        Self { left: self.left.min(left), right: self.right.max(right), step: self.step }
    }
}

fn continues(last: &Line, around: &Margins, line: &Line, margins: &Margins, new_page: bool) -> bool {
    const ENDS: &[char] = &['。', '；', '：', '！', '？', '”', ';', ':', '）'];
    let em = last.size.max(line.size);
    let sizes = (last.size - line.size).abs() < 0.15 * em;
    let full = last.end > around.right - EARLY * em;
    let flush = line.x < margins.left + INDENTED * em;
    let near = new_page || last.y - line.y < ROOM * margins.step.max(em).min(WIDEST * em);
    let begins = last.text.ends_with(ENDS) && statute::begins(&line.text);
    sizes && full && flush && near && !begins
}

fn join(paragraph: &mut String, next: &str) {
    let latin = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    if latin(paragraph.chars().last()) && latin(next.chars().next()) {
        paragraph.push(' ');
    }
    *paragraph += next;
}

/// - 1 -, — 1 —, 第 1 页 共 9 页, 1/9.
fn is_page_number(text: &str) -> bool {
    let rest: String =
        text.chars().filter(|c| !c.is_whitespace() && !"-—–－·•~/|第页共".contains(*c)).collect();
    rest.len() <= 5 && (rest.chars().all(|c| c.is_ascii_digit()) && text.chars().any(|c| c.is_ascii_digit()))
}

/// First and last lines that stand on many pages, without their digits.
fn repeated(pages: &[Vec<Line>]) -> Vec<String> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    for page in pages {
        let ends = page.first().into_iter().chain(page.last().filter(|_| page.len() > 1));
        ends.for_each(|l| *seen.entry(key(&l.text)).or_default() += 1);
    }
    let often = |n: usize| n >= REPEATED && n * 2 >= pages.len();
    seen.into_iter().filter(|(k, n)| !k.is_empty() && often(*n)).map(|(k, _)| k).collect()
}

fn key(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace() && !c.is_ascii_digit()).collect()
}

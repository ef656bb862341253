//! Which characters of a text a search text hits, and the window of the text that shows them best.
//!
//! What must hold: texts are compared as index and query compare them; the pieces of [`highlight`] joined are
//! the text; no text and no query makes it fail. Turning pieces into markup is the web floor's business.

use std::collections::HashMap;
use std::ops::Range;

use crate::base::text::{Folded, numeral_variants};

use super::query::Plan;

/// Mark for what was cut off.
const ELLIPSIS: char = '…';

/// Part of a window that stays in front of its first hit, as a divisor.
const LEAD_DIVISOR: usize = 5;

/// A piece of a text that is hit, or is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The characters of the original.
    pub text: String,
    /// They belong to what was searched for.
    pub hit: bool,
}

/// The whole text in pieces.
pub fn highlight(text: &str, query: &str) -> Vec<Piece> {
    pieces(text, &hits(text, query), 0..text.len())
}

/// The window of at most `max_chars` characters that shows most of the hits, with `…` where text was cut off
/// and blanks drawn together.
pub fn snippet(text: &str, query: &str, max_chars: usize) -> Vec<Piece> {
    let hits = hits(text, query);
    let window = window(text, &hits, max_chars);
    let (cut_front, cut_back) = (window.start > 0, window.end < text.trim_end().len());
    let mut out = pieces(text, &hits, window);
    for piece in &mut out {
        piece.text = one_line(&piece.text);
    }
    let mark = || Piece { text: ELLIPSIS.to_string(), hit: false };
    match out.first_mut().filter(|_| cut_front) {
        Some(first) if !first.hit => first.text.insert(0, ELLIPSIS),
        Some(_) => out.insert(0, mark()),
        None => {}
    }
    match out.last_mut().filter(|_| cut_back) {
        Some(last) if !last.hit => last.text.push(ELLIPSIS),
        Some(_) => out.push(mark()),
        None => {}
    }
    out
}

/// The parts of the search text that stand in the text as they are, as folded characters, each once.
pub fn occurs_in(text: &str, query: &str) -> Vec<String> {
    let folded = Folded::new(text);
    let stands = |way: &Vec<char>| !occurrences(folded.chars(), way).is_empty();
    let mut parts = Plan::new(query).looked_for();
    parts.retain(|part| std::iter::once(part).chain(&numeral_variants(part)).any(stands));
    let mut all: Vec<String> = parts.iter().map(|p| p.iter().collect()).collect();
    all.dedup();
    all
}

/// Everything that is looked for, as [`occurs_in`] names it.
pub fn looked_for(query: &str) -> Vec<String> {
    Plan::new(query).looked_for().iter().map(|p| p.iter().collect()).collect()
}

/// Byte ranges of the hits, ascending, apart from each other.
fn hits(text: &str, query: &str) -> Vec<Range<usize>> {
    let folded = Folded::new(text);
    let plan = Plan::new(query);
    let mut found: Vec<Range<usize>> = Vec::new();
    let parts = plan.looked_for();
    for part in &parts {
        for way in std::iter::once(part).chain(&numeral_variants(part)) {
            found.extend(occurrences(folded.chars(), way));
        }
    }
    if found.is_empty() {
        found = parts.iter().flat_map(|p| shared_runs(folded.chars(), p)).collect();
        let longest = found.iter().map(Range::len).max().unwrap_or(0);
        found.retain(|r| r.len() * 2 >= longest);
    }
    joined(found.into_iter().map(|r| folded.bytes(r)).collect())
}

fn occurrences(chars: &[char], part: &[char]) -> Vec<Range<usize>> {
    let Some(first) = part.first() else { return Vec::new() };
    let starts = (0..(chars.len() + 1).saturating_sub(part.len())).filter(|&i| chars[i] == *first);
    starts.filter(|&i| chars[i..].starts_with(part)).map(|i| i..i + part.len()).collect()
}

/// The runs of two or more characters that both have, longest first from left to right.
fn shared_runs(chars: &[char], part: &[char]) -> Vec<Range<usize>> {
    let mut places: HashMap<[char; 2], Vec<usize>> = HashMap::new();
    for (at, pair) in part.windows(2).enumerate() {
        places.entry([pair[0], pair[1]]).or_default().push(at);
    }
    let mut runs = Vec::new();
    let mut at = 0;
    while at + 1 < chars.len() {
        let same =
            |&place: &usize| chars[at..].iter().zip(&part[place..]).take_while(|(a, b)| a == b).count();
        let starts = places.get(&[chars[at], chars[at + 1]]);
        let longest = starts.and_then(|s| s.iter().map(same).max()).unwrap_or(0);
        if longest > 1 {
            runs.push(at..at + longest);
        }
        at += longest.max(1);
    }
    runs
}

fn joined(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.retain(|r| !r.is_empty());
    ranges.sort_by_key(|r| (r.start, r.end));
    let mut out: Vec<Range<usize>> = Vec::new();
    for range in ranges {
        match out.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => out.push(range),
        }
    }
    out
}

/// The bytes of the window; both ends lie between characters.
fn window(text: &str, hits: &[Range<usize>], max_chars: usize) -> Range<usize> {
    let mut bounds: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
    bounds.push(text.len());
    let total = bounds.len() - 1;
    if total <= max_chars {
        return 0..text.len();
    }
    let place = |byte: usize| bounds.partition_point(|&b| b < byte);
    let spans: Vec<Range<usize>> = hits.iter().map(|h| place(h.start)..place(h.end)).collect();
    let lead = max_chars / LEAD_DIVISOR;
    let start_for = |span: &Range<usize>| span.start.saturating_sub(lead).min(total - max_chars);
    let mut best = (0, 0);
    let mut behind = 0;
    for span in &spans {
        let start = start_for(span);
        while behind < spans.len() && spans[behind].start < start {
            behind += 1;
        }
        let inside = spans[behind..].iter().take_while(|s| s.end <= start + max_chars);
        let worth: usize = inside.map(Range::len).sum();
        if worth > best.0 {
            best = (worth, start);
        }
    }
    bounds[best.1]..bounds[best.1 + max_chars]
}

fn pieces(text: &str, hits: &[Range<usize>], window: Range<usize>) -> Vec<Piece> {
    let mut out = Vec::new();
    let mut push = |range: Range<usize>, hit: bool| {
        if let Some(part) = text.get(range).filter(|t| !t.is_empty()) {
            out.push(Piece { text: part.to_owned(), hit });
        }
    };
    let mut at = window.start;
    for hit in hits {
        let (start, end) = (hit.start.max(at), hit.end.min(window.end));
        if start < end {
            push(at..start, false);
            push(start..end, true);
            at = end;
        }
    }
    push(at..window.end, false);
    out
}

/// Runs of blanks and line ends as one blank each.
fn one_line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars().map(|c| if c.is_whitespace() || c.is_control() { ' ' } else { c }) {
        if c != ' ' || !out.ends_with(' ') {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn marked(pieces: &[Piece]) -> String {
        pieces.iter().map(|p| if p.hit { format!("[{}]", p.text) } else { p.text.clone() }).collect()
    }

    #[test]
    fn marks_what_was_asked_for_in_any_script_and_width() {
        for (text, query, expected) in [
            ("位于A市A２区的小区", "a2区", "位于A市[A２区]的小区"),
            ("請求打擊非法", "打击 非法", "請求[打擊非法]"),
            ("依照第二十一条办理", "第21条", "依照[第二十一条]办理"),
            ("最后\n一公里", "后一公", "最[后\n一公]里"),
            ("没有这个", "别的东西", "没有这个"),
            ("款分配不公平一事", "款分配不公医事", "[款分配不公]平一事"),
            ("招生", "招生 -双林", "[招生]"),
            ("", "招生", ""),
        ] {
            assert_eq!(marked(&highlight(text, query)), expected, "{text} {query}");
        }
    }

    #[test]
    fn what_stands_in_a_text_is_named() {
        assert_eq!(occurs_in("依照第二十一条請求打擊", "第21条 打击 低保"), ["第21条", "打击"]);
        assert_eq!(occurs_in("招生问题", "姓名:招生 -问题"), ["招生"]);
        assert!(occurs_in("招生", "招牌").is_empty() && occurs_in("", "").is_empty());
    }

    #[test]
    fn the_window_shows_the_hits() {
        let text = format!("{}中间\n 招生问题{}", "前".repeat(500), "后".repeat(500));
        let shown = snippet(&text, "招生", 20);
        assert_eq!(marked(&shown), "…前中间 [招生]问题后后后后后后后后后后后后…".replace("…前", "…"));
        assert_eq!(marked(&snippet("短文", "没有", 20)), "短文");
        assert_eq!(marked(&snippet("很长的一段文字", "没有", 3)), "很长的…");
        assert!(snippet("很长", "很", 0).iter().all(|p| p.text == "…"));
    }

    proptest! {
        #[test]
        fn nothing_makes_it_fail(
            text in "\\PC{0,80}|[一-十 \\n]{0,80}",
            query in "\\PC{0,20}|[一-十]{0,9}",
            n in 0usize..50,
        ) {
            let whole: String = highlight(&text, &query).into_iter().map(|p| p.text).collect();
            prop_assert_eq!(&whole, &text);
            let shown: usize = snippet(&text, &query, n).iter().map(|p| p.text.chars().count()).sum();
            prop_assert!(shown <= n + 2);
        }
    }
}

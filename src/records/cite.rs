//! Citations in the text of regulations: 《X》第N条, several articles in a row, and 本条例第N条. Pure; what a title or a
//! number stands for is found by `app`.
//!
//! What must hold: ranges lie on borders of characters and do not overlap; any text is read in one pass.

use std::ops::Range;

use crate::base::text::{chinese_to_number, half_width};

/// Longest title that is read, in characters.
const TITLE_CHARS: usize = 80;
/// Longest note in brackets between a title and its article, in characters.
const NOTE_CHARS: usize = 40;
/// What a regulation calls itself.
const OWN: &[&str] =
    &["本条例", "本法", "本规定", "本办法", "本规则", "本细则", "本准则", "本规程", "本章程", "本解释", "本决定", "本意见"];
/// What stands between articles that are cited in a row.
const BETWEEN: &[char] = &['、', '，', '和', '或', '及', '与', '至', '到', '者', '以', ' '];

/// Number of an article: 第二十一条之一 is (21, 1).
pub type No = (u32, u32);

/// One place that cites something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Citation {
    /// Where it stands: the title with its brackets, or 第N条.
    pub range: Range<usize>,
    /// The title without brackets; `None` for the regulation the text belongs to.
    pub title: Option<String>,
    /// The article; `None` for the regulation as a whole.
    pub no: Option<No>,
}

/// The citations of a text, from left to right.
pub fn citations(text: &str) -> Vec<Citation> {
    let mut all = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let own = OWN.iter().find(|own| rest.starts_with(**own));
        let next = match (titled(rest), own) {
            (Some((title, length)), _) => {
                let range = at..at + length;
                all.push(Citation { range, title: Some(title.clone()), no: None });
                let from = at + length + note(&rest[length..]);
                articles(text, from, Some(&title), &mut all).unwrap_or(at + length)
            }
            (None, Some(own)) => articles(text, at + own.len(), None, &mut all).unwrap_or(at + own.len()),
            (None, None) => at + rest.chars().next().map_or(1, char::len_utf8),
        };
        at = next;
    }
    all
}

/// The number at the beginning of an article or of what names one: 第二十一条之一, 第21条.
pub fn number(text: &str) -> Option<No> {
    ordinal(text, &['条']).map(|(no, _)| no)
}

/// 《X》 at the beginning, and its length. The innermost title counts, where one holds another.
fn titled(text: &str) -> Option<(String, usize)> {
    let inner = text.strip_prefix('《')?;
    let mut depth = 1_u32;
    for (at, c) in inner.char_indices().take(TITLE_CHARS) {
        match c {
            '《' => depth += 1,
            '》' if depth == 1 => {
                return (at > 0).then(|| (inner[..at].to_owned(), '《'.len_utf8() + at + c.len_utf8()));
            }
            '》' => depth -= 1,
            '\n' => return None,
            _ => {}
        }
    }
    None
}

/// Length of a note in brackets: （2018年修正）.
fn note(text: &str) -> usize {
    let Some(inner) = text.strip_prefix(['（', '(']) else { return 0 };
    let end = inner.char_indices().take(NOTE_CHARS).find(|(_, c)| ['）', ')'].contains(c));
    end.map_or(0, |(at, c)| text.len() - inner.len() + at + c.len_utf8())
}

/// Articles in a row from `at` on; where the row ends, `None` when there is none.
fn articles(text: &str, mut at: usize, title: Option<&str>, all: &mut Vec<Citation>) -> Option<usize> {
    let mut end = None;
    loop {
        let bare = if end.is_some() { text[at..].trim_start_matches(BETWEEN) } else { &text[at..] };
        let from = text.len() - bare.len();
        if from - at > 3 * '、'.len_utf8() {
            return end;
        }
        let Some((no, length)) = ordinal(bare, &['条']) else { return end };
        all.push(Citation { range: from..from + length, title: title.map(str::to_owned), no: Some(no) });
        at = from + length;
        // Paragraphs and items of the article are no articles: 第二款、第三款第（一）项.
        while let Some(part) = part(&text[at..]) {
            at += part;
        }
        end = Some(at);
    }
}

/// Length of 第二款, 、第三项, 第（一）项 at the beginning.
fn part(text: &str) -> Option<usize> {
    let bare = text.trim_start_matches(BETWEEN);
    let between = text.len() - bare.len();
    let (_, length) = ordinal(bare, &['款', '项', '目'])?;
    (between <= 2 * '、'.len_utf8()).then_some(between + length)
}

/// 第, a number, one of `ends`, and 之 with a number; what it says and its length.
fn ordinal(text: &str, ends: &[char]) -> Option<(No, usize)> {
    let rest = text.strip_prefix('第')?;
    let rest = rest.strip_prefix(['（', '(']).unwrap_or(rest);
    let (first, rest) = numeral(rest)?;
    let rest = rest.strip_prefix(['）', ')']).unwrap_or(rest);
    let rest = rest.strip_prefix(ends)?;
    match rest.strip_prefix('之').and_then(numeral) {
        Some((sub, rest)) => Some(((first, sub), text.len() - rest.len())),
        None => Some(((first, 0), text.len() - rest.len())),
    }
}

fn numeral(text: &str) -> Option<(u32, &str)> {
    let digit = |c: char| half_width(c).is_ascii_digit() || "零〇一二三四五六七八九十百千两".contains(c);
    let end = text.char_indices().take(12).find(|(_, c)| !digit(*c)).map_or(text.len(), |(at, _)| at);
    let (word, rest) = text.split_at(end);
    let plain: String = word.chars().map(half_width).collect();
    let number = plain.parse().ok().filter(|_| plain.len() <= 4).or_else(|| chinese_to_number(&plain))?;
    Some((number, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(String, String, Option<No>)> {
        let all = citations(text);
        all.into_iter().map(|c| (text[c.range].to_owned(), c.title.unwrap_or_default(), c.no)).collect()
    }

    #[test]
    fn titles_articles_and_rows_of_articles_are_read() {
        let text = "违反《样例规程》（2023年修订）第二十一条第二款、第三十条之一和第４０条的，依照本条例第五条、第七条至第九条\
                    第（一）项处理；另见《样例办法》。本法第零条不算，第八条也不算。";
        let of = |text: &str, title: &str, no: Option<No>| (text.to_owned(), title.to_owned(), no);
        let expected = [
            of("《样例规程》", "样例规程", None),
            of("第二十一条", "样例规程", Some((21, 0))),
            of("第三十条之一", "样例规程", Some((30, 1))),
            of("第４０条", "样例规程", Some((40, 0))),
            of("第五条", "", Some((5, 0))),
            of("第七条", "", Some((7, 0))),
            of("第九条", "", Some((9, 0))),
            of("《样例办法》", "样例办法", None),
            of("第零条", "", Some((0, 0))),
        ];
        assert_eq!(read(text), expected);
        assert_eq!(read("关于印发《〈样例规程〉的通知》的通知")[0].1, "〈样例规程〉的通知");
        assert_eq!(number("第一百零二条之三 样例"), Some((102, 3)));
        assert_eq!(number("附件一"), None);
    }

    #[test]
    fn no_text_is_too_strange() {
        for text in ["《", "《》", "《甲", "本法", "本法第", "第条", "《甲》第", "《甲》（", "第99999条", "《甲\n》第一条", "🏛《甲》第一条🏛"]
        {
            for c in citations(&text.repeat(3)) {
                assert!(text.repeat(3).is_char_boundary(c.range.start) && text.repeat(3).is_char_boundary(c.range.end));
            }
        }
        assert_eq!(citations(&"《".repeat(20_000)), []);
    }
}

//! What a line of a regulation begins with: the number of an article (条), a chapter (编、章、节), an item (一、), an
//! attachment.
//!
//! A mark is only what the line itself shows. Whether an article really starts there depends on what stands before it
//! and is decided by the caller.

use crate::base::text::{chinese_to_number, half_width};

/// Longest name of a chapter, in characters.
const CHAPTER_CHARS: usize = 60;

/// The beginning of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mark<'a> {
    /// 第十二条, 第十二条之一.
    Article {
        /// The number without blanks, in Chinese numerals if it was Arabic.
        no: String,
        /// Its value, and that of 之一 (0 without).
        number: (u32, u32),
        /// A blank, a bracket or the end of the line follows, as after a real number.
        spaced: bool,
        /// What follows.
        rest: &'a str,
    },
    /// 第一编 … 第一节 ….
    Chapter {
        /// 0 编, 1 分编, 2 章, 3 节.
        level: u8,
        /// Number and name, a blank between them; the name may be missing.
        name: String,
        /// The name stands in the line.
        named: bool,
    },
    /// 一、….
    Item {
        /// The number with its mark.
        no: String,
        /// Its value.
        number: u32,
    },
    /// A line that is only 附件 or 附件1.
    Attachment(String),
    /// None of these.
    Plain,
}

/// The level of a heading 一、 above articles.
pub(super) const ITEM_LEVEL: u8 = 4;

/// What `line` begins with; blanks in front do not count.
pub(super) fn mark(line: &str) -> Mark<'_> {
    let line = line.trim();
    if let Some(rest) = line.strip_prefix('第') {
        return ordinal(rest).unwrap_or(Mark::Plain);
    }
    if let Some(name) = bare_chapter(line) {
        return Mark::Chapter { level: 0, name: name.to_owned(), named: true };
    }
    if line.starts_with('附') {
        return attachment(line).map_or(Mark::Plain, Mark::Attachment);
    }
    let digits: String = line.chars().take_while(|&c| is_chinese_digit(c)).collect();
    let behind = line[digits.len()..].trim_start().strip_prefix('、');
    match (chinese_to_number(&plain_zero(&digits)), behind) {
        (Some(number), Some(_)) if number > 0 => Mark::Item { no: format!("{digits}、"), number },
        _ => Mark::Plain,
    }
}

/// A chapter that has a name and no number.
pub(super) fn bare_chapter(line: &str) -> Option<&'static str> {
    let bare = || line.chars().filter(|c| !c.is_whitespace());
    ["总则", "分则", "附则"].into_iter().find(|name| name.chars().eq(bare()))
}

fn ordinal(text: &str) -> Option<Mark<'_>> {
    let (digits, rest) = numeral(text, 2)?;
    let rest = rest.trim_start();
    let number = chinese_or_arabic(&digits)?;
    for (unit, level) in [("分编", 1), ("编", 0), ("章", 2), ("节", 3)] {
        if let Some(name) = rest.strip_prefix(unit) {
            return chapter(&format!("第{}{unit}", chinese(&digits, number)), level, name);
        }
    }
    let rest = rest.strip_prefix('条')?;
    let mut no = format!("第{}条", chinese(&digits, number));
    let (mut sub, mut rest) = (0, rest);
    if let Some((digits, behind)) = rest.trim_start().strip_prefix('之').and_then(|r| numeral(r, 0))
        && let Some(value) = chinese_or_arabic(&digits)
    {
        no = format!("{no}之{}", chinese(&digits, value));
        (sub, rest) = (value, behind);
    }
    let spaced =
        rest.is_empty() || rest.starts_with(|c: char| c.is_whitespace() || "【〔[（(:：".contains(c));
    let rest = rest.trim_start_matches([':', '：']).trim();
    Some(Mark::Article { no, number: (number, sub), spaced, rest })
}

/// The digits at the start of a text, with at most so many blanks before and between them, and what follows. Behind
/// 之 there are none: 第二十条之一　三人以上 is no 第二十条之一三.
fn numeral(text: &str, most: usize) -> Option<(String, &str)> {
    let mut digits = String::new();
    let mut end = 0;
    let mut blanks = 0;
    for (at, c) in text.char_indices() {
        let narrow = half_width(c);
        if c.is_whitespace() && blanks < most {
            blanks += 1;
        } else if narrow.is_ascii_digit() || is_chinese_digit(c) {
            digits.push(narrow);
            (end, blanks) = (at + c.len_utf8(), 0);
        } else {
            break;
        }
        if digits.chars().count() > 12 {
            return None;
        }
    }
    (!digits.is_empty()).then(|| (digits, &text[end..]))
}

/// A numeral and a closing bracket, as behind the opening one of （一）.
pub(super) fn is_listed(text: &str) -> bool {
    numeral(text, 1).is_some_and(|(_, rest)| rest.trim_start().starts_with(['）', ')']))
}

/// The value of digits of either script.
pub(super) fn chinese_or_arabic(digits: &str) -> Option<u32> {
    if digits.bytes().all(|b| b.is_ascii_digit()) {
        return digits.parse().ok().filter(|n| *n < 10_000);
    }
    chinese_to_number(&plain_zero(digits))
}

/// The digits as they stand, Arabic ones in Chinese.
fn chinese(digits: &str, number: u32) -> String {
    if digits.starts_with(|c: char| c.is_ascii_digit()) {
        return crate::base::text::number_to_chinese(number).unwrap_or_default();
    }
    digits.to_owned()
}

fn chapter<'a>(number: &str, level: u8, name: &str) -> Option<Mark<'a>> {
    let name = cut_leader(name.trim()).trim();
    let sentence =
        name.ends_with(['。', '；', '：', ';', ':', '，', '、', '”']) || name.contains(['。', '；']);
    // 第三章的规定, 第二章和第三章: part of a sentence that begins a line.
    let goes_on =
        name.starts_with(['的', '、', '，', '和', '至', '及', '或', '与', '中', '规', '第', '》', '所']);
    if name.chars().count() > CHAPTER_CHARS || sentence || goes_on && !name.starts_with("规划") {
        return None;
    }
    let name = close_up(name);
    let named = !name.is_empty();
    Some(Mark::Chapter { level, name: format!("{number} {name}").trim_end().to_owned(), named })
}

/// A line of a table of contents without its dots and page.
pub(super) fn cut_leader(line: &str) -> &str {
    let mut line = line;
    loop {
        let bare = line.trim_end_matches(|c: char| c.is_ascii_digit() || c.is_whitespace());
        let dots = bare.trim_end_matches(['.', '…', '·', '．', '—', '-', '_', ' ']);
        let leads =
            bare.len() - dots.len() >= 3 && (bare.len() < line.len() || bare.ends_with(['.', '…', '·']));
        if !leads {
            return line;
        }
        line = dots.trim_end();
    }
}

/// 总　则 as 总则: blanks between single characters of a name that has only such.
pub(super) fn close_up(name: &str) -> String {
    let parts: Vec<&str> = name.split_whitespace().collect();
    let single = parts.iter().all(|p| p.chars().count() == 1 && !p.is_ascii());
    parts.join(if single { "" } else { " " })
}

fn attachment(line: &str) -> Option<String> {
    let narrow: String = line.chars().map(half_width).filter(|c| !c.is_whitespace()).collect();
    let word = ["附件", "附表", "附录"].into_iter().find(|w| narrow.starts_with(w))?;
    let number = narrow[word.len()..].trim_end_matches(':');
    let known = number.is_empty() || chinese_or_arabic(number).is_some();
    known.then(|| format!("{word}{number}"))
}

fn is_chinese_digit(c: char) -> bool {
    "〇○零一二三四五六七八九十百千两".contains(c)
}

/// Circles that stand for zero.
fn plain_zero(digits: &str) -> String {
    digits.replace('○', "〇")
}

//! The words with which a search is narrowed: 标题: 编号: 文号: 姓名: 单位: 日期:, each with a value behind a colon.
//!
//! What must hold: no value is an error; what does not read as a narrowing stands for itself. A text that holds such
//! a word is still found by it, as `query` also looks for the characters as they are.

use crate::base::text::{chinese_to_number, folded_chars, half_width};

/// A narrowing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// The title contains this.
    Title(Vec<char>),
    /// A number or 文号 contains this, or is it.
    Number(String),
    /// A name contains this.
    Name(Vec<char>),
    /// The unit is called this.
    Unit(String),
    /// The first and the last day, `yyyymmdd`; 0 and the highest for none.
    Days(u64, u64),
}

impl Asked {
    /// Reads `piece`; `None` for what narrows nothing.
    pub(super) fn read(piece: &str) -> Option<Self> {
        let (name, value) = piece.split_once([':', '：'])?;
        let value = value.trim_matches(['"', '“', '”']);
        let chars = folded_chars(value);
        if chars.is_empty() {
            return None;
        }
        Some(match name {
            "标题" | "標題" | "题名" => Self::Title(chars),
            "编号" | "編號" | "文号" | "文號" => Self::Number(value.to_owned()),
            "姓名" | "被反映人" => Self::Name(chars),
            "单位" | "單位" => Self::Unit(value.to_owned()),
            "日期" | "时间" | "時間" => {
                let (from, to) = days(value)?;
                Self::Days(from, to)
            }
            _ => return None,
        })
    }

    /// The characters to show in what is found.
    pub(super) fn chars(&self) -> Vec<char> {
        match self {
            Self::Title(chars) | Self::Name(chars) => chars.clone(),
            Self::Number(text) | Self::Unit(text) => folded_chars(text),
            Self::Days(..) => Vec::new(),
        }
    }
}

/// The name of the unit that a search text asks for, with which the caller finds the units that are meant.
pub fn wanted_unit(text: &str) -> Option<String> {
    let read = |piece| if let Some(Asked::Unit(name)) = Asked::read(piece) { Some(name) } else { None };
    text.split_whitespace().find_map(read)
}

/// `2020`, `2020-06..2020-08`, `2020年1月至6月`, `>=2020.6`.
fn days(value: &str) -> Option<(u64, u64)> {
    let value: String = value.chars().map(half_width).collect();
    let end = u64::MAX;
    for (sign, below, after) in [(">=", false, false), ("<=", true, true), (">", false, true), ("<", true, false)] {
        if let Some(rest) = value.strip_prefix(sign) {
            let (first, last) = day(rest, None)?;
            return Some(match (below, after) {
                (false, false) => (first, end),
                (false, true) => (last + 1, end),
                (true, true) => (0, last),
                (true, false) => (0, first - 1),
            });
        }
    }
    for between in ["..", "至", "到", "~"] {
        let Some((from, to)) = value.split_once(between) else { continue };
        return match (from, to) {
            ("", "") => None,
            ("", to) => Some((0, day(to, None)?.1)),
            (from, "") => Some((day(from, None)?.0, end)),
            (from, to) => {
                let first = day(from, None)?.0;
                Some((first, day(to, Some(first / 10_000))?.1))
            }
        };
    }
    day(&value, None)
}

/// The first and the last number of a day, a month or a year; a month without a year is one of `year`.
fn day(text: &str, year: Option<u64>) -> Option<(u64, u64)> {
    let parts: Option<Vec<u64>> = text
        .split(['-', '.', '/', '年', '月', '日'])
        .filter(|p| !p.is_empty())
        .map(|p| p.parse().ok().or_else(|| chinese_to_number(&p.replace('○', "〇")).map(u64::from)))
        .collect();
    let parts = match (parts?.as_slice(), year) {
        ([month], Some(year)) if text.ends_with('月') => vec![year, *month],
        ([month, day], Some(year)) if text.contains('月') && *month <= 12 => vec![year, *month, *day],
        (parts, _) => parts.to_vec(),
    };
    let fits = |n: u64, most: u64| (1..=most).contains(&n).then_some(n);
    let year = parts.first().filter(|y| (1000..=9999).contains(*y))? * 10_000;
    match parts.as_slice() {
        [_] => Some((year, year + 1231)),
        [_, month] => Some((year + fits(*month, 12)? * 100, year + month * 100 + 31)),
        [_, month, day] => {
            let day = year + fits(*month, 12)? * 100 + fits(*day, 31)?;
            Some((day, day))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_read_in_every_spelling() {
        for text in ["2020-06", "2020.6", "2020年6月", "2020/06", "２０２０年６月", "二〇二〇年六月"] {
            assert_eq!(days(text), Some((20_200_600, 20_200_631)), "{text}");
        }
        for text in ["2020-01..2020-06", "2020年1月至6月", "2020年1月到2020年6月", "2020.1~2020.6"] {
            assert_eq!(days(text), Some((20_200_100, 20_200_631)), "{text}");
        }
        assert_eq!(days("2020"), Some((20_200_000, 20_201_231)));
        assert_eq!(days(">=2020-06-03"), Some((20_200_603, u64::MAX)));
        assert_eq!(days("<2020"), Some((0, 20_199_999)));
        assert_eq!(days(">2020"), Some((20_201_232, u64::MAX)));
        assert_eq!(days("2020年1月5日"), Some((20_200_105, 20_200_105)));
        for text in ["", "..", "昨天", "2020-13", "20", "2020-1-32", "99999999999999999999", ">=", "2020-1-1-1", "-"] {
            assert_eq!(days(text), None, "{text}");
        }
    }

    #[test]
    fn only_known_words_narrow() {
        assert_eq!(Asked::read("标题：低保"), Some(Asked::Title("低保".chars().collect())));
        assert_eq!(Asked::read("单位:织云街道"), Some(Asked::Unit("织云街道".into())));
        assert_eq!(wanted_unit("低保 单位：织云街道"), Some("织云街道".into()));
        for text in ["标题:", "其他:低保", "日期:昨天", "低保", ":", "："] {
            assert_eq!(Asked::read(text), None, "{text}");
        }
    }
}

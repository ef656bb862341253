//! Register numbers after a restore: what was given after the set was made stands on paper and nowhere else, so each
//! counter goes on behind it, and the numbers in between are void (空号).
//!
//! What must hold: no number is given twice, whether somebody knows the last one on paper or not; counters never go
//! back.

use crate::base::{Error, Result, limits};
use crate::records;
use crate::store::Snapshot;

/// Asks for the last number on paper of a counter, of which the set has this one; `None` where nobody knows.
pub type AskNumber<'a> = &'a dyn Fn(&str, u64) -> Result<Option<u64>>;

/// Numbers that nothing will ever have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The counter, e.g. `信访〔2026〕`.
    pub counter: String,
    /// The first of them.
    pub from: u64,
    /// The last of them.
    pub to: u64,
}

impl std::fmt::Display for Skipped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}-{}号", self.counter, self.from, self.to)
    }
}

/// Reads `信访〔2026〕=127`, with whatever brackets the keyboard has.
pub fn typed_number(text: &str) -> Result<(String, u64)> {
    let wrong = || {
        Error::usage(format!("“{text}”不是编号。请写成 信访〔2026〕=127：等号前是编号的字头和年份，后面是纸质登记的最后一号。"))
    };
    let plain = text.trim().replace(['[', '【', '［', '('], "〔").replace([']', '】', '］', ')'], "〕");
    let (counter, number) = plain.split_once(['=', '＝']).ok_or_else(wrong)?;
    let number = number.trim().trim_end_matches('号').parse().map_err(|_| wrong())?;
    let prefixes = || records::ALL.iter().filter_map(|k| k.number).map(|(_, prefix)| prefix);
    let counter = counter.trim();
    let year = prefixes().find_map(|p| counter.strip_prefix(p)?.strip_prefix('〔')?.strip_suffix('〕'));
    let known = year.is_some_and(|y| y.len() == 4 && y.bytes().all(|b| b.is_ascii_digit()));
    if known { Ok((counter.to_owned(), number)) } else { Err(wrong()) }
}

/// What is to be skipped: of each counter of this year, and of those that were named, up to the last number on paper;
/// where that is not known, a block of [`limits::NUMBERS_SKIPPED`].
pub(super) fn plan(
    snapshot: &Snapshot,
    year: i16,
    named: &[(String, u64)],
    ask: AskNumber<'_>,
) -> Result<Vec<Skipped>> {
    let counters = snapshot.counters()?;
    let mut names: Vec<String> = named.iter().map(|(name, _)| name.clone()).collect();
    names.extend(records::ALL.iter().filter_map(|k| k.number).map(|(_, prefix)| format!("{prefix}〔{year}〕")));
    names.sort();
    names.dedup();
    let mut skipped = Vec::new();
    for counter in names {
        let last = counters.iter().find(|(name, _)| *name == counter).map_or(0, |(_, n)| *n);
        let paper = match named.iter().find(|(name, _)| *name == counter) {
            Some((_, number)) => Some(*number),
            None => ask(&counter, last)?,
        };
        let to = paper.unwrap_or(last + limits::NUMBERS_SKIPPED);
        if to > last + limits::NUMBERS_SKIPPED_MAX {
            return Err(Error::invalid(format!(
                "{counter}在备份中到 {last} 号，纸质登记的最后一号填了 {to}，相差过大，没有恢复。请核对后重新运行。"
            )));
        }
        if to > last {
            skipped.push(Skipped { counter, from: last + 1, to });
        }
    }
    Ok(skipped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_typed_with_any_brackets_and_known_prefixes() {
        for text in ["信访〔2026〕=127", " 信访[2026]＝127号 ", "信访(2026)=127", "信访【2026】 = 127"] {
            assert_eq!(typed_number(text).unwrap(), ("信访〔2026〕".to_owned(), 127), "{text}");
        }
        for text in ["", "信访〔2026〕", "信访〔26〕=1", "无此〔2026〕=1", "信访〔2026〕=x", "信访2026=1", "信访〔2026〕=-1"] {
            assert!(typed_number(text).is_err(), "{text}");
        }
    }
}

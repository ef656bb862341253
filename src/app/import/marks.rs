//! Columns against text: what a ledger's columns say and its text does not. Such a row comes in and is marked, because
//! either may be wrong and only a person can tell.
//!
//! A mark names the column and never repeats what stands in it.

use std::sync::LazyLock;

use regex::Regex;

use super::Problems;
use crate::base::text::{chinese_to_number, folded_chars};
use crate::records::{Fields, petition};

/// Columns of this petition that its text does not bear out, and what to look at.
pub(super) fn disagreements(fields: &Fields) -> Problems {
    // A ledger without a text of its own has nothing to compare with.
    if fields.text(petition::tag::TEXT) == fields.text(petition::tag::TITLE) {
        return Problems::new();
    }
    let body = folded(fields.text(petition::tag::TEXT));
    let text = folded(fields.text(petition::tag::TITLE)) + &body;
    let mut found = Problems::new();
    for (n, person) in fields.rows(petition::tag::ACCUSED).iter().enumerate() {
        let (name, org) =
            (folded(person.text(petition::accused::NAME)), folded(person.text(petition::accused::ORG)));
        if names_another(&body, &name) {
            found.push(mark("accused.name", &format!("第{}名被检举控告人的姓名与内容中的写法不同", n + 1)));
        }
        if names_other_unit(&body, &org) {
            found.push(mark("accused.org", &format!("第{}名被检举控告人的单位与内容中的不同", n + 1)));
        }
    }
    found.extend(dates(fields, &text));
    found.extend(sums(fields, &text));
    found
}

fn mark(column: &str, what: &str) -> (String, String) {
    (column.to_owned(), format!("{what}，请核对。"))
}

fn folded(text: &str) -> String {
    folded_chars(text).into_iter().collect()
}

/// The text does not have the name, but one that differs by a single character.
fn names_another(body: &str, name: &str) -> bool {
    let (body, name): (Vec<char>, Vec<char>) = (body.chars().collect(), name.chars().collect());
    let differ = |w: &[char]| w.iter().zip(&name).filter(|(a, b)| a != b).count();
    let mut windows = body.windows(name.len().max(1));
    name.len() >= 3 && windows.clone().all(|w| differ(w) > 0) && windows.any(|w| differ(w) == 1)
}

/// What units end with, and how many characters before that tell one from another.
const UNIT_ENDS: &[&str] =
    &["村", "社区", "街道", "镇", "乡", "局", "所", "站", "中心", "小学", "中学", "医院", "公司", "合作社"];
const UNIT_CHARS: usize = 2;

/// The text does not have the unit, but another one of its sort.
fn names_other_unit(body: &str, org: &str) -> bool {
    let bare = ["村民委员会", "村委会", "居民委员会", "居委会", "党支部", "党委", "党总支"]
        .iter()
        .find_map(|end| Some((org.strip_suffix(end)?, if end.starts_with('居') { "社区" } else { "村" })));
    let org = match bare {
        Some((rest, end)) if !rest.ends_with(end) && !rest.is_empty() => format!("{rest}{end}"),
        Some((rest, _)) => rest.to_owned(),
        None => org.to_owned(),
    };
    let Some(end) = UNIT_ENDS.iter().find(|end| org.ends_with(**end)) else { return false };
    let before = |text: &str| -> String {
        let chars: Vec<char> = text.chars().rev().take(UNIT_CHARS).collect();
        chars.into_iter().rev().collect()
    };
    let own = before(org.trim_end_matches(end));
    let told: Vec<String> = body.match_indices(end).map(|(at, _)| before(&body[..at])).collect();
    let is_name = |t: &String| {
        t.chars().count() == UNIT_CHARS && t.chars().all(|c| ('\u{4e00}'..='\u{9fff}').contains(&c))
    };
    told.iter().any(is_name) && !told.contains(&own) && own.chars().count() == UNIT_CHARS
}

/// Nothing can be told before it happened, nor come in before it was told.
fn dates(fields: &Fields, text: &str) -> Problems {
    let told = days(text);
    let received = fields.day(petition::tag::RECEIVED);
    let mut found = Problems::new();
    if received.is_full() && told.iter().any(|d| *d > received.number()) {
        found.push(mark("received", "内容中有晚于收到时间的日期"));
    }
    let happened = fields.day(petition::tag::HAPPENED);
    let years: Vec<i32> = told.iter().map(|d| d / 10_000).collect();
    if !happened.is_unknown() && !years.is_empty() && !years.contains(&(happened.number() / 10_000)) {
        found.push(mark("happened", "问题发生时间与内容中的日期不一致"));
    }
    found
}

/// Full dates of a folded text, `yyyymmdd`.
fn days(text: &str) -> Vec<i32> {
    static DAY: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"((?:19|20)[0-9]{2})[年./-]([0-9]{1,2})[月./-]([0-9]{1,2})").ok());
    let Some(day) = &*DAY else { return Vec::new() };
    let number = |c: &regex::Captures<'_>| -> Option<i32> {
        let part = |n: usize| c.get(n)?.as_str().parse::<i32>().ok();
        Some(part(1)? * 10_000 + part(2)? * 100 + part(3)?)
    };
    day.captures_iter(text).filter_map(|c| number(&c)).collect()
}

/// Columns of sums come in as remarks `涉及金额：5万元`.
fn sums(fields: &Fields, text: &str) -> Problems {
    let told = amounts(text, false);
    let lines = fields.text(petition::tag::REMARKS).lines().filter_map(|line| line.split_once('：'));
    let sums = lines.filter(|(head, _)| ["金额", "数额", "款项"].iter().any(|w| head.contains(w)));
    let differs = |said: &str| {
        let said = amounts(&folded(said), true);
        !told.is_empty() && !said.is_empty() && said.iter().all(|sum| !told.contains(sum))
    };
    sums.filter(|(_, said)| differs(said)).map(|(head, _)| mark(head, "金额与内容不一致")).collect()
}

/// Sums of money in a folded text, in 分; a bare number is one only where the column says so.
fn amounts(text: &str, bare: bool) -> Vec<u64> {
    static SUM: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r"([0-9][0-9,]*(?:\.[0-9]+)?|[零〇一二两三四五六七八九十百千]+)(亿|千万|百万|十万|万|千|百)?(余|多)?(元|块)?").ok()
    });
    let Some(sum) = &*SUM else { return Vec::new() };
    let one = |c: &regex::Captures<'_>| -> Option<u64> {
        let scale = c.get(2).map_or("", |m| m.as_str());
        let money = c.get(4).is_some() || (bare && (scale.is_empty() || scale.ends_with(['万', '亿'])));
        money.then(|| sum_of(c.get(1)?.as_str(), scale)).flatten()
    };
    sum.captures_iter(text).filter_map(|c| one(&c)).collect()
}

fn sum_of(digits: &str, scale: &str) -> Option<u64> {
    let scale: u64 = match scale {
        "百" => 100,
        "千" => 1_000,
        "万" => 10_000,
        "十万" => 100_000,
        "百万" => 1_000_000,
        "千万" => 10_000_000,
        "亿" => 100_000_000,
        _ => 1,
    };
    let plain = digits.replace(',', "").replace('两', "二");
    let (whole, part) = plain.split_once('.').unwrap_or((&plain, ""));
    let whole = match whole.parse::<u64>() {
        Ok(n) => n,
        Err(_) => u64::from(chinese_to_number(whole)?),
    };
    let part: String = part.chars().chain("000000".chars()).take(6).collect();
    let millionths = whole.checked_mul(1_000_000)?.checked_add(part.parse::<u64>().ok()?)?;
    u64::try_from(u128::from(millionths) * u128::from(scale) / 10_000).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Day;
    use crate::records::Value;

    fn petition(text: &str) -> Fields {
        let person = Fields::default()
            .with_text(petition::accused::NAME, "赵建国")
            .with_text(petition::accused::ORG, "样县官渡镇河东村");
        Fields::default()
            .with_text(petition::tag::TITLE, "反映有关问题")
            .with_text(petition::tag::TEXT, text)
            .with(petition::tag::RECEIVED, Value::Day(Day::ymd(2024, 3, 5).unwrap()))
            .with(petition::tag::HAPPENED, Value::Day(Day::ymd(2023, 5, 1).unwrap()))
            .with(petition::tag::ACCUSED, Value::Rows(vec![person]))
            .with_text(petition::tag::REMARKS, "涉及金额：5万元\n经手：某人")
    }

    fn columns(text: &str) -> Vec<String> {
        disagreements(&petition(text)).into_iter().map(|(column, _)| column).collect()
    }

    #[test]
    fn columns_that_agree_with_the_text_are_not_marked() {
        for text in [
            "河东村赵建国于2023年5月1日收取五万元。",
            "官渡镇河东村赵建国２０２３年５月收50000元",
            "河东村赵建国收5万余元，2023-06-01又收2.5万元",
            "样县官渡镇河东村赵建国态度粗暴",
            "会计钱某收5万元，村干部不管",
        ] {
            assert_eq!(columns(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn each_column_that_differs_is_marked() {
        for (text, column) in [
            ("河东村赵建军收5万元", "accused.name"),
            ("河西村赵建国收5万元", "accused.org"),
            ("河东村赵建国2024年3月6日收5万元，2023年5月1日又收", "received"),
            ("河东村赵建国2022年5月1日收5万元", "happened"),
            ("河东村赵建国收6万元", "涉及金额"),
            ("河东村赵建国收5000元", "涉及金额"),
        ] {
            assert_eq!(columns(text), [column], "{text}");
        }
    }

    #[test]
    fn sums_are_read_however_they_are_written() {
        for text in ["50000元", "5万元", "五万元", "50,000.00元", "５万元", "5.0万块"] {
            assert_eq!(amounts(&folded(text), false), [5_000_000], "{text}");
        }
        assert_eq!(amounts(&folded("1.23元，两千元，3亿元"), false), [123, 200_000, 30_000_000_000]);
        assert_eq!(amounts("5人，12月", false), [0u64; 0]);
        assert_eq!(amounts("50000", true), [5_000_000]);
    }
}

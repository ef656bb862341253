//! Fields: a closed set of widgets, and the one way from what people type (or import) to checked values.
//!
//! Raw input is a list of (name, text) pairs as a form sends it; rows are `accused.0.name`. Parsing reports every
//! problem at once and never throws typed text away: the caller keeps the raw pairs and shows them again.

use std::collections::BTreeSet;

use super::dict::Dict;
use super::{Fields, Value};
use crate::base::{Day, RecordId, limits, text};

/// Typed or imported pairs of field name and text.
pub type Raw = Vec<(String, String)>;

/// Which sealed part of the record a field lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Readable by whoever may open the record.
    Main,
    /// The petitioner (检举控告人): opened only by its own right, with a reason.
    Identity,
}

/// What full-text search does with a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Search {
    /// Nothing.
    No,
    /// Register numbers and 文号.
    Number,
    /// The title.
    Title,
    /// Names of persons and units.
    Names,
    /// The text.
    Body,
    /// The caller's own id, as an exact value.
    Reference,
}

/// How a value is typed and shown.
#[derive(Clone, Copy, Debug)]
pub enum Widget {
    /// One line.
    Line,
    /// Several lines.
    Area,
    /// A date; months and years are allowed where `true`.
    Date(bool),
    /// A whole number within bounds.
    Int(i64, i64),
    /// Yes or no.
    Flag,
    /// One entry of a vocabulary.
    Choice(&'static Dict),
    /// One entry of a vocabulary, or other words kept as they are.
    OpenChoice(&'static Dict),
    /// Several entries of a vocabulary.
    Choices(&'static Dict),
    /// Another record, of the kind with this name.
    Link(&'static str),
    /// Rows with fields of their own.
    Rows(&'static [Field]),
    /// Attachments; they do not travel as text.
    Files,
    /// Filled by the machine, shown and never typed.
    Fixed,
    /// Kept by the machine for itself; no generic page shows it.
    Hidden,
}

/// One field of a kind.
#[derive(Debug)]
pub struct Field {
    /// Stored number within its kind, from 16; never reused.
    pub tag: u16,
    /// Name in forms and formats.
    pub name: &'static str,
    /// What users read.
    pub label: &'static str,
    /// A hint below the input.
    pub help: &'static str,
    /// Heading of the group it stands in.
    pub group: &'static str,
    /// How it is typed.
    pub widget: Widget,
    /// May not be left empty.
    pub required: bool,
    /// Which sealed part.
    pub part: Part,
    /// What search does with it.
    pub search: Search,
    /// Longest text, in characters.
    pub max: usize,
    /// Stays when the record is purged: a code, a date or a number that tells nothing of a person.
    pub kept: bool,
}

impl Field {
    /// A field with the usual settings; the builder methods below change them.
    pub const fn new(tag: u16, name: &'static str, label: &'static str, widget: Widget) -> Self {
        Self {
            tag,
            name,
            label,
            help: "",
            group: "",
            widget,
            required: false,
            part: Part::Main,
            search: Search::No,
            max: limits::LINE_CHARS,
            kept: false,
        }
    }

    /// May not be empty.
    pub const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// Under this heading.
    pub const fn group(mut self, group: &'static str) -> Self {
        self.group = group;
        self
    }

    /// With a hint.
    pub const fn help(mut self, help: &'static str) -> Self {
        self.help = help;
        self
    }

    /// In the identity part.
    pub const fn identity(mut self) -> Self {
        self.part = Part::Identity;
        self
    }

    /// Read by search.
    pub const fn search(mut self, search: Search) -> Self {
        self.search = search;
        self
    }

    /// With another bound on its length.
    pub const fn max(mut self, chars: usize) -> Self {
        self.max = chars;
        self
    }

    /// Outlives a purge of the record; what nothing marks so goes.
    pub const fn kept(mut self) -> Self {
        self.kept = true;
        self
    }

    /// People type it (the machine does not fill it, and it is not a file).
    pub fn typed(&self) -> bool {
        !matches!(self.widget, Widget::Files | Widget::Fixed | Widget::Hidden)
    }
}

/// Something to mend: the name of the input and what to do.
pub type Problem = (String, String);

/// Checked values of everything people type, and all problems at once.
pub fn parse(fields: &'static [Field], raw: &Raw) -> (Fields, Vec<Problem>) {
    let mut out = Fields::default();
    let mut problems = Vec::new();
    for field in fields.iter().filter(|f| f.typed()) {
        match value(field, field.name, raw, &mut problems) {
            Some(v) => out.insert(field.tag, v),
            None if field.required && !problems.iter().any(|(n, _)| n == field.name) => {
                problems.push((field.name.to_owned(), format!("请填写{}。", field.label)));
            }
            None => {}
        }
    }
    (out, problems)
}

/// The pairs a form would send for these values: the inverse of [`parse`].
pub fn to_raw(fields: &'static [Field], values: &Fields) -> Raw {
    let mut raw = Raw::new();
    for field in fields.iter().filter(|f| f.typed()) {
        match values.get(field.tag) {
            None => {}
            Some(Value::Codes(codes)) => raw.extend(codes.iter().map(|c| (field.name.to_owned(), c.clone()))),
            Some(Value::Flag(yes)) => raw.extend(yes.then(|| (field.name.to_owned(), "1".to_owned()))),
            Some(Value::Link(id)) => raw.push((field.name.to_owned(), id.to_string())),
            Some(Value::Rows(rows)) => {
                let Widget::Rows(columns) = field.widget else { continue };
                for (i, row) in rows.iter().enumerate() {
                    let inner = to_raw(columns, row);
                    raw.extend(inner.into_iter().map(|(n, v)| (format!("{}.{i}.{n}", field.name), v)));
                }
            }
            Some(Value::Text(t)) => raw.push((field.name.to_owned(), t.clone())),
            Some(v) => raw.push((field.name.to_owned(), v.display(Some(field)))),
        }
    }
    raw
}

/// The pairs that [`parse`] reads, as they were typed, and no others: rows that are to go, names that are none of the
/// form's, and empty texts are left out.
pub fn read_pairs(fields: &'static [Field], raw: &Raw) -> Raw {
    let mut out = Raw::new();
    for field in fields.iter().filter(|f| f.typed()) {
        match field.widget {
            Widget::Rows(columns) => {
                for n in row_numbers(raw, field.name) {
                    let prefix = format!("{}.{n}.", field.name);
                    let own = own_row(&prefix, raw);
                    if !is_removed(&own) {
                        let inner = read_pairs(columns, &own).into_iter();
                        out.extend(inner.map(|(name, text)| (format!("{prefix}{name}"), text)));
                    }
                }
            }
            Widget::Choices(_) => {
                let all = raw.iter().filter(|(n, v)| n == field.name && !v.trim().is_empty());
                out.extend(all.cloned());
            }
            _ => {
                let first = raw.iter().find(|(n, _)| n == field.name);
                out.extend(first.filter(|(_, v)| !v.trim().is_empty()).cloned());
            }
        }
    }
    out
}

/// The first text of a name, trimmed.
pub fn first<'a>(raw: &'a Raw, name: &str) -> &'a str {
    raw.iter().find(|(n, _)| n == name).map_or("", |(_, v)| v.trim())
}

/// Row numbers that occur for a rows field, in order; of a form with far too many rows the first
/// [`limits::ROWS_SHOWN`].
pub fn row_numbers(raw: &Raw, name: &str) -> Vec<usize> {
    all_row_numbers(raw, name).into_iter().take(limits::ROWS_SHOWN).collect()
}

fn all_row_numbers(raw: &Raw, name: &str) -> BTreeSet<usize> {
    let prefix = format!("{name}.");
    raw.iter().filter_map(|(n, _)| n.strip_prefix(&prefix)?.split('.').next()?.parse().ok()).collect()
}

fn value(field: &'static Field, name: &str, raw: &Raw, problems: &mut Vec<Problem>) -> Option<Value> {
    let mut bad = |message: String| {
        problems.push((name.to_owned(), message));
        None
    };
    let text = first(raw, name);
    match field.widget {
        Widget::Rows(columns) => return rows(field, columns, raw, problems),
        Widget::Choices(dict) => return codes(dict, name, raw, problems),
        Widget::Flag => return matches!(text, "1" | "是" | "true" | "on").then_some(Value::Flag(true)),
        _ if text.is_empty() => return None,
        _ => {}
    }
    match field.widget {
        Widget::Date(partial) => match text.parse::<Day>() {
            Ok(day) if partial || day.is_full() => Some(Value::Day(day)),
            _ => bad(format!("{}请写成 2026-03-05 这样的日期。", field.label)),
        },
        Widget::Int(low, high) => match text.parse::<i64>() {
            Ok(n) if (low..=high).contains(&n) => Some(Value::Int(n)),
            _ => bad(format!("{}请填 {low} 到 {high} 之间的整数。", field.label)),
        },
        Widget::Choice(dict) => match dict.code(text) {
            Some(code) => Some(Value::Text(code.to_owned())),
            None => bad(format!("{}请从列表中选择。", field.label)),
        },
        Widget::Link(_) => match text.parse::<RecordId>() {
            Ok(id) => Some(Value::Link(id)),
            Err(_) => bad(format!("{}请从列表中选择。", field.label)),
        },
        Widget::OpenChoice(dict) if dict.code(text).is_some() => {
            dict.code(text).map(|code| Value::Text(code.to_owned()))
        }
        _ => words(field, text).map_or_else(bad, |t| (!t.is_empty()).then_some(Value::Text(t))),
    }
}

/// Characters that show nothing: soft hyphen, joiners, directions, fillers.
const INVISIBLE: [std::ops::RangeInclusive<char>; 6] = [
    '\u{ad}'..='\u{ad}',
    '\u{115f}'..='\u{1160}',
    '\u{200b}'..='\u{200f}',
    '\u{202a}'..='\u{202e}',
    '\u{2060}'..='\u{206f}',
    '\u{feff}'..='\u{feff}',
];

/// Words that must be there (an opinion, a reason): something to read, within a bound, in several lines.
pub fn remark(label: &str, text: &str, max: usize) -> Result<String, String> {
    let blank = |c: char| c.is_whitespace() || c.is_control() || INVISIBLE.iter().any(|r| r.contains(&c));
    if text.chars().all(blank) {
        return Err(format!("请填写{label}。"));
    }
    bounded(label, text.trim(), max, false)
}

fn words(field: &Field, text: &str) -> Result<String, String> {
    bounded(field.label, text, field.max, !matches!(field.widget, Widget::Area))
}

fn bounded(label: &str, text: &str, max: usize, one_line: bool) -> Result<String, String> {
    let mut text = text.replace("\r\n", "\n").replace('\r', "\n");
    text.retain(|c| !text::is_direction(c));
    let text = text.trim().to_owned();
    let count = text.chars().count();
    if count > max {
        return Err(format!("{label}最多 {max} 个字，现有 {count} 个字，请缩短。"));
    }
    if text.chars().any(|c| c.is_control() && (one_line || !matches!(c, '\n' | '\t'))) {
        return Err(format!("{label}含有不可见的控制字符，请删除后重新输入。"));
    }
    Ok(text)
}

fn codes(dict: &Dict, name: &str, raw: &Raw, problems: &mut Vec<Problem>) -> Option<Value> {
    let mut codes = Vec::new();
    for (_, text) in raw.iter().filter(|(n, v)| n == name && !v.trim().is_empty()) {
        match dict.code(text.trim()) {
            Some(code) if !codes.iter().any(|c| c == code) => codes.push(code.to_owned()),
            Some(_) => {}
            None => problems.push((name.to_owned(), "请从列表中选择。".to_owned())),
        }
    }
    (!codes.is_empty()).then_some(Value::Codes(codes))
}

/// The pairs of one row, by the names of its columns.
fn own_row(prefix: &str, raw: &Raw) -> Raw {
    raw.iter().filter_map(|(k, v)| Some((k.strip_prefix(prefix)?.to_owned(), v.clone()))).collect()
}

fn is_removed(row: &Raw) -> bool {
    !first(row, "remove").is_empty()
}

fn rows(
    field: &'static Field,
    columns: &'static [Field],
    raw: &Raw,
    problems: &mut Vec<Problem>,
) -> Option<Value> {
    let mut rows = Vec::new();
    for n in row_numbers(raw, field.name) {
        let prefix = format!("{}.{n}.", field.name);
        let own = own_row(&prefix, raw);
        if is_removed(&own) || own.iter().all(|(_, v)| v.trim().is_empty()) {
            continue;
        }
        let (values, wrong) = parse(columns, &own);
        problems.extend(wrong.into_iter().map(|(k, m)| (format!("{prefix}{k}"), m)));
        rows.push(values);
    }
    let (sent, most, shown) = (all_row_numbers(raw, field.name).len(), limits::ROWS_MAX, limits::ROWS_SHOWN);
    if sent > shown {
        let text = format!("{}最多 {most} 行，这次有 {sent} 行；第 {shown} 行以后的没有保留，请分次填写。", field.label);
        problems.push((field.name.to_owned(), text));
    } else if rows.len() > most {
        problems.push((field.name.to_owned(), format!("{}最多 {most} 行。", field.label)));
    }
    (!rows.is_empty()).then_some(Value::Rows(rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    static COLUMNS: &[Field] = &[Field::new(1, "name", "姓名", Widget::Line).required()];
    static FIELDS: &[Field] = &[
        Field::new(16, "title", "标题", Widget::Line).required().max(5),
        Field::new(17, "day", "日期", Widget::Date(false)),
        Field::new(18, "who", "人员", Widget::Rows(COLUMNS)),
        Field::new(19, "n", "人数", Widget::Int(1, 9)),
    ];

    fn raw(pairs: &[(&str, &str)]) -> Raw {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn reports_all_problems_at_once() {
        let typed = raw(&[("day", "2026-02-30"), ("who.0.other", "x"), ("n", "12")]);
        let (_, problems) = parse(FIELDS, &typed);
        let names: Vec<&str> = problems.iter().map(|(n, _)| n.as_str()).collect();
        assert_eq!(names, ["title", "day", "who.0.name", "n"]);
    }

    /// ASVS 1.3.3
    #[test]
    fn bounds_are_in_characters_and_control_characters_are_refused() {
        assert!(parse(FIELDS, &raw(&[("title", "一二三四五")])).1.is_empty());
        assert_eq!(parse(FIELDS, &raw(&[("title", "一二三四五六")])).1.len(), 1);
        assert_eq!(parse(FIELDS, &raw(&[("title", "a\u{7}b")])).1.len(), 1);
    }

    /// A name that turned its own direction looked like another name.
    #[test]
    fn what_turns_the_direction_of_a_text_is_left_out() {
        let title = |text: &str| parse(FIELDS, &raw(&[("title", text)]));
        assert_eq!(title("甲\u{202e}gpj\u{2066}").0.text(16), "甲gpj");
        assert_eq!(title("\u{202e}").1, [("title".to_owned(), "请填写标题。".to_owned())]);
    }

    /// Rows numbered 400 and above were left out without a word.
    #[test]
    fn a_row_counts_whatever_its_number_and_too_many_are_told() {
        let typed = |numbers: std::ops::Range<usize>| -> Raw {
            let rows = numbers.map(|n| (format!("who.{n}.name"), "甲".to_owned()));
            std::iter::once(("title".to_owned(), "x".to_owned())).chain(rows).collect()
        };
        let (fields, problems) = parse(FIELDS, &typed(400..600));
        assert!(problems.is_empty() && fields.rows(18).len() == 200, "{problems:?}");
        for (rows, words) in [(201, "人员最多 200 行"), (401, "这次有 401 行；第 400 行以后的没有保留")] {
            let (_, problems) = parse(FIELDS, &typed(0..rows));
            assert!(problems.len() == 1 && problems[0].0 == "who" && problems[0].1.contains(words), "{problems:?}");
        }
        let last = typed(0..1).into_iter().chain([(format!("who.{}.name", usize::MAX), "乙".to_owned())]).collect();
        assert_eq!(parse(FIELDS, &last).0.rows(18).len(), 2);
    }

    /// ASVS 15.3.3
    #[test]
    fn what_is_read_is_all_that_is_kept_of_what_was_sent() {
        let typed = raw(&[
            ("title", "一"),
            ("title", "二"),
            ("csrf", "x"),
            ("day", " "),
            ("who.0.name", "甲"),
            ("who.0.other", "x"),
            ("who.1.name", "乙"),
            ("who.1.remove", "1"),
            ("who.900.name", "丙"),
        ]);
        let kept = read_pairs(FIELDS, &typed);
        assert_eq!(kept, raw(&[("title", "一"), ("who.0.name", "甲"), ("who.900.name", "丙")]));
        assert_eq!(parse(FIELDS, &kept).0, parse(FIELDS, &typed).0);
    }

    #[test]
    fn empty_and_removed_rows_vanish() {
        let typed = raw(&[
            ("title", "x"),
            ("who.0.name", ""),
            ("who.2.name", "甲"),
            ("who.3.name", "乙"),
            ("who.3.remove", "1"),
        ]);
        let (fields, problems) = parse(FIELDS, &typed);
        assert!(problems.is_empty());
        assert_eq!(fields.rows(18).len(), 1);
    }
}

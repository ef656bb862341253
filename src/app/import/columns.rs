//! Columns of ledgers (台账): which field a Chinese column head means, and how a row of cells becomes the JSON object
//! that every import understands. What a person decided about a column overrules the guess.
//!
//! A column that may tell who the petitioner is goes to the identity part even when no field fits it.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use super::targets::PETITIONER_OTHER;
pub use super::targets::{IGNORE, REMARKS, TARGETS, Target, words};
use crate::base::text::folded_chars;
use crate::base::{Result, limits};
use crate::foreign::Item;
use crate::records::{Widget, petition};

/// Parts of heads that speak of the petitioner, unless they speak of the accused.
const PETITIONER_WORDS: &[&str] = &[
    "举报人",
    "信访人",
    "检举人",
    "控告人",
    "来信人",
    "来访人",
    "反映人",
    "上访人",
    "电话",
    "手机",
    "身份证",
    "住址",
    "联系人",
    "联系方式",
];

/// How the rows of a sheet are read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// Name of the sheet.
    pub sheet: String,
    /// Row of the heads, from 1.
    pub head_row: u64,
    /// Heads as they stand.
    pub heads: Vec<String>,
    /// What becomes of each column: the name of a target, [`REMARKS`] or [`IGNORE`].
    pub targets: Vec<String>,
}

/// A sheet as its first rows show it.
#[derive(Clone, Debug, Default)]
pub struct Sheet {
    /// The layout that was guessed.
    pub layout: Layout,
    /// The first rows below the heads.
    pub rows: Rows,
}

/// Rows by their number.
pub type Rows = Vec<(u64, Vec<String>)>;

/// What becomes of columns with these heads. Each field is taken once; the rest goes to the remarks.
pub fn guess(heads: &[String]) -> Vec<String> {
    let bare: Vec<String> = heads.iter().map(|h| bare(h)).collect();
    let mut taken = vec![String::new(); heads.len()];
    for target in TARGETS {
        let free = |w: &&str| (0..bare.len()).find(|n| taken[*n].is_empty() && bare[*n] == *w);
        if let Some(n) = target.heads.iter().chain([&target.label]).find_map(free) {
            taken[n] = target.name.to_owned();
        }
    }
    for n in 0..heads.len() {
        if taken[n].is_empty() {
            taken[n] = nearest(&bare[n], &taken).to_owned();
        }
    }
    taken
}

/// The target with the longest head that stands within this one; else by whom the head speaks of.
fn nearest(head: &str, taken: &[String]) -> &'static str {
    let petitioner = speaks_of_petitioner(head);
    let free = TARGETS.iter().filter(|t| t.identity() == petitioner && !taken.iter().any(|n| n == t.name));
    let within = free.flat_map(|t| t.heads.iter().map(move |h| (h.chars().count(), t.name, *h)));
    let best =
        within.filter(|(length, _, h)| *length >= 4 && head.contains(h)).max_by_key(|(length, ..)| *length);
    match best {
        Some((_, name, _)) => name,
        None if matches!(head, "" | "序号" | "no") => IGNORE,
        None if petitioner => PETITIONER_OTHER,
        None => REMARKS,
    }
}

fn speaks_of_petitioner(head: &str) -> bool {
    let own = head.replace("被举报人", "").replace("被检举控告人", "").replace("被反映人", "");
    let own = own.replace("被控告人", "").replace("被检举人", "");
    PETITIONER_WORDS.iter().any(|w| own.contains(w))
}

/// A head without blanks, brackets and what they hold, marks of obligation.
fn bare(head: &str) -> String {
    let mut depth = 0_u32;
    let mut out = String::new();
    for c in folded_chars(head) {
        match c {
            '(' | '[' | '〔' | '【' => depth += 1,
            ')' | ']' | '〕' | '】' => depth = depth.saturating_sub(1),
            c if depth == 0 && (c.is_alphanumeric() || c == '_' || c == '.') => out.push(c),
            _ => {}
        }
    }
    out
}

/// Looks through a file: its sheets with where the heads stand, what they mean and the first rows; the rows below the
/// heads of each; what the reader wants known.
pub fn look(items: impl Iterator<Item = Result<Item>>) -> Result<(Vec<Sheet>, Vec<u64>, Vec<String>)> {
    let mut sheets: Vec<(String, Rows, u64)> = Vec::new();
    let mut notes = Vec::new();
    for item in items {
        match item? {
            Item::Sheet(name) => sheets.push((name, Vec::new(), 0)),
            Item::Row { number, cells } => {
                let Some((_, rows, count)) = sheets.last_mut() else { continue };
                *count += 1;
                if rows.len() < limits::IMPORT_PREVIEW_ROWS {
                    rows.push((number, cells));
                }
            }
            Item::Note(note) => notes.push(note),
            _ => {}
        }
    }
    let filled = sheets.into_iter().filter(|(_, rows, _)| !rows.is_empty());
    let (sheets, totals) = filled
        .map(|(name, rows, count)| {
            let (sheet, above) = sheet(name, rows);
            (sheet, count.saturating_sub(above))
        })
        .unzip();
    Ok((sheets, totals, notes))
}

/// The heads are the first of the leading rows that most of the known columns are guessed from. Returns how many rows
/// the heads and what stands above them are.
fn sheet(name: String, mut rows: Rows) -> (Sheet, u64) {
    let known = |cells: &[String]| known(&guess(cells));
    let lead = rows.iter().take(limits::IMPORT_HEAD_ROWS).enumerate();
    let best = lead.max_by_key(|(n, (_, cells))| (known(cells), std::cmp::Reverse(*n))).map_or(0, |(n, _)| n);
    let (head_row, heads) = rows.get(best).cloned().unwrap_or_default();
    rows.drain(..=best);
    let targets = guess(&heads);
    (Sheet { layout: Layout { sheet: name, head_row, heads, targets }, rows }, best as u64 + 1)
}

fn known(targets: &[String]) -> usize {
    targets.iter().filter(|t| ![REMARKS, IGNORE].contains(&t.as_str())).count()
}

/// The label of a field that two columns go to and that takes only one; persons' names and long texts take several.
pub fn taken_twice(targets: &[String]) -> Option<&'static str> {
    let many = |t: &Target| matches!(t.name, "text" | "result" | "remarks" | PETITIONER_OTHER);
    let twice = |t: &&Target| !many(t) && targets.iter().filter(|n| *n == t.name).count() > 1;
    TARGETS.iter().find(twice).map(|t| t.label)
}

impl Sheet {
    /// Columns that go to a field.
    pub fn known(&self) -> usize {
        known(&self.layout.targets)
    }
}

impl Layout {
    /// What became of each head.
    pub fn map(&self) -> BTreeMap<String, String> {
        let named = self.heads.iter().zip(&self.targets).filter(|(h, _)| !h.is_empty());
        named.map(|(h, t)| (h.clone(), t.clone())).collect()
    }

    /// Takes over what became of these heads before.
    pub fn remember(&mut self, map: &BTreeMap<String, String>) {
        for (target, head) in self.targets.iter_mut().zip(&self.heads) {
            let known = map
                .get(head)
                .filter(|t| [REMARKS, IGNORE].contains(&t.as_str()) || TARGETS.iter().any(|c| c.name == **t));
            if let Some(known) = known {
                target.clone_from(known);
            }
        }
    }

    /// The object of a row.
    pub fn object(&self, cells: &[String]) -> Map<String, Json> {
        let mut flat: Map<String, Json> = Map::new();
        let mut petitioner = Map::new();
        let mut accused: Vec<Map<String, Json>> = Vec::new();
        for (n, cell) in cells.iter().enumerate() {
            let text = cell.trim();
            let (target, head) = (self.target(n), self.heads.get(n).map_or("", String::as_str));
            if text.is_empty() || target == IGNORE {
                continue;
            }
            if let Some(name) = target.strip_prefix("petitioner.") {
                join(&mut petitioner, name, text, (name == "other").then_some(head));
            } else if let Some(name) = target.strip_prefix("accused.") {
                persons(&mut accused, name, text);
            } else if target == REMARKS {
                let head = if head.is_empty() { format!("第{}列", n + 1) } else { head.to_owned() };
                join(&mut flat, &unique(&head), text, None);
            } else {
                join(&mut flat, target, &tidy(target, text), None);
            }
        }
        complete(&mut flat, &accused);
        if !petitioner.is_empty() {
            flat.insert("petitioner".into(), Json::Object(petitioner));
        }
        if !accused.is_empty() {
            flat.insert("accused".into(), Json::Array(accused.into_iter().map(Json::Object).collect()));
        }
        flat
    }

    fn target(&self, column: usize) -> &str {
        self.targets.get(column).map_or(REMARKS, String::as_str)
    }

    /// The head a problem's column came from: `accused.0.rank` came from what went to `accused.rank`.
    pub fn head_of(&self, column: &str) -> String {
        let plain: Vec<&str> = column.split('.').filter(|p| p.parse::<usize>().is_err()).collect();
        let plain = plain.join(".");
        let place = self.targets.iter().position(|t| *t == plain);
        let place = place.or_else(|| {
            self.targets.iter().position(|t| plain.len() > 1 && t.starts_with(&format!("{plain}.")))
        });
        if let Some(head) = place.and_then(|n| self.heads.get(n)) {
            return head.clone();
        }
        let label = TARGETS.iter().find(|t| t.name == plain).map(|t| t.label);
        label.map_or_else(|| column.to_owned(), str::to_owned)
    }
}

/// A head that is the name of a field would be taken for that field: remarks keep it apart.
fn unique(head: &str) -> String {
    let field =
        petition::KIND.field_named(head).is_some() || ["petitioner", "accused", "unit"].contains(&head);
    if field { format!("{head}（列）") } else { head.to_owned() }
}

fn join(object: &mut Map<String, Json>, name: &str, text: &str, head: Option<&str>) {
    let text = head.filter(|h| !h.is_empty()).map_or_else(|| text.to_owned(), |h| format!("{h}：{text}"));
    let whole = match object.get(name) {
        Some(Json::String(have)) => format!("{have}\n{text}"),
        _ => text,
    };
    object.insert(name.to_owned(), Json::String(whole));
}

/// Several persons stand in one cell, one below the other or with marks between.
fn persons(accused: &mut Vec<Map<String, Json>>, name: &str, text: &str) {
    let split =
        |c: char| matches!(c, '\n' | '、' | ';' | '；') || (name == "name" && matches!(c, ',' | '，'));
    let parts: Vec<&str> = text.split(split).map(str::trim).filter(|p| !p.is_empty()).collect();
    let apart = name == "name" || parts.len() == accused.len();
    let parts = if apart { parts } else { vec![text] };
    for (n, part) in parts.iter().enumerate() {
        if accused.len() <= n {
            accused.push(Map::new());
        }
        accused[n].insert(name.to_owned(), Json::String((*part).to_owned()));
    }
}

/// Dates lose the time of day, and take the eight digits of other systems.
fn tidy(target: &str, text: &str) -> String {
    let date = petition::KIND.field_named(target).is_some_and(|f| matches!(f.widget, Widget::Date(_)));
    if !date {
        return text.to_owned();
    }
    let day = text.split([' ', 'T', '\u{3000}']).next().unwrap_or(text);
    if day.len() == 8 && day.bytes().all(|b| b.is_ascii_digit()) {
        return format!("{}-{}-{}", &day[..4], &day[4..6], &day[6..]);
    }
    day.to_owned()
}

/// Ledgers have a title or a text; the other follows from it. A title never tells the petitioner.
fn complete(flat: &mut Map<String, Json>, accused: &[Map<String, Json>]) {
    let text =
        |flat: &Map<String, Json>, name: &str| flat.get(name).and_then(Json::as_str).map(str::to_owned);
    match (text(flat, "title"), text(flat, "text")) {
        (Some(title), None) => {
            flat.insert("text".into(), Json::String(title));
        }
        (None, Some(_)) => {
            let first = accused.first();
            let word =
                |name: &str| first.and_then(|a| a.get(name)).and_then(Json::as_str).unwrap_or_default();
            let about = [word("org"), word("name")].concat();
            let place = text(flat, "place").or_else(|| text(flat, "accused_org")).unwrap_or_default();
            let about = if about.is_empty() { place } else { about };
            let title = if about.is_empty() {
                "信访反映有关问题".to_owned()
            } else {
                format!("反映{about}有关问题")
            };
            flat.insert("title".into(), Json::String(title.chars().take(limits::LINE_CHARS).collect()));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heads(words: &[&str]) -> Vec<String> {
        words.iter().map(|w| (*w).to_owned()).collect()
    }

    #[test]
    fn heads_of_common_ledgers_are_understood() {
        for (head, name) in [
            ("收件日期", "received"),
            ("被反映人 姓名", "accused.name"),
            ("被举报人（对象）", "accused.name"),
            ("反映人姓名", "petitioner.name"),
            ("*联系电话", "petitioner.phone"),
            ("主要内容（不超过500字）", "text"),
            ("被反映人单位", "accused.org"),
            ("举报人身份证号码（18位）", "petitioner.id_number"),
            ("举报人民族", "petitioner.other"),
            ("涉及金额", REMARKS),
            ("序号", IGNORE),
        ] {
            assert_eq!(guess(&heads(&[head])), [name], "{head}");
        }
    }

    #[test]
    fn every_target_is_a_field_and_every_field_is_guessed_from_its_label() {
        for target in TARGETS.iter().filter(|t| t.name != "unit") {
            let known = match target.name.strip_prefix("accused.") {
                Some(name) => petition::ACCUSED_FIELDS.iter().any(|f| f.name == name),
                None => petition::KIND.field_named(target.name).is_some(),
            };
            assert!(known, "{}", target.name);
            assert_eq!(guess(&heads(&[target.label])), [target.name], "{}", target.label);
        }
    }

    #[test]
    fn a_field_is_taken_once_and_no_head_tells_the_petitioner_to_the_remarks() {
        let both = guess(&heads(&["日期", "登记日期", "内容", "反映内容"]));
        assert_eq!(both, [REMARKS, "received", "text", REMARKS]);
        for word in PETITIONER_WORDS {
            let head = format!("{word}某项");
            assert!(guess(&heads(&[&head]))[0].starts_with("petitioner."), "{head}");
        }
    }

    #[test]
    fn a_row_becomes_an_object() {
        let heads = heads(&["日期", "被反映人", "单位", "职务", "内容", "举报人", "金额", "title"]);
        let mut layout = Layout { targets: guess(&heads), heads, ..Layout::default() };
        layout.targets[7] = REMARKS.to_owned();
        let cells: Vec<String> =
            ["20240305", "赵甲、钱乙", "河东村", "主任、会计", "虚报面积", "孙丙", "5万元", "x"]
                .map(str::to_owned)
                .to_vec();
        let object = Json::Object(layout.object(&cells));
        let want = serde_json::json!({
            "received": "2024-03-05", "title": "反映河东村赵甲有关问题", "text": "虚报面积", "金额": "5万元", "title（列）": "x",
            "petitioner": { "name": "孙丙" },
            "accused": [{ "name": "赵甲", "org": "河东村", "post": "主任" }, { "name": "钱乙", "post": "会计" }],
        });
        assert_eq!(object, want);
        assert_eq!(layout.head_of("accused.1.rank"), "被检举控告人职级");
        assert_eq!(layout.head_of("accused.0.post"), "职务");
        assert_eq!(layout.head_of("received"), "日期");
    }

    #[test]
    fn the_heads_are_found_below_a_heading() {
        let row = |number, cells: &[&str]| Ok(Item::Row { number, cells: heads(cells) });
        let items = vec![
            Ok(Item::Sheet("台账".into())),
            row(1, &["官渡镇信访举报台账"]),
            row(3, &["序号", "收件日期", "被反映人", "主要问题"]),
            row(4, &["1", "2024-01-02", "赵甲", "虚报面积"]),
        ];
        let (sheets, totals, _) = look(items.into_iter()).unwrap();
        assert_eq!(totals, [1]);
        assert_eq!(sheets[0].layout.head_row, 3);
        assert_eq!(sheets[0].layout.targets, [IGNORE, "received", "accused.name", "text"]);
        assert_eq!(sheets[0].rows.len(), 1);
    }
}

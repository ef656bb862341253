//! Columns of ledgers (台账): which field a Chinese column head means, and how a row of cells becomes the JSON object
//! that every import understands. What a person decided about a column overrules the guess.
//!
//! A column that may tell who the petitioner is goes to the identity part even when no field fits it.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use crate::base::text::folded_chars;
use crate::base::{Result, limits};
use crate::foreign::Item;
use crate::records::{Widget, petition};

/// What becomes of a column: a field, or one of the two below.
#[derive(Debug)]
pub struct Target {
    /// Name of the field, as rows of JSON lines have it: `accused.name`, `petitioner.phone`.
    pub name: &'static str,
    /// What users read.
    pub label: &'static str,
    /// Heads that mean it, folded, without blanks and marks; the first that fits wins.
    heads: &'static [&'static str],
}

/// The column goes to the remarks, with its head.
pub const REMARKS: &str = "+";
/// The column is left out.
pub const IGNORE: &str = "-";
/// The column goes to what else is known of the petitioner, sealed.
const PETITIONER_OTHER: &str = "petitioner.other";

const fn target(name: &'static str, label: &'static str, heads: &'static [&'static str]) -> Target {
    Target { name, label, heads }
}

/// Everything a column of a petition ledger can be.
pub static TARGETS: &[Target] = &[
    target(
        "ref",
        "外部编号",
        &["外部编号", "信访编号", "信访件编号", "编号", "登记号", "登记编号", "受理编号", "件号", "ref"],
    ),
    target(
        "received",
        "收到时间",
        &[
            "收到时间",
            "收件日期",
            "收信日期",
            "来信日期",
            "来访日期",
            "受理日期",
            "受理时间",
            "登记日期",
            "登记时间",
            "收到日期",
            "信访日期",
            "收件时间",
            "日期",
            "时间",
            "received",
        ],
    ),
    target(
        "channel",
        "信访形式",
        &[
            "信访形式",
            "信访方式",
            "信访渠道",
            "举报方式",
            "举报渠道",
            "反映方式",
            "反映渠道",
            "渠道",
            "形式",
            "channel",
        ],
    ),
    target("origin", "来源", &["来源", "信访来源", "件来源", "线索来源", "origin"]),
    target("repeat", "初次或重复", &["初次或重复", "初重信", "初信重信", "是否重复", "重复情况", "repeat"]),
    target("people", "联名或来访人数", &["联名或来访人数", "来访人数", "联名人数", "人数", "people"]),
    target("origin_number", "原编号", &["原编号", "上级编号", "交办编号", "转办编号", "origin_number"]),
    target("assigned_by", "交办文号", &["交办文号", "转办文号", "assigned_by"]),
    target(
        "assigned_due",
        "要求办结日期",
        &["要求办结日期", "要求办结时间", "限办日期", "办理期限", "办结期限", "assigned_due"],
    ),
    target("title", "标题", &["标题", "信访标题", "题目", "事由", "摘要", "信访摘要", "title"]),
    target(
        "text",
        "内容",
        &[
            "内容",
            "反映内容",
            "信访内容",
            "举报内容",
            "主要内容",
            "反映的主要问题",
            "反映主要问题",
            "主要问题",
            "反映问题",
            "问题描述",
            "问题概述",
            "内容摘要",
            "正文",
            "text",
        ],
    ),
    target("happened", "问题发生时间", &["问题发生时间", "发生时间", "发生日期", "案发时间", "happened"]),
    target("place", "地点", &["地点", "发生地点", "问题发生地", "属地", "所属乡镇", "乡镇", "地区", "place"]),
    target("nature", "信访性质", &["信访性质", "性质", "问题性质", "nature"]),
    target(
        "categories",
        "问题类别",
        &["问题类别", "问题类型", "违纪类型", "问题性质类别", "类别", "categories"],
    ),
    target(
        "accused.name",
        "被检举控告人姓名",
        &[
            "被检举控告人",
            "被检举控告人姓名",
            "被反映人",
            "被反映人姓名",
            "被举报人",
            "被举报人姓名",
            "被控告人",
            "被检举人",
            "被举报对象",
            "反映对象",
            "举报对象",
            "涉及人员",
            "accused",
        ],
    ),
    target(
        "accused.org",
        "被检举控告人单位",
        &[
            "被检举控告人单位",
            "被反映人单位",
            "被举报人单位",
            "被反映人工作单位",
            "被举报人工作单位",
            "被反映单位",
            "被举报单位",
            "被反映人所在单位",
            "涉及单位",
            "单位",
        ],
    ),
    target(
        "accused.post",
        "被检举控告人职务",
        &["被检举控告人职务", "被反映人职务", "被举报人职务", "单位及职务", "单位职务", "职务"],
    ),
    target(
        "accused.rank",
        "被检举控告人职级",
        &["被检举控告人职级", "被反映人职级", "被举报人职级", "职级", "级别", "行政级别"],
    ),
    target(
        "accused.political",
        "被检举控告人政治面貌",
        &["被检举控告人政治面貌", "被反映人政治面貌", "被举报人政治面貌"],
    ),
    target("accused_org", "被反映组织", &["被反映组织", "被举报组织", "被检举控告组织", "accused_org"]),
    target(
        "signed",
        "署名情况",
        &["署名情况", "署名", "是否署名", "是否实名", "实名匿名", "实名或匿名", "signed"],
    ),
    target("feedback", "要求反馈", &["要求反馈", "是否反馈", "是否要求反馈", "feedback"]),
    target(
        "petitioner.name",
        "检举控告人姓名",
        &[
            "检举控告人",
            "检举控告人姓名",
            "举报人",
            "举报人姓名",
            "信访人",
            "信访人姓名",
            "来信人",
            "来信人姓名",
            "来访人",
            "来访人姓名",
            "反映人",
            "反映人姓名",
            "控告人",
            "检举人",
            "署名人",
            "上访人",
            "诉求人",
        ],
    ),
    target(
        "petitioner.phone",
        "检举控告人电话",
        &[
            "检举控告人电话",
            "举报人电话",
            "举报人联系电话",
            "信访人电话",
            "反映人电话",
            "联系电话",
            "联系方式",
            "手机",
            "手机号",
            "手机号码",
            "电话",
            "电话号码",
        ],
    ),
    target(
        "petitioner.address",
        "检举控告人地址",
        &[
            "检举控告人地址",
            "举报人地址",
            "信访人地址",
            "反映人地址",
            "联系地址",
            "家庭住址",
            "住址",
            "地址",
            "通讯地址",
        ],
    ),
    target(
        "petitioner.org",
        "检举控告人工作单位",
        &["检举控告人单位", "举报人单位", "信访人单位", "举报人工作单位", "反映人单位"],
    ),
    target("petitioner.post", "检举控告人职务", &["举报人职务", "信访人职务", "反映人职务"]),
    target(
        "petitioner.id_number",
        "检举控告人身份证号",
        &["身份证", "身份证号", "身份证号码", "举报人身份证号", "信访人身份证号"],
    ),
    target(PETITIONER_OTHER, "检举控告人其他信息", &["举报人其他信息"]),
    target(
        "unit",
        "登记机构",
        &["登记机构", "登记单位", "受理单位", "受理机构", "承办单位", "办理单位", "经办单位", "unit"],
    ),
    target("method", "办理方式", &["办理方式", "处理方式", "method"]),
    target(
        "result",
        "办理结果",
        &["办理结果", "处理结果", "办结情况", "办理情况", "查处结果", "处置结果", "result"],
    ),
    target("truth", "属实程度", &["属实程度", "是否属实", "truth"]),
    target("remarks", "备注", &["备注", "说明", "remarks"]),
];

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

/// A target as users read it.
pub fn words(target: &str) -> &'static str {
    match target {
        REMARKS => "备注（保留列名）",
        IGNORE => "不导入",
        _ => TARGETS.iter().find(|t| t.name == target).map_or("备注（保留列名）", |t| t.label),
    }
}

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

impl Target {
    fn identity(&self) -> bool {
        self.name.starts_with("petitioner.")
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

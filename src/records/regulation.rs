//! Regulation (法律法规): a law or party rule with its number, dates and whether it is in force. Its articles are records
//! of their own (`article`), and versions of one regulation point at each other.

use super::dict::{Dict, entry};
use super::flow::{Duty, Flow, Move, State, Tone};
use super::grant::{KEEP, SEE};
use super::{Field, Fields, Grant, Kind, Record, Right, Scope, Search, Value, Widget};
use crate::base::{Day, limits};

/// Tags other files name.
pub mod tag {
    #![expect(missing_docs, reason = "each is explained by its row in FIELDS")]
    pub const TITLE: u16 = 16;
    pub const NUMBER: u16 = 17;
    pub const PUBLISHED: u16 = 20;
    pub const STATUS: u16 = 22;
    pub const TEXT: u16 = 23;
    pub const REPLACES: u16 = 24;
    pub const REF: u16 = 25;
    pub const VERSION_KEY: u16 = 27;
    pub const REMARKS: u16 = 28;
    pub const TRAIL: u16 = 29;
}
use tag::*;

static LEVELS: Dict = Dict {
    name: "level",
    source: "党内法规制定条例；立法法（名称待核）",
    entries: &[
        entry("charter", "党章"),
        entry("norms", "准则"),
        entry("ordinance", "条例"),
        entry("provision", "规定"),
        entry("measure", "办法"),
        entry("rule", "规则"),
        entry("detail", "细则"),
        entry("normative", "规范性文件"),
        entry("constitution", "宪法"),
        entry("law", "法律"),
        entry("supervision", "监察法规"),
        entry("administrative", "行政法规"),
        entry("local", "地方性法规"),
        entry("interpretation", "司法解释"),
        entry("departmental", "部门规章"),
        entry("local-rule", "地方规章"),
        entry("other", "其他"),
    ],
};

/// 时效性: shared with the articles.
pub(super) static STATUSES: Dict = Dict {
    name: "status",
    source: "时效性（默认）",
    entries: &[
        entry("future", "尚未生效"),
        entry("in-force", "现行有效"),
        entry("amended", "已被修改"),
        entry("repealed", "已废止/失效"),
    ],
};

const HEAD: &str = "基本信息";
const BODY: &str = "正文";

static FIELDS: &[Field] = &[
    Field::new(TITLE, "title", "标题", Widget::Line).required().group(HEAD).search(Search::Title),
    Field::new(NUMBER, "number", "文号", Widget::Line).group(HEAD).search(Search::Number),
    Field::new(18, "issuer", "制定机关", Widget::Line).group(HEAD).search(Search::Names),
    Field::new(19, "level", "效力级别", Widget::OpenChoice(&LEVELS)).kept().group(HEAD),
    Field::new(PUBLISHED, "published", "公布日期", Widget::Date(true)).kept().group(HEAD),
    Field::new(21, "effective", "施行日期", Widget::Date(true)).kept().group(HEAD),
    Field::new(STATUS, "status", "时效性", Widget::OpenChoice(&STATUSES)).kept().group(HEAD),
    Field::new(REPLACES, "replaces", "前一版本", Widget::Link("regulation"))
        .group(HEAD)
        .help("前一版本的记录号（其页面地址末尾的数字）；同名法规会自动列为其他版本"),
    Field::new(TEXT, "text", "题注与前言", Widget::Area).group(BODY).search(Search::Body).max(limits::TEXT_CHARS),
    Field::new(VERSION_KEY, "version_key", "版本组", Widget::Hidden),
    Field::new(TRAIL, "trail", "办理过程", Widget::Hidden),
    Field::new(REMARKS, "remarks", "备注", Widget::Area).group(BODY).max(limits::REMARK_CHARS),
    Field::new(REF, "ref", "外部编号", Widget::Line).group(BODY).search(Search::Reference),
];

/// In use, closed, or entered by mistake; whoever keeps regulations decides alone, and says why.
static FLOW: Flow = Flow {
    states: &[
        State { tag: 1, label: "在用", tone: Tone::Done },
        State { tag: 2, label: "已停用", tone: Tone::Quiet },
        State { tag: VOID, label: "已作废", tone: Tone::Void },
    ],
    moves: &[
        Move { name: "close", label: "停用", from: &[1], to: 2, duty: Duty::Handle, opinion: true },
        Move { name: "reopen", label: "恢复使用", from: &[2], to: 1, duty: Duty::Handle, opinion: true },
        Move { name: "void", label: "作废", from: &[1, 2], to: VOID, duty: Duty::Handle, opinion: true },
    ],
    settle: |state, _| state.unwrap_or(1),
    trail: Some(TRAIL),
};

/// State of a regulation that was entered by mistake.
pub const VOID: u8 = 3;

/// Everybody who does business reads regulations; 调研法规室 keeps them, and may ask that one be purged, with its articles.
const GRANTS: &[Grant] = &[
    Grant("handler", SEE, Scope::County),
    Grant("approver", SEE, Scope::County),
    Grant("petition-office", SEE, Scope::County),
    Grant("law-office", KEEP, Scope::County),
    Grant("law-office", &[Right::Purge], Scope::County),
    Grant("office", SEE, Scope::County),
    Grant("publicity-office", SEE, Scope::County),
    Grant("supervision-office", SEE, Scope::County),
    Grant("trial-office", SEE, Scope::County),
    Grant("conduct-office", SEE, Scope::County),
];

/// The kind.
pub static KIND: Kind = Kind {
    tag: 2,
    name: "regulation",
    label: "法律法规",
    group: Some("资料"),
    fields: FIELDS,
    flow: &FLOW,
    title: TITLE,
    day: PUBLISHED,
    number: None,
    columns: &[TITLE, NUMBER, 19, PUBLISHED, STATUS],
    parent: None,
    keys: &[REF, VERSION_KEY],
    unique: false,
    grants: GRANTS,
    along: &[],
    indexed: true,
    check: |fields| {
        let (published, effective) = (fields.day(PUBLISHED), fields.day(21));
        let early = published.is_full() && effective.is_full() && effective < published;
        let message = "施行日期不能早于公布日期。";
        if early { vec![("effective".into(), message.into())] } else { Vec::new() }
    },
    complete: |fields| {
        let key = version_key(fields.text(TITLE));
        fields.insert(VERSION_KEY, Value::Text(key));
    },
    owned: false,
    sensitive: false,
    preset: |_| Fields::default().with_text(STATUS, "in-force"),
    weight,
    sample: |seed| {
        Fields::default()
            .with_text(TITLE, format!("样例规程{seed}"))
            .with_text(NUMBER, format!("样纪办〔2025〕{seed}号"))
            .with(PUBLISHED, Value::Day(Day::ymd(2025, 6, 1 + (seed % 28) as i8).unwrap_or_default()))
    },
};

/// Superseded and repealed texts stand below the one in force, rules below laws.
fn weight(record: &Record) -> f32 {
    match record.fields.text(STATUS) {
        _ if record.state == VOID => 0.6,
        "amended" | "repealed" => 0.6,
        _ => standing(record.fields.text(TITLE)),
    }
}

/// How much a text counts beside others that say the same, by what its title says it is: a law, an ordinance (条例),
/// rules below them; on trial or not.
pub fn standing(title: &str) -> f32 {
    let mut depth = 0_u32;
    let mut plain = String::new();
    for c in title.chars() {
        match c {
            '（' | '(' => depth += 1,
            '）' | ')' => depth = depth.saturating_sub(1),
            c if depth == 0 => plain.push(c),
            _ => {}
        }
    }
    let law = plain.ends_with("法典") || (plain.ends_with('法') && !plain.ends_with("办法"));
    let rank = if law {
        1.0
    } else if plain.ends_with("条例") {
        0.92
    } else {
        0.83
    };
    let trial = ["试行", "暂行", "试点"].iter().any(|word| title.contains(word));
    if trial { rank * 0.92 } else { rank }
}

/// What versions of one regulation share: the title without brackets, years, 试行 and 修订 marks.
pub fn version_key(title: &str) -> String {
    let mut depth = 0_u32;
    let mut key = String::new();
    for c in title.chars().flat_map(crate::base::text::fold) {
        match c {
            '(' | '〔' | '[' | '【' => depth += 1,
            ')' | '〕' | ']' | '】' => depth = depth.saturating_sub(1),
            c if depth == 0 && c.is_alphanumeric() => key.push(c),
            _ => {}
        }
    }
    key.trim_start_matches("中华人民共和国").to_owned()
}

#[cfg(test)]
mod tests {
    use super::{standing, version_key};

    #[test]
    fn laws_stand_above_rules() {
        assert!(standing("中华人民共和国监察法") > standing("信访工作条例"));
        assert!(standing("信访工作条例") > standing("信访举报办理办法"));
        assert!(standing("信访举报办理办法") > standing("信访举报办理办法（试行）"));
        assert_eq!(standing("监察法（2024年修正）"), 1.0);
    }

    #[test]
    fn versions_of_one_regulation_share_their_key() {
        let key = version_key("信访举报办理规程");
        assert_eq!(version_key("《信访举报办理规程》（试行）"), key);
        assert_eq!(version_key("信访举报办理规程(2023年修订)"), key);
        assert_ne!(version_key("信访举报办理细则"), key);
    }
}

//! Batch (导入批次): one file or ledger that came in. Its records are seen when it is done, and no longer when it was
//! undone: one state decides over all of them, so a batch is there as a whole or not at all.

use super::dict::{Dict, entry};
use super::flow::{Duty, Flow, Move, State, Tone};
use super::{Along, Field, Fields, Kind, Record, Right, Scope, Value, Widget};
use crate::base::{Day, limits};

/// Tags other files name.
pub mod tag {
    #![expect(missing_docs, reason = "each is explained by its row in FIELDS")]
    pub const NUMBER: u16 = 16;
    pub const FILE: u16 = 17;
    pub const WHAT: u16 = 18;
    pub const SOURCE: u16 = 19;
    pub const DAY: u16 = 20;
    pub const READ: u16 = 21;
    pub const CREATED: u16 = 22;
    pub const ARTICLES: u16 = 23;
    pub const SKIPPED: u16 = 24;
    pub const FAILED: u16 = 25;
    pub const MARKED: u16 = 26;
    pub const MAPPING: u16 = 27;
    pub const TRAIL: u16 = 28;
}
use tag::*;

static WHATS: Dict = Dict {
    name: "what",
    source: "本系统",
    entries: &[entry("petition", "信访件"), entry("regulation", "法律法规")],
};

/// States a batch can be in.
pub mod state {
    #![expect(missing_docs, reason = "each is explained by its label in FLOW")]
    pub const RUNNING: u8 = 1;
    pub const DONE: u8 = 2;
    pub const UNDONE: u8 = 3;
    pub const BROKEN: u8 = 4;
}
use state::*;

static FLOW: Flow = Flow {
    states: &[
        State { tag: RUNNING, label: "导入中", tone: Tone::Open },
        State { tag: DONE, label: "已导入", tone: Tone::Done },
        State { tag: UNDONE, label: "已撤销", tone: Tone::Quiet },
        State { tag: BROKEN, label: "未完成", tone: Tone::Quiet },
    ],
    moves: &[
        Move {
            name: "finish",
            label: "完成",
            from: &[RUNNING],
            to: DONE,
            duty: Duty::Machine,
            opinion: false,
        },
        Move {
            name: "give-up",
            label: "放弃",
            from: &[RUNNING],
            to: BROKEN,
            duty: Duty::Machine,
            opinion: false,
        },
        Move {
            name: UNDO, label: "撤销导入", from: &[DONE], to: UNDONE, duty: Duty::Handle, opinion: true
        },
    ],
    settle: |state, _| state.unwrap_or(RUNNING),
    trail: Some(TRAIL),
};

/// The move that takes a batch back.
pub const UNDO: &str = "undo";

const COUNT: Widget = Widget::Int(0, 100_000_000);

static FIELDS: &[Field] = &[
    Field::new(NUMBER, "number", "批次号", Widget::Fixed),
    Field::new(FILE, "file", "文件", Widget::Line).required(),
    Field::new(WHAT, "what", "内容", Widget::Choice(&WHATS)).required(),
    Field::new(SOURCE, "source", "来源", Widget::Line).help("同一来源再次导入时沿用这次的列对照"),
    Field::new(DAY, "day", "导入日期", Widget::Date(false)),
    Field::new(READ, "read", "读到行数", COUNT),
    Field::new(CREATED, "created", "导入件数", COUNT),
    Field::new(ARTICLES, "articles", "条文数", COUNT),
    Field::new(SKIPPED, "skipped", "已有跳过", COUNT),
    Field::new(FAILED, "failed", "未导入行数", COUNT),
    Field::new(MARKED, "marked", "需核对件数", COUNT),
    Field::new(MAPPING, "mapping", "列对照", Widget::Hidden).max(limits::REMARK_CHARS),
    Field::new(TRAIL, "trail", "经过", Widget::Hidden),
];

/// Whoever brings files in sees the batches of the own unit and can take them back.
const BRINGERS: &[Right] = &[Right::See, Right::Move(Duty::Handle)];

/// The kind.
pub static KIND: Kind = Kind {
    tag: 6,
    name: "batch",
    label: "导入批次",
    group: Some("资料"),
    fields: FIELDS,
    flow: &FLOW,
    title: FILE,
    day: DAY,
    number: Some((NUMBER, "批")),
    columns: &[NUMBER, FILE, WHAT, CREATED, FAILED, MARKED, DAY],
    parent: None,
    keys: &[NUMBER, SOURCE],
    unique: false,
    grants: &[],
    along: &[
        Along("petition", Right::Create, BRINGERS, Scope::Own),
        Along("regulation", Right::Create, BRINGERS, Scope::Own),
    ],
    indexed: false,
    check: |_| Vec::new(),
    complete: |_| {},
    owned: true,
    sensitive: false,
    preset: |_| Fields::default(),
    weight: |_| 1.0,
    sample: |seed| {
        Fields::default()
            .with_text(FILE, format!("样例台账{seed}.xlsx"))
            .with_text(WHAT, "petition")
            .with(DAY, Value::Day(Day::ymd(2026, 3, 1).unwrap_or_default()))
            .with(CREATED, Value::Int(i64::try_from(seed).unwrap_or(0)))
    },
};

/// The record is a batch that keeps its records from being seen.
pub fn hides(record: &Record) -> bool {
    record.kind == KIND.tag && record.state != DONE
}

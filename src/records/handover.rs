//! Change of a person (人员变更, 管理办法 第十八条): somebody leaves or changes the post, what lay with that person goes to
//! others, rights are taken back, and the superior commission is told. The same record holds that one of the three
//! administrators is replaced. It says who and what was handed to whom, by number; nothing of the content.

use super::dict::{Dict, entry};
use super::flow::{Duty, Flow, Move, State, Tone};
use super::grant::SEE;
use super::{Along, Field, Fields, Grant, Kind, Right, Scope, Value, Widget, account};
use crate::base::{Day, limits};

/// Tags other files name.
pub mod tag {
    #![expect(missing_docs, reason = "each is explained by its row in FIELDS")]
    pub const NUMBER: u16 = 16;
    pub const PERSON: u16 = 17;
    pub const NAME: u16 = 18;
    pub const LOGIN: u16 = 19;
    pub const UNIT_NAME: u16 = 20;
    pub const POST: u16 = 21;
    pub const ROLES: u16 = 22;
    pub const CAUSE: u16 = 23;
    pub const OUTCOME: u16 = 24;
    pub const NOTE: u16 = 25;
    pub const DAY: u16 = 26;
    pub const ITEMS: u16 = 27;
    pub const DONE_AT: u16 = 28;
    pub const DONE_BY: u16 = 29;
    pub const ROLE: u16 = 30;
    pub const SUCCESSOR: u16 = 31;
    pub const SUCCESSOR_NAME: u16 = 32;
    pub const SUCCESSOR_LOGIN: u16 = 33;
    pub const SUCCESSOR_POST: u16 = 34;
}
use tag::*;

/// Tags of a row of what was handed over.
pub mod item {
    /// The record; 0 for drafts.
    pub const RECORD: u16 = 1;
    /// Its register number; of drafts how many, in words.
    pub const NUMBER: u16 = 2;
    /// The account that has it now.
    pub const TO: u16 = 3;
    /// Name of that person then.
    pub const TO_NAME: u16 = 4;
    /// The account that decided it.
    pub const BY: u16 = 5;
    /// When, in milliseconds.
    pub const AT: u16 = 6;
}

/// Why somebody changes.
pub static CAUSES: Dict = Dict {
    name: "cause",
    source: "管理办法 第十八条（事由默认）",
    entries: &[
        entry("transfer", "调离"),
        entry("retire", "退休"),
        entry("resign", "辞职"),
        entry("post", "职务变动"),
        entry("second", "借调、挂职期满"),
        entry("other", "其他"),
    ],
};

/// What becomes of the account.
pub static OUTCOMES: Dict = Dict {
    name: "outcome",
    source: "本系统",
    entries: &[entry(CLOSE, "停用账户"), entry(KEEP, "收回权限，保留账户（转岗）")],
};

/// The account is closed.
pub const CLOSE: &str = "close";
/// The account stays, without any role.
pub const KEEP: &str = "keep";

/// States a change of person can be in.
pub mod state {
    #![expect(missing_docs, reason = "each is explained by its label in FLOW")]
    pub const OPEN: u8 = 1;
    pub const ASKED: u8 = 2;
    pub const DONE: u8 = 3;
    pub const ENDED: u8 = 4;
}
use state::*;

/// Every step does more than change a state: none of them is made by a form of its own.
const fn step(name: &'static str, label: &'static str, from: &'static [u8], to: u8) -> Move {
    Move { name, label, from, to, duty: Duty::Machine, opinion: false }
}

static FLOW: Flow = Flow {
    states: &[
        State { tag: OPEN, label: "交接中", tone: Tone::Open },
        State { tag: ASKED, label: "待确认", tone: Tone::Waiting },
        State { tag: DONE, label: "已完成", tone: Tone::Done },
        State { tag: ENDED, label: "已撤回", tone: Tone::Quiet },
    ],
    moves: &[
        step("finish", "完成交接", &[OPEN, ASKED], DONE),
        step("end", "撤回", &[OPEN, ASKED], ENDED),
    ],
    // That an administrator is replaced waits for a second one.
    settle: |state, fields| state.unwrap_or(if fields.text(ROLE).is_empty() { OPEN } else { ASKED }),
    trail: None,
};

static FIELDS: &[Field] = &[
    Field::new(NUMBER, "number", "变更编号", Widget::Fixed),
    Field::new(PERSON, "person", "账户", Widget::Hidden),
    Field::new(NAME, "name", "人员", Widget::Fixed),
    Field::new(LOGIN, "login", "登录名", Widget::Fixed),
    Field::new(UNIT_NAME, "unit_name", "单位", Widget::Fixed),
    Field::new(POST, "post", "职务", Widget::Fixed),
    Field::new(ROLES, "roles", "原有角色", Widget::Fixed),
    Field::new(CAUSE, "cause", "事由", Widget::Choice(&CAUSES)).required(),
    Field::new(OUTCOME, "outcome", "账户处理", Widget::Choice(&OUTCOMES)).required(),
    Field::new(NOTE, "note", "说明", Widget::Line).max(limits::REASON_CHARS),
    Field::new(DAY, "day", "发起日期", Widget::Date(false)),
    Field::new(ITEMS, "items", "交接清单", Widget::Hidden),
    Field::new(DONE_AT, "done_at", "完成时间", Widget::Hidden),
    Field::new(DONE_BY, "done_by", "完成人", Widget::Hidden),
    Field::new(ROLE, "role", "更换的岗位", Widget::Choice(&account::ROLES)),
    Field::new(SUCCESSOR, "successor", "接任账户", Widget::Hidden),
    Field::new(SUCCESSOR_NAME, "successor_name", "接任人", Widget::Fixed),
    Field::new(SUCCESSOR_LOGIN, "successor_login", "接任人登录名", Widget::Fixed),
    Field::new(SUCCESSOR_POST, "successor_post", "接任人职务", Widget::Fixed),
];

/// The kind. Nobody enters one by a form of its own: the page of the account offers it.
pub static KIND: Kind = Kind {
    tag: 20,
    name: "handover",
    label: "人员变更",
    group: Some("管理"),
    fields: FIELDS,
    flow: &FLOW,
    title: NAME,
    day: DAY,
    number: Some((NUMBER, "人变")),
    columns: &[NUMBER, NAME, UNIT_NAME, CAUSE, DAY],
    parent: None,
    keys: &[NUMBER, PERSON],
    unique: false,
    grants: &[
        Grant("sysadmin", SEE, Scope::County),
        Grant("secadmin", SEE, Scope::County),
        Grant("auditor", SEE, Scope::County),
    ],
    // Whoever answers for the work gives it to others.
    along: &[Along("petition", Right::Move(Duty::Approve), SEE, Scope::County)],
    indexed: false,
    check: |_| Vec::new(),
    complete: |_| {},
    owned: true,
    sensitive: true,
    preset: |_| Fields::default(),
    weight: |_| 1.0,
    sample: |seed| {
        let fields = Fields::default()
            .with_text(CAUSE, "transfer")
            .with_text(OUTCOME, CLOSE)
            .with_text(NOTE, format!("样例说明{seed}"))
            .with(DAY, Value::Day(Day::ymd(2026, 3, 1 + (seed % 28) as i8).unwrap_or_default()));
        if seed % 2 == 1 { fields.with_text(ROLE, "auditor") } else { fields }
    },
};

/// The record holds that an administrator is replaced.
pub fn replaces(fields: &Fields) -> bool {
    !fields.text(ROLE).is_empty()
}

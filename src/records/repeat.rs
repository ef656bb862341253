//! Repeat (重复信访): two petitions say the same thing, or somebody looked and they do not. One record a pair, made by
//! whoever registers petitions; each answer can be taken back, and the trail keeps who said what when.
//!
//! What must hold: nobody reads one by itself, so it has no grants: it is told on the pages of its two petitions, to
//! whoever may see both of them.

use super::dict::{Dict, entry};
use super::flow::{Duty, Flow, Move, State, Tone};
use super::{Field, Fields, Kind, Value, Widget};
use crate::base::{Day, RecordId};

/// Tags other files name.
pub mod tag {
    #![expect(missing_docs, reason = "each is explained by its row in FIELDS")]
    pub const LATER: u16 = 16;
    pub const FIRST: u16 = 17;
    pub const LATER_NUMBER: u16 = 18;
    pub const FIRST_NUMBER: u16 = 19;
    pub const VERDICT: u16 = 20;
    pub const DAY: u16 = 21;
    pub const TRAIL: u16 = 22;
}
use tag::*;

/// The later petition repeats the earlier one.
pub const SAME: &str = "same";
/// They are two matters.
pub const OTHER: &str = "other";

/// What was found first; the state tells what holds now.
pub static VERDICTS: Dict =
    Dict { name: "repeat_verdict", source: "本系统", entries: &[entry(SAME, "重复件"), entry(OTHER, "不是重复件")] };

/// States a pair can be in.
pub mod state {
    #![expect(missing_docs, reason = "each is explained by its label in FLOW")]
    pub const CONFIRMED: u8 = 1;
    pub const DISMISSED: u8 = 2;
    pub const TAKEN_BACK: u8 = 3;
}
use state::*;

const fn answer(name: &'static str, label: &'static str, from: &'static [u8], to: u8) -> Move {
    Move { name, label, from, to, duty: Duty::Handle, opinion: false }
}

static FLOW: Flow = Flow {
    states: &[
        State { tag: CONFIRMED, label: "重复件", tone: Tone::Done },
        State { tag: DISMISSED, label: "不是重复件", tone: Tone::Quiet },
        State { tag: TAKEN_BACK, label: "已撤销", tone: Tone::Quiet },
    ],
    moves: &[
        answer("confirm", "确认重复", &[DISMISSED, TAKEN_BACK], CONFIRMED),
        answer("dismiss", "不是重复", &[CONFIRMED, TAKEN_BACK], DISMISSED),
        answer("undo", "撤销", &[CONFIRMED, DISMISSED], TAKEN_BACK),
    ],
    settle: |state, fields| match state {
        Some(state) => state,
        None if fields.text(VERDICT) == OTHER => DISMISSED,
        None => CONFIRMED,
    },
    trail: Some(TRAIL),
};

static FIELDS: &[Field] = &[
    Field::new(LATER, "later", "本件", Widget::Hidden),
    Field::new(FIRST, "first", "前件", Widget::Hidden),
    Field::new(LATER_NUMBER, "later_number", "本件编号", Widget::Fixed),
    Field::new(FIRST_NUMBER, "first_number", "前件编号", Widget::Fixed),
    Field::new(VERDICT, "verdict", "结论", Widget::Choice(&VERDICTS)),
    Field::new(DAY, "day", "日期", Widget::Date(false)),
    Field::new(TRAIL, "trail", "经过", Widget::Hidden),
];

/// The kind.
pub static KIND: Kind = Kind {
    tag: 22,
    name: "pair",
    label: "重复信访",
    group: None,
    fields: FIELDS,
    flow: &FLOW,
    title: LATER_NUMBER,
    day: DAY,
    number: None,
    columns: &[LATER_NUMBER, FIRST_NUMBER, DAY],
    parent: None,
    keys: &[LATER, FIRST],
    unique: false,
    grants: &[],
    along: &[],
    indexed: false,
    check: |_| Vec::new(),
    complete: |_| {},
    owned: true,
    sensitive: true,
    preset: |_| Fields::default(),
    weight: |_| 1.0,
    sample: |seed| {
        Fields::default()
            .with_text(VERDICT, if seed.is_multiple_of(2) { OTHER } else { SAME })
            .with(DAY, Value::Day(Day::ymd(2026, 3, 1 + (seed % 28) as i8).unwrap_or_default()))
    },
};

/// The petition at the other end of a pair, and whether that one is the earlier of the two.
pub fn other_end(pair: &Fields, of: RecordId) -> Option<(RecordId, bool)> {
    let (later, first) = (pair.link(LATER)?, pair.link(FIRST)?);
    match of {
        of if of == later => Some((first, true)),
        of if of == first => Some((later, false)),
        _ => None,
    }
}

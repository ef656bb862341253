//! Recusal (回避): somebody has nothing to do with a record any more, because it concerns that person or somebody near.
//! Declared by the person, by who answers for the record, or by the security administrator, who knows its number and
//! nothing else of it; taken back by another person than whoever declared it. While it stands, the record is absent
//! for that person. A same name that turned out to be somebody else is kept here too, so that nobody asks again.

use super::dict::{Dict, entry};
use super::flow::{Duty, Flow, Move, State, Tone};
use super::grant::SEE;
use super::{Along, Field, Fields, Grant, Kind, Right, Scope, Value, Widget};
use crate::base::{Day, limits};

/// Tags other files name.
pub mod tag {
    #![expect(missing_docs, reason = "each is explained by its row in FIELDS")]
    pub const NUMBER: u16 = 16;
    pub const TARGET: u16 = 17;
    pub const TARGET_NUMBER: u16 = 18;
    pub const PERSON: u16 = 19;
    pub const PERSON_NAME: u16 = 20;
    pub const VERDICT: u16 = 21;
    pub const BY: u16 = 22;
    pub const REASON: u16 = 23;
    pub const DAY: u16 = 24;
    pub const TRAIL: u16 = 25;
}
use tag::*;

/// The person has nothing to do with the record.
pub const AVOID: &str = "avoid";
/// The record names somebody else of the same name.
pub const OTHER: &str = "other";

/// What was found.
pub static VERDICTS: Dict =
    Dict { name: "verdict", source: "本系统", entries: &[entry(AVOID, "应当回避"), entry(OTHER, "同名，不是同一人")] };

/// Who said so (监督执纪工作规则: own declaration, or decision).
static WAYS: Dict = Dict {
    name: "recused_by",
    source: "中国共产党纪律检查机关监督执纪工作规则（默认）",
    entries: &[entry("self", "本人声明"), entry("head", "负责人决定"), entry("secadmin", "安全保密管理员决定")],
};

/// States a recusal can be in.
pub mod state {
    #![expect(missing_docs, reason = "each is explained by its label in FLOW")]
    pub const STANDS: u8 = 1;
    pub const LIFTED: u8 = 2;
    pub const SOMEBODY_ELSE: u8 = 3;
}
use state::*;

static FLOW: Flow = Flow {
    states: &[
        State { tag: STANDS, label: "回避中", tone: Tone::Done },
        State { tag: LIFTED, label: "已解除", tone: Tone::Quiet },
        State { tag: SOMEBODY_ELSE, label: "非同一人", tone: Tone::Quiet },
    ],
    moves: &[Move {
        name: "lift",
        label: "解除回避",
        from: &[STANDS],
        to: LIFTED,
        duty: Duty::Approve,
        opinion: true,
    }],
    settle: |state, fields| match state {
        Some(state) => state,
        None if fields.text(VERDICT) == OTHER => SOMEBODY_ELSE,
        None => STANDS,
    },
    trail: Some(TRAIL),
};

static FIELDS: &[Field] = &[
    Field::new(NUMBER, "number", "回避编号", Widget::Fixed),
    Field::new(TARGET, "target", "回避的记录", Widget::Hidden),
    Field::new(TARGET_NUMBER, "target_number", "记录编号", Widget::Fixed),
    Field::new(PERSON, "person", "账户", Widget::Hidden),
    Field::new(PERSON_NAME, "person_name", "人员", Widget::Fixed),
    Field::new(VERDICT, "verdict", "结论", Widget::Choice(&VERDICTS)),
    Field::new(BY, "by", "方式", Widget::Choice(&WAYS)),
    Field::new(REASON, "reason", "理由", Widget::Area).required().max(limits::OPINION_CHARS),
    Field::new(DAY, "day", "日期", Widget::Date(false)),
    Field::new(TRAIL, "trail", "办理过程", Widget::Hidden),
];

/// Whoever decides sees what was declared and can take it back.
const DECIDERS: &[Right] = &[Right::See, Right::Move(Duty::Approve)];

/// The kind. Nobody enters one by a form of its own: the page of the record and that of the hints offer it.
pub static KIND: Kind = Kind {
    tag: 8,
    name: "recusal",
    label: "回避",
    group: Some("管理"),
    fields: FIELDS,
    flow: &FLOW,
    title: TARGET_NUMBER,
    day: DAY,
    number: Some((NUMBER, "回避")),
    columns: &[NUMBER, TARGET_NUMBER, PERSON_NAME, VERDICT, BY, DAY],
    parent: None,
    keys: &[NUMBER, TARGET, PERSON],
    unique: false,
    grants: &[
        Grant("secadmin", DECIDERS, Scope::County),
        Grant("auditor", SEE, Scope::County),
    ],
    // Whoever decides over a record says who has nothing to do with it.
    along: &[Along("petition", Right::Move(Duty::Approve), DECIDERS, Scope::County)],
    indexed: false,
    check: |_| Vec::new(),
    complete: |_| {},
    owned: true,
    sensitive: true,
    preset: |_| Fields::default(),
    weight: |_| 1.0,
    sample: |seed| {
        Fields::default()
            .with_text(VERDICT, if seed.is_multiple_of(2) { OTHER } else { AVOID })
            .with_text(REASON, format!("样例理由{seed}"))
            .with(DAY, Value::Day(Day::ymd(2026, 3, 1 + (seed % 28) as i8).unwrap_or_default()))
    },
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Moment, RecordId};
    use crate::records::{Author, decide};

    #[test]
    fn only_another_person_takes_a_recusal_back() {
        let by = |account| (Author { account: RecordId(account), unit: RecordId(2) }, Moment(1));
        let made = decide::create(&KIND, (KIND.sample)(1), by(5).0, Moment(0)).unwrap();
        let lift = &KIND.flow.moves[0];
        assert_eq!(decide::advance(&KIND, &made, lift, "误填", by(5)), Err(decide::Refusal::OwnWork));
        assert_eq!(decide::advance(&KIND, &made, lift, "误填", by(6)).unwrap().state, LIFTED);
        let other = decide::create(&KIND, (KIND.sample)(2), by(5).0, Moment(0)).unwrap();
        assert_eq!(other.state, SOMEBODY_ELSE);
    }
}

//! Purge (清除申请): a record's content is to be forgotten for good. Whoever answers for the record asks and says why;
//! the security administrator, who sees the number and the reason and never the content, decides. What is left of a
//! purged record is in [`remains`]: facts that concern nobody, so that numbers and statistics stay.

use super::dict::{Dict, entry};
use super::flow::{Duty, Flow, Move, State, Tone};
use super::grant::SEE;
use super::label::{self, LABEL};
use super::record::{BATCH, MADE_BY, PURGED};
use super::{Along, Field, Fields, Grant, Kind, Part, Record, Right, Scope, Value, Widget};
use crate::base::{Day, Moment, limits};

/// Tags other files name.
pub mod tag {
    #![expect(missing_docs, reason = "each is explained by its row in FIELDS")]
    pub const NUMBER: u16 = 16;
    pub const TARGET: u16 = 17;
    pub const WHAT: u16 = 18;
    pub const TARGET_NUMBER: u16 = 19;
    pub const REASON: u16 = 20;
    pub const DAY: u16 = 21;
    pub const RECORDS: u16 = 22;
    pub const FILES: u16 = 23;
    pub const GENERATION: u16 = 24;
    pub const TRAIL: u16 = 25;
}
use tag::*;

static WHATS: Dict = Dict {
    name: "purge_what",
    source: "本系统",
    entries: &[entry("petition", "信访件"), entry("regulation", "法律法规")],
};

/// States a request can be in.
pub mod state {
    #![expect(missing_docs, reason = "each is explained by its label in FLOW")]
    pub const PENDING: u8 = 1;
    pub const DONE: u8 = 2;
    pub const REFUSED: u8 = 3;
    pub const WITHDRAWN: u8 = 4;
}
use state::*;

/// The move that purges.
pub const APPROVE: &str = "approve";

const fn step(name: &'static str, label: &'static str, to: u8, duty: Duty) -> Move {
    Move { name, label, from: &[PENDING], to, duty, opinion: true }
}

static FLOW: Flow = Flow {
    states: &[
        State { tag: PENDING, label: "待复核", tone: Tone::Waiting },
        State { tag: DONE, label: "已清除", tone: Tone::Done },
        State { tag: REFUSED, label: "不同意", tone: Tone::Quiet },
        State { tag: WITHDRAWN, label: "已撤回", tone: Tone::Quiet },
    ],
    moves: &[
        step(APPROVE, "批准清除", DONE, Duty::Approve),
        step("refuse", "不同意清除", REFUSED, Duty::Approve),
        step("withdraw", "撤回申请", WITHDRAWN, Duty::Enter),
    ],
    settle: |state, _| state.unwrap_or(PENDING),
    trail: Some(TRAIL),
};

const COUNT: Widget = Widget::Int(0, 100_000_000);

static FIELDS: &[Field] = &[
    Field::new(NUMBER, "number", "清除编号", Widget::Fixed),
    Field::new(TARGET, "target", "要清除的记录", Widget::Hidden),
    Field::new(WHAT, "what", "类别", Widget::Choice(&WHATS)),
    Field::new(TARGET_NUMBER, "target_number", "原编号", Widget::Fixed),
    Field::new(REASON, "reason", "清除理由", Widget::Area).required().max(limits::OPINION_CHARS),
    Field::new(DAY, "day", "申请日期", Widget::Date(false)),
    Field::new(RECORDS, "records", "清除记录数", COUNT),
    Field::new(FILES, "files", "清除附件数", COUNT),
    Field::new(GENERATION, "generation", "清除时的密钥代", Widget::Hidden),
    Field::new(TRAIL, "trail", "办理过程", Widget::Hidden),
];

/// Whoever may ask sees the requests of the own unit and can take an own one back.
const ASKERS: &[Right] = &[Right::See, Right::Move(Duty::Enter)];

/// The kind. Nobody enters one by a form of its own: the page of the record offers it.
pub static KIND: Kind = Kind {
    tag: 7,
    name: "purge",
    label: "清除申请",
    group: Some("管理"),
    fields: FIELDS,
    flow: &FLOW,
    title: TARGET_NUMBER,
    day: DAY,
    number: Some((NUMBER, "清除")),
    columns: &[NUMBER, WHAT, TARGET_NUMBER, DAY],
    parent: None,
    keys: &[NUMBER, TARGET],
    unique: false,
    grants: &[
        Grant("secadmin", &[Right::See, Right::Move(Duty::Approve)], Scope::County),
        Grant("sysadmin", SEE, Scope::County),
        Grant("auditor", SEE, Scope::County),
    ],
    along: &[
        Along("petition", Right::Purge, ASKERS, Scope::Own),
        Along("regulation", Right::Purge, ASKERS, Scope::Own),
    ],
    indexed: false,
    check: |_| Vec::new(),
    complete: |_| {},
    owned: true,
    sensitive: true,
    preset: |_| Fields::default(),
    weight: |_| 1.0,
    sample: |seed| {
        Fields::default()
            .with_text(WHAT, "petition")
            .with_text(REASON, format!("样例理由{seed}"))
            .with(DAY, Value::Day(Day::ymd(2026, 3, 1 + (seed % 28) as i8).unwrap_or_default()))
    },
};

/// What is left of a record: its head, and those of its facts that are kept and are what they should be — a code of the
/// vocabulary, a date, a number, an organisation. Never words that somebody typed, never a row, never the identity.
pub fn remains(kind: &Kind, record: &Record, now: Moment) -> Record {
    let kept = kind.fields.iter().filter(|f| f.kept && f.part == Part::Main);
    let kept = kept.filter_map(|f| Some((f.tag, impersonal(kind, f, record.fields.get(f.tag)?)?)));
    let mut fields: Fields = kept.collect();
    fields.insert(PURGED, Value::Flag(true));
    if let Some(batch) = record.batch() {
        fields.insert(BATCH, Value::Link(batch));
    }
    // Who could not know of it shall not begin to.
    if let Some(label) = label::own(record) {
        fields.insert(LABEL, Value::Text(label.code().to_owned()));
    }
    // A form that comes once more must not enter the record again; what it said is forgotten.
    let submit = record.fields.text(MADE_BY).split('.').next().unwrap_or_default();
    let fields = fields.with_text(MADE_BY, submit);
    // In an older backup the record may still have been open: nobody shall wait for it.
    let settled = kind.flow.is_settled(record.state);
    let state = if settled { record.state } else { kind.flow.laid_aside().unwrap_or(record.state) };
    Record { version: record.version + 1, state, updated: now, fields, ..record.clone() }
}

fn impersonal(kind: &Kind, field: &Field, value: &Value) -> Option<Value> {
    match (&field.widget, value) {
        (Widget::Choice(dict) | Widget::OpenChoice(dict), Value::Text(code)) => {
            dict.entries.iter().any(|e| e.code == code).then(|| value.clone())
        }
        (Widget::Choices(dict), Value::Codes(codes)) => {
            let known = codes.iter().filter(|code| dict.entries.iter().any(|e| e.code == **code));
            Some(Value::Codes(known.cloned().collect())).filter(|v| *v != Value::Codes(Vec::new()))
        }
        (Widget::Date(_), Value::Day(_))
        | (Widget::Int(..), Value::Int(_))
        | (Widget::Flag, Value::Flag(_))
        | (Widget::Link("org"), Value::Link(_)) => Some(value.clone()),
        // The register number, which the store gave.
        (Widget::Fixed, Value::Text(_)) => {
            kind.number.filter(|(tag, _)| *tag == field.tag).map(|_| value.clone())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::RecordId;
    use crate::records::{ALL, Author, FileRef, decide};

    const CANARY: &str = "翠鸟";
    const NOW: Moment = Moment(1_790_000_000_000);

    /// Every field full, with a canary wherever words fit.
    fn full(kind: &'static Kind, seed: u64) -> Record {
        let author = Author { account: RecordId(1), unit: RecordId(2) };
        let mut record = decide::create(kind, (kind.sample)(seed), author, NOW).unwrap();
        for field in kind.fields {
            let value = match field.widget {
                Widget::Date(_) => Value::Day(Day::ymd(2026, 3, 2).unwrap()),
                Widget::Int(low, _) => Value::Int(low),
                Widget::Flag => Value::Flag(true),
                Widget::Choice(d) if seed.is_multiple_of(2) => Value::Text(d.entries[0].code.to_owned()),
                Widget::Choices(d) => Value::Codes(vec![CANARY.to_owned(), d.entries[0].code.to_owned()]),
                Widget::Link(_) => Value::Link(RecordId(9)),
                Widget::Rows(_) => Value::Rows(vec![Fields::default().with_text(1, CANARY)]),
                Widget::Files => {
                    let (name, blob) = (CANARY.to_owned(), CANARY.to_owned());
                    Value::Files(vec![FileRef { name, size: 1, blob, key: vec![7; 32] }])
                }
                _ if kind.number.is_some_and(|(tag, _)| tag == field.tag) => {
                    Value::Text("信访〔2026〕1号".into())
                }
                _ => Value::Text(CANARY.to_owned()),
            };
            record.fields.insert(field.tag, value);
        }
        record.fields = record.fields.with_text(MADE_BY, format!("9f3c.{CANARY}")).with_text(300, CANARY);
        record
    }

    #[test]
    fn nothing_that_somebody_typed_is_left_of_any_kind() {
        for kind in ALL {
            for seed in 0..2 {
                let record = full(kind, seed);
                let left = remains(kind, &record, Moment(NOW.0 + 1));
                let bytes = left.encode_main();
                assert!(String::from_utf8_lossy(&record.encode_main()).contains(CANARY), "{}", kind.name);
                assert!(!String::from_utf8_lossy(&bytes).contains(CANARY), "{}", kind.name);
                assert!(left.encode_identity(kind).is_empty(), "{}", kind.name);
                assert_eq!(Record::decode(left.id, &bytes, &[]).unwrap(), left, "{}", kind.name);
                let typed =
                    |w: &Widget| matches!(w, Widget::Line | Widget::Area | Widget::Rows(_) | Widget::Files);
                let words =
                    kind.fields.iter().filter(|f| typed(&f.widget) && left.fields.get(f.tag).is_some());
                assert_eq!((words.count(), left.is_purged(), left.version), (0, true, record.version + 1));
                assert_eq!(
                    (left.unit, left.created, left.creator),
                    (record.unit, record.created, record.creator)
                );
                assert_eq!(left.fields.text(MADE_BY), "9f3c");
            }
        }
    }

    #[test]
    fn what_can_be_purged_keeps_its_number_its_day_and_its_counts() {
        let purgeable = ALL.iter().filter(|k| k.grants.iter().any(|g| g.1.contains(&Right::Purge)));
        let names: Vec<&str> = purgeable.clone().map(|k| k.name).collect();
        assert_eq!(names, ["petition", "regulation"]);
        for kind in purgeable {
            let record = full(kind, 2);
            let left = remains(kind, &record, NOW);
            assert_eq!(kind.number_of(&left), kind.number_of(&record), "{}", kind.name);
            assert_eq!(kind.day_of(&left), kind.day_of(&record), "{}", kind.name);
            assert!(kind.flow.is_settled(left.state), "{}", kind.name);
            assert!(WHATS.entries.iter().any(|e| e.code == kind.name));
        }
        let petition = remains(ALL[0], &full(ALL[0], 2), NOW);
        let codes = [18, 19, 20, 34, 40, 55, 58].map(|tag| petition.fields.text(tag).is_empty());
        assert!(codes[0] && codes[1..].iter().all(|empty| !empty), "free words under a choice are words");
        assert_eq!((petition.fields.int(21), petition.fields.codes(35).len()), (1, 1));
    }

    #[test]
    fn whoever_asked_does_not_decide_and_nobody_else_takes_it_back() {
        let mv = |name: &str| KIND.flow.moves.iter().find(|m| m.name == name).unwrap();
        let by = |account| (Author { account: RecordId(account), unit: RecordId(2) }, NOW);
        let request = decide::create(&KIND, (KIND.sample)(1), by(5).0, NOW).unwrap();
        for name in [APPROVE, "refuse"] {
            let own = decide::advance(&KIND, &request, mv(name), "同意", by(5));
            assert_eq!(own, Err(decide::Refusal::OwnWork));
            assert!(decide::advance(&KIND, &request, mv(name), "同意", by(6)).is_ok());
        }
        let other = decide::advance(&KIND, &request, mv("withdraw"), "误报", by(6));
        assert_eq!(other, Err(decide::Refusal::NotOwn));
        assert!(decide::advance(&KIND, &request, mv("withdraw"), "误报", by(5)).is_ok());
    }

    #[test]
    fn what_was_purged_is_neither_changed_nor_moved() {
        let kind = ALL[0];
        let left = remains(kind, &full(kind, 2), NOW);
        let amended = decide::amend(kind, &left, &(kind.sample)(3), &|_| true, NOW);
        assert_eq!(amended, Err(decide::Refusal::Purged));
        let author = Author { account: RecordId(5), unit: RecordId(2) };
        for mv in kind.flow.moves {
            let moved = decide::advance(kind, &left, mv, "同意", (author, NOW));
            assert_eq!(moved, Err(decide::Refusal::Purged), "{}", mv.name);
        }
    }
}

//! Decisions: from a record (or none) and what somebody wants, to the record as it shall be — or to what must be
//! mended. Pure: time, numbers and the actor's rights come from outside.

use super::field::{self, Problem};
use super::flow::{Duty, Move, Tone};
use super::record::HANDLER;
use super::{Author, Field, Fields, Kind, Record, Value, rank};
use crate::base::{Moment, RecordId, limits};

/// Why a decision was refused.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    /// These inputs must be mended.
    Problems(Vec<Problem>),
    /// Article 16: nothing may be stored.
    Gate,
    /// The move does not start from this state.
    NotNow,
    /// Who prepared may not approve.
    OwnWork,
    /// An entry is taken back by whoever made it, and nobody else.
    NotOwn,
    /// What was entered by mistake stays as it is.
    Void,
    /// What was purged stays as it is.
    Purged,
}

/// A new record; its id and register number are given by the store.
pub fn create(kind: &Kind, mut fields: Fields, author: Author, now: Moment) -> Result<Record, Refusal> {
    check(kind, &fields)?;
    (kind.complete)(&mut fields);
    Ok(Record {
        id: RecordId(0),
        kind: kind.tag,
        version: 1,
        state: (kind.flow.settle)(None, &fields),
        unit: if kind.owned { author.unit } else { RecordId(0) },
        created: now,
        creator: author.account,
        updated: now,
        fields,
    })
}

/// The record with those of its fields that the editor may type replaced by `typed`; everything else stays: numbers,
/// trail, attachments, and the identity when the editor may not open it.
pub fn amend(
    kind: &Kind,
    record: &Record,
    typed: &Fields,
    editable: &dyn Fn(&Field) -> bool,
    now: Moment,
) -> Result<Record, Refusal> {
    if kind.flow.is_void(record.state) {
        return Err(Refusal::Void);
    }
    if record.is_purged() {
        return Err(Refusal::Purged);
    }
    let may = |tag: u16| kind.field(tag).is_some_and(|f| f.typed() && editable(f));
    let kept = record.fields.iter().filter(|(tag, _)| !may(*tag));
    let mut fields: Fields = kept.chain(typed.iter().filter(|(tag, _)| may(*tag))).collect();
    check(kind, &fields)?;
    (kind.complete)(&mut fields);
    let state = (kind.flow.settle)(Some(record.state), &fields);
    Ok(Record { version: record.version + 1, state, updated: now, fields, ..record.clone() })
}

/// The record after a move, with the opinion in its trail.
pub fn advance(
    kind: &Kind,
    record: &Record,
    mv: &Move,
    opinion: &str,
    by: (Author, Moment),
) -> Result<Record, Refusal> {
    let (author, now) = by;
    if record.is_purged() {
        return Err(Refusal::Purged);
    }
    if !mv.from.contains(&record.state) {
        return Err(Refusal::NotNow);
    }
    let asked = if kind.flow.voids(mv) { "理由" } else { "意见" };
    let opinion = field::remark(&format!("{}{asked}", mv.label), opinion, limits::OPINION_CHARS)
        .map_err(|problem| Refusal::Problems(vec![("opinion".into(), problem)]))?;
    if is_own_work(kind, record, mv, author.account) {
        return Err(Refusal::OwnWork);
    }
    if is_others_entry(record, mv, author.account) {
        return Err(Refusal::NotOwn);
    }
    let mut fields = record.fields.clone();
    if let Some(tag) = kind.flow.trail {
        let mut trail = fields.rows(tag).to_vec();
        trail.push(trail_row(mv, &opinion, author, now));
        fields.insert(tag, Value::Rows(trail));
    }
    if mv.duty == Duty::Handle {
        // Whoever prepares it is in charge of it from now on.
        fields.remove(HANDLER);
    }
    Ok(Record { version: record.version + 1, state: mv.to, updated: now, fields, ..record.clone() })
}

/// Tags of a trail row.
pub mod trail {
    /// Name of the move.
    pub const MOVE: u16 = 1;
    /// Account that made it.
    pub const BY: u16 = 2;
    /// When, in milliseconds.
    pub const AT: u16 = 3;
    /// What was written.
    pub const OPINION: u16 = 4;
}

fn trail_row(mv: &Move, opinion: &str, author: Author, now: Moment) -> Fields {
    Fields::default()
        .with_text(trail::MOVE, mv.label)
        .with(trail::BY, Value::Link(author.account))
        .with(trail::AT, Value::Int(now.0))
        .with_text(trail::OPINION, opinion.trim())
}

/// The move approves what this account itself prepared.
pub fn is_own_work(kind: &Kind, record: &Record, mv: &Move, account: RecordId) -> bool {
    mv.duty == Duty::Approve && last_hand(kind, record) == Some(account)
}

/// The move takes back an entry, and this account did not make it.
pub fn is_others_entry(record: &Record, mv: &Move, account: RecordId) -> bool {
    mv.duty == Duty::Enter && record.creator != account
}

/// Records of this kind are work: they belong to a unit, somebody of it prepares each step, and they come to an end.
pub fn is_work(kind: &Kind) -> bool {
    let prepared = |m: &Move| m.duty == Duty::Handle && m.from.iter().any(|s| !kind.flow.is_settled(*s));
    kind.owned && kind.flow.trail.is_some() && kind.flow.moves.iter().any(prepared)
}

/// The record is open work of this account (承办人), which belongs to this unit now: it was handed to it, or else the
/// account prepared the last step, or entered the record for its own unit where nobody has prepared anything yet.
pub fn is_in_charge(kind: &Kind, record: &Record, (account, unit): (RecordId, RecordId)) -> bool {
    if !is_work(kind) || kind.flow.is_settled(record.state) || record.is_purged() {
        return false;
    }
    let known = record.fields.link(HANDLER).or_else(|| prepared_by(kind, record));
    known.map_or(record.creator == account && record.unit == unit, |id| id == account)
}

/// Who prepared what is now to be approved: the last to make a move that prepares, or whoever entered the record.
fn last_hand(kind: &Kind, record: &Record) -> Option<RecordId> {
    prepared_by(kind, record).or(Some(record.creator))
}

fn prepared_by(kind: &Kind, record: &Record) -> Option<RecordId> {
    let prepares = |label: &str| kind.flow.moves.iter().any(|m| m.duty == Duty::Handle && m.label == label);
    let rows = kind.flow.trail.map_or(&[][..], |tag| record.fields.rows(tag));
    let last = rows.iter().rev().find(|row| prepares(row.text(trail::MOVE)));
    last.and_then(|row| row.link(trail::BY))
}

fn check(kind: &Kind, fields: &Fields) -> Result<(), Refusal> {
    if gate_refuses(kind, fields) {
        return Err(Refusal::Gate);
    }
    let problems = (kind.check)(fields);
    if problems.is_empty() { Ok(()) } else { Err(Refusal::Problems(problems)) }
}

/// A form that is not finished may be stored: every person in it has a rank that passes, and it is about somebody.
/// Content about persons whose rank is not known, or about nobody yet, is kept off the disk until that is answered.
pub fn may_rest(kind: &Kind, fields: &Fields) -> bool {
    let mut ranks = kind.fields.iter().flat_map(|field| {
        let columns = match field.widget {
            super::Widget::Rows(columns) => columns,
            _ => &[],
        };
        let ranked = columns.iter().filter(|c| is_rank(c));
        ranked.flat_map(|c| fields.rows(field.tag).iter().map(|row| row.text(c.tag)))
    });
    let known = ranks.all(|code| !code.is_empty() && code != rank::UNKNOWN && !rank::is_blocked(code));
    let incomplete = kind.flow.state((kind.flow.settle)(None, fields)).is_some_and(|s| s.tone == Tone::Waiting);
    known && !incomplete
}

pub(super) fn is_rank(column: &Field) -> bool {
    matches!(column.widget, super::Widget::Choice(d) if std::ptr::eq(d, &rank::RANKS))
}

/// A row of persons holds a rank the gate refuses; asked before anything else looks at the input.
pub fn gate_refuses(kind: &Kind, fields: &Fields) -> bool {
    kind.fields.iter().any(|field| match field.widget {
        super::Widget::Rows(columns) => columns
            .iter()
            .filter(|c| is_rank(c))
            .any(|c| fields.rows(field.tag).iter().any(|row| rank::is_blocked(row.text(c.tag)))),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::super::petition;
    use super::*;

    #[test]
    fn an_open_record_lies_with_whoever_has_it_last() {
        let (kind, unit) = (&petition::KIND, RecordId(2));
        let by = |account| Author { account: RecordId(account), unit };
        let step = |record: &Record, name: &str, account| {
            let mv = kind.flow.moves.iter().find(|m| m.name == name).unwrap();
            advance(kind, record, mv, "同意", (by(account), Moment(1))).unwrap()
        };
        let has = |record: &Record, account| is_in_charge(kind, record, (RecordId(account), unit));
        let made = create(kind, (kind.sample)(1), by(5), Moment(0)).unwrap();
        assert!(has(&made, 5) && !has(&made, 6));
        // Whoever brought it in for another unit, or has left the unit since, does not work on it.
        assert!(!is_in_charge(kind, &made, (RecordId(5), RecordId(3))));
        let proposed = step(&made, "propose", 6);
        assert!(has(&proposed, 6) && !has(&proposed, 5));
        let accepted = step(&proposed, "accept", 9);
        assert!(has(&accepted, 6) && !has(&accepted, 9), "who decides has not got it");
        let mut handed = accepted.clone();
        handed.fields.insert(HANDLER, Value::Link(RecordId(7)));
        assert!(has(&handed, 7) && !has(&handed, 6));
        // The next step shows who has it; who prepared before is still known.
        let concluded = step(&handed, "conclude", 8);
        assert!(has(&concluded, 8) && concluded.fields.get(HANDLER).is_none());
        let done = step(&concluded, "confirm", 9);
        assert!(![5, 6, 7, 8, 9].iter().any(|account| has(&done, *account)), "nothing is left to do");
        for other in super::super::ALL.iter().filter(|k| k.tag != kind.tag) {
            assert!(!is_work(other), "{}: who hands it over?", other.name);
        }
    }
}

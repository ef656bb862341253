//! What an account is kept out of although its roles reach it: records it has a conflict with (回避), and those above its
//! clearance (安全标记). Such a record, and what points at it, is as good as absent for that account: not in lists, counts,
//! hits or by its address.
//!
//! What must hold: it is asked of the same snapshot or transaction that is then read; which records to ask is told by
//! derived tables that are in step with it, so that nothing has to be remembered for an account.

use std::sync::Arc;

use super::{Actor, charter};
use crate::base::{RecordId, Result};
use crate::records::charter::Charter;
use crate::records::conflict::{self, Meeting, PERSONS, Person};
use crate::records::label::{self, LABEL, Label};
use crate::records::{self, Fields, Kind, Record, Value, account, purge, recusal};
use crate::store::{Left, ListQuery, Snapshot, Txn};

/// What a decision reads: a snapshot, or the transaction that acts.
pub(super) trait Books {
    /// A record, its identity aside.
    fn open(&self, id: RecordId) -> Result<Option<Record>>;
    /// What roles may do.
    fn charter(&self) -> Result<Arc<Charter>>;
    /// Records of a kind by an exact value.
    fn named(&self, kind: &Kind, tag: u16, value: &str) -> Result<Vec<RecordId>>;

    /// Records of a kind that a unit has in a state; those of a hidden batch may be among them, and do not open.
    fn standing(&self, kind: &'static Kind, unit: RecordId, state: u8) -> Result<Vec<RecordId>>;

    /// Records of a kind that link to another one by this field.
    fn linked(&self, kind: &Kind, tag: u16, to: RecordId) -> Result<Vec<Record>> {
        let ids = self.named(kind, tag, &Value::Link(to).display(None))?;
        ids.into_iter().filter_map(|id| self.open(id).transpose()).collect()
    }
}

impl Books for Snapshot {
    fn charter(&self) -> Result<Arc<Charter>> {
        charter::of(self)
    }

    fn open(&self, id: RecordId) -> Result<Option<Record>> {
        self.get(id, false)
    }

    fn named(&self, kind: &Kind, tag: u16, value: &str) -> Result<Vec<RecordId>> {
        self.find(kind, tag, value)
    }

    fn standing(&self, kind: &'static Kind, unit: RecordId, state: u8) -> Result<Vec<RecordId>> {
        let (units, states, without, ceiling) = (vec![unit], vec![state], Vec::new().into(), Label::Core);
        let query = ListQuery { kind, units, states, from: 0, to: 0, oldest_first: true, without, ceiling };
        self.list(&query, 0, u64::MAX)
    }
}

impl Books for Txn<'_> {
    fn charter(&self) -> Result<Arc<Charter>> {
        charter::of_txn(self)
    }

    fn open(&self, id: RecordId) -> Result<Option<Record>> {
        self.get(id)
    }

    fn named(&self, kind: &Kind, tag: u16, value: &str) -> Result<Vec<RecordId>> {
        self.find(kind, tag, value)
    }

    fn standing(&self, kind: &'static Kind, unit: RecordId, state: u8) -> Result<Vec<RecordId>> {
        Txn::standing(self, kind, unit, state)
    }
}

/// What one account is kept out of, as of one moment.
#[derive(Clone, Debug)]
pub(super) struct Sight {
    person: Person,
    clearance: Label,
    closed: Arc<[Left]>,
}

impl Sight {
    /// The sight of an actor.
    pub(super) fn of(books: &dyn Books, actor: &Actor) -> Result<Self> {
        let account = books.open(actor.account)?.filter(|r| r.kind == account::KIND.tag);
        let person = account.as_ref().map_or_else(|| Ok(Person::default()), |a| person(books, a))?;
        let clearance = account.map_or(Label::Plain, |a| account::clearance(&a.fields));
        let mut closed = Vec::new();
        for kind in records::ALL.iter().filter(|k| conflict::applies(k) && !person.name.is_empty()) {
            for id in books.named(kind, PERSONS, &person.name)? {
                let record = books.open(id)?;
                let met = |r: &Record| conflict::meeting(kind, r, &person) == Meeting::Person;
                closed.extend(record.filter(met).as_ref().map(left));
            }
        }
        for recusal in books.linked(&recusal::KIND, recusal::tag::PERSON, actor.account)? {
            let target = recusal.fields.link(recusal::tag::TARGET).filter(|_| stands(&recusal));
            let target = target.map_or(Ok(None), |id| books.open(id))?;
            closed.extend(target.as_ref().map(left));
        }
        let mut closed = once(closed);
        for place in 0..closed.len() {
            for (kind, tag) in POINTERS {
                closed.extend(books.linked(kind, *tag, closed[place].id)?.iter().map(left));
            }
        }
        let closed = once(closed);
        Ok(Self { person, clearance, closed: closed.into() })
    }

    /// The account is kept out of this record.
    pub(super) fn bars(&self, record: &Record) -> bool {
        let barred = |kind| {
            label::of(kind, record) > self.clearance
                || conflict::meeting(kind, record, &self.person) == Meeting::Person
        };
        self.closes(record.id) || records::by_tag(record.kind).is_none_or(barred)
    }

    /// How far the account may know.
    pub(super) fn clearance(&self) -> Label {
        self.clearance
    }

    /// Takes out of records of one kind those that the account is kept out of, without reading them.
    pub(super) fn keep_open(&self, books: &dyn Books, kind: &Kind, ids: &mut Vec<RecordId>) -> Result<()> {
        // Records with a label of their own are found by it; those without one have that of the kind.
        let reached = label::of_kind(kind) <= self.clearance;
        let other = Label::ALL.into_iter().filter(|l| (*l <= self.clearance) != reached);
        let mut found = Vec::new();
        for label in other {
            found.extend(books.named(kind, LABEL, label.code())?);
        }
        found.sort_unstable();
        ids.retain(|id| !self.closes(*id) && found.binary_search(id).is_err() == reached);
        Ok(())
    }

    /// The account is kept out of the record with this id because it concerns the account.
    pub(super) fn closes(&self, id: RecordId) -> bool {
        self.closed.iter().any(|left| left.id == id)
    }

    /// What lists and counts leave out.
    pub(super) fn left(&self) -> Arc<[Left]> {
        Arc::clone(&self.closed)
    }
}

/// Records that say something of the one they point at.
pub(super) const POINTERS: &[(&Kind, u16)] =
    &[(&purge::KIND, purge::tag::TARGET), (&recusal::KIND, recusal::tag::TARGET)];

/// The recusal is in force.
pub(super) fn stands(recusal: &Record) -> bool {
    recusal.state == recusal::state::STANDS
}

/// What is compared of an account.
pub(super) fn person(books: &dyn Books, account: &Record) -> Result<Person> {
    let unit = account.fields.link(account::tag::UNIT).map_or(Ok(None), |id| books.open(id))?;
    let unit: Option<Fields> = unit.map(|u| u.fields);
    Ok(Person::of(&account.fields, unit.as_ref()))
}

/// Each record once: what is counted is taken off once.
fn once(mut closed: Vec<Left>) -> Vec<Left> {
    closed.sort_unstable_by_key(|left| left.id);
    closed.dedup_by_key(|left| left.id);
    closed
}

fn left(record: &Record) -> Left {
    let label = records::by_tag(record.kind).map_or(Label::Core, |kind| label::of(kind, record));
    Left { id: record.id, place: (record.kind, record.unit, record.state), label }
}

#[cfg(test)]
mod tests;

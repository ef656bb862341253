//! What lies with somebody who leaves, and who could take it: open work wherever it lies, steps that nobody else of the
//! unit could take, and accounts that do such work and are not kept out of it. The same for a page and for the
//! transaction that acts.

use super::OpenItem;
use crate::app::sight::{Books, Sight};
use crate::app::{Actor, Right};
use crate::base::{Moment, RecordId, Result};
use crate::records::decide::{is_in_charge, is_work};
use crate::records::flow::Duty;
use crate::records::{self, Kind, Record, account, org};

/// Somebody who could take work.
pub(super) struct Heir {
    pub(super) actor: Actor,
    sight: Sight,
}

impl Heir {
    /// Is of the unit, does such work, and nothing keeps this person out of it.
    pub(super) fn takes(&self, record: &Record) -> bool {
        let does = |kind| self.actor.may(kind, Right::Move(Duty::Handle), record.unit);
        self.actor.unit == record.unit && records::by_tag(record.kind).is_some_and(does) && !self.sight.bars(record)
    }
}

/// Everybody in use who could take work of somebody who leaves, in the units this work lies in.
pub(super) struct Heirs(Vec<Heir>);

impl Heirs {
    pub(super) fn of(books: &dyn Books, leaver: &Record, work: &[RecordId], now: Moment) -> Result<Self> {
        let mut units: Vec<RecordId> = leaver.fields.link(account::tag::UNIT).into_iter().collect();
        for id in work {
            units.extend(books.open(*id)?.map(|r| r.unit));
        }
        let mut heirs = Vec::new();
        let near = |p: &Actor| p.account != leaver.id && units.contains(&p.unit);
        for actor in people(books, now)?.into_iter().filter(near) {
            let works = |k: &Kind| is_work(k) && actor.may(k, Right::Move(Duty::Handle), actor.unit);
            if records::ALL.iter().any(|k| works(k)) {
                let sight = Sight::of(books, &actor)?;
                heirs.push(Heir { actor, sight });
            }
        }
        Ok(Self(heirs))
    }

    pub(super) fn person(&self, id: RecordId) -> Option<&Heir> {
        self.0.iter().find(|h| h.actor.account == id)
    }

    pub(super) fn item(&self, record: &Record) -> OpenItem {
        let heirs = self.0.iter().filter(|h| h.takes(record)).map(|h| h.actor.account).collect();
        let kind = records::by_tag(record.kind).unwrap_or(&records::petition::KIND);
        OpenItem { record: record.clone(), kind, heirs }
    }

    pub(super) fn names(&self) -> Vec<(RecordId, String)> {
        self.0.iter().map(|h| (h.actor.account, format!("{}（{}）", h.actor.name, h.actor.login))).collect()
    }
}

/// Everybody whose account is in use, with the rights of this moment.
fn people(books: &dyn Books, now: Moment) -> Result<Vec<Actor>> {
    let (charter, mut people) = (books.charter()?, Vec::new());
    for id in books.standing(&account::KIND, RecordId(0), 1)? {
        let record = books.open(id)?.filter(|a| account::admits(a, now.day()));
        people.extend(record.map(|a| Actor::at(&a, "", now, &charter)));
    }
    Ok(people)
}

/// Answers for the work of a unit: approves a kind that is work.
pub(in crate::app) fn heads(actor: &Actor, unit: RecordId) -> bool {
    records::ALL.iter().any(|k| is_work(k) && actor.may(k, Right::Move(Duty::Approve), unit))
}

pub(super) fn may_assign(actor: &Actor, record: &Record) -> bool {
    let approves = |k| actor.may(k, Right::See, record.unit) && actor.may(k, Right::Move(Duty::Approve), record.unit);
    records::by_tag(record.kind).is_some_and(approves)
}

pub(super) fn is_open(leaver: &Record, record: &Record) -> bool {
    let unit = leaver.fields.link(account::tag::UNIT).unwrap_or(RecordId(0));
    records::by_tag(record.kind).is_some_and(|kind| is_in_charge(kind, record, (leaver.id, unit)))
}

/// Open work of an account, wherever it lies.
pub(super) fn open_work(books: &dyn Books, leaver: &Record) -> Result<Vec<Record>> {
    let mut units = Vec::new();
    for state in org::KIND.flow.states {
        units.extend(books.standing(&org::KIND, RecordId(0), state.tag)?);
    }
    let mut work = Vec::new();
    for kind in records::ALL.iter().filter(|k| is_work(k)) {
        let open = kind.flow.states.iter().filter(|s| !kind.flow.is_settled(s.tag));
        for state in open {
            for unit in &units {
                for id in books.standing(kind, *unit, state.tag)? {
                    work.extend(books.open(id)?.filter(|r| is_open(leaver, r)));
                }
            }
        }
    }
    work.sort_by_key(|r| r.id);
    Ok(work)
}

/// Steps that wait in the person's unit and that nobody else of it could take, in words.
pub(super) fn alone(books: &dyn Books, leaver: &Record, now: Moment) -> Result<Vec<String>> {
    let own = Actor::at(leaver, "", now, &books.charter()?);
    let others = people(books, now)?;
    let mut words = Vec::new();
    for kind in records::ALL.iter().filter(|k| is_work(k)) {
        for state in kind.flow.states.iter().filter(|s| !kind.flow.is_settled(s.tag)) {
            let duties: Vec<Duty> = kind.flow.onward(state.tag).map(|m| m.duty).collect();
            let does = |p: &Actor| duties.iter().any(|d| p.may(kind, Right::Move(*d), own.unit));
            let another = others.iter().any(|p| p.account != own.account && does(p));
            if does(&own) && !another && !books.standing(kind, own.unit, state.tag)?.is_empty() {
                words.push(format!("“{}”的{}", state.label, kind.label));
            }
        }
    }
    Ok(words)
}

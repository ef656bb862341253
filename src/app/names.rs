//! Names of units and accounts, for pages: a small cache over the store, read again when one of them changed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use super::{App, lock};
use crate::base::{Moment, RecordId, Result, Seq};
use crate::records::label::Label;
use crate::records::{self, Fields, Kind, account, org};
use crate::store::{ListQuery, Snapshot};

/// The cache.
#[derive(Default)]
pub struct Names(Mutex<Option<(Seq, Arc<Directory>)>>);

/// A unit as lists and pickers show it.
#[derive(Clone, Debug)]
pub struct Unit {
    /// Its record.
    pub id: RecordId,
    /// Full name.
    pub name: String,
    /// Code of its kind.
    pub kind: String,
    /// Still in use.
    pub open: bool,
    /// What it is and was called.
    fields: Fields,
}

/// All units and the names of all accounts.
#[derive(Debug, Default)]
pub struct Directory {
    /// Units in their order.
    pub units: Vec<Unit>,
    accounts: HashMap<RecordId, String>,
}

impl Directory {
    /// Name of a unit, or a sign that there is none.
    pub fn unit(&self, id: RecordId) -> &str {
        self.units.iter().find(|u| u.id == id).map_or("—", |u| u.name.as_str())
    }

    /// What a unit was called at a moment: old papers keep the name of their day.
    pub fn unit_at(&self, id: RecordId, at: Moment) -> &str {
        self.units.iter().find(|u| u.id == id).map_or("—", |u| org::name_at(&u.fields, at))
    }

    /// Name of a person.
    pub fn account(&self, id: RecordId) -> &str {
        match id.0 {
            0 => "系统",
            _ => self.accounts.get(&id).map_or("—", String::as_str),
        }
    }

    /// Every account with its name, by number.
    pub fn people(&self) -> Vec<(RecordId, &str)> {
        let mut all: Vec<(RecordId, &str)> = self.accounts.iter().map(|(id, name)| (*id, name.as_str())).collect();
        all.sort_unstable();
        all
    }

    /// The unit with this name.
    pub fn unit_named(&self, name: &str) -> Option<&Unit> {
        self.units.iter().find(|u| u.name == name)
    }
}

impl App {
    /// Units and names as of now.
    pub fn directory(&self) -> Result<Arc<Directory>> {
        let head = self.store.head().seq;
        let mut cached = lock(&self.names.0);
        if let Some((seq, directory)) = &*cached
            && *seq == head
        {
            return Ok(Arc::clone(directory));
        }
        let snapshot = self.store.read()?;
        if let Some((seq, directory)) = &*cached
            && !changed_since(&snapshot, *seq)?
        {
            let directory = Arc::clone(directory);
            *cached = Some((snapshot.head()?.seq, Arc::clone(&directory)));
            return Ok(directory);
        }
        let directory = Arc::new(read(&snapshot)?);
        *cached = Some((snapshot.head()?.seq, Arc::clone(&directory)));
        Ok(directory)
    }
}

fn changed_since(snapshot: &Snapshot, seq: Seq) -> Result<bool> {
    let kinds = [org::KIND.tag, account::KIND.tag];
    for entry in snapshot.journal_after(seq)? {
        if entry?.header.subjects.iter().any(|s| s.digest.is_some() && kinds.contains(&s.kind)) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn read(snapshot: &Snapshot) -> Result<Directory> {
    let mut directory = Directory::default();
    let mut orgs = all(snapshot, &org::KIND)?;
    orgs.sort_by_key(|o| (o.fields.int(org::tag::ORDER), o.id));
    for record in orgs {
        directory.units.push(Unit {
            id: record.id,
            name: record.fields.text(org::tag::NAME).to_owned(),
            kind: record.fields.text(org::tag::KIND).to_owned(),
            open: record.state == 1,
            fields: record.fields,
        });
    }
    for record in all(snapshot, &account::KIND)? {
        directory.accounts.insert(record.id, record.fields.text(account::tag::NAME).to_owned());
    }
    Ok(directory)
}

/// Every record of a small kind, whatever its unit, oldest id first.
pub(super) fn all(snapshot: &Snapshot, kind: &'static Kind) -> Result<Vec<records::Record>> {
    // Records of these kinds belong to the unit 0: they are the county's.
    let query = ListQuery {
        kind,
        units: vec![RecordId(0)],
        states: kind.flow.states.iter().map(|s| s.tag).collect(),
        from: 0,
        to: 0,
        oldest_first: true,
        without: Vec::new().into(),
        ceiling: Label::Core,
    };
    let mut ids = snapshot.list(&query, 0, u64::MAX)?;
    ids.sort_unstable();
    ids.into_iter().filter_map(|id| snapshot.get(id, false).transpose()).collect()
}

//! What the shipper remembers and says: which sets it brought, what slots name, and how the target stands. Two threads
//! share it, one for the log, one for sets.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::backup::segment::Plain;
use crate::backup::spool::{Fenced, Shipped, Slot, Spool, read_json, write_json};
use crate::base::{Clock, Result, limits};

/// What decides over removing anything from the target; it outlives the process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Delivered {
    /// Files of sets that were brought, by name of the set.
    #[serde(default)]
    pub(super) sets: BTreeMap<String, Vec<String>>,
    /// The first slot from which on all were brought by this spool.
    #[serde(default)]
    pub(super) since: Option<u64>,
    /// Members of the pool, by name in the target, with the last slot that names them.
    #[serde(default)]
    pub(super) named: BTreeMap<String, u64>,
    /// Members that sets listed which were removed.
    #[serde(default)]
    pub(super) loose: BTreeSet<String>,
}

/// [`Delivered`], kept in the spool, and what is known to lie in the target.
pub(super) struct Memory {
    path: PathBuf,
    inner: Mutex<Inner>,
}

pub(super) struct Inner {
    pub(super) delivered: Delivered,
    /// Members of the pool that the target has.
    pub(super) there: HashSet<String>,
}

impl Memory {
    pub(super) fn of(spool: &Spool) -> Self {
        let path = spool.delivered();
        let delivered = read_json(&path).unwrap_or_default();
        Self { path, inner: Mutex::new(Inner { delivered, there: HashSet::new() }) }
    }

    /// Whoever holds it is the only one to add members to the target or to remove them.
    pub(super) fn hold(&self) -> MutexGuard<'_, Inner> {
        lock(&self.inner)
    }

    /// Writes it down, durably.
    pub(super) fn save(&self, inner: &Inner) -> Result<()> {
        write_json(&self.path, &inner.delivered)
    }

    /// Notes what a segment names, before its slot is taken.
    pub(super) fn will_name(&self, plain: &Plain) -> Result<()> {
        if plain.files.is_empty() {
            return Ok(());
        }
        let mut inner = self.hold();
        let names = plain.files.iter().map(|needed| (needed.place(), plain.number));
        inner.delivered.named.extend(names);
        self.save(&inner)
    }

    /// Where nothing is remembered, slots up to this one may name what is not known here.
    pub(super) fn begins_after(&self, number: u64) -> Result<()> {
        let mut inner = self.hold();
        if inner.delivered.since.is_some() {
            return Ok(());
        }
        inner.delivered.since = Some(number + 1);
        self.save(&inner)
    }

    /// The target has a member.
    pub(super) fn is_there(&self, name: &str) -> bool {
        self.hold().there.contains(name)
    }

    /// The same from now on.
    pub(super) fn came(&self, name: String) {
        self.hold().there.insert(name);
    }
}

/// The two halves of the work.
#[derive(Clone, Copy, Debug)]
pub(super) enum Half {
    /// Segments.
    Log,
    /// Sets.
    Sets,
}

/// What is said in `shipped.json`.
pub(super) struct Report {
    errors: Mutex<[Option<String>; 2]>,
    spool: Spool,
    clock: Arc<dyn Clock>,
    said: Mutex<Option<Shipped>>,
}

impl Report {
    pub(super) fn of(spool: &Spool, clock: Arc<dyn Clock>) -> Self {
        Self { errors: Mutex::default(), spool: spool.clone(), clock, said: Mutex::new(spool.shipped()) }
    }

    /// The last slot of the target, as it was noted.
    pub(super) fn slot(&self) -> Option<Slot> {
        lock(&self.said).as_ref().map(|s| s.slot.clone())
    }

    /// Mark of the store whose log it is.
    pub(super) fn mark(&self) -> Option<String> {
        lock(&self.said).as_ref().map(|s| s.store.clone()).filter(|m| !m.is_empty())
    }

    /// Another host took a slot.
    pub(super) fn is_fenced(&self) -> bool {
        lock(&self.said).as_ref().is_some_and(|s| s.fenced.is_some())
    }

    /// The log of the target ends here.
    pub(super) fn found(&self, slot: &Slot, mark: Option<String>) -> Result<()> {
        self.say(|said| {
            said.slot = slot.clone();
            said.store = mark.unwrap_or_default();
        })
    }

    /// Everything that was noted is another store's.
    pub(super) fn forget(&self) -> Result<()> {
        self.say(|said| *said = Shipped { at: said.at, ..Shipped::default() })
    }

    /// The target has this slot.
    pub(super) fn shipped(&self, slot: &Slot, mark: &str) -> Result<()> {
        self.say(|said| {
            said.slot = slot.clone();
            said.store = mark.to_owned();
            said.at = self.clock.now().0;
        })
    }

    /// Another host took this slot.
    pub(super) fn fence(&self, fenced: Fenced) -> Result<()> {
        tracing::error!(
            "another host took slot {} of the off-site log in epoch {}",
            fenced.number,
            fenced.epoch
        );
        self.say(|said| said.fenced = Some(fenced))
    }

    /// How many complete sets the target has, and which is the newest.
    pub(super) fn sets(&self, count: u64, newest: Option<String>) -> Result<()> {
        let same = lock(&self.said).as_ref().is_some_and(|s| (s.sets, &s.newest) == (count, &newest));
        if same { Ok(()) } else { self.say(|said| (said.sets, said.newest) = (count, newest)) }
    }

    /// How a round of the log or of sets ended: everything went well, or what went wrong.
    pub(super) fn outcome(&self, of: Half, error: Option<String>) -> Result<()> {
        let error = {
            let mut errors = lock(&self.errors);
            errors[of as usize] = error;
            errors.iter().flatten().next().cloned()
        };
        let now = self.clock.now();
        let stale = lock(&self.said).as_ref().is_none_or(|s| {
            s.error != error || error.is_none() && !(0..limits::SHIP_WORD_S * 1000).contains(&(now.0 - s.at))
        });
        if !stale {
            return Ok(());
        }
        self.say(|said| {
            if error.is_none() {
                said.at = now.0;
            }
            said.error = error;
        })
    }

    fn say(&self, change: impl FnOnce(&mut Shipped)) -> Result<()> {
        let mut said = lock(&self.said);
        let mut new = said.clone().unwrap_or_default();
        change(&mut new);
        self.spool.set_shipped(&new)?;
        *said = Some(new);
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

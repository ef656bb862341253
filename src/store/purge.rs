//! What was purged: which records, by which entry; the files they had, which go after the commit; the generation of
//! keys that must go, so that nothing that lies about in the database can be opened; and purging what another copy of
//! this store is known to have purged.
//!
//! What must hold: a record is purged exactly when the journal says so. A file goes only when nothing names it: no
//! record, no readable earlier version, no draft, no form that is open. It stays noted until it is gone and its folder
//! synced, so a stop in between costs nothing.

use std::collections::BTreeSet;

use redb::ReadableTable;

use super::{Act, Doer, Snapshot, Store, blob, damage, fact};
use crate::base::{Moment, RecordId, Result, Seq};
use crate::records::act;

/// Records that one command purges at most.
const AT_ONCE: usize = 200;

/// A record whose content was purged. After a restore an id may be given to another record: the moment it was entered
/// tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Purged {
    /// The record.
    pub record: u64,
    /// When it was entered, in milliseconds since 1970-01-01 UTC.
    pub created: i64,
}

/// A generation of keys that is to be destroyed because of a purge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeysDue {
    /// Its number.
    pub generation: u32,
    /// When the first purge under it was.
    pub since: Moment,
}

impl KeysDue {
    /// Reads the fact `purge_keys`; `None` when there is none.
    pub(super) fn decode(text: &str) -> Option<Self> {
        let (generation, since) = text.split_once(' ')?;
        Some(Self { generation: generation.parse().ok()?, since: Moment(since.parse().ok()?) })
    }
}

impl Snapshot {
    /// Records that were purged by entries after `after`, in order of ids.
    pub fn purged(&self, after: Seq) -> Result<Vec<Purged>> {
        let mut all = Vec::new();
        for row in self.purged.iter().map_err(damage)? {
            let (id, seq) = row.map_err(damage)?;
            if seq.value() > after.0
                && let Some(record) = self.get_any(RecordId(id.value()), false)?
            {
                all.push(Purged { record: record.id.0, created: record.created.0 });
            }
        }
        Ok(all)
    }

    /// The entry that purged a record; `None` when nothing did.
    pub fn purged_at(&self, id: RecordId) -> Result<Option<Seq>> {
        Ok(self.purged.get(id.0).map_err(damage)?.map(|seq| Seq(seq.value())))
    }

    /// The newest entry that purged something; 0 when nothing was.
    pub fn last_purge(&self) -> Result<Seq> {
        let mut last = Seq(0);
        for row in self.purged.iter().map_err(damage)? {
            last = last.max(Seq(row.map_err(damage)?.1.value()));
        }
        Ok(last)
    }

    /// When the first generation of keys after this one took over alone; `None` before that.
    pub fn rotated_after(&self, generation: u32) -> Result<Option<Moment>> {
        let text = self.fact_text(fact::ROTATIONS)?;
        let lines = text.lines().filter_map(KeysDue::decode);
        let next = lines.filter(|line| line.generation > generation).min_by_key(|line| line.generation);
        Ok(next.map(|line| line.since))
    }

    /// Which of these sealed files something names: a record, an earlier version of one that can be read, a draft.
    fn named_among(&self, files: &BTreeSet<String>) -> Result<BTreeSet<String>> {
        let mut named: BTreeSet<String> = self.named_files()?.into_iter().map(|(_, f)| f.blob).collect();
        named.retain(|blob| files.contains(blob));
        for entry in self.journal_after(Seq(0))? {
            let entry = entry?;
            let changed: BTreeSet<RecordId> =
                entry.parts.iter().map(|p| p.id).filter(|id| id.0 != 0).collect();
            for id in changed {
                let deltas = self.delta(&entry, id, false)?;
                let all = deltas.iter().flat_map(|d| d.set.all_files()).map(|f| f.blob);
                named.extend(all.filter(|blob| files.contains(blob)));
            }
        }
        Ok(named)
    }
}

impl Store {
    /// The generation of keys that is still there and must go because of a purge.
    pub fn keys_due(&self) -> Result<Option<KeysDue>> {
        let due = KeysDue::decode(&self.read()?.fact_text(fact::PURGE_KEYS)?);
        Ok(due.filter(|due| due.generation >= self.oldest_generation()))
    }

    /// The number of the oldest generation there is: that of the newest but while keys move.
    pub fn oldest_generation(&self) -> u32 {
        self.shared.ring.generations().keys().first().map_or(0, |(number, _)| *number)
    }

    /// Enters that a generation took over from all older ones, and remembers when.
    pub(super) fn enter_rotation(&self, generation: u32, act: Act) -> Result<()> {
        self.submit(move |txn| {
            txn.note_rotation(generation)?;
            txn.act(act);
            Ok(())
        })
    }

    /// Removes the files of purged records that nothing names any more; how many. `held` wait for a form, and were
    /// asked for before this is called.
    ///
    /// # Errors
    /// While records cannot be changed: a disk that failed may have lost the commit that names a file.
    pub fn remove_purged_files(&self, held: &[String], act: Act) -> Result<u64> {
        let snapshot = self.read()?;
        let mut files: BTreeSet<String> =
            snapshot.fact_text(fact::PURGED_FILES)?.lines().map(str::to_owned).collect();
        // What a form holds stays noted; what a record names is that record's and noted no more.
        files.retain(|blob| !held.contains(blob));
        if files.is_empty() {
            return Ok(0);
        }
        self.must_take_changes()?;
        let named = snapshot.named_among(&files)?;
        let gone: Vec<String> = files.difference(&named).cloned().collect();
        gone.iter().try_for_each(|blob| blob::remove(&self.shared.dir, blob))?;
        let count = gone.len() as u64;
        self.submit(move |txn| {
            let left: Vec<String> = txn.doomed()?.into_iter().filter(|blob| !files.contains(blob)).collect();
            txn.set_doomed(left);
            txn.act(act.note(format!("files {count}")));
            Ok(())
        })?;
        Ok(count)
    }

    /// Purges what another copy of this store is known to have purged, as far as it is there: the same id, entered at
    /// the same moment. How many records that were. For restores and standbys, before anybody is served.
    pub fn apply_purges(&self, purged: &[Purged], doer: &Doer) -> Result<u64> {
        let snapshot = self.read()?;
        let mut due = Vec::new();
        for one in purged {
            let record = snapshot.get_any(RecordId(one.record), false)?;
            due.extend(record.filter(|r| r.created.0 == one.created && !r.is_purged()).map(|r| r.id));
        }
        due.sort_unstable();
        due.dedup();
        for some in due.chunks(AT_ONCE) {
            let (some, act) = (some.to_vec(), Act::new(doer.clone(), act::PURGE));
            self.submit(move |txn| {
                let mut files = 0;
                for id in &some {
                    files += txn.purge(*id)?.unwrap_or(0);
                }
                txn.act(act.note(format!("restore records {} files {files}", some.len())));
                Ok(())
            })?;
        }
        self.remove_purged_files(&[], Act::new(doer.clone(), act::PURGE_FILES))?;
        Ok(due.len() as u64)
    }
}

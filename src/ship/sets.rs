//! Sets of the backup folder, as the shipper brings them to a target, and what it removes there.
//!
//! What must hold: what a set needs of the pool is there before its list, data and manifest, and the manifest comes
//! last. Removed is what this spool brought and the backup folder let go, while three newer complete sets lie in both;
//! then slots before the oldest set, and members of the pool that nothing names any more. Nothing else, ever.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::Remote;
use super::log::{place, plain_of, slots};
use super::memory::{Memory, Report};
use crate::backup::SetId;
use crate::backup::delivery::{self, Carried, Named};
use crate::base::{Error, Result, limits};

/// The complete and other sets of a target.
pub(super) fn lying(remote: &dyn Remote) -> Result<(BTreeMap<SetId, Named>, BTreeMap<String, u64>)> {
    let sizes: BTreeMap<String, u64> =
        remote.list("", None)?.into_iter().map(|i| (i.name, i.bytes)).collect();
    Ok((delivery::among(sizes.keys().map(String::as_str)), sizes))
}

/// Brings sets to one target.
pub(super) struct Sets<'a> {
    pub(super) remote: &'a dyn Remote,
    pub(super) backups: &'a Path,
    pub(super) memory: &'a Memory,
    pub(super) report: &'a Report,
    /// Somewhere to lay a file for a moment.
    pub(super) scratch: &'a Path,
}

impl Sets<'_> {
    /// Brings every complete set that the target lacks, newest first, then removes what may go.
    pub(super) fn round(&self) -> Result<()> {
        // A target whose log is gone is another one: a disk that is not mounted, for instance.
        if let Some(slot) = self.report.slot().filter(|slot| slot.number > 0)
            && self.remote.size(&place(slot.number))?.is_none()
        {
            return Ok(());
        }
        let local = delivery::carried(self.backups)?;
        let (there, sizes) = lying(self.remote)?;
        self.tell(&there)?;
        if self.report.is_fenced() {
            // What a host brings that was replaced is nobody's backup any more.
            return Ok(());
        }
        let lacking: Vec<&Carried> = local.iter().filter(|set| self.lacks(set, &sizes)).collect();
        for set in &lacking {
            self.bring(set, &sizes)?;
        }
        let there = if lacking.is_empty() { there } else { lying(self.remote)?.0 };
        self.tell(&there)?;
        self.retire(&local, &there)
    }

    fn tell(&self, there: &BTreeMap<SetId, Named>) -> Result<()> {
        let complete = || there.iter().filter(|(_, named)| named.is_complete()).map(|(id, _)| id);
        self.report.sets(complete().count() as u64, complete().next_back().map(SetId::to_string))
    }

    fn lacks(&self, set: &Carried, sizes: &BTreeMap<String, u64>) -> bool {
        set.files.iter().any(|(name, path)| sizes.get(name).copied() != length(path))
    }

    fn bring(&self, set: &Carried, sizes: &BTreeMap<String, u64>) -> Result<()> {
        for (needed, path) in &set.members {
            let name = needed.place();
            // Whoever sweeps the pool waits until the member is known to be there again.
            if self.memory.is_there(&name) {
                continue;
            }
            if self.remote.size(&name)? != Some(needed.bytes) {
                if length(path) != Some(needed.bytes) {
                    return Err(lacking(&set.id));
                }
                self.remote.put(&name, path)?;
            }
            self.memory.came(name);
        }
        {
            let mut inner = self.memory.hold();
            let files = set.files.iter().map(|(name, _)| name.clone()).collect();
            inner.delivered.sets.insert(set.id.to_string(), files);
            self.memory.save(&inner)?;
        }
        for (name, path) in &set.files {
            if sizes.get(name).copied() != length(path) {
                self.remote.put(name, path)?;
            }
        }
        Ok(())
    }

    /// Removes what retention let go in the backup folder, and what only that needed.
    fn retire(&self, local: &[Carried], there: &BTreeMap<SetId, Named>) -> Result<()> {
        let complete: BTreeSet<&SetId> =
            there.iter().filter(|(_, n)| n.is_complete()).map(|(id, _)| id).collect();
        let both: Vec<&SetId> = local.iter().map(|set| &set.id).filter(|id| complete.contains(id)).collect();
        let brought = self.memory.hold().delivered.sets.clone();
        let may_go = |id: &SetId| {
            let newer = both.iter().filter(|other| other.seq() > id.seq() && **other > id).count();
            let gone = local.iter().all(|set| set.id != *id);
            gone && newer >= limits::SETS_KEPT_MIN
        };
        let going: Vec<(&SetId, &Named)> = there
            .iter()
            .filter(|(id, named)| {
                let own = brought.get(&id.to_string());
                own.is_some_and(|files| named.files().iter().all(|f| files.iter().any(|o| o == f)))
                    && may_go(id)
            })
            .collect();
        for (id, named) in &going {
            self.remove_set(id, named)?;
        }
        let stays = complete.iter().filter(|id| going.iter().all(|(gone, _)| gone != *id));
        let Some(oldest) = stays.map(|id| id.seq().0).min() else { return Ok(()) };
        let loose = !self.memory.hold().delivered.loose.is_empty();
        if going.is_empty() && !loose {
            return Ok(());
        }
        self.remove_slots(oldest)?;
        self.sweep()
    }

    /// What the set listed is noted before the set goes: without its list nobody would know.
    fn remove_set(&self, id: &SetId, named: &Named) -> Result<()> {
        if let Some(list) = &named.list {
            let members = self.list_of(list)?;
            let mut inner = self.memory.hold();
            inner.delivered.loose.extend(members);
            self.memory.save(&inner)?;
        }
        let files = [&named.manifest, &named.data, &named.list];
        files.into_iter().flatten().try_for_each(|name| self.remote.remove(name))?;
        let mut inner = self.memory.hold();
        inner.delivered.sets.remove(&id.to_string());
        self.memory.save(&inner)
    }

    /// Slots that end before the oldest set, up to the first that does not; the last one stays.
    fn remove_slots(&self, oldest: u64) -> Result<()> {
        let mut all = slots(self.remote, None)?;
        all.pop();
        for (number, _) in all {
            let plain = plain_of(self.remote, number)?;
            if plain.is_none_or(|p| p.to.seq.0 >= oldest) {
                break;
            }
            self.remote.remove(&place(number))?;
        }
        Ok(())
    }

    /// Members that only sets listed which are gone. While this holds the memory, the log brings none.
    fn sweep(&self) -> Result<()> {
        let mut inner = self.memory.hold();
        let first = slots(self.remote, None)?.first().map_or(u64::MAX, |(number, _)| *number);
        if inner.delivered.since.is_none_or(|since| since > first) {
            return Ok(());
        }
        inner.delivered.named.retain(|_, slot| *slot >= first);
        let mut listed = BTreeSet::new();
        for (_, named) in lying(self.remote)?.0 {
            // A set that cannot say what it needs keeps everything.
            match &named.list {
                Some(list) if !named.twice => listed.extend(self.list_of(list)?),
                Some(_) => return Ok(()),
                None => {}
            }
        }
        let (kept, going): (BTreeSet<String>, BTreeSet<String>) = std::mem::take(&mut inner.delivered.loose)
            .into_iter()
            .partition(|name| listed.contains(name) || inner.delivered.named.contains_key(name));
        for name in &going {
            inner.there.remove(name);
            self.remote.remove(name)?;
        }
        inner.delivered.loose = kept.into_iter().filter(|name| !listed.contains(name)).collect();
        self.memory.save(&inner)
    }

    /// Names in the target of what a list in it names.
    fn list_of(&self, name: &str) -> Result<Vec<String>> {
        let home = tempfile::tempdir_in(self.scratch)?;
        let file = home.path().join("list");
        if !self.remote.get(name, &file)? || !delivery::is_what_it_says(&file, name)? {
            return Err(Error::damaged(format!("异地目标中的附件清单 {name}")));
        }
        Ok(delivery::read_list(&file)?.iter().map(|needed| needed.place()).collect())
    }
}

fn length(path: &Path) -> Option<u64> {
    std::fs::metadata(path).ok().map(|m| m.len())
}

fn lacking(id: &SetId) -> Error {
    Error::invalid(format!(
        "备份 {id} 所需的附件在备份目录的 pool 中缺失，没有送到异地。请核验这套备份，或重新进行一次备份。"
    ))
}

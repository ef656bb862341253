//! The sets this store wrote (`data-format/store.md`, fact `backup_sets`), and which of them may go.
//!
//! What must hold, whatever lies in the target and whatever the clock says: only files of known sets are removed, by
//! their exact names; never the newest three whole sets nor the newest three without damage; nothing while the clock
//! is suspect, and nothing while one of those newest is rotten. Order is that of the journal, never that of time.

use std::collections::HashSet;
use std::fs::{self, File};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Done;
use super::schedule::By;
use super::target::{self, Set};
use crate::base::{Moment, Result, limits};

/// A set this store wrote and verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// Its name.
    pub set: String,
    /// The folder it lies in.
    pub target: String,
    /// Name of its data file.
    pub data_file: String,
    /// Name of its manifest.
    pub manifest_file: String,
    /// Entries of the journal in it.
    pub seq: u64,
    /// Epoch of the store.
    pub epoch: u64,
    /// When it was verified, milliseconds since 1970 UTC.
    pub at: i64,
    /// Who asked for it.
    pub by: By,
    /// Bytes of both files.
    pub bytes: u64,
    /// Records in it.
    pub records: u64,
    /// Whole attachments in it.
    pub files: u64,
    /// Attachments that were damaged in the store.
    pub damaged: u64,
}

impl Known {
    /// The entry of a set that was just verified.
    pub fn of(done: &Done, target: &Path, epoch: u64, (at, by): (Moment, By)) -> Self {
        Self {
            set: done.set.clone(),
            target: target.to_string_lossy().into_owned(),
            data_file: done.data_file.clone(),
            manifest_file: done.manifest_file.clone(),
            seq: done.head.seq.0,
            epoch,
            at: at.0,
            by,
            bytes: done.bytes,
            records: done.records,
            files: done.files,
            damaged: done.damaged.len() as u64,
        }
    }

    /// The stored list; one that cannot be read is empty, and then nothing is ever removed.
    pub fn decode(text: &str) -> Vec<Self> {
        serde_json::from_str(text).unwrap_or_default()
    }

    /// For the store: the newest [`limits::SETS_KNOWN`] of them.
    pub fn encode(known: &[Self]) -> String {
        let from = known.len().saturating_sub(limits::SETS_KNOWN);
        serde_json::to_string(&known[from..]).unwrap_or_default()
    }
}

/// What may stay and what time it is.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Verified sets that stay; fewer than three count as three.
    pub keep: usize,
    /// The present epoch of the store.
    pub epoch: u64,
    /// Now.
    pub now: Moment,
    /// When the last entry of the journal before the run was made.
    pub last_entry: Moment,
}

/// What was removed, or why nothing was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retired {
    /// Names of sets.
    pub removed: Vec<String>,
    /// Why sets stay that should have gone, for people.
    pub kept: Option<String>,
}

/// Removes known sets beyond what is to stay from a target.
pub fn retire(target: &Path, known: &[Known], rule: &Rule) -> Result<Retired> {
    let sets = target::sets(target)?;
    let place = target.to_string_lossy();
    let here = known.iter().filter(|k| *k.target == *place && k.epoch == rule.epoch);
    let mut here: Vec<(&Known, Option<&Set>)> = here.map(|k| (k, whole(&sets, k))).collect();
    here.sort_by_key(|(k, _)| std::cmp::Reverse(k.seq));
    let whole: Vec<(&Known, &Set)> = here.iter().filter_map(|(k, set)| Some((*k, (*set)?))).collect();
    let keep = rule.keep.max(limits::SETS_KEPT_MIN);
    let Some(oldest) = whole.get(keep - 1).map(|(k, _)| k.seq) else { return Ok(Retired::default()) };
    let newest = whole.iter().take(limits::SETS_KEPT_MIN);
    let sound = whole.iter().filter(|(k, _)| k.damaged == 0).take(limits::SETS_KEPT_MIN);
    let safe: Vec<&(&Known, &Set)> = newest.chain(sound).collect();
    let safe_names: HashSet<&str> = safe.iter().map(|(k, _)| k.set.as_str()).collect();
    let going =
        here.iter().map(|(k, _)| *k).filter(|k| k.seq < oldest && !safe_names.contains(k.set.as_str()));
    let going: Vec<&Known> = going.filter(|k| files_of(k).iter().any(|f| target.join(f).is_file())).collect();
    if going.is_empty() {
        return Ok(Retired::default());
    }
    if let Some(kept) = suspect(&sets, rule).or_else(|| rotten(&safe)) {
        return Ok(Retired { removed: Vec::new(), kept: Some(kept) });
    }
    for known in &going {
        for name in files_of(known) {
            remove(&target.join(name))?;
        }
    }
    File::open(target)?.sync_all()?;
    Ok(Retired { removed: going.iter().map(|k| k.set.clone()).collect(), kept: None })
}

/// Both files of a known set lie there under exactly their names, and nothing else claims them.
fn whole<'a>(sets: &'a [Set], known: &Known) -> Option<&'a Set> {
    let set = sets.iter().find(|s| s.id.to_string() == known.set)?;
    let (data, manifest) = set.parts().ok()?;
    (data.name == known.data_file && manifest.name == known.manifest_file).then_some(set)
}

/// In the order they go: without a manifest a set is no backup, and nobody takes it for one.
fn files_of(known: &Known) -> [&str; 2] {
    [&known.manifest_file, &known.data_file]
}

fn suspect(sets: &[Set], rule: &Rule) -> Option<String> {
    // Names have whole seconds, and so has what is compared with them.
    let ahead = sets.iter().map(|s| &s.id).filter(|id| id.time() > rule.now.compact_utc().as_str()).max();
    if let Some(id) = ahead {
        let at = id.created();
        return Some(format!(
            "服务器现在的时间是 {}，早于备份 {id} 的时间 {at}：时间可疑，旧备份一套也没有清理。请核对服务器时间；\
             确认无误后，把这套备份移到别处。",
            rule.now
        ));
    }
    (rule.now < rule.last_entry).then(|| {
        let last = rule.last_entry;
        format!(
            "服务器现在的时间是 {}，早于日志最后一条（{last}）：时间可疑，旧备份一套也没有清理。",
            rule.now
        )
    })
}

fn rotten(safe: &[&(&Known, &Set)]) -> Option<String> {
    let mut seen = HashSet::new();
    let once = safe.iter().filter(|(k, _)| seen.insert(k.set.as_str()));
    let bad = once.map(|(_, set)| set).find(|set| {
        let intact = set.parts().and_then(|(d, m)| d.intact().and_then(|_| m.intact()));
        intact.is_err()
    })?;
    Some(format!("备份 {} 的文件已经损坏，旧备份一套也没有清理。请检查备份盘，并保留旧备份。", bad.id))
}

/// Removes a plain file; what is something else under this name is not ours.
fn remove(path: &Path) -> Result<()> {
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_file() => Ok(fs::remove_file(path)?),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::path::PathBuf;

    use super::*;
    use crate::store::seal::sha256;

    const START: i64 = 1_790_000_000_000;
    const HOUR: i64 = 3_600_000;

    struct Draw(u64);

    impl Draw {
        fn below(&mut self, bound: u64) -> u64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) % bound
        }
    }

    /// A target and what a store knows of it.
    struct World {
        home: tempfile::TempDir,
        known: Vec<Known>,
        seq: u64,
        now: i64,
        draw: Draw,
    }

    impl World {
        fn new(seed: u64) -> Self {
            // In memory where there is such a place: thousands of syncs would wear a disk for nothing.
            let home = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
            Self { home, known: Vec::new(), seq: 10, now: START, draw: Draw(seed) }
        }

        fn path(&self) -> PathBuf {
            self.home.path().to_owned()
        }

        /// Writes the two files of a set, as a run would, and gives what the ledger would say of it.
        fn set(&mut self, epoch: u64) -> Known {
            self.seq += 1 + self.draw.below(5);
            let set = format!("{}-s{:012}", Moment(self.now).compact_utc(), self.seq);
            let mut name = |kind: &str| {
                let bytes = self.draw.below(u64::MAX).to_be_bytes();
                let name = format!("{set}.{}.{kind}.age", hex::encode(&sha256(&[&bytes])[..16]));
                fs::write(self.home.path().join(&name), bytes).unwrap();
                name
            };
            let (data_file, manifest_file) = (name("data"), name("manifest"));
            Known {
                set,
                target: self.home.path().to_string_lossy().into_owned(),
                data_file,
                manifest_file,
                seq: self.seq,
                epoch,
                at: self.now,
                by: By::Schedule,
                bytes: 16,
                records: 1,
                files: 0,
                damaged: u64::from(self.draw.below(4) == 0),
            }
        }

        fn verified(&mut self) {
            let set = self.set(1);
            self.known.push(set);
        }

        /// Something happens that is not a run of ours.
        fn event(&mut self) {
            match self.draw.below(9) {
                0 => drop(self.set(1)),
                1 => {
                    let other = self.set(2);
                    self.known.push(other);
                }
                2 => {
                    let elsewhere = Known { target: "/mnt/other".into(), ..self.set(1) };
                    self.known.push(elsewhere);
                }
                3 => self.now += i64::try_from(self.draw.below(9_000)).unwrap() * HOUR,
                4 => self.now -= i64::try_from(self.draw.below(9_000)).unwrap() * HOUR,
                5 => {
                    let junk = ["notes.txt", "x.data.age", "20261123T170102Z-s000000000123.00ff.tmp.age"];
                    let name = junk[usize::try_from(self.draw.below(3)).unwrap()];
                    fs::write(self.home.path().join(name), "somebody's").unwrap();
                }
                n => {
                    let names: Vec<PathBuf> = listing(self.home.path()).into_keys().collect();
                    let Some(path) = names.get(usize::try_from(self.draw.below(40)).unwrap()) else { return };
                    match n {
                        6 => fs::remove_file(path).unwrap(),
                        7 => fs::write(path, "rotten").unwrap(),
                        _ => {
                            // A second file that claims the same place in a set.
                            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
                            let words: Vec<&str> = name.split('.').collect();
                            if words.len() == 4 {
                                let twin = format!("{}.{}.{}.age", words[0], "ab".repeat(16), words[2]);
                                fs::write(self.home.path().join(twin), "twin").unwrap();
                            }
                        }
                    }
                }
            }
        }
    }

    fn listing(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
        let paths = fs::read_dir(dir).unwrap().map(|e| e.unwrap().path());
        paths.map(|p| (p.clone(), fs::read(&p).unwrap())).collect()
    }

    /// The newest three verified sets of which both files are there alone, and the newest three without damage: in
    /// terms of names only, so that it does not lean on what is tested.
    fn sacred(before: &BTreeMap<PathBuf, Vec<u8>>, known: &[Known], dir: &Path) -> BTreeSet<PathBuf> {
        let names: Vec<&str> = before.keys().map(|p| p.file_name().unwrap().to_str().unwrap()).collect();
        let one = |k: &Known, kind: &str| {
            let end = format!(".{kind}.age");
            names.iter().filter(|n| n.starts_with(&format!("{}.", k.set)) && n.ends_with(&end)).count() == 1
        };
        let has = |name: &String| before.contains_key(&dir.join(name));
        let here = known.iter().filter(|k| k.target == dir.to_string_lossy() && k.epoch == 1);
        let mut here: Vec<&Known> = here
            .filter(|k| has(&k.data_file) && has(&k.manifest_file) && one(k, "data") && one(k, "manifest"))
            .collect();
        here.sort_by_key(|k| std::cmp::Reverse(k.seq));
        let sound = here.iter().filter(|k| k.damaged == 0).take(3);
        let all = here.iter().take(3).chain(sound);
        all.flat_map(|k| [dir.join(&k.data_file), dir.join(&k.manifest_file)]).collect()
    }

    #[test]
    fn two_thousand_histories_lose_nothing_that_must_stay() {
        let (mut retired, mut held, mut calls) = (0, 0, 0);
        for seed in 0..2_000 {
            let mut world = World::new(seed);
            for _ in 0..12 + world.draw.below(12) {
                (0..world.draw.below(2)).for_each(|_| world.event());
                world.now += HOUR;
                let last_entry = Moment(world.now - HOUR + i64::from(world.draw.below(30) == 0) * 2 * HOUR);
                world.verified();
                let dir = world.path();
                let before = listing(&dir);
                let keep = usize::try_from(world.draw.below(6)).unwrap();
                let rule = Rule { keep, epoch: 1, now: Moment(world.now), last_entry };
                let done = retire(&dir, &world.known, &rule).unwrap();
                let after = listing(&dir);
                calls += 1;
                retired += done.removed.len();
                held += usize::from(done.kept.is_some());
                let gone: Vec<&PathBuf> = before.keys().filter(|p| !after.contains_key(*p)).collect();
                assert!(after.iter().all(|(p, bytes)| before.get(p) == Some(bytes)), "{seed}: changed");
                let sacred = sacred(&before, &world.known, &dir);
                for path in &gone {
                    let name = path.file_name().unwrap().to_str().unwrap();
                    let known = world.known.iter().find(|k| files_of(k).contains(&name));
                    assert!(known.is_some_and(|k| k.epoch == 1), "{seed}: {name} was not ours");
                    assert!(!sacred.contains(*path), "{seed}: {name} had to stay");
                    assert!(done.removed.contains(&known.unwrap().set), "{seed}: {name} is not told");
                }
                let latest = before.keys().filter_map(|p| p.file_name()?.to_str()?.split_once("-s"));
                let of_a_set =
                    |rest: &str| [".data.age", ".manifest.age"].iter().any(|end| rest.ends_with(end));
                let ahead = latest.filter(|(_, rest)| of_a_set(rest)).map(|(t, _)| t).max();
                let ahead = ahead.is_some_and(|t| t > Moment(world.now).compact_utc().as_str());
                assert!(
                    gone.is_empty() || (!ahead && rule.now >= last_entry),
                    "{seed}: under a suspect clock"
                );
                world.known.retain(|k| !done.removed.contains(&k.set));
            }
        }
        println!("{calls} calls, {retired} sets removed, {held} times held back");
        assert!(retired > 2_000 && held > 500, "{retired} {held}");
    }

    #[test]
    fn what_is_left_is_what_was_asked_for() {
        for keep in [0, 3, 5, 9] {
            let mut world = World::new(7);
            for _ in 0..20 {
                world.now += HOUR;
                world.verified();
                world.known.iter_mut().for_each(|k| k.damaged = 0);
                let rule = Rule { keep, epoch: 1, now: Moment(world.now), last_entry: Moment(world.now) };
                let done = retire(&world.path(), &world.known, &rule).unwrap();
                assert_eq!(done.kept, None);
                world.known.retain(|k| !done.removed.contains(&k.set));
            }
            assert_eq!(listing(&world.path()).len(), 2 * keep.max(3));
            assert_eq!(Known::decode(&Known::encode(&world.known)), world.known);
        }
    }

    #[test]
    fn sets_without_damage_outlive_those_with_it() {
        let mut world = World::new(3);
        for n in 0..12 {
            world.now += HOUR;
            world.verified();
            world.known[n].damaged = u64::from(n > 3);
        }
        let rule = Rule { keep: 3, epoch: 1, now: Moment(world.now), last_entry: Moment(world.now) };
        let done = retire(&world.path(), &world.known, &rule).unwrap();
        let removed: Vec<String> =
            [8, 7, 6, 5, 4, 0].iter().map(|n: &usize| world.known[*n].set.clone()).collect();
        assert_eq!(done.removed, removed);
    }

    #[test]
    fn what_a_crash_left_of_a_removed_set_goes_the_next_time() {
        let mut world = World::new(5);
        for _ in 0..6 {
            world.now += HOUR;
            world.verified();
        }
        fs::remove_file(world.path().join(&world.known[0].manifest_file)).unwrap();
        let rule = Rule { keep: 5, epoch: 1, now: Moment(world.now), last_entry: Moment(world.now) };
        let done = retire(&world.path(), &world.known, &rule).unwrap();
        assert_eq!(done.removed, [world.known[0].set.clone()]);
        assert_eq!(listing(&world.path()).len(), 10);
    }
}

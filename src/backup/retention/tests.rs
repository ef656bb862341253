//! Random histories of a target: nothing that must stay is ever removed.

#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;

use super::*;
use crate::backup::pool::Listing;
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
    /// Members of the pool, the newest last.
    members: Vec<(String, Member)>,
    /// What each set needs of them, by the name of its manifest, whether anybody knows the set or not.
    needs: HashMap<String, BTreeSet<PathBuf>>,
}

impl World {
    fn new(seed: u64) -> Self {
        // In memory where there is such a place: thousands of syncs would wear a disk for nothing.
        let home = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let (members, needs) = (Vec::new(), HashMap::new());
        Self { home, known: Vec::new(), seq: 10, now: START, draw: Draw(seed), members, needs }
    }

    fn path(&self) -> PathBuf {
        self.home.path().to_owned()
    }

    /// Puts a few attachments into the pool, as a run would, and takes some that are there: what a set needs.
    fn listing(&mut self) -> Listing {
        let pool = Pool::of(self.home.path());
        for _ in 0..self.draw.below(3) {
            let bytes = self.draw.below(u64::MAX).to_be_bytes();
            let digest = hex::encode(sha256(&[&bytes]));
            let member = Member { sha256: digest.clone(), bytes: 8 };
            let path = pool.path(&digest[..32], &member);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
            self.members.push((digest[..32].to_owned(), member));
        }
        let mut listing = Listing::default();
        for (name, member) in self.members.iter().rev().take(8) {
            if self.draw.below(4) > 0 && pool.path(name, member).is_file() {
                listing.insert(name.clone(), member.clone());
            }
        }
        listing
    }

    /// Writes the files of a set, as a run would, and gives what the ledger would say of it.
    fn set(&mut self, epoch: u64) -> Known {
        self.seq += 1 + self.draw.below(5);
        let set = format!("{}-s{:012}", Moment(self.now).compact_utc(), self.seq);
        let home = self.home.path().to_owned();
        let name = |kind: &str, bytes: &[u8]| {
            let name = format!("{set}.{}.{kind}", hex::encode(&sha256(&[bytes])[..16]));
            fs::write(home.join(&name), bytes).unwrap();
            name
        };
        let listing = self.listing();
        let list_file = (listing.count() > 0).then(|| name("pool.txt", listing.encode().as_bytes()));
        let mut file = |kind: &str| name(kind, &self.draw.below(u64::MAX).to_be_bytes());
        let (data_file, manifest_file) = (file("data.age"), file("manifest.age"));
        let pool = Pool::of(&home);
        let needed = listing.iter().map(|(name, member)| pool.path(name, member)).collect();
        self.needs.insert(manifest_file.clone(), needed);
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
            list_file,
        }
    }

    fn verified(&mut self) {
        let set = self.set(1);
        self.known.push(set);
    }

    /// A year at most, and now and then ten.
    fn jump(&mut self) -> i64 {
        let most = if self.draw.below(4) == 0 { 10 * 8_766 } else { 8_766 };
        i64::try_from(self.draw.below(most)).unwrap() * HOUR
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
            3 => self.now += self.jump(),
            4 => self.now -= self.jump(),
            5 => {
                let junk = ["notes.txt", "x.data.age", "20261123T170102Z-s000000000123.00ff.tmp.age", "pool/x.blob"];
                let path = self.home.path().join(junk[usize::try_from(self.draw.below(4)).unwrap()]);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, "somebody's").unwrap();
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
                            let twin = format!("{}.{}.{}.{}", words[0], "ab".repeat(16), words[2], words[3]);
                            fs::write(self.home.path().join(twin), "twin").unwrap();
                        }
                    }
                }
            }
        }
    }
}

/// Every file below a folder.
fn listing(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for path in fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()) {
        if path.is_dir() {
            all.append(&mut listing(&path));
        } else {
            all.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    all
}

/// The newest three verified sets of which both files are there alone, and the newest three without damage: in
/// terms of names only, so that it does not lean on what is tested.
fn sacred(before: &BTreeMap<PathBuf, Vec<u8>>, known: &[Known], dir: &Path) -> BTreeSet<PathBuf> {
    let names: Vec<&str> = before.keys().map(|p| p.file_name().unwrap().to_str().unwrap()).collect();
    let one = |k: &Known, kind: &str| {
        let end = format!(".{kind}");
        names.iter().filter(|n| n.starts_with(&format!("{}.", k.set)) && n.ends_with(&end)).count() == 1
    };
    let has = |name: &String| before.contains_key(&dir.join(name));
    let here = known.iter().filter(|k| k.target == dir.to_string_lossy() && k.epoch == 1);
    let files = |k: &Known| has(&k.data_file) && has(&k.manifest_file) && k.list_file.as_ref().is_none_or(has);
    let mut here: Vec<&Known> = here
        .filter(|k| files(k) && one(k, "data.age") && one(k, "manifest.age"))
        .filter(|k| k.list_file.is_none() || one(k, "pool.txt"))
        .collect();
    here.sort_by_key(|k| std::cmp::Reverse(k.seq));
    let sound = here.iter().filter(|k| k.damaged == 0).take(3);
    let all = here.iter().take(3).chain(sound);
    all.flat_map(|k| files_of(k).map(|f| dir.join(f)).collect::<Vec<_>>()).collect()
}

#[test]
fn what_was_known_before_there_were_pools_is_known_still() {
    let old = r#"[{"set":"20261123T170102Z-s000000000123","target":"/mnt/backup","data_file":"d","manifest_file":"m",
        "seq":123,"epoch":1,"at":1790000000000,"by":"schedule","bytes":16,"records":1,"files":2,"damaged":0}]"#;
    let known = Known::decode(old);
    assert_eq!((known.len(), files_of(&known[0]).collect::<Vec<_>>()), (1, vec!["m", "d"]));
}

/// By how much a campaign is larger than what every run of the tests tries.
fn campaign() -> u64 {
    std::env::var("JICENG_CAMPAIGN").ok().and_then(|n| n.parse().ok()).unwrap_or(1)
}

/// Nothing but the newest so many stay, and the clock is right.
fn newest(keep: u32, world: &World) -> Rule {
    let keep = Keep { newest: keep, ..Keep::default() };
    Rule { keep, epoch: 1, now: Moment(world.now), last_entry: Moment(world.now) }
}

/// One call, and everything that must hold about it.
fn call(world: &mut World, rule: &Rule, seed: u64) -> Retired {
    let dir = world.path();
    let before = listing(&dir);
    let done = retire(&dir, &world.known, rule).unwrap();
    let after = listing(&dir);
    let gone: Vec<&PathBuf> = before.keys().filter(|p| !after.contains_key(*p)).collect();
    assert!(after.iter().all(|(p, bytes)| before.get(p) == Some(bytes)), "{seed}: changed");
    let sacred = sacred(&before, &world.known, &dir);
    let (members, files): (Vec<&PathBuf>, Vec<&PathBuf>) =
        gone.iter().copied().partition(|p| p.starts_with(dir.join("pool")));
    for path in files {
        let name = path.file_name().unwrap().to_str().unwrap();
        let known = world.known.iter().find(|k| files_of(k).any(|f| f == name));
        assert!(known.is_some_and(|k| k.epoch == 1), "{seed}: {name} was not ours");
        assert!(!sacred.contains(path), "{seed}: {name} had to stay");
        assert!(done.removed.contains(&known.unwrap().set), "{seed}: {name} is not told");
    }
    assert_eq!(done.swept, members.len() as u64, "{seed}");
    for (manifest, needed) in world.needs.iter().filter(|(m, _)| after.contains_key(&dir.join(m))) {
        assert!(members.iter().all(|m| !needed.contains(*m)), "{seed}: {manifest} lost an attachment");
    }
    let names = before.keys().filter_map(|p| p.file_name()?.to_str()?.split_once("-s"));
    let of_a_set = |rest: &str| [".data.age", ".manifest.age", ".pool.txt"].iter().any(|end| rest.ends_with(end));
    let ahead = names.filter(|(_, rest)| of_a_set(rest)).map(|(t, _)| t).max();
    let ahead = ahead.is_some_and(|t| t > rule.now.compact_utc().as_str());
    assert!(gone.is_empty() || (!ahead && rule.now >= rule.last_entry), "{seed}: under a suspect clock");
    done
}

#[test]
fn random_histories_lose_nothing_that_must_stay() {
    let (mut retired, mut held, mut swept, mut calls) = (0, 0, 0, 0);
    for seed in 0..200 * campaign() {
        let mut world = World::new(seed);
        for _ in 0..12 + world.draw.below(12) {
            (0..world.draw.below(2)).for_each(|_| world.event());
            world.now += HOUR;
            let last_entry = Moment(world.now - HOUR + i64::from(world.draw.below(30) == 0) * 2 * HOUR);
            world.verified();
            let mut some = |most| u32::try_from(world.draw.below(most)).unwrap();
            let keep = Keep { newest: some(6), daily: some(3), weekly: some(2), monthly: some(2) };
            let rule = Rule { keep, epoch: 1, now: Moment(world.now), last_entry };
            let done = call(&mut world, &rule, seed);
            calls += 1;
            retired += done.removed.len() as u64;
            held += u64::from(done.kept.is_some());
            swept += done.swept;
            world.known.retain(|k| !done.removed.contains(&k.set));
        }
    }
    println!("{calls} calls, {retired} sets and {swept} attachments removed, {held} times held back");
    let least = campaign() * 100;
    assert!(retired > least && held > least && swept > least, "{retired} {held} {swept}");
}

#[test]
fn days_weeks_and_months_have_their_last_sets() {
    let mut world = World::new(11);
    let keep = Keep { newest: 3, daily: 5, weekly: 4, monthly: 3 };
    // Twice a day for a hundred days; the last of them at noon of a Monday.
    let monday_noon = 1_795_363_200_000 + 12 * HOUR;
    for n in (0..200).rev() {
        world.now = monday_noon - n * 12 * HOUR;
        world.verified();
        world.known.iter_mut().for_each(|k| k.damaged = 0);
        let rule = Rule { keep, epoch: 1, now: Moment(world.now), last_entry: Moment(world.now) };
        let done = retire(&world.path(), &world.known, &rule).unwrap();
        assert_eq!(done.kept, None);
        world.known.retain(|k| !done.removed.contains(&k.set));
    }
    let left: Vec<String> = world.known.iter().map(|k| Moment(k.at).to_string()[5..13].to_owned()).collect();
    let expected = [
        // The last of September and October; of two weeks and of five days; and the newest three.
        "09-30 12", "10-31 12", "11-08 12", "11-15 12", "11-19 12", "11-20 12", "11-21 12", "11-22 12", "11-23 00",
        "11-23 12",
    ];
    assert_eq!(left, expected);
}

#[test]
fn attachments_go_when_no_set_needs_them_and_everything_is_known() {
    let mut world = World::new(2);
    for _ in 0..20 {
        world.now += HOUR;
        world.verified();
    }
    world.known.iter_mut().for_each(|k| k.damaged = 0);
    let needed = |known: &[Known], world: &World| -> BTreeSet<PathBuf> {
        known.iter().flat_map(|k| world.needs[&k.manifest_file].clone()).collect()
    };
    let pool = world.path().join("pool");
    let all: BTreeSet<PathBuf> = listing(&pool).into_keys().collect();
    // A set that nobody knows and that does not say what it needs.
    let stray = world.path().join("20200101T000000Z-s000000000001.0123456789abcdef0123456789abcdef.manifest.age");
    fs::write(&stray, "x").unwrap();
    let at = newest(3, &world);
    let done = call(&mut world, &at, 0);
    assert_eq!((done.removed.len(), done.swept), (17, 0));
    world.known.drain(..17);
    fs::remove_file(&stray).unwrap();
    // Another run is under way.
    let lock = target::lock(&world.path()).unwrap().unwrap();
    assert_eq!(call(&mut world, &at, 0).swept, 0);
    drop(lock);
    let swept = call(&mut world, &at, 0).swept;
    let left: BTreeSet<PathBuf> = listing(&pool).into_keys().collect();
    assert_eq!(left, needed(&world.known, &world));
    assert!(swept > 0 && all.len() as u64 == swept + left.len() as u64);
    // One that is needed is gone: nothing is removed any more, and somebody is told.
    let lost = needed(&world.known[1..], &world).into_iter().next().unwrap();
    fs::remove_file(lost).unwrap();
    world.now += HOUR;
    world.verified();
    let at = newest(3, &world);
    let kept = call(&mut world, &at, 0).kept.unwrap();
    assert!(kept.contains("附件池中有 1 个附件缺失"), "{kept}");
}

#[test]
fn what_is_left_is_what_was_asked_for() {
    for keep in [0, 3, 5, 9] {
        let mut world = World::new(7);
        for _ in 0..20 {
            world.now += HOUR;
            world.verified();
            world.known.iter_mut().for_each(|k| k.damaged = 0);
            let rule = newest(u32::try_from(keep).unwrap(), &world);
            let done = retire(&world.path(), &world.known, &rule).unwrap();
            assert_eq!(done.kept, None);
            world.known.retain(|k| !done.removed.contains(&k.set));
        }
        let files: usize = world.known.iter().map(|k| files_of(k).count()).sum();
        assert_eq!(world.known.len(), keep.max(3));
        assert_eq!(fs::read_dir(world.path()).unwrap().count(), files + 1, "and the pool");
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
    let rule = newest(3, &world);
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
    let rule = newest(5, &world);
    let done = retire(&world.path(), &world.known, &rule).unwrap();
    assert_eq!(done.removed, [world.known[0].set.clone()]);
    assert!(files_of(&world.known[0]).all(|f| !world.path().join(f).exists()));
    assert!(world.known[1..].iter().all(|k| files_of(k).all(|f| world.path().join(f).exists())));
}

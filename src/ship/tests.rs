//! The shipper against folders: what it brings, in which order, through kills, beside another host, and what it
//! removes.

#![cfg(test)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Barrier};

use super::deliver::{Errand, Shipper};
use super::{fetch, open};
use crate::backup::segment::{Kind, Needed, Plain, digest_of, name_of};
use crate::backup::spool::{Shipped, Slot, Spool};
use crate::base::clock::SystemClock;
use crate::base::{Result, Seq};
use crate::store::Head;
use crate::store::seal::sha256;

/// A spool that is written as the server writes it, with ciphertexts that are none: the shipper cannot tell.
struct Host {
    home: tempfile::TempDir,
    spool: Spool,
    epoch: u64,
    last: Slot,
}

impl Host {
    fn new(epoch: u64, last: &Slot) -> Self {
        let home = quick();
        fs::create_dir_all(home.path().join("spool")).unwrap();
        fs::create_dir_all(home.path().join("backups")).unwrap();
        let spool = Spool::open(&home.path().join("spool")).unwrap();
        Self { home, spool, epoch, last: last.clone() }
    }

    fn errand(&self, to: &Path) -> Errand {
        Errand {
            spool: self.home.path().join("spool"),
            backups: Some(self.home.path().join("backups")),
            to: to.to_string_lossy().into_owned(),
            endpoint: None,
        }
    }

    fn ship(&self, to: &Path) -> Result<()> {
        Shipper::start(&self.errand(to), Arc::new(SystemClock)).and_then(|s| s.once())
    }

    fn shipped(&self) -> Shipped {
        self.spool.shipped().unwrap()
    }

    fn write(&mut self, kind: Kind, files: Vec<Needed>) -> PathBuf {
        let number = self.last.number + 1;
        let (from, to) = match kind {
            Kind::Fence => (self.last.to, self.last.to),
            Kind::Change => (self.last.to, self.last.to + 10),
        };
        let plain = Plain {
            kind,
            epoch: self.epoch,
            number,
            from: Seq(from),
            to: Head { seq: Seq(to), hash: [self.epoch as u8; 32] },
            previous: self.last.digest().unwrap(),
            mark: "0123456789abcdef".into(),
            files,
        };
        let draft = self.spool.draft().unwrap();
        fs::write(&draft, format!("{plain}sealed by {} {number}", self.epoch)).unwrap();
        self.last = Slot::of(&plain, &digest_of(&draft).unwrap().0);
        self.spool.place(&draft, number).unwrap();
        self.spool.set_sent(&self.last).unwrap();
        self.home.path().join("spool/segments").join(name_of(number))
    }

    fn attach(&self, n: u8) -> Needed {
        let file = self.home.path().join("sealed");
        fs::write(&file, vec![n; 1000]).unwrap();
        self.spool.add_file(&format!("{n:02x}").repeat(16), &|| Ok(fs::File::open(&file)?)).unwrap()
    }

    /// A set in the backup folder, with what it needs of the pool.
    fn set(&self, seq: u64, members: &[u8]) -> String {
        let folder = self.home.path().join("backups");
        let id = format!("20261123T170102Z-s{seq:012}");
        let mut list = "jiceng-pool-1\n".to_owned();
        let mut members = members.to_vec();
        members.sort_unstable();
        for n in &members {
            let (bytes, name) = (vec![*n; 1000], format!("{n:02x}").repeat(16));
            let digest = hex::encode(sha256(&[&bytes]));
            list.push_str(&format!("{name} {digest} 1000\n"));
            let place = folder.join("pool").join(&name[..2]);
            fs::create_dir_all(&place).unwrap();
            fs::write(place.join(format!("{name}.{digest}.blob")), bytes).unwrap();
        }
        for (kind, end, text) in
            [("pool", "txt", list), ("data", "age", id.clone()), ("manifest", "age", format!("m{id}"))]
        {
            let digest = &hex::encode(sha256(&[text.as_bytes()]))[..32];
            fs::write(folder.join(format!("{id}.{digest}.{kind}.{end}")), text).unwrap();
        }
        id
    }

    fn retire(&self, id: &str) {
        for entry in fs::read_dir(self.home.path().join("backups")).unwrap() {
            let path = entry.unwrap().path();
            if path.file_name().unwrap().to_string_lossy().starts_with(id) {
                fs::remove_file(path).unwrap();
            }
        }
    }
}

/// A folder in memory, where there is one: thousands of syncs are made here, and no power cut is played.
fn quick() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

fn names(target: &Path, folder: &str) -> Vec<String> {
    let remote = open(&target.to_string_lossy(), None, None).unwrap();
    remote.list(folder, None).unwrap().into_iter().map(|i| i.name).collect()
}

fn log_of(target: &Path) -> Vec<String> {
    names(target, "log").iter().map(|n| n.trim_start_matches("log/").to_owned()).collect()
}

#[test]
fn segments_arrive_in_order_with_what_they_need_and_leave_the_spool() {
    let (target, mut host) = (tempfile::tempdir().unwrap(), Host::new(1, &Slot::default()));
    host.write(Kind::Fence, Vec::new());
    let needed = host.attach(7);
    host.write(Kind::Change, vec![needed.clone()]);
    host.write(Kind::Change, vec![needed.clone()]);
    host.ship(target.path()).unwrap();
    assert_eq!(log_of(target.path()), [1, 2, 3].map(name_of));
    assert_eq!(names(target.path(), "pool"), [needed.place()]);
    assert!(host.spool.waiting().unwrap().is_empty() && host.spool.pooled().unwrap().is_empty());
    let shipped = host.shipped();
    assert_eq!((&shipped.slot, shipped.fenced, &shipped.error), (&host.last, None, &None));
    assert!(shipped.at > 0 && shipped.sets == 0);
    // What was said is lost, or the whole spool: it goes on.
    fs::remove_file(host.home.path().join("spool/shipped.json")).unwrap();
    host.write(Kind::Change, Vec::new());
    host.ship(target.path()).unwrap();
    assert_eq!(log_of(target.path()).len(), 4);
    let anew = Host::new(1, &host.last);
    anew.ship(target.path()).unwrap();
    assert_eq!(anew.shipped().slot, host.last);
}

#[test]
fn an_acknowledgement_that_was_lost_is_found_again() {
    let (target, mut host) = (tempfile::tempdir().unwrap(), Host::new(1, &Slot::default()));
    host.write(Kind::Fence, Vec::new());
    host.ship(target.path()).unwrap();
    let (said, needed) = (host.shipped(), host.attach(9));
    let waiting = host.write(Kind::Change, vec![needed]);
    // The process ended between the target's word and its own, at three points.
    for (note, segment) in [(true, true), (false, true), (true, false)] {
        let bytes = fs::read(&waiting).unwrap_or_default();
        host.ship(target.path()).unwrap();
        if note {
            host.spool.set_shipped(&said).unwrap();
        }
        if segment && !bytes.is_empty() {
            fs::write(&waiting, bytes).unwrap();
        }
        host.ship(target.path()).unwrap();
        assert_eq!((host.shipped().slot, host.shipped().fenced), (host.last.clone(), None));
        assert!(host.spool.waiting().unwrap().is_empty());
    }
    assert_eq!(log_of(target.path()).len(), 2);
}

/// Two hosts, the old one and the one that took over, want the same slot at once.
#[test]
fn segments_of_two_epochs_are_never_both_accepted() {
    let trials = 200 * std::env::var("JICENG_CAMPAIGN").ok().and_then(|n| n.parse().ok()).unwrap_or(1);
    let mut won = [0, 0];
    for trial in 0..trials {
        let target = quick();
        let mut old = Host::new(1, &Slot::default());
        old.write(Kind::Fence, Vec::new());
        old.ship(target.path()).unwrap();
        let mut new = Host::new(2, &old.last);
        new.spool.set_shipped(&old.shipped()).unwrap();
        old.write(Kind::Change, Vec::new());
        old.write(Kind::Change, Vec::new());
        new.write(Kind::Fence, Vec::new());
        new.write(Kind::Change, Vec::new());
        let barrier = Barrier::new(2);
        let said = std::thread::scope(|scope| {
            let ships = [&old, &new].map(|host| {
                let (barrier, target) = (&barrier, target.path());
                scope.spawn(move || {
                    barrier.wait();
                    host.ship(target).err()
                })
            });
            ships.map(|ship| ship.join().unwrap())
        });
        let epochs: Vec<u64> = log_of(target.path())[1..]
            .iter()
            .map(|name| Plain::read(&target.path().join("log").join(name)).unwrap().epoch)
            .collect();
        let fenced = [&old, &new].map(|host| host.shipped().fenced.is_some());
        let winner = usize::from(fenced[0]);
        assert!(fenced[0] != fenced[1], "trial {trial}: {fenced:?} {said:?}");
        assert_eq!(epochs, [winner as u64 + 1; 2], "trial {trial}");
        won[winner] += 1;
        // Whoever lost adds nothing ever again.
        let loser = if winner == 0 { &mut new } else { &mut old };
        loser.write(Kind::Change, Vec::new());
        assert!(loser.ship(target.path()).is_err());
        assert_eq!(log_of(target.path()).len(), 3);
    }
    println!("{won:?} of {trials} trials were won by the old and the new host");
}

#[test]
fn a_host_that_was_away_while_its_slots_were_retired_is_fenced_too() {
    let (target, mut host) = (tempfile::tempdir().unwrap(), Host::new(1, &Slot::default()));
    host.write(Kind::Fence, Vec::new());
    host.ship(target.path()).unwrap();
    let mut other = Host::new(2, &host.last);
    other.spool.set_shipped(&host.shipped()).unwrap();
    (0..3).for_each(|_| drop(other.write(Kind::Fence, Vec::new())));
    other.ship(target.path()).unwrap();
    for number in 1..=2 {
        fs::remove_file(target.path().join("log").join(name_of(number))).unwrap();
    }
    host.write(Kind::Change, Vec::new());
    assert!(host.ship(target.path()).is_err());
    assert_eq!(host.shipped().fenced.unwrap().number, 4);
    assert_eq!(log_of(target.path()), [3, 4].map(name_of));
}

#[test]
fn a_target_that_lost_the_log_gets_nothing_and_says_so() {
    let (target, mut host) = (tempfile::tempdir().unwrap(), Host::new(1, &Slot::default()));
    host.write(Kind::Fence, Vec::new());
    host.ship(target.path()).unwrap();
    host.write(Kind::Change, Vec::new());
    let empty = tempfile::tempdir().unwrap();
    assert!(host.ship(empty.path()).is_err_and(|e| e.public().contains("没有挂载、换了目标")));
    assert!(host.shipped().error.unwrap().contains("没有挂载"));
    assert_eq!((log_of(empty.path()).len(), host.spool.waiting().unwrap().len()), (0, 1));
    // The right one is mounted again: it goes on, and the error is gone.
    host.ship(target.path()).unwrap();
    assert_eq!((log_of(target.path()).len(), host.shipped().error), (2, None));
    assert!(host.ship(&target.path().join("absent")).is_err());
}

#[test]
fn a_set_counts_when_its_manifest_is_there_and_that_comes_last() {
    let (target, host) = (tempfile::tempdir().unwrap(), Host::new(1, &Slot::default()));
    let id = host.set(100, &[1, 2]);
    // What the list names is gone from the backup folder: the set stays where it is.
    let pool = host.home.path().join("backups/pool");
    let away = host.home.path().join("away");
    fs::rename(pool.join("02"), &away).unwrap();
    assert!(host.ship(target.path()).is_err_and(|e| e.public().contains("pool 中缺失")));
    assert!(names(target.path(), "").is_empty());
    fs::rename(&away, pool.join("02")).unwrap();
    host.ship(target.path()).unwrap();
    let shipped = host.shipped();
    assert_eq!((shipped.sets, shipped.newest, shipped.error), (1, Some(id.clone()), None));
    assert_eq!((names(target.path(), "").len(), names(target.path(), "pool").len()), (3, 2));
    // A manifest alone is no backup: what was broken off is finished.
    let data = names(target.path(), "").into_iter().find(|n| n.contains(".data.")).unwrap();
    fs::write(target.path().join(&data), "half").unwrap();
    host.ship(target.path()).unwrap();
    assert_eq!(fs::read_to_string(target.path().join(&data)).unwrap(), id);
}

#[test]
fn what_retention_let_go_goes_at_the_target_while_three_newer_are_there_and_nothing_else() {
    let (target, mut host) = (tempfile::tempdir().unwrap(), Host::new(1, &Slot::default()));
    host.write(Kind::Fence, Vec::new());
    for _ in 0..4 {
        host.write(Kind::Change, Vec::new());
    }
    let needed = host.attach(3);
    host.write(Kind::Change, vec![needed.clone()]);
    let ids = [5, 15, 25, 35].map(|seq| host.set(seq, &[u8::try_from(seq).unwrap(), 3, 99]));
    fs::write(target.path().join("somebody's.txt"), "x").unwrap();
    host.ship(target.path()).unwrap();
    let count = |folder: &str| names(target.path(), folder).len();
    assert_eq!((count(""), count("pool"), count("log")), (13, 6, 6));
    // The backup folder is empty, as an unmounted disk is: nothing goes.
    let backups = host.home.path().join("backups");
    fs::rename(&backups, host.home.path().join("kept")).unwrap();
    fs::create_dir(&backups).unwrap();
    host.ship(target.path()).unwrap();
    assert_eq!((count(""), count("pool"), count("log")), (13, 6, 6));
    fs::remove_dir(&backups).unwrap();
    fs::rename(host.home.path().join("kept"), &backups).unwrap();
    // Two are let go, but only the older one has three newer ones in both places.
    ids[..2].iter().for_each(|id| host.retire(id));
    host.ship(target.path()).unwrap();
    assert_eq!(count(""), 13, "only two newer sets are left in the backup folder");
    let fresh = host.set(45, &[3]);
    host.ship(target.path()).unwrap();
    let left = names(target.path(), "");
    assert!(left.iter().all(|n| !n.starts_with(&ids[0]) && !n.starts_with(&ids[1])), "{left:?}");
    assert!(left.iter().any(|n| n.starts_with(&fresh)) && left.contains(&"somebody's.txt".to_owned()));
    // Slots end at 0, 10, 20, 30, 40, 50, the oldest set has 25 entries; members of the sets that went, and no others.
    assert_eq!(log_of(target.path()), [4, 5, 6].map(name_of));
    let members: Vec<String> = [3u8, 25, 35, 99].map(|n| format!("{n:02x}")).to_vec();
    let there = names(target.path(), "pool");
    assert_eq!(there.iter().map(|n| n[5..7].to_owned()).collect::<Vec<_>>(), members);
}

#[test]
fn sets_that_somebody_else_brought_are_never_removed() {
    let (target, host) = (tempfile::tempdir().unwrap(), Host::new(1, &Slot::default()));
    let other = Host::new(1, &Slot::default());
    let foreign = other.set(5, &[1]);
    other.ship(target.path()).unwrap();
    for seq in [15, 25, 35, 45] {
        host.set(seq, &[2]);
    }
    host.ship(target.path()).unwrap();
    host.ship(target.path()).unwrap();
    assert!(names(target.path(), "").iter().any(|n| n.starts_with(&foreign)));
}

#[test]
fn a_set_and_what_follows_it_is_fetched_and_again_where_it_was_broken_off() {
    let (target, mut host) = (tempfile::tempdir().unwrap(), Host::new(1, &Slot::default()));
    host.write(Kind::Fence, Vec::new());
    host.write(Kind::Change, Vec::new());
    let needed = host.attach(8);
    host.write(Kind::Change, vec![needed.clone()]);
    host.set(5, &[1]);
    let newest = host.set(10, &[2]);
    host.ship(target.path()).unwrap();
    let into = host.home.path().join("fetched");
    let remote = open(&target.path().to_string_lossy(), None, None).unwrap();
    let fetched = fetch::fetch(remote.as_ref(), None, &into).unwrap();
    assert_eq!(
        (fetched.set.as_str(), fetched.slots, fetched.last, fetched.members, fetched.lost),
        (newest.as_str(), 1, 3, 2, 0)
    );
    assert_eq!((names(&into, "").len(), names(&into, "pool").len(), log_of(&into)), (3, 2, vec![name_of(3)]));
    // Cut off and rotten files are fetched anew, and what the target has not whole is told.
    fs::write(into.join("log").join(name_of(3)), "half").unwrap();
    let member = into.join(needed.place());
    fs::write(&member, "rotten").unwrap();
    assert_eq!(fetch::fetch(remote.as_ref(), None, &into).unwrap(), fetched);
    assert_eq!(fs::read(&member).unwrap(), vec![8; 1000]);
    fs::write(target.path().join(needed.place()), "rotten").unwrap();
    fs::remove_file(&member).unwrap();
    assert_eq!(fetch::fetch(remote.as_ref(), None, &into).unwrap().lost, 1);
    assert!(fetch::fetch(remote.as_ref(), Some("none"), &into).is_err());
}

#[cfg(not(feature = "object-store"))]
#[test]
fn without_object_stores_a_bucket_is_refused_with_words() {
    assert!(open("s3://bucket/x", None, None).err().unwrap().public().contains("没有编入对象存储"));
}

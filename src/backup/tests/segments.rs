//! Segments of the off-site log: what is written comes back, what was changed is refused, and a restore ends where it
//! was asked to.

#![cfg(test)]

use super::*;
use crate::backup::segment::{self, Kind, Needed, Plain, Segment, Wanted, name_of};
use crate::backup::spool::Slot;
use crate::backup::{Until, pool_name};
use crate::base::Seq;
use crate::store::{Head, Seen};

/// Writes the log of a county into its target, as the server and the shipper do together.
struct Writer<'a> {
    county: &'a County,
    last: Slot,
    seen: Option<Seen>,
}

impl<'a> Writer<'a> {
    fn new(county: &'a County) -> Self {
        fs::create_dir_all(county.at("backup/log")).unwrap();
        Self { county, last: Slot::default(), seen: None }
    }

    fn path(&self, number: u64) -> PathBuf {
        self.county.at("backup/log").join(name_of(number))
    }

    fn write(&mut self, store: &Store, (kind, from, to): (Kind, Seq, Head), at: Moment) {
        let snapshot = store.read().unwrap();
        let files = match kind {
            Kind::Fence => Vec::new(),
            Kind::Change => snapshot.files_of(&snapshot.touched_since(from).unwrap()).unwrap(),
        };
        let mut needed: Vec<Needed> = files
            .iter()
            .map(|file| {
                let mut sealed = Vec::new();
                io::Read::read_to_end(&mut store.sealed_blob(file).unwrap(), &mut sealed).unwrap();
                let sha256 = hex::encode(crate::store::seal::sha256(&[&sealed]));
                let one = Needed { name: pool_name(store, file), sha256, bytes: sealed.len() as u64 };
                let place = self.county.at("backup").join(one.place());
                fs::create_dir_all(place.parent().unwrap()).unwrap();
                fs::write(place, sealed).unwrap();
                one
            })
            .collect();
        needed.sort();
        needed.dedup();
        let number = self.last.number + 1;
        let previous = self.last.digest().unwrap();
        let seen = self.seen.as_ref().filter(|_| kind == Kind::Change);
        let wanted = Wanted { kind, number, from, to, previous, seen, files: needed };
        let written =
            segment::write(&snapshot, &self.county.recipients(), wanted, &self.path(number), at).unwrap();
        self.last = Slot::of(&written.plain, &written.digest);
        self.seen = (kind == Kind::Change).then(|| snapshot.seen().unwrap());
    }

    fn fence(&mut self, store: &Store, at: Seq) {
        let hash = store.read().unwrap().hash_at(at).unwrap().unwrap();
        self.seen = None;
        self.write(store, (Kind::Fence, at, Head { seq: at, hash }), NOW);
    }

    fn change(&mut self, store: &Store, at: Moment) {
        self.write(store, (Kind::Change, Seq(self.last.to), store.head()), at);
    }
}

/// A county with a set of five records, then a log of which each slot has one more.
fn with_log(county: &County) -> Writer<'_> {
    let done = county.back_up();
    let mut writer = Writer::new(county);
    writer.fence(&county.store, done.head.seq);
    for n in 1..=3 {
        county.enter(10 + n);
        writer.change(&county.store, Moment(NOW.0 + i64::try_from(n).unwrap() * 60_000));
    }
    writer
}

fn restored(county: &County, set: Option<&str>, until: Option<Until>) -> Result<(Store, Restored)> {
    let (from, dir) = (county.at("backup"), county.at("new"));
    let done = restore(&Wish { set, until, ..county.wish(&from, &county.keys[0], &dir) }, clock())?;
    Ok((Store::open(&dir, clock()).unwrap(), done))
}

fn gone(county: &County, (store, done): (Store, Restored)) {
    drop(store);
    fs::remove_dir_all(county.at("new")).unwrap();
    fs::remove_file(done.key_file).unwrap();
}

#[test]
fn a_restore_ends_at_any_slot_or_moment_and_at_the_end_by_itself() {
    let county = County::new();
    let writer = with_log(&county);
    let full = county.store.read().unwrap();
    let minutes = |n: i64| Some(Until::Moment(Moment(NOW.0 + n * 60_000)));
    for (until, records, last) in [
        (None, 8, 4),
        (Some(Until::Slot(4)), 8, 4),
        (Some(Until::Slot(3)), 7, 3),
        (Some(Until::Slot(1)), 5, 0),
        (minutes(1), 6, 2),
        (minutes(2), 7, 3),
        (minutes(9), 8, 4),
    ] {
        let (store, done) = restored(&county, None, until).unwrap();
        assert_eq!((done.records, done.followed.last), (records, last), "{until:?}");
        let snapshot = store.read().unwrap();
        assert_eq!(snapshot.count().unwrap(), records);
        let to = store.head().seq.0 - 1;
        assert_eq!(snapshot.hash_at(Seq(to)).unwrap(), full.hash_at(Seq(to)).unwrap(), "the same history");
        assert!(
            last < 2 || to == Plain::read(&writer.path(last)).unwrap().to.seq.0,
            "it ends where the slot does"
        );
        for id in snapshot.all_ids().unwrap() {
            assert_eq!(snapshot.get(id, true).unwrap(), full.get(id, true).unwrap());
        }
        assert_eq!(store.check().unwrap().problems, [""; 0]);
        assert_eq!(store.facts().epoch, 2);
        gone(&county, (store, done));
    }
    assert!(restored(&county, None, minutes(-1)).is_err_and(|e| e.public().contains("没有早于这个时间点")));
    assert!(restored(&county, None, Some(Until::Slot(9))).is_err());
}

#[test]
fn a_set_that_is_named_is_restored_alone() {
    let county = County::new();
    let done = county.back_up();
    let mut writer = Writer::new(&county);
    writer.fence(&county.store, done.head.seq);
    county.enter(9);
    writer.change(&county.store, NOW);
    let alone = restored(&county, Some(&done.set), None).unwrap();
    assert_eq!((alone.1.records, alone.1.followed.last), (5, 0));
    gone(&county, alone);
    let further = restored(&county, Some(&done.set), Some(Until::Slot(2))).unwrap();
    assert_eq!((further.1.records, further.1.followed.slots), (6, 1));
}

#[test]
fn attachments_that_only_segments_name_come_back_and_lost_ones_are_told() {
    let county = County::new();
    let done = county.back_up();
    let mut writer = Writer::new(&county);
    writer.fence(&county.store, done.head.seq);
    let mut blob = county.store.write_blob().unwrap();
    blob.write(b"later").unwrap();
    let later = blob.finish("later.txt").unwrap();
    let fields = (petition::KIND.sample)(3).with(petition::tag::FILES, Value::Files(vec![later.clone()]));
    let record =
        decide::create(&petition::KIND, fields, Author { account: RecordId(0), unit: RecordId(0) }, NOW)
            .unwrap();
    county
        .store
        .submit(move |txn| {
            txn.act(Act::new(doer(), act::CREATE));
            txn.create(record)
        })
        .unwrap();
    writer.change(&county.store, NOW);
    let back = restored(&county, None, None).unwrap();
    assert!(back.0.is_whole(&later) && back.1.lost.is_empty());
    gone(&county, back);
    let named = Plain::read(&writer.path(2)).unwrap().files;
    assert_eq!(named.len(), 1);
    fs::remove_file(county.at("backup").join(named[0].place())).unwrap();
    let back = restored(&county, None, None).unwrap();
    assert_eq!((back.1.records, back.1.lost.len(), back.1.lost[0].record), (6, 1, 6));
}

#[test]
fn an_epoch_is_followed_over_its_fence_and_nowhere_else() {
    let county = County::new();
    let mut writer = with_log(&county);
    // The county goes on from slot 3 on another host; what slot 4 holds is no part of its history.
    let (other, done) = restored(&county, None, Some(Until::Slot(3))).unwrap();
    let fork = Seq(other.head().seq.0 - 1);
    assert_eq!(other.facts().epoch, 2);
    writer.fence(&other, fork);
    writer.change(&other, NOW);
    let there = other.read().unwrap().count().unwrap();
    let (from, dir) = (county.at("backup"), county.at("again"));
    let again = restore(&county.wish(&from, &county.keys[0], &dir), clock()).unwrap();
    assert_eq!((again.records, there, again.followed.last, again.epoch), (7, 7, 6, 3));
    // A set of the host that was replaced leads nowhere but to its own end.
    let late = county.back_up();
    let further = Wish {
        set: Some(&late.set),
        until: Some(Until::Slot(6)),
        ..county.wish(&from, &county.keys[0], &dir)
    };
    fs::remove_dir_all(&dir).unwrap();
    fs::remove_file(again.key_file).unwrap();
    let refused = restore(&further, clock()).unwrap_err();
    assert!(refused.public().contains("第 5 段接不上"), "{refused}");
    // The newest set leads nowhere, so an older one is taken, and the epoch rises beyond all that are there.
    let again = restore(&county.wish(&from, &county.keys[0], &dir), clock()).unwrap();
    assert_eq!((again.followed.last, again.epoch), (6, 3));
    fs::remove_dir_all(&dir).unwrap();
    fs::remove_file(again.key_file).unwrap();
    let old =
        restore(&Wish { until: Some(Until::Slot(4)), ..county.wish(&from, &county.keys[0], &dir) }, clock())
            .unwrap();
    assert_eq!((old.records, old.epoch), (8, 3));
    fs::remove_dir_all(&dir).unwrap();
    fs::remove_file(old.key_file).unwrap();
    // A set of the new host is followed on, whatever of the old one lies between it and where its epoch began.
    let newer = run(&other, to(&from), &county.recipients(), &|_| Ok(())).unwrap();
    other
        .submit(|txn| {
            txn.act(Act::new(doer(), act::LOGIN));
            Ok(())
        })
        .unwrap();
    writer.change(&other, NOW);
    let wish = Wish { set: Some(&newer.set), until: Some(Until::Slot(7)), ..county.wish(&from, &county.keys[0], &dir) };
    assert_eq!(restore(&wish, clock()).unwrap().followed.last, 7);
    drop(other);
    drop(done);
}

#[test]
fn a_log_with_a_gap_or_a_changed_slot_is_followed_no_further() {
    for spoil in [
        |path: &Path| fs::remove_file(path).unwrap(),
        |path: &Path| {
            let mut bytes = fs::read(path).unwrap();
            let at = bytes.len() - 40;
            bytes[at] ^= 1;
            fs::write(path, bytes).unwrap();
        },
    ] {
        let county = County::new();
        let writer = with_log(&county);
        spoil(&writer.path(3));
        let before = names(county.home.path());
        assert!(restored(&county, None, None).is_err());
        assert_eq!(names(county.home.path()), before, "a refusal leaves nothing");
        let back = restored(&county, None, Some(Until::Slot(2))).unwrap();
        assert_eq!((back.1.records, back.1.unread_slots), (6, u64::from(writer.path(3).exists())));
    }
}

/// ASVS 12.3.5
#[test]
fn a_segment_is_read_whole_by_who_may_or_not_at_all() {
    let county = County::new();
    let writer = with_log(&county);
    let (path, key) = (writer.path(2), &county.keys[0]);
    let whole = fs::read(&path).unwrap();
    let segment = Segment::open(&path, key, None).unwrap();
    let rows: Vec<_> = segment.rows(key).unwrap().map(Result::unwrap).collect();
    let tables: std::collections::BTreeSet<u8> = rows.iter().map(|r| r.table).collect();
    assert_eq!(tables.into_iter().collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert_eq!(segment.header.store, county.store.facts().store);
    let plain = String::from_utf8_lossy(&whole).into_owned();
    assert!(
        !plain.contains(CANARY) && !plain.contains("信访") && !plain.contains(&county.store.facts().store)
    );
    // Somebody else's key, and a signer nobody named.
    let stranger = keygen(&county.at("stranger"), key.signer, NOW).unwrap();
    assert!(Segment::open(&path, &stranger, None).is_err());
    let other = Store::create(&county.at("other"), &county.at("other.key"), "别县", true, clock()).unwrap();
    let wrong = signer_of(&other.read().unwrap()).unwrap();
    let doubting = KeyFile::of_text(
        &fs::read_to_string(county.at("a.key"))
            .unwrap()
            .lines()
            .filter(|l| !l.contains("signer"))
            .map(|l| format!("{l}\n"))
            .collect::<String>(),
    )
    .unwrap();
    assert!(Segment::open(&path, &doubting, Some(&wrong.fingerprint())).is_err());
    assert!(Segment::open(&path, &doubting, None).is_err());
    assert!(Segment::open(&path, &doubting, Some(&key.signer.unwrap().fingerprint())).is_ok());
    // Every byte of the beginning, and a sample of the rest.
    let begins = whole.iter().rposition(|b| *b == b'\n').unwrap();
    let line = whole.windows(4).position(|w| w == b"age-").unwrap();
    for at in (0..line).chain((line..whole.len()).step_by(whole.len() / 200 + 1)) {
        let mut flipped = whole.clone();
        flipped[at] ^= 1;
        fs::write(&path, &flipped).unwrap();
        assert!(Segment::open(&path, key, None).is_err(), "byte {at} of {begins}");
    }
    for cut in [0, 1, line, whole.len() / 2, whole.len() - 1] {
        fs::write(&path, &whole[..cut]).unwrap();
        assert!(Segment::open(&path, key, None).is_err(), "cut at {cut}");
    }
    fs::write(&path, [&whole[..], b"x"].concat()).unwrap();
    assert!(Segment::open(&path, key, None).is_err());
    // Another slot's name, and rows that were exchanged after they were looked at.
    fs::write(&path, &whole).unwrap();
    let moved = writer.path(7);
    fs::copy(&path, &moved).unwrap();
    assert!(Segment::open(&moved, key, None).is_err_and(|e| e.public().contains("改名")));
    fs::copy(writer.path(3), &path).unwrap();
    assert!(segment.rows(key).is_err());
}

#[test]
fn facts_that_went_and_keys_that_moved_come_along() {
    let county = County::new();
    let mut writer = with_log(&county);
    let own = doer();
    county
        .store
        .submit(move |txn| {
            txn.set_fact("draft.9.probe", "kept");
            txn.act(Act::new(own, act::DRAFT));
            Ok(())
        })
        .unwrap();
    writer.change(&county.store, NOW);
    let own = doer();
    county
        .store
        .submit(move |txn| {
            txn.forget("draft.9.probe");
            txn.act(Act::new(own, act::DRAFT_GONE));
            Ok(())
        })
        .unwrap();
    writer.change(&county.store, NOW);
    let segment = Segment::open(&writer.path(6), &county.keys[0], None).unwrap();
    let gone_rows = segment.rows(&county.keys[0]).unwrap().map(Result::unwrap).filter(|r| r.table == 8);
    assert_eq!(gone_rows.map(|r| r.key).collect::<Vec<_>>(), [b"draft.9.probe".to_vec()]);
    county.store.begin_rotation(Act::new(doer(), act::KEY_ROTATION)).unwrap();
    county.store.rewrap(0, Act::new(doer(), act::KEY_REWRAPPED)).unwrap();
    county.store.end_rotation(Act::new(doer(), act::KEY_ROTATED)).unwrap();
    writer.change(&county.store, NOW);
    let back = restored(&county, None, None).unwrap();
    assert_eq!((back.1.records, back.1.followed.last), (8, 7));
    assert!(back.0.read().unwrap().fact("draft.9.probe").unwrap().is_none());
    assert_eq!(back.0.check().unwrap().problems, [""; 0]);
}

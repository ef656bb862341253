//! Attachments in the pool: written once, read again, mended, missed.

#![cfg(test)]

use std::os::unix::fs::MetadataExt;

use super::*;
use crate::backup::fill;
use crate::backup::pool::Pool;
use crate::store::sealed_bytes;

impl County {
    /// A petition with an attachment of its own.
    fn enter_another(&mut self, n: u64) {
        let mut blob = self.store.write_blob().unwrap();
        blob.write(format!("另一份 {n}").as_bytes()).unwrap();
        self.file = blob.finish("另一份.txt").unwrap();
        self.enter(n);
    }

    fn members(&self) -> Vec<PathBuf> {
        all_files(&self.at("backup/pool")).into_iter().filter(|p| p.extension().unwrap() == "blob").collect()
    }

    fn restored(&self) -> (Restored, Store) {
        let restored = self.try_restore(&self.at("backup"), &self.keys[0]).unwrap();
        let store = Store::open(&restored.dir, clock()).unwrap();
        (restored, store)
    }

    fn verified(&self, key: Option<&KeyFile>) -> Vec<Verified> {
        verify(&self.at("backup"), None, key).unwrap()
    }
}

/// Changes a byte and nothing else.
fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn the_next_day_copies_no_attachment_again() {
    let mut county = County::new();
    let first = county.back_up();
    assert_eq!((first.added, first.added_bytes), (1, sealed_bytes(&county.file)));
    let seen = |county: &County| -> Vec<_> {
        let meta = |p: PathBuf| (fs::metadata(&p).unwrap().ino(), fs::metadata(&p).unwrap().mtime_nsec(), p);
        county.members().into_iter().map(meta).collect()
    };
    let before = seen(&county);
    let second = county.back_up();
    assert_eq!((second.added, second.added_bytes, second.files), (0, 0, 5));
    assert!(second.bytes < first.added_bytes / 10, "{} {}", second.bytes, first.added_bytes);
    assert_eq!(seen(&county), before);
    county.enter_another(9);
    let third = county.back_up();
    assert_eq!((third.added, third.added_bytes, third.files), (1, sealed_bytes(&county.file), 6));
    assert!(before.iter().all(|m| seen(&county).contains(m)) && county.members().len() == 2);
    let (restored, store) = county.restored();
    assert_eq!(store.check().unwrap().problems, [""; 0]);
    assert_eq!((restored.manifest.files, restored.lost.len()), (6, 0));
    assert_eq!(restored.manifest.pool.unwrap().count, 2);
}

#[test]
fn a_lost_or_rotten_member_is_told_keeps_nothing_else_out_and_is_written_anew() {
    let county = County::new();
    county.back_up();
    county.back_up();
    let member = county.members().remove(0);
    for gone in [true, false] {
        if gone { fs::remove_file(&member).unwrap() } else { flip(&member) }
        for key in [None, Some(&county.keys[1])] {
            let verified = county.verified(key);
            let worst = Verified::worst(&verified).unwrap();
            assert!(worst.kind() == ErrorKind::Damaged && verified.iter().all(|v| v.outcome.is_err()));
            let told = if key.is_some() { "记录 1、2、3、4、5" } else { "第一个：" };
            assert!(worst.public().contains(told), "{worst}");
        }
        let (restored, store) = county.restored();
        assert_eq!(restored.lost.iter().map(|d| d.record).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
        let report = store.check().unwrap();
        assert_eq!((report.records, report.faults, report.damaged.len()), (5, 0, 5));
        drop(store);
        fs::remove_dir_all(restored.dir).unwrap();
        fs::remove_file(restored.key_file).unwrap();
        // One member is always among those that are read again.
        let done = county.back_up();
        assert_eq!((done.added, done.mended, done.damaged.len()), (1, u64::from(!gone), 0));
        assert!(Verified::worst(&county.verified(Some(&county.keys[0]))).is_none());
    }
    fs::rename(county.at("backup/pool"), county.at("aside")).unwrap();
    let refused = county.try_restore(&county.at("backup"), &county.keys[0]).unwrap_err();
    assert!(refused.public().contains("没有附件池"), "{refused}");
}

#[test]
fn a_member_that_was_swapped_is_not_taken() {
    let mut county = County::new();
    county.enter_another(9);
    county.back_up();
    let [one, two] = county.members().try_into().unwrap();
    // Under its right name the content of another one; under a name that fits the content, too.
    let name = file_name(&one);
    fs::copy(&two, &one).unwrap();
    let digest = file_name(&two).split('.').nth(1).unwrap().to_owned();
    fs::copy(&two, one.with_file_name(format!("{}.{digest}.blob", name.split('.').next().unwrap()))).unwrap();
    let (restored, store) = county.restored();
    assert!(!restored.lost.is_empty() && store.check().unwrap().faults == 0);
    assert!(Verified::worst(&county.verified(Some(&county.keys[0]))).is_some());
    let done = county.back_up();
    assert_eq!((done.mended, done.files), (1, 6));
}

#[test]
fn what_is_rotten_in_the_store_comes_back_from_the_pool() {
    let county = County::new();
    county.back_up();
    let blob = rot(&county);
    for gone in [false, true] {
        if gone {
            fs::remove_file(&blob).unwrap();
        }
        let done = county.back_up();
        assert_eq!((done.files, done.damaged.len(), done.rescued.len(), done.added), (5, 0, 5, 0));
        let told = rescued_text(&done.rescued);
        assert!(told.contains("5 个附件缺失或损坏（记录 1、2、3、4、5），备份中有完好的副本"), "{told}");
    }
    let (_, store) = county.restored();
    assert_eq!(store.check().unwrap().problems, [""; 0]);
}

#[test]
fn what_a_failed_run_brought_into_the_pool_is_there_for_the_next_one() {
    let county = County::new();
    let target = county.at("backup");
    let stopped = |p| if matches!(p, Progress::Writing(_)) { Err(Error::invalid("到此为止。")) } else { Ok(()) };
    run(&county.store, to(&target), &county.recipients(), &stopped).unwrap_err();
    assert_eq!((names(&target), county.members().len()), (vec!["pool".to_owned()], 1));
    fs::write(county.at("backup/pool").join(format!("{}.tmp", "0a".repeat(12))), "half").unwrap();
    assert_eq!(county.back_up().added, 0);
    assert_eq!(names(&county.at("backup/pool")).iter().filter(|n| n.ends_with(".tmp")).count(), 0);
}

#[test]
fn all_members_are_read_again_over_the_rounds() {
    let mut county = County::new();
    (0..70).for_each(|n| county.enter_another(n));
    let (pool, snapshot) = (Pool::of(&county.at("backup")), county.store.read().unwrap());
    fs::create_dir(county.at("backup")).unwrap();
    let fill = || fill::fill(&county.store, &snapshot, &pool, &|_| Ok(())).unwrap();
    assert_eq!(fill().added, 71);
    for around in 0..2 {
        county.members().iter().for_each(|m| flip(m));
        let mended = (0..limits::POOL_ROUNDS).map(|_| {
            let filled = fill();
            filled.read_on(&pool).unwrap();
            assert!((filled.added == filled.mended) && filled.mended <= 3, "{filled:?}");
            filled.mended
        });
        assert_eq!(mended.sum::<u64>(), 71, "{around}");
    }
}

/// It has the length it must have: whoever does not open it takes it for whole.
#[test]
fn what_does_not_open_in_the_store_comes_not_into_the_pool() {
    let mut county = County::new();
    (0..20).for_each(|n| county.enter_another(n));
    let blob = &county.file.blob;
    flip(&county.at("data/blobs").join(&blob[..2]).join(blob));
    let done = county.back_up();
    assert_eq!((done.added, done.files, done.damaged.len(), county.members().len()), (20, 24, 1, 20));
    assert_eq!(done.damaged[0].blob, *blob);
}

#[test]
fn whoever_copies_when_the_run_is_stopped_leaves_nothing_half() {
    let mut county = County::new();
    (0..20).for_each(|n| county.enter_another(n));
    let seen = std::cell::Cell::new(0);
    let stopped = |p| {
        seen.set(seen.get() + u64::from(matches!(p, Progress::Pooling(_))));
        if seen.get() >= 5 { Err(Error::invalid("到此为止。")) } else { Ok(()) }
    };
    let refused = run(&county.store, to(&county.at("backup")), &county.recipients(), &stopped).unwrap_err();
    assert_eq!(refused.public(), "到此为止。");
    let left = names(&county.at("backup/pool"));
    assert!(left.iter().all(|n| n.len() == 2) && (1..21).contains(&county.members().len()), "{left:?}");
    assert_eq!(county.back_up().files, 25);
}

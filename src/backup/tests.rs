//! A county, its sets, and whoever spoils them.

#![cfg(test)]

mod pooled;
mod segments;
mod purged;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use super::*;
use crate::base::clock::ManualClock;
use crate::base::{Moment, RecordId, limits};
use crate::records::{Author, FileRef, Value, act, decide, petition};
use crate::store::{Act, Doer, Store};

const CANARY: &str = "金丝雀甲乙丙丁";
const NOW: Moment = Moment(1_790_000_000_000);

fn to(folder: &Path) -> Target<'_> {
    Target { folder, marked: false }
}

fn doer() -> Doer {
    Doer { account: RecordId(0), unit: RecordId(0), via: "machine".to_owned() }
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(NOW))
}

/// A county with a store, an attachment, two custodians and an empty target.
struct County {
    home: tempfile::TempDir,
    store: Store,
    keys: [KeyFile; 2],
    file: FileRef,
}

impl County {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        let store = Store::create(&at("data"), &at("data.key"), "测试县", true, clock()).unwrap();
        let signer = signer_of(&store.read().unwrap()).unwrap();
        let keys = ["a.key", "b.key"].map(|n| keygen(&at(n), Some(signer), NOW).unwrap());
        let mut blob = store.write_blob().unwrap();
        blob.write(&CANARY.repeat(10_000).into_bytes()).unwrap();
        let file = blob.finish("附件.txt").unwrap();
        let county = Self { home, store, keys, file };
        (0..5).for_each(|seed| county.enter(seed));
        county
    }

    fn at(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn enter(&self, seed: u64) {
        let fields = (petition::KIND.sample)(seed)
            .with_text(petition::tag::TEXT, CANARY)
            .with(petition::tag::FILES, Value::Files(vec![self.file.clone()]));
        let author = Author { account: RecordId(0), unit: RecordId(0) };
        let record = decide::create(&petition::KIND, fields, author, NOW).unwrap();
        let entered = self.store.submit(move |txn| {
            txn.act(Act::new(doer(), act::CREATE));
            txn.create(record)
        });
        entered.unwrap();
    }

    fn recipients(&self) -> Vec<String> {
        self.keys.iter().map(|k| k.recipient.clone()).collect()
    }

    fn back_up(&self) -> Done {
        run(&self.store, to(&self.at("backup")), &self.recipients(), &|_| Ok(())).unwrap()
    }

    fn wish<'a>(&self, from: &'a Path, key: &'a KeyFile, dir: &'a Path) -> Wish<'a> {
        Wish { from, set: None, until: None, key, signer: None, dir, numbers: &[], ask: &|_, _| Ok(None), doer: doer() }
    }

    /// Restores and checks that a refusal left nothing.
    fn try_restore(&self, from: &Path, key: &KeyFile) -> Result<Restored> {
        let before = names(self.home.path());
        let restored = restore(&self.wish(from, key, &self.at("new")), clock());
        assert!(restored.is_ok() || names(self.home.path()) == before, "a refusal leaves nothing");
        restored
    }
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|e| file_name(&e.unwrap().path())).collect();
    names.sort();
    names
}

/// Every file below a folder, in order.
fn all_files(dir: &Path) -> Vec<PathBuf> {
    let paths = names(dir).into_iter().map(|n| dir.join(n));
    paths.flat_map(|p| if p.is_dir() { all_files(&p) } else { vec![p] }).collect()
}

/// Changes a file; with `renamed` its name follows, as a forger's would.
fn spoil(target: &Path, name: &str, renamed: bool, change: impl FnOnce(&mut Vec<u8>)) -> PathBuf {
    let mut bytes = fs::read(target.join(name)).unwrap();
    change(&mut bytes);
    let words: Vec<&str> = name.split('.').collect();
    let digest = hex::encode(&crate::store::seal::sha256(&[&bytes])[..16]);
    let new = format!("{}.{digest}.{}.{}", words[0], words[2], words[3]);
    fs::remove_file(target.join(name)).unwrap();
    let path = target.join(if renamed { new.as_str() } else { name });
    fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn a_restored_store_equals_the_snapshot() {
    let county = County::new();
    let done = county.back_up();
    county.enter(9);
    let target = county.at("backup");
    let list = done.list_file.clone().unwrap();
    let mut files = vec![done.data_file.clone(), done.manifest_file.clone(), list, "pool".to_owned()];
    files.sort();
    assert_eq!(names(&target), files);
    assert_eq!((done.records, done.files, done.added), (5, 5, 1));
    for key in &county.keys {
        let restored = county.try_restore(&target, key).unwrap();
        let store = Store::open(&restored.dir, clock()).unwrap();
        let snapshot = store.read().unwrap();
        let content = Content::of(&snapshot).unwrap();
        assert_eq!(content.content_root, restored.manifest.content.content_root);
        assert_eq!((content.records, content.epoch, content.seq), (5, 2, done.head.seq.0 + 1));
        assert_eq!(snapshot.entry(done.head.seq).unwrap().unwrap().hash, done.head.hash);
        assert_eq!(snapshot.entry(store.head().seq).unwrap().unwrap().header.verb(), act::RESTORE);
        assert_eq!(store.facts().store, county.store.facts().store);
        assert!(store.facts().demo && store.check().unwrap().problems.is_empty());
        let record = snapshot.get(RecordId(1), true).unwrap();
        assert_eq!(record, county.store.read().unwrap().get(RecordId(1), true).unwrap());
        drop((snapshot, store));
        fs::remove_dir_all(restored.dir).unwrap();
        fs::remove_file(restored.key_file).unwrap();
    }
    assert!(names(&county.at("data/tmp")).is_empty());
}

#[test]
fn writers_go_on_while_a_run_is_under_way() {
    let county = County::new();
    let head = county.store.head();
    let write = |_| {
        county.enter(7);
        Ok(())
    };
    let done = run(&county.store, to(&county.at("backup")), &county.recipients(), &write).unwrap();
    assert!(county.store.head().seq > head.seq, "entries were made during the run");
    assert_eq!((done.records, done.head), (5, head));
    county.try_restore(&county.at("backup"), &county.keys[0]).unwrap();
}

#[test]
fn lists_and_verifies_with_and_without_a_key() {
    let county = County::new();
    let (first, target) = (county.back_up(), county.at("backup"));
    let second = county.back_up();
    let sets = list(&target, Some(&county.keys[0])).unwrap();
    let ids: Vec<String> = sets.iter().map(|s| s.id.to_string()).collect();
    assert_eq!(ids, [second.set, first.set.clone()]);
    let details = sets[0].details.as_ref().unwrap().as_ref().unwrap();
    assert_eq!((details.trusted, details.manifest.previous.as_ref()), (Some(true), Some(&first.set)));
    assert_eq!((details.manifest.recipients.len(), details.manifest.content.records), (2, 5));
    for key in [None, Some(&county.keys[1])] {
        let verified = verify(&target, None, key).unwrap();
        assert!(verified.len() == 2 && Verified::worst(&verified).is_none(), "{verified:?}");
    }
    fs::remove_file(target.join(&first.manifest_file)).unwrap();
    let sets = list(&target, None).unwrap();
    assert_eq!([sets[0].complete, sets[1].complete], [true, false]);
    assert!(Verified::worst(&verify(&target, Some(&first.set), None).unwrap()).is_some());
    let dir = county.at("new");
    let lone = Wish { set: Some(&first.set), ..county.wish(&target, &county.keys[0], &dir) };
    assert!(restore(&lone, clock()).is_err() && !dir.exists());
}

#[test]
fn too_few_recipients_write_nothing() {
    let county = County::new();
    let target = county.at("backup");
    let [a, _] = &county.keys;
    for recipients in
        [vec![], vec![a.recipient.clone()], vec![a.recipient.clone(); 2], vec!["age1x".into(); 2]]
    {
        let refused = run(&county.store, to(&target), &recipients, &|_| Ok(())).unwrap_err();
        assert_eq!(refused.exit_code(), 1);
        assert!(!target.exists());
    }
    assert_eq!(limits::RECIPIENTS_MIN, 2);
    let inside = county.store.dir().join("backup");
    assert!(run(&county.store, to(&inside), &county.recipients(), &|_| Ok(())).is_err() && !inside.exists());
}

#[test]
fn wrong_keys_unknown_signers_and_occupied_folders_are_refused() {
    let county = County::new();
    county.back_up();
    let (target, signer) = (county.at("backup"), county.keys[0].signer.unwrap());
    let stranger = keygen(&county.at("c.key"), Some(signer), NOW).unwrap();
    let refused = county.try_restore(&target, &stranger).unwrap_err();
    assert!(refused.public().contains("这把密钥打不开") && refused.exit_code() == 1);
    assert!(Verified::worst(&verify(&target, None, Some(&stranger)).unwrap()).is_some());
    let text = fs::read_to_string(county.at("a.key")).unwrap();
    fs::write(county.at("d.key"), text.lines().last().unwrap()).unwrap();
    let bare = KeyFile::read(&county.at("d.key")).unwrap();
    let refused = county.try_restore(&target, &bare).unwrap_err();
    assert!(refused.public().contains(&signer.fingerprint()));
    let (dir, print) = (county.at("new"), signer.fingerprint());
    let wrong = Wish { signer: Some("0000-0000-0000-0000"), ..county.wish(&target, &bare, &dir) };
    assert!(restore(&wrong, clock()).is_err() && !dir.exists());
    let named = Wish { signer: Some(&print), ..county.wish(&target, &bare, &dir) };
    restore(&named, clock()).unwrap();
    let before = names(&dir);
    assert!(restore(&named, clock()).is_err() && names(&dir) == before);
}

#[test]
fn a_cut_or_flipped_file_is_refused() {
    let county = County::new();
    let (done, target) = (county.back_up(), county.at("backup"));
    for name in [&done.data_file, &done.manifest_file, done.list_file.as_ref().unwrap()] {
        let whole = fs::read(target.join(name)).unwrap();
        let places = (0..20).map(|n| n * (whole.len() - 1) / 19);
        let cuts = (0..8).map(|n| n * whole.len() / 8).chain([whole.len() - 1]);
        let flips = places.map(|at| (at, true)).chain(cuts.map(|at| (at, false)));
        for ((at, flip), renamed) in flips.flat_map(|f| [(f, false), (f, true)]) {
            let change = |b: &mut Vec<u8>| if flip { b[at] ^= 0x10 } else { b.truncate(at) };
            let spoiled = spoil(&target, name, renamed, change);
            let refused = county.try_restore(&target, &county.keys[0]).unwrap_err();
            let verified = verify(&target, None, Some(&county.keys[0])).unwrap();
            let worst = Verified::worst(&verified).unwrap();
            if !renamed {
                let bare = verify(&target, None, None).unwrap();
                assert_eq!(Verified::worst(&bare).map(Error::kind), Some(ErrorKind::Damaged));
                let kinds = (refused.kind(), worst.kind());
                assert_eq!(kinds, (ErrorKind::Damaged, ErrorKind::Damaged), "{at} {flip}");
                assert!(refused.public().contains(name.as_str()), "{refused:?}");
            }
            fs::remove_file(spoiled).unwrap();
            fs::write(target.join(name), &whole).unwrap();
        }
    }
    county.try_restore(&target, &county.keys[0]).unwrap();
}

#[test]
fn a_manifest_of_another_county_is_refused() {
    let (ours, theirs) = (County::new(), County::new());
    let target = ours.at("backup");
    let other = run(&theirs.store, to(&target), &ours.recipients(), &|_| Ok(())).unwrap();
    let refused = ours.try_restore(&target, &ours.keys[0]).unwrap_err();
    assert!(refused.public().contains("签名"), "{refused:?}");
    assert_eq!(refused.exit_code(), 1);
    // Their manifest under the name of our set, with our data beside it.
    fs::remove_file(target.join(&other.data_file)).unwrap();
    let done = run(&ours.store, to(&target), &ours.recipients(), &|_| Ok(())).unwrap();
    fs::remove_file(target.join(&done.manifest_file)).unwrap();
    let digest = other.manifest_file.split('.').nth(1).unwrap();
    let forged = target.join(format!("{}.{digest}.manifest.age", done.set));
    fs::rename(target.join(&other.manifest_file), forged).unwrap();
    assert_eq!(ours.try_restore(&target, &ours.keys[0]).unwrap_err().kind(), ErrorKind::Damaged);
    let verified = verify(&target, Some(&done.set), Some(&ours.keys[0])).unwrap();
    assert!(Verified::worst(&verified).is_some());
}

#[test]
fn content_shows_nowhere_in_a_target() {
    let county = County::new();
    county.back_up();
    let target = county.at("backup");
    let files = all_files(&target);
    assert_eq!(files.len(), 4);
    for path in files {
        let bytes = fs::read(&path).unwrap();
        assert!(!path.to_string_lossy().contains(&county.file.blob[..32]), "equal contents have equal names");
        for word in [CANARY, "样例信访件", "测试县", "附件.txt"] {
            assert!(!bytes.windows(word.len()).any(|w| w == word.as_bytes()), "{word}");
        }
    }
}

#[test]
fn a_run_that_is_stopped_anywhere_leaves_nothing_and_the_next_one_works() {
    let county = County::new();
    let target = county.at("backup");
    let steps = std::cell::Cell::new(0);
    let count = |_| {
        steps.set(steps.get() + 1);
        Ok(())
    };
    run(&county.store, to(&target), &county.recipients(), &count).unwrap();
    assert!(steps.get() >= 4, "{}", steps.get());
    let before = names(&target);
    for stop in 1..=steps.get() {
        let left = std::cell::Cell::new(stop);
        let stopped = |_| {
            left.set(left.get() - 1);
            if left.get() == 0 { Err(Error::invalid("到此为止。")) } else { Ok(()) }
        };
        let refused = run(&county.store, to(&target), &county.recipients(), &stopped).unwrap_err();
        assert_eq!(refused.public(), "到此为止。");
        assert_eq!(names(&target), before, "stopped at {stop}");
    }
    county.back_up();
    assert_eq!(names(&target).len(), 2 * 3 + 1);
}

/// Spoils the one attachment in the store.
fn rot(county: &County) -> PathBuf {
    let blobs = county.at("data/blobs");
    let name = names(&blobs).remove(0);
    let blob = blobs.join(&name).join(names(&blobs.join(&name)).remove(0));
    let whole = fs::read(&blob).unwrap();
    fs::write(&blob, &whole[..whole.len() / 2]).unwrap();
    blob
}

#[test]
fn a_rotten_attachment_is_stated_and_keeps_nothing_else_out() {
    let county = County::new();
    let target = county.at("backup");
    let blob = rot(&county);
    fs::write(blob.with_file_name("desktop.ini"), "somebody's").unwrap();
    let stated: Vec<Damaged> =
        (1..=5).map(|record| Damaged { record, blob: file_name(&blob) }).collect();
    for gone in [false, true] {
        if gone {
            fs::remove_file(&blob).unwrap();
        }
        let done = county.back_up();
        assert_eq!((done.records, done.files, &done.damaged), (5, 0, &stated));
        let verified = verify(&target, Some(&done.set), Some(&county.keys[0])).unwrap();
        assert!(verified[0].outcome.as_ref().unwrap().contains("5 个附件在备份前已经损坏"), "{verified:?}");
        let restored = county.try_restore(&target, &county.keys[0]).unwrap();
        assert_eq!((restored.manifest.format, &restored.manifest.damaged), (3, &stated));
        let store = Store::open(&restored.dir, clock()).unwrap();
        let report = store.check().unwrap();
        assert_eq!((report.records, report.faults, report.damaged.len()), (5, 0, 5));
        drop(store);
        fs::remove_dir_all(restored.dir).unwrap();
        fs::remove_file(restored.key_file).unwrap();
    }
}

#[test]
fn an_attachment_that_only_the_copy_lacks_is_the_fault_of_the_set() {
    let county = County::new();
    let target = county.at("backup");
    let blob = county.at("data/blobs").join(&county.file.blob[..2]).join(&county.file.blob);
    let aside = county.at("aside");
    // Gone while the set is written, back when it is compared.
    fs::rename(&blob, &aside).unwrap();
    let back = |p| {
        if p == Progress::Checking {
            fs::rename(&aside, &blob).unwrap();
        }
        Ok(())
    };
    let refused = run(&county.store, to(&target), &county.recipients(), &back).unwrap_err();
    assert!(refused.public().contains("在本机完好"), "{refused:?}");
    assert!(!target.exists());
    assert!(county.back_up().damaged.is_empty());
}

//! Rot: a bit that flips or a sector that reads as zeros, anywhere: in the database and its slots, in attachments, in
//! the index, in backup sets and their pool. It is refused at the start, flagged on reading, made anew, or lay where
//! nothing is: it never comes out as an answer, and nothing dies of it.
//!
//! `JICENG_CAMPAIGN=n` tries n times as many; the same number is always the same rot.

use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use jiceng::app::change::Typed;
use jiceng::app::{demo, index_dir};
use jiceng::backup::{self, KeyFile, Target, Wish};
use jiceng::base::{RecordId, Result, Seq};
use jiceng::records::{FileRef, petition};
use jiceng::search::{Found, Index, Request, Scope, Units};
use jiceng::store::{DATABASE_FILE, Doer, FileKeys, SLOT_FILE, Store};

use super::disk::{Chance, Disk, SECTOR};
use super::{WORKERS, campaign, clock, memory, petition_form};

const FLIPS: usize = 300;
const PETITIONS: usize = 12;
/// One rotten backup in so many is restored as well; the others are verified.
const RESTORED: usize = 8;

/// What became of rot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    Refused,
    Flagged,
    Remade,
    Harmless,
}

/// A county with attachments, an index of several segments with removed rows, and two sets; every file of it.
struct County {
    files: BTreeMap<PathBuf, Vec<u8>>,
    key: KeyFile,
    index_keys: FileKeys,
    right: Right,
}

/// What whoever asks must be told.
struct Right {
    records: Vec<String>,
    attachments: Vec<(FileRef, Vec<u8>)>,
    found: Vec<Found>,
    position: Seq,
}

fn county() -> County {
    let home = memory();
    let (dir, sets) = (home.path().join("d"), home.path().join("sets"));
    let app = demo::create(&dir, clock(), true).unwrap();
    let actor = app.demo_actor(demo::EVERYTHING).unwrap();
    let signer = app.signer().unwrap();
    let keys =
        ["a.key", "b.key"].map(|n| backup::keygen(&home.path().join(n), Some(signer), app.now()).unwrap());
    let mut attachments = Vec::new();
    for n in 0..PETITIONS {
        let content = vec![u8::try_from(n).unwrap(); 3_000 + 13_000 * n];
        let mut blob = app.upload().unwrap();
        blob.write(&content).unwrap();
        let file = blob.finish("原件.txt").unwrap();
        attachments.push((file.clone(), content));
        let typed = Typed { files: vec![file], ..petition_form(n, "水渠没有修好。") };
        let id = app.create(&actor, &petition::KIND, typed).unwrap();
        app.wait_for_index().unwrap();
        if n % 3 == 0 {
            let amended = petition_form(100 + n, "水渠已经修好。");
            app.amend(&actor, &petition::KIND, (id, 1), amended).unwrap();
            app.wait_for_index().unwrap();
        }
    }
    drop(app);
    let store = Store::open(&dir, clock()).unwrap();
    let recipients = keys.each_ref().map(|k| k.recipient.clone());
    for _ in 0..2 {
        backup::run(&store, Target { folder: &sets, marked: false }, &recipients, &|_| Ok(())).unwrap();
    }
    let records = records(&store).unwrap();
    let index_keys = store.file_keys();
    drop(store);
    let (index, position) = Index::open(&index_dir(&dir), 1, &index_keys).unwrap();
    let (found, position) = (found(&index).unwrap(), position.unwrap());
    drop(index);
    let mut files = BTreeMap::new();
    read_all(home.path(), home.path(), &mut files);
    let [key, _] = keys;
    County { files, key, index_keys, right: Right { records, attachments, found, position } }
}

fn read_all(root: &Path, folder: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_all(root, &path, files);
        } else {
            files.insert(path.strip_prefix(root).unwrap().to_owned(), fs::read(&path).unwrap());
        }
    }
}

/// All records with their identities.
fn records(store: &Store) -> Result<Vec<String>> {
    let snapshot = store.read()?;
    let ids: Vec<RecordId> = snapshot.all_ids()?.collect();
    ids.into_iter()
        .map(|id| snapshot.get(id, true).map(|r| format!("{:?}", r.map(|r| (r.state, r.fields)))))
        .collect()
}

fn found(index: &Index) -> Result<Vec<Found>> {
    let all = Scope::nothing().under(u8::MAX);
    let scope = (1..=u8::MAX).fold(all, |scope, kind| scope.with(kind, Units::All));
    let words = ["水渠", "没有修好", "已经修好", "", "第三条"];
    let request = |text: &str| Request { text: text.to_owned(), limit: 200, ..Request::default() };
    words.iter().map(|text| index.search(&scope, &request(text), &[])).collect()
}

/// Where rot is tried, and with which share of the tries.
const PLACES: [(&str, usize, Trial); 4] = [
    ("the store", 8, in_the_store),
    ("attachments", 5, in_attachments),
    ("the index", 6, in_the_index),
    ("backups", 6, in_backups),
];

type Trial = fn(&County, &Path, &mut Chance) -> Result<Fate, String>;

/// The same bytes but for one bit or sector; a sector that holds something, where there are such.
fn rotten(bytes: &[u8], chance: &mut Chance) -> Vec<u8> {
    let sectors: Vec<usize> =
        bytes.chunks(SECTOR).enumerate().filter(|(_, s)| s.iter().any(|b| *b != 0)).map(|(n, _)| n).collect();
    let start = sectors[chance.below(sectors.len())] * SECTOR;
    let end = bytes.len().min(start + SECTOR);
    let mut bytes = bytes.to_vec();
    if chance.below(3) == 0 {
        bytes[start..end].fill(0);
    } else {
        bytes[start + chance.below(end - start)] ^= 1 << chance.below(8);
    }
    bytes
}

/// One of the files below a folder that hold something: each is as likely, however small it is.
fn any_file<'a>(county: &'a County, below: &str, chance: &mut Chance) -> (&'a PathBuf, &'a Vec<u8>) {
    let all: Vec<_> =
        county.files.iter().filter(|(p, b)| p.starts_with(below) && b.iter().any(|b| *b != 0)).collect();
    all[chance.below(all.len())]
}

fn in_the_store(county: &County, home: &Path, chance: &mut Chance) -> Result<Fate, String> {
    let (dir, slots) = (home.join("d"), home.join("d").join(SLOT_FILE));
    let mut database = county.files[&Path::new("d").join(DATABASE_FILE)].clone();
    let whole = fs::read(&slots).unwrap();
    if chance.below(16) == 0 {
        fs::write(&slots, rotten(&whole, chance)).unwrap();
    } else {
        database = rotten(&database, chance);
    }
    let looked = looks_right(county, &dir, Disk::of(database));
    fs::write(&slots, whole).unwrap();
    looked
}

fn looks_right(county: &County, dir: &Path, disk: Disk) -> Result<Fate, String> {
    let Ok(store) = Store::open_on(dir, clock(), disk) else { return Ok(Fate::Refused) };
    let Ok(report) = store.check() else { return Ok(Fate::Flagged) };
    let Ok(records) = records(&store) else { return Ok(Fate::Flagged) };
    if report.faults > 0 {
        return Ok(Fate::Flagged);
    }
    if records == county.right.records { Ok(Fate::Harmless) } else { Err("other records are served".into()) }
}

fn in_attachments(county: &County, home: &Path, chance: &mut Chance) -> Result<Fate, String> {
    let (name, whole) = any_file(county, "d/blobs", chance);
    let path = home.join(name);
    fs::write(&path, rotten(whole, chance)).unwrap();
    let store = Store::open_on(
        &home.join("d"),
        clock(),
        Disk::of(county.files[&Path::new("d").join(DATABASE_FILE)].clone()),
    );
    let store = store.map_err(|e| format!("the store does not open: {e:?}"))?;
    let mut damaged = 0;
    for (file, content) in &county.right.attachments {
        match read_attachment(&store, file) {
            Ok(bytes) if bytes == *content => {}
            Ok(_) => return Err("other bytes are served".into()),
            Err(_) => damaged += 1,
        }
    }
    let told = store.check().map_err(|e| format!("{e:?}"))?.damaged.len();
    fs::write(&path, whole).unwrap();
    if (damaged, told) == (1, 1) {
        Ok(Fate::Flagged)
    } else {
        Err(format!("{damaged} do not open, {told} are told of"))
    }
}

fn read_attachment(store: &Store, file: &FileRef) -> Result<Vec<u8>> {
    let (mut reader, mut bytes) = (store.read_blob(file)?, Vec::new());
    while let Some(chunk) = reader.next_chunk()? {
        bytes.extend(chunk);
    }
    Ok(bytes)
}

fn in_the_index(county: &County, home: &Path, chance: &mut Chance) -> Result<Fate, String> {
    let (name, whole) = any_file(county, "d/index", chance);
    fs::write(home.join(name), rotten(whole, chance)).unwrap();
    let index = index_dir(&home.join("d"));
    let opened = Index::open(&index, 1, &county.index_keys);
    let (opened, position) = opened.map_err(|e| format!("it does not open: {e:?}"))?;
    let answers = found(&opened).map_err(|e| format!("it opens and does not answer: {e:?}"))?;
    drop(opened);
    match position {
        None if answers.iter().all(|f| f.total == 0) => {
            fs::remove_dir_all(&index).unwrap();
            put(county, home, "d/index");
            Ok(Fate::Remade)
        }
        Some(at) if at == county.right.position && answers == county.right.found => {
            fs::write(home.join(name), whole).unwrap();
            Ok(Fate::Harmless)
        }
        other => Err(format!("{} of {other:?} answers otherwise", name.display())),
    }
}

fn in_backups(county: &County, home: &Path, chance: &mut Chance) -> Result<Fate, String> {
    let (name, whole) = any_file(county, "sets", chance);
    fs::write(home.join(name), rotten(whole, chance)).unwrap();
    let sets = home.join("sets");
    let verified = backup::verify(&sets, None, None).map_err(|e| format!("{e:?}"))?;
    let mut fate = Fate::Flagged;
    if verified.iter().all(|v| v.outcome.is_ok()) {
        let verified = backup::verify(&sets, None, Some(&county.key)).map_err(|e| format!("{e:?}"))?;
        if verified.len() != 2 || verified.iter().any(|v| v.outcome.is_err()) {
            return Err("only a key sees it".into());
        }
        fate = Fate::Harmless;
    }
    if chance.below(RESTORED) == 0 {
        restores(county, home, &verified)?;
    }
    fs::write(home.join(name), whole).unwrap();
    Ok(fate)
}

/// Each set gives back everything, or is refused, or says which attachments it lost.
fn restores(county: &County, home: &Path, sets: &[backup::Verified]) -> Result<(), String> {
    for set in sets {
        let (from, dir, name) = (home.join("sets"), home.join("restored"), set.set.to_string());
        let doer = Doer { account: RecordId(0), unit: RecordId(0), via: "test".to_owned() };
        let (set_name, key) = (Some(name.as_str()), &county.key);
        let wish = Wish {
            from: &from,
            set: set_name,
            until: None,
            key,
            signer: None,
            dir: &dir,
            numbers: &[],
            ask: &|_, _| Ok(None),
            doer,
        };
        let Ok(restored) = backup::restore(&wish, clock()) else {
            if set.outcome.is_ok() {
                return Err(format!("{name} is whole and does not come back"));
            }
            continue;
        };
        let store = Store::open(&dir, clock()).map_err(|e| format!("restored and does not open: {e:?}"))?;
        let opens = county
            .right
            .attachments
            .iter()
            .filter(|(f, c)| read_attachment(&store, f).is_ok_and(|b| b == *c));
        let lost = PETITIONS - opens.count();
        let right =
            records(&store).is_ok_and(|r| county.right.records.iter().all(|record| r.contains(record)));
        drop(store);
        fs::remove_dir_all(&dir).unwrap();
        fs::remove_file(&restored.key_file).unwrap();
        if !right || lost != restored.lost.len() || lost > 0 && set.outcome.is_ok() {
            return Err(format!("{name} gives back something else: {lost} lost, {:?} told", restored.lost));
        }
    }
    Ok(())
}

fn put(county: &County, home: &Path, below: &str) {
    for (name, bytes) in county.files.iter().filter(|(name, _)| name.starts_with(below)) {
        fs::create_dir_all(home.join(name).parent().unwrap()).unwrap();
        fs::write(home.join(name), bytes).unwrap();
    }
}

#[test]
fn rot_is_noticed_or_lay_where_nothing_is() {
    let county = county();
    let shares: Vec<usize> = (0..PLACES.len()).flat_map(|n| vec![n; PLACES[n].1]).collect();
    let (flips, next) = (FLIPS * campaign(), AtomicUsize::new(0));
    let fates: Mutex<BTreeMap<(&str, Fate), usize>> = Mutex::default();
    let work = || {
        let (home, mut wrong) = (memory(), Vec::new());
        put(&county, home.path(), "");
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            if n >= flips || wrong.len() > 3 {
                return wrong;
            }
            let (place, _, trial) = PLACES[shares[n % shares.len()]];
            let tried = catch_unwind(AssertUnwindSafe(|| trial(&county, home.path(), &mut Chance(n as u64))));
            match tried.unwrap_or_else(|_| Err("it panics".to_owned())) {
                Ok(fate) => *fates.lock().unwrap().entry((place, fate)).or_default() += 1,
                Err(what) => {
                    wrong.push(format!("rot {n} in {place}: {what}"));
                    put(&county, home.path(), "");
                }
            }
        }
    };
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|w| w.join().unwrap()).collect()
    });
    let fates = fates.into_inner().unwrap();
    println!("{flips} times rot: {fates:?}, {} wrong", wrong.len());
    assert!(wrong.is_empty(), "{wrong:#?}");
    let of = |place: &str, fate: Fate| fates.get(&(place, fate)).copied().unwrap_or_default();
    assert!(
        of("the store", Fate::Refused) > 0
            && of("the store", Fate::Flagged) + of("the store", Fate::Refused) > 20
    );
    assert!(
        of("attachments", Fate::Flagged) > 40
            && of("the index", Fate::Remade) > 40
            && of("backups", Fate::Flagged) > 40
    );
}

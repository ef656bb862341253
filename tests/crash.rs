//! Power cuts, thousands of them: what the application does is recorded on a disk that remembers, the disk is made as
//! it might be after the power went at any moment, and the store must open, hold everything that was promised, and be
//! consistent in itself. A second cut while the first is being mended is tried as well. So is rot, and so are disks
//! that refuse.
//!
//! `JICENG_CAMPAIGN=n` tries n times as many cuts, beginning with cut `JICENG_FROM`; the same cut of the same recording
//! is always the same disk. `tests/run` says which campaigns are run by hand.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking and says what it measured, or promises"
)]

#[path = "crash/ciphertexts.rs"]
mod ciphertexts;
#[path = "crash/day.rs"]
mod day;
#[path = "crash/disk.rs"]
mod disk;
#[path = "crash/files.rs"]
mod files;
#[path = "crash/index.rs"]
mod index;
#[path = "crash/refused.rs"]
mod refused;
#[path = "crash/rot.rs"]
mod rot;
#[path = "crash/sets.rs"]
mod sets;
#[path = "crash/simulate.rs"]
mod simulate;

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use disk::{Chance, Disk, Op, Replay};
use jiceng::app::change::Typed;
use jiceng::app::import::{Options, What, source};
use jiceng::app::{Actor, App, demo};
use jiceng::base::clock::ManualClock;
use jiceng::base::{Moment, RecordId};
use jiceng::records::petition;
use jiceng::store::{DATABASE_FILE, SLOT_FILE, Store};

/// Cuts in an ordinary run.
const CUTS: usize = 10_000;
/// One cut in so many is looked at to the end even where another left the same head.
const FULLY: usize = 8;
/// Cuts after which the mending is cut as well.
const DOUBLE_CUTS: usize = 2_000;
const WORKERS: usize = 2;

/// What the application did, and what the disk saw of it.
struct Recording {
    home: tempfile::TempDir,
    /// The disk at the beginning.
    first: Vec<u8>,
    log: Vec<Op>,
    /// Text of each petition by the entry that promised it.
    told: BTreeMap<u64, (RecordId, String)>,
}

fn campaign() -> usize {
    number("JICENG_CAMPAIGN").unwrap_or(1)
}

fn number(name: &str) -> Option<usize> {
    std::env::var(name).ok().and_then(|n| n.parse().ok())
}

/// Where a campaign goes on that was broken off.
fn from() -> usize {
    number("JICENG_FROM").unwrap_or(0)
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(Moment(1_790_000_000_000)))
}

/// A day of a county on the remembering disk.
fn record(lies: bool) -> Recording {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("d");
    drop(demo::create(&dir, clock(), true).unwrap());
    let first = fs::read(dir.join(DATABASE_FILE)).unwrap();
    let disk = if lies { Disk::of(first.clone()).lying() } else { Disk::of(first.clone()) };
    let store = Store::open_on(&dir, clock(), disk.clone()).unwrap();
    let app = App::with_store(store.clone()).unwrap();
    let actor = app.demo_actor(demo::EVERYTHING).unwrap();
    let mut told = BTreeMap::new();
    for n in 0..24 {
        let text = format!("第{n}件：水渠没有修好，已反映{}次。", n % 5);
        let id = register(&app, &actor, n, &text);
        let seq = store.head().seq.0;
        disk.promise(seq);
        told.insert(seq, (id, text));
        act(&app, &actor, id, n);
        disk.promise(store.head().seq.0);
    }
    let log = disk.log();
    drop((app, store));
    Recording { home, first, log, told }
}

fn register(app: &App, actor: &Actor, n: usize, text: &str) -> RecordId {
    app.create(actor, &petition::KIND, petition_form(n, text)).unwrap()
}

/// A petition with this text, which is its title as well.
fn petition_form(n: usize, text: &str) -> Typed {
    let pairs = [("title", text), ("text", text), ("accused.0.name", "赵甲"), ("accused.0.rank", "村(社区)干部")];
    let raw = pairs.map(|(name, text)| (name.to_owned(), text.to_owned())).into();
    Typed { raw, submit: format!("{n:032x}"), ..Typed::default() }
}

/// Something else that people do.
fn act(app: &App, actor: &Actor, id: RecordId, n: usize) {
    match n % 4 {
        0 => {
            let propose = petition::KIND.flow.moves.iter().find(|m| m.name == "propose").unwrap();
            let typed = ("拟转乡镇办理".to_owned(), String::new());
            app.advance(actor, &petition::KIND, (id, 1), propose, typed).unwrap();
        }
        1 => {
            app.open_record(actor, &petition::KIND, id, 0).unwrap();
        }
        2 => {
            let row = |k: usize| format!("{{\"ref\":\"{n}-{k}\",\"title\":\"台账{k}\",\"text\":\"台账第{k}行\"}}\n");
            let text: String = (0..20).map(row).collect();
            let (map, options) = (BTreeMap::new(), Options { file: "ledger.jsonl".into(), ..Options::default() });
            let mut input = text.as_bytes();
            let mut rows = source::jsonl(&mut input, &map);
            app.import(actor, What::Petitions, &mut rows, &options, &mut |_| true).unwrap();
        }
        _ => {
            let raw = vec![("title".to_owned(), String::new())];
            assert!(app.create(actor, &petition::KIND, Typed { raw, ..Typed::default() }).is_err());
        }
    }
}

/// A folder with everything but the store's file.
fn beside(recording: &Recording, home: &Path) -> PathBuf {
    let to = home.join("d");
    beside_files(&recording.home.path().join("d"), &to);
    to
}

fn beside_files(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    fs::copy(from.join(SLOT_FILE), to.join(SLOT_FILE)).unwrap();
}

/// A folder in memory, where there is one.
fn memory() -> tempfile::TempDir {
    tempfile::tempdir_in(if Path::new("/dev/shm").is_dir() { "/dev/shm" } else { "/tmp" }).unwrap()
}

/// Heads after which everything was looked at. A head names every entry and by its digest every record, and that no
/// page of the tables is torn is what opening a store looks at: where two cuts leave one head, they leave the same.
type Seen = Mutex<HashSet<[u8; 32]>>;

/// Opens what a cut left and looks at it; what is wrong, if anything. `fully` looks at everything in any case.
fn examine(
    recording: &Recording,
    (dir, disk): (&Path, Disk),
    promised: u64,
    (seen, fully): (&Seen, bool),
) -> Result<(), String> {
    let opened = catch_unwind(AssertUnwindSafe(|| Store::open_on(dir, clock(), disk)));
    let store = opened.map_err(|_| "opening panics".to_owned())?.map_err(|e| format!("does not open: {e}"))?;
    let head = store.head();
    if head.seq.0 < promised {
        return Err(format!("the journal ends at {}, promised was {promised}", head.seq));
    }
    if !fully && seen.lock().unwrap().contains(&head.hash) {
        return Ok(());
    }
    let report = store.check().map_err(|e| format!("the check breaks off: {e}"))?;
    if report.faults > 0 {
        return Err(format!("inconsistent: {:?}", report.problems));
    }
    let snapshot = store.read().map_err(|e| e.to_string())?;
    // What is there was not promised in every case; where its entry is, it is.
    for (id, text) in recording.told.range(..=head.seq.0).map(|(_, told)| told) {
        let record = snapshot.get(*id, false).map_err(|e| e.to_string())?.ok_or(format!("{id} is lost"))?;
        if record.fields.text(petition::tag::TEXT) != text {
            return Err(format!("{id} is not what was registered"));
        }
    }
    seen.lock().unwrap().insert(head.hash);
    Ok(())
}

/// Tries cuts on all cores; the first words of what went wrong, and how often.
fn try_cuts(recording: &Recording, cuts: usize, double: bool) -> (usize, Vec<String>) {
    let mut all: Vec<(usize, usize, Chance)> = Vec::with_capacity(cuts);
    for n in from()..from() + cuts {
        let mut chance = Chance(n as u64);
        all.push((chance.below(recording.log.len() + 1), n, chance));
    }
    // In order of time the disk is made only once.
    all.sort_unstable_by_key(|(cut, n, _)| (*cut, *n));
    let (next, seen) = (AtomicUsize::new(0), Seen::default());
    let work = || {
        let home = memory();
        let dir = beside(recording, home.path());
        let mut replay = Replay::new(recording.first.clone(), &recording.log);
        let mut wrong = Vec::new();
        loop {
            let Some((cut, n, chance)) = all.get(next.fetch_add(1, Ordering::Relaxed)) else { return wrong };
            let (mut chance, fully) = (Chance(chance.0), n % FULLY == 0);
            let (bytes, promised) = replay.after_a_cut(*cut, &mut chance);
            let first = if double { bytes.clone() } else { Vec::new() };
            let disk = Disk::of(bytes);
            let mut found = examine(recording, (&dir, disk.clone()), promised, (&seen, fully));
            if double && found.is_ok() {
                let mending = disk.log();
                let cut = chance.below(mending.len() + 1);
                let (bytes, _) = Replay::new(first, &mending).after_the_last_cut(cut, &mut chance);
                found = examine(recording, (&dir, Disk::of(bytes)), promised, (&seen, fully));
            }
            wrong.extend(found.err().map(|what| format!("cut {n} after {cut} operations: {what}")));
        }
    };
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|w| w.join().unwrap()).collect()
    });
    (wrong.len(), wrong.into_iter().take(3).collect())
}

/// ASVS 2.3.3
#[test]
fn whatever_the_power_leaves_opens_and_has_all_that_was_promised() {
    let recording = record(false);
    let syncs = recording.log.iter().filter(|op| matches!(op, Op::Sync)).count();
    assert!(syncs > 100 && recording.told.len() == 24, "{syncs} syncs");
    let cuts = CUTS * campaign();
    let (wrong, first) = try_cuts(&recording, cuts, false);
    println!("{cuts} cuts among {} operations: {wrong} wrong", recording.log.len());
    assert_eq!(wrong, 0, "{first:?}");
}

#[test]
fn a_cut_while_the_last_one_is_mended_does_no_harm() {
    let recording = record(false);
    let cuts = DOUBLE_CUTS * campaign();
    let (wrong, first) = try_cuts(&recording, cuts, true);
    println!("{cuts} double cuts: {wrong} wrong");
    assert_eq!(wrong, 0, "{first:?}");
}

/// The tests above would notice: on a disk that does not sync, promises are broken.
#[test]
fn a_disk_that_lies_is_caught() {
    let (wrong, _) = try_cuts(&record(true), 200, false);
    assert!(wrong > 50, "{wrong} of 200");
}

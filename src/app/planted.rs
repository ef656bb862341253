//! Ten bugs are planted, one at a time, each in a process of its own, and each must be caught by the part of a short
//! suite that is there for it. Without a bug the same suite finds nothing. What the parts try here a few times,
//! `tests/crash.rs`, `tests/house` and the tests of each floor try at length.

#![cfg(test)]

#[path = "../../tests/crash/disk.rs"]
#[expect(dead_code, reason = "another test needs more of it")]
mod disk;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc::channel;

use disk::{Chance, Disk, Refusal, after_a_cut};

use super::change::Typed;
use super::{Actor, App, demo, search};
use crate::backup;
use crate::base::clock::ManualClock;
use crate::base::{Error, Moment, RecordId, Result};
use crate::records::{act, decide, petition};
use crate::store::durable::{self, Step};
use crate::store::fault::{self, Bug};
use crate::store::{Act, DATABASE_FILE, SLOT_FILE, Store};

/// The bugs, and the part of the suite that must catch each.
const BUGS: [(Bug, &str); 10] = [
    (Bug::SyncSkipped, "power cuts"),
    (Bug::AnsweredEarly, "refusals"),
    (Bug::EntryLeftOut, "the check"),
    (Bug::ChangeLeftOut, "the check"),
    (Bug::NeighbourLost, "neighbours"),
    (Bug::IndexAhead, "the index"),
    (Bug::FolderNotSynced, "attachments"),
    (Bug::FileNotSynced, "attachments"),
    (Bug::CounterForgotten, "numbers"),
    (Bug::ManifestFirst, "backups"),
];

type Part = fn(&County) -> Result<(), String>;

/// The parts of the suite.
const PARTS: [(&str, Part); 8] = [
    ("power cuts", power_cuts),
    ("refusals", refusals),
    ("the check", the_check),
    ("neighbours", neighbours),
    ("numbers", numbers),
    ("the index", the_index),
    ("attachments", attachments),
    ("backups", backups),
];

const CUTS: u64 = 60;

#[test]
fn each_planted_bug_is_caught() {
    let run = |plant: &str| {
        let mut again = Command::new(std::env::current_exe().unwrap());
        let suite = "app::planted::the_short_suite";
        let out = again.args(["--exact", suite, "--nocapture"]).env(fault::PLANT, plant).output().unwrap();
        let said = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
        (out.status.success(), said)
    };
    let (clean, said) = run("nothing");
    assert!(clean && said.contains("1 passed"), "without a bug: {said}");
    std::thread::scope(|scope| {
        for half in BUGS.chunks(BUGS.len() / 2) {
            scope.spawn(move || {
                for (bug, part) in half {
                    let (clean, said) = run(&format!("{bug:?}"));
                    let caught = said.lines().find(|l| l.starts_with("caught by")).unwrap_or_default();
                    assert!(!clean && caught.contains(part), "{bug:?} is not caught by {part}: {said}");
                }
            });
        }
    });
}

/// Nothing to do in an ordinary process: the test above starts it.
#[test]
fn the_short_suite() {
    if fault::plant().is_none() {
        return;
    }
    let county = County::new();
    fault::arm();
    let tried = PARTS.map(|(name, part)| {
        let found = catch_unwind(AssertUnwindSafe(|| part(&county)));
        (name, found.unwrap_or_else(|_| Err("it panics".to_owned())))
    });
    let caught: Vec<String> =
        tried.iter().filter_map(|(n, found)| Some(format!("{n} ({})", found.as_ref().err()?))).collect();
    if !caught.is_empty() {
        println!("\ncaught by {}", caught.join(", "));
    }
    assert!(caught.is_empty());
}

/// A county with units and accounts, to be copied.
struct County {
    home: tempfile::TempDir,
    first: Vec<u8>,
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(Moment(1_790_000_000_000)))
}

impl County {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        drop(demo::create(&home.path().join("d"), clock(), true).unwrap());
        let first = fs::read(home.path().join("d").join(DATABASE_FILE)).unwrap();
        Self { home, first }
    }

    /// The files beside the database, copied to a new place.
    fn copy(&self) -> Place {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("d")).unwrap();
        fs::copy(self.home.path().join("d").join(SLOT_FILE), home.path().join("d").join(SLOT_FILE)).unwrap();
        Place(home)
    }

    fn disk(&self) -> Disk {
        Disk::of(self.first.clone())
    }
}

struct Place(tempfile::TempDir);

impl Place {
    fn dir(&self) -> PathBuf {
        self.0.path().join("d")
    }

    fn open(&self, disk: &Disk) -> Result<(Arc<App>, Store), String> {
        let store = Store::open_on(&self.dir(), clock(), disk.clone()).map_err(told)?;
        Ok((App::with_store(store.clone()).map_err(told)?, store))
    }
}

#[expect(clippy::needless_pass_by_value, reason = "errors are mapped with it")]
fn told(e: Error) -> String {
    format!("{e:?}")
}

fn register(app: &App, n: usize) -> Result<RecordId> {
    let title = format!("第{n}件");
    let pairs = [("title", title.as_str()), ("text", "水渠没有修好。"), ("accused.0.name", "赵甲")];
    let rank = ("accused.0.rank", "村(社区)干部");
    let raw = pairs.iter().chain([&rank]).map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    let actor = app.demo_actor(demo::EVERYTHING)?;
    let typed = Typed { raw, submit: format!("{n:032x}"), ..Typed::default() };
    app.create(&actor, &petition::KIND, typed).map_err(|e| Error::internal(format!("{e:?}")))
}

/// The store on a disk, whole, with everything that was saved.
fn holds(place: &Place, disk: Disk, saved: &[RecordId]) -> Result<(), String> {
    let store = Store::open_on(&place.dir(), clock(), disk).map_err(told)?;
    whole(&store)?;
    let snapshot = store.read().map_err(told)?;
    for id in saved {
        snapshot.get(*id, false).map_err(told)?.ok_or(format!("{id} is lost"))?;
    }
    Ok(())
}

fn whole(store: &Store) -> Result<(), String> {
    let report = store.check().map_err(told)?;
    if report.problems.is_empty() { Ok(()) } else { Err(format!("{:?}", report.problems)) }
}

/// What was saved is there after the power went at any moment.
fn power_cuts(county: &County) -> Result<(), String> {
    let (place, disk) = (county.copy(), county.disk());
    let (app, store) = place.open(&disk)?;
    let mut saved = BTreeMap::new();
    for n in 0..3 {
        let id = register(&app, n).map_err(told)?;
        disk.promise(store.head().seq.0);
        saved.insert(store.head().seq.0, id);
    }
    drop((app, store));
    let log = disk.log();
    for n in 0..CUTS {
        let mut chance = Chance(n);
        let cut = chance.below(log.len() + 1);
        let (bytes, promised) = after_a_cut(&county.first, &log, cut, &mut chance);
        let saved: Vec<RecordId> = saved.range(..=promised).map(|(_, id)| *id).collect();
        let opened = catch_unwind(AssertUnwindSafe(|| holds(&place, Disk::of(bytes), &saved)));
        opened.unwrap_or_else(|_| Err("it panics".to_owned())).map_err(|e| format!("cut {n}: {e}"))?;
    }
    Ok(())
}

/// What the disk refuses is not saved for anybody.
fn refusals(county: &County) -> Result<(), String> {
    let asked = {
        let (place, disk) = (county.copy(), county.disk());
        let (app, store) = place.open(&disk)?;
        let before = disk.asked();
        save(&store, &app.demo_actor(demo::EVERYTHING).map_err(told)?, false).map_err(told)?;
        // When the last one is gone, so is the writer, whatever it told people before.
        drop((app, store));
        before..disk.asked()
    };
    for at in asked {
        let (place, refusal) = (county.copy(), Refusal { at, code: 5, lasting: true, half: false });
        let disk = county.disk().refusing(refusal);
        let (app, store) = place.open(&disk)?;
        let actor = app.demo_actor(demo::EVERYTHING).map_err(told)?;
        let saved: Vec<RecordId> = save(&store, &actor, false).into_iter().collect();
        drop((app, store));
        holds(&place, Disk::of(disk.bytes()), &saved).map_err(|e| format!("operation {at}: {e}"))?;
    }
    Ok(())
}

/// Entries and changes belong together.
fn the_check(county: &County) -> Result<(), String> {
    let place = county.copy();
    let (app, store) = place.open(&county.disk())?;
    for n in 0..2 {
        register(&app, n).map_err(told)?;
    }
    whole(&store)
}

/// One who fails in a group of three fails alone.
fn neighbours(county: &County) -> Result<(), String> {
    let (place, disk) = (county.copy(), county.disk());
    let (app, store) = place.open(&disk)?;
    let actor = app.demo_actor(demo::EVERYTHING).map_err(told)?;
    let (store, actor) = (&store, &actor);
    let ((begun, running), (free, waits), (asking, asked)) = (channel(), channel::<()>(), channel());
    let answers: Vec<Result<RecordId>> = std::thread::scope(|scope| {
        let doer = actor.doer();
        scope.spawn(move || {
            store.submit(move |txn| {
                begun.send(()).unwrap();
                waits.recv().unwrap();
                txn.act(Act::new(doer, act::LIST));
                Ok(())
            })
        });
        running.recv().unwrap();
        let people = [false, true, false].map(|fails| {
            let asking = asking.clone();
            scope.spawn(move || {
                asking.send(()).unwrap();
                save(store, actor, fails)
            })
        });
        people.iter().for_each(|_| asked.recv().unwrap());
        // They are in the queue, or about to be.
        std::thread::sleep(std::time::Duration::from_millis(100));
        free.send(()).unwrap();
        people.map(|p| p.join().unwrap()).into()
    });
    let saved: BTreeSet<RecordId> = answers.iter().flatten().copied().collect();
    if saved.len() != 2 || answers[1].is_ok() {
        return Err(format!("{answers:?}"));
    }
    let snapshot = store.read().map_err(told)?;
    for id in &saved {
        snapshot.get(*id, false).map_err(told)?.ok_or(format!("{id} is lost"))?;
    }
    whole(store)
}

/// Saves a petition, or changes its mind in the middle.
fn save(store: &Store, actor: &Actor, fails: bool) -> Result<RecordId> {
    let made = decide::create(&petition::KIND, (petition::KIND.sample)(1), actor.author(), store.now());
    let (record, doer) = (made.unwrap(), actor.doer());
    store.submit(move |txn| {
        txn.act(Act::new(doer, act::CREATE));
        let id = txn.create(record)?;
        if fails { Err(Error::denied()) } else { Ok(id) }
    })
}

/// A number is given once, also when the server starts anew.
fn numbers(county: &County) -> Result<(), String> {
    let (place, mut disk) = (county.copy(), county.disk());
    let mut seen = BTreeSet::new();
    for n in 0..2 {
        let (app, store) = place.open(&disk)?;
        let id = register(&app, n).map_err(told)?;
        let record = store.read().map_err(told)?.get(id, false).map_err(told)?.ok_or("it is lost")?;
        let number = petition::KIND.number_of(&record).to_owned();
        drop((app, store));
        disk = Disk::of(disk.bytes());
        if !seen.insert(number.clone()) {
            return Err(format!("{number} is given twice"));
        }
    }
    Ok(())
}

/// What was saved is found.
fn the_index(county: &County) -> Result<(), String> {
    let place = county.copy();
    let (app, _store) = place.open(&county.disk())?;
    register(&app, 7).map_err(told)?;
    app.wait_for_index().map_err(told)?;
    let actor = app.demo_actor(demo::EVERYTHING).map_err(told)?;
    let query = search::Query { text: "第7件".into(), limit: 5, ..search::Query::default() };
    let found = app.search(&actor, &query).map_err(told)?.hits.len();
    if found == 1 { Ok(()) } else { Err(format!("{found} hits")) }
}

/// Bytes, name and folders of an attachment last before anything can name it.
fn attachments(county: &County) -> Result<(), String> {
    let place = county.copy();
    let (_app, store) = place.open(&county.disk())?;
    let dir = store.dir().to_owned();
    let mut blob = store.write_blob().map_err(told)?;
    blob.write(b"paper").map_err(told)?;
    blob.finish("附件.txt").map_err(told)?;
    let steps: Vec<Step> = durable::steps();
    let own = |step: &Step| {
        let (Step::File(path) | Step::Folder(path) | Step::Name(_, path)) = step;
        path.starts_with(&dir)
    };
    let steps: Vec<Step> = steps.into_iter().filter(own).collect();
    let named = steps.iter().enumerate().find_map(|(n, step)| match step {
        Step::Name(from, to) => Some((n, from.clone(), to.clone())),
        _ => None,
    });
    let (at, from, to) = named.ok_or("it got no name")?;
    if !steps[..at].contains(&Step::File(from)) {
        return Err("its name is there before its bytes".to_owned());
    }
    let folders = to.ancestors().skip(1).take_while(|f| f.starts_with(&dir));
    for folder in folders {
        if !steps[at..].contains(&Step::Folder(folder.to_owned())) {
            return Err(format!("{} is not synced", folder.strip_prefix(&dir).unwrap_or(Path::new("")).display()));
        }
    }
    Ok(())
}

/// A manifest has its name only when the name of its data lasts.
fn backups(county: &County) -> Result<(), String> {
    let place = county.copy();
    let (_app, store) = place.open(&county.disk())?;
    let key = |name: &str| backup::keygen(&place.0.path().join(name), None, Moment(0)).map(|k| k.recipient);
    let keys = [key("a").map_err(told)?, key("b").map_err(told)?];
    let folder = place.0.path().join("sets");
    let to = backup::Target { folder: &folder, marked: false };
    backup::run(&store, to, &keys, &|_| Ok(())).map_err(told)?;
    let folder = folder.canonicalize().map_err(|e| e.to_string())?;
    let steps = durable::steps();
    let named = |what: &str| {
        let ours = |to: &Path| to.starts_with(&folder) && to.to_string_lossy().contains(what);
        let at = steps.iter().position(|s| matches!(s, Step::Name(_, to) if ours(to)));
        at.ok_or(format!("no {what}"))
    };
    let (data, manifest) = (named(".data.")?, named(".manifest.")?);
    let lasts = manifest > data && steps[data..manifest].contains(&Step::Folder(folder.clone()));
    if lasts { Ok(()) } else { Err("a manifest without data".to_owned()) }
}

//! Backups whose target loses power: four runs, each with an attachment more than the last, and a restore, recorded by
//! a file system that remembers. Whatever the power leaves, what is listed as complete verifies, what was promised is
//! listed, the next run leaves nothing of what was cut off, and what was restored is whole.
//!
//! `JICENG_CAMPAIGN=n` tries n times as many cuts.

use std::fs;
use std::path::Path;

use jiceng::app::change::Typed;
use jiceng::app::{Actor, App, demo};
use jiceng::backup::{self, KeyFile, Target, Wish};
use jiceng::base::RecordId;
use jiceng::records::petition;
use jiceng::store::{Doer, Store};

use super::files::{PROMISE, Recording, recorded};
use super::{campaign, clock, petition_form};

const CUTS: usize = 120;
const RUNS: u64 = 4;
/// One cut in so many is also looked at with a key, and followed by another run.
const FULLY: usize = 4;

fn register(app: &App, actor: &Actor, n: usize) {
    let mut blob = app.upload().unwrap();
    blob.write(&vec![u8::try_from(n).unwrap(); 40_000]).unwrap();
    let files = vec![blob.finish("附件.txt").unwrap()];
    app.create(actor, &petition::KIND, Typed { files, ..petition_form(n, "水渠没有修好。") }).unwrap();
}

fn back_up(store: &Store, home: &Path) -> Result<backup::Done, String> {
    let keys = ["a.key", "b.key"].map(|name| KeyFile::read(&home.join(name)).unwrap().recipient);
    let target = Target { folder: &home.join("sets"), marked: false };
    backup::run(store, target, &keys, &|_| Ok(())).map_err(|e| format!("{e:?}"))
}

/// Nothing to do in an ordinary process: the test below starts it.
#[test]
fn backups_that_are_recorded() {
    let Some(home) = recorded() else { return };
    let store = Store::open(&home.join("d"), clock()).unwrap();
    let app = App::with_store(store.clone()).unwrap();
    let actor = app.demo_actor(demo::EVERYTHING).unwrap();
    // The runner of tests has begun a line.
    println!();
    for n in 0..RUNS {
        register(&app, &actor, usize::try_from(n).unwrap());
        println!("{PROMISE}{}", back_up(&store, &home).unwrap().set);
    }
    let (from, dir, key) = (home.join("sets"), home.join("r"), KeyFile::read(&home.join("a.key")).unwrap());
    let doer = Doer { account: RecordId(0), unit: RecordId(0), via: "test".to_owned() };
    let (ask, key) = (&|_: &str, _| Ok(None), &key);
    backup::restore(
        &Wish { from: &from, set: None, until: None, key, signer: None, dir: &dir, numbers: &[], ask, doer },
        clock(),
    )
    .unwrap();
    println!("{PROMISE}restored");
}

/// What a cut left of the target, and of a restored store.
fn examine(home: &Path, promises: &[&str], n: usize) -> Result<(), String> {
    let sets = home.join("sets");
    if sets.exists() {
        let listed = complete(&sets)?;
        let lacking = promises.iter().find(|p| **p != "restored" && !listed.iter().any(|set| set == *p));
        lacking.map_or(Ok(()), |set| Err(format!("{set} was promised, there are {listed:?}")))?;
        for set in &listed {
            verifies(&sets, set, None)?;
        }
        if n.is_multiple_of(FULLY) {
            goes_on(home, listed.len())?;
        }
    }
    if promises.contains(&"restored") { is_whole(&home.join("r"), RUNS) } else { Ok(()) }
}

fn complete(sets: &Path) -> Result<Vec<String>, String> {
    let listed = backup::list(sets, None).map_err(|e| format!("no list: {e:?}"))?;
    Ok(listed.iter().filter(|set| set.complete).map(|set| set.id.to_string()).collect())
}

fn verifies(sets: &Path, set: &str, key: Option<&KeyFile>) -> Result<(), String> {
    let verified = backup::verify(sets, Some(set), key).map_err(|e| format!("{set}: {e:?}"))?;
    verified[0].outcome.as_ref().map_err(|e| format!("{set} is listed and does not verify: {e:?}")).map(drop)
}

/// The data is whole, the next run adds a set that verifies with a key, and nothing that was cut off lies about.
fn goes_on(home: &Path, listed: usize) -> Result<(), String> {
    is_whole(&home.join("d"), 0)?;
    let store = Store::open(&home.join("d"), clock()).map_err(|e| format!("{e:?}"))?;
    let (done, sets) = (back_up(&store, home)?, home.join("sets"));
    verifies(&sets, &done.set, Some(&KeyFile::read(&home.join("a.key")).unwrap()))?;
    let all = backup::list(&sets, None).map_err(|e| format!("{e:?}"))?;
    let names =
        |folder: &Path| fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    let drafts: Vec<String> =
        names(&sets).chain(names(&sets.join("pool"))).filter(|n| n.contains(".tmp")).collect();
    if all.len() == listed + 1 && drafts.is_empty() {
        return Ok(());
    }
    Err(format!("after the next run {} sets of {}, {drafts:?}", all.len(), listed + 1))
}

fn is_whole(dir: &Path, attachments: u64) -> Result<(), String> {
    let store = Store::open(dir, clock()).map_err(|e| format!("{}: {e:?}", dir.display()))?;
    let report = store.check().map_err(|e| format!("{e:?}"))?;
    let whole = report.faults == 0 && report.damaged.is_empty() && report.files >= attachments;
    if whole {
        Ok(())
    } else {
        Err(format!("{}: {:?}, {} files", dir.display(), report.problems, report.files))
    }
}

#[test]
fn whatever_the_power_leaves_of_backups_only_whole_sets_are_listed() {
    let home = tempfile::tempdir().unwrap();
    let app = demo::create(&home.path().join("d"), clock(), true).unwrap();
    let signer = app.signer().unwrap();
    for name in ["a.key", "b.key"] {
        backup::keygen(&home.path().join(name), Some(signer), app.now()).unwrap();
    }
    app.wait_for_index().unwrap();
    drop(app);
    let Some(recording) = Recording::of("sets::backups_that_are_recorded", home.path()) else { return };
    let (syncs, names) = recording.counts();
    assert!(syncs > 50 && names > 50, "{syncs} syncs, {names} names");
    let cuts = CUTS * campaign();
    let wrong = recording.try_cuts(cuts, examine);
    println!(
        "{cuts} cuts among {} operations, {syncs} syncs, {names} names: {} wrong",
        recording.len(),
        wrong.len()
    );
    assert!(wrong.is_empty(), "{:#?}", &wrong[..wrong.len().min(5)]);
}

//! A disk that refuses: every n-th operation fails, alone or with all that follow, with nothing or half of it done.
//!
//! Whoever got an answer got a true one: what was acknowledged is there, what was said not to have run is not, and a
//! failed commit never is a success. The disk opens again as it is, and as a power cut at that moment would leave it;
//! after a real failure it takes no changes until somebody says that it is good.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;

use jiceng::app::change::SaveError;
use jiceng::app::import::{Options, What, source};
use jiceng::app::{Actor, App, demo};
use jiceng::base::{Error, ErrorKind, RecordId, Result};
use jiceng::records::{Record, act, decide, petition};
use jiceng::store::{Act, Halt, Snapshot, Store};

use super::disk::{Chance, Disk, Refusal, after_a_cut};
use super::{WORKERS, beside_files, campaign, clock, petition_form};

/// `errno` of a disk that fails, and of one that is full.
const EIO: i32 = 5;
const ENOSPC: i32 = 28;
/// Refusals tried in an ordinary run.
const TRIES: usize = 80;

/// What people were told, by the title of what they registered.
#[derive(Default)]
struct Told(BTreeMap<String, Answer>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Saved,
    /// Nobody can know before the next start.
    Unsure,
    NotSaved,
}

impl Told {
    fn note<T>(&mut self, title: &str, done: &Result<T>) {
        let answer = match done {
            Ok(_) => Answer::Saved,
            Err(e) if e.kind() == ErrorKind::Io && e.public().contains("还不能确定") => Answer::Unsure,
            Err(_) => Answer::NotSaved,
        };
        self.0.insert(title.to_owned(), answer);
    }
}

/// The county before anything is refused.
struct County {
    home: tempfile::TempDir,
    first: Vec<u8>,
}

impl County {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        drop(demo::create(&home.path().join("d"), clock(), true).unwrap());
        let first = fs::read(home.path().join("d").join(jiceng::store::DATABASE_FILE)).unwrap();
        Self { home, first }
    }

    /// Opens the county on a disk and lets people work; what they were told. `None` when it did not even open.
    fn live(&self, dir: &Path, disk: &Disk) -> Option<Told> {
        let store = Store::open_on(dir, clock(), disk.clone()).ok()?;
        let app = App::with_store(store.clone()).ok()?;
        let mut told = Told::default();
        let Ok(actor) = app.demo_actor(demo::EVERYTHING) else { return Some(told) };
        for n in 0..4 {
            let title = format!("第{n}件");
            let saved = plain(app.create(&actor, &petition::KIND, petition_form(n, &title)));
            told.note(&title, &saved);
            if let Ok(id) = saved {
                disk.promise(store.head().seq.0);
                // Being told is what counts; opening may fail, and changes nothing.
                let _opened = app.open_record(&actor, &petition::KIND, id, 0);
            }
        }
        import(&app, &actor, &mut told);
        group(&store, &actor, &mut told);
        disk.promise(if told.0.values().any(|a| *a == Answer::Saved) { store.head().seq.0 } else { 0 });
        drop((app, store));
        Some(told)
    }
}

fn plain<T>(done: Result<T, SaveError>) -> Result<T> {
    done.map_err(|e| match e {
        SaveError::Failed(e) => e,
        other => panic!("{other:?}"),
    })
}

/// Rows of an import are there together or not at all.
fn import(app: &App, actor: &Actor, told: &mut Told) {
    let row = |k: usize| format!("{{\"ref\":\"r{k}\",\"title\":\"台账{k}\",\"text\":\"台账第{k}行\"}}\n");
    let text: String = (0..10).map(row).collect();
    let (map, options) = (BTreeMap::new(), Options { file: "ledger.jsonl".into(), ..Options::default() });
    let mut input = text.as_bytes();
    let mut rows = source::jsonl(&mut input, &map);
    let done = app.import(actor, What::Petitions, &mut rows, &options, &mut |_| true);
    (0..10).for_each(|k| told.note(&format!("台账{k}"), &done));
}

/// Four people whose commands go into one commit; one of them is refused for a reason of his own.
fn group(store: &Store, actor: &Actor, told: &mut Told) {
    let titles = ["同批甲", "同批乙", "同批丙", "同批丁"];
    let (begun, running) = channel::<()>();
    let (free, waits) = channel::<()>();
    let (asking, asked) = channel::<()>();
    let answers: Vec<Result<RecordId>> = std::thread::scope(|scope| {
        let doer = actor.doer();
        scope.spawn(move || {
            store.submit(move |txn| {
                begun.send(()).ok();
                waits.recv().ok();
                txn.act(Act::new(doer, act::LIST));
                Ok(())
            })
        });
        // A store that refuses everything does not even begin.
        let holds = running.recv().is_ok();
        let people: Vec<_> = titles
            .iter()
            .map(|title| {
                let (record, doer, asking) = (sample(actor, title, store), actor.doer(), asking.clone());
                let refuses = *title == "同批丙";
                scope.spawn(move || {
                    asking.send(()).unwrap();
                    store.submit(move |txn| {
                        txn.act(Act::new(doer, act::CREATE));
                        let id = txn.create(record)?;
                        if refuses { Err(Error::denied()) } else { Ok(id) }
                    })
                })
            })
            .collect();
        titles.iter().for_each(|_| asked.recv().unwrap());
        if holds {
            std::thread::sleep(std::time::Duration::from_millis(2));
            free.send(()).ok();
        }
        people.into_iter().map(|p| p.join().unwrap()).collect()
    });
    for (title, answer) in titles.iter().zip(&answers) {
        told.note(title, answer);
    }
    assert!(answers[2].is_err(), "a command that refuses itself is never a success");
}

fn sample(actor: &Actor, title: &str, store: &Store) -> Record {
    let fields = (petition::KIND.sample)(1).with_text(petition::tag::TITLE, title);
    decide::create(&petition::KIND, fields, actor.author(), store.now()).unwrap()
}

/// Opens what is left and holds it against what people were told; what is wrong, if anything.
fn examine(dir: &Path, disk: Disk, told: &Told, code: i32) -> Result<(), String> {
    let store = Store::open_on(dir, clock(), disk).map_err(|e| format!("does not open: {e:?}"))?;
    let report = store.check().map_err(|e| format!("the check breaks off: {e}"))?;
    if report.faults > 0 {
        return Err(format!("inconsistent: {:?}", report.problems));
    }
    let titles = titles(&store.read().map_err(|e| e.to_string())?).map_err(|e| e.to_string())?;
    for (title, answer) in &told.0 {
        let times = titles.iter().filter(|t| *t == title).count();
        let right = match answer {
            Answer::Saved => times == 1,
            Answer::Unsure => times <= 1,
            Answer::NotSaved => times == 0,
        };
        if !right {
            return Err(format!("{title} is there {times} times, told was {answer:?}"));
        }
    }
    let app = App::with_store(store.clone()).map_err(|e| format!("{e:?}"))?;
    takes_changes_when_it_should(&app, &store, code)
}

/// After a failure only when somebody said that the disk is good; when it was merely full, at once.
fn takes_changes_when_it_should(app: &App, store: &Store, code: i32) -> Result<(), String> {
    let actor = app.demo_actor(demo::EVERYTHING).map_err(|e| e.to_string())?;
    let save = |n| plain(app.create(&actor, &petition::KIND, petition_form(n, &format!("之后{n}"))));
    if code != ENOSPC {
        if !matches!(store.halted(), Some(Halt::Failed(f)) if f.code == code) {
            return Err(format!("the failure is forgotten: {:?}", store.halted()));
        }
        let refused = save(90).err().ok_or("a change was taken")?;
        if refused.kind() != ErrorKind::Busy || !refused.public().contains("只能查看") {
            return Err(format!("the reason is not told: {refused:?}"));
        }
        if let Some(id) = any_petition(store)? {
            app.open_record(&actor, &petition::KIND, id, 0).map_err(|e| format!("reading: {e}"))?;
        }
        app.resume(&actor.doer()).map_err(|e| format!("resuming: {e}"))?;
    }
    save(91).map_err(|e| format!("it takes nothing: {e:?}"))?;
    let report = store.check().map_err(|e| e.to_string())?;
    if report.faults == 0 { Ok(()) } else { Err(format!("inconsistent afterwards: {:?}", report.problems)) }
}

fn any_petition(store: &Store) -> Result<Option<RecordId>, String> {
    let snapshot = store.read().map_err(|e| e.to_string())?;
    let mut ids = snapshot.all_ids().map_err(|e| e.to_string())?;
    let kind = |id: &RecordId| snapshot.get(*id, false).ok().flatten().map(|r| r.kind);
    Ok(ids.find(|id| kind(id) == Some(petition::KIND.tag)))
}

/// Titles of all petitions that can be seen.
fn titles(snapshot: &Snapshot) -> Result<Vec<String>> {
    let mut titles = Vec::new();
    for id in snapshot.all_ids()? {
        let record = snapshot.get(id, false)?.filter(|r| r.kind == petition::KIND.tag);
        titles.extend(record.map(|r| r.fields.text(petition::tag::TITLE).to_owned()));
    }
    Ok(titles)
}

/// One refusal, and what is left of it: as it is, and as a power cut would leave it.
fn try_one(county: &County, home: &Path, n: usize, refusal: Refusal) -> Result<(), String> {
    for cut in [false, true] {
        let dir = home.join("d");
        let _earlier = fs::remove_dir_all(&dir);
        beside_files(&county.home.path().join("d"), &dir);
        let disk = Disk::of(county.first.clone()).refusing(refusal);
        let told = county.live(&dir, &disk).unwrap_or_default();
        let bytes = if cut {
            let log = disk.log();
            after_a_cut(&county.first, &log, log.len(), &mut Chance(n as u64)).0
        } else {
            disk.bytes()
        };
        // The last few operations are not the same each time, and this one may not have come.
        let code = if disk.asked() > refusal.at { refusal.code } else { ENOSPC };
        examine(&dir, Disk::of(bytes), &told, code).map_err(|e| format!("{refusal:?}, cut {cut}: {e}"))?;
    }
    Ok(())
}

/// ASVS 16.5.3
#[test]
fn whatever_the_disk_refuses_people_are_told_the_truth() {
    let county = County::new();
    let operations = {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("d");
        beside_files(&county.home.path().join("d"), &dir);
        let disk = Disk::of(county.first.clone());
        let told = county.live(&dir, &disk).unwrap();
        let not = told.0.values().filter(|a| **a != Answer::Saved).count();
        assert_eq!((told.0.len(), not), (18, 1), "without a refusal everything is saved");
        disk.asked()
    };
    let all: Vec<Refusal> = (0..operations)
        .flat_map(|at| [EIO, ENOSPC].map(|code| (at, code)))
        .flat_map(|(at, code)| [false, true].map(|lasting| (at, code, lasting)))
        .flat_map(|(at, code, lasting)| [false, true].map(|half| Refusal { at, code, lasting, half }))
        .collect();
    // An odd step meets all kinds of refusals.
    let step = if campaign() > 1 { 1 } else { (all.len() / TRIES) | 1 };
    let chosen: Vec<(usize, Refusal)> = all.iter().copied().enumerate().step_by(step).collect();
    let next = AtomicUsize::new(0);
    let work = || {
        let home = super::memory();
        let mut wrong = Vec::new();
        while let Some((n, refusal)) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
            wrong.extend(try_one(&county, home.path(), *n, *refusal).err());
        }
        wrong
    };
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|w| w.join().unwrap()).collect()
    });
    println!("{} refusals of {} over {operations} operations: {} wrong", chosen.len(), all.len(), wrong.len());
    assert!(wrong.is_empty(), "{:#?}", &wrong[..wrong.len().min(5)]);
}

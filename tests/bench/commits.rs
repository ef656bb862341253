//! Durable saves of one petition, alone and of many people at once, beside the bare store with the same durability.

use std::sync::Arc;
use std::time::Instant;

use jiceng::app::change::Typed;
use jiceng::app::demo;
use jiceng::base::clock::SystemClock;
use jiceng::records::petition;

use super::{Line, quantile};

const SAVES: usize = 400;
const PEOPLE: usize = 32;

pub(crate) fn run(_texts: &[(String, String)]) -> Vec<Line> {
    let home = tempfile::tempdir().unwrap();
    let app = demo::create(&home.path().join("d"), Arc::new(SystemClock), true).unwrap();
    let actor = app.demo_actor(demo::EVERYTHING).unwrap();
    let save = |n: usize| {
        let raw =
            vec![("title".to_owned(), format!("第{n}件")), ("text".to_owned(), "登记的内容".repeat(40))];
        let typed = Typed { raw, submit: format!("{n:032x}"), ..Typed::default() };
        let started = Instant::now();
        app.create(&actor, &petition::KIND, typed).unwrap();
        started.elapsed().as_secs_f64() * 1e3
    };
    let mut alone: Vec<f64> = (0..SAVES).map(save).collect();
    let mut bare = bare();
    let (ours, theirs) = (quantile(&mut alone, 0.5), quantile(&mut bare, 0.5));
    let started = Instant::now();
    std::thread::scope(|scope| {
        for person in 0..PEOPLE {
            let save = &save;
            scope.spawn(move || {
                (0..SAVES / 8).for_each(|n| assert!(save((person + 1) * 1_000_000 + n) > 0.0))
            });
        }
    });
    let together = (PEOPLE * (SAVES / 8)) as f64 / started.elapsed().as_secs_f64();
    vec![
        Line {
            what: "p50 of one durable save",
            ours: format!("{ours:.2} ms"),
            bare: format!("{theirs:.2} ms (redb)"),
            ratio: theirs / ours,
        },
        Line {
            what: "saves of 32 people at once",
            ours: format!("{together:.0}/s"),
            bare: format!("{:.0}/s (one person)", 1e3 / ours),
            ratio: together * ours / 1e3,
        },
    ]
}

/// One row of like size, both phases synced.
fn bare() -> Vec<f64> {
    let home = tempfile::tempdir().unwrap();
    let db = redb::Database::create(home.path().join("bare.redb")).unwrap();
    let table = redb::TableDefinition::<u64, &[u8]>::new("rows");
    let value = vec![7_u8; 800];
    let save = |n: u64| {
        let started = Instant::now();
        let mut txn = db.begin_write().unwrap();
        txn.set_two_phase_commit(true);
        txn.set_quick_repair(true);
        txn.open_table(table).unwrap().insert(n, value.as_slice()).unwrap();
        txn.commit().unwrap();
        started.elapsed().as_secs_f64() * 1e3
    };
    (0..SAVES as u64).map(save).collect()
}

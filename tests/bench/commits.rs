//! Durable saves of one petition, alone and of many people at once, beside the bare store with the same durability.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use jiceng::app::change::Typed;
use jiceng::app::demo;
use jiceng::base::clock::SystemClock;
use jiceng::records::petition;

use super::{Line, quantile};

/// Saves of one person in a round, and of each of many: enough that coming and going of the many does not count.
const SAVES: usize = 100;
const SAVES_OF_EACH: usize = 100;
const PEOPLE: usize = 32;
/// How often each is measured, turn by turn; the middle counts.
const ROUNDS: usize = 7;

pub(crate) fn run(_texts: &[(String, String)]) -> Vec<Line> {
    let home = tempfile::tempdir().unwrap();
    let app = demo::create(&home.path().join("d"), Arc::new(SystemClock), true).unwrap();
    let actor = app.demo_actor(demo::EVERYTHING).unwrap();
    let submits = AtomicUsize::new(1);
    let save = || {
        let n = submits.fetch_add(1, Ordering::Relaxed);
        let raw =
            vec![("title".to_owned(), format!("第{n}件")), ("text".to_owned(), "登记的内容".repeat(40))];
        let typed = Typed { raw, submit: format!("{n:032x}"), ..Typed::default() };
        let started = Instant::now();
        app.create(&actor, &petition::KIND, typed).unwrap();
        started.elapsed().as_secs_f64() * 1e3
    };
    let mut bare = Bare::new();
    let rounds: [Round; ROUNDS] = std::array::from_fn(|_| {
        let middle = |mut times: Vec<f64>| quantile(&mut times, 0.5);
        let theirs = middle((0..SAVES).map(|_| bare.save()).collect());
        app.wait_for_index().unwrap();
        let alone = middle((0..SAVES).map(|_| save()).collect());
        app.wait_for_index().unwrap();
        let many = |_| (0..SAVES_OF_EACH).map(|_| save()).collect::<Vec<_>>();
        let started = Instant::now();
        let times = std::thread::scope(|scope| {
            let people: Vec<_> = (0..PEOPLE).map(|n| scope.spawn(move || many(n))).collect();
            people.into_iter().flat_map(|p| p.join().unwrap()).collect()
        });
        let rate = (PEOPLE * SAVES_OF_EACH) as f64 / started.elapsed().as_secs_f64();
        Round { theirs, alone, rate, crowd: middle(times) }
    });
    let middle = |of: fn(&Round) -> f64| quantile(&mut rounds.iter().map(of).collect::<Vec<_>>(), 0.5);
    let (theirs, alone) = (middle(|r| r.theirs), middle(|r| r.alone));
    vec![
        Line {
            what: "p50 of one durable save",
            ours: format!("{alone:.2} ms"),
            bare: format!("{theirs:.2} ms (redb)"),
            ratio: middle(|r| r.theirs / r.alone),
        },
        Line {
            what: "saves of 32 people at once",
            ours: format!("{:.0}/s, p50 {:.2} ms", middle(|r| r.rate), middle(|r| r.crowd)),
            bare: format!("{:.0}/s (one person)", 1e3 / alone),
            ratio: middle(|r| r.rate * r.alone / 1e3),
        },
    ]
}

/// What one turn measured: milliseconds of one save (the middle) of the bare store, of one person and of each of many,
/// and saves a second of all of them.
struct Round {
    theirs: f64,
    alone: f64,
    rate: f64,
    crowd: f64,
}

/// The bare store: one row of like size, both phases synced.
struct Bare {
    _home: tempfile::TempDir,
    db: redb::Database,
    rows: u64,
}

impl Bare {
    const ROWS: redb::TableDefinition<'static, u64, &'static [u8]> = redb::TableDefinition::new("rows");

    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let db = redb::Database::create(home.path().join("bare.redb")).unwrap();
        Self { _home: home, db, rows: 0 }
    }

    /// Milliseconds that one takes.
    fn save(&mut self) -> f64 {
        let value = [7_u8; 800];
        self.rows += 1;
        let started = Instant::now();
        let mut txn = self.db.begin_write().unwrap();
        txn.set_two_phase_commit(true);
        txn.set_quick_repair(true);
        txn.open_table(Self::ROWS).unwrap().insert(self.rows, value.as_slice()).unwrap();
        txn.commit().unwrap();
        started.elapsed().as_secs_f64() * 1e3
    }
}

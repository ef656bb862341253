//! What people wait for over TLS while a set is written and verified, while all record keys are wrapped anew, and while
//! nothing else goes on; and how long a county is without its server when that has to be restored from a set.
//!
//! The county is as large as `JICENG_BENCH_PETITIONS` and `JICENG_BENCH_FILES_MB` say: by hand 100000 and 2048.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use jiceng::app::demo;
use jiceng::base::clock::SystemClock;

use super::county::{County, Person};
use super::{Line, material, quantile};

/// How often calm and work are measured, turn by turn.
const ROUNDS: usize = 3;
/// A turn of calm.
const CALM: Duration = Duration::from_secs(10);
/// People at work at once, and the time between two requests of each.
const PEOPLE: usize = 2;
const PAUSE: Duration = Duration::from_millis(20);
/// What a county may wait for its restored server.
const ALLOWED: Duration = Duration::from_secs(600);

/// Milliseconds of requests by what was asked.
#[derive(Default)]
struct Times {
    page: Vec<f64>,
    save: Vec<f64>,
    search: Vec<f64>,
}

impl Times {
    fn add(&mut self, other: Self) {
        self.page.extend(other.page);
        self.save.extend(other.save);
        self.search.extend(other.search);
    }
}

/// A large county, served by the real program, with two backup keys.
struct Served {
    county: County,
    keys: Vec<PathBuf>,
    recipients: Vec<String>,
}

impl Served {
    fn new(home: &Path, texts: &[(String, String)]) -> Self {
        let dir = home.join("d");
        let app = demo::create(&dir, Arc::new(SystemClock), true).unwrap();
        material::fill(&app, texts);
        drop(app);
        let county = County::bare_in(dir);
        let keys: Vec<PathBuf> = ["a", "b"].iter().map(|n| home.join(format!("{n}.key"))).collect();
        let keygen = |key: &PathBuf| told(&county.cli(&["backup", "keygen", "--out", key.to_str().unwrap()]));
        let recipients = keys.iter().map(|key| keygen(key).trim().to_owned()).collect();
        Self { county, keys, recipients }
    }

    fn back_up(&self, target: &Path) {
        let mut line = vec!["backup", "run", "--to", target.to_str().unwrap()];
        line.extend(self.recipients.iter().flat_map(|r| ["--recipient", r]));
        told(&self.county.cli(&line));
    }
}

fn told(out: &std::process::Output) -> String {
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}

pub(crate) fn run(texts: &[(String, String)]) -> Vec<Line> {
    let home = tempfile::tempdir().unwrap();
    let served = Served::new(home.path(), texts);
    let person = served.county.demo_user();
    let words: Vec<&str> = texts.iter().map(|t| t.0.as_str()).collect();
    let during = |work: &dyn Fn()| at_work(&person, &words, work);
    let (mut calm, mut backup, mut rotation) = (Times::default(), Times::default(), Times::default());
    for round in 0..ROUNDS {
        calm.add(during(&|| std::thread::sleep(CALM)));
        backup.add(during(&|| served.back_up(&home.path().join(format!("sets{round}")))));
        rotation.add(during(&|| drop(told(&served.county.cli(&["key", "rotate"])))));
    }
    let line = |what, busy: &mut Vec<f64>, calm: &mut Vec<f64>| {
        let count = busy.len();
        let (busy, calm) = (quantile(busy, 0.99), quantile(calm, 0.99));
        Line {
            what,
            ours: format!("{busy:.1} ms ({count} requests)"),
            bare: format!("{calm:.1} ms (calm)"),
            ratio: calm / busy,
        }
    };
    vec![
        line("p99 of pages during a backup", &mut backup.page, &mut calm.page),
        line("p99 of saves during a backup", &mut backup.save, &mut calm.save),
        line("p99 of searches during a backup", &mut backup.search, &mut calm.search),
        line("p99 of pages while keys rotate", &mut rotation.page, &mut calm.page),
        line("p99 of saves while keys rotate", &mut rotation.save, &mut calm.save),
    ]
}

/// What people waited for while something was done.
fn at_work(person: &Person, words: &[&str], work: &dyn Fn()) -> Times {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let over = &over;
        let people: Vec<_> = (0..PEOPLE)
            .map(|n| {
                let tab = person.tab();
                scope.spawn(move || {
                    let mut times = Times::default();
                    let mut words = words.iter().cycle().skip(n * words.len() / PEOPLE);
                    while !over.load(Ordering::Relaxed) {
                        ask(&tab, words.next().unwrap_or(&""), &mut times);
                    }
                    times
                })
            })
            .collect();
        work();
        over.store(true, Ordering::Relaxed);
        let mut all = Times::default();
        people.into_iter().for_each(|p| all.add(p.join().unwrap()));
        all
    })
}

fn ask(person: &Person, words: &str, times: &mut Times) {
    let timed = |work: &mut dyn FnMut()| {
        std::thread::sleep(PAUSE);
        let started = Instant::now();
        work();
        started.elapsed().as_secs_f64() * 1e3
    };
    times.page.push(timed(&mut || drop(person.get("/petition?all=1").expect(200))));
    let form = person.form("/petition/new").fill(super::county::PETITION);
    times.save.push(timed(&mut || drop(person.submit(&form).expect(303))));
    times.search.push(timed(&mut || drop(person.search(words))));
}

/// From a set on a medium to a served county in which somebody logs in and finds a petition: two commands.
pub(crate) fn restore(texts: &[(String, String)]) -> Vec<Line> {
    let home = tempfile::tempdir().unwrap();
    let served = Served::new(home.path(), texts);
    let (target, fresh) = (home.path().join("sets"), home.path().join("fresh"));
    served.back_up(&target);
    served.county.terminate();
    let [from, to, key] = [&target, &fresh, &served.keys[0]].map(|p| p.to_str().unwrap());
    let started = Instant::now();
    told(&served.county.cli_alone(&["backup", "restore", "--from", from, "--identity", key, "--dir", to]));
    let restored = started.elapsed();
    let county = County::bare_in(fresh.clone());
    let up = started.elapsed();
    let person = county.demo_user();
    let logged_in = started.elapsed();
    while person.search(&texts[0].0).finds_nothing() {
        std::thread::sleep(Duration::from_millis(100));
    }
    let found = started.elapsed();
    county.is_sound();
    let line = |what, took: Duration| Line {
        what,
        ours: format!("{:.1} s", took.as_secs_f64()),
        bare: format!("{} s (allowed)", ALLOWED.as_secs()),
        ratio: ALLOWED.as_secs_f64() / took.as_secs_f64(),
    };
    vec![
        line("restore: the command", restored),
        line("restore: to a server that answers", up),
        line("restore: to the first log-in", logged_in),
        line("restore: to the first hit", found),
    ]
}

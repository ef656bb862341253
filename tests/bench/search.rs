//! The index at 10,000 rows, or at those that `JICENG_BENCH_ROWS` names (such as `10000,100000,500000`): questions of
//! each kind with rights, counts, facets and snippets, beside the same index unsealed and beside other engines.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use jiceng::base::Seq;
use jiceng::search::{Change, Doc, Index, Request, highlight, snippet};
use jiceng::store::FileKeys;

use super::rows::{self, Draw, Rows};
use super::{Line, engines, quantile};

/// Questions of each kind.
const QUESTIONS: usize = 200;
/// Rows of a commit while an index is made.
const COMMIT: u64 = 20_000;
/// How often both sides are asked.
const ROUNDS: usize = 3;
/// Single rows that are saved, and the time from one to the next.
const SAVES: u64 = 100;
const BETWEEN_SAVES: Duration = Duration::from_millis(50);
const SNIPPET_CHARS: usize = 120;
/// What a page shows.
const PAGE: usize = 20;

/// The kinds of questions.
pub(crate) const KINDS: [&str; 6] = ["word", "phrase", "two words", "name", "one character", "question"];

pub(crate) fn run(_: &[(String, String)]) -> Vec<Line> {
    let Some(rows) = Rows::read() else {
        println!("search: skipped, the real material is not here");
        return Vec::new();
    };
    let sizes = std::env::var("JICENG_BENCH_ROWS").unwrap_or_else(|_| "10000".to_owned());
    sizes.split(',').flat_map(|size| measure(&rows, size.trim().parse().unwrap())).collect()
}

/// Questions of one kind, drawn from rows that are there.
pub(crate) fn questions(rows: &Rows, kind: &str, count: u64) -> Vec<String> {
    let mut draw = Draw::new(kind.len() as u64 * 77);
    let mut all = Vec::new();
    while all.len() < QUESTIONS {
        let row = rows.row(1 + draw.below(count));
        let body: Vec<char> = row.body.chars().collect();
        let mut piece = |length: u64| -> String {
            let at = draw.below((body.len() as u64).saturating_sub(length)) as usize;
            body[at..].iter().take(length as usize).collect()
        };
        let text = match kind {
            "word" => piece(2),
            "phrase" => {
                let length = 3 + row.id % 6;
                piece(length)
            }
            "two words" => format!("{} {}", piece(2), piece(2)),
            "name" => row.names.clone(),
            "one character" => piece(1),
            _ => rows.questions[draw.below(rows.questions.len() as u64) as usize].clone(),
        };
        if kind == "question" || text.chars().all(|c| c.is_alphanumeric() || c == ' ') {
            all.push(text);
        }
    }
    all
}

fn fill(index: &Index, rows: &Rows, count: u64) -> Duration {
    let mut took = Duration::ZERO;
    let mut from = 1;
    while from <= count {
        let upto = (from + COMMIT).min(count + 1);
        // Making rows up is nobody's cost.
        let changes: Vec<Change> = (from..upto).map(|n| Change { id: n, doc: Some(rows.row(n)) }).collect();
        let begun = Instant::now();
        index.apply(changes).unwrap();
        index.commit(Seq(upto)).unwrap();
        took += begun.elapsed();
        from = upto;
    }
    took
}

/// Asks as a page does: the answer by right with its counts, and the texts of the hits it shows.
fn ask(index: &Index, rows: &Rows, text: &str) -> (f64, u64) {
    let request = Request { text: text.to_owned(), limit: PAGE, ..Request::default() };
    let scope = rows::scope();
    let begun = Instant::now();
    let found = index.search(&scope, &request, &[]).unwrap();
    let mut took = begun.elapsed();
    let shown: Vec<Doc> = found.hits.iter().map(|hit| rows.row(hit.id)).collect();
    let begun = Instant::now();
    for doc in &shown {
        std::hint::black_box((highlight(&doc.title, text), snippet(&doc.body, text, SNIPPET_CHARS)));
    }
    took += begun.elapsed();
    (took.as_secs_f64() * 1e3, found.total)
}

/// Milliseconds of each question of a kind, each asked once before, and the rows found on average.
fn answers(index: &Index, rows: &Rows, kind: &str, count: u64) -> (Vec<f64>, u64) {
    let asked = questions(rows, kind, count);
    let round = || -> Vec<(f64, u64)> { asked.iter().map(|text| ask(index, rows, text)).collect() };
    round();
    let all = round();
    (all.iter().map(|a| a.0).collect(), all.iter().map(|a| a.1).sum::<u64>() / QUESTIONS as u64)
}

fn measure(rows: &Rows, count: u64) -> Vec<Line> {
    let home = tempfile::tempdir().unwrap();
    let keys = FileKeys::passing().unwrap();
    let (index, _) = Index::open(home.path(), 1, &keys).unwrap();
    let took = fill(&index, rows, count);
    // Merges end before anybody is asked.
    index.retire().unwrap();
    drop(index);
    let (index, _) = Index::open(home.path(), 1, &keys).unwrap();
    println!("{count} rows: {}", files(home.path()));
    let before = resident();
    for kind in KINDS {
        let (mut times, hits) = answers(&index, rows, kind, count);
        println!("{count} rows, {kind}: {}, {hits} hits", told(&mut times));
    }
    println!("{count} rows: {} MB resident, {} MB before the first question", resident() >> 20, before >> 20);
    let mut lines = vec![size(&index, rows, count)];
    saves(&index, rows, count);
    lines.extend(beside(&index, rows, count, took));
    lines.push(rebuilt(&index, rows, count, &keys));
    engines::run(rows, count);
    lines
}

fn line(what: String, ours: String, bare: String, ratio: f64) -> Line {
    // The table is as long as the process.
    Line { what: what.leak(), ours, bare, ratio }
}

fn size(index: &Index, rows: &Rows, count: u64) -> Line {
    let text = |n| {
        let row = rows.row(n);
        (row.title.len() + row.names.len() + row.number.len() + row.body.len()) as u64
    };
    let (ours, raw) = (index.size_bytes().unwrap() as f64, (1..=count).map(text).sum::<u64>() as f64);
    let megabytes = |bytes: f64| format!("{:.0} MB", bytes / 1e6);
    line(format!("size of {count} rows"), megabytes(ours), format!("{} (their text)", megabytes(raw)), raw / ours)
}

/// Single rows, as fast as twenty people save one a second.
fn saves(index: &Index, rows: &Rows, count: u64) {
    let mut times = Vec::new();
    for n in 1..=SAVES {
        let begun = Instant::now();
        index.apply(vec![Change { id: n, doc: Some(Doc { id: n, ..rows.row(count + n) }) }]).unwrap();
        index.commit(Seq(count + n)).unwrap();
        times.push(begun.elapsed().as_secs_f64() * 1e3);
        std::thread::sleep(BETWEEN_SAVES.saturating_sub(begun.elapsed()));
    }
    let (half, most) = (quantile(&mut times, 0.5), quantile(&mut times, 0.99));
    println!("{count} rows: a saved row is in the index after {half:.0} ms, p99 {most:.0} ms");
}

fn told(times: &mut [f64]) -> String {
    format!("p50 {:.2} ms, p99 {:.2} ms", quantile(times, 0.5), quantile(times, 0.99))
}

/// In one segment, and seen so.
fn settle(index: &Index) {
    while index.settle().is_err() {
        std::thread::sleep(BETWEEN_SAVES);
    }
}

/// The same rows in an index that is not sealed and lies in memory, asked the same; both in one segment.
fn beside(index: &Index, rows: &Rows, count: u64, took: Duration) -> Vec<Line> {
    let plain = Index::in_memory().unwrap();
    let plain_took = fill(&plain, rows, count);
    [index, &plain].into_iter().for_each(settle);
    let rate = |took: Duration| count as f64 / took.as_secs_f64();
    let (ours, bare) = (rate(took), rate(plain_took));
    let whole = |rate: f64| format!("{rate:.0}/s");
    let mut lines = vec![line(format!("{count} rows into the index"), whole(ours), whole(bare), ours / bare)];
    for kind in KINDS {
        let (mut ours, mut bare) = (Vec::new(), Vec::new());
        // Turn by turn, so that both have the same neighbours on the machine.
        for _ in 0..ROUNDS {
            ours.extend(answers(index, rows, kind, count).0);
            bare.extend(answers(&plain, rows, kind, count).0);
        }
        let ratio = bare.iter().sum::<f64>() / ours.iter().sum::<f64>();
        let bare = format!("{} (unsealed)", told(&mut bare));
        lines.push(line(format!("{count} rows, {kind}"), told(&mut ours), bare, ratio));
    }
    lines
}

/// Another index of the same rows is made while this one is asked.
fn rebuilt(index: &Index, rows: &Rows, count: u64, keys: &FileKeys) -> Line {
    let mixed = |n: usize| questions(rows, KINDS[n % 5], count).swap_remove(n % QUESTIONS);
    let asked: Vec<String> = (0..QUESTIONS).map(mixed).collect();
    let mut calm: Vec<f64> = asked.iter().map(|text| ask(index, rows, text).0).collect();
    let home = tempfile::tempdir().unwrap();
    let done = AtomicBool::new(false);
    let (took, mut busy) = std::thread::scope(|scope| {
        let building = scope.spawn(|| {
            let (other, _) = Index::open(home.path(), 1, keys).unwrap();
            let took = fill(&other, rows, count);
            done.store(true, Ordering::Relaxed);
            took
        });
        let mut busy = Vec::new();
        while !done.load(Ordering::Relaxed) {
            busy.extend(asked.iter().map(|text| ask(index, rows, text).0));
        }
        (building.join().unwrap(), busy)
    });
    println!("{count} rows: made again in {:.0} s while questions were answered", took.as_secs_f64());
    let (calm, busy) = (quantile(&mut calm, 0.99), quantile(&mut busy, 0.99));
    let what = format!("{count} rows, p99 while the index is made again");
    line(what, format!("{busy:.1} ms"), format!("{calm:.1} ms (calm)"), calm / busy)
}

/// Megabytes of the files of an index by what they hold.
fn files(dir: &Path) -> String {
    let mut sizes: BTreeMap<String, (usize, u64)> = BTreeMap::new();
    for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let kind = entry.path().extension().unwrap_or_default().to_string_lossy().into_owned();
        let size = sizes.entry(kind).or_default();
        *size = (size.0 + 1, size.1 + entry.metadata().unwrap().len());
    }
    let told = sizes.iter().map(|(kind, (files, bytes))| format!("{files} {kind} {:.1} MB", *bytes as f64 / 1e6));
    told.collect::<Vec<_>>().join(", ")
}

/// Bytes of this process in memory.
fn resident() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

//! The index at 10,000 and 100,000 rows, and at 500,000 when `JICENG_BENCH_ROWS` says so: questions of each kind with
//! rights, counts, facets and snippets, beside the same index unsealed and beside other engines.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use jiceng::base::Seq;
use jiceng::search::{Change, Doc, Index, Request, highlight, snippet};
use jiceng::store::FileKeys;

use super::rows::{self, Draw, Rows};
use super::{Line, quantile};

/// Questions of each kind.
const QUESTIONS: usize = 200;
/// Rows of a commit while an index is made.
const COMMIT: u64 = 20_000;
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
    let sizes = std::env::var("JICENG_BENCH_ROWS").unwrap_or_else(|_| "10000,100000".to_owned());
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

fn measure(rows: &Rows, count: u64) -> Vec<Line> {
    let home = tempfile::tempdir().unwrap();
    let keys = FileKeys::passing().unwrap();
    let (index, _) = Index::open(home.path(), 1, &keys).unwrap();
    let took = fill(&index, rows, count);
    // Merges end before anybody is asked.
    index.retire().unwrap();
    drop(index);
    let (index, _) = Index::open(home.path(), 1, &keys).unwrap();
    println!("{count} rows: {:.0} a second, {} MB", count as f64 / took.as_secs_f64(), index.size_bytes().unwrap() >> 20);
    println!("{}", files(home.path()));
    let wanted = std::env::var("JICENG_BENCH_KINDS").unwrap_or_default();
    for kind in KINDS.into_iter().filter(|kind| wanted.is_empty() || wanted.contains(kind)) {
        let asked = questions(rows, kind, count);
        for text in &asked {
            ask(&index, rows, text);
        }
        let answers: Vec<(f64, u64)> = asked.iter().map(|text| ask(&index, rows, text)).collect();
        let mut times: Vec<f64> = answers.iter().map(|a| a.0).collect();
        let hits = answers.iter().map(|a| a.1).sum::<u64>() / QUESTIONS as u64;
        let (half, most) = (quantile(&mut times, 0.5), quantile(&mut times, 0.99));
        println!("{} MB resident", resident() >> 20);
        println!("{count} rows, {kind}: p50 {half:.2} ms, p99 {most:.2} ms, {hits} hits on average");
    }
    Vec::new()
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

//! What sealing costs: the same rows in a sealed folder and in the engine's own, in one process, asked the same.
//!
//! Run by hand, with a calm machine: `cargo test --release --lib -- --ignored --nocapture measure`; `JICENG_CAMPAIGN=n`
//! takes n times as many rows.

#![cfg(test)]

use std::time::{Duration, Instant};

use tantivy::merge_policy::NoMergePolicy;
use tantivy::query::{BooleanQuery, Occur, PhraseQuery, Query, TermQuery};
use tantivy::schema::IndexRecordOption;
use tantivy::{IndexReader, IndexSettings, IndexWriter, ReloadPolicy, Term};

use super::super::gate::{Gate, Gated};
use super::super::gather::{Gather, Gathering};
use super::super::statistics::Shelf;
use super::super::tests::{everything, keys};
use super::super::{Doc, Order, Request, schema};
use super::*;

const ROWS: u64 = 20_000;
const ROUNDS: usize = 7;
const ROWS_A_COMMIT: u64 = 5_000;

/// A row of some two hundred characters, whose pairs are as unequal as those of real texts.
fn row(n: u64) -> Doc {
    let mut state = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut draw = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    let text: String = (0..200).map(|_| char::from_u32(0x4e00 + (draw().powi(3) * 3_000.0) as u32).unwrap()).collect();
    let title = text.chars().skip(20).take(12).collect();
    Doc { id: n, kind: (n % 3) as u8, unit: n % 40, day: 20_240_101, boost: 1.0, title, body: text, ..Doc::default() }
}

struct Folder {
    reader: IndexReader,
    fields: schema::Fields,
    indexing: Duration,
    bytes: u64,
}

fn made(dir: &Path, inner: impl Directory, rows: u64) -> Folder {
    let (schema, fields) = schema::build();
    let mut index = tantivy::Index::create(inner, schema, IndexSettings::default()).unwrap();
    index.set_tokenizers(schema::tokenizers());
    let begun = Instant::now();
    // Both are cut into the same segments, which become one in the end.
    let mut writer: IndexWriter = index.writer_with_num_threads(1, 256 << 20).unwrap();
    writer.set_merge_policy(Box::new(NoMergePolicy));
    for n in 1..=rows {
        writer.add_document(fields.document(&row(n))).unwrap();
        if n % ROWS_A_COMMIT == 0 {
            writer.commit().unwrap();
        }
    }
    writer.commit().unwrap();
    writer.merge(&index.searchable_segment_ids().unwrap()).wait().unwrap();
    writer.garbage_collect_files().wait().unwrap();
    writer.wait_merging_threads().unwrap();
    let indexing = begun.elapsed();
    let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into().unwrap();
    let bytes = fs::read_dir(dir).unwrap().map(|e| e.unwrap().metadata().unwrap().len()).sum();
    Folder { reader, fields, indexing, bytes }
}

/// Questions from two characters to six, and of words, as a plan makes them.
fn questions(fields: &schema::Fields) -> Vec<Box<dyn Query>> {
    let pairs = |text: &[char]| -> Vec<Term> {
        text.windows(2).map(|w| Term::from_field_text(fields.body, &w.iter().collect::<String>())).collect()
    };
    let mut all: Vec<Box<dyn Query>> = Vec::new();
    for n in 1..=60 {
        let text: Vec<char> = row(n * 97).body.chars().collect();
        let terms = pairs(&text[n as usize..n as usize + 3 + n as usize % 4]);
        let term = |t: &Term| -> Box<dyn Query> { Box::new(TermQuery::new(t.clone(), IndexRecordOption::WithFreqs)) };
        all.push(term(&terms[0]));
        all.push(Box::new(PhraseQuery::new(terms.clone())));
        all.push(Box::new(BooleanQuery::new(terms.iter().map(|t| (Occur::Should, term(t))).collect())));
    }
    all
}

fn ask(folder: &Folder, questions: &[Box<dyn Query>]) -> (Duration, u64) {
    let gate = Gate::new(&everything(), &Request::default());
    let shelf = Shelf::new(folder.reader.searcher(), None).unwrap();
    let sheets = shelf.sheets();
    let begun = Instant::now();
    let mut total = 0;
    for question in questions {
        let gated = Gated::new(question.box_clone(), gate.hiding_none(), Arc::clone(sheets));
        let how = Gather { order: Order::Relevance, keep: 20, count: true };
        let gathering = Gathering { how, sheets: Arc::clone(sheets), without: Arc::default() };
        total += shelf.searcher().search(&gated, &gathering).unwrap().tally.total;
    }
    (begun.elapsed(), total)
}

#[test]
#[ignore = "a measurement, not a test"]
fn what_sealing_costs() {
    let rows = ROWS * std::env::var("JICENG_CAMPAIGN").map_or(1, |n| n.parse().unwrap());
    let homes = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let plain = made(homes[0].path(), MmapDirectory::open(homes[0].path()).unwrap(), rows);
    let vault = Vault::open(homes[1].path(), keys()).unwrap();
    let sealed = made(homes[1].path(), vault.clone(), rows);
    let questions = questions(&plain.fields);
    let (cold, _) = ask(&sealed, &questions);
    ask(&plain, &questions);
    let mut best = [Duration::MAX; 2];
    for _ in 0..ROUNDS {
        for (best, folder) in best.iter_mut().zip([&plain, &sealed]) {
            let (took, total) = ask(folder, &questions);
            assert_eq!(total, ask(&plain, &questions).1);
            *best = took.min(*best);
        }
    }
    let ratio = |a: Duration, b: Duration| a.as_secs_f64() / b.as_secs_f64();
    println!("{rows} rows, {} questions, plain against sealed:", questions.len());
    println!("speed of questions {:.2} (first round {:.2})", ratio(best[0], best[1]), ratio(best[0], cold));
    println!("speed of indexing {:.2}", ratio(plain.indexing, sealed.indexing));
    let size = sealed.bytes as f64 / plain.bytes as f64;
    println!("size {size:.4}, opened pieces {} KiB", vault.shared.cache.bytes() >> 10);
}

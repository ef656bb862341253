//! Answers of the search as the page asks for them (rights, counts, snippets, journal entry) beside the bare
//! engine that ranks the same texts by pairs and counts nothing.

use std::sync::Arc;
use std::time::Instant;

use jiceng::app::import::{Options, What, source};
use jiceng::app::search::Query;
use jiceng::app::{App, demo};
use jiceng::base::clock::SystemClock;
use tantivy::collector::TopDocs;
use tantivy::query::PhraseQuery;
use tantivy::schema::{Field, IndexRecordOption, Schema, TextFieldIndexing, TextOptions};
use tantivy::{Index, Term};

use super::{Line, material, quantile};

const QUESTIONS: usize = 500;

pub(crate) fn run(texts: &[(String, String)]) -> Vec<Line> {
    let questions: Vec<String> = (0..QUESTIONS).map(|n| piece(&texts[n * 37 % texts.len()].1, n)).collect();
    let home = tempfile::tempdir().unwrap();
    let app = county(home.path(), texts);
    let actor = app.demo_actor(demo::EVERYTHING).unwrap();
    let ask = |text: &String| {
        let query = Query { text: text.clone(), limit: 20, ..Query::default() };
        let started = Instant::now();
        app.search(&actor, &query).unwrap();
        started.elapsed().as_secs_f64() * 1e3
    };
    // Dictionaries are read by the first question.
    ask(&questions[0]);
    let mut ours: Vec<f64> = questions.iter().map(ask).collect();
    let mut bare = bare(texts, &questions);
    let line = |what, share: f64, ours: &mut [f64], bare: &mut [f64]| {
        let (o, b) = (quantile(ours, share), quantile(bare, share));
        Line { what, ours: format!("{o:.2} ms"), bare: format!("{b:.2} ms (tantivy, phrase)"), ratio: b / o }
    };
    vec![
        line("p50 of a search by four characters", 0.5, &mut ours, &mut bare),
        line("p99 of a search by four characters", 0.99, &mut ours, &mut bare),
    ]
}

/// Four characters somewhere in a text.
fn piece(text: &str, n: usize) -> String {
    let chars: Vec<char> = text.chars().filter(|c| c.is_alphanumeric()).collect();
    let start = (n * 13) % chars.len().saturating_sub(4).max(1);
    chars.iter().skip(start).take(4).collect()
}

fn county(home: &std::path::Path, texts: &[(String, String)]) -> Arc<App> {
    let app = demo::create(&home.join("d"), Arc::new(SystemClock), true).unwrap();
    let actor = app.demo_actor(demo::EVERYTHING).unwrap();
    let (options, text) = (Options { file: "bench.jsonl".into(), ..Options::default() }, material::lines(texts));
    let mut input = text.as_bytes();
    let mut rows = source::jsonl(&mut input, &options.map);
    app.import(&actor, What::Petitions, &mut rows, &options, &mut |_| true).unwrap();
    app.wait_for_index().unwrap();
    app
}

fn bare(texts: &[(String, String)], questions: &[String]) -> Vec<f64> {
    let (index, body) = pairs_index(texts);
    let searcher = index.reader().unwrap().searcher();
    let ask = |question: &String| {
        let chars: Vec<char> = question.chars().collect();
        let pair = |w: &[char]| Term::from_field_text(body, &w.iter().collect::<String>());
        let terms: Vec<Term> = chars.windows(2).map(pair).collect();
        let started = Instant::now();
        if terms.len() > 1 {
            searcher.search(&PhraseQuery::new(terms), &TopDocs::with_limit(20).order_by_score()).unwrap();
        }
        started.elapsed().as_secs_f64() * 1e3
    };
    questions.iter().map(ask).collect()
}

/// Pairs as words between blanks, so that they have positions.
fn pairs_index(texts: &[(String, String)]) -> (Index, Field) {
    let mut schema = Schema::builder();
    let indexing = TextFieldIndexing::default()
        .set_tokenizer("whitespace")
        .set_index_option(IndexRecordOption::WithFreqsAndPositions);
    let body = schema.add_text_field("body", TextOptions::default().set_indexing_options(indexing));
    let index = Index::create_in_ram(schema.build());
    let mut writer: tantivy::IndexWriter = index.writer_with_num_threads(1, 64 << 20).unwrap();
    for (_, text) in texts {
        let chars: Vec<char> = text.chars().filter(|c| c.is_alphanumeric()).collect();
        let words: Vec<String> = chars.windows(2).map(|w| w.iter().collect()).collect();
        let mut doc = tantivy::TantivyDocument::default();
        doc.add_text(body, words.join(" "));
        writer.add_document(doc).unwrap();
    }
    writer.commit().unwrap();
    (index, body)
}

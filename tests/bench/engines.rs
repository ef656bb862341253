//! The same rows in other engines, asked the same: tantivy with words of jieba and with bigrams, SQLite's trigrams,
//! PostgreSQL's trigrams. Each counts all rows and gives the first twenty; none knows rights, facets or snippets.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use jieba_rs::Jieba;
use tantivy::collector::{Count, TopDocs};
use tantivy::query::{BooleanQuery, Query, TermQuery};
use tantivy::schema::{Field, IndexRecordOption, Schema, TextFieldIndexing, TextOptions};
use tantivy::tokenizer::{NgramTokenizer, TextAnalyzer, Token, TokenStream, Tokenizer};
use tantivy::{Index, Term};

use super::quantile;
use super::rows::Rows;
use super::search::{KINDS, questions};

/// Asks every engine that is here about the first `count` rows, and prints what it took.
pub(crate) fn run(rows: &Rows, count: u64) {
    let jieba = TextAnalyzer::builder(Words(Arc::new(Jieba::new()))).build();
    tantivy(rows, count, "tantivy, words of jieba", jieba);
    let bigrams = TextAnalyzer::builder(NgramTokenizer::new(2, 2, false).unwrap()).build();
    tantivy(rows, count, "tantivy, bigrams", bigrams);
    if Command::new("sqlite3").arg("--version").output().is_ok() {
        sqlite(rows, count);
    } else {
        println!("SQLite: skipped, there is no sqlite3 here");
    }
    match std::env::var("JICENG_BENCH_POSTGRES") {
        Ok(to) => postgres(rows, count, &to),
        Err(_) => println!("PostgreSQL: skipped, JICENG_BENCH_POSTGRES names no database to connect to"),
    }
}

fn tell(engine: &str, count: u64, kind: &str, mut times: Vec<f64>) {
    let (half, most) = (quantile(&mut times, 0.5), quantile(&mut times, 0.99));
    println!("{count} rows, {kind}, {engine}: p50 {half:.2} ms, p99 {most:.2} ms");
}

/// Words of a text, as a plain use of the dictionary gives them.
#[derive(Clone)]
struct Words(Arc<Jieba>);

struct WordStream {
    words: std::vec::IntoIter<String>,
    token: Token,
}

impl Tokenizer for Words {
    type TokenStream<'a> = WordStream;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> WordStream {
        let words: Vec<String> = self.0.cut_for_search(text, false).iter().map(|t| t.word.to_owned()).collect();
        WordStream { words: words.into_iter(), token: Token::default() }
    }
}

impl TokenStream for WordStream {
    fn advance(&mut self) -> bool {
        let Some(word) = self.words.next() else { return false };
        self.token.text = word;
        self.token.position = self.token.position.wrapping_add(1);
        true
    }

    fn token(&self) -> &Token {
        &self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.token
    }
}

fn tantivy(rows: &Rows, count: u64, engine: &str, mut analyzer: TextAnalyzer) {
    let mut schema = Schema::builder();
    let indexing = TextFieldIndexing::default()
        .set_tokenizer("bench")
        .set_index_option(IndexRecordOption::WithFreqsAndPositions);
    let text = schema.add_text_field("text", TextOptions::default().set_indexing_options(indexing));
    let index = Index::create_in_ram(schema.build());
    index.tokenizers().register("bench", analyzer.clone());
    let mut writer: tantivy::IndexWriter = index.writer_with_num_threads(2, 64 << 20).unwrap();
    let begun = Instant::now();
    for n in 1..=count {
        let row = rows.row(n);
        let mut doc = tantivy::TantivyDocument::default();
        doc.add_text(text, format!("{}\n{}\n{}", row.title, row.names, row.body));
        writer.add_document(doc).unwrap();
    }
    writer.commit().unwrap();
    println!("{count} rows, {engine}: {:.0} a second", count as f64 / begun.elapsed().as_secs_f64());
    writer.wait_merging_threads().unwrap();
    let searcher = index.reader().unwrap().searcher();
    for kind in KINDS.into_iter().filter(|kind| *kind != "one character" || engine.contains("words")) {
        let ask = |question: &String| {
            let query = all(&mut analyzer, text, question);
            let begun = Instant::now();
            searcher.search(&query, &(TopDocs::with_limit(20).order_by_score(), Count)).unwrap();
            begun.elapsed().as_secs_f64() * 1e3
        };
        tell(engine, count, kind, questions(rows, kind, count).iter().map(ask).collect());
    }
}

/// Rows with every token of the question.
fn all(analyzer: &mut TextAnalyzer, text: Field, question: &str) -> BooleanQuery {
    let mut terms: Vec<Box<dyn Query>> = Vec::new();
    for part in question.split(' ') {
        analyzer.token_stream(part).process(&mut |token| {
            let term = Term::from_field_text(text, &token.text);
            terms.push(Box::new(TermQuery::new(term, IndexRecordOption::WithFreqs)));
        });
    }
    BooleanQuery::intersection(terms)
}

/// A text between quotes of SQL.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Runs a script; the milliseconds that the program says after each statement.
fn timed(mut command: Command, script: &str, mark: &str, unit: f64) -> Vec<f64> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let script = script.to_owned();
    let written = std::thread::spawn(move || input.write_all(script.as_bytes()).unwrap());
    let out = child.wait_with_output().unwrap();
    written.join().unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let value = |line: &str| line.strip_prefix(mark)?.split_whitespace().next()?.parse::<f64>().ok();
    text.lines().filter_map(value).map(|ms| ms * unit).collect()
}

/// Both statements of each question together.
fn pairs(times: &[f64]) -> Vec<f64> {
    times.chunks(2).map(|two| two.iter().sum()).collect()
}

fn sqlite(rows: &Rows, count: u64) {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("t.db");
    let open = || {
        let mut command = Command::new("sqlite3");
        command.arg(&file);
        command
    };
    let mut script = String::from("CREATE VIRTUAL TABLE t USING fts5(x, tokenize='trigram');\nBEGIN;\n");
    for n in 1..=count {
        let row = rows.row(n);
        let text = quoted(&format!("{} {} {}", row.title, row.names, row.body).replace('\n', " "));
        script.push_str(&format!("INSERT INTO t VALUES ({text});\n"));
    }
    script.push_str("COMMIT;\n");
    let begun = Instant::now();
    timed(open(), &script, "Run Time: real ", 1e3);
    println!("{count} rows, SQLite FTS5 trigram: {:.0} a second", count as f64 / begun.elapsed().as_secs_f64());
    for kind in KINDS.into_iter().filter(|kind| *kind != "question") {
        let mut script = String::from(".timer on\n.output /dev/null\n.output\n");
        for question in questions(rows, kind, count) {
            let way = |part: &str| match part.chars().count() {
                // Shorter ones are in no trigram.
                0..=2 => format!("x LIKE {}", quoted(&format!("%{part}%"))),
                _ => format!("t MATCH {}", quoted(&format!("\"{part}\""))),
            };
            let whole = question.split(' ').map(way).collect::<Vec<_>>().join(" AND ");
            let order = if whole.contains("MATCH") { " ORDER BY rank" } else { "" };
            script.push_str(&format!("SELECT count(*) FROM t WHERE {whole};\n"));
            script.push_str(&format!("SELECT rowid FROM t WHERE {whole}{order} LIMIT 20;\n"));
        }
        tell("SQLite FTS5 trigram", count, kind, pairs(&timed(open(), &script, "Run Time: real ", 1e3)));
    }
}

fn postgres(rows: &Rows, count: u64, to: &str) {
    let open = || {
        let mut command = Command::new("psql");
        command.args(["-X", "-q", "-A", "-t", to]);
        command
    };
    let mut script = String::from(
        "CREATE EXTENSION IF NOT EXISTS pg_trgm;\nDROP TABLE IF EXISTS jiceng_bench;\n\
         CREATE TABLE jiceng_bench (id bigint, x text);\nCOPY jiceng_bench FROM STDIN;\n",
    );
    for n in 1..=count {
        let row = rows.row(n);
        let text = format!("{} {} {}", row.title, row.names, row.body).replace(['\n', '\t', '\\', '\r'], " ");
        script.push_str(&format!("{n}\t{text}\n"));
    }
    script.push_str("\\.\nCREATE INDEX ON jiceng_bench USING gin (x gin_trgm_ops);\nANALYZE jiceng_bench;\n");
    let begun = Instant::now();
    timed(open(), &script, "Time: ", 1.0);
    println!("{count} rows, PostgreSQL pg_trgm: {:.0} a second", count as f64 / begun.elapsed().as_secs_f64());
    for kind in KINDS.into_iter().filter(|kind| *kind != "question") {
        let mut script = String::from("\\timing on\n");
        for question in questions(rows, kind, count) {
            let way = |part: &str| format!("x LIKE {}", quoted(&format!("%{part}%")));
            let whole = question.split(' ').map(way).collect::<Vec<_>>().join(" AND ");
            script.push_str(&format!("SELECT count(*) FROM jiceng_bench WHERE {whole};\n"));
            script.push_str(&format!("SELECT id FROM jiceng_bench WHERE {whole} LIMIT 20;\n"));
        }
        tell("PostgreSQL pg_trgm", count, kind, pairs(&timed(open(), &script, "Time: ", 1.0)));
    }
}

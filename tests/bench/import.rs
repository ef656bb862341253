//! Import of petitions, journal, sealing and index included, beside the bare engine that indexes the same texts; and
//! what others' saves wait meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use jiceng::app::change::Typed;
use jiceng::app::import::{Options, What, source};
use jiceng::app::{App, demo};
use jiceng::base::{RecordId, background};
use jiceng::base::clock::SystemClock;
use jiceng::records::petition;
use jiceng::store::Doer;
use tantivy::schema::{IndexRecordOption, Schema, TextFieldIndexing, TextOptions};
use tantivy::tokenizer::{NgramTokenizer, TextAnalyzer};

use super::{Line, material, quantile};

/// How often each side is measured; the middle counts.
const ROUNDS: usize = 5;
/// Time between two saves of somebody else.
const PAUSE: Duration = Duration::from_millis(10);
/// Saves measured while nothing else goes on.
const CALM_SAVES: usize = 200;

pub(crate) fn run(texts: &[(String, String)]) -> Vec<Line> {
    let count = texts.len() as f64;
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        bare.push(count / plain(texts).as_secs_f64());
        ours.push(count / imported(texts).as_secs_f64());
    }
    let (ours, bare) = (quantile(&mut ours, 0.5), quantile(&mut bare, 0.5));
    let rate = Line {
        what: "import of petitions, index included",
        ours: format!("{ours:.0}/s"),
        bare: format!("{bare:.0}/s (tantivy, pairs)"),
        ratio: ours / bare,
    };
    vec![rate, rebuilt(texts), saves(texts)]
}

/// The index made again from the records, beside the one that answers, against the engine alone.
fn rebuilt(texts: &[(String, String)]) -> Line {
    let (_home, app) = county();
    bring_in(&app, &material::lines(texts));
    app.wait_for_index().unwrap();
    let doer = Doer { account: RecordId(0), unit: RecordId(0), via: "bench".into() };
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        bare.push(texts.len() as f64 / plain(texts).as_secs_f64());
        let started = Instant::now();
        let rows = app.reindex(&doer).unwrap();
        ours.push(rows as f64 / started.elapsed().as_secs_f64());
    }
    let (ours, bare) = (quantile(&mut ours, 0.5), quantile(&mut bare, 0.5));
    Line {
        what: "index made again from the records",
        ours: format!("{ours:.0}/s"),
        bare: format!("{bare:.0}/s (tantivy, pairs)"),
        ratio: ours / bare,
    }
}

fn county() -> (tempfile::TempDir, Arc<App>) {
    let home = tempfile::tempdir().unwrap();
    let app = demo::create(&home.path().join("d"), Arc::new(SystemClock), true).unwrap();
    app.wait_for_index().unwrap();
    (home, app)
}

/// Brings the rows in as the page does: in a thread that steps back for others.
pub(crate) fn bring_in(app: &Arc<App>, text: &str) {
    let (app, text) = (Arc::clone(app), text.to_owned());
    background("import", move || bring(&app, &text)).unwrap().join().unwrap();
}

fn bring(app: &App, text: &str) {
    let actor = app.demo_actor(demo::EVERYTHING).unwrap();
    let (options, map) = (Options { file: "bench.jsonl".into(), ..Options::default() }, BTreeMap::new());
    let mut input = text.as_bytes();
    let mut rows = source::jsonl(&mut input, &map);
    let summary = app.import(&actor, What::Petitions, &mut rows, &options, &mut |_| true).unwrap();
    assert_eq!(summary.failed, 0, "{:?}", summary.problems.first());
}

fn imported(texts: &[(String, String)]) -> Duration {
    let (_home, app) = county();
    let text = material::lines(texts);
    let started = Instant::now();
    bring_in(&app, &text);
    app.wait_for_index().unwrap();
    started.elapsed()
}

/// The engine alone: pairs of characters with positions for title and text, one writer, one commit.
fn plain(texts: &[(String, String)]) -> Duration {
    let home = tempfile::tempdir().unwrap();
    let mut schema = Schema::builder();
    let indexing = TextFieldIndexing::default()
        .set_tokenizer("pairs")
        .set_index_option(IndexRecordOption::WithFreqsAndPositions);
    let options = TextOptions::default().set_indexing_options(indexing);
    let (title, body) =
        (schema.add_text_field("title", options.clone()), schema.add_text_field("body", options));
    let started = Instant::now();
    let index = tantivy::Index::create_in_dir(home.path(), schema.build()).unwrap();
    let pairs = TextAnalyzer::builder(NgramTokenizer::new(2, 2, false).unwrap()).build();
    index.tokenizers().register("pairs", pairs);
    let mut writer: tantivy::IndexWriter = index.writer_with_num_threads(1, 64 << 20).unwrap();
    for (t, b) in texts {
        let mut doc = tantivy::TantivyDocument::default();
        doc.add_text(title, t);
        doc.add_text(body, b);
        writer.add_document(doc).unwrap();
    }
    writer.commit().unwrap();
    started.elapsed()
}

/// Milliseconds that one save takes.
fn save(app: &App, n: usize) -> f64 {
    let actor = app.demo_actor(demo::EVERYTHING).unwrap();
    let pair = |name: &str, text: String| (name.to_owned(), text);
    let raw = vec![pair("title", format!("旁边登记的第{n}件")), pair("text", format!("旁边登记的内容{n}"))];
    let typed = Typed { raw, submit: format!("{n:032x}"), ..Typed::default() };
    let started = Instant::now();
    app.create(&actor, &petition::KIND, typed).unwrap();
    started.elapsed().as_secs_f64() * 1e3
}

fn saves(texts: &[(String, String)]) -> Line {
    let (_home, app) = county();
    let text = material::lines(texts);
    let (mut calm, mut busy) = (Vec::new(), Vec::new());
    // Turn by turn, so that whatever else the machine does meets both.
    for _ in 0..ROUNDS {
        let paced = |n: usize| {
            std::thread::sleep(PAUSE);
            save(&app, n)
        };
        let first = calm.len() + busy.len();
        app.wait_for_index().unwrap();
        calm.extend((first..first + CALM_SAVES).map(paced));
        let over = AtomicBool::new(false);
        busy.extend(std::thread::scope(|scope| {
            let saver = scope.spawn(|| {
                let running = (first + CALM_SAVES..).take_while(|_| !over.load(Ordering::Relaxed));
                running.map(paced).collect::<Vec<_>>()
            });
            bring_in(&app, &text);
            over.store(true, Ordering::Relaxed);
            saver.join().unwrap()
        }));
    }
    let count = busy.len();
    let (calm, busy) = (quantile(&mut calm, 0.99), quantile(&mut busy, 0.99));
    Line {
        what: "p99 of others' saves during an import",
        ours: format!("{busy:.1} ms ({count} saves)"),
        bare: format!("{calm:.1} ms (calm)"),
        ratio: calm / busy,
    }
}

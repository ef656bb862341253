//! A day of a county with everything that lies in its folder — database, index, attachments, slots — recorded by a file
//! system that remembers. Whatever the power leaves of it opens, holds what was promised, and the index is whole, is
//! behind the journal and never ahead of it, and finds what the records say and nothing else. It is not even lost: what
//! was found once is found again without anything being made anew.
//!
//! `JICENG_CAMPAIGN=n` tries n times as many cuts.

use std::collections::BTreeSet;
use std::path::Path;

use jiceng::app::change::Typed;
use jiceng::app::search::Query;
use jiceng::app::{Actor, App, demo, index_dir};
use jiceng::base::RecordId;
use jiceng::records::petition;
use jiceng::search::Index;
use jiceng::store::{Doer, Store};

use super::files::{PROMISE, Recording, recorded};
use super::{campaign, clock};

const CUTS: usize = 300;
const PETITIONS: usize = 26;
/// In the text of every petition; in those that were not amended; in those that were.
const WORDS: [&str; 3] = ["水渠", "漏水", "修好"];

/// Nothing to do in an ordinary process: the test below starts it.
#[test]
fn a_day_that_is_recorded() {
    let Some(home) = recorded() else { return };
    let store = Store::open(&home.join("d"), clock()).unwrap();
    let app = App::with_store(store.clone()).unwrap();
    let actor = app.demo_actor(demo::EVERYTHING).unwrap();
    // The runner of tests has begun a line.
    println!();
    let mut ids = Vec::new();
    for n in 0..PETITIONS {
        let id = app.create(&actor, &petition::KIND, typed(&app, n, WORDS[1])).unwrap();
        ids.push(id);
        promise(&store, id, WORDS[1]);
        if n % 3 == 2 {
            let amended =
                Typed { files: Vec::new(), submit: format!("a{n:031x}"), ..typed(&app, n, WORDS[2]) };
            app.amend(&actor, &petition::KIND, (ids[n / 2], 1), amended).unwrap();
            promise(&store, ids[n / 2], WORDS[2]);
        }
        let seen = store.head().seq.0;
        if n == PETITIONS / 2 {
            let doer = Doer { account: RecordId(0), unit: RecordId(0), via: "local:0".into() };
            app.reindex(&doer).unwrap();
        }
        app.wait_for_index().unwrap();
        println!("{PROMISE}index {seen}");
    }
}

fn promise(store: &Store, id: RecordId, word: &str) {
    println!("{PROMISE}{} {id} {word}", store.head().seq.0);
}

fn typed(app: &App, n: usize, word: &str) -> Typed {
    let (title, text) = (format!("第{n}件"), format!("{}一事，{word}。", WORDS[0]));
    let pairs = [("title", title.as_str()), ("text", &text), ("accused.0.name", "赵甲")];
    let rank = ("accused.0.rank", "村(社区)干部");
    let raw =
        pairs.iter().chain([&rank]).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let mut files = Vec::new();
    if n.is_multiple_of(4) {
        let mut blob = app.upload().unwrap();
        blob.write(&vec![u8::try_from(n).unwrap(); 70_000]).unwrap();
        files.push(blob.finish("附件.txt").unwrap());
    }
    Typed { raw, files, submit: format!("{n:032x}"), ..Typed::default() }
}

/// What was promised before a cut.
#[derive(Default)]
struct Promised {
    seq: u64,
    index: u64,
    /// A record, and a word that is in its text.
    texts: Vec<(RecordId, String)>,
}

impl Promised {
    fn of(lines: &[&str]) -> Self {
        let mut all = Self::default();
        for line in lines {
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["index", seq] => all.index = seq.parse().unwrap(),
                [seq, id, word] => {
                    all.seq = seq.parse().unwrap();
                    let id = RecordId(id.parse().unwrap());
                    all.texts.retain(|(other, _)| *other != id);
                    all.texts.push((id, word.to_owned()));
                }
                _ => panic!("{line}"),
            }
        }
        all
    }
}

/// Looks at everything that a cut left; what is wrong, if anything.
fn examine(dir: &Path, promised: &Promised, n: usize) -> Result<(), String> {
    let store = Store::open(dir, clock()).map_err(|e| format!("does not open: {e:?}"))?;
    let index = index_dir(dir);
    // While one index takes the other's place, there is none under that name.
    if index.exists() {
        let opened = Index::open(&index, 1, &store.file_keys());
        let position = opened.map_err(|e| format!("the index does not open: {e:?}"))?.1;
        if position.unwrap_or_default().0 < promised.index {
            return Err(format!("the index stands at {position:?}, it had stood at {}", promised.index));
        }
    }
    if store.head().seq.0 < promised.seq {
        return Err(format!("the journal ends at {:?}, promised was {}", store.head().seq, promised.seq));
    }
    let report = store.check().map_err(|e| format!("the check breaks off: {e:?}"))?;
    if report.faults > 0 || !report.damaged.is_empty() {
        return Err(format!("inconsistent: {:?}", report.problems));
    }
    let right = texts(&store, promised)?;
    let app = App::with_store(store).map_err(|e| format!("{e:?}"))?;
    let actor = app.demo_actor(demo::EVERYTHING).map_err(|e| format!("{e:?}"))?;
    // What the index has not seen is searched as well, which takes its time: one word will do.
    let one = n % WORDS.len();
    finds(&app, &actor, (WORDS[one], &right[one])).map_err(|e| format!("at once: {e}"))?;
    app.wait_for_index().map_err(|e| format!("the index does not follow: {e:?}"))?;
    let mut all = WORDS.into_iter().zip(&right);
    all.try_for_each(|right| finds(&app, &actor, right)).map_err(|e| format!("in the end: {e}"))
}

/// The petitions with each of the words, read from the records.
fn texts(store: &Store, promised: &Promised) -> Result<[BTreeSet<RecordId>; 3], String> {
    let snapshot = store.read().map_err(|e| e.to_string())?;
    let mut all: [BTreeSet<RecordId>; 3] = Default::default();
    for id in snapshot.all_ids().map_err(|e| e.to_string())? {
        let Some(record) = snapshot.get(id, false).map_err(|e| e.to_string())? else { continue };
        if record.kind == petition::KIND.tag {
            let text = record.fields.text(petition::tag::TEXT);
            WORDS
                .iter()
                .zip(&mut all)
                .filter(|(word, _)| text.contains(**word))
                .for_each(|(_, ids)| _ = ids.insert(id));
        }
    }
    for (id, word) in &promised.texts {
        let amended = all[2].contains(id);
        if !all[0].contains(id) || word == WORDS[2] && !amended {
            return Err(format!("{id} is lost, or its text"));
        }
    }
    Ok(all)
}

fn finds(app: &App, actor: &Actor, (word, right): (&str, &BTreeSet<RecordId>)) -> Result<(), String> {
    let query = Query { text: word.to_owned(), limit: 100, ..Query::default() };
    let found = app.search(actor, &query).map_err(|e| format!("{e:?}"))?;
    let hits: BTreeSet<RecordId> = found.hits.iter().filter(|_| found.exact).map(|h| h.record.id).collect();
    let total = if found.exact { found.total } else { 0 };
    if hits == *right && total == right.len() as u64 {
        return Ok(());
    }
    Err(format!("{word} finds {hits:?} of {total}, right is {right:?}"))
}

#[test]
fn whatever_the_power_leaves_of_the_folder_is_whole_and_the_index_with_it() {
    let home = tempfile::tempdir().unwrap();
    let app = demo::create(&home.path().join("d"), clock(), true).unwrap();
    app.wait_for_index().unwrap();
    drop(app);
    let Some(recording) = Recording::of("day::a_day_that_is_recorded", home.path()) else { return };
    let (syncs, names) = recording.counts();
    assert!(syncs > 300 && names > 300, "{syncs} syncs, {names} names");
    let cuts = CUTS * campaign();
    let wrong =
        recording.try_cuts(cuts, |place, promises, n| examine(&place.join("d"), &Promised::of(promises), n));
    println!(
        "{cuts} cuts among {} operations, {syncs} syncs, {names} names: {} wrong",
        recording.len(),
        wrong.len()
    );
    assert!(wrong.is_empty(), "{:#?}", &wrong[..wrong.len().min(5)]);
}

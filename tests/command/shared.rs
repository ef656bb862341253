//! The real material, where it is present: everything comes in, is recognisable, and is found as well as
//! before.
//!
//! `JICENG_SHARED_DATA` names its folder; otherwise it is looked for beside the project. Nothing of it is
//! printed.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use serde_json::Value;

use crate::ledger::counts;
use crate::room::{Draw, Room};

pub(crate) fn material() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let dir = std::env::var_os("JICENG_SHARED_DATA").map_or_else(beside, PathBuf::from);
    dir.join("eval.py").is_file().then_some(dir)
}

#[test]
fn the_real_material_comes_in_whole_and_is_found() {
    let Some(dir) = material() else {
        println!("skipped: the shared material is not here (JICENG_SHARED_DATA)");
        return;
    };
    let room = Room::bare();
    let (petitions, source) = import(&room, &dir, "petitions", "knownitem/petitions");
    assert_eq!(counts(&petitions), [3234, 3234, 0, 0]);
    pieces_are_found(&room, &source);
    let (known, source) = import(&room, &dir, "regulations", "knownitem/regulations");
    assert_eq!((counts(&known), known["articles"].as_u64()), ([1562, 1562, 0, 0], Some(67_737)));
    recognisable(&room, &source);
    total(&room, "petition", 3234);
    total(&room, "regulation", 1562);
    total(&room, "article", 67_737);
    let (first, recall) = score(&room, &dir.join("knownitem"));
    println!("known items: S@1 {first:.4}, R@10 {recall:.4}");
    assert!(first >= 0.96 && recall >= 0.985, "S@1 {first:.4}, R@10 {recall:.4}");
    sizes(&room);
    assert_eq!(room.run("audit verify --dir d").code, 0);
}

/// Questions as citizens ask them find the articles that answer better than any plain engine does on the same rows:
/// the best of four (pairs of characters, BM25) has MRR@10 0.423 and R@100 0.691.
#[test]
fn everyday_questions_find_the_articles_that_answer() {
    let Some(dir) = material() else {
        println!("skipped: the shared material is not here (JICENG_SHARED_DATA)");
        return;
    };
    let room = Room::bare();
    let (statutes, source) = import(&room, &dir, "regulations", "statutes/regulations");
    assert_eq!((counts(&statutes), statutes["articles"].as_u64()), ([1262, 1262, 0, 0], Some(55_404)));
    recognisable(&room, &source);
    total(&room, "regulation", 1262);
    total(&room, "article", 55_404);
    sizes(&room);
    let (first, recall) = answered(&room, &dir.join("statutes"));
    println!("everyday questions: MRR@10 {first:.4}, R@100 {recall:.4}");
    assert!(first >= 0.433 && recall >= 0.701, "MRR@10 {first:.4}, R@100 {recall:.4}");
    served(&room, &dir);
}

/// MRR@10 and R@100 over the questions, as `eval.py` has them.
fn answered(room: &Room, dir: &Path) -> (f64, f64) {
    let queries = fs::canonicalize(dir.join("queries.jsonl")).unwrap();
    let line = format!("search --dir d --kind article --queries {} --format trec --limit 100", queries.display());
    let ran = room.run(&line);
    assert_eq!(ran.code, 0);
    let mut ranked: HashMap<String, Vec<String>> = HashMap::new();
    for line in ran.out.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let found = percent_encoding::percent_decode_str(words[2]).decode_utf8().unwrap().into_owned();
        ranked.entry(words[0].to_owned()).or_default().push(found);
    }
    let wanted = wanted(&dir.join("qrels.tsv"), 1);
    let (mut first, mut recall) = (0.0, 0.0);
    for (query, relevant) in &wanted {
        let list = ranked.get(query).map_or(&[][..], Vec::as_slice);
        let at = list.iter().take(10).position(|d| relevant.contains(d));
        first += at.map_or(0.0, |at| 1.0 / (at as f64 + 1.0));
        recall += list.iter().filter(|d| relevant.contains(*d)).count() as f64 / relevant.len() as f64;
    }
    (first / wanted.len() as f64, recall / wanted.len() as f64)
}

/// Imports a gzipped file; the summary and the rows.
fn import(room: &Room, dir: &Path, what: &str, name: &str) -> (Value, String) {
    let file = File::open(dir.join(format!("{name}.jsonl.gz"))).unwrap();
    let mut rows = String::new();
    flate2::read::GzDecoder::new(file).read_to_string(&mut rows).unwrap();
    room.put("rows.jsonl", &rows);
    let line = ["import", what, "rows.jsonl", "--dir", "d", "--format", "json"];
    let time = Path::new("/usr/bin/time").is_file();
    let mut command = Command::new(if time { "/usr/bin/time" } else { env!("CARGO_BIN_EXE_jiceng") });
    if time {
        command.args(["-f", "%M", "-o", "peak", env!("CARGO_BIN_EXE_jiceng")]);
    }
    let started = Instant::now();
    let output = command.args(line).current_dir(room.at(".")).output().unwrap();
    let seconds = started.elapsed().as_secs_f64();
    let notes = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {:?}: {notes}", output.status);
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    let records = said["created"].as_u64().unwrap() + said["articles"].as_u64().unwrap();
    let peak = if time { fs::read_to_string(room.at("peak")).unwrap() } else { String::new() };
    let peak = peak.trim().parse::<u64>().map_or_else(|_| "?".to_owned(), |k| (k >> 10).to_string());
    let rate = records as f64 / seconds;
    println!("{name}: {records} records in {seconds:.1} s, {rate:.0}/s, peak {peak} MB");
    (said, rows)
}

/// Everything of a kind can be found.
fn total(room: &Room, kind: &str, wanted: u64) {
    let ran = room.ask(&["search", "--dir", "d", "--kind", kind, "--limit", "1", ""], "");
    assert_eq!(ran.out.lines().next(), Some(format!("共 {wanted} 条").as_str()), "{kind}");
}

/// Every 400th article answers to its reference, with the title of its regulation, its number and its text.
fn recognisable(room: &Room, source: &str) {
    let mut wanted = Vec::new();
    let mut n = 0;
    for line in source.lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        for article in row["articles"].as_array().into_iter().flatten() {
            n += 1;
            if n % 400 == 0 && article["ref"].is_string() {
                let no = article["no"].as_str().unwrap_or_default();
                let title = format!("《{}》{no}", row["title"].as_str().unwrap());
                wanted.push((article["ref"].as_str().unwrap().to_owned(), title, article["text"].clone()));
            }
        }
    }
    assert!(wanted.len() > 100);
    let questions = wanted.iter().map(|(r, ..)| serde_json::json!({"id": r, "text": r}));
    room.put("q.jsonl", crate::ledger::lines(&questions.collect::<Vec<_>>()));
    let said = room.good("search --dir d --kind article --queries q.jsonl --format json --limit 20");
    assert_eq!(said.lines().count(), wanted.len());
    let plain = |text: &str| text.chars().filter(|c| !c.is_whitespace() && *c != '…').collect::<String>();
    for (line, (reference, title, text)) in said.lines().zip(&wanted) {
        let answer: Value = serde_json::from_str(line).unwrap();
        let of = answer["hits"].as_array().unwrap().iter().filter(|h| h["ref"] == reference.as_str());
        let of: Vec<&Value> = of.collect();
        assert!(!of.is_empty(), "{reference} is not found");
        let same = of.iter().any(|h| {
            let snippet = plain(h["snippet"].as_str().unwrap());
            h["title"] == title.as_str() && plain(text.as_str().unwrap()).contains(&snippet)
        });
        assert!(same, "{reference} is another article: {answer}");
    }
}

/// Five hundred pieces of texts, of 2 to 12 characters: each is on the first page, or every hit there contains it.
fn pieces_are_found(room: &Room, source: &str) {
    let mut texts: BTreeMap<String, String> = BTreeMap::new();
    for line in source.lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let words = ["title", "text"].map(|key| row[key].as_str().unwrap_or_default()).join("\n");
        texts.insert(row["ref"].as_str().unwrap().to_owned(), words);
    }
    let all: Vec<(&String, Vec<char>)> = texts.iter().map(|(r, t)| (r, t.chars().collect())).collect();
    let mut draw = Draw(20_260_301);
    let mut pieces: Vec<(String, String)> = Vec::new();
    while pieces.len() < 500 {
        let (reference, chars) = &all[draw.below(all.len())];
        let length = 2 + draw.below(11);
        let Some(last) = chars.len().checked_sub(length) else { continue };
        let start = draw.below(last + 1);
        let piece: String = chars[start..start + length].iter().collect();
        if piece.chars().all(char::is_alphanumeric) {
            pieces.push(((*reference).clone(), piece));
        }
    }
    let numbered = pieces.iter().zip(0..);
    let questions = numbered.map(|((_, piece), n)| serde_json::json!({"id": n.to_string(), "text": piece}));
    room.put("pieces.jsonl", crate::ledger::lines(&questions.collect::<Vec<_>>()));
    let said = room.good("search --dir d --kind petition --queries pieces.jsonl --format json --limit 20");
    assert_eq!(said.lines().count(), pieces.len());
    let folded = |text: &str| jiceng::base::text::folded_chars(text).into_iter().collect::<String>();
    for (line, (reference, piece)) in said.lines().zip(&pieces) {
        let answer: Value = serde_json::from_str(line).unwrap();
        let hits: Vec<(&str, &str)> = answer["hits"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|h| Some((h["ref"].as_str()?, h["number"].as_str()?)))
            .collect();
        // A register number is searched as well.
        let holds = |(hit, number): &(&str, &str)| {
            let text = texts.get(*hit).map_or_else(String::new, |text| folded(text));
            text.contains(&folded(piece)) || folded(number).contains(&folded(piece))
        };
        let first = hits.iter().any(|(hit, _)| hit == reference);
        assert!(first || (!hits.is_empty() && hits.iter().all(holds)), "{piece} of {reference}: {hits:?}");
    }
}

/// S@1 and R@10 over the known items, as `eval.py --min-rel 2 --groups` has them.
fn score(room: &Room, dir: &Path) -> (f64, f64) {
    let queries = fs::canonicalize(dir.join("queries.jsonl")).unwrap();
    let line = format!("search --dir d --queries {} --format trec --limit 100", queries.display());
    let ran = room.run(&line);
    assert_eq!(ran.code, 0);
    println!("known items, alone: {}", ran.err.lines().last().unwrap_or_default());
    let laws: HashSet<String> = rows(&queries)
        .map(|l| serde_json::from_str::<Value>(&l).unwrap())
        .filter(|q| q["unit"] == "law")
        .map(|q| q["id"].as_str().unwrap().to_owned())
        .collect();
    let groups: HashMap<String, String> = rows(&dir.join("groups.tsv"))
        .filter_map(|l| l.split_once('\t').map(|(d, g)| (d.to_owned(), g.to_owned())))
        .collect();
    let mut ranked: HashMap<String, Vec<String>> = HashMap::new();
    for line in ran.out.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let found = percent_encoding::percent_decode_str(words[2]).decode_utf8().unwrap().into_owned();
        let group = groups.get(&found).filter(|_| laws.contains(words[0]));
        let list = ranked.entry(words[0].to_owned()).or_default();
        let found = group.cloned().unwrap_or(found);
        if !list.contains(&found) {
            list.push(found);
        }
    }
    let kinds: Vec<(String, String)> = rows(&queries)
        .map(|l| serde_json::from_str::<Value>(&l).unwrap())
        .map(|q| (q["kind"].as_str().unwrap().to_owned(), q["id"].as_str().unwrap().to_owned()))
        .collect();
    mean(&ranked, &dir.join("qrels.tsv"), &kinds)
}

fn mean(ranked: &HashMap<String, Vec<String>>, qrels: &Path, kinds: &[(String, String)]) -> (f64, f64) {
    let wanted = wanted(qrels, 2);
    let (mut first, mut recall) = (0.0, 0.0);
    let mut missed: HashSet<&str> = HashSet::new();
    for (query, relevant) in &wanted {
        let list = ranked.get(query).map_or(&[][..], Vec::as_slice);
        let hits = list.iter().take(10).filter(|d| relevant.contains(*d)).count();
        recall += hits as f64 / relevant.len() as f64;
        let is_first = list.first().is_some_and(|d| relevant.contains(d));
        first += f64::from(u8::from(is_first));
        if !is_first {
            missed.insert(query);
        }
    }
    let mut by_kind: BTreeMap<&str, [usize; 2]> = BTreeMap::new();
    for (kind, query) in kinds {
        let of = by_kind.entry(kind).or_default();
        *of = [of[0] + 1, of[1] + usize::from(missed.contains(query.as_str()))];
    }
    for (kind, [asked, missed]) in by_kind.into_iter().filter(|(_, [asked, _])| *asked >= 8) {
        assert!(missed as f64 <= 0.15 * asked as f64, "{kind}: {missed} of {asked} are not first");
    }
    (first / wanted.len() as f64, recall / wanted.len() as f64)
}

/// The rows that answer each question, from a relevance on.
fn wanted(qrels: &Path, least: u32) -> BTreeMap<String, HashSet<String>> {
    let mut wanted: BTreeMap<String, HashSet<String>> = BTreeMap::new();
    for line in rows(qrels).filter(|l| !l.trim().is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        if words[3].parse::<u32>().unwrap() >= least {
            wanted.entry(words[0].to_owned()).or_default().insert(words[2].to_owned());
        }
    }
    wanted
}

fn rows(path: &Path) -> impl Iterator<Item = String> + use<> {
    BufReader::new(File::open(path).unwrap()).lines().map(Result::unwrap)
}

fn sizes(room: &Room) {
    let index: u64 =
        fs::read_dir(room.at("d/index")).unwrap().map(|e| e.unwrap().metadata().unwrap().len()).sum();
    let store = fs::metadata(room.at("d/store.redb")).unwrap().len();
    println!("store {} MB, index {} MB", store >> 20, index >> 20);
}

/// The same questions at rest and through a server, whose peak is printed.
fn served(room: &Room, dir: &Path) {
    let queries = fs::canonicalize(dir.join("statutes/queries.jsonl")).unwrap();
    let line = format!("search --dir d --queries {} --format trec --limit 20", queries.display());
    let rest = room.run(&line);
    println!("statutes, alone: {}", rest.err.lines().last().unwrap_or_default());
    let server = room.serve("d");
    room.run(&line);
    let through = room.run(&line);
    println!("statutes, served: {}", through.err.lines().last().unwrap_or_default());
    assert_eq!((rest.code, &rest.out), (0, &through.out));
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap_or_default();
    let peak = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap_or("?").trim();
    println!("server: peak {peak}");
}

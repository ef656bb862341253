//! The descriptions under `data-format/` and the code say the same: every vector decodes, or is refused,
//! as its file says; goldens are what the code writes today; every table, kind, field, code and verb is
//! described. `formats/sealed.rs` opens a store by hand, by the keys and places that `store.md` names.
//!
//! A vector is a text file, described in `data-format/README.md`. A rejection with a `gap:` line is one the
//! reader still accepts: the test goes red as soon as it no longer does, and then that line goes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "formats/sealed.rs"]
mod sealed;
#[path = "formats/segments.rs"]
mod segments;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiceng::base::clock::ManualClock;
use jiceng::base::{Moment, RecordId, Seq};
use jiceng::records::decide;
use jiceng::records::dict::Dict;
use jiceng::records::record::{Delta, MADE_BY};
use jiceng::records::{self, Author, Field, Fields, Kind, Part, Record, Value, Widget, act, petition};
use jiceng::store::seal::Secret;
use jiceng::store::{self, Act, ArchiveRow, Doer, Entry, Store, fact};

const NOW: Moment = Moment(1_790_000_000_000);
const AUTHOR: Author = Author { account: RecordId(3), unit: RecordId(2) };
const JOURNAL: u8 = 5;

// ---- vectors of records

/// ASVS 1.5.2
#[test]
fn every_record_vector_is_read_as_it_says() {
    let vectors = vectors("records");
    let (good, bad): (Vec<_>, Vec<_>) = vectors.iter().partition(|v| v.succeeds());
    assert!(good.len() >= 6 && bad.len() > 15.max(good.len()));
    for vector in &vectors {
        let seen = read_record_vector(vector).map_err(|e| e.to_string());
        if let (true, Ok((_, again))) = (vector.succeeds(), &seen) {
            assert_eq!(again, &(vector.hex.clone(), vector.identity.clone()), "{}", vector.name);
        }
        vector.judge(seen.map(|(lines, _)| lines));
    }
}

type Bytes = (Vec<u8>, Vec<u8>);

/// What the vector shows, and its bytes encoded again.
fn read_record_vector(vector: &Vector) -> jiceng::base::Result<(Vec<String>, Bytes)> {
    let mut lines = Vec::new();
    let again = match vector.reads.as_str() {
        "fields" => {
            let fields = Fields::decode(&vector.hex)?;
            show_fields(&mut lines, "", &fields);
            (fields.encode(), Vec::new())
        }
        "delta" => {
            let delta = Delta::decode(&vector.hex)?;
            show_fields(&mut lines, "", &delta.set);
            lines.push(format!("gone {:?}", delta.gone));
            (delta.encode(), Vec::new())
        }
        "record" => {
            let record = Record::decode(RecordId(7), &vector.hex, &vector.identity)?;
            lines.push(show_head(&record));
            show_fields(&mut lines, "", &record.fields);
            let identity = records::by_tag(record.kind).map(|k| record.encode_identity(k));
            (record.encode_main(), identity.unwrap_or_default())
        }
        other => panic!("{}: reads: {other}", vector.name),
    };
    Ok((lines, again))
}

fn show_head(r: &Record) -> String {
    let (created, updated) = (r.created.0, r.updated.0);
    let head =
        format!("record {} kind {} version {} state {} unit {}", r.id, r.kind, r.version, r.state, r.unit);
    format!("{head} created {created} creator {} updated {updated}", r.creator)
}

fn show_fields(lines: &mut Vec<String>, path: &str, fields: &Fields) {
    for (tag, value) in fields.iter() {
        let at = format!("{path}{tag}");
        match value {
            Value::Text(t) => lines.push(format!("{at} text {t:?}")),
            Value::Day(d) => lines.push(format!("{at} day {}", d.number())),
            Value::Int(n) => lines.push(format!("{at} int {n}")),
            Value::Flag(yes) => lines.push(format!("{at} flag {yes}")),
            Value::Codes(codes) => lines.push(format!("{at} codes {codes:?}")),
            Value::Link(id) => lines.push(format!("{at} link {id}")),
            Value::Rows(rows) => {
                lines.push(format!("{at} rows {}", rows.len()));
                rows.iter().enumerate().for_each(|(n, row)| show_fields(lines, &format!("{at}.{n}."), row));
            }
            Value::Files(files) => lines.extend(files.iter().map(|f| {
                format!("{at} file {:?} size {} blob {} key {}", f.name, f.size, f.blob, hex::encode(&f.key))
            })),
        }
    }
}

fn golden(kind: &Kind) -> Record {
    let mut record = decide::create(kind, (kind.sample)(1), AUTHOR, NOW).unwrap();
    record.id = RecordId(7);
    record
}

/// The golden petition after a change that sets, adds and takes away.
fn golden_deltas() -> [Delta; 2] {
    let before = golden(&petition::KIND);
    let mut after = Record { version: 2, updated: Moment(NOW.0 + 60_000), ..before.clone() };
    after.fields =
        after.fields.with_text(petition::tag::TITLE, "样例信访件1（更正）").with_text(46, "13800000000");
    after.fields.remove(petition::tag::CHANNEL);
    after.delta(Some(&before))
}

#[test]
fn every_golden_record_is_what_the_code_writes() {
    for kind in records::ALL {
        let (vector, record) = (vector("records", &format!("golden-{}", kind.name)), golden(kind));
        let written = (record.encode_main(), record.encode_identity(kind));
        assert_eq!(written, (vector.hex, vector.identity), "{}", vector.name);
    }
    for (name, delta) in ["golden-delta-main", "golden-delta-identity"].iter().zip(golden_deltas()) {
        assert_eq!(delta.encode(), vector("records", name).hex, "{name}");
    }
}

// ---- vectors of the journal: each replaces the journal of a store, through the way a restore takes

#[test]
fn every_journal_vector_is_read_as_it_says() {
    let vectors = vectors("journal");
    let bad = vectors.iter().filter(|v| !v.succeeds()).count();
    assert!(bad > vectors.len() - bad, "more rejections than successes");
    let home = tempfile::tempdir().unwrap();
    let template = new_store(home.path(), "template");
    for vector in &vectors {
        vector.judge(replay(home.path(), &template, vector));
    }
}

fn replay(home: &Path, like: &Store, v: &Vector) -> Result<Vec<String>, String> {
    let mut rows = dump(like);
    rows.retain(|r| r.table != JOURNAL);
    for row in rows.iter_mut().filter(|r| r.key == fact::HEAD.as_bytes()) {
        row.value = v.head.clone();
    }
    rows.extend(v.entries.iter().map(|(seq, bytes)| ArchiveRow {
        table: JOURNAL,
        key: seq.to_be_bytes().to_vec(),
        value: bytes.clone(),
    }));
    let store = restore(home, &v.name, like, rows).map_err(|e| e.to_string())?;
    // The records that vectors tell of are not there: only what is said of the journal counts here.
    let report = store.check().map_err(|e| e.to_string())?;
    let broken = |p: &String| ["日志第", "日志缺少", "链头"].iter().any(|word| p.contains(word));
    report.problems.into_iter().find(broken).map_or(Ok(()), Err)?;
    Ok(show_journal(&store))
}

fn show_journal(store: &Store) -> Vec<String> {
    let mut lines = Vec::new();
    for entry in store.read().unwrap().journal_after(Seq(0)).unwrap() {
        let Entry { header: h, parts, .. } = entry.unwrap();
        let by = format!("by {} unit {} via {}", h.doer.account, h.doer.unit, h.doer.via);
        let what = format!("action {} done {} note {:?}", h.action, h.done, h.note);
        lines.push(format!("{} epoch {} at {} {by} {what}", h.seq, h.epoch, h.at.0));
        lines.extend(h.subjects.iter().map(|s| {
            let digest = s.digest.map_or("none".to_owned(), hex::encode);
            format!("{} subject {} kind {} version {} digest {digest}", h.seq, s.id, s.kind, s.version)
        }));
        lines.extend(
            parts.iter().map(|p| format!("{} part {}.{} {}", h.seq, p.id, p.part, hex::encode(&p.sealed))),
        );
    }
    lines
}

/// Acts without changes have no random bytes: what is written for them is known to the byte.
fn golden_acts() -> Vec<Act> {
    let machine = Doer { account: RecordId(0), unit: RecordId(0), via: "machine".into() };
    let clerk = Doer { account: RecordId(3), unit: RecordId(2), via: "web".into() };
    vec![
        Act::new(machine, act::INIT),
        Act::new(clerk.clone(), act::READ).read([(RecordId(9), 1, 2)]),
        Act::new(clerk, act::DENIED).note("account").refused(),
    ]
}

fn golden_journal(home: &Path) -> Vec<(u64, Vec<u8>)> {
    let store = new_store(home, "golden");
    for act in golden_acts() {
        let said = store.submit(move |txn| {
            txn.act(act);
            Ok(())
        });
        said.unwrap();
    }
    let rows = dump(&store).into_iter().filter(|r| r.table == JOURNAL);
    rows.map(|r| (u64::from_be_bytes(r.key.try_into().unwrap()), r.value)).collect()
}

#[test]
fn the_golden_journal_is_what_the_code_writes() {
    let home = tempfile::tempdir().unwrap();
    assert_eq!(golden_journal(home.path()), vector("journal", "golden-acts").entries);
}

// ---- the descriptions name everything

#[test]
fn every_kind_field_vocabulary_and_state_is_described() {
    let doc = doc("records.md");
    let mut missing = String::new();
    for line in described() {
        if !doc.lines().any(|l| l == line) {
            writeln!(missing, "{line}").unwrap();
        }
    }
    assert!(missing.is_empty(), "records.md lacks these lines:\n{missing}");
    for kind in records::ALL {
        let section =
            doc.split(&format!("### `{}` (", kind.name)).nth(1).unwrap_or_else(|| panic!("{}", kind.name));
        let keys: Vec<String> = kind.keys.iter().chain(&[MADE_BY]).map(u16::to_string).collect();
        let keys = format!("Found by exact value: {}.", keys.join(", "));
        assert!(section.split("\n### ").next().unwrap().contains(&keys), "{}: {keys}", kind.name);
    }
}

#[test]
fn every_table_fact_and_verb_is_described() {
    let (store, journal) = (doc("store.md"), doc("journal.md"));
    for table in store::TABLES {
        assert!(store.contains(&format!("`{table}`")), "store.md lacks {table}");
    }
    let code = include_str!("../src/store/mod.rs");
    let facts = code.split("pub mod fact {").nth(1).unwrap().split("\n}").next().unwrap();
    for rest in facts.split("&str = \"").skip(1) {
        let fact = rest.split('"').next().unwrap();
        assert!(store.contains(&format!("| `{fact}` |")), "store.md lacks {fact}");
    }
    assert!(store.contains(&format!("`STORE_VERSION` = {}", store::STORE_VERSION)));
    for verb in act::ALL {
        let row = format!("| {} | {} |", verb.code, verb.label);
        assert!(journal.lines().any(|l| l.starts_with(&row)), "journal.md lacks {row}");
    }
}

#[test]
fn the_examples_of_the_descriptions_are_vectors() {
    let hex = |v: &Vector| hex::encode(&v.hex);
    let plain = |text: String| text.split_whitespace().collect::<String>();
    let records = plain(example(&doc("records.md"), "<!-- example fields-every-shape -->"));
    assert_eq!(records, hex(&vector("records", "fields-every-shape")));
    let journal = plain(example(&doc("journal.md"), "<!-- example golden-acts 2 -->"));
    assert_eq!(journal, hex::encode(&vector("journal", "golden-acts").entries[1].1));
}

/// The bytes of the annotated block after a mark: what stands left of `;`.
fn example(doc: &str, mark: &str) -> String {
    let block = doc.split(mark).nth(1).unwrap().split("```").nth(1).unwrap();
    block.lines().skip(1).map(|l| l.split(';').next().unwrap()).collect()
}

/// Lines that `records.md` must hold, from the registry.
fn described() -> Vec<String> {
    let mut lines = Vec::new();
    let mut dicts: Vec<&'static Dict> = Vec::new();
    for kind in records::ALL {
        for field in kind.fields {
            describe(field, &mut lines, &mut dicts);
        }
        let states = kind.flow.states.iter().map(|s| format!("{} {}", s.tag, s.label)).collect::<Vec<_>>();
        lines.push(format!("States of `{}`: {}.", kind.name, states.join(" · ")));
    }
    for dict in dicts {
        let entries = dict.entries.iter().map(|e| format!("`{}` {}", e.code, e.label)).collect::<Vec<_>>();
        lines.push(format!("| {} | {} |", dict.name, entries.join(" · ")));
    }
    lines
}

fn describe(field: &'static Field, lines: &mut Vec<String>, dicts: &mut Vec<&'static Dict>) {
    let widget = match field.widget {
        Widget::Date(true) => "Date, month or year allowed".to_owned(),
        Widget::Date(false) => "Date".to_owned(),
        Widget::Int(low, high) => format!("Int {low} to {high}"),
        Widget::Choice(d) => format!("Choice of {}", d.name),
        Widget::OpenChoice(d) => format!("Choice of {}, or other words", d.name),
        Widget::Choices(d) => format!("Choices of {}", d.name),
        Widget::Link(kind) => format!("Link to {kind}"),
        Widget::Rows(_) => "Rows".to_owned(),
        other => format!("{other:?}"),
    };
    if let Widget::Choice(d) | Widget::OpenChoice(d) | Widget::Choices(d) = field.widget
        && !dicts.iter().any(|seen| std::ptr::eq(*seen, d))
    {
        dicts.push(d);
    }
    let need = if field.required { ", required" } else { "" };
    let part = if field.part == Part::Identity { "identity" } else { "main" };
    lines.push(format!("| {} | `{}` | {} | {widget}{need} | {part} |", field.tag, field.name, field.label));
    if let Widget::Rows(columns) = field.widget {
        columns.iter().for_each(|c| describe(c, lines, dicts));
    }
}

// ---- prints what a writer of the descriptions pastes

#[test]
#[ignore = "prints goldens and tables for the descriptions"]
fn print_goldens() {
    let mut out = String::new();
    for kind in records::ALL {
        let (hex, identity) = (golden(kind).encode_main(), golden(kind).encode_identity(kind));
        let mut vector = Vector { reads: "record".into(), hex, identity, ..Vector::default() };
        vector.show = read_record_vector(&vector).unwrap().0;
        write!(out, "@golden-{}\n{}", kind.name, vector.body()).unwrap();
    }
    for (name, delta) in ["golden-delta-main", "golden-delta-identity"].iter().zip(golden_deltas()) {
        let mut vector = Vector { reads: "delta".into(), hex: delta.encode(), ..Vector::default() };
        vector.show = read_record_vector(&vector).unwrap().0;
        write!(out, "@{name}\n{}", vector.body()).unwrap();
    }
    let home = tempfile::tempdir().unwrap();
    for (seq, bytes) in golden_journal(home.path()) {
        writeln!(out, "@entry {seq}\nhex: {}", hex::encode(bytes)).unwrap();
    }
    described().iter().for_each(|l| writeln!(out, "{l}").unwrap());
    fs::write(PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("goldens.txt"), out).unwrap();
}

// ---- helpers

fn new_store(home: &Path, name: &str) -> Store {
    let clock = Arc::new(ManualClock::at(NOW));
    Store::create(&home.join(name), &home.join(format!("{name}.key")), "样例县", false, clock).unwrap()
}

fn generations(store: &Store) -> Vec<(u32, Secret)> {
    store.read().unwrap().generations().to_vec()
}

fn dump(store: &Store) -> Vec<ArchiveRow> {
    let mut rows = Vec::new();
    let mut sink = |row| {
        rows.push(row);
        Ok(())
    };
    store.read().unwrap().dump(&mut sink).unwrap();
    rows
}

/// A store of its own with the keys of another and these rows, made as a restore does.
fn restore(home: &Path, name: &str, like: &Store, rows: Vec<ArchiveRow>) -> jiceng::base::Result<Store> {
    let (dir, key, clock) =
        (home.join(name), home.join(format!("{name}.key")), Arc::new(ManualClock::at(NOW)));
    let mut rows = rows.into_iter().map(Ok);
    let place = store::Place { dir: &dir, key_file: &key, fleeting: false };
    store::load(place, &like.facts().store, generations(like), &mut rows, clock)
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data-format")
}

fn doc(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap()
}

/// One vector file; lines it does not have are empty.
#[derive(Default)]
struct Vector {
    name: String,
    expect: String,
    gap: bool,
    reads: String,
    hex: Vec<u8>,
    identity: Vec<u8>,
    head: Vec<u8>,
    entries: Vec<(u64, Vec<u8>)>,
    show: Vec<String>,
}

impl Vector {
    fn parse(name: &str, text: &str) -> Self {
        let mut v = Self { name: name.to_owned(), ..Self::default() };
        for line in text.lines().filter(|l| !l.trim().is_empty() && !l.starts_with('#')) {
            let (word, rest) = line.split_once(':').unwrap_or_else(|| panic!("{name}: {line}"));
            let rest = rest.trim();
            let bytes =
                || hex::decode(rest.replace(' ', "")).unwrap_or_else(|e| panic!("{name}: {e}: {line}"));
            match word {
                "expect" => v.expect = rest.to_owned(),
                "gap" => v.gap = true,
                "reads" => v.reads = rest.to_owned(),
                "entry" => v.entries.push((rest.parse().unwrap(), Vec::new())),
                "hex" => match v.entries.last_mut() {
                    Some((_, entry)) => entry.extend(bytes()),
                    None => v.hex.extend(bytes()),
                },
                "identity" => v.identity.extend(bytes()),
                "head" => v.head = bytes(),
                "show" => v.show.push(rest.to_owned()),
                _ => panic!("{name}: {line}"),
            }
        }
        assert!(!(v.expect.is_empty() || v.gap && v.succeeds()), "{name}: what does it expect?");
        v
    }

    fn succeeds(&self) -> bool {
        self.expect == "success"
    }

    /// The lines of its body.
    fn body(&self) -> String {
        let show: String = self.show.iter().map(|l| format!("show: {l}\n")).collect();
        format!("hex: {}\nidentity: {}\n{show}", hex::encode(&self.hex), hex::encode(&self.identity))
    }

    /// Compares what was seen with what the file says.
    fn judge(&self, seen: Result<Vec<String>, String>) {
        match seen {
            Ok(lines) if self.succeeds() => assert_eq!(lines, self.show, "{}", self.name),
            Ok(lines) => assert!(self.gap, "{} is accepted but {}: {lines:#?}", self.name, self.expect),
            Err(e) if self.succeeds() => panic!("{} is refused: {e}", self.name),
            Err(_) => assert!(!self.gap, "{} is refused now: take its gap line away", self.name),
        }
    }
}

fn vector(folder: &str, name: &str) -> Vector {
    let path = root().join("vectors").join(folder).join(format!("{name}.txt"));
    Vector::parse(name, &fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())))
}

fn vectors(folder: &str) -> Vec<Vector> {
    let files = fs::read_dir(root().join("vectors").join(folder)).unwrap();
    let mut names: Vec<String> =
        files.map(|f| f.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    names.sort_unstable();
    names.iter().map(|n| vector(folder, n)).collect()
}

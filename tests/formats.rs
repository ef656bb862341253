//! The descriptions under `data-format/` and the code say the same: every vector decodes, or is refused,
//! as its file says; goldens are what the code writes today; every table, kind, field, code and verb is
//! described; and a store opens by the keys and places that `store.md` names, followed here by hand.
//!
//! A vector is a text file, described in `data-format/README.md`. A rejection with a `gap:` line is one the
//! reader still accepts: the test goes red as soon as it no longer does, and then that line goes.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use jiceng::base::clock::ManualClock;
use jiceng::base::{Moment, RecordId, Seq};
use jiceng::records::decide::{self, trail};
use jiceng::records::dict::Dict;
use jiceng::records::record::Delta;
use jiceng::records::{self, Author, Field, Fields, Kind, Part, Record, Value, Widget, act, petition};
use jiceng::store::seal::{Secret, sha256};
use jiceng::store::{self, Act, ArchiveRow, Doer, Entry, Store, fact};

const NOW: Moment = Moment(1_790_000_000_000);
const AUTHOR: Author = Author { account: RecordId(3), unit: RecordId(2) };
const JOURNAL: u8 = 5;

// ---- vectors of records

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
    let (dir, key) = (home.join(&v.name), home.join(format!("{}.key", v.name)));
    let generations = like.generations().to_vec();
    let clock = Arc::new(ManualClock::at(NOW));
    let mut rows = rows.into_iter().map(Ok);
    let store = store::load(&dir, &key, &like.facts().store, generations, &mut rows, clock);
    let store = store.map_err(|e| e.to_string())?;
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
        assert!(doc.contains(&format!("### `{}` (", kind.name)), "{}", kind.name);
    }
}

#[test]
fn every_table_fact_and_verb_is_described() {
    let (store, journal) = (doc("store.md"), doc("journal.md"));
    for table in store::TABLES {
        assert!(store.contains(&format!("`{table}`")), "store.md lacks {table}");
    }
    for fact in [fact::VERSION, fact::STORE, fact::EPOCH, fact::NEXT_ID, fact::HEAD, fact::COUNTY, fact::DEMO]
        .into_iter()
        .chain([
            fact::RECIPIENTS,
            fact::SETUP,
            fact::READY,
            fact::LOOKUP_KEY,
            fact::BLOB_KEY,
            fact::SIGNING_KEY,
        ])
    {
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

#[test]
fn the_sealed_examples_open_and_the_keys_are_right() {
    let doc = doc("store.md");
    let bytes = |mark: &str| hex::decode(example(&doc, mark).split_whitespace().collect::<String>()).unwrap();
    let key = |from: u8| Secret::from_slice(&(from..from + 32).collect::<Vec<u8>>()).unwrap();
    let unwrapped =
        unwrap_key(&key(0x40), "000102030405060708090a0b0c0d0e0f", 7, &bytes("<!-- example wrapped-key -->"));
    assert_eq!(unwrapped.expose(), key(0).expose());
    let value = bytes("<!-- example sealed-org -->");
    let place = cat(&[b"jiceng-record-1", &7_u64.to_be_bytes(), &1_u32.to_be_bytes(), &[4, 0]]);
    assert_eq!(value[..11], [1, 1, 0, 0, 0, 1, 4, 0, 0, 0, 109]);
    assert_eq!(unwrapped.open(&place, &value[11..]).unwrap(), vector("records", "golden-org").hex);
    let keys = bytes("<!-- example keys -->");
    let (head, day, id) = ([&[1][..], &2_u64.to_be_bytes(), &[2]], !20_260_302_u32, 7_u64);
    assert_eq!(keys[..22], cat(&[&head.concat(), &day.to_be_bytes(), &(!id).to_be_bytes()]));
    let hash = key(0x60).short_hash(b"\x05\x00\x10user1");
    assert_eq!(keys[22..], cat(&[&[5, 0, 16], &hash, &id.to_be_bytes()]));
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

// ---- a store, opened by hand as `store.md` says

/// One store with two versions of a petition, an attachment and a sealed reason.
fn told_store(home: &Path) -> (Store, Record) {
    let store = new_store(home, "told");
    let mut blob = store.write_blob().unwrap();
    blob.write(&vec![b'x'; 70_000]).unwrap();
    let file = blob.finish("来信.txt").unwrap();
    let doer = || Doer { account: RecordId(3), unit: RecordId(2), via: "web".into() };
    let fields = (petition::KIND.sample)(1).with(petition::tag::FILES, Value::Files(vec![file]));
    let record = decide::create(&petition::KIND, fields, AUTHOR, NOW).unwrap();
    let id = store.submit(move |txn| {
        txn.act(Act::new(doer(), act::CREATE));
        txn.create(record)
    });
    let record = store.read().unwrap().get(id.unwrap(), true).unwrap().unwrap();
    let propose = &petition::KIND.flow.moves[0];
    let after = decide::advance(&petition::KIND, &record, propose, "拟受理", (AUTHOR, NOW)).unwrap();
    let wanted = after.clone();
    store
        .submit(move |txn| {
            txn.act(Act::new(doer(), act::ADVANCE).secret("理由"));
            txn.update(after)
        })
        .unwrap();
    (store, wanted)
}

fn value_of(rows: &[ArchiveRow], table: u8, key: &[u8]) -> Vec<u8> {
    rows.iter().find(|r| r.table == table && r.key == key).unwrap().value.clone()
}

fn cat(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

fn unwrap_key(generation: &Secret, store: &str, id: u64, wrapped: &[u8]) -> Secret {
    assert_eq!(wrapped[..4], 1_u32.to_be_bytes());
    let place = cat(&[b"jiceng-record-key-1 ", store.as_bytes(), &id.to_be_bytes()]);
    Secret::from_slice(&generation.open(&place, &wrapped[4..]).unwrap()).unwrap()
}

#[test]
fn keys_open_where_the_description_says() {
    let home = tempfile::tempdir().unwrap();
    let store = new_store(home.path(), "keys");
    let id = store.facts().store.clone();
    let base64 = |text: &str| base64::engine::general_purpose::STANDARD.decode(text).unwrap();
    let key_file = fs::read_to_string(store.key_file()).unwrap();
    let slot_key = base64(key_file.strip_prefix("jiceng-key-1 ").unwrap().strip_suffix('\n').unwrap());
    let slots: serde_json::Value =
        serde_json::from_slice(&fs::read(store.dir().join("keys.json")).unwrap()).unwrap();
    assert_eq!((slots["format"].as_u64(), slots["store"].as_str()), (Some(1), Some(id.as_str())));
    assert_eq!(slots["slots"][0]["kind"], "key-file");
    let open = |key: &[u8], place: String, sealed: &serde_json::Value| {
        let sealed = base64(sealed.as_str().unwrap());
        Secret::from_slice(key).unwrap().open(place.as_bytes(), &sealed).unwrap()
    };
    let master = open(&slot_key, format!("jiceng-slot-1 {id}"), &slots["slots"][0]["master"]);
    let place = format!("jiceng-generation-1 {id} 1");
    let generation = open(&master, place, &slots["generations"][0]["key"]);
    assert_eq!(generation, store.generations()[0].1.expose());
    let rows = dump(&store);
    let key_0 = value_of(&rows, 4, &0_u64.to_be_bytes());
    let own = unwrap_key(&store.generations()[0].1, &id, 0, &key_0);
    for name in [fact::LOOKUP_KEY, fact::BLOB_KEY, fact::SIGNING_KEY] {
        let place = format!("jiceng-secret-1 {id} {name}");
        assert_eq!(own.open(place.as_bytes(), &value_of(&rows, 1, name.as_bytes())).unwrap().len(), 32);
    }
}

#[test]
fn records_and_attachments_open_where_the_description_says() {
    let home = tempfile::tempdir().unwrap();
    let (store, wanted) = told_store(home.path());
    let rows = dump(&store);
    let id = wanted.id.0.to_be_bytes();
    let key =
        unwrap_key(&store.generations()[0].1, &store.facts().store, wanted.id.0, &value_of(&rows, 4, &id));
    let value = value_of(&rows, 3, &id);
    assert_eq!(value[..7], [1, 1, 0, 0, 0, 2, 1], "format, suite, version, kind");
    let length = u32::from_be_bytes(value[7..11].try_into().unwrap()) as usize;
    let place = |part: u8| cat(&[b"jiceng-record-1", &id, &2_u32.to_be_bytes(), &[1, part]]);
    let main = key.open(&place(0), &value[11..11 + length]).unwrap();
    let identity = key.open(&place(1), &value[11 + length..]).unwrap();
    assert_eq!(Record::decode(wanted.id, &main, &identity).unwrap(), wanted);
    let row = &wanted.fields.rows(petition::tag::TRAIL)[0];
    assert_eq!((row.text(trail::MOVE), row.link(trail::BY)), ("提交拟办", Some(RecordId(3))));
    assert_eq!((row.int(trail::AT), row.text(trail::OPINION)), (NOW.0, "拟受理"));

    let file = &wanted.fields.files(petition::tag::FILES)[0];
    let bytes = fs::read(store.dir().join("blobs").join(&file.blob[..2]).join(&file.blob)).unwrap();
    assert_eq!((&bytes[..8], bytes.len()), (&b"jicengB1"[..], 8 + 70_000 + 2 * 16));
    let key = Secret::from_slice(&file.key).unwrap();
    let first = key.open_chunk(0, false, &bytes[8..8 + 65_552]).unwrap();
    let last = key.open_chunk(1, true, &bytes[8 + 65_552..]).unwrap();
    assert_eq!((first.len(), last.len(), file.size), (65_536, 4_464, 70_000));
}

#[test]
fn entries_chain_and_open_as_the_description_says() {
    let home = tempfile::tempdir().unwrap();
    let (store, wanted) = told_store(home.path());
    let rows = dump(&store);
    let generation = &store.generations()[0].1;
    let key_of =
        |id: u64| unwrap_key(generation, &store.facts().store, id, &value_of(&rows, 4, &id.to_be_bytes()));
    let mut before = [0; 32];
    for seq in 1..=2_u64 {
        let bytes = value_of(&rows, JOURNAL, &seq.to_be_bytes());
        let length = u32::from_be_bytes(bytes[..4].try_into().unwrap()) as usize;
        let (header, rest) = bytes[4..].split_at(length);
        let (digest, rest) = rest.split_at(32);
        let (hash, payload) = rest.split_at(32);
        assert_eq!(sha256(&[payload]), digest);
        before = sha256(&[b"jiceng-journal-1", &seq.to_be_bytes(), &before, header, digest]);
        assert_eq!(before, hash);
    }
    assert_eq!(value_of(&rows, 1, b"head"), cat(&[&2_u64.to_be_bytes(), &before]));
    let entry = store.read().unwrap().entry(Seq(2)).unwrap().unwrap();
    let stored = value_of(&rows, 3, &wanted.id.0.to_be_bytes());
    assert_eq!(entry.header.subjects[0].digest, Some(sha256(&[&stored])));
    for part in &entry.parts {
        let place =
            cat(&[b"jiceng-journal-part-1", &part.id.0.to_be_bytes(), &2_u64.to_be_bytes(), &[part.part]]);
        let plain = key_of(part.id.0).open(&place, &part.sealed).unwrap();
        match (part.id.0, part.part) {
            (0, 2) => assert_eq!(plain, "理由".as_bytes()),
            (_, 0) => {
                let delta = Delta::decode(&zstd::decode_all(plain.as_slice()).unwrap()).unwrap();
                assert_eq!(delta.state(), Some(wanted.state));
            }
            other => panic!("a move changes no part {other:?}"),
        }
    }
    assert_eq!(entry.parts.len(), 2);
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

fn dump(store: &Store) -> Vec<ArchiveRow> {
    let mut rows = Vec::new();
    let mut sink = |row| {
        rows.push(row);
        Ok(())
    };
    store.read().unwrap().dump(&mut sink).unwrap();
    rows
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
        assert!(!v.expect.is_empty() && !(v.gap && v.succeeds()), "{name}: what does it expect?");
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

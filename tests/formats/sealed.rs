//! A store, opened by hand: keys, values, attachments and entries lie under the keys and in the places that
//! `data-format/store.md` and `data-format/journal.md` name, and what was changed there does not open.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiceng::base::clock::ManualClock;
use jiceng::base::{RecordId, Seq};
use jiceng::records::decide::{self, trail};
use jiceng::records::record::{Delta, MADE_BY};
use jiceng::records::{Fields, Record, Value, act, petition};
use jiceng::store::seal::{Secret, sha256};
use jiceng::store::{Act, ArchiveRow, Doer, Store, fact};
use serde_json::{Value as Json, json};

use super::{AUTHOR, JOURNAL, NOW, doc, dump, example, generations, new_store, restore, vector};

#[test]
fn the_sealed_examples_open_and_the_keys_are_right() {
    let doc = doc("store.md");
    let bytes = |mark: &str| hex::decode(example(&doc, mark).split_whitespace().collect::<String>()).unwrap();
    let key = |from: u8| Secret::from_slice(&(from..from + 32).collect::<Vec<u8>>()).unwrap();
    let unwrapped =
        unwrap_key(&key(0x40), "000102030405060708090a0b0c0d0e0f", 7, &bytes("<!-- example wrapped-key -->"));
    assert_eq!(unwrapped.expose(), key(0).expose());
    let value = bytes("<!-- example sealed-org -->");
    let place = cat(&[b"jiceng-record-1", &7_u64.to_be_bytes(), &1_u32.to_be_bytes(), &[4, 0, 0]]);
    assert_eq!(value[..11], [1, 1, 0, 0, 0, 1, 4, 0, 0, 0, 109]);
    assert_eq!(unwrapped.open(&place, &value[11..]).unwrap(), vector("records", "golden-org").hex);
    let keys = bytes("<!-- example keys -->");
    let (head, day, id) = ([&[1][..], &2_u64.to_be_bytes(), &[2]], !20_260_302_u32, 7_u64);
    assert_eq!(keys[..22], cat(&[&head.concat(), &day.to_be_bytes(), &(!id).to_be_bytes()]));
    let hash = key(0x60).hashes().short_hash(b"\x05\x00\x10user1");
    assert_eq!(keys[22..49], cat(&[&[5, 0, 16], &hash, &id.to_be_bytes()]));
    let hash = key(0x60).hashes().short_hash(b"\x01\x00\x0f9f3c");
    assert_eq!(keys[49..], cat(&[&[1, 0, 15], &hash, &id.to_be_bytes()]));
}

/// One store with two versions of a petition, an attachment and a sealed reason.
fn told_store(home: &Path) -> (Store, Record) {
    let store = new_store(home, "told");
    let mut blob = store.write_blob().unwrap();
    blob.write(&vec![b'x'; 70_000]).unwrap();
    let file = blob.finish("来信.txt").unwrap();
    let doer = || Doer { account: RecordId(3), unit: RecordId(2), via: "web".into() };
    let fields = (petition::KIND.sample)(1).with(petition::tag::FILES, Value::Files(vec![file]));
    let fields = fields.with_text(MADE_BY, "9f3c");
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

/// The slot file and the line of the key file.
fn slots(store: &Store) -> (Json, String) {
    let slots = fs::read(store.dir().join("keys.json")).unwrap();
    (serde_json::from_slice(&slots).unwrap(), fs::read_to_string(store.key_file().unwrap()).unwrap())
}

fn base64(text: &Json) -> Vec<u8> {
    BASE64.decode(text.as_str().unwrap()).unwrap()
}

/// The master key of a slot file, by the line of its key file.
fn master(slots: &Json, line: &str) -> Secret {
    let text = line.strip_prefix("jiceng-key-1 ").unwrap().strip_suffix('\n').unwrap();
    let slot_key = Secret::from_slice(&BASE64.decode(text).unwrap()).unwrap();
    let place = format!("jiceng-slot-1 {}", slots["store"].as_str().unwrap());
    Secret::from_slice(&slot_key.open(place.as_bytes(), &base64(&slots["slots"][0]["master"])).unwrap())
        .unwrap()
}

/// What accounts keep opens under the own key in the place its name gives and in no other, until it is forgotten.
fn kept_facts_open(store: &Store, own: &Secret) {
    let name = format!("{}7.{}", fact::DRAFT, "9f3c".repeat(8));
    let doer = || Doer { account: RecordId(7), unit: RecordId(2), via: "web".into() };
    let fields = Fields::default().with_text(16, "petition").with(17, Value::Int(NOW.0));
    let (kept, under) = (fields.clone(), name.clone());
    let keep = store.submit(move |txn| {
        txn.act(Act::new(doer(), act::DRAFT));
        txn.keep(&under, &kept)
    });
    keep.unwrap();
    let sealed = value_of(&dump(store), 1, name.as_bytes());
    let place = |name: &str| format!("jiceng-kept-1 {} {name}", store.facts().store).into_bytes();
    assert_eq!(own.open(&place(&name), &sealed).unwrap(), fields.encode());
    assert!(own.open(&place("draft.8"), &sealed).is_none());
    assert_eq!(store.read().unwrap().kept(&name).unwrap(), Some(fields.clone()));
    assert!(store.check().unwrap().problems.is_empty());
    // Another draft's bytes under this name: found by a look and by a full check.
    let (other, bytes) = (format!("{}7.{}", fact::DRAFT, "0".repeat(32)), sealed.clone());
    let planted = other.clone();
    let plant = store.submit(move |txn| {
        txn.act(Act::new(doer(), act::DRAFT));
        txn.set_fact(&planted, bytes);
        Ok(())
    });
    plant.unwrap();
    assert!(store.read().unwrap().kept(&other).is_err());
    assert_eq!(store.check().unwrap().problems.len(), 1);
    let gone = store.submit(move |txn| {
        txn.act(Act::new(doer(), act::DRAFT_GONE));
        txn.forget(&other);
        Ok(())
    });
    gone.unwrap();
    assert!(store.check().unwrap().problems.is_empty());
}

#[test]
fn keys_open_where_the_description_says() {
    let home = tempfile::tempdir().unwrap();
    let store = new_store(home.path(), "keys");
    let id = store.facts().store.clone();
    let (slots, line) = slots(&store);
    assert_eq!((slots["format"].as_u64(), slots["store"].as_str()), (Some(2), Some(id.as_str())));
    assert_eq!(slots["slots"][0]["kind"], "key-file");
    let master = master(&slots, &line);
    let place = format!("jiceng-generation-1 {id} 1");
    let generation = master.open(place.as_bytes(), &base64(&slots["generations"][0]["key"])).unwrap();
    assert_eq!(generation, generations(&store)[0].1.expose());
    let rows = dump(&store);
    let key_0 = value_of(&rows, 4, &0_u64.to_be_bytes());
    let own = unwrap_key(&generations(&store)[0].1, &id, 0, &key_0);
    for name in [fact::LOOKUP_KEY, fact::BLOB_KEY, fact::SIGNING_KEY] {
        let place = format!("jiceng-secret-1 {id} {name}");
        assert_eq!(own.open(place.as_bytes(), &value_of(&rows, 1, name.as_bytes())).unwrap().len(), 32);
    }
    kept_facts_open(&store, &own);
}

/// A slot file as version 1 had it: one kind, without names.
fn first_format(slots: &Json) -> Json {
    let mut first = slots.clone();
    first["format"] = json!(1);
    first["slots"][0].as_object_mut().unwrap().remove("name").unwrap();
    first
}

/// ASVS 11.4.4
#[test]
fn a_slot_file_is_read_as_the_description_says() {
    let home = tempfile::tempdir().unwrap();
    let store = new_store(home.path(), "slots");
    let (dir, key_file, (good, line)) = (store.dir().to_owned(), store.key_file().unwrap().to_owned(), slots(&store));
    drop(store);
    let opens = |slots: &Json, line: &str| {
        fs::write(dir.join("keys.json"), slots.to_string()).unwrap();
        fs::write(&key_file, line).unwrap();
        Store::open(&dir, Arc::new(ManualClock::at(NOW))).is_ok()
    };
    let with = |path: &str, value: Json| {
        let mut slots = good.clone();
        *slots.pointer_mut(path).unwrap() = value;
        slots
    };
    let (slot, first) = (&good["slots"][0], &good["generations"][0]);
    let second = |n: u32| {
        let place = format!("jiceng-generation-1 {} {n}", good["store"].as_str().unwrap());
        let key = master(&good, &line).seal(place.as_bytes(), &[7; 32]).unwrap();
        json!({ "generation": n, "key": BASE64.encode(key) })
    };
    let other = json!({ "kind": "token", "serial": 5 });
    let bad_slot = json!({ "kind": "key-file", "path": slot["path"], "master": "AAAA" });
    for (what, good) in [
        ("as written", good.clone()),
        ("as the first version wrote it", first_format(&good)),
        ("a slot of another kind", with("/slots", json!([other, slot]))),
        ("a slot that does not open before one that does", with("/slots", json!([bad_slot, slot]))),
        ("generations that rise", with("/generations", json!([first, second(3)]))),
    ] {
        assert!(opens(&good, &line), "{what}");
    }
    for (what, bad) in [
        ("a newer format", with("/format", json!(3))),
        ("no format", with("/format", json!(0))),
        ("store", with("/store", json!("00"))),
        ("no slot", with("/slots", json!([]))),
        ("no slot of a known kind", with("/slots", json!([other]))),
        ("a slot that does not open", with("/slots", json!([bad_slot]))),
        ("no generation", with("/generations", json!([]))),
        ("a generation twice", with("/generations", json!([first, first]))),
        ("generations that fall", with("/generations", json!([second(3), first]))),
        ("a generation in the place of another", with("/generations/0/generation", json!(2))),
    ] {
        assert!(!opens(&bad, &line), "{what}");
    }
    let key = line.strip_prefix("jiceng-key-1 ").unwrap();
    for bad in ["jiceng-key-1", "jiceng-key-1  ", "jiceng-key-1\t", "jiceng-key-2 ", "jiceng-key-1 AAAA"] {
        assert!(!opens(&good, &format!("{bad}{key}")), "{bad:?}");
    }
    assert!(!opens(&good, &line.replace('=', "")) && !opens(&good, "") && opens(&good, line.trim()));
}

/// ASVS 11.3.1, 11.3.2
#[test]
fn records_and_attachments_open_where_the_description_says() {
    let home = tempfile::tempdir().unwrap();
    let (store, wanted) = told_store(home.path());
    let rows = dump(&store);
    let id = wanted.id.0.to_be_bytes();
    let key =
        unwrap_key(&generations(&store)[0].1, &store.facts().store, wanted.id.0, &value_of(&rows, 4, &id));
    let value = value_of(&rows, 3, &id);
    assert_eq!(value[..7], [1, 1, 0, 0, 0, 2, 1], "format, suite, version, kind");
    let length = u32::from_be_bytes(value[7..11].try_into().unwrap()) as usize;
    let place = |part: u8| cat(&[b"jiceng-record-1", &id, &2_u32.to_be_bytes(), &[1, part, 1]]);
    let main = key.open(&place(0), &value[11..11 + length]).unwrap();
    let identity = key.open(&place(1), &value[11 + length..]).unwrap();
    assert_eq!(Record::decode(wanted.id, &main, &identity).unwrap(), wanted);
    assert_eq!(store.read().unwrap().find(&petition::KIND, MADE_BY, "9f3c").unwrap(), [wanted.id]);
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
fn a_record_without_its_identity_part_does_not_open() {
    let home = tempfile::tempdir().unwrap();
    let (store, wanted) = told_store(home.path());
    let id = wanted.id.0.to_be_bytes();
    let whole = dump(&store);
    assert!(
        restore(home.path(), "whole", &store, whole.clone())
            .unwrap()
            .check_but(&|_| true)
            .unwrap()
            .problems
            .is_empty(),
        "attachments are no rows"
    );
    let value = value_of(&whole, 3, &id);
    let main = 11 + u32::from_be_bytes(value[7..11].try_into().unwrap()) as usize;
    for (name, length) in [("cut", main), ("short", value.len() - 1), ("stub", main + 1)] {
        let mut rows = whole.clone();
        rows.iter_mut().filter(|r| r.table == 3 && r.key == id).for_each(|r| r.value.truncate(length));
        assert!(restore(home.path(), name, &store, rows).is_err(), "{name}");
    }
}

/// ASVS 11.4.3
#[test]
fn entries_chain_and_open_as_the_description_says() {
    let home = tempfile::tempdir().unwrap();
    let (store, wanted) = told_store(home.path());
    let rows = dump(&store);
    let generation = generations(&store)[0].1.clone();
    let key_of =
        |id: u64| unwrap_key(&generation, &store.facts().store, id, &value_of(&rows, 4, &id.to_be_bytes()));
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

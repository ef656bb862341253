//! Damaged copies of a county: `doctor` and `audit verify` say so and where, what can heal heals, and where
//! neither sees anything, nothing is lost.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use jiceng::base::RecordId;
use jiceng::records::{self, Author, act, decide, petition};
use jiceng::store::{Act, Doer};
use serde_json::Value;

use crate::ledger;
use crate::room::{Draw, Ran, Room};
use crate::search::questions;

/// What a county answers: head and counts of its journal, and a few searches.
#[derive(Debug, PartialEq, Eq)]
struct Content {
    audit: Ran,
    found: String,
}

fn content(room: &Room, dir: &str) -> Content {
    Content { audit: room.run(&format!("audit verify --dir {dir}")), found: found(room, dir) }
}

/// What a few searches find, in the order of ids: the order of ranks is `search`'s own test.
fn found(room: &Room, dir: &str) -> String {
    let said = room.good(&format!("search --dir {dir} --queries q.jsonl --format json --limit 1000"));
    let sorted = said.lines().map(|line| {
        let mut answer: Value = serde_json::from_str(line).unwrap();
        let hits = answer["hits"].as_array_mut().unwrap();
        hits.iter_mut().for_each(|h| h["rank"] = Value::Null);
        hits.sort_by_key(|h| h["id"].as_u64());
        answer.to_string()
    });
    sorted.collect()
}

/// The demo county with an attachment and one import more, and what it answers.
fn county() -> (Room, Content) {
    let room = Room::demo();
    attach(&room, b"paper ");
    room.copy("d", "older");
    let rows: Vec<_> = (0..40).map(|n| ledger::petition(&format!("r{n}"), n)).collect();
    room.put("p.jsonl", ledger::lines(&rows));
    room.good("import petitions p.jsonl --dir d");
    room.copy("d", "whole");
    questions(&room, &["的", "低保", "第三条", "水渠"]);
    let whole = content(&room, "whole");
    assert_eq!(whole.audit.code, 0);
    (room, whole)
}

/// Enters a petition with an attachment of three chunks.
pub(crate) fn attach(room: &Room, word: &[u8]) {
    let store = crate::import::opened(&room.at("d"));
    let mut blob = store.write_blob().unwrap();
    blob.write(&word.repeat(25_000)).unwrap();
    let file = blob.finish("附件.txt").unwrap();
    let fields = (petition::KIND.sample)(1).with(petition::tag::FILES, records::Value::Files(vec![file]));
    let author = Author { account: RecordId(1), unit: RecordId(1) };
    let record = decide::create(&petition::KIND, fields, author, store.now()).unwrap();
    let doer = Doer { account: RecordId(1), unit: RecordId(1), via: "test".to_owned() };
    let entered = store.submit(move |txn| {
        txn.act(Act::new(doer, act::CREATE));
        txn.create(record)
    });
    entered.unwrap();
}

/// A copy `x` of the county with one file changed.
fn spoilt(room: &Room, file: &str, change: impl FnOnce(&mut Vec<u8>)) {
    room.remove("x");
    room.copy("d", "x");
    let mut bytes = room.bytes(&format!("x/{file}"));
    change(&mut bytes);
    room.put(&format!("x/{file}"), bytes);
}

/// Both checks of `x` find damage and name a place.
fn both_find(room: &Room, about: &str, place: &str) {
    for line in ["audit verify --dir x", "doctor --dir x"] {
        let ran = room.run(line);
        assert_eq!(ran.code, 3, "{about}: {line}: {ran:?}");
        assert!(ran.all().contains(place), "{about}: {line} does not name {place}: {ran:?}");
        assert!(!ran.err.contains("panicked") || ran.err.contains("数据损坏"), "{about}: {ran:?}");
    }
}

/// Either both checks find damage, or everything is there. Tells whether it was found.
fn found_or_intact(room: &Room, about: &str, whole: &Content) -> bool {
    let (audit, doctor) = (room.run("audit verify --dir x"), room.run("doctor --dir x"));
    assert!([0, 3].contains(&audit.code), "{about}: {audit:?}");
    if audit.code == 3 {
        assert_eq!(doctor.code, 3, "{about}: {audit:?} {doctor:?}");
        let places = ["store.redb", "记录", "日志", "派生表", "库"];
        assert!(places.iter().any(|p| audit.all().contains(p)), "{about}: no place is named: {audit:?}");
        return true;
    }
    assert_eq!(doctor.code, 0, "{about}: only doctor finds it: {doctor:?}");
    assert_eq!(audit, whole.audit, "{about}: the journal is another one, unnoticed");
    assert!(found(room, "x") == whole.found, "{about}: content changed unnoticed");
    false
}

/// Places in the store, behind its header, that hold something.
fn written(room: &Room) -> Vec<usize> {
    let bytes = room.bytes("d/store.redb");
    (4096..bytes.len()).filter(|at| bytes[*at] != 0).collect()
}

#[test]
fn flipped_bytes_of_the_store_are_found_or_harmless() {
    let (room, whole) = county();
    let written = written(&room);
    let mut draw = Draw(11);
    let (mut found, mut n) = (0, 0);
    while n < 24 || found < 5 && n < 120 {
        n += 1;
        let (at, bit) = (written[draw.below(written.len())], draw.below(8));
        spoilt(&room, "store.redb", |b| b[at] ^= 1 << bit);
        found += u32::from(found_or_intact(&room, &format!("flip {n}: bit {bit} at {at}"), &whole));
    }
    assert!(found >= 5, "of {n} flips {found} were found");
}

#[test]
fn flipped_bytes_of_the_header_are_found_or_harmless() {
    let (room, whole) = county();
    let mut wrong = Vec::new();
    for at in (9..320).step_by(17).chain([10, 12, 64, 128, 192]) {
        spoilt(&room, "store.redb", |b| b[at] ^= 0x10);
        let about = format!("header byte {at}");
        let looked =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| found_or_intact(&room, &about, &whole)));
        if looked.is_err() {
            wrong.push(at);
        }
    }
    assert!(wrong.is_empty(), "silent at header bytes {wrong:?}");
}

#[test]
fn cut_and_blanked_stores_are_found_or_harmless() {
    let (room, whole) = county();
    let length = room.bytes("d/store.redb").len();
    for keep in [100, 319, 320, 4095, 4096, 8192, length / 2, length - 4096, length - 1] {
        spoilt(&room, "store.redb", |b| b.truncate(keep));
        both_find(&room, &format!("cut to {keep} of {length}"), "store.redb");
        assert_eq!(room.bytes("x/store.redb").len(), keep, "the cut file was changed");
    }
    let written = written(&room);
    let mut draw = Draw(13);
    let (mut found, mut n) = (0, 1);
    // Free pages hold something as well: it goes on until enough were hit that are in use.
    while n < 15 || found < 4 && n < 80 {
        n += 1;
        let size = [512, 4096][n % 2];
        let at = written[draw.below(written.len())] / size * size;
        spoilt(&room, "store.redb", |b| b[at..at + size].fill(0));
        found += u32::from(found_or_intact(&room, &format!("{size} zeros at {at}"), &whole));
    }
    assert!(found >= 4, "of {} blanked sectors {found} were found", n - 1);
    spoilt(&room, "store.redb", |b| b.extend([0xa5; 5000]));
    found_or_intact(&room, "bytes at the end", &whole);
}

#[test]
fn a_store_without_its_first_bytes_is_damage() {
    type Change = fn(&mut Vec<u8>);
    let (room, _) = county();
    let changes: [(&str, Change); 7] = [
        ("empty", Vec::clear),
        ("one byte left", |b| b.truncate(1)),
        ("all zeros", |b| b.fill(0)),
        ("another file", |b| *b = b"hello".repeat(9000)),
        ("first sector blank", |b| b[..512].fill(0)),
        ("first page blank", |b| b[..4096].fill(0)),
        ("first byte flipped", |b| b[0] ^= 0x10),
    ];
    let codes = changes.map(|(about, change)| {
        spoilt(&room, "store.redb", change);
        (about, room.run("audit verify --dir x").code, room.run("doctor --dir x").code)
    });
    assert_eq!(codes, changes.map(|(about, _)| (about, 3, 3)));
}

#[test]
fn a_missing_store_is_no_new_county() {
    let (room, _) = county();
    room.remove("x");
    room.copy("d", "x");
    fs::remove_file(room.at("x/store.redb")).unwrap();
    let before = room.names("x");
    for line in
        ["doctor --dir x", "audit verify --dir x", "demo --dir x --no-serve", "init --dir x --county 甲县"]
    {
        let ran = room.run(line);
        assert!([1, 3].contains(&ran.code) && ran.out.is_empty(), "{line}: {ran:?}");
    }
    assert_eq!(room.names("x"), before);
}

#[test]
fn keys_that_are_gone_foreign_or_edited_are_told() {
    let (room, whole) = county();
    room.good("demo --dir e --no-serve --bare");
    let fresh = || {
        room.remove("x");
        room.copy("d", "x");
    };
    fresh();
    fs::remove_file(room.at("x.key")).unwrap();
    for line in ["doctor --dir x", "audit verify --dir x", "search --dir x 低保", "serve --dir x"] {
        assert!(room.fails(line, 1).err.contains("找不到密钥文件"), "{line}");
    }
    let foreign = room.bytes("e.key");
    let own = String::from_utf8(room.bytes("d.key")).unwrap();
    let keys = [foreign, Vec::new(), b"hello".to_vec(), own[..30].into(), own.to_lowercase().into_bytes()];
    for key in keys {
        fresh();
        room.put("x.key", &key);
        both_find(&room, &format!("key {:?}", String::from_utf8_lossy(&key)), "密钥文件");
    }
    type Edit = fn(&mut Value);
    let edits: [(&str, Edit); 9] = [
        ("another format", |s| s["format"] = 0.into()),
        ("another store", |s| s["store"] = "00112233445566778899aabbccddeeff".into()),
        ("no slots", |s| s["slots"] = serde_json::json!([])),
        ("no generations", |s| s["generations"] = serde_json::json!([])),
        ("another number", |s| s["generations"][0]["generation"] = 2.into()),
        ("a generation twice", |s| {
            let again = s["generations"][0].clone();
            s["generations"].as_array_mut().unwrap().push(again);
        }),
        ("an edited generation", |s| edit(&mut s["generations"][0]["key"])),
        ("an edited slot", |s| edit(&mut s["slots"][0]["master"])),
        ("a field gone", |s| drop(s.as_object_mut().unwrap().remove("slots"))),
    ];
    for (about, change) in edits {
        fresh();
        room.edit_slots("x", change);
        for line in ["doctor --dir x", "audit verify --dir x"] {
            let ran = room.run(line);
            assert!(ran.code == 3 || (about == "no slots" && ran.code == 1), "{about}: {ran:?}");
            assert!(ran.err.contains("密钥") || ran.err.contains("keys.json"), "{about}: {ran:?}");
        }
    }
    for text in ["", "{", "[]"] {
        spoilt(&room, "keys.json", |b| *b = text.into());
        both_find(&room, text, "keys.json");
    }
    fresh();
    fs::remove_file(room.at("x/keys.json")).unwrap();
    both_find(&room, "no slot file", "keys.json");
    fresh();
    room.edit_slots("x", |s| s["slots"][0]["path"] = "/nowhere/x.key".into());
    assert_eq!(content(&room, "x"), whole, "the key file beside the folder is tried too");
    fresh();
    fs::copy(room.at("e/store.redb"), room.at("x/store.redb")).unwrap();
    both_find(&room, "the store of another county", "密钥槽文件");
}

#[test]
fn a_key_file_that_is_no_text_is_the_wrong_one() {
    let (room, _) = county();
    spoilt(&room, "keys.json", |_| ());
    room.put("x.key", [0xff; 60]);
    both_find(&room, "a key file of bytes", "密钥文件");
}

/// Changes one character in the middle of a base64 text.
fn edit(value: &mut Value) {
    let mut text = value.as_str().unwrap().to_owned();
    let other = if text.as_bytes()[20] == b'A' { "B" } else { "A" };
    text.replace_range(20..21, other);
    *value = text.into();
}

#[test]
fn attachments_that_are_gone_or_changed_are_named() {
    let (room, whole) = county();
    let folder = format!("d/blobs/{}", room.names("d/blobs")[0]);
    let file = format!("{}/{}", &folder[2..], room.names(&folder)[0]);
    let length = room.bytes(&format!("d/{file}")).len();
    for at in [0, 8, 70_000, length - 1] {
        spoilt(&room, &file, |b| b[at] ^= 4);
        both_find(&room, &format!("attachment flipped at {at}"), "记录 583 的一个附件");
    }
    for keep in [0, 65_560, length - 1] {
        spoilt(&room, &file, |b| b.truncate(keep));
        both_find(&room, &format!("attachment cut to {keep}"), "记录 583 的一个附件");
    }
    spoilt(&room, &file, |b| b.push(0));
    both_find(&room, "attachment with a byte more", "记录 583 的一个附件");
    fs::remove_file(room.at(&format!("x/{file}"))).unwrap();
    both_find(&room, "attachment gone", "记录 583 的一个附件");
    fs::remove_dir_all(room.at("x/blobs")).unwrap();
    both_find(&room, "attachments gone", "记录 583 的一个附件");
    spoilt(&room, &file, |_| ());
    let nobodys =
        room.at(&format!("x/{file}")).with_file_name("00112233445566778899aabbccddeeff-001122334455");
    fs::write(nobodys, "nobody's").unwrap();
    assert_eq!(content(&room, "x"), whole);
    assert!(room.good("doctor --dir x").contains("无主附件 1 个"));
}

#[test]
fn a_damaged_index_heals_by_itself() {
    let (room, whole) = county();
    let heals = |about: &str| {
        assert!(found(&room, "x") == whole.found, "{about}: other answers");
    };
    spoilt(&room, "keys.json", |_| ());
    fs::remove_dir_all(room.at("x/index")).unwrap();
    heals("no index");
    room.put("file", "x");
    fs::remove_dir_all(room.at("x/index")).unwrap();
    fs::rename(room.at("file"), room.at("x/index")).unwrap();
    let ran = room.run("search --dir x 低保");
    assert!([0, 1].contains(&ran.code) && !ran.err.contains("panicked"), "a file for the folder: {ran:?}");
    let mut draw = Draw(17);
    let mut kinds = std::collections::BTreeSet::new();
    for name in room.names("d/index") {
        let file = format!("index/{name}");
        // A file of each kind: what holds for one segment holds for the next.
        if !name.ends_with(".json") && !kinds.insert(name.rsplit('.').next().unwrap_or_default().to_owned()) {
            continue;
        }
        let length = room.bytes(&format!("d/{file}")).len();
        if length == 0 {
            continue;
        }
        let flips = if name.ends_with(".json") { 6 } else { 1 };
        for _ in 0..flips {
            let (at, bit) = (draw.below(length), draw.below(8));
            spoilt(&room, &file, |b| b[at] ^= 1 << bit);
            heals(&format!("{name}: bit {bit} at {at}"));
        }
        spoilt(&room, &file, |b| b.truncate(length / 2));
        if draw.below(2) == 0 {
            fs::remove_file(room.at(&format!("x/{file}"))).unwrap();
        }
        heals(&format!("{name} cut or gone"));
    }
    let last = room.run("doctor --dir x");
    assert!(last.code == 0 && last.out.contains("[正常] 检索索引"), "{last:?}");
}

#[test]
fn an_older_store_is_found_by_a_head_kept_outside() {
    let (room, whole) = county();
    room.put("newer.head", format!("# from the auditor\n\n{}", whole.audit.out));
    let older = room.head("older");
    room.put("older.head", &older);
    room.good("audit verify --dir d --head newer.head --head older.head");
    spoilt(&room, "keys.json", |_| ());
    fs::copy(room.at("older/store.redb"), room.at("x/store.redb")).unwrap();
    assert_eq!(room.head("x"), older, "by itself an older store is in order");
    room.good("audit verify --dir x --head older.head");
    let ran = room.fails("audit verify --dir x --head newer.head", 3);
    assert!(ran.out.contains("库被回退"), "{ran:?}");
    assert_eq!(content(&room, "x"), content(&room, "older"), "the newer index does not answer for it");
    // Another history of the same length.
    room.put("p.jsonl", ledger::lines(&[ledger::petition("other", 99)]));
    room.good("import petitions p.jsonl --dir x");
    let ran = room.fails("audit verify --dir x --head newer.head", 3);
    assert!(ran.out.contains("与外部留存的链头不一致"), "{ran:?}");
    room.put("zero.head", format!("0 {}\n", "0".repeat(64)));
    room.fails("audit verify --dir d --head zero.head", 3);
}

#[test]
fn loose_permissions_are_told() {
    let (room, whole) = county();
    for mode in [0o755, 0o701] {
        spoilt(&room, "keys.json", |_| ());
        fs::set_permissions(room.at("x"), fs::Permissions::from_mode(mode)).unwrap();
        let ran = room.fails("doctor --dir x", 1);
        assert!(ran.out.contains("[问题] 目录权限") && ran.out.contains("chmod 700"), "{mode:o}: {ran:?}");
        assert_eq!(content(&room, "x"), whole);
    }
}

/// ASVS 13.3.2
#[test]
fn a_key_file_that_others_can_read_is_told() {
    let (room, _) = county();
    spoilt(&room, "keys.json", |_| ());
    fs::set_permissions(room.at("x.key"), fs::Permissions::from_mode(0o644)).unwrap();
    let ran = room.run("doctor --dir x");
    let key = ran.out.lines().find(|l| l.contains("密钥：")).unwrap();
    assert!(key.contains("chmod 600") || key.contains("其他用户"), "{ran:?}");
}

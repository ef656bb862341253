//! A journal that somebody with root and the key changed: without chaining it again it does not hold, and the first
//! entry that is wrong is named; chained again it does not fit a head that was kept outside. What came after the last
//! such head is the stated limit.
//!
//! `JICENG_CAMPAIGN=n` tries n times as many; the same number is always the same change.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use aws_lc_rs::digest::{SHA256, digest};
use jiceng::app::audit::heads::chain_only;
use jiceng::base::{RecordId, Seq};
use jiceng::records::{Author, act, decide, petition};
use jiceng::store::{Act, Doer, Head};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

use crate::room::{Draw, Room};

const JOURNAL: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("journal");
const RECORDS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("records");
const META: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("meta");
const CASES: usize = 220;

/// The rows of a store that matter here.
#[derive(Clone)]
struct Rows {
    journal: BTreeMap<u64, Vec<u8>>,
    records: BTreeMap<u64, Vec<u8>>,
    head: Vec<u8>,
}

impl Rows {
    fn read(dir: &Path) -> Self {
        let db = Database::open(dir.join("store.redb")).unwrap();
        let txn = db.begin_read().unwrap();
        let all = |table: TableDefinition<'_, u64, &'static [u8]>| -> BTreeMap<u64, Vec<u8>> {
            let table = txn.open_table(table).unwrap();
            table.iter().unwrap().map(|r| r.map(|(k, v)| (k.value(), v.value().to_vec())).unwrap()).collect()
        };
        let meta = txn.open_table(META).unwrap();
        let head = meta.get(&b"head"[..]).unwrap().unwrap().value().to_vec();
        Self { journal: all(JOURNAL), records: all(RECORDS), head }
    }

    /// Makes a folder's store hold these rows.
    fn write(&self, dir: &Path) {
        let db = Database::open(dir.join("store.redb")).unwrap();
        let txn = db.begin_write().unwrap();
        for (table, rows) in [(JOURNAL, &self.journal), (RECORDS, &self.records)] {
            let mut table = txn.open_table(table).unwrap();
            table.retain(|key, _| rows.contains_key(&key)).unwrap();
            for (key, value) in rows {
                table.insert(key, value.as_slice()).unwrap();
            }
        }
        txn.open_table(META).unwrap().insert(&b"head"[..], self.head.as_slice()).unwrap();
        txn.commit().unwrap();
    }

    fn last(&self) -> u64 {
        *self.journal.last_key_value().unwrap().0
    }

    fn head_at(&self, seq: u64) -> Head {
        let bytes = &self.journal[&seq];
        let at = header_end(bytes) + 32;
        Head { seq: Seq(seq), hash: bytes[at..at + 32].try_into().unwrap() }
    }

    /// Numbers and chains the entries anew, and makes the last one the head: what somebody with the key can do.
    fn chain_again(&mut self) {
        let entries: Vec<Vec<u8>> = self.journal.values().cloned().collect();
        self.journal.clear();
        let mut before = [0; 32];
        for (seq, entry) in (1_u64..).zip(entries) {
            let end = header_end(&entry);
            let header = renumbered(&entry[4..end], seq);
            let (payload_digest, payload) = (&entry[end..end + 32], &entry[end + 64..]);
            let all = [b"jiceng-journal-1", &seq.to_be_bytes()[..], &before, &header, payload_digest].concat();
            before = digest(&SHA256, &all).as_ref().try_into().unwrap();
            let length = u32::try_from(header.len()).unwrap().to_be_bytes();
            let entry = [&length[..], &header, payload_digest, &before, payload].concat();
            self.journal.insert(seq, entry);
        }
        self.head = [&self.last().to_be_bytes()[..], &before].concat();
    }

    /// The keys of the entries as if nothing were missing or too many.
    fn closed(entries: Vec<Vec<u8>>) -> BTreeMap<u64, Vec<u8>> {
        (1..).zip(entries).collect()
    }
}

fn header_end(entry: &[u8]) -> usize {
    4 + u32::from_be_bytes(entry[..4].try_into().unwrap()) as usize
}

/// The header with another number in it.
fn renumbered(header: &[u8], seq: u64) -> Vec<u8> {
    let mut d = minicbor::Decoder::new(header);
    d.array().unwrap();
    d.u8().unwrap();
    d.u64().unwrap();
    let from = d.position();
    d.u64().unwrap();
    let mut number = Vec::new();
    minicbor::Encoder::new(&mut number).u64(seq).unwrap();
    [&header[..from], &number, &header[d.position()..]].concat()
}

/// The header with another account in it: somebody else did it.
fn blamed(entry: &[u8], account: u64) -> Vec<u8> {
    let end = header_end(entry);
    let mut d = minicbor::Decoder::new(&entry[4..end]);
    d.array().unwrap();
    d.u8().unwrap();
    d.u64().unwrap();
    d.u64().unwrap();
    d.i64().unwrap();
    let from = d.position();
    d.u64().unwrap();
    let mut number = Vec::new();
    minicbor::Encoder::new(&mut number).u64(account).unwrap();
    let header = [&entry[4..4 + from], &number, &entry[4 + d.position()..end]].concat();
    let length = u32::try_from(header.len()).unwrap().to_be_bytes();
    [&length[..], &header, &entry[end..]].concat()
}

/// A county whose journal has changes, reads and refusals; what it held some time ago lies in `older`.
fn county() -> (Room, Rows, Rows) {
    let room = Room::bare();
    let store = crate::import::opened(&room.at("d"));
    let doer = Doer { account: RecordId(1), unit: RecordId(1), via: "test".to_owned() };
    let author = Author { account: RecordId(1), unit: RecordId(1) };
    let mut older = None;
    let mut first = RecordId(0);
    for n in 0..30 {
        let doer = doer.clone();
        let record = decide::create(&petition::KIND, (petition::KIND.sample)(n), author, store.now()).unwrap();
        let own = doer.clone();
        let id = store
            .submit(move |txn| {
                txn.act(Act::new(own, act::CREATE));
                txn.create(record)
            })
            .unwrap();
        first = if n == 0 { id } else { first };
        let changed = store.submit(move |txn| {
            let mut record = txn.get(first)?.unwrap();
            record.version += 1;
            record.fields = record.fields.with_text(petition::tag::TITLE, format!("第 {n} 次修改"));
            txn.act(Act::new(doer, if n % 2 == 0 { act::UPDATE } else { act::ADVANCE }));
            txn.update(record)
        });
        changed.unwrap();
        if n == 20 {
            room.copy("d", "older");
            older = Some(());
        }
    }
    older.unwrap();
    drop(store);
    let (now, then) = (Rows::read(&room.at("d")), Rows::read(&room.at("older")));
    (room, now, then)
}

/// What was done to a copy: its name, and the first entry that is not what it was (0: none, a record is).
fn tamper(rows: &mut Rows, older: &Rows, (kind, draw): (usize, &mut Draw)) -> (&'static str, u64) {
    let last = rows.last();
    let at = 2 + draw.below(last as usize - 3) as u64;
    let mut entries: Vec<Vec<u8>> = rows.journal.values().cloned().collect();
    let place = at as usize - 1;
    match kind {
        0 => {
            let blamed = blamed(&entries[place], 77);
            rows.journal.insert(at, blamed);
            ("edit", at)
        }
        1 => {
            let entry = rows.journal.get_mut(&at).unwrap();
            let (byte, bit) = (4 + draw.below(entry.len() - 4), draw.below(8));
            entry[byte] ^= 1 << bit;
            ("flip", at)
        }
        2 => {
            let copy = entries[place].clone();
            entries.insert(place, copy);
            rows.journal = Rows::closed(entries);
            ("insert", at + 1)
        }
        3 => {
            entries.remove(place);
            rows.journal = Rows::closed(entries);
            ("delete", at)
        }
        4 => {
            rows.journal.remove(&at);
            ("hole", at)
        }
        5 => {
            entries.swap(place, place + 1);
            rows.journal = Rows::closed(entries);
            ("reorder", at)
        }
        6 => {
            rows.journal.retain(|seq, _| *seq < at);
            ("cut", at)
        }
        _ => {
            let mut old = older.records.iter().filter(|(id, value)| rows.records[id] != **value);
            let (id, value) = old.next_back().unwrap();
            rows.records.insert(*id, value.clone());
            ("old row", 0)
        }
    }
}

/// A copy of the county's folder that holds these rows.
fn laid_out(room: &Room, rows: &Rows) {
    fs::copy(room.at("d/store.redb"), room.at("x/store.redb")).unwrap();
    rows.write(&room.at("x"));
}

/// ASVS 16.4.2
#[test]
fn what_is_not_chained_again_is_found_and_named() {
    let (room, whole, older) = county();
    room.copy("d", "x");
    let dir = room.at("x");
    let cases = CASES / 2 * std::env::var("JICENG_CAMPAIGN").map_or(1, |n| n.parse::<usize>().unwrap());
    for case in 0..cases {
        let mut draw = Draw(1_000 + case as u64);
        let mut rows = whole.clone();
        let (what, first) = tamper(&mut rows, &older, (case % 8, &mut draw));
        laid_out(&room, &rows);
        let (report, told) = chain_only(&dir, &[whole.head_at(whole.last())]).unwrap();
        let named = report.problems.first().unwrap_or_else(|| panic!("case {case}: {what} at {first} is not seen"));
        let place = if first == 0 { "旧版本".to_owned() } else { format!("第 {first} 条") };
        let cut = what == "cut" && report.cut && told[0].starts_with("尾部被截断");
        assert!(named.contains(&place) || cut, "case {case}: {what} at {first}: {:?}", report.problems);
        // With the keys the same is found, and the first line says the same.
        if case % 16 < 8 && case < 32 {
            let ran = room.fails("audit verify --dir x", 3);
            assert_eq!(ran.out.lines().next().unwrap(), format!("问题：{named}"), "case {case}: {what}");
        }
    }
}

#[test]
fn what_is_chained_again_does_not_fit_a_head_kept_outside() {
    let (room, whole, older) = county();
    room.copy("d", "x");
    let dir = room.at("x");
    let cases = CASES / 2 * std::env::var("JICENG_CAMPAIGN").map_or(1, |n| n.parse::<usize>().unwrap());
    let (mut beyond, mut found) = (0, 0);
    for case in 0..cases {
        let mut draw = Draw(9_000 + case as u64);
        let mut rows = whole.clone();
        let kinds = [0, 2, 3, 5, 6];
        let (what, first) = tamper(&mut rows, &older, (kinds[case % kinds.len()], &mut draw));
        rows.chain_again();
        laid_out(&room, &rows);
        let kept = 1 + draw.below(whole.last() as usize) as u64;
        let (report, told) = chain_only(&dir, &[whole.head_at(kept), whole.head_at(1)]).unwrap();
        assert!(report.walked.problem.is_none(), "case {case}: {what}: it is a chain: {report:?}");
        if kept < first {
            beyond += 1;
            assert!(told.is_empty(), "case {case}: {what} at {first} is after head {kept}: {told:?}");
            continue;
        }
        found += 1;
        let cut = kept > rows.last();
        let word = if cut { "库被回退" } else { "分叉" };
        assert!(told.len() == 1 && told[0].starts_with(word), "case {case}: {what} at {first}, head {kept}: {told:?}");
    }
    assert!(found > cases / 4 && beyond > cases / 8, "{found} found, {beyond} beyond the head, of {cases}");
}

#[test]
fn an_older_copy_is_a_roll_back_and_what_goes_on_from_it_a_fork() {
    let (room, whole, older) = county();
    let head = |rows: &Rows| {
        let head = rows.head_at(rows.last());
        format!("{}:{}", head.seq, hex::encode(head.hash))
    };
    let verify = |more: &str, head: &str| room.run(&format!("audit verify --dir older {more} --head {head}"));
    for more in ["", "--no-key"] {
        assert_eq!(verify(more, &head(&older)).code, 0);
        let ran = verify(more, &head(&whole));
        assert!(ran.code == 3 && ran.out.contains("问题：库被回退"), "{ran:?}");
    }
    let store = crate::import::opened(&room.at("older"));
    for _ in 0..40 {
        let act = Act::new(Doer { account: RecordId(1), unit: RecordId(1), via: "test".into() }, act::LOGIN);
        store
            .submit(move |txn| {
                txn.act(act);
                Ok(())
            })
            .unwrap();
    }
    drop(store);
    let both = format!("{} --head {}", head(&whole), head(&older));
    for more in ["", "--no-key"] {
        let ran = verify(more, &both);
        let from = format!("第 {} 条至第 {} 条之间被改写", older.last() + 1, whole.last());
        assert!(ran.code == 3 && ran.out.contains("问题：分叉") && ran.out.contains(&from), "{ran:?}");
    }
}

#[test]
fn nothing_is_needed_and_nothing_written_without_scripts() {
    let (room, whole, _) = county();
    fs::remove_file(room.at("d.key")).unwrap();
    fs::remove_file(room.at("d/keys.json")).unwrap();
    let before = room.bytes("d/store.redb");
    let ran = room.run("audit verify --dir d --no-key");
    let head = whole.head_at(whole.last());
    assert!(ran.code == 0 && ran.out.trim() == format!("{} {}", head.seq, hex::encode(head.hash)), "{ran:?}");
    assert!(ran.err.contains("未使用密钥"), "{ran:?}");
    assert!(before == room.bytes("d/store.redb"));
    assert_eq!(room.run("audit verify --dir nowhere --no-key").code, 1);
}

#[test]
fn the_manifest_of_a_backup_set_is_a_head_for_whoever_has_its_key() {
    let room = Room::bare();
    let keys = ["a", "b"].map(|k| room.good(&format!("backup keygen --out {k}.key --dir d")).trim().to_owned());
    room.copy("d", "older");
    // The second set holds the entry of the first.
    for _ in 0..2 {
        room.good(&format!("backup run --dir d --to t --recipient {} --recipient {}", keys[0], keys[1]));
    }
    let mut manifests: Vec<String> = room.names("t").into_iter().filter(|n| n.ends_with(".manifest.age")).collect();
    manifests.sort();
    let manifest = manifests.pop().unwrap();
    let verify = |dir: &str| format!("audit verify --dir {dir} --manifest t/{manifest} --identity a.key");
    // The key is read by the command, not by the server that holds the folder.
    let server = room.serve("d");
    let ran = room.run(&verify("d"));
    assert!(ran.code == 0 && ran.err.contains("核对外部链头 1 个"), "{ran:?}");
    room.fails("audit verify --dir d --no-key", 1);
    drop(server);
    for more in ["", " --no-key"] {
        let ran = room.run(&format!("{}{more}", verify("older")));
        assert!(ran.code == 3 && ran.out.contains("问题：库被回退"), "{ran:?}");
    }
    room.fails(&format!("audit verify --dir d --manifest t/{manifest}"), 2);
    room.put("t/other.manifest.age", "nothing");
    room.fails("audit verify --dir d --manifest t/other.manifest.age --identity a.key", 3);
}

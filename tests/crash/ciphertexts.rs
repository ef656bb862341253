//! Ciphertexts in the wrong place: sealed values, keys, entries, facts and attachments are moved to where others
//! belong, cut, spliced, or changed in a bit, and values are put back in an earlier version. Whatever was done, the
//! store refuses to open, the check flags it, or the reading fails: nothing of it is taken for what belongs there.
//!
//! `JICENG_CAMPAIGN=n` tries n times as many; the same number is always the same change.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use jiceng::app::change::Typed;
use jiceng::app::{Actor, App, demo};
use jiceng::base::RecordId;
use jiceng::records::petition;
use jiceng::store::{DATABASE_FILE, Store};
use redb::{ReadableDatabase, ReadableTable, TableDefinition};

use super::disk::{Chance, Disk};
use super::{campaign, clock};

const TRIALS: usize = 400;
const PETITIONS: usize = 12;

/// Tables by number, whose values are sealed or chained.
const NUMBERED: [TableDefinition<'_, u64, &[u8]>; 3] =
    [TableDefinition::new("records"), TableDefinition::new("record_keys"), TableDefinition::new("journal")];
const META: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("meta");

type Rows<K> = BTreeMap<K, Vec<u8>>;

/// Everything sealed that a store holds.
#[derive(Clone, PartialEq, Eq)]
struct Content {
    numbered: [Rows<u64>; 3],
    sealed: Rows<Vec<u8>>,
}

/// The same county at two times.
struct County {
    _home: tempfile::TempDir,
    dir: PathBuf,
    now: Vec<u8>,
    before: Content,
    after: Content,
    blobs: Vec<PathBuf>,
}

fn pair(name: &str, text: impl Into<String>) -> (String, String) {
    (name.to_owned(), text.into())
}

fn typed(n: usize, text: &str) -> Vec<(String, String)> {
    vec![
        pair("title", format!("第{n}件")),
        pair("text", text),
        pair("petitioner.name", format!("来信人{n}")),
        pair("accused.0.name", "赵甲"),
        pair("accused.0.rank", "村(社区)干部"),
    ]
}

fn register(app: &App, actor: &Actor, n: usize) -> RecordId {
    let mut blob = app.upload().unwrap();
    blob.write(&vec![u8::try_from(n).unwrap(); 70_000]).unwrap();
    let files = vec![blob.finish("原件.txt").unwrap()];
    let typed = Typed { raw: typed(n, "水渠没有修好。"), files, submit: format!("{n:032x}"), ..Typed::default() };
    app.create(actor, &petition::KIND, typed).unwrap()
}

fn county() -> County {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("d");
    let app = demo::create(&dir, clock(), true).unwrap();
    let actor = app.demo_actor(demo::EVERYTHING).unwrap();
    let ids: Vec<RecordId> = (0..PETITIONS).map(|n| register(&app, &actor, n)).collect();
    for n in 0..3 {
        let kept = Typed { raw: typed(n, "草稿"), ..Typed::default() };
        assert!(app.keep_draft(&actor, &petition::KIND, &format!("{n:032x}"), kept).unwrap());
    }
    app.wait_for_index().unwrap();
    drop(app);
    let before = content(&fs::read(dir.join(DATABASE_FILE)).unwrap());
    let app = App::open(&dir, clock()).unwrap();
    let kept = Typed { raw: typed(0, "草稿，改过一次"), ..Typed::default() };
    assert!(app.keep_draft(&actor, &petition::KIND, &format!("{:032x}", 0), kept).unwrap());
    app.throw_draft(&actor, &format!("{:032x}", 1)).unwrap();
    for (n, id) in ids.into_iter().enumerate() {
        let (raw, submit) = (typed(n, "水渠已经修好。"), format!("a{n:031x}"));
        let typed = Typed { raw, submit, revealed: true, ..Typed::default() };
        app.amend(&actor, &petition::KIND, (id, 1), typed).unwrap();
    }
    app.wait_for_index().unwrap();
    drop(app);
    let now = fs::read(dir.join(DATABASE_FILE)).unwrap();
    let after = content(&now);
    let folders = fs::read_dir(dir.join("blobs")).unwrap().map(|f| f.unwrap().path());
    let mut blobs: Vec<PathBuf> =
        folders.flat_map(|f| fs::read_dir(f).unwrap().map(|b| b.unwrap().path()).collect::<Vec<_>>()).collect();
    blobs.sort();
    assert_eq!(blobs.len(), PETITIONS);
    County { _home: home, dir, now, before, after, blobs }
}

fn content(bytes: &[u8]) -> Content {
    let db = redb::Database::builder().create_with_backend(Disk::of(bytes.to_vec())).unwrap();
    let txn = db.begin_read().unwrap();
    let numbered = NUMBERED.map(|table| {
        let rows = txn.open_table(table).unwrap();
        rows.iter().unwrap().map(|r| r.map(|(k, v)| (k.value(), v.value().to_vec())).unwrap()).collect()
    });
    let meta = txn.open_table(META).unwrap();
    let all = meta.iter().unwrap().map(|r| r.map(|(k, v)| (k.value().to_vec(), v.value().to_vec())).unwrap());
    let sealed = all.filter(|(name, _)| name.starts_with(b"secret.") || name.starts_with(b"draft.")).collect();
    Content { numbered, sealed }
}

/// The county's database with other content.
fn changed(county: &County, to: &Content) -> Disk {
    let disk = Disk::of(county.now.clone());
    let db = redb::Database::builder().create_with_backend(disk.clone()).unwrap();
    let txn = db.begin_write().unwrap();
    for (n, table) in NUMBERED.into_iter().enumerate() {
        let mut rows = txn.open_table(table).unwrap();
        for (id, value) in to.numbered[n].iter().filter(|(id, v)| county.after.numbered[n].get(id) != Some(v)) {
            rows.insert(*id, value.as_slice()).unwrap();
        }
    }
    {
        let mut meta = txn.open_table(META).unwrap();
        for (name, value) in to.sealed.iter().filter(|(name, v)| county.after.sealed.get(*name) != Some(v)) {
            meta.insert(name.as_slice(), value.as_slice()).unwrap();
        }
    }
    txn.commit().unwrap();
    drop(db);
    disk
}

/// Whether the store takes everything for what belongs there.
fn accepts(dir: &Path, disk: Disk) -> bool {
    let Ok(store) = Store::open_on(dir, clock(), disk) else { return false };
    let Ok(report) = store.check() else { return false };
    report.faults == 0 && report.damaged.is_empty()
}

fn any<'a, K, V>(rows: &'a BTreeMap<K, V>, chance: &mut Chance) -> (&'a K, &'a V) {
    rows.iter().nth(chance.below(rows.len())).unwrap()
}

fn flip(bytes: &mut [u8], chance: &mut Chance) {
    let at = chance.below(bytes.len());
    bytes[at] ^= 1 << chance.below(8);
}

/// One thing done to the rows; what it was.
fn tamper(county: &County, chance: &mut Chance) -> (Content, String) {
    let mut to = county.after.clone();
    let (a, b) = (any(&county.after.numbered[0], chance).0, any(&county.after.numbered[0], chance).0);
    let table = chance.below(3);
    let what = match chance.below(12) {
        // Drafts that were written over or thrown away since.
        10 | 11 => {
            let (name, value) = any(&county.before.sealed, chance);
            to.sealed.insert(name.clone(), value.clone());
            "an earlier sealed fact".to_owned()
        }
        0 => {
            to.numbered[0].insert(*a, county.after.numbered[0][b].clone());
            format!("value of {b} moved to {a}")
        }
        1 => {
            for rows in &mut to.numbered[..2] {
                rows.insert(*a, rows[b].clone());
            }
            format!("value and key of {b} moved to {a}")
        }
        2 => {
            let (id, value) = any(&county.before.numbered[0], chance);
            to.numbered[0].insert(*id, value.clone());
            format!("earlier version of {id}")
        }
        3 => {
            // The sealed parts of one record under the head of another.
            let (head, tail) = (&county.after.numbered[0][a][..11], &county.after.numbered[0][b]);
            to.numbered[0].insert(*b, [head, &tail[11.min(tail.len())..]].concat());
            format!("head of {a} before the value of {b}")
        }
        4 => {
            let length = chance.below(county.after.numbered[0][a].len());
            to.numbered[0].get_mut(a).unwrap().truncate(length);
            format!("value of {a} cut to {length}")
        }
        5 => {
            let (x, y) = (*any(&to.numbered[2], chance).0, *any(&to.numbered[2], chance).0);
            to.numbered[2].insert(x, county.after.numbered[2][&y].clone());
            format!("entry {y} in place of {x}")
        }
        6 => {
            let (x, y) = (any(&county.after.sealed, chance).0, any(&county.after.sealed, chance).0);
            to.sealed.insert(x.clone(), county.after.sealed[y].clone());
            "a sealed fact under another name".to_owned()
        }
        7 => {
            let name = any(&county.after.sealed, chance).0;
            flip(to.sealed.get_mut(name).unwrap(), chance);
            "a bit of a sealed fact".to_owned()
        }
        _ => {
            let id = *any(&to.numbered[table], chance).0;
            flip(to.numbered[table].get_mut(&id).unwrap(), chance);
            format!("a bit of row {id} of table {table}")
        }
    };
    (to, what)
}

/// One thing done to the attachments, undone again; whether the store took it.
fn accepts_attachment(county: &County, chance: &mut Chance) -> (bool, String) {
    let (one, other) = (&county.blobs[chance.below(PETITIONS)], &county.blobs[chance.below(PETITIONS)]);
    let (whole, foreign) = (fs::read(one).unwrap(), fs::read(other).unwrap());
    let mut bytes = whole.clone();
    let what = match chance.below(3) {
        0 => {
            bytes = foreign;
            "another attachment"
        }
        1 => {
            bytes.truncate(chance.below(bytes.len()));
            "a cut attachment"
        }
        _ => {
            flip(&mut bytes, chance);
            "a bit of an attachment"
        }
    };
    if bytes == whole {
        return (false, "nothing".to_owned());
    }
    fs::write(one, &bytes).unwrap();
    let accepted = accepts(&county.dir, Disk::of(county.now.clone()));
    fs::write(one, whole).unwrap();
    (accepted, what.to_owned())
}

/// ASVS 11.2.5
#[test]
fn what_is_moved_replayed_or_altered_is_never_accepted() {
    let county = county();
    assert!(accepts(&county.dir, Disk::of(county.now.clone())), "the county itself");
    assert!(accepts(&county.dir, changed(&county, &county.after)), "the county written by this test");
    let trials = TRIALS * campaign();
    let (mut tried, mut accepted) = (0, Vec::new());
    for n in 0..trials {
        let mut chance = Chance(n as u64);
        let (taken, what) = if n % 8 == 0 {
            accepts_attachment(&county, &mut chance)
        } else {
            let (to, what) = tamper(&county, &mut chance);
            if to == county.after {
                continue;
            }
            (accepts(&county.dir, changed(&county, &to)), what)
        };
        tried += 1;
        accepted.extend(taken.then(|| format!("trial {n}: {what}")));
    }
    println!("{tried} ciphertexts moved, replayed or altered: {} accepted", accepted.len());
    assert!(tried > trials / 2);
    assert_eq!(accepted, [""; 0]);
}

//! A store that follows another one by segments made of that one's rows is the same store, or stays what it was.

#![cfg(test)]

use std::collections::BTreeSet;
use std::sync::Arc;

use tempfile::TempDir;

use super::super::{Doer, Halt, ListQuery, Place, Snapshot, load};
use super::*;
use crate::base::{ErrorKind, clock::ManualClock};
use crate::records::label::Label;
use crate::records::{Author, Value, act, batch, decide, org, petition};

fn doer() -> Doer {
    Doer { account: RecordId(1), unit: RecordId(2), via: "test".into() }
}

fn author() -> Author {
    Author { account: RecordId(1), unit: RecordId(2) }
}

fn enter(store: &Store, action: act::Action) -> Result<()> {
    store.submit(move |txn| {
        txn.act(Act::new(doer(), action));
        Ok(())
    })
}

fn create(txn: &mut Txn<'_>, kind: &'static records::Kind, n: u64) -> Result<RecordId> {
    txn.create(decide::create(kind, (kind.sample)(n), author(), txn.now()).unwrap())
}

fn titled(store: &Store, id: RecordId, title: String) -> Result<()> {
    store.submit(move |txn| {
        let mut record = txn.get(id)?.unwrap();
        record.version += 1;
        record.fields.insert(petition::tag::TITLE, Value::Text(title));
        txn.act(Act::new(doer(), act::UPDATE));
        txn.update(record)
    })
}

/// Two hosts with the same store: one works, the other follows.
struct Pair {
    home: TempDir,
    main: Store,
    standby: Store,
}

impl Pair {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let (dir, key) = (home.path().join("main"), home.path().join("main.key"));
        let main = Store::create(&dir, &key, "测试县", true, Arc::new(ManualClock::default())).unwrap();
        main.submit(|txn| {
            create(txn, &org::KIND, 1)?;
            txn.act(Act::new(doer(), act::INIT));
            Ok(())
        })
        .unwrap();
        let standby = copy(&main, &home, "standby");
        standby.follow("of the test".into(), None).unwrap();
        Self { home, main, standby }
    }

    /// What the segment after an entry would bring.
    fn change(&self, from: u64) -> Change {
        let snapshot = self.main.read().unwrap();
        let mut all = rows(&snapshot);
        let entries = snapshot.journal_after(Seq(from)).unwrap().map(Result::unwrap);
        let subjects = entries.flat_map(|e| e.header.subjects).filter(|s| s.digest.is_some());
        let changed: BTreeSet<u64> = subjects.map(|s| s.id.0).collect();
        let moved = snapshot.journal_after(Seq(from)).unwrap().any(|e| e.unwrap().header.action == 63);
        let number = |key: &[u8]| u64::from_be_bytes(key.try_into().unwrap());
        all.retain(|row| match row.table {
            3 => changed.contains(&number(&row.key)),
            4 => moved || changed.contains(&number(&row.key)),
            5 => number(&row.key) > from,
            _ => true,
        });
        Change {
            store: self.main.facts().store.clone(),
            from: Seq(from),
            head: self.main.head(),
            generations: snapshot.generations().to_vec(),
            whole_meta: true,
            rows: all,
        }
    }

    fn follows(&self) {
        assert_eq!(self.standby.apply(self.change(self.standby.head().seq.0)).unwrap(), Applied::Moved);
        self.is_same();
    }

    /// Everything that lasts is the same, derived tables fit, and whatever main opens opens here.
    fn is_same(&self) {
        let own = |row: &ArchiveRow| !row.key.starts_with(b"local.") && row.table != 7;
        let lasting: Vec<_> = rows(&self.standby.read().unwrap()).into_iter().filter(own).collect();
        assert_eq!(lasting, rows(&self.main.read().unwrap()));
        assert_eq!(self.standby.head(), self.main.head());
        let purged = |store: &Store| store.read().unwrap().purged(Seq(0)).unwrap();
        assert_eq!(purged(&self.standby), purged(&self.main));
        assert_eq!(self.standby.check().unwrap().problems, [""; 0]);
    }
}

fn rows(snapshot: &Snapshot) -> Vec<ArchiveRow> {
    let mut rows = Vec::new();
    snapshot
        .dump(&mut |row| {
            rows.push(row);
            Ok(())
        })
        .unwrap();
    rows
}

fn copy(of: &Store, home: &TempDir, name: &str) -> Store {
    let snapshot = of.read().unwrap();
    let (dir, key) = (home.path().join(name), home.path().join(format!("{name}.key")));
    let mut all = rows(&snapshot).into_iter().map(Ok);
    let (id, clock) = (&of.facts().store, Arc::new(ManualClock::default()));
    let place = Place { dir: &dir, key_file: &key, fleeting: false };
    load(place, id, snapshot.generations().to_vec(), &mut all, clock).unwrap()
}

fn seeded(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    move |below| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    }
}

/// One act of a working county, whatever comes.
fn work(main: &Store, pick: &mut impl FnMut(u64) -> u64, known: &mut Vec<RecordId>) {
    let n = pick(1_000);
    match pick(9) {
        7 if !known.is_empty() => {
            let id = known.swap_remove(usize::try_from(pick(known.len() as u64)).unwrap());
            main.submit(move |txn| {
                txn.act(Act::new(doer(), act::PURGE));
                txn.purge(id).map(drop)
            })
            .unwrap();
        }
        0..=2 => known.push(main.submit(move |txn| {
            txn.act(Act::new(doer(), act::CREATE));
            create(txn, &petition::KIND, n)
        }).unwrap()),
        3 | 4 if !known.is_empty() => {
            let id = known[usize::try_from(pick(known.len() as u64)).unwrap()];
            titled(main, id, format!("反映修路资金的问题 {n}")).unwrap();
        }
        5 => main.submit(move |txn| {
            let batch = create(txn, &batch::KIND, n)?;
            txn.within(batch);
            let mut record = decide::create(&petition::KIND, (petition::KIND.sample)(n), author(), txn.now()).unwrap();
            record.fields.insert(records::record::BATCH, Value::Link(batch));
            txn.create(record)?;
            txn.act(Act::new(doer(), act::IMPORT));
            Ok(())
        }).unwrap(),
        6 => main.submit(move |txn| {
            let name = format!("choice.{n}.petition");
            txn.keep(&name, &records::Fields::default().with_text(16, "state=2"))?;
            if n.is_multiple_of(2) {
                txn.forget("choice.1.petition");
            }
            txn.act(Act::new(doer(), act::CHOICE));
            Ok(())
        }).unwrap(),
        _ if main.is_rotating() => {
            while main.rewrap(0, Act::new(doer(), act::KEY_REWRAPPED)).unwrap().moved > 0 {}
            main.end_rotation(Act::new(doer(), act::KEY_ROTATED)).unwrap();
        }
        _ if n.is_multiple_of(4) => drop(main.begin_rotation(Act::new(doer(), act::KEY_ROTATION)).unwrap()),
        _ => enter(main, act::LOGIN).unwrap(),
    }
}

#[test]
fn a_store_that_follows_is_the_same_store_after_every_segment() {
    let seeds = 6 * std::env::var("JICENG_CAMPAIGN").map_or(1, |n| n.parse::<u64>().unwrap());
    for seed in 1..=seeds {
        let (pair, mut pick, mut known) = (Pair::new(), seeded(seed), Vec::new());
        for _ in 0..6 {
            for _ in 0..=pick(5) {
                work(&pair.main, &mut pick, &mut known);
            }
            // The log of another start may reach back behind what is here.
            let back = pick(4).min(pair.standby.head().seq.0);
            let change = pair.change(pair.standby.head().seq.0 - back);
            assert_eq!(pair.standby.apply(change).unwrap(), Applied::Moved, "seed {seed}");
            pair.is_same();
            assert_eq!(pair.standby.apply(pair.change(0)).unwrap(), Applied::Known, "seed {seed}");
        }
        let generations = |store: &Store| store.read().unwrap().generations().len();
        assert_eq!(generations(&pair.standby), generations(&pair.main), "seed {seed}");
        let dir = pair.standby.dir().to_owned();
        drop(pair.standby);
        let again = Store::open(&dir, Arc::new(ManualClock::default())).unwrap();
        assert!(again.check().unwrap().problems.is_empty() && again.halted() == Some(Halt::Following));
    }
}

/// Puts another value for a fact into a segment.
fn said(change: &mut Change, name: &str, value: &[u8]) {
    let row = change.rows.iter_mut().find(|r| r.key == name.as_bytes()).unwrap();
    row.value = value.to_vec();
}

#[test]
fn what_is_not_the_next_piece_of_this_store_changes_nothing() {
    let pair = Pair::new();
    let id = pair.main.submit(|txn| {
        txn.act(Act::new(doer(), act::CREATE));
        create(txn, &petition::KIND, 1)
    });
    let id = id.unwrap();
    pair.follows();
    let old = rows(&pair.main.read().unwrap()).into_iter().find(|r| r.table == 3 && r.key == id.0.to_be_bytes());
    let from = pair.standby.head().seq.0;
    titled(&pair.main, id, "第二版".into()).unwrap();
    enter(&pair.main, act::LOGIN).unwrap();
    pair.main.begin_rotation(Act::new(doer(), act::KEY_ROTATION)).unwrap();
    pair.main.rewrap(0, Act::new(doer(), act::KEY_REWRAPPED)).unwrap();
    let at = |change: &Change, table: u8| change.rows.iter().position(|r| r.table == table).unwrap();
    type Spoil<'a> = (&'a str, Box<dyn Fn(&mut Change) + 'a>);
    let spoils: Vec<Spoil<'_>> = vec![
        ("of another store", Box::new(|c| c.store = "00".repeat(16))),
        ("cut at the end", Box::new(|c| drop(c.rows.pop()))),
        ("half its entries", Box::new(|c| drop(c.rows.drain(at(c, 5)..at(c, 5) + 2)))),
        ("without the record", Box::new(|c| drop(c.rows.remove(at(c, 3))))),
        ("with a record that nothing names", Box::new(|c| {
            let mut more = c.rows[at(c, 3)].clone();
            more.key = 1_u64.to_be_bytes().to_vec();
            let place = at(c, 3);
            c.rows.insert(place, more);
        })),
        ("with the record as it was", Box::new(|c| {
            let place = at(c, 3);
            c.rows[place] = old.clone().unwrap();
        })),
        ("without a key", Box::new(|c| drop(c.rows.remove(at(c, 4))))),
        ("with another generation key", Box::new(|c| c.generations[0].1 = Secret::random().unwrap())),
        ("without the new generation", Box::new(|c| drop(c.generations.pop()))),
        ("without the old generation", Box::new(|c| {
            c.generations.remove(0);
            c.rows.retain(|r| r.table != 4 || r.key == 0_u64.to_be_bytes());
        })),
        ("to another head", Box::new(|c| c.head.hash[0] ^= 1)),
        ("of another epoch", Box::new(|c| said(c, "epoch", b"9"))),
        ("with ids beyond", Box::new(|c| said(c, "next_id", b"99"))),
        ("with another secret", Box::new(|c| said(c, "secret.blob", &[7; 60]))),
        ("of a newer format", Box::new(|c| said(c, "version", b"99"))),
        ("with a table that is not known", Box::new(|c| c.rows[0].table = 9)),
    ];
    let before = rows(&pair.standby.read().unwrap());
    let slots = std::fs::read(pair.standby.dir().join("keys.json")).unwrap();
    for (what, spoil) in &spoils {
        let mut change = pair.change(from);
        spoil(&mut change);
        assert!(pair.standby.apply(change).is_err(), "{what}");
        assert_eq!(rows(&pair.standby.read().unwrap()), before, "{what}");
        assert_eq!(std::fs::read(pair.standby.dir().join("keys.json")).unwrap(), slots, "{what}");
        assert!(pair.standby.check().unwrap().problems.is_empty(), "{what}");
    }
    // What was written before this program brought the store up is taken, and the store stays what it is.
    let mut older = pair.change(from);
    said(&mut older, "version", b"3");
    pair.standby.apply(older).unwrap();
    let version = pair.standby.read().unwrap().fact_text(fact::VERSION).unwrap();
    assert_eq!(version, crate::store::STORE_VERSION.to_string());
    let before = rows(&pair.standby.read().unwrap());
    let from = pair.standby.head().seq.0;
    // What begins beyond waits for a newer set, and does no harm.
    enter(&pair.main, act::LOGIN).unwrap();
    assert_eq!(pair.standby.apply(pair.change(from + 1)).unwrap(), Applied::Beyond);
    assert_eq!(rows(&pair.standby.read().unwrap()), before);
    pair.follows();
}

#[test]
fn a_bit_of_an_entry_a_value_or_a_key_that_is_another_one_is_refused() {
    let pair = Pair::new();
    let mut pick = seeded(7);
    let mut known = Vec::new();
    (0..12).for_each(|_| work(&pair.main, &mut pick, &mut known));
    let (from, before) = (pair.standby.head().seq.0, rows(&pair.standby.read().unwrap()));
    let whole = pair.change(from);
    for n in (0..whole.rows.len()).filter(|n| matches!(whole.rows[*n].table, 3..=5)) {
        for bit in [0, 77, whole.rows[n].value.len() * 8 - 1] {
            let mut change = pair.change(from);
            change.rows[n].value[bit / 8] ^= 1 << (bit % 8);
            assert!(pair.standby.apply(change).is_err(), "row {n} bit {bit}");
        }
    }
    assert_eq!(rows(&pair.standby.read().unwrap()), before);
    pair.follows();
}

#[test]
fn a_store_that_went_another_way_is_refused() {
    let pair = Pair::new();
    let other = copy(&pair.main, &pair.home, "other");
    enter(&other, act::LOGIN).unwrap();
    enter(&pair.main, act::LOGOUT).unwrap();
    pair.follows();
    enter(&other, act::LOGIN).unwrap();
    let from = pair.standby.head().seq.0;
    let forked = Pair { home: tempfile::tempdir().unwrap(), main: other, standby: pair.standby.clone() };
    for from in [from, from - 1] {
        assert!(pair.standby.apply(forked.change(from)).is_err(), "{from}");
    }
    pair.is_same();
}

#[test]
fn a_standby_takes_no_changes_and_enters_who_reads_in_its_own_journal() {
    let pair = Pair::new();
    let (standby, head) = (&pair.standby, pair.standby.head());
    let made = standby.submit(|txn| {
        txn.act(Act::new(doer(), act::CREATE));
        create(txn, &petition::KIND, 1)
    });
    let refused = made.err().unwrap();
    assert!(refused.kind() == ErrorKind::Busy && refused.public().contains("备机"), "{refused}");
    let fact = standby.submit(|txn| {
        txn.set_fact(fact::RECIPIENTS, "somebody");
        txn.act(Act::new(doer(), act::RECIPIENTS));
        Ok(())
    });
    assert!(fact.is_err());
    assert!(standby.begin_rotation(Act::new(doer(), act::KEY_ROTATION)).is_err() && standby.write_blob().is_err());
    let said = Act::new(doer(), act::REVEAL).secret("核对来信").read([(RecordId(1), org::KIND.tag, 1)]);
    standby
        .submit(move |txn| {
            txn.act(said);
            Ok(())
        })
        .unwrap();
    enter(standby, act::LOGIN).unwrap();
    assert_eq!(standby.head(), head);
    pair.is_same();
    let entries = standby.read().unwrap().newest_local(10).unwrap();
    let told: Vec<_> = entries.iter().map(|e| (e.header.seq.0, e.header.action)).collect();
    assert_eq!(told, [(2, act::LOGIN.code), (1, act::REVEAL.code)]);
    assert_eq!(standby.read().unwrap().entry_secret(&entries[1]).as_deref(), Some("核对来信"));
    // Main goes on; what was entered here stays.
    enter(&pair.main, act::LOGIN).unwrap();
    pair.follows();
    assert_eq!(standby.check().unwrap().local, 2);
    // A newer copy takes its place and its journal.
    let newer = copy(&pair.main, &pair.home, "newer");
    newer.follow("of the test".into(), Some(standby)).unwrap();
    enter(&newer, act::LOGOUT).unwrap();
    assert_eq!((newer.check().unwrap().local, newer.check().unwrap().problems), (3, Vec::new()));
}

#[test]
fn an_entry_of_a_standby_that_was_altered_is_found() {
    let pair = Pair::new();
    enter(&pair.standby, act::LOGIN).unwrap();
    enter(&pair.standby, act::LOGOUT).unwrap();
    pair.standby.promote(Act::new(doer(), act::PROMOTED), Vec::new()).unwrap();
    let snapshot = pair.standby.read().unwrap();
    for spoil in 0..3 {
        let mut all = rows(&snapshot);
        let place = all.iter().position(|r| r.table == 7).unwrap();
        match spoil {
            0 => all[place].value[40] ^= 1,
            1 => drop(all.remove(place + 1)),
            _ => all.retain(|r| r.key != fact::LOCAL_HEAD.as_bytes()),
        }
        let (dir, key) = (pair.home.path().join(format!("s{spoil}")), pair.home.path().join(format!("s{spoil}.key")));
        let (id, clock) = (&pair.main.facts().store, Arc::new(ManualClock::default()));
        let place = Place { dir: &dir, key_file: &key, fleeting: false };
        let loaded = load(place, id, snapshot.generations().to_vec(), &mut all.into_iter().map(Ok), clock);
        let problems = loaded.unwrap().check().unwrap().problems;
        assert!(problems.iter().any(|p| p.contains("日志")), "{spoil}: {problems:?}");
    }
}

#[test]
fn a_promoted_standby_goes_on_in_a_new_epoch_behind_the_numbers() {
    let pair = Pair::new();
    pair.main.submit(|txn| {
        txn.act(Act::new(doer(), act::CREATE));
        create(txn, &petition::KIND, 1)
    }).unwrap();
    pair.follows();
    enter(&pair.standby, act::LOGIN).unwrap();
    let counters = pair.standby.read().unwrap().counters().unwrap();
    let (counter, last) = counters[0].clone();
    assert!(pair.main.promote(Act::new(doer(), act::PROMOTED), Vec::new()).is_err());
    let skip = vec![(counter.clone(), last + 100)];
    assert_eq!(pair.standby.promote(Act::new(doer(), act::PROMOTED).note("空号"), skip).unwrap(), 2);
    let dir = pair.standby.dir().to_owned();
    drop(pair.standby);
    let new = Store::open(&dir, Arc::new(ManualClock::default())).unwrap();
    assert_eq!((new.facts().epoch, new.halted(), new.following().unwrap()), (2, None, None));
    let id = new.submit(|txn| {
        txn.act(Act::new(doer(), act::CREATE));
        create(txn, &petition::KIND, 2)
    });
    let number = petition::KIND.number_of(&new.read().unwrap().get(id.unwrap(), false).unwrap().unwrap()).to_owned();
    assert_eq!(number, format!("{counter}{}号", last + 101));
    let report = new.check().unwrap();
    assert_eq!((report.problems, report.local), (Vec::new(), 1));
    // Its backups carry what was entered while it followed.
    let restored = copy(&new, &pair.home, "restored");
    assert_eq!((restored.check().unwrap().problems, restored.check().unwrap().local), (Vec::new(), 1));
    let query = ListQuery {
        kind: &petition::KIND,
        units: vec![RecordId(2)],
        states: vec![1, 2],
        from: 0,
        to: 0,
        oldest_first: false,
        without: Vec::new().into(),
        ceiling: Label::Core,
    };
    assert_eq!(restored.read().unwrap().list(&query, 0, 10).unwrap().len(), 2);
}

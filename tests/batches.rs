//! Batches of an import (导入批次): there as a whole or not at all, taken back by one act, given up after a power cut.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use jiceng::app::change::Typed;
use jiceng::app::import::{Options, Summary, What, source};
use jiceng::app::record::ListInput;
use jiceng::app::search::Query;
use jiceng::app::{Actor, App, demo};
use jiceng::base::clock::ManualClock;
use jiceng::base::{Moment, RecordId, Result};
use jiceng::records::{Kind, batch, petition};
use jiceng::store::{DATABASE_FILE, SLOT_FILE};

/// A demo county without petitions, and somebody who may do everything in it.
struct County {
    _home: tempfile::TempDir,
    app: Arc<App>,
    actor: Actor,
}

/// What somebody sees of petitions: how many by state, the newest, how many a search counts.
type View = (Vec<(u8, u64)>, Vec<RecordId>, u64, u64);

impl County {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(Moment(1_790_000_000_000)));
        let app = demo::create(&home.path().join("d"), clock, true).unwrap();
        let actor = app.demo_actor("demo").unwrap();
        let county = Self { _home: home, app, actor };
        county.import("before.jsonl", &rows("旧", 0..5)).unwrap();
        county
    }

    fn dir(&self) -> &Path {
        self.app.dir()
    }

    fn import(&self, file: &str, text: &str) -> Result<Summary> {
        self.import_watched(file, text, &mut |_| true)
    }

    fn import_watched(
        &self,
        file: &str,
        text: &str,
        watch: &mut dyn FnMut(&Summary) -> bool,
    ) -> Result<Summary> {
        let options = Options { file: file.to_owned(), ..Options::default() };
        let (map, mut input) = (BTreeMap::new(), text.as_bytes());
        let mut rows = source::jsonl(&mut input, &map);
        self.app.import(&self.actor, What::Petitions, &mut rows, &options, watch)
    }

    fn list(&self, kind: &'static Kind) -> (Vec<(u8, u64)>, Vec<RecordId>) {
        let input = ListInput { size: 100, ..ListInput::default() };
        let page = self.app.list(&self.actor, kind, &input).unwrap();
        (page.tallies, page.rows.iter().map(|r| r.id).collect())
    }

    fn view(&self) -> View {
        let (counts, ids) = self.list(&petition::KIND);
        let found = |text: &str| {
            let query = Query { text: text.to_owned(), limit: 10, ..Query::default() };
            self.app.search(&self.actor, &query).unwrap().total
        };
        (counts, ids, found("水渠"), found(""))
    }

    /// The newest batch: its id, version and state.
    fn newest(&self) -> (RecordId, u32, u8) {
        let input = ListInput { size: 100, ..ListInput::default() };
        let batches = self.app.list(&self.actor, &batch::KIND, &input).unwrap().rows;
        let newest = batches.iter().max_by_key(|r| r.id).unwrap();
        (newest.id, newest.version, newest.state)
    }

    fn undo(&self, id: RecordId, version: u32) -> bool {
        let undo = batch::KIND.flow.moves.iter().find(|m| m.name == batch::UNDO).unwrap();
        let typed = ("来源选错，重新导入".to_owned(), String::new());
        self.app.advance(&self.actor, &batch::KIND, (id, version), undo, typed).is_ok()
    }

    /// The same county after a restart.
    fn restart(self) -> Self {
        let dir = self.dir().to_owned();
        self.restart_at(&dir)
    }

    /// The county that lies there, after this one has ended.
    fn restart_at(self, dir: &Path) -> Self {
        let Self { _home, app, actor } = self;
        drop(Arc::into_inner(app).unwrap());
        let clock = Arc::new(ManualClock::at(Moment(1_790_000_000_000)));
        Self { _home, app: App::open(dir, clock).unwrap(), actor }
    }

    fn assert_sound(&self) {
        self.app.wait_for_index().unwrap();
        let report = self.app.audit_verify(&[]).unwrap();
        assert!(report.problems.is_empty(), "{:?}", report.problems);
    }
}

fn rows(prefix: &str, numbers: std::ops::Range<usize>) -> String {
    let row = |n: usize| {
        let row = serde_json::json!({
            "ref": format!("{prefix}-{n}"), "title": format!("{prefix}第{n}件"), "text": format!("{prefix}第{n}号水渠没有完工"),
            "accused": [{"name": "赵甲", "rank": "村(社区)干部"}],
        });
        format!("{row}\n")
    };
    numbers.map(row).collect()
}

#[test]
fn nobody_sees_a_batch_before_it_is_done() {
    let county = County::new();
    county.app.wait_for_index().unwrap();
    let before = county.view();
    let mut looks = 0;
    let sum = county.import_watched("ledger.jsonl", &rows("新", 0..500), &mut |sum| {
        // The last look is before the batch is done as well.
        county.app.wait_for_index().unwrap();
        assert_eq!(county.view(), before, "after {} rows", sum.read);
        looks += 1;
        true
    });
    let sum = sum.unwrap();
    assert!(looks > 5 && sum.created == 500, "{looks} {sum:?}");
    let after = county.view();
    assert_eq!((after.2, after.3), (505, 505));
    assert_eq!(after.0.iter().map(|c| c.1).sum::<u64>(), 505);
    county.assert_sound();
}

/// Rows that nobody sees yet were counted among what a search has to read itself: it said that it was catching up.
#[test]
fn others_find_their_own_at_once_while_a_large_batch_comes_in() {
    let county = County::new();
    let (mut saved, mut looked) = (0, 0);
    let sum = county.import_watched("ledger.jsonl", &rows("新", 0..2_000), &mut |sum| {
        if sum.read / 500 > saved {
            saved += 1;
            let raw = [("title", "旁边的事"), ("text", "旁边登记的榆钱树")]
                .map(|(n, v)| (n.to_owned(), v.to_owned()));
            let typed = Typed { raw: raw.to_vec(), ..Typed::default() };
            county.app.create(&county.actor, &petition::KIND, typed).unwrap();
        }
        let query = Query { text: "榆钱树".into(), limit: 10, ..Query::default() };
        let found = county.app.search(&county.actor, &query).unwrap();
        assert_eq!((found.total, found.catching_up), (saved, false), "after {} rows", sum.read);
        looked += 1;
        true
    });
    assert_eq!((sum.unwrap().created, saved), (2_000, 4));
    assert!(looked > 20);
    county.assert_sound();
    assert_eq!(county.view().2, 2_005);
}

#[test]
fn a_batch_that_is_stopped_or_broken_off_is_never_seen() {
    let mut county = County::new();
    county.app.wait_for_index().unwrap();
    let before = county.view();
    let stopped = county.import_watched("ledger.jsonl", &rows("新", 0..300), &mut |sum| sum.read < 200);
    assert!(stopped.is_err());
    assert_eq!(county.newest().2, batch::state::BROKEN);
    // Also one so short that it has nothing after its first look.
    assert!(county.import_watched("ledger.jsonl", &rows("新", 0..10), &mut |_| false).is_err());
    assert_eq!(county.newest().2, batch::state::BROKEN);
    county.assert_sound();
    assert_eq!(county.view(), before);
    // A panic in the middle, and what the disk holds at that moment: the batch is still under way when a store is
    // opened on that.
    let left = tempfile::tempdir().unwrap();
    let panicked = county.import_watched("ledger.jsonl", &rows("新", 0..300), &mut |sum| match sum.read < 200 {
        true => true,
        false => {
            for file in [DATABASE_FILE, SLOT_FILE] {
                fs::copy(county.dir().join(file), left.path().join(file)).unwrap();
            }
            std::panic::resume_unwind(Box::new("somebody's mistake"))
        }
    });
    assert!(panicked.is_err());
    assert_eq!(county.newest().2, batch::state::BROKEN);
    assert_eq!(county.view(), before);
    county = county.restart_at(left.path());
    assert_eq!(county.newest().2, batch::state::BROKEN);
    county.assert_sound();
    assert_eq!(county.view(), before);
    // What was never seen is not there already.
    let again = county.import("ledger.jsonl", &rows("新", 0..300)).unwrap();
    assert_eq!((again.created, again.skipped), (300, 0));
    assert_eq!(county.view().2, 305);
    county.assert_sound();
}

#[test]
fn a_batch_that_is_taken_back_leaves_everything_as_before() {
    let mut county = County::new();
    county.app.wait_for_index().unwrap();
    let before = county.view();
    county.import("ledger.jsonl", &rows("新", 0..300)).unwrap();
    let (id, version, state) = county.newest();
    assert_eq!(state, batch::state::DONE);
    let seen = county.view().1[0];
    assert!(county.undo(id, version));
    assert_eq!(county.view(), before);
    assert!(county.app.open_record(&county.actor, &petition::KIND, seen, 0).is_err());
    county.assert_sound();
    assert_eq!(county.view(), before);
    county = county.restart();
    assert_eq!(county.view(), before);
    let doer = jiceng::store::Doer { account: RecordId(0), unit: RecordId(0), via: "test".into() };
    county.app.reindex(&doer).unwrap();
    county.assert_sound();
    assert_eq!(county.view(), before);
    assert_eq!(county.import("ledger.jsonl", &rows("新", 0..300)).unwrap().created, 300);
}

#[test]
fn a_batch_of_which_something_was_worked_on_is_not_taken_back() {
    let county = County::new();
    county.import("ledger.jsonl", &rows("新", 0..10)).unwrap();
    let (id, version, _) = county.newest();
    let petition = county.view().1[0];
    let propose = petition::KIND.flow.moves.iter().find(|m| m.name == "propose").unwrap();
    let typed = ("拟转枫桥坞镇办理".to_owned(), String::new());
    county.app.advance(&county.actor, &petition::KIND, (petition, 1), propose, typed).unwrap();
    let seen = county.view();
    assert!(!county.undo(id, version));
    assert_eq!(county.view(), seen);
    assert_eq!(county.newest().2, batch::state::DONE);
}

/// Whoever a petition is about could take it away with the batch it came in with, unseen.
#[test]
fn nobody_takes_back_a_batch_that_holds_what_concerns_them() {
    let mut county = County::new();
    let about = serde_json::json!({
        "ref": "新-9", "title": "新第9件", "text": "反映信访室演示用户的问题",
        "accused": [{"name": "演示用户", "org": "信访室", "rank": "村(社区)干部"}],
    });
    county.import("ledger.jsonl", &format!("{}{about}\n", rows("新", 0..3))).unwrap();
    let ((id, version, _), seen) = (county.newest(), county.view());
    assert!(!county.undo(id, version));
    assert_eq!(county.view(), seen);
    county.actor = county.app.demo_actor("xinfang").unwrap();
    assert!(county.undo(id, version), "somebody else of the unit does");
}

/// A damaged record kept an older store from opening: it opens without it, and the check tells of it.
#[test]
fn an_older_store_with_a_damaged_record_is_brought_up() {
    let county = County::new();
    let (dir, seen) = (county.dir().to_owned(), county.view().1);
    let County { _home, app, actor } = county;
    drop(Arc::into_inner(app).unwrap());
    {
        let db = redb::Database::open(dir.join("store.redb")).unwrap();
        let txn = db.begin_write().unwrap();
        let mut records = txn.open_table(redb::TableDefinition::<u64, &[u8]>::new("records")).unwrap();
        let mut value = redb::ReadableTable::get(&records, seen[0].0).unwrap().unwrap().value().to_vec();
        let last = value.len() - 1;
        value[last] ^= 1;
        records.insert(seen[0].0, value.as_slice()).unwrap();
        drop(records);
        let meta = redb::TableDefinition::<&[u8], &[u8]>::new("meta");
        txn.open_table(meta).unwrap().insert(&b"version"[..], &b"3"[..]).unwrap();
        txn.commit().unwrap();
    }
    let app = App::open(&dir, Arc::new(ManualClock::at(Moment(1_790_000_000_000)))).unwrap();
    let listed = app.list(&actor, &petition::KIND, &ListInput { size: 100, ..ListInput::default() }).unwrap();
    let ids: Vec<RecordId> = listed.rows.iter().map(|r| r.id).collect();
    assert_eq!(ids, seen[1..]);
    assert!(!app.audit_verify(&[]).unwrap().problems.is_empty());
}

#[test]
fn a_store_without_batches_without_purges_or_without_persons_is_brought_up() {
    let county = County::new();
    let dir = county.dir().to_owned();
    let County { _home, mut app, actor } = county;
    let before = app.list(&actor, &petition::KIND, &ListInput::default()).unwrap().total;
    for version in ["1", "2", "3"] {
        drop(Arc::into_inner(app).unwrap());
        {
            let db = redb::Database::open(dir.join("store.redb")).unwrap();
            let txn = db.begin_write().unwrap();
            if version == "1" {
                txn.delete_table(redb::TableDefinition::<u64, ()>::new("derived_hidden")).unwrap();
            }
            if version != "3" {
                txn.delete_table(redb::TableDefinition::<u64, u64>::new("derived_purged")).unwrap();
            }
            // Rows by which records are found by the persons they name.
            let lookups = redb::TableDefinition::<&[u8], ()>::new("derived_lookups");
            let mut rows = txn.open_table(lookups).unwrap();
            let count = |rows: &redb::Table<'_, &[u8], ()>| redb::ReadableTableMetadata::len(rows).unwrap();
            let all = count(&rows);
            rows.retain(|key, ()| key[1..3] != 11_u16.to_be_bytes()).unwrap();
            assert!(count(&rows) < all, "no petition names anybody");
            drop(rows);
            let meta = redb::TableDefinition::<&[u8], &[u8]>::new("meta");
            txn.open_table(meta).unwrap().insert(&b"version"[..], version.as_bytes()).unwrap();
            txn.commit().unwrap();
        }
        let clock = Arc::new(ManualClock::at(Moment(1_790_000_000_000)));
        app = App::open(&dir, clock).unwrap();
        assert_eq!(app.list(&actor, &petition::KIND, &ListInput::default()).unwrap().total, before);
        assert!(app.audit_verify(&[]).unwrap().problems.is_empty());
    }
}

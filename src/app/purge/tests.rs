//! Purging under a clock that is set by hand: keys in time, files of every version, batches, what pages say.

#![cfg(test)]

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::*;
use crate::app::demo;
use crate::app::import::{Options, What, source};
use crate::base::Seq;
use crate::base::clock::ManualClock;
use crate::records::{FileRef, batch, petition, regulation};

const NOW: i64 = 1_790_000_000_000;

struct County {
    home: tempfile::TempDir,
    clock: Arc<ManualClock>,
    app: Option<Arc<App>>,
}

impl County {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(Moment(NOW)));
        let own = Arc::clone(&clock);
        let app = demo::create(&home.path().join("d"), own, true).unwrap();
        Self { home, clock, app: Some(app) }
    }

    fn app(&self) -> &Arc<App> {
        self.app.as_ref().unwrap()
    }

    fn who(&self, login: &str) -> Actor {
        self.app().demo_actor(login).unwrap()
    }

    fn restart(&mut self) {
        self.app = None;
        let own = Arc::clone(&self.clock);
        self.app = Some(App::open(&self.home.path().join("d"), own).unwrap());
    }

    /// The same day, so many days later.
    fn days(&self, days: i64) {
        self.clock.set(Moment(NOW + days * DAY_MS));
    }

    fn upload(&self, text: &str) -> FileRef {
        let mut blob = self.app().upload().unwrap();
        blob.write(text.as_bytes()).unwrap();
        blob.finish("原件.txt").unwrap()
    }

    fn blob(&self, file: &FileRef) -> PathBuf {
        self.app().dir().join("blobs").join(&file.blob[..2]).join(&file.blob)
    }

    /// A closed petition of the unit of `zhen01`, with these files one after the other.
    fn petition(&self, files: &[&FileRef]) -> RecordId {
        let author = self.who("zhen01").author();
        let fields = (petition::KIND.sample)(1);
        let record = decide::create(&petition::KIND, fields, author, self.app().now()).unwrap();
        let id = self.app().store.submit(move |txn| {
            txn.act(Act::new(local_doer(), act::CREATE));
            txn.create(record)
        });
        let id = id.unwrap();
        for file in files {
            let file = (*file).clone();
            self.change(id, move |r| r.fields.insert(petition::tag::FILES, Value::Files(vec![file])));
        }
        self.change(id, |r| r.state = petition::state::ARCHIVED);
        id
    }

    fn change(&self, id: RecordId, change: impl FnOnce(&mut Record) + Send + 'static) {
        let done = self.app().store.submit(move |txn| {
            let mut record = txn.get(id)?.unwrap();
            record.version += 1;
            change(&mut record);
            txn.act(Act::new(local_doer(), act::UPDATE));
            txn.update(record)
        });
        done.unwrap();
    }

    fn ask(&self, login: &str, kind: &'static Kind, id: RecordId) -> RecordId {
        self.app().ask_purge(&self.who(login), kind, id, ("保存期满", "")).unwrap()
    }

    fn approve(&self, request: RecordId) -> Result<(), crate::app::change::SaveError> {
        let mv = purge::KIND.flow.moves.iter().find(|m| m.name == purge::APPROVE).unwrap();
        let typed = ("同意".to_owned(), String::new());
        self.app().advance(&self.who("secadmin"), &purge::KIND, (request, 1), mv, typed)
    }

    fn purge(&self, id: RecordId) -> RecordId {
        let request = self.ask("zhen01-fz", &petition::KIND, id);
        self.approve(request).unwrap();
        request
    }

    fn outlook(&self, request: RecordId) -> Outlook {
        let record = self.app().store.read().unwrap().get(request, false).unwrap().unwrap();
        self.app().purge_outlook(&record).unwrap().unwrap()
    }

    fn is_sound(&self) {
        let report = self.app().store.check().unwrap();
        assert!(report.problems.is_empty(), "{:?}", report.problems);
        self.app().wait_for_index().unwrap();
        let findings = self.app().doctor(true).unwrap();
        let index = findings.iter().find(|f| f.name == "检索索引").unwrap();
        assert_eq!(index.verdict, crate::app::doctor::Verdict::Good, "{}", index.text);
    }

    /// Rotations end in a thread of their own.
    fn rotated(&self) -> bool {
        (0..1_000).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(10));
            self.app().store.keys_due().unwrap().is_none()
        })
    }
}

/// ASVS 13.3.4
#[test]
fn keys_are_replaced_within_thirty_days_of_the_first_purge_and_the_page_says_when() {
    let mut county = County::new();
    let [first, second, third] = [0, 1, 2].map(|_| county.petition(&[]));
    let request = county.purge(first);
    county.days(24);
    let later = county.purge(second);
    county.app().look_after_purges().unwrap();
    assert_eq!((county.app().store.generation(), county.app().is_rotating()), (1, false));
    let due = Keys::Due(Moment(NOW + 30 * DAY_MS));
    assert_eq!([request, later].map(|r| county.outlook(r).keys), [due, due]);
    assert!(county.app().purge_keys().unwrap().is_some_and(|(text, late)| text.contains("将在") && !late));
    county.days(31);
    assert!(county.app().backup_alarms().unwrap().iter().any(|a| a.contains("已经超期")));
    let keys = |c: &County| c.app().doctor(false).unwrap().into_iter().find(|f| f.name == "密钥").unwrap();
    assert!(keys(&county).text.contains("已经超期"));
    county.days(26);
    county.restart();
    county.app().look_after_purges().unwrap();
    assert!(county.rotated() && county.app().store.generation() == 2);
    let destroyed = Keys::Destroyed(Some(Moment(NOW + 26 * DAY_MS)));
    assert_eq!([request, later].map(|r| county.outlook(r).keys), [destroyed, destroyed]);
    assert!(county.app().purge_keys().unwrap().is_none() && !keys(&county).text.contains("超期"));
    // Once for both; the next purge asks for another, also under a clock that went far back.
    county.days(90);
    county.app().look_after_purges().unwrap();
    assert_eq!(county.app().store.generation(), 2);
    county.purge(third);
    county.days(-300);
    county.app().look_after_purges().unwrap();
    assert!(county.rotated() && county.app().store.generation() == 3);
    county.is_sound();
}

/// What lies about in the file is the old key under a generation that is gone with its slot file.
#[test]
fn what_was_wrapped_before_opens_neither_after_the_purge_nor_after_the_rotation() {
    let mut county = County::new();
    let id = county.petition(&[]);
    let wrapped = |county: &County| {
        let (mut keys, mut values) = (BTreeMap::new(), BTreeMap::new());
        let mut keep = |row: crate::store::ArchiveRow| {
            let of = match row.table {
                3 => &mut values,
                4 => &mut keys,
                _ => return Ok(()),
            };
            of.insert(u64::from_be_bytes(row.key.try_into().unwrap()), row.value);
            Ok(())
        };
        county.app().store.read().unwrap().dump(&mut keep).unwrap();
        (keys[&id.0].clone(), values[&id.0].clone())
    };
    let ((key, value), dir) = (wrapped(&county), county.app().dir().to_owned());
    let request = county.purge(id);
    let (new_key, new_value) = wrapped(&county);
    assert!(new_key != key && new_value != value);
    let story = county.app().store.read().unwrap().story(id).unwrap();
    let snapshot = county.app().store.read().unwrap();
    let purged = snapshot.purged_at(id).unwrap().unwrap();
    for entry in &story {
        let readable = !snapshot.delta(entry, id, true).unwrap().is_empty();
        assert_eq!(readable, entry.header.seq >= purged && !entry.parts.is_empty(), "{}", entry.header.seq);
    }
    drop(snapshot);
    county.app().rotate_for_purges(&county.who("sysadmin")).unwrap();
    assert!(county.rotated());
    assert!(matches!(county.outlook(request).keys, Keys::Destroyed(Some(_))));
    assert_eq!(wrapped(&county).0[..4], 2_u32.to_be_bytes());
    // Somebody who puts the old key and value back with a copy of the store has nothing to open them with.
    county.restart();
    let rows = {
        let mut rows = Vec::new();
        let mut keep = |row| {
            rows.push(row);
            Ok(())
        };
        county.app().store.read().unwrap().dump(&mut keep).unwrap();
        for row in rows.iter_mut().filter(|row| row.key == id.0.to_be_bytes()) {
            match row.table {
                3 => row.value.clone_from(&value),
                4 => row.value.clone_from(&key),
                _ => {}
            }
        }
        rows
    };
    let generations = county.app().store.read().unwrap().generations().to_vec();
    let (store, to) = (county.app().facts().store.clone(), county.home.path().join("put-back"));
    let own = Arc::clone(&county.clock);
    let mut rows = rows.into_iter().map(Ok);
    let key_file = county.home.path().join("put-back.key");
    let place = crate::store::Place { dir: &to, key_file: &key_file, fleeting: false };
    let back = crate::store::load(place, &store, generations, &mut rows, own);
    assert!(back.is_err(), "the old generation is still there");
    assert!(dir.exists());
    county.is_sound();
}

#[test]
fn files_of_every_version_go_and_those_that_something_else_names_stay() {
    let mut county = County::new();
    let files = ["一", "二", "三", "四"].map(|text| county.upload(text));
    let id = county.petition(&[&files[0], &files[1], &files[2]]);
    // The second is named by an earlier version of another petition, the third waits for a form.
    county.petition(&[&files[1], &files[3]]);
    let clerk = county.who("zhen01");
    county.app().stage(&clerk, &[], vec![files[2].clone()]).unwrap();
    let request = county.purge(id);
    let there = |county: &County| files.each_ref().map(|f| county.blob(f).exists());
    assert_eq!((there(&county), county.outlook(request).files_left), ([true; 4], 3));
    // The process stopped before it came to that; what waited for a form is forgotten with it.
    county.restart();
    let held = county
        .app()
        .store
        .remove_purged_files(&[files[2].blob.clone()], Act::new(local_doer(), act::PURGE_FILES));
    assert_eq!((held.unwrap(), there(&county)), (1, [false, true, true, true]));
    county.app().look_after_purges().unwrap();
    assert_eq!((there(&county), county.outlook(request).files_left), ([false, true, false, true], 0));
    let entries = county.app().store.head().seq;
    county.app().look_after_purges().unwrap();
    assert_eq!(county.app().store.head().seq, entries, "nothing is left to do");
    let record = county.app().store.read().unwrap().get(request, false).unwrap().unwrap();
    assert_eq!((record.fields.int(tag::RECORDS), record.fields.int(tag::FILES)), (1, 3));
    county.is_sound();
}

#[test]
fn a_batch_is_taken_back_after_one_of_its_rows_was_purged() {
    let mut county = County::new();
    let actor = county.who("zhen01");
    let line = |n: i32| {
        let (name, unit) = (format!("水渠{n}"), "澜东街道纪工委");
        serde_json::json!({ "ref": name, "title": name, "text": name, "accused_org": "某村", "unit": unit })
    };
    let text: String = (0..3).map(|n| format!("{}\n", line(n))).collect();
    let (map, mut input) = (BTreeMap::new(), text.as_bytes());
    let mut rows = source::jsonl(&mut input, &map);
    let options = Options::default();
    let done = county.app().import(&actor, What::Petitions, &mut rows, &options, &mut |_| true).unwrap();
    assert!(done.problems.is_empty(), "{:?}", done.problems);
    let snapshot = county.app().store.read().unwrap();
    let last = snapshot.last_id().unwrap();
    let batch = snapshot.get(last, false).unwrap().unwrap().batch().unwrap();
    drop(snapshot);
    county.change(last, |r| r.state = petition::state::VOID);
    let undo = || {
        let mv = batch::KIND.flow.moves.iter().find(|m| m.name == batch::UNDO).unwrap();
        let version = county.app().store.read().unwrap().get(batch, false).unwrap().unwrap().version;
        let typed = ("来源选错".to_owned(), String::new());
        county.app().advance(&actor, &batch::KIND, (batch, version), mv, typed)
    };
    assert!(undo().is_err(), "one of them was changed");
    let request = county.ask("zhen01-fz", &petition::KIND, last);
    county.approve(request).unwrap();
    undo().unwrap();
    let snapshot = county.app().store.read().unwrap();
    assert!(snapshot.get(last, false).unwrap().is_none() && snapshot.purged(Seq(0)).unwrap().len() == 1);
    // What the batch hides can be forgotten too: that is how a restore does it again.
    let hidden = snapshot.get_any(RecordId(last.0 - 1), true).unwrap().unwrap();
    drop(snapshot);
    let hidden = crate::store::Purged { record: hidden.id.0, created: hidden.created.0 };
    assert_eq!(county.app().store.apply_purges(&[hidden, hidden], &local_doer()).unwrap(), 1);
    assert_eq!(county.app().store.read().unwrap().purged(Seq(0)).unwrap().len(), 2);
    county.is_sound();
    let entries = county.app().store.check().unwrap().entries;
    county.app().reindex(&local_doer()).unwrap();
    county.restart();
    county.is_sound();
    assert!(county.app().store.check().unwrap().entries > entries);
}

#[test]
fn what_is_worked_on_again_is_not_purged() {
    let county = County::new();
    let id = county.petition(&[]);
    let request = county.ask("zhen01-fz", &petition::KIND, id);
    county.change(id, |r| r.state = petition::state::ACCEPTED);
    let refused = county.approve(request).unwrap_err();
    assert!(format!("{refused:?}").contains("还在办理（已受理）"), "{refused:?}");
    assert!(
        county.app().store.read().unwrap().get(id, true).unwrap().unwrap().fields.text(30).contains("样例")
    );
    county.change(id, |r| r.state = petition::state::CONCLUDED);
    county.approve(request).unwrap();
    assert!(county.app().ask_purge(&county.who("fagui"), &regulation::KIND, id, ("x", "")).is_err());
    county.is_sound();
}

#[test]
fn the_page_says_until_when_old_backups_keep_it_or_that_nobody_knows() {
    let at = |days: i64| NOW + days * DAY_MS;
    let known = |set: &str, target: &str, days: i64, epoch: u64| -> Known {
        serde_json::from_value(serde_json::json!({
            "set": set, "target": target, "data_file": "d", "manifest_file": "m", "seq": 1, "epoch": epoch,
            "at": at(days), "by": "schedule", "bytes": 1, "records": 1, "files": 0, "damaged": 0
        }))
        .unwrap()
    };
    let schedule = |kept: serde_json::Value| -> Schedule {
        let mut all = serde_json::json!({
            "format": 2, "days": [1, 4], "times": ["02:00"], "target": "/mnt/a", "keep": 7,
            "alarm_hours": 26, "since": 0, "epoch": 1
        });
        all.as_object_mut().unwrap().extend(kept.as_object().unwrap().clone());
        Schedule::decode(&all.to_string()).unwrap()
    };
    let sets = [known("a", "/mnt/a", 0, 1), known("b", "/mnt/a", 3, 1), known("c", "/media/usb", 1, 1)];
    // Seven sets at two a week are five weeks; or a year of months.
    for (kept, days) in [
        (serde_json::json!({}), 42),
        (serde_json::json!({ "daily": 60 }), 68),
        (serde_json::json!({ "weekly": 8 }), 70),
        (serde_json::json!({ "monthly": 12 }), 410),
    ] {
        let old = old_backups(&sets, Some(&schedule(kept)), 1);
        assert_eq!((old.kept, old.until), (2, Some(Moment(at(3 + days)))));
        assert_eq!(old.elsewhere, [("/media/usb".to_owned(), 1)]);
    }
    let old = old_backups(&sets, None, 1);
    assert_eq!((old.kept, old.until, old.elsewhere.len()), (0, None, 2));
    let old = old_backups(&sets, Some(&schedule(serde_json::json!({}))), 2);
    assert_eq!((old.kept, old.elsewhere.len()), (0, 2), "sets of another epoch are not removed");
    assert_eq!(old_backups(&[], None, 1), OldBackups { kept: 0, until: None, elsewhere: Vec::new() });
}

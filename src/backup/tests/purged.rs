//! What was purged after a set was made is purged again by its restore, as far as a manifest in the target says so.

#![cfg(test)]

use super::*;
use crate::base::Seq;
use crate::store::Purged;

/// Purges a record as a second person's act does.
fn purge(store: &Store, id: u64) {
    let done = store.submit(move |txn| {
        let files = txn.purge(RecordId(id))?;
        txn.act(Act::new(doer(), act::PURGE).note(format!("files {files:?}")));
        Ok(())
    });
    done.unwrap();
}

fn purged(store: &Store) -> Vec<u64> {
    store.read().unwrap().purged(Seq(0)).unwrap().iter().map(|p| p.record).collect()
}

fn text(store: &Store, id: u64) -> String {
    let record = store.read().unwrap().get(RecordId(id), true).unwrap().unwrap();
    record.fields.text(petition::tag::TEXT).to_owned()
}

/// A county that made a set, purged two records of five, one of them with the only naming of a file, and made another.
fn county() -> (County, [Done; 2]) {
    let county = County::new();
    let first = county.back_up();
    purge(&county.store, 2);
    purge(&county.store, 4);
    let second = county.back_up();
    (county, [first, second])
}

fn restore_set(county: &County, set: &str, dir: &str) -> Restored {
    let (from, dir) = (county.at("backup"), county.at(dir));
    let wish = Wish { set: Some(set), ..county.wish(&from, &county.keys[0], &dir) };
    restore(&wish, clock()).unwrap()
}

#[test]
fn an_older_set_is_restored_without_what_was_purged_since() {
    let (county, [first, second]) = county();
    let restored = restore_set(&county, &first.set, "new");
    assert_eq!((restored.purged, restored.unread.len()), (2, 0));
    let store = Store::open(&county.at("new"), clock()).unwrap();
    assert_eq!((purged(&store), store.head()), (vec![2, 4], restored.head));
    assert_eq!([1, 2, 3, 4, 5].map(|id| text(&store, id).is_empty()), [false, true, false, true, false]);
    let report = store.check().unwrap();
    assert!(report.problems.is_empty() && report.purged == 2, "{:?}", report.problems);
    // The entry stands in the new epoch, after that of the restore.
    let last: Vec<_> =
        store.read().unwrap().journal_after(Seq(first.head.seq.0)).unwrap().map(Result::unwrap).collect();
    let told: Vec<(u16, u64)> = last.iter().map(|e| (e.header.action, e.header.epoch)).collect();
    let (restore, purge, files) = (act::RESTORE.code, act::PURGE.code, act::PURGE_FILES.code);
    assert_eq!(told, [(restore, 2), (purge, 2), (files, 2)]);
    drop(store);
    // The newer set has nothing left to purge.
    let restored = restore_set(&county, &second.set, "newer");
    assert_eq!((restored.purged, restored.manifest.purged.len()), (0, 2));
    assert_eq!(purged(&Store::open(&county.at("newer"), clock()).unwrap()), [2, 4]);
}

#[test]
fn a_file_that_only_purged_records_named_is_not_restored_and_leaves_the_pool_list() {
    let (county, [first, _]) = county();
    [1, 3, 5].into_iter().for_each(|id| purge(&county.store, id));
    let third = county.back_up();
    assert_eq!((first.files, third.files), (5, 0));
    assert!(third.list_file.is_none());
    let left = |dir: &str| all_files(&county.at(dir).join("blobs")).len();
    county.store.remove_purged_files(&[], Act::new(doer(), act::PURGE_FILES)).unwrap();
    assert_eq!(left("data"), 0);
    let restored = restore_set(&county, &first.set, "new");
    assert_eq!((restored.purged, left("new")), (5, 0));
}

#[test]
fn newer_sets_whose_manifests_cannot_be_read_are_told() {
    let (county, [first, second]) = county();
    let third = county.back_up();
    // Rotten, and signed by nobody known.
    let target = county.at("backup");
    spoil(&target, &second.manifest_file, true, |bytes| bytes.truncate(200));
    spoil(&target, &third.manifest_file, true, |bytes| bytes.truncate(200));
    let restored = restore_set(&county, &first.set, "new");
    let unread: Vec<String> = restored.unread.iter().map(ToString::to_string).collect();
    assert_eq!((restored.purged, unread.len()), (0, 2));
    assert!(unread.contains(&second.set) && unread.contains(&third.set));
    // One that can be read is enough: it names all.
    county.back_up();
    let restored = restore_set(&county, &first.set, "again");
    assert_eq!((restored.purged, restored.unread.len()), (2, 2));
}

/// Ids are given again after a restore: another record under the same id is not the one that was purged.
#[test]
fn what_another_history_purged_under_the_same_id_stays() {
    let county = County::new();
    let first = county.back_up();
    county.enter(6);
    purge(&county.store, 6);
    let second = county.back_up();
    let restored = restore_set(&county, &first.set, "new");
    assert_eq!(restored.purged, 0);
    let later = Arc::new(ManualClock::at(Moment(NOW.0 + 60_000)));
    let store = Store::open(&county.at("new"), later).unwrap();
    let author = Author { account: RecordId(0), unit: RecordId(0) };
    let record = decide::create(&petition::KIND, (petition::KIND.sample)(9), author, store.now()).unwrap();
    let entered = store.submit(move |txn| {
        txn.act(Act::new(doer(), act::CREATE));
        txn.set_fact(crate::store::fact::RESTORED, "");
        txn.create(record)
    });
    assert_eq!(entered.unwrap(), RecordId(6));
    let all = [first, second].map(|done| done.set);
    let (from, key) = (county.at("backup"), &county.keys[0]);
    let said = list(&from, Some(key)).unwrap();
    let said: Vec<Purged> =
        said.into_iter().flat_map(|s| s.details.unwrap().unwrap().manifest.purged).collect();
    assert_eq!((said.len(), said[0].record, all.len()), (1, 6, 2));
    assert_eq!(store.apply_purges(&said, &doer()).unwrap(), 0);
    assert!(!text(&store, 6).is_empty() && purged(&store).is_empty());
}

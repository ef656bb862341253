//! An index that is made anew answers whole at every moment, and leaves time to others while it keeps up.

#![cfg(test)]

use super::super::search::Query;
use super::super::{App, demo, import, index_dir};
use super::*;
use crate::base::clock::SystemClock;

const KNOWN: &str = "织云社区低保公示";

#[test]
fn commits_leave_others_time_unless_much_waits_for_them() {
    let rest = COMMIT_PAUSE / 2;
    let open = |visible, hidden| Uncommitted { visible, hidden, rest, ..Uncommitted::nothing(Seq(1)) };
    assert_eq!(open(0, false).pause(), None);
    assert!(open(1, false).pause().is_some_and(|p| p > Duration::ZERO && p <= rest));
    assert_eq!(open(CHANGES_AT_REST, false).pause(), Some(Duration::ZERO));
    assert!(open(1, true).pause().is_some_and(|p| p > rest));
    assert_eq!(open(CHANGES_UNCOMMITTED, true).pause(), Some(Duration::ZERO));
    assert_eq!(Uncommitted { rest: Duration::ZERO, ..open(1, false) }.pause(), Some(Duration::ZERO));
    let long_ago = Instant::now().checked_sub(COMMIT_PAUSE).unwrap();
    assert_eq!(Uncommitted::committed(Seq(1), long_ago).rest, COMMIT_PAUSE);
}

/// How often the index looked before it went on: `head` after so many looks, somebody waits from look `wanted` on.
fn looks(last_group: usize, head: fn(u64) -> u64, wanted: u64) -> u64 {
    let looked = std::cell::Cell::new(0);
    let count = || {
        looked.set(looked.get() + 1);
        last_group
    };
    stand_aside(count, || Seq(head(looked.get())), || looked.get() >= wanted);
    looked.get()
}

#[test]
fn a_crowd_saves_first_while_it_goes_on_and_nobody_waits() {
    assert_eq!(looks(CROWD - 1, |looked| looked, u64::MAX), 1);
    assert_eq!(looks(CROWD, |looked| looked, u64::MAX), ASIDE_STEPS as u64);
    assert_eq!(looks(CROWD, |looked| looked, 1), 1);
    assert_eq!(looks(CROWD, |looked| looked, 4), 4);
    assert_eq!(looks(CROWD, |looked| looked.min(3), u64::MAX), 5);
}

fn county() -> (tempfile::TempDir, Arc<App>) {
    let dir = tempfile::tempdir().unwrap();
    let app = demo::create(&dir.path().join("d"), Arc::new(SystemClock), false).unwrap();
    app.wait_for_index().unwrap();
    (dir, app)
}

fn enter(app: &App, n: usize) -> String {
    let text = format!("第{n}号试点龘灥水渠");
    let line = serde_json::json!({"ref": format!("r{n}"), "received": "2026-01-05", "title": text, "text": text});
    let actor = app.demo_actor(demo::EVERYTHING).unwrap();
    let options = import::Options::default();
    let line = line.to_string();
    let mut input = line.as_bytes();
    let mut rows = import::source::jsonl(&mut input, &options.map);
    let summary =
        app.import(&actor, import::What::Petitions, &mut rows, &options, &mut |_| true).unwrap();
    assert!(summary.problems.is_empty(), "{:?}", summary.problems);
    text
}

/// Hits that contain the text.
fn found(app: &App, text: &str) -> u64 {
    let actor = app.demo_actor(demo::EVERYTHING).unwrap();
    let query = Query { text: text.to_owned(), limit: 10, ..Query::default() };
    let results = app.search(&actor, &query).unwrap();
    if results.exact && !results.catching_up { results.total } else { 0 }
}

/// While the index was made again, an empty one answered: records seemed to be gone.
#[test]
fn what_is_there_is_found_at_every_moment_of_a_rebuild() {
    let (_dir, app) = county();
    let mut wanted = vec![KNOWN.to_owned()];
    assert_eq!(found(&app, KNOWN), 1);
    let (count, head) = (app.follower.index().0.doc_count(), app.follower.index().1);
    let rebuilds = std::thread::spawn({
        let app = Arc::clone(&app);
        move || {
            (0..2).for_each(|_| assert!(app.reindex(&super::super::access::local_doer()).unwrap() > 0))
        }
    });
    std::thread::scope(|scope| {
        // Beside a smaller index every record would have to be scanned, and those of a large county are too many.
        scope.spawn(|| {
            while !rebuilds.is_finished() {
                let (index, seen) = app.follower.index();
                assert!(
                    index.doc_count() >= count && seen >= head,
                    "{} of {count}, {seen}",
                    index.doc_count()
                );
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let mut asked = 0;
        while !rebuilds.is_finished() || asked == 0 {
            if wanted.len() < 6 {
                wanted.push(enter(&app, wanted.len()));
            }
            wanted.iter().for_each(|text| assert_eq!(found(&app, text), 1, "{text}, round {asked}"));
            asked += 1;
        }
    });
    rebuilds.join().unwrap();
    app.wait_for_index().unwrap();
    assert!(
        app.doctor(false)
            .unwrap()
            .iter()
            .all(|f| f.name != "检索索引" || f.text.contains("落后日志 0 条"))
    );
    wanted.iter().for_each(|text| assert_eq!(found(&app, text), 1));
}

#[test]
fn a_crash_within_a_rebuild_leaves_a_whole_index() {
    let (dir, app) = county();
    let head = app.store.head().seq;
    let at = dir.path().join("d");
    drop(app);
    let index = index_dir(&at.canonicalize().unwrap());
    let (new, old) = (beside(&index, "new"), beside(&index, "old"));
    let half = |place: &Path| {
        fs::create_dir(place).unwrap();
        fs::write(place.join("meta.json"), "{").unwrap();
    };
    let moments: [&dyn Fn(); 4] = [
        &|| half(&new),
        &|| {
            fs::rename(&index, &new).unwrap();
            half(&old);
        },
        &|| fs::rename(&index, &old).unwrap(),
        &|| half(&old),
    ];
    for (n, crash) in moments.into_iter().enumerate() {
        crash();
        let store = Store::open(&at, Arc::new(SystemClock)).unwrap();
        let (opened, position) = open(&store, &index).unwrap();
        assert!(opened.doc_count() > 300 && position.is_some_and(|p| p <= head), "{n}: {position:?}");
        assert!(!new.exists() && !old.exists(), "{n}");
    }
    let app = App::open(&at, Arc::new(SystemClock)).unwrap();
    assert_eq!(found(&app, KNOWN), 1);
}

/// Generations under which the files of an index were sealed, as their headers say.
fn generations(index: &Path) -> BTreeSet<u32> {
    let heads = fs::read_dir(index).unwrap().map(|e| fs::read(e.unwrap().path()).unwrap());
    heads.filter_map(|b| Some(u32::from_be_bytes(b.get(12..16)?.try_into().unwrap()))).collect()
}

/// Removed rows and merged segments lie on in sectors that nobody wrote since: what opened them has to go.
#[test]
fn a_new_generation_of_keys_makes_a_new_index_and_the_old_one_never_opens_again() {
    let (dir, app) = county();
    let index = index_dir(app.dir());
    assert_eq!(generations(&index), BTreeSet::from([1]));
    let stolen: Vec<(PathBuf, Vec<u8>)> =
        fs::read_dir(&index).unwrap().map(|e| e.unwrap().path()).map(|p| (p.clone(), fs::read(p).unwrap())).collect();
    app.rotate_keys(&|_| ()).unwrap();
    // The old one answers meanwhile.
    assert_eq!(found(&app, KNOWN), 1);
    app.wait_for_index().unwrap();
    assert_eq!((app.follower.index().0.generation(), generations(&index)), (2, BTreeSet::from([2])));
    assert_eq!(found(&app, KNOWN), 1);
    drop(app);
    fs::remove_dir_all(&index).unwrap();
    fs::create_dir(&index).unwrap();
    stolen.iter().for_each(|(path, bytes)| fs::write(path, bytes).unwrap());
    let store = Store::open(&dir.path().join("d"), Arc::new(SystemClock)).unwrap();
    assert_eq!(open(&store, &index).unwrap().1, None);
    drop(store);
    let app = App::open(&dir.path().join("d"), Arc::new(SystemClock)).unwrap();
    app.wait_for_index().unwrap();
    assert_eq!((found(&app, KNOWN), generations(&index)), (1, BTreeSet::from([2])));
}

/// A stop between the end of a rotation and the new index.
#[test]
fn an_index_under_keys_that_are_gone_is_made_anew_at_the_next_start() {
    let (dir, app) = county();
    let store = app.store.clone();
    let act = |action| crate::store::Act::new(super::super::access::local_doer(), action);
    drop(app);
    store.begin_rotation(act(act::KEY_ROTATION)).unwrap();
    let mut next = Some(0);
    while let Some(from) = next {
        next = store.rewrap(from, act(act::KEY_REWRAPPED)).unwrap().next;
    }
    store.end_rotation(act(act::KEY_ROTATED)).unwrap();
    drop(store);
    let app = App::open(&dir.path().join("d"), Arc::new(SystemClock)).unwrap();
    app.wait_for_index().unwrap();
    assert_eq!((found(&app, KNOWN), generations(&index_dir(app.dir()))), (1, BTreeSet::from([2])));
}

#[test]
fn whoever_waits_for_a_new_index_is_told_how_far_it_is() {
    let (_dir, app) = county();
    let heard = Mutex::new(Vec::new());
    app.reindex_aloud(&super::super::access::local_doer(), &|done, of| lock(&heard).push((done, of))).unwrap();
    let heard = lock(&heard);
    assert!(heard.iter().all(|(done, of)| done <= of && *of > 0), "{heard:?}");
    assert!(heard.windows(2).all(|w| w[0].0 <= w[1].0) && app.index_made().is_none());
    drop(heard);
    lock(&app.follower.shared.progress).made = Some((Seq(30), Seq(60)));
    let told = app.doctor(false).unwrap();
    assert!(told.iter().any(|f| f.name == "检索索引" && f.text.contains("正在重建，已读日志 30 / 60 条")));
}

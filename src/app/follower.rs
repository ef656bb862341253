//! The follower that keeps the search index in step with the journal: a thread with a position of its own. What it has
//! not seen yet is named by the journal, so searches are complete all the same.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, RwLock};
use std::time::Duration;

use super::lock;
use super::search::document;
use crate::base::{Error, ErrorKind, RecordId, Result, Seq, limits};
use crate::records;
use crate::search::{Change, Index, Request};
use crate::store::{Snapshot, Store};

/// Entries read before the index is committed.
const ENTRIES_A_COMMIT: usize = 2_000;
/// Entries without changes after which the position is committed all the same.
const ENTRIES_UNCOMMITTED: u64 = 500;
/// Records applied at once.
const RECORDS_AT_ONCE: usize = 2_000;

/// The running follower; dropping it ends the thread.
pub struct Follower {
    shared: Arc<Shared>,
    wake: Mutex<Option<Sender<Wake>>>,
    thread: Mutex<Option<std::thread::JoinHandle<()>>>,
}

struct Shared {
    index: RwLock<Arc<Index>>,
    dir: PathBuf,
    store: Store,
    progress: Mutex<Progress>,
    moved: Condvar,
}

#[derive(Default)]
struct Progress {
    seen: Seq,
    failure: Option<Error>,
    rebuilding: bool,
}

enum Wake {
    Commit,
    Rebuild,
    Stop,
}

impl Follower {
    /// Opens the index and starts to catch up.
    pub fn start(store: &Store, dir: &Path) -> Result<Self> {
        let (index, position) = open(store, dir)?;
        let shared = Arc::new(Shared {
            index: RwLock::new(Arc::new(index)),
            dir: dir.to_owned(),
            store: store.clone(),
            progress: Mutex::new(Progress { seen: position.unwrap_or_default(), ..Progress::default() }),
            moved: Condvar::new(),
        });
        let (wake, woken) = channel();
        let notify = wake.clone();
        store.on_commit(move |_| {
            // The thread ends only when the application does.
            let _stopped = notify.send(Wake::Commit);
        });
        let own = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("index".into()).spawn(move || run(&own, &woken))?;
        let _started = wake.send(Wake::Commit);
        Ok(Self { shared, wake: Mutex::new(Some(wake)), thread: Mutex::new(Some(thread)) })
    }

    /// The index as it is now.
    pub fn index(&self) -> Arc<Index> {
        let index = self.shared.index.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        Arc::clone(&index)
    }

    /// Records changed since the index's position; `None` when they are too many to scan.
    pub fn fresh(&self, snapshot: &Snapshot) -> Result<Option<BTreeSet<RecordId>>> {
        let mut ids = BTreeSet::new();
        let seen = lock(&self.shared.progress).seen;
        for entry in snapshot.journal_after(seen)? {
            ids.extend(changed(&entry?.header));
            if ids.len() > limits::FRESH_MAX {
                return Ok(None);
            }
        }
        Ok(Some(ids))
    }

    /// Entries the index has not seen.
    pub fn lag(&self) -> u64 {
        let seen = lock(&self.shared.progress).seen;
        self.shared.store.head().seq.0.saturating_sub(seen.0)
    }

    /// Documents in the index.
    pub fn documents(&self) -> Result<u64> {
        Ok(self.index().doc_count())
    }

    /// Bytes of the index on disk.
    pub fn bytes(&self) -> Result<u64> {
        self.index().size_bytes()
    }

    /// Waits until the index has seen an entry.
    pub fn wait(&self, seq: Seq) -> Result<()> {
        let mut progress = lock(&self.shared.progress);
        while progress.seen < seq || progress.rebuilding {
            if let Some(failure) = &progress.failure {
                return Err(failure.clone());
            }
            let waited = self.shared.moved.wait_timeout(progress, Duration::from_millis(500));
            progress = waited.unwrap_or_else(std::sync::PoisonError::into_inner).0;
        }
        Ok(())
    }

    /// Throws the index away and makes it again.
    pub fn rebuild(&self) -> Result<()> {
        lock(&self.shared.progress).rebuilding = true;
        let wake = lock(&self.wake);
        let sent = wake.as_ref().map(|w| w.send(Wake::Rebuild));
        if matches!(sent, Some(Ok(()))) { Ok(()) } else { Err(Error::new(ErrorKind::Busy, "检索索引正在停止。")) }
    }

    /// Reads the dictionaries that a search needs; a server does it before somebody's first search.
    pub fn warm_up(&self) {
        let scope = crate::search::Scope::nothing().with(records::petition::KIND.tag, crate::search::Units::All);
        let request = Request { text: "基层群众反映的问题".to_owned(), limit: 1, ..Request::default() };
        // The first search will say what is wrong.
        let _warm = self.index().search(&scope, &request, &[]);
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        if let Some(wake) = lock(&self.wake).take() {
            let _stopped = wake.send(Wake::Stop);
        }
        if let Some(thread) = lock(&self.thread).take() {
            let _ended = thread.join();
        }
    }
}

fn open(store: &Store, dir: &Path) -> Result<(Index, Option<Seq>)> {
    let (index, position) = Index::open(dir, store.facts().epoch)?;
    // An index ahead of the journal belongs to another history.
    if position.is_some_and(|p| p > store.head().seq) {
        drop(index);
        std::fs::remove_dir_all(dir)?;
        return Index::open(dir, store.facts().epoch);
    }
    Ok((index, position))
}

fn run(shared: &Shared, woken: &Receiver<Wake>) {
    while let Ok(wake) = woken.recv() {
        let mut all = vec![wake];
        all.extend(woken.try_iter());
        if all.iter().any(|w| matches!(w, Wake::Stop)) {
            return;
        }
        let rebuild = all.iter().any(|w| matches!(w, Wake::Rebuild));
        let done = (if rebuild { start_over(shared) } else { Ok(()) }).and_then(|()| catch_up(shared, woken));
        if let Err(e) = done {
            tracing::error!(detail = e.detail(), "index follower: {e}");
            let mut progress = lock(&shared.progress);
            progress.failure = Some(e);
            progress.rebuilding = false;
            shared.moved.notify_all();
        }
    }
}

fn start_over(shared: &Shared) -> Result<()> {
    let mut index = shared.index.write().unwrap_or_else(std::sync::PoisonError::into_inner);
    // Made beside the old one, which answers until the swap; the old folder goes when its last reader does.
    let fresh = shared.dir.with_extension("new");
    if fresh.exists() {
        std::fs::remove_dir_all(&fresh)?;
    }
    drop(Index::open(&fresh, shared.store.facts().epoch)?);
    std::fs::remove_dir_all(&shared.dir)?;
    std::fs::rename(&fresh, &shared.dir)?;
    *index = Arc::new(Index::open(&shared.dir, shared.store.facts().epoch)?.0);
    let mut progress = lock(&shared.progress);
    *progress = Progress { rebuilding: true, ..Progress::default() };
    Ok(())
}

/// Applies everything the journal has beyond the index's position.
fn catch_up(shared: &Shared, woken: &Receiver<Wake>) -> Result<()> {
    loop {
        let snapshot = shared.store.read()?;
        let head = snapshot.head()?.seq;
        let index = {
            let held = shared.index.read().unwrap_or_else(std::sync::PoisonError::into_inner);
            Arc::clone(&held)
        };
        let mut position = lock(&shared.progress).seen.max(index.position().unwrap_or_default());
        if position < head {
            let mut ids = BTreeSet::new();
            for entry in snapshot.journal_after(position)?.take(ENTRIES_A_COMMIT) {
                let entry = entry?;
                position = entry.header.seq;
                ids.extend(changed(&entry.header));
            }
            let committed = index.position().unwrap_or_default();
            // Most entries are looks at records: they alone are no reason to write the index.
            if !ids.is_empty() || position.0 - committed.0 > ENTRIES_UNCOMMITTED {
                apply(&snapshot, &index, &ids)?;
                index.commit(position)?;
            }
        }
        let mut progress = lock(&shared.progress);
        progress.seen = position;
        progress.failure = None;
        progress.rebuilding &= position < head;
        shared.moved.notify_all();
        drop(progress);
        if position >= head {
            return Ok(());
        }
        // Commits that arrived meanwhile are part of what the loop reads next.
        woken.try_iter().for_each(drop);
    }
}

fn apply(snapshot: &Snapshot, index: &Index, ids: &BTreeSet<RecordId>) -> Result<()> {
    let ids: Vec<RecordId> = ids.iter().copied().collect();
    for some in ids.chunks(RECORDS_AT_ONCE) {
        let changes = some.iter().map(|id| {
            let record = snapshot.get(*id, false)?;
            Ok(Change { id: id.0, doc: record.as_ref().and_then(document) })
        });
        index.apply(changes.collect::<Result<Vec<_>>>()?)?;
    }
    Ok(())
}

fn changed(header: &crate::store::Header) -> impl Iterator<Item = RecordId> + '_ {
    let indexed = |kind: u8| records::by_tag(kind).is_some_and(|k| k.indexed);
    header.subjects.iter().filter(move |s| s.digest.is_some() && indexed(s.kind)).map(|s| s.id)
}

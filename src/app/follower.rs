//! The follower that keeps the search index in step with the journal: a thread with a position of its own. What it has
//! not seen yet is named by the journal, so searches are complete all the same.
//!
//! What must hold: an index is asked together with the position it had read to; while another one is made beside it,
//! the old one answers and keeps up; a crash at any moment leaves one that is whole, or none, which is then made. An
//! index lasts no longer than the generation of keys it was sealed under.

mod place;

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use super::lock;
use super::attached::whole_document;
use crate::base::{Error, ErrorKind, RecordId, Result, Seq, background, limits};
use crate::records::batch::{self, hides, state};
use crate::records::{self, act};
use crate::search::{Change, Index, Request, Scope};
use crate::store::fault::{Bug, planted};
use crate::store::{Header, Snapshot, Store, Subject};
use place::{beside, recover, swap};

/// Entries read before the index is committed.
const ENTRIES_A_COMMIT: usize = 2_000;
/// Entries that changed nothing anybody sees, after which the position is committed all the same.
const ENTRIES_UNCOMMITTED: u64 = 500;
/// While rows of an import wait for their end, what others changed waits for a commit at most this long, and at most so
/// many records of it: each commit keeps the disk busy. Searches read them from the store meanwhile.
const COMMIT_PAUSE: Duration = Duration::from_secs(2);
const CHANGES_UNCOMMITTED: usize = 64;
/// After so long a merge that purges ask for is tried again.
const SETTLE_PAUSE: Duration = Duration::from_secs(1);
/// After a commit the disk and the processor are left to others for so many times what it took, unless somebody waits
/// for the index or so many changes do.
const COMMIT_REST: u32 = 4;
const CHANGES_AT_REST: usize = limits::FRESH_MAX / 4;
/// While so many commands go into one commit the index comes after them, half a second later at most: it would take the
/// second of two processors from those who wait.
const CROWD: usize = 4;
const ASIDE_STEP: Duration = Duration::from_millis(10);
const ASIDE_STEPS: usize = 50;
/// After so long a new index that did not come about is begun again, which new keys ask for.
const RENEW_PAUSE: Duration = Duration::from_secs(600);
/// Records applied at once.
const RECORDS_AT_ONCE: usize = 2_000;

/// The running follower; dropping it ends the thread.
pub struct Follower {
    shared: Arc<Shared>,
    wake: Mutex<Option<Sender<()>>>,
    thread: Mutex<Option<std::thread::JoinHandle<()>>>,
}

struct Shared {
    dir: PathBuf,
    store: Store,
    progress: Mutex<Progress>,
    moved: Condvar,
    stopping: AtomicBool,
}

struct Progress {
    /// What answers now.
    index: Arc<Index>,
    /// The entry up to which it does; entries without changes count before they are committed.
    seen: Seq,
    uncommitted: Uncommitted,
    /// Rows of purged records are still in files of the index.
    unsettled: bool,
    /// Callers that wait for the index.
    waiting: usize,
    failure: Option<Error>,
    /// Another index is wanted, or being made.
    rebuilding: bool,
    /// How far it is: entries read, and entries there are.
    made: Option<(Seq, Seq)>,
    /// It was begun for this generation of keys, then.
    renewed: Option<(u32, Instant)>,
    /// It failed, and may be damaged.
    doubted: bool,
}

/// What was applied since the last commit.
#[derive(Clone, Copy)]
struct Uncommitted {
    /// Applied up to this entry.
    upto: Seq,
    /// Changes that everybody may see.
    visible: usize,
    /// Rows of an import that nobody sees yet.
    hidden: bool,
    /// Since when.
    since: Instant,
    /// How long the next commit is put off for others.
    rest: Duration,
}

impl Uncommitted {
    fn nothing(upto: Seq) -> Self {
        Self { upto, visible: 0, hidden: false, since: Instant::now(), rest: Duration::ZERO }
    }

    /// After a commit that began at `begun`.
    fn committed(upto: Seq, begun: Instant) -> Self {
        Self { rest: (begun.elapsed() * COMMIT_REST).min(COMMIT_PAUSE), ..Self::nothing(upto) }
    }

    /// When the next commit is due; `None` when nothing that can be seen waits for one.
    fn pause(&self) -> Option<Duration> {
        let wait = match self.visible {
            0 => return None,
            n if self.hidden && n < CHANGES_UNCOMMITTED => COMMIT_PAUSE,
            n if !self.hidden && n < CHANGES_AT_REST => self.rest,
            _ => Duration::ZERO,
        };
        Some(wait.saturating_sub(self.since.elapsed()))
    }
}

impl Follower {
    /// Opens the index and starts to catch up.
    pub fn start(store: &Store, dir: &Path) -> Result<Self> {
        let (index, position) = open(store, dir)?;
        let seen = position.unwrap_or_default();
        let progress = Progress {
            index: Arc::new(index),
            seen,
            uncommitted: Uncommitted::nothing(seen),
            unsettled: false,
            waiting: 0,
            failure: None,
            rebuilding: false,
            made: None,
            renewed: None,
            doubted: false,
        };
        let shared = Arc::new(Shared {
            dir: dir.to_owned(),
            store: store.clone(),
            progress: Mutex::new(progress),
            moved: Condvar::new(),
            stopping: AtomicBool::new(false),
        });
        let (wake, woken) = channel();
        let notify = wake.clone();
        store.on_commit(move |_| {
            // The thread ends only when the application does.
            let _stopped = notify.send(());
        });
        let own = Arc::clone(&shared);
        let thread = background("index", move || run(&own, &woken))?;
        let _started = wake.send(());
        Ok(Self { shared, wake: Mutex::new(Some(wake)), thread: Mutex::new(Some(thread)) })
    }

    /// The index that answers now, and the entry up to which it does.
    pub fn index(&self) -> (Arc<Index>, Seq) {
        let progress = lock(&self.shared.progress);
        (Arc::clone(&progress.index), progress.seen)
    }

    /// Records changed since an entry; `None` when they are too many to scan.
    pub fn fresh(&self, snapshot: &Snapshot, seen: Seq) -> Result<Option<BTreeSet<RecordId>>> {
        let mut ids = BTreeSet::new();
        for entry in snapshot.journal_after(seen)? {
            let header = entry?.header;
            if brings_hidden(snapshot, &header)? {
                continue;
            }
            for subject in changed(&header) {
                ids.insert(subject.id);
                // The rows of a batch that has just come in were applied and are not committed yet.
                let batch = Some(subject.id).filter(|_| subject.kind == batch::KIND.tag);
                let batch = batch.map_or(Ok(None), |id| snapshot.get(id, false))?.filter(|b| !hides(b));
                ids.extend(batch.map_or(Ok(Vec::new()), |b| snapshot.members(b.id))?);
            }
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

    /// Waits until the index has seen an entry.
    pub fn wait(&self, seq: Seq) -> Result<()> {
        self.wait_aloud(seq, &|_, _| ())
    }

    /// The same; `heard` is told now and then how far another index is.
    pub fn wait_aloud(&self, seq: Seq, heard: &dyn Fn(u64, u64)) -> Result<()> {
        {
            let mut progress = lock(&self.shared.progress);
            progress.waiting += 1;
            // It tries again; what went wrong before may be over.
            progress.failure = None;
        }
        // A thread that has stopped is told of by its failure.
        let _stopped = lock(&self.wake).as_ref().map(|w| w.send(()));
        let mut progress = lock(&self.shared.progress);
        let mut done = Ok(());
        while done.is_ok() && (progress.seen < seq || progress.rebuilding) {
            done = progress.failure.clone().map_or(Ok(()), Err);
            let waited = self.shared.moved.wait_timeout(progress, Duration::from_millis(500));
            progress = waited.unwrap_or_else(std::sync::PoisonError::into_inner).0;
            if let Some((done, of)) = progress.made {
                heard(done.0, of.0);
            }
        }
        progress.waiting -= 1;
        done
    }

    /// Rows of purged records are in no file of the index any more.
    pub fn is_settled(&self) -> Result<bool> {
        Ok(self.index().0.settled() >= self.shared.store.read()?.last_purge()?)
    }

    /// Whether the index on the disk is what was written; what cannot be read three times is not.
    /// One whose place another is about to take is not looked at: it may lie under keys that are forgotten.
    pub fn is_sound(&self) -> bool {
        let leaves = lock(&self.shared.progress).rebuilding;
        leaves || is_sound(&self.index().0)
    }

    /// Asks the index something. Where that fails, it is looked at soon, and made anew when it is damaged.
    pub fn ask<T>(&self, ask: impl FnOnce() -> Result<T>) -> Result<T> {
        let found = catch_unwind(AssertUnwindSafe(ask));
        found.unwrap_or_else(|_| Err(Error::internal("the index panicked"))).map_err(|e| {
            lock(&self.shared.progress).doubted = true;
            let _stopped = lock(&self.wake).as_ref().map(|w| w.send(()));
            let message = "检索索引读取出错，正在检查，损坏时会自动重建。请稍后再试。";
            Error::new(ErrorKind::Busy, message).with_detail(e.detail())
        })
    }

    /// Has the index made again, beside the old one, which answers meanwhile.
    pub fn rebuild(&self) -> Result<()> {
        let mut progress = lock(&self.shared.progress);
        progress.rebuilding = true;
        progress.failure = None;
        drop(progress);
        let sent = lock(&self.wake).as_ref().map(|w| w.send(()));
        if matches!(sent, Some(Ok(()))) {
            Ok(())
        } else {
            Err(Error::new(ErrorKind::Busy, "检索索引正在停止。"))
        }
    }

    /// While another index is made: entries it has read, and entries there are.
    pub fn made(&self) -> Option<(u64, u64)> {
        lock(&self.shared.progress).made.map(|(done, of)| (done.0, of.0))
    }

    /// Has it looked whether the keys of the index are still there, after a generation was forgotten.
    pub fn look(&self) {
        renew(&self.shared);
        // One that has stopped is opened again, and seen then.
        let _stopped = lock(&self.wake).as_ref().map(|w| w.send(()));
    }

    /// Reads the dictionaries that a search needs: better now than in somebody's first search.
    pub fn warm_up(&self) {
        let scope = Scope::nothing().under(u8::MAX);
        let scope = scope.with(records::petition::KIND.tag, crate::search::Units::All);
        let request =
            Request { text: "基层群众反映的问题".to_owned(), limit: 1, ..Request::default() };
        // The first search will say what is wrong.
        let _warm = self.index().0.search(&scope, &request, &[]);
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Release);
        if let Some(wake) = lock(&self.wake).take() {
            let _stopped = wake.send(());
        }
        if let Some(thread) = lock(&self.thread).take() {
            let _ended = thread.join();
        }
    }
}

/// The index at its place, whatever a crash left beside it.
fn open(store: &Store, dir: &Path) -> Result<(Index, Option<Seq>)> {
    recover(dir)?;
    let (index, position) = Index::open(dir, store.facts().epoch, &store.file_keys())?;
    // An index ahead of the journal belongs to another history.
    if position.is_some_and(|p| p > store.head().seq) {
        drop(index);
        fs::remove_dir_all(dir)?;
        return Index::open(dir, store.facts().epoch, &store.file_keys());
    }
    Ok((index, position))
}

fn run(shared: &Shared, woken: &Receiver<()>) {
    loop {
        let pause = {
            let progress = lock(&shared.progress);
            let pause = progress.uncommitted.pause().or(progress.unsettled.then_some(SETTLE_PAUSE));
            if progress.rebuilding { Some(Duration::ZERO) } else { pause }
        };
        let ended = match pause {
            Some(pause) => woken.recv_timeout(pause) == Err(RecvTimeoutError::Disconnected),
            None => woken.recv().is_err(),
        };
        let waited_for = || lock(&shared.progress).waiting > 0 || shared.stopping.load(Ordering::Acquire);
        stand_aside(|| shared.store.last_group(), || shared.store.head().seq, waited_for);
        woken.try_iter().for_each(drop);
        // Not before that: what it took may have been the word to stop.
        if ended || shared.stopping.load(Ordering::Acquire) {
            return;
        }
        look_closer(shared);
        renew(shared);
        let wanted = lock(&shared.progress).rebuilding;
        let work = || if wanted { start_over(shared) } else { catch_up(shared) };
        let done = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(Error::internal("the index panicked")));
        let mut progress = lock(&shared.progress);
        if wanted {
            progress.rebuilding = false;
            progress.made = None;
        }
        // What was sealed under a generation that was forgotten meanwhile does not open: it is made anew at once.
        let forgotten = !wanted && done.is_err() && progress.index.generation() < shared.store.generation();
        progress.rebuilding |= forgotten;
        progress.failure = done.err().filter(|_| !forgotten);
        progress.doubted |= progress.failure.is_some();
        if let Some(e) = &progress.failure {
            tracing::error!(detail = e.detail(), "index follower: {e}");
        }
        shared.moved.notify_all();
    }
}

/// Lets a crowd save first, while it goes on and nobody waits for the index. It looks every now and then: being woken
/// by each commit would cost the writer time. A search that finds more changed than it can scan meanwhile says so.
fn stand_aside(last_group: impl Fn() -> usize, head: impl Fn() -> Seq, waited_for: impl Fn() -> bool) {
    let mut last = None;
    for _ in 0..ASIDE_STEPS {
        let now = Some(head());
        if last_group() < CROWD || last == now || waited_for() {
            return;
        }
        last = now;
        std::thread::sleep(ASIDE_STEP);
    }
}

/// After something failed: a damaged index is made anew.
fn look_closer(shared: &Shared) {
    let mut progress = lock(&shared.progress);
    if !std::mem::take(&mut progress.doubted) {
        return;
    }
    let index = Arc::clone(&progress.index);
    drop(progress);
    if !catch_unwind(AssertUnwindSafe(|| is_sound(&index))).unwrap_or(false) {
        tracing::error!("the search index is damaged and is made anew");
        lock(&shared.progress).rebuilding = true;
    }
}

/// Files that were sealed under a generation that is forgotten now do not open again, and are not to: new ones are made
/// while the old ones, whose own keys are in memory, answer.
fn renew(shared: &Shared) {
    let mut progress = lock(&shared.progress);
    let wanted = shared.store.generation();
    if progress.index.generation() >= wanted || shared.store.is_rotating() || progress.rebuilding {
        return;
    }
    if progress.renewed.is_none_or(|(before, at)| before < wanted || at.elapsed() > RENEW_PAUSE) {
        progress.renewed = Some((wanted, Instant::now()));
        progress.rebuilding = true;
    }
}

fn is_sound(index: &Index) -> bool {
    // A merge may remove a file between listing and reading.
    (0..3).find_map(|_| index.is_sound().ok()).unwrap_or(false)
}

/// Makes a new index beside the old one and lets it take its place.
fn start_over(shared: &Shared) -> Result<()> {
    let place = beside(&shared.dir, "new");
    if place.exists() {
        fs::remove_dir_all(&place)?;
    }
    let (fresh, _) = Index::open(&place, shared.store.facts().epoch, &shared.store.file_keys())?;
    loop {
        let snapshot = shared.store.read()?;
        let head = snapshot.head()?.seq;
        let mut done = Uncommitted::nothing(fresh.position().unwrap_or_default());
        lock(&shared.progress).made = Some((done.upto, head));
        take_up(&snapshot, &fresh, &mut done)?;
        fresh.commit(done.upto)?;
        if shared.stopping.load(Ordering::Acquire) {
            return Ok(());
        }
        // The old one may be the reason for the new one.
        let _kept_up = catch_up(shared);
        if done.upto >= head {
            break;
        }
    }
    // Merges run in threads of their own and write where the folder was opened.
    fresh.retire()?;
    drop(fresh);
    let old = Arc::clone(&lock(&shared.progress).index);
    let _merged = old.retire();
    let swapped = swap(&shared.dir);
    // Whichever of the two is there now.
    let (index, position) = open(&shared.store, &shared.dir)?;
    let mut progress = lock(&shared.progress);
    progress.index = Arc::new(index);
    progress.seen = position.unwrap_or_default();
    progress.uncommitted = Uncommitted::nothing(progress.seen);
    drop(progress);
    swapped.and_then(|()| catch_up(shared))
}

/// Applies everything the journal has beyond the index's position.
fn catch_up(shared: &Shared) -> Result<()> {
    let done = follow(shared);
    if done.is_err() {
        // What was applied and not committed may be lost.
        let mut progress = lock(&shared.progress);
        progress.seen = progress.index.position().unwrap_or_default();
        progress.uncommitted = Uncommitted::nothing(progress.seen);
    }
    done
}

/// Most entries are looks at records, and those of an
/// import change what nobody sees yet: they alone are no reason to write the index.
fn follow(shared: &Shared) -> Result<()> {
    loop {
        let (index, mut open, waiting) = {
            let progress = lock(&shared.progress);
            (Arc::clone(&progress.index), progress.uncommitted, progress.waiting)
        };
        let snapshot = shared.store.read()?;
        let head = snapshot.head()?.seq;
        take_up(&snapshot, &index, &mut open)?;
        let entries = open.upto.0.saturating_sub(index.position().unwrap_or_default().0);
        let due = open.pause().is_some_and(|left| left.is_zero() || waiting > 0);
        if due || entries > ENTRIES_UNCOMMITTED {
            let begun = Instant::now();
            index.commit(open.upto)?;
            open = Uncommitted::committed(open.upto, begun);
        }
        let mut progress = lock(&shared.progress);
        if open.visible == 0 {
            progress.seen = open.upto;
        }
        progress.uncommitted = open;
        progress.failure = None;
        shared.moved.notify_all();
        drop(progress);
        let stopping = shared.stopping.load(Ordering::Acquire);
        if open.upto >= head || stopping {
            if !stopping {
                forget_purged(shared, &snapshot, &index)?;
            }
            return Ok(());
        }
    }
}

/// Removed rows stay in the files of the index until a merge drops them: after purges one is made, for all of them
/// together. Searches go on meanwhile.
fn forget_purged(shared: &Shared, snapshot: &Snapshot, index: &Index) -> Result<()> {
    let last = snapshot.last_purge()?;
    let committed = index.position().unwrap_or_default() >= last;
    let mut unsettled = last > index.settled();
    if unsettled && committed {
        match index.settle() {
            // A commit that fails may lose what was applied: whoever called has to know.
            Ok(()) => {
                index.remember_settled(last)?;
                unsettled = false;
            }
            // The engine may be merging by itself just now.
            Err(e) => tracing::info!(detail = e.detail(), "the merge after a purge is tried again: {e}"),
        }
    }
    lock(&shared.progress).unsettled = unsettled;
    Ok(())
}

/// Applies the next entries, without committing them.
fn take_up(snapshot: &Snapshot, index: &Index, open: &mut Uncommitted) -> Result<()> {
    let mut ids = BTreeSet::new();
    let before = open.upto;
    for entry in snapshot.journal_after(before)?.take(ENTRIES_A_COMMIT) {
        let entry = entry?;
        open.upto = entry.header.seq;
        ids.extend(changed(&entry.header).map(|s| s.id));
    }
    if open.upto == before && before < snapshot.head()?.seq {
        // Waiting for an entry that is gone would never end.
        return Err(Error::damaged(format!("日志缺少第 {} 条", before.0 + 1)));
    }
    let mut ended = false;
    for id in ids.clone() {
        let Some(batch) = snapshot.get_any(id, false)?.filter(|r| r.kind == batch::KIND.tag) else {
            continue;
        };
        if hides(&batch) {
            ids.extend(snapshot.members(id)?);
        } else {
            ended = true;
        }
    }
    let ids: Vec<RecordId> = ids.into_iter().collect();
    for some in ids.chunks(RECORDS_AT_ONCE) {
        let (mut changes, mut attached) = (Vec::with_capacity(some.len()), 0);
        for id in some {
            let record = snapshot.get_any(*id, true)?;
            let gone = record.as_ref().map_or(Ok(true), |r| given_up(snapshot, r))?;
            if !gone && record.as_ref().map_or(Ok(false), |r| snapshot.is_hidden(r))? {
                open.hidden = true;
            } else {
                open.visible += 1;
            }
            let record = record.as_ref().filter(|_| !gone);
            let doc = record.map_or(Ok(None), |r| whole_document(snapshot, r))?;
            attached += doc.as_ref().map_or(0, |d| d.attached.len());
            changes.push(Change { id: id.0, doc });
            if attached > limits::ATTACHED_AT_ONCE_BYTES {
                index.apply(std::mem::take(&mut changes))?;
                attached = 0;
            }
        }
        if !planted(Bug::IndexAhead) {
            index.apply(changes)?;
        }
    }
    if ended {
        // What came in is to be found at once.
        open.hidden = false;
    }
    Ok(())
}

/// The record came in with a batch that was undone or never finished. Rows of a batch that is still coming in are
/// indexed already, and hidden by the query.
fn given_up(snapshot: &Snapshot, record: &records::Record) -> Result<bool> {
    let Some(id) = record.batch() else { return Ok(false) };
    if !snapshot.is_hidden(record)? {
        return Ok(false);
    }
    let batch = snapshot.get_any(id, false)?;
    Ok(batch.is_none_or(|b| !matches!(b.state, state::RUNNING | state::DONE)))
}

/// Rows of a batch that is still coming in: nobody sees them, and its end names them all.
fn brings_hidden(snapshot: &Snapshot, header: &Header) -> Result<bool> {
    let first =
        changed(header).next().filter(|s| header.action == act::IMPORT.code && s.kind != batch::KIND.tag);
    let record = first.map_or(Ok(None), |s| snapshot.get_any(s.id, false))?;
    record.map_or(Ok(false), |r| snapshot.is_hidden(&r))
}

fn changed(header: &Header) -> impl Iterator<Item = &Subject> {
    // A batch decides over its records, so its changes are theirs.
    let indexed = |kind: u8| kind == batch::KIND.tag || records::by_tag(kind).is_some_and(|k| k.indexed);
    // So is what attachments say, which somebody has read by now.
    let read = header.action == act::ATTACHED.code;
    header.subjects.iter().filter(move |s| (read || s.digest.is_some()) && indexed(s.kind))
}

#[cfg(test)]
mod tests;

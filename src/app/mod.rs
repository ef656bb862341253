//! The only floor that web and command line call. Every call takes an [`Actor`] and is denied by default.
//!
//! [`App`] holds the open store, the search index that follows its journal, and what lives in memory only: sessions,
//! throttles, staged uploads. It composes floors that do not know each other.

pub mod access;
mod articles;
pub mod attached;
pub mod audit;
pub mod backup;
pub mod change;
pub mod charter;
pub mod checks;
pub mod choice;
pub mod demo;
mod device;
pub mod doctor;
pub mod draft;
pub mod factor;
pub mod follower;
pub mod handover;
pub mod identities;
pub mod import;
pub mod keys;
pub mod label;
pub mod leftover;
pub mod login;
pub mod names;
pub mod offsite;
pub mod password;
mod planted;
pub mod petitioners;
pub mod policy;
pub mod proof;
pub mod recipients;
pub mod purge;
pub mod record;
pub mod recusal;
pub mod review;
pub mod regulation;
pub mod relief;
pub mod repeats;
mod run_entry;
pub mod runner;
pub mod saved;
pub mod scrub;
pub mod search;
pub mod selftest;
pub mod session;
pub mod setup;
mod sight;
pub mod similar;
pub mod staff;
pub mod stage;
pub mod standby;
pub mod succession;
pub mod suggest;
pub mod table;
pub mod throttle;
pub mod totp;
pub mod ukey;
pub mod unlock;
pub mod versions;
pub mod viewing;
pub mod wordbook;
mod waiting;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::base::{Clock, Error, Moment, RecordId, Result};
use crate::store::{Facts, Store};

pub use crate::store::{Failure, Halt, write_new as write_private};
pub use access::{Actor, Right, Scope};

/// Everything a running jiceng holds.
pub struct App {
    store: Store,
    follower: follower::Follower,
    sessions: session::Sessions,
    throttle: throttle::Throttle,
    staged: stage::Staged,
    drafts: draft::Drafts,
    reading: attached::Reading,
    names: names::Names,
    desk: import::desk::Desk,
    runner: runner::Runner,
    console: audit::Console,
    scrubber: scrub::Scrubber,
    standby: standby::Watch,
    offsite: offsite::Offsite,
    /// Which authorities of certificates are trusted, as read last.
    trust: Mutex<Option<Arc<ukey::Trust>>>,
    /// Held by the one rotation of keys there is.
    rotation: Mutex<()>,
    /// Held by whoever removes files of purged records.
    purging: Mutex<()>,
    /// Batches to be given up as soon as records can be changed.
    broken: Mutex<Vec<RecordId>>,
}

impl App {
    /// Opens the data folder and lets the index catch up in the background.
    pub fn open(dir: &Path, clock: Arc<dyn Clock>) -> Result<Arc<Self>> {
        Self::with_store(Store::open(dir, clock)?)
    }

    /// The same around a store that is open already.
    pub fn with_store(store: Store) -> Result<Arc<Self>> {
        let follower = follower::Follower::start(&store, &index_dir(store.dir()))?;
        let standby = standby::Watch::of(&store)?;
        let app = Arc::new(Self {
            store,
            follower,
            sessions: session::Sessions::default(),
            throttle: throttle::Throttle::default(),
            staged: stage::Staged::default(),
            drafts: draft::Drafts::default(),
            reading: attached::Reading::default(),
            names: names::Names::default(),
            desk: import::desk::Desk::default(),
            runner: runner::Runner::default(),
            console: audit::Console::default(),
            scrubber: scrub::Scrubber::default(),
            standby,
            offsite: offsite::Offsite::default(),
            trust: Mutex::default(),
            rotation: Mutex::default(),
            purging: Mutex::default(),
            broken: Mutex::default(),
        });
        app.find_broken_batches()?;
        app.give_up_batches()?;
        Ok(app)
    }

    /// Facts that do not change while the store is open.
    pub fn facts(&self) -> &Facts {
        self.store.facts()
    }

    /// The data folder.
    pub fn dir(&self) -> &Path {
        self.store.dir()
    }

    /// The last number a counter gave.
    pub fn counter(&self, name: &str) -> Result<u64> {
        let counters = self.store.read()?.counters()?;
        Ok(counters.into_iter().find(|(n, _)| n == name).map_or(0, |(_, last)| last))
    }

    /// The present moment.
    pub fn now(&self) -> Moment {
        self.store.now()
    }

    /// Why records cannot be changed now, if they cannot.
    pub fn halted(&self) -> Option<Halt> {
        self.store.halted()
    }

    /// Calls `ending` once when the disk fails under the store; nothing can be done with it after that.
    pub fn on_failure(&self, ending: impl Fn(Failure) + Send + 'static) {
        self.store.on_failure(ending);
    }

    /// Keeps room on the disk for the entries of a server.
    pub fn keep_reserve(&self) {
        self.store.keep_reserve();
    }

    /// Whoever runs the host says that the disk is good again: when everything passes the check, records can be
    /// changed. `false` when nothing kept them from it.
    ///
    /// # Errors
    /// `Damaged` when the check finds something; the store stays as it was.
    pub fn resume(&self, doer: &crate::store::Doer) -> Result<bool> {
        if self.store.failure().is_none() {
            return Ok(false);
        }
        let report = self.store.check()?;
        if let Some(problem) = report.problems.first().filter(|_| report.faults > 0) {
            return Err(Error::damaged(format!("检查发现 {} 处问题（第一处：{problem}），没有恢复写入", report.faults)));
        }
        let act = crate::store::Act::new(doer.clone(), crate::records::act::RESUME);
        self.store.submit(move |txn| {
            txn.act(act);
            Ok(())
        })?;
        self.store.resume()?;
        self.give_up_batches().map(|()| true)
    }

    /// Waits until the index has seen everything committed so far.
    pub fn wait_for_index(&self) -> Result<()> {
        self.follower.wait(self.store.head().seq)
    }

    /// Reads what a search needs into memory; costs a fifth of a second of computing, which only a server wants to
    /// spend.
    pub fn warm_up(&self) {
        self.follower.warm_up();
    }

    /// Rebuilds derived tables and index from records and journal.
    pub fn reindex(&self, doer: &crate::store::Doer) -> Result<u64> {
        self.reindex_aloud(doer, &|_, _| ())
    }

    /// The same; `heard` is told now and then how many entries were read, and how many there are.
    pub fn reindex_aloud(&self, doer: &crate::store::Doer, heard: &dyn Fn(u64, u64)) -> Result<u64> {
        let act = crate::store::Act::new(doer.clone(), crate::records::act::REINDEX);
        self.store.submit(move |txn| {
            txn.act(act);
            Ok(())
        })?;
        self.store.rebuild_derived()?;
        self.follower.rebuild()?;
        self.follower.wait_aloud(self.store.head().seq, heard)?;
        Ok(self.follower.index().0.doc_count())
    }
}

/// Where the index lies.
pub fn index_dir(dir: &Path) -> PathBuf {
    dir.join("index")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::SystemClock;

    /// The dictionary of words is one for the whole process, so this test needs one of its own.
    const OWN: &str = "JICENG_TEST_IN_ITS_OWN_PROCESS";

    /// `audit verify` and `doctor` spent most of their time on a dictionary that only searches need.
    #[test]
    fn opening_a_store_reads_no_dictionary_before_somebody_asks_for_it() {
        if std::env::var_os(OWN).is_none() {
            let name = std::thread::current().name().unwrap().to_owned();
            let mut again = std::process::Command::new(std::env::current_exe().unwrap());
            let out = again.args(["--exact", &name]).env(OWN, "1").output().unwrap();
            let said = String::from_utf8_lossy(&out.stdout);
            assert!(out.status.success() && said.contains("1 passed"), "{said}");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join("d");
        drop(demo::create(&at, Arc::new(SystemClock), true).unwrap());
        let app = App::open(&at, Arc::new(SystemClock)).unwrap();
        app.wait_for_index().unwrap();
        app.doctor(true).unwrap();
        assert!(!crate::search::is_warm());
        app.warm_up();
        assert!(crate::search::is_warm());
    }
}

//! The sealed start: the folder is ours, no slot opened by itself, and somebody has to type a passphrase or bring the
//! private key of a recovery recipient.
//!
//! What must hold: a wrong passphrase and one that came too early look the same; tries in the page are few and become
//! rarer; whoever sits at the host's console is not kept out by those who try in the page.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};

use tokio::sync::Notify;

use super::access::local_doer;
use super::{App, lock};
use crate::backup::KeyFile;
use crate::base::{Clock, Error, ErrorKind, Moment, RecordId, Result, limits};
use crate::records::act;
use crate::store::{Act, Doer, Locked, Store, Unlock};

const CLOSED: &str = "没有解锁。请核对口令；连续失败后须等待，且越等越久，请过几分钟再试，或在服务器上运行 jiceng unlock。";

/// A server's start.
pub enum Start {
    /// The data is open.
    Open(Arc<App>),
    /// Somebody has to unlock it.
    Sealed(Arc<Sealed>),
}

/// What a person brings.
pub enum Key<'a> {
    /// A passphrase.
    Passphrase(&'a str),
    /// A private key.
    Identity(&'a KeyFile),
}

/// A data folder that waits for somebody.
pub struct Sealed {
    locked: Locked,
    clock: Arc<dyn Clock>,
    gate: Mutex<Gate>,
    working: Mutex<()>,
    app: OnceLock<Arc<App>>,
    opened: Notify,
}

impl App {
    /// Opens the data folder; where no slot opens by itself and a person could, waits for one.
    pub fn open_or_wait(dir: &Path, clock: Arc<dyn Clock>) -> Result<Start> {
        let locked = Locked::take(dir)?;
        let keys = match locked.unlock(&Unlock::Unattended)? {
            Some(keys) => keys,
            None if locked.waits_for_people() => {
                return Ok(Start::Sealed(Arc::new(Sealed::new(locked, clock))));
            }
            // It says why nothing opens.
            None => locked.unlock_unattended()?,
        };
        Self::with_store(locked.open(keys, clock)?).map(Start::Open)
    }
}

impl Sealed {
    fn new(locked: Locked, clock: Arc<dyn Clock>) -> Self {
        Self {
            locked,
            clock,
            gate: Mutex::default(),
            working: Mutex::default(),
            app: OnceLock::new(),
            opened: Notify::new(),
        }
    }

    /// The data folder.
    pub fn dir(&self) -> &Path {
        self.locked.dir()
    }

    /// The present moment.
    pub fn now(&self) -> Moment {
        self.clock.now()
    }

    /// The application, once it is open.
    pub fn app(&self) -> Option<Arc<App>> {
        self.app.get().cloned()
    }

    /// Returns when it is open.
    pub async fn opened(&self) {
        self.opened.notified().await;
    }

    /// Somebody typed a passphrase into the page.
    ///
    /// # Errors
    /// `Denied`, always in the same words, when it is wrong or came too early.
    pub fn unlock_in_page(&self, passphrase: &str) -> Result<()> {
        if !lock(&self.gate).admits(self.now()) {
            return Err(Error::new(ErrorKind::Denied, CLOSED));
        }
        let doer = Doer { account: RecordId(0), unit: RecordId(0), via: "unlock-page".to_owned() };
        self.unlock(&Key::Passphrase(passphrase), doer)
    }

    /// Somebody is at the host's console.
    ///
    /// # Errors
    /// `Denied` when the key opens nothing.
    pub fn unlock_at_console(&self, key: &Key<'_>) -> Result<()> {
        self.unlock(key, local_doer())
    }

    fn unlock(&self, key: &Key<'_>, doer: Doer) -> Result<()> {
        let _only = lock(&self.working);
        if self.app.get().is_some() {
            return Ok(());
        }
        let keys = match key {
            Key::Passphrase(words) if words.len() > limits::PASSWORD_MAX_BYTES => None,
            Key::Passphrase(words) => self.locked.unlock(&Unlock::Passphrase(words))?,
            Key::Identity(file) => self.locked.unlock(&Unlock::Recovery(&|sealed| file.open_sealed(sealed)))?,
        };
        let Some(keys) = keys else {
            lock(&self.gate).failed(self.now());
            return Err(Error::new(ErrorKind::Denied, CLOSED));
        };
        let slot = keys.slot().to_owned();
        let store = self.locked.open(keys, Arc::clone(&self.clock))?;
        let failures = lock(&self.gate).failures;
        enter(&store, Act::new(doer, act::UNLOCKED).note(format!("{slot}; failures {failures}")))?;
        let app = App::with_store(store)?;
        if self.app.set(app).is_ok() {
            self.opened.notify_one();
        }
        Ok(())
    }
}

fn enter(store: &Store, act: Act) -> Result<()> {
    store.submit(move |txn| {
        txn.act(act);
        Ok(())
    })
}

/// Who may try now.
#[derive(Debug, Default)]
struct Gate {
    /// Tries of the last minute.
    tries: VecDeque<Moment>,
    failures: u32,
    last: Moment,
}

impl Gate {
    /// Lets a try in, and counts it.
    fn admits(&mut self, now: Moment) -> bool {
        // A clock that was put back lets nobody in for longer than it takes to catch up with itself.
        let since = |at: Moment| now.seconds_since(at).max(0);
        while self.tries.front().is_some_and(|at| since(*at) >= 60) {
            self.tries.pop_front();
        }
        let early = self.failures > 0 && since(self.last) < pause_s(self.failures);
        if early || self.tries.len() >= limits::UNLOCK_TRIES_A_MINUTE {
            return false;
        }
        self.tries.push_back(now);
        true
    }

    fn failed(&mut self, now: Moment) {
        self.failures = self.failures.saturating_add(1);
        self.last = now;
    }
}

/// Seconds that follow so many failures in a row: none for slips of the finger, then twice as many each time.
fn pause_s(failures: u32) -> i64 {
    let beyond = failures.saturating_sub(limits::UNLOCK_FREE_FAILURES);
    if failures < limits::UNLOCK_FREE_FAILURES {
        return 0;
    }
    (limits::UNLOCK_PAUSE_S << beyond.min(16)).min(limits::UNLOCK_PAUSE_MOST_S)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000;

    #[test]
    fn tries_become_rarer_and_are_few_a_minute() {
        let mut gate = Gate::default();
        let at = |s: i64| Moment(1_790_000_000_000 + s * SECOND);
        // Somebody who tries every second for an hour.
        let let_in: Vec<i64> = (0..3600)
            .filter(|s| {
                let admitted = gate.admits(at(*s));
                if admitted {
                    gate.failed(at(*s));
                }
                admitted
            })
            .collect();
        assert_eq!(let_in, [0, 1, 2, 32, 92, 212, 452, 932, 1532, 2132, 2732, 3332]);
    }

    #[test]
    fn many_at_once_are_no_more_than_a_minute_allows() {
        let mut gate = Gate::default();
        let now = Moment(1_790_000_000_000);
        let let_in = (0..1_000).filter(|_| gate.admits(now)).count();
        assert_eq!(let_in, limits::UNLOCK_TRIES_A_MINUTE);
        assert!(!gate.admits(Moment(now.0 + 59 * SECOND)) && gate.admits(Moment(now.0 + 60 * SECOND)));
    }
}

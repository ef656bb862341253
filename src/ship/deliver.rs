//! The shipper: brings sets and segments to a target until somebody ends it, or once.
//!
//! What must hold: segments do not wait for sets, which may take hours; after a failure the next round is tried after a
//! growing pause, and what went wrong stands in the spool for the server to show. It can be killed at any moment.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::log::Log;
use super::memory::{Half, Memory, Report};
use super::sets::Sets;
use super::{Remote, open};
use crate::backup::spool::Spool;
use crate::base::{Clock, Error, ErrorKind, Result, limits};

/// What is to be brought, and where to.
pub struct Errand {
    /// Where segments wait.
    pub spool: PathBuf,
    /// Where sets are written; none are brought without it.
    pub backups: Option<PathBuf>,
    /// The target, as [`open`] takes it.
    pub to: String,
    /// Address of the object store, where it is not Amazon's.
    pub endpoint: Option<String>,
}

/// A shipper that holds its spool: there is one.
pub struct Shipper {
    spool: Spool,
    backups: Option<PathBuf>,
    memory: Memory,
    report: Report,
    log: Box<dyn Remote>,
    sets: Box<dyn Remote>,
    _lock: std::fs::File,
}

impl Shipper {
    /// Takes the spool, and opens the target without asking it anything.
    pub fn start(errand: &Errand, clock: Arc<dyn Clock>) -> Result<Self> {
        let spool = Spool::open(&errand.spool)?;
        let lock = std::fs::File::open(spool.root())?;
        if matches!(fs4::FileExt::try_lock(&lock), Err(fs4::TryLockError::WouldBlock)) {
            return Err(Error::new(ErrorKind::Busy, "另一个 jiceng ship 正在使用这个交换目录。"));
        }
        let report = Report::of(&spool, clock);
        let target = |of| open(&errand.to, errand.endpoint.as_deref(), Some(spool.uploads(of)));
        let opened = target("log").and_then(|log| Ok((log, target("sets")?)));
        // Whoever looks at the server's page should see it as well.
        let (log, sets) =
            opened.inspect_err(|e| drop(report.outcome(Half::Log, Some(e.public().to_owned()))))?;
        let memory = Memory::of(&spool);
        Ok(Self { backups: errand.backups.clone(), memory, report, log, sets, spool, _lock: lock })
    }

    /// Brings everything there is now: segments, sets, and the segments that came meanwhile.
    pub fn once(&self) -> Result<()> {
        let mut log = self.segments();
        self.told(Half::Log, log.round().map(drop))?;
        if let Some(sets) = self.set_bringer() {
            self.told(Half::Sets, sets.round())?;
            self.told(Half::Log, log.round().map(drop))?;
        }
        self.unfenced()
    }

    /// Goes on until `stop` is set: segments and sets each at their own pace.
    pub fn run(&self, stop: &AtomicBool) {
        std::thread::scope(|scope| {
            let mut log = self.segments();
            scope.spawn(move || self.keep_on(Half::Log, stop, || log.round().map(drop)));
            if let Some(sets) = self.set_bringer() {
                scope.spawn(move || self.keep_on(Half::Sets, stop, || sets.round()));
            }
        });
    }

    fn segments(&self) -> Log<'_> {
        Log::new(self.log.as_ref(), &self.spool, &self.memory, &self.report)
    }

    fn set_bringer(&self) -> Option<Sets<'_>> {
        let (remote, scratch) = (self.sets.as_ref(), self.spool.root());
        let backups: &Path = self.backups.as_deref()?;
        Some(Sets { remote, backups, memory: &self.memory, report: &self.report, scratch })
    }

    fn keep_on(&self, half: Half, stop: &AtomicBool, mut round: impl FnMut() -> Result<()>) {
        let mut failed = 0;
        while !stop.load(Ordering::Relaxed) {
            let pause = match self.told(half, round()) {
                Ok(()) => {
                    failed = 0;
                    limits::SHIP_LOOK_S
                }
                Err(_) => {
                    failed = (failed + 1).min(8);
                    (limits::SHIP_LOOK_S << (failed - 1)).min(limits::SHIP_PAUSE_S)
                }
            };
            let mut left = Duration::from_secs(pause);
            let look = Duration::from_millis(limits::OFFSITE_LOOK_MS);
            while !left.is_zero() && !stop.load(Ordering::Relaxed) {
                std::thread::sleep(look.min(left));
                left = left.saturating_sub(look);
            }
        }
    }

    /// Says in the spool and in the log how a round ended.
    fn told(&self, half: Half, done: Result<()>) -> Result<()> {
        let error = done.as_ref().err();
        error
            .iter()
            .for_each(|e| tracing::error!(detail = e.detail(), "bringing {half:?} off the site: {e}"));
        let said = self.report.outcome(half, error.map(|e| e.public().to_owned()));
        done.and(said)
    }

    fn unfenced(&self) -> Result<()> {
        if !self.report.is_fenced() {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Denied,
            "另一台主机已经接管：异地日志的位置已被它占用，本机不再送出任何内容。请按服务页面上的提示处理。",
        ))
    }
}

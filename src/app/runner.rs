//! The runner of backups: one at a time, begun by the schedule, in the page or on the command line; a thread of the
//! server looks each minute whether one is due.
//!
//! What must hold: a run by schedule or page is in the journal before its first byte is written. A server that ends
//! leaves its run open: the next one takes it up again. What a run leaves in the store is `run_entry`'s business,
//! whether one is due `backup::schedule`'s, what may be removed `backup::retention`'s.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::run_entry::begin;
use super::{Actor, App, lock, record};
use crate::backup::schedule::{By, Schedule, State};
use crate::backup::{self, Done, Progress, Target, Watch, mount};
use crate::base::{Error, ErrorKind, Moment, RecordId, Result, background, config, limits};
use crate::store::{Doer, fact};

/// What a running server knows of its backups.
pub struct Runner {
    pub(super) inner: Mutex<Inner>,
    pub(super) woken: Condvar,
}

pub(super) struct Inner {
    roots: Vec<PathBuf>,
    pub(super) wanted: Option<Doer>,
    job: Option<Job>,
    stop: bool,
}

impl Default for Runner {
    fn default() -> Self {
        let roots = config::Backup::default().roots;
        let inner = Inner { roots, wanted: None, job: None, stop: false };
        Self { inner: Mutex::new(inner), woken: Condvar::new() }
    }
}

/// The run under way.
#[derive(Clone, Debug)]
pub struct Job {
    /// Who asked for it.
    pub by: By,
    /// When it began.
    pub begun: Moment,
    /// How far it is; `None` before the first word.
    pub progress: Option<Progress>,
    /// When the step it is at began.
    pub step: Moment,
    /// Somebody wants it to end.
    pub cancelled: Option<Doer>,
}

/// The one place for a run, taken until it is dropped.
struct Held<'a>(&'a Runner);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        lock(&self.0.inner).job = None;
        self.0.woken.notify_all();
    }
}

impl Held<'_> {
    /// Notes how far the run is, and stops it when somebody wants that.
    fn word(&self, progress: Progress, now: Moment) -> Result<()> {
        let mut inner = lock(&self.0.inner);
        let stop = inner.stop;
        let Some(job) = &mut inner.job else { return Ok(()) };
        let before = job.progress.replace(progress).map(|p| std::mem::discriminant(&p));
        if before != Some(std::mem::discriminant(&progress)) {
            job.step = now;
        }
        if stop || job.cancelled.is_some() {
            return Err(Error::new(ErrorKind::Busy, "备份已取消，没有留下不完整的备份。"));
        }
        Ok(())
    }

    fn cancelled(&self) -> Option<Doer> {
        lock(&self.0.inner).job.as_ref().and_then(|j| j.cancelled.clone())
    }
}

impl Runner {
    fn hold(&self, by: By, begun: Moment) -> Result<Held<'_>> {
        let mut inner = lock(&self.inner);
        if inner.job.is_some() {
            return Err(Error::new(ErrorKind::Busy, "正在进行另一次备份。请等它结束后再试。"));
        }
        inner.job = Some(Job { by, begun, progress: None, step: begun, cancelled: None });
        Ok(Held(self))
    }
}

/// A run that somebody or something asked for.
pub(super) struct Order {
    pub(super) doer: Doer,
    pub(super) by: By,
    pub(super) schedule: Schedule,
    /// The latest time in the journal before it.
    pub(super) last_entry: Moment,
}

impl App {
    /// Where targets may be chosen.
    pub fn backup_roots(&self) -> Vec<PathBuf> {
        lock(&self.runner.inner).roots.clone()
    }

    /// Sets where targets may be chosen, from the configuration file.
    pub fn allow_backup_roots(&self, roots: Vec<PathBuf>) {
        lock(&self.runner.inner).roots = roots;
    }

    /// The run under way, if there is one.
    pub fn backup_job(&self) -> Option<Job> {
        lock(&self.runner.inner).job.clone()
    }

    /// A run is under way, or waits for the thread.
    pub(super) fn backup_busy(&self) -> bool {
        let inner = lock(&self.runner.inner);
        inner.job.is_some() || inner.wanted.is_some()
    }

    /// Writes and verifies a set for the command line. Recipients other than the configured ones are for demo stores
    /// only.
    pub fn backup(&self, target: &Path, given: &[String], progress: Watch<'_>) -> Result<Done> {
        let recipients = self.recipients(given)?;
        let held = self.runner.hold(By::Command, self.now())?;
        let watch = |p| held.word(p, self.now()).and_then(|()| progress(p));
        let to = Target { folder: target, marked: false };
        let outcome = self.has_room().and_then(|()| backup::run(&self.store, to, &recipients, &watch));
        self.enter_command(target, &outcome)?;
        outcome
    }

    /// Begins a run now, on behalf of the system administrator; the server's thread carries it out.
    pub fn back_up_now(&self, actor: &Actor) -> Result<()> {
        self.keeps_backups(actor)?;
        self.ready_schedule()?;
        if self.backup_busy() {
            return Err(Error::new(ErrorKind::Busy, "备份正在进行，不需要再启动。"));
        }
        let (own, doer) = (actor.clone(), actor.doer());
        let entered = doer.clone();
        self.store.submit(move |txn| {
            if !record::live(txn, &own)?.is("sysadmin") {
                return Err(Error::denied());
            }
            begin(txn, entered, (None, By::Page))
        })?;
        lock(&self.runner.inner).wanted = Some(doer);
        self.runner.woken.notify_all();
        Ok(())
    }

    /// Asks the run under way to end; it does so at its next step.
    pub fn cancel_backup(&self, actor: &Actor) -> Result<()> {
        self.keeps_backups(actor)?;
        if let Some(job) = &mut lock(&self.runner.inner).job {
            job.cancelled = Some(actor.doer());
        }
        Ok(())
    }

    /// Carries out what is asked for or due, if anything is. The thread calls this; tests may.
    pub fn look_after_backups(&self) -> Result<()> {
        let wanted = lock(&self.runner.inner).wanted.clone();
        if wanted.is_none() && self.due()?.is_none() {
            return Ok(());
        }
        let by = if wanted.is_some() { By::Page } else { By::Schedule };
        let Ok(held) = self.runner.hold(by, self.now()) else { return Ok(()) };
        lock(&self.runner.inner).wanted = None;
        let last_entry = self.latest_entry()?;
        let doer = match wanted {
            Some(doer) => doer,
            None => match self.begin_due()? {
                Some(doer) => doer,
                None => return Ok(()),
            },
        };
        let schedule = self.ready_schedule()?;
        self.carry_out(&Order { doer, by, schedule, last_entry }, &held)
    }

    /// The schedule, if there is one and nothing keeps it from being followed.
    pub(super) fn ready_schedule(&self) -> Result<Schedule> {
        let text = self.store.read()?.fact_text(fact::BACKUP_SCHEDULE)?;
        let schedule = Schedule::decode(&text)
            .ok_or_else(|| Error::invalid("还没有设置备份计划。请先选择备份目标并保存计划。"))?;
        if schedule.epoch != self.facts().epoch {
            return Err(Error::invalid("数据是从备份恢复的，备份计划已暂停。请核对备份目标后重新保存计划。"));
        }
        Ok(schedule)
    }

    fn due(&self) -> Result<Option<Moment>> {
        let Ok(schedule) = self.ready_schedule() else { return Ok(None) };
        let state = State::decode(&self.store.read()?.fact_text(fact::BACKUP_STATE)?);
        Ok(state.due(&schedule, self.now()))
    }

    /// Begins what is due at this very moment, and says who does it.
    fn begin_due(&self) -> Result<Option<Doer>> {
        let Some(due) = self.due()? else { return Ok(None) };
        let doer = Doer { account: RecordId(0), unit: RecordId(0), via: "schedule".to_owned() };
        let entered = doer.clone();
        self.store.submit(move |txn| begin(txn, entered, (Some(due), By::Schedule)))?;
        Ok(Some(doer))
    }

    fn carry_out(&self, order: &Order, held: &Held<'_>) -> Result<()> {
        let folder = mount::mounted(&self.store, Path::new(&order.schedule.target), &self.backup_roots());
        let outcome = folder.and_then(|folder| {
            let recipients = self.recipients(&[])?;
            self.has_room()?;
            let to = Target { folder: &folder, marked: true };
            // The engine panics on some damaged files; the thread and its memory of this run must outlive that.
            let work = || backup::run(&self.store, to, &recipients, &|p| held.word(p, self.now()));
            let done = catch_unwind(AssertUnwindSafe(work));
            Ok((done.unwrap_or_else(|_| Err(Error::damaged("数据库文件 store.redb 无法读取")))?, folder))
        });
        if outcome.is_err() && lock(&self.runner.inner).stop {
            return Ok(());
        }
        self.enter_end(order, &outcome, held.cancelled())?;
        match outcome {
            Ok((_, folder)) => self.retire(order, &folder),
            Err(_) => Ok(()),
        }
    }
}

/// The thread; dropping this asks it to end and waits a while. What it was writing is taken up at the next start.
pub struct Thread {
    app: Arc<App>,
    ended: Receiver<()>,
}

impl Thread {
    /// Starts to look after the backups of an application.
    pub fn start(app: &Arc<App>) -> Result<Self> {
        let (own, (done, ended)) = (Arc::clone(app), channel());
        background("backup", move || {
            look(&own);
            drop(own);
            // Whoever waited may have given up.
            let _gone = done.send(());
        })?;
        Ok(Self { app: Arc::clone(app), ended })
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        lock(&self.app.runner.inner).stop = true;
        self.app.runner.woken.notify_all();
        let _ended = self.ended.recv_timeout(Duration::from_secs(limits::BACKUP_GIVE_UP_S));
    }
}

fn look(app: &Arc<App>) {
    loop {
        app.tidy_drafts();
        let purges = app.look_after_purges();
        for done in [purges, app.look_after_backups(), app.tidy_imports(), app.give_up_batches()] {
            if let Err(e) = done {
                tracing::error!(detail = e.detail(), "looking after backups, imports and purges: {e}");
            }
        }
        let inner = lock(&app.runner.inner);
        let idle = |inner: &mut Inner| !inner.stop && (inner.wanted.is_none() || inner.job.is_some());
        let pause = Duration::from_secs(limits::SCHEDULE_LOOK_S);
        let waited = app.runner.woken.wait_timeout_while(inner, pause, idle);
        if waited.unwrap_or_else(PoisonError::into_inner).0.stop {
            return;
        }
    }
}

#[cfg(test)]
mod tests;

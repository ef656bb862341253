//! The one writer: a thread that takes commands as they come, runs each on its own buffer, applies what succeeded,
//! commits once and only then answers. A command that fails or panics leaves nothing and does not fail its neighbours.
//! Long commands are patient: each has a commit of its own, after those that wait.
//!
//! Whoever was answered may come back at once, and a commit costs about the same for one as for many: where several
//! are at it, the writer waits a moment for them ([`Company`]), and never for somebody who is alone.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::fault::{Bug, planted};
use super::pending::{Pending, WriteTables};
use super::txn::Txn;
use super::{Halt, Shared, damage, journal::Head, local, lock, upgrade};
use crate::base::{Error, ErrorKind, Result, limits};

/// A patient command that others had to wait for is followed by a pause of so many times its own length.
const PATIENCE: u32 = 3;
const PATIENCE_MOST: Duration = Duration::from_millis(500);
/// Whoever was there is likely to come back: so many patient commands after one that others waited for are small too.
const CROWD_MEMORY: u32 = 16;

/// Those who were answered are waited for at most this share of what their commit took, and no longer once nobody came
/// for that share of it.
const WAIT_SHARE: u32 = 2;
const GAP_SHARE: u32 = 8;

/// The way to the writer thread; dropping the last one ends the thread after what is queued.
pub(super) struct Queue {
    sender: Mutex<Option<Sender<Message>>>,
    /// Commands so far that were not patient.
    asked: Arc<AtomicU64>,
    /// How many of them the last group had.
    last_group: Arc<AtomicUsize>,
    /// How many patient ones are to be small yet, as others came while one ran.
    crowded: AtomicU32,
    thread: Mutex<Option<JoinHandle<()>>>,
}

enum Message {
    Command(Box<dyn Command>),
    /// One that lets the others go first.
    Patient(Box<dyn Command>),
    /// Work that wants the thread for itself, and answers by its own means.
    Alone(Alone),
}

type Alone = Box<dyn FnOnce(&Shared) + Send>;

/// A command with its answer, whatever its type.
trait Command: Send {
    fn run(&mut self, txn: &mut Txn<'_>) -> Result<()>;
    fn answer(self: Box<Self>, committed: Result<()>);
}

struct Typed<T, F> {
    act: Option<F>,
    outcome: Option<T>,
    reply: SyncSender<Result<T>>,
}

impl<T: Send, F: FnOnce(&mut Txn<'_>) -> Result<T> + Send> Command for Typed<T, F> {
    fn run(&mut self, txn: &mut Txn<'_>) -> Result<()> {
        let act = self.act.take().ok_or_else(|| Error::internal("command ran twice"))?;
        self.outcome = Some(act(txn)?);
        Ok(())
    }

    fn answer(self: Box<Self>, committed: Result<()>) {
        let Self { outcome, reply, .. } = *self;
        let missing = || Error::internal("command without outcome");
        // Whoever asked may have gone away; the change is durable all the same.
        let _gone = reply.send(committed.and_then(|()| outcome.ok_or_else(missing)));
    }
}

impl Queue {
    pub(super) fn start(shared: Arc<Shared>) -> Result<Self> {
        let (sender, receiver) = channel();
        let asked = Arc::new(AtomicU64::default());
        let last_group = Arc::new(AtomicUsize::default());
        let (heard, told) = (Arc::clone(&asked), Arc::clone(&last_group));
        let work = move || work(&shared, &receiver, &heard, &told);
        let thread = std::thread::Builder::new().name("writer".into()).spawn(work)?;
        Ok(Self {
            sender: Mutex::new(Some(sender)),
            asked,
            last_group,
            crowded: AtomicU32::default(),
            thread: Mutex::new(Some(thread)),
        })
    }

    pub(super) fn submit<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut Txn<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let (reply, answer) = sync_channel(1);
        self.send(Message::Command(Box::new(Typed { act: Some(act), outcome: None, reply })))?;
        answer.recv().map_err(|_| stopped())?
    }

    /// A command that goes its way without anybody who waits.
    pub(super) fn submit_unanswered(
        &self,
        act: impl FnOnce(&mut Txn<'_>) -> Result<()> + Send + 'static,
    ) -> Result<()> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let (reply, _) = sync_channel(1);
        self.send(Message::Command(Box::new(Typed { act: Some(act), outcome: None, reply })))
    }

    /// A command that lets others go first, and leaves them time.
    pub(super) fn submit_patiently<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut Txn<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (begun, before) = (Instant::now(), self.asked.load(Ordering::Relaxed));
        let (reply, answer) = sync_channel(1);
        self.send(Message::Patient(Box::new(Typed { act: Some(act), outcome: None, reply })))?;
        let done = answer.recv().map_err(|_| stopped())?;
        let crowded = self.asked.load(Ordering::Relaxed) > before;
        let left = if crowded { CROWD_MEMORY } else { self.crowded.load(Ordering::Relaxed).saturating_sub(1) };
        self.crowded.store(left, Ordering::Relaxed);
        if crowded {
            std::thread::sleep((begun.elapsed() * PATIENCE).min(PATIENCE_MOST));
        }
        done
    }

    pub(super) fn is_crowded(&self) -> bool {
        self.crowded.load(Ordering::Relaxed) > 0
    }

    /// How many commands went into the last commit together, patient ones aside.
    pub(super) fn last_group(&self) -> usize {
        self.last_group.load(Ordering::Relaxed)
    }

    /// Runs on the writer thread between two groups of commands.
    pub(super) fn alone<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = sync_channel(1);
        let work = move |shared: &Shared| {
            // Whoever asked may have gone away.
            let _gone = reply.send(super::catch(|| work(shared)));
        };
        self.send(Message::Alone(Box::new(work)))?;
        answer.recv().map_err(|_| stopped())?
    }

    pub(super) fn rebuild(&self) -> Result<()> {
        self.alone(|shared| match shared.condition.halt() {
            Some(halt) => Err(halt.error()),
            None => super::pending::rebuild(shared, false),
        })
    }

    fn send(&self, message: Message) -> Result<()> {
        let sender = lock(&self.sender);
        sender.as_ref().ok_or_else(stopped)?.send(message).map_err(|_| stopped())
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        lock(&self.sender).take();
        if let Some(thread) = lock(&self.thread).take() {
            let _ended = thread.join();
        }
    }
}

fn stopped() -> Error {
    Error::new(ErrorKind::Busy, "系统正在停止，操作没有执行。请稍后重新打开页面再试。")
}

fn work(shared: &Shared, receiver: &Receiver<Message>, asked: &AtomicU64, last_group: &AtomicUsize) {
    let mut patient = VecDeque::new();
    let (mut company, mut taken) = (Company::default(), 0_u64);
    loop {
        let first = if patient.is_empty() { receiver.recv().ok() } else { receiver.try_recv().ok() };
        if first.is_none() && patient.is_empty() {
            return;
        }
        let begun = Instant::now();
        let mut arrivals = Arrivals { first, receiver, company, patient: &mut patient, have: 0, alone: None };
        let group = commit_group(shared, &mut arrivals);
        let Arrivals { have, alone, company: Company { waited, .. }, .. } = arrivals;
        taken += have as u64;
        last_group.store(have, Ordering::Relaxed);
        let waiting = asked.load(Ordering::Relaxed).saturating_sub(taken);
        let worked = begun.elapsed().saturating_sub(waited);
        company = Company::answered(have, usize::try_from(waiting).unwrap_or(usize::MAX), worked, Instant::now());
        group.answer();
        if let Some(work) = alone {
            work(shared);
        }
        commit_group(shared, &mut patient.pop_front().into_iter()).answer();
    }
}

/// The commands of one group as they come: while one of them runs, the next is on its way. Patient ones are put aside;
/// work that wants the thread for itself ends the group.
struct Arrivals<'a> {
    first: Option<Message>,
    receiver: &'a Receiver<Message>,
    company: Company,
    patient: &'a mut VecDeque<Box<dyn Command>>,
    have: usize,
    alone: Option<Alone>,
}

impl Iterator for Arrivals<'_> {
    type Item = Box<dyn Command>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.alone.is_none() && self.have < limits::GROUP_MAX {
            let message = self.first.take().or_else(|| self.company.next(self.receiver, self.have));
            match message? {
                Message::Command(command) => {
                    self.have += 1;
                    return Some(command);
                }
                Message::Patient(command) => self.patient.push_back(command),
                Message::Alone(work) => self.alone = Some(work),
            }
        }
        None
    }
}

/// Who is likely to be back soon: those of the last group, and those who waited while it was committed.
struct Company {
    expected: usize,
    /// Until when they are waited for, and how long after the last of them that came.
    until: Instant,
    gap: Duration,
    last: Instant,
    /// How long in all.
    waited: Duration,
}

impl Default for Company {
    fn default() -> Self {
        let now = Instant::now();
        Self { expected: 0, until: now, gap: Duration::ZERO, last: now, waited: Duration::ZERO }
    }
}

impl Company {
    /// After `count` commands that took so long to run and commit, right before they are answered.
    fn answered(count: usize, waiting: usize, took: Duration, now: Instant) -> Self {
        let expected = if count == 0 { 0 } else { count.saturating_add(waiting) };
        let (until, gap) = (now + took / WAIT_SHARE, took / GAP_SHARE);
        Self { expected, until, gap, last: now, waited: Duration::ZERO }
    }

    /// How long the next one is waited for when `have` are there.
    fn patience(&self, have: usize, now: Instant) -> Duration {
        if have == 0 || have >= self.expected {
            return Duration::ZERO;
        }
        self.until.min(self.last + self.gap).saturating_duration_since(now)
    }

    /// The next message: one that is there, or one that comes in time.
    fn next(&mut self, receiver: &Receiver<Message>, have: usize) -> Option<Message> {
        let there = receiver.try_recv().ok();
        let message = there.or_else(|| {
            let begun = Instant::now();
            let patience = self.patience(have, begun);
            let came = (!patience.is_zero()).then(|| receiver.recv_timeout(patience).ok()).flatten();
            self.waited += begun.elapsed();
            came
        });
        if message.is_some() {
            self.last = Instant::now();
        }
        message
    }
}

/// Runs commands as they come and commits them together; they are still to be answered.
fn commit_group(shared: &Shared, arrivals: &mut dyn Iterator<Item = Box<dyn Command>>) -> Committed {
    let mut group = Group { next: arrivals.next(), ..Group::default() };
    if group.next.is_none() {
        return Committed { group, done: Ok(()) };
    }
    let done = super::catch(|| run_group(shared, arrivals, &mut group));
    if let Ok(head) = &done {
        shared.moved_to(*head);
    }
    Committed { group, done: done.map(drop) }
}

/// A group whose commit succeeded or failed.
struct Committed {
    group: Group,
    done: Result<()>,
}

impl Committed {
    fn answer(self) {
        let Self { group, done } = self;
        for command in group.good {
            command.answer(done.clone().map_err(unconfirmed));
        }
        for (command, error) in group.bad {
            command.answer(Err(error));
        }
        // The one that the failure kept from running.
        if let Some(command) = group.next {
            command.answer(done);
        }
    }
}

/// Commands that go into one commit, by what became of them.
#[derive(Default)]
struct Group {
    next: Option<Box<dyn Command>>,
    good: Vec<Box<dyn Command>>,
    bad: Vec<(Box<dyn Command>, Error)>,
}

/// What a failed commit leaves of a change, only the next start can tell.
fn unconfirmed(e: Error) -> Error {
    if e.kind() != ErrorKind::Io {
        return e;
    }
    let text = "磁盘读写出错，这次操作是否保存还不能确定，系统即将停止。请在系统恢复后先查看是否已经保存，再决定是否重做。";
    Error::new(ErrorKind::Io, text).with_detail(e.detail())
}

fn run_group(
    shared: &Shared,
    arrivals: &mut dyn Iterator<Item = Box<dyn Command>>,
    group: &mut Group,
) -> Result<Head> {
    let halt = shared.halt();
    let txn = upgrade::begin(&shared.db)?;
    let mut tables = WriteTables::open(&txn)?;
    let own = *lock(&shared.local);
    let mut head = own.unwrap_or(*lock(&shared.head));
    while group.next.is_some() {
        let buffer = Txn::new(&tables, shared, head)?;
        let Some(mut command) = group.next.take() else { break };
        match run_one(buffer, command.as_mut(), halt) {
            Ok(pending) => {
                group.good.push(command);
                head = if own.is_some() { local::apply(&txn, &mut tables, &pending)? } else { tables.apply(&pending)? };
            }
            Err(error) => group.bad.push((command, error)),
        }
        group.next = arrivals.next();
    }
    if own.is_none() && !group.good.is_empty() {
        tables.set_head(&head)?;
    }
    drop(tables);
    if group.good.is_empty() || !group.bad.is_empty() && planted(Bug::NeighbourLost) {
        txn.abort().map_err(damage)?;
    } else {
        if planted(Bug::AnsweredEarly) {
            group.good.drain(..).for_each(|command| command.answer(Ok(())));
        }
        txn.commit().map_err(damage)?;
    }
    Ok(head)
}

fn run_one(mut buffer: Txn<'_>, command: &mut dyn Command, halt: Option<Halt>) -> Result<Pending> {
    let ran = catch_unwind(AssertUnwindSafe(|| command.run(&mut buffer)));
    ran.unwrap_or_else(|_| Err(Error::internal("a command panicked")))?;
    let pending = buffer.finish()?;
    let kept_out = |halt: &Halt| pending.changes() || *halt == Halt::Following && pending.sets_facts();
    match halt.filter(kept_out) {
        Some(halt) => Err(halt.error()),
        None => Ok(pending),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Act, Doer, Store};
    use super::*;
    use crate::base::RecordId;
    use crate::base::clock::ManualClock;
    use crate::records::act;

    #[test]
    fn company_is_waited_for_briefly_and_nobody_waits_alone() {
        let begun = Instant::now();
        let now = begun + Duration::from_millis(80);
        let ms = Duration::from_millis;
        let alone = Company::answered(1, 0, now - begun, now);
        let nobody = Company::answered(0, 0, now - begun, now);
        assert!((0..3).all(|have| alone.patience(have, now).is_zero() && nobody.patience(have, now).is_zero()));
        // Three were answered while five waited: all eight may come.
        let mut company = Company::answered(3, 5, now - begun, now);
        assert_eq!(company.patience(0, now), Duration::ZERO, "without work nothing is put off");
        assert_eq!((company.patience(5, now), company.patience(7, now)), (ms(10), ms(10)));
        assert_eq!(company.patience(8, now), Duration::ZERO);
        assert_eq!(company.patience(5, now + ms(10)), Duration::ZERO, "nobody came for a while");
        company.last = now + ms(38);
        assert_eq!(company.patience(7, now + ms(39)), ms(1), "no longer than half of what a commit takes");
    }

    #[test]
    fn whoever_comes_back_at_once_goes_with_the_others() {
        let (sender, receiver) = channel();
        let act = |reply| Typed { act: Some(|_: &mut Txn<'_>| Ok(())), outcome: None, reply };
        let send = || sender.send(Message::Command(Box::new(act(sync_channel(1).0)))).unwrap();
        let now = Instant::now();
        // As if a commit had taken a minute: the other one has all the time in the world to come.
        let mut company = Company::answered(2, 0, Duration::from_secs(60), now);
        send();
        assert!(company.next(&receiver, 0).is_some());
        std::thread::scope(|scope| {
            scope.spawn(send);
            assert!(company.next(&receiver, 1).is_some());
        });
        assert!(company.next(&receiver, 2).is_none());
    }

    #[test]
    fn whoever_comes_while_another_runs_goes_into_the_same_commit() {
        let home = tempfile::tempdir().unwrap();
        let (dir, key) = (home.path().join("d"), home.path().join("key"));
        let store = Store::create(&dir, &key, "测试县", true, Arc::new(ManualClock::default())).unwrap();
        let act =
            || Act::new(Doer { account: RecordId(0), unit: RecordId(0), via: "test".into() }, act::IMPORT);
        let ((begun, running), (free, waits)) = (channel::<()>(), channel::<()>());
        let before = store.head().seq;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                store.submit(move |txn| {
                    begun.send(()).unwrap();
                    waits.recv().unwrap();
                    txn.act(act());
                    Ok(())
                })
            });
            running.recv().unwrap();
            let (all, asked) = (store.clone(), store.queue.asked.load(Ordering::Relaxed));
            let second = scope.spawn(|| {
                store.submit(move |txn| {
                    txn.act(act());
                    all.read()?.head()
                })
            });
            while store.queue.asked.load(Ordering::Relaxed) == asked {
                std::thread::yield_now();
            }
            // It is in the queue, or about to be.
            std::thread::sleep(Duration::from_millis(100));
            free.send(()).unwrap();
            assert_eq!(second.join().unwrap().unwrap().seq, before, "the first one is not committed yet");
        });
        assert_eq!(store.head().seq.0, before.0 + 2);
        assert_eq!(store.last_group(), 2);
    }

    /// Somebody's save waited for every chunk of an import that was asked for before it.
    /// ASVS 15.4.4
    #[test]
    fn whoever_waits_goes_before_patient_commands() {
        let home = tempfile::tempdir().unwrap();
        let (dir, key) = (home.path().join("d"), home.path().join("key"));
        let store = Store::create(&dir, &key, "测试县", true, Arc::new(ManualClock::default())).unwrap();
        let act =
            || Act::new(Doer { account: RecordId(0), unit: RecordId(0), via: "test".into() }, act::IMPORT);
        let (order, (begun, running), (free, waits)) =
            (Arc::new(Mutex::new(Vec::new())), channel::<()>(), channel::<()>());
        let note = |name: &'static str| {
            let order = Arc::clone(&order);
            move |txn: &mut Txn<'_>| {
                lock(&order).push(name);
                txn.act(act());
                Ok(())
            }
        };
        let (store, note) = (&store, &note);
        std::thread::scope(|scope| {
            scope.spawn(move || {
                store.submit(move |txn| {
                    begun.send(()).unwrap();
                    waits.recv().unwrap();
                    txn.act(act());
                    Ok(())
                })
            });
            running.recv().unwrap();
            let asked = || store.queue.asked.load(Ordering::Relaxed);
            let patient: Vec<_> =
                ["chunk", "chunk"].map(|n| scope.spawn(move || store.submit_patiently(note(n)))).into();
            let saves: Vec<_> = ["save", "save"].map(|n| scope.spawn(move || store.submit(note(n)))).into();
            // All of them are in the queue, or about to be.
            while asked() < 3 {
                std::thread::yield_now();
            }
            std::thread::sleep(Duration::from_millis(200));
            free.send(()).unwrap();
            patient.into_iter().chain(saves).for_each(|t| t.join().unwrap().unwrap());
        });
        assert_eq!(*lock(&order), ["save", "save", "chunk", "chunk"]);
    }

    #[test]
    fn patient_commands_stay_small_for_a_while_after_somebody_was_there() {
        let home = tempfile::tempdir().unwrap();
        let (dir, key) = (home.path().join("d"), home.path().join("key"));
        let store = &Store::create(&dir, &key, "测试县", true, Arc::new(ManualClock::default())).unwrap();
        let act =
            || Act::new(Doer { account: RecordId(0), unit: RecordId(0), via: "test".into() }, act::IMPORT);
        let note = move |txn: &mut Txn<'_>| {
            txn.act(act());
            Ok(())
        };
        let quiet = || store.submit_patiently(note).unwrap();
        quiet();
        assert!(!store.is_crowded(), "nobody was there");
        let ((begun, running), (free, waits)) = (channel::<()>(), channel::<()>());
        std::thread::scope(|scope| {
            let patient = scope.spawn(move || {
                store.submit_patiently(move |txn| {
                    begun.send(()).unwrap();
                    waits.recv().unwrap();
                    note(txn)
                })
            });
            running.recv().unwrap();
            store.queue.submit_unanswered(note).unwrap();
            free.send(()).unwrap();
            patient.join().unwrap().unwrap();
        });
        for _ in 0..CROWD_MEMORY {
            assert!(store.is_crowded(), "somebody was there a moment ago");
            quiet();
        }
        assert!(!store.is_crowded(), "nobody came back");
    }
}

//! The one writer: a thread that takes waiting commands together, runs each on its own buffer, applies what succeeded,
//! commits once and only then answers. A command that fails or panics leaves nothing and does not fail its neighbours.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use super::pending::WriteTables;
use super::txn::Txn;
use super::{Shared, damage, journal::Head, lock, upgrade};
use crate::base::{Error, ErrorKind, Result, limits};

/// The way to the writer thread; dropping the last one ends the thread after what is queued.
pub(super) struct Queue {
    sender: Mutex<Option<Sender<Message>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

enum Message {
    Command(Box<dyn Command>),
    Rebuild(SyncSender<Result<()>>),
}

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
        let thread = std::thread::Builder::new().name("writer".into()).spawn(move || work(&shared, &receiver))?;
        Ok(Self { sender: Mutex::new(Some(sender)), thread: Mutex::new(Some(thread)) })
    }

    pub(super) fn submit<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut Txn<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = sync_channel(1);
        self.send(Message::Command(Box::new(Typed { act: Some(act), outcome: None, reply })))?;
        answer.recv().map_err(|_| stopped())?
    }

    pub(super) fn rebuild(&self) -> Result<()> {
        let (reply, answer) = sync_channel(1);
        self.send(Message::Rebuild(reply))?;
        answer.recv().map_err(|_| stopped())?
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

fn work(shared: &Shared, receiver: &Receiver<Message>) {
    while let Ok(first) = receiver.recv() {
        let mut commands = Vec::new();
        let mut next = Some(first);
        while let Some(message) = next {
            match message {
                Message::Command(command) => commands.push(command),
                Message::Rebuild(reply) => {
                    commit_group(shared, std::mem::take(&mut commands));
                    let _gone = reply.send(super::catch(|| super::pending::rebuild(shared)));
                }
            }
            next = if commands.len() < limits::GROUP_MAX { receiver.try_recv().ok() } else { None };
        }
        commit_group(shared, commands);
    }
}

fn commit_group(shared: &Shared, commands: Vec<Box<dyn Command>>) {
    if commands.is_empty() {
        return;
    }
    let mut good: Vec<Box<dyn Command>> = Vec::with_capacity(commands.len());
    let mut bad: Vec<(Box<dyn Command>, Error)> = Vec::new();
    let done = super::catch(|| run_group(shared, commands, &mut good, &mut bad));
    if let Ok(head) = &done {
        *lock(&shared.head) = *head;
        lock(&shared.woken).iter().for_each(|wake| wake(*head));
    }
    let broken = done.as_ref().is_err_and(|e| e.kind() == ErrorKind::Io);
    for command in good {
        command.answer(done.clone().map(drop));
    }
    for (command, error) in bad {
        command.answer(Err(error));
    }
    if broken {
        give_up();
    }
}

/// After a write that failed the engine refuses everything: the process ends, once the answers had time to leave, and
/// whoever watches it starts it anew on what is durable.
fn give_up() {
    tracing::error!("writing the store failed; the process ends");
    std::thread::sleep(std::time::Duration::from_millis(500));
    std::process::exit(1);
}

fn run_group(
    shared: &Shared,
    commands: Vec<Box<dyn Command>>,
    good: &mut Vec<Box<dyn Command>>,
    bad: &mut Vec<(Box<dyn Command>, Error)>,
) -> Result<Head> {
    let txn = upgrade::begin(&shared.db)?;
    let mut tables = WriteTables::open(&txn)?;
    let mut head = *lock(&shared.head);
    for mut command in commands {
        let mut buffer = Txn::new(&tables, shared, head)?;
        let ran = catch_unwind(AssertUnwindSafe(|| command.run(&mut buffer)))
            .unwrap_or_else(|_| Err(Error::internal("a command panicked")));
        match ran.and_then(|()| buffer.finish()) {
            Ok(pending) => {
                good.push(command);
                head = tables.apply(&pending)?;
            }
            Err(error) => bad.push((command, error)),
        }
    }
    drop(tables);
    if good.is_empty() {
        txn.abort().map_err(damage)?;
    } else {
        txn.commit().map_err(damage)?;
    }
    Ok(head)
}

//! The server's side of a reading: starts the child, feeds it, takes its items, and ends it.
//!
//! What must hold: memory here is bounded by one frame, whatever the child does; the child is gone when the [`Reader`]
//! is; and rows count as a file only after the child's own end mark, because a child that died in the middle has
//! already said a part. The thread that feeds the child is also the one that started it, and stays as long as the
//! reader: the kernel ends a child with the thread that made it, so that no child outlives a killed server.

use std::io::{BufReader, ErrorKind, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use nix::sys::signal::Signal;

use super::frames::{self, Frame};
use super::{Format, Item};
use crate::base::{self, Error, Result, limits};

/// What went wrong with the input, told after the child's last word.
type Slot = Arc<Mutex<Option<Error>>>;

/// A child at work; dropping it kills it. It gives items until the file ends. A child that died, was stopped by a limit
/// or said nonsense gives one error that says what to do, and then nothing more.
pub struct Reader {
    child: Child,
    output: BufReader<ChildStdout>,
    buffer: Vec<u8>,
    input: Slot,
    rows: u64,
    notes: usize,
    done: bool,
    /// The feeding thread ends with this.
    _stay: Sender<()>,
    _place: Place,
}

/// One of the places for children: each may use much memory, so there are few.
struct Place;

/// Places that are taken.
static TAKEN: (Mutex<usize>, Condvar) = (Mutex::new(0), Condvar::new());

impl Place {
    /// Waits for a place, but not for ever.
    fn take() -> Result<Self> {
        let taken = TAKEN.0.lock().unwrap_or_else(PoisonError::into_inner);
        let patience = Duration::from_secs(limits::READERS_WAIT_S);
        let full = |taken: &mut usize| *taken >= limits::READERS;
        let waited = TAKEN.1.wait_timeout_while(taken, patience, full);
        let (mut taken, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            return Err(Error::new(base::ErrorKind::Busy, "正在读取的文件太多，请稍后再试。"));
        }
        *taken += 1;
        Ok(Self)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        *TAKEN.0.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        TAKEN.1.notify_one();
    }
}

impl Reader {
    /// Starts reading. `program` is this program's own file; `input` is read by a thread of its own, to its end or to
    /// the largest size of the format.
    ///
    /// # Errors
    /// Busy when the system starts no process or thread, or too many files are being read.
    pub fn start(program: &Path, format: Format, input: Box<dyn Read + Send>) -> Result<Self> {
        let place = Place::take()?;
        let (stay, ended) = channel();
        let (send, started) = sync_channel(1);
        let slot = Slot::default();
        let feeder = Feeder { program: program.to_owned(), format, input, slot: Arc::clone(&slot), ended };
        let thread = std::thread::Builder::new().name("foreign".into()).spawn(move || feeder.run(&send));
        thread.map_err(busy)?;
        let (child, output) = started.recv().map_err(Error::internal)?.map_err(busy)?;
        Ok(Self {
            child,
            output: BufReader::with_capacity(64 << 10, output),
            buffer: Vec::new(),
            input: slot,
            rows: 0,
            notes: 0,
            done: false,
            _stay: stay,
            _place: place,
        })
    }

    /// Number of the child's process.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Kills the child, and says how it had ended if it had.
    fn stop(&mut self) -> Option<ExitStatus> {
        self.done = true;
        // It is gone already when this fails; waiting tells.
        let _gone = self.child.kill();
        self.child.wait().ok()
    }

    /// Ends with the reason that lies deepest: the input's own, else the one given.
    fn fail(&mut self, why: Error) -> Option<Result<Item>> {
        self.stop();
        let input = self.input.lock().unwrap_or_else(PoisonError::into_inner).take();
        Some(Err(input.unwrap_or(why)))
    }

    /// The pipe ended without an end mark. A child that dies closes it when its status already stands; one that
    /// closed it and lives on is killed here.
    fn died(&mut self) -> Option<Result<Item>> {
        let why = self.stop().map_or_else(|| damaged("no status"), reason);
        self.fail(why)
    }
}

impl Iterator for Reader {
    type Item = Result<Item>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.done {
            match frames::read(&mut self.output, &mut self.buffer) {
                Ok(Some(Frame::Item(Item::Note(text)))) => {
                    self.notes += 1;
                    if self.notes <= limits::FOREIGN_NOTES {
                        return Some(Ok(Item::Note(text)));
                    }
                }
                Ok(Some(Frame::Item(item))) => {
                    self.rows += u64::from(matches!(item, Item::Row { .. }));
                    if self.rows > limits::FOREIGN_ROWS {
                        return self.fail(damaged("more rows than a reader may say"));
                    }
                    return Some(Ok(item));
                }
                Ok(Some(Frame::Failed(why))) => return self.fail(Error::invalid(why)),
                Ok(Some(Frame::End)) => {
                    self.stop();
                    return self.input.lock().unwrap_or_else(PoisonError::into_inner).take().map(Err);
                }
                Ok(None) => return self.died(),
                Err(e) if e.kind() == base::ErrorKind::Io => return self.died(),
                Err(e) => return self.fail(damaged(e.detail())),
            }
        }
        None
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What the feeding thread works with.
struct Feeder {
    program: PathBuf,
    format: Format,
    input: Box<dyn Read + Send>,
    slot: Slot,
    ended: Receiver<()>,
}

impl Feeder {
    fn run(mut self, started: &SyncSender<std::io::Result<(Child, ChildStdout)>>) {
        let mut command = Command::new(&self.program);
        command.arg("read-foreign").arg(self.format.name()).env_clear().current_dir("/");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(e) => return drop(started.send(Err(e))),
        };
        let pipes = (child.stdin.take(), child.stdout.take());
        let (Some(stdin), Some(stdout)) = pipes else { return };
        if started.send(Ok((child, stdout))).is_ok() {
            self.feed(stdin);
            // Nothing is ever sent: this waits until the reader is gone.
            let _gone = self.ended.recv();
        }
    }

    /// Copies the input to the child. What is wrong with it is noted before the child sees the end of its input, so
    /// that a part never passes for the whole.
    fn feed(&mut self, mut stdin: ChildStdin) {
        let limit = self.format.bytes();
        let mut limited = Read::take(&mut self.input, limit + 1);
        let mut input = BufReader::with_capacity(64 << 10, Separate(&mut limited));
        let problem = match std::io::copy(&mut input, &mut stdin) {
            Ok(n) if n > limit => {
                Some(Error::invalid(format!("文件超过 {} MB，无法读取。请拆分后重试。", limit >> 20)))
            }
            // The child had enough: it says why.
            Err(e) if e.kind() == ErrorKind::BrokenPipe => None,
            Err(e) => Some(Error::from(e)),
            Ok(_) => None,
        };
        *self.slot.lock().unwrap_or_else(PoisonError::into_inner) = problem;
    }
}

/// A reader whose own broken pipe is not taken for the child's.
struct Separate<'a>(&'a mut dyn Read);

impl Read for Separate<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(buffer).map_err(|e| match e.kind() {
            ErrorKind::BrokenPipe => std::io::Error::other(e),
            _ => e,
        })
    }
}

fn busy(e: std::io::Error) -> Error {
    Error::new(base::ErrorKind::Busy, "系统繁忙，暂时不能读取文件。请稍后重试。").with_detail(e)
}

fn damaged(detail: &str) -> Error {
    Error::invalid("文件结构异常，无法读取。请用办公软件打开，另存为新文件后重试。").with_detail(detail)
}

/// Why a child ended without its end mark, and what the person can do.
fn reason(status: ExitStatus) -> Error {
    let words = match status.signal().and_then(|n| Signal::try_from(n).ok()) {
        Some(Signal::SIGXCPU) => "读取文件用时过长，已停止。请删去多余的内容或拆分成几个文件后重试。",
        Some(Signal::SIGABRT) => {
            "文件展开后过大，超出允许的内存，已停止。请删去多余的内容或拆分成几个文件后重试。"
        }
        Some(Signal::SIGKILL) => "读取文件的进程被系统停止（用时过长或内存不足）。请拆分成几个文件后重试。",
        _ => return damaged(&status.to_string()),
    };
    Error::invalid(words).with_detail(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads with some other program in the child's place.
    fn instead(program: &str, input: Box<dyn Read + Send>) -> Vec<Result<Item>> {
        Reader::start(Path::new(program), Format::Csv, input).unwrap().collect()
    }

    #[test]
    fn a_child_that_says_nonsense_or_nothing_is_not_believed() {
        for (program, words) in [("/bin/echo", "文件结构异常"), ("/bin/true", "文件结构异常")] {
            let said = instead(program, Box::new(std::io::empty()));
            assert!(matches!(&said[..], [Err(e)] if e.public().contains(words)), "{program}: {said:?}");
        }
        let absent = Reader::start(Path::new("/nowhere/jiceng"), Format::Csv, Box::new(std::io::empty()));
        assert!(absent.is_err_and(|e| e.public().contains("稍后重试")));
    }

    #[test]
    fn each_end_has_its_words() {
        let words = |n: i32| reason(ExitStatus::from_raw(n)).public().to_owned();
        assert!(words(Signal::SIGXCPU as i32).contains("用时过长"));
        assert!(words(Signal::SIGABRT as i32).contains("内存"));
        assert!(words(Signal::SIGKILL as i32).contains("被系统停止"));
        assert!(words(Signal::SIGSEGV as i32).contains("结构异常") && words(1 << 8).contains("结构异常"));
    }
}

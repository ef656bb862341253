//! The condition of the disk under a store: whether it refused an operation on the database, and how much room is left.
//!
//! Every operation on the database passes [`Watched`]. What the system refuses there is final for this process, because
//! the engine takes nothing more until it is opened again; unless the disk was merely full, a mark is left beside the
//! database, with which every later process takes no changes of records until somebody says that the disk is good.
//! The same holds while there is little room: what is left is for the entries of log-in and reading, and when even
//! that becomes little, a file that was kept in reserve is given up for them.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use redb::{BackendError, StorageBackend};

use super::fault::{Bug, planted};
use super::lock;
use crate::base::{Clock, Error, ErrorKind, Moment, Result, limits};

/// The mark of a failure in the data folder.
const MARK_FILE: &str = "failed";
const MARK_HEAD: &str = "jiceng-failed-1";
/// The mark of a store that another host has taken over from.
const FENCED_FILE: &str = "fenced";
const FENCED_HEAD: &str = "jiceng-fenced-1";
/// What is given up when the disk is nearly full.
const RESERVE_FILE: &str = "reserve";

/// An operation on the database that the system refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// When.
    pub at: Moment,
    /// The number the system gave, as `errno` has it.
    pub code: i32,
}

impl Failure {
    /// The disk was full, which says nothing against it.
    pub fn is_full(&self) -> bool {
        let kind = io::Error::from_raw_os_error(self.code).kind();
        matches!(kind, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }
}

/// Another host goes on with the county's history: what is entered here would never be part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fence {
    /// When this was seen here.
    pub at: Moment,
    /// The epoch of the other host; 0 where that is not known.
    pub epoch: u64,
    /// The slot of the off-site log that it took; 0 where that is not known.
    pub number: u64,
}

/// Why records cannot be changed for now; entries of log-in and reading are written all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Halt {
    /// Another host has taken over.
    Fenced(Fence),
    /// The disk failed, and nobody has said since that it is good.
    Failed(Failure),
    /// So many bytes are free, which is too little.
    Full(u64),
    /// The store follows another one, which alone takes changes.
    Following,
}

impl Halt {
    /// What people are told, and what is to be done.
    pub fn text(&self) -> String {
        match self {
            Self::Fenced(Fence { at, epoch, number }) => format!(
                "另一台主机已经接管本县的数据（异地日志第 {number} 段，纪元 {epoch}；本机在 {at} 得知），本机现在只能查看，\
                 不能登记和修改。请立即让用户改用新主机的网址；本机已登记而新主机上没有的内容，请对照本机的日志在新主机上补录。\
                 不要再让本机恢复使用。如果没有别的主机，请核对 jiceng ship 的目标是否填错，并联系信息化部门。"
            ),
            Self::Failed(Failure { at, code }) => format!(
                "数据盘在 {at} 读写出错（错误号 {code}），系统现在只能查看，不能登记和修改。请系统管理员检查或更换磁盘；\
                 确认磁盘完好后，在服务器上运行 jiceng doctor --resume，检查通过即恢复。"
            ),
            Self::Full(free) => format!(
                "数据盘空间不足，只剩 {} MB（至少要有 {} MB），系统现在只能查看，不能登记和修改。请系统管理员清理或扩容；\
                 空间够了会自行恢复，不用重启。",
                free >> 20,
                limits::SPACE_CHANGES_BYTES >> 20
            ),
            Self::Following => "这是备机，只能查看，不能登记和修改，没有保存。请到主机上办理；主机坏了而且确认已经关机时，\
                 请系统管理员在备机上运行 jiceng standby promote，由备机接替。"
                .to_owned(),
        }
    }

    /// The same as an error.
    pub(super) fn error(&self) -> Error {
        Error::new(ErrorKind::Busy, self.text())
    }
}

/// Called once with what failed.
type Ending = Box<dyn Fn(Failure) + Send>;

/// What is known of the disk.
pub(super) struct Condition {
    dir: PathBuf,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// What failed in this process.
    broken: Option<Failure>,
    /// What failed in an earlier one.
    marked: Option<Failure>,
    /// Who has taken over.
    fenced: Option<Fence>,
    /// There is too little room for changes.
    low: bool,
    /// There is to be a reserve.
    keeps: bool,
    /// Who wants to know of a failure.
    ending: Option<Ending>,
}

impl Condition {
    /// Looks at a data folder before its database is opened, which may want the room of the reserve.
    pub(super) fn of(dir: &Path, clock: Arc<dyn Clock>) -> Arc<Self> {
        let fenced = read_fence(&dir.join(FENCED_FILE));
        let state = State { marked: read_mark(&dir.join(MARK_FILE)), fenced, ..State::default() };
        let condition = Self { dir: dir.to_owned(), clock, state: Mutex::new(state) };
        condition.look();
        Arc::new(condition)
    }

    /// Why records cannot be changed now, if they cannot.
    pub(super) fn halt(&self) -> Option<Halt> {
        let full = self.look();
        let state = lock(&self.state);
        state.fenced.map(Halt::Fenced).or(state.broken.or(state.marked).map(Halt::Failed)).or(full)
    }

    /// Another host has taken over: from now on no records are changed, and after a restart neither. The first time
    /// counts.
    pub(super) fn fence(&self, fence: Fence) -> Result<()> {
        let mut state = lock(&self.state);
        // A mark that could not be written is tried again.
        if state.fenced.is_some() && self.dir.join(FENCED_FILE).exists() {
            return Ok(());
        }
        let fence = *state.fenced.get_or_insert(fence);
        drop(state);
        let Fence { at, epoch, number } = fence;
        Ok(write_line(&self.dir, FENCED_FILE, &format!("{FENCED_HEAD} {} {epoch} {number}", at.0))?)
    }

    /// Calls `ending` when an operation fails, or has failed, once; on whichever thread that is.
    pub(super) fn on_failure(&self, ending: impl Fn(Failure) + Send + 'static) {
        let mut state = lock(&self.state);
        match state.broken {
            Some(failure) => ending(failure),
            None => state.ending = Some(Box::new(ending)),
        }
    }

    /// From now on a reserve is kept.
    pub(super) fn keep_reserve(&self) {
        lock(&self.state).keeps = true;
        self.look();
    }

    /// The failure of an earlier process.
    pub(super) fn marked(&self) -> Option<Failure> {
        lock(&self.state).marked
    }

    /// The disk is good again.
    pub(super) fn clear(&self) -> Result<()> {
        fs::remove_file(self.dir.join(MARK_FILE))?;
        File::open(&self.dir)?.sync_all()?;
        lock(&self.state).marked = None;
        Ok(())
    }

    /// Notes what the system refused; the first time counts.
    fn refused(&self, code: i32) {
        let failure = Failure { at: self.clock.now(), code };
        let mut state = lock(&self.state);
        if state.broken.is_some() {
            return;
        }
        state.broken = Some(failure);
        let ending = state.ending.take();
        drop(state);
        // First the end of the process is begun: the disk may keep the mark waiting forever.
        if let Some(ending) = ending {
            ending(failure);
        }
        if !failure.is_full() {
            // The disk may refuse this too; then the next start is as after any other stop.
            let _unmarked = write_mark(&self.dir, failure);
        }
    }

    /// Compares the free room with the marks, gives the reserve up or makes it again.
    fn look(&self) -> Option<Halt> {
        // A disk that does not say how full it is says so when it is written to.
        let free = fs4::available_space(&self.dir).ok()?;
        let mut state = lock(&self.state);
        let reserve = self.dir.join(RESERVE_FILE);
        let plenty = free >= limits::SPACE_CHANGES_BYTES + limits::SPACE_RESERVED_BYTES;
        // Between the two marks it stays as it is: nobody wants a service that comes and goes.
        state.low = free < limits::SPACE_CHANGES_BYTES || state.low && !plenty;
        if free < limits::SPACE_ENTRIES_BYTES {
            let _gone = fs::remove_file(&reserve);
        } else if state.keeps && plenty && !reserve.exists() {
            make_reserve(&reserve);
        }
        state.low.then_some(Halt::Full(free))
    }
}

/// Where the whole of it cannot be had there is none, and the next look tries again.
fn make_reserve(path: &Path) {
    let Ok(file) = File::options().write(true).create_new(true).open(path) else { return };
    let size = limits::SPACE_RESERVED_BYTES;
    // Not every file system can set room aside.
    let zeros = |_| io::copy(&mut io::repeat(0).take(size), &mut &file).map(drop);
    if fs4::FileExt::allocate(&file, size).or_else(zeros).is_err() {
        let _gone = fs::remove_file(path);
    }
}

fn write_mark(dir: &Path, failure: Failure) -> io::Result<()> {
    write_line(dir, MARK_FILE, &format!("{MARK_HEAD} {} {}", failure.at.0, failure.code))
}

fn write_line(dir: &Path, name: &str, line: &str) -> io::Result<()> {
    let mut file = File::create(dir.join(name))?;
    writeln!(file, "{line}")?;
    file.sync_all()?;
    File::open(dir)?.sync_all()
}

/// A mark that cannot be read is a mark all the same.
fn read_mark(path: &Path) -> Option<Failure> {
    let [at, code, _] = read_numbers(path, MARK_HEAD)?;
    Some(Failure { at: Moment(at), code: i32::try_from(code).unwrap_or_default() })
}

fn read_fence(path: &Path) -> Option<Fence> {
    let [at, epoch, number] = read_numbers(path, FENCED_HEAD)?;
    let positive = |n| u64::try_from(n).unwrap_or_default();
    Some(Fence { at: Moment(at), epoch: positive(epoch), number: positive(number) })
}

/// The numbers of a mark, zeros where they cannot be read; `None` where there is no mark.
fn read_numbers(path: &Path, head: &str) -> Option<[i64; 3]> {
    let text = match fs::read(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return None,
        read => read.map(|b| String::from_utf8_lossy(&b).into_owned()).unwrap_or_default(),
    };
    let mut words = text.strip_prefix(head).unwrap_or_default().split_whitespace();
    Some([0; 3].map(|_: i64| words.next().and_then(|n| n.parse().ok()).unwrap_or_default()))
}

/// A storage of which every refusal is noted.
#[derive(Debug)]
pub(super) struct Watched<B>(pub(super) B, pub(super) Arc<Condition>);

impl std::fmt::Debug for Condition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Condition")
    }
}

impl<B> Watched<B> {
    fn note<T>(&self, done: io::Result<T>) -> io::Result<T> {
        // What the system refuses has a number; bytes that are not there have none, and are damage.
        if let Some(code) = done.as_ref().err().and_then(io::Error::raw_os_error) {
            self.1.refused(code);
        }
        done
    }
}

impl<B: StorageBackend> StorageBackend for Watched<B> {
    fn len(&self) -> io::Result<u64> {
        self.note(self.0.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.note(self.0.read(offset, out))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.note(self.0.set_len(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        if planted(Bug::SyncSkipped) {
            return Ok(());
        }
        self.note(self.0.sync_data())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.note(self.0.write(offset, data))
    }

    fn close(&self) -> io::Result<()> {
        self.0.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.query_lock_range(start, end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::ManualClock;

    #[test]
    fn a_mark_stays_until_it_is_cleared_and_counts_even_when_it_is_spoilt() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Condition::of(dir.path(), Arc::new(ManualClock::at(Moment(7_000))));
        assert_eq!(open().halt(), None);
        let condition = open();
        let (told, heard) = std::sync::mpsc::channel();
        condition.on_failure(move |failure| told.send(failure).unwrap());
        (0..3).for_each(|_| condition.refused(5));
        let failure = Failure { at: Moment(7_000), code: 5 };
        assert_eq!(heard.iter().collect::<Vec<_>>(), [failure], "it is told once");
        assert_eq!(open().halt(), Some(Halt::Failed(failure)));
        for spoilt in ["", "x", "jiceng-failed-1", "jiceng-failed-1 a b"] {
            fs::write(dir.path().join(MARK_FILE), spoilt).unwrap();
            assert!(open().halt().is_some(), "{spoilt}");
        }
        open().clear().unwrap();
        assert_eq!(open().halt(), None);
    }

    #[test]
    fn a_store_that_was_fenced_stays_so_even_when_the_mark_is_spoilt() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Condition::of(dir.path(), Arc::new(ManualClock::default()));
        let fence = Fence { at: Moment(9), epoch: 4, number: 17 };
        let condition = open();
        condition.fence(fence).unwrap();
        condition.fence(Fence { epoch: 5, ..fence }).unwrap();
        condition.refused(5);
        assert_eq!((condition.halt(), open().halt()), (Some(Halt::Fenced(fence)), Some(Halt::Fenced(fence))));
        assert!(fence_text(&open()).contains("第 17 段，纪元 4"));
        for spoilt in ["", "x", "jiceng-fenced-1", "jiceng-fenced-1 a b c"] {
            fs::write(dir.path().join(FENCED_FILE), spoilt).unwrap();
            assert!(matches!(open().halt(), Some(Halt::Fenced(_))), "{spoilt}");
        }
    }

    fn fence_text(condition: &Condition) -> String {
        condition.halt().unwrap().text()
    }

    #[test]
    fn a_full_disk_leaves_no_mark() {
        let dir = tempfile::tempdir().unwrap();
        for code in [28, 122] {
            let condition = Condition::of(dir.path(), Arc::new(ManualClock::default()));
            condition.refused(code);
            assert!(Failure { at: Moment(0), code }.is_full() && !dir.path().join(MARK_FILE).exists());
        }
    }
}

//! A data folder that belongs to this process and whose keys are still closed: what there is between the folder's lock
//! and an open store.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::keyslot::{SlotFile, Unlock};
use super::ring::Ring;
use super::{DATABASE_FILE, LOCK_FILE, Store, damage};
use crate::base::{Clock, Error, ErrorKind, Result, limits};

/// The folder; it is free again when this and the store made of it are gone.
pub struct Locked {
    dir: PathBuf,
    lock: Arc<File>,
    slots: SlotFile,
}

/// Open keys, for [`Locked::open`].
pub struct Keys(Ring);

impl Keys {
    /// Name of the slot that opened them.
    pub fn slot(&self) -> &str {
        &self.0.opened_by
    }
}

impl Locked {
    /// Takes a data folder and reads its slot file.
    pub fn take(dir: &Path) -> Result<Self> {
        if !dir.join(DATABASE_FILE).is_file() {
            return Err(Error::new(
                ErrorKind::Invalid,
                format!("{} 不是数据目录。请先运行 jiceng init，或检查 --dir。", dir.display()),
            ));
        }
        Self::of(dir)
    }

    /// The same without looking for a database.
    pub(super) fn of(dir: &Path) -> Result<Self> {
        let dir = dir.canonicalize()?;
        let lock = Arc::new(take_lock(&dir)?);
        let slots = SlotFile::read(&dir)?;
        Ok(Self { dir, lock, slots })
    }

    /// The data folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Somebody can type or bring what opens it.
    pub fn waits_for_people(&self) -> bool {
        self.slots.waits_for_people()
    }

    /// Opens the keys; `None` when no slot opens this way.
    ///
    /// # Errors
    /// When a slot opens and what lies behind it is damaged.
    pub fn unlock(&self, how: &Unlock<'_>) -> Result<Option<Keys>> {
        let Some(opened) = self.slots.open(&self.dir, how)? else { return Ok(None) };
        Ring::of(&self.dir, self.slots.clone(), opened).map(Keys).map(Some)
    }

    /// Opens the keys by what lies there, or says why they stay closed.
    pub fn unlock_unattended(&self) -> Result<Keys> {
        self.unlock(&Unlock::Unattended)?.ok_or_else(|| self.slots.closed(&self.dir))
    }

    /// Opens the store with its keys.
    pub fn open(&self, keys: Keys, clock: Arc<dyn Clock>) -> Result<Store> {
        self.start(keys, clock, |file| {
            let file = File::options().read(true).write(true).open(file)?;
            // The engine would make a new database of an empty file.
            if file.metadata()?.len() == 0 {
                return Err(Error::damaged("数据库文件 store.redb"));
            }
            redb::backends::FileBackend::new(file).map_err(damage)
        })
    }

    pub(super) fn start<B: redb::StorageBackend>(
        &self,
        keys: Keys,
        clock: Arc<dyn Clock>,
        storage: impl FnOnce(&Path) -> Result<B>,
    ) -> Result<Store> {
        Store::start(&self.dir, (Arc::clone(&self.lock), keys.0), clock, storage)
    }
}

/// Waits a moment for a process that is just ending, or one that is just starting and still has its parent's files.
fn take_lock(dir: &Path) -> Result<File> {
    let file = File::options().create(true).truncate(false).write(true).open(dir.join(LOCK_FILE))?;
    let busy = || {
        Error::new(
            ErrorKind::Busy,
            "数据目录正被另一个 jiceng 进程使用。请等它结束，或通过正在运行的服务操作。",
        )
    };
    for _ in 0..limits::LOCK_TRIES {
        if fs4::FileExt::try_lock(&file).is_ok() {
            return Ok(file);
        }
        std::thread::sleep(Duration::from_millis(limits::LOCK_PAUSE_MS));
    }
    Err(busy())
}

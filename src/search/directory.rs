//! The folder of the index: every file is sealed, what was said to be written lasts, and what is not what was written
//! is noticed.
//!
//! What must hold: no byte of an index lies readable on a disk, and nothing there opens it without the master key; a
//! file that was changed, cut, swapped with another or put back is an error when it is opened or read, never other
//! bytes; a new list of segments lasts before a file that only the old list names is removed, or a power cut could
//! keep the old list and lose its files. Names of files are the engine's; locks are empty files.

mod atrest;
mod cache;
mod format;
mod measure;
mod read;
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tantivy::Directory;
use tantivy::directory::error::{DeleteError, LockError, OpenDirectoryError, OpenReadError, OpenWriteError};
use tantivy::directory::{
    DirectoryLock, FileHandle, Lock, MmapDirectory, WatchCallback, WatchCallbackList, WatchHandle, WritePtr,
};

use crate::store::FileKeys;

use cache::Cache;
use format::{FileId, Sealing, damaged};
use read::Sealed;

/// The list of segments, with the payload of the last commit.
const LIST: &str = "meta.json";
/// The list of files that the engine made.
const MANAGED: &str = ".managed.json";
/// What the names of its locks begin with.
const LOCKS: &str = ".tantivy-";

/// The engine's folder, sealed. What lies in it is written, named and locked as the engine does it.
#[derive(Clone, Debug)]
pub(super) struct Vault {
    inner: MmapDirectory,
    shared: Arc<Shared>,
}

struct Shared {
    dir: PathBuf,
    keys: FileKeys,
    cache: Arc<Cache>,
    /// Files that somebody reads.
    open: Mutex<HashMap<PathBuf, Weak<Sealed>>>,
    /// Which writing of a file was seen or made last: another one was put there by somebody else.
    known: Mutex<HashMap<PathBuf, FileId>>,
    /// Who wants to hear of a new list. The engine's own way reads lines of text.
    watching: WatchCallbackList,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.dir.fmt(f)
    }
}

impl Vault {
    /// A folder that is there.
    pub(super) fn open(dir: &Path, keys: FileKeys) -> Result<Self, OpenDirectoryError> {
        let inner = MmapDirectory::open(dir)?;
        let (dir, cache) = (dir.to_owned(), Arc::new(Cache::default()));
        let (open, known, watching) = (Mutex::default(), Mutex::default(), WatchCallbackList::default());
        let shared = Shared { dir, keys, cache, open, known, watching };
        Ok(Self { inner, shared: Arc::new(shared) })
    }

    /// Reads these files and both lists to their ends as they lie on the disk now; the oldest generation whose key is
    /// needed for it. A file that is gone is an error, also when a merge removed it meanwhile.
    pub(super) fn verify<'a>(&self, files: impl Iterator<Item = &'a Path>) -> io::Result<u32> {
        let mut oldest = self.shared.keys.current();
        for name in files.chain([LIST, MANAGED].map(Path::new)) {
            let shared = &self.shared;
            let file = Sealed::open(&shared.dir.join(name), name, &shared.keys, &shared.cache)?;
            file.verify()?;
            // Another writing of a list may be there by now.
            if name != Path::new(LIST) && name != Path::new(MANAGED) {
                shared.know(name, file.id())?;
            }
            oldest = oldest.min(file.generation());
        }
        Ok(oldest)
    }

    #[cfg(test)]
    pub(super) fn forget(&self) {
        self.shared.cache.forget();
    }

    fn read_file(&self, path: &Path) -> io::Result<Arc<Sealed>> {
        let mut open = held(&self.shared.open);
        if let Some(file) = open.get(path).and_then(Weak::upgrade) {
            return Ok(file);
        }
        let shared = &self.shared;
        let file = Arc::new(Sealed::open(&shared.dir.join(path), path, &shared.keys, &shared.cache)?);
        shared.know(path, file.id())?;
        open.retain(|_, file| file.strong_count() > 0);
        open.insert(path.to_owned(), Arc::downgrade(&file));
        Ok(file)
    }
}

impl Shared {
    fn know(&self, path: &Path, id: FileId) -> io::Result<()> {
        let known = *held(&self.known).entry(path.to_owned()).or_insert(id);
        if known == id { Ok(()) } else { Err(damaged("another writing of the file")) }
    }
}

/// Files of a folder that hold nothing of an index with these files: what a power cut left, or others put there.
pub(super) fn strays(dir: &Path, files: &BTreeSet<PathBuf>) -> io::Result<Vec<PathBuf>> {
    let mut strays = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = PathBuf::from(entry.file_name());
        let own = [LIST, MANAGED].iter().any(|own| name == Path::new(own))
            || name.to_string_lossy().starts_with(LOCKS)
            || files.contains(&name);
        if !own && entry.file_type()?.is_file() {
            strays.push(entry.path());
        }
    }
    Ok(strays)
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unread(path: &Path, e: io::Error) -> OpenReadError {
    if e.kind() == io::ErrorKind::NotFound {
        OpenReadError::FileDoesNotExist(path.to_owned())
    } else {
        OpenReadError::wrap_io_error(e, path.to_owned())
    }
}

impl Directory for Vault {
    fn get_file_handle(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        let file = self.read_file(path).map_err(|e| unread(path, e))?;
        Ok(file)
    }

    fn delete(&self, path: &Path) -> Result<(), DeleteError> {
        held(&self.shared.open).remove(path);
        held(&self.shared.known).remove(path);
        self.inner.delete(path)
    }

    fn exists(&self, path: &Path) -> Result<bool, OpenReadError> {
        self.inner.exists(path)
    }

    fn open_write(&self, path: &Path) -> Result<WritePtr, OpenWriteError> {
        let unwritten = |e: io::Error| OpenWriteError::wrap_io_error(e, path.to_owned());
        // Chunks are as long as the engine's own buffer is not.
        let plain = self.inner.open_write(path)?.into_inner().map_err(|e| unwritten(e.into_error()))?;
        let (sealing, id) = Sealing::begin(&self.shared.keys, path, plain).map_err(unwritten)?;
        held(&self.shared.known).insert(path.to_owned(), id);
        Ok(io::BufWriter::new(Box::new(sealing)))
    }

    fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        // Nobody writes it between reading and comparing.
        let mut known = held(&self.shared.known);
        let bytes = self.inner.atomic_read(path)?;
        let opened = format::open_whole(&self.shared.keys, path, &bytes);
        let (content, id) = opened.map_err(|e| unread(path, e))?;
        if *known.entry(path.to_owned()).or_insert(id) != id {
            return Err(unread(path, damaged("another writing of the file")));
        }
        Ok(content)
    }

    fn atomic_write(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        let (bytes, id) = format::seal_whole(&self.shared.keys, path, content)?;
        let mut known = held(&self.shared.known);
        self.inner.atomic_write(path, &bytes)?;
        known.insert(path.to_owned(), id);
        drop(known);
        // The other small file is synced along with the folder before the next list is written.
        if path != Path::new(LIST) {
            return Ok(());
        }
        self.inner.sync_directory()?;
        // Nobody waits until they heard.
        drop(self.shared.watching.broadcast());
        Ok(())
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.inner.sync_directory()
    }

    fn acquire_lock(&self, lock: &Lock) -> Result<DirectoryLock, LockError> {
        self.inner.acquire_lock(lock)
    }

    fn watch(&self, callback: WatchCallback) -> tantivy::Result<WatchHandle> {
        Ok(self.shared.watching.subscribe(callback))
    }
}

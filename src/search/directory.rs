//! The folder of the index: what was said to be written lasts, and what rotted is noticed.
//!
//! What must hold: a new list of segments lasts before a file that only the old list names is removed, or a power cut
//! could keep the old list and lose its files; the small files, which the engine protects by no checksum, say by a
//! digest in their last line what they should be. The engine's own files carry checksums, which [`reads`] and the
//! caller look at when the index is opened.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tantivy::Directory;
use tantivy::directory::error::{DeleteError, LockError, OpenDirectoryError, OpenReadError, OpenWriteError};
use tantivy::directory::{
    DirectoryLock, FileHandle, Lock, MmapDirectory, WatchCallback, WatchHandle, WritePtr,
};

use crate::store::seal::sha256;

/// The list of segments, with the payload of the last commit.
const LIST: &str = "meta.json";
/// What the last line of a small file begins with.
const DIGEST: &str = "sha256 ";

/// The engine's folder of mapped files, with the two promises above.
#[derive(Clone, Debug)]
pub(super) struct Lasting(MmapDirectory);

impl Lasting {
    /// A folder that is there.
    pub(super) fn open(dir: &Path) -> Result<Self, OpenDirectoryError> {
        MmapDirectory::open(dir).map(Self)
    }
}

/// Reads every file of a folder to its end: a bad sector is an error here, and the end of the process when a mapped
/// file meets it.
pub(super) fn reads(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        match File::open(entry?.path()) {
            Ok(mut file) if file.metadata()?.is_file() => io::copy(&mut file, &mut io::sink()).map(drop)?,
            Ok(_) => {}
            // A merge may remove a file between listing and opening.
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

fn last_line(content: &[u8]) -> String {
    format!("{DIGEST}{}\n", hex::encode(sha256(&[content])))
}

/// What stands before the last line, when that line is right.
fn checked(mut bytes: Vec<u8>) -> Option<Vec<u8>> {
    let length = bytes.len().checked_sub(last_line(&[]).len())?;
    let right = bytes[length..] == *last_line(&bytes[..length]).as_bytes();
    bytes.truncate(length);
    right.then_some(bytes)
}

impl Directory for Lasting {
    fn atomic_write(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        self.0.atomic_write(path, &[content, last_line(content).as_bytes()].concat())?;
        // The other small file is synced along with the folder before the next list is written.
        if path == Path::new(LIST) { self.0.sync_directory() } else { Ok(()) }
    }

    fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        checked(self.0.atomic_read(path)?).ok_or_else(|| {
            let wrong = io::Error::new(io::ErrorKind::InvalidData, "not what its last line says");
            OpenReadError::wrap_io_error(wrong, PathBuf::from(path))
        })
    }

    fn get_file_handle(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        self.0.get_file_handle(path)
    }

    fn delete(&self, path: &Path) -> Result<(), DeleteError> {
        self.0.delete(path)
    }

    fn exists(&self, path: &Path) -> Result<bool, OpenReadError> {
        self.0.exists(path)
    }

    fn open_write(&self, path: &Path) -> Result<WritePtr, OpenWriteError> {
        self.0.open_write(path)
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.0.sync_directory()
    }

    fn acquire_lock(&self, lock: &Lock) -> Result<DirectoryLock, LockError> {
        self.0.acquire_lock(lock)
    }

    fn watch(&self, callback: WatchCallback) -> tantivy::Result<WatchHandle> {
        self.0.watch(callback)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A digit of the position, a removed row that comes back: the engine would have believed either.
    #[test]
    fn no_bit_of_a_small_file_can_change_unnoticed() {
        let home = tempfile::tempdir().unwrap();
        let folder = Lasting::open(home.path()).unwrap();
        let content = b"{\"deletes\":null,\"payload\":\"{\\\"seq\\\":27}\"}\n";
        for name in [LIST, ".managed.json"] {
            folder.atomic_write(Path::new(name), content).unwrap();
            assert_eq!(folder.atomic_read(Path::new(name)).unwrap(), content);
            let whole = fs::read(home.path().join(name)).unwrap();
            for bit in 0..whole.len() * 8 {
                let mut bytes = whole.clone();
                bytes[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(checked(bytes), None, "bit {bit}");
            }
            (0..whole.len())
                .for_each(|length| assert_eq!(checked(whole[..length].to_vec()), None, "cut to {length}"));
        }
    }

    #[test]
    fn a_folder_is_read_to_the_end_of_each_file() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("a"), [7; 100_000]).unwrap();
        fs::create_dir(home.path().join("b")).unwrap();
        reads(home.path()).unwrap();
        // A link to itself cannot be opened by anybody.
        std::os::unix::fs::symlink("c", home.path().join("c")).unwrap();
        assert!(reads(home.path()).is_err());
    }
}

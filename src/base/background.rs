//! Threads for work that nobody waits for: imports, the index, backups. They get out of the way of pages and saves.

use std::fs::File;
use std::io::{self, Write};
use std::thread::{Builder, JoinHandle};

use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use rustix::process::setpriority_process;

use super::limits;

/// How far such a thread steps back, as `nice` counts it: it has what others leave, and a sixtieth of what they want.
const NICE: i32 = 19;

/// Starts a thread that steps back for others; so do the threads that it starts.
///
/// # Errors
/// When the system has no thread left.
pub fn background<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    Builder::new().name(name.into()).spawn(move || {
        // On Linux this is the calling thread alone. Where it is not allowed the work is done all the same.
        let _unheard = setpriority_process(None, NICE);
        work()
    })
}

/// Lets go of what the system keeps in memory of a file: that room is for what pages need, and what is read of the file
/// after it was synced comes from the disk.
pub fn not_kept(file: &File) {
    // Advice only: where the system does not take it nothing is wrong.
    let _unheard = posix_fadvise(file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED);
}

/// A file that is written by the way: it is synced every few megabytes. Whoever saves something meanwhile would wait
/// for everything the system had not written yet.
pub struct Unhurried {
    file: File,
    unsynced: usize,
}

impl Unhurried {
    /// Takes a file that is to be written from its beginning.
    pub fn new(file: File) -> Self {
        Self { file, unsynced: 0 }
    }

    /// The file, whose last bytes are still to be synced.
    pub fn into_inner(self) -> File {
        self.file
    }
}

impl Write for Unhurried {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.unsynced >= limits::UNSYNCED_BYTES {
            self.file.sync_data()?;
            self.unsynced = 0;
        }
        let written = self.file.write(bytes)?;
        self.unsynced += written;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::getpriority_process;

    #[test]
    fn background_work_steps_back_and_nobody_else_does() {
        let before = getpriority_process(None).unwrap();
        let inside = background("test", || getpriority_process(None).unwrap()).unwrap().join().unwrap();
        assert_eq!(inside, before.max(NICE));
        assert_eq!(getpriority_process(None).unwrap(), before);
    }
}

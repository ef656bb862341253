//! A file that a thread of its own writes and syncs, piece by piece, while the next pieces are compressed and
//! encrypted: whoever makes them does not wait for the disk until it is far behind.
//!
//! What must hold: an error of the disk ends the work and is told as it came; no thread is left when the value is gone.

use std::fs::File;
use std::io::{self, Write};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use crate::base::Unhurried;

const PIECE: usize = 1 << 20;
/// Pieces that wait for the disk.
const WAITING: usize = 16;

/// Takes bytes for the file.
pub(super) struct Behind {
    held: Vec<u8>,
    pieces: Option<SyncSender<Vec<u8>>>,
    thread: Option<JoinHandle<io::Result<File>>>,
}

impl Behind {
    /// For a file that is empty.
    pub(super) fn new(file: File) -> io::Result<Self> {
        let (pieces, waiting) = sync_channel::<Vec<u8>>(WAITING);
        let work = move || {
            let mut file = Unhurried::new(file);
            waiting.iter().try_for_each(|piece| file.write_all(&piece))?;
            Ok(file.into_inner())
        };
        let thread = std::thread::Builder::new().name("backup-file".into()).spawn(work)?;
        Ok(Self { held: Vec::with_capacity(PIECE), pieces: Some(pieces), thread: Some(thread) })
    }

    /// The file with everything in it, not all of it synced.
    pub(super) fn finish(mut self) -> io::Result<File> {
        self.hand_on()?;
        self.end()
    }

    fn hand_on(&mut self) -> io::Result<()> {
        let piece = std::mem::replace(&mut self.held, Vec::with_capacity(PIECE));
        match self.pieces.as_ref().map(|pieces| pieces.send(piece)) {
            Some(Ok(())) => Ok(()),
            // The thread ends early only when the disk refused something.
            _ => self.end().and(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn end(&mut self) -> io::Result<File> {
        self.pieces = None;
        let ended = self.thread.take().map(JoinHandle::join);
        ended.and_then(Result::ok).unwrap_or_else(|| Err(io::ErrorKind::BrokenPipe.into()))
    }
}

impl Write for Behind {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.held.extend_from_slice(bytes);
        if self.held.len() >= PIECE {
            self.hand_on()?;
        }
        Ok(bytes.len())
    }

    /// Bytes reach the file when there are many, and at the end.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Behind {
    fn drop(&mut self) {
        // Nothing to do after `finish`; else the error that led here is the one to tell.
        let _ended = self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_is_in_the_file_and_what_the_disk_says_is_told() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("file");
        let mut behind = Behind::new(File::create(&path).unwrap()).unwrap();
        let bytes: Vec<u8> = (0..PIECE * 9 + 7).map(|n| (n % 251) as u8).collect();
        bytes.chunks(100_003).for_each(|some| behind.write_all(some).unwrap());
        behind.finish().unwrap();
        assert!(std::fs::read(&path).unwrap() == bytes);
        // A device that is always full.
        let full = File::options().write(true).open("/dev/full").unwrap();
        let mut behind = Behind::new(full).unwrap();
        let told = (0..100).find_map(|_| behind.write_all(&bytes).err()).unwrap();
        assert_eq!(told.kind(), io::ErrorKind::StorageFull);
        let mut late = Behind::new(File::options().write(true).open("/dev/full").unwrap()).unwrap();
        late.write_all(b"little").unwrap();
        assert_eq!(late.finish().unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
}

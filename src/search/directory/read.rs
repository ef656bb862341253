//! A sealed file that is read: ranges of it are opened when they are asked for.
//!
//! What must hold: nothing is given out that was not opened under its tag; a range within one chunk is given without
//! being copied, one over several is put together once and then kept whole; the bytes are read, not mapped, so that a
//! bad sector is an error and not the end of the process.

use std::fmt;
use std::fs::File;
use std::io;
use std::iter::repeat_n;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use tantivy::HasLen;
use tantivy::directory::{FileHandle, OwnedBytes};

use crate::store::FileKeys;
use crate::store::seal::CHUNK_OVERHEAD;

use super::super::INDEX_CHUNK_BYTES as CHUNK;
use super::cache::{Cache, Piece, Room};
use super::format::{self, Cut, FileId, HEADER, Head, PIECE, damaged};

/// What the names of the engine's merging threads begin with.
const MERGING: &str = "merge_thread";
/// Dictionaries are read whole, and held by the reader of their segment.
const HELD: &str = "term";

/// An open file.
pub(super) struct Sealed {
    file: File,
    head: Head,
    cut: Cut,
    held: bool,
    cache: Arc<Cache>,
}

impl Sealed {
    /// Opens a file at `path`, whose name in the folder is `name`; that it ends where it was ended is seen at once.
    pub(super) fn open(path: &Path, name: &Path, keys: &FileKeys, cache: &Arc<Cache>) -> io::Result<Self> {
        let file = File::open(path)?;
        let mut header = [0; HEADER];
        file.read_exact_at(&mut header, 0).map_err(|e| match e.kind() {
            io::ErrorKind::UnexpectedEof => damaged("no header"),
            _ => e,
        })?;
        let head = Head::open(keys, name, &header)?;
        let cut = Cut::of(file.metadata()?.len()).ok_or_else(|| damaged("cut"))?;
        let held = name.extension().is_some_and(|e| e == HELD);
        let opened = Self { file, head, cut, held, cache: Arc::clone(cache) };
        opened.chunk(cut.last)?;
        Ok(opened)
    }

    pub(super) fn id(&self) -> FileId {
        self.head.id
    }

    pub(super) fn generation(&self) -> u32 {
        self.head.generation
    }

    /// Opens every chunk as it lies on the disk now.
    pub(super) fn verify(&self) -> io::Result<()> {
        let (mut sealed, mut plain) = (vec![0; PIECE], vec![0; CHUNK]);
        (0..=self.cut.last).try_for_each(|number| {
            let length = self.cut.chunk(number);
            self.open_chunk(number, &mut sealed, &mut plain[..length])
        })
    }

    fn open_chunk(&self, number: u64, sealed: &mut [u8], plain: &mut [u8]) -> io::Result<()> {
        let sealed = &mut sealed[..plain.len() + CHUNK_OVERHEAD];
        self.file.read_exact_at(sealed, format::offset(number))?;
        let opened = self.head.key.open((number, number == self.cut.last), &self.head.id, sealed, plain);
        opened.ok_or_else(|| damaged("a chunk does not open"))
    }

    fn piece(&self, range: &Range<usize>) -> Piece {
        Piece { file: self.head.id, from: range.start, upto: range.end }
    }

    /// The room, where this thread keeps what it opened.
    fn room() -> Room {
        let merging = std::thread::current().name().is_some_and(|name| name.starts_with(MERGING));
        if merging { Room::Merge } else { Room::Hot }
    }

    fn chunk(&self, number: u64) -> io::Result<Arc<[u8]>> {
        let start = format::at(number);
        let range = start..start + self.cut.chunk(number);
        self.kept(&range, Self::room(), |plain| self.open_chunk(number, &mut [0; PIECE], plain))
    }

    /// The bytes of a range, from the cache or made by `fill`.
    fn kept(
        &self,
        range: &Range<usize>,
        room: Room,
        fill: impl FnOnce(&mut [u8]) -> io::Result<()>,
    ) -> io::Result<Arc<[u8]>> {
        let piece = self.piece(range);
        if let Some(bytes) = self.cache.get(&piece, room) {
            return Ok(bytes);
        }
        let mut bytes: Arc<[u8]> = repeat_n(0, range.len()).collect();
        fill(Arc::get_mut(&mut bytes).ok_or_else(|| damaged("shared"))?)?;
        self.cache.keep(piece, &bytes, room);
        Ok(bytes)
    }

    /// Puts a range over several chunks together. Its ends are shared with others, and kept as chunks.
    fn assemble(&self, range: &Range<usize>, mut plain: &mut [u8]) -> io::Result<()> {
        let mut sealed = [0; PIECE];
        let (first, last) = (range.start / CHUNK, (range.end - 1) / CHUNK);
        for number in first..=last {
            let (start, length) = (number * CHUNK, self.cut.chunk(number as u64));
            let part = range.start.max(start) - start..range.end.min(start + length) - start;
            let (now, later) = plain.split_at_mut(part.len());
            if part.len() == length {
                self.open_chunk(number as u64, &mut sealed, now)?;
            } else {
                now.copy_from_slice(&self.chunk(number as u64)?[part]);
            }
            plain = later;
        }
        Ok(())
    }
}

impl FileHandle for Sealed {
    fn read_bytes(&self, range: Range<usize>) -> io::Result<OwnedBytes> {
        if range.start > range.end || range.end > self.cut.length {
            return Err(damaged("read beyond the end"));
        }
        if range.is_empty() {
            return Ok(OwnedBytes::empty());
        }
        let first = range.start / CHUNK;
        if first == (range.end - 1) / CHUNK {
            let start = first * CHUNK;
            let chunk = self.chunk(first as u64)?;
            return Ok(OwnedBytes::new(chunk).slice(range.start - start..range.end - start));
        }
        let room = if self.held { Room::Lent } else { Self::room() };
        let bytes = self.kept(&range, room, |plain| self.assemble(&range, plain))?;
        Ok(OwnedBytes::new(bytes))
    }
}

impl HasLen for Sealed {
    fn len(&self) -> usize {
        self.cut.length
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({} bytes)", self.cut.length)
    }
}

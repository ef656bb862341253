//! The bytes of a sealed file of the index: a header with the sealed key of this one writing of the file, then chunks
//! under that key. Described in `data-format/index.md`.
//!
//! What must hold: every writing draws a new key and a new id, so that no nonce comes twice; name and beginning of the
//! file are bound into the header, id, number and end into each chunk; there is one way to cut a text into chunks.

use std::io::{self, Write};
use std::path::Path;

use tantivy::directory::{AntiCallToken, TerminatingWrite};
use zeroize::Zeroizing;

use crate::store::FileKeys;
use crate::store::seal::{self, CHUNK_OVERHEAD, Secret, StreamKey};

use super::super::INDEX_CHUNK_BYTES as CHUNK;

/// What every file begins with; the last character is the version of the format.
const MAGIC: &[u8; 8] = b"jicengI1";
/// AES-256-GCM for header and chunks.
const SUITE: u8 = 1;
/// Magic, suite, three zeros, generation.
const OPEN: usize = 16;
const ID: usize = 16;
/// Nonce, id, key, tag.
const SEALED: usize = 12 + ID + 32 + CHUNK_OVERHEAD;
/// Bytes before the first chunk.
pub(super) const HEADER: usize = OPEN + SEALED;
/// Bytes of a whole chunk as it lies on the disk.
pub(super) const PIECE: usize = CHUNK + CHUNK_OVERHEAD;

/// Id of one writing of a file.
pub(super) type FileId = [u8; ID];

/// What a header says.
pub(super) struct Head {
    pub(super) id: FileId,
    pub(super) generation: u32,
    pub(super) key: StreamKey,
}

/// The error for a file that is not what was written.
pub(super) fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

fn refused(e: crate::base::Error) -> io::Error {
    io::Error::other(e)
}

fn opening(generation: u32) -> [u8; OPEN] {
    let mut open = [0; OPEN];
    open[..8].copy_from_slice(MAGIC);
    open[8] = SUITE;
    open[12..].copy_from_slice(&generation.to_be_bytes());
    open
}

/// What a header is sealed for: its own beginning, and the name of the file.
fn place(name: &Path, generation: u32) -> Vec<u8> {
    [&opening(generation)[..], name.as_os_str().as_encoded_bytes()].concat()
}

impl Head {
    /// A new head for the file `name`, and its bytes.
    fn draw(keys: &FileKeys, name: &Path) -> io::Result<(Self, Vec<u8>)> {
        let (id, secret) = (seal::random::<ID>().map_err(refused)?, Secret::random().map_err(refused)?);
        let both = Zeroizing::new([&id[..], secret.expose()].concat());
        let (generation, sealed) = keys.seal(&|generation| place(name, generation), &both).map_err(refused)?;
        let bytes = [&opening(generation)[..], &sealed].concat();
        Ok((Self { id, generation, key: secret.stream().map_err(refused)? }, bytes))
    }

    /// Opens the header of the file `name`.
    pub(super) fn open(keys: &FileKeys, name: &Path, bytes: &[u8]) -> io::Result<Self> {
        let (open, sealed) = bytes.split_first_chunk::<OPEN>().ok_or_else(|| damaged("no header"))?;
        let generation = open.last_chunk::<4>().map_or(0, |n| u32::from_be_bytes(*n));
        if *open != opening(generation) || sealed.len() != SEALED {
            return Err(damaged("not a file of this program"));
        }
        let both = keys.open(generation, &place(name, generation), sealed);
        let both = both.ok_or_else(|| damaged("the header does not open"))?;
        let (id, secret) = both.split_first_chunk::<ID>().ok_or_else(|| damaged("header"))?;
        let secret = Secret::from_slice(secret).map_err(refused)?;
        Ok(Self { id: *id, generation, key: secret.stream().map_err(refused)? })
    }
}

/// How a sealed file is cut.
#[derive(Clone, Copy)]
pub(super) struct Cut {
    /// Bytes that were sealed.
    pub(super) length: usize,
    /// Number of the last chunk.
    pub(super) last: u64,
}

impl Cut {
    /// The cut of a file of so many bytes; `None` when no file has so many.
    pub(super) fn of(bytes: u64) -> Option<Self> {
        let body = usize::try_from(bytes).ok()?.checked_sub(HEADER)?;
        let chunks = body.div_ceil(PIECE).max(1);
        let length = body.checked_sub(chunks * CHUNK_OVERHEAD)?;
        let last = chunks - 1;
        // A last chunk holds something, unless it is the only one.
        (last == 0 || length > last * CHUNK).then_some(Self { length, last: last as u64 })
    }

    /// Bytes that were sealed in a chunk.
    pub(super) fn chunk(&self, number: u64) -> usize {
        if number < self.last { CHUNK } else { self.length - at(number) }
    }
}

/// Where a chunk begins among the bytes that were sealed.
pub(super) fn at(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX).saturating_mul(CHUNK)
}

/// Where it lies in the file.
pub(super) fn offset(number: u64) -> u64 {
    HEADER as u64 + number * PIECE as u64
}

/// Seals what is written, in chunks; the last one when it is terminated. A file that was not has no end, and does not
/// open.
pub(super) struct Sealing<W> {
    inner: W,
    head: Head,
    number: u64,
    buffer: Vec<u8>,
}

impl<W: Write> Sealing<W> {
    /// Begins the file `name`; its id.
    pub(super) fn begin(keys: &FileKeys, name: &Path, mut inner: W) -> io::Result<(Self, FileId)> {
        let (head, bytes) = Head::draw(keys, name)?;
        inner.write_all(&bytes)?;
        let id = head.id;
        Ok((Self { inner, head, number: 0, buffer: Vec::with_capacity(PIECE) }, id))
    }

    fn chunk(&mut self, last: bool) -> io::Result<()> {
        self.head.key.seal((self.number, last), &self.head.id, &mut self.buffer).map_err(refused)?;
        self.inner.write_all(&self.buffer)?;
        self.number += 1;
        self.buffer.clear();
        Ok(())
    }
}

impl<W: Write> Write for Sealing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Not before more comes is it known that a full chunk is not the last.
        if self.buffer.len() == CHUNK && !bytes.is_empty() {
            self.chunk(false)?;
        }
        let taken = bytes.len().min(CHUNK - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<W: TerminatingWrite + ?Sized> TerminatingWrite for Sealing<Box<W>> {
    fn terminate_ref(&mut self, token: AntiCallToken) -> io::Result<()> {
        self.chunk(true)?;
        self.inner.as_mut().terminate_ref(token)
    }
}

/// A small file as it is to be written, and its id.
pub(super) fn seal_whole(keys: &FileKeys, name: &Path, content: &[u8]) -> io::Result<(Vec<u8>, FileId)> {
    let mut bytes = Vec::with_capacity(HEADER + content.len() + CHUNK_OVERHEAD);
    let (mut sealing, id) = Sealing::begin(keys, name, &mut bytes)?;
    sealing.write_all(content)?;
    sealing.chunk(true)?;
    Ok((bytes, id))
}

/// What [`seal_whole`] was given.
pub(super) fn open_whole(keys: &FileKeys, name: &Path, bytes: &[u8]) -> io::Result<(Vec<u8>, FileId)> {
    let (header, body) = bytes.split_at_checked(HEADER).ok_or_else(|| damaged("no header"))?;
    let head = Head::open(keys, name, header)?;
    let cut = Cut::of(bytes.len() as u64).ok_or_else(|| damaged("cut"))?;
    let mut plain = vec![0; cut.length];
    for (number, sealed) in (0..).zip(body.chunks(PIECE)) {
        let place = &mut plain[at(number)..at(number) + cut.chunk(number)];
        let opened = head.key.open((number, number == cut.last), &head.id, sealed, place);
        opened.ok_or_else(|| damaged("a chunk does not open"))?;
    }
    Ok((plain, head.id))
}

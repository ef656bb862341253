//! The data stream of a backup (`data-format/backup.md`): head, rows, trailer; compressed, then encrypted.
//!
//! What must hold: rows flow through memory, never through a file in plain; their order is fixed, so one
//! content has one form; nothing is believed before the trailer was seen and the stream ended there. What
//! rows mean is the store's.

use std::cell::RefCell;
use std::cmp::Ordering;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use age::x25519::Identity;
use aws_lc_rs::digest;
use tempfile::TempDir;
use zeroize::Zeroize;

use super::behind::Behind;
use super::crypt::{self, Metered, Readers, Stamp};
use super::{Amount, file_name, flawed, read_failed, write_failed};
use crate::base::{Clock, Error, ErrorKind, Result, limits, not_kept};
use crate::store::seal::Secret;
use crate::store::{self, ArchiveRow, Place, Snapshot, Store, fact};

/// A kind of stream: how it begins and what it may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Form {
    /// The first bytes.
    pub(super) magic: &'static [u8; 8],
    /// The version after them.
    pub(super) version: u32,
    /// Key of the first row.
    pub(super) first: &'static [u8],
    /// Attachments come in it, a piece at a time.
    pub(super) pieces: bool,
    /// Bytes after the trailer.
    pub(super) tail: usize,
}

const STORE_KEY: &[u8] = b"store";
/// The stream of sets whose attachments lie in the pool.
const POOLED: Form = Form { magic: b"jicengBK", version: 2, first: STORE_KEY, pieces: false, tail: 0 };
/// The stream that carries attachments itself; written no more.
const WITH_PIECES: Form = Form { version: 1, pieces: true, ..POOLED };
/// Rows that the loader needs before the others: store id, generation keys.
pub(super) const RING_ROWS: u8 = 0;
/// Attachments, in streams that carry them: the only table whose keys repeat, a piece at a time.
const PIECE_ROWS: u8 = 6;
const TRAILER: u8 = 0xFF;
/// Bytes of a key at most, in this format.
const KEY_BYTES: u32 = 4096;
const WORKERS: u32 = 2;
pub(super) const BUFFER: usize = 1 << 20;
/// Bytes of rows that are hashed and compressed at once.
const HELD: usize = 256 << 10;
const ROWS_A_WORD: u64 = 1_000;
const BYTES_A_WORD: u64 = 4 << 20;

/// Hears now and then how far the work is; an error ends it.
pub(super) type Word<'a> = &'a dyn Fn(Amount) -> Result<()>;

/// Writes all of a snapshot to `file`, encrypted.
pub(super) fn write(
    snapshot: &Snapshot,
    file: File,
    readers: &Readers,
    word: Word<'_>,
) -> Result<Stamp> {
    let metered = Metered::new(Behind::new(file).map_err(write_failed)?);
    let mut packer =
        zstd::Encoder::new(readers.encrypt(metered)?, limits::ZSTD_LEVEL).map_err(Error::internal)?;
    packer.multithread(WORKERS).map_err(Error::internal)?;
    let mut rows = RowWriter::start(packer, POOLED).map_err(write_failed)?;
    let id = snapshot.fact_text(fact::STORE)?;
    rows.put(RING_ROWS, STORE_KEY, id.as_bytes()).map_err(write_failed)?;
    for (number, key) in snapshot.generations() {
        rows.put(RING_ROWS, &number.to_be_bytes(), key.expose()).map_err(write_failed)?;
    }
    let mut pace = Pace::new(word);
    snapshot.dump(&mut |row| {
        pace.step(&row)?;
        rows.put(row.table, &row.key, &row.value).map_err(write_failed)
    })?;
    let metered =
        rows.finish().map(|(packer, _)| packer).and_then(zstd::Encoder::finish).and_then(|age| age.finish());
    let metered = metered.map_err(write_failed)?;
    let stamp = metered.stamp();
    let file = metered.into_inner().finish().map_err(write_failed)?;
    file.sync_all().map_err(write_failed)?;
    // It is read back from the disk then.
    not_kept(&file);
    word(pace.so_far)?;
    Ok(stamp)
}

/// A data file to be read, and who reads it.
pub(super) struct Source<'a> {
    /// Where it lies.
    pub(super) path: &'a Path,
    /// Who opens it.
    pub(super) identity: &'a Identity,
    /// Its attachments lie in the pool.
    pub(super) pooled: bool,
}

/// Makes a store from an encrypted data file, with the stamp of what was read on the way.
pub(super) fn load(
    Source { path, identity, pooled }: &Source<'_>,
    place: Place<'_>,
    clock: Arc<dyn Clock>,
    word: Word<'_>,
) -> Result<(Store, Stamp)> {
    let name = file_name(path);
    let file = File::open(path).map_err(|e| read_failed(&name, e))?;
    let metered = Shared(Rc::new(RefCell::new(Metered::new(file))));
    let plain = crypt::decrypt(BufReader::with_capacity(BUFFER, metered.clone()), identity, &name)?;
    let unpacked = zstd::Decoder::new(plain).map_err(Error::internal)?;
    let form = if *pooled { POOLED } else { WITH_PIECES };
    let mut rows = RowReader::start(BufReader::with_capacity(BUFFER, unpacked), form)
        .map_err(|e| read_failed(&name, e))?;
    let ring = rows.ring().map_err(|e| read_failed(&name, e))?;
    let mut pace = Pace::new(word);
    let mut told = rows.map(|row| {
        let row = row.map_err(|e| read_failed(&name, e))?;
        pace.step(&row)?;
        Ok(row)
    });
    let id = String::from_utf8(ring.first).map_err(|_| read_failed(&name, bad("store id")))?;
    let store = store::load(place, &id, ring.generations, &mut told, clock);
    drop(told);
    let store = store.map_err(|e| as_flaw_of(&name, e))?;
    word(pace.so_far)?;
    let stamp = metered.0.borrow().stamp();
    Ok((store, stamp))
}

/// Counts rows, and says so often enough to be watched and stopped.
struct Pace<'a> {
    word: Word<'a>,
    so_far: Amount,
    told: u64,
}

impl<'a> Pace<'a> {
    fn new(word: Word<'a>) -> Self {
        Self { word, so_far: Amount::default(), told: 0 }
    }

    fn step(&mut self, row: &ArchiveRow) -> Result<()> {
        self.so_far.rows += 1;
        self.so_far.bytes += (row.key.len() + row.value.len()) as u64;
        if !self.so_far.rows.is_multiple_of(ROWS_A_WORD) && self.so_far.bytes < self.told + BYTES_A_WORD {
            return Ok(());
        }
        self.told = self.so_far.bytes;
        (self.word)(self.so_far)
    }
}

/// Damage found while loading is damage of the file, and the advice is another one.
fn as_flaw_of(name: &str, e: Error) -> Error {
    if e.kind() != ErrorKind::Damaged || e.public().contains(name) {
        return e;
    }
    flawed(name, "内容不成一个完整的数据目录").with_detail(format!("{} {}", e.public(), e.detail()))
}

/// A folder for a store that is loaded, checked and thrown away. Its values are sealed; its key file lies in
/// memory where the system has a memory file system, so that a crash leaves no key beside them.
pub(super) struct Scratch {
    home: TempDir,
    keys: Option<TempDir>,
}

impl Scratch {
    /// In the first of `places` that takes a folder.
    pub(super) fn within(places: &[PathBuf]) -> Result<Self> {
        let mut last = Error::internal("no place for a throw-away store");
        for place in places {
            match private_folder(place) {
                Ok(home) => return Ok(Self { home, keys: private_folder(Path::new("/dev/shm")).ok() }),
                Err(e) => last = e.into(),
            }
        }
        Err(last)
    }

    /// The folder; what is put there goes with it.
    pub(super) fn path(&self) -> &Path {
        self.home.path()
    }

    /// Loads a data file; the store is to be dropped before the scratch.
    pub(super) fn load(
        &self,
        source: &Source<'_>,
        word: Word<'_>,
    ) -> Result<(Store, Stamp)> {
        let key_file = self.keys.as_ref().unwrap_or(&self.home).path().join("key");
        let dir = self.home.path().join("store");
        let clock = Arc::new(crate::base::clock::ManualClock::default());
        let loaded = load(source, Place { dir: &dir, key_file: &key_file, fleeting: true }, clock, word);
        // The open store holds its keys in memory. A file that could not be removed goes with its folder.
        let _gone = fs::remove_file(&key_file);
        loaded
    }
}

fn private_folder(place: &Path) -> io::Result<TempDir> {
    use std::os::unix::fs::PermissionsExt;
    let private = fs::Permissions::from_mode(0o700);
    tempfile::Builder::new().prefix(".jiceng-check-").permissions(private).tempdir_in(place)
}

/// A reader that can be asked for its stamp while others read through it.
struct Shared(Rc<RefCell<Metered<File>>>);

impl Clone for Shared {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl Read for Shared {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.borrow_mut().read(buf)
    }
}

/// Writes rows, then the trailer.
pub(super) struct RowWriter<W: Write> {
    out: W,
    /// What is not hashed and handed on yet: rows are short, and each step further has its price.
    held: Vec<u8>,
    digest: digest::Context,
    count: u64,
}

impl<W: Write> RowWriter<W> {
    pub(super) fn start(out: W, form: Form) -> io::Result<Self> {
        let mut writer = Self { out, held: Vec::new(), digest: digest::Context::new(&digest::SHA256), count: 0 };
        writer.held.extend_from_slice(form.magic);
        writer.held.extend_from_slice(&form.version.to_be_bytes());
        Ok(writer)
    }

    pub(super) fn put(&mut self, table: u8, key: &[u8], value: &[u8]) -> io::Result<()> {
        let key_len = u32::try_from(key.len()).ok().filter(|n| *n <= KEY_BYTES);
        let key_len = key_len.ok_or_else(|| bad("key too long"))?;
        if value.len() as u64 > limits::ARCHIVE_VALUE_BYTES {
            return Err(bad("value too long"));
        }
        self.held.push(table);
        self.held.extend_from_slice(&key_len.to_be_bytes());
        self.held.extend_from_slice(key);
        self.held.extend_from_slice(&(value.len() as u64).to_be_bytes());
        self.held.extend_from_slice(value);
        self.count += 1;
        if self.held.len() >= HELD { self.hand_on() } else { Ok(()) }
    }

    /// The trailer, with the digest in it.
    pub(super) fn finish(mut self) -> io::Result<(W, [u8; 32])> {
        self.hand_on()?;
        let seen = fixed_digest(&self.digest);
        let value = [&self.count.to_be_bytes()[..], &seen].concat();
        self.put(TRAILER, &[], &value)?;
        self.hand_on()?;
        Ok((self.out, seen))
    }

    fn hand_on(&mut self) -> io::Result<()> {
        self.digest.update(&self.held);
        self.out.write_all(&self.held)?;
        self.held.clear();
        Ok(())
    }
}

/// What the loader needs first.
pub(super) struct RingRows {
    /// Value of the first row.
    pub(super) first: Vec<u8>,
    pub(super) generations: Vec<(u32, Secret)>,
}

/// Rows in their order; ends only after a right trailer at the end of the stream.
pub(super) struct RowReader<R: Read> {
    input: R,
    form: Form,
    digest: digest::Context,
    count: u64,
    held: Option<ArchiveRow>,
    last: (u8, Vec<u8>),
    end: Option<End>,
    done: bool,
}

/// How a stream ended.
#[derive(Clone)]
pub(super) struct End {
    /// The digest in the trailer, which is that of the rows.
    pub(super) digest: [u8; 32],
    /// The bytes after it.
    pub(super) tail: Vec<u8>,
}

impl<R: Read> RowReader<R> {
    pub(super) fn start(input: R, form: Form) -> io::Result<Self> {
        let digest = digest::Context::new(&digest::SHA256);
        let last = (RING_ROWS, Vec::new());
        let mut reader = Self { input, form, digest, count: 0, held: None, last, end: None, done: false };
        let head: [u8; 12] = reader.fixed()?;
        if head[..8] != *form.magic {
            return Err(bad("not a stream of this kind"));
        }
        if head[8..] != form.version.to_be_bytes() {
            return Err(bad("another version of the stream"));
        }
        Ok(reader)
    }

    /// The rows of table 0; the first row after them is held for the iterator.
    pub(super) fn ring(&mut self) -> io::Result<RingRows> {
        let mut ring = RingRows { first: Vec::new(), generations: Vec::new() };
        loop {
            let Some(mut row) = self.row()? else {
                self.done = true;
                break;
            };
            if row.table != RING_ROWS {
                self.held = Some(row);
                break;
            }
            if row.key == self.form.first && ring.first.is_empty() {
                ring.first = row.value;
                continue;
            }
            let number =
                row.key.as_slice().try_into().map(u32::from_be_bytes).map_err(|_| bad("ring row"))?;
            let key = Secret::from_slice(&row.value).map_err(|_| bad("generation key"))?;
            row.value.zeroize();
            ring.generations.push((number, key));
        }
        if ring.first.is_empty() || ring.generations.is_empty() {
            return Err(bad("no ring"));
        }
        Ok(ring)
    }

    /// How it ended; `None` before that.
    pub(super) fn end(&self) -> Option<&End> {
        self.end.as_ref()
    }

    /// The next row; `None` after the trailer.
    fn row(&mut self) -> io::Result<Option<ArchiveRow>> {
        let before = self.digest.clone();
        let [table] = self.fixed()?;
        let key_len = u32::from_be_bytes(self.fixed()?);
        if key_len > KEY_BYTES {
            return Err(bad("key too long"));
        }
        let key = self.bytes(u64::from(key_len))?;
        let value_len = u64::from_be_bytes(self.fixed()?);
        if value_len > limits::ARCHIVE_VALUE_BYTES {
            return Err(bad("value too long"));
        }
        let value = self.bytes(value_len)?;
        if table == TRAILER {
            let digest = fixed_digest(&before);
            let right = key.is_empty() && value == [&self.count.to_be_bytes()[..], &digest].concat();
            return if right { self.finish(digest) } else { Err(bad("trailer")) };
        }
        self.in_order(table, &key)?;
        self.count += 1;
        Ok(Some(ArchiveRow { table, key, value }))
    }

    fn finish(&mut self, digest: [u8; 32]) -> io::Result<Option<ArchiveRow>> {
        let mut tail = vec![0; self.form.tail];
        self.input.read_exact(&mut tail)?;
        if self.input.read(&mut [0])? != 0 {
            return Err(bad("bytes after the end"));
        }
        self.end = Some(End { digest, tail });
        Ok(None)
    }

    /// Tables rise; keys rise within a table, and repeat only for pieces. Table 0 starts with the first key.
    fn in_order(&mut self, table: u8, key: &[u8]) -> io::Result<()> {
        let first = self.count == 0;
        let order = (table, key).cmp(&(self.last.0, self.last.1.as_slice()));
        let right = match order {
            _ if first => table == RING_ROWS && key == self.form.first,
            _ if self.count == 1 => true,
            Ordering::Greater => true,
            Ordering::Equal => table == PIECE_ROWS,
            Ordering::Less => false,
        };
        self.last = (table, key.to_vec());
        let known = table != PIECE_ROWS || self.form.pieces;
        if right && known { Ok(()) } else { Err(bad("rows out of order")) }
    }

    fn fixed<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.input.read_exact(&mut bytes)?;
        self.digest.update(&bytes);
        Ok(bytes)
    }

    /// Memory grows with what comes, not with what a length claims.
    fn bytes(&mut self, length: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(BUFFER).min(BUFFER));
        self.input.by_ref().take(length).read_to_end(&mut bytes)?;
        if bytes.len() as u64 != length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.digest.update(&bytes);
        Ok(bytes)
    }
}

impl<R: Read> Iterator for RowReader<R> {
    type Item = io::Result<ArchiveRow>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(row) = self.held.take() {
            return Some(Ok(row));
        }
        if self.done {
            return None;
        }
        let row = self.row().transpose();
        self.done = !matches!(row, Some(Ok(_)));
        row
    }
}

fn fixed_digest(context: &digest::Context) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(context.clone().finish().as_ref());
    bytes
}

pub(super) fn bad(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: &[(u8, &[u8], &[u8])] = &[
        (0, STORE_KEY, b"ab"),
        (0, &[0, 0, 0, 1], &[7; 32]),
        (1, b"head", b"x"),
        (3, &[0, 1], b""),
        (6, b"ab-1", b"one"),
        (6, b"ab-1", b"two"),
    ];

    fn stream(rows: &[(u8, &[u8], &[u8])]) -> Vec<u8> {
        stream_of(WITH_PIECES, rows)
    }

    fn stream_of(form: Form, rows: &[(u8, &[u8], &[u8])]) -> Vec<u8> {
        let mut writer = RowWriter::start(Vec::new(), form).unwrap();
        rows.iter().for_each(|(t, k, v)| writer.put(*t, k, v).unwrap());
        writer.finish().unwrap().0
    }

    fn read(bytes: &[u8]) -> io::Result<usize> {
        read_as(WITH_PIECES, bytes)
    }

    fn read_as(form: Form, bytes: &[u8]) -> io::Result<usize> {
        let mut reader = RowReader::start(bytes, form)?;
        let ring = reader.ring()?;
        Ok(1 + ring.generations.len() + reader.collect::<io::Result<Vec<_>>>()?.len())
    }

    #[test]
    fn a_stream_is_read_whole_or_not_at_all() {
        let whole = stream(ROWS);
        assert_eq!(read(&whole).unwrap(), ROWS.len());
        assert!((0..whole.len()).all(|cut| read(&whole[..cut]).is_err()));
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            assert!(read(&flipped).is_err(), "byte {at}");
        }
        assert!(read(&[&whole[..], b"x"].concat()).is_err());
    }

    #[test]
    fn only_streams_of_the_first_form_carry_attachments() {
        assert_eq!(read_as(POOLED, &stream_of(POOLED, &ROWS[..4])).unwrap(), 4);
        assert!(read_as(POOLED, &stream_of(POOLED, ROWS)).is_err());
        assert!(read_as(POOLED, &stream(&ROWS[..4])).is_err());
        assert!(read_as(WITH_PIECES, &stream_of(POOLED, &ROWS[..4])).is_err());
    }

    #[test]
    fn rows_have_one_order() {
        for swap in 0..ROWS.len() - 2 {
            let mut rows = ROWS.to_vec();
            rows.swap(swap, swap + 1);
            assert!(read(&stream(&rows)).is_err(), "{swap}");
        }
        let mut twice = ROWS.to_vec();
        twice.insert(2, ROWS[2]);
        assert!(read(&stream(&twice)).is_err());
        assert!(read(&stream(&ROWS[..1])).is_err());
    }
}

//! Segments of the off-site log (`data-format/offsite.md`): the entries of the journal since the segment before, with
//! what they changed, sealed for the backup recipients, signed by the county.
//!
//! What must hold: nothing of a segment is used before its signature was seen to be right, by a signer that is
//! believed; what its plain line says is what its sealed head says; each pass over its rows ends with the same check.
//! Which segments there are to be is `app::offsite`'s matter, where they go `ship`'s, what rows mean the store's.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use age::x25519::Identity;
use serde::{Deserialize, Serialize};

use super::archive::{BUFFER, Form, RING_ROWS, RowReader, RowWriter};
use super::crypt::{self, KeyFile, Metered, Readers, Signer};
use super::restore::believe;
use super::{file_name, flawed, read_failed, spool, target, write_failed};
use crate::base::{Error, Moment, Result, Seq, limits};
use crate::store::seal::Secret;
use crate::store::{ArchiveRow, Change, Erased, GONE_ROWS, Head, Seen, Snapshot, fact};

use plain::WORD;
pub use plain::{Kind, Needed, Plain, hex_digest, name_of, number_of, store_mark};

mod plain;

const FORM: Form = Form { magic: b"jicengSG", version: 1, first: b"segment", pieces: false, tail: 96 };
const META_ROWS: u8 = 1;
const JOURNAL_ROWS: u8 = 5;

/// The sealed head.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Id of the store, hex.
    pub store: String,
    /// As in the plain line.
    pub kind: Kind,
    /// As there.
    pub epoch: u64,
    /// As there.
    pub number: u64,
    /// As there.
    pub from: u64,
    /// As there.
    pub to: u64,
    /// As there, hex.
    pub head: String,
    /// As there, hex.
    pub previous: String,
    /// Every fact there is comes in it.
    pub whole_meta: bool,
    /// When it was written, milliseconds since 1970 UTC.
    pub created: i64,
    /// Records that were purged in it.
    pub purged: Vec<Erased>,
    /// Version of the program.
    pub program: String,
}

/// A segment whose signature, head and rows were found right, by a believed signer.
pub struct Segment {
    /// Its plain line.
    pub plain: Plain,
    /// Its sealed head.
    pub header: Header,
    /// The generation keys of its store.
    pub generations: Vec<(u32, Secret)>,
    /// Who signed it.
    pub signer: Signer,
    /// SHA-256 of the whole file.
    pub digest: [u8; 32],
    path: PathBuf,
    /// Of the rows.
    rows: [u8; 32],
}

/// SHA-256 of a whole file, and its length.
pub fn digest_of(path: &Path) -> Result<([u8; 32], u64)> {
    target::stamp(path).map(|stamp| (stamp.sha256, stamp.bytes))
}

/// What is to be written.
pub struct Wanted<'a> {
    /// What it is.
    pub kind: Kind,
    /// Its slot.
    pub number: u64,
    /// The entry before the first one in it.
    pub from: Seq,
    /// The last entry in it: of a change that of the snapshot.
    pub to: Head,
    /// SHA-256 of the file in the slot before; zeros in slot 1.
    pub previous: [u8; 32],
    /// The facts as the segment before left them; all of them come in it where that is not known.
    pub seen: Option<&'a Seen>,
    /// Attachments that its records and drafts name.
    pub files: Vec<Needed>,
}

/// A segment that was written.
#[derive(Clone, Debug)]
pub struct Written {
    /// Its plain line.
    pub plain: Plain,
    /// SHA-256 of the whole file.
    pub digest: [u8; 32],
    /// Its length.
    pub bytes: u64,
}

/// Writes a segment of a snapshot to a new file at `path`, syncs it and reads it back; on failure nothing stays there.
pub fn write(
    snapshot: &Snapshot,
    recipients: &[String],
    wanted: Wanted<'_>,
    path: &Path,
    now: Moment,
) -> Result<Written> {
    let epoch = snapshot.fact_text(fact::EPOCH)?.parse().map_err(|_| Error::damaged("纪元"))?;
    write_as(epoch, snapshot, recipients, wanted, (path, now))
}

/// The fence of an epoch that is about to begin, by a store that has everything up to `previous`, the slot before it.
pub fn write_fence(
    snapshot: &Snapshot,
    recipients: &[String],
    (epoch, number, previous): (u64, u64, [u8; 32]),
    path: &Path,
    now: Moment,
) -> Result<Written> {
    let head = snapshot.head()?;
    let (kind, from) = (Kind::Fence, head.seq);
    let wanted = Wanted { kind, number, from, to: head, previous, seen: None, files: Vec::new() };
    write_as(epoch, snapshot, recipients, wanted, (path, now))
}

fn write_as(
    epoch: u64,
    snapshot: &Snapshot,
    recipients: &[String],
    wanted: Wanted<'_>,
    (path, now): (&Path, Moment),
) -> Result<Written> {
    let written = write_file(epoch, snapshot, (&Readers::parse(recipients)?, wanted), path, now);
    if written.is_err() {
        // The error is the one to tell.
        let _gone = std::fs::remove_file(path);
    }
    written
}

fn write_file(
    epoch: u64,
    snapshot: &Snapshot,
    (readers, wanted): (&Readers, Wanted<'_>),
    path: &Path,
    now: Moment,
) -> Result<Written> {
    use std::os::unix::fs::OpenOptionsExt;
    let store = snapshot.fact_text(fact::STORE)?;
    let Wanted { kind, number, from, to, previous, seen, files } = wanted;
    let plain = Plain { kind, epoch, number, from, to, previous, mark: store_mark(&store), files };
    if !plain.is_sound() || kind == Kind::Change && snapshot.head()? != to {
        return Err(Error::internal(format!("a segment that cannot be: {plain}")));
    }
    let purged = if kind == Kind::Fence { Vec::new() } else { snapshot.purged_since(from)? };
    let header = header_of(&plain, store, (seen.is_none(), purged), now);
    let file = File::options().write(true).create_new(true).mode(0o600).open(path).map_err(write_failed)?;
    spool::share(&file).map_err(write_failed)?;
    let begin = plain.to_string();
    let mut out = Metered::new(BufWriter::with_capacity(BUFFER, file));
    out.write_all(begin.as_bytes()).map_err(write_failed)?;
    let packer = zstd::Encoder::new(readers.encrypt(out)?, limits::ZSTD_LEVEL).map_err(Error::internal)?;
    let packer = write_stream(snapshot, &header, seen, (packer, &begin))?;
    let out = packer.finish().and_then(|age| age.finish()).map_err(write_failed)?;
    let stamp = out.stamp();
    let file = out.into_inner().into_inner().map_err(|e| write_failed(e.into_error()))?;
    file.sync_all().map_err(write_failed)?;
    let back = check(path, readers.own())?;
    if back.digest != stamp.sha256 || back.header != header {
        return Err(flawed(&file_name(path), "写入后读回的内容不同，磁盘可能有故障"));
    }
    Ok(Written { plain, digest: stamp.sha256, bytes: stamp.bytes })
}

fn header_of(plain: &Plain, store: String, (whole_meta, purged): (bool, Vec<Erased>), now: Moment) -> Header {
    Header {
        store,
        kind: plain.kind,
        epoch: plain.epoch,
        number: plain.number,
        from: plain.from.0,
        to: plain.to.seq.0,
        head: hex::encode(plain.to.hash),
        previous: hex::encode(plain.previous),
        whole_meta,
        created: now.0,
        purged,
        program: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

/// Rows, trailer, signature.
fn write_stream<W: Write>(
    snapshot: &Snapshot,
    header: &Header,
    seen: Option<&Seen>,
    (out, begin): (W, &str),
) -> Result<W> {
    let mut rows = RowWriter::start(out, FORM).map_err(write_failed)?;
    let head = serde_json::to_vec(header).map_err(Error::internal)?;
    rows.put(RING_ROWS, FORM.first, &head).map_err(write_failed)?;
    for (number, key) in snapshot.generations() {
        rows.put(RING_ROWS, &number.to_be_bytes(), key.expose()).map_err(write_failed)?;
    }
    if header.kind == Kind::Change {
        let mut sink = |row: ArchiveRow| rows.put(row.table, &row.key, &row.value).map_err(write_failed);
        snapshot.dump_since(Seq(header.from), seen, &mut sink)?;
    }
    let (mut out, digest) = rows.finish().map_err(write_failed)?;
    let (signature, signer) = crypt::sign(snapshot, &message(&digest, begin))?;
    out.write_all(&signature).and_then(|()| out.write_all(&signer.bytes())).map_err(write_failed)?;
    Ok(out)
}

fn message(rows: &[u8; 32], begin: &str) -> Vec<u8> {
    [WORD.as_bytes(), rows, begin.as_bytes()].concat()
}

impl Segment {
    /// Reads a whole segment and checks it; its signer must be the one of the key file, or `named` besides.
    pub fn open(path: &Path, key: &KeyFile, named: Option<&str>) -> Result<Self> {
        let segment = check(path, key.identity())?;
        believe(&segment.signer, key, named)?;
        let number = path.file_name().and_then(|n| number_of(n.to_str()?));
        if number != Some(segment.plain.number) {
            return Err(flawed(&file_name(path), "文件名与内容的编号不符，可能被改名或调换"));
        }
        Ok(segment)
    }

    /// What a store takes over of it.
    pub fn change(&self, key: &KeyFile) -> Result<Change> {
        Ok(Change {
            store: self.header.store.clone(),
            from: self.plain.from,
            head: self.plain.to,
            generations: self.generations.clone(),
            whole_meta: self.header.whole_meta,
            rows: self.rows(key)?.collect::<Result<_>>()?,
        })
    }

    /// When a segment says it was written. Nothing else of it is looked at: to be believed when it was opened.
    pub fn written_at(path: &Path, key: &KeyFile) -> Result<Moment> {
        Pass::open(path, key.identity()).map(|pass| Moment(pass.header.created))
    }

    /// Its rows of tables 1 to 8 in their order, read once more; an error where they are not those that were checked.
    pub fn rows(&self, key: &KeyFile) -> Result<impl Iterator<Item = Result<ArchiveRow>> + use<>> {
        let pass = Pass::open(&self.path, key.identity())?;
        if pass.plain != self.plain || pass.header != self.header {
            return Err(flawed(&pass.name, "读取期间被改动"));
        }
        Ok(Checked { pass, expected: self.rows, done: false })
    }
}

/// Reads a whole segment, by whomever it is signed.
fn check(path: &Path, identity: &Identity) -> Result<Segment> {
    let (digest, _) = digest_of(path)?;
    let mut pass = Pass::open(path, identity)?;
    while pass.next()?.is_some() {}
    let (rows, signer) = pass.signed()?;
    let Pass { plain, header, generations, .. } = pass;
    Ok(Segment { plain, header, generations, signer, digest, path: path.to_owned(), rows })
}

/// Reads a segment without its ciphers: the plain beginning, then what lies inside age and zstd. By whomever it is
/// signed.
pub fn read_open(bytes: &[u8]) -> Result<(Plain, Header, Signer, Vec<ArchiveRow>)> {
    let mut input = io::Cursor::new(bytes.to_vec());
    let plain = Plain::take(&mut input, "")?;
    let mut pass = Pass::start(plain, Box::new(input), String::new())?;
    let mut rows = Vec::new();
    while let Some(row) = pass.next()? {
        rows.push(row);
    }
    let (_, signer) = pass.signed()?;
    Ok((pass.plain, pass.header, signer, rows))
}

/// One reading of a segment from its beginning to its end.
struct Pass {
    plain: Plain,
    header: Header,
    generations: Vec<(u32, Secret)>,
    rows: RowReader<Box<dyn Read>>,
    /// The entry that comes next.
    entry: u64,
    name: String,
}

impl Pass {
    fn open(path: &Path, identity: &Identity) -> Result<Self> {
        let name = file_name(path);
        let file = File::open(path).map_err(|e| read_failed(&name, e))?;
        let mut file = BufReader::with_capacity(BUFFER, file);
        let begin = Plain::take(&mut file, &name)?;
        let plain = crypt::decrypt(file, identity, &name)?;
        let unpacked = zstd::Decoder::new(plain).map_err(Error::internal)?;
        Self::start(begin, Box::new(BufReader::with_capacity(BUFFER, unpacked)), name)
    }

    fn start(plain: Plain, input: Box<dyn Read>, name: String) -> Result<Self> {
        let mut rows = RowReader::start(input, FORM).map_err(|e| read_failed(&name, e))?;
        let ring = rows.ring().map_err(|e| read_failed(&name, e))?;
        let header: Header =
            serde_json::from_slice(&ring.first).map_err(|_| flawed(&name, "头部不可识别"))?;
        let said = header_of(
            &plain,
            header.store.clone(),
            (header.whole_meta, header.purged.clone()),
            Moment(header.created),
        );
        let rising = header.purged.windows(2).all(|w| w[0].record < w[1].record);
        let same = said == Header { program: said.program.clone(), ..header.clone() };
        if !same || !rising || plain.mark != store_mark(&header.store) {
            return Err(flawed(&name, "头部与首行不符"));
        }
        let entry = plain.from.0 + 1;
        Ok(Self { plain, header, generations: ring.generations, rows, entry, name })
    }

    /// The next row; `None` at the end, when everything that had to come did.
    fn next(&mut self) -> Result<Option<ArchiveRow>> {
        let Some(row) = self.rows.next() else {
            let all = self.plain.kind == Kind::Fence || self.entry == self.plain.to.seq.0 + 1;
            return if all { Ok(None) } else { Err(flawed(&self.name, "日志条目不全")) };
        };
        let row = row.map_err(|e| read_failed(&self.name, e))?;
        let known = match row.table {
            META_ROWS..JOURNAL_ROWS => true,
            JOURNAL_ROWS => {
                self.entry += 1;
                row.key == (self.entry - 1).to_be_bytes() && self.entry - 1 <= self.plain.to.seq.0
            }
            GONE_ROWS => !self.header.whole_meta && row.value.is_empty(),
            _ => false,
        };
        if known && self.plain.kind == Kind::Change {
            Ok(Some(row))
        } else {
            Err(flawed(&self.name, "其中有不该有的内容"))
        }
    }

    /// At the end: digest of the rows, and who signed them with the plain line.
    fn signed(&self) -> Result<([u8; 32], Signer)> {
        let wrong = || flawed(&self.name, "签名不对，内容可能被改动");
        let end = self.rows.end().ok_or_else(wrong)?;
        let (signature, signer) = end.tail.split_at_checked(64).ok_or_else(wrong)?;
        let signer = Signer::of_bytes(signer).ok_or_else(wrong)?;
        let right = signer.signed(&message(&end.digest, &self.plain.to_string()), signature);
        if right { Ok((end.digest, signer)) } else { Err(wrong()) }
    }
}

/// A pass that ends as the first one did.
struct Checked {
    pass: Pass,
    expected: [u8; 32],
    done: bool,
}

impl Iterator for Checked {
    type Item = Result<ArchiveRow>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let row = match self.pass.next() {
            Ok(Some(row)) => return Some(Ok(row)),
            Ok(None) => self.pass.signed().and_then(|(rows, _)| {
                let same = rows == self.expected;
                if same { Ok(()) } else { Err(flawed(&self.pass.name, "读取期间被改动")) }
            }),
            Err(e) => Err(e),
        };
        self.done = true;
        row.err().map(Err)
    }
}

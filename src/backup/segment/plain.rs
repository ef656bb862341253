//! The plain beginning of a segment: what anybody can read of it. A line that says where it belongs, and a line for
//! each attachment of a pool that it needs.

use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::backup::{file_name, flawed, pool, read_failed};
use crate::base::{Result, Seq, limits};
use crate::store::Head;
use crate::store::seal::sha256;

pub(super) const WORD: &str = "jiceng-segment-1";
/// Bytes of a line at most.
const LINE_BYTES: u64 = 512;
/// Digits of a number in a name at least.
const NAME_DIGITS: usize = 12;
const END: &str = ".seg";
const FILE: &str = "file";
/// Hex digits of the mark of a store.
const MARK_DIGITS: usize = 16;

/// What a segment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Entries, and what they changed.
    Change,
    /// The beginning of an epoch.
    Fence,
}

/// What anybody can read of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plain {
    /// What it is.
    pub kind: Kind,
    /// Epoch of the store that wrote it.
    pub epoch: u64,
    /// Its slot.
    pub number: u64,
    /// The entry before the first one in it.
    pub from: Seq,
    /// The last entry in it, and its hash.
    pub to: Head,
    /// SHA-256 of the file in the slot before; zeros in slot 1.
    pub previous: [u8; 32],
    /// The public mark of the store.
    pub mark: String,
    /// Attachments that its records and drafts name, rising by name.
    pub files: Vec<Needed>,
}

/// An attachment that lies in a pool.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Needed {
    /// Its name in pools.
    pub name: String,
    /// SHA-256 of the sealed file, hex.
    pub sha256: String,
    /// Length of it.
    pub bytes: u64,
}

/// The public mark of a store: tells stores apart, and is not the id.
pub fn store_mark(store: &str) -> String {
    hex::encode(&sha256(&[b"jiceng-store-mark-1", store.as_bytes()])[..MARK_DIGITS / 2])
}

/// The name of the file in a slot.
pub fn name_of(number: u64) -> String {
    format!("{number:0NAME_DIGITS$}{END}")
}

/// The slot a file is named after.
pub fn number_of(name: &str) -> Option<u64> {
    let number = name.strip_suffix(END)?.parse().ok()?;
    (name_of(number) == name && number > 0).then_some(number)
}

/// Reads the 64 lower-case hex digits of a digest.
pub fn hex_digest(text: &str) -> Option<[u8; 32]> {
    let bytes: [u8; 32] = hex::decode(text).ok()?.try_into().ok()?;
    (hex::encode(bytes) == text).then_some(bytes)
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Change => "change",
            Self::Fence => "fence",
        })
    }
}

/// All its lines, each with its end.
impl fmt::Display for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, epoch, number, from, to, previous, mark, files } = self;
        let (head, previous, count) = (hex::encode(to.hash), hex::encode(previous), files.len());
        let to = to.seq;
        write!(f, "{WORD} kind={kind} epoch={epoch} number={number} from={from} to={to} ")?;
        writeln!(f, "head={head} previous={previous} store={mark} files={count}")?;
        files.iter().try_for_each(|n| writeln!(f, "{FILE} {} {} {}", n.name, n.sha256, n.bytes))
    }
}

impl Needed {
    /// Its name in a target.
    pub fn place(&self) -> String {
        pool::member_name(&self.name, &self.sha256)
    }

    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        words.next().filter(|w| *w == FILE)?;
        let (name, sha256, bytes) = (words.next()?, words.next()?, words.next()?.parse().ok()?);
        let right = pool::is_name(name) && hex_digest(sha256).is_some();
        right.then(|| Self { name: name.to_owned(), sha256: sha256.to_owned(), bytes })
    }
}

impl Plain {
    /// What it says can be.
    pub(super) fn is_sound(&self) -> bool {
        let spans = match self.kind {
            Kind::Fence => self.from == self.to.seq && self.files.is_empty(),
            Kind::Change => self.from <= self.to.seq && self.to.seq.0 > 0 && self.number > 1,
        };
        let begins = (self.number == 1) == (self.previous == [0; 32]);
        let rising = self.files.windows(2).all(|w| w[0].name < w[1].name);
        spans && begins && rising && self.epoch > 0 && self.number > 0
    }

    /// Reads the plain beginning of a file; no key is needed.
    pub fn read(path: &Path) -> Result<Self> {
        let name = file_name(path);
        let file = File::open(path).map_err(|e| read_failed(&name, e))?;
        Self::take(&mut BufReader::new(file), &name)
    }

    /// The same from the first bytes of a file called `name`.
    pub fn of_bytes(mut bytes: &[u8], name: &str) -> Result<Self> {
        Self::take(&mut bytes, name)
    }

    /// Epoch and `from` of a file called `name`, of which these bytes have the first line.
    pub fn place_in(bytes: &[u8], name: &str) -> Result<(u64, Seq)> {
        let line = bytes.split(|b| *b == b'\n').next().and_then(|line| std::str::from_utf8(line).ok());
        let (plain, _) = line.and_then(Self::parse).ok_or_else(|| flawed(name, "首行不可识别"))?;
        Ok((plain.epoch, plain.from))
    }

    /// Takes it off the beginning of a file called `name`.
    pub(super) fn take(input: &mut impl BufRead, name: &str) -> Result<Self> {
        let wrong = |why| flawed(name, why);
        let mut read = String::new();
        let mut line = || {
            let from = read.len();
            let done = input.by_ref().take(LINE_BYTES).read_line(&mut read).map_err(|e| read_failed(name, e));
            done.map(|_| read[from..].strip_suffix('\n').map(str::to_owned))
        };
        let first = line()?.ok_or_else(|| wrong("首行不可识别"))?;
        let (mut plain, count) = Self::parse(&first).ok_or_else(|| wrong("首行不可识别"))?;
        for _ in 0..count {
            let needed = line()?.and_then(|l| Needed::parse(&l));
            plain.files.push(needed.ok_or_else(|| wrong("附件行不可识别"))?);
        }
        // One content has one form: blanks, zeros in front and the case of digits are part of it.
        if plain.is_sound() && plain.to_string() == read {
            Ok(plain)
        } else {
            Err(wrong("首行自相矛盾"))
        }
    }

    /// The first line, and how many others follow.
    fn parse(line: &str) -> Option<(Self, usize)> {
        let mut words = line.split(' ');
        words.next().filter(|w| *w == WORD)?;
        let mut next = |name: &str| words.next()?.strip_prefix(name)?.strip_prefix('=');
        let kind = match next("kind")? {
            "change" => Kind::Change,
            "fence" => Kind::Fence,
            _ => return None,
        };
        let (epoch, number) = (next("epoch")?.parse().ok()?, next("number")?.parse().ok()?);
        let (from, to) = (Seq(next("from")?.parse().ok()?), Seq(next("to")?.parse().ok()?));
        let (hash, previous) = (hex_digest(next("head")?)?, hex_digest(next("previous")?)?);
        let mark = next("store").filter(|m| m.len() == MARK_DIGITS && hex::decode(m).is_ok())?.to_owned();
        let count = next("files")?.parse().ok().filter(|n| *n <= limits::SEGMENT_FILES)?;
        let lower = !mark.bytes().any(|b| b.is_ascii_uppercase());
        let to = Head { seq: to, hash };
        lower.then_some((Self { kind, epoch, number, from, to, previous, mark, files: Vec::new() }, count))
    }
}

//! A record and its values, and how they become bytes (CBOR, `data-format/records.md`).
//!
//! A record has two parts that are sealed apart: the main part, and the identity of the petitioner. Tags below 12 of
//! the main part are the record's own head, 12 to 15 are marks of purges, imports and forms, the others belong to its
//! kind.
//! Readers keep values they know the shape of, whatever the tag, so a field that was dropped from a kind is not dropped
//! from old records.

use std::collections::BTreeMap;

use minicbor::{Decoder, Encoder};

use super::{Field, Kind, Part, Widget};
use crate::base::{Day, Error, Moment, RecordId, Result};

const HEAD_STATE: u16 = 1;
const HEAD_UNIT: u16 = 2;
const HEAD_CREATED: u16 = 3;
const HEAD_CREATOR: u16 = 4;
const HEAD_UPDATED: u16 = 5;
const HEAD_KIND: u16 = 6;
const HEAD_VERSION: u16 = 7;

/// How many tags the head has.
const HEAD_TAGS: usize = 7;

/// The record was purged (清除): what stands here is all that is left of it.
pub const PURGED: u16 = 12;

/// The batch (导入批次) a record came in with; a field every kind has and nobody sees. The record can be seen when
/// its batch can.
pub const BATCH: u16 = 13;

/// The one-time id of the form that last changed the record; a field every kind has and nobody sees.
pub const CHANGED_BY: u16 = 14;

/// The one-time id of the form that made the record; found by exact value, so that it makes no second one.
pub const MADE_BY: u16 = 15;

/// Who a record was handed to (承办人): a field every kind may have. It goes when somebody prepares the next step.
pub const HANDLER: u16 = 1001;

/// Bytes that are set aside for an encoded record: most fit, and one that does not grows.
const ENCODED: usize = 1024;

/// First tag that is not the head's.
pub const FIRST_FIELD: u16 = 12;

/// Who does something, on behalf of which unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Author {
    /// The account; 0 for the machine itself.
    pub account: RecordId,
    /// The unit the account belongs to.
    pub unit: RecordId,
}

/// Where an attachment lies and how to open it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileRef {
    /// The name the user gave, without folders.
    pub name: String,
    /// Bytes of content.
    pub size: u64,
    /// Name of the sealed file, in hex.
    pub blob: String,
    /// Key of the sealed file.
    pub key: Vec<u8>,
}

/// One value of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Words, or the code of a vocabulary entry.
    Text(String),
    /// A date, possibly only a month or a year.
    Day(Day),
    /// A whole number.
    Int(i64),
    /// Yes or no.
    Flag(bool),
    /// Several codes of a vocabulary.
    Codes(Vec<String>),
    /// Another record.
    Link(RecordId),
    /// Rows with fields of their own.
    Rows(Vec<Fields>),
    /// Attachments.
    Files(Vec<FileRef>),
}

/// Values by tag.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(BTreeMap<u16, Value>);

/// A record as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its number.
    pub id: RecordId,
    /// Tag of its kind.
    pub kind: u8,
    /// Counts changes from 1.
    pub version: u32,
    /// State in the flow of its kind.
    pub state: u8,
    /// The unit it belongs to.
    pub unit: RecordId,
    /// When it was entered.
    pub created: Moment,
    /// The account that entered it.
    pub creator: RecordId,
    /// When it last changed.
    pub updated: Moment,
    /// All values, identity included when the reader was given that part.
    pub fields: Fields,
}

impl Record {
    /// The batch it came in with; `None` when it was entered by hand.
    pub fn batch(&self) -> Option<RecordId> {
        self.fields.link(BATCH)
    }

    /// Its content was purged; the facts that are left belong to nobody.
    pub fn is_purged(&self) -> bool {
        self.fields.flag(PURGED)
    }

    /// CBOR of head and main fields.
    pub fn encode_main(&self) -> Vec<u8> {
        let identity = super::by_tag(self.kind).map(identity_tags).unwrap_or_default();
        encode(self.all(&self.head()).filter(|(tag, _)| !identity.contains(tag)))
    }

    /// CBOR of the identity part; empty when there is none.
    pub fn encode_identity(&self, kind: &Kind) -> Vec<u8> {
        let tags = identity_tags(kind);
        let mut part = self.fields.refs().filter(|(tag, _)| tags.contains(tag)).peekable();
        if part.peek().is_none() { Vec::new() } else { encode(part) }
    }

    /// Reads a record from its parts; an empty identity part is one that is absent or was not opened.
    pub fn decode(id: RecordId, main: &[u8], identity: &[u8]) -> Result<Self> {
        let mut head = Fields::decode(main)?;
        let fields = Fields(head.0.split_off(&FIRST_FIELD));
        let damaged = || Error::damaged(format!("记录 {id} 的头部"));
        let number = |tag: u16| match head.get(tag) {
            Some(Value::Int(n)) => Ok(*n),
            _ => Err(damaged()),
        };
        let small = |tag| u8::try_from(number(tag)?).map_err(|_| damaged());
        let long = |tag| u64::try_from(number(tag)?).map(RecordId).map_err(|_| damaged());
        let record = Self {
            id,
            kind: small(HEAD_KIND)?,
            version: u32::try_from(number(HEAD_VERSION)?).map_err(|_| damaged())?,
            state: small(HEAD_STATE)?,
            unit: long(HEAD_UNIT)?,
            created: Moment(number(HEAD_CREATED)?),
            creator: long(HEAD_CREATOR)?,
            updated: Moment(number(HEAD_UPDATED)?),
            fields,
        };
        if head.0.len() != HEAD_TAGS { Err(damaged()) } else { record.with_identity(identity) }
    }

    /// Adds the identity part; each part holds its own tags and no others.
    fn with_identity(mut self, identity: &[u8]) -> Result<Self> {
        let tags = super::by_tag(self.kind).map(identity_tags).unwrap_or_default();
        let part = if identity.is_empty() { Fields::default() } else { Fields::decode(identity)? };
        let strayed = self.fields.0.keys().any(|t| tags.contains(t)) || part.0.keys().any(|t| !tags.contains(t));
        if strayed || (part.is_empty() && !identity.is_empty()) {
            return Err(Error::damaged(format!("记录 {} 的身份部分", self.id)));
        }
        self.fields.0.extend(part.0);
        Ok(self)
    }

    /// The head as values, for encoding and for the journal.
    fn head(&self) -> Fields {
        let id = |r: RecordId| Value::Int(i64::try_from(r.0).unwrap_or(i64::MAX));
        Fields(BTreeMap::from([
            (HEAD_STATE, Value::Int(self.state.into())),
            (HEAD_UNIT, id(self.unit)),
            (HEAD_CREATED, Value::Int(self.created.0)),
            (HEAD_CREATOR, id(self.creator)),
            (HEAD_UPDATED, Value::Int(self.updated.0)),
            (HEAD_KIND, Value::Int(self.kind.into())),
            (HEAD_VERSION, Value::Int(self.version.into())),
        ]))
    }

    /// What changed since `before` (all of it for a creation): new values by tag, and the tags that went away.
    /// The two parts come apart, main first, so that the journal can seal them apart.
    pub fn delta(&self, before: Option<&Self>) -> [Delta; 2] {
        let identity = super::by_tag(self.kind).map(identity_tags).unwrap_or_default();
        let (head, old_head) = (self.head(), before.map(Self::head).unwrap_or_default());
        let new: BTreeMap<u16, &Value> = self.all(&head).collect();
        let old: BTreeMap<u16, &Value> = before.iter().flat_map(|b| b.all(&old_head)).collect();
        let mut parts = [Delta::default(), Delta::default()];
        for (tag, value) in new.iter().filter(|(tag, value)| old.get(tag) != Some(value)) {
            parts[usize::from(identity.contains(tag))].set.insert(*tag, (*value).clone());
        }
        for tag in old.keys().filter(|tag| !new.contains_key(tag)) {
            parts[usize::from(identity.contains(tag))].gone.push(*tag);
        }
        parts
    }

    /// The values of its head, which [`Record::head`] gave, and its own; tags rise.
    fn all<'a>(&'a self, head: &'a Fields) -> impl Iterator<Item = (u16, &'a Value)> {
        head.refs().chain(self.fields.refs())
    }
}

/// One part of a change, as the journal keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delta {
    /// New values, head included.
    pub set: Fields,
    /// Tags that have no value any more.
    pub gone: Vec<u16>,
}

impl Delta {
    /// Nothing changed.
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.gone.is_empty()
    }

    /// CBOR: `[set, gone]`.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(ENCODED);
        let mut e = Encoder::new(&mut out);
        let done = e.array(2).and_then(|e| {
            self.set.write(e)?;
            e.array(self.gone.len() as u64)?;
            self.gone.iter().try_for_each(|t| e.u16(*t).map(drop))
        });
        debug_assert!(done.is_ok());
        out
    }

    /// Reads what [`Delta::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut d = Decoder::new(bytes);
        let mut read = || -> Result<Self, minicbor::decode::Error> {
            d.array()?;
            let set = Fields::read(&mut d, 0)?;
            let n = d.array()?.unwrap_or(0);
            let gone = (0..n).map(|_| d.u16()).collect::<Result<_, _>>()?;
            Ok(Self { set, gone })
        };
        let delta = read().map_err(|e| Error::damaged("日志条目内容").with_detail(e))?;
        let apart = delta.gone.iter().all(|tag| delta.set.get(*tag).is_none());
        let rising = delta.gone.windows(2).all(|w| w[0] < w[1]);
        if apart && rising && delta.encode() == bytes { Ok(delta) } else { Err(Error::damaged("日志条目内容")) }
    }

    /// The state the change led to, when it changed the state.
    pub fn state(&self) -> Option<u8> {
        self.set.get(HEAD_STATE).map(|_| u8::try_from(self.set.int(HEAD_STATE)).unwrap_or(0))
    }

    /// The fields without the head.
    pub fn fields(&self) -> Fields {
        self.set.iter().filter(|(t, _)| *t >= FIRST_FIELD).collect()
    }
}

/// CBOR map of values whose tags rise.
fn encode<'a>(values: impl Iterator<Item = (u16, &'a Value)>) -> Vec<u8> {
    let values: Vec<_> = values.collect();
    let mut out = Vec::with_capacity(ENCODED);
    let mut e = Encoder::new(&mut out);
    let begun = e.map(values.len() as u64).map(drop);
    let done = begun.and_then(|()| values.iter().try_for_each(|(tag, value)| value.write(e.u16(*tag)?)));
    debug_assert!(done.is_ok(), "a vector takes every byte");
    out
}

fn identity_tags(kind: &Kind) -> Vec<u16> {
    kind.fields.iter().filter(|f| f.part == Part::Identity).map(|f| f.tag).collect()
}

impl Fields {
    /// The value of a tag.
    pub fn get(&self, tag: u16) -> Option<&Value> {
        self.0.get(&tag)
    }

    /// Sets a value.
    pub fn insert(&mut self, tag: u16, value: Value) {
        self.0.insert(tag, value);
    }

    /// Builder form of [`Fields::insert`].
    #[must_use]
    pub fn with(mut self, tag: u16, value: Value) -> Self {
        self.insert(tag, value);
        self
    }

    /// Builder form for words; empty words are no value.
    #[must_use]
    pub fn with_text(self, tag: u16, text: impl Into<String>) -> Self {
        let text = text.into();
        if text.is_empty() { self } else { self.with(tag, Value::Text(text)) }
    }

    /// Takes a value away.
    pub fn remove(&mut self, tag: u16) -> Option<Value> {
        self.0.remove(&tag)
    }

    /// No values at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All values in order of their tags.
    pub fn iter(&self) -> impl Iterator<Item = (u16, Value)> + '_ {
        self.refs().map(|(t, v)| (t, v.clone()))
    }

    fn refs(&self) -> impl Iterator<Item = (u16, &Value)> {
        self.0.iter().map(|(t, v)| (*t, v))
    }

    /// Words of a tag, or nothing.
    pub fn text(&self, tag: u16) -> &str {
        match self.get(tag) {
            Some(Value::Text(t)) => t,
            _ => "",
        }
    }

    /// A date, or unknown.
    pub fn day(&self, tag: u16) -> Day {
        match self.get(tag) {
            Some(Value::Day(d)) => *d,
            _ => Day::default(),
        }
    }

    /// A number, or 0.
    pub fn int(&self, tag: u16) -> i64 {
        match self.get(tag) {
            Some(Value::Int(n)) => *n,
            _ => 0,
        }
    }

    /// A flag, or no.
    pub fn flag(&self, tag: u16) -> bool {
        matches!(self.get(tag), Some(Value::Flag(true)))
    }

    /// A link.
    pub fn link(&self, tag: u16) -> Option<RecordId> {
        match self.get(tag) {
            Some(Value::Link(id)) => Some(*id),
            _ => None,
        }
    }

    /// Several codes.
    pub fn codes(&self, tag: u16) -> &[String] {
        match self.get(tag) {
            Some(Value::Codes(c)) => c,
            _ => &[],
        }
    }

    /// Rows.
    pub fn rows(&self, tag: u16) -> &[Self] {
        match self.get(tag) {
            Some(Value::Rows(r)) => r,
            _ => &[],
        }
    }

    /// Attachments.
    pub fn files(&self, tag: u16) -> &[FileRef] {
        match self.get(tag) {
            Some(Value::Files(f)) => f,
            _ => &[],
        }
    }

    /// Attachments under whatever tag.
    pub fn all_files(&self) -> impl Iterator<Item = FileRef> + '_ {
        let lists = self.iter().filter_map(|(_, value)| match value {
            Value::Files(files) => Some(files),
            _ => None,
        });
        lists.flatten()
    }

    /// The value as users read it: codes become words; links are left to whoever can open them.
    pub fn display(&self, fields: &[Field], tag: u16) -> String {
        let field = fields.iter().find(|f| f.tag == tag);
        self.get(tag).map_or_else(String::new, |v| v.display(field))
    }

    /// CBOR map of tag → value.
    pub fn encode(&self) -> Vec<u8> {
        encode(self.refs())
    }

    /// Reads what [`Fields::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut d = Decoder::new(bytes);
        let fields = Self::read(&mut d, 0).map_err(|e| Error::damaged("记录内容").with_detail(e))?;
        // One writing for one meaning: whatever this program would not have written is refused.
        if fields.encode() == bytes { Ok(fields) } else { Err(Error::damaged("记录内容")) }
    }

    fn write(&self, e: &mut Encoder<&mut Vec<u8>>) -> Encoded {
        e.map(self.0.len() as u64)?;
        self.refs().try_for_each(|(tag, value)| value.write(e.u16(tag)?))
    }

    fn read(d: &mut Decoder<'_>, depth: u8) -> Result<Self, minicbor::decode::Error> {
        let n = d.map()?.ok_or_else(|| minicbor::decode::Error::message("open map"))?;
        let mut fields = Self::default();
        for _ in 0..n {
            let tag = d.u16()?;
            fields.0.insert(tag, Value::read(d, depth)?);
        }
        Ok(fields)
    }
}

impl FromIterator<(u16, Value)> for Fields {
    fn from_iter<I: IntoIterator<Item = (u16, Value)>>(iter: I) -> Self {
        Self(iter.into_iter().collect())
    }
}

type Encoded = Result<(), minicbor::encode::Error<std::convert::Infallible>>;

impl Value {
    /// As users read it; rows and files in one line.
    pub fn display(&self, field: Option<&Field>) -> String {
        let word = |code: &str| match field.map(|f| &f.widget) {
            Some(Widget::Choice(d) | Widget::OpenChoice(d) | Widget::Choices(d)) => d.label(code).to_owned(),
            _ => code.to_owned(),
        };
        match self {
            Self::Text(t) => word(t),
            Self::Day(d) => d.to_string(),
            Self::Int(n) => n.to_string(),
            Self::Flag(yes) => if *yes { "是" } else { "否" }.to_owned(),
            Self::Codes(c) => c.iter().map(|c| word(c)).collect::<Vec<_>>().join("、"),
            Self::Link(id) => format!("#{id}"),
            Self::Rows(rows) => rows.iter().map(|r| row_line(field, r)).collect::<Vec<_>>().join("；"),
            Self::Files(files) => files.iter().map(|f| f.name.as_str()).collect::<Vec<_>>().join("、"),
        }
    }

    fn write(&self, e: &mut Encoder<&mut Vec<u8>>) -> Encoded {
        e.array(2)?;
        match self {
            Self::Text(t) => e.u8(0)?.str(t).map(drop),
            Self::Day(d) => e.u8(1)?.i32(d.number()).map(drop),
            Self::Int(n) => e.u8(2)?.i64(*n).map(drop),
            Self::Flag(yes) => e.u8(3)?.bool(*yes).map(drop),
            Self::Codes(codes) => {
                e.u8(4)?.array(codes.len() as u64)?;
                codes.iter().try_for_each(|c| e.str(c).map(drop))
            }
            Self::Link(id) => e.u8(5)?.u64(id.0).map(drop),
            Self::Rows(rows) => {
                e.u8(6)?.array(rows.len() as u64)?;
                rows.iter().try_for_each(|r| r.write(e))
            }
            Self::Files(files) => {
                e.u8(7)?.array(files.len() as u64)?;
                files.iter().try_for_each(|f| {
                    e.array(4)?.str(&f.name)?.u64(f.size)?.str(&f.blob)?.bytes(&f.key).map(drop)
                })
            }
        }
    }

    fn read(d: &mut Decoder<'_>, depth: u8) -> Result<Self, minicbor::decode::Error> {
        let bad = minicbor::decode::Error::message;
        d.array()?;
        Ok(match d.u8()? {
            0 => Self::Text(d.str()?.to_owned()),
            1 => Self::Day(Day::from_number(d.i32()?).ok_or_else(|| bad("no such day"))?),
            2 => Self::Int(d.i64()?),
            3 => Self::Flag(d.bool()?),
            4 => Self::Codes(list(d, |d| d.str().map(str::to_owned))?),
            5 => Self::Link(RecordId(d.u64()?)),
            6 if depth == 0 => Self::Rows(list(d, |d| Fields::read(d, 1))?),
            7 => Self::Files(list(d, read_file)?),
            _ => return Err(bad("unknown shape of value")),
        })
    }
}

fn read_file(d: &mut Decoder<'_>) -> Result<FileRef, minicbor::decode::Error> {
    d.array()?;
    Ok(FileRef { name: d.str()?.to_owned(), size: d.u64()?, blob: d.str()?.to_owned(), key: d.bytes()?.to_vec() })
}

fn list<'b, T>(
    d: &mut Decoder<'b>,
    read: impl Fn(&mut Decoder<'b>) -> Result<T, minicbor::decode::Error>,
) -> Result<Vec<T>, minicbor::decode::Error> {
    let n = d.array()?.ok_or_else(|| minicbor::decode::Error::message("open list"))?;
    (0..n).map(|_| read(d)).collect()
}

fn row_line(field: Option<&Field>, row: &Fields) -> String {
    let columns = match field.map(|f| &f.widget) {
        Some(Widget::Rows(columns)) => *columns,
        _ => &[],
    };
    let words = columns.iter().map(|f| row.display(columns, f.tag)).filter(|w| !w.is_empty());
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_bytes_it_did_not_write() {
        let good = Fields::default().with_text(16, "词").with(17, Value::Int(-3)).encode();
        assert!(Fields::decode(&good).is_ok());
        for cut in 0..good.len() {
            assert!(Fields::decode(&good[..cut]).is_err(), "cut at {cut}");
        }
        for bad in [&b"\xa1\x10\x82\x09\x00"[..], b"\xbf\xff", b"\x80", b"\xa1\x10\x82\x01\x1a\x01\x33\x9d\x0f"] {
            assert!(Fields::decode(bad).is_err());
        }
    }

    #[test]
    fn rows_do_not_nest() {
        let inner = Fields::default().with(1, Value::Rows(vec![]));
        let outer = Fields::default().with(16, Value::Rows(vec![inner]));
        assert!(Fields::decode(&outer.encode()).is_err());
    }
}

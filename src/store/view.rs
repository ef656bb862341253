//! Snapshots: reading records, lists, exact values, rows of a parent, and the journal, as of one commit.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::sync::Arc;

use redb::{Range, ReadOnlyTable, ReadTransaction, ReadableTable};

use super::journal::{self, Entry, Head};
use super::ring::Generations;
use super::seal::Secret;
use super::tables::{
    self, CHILDREN, COUNTERS, HIDDEN, JOURNAL, LISTS, LOOKUPS, META, PURGED, RECORD_KEYS, RECORDS, TALLIES, TOUCHES,
};
use super::{Shared, damage, fact, lock, secret_place};
use crate::base::{Error, RecordId, Result, Seq};
use crate::records::label::Label;
use crate::records::record::{BATCH, Delta};
use crate::records::{Kind, Record, Value};

const FORMAT: u8 = 1;
/// AES-256-GCM.
const SUITE: u8 = 1;

/// A consistent view of the store.
pub struct Snapshot {
    pub(super) shared: Arc<Shared>,
    pub(super) txn: ReadTransaction,
    /// What opens every record key in it, also after a rotation went on.
    generations: Arc<Generations>,
    records: ReadOnlyTable<u64, &'static [u8]>,
    keys: ReadOnlyTable<u64, &'static [u8]>,
    hidden: ReadOnlyTable<u64, ()>,
    pub(super) purged: ReadOnlyTable<u64, u64>,
}

/// Which records of a kind a list shows. Units and states are always named: nothing is visible by default.
#[derive(Clone, Debug)]
pub struct ListQuery {
    /// The kind.
    pub kind: &'static Kind,
    /// Units whose records are shown.
    pub units: Vec<RecordId>,
    /// States that are shown.
    pub states: Vec<u8>,
    /// First day `yyyymmdd`, 0 for no bound.
    pub from: i32,
    /// Last day `yyyymmdd`, 0 for no bound.
    pub to: i32,
    /// Oldest first instead of newest first.
    pub oldest_first: bool,
    /// Records that are left out, and not counted.
    pub without: Arc<[Left]>,
    /// Records with a higher label are left out as well.
    pub ceiling: Label,
}

/// A record that a list leaves out; what is counted without reading it is taken off by these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// The record.
    pub id: RecordId,
    /// Its kind, unit and state.
    pub place: (u8, RecordId, u8),
    /// Its label.
    pub label: Label,
}

impl Snapshot {
    pub(super) fn open(shared: Arc<Shared>) -> Result<Self> {
        let (txn, generations) = shared.begin_read()?;
        let records = txn.open_table(RECORDS).map_err(damage)?;
        let keys = txn.open_table(RECORD_KEYS).map_err(damage)?;
        let hidden = txn.open_table(HIDDEN).map_err(damage)?;
        let purged = txn.open_table(PURGED).map_err(damage)?;
        Ok(Self { shared, txn, generations, records, keys, hidden, purged })
    }

    /// A record; its identity part only when asked for. A record of a hidden batch is as good as absent.
    pub fn get(&self, id: RecordId, identity: bool) -> Result<Option<Record>> {
        let Some(record) = self.get_any(id, identity)? else { return Ok(None) };
        Ok(if self.is_hidden(&record)? { None } else { Some(record) })
    }

    /// A record, of a hidden batch or not: for what keeps the store, never for what shows it.
    pub fn get_any(&self, id: RecordId, identity: bool) -> Result<Option<Record>> {
        let Some(value) = self.records.get(id.0).map_err(damage)? else { return Ok(None) };
        open_value(&self.key(id)?, id, value.value(), identity).map(Some)
    }

    /// Whether the batch of a record keeps it from being seen.
    pub fn is_hidden(&self, record: &Record) -> Result<bool> {
        let Some(batch) = record.batch() else { return Ok(false) };
        Ok(self.hidden.get(batch.0).map_err(damage)?.is_some())
    }

    /// Batches whose records cannot be seen.
    pub fn hidden_batches(&self) -> Result<BTreeSet<u64>> {
        let rows = self.hidden.iter().map_err(damage)?;
        rows.map(|row| Ok(row.map_err(damage)?.0.value())).collect()
    }

    /// Records that came in with a batch, hidden or not, in order of their ids.
    pub fn members(&self, batch: RecordId) -> Result<Vec<RecordId>> {
        let mut ids = Vec::new();
        for kind in crate::records::ALL {
            ids.extend(self.find_any(kind, BATCH, &Value::Link(batch).display(None))?);
        }
        ids.sort_unstable();
        Ok(ids)
    }

    /// Whether a record has an identity part, without opening it.
    pub fn has_identity(&self, id: RecordId) -> Result<bool> {
        let value = self.records.get(id.0).map_err(damage)?;
        Ok(value.and_then(|v| Parts::split(v.value()).map(|p| !p.identity.is_empty())).unwrap_or(false))
    }

    fn key(&self, id: RecordId) -> Result<Secret> {
        let wrapped = self.keys.get(id.0).map_err(damage)?;
        let wrapped = wrapped.ok_or_else(|| Error::damaged(format!("缺少记录 {id} 的密钥")))?;
        self.generations.open(id.0, wrapped.value())
    }

    /// Ids of a list, from `offset`, at most `limit`.
    pub fn list(&self, query: &ListQuery, offset: u64, limit: u64) -> Result<Vec<RecordId>> {
        let skip = usize::try_from(offset).unwrap_or(usize::MAX);
        let take = usize::try_from(limit).unwrap_or(usize::MAX);
        self.merged(query)?.skip(skip).take(take).map(|r| r.map(RecordId)).collect()
    }

    /// How many records a list has in each of its states.
    pub fn tally(&self, query: &ListQuery) -> Result<Vec<(u8, u64)>> {
        let mut counts = Vec::with_capacity(query.states.len());
        for state in &query.states {
            let mut count = 0;
            if query.from == 0 && query.to == 0 {
                for unit in &query.units {
                    let place = (query.kind.tag, *unit, *state);
                    let counted = |l: &&Left| l.place == place && l.label <= query.ceiling;
                    let left = query.without.iter().filter(counted).count() as u64;
                    let key = tables::tally_key(query.kind.tag, unit.0, *state);
                    let all = self.tallied(query.kind, &key, query.ceiling)?;
                    count += all.saturating_sub(left);
                }
            } else {
                let one = ListQuery { states: vec![*state], ..query.clone() };
                for id in self.merged(&one)? {
                    id?;
                    count += 1;
                }
            }
            counts.push((*state, count));
        }
        Ok(counts)
    }

    fn merged(&self, query: &ListQuery) -> Result<Merge> {
        let lists = self.txn.open_table(LISTS).map_err(damage)?;
        let mut ranges = Vec::new();
        for unit in &query.units {
            for state in &query.states {
                // Keys hold the day and id inverted: the newest day is the smallest key.
                let newest = if query.to == 0 { i32::MAX } else { query.to };
                let low = tables::list_key(query.kind.tag, unit.0, *state, newest, u64::MAX);
                let high = tables::list_key(query.kind.tag, unit.0, *state, query.from, 0);
                let range = lists.range::<&[u8]>(low.as_slice()..=high.as_slice()).map_err(damage)?;
                ranges.push(range);
            }
        }
        Merge::new(ranges, query.clone(), self.hidden_batches()?)
    }

    /// Sum of the tallies below a prefix, without those of hidden batches and of higher labels.
    fn tallied(&self, kind: &Kind, prefix: &[u8], ceiling: Label) -> Result<u64> {
        let tallies = self.txn.open_table(TALLIES).map_err(damage)?;
        let hidden = self.hidden_batches()?;
        let mut count = 0;
        for row in tallies.range::<&[u8]>(prefix..).map_err(damage)? {
            let (key, value) = row.map_err(damage)?;
            if !key.value().starts_with(prefix) {
                break;
            }
            let seen = tables::tally_batch(key.value()).is_none_or(|batch| !hidden.contains(&batch))
                && tables::tally_label(kind, key.value()) <= ceiling;
            count += if seen { value.value() } else { 0 };
        }
        Ok(count)
    }

    /// Records of a kind with this exact value in a key field.
    pub fn find(&self, kind: &Kind, tag: u16, value: &str) -> Result<Vec<RecordId>> {
        let ids = self.find_any(kind, tag, value)?;
        if self.hidden.first().map_err(damage)?.is_none() {
            return Ok(ids);
        }
        let seen = ids.into_iter().map(|id| Ok(self.get(id, false)?.map(|_| id)));
        seen.filter_map(Result::transpose).collect()
    }

    fn find_any(&self, kind: &Kind, tag: u16, value: &str) -> Result<Vec<RecordId>> {
        let lookups = self.txn.open_table(LOOKUPS).map_err(damage)?;
        let prefix = tables::lookup_prefix(kind, tag, value, &|b| self.shared.secrets.lookup.short_hash(b));
        Ok(ids_below(&lookups, &prefix)?.into_iter().map(RecordId).collect())
    }

    /// How many records of a kind there are.
    pub fn count_of(&self, kind: &Kind) -> Result<u64> {
        self.tallied(kind, &[kind.tag], Label::Core)
    }

    /// Rows of a parent, of one kind, in their order.
    pub fn children(&self, parent: RecordId, kind: &Kind) -> Result<Vec<RecordId>> {
        let children = self.txn.open_table(CHILDREN).map_err(damage)?;
        let prefix = [&parent.0.to_be_bytes()[..], &[kind.tag]].concat();
        Ok(ids_below(&children, &prefix)?.into_iter().map(RecordId).collect())
    }

    /// Highest record id; ids are dense.
    pub fn last_id(&self) -> Result<RecordId> {
        let last = self.records.last().map_err(damage)?;
        Ok(RecordId(last.map_or(0, |(id, _)| id.value())))
    }

    /// A fact of the store.
    pub fn fact(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let meta = self.txn.open_table(META).map_err(damage)?;
        Ok(meta.get(name.as_bytes()).map_err(damage)?.map(|v| v.value().to_vec()))
    }

    /// A fact as text, empty when there is none.
    pub fn fact_text(&self, name: &str) -> Result<String> {
        Ok(self.fact(name)?.map(|b| String::from_utf8_lossy(&b).into_owned()).unwrap_or_default())
    }

    /// A sealed fact, opened.
    pub fn secret(&self, name: &str) -> Result<Secret> {
        let sealed = self.fact(name)?.ok_or_else(|| Error::damaged("库自身的密钥"))?;
        let place = secret_place(&self.shared.ring.store, name);
        let secret = self.shared.secrets.own.open_secret(&place, &sealed);
        secret.ok_or_else(|| Error::damaged("库自身的密钥"))
    }

    /// Generation keys, for an archive that is itself encrypted.
    pub fn generations(&self) -> &[(u32, Secret)] {
        self.generations.keys()
    }

    /// Whether a record key lies under another generation than this one.
    pub(super) fn has_keys_besides(&self, generation: u32) -> Result<bool> {
        for row in self.keys.iter().map_err(damage)? {
            let (_, wrapped) = row.map_err(damage)?;
            if Generations::number_of(wrapped.value()) != Some(generation) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// All counters.
    pub fn counters(&self) -> Result<Vec<(String, u64)>> {
        let table = self.txn.open_table(COUNTERS).map_err(damage)?;
        let rows = table.iter().map_err(damage)?;
        rows.map(|row| {
            let (name, value) = row.map_err(damage)?;
            Ok((String::from_utf8_lossy(name.value()).into_owned(), value.value()))
        })
        .collect()
    }

    /// Head of the journal in this snapshot.
    pub fn head(&self) -> Result<Head> {
        read_head(&self.fact(fact::HEAD)?.unwrap_or_default())
    }

    /// Journal entries after `after`, in order.
    pub fn journal_after(
        &self,
        after: Seq,
    ) -> Result<impl DoubleEndedIterator<Item = Result<Entry>> + use<>> {
        let table = self.txn.open_table(JOURNAL).map_err(damage)?;
        let rows = table.range(after.0 + 1..).map_err(damage)?;
        Ok(rows.map(|row| journal::read(row.map_err(damage)?.1.value())))
    }

    /// One journal entry.
    pub fn entry(&self, seq: Seq) -> Result<Option<Entry>> {
        let table = self.txn.open_table(JOURNAL).map_err(damage)?;
        let row = table.get(seq.0).map_err(damage)?;
        row.map(|v| journal::read(v.value())).transpose()
    }

    /// Numbers of the entries that tell a record's story, rising.
    pub fn story_numbers(&self, id: RecordId) -> Result<Vec<u64>> {
        let touches = self.txn.open_table(TOUCHES).map_err(damage)?;
        ids_below(&touches, &id.0.to_be_bytes())
    }

    /// The entries that tell a record's story, in order.
    pub fn story(&self, id: RecordId) -> Result<Vec<Entry>> {
        let seqs = self.story_numbers(id)?;
        seqs.into_iter().filter_map(|seq| self.entry(Seq(seq)).transpose()).collect()
    }

    /// What an entry changed in a record: main part, and identity part when asked for; nothing where that was before
    /// the record was purged.
    pub fn delta(&self, entry: &Entry, id: RecordId, identity: bool) -> Result<Vec<Delta>> {
        if self.purged_at(id)?.is_some_and(|purged| entry.header.seq < purged) {
            return Ok(Vec::new());
        }
        let key = self.key(id)?;
        let wanted = entry.parts.iter().filter(|p| p.id == id && (p.part == 0 || identity && p.part == 1));
        wanted.map(|p| open_delta(&key, id, entry.header.seq, p)).collect()
    }

    /// The sealed words of an entry (a reason, a query), for whoever may read them.
    pub fn entry_secret(&self, entry: &Entry) -> Option<String> {
        let part = entry.parts.iter().find(|p| p.id.0 == 0 && p.part == 2)?;
        let place = part_place(RecordId(0), entry.header.seq.0, part.part);
        String::from_utf8(self.shared.secrets.own.open(&place, &part.sealed)?).ok()
    }
}

/// Reads a sealed delta.
pub(super) fn open_delta(key: &Secret, id: RecordId, seq: Seq, part: &journal::Part) -> Result<Delta> {
    let damaged = || Error::damaged(format!("日志第 {seq} 条关于记录 {id} 的内容"));
    let packed = key.open(&part_place(id, seq.0, part.part), &part.sealed).ok_or_else(damaged)?;
    let plain = zstd::decode_all(packed.as_slice()).map_err(|_| damaged())?;
    Delta::decode(&plain)
}

/// Where a sealed part of the journal belongs.
pub(super) fn part_place(id: RecordId, seq: u64, part: u8) -> Vec<u8> {
    [&b"jiceng-journal-part-1"[..], &id.0.to_be_bytes(), &seq.to_be_bytes(), &[part]].concat()
}

/// A record's value: `format suite version kind main-length main identity`, both parts sealed.
pub(super) fn seal_value(key: &Secret, kind: &Kind, record: &Record) -> Result<Vec<u8>> {
    let identity = record.encode_identity(kind);
    let place = |part| value_place(record.id, (record.version, record.kind), part, !identity.is_empty());
    let main = key.seal(&place(0), &record.encode_main())?;
    let mut out = vec![FORMAT, SUITE];
    out.extend_from_slice(&record.version.to_be_bytes());
    out.push(record.kind);
    out.extend_from_slice(&u32::try_from(main.len()).map_err(Error::internal)?.to_be_bytes());
    out.extend_from_slice(&main);
    if !identity.is_empty() {
        out.extend_from_slice(&key.seal(&place(1), &identity)?);
    }
    Ok(out)
}

/// Opens a value; every read is authenticated against id, version and kind.
pub(super) fn open_value(key: &Secret, id: RecordId, value: &[u8], identity: bool) -> Result<Record> {
    let damaged = || Error::damaged(format!("记录 {id}"));
    let parts = Parts::split(value).ok_or_else(damaged)?;
    let place = |part| value_place(id, (parts.version, parts.kind), part, !parts.identity.is_empty());
    let main = key.open(&place(0), parts.main).ok_or_else(damaged)?;
    let hidden = if identity && !parts.identity.is_empty() {
        key.open(&place(1), parts.identity).ok_or_else(damaged)?
    } else {
        Vec::new()
    };
    let record = Record::decode(id, &main, &hidden)?;
    let same = (record.version, record.kind) == (parts.version, parts.kind);
    if same { Ok(record) } else { Err(damaged()) }
}

/// The version a stored value says it is, without opening it.
pub(super) fn stored_version(value: &[u8]) -> Option<u32> {
    Parts::split(value).map(|p| p.version)
}

struct Parts<'a> {
    version: u32,
    kind: u8,
    main: &'a [u8],
    identity: &'a [u8],
}

impl<'a> Parts<'a> {
    fn split(value: &'a [u8]) -> Option<Self> {
        let (head, rest) = value.split_first_chunk::<11>()?;
        let [FORMAT, SUITE, v0, v1, v2, v3, kind, l0, l1, l2, l3] = *head else { return None };
        let length = u32::from_be_bytes([l0, l1, l2, l3]) as usize;
        let (main, identity) = rest.split_at_checked(length)?;
        Some(Self { version: u32::from_be_bytes([v0, v1, v2, v3]), kind, main, identity })
    }
}

/// Where a part belongs; that there is an identity part is bound too, so that it cannot be cut off unnoticed.
fn value_place(id: RecordId, (version, kind): (u32, u8), part: u8, identity: bool) -> Vec<u8> {
    let tail = [kind, part, u8::from(identity)];
    [&b"jiceng-record-1"[..], &id.0.to_be_bytes(), &version.to_be_bytes(), &tail].concat()
}

/// The last eight bytes of every key below a prefix.
pub(super) fn ids_below(table: &impl ReadableTable<&'static [u8], ()>, prefix: &[u8]) -> Result<Vec<u64>> {
    let mut ids = Vec::new();
    for row in table.range::<&[u8]>(prefix..).map_err(damage)? {
        let (key, ()) = row.map(|(k, _)| (k, ())).map_err(damage)?;
        let Some(rest) = key.value().strip_prefix(prefix) else { break };
        let tail = rest.last_chunk::<8>().ok_or_else(|| Error::damaged("派生表的键"))?;
        ids.push(u64::from_be_bytes(*tail));
    }
    Ok(ids)
}

/// The head before the first entry.
pub(super) fn first_head() -> Vec<u8> {
    write_head(&Head { seq: Seq(0), hash: [0; 32] })
}

/// Stored form of a head: number, hash.
pub(super) fn write_head(head: &Head) -> Vec<u8> {
    [&head.seq.0.to_be_bytes()[..], &head.hash].concat()
}

/// Reads [`write_head`].
pub(super) fn read_head(bytes: &[u8]) -> Result<Head> {
    let read = || -> Option<Head> {
        let (seq, rest) = bytes.split_first_chunk::<8>()?;
        Some(Head { seq: Seq(u64::from_be_bytes(*seq)), hash: rest.try_into().ok()? })
    };
    read().ok_or_else(|| Error::damaged("日志链头"))
}

/// Several sorted ranges of LISTS as one.
struct Merge {
    ranges: Vec<Range<'static, &'static [u8], ()>>,
    heap: BinaryHeap<Reverse<(i64, i128, usize)>>,
    query: ListQuery,
    hidden: BTreeSet<u64>,
}

impl Merge {
    fn new(
        ranges: Vec<Range<'static, &'static [u8], ()>>,
        query: ListQuery,
        hidden: BTreeSet<u64>,
    ) -> Result<Self> {
        let count = ranges.len();
        let mut merge = Self { ranges, heap: BinaryHeap::with_capacity(count), query, hidden };
        (0..count).try_for_each(|n| merge.pull(n))?;
        Ok(merge)
    }

    fn pull(&mut self, n: usize) -> Result<()> {
        let range = &mut self.ranges[n];
        while let Some(row) = if self.query.oldest_first { range.next_back() } else { range.next() } {
            let (key, _) = row.map_err(damage)?;
            if tables::list_batch(key.value()).is_some_and(|batch| self.hidden.contains(&batch)) {
                continue;
            }
            let (day, id) = tables::list_parts(key.value()).ok_or_else(|| Error::damaged("列表的键"))?;
            let above = tables::list_label(self.query.kind, key.value()) > self.query.ceiling;
            if above || self.query.without.iter().any(|left| left.id.0 == id) {
                continue;
            }
            let sign = if self.query.oldest_first { 1 } else { -1 };
            self.heap.push(Reverse((i64::from(day) * sign, i128::from(id) * i128::from(sign), n)));
            break;
        }
        Ok(())
    }
}

impl Iterator for Merge {
    type Item = Result<u64>;

    fn next(&mut self) -> Option<Self::Item> {
        let Reverse((_, id, n)) = self.heap.pop()?;
        match self.pull(n) {
            Ok(()) => Some(Ok(u64::try_from(id.abs()).unwrap_or(0))),
            Err(e) => Some(Err(e)),
        }
    }
}

/// Whether the writer's head and the tables agree; used by checks only.
pub(super) fn head_agrees(shared: &Shared, stored: &Head) -> bool {
    *lock(&shared.head) == *stored
}

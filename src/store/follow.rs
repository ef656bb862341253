//! Following another store: a segment of its log becomes real in one transaction, or nothing of it does.
//!
//! What must hold: entries continue the chain of the store, byte for byte; a record's new value is the one that the
//! last of these entries names; nothing else of the journal's world is touched; derived tables are kept in step. A
//! generation key is in the slot file before a key lies under it, and leaves it after the last one left.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use redb::{ReadableTable, WriteTransaction};

use super::archive::{COUNTER_ROWS, JOURNAL_ROWS, KEY_ROWS, META_ROWS, RECORD_ROWS};
use super::journal::{self, Entry, Head};
use super::pending::WriteTables;
use super::ring::Generations;
use super::seal::{Secret, sha256};
use super::tables;
use super::txn::Txn;
use super::{Act, ArchiveRow, GONE_ROWS, Shared, Store, damage, fact, lock, upgrade, view};
use crate::base::{Error, RecordId, Result, Seq};
use crate::records::{self, act};

/// A segment of the log, opened: its signer is believed.
pub struct Change {
    /// Id of the store it belongs to.
    pub store: String,
    /// The entry it begins after.
    pub from: Seq,
    /// The head it leads to.
    pub head: Head,
    /// Generation keys as of that head, rising.
    pub generations: Vec<(u32, Secret)>,
    /// Its rows have every fact there is.
    pub whole_meta: bool,
    /// Facts, counters, records, record keys, entries, names of facts that went.
    pub rows: Vec<ArchiveRow>,
}

/// What a segment did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// The store stands at its head now.
    Moved,
    /// The store had all of it.
    Known,
    /// It begins beyond the store's head, and nothing was done: a newer set is needed.
    Beyond,
}

impl Store {
    /// Takes a segment over. A store that has a part of it takes the rest.
    ///
    /// # Errors
    /// `Invalid` for a segment of another store; `Damaged` when it does not continue this store, or is not of one
    /// piece. Nothing is changed then.
    pub fn apply(&self, change: Change) -> Result<Applied> {
        self.queue.alone(move |shared| match shared.condition.halt() {
            Some(halt) => Err(halt.error()),
            None => apply(shared, change),
        })
    }

    /// Lets another store of the same id, which is to take the place of this one, be opened by what opens this one.
    pub fn hand_slots_to(&self, other: &Self) -> Result<()> {
        let ring = &self.shared.ring;
        let mut slots = ring.file().clone();
        slots.set_generations(&other.shared.ring.generations(), ring.master())?;
        slots.write(&other.shared.dir)
    }

    /// Ends the following: raises the epoch with an entry in the store's journal, lets counters go on after these
    /// numbers. The caller opens the store anew.
    pub fn promote(&self, act: Act, counters: Vec<(String, u64)>) -> Result<u64> {
        self.queue.alone(move |shared| promote(shared, act, &counters))
    }
}

fn promote(shared: &Shared, act: Act, counters: &[(String, u64)]) -> Result<u64> {
    if lock(&shared.local).is_none() {
        return Err(Error::invalid("这个数据目录不是备机的，没有可以接替的。"));
    }
    let txn = upgrade::begin(&shared.db)?;
    let mut tables = WriteTables::open(&txn)?;
    let (pending, epoch) = {
        let mut buffer = Txn::new(&tables, shared, *lock(&shared.head))?;
        let epoch = epoch_of(&tables)? + 1;
        buffer.set_fact(fact::EPOCH, epoch.to_string());
        buffer.set_fact(fact::SETUP, "");
        buffer.forget(fact::FOLLOWING);
        counters.iter().try_for_each(|(counter, to)| buffer.skip_numbers(counter, *to))?;
        let own = lock(&shared.local).unwrap_or(Head { seq: Seq(0), hash: [0; 32] });
        let note = format!("{} local {} {}", act.note, own.seq, hex::encode(own.hash));
        buffer.act(act.note(note.trim_start()));
        (buffer.finish()?, epoch)
    };
    let head = tables.apply(&pending)?;
    tables.set_head(&head)?;
    drop(tables);
    txn.commit().map_err(damage)?;
    shared.followed_to(head);
    Ok(epoch)
}

fn epoch_of(tables: &WriteTables<'_>) -> Result<u64> {
    let text = tables.fact(fact::EPOCH)?.unwrap_or_default();
    String::from_utf8_lossy(&text).parse().map_err(|_| Error::damaged("纪元"))
}

fn wrong(why: &str) -> Error {
    Error::damaged(format!("日志段与本机数据对不上：{why}，没有采用"))
}

fn apply(shared: &Shared, change: Change) -> Result<Applied> {
    if change.store != shared.ring.store {
        return Err(Error::invalid("日志段属于另一个数据目录，没有采用。请核对备机所跟随的目标。"));
    }
    let head = *lock(&shared.head);
    if change.from > head.seq {
        return Ok(Applied::Beyond);
    }
    let (old, new) = (shared.ring.generations(), Generations::new(&shared.ring.store, change.generations));
    let all = union(&old, &new)?;
    let txn = upgrade::begin(&shared.db)?;
    let (from, to) = (change.from, change.head);
    let rows = Rows::sort(change.rows, change.whole_meta)?;
    let fresh = {
        let tables = WriteTables::open(&txn)?;
        let fresh = continued(&tables, &rows, (from, head, to))?;
        let mut work = Work { shared, tables, old: &old, new: &new };
        if !fresh.is_empty() {
            work.records(&rows)?;
            work.facts(&rows, to)?;
            work.journal(&fresh, &rows)?;
            work.ends_well(&fresh)?;
        }
        fresh
    };
    if fresh.is_empty() {
        txn.abort().map_err(damage)?;
        return Ok(Applied::Known);
    }
    commit(shared, txn, (&old, all, new))?;
    shared.followed_to(to);
    Ok(Applied::Moved)
}

/// Both sets of generation keys are there when the transaction becomes real; after it only those of the segment.
fn commit(
    shared: &Shared,
    txn: WriteTransaction,
    (old, all, new): (&Generations, Vec<(u32, Secret)>, Generations),
) -> Result<()> {
    let grows = all.len() > old.keys().len();
    if grows {
        shared.ring.set_generations(all.clone())?;
    }
    if let Err(e) = txn.commit() {
        if grows {
            shared.ring.set_generations(old.keys().to_vec())?;
        }
        return Err(damage(e));
    }
    if new.keys().len() < all.len() {
        shared.ring.set_generations(new.keys().to_vec())?;
    }
    Ok(())
}

/// Old and new generation keys, rising; the same number has the same key.
fn union(old: &Generations, new: &Generations) -> Result<Vec<(u32, Secret)>> {
    let mut all: BTreeMap<u32, Secret> = old.keys().iter().cloned().collect();
    for (number, key) in new.keys() {
        let known = all.insert(*number, key.clone());
        if known.is_some_and(|k| k.expose() != key.expose()) {
            return Err(wrong("同一代密钥不相同"));
        }
    }
    if new.keys().is_empty() {
        return Err(wrong("没有代密钥"));
    }
    Ok(all.into_iter().collect())
}

/// The rows of a segment by what they are.
struct Rows {
    facts: Vec<(Vec<u8>, Vec<u8>)>,
    gone: Vec<Vec<u8>>,
    whole_meta: bool,
    counters: Vec<(Vec<u8>, u64)>,
    records: BTreeMap<u64, Vec<u8>>,
    keys: BTreeMap<u64, Vec<u8>>,
    entries: Vec<(u64, Vec<u8>)>,
    /// What the last of the entries names as the value of each record.
    digests: HashMap<u64, [u8; 32]>,
    /// Keys of other records than these moved too.
    rewrapped: bool,
}

impl Rows {
    fn sort(all: Vec<ArchiveRow>, whole_meta: bool) -> Result<Self> {
        let mut rows = Self {
            facts: Vec::new(),
            gone: Vec::new(),
            whole_meta,
            counters: Vec::new(),
            records: BTreeMap::new(),
            keys: BTreeMap::new(),
            entries: Vec::new(),
            digests: HashMap::new(),
            rewrapped: false,
        };
        let number = |bytes: &[u8]| bytes.try_into().map(u64::from_be_bytes).map_err(|_| wrong("有一行读不懂"));
        for ArchiveRow { table, key, value } in all {
            match table {
                META_ROWS if key.starts_with(fact::LOCAL.as_bytes()) => {}
                META_ROWS => rows.facts.push((key, value)),
                COUNTER_ROWS => rows.counters.push((key, number(&value)?)),
                RECORD_ROWS => drop(rows.records.insert(number(&key)?, value)),
                KEY_ROWS => drop(rows.keys.insert(number(&key)?, value)),
                JOURNAL_ROWS => rows.entries.push((number(&key)?, value)),
                GONE_ROWS => rows.gone.push(key),
                _ => return Err(wrong("有本程序不认识的内容，请升级备机上的程序")),
            }
        }
        for (_, bytes) in &rows.entries {
            let header = journal::read(bytes)?.header;
            rows.rewrapped |= header.action == act::KEY_REWRAPPED.code;
            rows.digests.extend(header.subjects.into_iter().filter_map(|s| Some((s.id.0, s.digest?))));
        }
        Ok(rows)
    }
}

/// Checks the entries as a chain from the one the segment begins after, against those that are there; the new ones.
fn continued(
    tables: &WriteTables<'_>,
    rows: &Rows,
    (from, head, to): (Seq, Head, Head),
) -> Result<Vec<Entry>> {
    let mut at = Head { seq: from, hash: tables.entry_hash(from)? };
    let mut fresh = Vec::new();
    let mut epoch = 0;
    for (seq, bytes) in &rows.entries {
        let entry = journal::verify(&at, bytes)?;
        at = Head { seq: entry.header.seq, hash: entry.hash };
        if *seq != at.seq.0 || entry.header.epoch < epoch {
            return Err(wrong("日志的序号或纪元不对"));
        }
        epoch = entry.header.epoch;
        if at.seq > head.seq {
            fresh.push(entry);
        } else if tables.entry_hash(at.seq)? != at.hash {
            return Err(wrong(&format!("日志第 {} 条与本机的不是同一条", at.seq)));
        }
    }
    if at != to {
        return Err(wrong("日志没有到它所说的那一条"));
    }
    Ok(fresh)
}

/// The open tables, and the keys before and after.
struct Work<'a, 't> {
    shared: &'a Shared,
    tables: WriteTables<'t>,
    old: &'a Generations,
    new: &'a Generations,
}

impl Work<'_, '_> {
    /// Values, each the one that the journal names, with their keys and derived rows.
    fn records(&mut self, rows: &Rows) -> Result<()> {
        let named: BTreeSet<u64> = rows.digests.keys().copied().collect();
        if !named.iter().eq(rows.records.keys()) || named.iter().any(|id| !rows.keys.contains_key(id)) {
            return Err(wrong("记录与日志所记的不是同一些"));
        }
        let old_rows: Vec<_> = rows.records.keys().map(|id| self.rows_of(*id)).collect::<Result<_>>()?;
        for (id, wrapped) in &rows.keys {
            self.new.open(*id, wrapped)?;
            self.tables.keys.insert(*id, wrapped.as_slice()).map_err(damage)?;
        }
        let there = redb::ReadableTableMetadata::len(&self.tables.keys).map_err(damage)?;
        if rows.rewrapped && rows.keys.len() as u64 != there {
            return Err(wrong("轮换密钥之后的密钥不全"));
        }
        for ((id, value), before) in rows.records.iter().zip(old_rows) {
            if rows.digests.get(id) != Some(&sha256(&[value])) {
                return Err(wrong(&format!("记录 {id} 不是日志所记的那一版")));
            }
            self.tables.records.insert(*id, value.as_slice()).map_err(damage)?;
            let after = self.derived(*id, value, self.new)?;
            if let Some(before) = before {
                self.tables.derived.remove(&before)?;
            }
            self.tables.derived.insert(&after)?;
        }
        Ok(())
    }

    /// The derived rows of a record as it is now; `None` when it is new.
    fn rows_of(&self, id: u64) -> Result<Option<tables::Rows>> {
        let Some(value) = self.tables.record(id)? else { return Ok(None) };
        self.derived(id, &value, self.old).map(Some)
    }

    fn derived(&self, id: u64, value: &[u8], generations: &Generations) -> Result<tables::Rows> {
        let key = generations.open(id, &self.tables.record_key(id)?)?;
        let record = view::open_value(&key, RecordId(id), value, true)?;
        let kind = records::by_tag(record.kind).ok_or_else(|| wrong("有本程序不认识的记录，请升级备机上的程序"))?;
        Ok(tables::rows(kind, &record, &|b| self.shared.secrets.lookup.short_hash(b)))
    }

    /// Facts and counters. What makes the store this one stays as it is.
    fn facts(&mut self, rows: &Rows, to: Head) -> Result<()> {
        let fixed = |name: &[u8]| {
            let fixed = [fact::VERSION, fact::STORE].into_iter().chain(fact::SECRETS);
            fixed.map(str::as_bytes).any(|f| f == name)
        };
        // What was written before an upgrade says so; this store has been brought up already.
        let number = |value: &[u8]| String::from_utf8_lossy(value).parse::<u32>().ok();
        let is_older = |name: &[u8], value: &[u8]| {
            name == fact::VERSION.as_bytes() && number(value).is_some_and(|v| (1..upgrade::STORE_VERSION).contains(&v))
        };
        for (name, value) in rows.facts.iter().filter(|(name, value)| !is_older(name, value)) {
            if fixed(name) && self.tables.fact_bytes(name)?.as_ref() != Some(value) {
                return Err(wrong("数据格式或库自身的密钥不同，请升级备机上的程序，或重新建立备机"));
            }
            self.tables.meta.insert(name.as_slice(), value.as_slice()).map_err(damage)?;
        }
        let mut gone = rows.gone.clone();
        if rows.whole_meta {
            let there: BTreeSet<&[u8]> = rows.facts.iter().map(|(name, _)| name.as_slice()).collect();
            for row in self.tables.meta.iter().map_err(damage)? {
                let name = row.map_err(damage)?.0.value().to_vec();
                gone.extend((!there.contains(name.as_slice())).then_some(name));
            }
        }
        let kept = |name: &[u8]| fixed(name) || name.starts_with(fact::LOCAL.as_bytes());
        for name in gone.iter().filter(|name| !kept(name)) {
            self.tables.meta.remove(name.as_slice()).map_err(damage)?;
        }
        self.tables.meta.insert(fact::HEAD.as_bytes(), view::write_head(&to).as_slice()).map_err(damage)?;
        for (name, last) in &rows.counters {
            if *last < self.tables.counter(name)? {
                return Err(wrong("编号计数器倒退"));
            }
            self.tables.counters.insert(name.as_slice(), last).map_err(damage)?;
        }
        Ok(())
    }

    /// The new entries, as they came.
    fn journal(&mut self, fresh: &[Entry], rows: &Rows) -> Result<()> {
        let known = rows.entries.len() - fresh.len();
        for ((seq, bytes), entry) in rows.entries[known..].iter().zip(fresh) {
            self.tables.journal.insert(*seq, bytes.as_slice()).map_err(damage)?;
            self.tables.derived.touch(&entry.header)?;
        }
        Ok(())
    }

    /// The store is of one piece: epoch and next id are those of journal and records, every record key opens.
    fn ends_well(&self, fresh: &[Entry]) -> Result<()> {
        let last = self.tables.records.last().map_err(damage)?.map_or(0, |(id, _)| id.value());
        if self.tables.next_id()? != last + 1 {
            return Err(wrong("记录有缺"));
        }
        if fresh.last().map(|e| e.header.epoch) != Some(epoch_of(&self.tables)?) {
            return Err(wrong("纪元与日志不一致"));
        }
        let stays = |number: u32| self.new.keys().iter().any(|(n, _)| *n == number);
        if self.old.keys().iter().all(|(n, _)| stays(*n)) {
            return Ok(());
        }
        // A generation goes: nothing may lie under it.
        for row in self.tables.record_keys(0)? {
            let (id, wrapped) = row?;
            if !Generations::number_of(&wrapped).is_some_and(stays) {
                return Err(wrong(&format!("记录 {id} 的密钥没有随代密钥更换")));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;

//! Applying a buffer to the open tables, and rebuilding what is derived.

use std::collections::BTreeMap;

use redb::{ReadableTable, Table, WriteTransaction};

use super::fault::{Bug, planted};
use super::journal::{self, Entry, Head, Header, Part};
use super::tables::{
    self, CHILDREN, COUNTERS, HIDDEN, JOURNAL, LISTS, LOOKUPS, META, PURGED, RECORD_KEYS, RECORDS, Rows, TALLIES,
    TOUCHES,
};
use super::{Shared, damage, fact, upgrade, view};
use crate::base::{Error, ErrorKind, RecordId, Result, Seq};
use crate::records::{self, Record, act};

/// One record to be stored.
pub(super) struct Put {
    pub(super) after: Record,
    pub(super) value: Vec<u8>,
    pub(super) wrapped: Option<Vec<u8>>,
    pub(super) rows: Rows,
    pub(super) old_rows: Rows,
    pub(super) parts: Vec<Part>,
}

/// Everything one command leaves.
pub(super) struct Pending {
    pub(super) head: Head,
    pub(super) header: Header,
    pub(super) parts: Vec<Part>,
    pub(super) puts: Vec<Put>,
    pub(super) counters: BTreeMap<Vec<u8>, u64>,
    /// Keys of records, wrapped anew.
    pub(super) rewrapped: Vec<(u64, Vec<u8>)>,
    /// Facts to set, or to take away.
    pub(super) facts: Vec<(String, Option<Vec<u8>>)>,
}

impl Pending {
    /// It changes records or their keys, or keeps a draft; it does not merely say what was done.
    pub(super) fn changes(&self) -> bool {
        let drafts = |(name, value): &(String, Option<Vec<u8>>)| value.is_some() && name.starts_with(fact::DRAFT);
        !self.puts.is_empty()
            || !self.counters.is_empty()
            || !self.rewrapped.is_empty()
            || self.facts.iter().any(drafts)
    }

    /// It sets facts of the store besides those that every command sets.
    pub(super) fn sets_facts(&self) -> bool {
        self.facts.iter().any(|(name, _)| name != fact::NEXT_ID)
    }
}

/// All tables, open for writing.
pub(super) struct WriteTables<'t> {
    pub(super) meta: Table<'t, &'static [u8], &'static [u8]>,
    pub(super) counters: Table<'t, &'static [u8], u64>,
    pub(super) records: Table<'t, u64, &'static [u8]>,
    pub(super) keys: Table<'t, u64, &'static [u8]>,
    pub(super) journal: Table<'t, u64, &'static [u8]>,
    pub(super) derived: Derived<'t>,
}

pub(super) struct Derived<'t> {
    lists: Table<'t, &'static [u8], ()>,
    tallies: Table<'t, &'static [u8], u64>,
    lookups: Table<'t, &'static [u8], ()>,
    children: Table<'t, &'static [u8], ()>,
    touches: Table<'t, &'static [u8], ()>,
    hidden: Table<'t, u64, ()>,
    purged: Table<'t, u64, u64>,
}

impl<'t> WriteTables<'t> {
    pub(super) fn open(txn: &'t WriteTransaction) -> Result<Self> {
        Ok(Self {
            meta: txn.open_table(META).map_err(damage)?,
            counters: txn.open_table(COUNTERS).map_err(damage)?,
            records: txn.open_table(RECORDS).map_err(damage)?,
            keys: txn.open_table(RECORD_KEYS).map_err(damage)?,
            journal: txn.open_table(JOURNAL).map_err(damage)?,
            derived: Derived::open(txn)?,
        })
    }

    pub(super) fn record(&self, id: u64) -> Result<Option<Vec<u8>>> {
        Ok(self.records.get(id).map_err(damage)?.map(|v| v.value().to_vec()))
    }

    pub(super) fn record_key(&self, id: u64) -> Result<Vec<u8>> {
        let key = self.keys.get(id).map_err(damage)?;
        key.map(|v| v.value().to_vec()).ok_or_else(|| Error::damaged(format!("缺少记录 {id} 的密钥")))
    }

    /// Record keys from `from` on, wrapped, in order of ids.
    pub(super) fn record_keys(&self, from: u64) -> Result<impl Iterator<Item = Result<(u64, Vec<u8>)>> + '_> {
        let rows = self.keys.range(from..).map_err(damage)?;
        Ok(rows.map(|row| row.map(|(id, key)| (id.value(), key.value().to_vec())).map_err(damage)))
    }

    /// Hash of an entry, which a chain continues; zeros before the first.
    pub(super) fn entry_hash(&self, seq: Seq) -> Result<[u8; 32]> {
        if seq.0 == 0 {
            return Ok([0; 32]);
        }
        let entry = self.journal.get(seq.0).map_err(damage)?;
        let entry = entry.ok_or_else(|| Error::damaged(format!("日志缺少第 {seq} 条")))?;
        Ok(journal::read(entry.value())?.hash)
    }

    pub(super) fn is_purged(&self, id: u64) -> Result<bool> {
        Ok(self.derived.purged.get(id).map_err(damage)?.is_some())
    }

    pub(super) fn is_hidden(&self, batch: RecordId) -> Result<bool> {
        Ok(self.derived.hidden.get(batch.0).map_err(damage)?.is_some())
    }

    pub(super) fn counter(&self, name: &[u8]) -> Result<u64> {
        Ok(self.counters.get(name).map_err(damage)?.map_or(0, |v| v.value()))
    }

    pub(super) fn fact(&self, name: &str) -> Result<Option<Vec<u8>>> {
        self.fact_bytes(name.as_bytes())
    }

    pub(super) fn fact_bytes(&self, name: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.meta.get(name).map_err(damage)?.map(|v| v.value().to_vec()))
    }

    pub(super) fn next_id(&self) -> Result<u64> {
        let text = self.fact(fact::NEXT_ID)?.unwrap_or_default();
        String::from_utf8_lossy(&text).parse().map_err(|_| Error::damaged("下一个记录号"))
    }

    /// Ids in the list of a kind, a unit and a state.
    pub(super) fn listed(&self, prefix: &[u8]) -> Result<Vec<u64>> {
        let mut ids = Vec::new();
        for row in self.derived.lists.range::<&[u8]>(prefix..).map_err(damage)? {
            let (key, _) = row.map_err(damage)?;
            if !key.value().starts_with(prefix) {
                break;
            }
            ids.push(tables::list_parts(key.value()).ok_or_else(|| Error::damaged("派生表的键"))?.1);
        }
        Ok(ids)
    }

    /// Names of facts below a prefix.
    pub(super) fn fact_names(&self, prefix: &str) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for row in self.meta.range::<&[u8]>(prefix.as_bytes()..).map_err(damage)? {
            let (name, _) = row.map_err(damage)?;
            if !name.value().starts_with(prefix.as_bytes()) {
                break;
            }
            names.push(String::from_utf8_lossy(name.value()).into_owned());
        }
        Ok(names)
    }

    pub(super) fn lookup(&self, prefix: &[u8]) -> Result<Vec<u64>> {
        view::ids_below(&self.derived.lookups, prefix)
    }

    /// The entries of a record's story, in order.
    pub(super) fn story(&self, id: u64) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for seq in view::ids_below(&self.derived.touches, &id.to_be_bytes())? {
            let bytes = self.journal.get(seq).map_err(damage)?;
            entries.extend(bytes.map(|b| journal::read(b.value())).transpose()?);
        }
        Ok(entries)
    }

    pub(super) fn children(&self, prefix: &[u8]) -> Result<Vec<u64>> {
        view::ids_below(&self.derived.children, prefix)
    }

    /// Makes a buffer real, in this transaction; the new head of the journal, which is still to be set.
    pub(super) fn apply(&mut self, pending: &Pending) -> Result<Head> {
        let left_out = planted(Bug::ChangeLeftOut);
        for put in pending.puts.iter().filter(|_| !left_out) {
            let id = put.after.id.0;
            self.records.insert(id, put.value.as_slice()).map_err(damage)?;
            if let Some(wrapped) = &put.wrapped {
                self.keys.insert(id, wrapped.as_slice()).map_err(damage)?;
            }
            self.derived.remove(&put.old_rows)?;
            self.derived.insert(&put.rows)?;
        }
        for (id, wrapped) in &pending.rewrapped {
            self.keys.insert(id, wrapped.as_slice()).map_err(damage)?;
        }
        let forgotten = planted(Bug::CounterForgotten);
        for (name, value) in pending.counters.iter().filter(|_| !forgotten) {
            self.counters.insert(name.as_slice(), value).map_err(damage)?;
        }
        for (name, value) in &pending.facts {
            match value {
                Some(value) => self.meta.insert(name.as_bytes(), value.as_slice()).map_err(damage)?,
                None => self.meta.remove(name.as_bytes()).map_err(damage)?,
            };
        }
        let (bytes, head) = journal::chain(&pending.head, &pending.header, &pending.parts);
        if !planted(Bug::EntryLeftOut) {
            self.journal.insert(head.seq.0, bytes.as_slice()).map_err(damage)?;
        }
        self.derived.touch(&pending.header)?;
        Ok(head)
    }

    /// The journal ends here; once, after the last buffer of a transaction.
    pub(super) fn set_head(&mut self, head: &Head) -> Result<()> {
        let stored = view::write_head(head);
        self.meta.insert(fact::HEAD.as_bytes(), stored.as_slice()).map(drop).map_err(damage)
    }
}

impl<'t> Derived<'t> {
    fn open(txn: &'t WriteTransaction) -> Result<Self> {
        Ok(Self {
            lists: txn.open_table(LISTS).map_err(damage)?,
            tallies: txn.open_table(TALLIES).map_err(damage)?,
            lookups: txn.open_table(LOOKUPS).map_err(damage)?,
            children: txn.open_table(CHILDREN).map_err(damage)?,
            touches: txn.open_table(TOUCHES).map_err(damage)?,
            hidden: txn.open_table(HIDDEN).map_err(damage)?,
            purged: txn.open_table(PURGED).map_err(damage)?,
        })
    }

    pub(super) fn insert(&mut self, rows: &Rows) -> Result<()> {
        self.lists.insert(rows.list.as_slice(), ()).map_err(damage)?;
        for key in &rows.lookups {
            self.lookups.insert(key.as_slice(), ()).map_err(damage)?;
        }
        if let Some(key) = &rows.child {
            self.children.insert(key.as_slice(), ()).map_err(damage)?;
        }
        if let Some(batch) = rows.hides {
            self.hidden.insert(batch, ()).map_err(damage)?;
        }
        self.count(&rows.tally, 1)
    }

    pub(super) fn remove(&mut self, rows: &Rows) -> Result<()> {
        if rows.list.is_empty() {
            return Ok(());
        }
        self.lists.remove(rows.list.as_slice()).map_err(damage)?;
        for key in &rows.lookups {
            self.lookups.remove(key.as_slice()).map_err(damage)?;
        }
        if let Some(key) = &rows.child {
            self.children.remove(key.as_slice()).map_err(damage)?;
        }
        if let Some(batch) = rows.hides {
            self.hidden.remove(batch).map_err(damage)?;
        }
        self.count(&rows.tally, -1)
    }

    fn count(&mut self, key: &[u8], by: i64) -> Result<()> {
        let now = self.tallies.get(key).map_err(damage)?.map_or(0, |v| v.value());
        let next = now.checked_add_signed(by).ok_or_else(|| Error::damaged("列表计数"))?;
        if next == 0 {
            self.tallies.remove(key).map_err(damage)?;
        } else {
            self.tallies.insert(key, next).map_err(damage)?;
        }
        Ok(())
    }

    /// Lists and searches name many records and are not part of a record's own story.
    pub(super) fn touch(&mut self, header: &Header) -> Result<()> {
        for id in tables::purged_by(header) {
            self.purged.insert(id, header.seq.0).map_err(damage)?;
        }
        if act::is_list(header.action) {
            return Ok(());
        }
        for subject in &header.subjects {
            let key = tables::touch_key(subject.id.0, header.seq.0);
            self.touches.insert(key.as_slice(), ()).map_err(damage)?;
        }
        Ok(())
    }
}

/// Throws the derived tables away and makes them again from records and journal. What does not open is left out where
/// it says so: nobody can read it, the check tells of it, and everything else goes on.
pub(super) fn rebuild(shared: &Shared, without_damaged: bool) -> Result<()> {
    let generations = shared.ring.generations();
    let txn = upgrade::begin(&shared.db)?;
    for gone in [LISTS, LOOKUPS, CHILDREN, TOUCHES] {
        txn.delete_table(gone).map_err(damage)?;
    }
    txn.delete_table(TALLIES).map_err(damage)?;
    txn.delete_table(HIDDEN).map_err(damage)?;
    txn.delete_table(PURGED).map_err(damage)?;
    {
        let tables = WriteTables::open(&txn)?;
        let WriteTables { records, keys, journal, mut derived, mut meta, .. } = tables;
        meta.remove(fact::STALE.as_bytes()).map_err(damage)?;
        let open = |id: u64, value: &[u8]| {
            let wrapped = keys.get(id).map_err(damage)?.ok_or_else(|| Error::damaged("记录密钥"))?;
            let key = generations.open(id, wrapped.value())?;
            let record = view::open_value(&key, RecordId(id), value, true)?;
            let kind = records::by_tag(record.kind).ok_or_else(|| Error::damaged("记录类别"))?;
            Ok(tables::rows(kind, &record, &|b| shared.secrets.lookup.short_hash(b)))
        };
        for row in records.iter().map_err(damage)? {
            let (id, value) = row.map_err(damage)?;
            if let Some(rows) = unless_damaged(open(id.value(), value.value()), without_damaged)? {
                derived.insert(&rows)?;
            }
        }
        for row in journal.iter().map_err(damage)? {
            let entry = journal::read(row.map_err(damage)?.1.value());
            if let Some(entry) = unless_damaged(entry, without_damaged)? {
                derived.touch(&entry.header)?;
            }
        }
    }
    txn.commit().map_err(damage)
}

fn unless_damaged<T>(read: Result<T>, left_out: bool) -> Result<Option<T>> {
    match read {
        Err(e) if left_out && e.kind() == ErrorKind::Damaged => Ok(None),
        other => other.map(Some),
    }
}

//! A standby's own journal. The journal it follows is another host's: whoever logs in and reads here is answered for
//! in entries of the same form, in a chain of their own, which no segment brings, takes or changes.

use redb::{ReadTransaction, ReadableTable, TableError, WriteTransaction};

use super::journal::{self, Entry, Head};
use super::pending::{Pending, WriteTables};
use super::seal::sha256;
use super::tables::{LOCAL_JOURNAL, META};
use super::{Shared, Snapshot, Store, damage, fact, lock, upgrade, view};
use crate::base::{Error, Result, Seq};

const DOMAIN: &[u8] = b"jiceng-local-journal-1";

/// The head before the first entry: no entry of the store's own journal continues it.
fn start(store: &str) -> Head {
    Head { seq: Seq(0), hash: sha256(&[DOMAIN, store.as_bytes()]) }
}

/// A store that follows another one goes on with its own journal where it stands.
pub(super) fn take_up(shared: &Shared) -> Result<()> {
    let (txn, _) = shared.begin_read()?;
    let meta = txn.open_table(META).map_err(damage)?;
    if meta.get(fact::FOLLOWING.as_bytes()).map_err(damage)?.is_some() {
        *lock(&shared.local) = Some(head(&meta, &shared.ring.store)?);
    }
    Ok(())
}

fn head(meta: &impl ReadableTable<&'static [u8], &'static [u8]>, store: &str) -> Result<Head> {
    let stored = meta.get(fact::LOCAL_HEAD.as_bytes()).map_err(damage)?;
    stored.map_or_else(|| Ok(start(store)), |bytes| view::read_head(bytes.value()))
}

/// Makes the entry of a buffer real in the standby's own journal, and nothing else of it.
pub(super) fn apply(txn: &WriteTransaction, tables: &mut WriteTables<'_>, pending: &Pending) -> Result<Head> {
    let (bytes, head) = journal::chain(&pending.head, &pending.header, &pending.parts);
    let mut own = txn.open_table(LOCAL_JOURNAL).map_err(damage)?;
    own.insert(head.seq.0, bytes.as_slice()).map_err(damage)?;
    tables.meta.insert(fact::LOCAL_HEAD.as_bytes(), view::write_head(&head).as_slice()).map_err(damage)?;
    Ok(head)
}

/// Reads the whole chain: how many entries there are, or what is wrong.
pub(super) fn verify(txn: &ReadTransaction, store: &str) -> Result<u64> {
    let meta = txn.open_table(META).map_err(damage)?;
    let stored = head(&meta, store)?;
    let mut at = start(store);
    if let Some(table) = table(txn)? {
        for row in table.iter().map_err(damage)? {
            let (seq, bytes) = row.map_err(damage)?;
            let entry = journal::verify(&at, bytes.value())?;
            at = Head { seq: entry.header.seq, hash: entry.hash };
            if seq.value() != at.seq.0 {
                return Err(Error::damaged(format!("备机日志缺少第 {} 条", at.seq)));
            }
        }
    }
    if at == stored { Ok(at.seq.0) } else { Err(Error::damaged("备机日志的链头对不上")) }
}

type Table = redb::ReadOnlyTable<u64, &'static [u8]>;

/// There is none where nobody ever logged in on a standby.
fn table(txn: &ReadTransaction) -> Result<Option<Table>> {
    match txn.open_table(LOCAL_JOURNAL) {
        Ok(table) => Ok(Some(table)),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(e) => Err(damage(e)),
    }
}

impl Store {
    /// What the store follows, in the words it was told; `None` when it follows nothing.
    pub fn following(&self) -> Result<Option<String>> {
        let told = self.read()?.fact(fact::FOLLOWING)?;
        Ok(told.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// From now on the store takes changes by [`Store::apply`] only, and enters who reads in a journal of its own;
    /// `told` says what it follows. Entries that another standby of the same store made go before its own: `from` is a
    /// store that this one replaces.
    pub fn follow(&self, told: String, from: Option<&Self>) -> Result<()> {
        let carried = from.map(Self::local_rows).transpose()?.filter(|rows| !rows.is_empty());
        self.queue.alone(move |shared| {
            let txn = upgrade::begin(&shared.db)?;
            let own = {
                let mut meta = txn.open_table(META).map_err(damage)?;
                meta.insert(fact::FOLLOWING.as_bytes(), told.as_bytes()).map_err(damage)?;
                if let Some(rows) = carried {
                    txn.delete_table(LOCAL_JOURNAL).map_err(damage)?;
                    let mut table = txn.open_table(LOCAL_JOURNAL).map_err(damage)?;
                    let mut last = start(&shared.ring.store);
                    for (seq, bytes) in rows {
                        let entry = journal::verify(&last, &bytes)?;
                        last = Head { seq: entry.header.seq, hash: entry.hash };
                        table.insert(seq, bytes.as_slice()).map_err(damage)?;
                    }
                    let head = view::write_head(&last);
                    meta.insert(fact::LOCAL_HEAD.as_bytes(), head.as_slice()).map_err(damage)?;
                }
                head(&meta, &shared.ring.store)?
            };
            txn.commit().map_err(damage)?;
            *lock(&shared.local) = Some(own);
            Ok(())
        })
    }

    fn local_rows(&self) -> Result<Vec<(u64, Vec<u8>)>> {
        let mut rows = Vec::new();
        self.read()?.each_local(&mut |seq, bytes| {
            rows.push((seq, bytes.to_vec()));
            Ok(())
        })?;
        Ok(rows)
    }
}

impl Snapshot {
    /// Head of the standby's own journal; `None` where there never was one.
    pub fn local_head(&self) -> Result<Option<Head>> {
        self.fact(fact::LOCAL_HEAD)?.map(|bytes| view::read_head(&bytes)).transpose()
    }

    /// The newest entries of the standby's own journal, newest first.
    pub fn newest_local(&self, most: usize) -> Result<Vec<Entry>> {
        let Some(table) = table(&self.txn)? else { return Ok(Vec::new()) };
        let rows = table.iter().map_err(damage)?.rev().take(most);
        rows.map(|row| journal::read(row.map_err(damage)?.1.value())).collect()
    }

    /// Every stored entry of it, in order.
    pub(super) fn each_local(&self, sink: &mut dyn FnMut(u64, &[u8]) -> Result<()>) -> Result<()> {
        let Some(table) = table(&self.txn)? else { return Ok(()) };
        for row in table.iter().map_err(damage)? {
            let (seq, bytes) = row.map_err(damage)?;
            sink(seq.value(), bytes.value())?;
        }
        Ok(())
    }
}

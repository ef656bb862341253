//! Everything that must survive, as a stream of rows for a backup, and a new store made from such a stream.
//! Derived tables are not in it: they are rebuilt.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use redb::backends::FileBackend;
use redb::{Database, ReadableTable, StorageBackend, Table, WriteTransaction};

use super::ring::Ring;
use super::seal::Secret;
use super::tables::{COUNTERS, JOURNAL, LOCAL_JOURNAL, META, RECORD_KEYS, RECORDS};
use super::{Snapshot, Store, blob, damage, fact, kept, set_private, upgrade};
use crate::base::{Clock, Error, RecordId, Result};
use crate::records::FileRef;

/// One row of an archive: which table, key, value. In archives of the first form attachments are rows too, a piece at
/// a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveRow {
    /// 1 meta, 2 counters, 3 records, 4 record keys, 5 journal, 6 a piece of an attachment, 7 entries of a standby.
    pub table: u8,
    /// Key bytes; integers big-endian.
    pub key: Vec<u8>,
    /// Value bytes; integers big-endian.
    pub value: Vec<u8>,
}

pub(super) const META_ROWS: u8 = 1;
pub(super) const COUNTER_ROWS: u8 = 2;
pub(super) const RECORD_ROWS: u8 = 3;
pub(super) const KEY_ROWS: u8 = 4;
pub(super) const JOURNAL_ROWS: u8 = 5;
const BLOB_ROWS: u8 = 6;
/// Entries that a standby made before it was promoted.
const LOCAL_ROWS: u8 = 7;
/// Rows at each end of a table by which its size is guessed.
const ROWS_SEEN: usize = 500;
const ROWS_A_COMMIT: usize = 5_000;

impl Snapshot {
    /// Feeds every row of the snapshot to `sink`. Attachments are no rows: see [`Snapshot::named_files`].
    pub fn dump(&self, sink: &mut dyn FnMut(ArchiveRow) -> Result<()>) -> Result<()> {
        let meta = self.txn.open_table(META).map_err(damage)?;
        for row in meta.iter().map_err(damage)? {
            let (key, value) = row.map_err(damage)?;
            sink(ArchiveRow { table: META_ROWS, key: key.value().to_vec(), value: value.value().to_vec() })?;
        }
        let counters = self.txn.open_table(COUNTERS).map_err(damage)?;
        for row in counters.iter().map_err(damage)? {
            let (key, value) = row.map_err(damage)?;
            let value = value.value().to_be_bytes().to_vec();
            sink(ArchiveRow { table: COUNTER_ROWS, key: key.value().to_vec(), value })?;
        }
        for (number, table) in [(RECORD_ROWS, RECORDS), (KEY_ROWS, RECORD_KEYS), (JOURNAL_ROWS, JOURNAL)] {
            let rows = self.txn.open_table(table).map_err(damage)?;
            for row in rows.iter().map_err(damage)? {
                let (key, value) = row.map_err(damage)?;
                let key = key.value().to_be_bytes().to_vec();
                sink(ArchiveRow { table: number, key, value: value.value().to_vec() })?;
            }
        }
        self.each_local(&mut |seq, bytes| {
            sink(ArchiveRow { table: LOCAL_ROWS, key: seq.to_be_bytes().to_vec(), value: bytes.to_vec() })
        })
    }

    /// Attachments that records name, each with its record, in order of ids; then those of drafts, under id 0. What
    /// does not open is left out here and found by the check.
    pub fn named_files(&self) -> Result<Vec<(RecordId, FileRef)>> {
        let mut named = Vec::new();
        for id in self.all_ids()? {
            let Ok(Some(record)) = self.get_any(id, true) else { continue };
            named.extend(kept::files(&record.fields).into_iter().map(|f| (id, f)));
        }
        for prefix in kept::PREFIXES {
            let drafts = self.kept_below(prefix).unwrap_or_default();
            let files = drafts.iter().flat_map(|(_, fields)| kept::files(fields));
            named.extend(files.map(|f| (RecordId(0), f)));
        }
        Ok(named)
    }

    /// Bytes of keys and values that [`Snapshot::dump`] will feed, near enough to say how long it takes.
    pub fn dump_bytes(&self) -> Result<u64> {
        let mut bytes = 0;
        for table in [RECORDS, RECORD_KEYS, JOURNAL] {
            let table = self.txn.open_table(table).map_err(damage)?;
            let rows = redb::ReadableTableMetadata::len(&table).map_err(damage)?;
            // The oldest and the newest stand for all: to count them is to read them.
            let (mut seen, mut of_seen) = (0, 0);
            let range = || table.iter().map_err(damage);
            for row in range()?.take(ROWS_SEEN).chain(range()?.rev().take(ROWS_SEEN)) {
                of_seen += 8 + row.map_err(damage)?.1.value().len() as u64;
                seen += 1;
            }
            bytes += rows * of_seen / seen.max(1);
        }
        Ok(bytes)
    }

    /// A digest over the current value of every record: two stores with the same root hold the same records.
    pub fn content_root(&self) -> Result<[u8; 32]> {
        let records = self.txn.open_table(RECORDS).map_err(damage)?;
        let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
        for row in records.iter().map_err(damage)? {
            let (id, value) = row.map_err(damage)?;
            context.update(&id.value().to_be_bytes());
            context.update(&super::seal::sha256(&[value.value()]));
        }
        context.finish().as_ref().try_into().map_err(|_| Error::internal("digest length"))
    }

    /// How many records there are.
    pub fn count(&self) -> Result<u64> {
        let records = self.txn.open_table(RECORDS).map_err(damage)?;
        redb::ReadableTableMetadata::len(&records).map_err(damage)
    }

    /// Every record id there is, in order.
    pub fn all_ids(&self) -> Result<impl Iterator<Item = RecordId> + use<>> {
        Ok((1..=self.last_id()?.0).map(RecordId))
    }
}

/// Where a store is made from an archive, with a new key file, and what for.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The data folder to be.
    pub dir: &'a Path,
    /// Its key file to be.
    pub key_file: &'a Path,
    /// It is looked at and thrown away: nothing of it is synced, so that nobody's save waits for it.
    pub fleeting: bool,
}

/// Makes a store in an empty folder from the rows of an archive and its generation keys.
pub fn load(
    Place { dir, key_file, fleeting }: Place<'_>,
    store_id: &str,
    generations: Vec<(u32, Secret)>,
    rows: &mut dyn Iterator<Item = Result<ArchiveRow>>,
    clock: Arc<dyn Clock>,
) -> Result<Store> {
    fs::create_dir_all(dir)?;
    set_private(dir)?;
    Ring::adopt(dir, store_id, key_file, generations)?;
    let storage = || Storage::open(dir, fleeting);
    let db = super::redb_builder().create_with_backend(storage()?).map_err(damage)?;
    fill(&db, dir, rows)?;
    drop(db);
    let store = Store::open_on(dir, clock, storage()?)?;
    store.rebuild_derived()?;
    Ok(store)
}

/// The file of the database, synced or not.
#[derive(Debug)]
struct Storage {
    file: FileBackend,
    fleeting: bool,
}

impl Storage {
    fn open(dir: &Path, fleeting: bool) -> Result<Self> {
        let mut file = File::options();
        let file = file.read(true).write(true).create(true).truncate(false).open(dir.join(super::DATABASE_FILE))?;
        Ok(Self { file: FileBackend::new(file).map_err(damage)?, fleeting })
    }
}

impl StorageBackend for Storage {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        if self.fleeting { Ok(()) } else { self.file.sync_data() }
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.file.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }
}

/// A store that was cut off before the last commit is no store: the others sync once and without more ado, and only
/// that others who save meanwhile never wait for much at once.
fn fill(db: &Database, dir: &Path, rows: &mut dyn Iterator<Item = Result<ArchiveRow>>) -> Result<()> {
    let mut blobs = Blobs { dir, open: None };
    loop {
        let mut txn = upgrade::begin(db)?;
        upgrade::create_tables(&txn)?;
        let ended = Loading::open(&txn)?.take(rows, &mut blobs)?;
        if ended {
            blobs.close()?;
            return txn.commit().map_err(damage);
        }
        txn.set_quick_repair(false);
        txn.set_two_phase_commit(false);
        txn.commit().map_err(damage)?;
    }
}

/// The tables that an archive fills.
struct Loading<'t> {
    txn: &'t WriteTransaction,
    meta: Table<'t, &'static [u8], &'static [u8]>,
    counters: Table<'t, &'static [u8], u64>,
    records: Table<'t, u64, &'static [u8]>,
    keys: Table<'t, u64, &'static [u8]>,
    journal: Table<'t, u64, &'static [u8]>,
}

impl<'t> Loading<'t> {
    fn open(txn: &'t WriteTransaction) -> Result<Self> {
        Ok(Self {
            txn,
            meta: txn.open_table(META).map_err(damage)?,
            counters: txn.open_table(COUNTERS).map_err(damage)?,
            records: txn.open_table(RECORDS).map_err(damage)?,
            keys: txn.open_table(RECORD_KEYS).map_err(damage)?,
            journal: txn.open_table(JOURNAL).map_err(damage)?,
        })
    }

    /// Takes the rows of one commit; whether they were the last.
    fn take(
        mut self,
        rows: &mut dyn Iterator<Item = Result<ArchiveRow>>,
        blobs: &mut Blobs<'_>,
    ) -> Result<bool> {
        for _ in 0..ROWS_A_COMMIT {
            let Some(row) = rows.next() else { return Ok(true) };
            let row = row?;
            if row.table == BLOB_ROWS {
                blobs.write(&row)?;
            } else {
                self.insert(&row)?;
            }
        }
        Ok(false)
    }

    fn insert(&mut self, row: &ArchiveRow) -> Result<()> {
        let number = |bytes: &[u8]| -> Result<u64> {
            bytes.try_into().map(u64::from_be_bytes).map_err(|_| Error::damaged("备份中的一行"))
        };
        let value = row.value.as_slice();
        match row.table {
            META_ROWS => drop(self.meta.insert(row.key.as_slice(), value).map_err(damage)?),
            COUNTER_ROWS => drop(self.counters.insert(row.key.as_slice(), number(value)?).map_err(damage)?),
            RECORD_ROWS => drop(self.records.insert(number(&row.key)?, value).map_err(damage)?),
            KEY_ROWS => drop(self.keys.insert(number(&row.key)?, value).map_err(damage)?),
            JOURNAL_ROWS => drop(self.journal.insert(number(&row.key)?, value).map_err(damage)?),
            // There is such a table only where there are such rows.
            LOCAL_ROWS => {
                let mut local = self.txn.open_table(LOCAL_JOURNAL).map_err(damage)?;
                local.insert(number(&row.key)?, value).map_err(damage)?;
            }
            other => return Err(Error::damaged(format!("备份中的表 {other} 不认识"))),
        }
        Ok(())
    }
}

/// Sealed attachments come verbatim, in pieces that follow each other.
struct Blobs<'a> {
    dir: &'a Path,
    open: Option<(Vec<u8>, File)>,
}

impl Blobs<'_> {
    fn write(&mut self, row: &ArchiveRow) -> Result<()> {
        if self.open.as_ref().is_none_or(|(name, _)| *name != row.key) {
            self.close()?;
            let name = String::from_utf8_lossy(&row.key).into_owned();
            let path = blob::path(self.dir, &name).ok_or_else(|| Error::damaged("备份中的附件名"))?;
            path.parent().map_or(Ok(()), fs::create_dir_all)?;
            let file = File::options().write(true).create_new(true).open(path)?;
            self.open = Some((row.key.clone(), file));
        }
        if let Some((_, file)) = &mut self.open {
            file.write_all(&row.value)?;
        }
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        self.open.take().map_or(Ok(()), |(_, file)| Ok(file.sync_all()?))
    }
}

/// Raises the epoch of a store that was just loaded, also above one that others had meanwhile; the caller opens it
/// anew. A set-up link that was out when the backup was made opens nothing here; counters go on after these numbers;
/// the store rests, as `resting` says, until somebody confirms it.
pub fn raise_epoch(
    store: &Store,
    act: super::Act,
    resting: String,
    (counters, beyond): (Vec<(String, u64)>, u64),
) -> Result<u64> {
    store.submit(move |txn| {
        let text = txn.fact(fact::EPOCH)?.unwrap_or_default();
        let epoch: u64 = String::from_utf8_lossy(&text).parse().map_err(|_| Error::damaged("纪元"))?;
        let epoch = epoch.max(beyond);
        txn.set_fact(fact::EPOCH, (epoch + 1).to_string());
        txn.set_fact(fact::SETUP, "");
        // Where no administrators were set up yet, nobody could confirm it, and there is nothing to confirm.
        if txn.fact(fact::READY)?.is_some() {
            txn.set_fact(fact::RESTORED, resting);
        }
        counters.iter().try_for_each(|(counter, to)| txn.skip_numbers(counter, *to))?;
        txn.act(act);
        Ok(epoch + 1)
    })
}

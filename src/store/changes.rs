//! What changed since an entry of the journal, as rows of an archive: what a segment of the off-site log carries.
//!
//! What must hold: whoever has everything up to that entry, and puts these rows over it, has what the snapshot has.

use std::collections::{BTreeMap, BTreeSet};

use redb::ReadableTable;
use super::archive::{COUNTER_ROWS, JOURNAL_ROWS, KEY_ROWS, META_ROWS, RECORD_ROWS};
use super::seal::sha256;
use super::tables::{COUNTERS, JOURNAL, META, RECORD_KEYS, RECORDS};
use super::{ArchiveRow, Entry, Snapshot, damage, journal, kept};
use crate::base::{Error, RecordId, Result, Seq};
use crate::records::{FileRef, act};

/// Facts that went: only in segments.
pub const GONE_ROWS: u8 = 8;

/// The facts of a snapshot by their digests, to tell later which of them changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen(BTreeMap<Vec<u8>, [u8; 32]>);

/// What the entries since another one did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touched {
    /// Records that were brought to a new value.
    pub records: BTreeSet<u64>,
    /// Keys of other records may have changed as well.
    pub all_keys: bool,
}

impl Touched {
    fn note(&mut self, entry: &Entry) {
        let header = &entry.header;
        self.records.extend(header.subjects.iter().filter(|s| s.digest.is_some()).map(|s| s.id.0));
        self.all_keys |= header.action == act::KEY_REWRAPPED.code;
    }
}

impl Snapshot {
    /// The facts as they are now.
    pub fn seen(&self) -> Result<Seen> {
        let meta = self.txn.open_table(META).map_err(damage)?;
        let rows = meta.iter().map_err(damage)?;
        let digests = rows.map(|row| {
            let (name, value) = row.map_err(damage)?;
            Ok((name.value().to_vec(), sha256(&[value.value()])))
        });
        digests.collect::<Result<_>>().map(Seen)
    }

    /// What the entries after `after` did.
    pub fn touched_since(&self, after: Seq) -> Result<Touched> {
        let mut touched = Touched::default();
        for entry in self.journal_after(after)? {
            touched.note(&entry?);
        }
        Ok(touched)
    }

    /// Feeds everything that changed after `after` to `sink`, in the order of archives; facts only where they are not
    /// as they were `seen`.
    pub fn dump_since(
        &self,
        after: Seq,
        seen: Option<&Seen>,
        sink: &mut dyn FnMut(ArchiveRow) -> Result<()>,
    ) -> Result<()> {
        let touched = self.touched_since(after)?;
        let meta = self.txn.open_table(META).map_err(damage)?;
        for row in meta.iter().map_err(damage)? {
            let (key, value) = row.map_err(damage)?;
            let known = seen.and_then(|s| s.0.get(key.value()));
            if known.is_none_or(|digest| *digest != sha256(&[value.value()])) {
                sink(ArchiveRow {
                    table: META_ROWS,
                    key: key.value().to_vec(),
                    value: value.value().to_vec(),
                })?;
            }
        }
        let counters = self.txn.open_table(COUNTERS).map_err(damage)?;
        for row in counters.iter().map_err(damage)? {
            let (key, value) = row.map_err(damage)?;
            let value = value.value().to_be_bytes().to_vec();
            sink(ArchiveRow { table: COUNTER_ROWS, key: key.value().to_vec(), value })?;
        }
        self.dump_touched(&touched, sink)?;
        let journal = self.txn.open_table(JOURNAL).map_err(damage)?;
        for row in journal.range(after.0 + 1..).map_err(damage)? {
            let (seq, value) = row.map_err(damage)?;
            let key = seq.value().to_be_bytes().to_vec();
            sink(ArchiveRow { table: JOURNAL_ROWS, key, value: value.value().to_vec() })?;
        }
        for name in seen.iter().flat_map(|s| s.0.keys()) {
            if meta.get(name.as_slice()).map_err(damage)?.is_none() {
                sink(ArchiveRow { table: GONE_ROWS, key: name.clone(), value: Vec::new() })?;
            }
        }
        Ok(())
    }

    fn dump_touched(&self, touched: &Touched, sink: &mut dyn FnMut(ArchiveRow) -> Result<()>) -> Result<()> {
        let records = self.txn.open_table(RECORDS).map_err(damage)?;
        for id in &touched.records {
            let value = records.get(id).map_err(damage)?;
            let value = value.ok_or_else(|| Error::damaged(format!("缺少记录 {id}")))?.value().to_vec();
            sink(ArchiveRow { table: RECORD_ROWS, key: id.to_be_bytes().to_vec(), value })?;
        }
        let keys = self.txn.open_table(RECORD_KEYS).map_err(damage)?;
        let mut feed = |id: u64, value: &[u8]| {
            sink(ArchiveRow { table: KEY_ROWS, key: id.to_be_bytes().to_vec(), value: value.to_vec() })
        };
        if touched.all_keys {
            for row in keys.iter().map_err(damage)? {
                let (id, value) = row.map_err(damage)?;
                feed(id.value(), value.value())?;
            }
            return Ok(());
        }
        for id in std::iter::once(&0).chain(&touched.records) {
            let value = keys.get(id).map_err(damage)?;
            let value = value.ok_or_else(|| Error::damaged(format!("缺少记录 {id} 的密钥")))?;
            feed(*id, value.value())?;
        }
        Ok(())
    }

    /// Attachments of records that were touched, and of all drafts. What does not open is left out.
    pub fn files_of(&self, touched: &Touched) -> Result<Vec<FileRef>> {
        let mut files = Vec::new();
        for id in &touched.records {
            let Ok(Some(record)) = self.get_any(RecordId(*id), true) else { continue };
            files.extend(kept::files(&record.fields));
        }
        for prefix in kept::PREFIXES {
            let drafts = self.kept_below(prefix).unwrap_or_default();
            files.extend(drafts.iter().flat_map(|(_, fields)| kept::files(fields)));
        }
        Ok(files)
    }

    /// The hash of an entry; `None` where there is no such entry.
    pub fn hash_at(&self, seq: Seq) -> Result<Option<[u8; 32]>> {
        if seq.0 == 0 {
            return Ok(Some([0; 32]));
        }
        Ok(self.entry(seq)?.map(|e| e.hash))
    }

    /// The last entry before the first one of an epoch, from which its history goes on; `None` where it has none yet.
    pub fn before_epoch(&self, epoch: u64) -> Result<Option<Seq>> {
        let journal = self.txn.open_table(JOURNAL).map_err(damage)?;
        // Epochs never fall along the journal: the first of this one is found by halving.
        let (mut low, mut high) = (1, self.head()?.seq.0 + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            let row = journal.get(middle).map_err(damage)?;
            let row = row.ok_or_else(|| Error::damaged(format!("缺少日志第 {middle} 条")))?;
            if journal::read(row.value())?.header.epoch < epoch {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok((low <= self.head()?.seq.0).then(|| Seq(low - 1)))
    }
}

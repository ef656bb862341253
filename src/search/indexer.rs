//! The index on disk: opening, changing, committing, and knowing how far it has read the journal.
//!
//! What must hold: the position travels in the commit itself, so that documents and position can never
//! disagree; an index of another epoch or schema, or one that is not what was written, is thrown away and built
//! again from the journal. Its files are sealed ([`directory`]); one that another program or an older version
//! wrote in plain is thrown away as well. The caller owns the folder (one process at a time) and replays what is
//! missing.

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tantivy::directory::RamDirectory;
use tantivy::index::SegmentComponent;
use tantivy::{IndexReader, IndexSettings, IndexWriter, ReloadPolicy, SegmentMeta, SingleSegmentIndexWriter};
use tantivy::{TantivyError, Term};

use crate::base::{Error, ErrorKind, Result, Seq, background};
use crate::store::{FileKeys, durable};

use super::directory::{self, Vault};
use super::merging::Few;
use super::schema::{self, Fields, SCHEMA_VERSION};
use super::statistics::Shelf;
use super::{Change, Doc, FRESH_MEMORY_BYTES, INDEX_WRITER_HEAP_BYTES, INDEX_WRITER_THREADS};

/// A child process that is just being started holds the locks of this one for a moment, also those that were given
/// back: the lock of the folder is asked for so often before somebody else is said to have it.
const LOCK_TRIES: u32 = 10;
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// The index with its one writer.
pub struct Index {
    dir: PathBuf,
    epoch: u64,
    fields: Fields,
    inner: tantivy::Index,
    /// None when it is in memory.
    folder: Option<Vault>,
    /// The oldest generation under which a file of it was sealed when it was opened.
    generation: u32,
    reader: IndexReader,
    /// Somebody searched since the last commit was made visible.
    asked: AtomicBool,
    /// What is visible now.
    shelf: Mutex<Shelf>,
    /// None when the index has retired, or the last one failed.
    writer: Mutex<Option<IndexWriter>>,
    retired: AtomicBool,
    position: Mutex<Option<Seq>>,
    /// Rows that were purged up to this entry are in no file any more.
    settled: Mutex<Seq>,
}

/// What is written with each commit.
#[derive(Debug, Serialize, Deserialize)]
struct Payload {
    epoch: u64,
    seq: u64,
    schema: u32,
    #[serde(default)]
    settled: u64,
}

impl Index {
    /// Opens the index in `dir` or creates it, and tells how far it has read; `None` when it starts empty and
    /// everything must be replayed. Reads the whole index once to check it, and removes files that belong to none.
    /// `keys` seal its files.
    ///
    /// # Errors
    /// `Busy` when another process has the folder, `Io` when the folder cannot be used. Damage is no error:
    /// the contents are removed.
    pub fn open(dir: &Path, epoch: u64, keys: &FileKeys) -> Result<(Self, Option<Seq>)> {
        if !dir.exists() {
            fs::create_dir_all(dir)?;
            // What is in it would be gone with its name.
            dir.parent().map_or(Ok(()), durable::sync_folder)?;
        }
        let kept = usable(dir, epoch, keys);
        let position = kept.as_ref().map(|kept| kept.position);
        let Kept { inner, folder, generation, settled, strays, .. } = match kept {
            Some(kept) => kept,
            None => create(dir, keys)?,
        };
        let writer = start_writer(&inner)?;
        // Whoever has the folder by now is this process: nobody else is making them.
        strays.iter().try_for_each(|stray| remove(stray))?;
        let reader = reader(&inner)?;
        let (_, fields) = schema::build();
        let shelf = Mutex::new(Shelf::new(reader.searcher(), None).map_err(failed)?);
        let (dir, writer, kept) = (dir.to_owned(), Mutex::new(Some(writer)), Mutex::new(position));
        let (retired, asked, settled) = (AtomicBool::default(), AtomicBool::default(), Mutex::new(settled));
        let index = Self {
            dir,
            epoch,
            fields,
            inner,
            folder: Some(folder),
            generation,
            reader,
            asked,
            shelf,
            writer,
            retired,
            position: kept,
            settled,
        };
        Ok((index, position))
    }

    /// An index in memory, no byte of which reaches a disk or is sealed: what the sealed one is measured by.
    ///
    /// # Errors
    /// `Internal` when the engine does not start.
    pub fn in_memory() -> Result<Self> {
        let (schema, fields) = schema::build();
        let mut inner = tantivy::Index::create_in_ram(schema);
        inner.set_tokenizers(schema::tokenizers());
        let reader = reader(&inner)?;
        Ok(Self {
            dir: PathBuf::new(),
            epoch: 0,
            fields,
            writer: Mutex::new(Some(start_writer(&inner)?)),
            inner,
            folder: None,
            generation: 0,
            asked: AtomicBool::default(),
            shelf: Mutex::new(Shelf::new(reader.searcher(), None).map_err(failed)?),
            reader,
            retired: AtomicBool::default(),
            position: Mutex::default(),
            settled: Mutex::default(),
        })
    }

    /// Takes up changes; each replaces what the index had under its id. Visible after [`Self::commit`].
    ///
    /// # Errors
    /// `Internal` when the writer has died, which it does when the disk fails.
    pub fn apply(&self, changes: Vec<Change>) -> Result<()> {
        self.write(|writer| {
            for change in changes {
                writer.delete_term(Term::from_field_u64(self.fields.id, change.id));
                if let Some(doc) = change.doc {
                    writer.add_document(self.fields.document(&doc))?;
                }
            }
            Ok(())
        })
    }

    /// Lets the writer do something. One that failed may take up documents and lose them: the next time another takes
    /// its place, which stands at the last commit.
    fn write(&self, work: impl FnOnce(&mut IndexWriter) -> tantivy::Result<()>) -> Result<()> {
        let mut writer = held(&self.writer);
        if writer.is_none() && !self.retired.load(Ordering::Relaxed) {
            *writer = Some(start_writer(&self.inner)?);
        }
        let done = work(writer.as_mut().ok_or_else(retired)?);
        if done.is_err() {
            *writer = None;
        }
        done.map_err(failed)
    }

    /// Makes the changes durable and visible, together with the position `seq` in the journal.
    ///
    /// # Errors
    /// `Io` or `Internal`; the index then stands where it stood.
    pub fn commit(&self, seq: Seq) -> Result<()> {
        let settled = held(&self.settled).0;
        let payload = Payload { epoch: self.epoch, seq: seq.0, schema: SCHEMA_VERSION, settled };
        let payload = serde_json::to_string(&payload).map_err(Error::internal)?;
        self.write(|writer| {
            let mut prepared = writer.prepare_commit()?;
            prepared.set_payload(&payload);
            prepared.commit().map(drop)
        })?;
        self.show()?;
        *held(&self.position) = Some(seq);
        Ok(())
    }

    /// The position of the last commit; `None` before the first.
    pub fn position(&self) -> Option<Seq> {
        *held(&self.position)
    }

    /// Rows that can be found.
    pub fn doc_count(&self) -> u64 {
        held(&self.shelf).searcher().num_docs()
    }

    /// Whether the files of the last commit are what was written.
    ///
    /// # Errors
    /// `Io` or `Internal` when they cannot be read; a merge that removes one meanwhile does that too.
    pub fn is_sound(&self) -> Result<bool> {
        let files = files(&self.inner).map_err(failed)?;
        if let Some(folder) = &self.folder {
            folder.verify(files.iter().map(PathBuf::as_path))?;
        }
        Ok(true)
    }

    /// Forgets what was opened of its files, as if much else had been asked for since.
    #[cfg(test)]
    pub(crate) fn forget(&self) {
        if let Some(folder) = &self.folder {
            folder.forget();
        }
    }

    /// The oldest generation of keys under which a file of it was sealed when it was opened: without that generation
    /// it does not open again.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// Bytes on disk.
    ///
    /// # Errors
    /// `Io` when the folder cannot be listed.
    pub fn size_bytes(&self) -> Result<u64> {
        let mut total = 0;
        for entry in fs::read_dir(&self.dir)? {
            // A merge may remove a file between listing and asking.
            total += entry?.metadata().map_or(0, |m| m.len());
        }
        Ok(total)
    }

    /// Merges all committed segments into one and removes the files of the old ones, so that removed rows
    /// leave the disk. Blocks other writers meanwhile.
    ///
    /// # Errors
    /// `Io` or `Internal` when the merge fails, also when the engine is merging already: try again later.
    pub fn settle(&self) -> Result<()> {
        let mut writer = held(&self.writer);
        if writer.is_none() && !self.retired.load(Ordering::Relaxed) {
            *writer = Some(start_writer(&self.inner)?);
        }
        let writer = writer.as_mut().ok_or_else(retired)?;
        let segments = self.inner.searchable_segment_ids().map_err(failed)?;
        if !segments.is_empty() {
            writer.merge(&segments).wait().map_err(failed)?;
        }
        writer.garbage_collect_files().wait().map_err(failed)?;
        self.show()
    }

    /// Remembers that rows of records that were purged up to the entry `upto` are in no file any more: their removals
    /// were committed, and [`Self::settle`] came after.
    ///
    /// # Errors
    /// Those of [`Self::commit`].
    pub fn remember_settled(&self, upto: Seq) -> Result<()> {
        let before = std::mem::replace(&mut *held(&self.settled), upto);
        let done = self.commit(self.position().unwrap_or_default());
        if done.is_err() {
            *held(&self.settled) = before;
        }
        done
    }

    /// The entry up to which purged rows are in no file any more.
    pub fn settled(&self) -> Seq {
        *held(&self.settled)
    }

    /// Ends the writer and its merges and lets go of the folder, which may then be moved or removed; searches go on.
    ///
    /// # Errors
    /// `Io` or `Internal` when a merge failed; the writer has ended all the same.
    pub fn retire(&self) -> Result<()> {
        self.retired.store(true, Ordering::Relaxed);
        let writer = held(&self.writer).take();
        writer.map_or(Ok(()), |w| w.wait_merging_threads()).map_err(failed)
    }

    /// What is visible now, on which the rows `hidden` do not count.
    pub(super) fn shelf(&self, hidden: &[u64]) -> Result<Shelf> {
        self.asked.store(true, Ordering::Relaxed);
        let shelf = held(&self.shelf).clone();
        shelf.without(hidden).map_err(failed)
    }

    /// Makes what was committed visible.
    fn show(&self) -> Result<()> {
        self.reader.reload().map_err(failed)?;
        let before = held(&self.shelf).clone();
        let shelf = Shelf::new(self.reader.searcher(), Some(&before)).map_err(failed)?;
        // What was searched is searched again: while the old shelf holds the dictionaries of old segments they are not
        // opened twice, and those of new ones are there before somebody waits for them.
        if self.asked.swap(false, Ordering::Relaxed) {
            for reader in shelf.searcher().segment_readers() {
                for (field, _) in reader.schema().fields().filter(|(_, entry)| entry.is_indexed()) {
                    reader.inverted_index(field).map_err(failed)?;
                }
            }
        }
        *held(&self.shelf) = shelf;
        Ok(())
    }

    pub(super) fn fields(&self) -> Fields {
        self.fields
    }
}

/// The engine's own threads step back for others as whoever starts them does; nobody waits for what they do.
fn start_writer(index: &tantivy::Index) -> Result<IndexWriter> {
    let index = index.clone();
    let start = move || {
        let mut tries = LOCK_TRIES;
        loop {
            match index.writer_with_num_threads(INDEX_WRITER_THREADS, INDEX_WRITER_HEAP_BYTES) {
                Err(TantivyError::LockFailure(..)) if tries > 1 => tries -= 1,
                done => return done,
            }
            thread::sleep(LOCK_PAUSE);
        }
    };
    let started = background("index-start", start)?.join();
    let writer = started.map_err(|_| Error::internal("the index panicked"))?.map_err(failed)?;
    writer.set_merge_policy(Box::new(Few));
    Ok(writer)
}

/// A throw-away index of the rows the big one does not have yet.
pub(super) fn beside<'a>(docs: impl Iterator<Item = &'a Doc>) -> Result<Shelf> {
    let (schema, fields) = schema::build();
    let builder = tantivy::Index::builder().schema(schema).tokenizers(schema::tokenizers());
    let mut writer: SingleSegmentIndexWriter =
        builder.single_segment_index_writer(RamDirectory::create(), FRESH_MEMORY_BYTES).map_err(failed)?;
    for doc in docs {
        writer.add_document(fields.document(doc)).map_err(failed)?;
    }
    let index = writer.finalize().map_err(failed)?;
    Shelf::new(reader(&index)?.searcher(), None).map_err(failed)
}

/// The error of the product for an error of the engine.
pub(super) fn failed(e: TantivyError) -> Error {
    match &e {
        TantivyError::LockFailure(..) => {
            Error::new(ErrorKind::Busy, "检索索引正被另一个进程使用。请先停止它再重试。").with_detail(e)
        }
        TantivyError::IoError(io) => Error::from(std::io::Error::new(io.kind(), io.to_string())),
        _ => Error::internal(format!("index: {e}")),
    }
}

fn retired() -> Error {
    Error::internal("a retired index was written to")
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn reader(index: &tantivy::Index) -> Result<IndexReader> {
    index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into().map_err(failed)
}

/// An index that was opened.
struct Kept {
    inner: tantivy::Index,
    folder: Vault,
    generation: u32,
    position: Seq,
    settled: Seq,
    /// Files in the folder that are not of it.
    strays: Vec<PathBuf>,
}

/// The index in `dir`, if it is whole and ours.
fn usable(dir: &Path, epoch: u64, keys: &FileKeys) -> Option<Kept> {
    // The engine panics on some damaged files.
    catch_unwind(AssertUnwindSafe(|| whole(dir, epoch, keys))).ok().flatten()
}

fn whole(dir: &Path, epoch: u64, keys: &FileKeys) -> Option<Kept> {
    let folder = Vault::open(dir, keys.clone()).ok()?;
    let mut inner = tantivy::Index::open(folder.clone()).ok()?;
    let (schema, _) = schema::build();
    let payload: Payload = serde_json::from_str(&inner.load_metas().ok()?.payload?).ok()?;
    let ours = payload.epoch == epoch && payload.schema == SCHEMA_VERSION && inner.schema() == schema;
    if !ours {
        return None;
    }
    let files = files(&inner).ok()?;
    // Each chunk has a tag: what opens is what was written, and the engine's own sums say nothing more.
    let generation = folder.verify(files.iter().map(PathBuf::as_path)).ok()?;
    let strays = directory::strays(dir, &files).ok()?;
    inner.set_tokenizers(schema::tokenizers());
    let (position, settled) = (Seq(payload.seq), Seq(payload.settled));
    reader(&inner).is_ok().then_some(Kept { inner, folder, generation, position, settled, strays })
}

/// Removes a file; a merge of whoever had the index before may just have done so.
fn remove(file: &Path) -> std::io::Result<()> {
    match fs::remove_file(file) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// Names of the files of the last commit.
fn files(index: &tantivy::Index) -> tantivy::Result<BTreeSet<PathBuf>> {
    use SegmentComponent::{Delete, FastFields, FieldNorms, Positions, Postings, Store, Terms};
    let metas = index.searchable_segment_metas()?;
    let of = |meta: &SegmentMeta| {
        let removed = meta.has_deletes().then_some(Delete);
        let all = [Postings, Positions, FastFields, FieldNorms, Terms, Store].into_iter().chain(removed);
        all.map(|part| meta.relative_path(part)).collect::<Vec<_>>()
    };
    Ok(metas.iter().flat_map(of).collect())
}

/// An empty index in place of whatever `dir` holds.
fn create(dir: &Path, keys: &FileKeys) -> Result<Kept> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else {
            remove(&entry.path())?;
        }
    }
    let (schema, _) = schema::build();
    let folder = Vault::open(dir, keys.clone()).map_err(|e| failed(e.into()))?;
    let generation = keys.current();
    let mut inner = tantivy::Index::create(folder.clone(), schema, IndexSettings::default()).map_err(failed)?;
    inner.set_tokenizers(schema::tokenizers());
    Ok(Kept { inner, folder, generation, position: Seq(0), settled: Seq(0), strays: Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ask, changes, doc, everything, ids, index, keys};
    use super::*;

    #[test]
    fn the_position_lives_with_the_index_and_another_epoch_starts_anew() {
        let (dir, index) = index(&[doc(1, "一件", "举报")]);
        assert_eq!(index.position(), Some(Seq(5)));
        assert!(index.size_bytes().unwrap() > 0);
        drop(index);
        let (index, at) = Index::open(dir.path(), 1, &keys()).unwrap();
        assert_eq!((at, index.doc_count()), (Some(Seq(5)), 1));
        assert_eq!(ids(&index.search(&everything(), &ask("举报"), &[]).unwrap()), [1]);
        drop(index);
        let (index, at) = Index::open(dir.path(), 2, &keys()).unwrap();
        assert_eq!((at, index.position(), index.doc_count()), (None, None, 0));
    }

    #[test]
    fn a_stray_that_somebody_else_removes_meanwhile_keeps_nobody_out() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("stray");
        fs::write(&file, b"x").unwrap();
        remove(&file).unwrap();
        remove(&file).unwrap();
        assert!(remove(dir.path()).is_err() && !file.exists());
    }

    #[test]
    fn a_damaged_index_starts_anew() {
        let (dir, index) = index(&[doc(1, "一件", "举报")]);
        drop(index);
        let files = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().path());
        let postings = files.into_iter().find(|p| p.extension().is_some_and(|e| e == "idx")).unwrap();
        let mut bytes = fs::read(&postings).unwrap();
        bytes[3] ^= 1;
        fs::write(&postings, bytes).unwrap();
        let (index, at) = Index::open(dir.path(), 1, &keys()).unwrap();
        assert_eq!((at, index.doc_count()), (None, 0));
    }

    #[test]
    fn the_folder_has_one_owner() {
        let (dir, _index) = index(&[]);
        let second = Index::open(dir.path(), 1, &keys()).err().map(|e| e.kind());
        assert_eq!(second, Some(ErrorKind::Busy));
    }

    /// A server that made another index while it started a child was told that another process has the folder.
    #[test]
    fn a_lock_that_is_held_for_a_moment_is_waited_for() {
        let (dir, index) = index(&[]);
        drop(index);
        let name = tantivy::directory::INDEX_WRITER_LOCK.filepath.clone();
        let held = fs::File::open(dir.path().join(name)).unwrap();
        held.try_lock().unwrap();
        let child = thread::spawn(move || {
            thread::sleep(LOCK_PAUSE * 2);
            drop(held);
        });
        Index::open(dir.path(), 1, &keys()).unwrap();
        child.join().unwrap();
    }

    #[test]
    fn changes_replace_and_remove() {
        let (_dir, index) = index(&[doc(1, "一件", "举报"), doc(2, "二件", "举报")]);
        let removal = Change { id: 2, doc: None };
        index.apply([changes(&[doc(1, "一件", "控告")]), vec![removal]].concat()).unwrap();
        index.commit(Seq(6)).unwrap();
        assert!(ids(&index.search(&everything(), &ask("举报"), &[]).unwrap()).is_empty());
        assert_eq!(ids(&index.search(&everything(), &ask("控告"), &[]).unwrap()), [1]);
        assert_eq!((index.doc_count(), index.position()), (1, Some(Seq(6))));
    }

    /// A writer that had lost its threads took documents, dropped them, and said that all was well.
    #[test]
    fn what_a_failed_commit_lost_can_be_brought_again() {
        let (dir, index) = index(&[doc(1, "一件", "举报")]);
        let away = dir.path().with_extension("away");
        fs::rename(dir.path(), &away).unwrap();
        let brought = || index.apply(changes(&[doc(2, "二件", "举报")])).and_then(|()| index.commit(Seq(6)));
        assert!(brought().is_err() && brought().is_err());
        assert_eq!(index.position(), Some(Seq(5)));
        fs::rename(&away, dir.path()).unwrap();
        brought().unwrap();
        assert_eq!(ids(&index.search(&everything(), &ask("举报"), &[]).unwrap()).len(), 2);
    }

    /// Every term that stands in a file of the index.
    fn terms(index: &Index) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        for reader in index.reader.searcher().segment_readers() {
            for (field, _) in reader.schema().fields().filter(|(_, entry)| entry.is_indexed()) {
                let postings = reader.inverted_index(field).unwrap();
                let mut stream = postings.terms().stream().unwrap();
                while stream.advance() {
                    all.push(stream.key().to_vec());
                }
            }
        }
        all
    }

    /// What was purged and removed stood in the files of the index until some later merge.
    #[test]
    fn what_was_forgotten_stands_in_no_file_and_that_is_remembered() {
        let (dir, index) = index(&[doc(1, "一件", "举报"), doc(2, "二件", "砚漆")]);
        index.settle().unwrap();
        let has = |index: &Index| {
            let holds = |t: &Vec<u8>| String::from_utf8_lossy(t).contains("漆");
            terms(index).iter().any(holds)
        };
        index.apply(vec![Change { id: 2, doc: None }]).unwrap();
        index.commit(Seq(6)).unwrap();
        assert!(has(&index), "removed rows keep their terms");
        assert_eq!(index.settled(), Seq(0));
        index.settle().unwrap();
        index.remember_settled(Seq(6)).unwrap();
        assert_eq!((has(&index), index.settled(), index.position()), (false, Seq(6), Some(Seq(6))));
        drop(index);
        let (index, at) = Index::open(dir.path(), 1, &keys()).unwrap();
        assert_eq!((at, index.settled(), index.doc_count()), (Some(Seq(6)), Seq(6), 1));
    }

    #[test]
    fn settling_takes_removed_rows_off_the_disk() {
        let (_dir, index) = index(&[doc(1, "一件", "举报"), doc(2, "二件", "举报")]);
        // In one segment: one that holds nothing else goes with its last row.
        index.settle().unwrap();
        index.apply(vec![Change { id: 2, doc: None }]).unwrap();
        index.commit(Seq(6)).unwrap();
        let removed =
            || index.reader.searcher().segment_readers().iter().map(|s| s.num_deleted_docs()).sum::<u32>();
        assert_eq!(removed(), 1);
        index.settle().unwrap();
        assert_eq!((removed(), index.doc_count(), index.position()), (0, 1, Some(Seq(6))));
    }
}

//! Filling the pool for a set: what is not there yet is copied, sealed as it lies in the store; what is there is looked
//! at, and a rolling share of it read again.
//!
//! What must hold: an attachment that is there is not copied again; what is listed is there with the right length, and
//! what was written now was synced, read back and opened; all are read again over [`limits::POOL_ROUNDS`] runs; what is
//! found rotten there is written anew from the store. What is rotten in the store and not in the pool is left to the
//! check of the set.

use std::collections::{HashMap, HashSet};
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};

use super::crypt::Metered;
use super::manifest::{self, Damaged};
use super::pool::{self, Listing, Member, Pool};
use super::{Amount, Progress, Watch, file_name, flawed, write_failed};
use crate::base::{Error, RecordId, Result, Unhurried, limits, not_kept};
use crate::records::FileRef;
use crate::store::{self, Snapshot, Store};

const PIECE: usize = 1 << 20;

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Filled {
    /// What the set needs.
    pub(super) listing: Listing,
    /// Members that were written now.
    pub(super) added: u64,
    /// Their bytes.
    pub(super) added_bytes: u64,
    /// Members that were found rotten and written anew.
    pub(super) mended: u64,
    /// Attachments that are damaged in the store while the pool has them whole.
    pub(super) rescued: Vec<Damaged>,
    /// Where reading again goes on.
    cursor: Option<String>,
}

impl Filled {
    /// Notes how far reading again came; for a run that came to its end.
    pub(super) fn read_on(&self, pool: &Pool) -> Result<()> {
        self.cursor.as_ref().map_or(Ok(()), |name| pool.set_cursor(name))
    }
}

/// Fills the pool for a snapshot.
pub(super) fn fill(store: &Store, snapshot: &Snapshot, pool: &Pool, progress: Watch<'_>) -> Result<Filled> {
    let named: Vec<(RecordId, String, FileRef)> = snapshot
        .named_files()?
        .into_iter()
        .map(|(id, file)| (id, pool::name_of(store, &file), file))
        .collect();
    let mut filler = Filler {
        store,
        pool,
        progress,
        lying: pool.lying()?,
        share: HashSet::new(),
        lost: HashSet::new(),
        ahead: HashMap::new(),
        so_far: Amount::default(),
        filled: Filled::default(),
    };
    filler.choose_share(&named);
    filler.so_far.of = filler.work_ahead(&named);
    filler.write_ahead(&named)?;
    for (id, name, file) in &named {
        filler.take(*id, name, file)?;
    }
    // Names that a run left which failed may not last yet either.
    pool.sync(filler.filled.listing.iter())?;
    Ok(filler.filled)
}

struct Filler<'a> {
    store: &'a Store,
    pool: &'a Pool,
    progress: Watch<'a>,
    lying: std::collections::BTreeMap<String, Vec<Member>>,
    /// Names of members that are read again in this run.
    share: HashSet<String>,
    /// Names of attachments that are whole nowhere.
    lost: HashSet<String>,
    /// What came of those that were not there at all.
    ahead: HashMap<String, Option<Member>>,
    so_far: Amount,
    filled: Filled,
}

impl Filler<'_> {
    /// The next ones after the cursor, around the end, in the order of names.
    fn choose_share(&mut self, named: &[(RecordId, String, FileRef)]) {
        let needed: HashSet<&str> = named.iter().map(|(_, name, _)| name.as_str()).collect();
        let there: Vec<&String> = self.lying.keys().filter(|n| needed.contains(n.as_str())).collect();
        let (cursor, count) = (self.pool.cursor(), there.len().div_ceil(limits::POOL_ROUNDS));
        let from = there.partition_point(|n| **n <= cursor);
        let share: Vec<String> = there.iter().cycle().skip(from).take(count).map(|n| (*n).clone()).collect();
        self.filled.cursor = share.last().cloned();
        self.share = share.into_iter().collect();
    }

    /// Bytes that will be written or read again.
    fn work_ahead(&self, named: &[(RecordId, String, FileRef)]) -> u64 {
        let mut seen = HashSet::new();
        let ahead = named.iter().filter(|(_, name, file)| {
            seen.insert(name) && (self.share.contains(name) || self.there(name, file).is_empty())
        });
        ahead.map(|(_, _, file)| store::sealed_bytes(file)).sum()
    }

    /// Members of this name that have the length they must have.
    fn there(&self, name: &str, file: &FileRef) -> Vec<Member> {
        let right = |m: &&Member| m.bytes == store::sealed_bytes(file);
        self.lying.get(name).into_iter().flatten().filter(right).cloned().collect()
    }

    fn take(&mut self, id: RecordId, name: &str, file: &FileRef) -> Result<()> {
        if self.lost.contains(name) {
            return Ok(());
        }
        if self.filled.listing.get(name).is_none() {
            let there = self.there(name, file);
            let found = match &there[..] {
                // Where the store's own file is gone, this is the only one: it is read.
                [one] if !self.share.contains(name) && self.own_is_good(name, file) => Some(one.clone()),
                // More than one says that one of them is not what was written.
                _ => there.iter().find(|m| self.is_good(name, m, file)).cloned(),
            };
            if self.share.contains(name) {
                self.word(store::sealed_bytes(file))?;
            }
            let member = match found {
                Some(member) => Some(member),
                None => self.write(name, file)?,
            };
            match member {
                Some(member) => self.filled.listing.insert(name.to_owned(), member),
                None => drop(self.lost.insert(name.to_owned())),
            }
        }
        if self.filled.listing.get(name).is_some() && id != RecordId(0) && !self.own_is_good(name, file) {
            self.filled.rescued.push(Damaged { record: id.0, blob: file.blob.clone() });
        }
        Ok(())
    }

    fn is_good(&self, name: &str, member: &Member, file: &FileRef) -> bool {
        let seen = Pool::look(&self.pool.path(name, member), file);
        seen.is_ok_and(|(stamp, opens)| opens && Member::of(&stamp) == *member)
    }

    /// The store's own file has its length; in the share it is read as well.
    fn own_is_good(&self, name: &str, file: &FileRef) -> bool {
        let length = self.store.sealed_blob(file).and_then(|f| Ok(f.metadata()?.len()));
        let right = length.is_ok_and(|n| n == store::sealed_bytes(file));
        right && (!self.share.contains(name) || self.store.is_whole(file))
    }

    /// Copies what is not there at all, several at once: most of the time goes by in waiting for the disk.
    fn write_ahead(&mut self, named: &[(RecordId, String, FileRef)]) -> Result<()> {
        let mut seen = HashSet::new();
        let absent = named.iter().filter(|(_, name, file)| self.there(name, file).is_empty() && seen.insert(name));
        let absent: Vec<(&String, &FileRef)> = absent.map(|(_, name, file)| (name, file)).collect();
        let at_once = limits::POOL_WRITERS.min(absent.len());
        let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
        let (told, heard) = sync_channel(limits::POOL_WRITERS);
        let writing = Writing { store: self.store, pool: self.pool, absent: &absent, next: &next, stop: &stop };
        let mut outcome = Ok(());
        std::thread::scope(|scope| {
            for told in vec![told; at_once] {
                let writing = &writing;
                scope.spawn(move || writing.work(&told));
            }
            for word in heard {
                let done = match word {
                    Word::Bytes(bytes) => self.word(bytes),
                    Word::Ended(name, ended) => ended.map(|member| {
                        self.note(name, member.as_ref());
                        self.ahead.insert(name.to_owned(), member);
                    }),
                };
                if done.is_err() {
                    stop.store(true, Ordering::Relaxed);
                }
                // The first error is the one to tell; others may be of its making.
                outcome = outcome.clone().and(done);
            }
        });
        outcome
    }

    /// Copies an attachment into the pool, unless that was done ahead; `None` where the store's own file is damaged.
    fn write(&mut self, name: &str, file: &FileRef) -> Result<Option<Member>> {
        if let Some(done) = self.ahead.remove(name) {
            return Ok(done);
        }
        let (store, pool) = (self.store, self.pool);
        let member = copy_in(store, pool, (name, file), &mut |bytes| self.word(bytes))?;
        self.note(name, member.as_ref());
        Ok(member)
    }

    fn note(&mut self, name: &str, member: Option<&Member>) {
        let Some(member) = member else { return };
        self.filled.mended += u64::from(self.lying.contains_key(name));
        self.filled.added += 1;
        self.filled.added_bytes += member.bytes;
    }

    fn word(&mut self, bytes: u64) -> Result<(), Error> {
        self.so_far.bytes += bytes;
        self.so_far.rows = self.filled.listing.count().max(self.filled.added) + 1;
        (self.progress)(Progress::Pooling(self.so_far))
    }
}

/// What those who copy at once share.
struct Writing<'a> {
    store: &'a Store,
    pool: &'a Pool,
    absent: &'a [(&'a String, &'a FileRef)],
    next: &'a AtomicUsize,
    stop: &'a AtomicBool,
}

/// What they tell.
enum Word<'a> {
    Bytes(u64),
    Ended(&'a str, Result<Option<Member>>),
}

impl<'a> Writing<'a> {
    /// Takes one after the other until none is left or something went wrong.
    fn work(&self, told: &SyncSender<Word<'a>>) {
        while let Some((name, file)) = self.absent.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            let mut word = |bytes| {
                let stopped = self.stop.load(Ordering::Relaxed) || told.send(Word::Bytes(bytes)).is_err();
                if stopped { Err(Error::internal("another attachment could not be copied")) } else { Ok(()) }
            };
            let ended = copy_in(self.store, self.pool, (name, file), &mut word);
            let failed = ended.is_err();
            if told.send(Word::Ended(name, ended)).is_err() || failed {
                return;
            }
        }
    }
}

/// Copies an attachment into the pool and reads it back; `None` where the store's own file is damaged.
fn copy_in(
    store: &Store,
    pool: &Pool,
    (name, file): (&str, &FileRef),
    word: &mut dyn FnMut(u64) -> Result<()>,
) -> Result<Option<Member>> {
    let Ok(source) = store.sealed_blob(file) else { return Ok(None) };
    let (draft, out) = pool.draft()?;
    let mut out = Metered::new(Unhurried::new(out));
    if !copy(&source, &mut out, word)? {
        return Ok(None);
    }
    let stamp = out.stamp();
    let out = out.into_inner().into_inner();
    out.sync_all().map_err(write_failed)?;
    // What is read back comes from the disk then.
    not_kept(&out);
    not_kept(&source);
    let (read, opens) = Pool::look(draft.path(), file)?;
    not_kept(&out);
    if read != stamp {
        return Err(flawed(&file_name(draft.path()), "写入后读回的内容不同，备份盘可能有故障"));
    }
    if opens {
        return pool.place(draft, name, &stamp).map(Some);
    }
    if store.is_whole(file) {
        return Err(manifest::unequal("一个附件在本机完好，写出后却打不开"));
    }
    Ok(None)
}

/// `false` when the source cannot be read to its end.
fn copy(
    mut source: &std::fs::File,
    out: &mut Metered<Unhurried>,
    word: &mut dyn FnMut(u64) -> Result<()>,
) -> Result<bool> {
    let mut piece = vec![0; PIECE];
    loop {
        let read = match io::Read::read(&mut source, &mut piece) {
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return Ok(false),
        };
        if read == 0 {
            return Ok(true);
        }
        out.write_all(&piece[..read]).map_err(write_failed)?;
        word(read as u64)?;
    }
}

//! The only floor that names redb: records, journal and derived tables in one durable transaction.
//!
//! * [`Store::submit`] is the only mutation. A command runs on the one writer thread, sees the newest records, and
//!   either leaves its changes *with* their journal entry, or nothing. Commands that wait are committed together.
//! * [`Store::read`] is a consistent snapshot that never waits for writers.
//! * Values are sealed before they reach a table; table keys carry only ids, kinds, states, days and keyed hashes.
//!
//! Rights are not known here: `app` decides who may, `records` what is right.

mod archive;
mod blob;
mod chain;
mod changes;
mod check;
mod condition;
pub(crate) mod durable;
pub(crate) mod fault;
mod filekey;
mod follow;
mod journal;
mod kept;
mod keys;
mod keyslot;
mod local;
mod locked;
mod pending;
mod purge;
mod ring;
pub mod seal;
mod side;
mod tables;
mod txn;
mod upgrade;
mod view;
mod writer;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use redb::{Database, ReadableDatabase};

use crate::base::{Clock, Error, Moment, Result, limits};
use crate::records::FileRef;

pub use archive::{ArchiveRow, Place, load, raise_epoch};
pub use blob::{BlobReader, BlobWriter};
pub use chain::{ChainReport, Times, Walked, chain_only};
pub use changes::{GONE_ROWS, Seen, Touched};
pub use check::Report;
pub use condition::{Failure, Fence, Halt};
pub use filekey::FileKeys;
pub use follow::{Applied, Change};
pub use journal::{Doer, Entry, Head, Header, Part as EntryPart, Subject};
pub use keys::{NewSlot, Rewrapped, SlotInfo};
pub use keyslot::{CREDENTIAL, Opener, SLOT_FILE, SlotKind, Unlock, free_key_path, write_new};
pub use locked::{Keys, Locked};
pub use purge::{KeysDue, Purged};
pub use tables::NAMES as TABLES;
pub use txn::{Act, Txn};
pub use upgrade::STORE_VERSION;
pub use view::{Left, ListQuery, Snapshot};

use condition::{Condition, Watched};
use ring::{Generations, Ring};
use seal::{Hashes, Secret};
use tables::META;

/// Name of the database in the data folder.
pub const DATABASE_FILE: &str = "store.redb";
const LOCK_FILE: &str = "lock";

/// Facts about the store under these names in META.
pub mod fact {
    /// Version of the format.
    pub const VERSION: &str = "version";
    /// Id of the store, hex.
    pub const STORE: &str = "store";
    /// Counts restores.
    pub const EPOCH: &str = "epoch";
    /// Next record id.
    pub const NEXT_ID: &str = "next_id";
    /// Number and hash of the last journal entry.
    pub const HEAD: &str = "head";
    /// There while derived tables are of an older version.
    pub const STALE: &str = "derived_stale";
    /// Name of the county.
    pub const COUNTY: &str = "county";
    /// `1` in demo stores.
    pub const DEMO: &str = "demo";
    /// Backup recipients, one a line.
    pub const RECIPIENTS: &str = "recipients";
    /// Other recipients that somebody asked for, until a second administrator answered.
    pub const RECIPIENTS_WANTED: &str = "recipients_wanted";
    /// Set-up token: `expiry-ms sha256-hex`.
    pub const SETUP: &str = "setup";
    /// Set when the first administrators exist.
    pub const READY: &str = "ready";
    /// How far the set-up wizard is, sealed.
    pub const SETUP_PROGRESS: &str = "setup.progress";
    /// When the last verified backup was written, in milliseconds.
    pub const LAST_BACKUP: &str = "last_backup";
    /// Drafts lie under this prefix: `draft.<account>.<id>`, sealed.
    pub const DRAFT: &str = "draft.";
    /// What people chose for their lists: `choice.<account>.<kind>`, sealed.
    pub const CHOICE: &str = "choice.";
    /// What the store remembers of an account's log-ins: `login.<account>`, sealed.
    pub const LOGIN: &str = "login.";
    /// Policies that the security administrator sets, sealed.
    pub const POLICY: &str = "policy.";
    /// Requests for identities of petitioners as a file: `identities.<id>`, sealed.
    pub const IDENTITIES: &str = "identities.";
    /// That an administrator was replaced at the host's console, one line each.
    pub const REPLACED: &str = "replaced";
    /// When backups are due, where they go, and what is kept.
    pub const BACKUP_SCHEDULE: &str = "backup_schedule";
    /// What the runner of backups remembers.
    pub const BACKUP_STATE: &str = "backup_state";
    /// The sets this store wrote and verified.
    pub const BACKUP_SETS: &str = "backup_sets";
    /// What the auditor saw of the journal last.
    pub const AUDIT_CHECKPOINT: &str = "audit_checkpoint";
    /// What the last scrub saw.
    pub const SCRUB: &str = "scrub";
    /// There while a restored store rests: who confirmed it so far.
    pub const RESTORED: &str = "restored";
    /// Drills and challenges, and how often they are due.
    pub const BACKUP_CHECKS: &str = "backup_checks";
    /// Facts below this prefix are a standby's own: no segment brings or takes them.
    pub const LOCAL: &str = "local.";
    /// There while the store follows another one: what it follows, in words of `app`.
    pub const FOLLOWING: &str = "local.following";
    /// Number and hash of the last entry of a standby's own journal.
    pub const LOCAL_HEAD: &str = "local.head";
    /// Names of sealed files that only purged records had named, one a line, until they are removed.
    pub const PURGED_FILES: &str = "purged_files";
    /// The generation of keys that must go because of a purge, and since when: `number milliseconds`.
    pub const PURGE_KEYS: &str = "purge_keys";
    /// Which generations took over and when: lines `number milliseconds`.
    pub const ROTATIONS: &str = "rotations";
    /// Sealed: key of keyed hashes.
    pub const LOOKUP_KEY: &str = "secret.lookup";
    /// Sealed: key of names of attachments.
    pub const BLOB_KEY: &str = "secret.blob";
    /// Sealed: seed of the county's signing key.
    pub const SIGNING_KEY: &str = "secret.signing";
    /// The sealed facts of the store's own.
    pub const SECRETS: [&str; 3] = [LOOKUP_KEY, BLOB_KEY, SIGNING_KEY];
}

/// An open store; clones share it.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
    queue: Arc<writer::Queue>,
}

pub(crate) struct Shared {
    db: Database,
    dir: PathBuf,
    ring: Ring,
    secrets: Secrets,
    facts: Facts,
    clock: Arc<dyn Clock>,
    condition: Arc<Condition>,
    head: Mutex<Head>,
    /// Head of a standby's own journal, while the store follows another one.
    local: Mutex<Option<Head>>,
    woken: Mutex<Vec<Wake>>,
    _lock: Arc<File>,
}

/// Called after every commit.
type Wake = Box<dyn Fn(Head) + Send>;

struct Secrets {
    own: Secret,
    lookup: Hashes,
    blob: Secret,
}

/// What does not change while a store is open.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Id of the store, hex.
    pub store: String,
    /// Counts restores from 1.
    pub epoch: u64,
    /// Name of the county.
    pub county: String,
    /// A demo store: its accounts are not secret.
    pub demo: bool,
}

impl Store {
    /// Makes a new store in an absent or empty folder; the key file goes to `key_file`, outside the folder.
    pub fn create(
        dir: &Path,
        key_file: &Path,
        county: &str,
        demo: bool,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        refuse_occupied(dir)?;
        let made = !dir.exists();
        fs::create_dir_all(dir)?;
        let filled = Self::fill(dir, key_file, county, demo);
        if filled.is_err() && made {
            fs::remove_dir_all(dir)?;
        }
        filled?;
        Self::open(dir, clock)
    }

    fn fill(dir: &Path, key_file: &Path, county: &str, demo: bool) -> Result<()> {
        set_private(dir)?;
        let dir = dir.canonicalize()?;
        let id = hex::encode(seal::random::<16>()?);
        let ring = Ring::create(&dir, &id, key_file)?;
        let db = redb_builder().create(dir.join(DATABASE_FILE)).map_err(damage)?;
        upgrade::write_first(
            &db,
            &ring,
            &[(fact::COUNTY, county), (fact::DEMO, if demo { "1" } else { "0" })],
        )
    }

    /// Opens a store: takes the lock, the keys, checks the format, and checks everything after an unclean stop.
    pub fn open(dir: &Path, clock: Arc<dyn Clock>) -> Result<Self> {
        let locked = Locked::take(dir)?;
        let keys = locked.unlock_unattended()?;
        locked.open(keys, clock)
    }

    /// The same with the database on another storage than its file, of which only the name counts.
    pub fn open_on(dir: &Path, clock: Arc<dyn Clock>, storage: impl redb::StorageBackend) -> Result<Self> {
        let locked = Locked::of(dir)?;
        let keys = locked.unlock_unattended()?;
        locked.start(keys, clock, |_| Ok(storage))
    }

    fn start<B: redb::StorageBackend>(
        dir: &Path,
        (lock, ring): (Arc<File>, Ring),
        clock: Arc<dyn Clock>,
        storage: impl FnOnce(&Path) -> Result<B>,
    ) -> Result<Self> {
        let condition = Condition::of(dir, Arc::clone(&clock));
        let storage = Watched(storage(&dir.join(DATABASE_FILE))?, Arc::clone(&condition));
        let db = catch(|| redb_builder().create_with_backend(storage).map_err(damage))?;
        upgrade::bring_up(&db)?;
        let (facts, secrets, head) = catch(|| facts(&db, &ring))?;
        blob::clear_leftovers(dir)?;
        let shared = Arc::new(Shared {
            db,
            dir: dir.to_owned(),
            ring,
            secrets,
            facts,
            clock,
            condition,
            head: Mutex::new(head),
            local: Mutex::default(),
            woken: Mutex::default(),
            _lock: lock,
        });
        catch(|| local::take_up(&shared))?;
        if catch(|| upgrade::is_stale(&shared.db))? {
            catch(|| pending::rebuild(&shared, true))?;
        }
        let queue = Arc::new(writer::Queue::start(Arc::clone(&shared))?);
        Ok(Self { shared, queue })
    }

    /// Runs a command on the writer thread and waits until it is durable. The command must call [`Txn::act`] once.
    pub fn submit<T: Send + 'static>(
        &self,
        command: impl FnOnce(&mut Txn<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.queue.submit(command)
    }

    /// Like [`Self::submit`], for entries that nobody waits for, so that an answer does not tell whether there was one.
    pub fn submit_unanswered(
        &self,
        command: impl FnOnce(&mut Txn<'_>) -> Result<()> + Send + 'static,
    ) -> Result<()> {
        self.queue.submit_unanswered(command)
    }

    /// Waits until everything is done that was handed over so far.
    pub fn settle(&self) -> Result<()> {
        self.queue.alone(|_| Ok(()))
    }

    /// Like [`Self::submit`], for long commands that nobody looks at: those that wait go first, and when there were any
    /// it returns after a pause.
    pub fn submit_patiently<T: Send + 'static>(
        &self,
        command: impl FnOnce(&mut Txn<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.queue.submit_patiently(command)
    }

    /// Others came while one of the last patient commands ran: the next one had better be short.
    pub fn is_crowded(&self) -> bool {
        self.queue.is_crowded()
    }

    /// How many commands, of readers too, went into the last commit together; patient ones do not count.
    pub fn last_group(&self) -> usize {
        self.queue.last_group()
    }

    /// A snapshot of everything committed so far.
    pub fn read(&self) -> Result<Snapshot> {
        Snapshot::open(Arc::clone(&self.shared))
    }

    /// Facts that do not change while the store is open.
    pub fn facts(&self) -> &Facts {
        &self.shared.facts
    }

    /// The data folder.
    pub fn dir(&self) -> &Path {
        &self.shared.dir
    }

    /// Where the key file lies that opened the store, when one did.
    pub fn key_file(&self) -> Option<&Path> {
        self.shared.ring.key_file.as_deref()
    }

    /// What seals the keys of files beside the store.
    pub fn file_keys(&self) -> FileKeys {
        self.shared.ring.file_keys()
    }

    /// The head of the journal as last committed.
    pub fn head(&self) -> Head {
        *lock(&self.shared.head)
    }

    /// The time, from the clock the store was opened with.
    pub fn now(&self) -> Moment {
        self.shared.clock.now()
    }

    /// Calls `wake` after every commit, from the writer thread: it must return at once.
    pub fn on_commit(&self, wake: impl Fn(Head) + Send + 'static) {
        lock(&self.shared.woken).push(Box::new(wake));
    }

    /// A keyed hash that only this store can make, for marks handed out and taken back.
    pub fn mac(&self, purpose: &str, bytes: &[u8]) -> [u8; 16] {
        self.shared.secrets.lookup.short_hash(&[b"jiceng-mac-1 ", purpose.as_bytes(), b"\0", bytes].concat())
    }

    /// Why records cannot be changed now, if they cannot. Acts that change none are entered all the same.
    pub fn halted(&self) -> Option<Halt> {
        self.shared.halt()
    }

    /// Calls `ending` once when the disk refuses an operation on the database, or has: this store takes nothing more.
    /// What is waiting is answered after that, from other threads.
    pub fn on_failure(&self, ending: impl Fn(Failure) + Send + 'static) {
        self.shared.condition.on_failure(ending);
    }

    /// Sets room aside on the disk, for entries when everything else is full; from now on it is made again by itself.
    pub fn keep_reserve(&self) {
        self.shared.condition.keep_reserve();
    }

    /// The failure of the disk because of which records cannot be changed.
    pub fn failure(&self) -> Option<Failure> {
        self.shared.condition.marked()
    }

    /// The disk is good again: records can be changed. The caller has checked everything and entered the act.
    pub fn resume(&self) -> Result<()> {
        self.shared.condition.clear()
    }

    /// Another host has taken over: records are not changed any more, now and after every restart.
    pub fn fence(&self, fence: Fence) -> Result<()> {
        self.shared.condition.fence(fence)
    }

    /// An error that says why, while records cannot be changed.
    fn must_take_changes(&self) -> Result<()> {
        self.halted().map_or(Ok(()), |halt| Err(halt.error()))
    }

    /// Starts an attachment.
    pub fn write_blob(&self) -> Result<BlobWriter> {
        self.must_take_changes()?;
        BlobWriter::create(&self.shared.dir, &self.shared.secrets.blob)
    }

    /// Opens an attachment.
    pub fn read_blob(&self, file: &FileRef) -> Result<BlobReader> {
        BlobReader::open(&self.shared.dir, file)
    }

    /// Removes an attachment that was staged and that no record came to name.
    pub fn discard_blob(&self, file: &FileRef) -> Result<()> {
        blob::discard(&self.shared.dir, file)
    }

    /// Whether an attachment is there and opens to its end.
    pub fn is_whole(&self, file: &FileRef) -> bool {
        blob::path(&self.shared.dir, &file.blob).is_some_and(|path| blob::opens(&path, file))
    }

    /// The sealed file of an attachment, as it lies there.
    pub fn sealed_blob(&self, file: &FileRef) -> Result<File> {
        let absent = || Error::damaged("附件文件缺失或损坏");
        let path = blob::path(&self.shared.dir, &file.blob).ok_or_else(absent)?;
        File::open(path).map_err(|e| absent().with_detail(e))
    }

    /// Takes the sealed file of an attachment over from a backup, as it is; whether it opens is the check's question.
    pub fn adopt_blob(&self, file: &FileRef, sealed: &mut dyn std::io::Read) -> Result<()> {
        blob::adopt(&self.shared.dir, file, sealed)
    }

    /// Checks everything there is; see [`Report`].
    pub fn check(&self) -> Result<Report> {
        self.check_watched(&|| Ok(()))
    }

    /// The same; calls `tick` after each thing it read, whose error breaks it off.
    pub fn check_watched(&self, tick: &dyn Fn() -> Result<()>) -> Result<Report> {
        catch(|| check::run(&self.shared, &|file| self.is_whole(file), tick))
    }

    /// The same for a store whose attachments lie elsewhere: `whole` says which are there and whole.
    pub fn check_but(&self, whole: &dyn Fn(&FileRef) -> bool) -> Result<Report> {
        catch(|| check::run(&self.shared, whole, &|| Ok(())))
    }

    /// Removes sealed files that were last written before a moment; the caller says that nothing names them.
    pub fn remove_unnamed<'a>(&self, blobs: impl Iterator<Item = &'a String>, before: Moment) -> Result<u64> {
        blobs.map(|blob| blob::remove_old(&self.shared.dir, blob, before)).sum()
    }

    /// Rebuilds the derived tables from records and journal.
    pub fn rebuild_derived(&self) -> Result<()> {
        self.queue.rebuild()
    }
}

impl Shared {
    /// Why records cannot be changed now, if they cannot.
    fn halt(&self) -> Option<Halt> {
        self.condition.halt().or_else(|| lock(&self.local).map(|_| Halt::Following))
    }

    /// A commit brought the journal to which entries go to this head.
    fn moved_to(&self, head: Head) {
        if let Some(own) = &mut *lock(&self.local) {
            *own = head;
            return;
        }
        self.followed_to(head);
    }

    /// The store's journal stands at this head now.
    fn followed_to(&self, head: Head) {
        *lock(&self.head) = head;
        lock(&self.woken).iter().for_each(|wake| wake(head));
    }

    /// A read transaction, with the generation keys that open every record key in it.
    ///
    /// A generation is there before a key lies under it, and goes after the last key left it. So the keys that are
    /// there before *and* after the transaction began are those it needs; where they changed, it begins again.
    fn begin_read(&self) -> Result<(redb::ReadTransaction, Arc<Generations>)> {
        loop {
            let generations = self.ring.generations();
            let txn = self.db.begin_read().map_err(damage)?;
            if Arc::ptr_eq(&generations, &self.ring.generations()) {
                return Ok((txn, generations));
            }
        }
    }
}

fn secret_place(store: &str, name: &str) -> Vec<u8> {
    format!("jiceng-secret-1 {store} {name}").into_bytes()
}

fn redb_builder() -> redb::Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(limits::STORE_CACHE_BYTES).set_check_integrity_on_open(true);
    builder
}

fn facts(db: &Database, ring: &Ring) -> Result<(Facts, Secrets, Head)> {
    let txn = db.begin_read().map_err(damage)?;
    let meta = txn.open_table(META).map_err(damage)?;
    let get = |name: &str| -> Result<Vec<u8>> {
        let value = meta.get(name.as_bytes()).map_err(damage)?;
        value.map(|v| v.value().to_vec()).ok_or_else(|| Error::damaged(format!("缺少库信息 {name}")))
    };
    let text = |name: &str| get(name).map(|b| String::from_utf8_lossy(&b).into_owned());
    if text(fact::STORE)? != ring.store {
        return Err(Error::damaged("密钥槽文件属于另一个数据目录"));
    }
    let keys = txn.open_table(tables::RECORD_KEYS).map_err(damage)?;
    let wrapped = keys.get(0).map_err(damage)?.ok_or_else(|| Error::damaged("库自身的密钥"))?;
    let own = ring.generations().open(0, wrapped.value())?;
    let secret = |name: &str| -> Result<Secret> {
        let secret = own.open_secret(&secret_place(&ring.store, name), &get(name)?);
        secret.ok_or_else(|| Error::damaged("库自身的密钥"))
    };
    let secrets =
        Secrets { lookup: secret(fact::LOOKUP_KEY)?.hashes(), blob: secret(fact::BLOB_KEY)?, own: own.clone() };
    let facts = Facts {
        store: ring.store.clone(),
        epoch: text(fact::EPOCH)?.parse().map_err(|_| Error::damaged("纪元"))?,
        county: text(fact::COUNTY)?,
        demo: text(fact::DEMO)? == "1",
    };
    Ok((facts, secrets, view::read_head(&get(fact::HEAD)?)?))
}

/// Refuses a folder that already holds something.
pub fn refuse_occupied(dir: &Path) -> Result<()> {
    let occupied = dir.is_file() || fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some());
    if occupied {
        let message = format!("{} 已存在且不是空目录。请换一个目录，以免覆盖已有数据。", dir.display());
        return Err(Error::invalid(message));
    }
    Ok(())
}

fn set_private(dir: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    Ok(fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?)
}

/// Whether a sealed file at this place opens to its end under the key of an attachment.
pub fn opens(path: &Path, file: &FileRef) -> bool {
    blob::opens(path, file)
}

/// The same for `length` sealed bytes that are read from anywhere.
pub fn opens_from(sealed: &mut dyn std::io::Read, length: u64, file: &FileRef) -> bool {
    blob::opens_from(sealed, length, file)
}

/// Bytes of the sealed file of an attachment.
pub fn sealed_bytes(file: &FileRef) -> u64 {
    blob::sealed_bytes(file.size)
}

/// redb reports damage as errors and, on some files, as panics: both become [`ErrorKind::Damaged`].
fn catch<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(Error::damaged("数据库文件 store.redb 无法读取")))
}

/// Errors of redb, by whether bytes or the disk are at fault.
fn damage(e: impl Into<redb::Error>) -> Error {
    match e.into() {
        // The system's own refusals have a number; what redb says of bytes it cannot read has none.
        redb::Error::Io(io) if io.raw_os_error().is_some() => io.into(),
        redb::Error::PreviousIo => std::io::Error::other("an earlier write failed").into(),
        other => Error::damaged("数据库文件 store.redb").with_detail(other),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

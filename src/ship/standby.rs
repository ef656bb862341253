//! A standby: it makes a store of the newest set of a target, goes on by the segments of the log, and takes the log
//! over when somebody says that the host before it is off.
//!
//! What must hold: the rules of `data-format/offsite.md`; what cannot be followed stops the following and nothing else;
//! a promotion has its slot before it raises the epoch, and everything that was in the log before that slot.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::log::{place, slots};
use super::sets::lying;
use super::{Put, Remote};
use crate::app::{App, recipients};
use crate::backup::delivery::Named;
use crate::backup::segment::{self, Kind, Plain, Segment};
use crate::backup::standby::{Following, seed, skipped};
use crate::backup::{AskNumber, KeyFile, SetId, Skipped, pool_name};
use crate::base::{Clock, Error, ErrorKind, Moment, Result, Seq, limits};
use crate::records::{FileRef, act};
use crate::store::{self, Act, Applied, Change, DATABASE_FILE, Doer, Locked, Store, durable};

/// What a newer store takes over from the one it replaces: sealed attachments, and what browsers know the host by.
const KEPT: &[&str] = &["blobs", "tls"];
/// Where the follower works, in the data folder.
const FOLDER: &str = "standby";
const FENCE: &str = "fence.seg";
/// Bytes of a segment in which its first line stands.
const LINE_BYTES: u64 = 512;

/// What follows a target.
pub struct Standby {
    remote: Box<dyn Remote>,
    key: KeyFile,
    told: Following,
    work: PathBuf,
    at: Mutex<At>,
}

/// How far it went through the log.
#[derive(Clone, Default)]
struct At {
    /// The last slot it went through, and what is in it; `None` before it began.
    slot: Option<(u64, Option<[u8; 32]>)>,
    /// The epoch that the log is in there.
    epoch: u64,
    /// The slot with the fence of its own promotion.
    own: Option<u64>,
}

/// What a look at the log came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// Everything that is in the log is here.
    Current,
    /// The log cannot be followed from here: why. A newer set is needed.
    Outrun(String),
}

/// A host that took over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promoted {
    /// Its epoch.
    pub epoch: u64,
    /// The slot of its fence.
    pub slot: u64,
    /// The last entry of the host before it.
    pub entry: Seq,
    /// Register numbers that nothing will have.
    pub skipped: Vec<Skipped>,
}

/// Makes the data folder of a standby from the newest complete set of a target.
pub fn found(
    remote: &dyn Remote,
    key: &KeyFile,
    told: &Following,
    dir: &Path,
    clock: Arc<dyn Clock>,
) -> Result<PathBuf> {
    store::refuse_occupied(dir)?;
    let Some((_, files)) = newest(remote)? else {
        let text = format!("目标 {} 中还没有完整的备份，不能建立备机。请等主机备份并送到后重试。", remote.label());
        return Err(Error::invalid(text));
    };
    let parent = dir.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let fetched = tempfile::Builder::new().prefix(".jiceng-standby-").tempdir_in(parent)?;
    for name in files.files() {
        if !remote.get(name, &fetched.path().join(name))? {
            return Err(Error::new(ErrorKind::Busy, "目标中的备份刚被换掉。请再试一次。"));
        }
    }
    seed(fetched.path(), key, told, dir, clock)
}

/// The newest complete set of a target, and its files.
fn newest(remote: &dyn Remote) -> Result<Option<(SetId, Named)>> {
    Ok(lying(remote)?.0.into_iter().rev().find(|(_, named)| named.is_complete()))
}

impl Standby {
    /// Goes on where the store of an application stands.
    pub fn of(app: &App, remote: Box<dyn Remote>, key: KeyFile) -> Result<Self> {
        let told = app.following()?;
        let told = told.ok_or_else(|| Error::invalid("这个数据目录不是备机的。请用 jiceng serve 启动它。"))?;
        let work = app.dir().join(FOLDER);
        fs::create_dir_all(&work)?;
        Ok(Self { remote, key, told, work, at: Mutex::default() })
    }

    fn at(&self) -> MutexGuard<'_, At> {
        self.at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over what the log has beyond the store, and says how that stands.
    pub fn look(&self, app: &App) -> Result<Look> {
        let mut at = self.at();
        let looked = self.catch_up(app, &mut at);
        let now = app.now();
        app.tell_standby(|standing| {
            standing.slot = at.slot.map_or(0, |(number, _)| number);
            standing.taken = at.own;
            match &looked {
                Ok(Look::Current) => (standing.current, standing.trouble) = (Some(now), None),
                Ok(Look::Outrun(why)) => standing.trouble = Some(why.clone()),
                Err(e) => standing.trouble = Some(e.public().to_owned()),
            }
        });
        looked
    }

    fn catch_up(&self, app: &App, at: &mut At) -> Result<Look> {
        if at.slot.is_none() {
            *at = self.begin(app)?;
        }
        loop {
            let last = at.slot.map_or(0, |(number, _)| number);
            let slots = slots(self.remote.as_ref(), Some(last).filter(|last| *last > 0))?;
            if slots.is_empty() {
                return Ok(Look::Current);
            }
            for (number, _) in slots {
                let last = at.slot.map_or(0, |(number, _)| number);
                if last > 0 && number != last + 1 {
                    return Ok(Look::Outrun(format!("异地日志缺少第 {} 段", last + 1)));
                }
                let Some(file) = self.fetch(number)? else {
                    return Ok(Look::Outrun(format!("异地日志缺少第 {number} 段")));
                };
                if let Some(why) = self.take(app, &file, at)? {
                    return Ok(Look::Outrun(why));
                }
            }
        }
    }

    /// Where to begin: behind the slots that say nothing new, of which the last is gone through once more.
    fn begin(&self, app: &App) -> Result<At> {
        let (epoch, head) = (epoch_of(app.followed())?, app.followed().head().seq);
        let slots = slots(self.remote.as_ref(), None)?;
        let (mut low, mut high) = (0, slots.len());
        while low < high {
            let middle = low + (high - low) / 2;
            let name = place(slots[middle].0);
            let bytes = self.remote.begin(&name, LINE_BYTES)?.unwrap_or_default();
            let (segment_epoch, from) = Plain::place_in(&bytes, &name)?;
            if (segment_epoch, from) <= (epoch, head) { low = middle + 1 } else { high = middle }
        }
        // All of them are beyond: what is before the first is not known, and a set is what is needed.
        let first = slots.get(low.saturating_sub(1));
        Ok(At { slot: first.map(|(n, _)| (n - 1, None)), epoch, own: None })
    }

    fn fetch(&self, number: u64) -> Result<Option<Fetched>> {
        let file = Fetched(self.work.join(segment::name_of(number)));
        remove(&file.0)?;
        Ok(self.remote.get(&place(number), &file.0)?.then_some(file))
    }

    /// Goes through one slot; why the log cannot be followed, when it cannot.
    fn take(&self, app: &App, file: &Fetched, at: &mut At) -> Result<Option<String>> {
        let store = app.followed();
        let segment = Segment::open(&file.0, &self.key, self.told.signer.as_deref())?;
        let Plain { kind, epoch, number, from, to, previous, .. } = segment.plain.clone();
        if segment.header.store != store.facts().store {
            return Err(Error::invalid("目标中的日志属于另一个数据目录，没有采用。请核对备机所跟随的目标。"));
        }
        if at.slot.is_some_and(|(_, digest)| digest.is_some_and(|d| d != previous)) {
            return Ok(Some(format!("异地日志第 {number} 段与前一段接不上")));
        }
        let (head, here) = (store.head(), store.read()?.hash_at(to.seq)?);
        let other_way = || Some(format!("异地日志第 {number} 段（到第 {} 条）与本机的日志不是同一条路", to.seq));
        match kind {
            Kind::Fence if epoch <= at.epoch => {}
            Kind::Fence if to == head => {
                at.epoch = epoch;
                at.own = self.is_own(&segment.digest)?.then_some(number);
            }
            Kind::Fence => return Ok(other_way()),
            Kind::Change if epoch < at.epoch => {}
            Kind::Change if epoch > at.epoch => return Ok(other_way()),
            Kind::Change if to.seq <= head.seq => {
                if here != Some(to.hash) {
                    return Ok(other_way());
                }
            }
            Kind::Change if from > head.seq => return Ok(Some(format!("异地日志第 {number} 段之前有缺"))),
            Kind::Change => {
                self.apply(store, &segment)?;
                let written = Moment(segment.header.created);
                app.tell_standby(|standing| standing.written = Some(written));
            }
        }
        at.slot = Some((number, Some(segment.digest)));
        Ok(None)
    }

    fn apply(&self, store: &Store, segment: &Segment) -> Result<Applied> {
        store.apply(Change {
            store: segment.header.store.clone(),
            from: segment.plain.from,
            head: segment.plain.to,
            generations: segment.generations.clone(),
            whole_meta: segment.header.whole_meta,
            rows: segment.rows(&self.key)?.collect::<Result<_>>()?,
        })
    }

    /// The store was brought to a later epoch than the application was opened in.
    pub fn epoch_rose(&self, app: &App) -> Result<bool> {
        Ok(epoch_of(app.followed())? != app.facts().epoch)
    }

    /// Fetches some of the attachments that are named and not here; how many are still to come.
    pub fn fetch_files(&self, app: &App) -> Result<usize> {
        let store = app.followed();
        let named = store.read()?.named_files()?;
        let mut missing: HashMap<String, FileRef> = HashMap::new();
        let absent = named.into_iter().map(|(_, f)| f).filter(|f| store.sealed_blob(f).is_err());
        missing.extend(absent.map(|f| (pool_name(store, &f), f)));
        let (mut listed, mut came) = (HashMap::new(), 0);
        for (name, file) in missing.iter().take(limits::STANDBY_FILES) {
            let folder = format!("pool/{}", &name[..2]);
            if !listed.contains_key(&folder) {
                listed.insert(folder.clone(), self.remote.list(&folder, None)?);
            }
            let start = format!("{folder}/{name}.");
            for item in listed[&folder].iter().filter(|item| item.name.starts_with(&start)) {
                came += usize::from(self.fetch_file(store, file, &item.name)?);
            }
        }
        let left = missing.len() - came.min(missing.len());
        app.tell_standby(|standing| standing.missing = left);
        Ok(left)
    }

    /// Whether a member of the pool is the attachment, and is here now.
    fn fetch_file(&self, store: &Store, file: &FileRef, name: &str) -> Result<bool> {
        if store.sealed_blob(file).is_ok() {
            return Ok(false);
        }
        let fetched = Fetched(self.work.join("file"));
        remove(&fetched.0)?;
        // What does not open under its own key is not what the record names.
        if !self.remote.get(name, &fetched.0)? || !store::opens(&fetched.0, file) {
            return Ok(false);
        }
        store.adopt_blob(file, &mut File::open(&fetched.0)?)?;
        Ok(true)
    }

    /// Makes a store of a newer set beside the one there is, where the target has one; its folder. What opened the
    /// old one opens it; its journal of its own goes along when it takes the place.
    pub fn renew(&self, app: &App, clock: Arc<dyn Clock>) -> Result<Option<PathBuf>> {
        let head = app.followed().head().seq;
        let newer = newest(self.remote.as_ref())?;
        let newer = newer.filter(|(id, _)| id.to_string() > self.told.set && id.seq() > head);
        // A store that has begun to take over is not replaced.
        if newer.is_none() || self.takes_over() {
            return Ok(None);
        }
        let next = beside(app.dir(), "next");
        if next.exists() {
            fs::remove_dir_all(&next)?;
        }
        let key_file = found(self.remote.as_ref(), &self.key, &self.told, &next, Arc::clone(&clock))?;
        let fresh = Store::open(&next, clock)?;
        app.followed().hand_slots_to(&fresh)?;
        drop(fresh);
        remove(&key_file)?;
        if self.takes_over() {
            fs::remove_dir_all(&next)?;
            return Ok(None);
        }
        Ok(Some(next))
    }

    /// It has written a fence of its own, or taken a slot with it.
    fn takes_over(&self) -> bool {
        self.work.join(FENCE).exists() || self.at().own.is_some()
    }

    /// Takes the log over: everything in it first, then the slot after it, then a new epoch. Nobody else may have taken
    /// it, or nothing is done.
    ///
    /// # Errors
    /// Whatever keeps the log from being read to its end, or its next slot from being taken; the standby then goes on
    /// as one, and the same can be asked for again.
    pub fn promote(
        &self,
        app: &App,
        doer: &Doer,
        (numbers, ask): (&[(String, u64)], AskNumber<'_>),
    ) -> Result<Promoted> {
        let store = app.followed();
        let mut at = self.at();
        let began = epoch_of(store)?;
        self.end_of_log(app, &mut at, began)?;
        // People are asked before anything is done; what the last slots bring may move the numbers on after that.
        let (year, answers) = (app.now().year(), RefCell::new(HashMap::new()));
        let asking = |counter: &str, last: u64| {
            let answer = ask(counter, last)?;
            answers.borrow_mut().insert(counter.to_owned(), answer);
            Ok(answer)
        };
        skipped(&store.read()?, year, numbers, &asking)?;
        let slot = self.take_slot(app, &mut at, began)?;
        let told = |counter: &str, _| Ok(answers.borrow().get(counter).copied().flatten());
        let skipped = skipped(&store.read()?, year, numbers, &told)?;
        let entry = store.head().seq;
        let words: Vec<String> = skipped.iter().map(ToString::to_string).collect();
        let void = if words.is_empty() { String::new() } else { format!(" 接替空号 {}", words.join("、")) };
        let act = Act::new(doer.clone(), act::PROMOTED).note(format!("slot {slot}{void}"));
        let counters = skipped.iter().map(|s| (s.counter.clone(), s.to)).collect();
        let epoch = store.promote(act, counters)?;
        remove(&self.work.join(FENCE))?;
        Ok(Promoted { epoch, slot, entry, skipped })
    }

    fn take_slot(&self, app: &App, at: &mut At, began: u64) -> Result<u64> {
        let store = app.followed();
        loop {
            self.end_of_log(app, at, began)?;
            if let Some(slot) = at.own {
                return Ok(slot);
            }
            // In an empty log there is nothing to read, and slot 1 is a fence like any other.
            let (last, previous) = match at.slot {
                Some((last, digest)) => (last, digest.ok_or_else(|| Error::internal("a slot that was not read"))?),
                None => (0, [0; 32]),
            };
            let (fence, snapshot) = (self.work.join(FENCE), store.read()?);
            remove(&fence)?;
            let recipients = recipients::keys(&snapshot)?;
            let place_of = (began + 1, last + 1, previous);
            segment::write_fence(&snapshot, &recipients, place_of, &fence, app.now())?;
            durable::sync_folder(&self.work)?;
            // Taken: somebody was faster, or an answer was lost. What is there is read next, and tells.
            if self.remote.put_new(&place(last + 1), &fence)? == Put::Made {
                at.own = Some(last + 1);
            }
        }
    }

    /// Reads the log to its end; refuses when that is not possible, or another host began an epoch in it.
    fn end_of_log(&self, app: &App, at: &mut At, began: u64) -> Result<()> {
        if let Look::Outrun(why) = self.catch_up(app, at)? {
            return Err(Error::invalid(format!("备机没有跟上，不能接替：{why}。请等它从更新的备份重新装载后再试。")));
        }
        if at.epoch > began && at.own.is_none() {
            // One that was written for nothing would keep newer sets away.
            remove(&self.work.join(FENCE))?;
            return Err(Error::invalid("另一台机器已经接替了主机，这台没有接替。它会作为新主机的备机继续跟随。"));
        }
        Ok(())
    }

    fn is_own(&self, digest: &[u8; 32]) -> Result<bool> {
        let fence = self.work.join(FENCE);
        Ok(fence.exists() && segment::digest_of(&fence)?.0 == *digest)
    }
}

/// Puts a store that was made beside an old one in its place; both are closed. The old one's own journal goes along.
pub fn change_over(dir: &Path, next: &Path, clock: &Arc<dyn Clock>) -> Result<()> {
    let (old, fresh) = (Store::open(dir, Arc::clone(clock))?, Store::open(next, Arc::clone(clock))?);
    if old.following()?.is_none() {
        return Err(Error::invalid("这台备机已经接替了主机，数据没有更换。"));
    }
    let told = fresh.following()?.unwrap_or_default();
    fresh.follow(told, Some(&old))?;
    drop((old, fresh));
    exchange(dir, next)?;
    keep(dir, next)
}

/// What the old store, now beside the new one, has and the new one needs; then the old one goes.
fn keep(dir: &Path, old: &Path) -> Result<()> {
    for kept in KEPT.iter().filter(|name| old.join(name).exists()) {
        let place = dir.join(kept);
        // Works only on an empty folder; one with something in it was kept before.
        let _absent = fs::remove_dir(&place);
        if !place.exists() {
            fs::rename(old.join(kept), place)?;
        }
    }
    File::open(dir)?.sync_all()?;
    fs::remove_dir_all(old).map_err(Error::from)
}

/// Both names stay there at any moment: whatever happens, one of the two stores is found under each.
fn exchange(one: &Path, other: &Path) -> Result<()> {
    use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
    let failed = |e: nix::Error| {
        Error::new(ErrorKind::Io, "不能用重新装载的数据换下旧数据。请停下备机，移走数据目录后重新建立备机。").with_detail(e)
    };
    renameat2(AT_FDCWD, one, AT_FDCWD, other, RenameFlags::RENAME_EXCHANGE).map_err(failed)?;
    let parent = one.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok(File::open(parent)?.sync_all()?)
}

/// What a crash left of a renewal; the folder is not open.
pub fn clear_leftovers(dir: &Path) -> Result<()> {
    let next = beside(dir, "next");
    if next.join(DATABASE_FILE).exists() && dir.join(DATABASE_FILE).exists() {
        // Nobody else is at work there.
        let _only = Locked::take(dir)?;
        keep(dir, &next)?;
    }
    Ok(())
}

/// A file that was fetched; it goes when dropped.
struct Fetched(PathBuf);

impl Drop for Fetched {
    fn drop(&mut self) {
        // Cleared before the next one is fetched in any case.
        let _gone = fs::remove_file(&self.0);
    }
}

fn epoch_of(store: &Store) -> Result<u64> {
    let text = store.read()?.fact_text(store::fact::EPOCH)?;
    text.parse().map_err(|_| Error::damaged("纪元"))
}

fn beside(dir: &Path, what: &str) -> PathBuf {
    let mut name = dir.as_os_str().to_owned();
    name.push(format!(".{what}"));
    PathBuf::from(name)
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        removed => Ok(removed?),
    }
}

#[cfg(test)]
mod tests;

//! Reading sets: what is there ([`list`]), whether it is whole ([`verify`]), and a new store from one
//! ([`restore`]).
//!
//! Order of trust: the digest in a name (rot), decryption (for us), the signature by a believed signer (from
//! the county), the digests of data and list in the signed manifest, those of attachments in the list, and at last
//! the loaded store, checked and compared. Attachments that the pool lost keep nothing else out; they are told. A
//! restore writes into a sibling of the new folder and renames it at the end; any failure before that leaves nothing
//! behind.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::archive::{self, Scratch, Source};
use super::crypt::{KeyFile, Metered, Signer, Stamp};
use super::manifest::{Damaged, Manifest};
use super::numbers::{self, AskNumber, Skipped};
use super::pool::{self, Listing, Pool, Reading};
use super::replay::{self, Chosen, Followed, Log, Until};
use super::target::{self, Part, Set};
use super::{SetId, flawed, read_failed};
use crate::base::{Clock, Error, ErrorKind, Result, limits};
use crate::records::{FileRef, act};
use crate::store::{self, Act, Doer, Head, Place, Purged, Store, seal};

/// A set as a list shows it.
#[derive(Debug)]
pub struct SetInfo {
    /// Its name.
    pub id: SetId,
    /// Bytes of its files.
    pub bytes: u64,
    /// Both files are there; without the manifest it is no backup.
    pub complete: bool,
    /// What the manifest says, or why it says nothing; only with a key.
    pub details: Option<Result<Details>>,
}

/// What the manifest of a set says.
#[derive(Clone, Debug)]
pub struct Details {
    /// The manifest; its signature is right.
    pub manifest: Manifest,
    /// Who signed it.
    pub signer: Signer,
    /// Whether that is the signer the key file names; `None` when it names none.
    pub trusted: Option<bool>,
}

/// The sets in a target, newest first; with a key also what they say. No data file is read.
pub fn list(target: &Path, key: Option<&KeyFile>) -> Result<Vec<SetInfo>> {
    let info = |set: Set| SetInfo {
        bytes: set.bytes(),
        complete: set.complete(),
        details: key.map(|key| details(&set, key)),
        id: set.id,
    };
    Ok(target::sets(target)?.into_iter().map(info).collect())
}

fn details(set: &Set, key: &KeyFile) -> Result<Details> {
    let opened = Opened::new(set, key)?;
    let trusted = key.signer.map(|s| s == opened.signer);
    Ok(Details { manifest: opened.manifest, signer: opened.signer, trusted })
}

/// What verifying one set found.
#[derive(Debug)]
pub struct Verified {
    /// The set.
    pub set: SetId,
    /// What was checked, or what is wrong.
    pub outcome: Result<String>,
}

impl Verified {
    /// The error that decides the exit code: damage before all others.
    pub fn worst(all: &[Self]) -> Option<&Error> {
        let errors = || all.iter().filter_map(|v| v.outcome.as_ref().err());
        errors().find(|e| e.kind() == ErrorKind::Damaged).or_else(|| errors().next())
    }
}

/// Verifies one set or all: without a key that both files are what their names say; with a key signature and
/// content too, by loading the set into a throw-away store.
pub fn verify(target: &Path, set: Option<&str>, key: Option<&KeyFile>) -> Result<Vec<Verified>> {
    let sets = target::sets(target)?;
    let chosen = match set {
        Some(_) => std::slice::from_ref(target::choose(&sets, set)?),
        None => &sets[..],
    };
    if chosen.is_empty() {
        return target::choose(&sets, None).map(|_| Vec::new());
    }
    let parent = target.canonicalize()?.parent().map(Path::to_owned);
    let places: Vec<PathBuf> = parent.into_iter().chain([std::env::temp_dir()]).collect();
    let pool = Pool::of(target);
    let at = At { pool: &pool, reading: Reading::of(&pool), places };
    let one = |set: &Set| Verified { set: set.id.clone(), outcome: verify_one(set, key, &at) };
    Ok(chosen.iter().map(one).collect())
}

/// Where sets are verified.
pub(super) struct At<'a> {
    pool: &'a Pool,
    reading: Reading<'a>,
    places: Vec<PathBuf>,
}

fn verify_one(set: &Set, key: Option<&KeyFile>, at: &At<'_>) -> Result<String> {
    let (data, manifest) = set.parts()?;
    manifest.intact()?;
    let stamp = data.intact()?;
    let Some(key) = key else {
        return verify_files(set, at);
    };
    let opened = Opened::new(set, key)?;
    let known = match key.signer {
        Some(_) => {
            opened.believe(key, None)?;
            "签名属于本县".to_owned()
        }
        None => {
            format!("签名指纹 {}（密钥文件没有记录本县签名公钥，请人工核对）", opened.signer.fingerprint())
        }
    };
    let opened = opened.with_list(set)?;
    opened.check_stamp(data, &stamp)?;
    let scratch = Scratch::within(&at.places)?;
    let (copy, stamp) = scratch.load(&opened.source(data, key), &|_| Ok(()))?;
    opened.check_stamp(data, &stamp)?;
    let lost = opened.confirm(&copy, Some(at))?;
    if !lost.is_empty() {
        return Err(pool::lacking(lost.len(), &records_of(&lost)));
    }
    let (records, files) = (opened.manifest.content.records, opened.manifest.files);
    let lost = damage_text(&opened.manifest.damaged);
    Ok(format!("可以恢复：记录 {records} 条，附件 {files} 个，{known}{lost}"))
}

/// What can be said of a set without a key: its files, and those in the pool that it lists, are what their names say.
fn verify_files(set: &Set, at: &At<'_>) -> Result<String> {
    let mut bad = Vec::new();
    for (name, member) in set.list()?.map(read_list).transpose()?.unwrap_or_default().iter() {
        if !at.reading.is_intact(name, member) {
            bad.push(super::file_name(&at.pool.path(name, member)));
        }
    }
    match bad.first() {
        None => Ok("文件完整（没有密钥，未核对签名和内容）".to_owned()),
        Some(first) => Err(pool::lacking(bad.len(), &format!("第一个：{first}"))),
    }
}

/// The list of a set, which is what its name says.
pub(super) fn read_list(part: &Part) -> Result<Listing> {
    part.intact()?;
    if part.bytes() > limits::POOL_LIST_BYTES {
        return Err(flawed(&part.name, "清单过长"));
    }
    let text = fs::read_to_string(&part.path).map_err(|e| read_failed(&part.name, e))?;
    Listing::decode(&text).ok_or_else(|| flawed(&part.name, "清单内容不可识别"))
}

/// A set whose manifest was opened; its signature is right, by whomever.
pub(super) struct Opened {
    pub(super) manifest: Manifest,
    pub(super) signer: Signer,
    /// What it needs of the pool, as the manifest has it; `None` where it carries its attachments itself.
    listing: Option<Listing>,
}

impl Opened {
    pub(super) fn new(set: &Set, key: &KeyFile) -> Result<Self> {
        let (data, part) = set.parts()?;
        part.intact()?;
        let (manifest, signer) = Manifest::open(part, key.identity())?;
        if manifest.set != set.id.to_string() || manifest.data_file != data.name {
            return Err(flawed(&part.name, "清单说的是另一套备份，文件可能被改名或调换"));
        }
        Ok(Self { manifest, signer, listing: None })
    }

    /// Reads the list of what is needed of the pool, which must be the one that was signed.
    pub(super) fn with_list(mut self, set: &Set) -> Result<Self> {
        let Some(needs) = &self.manifest.pool else { return Ok(self) };
        let part = set.list()?.filter(|p| Some(&p.name) == needs.file.as_ref());
        let listing = match (part, &needs.file) {
            (Some(part), _) => read_list(part)?,
            (None, None) => Listing::default(),
            (None, Some(name)) => return Err(flawed(name, "文件缺失")),
        };
        if (listing.root(), listing.count(), listing.bytes()) != (needs.root.clone(), needs.count, needs.bytes) {
            return Err(flawed(&set.id.to_string(), "附件清单与签名清单所记的不是同一份"));
        }
        self.listing = Some(listing);
        Ok(self)
    }

    pub(super) fn source<'a>(&self, data: &'a Part, key: &'a KeyFile) -> Source<'a> {
        Source { path: &data.path, identity: key.identity(), pooled: self.manifest.pool.is_some() }
    }

    /// Refuses a signer that neither the key file nor the person names.
    pub(super) fn believe(&self, key: &KeyFile, named: Option<&str>) -> Result<()> {
        believe(&self.signer, key, named)
    }

    pub(super) fn check_stamp(&self, data: &Part, stamp: &Stamp) -> Result<()> {
        let digest = hex::encode(stamp.sha256);
        let same = self.manifest.data_sha256 == digest && self.manifest.data_bytes == stamp.bytes;
        if same { Ok(()) } else { Err(flawed(&data.name, "与清单所记的不是同一个文件")) }
    }

    /// Checks a copy; its attachments lie in the copy, or in the pool `at`. Gives those that the set says are whole
    /// and that are not: they can only be lost in the pool.
    pub(super) fn confirm(&self, copy: &Store, at: Option<&At<'_>>) -> Result<Vec<Damaged>> {
        let whole = |file: &FileRef| match (at, &self.listing) {
            (Some(at), Some(listing)) => in_pool(copy, at, listing, file),
            _ => copy.is_whole(file),
        };
        let found = self.manifest.content.confirm(copy, &whole)?;
        let stated: BTreeSet<&Damaged> = self.manifest.damaged.iter().collect();
        let lost: Vec<Damaged> = found.damaged.iter().filter(|d| !stated.contains(d)).cloned().collect();
        let counted = found.files + lost.len() as u64 == self.manifest.files;
        let all = found.damaged.len() == stated.len() + lost.len();
        if counted && all && (lost.is_empty() || self.listing.is_some()) {
            return Ok(lost);
        }
        Err(flawed(&self.manifest.data_file, "附件与清单不符"))
    }

    /// Checks a copy whose attachments are still to come.
    pub(super) fn confirm_but_files(&self, copy: &Store) -> Result<()> {
        self.manifest.content.confirm(copy, &|_| true).map(drop)
    }

    /// Checks a copy after segments were applied to it. Gives attachments that are not whole and of which the set does
    /// not say so.
    fn confirm_further(&self, copy: &Store) -> Result<Vec<Damaged>> {
        let report = copy.check()?;
        if let Some(problem) = report.problems.first().filter(|_| report.faults > 0) {
            let count = report.faults;
            return Err(super::manifest::unequal(&format!("按日志恢复后发现 {count} 处问题，第一处：{problem}")));
        }
        let found = report.damaged.into_iter().map(|(record, blob)| Damaged { record: record.0, blob });
        Ok(found.filter(|d| !self.manifest.damaged.contains(d)).collect())
    }

    /// Fetches what the copy's records name from the pool; what is not there or not what the list says stays out.
    pub(super) fn fetch(&self, copy: &Store, pool: &Pool) -> Result<()> {
        let Some(listing) = &self.listing else { return Ok(()) };
        if listing.count() > 0 && !pool.exists() {
            let message = "备份目录中没有附件池（pool 文件夹）。请把它连同备份文件一起放到同一个目录后重试。";
            return Err(Error::invalid(message));
        }
        let mut done = BTreeSet::new();
        for (_, file) in copy.read()?.named_files()? {
            let name = pool::name_of(copy, &file);
            let Some(member) = listing.get(&name).filter(|_| done.insert(file.blob.clone())) else { continue };
            if pool.intact(&name, member).is_err() {
                continue;
            }
            let source = File::open(pool.path(&name, member)).map_err(|e| read_failed(&name, e))?;
            let mut source = Metered::new(source);
            copy.adopt_blob(&file, &mut source)?;
            let stamp = source.stamp();
            if (hex::encode(stamp.sha256), stamp.bytes) != (member.sha256.clone(), member.bytes) {
                copy.discard_blob(&file)?;
            }
        }
        Ok(())
    }
}

/// Refuses a signer that neither the key file nor the person names.
pub(super) fn believe(signer: &Signer, key: &KeyFile, named: Option<&str>) -> Result<()> {
    let print = signer.fingerprint();
    if key.signer.is_none() && named.is_none() {
        return Err(Error::new(
            ErrorKind::Denied,
            format!(
                "密钥文件没有记录本县的签名公钥，无法确认备份来自本县，没有写入任何内容。这套备份的签名指纹是 \
                 {print}：请与建库时留存的指纹核对，一致时加上 --signer {print} 再次运行。"
            ),
        ));
    }
    let believed = key.signer == Some(*signer) || named.is_some_and(|n| signer.is_called(n));
    if believed {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Denied,
        format!(
            "备份清单不是用所信任的签名密钥签的（它的指纹是 {print}），可能被调换，没有写入任何内容。请核对\
             备份来源，或改用另一套备份。"
        ),
    ))
}

/// An attachment is listed, what is listed is there, and it opens.
fn in_pool(copy: &Store, at: &At<'_>, listing: &Listing, file: &FileRef) -> bool {
    let name = pool::name_of(copy, file);
    listing.get(&name).is_some_and(|member| {
        at.reading.is_intact(&name, member) && store::opens(&at.pool.path(&name, member), file)
    })
}

/// Which records attachments belong to, for people.
pub(super) fn records_of(damaged: &[Damaged]) -> String {
    const NAMED: usize = 10;
    let mut records: Vec<u64> = damaged.iter().map(|d| d.record).collect();
    records.dedup();
    let more = if records.len() > NAMED { "等" } else { "" };
    let records: Vec<String> = records.iter().take(NAMED).map(u64::to_string).collect();
    format!("记录 {}{more}", records.join("、"))
}

/// What people are told of damaged attachments, with a comma before it; nothing where there are none.
pub fn damage_text(damaged: &[Damaged]) -> String {
    if damaged.is_empty() {
        return String::new();
    }
    format!("，另有 {} 个附件在备份前已经损坏（{}）", damaged.len(), records_of(damaged))
}

/// What people are told of attachments that the pool has lost.
pub fn lost_text(lost: &[Damaged]) -> String {
    format!("备份目录的附件池中有 {} 个附件缺失或损坏（{}）", lost.len(), records_of(lost))
}

/// What people are told of attachments that only the pool has whole; nothing where there are none.
pub fn rescued_text(rescued: &[Damaged]) -> String {
    if rescued.is_empty() {
        return String::new();
    }
    let (count, records) = (rescued.len(), records_of(rescued));
    format!("有 {count} 个附件缺失或损坏（{records}），备份中有完好的副本")
}

/// What is to be restored, and by whom.
pub struct Wish<'a> {
    /// The folder with the sets.
    pub from: &'a Path,
    /// Which set, without the log unless a point is named; the newest one that leads there when not named.
    pub set: Option<&'a str>,
    /// Where in the log beside the sets to end; at its end when not named.
    pub until: Option<Until>,
    /// Who opens it.
    pub key: &'a KeyFile,
    /// A signer to believe besides the key file's: base64 or fingerprint.
    pub signer: Option<&'a str>,
    /// The new data folder, absent or empty.
    pub dir: &'a Path,
    /// Last register numbers on paper, by counter.
    pub numbers: &'a [(String, u64)],
    /// Asks for those that are not named there.
    pub ask: AskNumber<'a>,
    /// For the journal.
    pub doer: Doer,
}

/// A store that was restored.
#[derive(Clone, Debug)]
pub struct Restored {
    /// The set it came from.
    pub set: String,
    /// The data folder.
    pub dir: PathBuf,
    /// Its new key file, beside the folder.
    pub key_file: PathBuf,
    /// What the set holds: the store at the snapshot.
    pub manifest: Manifest,
    /// Head of the journal now, with the entry about the restore.
    pub head: Head,
    /// The new epoch.
    pub epoch: u64,
    /// Attachments that the pool has lost: the set says they were whole.
    pub lost: Vec<Damaged>,
    /// Register numbers that nothing will have.
    pub skipped: Vec<Skipped>,
    /// What was applied of the log.
    pub followed: Followed,
    /// Records in the store now.
    pub records: u64,
    /// Later slots of the log that cannot be read: what they purged may be in the store.
    pub unread_slots: u64,
    /// Records that were purged after what was restored, and were purged again.
    pub purged: u64,
    /// Newer sets whose manifests could not be read: what was purged since may be in the restored store.
    pub unread: Vec<SetId>,
}

/// What a restored store says of itself until it was confirmed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resting {
    /// The set it came from.
    pub set: String,
    /// Register numbers that were skipped, in words.
    pub skipped: Vec<String>,
    /// Roles of those who confirmed it.
    pub confirmed: Vec<String>,
}

impl Resting {
    /// The stored form; `None` when nothing rests. What cannot be read rests all the same.
    pub fn decode(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| serde_json::from_str(text).unwrap_or_default())
    }

    /// For the store.
    pub fn encode(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Makes a new store from a set. Nothing is written before digest and signature are right; on any failure
/// nothing stays.
pub fn restore(wish: &Wish<'_>, clock: Arc<dyn Clock>) -> Result<Restored> {
    store::refuse_occupied(wish.dir)?;
    let dir = target::place(wish.dir)?;
    let sets = target::sets(wish.from)?;
    if dir.starts_with(wish.from.canonicalize()?) {
        return Err(Error::invalid("恢复的目录不能在备份目录里。请用 --dir 指定另一个新目录。"));
    }
    let log = Log::read(wish.from)?;
    let Chosen { set, opened, goal, way } = replay::choose(&sets, &log, wish)?;
    let opened = opened.with_list(set)?;
    let (data, _) = set.parts()?;
    let stamp = data.intact()?;
    opened.check_stamp(data, &stamp)?;

    let mut stage = Stage::create(dir)?;
    let place = Place { dir: &stage.at, key_file: &stage.key_file, fleeting: false };
    let (copy, stamp) = archive::load(&opened.source(data, wish.key), place, Arc::clone(&clock), &|_| Ok(()))?;
    opened.check_stamp(data, &stamp)?;
    let pool = Pool::of(wish.from);
    opened.fetch(&copy, &pool)?;
    let mut lost = opened.confirm(&copy, None)?;
    let mut followed = Followed::default();
    if let Some(way) = &way {
        let needed;
        (followed, needed) = log.follow(way, &copy, (wish.key, wish.signer))?;
        if followed.slots > 0 {
            replay::fetch_named(&copy, &pool, &needed)?;
            lost = opened.confirm_further(&copy)?;
        }
    }
    let skipped = numbers::plan(&copy.read()?, clock.now().year(), wish.numbers, wish.ask)?;
    let name = match followed.last {
        0 => opened.manifest.set.clone(),
        last => format!("{} 加日志至第 {last} 段", opened.manifest.set),
    };
    let epoch = raise_epoch(&copy, &name, (&skipped, log.epoch()), &wish.doer)?;
    let records = copy.read()?.count()?;
    drop(copy);
    let (mut gone, unread_slots) = log.purged_after(goal, (wish.key, wish.signer));
    let later = Later::read(&sets, set, &opened.manifest.content.store, wish);
    gone.extend(later.purged);
    let (head, purged) = reopened(&stage.at, epoch, clock, (&gone, &wish.doer))?;
    stage.finish()?;
    let (dir, key_file) = (stage.dir.clone(), stage.key_file.clone());
    let set = opened.manifest.set.clone();
    Ok(Restored {
        set,
        dir,
        key_file,
        manifest: opened.manifest,
        head,
        epoch,
        lost,
        skipped,
        followed,
        records,
        unread_slots,
        purged,
        unread: later.unread,
    })
}

/// What the other sets in the target say of purges.
struct Later {
    purged: Vec<Purged>,
    unread: Vec<SetId>,
}

impl Later {
    /// Reads every manifest of this store that can be believed: which of them is the newest, clocks and epochs do not
    /// say for sure. Only the manifests of newer sets are missed where they cannot be read.
    fn read(sets: &[Set], chosen: &Set, store: &str, wish: &Wish<'_>) -> Self {
        let mut later = Self { purged: Vec::new(), unread: Vec::new() };
        for set in sets.iter().filter(|set| set.complete()) {
            let opened = Opened::new(set, wish.key);
            let opened = opened.and_then(|o| o.believe(wish.key, wish.signer).map(|()| o));
            match opened {
                Ok(opened) if opened.manifest.content.store == store => later.purged.extend(opened.manifest.purged),
                // Another county's, which is no concern of this one.
                Ok(_) => {}
                Err(_) if set.id > chosen.id => later.unread.push(set.id.clone()),
                Err(_) => {}
            }
        }
        later
    }
}

/// The entry of the restore names the set and the void numbers; the store rests until it is confirmed.
fn raise_epoch(copy: &Store, set: &str, (skipped, beyond): (&[Skipped], u64), doer: &Doer) -> Result<u64> {
    let words: Vec<String> = skipped.iter().map(ToString::to_string).collect();
    let counters = skipped.iter().map(|s| (s.counter.clone(), s.to)).collect();
    let void = if words.is_empty() { String::new() } else { format!(" 恢复空号 {}", words.join("、")) };
    let resting = Resting { set: set.to_owned(), skipped: words, confirmed: Vec::new() };
    let act = Act::new(doer.clone(), act::RESTORE).note(format!("{set}{void}"));
    store::raise_epoch(copy, act, resting.encode(), (counters, beyond))
}

/// Opens the store the way the next command will: by its slot file and key file. In the new epoch, and before anybody
/// is served, what was purged is purged again; how many records that were.
fn reopened(
    dir: &Path,
    epoch: u64,
    clock: Arc<dyn Clock>,
    (purged, doer): (&[Purged], &Doer),
) -> Result<(Head, u64)> {
    let store = Store::open(dir, clock)?;
    if store.facts().epoch != epoch {
        return Err(Error::internal("epoch did not rise"));
    }
    let purged = store.apply_purges(purged, doer)?;
    Ok((store.head(), purged))
}

/// The store in the making. Its key file stands at its final path from the start, because the slot file
/// records it.
pub(super) struct Stage {
    pub(super) at: PathBuf,
    dir: PathBuf,
    pub(super) key_file: PathBuf,
    done: bool,
}

impl Stage {
    pub(super) fn create(dir: PathBuf) -> Result<Self> {
        let key_file = store::free_key_path(&dir);
        let mut at = dir.clone().into_os_string();
        at.push(format!(".restoring-{}", hex::encode(seal::random::<6>()?)));
        let at = PathBuf::from(at);
        target::make_private(&at)?;
        Ok(Self { at, dir, key_file, done: false })
    }

    /// Everything durable, then the folder under its name.
    pub(super) fn finish(&mut self) -> Result<()> {
        sync_folders(&self.at)?;
        let parent = self.dir.parent().unwrap_or(Path::new("/"));
        File::open(parent)?.sync_all()?;
        fs::rename(&self.at, &self.dir).map_err(|e| {
            let name = self.dir.display();
            let message =
                format!("不能把恢复好的数据放到 {name}。它不能是挂载点，也不能已有内容：请指定一个新目录。");
            Error::invalid(message).with_detail(e)
        })?;
        self.at.clone_from(&self.dir);
        File::open(parent)?.sync_all()?;
        self.done = true;
        Ok(())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        // A slot file shows that the key file is ours; another's must never be removed. The error that led
        // here is told.
        if self.at.join(store::SLOT_FILE).exists() {
            let _gone = fs::remove_file(&self.key_file);
        }
        let _gone = fs::remove_dir_all(&self.at);
    }
}

/// Syncs a folder and all folders in it; files were synced when written.
fn sync_folders(dir: &Path) -> Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_folders(&entry.path())?;
        }
    }
    Ok(File::open(dir)?.sync_all()?)
}

//! Reading sets: what is there ([`list`]), whether it is whole ([`verify`]), and a new store from one
//! ([`restore`]).
//!
//! Order of trust: the digest in a name (rot), decryption (for us), the signature by a believed signer (from
//! the county), the data's digest in the signed manifest, and at last the loaded store, checked and
//! compared. A restore writes into a sibling of the new folder and renames it at the end; any failure before
//! that leaves nothing behind.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::archive::{self, Place, Scratch};
use super::crypt::{KeyFile, Signer, Stamp};
use super::manifest::{Damaged, Manifest};
use super::target::{self, Part, Set};
use super::{SetId, flawed};
use crate::base::{Clock, Error, ErrorKind, Result};
use crate::records::act;
use crate::store::{self, Act, Doer, Head, Store, seal};

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
    let one = |set: &Set| Verified { set: set.id.clone(), outcome: verify_one(set, key, &places) };
    Ok(chosen.iter().map(one).collect())
}

fn verify_one(set: &Set, key: Option<&KeyFile>, places: &[PathBuf]) -> Result<String> {
    let (data, manifest) = set.parts()?;
    manifest.intact()?;
    let stamp = data.intact()?;
    let Some(key) = key else {
        return Ok("文件完整（没有密钥，未核对签名和内容）".to_owned());
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
    opened.check_stamp(data, &stamp)?;
    let scratch = Scratch::within(places)?;
    let (copy, stamp) = scratch.load(&data.path, key.identity(), &|_| Ok(()))?;
    opened.check_stamp(data, &stamp)?;
    opened.confirm(&copy)?;
    let (records, files) = (opened.manifest.content.records, opened.manifest.files);
    let lost = damage_text(&opened.manifest.damaged);
    Ok(format!("可以恢复：记录 {records} 条，附件 {files} 个，{known}{lost}"))
}

/// A set whose manifest was opened; its signature is right, by whomever.
struct Opened {
    manifest: Manifest,
    signer: Signer,
}

impl Opened {
    fn new(set: &Set, key: &KeyFile) -> Result<Self> {
        let (data, part) = set.parts()?;
        part.intact()?;
        let (manifest, signer) = Manifest::open(part, key.identity())?;
        if manifest.set != set.id.to_string() || manifest.data_file != data.name {
            return Err(flawed(&part.name, "清单说的是另一套备份，文件可能被改名或调换"));
        }
        Ok(Self { manifest, signer })
    }

    /// Refuses a signer that neither the key file nor the person names.
    fn believe(&self, key: &KeyFile, named: Option<&str>) -> Result<()> {
        let print = self.signer.fingerprint();
        if key.signer.is_none() && named.is_none() {
            return Err(Error::new(
                ErrorKind::Denied,
                format!(
                    "密钥文件没有记录本县的签名公钥，无法确认备份来自本县，没有写入任何内容。这套备份的签名指纹是 \
                     {print}：请与建库时留存的指纹核对，一致时加上 --signer {print} 再次运行。"
                ),
            ));
        }
        let believed = key.signer == Some(self.signer) || named.is_some_and(|n| self.signer.is_called(n));
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

    fn check_stamp(&self, data: &Part, stamp: &Stamp) -> Result<()> {
        let digest = hex::encode(stamp.sha256);
        let same = self.manifest.data_sha256 == digest && self.manifest.data_bytes == stamp.bytes;
        if same { Ok(()) } else { Err(flawed(&data.name, "与清单所记的不是同一个文件")) }
    }

    fn confirm(&self, copy: &Store) -> Result<()> {
        let found = self.manifest.content.confirm(copy)?;
        if (found.files, &found.damaged) == (self.manifest.files, &self.manifest.damaged) {
            return Ok(());
        }
        Err(flawed(&self.manifest.data_file, "附件与清单不符"))
    }
}

/// What people are told of damaged attachments, with a comma before it; nothing where there are none.
pub fn damage_text(damaged: &[Damaged]) -> String {
    const NAMED: usize = 10;
    if damaged.is_empty() {
        return String::new();
    }
    let mut records: Vec<u64> = damaged.iter().map(|d| d.record).collect();
    records.dedup();
    let more = if records.len() > NAMED { "等" } else { "" };
    let records: Vec<String> = records.iter().take(NAMED).map(u64::to_string).collect();
    let count = damaged.len();
    format!("，另有 {count} 个附件在备份前已经损坏（记录 {}{more}）", records.join("、"))
}

/// What is to be restored, and by whom.
pub struct Wish<'a> {
    /// The folder with the sets.
    pub from: &'a Path,
    /// Which set; the newest complete one when not named.
    pub set: Option<&'a str>,
    /// Who opens it.
    pub key: &'a KeyFile,
    /// A signer to believe besides the key file's: base64 or fingerprint.
    pub signer: Option<&'a str>,
    /// The new data folder, absent or empty.
    pub dir: &'a Path,
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
    let set = target::choose(&sets, wish.set)?;
    let opened = Opened::new(set, wish.key)?;
    opened.believe(wish.key, wish.signer)?;
    let (data, _) = set.parts()?;
    let stamp = data.intact()?;
    opened.check_stamp(data, &stamp)?;

    let mut stage = Stage::create(dir)?;
    let place = Place { dir: &stage.at, key_file: &stage.key_file };
    let (copy, stamp) = archive::load(&data.path, wish.key.identity(), &place, Arc::clone(&clock), &|_| Ok(()))?;
    opened.check_stamp(data, &stamp)?;
    opened.confirm(&copy)?;
    let note = opened.manifest.set.clone();
    let epoch = store::raise_epoch(&copy, Act::new(wish.doer.clone(), act::RESTORE).note(note))?;
    drop(copy);
    let head = reopened(&stage.at, epoch, clock)?;
    stage.finish()?;
    let (dir, key_file) = (stage.dir.clone(), stage.key_file.clone());
    Ok(Restored { set: opened.manifest.set.clone(), dir, key_file, manifest: opened.manifest, head, epoch })
}

/// Opens the store the way the next command will: by its slot file and key file.
fn reopened(dir: &Path, epoch: u64, clock: Arc<dyn Clock>) -> Result<Head> {
    let store = Store::open(dir, clock)?;
    if store.facts().epoch == epoch { Ok(store.head()) } else { Err(Error::internal("epoch did not rise")) }
}

/// The store in the making. Its key file stands at its final path from the start, because the slot file
/// records it.
struct Stage {
    at: PathBuf,
    dir: PathBuf,
    key_file: PathBuf,
    done: bool,
}

impl Stage {
    fn create(dir: PathBuf) -> Result<Self> {
        let key_file = store::free_key_path(&dir);
        let mut at = dir.clone().into_os_string();
        at.push(format!(".restoring-{}", hex::encode(seal::random::<6>()?)));
        let at = PathBuf::from(at);
        target::make_private(&at)?;
        Ok(Self { at, dir, key_file, done: false })
    }

    /// Everything durable, then the folder under its name.
    fn finish(&mut self) -> Result<()> {
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

//! The folder backups are written to, and the names in it (`data-format/backup.md`).
//!
//! What must hold: every file of a set but its list of attachments ends in `.age`; a file gets its final name only
//! when it is whole and synced; whatever a failed run wrote of a set is gone; only our own leftovers are ever removed.
//! Names carry a digest of their file, so rot and cuts are found without a key — not forgery, which is the manifest's
//! part.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::crypt::{Metered, Stamp};
use super::pool::Pool;
use super::{file_name, flawed, read_failed, write_failed};
use crate::base::{Error, ErrorKind, Moment, Result, Seq};
use crate::store::{durable, seal};

const DATA: &str = "data";
const MANIFEST: &str = "manifest";
const LIST: &str = "pool";
/// The kinds of files, with the ends of their names.
const KINDS: [(&str, &str); 3] = [(DATA, "age"), (MANIFEST, "age"), (LIST, "txt")];
const DRAFT_END: &str = ".tmp.age";
/// Hex digits of the digest in a name.
const DIGEST_DIGITS: usize = 32;
/// Characters of `20261123T170102Z`.
const TIME_CHARS: usize = 16;

/// Name of a set: `20261123T170102Z-s000000000123`, with `-2` and so on where one moment has several. Later
/// is greater.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SetId {
    time: String,
    seq: u64,
    nth: u32,
}

impl SetId {
    /// The moment of the snapshot in Beijing time, for people.
    pub fn created(&self) -> String {
        let civil = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", &self.time);
        let at = civil.ok().and_then(|c| jiff::tz::Offset::UTC.to_timestamp(c).ok());
        at.map_or_else(|| self.time.clone(), |t| Moment(t.as_millisecond()).to_string())
    }

    /// The moment of the snapshot as it stands in names.
    pub(super) fn time(&self) -> &str {
        &self.time
    }

    /// Entries of the journal at the snapshot.
    pub fn seq(&self) -> Seq {
        Seq(self.seq)
    }
}

impl fmt::Display for SetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-s{:012}", self.time, self.seq)?;
        if self.nth > 1 { write!(f, "-{}", self.nth) } else { Ok(()) }
    }
}

impl FromStr for SetId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (time, rest) = text.split_at_checked(TIME_CHARS).ok_or(())?;
        let rest = rest.strip_prefix("-s").ok_or(())?;
        let (seq, nth) = rest.split_once('-').unwrap_or((rest, "1"));
        let digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
        if !(digits(&time[..8]) && digits(&time[9..15]) && digits(seq) && digits(nth)) {
            return Err(());
        }
        let (seq, nth) = (seq.parse().map_err(drop)?, nth.parse().map_err(drop)?);
        let id = Self { time: time.to_owned(), seq, nth };
        // One set has one spelling.
        let same = time.as_bytes()[8] == b'T' && time.ends_with('Z') && id.to_string() == text;
        if same { Ok(id) } else { Err(()) }
    }
}

/// One file of a set.
#[derive(Clone, Debug)]
pub(super) struct Part {
    /// Its name.
    pub(super) name: String,
    /// Where it lies.
    pub(super) path: PathBuf,
    /// The beginning of its SHA-256 as its name has it.
    digest: String,
}

impl Part {
    /// Reads the whole file and compares with its name.
    pub(super) fn intact(&self) -> Result<Stamp> {
        let stamp = stamp(&self.path)?;
        if hex::encode(stamp.sha256).starts_with(&self.digest) {
            return Ok(stamp);
        }
        Err(flawed(&self.name, "内容与文件名中的校验值不符，被截断或改动"))
    }

    /// Its length in bytes.
    pub(super) fn bytes(&self) -> u64 {
        fs::metadata(&self.path).map_or(0, |m| m.len())
    }
}

/// The files of a set.
#[derive(Clone, Debug)]
pub(super) struct Set {
    /// Its name.
    pub(super) id: SetId,
    data: Vec<Part>,
    manifest: Vec<Part>,
    list: Vec<Part>,
}

impl Set {
    /// Data and manifest; refuses a set that is no backup.
    pub(super) fn parts(&self) -> Result<(&Part, &Part)> {
        match (&self.data[..], &self.manifest[..]) {
            ([data], [manifest]) => Ok((data, manifest)),
            ([_], []) => Err(Error::invalid(format!(
                "{} 没有清单，不是完整的备份（可能中途被打断），不会用于恢复。请改用另一套，或重新运行备份。",
                self.id
            ))),
            ([], _) => Err(flawed(&self.id.to_string(), "数据文件缺失")),
            _ => Err(flawed(&self.id.to_string(), "同名的文件有多份，不知道哪一份是原件")),
        }
    }

    /// What it needs of the pool, where there is such a list; refuses several.
    pub(super) fn list(&self) -> Result<Option<&Part>> {
        match &self.list[..] {
            [] => Ok(None),
            [list] => Ok(Some(list)),
            _ => Err(flawed(&self.id.to_string(), "同名的文件有多份，不知道哪一份是原件")),
        }
    }

    /// It has a manifest and data, once each, and no two lists.
    pub(super) fn complete(&self) -> bool {
        self.parts().is_ok() && self.list().is_ok()
    }

    /// Something in it has the name of a manifest.
    pub(super) fn has_manifest(&self) -> bool {
        !self.manifest.is_empty()
    }

    /// Bytes of its files.
    pub(super) fn bytes(&self) -> u64 {
        self.data.iter().chain(&self.manifest).chain(&self.list).map(Part::bytes).sum()
    }
}

/// The sets in a folder, newest first; what is not named like one of our files is not looked at.
pub(super) fn sets(folder: &Path) -> Result<Vec<Set>> {
    let entries = fs::read_dir(folder).map_err(|e| {
        let message = format!("读不到备份目录 {}。请检查路径，以及备份盘是否已经挂载。", folder.display());
        Error::invalid(message).with_detail(e)
    })?;
    let mut sets: BTreeMap<SetId, Set> = BTreeMap::new();
    for entry in entries {
        let path = entry?.path();
        let Some((id, kind, part)) = part_of(&path).filter(|_| path.is_file()) else { continue };
        let fresh = || Set { id: id.clone(), data: Vec::new(), manifest: Vec::new(), list: Vec::new() };
        let set = sets.entry(id.clone()).or_insert_with(fresh);
        match kind {
            DATA => set.data.push(part),
            MANIFEST => set.manifest.push(part),
            _ => set.list.push(part),
        }
    }
    Ok(sets.into_values().rev().collect())
}

/// The set called `id`, or the newest complete one.
pub(super) fn choose<'a>(sets: &'a [Set], id: Option<&str>) -> Result<&'a Set> {
    let found = match id {
        Some(id) => sets.iter().find(|s| s.id.to_string() == id.trim()),
        None => sets.iter().find(|s| s.complete()),
    };
    found.ok_or_else(|| {
        let which = id.map_or("完整的备份".to_owned(), |id| format!("备份 {id}"));
        Error::invalid(format!(
            "备份目录中没有{which}。请用 jiceng backup list 查看有哪些备份，或检查目录是否正确。"
        ))
    })
}

/// The set and the kind of a file, by its name.
pub(super) fn kind_of(name: &str) -> Option<(SetId, &'static str)> {
    part_of(Path::new(name)).filter(|(.., part)| part.name == name).map(|(id, kind, _)| (id, kind))
}

fn part_of(path: &Path) -> Option<(SetId, &'static str, Part)> {
    let name = path.file_name()?.to_str()?;
    let mut words = name.split('.');
    let (id, digest, kind, end) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let (kind, _) = KINDS.into_iter().find(|k| *k == (kind, end) && words.next().is_none())?;
    let hex = digest.len() == DIGEST_DIGITS && digest.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let part = Part { name: name.to_owned(), path: path.to_owned(), digest: digest.to_owned() };
    hex.then_some((id.parse().ok()?, kind, part))
}

/// Length and digest of a file.
pub(super) fn stamp(path: &Path) -> Result<Stamp> {
    let name = file_name(path);
    let mut metered = File::open(path).map(Metered::new).map_err(|e| read_failed(&name, e))?;
    metered.drain().map_err(|e| read_failed(&name, e))?;
    Ok(metered.stamp())
}

/// A target a run writes to; one run at a time.
pub(super) struct Folder {
    path: PathBuf,
    created: bool,
    _lock: File,
}

impl Folder {
    /// Opens or makes the folder; its parent must exist, and it must not lie in the data folder.
    pub(super) fn open(target: &Path, data_dir: &Path) -> Result<Self> {
        let path = place(target)?;
        if path.starts_with(data_dir) {
            let message = "备份目录不能在数据目录里：盘坏时会一起丢失。请用 --to 指定另一块盘上的目录。";
            return Err(Error::invalid(message));
        }
        let created = !path.exists();
        if created {
            make_private(&path).map_err(write_failed)?;
        }
        let Some(lock) = lock(&path).map_err(write_failed)? else {
            let message = "另一次备份正在写入这个目录。请等它结束后再试。";
            return Err(Error::new(ErrorKind::Busy, message));
        };
        let folder = Self { path, created, _lock: lock };
        folder.clear_leftovers()?;
        Ok(folder)
    }

    /// The folder itself.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A name for a new set.
    pub(super) fn new_id(&self, now: Moment, seq: Seq) -> Result<SetId> {
        let taken = sets(&self.path)?;
        let id = |nth| SetId { time: now.compact_utc(), seq: seq.0, nth };
        let free = (1..u32::MAX).map(id).find(|id| taken.iter().all(|s| s.id != *id));
        free.ok_or_else(|| Error::internal("no free set id"))
    }

    /// A new file under a draft name.
    pub(super) fn draft(&self, id: &SetId) -> Result<(Draft<'_>, File)> {
        use std::os::unix::fs::OpenOptionsExt;
        let path = self.path.join(format!("{id}.{}{DRAFT_END}", hex::encode(seal::random::<8>()?)));
        let file =
            File::options().write(true).create_new(true).mode(0o600).open(&path).map_err(write_failed)?;
        share(&self.path, &path).map_err(write_failed)?;
        Ok((Draft { folder: self, path, kept: false }, file))
    }

    /// Removes what runs that were cut off left: first what a draft says belongs to an unfinished set, then drafts.
    fn clear_leftovers(&self) -> Result<()> {
        Pool::of(&self.path).clear_leftovers()?;
        let mut drafts: Vec<(SetId, PathBuf)> = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let path = entry?.path();
            let name = file_name(&path);
            let id = name.strip_suffix(DRAFT_END).and_then(|n| n.split_once('.')).and_then(|(id, _)| id.parse().ok());
            drafts.extend(id.map(|id| (id, path)));
        }
        for set in sets(&self.path)?.iter().filter(|s| !s.has_manifest() && drafts.iter().any(|(id, _)| *id == s.id)) {
            for part in set.data.iter().chain(&set.list) {
                fs::remove_file(&part.path)?;
            }
            durable::sync_folder(&self.path)?;
        }
        for (_, path) in drafts {
            fs::remove_file(path)?;
        }
        Ok(())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.created {
            // Works only on an empty folder: one in which nothing came to be.
            let _kept = fs::remove_dir(&self.path);
        }
    }
}

/// The folder, with the lock of whoever writes to it; `None` while another one does.
pub(super) fn lock(folder: &Path) -> io::Result<Option<File>> {
    let handle = File::open(folder)?;
    let busy = matches!(fs4::FileExt::try_lock(&handle), Err(fs4::TryLockError::WouldBlock));
    Ok((!busy).then_some(handle))
}

/// The path of something that may not exist yet, below a folder that must.
pub(super) fn place(path: &Path) -> Result<PathBuf> {
    if path.exists() {
        let path = path.canonicalize()?;
        return if path.is_dir() {
            Ok(path)
        } else {
            Err(no_folder(&path, "是一个文件，不是目录"))
        };
    }
    let name = path.file_name().ok_or_else(|| no_folder(path, "不是目录名"))?;
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match parent.canonicalize() {
        Ok(parent) if parent.is_dir() => Ok(parent.join(name)),
        _ => Err(no_folder(path, "的上级目录不存在")),
    }
}

fn no_folder(path: &Path, why: &str) -> Error {
    Error::invalid(format!("{} {why}。请检查路径，以及所在的盘是否已经挂载。", path.display()))
}

/// Where the folder of a target is open to its group, what is made in it is as well: `jiceng ship` reads it as another
/// user, and sees ciphertext only.
pub(super) fn share(target: &Path, made: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    if fs::metadata(target)?.permissions().mode() & 0o050 != 0o050 {
        return Ok(());
    }
    let about = fs::metadata(made)?;
    let group = if about.is_dir() { 0o050 } else { 0o040 };
    // File systems that know no modes give everything the same, and refuse to be asked for another.
    if about.permissions().mode() & group == group {
        return Ok(());
    }
    fs::set_permissions(made, fs::Permissions::from_mode(about.permissions().mode() | group))
}

/// Makes a folder that only its owner can enter; its parent must exist.
pub(super) fn make_private(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().mode(0o700).create(path)
}

/// A file that vanishes unless it is kept.
pub(super) struct Draft<'a> {
    folder: &'a Folder,
    path: PathBuf,
    kept: bool,
}

impl Draft<'_> {
    /// Where it lies now.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The data file gets its final name.
    pub(super) fn place_data(&mut self, id: &SetId, stamp: &Stamp) -> Result<String> {
        self.place(id, stamp, DATA)
    }

    /// The list of attachments gets its final name.
    pub(super) fn place_list(&mut self, id: &SetId, stamp: &Stamp) -> Result<String> {
        self.place(id, stamp, LIST)
    }

    /// The manifest gets its final name: from now on the set is a backup.
    pub(super) fn place_manifest(&mut self, id: &SetId, stamp: &Stamp) -> Result<String> {
        self.place(id, stamp, MANIFEST)
    }

    fn place(&mut self, id: &SetId, stamp: &Stamp, kind: &str) -> Result<String> {
        let name = name_of(id, stamp, kind);
        let last = self.folder.path.join(&name);
        if kind != MANIFEST {
            // The draft of the manifest lasts as long as this is not signed.
            durable::sync_folder(&self.folder.path).map_err(write_failed)?;
        }
        durable::rename(&self.path, &last).map_err(write_failed)?;
        self.path = last;
        durable::sync_folder(&self.folder.path).map_err(write_failed)?;
        Ok(name)
    }

    /// It stays.
    pub(super) fn keep(mut self) {
        self.kept = true;
    }
}

fn name_of(id: &SetId, stamp: &Stamp, kind: &str) -> String {
    let digest = hex::encode(&stamp.sha256[..DIGEST_DIGITS / 2]);
    let end = KINDS.iter().find(|k| k.0 == kind).map_or("age", |k| k.1);
    format!("{id}.{digest}.{kind}.{end}")
}

/// The final name of a data file.
pub(super) fn data_name(id: &SetId, stamp: &Stamp) -> String {
    name_of(id, stamp, DATA)
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        if !self.kept {
            // The error that led here is the one to tell; the next run clears drafts again.
            let _gone = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_one_spelling_and_order_by_time() {
        let texts = [
            "20261123T170102Z-s000000000123",
            "20261123T170102Z-s000000000123-2",
            "20261124T000000Z-s000000000001",
        ];
        let ids: Vec<SetId> = texts.iter().map(|t| t.parse().unwrap()).collect();
        assert!(ids.windows(2).all(|w| w[0] < w[1]));
        assert!(ids.iter().zip(texts).all(|(id, t)| id.to_string() == t));
        assert_eq!(ids[0].created(), "2026-11-24 01:01:02");
        for text in [
            "",
            "20261123T170102Z-s123",
            "20261123T170102Z-s000000000123-1",
            "20261123x170102Z-s000000000123",
        ] {
            assert!(text.parse::<SetId>().is_err(), "{text}");
        }
        assert!("二二二二二2Z-s000000000001".parse::<SetId>().is_err());
    }

    #[test]
    fn a_target_needs_a_parent_and_its_own_place() {
        let home = tempfile::tempdir().unwrap();
        let root = home.path().canonicalize().unwrap();
        let data = root.join("data");
        fs::create_dir(&data).unwrap();
        assert!(Folder::open(&data.join("backup"), &data).is_err());
        assert!(Folder::open(&root.join("no/backup"), &data).is_err());
        let target = root.join("backup");
        let folder = Folder::open(&target, &data).unwrap();
        assert!(Folder::open(&target, &data).is_err_and(|e| e.kind() == ErrorKind::Busy));
        drop(folder);
        assert!(!target.exists(), "an empty folder we made does not stay");
    }

    /// A run that was cut off between data and manifest left the data for good.
    #[test]
    fn only_our_own_leftovers_are_cleared() {
        let home = tempfile::tempdir().unwrap();
        let at = |names: &[&str]| names.iter().map(|n| home.path().join(n)).collect::<Vec<_>>();
        let part = |id: u32, end: &str| format!("20261123T170102Z-s{id:012}.{}.{end}", "0".repeat(DIGEST_DIGITS));
        let of = |id, ends: [&str; 2]| ends.map(|end| part(id, end));
        let (cut, signed, lost) =
            (of(7, ["data.age", "pool.txt"]), of(8, ["data.age", "manifest.age"]), of(9, ["data.age", "pool.txt"]));
        let drafts = [7, 8].map(|id| format!("20261123T170102Z-s{id:012}.00ff.tmp.age"));
        let ours = at(&[&cut[0], &cut[1], &drafts[0], &drafts[1]]);
        // One whose manifest was lost has no draft: it may be all that somebody has.
        let others = at(&["notes.txt", "other.tmp.age", &signed[0], &signed[1], &lost[0], &lost[1]]);
        for file in others.iter().chain(&ours) {
            fs::write(file, b"x").unwrap();
        }
        drop(Folder::open(home.path(), Path::new("/nowhere")).unwrap());
        assert!(ours.iter().all(|p| !p.exists()) && others.iter().all(|p| p.exists()));
    }
}

//! The pool of a target (`data-format/backup.md`): each sealed attachment once, shared by all sets in the folder, and
//! the list by which a set says what it needs of it.
//!
//! What must hold: a member gets its name only when it is whole, synced and read back; its name carries its digest, so
//! rot is found without any key; a member is never changed. Which are needed is the lists' matter, which may go
//! `retention`'s.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::crypt::{Metered, Stamp};
use super::target::{self, make_private};
use super::{file_name, flawed, read_failed, write_failed};
use crate::base::{Error, Result};
use crate::records::FileRef;
use crate::store::{self, Store, durable, seal};

const FOLDER: &str = "pool";
const END: &str = "blob";
const DRAFT_END: &str = ".tmp";
/// Where the rolling share of members that are read again goes on.
const CURSOR: &str = "read-on.txt";
const HEAD: &str = "jiceng-pool-1";
/// Hex digits of a name, of a digest, and of a draft.
const NAME_DIGITS: usize = 32;
const DIGEST_DIGITS: usize = 64;
const DRAFT_DIGITS: usize = 24;

/// A member: the digest of its file, hex, and its length.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Member {
    pub(super) sha256: String,
    pub(super) bytes: u64,
}

impl Member {
    /// The member that a file of this length and digest is.
    pub(super) fn of(stamp: &Stamp) -> Self {
        Self { sha256: hex::encode(stamp.sha256), bytes: stamp.bytes }
    }
}

/// The name of an attachment in every pool of its county: says nothing to whoever has not the county's keys.
pub fn name_of(store: &Store, file: &FileRef) -> String {
    hex::encode(store.mac("backup-pool", file.blob.as_bytes()))
}

/// The name of a member in a target.
pub(super) fn member_name(name: &str, sha256: &str) -> String {
    format!("{FOLDER}/{}/{name}.{sha256}.{END}", name.get(..2).unwrap_or("--"))
}

/// Whether this can be the name of an attachment in a pool.
pub(super) fn is_name(text: &str) -> bool {
    is_hex(text, NAME_DIGITS)
}

/// The pool in a target; it may not be there yet.
#[derive(Clone, Debug)]
pub(super) struct Pool(PathBuf);

impl Pool {
    pub(super) fn of(target: &Path) -> Self {
        Self(target.join(FOLDER))
    }

    pub(super) fn exists(&self) -> bool {
        self.0.is_dir()
    }

    /// Where a member lies.
    pub(super) fn path(&self, name: &str, member: &Member) -> PathBuf {
        self.0.join(name.get(..2).unwrap_or("--")).join(format!("{name}.{}.{END}", member.sha256))
    }

    /// What lies there, by name; what is named otherwise is not looked at.
    pub(super) fn lying(&self) -> Result<BTreeMap<String, Vec<Member>>> {
        let mut all: BTreeMap<String, Vec<Member>> = BTreeMap::new();
        if !self.exists() {
            return Ok(all);
        }
        for folder in fs::read_dir(&self.0)? {
            let folder = folder?.path();
            if !folder.is_dir() {
                continue;
            }
            for entry in fs::read_dir(&folder)? {
                let path = entry?.path();
                let Some((name, sha256)) = parts_of(&file_name(&path)) else { continue };
                let member = Member { bytes: fs::metadata(&path).map_or(0, |m| m.len()), sha256 };
                if path == self.path(&name, &member) {
                    all.entry(name).or_default().push(member);
                }
            }
        }
        Ok(all)
    }

    /// Reads a member and compares with its name and length.
    pub(super) fn intact(&self, name: &str, member: &Member) -> Result<()> {
        let path = self.path(name, member);
        let stamp = target::stamp(&path)?;
        if hex::encode(stamp.sha256) == member.sha256 && stamp.bytes == member.bytes {
            return Ok(());
        }
        Err(flawed(&file_name(&path), "内容与文件名中的校验值不符，被截断或改动"))
    }

    /// A new file for a member in the making.
    pub(super) fn draft(&self) -> Result<(Draft, File)> {
        use std::os::unix::fs::OpenOptionsExt;
        match make_private(&self.0) {
            Ok(()) => self.share(&self.0)?,
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(write_failed(e)),
            Err(_) => {}
        }
        let digits = hex::encode(seal::random::<{ DRAFT_DIGITS / 2 }>()?);
        let path = self.0.join(format!("{digits}{DRAFT_END}"));
        let file = File::options().write(true).create_new(true).mode(0o600).open(&path);
        let file = file.map_err(write_failed)?;
        self.share(&path)?;
        Ok((Draft { path, kept: false }, file))
    }

    fn share(&self, made: &Path) -> Result<()> {
        let target = self.0.parent().unwrap_or(&self.0);
        target::share(target, made).map_err(write_failed)
    }

    /// A sealed file is read once: what it is, and whether it opens under the key of an attachment.
    pub(super) fn look(path: &Path, file: &FileRef) -> Result<(Stamp, bool)> {
        let name = file_name(path);
        let failed = |e| read_failed(&name, e);
        let sealed = File::open(path).map_err(failed)?;
        let length = sealed.metadata().map_err(failed)?.len();
        let mut sealed = Metered::new(sealed);
        let opens = store::opens_from(&mut sealed, length, file);
        // What follows a piece that does not open is part of the file all the same.
        sealed.drain().map_err(failed)?;
        Ok((sealed.stamp(), opens))
    }

    /// A draft that was synced and read back gets its name, which lasts once [`Pool::sync`] was called.
    pub(super) fn place(&self, mut draft: Draft, name: &str, stamp: &Stamp) -> Result<Member> {
        let member = Member::of(stamp);
        let path = self.path(name, &member);
        let folder = path.parent().unwrap_or(&self.0);
        match make_private(folder) {
            Ok(()) => self.share(folder)?,
            // Another one may have come first.
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(write_failed(e)),
            Err(_) => {}
        }
        fs::rename(&draft.path, &path).map_err(write_failed)?;
        draft.kept = true;
        Ok(member)
    }

    /// Makes the names of members last.
    pub(super) fn sync<'a>(&self, members: impl Iterator<Item = (&'a String, &'a Member)>) -> Result<()> {
        let folders: BTreeSet<PathBuf> =
            members.filter_map(|(name, member)| self.path(name, member).parent().map(Path::to_owned)).collect();
        for folder in folders.iter().chain(folders.first().map(|_| &self.0)) {
            durable::sync_folder(folder).map_err(write_failed)?;
        }
        Ok(())
    }

    /// Removes members, and folders that are empty then.
    pub(super) fn remove(&self, members: &[(String, Member)]) -> Result<()> {
        for (name, member) in members {
            let path = self.path(name, member);
            fs::remove_file(&path)?;
            // Works only on an empty folder.
            let _full = path.parent().map(fs::remove_dir);
        }
        Ok(())
    }

    /// Removes drafts of runs that were cut off.
    pub(super) fn clear_leftovers(&self) -> Result<()> {
        let Ok(entries) = fs::read_dir(&self.0) else { return Ok(()) };
        for entry in entries {
            let path = entry?.path();
            let ours = file_name(&path).strip_suffix(DRAFT_END).is_some_and(|n| is_hex(n, DRAFT_DIGITS));
            if ours && path.is_file() {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    /// The name after which reading again goes on.
    pub(super) fn cursor(&self) -> String {
        fs::read_to_string(self.0.join(CURSOR)).map_or_else(|_| String::new(), |t| t.trim().to_owned())
    }

    /// Notes where reading again goes on the next time. A lost note costs another round.
    pub(super) fn set_cursor(&self, name: &str) -> Result<()> {
        fs::write(self.0.join(CURSOR), format!("{name}\n")).map_err(write_failed)
    }
}

/// A member in the making; it vanishes unless it is placed.
pub(super) struct Draft {
    path: PathBuf,
    kept: bool,
}

impl Draft {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.kept {
            // The error that led here is the one to tell; the next run clears drafts again.
            let _gone = fs::remove_file(&self.path);
        }
    }
}

/// What a set needs of the pool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Listing(BTreeMap<String, Member>);

impl Listing {
    pub(super) fn insert(&mut self, name: String, member: Member) {
        self.0.insert(name, member);
    }

    pub(super) fn get(&self, name: &str) -> Option<&Member> {
        self.0.get(name)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&String, &Member)> {
        self.0.iter()
    }

    pub(super) fn count(&self) -> u64 {
        self.0.len() as u64
    }

    pub(super) fn bytes(&self) -> u64 {
        self.0.values().map(|m| m.bytes).sum()
    }

    /// SHA-256 of the list as it is written, hex.
    pub(super) fn root(&self) -> String {
        hex::encode(seal::sha256(&[self.encode().as_bytes()]))
    }

    /// A head, then a line for each member in order of names.
    pub(super) fn encode(&self) -> String {
        let mut text = format!("{HEAD}\n");
        for (name, member) in &self.0 {
            text.push_str(&format!("{name} {} {}\n", member.sha256, member.bytes));
        }
        text
    }

    /// What [`Listing::encode`] made, and nothing else.
    pub(super) fn decode(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        lines.next().filter(|l| *l == HEAD)?;
        let mut listing = Self::default();
        for line in lines {
            let mut words = line.split(' ');
            let (name, sha256, bytes) = (words.next()?, words.next()?, words.next()?.parse().ok()?);
            if !is_hex(name, NAME_DIGITS) || !is_hex(sha256, DIGEST_DIGITS) {
                return None;
            }
            listing.insert(name.to_owned(), Member { sha256: sha256.to_owned(), bytes });
        }
        // One content has one form: order, blanks and ends of lines are part of it.
        (listing.encode() == text).then_some(listing)
    }
}

/// Members that were read in this process, so that many sets read each once.
pub(super) struct Reading<'a> {
    pool: &'a Pool,
    seen: RefCell<HashMap<(String, Member), bool>>,
}

impl<'a> Reading<'a> {
    pub(super) fn of(pool: &'a Pool) -> Self {
        Self { pool, seen: RefCell::default() }
    }

    /// Whether a member is there, can be read, and is what its name says.
    pub(super) fn is_intact(&self, name: &str, member: &Member) -> bool {
        let key = (name.to_owned(), member.clone());
        if let Some(known) = self.seen.borrow().get(&key) {
            return *known;
        }
        let intact = self.pool.intact(name, member).is_ok();
        self.seen.borrow_mut().insert(key, intact);
        intact
    }
}

/// Some attachments of a set are gone from the pool.
pub(super) fn lacking(count: usize, which: &str) -> Error {
    flawed(
        FOLDER,
        &format!("池中 {count} 个附件缺失或损坏（{which}），其余内容完好、可以恢复"),
    )
}

fn parts_of(file: &str) -> Option<(String, String)> {
    let mut words = file.split('.');
    let (name, sha256) = (words.next()?, words.next()?);
    let ours = words.next() == Some(END) && words.next().is_none();
    (ours && is_hex(name, NAME_DIGITS) && is_hex(sha256, DIGEST_DIGITS))
        .then(|| (name.to_owned(), sha256.to_owned()))
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(n: u8) -> (String, Member) {
        let sha256 = format!("{n:02x}").repeat(32);
        (format!("{n:02x}").repeat(16), Member { sha256, bytes: u64::from(n) })
    }

    #[test]
    fn a_list_has_one_form() {
        let mut listing = Listing::default();
        [7, 1, 9].map(member).into_iter().for_each(|(name, m)| listing.insert(name, m));
        let text = listing.encode();
        assert_eq!(Listing::decode(&text), Some(listing.clone()));
        assert_eq!((listing.count(), listing.bytes()), (3, 17));
        let lines: Vec<&str> = text.lines().collect();
        let swapped = format!("{}\n{}\n{}\n{}\n", lines[0], lines[2], lines[1], lines[3]);
        let twice = format!("{text}{}\n", lines[3]);
        for bad in [
            "",
            "x\n",
            &text.to_uppercase(),
            &text[..text.len() - 1],
            &format!("{text}\n"),
            &text.replace('\n', "\r\n"),
            &text.replace(" 7\n", " 07\n"),
            &text.replace("0101", "01"),
            &swapped,
            &twice,
        ] {
            assert_eq!(Listing::decode(bad), None, "{bad}");
        }
        assert_eq!(Listing::decode(&Listing::default().encode()), Some(Listing::default()));
    }

    #[test]
    fn only_members_and_own_drafts_are_ours() {
        let home = tempfile::tempdir().unwrap();
        let pool = Pool::of(home.path());
        assert!(pool.lying().unwrap().is_empty());
        pool.clear_leftovers().unwrap();
        let (draft, mut file) = pool.draft().unwrap();
        io::Write::write_all(&mut file, b"sealed").unwrap();
        let stamp = target::stamp(draft.path()).unwrap();
        let (name, _) = member(3);
        let placed = pool.place(draft, &name, &stamp).unwrap();
        let (cut_off, _) = pool.draft().unwrap();
        std::mem::forget(cut_off);
        let others = ["notes.tmp", "read-on.txt", "03/notes.blob"].map(|n| home.path().join(FOLDER).join(n));
        others.iter().for_each(|p| fs::write(p, "somebody's").unwrap());
        pool.clear_leftovers().unwrap();
        assert_eq!(fs::read_dir(home.path().join(FOLDER)).unwrap().count(), 3);
        assert_eq!(pool.lying().unwrap(), BTreeMap::from([(name.clone(), vec![placed.clone()])]));
        pool.intact(&name, &placed).unwrap();
        fs::write(pool.path(&name, &placed), b"sealeD").unwrap();
        assert!(pool.intact(&name, &placed).is_err());
        pool.remove(&[(name, placed)]).unwrap();
        assert!(pool.lying().unwrap().is_empty() && others.iter().all(|p| p.exists()));
    }
}

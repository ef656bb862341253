//! A target that is a folder, on whatever is mounted there.
//!
//! What must hold: a file gets its name when it is whole and synced, by an operation of the file system that fails
//! where the name is taken; a file system that has none is refused.

use std::fs::{self, DirEntry, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};

use super::{Item, Put, Remote};
use crate::base::clock::SystemClock;
use crate::base::{Clock, Error, ErrorKind, Moment, Result};
use crate::store::durable;
use crate::store::seal;

const DRAFT_START: &str = ".ship-";
const DRAFT_END: &str = ".tmp";
/// Seconds after which drafts that nobody wrote to were left over.
const LEFT_OVER_S: i64 = 24 * 3600;

/// A folder.
pub(super) struct Mount {
    root: PathBuf,
}

/// When a file was last written to; `None` where another host has put its draft in place meanwhile.
fn written(entry: &DirEntry) -> io::Result<Option<Moment>> {
    let modified = match entry.metadata().and_then(|m| m.modified()) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        modified => modified?,
    };
    let age = modified.duration_since(SystemTime::UNIX_EPOCH).ok();
    Ok(age.and_then(|t| i64::try_from(t.as_millis()).ok()).map(Moment))
}

impl Mount {
    /// Opens a folder that is there: one that is not may be a disk that is not mounted.
    pub(super) fn open(root: &Path) -> Result<Self> {
        let root = root.canonicalize().ok().filter(|p| p.is_dir()).ok_or_else(|| {
            let place = root.display();
            Error::invalid(format!("异地目录 {place} 不存在。请检查路径和挂载；确是新目录时请先建好。"))
        })?;
        let mount = Self { root };
        mount.clear_leftovers().map_err(|e| mount.failed(e))?;
        Ok(mount)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// A whole and synced copy of a file beside its name to be.
    fn draft(&self, name: &str, file: &Path) -> io::Result<Draft> {
        use std::os::unix::fs::OpenOptionsExt;
        let place = self.at(name);
        let folder = place.parent().unwrap_or(&self.root);
        if !folder.is_dir() {
            fs::create_dir_all(folder)?;
            folder.parent().map_or(Ok(()), durable::sync_folder)?;
            durable::sync_folder(&self.root)?;
        }
        let random = seal::random::<12>().map_err(io::Error::other)?;
        let path = self.root.join(format!("{DRAFT_START}{}{DRAFT_END}", hex::encode(random)));
        let mut out = File::options().write(true).create_new(true).mode(0o640).open(&path)?;
        let draft = Draft(path);
        io::copy(&mut File::open(file)?, &mut out)?;
        out.sync_all()?;
        Ok(draft)
    }

    fn place_new(&self, name: &str, file: &Path) -> io::Result<Put> {
        let place = self.at(name);
        if place.exists() {
            return Ok(Put::Taken);
        }
        let draft = self.draft(name, file)?;
        let made = match fs::hard_link(&draft.0, &place) {
            // Some file systems know no links.
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => {
                renameat2(AT_FDCWD, &draft.0, AT_FDCWD, &place, RenameFlags::RENAME_NOREPLACE)
                    .map_err(io::Error::from)
            }
            linked => linked,
        };
        match made {
            Ok(()) => {
                drop(draft);
                self.sync_around(&place)?;
                Ok(Put::Made)
            }
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(Put::Taken),
            Err(e) => Err(e),
        }
    }

    fn place(&self, name: &str, file: &Path) -> io::Result<()> {
        let draft = self.draft(name, file)?;
        let place = self.at(name);
        fs::rename(&draft.0, &place)?;
        self.sync_around(&place)
    }

    fn sync_around(&self, place: &Path) -> io::Result<()> {
        place.parent().map_or(Ok(()), durable::sync_folder)
    }

    fn clear_leftovers(&self) -> io::Result<()> {
        let now = SystemClock.now();
        for entry in fs::read_dir(&self.root)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let ours = name.strip_prefix(DRAFT_START).is_some_and(|n| n.ends_with(DRAFT_END));
            if ours && written(&entry)?.is_some_and(|at| now.seconds_since(at) > LEFT_OVER_S) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    /// Everything below a folder.
    fn below(&self, folder: &str, items: &mut Vec<Item>) -> io::Result<()> {
        let entries = match fs::read_dir(self.at(folder)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let own = entry.file_name().to_string_lossy().into_owned();
            let kind = entry.file_type()?;
            if own.starts_with('.') {
                continue;
            }
            let name = if folder.is_empty() { own } else { format!("{folder}/{own}") };
            if kind.is_file() {
                items.push(Item { name, bytes: entry.metadata()?.len() });
            } else if kind.is_dir() && !folder.is_empty() {
                self.below(&name, items)?;
            }
        }
        Ok(())
    }

    fn failed(&self, e: io::Error) -> Error {
        let place = self.label();
        let message = match e.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                format!("异地目录 {place} 空间不足。请清理或扩容。")
            }
            io::ErrorKind::PermissionDenied => {
                format!("没有写入异地目录 {place} 的权限。请检查目录的属主和权限。")
            }
            io::ErrorKind::ReadOnlyFilesystem => format!("异地目录 {place} 是只读的。请检查挂载方式。"),
            io::ErrorKind::NotFound => format!("异地目录 {place} 不见了。请检查挂载。"),
            io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported => {
                format!("异地目录 {place} 的文件系统不能防止覆盖，不能用作目标。请换用 ext4、XFS 或 NFS。")
            }
            _ => format!("读写异地目录 {place} 失败。请检查挂载、网络和磁盘。"),
        };
        Error::new(ErrorKind::Io, message).with_detail(e)
    }
}

impl Remote for Mount {
    fn put_new(&self, name: &str, file: &Path) -> Result<Put> {
        self.place_new(name, file).map_err(|e| self.failed(e))
    }

    fn put(&self, name: &str, file: &Path) -> Result<()> {
        self.place(name, file).map_err(|e| self.failed(e))
    }

    fn get(&self, name: &str, to: &Path) -> Result<bool> {
        let fetch = || -> io::Result<bool> {
            let mut source = match File::open(self.at(name)) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
                opened => opened?,
            };
            let mut out = File::options().write(true).create_new(true).open(to)?;
            io::copy(&mut source, &mut out)?;
            out.sync_all().map(|()| true)
        };
        fetch().map_err(|e| self.failed(e))
    }

    fn begin(&self, name: &str, most: u64) -> Result<Option<Vec<u8>>> {
        let mut bytes = Vec::new();
        match File::open(self.at(name)).and_then(|f| f.take(most).read_to_end(&mut bytes)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            read => read.map(|_| Some(bytes)).map_err(|e| self.failed(e)),
        }
    }

    fn size(&self, name: &str) -> Result<Option<u64>> {
        match fs::metadata(self.at(name)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound && self.root.is_dir() => Ok(None),
            about => about.map(|m| Some(m.len())).map_err(|e| self.failed(e)),
        }
    }

    fn list(&self, folder: &str, after: Option<&str>) -> Result<Vec<Item>> {
        let mut items = Vec::new();
        if !self.root.is_dir() {
            return Err(self.failed(io::ErrorKind::NotFound.into()));
        }
        self.below(folder, &mut items).map_err(|e| self.failed(e))?;
        items.retain(|item| after.is_none_or(|after| item.name.as_str() > after));
        items.sort_unstable();
        Ok(items)
    }

    fn remove(&self, name: &str) -> Result<()> {
        match fs::remove_file(self.at(name)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed.map_err(|e| self.failed(e)),
        }
    }

    fn label(&self) -> String {
        self.root.display().to_string()
    }
}

/// A copy in the making; it goes unless it got its name.
struct Draft(PathBuf);

impl Drop for Draft {
    fn drop(&mut self) {
        // After a rename there is nothing left under this name.
        let _gone = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;

    fn write(dir: &Path, name: &str, bytes: &[u8]) -> PathBuf {
        fs::write(dir.join(name), bytes).unwrap();
        dir.join(name)
    }

    #[test]
    fn of_two_that_want_a_name_exactly_one_gets_it() {
        let (home, target) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let hosts = [0u8, 1].map(|n| {
            let file = write(home.path(), &n.to_string(), &vec![n; 100_000]);
            (Mount::open(target.path()).unwrap(), file)
        });
        for trial in 0..200 {
            let (name, barrier) = (format!("log/{trial}"), Barrier::new(2));
            let put = |(mount, file): &(Mount, PathBuf)| {
                barrier.wait();
                mount.put_new(&name, file).unwrap()
            };
            let put = &put;
            let won: Vec<Put> = std::thread::scope(|s| {
                let running = hosts.each_ref().map(|host| s.spawn(move || put(host)));
                running.map(|r| r.join().unwrap()).to_vec()
            });
            let winner = won.iter().position(|p| *p == Put::Made).unwrap();
            assert_eq!(won.iter().filter(|p| **p == Put::Made).count(), 1, "trial {trial}");
            assert_eq!(fs::read(target.path().join(&name)).unwrap(), fs::read(&hosts[winner].1).unwrap());
        }
        assert_eq!(fs::read_dir(target.path()).unwrap().count(), 1, "no draft is left");
    }

    #[test]
    fn files_come_and_go_whole() {
        let (home, target) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mount = Mount::open(target.path()).unwrap();
        let file = write(home.path(), "a", b"sealed");
        assert_eq!(mount.put_new("log/1", &file).unwrap(), Put::Made);
        assert_eq!(mount.put_new("log/1", &file).unwrap(), Put::Taken);
        mount.put("pool/ab/x", &file).unwrap();
        mount.put("pool/ab/x", &file).unwrap();
        mount.put("set", &file).unwrap();
        let names = |folder: &str, after| -> Vec<String> {
            mount.list(folder, after).unwrap().into_iter().map(|i| i.name).collect()
        };
        assert_eq!(
            (names("", None), names("pool", None)),
            (vec!["set".to_owned()], vec!["pool/ab/x".to_owned()])
        );
        assert_eq!(names("log", Some("log/1")), Vec::<String>::new());
        assert!(
            mount.get("log/1", &home.path().join("b")).unwrap()
                && !mount.get("log/2", &home.path().join("c")).unwrap()
        );
        assert_eq!((mount.size("log/1").unwrap(), mount.size("log/2").unwrap()), (Some(6), None));
        assert_eq!(mount.begin("log/1", 3).unwrap().unwrap(), b"sea");
        (0..2).for_each(|_| mount.remove("log/1").unwrap());
        assert!(Mount::open(&target.path().join("not mounted")).is_err());
    }

    #[test]
    fn a_draft_that_another_host_puts_in_place_meanwhile_keeps_nobody_out() {
        let folder = tempfile::tempdir().unwrap();
        let draft = folder.path().join(".ship-00.tmp");
        fs::write(&draft, b"x").unwrap();
        let entry = fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap();
        assert!(written(&entry).unwrap().is_some());
        fs::remove_file(&draft).unwrap();
        assert_eq!(written(&entry).unwrap(), None);
    }
}

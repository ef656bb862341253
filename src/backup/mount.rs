//! Targets that are chosen in the page: they lie below roots the unit allows, and hold a mark (`data-format/backup.md`)
//! by which a disk that is there is told from an empty mount point.
//!
//! What must hold: nothing is written to a target whose mark is not there, and no folder outside the roots is made or
//! looked into.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use super::target::{make_private, place};
use super::write_failed;
use crate::base::{Error, Result};
use crate::store::{self, Store};

const MARK_FILE: &str = "jiceng-target.txt";
const MARK_LINE: &str = "jiceng-target-1 ";
/// Bytes of a mark that are looked at.
const MARK_BYTES: u64 = 4 << 10;

/// Where a run writes to.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The folder.
    pub folder: &'a Path,
    /// It must hold the county's mark.
    pub marked: bool,
}

/// Makes the folder of a target where it is absent, and marks it; the folder without links.
pub fn choose(store: &Store, folder: &Path, roots: &[PathBuf]) -> Result<PathBuf> {
    let folder = allowed(store, folder, roots)?;
    if !folder.exists() {
        make_private(&folder).map_err(write_failed)?;
    }
    let path = folder.join(MARK_FILE);
    if !path.exists() {
        let text = format!(
            "这是基层（jiceng）的备份目标。请勿删除本文件：没有它，系统会认为备份盘没有挂载。\n{}\n",
            line(store)
        );
        store::write_new(&path, text.as_bytes()).map_err(|e| {
            // Half a mark would be taken for another county's.
            let _gone = fs::remove_file(&path);
            let name = folder.display();
            Error::new(e.kind(), format!("不能写入备份目标 {name}。请检查目录权限、剩余空间和写保护。"))
                .with_detail(e.detail())
        })?;
        File::open(&folder)?.sync_all()?;
    }
    if is_marked(store, &folder) { Ok(folder) } else { Err(foreign(&folder)) }
}

/// The folder of a target that was chosen before, without links: still below the roots, and with its mark.
pub fn mounted(store: &Store, folder: &Path, roots: &[PathBuf]) -> Result<PathBuf> {
    if !folder.is_dir() {
        return Err(absent(folder));
    }
    let place = allowed(store, folder, roots)?;
    if is_marked(store, &place) {
        return Ok(place);
    }
    Err(if place.join(MARK_FILE).exists() { foreign(&place) } else { absent(folder) })
}

/// Whether the folder holds the county's mark.
pub(super) fn is_marked(store: &Store, folder: &Path) -> bool {
    let mut text = String::new();
    let read = File::open(folder.join(MARK_FILE)).and_then(|f| f.take(MARK_BYTES).read_to_string(&mut text));
    let own = line(store);
    read.is_ok() && text.lines().any(|l| l.trim_end() == own)
}

fn line(store: &Store) -> String {
    format!("{MARK_LINE}{}", hex::encode(store.mac("backup-target", b"")))
}

pub(super) fn absent(folder: &Path) -> Error {
    Error::invalid(format!(
        "备份目标没有挂载：{} 中没有本系统的标记文件 {MARK_FILE}，没有写入任何内容。请挂载备份盘后重试；\
         换了新盘的，请在“备份”页重新保存计划。",
        folder.display()
    ))
}

fn foreign(folder: &Path) -> Error {
    Error::invalid(format!(
        "{} 中的标记文件 {MARK_FILE} 属于另一个系统，没有写入任何内容。请确认挂载的是本县的备份盘，或换一个目录。",
        folder.display()
    ))
}

/// The folder without links, if it lies below one of the roots and not in the data.
fn allowed(store: &Store, folder: &Path, roots: &[PathBuf]) -> Result<PathBuf> {
    let refused = || {
        let names: Vec<String> = roots.iter().map(|r| r.display().to_string()).collect();
        Error::invalid(format!(
            "备份目标必须在 {} 之下。其他位置请在服务器的配置文件中加入 [backup] roots。",
            names.join("、")
        ))
    };
    // A path that climbs is refused before anything is looked at.
    let plain = folder.is_absolute() && !folder.components().any(|c| c == std::path::Component::ParentDir);
    let roots: Vec<PathBuf> = roots.iter().map(|r| r.canonicalize().unwrap_or_else(|_| r.clone())).collect();
    let below = |path: &Path| roots.iter().any(|r| path.starts_with(r));
    let first = folder.ancestors().find_map(|a| a.canonicalize().ok().map(|real| (a, real)));
    let real = first.and_then(|(a, real)| Some(real.join(folder.strip_prefix(a).ok()?)));
    if !plain || !real.is_some_and(|real| below(&real)) {
        return Err(refused());
    }
    let place = place(folder)?;
    if place.starts_with(store.dir()) {
        return Err(Error::invalid("备份目标不能在数据目录里：盘坏时会一起丢失。请换另一块盘上的目录。"));
    }
    if below(&place) { Ok(place) } else { Err(refused()) }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::base::clock::ManualClock;

    fn store(home: &Path, name: &str) -> Store {
        let key = home.join(format!("{name}.key"));
        Store::create(&home.join(name), &key, "测试县", true, Arc::new(ManualClock::default())).unwrap()
    }

    /// ASVS 13.2.5
    #[test]
    fn only_folders_below_the_roots_are_taken() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path().canonicalize().unwrap();
        let (store, root) = (store(&home, "data"), home.join("mnt"));
        fs::create_dir(&root).unwrap();
        std::os::unix::fs::symlink(&home, root.join("out")).unwrap();
        let roots = [root.clone(), PathBuf::from("/srv/no-such-root")];
        for bad in ["other", "mnt/../other", "mnt/out/x", "data/x", "mnt/no/x", "mntx"] {
            assert!(choose(&store, &home.join(bad), &roots).is_err(), "{bad}");
        }
        assert!(choose(&store, Path::new("mnt"), &roots).is_err());
        assert!(!home.join("other").exists() && !home.join("x").exists());
        for good in ["mnt/a", "mnt/a", "mnt"] {
            let place = choose(&store, &home.join(good), &roots).unwrap();
            assert_eq!(mounted(&store, &place, &roots).unwrap(), place);
        }
        assert!(mounted(&store, &root, &[home.join("elsewhere")]).is_err());
    }

    #[test]
    fn without_the_countys_own_mark_a_target_is_not_mounted() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path().canonicalize().unwrap();
        let (ours, theirs) = (store(&home, "ours"), store(&home, "theirs"));
        let (root, target) = ([home.clone()], home.join("t"));
        assert!(mounted(&ours, &target, &root).unwrap_err().public().contains("没有挂载"));
        choose(&ours, &target, &root).unwrap();
        assert!(mounted(&theirs, &target, &root).unwrap_err().public().contains("另一个系统"));
        assert!(choose(&theirs, &target, &root).unwrap_err().public().contains("另一个系统"));
        let mark = fs::read_to_string(target.join(MARK_FILE)).unwrap();
        fs::write(target.join(MARK_FILE), mark.replace('\n', "\r\n")).unwrap();
        assert!(is_marked(&ours, &target));
        fs::remove_file(target.join(MARK_FILE)).unwrap();
        assert!(mounted(&ours, &target, &root).unwrap_err().public().contains("没有挂载"));
        assert!(target.exists());
    }
}

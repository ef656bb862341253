//! Where the index lies, and how another one comes to lie there.
//!
//! What must hold: a crash at any moment leaves one that is whole, or none.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::base::Result;

/// The old index leaves its place only when the new one is whole: an empty place is the new one's.
pub(super) fn recover(dir: &Path) -> Result<()> {
    let (new, old) = (beside(dir, "new"), beside(dir, "old"));
    for whole in [&new, &old] {
        if !dir.exists() && whole.exists() {
            fs::rename(whole, dir)?;
        }
    }
    for left in [new, old] {
        if left.exists() {
            fs::remove_dir_all(left)?;
        }
    }
    Ok(())
}

/// Where another index lies.
pub(super) fn beside(dir: &Path, what: &str) -> PathBuf {
    dir.with_extension(what)
}

/// The new index takes the place of the old one.
pub(super) fn swap(dir: &Path) -> Result<()> {
    let parent = dir.parent().unwrap_or(Path::new("."));
    fs::rename(dir, beside(dir, "old"))?;
    File::open(parent)?.sync_all()?;
    fs::rename(beside(dir, "new"), dir)?;
    Ok(File::open(parent)?.sync_all()?)
}

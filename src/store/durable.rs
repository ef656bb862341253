//! The three steps by which a file comes to stay: its bytes are synced, it gets its name, the folder is synced. Under a
//! planted bug they are written down, so that a test can see what a power cut would have left.

use std::fs::{self, File};
use std::io;
use std::path::Path;

/// Makes the bytes of a file last.
pub(crate) fn sync_file(file: &File, path: &Path) -> io::Result<()> {
    file.sync_all()?;
    note(|| Step::File(path.to_owned()));
    Ok(())
}

/// Gives a file its name, which lasts only when the folder was synced.
pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    note(|| Step::Name(from.to_owned(), to.to_owned()));
    Ok(())
}

/// Makes the names in a folder last.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()?;
    note(|| Step::Folder(path.to_owned()));
    Ok(())
}

#[cfg(not(test))]
fn note(_: impl FnOnce() -> Step) {}

/// One of the steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The bytes of this file were synced.
    File(std::path::PathBuf),
    /// A file got a name.
    Name(std::path::PathBuf, std::path::PathBuf),
    /// The names in this folder were synced.
    Folder(std::path::PathBuf),
}

#[cfg(test)]
static STEPS: std::sync::Mutex<Vec<Step>> = std::sync::Mutex::new(Vec::new());

#[cfg(test)]
fn note(step: impl FnOnce() -> Step) {
    if super::fault::plant().is_some() {
        super::lock(&STEPS).push(step());
    }
}

/// The steps so far of a process with a planted bug.
#[cfg(test)]
pub(crate) fn steps() -> Vec<Step> {
    super::lock(&STEPS).clone()
}

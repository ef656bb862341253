//! Off-site copies: the process beside the server that brings sets and segments to a folder on a mount or a bucket, and
//! whatever reads such a target. The only floor that names object_store.
//!
//! What must hold: only ciphertext is ever seen here; a name in the target is written whole or not at all; of two that
//! want the same new name, exactly one gets it. What a slot is, and who may take it, is `data-format/offsite.md`.

#[cfg(feature = "object-store")]
mod bucket;
pub mod deliver;
pub mod fetch;
pub(crate) mod log;
mod memory;
mod mount;
mod sets;
pub mod standby;
mod tests;
pub mod watch;

use std::path::{Path, PathBuf};

use crate::base::{Error, Result};

/// Whether a new name was ours to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// It was free, and is ours.
    Made,
    /// Something was there already; nothing was changed.
    Taken,
}

/// A file in a target.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Item {
    /// Its name, with `/` between its parts.
    pub name: String,
    /// Its length.
    pub bytes: u64,
}

/// A place off the site. Names have their parts divided by `/`, and none that begins with a full stop.
pub trait Remote: Send + Sync {
    /// Brings a file to a name that nothing has yet; whole and durable when it returns.
    fn put_new(&self, name: &str, file: &Path) -> Result<Put>;

    /// Brings a file to a name, whatever is there: for names that say what the bytes are. Where it was broken off it
    /// goes on, as far as the place can.
    fn put(&self, name: &str, file: &Path) -> Result<()>;

    /// Fetches a file to a path that is new; whole and durable when it returns. `false` when there is none.
    fn get(&self, name: &str, to: &Path) -> Result<bool>;

    /// The first bytes of a file, at most so many; `None` when there is none.
    fn begin(&self, name: &str, most: u64) -> Result<Option<Vec<u8>>>;

    /// The length of a file; `None` when there is none.
    fn size(&self, name: &str) -> Result<Option<u64>>;

    /// The files in a folder, in order of names: those directly at the top for `""`, else everything below; only
    /// those after a name, when one is given.
    fn list(&self, folder: &str, after: Option<&str>) -> Result<Vec<Item>>;

    /// Removes a file; it may be gone already.
    fn remove(&self, name: &str) -> Result<()>;

    /// What people call it.
    fn label(&self) -> String;
}

/// Opens a target: `s3://bucket/prefix`, or a folder. Uploads in pieces are noted in `notes`, so that the next process
/// goes on with them.
pub fn open(to: &str, endpoint: Option<&str>, notes: Option<PathBuf>) -> Result<Box<dyn Remote>> {
    if let Some(place) = to.strip_prefix("s3://") {
        return open_bucket(place, endpoint, notes);
    }
    if to.contains("://") {
        let message = format!("异地目标 {to} 的写法不认识。请写 s3://桶名/前缀，或挂载盘上的目录。");
        return Err(Error::usage(message));
    }
    Ok(Box::new(mount::Mount::open(Path::new(to))?))
}

#[cfg(feature = "object-store")]
fn open_bucket(place: &str, endpoint: Option<&str>, notes: Option<PathBuf>) -> Result<Box<dyn Remote>> {
    Ok(Box::new(bucket::Bucket::open(place, endpoint, notes)?))
}

#[cfg(not(feature = "object-store"))]
fn open_bucket(_: &str, _: Option<&str>, _: Option<PathBuf>) -> Result<Box<dyn Remote>> {
    Err(Error::usage(
        "这个程序没有编入对象存储功能，不能使用 s3:// 目标。请换用带 object-store 功能的版本，或改用挂载盘上的目录。",
    ))
}

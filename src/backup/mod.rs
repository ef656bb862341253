//! Backup and restore: the only floor that names age.
//!
//! A set is two age files in one folder: the data — everything of a snapshot, sealed values and their keys —
//! and a manifest signed by the county. Attachments lie beside the sets in a pool, each once; a set lists those it
//! needs. Bytes: `data-format/backup.md`. What must hold:
//!
//! * [`run`] never stops writers, writes nothing for fewer than two recipients, and places the manifest only
//!   after the data was read back from the disk, loaded into a throw-away store, checked and found equal to
//!   the snapshot.
//! * [`restore`] writes nothing before digest and signature are right, and leaves either a whole store or
//!   nothing.
//! * Nothing plain touches the disk: rows flow through memory, throw-away stores hold sealed values.
//!
//! * [`retention`] removes only what the store knows to have written, never the last good sets.
//!
//! Left to others: who may run it, the thread that does and the journal entry of a run (`app`), what rows mean
//! (`store`).

mod archive;
mod behind;
mod crypt;
pub mod delivery;
mod drill;
mod fill;
mod manifest;
pub mod mount;
mod numbers;
mod pool;
mod replay;
mod restore;
pub mod retention;
mod run;
pub mod schedule;
pub mod segment;
pub mod spool;
pub mod standby;
mod target;

use std::io;
use std::path::Path;

use crate::base::{Error, ErrorKind, Result};
use crate::store::Head;

pub use crypt::{KeyFile, Signer, key_print, keygen, seal_to, signer_of};
pub use drill::{Challenge, Trial, answer, answer_digest, challenge, drill};
pub use manifest::{Content, Damaged, Manifest, Needs, content_of};
pub use mount::Target;
pub use pool::name_of as pool_name;
pub use numbers::{AskNumber, Skipped, typed_number};
pub use replay::{Followed, Until};
pub use restore::{
    Details, Restored, Resting, SetInfo, Verified, Wish, damage_text, list, lost_text, rescued_text, restore, verify,
};
pub use run::run;
pub use target::SetId;

/// How much of a snapshot went through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// Rows so far.
    pub rows: u64,
    /// Bytes of their keys and values so far.
    pub bytes: u64,
    /// Bytes there are in all, as far as is known before.
    pub of: u64,
}

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// So much of the attachments is in the pool or was read again there.
    Pooling(Amount),
    /// So much is written.
    Writing(Amount),
    /// So much is read back.
    Verifying(Amount),
    /// What was read back is checked and compared.
    Checking,
    /// The manifest is being written.
    Signing,
}

/// Hears how far a run is. An error from here ends the run as any other does: nothing of it stays.
pub type Watch<'a> = &'a dyn Fn(Progress) -> Result<()>;

/// A backup that was written and verified.
#[derive(Clone, Debug)]
pub struct Done {
    /// Id of the set.
    pub set: String,
    /// Head of the journal in it.
    pub head: Head,
    /// Records in it.
    pub records: u64,
    /// Attachments in it that are whole.
    pub files: u64,
    /// Attachments that were damaged in the store already and that the pool does not have; the set says so.
    pub damaged: Vec<Damaged>,
    /// Attachments that are damaged in the store, of which the pool has a whole copy.
    pub rescued: Vec<Damaged>,
    /// Bytes of its files, without the pool.
    pub bytes: u64,
    /// Attachments that came into the pool.
    pub added: u64,
    /// Their bytes.
    pub added_bytes: u64,
    /// Those among them that were there and had rotted.
    pub mended: u64,
    /// Name of the data file.
    pub data_file: String,
    /// Name of the manifest.
    pub manifest_file: String,
    /// Name of the list of attachments it needs; `None` where there are none.
    pub list_file: Option<String>,
    /// Who can open it.
    pub recipients: Vec<String>,
}

/// Recipients are enough, distinct and well formed.
pub fn check_recipients(recipients: &[String]) -> Result<()> {
    crypt::Readers::parse(recipients).map(drop)
}

/// The last part of a path, for messages.
fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// A file of a backup is not what was written.
fn flawed(name: &str, why: &str) -> Error {
    let message = format!("备份文件 {name} 已损坏：{why}。请改用另一套备份或另一份拷贝，并检查备份盘。");
    Error::new(ErrorKind::Damaged, message)
}

/// Reading failed: the system says so itself, or the bytes are at fault.
fn read_failed(name: &str, e: io::Error) -> Error {
    if e.kind() == io::ErrorKind::NotFound {
        return flawed(name, "文件缺失").with_detail(e);
    }
    if e.raw_os_error().is_some() {
        e.into()
    } else {
        flawed(name, "内容不完整或被改动").with_detail(e)
    }
}

/// Writing to the target failed.
fn write_failed(e: io::Error) -> Error {
    let message = match e.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "备份盘空间不足。请清理或更换备份盘后重试。"
        }
        io::ErrorKind::FileTooLarge => {
            "备份盘的文件系统放不下这么大的文件（FAT32 最大 4 GB）。请换用 exFAT 或 ext4 格式的盘。"
        }
        io::ErrorKind::PermissionDenied => "没有写入备份目录的权限。请检查目录的属主和权限。",
        io::ErrorKind::ReadOnlyFilesystem => "备份盘是只读的。请检查写保护开关和挂载方式。",
        _ => return e.into(),
    };
    Error::new(ErrorKind::Io, message).with_detail(e)
}

#[cfg(test)]
mod tests;

//! The spool between the server and the process that ships (`data-format/offsite.md`): segments and attachments on
//! their way, and what each side says of them.
//!
//! What must hold: every file appears whole, under its name, durably; two users of one group can share the folder.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::crypt::Metered;
use super::pool::{self, Member, Pool};
use super::segment::{self, Needed, Plain, hex_digest};
use super::write_failed;
use crate::base::{Error, Result, Seq};
use crate::store::{Head, durable, seal};

const SEGMENTS: &str = "segments";
const SENT: &str = "sent.json";
const SHIPPED: &str = "shipped.json";
const UPLOADS: &str = "uploads";
const DELIVERED: &str = "delivered.json";
const DRAFT_END: &str = ".tmp";
/// Files may be read by the group, folders are the group's.
const FILE_MODE: u32 = 0o640;
const FOLDER_MODE: u32 = 0o2770;
/// Bytes of what one side says at most.
const WORD_BYTES: u64 = 16 << 20;

/// A place in the log: a slot, and where the journal stood in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// Its number; 0 before the first.
    pub number: u64,
    /// Epoch of the segment in it.
    pub epoch: u64,
    /// The last entry in it.
    pub to: u64,
    /// Hash of that entry, hex.
    pub head: String,
    /// SHA-256 of the file, hex.
    pub digest: String,
}

impl Slot {
    /// The slot of a segment.
    pub fn of(plain: &Plain, digest: &[u8; 32]) -> Self {
        Self {
            number: plain.number,
            epoch: plain.epoch,
            to: plain.to.seq.0,
            head: hex::encode(plain.to.hash),
            digest: hex::encode(digest),
        }
    }

    /// Where the journal stood; `None` where that cannot be read.
    pub fn to(&self) -> Option<Head> {
        Some(Head { seq: Seq(self.to), hash: hex_digest(&self.head)? })
    }

    /// The digest, for the segment after it; zeros before slot 1.
    pub fn digest(&self) -> Option<[u8; 32]> {
        if self.number == 0 { Some([0; 32]) } else { hex_digest(&self.digest) }
    }
}

/// What the shipper says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shipped {
    /// The last slot of the target.
    #[serde(flatten)]
    pub slot: Slot,
    /// Mark of the store whose log it is; empty where there is none.
    #[serde(default)]
    pub store: String,
    /// When the target was last looked at with success, milliseconds since 1970 UTC.
    #[serde(default)]
    pub at: i64,
    /// Complete sets in the target.
    #[serde(default)]
    pub sets: u64,
    /// Name of the newest of them.
    #[serde(default)]
    pub newest: Option<String>,
    /// The slot that another host took.
    #[serde(default)]
    pub fenced: Option<Fenced>,
    /// What went wrong last, for people.
    #[serde(default)]
    pub error: Option<String>,
}

/// A slot that another host took.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fenced {
    /// Its epoch.
    pub epoch: u64,
    /// Its number.
    pub number: u64,
}

/// A segment that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Its slot.
    pub number: u64,
    /// Its file.
    pub path: PathBuf,
    /// Its length.
    pub bytes: u64,
}

/// An attachment that waits: a name below `pool/` as in a target, the file, its length.
pub type Pooled = (String, PathBuf, u64);

/// The folder.
#[derive(Clone, Debug)]
pub struct Spool {
    root: PathBuf,
}

impl Spool {
    /// Takes a folder that is there, and makes what lies in it.
    pub fn open(root: &Path) -> Result<Self> {
        let root = root.canonicalize().ok().filter(|p| p.is_dir()).ok_or_else(|| {
            Error::invalid(format!(
                "异地交换目录 {} 不存在。请建好它，并让服务和 jiceng ship 的用户同属一个组。",
                root.display()
            ))
        })?;
        let spool = Self { root };
        make_folder(&spool.segments())?;
        make_folder(&spool.root.join("pool"))?;
        Ok(spool)
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where uploads in pieces are noted, by who makes them.
    pub fn uploads(&self, of: &str) -> PathBuf {
        self.root.join(format!("{UPLOADS}-{of}.json"))
    }

    /// Where sets are noted that were delivered.
    pub fn delivered(&self) -> PathBuf {
        self.root.join(DELIVERED)
    }

    fn segments(&self) -> PathBuf {
        self.root.join(SEGMENTS)
    }

    fn pool(&self) -> Pool {
        Pool::of(&self.root)
    }

    /// Removes drafts of whoever was cut off; for the writer alone.
    pub fn clear_leftovers(&self) -> Result<()> {
        for folder in [&self.segments(), &self.root.join("pool")] {
            for entry in fs::read_dir(folder)? {
                let entry = entry?;
                if entry.file_name().to_string_lossy().ends_with(DRAFT_END) && entry.file_type()?.is_file() {
                    fs::remove_file(entry.path())?;
                }
            }
        }
        Ok(())
    }

    /// Takes away what an earlier store of this spool left, whose place in the log another host took.
    pub fn empty(&self) -> Result<()> {
        for old in self.waiting()? {
            fs::remove_file(old.path)?;
        }
        let sent = self.root.join(SENT);
        if sent.exists() {
            fs::remove_file(sent)?;
            durable::sync_folder(&self.root)?;
        }
        Ok(())
    }

    /// What the server said last.
    pub fn sent(&self) -> Option<Slot> {
        read_json(&self.root.join(SENT))
    }

    /// Says it.
    pub fn set_sent(&self, slot: &Slot) -> Result<()> {
        write_json(&self.root.join(SENT), slot)
    }

    /// What the shipper said last.
    pub fn shipped(&self) -> Option<Shipped> {
        read_json(&self.root.join(SHIPPED))
    }

    /// Says it.
    pub fn set_shipped(&self, shipped: &Shipped) -> Result<()> {
        write_json(&self.root.join(SHIPPED), shipped)
    }

    /// Segments that wait, by rising numbers.
    pub fn waiting(&self) -> Result<Vec<Waiting>> {
        let mut waiting = Vec::new();
        for entry in fs::read_dir(self.segments())? {
            let entry = entry?;
            let Some(number) = entry.file_name().to_str().and_then(segment::number_of) else { continue };
            // The shipper may have just removed it.
            let Ok(about) = entry.metadata() else { continue };
            waiting.push(Waiting { number, path: entry.path(), bytes: about.len() });
        }
        waiting.sort_unstable_by_key(|w| w.number);
        Ok(waiting)
    }

    /// Attachments that wait.
    pub fn pooled(&self) -> Result<Vec<Pooled>> {
        let mut all = Vec::new();
        for (name, members) in self.pool().lying()? {
            let files = members
                .into_iter()
                .map(|m| (pool::member_name(&name, &m.sha256), self.pool().path(&name, &m), m.bytes));
            all.extend(files);
        }
        Ok(all)
    }

    /// A path for a segment in the making.
    pub fn draft(&self) -> Result<PathBuf> {
        Ok(self.segments().join(format!("{}{DRAFT_END}", hex::encode(seal::random::<12>()?))))
    }

    /// A segment that was written and synced gets its name.
    pub fn place(&self, draft: &Path, number: u64) -> Result<()> {
        durable::rename(draft, &self.segments().join(segment::name_of(number))).map_err(write_failed)?;
        durable::sync_folder(&self.segments()).map_err(write_failed)
    }

    /// Takes a sealed file along that a segment needs, as its pool's member; it may be there already.
    pub fn add_file(&self, name: &str, sealed: &dyn Fn() -> Result<File>) -> Result<Needed> {
        let mut read = Metered::new(sealed()?);
        io::copy(&mut read, &mut io::sink())?;
        let stamp = read.stamp();
        let member = Member { sha256: hex::encode(stamp.sha256), bytes: stamp.bytes };
        let place = self.pool().path(name, &member);
        let folder = place.parent().unwrap_or(&self.root);
        make_folder(folder)?;
        if !place.is_file() {
            let draft =
                self.root.join("pool").join(format!("{}{DRAFT_END}", hex::encode(seal::random::<12>()?)));
            let mut source = sealed()?;
            let copied = copy(&mut source, &draft).and_then(|()| durable::rename(&draft, &place));
            if let Err(e) = copied {
                // The error is the one to tell.
                let _gone = fs::remove_file(&draft);
                return Err(write_failed(e));
            }
            durable::sync_folder(folder).map_err(write_failed)?;
            durable::sync_folder(&self.root.join("pool")).map_err(write_failed)?;
        }
        Ok(Needed { name: name.to_owned(), sha256: member.sha256, bytes: member.bytes })
    }
}

/// Whatever the process masks, the group reads it: it is ciphertext, or says nothing of any content.
pub(super) fn share(file: &File) -> io::Result<()> {
    file.set_permissions(fs::Permissions::from_mode(FILE_MODE))
}

/// The sealed file keeps its owner alone as a reader; the copy is the group's.
fn copy(from: &mut File, to: &Path) -> io::Result<()> {
    let mut out = File::options().write(true).create_new(true).mode(FILE_MODE).open(to)?;
    share(&out)?;
    io::copy(from, &mut out)?;
    out.sync_all()
}

fn make_folder(path: &Path) -> Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let made = fs::DirBuilder::new().mode(FOLDER_MODE).create(path);
    let shared = made.and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(FOLDER_MODE)));
    shared.map_err(write_failed)?;
    path.parent().map_or(Ok(()), durable::sync_folder).map_err(write_failed)
}

/// Reads what was said; nothing where there is nothing, or it cannot be read.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Option<T> {
    let about = fs::metadata(path).ok().filter(|m| m.len() <= WORD_BYTES)?;
    let bytes = fs::read(path).ok().filter(|b| b.len() as u64 == about.len())?;
    serde_json::from_slice(&bytes).ok()
}

/// Replaces what was said, whole and durably.
pub fn write_json<T: Serialize>(path: &Path, what: &T) -> Result<()> {
    let text = serde_json::to_vec(what).map_err(Error::internal)?;
    let mut draft = path.as_os_str().to_owned();
    draft.push(DRAFT_END);
    let draft = PathBuf::from(draft);
    let write = || -> io::Result<()> {
        let mut file =
            File::options().write(true).create(true).truncate(true).mode(FILE_MODE).open(&draft)?;
        share(&file)?;
        file.write_all(&text)?;
        durable::sync_file(&file, &draft)?;
        durable::rename(&draft, path)?;
        path.parent().map_or(Ok(()), durable::sync_folder)
    };
    write().map_err(write_failed)
}

//! The slot file `keys.json`: generation keys wrapped by the master key, and the master key wrapped once for each slot.
//!
//! A slot is a way to the master key. The one here is a key file outside the data folder; others are further values of
//! `Slot::kind`. The master key lives in memory only; neither it nor a slot's key is ever written beside what it wraps.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};

use super::seal::Secret;
use crate::base::{Error, Result};

/// Name of the slot file in the data folder.
pub const SLOT_FILE: &str = "keys.json";
const FORMAT: u32 = 1;
const KEY_FILE_HEAD: &str = "jiceng-key-1";
const KEY_FILE_KIND: &str = "key-file";

#[derive(Serialize, Deserialize)]
struct SlotFile {
    format: u32,
    store: String,
    slots: Vec<Slot>,
    generations: Vec<Wrapped>,
}

#[derive(Serialize, Deserialize)]
struct Slot {
    kind: String,
    #[serde(default)]
    path: PathBuf,
    #[serde(default)]
    master: String,
}

#[derive(Serialize, Deserialize)]
struct Wrapped {
    generation: u32,
    key: String,
}

/// The opened key ring: generation keys by number.
pub(super) struct Ring {
    /// Id of the store the ring belongs to, in hex.
    pub(super) store: String,
    /// Where the key file lies that opened it.
    pub(super) key_file: PathBuf,
    generations: Vec<(u32, Secret)>,
}

impl Ring {
    /// A ring with one new generation key for a new store, written to `dir` with a new key file at `key_file`.
    pub(super) fn create(dir: &Path, store: &str, key_file: &Path) -> Result<Self> {
        Self::adopt(dir, store, key_file, vec![(1, Secret::random()?)])
    }

    /// A ring with given generation keys (a restore): new master key, new slot.
    pub(super) fn adopt(dir: &Path, store: &str, key_file: &Path, generations: Vec<(u32, Secret)>) -> Result<Self> {
        let (master, slot_key) = (Secret::random()?, Secret::random()?);
        write_new(key_file, format!("{KEY_FILE_HEAD} {}\n", BASE64.encode(slot_key.expose())).as_bytes())?;
        let key_file = key_file.canonicalize()?;
        let slot = Slot {
            kind: KEY_FILE_KIND.to_owned(),
            path: key_file.clone(),
            master: BASE64.encode(slot_key.seal(&slot_place(store), master.expose())?),
        };
        let wrapped = generations.iter().map(|(n, key)| {
            let key = BASE64.encode(master.seal(&generation_place(store, *n), key.expose())?);
            Ok(Wrapped { generation: *n, key })
        });
        let file = SlotFile {
            format: FORMAT,
            store: store.to_owned(),
            slots: vec![slot],
            generations: wrapped.collect::<Result<_>>()?,
        };
        let text = serde_json::to_vec_pretty(&file).map_err(Error::internal)?;
        write_new(&dir.join(SLOT_FILE), &text)?;
        fs::File::open(dir)?.sync_all()?;
        Ok(Self { store: store.to_owned(), key_file, generations })
    }

    /// Opens the ring of a data folder by its key file: at the recorded path, or `<folder>.key` beside the folder.
    pub(super) fn open(dir: &Path) -> Result<Self> {
        let text = fs::read(dir.join(SLOT_FILE)).map_err(|e| {
            Error::damaged(format!("数据目录 {} 中读不到密钥槽文件 {SLOT_FILE}", dir.display())).with_detail(e)
        })?;
        let file: SlotFile =
            serde_json::from_slice(&text).map_err(|e| Error::damaged("密钥槽文件 keys.json").with_detail(e))?;
        if file.format != FORMAT {
            return Err(Error::damaged(format!("密钥槽文件版本 {} 不认识", file.format)));
        }
        let (key_file, master) = unlock(dir, &file)?;
        let generations = file.generations.iter().map(|w| {
            let key = decode(&w.key).and_then(|b| master.open(&generation_place(&file.store, w.generation), &b));
            let key = key.ok_or_else(|| Error::damaged("密钥槽文件中的代密钥"))?;
            Ok((w.generation, Secret::from_slice(&key)?))
        });
        let generations = generations.collect::<Result<Vec<_>>>()?;
        if generations.is_empty() || generations.windows(2).any(|w| w[0].0 >= w[1].0) {
            return Err(Error::damaged("密钥槽文件中的代密钥缺失或次序不对"));
        }
        Ok(Self { store: file.store, key_file, generations })
    }

    /// Number and key of the generation that wraps new record keys.
    pub(super) fn current(&self) -> (u32, &Secret) {
        let (n, key) = &self.generations[self.generations.len() - 1];
        (*n, key)
    }

    /// The key of one generation.
    pub(super) fn generation(&self, number: u32) -> Option<&Secret> {
        self.generations.iter().find(|(n, _)| *n == number).map(|(_, k)| k)
    }

    /// All generations, for an archive that is itself encrypted.
    pub(super) fn generations(&self) -> &[(u32, Secret)] {
        &self.generations
    }
}

/// A path for a new key file beside the data folder that no file has yet.
pub fn free_key_path(dir: &Path) -> PathBuf {
    // Without a trailing slash, which would put the key inside the folder.
    let dir: PathBuf = dir.components().collect();
    let beside = |n: u32| {
        let mut name = dir.as_os_str().to_owned();
        name.push(if n == 1 { ".key".to_owned() } else { format!(".{n}.key") });
        PathBuf::from(name)
    };
    (1..).map(beside).find(|p| !p.exists()).unwrap_or_else(|| beside(1))
}

fn unlock(dir: &Path, file: &SlotFile) -> Result<(PathBuf, Secret)> {
    let mut sibling = dir.as_os_str().to_owned();
    sibling.push(".key");
    let mut seen = false;
    for slot in file.slots.iter().filter(|s| s.kind == KEY_FILE_KIND) {
        for path in [slot.path.clone(), PathBuf::from(&sibling)] {
            let Ok(bytes) = fs::read(&path) else { continue };
            let text = String::from_utf8_lossy(&bytes);
            seen = true;
            let key = text.trim().strip_prefix(KEY_FILE_HEAD).and_then(|k| decode(k.strip_prefix(' ')?));
            let Some(key) = key.and_then(|k| Secret::from_slice(&k).ok()) else { continue };
            let master = decode(&slot.master).and_then(|b| key.open(&slot_place(&file.store), &b));
            if let Some(master) = master {
                return Ok((path, Secret::from_slice(&master)?));
            }
        }
    }
    let what = if seen {
        "密钥文件与数据目录不匹配，无法打开数据。请换用这个数据目录自己的密钥文件。"
    } else {
        "找不到密钥文件，无法打开数据。请把密钥文件放回原处（路径见 keys.json），或从备份恢复。"
    };
    Err(if seen { Error::damaged(what) } else { Error::new(crate::base::ErrorKind::Denied, what) })
}

fn decode(text: &str) -> Option<Vec<u8>> {
    BASE64.decode(text).ok()
}

fn slot_place(store: &str) -> Vec<u8> {
    format!("jiceng-slot-1 {store}").into_bytes()
}

fn generation_place(store: &str, n: u32) -> Vec<u8> {
    format!("jiceng-generation-1 {store} {n}").into_bytes()
}

/// Writes a file that must not exist yet, readable by its owner only, and syncs it.
pub fn write_new(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    Ok(())
}

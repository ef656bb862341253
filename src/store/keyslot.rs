//! The slot file `keys.json`: generation keys wrapped by the master key, and the master key wrapped once for each slot.
//!
//! A slot is a way to the master key: a key file outside the data folder, a credential of systemd, a passphrase, or the
//! private key of a recovery recipient, whose sealed form is opaque here. What must hold: neither the master key nor a
//! slot's key is ever written beside what it wraps; the file is replaced as a whole, so that a crash leaves the old one
//! or the new one; what a newer program put into it is kept or refused, never lost. Bytes: `data-format/store.md`.

use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::ring::Generations;
use super::seal::{self, Secret};
use crate::base::{Error, Result, limits};

/// Name of the slot file in the data folder.
pub const SLOT_FILE: &str = "keys.json";
/// Name of the credential that systemd hands over; its content is that of a key file.
pub const CREDENTIAL: &str = "jiceng.key";
const NEXT_FILE: &str = "keys.json.new";
const FORMAT: u32 = 2;
const KEY_FILE_HEAD: &str = "jiceng-key-1";
/// Bytes of a key file at most.
const KEY_FILE_BYTES: u64 = 4096;

/// What a slot is opened by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotKind {
    /// A key file outside the data folder.
    KeyFile,
    /// A credential that systemd hands to the service.
    Credential,
    /// A passphrase that a person types.
    Passphrase,
    /// The private key of an offline recipient.
    Recovery,
}

impl SlotKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::KeyFile, Self::Credential, Self::Passphrase, Self::Recovery];

    /// The stored name.
    pub fn name(self) -> &'static str {
        match self {
            Self::KeyFile => "key-file",
            Self::Credential => "credential",
            Self::Passphrase => "passphrase",
            Self::Recovery => "recovery",
        }
    }

    /// What people read.
    pub fn label(self) -> &'static str {
        match self {
            Self::KeyFile => "密钥文件",
            Self::Credential => "systemd 凭据",
            Self::Passphrase => "口令",
            Self::Recovery => "离线恢复密钥",
        }
    }

    /// Opens at the start of the service, without anybody there.
    pub fn is_unattended(self) -> bool {
        matches!(self, Self::KeyFile | Self::Credential)
    }

    fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|k| k.name() == name)
    }
}

/// What opens the sealed form of a recovery slot.
pub type Opener<'a> = &'a dyn Fn(&[u8]) -> Option<Zeroizing<Vec<u8>>>;

/// How the master key is asked for.
pub enum Unlock<'a> {
    /// By what lies there: key files and the credential.
    Unattended,
    /// By a passphrase.
    Passphrase(&'a str),
    /// By a private key.
    Recovery(Opener<'a>),
}

/// The slot file as it is stored.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct SlotFile {
    format: u32,
    /// Id of the store, in hex.
    pub(super) store: String,
    /// Ways to the master key.
    pub(super) slots: Vec<Slot>,
    generations: Vec<Wrapped>,
    #[serde(flatten)]
    other: serde_json::Map<String, serde_json::Value>,
}

/// One way to the master key. Fields that a kind has no use for are absent, those of unknown kinds are kept.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct Slot {
    kind: String,
    /// What people call it.
    #[serde(default)]
    pub(super) name: String,
    /// Key files: where it lay when the slot was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) path: Option<PathBuf>,
    /// Passphrases: how the slot's key is derived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) argon2id: Option<Cost>,
    /// Recovery: the public half.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) recipient: Option<String>,
    /// The wrapped master key.
    #[serde(default)]
    master: String,
    #[serde(flatten)]
    other: serde_json::Map<String, serde_json::Value>,
}

/// What deriving a slot's key from a passphrase costs.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cost {
    /// Memory, in KiB.
    pub(super) memory_kib: u32,
    /// Passes over it.
    pub(super) passes: u32,
    salt: String,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wrapped {
    generation: u32,
    key: String,
}

/// The master key, and what opened it.
pub(super) struct Opened {
    pub(super) master: Secret,
    /// Name of the slot.
    pub(super) slot: String,
    /// Where the key file lies, when it was one.
    pub(super) key_file: Option<PathBuf>,
}

impl SlotFile {
    /// A new file without slots and generations.
    pub(super) fn new(store: &str) -> Self {
        let (store, other) = (store.to_owned(), serde_json::Map::new());
        Self { format: FORMAT, store, slots: Vec::new(), generations: Vec::new(), other }
    }

    /// Reads the slot file of a data folder. What a crash left beside it does not count.
    pub(super) fn read(dir: &Path) -> Result<Self> {
        #[derive(Deserialize)]
        struct Head {
            format: u32,
        }
        let text = fs::read(dir.join(SLOT_FILE)).map_err(|e| {
            Error::damaged(format!("数据目录 {} 中读不到密钥槽文件 {SLOT_FILE}", dir.display())).with_detail(e)
        })?;
        let damaged = |e: serde_json::Error| Error::damaged("密钥槽文件 keys.json").with_detail(e);
        let format = serde_json::from_slice::<Head>(&text).map_err(damaged)?.format;
        if format > FORMAT {
            return Err(Error::invalid(format!(
                "密钥槽文件 keys.json 由更新的版本写成（格式 {format}，本程序认识到 {FORMAT}）。请安装新版程序后再打开。"
            )));
        }
        if format == 0 {
            return Err(Error::damaged(format!("密钥槽文件版本 {format} 不认识")));
        }
        let mut file: Self = serde_json::from_slice(&text).map_err(damaged)?;
        for at in 0..file.slots.len() {
            if file.slots[at].name.is_empty() {
                file.slots[at].name = file.free_name(&file.slots[at].kind);
            }
        }
        Ok(file)
    }

    /// Replaces the slot file of a data folder: written beside, synced, renamed, folder synced.
    pub(super) fn write(&mut self, dir: &Path) -> Result<()> {
        self.format = FORMAT;
        let text = serde_json::to_vec_pretty(self).map_err(Error::internal)?;
        let next = dir.join(NEXT_FILE);
        if next.exists() {
            fs::remove_file(&next)?;
        }
        write_new(&next, &text)?;
        fs::rename(&next, dir.join(SLOT_FILE))?;
        Ok(fs::File::open(dir)?.sync_all()?)
    }

    /// The master key; `None` when no slot opens.
    pub(super) fn open(&self, dir: &Path, how: &Unlock<'_>) -> Result<Option<Opened>> {
        for slot in &self.slots {
            let (master, key_file) = match (slot.kind(), how) {
                (Some(SlotKind::KeyFile), Unlock::Unattended) => {
                    let at = key_paths(dir, slot).find_map(|p| Some((self.master_in(slot, &read_key(&p)?)?, p)));
                    at.map_or((None, None), |(master, path)| (Some(master), Some(path)))
                }
                (Some(SlotKind::Credential), Unlock::Unattended) => {
                    let key = credential().and_then(|path| read_key(&path));
                    (key.and_then(|key| self.master_in(slot, &key)), None)
                }
                (Some(SlotKind::Passphrase), Unlock::Passphrase(words)) => {
                    let key = slot.argon2id.as_ref().and_then(|cost| cost.derive(words).ok());
                    (key.and_then(|key| self.master_in(slot, &key)), None)
                }
                (Some(SlotKind::Recovery), Unlock::Recovery(opener)) => {
                    let plain = decode(&slot.master).and_then(|sealed| opener(&sealed));
                    (plain.and_then(|plain| self.recovered(&plain)), None)
                }
                _ => (None, None),
            };
            if let Some(master) = master {
                return Ok(Some(Opened { master, slot: slot.name.clone(), key_file }));
            }
        }
        Ok(None)
    }

    /// Whether a slot that opens without anybody there does so now, to this master key.
    pub(super) fn opens(&self, dir: &Path, slot: &Slot, master: &Secret) -> bool {
        let alone = Self { slots: vec![slot.clone()], ..self.clone() };
        let opened = alone.open(dir, &Unlock::Unattended).ok().flatten();
        opened.is_some_and(|o| o.master.expose() == master.expose())
    }

    /// Adds a slot under a key.
    pub(super) fn add(&mut self, mut slot: Slot, key: &Secret, master: &Secret) -> Result<()> {
        slot.master = BASE64.encode(key.seal(&self.slot_place(), master.expose())?);
        self.slots.push(slot);
        Ok(())
    }

    /// Adds a slot whose sealed form is made elsewhere, from the line that [`Unlock::Recovery`] expects back.
    pub(super) fn add_sealed(
        &mut self,
        mut slot: Slot,
        master: &Secret,
        seal: &dyn Fn(&[u8]) -> Result<Vec<u8>>,
    ) -> Result<()> {
        slot.master = BASE64.encode(seal(self.recovery_line(master).as_bytes())?);
        self.slots.push(slot);
        Ok(())
    }

    /// The generation keys, under the master key.
    pub(super) fn generations(&self, master: &Secret) -> Result<Generations> {
        let keys = self.generations.iter().map(|w| {
            let place = self.generation_place(w.generation);
            let key = decode(&w.key).and_then(|b| master.open_secret(&place, &b));
            Ok((w.generation, key.ok_or_else(|| Error::damaged("密钥槽文件中的代密钥"))?))
        });
        let keys = keys.collect::<Result<Vec<_>>>()?;
        if keys.is_empty() || keys.windows(2).any(|w| w[0].0 >= w[1].0) {
            return Err(Error::damaged("密钥槽文件中的代密钥缺失或次序不对"));
        }
        Ok(Generations::new(&self.store, keys))
    }

    /// Puts these generation keys into the file, and no others.
    pub(super) fn set_generations(&mut self, generations: &Generations, master: &Secret) -> Result<()> {
        let wrapped = generations.keys().iter().map(|(n, key)| {
            let key = BASE64.encode(master.seal(&self.generation_place(*n), key.expose())?);
            Ok(Wrapped { generation: *n, key })
        });
        self.generations = wrapped.collect::<Result<_>>()?;
        Ok(())
    }

    /// Somebody can type or bring what opens it.
    pub(super) fn waits_for_people(&self) -> bool {
        self.slots.iter().filter_map(Slot::kind).any(|k| !k.is_unattended())
    }

    /// A name for a new slot that no other has.
    pub(super) fn free_name(&self, stem: &str) -> String {
        let name = |n: u32| if n == 1 { stem.to_owned() } else { format!("{stem}-{n}") };
        (1..).map(name).find(|name| self.slot(name).is_none()).unwrap_or_default()
    }

    /// The slot of this name.
    pub(super) fn slot(&self, name: &str) -> Option<&Slot> {
        self.slots.iter().find(|s| s.name == name)
    }

    /// Why nothing opened, for whoever cannot type anything.
    pub(super) fn closed(&self, dir: &Path) -> Error {
        let denied = |text: &str| Error::new(crate::base::ErrorKind::Denied, text);
        if self.waits_for_people() {
            return denied(
                "数据尚未解锁，打不开。请运行 jiceng serve，再在解锁页输入口令，或运行 jiceng unlock。",
            );
        }
        let files: Vec<&Slot> = self.slots.iter().filter(|s| s.kind() == Some(SlotKind::KeyFile)).collect();
        if files.iter().any(|slot| key_paths(dir, slot).any(|p| p.is_file())) {
            return Error::damaged("密钥文件与数据目录不匹配，无法打开数据。请换用这个数据目录自己的密钥文件。");
        }
        if files.is_empty() && self.slots.iter().any(|s| s.kind() == Some(SlotKind::Credential)) {
            return denied(
                "没有得到能打开数据的 systemd 凭据 jiceng.key。请由 systemd 启动服务，并检查单元文件中的 LoadCredential。",
            );
        }
        if files.is_empty() && self.slots.iter().any(|s| s.kind().is_none()) {
            return Error::invalid("密钥槽文件 keys.json 中只有本程序不认识的密钥槽。请安装新版程序后再打开。");
        }
        denied("找不到密钥文件，无法打开数据。请把密钥文件放回原处（路径见 keys.json），或从备份恢复。")
    }

    fn master_in(&self, slot: &Slot, key: &Secret) -> Option<Secret> {
        key.open_secret(&self.slot_place(), &decode(&slot.master)?)
    }

    fn recovered(&self, plain: &[u8]) -> Option<Secret> {
        let text = std::str::from_utf8(plain).ok()?;
        let key = text.strip_prefix(&self.recovery_head())?.strip_suffix('\n')?;
        Secret::from_slice(&Zeroizing::new(decode(key)?)).ok()
    }

    fn recovery_line(&self, master: &Secret) -> Zeroizing<String> {
        let key = Zeroizing::new(BASE64.encode(master.expose()));
        Zeroizing::new(format!("{}{}\n", self.recovery_head(), *key))
    }

    fn recovery_head(&self) -> String {
        format!("jiceng-master-1 {} ", self.store)
    }

    fn slot_place(&self) -> Vec<u8> {
        format!("jiceng-slot-1 {}", self.store).into_bytes()
    }

    fn generation_place(&self, n: u32) -> Vec<u8> {
        format!("jiceng-generation-1 {} {n}", self.store).into_bytes()
    }
}

impl Slot {
    /// A slot that does not wrap anything yet.
    pub(super) fn new(kind: SlotKind, name: String) -> Self {
        Self { kind: kind.name().to_owned(), name, ..Self::default() }
    }

    /// What opens it; `None` for kinds of newer programs.
    pub(super) fn kind(&self) -> Option<SlotKind> {
        SlotKind::by_name(&self.kind)
    }

    /// The stored name of its kind, known or not.
    pub(super) fn kind_name(&self) -> &str {
        &self.kind
    }
}

impl Cost {
    /// What a new slot costs, with a salt of its own.
    pub(super) fn new() -> Result<Self> {
        let salt = BASE64.encode(seal::random::<16>()?);
        Ok(Self { memory_kib: limits::SLOT_ARGON_KIB, passes: limits::SLOT_ARGON_PASSES, salt })
    }

    /// The key of a slot from its passphrase. What a spoilt file asks for beyond reason is refused, not paid.
    pub(super) fn derive(&self, passphrase: &str) -> Result<Secret> {
        let damaged = || Error::damaged("密钥槽文件中口令槽的参数");
        if self.memory_kib > limits::SLOT_ARGON_KIB_MAX || self.passes > limits::SLOT_ARGON_PASSES_MAX {
            return Err(damaged());
        }
        let salt = decode(&self.salt).ok_or_else(damaged)?;
        let params = Params::new(self.memory_kib, self.passes, 1, Some(32)).map_err(|_| damaged())?;
        let mut key = Zeroizing::new([0; 32]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(passphrase.as_bytes(), &salt, &mut *key)
            .map_err(|_| damaged())?;
        Secret::from_slice(&*key)
    }
}

/// Where the key file of a slot may lie: at the recorded path, or `<folder>.key` beside the folder.
fn key_paths(dir: &Path, slot: &Slot) -> impl Iterator<Item = PathBuf> + use<> {
    let mut sibling = dir.as_os_str().to_owned();
    sibling.push(".key");
    slot.path.clone().into_iter().chain([PathBuf::from(sibling)])
}

/// Where systemd lays the credential, when it handed one over.
pub(super) fn credential() -> Option<PathBuf> {
    let folder = std::env::var_os("CREDENTIALS_DIRECTORY").filter(|f| f.as_os_str() != OsStr::new(""))?;
    Some(PathBuf::from(folder).join(CREDENTIAL))
}

/// The key in a key file; `None` when there is none.
pub(super) fn read_key(path: &Path) -> Option<Secret> {
    let mut text = Zeroizing::new(Vec::new());
    let file = fs::File::open(path).ok()?;
    std::io::Read::read_to_end(&mut std::io::Read::take(file, KEY_FILE_BYTES), &mut text).ok()?;
    let line = std::str::from_utf8(&text).ok()?.trim().strip_prefix(KEY_FILE_HEAD)?.strip_prefix(' ')?;
    Secret::from_slice(&Zeroizing::new(decode(line)?)).ok()
}

/// Writes a new key file outside the data folder; the key, and where it lies.
pub(super) fn make_key_file(dir: &Path, path: &Path) -> Result<(Secret, PathBuf)> {
    let beside = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let unwritable = |e: std::io::Error| {
        let text = format!("不能写入密钥文件 {}。请检查上级目录是否存在、是否可写，文件不得已存在。", path.display());
        Error::invalid(text).with_detail(e)
    };
    let beside = beside.canonicalize().map_err(unwritable)?;
    if beside.starts_with(dir) {
        return Err(Error::invalid("密钥文件不能放在数据目录里面，请指定另外的位置。"));
    }
    let key = Secret::random()?;
    let line = Zeroizing::new(format!("{KEY_FILE_HEAD} {}\n", *Zeroizing::new(BASE64.encode(key.expose()))));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(unwritable)?;
    file.write_all(line.as_bytes())?;
    file.sync_all()?;
    fs::File::open(&beside)?.sync_all()?;
    Ok((key, path.canonicalize()?))
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

fn decode(text: &str) -> Option<Vec<u8>> {
    BASE64.decode(text).ok()
}

/// Writes a file that must not exist yet, readable by its owner only, and syncs it.
pub fn write_new(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    Ok(())
}

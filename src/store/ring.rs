//! The key ring of an open store: generation keys that wrap record keys, the master key that wraps them, and the slot
//! file both lie in. Changes of slots and generations go through here, one at a time.
//!
//! What must hold: the generation keys are replaced as one value, so that whoever reads holds those of one moment; what
//! is in memory is what was written before.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use super::filekey::FileKeys;
use super::keyslot::{self, Opened, Slot, SlotFile, SlotKind};
use super::seal::Secret;
use crate::base::{Error, Result};

/// Generation keys by number, rising; the last one wraps new record keys.
pub(super) struct Generations {
    store: String,
    keys: Vec<(u32, Secret)>,
}

impl Generations {
    pub(super) fn new(store: &str, keys: Vec<(u32, Secret)>) -> Self {
        Self { store: store.to_owned(), keys }
    }

    /// Numbers and keys.
    pub(super) fn keys(&self) -> &[(u32, Secret)] {
        &self.keys
    }

    /// Number of the generation that wraps new record keys.
    pub(super) fn current(&self) -> u32 {
        self.keys.last().map_or(0, |(n, _)| *n)
    }

    /// Id of the store.
    pub(super) fn store(&self) -> &str {
        &self.store
    }

    /// Opens the key of a record.
    pub(super) fn open(&self, id: u64, wrapped: &[u8]) -> Result<Secret> {
        let open = || {
            let (number, sealed) = wrapped.split_first_chunk::<4>()?;
            let number = u32::from_be_bytes(*number);
            let (_, key) = self.keys.iter().find(|(n, _)| *n == number)?;
            key.open_secret(&key_place(&self.store, id), sealed)
        };
        open().ok_or_else(|| Error::damaged(format!("记录 {id} 的密钥")))
    }

    /// Wraps the key of a record under the current generation.
    pub(super) fn wrap(&self, id: u64, key: &Secret) -> Result<Vec<u8>> {
        let (number, generation) = self.keys.last().ok_or_else(|| Error::internal("no generation"))?;
        Ok([&number.to_be_bytes()[..], &generation.seal(&key_place(&self.store, id), key.expose())?].concat())
    }

    /// The number of the generation a wrapped key lies under.
    pub(super) fn number_of(wrapped: &[u8]) -> Option<u32> {
        wrapped.first_chunk::<4>().map(|n| u32::from_be_bytes(*n))
    }
}

fn key_place(store: &str, id: u64) -> Vec<u8> {
    [b"jiceng-record-key-1 ", store.as_bytes(), &id.to_be_bytes()].concat()
}

/// The opened key ring.
pub(super) struct Ring {
    /// Id of the store the ring belongs to, in hex.
    pub(super) store: String,
    /// Name of the slot that opened it.
    pub(super) opened_by: String,
    /// Where the key file lies that opened it, when it was one.
    pub(super) key_file: Option<PathBuf>,
    dir: PathBuf,
    master: Secret,
    generations: Arc<RwLock<Arc<Generations>>>,
    /// The slot file as it is on the disk.
    file: Mutex<SlotFile>,
}

impl Ring {
    /// A ring with one new generation key for a new store, written to `dir` with a new key file at `key_file`.
    pub(super) fn create(dir: &Path, store: &str, key_file: &Path) -> Result<Self> {
        Self::adopt(dir, store, key_file, vec![(1, Secret::random()?)])
    }

    /// A ring with given generation keys (a restore): new master key, new slot.
    pub(super) fn adopt(
        dir: &Path,
        store: &str,
        key_file: &Path,
        generations: Vec<(u32, Secret)>,
    ) -> Result<Self> {
        let dir = dir.canonicalize()?;
        let (slot_key, key_file) = keyslot::make_key_file(&dir, key_file)?;
        let mut file = SlotFile::new(store);
        let mut slot = Slot::new(SlotKind::KeyFile, SlotKind::KeyFile.name().to_owned());
        slot.path = Some(key_file.clone());
        let opened =
            Opened { master: Secret::random()?, slot: slot.name.clone(), key_file: Some(key_file) };
        file.add(slot, &slot_key, &opened.master)?;
        file.set_generations(&Generations::new(store, generations), &opened.master)?;
        file.write(&dir)?;
        Self::of(&dir, file, opened)
    }

    /// The ring of a slot file whose master key is open.
    pub(super) fn of(dir: &Path, file: SlotFile, opened: Opened) -> Result<Self> {
        let generations = file.generations(&opened.master)?;
        Ok(Self {
            store: file.store.clone(),
            opened_by: opened.slot,
            key_file: opened.key_file,
            dir: dir.to_owned(),
            master: opened.master,
            generations: Arc::new(RwLock::new(Arc::new(generations))),
            file: Mutex::new(file),
        })
    }

    /// The generation keys of this moment.
    pub(super) fn generations(&self) -> Arc<Generations> {
        Arc::clone(&self.generations.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// What seals the keys of files beside the store, now and after changes of the generations.
    pub(super) fn file_keys(&self) -> FileKeys {
        FileKeys::of(Arc::clone(&self.generations))
    }

    /// The master key, for the slots it is wrapped for.
    pub(super) fn master(&self) -> &Secret {
        &self.master
    }

    /// The slot file. Whoever holds it is the only one to change it.
    pub(super) fn file(&self) -> MutexGuard<'_, SlotFile> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a changed slot file the one there is.
    pub(super) fn replace(&self, held: &mut MutexGuard<'_, SlotFile>, mut changed: SlotFile) -> Result<()> {
        changed.write(&self.dir)?;
        **held = changed;
        Ok(())
    }

    /// Makes these the generation keys there are: in the slot file first, then in memory.
    pub(super) fn set_generations(&self, keys: Vec<(u32, Secret)>) -> Result<()> {
        let generations = Generations::new(&self.store, keys);
        let mut held = self.file();
        let mut changed = held.clone();
        changed.set_generations(&generations, &self.master)?;
        self.replace(&mut held, changed)?;
        *self.generations.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(generations);
        Ok(())
    }
}

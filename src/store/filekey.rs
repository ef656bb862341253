//! Keys of files that lie beside the store and follow it: each file has a random key of its own, which is sealed under
//! the current generation key, as keys of records are, and stands in the header of the file.
//!
//! What must hold: no key of a file stands anywhere but under a generation key; when a generation is forgotten, what
//! was sealed under it is gone, also from sectors that a file has left. Bytes: `data-format/index.md`.

use std::sync::{Arc, PoisonError, RwLock};

use zeroize::Zeroizing;

use super::ring::Generations;
use super::seal::Secret;
use crate::base::{Error, Result};

/// The generation keys of a store, as they are at each moment. It does not keep the store open.
#[derive(Clone)]
pub struct FileKeys(Arc<RwLock<Arc<Generations>>>);

impl FileKeys {
    pub(super) fn of(generations: Arc<RwLock<Arc<Generations>>>) -> Self {
        Self(generations)
    }

    /// Keys that are forgotten with this value, for what lives no longer than it.
    pub fn passing() -> Result<Self> {
        let generations = Generations::new("", vec![(1, Secret::random()?)]);
        Ok(Self(Arc::new(RwLock::new(Arc::new(generations)))))
    }

    /// The number of the generation that seals now.
    pub fn current(&self) -> u32 {
        self.now().current()
    }

    /// Seals a secret for a place; the generation it lies under.
    pub fn seal(&self, place: &dyn Fn(u32) -> Vec<u8>, secret: &[u8]) -> Result<(u32, Vec<u8>)> {
        let now = self.now();
        let (number, key) = now.keys().last().ok_or_else(|| Error::internal("no generation"))?;
        Ok((*number, key.seal(&within(&now, &place(*number)), secret)?))
    }

    /// Opens what [`FileKeys::seal`] made; `None` when the generation is gone, or place or bytes differ.
    pub fn open(&self, generation: u32, place: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let now = self.now();
        let (_, key) = now.keys().iter().find(|(number, _)| *number == generation)?;
        key.open(&within(&now, place), sealed).map(Zeroizing::new)
    }

    fn now(&self) -> Arc<Generations> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl std::fmt::Debug for FileKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FileKeys({})", self.current())
    }
}

fn within(generations: &Generations, place: &[u8]) -> Vec<u8> {
    [b"jiceng-file-key-1 ", generations.store().as_bytes(), b" ", place].concat()
}

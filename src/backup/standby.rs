//! What a standby reads of sets: a store as it was at a snapshot, of the same epoch and with nothing entered, that goes
//! on by segments; and the register numbers that a promotion skips.
//!
//! What must hold: the order of trust is that of a restore; attachments come later, each by the name the list gives.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::archive;
use super::crypt::KeyFile;
use super::numbers::{self, AskNumber, Skipped};
use super::restore::{Opened, Stage};
use super::target;
use crate::base::{Clock, Result};
use crate::store::{self, Place, Snapshot};

/// What a standby follows, and with which key: the fact `local.following` (`data-format/store.md`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Following {
    /// The target, as it was named.
    pub from: String,
    /// Where the object store is reached, when that was named.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// The key file that opens it.
    pub identity: PathBuf,
    /// A signer that is believed besides the key file's.
    #[serde(default)]
    pub signer: Option<String>,
    /// Since when, milliseconds since 1970 UTC.
    pub since: i64,
    /// The set that the store was made of.
    pub set: String,
}

impl Following {
    /// The stored form; `None` for what cannot be read.
    pub fn decode(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// For the store.
    pub fn encode(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Makes a store that follows, in a new folder, from the one set that lies in another one; the key file that opens it.
/// On any failure nothing stays.
pub fn seed(
    from: &Path,
    key: &KeyFile,
    told: &Following,
    dir: &Path,
    clock: Arc<dyn Clock>,
) -> Result<PathBuf> {
    store::refuse_occupied(dir)?;
    let dir = target::place(dir)?;
    let sets = target::sets(from)?;
    let set = target::choose(&sets, None)?;
    let opened = Opened::new(set, key)?;
    opened.believe(key, told.signer.as_deref())?;
    let opened = opened.with_list(set)?;
    let (data, _) = set.parts()?;
    let stamp = data.intact()?;
    opened.check_stamp(data, &stamp)?;
    let mut stage = Stage::create(dir)?;
    let place = Place { dir: &stage.at, key_file: &stage.key_file, fleeting: false };
    let (copy, stamp) = archive::load(&opened.source(data, key), place, clock, &|_| Ok(()))?;
    opened.check_stamp(data, &stamp)?;
    opened.confirm_but_files(&copy)?;
    // Before it has its name: nobody ever finds it taking changes.
    copy.follow(Following { set: opened.manifest.set, ..told.clone() }.encode(), None)?;
    drop(copy);
    stage.finish()?;
    Ok(stage.key_file.clone())
}

/// The numbers that are skipped when a host takes over: up to the last one on paper, or a block.
pub fn skipped(
    snapshot: &Snapshot,
    year: i16,
    named: &[(String, u64)],
    ask: AskNumber<'_>,
) -> Result<Vec<Skipped>> {
    numbers::plan(snapshot, year, named, ask)
}

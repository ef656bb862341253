//! What a standby reads of sets: a store as it was at a snapshot, of the same epoch and with nothing entered, that goes on
//! by segments; and the register numbers that a promotion skips.
//!
//! What must hold: the order of trust is that of a restore; attachments come later, each by the name the list gives.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::archive::{self, Place};
use super::crypt::KeyFile;
use super::numbers::{self, AskNumber, Skipped};
use super::restore::{Opened, Stage};
use super::target::{self, SetId};
use crate::base::{Clock, Result};
use crate::store::{self, Snapshot};

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

/// Complete sets among the names of files in a target, newest first, each with its files.
pub fn sets_among(names: impl IntoIterator<Item = String>) -> Vec<(SetId, Vec<String>)> {
    let mut sets: BTreeMap<SetId, Vec<(&'static str, String)>> = BTreeMap::new();
    for name in names {
        if let Some((id, kind)) = target::file_of_set(&name) {
            sets.entry(id).or_default().push((kind, name));
        }
    }
    let complete = |files: &[(&str, String)]| {
        let count = |kind| files.iter().filter(|(k, _)| *k == kind).count();
        count(target::DATA) == 1 && count(target::MANIFEST) == 1 && count(target::LIST) <= 1
    };
    let whole = sets.into_iter().rev().filter(|(_, files)| complete(files));
    whole.map(|(id, files)| (id, files.into_iter().map(|(_, name)| name).collect())).collect()
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
    let place = Place { dir: &stage.at, key_file: &stage.key_file };
    let (copy, stamp) = archive::load(&opened.source(data, key), &place, clock, &|_| Ok(()))?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_complete_with_data_and_manifest_once_each() {
        let name = |set: &str, digit: char, kind: &str| format!("{set}.{}.{kind}", digit.to_string().repeat(32));
        let (old, new) = ("20261123T170102Z-s000000000123", "20261124T170102Z-s000000000150");
        let mut names = vec![name(old, '1', "data.age"), name(old, '2', "manifest.age")];
        names.extend([name(new, '3', "data.age"), name(new, '4', "pool.txt")]);
        names.extend(["log".to_owned(), "jiceng-target.txt".to_owned(), name("x", '1', "data.age")]);
        let ids = |names: &[String]| -> Vec<String> {
            sets_among(names.iter().cloned()).into_iter().map(|(id, _)| id.to_string()).collect()
        };
        assert_eq!(ids(&names), [old]);
        names.push(name(new, '5', "manifest.age"));
        assert_eq!(ids(&names), [new, old]);
        assert_eq!(sets_among(names.clone())[0].1.len(), 3);
        names.push(name(new, '6', "manifest.age"));
        assert_eq!(ids(&names), [old]);
    }
}

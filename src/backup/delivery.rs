//! Sets as whoever carries them elsewhere sees them: names, lengths, and the lists of what they need. No key is needed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::pool::{Listing, Pool};
use super::segment::Needed;
use super::target::{self, SetId};
use crate::base::{Error, Result};

/// A set in a backup folder, complete.
#[derive(Clone, Debug)]
pub struct Carried {
    /// Its name.
    pub id: SetId,
    /// Name and path of its files, the manifest last: without it nobody takes the others for a backup.
    pub files: Vec<(String, PathBuf)>,
    /// What it needs of the pool, each with its path.
    pub members: Vec<(Needed, PathBuf)>,
}

/// The files of a set, by names alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// The list of attachments, where there is one.
    pub list: Option<String>,
    /// The data file.
    pub data: Option<String>,
    /// The manifest.
    pub manifest: Option<String>,
    /// Two files claim to be the same part.
    pub twice: bool,
}

impl Named {
    /// It is a backup.
    pub fn is_complete(&self) -> bool {
        self.data.is_some() && self.manifest.is_some() && !self.twice
    }

    /// Its files, the manifest last.
    pub fn files(&self) -> Vec<&str> {
        [&self.list, &self.data, &self.manifest].into_iter().flatten().map(String::as_str).collect()
    }
}

/// The complete sets in a backup folder, newest first.
pub fn carried(folder: &Path) -> Result<Vec<Carried>> {
    let pool = Pool::of(folder);
    let mut all = Vec::new();
    for set in target::sets(folder)?.into_iter().filter(target::Set::complete) {
        let (data, manifest) = set.parts()?;
        let list = set.list()?;
        let listing = list.map(super::restore::read_list).transpose()?.unwrap_or_default();
        let members = listing.iter().map(|(name, member)| {
            let needed = Needed { name: name.clone(), sha256: member.sha256.clone(), bytes: member.bytes };
            (needed, pool.path(name, member))
        });
        let files = list.into_iter().chain([data, manifest]);
        all.push(Carried {
            files: files.map(|part| (part.name.clone(), part.path.clone())).collect(),
            members: members.collect(),
            id: set.id,
        });
    }
    Ok(all)
}

/// The sets among names, in their order; what is named otherwise is left out.
pub fn among<'a>(names: impl Iterator<Item = &'a str>) -> BTreeMap<SetId, Named> {
    let mut sets: BTreeMap<SetId, Named> = BTreeMap::new();
    for name in names {
        let Some((id, kind)) = target::kind_of(name) else { continue };
        let set = sets.entry(id).or_default();
        let place = match kind {
            "data" => &mut set.data,
            "manifest" => &mut set.manifest,
            _ => &mut set.list,
        };
        set.twice |= place.replace(name.to_owned()).is_some();
    }
    sets
}

/// Reads a list of attachments.
pub fn read_list(path: &Path) -> Result<Vec<Needed>> {
    let text = std::fs::read_to_string(path)?;
    let listing = Listing::decode(&text).ok_or_else(|| Error::damaged("异地目标中的附件清单"))?;
    let needed = listing.iter().map(|(name, member)| Needed {
        name: name.clone(),
        sha256: member.sha256.clone(),
        bytes: member.bytes,
    });
    Ok(needed.collect())
}

/// Whether a file that was fetched is what its name says: of a set, or of a pool.
pub fn is_what_it_says(path: &Path, name: &str) -> Result<bool> {
    let stamp = target::stamp(path)?;
    let digest = name.rsplit('/').next().unwrap_or_default().split('.').nth(1).unwrap_or_default();
    Ok(!digest.is_empty() && hex::encode(stamp.sha256).starts_with(digest))
}

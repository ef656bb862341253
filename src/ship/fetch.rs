//! Fetching from a target what a restore needs: a set, what it lists of the pool, the slots after it, and what they
//! name.
//!
//! What must hold: a file gets its name in the folder when it is whole and, where its name says what it is, found so;
//! what is there already is not fetched again, so that whoever was broken off goes on.

use std::fs;
use std::path::Path;

use super::Remote;
use super::log::{place, plain_of, slots};
use super::sets::lying;
use crate::backup::delivery;
use crate::backup::segment::{Kind, Needed, Plain};
use crate::base::{Error, ErrorKind, Result};

/// What was fetched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fetched {
    /// Name of the set.
    pub set: String,
    /// Slots of the log.
    pub slots: u64,
    /// The last of them.
    pub last: u64,
    /// Attachments.
    pub members: u64,
    /// Attachments that are named and that the target has not whole.
    pub lost: u64,
}

/// Fetches a set, the newest complete one where none is named, and everything after it, into a folder.
pub fn fetch(remote: &dyn Remote, set: Option<&str>, into: &Path) -> Result<Fetched> {
    let (sets, _) = lying(remote)?;
    let complete = || sets.iter().rev().filter(|(_, named)| named.is_complete());
    let chosen = complete().find(|(id, _)| set.is_none_or(|name| id.to_string() == name.trim()));
    let (id, named) = chosen.ok_or_else(|| {
        let which = set.map_or("完整的备份".to_owned(), |name| format!("备份 {name}"));
        Error::invalid(format!("异地目标 {} 中没有{which}。请检查目标和前缀。", remote.label()))
    })?;
    fs::create_dir_all(into.join("log"))?;
    let mut fetched = Fetched { set: id.to_string(), ..Fetched::default() };
    let mut needed = Vec::new();
    for name in named.files() {
        if !bring(remote, name, into, true)? {
            return Err(Error::new(
                ErrorKind::Damaged,
                format!("异地目标中的 {name} 已损坏。请用 --set 指定另一套备份。"),
            ));
        }
    }
    if let Some(list) = &named.list {
        needed.extend(delivery::read_list(&into.join(list))?);
    }
    for plain in after(remote, id.seq().0)? {
        let name = place(plain.number);
        if !bring(remote, &name, into, false)? {
            return Err(Error::new(ErrorKind::Io, format!("异地目标中的 {name} 读不到。请重试。")));
        }
        fetched.slots += 1;
        fetched.last = fetched.last.max(plain.number);
        needed.extend(plain.files);
    }
    needed.sort_unstable();
    needed.dedup();
    for one in &needed {
        if bring_member(remote, one, into)? {
            fetched.members += 1;
        } else {
            fetched.lost += 1;
        }
    }
    Ok(fetched)
}

/// The slots that lead on from an entry, newest first: down to the first change that the set holds already.
fn after(remote: &dyn Remote, entries: u64) -> Result<Vec<Plain>> {
    let mut all = Vec::new();
    for (number, _) in slots(remote, None)?.into_iter().rev() {
        let plain = match plain_of(remote, number) {
            // A restore can do without it, or says that it cannot.
            Err(e) if e.kind() == ErrorKind::Damaged => continue,
            plain => plain?,
        };
        let Some(plain) = plain else { continue };
        if plain.kind == Kind::Change && plain.to.seq.0 <= entries {
            break;
        }
        all.push(plain);
    }
    Ok(all)
}

fn bring_member(remote: &dyn Remote, needed: &Needed, into: &Path) -> Result<bool> {
    let name = needed.place();
    if let Some(folder) = into.join(&name).parent() {
        fs::create_dir_all(folder)?;
    }
    bring(remote, &name, into, true)
}

/// Fetches one file; `false` when it is not there, or not what its name says.
fn bring(remote: &dyn Remote, name: &str, into: &Path, says: bool) -> Result<bool> {
    let path = into.join(name);
    if path.is_file() {
        let whole = if says {
            delivery::is_what_it_says(&path, name)?
        } else {
            Some(path.metadata()?.len()) == remote.size(name)?
        };
        if whole {
            return Ok(true);
        }
    }
    let draft = path.with_extension("tmp");
    if draft.exists() {
        fs::remove_file(&draft)?;
    }
    let came = remote.get(name, &draft)?;
    if !came || says && !delivery::is_what_it_says(&draft, name)? {
        if came {
            fs::remove_file(&draft)?;
        }
        return Ok(false);
    }
    fs::rename(&draft, &path)?;
    if let Some(folder) = path.parent() {
        fs::File::open(folder)?.sync_all()?;
    }
    Ok(true)
}

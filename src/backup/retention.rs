//! The sets this store wrote (`data-format/store.md`, fact `backup_sets`), and which of them may go.
//!
//! What must hold, whatever lies in the target and whatever the clock says: only files of known sets are removed, by
//! their exact names, and members of the pool that no set needs; never the newest three whole sets nor the newest three
//! without damage; nothing while the clock is suspect, and nothing while one of those newest is rotten or lacks
//! something of the pool. Order is that of the journal, never that of time.

use std::collections::HashSet;
use std::fs::{self, File};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Done;
use super::pool::{Member, Pool};
use super::restore::read_list;
use super::schedule::{By, Keep};
use super::target::{self, Set};
use crate::base::{Moment, Result, limits};

const DAY_MS: i64 = 24 * 3_600_000;

/// A set this store wrote and verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// Its name.
    pub set: String,
    /// The folder it lies in.
    pub target: String,
    /// Name of its data file.
    pub data_file: String,
    /// Name of its manifest.
    pub manifest_file: String,
    /// Entries of the journal in it.
    pub seq: u64,
    /// Epoch of the store.
    pub epoch: u64,
    /// When it was verified, milliseconds since 1970 UTC.
    pub at: i64,
    /// Who asked for it.
    pub by: By,
    /// Bytes of its files.
    pub bytes: u64,
    /// Records in it.
    pub records: u64,
    /// Whole attachments in it.
    pub files: u64,
    /// Attachments that were damaged in the store.
    pub damaged: u64,
    /// Name of its list of attachments; `None` where it needs none of the pool.
    #[serde(default)]
    pub list_file: Option<String>,
}

impl Known {
    /// The entry of a set that was just verified.
    pub fn of(done: &Done, target: &Path, epoch: u64, (at, by): (Moment, By)) -> Self {
        Self {
            set: done.set.clone(),
            target: target.to_string_lossy().into_owned(),
            data_file: done.data_file.clone(),
            manifest_file: done.manifest_file.clone(),
            seq: done.head.seq.0,
            epoch,
            at: at.0,
            by,
            bytes: done.bytes,
            records: done.records,
            files: done.files,
            damaged: done.damaged.len() as u64,
            list_file: done.list_file.clone(),
        }
    }

    /// The stored list; one that cannot be read is empty, and then nothing is ever removed.
    pub fn decode(text: &str) -> Vec<Self> {
        serde_json::from_str(text).unwrap_or_default()
    }

    /// For the store: the newest [`limits::SETS_KNOWN`] of them.
    pub fn encode(known: &[Self]) -> String {
        let from = known.len().saturating_sub(limits::SETS_KNOWN);
        serde_json::to_string(&known[from..]).unwrap_or_default()
    }
}

/// What may stay and what time it is.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Verified sets that stay.
    pub keep: Keep,
    /// The present epoch of the store.
    pub epoch: u64,
    /// Now.
    pub now: Moment,
    /// When the last entry of the journal before the run was made.
    pub last_entry: Moment,
}

/// What was removed, or why nothing was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retired {
    /// Names of sets.
    pub removed: Vec<String>,
    /// Attachments of the pool that no set needs any more.
    pub swept: u64,
    /// Why sets stay that should have gone, for people.
    pub kept: Option<String>,
}

/// Removes known sets beyond what is to stay from a target, then what no set needs of its pool.
pub fn retire(target: &Path, known: &[Known], rule: &Rule) -> Result<Retired> {
    let sets = target::sets(target)?;
    let place = target.to_string_lossy();
    let here = known.iter().filter(|k| *k.target == *place && k.epoch == rule.epoch);
    let mut here: Vec<(&Known, Option<&Set>)> = here.map(|k| (k, whole(&sets, k))).collect();
    here.sort_by_key(|(k, _)| std::cmp::Reverse(k.seq));
    let whole: Vec<(&Known, &Set)> = here.iter().filter_map(|(k, set)| Some((*k, (*set)?))).collect();
    let newest = whole.iter().take(limits::SETS_KEPT_MIN);
    let sound = whole.iter().filter(|(k, _)| k.damaged == 0).take(limits::SETS_KEPT_MIN);
    let safe: Vec<&(&Known, &Set)> = newest.chain(sound).collect();
    let going = going(&here, &whole, &safe, rule.keep);
    let going: Vec<&Known> = going.into_iter().filter(|k| lies(target, k)).collect();
    if going.is_empty() && needless(target, known, &[])?.is_empty() {
        return Ok(Retired::default());
    }
    if let Some(kept) = suspect(&sets, rule).or_else(|| rotten(target, &safe)) {
        return Ok(Retired { kept: Some(kept), ..Retired::default() });
    }
    for known in &going {
        for name in files_of(known) {
            remove(&target.join(name))?;
        }
    }
    File::open(target)?.sync_all()?;
    let removed: Vec<String> = going.iter().map(|k| k.set.clone()).collect();
    let swept = sweep(target, known, &removed)?;
    Ok(Retired { removed, swept, kept: None })
}

/// Known sets that go: older than the newest that stay, none of the safe ones, not the last of a day, week or month
/// that stays.
fn going<'a>(
    here: &[(&'a Known, Option<&Set>)],
    whole: &[(&Known, &Set)],
    safe: &[&(&Known, &Set)],
    keep: Keep,
) -> Vec<&'a Known> {
    let newest = (keep.newest as usize).max(limits::SETS_KEPT_MIN);
    let Some(oldest) = whole.get(newest - 1).map(|(k, _)| k.seq) else { return Vec::new() };
    let mut staying: HashSet<&str> = safe.iter().map(|(k, _)| k.set.as_str()).collect();
    let day = |at: Moment| at.midnight().0;
    let week = |at: Moment| at.midnight().0 - i64::from(at.weekday() - 1) * DAY_MS;
    let month = |at: Moment| i64::from(at.day().number() / 100);
    staying.extend(last_of_each(whole, keep.daily, day));
    staying.extend(last_of_each(whole, keep.weekly, week));
    staying.extend(last_of_each(whole, keep.monthly, month));
    let here = here.iter().map(|(k, _)| *k);
    here.filter(|k| k.seq < oldest && !staying.contains(k.set.as_str())).collect()
}

/// The newest set of each of the latest `count` spans. Sets come in the order of the journal; a span ends where the
/// next set belongs to another one, so a clock that jumps makes more spans and never fewer sets.
fn last_of_each<'a>(whole: &[(&'a Known, &Set)], count: u32, span: impl Fn(Moment) -> i64) -> Vec<&'a str> {
    let mut last = None;
    let ends = whole.iter().filter(|(k, _)| last.replace(span(Moment(k.at))) != Some(span(Moment(k.at))));
    ends.take(count as usize).map(|(k, _)| k.set.as_str()).collect()
}

/// All files of a known set lie there under exactly their names, and nothing else claims them.
fn whole<'a>(sets: &'a [Set], known: &Known) -> Option<&'a Set> {
    let set = sets.iter().find(|s| s.id.to_string() == known.set)?;
    let (data, manifest) = set.parts().ok()?;
    let list = set.list().ok()?.map(|l| &l.name);
    let same = data.name == known.data_file && manifest.name == known.manifest_file;
    (same && list == known.list_file.as_ref()).then_some(set)
}

/// In the order they go: without a manifest a set is no backup, and nobody takes it for one; what it needed of the
/// pool stays as long as it is listed.
fn files_of(known: &Known) -> impl Iterator<Item = &str> {
    [&known.manifest_file, &known.data_file].into_iter().chain(&known.list_file).map(String::as_str)
}

fn lies(target: &Path, known: &Known) -> bool {
    files_of(known).any(|f| target.join(f).is_file())
}

/// Members of the pool that no set in the target needs, leaving out sets that are `gone`. None at all where a set does
/// not say what it needs: its list is lost, it does not fit its name, or nobody knows whether it ever had one.
fn needless(target: &Path, known: &[Known], gone: &[String]) -> Result<Vec<(String, Member)>> {
    let mut lying = Pool::of(target).lying()?;
    if lying.is_empty() {
        return Ok(Vec::new());
    }
    for set in target::sets(target)? {
        match set.list() {
            Ok(Some(list)) => {
                let Ok(listing) = read_list(list) else { return Ok(Vec::new()) };
                for (name, member) in listing.iter() {
                    lying.entry(name.clone()).or_default().retain(|m| m.sha256 != member.sha256);
                }
            }
            Ok(None) if gone.contains(&set.id.to_string()) || carries_its_own(&set, known) => {}
            _ => return Ok(Vec::new()),
        }
    }
    Ok(lying.into_iter().flat_map(|(name, all)| all.into_iter().map(move |m| (name.clone(), m))).collect())
}

/// A set that needs nothing of the pool: it is known without a list, or no backup at all.
fn carries_its_own(set: &Set, known: &[Known]) -> bool {
    let named = |k: &Known| k.list_file.is_none() && whole(std::slice::from_ref(set), k).is_some();
    !set.has_manifest() || known.iter().any(named)
}

/// Removes what no set needs, unless a run is under way in the target.
fn sweep(target: &Path, known: &[Known], gone: &[String]) -> Result<u64> {
    let Some(_lock) = target::lock(target)? else { return Ok(0) };
    let needless = needless(target, known, gone)?;
    Pool::of(target).remove(&needless)?;
    Ok(needless.len() as u64)
}

fn suspect(sets: &[Set], rule: &Rule) -> Option<String> {
    // Names have whole seconds, and so has what is compared with them.
    let ahead = sets.iter().map(|s| &s.id).filter(|id| id.time() > rule.now.compact_utc().as_str()).max();
    if let Some(id) = ahead {
        let at = id.created();
        return Some(format!(
            "服务器现在的时间是 {}，早于备份 {id} 的时间 {at}：时间可疑，旧备份一套也没有清理。请核对服务器时间；\
             确认无误后，把这套备份移到别处。",
            rule.now
        ));
    }
    (rule.now < rule.last_entry).then(|| {
        let last = rule.last_entry;
        format!(
            "服务器现在的时间是 {}，早于日志最后一条（{last}）：时间可疑，旧备份一套也没有清理。",
            rule.now
        )
    })
}

/// Why the sets that stay in any case are not what they were; `None` when they are.
fn rotten(target: &Path, safe: &[&(&Known, &Set)]) -> Option<String> {
    let lying = Pool::of(target).lying().unwrap_or_default();
    let mut seen = HashSet::new();
    let once = safe.iter().filter(|(k, _)| seen.insert(k.set.as_str()));
    for (_, set) in once {
        let id = &set.id;
        if set.parts().and_then(|(d, m)| d.intact().and_then(|_| m.intact())).is_err() {
            return Some(format!("备份 {id} 的文件已经损坏，旧备份一套也没有清理。请检查备份盘，并保留旧备份。"));
        }
        let Ok(listing) = set.list().and_then(|l| l.map(read_list).transpose()) else {
            return Some(format!("备份 {id} 的附件清单已经损坏，旧备份一套也没有清理。请检查备份盘。"));
        };
        let there = |(name, m): &(&String, &Member)| lying.get(*name).is_some_and(|all| all.contains(m));
        let lost = listing.unwrap_or_default().iter().filter(|m| !there(m)).count();
        if lost > 0 {
            return Some(format!(
                "备份 {id} 的附件池中有 {lost} 个附件缺失或长度不对，旧备份一套也没有清理。请检查备份盘。"
            ));
        }
    }
    None
}

/// Removes a plain file; what is something else under this name is not ours.
fn remove(path: &Path) -> Result<()> {
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_file() => Ok(fs::remove_file(path)?),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;

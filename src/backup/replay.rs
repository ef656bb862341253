//! Going on from a set with the log beside it: which slots lead from the set to the wanted point, and applying them.
//!
//! What must hold: slots are followed as `data-format/offsite.md` says, without a gap, epochs only over their fences;
//! what is applied was signed by a believed signer; the journal ends exactly where the last of them ends.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::manifest::Content;
use super::pool::{self, Member, Pool};
use super::restore::{Opened, Wish};
use super::segment::{self, Kind, Needed, Plain, Segment, store_mark};
use super::target::{self, Set};
use super::{KeyFile, flawed};
use crate::base::{Error, ErrorKind, Moment, Result, Seq};
use crate::store::{Applied, Purged, Head, Store};

const FOLDER: &str = "log";

/// Where a restore is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// At the end of a slot.
    Slot(u64),
    /// At the last slot that was written by then.
    Moment(Moment),
}

impl Until {
    /// Reads what a person types: the number of a slot, or a time in Beijing such as `2026-11-23 17:01`.
    pub fn typed(text: &str) -> Result<Self> {
        let text = text.trim();
        let slot = text.parse().ok().filter(|n| *n > 0).map(Self::Slot);
        slot.or_else(|| Moment::of_beijing(text).map(Self::Moment)).ok_or_else(|| {
            Error::usage(format!(
                "“{text}”不是时间也不是日志段号。请写成 \"2026-11-23 17:01\"（北京时间）或 17。"
            ))
        })
    }
}

/// The log in a folder, by its plain beginnings.
pub(super) struct Log {
    slots: BTreeMap<u64, (PathBuf, Plain)>,
    /// Numbers of those whose beginnings cannot be read, or say another number.
    unreadable: BTreeSet<u64>,
    /// Numbers of fences, and where the history of their epochs begins.
    fences: Vec<(u64, Seq)>,
}

/// How far a restore went in a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Followed {
    /// Slots that were applied.
    pub slots: u64,
    /// The last slot that was followed.
    pub last: u64,
}

/// The way from a set to a point.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Way {
    /// Changes to be applied, in order.
    pub(super) changes: Vec<u64>,
    /// Slots that were looked at on the way, fences among them.
    seen: Vec<u64>,
    /// Where the journal ends then.
    end: Head,
}

impl Log {
    /// Reads the plain beginnings of a log; there may be none.
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let (mut slots, mut unreadable) = (BTreeMap::new(), BTreeSet::new());
        let mut fences = Vec::new();
        let Ok(entries) = fs::read_dir(folder.join(FOLDER)) else {
            return Ok(Self { slots, unreadable, fences });
        };
        for entry in entries {
            let path = entry?.path();
            let Some(number) = path.file_name().and_then(|n| segment::number_of(n.to_str()?)) else {
                continue;
            };
            // Only where it is needed does a slot that cannot be read keep anybody from restoring.
            let Some(plain) = Plain::read(&path).ok().filter(|plain| plain.number == number) else {
                unreadable.insert(number);
                continue;
            };
            if plain.kind == Kind::Fence {
                fences.push((number, plain.to.seq));
            }
            slots.insert(number, (path, plain));
        }
        Ok(Self { slots, unreadable, fences })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The greatest epoch in it.
    pub(super) fn epoch(&self) -> u64 {
        self.slots.values().map(|(_, plain)| plain.epoch).max().unwrap_or(0)
    }

    /// The slot a restore is to end with; 0 where the log says nothing about that point.
    pub(super) fn goal(&self, until: Option<Until>, key: &KeyFile) -> Result<u64> {
        match until {
            None => Ok(self.slots.last_key_value().map_or(0, |(number, _)| *number)),
            Some(Until::Slot(number)) if self.slots.contains_key(&number) => Ok(number),
            Some(Until::Slot(number)) => {
                Err(Error::invalid(format!("日志中没有第 {number} 段。请核对段号。")))
            }
            Some(Until::Moment(moment)) => {
                for (number, (path, _)) in self.slots.iter().rev() {
                    if Segment::written_at(path, key).is_ok_and(|at| at <= moment) {
                        return Ok(*number);
                    }
                }
                Ok(0)
            }
        }
    }

    /// The way from what a set holds to a slot, or the slot at which it ends.
    pub(super) fn way(&self, set: &Content, goal: u64) -> Result<Way, u64> {
        let mark = store_mark(&set.store);
        let hash = segment::hex_digest(&set.head_hash).unwrap_or_default();
        let mut end = Head { seq: Seq(set.seq), hash };
        let (mut epoch, mut changes, mut seen) = (set.epoch, Vec::new(), Vec::<u64>::new());
        for (number, (_, plain)) in self.slots.range(..=goal) {
            let behind = plain.epoch < epoch || plain.epoch == epoch && plain.to.seq <= end.seq;
            let gap = seen.last().is_some_and(|last| last + 1 != *number);
            if plain.mark != mark || gap {
                return Err(*number);
            }
            if self.is_superseded(plain, goal) {
                seen.push(*number);
                continue;
            }
            if behind {
                let same = plain.epoch < epoch || plain.to.seq < end.seq || plain.to.hash == end.hash;
                if !same {
                    return Err(*number);
                }
                // What comes after it follows it, not what was passed over before it.
                if changes.is_empty() {
                    seen.clear();
                } else {
                    seen.push(*number);
                }
                continue;
            }
            match plain.kind {
                Kind::Change if plain.epoch == epoch && plain.from <= end.seq => changes.push(*number),
                Kind::Fence if plain.epoch > epoch && plain.to == end => epoch = plain.epoch,
                _ => return Err(*number),
            }
            end = plain.to;
            seen.push(*number);
        }
        Ok(Way { changes, seen, end })
    }

    /// A later fence begins before its end: what it holds is no part of the county's history.
    fn is_superseded(&self, plain: &Plain, goal: u64) -> bool {
        let later = |number: u64| plain.number < number && number <= goal;
        self.fences.iter().any(|(number, to)| later(*number) && *to < plain.to.seq)
    }

    /// The last slot of which a set holds everything.
    pub(super) fn last_within(&self, set: &Content) -> u64 {
        let within = |plain: &Plain| plain.epoch <= set.epoch && plain.to.seq.0 <= set.seq;
        self.slots.iter().rev().find(|(_, (_, plain))| within(plain)).map_or(0, |(number, _)| *number)
    }

    /// Whether a set is one from which a point can be reached at all.
    pub(super) fn begins_before(&self, set: &Content, goal: u64) -> bool {
        self.slots.get(&goal).is_none_or(|(_, plain)| set.epoch <= plain.epoch && set.seq <= plain.to.seq.0)
    }

    /// Applies the changes on a way, whose slots must be the ones that followed each other; what they name of the pool.
    pub(super) fn follow(
        &self,
        way: &Way,
        copy: &Store,
        (key, signer): (&KeyFile, Option<&str>),
    ) -> Result<(Followed, Vec<Needed>)> {
        let (mut before, mut needed) = (None, Vec::new());
        for number in &way.seen {
            let Some((path, plain)) = self.slots.get(number) else { continue };
            if plain.kind == Kind::Change && !way.changes.contains(number) {
                before = Some(segment::digest_of(path)?.0);
                continue;
            }
            let segment = Segment::open(path, key, signer)?;
            if before.is_some_and(|digest| digest != segment.plain.previous) {
                return Err(flawed(&super::file_name(path), "与前一段接不上，前一段或本段被换过"));
            }
            before = Some(segment.digest);
            if !way.changes.contains(number) {
                continue;
            }
            needed.extend(segment.plain.files.iter().cloned());
            if copy.apply(segment.change(key)?)? != Applied::Moved {
                return Err(flawed(&super::file_name(path), "与备份接不上"));
            }
        }
        if copy.head() != way.end {
            return Err(Error::internal("the log led elsewhere"));
        }
        let last = way.seen.last().copied().unwrap_or(0);
        Ok((Followed { slots: way.changes.len() as u64, last }, needed))
    }

    /// What slots after one purged: whatever point is restored, that stays purged. How many of them cannot be read.
    pub(super) fn purged_after(
        &self,
        goal: u64,
        (key, signer): (&KeyFile, Option<&str>),
    ) -> (Vec<Purged>, u64) {
        let (mut purged, mut unread) = (Vec::new(), self.unreadable.range(goal + 1..).count() as u64);
        for (path, _) in self.slots.range(goal + 1..).map(|(_, slot)| slot) {
            match Segment::open(path, key, signer) {
                Ok(segment) => purged.extend(segment.header.purged),
                Err(_) => unread += 1,
            }
        }
        (purged, unread)
    }
}

/// The set a restore begins with, and how it goes on.
pub(super) struct Chosen<'a> {
    pub(super) set: &'a Set,
    pub(super) opened: Opened,
    /// The last slot that counts; later ones only say what was purged.
    pub(super) goal: u64,
    /// `None` where the set alone is wanted.
    pub(super) way: Option<Way>,
}

/// The set that is named, or the newest from which the wanted point can be reached.
pub(super) fn choose<'a>(sets: &'a [Set], log: &Log, wish: &Wish<'_>) -> Result<Chosen<'a>> {
    let open = |set: &Set| {
        let opened = Opened::new(set, wish.key)?;
        opened.believe(wish.key, wish.signer).map(|()| opened)
    };
    if wish.until.is_none() && (wish.set.is_some() || log.is_empty()) {
        let set = target::choose(sets, wish.set)?;
        let opened = open(set)?;
        // Everything in the log after what the set holds is later.
        let goal = log.last_within(&opened.manifest.content);
        return Ok(Chosen { set, opened, goal, way: None });
    }
    let named: Vec<&Set> = match wish.set {
        Some(_) => vec![target::choose(sets, wish.set)?],
        None => sets.iter().filter(|set| set.complete()).collect(),
    };
    if named.is_empty() {
        target::choose(sets, None)?;
    }
    let goal = log.goal(wish.until, wish.key)?;
    let mut stuck = None;
    for set in named {
        let opened = open(set)?;
        let content = &opened.manifest.content;
        let in_time = match wish.until {
            Some(Until::Moment(moment)) => opened.manifest.created <= moment.0,
            Some(Until::Slot(_)) => log.begins_before(content, goal),
            None => true,
        };
        if !in_time {
            continue;
        }
        match log.way(content, goal) {
            Ok(way) => return Ok(Chosen { set, goal, way: Some(way), opened }),
            Err(slot) => stuck = stuck.or(Some((set.id.to_string(), slot))),
        }
    }
    Err(unreachable(stuck))
}

/// Takes from the pool what the store names, lacks, and segments say where it is.
pub(super) fn fetch_named(copy: &Store, pool: &Pool, needed: &[Needed]) -> Result<()> {
    let needed: BTreeMap<&str, &Needed> = needed.iter().map(|n| (n.name.as_str(), n)).collect();
    for (_, file) in copy.read()?.named_files()? {
        let name = pool::name_of(copy, &file);
        let Some(needed) = needed.get(name.as_str()).filter(|_| !copy.is_whole(&file)) else { continue };
        let member = Member { sha256: needed.sha256.clone(), bytes: needed.bytes };
        if pool.intact(&name, &member).is_ok() {
            copy.adopt_blob(&file, &mut File::open(pool.path(&name, &member))?)?;
        }
    }
    Ok(())
}

/// No set leads to the point.
fn unreachable(stuck: Option<(String, u64)>) -> Error {
    let why =
        stuck.map_or("目录中没有早于这个时间点的完整备份".to_owned(), |(set, slot)| {
            format!("从备份 {set} 出发，异地日志第 {slot} 段接不上（缺段、属于另一主机，或备份比它旧）")
        });
    let advice = "请用 --until 指定较早的段号或时间，或用 --set 只恢复一套备份，不用日志";
    Error::new(ErrorKind::Invalid, format!("恢复不到所要的时间点：{why}，没有写入任何内容。{advice}。"))
}

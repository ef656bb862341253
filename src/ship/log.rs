//! The log of a target, as the shipper adds to it: segment after segment, each under the condition that its slot is
//! free.
//!
//! What must hold: a segment leaves the spool only after the target has it; what it needs of the pool is there before
//! it; a slot that somebody else took is never passed over, but told, and nothing is added after it. Wherever this is
//! broken off, the next process goes on: what the target has decides.

use std::path::Path;

use super::memory::{Memory, Report};
use super::{Put, Remote};
use crate::backup::segment::{self, Needed, Plain};
use crate::backup::spool::{Fenced, Slot, Spool, Waiting};
use crate::base::{Error, ErrorKind, Result, limits};

const FOLDER: &str = "log";

/// The name of a slot in a target.
pub(crate) fn place(number: u64) -> String {
    format!("{FOLDER}/{}", segment::name_of(number))
}

/// The slots there are, by rising numbers, with their lengths; only those after one when it is given.
pub(crate) fn slots(remote: &dyn Remote, after: Option<u64>) -> Result<Vec<(u64, u64)>> {
    let items = remote.list(FOLDER, after.map(place).as_deref())?;
    let numbers =
        items.iter().filter_map(|i| Some((segment::number_of(i.name.strip_prefix("log/")?)?, i.bytes)));
    Ok(numbers.collect())
}

/// The plain beginning of a slot; `None` where the slot is free.
pub(crate) fn plain_of(remote: &dyn Remote, number: u64) -> Result<Option<Plain>> {
    let name = place(number);
    let mut most = limits::SHIP_BEGIN_BYTES;
    loop {
        let Some(bytes) = remote.begin(&name, most)? else { return Ok(None) };
        match Plain::of_bytes(&bytes, &name) {
            Err(_) if bytes.len() as u64 == most => most *= 16,
            plain => return plain.map(Some),
        }
    }
}

/// Adds to the log of one target from one spool.
pub(super) struct Log<'a> {
    remote: &'a dyn Remote,
    spool: &'a Spool,
    memory: &'a Memory,
    report: &'a Report,
    /// The last slot of the target; `None` before the target was asked.
    last: Option<Slot>,
}

impl<'a> Log<'a> {
    pub(super) fn new(
        remote: &'a dyn Remote,
        spool: &'a Spool,
        memory: &'a Memory,
        report: &'a Report,
    ) -> Self {
        Self { remote, spool, memory, report, last: None }
    }

    /// Brings everything that waits; how many segments that were.
    pub(super) fn round(&mut self) -> Result<u64> {
        if self.report.is_fenced() && !self.begins_anew()? {
            return Ok(0);
        }
        let mut last = match self.last.take() {
            Some(last) => last,
            None => self.find()?,
        };
        self.is_still_there(&last)?;
        if self.report.is_fenced() {
            return Ok(0);
        }
        self.memory.begins_after(last.number)?;
        let mut brought = 0;
        // The spool is looked at again after each round trip: what came meanwhile goes along.
        loop {
            let waiting = self.spool.waiting()?;
            let next = last.number + 1;
            let mine = waiting.iter().find(|w| w.number == next);
            if self.remote.size(&place(next))?.is_some() {
                last = match self.compare(next, mine)? {
                    Some(own) => self.acknowledge(own, mine)?,
                    None => return Ok(brought),
                };
                continue;
            }
            let Some(mine) = mine else {
                for old in waiting.iter().filter(|w| w.number < next) {
                    self.leave(old)?;
                }
                break;
            };
            let Some(own) = self.bring(&last, mine)? else { return Ok(brought) };
            last = self.acknowledge(own, Some(mine))?;
            brought += 1;
        }
        self.last = Some(last);
        Ok(brought)
    }

    /// A store of a newer epoch than whoever took the slot has emptied the spool and waits for where the log ends.
    fn begins_anew(&mut self) -> Result<bool> {
        let anew = self.spool.sent().is_none() && self.spool.waiting()?.is_empty();
        if anew {
            self.last = None;
            self.report.forget()?;
        }
        Ok(anew)
    }

    /// The slot after which this spool goes on: the one that was noted, or what spool and target say together.
    fn find(&self) -> Result<Slot> {
        if let Some(noted) = self.report.slot().filter(|s| s.number > 0) {
            return Ok(noted);
        }
        let newest = slots(self.remote, None)?.last().map(|(number, _)| *number);
        let (sent, waiting) = (self.spool.sent(), self.spool.waiting()?);
        let start = waiting.first().map(|w| w.number - 1).or(sent.as_ref().map(|s| s.number));
        let start = start.unwrap_or(newest.unwrap_or(0));
        if start == 0 {
            self.report.found(&Slot::default(), None)?;
            return Ok(Slot::default());
        }
        if newest.is_none_or(|newest| newest < start) {
            return Err(self.lost(start));
        }
        let (slot, plain) = self.look(start)?;
        if waiting.is_empty() && sent.is_some_and(|sent| sent.digest != slot.digest) {
            self.report.fence(Fenced { epoch: slot.epoch, number: slot.number })?;
            return Ok(slot);
        }
        self.report.found(&slot, Some(plain.mark))?;
        Ok(slot)
    }

    /// Fetches a slot, for its digest.
    fn look(&self, number: u64) -> Result<(Slot, Plain)> {
        let home = tempfile::tempdir_in(self.spool.root())?;
        let file = home.path().join(segment::name_of(number));
        if !self.remote.get(&place(number), &file)? {
            return Err(Error::new(ErrorKind::Io, format!("异地日志第 {number} 段读不到。")));
        }
        let plain = Plain::read(&file)?;
        let (digest, _) = segment::digest_of(&file)?;
        Ok((Slot::of(&plain, &digest), plain))
    }

    /// Whoever adds holds the last slot: where it is gone, either the target is another one, or time passed us by.
    fn is_still_there(&self, last: &Slot) -> Result<()> {
        if last.number == 0 || self.remote.size(&place(last.number))?.is_some() {
            return Ok(());
        }
        if let Some((number, _)) = slots(self.remote, Some(last.number))?.last() {
            let epoch = plain_of(self.remote, *number)?.map_or(0, |p| p.epoch);
            return self.report.fence(Fenced { epoch, number: *number });
        }
        Err(self.lost(last.number))
    }

    fn lost(&self, number: u64) -> Error {
        let (place, spool) = (self.remote.label(), self.spool.root().display());
        Error::invalid(format!(
            "异地目标 {place} 中没有已经送出的日志（第 {number} 段），可能没有挂载、换了目标或被清空，没有写入任何内容。\
             请检查挂载和目标；确实要换新目标时，请停止服务和 jiceng ship，清空 {spool} 后重新启动。"
        ))
    }

    /// What lies in a slot that is taken: our own, whose acknowledgement was lost, or another host's.
    fn compare(&self, number: u64, mine: Option<&Waiting>) -> Result<Option<(Slot, String)>> {
        let (slot, plain) = self.look(number)?;
        let own = match mine {
            Some(mine) => hex::encode(segment::digest_of(&mine.path)?.0) == slot.digest,
            None => self.spool.sent().is_some_and(|sent| sent.digest == slot.digest),
        };
        if own {
            return Ok(Some((slot, plain.mark)));
        }
        self.report.fence(Fenced { epoch: slot.epoch, number })?;
        Ok(None)
    }

    /// Brings a segment, after what it needs of the pool; `None` where somebody else took the slot.
    fn bring(&self, last: &Slot, mine: &Waiting) -> Result<Option<(Slot, String)>> {
        let plain = Plain::read(&mine.path)?;
        let (digest, _) = segment::digest_of(&mine.path)?;
        let foreign = self.report.mark().is_some_and(|mark| mark != plain.mark);
        if foreign {
            return Err(Error::invalid(
                "异地目标属于另一个县的数据，没有写入任何内容。请核对 --to 和 --spool。",
            ));
        }
        if plain.number != mine.number || Some(plain.previous) != last.digest() {
            // The log of the target is not the one this segment goes on with.
            self.report.fence(Fenced { epoch: last.epoch, number: last.number })?;
            return Ok(None);
        }
        self.memory.will_name(&plain)?;
        for needed in &plain.files {
            self.bring_member(needed)?;
        }
        match self.remote.put_new(&place(mine.number), &mine.path)? {
            Put::Made => Ok(Some((Slot::of(&plain, &digest), plain.mark))),
            Put::Taken => self.compare(mine.number, Some(mine)),
        }
    }

    /// An attachment that neither the spool nor the target has does not keep the segment waiting.
    fn bring_member(&self, needed: &Needed) -> Result<()> {
        let name = needed.place();
        if self.memory.is_there(&name) {
            return Ok(());
        }
        if self.remote.size(&name)? != Some(needed.bytes) {
            let file = self.spool.root().join(&name);
            if !file.is_file() {
                tracing::warn!(
                    "an attachment that a segment names lies neither in the spool nor in the target"
                );
                return Ok(());
            }
            self.remote.put(&name, &file)?;
        }
        self.memory.came(name);
        Ok(())
    }

    /// First it is noted that the target has it, then it leaves the spool, with what was there for it.
    fn acknowledge(&self, (slot, mark): (Slot, String), mine: Option<&Waiting>) -> Result<Slot> {
        self.report.shipped(&slot, &mark)?;
        if let Some(mine) = mine {
            for needed in Plain::read(&mine.path)?.files {
                let name = needed.place();
                if self.memory.is_there(&name) || self.remote.size(&name)? == Some(needed.bytes) {
                    remove(&self.spool.root().join(name))?;
                }
            }
            remove(&mine.path)?;
        }
        Ok(slot)
    }

    /// A segment of a slot that the target has long had.
    fn leave(&self, old: &Waiting) -> Result<()> {
        match self.remote.size(&place(old.number))? {
            // It is older than everything the target keeps.
            None => remove(&old.path),
            Some(_) => match self.compare(old.number, Some(old))? {
                Some(_) => remove(&old.path),
                None => Ok(()),
            },
        }
    }
}

fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        removed => Ok(removed?),
    }
}

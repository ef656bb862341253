//! The off-site log as the server sees it: a thread that writes change segments into the spool, and what
//! administrators are told of it (`data-format/offsite.md`). Nothing here reaches the network: bringing segments away
//! is `ship`'s.
//!
//! What must hold: a segment follows the last one that this store is known to have written, in the spool, in
//! `sent.json` or in the target; a new epoch begins with a fence; once another host took a slot, records are not
//! changed any more.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::{App, lock};
use crate::backup::pool_name;
use crate::backup::retention::Known;
use crate::backup::segment::{self, Kind, Needed, Plain, Wanted, store_mark};
use crate::backup::spool::{Fenced, Shipped, Slot, Spool};
use crate::base::{Error, Moment, Result, Seq, background, config, limits};
use crate::records::FileRef;
use crate::store::{Fence, Halt, Head, Seen, Snapshot, fact};

/// What a running server knows of its off-site log.
#[derive(Default)]
pub struct Offsite(Mutex<Told>);

#[derive(Default)]
struct Told {
    spool: Option<Spool>,
    alarm_minutes: i64,
    /// Why nothing is written now.
    trouble: Option<String>,
}

/// How the other site stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The last slot in the target.
    pub slot: u64,
    /// When the target was last reached; `None` where it never was.
    pub reached: Option<Moment>,
    /// Entries of the journal that are not there yet.
    pub entries: u64,
    /// Seconds since the first of them was made.
    pub seconds: i64,
    /// Complete sets there.
    pub sets: u64,
    /// Segments that wait.
    pub waiting: usize,
    /// What administrators must be told.
    pub alarms: Vec<String>,
}

impl Standing {
    /// In one line for people.
    pub fn words(&self) -> String {
        let Some(reached) = self.reached else { return "还没有连上异地".to_owned() };
        let lag = match self.entries {
            0 => "没有落后".to_owned(),
            entries => format!("落后 {} 秒（{entries} 条日志）", self.seconds),
        };
        let (slot, sets, waiting) = (self.slot, self.sets, self.waiting);
        format!("日志送到第 {slot} 段，{lag}，整套备份 {sets} 套，待送 {waiting} 段，最近连上 {reached}")
    }
}

impl App {
    /// How the other site stands; `None` where there is to be none.
    pub fn offsite(&self) -> Result<Option<Standing>> {
        let (spool, minutes, trouble) = {
            let known = lock(&self.offsite.0);
            let Some(spool) = known.spool.clone() else { return Ok(None) };
            (spool, known.alarm_minutes, known.trouble.clone())
        };
        let shipped = spool.shipped().unwrap_or_default();
        let snapshot = self.store.read()?;
        let entries = snapshot.head()?.seq.0.saturating_sub(shipped.slot.to);
        let first = if entries == 0 { None } else { snapshot.entry(Seq(shipped.slot.to + 1))? };
        let seconds = first.map_or(0, |e| self.now().seconds_since(e.header.at).max(0));
        let reached = (shipped.at > 0).then_some(Moment(shipped.at));
        let mut standing = Standing {
            slot: shipped.slot.number,
            reached,
            entries,
            seconds,
            sets: shipped.sets,
            waiting: spool.waiting()?.len(),
            alarms: trouble.into_iter().collect(),
        };
        self.alarm(&mut standing, &shipped, minutes);
        Ok(Some(standing))
    }

    fn alarm(&self, standing: &mut Standing, shipped: &Shipped, minutes: i64) {
        if matches!(self.halted(), Some(Halt::Fenced(_))) {
            // The banner of every page says so already, and nothing else matters any more.
            standing.alarms.clear();
            return;
        }
        let silent = standing.reached.is_none_or(|at| self.now().seconds_since(at) > minutes * 60);
        if let Some(error) = &shipped.error {
            standing.alarms.push(format!("异地传送出错：{error}"));
        } else if silent {
            let since = standing.reached.map_or("从未连上".to_owned(), |at| format!("上次在 {at}"));
            standing
                .alarms
                .push(format!("异地传送没有在进行（{since}）。请在服务器上检查 jiceng ship 是否在运行。"));
        }
        if standing.seconds > minutes * 60 {
            let late = standing.seconds / 60;
            standing.alarms.push(format!(
                "异地副本落后 {late} 分钟（{} 条日志还没有送到，应不超过 {minutes} 分钟）。",
                standing.entries
            ));
        }
        if standing.reached.is_some() && standing.sets == 0 {
            let advice = "请进行一次备份，并检查 jiceng ship 的 --backups 目录。";
            standing.alarms.push(format!("异地还没有整套备份，只有日志不能恢复。{advice}"));
        }
    }

    /// What administrators must be told of the other site; empty when all is well.
    pub fn offsite_alarms(&self) -> Result<Vec<String>> {
        let unusable = || lock(&self.offsite.0).trouble.clone().into_iter().collect();
        Ok(self.offsite()?.map_or_else(unusable, |s| s.alarms))
    }

    /// Another host has taken over: says so to everybody who wants to change something, from now on.
    fn fenced_by(&self, Fenced { epoch, number }: Fenced) -> Result<()> {
        if matches!(self.halted(), Some(Halt::Fenced(_))) {
            return Ok(());
        }
        tracing::error!(
            "another host took slot {number} of the off-site log in epoch {epoch}; this one takes no changes"
        );
        self.store.fence(Fence { at: self.now(), epoch, number })
    }
}

/// What the writer came to in one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// There is nothing to write.
    Idle,
    /// A segment was written.
    Wrote,
    /// The shipper has not said yet where the log of the target ends.
    Waits,
    /// The spool takes no more.
    Full,
    /// Another host has taken over.
    Fenced,
}

/// Writes segments, one after the other.
pub struct Writer {
    app: Arc<App>,
    spool: Spool,
    /// The segment before; `None` before that is known.
    last: Option<Slot>,
    /// Facts as that one left them.
    seen: Option<Seen>,
    /// Attachments that were handed over, by name of the sealed file.
    handed: HashMap<String, Needed>,
}

impl Writer {
    /// Takes the spool over; there is one writer.
    pub fn start(app: &Arc<App>, offsite: &config::Offsite) -> Result<Self> {
        let spool = Spool::open(&offsite.spool).and_then(|spool| spool.clear_leftovers().map(|()| spool));
        let spool = spool.inspect_err(|e| lock(&app.offsite.0).trouble = Some(e.public().to_owned()))?;
        let known = Told { spool: Some(spool.clone()), alarm_minutes: offsite.alarm_minutes, trouble: None };
        *lock(&app.offsite.0) = known;
        Ok(Self { app: Arc::clone(app), spool, last: None, seen: None, handed: HashMap::new() })
    }

    /// Looks whether another host has taken over.
    pub fn listen(&self) -> Result<()> {
        // A store that was restored since is of a newer epoch than whoever took the slot from the one before it.
        let own = self.app.facts().epoch;
        let fenced = self.spool.shipped().and_then(|s| s.fenced).filter(|f| f.epoch >= own);
        fenced.map_or(Ok(()), |f| self.app.fenced_by(f))
    }

    /// Writes a segment, if there is something to write and room for it.
    pub fn step(&mut self) -> Result<Step> {
        let done = self.try_step();
        let trouble = match &done {
            Ok(Step::Full) => Some(
                "异地交换目录已满，变更段暂停写出。请检查 jiceng ship 是否在运行、异地目标是否连通；送出后会自动继续。"
                    .to_owned(),
            ),
            Ok(_) => None,
            Err(e) => Some(format!("异地变更段写不出来：{}", e.public())),
        };
        lock(&self.app.offsite.0).trouble = trouble;
        done
    }

    fn try_step(&mut self) -> Result<Step> {
        self.listen()?;
        if matches!(self.app.halted(), Some(Halt::Fenced(_))) {
            return Ok(Step::Fenced);
        }
        let snapshot = self.app.store.read()?;
        let earlier = |f: Fenced| f.epoch < self.app.facts().epoch;
        if self.spool.shipped().and_then(|s| s.fenced).is_some_and(earlier) {
            // A host that this one replaced was faster: where the log ends is to be found out anew.
            (self.last, self.seen) = (None, None);
            self.handed.clear();
        }
        if self.last.is_none() {
            match self.resume(&snapshot)? {
                Resumed::At(slot) => self.last = Some(slot),
                Resumed::Unknown => return Ok(Step::Waits),
                Resumed::Fenced(fenced) => {
                    self.app.fenced_by(fenced)?;
                    return Ok(Step::Fenced);
                }
            }
        }
        let Some(last) = self.last.clone() else { return Ok(Step::Waits) };
        let begins = last.number == 0 || last.epoch < self.app.facts().epoch;
        if !begins && snapshot.head()?.seq.0 == last.to {
            return Ok(Step::Idle);
        }
        if self.is_full()? {
            return Ok(Step::Full);
        }
        if begins { self.begin(&snapshot, &last) } else { self.go_on(&snapshot, &last) }
    }

    fn is_full(&self) -> Result<bool> {
        let (waiting, pooled) = (self.spool.waiting()?, self.spool.pooled()?);
        let bytes: u64 = waiting.iter().map(|w| w.bytes).chain(pooled.iter().map(|(.., bytes)| *bytes)).sum();
        let free = fs4::available_space(self.spool.root())?;
        Ok(waiting.len() >= limits::SPOOL_SEGMENTS
            || bytes >= limits::SPOOL_BYTES
            || free < limits::SPACE_RESERVE_BYTES)
    }

    /// Where the log of this store ends, as far as spool and shipper know.
    fn resume(&self, snapshot: &Snapshot) -> Result<Resumed> {
        let own = store_mark(&self.app.facts().store);
        if self.spool.shipped().is_some_and(|s| s.fenced.is_some()) {
            // What an earlier store left here can never be delivered; the shipper looks anew when it is gone.
            self.spool.empty()?;
            return Ok(Resumed::Unknown);
        }
        let mut known: Vec<Slot> = self.spool.sent().into_iter().collect();
        if let Some(newest) = self.spool.waiting()?.last() {
            let plain = Plain::read(&newest.path)?;
            let (digest, _) = segment::digest_of(&newest.path)?;
            refuse_foreign(&plain.mark, &own)?;
            known.push(Slot::of(&plain, &digest));
        }
        if let Some(shipped) = self.spool.shipped() {
            if !shipped.store.is_empty() {
                refuse_foreign(&shipped.store, &own)?;
            }
            known.push(shipped.slot);
        }
        let Some(last) = known.into_iter().max_by_key(|slot| slot.number) else {
            return Ok(Resumed::Unknown);
        };
        let fenced = Resumed::Fenced(Fenced { epoch: last.epoch, number: last.number });
        if last.number == 0 || last.epoch < self.app.facts().epoch {
            return Ok(Resumed::At(last));
        }
        // A journal that has not what was sent is an older copy of this store: the county went on without it.
        let there = last.to().and_then(|to| Some(snapshot.hash_at(to.seq).ok()?? == to.hash));
        let own = last.epoch == self.app.facts().epoch && there == Some(true);
        Ok(if own { Resumed::At(last) } else { fenced })
    }

    /// The fence of a new epoch, or of a new log.
    fn begin(&mut self, snapshot: &Snapshot, last: &Slot) -> Result<Step> {
        let epoch = self.app.facts().epoch;
        let to = if last.number == 0 {
            let sets = Known::decode(&snapshot.fact_text(fact::BACKUP_SETS)?);
            let newest = sets.iter().filter(|k| k.epoch == epoch).map(|k| Seq(k.seq)).max();
            newest.map_or_else(|| snapshot.head().map(|h| h.seq), Ok)?
        } else {
            snapshot.before_epoch(epoch)?.ok_or_else(|| Error::damaged("日志的纪元"))?
        };
        let hash = snapshot.hash_at(to)?.ok_or_else(|| Error::damaged(format!("日志第 {to} 条")))?;
        let head = Head { seq: to, hash };
        self.seen = None;
        self.write(
            snapshot,
            last,
            Wanted {
                kind: Kind::Fence,
                number: last.number + 1,
                from: to,
                to: head,
                previous: previous(last)?,
                seen: None,
                files: Vec::new(),
            },
        )
    }

    /// Everything since the segment before.
    fn go_on(&mut self, snapshot: &Snapshot, last: &Slot) -> Result<Step> {
        let from = Seq(last.to);
        let files = snapshot.files_of(&snapshot.touched_since(from)?)?;
        let files = self.hand_over(files)?;
        let seen = self.seen.take();
        let wanted = Wanted {
            kind: Kind::Change,
            number: last.number + 1,
            from,
            to: snapshot.head()?,
            previous: previous(last)?,
            seen: seen.as_ref(),
            files,
        };
        let done = self.write(snapshot, last, wanted)?;
        self.seen = Some(snapshot.seen()?);
        Ok(done)
    }

    fn write(&mut self, snapshot: &Snapshot, last: &Slot, wanted: Wanted<'_>) -> Result<Step> {
        let recipients = self.app.recipients(&[])?;
        let (draft, number) = (self.spool.draft()?, last.number + 1);
        let written = segment::write(snapshot, &recipients, wanted, &draft, self.app.now())?;
        self.spool.place(&draft, number)?;
        let slot = Slot::of(&written.plain, &written.digest);
        // The segment is there from here on, whatever becomes of the note.
        self.last = Some(slot.clone());
        self.spool.set_sent(&slot)?;
        Ok(Step::Wrote)
    }

    /// Lays attachments into the spool's pool; what is damaged here stays out.
    fn hand_over(&mut self, files: Vec<FileRef>) -> Result<Vec<Needed>> {
        let mut needed = Vec::new();
        for file in files {
            if let Some(known) = self.handed.get(&file.blob) {
                needed.push(known.clone());
                continue;
            }
            if !self.app.store.is_whole(&file) {
                continue;
            }
            let name = pool_name(&self.app.store, &file);
            let one = self.spool.add_file(&name, &|| self.app.store.sealed_blob(&file))?;
            if self.handed.len() >= limits::SEGMENT_FILES {
                self.handed.clear();
            }
            self.handed.insert(file.blob, one.clone());
            needed.push(one);
        }
        needed.sort_unstable();
        needed.dedup_by(|a, b| a.name == b.name);
        Ok(needed)
    }
}

enum Resumed {
    At(Slot),
    Unknown,
    Fenced(Fenced),
}

fn previous(last: &Slot) -> Result<[u8; 32]> {
    last.digest().ok_or_else(|| Error::internal("a slot without its digest"))
}

fn refuse_foreign(mark: &str, own: &str) -> Result<()> {
    if mark == own {
        return Ok(());
    }
    Err(Error::invalid(
        "异地目标或交换目录属于另一个数据目录。请核对 jiceng ship 的目标和配置中的 spool，没有写入任何内容。",
    ))
}

/// The thread; dropping this ends it.
pub struct Thread {
    _stop: Sender<()>,
}

impl Thread {
    /// Starts to write segments; whoever changes records is never kept waiting by it. A spool that cannot be used now
    /// is tried again: administrators are told meanwhile.
    pub fn start(app: &Arc<App>, offsite: &config::Offsite) -> Result<Self> {
        // Before anybody is served: whether another host has taken over.
        let mut writer = Writer::start(app, offsite).ok();
        writer.as_ref().map_or(Ok(()), Writer::listen)?;
        let (app, offsite) = (Arc::clone(app), offsite.clone());
        let every = Duration::from_secs(offsite.every_s);
        let (stop, stopped) = channel::<()>();
        background("offsite", move || {
            let look = Duration::from_millis(limits::OFFSITE_LOOK_MS).min(every);
            let (mut next, mut said) = (Instant::now(), None);
            while stopped.recv_timeout(look) == Err(RecvTimeoutError::Timeout) {
                let due = Instant::now() >= next;
                // The engine panics on some damaged files; the thread outlives that.
                let done = catch_unwind(AssertUnwindSafe(|| match &mut writer {
                    Some(writer) if due => writer.step(),
                    Some(writer) => writer.listen().map(|()| Step::Idle),
                    None if due => Writer::start(&app, &offsite).map(|started| {
                        writer = Some(started);
                        Step::Waits
                    }),
                    None => Ok(Step::Idle),
                }));
                let error =
                    match done.unwrap_or_else(|_| Err(Error::internal("the writer of segments panicked"))) {
                        Ok(Step::Wrote | Step::Full) => {
                            next = Instant::now() + every;
                            None
                        }
                        Ok(_) => None,
                        Err(e) => {
                            next = Instant::now() + every;
                            Some(e)
                        }
                    };
                if error != said {
                    error.iter().for_each(|e| tracing::error!(detail = e.detail(), "writing segments: {e}"));
                    said = error;
                }
            }
        })?;
        Ok(Self { _stop: stop })
    }
}

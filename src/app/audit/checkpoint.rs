//! Checkpoints: when the auditor comes to the console, the journal is verified from the last checkpoint on, and what
//! was seen becomes the next one. The sheet of a day carries the head out of the house.
//!
//! What must hold: what the page says was verified was verified, in this process, for this session; a journal that does
//! not hold makes no checkpoint.

use super::watch::{Alarm, DayCount};
use super::{Console, heads};
use crate::app::session::Live;
use crate::app::{Actor, App, lock, record};
use crate::base::{Day, Error, Moment, RecordId, Result, Seq, limits};
use crate::records::act;
use crate::store::{Act, Head, Snapshot, fact};

const DAY_MS: i64 = 24 * 3_600_000;

/// What the auditor saw of the journal, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The head then.
    pub head: Head,
    /// When.
    pub at: Moment,
    /// Who.
    pub account: RecordId,
}

impl Checkpoint {
    /// The fact, as text.
    fn encode(&self) -> String {
        format!("{} {} {} {}", self.head.seq, hex::encode(self.head.hash), self.at.0, self.account)
    }

    fn decode(text: &str) -> Option<Self> {
        let words: Vec<&str> = text.split(' ').collect();
        let [seq, hash, at, account] = words[..] else { return None };
        let head = Head { seq: Seq(seq.parse().ok()?), hash: hex::decode(hash).ok()?.try_into().ok()? };
        Some(Self { head, at: Moment(at.parse().ok()?), account: account.parse().ok()? })
    }
}

/// What a session of the auditor knows.
#[derive(Clone, Debug)]
pub struct Visit {
    /// What tells one session from the next.
    session: String,
    /// The checkpoint before this session; `None` before the first.
    last: Option<Checkpoint>,
    /// From where the journal was verified.
    from: Seq,
    /// Up to where.
    to: Head,
    /// What was wrong when the session began.
    problem: Option<String>,
}

/// What the page says of the chain.
#[derive(Clone, Debug)]
pub struct Proof {
    /// The checkpoint before this session; `None` before the first.
    pub last: Option<Checkpoint>,
    /// From behind which entry on the journal was verified.
    pub from: Seq,
    /// Up to which.
    pub to: Head,
    /// What is wrong, if something is.
    pub problem: Option<String>,
}

/// A day on paper.
pub struct DaySheet {
    /// Its counts.
    pub count: DayCount,
    /// The last entry of the day, with its hash.
    pub head: Head,
    /// Alarms of the day.
    pub alarms: Vec<Alarm>,
    /// The day is not over.
    pub goes_on: bool,
}

impl App {
    /// Verifies what came since the last time; the first time in a session it makes a checkpoint.
    pub fn audit_visit(&self, live: &Live) -> Result<Proof> {
        self.audits(&live.actor)?;
        let account = live.actor.account;
        let known = lock(&self.console.visits).get(&account).filter(|v| v.session == live.csrf).cloned();
        if let Some(visit) = known {
            let walked = self.store.read()?.verify_after(visit.to)?;
            let next = Visit { to: walked.head, ..visit };
            let problem = next.problem.clone().or(walked.problem);
            let proof = Proof { last: next.last, from: next.from, to: next.to, problem };
            remember(&self.console, account, next);
            return Ok(proof);
        }
        let snapshot = self.store.read()?;
        let last = Checkpoint::decode(&snapshot.fact_text(fact::AUDIT_CHECKPOINT)?);
        let from = last.map_or_else(|| first(&snapshot), |c| Ok(c.head))?;
        let mut walked = snapshot.verify_after(from)?;
        if snapshot.hash_at(from.seq).ok().flatten() != Some(from.hash) {
            walked.problem = Some(format!("检查点所记的日志第 {} 条与现在的日志不一致", from.seq));
        }
        let (to, problem) = (walked.head, walked.problem);
        self.enter_checkpoint(&live.actor, to, problem.is_some())?;
        let visit = Visit { session: live.csrf.clone(), last, from: from.seq, to, problem: problem.clone() };
        remember(&self.console, account, visit);
        Ok(Proof { last, from: from.seq, to, problem })
    }

    /// The checkpoint of this session, and its entry. A standby keeps none: the journal there is another host's.
    fn enter_checkpoint(&self, actor: &Actor, head: Head, broken: bool) -> Result<()> {
        if self.is_standby() {
            return Ok(());
        }
        let actor = actor.clone();
        self.store.submit(move |txn| {
            if !record::live(txn, &actor)?.is("auditor") {
                return Err(Error::denied());
            }
            let note = format!("head {} {}", head.seq, hex::encode(head.hash));
            let act = Act::new(actor.doer(), act::AUDIT_CHECKPOINT).note(note);
            if !broken {
                let made = Checkpoint { head, at: txn.now(), account: actor.account };
                txn.set_fact(fact::AUDIT_CHECKPOINT, made.encode());
            }
            txn.act(if broken { act.refused() } else { act });
            Ok(())
        })
    }

    /// Counts of the last days, the newest first.
    pub fn audit_days(&self, actor: &Actor) -> Result<Vec<(Day, DayCount)>> {
        self.audits(actor)?;
        let state = self.watched()?;
        let today = self.now().midnight().0;
        let days = (0..limits::AUDIT_DAYS).map(|n| Moment(today - n * DAY_MS).day());
        Ok(days.map(|day| (day, state.days.get(&day.number()).cloned().unwrap_or_default())).collect())
    }

    /// The sheet of a day, for the printer; that it was printed is entered before.
    pub fn audit_day(&self, actor: &Actor, day: Day) -> Result<DaySheet> {
        self.audits(actor)?;
        let count = self.watched()?.days.get(&day.number()).cloned();
        if count.is_none_or(|c| c.sum() == 0) {
            return Err(Error::denied());
        }
        self.enter_print(actor, format!("day {}", day.number()))?;
        let state = self.watched()?;
        let count = state.days.get(&day.number()).cloned().unwrap_or_default();
        let alarms = state.alarms.iter().filter(|a| a.at.day() == day).cloned().collect();
        drop(state);
        let seq = Seq(count.span.1);
        let hash = self.store.read()?.hash_at(seq)?;
        let hash = hash.ok_or_else(|| Error::damaged(format!("缺少日志第 {seq} 条")))?;
        Ok(DaySheet { count, head: Head { seq, hash }, alarms, goes_on: self.now().day() <= day })
    }

    /// Enters that something was laid out for the printer.
    pub(super) fn enter_print(&self, actor: &Actor, note: String) -> Result<()> {
        self.by_auditor(actor, move |actor| Act::new(actor.doer(), act::AUDIT_PRINT).note(note))
    }
}

/// A hash in groups of four, for paper.
pub fn in_groups(hash: &[u8; 32]) -> Vec<String> {
    heads::in_groups(hash)
}

fn remember(console: &Console, account: RecordId, visit: Visit) {
    lock(&console.visits).insert(account, visit);
}

/// Where the first checkpoint begins: not so far back that a page would walk a whole year.
fn first(snapshot: &Snapshot) -> Result<Head> {
    let seq = Seq(snapshot.head()?.seq.0.saturating_sub(limits::AUDIT_FIRST));
    let hash = snapshot.hash_at(seq)?;
    Ok(Head { seq, hash: hash.ok_or_else(|| Error::damaged(format!("缺少日志第 {seq} 条")))? })
}

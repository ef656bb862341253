//! What a run of a backup leaves in the store: that it began, how it ended, which sets are known and which were
//! removed.
//!
//! What must hold: what the runner remembers is committed together with the entry that says the same. Sets are removed
//! only after the new one is in the store.

use std::path::{Path, PathBuf};

use super::App;
use super::access::local_doer;
use super::runner::Order;
use crate::backup::retention::{self, Known, Retired, Rule};
use crate::backup::schedule::{By, Ended, State};
use crate::backup::{self, Done};
use crate::base::{Moment, Result, Seq};
use crate::records::act;
use crate::store::{Act, Doer, Txn, fact};

/// Entries of the journal among which the latest time is looked for.
const ENTRIES_LOOKED_AT: u64 = 200;

impl App {
    /// How a run on the command line ended. A failure is told to whoever sits there, and leaves the state as it was.
    pub(super) fn enter_command(&self, target: &Path, outcome: &Result<Done>) -> Result<()> {
        let (target, epoch) = (target.canonicalize().unwrap_or_default(), self.facts().epoch);
        let outcome = outcome.clone();
        self.store.submit(move |txn| {
            match &outcome {
                Ok(done) => {
                    note_set(txn, done, &target, (epoch, By::Command))?;
                    let mut state = state_in(txn)?;
                    state.last = Some(ended(txn.now(), By::Command, &outcome));
                    txn.set_fact(fact::BACKUP_STATE, state.encode());
                    txn.act(Act::new(local_doer(), act::BACKUP).note(done.set.clone()));
                }
                Err(_) => txn.act(Act::new(local_doer(), act::BACKUP_FAILED).refused()),
            }
            Ok(())
        })
    }

    /// How a run by schedule or page ended.
    pub(super) fn enter_end(
        &self,
        order: &Order,
        outcome: &Result<(Done, PathBuf)>,
        cancelled: Option<Doer>,
    ) -> Result<()> {
        let (outcome, by, epoch) = (outcome.clone(), order.by, self.facts().epoch);
        let doer = order.doer.clone();
        self.store.submit(move |txn| {
            let mut state = state_in(txn)?;
            state.end(ended(txn.now(), by, &outcome.clone().map(|(done, _)| done)));
            txn.set_fact(fact::BACKUP_STATE, state.encode());
            match outcome {
                Ok((done, folder)) => {
                    note_set(txn, &done, &folder, (epoch, by))?;
                    txn.act(Act::new(doer, act::BACKUP).note(done.set));
                }
                Err(_) => {
                    let note = if cancelled.is_some() { "cancelled" } else { "" };
                    let doer = cancelled.unwrap_or(doer);
                    txn.act(Act::new(doer, act::BACKUP_FAILED).note(note).refused());
                }
            }
            Ok(())
        })
    }

    /// Removes old sets, and notes which, or why none.
    pub(super) fn retire(&self, order: &Order, folder: &Path) -> Result<()> {
        let known = Known::decode(&self.store.read()?.fact_text(fact::BACKUP_SETS)?);
        let (now, epoch) = (self.now(), self.facts().epoch);
        let rule = Rule { keep: order.schedule.kept, epoch, now, last_entry: order.last_entry };
        // A disk that failed may have lost what the older sets still hold.
        let retired = match self.halted() {
            Some(halt) => Err(halt.text()),
            None => retention::retire(folder, &known, &rule).map_err(|e| e.public().to_owned()),
        };
        let retired = retired.unwrap_or_else(|why| Retired {
            kept: Some(format!("旧备份没有清理：{why}")),
            ..Retired::default()
        });
        let Retired { removed, swept, kept } = retired;
        if removed.is_empty() && swept == 0 && kept.is_none() {
            return Ok(());
        }
        let act = Act::new(order.doer.clone(), act::BACKUP_RETIRED).note(match swept {
            0 => format!("sets {}", removed.len()),
            n => format!("sets {} files {n}", removed.len()),
        });
        let act = if kept.is_some() { act.refused() } else { act };
        self.store.submit(move |txn| {
            let mut known = sets_in(txn)?;
            known.retain(|k| !removed.contains(&k.set));
            txn.set_fact(fact::BACKUP_SETS, Known::encode(&known));
            let mut state = state_in(txn)?;
            if let Some(last) = &mut state.last {
                last.kept = kept;
            }
            txn.set_fact(fact::BACKUP_STATE, state.encode());
            txn.act(act);
            Ok(())
        })
    }

    /// The latest time among the last entries: one entry under a wrong clock does not make it right.
    pub(super) fn latest_entry(&self) -> Result<Moment> {
        let snapshot = self.store.read()?;
        let from = Seq(snapshot.head()?.seq.0.saturating_sub(ENTRIES_LOOKED_AT));
        let mut latest = Moment::default();
        for entry in snapshot.journal_after(from)? {
            latest = latest.max(entry?.header.at);
        }
        Ok(latest)
    }
}

/// A run begins.
pub(super) fn begin(txn: &mut Txn<'_>, doer: Doer, (due, by): (Option<Moment>, By)) -> Result<()> {
    let mut state = state_in(txn)?;
    state.begin(txn.now(), due, by);
    txn.set_fact(fact::BACKUP_STATE, state.encode());
    txn.act(Act::new(doer, act::BACKUP_BEGUN));
    Ok(())
}

fn ended(at: Moment, by: By, outcome: &Result<Done>) -> Ended {
    let done = outcome.as_ref().ok();
    let damage = done.filter(|d| !d.damaged.is_empty() || !d.rescued.is_empty()).map(|d| {
        let lost = backup::damage_text(&d.damaged);
        let words = [lost.trim_start_matches("，另").to_owned(), backup::rescued_text(&d.rescued)];
        words.into_iter().filter(|w| !w.is_empty()).collect::<Vec<_>>().join("，")
    });
    let error = outcome.as_ref().err().map(|e| e.public().to_owned());
    Ended { at: at.0, by, set: done.map(|d| d.set.clone()), error, damage, kept: None }
}

fn note_set(txn: &mut Txn<'_>, done: &Done, folder: &Path, (epoch, by): (u64, By)) -> Result<()> {
    let mut known = sets_in(txn)?;
    known.push(Known::of(done, folder, epoch, (txn.now(), by)));
    txn.set_fact(fact::BACKUP_SETS, Known::encode(&known));
    txn.set_fact(fact::LAST_BACKUP, txn.now().0.to_string());
    Ok(())
}

pub(super) fn state_in(txn: &Txn<'_>) -> Result<State> {
    Ok(State::decode(&String::from_utf8_lossy(&txn.fact(fact::BACKUP_STATE)?.unwrap_or_default())))
}

fn sets_in(txn: &Txn<'_>) -> Result<Vec<Known>> {
    Ok(Known::decode(&String::from_utf8_lossy(&txn.fact(fact::BACKUP_SETS)?.unwrap_or_default())))
}

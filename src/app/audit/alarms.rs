//! Alarms as the auditor handles them: what is open, dealing with one, the thresholds.
//!
//! What must hold: dealing with an alarm is an entry with words, and the only thing that closes one; thresholds are
//! what the journal says was set last, never laxer than their floor.

use super::watch::{Alarm, named};
use crate::app::{Actor, App, record};
use crate::base::{Error, Result, limits};
use crate::records::audit::{RULES, Thresholds};
use crate::records::{act, field};
use crate::store::Act;

/// What the page of alarms shows.
pub struct Alarms {
    /// Those that nobody dealt with, the newest first.
    pub open: Vec<Alarm>,
    /// Those that somebody did, the newest first.
    pub cleared: Vec<Alarm>,
    /// What holds now.
    pub thresholds: Thresholds,
}

/// Alarms that were dealt with and are shown.
const SHOWN: usize = 30;

impl App {
    /// Everything the page of alarms shows.
    pub fn audit_alarms(&self, actor: &Actor) -> Result<Alarms> {
        self.audits(actor)?;
        let state = self.watched()?;
        let cleared = state.alarms.iter().rev().filter(|a| a.cleared.is_some());
        Ok(Alarms {
            open: state.open().rev().cloned().collect(),
            cleared: cleared.take(SHOWN).cloned().collect(),
            thresholds: state.thresholds.clone(),
        })
    }

    /// How many alarms wait, for the auditor's desk; 0 for everybody else.
    pub fn alarms_waiting(&self, actor: &Actor) -> Result<u64> {
        if !actor.is("auditor") {
            return Ok(0);
        }
        Ok(self.watched()?.open().count() as u64)
    }

    /// Deals with an alarm, by its name; the words are for whoever audits after.
    pub fn clear_alarm(&self, actor: &Actor, key: &str, words: &str) -> Result<()> {
        self.audits(actor)?;
        let words = field::remark("处理说明", words, limits::REASON_CHARS).map_err(Error::invalid)?;
        if words.chars().count() < 2 {
            return Err(Error::invalid("请写明处理说明，一个字说不清。"));
        }
        let wanted = named(key).ok_or_else(Error::denied)?;
        let waits = self.watched()?.open().any(|a| (a.rule, a.raised) == wanted);
        if !waits {
            return Err(Error::invalid("这条告警已经处理过，或已不存在。请刷新页面。"));
        }
        let note = format!("{} {}", RULES[wanted.0].name, wanted.1);
        self.by_auditor(actor, move |own| Act::new(own.doer(), act::ALARM_CLEARED).note(note).secret(words))
    }

    /// Sets the thresholds, in the order of [`RULES`]; what is wrong is said, all of it.
    pub fn set_alarm_rules(&self, actor: &Actor, typed: &[String]) -> Result<()> {
        self.audits(actor)?;
        let mut values = Vec::new();
        let mut wrong = Vec::new();
        for (n, rule) in RULES.iter().enumerate() {
            let value = typed.get(n).and_then(|t| t.trim().parse::<u32>().ok());
            match value.filter(|v| (1..=rule.most).contains(v)) {
                Some(value) => values.push(value),
                None => wrong.push(format!("“{}”应为 1 至 {} 的整数（{}）", rule.label, rule.most, rule.floor)),
            }
        }
        if !wrong.is_empty() {
            return Err(Error::invalid(format!("阈值没有保存：{}。", wrong.join("；"))));
        }
        let note = Thresholds(values).note();
        self.by_auditor(actor, move |own| Act::new(own.doer(), act::ALARM_RULES).note(note))
    }

    pub(super) fn by_auditor(&self, actor: &Actor, act: impl FnOnce(&Actor) -> Act + Send + 'static) -> Result<()> {
        let actor = actor.clone();
        self.store.submit(move |txn| {
            if !record::live(txn, &actor)?.is("auditor") {
                return Err(Error::denied());
            }
            txn.act(act(&actor));
            Ok(())
        })
    }
}

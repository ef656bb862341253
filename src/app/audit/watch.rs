//! Following the journal for the auditor: counts of each day, settings as they were set, alarms by the rules that held
//! when the entry was made, and which of them somebody dealt with.
//!
//! What must hold: all of it comes from headers of entries, in their order, and from nothing else. It can be thrown
//! away at any time, and whoever follows from the beginning again has the same.

use std::collections::{BTreeMap, HashMap, VecDeque};

use crate::base::{Moment, RecordId, Seq, limits};
use crate::records::act;
use crate::records::audit::{Group, Measure, RULES, SETTINGS, Seen, Thresholds, rule};
use crate::store::Header;

/// What was done on a day of Beijing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DayCount {
    /// Numbers of the first and the last entry that bear this day.
    pub span: (u64, u64),
    /// Entries by group, in the order of [`Group::ALL`].
    pub groups: [u64; Group::ALL.len()],
    /// Log-ins.
    pub logins: u64,
    /// Log-ins that failed.
    pub failures: u64,
}

impl DayCount {
    /// Entries of a group.
    pub fn of(&self, group: Group) -> u64 {
        Group::ALL.iter().zip(self.groups).find(|(g, _)| **g == group).map_or(0, |(_, n)| n)
    }

    /// All entries.
    pub fn sum(&self) -> u64 {
        self.groups.iter().sum()
    }
}

/// Something that the auditor has to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alarm {
    /// Place of its rule in [`RULES`].
    pub rule: usize,
    /// Who did it; 0 for the machine, the host's console and strangers.
    pub account: RecordId,
    /// Number of the entry that raised it: with the rule, its name.
    pub raised: u64,
    /// When.
    pub at: Moment,
    /// The first and the last entry it is about.
    pub span: (u64, u64),
    /// How many acts, or how large the one is.
    pub count: u64,
    /// The entry by which it was dealt with, and by whom.
    pub cleared: Option<(u64, RecordId)>,
}

impl Alarm {
    /// Its name in the journal: rule and number.
    pub fn key(&self) -> String {
        format!("{} {}", RULES[self.rule].name, self.raised)
    }
}

/// Everything that following gave so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// The last entry that was taken.
    pub at: Seq,
    /// Days by `yyyymmdd`.
    pub days: BTreeMap<i32, DayCount>,
    /// What holds now.
    pub thresholds: Thresholds,
    /// Alarms, the oldest first.
    pub alarms: Vec<Alarm>,
    /// Notes of settings by their act: number of the entry, and what was set.
    pub settings: BTreeMap<u16, Vec<(u64, String)>>,
    /// Entries that cannot be read.
    pub unreadable: Vec<u64>,
    last: Option<Moment>,
    recent: HashMap<(usize, u64), VecDeque<(Moment, u64)>>,
}

impl State {
    /// Takes the next entry.
    pub fn take(&mut self, header: &Header) {
        self.at = header.seq;
        self.count(header);
        if SETTINGS.contains(&header.action) && header.done {
            self.settings.entry(header.action).or_default().push((header.seq.0, header.note.clone()));
        }
        let back_s = self.last.replace(header.at).map_or(0, |last| last.seconds_since(header.at).max(0));
        let seen = Seen {
            action: header.action,
            done: header.done,
            at: header.at,
            account: header.doer.account,
            back_s,
        };
        for place in 0..RULES.len() {
            self.judge(place, &seen, header.seq.0);
        }
        if header.done && header.action == act::ALARM_RULES.code {
            self.thresholds = Thresholds::of_note(&header.note);
        }
        if header.done && header.action == act::ALARM_CLEARED.code {
            self.clear(&header.note, (header.seq.0, header.doer.account));
        }
    }

    /// Passes over an entry that cannot be read.
    pub fn pass(&mut self, seq: u64) {
        self.at = Seq(seq);
        if self.unreadable.len() < limits::AUDIT_NOTES {
            self.unreadable.push(seq);
        }
    }

    /// Alarms that nobody dealt with.
    pub fn open(&self) -> impl DoubleEndedIterator<Item = &Alarm> {
        self.alarms.iter().filter(|a| a.cleared.is_none())
    }

    /// What was set before this entry by the same act.
    pub fn set_before(&self, action: u16, seq: u64) -> Option<&str> {
        let all = self.settings.get(&action)?;
        all.iter().rev().find(|(n, _)| *n < seq).map(|(_, note)| note.as_str())
    }

    fn count(&mut self, header: &Header) {
        let kinds: Vec<u8> = header.subjects.iter().map(|s| s.kind).collect();
        let group = Group::of(header.action, header.done, &kinds);
        let day = self.days.entry(header.at.day().number()).or_default();
        let seq = header.seq.0;
        day.span = if day.sum() == 0 { (seq, seq) } else { (day.span.0, seq) };
        for (n, _) in Group::ALL.iter().enumerate().filter(|(_, g)| **g == group) {
            day.groups[n] += 1;
        }
        day.logins += u64::from(act::is_login(header.action) && header.done);
        day.failures += u64::from(header.action == act::LOGIN_FAILED.code);
    }

    fn judge(&mut self, place: usize, seen: &Seen, seq: u64) {
        let threshold = self.thresholds.0[place];
        match RULES[place].measure {
            Measure::Size(of) => {
                let size = of(seen);
                if size >= i64::from(threshold) {
                    self.raise(place, (RecordId(0), seen.at), (seq, seq), size.unsigned_abs());
                }
            }
            Measure::Count(window_s, counts) if counts(seen) => {
                let recent = self.recent.entry((place, seen.account.0)).or_default();
                recent.retain(|(at, _)| seen.at.seconds_since(*at) < window_s);
                recent.push_back((seen.at, seq));
                while recent.len() > threshold as usize {
                    recent.pop_front();
                }
                let first = recent.front().map_or(seq, |(_, first)| *first);
                if recent.len() >= threshold as usize {
                    let count = recent.len() as u64;
                    self.go_on(place, seen, (first, seq), (count, window_s));
                }
            }
            Measure::Count(..) => {}
        }
    }

    /// An alarm that is open goes on while the acts do; otherwise there is a new one.
    fn go_on(&mut self, place: usize, seen: &Seen, span: (u64, u64), (count, window_s): (u64, i64)) {
        let same = |a: &&mut Alarm| (a.rule, a.account, a.cleared) == (place, seen.account, None);
        let running = self.alarms.iter_mut().rev().find(same);
        match running.filter(|a| seen.at.seconds_since(a.at) < window_s) {
            Some(alarm) => {
                alarm.span.1 = span.1;
                alarm.count += 1;
                alarm.at = seen.at;
            }
            None => self.raise(place, (seen.account, seen.at), span, count),
        }
    }

    fn raise(&mut self, rule: usize, (account, at): (RecordId, Moment), span: (u64, u64), count: u64) {
        self.alarms.push(Alarm { rule, account, raised: span.1, at, span, count, cleared: None });
    }

    fn clear(&mut self, note: &str, by: (u64, RecordId)) {
        let Some((place, raised)) = named(note) else { return };
        let wanted = |a: &&mut Alarm| (a.rule, a.raised, a.cleared) == (place, raised, None);
        let Some(alarm) = self.alarms.iter_mut().find(wanted) else { return };
        alarm.cleared = Some(by);
        // What was dealt with is not counted again.
        self.recent.remove(&(place, alarm.account.0));
        let done = self.alarms.iter().filter(|a| a.cleared.is_some()).count();
        if done > limits::ALARMS_KEPT
            && let Some(oldest) = self.alarms.iter().position(|a| a.cleared.is_some())
        {
            self.alarms.remove(oldest);
        }
    }
}

/// Rule and number that the name of an alarm says.
pub(super) fn named(key: &str) -> Option<(usize, u64)> {
    let (name, raised) = key.split_once(' ')?;
    Some((rule(name)?, raised.parse().ok()?))
}

#[cfg(test)]
mod tests;

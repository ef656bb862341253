//! The watch, fed with headers made by hand: rules at their edges, alarms that go on and are dealt with, the same
//! state by any way of following.

#![cfg(test)]

use super::*;
use crate::records::act::{self, Action};
use crate::store::{Doer, Subject};

const MORNING: &str = "2026-11-30 09:00";

fn header(seq: u64, at: Moment, account: u64, action: Action) -> Header {
    Header {
        seq: Seq(seq),
        epoch: 1,
        at,
        doer: Doer { account: RecordId(account), unit: RecordId(1), via: "web".into() },
        action: action.code,
        done: ![act::LOGIN_FAILED, act::DENIED, act::GATE].contains(&action),
        note: String::new(),
        subjects: Vec::new(),
    }
}

/// A journal in the making.
struct Told {
    state: State,
    at: Moment,
    all: Vec<Header>,
}

impl Told {
    fn new(begun: &str) -> Self {
        Self { state: State::default(), at: Moment::of_beijing(begun).unwrap(), all: Vec::new() }
    }

    /// After so many seconds somebody does something.
    fn then(&mut self, after_s: i64, account: u64, action: Action) -> &mut Self {
        self.noted(after_s, account, action, "")
    }

    fn noted(&mut self, after_s: i64, account: u64, action: Action, note: &str) -> &mut Self {
        self.at = Moment(self.at.0 + after_s * 1000);
        let made = Header { note: note.into(), ..header(self.all.len() as u64 + 1, self.at, account, action) };
        self.state.take(&made);
        self.all.push(made);
        self
    }

    /// Rules, accounts and counts of what is open.
    fn open(&self) -> Vec<(&'static str, u64, u64)> {
        self.state.open().map(|a| (RULES[a.rule].name, a.account.0, a.count)).collect()
    }
}

#[test]
fn an_alarm_is_raised_at_its_threshold_and_goes_on() {
    let mut told = Told::new(MORNING);
    for _ in 0..4 {
        told.then(60, 7, act::LOGIN_FAILED);
    }
    // Another account's do not count with them.
    told.then(1, 8, act::LOGIN_FAILED);
    assert!(told.open().is_empty());
    told.then(60, 7, act::LOGIN_FAILED);
    assert_eq!(told.open(), [("login-failures", 7, 5)]);
    told.then(60, 7, act::LOGIN_FAILED).then(60, 7, act::LOGIN_FAILED);
    assert_eq!(told.open(), [("login-failures", 7, 7)], "it is one alarm");
    // An hour apart they are no five within an hour.
    for _ in 0..9 {
        told.then(3600, 9, act::LOGIN_FAILED);
    }
    assert_eq!(told.open().len(), 1);
}

#[test]
fn what_leaves_after_work_is_told_and_during_work_it_is_not() {
    let mut told = Told::new(MORNING);
    told.then(0, 7, act::DOWNLOAD).then(3600, 7, act::AUDIT_EXPORT);
    assert!(told.open().is_empty());
    told.then(12 * 3600, 7, act::DOWNLOAD);
    assert_eq!(told.open(), [("off-hours-export", 7, 1)]);
    told.then(60, 7, act::READ).then(60, 7, act::DOWNLOAD);
    assert_eq!(told.open(), [("off-hours-export", 7, 2)]);
}

/// ASVS 16.3.2
#[test]
fn mass_reads_refusals_and_prints_of_one_account() {
    for (action, name, usual) in [
        (act::REVEAL, "mass-identity", 10),
        (act::READ, "mass-records", 100),
        (act::DENIED, "refusals", 5),
        (act::AUDIT_PRINT, "mass-prints", 20),
        (act::IDENTITIES, "identity-export", 1),
    ] {
        let mut told = Told::new(MORNING);
        for _ in 1..usual {
            told.then(1, 7, action);
        }
        assert!(told.open().is_empty(), "{name}");
        told.then(1, 7, action);
        assert_eq!(told.open(), [(name, 7, usual)]);
    }
}

#[test]
fn a_clock_that_goes_back_is_told_once_for_each_step() {
    let mut told = Told::new(MORNING);
    told.then(0, 1, act::READ).then(-59, 1, act::READ);
    assert!(told.open().is_empty());
    told.then(100, 1, act::READ).then(-3600, 1, act::READ).then(5, 1, act::READ);
    assert_eq!(told.open(), [("clock-step", 0, 3600)]);
}

#[test]
fn a_threshold_holds_from_the_entry_that_sets_it_and_never_below_its_floor() {
    let mut told = Told::new(MORNING);
    told.then(1, 7, act::DENIED).then(1, 7, act::DENIED);
    told.noted(1, 3, act::ALARM_RULES, "refusals 3 login-failures 999");
    assert!(told.open().is_empty());
    told.then(1, 7, act::DENIED);
    assert_eq!(told.open(), [("refusals", 7, 3)]);
    for _ in 0..10 {
        told.then(1, 0, act::LOGIN_FAILED);
    }
    assert_eq!(told.open()[1], ("login-failures", 0, 10), "ten are told, whatever was set");
}

#[test]
fn what_was_dealt_with_is_closed_and_not_counted_again() {
    let mut told = Told::new(MORNING);
    for _ in 0..5 {
        told.then(1, 7, act::DENIED);
    }
    let key = told.state.open().next().unwrap().key();
    assert_eq!(key, "refusals 5");
    told.noted(1, 3, act::ALARM_CLEARED, "refusals 4").noted(1, 3, act::ALARM_CLEARED, "nonsense");
    assert_eq!(told.open().len(), 1, "another one was meant");
    told.noted(1, 3, act::ALARM_CLEARED, &key);
    assert!(told.open().is_empty());
    assert_eq!(told.state.alarms[0].cleared, Some((8, RecordId(3))));
    told.then(1, 7, act::DENIED);
    assert!(told.open().is_empty());
    for _ in 0..4 {
        told.then(1, 7, act::DENIED);
    }
    assert_eq!(told.open(), [("refusals", 7, 5)], "a new one");
}

#[test]
fn a_day_is_counted_by_group_and_says_which_entries_are_its() {
    let mut told = Told::new("2026-11-29 23:59");
    told.then(0, 7, act::LOGIN).then(120, 0, act::LOGIN_FAILED).then(1, 7, act::READ).then(1, 7, act::DENIED);
    let days: Vec<_> = told.state.days.iter().collect();
    assert_eq!(days.len(), 2);
    assert_eq!((days[0].0, days[0].1.span, days[0].1.logins), (&20_261_129, (1, 1), 1));
    let second = days[1].1;
    assert_eq!((second.span, second.sum(), second.failures), ((2, 4), 3, 1));
    let of = [Group::Login, Group::Look, Group::Refused, Group::Business].map(|g| second.of(g));
    assert_eq!(of, [1, 1, 1, 0]);
    let account = Subject { id: RecordId(7), kind: crate::records::account::KIND.tag, version: 1, digest: None };
    let made = Header { subjects: vec![account], ..header(5, told.at, 3, act::CREATE) };
    told.state.take(&made);
    assert_eq!(told.state.days[&20_261_130].of(Group::Admin), 1);
}

#[test]
fn whoever_follows_from_the_beginning_again_has_the_same() {
    let mut told = Told::new(MORNING);
    let acts = [act::DENIED, act::REVEAL, act::DOWNLOAD, act::LOGIN_FAILED, act::LOGIN, act::UPDATE, act::READ];
    let mut draw = 5_u64;
    for _ in 0..2_000 {
        draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (n, who) = ((draw >> 33) as usize, (draw >> 40) % 4);
        match n % 50 {
            0 => told.noted(9, 3, act::ALARM_RULES, &format!("refusals {}", n % 9)),
            1 => {
                let key = told.state.open().next().map(Alarm::key).unwrap_or_default();
                told.noted(9, 3, act::ALARM_CLEARED, &key)
            }
            2 => told.then(-700, who, act::READ),
            _ => told.then((draw >> 50) as i64 % 300, who, acts[n % acts.len()]),
        };
    }
    assert!(told.state.alarms.len() > 20 && told.state.open().count() > 2);
    let mut again = State::default();
    told.all.iter().for_each(|h| again.take(h));
    assert_eq!(again, told.state);
}

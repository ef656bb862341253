//! When a backup is due: the schedule a person set, and what the runner remembers of the times it served
//! (`data-format/store.md`, facts `backup_schedule` and `backup_state`). Pure; times are handed in.
//!
//! What must hold, whatever the clock does: no due time is served twice; after any gap there is one run, for the
//! latest due time, not one for each that was missed; a small step back costs no day; a jump ahead that is put
//! right does not silence the runner until the wrong time has come.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::base::{Moment, limits};

const FORMAT: u32 = 2;
/// Schedules of this form keep the newest sets and nothing else.
const NEWEST_ONLY: u32 = 1;
const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;
/// A mark further ahead than this was made under a wrong clock, and does not hold back what is due now.
const BELIEVED_AHEAD_MS: i64 = DAY_MS / 2;
/// A run that ended without a word is tried this often for one due time.
const TRIES: u32 = 2;
/// Separators between times that people type.
const BETWEEN: [char; 6] = [' ', ',', '，', '、', ';', '；'];

/// A time of day in Beijing, in minutes since midnight; `02:00` in text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TimeOfDay(u16);

impl TryFrom<String> for TimeOfDay {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let text = text.replace('：', ":");
        let (hours, minutes) = text.split_once(':').ok_or("no colon")?;
        let number = |t: &str, digits: usize, below: u16| {
            let plain = (1..=digits).contains(&t.len()) && t.bytes().all(|b| b.is_ascii_digit());
            t.parse::<u16>().ok().filter(|n| plain && *n < below)
        };
        let minutes = number(minutes, 2, 60).filter(|_| minutes.len() == 2).ok_or("minutes")?;
        Ok(Self(number(hours, 2, 24).ok_or("hours")? * 60 + minutes))
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

impl From<TimeOfDay> for String {
    fn from(time: TimeOfDay) -> Self {
        time.to_string()
    }
}

/// When, where to, and what is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    format: u32,
    /// Days of the week, 1 Monday to 7 Sunday, rising.
    pub days: Vec<u8>,
    /// Times of those days, rising.
    pub times: Vec<TimeOfDay>,
    /// The folder sets are written to.
    pub target: String,
    /// Verified sets that stay.
    #[serde(flatten)]
    pub kept: Keep,
    /// Hours without a verified set after which the administrators are told.
    pub alarm_hours: u32,
    /// When it was set, milliseconds since 1970 UTC: what was due before is not made up for.
    pub since: i64,
    /// The epoch of the store it was set in. After a restore somebody has to look at it again.
    pub epoch: u64,
}

/// Which verified sets stay. A set can stay for more than one reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keep {
    /// The newest so many; fewer than three count as three.
    #[serde(rename = "keep")]
    pub newest: u32,
    /// The last one of each of the latest so many days.
    #[serde(default)]
    pub daily: u32,
    /// The same of weeks, from Monday.
    #[serde(default)]
    pub weekly: u32,
    /// The same of months.
    #[serde(default)]
    pub monthly: u32,
}

impl Keep {
    /// In words: `最近 7 套，每天 14 套，每周 8 套，每月 12 套`.
    pub fn words(&self) -> String {
        let spans = [("每天", self.daily), ("每周", self.weekly), ("每月", self.monthly)];
        let spans = spans.iter().filter(|(_, n)| *n > 0).map(|(span, n)| format!("，{span} {n} 套"));
        format!("最近 {} 套{}", self.newest, spans.collect::<String>())
    }
}

/// A schedule as it is typed.
#[derive(Clone, Debug, Default)]
pub struct Typed {
    /// Numbers of days.
    pub days: Vec<String>,
    /// Times with blanks or commas between them.
    pub times: String,
    /// Path.
    pub target: String,
    /// A number.
    pub keep: String,
    /// Numbers, or nothing for 0.
    pub daily: String,
    /// The same.
    pub weekly: String,
    /// The same.
    pub monthly: String,
    /// A number.
    pub alarm_hours: String,
}

impl Typed {
    /// The schedule, or what is wrong with each field. The target is only looked at as text.
    pub fn read(&self, since: Moment, epoch: u64) -> Result<Schedule, Vec<(&'static str, String)>> {
        let mut problems = Vec::new();
        let mut days: Vec<u8> = self.days.iter().filter_map(|d| d.parse().ok()).collect();
        days.retain(|d| (1..=7).contains(d));
        days.sort_unstable();
        days.dedup();
        if days.is_empty() {
            problems.push(("days", "请至少选一天。".to_owned()));
        }
        let words = self.times.split(BETWEEN).filter(|w| !w.is_empty());
        let times = words.map(|w| TimeOfDay::try_from(w.to_owned())).collect::<Result<Vec<_>, _>>();
        let mut times = times.unwrap_or_default();
        times.sort_unstable();
        times.dedup();
        if times.is_empty() || times.len() > limits::BACKUP_TIMES {
            let most = limits::BACKUP_TIMES;
            problems.push((
                "times",
                format!("请填写 1 至 {most} 个时刻，如 02:00 或 02:00 14:00（24 小时制）。"),
            ));
        }
        let target = self.target.trim();
        if !target.starts_with('/') || target.chars().count() > limits::LINE_CHARS {
            problems.push(("target", "请填写完整路径，如 /mnt/backup。".to_owned()));
        }
        let mut number = |name, text: &str, least: usize, most: usize, what: &str| {
            let n = text.trim().parse::<u32>().ok().filter(|n| (least..=most).contains(&(*n as usize)));
            n.unwrap_or_else(|| {
                problems.push((name, format!("{what}应为 {least} 至 {most}。")));
                0
            })
        };
        let keep = number("keep", &self.keep, limits::SETS_KEPT_MIN, limits::SETS_KEPT_MAX, "保留套数");
        let some = |text: &str| if text.trim().is_empty() { "0".to_owned() } else { text.to_owned() };
        let daily = number("daily", &some(&self.daily), 0, limits::SETS_KEPT_MAX, "每天保留");
        let weekly = number("weekly", &some(&self.weekly), 0, limits::SETS_KEPT_MAX, "每周保留");
        let monthly = number("monthly", &some(&self.monthly), 0, limits::SETS_KEPT_MAX, "每月保留");
        let alarm_hours = number("alarm", &self.alarm_hours, 1, limits::ALARM_HOURS_MAX, "提醒时限（小时）");
        let target = target.to_owned();
        let (since, kept) = (since.0, Keep { newest: keep, daily, weekly, monthly });
        let schedule = Schedule { format: FORMAT, days, times, target, kept, alarm_hours, since, epoch };
        if problems.is_empty() { Ok(schedule) } else { Err(problems) }
    }
}

impl Schedule {
    /// The stored form; `None` for one that this program does not know, which is as good as none.
    pub fn decode(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok().filter(|s: &Self| [NEWEST_ONLY, FORMAT].contains(&s.format))
    }

    /// For the store.
    pub fn encode(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The latest due time up to `now`.
    pub fn last_due(&self, now: Moment) -> Option<Moment> {
        (0..=7).find_map(|back| {
            let midnight = Moment(now.midnight().0 - back * DAY_MS);
            self.on(midnight).filter(|due| *due <= now).last()
        })
    }

    /// The first due time after `now`.
    pub fn next_due(&self, now: Moment) -> Option<Moment> {
        (0..=7).find_map(|on| {
            let midnight = Moment(now.midnight().0 + on * DAY_MS);
            self.on(midnight).find(|due| *due > now)
        })
    }

    /// When a set that was verified at this moment is removed at the latest, if every due time from then on gives a
    /// good set: the longest of the spans that may keep it, each with one more for where in it the set fell, and the
    /// run that removes it.
    pub fn gone_by(&self, at: Moment) -> Moment {
        let runs_a_week = u32::try_from(self.days.len() * self.times.len()).unwrap_or(1).max(1);
        let least = u32::try_from(limits::SETS_KEPT_MIN).unwrap_or(0);
        let newest = self.kept.newest.max(least).div_ceil(runs_a_week) + 1;
        let days = [
            newest * 7,
            self.kept.daily + 1,
            (self.kept.weekly + 1) * 7,
            (self.kept.monthly + 1) * 31,
        ];
        let days = days.into_iter().max().unwrap_or(0) + 7;
        Moment(at.0 + i64::from(days) * DAY_MS)
    }

    /// In words: `每天 02:00`, `周一、周四 02:00、14:00`.
    pub fn words(&self) -> String {
        const NAMES: [&str; 7] = ["周一", "周二", "周三", "周四", "周五", "周六", "周日"];
        let names: Vec<&str> =
            self.days.iter().filter_map(|d| NAMES.get(usize::from(*d) - 1).copied()).collect();
        let times: Vec<String> = self.times.iter().map(ToString::to_string).collect();
        let days = if names.len() == 7 { "每天".to_owned() } else { names.join("、") };
        format!("{days} {}", times.join("、"))
    }

    /// Due times of the day that begins at `midnight`, rising.
    fn on(&self, midnight: Moment) -> impl Iterator<Item = Moment> + '_ {
        let today = self.days.contains(&midnight.weekday());
        let times = self.times.iter().filter(move |_| today);
        times.map(move |t| Moment(midnight.0 + i64::from(t.0) * MINUTE_MS))
    }
}

/// Who asked for a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// The schedule.
    Schedule,
    /// A person, in the page.
    Page,
    /// A person or another program, on the command line.
    Command,
}

impl By {
    /// In Chinese.
    pub fn label(self) -> &'static str {
        match self {
            Self::Schedule => "按计划",
            Self::Page => "立即备份",
            Self::Command => "命令行",
        }
    }
}

/// A run that began. It stays in the state until the run says how it ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    /// When, milliseconds since 1970 UTC.
    pub at: i64,
    /// The due time it serves.
    pub due: Option<i64>,
    /// Which try for this due time it is, from 1.
    pub nth: u32,
    /// Who asked.
    pub by: By,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// When, milliseconds since 1970 UTC.
    pub at: i64,
    /// Who asked.
    pub by: By,
    /// The set, where there is one.
    pub set: Option<String>,
    /// Why there is none.
    pub error: Option<String>,
    /// What was found damaged in the store, in words.
    pub damage: Option<String>,
    /// Why old sets were not removed, where they should have been.
    pub kept: Option<String>,
}

/// What the runner remembers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Due times that were served, in the order they were.
    pub served: Vec<i64>,
    /// The run under way, or one that ended without a word.
    pub open: Option<Begun>,
    /// How the last run ended.
    pub last: Option<Ended>,
}

impl State {
    /// The stored form; a state that cannot be read is a fresh one.
    pub fn decode(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_default()
    }

    /// For the store.
    pub fn encode(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The due time that is to be served now.
    pub fn due(&self, schedule: &Schedule, now: Moment) -> Option<Moment> {
        let due = schedule.last_due(now)?;
        let believed = |mark: &i64| *mark <= now.0.saturating_add(BELIEVED_AHEAD_MS);
        let marks = self.served.iter().copied().chain([schedule.since]).filter(believed);
        // What is due is not ahead of now, so a mark of its own is always believed.
        let done = self.tries(due) >= TRIES || marks.max() >= Some(due.0);
        (!done).then_some(due)
    }

    /// A run begins.
    pub fn begin(&mut self, now: Moment, due: Option<Moment>, by: By) {
        let nth = due.map_or(1, |due| self.tries(due) + 1);
        self.open = Some(Begun { at: now.0, due: due.map(|d| d.0), nth, by });
    }

    /// A run ended, in whatever way.
    pub fn end(&mut self, ended: Ended) {
        if let Some(due) = self.open.take().and_then(|open| open.due) {
            self.served.push(due);
            let more = self.served.len().saturating_sub(limits::SERVED_MARKS);
            self.served.drain(..more);
        }
        self.last = Some(ended);
    }

    fn tries(&self, due: Moment) -> u32 {
        self.open.as_ref().filter(|o| o.due == Some(due.0)).map_or(0, |o| o.nth)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// Monday 2026-11-23 00:00 in Beijing.
    const MONDAY: i64 = 1_795_363_200_000;
    const HOUR: i64 = 60 * MINUTE_MS;

    fn typed() -> Typed {
        Typed {
            days: (1..=7).map(|d| d.to_string()).collect(),
            times: "02:00".into(),
            target: "/mnt/backup".into(),
            keep: "7".into(),
            weekly: "8".into(),
            alarm_hours: "26".into(),
            ..Typed::default()
        }
    }

    fn daily() -> Schedule {
        typed().read(Moment(MONDAY - 400 * DAY_MS), 1).unwrap()
    }

    /// A look at hour `at` counted from Monday's midnight; serves what is due, and says it in hours.
    fn look(state: &mut State, schedule: &Schedule, at: i64) -> Option<i64> {
        let now = Moment(MONDAY + at * HOUR);
        let due = state.due(schedule, now)?;
        state.begin(now, Some(due), By::Schedule);
        let ended = Ended { at: now.0, by: By::Schedule, set: None, error: None, damage: None, kept: None };
        state.end(ended);
        *state = State::decode(&state.encode());
        Some((due.0 - MONDAY) / HOUR)
    }

    #[test]
    fn what_is_typed_is_read_or_each_fault_is_named() {
        assert_eq!(Moment(MONDAY).to_string(), "2026-11-23 00:00:00");
        let good =
            Typed { times: "14:00，2：30、02:30".into(), days: vec!["4".into(), "1".into()], ..typed() };
        let schedule = good.read(Moment(5), 3).unwrap();
        assert_eq!(schedule.words(), "周一、周四 02:30、14:00");
        assert_eq!(Schedule::decode(&schedule.encode()), Some(schedule));
        assert_eq!(Schedule::decode(&daily().encode().replace("\"format\":2", "\"format\":3")), None);
        assert_eq!(daily().kept.words(), "最近 7 套，每周 8 套");
        // What was set before there were days, weeks and months goes on as it was.
        let old = r#"{"format":1,"days":[1],"times":["02:00"],"target":"/mnt/backup","keep":7,"alarm_hours":26,
            "since":5,"epoch":1}"#;
        assert_eq!(Schedule::decode(old).unwrap().kept, Keep { newest: 7, ..Keep::default() });
        assert_eq!(daily().words(), "每天 02:00");
        let bad = Typed {
            days: vec!["0".into(), "8".into()],
            times: "25:00".into(),
            target: "backup".into(),
            keep: "2".into(),
            alarm_hours: "x".into(),
            ..Typed::default()
        };
        let named: Vec<&str> = bad.read(Moment(0), 1).unwrap_err().iter().map(|p| p.0).collect();
        assert_eq!(named, ["days", "times", "target", "keep", "alarm"]);
        for times in ["", "2", "2:5", "02:60", "24:00", "02:00 x", "-1:00", "+2:00", "002:00"] {
            assert!(Typed { times: times.into(), ..typed() }.read(Moment(0), 1).is_err(), "{times}");
        }
    }

    #[test]
    fn due_times_before_and_after() {
        let weekly = Schedule { days: vec![7], ..daily() };
        let at = |hour: i64| Moment(MONDAY + hour * HOUR);
        assert_eq!(daily().last_due(at(1)), Some(at(-22)));
        assert_eq!([daily().last_due(at(2)), daily().last_due(at(25))], [Some(at(2)); 2]);
        assert_eq!([daily().next_due(at(1)), daily().next_due(at(2))], [Some(at(2)), Some(at(26))]);
        assert_eq!([weekly.last_due(at(0)), weekly.next_due(at(0))], [Some(at(-22)), Some(at(146))]);
        assert_eq!([weekly.last_due(at(146)), weekly.next_due(at(146))], [Some(at(146)), Some(at(314))]);
    }

    #[test]
    fn missed_times_are_made_up_for_once() {
        let (mut state, schedule) = (State::default(), daily());
        assert_eq!(look(&mut state, &schedule, 3), Some(2));
        assert_eq!(look(&mut state, &schedule, 25), None);
        // Off from Tuesday to Friday.
        assert_eq!(look(&mut state, &schedule, 107), Some(98));
        assert_eq!(look(&mut state, &schedule, 108), None);
        assert_eq!(look(&mut state, &schedule, 122), Some(122));
        // What was due before the schedule was set is nobody's business.
        let fresh = Schedule { since: MONDAY + 3 * HOUR, ..daily() };
        assert_eq!(look(&mut State::default(), &fresh, 4), None);
        assert_eq!(look(&mut State::default(), &fresh, 26), Some(26));
    }

    #[test]
    fn a_small_step_back_repeats_nothing_and_costs_no_day() {
        for (step, hours) in [1, 2, 5, 12].into_iter().enumerate() {
            let (mut state, schedule) = (State::default(), daily());
            assert_eq!(look(&mut state, &schedule, 2), Some(2));
            let mut served = Vec::new();
            for hour in 3 - hours..100 {
                served.extend(look(&mut state, &schedule, hour));
            }
            assert_eq!(served, [26, 50, 74, 98], "{step}");
        }
    }

    #[test]
    fn a_jump_ahead_that_is_put_right_does_not_silence_the_runner() {
        for days in [2, 30, 365, 4_000] {
            let (mut state, schedule) = (State::default(), daily());
            assert_eq!(look(&mut state, &schedule, 2), Some(2));
            assert_eq!(look(&mut state, &schedule, 10 + days * 24), Some(2 + days * 24));
            assert_eq!(look(&mut state, &schedule, 11), None, "{days}");
            assert_eq!(look(&mut state, &schedule, 26), Some(26), "{days}");
            assert_eq!(look(&mut state, &schedule, 50), if days == 2 { None } else { Some(50) }, "{days}");
            assert_eq!(look(&mut state, &schedule, 74), Some(74), "{days}");
        }
        // A schedule that was saved under a clock a year ahead.
        let early = Schedule { since: MONDAY + 365 * DAY_MS, ..daily() };
        assert_eq!(look(&mut State::default(), &early, 3), Some(2));
    }

    #[test]
    fn a_run_that_never_says_how_it_ended_is_tried_again_once() {
        let (mut state, schedule) = (State::default(), daily());
        let now = Moment(MONDAY + 2 * HOUR);
        for nth in 1..=2 {
            let due = state.due(&schedule, now).unwrap();
            state.begin(now, Some(due), By::Schedule);
            assert_eq!(state.open.as_ref().unwrap().nth, nth);
        }
        assert_eq!(state.due(&schedule, now), None);
        assert_eq!(look(&mut state, &schedule, 26), Some(26));
    }

    /// Clocks that go on, stop, jump and step back: no due time twice; and where the clock only goes on, each day.
    #[test]
    fn no_clock_makes_a_due_time_come_twice() {
        let mut draw = 0x5eed_u64;
        let mut below = |bound: i64| {
            draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            i64::try_from(draw >> 33).unwrap() % bound
        };
        for history in 0..500 {
            let times = ["02:00", "02:00 14:00", "00:00 08:30 23:59"][usize::try_from(below(3)).unwrap()];
            let days = (1..=7).filter(|_| below(3) > 0).map(|d: u8| d.to_string()).collect::<Vec<_>>();
            let days = if days.is_empty() { vec!["7".into()] } else { days };
            let schedule = Typed { times: times.into(), days, ..typed() }.read(Moment(0), 1).unwrap();
            let (mut state, mut served, mut now) = (State::default(), HashSet::new(), MONDAY);
            for _ in 0..60 {
                now += match below(10) {
                    0 => below(400 * DAY_MS),
                    1 => -below(20 * DAY_MS),
                    2 => -below(2 * HOUR),
                    _ => below(9 * HOUR),
                };
                let Some(due) = state.due(&schedule, Moment(now)) else { continue };
                assert!(due.0 <= now && schedule.last_due(Moment(now)) == Some(due));
                assert!(served.insert(due), "{history}: {due} twice");
                state.begin(Moment(now), Some(due), By::Schedule);
                let ended =
                    Ended { at: now, by: By::Schedule, set: None, error: None, damage: None, kept: None };
                state.end(ended);
            }
            assert!(!served.is_empty());
        }
    }
}

//! How often somebody may guess: by account and device, never by address alone. A device that the account came in from
//! before is known by a mark that only this store can make; it has an allowance of its own, whatever strangers do.
//! Strangers have one for each address, and all of them together one for each account and day.
//!
//! What must hold: a guess is counted before it is checked, so that many at once are no more than many in turn; names
//! that nobody has are counted like others; nothing here outlives the process.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;

use super::lock;
use super::waiting::Room;
use crate::base::{Error, ErrorKind, Moment, RecordId, Result, limits};
use crate::store::seal;

/// Who is at the door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Guest {
    /// A device that this account came in from before.
    Known(String),
    /// Any other, by its address.
    Stranger(String),
}

impl Guest {
    pub(super) fn is_known(&self) -> bool {
        matches!(self, Self::Known(_))
    }

    /// A name for it among all guests.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Known(device) => format!("device {device}"),
            Self::Stranger(address) => format!("address {address}"),
        }
    }
}

/// Guesses of the recent past, and a bound on checks under way.
#[derive(Default)]
pub struct Throttle {
    guesses: Mutex<Guesses>,
    pub(super) room: Room,
    pub(super) stranger: Mutex<Moment>,
    /// Steps of second factors used here, where the store takes nothing.
    steps: Mutex<HashMap<RecordId, i64>>,
}

#[derive(Default)]
struct Guesses {
    recent: HashMap<[u8; 32], (u32, Moment)>,
    strangers: HashMap<String, Strangers>,
}

/// Guesses of strangers at one name in the last day.
#[derive(Default)]
struct Strangers {
    at: VecDeque<Moment>,
    /// Somebody has this name.
    real: bool,
}

impl Throttle {
    /// A guess at the account `name` begins; it counts until [`Throttle::passed`] or [`Throttle::untried`].
    ///
    /// # Errors
    /// `Busy` when there were too many.
    pub(super) fn begin(&self, name: &str, guest: &Guest, now: Moment) -> Result<()> {
        let mut guesses = lock(&self.guesses);
        let guesses = &mut *guesses;
        let key = key(name, guest);
        let recent = guesses.recent.get(&key);
        if recent.is_some_and(|(n, at)| *n >= limits::LOGIN_FAILURES && since(*at, now) < limits::LOGIN_PAUSE_S) {
            let minutes = limits::LOGIN_PAUSE_S / 60;
            return Err(busy(format!("连续多次失败，请 {minutes} 分钟后再试，或联系系统管理员。")));
        }
        if !guest.is_known() {
            let strangers = guesses.strangers.entry(name.to_owned()).or_default();
            strangers.at.retain(|at| since(*at, now) < limits::LOGIN_STRANGERS_S);
            if strangers.at.len() >= limits::LOGIN_STRANGERS {
                return Err(busy(
                    "这个登录名一天内在陌生设备上失败次数过多，暂不核对。请在以前登录过的电脑上登录，或联系系统管理员。",
                ));
            }
            strangers.at.push_back(now);
        }
        let entry = guesses.recent.entry(key).or_insert((0, now));
        *entry = (entry.0 + 1, now);
        guesses.tidy(now);
        Ok(())
    }

    /// It was wrong; `real` says whether somebody has this name.
    pub(super) fn failed(&self, name: &str, real: bool) {
        if let Some(strangers) = lock(&self.guesses).strangers.get_mut(name) {
            strangers.real = real;
        }
    }

    /// It was right.
    pub(super) fn passed(&self, name: &str, guest: &Guest) {
        let mut guesses = lock(&self.guesses);
        guesses.recent.remove(&key(name, guest));
        guesses.give_back(name, guest);
    }

    /// It was not checked.
    pub(super) fn untried(&self, name: &str, guest: &Guest) {
        let mut guesses = lock(&self.guesses);
        let key = key(name, guest);
        if let Some((n, _)) = guesses.recent.get_mut(&key) {
            *n = n.saturating_sub(1);
        }
        if guesses.recent.get(&key).is_some_and(|(n, _)| *n == 0) {
            guesses.recent.remove(&key);
        }
        guesses.give_back(name, guest);
    }

    /// Two administrators let the person in again: what strangers did is forgotten.
    pub(super) fn forget(&self, name: &str) {
        lock(&self.guesses).strangers.remove(name);
    }

    /// Takes a step of a second factor where the store takes nothing; `false` when it, or a later one, was used.
    pub(super) fn take_step(&self, account: RecordId, step: i64) -> bool {
        let mut steps = lock(&self.steps);
        let fresh = steps.get(&account).is_none_or(|last| step > *last);
        if fresh {
            steps.insert(account, step);
        }
        fresh
    }
}

impl Guesses {
    fn give_back(&mut self, name: &str, guest: &Guest) {
        if let Some(strangers) = self.strangers.get_mut(name).filter(|_| !guest.is_known()) {
            strangers.at.pop_back();
            if strangers.at.is_empty() {
                self.strangers.remove(name);
            }
        }
    }

    /// Keeps memory within its bounds: first what has lapsed goes, then the oldest of names that nobody has.
    fn tidy(&mut self, now: Moment) {
        if self.recent.len() > limits::LOGIN_TRACKED {
            self.recent.retain(|_, (_, at)| since(*at, now) < limits::LOGIN_PAUSE_S);
        }
        if self.strangers.len() > limits::LOGIN_TRACKED {
            self.strangers.retain(|_, s| s.at.back().is_some_and(|at| since(*at, now) < limits::LOGIN_STRANGERS_S));
        }
        if self.strangers.len() > limits::LOGIN_TRACKED {
            let invented = self.strangers.iter().filter(|(_, s)| !s.real);
            let oldest = invented.min_by_key(|(_, s)| s.at.back().copied()).map(|(name, _)| name.clone());
            oldest.map(|name| self.strangers.remove(&name));
        }
    }
}

fn key(name: &str, guest: &Guest) -> [u8; 32] {
    seal::sha256(&[name.as_bytes(), b"\0", guest.name().as_bytes()])
}

/// A clock that went back makes nothing older than it is.
fn since(at: Moment, now: Moment) -> i64 {
    now.seconds_since(at).max(0)
}

fn busy(text: impl Into<String>) -> Error {
    Error::new(ErrorKind::Busy, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Clock;
    use crate::base::clock::ManualClock;

    const START: Moment = Moment(1_790_000_000_000);

    fn after(seconds: i64) -> Moment {
        let clock = ManualClock::at(START);
        clock.set(Moment(START.0 + seconds * 1000));
        clock.now()
    }

    fn stranger(address: &str) -> Guest {
        Guest::Stranger(address.to_owned())
    }

    /// A guess that is wrong; whether it was checked at all.
    fn guess(throttle: &Throttle, name: &str, guest: &Guest, at: Moment) -> bool {
        let begun = throttle.begin(name, guest, at).is_ok();
        if begun {
            throttle.failed(name, true);
        }
        begun
    }

    #[test]
    fn five_failures_pause_an_account_on_a_device_and_nothing_else() {
        let throttle = Throttle::default();
        let (here, there) = (stranger("10.0.0.1"), stranger("10.0.0.2"));
        assert_eq!((0..9).filter(|_| guess(&throttle, "a", &here, after(0))).count(), 5);
        assert!(guess(&throttle, "b", &here, after(0)) && guess(&throttle, "a", &there, after(0)));
        assert!(!guess(&throttle, "a", &here, after(299)));
        assert!(guess(&throttle, "a", &here, after(300)) && !guess(&throttle, "a", &here, after(301)));
        // A clock that goes back lets nobody guess more.
        assert!(!guess(&throttle, "a", &here, after(-9_000)));
    }

    #[test]
    fn strangers_guess_a_hundred_times_a_day_and_shut_out_no_device_that_is_known() {
        let throttle = Throttle::default();
        let known = Guest::Known("0f".into());
        let addresses: Vec<Guest> = (0..60).map(|n| stranger(&format!("10.0.1.{n}"))).collect();
        let storm = |at: i64| {
            let tries = addresses.iter().flat_map(|a| [a; 5]);
            tries.filter(|a| guess(&throttle, "a", a, after(at))).count()
        };
        assert_eq!(storm(0), 100);
        assert_eq!(storm(3600), 0, "an hour later");
        assert!(!guess(&throttle, "a", &stranger("10.9.9.9"), after(3600)), "a new address");
        assert!(guess(&throttle, "b", &stranger("10.9.9.9"), after(3600)), "another account");
        // The person at a desk of their own: five tries as ever, and in.
        assert_eq!((0..9).filter(|_| guess(&throttle, "a", &known, after(3600))).count(), 5);
        assert!(throttle.begin("a", &Guest::Known("a0".into()), after(3600)).is_ok());
        assert_eq!(storm(24 * 3600 - 1), 0, "a second before the day is over");
        assert_eq!(storm(24 * 3600), 100);
        // Any day of 24 hours has a hundred, wherever it begins.
        assert_eq!(storm(36 * 3600), 0);
        throttle.forget("a");
        assert_eq!(storm(40 * 3600), 100);
    }

    #[test]
    fn one_address_or_two_hundred_guess_a_hundred_times_a_day_at_most() {
        for addresses in [1, 200] {
            let throttle = Throttle::default();
            let all: Vec<Guest> = (0..addresses).map(|n| stranger(&format!("10.0.2.{n}"))).collect();
            // A guess of each of them a minute, for three days; whichever day is looked at.
            let mut at = Vec::new();
            for minute in 0..3 * 24 * 60 {
                at.extend(all.iter().filter(|a| guess(&throttle, "a", a, after(minute * 60))).map(|_| minute));
            }
            let day = |from: i64| at.iter().filter(|m| (from..from + 24 * 60).contains(*m)).count();
            let most = (0..2 * 24 * 60).step_by(7).map(day).max();
            assert_eq!(most, Some(limits::LOGIN_STRANGERS), "{addresses} addresses");
            // The owner at a desk of old is looked at all the while.
            assert!(guess(&throttle, "a", &Guest::Known("0f".into()), after(3 * 24 * 3600)));
        }
    }

    #[test]
    fn thirty_people_behind_one_address_are_never_refused() {
        let throttle = Throttle::default();
        let office = stranger("10.0.0.1");
        for day in 0..3 {
            for person in 0..30 {
                let name = format!("person{person}");
                // Everybody mistypes twice, every morning.
                for _ in 0..2 {
                    assert!(guess(&throttle, &name, &office, after(day * 86_400)), "{name}");
                }
                throttle.begin(&name, &office, after(day * 86_400)).unwrap();
                throttle.passed(&name, &office);
            }
        }
    }

    #[test]
    fn guesses_that_are_under_way_count_and_those_that_were_not_checked_do_not() {
        let throttle = Throttle::default();
        let here = stranger("10.0.0.1");
        let begin = || throttle.begin("a", &here, after(0)).is_ok();
        assert_eq!((0..20).filter(|_| begin()).count(), 5, "five at once, none of them checked yet");
        (0..5).for_each(|_| throttle.untried("a", &here));
        assert_eq!((0..20).filter(|_| begin()).count(), 5);
        throttle.passed("a", &here);
        assert!(begin());
    }

    #[test]
    fn names_that_nobody_has_are_counted_and_their_number_is_bounded() {
        let throttle = Throttle::default();
        let guesses: Vec<bool> = (0..110)
            .map(|n| {
                let begun = throttle.begin("nobody", &stranger(&format!("10.1.0.{n}")), after(0)).is_ok();
                throttle.failed("nobody", false);
                begun
            })
            .collect();
        assert_eq!(guesses.iter().filter(|g| **g).count(), 100);
        let from = |n: usize| stranger(&format!("10.2.0.{n}"));
        assert_eq!((0..100).filter(|n| guess(&throttle, "real", &from(*n), after(1))).count(), 100);
        for n in 0..limits::LOGIN_TRACKED + 50 {
            let name = format!("flood{n}");
            throttle.begin(&name, &stranger("10.3.0.1"), after(2)).unwrap();
            throttle.failed(&name, false);
        }
        let held = lock(&throttle.guesses).strangers.len();
        assert!(held <= limits::LOGIN_TRACKED, "{held}");
        assert!(!guess(&throttle, "real", &stranger("10.4.0.1"), after(3)), "a flood washed the count away");
    }

    #[test]
    fn a_step_is_taken_once() {
        let throttle = Throttle::default();
        let id = RecordId(7);
        assert!(throttle.take_step(id, 5) && !throttle.take_step(id, 5) && !throttle.take_step(id, 4));
        assert!(throttle.take_step(id, 6) && throttle.take_step(RecordId(8), 5));
    }
}

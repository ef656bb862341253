//! The only place that reads the time. Everything else is handed a [`Clock`] or a [`Moment`].

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use jiff::tz::Offset;

use super::Day;

/// Milliseconds since 1970-01-01 UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(pub i64);

/// A source of time.
pub trait Clock: Send + Sync {
    /// The present moment.
    fn now(&self) -> Moment;
}

/// The clock of the machine.
#[derive(Debug, Default)]
pub struct SystemClock;

/// A clock that tests set by hand.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicI64);

impl Clock for SystemClock {
    fn now(&self) -> Moment {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Moment(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

impl ManualClock {
    /// A clock that stands at `at`.
    pub fn at(at: Moment) -> Self {
        Self(AtomicI64::new(at.0))
    }

    /// Moves the clock.
    pub fn set(&self, at: Moment) {
        self.0.store(at.0, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Moment {
        Moment(self.0.load(Ordering::SeqCst))
    }
}

impl Moment {
    /// Beijing time, the only civil time in the product: UTC+8 without daylight saving.
    fn beijing(self) -> jiff::civil::DateTime {
        Offset::constant(8).to_datetime(jiff::Timestamp::from_millisecond(self.0).unwrap_or_default())
    }

    /// Reads `2026-11-23 17:01` or `2026-11-23 17:01:02`, Beijing time.
    pub fn of_beijing(text: &str) -> Option<Self> {
        let read = |form| jiff::civil::DateTime::strptime(form, text).ok();
        let civil = read("%Y-%m-%d %H:%M:%S").or_else(|| read("%Y-%m-%d %H:%M"))?;
        Offset::constant(8).to_timestamp(civil).ok().map(|t| Self(t.as_millisecond()))
    }

    /// The civil day in Beijing.
    pub fn day(self) -> Day {
        let d = self.beijing();
        Day::ymd(d.year(), d.month(), d.day()).unwrap_or_default()
    }

    /// Day of the week in Beijing, 1 Monday to 7 Sunday.
    pub fn weekday(self) -> u8 {
        self.beijing().weekday().to_monday_one_offset().unsigned_abs()
    }

    /// The moment the civil day in Beijing began.
    pub fn midnight(self) -> Self {
        const HOUR_MS: i64 = 3_600_000;
        Self(self.0 - (self.0 + 8 * HOUR_MS).rem_euclid(24 * HOUR_MS))
    }

    /// The calendar year in Beijing.
    pub fn year(self) -> i16 {
        self.beijing().year()
    }

    /// Seconds from `earlier` to this moment; negative when the clock went back.
    pub fn seconds_since(self, earlier: Self) -> i64 {
        (self.0 - earlier.0) / 1000
    }

    /// `2026-11-23T09:01:02.000Z`, for lines of logs.
    pub fn rfc3339(self) -> String {
        let at = jiff::Timestamp::from_millisecond(self.0).unwrap_or_default();
        at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
    }

    /// `20261123T170102Z`, for names of files.
    pub fn compact_utc(self) -> String {
        let at = jiff::Timestamp::from_millisecond(self.0).unwrap_or_default();
        at.strftime("%Y%m%dT%H%M%SZ").to_string()
    }
}

/// `2026-11-23 17:01:02`, Beijing time.
impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.beijing().strftime("%Y-%m-%d %H:%M:%S"))
    }
}

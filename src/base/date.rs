//! Civil dates as ledgers have them: a day, a month, or only a year.

use std::fmt;
use std::str::FromStr;

/// A day, a month (`day` 0) or a year (`month` 0); year 0 means unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day {
    year: i16,
    month: i8,
    day: i8,
}

impl Day {
    /// A full date; `None` when the calendar has no such day or the year is not in 1900–2199.
    pub fn ymd(year: i16, month: i8, day: i8) -> Option<Self> {
        (1900..2200).contains(&year).then_some(())?;
        jiff::civil::Date::new(year, month, day).ok()?;
        Some(Self { year, month, day })
    }

    /// Order-keeping number `yyyymmdd`; missing parts are 0, unknown is 0.
    pub fn number(self) -> i32 {
        i32::from(self.year) * 10_000 + i32::from(self.month) * 100 + i32::from(self.day)
    }

    /// The day with this [`Day::number`]; `None` when there is none.
    pub fn from_number(number: i32) -> Option<Self> {
        let part = |n: i32| i8::try_from(n % 100).ok();
        let (year, month, day) = (i16::try_from(number / 10_000).ok()?, part(number / 100)?, part(number)?);
        let known = number == 0 || (Self::ymd(year, month.max(1), day.max(1)).is_some() && (month != 0 || day == 0));
        (number >= 0 && known).then_some(Self { year, month, day })
    }

    /// Nothing is known.
    pub fn is_unknown(self) -> bool {
        self.year == 0
    }

    /// Year, month and day are all given.
    pub fn is_full(self) -> bool {
        self.day != 0
    }

    /// The year, 0 when unknown.
    pub fn year(self) -> i16 {
        self.year
    }
}

/// `2019`, `2019-04`, `2019-04-25`; also `.`, `/` and 年月日 as people write them, full width included.
impl FromStr for Day {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        // Dates that are copied out of windows carry turns of direction.
        let seen = text.trim().chars().filter(|c| !super::text::is_direction(*c));
        let plain: String = seen.map(super::text::half_width).collect();
        let parts: Vec<&str> =
            plain.split(['-', '.', '/', '年', '月', '日']).map(str::trim).filter(|p| !p.is_empty()).collect();
        if parts.is_empty() || parts.len() > 3 || parts[0].len() != 4 {
            return Err(());
        }
        let year: i16 = parts[0].parse().map_err(drop)?;
        let month: i8 = parts.get(1).map_or(Ok(0), |p| p.parse()).map_err(drop)?;
        let day: i8 = parts.get(2).map_or(Ok(0), |p| p.parse()).map_err(drop)?;
        let valid = (parts.len() < 2 || month != 0) && (parts.len() < 3 || day != 0);
        Self::ymd(year, month.max(1), day.max(1)).filter(|_| valid).ok_or(())?;
        Ok(Self { year, month, day })
    }
}

/// ISO form with the parts that are known; nothing when unknown.
impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.year, self.month, self.day) {
            (0, _, _) => Ok(()),
            (y, 0, _) => write!(f, "{y:04}"),
            (y, m, 0) => write!(f, "{y:04}-{m:02}"),
            (y, m, d) => write!(f, "{y:04}-{m:02}-{d:02}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Day;

    #[test]
    fn reads_what_people_write_and_refuses_what_no_calendar_has() {
        for (text, iso) in [
            ("2019", "2019"),
            ("2019-4", "2019-04"),
            ("2020年6月23日", "2020-06-23"),
            ("２０２０．６．２３", "2020-06-23"),
            ("2024/02/29", "2024-02-29"),
        ] {
            assert_eq!(text.parse::<Day>().unwrap().to_string(), iso);
        }
        for text in ["", "20", "2023-02-29", "2019-13", "2019-00-01", "1899-01-01", "abcd", "2019-1-1-1"] {
            assert!(text.parse::<Day>().is_err(), "{text}");
        }
    }

    #[test]
    fn orders_by_what_is_known() {
        let days: Vec<Day> = ["2019", "2019-04", "2019-04-25", "2020"].map(|t| t.parse().unwrap()).into();
        assert!(days.windows(2).all(|w| w[0] < w[1] && w[0].number() < w[1].number()));
    }
}

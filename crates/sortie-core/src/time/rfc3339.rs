//! Timestamps as text: RFC 3339, UTC only.
//!
//! Days from and to year, month and day: H. Hinnant, "chrono-Compatible Low-Level Date
//! Algorithms", `civil_from_days` and `days_from_civil`. Their years begin in March, so that the
//! leap day is the last.

use std::{fmt, ops::RangeInclusive, str::FromStr};

use super::Timestamp;

/// A time is not RFC 3339 in UTC: the column, from 1, and what was expected there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("time {text:?}: column {column}: {expected} is expected")]
pub struct TimestampError {
    /// The time, cut to a printable length.
    pub text: String,
    /// Where, in characters from 1.
    pub column: usize,
    /// What would have been right there.
    pub expected: &'static str,
}

const DAY_MS: i64 = 86_400_000;
/// The days of the proleptic Gregorian calendar that repeats every 400 years.
const ERA_DAYS: i64 = 146_097;
/// The days from 0000-03-01 to 1970-01-01.
const EPOCH_DAYS: i64 = 719_468;

impl fmt::Display for Timestamp {
    /// `2026-11-24T17:23:46.123Z`. A year beyond 0 to 9999 has a sign, as ISO 8601 writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, ms) = (self.0.div_euclid(DAY_MS), self.0.rem_euclid(DAY_MS));
        let z = days + EPOCH_DAYS;
        let (era, day_of_era) = (z.div_euclid(ERA_DAYS), z.rem_euclid(ERA_DAYS));
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        let (hour, minute) = (ms / 3_600_000, ms / 60_000 % 60);
        let (second, milli) = (ms / 1_000 % 60, ms % 1_000);
        if (0..=9_999).contains(&year) {
            write!(f, "{year:04}")?;
        } else {
            write!(f, "{year:+05}")?;
        }
        write!(
            f,
            "-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z"
        )
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    /// Reads RFC 3339 with `Z` (no other offset, no leap second), and all that [`Display`] writes.
    /// What is finer than a millisecond is cut off.
    ///
    /// [`Display`]: fmt::Display
    fn from_str(text: &str) -> Result<Self, TimestampError> {
        let mut reader = Reader { text, at: 0 };
        reader.timestamp().map_err(|expected| TimestampError {
            text: text.chars().take(120).collect(),
            column: text[..reader.at].chars().count() + 1,
            expected,
        })
    }
}

struct Reader<'a> {
    text: &'a str,
    /// What was read, in bytes; where an error is.
    at: usize,
}

impl<'a> Reader<'a> {
    fn timestamp(&mut self) -> Result<Timestamp, &'static str> {
        let days = self.date()?;
        self.symbol(&['T', 't'], "\"T\"")?;
        let hour = self.number(2..=2, 0..=23, "an hour from 00 to 23")?;
        self.symbol(&[':'], "\":\"")?;
        let minute = self.number(2..=2, 0..=59, "a minute from 00 to 59")?;
        self.symbol(&[':'], "\":\"")?;
        let second = self.number(2..=2, 0..=59, "a second from 00 to 59")?;
        let milli = self.fraction()?;
        self.symbol(&['Z', 'z'], "\"Z\", since times are UTC,")?;
        if self.at < self.text.len() {
            return Err("the end");
        }
        let ms = ((hour * 60 + minute) * 60 + second) * 1_000 + milli;
        let all = i128::from(days) * i128::from(DAY_MS) + i128::from(ms);
        i64::try_from(all).map(Timestamp).map_err(|_| {
            self.at = 0;
            "a time within 64 bits of milliseconds"
        })
    }

    /// The days from 1970-01-01 on.
    fn date(&mut self) -> Result<i64, &'static str> {
        let sign = match self.text.as_bytes().first() {
            Some(b'+') => Some(1),
            Some(b'-') => Some(-1),
            _ => None,
        };
        let digits = if sign.is_some() { 4..=9 } else { 4..=4 };
        self.at += usize::from(sign.is_some());
        let year = self.number(digits, 0..=i64::MAX, "a year of four digits")? * sign.unwrap_or(1);
        self.symbol(&['-'], "\"-\"")?;
        let month = self.number(2..=2, 1..=12, "a month from 01 to 12")?;
        self.symbol(&['-'], "\"-\"")?;
        let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let last = match month {
            2 => 28 + i64::from(is_leap),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        let day = self.number(2..=2, 1..=last, "a day that the month has")?;

        let year = year - i64::from(month <= 2);
        let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
        let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        Ok(era * ERA_DAYS + day_of_era - EPOCH_DAYS)
    }

    /// Milliseconds; what is finer is cut off.
    fn fraction(&mut self) -> Result<i64, &'static str> {
        if self.symbol(&['.'], "").is_err() {
            return Ok(0);
        }
        let digits = self.digits();
        if digits.is_empty() {
            return Err("a digit");
        }
        self.at += digits.len();
        let milli = digits.bytes().chain(*b"00").take(3);
        Ok(milli.fold(0, |milli, digit| milli * 10 + i64::from(digit - b'0')))
    }

    fn number(
        &mut self,
        length: RangeInclusive<usize>,
        range: RangeInclusive<i64>,
        expected: &'static str,
    ) -> Result<i64, &'static str> {
        let digits = self.digits();
        let number = digits.get(..digits.len().min(*length.end()));
        let number: i64 = number
            .filter(|digits| length.contains(&digits.len()))
            .and_then(|digits| digits.parse().ok())
            .filter(|number| range.contains(number))
            .ok_or(expected)?;
        self.at += digits.len().min(*length.end());
        Ok(number)
    }

    fn digits(&self) -> &'a str {
        let rest = &self.text[self.at..];
        let end = rest.find(|c: char| !c.is_ascii_digit());
        &rest[..end.unwrap_or(rest.len())]
    }

    fn symbol(&mut self, any: &[char], expected: &'static str) -> Result<(), &'static str> {
        if !self.text[self.at..].starts_with(any) {
            return Err(expected);
        }
        // Each is one byte.
        self.at += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_reads_as_rfc_3339() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_764_000_226_123, "2025-11-24T16:03:46.123Z"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
            (253_402_300_800_000, "+10000-01-01T00:00:00.000Z"),
            (-62_167_219_200_000, "0000-01-01T00:00:00.000Z"),
            (-62_167_219_200_001, "-0001-12-31T23:59:59.999Z"),
            (i64::MAX, "+292278994-08-17T07:12:55.807Z"),
            (i64::MIN, "-292275055-05-16T16:47:04.192Z"),
        ] {
            assert_eq!(Timestamp(ms).to_string(), text);
            assert_eq!(text.parse(), Ok(Timestamp(ms)));
        }
    }

    #[test]
    fn a_fraction_is_milliseconds_and_what_is_finer_is_cut_off() {
        for (text, ms) in [
            ("1970-01-01T00:00:01Z", 1_000),
            ("1970-01-01t00:00:01z", 1_000),
            ("1970-01-01T00:00:00.5Z", 500),
            ("1970-01-01T00:00:00.05Z", 50),
            ("1970-01-01T00:00:00.254795Z", 254),
            ("1969-12-31T23:59:59.9999Z", -1),
        ] {
            assert_eq!(text.parse(), Ok(Timestamp(ms)), "{text}");
        }
    }

    #[test]
    fn every_day_of_the_calendar_reads_back_and_no_other() {
        let mut days = 0;
        for year in 1_890..2_110 {
            for month in 1..=12 {
                for day in 0..=32 {
                    let text = format!("{year}-{month:02}-{day:02}T23:59:59.999Z");
                    let Ok(at) = text.parse::<Timestamp>() else {
                        continue;
                    };
                    assert_eq!(at.to_string(), text);
                    days += 1;
                }
            }
        }
        // 220 years, of which 1900 and 2100 are no leap years.
        assert_eq!(days, 220 * 365 + 55 - 2);
    }

    #[test]
    fn what_is_no_time_is_refused_with_the_column() {
        for (text, column, expected) in [
            ("", 1, "year"),
            ("202-01-01T00:00:00Z", 1, "year"),
            ("20260-01-01T00:00:00Z", 5, "\"-\""),
            ("+202-01-01T00:00:00Z", 2, "year"),
            ("+1234567890-01-01T00:00:00Z", 11, "\"-\""),
            ("+999999999-01-01T00:00:00Z", 1, "64 bits"),
            ("2026-13-01T00:00:00Z", 6, "month"),
            ("2026-00-01T00:00:00Z", 6, "month"),
            ("2026-1-01T00:00:00Z", 6, "month"),
            ("2026-02-29T00:00:00Z", 9, "day"),
            ("2026-04-31T00:00:00Z", 9, "day"),
            ("2026-01-00T00:00:00Z", 9, "day"),
            ("2026-01-02", 11, "\"T\""),
            ("2026-01-02 00:00:00Z", 11, "\"T\""),
            ("2026-01-02T24:00:00Z", 12, "hour"),
            ("2026-01-02T23-00:00Z", 14, "\":\""),
            ("2026-01-02T23:60:00Z", 15, "minute"),
            ("2026-01-02T23:59", 17, "\":\""),
            ("2026-01-02T23:59:60Z", 18, "second"),
            ("2026-01-02T23:59:59.Z", 21, "digit"),
            ("2026-01-02T23:59:59", 20, "\"Z\""),
            ("2026-01-02T23:59:59+00:00", 20, "\"Z\""),
            ("2026-01-02T23:59:59Zz", 21, "the end"),
            ("２026-01-02T23:59:59Z", 1, "year"),
        ] {
            let error = text.parse::<Timestamp>().unwrap_err();
            assert_eq!(error.column, column, "{error}");
            assert!(error.expected.contains(expected), "{error}");
        }
    }
}

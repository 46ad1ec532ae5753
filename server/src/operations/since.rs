//! The time from which entries of the audit log are printed, as the operator writes it.

use std::str::FromStr;

use jiff::civil;
use parlour_protocol::Timestamp;
use thiserror::Error;

/// A point in time, absolute or relative to now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// This time.
    Moment(Timestamp),
    /// This many milliseconds ago.
    Ago(i64),
}

/// The error for a text that is not a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("write a date like 2026-11-21, a moment like 2026-11-21T10:00:00Z, or how long ago: 30m, 2h, 7d")]
pub struct SinceError;

impl Since {
    /// The absolute time.
    pub fn moment(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Moment(moment) => moment,
            Self::Ago(millis) => Timestamp::from_millis(now.as_millis().saturating_sub(millis)),
        }
    }
}

impl FromStr for Since {
    type Err = SinceError;

    fn from_str(text: &str) -> Result<Self, SinceError> {
        if let Some(millis) = ago(text) {
            return Ok(Self::Ago(millis));
        }
        let moment: jiff::Timestamp = text.parse().ok().or_else(|| beginning(text)).ok_or(SinceError)?;
        Ok(Self::Moment(Timestamp::from_millis(moment.as_millisecond())))
    }
}

/// Parses a date as the beginning of that day in UTC. A text with a time of day must name its zone instead.
fn beginning(text: &str) -> Option<jiff::Timestamp> {
    let date: civil::Date = text.parse().ok().filter(|_| text.len() <= "2026-11-21".len())?;
    Some(date.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
}

/// Parses `30s`, `30m`, `2h`, `7d` or `4w` into milliseconds.
fn ago(text: &str) -> Option<i64> {
    let unit = text.chars().next_back()?;
    let seconds: i64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 604_800,
        _ => return None,
    };
    let count = text.strip_suffix(unit).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))?;
    count.parse::<i64>().ok()?.checked_mul(seconds)?.checked_mul(1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_moments_and_spans_are_understood() {
        let now = Timestamp::from_millis(1_795_262_400_000); // 2026-11-21 12:00:00
        for (text, moment) in [
            ("2026-11-21", "2026-11-21 00:00:00"),
            ("2026-11-21T10:00:00Z", "2026-11-21 10:00:00"),
            ("2026-11-21T10:00:00+02:00", "2026-11-21 08:00:00"),
            ("90s", "2026-11-21 11:58:30"),
            ("30m", "2026-11-21 11:30:00"),
            ("2h", "2026-11-21 10:00:00"),
            ("7d", "2026-11-14 12:00:00"),
            ("1w", "2026-11-14 12:00:00"),
        ] {
            let since: Since = text.parse().unwrap();
            assert_eq!(since.moment(now).to_string(), moment, "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in
            ["", "h", "-2h", "+2h", "2 h", "2y", "yesterday", "2026-13-01", "2026-11-21T10:00", "1.5h", "日"]
        {
            assert_eq!(text.parse::<Since>(), Err(SinceError), "{text}");
        }
        assert_eq!("9223372036854775807w".parse::<Since>(), Err(SinceError));
    }
}

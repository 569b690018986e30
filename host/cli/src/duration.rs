//! Durations as users type and read them.

use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

/// Maximum duration of a call or a session: a day, as long as a deadline may lie ahead.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Maximum duration of a time span in days or weeks.
const CENTURY: Duration = Duration::from_secs(100 * 366 * 24 * 60 * 60);

/// Returns the length of time that `500ms`, `10s`, `2m` or `1h` stands for.
///
/// # Errors
/// A fragment that describes a valid duration.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let examples = "such as `500ms`, `10s`, `2m` or `1h`";
    at_most(DAY, "a day, `24h`", text, examples)
}

/// Returns the length of time that `12h`, `30d` or `2w` stands for.
///
/// # Errors
/// A fragment that describes a valid duration.
pub(crate) fn parse_days(text: &str) -> Result<Duration, String> {
    at_most(CENTURY, "a hundred years", text, "such as `12h`, `30d` or `2w`")
}

/// Returns the moment that lies this far ahead: `90d`, `in 90 days`, `3 months`, in UTC; `None` where
/// the text is no length of time.
///
/// # Errors
/// A fragment that describes a valid duration.
pub(crate) fn ahead(text: &str, now: Timestamp) -> Option<Result<Timestamp, String>> {
    let (number, unit) = parts(text)?;
    let span = match Unit::of(unit)? {
        _ if number == 0 => return Some(Err(NOTHING.to_owned())),
        Unit::Millis(each) => i64::try_from(number.checked_mul(each)?)
            .map_err(|_| ())
            .and_then(|millis| Span::new().try_milliseconds(millis).map_err(|_| ())),
        Unit::Months(each) => i64::try_from(number.checked_mul(each)?)
            .map_err(|_| ())
            .and_then(|months| Span::new().try_months(months).map_err(|_| ())),
    };
    let moment = span.and_then(|span| {
        let moment = now.to_zoned(TimeZone::UTC).checked_add(span).map_err(|_| ())?;
        Ok(moment.timestamp())
    });
    Some(moment.map_err(|()| "lies too far ahead".to_owned()))
}

/// Error text for a duration of zero.
const NOTHING: &str = "must be more than nothing";

/// Unit of a number.
enum Unit {
    /// A unit of this many milliseconds.
    Millis(u64),
    /// A unit of this many months, which differ in length.
    Months(u64),
}

impl Unit {
    fn of(name: &str) -> Option<Self> {
        Some(Self::Millis(match name {
            "ms" => 1,
            "s" | "sec" | "second" | "seconds" => 1_000,
            "m" | "min" | "minute" | "minutes" => 60_000,
            "h" | "hour" | "hours" => 3_600_000,
            "d" | "day" | "days" => 24 * 3_600_000,
            "w" | "week" | "weeks" => 7 * 24 * 3_600_000,
            "month" | "months" => return Some(Self::Months(1)),
            "y" | "year" | "years" => return Some(Self::Months(12)),
            _ => return None,
        }))
    }
}

/// Returns the number and the unit of `90d`, `90 days` or `in 90 days`.
fn parts(text: &str) -> Option<(u64, &str)> {
    let text = text.strip_prefix("in ").unwrap_or(text);
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    // A number that is too large for `u64` is as invalid as `u64::MAX`.
    let number = match number {
        "" => return None,
        digits => digits.parse().unwrap_or(u64::MAX),
    };
    Some((number, unit.strip_prefix(' ').unwrap_or(unit)))
}

fn at_most(most: Duration, named: &str, text: &str, examples: &str) -> Result<Duration, String> {
    let parts = parts(text).and_then(|(number, unit)| match Unit::of(unit)? {
        Unit::Millis(each) => Some((number, each)),
        Unit::Months(_) => None,
    });
    let Some((number, millis_each)) = parts else {
        return Err(format!("expected a whole number with its unit, {examples}"));
    };
    match number.checked_mul(millis_each).map(Duration::from_millis) {
        Some(Duration::ZERO) => Err(NOTHING.to_owned()),
        Some(duration) if duration <= most => Ok(duration),
        _ => Err(format!("must be at most {named}")),
    }
}

/// Returns a length of time in words, rounded up: `2 hours 30 minutes`, `15 minutes`,
/// `1 second`. Seconds only where it is less than ten minutes.
pub(crate) fn words(span: Duration) -> String {
    let mut seconds = span.as_millis().div_ceil(1_000);
    if seconds >= 600 {
        seconds = seconds.div_ceil(60) * 60;
    }
    let parts =
        [(seconds / 3_600, "hour"), (seconds / 60 % 60, "minute"), (seconds % 60, "second")];
    let parts: Vec<String> = parts
        .iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, unit)| format!("{number} {unit}{}", if *number == 1 { "" } else { "s" }))
        .collect();
    if parts.is_empty() { "no time".to_owned() } else { parts.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_days_accepts_hours_to_weeks() {
        for (text, hours) in [
            ("12h", 12),
            ("30d", 720),
            ("2w", 336),
            ("36600d", 878_400),
            ("in 90 days", 2_160),
            ("1 week", 168),
        ] {
            assert_eq!(parse_days(text), Ok(Duration::from_secs(hours * 3_600)), "{text}");
        }
        for text in [
            "",
            "30",
            "d",
            "-1d",
            "1.5d",
            "0d",
            "1  d",
            " 1d",
            "1d ",
            "1y",
            "36601d",
            "9999999999999999999w",
            "in",
            "in d",
        ] {
            assert!(parse_days(text).is_err(), "{text}");
        }
    }

    #[test]
    fn duration_with_unit_is_parsed() {
        for (text, millis) in [
            ("500ms", 500),
            ("10s", 10_000),
            ("2m", 120_000),
            ("1h", 3_600_000),
            ("24h", 86_400_000),
            ("1d", 86_400_000),
            ("30 seconds", 30_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn invalid_duration_is_rejected() {
        for text in
            ["", "10", "s", "-1s", "1.5s", " 1s", "0s", "25h", "99999999999999999999h", "2d"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn moment_lies_ahead_by_the_calendar() {
        let now: Timestamp = "2028-01-31T12:00:00Z".parse().unwrap();
        for (text, moment) in [
            ("90d", "2028-04-30T12:00:00Z"),
            ("in 90 days", "2028-04-30T12:00:00Z"),
            ("12h", "2028-02-01T00:00:00Z"),
            ("2 weeks", "2028-02-14T12:00:00Z"),
            ("1 month", "2028-02-29T12:00:00Z"),
            ("in 1 year", "2029-01-31T12:00:00Z"),
            ("2y", "2030-01-31T12:00:00Z"),
        ] {
            assert_eq!(ahead(text, now).unwrap().unwrap().to_string(), moment, "{text}");
        }
        for text in ["0d", "9000 years", "99999999999999999999 days", "in 300000000000000 ms"] {
            assert!(ahead(text, now).is_none_or(|moment| moment.is_err()), "{text}");
        }
        for text in ["", "soon", "in", "90", "-90d", "2030-01-31", "90 d ays", "in  90 days"] {
            assert!(ahead(text, now).is_none(), "{text}");
        }
    }

    #[test]
    fn duration_in_words_is_rounded() {
        for (millis, text) in [
            (0, "no time"),
            (1, "1 second"),
            (61_000, "1 minute 1 second"),
            (599_001, "10 minutes"),
            (898_000, "15 minutes"),
            (3_600_000, "1 hour"),
            (9_000_000, "2 hours 30 minutes"),
            (86_400_000, "24 hours"),
        ] {
            assert_eq!(words(Duration::from_millis(millis)), text);
        }
    }
}

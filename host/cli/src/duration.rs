//! Lengths of time as they are typed.

use std::time::Duration;

/// The longest that a call or a session may be given: a day, as long as a deadline may lie
/// ahead.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The longest that anybody plans ahead.
const CENTURY: Duration = Duration::from_secs(100 * 366 * 24 * 60 * 60);

/// Returns the length of time that `500ms`, `10s`, `2m` or `1h` stands for.
///
/// # Errors
/// A fragment that says what would be right.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let examples = "such as `500ms`, `10s`, `2m` or `1h`";
    at_most(DAY, "a day, `24h`", text, examples)
}

/// Returns the length of time that `12h`, `30d` or `2w` stands for.
///
/// # Errors
/// A fragment that says what would be right.
pub(crate) fn parse_days(text: &str) -> Result<Duration, String> {
    at_most(CENTURY, "a hundred years", text, "such as `12h`, `30d` or `2w`")
}

fn at_most(most: Duration, named: &str, text: &str, examples: &str) -> Result<Duration, String> {
    let expected = || format!("expected a whole number with its unit, {examples}");
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let millis_each: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 24 * 3_600_000,
        "w" => 7 * 24 * 3_600_000,
        _ => return Err(expected()),
    };
    let number: u64 = number.parse().map_err(|_| expected())?;
    match number.checked_mul(millis_each).map(Duration::from_millis) {
        Some(Duration::ZERO) => Err("must be more than nothing".to_owned()),
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
    fn days_and_weeks_are_for_plans() {
        for (text, hours) in [("12h", 12), ("30d", 720), ("2w", 336), ("36600d", 878_400)] {
            assert_eq!(parse_days(text), Ok(Duration::from_secs(hours * 3_600)), "{text}");
        }
        for text in
            ["", "30", "d", "-1d", "1.5d", "0d", "1 d", "1y", "36601d", "9999999999999999999w"]
        {
            assert!(parse_days(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_duration_is_a_number_with_its_unit() {
        for (text, millis) in [
            ("500ms", 500),
            ("10s", 10_000),
            ("2m", 120_000),
            ("1h", 3_600_000),
            ("24h", 86_400_000),
            ("1d", 86_400_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in
            ["", "10", "s", "-1s", "1.5s", " 1s", "1 s", "0s", "25h", "99999999999999999999h", "2d"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_length_of_time_reads_as_people_say_it() {
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

//! Metadata as users type it (`K=V`, `K:=JSON`, `K@=TIME`) and read it.

use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
pub(crate) use keystead::internals::json::metadata::Json;
pub(crate) use keystead::internals::json::metadata::{moment, read_only};
use keystead::internals::metadata::Convention;
use keystead_plugin_api::{Metadata, MetadataValue};

use crate::duration;
use crate::failure::Failure;

/// A typed piece of metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Typed {
    key: String,
    value: MetadataValue,
}

impl FromStr for Typed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (left, right) =
            text.split_once('=').ok_or("expected `KEY=TEXT`, `KEY:=JSON` or `KEY@=TIME`")?;
        let (key, value) = if let Some(key) = left.strip_suffix(':') {
            (key, json(right)?)
        } else if let Some(key) = left.strip_suffix('@') {
            (key, MetadataValue::Timestamp(time(right)?))
        } else if Convention::of(left) == Some(Convention::Moment) {
            (left, MetadataValue::Timestamp(time(right)?))
        } else {
            (left, MetadataValue::Text(right.to_owned()))
        };
        if key.is_empty() {
            return Err("the key is missing".to_owned());
        }
        match Convention::of(key) {
            Some(convention) if !convention.fits(&value) => Err(match convention {
                Convention::Moment => format!("`{key}` is always a time: `{key}=2030-01-31`"),
                Convention::Text => format!("`{key}` is always a text: `{key}=TEXT`"),
                Convention::Tags => format!("`{key}` is always a text: `{key}=one,two`"),
            }),
            _ => Ok(Self { key: key.to_owned(), value }),
        }
    }
}

/// Returns the typed metadata; `None` where none was typed.
///
/// # Errors
/// A key is given twice, or metadata cannot have it.
pub(crate) fn collect(typed: Vec<Typed>) -> Result<Option<Metadata>, Failure> {
    if typed.is_empty() {
        return Ok(None);
    }
    let mut metadata = Metadata::new();
    for Typed { key, value } in typed {
        match metadata.insert(key.clone(), value) {
            Ok(None) => {}
            Ok(Some(_)) => {
                return Err(Failure::usage(format!("the metadata key `{key}` is given twice")));
            }
            Err(fault) => return Err(Failure::usage(fault.message())),
        }
    }
    Ok(Some(metadata))
}

fn json(text: &str) -> Result<MetadataValue, String> {
    match serde_json::from_str(text) {
        Ok(serde_json::Value::String(text)) => Ok(MetadataValue::Text(text)),
        Ok(serde_json::Value::Bool(yes)) => Ok(MetadataValue::Boolean(yes)),
        Ok(serde_json::Value::Number(number)) => {
            let whole = number.as_i64().map(MetadataValue::Integer);
            whole.ok_or_else(|| "a number must be whole, of 64 bits".to_owned())
        }
        Ok(serde_json::Value::Array(items)) => {
            let text = |item| match item {
                serde_json::Value::String(text) => Some(text),
                _ => None,
            };
            let texts = items.into_iter().map(text).collect::<Option<_>>();
            texts.map(MetadataValue::TextList).ok_or_else(|| "a list is of texts".to_owned())
        }
        Ok(_) => {
            Err("metadata is a text, a whole number, `true`, `false` or a list of texts".to_owned())
        }
        Err(_) => {
            Err("after `:=` must come JSON: `3`, `true`, `\"text\"` or `[\"a\",\"b\"]`".to_owned())
        }
    }
}

/// Returns the moment in milliseconds since 1970: a time, a date, or how far ahead it lies.
fn time(text: &str) -> Result<i64, String> {
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(moment.as_millisecond());
    }
    if let Some(moment) = duration::ahead(text, Timestamp::now()) {
        return moment.map(|moment| moment.as_second() * 1_000);
    }
    // A date alone begins at midnight UTC; a time without a zone is ambiguous.
    let is_date = text.len() == "2030-01-31".len();
    let date = text.parse::<Date>().ok().filter(|_| is_date);
    date.and_then(|date| date.to_zoned(TimeZone::UTC).ok())
        .map(|midnight| midnight.timestamp().as_millisecond())
        .ok_or_else(|| {
            "expected a time such as `2030-01-31`, `2030-01-31T18:00:00Z` or `90d`".to_owned()
        })
}

/// Returns a value as text for users.
pub(crate) fn shown(value: &MetadataValue) -> String {
    match value {
        MetadataValue::Text(text) => text.clone(),
        MetadataValue::Integer(number) => number.to_string(),
        MetadataValue::Boolean(yes) => yes.to_string(),
        MetadataValue::Timestamp(at) => moment(*at),
        MetadataValue::TextList(texts) => serde_json::json!(texts).to_string(),
        _ => "?".to_owned(),
    }
}

/// Returns the current time, in milliseconds since 1970.
pub(crate) fn now() -> i64 {
    Timestamp::now().as_millisecond()
}

/// Returns how far a moment lies ahead, `in 3 days`, or how long ago it was.
pub(crate) fn distance(at: i64, now: i64) -> String {
    const DAY: u64 = 86_400_000;
    const HOUR: u64 = 3_600_000;
    const MINUTE: u64 = 60_000;
    /// Minimum and length of each unit in milliseconds: less than two years are days.
    const UNITS: [(u64, u64, &str); 4] = [
        (730 * DAY, 365 * DAY, "year"),
        (DAY, DAY, "day"),
        (HOUR, HOUR, "hour"),
        (MINUTE, MINUTE, "minute"),
    ];
    let apart = at.abs_diff(now);
    let words = UNITS.iter().find(|(from, ..)| apart >= *from).map(|(_, millis, unit)| {
        let number = apart / millis;
        if number == 1 { format!("1 {unit}") } else { format!("{number} {unit}s") }
    });
    match words {
        None if at > now => "in less than a minute".to_owned(),
        None => "just now".to_owned(),
        Some(words) if at > now => format!("in {words}"),
        Some(words) => format!("{words} ago"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Result<MetadataValue, String> {
        text.parse::<Typed>().map(|typed| typed.value)
    }

    #[test]
    fn metadata_argument_forms_yield_all_value_kinds() {
        assert_eq!(value("env=dev"), Ok(MetadataValue::Text("dev".into())));
        assert_eq!(value("env="), Ok(MetadataValue::Text(String::new())));
        assert_eq!(value("a=b=c:=d"), Ok(MetadataValue::Text("b=c:=d".into())));
        assert_eq!(value("n:=-3"), Ok(MetadataValue::Integer(-3)));
        assert_eq!(value("n:=true"), Ok(MetadataValue::Boolean(true)));
        assert_eq!(value("n:=\"3\""), Ok(MetadataValue::Text("3".into())));
        let list = |texts: &[&str]| {
            MetadataValue::TextList(texts.iter().map(|text| (*text).to_owned()).collect())
        };
        assert_eq!(value(r#"l:=["b", "", "a=b,c"]"#), Ok(list(&["b", "", "a=b,c"])));
        assert_eq!(value("l:=[]"), Ok(list(&[])));
        assert_eq!(value("l=[]"), Ok(MetadataValue::Text("[]".into())));
        assert_eq!(shown(&list(&["b", "a\"\n"])), r#"["b","a\"\n"]"#);
        assert_eq!(value("at@=1970-01-02"), Ok(MetadataValue::Timestamp(86_400_000)));
        assert_eq!(value("at@=1970-01-01T01:00:00.5+01:00"), Ok(MetadataValue::Timestamp(500)));
    }

    #[test]
    fn timestamp_distance_is_in_words() {
        const DAY: i64 = 86_400_000;
        for (at, words) in [
            (3 * DAY - 1, "in 2 days"),
            (DAY, "in 1 day"),
            (DAY - 1, "in 23 hours"),
            (60_000, "in 1 minute"),
            (59_999, "in less than a minute"),
            (0, "just now"),
            (-59_999, "just now"),
            (-2 * 3_600_000, "2 hours ago"),
            (-729 * DAY, "729 days ago"),
            (-730 * DAY, "2 years ago"),
        ] {
            assert_eq!(distance(1_000 + at, 1_000), words, "{at}");
        }
        assert_eq!(distance(i64::MAX, i64::MIN), "in 584942417 years");
    }

    #[test]
    fn known_metadata_keys_have_fixed_kind() {
        assert_eq!(value("created=1970-01-02"), Ok(MetadataValue::Timestamp(86_400_000)));
        assert_eq!(value("updated@=1970-01-02"), Ok(MetadataValue::Timestamp(86_400_000)));
        assert_eq!(value("description:=\"x\""), Ok(MetadataValue::Text("x".into())));
        assert_eq!(value("tags=a, b"), Ok(MetadataValue::Text("a, b".into())));
        for text in ["created=soon", "updated:=3", "description:=3", "tags@=1970-01-02"] {
            assert!(value(text).is_err(), "{text}");
        }
    }

    #[test]
    fn expires_accepts_only_timestamp() {
        assert_eq!(value("expires=1970-01-02"), Ok(MetadataValue::Timestamp(86_400_000)));
        assert_eq!(value("expires@=1970-01-02"), Ok(MetadataValue::Timestamp(86_400_000)));
        assert!(value("expires=soon").is_err());
        for text in ["expires=90d", "expires=in 90 days", "expires@=90 days", "at@=90d"] {
            let Ok(MetadataValue::Timestamp(at)) = value(text) else { panic!("{text}") };
            assert!((at - now()).abs_diff(90 * 86_400_000) < 3_600_000, "{text}");
        }
        assert_eq!(value("owner=90d"), Ok(MetadataValue::Text("90d".into())));
        assert!(value("expires:=3").is_err());
    }

    #[test]
    fn invalid_metadata_argument_is_rejected() {
        for text in [
            "",
            "k",
            "=v",
            ":=1",
            "@=2030-01-01",
            "n:=1.5",
            "n:=null",
            "n:=[1]",
            "n:=[\"a\",1]",
            "n:=[[\"a\"]]",
            "n:=[\"a\"",
            "n:={}",
            "tags:=[\"a\"]",
            "n:=x",
            "n:=99999999999999999999",
            "at@=",
            "at@=2030-13-01",
            "at@=2030-01-01T10:00:00",
            "at@=10000-01-01",
        ] {
            assert!(value(text).is_err(), "{text}");
        }
    }

    #[test]
    fn duplicate_metadata_key_is_rejected() {
        let typed = |text: &str| text.parse::<Typed>().unwrap();
        assert!(collect(vec![typed("a=1"), typed("a:=2")]).is_err());
        assert_eq!(collect(Vec::new()).unwrap(), None);
        assert_eq!(collect(vec![typed("a=1"), typed("b=2")]).unwrap().unwrap().len(), 2);
    }
}

//! Metadata as a JSON object: texts, whole numbers, `true`, `false` and lists of texts. A time is
//! `{"timestamp":"2030-01-31T18:00:00Z"}`, so that it differs from a text.

use jiff::civil::DateTime;
use jiff::{SignedDuration, Timestamp};
use keystead_plugin_api::{Metadata, MetadataValue};
use serde::ser::{Serialize, SerializeMap, Serializer};

/// Metadata that is written as JSON.
#[derive(Debug)]
pub struct Json<'a>(pub &'a Metadata);

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in self.0.iter() {
            match value {
                MetadataValue::Text(text) => map.serialize_entry(key, text)?,
                MetadataValue::Integer(number) => map.serialize_entry(key, number)?,
                MetadataValue::Boolean(yes) => map.serialize_entry(key, yes)?,
                MetadataValue::Timestamp(at) => {
                    map.serialize_entry(key, &serde_json::json!({ "timestamp": moment(*at) }))?;
                }
                MetadataValue::TextList(texts) => map.serialize_entry(key, texts)?,
                _ => map.serialize_entry(key, &())?,
            }
        }
        map.end()
    }
}

/// Returns the keys of read-only metadata, which JSON lists beside metadata as `read_only`.
pub fn read_only(metadata: &Metadata) -> Vec<&str> {
    metadata.iter().map(|(key, _)| key).filter(|key| metadata.is_read_only(key)).collect()
}

/// Start of 1970, from which times are counted. Metadata may contain times up to the end of the
/// year 9999. `Timestamp` ends some hours earlier; `DateTime` does not.
const EPOCH: DateTime = jiff::civil::date(1970, 1, 1).at(0, 0, 0, 0);

/// Returns a time, given in milliseconds since 1970, in the format of RFC 3339.
pub fn moment(millis: i64) -> String {
    match EPOCH.checked_add(SignedDuration::from_millis(millis)) {
        Ok(at) => format!("{at}Z"),
        // Metadata has no such time.
        Err(_) => millis.to_string(),
    }
}

/// Returns the milliseconds since 1970 of a time; `None` if the text is not a time, or has
/// no time zone.
pub fn millis(moment: &str) -> Option<i64> {
    if let Ok(at) = moment.parse::<Timestamp>() {
        return Some(at.as_millisecond());
    }
    let at: DateTime = moment.strip_suffix('Z')?.parse().ok()?;
    i64::try_from(at.duration_since(EPOCH).as_millis()).ok()
}

#[cfg(test)]
mod tests {
    use keystead_plugin_api::{MAX_TIMESTAMP_MILLIS, MIN_TIMESTAMP_MILLIS};

    use super::*;

    #[test]
    fn timestamp_and_text_differ_in_json() {
        let mut metadata = Metadata::new();
        for (key, value) in [
            ("b", MetadataValue::Boolean(true)),
            ("l", MetadataValue::TextList(vec!["b".to_owned(), "a".to_owned()])),
            ("n", MetadataValue::Integer(3)),
            ("s", MetadataValue::Text("1970-01-02".to_owned())),
            ("t", MetadataValue::Timestamp(86_400_000)),
        ] {
            metadata.insert(key, value).unwrap();
        }
        assert_eq!(
            serde_json::to_string(&Json(&metadata)).unwrap(),
            "{\"b\":true,\"l\":[\"b\",\"a\"],\"n\":3,\"s\":\"1970-01-02\",\"t\":{\"timestamp\":\"1970-01-02T00:00:00Z\"}}"
        );
    }

    #[test]
    fn timestamp_round_trips_over_full_range() {
        for at in [MIN_TIMESTAMP_MILLIS, -1, 0, 1_001, MAX_TIMESTAMP_MILLIS] {
            assert_eq!(millis(&moment(at)), Some(at));
        }
        for text in ["2030-01-31", "2030-01-31T18:00:00", "Z", "soonZ"] {
            assert_eq!(millis(text), None, "{text}");
        }
    }
}

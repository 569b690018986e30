//! Metadata as the custom metadata of KV version 2: texts of up to 512 bytes. A plain text is
//! stored unchanged, and other types get a prefix: `integer:42`, `boolean:true`,
//! `timestamp:2026-01-31T12:00:00.000Z`, and `json:["…","…"]` for a list of texts. `json:"…"` is a
//! text with characters that the server would refuse, or one with such a prefix.

use std::collections::BTreeMap;

use jiff::civil::DateTime;
use jiff::{SignedDuration, Timestamp};
use keystead_plugin_api::{Error, Metadata, MetadataValue, Result, ValueKind};

/// The most entries that the server accepts, minus this plugin's own.
const MOST_ENTRIES: usize = 63;

/// The most bytes in a key and in a text that the server accepts.
const MOST_KEY_BYTES: usize = 128;
const MOST_TEXT_BYTES: usize = 512;

/// Key that stores the kind of a version's value for listings.
const KIND: &str = "keystead.kind";

/// Start of timestamps. The latest moment of the library is a day before the end of the year 9999.
const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

/// A secret's custom metadata.
pub(crate) type Custom = BTreeMap<String, String>;

/// Returns metadata in the server's form.
///
/// # Errors
/// `Invalid` for too many entries, too long texts, or invalid keys.
pub(crate) fn custom(metadata: &Metadata) -> Result<Custom> {
    if metadata.len() > MOST_ENTRIES {
        let message = format!("this vault keeps at most {MOST_ENTRIES} entries of metadata");
        return Err(Error::invalid(message));
    }
    let mut custom = Custom::new();
    for (key, value) in metadata.iter() {
        if key.len() > MOST_KEY_BYTES || !is_plain(key) || key == KIND {
            let message = format!(
                "this vault takes no metadata key `{}`: it is to be up to {MOST_KEY_BYTES} bytes of \
                 letters, digits and signs",
                key.escape_debug()
            );
            return Err(Error::invalid(message));
        }
        let text = text(value)?;
        if text.len() > MOST_TEXT_BYTES {
            let message = format!("this vault keeps at most {MOST_TEXT_BYTES} bytes of `{key}`");
            return Err(Error::invalid(message));
        }
        custom.insert(key.to_owned(), text);
    }
    Ok(custom)
}

fn text(value: &MetadataValue) -> Result<String> {
    Ok(match value {
        MetadataValue::Text(text) if is_plain(text) && typed(text).is_none() => text.clone(),
        MetadataValue::Text(text) => format!("json:{}", escaped(text)),
        MetadataValue::Integer(number) => format!("integer:{number}"),
        MetadataValue::Boolean(yes) => format!("boolean:{yes}"),
        MetadataValue::Timestamp(at) => {
            let at = EPOCH
                .checked_add(SignedDuration::from_millis(*at))
                .map_err(|_| Error::invalid("the timestamp is outside the years 1 to 9999"))?;
            format!("timestamp:{at:.3}Z")
        }
        MetadataValue::TextList(texts) => {
            let texts: Vec<String> = texts.iter().map(|text| escaped(text)).collect();
            format!("json:[{}]", texts.join(","))
        }
        _ => return Err(Error::unsupported("this vault cannot hold that kind of metadata")),
    })
}

/// Returns whether the server certainly accepts a text unchanged.
fn is_plain(text: &str) -> bool {
    !text.is_empty()
        && text.chars().all(|c| c == ' ' || c.is_ascii_graphic() || c.is_alphanumeric())
}

/// Returns a text as a JSON string, with all characters escaped except printable ASCII.
fn escaped(text: &str) -> String {
    let mut escaped = String::from("\"");
    for c in text.chars() {
        if (c == ' ' || c.is_ascii_graphic()) && !matches!(c, '"' | '\\') {
            escaped.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                escaped.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    escaped.push('"');
    escaped
}

/// Returns the value of a text with a type prefix; `None` without one.
fn typed(text: &str) -> Option<MetadataValue> {
    let (kind, rest) = text.split_once(':')?;
    Some(match kind {
        "json" if rest.starts_with('[') => {
            MetadataValue::TextList(serde_json::from_str(rest).ok()?)
        }
        "json" => MetadataValue::Text(serde_json::from_str(rest).ok()?),
        "integer" => MetadataValue::Integer(rest.parse().ok()?),
        "boolean" => MetadataValue::Boolean(rest.parse().ok()?),
        "timestamp" => {
            let at: DateTime = rest.strip_suffix('Z')?.parse().ok()?;
            MetadataValue::Timestamp(i64::try_from(at.duration_since(EPOCH).as_millis()).ok()?)
        }
        _ => return None,
    })
}

/// Returns the metadata from the server, without the plugin's own entry.
///
/// # Errors
/// `Corrupt` if it exceeds the plugin API's limits, which no server allows.
pub(crate) fn metadata(custom: &Custom) -> Result<Metadata> {
    let mut metadata = Metadata::new();
    for (key, text) in custom.iter().filter(|(key, _)| *key != KIND) {
        let value = typed(text).unwrap_or_else(|| MetadataValue::Text(text.clone()));
        metadata.insert(key, value).map_err(|error| {
            Error::corrupt(format!("the secret's custom metadata: {}", error.message()))
        })?;
    }
    Ok(metadata)
}

/// Adds a time that the server reports to a secret's metadata, read-only. An existing entry with
/// the same key stays: a user wrote it.
pub(crate) fn put_time(metadata: &mut Metadata, key: &str, time: &str) {
    if let (None, Ok(at)) = (metadata.get(key), time.parse::<Timestamp>()) {
        // An invalid time or an entry too many must not make the secret unreadable.
        let _ = metadata.insert_read_only(key, MetadataValue::Timestamp(at.as_millisecond()));
    }
}

/// Stores the kind of this version's value.
pub(crate) fn put_kind(custom: &mut Custom, version: u64, kind: ValueKind) {
    custom.insert(KIND.to_owned(), format!("{version} {kind}"));
}

/// Returns the kind of this version's value, if it is stored for this version: other programs may
/// have written newer ones.
pub(crate) fn kind(custom: &Custom, version: u64) -> Option<ValueKind> {
    let (of, kind) = custom.get(KIND)?.split_once(' ')?;
    (of.parse() == Ok(version)).then(|| ValueKind::parse(kind))?
}

/// Copies the stored kind of a value.
pub(crate) fn keep_kind(from: &Custom, to: &mut Custom) {
    if let Some(kind) = from.get(KIND) {
        to.insert(KIND.to_owned(), kind.clone());
    }
}

#[cfg(test)]
mod tests {
    use keystead_plugin_api::{MAX_TIMESTAMP_MILLIS, MIN_TIMESTAMP_MILLIS};

    use super::*;

    #[test]
    fn metadata_types_round_trip_as_custom_metadata() {
        let text = |text: &str| MetadataValue::Text(text.into());
        let list = |texts: &[&str]| {
            MetadataValue::TextList(texts.iter().map(|text| (*text).to_owned()).collect())
        };
        for (value, kept) in [
            (text("some text, ü"), "some text, ü"),
            (text(""), "json:\"\""),
            (text("integer:5"), "json:\"integer:5\""),
            (text("integer:five"), "integer:five"),
            (text("json:\"x\""), "json:\"json:\\u0022x\\u0022\""),
            (text("a\n\u{200b}😀\\"), "json:\"a\\u000a\\u200b\\ud83d\\ude00\\u005c\""),
            (list(&["b", "", "a,\"ü"]), r#"json:["b","","a,\u0022\u00fc"]"#),
            (list(&[]), "json:[]"),
            (text("json:[\"x\"]"), r#"json:"json:[\u0022x\u0022]""#),
            (text("json:[1]"), "json:[1]"),
            (MetadataValue::Integer(i64::MIN), "integer:-9223372036854775808"),
            (MetadataValue::Boolean(false), "boolean:false"),
            (MetadataValue::Timestamp(1_700_000_000_123), "timestamp:2023-11-14T22:13:20.123Z"),
            (MetadataValue::Timestamp(MIN_TIMESTAMP_MILLIS), "timestamp:0001-01-01T00:00:00.000Z"),
            (MetadataValue::Timestamp(MAX_TIMESTAMP_MILLIS), "timestamp:9999-12-31T23:59:59.999Z"),
        ] {
            let mut given = Metadata::new();
            given.insert("k", value).unwrap();
            let custom = custom(&given).unwrap();
            assert_eq!(custom["k"], kept);
            assert_eq!(metadata(&custom).unwrap(), given);
        }
    }

    #[test]
    fn metadata_beyond_server_limits_is_rejected_locally() {
        let of = |key: &str, text: &str| {
            let mut metadata = Metadata::new();
            metadata.insert(key, MetadataValue::Text(text.into())).unwrap();
            custom(&metadata)
        };
        assert!(of(&"k".repeat(128), &"x".repeat(512)).is_ok());
        assert!(of(&"k".repeat(129), "x").is_err());
        assert!(of("k", &"x".repeat(513)).is_err());
        assert!(of("a\u{200b}", "x").is_err());
        assert!(of(KIND, "1 text").is_err());
        let mut long = Metadata::new();
        let texts = MetadataValue::TextList(vec!["x".repeat(100); 5]);
        long.insert("k", texts).unwrap();
        let refused = custom(&long).unwrap_err();
        assert_eq!(refused.message(), "this vault keeps at most 512 bytes of `k`");
        let mut many = Metadata::new();
        for n in 0..64 {
            many.insert(format!("k{n}"), MetadataValue::Integer(n)).unwrap();
        }
        assert!(custom(&many).is_err());
    }

    #[test]
    fn server_time_is_read_only_and_keeps_custom_value() {
        let mut metadata = Metadata::new();
        metadata.insert("created", MetadataValue::Integer(3)).unwrap();
        let own = metadata.clone();
        put_time(&mut metadata, "created", "2023-11-14T22:13:20.123456789Z");
        put_time(&mut metadata, "updated", "");
        put_time(&mut metadata, "updated", "soon");
        assert_eq!(metadata, own);
        put_time(&mut metadata, "updated", "2023-11-14T22:13:20.123456789Z");
        let at = MetadataValue::Timestamp(1_700_000_000_123);
        assert_eq!(metadata.get("updated"), Some(&at));
        assert!(metadata.is_read_only("updated") && !metadata.is_read_only("created"));
    }

    #[test]
    fn value_kind_applies_only_to_its_recorded_version() {
        let mut custom = Custom::new();
        put_kind(&mut custom, 3, ValueKind::Bytes);
        assert_eq!(kind(&custom, 3), Some(ValueKind::Bytes));
        assert_eq!(kind(&custom, 4), None);
        assert!(metadata(&custom).unwrap().is_empty());
        custom.insert(KIND.into(), "3 nonsense".into());
        assert_eq!(kind(&custom, 3), None);
    }
}

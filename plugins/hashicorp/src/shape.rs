//! The shape of a value: what its fields alone do not tell. It is kept beside them only where
//! they would be read as something else.

use std::io::{self, Write};

use keystead_plugin_api::{Map, Value};
use serde::Deserialize;

/// The field that holds the shape of the others.
pub(crate) const FIELD: &str = "keystead.shape";

/// The shape of JSON that is a secret alone.
pub(crate) const JSON: &str = "\"json\"";

/// A kind, or for a map its keys in order with the shape of each value.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(crate) enum Shape {
    Kind(Kind),
    Map(Vec<(String, Shape)>),
}

/// The kinds of value that are no map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Text,
    Bytes,
    Credential,
    Json,
}

impl Shape {
    /// Returns the shape that this text is.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}

/// Says whether a map would be read as something else from its fields alone, or with its keys
/// in another order.
pub(crate) fn is_needed(map: &Map) -> bool {
    map.is_empty() || is_another(map, true) || !is_plain(map)
}

/// Says whether all that is in a map is in order and would be read as what it is.
fn is_plain(map: &Map) -> bool {
    let keys: Vec<&str> = map.iter().map(|(key, _)| key).collect();
    keys.is_sorted()
        && map.iter().all(|(_, value)| match value {
            Value::Map(inner) => !is_another(inner, false) && is_plain(inner),
            // A string would be read as a text, and an object as a map.
            Value::Json(json) => !json.expose().trim_start().starts_with(['"', '{']),
            _ => true,
        })
}

/// Says whether a map has just the fields of another kind of value.
fn is_another(map: &Map, outermost: bool) -> bool {
    let texts = map.iter().all(|(_, value)| matches!(value, Value::Text(_)));
    let mut keys: Vec<&str> = map.iter().map(|(key, _)| key).collect();
    keys.sort_unstable();
    texts
        && match keys.as_slice() {
            ["value"] => outermost,
            ["base64"] | ["password", "username"] => true,
            _ => false,
        }
}

/// Writes a map's shape.
pub(crate) fn write(to: &mut dyn Write, map: &Map) -> io::Result<()> {
    to.write_all(b"[")?;
    for (n, (key, value)) in map.iter().enumerate() {
        to.write_all(if n == 0 { b"[" } else { b",[" })?;
        crate::json::string(to, key)?;
        to.write_all(b",")?;
        match value {
            Value::Map(inner) => write(to, inner)?,
            Value::Bytes(_) => to.write_all(b"\"bytes\"")?,
            Value::Credential(_) => to.write_all(b"\"credential\"")?,
            Value::Json(_) => to.write_all(JSON.as_bytes())?,
            _ => to.write_all(b"\"text\"")?,
        }
        to.write_all(b"]")?;
    }
    to.write_all(b"]")
}

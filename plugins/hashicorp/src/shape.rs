//! The shape of a value: information that its fields do not contain. The plugin stores a shape only
//! if the fields alone would be read as another value.

use std::io::{self, Write};

use keystead_plugin_api::{Map, Value};
use serde::Deserialize;

/// Field with the shape of the other fields.
pub(crate) const FIELD: &str = "keystead.shape";

/// Shape of a secret that is JSON as a whole.
pub(crate) const JSON: &str = "\"json\"";

/// A value kind, or for a map its keys in order with the shape of each value.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(crate) enum Shape {
    Kind(Kind),
    Map(Vec<(String, Shape)>),
}

/// Value kinds except maps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Text,
    Bytes,
    Credential,
    Json,
}

impl Shape {
    /// Returns the parsed shape.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}

/// Returns whether a map needs a shape: without one, its value or key order would change.
pub(crate) fn is_needed(map: &Map) -> bool {
    map.is_empty() || is_another(map, true) || !is_plain(map)
}

/// Returns whether a map's keys are sorted and all values keep their kinds without a shape.
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

/// Returns whether a map has exactly the fields of another value kind.
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

/// Writes the shape of a map.
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

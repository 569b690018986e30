//! A pin as TOML: read strictly, so that a pin never means less than it says.

use std::path::Path;

use serde::Deserialize;
use toml_edit::{DocumentMut, value};

use super::{Digest, Error, InProcess, Pin, PinEntry, PinLayer, PluginId};

/// The version of the form this host writes, and the only one it reads.
pub(super) const SCHEMA: i64 = 1;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Text {
    schema: i64,
    id: Option<String>,
    sha256: Option<String>,
    trust_source: Option<String>,
    #[serde(default)]
    deny: bool,
    #[serde(default)]
    in_process: bool,
    size: Option<u64>,
    version: Option<String>,
    source: Option<String>,
    trusted_at: Option<String>,
}

/// Reads the pin of this layer whose file is named for `stem`.
pub(super) fn read(
    bytes: &[u8],
    stem: &str,
    layer: PinLayer,
    path: &Path,
) -> Result<PinEntry, Error> {
    let invalid = |what: String| Error::Invalid { path: path.to_owned(), what };
    let text = std::str::from_utf8(bytes).map_err(|_| invalid("it is not UTF-8".to_owned()))?;
    let pin: Text = toml::from_str(text).map_err(|error| malformed(&error, text, path))?;
    if pin.schema != SCHEMA {
        return Err(Error::Version { path: path.to_owned(), found: pin.schema });
    }
    let hash = |text: &str| Digest::parse(text).map_err(|e| invalid(e.to_string()));

    if pin.deny {
        if layer != PinLayer::Administrator {
            return Err(invalid("only the administrator can say `deny`".to_owned()));
        }
        let named = match (&pin.id, &pin.sha256) {
            (Some(id), None) => {
                PluginId::parse(id).map_err(|e| invalid(e.to_string()))?.to_string()
            }
            (None, Some(sha256)) => hash(sha256)?.to_string(),
            _ => return Err(invalid("a denial has either `id` or `sha256`".to_owned())),
        };
        if named != stem {
            return Err(invalid(format!("it denies `{named}`, and is not named `{named}.toml`")));
        }
        return Ok(PinEntry::Denial);
    }

    let missing = |key: &str| invalid(format!("`{key}` is missing"));
    let id = pin.id.ok_or_else(|| missing("id"))?;
    let id = PluginId::parse(&id).map_err(|e| invalid(e.to_string()))?;
    if id.as_str() != stem {
        return Err(invalid(format!("it is for plugin `{id}`, and is not named `{id}.toml`")));
    }
    let trust_source = pin.trust_source.ok_or_else(|| missing("trust-source"))?;
    if trust_source != layer.as_str() {
        return Err(invalid(format!(
            "`trust-source` is not `{}`, whose directory it lies in",
            layer.as_str()
        )));
    }
    let version = match pin.version {
        None => None,
        Some(text) => Some(
            semver::Version::parse(&text)
                .map_err(|e| invalid(format!("`version` is not a version: {e}")))?,
        ),
    };
    let trusted_at = match pin.trusted_at {
        None => None,
        Some(text) => Some(
            text.parse().map_err(|_| invalid("`trusted-at` is not an RFC 3339 time".to_owned()))?,
        ),
    };
    Ok(PinEntry::Pin(Pin {
        id,
        sha256: hash(&pin.sha256.ok_or_else(|| missing("sha256"))?)?,
        layer,
        in_process: if pin.in_process { InProcess::Danger } else { InProcess::Never },
        size: pin.size,
        version,
        source: pin.source,
        trusted_at,
    }))
}

/// Writes the pin as TOML; [`read`] parses it again.
pub(super) fn write(pin: &Pin) -> String {
    let mut text = DocumentMut::new();
    text["schema"] = value(SCHEMA);
    text["id"] = value(pin.id.as_str());
    text["sha256"] = value(pin.sha256.to_string());
    text["trust-source"] = value(pin.layer.as_str());
    if pin.in_process == InProcess::Danger {
        text["in-process"] = value(true);
    }
    if let Some(size) = pin.size.and_then(|size| i64::try_from(size).ok()) {
        text["size"] = value(size);
    }
    if let Some(version) = &pin.version {
        text["version"] = value(version.to_string());
    }
    if let Some(source) = &pin.source {
        text["source"] = value(source);
    }
    if let Some(at) = pin.trusted_at {
        text["trusted-at"] = value(at.to_string());
    }
    text.to_string()
}

fn malformed(error: &toml::de::Error, text: &str, path: &Path) -> Error {
    let start = error.span().map_or(0, |span| span.start);
    let (line, column) = super::position(text.as_bytes(), start);
    Error::Malformed { path: path.to_owned(), line, column, what: error.message().to_owned() }
}

//! JSON in wiped memory, read and written without a tree of copies.

use std::io::{self, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keystead_plugin_api::{Error, Result, SecretBytes};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

/// Returns the written JSON in a buffer that never grew: the first of two passes only counts the
/// bytes.
pub(crate) fn written(write: impl Fn(&mut dyn Write) -> io::Result<()>) -> Result<SecretBytes> {
    let failed = |_| Error::internal("JSON could not be written");
    let mut count = Count(0);
    write(&mut count).map_err(failed)?;
    let mut bytes = Vec::with_capacity(count.0);
    write(&mut bytes).map_err(failed)?;
    Ok(SecretBytes::new(bytes))
}

struct Count(usize);

impl Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes a string, with its quotes.
pub(crate) fn string(to: &mut dyn Write, text: &str) -> io::Result<()> {
    Ok(serde_json::to_writer(to, text)?)
}

/// Writes bytes as a base64 string, in pieces.
pub(crate) fn base64(to: &mut dyn Write, bytes: &[u8]) -> io::Result<()> {
    to.write_all(b"\"")?;
    let mut piece = Zeroizing::new([0; 4096]);
    for part in bytes.chunks(3072) {
        let length = STANDARD.encode_slice(part, &mut piece[..]).map_err(io::Error::other)?;
        to.write_all(&piece[..length])?;
    }
    to.write_all(b"\"")
}

/// Returns the bytes of a base64 text; `None` unless it has the form that this plugin writes.
pub(crate) fn from_base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// An object whose values are unparsed JSON text.
pub(crate) type Object<'a> = std::collections::BTreeMap<String, &'a RawValue>;

/// Returns the parsed string; `None` for any other JSON.
pub(crate) fn as_string(raw: &RawValue) -> Option<String> {
    raw.get().starts_with('"').then(|| serde_json::from_str(raw.get()).ok())?
}

/// Returns the parsed object; `None` for any other JSON.
pub(crate) fn as_object(raw: &RawValue) -> Option<Object<'_>> {
    raw.get().starts_with('{').then(|| serde_json::from_str(raw.get()).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunked_base64_matches_standard_encoding() {
        for length in [0, 1, 2, 3, 3071, 3072, 3073, 10_000] {
            let bytes: Vec<u8> = (0..length).map(|n| n as u8).collect();
            let written = written(|to| base64(to, &bytes)).unwrap();
            let text: String = serde_json::from_slice(written.expose()).unwrap();
            assert_eq!(text, STANDARD.encode(&bytes), "{length}");
            assert_eq!(from_base64(&text).unwrap(), bytes);
        }
    }

    #[test]
    fn json_members_are_read_unchanged_and_by_type() {
        let raw: &RawValue = serde_json::from_str("{\"n\": 1.50, \"s\": \"a\\u00fc\"}").unwrap();
        let object = as_object(raw).unwrap();
        assert_eq!(object["n"].get(), "1.50");
        assert_eq!(as_string(object["s"]).unwrap(), "aü");
        assert!(as_string(object["n"]).is_none() && as_object(object["s"]).is_none());
    }
}

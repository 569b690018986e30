//! Conversion between a file's bytes and a value: UTF-8 content is text unless it is marked as
//! bytes. The mark is a line in the directory's index, or an attribute that earlier builds set.

use std::fs::File;

use keystead_plugin_api::{Error, MAX_VALUE_BYTES, Result, SecretBytes, SecretText, Value};

/// Attribute that marked the UTF-8 content of a file as bytes before the index existed
/// ([`crate::kinds`]).
const MARK: &str = "user.keystead.kind";

/// Content of the attribute.
const BYTES: &[u8] = b"bytes";

/// Treatment of the line end at the end of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Newline {
    /// The line end is part of the text, as every other byte.
    Kept,
    /// A read removes one line end, `\n` or `\r\n`, and a write appends one.
    Trimmed,
}

/// Mark of a file as bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    /// The file is not marked.
    None,
    /// The file is marked as bytes.
    Bytes,
}

impl Mark {
    /// Returns the mark in an open file's attribute; `None` if the file system has no attributes.
    pub(crate) fn of(file: &File) -> Self {
        let mut found = [0u8; 16];
        match rustix::fs::fgetxattr(file, MARK, &mut found[..]) {
            Ok(len) if found.get(..len) == Some(BYTES) => Self::Bytes,
            _ => Self::None,
        }
    }
}

/// Returns the value of a file's content.
///
/// # Errors
/// `Unsupported` if the content exceeds the size limit of a secret.
pub(crate) fn value(content: SecretBytes, mark: Mark, newline: Newline) -> Result<Value> {
    let value = match (mark, std::str::from_utf8(content.expose())) {
        (Mark::None, Ok(text)) => match (newline, line(text)) {
            (Newline::Trimmed, Some(line)) => {
                Value::Text(SecretText::from_bytes(SecretBytes::copy_of(line.as_bytes()))?)
            }
            _ => Value::Text(SecretText::from_bytes(content)?),
        },
        _ => Value::Bytes(content),
    };
    match value.encoded_len() {
        Ok(_) => Ok(value),
        Err(_) => Err(too_large()),
    }
}

/// Returns a text without its last line end, `\n` or `\r\n`, if there is one.
fn line(text: &str) -> Option<&str> {
    let line = text.strip_suffix('\n')?;
    Some(line.strip_suffix('\r').unwrap_or(line))
}

/// Returns the error for content that exceeds the size limit of a secret.
pub(crate) fn too_large() -> Error {
    Error::unsupported(format!("more than the {MAX_VALUE_BYTES} bytes that a secret may have"))
}

/// Returns the content and the mark of the file that stores a value.
///
/// # Errors
/// `Unsupported` if the value is neither text nor bytes.
pub(crate) fn content(value: Value, newline: Newline) -> Result<(SecretBytes, Mark)> {
    match value {
        Value::Text(text) if newline == Newline::Kept => Ok((text.into_bytes(), Mark::None)),
        Value::Text(text) => {
            // Full capacity from the start: growing would leave a copy behind.
            let mut line = Vec::with_capacity(text.expose().len() + 2);
            line.extend_from_slice(text.expose().as_bytes());
            // After a carriage return in the text, a reader would take `\n` alone for `\r\n`.
            let end: &[u8] = if text.expose().ends_with('\r') { b"\r\n" } else { b"\n" };
            line.extend_from_slice(end);
            Ok((SecretBytes::new(line), Mark::None))
        }
        Value::Bytes(bytes) => {
            let is_text = std::str::from_utf8(bytes.expose()).is_ok();
            Ok((bytes, if is_text { Mark::Bytes } else { Mark::None }))
        }
        other => Err(Error::unsupported(format!(
            "a file holds a text or bytes, and this is a {}",
            other.kind()
        ))),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

    use super::*;
    use keystead_plugin_api::{ErrorKind, Map};

    #[test]
    fn written_values_round_trip_with_both_newline_rules() {
        let values = || {
            [
                Value::text(""),
                Value::text("canary"),
                Value::text("canary\n"),
                Value::text("canary\n\n"),
                Value::text("canary\r\n"),
                Value::text("canary\r"),
                Value::text("\r\r"),
                Value::text("\n"),
                Value::text("\u{feff}canary\0"),
                Value::bytes(Vec::new()),
                Value::bytes(b"canary\n".to_vec()),
                Value::bytes(b"\xff\n".to_vec()),
            ]
        };
        for newline in [Newline::Kept, Newline::Trimmed] {
            for set in values() {
                let expected = set.duplicate();
                let (written, mark) = content(set, newline).unwrap();
                assert_eq!(value(written, mark, newline).unwrap(), expected, "{newline:?}");
            }
        }
    }

    #[test]
    fn unmarked_file_is_text_if_utf8_and_bytes_otherwise() {
        let read = |bytes: &[u8], newline| {
            value(SecretBytes::copy_of(bytes), Mark::None, newline).unwrap()
        };
        assert_eq!(read(b"canary\n", Newline::Kept), Value::text("canary\n"));
        assert_eq!(read(b"canary\n", Newline::Trimmed), Value::text("canary"));
        assert_eq!(read(b"canary", Newline::Trimmed), Value::text("canary"));
        assert_eq!(read(b"canary\r\n", Newline::Trimmed), Value::text("canary"));
        assert_eq!(read(b"canary\r\n", Newline::Kept), Value::text("canary\r\n"));
        assert_eq!(read(b"canary\r\n\r\n", Newline::Trimmed), Value::text("canary\r\n"));
        assert_eq!(read(b"canary\r", Newline::Trimmed), Value::text("canary\r"));
        assert_eq!(read(b"\x80\n", Newline::Trimmed), Value::bytes(b"\x80\n".to_vec()));
        assert_eq!(read(b"", Newline::Trimmed), Value::text(""));
    }

    #[test]
    fn value_over_size_limit_is_rejected() {
        let overhead = Value::text("").encoded_len().unwrap();
        let read = |len: usize| value(SecretBytes::new(vec![b'x'; len]), Mark::None, Newline::Kept);
        // The length itself takes a few bytes more in a large value.
        let most = (0..16).map(|less| MAX_VALUE_BYTES - overhead - less);
        let most = most.into_iter().find(|len| read(*len).is_ok()).unwrap();
        let error = read(most + 1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }

    #[test]
    fn credential_and_map_values_are_rejected_by_kind() {
        for (value, kind) in
            [(Value::credential("bob", "canary"), "credential"), (Value::Map(Map::new()), "map")]
        {
            let error = content(value, Newline::Kept).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            assert_eq!(
                error.message(),
                format!("a file holds a text or bytes, and this is a {kind}")
            );
        }
    }
}

//! JSON that is safe to show on a terminal. Control characters and invisible characters in strings
//! are escaped (`\u009b`); a parser reads the same strings.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

use crate::escape::is_harmful;

/// Returns a Keystead object as JSON.
///
/// # Panics
/// If JSON cannot represent the object: a map whose keys are not texts.
pub fn to_string(object: &impl Serialize) -> String {
    let mut bytes = Vec::new();
    to_writer(&mut bytes, object).expect("our own types are JSON");
    String::from_utf8(bytes).expect("JSON is UTF-8")
}

/// Writes a Keystead object as JSON.
///
/// # Errors
/// Those of the writer.
pub fn to_writer(writer: impl Write, object: &impl Serialize) -> io::Result<()> {
    object.serialize(&mut Serializer::with_formatter(writer, Escaping)).map_err(io::Error::from)
}

/// Passes a text to `put` in pieces, and escapes each character for which `is_escaped` is true.
pub(super) fn pieces<E>(
    text: &str,
    is_escaped: impl Fn(char) -> bool,
    mut put: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let mut rest = text;
    while let Some((at, c)) = rest.char_indices().find(|(_, c)| is_escaped(*c)) {
        put(&rest.as_bytes()[..at])?;
        match c {
            '"' | '\\' => put(&[b'\\', c as u8])?,
            '\n' => put(b"\\n")?,
            '\r' => put(b"\\r")?,
            '\t' => put(b"\\t")?,
            c => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    put(&hex(*unit))?;
                }
            }
        }
        rest = &rest[at + c.len_utf8()..];
    }
    put(rest.as_bytes())
}

/// Returns the escape of a UTF-16 code unit.
fn hex(unit: u16) -> [u8; 6] {
    let digit = |shift: u16| b"0123456789abcdef"[usize::from(unit >> shift & 15)];
    [b'\\', b'u', digit(12), digit(8), digit(4), digit(0)]
}

struct Escaping;

impl Formatter for Escaping {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        pieces(fragment, is_harmful, |piece| writer.write_all(piece))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn harmful_characters_are_escaped_in_texts_and_keys() {
        let object =
            std::collections::BTreeMap::from([("k\u{202e}", "\u{9b}\x1b\x7f\n\"\u{e0041}é🔑")]);
        assert_eq!(
            to_string(&object),
            "{\"k\\u202e\":\"\\u009b\\u001b\\u007f\\n\\\"\\udb40\\udc41é🔑\"}"
        );
    }

    proptest! {
        #[test]
        fn escaped_json_parses_back_to_same_text(
            text in proptest::collection::vec(any::<char>(), 0..20),
            harmful in "[\u{0}-\u{20}\u{7f}-\u{a0}\u{200b}-\u{2070}\u{e0000}-\u{e0100}\"\\\\a]{0,20}",
        ) {
            let texts = (text.into_iter().collect::<String>(), harmful);
            let json = to_string(&texts);
            prop_assert_eq!(json.chars().find(|c| is_harmful(*c)), None);
            prop_assert_eq!(serde_json::from_str::<(String, String)>(&json).unwrap(), texts);
        }
    }
}

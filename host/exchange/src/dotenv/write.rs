//! Writes entries of environment files, quoted so that Keystead, shells and, where possible,
//! python-dotenv read the same value.

use keystead_plugin_api::{SecretName, Value};
use zeroize::Zeroizing;

/// Treatment of names that are not valid keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keys {
    /// Invalid names are rejected.
    Same,
    /// Letters become upper case, and invalid characters become underscores: `db/user` is
    /// `DB_USER`.
    Upper,
}

/// Returns the key of a secret.
///
/// # Errors
/// The reason why the name has no key.
pub fn key(name: &SecretName, keys: Keys) -> Result<String, &'static str> {
    let name = name.as_str();
    let starts = |c: char| c.is_ascii_alphabetic() || c == '_';
    let goes_on = |c: char| starts(c) || c.is_ascii_digit();
    match keys {
        Keys::Same if name.starts_with(starts) && name.chars().all(goes_on) => Ok(name.to_owned()),
        Keys::Same => Err("its name is no key of an environment file"),
        Keys::Upper => {
            let mut key = String::with_capacity(name.len() + 1);
            if !name.starts_with(|c| !char::is_ascii_digit(&c)) {
                key.push('_');
            }
            key.extend(name.chars().map(|c| if goes_on(c) { c.to_ascii_uppercase() } else { '_' }));
            Ok(key)
        }
    }
}

/// Returns the entry of a key, with its end.
///
/// # Errors
/// The reason why an environment file cannot hold this value.
pub fn write(key: &str, value: &Value) -> Result<Zeroizing<Vec<u8>>, String> {
    let Value::Text(text) = value else {
        return Err(format!("an environment file cannot hold a value of kind {}", value.kind()));
    };
    let text = text.expose();
    if text.contains('\0') {
        return Err("no environment variable can hold a NUL character".to_owned());
    }
    let quotes = Quotes::of(text);
    let escapes = text.bytes().filter(|byte| quotes.escapes(*byte)).count();
    let quote: &[u8] = match quotes {
        Quotes::None => b"",
        Quotes::Single => b"'",
        Quotes::Double => b"\"",
    };
    let len = key.len() + 1 + quote.len() + text.len() + escapes + quote.len() + 1;
    let mut line = Zeroizing::new(Vec::with_capacity(len));
    for piece in [key.as_bytes(), b"=", quote] {
        line.extend_from_slice(piece);
    }
    for byte in text.bytes() {
        if quotes.escapes(byte) {
            line.push(b'\\');
        }
        line.push(byte);
    }
    line.extend_from_slice(quote);
    line.push(b'\n');
    debug_assert_eq!(line.len(), len, "it grew");
    Ok(line)
}

/// Maximum size in bytes of a line for `docker run --env-file`, without its end.
const MAX_BARE_LINE: usize = 64 * 1024 - 1;

/// Returns the entry of a key, with its end, in the format of `docker run --env-file` and Podman.
/// The value is all text after the `=`, with quotes and blanks.
///
/// # Errors
/// The reason why that format cannot hold this value.
pub fn write_bare(key: &str, value: &Value) -> Result<Zeroizing<Vec<u8>>, String> {
    let Value::Text(text) = value else {
        return Err(format!("an environment file cannot hold a value of kind {}", value.kind()));
    };
    let text = text.expose();
    if text.contains('\0') {
        return Err("no environment variable can hold a NUL character".to_owned());
    }
    if text.contains(['\n', '\r']) {
        return Err(
            "its value has line breaks, which a file for `--env-file` cannot hold".to_owned()
        );
    }
    let len = key.len() + 1 + text.len();
    if len > MAX_BARE_LINE {
        return Err(format!("its line has {len} bytes; `docker` reads at most {MAX_BARE_LINE}"));
    }
    let mut line = Zeroizing::new(Vec::with_capacity(len + 1));
    for piece in [key.as_bytes(), b"=", text.as_bytes(), b"\n"] {
        line.extend_from_slice(piece);
    }
    Ok(line)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quotes {
    None,
    Single,
    Double,
}

impl Quotes {
    fn of(text: &str) -> Self {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_./:@%+,=-".contains(&byte);
        // `AB==` looks like the end of base64.
        let is_padding = text.bytes().all(|byte| byte == b'=');
        // The reader takes such a value for the first line of key material.
        let is_block = text.starts_with("-----BEGIN");
        if !is_padding && !is_block && text.bytes().all(is_plain) {
            return Self::None;
        }
        // Shells keep text between single quotes unchanged. python-dotenv reads `\\` and `\'` as
        // escapes there, and does not know `\$` in double quotes.
        let single = !text.contains('\'');
        let single_for_all = single && !text.contains("\\\\") && !text.ends_with('\\');
        let double_for_all = !text.contains(['$', '`']) && !text.ends_with('\\');
        match (single_for_all, double_for_all) {
            (true, _) => Self::Single,
            (false, true) => Self::Double,
            (false, false) if single => Self::Single,
            (false, false) => Self::Double,
        }
    }

    fn escapes(self, byte: u8) -> bool {
        self == Self::Double && b"\\\"$`".contains(&byte)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(text: &str) -> String {
        String::from_utf8(write("K", &Value::text(text)).unwrap().to_vec()).unwrap()
    }

    #[test]
    fn value_is_written_with_least_quoting() {
        assert_eq!(entry("postgres://a@b:5432/c?d=1"), "K='postgres://a@b:5432/c?d=1'\n");
        assert_eq!(entry("8080"), "K=8080\n");
        assert_eq!(entry(""), "K=''\n");
        assert_eq!(entry("="), "K='='\n");
        assert_eq!(entry("-----BEGIN"), "K='-----BEGIN'\n");
        assert_eq!(entry("a b$c\"d\n"), "K='a b$c\"d\n'\n");
        assert_eq!(entry("it's \"x\" \\n"), "K=\"it's \\\"x\\\" \\\\n\"\n");
        assert_eq!(entry("C:\\dir"), "K='C:\\dir'\n");
        assert_eq!(entry("it's $5"), "K=\"it's \\$5\"\n");
        assert_eq!(entry("a\\"), "K='a\\'\n");
    }

    #[test]
    fn nul_byte_and_non_text_values_are_rejected() {
        assert!(write("K", &Value::text("a\0b")).is_err());
        assert_eq!(
            write("K", &Value::bytes(vec![1])).unwrap_err(),
            "an environment file cannot hold a value of kind bytes"
        );
        assert!(write("K", &Value::credential("u", "p")).is_err());
    }

    #[test]
    fn bare_lines_have_no_quotes_and_refuse_line_breaks() {
        let bare = |text: &str| write_bare("K", &Value::text(text));
        for text in ["", " a 'b' \"c\" #d $e\\ "] {
            assert_eq!(bare(text).unwrap().as_slice(), format!("K={text}\n").as_bytes());
        }
        for text in ["a\nb", "a\r", "a\0", &"x".repeat(64 * 1024 - 2)] {
            assert!(bare(text).is_err(), "{}", text.len());
        }
        assert!(bare(&"x".repeat(64 * 1024 - 3)).is_ok());
        assert!(write_bare("K", &Value::bytes(vec![1])).is_err());
    }

    #[test]
    fn name_is_converted_to_env_key_only_with_upper() {
        let name = |text: &str| SecretName::parse(text).unwrap();
        assert_eq!(key(&name("DB_user1"), Keys::Same), Ok("DB_user1".to_owned()));
        for text in ["db/user", "1st", "é", "a b", "a-b"] {
            assert!(key(&name(text), Keys::Same).is_err(), "{text}");
        }
        for (text, upper) in [("db/user", "DB_USER"), ("1st", "_1ST"), ("é", "_"), ("aB-c", "AB_C")]
        {
            assert_eq!(key(&name(text), Keys::Upper), Ok(upper.to_owned()));
        }
    }
}

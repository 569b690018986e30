//! One JSON text (RFC 8259), checked once when it is made and never changed: numbers, blanks and
//! the order of members stay as they were written.

use std::borrow::Cow;

use zeroize::Zeroize;

use super::{SecretBytes, SecretText};
use crate::error::{Error, Result};

/// The most levels of arrays and objects in a [`JsonText`].
pub const MAX_JSON_DEPTH: usize = 128;

/// One JSON text: secret, and byte for byte as it was given. An object has each member's name once.
///
/// A vault keeps what the text says: each number, each text, each list in its order. It may give it
/// back with other blanks, another order of an object's members, other escapes and another spelling of
/// the same number, as a server does that reads JSON and writes it again: [`JsonText::is_same`]. What
/// it would change, such as a number with more digits than it keeps, it refuses.
///
/// # Examples
/// ```
/// use keystead_plugin_api::{JsonText, SecretText};
/// let json = JsonText::parse(SecretText::new(r#"{"port": 5432, "hosts": ["a", null]}"#)).unwrap();
/// assert_eq!(format!("{json:?}"), "[redacted]");
/// assert!(JsonText::parse(SecretText::new("{'port': 5432}")).is_err());
/// ```
#[derive(PartialEq, Eq)]
pub struct JsonText(SecretText);

impl JsonText {
    /// Returns the text, if it is one JSON text.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) where it is not, has more than
    /// [`MAX_JSON_DEPTH`] levels, or an object with a name twice. The error has a place, and nothing of the text.
    pub fn parse(text: SecretText) -> Result<Self> {
        let bytes = text.expose().as_bytes();
        let mut scanner = Scanner { bytes, at: 0 };
        match scanner.whole() {
            Ok(()) => Ok(Self(text)),
            Err(problem) => {
                Err(Error::invalid(format!("not JSON at byte {}: {problem}", scanner.at)))
            }
        }
    }

    /// Copies these bytes as JSON; the caller's copy stays the caller's to wipe.
    pub(crate) fn copy_of(bytes: &[u8]) -> Result<Self> {
        Self::parse(SecretText::copy_of(bytes)?)
    }

    /// Returns the text itself. Whatever is copied from it is yours to wipe.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// Returns it as a text.
    pub fn into_text(self) -> SecretText {
        self.0
    }

    /// Returns the text's bytes, still wiped on drop.
    pub fn into_bytes(self) -> SecretBytes {
        self.0.into_bytes()
    }

    /// Returns a second copy of the secret.
    pub fn duplicate(&self) -> Self {
        Self(self.0.duplicate())
    }

    /// Returns whether two texts say the same: blanks, the order of an object's members, escapes and
    /// the spelling of a number make no difference.
    ///
    /// # Examples
    /// ```
    /// use keystead_plugin_api::{JsonText, SecretText};
    /// let json = |text: &str| JsonText::parse(SecretText::new(text)).unwrap();
    /// assert!(json(r#"{"a": 1.50, "b": "\u0041"}"#).is_same(&json(r#"{"b":"A","a":15e-1}"#)));
    /// assert!(!json("[1, 2]").is_same(&json("[2, 1]")));
    /// ```
    pub fn is_same(&self, other: &Self) -> bool {
        self.expose() == other.expose() || self.plain().expose() == other.plain().expose()
    }

    /// Returns what texts have in common that say the same.
    fn plain(&self) -> SecretBytes {
        let mut out = Vec::with_capacity(self.expose().len() * 2);
        let mut scanner = Scanner { bytes: self.expose().as_bytes(), at: 0 };
        scanner.plain(&mut out);
        SecretBytes::new(out)
    }
}

impl std::fmt::Debug for JsonText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

/// An array or object that is open: its closing bracket, and the names that it has.
struct Open<'a> {
    end: u8,
    names: Vec<&'a [u8]>,
}

impl Open<'_> {
    /// Checks that no name is there twice, however it is written.
    fn close(&mut self) -> Checked {
        let mut names: Vec<Cow<'_, [u8]>> = self.names.iter().map(|name| unescaped(name)).collect();
        names.sort_unstable();
        let twice = names.windows(2).any(|pair| pair[0] == pair[1]);
        for name in &mut names {
            if let Cow::Owned(name) = name {
                name.zeroize();
            }
        }
        if twice {
            return Err("an object before it has a name twice");
        }
        Ok(())
    }
}

/// Returns a string's content without escapes, in UTF-16 where it had one: only to be compared.
fn unescaped(raw: &[u8]) -> Cow<'_, [u8]> {
    if !raw.contains(&b'\\') {
        return Cow::Borrowed(raw);
    }
    let text = std::str::from_utf8(raw).unwrap_or_default();
    let mut units: Vec<u16> = Vec::with_capacity(raw.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        let c = match (c, if c == '\\' { rest.next() } else { None }) {
            (_, Some('u')) => {
                let digits = rest.as_str().get(..4).unwrap_or_default();
                units.push(u16::from_str_radix(digits, 16).unwrap_or_default());
                rest = rest.as_str().get(4..).unwrap_or_default().chars();
                continue;
            }
            (_, Some('b')) => '\u{8}',
            (_, Some('f')) => '\u{c}',
            (_, Some('n')) => '\n',
            (_, Some('r')) => '\r',
            (_, Some('t')) => '\t',
            (_, Some(plain)) => plain,
            (plain, None) => plain,
        };
        units.extend_from_slice(c.encode_utf16(&mut [0; 2]));
    }
    let text = char::decode_utf16(units.iter().copied());
    let mut bytes = Vec::with_capacity(units.len() * 4);
    for unit in text {
        match unit {
            Ok(c) => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            // Half a pair, which no UTF-8 has: with a byte in front that no UTF-8 has either.
            Err(half) => {
                bytes.push(0xff);
                bytes.extend_from_slice(&half.unpaired_surrogate().to_le_bytes());
            }
        }
    }
    units.zeroize();
    Cow::Owned(bytes)
}

/// Walks over a text with a stack of its own, which is never deeper than the limit.
struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
}

type Checked<T = ()> = std::result::Result<T, &'static str>;

impl<'a> Scanner<'a> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn take(&mut self, wanted: u8, problem: &'static str) -> Checked {
        if self.peek() != Some(wanted) {
            return Err(problem);
        }
        self.at += 1;
        Ok(())
    }

    fn whole(&mut self) -> Checked {
        let mut open: Vec<Open<'a>> = Vec::new();
        loop {
            self.blanks();
            match self.peek() {
                Some(start @ (b'{' | b'[')) => {
                    self.at += 1;
                    if open.len() == MAX_JSON_DEPTH {
                        return Err("too many levels");
                    }
                    let end = if start == b'{' { b'}' } else { b']' };
                    self.blanks();
                    if self.peek() == Some(end) {
                        self.at += 1;
                    } else {
                        let names = if start == b'{' { vec![self.name()?] } else { Vec::new() };
                        open.push(Open { end, names });
                        continue;
                    }
                }
                _ => self.scalar()?,
            }
            // A value has ended: close what ends with it, or go on to the next.
            loop {
                self.blanks();
                match (open.last_mut(), self.peek()) {
                    (None, None) => return Ok(()),
                    (None, Some(_)) => return Err("something follows the text"),
                    (Some(last), Some(found)) if last.end == found => {
                        self.at += 1;
                        last.close()?;
                        open.pop();
                    }
                    (Some(last), Some(b',')) => {
                        self.at += 1;
                        if last.end == b'}' {
                            self.blanks();
                            last.names.push(self.name()?);
                        }
                        break;
                    }
                    _ => return Err("a comma or a closing bracket is missing"),
                }
            }
        }
    }

    /// Takes a member's name and its colon, and returns what is between its quotes.
    fn name(&mut self) -> Checked<&'a [u8]> {
        let start = self.at + 1;
        self.string("a member's name is missing")?;
        let name = &self.bytes[start..self.at - 1];
        self.blanks();
        self.take(b':', "a colon is missing")?;
        Ok(name)
    }

    fn scalar(&mut self) -> Checked {
        match self.peek() {
            Some(b'"') => self.string("a text is missing"),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => {
                for word in [&b"true"[..], b"false", b"null"] {
                    if self.bytes[self.at..].starts_with(word) {
                        self.at += word.len();
                        return Ok(());
                    }
                }
                Err("a value is missing")
            }
        }
    }

    fn string(&mut self, missing: &'static str) -> Checked {
        self.take(b'"', missing)?;
        loop {
            match self.peek().ok_or("a text does not end")? {
                b'"' => {
                    self.at += 1;
                    return Ok(());
                }
                b'\\' => {
                    self.at += 1;
                    match self.peek() {
                        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {}
                        Some(b'u') => {
                            let digits = self.bytes.get(self.at + 1..self.at + 5);
                            let digits = digits.ok_or("an escape does not end")?;
                            if !digits.iter().all(u8::is_ascii_hexdigit) {
                                return Err("an escape is none");
                            }
                            self.at += 4;
                        }
                        _ => return Err("an escape is none"),
                    }
                    self.at += 1;
                }
                0..=0x1f => return Err("a text has a control character"),
                _ => self.at += 1,
            }
        }
    }

    fn number(&mut self) -> Checked {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    /// Appends what the next value says, of a text that was checked: its depth has a limit.
    fn plain(&mut self, out: &mut Vec<u8>) {
        self.blanks();
        let start = self.at;
        match self.peek() {
            Some(b'{') => {
                self.at += 1;
                let mut members = Vec::new();
                while self.is_more(b'}') {
                    let mut member = Vec::new();
                    if let Ok(name) = self.name() {
                        text(name, &mut member);
                    }
                    self.plain(&mut member);
                    members.push(SecretBytes::new(member));
                }
                members.sort_unstable_by(|one, other| one.expose().cmp(other.expose()));
                out.push(b'{');
                members.iter().for_each(|member| out.extend_from_slice(member.expose()));
                out.push(b'}');
            }
            Some(b'[') => {
                self.at += 1;
                out.push(b'[');
                while self.is_more(b']') {
                    self.plain(out);
                }
                out.push(b']');
            }
            Some(b'"') => {
                let _ = self.string("");
                text(&self.bytes[start + 1..self.at - 1], out);
            }
            Some(b'-' | b'0'..=b'9') => {
                let _ = self.number();
                number(&self.bytes[start..self.at], out);
            }
            _ => {
                let _ = self.scalar();
                out.extend_from_slice(&self.bytes[start..self.at]);
            }
        }
    }

    /// Goes on to the next item; false at the end, which is taken.
    fn is_more(&mut self, end: u8) -> bool {
        self.blanks();
        if self.peek() == Some(b',') {
            self.at += 1;
            self.blanks();
        }
        let ends = self.peek().map_or(true, |found| found == end);
        self.at += usize::from(ends);
        !ends
    }

    fn digits(&mut self) -> Checked {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start {
            return Err("a digit is missing");
        }
        Ok(())
    }
}

/// Appends a text behind its length.
fn text(raw: &[u8], out: &mut Vec<u8>) {
    let mut text = unescaped(raw);
    out.extend_from_slice(format!("{}:", text.len()).as_bytes());
    out.extend_from_slice(&text);
    if let Cow::Owned(text) = &mut text {
        text.zeroize();
    }
}

/// Appends a number as its digits without zeros at either end, and the power of ten that they are
/// of. An exponent beyond any sense stays as it is written.
fn number(raw: &[u8], out: &mut Vec<u8>) {
    let end = raw.iter().position(|byte| matches!(byte, b'e' | b'E')).unwrap_or(raw.len());
    let exponent = raw.get(end + 1..).unwrap_or_default();
    let exponent = std::str::from_utf8(exponent).unwrap_or_default();
    let mut power: i64 = match exponent.trim_start_matches('+').parse::<i32>() {
        Ok(power) => power.into(),
        Err(_) if exponent.is_empty() => 0,
        Err(_) => return out.extend_from_slice(raw),
    };
    let (sign, digits) = match raw[..end].split_first() {
        Some((b'-', digits)) => ("-", digits),
        _ => ("", &raw[..end]),
    };
    let point = digits.iter().position(|byte| *byte == b'.');
    power -= point.map_or(0, |point| digits.len() - point - 1) as i64;
    let mut digits: Vec<u8> = digits.iter().copied().filter(|byte| *byte != b'.').collect();
    while digits.last() == Some(&b'0') {
        digits.pop();
        power += 1;
    }
    let zeros = digits.iter().take_while(|byte| **byte == b'0').count();
    out.extend_from_slice(sign.as_bytes());
    out.extend_from_slice(&digits[zeros..]);
    if zeros < digits.len() {
        out.extend_from_slice(format!("e{power}").as_bytes());
    }
    out.push(b';');
    digits.zeroize();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_json(text: &str) -> bool {
        JsonText::parse(SecretText::new(text)).is_ok()
    }

    #[test]
    fn valid_json_is_accepted() {
        for text in [
            "0",
            "-0",
            "-1.5e+10",
            "1E9",
            "null",
            "true",
            " false ",
            "\"\"",
            "\"\\u00e9\\n/\"",
            "[]",
            "{}",
            "[ ]",
            "[1,2 , 3]",
            "{\"a\":{\"b\":[null,{}]},\"A\":1}",
            "{\"\\ud800\":1,\"\\ud801\":1,\"\\u0000\":1}",
            "\t[\n[\r[]]]",
            "\"é\u{7f}\"",
        ] {
            assert!(is_json(text), "{text}");
        }
    }

    #[test]
    fn invalid_json_or_duplicate_key_is_rejected() {
        for text in [
            "",
            " ",
            "01",
            "-",
            "1.",
            ".5",
            "1e",
            "+1",
            "nul",
            "nulll",
            "True",
            "'a'",
            "\"a",
            "\"\n\"",
            "\"\\x\"",
            "\"\\u12g4\"",
            "\"\\u123",
            "[",
            "[1",
            "[1,]",
            "[,1]",
            "[1 2]",
            "{",
            "{a:1}",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{\"a\":1]",
            "[1}",
            "1 2",
            "[]]",
            "\u{feff}1",
            "NaN",
            "Infinity",
            "// x\n1",
            "{\"a\":1,\"b\":2,\"a\":3}",
            "[{\"a\":1,\"\\u0061\":2}]",
            "{\"\\ud83d\\ude00\":1,\"😀\":2}",
            "{\"\\/\":1,\"/\":1}",
            "{\"\\ud800\":1,\"\\uD800\":2}",
        ] {
            assert!(!is_json(text), "{text:?}");
        }
    }

    #[test]
    fn json_depth_is_limited_without_recursion() {
        let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert!(is_json(&nested(MAX_JSON_DEPTH)));
        assert!(!is_json(&nested(MAX_JSON_DEPTH + 1)));
        assert!(!is_json(&"[".repeat(1_000_000)));
    }

    #[test]
    fn json_equality_ignores_notation() {
        let same = |one: &str, other: &str| {
            let json = |text| JsonText::parse(SecretText::new(text)).unwrap();
            assert_eq!(json(one).is_same(&json(other)), json(other).is_same(&json(one)));
            json(one).is_same(&json(other))
        };
        for (one, other) in [
            ("1.50", "1.5"),
            ("100", "1e2"),
            ("0.001", "1E-3"),
            ("0", "0.000e5"),
            ("1e+2", "10e1"),
            (" [ 1 , { } ] ", "[1,{}]"),
            ("{\"a\":[],\"b\":null}", "{\"b\":null,\"a\":[ ]}"),
            ("\"\\u00e9\\/\"", "\"é/\""),
            ("\"\\ud83d\\ude00\"", "\"😀\""),
        ] {
            assert!(same(one, other), "{one} {other}");
        }
        for (one, other) in [
            ("1", "10"),
            ("1", "-1"),
            ("1", "\"1\""),
            ("12345678901234567890", "12345678901234567891"),
            ("1e99999999999", "1e99999999998"),
            ("[1,2]", "[12]"),
            ("[[],1]", "[[1]]"),
            ("null", "\"null\""),
            ("{\"a\":1}", "{\"a\":1,\"b\":1}"),
            ("[\"a\",\"b\"]", "[\"a1:b\"]"),
            ("\"\\ud800\"", "\"\\ud801\""),
        ] {
            assert!(!same(one, other), "{one} {other}");
        }
    }

    #[test]
    fn json_error_omits_text() {
        let error = JsonText::parse(SecretText::new("{\"canary\"}")).unwrap_err();
        assert!(!error.message().contains("canary"));
    }
}

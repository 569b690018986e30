//! Parser of a map from one JSON object. The text is untrusted until it is parsed, and secret: no
//! error repeats a part of it.
//!
//! serde_json is not used. It does not wipe its buffer for escapes, repeats input in errors, and
//! takes the last of two members with one name. This parser wipes or rejects each of these.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use keystead_plugin_api::{
    Credential, JsonText, MAX_VALUE_DEPTH, MAX_VALUE_ENTRIES, Map, SecretBytes, SecretText, Value,
};
use zeroize::Zeroizing;

use super::base64;

/// The maximum depth of objects: each level of a value may be wrapped in `{"map":…}`.
const MAX_LEVELS: usize = 2 * MAX_VALUE_DEPTH;

// The number in the error message.
const _: () = assert!(MAX_VALUE_DEPTH == 16);

/// Fault of a text, with its position.
#[derive(Debug, PartialEq, Eq)]
pub struct Fault {
    line: usize,
    column: usize,
    why: Cow<'static, str>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.why)
    }
}

impl std::error::Error for Fault {}

impl Fault {
    /// Returns the message of a fault in a text that is one line of many.
    pub(super) fn in_line(self) -> String {
        format!("column {}: {}", self.column, self.why)
    }
}

/// Returns the map in a JSON object, whose members are the fields. A member is a text, or
/// one of `{"text":…}`, `{"base64":…}`, `{"user":…,"password":…}`, `{"map":{…}}`, `{"json":…}`; any
/// other object is a map as well. Numbers, lists, `true`, `false` and `null` are JSON.
///
/// # Errors
/// The first fault.
pub fn map(text: &str) -> Result<Map, Fault> {
    let mut reader = Reader::new(text);
    let found = reader.document();
    found.and_then(|members| as_map(text, members)).map_err(|wrong| wrong.fault(text))
}

/// JSON that a value can be made of, with its position.
pub(super) struct Node<'a> {
    pub(super) at: usize,
    pub(super) kind: NodeKind<'a>,
}

pub(super) enum NodeKind<'a> {
    Text(SecretText),
    Object(Vec<(String, Node<'a>)>),
    /// JSON that is neither text nor object.
    Other(JsonText),
    /// An object whose only member is `json`: that member's text, not checked yet, and its
    /// position. The text is JSON, unless the object is the inner one of `{"map":{…}}`.
    Json {
        raw: &'a str,
        at: usize,
        level: usize,
    },
}

impl NodeKind<'_> {
    pub(super) fn is_text(&self) -> bool {
        matches!(self, Self::Text(_))
    }

    pub(super) fn is_object(&self) -> bool {
        matches!(self, Self::Object(_) | Self::Json { .. })
    }
}

pub(super) struct Wrong {
    pub(super) at: usize,
    pub(super) why: Cow<'static, str>,
}

impl Wrong {
    pub(super) fn new(at: usize, why: &'static str) -> Self {
        Self { at, why: Cow::Borrowed(why) }
    }

    /// Returns the fault with its line and column in the text.
    pub(super) fn fault(self, text: &str) -> Fault {
        let before = &text[..self.at];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Fault {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            why: self.why,
        }
    }
}

/// Reads a text piece by piece.
pub(super) struct Reader<'a> {
    pub(super) text: &'a str,
    pub(super) at: usize,
    /// Number of further members that are allowed.
    pub(super) left: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0, left: 2 * MAX_VALUE_ENTRIES }
    }

    /// Allows for this many members beside those of the value.
    pub(super) fn and(mut self, more: usize) -> Self {
        self.left += more;
        self
    }

    /// Counts one more member.
    pub(super) fn count(&mut self) -> Result<(), Wrong> {
        let Some(left) = self.left.checked_sub(1) else {
            return self.wrong("there are too many members");
        };
        self.left = left;
        Ok(())
    }

    fn document(&mut self) -> Result<Vec<(String, Node<'a>)>, Wrong> {
        self.space();
        if self.peek() != Some(b'{') {
            return self.wrong("a map is one JSON object, `{...}`");
        }
        let object = self.object(1)?;
        self.space();
        match self.peek() {
            None => Ok(object),
            Some(_) => self.wrong("there is more after the object"),
        }
    }

    fn object(&mut self, level: usize) -> Result<Vec<(String, Node<'a>)>, Wrong> {
        if level > MAX_LEVELS {
            return self.wrong("a value has at most 16 levels");
        }
        let mut members = Vec::new();
        self.members(&mut |reader, key| {
            members.push((key.to_owned(), reader.node(level)?));
            Ok::<(), Wrong>(())
        })?;
        Ok(members)
    }

    /// Reads an object, and calls `each` with each member's name at the start of its value.
    pub(super) fn members<E: From<Wrong>>(
        &mut self,
        each: &mut dyn FnMut(&mut Self, &str) -> Result<(), E>,
    ) -> Result<(), E> {
        self.at += 1;
        let mut seen = BTreeSet::new();
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.space();
            let at = self.at;
            let key = self.string("a member's name in double quotes must follow")?;
            if !seen.insert(key.expose().to_owned()) {
                return Err(Wrong::new(at, "this name stands in the object twice").into());
            }
            self.space();
            if self.peek() != Some(b':') {
                return Ok(self.wrong("a `:` must follow")?);
            }
            self.at += 1;
            self.space();
            self.count()?;
            each(self, key.expose())?;
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Ok(self.wrong("a `,` or `}` must follow")?),
            }
        }
    }

    pub(super) fn node(&mut self, level: usize) -> Result<Node<'a>, Wrong> {
        let at = self.at;
        let kind = match self.peek() {
            Some(b'"') => NodeKind::Text(self.string("")?),
            Some(b'{') => match self.only_json(level)? {
                Some(json) => json,
                None => NodeKind::Object(self.object(level + 1)?),
            },
            Some(b'[' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n') => {
                NodeKind::Other(checked(at, self.raw()?)?)
            }
            _ => return self.wrong("a value must follow"),
        };
        Ok(Node { at, kind })
    }

    /// Reads an object whose only member is `json`; does not consume any other object.
    fn only_json(&mut self, level: usize) -> Result<Option<NodeKind<'a>>, Wrong> {
        let start = self.at;
        self.at += 1;
        self.space();
        if self.peek() == Some(b'"') && self.string("")?.expose() == "json" {
            self.space();
            if self.peek() == Some(b':') {
                self.at += 1;
                self.space();
                let at = self.at;
                let raw = self.raw()?;
                self.space();
                if self.peek() == Some(b'}') && !raw.is_empty() {
                    self.at += 1;
                    self.count()?;
                    return Ok(Some(NodeKind::Json { raw, at, level }));
                }
            }
        }
        self.at = start;
        Ok(None)
    }

    /// Moves past a value by its brackets and quotes alone; the caller must check the value.
    fn raw(&mut self) -> Result<&'a str, Wrong> {
        let (start, mut levels) = (self.at, 0_usize);
        loop {
            match self.peek() {
                Some(b'"') => self.raw_string()?,
                Some(b'{' | b'[') => {
                    levels += 1;
                    self.at += 1;
                    continue;
                }
                Some(b'}' | b']') if levels > 0 => {
                    levels -= 1;
                    self.at += 1;
                }
                None if levels > 0 => return self.wrong("the text ends inside a value"),
                None | Some(b'}' | b']') => break,
                Some(byte) if levels > 0 || !b" \t\r\n,:".contains(&byte) => {
                    self.at += 1;
                    continue;
                }
                Some(_) => break,
            }
            if levels == 0 {
                break;
            }
        }
        Ok(&self.text[start..self.at])
    }

    fn raw_string(&mut self) -> Result<(), Wrong> {
        self.at += 1;
        loop {
            match self.peek() {
                Some(b'"') => break,
                // Neither half of an escape ends the string.
                Some(b'\\') => self.at += 2,
                Some(_) => self.at += 1,
                None => {
                    self.at = self.at.min(self.text.len());
                    return self.wrong("the text ends inside a string");
                }
            }
        }
        self.at += 1;
        Ok(())
    }

    /// Reads a string: once for its length, once into memory of exactly that length.
    pub(super) fn string(&mut self, expected: &'static str) -> Result<SecretText, Wrong> {
        if self.peek() != Some(b'"') {
            return self.wrong(expected);
        }
        let start = self.at + 1;
        let mut len = 0;
        let end = self.pieces(start, |piece| len += piece.len())?;
        let mut bytes = Zeroizing::new(Vec::with_capacity(len));
        self.pieces(start, |piece| bytes.extend_from_slice(piece))?;
        self.at = end + 1;
        let text = SecretText::from_bytes(SecretBytes::new(std::mem::take(&mut *bytes)));
        Ok(text.expect("pieces of a text, and characters, are UTF-8"))
    }

    /// Passes the content of a string to `put`, piece by piece, and returns the string's end.
    fn pieces(&self, start: usize, mut put: impl FnMut(&[u8])) -> Result<usize, Wrong> {
        let bytes = self.text.as_bytes();
        let mut at = start;
        loop {
            let plain =
                bytes[at..].iter().take_while(|&&b| b >= 0x20 && b != b'"' && b != b'\\').count();
            put(&bytes[at..at + plain]);
            at += plain;
            match bytes.get(at) {
                Some(b'"') => return Ok(at),
                Some(b'\\') => at += self.escape(at, &mut put)?,
                Some(_) => return Err(Wrong::new(at, "a control character must be escaped")),
                None => return Err(Wrong::new(at, "the text ends inside a string")),
            }
        }
    }

    /// Passes the character of an escape to `put`, and returns the length of the escape.
    fn escape(&self, at: usize, put: &mut impl FnMut(&[u8])) -> Result<usize, Wrong> {
        let bytes = self.text.as_bytes();
        let one = match bytes.get(at + 1) {
            Some(b'"') => b'"',
            Some(b'\\') => b'\\',
            Some(b'/') => b'/',
            Some(b'b') => 8,
            Some(b'f') => 12,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'u') => {
                let lone = Wrong::new(at, "half of a surrogate pair");
                let first = self.hex(at)?;
                let (code, len) = match first {
                    0xd800..=0xdbff if bytes[at + 6..].starts_with(b"\\u") => {
                        match self.hex(at + 6)? {
                            second @ 0xdc00..=0xdfff => {
                                (0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00), 12)
                            }
                            _ => return Err(lone),
                        }
                    }
                    _ => (first, 6),
                };
                let character = char::from_u32(code).ok_or(lone)?;
                let mut utf8 = Zeroizing::new([0_u8; 4]);
                let len_utf8 = character.encode_utf8(&mut *utf8).len();
                put(&utf8[..len_utf8]);
                return Ok(len);
            }
            _ => return Err(Wrong::new(at, "there is no such escape")),
        };
        put(&[one]);
        Ok(2)
    }

    fn hex(&self, at: usize) -> Result<u32, Wrong> {
        let wrong = Wrong::new(at, "four hexadecimal digits must follow `\\u`");
        let Some(digits) = self.text.as_bytes().get(at + 2..at + 6) else { return Err(wrong) };
        let mut code = 0;
        for &digit in digits {
            match char::from(digit).to_digit(16) {
                Some(digit) => code = code << 4 | digit,
                None => return Err(wrong),
            }
        }
        Ok(code)
    }

    pub(super) fn space(&mut self) {
        let rest = &self.text.as_bytes()[self.at..];
        self.at += rest.iter().take_while(|b| b" \t\r\n".contains(b)).count();
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    pub(super) fn wrong<T>(&self, why: &'static str) -> Result<T, Wrong> {
        // Never between the bytes of a character: only ASCII is looked at one by one.
        let mut at = self.at;
        while !self.text.is_char_boundary(at) {
            at -= 1;
        }
        Err(Wrong::new(at, why))
    }
}

/// Returns a piece of the text as JSON, if it is JSON.
fn checked(at: usize, raw: &str) -> Result<JsonText, Wrong> {
    JsonText::parse(SecretText::new(raw))
        .map_err(|fault| Wrong { at, why: Cow::Owned(fault.message().to_owned()) })
}

fn as_map<'a>(text: &'a str, members: Vec<(String, Node<'a>)>) -> Result<Map, Wrong> {
    let mut map = Map::new();
    for (key, node) in members {
        map.insert(key, as_value(text, node)?);
    }
    Ok(map)
}

/// Returns the value of a node of this text.
pub(super) fn as_value<'a>(text: &'a str, node: Node<'a>) -> Result<Value, Wrong> {
    let mut members = match node.kind {
        NodeKind::Text(text) => return Ok(Value::Text(text)),
        NodeKind::Other(json) => return Ok(Value::Json(json)),
        NodeKind::Json { raw, at, .. } => return checked(at, raw).map(Value::Json),
        NodeKind::Object(members) => members,
    };
    let form: Vec<(&str, bool, bool)> = members
        .iter()
        .map(|(key, node)| (key.as_str(), node.kind.is_text(), node.kind.is_object()))
        .collect();
    match form.as_slice() {
        [("text", true, _)] => Ok(Value::Text(taken(members.pop()))),
        [("base64", true, _)] => {
            let bytes = base64::decode(taken(members.pop()).expose());
            bytes.map(Value::Bytes).ok_or(Wrong::new(node.at, "this is not base64"))
        }
        [("user", true, _), ("password", true, _)] => {
            let password = taken(members.pop());
            Ok(credential(taken(members.pop()), password))
        }
        [("password", true, _), ("user", true, _)] => {
            let user = taken(members.pop());
            Ok(credential(user, taken(members.pop())))
        }
        [("map", _, true)] => match members.pop().map(|(_, node)| node.kind) {
            Some(NodeKind::Object(inner)) => Ok(Value::Map(as_map(text, inner)?)),
            Some(NodeKind::Json { at, level, .. }) => {
                let mut reader = Reader { at, ..Reader::new(text) };
                let node = reader.node(level + 1)?;
                Ok(Value::Map(as_map(text, vec![("json".to_owned(), node)])?))
            }
            _ => unreachable!("the form was looked at"),
        },
        _ => Ok(Value::Map(as_map(text, members)?)),
    }
}

fn taken(member: Option<(String, Node<'_>)>) -> SecretText {
    match member {
        Some((_, Node { kind: NodeKind::Text(text), .. })) => text,
        _ => unreachable!("the form was looked at"),
    }
}

fn credential(user: SecretText, password: SecretText) -> Value {
    Value::Credential(Credential::new(user.expose().to_owned(), password))
}

#[cfg(test)]
mod tests;

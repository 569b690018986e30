//! A map from one JSON object: hostile until it is parsed, and secret. Neither the text nor
//! any part of it is repeated in an error. serde_json would leave copies of what it unescapes.

use std::collections::BTreeSet;
use std::fmt;

use keystead_plugin_api::{
    Credential, MAX_VALUE_DEPTH, MAX_VALUE_ENTRIES, Map, SecretBytes, SecretText, Value,
};
use zeroize::Zeroizing;

use super::base64;

/// The most levels of objects: each level of a value may be wrapped in `{"map":…}`.
const MAX_LEVELS: usize = 2 * MAX_VALUE_DEPTH;

/// What is wrong with the text, and where.
#[derive(Debug, PartialEq, Eq)]
pub struct Fault {
    line: usize,
    column: usize,
    why: &'static str,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.why)
    }
}

impl std::error::Error for Fault {}

impl Fault {
    /// Returns the fault of a text that is one line of many.
    pub(super) fn in_line(self) -> String {
        format!("column {}: {}", self.column, self.why)
    }
}

/// Returns the map that a JSON object is: its members are the fields. A member is a text, or
/// one of `{"text":…}`, `{"base64":…}`, `{"user":…,"password":…}`, `{"map":{…}}`; any other
/// object is a map as well.
///
/// # Errors
/// The first thing that is wrong.
pub fn map(text: &str) -> Result<Map, Fault> {
    let mut reader = Reader::new(text);
    let found = reader.document();
    found.and_then(as_map).map_err(|wrong| wrong.fault(text))
}

/// What JSON has that a value can be made of.
pub(super) struct Node {
    pub(super) at: usize,
    pub(super) kind: NodeKind,
}

pub(super) enum NodeKind {
    Text(SecretText),
    Object(Vec<(String, Node)>),
}

pub(super) struct Wrong {
    pub(super) at: usize,
    pub(super) why: &'static str,
}

impl Wrong {
    /// Says where in the text it is.
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
    /// How many more members there may be.
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

    /// Counts one member more.
    pub(super) fn count(&mut self) -> Result<(), Wrong> {
        let Some(left) = self.left.checked_sub(1) else {
            return self.wrong("there are too many members");
        };
        self.left = left;
        Ok(())
    }

    fn document(&mut self) -> Result<Vec<(String, Node)>, Wrong> {
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

    fn object(&mut self, level: usize) -> Result<Vec<(String, Node)>, Wrong> {
        if level > MAX_LEVELS {
            return self.wrong("objects are nested too deep");
        }
        let mut members = Vec::new();
        self.members(&mut |reader, key| {
            members.push((key.to_owned(), reader.node(level)?));
            Ok::<(), Wrong>(())
        })?;
        Ok(members)
    }

    /// Reads an object, and hands out each member's name where its value begins.
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
                return Err(Wrong { at, why: "this name stands in the object twice" }.into());
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

    pub(super) fn node(&mut self, level: usize) -> Result<Node, Wrong> {
        let at = self.at;
        let kind = match self.peek() {
            Some(b'"') => NodeKind::Text(self.string("")?),
            Some(b'{') => NodeKind::Object(self.object(level + 1)?),
            Some(b'[') => return self.wrong("a secret has no arrays"),
            Some(b'-' | b'0'..=b'9') => {
                return self.wrong("a secret has no numbers: write it as a text, in double quotes");
            }
            Some(b't' | b'f' | b'n') => {
                return self
                    .wrong("a secret has no such value: write it as a text, in double quotes");
            }
            _ => return self.wrong("a text or an object must follow"),
        };
        Ok(Node { at, kind })
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

    /// Hands out what a string stands for, piece by piece, and returns where it ends.
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
                Some(_) => return Err(Wrong { at, why: "a control character must be escaped" }),
                None => return Err(Wrong { at, why: "the text ends inside a string" }),
            }
        }
    }

    /// Hands out what an escape stands for, and returns its length.
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
                let lone = Wrong { at, why: "half of a surrogate pair" };
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
            _ => return Err(Wrong { at, why: "there is no such escape" }),
        };
        put(&[one]);
        Ok(2)
    }

    fn hex(&self, at: usize) -> Result<u32, Wrong> {
        let wrong = Wrong { at, why: "four hexadecimal digits must follow `\\u`" };
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
        Err(Wrong { at, why })
    }
}

fn as_map(members: Vec<(String, Node)>) -> Result<Map, Wrong> {
    let mut map = Map::new();
    for (key, node) in members {
        map.insert(key, as_value(node)?);
    }
    Ok(map)
}

pub(super) fn as_value(node: Node) -> Result<Value, Wrong> {
    let mut members = match node.kind {
        NodeKind::Text(text) => return Ok(Value::Text(text)),
        NodeKind::Object(members) => members,
    };
    let form: Vec<(&str, bool)> = members
        .iter()
        .map(|(key, node)| (key.as_str(), matches!(node.kind, NodeKind::Text(_))))
        .collect();
    match form.as_slice() {
        [("text", true)] => Ok(Value::Text(text(members.pop()))),
        [("base64", true)] => {
            let bytes = base64::decode(text(members.pop()).expose());
            bytes.map(Value::Bytes).ok_or(Wrong { at: node.at, why: "this is not base64" })
        }
        [("user", true), ("password", true)] => {
            let password = text(members.pop());
            Ok(credential(text(members.pop()), password))
        }
        [("password", true), ("user", true)] => {
            let user = text(members.pop());
            Ok(credential(user, text(members.pop())))
        }
        [("map", false)] => match members.pop() {
            Some((_, Node { kind: NodeKind::Object(inner), .. })) => Ok(Value::Map(as_map(inner)?)),
            _ => unreachable!("the form was looked at"),
        },
        _ => Ok(Value::Map(as_map(members)?)),
    }
}

fn text(member: Option<(String, Node)>) -> SecretText {
    match member {
        Some((_, Node { kind: NodeKind::Text(text), .. })) => text,
        _ => unreachable!("the form was looked at"),
    }
}

fn credential(user: SecretText, password: SecretText) -> Value {
    Value::Credential(Credential::new(user.expose().to_owned(), password))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> String {
        map(text).unwrap_err().to_string()
    }

    #[test]
    fn members_are_texts_bytes_credentials_and_maps() {
        let parsed = map(
            "{\"a\": \"x\", \"b\":{\"base64\":\"AAH/\"},\n \"c\":{\"password\":\"p\",\"user\":\"u\"},\
             \"d\":{\"e\":{\"f\":\"\"}}, \"g\":{\"map\":{\"text\":\"t\"}}, \"h\":{\"text\":\"t\"} }",
        )
        .unwrap();
        assert_eq!(parsed.get("a"), Some(&Value::text("x")));
        assert_eq!(parsed.get("b"), Some(&Value::bytes(vec![0, 1, 255])));
        assert_eq!(parsed.get("c"), Some(&Value::credential("u", "p")));
        let Some(Value::Map(d)) = parsed.get("d") else { panic!() };
        let Some(Value::Map(e)) = d.get("e") else { panic!() };
        assert_eq!(e.get("f"), Some(&Value::text("")));
        let Some(Value::Map(g)) = parsed.get("g") else { panic!() };
        assert_eq!(g.get("text"), Some(&Value::text("t")));
        assert_eq!(parsed.get("h"), Some(&Value::text("t")));
        assert!(map(" {} \n").unwrap().is_empty());
    }

    #[test]
    fn escapes_stand_for_their_characters() {
        let parsed = map(r#"{"k":"\"\\\/\b\f\n\r\té\u00e9\ud83d\ude00"}"#).unwrap();
        assert_eq!(parsed.get("k"), Some(&Value::text("\"\\/\u{8}\u{c}\n\r\téé😀")));
        for lone in [
            r#"{"k":"\ud83d"}"#,
            r#"{"k":"\ud83dx"}"#,
            r#"{"k":"\ude00"}"#,
            r#"{"k":"\ud83d\u0041"}"#,
        ] {
            assert!(fault(lone).ends_with("half of a surrogate pair"), "{lone}");
        }
    }

    #[test]
    fn a_name_that_stands_twice_is_refused_where_it_stands() {
        assert_eq!(
            fault("{\"a\":\"1\",\n \"a\":\"2\"}"),
            "line 2, column 2: this name stands in the object twice"
        );
        assert!(fault("{\"a\":{\"b\":\"1\",\"\\u0062\":\"2\"}}").ends_with("twice"));
    }

    #[test]
    fn whatever_else_json_has_is_refused() {
        for text in [
            "",
            "[]",
            "\"x\"",
            "{",
            "{}}",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1}",
            "{\"a\":true}",
            "{\"a\":null}",
            "{\"a\":[]}",
            "{\"a\":\"\n\"}",
            "{\"a\":\"",
            "{\"a\":\"\\x\"}",
            "{\"a\":\"\\u12\"}",
            "{\"a\":\"\\u12é\"}",
            "{\"a\":\"x\",}",
            "{é}",
            "{\"a\":{\"base64\":\"A\"}}",
        ] {
            assert!(map(text).is_err(), "{text}");
        }
    }

    #[test]
    fn depth_and_number_are_bounded() {
        let deep = "{\"a\":".repeat(100_000);
        assert!(fault(&deep).ends_with("nested too deep"));
        let many: Vec<String> =
            (0..=2 * MAX_VALUE_ENTRIES).map(|n| format!("\"{n}\":\"\"")).collect();
        assert!(fault(&format!("{{{}}}", many.join(","))).ends_with("too many members"));
    }

    #[test]
    fn a_fault_repeats_nothing_of_the_text() {
        for text in ["{\"canary\":canary}", "canary", "{\"a\":\"canary\" canary}"] {
            assert!(!fault(text).contains("canary"), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".*") {
            let _ = map(&text);
        }

        #[test]
        fn what_is_written_is_read(value in crate::json::write::tests::any_map()) {
            let written = crate::json::write::map(&value);
            proptest::prop_assert_eq!(map(std::str::from_utf8(&written).unwrap()).unwrap(), value);
        }
    }
}

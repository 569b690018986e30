//! JSON pointers (RFC 6901) into a checked JSON text. A pointer leads to a piece of that text.
//! Only names that are written with escapes are copied.

use std::fmt;

use keystead_plugin_api::{JsonText, SecretText};

use super::read::Reader;

/// Type of a JSON value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JsonType {
    /// `null`.
    Null,
    /// `true` or `false`.
    Boolean,
    /// A number.
    Number,
    /// A text in double quotes.
    Text,
    /// A list.
    List,
    /// An object.
    Object,
}

impl JsonType {
    /// Returns the type of a JSON text.
    pub fn of(json: &JsonText) -> Self {
        match json.expose().bytes().find(|byte| !is_blank(*byte)) {
            Some(b'"') => Self::Text,
            Some(b'{') => Self::Object,
            Some(b'[') => Self::List,
            Some(b't' | b'f') => Self::Boolean,
            Some(b'n') | None => Self::Null,
            Some(_) => Self::Number,
        }
    }
}

impl fmt::Display for JsonType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "JSON's null",
            Self::Boolean => "a JSON boolean",
            Self::Number => "a JSON number",
            Self::Text => "a JSON text",
            Self::List => "a JSON list",
            Self::Object => "a JSON object",
        })
    }
}

/// Returns the names in a pointer. Returns `None` if the pointer does not begin with `/`, or has
/// a `~` that is neither `~0` (for `~`) nor `~1` (for `/`).
pub fn parse(pointer: &str) -> Option<Vec<String>> {
    let names = pointer.strip_prefix('/')?.split('/').map(|name| {
        let mut tildes = name.split('~');
        let mut plain = tildes.next().unwrap_or_default().to_owned();
        for rest in tildes {
            plain.push(match rest.bytes().next()? {
                b'0' => '~',
                b'1' => '/',
                _ => return None,
            });
            plain.push_str(&rest[1..]);
        }
        Some(plain)
    });
    names.collect()
}

/// Returns a name as a part of a pointer, with its `/`.
pub fn part(name: &str) -> String {
    format!("/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// Returns the piece of a JSON text that these names lead to; `None` if it does not exist. A name
/// is a member of an object, or an index of a list: from 0, without leading zeros.
pub fn find<'t>(json: &'t JsonText, names: &[String]) -> Option<&'t str> {
    let mut walk = Walk { text: json.expose(), at: 0 };
    walk.blanks();
    for name in names {
        match walk.peek()? {
            b'{' => walk.enter_member(name)?,
            b'[' => walk.enter_element(number(name)?)?,
            _ => return None,
        }
    }
    let start = walk.at;
    walk.skip();
    Some(&walk.text[start..walk.at])
}

/// Returns the text of a JSON string; `None` if this is not a string, or contains half of a
/// surrogate pair, which no text has.
pub fn as_text(json: &str) -> Option<SecretText> {
    let mut reader = Reader::new(json);
    reader.space();
    reader.string("").ok()
}

fn number(name: &str) -> Option<usize> {
    let is_number = name.bytes().all(|byte| byte.is_ascii_digit());
    (is_number && (name == "0" || !name.starts_with('0'))).then(|| name.parse().ok())?
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// Cursor over a JSON text.
struct Walk<'t> {
    text: &'t str,
    at: usize,
}

impl Walk<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn blanks(&mut self) {
        while self.peek().is_some_and(is_blank) {
            self.at += 1;
        }
    }

    /// Moves to the value of a member of the object that begins here.
    fn enter_member(&mut self, wanted: &str) -> Option<()> {
        self.each(|walk| {
            let start = walk.at;
            walk.skip();
            let name = &walk.text[start..walk.at];
            walk.blanks();
            // The colon.
            walk.at += 1;
            walk.blanks();
            match name.contains('\\') {
                true => as_text(name).is_some_and(|name| name.expose() == wanted),
                false => name[1..name.len() - 1] == *wanted,
            }
        })
    }

    /// Moves to an element of the list that begins here.
    fn enter_element(&mut self, mut wanted: usize) -> Option<()> {
        self.each(|_| {
            let is_it = wanted == 0;
            wanted = wanted.wrapping_sub(1);
            is_it
        })
    }

    /// Moves to the first member or element of the value here for which `is_it` returns true.
    fn each(&mut self, mut is_it: impl FnMut(&mut Self) -> bool) -> Option<()> {
        loop {
            // The bracket, or the comma before the next.
            self.at += 1;
            self.blanks();
            if matches!(self.peek()?, b'}' | b']') {
                return None;
            }
            if is_it(self) {
                return Some(());
            }
            self.skip();
            self.blanks();
            if self.peek()? != b',' {
                return None;
            }
        }
    }

    /// Moves past the value that begins here.
    fn skip(&mut self) {
        let mut levels = 0_usize;
        while let Some(byte) = self.peek() {
            match byte {
                b'"' => self.skip_string(),
                b'{' | b'[' => {
                    levels += 1;
                    self.at += 1;
                    continue;
                }
                b'}' | b']' => {
                    levels -= 1;
                    self.at += 1;
                }
                byte if is_blank(byte) || matches!(byte, b',' | b':') => {
                    self.at += 1;
                    continue;
                }
                _ => {
                    while self
                        .peek()
                        .is_some_and(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
                    {
                        self.at += 1;
                    }
                }
            }
            if levels == 0 {
                return;
            }
        }
    }

    fn skip_string(&mut self) {
        self.at += 1;
        while let Some(byte) = self.peek() {
            self.at += match byte {
                b'"' => {
                    self.at += 1;
                    return;
                }
                // Neither half of an escape ends the string.
                b'\\' => 2,
                _ => 1,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn json(text: &str) -> JsonText {
        JsonText::parse(SecretText::new(text)).unwrap()
    }

    fn found(text: &str, pointer: &str) -> Option<String> {
        let names = if pointer.is_empty() { Vec::new() } else { parse(pointer)? };
        find(&json(text), &names).map(str::to_owned)
    }

    /// The document and the pointers of RFC 6901, section 5.
    #[test]
    fn rfc6901_pointers_find_their_values() {
        let text = r#"{"foo": ["bar", "baz"], "": 0, "a/b": 1, "c%d": 2, "e^f": 3, "g|h": 4, "i\\j": 5, "k\"l": 6, " ": 7, "m~n": 8}"#;
        for (pointer, value) in [
            ("", text),
            ("/foo", r#"["bar", "baz"]"#),
            ("/foo/0", "\"bar\""),
            ("/", "0"),
            ("/a~1b", "1"),
            ("/c%d", "2"),
            ("/e^f", "3"),
            ("/g|h", "4"),
            ("/i\\j", "5"),
            ("/k\"l", "6"),
            ("/ ", "7"),
            ("/m~0n", "8"),
        ] {
            assert_eq!(found(text, pointer).as_deref(), Some(value), "{pointer}");
        }
    }

    #[test]
    fn missing_or_malformed_pointer_finds_none() {
        let text = r#"{"list": [1, [], {}], "text": "a", "no": null, "\ud800": 1, "": {"": 2}}"#;
        for pointer in [
            "/nosuch",
            "/list/3",
            "/list/-",
            "/list/00",
            "/list/01",
            "/list/+1",
            "/list/-1",
            "/list/ 1",
            "/list/1e0",
            "/list/",
            "/list/18446744073709551616",
            "/list/٠",
            "/list/1/0",
            "/list/2/a",
            "/text/0",
            "/no/a",
            "/list//",
            "/LIST",
            "/\u{fffd}",
        ] {
            assert_eq!(found(text, pointer), None, "{pointer}");
        }
        assert_eq!(found(text, "//").as_deref(), Some("2"));
        assert_eq!(found(text, "/no").as_deref(), Some("null"));
        for wrong in ["a", "", "/a~", "/~2", "/a/~b", "/~~0"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn escaped_member_names_are_matched() {
        let text = r#"{"\u0061\/b\"]}": {"\ud83d\ude00": [true]}, "a~1b": 2, "~01": 3}"#;
        assert_eq!(found(text, "/a~1b\"]}/😀/0").as_deref(), Some("true"));
        assert_eq!(found(text, "/a~01b").as_deref(), Some("2"));
        // `~01` is `~1`, and never `/`.
        assert_eq!(found(text, "/~001").as_deref(), Some("3"));
        assert_eq!(parse(&part("a~1/b")).unwrap(), ["a~1/b"]);
    }

    #[test]
    fn json_type_is_detected_from_first_character() {
        for (text, expected) in [
            (" null", JsonType::Null),
            ("true", JsonType::Boolean),
            ("\n-1e5", JsonType::Number),
            ("\"1\"", JsonType::Text),
            ("[1]", JsonType::List),
            ("\t{}", JsonType::Object),
        ] {
            assert_eq!(JsonType::of(&json(text)), expected, "{text}");
        }
        assert_eq!(as_text(r#" "\u0041" "#).unwrap().expose(), "A");
        assert!(as_text(r#""\ud800""#).is_none() && as_text("1").is_none());
    }

    #[test]
    fn deep_or_long_json_is_searched() {
        let most = keystead_plugin_api::MAX_JSON_DEPTH;
        let deep = format!("{}1{}", "[".repeat(most), "]".repeat(most));
        assert_eq!(found(&deep, &"/0".repeat(most)).as_deref(), Some("1"));
        assert_eq!(found(&deep, &"/0".repeat(most + 1)), None);
        let long = format!("[{}7]", "0,".repeat(4_000_000));
        assert_eq!(found(&long, "/4000000").as_deref(), Some("7"));
    }

    fn any_json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            "[a-c\"\\\\{}\\[\\],:~/é]{0,5}".prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
                prop::collection::btree_map("[a\"\\\\~/é{}]{0,3}", inner, 0..4).prop_map(
                    |members| members.into_iter().collect::<serde_json::Map<_, _>>().into()
                ),
            ]
        })
    }

    proptest! {
        #[test]
        fn pointer_lookup_agrees_with_serde_json(
            value in any_json(),
            pointer in "(/([0-3]|[a\"\\\\é{}]|~[01]){0,2}){0,4}",
            pretty: bool,
        ) {
            let text = if pretty { format!("{value:#}") } else { value.to_string() };
            let ours = found(&text, &pointer).map(|piece| {
                serde_json::from_str::<serde_json::Value>(&piece).unwrap()
            });
            prop_assert_eq!(ours.as_ref(), value.pointer(&pointer), "{} {}", text, pointer);
        }
    }
}

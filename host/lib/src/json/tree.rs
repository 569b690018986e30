//! Parser of foreign JSON: finds the positions of its parts, and returns one part at a time as a
//! tree. Input is untrusted and may be secret: texts and numbers are kept in memory that is wiped.
//!
//! serde_json is not used: its `RawValue` copies nothing, but serde_json unescapes each text below
//! it into a buffer that grows and is not wiped. This reader is needed either way.

use std::borrow::Cow;
use std::ops::Range;

use keystead_plugin_api::SecretText;

pub use super::read::Fault;
use super::read::{Reader, Wrong};

/// The maximum depth of lists and objects. Exports of password managers have at most 9 levels.
pub const MAX_LEVELS: usize = 32;

/// The maximum number of members of an object or list that is split: more than the secrets of
/// any program. Their positions take at most 16 MiB.
pub const MAX_PARTS: usize = 1_000_000;

/// The maximum number of nodes of one tree: twice the limit of entries of a value.
pub const MAX_NODES: usize = 20_000;

/// One value of JSON.
#[derive(Debug)]
pub enum Tree {
    /// `null`.
    Null,
    /// `true` or `false`.
    Boolean(bool),
    /// A number, as it was written.
    Number(SecretText),
    /// A text.
    Text(SecretText),
    /// A list.
    List(Vec<Tree>),
    /// An object: each name once.
    Object(Vec<(String, Tree)>),
}

impl Tree {
    /// Returns a member of an object; `None` if the member is missing or `null`.
    pub fn get(&self, name: &str) -> Option<&Self> {
        let Self::Object(members) = self else { return None };
        let found = members.iter().find(|(present, _)| present == name);
        found.map(|(_, tree)| tree).filter(|tree| !matches!(tree, Self::Null))
    }

    /// Removes a member from an object, and returns it.
    pub fn take(&mut self, name: &str) -> Option<Self> {
        let Self::Object(members) = self else { return None };
        let at = members.iter().position(|(present, _)| present == name)?;
        Some(members.remove(at).1).filter(|tree| !matches!(tree, Self::Null))
    }

    /// Removes a text, or a number as it was written, from an object, and returns it.
    pub fn take_text(&mut self, name: &str) -> Option<SecretText> {
        self.take(name)?.into_text()
    }

    /// Removes a list from an object, and returns it; empty if the member is not a list.
    pub fn take_list(&mut self, name: &str) -> Vec<Self> {
        match self.take(name) {
            Some(Self::List(list)) => list,
            _ => Vec::new(),
        }
    }

    /// Returns a text, or a number as it was written.
    pub fn into_text(self) -> Option<SecretText> {
        match self {
            Self::Text(text) | Self::Number(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the content of a text.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text.expose()),
            _ => None,
        }
    }

    /// Returns a whole number.
    pub fn as_integer(&self) -> Option<i64> {
        match self {
            Self::Number(text) => text.expose().parse().ok(),
            _ => None,
        }
    }

    /// Returns whether this is `true`.
    pub fn is_true(&self) -> bool {
        matches!(self, Self::Boolean(true))
    }

    /// Returns the elements of a list; empty if this is not a list.
    pub fn elements(&self) -> &[Self] {
        match self {
            Self::List(list) => list,
            _ => &[],
        }
    }
}

/// Returns the members of the object in a text: the name and the position of each.
/// Nothing else of them is kept in memory.
///
/// # Errors
/// When the text is not an object, is malformed, or has more than [`MAX_PARTS`] members.
pub fn document(text: &str) -> Result<Vec<(String, Range<usize>)>, Fault> {
    let mut reader = Reader { text, at: 0, left: 0 };
    let found = members_of(&mut reader).and_then(|members| {
        reader.space();
        match reader.peek() {
            None => Ok(members),
            Some(_) => reader.wrong("there is more after the object"),
        }
    });
    found.map_err(|wrong| wrong.fault(text))
}

/// Returns the members of the object at this position of the text; empty for any other value.
///
/// # Errors
/// As those of [`document`].
pub fn members(text: &str, place: &Range<usize>) -> Result<Vec<(String, Range<usize>)>, Fault> {
    if text.as_bytes().get(place.start) != Some(&b'{') {
        return Ok(Vec::new());
    }
    let mut reader = Reader { text, at: place.start, left: 0 };
    members_of(&mut reader).map_err(|wrong| wrong.fault(text))
}

/// Returns the positions of the elements of the list at this position; empty for any other value.
///
/// # Errors
/// As those of [`document`].
pub fn elements(text: &str, place: &Range<usize>) -> Result<Vec<Range<usize>>, Fault> {
    let mut reader = Reader { text, at: place.start, left: 0 };
    if reader.peek() != Some(b'[') {
        return Ok(Vec::new());
    }
    let mut places = Vec::new();
    let found = each(&mut reader, b']', |reader| {
        let start = reader.at;
        skip(reader, 2)?;
        if places.len() == MAX_PARTS {
            return reader.wrong("there are too many elements");
        }
        places.push(start..reader.at);
        Ok(())
    });
    found.map_err(|wrong| wrong.fault(text))?;
    Ok(places)
}

/// Returns the value at this position, which comes from [`members`] or [`elements`].
///
/// # Errors
/// Why the value is rejected: malformed, too deep, more than [`MAX_NODES`], or a duplicate name.
pub fn parse(text: &str, place: &Range<usize>) -> Result<Tree, &'static str> {
    let mut reader = Reader { text, at: place.start, left: MAX_NODES };
    tree(&mut reader, 1).map_err(|wrong| match wrong.why {
        Cow::Borrowed(why) => why,
        // From the JSON of a secret's value, which a tree does not contain.
        Cow::Owned(_) => "it is not JSON",
    })
}

fn members_of(reader: &mut Reader<'_>) -> Result<Vec<(String, Range<usize>)>, Wrong> {
    reader.space();
    if reader.peek() != Some(b'{') {
        return reader.wrong("an object, `{...}`, is expected");
    }
    let mut members = Vec::new();
    each(reader, b'}', |reader| {
        let name = name(reader)?;
        let start = reader.at;
        skip(reader, 2)?;
        if members.len() == MAX_PARTS {
            return reader.wrong("there are too many members");
        }
        members.push((name, start..reader.at));
        Ok(())
    })?;
    Ok(members)
}

/// Reads from a bracket to its end, and calls `part` for each part.
fn each<'a>(
    reader: &mut Reader<'a>,
    end: u8,
    mut part: impl FnMut(&mut Reader<'a>) -> Result<(), Wrong>,
) -> Result<(), Wrong> {
    reader.at += 1;
    reader.space();
    if reader.peek() == Some(end) {
        reader.at += 1;
        return Ok(());
    }
    loop {
        reader.space();
        part(reader)?;
        reader.space();
        match reader.peek() {
            Some(b',') => reader.at += 1,
            Some(found) if found == end => {
                reader.at += 1;
                return Ok(());
            }
            _ => return reader.wrong("a `,` or the end must follow"),
        }
    }
}

/// Reads a member's name and its colon.
fn name(reader: &mut Reader<'_>) -> Result<String, Wrong> {
    let name = reader.string("a member's name in double quotes must follow")?;
    colon(reader)?;
    Ok(name.expose().to_owned())
}

fn colon(reader: &mut Reader<'_>) -> Result<(), Wrong> {
    reader.space();
    if reader.peek() != Some(b':') {
        return reader.wrong("a `:` must follow");
    }
    reader.at += 1;
    reader.space();
    Ok(())
}

/// Skips one value. Escapes in its texts are checked when the value is parsed.
fn skip(reader: &mut Reader<'_>, level: usize) -> Result<(), Wrong> {
    if level > MAX_LEVELS {
        return reader.wrong("it is nested too deep");
    }
    match reader.peek() {
        Some(b'"') => skip_string(reader),
        Some(b'[') => each(reader, b']', |reader| skip(reader, level + 1)),
        Some(b'{') => each(reader, b'}', |reader| {
            if reader.peek() != Some(b'"') {
                return reader.wrong("a member's name in double quotes must follow");
            }
            skip_string(reader)?;
            colon(reader)?;
            skip(reader, level + 1)
        }),
        _ => plain(reader).map(drop),
    }
}

fn skip_string(reader: &mut Reader<'_>) -> Result<(), Wrong> {
    let bytes = reader.text.as_bytes();
    let mut at = reader.at + 1;
    loop {
        match bytes.get(at) {
            Some(b'"') => break,
            // Neither half of an escape ends the string.
            Some(b'\\') => at += 2,
            Some(_) => at += 1,
            None => return reader.wrong("the text ends inside a string"),
        }
    }
    reader.at = at + 1;
    Ok(())
}

/// Reads `null`, `true`, `false` or a number.
fn plain(reader: &mut Reader<'_>) -> Result<Tree, Wrong> {
    let rest = &reader.text[reader.at..];
    let len = rest.bytes().take_while(|b| b.is_ascii_alphanumeric() || b"+-.".contains(b)).count();
    let word = &rest[..len];
    let found = match word {
        "null" => Tree::Null,
        "true" => Tree::Boolean(true),
        "false" => Tree::Boolean(false),
        _ if is_number(word) => Tree::Number(SecretText::new(word)),
        _ => return reader.wrong("no value of JSON begins like this"),
    };
    reader.at += len;
    Ok(found)
}

fn is_number(word: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let word = word.strip_prefix('-').unwrap_or(word);
    let (word, exponent) = match word.split_once(['e', 'E']) {
        Some((word, exponent)) => (word, exponent.strip_prefix(['+', '-']).unwrap_or(exponent)),
        None => (word, "0"),
    };
    let (whole, fraction) = word.split_once('.').unwrap_or((word, "0"));
    digits(whole)
        && digits(fraction)
        && digits(exponent)
        && (whole.len() == 1 || !whole.starts_with('0'))
}

fn tree(reader: &mut Reader<'_>, level: usize) -> Result<Tree, Wrong> {
    if level > MAX_LEVELS {
        return reader.wrong("it is nested too deep");
    }
    let Some(left) = reader.left.checked_sub(1) else {
        return reader.wrong("it has too many parts");
    };
    reader.left = left;
    match reader.peek() {
        Some(b'"') => Ok(Tree::Text(reader.string("")?)),
        Some(b'[') => {
            let mut list = Vec::new();
            each(reader, b']', |reader| {
                list.push(tree(reader, level + 1)?);
                Ok(())
            })?;
            Ok(Tree::List(list))
        }
        Some(b'{') => {
            let mut object = Vec::new();
            let mut seen = std::collections::BTreeSet::new();
            each(reader, b'}', |reader| {
                let name = name(reader)?;
                if !seen.insert(name.clone()) {
                    return reader.wrong("a name stands in an object twice");
                }
                object.push((name, tree(reader, level + 1)?));
                Ok(())
            })?;
            Ok(Tree::Object(object))
        }
        _ => plain(reader),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn whole(text: &str) -> Result<Tree, &'static str> {
        parse(text, &(0..text.len()))
    }

    fn shown(tree: &Tree) -> String {
        let listed = |list: Vec<String>| list.join(",");
        match tree {
            Tree::Null => "null".into(),
            Tree::Boolean(boolean) => boolean.to_string(),
            Tree::Number(text) => text.expose().to_owned(),
            Tree::Text(text) => format!("{:?}", text.expose()),
            Tree::List(list) => format!("[{}]", listed(list.iter().map(shown).collect())),
            Tree::Object(object) => {
                let member = |(name, tree): &(String, Tree)| format!("{name}:{}", shown(tree));
                format!("{{{}}}", listed(object.iter().map(member).collect()))
            }
        }
    }

    #[test]
    fn every_json_type_is_parsed() {
        let text = r#"{"a": [1, -2.5e+10, true, false, null], "b": {"c": "\u00e4\ud83d\ude00\n"}, "d": {}, "e": []}"#;
        assert_eq!(
            shown(&whole(text).unwrap()),
            "{a:[1,-2.5e+10,true,false,null],b:{c:\"ä😀\\n\"},d:{},e:[]}"
        );
    }

    #[test]
    fn member_and_element_ranges_are_found_without_parsing() {
        // `x` is not a text (half of a surrogate pair); the other members stay usable.
        let text = r#" {"x": "\ud800", "items": [ {"a":"]}\"\\"}, 2 ,[] ] } "#;
        let members = document(text).unwrap();
        let names: Vec<_> = members.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["x", "items"]);
        assert_eq!(parse(text, &members[0].1).unwrap_err(), "half of a surrogate pair");
        let places = elements(text, &members[1].1).unwrap();
        let parts: Vec<_> = places.iter().map(|place| &text[place.clone()]).collect();
        assert_eq!(parts, [r#"{"a":"]}\"\\"}"#, "2", "[]"]);
        assert_eq!(shown(&parse(text, &places[0]).unwrap()), "{a:\"]}\\\"\\\\\"}");
        assert!(elements(text, &members[0].1).unwrap().is_empty());
        assert!(super::members(text, &members[1].1).unwrap().is_empty());
    }

    #[test]
    fn parse_error_has_position_and_no_input_text() {
        let fault = |text: &str| document(text).unwrap_err().to_string();
        assert_eq!(fault("[1]"), "line 1, column 1: an object, `{...}`, is expected");
        assert_eq!(
            fault("{\"a\": hunter2}"),
            "line 1, column 7: no value of JSON begins like this"
        );
        assert_eq!(fault("{\"a\":\n \"hunter2"), "line 2, column 2: the text ends inside a string");
        assert_eq!(fault("{\"a\":\"\\"), "line 1, column 6: the text ends inside a string");
        assert_eq!(fault("{\"a\" 1}"), "line 1, column 6: a `:` must follow");
        assert_eq!(fault("{\"a\":1"), "line 1, column 7: a `,` or the end must follow");
        assert_eq!(fault("{\"a\":1} x"), "line 1, column 9: there is more after the object");
        assert_eq!(
            fault("{\"a\":{1:2}}"),
            "line 1, column 7: a member's name in double quotes must follow"
        );
        for word in ["01", "1.", ".5", "--1", "1e", "+1", "NaN", "nul", "", "0x10"] {
            assert!(whole(word).is_err(), "{word}");
        }
        assert_eq!(whole("{\"a\":1,\"a\":2}").unwrap_err(), "a name stands in an object twice");
    }

    #[test]
    fn json_above_depth_or_part_limit_is_rejected() {
        let deep = format!("{{\"a\":{}", "[".repeat(1_000_000));
        assert!(document(&deep).unwrap_err().to_string().ends_with("it is nested too deep"));
        assert_eq!(whole(&"[".repeat(1_000_000)).unwrap_err(), "it is nested too deep");
        let fits = format!("{}{}", "[".repeat(MAX_LEVELS), "]".repeat(MAX_LEVELS));
        assert!(whole(&fits).is_ok());
        let many = format!("[{}1]", "1,".repeat(MAX_NODES));
        assert_eq!(whole(&many).unwrap_err(), "it has too many parts");
        let parts = format!("[{}1]", "1,".repeat(MAX_PARTS));
        let fault = elements(&parts, &(0..parts.len())).unwrap_err().to_string();
        assert!(fault.ends_with("there are too many elements"), "{fault}");
    }

    fn as_others_have_it(tree: &Tree) -> serde_json::Value {
        use serde_json::Value;
        match tree {
            Tree::Null => Value::Null,
            Tree::Boolean(boolean) => Value::Bool(*boolean),
            Tree::Number(text) => text.expose().parse::<serde_json::Number>().unwrap().into(),
            Tree::Text(text) => Value::String(text.expose().to_owned()),
            Tree::List(list) => list.iter().map(as_others_have_it).collect(),
            Tree::Object(object) => {
                object.iter().map(|(name, tree)| (name.clone(), as_others_have_it(tree))).collect()
            }
        }
    }

    proptest! {
        #[test]
        fn serde_json_output_parses_equal(
            value in Just(serde_json::Value::Null).boxed().prop_union(
                prop_oneof![
                    any::<bool>().prop_map(Into::into),
                    any::<i64>().prop_map(Into::into),
                    "\\PC{0,6}|[\"\\\\\n\u{1}]{0,3}".prop_map(Into::into),
                ].boxed()
            ).boxed().prop_recursive(4, 20, 4, |inner| prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
                prop::collection::btree_map("\\PC{0,3}", inner, 0..4).prop_map(|members| {
                    members.into_iter().collect::<serde_json::Map<_, _>>().into()
                }),
            ]),
            pretty: bool,
        ) {
            let text = if pretty { format!("{value:#}") } else { value.to_string() };
            let tree = whole(&text).unwrap();
            prop_assert_eq!(as_others_have_it(&tree), value);
        }

        #[test]
        fn json_rejected_by_serde_json_is_rejected(text in "[{}\\[\\],:\"\\\\ae1 0.-]{0,12}|[\\[0-9eE.+-]{1,6}") {
            let place = 0..text.len();
            let _ = (document(&text), elements(&text, &place), members(&text, &place));
            let braced = format!("{{\"a\":{text}}}");
            if let Ok(found) = document(&braced) {
                let all = serde_json::from_str::<serde_json::Value>(&braced);
                let known = all.is_ok() || parse(&braced, &found[0].1).is_err();
                // A number of any size is kept as it was written; serde_json rejects some.
                let large = all.is_err_and(|fault| fault.to_string().contains("out of range"));
                prop_assert!(known || large || found.len() > 1, "{braced}");
            }
        }
    }
}

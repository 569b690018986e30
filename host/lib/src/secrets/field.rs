//! One part of a value: finds it by name or by JSON pointer, and changes it without changing its
//! type. Names in JSON are secret and stand in no error; a map's keys are not.

use keystead_plugin_api::{JsonText, Map, SecretBytes, SecretText, Value, ValueKind};

use crate::json::pointer::{self, JsonType};
use crate::json::{read, write};

/// Reason why a value has no part of some name.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoField {
    /// The value has other fields.
    Unknown {
        /// The existing fields: names, or pointers if the request was a pointer into a map.
        fields: Vec<String>,
    },
    /// A value of this kind has no fields.
    NoFields(ValueKind),
    /// The value's JSON has nothing there.
    NotInJson,
    /// The part is `null`, which is no value.
    Null,
    /// The request is neither an existing name nor a pointer.
    NoPointer,
}

/// A field of a map to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewField {
    /// The exact name, not a pointer.
    pub name: String,
    /// How to handle the type of an existing field.
    pub kind: FieldKind,
}

/// Value kind of a field to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldKind {
    /// The kind of the new value, whatever existed.
    New,
    /// The kind of the existing field. A text is written as the JSON, or the map, that it contains,
    /// and rejected if that has another type. A new field has the new value's kind.
    Kept,
}

/// Reason why a field cannot have a new value.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Misfit {
    /// The field has this type, and the new value does not.
    Type(String),
    /// The field does not exist, and its name looks like a pointer.
    Pointer,
}

/// Returns a part of a value: by this exact name, or else by this pointer.
pub(super) fn part(value: Value, field: &str) -> Result<Value, NoField> {
    let value = opened(value);
    let names = vec![field.to_owned()];
    let is_exact = match &value {
        Value::Map(map) => map.get(field).is_some(),
        Value::Json(json) => {
            JsonType::of(json) == JsonType::Object && pointer::find(json, &names).is_some()
        }
        _ => !field.starts_with('/'),
    };
    if is_exact {
        return descend(value, &names, "");
    }
    if !field.starts_with('/') {
        return Err(missing(&value, ""));
    }
    descend(value, &pointer::parse(field).ok_or(NoField::NoPointer)?, "")
}

/// Returns the one value of a map for uses that take no map: `password`, else `value`, by exact
/// name, if it is text or bytes. Returns any other value as it is.
pub fn single(value: Value) -> Value {
    let Value::Map(mut map) = value else { return value };
    let is_plain = |name: &&str| matches!(map.get(name), Some(Value::Text(_) | Value::Bytes(_)));
    let name = ["password", "value"].into_iter().find(is_plain);
    match name.and_then(|name| map.remove(name)) {
        Some(value) => value,
        None => Value::Map(map),
    }
}

/// Returns a nested part. The depth is limited: the boundary rejects more than 16 levels.
fn descend(value: Value, names: &[String], at: &str) -> Result<Value, NoField> {
    let Some((name, rest)) = names.split_first() else {
        return match value {
            // Without the surrounding blanks.
            Value::Json(json) => of_json(pointer::find(&json, names).unwrap_or_default()),
            other => Ok(other),
        };
    };
    let below = |value| descend(value, rest, &format!("{at}{}", pointer::part(name)));
    match opened(value) {
        Value::Map(mut map) => match map.remove(name) {
            Some(value) => below(value),
            None => Err(missing(&Value::Map(map), at)),
        },
        Value::Credential(credential) if name == "user" => below(Value::text(credential.user)),
        Value::Credential(credential) if name == "password" => {
            below(Value::Text(credential.password))
        }
        Value::Json(json) => of_json(pointer::find(&json, names).ok_or(NoField::NotInJson)?),
        other => Err(missing(&other, at)),
    }
}

/// Returns a text that is a JSON object as JSON, and any other value as it is.
fn opened(value: Value) -> Value {
    match value {
        Value::Text(text) if text.expose().trim_start().starts_with('{') => {
            JsonText::parse(text.duplicate()).map_or(Value::Text(text), Value::Json)
        }
        other => other,
    }
}

/// Returns a piece of JSON as a value: a string as the text that it stands for.
fn of_json(piece: &str) -> Result<Value, NoField> {
    let json = JsonText::parse(SecretText::new(piece));
    let json = json.expect("a piece of JSON is JSON");
    match JsonType::of(&json) {
        JsonType::Null => Err(NoField::Null),
        JsonType::Text => Ok(pointer::as_text(piece).map_or(Value::Json(json), Value::Text)),
        _ => Ok(Value::Json(json)),
    }
}

/// Returns the error for a missing part, with the existing parts of the value at path `at`.
fn missing(value: &Value, at: &str) -> NoField {
    let named = |name: &str| match at {
        "" => name.to_owned(),
        at => format!("{at}{}", pointer::part(name)),
    };
    match value {
        Value::Map(map) => {
            NoField::Unknown { fields: map.iter().map(|(key, _)| named(key)).collect() }
        }
        Value::Credential(_) => NoField::Unknown { fields: vec![named("user"), named("password")] },
        Value::Json(_) => NoField::NotInJson,
        other => NoField::NoFields(other.kind()),
    }
}

/// Returns the new value of a map's field.
pub(super) fn changed(map: &Map, field: &NewField, new: &Value) -> Result<Value, Misfit> {
    if field.kind == FieldKind::New {
        return Ok(new.duplicate());
    }
    let fitting = match (map.get(&field.name), new) {
        (None, _) if field.name.starts_with('/') => return Err(Misfit::Pointer),
        (None, new) => Some(new.duplicate()),
        (Some(Value::Json(present)), new) => {
            let present = JsonType::of(present);
            let json = as_json(present, new).filter(|json| JsonType::of(json) == present);
            return json.map(Value::Json).ok_or_else(|| Misfit::Type(present.to_string()));
        }
        (Some(Value::Map(_)), Value::Text(text)) => read::map(text.expose()).ok().map(Value::Map),
        (Some(present), new) => (present.kind() == new.kind()).then(|| new.duplicate()),
    };
    fitting.ok_or_else(|| {
        Misfit::Type(match map.get(&field.name).map(Value::kind) {
            Some(ValueKind::Credential) => "a credential".to_owned(),
            Some(ValueKind::Map) => "a map".to_owned(),
            Some(kind) => kind.to_string(),
            None => String::new(),
        })
    })
}

/// Puts a value into a map. A new key comes last, or in order if the keys are in order. A server
/// that sorts the keys then does not change their order.
pub(super) fn put(mut map: Map, key: &str, value: Value) -> Map {
    let is_sorted = map.iter().map(|(key, _)| key).is_sorted();
    let is_new = map.insert(key, value).is_none();
    if !is_new || !is_sorted {
        return map;
    }
    let mut fields: Vec<(String, Value)> = map.into_iter().collect();
    fields.sort_by(|(one, _), (other, _)| one.cmp(other));
    let mut sorted = Map::new();
    for (key, value) in fields {
        sorted.insert(key, value);
    }
    sorted
}

/// Returns a new value as JSON: a text as a JSON string, if the old value was one.
fn as_json(present: JsonType, new: &Value) -> Option<JsonText> {
    match (present, new) {
        (_, Value::Json(json)) => Some(json.duplicate()),
        (JsonType::Text, Value::Text(text)) => {
            let mut string = write::text(text.expose());
            let string = SecretBytes::new(std::mem::take(&mut *string));
            JsonText::parse(SecretText::from_bytes(string).ok()?).ok()
        }
        // A file ends with a line's end.
        (_, Value::Text(text)) => {
            let text = text.expose().trim_matches([' ', '\t', '\n', '\r']);
            JsonText::parse(SecretText::new(text)).ok()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Value {
        Value::json(text).unwrap()
    }

    fn map(entries: Vec<(&str, Value)>) -> Map {
        let mut map = Map::new();
        for (key, value) in entries {
            map.insert(key, value);
        }
        map
    }

    fn sample() -> Map {
        map(vec![
            ("text", Value::text("t")),
            ("/text", Value::text("exact")),
            ("", Value::text("empty")),
            ("a/b~c", Value::text("escaped")),
            ("n", json("1.50")),
            ("list", json(r#"[ 1, {"x": "y"}, null, "\ud800" ]"#)),
            ("yes", json(" true\n")),
            ("no", json("null")),
            ("string", json(r#"" \u0041""#)),
            ("object", Value::text(r#" {"host": "h", "ports": [80]}"#)),
            ("list as text", Value::text("[1]")),
            ("inner", Value::Map(map(vec![("deep", Value::text("d")), ("n", json("7"))]))),
            ("login", Value::credential("bob", r#"{"pin": 1}"#)),
        ])
    }

    fn found(field: &str) -> Result<Value, NoField> {
        part(Value::Map(sample()), field)
    }

    #[test]
    fn exact_field_name_precedes_pointer() {
        for (field, expected) in [
            ("text", Value::text("t")),
            ("/text", Value::text("exact")),
            ("", Value::text("empty")),
            ("/", Value::text("empty")),
            ("a/b~c", Value::text("escaped")),
            ("/a~1b~0c", Value::text("escaped")),
            ("n", json("1.50")),
            ("/yes", json("true")),
            ("yes", json("true")),
            ("string", Value::text(" A")),
            ("list", json(r#"[ 1, {"x": "y"}, null, "\ud800" ]"#)),
            ("/list/0", json("1")),
            ("/list/1", json(r#"{"x": "y"}"#)),
            ("/list/1/x", Value::text("y")),
            // No text has half of a surrogate pair.
            ("/list/3", json(r#""\ud800""#)),
            ("/object/host", Value::text("h")),
            ("/object/ports/0", json("80")),
            ("object", Value::text(r#" {"host": "h", "ports": [80]}"#)),
            ("/inner/deep", Value::text("d")),
            ("/inner/n", json("7")),
            ("/login/user", Value::text("bob")),
            ("/login/password/pin", json("1")),
        ] {
            assert_eq!(found(field), Ok(expected), "{field}");
        }
        assert_eq!(found("inner").unwrap().kind(), ValueKind::Map);
    }

    #[test]
    fn map_stands_for_its_password_or_else_its_value() {
        for (fields, expected) in [
            (vec![("value", Value::text("v")), ("password", Value::text("p"))], "p"),
            (vec![("user", Value::text("u")), ("value", Value::bytes(b"v".to_vec()))], "v"),
            (vec![("password", json("5")), ("value", Value::text("v"))], "v"),
            (vec![("Password", Value::text("p")), ("VALUE", Value::text("v"))], ""),
            (vec![("password", Value::Map(Map::new()))], ""),
            (vec![], ""),
        ] {
            let found = match single(Value::Map(map(fields))) {
                Value::Text(text) => text.expose().to_owned(),
                Value::Bytes(bytes) => String::from_utf8(bytes.expose().to_vec()).unwrap(),
                _ => String::new(),
            };
            assert_eq!(found, expected);
        }
        assert_eq!(single(json(r#"{"password":"p"}"#)), json(r#"{"password":"p"}"#));
    }

    #[test]
    fn missing_or_null_field_has_no_value() {
        for field in ["no", "/no", "/list/2"] {
            assert_eq!(found(field), Err(NoField::Null), "{field}");
        }
        for field in ["/list/4", "/list/00", "/list/-", "/list/1/y", "/object/x", "/n/0", "/no/a"] {
            assert_eq!(found(field), Err(NoField::NotInJson), "{field}");
        }
        for field in ["/text/a", "/list as text/0", "/inner/deep/x"] {
            assert_eq!(found(field), Err(NoField::NoFields(ValueKind::Text)), "{field}");
        }
        assert_eq!(found("/a~b"), Err(NoField::NoPointer));
        let Err(NoField::Unknown { fields }) = found("nosuch") else { panic!() };
        assert_eq!(fields[..3], ["text", "/text", ""]);
        let Err(NoField::Unknown { fields }) = found("/inner/x") else { panic!() };
        assert_eq!(fields, ["/inner/deep", "/inner/n"]);
        let Err(NoField::Unknown { fields }) = found("/login/x") else { panic!() };
        assert_eq!(fields, ["/login/user", "/login/password"]);
    }

    #[test]
    fn fields_of_json_and_of_object_text_are_found() {
        for value in [json, |text: &str| Value::text(text)] {
            let value = || value(r#"{"a": [null, 2], "/b": "c", "d": null}"#);
            assert_eq!(part(value(), "a"), Ok(json("[null, 2]")));
            assert_eq!(part(value(), "/a/1"), Ok(json("2")));
            assert_eq!(part(value(), "/b"), Ok(Value::text("c")));
            assert_eq!(part(value(), "d"), Err(NoField::Null));
            for field in ["b", "", "/a/2", "/d/x"] {
                assert_eq!(part(value(), field), Err(NoField::NotInJson), "{field}");
            }
        }
        assert_eq!(part(json("[1, 2]"), "/1"), Ok(json("2")));
        assert_eq!(part(json("[1, 2]"), "1"), Err(NoField::NotInJson));
        for text in ["[1, 2]", "{a}", "{", "5", ""] {
            let none = Err(NoField::NoFields(ValueKind::Text));
            assert_eq!(part(Value::text(text), "/1"), none, "{text}");
        }
        let bytes = part(Value::bytes(b"{\"a\":1}".to_vec()), "a");
        assert_eq!(bytes, Err(NoField::NoFields(ValueKind::Bytes)));
    }

    fn kept(field: &str, new: Value) -> Result<Value, Misfit> {
        let field = NewField { name: field.to_owned(), kind: FieldKind::Kept };
        changed(&sample(), &field, &new)
    }

    #[test]
    fn changed_field_keeps_its_type() {
        for (field, typed, expected) in [
            ("text", "12", Value::text("12")),
            ("text", "null", Value::text("null")),
            ("new", "12", Value::text("12")),
            ("n", "-2.50E7", json("-2.50E7")),
            ("yes", "\r\n false\t", json("false")),
            ("list", "[]", json("[]")),
            ("no", "null", json("null")),
            ("string", "a\"b", json(r#""a\"b""#)),
            ("string", "5", json(r#""5""#)),
            ("inner", r#"{"x": 5}"#, Value::Map(map(vec![("x", json("5"))]))),
            ("/text", "y", Value::text("y")),
        ] {
            assert_eq!(kept(field, Value::text(typed)), Ok(expected), "{field}");
        }
        assert_eq!(kept("n", json("5")), Ok(json("5")));
        for (field, typed, present) in [
            ("n", "five", "a JSON number"),
            ("n", "\"5\"", "a JSON number"),
            ("n", "05", "a JSON number"),
            ("n", "", "a JSON number"),
            ("yes", "1", "a JSON boolean"),
            ("list", "{}", "a JSON list"),
            ("list", "[1", "a JSON list"),
            ("no", "x", "JSON's null"),
            ("inner", "x", "a map"),
            ("inner", "[]", "a map"),
            ("login", "x", "a credential"),
        ] {
            let misfit = Err(Misfit::Type(present.to_owned()));
            assert_eq!(kept(field, Value::text(typed)), misfit, "{field} {typed}");
        }
        assert_eq!(
            kept("n", Value::bytes(b"5".to_vec())),
            Err(Misfit::Type("a JSON number".into()))
        );
        assert_eq!(kept("text", Value::bytes(b"5".to_vec())), Err(Misfit::Type("text".into())));
    }

    #[test]
    fn new_field_keeps_sorted_key_order() {
        for (keys, expected) in [
            (&["a", "c"][..], "abc"),
            (&["c", "a"], "cab"),
            (&["b", "c"], "bc"),
            (&["c", "b"], "cb"),
            (&[], "b"),
        ] {
            let map = map(keys.iter().map(|key| (*key, json("1"))).collect());
            let map = put(map, "b", Value::text("new"));
            assert_eq!(map.iter().map(|(key, _)| key).collect::<String>(), expected);
            assert_eq!(map.get("b"), Some(&Value::text("new")));
        }
    }

    #[test]
    fn pointer_creates_field_only_with_given_kind() {
        assert_eq!(kept("/list/0", Value::text("2")), Err(Misfit::Pointer));
        for name in ["/list/0", "n"] {
            let field = NewField { name: name.to_owned(), kind: FieldKind::New };
            assert_eq!(changed(&sample(), &field, &Value::text("x")), Ok(Value::text("x")));
        }
    }

    proptest::proptest! {
        #[test]
        fn every_map_key_is_found_exactly_and_by_pointer(
            map in crate::json::any::any_map(),
            field in "(/|~0|~1|~|0|1|a|json|user){0,6}",
        ) {
            let keys: Vec<String> = map.iter().map(|(key, _)| key.to_owned()).collect();
            for key in keys {
                let exact = part(Value::Map(map_of(&map)), &key);
                let by_pointer = part(Value::Map(map_of(&map)), &pointer::part(&key));
                // Unless a key looks like that pointer.
                if map.get(&pointer::part(&key)).is_none() {
                    proptest::prop_assert_eq!(&exact, &by_pointer);
                }
                proptest::prop_assert!(exact.is_ok() || exact == Err(NoField::Null));
                for (_, value) in map.iter() {
                    let _ = part(value.duplicate(), &field);
                }
            }
            let _ = part(Value::Map(map), &field);
        }
    }

    fn map_of(map: &Map) -> Map {
        let mut copy = Map::new();
        for (key, value) in map.iter() {
            copy.insert(key, value.duplicate());
        }
        copy
    }
}

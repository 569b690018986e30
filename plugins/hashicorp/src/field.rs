//! Values as fields on the server, which other programs read and write too.
//!
//! A text is the field `value`, bytes the field `base64`, and a credential the fields `username`
//! and `password`; every other value is a map. Inside a map, a text is a string, bytes are
//! `{"base64": …}`, a credential is `{"username": …, "password": …}`, and a map is an object.
//! Numbers, lists, `true`, `false` and `null` are JSON and stay unchanged. JSON alone is the field
//! `json` with a shape.

use std::io::{self, Write};

use keystead_plugin_api::{
    Credential, Error, JsonText, MAX_VALUE_DEPTH, MAX_VALUE_ENTRIES, Map, Result, SecretBytes,
    SecretText, Value,
};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::json::{self, Object, as_object, as_string};
use crate::shape::{self, Kind, Shape};

const VALUE: &str = "value";
const BASE64: &str = "base64";
const USER: &str = "username";
const PASSWORD: &str = "password";
const JSON: &str = "json";

/// Checks that a value can be stored as fields.
///
/// # Errors
/// `Invalid` for a reserved key, `Unsupported` for an unknown value kind.
pub(crate) fn check(value: &Value) -> Result<()> {
    match value {
        Value::Map(map) => {
            if map.get(shape::FIELD).is_some() {
                let message = format!("the key `{}` is this plugin's own", shape::FIELD);
                return Err(Error::invalid(message));
            }
            map.iter().try_for_each(|(_, value)| is_known(value))
        }
        _ => is_known(value),
    }
}

fn is_known(value: &Value) -> Result<()> {
    match value {
        Value::Text(_) | Value::Bytes(_) | Value::Credential(_) | Value::Json(_) => Ok(()),
        Value::Map(map) => map.iter().try_for_each(|(_, value)| is_known(value)),
        _ => Err(Error::unsupported("this vault cannot hold that kind of value")),
    }
}

/// Checks that no number changes on a server that stores numbers as 64-bit floats, as OpenBao does
/// in KV version 2.
///
/// # Errors
/// `Unsupported` if a number would change.
pub(crate) fn check_numbers(value: &Value) -> Result<()> {
    let is_kept = |number: &str| {
        let parse = |text: String| JsonText::parse(SecretText::new(text)).ok();
        let float: f64 = number.parse().unwrap_or(f64::INFINITY);
        let back = parse(format!("{float:e}"));
        back.zip(parse(number.to_owned())).is_some_and(|(back, given)| back.is_same(&given))
    };
    match value {
        Value::Json(json) if !numbers(json.expose()).into_iter().all(is_kept) => {
            Err(Error::unsupported(
                "a number in this JSON has more digits than the server keeps: write it as a text",
            ))
        }
        Value::Map(map) => map.iter().try_for_each(|(_, value)| check_numbers(value)),
        _ => Ok(()),
    }
}

/// Returns the numbers of a JSON text.
fn numbers(json: &str) -> Vec<&str> {
    let mut numbers = Vec::new();
    let mut rest = json;
    while let Some(at) = rest.find(|c: char| c == '"' || c == '-' || c.is_ascii_digit()) {
        rest = &rest[at..];
        let end = match rest.strip_prefix('"') {
            Some(text) => {
                let mut escaped = false;
                let end = text.find(|c: char| {
                    let ends = c == '"' && !escaped;
                    escaped = c == '\\' && !escaped;
                    ends
                });
                end.map_or(rest.len(), |end| end + 2)
            }
            None => {
                let is_part = |c: char| c.is_ascii_digit() || "+-.eE".contains(c);
                let end = rest.find(|c: char| !is_part(c)).unwrap_or(rest.len());
                numbers.push(&rest[..end]);
                end
            }
        };
        rest = &rest[end..];
    }
    numbers
}

/// Writes a value's fields as an object.
pub(crate) fn write(to: &mut dyn Write, value: &Value) -> io::Result<()> {
    match value {
        Value::Text(text) => {
            name(to, b"{", VALUE)?;
            json::string(to, text.expose())?;
            to.write_all(b"}")
        }
        Value::Map(map) => {
            let mut before: &[u8] = b"{";
            if shape::is_needed(map) {
                name(to, before, shape::FIELD)?;
                // The shape is JSON in a string: it holds keys, nothing secret.
                let mut text = Vec::new();
                shape::write(&mut text, map)?;
                json::string(to, &String::from_utf8_lossy(&text))?;
                before = b",";
            }
            fields(to, before, map)
        }
        Value::Json(json) => {
            name(to, b"{", JSON)?;
            to.write_all(json.expose().as_bytes())?;
            name(to, b",", shape::FIELD)?;
            json::string(to, shape::JSON)?;
            to.write_all(b"}")
        }
        other => inner(to, other),
    }
}

/// Writes a value inside a map.
fn inner(to: &mut dyn Write, value: &Value) -> io::Result<()> {
    match value {
        Value::Text(text) => json::string(to, text.expose()),
        Value::Bytes(bytes) => {
            name(to, b"{", BASE64)?;
            json::base64(to, bytes.expose())?;
            to.write_all(b"}")
        }
        Value::Credential(credential) => {
            name(to, b"{", PASSWORD)?;
            json::string(to, credential.password.expose())?;
            name(to, b",", USER)?;
            json::string(to, &credential.user)?;
            to.write_all(b"}")
        }
        Value::Map(map) => fields(to, b"{", map),
        Value::Json(json) => to.write_all(json.expose().as_bytes()),
        _ => Err(io::Error::other("a kind that was checked before")),
    }
}

fn fields(to: &mut dyn Write, mut before: &[u8], map: &Map) -> io::Result<()> {
    for (key, value) in map.iter() {
        name(to, before, key)?;
        inner(to, value)?;
        before = b",";
    }
    to.write_all(if before == b"{" { b"{}" } else { b"}" })
}

fn name(to: &mut dyn Write, before: &[u8], name: &str) -> io::Result<()> {
    to.write_all(before)?;
    json::string(to, name)?;
    to.write_all(b":")
}

/// Returns the value of these fields.
///
/// # Errors
/// `Unsupported` if the fields are nested more deeply than a value allows; `Corrupt` if the data is
/// not an object.
pub(crate) fn read(raw: &RawValue) -> Result<Value> {
    let mut fields =
        as_object(raw).ok_or_else(|| Error::corrupt("the secret's data is no object"))?;
    let shape = fields.get(shape::FIELD).and_then(|raw| as_string(raw));
    match shape.as_deref().and_then(Shape::parse) {
        Some(Shape::Map(shape)) => {
            fields.remove(shape::FIELD);
            return shaped(fields, shape, 1);
        }
        Some(Shape::Kind(Kind::Json)) if fields.len() == 2 && fields.contains_key(JSON) => {
            return json_value(fields[JSON]);
        }
        _ => {}
    }
    if fields.len() == 1
        && let Some(text) = fields.get(VALUE).and_then(|raw| as_string(raw))
    {
        return Ok(Value::Text(SecretText::new(text)));
    }
    object(fields, 1)
}

/// Returns the value of an object without a shape.
fn object(fields: Object<'_>, depth: usize) -> Result<Value> {
    if let Some(value) = bytes(&fields).or_else(|| credential(&fields)) {
        return Ok(value);
    }
    shaped(fields, Vec::new(), depth)
}

fn bytes(fields: &Object<'_>) -> Option<Value> {
    let text = fields.get(BASE64).filter(|_| fields.len() == 1)?;
    let text = SecretText::new(as_string(text)?);
    Some(Value::Bytes(SecretBytes::new(json::from_base64(text.expose())?)))
}

fn credential(fields: &Object<'_>) -> Option<Value> {
    if fields.len() != 2 {
        return None;
    }
    let user = as_string(fields.get(USER)?)?;
    let password = SecretText::new(as_string(fields.get(PASSWORD)?)?);
    Some(Value::Credential(Credential::new(user, password)))
}

/// Returns the map of these fields. Those of the shape come first, in its order and with its kinds
/// if they fit; the others follow by name.
fn shaped(mut fields: Object<'_>, shape: Vec<(String, Shape)>, depth: usize) -> Result<Value> {
    // The plugin API's limit, checked here so that nothing deeper is parsed.
    if depth >= MAX_VALUE_DEPTH && !fields.is_empty() {
        let message = format!("the secret is nested more than {MAX_VALUE_DEPTH} levels deep");
        return Err(Error::unsupported(message));
    }
    if fields.len() > MAX_VALUE_ENTRIES {
        let message = format!("the secret has more than {MAX_VALUE_ENTRIES} fields");
        return Err(Error::unsupported(message));
    }
    let mut entries = Vec::with_capacity(fields.len());
    for (key, shape) in shape {
        if let Some(raw) = fields.remove(&key) {
            entries.push((key, as_shape(raw, shape, depth + 1)?));
        }
    }
    for (key, raw) in fields {
        entries.push((key, unshaped(raw, depth + 1)?));
    }
    Ok(Value::Map(map_of(entries)))
}

/// Returns a map of entries with distinct keys.
fn map_of(entries: Vec<(String, Value)>) -> Map {
    let mut map = Map::new();
    for (key, value) in entries {
        map.insert(key, value);
    }
    map
}

fn as_shape(raw: &RawValue, shape: Shape, depth: usize) -> Result<Value> {
    match (shape, as_object(raw)) {
        (Shape::Map(shape), Some(fields)) => shaped(fields, shape, depth),
        (Shape::Kind(Kind::Bytes), Some(fields)) if bytes(&fields).is_some() => {
            object(fields, depth)
        }
        (Shape::Kind(Kind::Credential), Some(fields)) if credential(&fields).is_some() => {
            object(fields, depth)
        }
        (Shape::Kind(Kind::Json), _) => json_value(raw),
        // Another program has changed the kind of the field.
        _ => unshaped(raw, depth),
    }
}

/// Returns the text of a list of strings, joined by line breaks as in PEM.
pub(crate) fn lines(raw: &RawValue) -> Option<SecretText> {
    let lines: Vec<&RawValue> = serde_json::from_str(raw.get()).ok()?;
    let lines: Option<Vec<String>> = lines.into_iter().map(as_string).collect();
    let lines = Zeroizing::new(lines?);
    let mut text = String::with_capacity(lines.iter().map(|line| line.len() + 1).sum());
    for (n, line) in lines.iter().enumerate() {
        text.push_str(if n == 0 { "" } else { "\n" });
        text.push_str(line);
    }
    Some(SecretText::new(text))
}

/// Returns the value of a field without a shape.
pub(crate) fn unshaped(raw: &RawValue, depth: usize) -> Result<Value> {
    if let Some(fields) = as_object(raw) {
        return object(fields, depth);
    }
    match as_string(raw) {
        Some(text) => Ok(Value::Text(SecretText::new(text))),
        None => json_value(raw),
    }
}

/// Returns the JSON value of a field.
fn json_value(raw: &RawValue) -> Result<Value> {
    let json = JsonText::parse(SecretText::new(raw.get()));
    json.map(Value::Json).map_err(|error| Error::corrupt(format!("a field is {}", error.message())))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn map(pairs: Vec<(&str, Value)>) -> Value {
        Value::Map(map_of(pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()))
    }

    fn json_of(value: &Value) -> String {
        let bytes = json::written(|to| write(to, value)).unwrap();
        String::from_utf8(bytes.expose().to_vec()).unwrap()
    }

    fn json(text: &str) -> Value {
        Value::json(text).unwrap()
    }

    fn value_of(text: &str) -> Result<Value> {
        read(serde_json::from_str(text).unwrap())
    }

    #[test]
    fn value_kinds_map_to_conventional_fields() {
        let entries = vec![
            ("a", Value::text("x")),
            ("b", Value::bytes(vec![0, 255])),
            ("c", Value::credential("ann", "pw")),
            ("d", map(vec![("value", Value::text("y"))])),
        ];
        for (value, json) in [
            (Value::text("a \"b\""), r#"{"value":"a \"b\""}"#),
            (Value::bytes(vec![0, 255]), r#"{"base64":"AP8="}"#),
            (Value::credential("ann", "pw"), r#"{"password":"pw","username":"ann"}"#),
            (
                map(entries),
                r#"{"a":"x","b":{"base64":"AP8="},"c":{"password":"pw","username":"ann"},"d":{"value":"y"}}"#,
            ),
        ] {
            assert_eq!(json_of(&value), json);
            assert_eq!(value_of(json).unwrap(), value);
        }
    }

    #[test]
    fn ambiguous_values_round_trip_with_shape_field() {
        for value in [
            map(vec![]),
            map(vec![("value", Value::text("x"))]),
            map(vec![("base64", Value::text("AP8="))]),
            map(vec![("password", Value::text("x")), ("username", Value::text("y"))]),
            map(vec![("b", Value::text("1")), ("a", Value::text("2"))]),
            map(vec![("a", map(vec![("base64", Value::text(""))])), ("b", map(vec![]))]),
            json("7"),
            json(r#"{"json":7}"#),
            map(vec![("a", json(r#""text""#)), ("b", json(r#"{"c":1}"#))]),
            map(vec![("a", map(vec![("z", Value::text("")), ("y", Value::credential("", ""))]))]),
        ] {
            let json = json_of(&value);
            assert!(json.contains("keystead.shape"), "{json}");
            // The server sorts the fields.
            let sorted: serde_json::Value = serde_json::from_str(&json).unwrap();
            assert_eq!(value_of(&sorted.to_string()).unwrap(), value, "{json}");
        }
    }

    #[test]
    fn fields_changed_beside_shape_are_read() {
        let shape = r#""keystead.shape":"[[\"b\",\"bytes\"],[\"a\",\"text\"]]""#;
        let value = value_of(&format!(r#"{{{shape},"a":7,"b":"no bytes","c":"new"}}"#)).unwrap();
        let expected =
            vec![("b", Value::text("no bytes")), ("a", json("7")), ("c", Value::text("new"))];
        assert_eq!(value, map(expected));
        // An invalid shape is an ordinary field.
        let value = value_of(r#"{"keystead.shape":"what","a":"x"}"#).unwrap();
        assert_eq!(
            value,
            map(vec![("a", Value::text("x")), ("keystead.shape", Value::text("what"))])
        );
    }

    #[test]
    fn other_json_types_are_read_as_json_values() {
        let text = r#"{"big":12345678901234567890123.50,"list":[1, "x"],"no":null,"yes":true}"#;
        let expected = vec![
            ("big", json("12345678901234567890123.50")),
            ("list", json("[1, \"x\"]")),
            ("no", json("null")),
            ("yes", json("true")),
        ];
        assert_eq!(value_of(text).unwrap(), map(expected));
        assert_eq!(json_of(&value_of(text).unwrap()), text);
        let number = map(vec![("value", json("5"))]);
        assert_eq!(value_of(r#"{"value":5}"#).unwrap(), number);
        let no_base64 = map(vec![("base64", Value::text("%"))]);
        assert_eq!(value_of(r#"{"base64":"%"}"#).unwrap(), no_base64);
    }

    #[test]
    fn number_that_server_would_round_is_rejected() {
        for kept in
            ["0", "-0", "1.50", "1e21", "0.1", "9007199254740992", "[\"12345678901234567890\"]"]
        {
            assert!(check_numbers(&json(kept)).is_ok(), "{kept}");
        }
        for changed in [
            "12345678901234567890",
            "[1, 9007199254740993]",
            "1e400",
            "{\"\\\"\":1.00000000000000000001}",
        ] {
            assert!(check_numbers(&map(vec![("a", json(changed))])).is_err(), "{changed}");
        }
    }

    /// Any value within the nesting limit.
    fn values() -> impl Strategy<Value = Value> {
        let key = prop_oneof!["value|base64|username|password|keystead", ".{0,4}"];
        let leaf = prop_oneof![
            ".{0,8}".prop_map(Value::text),
            any::<Vec<u8>>().prop_map(Value::bytes),
            (".{0,4}", ".{0,4}").prop_map(|(user, password)| Value::credential(user, password)),
            prop::sample::select(vec![
                "0",
                "-1.5",
                "null",
                "true",
                r#"[1,"x"]"#,
                r#""text""#,
                r#"{"a":1}"#,
            ])
            .prop_map(json),
        ];
        leaf.prop_recursive(4, 24, 4, move |inner| {
            prop::collection::vec((key.clone(), inner), 0..4)
                .prop_map(|entries| Value::Map(map_of(entries)))
        })
    }

    proptest! {
        #[test]
        fn values_round_trip_after_server_sorts_fields(value in values()) {
            let sorted: serde_json::Value = serde_json::from_str(&json_of(&value)).unwrap();
            prop_assert_eq!(value_of(&sorted.to_string()).unwrap(), value);
        }

        #[test]
        fn arbitrary_shape_keeps_all_fields(shape in ".{0,40}", text in ".{0,8}") {
            let fields = serde_json::json!({ "keystead.shape": shape, "a": { "b": text }, "c": 1 });
            let Value::Map(map) = value_of(&fields.to_string()).unwrap() else { panic!() };
            prop_assert!(map.get("a").is_some() && map.get("c").is_some());
        }
    }

    #[test]
    fn value_nested_beyond_limit_is_rejected() {
        let nested =
            |depth: usize| format!("{}\"x\"{}", "{\"a\":".repeat(depth), "}".repeat(depth));
        assert!(value_of(&nested(MAX_VALUE_DEPTH - 1)).is_ok());
        let error = value_of(&nested(MAX_VALUE_DEPTH)).unwrap_err();
        assert_eq!(error.message(), "the secret is nested more than 16 levels deep");
        assert!(value_of(&nested(100)).is_err());
        assert!(value_of("[]").is_err());
    }
}

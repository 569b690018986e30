//! Names, values and metadata that the checks write. Every value that is not empty holds
//! the canary, so that it is known when it turns up where it must not.

use super::{Declared, NAME_PREFIX};
use crate::manifest::NameRule;
use crate::metadata::{Metadata, MetadataValue};
use crate::name::{SecretName, MAX_SECRET_NAME_BYTES};
use crate::value::{Map, Value, ValueKind, MAX_VALUE_DEPTH};

/// What every value holds.
pub(super) const CANARY: &str = "keystead-canary";

/// Returns a secret's name with the suite's prefix.
pub(super) fn name(rest: &str) -> SecretName {
    SecretName::parse(&format!("{NAME_PREFIX}{rest}"))
        .expect("the names in this suite keep the rules")
}

/// The ends of names that are never written: one that most vaults could hold, and some that many could
/// not. A vault's answer is the same.
pub(super) const MISSING: [&str; 3] = ["missing", "missing//twice", "missing/../above"];

/// Returns names that are harder to keep than most. Not every vault can hold them, but what
/// it holds comes back as it was. Checks that may run at the same time have names of their own, by
/// what these begin with.
pub(super) fn odd_names(rule: NameRule, begin: &str) -> Vec<SecretName> {
    let name = |rest: &str| name(&format!("{begin}{rest}"));
    let mut names: Vec<SecretName> = [
        "with spaces  and a final one ",
        "slash/../slash",
        "back\\slash",
        "*",
        "?[a-z]",
        "{brace}$HOME`x`;'\"%00%2f#&=",
        "-dash",
        "ümläut-ſ-İ-日本語-😀",
        "e\u{301}-and-\u{e9}",
        "\u{202e}right-to-left",
    ]
    .into_iter()
    .map(name)
    .collect();
    let longest = MAX_SECRET_NAME_BYTES - NAME_PREFIX.len() - begin.len();
    names.push(name(&"n".repeat(longest)));
    names.push(name(&"é".repeat(longest / 2)));
    if rule == NameRule::CaseSensitive {
        names.extend(["case", "Case", "CASE"].into_iter().map(name));
    } else {
        names.push(name("MixedCase"));
    }
    names
}

/// Returns a small value of the first kind that the vault holds. Different tags give
/// different values.
pub(super) fn plain(declared: &Declared, tag: &str) -> Value {
    of_kind(declared.values.first().copied().unwrap_or(ValueKind::Text), tag)
}

/// Returns a small value of this kind.
pub(super) fn of_kind(kind: ValueKind, tag: &str) -> Value {
    let text = format!("{CANARY} {tag}");
    match kind {
        ValueKind::Text => Value::text(text),
        ValueKind::Bytes => Value::bytes(text.into_bytes()),
        ValueKind::Credential => Value::credential(format!("user of {tag}"), text),
        ValueKind::Map => {
            let mut map = Map::new();
            map.insert("key", Value::text(text));
            Value::Map(map)
        }
        ValueKind::Json => json(&format!("[\"{text}\"]")),
        #[cfg(feature = "next")]
        ValueKind::Link => Value::Link(crate::value::SecretText::new(text)),
    }
}

/// Returns values of this kind that a vault might not be able to hold, but must not change.
pub(super) fn odd_values(kind: ValueKind) -> Vec<Value> {
    let odd = format!("{CANARY}\0\n\r\n ümläut 😀 \u{feff}\t\" ' \\ </x> {{}} $HOME %00 ");
    let large = CANARY.repeat(1024 * 1024 / CANARY.len() + 1);
    match kind {
        ValueKind::Text => vec![Value::text(odd), Value::text(large)],
        ValueKind::Bytes => {
            let mut all: Vec<u8> = CANARY.bytes().chain(0..=255).chain([0, 0]).collect();
            let small = Value::bytes(all.clone());
            while all.len() < 1024 * 1024 {
                all.extend_from_within(..);
            }
            all.truncate(1024 * 1024);
            vec![small, Value::bytes(all)]
        }
        ValueKind::Credential => {
            vec![Value::credential("ü:\" \0 \n/", odd), Value::credential("", CANARY)]
        }
        ValueKind::Map => vec![deep_map(), wide_map(&odd)],
        // What a vault may change, blanks, escapes and the like, is not in these.
        ValueKind::Json => vec![
            json(&format!("{{\"a\":[1,1.5,-25,null,true,{{}}],\"b\":\"{CANARY} ü\"}}")),
            json("12345678901234567890"),
            json("null"),
        ],
        #[cfg(feature = "next")]
        ValueKind::Link => vec![],
    }
}

fn json(text: &str) -> Value {
    Value::json(text).expect("it is JSON")
}

/// Returns the empty value of this kind, where there is one.
pub(super) fn empty(kind: ValueKind) -> Option<Value> {
    match kind {
        ValueKind::Text => Some(Value::text("")),
        ValueKind::Bytes => Some(Value::bytes(Vec::new())),
        ValueKind::Map => Some(Value::Map(Map::new())),
        _ => None,
    }
}

/// Returns a map as deep as may be.
fn deep_map() -> Value {
    let mut value = Value::text(CANARY);
    for level in 1..MAX_VALUE_DEPTH {
        let mut map = Map::new();
        map.insert(format!("level {level}"), value);
        value = Value::Map(map);
    }
    value
}

/// Returns a map of every kind of value, with keys that are not in the order of the alphabet.
fn wide_map(odd: &str) -> Value {
    let mut inner = Map::new();
    inner.insert("bytes", Value::bytes(vec![0, 255, 0]));
    inner.insert("", Value::text("the empty key"));
    let mut map = Map::new();
    map.insert("z", Value::text(odd));
    map.insert("a", Value::credential("user", CANARY));
    map.insert("Z", Value::Map(inner));
    map.insert("no text", Value::text(""));
    map.insert("no entries", Value::Map(Map::new()));
    map.insert("a.b/c d ü", Value::bytes(Vec::new()));
    Value::Map(map)
}

/// Returns metadata of every kind.
pub(super) fn metadata() -> Metadata {
    of_pairs(&[
        ("text", MetadataValue::Text("some text, ü".to_owned())),
        ("no-text", MetadataValue::Text(String::new())),
        ("integer", MetadataValue::Integer(-42)),
        ("yes", MetadataValue::Boolean(true)),
        ("no", MetadataValue::Boolean(false)),
        ("moment", MetadataValue::Timestamp(1_700_000_000_123)),
        (
            "texts",
            MetadataValue::TextList(["b, \"c\"", "", "a", "b, \"c\""].map(String::from).into()),
        ),
        ("no-texts", MetadataValue::TextList(Vec::new())),
    ])
}

/// Returns other metadata: one key of the first, changed, and one of its own.
pub(super) fn other_metadata() -> Metadata {
    of_pairs(&[
        ("text", MetadataValue::Text("other text".to_owned())),
        ("more", MetadataValue::Integer(7)),
    ])
}

/// Returns metadata of these pairs.
pub(super) fn of_pairs(pairs: &[(&str, MetadataValue)]) -> Metadata {
    let mut metadata = Metadata::new();
    for (key, value) in pairs {
        metadata.insert(*key, value.clone()).expect("within the limits");
    }
    metadata
}

/// Says what a value is, without its bytes.
pub(super) fn shape(value: &Value) -> String {
    match value {
        Value::Text(text) => format!("a text of {} bytes", text.expose().len()),
        Value::Bytes(bytes) => format!("{} bytes", bytes.len()),
        Value::Credential(credential) => format!(
            "a credential of {} and {} bytes",
            credential.user.len(),
            credential.password.expose().len()
        ),
        Value::Map(map) => format!("a map of {} entries", map.len()),
        Value::Json(json) => format!("JSON of {} bytes", json.expose().len()),
        #[cfg(feature = "next")]
        Value::Link(_) => "a link".to_owned(),
    }
}

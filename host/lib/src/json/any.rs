//! Strategy for maps in tests, including those of import and export.

use keystead_plugin_api::{Map, Value};
use proptest::prelude::*;

/// Returns a strategy for maps with a few fields and levels.
pub(crate) fn any_map() -> impl Strategy<Value = Map> {
    let leaf = prop_oneof![
        ".*".prop_map(Made::Text),
        proptest::collection::vec(any::<u8>(), 0..9).prop_map(Made::Bytes),
        (".*", ".*").prop_map(|(user, password)| Made::Credential(user, password)),
        any_json().prop_map(Made::Json),
    ];
    let value = leaf.prop_recursive(3, 12, 4, |inner| {
        proptest::collection::btree_map(".*|json|map", inner, 0..4).prop_map(Made::Map)
    });
    proptest::collection::btree_map(".*", value, 0..4).prop_map(to_map)
}

/// A value that can be cloned: proptest needs `Clone`, and secrets do not have it.
#[derive(Debug, Clone)]
enum Made {
    Text(String),
    Bytes(Vec<u8>),
    Credential(String, String),
    Map(std::collections::BTreeMap<String, Made>),
    Json(String),
}

/// Returns a strategy for JSON texts, compact or indented, without duplicate names in an object.
fn any_json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        ".*".prop_map(Into::into),
    ];
    let json = leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            proptest::collection::btree_map(".*|json|text", inner, 0..4)
                .prop_map(|members| { serde_json::Value::Object(members.into_iter().collect()) }),
        ]
    });
    (json, any::<bool>()).prop_map(|(json, pretty)| match pretty {
        true => format!("{json:#}"),
        false => json.to_string(),
    })
}

fn to_map(made: std::collections::BTreeMap<String, Made>) -> Map {
    let mut map = Map::new();
    for (key, value) in made {
        let value = match value {
            Made::Text(text) => Value::text(text),
            Made::Bytes(bytes) => Value::bytes(bytes),
            Made::Credential(user, password) => Value::credential(user, password),
            Made::Map(inner) => Value::Map(to_map(inner)),
            Made::Json(text) => Value::json(text).unwrap(),
        };
        map.insert(key, value);
    }
    map
}

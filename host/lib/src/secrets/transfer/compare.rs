//! Equality of two secrets: kind, bytes and, if it is carried, metadata. The order of a map's keys
//! does not count, nor does read-only metadata. Incomplete metadata equals no other metadata.

use keystead_plugin_api::{Map, Secret, Value};

use super::Carried;

pub(super) fn same(one: &Secret, other: &Secret, carried: Carried) -> bool {
    let known = [one, other].iter().all(|secret| secret.metadata.check_complete().is_ok());
    let metadata = carried == Carried::ValueOnly
        || (known && one.metadata.writable() == other.metadata.writable());
    metadata && same_value(&one.value, &other.value)
}

/// Returns whether two values are equal. The boundary limits their depth to 16 levels.
pub fn same_value(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Map(one), Value::Map(other)) => {
            let (one, other) = (sorted(one), sorted(other));
            one.len() == other.len()
                && one.iter().zip(&other).all(|(a, b)| a.0 == b.0 && same_value(a.1, b.1))
        }
        // A vault may write JSON in its own way.
        (Value::Json(one), Value::Json(other)) => one.is_same(other),
        _ => one == other,
    }
}

fn sorted(map: &Map) -> Vec<(&str, &Value)> {
    let mut entries: Vec<_> = map.iter().collect();
    entries.sort_by_key(|(key, _)| *key);
    entries
}

#[cfg(test)]
mod tests {
    use keystead_plugin_api::{Metadata, MetadataValue};

    use super::*;

    fn map(entries: Vec<(&str, Value)>) -> Value {
        let mut map = Map::new();
        for (key, value) in entries {
            map.insert(key, value);
        }
        Value::Map(map)
    }

    #[test]
    fn value_comparison_ignores_only_key_order() {
        let text = || Value::text("canary");
        let deep = |inner: Value| map(vec![("a", text()), ("b", map(vec![("c", inner)]))]);
        let turned = map(vec![("b", map(vec![("c", text())])), ("a", text())]);
        assert!(same_value(&deep(text()), &turned));
        assert!(same_value(&map(Vec::new()), &map(Vec::new())));
        for (one, other) in [
            (text(), Value::text("canary ")),
            (text(), Value::bytes(b"canary".to_vec())),
            (Value::credential("a", "canary"), Value::credential("b", "canary")),
            (deep(text()), deep(Value::text("other"))),
            (deep(text()), deep(map(Vec::new()))),
            (map(vec![("a", text())]), map(vec![("A", text())])),
            (map(vec![("a", text())]), map(vec![("a", text()), ("b", text())])),
            (map(Vec::new()), Value::text("")),
        ] {
            assert!(!same_value(&one, &other) && !same_value(&other, &one), "{one:?} {other:?}");
        }
    }

    #[test]
    fn metadata_is_compared_only_if_carried() {
        let mut metadata = Metadata::new();
        metadata.insert("n", MetadataValue::Integer(1)).unwrap();
        let plain = Secret::new(Value::text("canary"));
        let described = Secret::with_metadata(Value::text("canary"), metadata);
        assert!(!same(&plain, &described, Carried::All));
        assert!(same(&plain, &described, Carried::ValueOnly));
        assert!(same(&described, &described, Carried::All));
        // Each vault reports its own read-only metadata.
        let mut own = Secret::new(Value::text("canary"));
        own.metadata.insert_read_only("n", MetadataValue::Integer(2)).unwrap();
        own.metadata.mark_more_read_only();
        assert!(same(&own, &plain, Carried::All) && same(&plain, &own, Carried::All));
        assert!(!same(&own, &described, Carried::All));
        // The missing part is not known.
        let mut unknown = Secret::new(Value::text("canary"));
        unknown.metadata.mark_incomplete();
        assert!(!same(&unknown, &unknown, Carried::All));
        assert!(!same(&unknown, &plain, Carried::All) && !same(&plain, &unknown, Carried::All));
        assert!(same(&unknown, &plain, Carried::ValueOnly));
    }
}

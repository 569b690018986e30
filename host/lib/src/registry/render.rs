//! Registrations as text: a new file, or an old one with its comments and order kept.

use toml_edit::{Array, DocumentMut, InlineTable, Item, Table, TableLike, Value};

use super::config::Default;
use super::entry::{Registration, SCHEMA, Setting};

/// Returns the text of a registration. Keeps all parts of the old text that are not replaced;
/// the old text must have been read without an error.
pub(super) fn entry(entry: &Registration, old: Option<&str>) -> String {
    let mut document = document(old);
    let root = document.as_table_mut();
    put(root, "schema", Some(SCHEMA.into()));
    put(root, "plugin", Some(entry.plugin.as_str().into()));
    put(root, "kind", entry.kind.as_deref().map(Value::from));
    let description = entry.description.as_str();
    put(root, "description", (!description.is_empty()).then(|| description.into()));
    put(root, "placement", entry.placement.map(|placement| placement.as_str().into()));
    put(root, "keep-login", entry.keep_login.then(|| true.into()));
    put(root, "search", (!entry.search).then(|| false.into()));
    put(root, "locked", entry.locked.then(|| true.into()));
    let grants: Array = entry.grants.iter().map(String::as_str).collect();
    put(root, "grants", (!grants.is_empty()).then(|| grants.into()));
    let parameters = entry.parameters.iter().map(|(key, setting)| (key.as_str(), value(setting)));
    put_table(root, "parameters", parameters.collect());
    let unlock = entry.unlock.iter().map(|(key, from)| (key.as_str(), from.to_string().into()));
    put_table(root, "unlock", unlock.collect());
    document.to_string()
}

/// Returns the text of a `config.toml`; the old text is kept as for [`entry`].
pub(super) fn config(default: &Default, old: Option<&str>) -> String {
    let mut document = document(old);
    let root = document.as_table_mut();
    put(root, "schema", Some(SCHEMA.into()));
    let default = match default {
        Default::Unsaid => None,
        Default::None => Some("".into()),
        Default::Vault(name) => Some(name.as_str().into()),
    };
    put(root, "default", default);
    document.to_string()
}

fn document(old: Option<&str>) -> DocumentMut {
    // The old text was read without an error by the same grammar.
    old.and_then(|text| text.parse().ok()).unwrap_or_default()
}

fn value(setting: &Setting) -> Value {
    match setting {
        Setting::Text(text) => text.as_str().into(),
        Setting::Integer(number) => (*number).into(),
        Setting::Boolean(yes) => (*yes).into(),
        Setting::Reference(reference) => {
            let mut from = InlineTable::new();
            from.insert("from", reference.to_string().into());
            from.into()
        }
    }
}

/// Sets a key to this value, or removes it; an equal value stays as it was written.
fn put(table: &mut dyn TableLike, key: &str, new: Option<Value>) {
    let Some(mut new) = new else {
        table.remove(key);
        return;
    };
    match table.get_mut(key) {
        Some(Item::Value(old)) => {
            if !same(old, &new) {
                *new.decor_mut() = old.decor().clone();
                *old = new;
            }
        }
        _ => {
            table.insert(key, Item::Value(new));
        }
    }
}

fn put_table(root: &mut Table, key: &str, new: Vec<(&str, Value)>) {
    if root.get(key).is_none_or(|item| !item.is_table_like()) {
        if new.is_empty() {
            root.remove(key);
            return;
        }
        root.insert(key, Item::Table(Table::new()));
    }
    let table = root.get_mut(key).and_then(Item::as_table_like_mut).expect("made or found above");
    let gone: Vec<String> = table
        .iter()
        .map(|(key, _)| key.to_owned())
        .filter(|old| !new.iter().any(|(key, _)| key == old))
        .collect();
    for key in gone {
        table.remove(&key);
    }
    for (key, value) in new {
        put(table, key, Some(value));
    }
}

/// Returns whether two values mean the same, however they are written.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::String(a), Value::String(b)) => a.value() == b.value(),
        (Value::Integer(a), Value::Integer(b)) => a.value() == b.value(),
        (Value::Boolean(a), Value::Boolean(b)) => a.value() == b.value(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::InlineTable(a), Value::InlineTable(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        _ => false,
    }
}

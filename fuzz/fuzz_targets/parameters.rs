//! Parameters as they are typed: whatever the texts, they are settings that fit the schema
//! or faults; and no fault repeats what was typed for a secret one.

#![no_main]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

use keystead::internals::registry::schema::{self, Base};
use keystead_plugin_api::{OwnedParameter, Parameter, ParameterKind, SecretText};

static SCHEMA: LazyLock<Vec<OwnedParameter>> = LazyLock::new(|| {
    let schema = [
        Parameter::required("url", ParameterKind::Text, ""),
        Parameter::optional("token", ParameterKind::Text, "").secret(),
        Parameter::optional("strict", ParameterKind::Boolean, ""),
        Parameter::optional("file", ParameterKind::Path, ""),
        Parameter::defaulting("cache", ParameterKind::Path, "~/cache", ""),
        Parameter::defaulting("port", ParameterKind::Integer, "8200", ""),
    ];
    schema.map(OwnedParameter::from).into()
});

libfuzzer_sys::fuzz_target!(|text: &str| {
    let mut given = BTreeMap::new();
    for line in text.split('\n') {
        if let Some((key, value)) = line.split_once('=') {
            given.insert(key.to_owned(), value.to_owned());
        }
    }
    let home = Some(Path::new("/home/a"));
    let data = Some(Path::new("/data/keystead"));
    let base = Base { dir: Path::new("/srv/here"), home, data, vault: None };
    match schema::validate(&SCHEMA, &given, base) {
        Err(faults) => {
            assert!(!faults.is_empty());
            // What is said of another token in its place: a token may be what somebody gave as
            // a name as well, or the very words of a fault.
            let said = |given: &BTreeMap<String, String>| {
                let faults = schema::validate(&SCHEMA, given, base).err().unwrap_or_default();
                faults.iter().map(|fault| format!("{fault} {fault:?}\n")).collect::<String>()
            };
            if let Some(token) = given.get("token").filter(|token| token.len() > 24).cloned() {
                let with = said(&given);
                given.insert("token".to_owned(), "?".to_owned());
                let repeated = with.contains(&*token) && !said(&given).contains(&*token);
                assert!(!repeated, "a secret is repeated: {with}");
            }
        }
        Ok(settings) => {
            assert_eq!(schema::check(&SCHEMA, &settings, home), []);
            let resolve = &mut |_: &_| Ok::<_, ()>(SecretText::new("x"));
            let parameters = schema::to_parameters(&SCHEMA, &settings, home, resolve);
            assert!(parameters.is_ok_and(|parameters| parameters.text("cache").is_some()));
        }
    }
});

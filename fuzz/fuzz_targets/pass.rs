//! What is in a decrypted file of a password store: whatever the bytes, nothing of them is
//! lost that is not blank, a key or a mark, and none of them become metadata but an address.

#![no_main]

use keystead_exchange::{Position, pass};
use keystead_plugin_api::{SecretBytes, SecretName, Value};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let name = SecretName::parse("x").expect("a good name");
    let Ok(row) = pass::decrypted(SecretBytes::copy_of(input), Position::Line(1), name) else {
        return;
    };
    assert!(row.metadata.iter().all(|(key, _)| key.starts_with("url")));
    let Ok(text) = std::str::from_utf8(input) else {
        assert!(row.value == Value::bytes(input.to_vec()));
        return;
    };
    // Each value stands in the text as it is.
    let stands = |value: &Value| match value {
        Value::Text(part) => part.expose().lines().all(|line| text.contains(line)),
        _ => false,
    };
    match &row.value {
        Value::Map(map) => assert!(map.iter().all(|(_, value)| stands(value))),
        Value::Credential(both) => {
            assert!(text.contains(&both.user) && text.contains(both.password.expose()));
        }
        plain => assert!(stands(plain)),
    }
});

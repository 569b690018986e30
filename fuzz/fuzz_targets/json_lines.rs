//! JSON Lines: whatever the bytes, each row is a secret that is written and read the same, or
//! is broken with a reason that repeats nothing of it; and nothing is read without end.

#![no_main]

use keystead_exchange::Error;
use keystead_exchange::json_lines::{self, JsonLines};
use keystead_plugin_api::{Secret, Value, VaultName};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let vault = VaultName::parse("work").expect("a good name");
    let mut rows = 0;
    for row in JsonLines::new(input) {
        rows += 1;
        let row = match row {
            // An encrypted file and the like.
            Err(Error::Foreign { .. }) => return,
            row => row.expect("a slice can be read"),
        };
        match row {
            Ok(row) => {
                let secret = Secret::with_metadata(row.value, row.metadata);
                let written = json_lines::write(&row.name, &vault, &secret);
                let mut again = JsonLines::new(&written[..]).map(|row| row.expect("as above"));
                let read = again.next().expect("one line").expect("what is written is read");
                assert_eq!(read.name, row.name);
                assert_eq!(read.metadata, secret.metadata);
                assert!(is_same(&read.value, &secret.value));
                assert!(again.next().is_none());
                let read = Secret::with_metadata(read.value, read.metadata);
                assert!(json_lines::write(&row.name, &vault, &read) == written);
            }
            Err(bad) => assert!(!bad.why.is_empty() && bad.why.len() < 300),
        }
    }
    assert!(rows <= input.len());
});

/// JSON comes back with escapes for what must not be shown, and means the same.
fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Map(one), Value::Map(other)) => {
            one.len() == other.len()
                && one.iter().zip(other.iter()).all(|(a, b)| a.0 == b.0 && is_same(a.1, b.1))
        }
        (Value::Json(one), Value::Json(other)) => one.is_same(other),
        _ => one == other,
    }
}

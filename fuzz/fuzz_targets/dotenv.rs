//! Environment files: whatever the bytes, each row is a text that is written and read the
//! same, or is broken; and a text of any bytes is written so that it is read as it was, also
//! between others.

#![no_main]

use keystead_exchange::Error;
use keystead_exchange::dotenv::{Dotenv, write};
use keystead_plugin_api::Value;

/// Returns the values of a file that has no broken rows.
fn values(file: &[u8]) -> Vec<Value> {
    let rows = Dotenv::new(file).map(|row| row.expect("a slice can be read"));
    rows.map(|row| row.expect("what is written is read").value).collect()
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let mut rows = 0;
    let mut file = Vec::new();
    let mut given = Vec::new();
    for row in Dotenv::new(input) {
        rows += 1;
        let row = match row {
            // An encrypted file and the like.
            Err(Error::Foreign { .. }) => return,
            row => row.expect("a slice can be read"),
        };
        if let Ok(row) = row {
            if let Ok(entry) = write("KEY", &row.value) {
                file.extend_from_slice(&entry);
                given.push(row.value);
            }
        }
    }
    assert!(rows <= input.len());
    if let Ok(text) = std::str::from_utf8(input) {
        let value = Value::text(text);
        if let Ok(entry) = write("KEY", &value) {
            file.extend_from_slice(&entry);
            given.push(value);
        }
    }
    assert!(values(&file) == given);
});

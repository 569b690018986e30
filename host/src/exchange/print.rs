//! What is remembered of rows instead of the rows themselves: numbers that tell whether a row
//! is the one that was seen, and of which nobody can make out the row. Their key is random
//! and is forgotten with them.

use std::hash::{BuildHasher, Hasher, RandomState};

use keystead_plugin_api::{MetadataValue, Value};

use super::{BadRow, Row};

/// The key of the prints of one import.
pub(super) struct Seal([RandomState; 2]);

/// The prints of all rows, in order.
#[derive(Default)]
pub(super) struct Prints(Vec<Seen>);

/// What is remembered of one row.
#[derive(Clone, Copy)]
pub(super) struct Seen {
    pub(super) print: u64,
    /// Whether somebody had to be told of it.
    pub(super) told: bool,
}

impl Prints {
    pub(super) fn push(&mut self, print: u64) {
        self.0.push(Seen { print, told: false });
    }

    pub(super) fn tell(&mut self, index: usize) {
        self.0[index].told = true;
    }

    pub(super) fn get(&self, index: usize) -> Option<Seen> {
        self.0.get(index).copied()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

impl Seal {
    pub(super) fn new() -> Self {
        Self([RandomState::new(), RandomState::new()])
    }

    /// Returns a number that no other text has: of 128 bits, so that none is ever taken for
    /// another.
    pub(super) fn text(&self, text: &str) -> u128 {
        let [high, low] = self.0.each_ref().map(|key| u128::from(key.hash_one(text)));
        high << 64 | low
    }

    /// Returns the print of a row.
    pub(super) fn print(&self, row: &Result<Row, BadRow>) -> u64 {
        let mut hasher = self.0[0].build_hasher();
        match row {
            Ok(row) => {
                text(&mut hasher, row.name.as_str());
                value(&mut hasher, &row.value);
                hasher.write_usize(row.metadata.len());
                for (key, value) in row.metadata.iter() {
                    text(&mut hasher, key);
                    metadata(&mut hasher, value);
                }
            }
            Err(bad) => text(&mut hasher, &bad.to_string()),
        }
        hasher.finish()
    }
}

fn text(hasher: &mut impl Hasher, text: &str) {
    bytes(hasher, text.as_bytes());
}

/// The length comes first, so that no two pieces are like two others.
fn bytes(hasher: &mut impl Hasher, bytes: &[u8]) {
    hasher.write_usize(bytes.len());
    hasher.write(bytes);
}

fn value(hasher: &mut impl Hasher, of: &Value) {
    hasher.write_u32(of.kind().code());
    match of {
        Value::Text(of) => text(hasher, of.expose()),
        Value::Bytes(of) => bytes(hasher, of.expose()),
        Value::Credential(of) => {
            text(hasher, &of.user);
            text(hasher, of.password.expose());
        }
        Value::Map(map) => {
            hasher.write_usize(map.len());
            for (key, of) in map.iter() {
                text(hasher, key);
                value(hasher, of);
            }
        }
        // A kind of a later contract reaches nobody who was built with this one.
        _ => {}
    }
}

fn metadata(hasher: &mut impl Hasher, of: &MetadataValue) {
    match of {
        MetadataValue::Text(of) => {
            hasher.write_u8(0);
            text(hasher, of);
        }
        MetadataValue::Integer(number) => {
            hasher.write_u8(1);
            hasher.write_i64(*number);
        }
        MetadataValue::Boolean(yes) => hasher.write_u8(2 + u8::from(*yes)),
        MetadataValue::Timestamp(at) => {
            hasher.write_u8(4);
            hasher.write_i64(*at);
        }
        _ => hasher.write_u8(5),
    }
}

//! Fingerprints that stand for rows in memory: numbers that show whether a row was seen before, and
//! that do not reveal the row. Their key is random and is discarded with them.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::PathBuf;

use keystead_plugin_api::{MetadataValue, Value};

use super::{BadRow, Position, Row};

/// Key of an import's fingerprints.
pub(super) struct Seal([RandomState; 2]);

/// Fingerprints of all rows, in order: eight bytes a row.
#[derive(Default)]
pub(super) struct Prints {
    prints: Vec<u64>,
    /// Indexes of the rows that were reported, ascending.
    told: Vec<usize>,
}

impl Prints {
    pub(super) fn push(&mut self, print: u64) {
        self.prints.push(print);
    }

    /// Records that a row was reported; its index must not be below the last index.
    pub(super) fn tell(&mut self, index: usize) {
        self.told.push(index);
    }

    /// Returns the fingerprint of a row, and whether the row was reported.
    pub(super) fn get(&self, index: usize) -> Option<(u64, bool)> {
        let told = || self.told.binary_search(&index).is_ok();
        self.prints.get(index).map(|print| (*print, told()))
    }

    pub(super) fn len(&self) -> usize {
        self.prints.len()
    }
}

/// The names of all rows, with the first position of each. There may be millions: a name takes 20
/// bytes, in a table of which at least 7 in 16 are taken.
#[derive(Default)]
pub(super) struct Names {
    first: HashMap<[u32; 4], u32>,
    files: Vec<PathBuf>,
}

impl Names {
    /// Records a name at this position, and returns its earlier position. All positions are of the
    /// same kind. Titles are not kept, and of lines only the first four billion.
    pub(super) fn take(&mut self, name: [u32; 4], at: &Position) -> Option<Position> {
        let number = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        if let Some(first) = self.find(name, at) {
            return Some(first);
        }
        self.first.insert(
            name,
            match at {
                Position::Line(line) => number(*line),
                Position::Item(item, _) => number(*item),
                Position::File(file) => {
                    self.files.push(file.clone());
                    number(self.files.len() as u64 - 1)
                }
            },
        );
        None
    }

    /// Returns the first position of a name, of the same kind as `like`.
    pub(super) fn find(&self, name: [u32; 4], like: &Position) -> Option<Position> {
        let first = *self.first.get(&name)?;
        Some(match like {
            Position::Line(_) => Position::Line(first.into()),
            Position::Item(..) => Position::Item(first.into(), None),
            Position::File(_) => Position::File(self.files[first as usize].clone()),
        })
    }
}

impl Seal {
    pub(super) fn new() -> Self {
        Self([RandomState::new(), RandomState::new()])
    }

    /// Returns a 128-bit number of a text, long enough that no two texts share a number.
    pub(super) fn text(&self, text: &str) -> [u32; 4] {
        let [a, b] = self.0.each_ref().map(|key| key.hash_one(text));
        [(a >> 32) as u32, a as u32, (b >> 32) as u32, b as u32]
    }

    /// Returns the fingerprint of a row.
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

/// Hashes the length first, so that other splits of the same bytes differ.
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
        Value::Json(of) => text(hasher, of.expose()),
        // A value kind of a later plugin API never reaches this build.
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
        MetadataValue::TextList(texts) => {
            hasher.write_u8(5);
            hasher.write_usize(texts.len());
            texts.iter().for_each(|of| text(hasher, of));
        }
        _ => hasher.write_u8(6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_name_returns_its_first_position() {
        let seal = Seal::new();
        let [one, two] = ["one", "two"].map(|name| seal.text(name));
        assert_eq!(std::mem::size_of::<([u32; 4], u32)>(), 20);

        let mut lines = Names::default();
        assert_eq!(lines.take(one, &Position::Line(3)), None);
        assert_eq!(lines.take(two, &Position::Line(u64::MAX)), None);
        assert_eq!(lines.take(one, &Position::Line(5)), Some(Position::Line(3)));
        assert_eq!(lines.take(two, &Position::Line(6)), Some(Position::Line(u32::MAX.into())));

        let mut items = Names::default();
        assert_eq!(items.take(one, &Position::Item(7, Some("title".to_owned()))), None);
        assert_eq!(items.take(one, &Position::Item(8, None)), Some(Position::Item(7, None)));

        let file = |name: &str| Position::File(name.into());
        let mut files = Names::default();
        assert_eq!(files.take(one, &file("a")), None);
        assert_eq!(files.take(two, &file("b")), None);
        assert_eq!(files.take(two, &file("c")), Some(file("b")));
    }

    #[test]
    fn fingerprints_record_reported_rows() {
        let mut prints = Prints::default();
        [10, 11, 12].into_iter().for_each(|print| prints.push(print));
        prints.tell(1);
        let all: Vec<_> = (0..4).map(|index| prints.get(index)).collect();
        assert_eq!(all, [Some((10, false)), Some((11, true)), Some((12, false)), None]);
    }
}

//! What a vault may tell about a secret besides its value. Metadata is **not secret**: it
//! is listed, logged and shown.

use std::collections::BTreeMap;
use std::fmt;

use crate::error::{Error, Result};

/// The most entries a secret's metadata may have.
pub const MAX_METADATA_ENTRIES: usize = 256;

/// The most bytes of a key, and of all of one secret's metadata.
pub const MAX_METADATA_KEY_BYTES: usize = 256;

/// The most bytes that keys and texts of one secret's metadata have together: 64 KiB.
pub const MAX_METADATA_BYTES: usize = 64 * 1024;

/// 0001-01-01T00:00:00Z, in milliseconds since 1970.
pub const MIN_TIMESTAMP_MILLIS: i64 = -62_135_596_800_000;

/// 9999-12-31T23:59:59.999Z, in milliseconds since 1970.
pub const MAX_TIMESTAMP_MILLIS: i64 = 253_402_300_799_999;

/// The keys that mean the same in every vault. A vault that knows one of these facts gives it under
/// its key and of its type; what it has under other keys is its own.
pub mod keys {
    /// When the secret was first written: [`Timestamp`](super::MetadataValue::Timestamp).
    pub const CREATED: &str = "created";
    /// When it was last written: [`Timestamp`](super::MetadataValue::Timestamp).
    pub const UPDATED: &str = "updated";
    /// From when on it is not to be used any more: [`Timestamp`](super::MetadataValue::Timestamp).
    pub const EXPIRES: &str = "expires";
    /// What it is for: [`Text`](super::MetadataValue::Text).
    pub const DESCRIPTION: &str = "description";
    /// Words between commas, spaces around them not counted: [`Text`](super::MetadataValue::Text).
    pub const TAGS: &str = "tags";
}

/// One piece of metadata.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MetadataValue {
    /// Text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// Yes or no.
    Boolean(bool),
    /// A moment: milliseconds since 1970 in UTC, years 1 to 9999.
    Timestamp(i64),
    /// A digest. What a later minor version might add.
    #[cfg(feature = "next")]
    Digest(Vec<u8>),
}

/// What is known of a secret besides its value, by key, sorted by key.
///
/// # Examples
/// ```
/// use keystead_plugin_api::{Metadata, MetadataValue};
/// let mut metadata = Metadata::new();
/// metadata.insert("env", MetadataValue::Text("dev".into())).unwrap();
/// assert_eq!(metadata.get("env"), Some(&MetadataValue::Text("dev".into())));
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    map: BTreeMap<String, MetadataValue>,
    /// What keys and values have together, so that an insertion need not count them all.
    bytes: usize,
    /// Whether the vault has more than this.
    incomplete: bool,
}

impl Metadata {
    /// Returns metadata with nothing in it.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a value under a key and returns the one it replaced.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) when the key is empty, too long
    /// or has control characters, a timestamp is outside years 1 to 9999, or the whole
    /// exceeds [`MAX_METADATA_ENTRIES`] or [`MAX_METADATA_BYTES`].
    pub fn insert(
        &mut self,
        key: impl Into<String>,
        value: MetadataValue,
    ) -> Result<Option<MetadataValue>> {
        let key = key.into();
        if key.is_empty() || key.len() > MAX_METADATA_KEY_BYTES || key.chars().any(char::is_control)
        {
            return Err(Error::invalid(format!(
                "a metadata key is 1 to {MAX_METADATA_KEY_BYTES} bytes without control characters"
            )));
        }
        if let MetadataValue::Timestamp(at) = value {
            if !(MIN_TIMESTAMP_MILLIS..=MAX_TIMESTAMP_MILLIS).contains(&at) {
                return Err(Error::invalid(format!(
                    "the timestamp `{key}` is outside the years 1 to 9999"
                )));
            }
        }
        let replaced = self.map.get(&key).map_or(0, |old| key.len() + size(old));
        let bytes = self.bytes - replaced + key.len() + size(&value);
        if bytes > MAX_METADATA_BYTES {
            return Err(Error::invalid(format!(
                "metadata has more than {MAX_METADATA_BYTES} bytes"
            )));
        }
        if !self.map.contains_key(&key) && self.map.len() == MAX_METADATA_ENTRIES {
            return Err(Error::invalid(format!(
                "metadata has more than {MAX_METADATA_ENTRIES} entries"
            )));
        }
        self.bytes = bytes;
        Ok(self.map.insert(key, value))
    }

    /// Returns the value under this key.
    pub fn get(&self, key: &str) -> Option<&MetadataValue> {
        self.map.get(key)
    }

    /// Takes the value under this key out.
    pub fn remove(&mut self, key: &str) -> Option<MetadataValue> {
        let removed = self.map.remove(key)?;
        self.bytes -= key.len() + size(&removed);
        Some(removed)
    }

    /// Returns keys and values, sorted by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &MetadataValue)> {
        self.map.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// Returns how many keys there are.
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// Returns whether the vault has metadata of a kind that is unknown here, which is not among
    /// these. They can be shown; writing them back is refused, since the others would be lost.
    pub fn is_incomplete(&self) -> bool {
        self.incomplete
    }

    /// Checks that these are all that there are, before they are written.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) where they are
    /// [incomplete](Metadata::is_incomplete).
    pub fn check_complete(&self) -> Result<()> {
        if self.incomplete {
            return Err(Error::unsupported(
                "metadata of a kind that is unknown here would be lost by this",
            ));
        }
        Ok(())
    }

    /// Notes that the vault has more metadata, of a kind that is unknown here.
    pub fn mark_incomplete(&mut self) {
        self.incomplete = true;
    }

    /// Returns how many of [`MAX_METADATA_BYTES`] there are.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Metadata").field(&self.map).finish()
    }
}

fn size(value: &MetadataValue) -> usize {
    match value {
        MetadataValue::Text(text) => text.len(),
        #[cfg(feature = "next")]
        MetadataValue::Digest(digest) => digest.len(),
        _ => 8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_hold_and_a_replacement_does_not_count_twice() {
        let mut metadata = Metadata::new();
        let big = MetadataValue::Text("x".repeat(MAX_METADATA_BYTES - 1));
        metadata.insert("k", big.clone()).unwrap();
        metadata.insert("k", big).unwrap();
        assert!(metadata.insert("l", MetadataValue::Boolean(true)).is_err());
        // What was refused or removed is not counted.
        assert!(metadata.remove("l").is_none());
        metadata.remove("k").unwrap();
        assert_eq!(metadata, Metadata::new());
        let rest = MetadataValue::Text("x".repeat(MAX_METADATA_BYTES - 10));
        metadata.insert("l", MetadataValue::Boolean(true)).unwrap();
        metadata.insert("k", rest.clone()).unwrap();
        assert!(metadata.insert("m", MetadataValue::Text(String::new())).is_err());
        metadata.insert("l", MetadataValue::Text(String::new())).unwrap();
        metadata.insert("m", MetadataValue::Text("x".repeat(7))).unwrap();
        assert_eq!(metadata.bytes(), MAX_METADATA_BYTES);
    }

    #[test]
    fn timestamps_are_of_years_1_to_9999() {
        let mut metadata = Metadata::new();
        for at in [MIN_TIMESTAMP_MILLIS, MAX_TIMESTAMP_MILLIS] {
            metadata.insert("at", MetadataValue::Timestamp(at)).unwrap();
        }
        for at in [MIN_TIMESTAMP_MILLIS - 1, MAX_TIMESTAMP_MILLIS + 1, i64::MIN, i64::MAX] {
            assert!(metadata.insert("at", MetadataValue::Timestamp(at)).is_err());
        }
    }
}

//! What a vault may tell about a secret besides its value. Metadata is **not secret**: it
//! is listed, logged and shown.

use std::collections::BTreeMap;
use std::fmt;

use crate::error::{Error, Result};

/// The most entries a secret's metadata may have.
pub const MAX_METADATA_ENTRIES: usize = 256;

/// The most bytes of a key, and of all of one secret's metadata.
pub const MAX_METADATA_KEY_BYTES: usize = 256;

/// The most bytes that keys and texts of one secret's metadata have together: 64 KiB. A value that is
/// no text counts as 8 bytes, and so does each text of a list, beside its own bytes.
pub const MAX_METADATA_BYTES: usize = 64 * 1024;

/// The most texts in one list.
pub const MAX_METADATA_TEXTS: usize = 1_000;

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
    /// Texts in their order, [`MAX_METADATA_TEXTS`] at most. An empty list is a value: it is not the
    /// same as no such key.
    TextList(Vec<String>),
    /// A digest. What a later minor version might add.
    #[cfg(feature = "next")]
    Digest(Vec<u8>),
}

/// What is known of a secret besides its value, by key, sorted by key.
///
/// An entry may be **read-only**: the vault reports it of itself, as the time of the last write or a
/// lease. It is shown. It is never written, so no request has one; and it is not copied, since another
/// vault reports its own.
///
/// # Examples
/// ```
/// use keystead_plugin_api::{Metadata, MetadataValue};
/// let mut metadata = Metadata::new();
/// metadata.insert("env", MetadataValue::Text("dev".into())).unwrap();
/// assert_eq!(metadata.get("env"), Some(&MetadataValue::Text("dev".into())));
/// metadata.insert_read_only("updated", MetadataValue::Timestamp(0)).unwrap();
/// assert!(metadata.is_read_only("updated"));
/// assert_eq!(metadata.writable().get("updated"), None);
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    map: BTreeMap<String, Entry>,
    /// What keys and values have together, so that an insertion need not count them all.
    bytes: usize,
    /// Whether the vault has more than this that a write would lose.
    incomplete: bool,
    /// Whether it has more that is read-only.
    more_read_only: bool,
}

#[derive(Clone, PartialEq, Eq)]
struct Entry {
    value: MetadataValue,
    read_only: bool,
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
    /// or has control characters, a timestamp is outside years 1 to 9999, a list has more than
    /// [`MAX_METADATA_TEXTS`], or the whole exceeds [`MAX_METADATA_ENTRIES`] or
    /// [`MAX_METADATA_BYTES`].
    pub fn insert(
        &mut self,
        key: impl Into<String>,
        value: MetadataValue,
    ) -> Result<Option<MetadataValue>> {
        self.put(key.into(), Entry { value, read_only: false })
    }

    /// Puts a read-only value under a key and returns the value it replaced: for vaults, in what they
    /// answer.
    ///
    /// # Errors
    /// As for [`insert`](Metadata::insert).
    pub fn insert_read_only(
        &mut self,
        key: impl Into<String>,
        value: MetadataValue,
    ) -> Result<Option<MetadataValue>> {
        self.put(key.into(), Entry { value, read_only: true })
    }

    fn put(&mut self, key: String, entry: Entry) -> Result<Option<MetadataValue>> {
        let value = &entry.value;
        if key.is_empty() || key.len() > MAX_METADATA_KEY_BYTES || key.chars().any(char::is_control)
        {
            return Err(Error::invalid(format!(
                "a metadata key is 1 to {MAX_METADATA_KEY_BYTES} bytes without control characters"
            )));
        }
        match value {
            MetadataValue::Timestamp(at)
                if !(MIN_TIMESTAMP_MILLIS..=MAX_TIMESTAMP_MILLIS).contains(at) =>
            {
                return Err(Error::invalid(format!(
                    "the timestamp `{key}` is outside the years 1 to 9999"
                )));
            }
            MetadataValue::TextList(texts) if texts.len() > MAX_METADATA_TEXTS => {
                return Err(Error::invalid(format!(
                    "the list `{key}` has more than {MAX_METADATA_TEXTS} texts"
                )));
            }
            _ => {}
        }
        let replaced = self.map.get(&key).map_or(0, |old| key.len() + size(&old.value));
        let bytes = self.bytes - replaced + key.len() + size(value);
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
        Ok(self.map.insert(key, entry).map(|old| old.value))
    }

    /// Returns the value under this key.
    pub fn get(&self, key: &str) -> Option<&MetadataValue> {
        self.map.get(key).map(|entry| &entry.value)
    }

    /// Returns whether there is a read-only value under this key.
    pub fn is_read_only(&self, key: &str) -> bool {
        self.map.get(key).map_or(false, |entry| entry.read_only)
    }

    /// Takes the value under this key out.
    pub fn remove(&mut self, key: &str) -> Option<MetadataValue> {
        let removed = self.map.remove(key)?.value;
        self.bytes -= key.len() + size(&removed);
        Some(removed)
    }

    /// Returns keys and values, sorted by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &MetadataValue)> {
        self.map.iter().map(|(key, entry)| (key.as_str(), &entry.value))
    }

    /// Returns how many keys there are.
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// Returns these without the read-only ones: what a copy takes along, and what is compared.
    pub fn writable(&self) -> Self {
        let mut writable = Self { incomplete: self.incomplete, ..Self::new() };
        for (key, entry) in self.map.iter().filter(|(_, entry)| !entry.read_only) {
            writable.bytes += key.len() + size(&entry.value);
            writable.map.insert(key.clone(), entry.clone());
        }
        writable
    }

    /// Returns whether the vault has metadata that is unknown here: of another kind, which is not
    /// among these, or with another mark. What is here can be shown; [`check_complete`] says whether
    /// writing it back would lose something.
    ///
    /// [`check_complete`]: Metadata::check_complete
    pub fn is_incomplete(&self) -> bool {
        self.incomplete || self.more_read_only
    }

    /// Returns whether a write of these would lose something, and whether something read-only is
    /// missing.
    pub(crate) fn left_out(&self) -> (bool, bool) {
        (self.incomplete, self.more_read_only)
    }

    /// Checks that these are all that can be written, so that a copy of them loses nothing.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) where something is unknown here that
    /// is not read-only.
    pub fn check_complete(&self) -> Result<()> {
        if self.incomplete {
            return Err(Error::unsupported(
                "metadata of a kind that is unknown here would be lost by this",
            ));
        }
        Ok(())
    }

    /// Checks that a vault may be given these to write.
    ///
    /// # Errors
    /// As for [`check_complete`](Metadata::check_complete), and
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) where one is read-only.
    pub fn check_writable(&self) -> Result<()> {
        self.check_complete()?;
        match self.map.iter().find(|(_, entry)| entry.read_only) {
            Some((key, _)) => Err(Error::invalid(format!("the metadata `{key}` is read-only"))),
            None => Ok(()),
        }
    }

    /// Notes that the vault has more metadata, of a kind or with a mark that is unknown here.
    pub fn mark_incomplete(&mut self) {
        self.incomplete = true;
    }

    /// Notes that the vault has more read-only metadata, of a kind that is unknown here: a write loses
    /// nothing of it.
    pub fn mark_more_read_only(&mut self) {
        self.more_read_only = true;
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

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)?;
        f.write_str(if self.read_only { " (read-only)" } else { "" })
    }
}

fn size(value: &MetadataValue) -> usize {
    match value {
        MetadataValue::Text(text) => text.len(),
        MetadataValue::TextList(texts) => texts.iter().map(|text| text.len() + 8).sum(),
        #[cfg(feature = "next")]
        MetadataValue::Digest(digest) => digest.len(),
        _ => 8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_replacement_is_counted_once() {
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
    fn timestamp_outside_years_1_to_9999_is_rejected() {
        let mut metadata = Metadata::new();
        for at in [MIN_TIMESTAMP_MILLIS, MAX_TIMESTAMP_MILLIS] {
            metadata.insert("at", MetadataValue::Timestamp(at)).unwrap();
        }
        for at in [MIN_TIMESTAMP_MILLIS - 1, MAX_TIMESTAMP_MILLIS + 1, i64::MIN, i64::MAX] {
            assert!(metadata.insert("at", MetadataValue::Timestamp(at)).is_err());
        }
    }

    #[test]
    fn text_list_keeps_order_and_limits() {
        let list = |texts: Vec<String>| MetadataValue::TextList(texts);
        let mut metadata = Metadata::new();
        let texts = vec!["b".to_owned(), String::new(), "a".to_owned(), "b".to_owned()];
        metadata.insert("l", list(texts.clone())).unwrap();
        assert_eq!(metadata.get("l"), Some(&list(texts)));
        assert_eq!(metadata.bytes(), 1 + 4 * 8 + 3);
        metadata.insert("l", list(Vec::new())).unwrap();
        assert_eq!((metadata.bytes(), metadata.len()), (1, 1));
        assert_ne!(metadata, Metadata::new());

        for texts in [MAX_METADATA_TEXTS + 1, 100_000] {
            let refused = metadata.insert("l", list(vec![String::new(); texts])).unwrap_err();
            assert_eq!(refused.message(), "the list `l` has more than 1000 texts");
        }
        let most = list(vec![String::new(); MAX_METADATA_TEXTS]);
        // Empty texts count as well: eight lists of a thousand are 64,000 bytes and their keys.
        for n in 0..8 {
            metadata.insert(n.to_string(), most.clone()).unwrap();
        }
        assert!(metadata.insert("9", most).is_err());
        let long = list(vec!["x".repeat(MAX_METADATA_BYTES)]);
        assert!(Metadata::new().insert("l", long).is_err());
    }

    #[test]
    fn read_only_entry_is_not_writable() {
        let text = |text: &str| MetadataValue::Text(text.to_owned());
        let mut plain = Metadata::new();
        plain.insert("a", text("1")).unwrap();
        plain.check_writable().unwrap();
        let mut metadata = plain.clone();
        metadata.insert_read_only("b", text("2")).unwrap();
        assert_eq!((metadata.len(), metadata.get("b")), (2, Some(&text("2"))));
        assert!(metadata.is_read_only("b"));
        assert!(!metadata.is_read_only("a") && !metadata.is_read_only("c"));
        assert_ne!(metadata, plain);
        assert_eq!(metadata.writable(), plain);
        assert_eq!(metadata.writable().bytes(), plain.bytes());
        let refused = metadata.check_writable().unwrap_err();
        assert_eq!(refused, Error::invalid("the metadata `b` is read-only"));
        metadata.check_complete().unwrap();
        let shown = format!("{metadata:?}");
        assert_eq!(shown, r#"Metadata({"a": Text("1"), "b": Text("2") (read-only)})"#);

        // The last insertion decides.
        metadata.insert("b", text("2")).unwrap();
        assert!(!metadata.is_read_only("b"));
        metadata.check_writable().unwrap();
        metadata.insert_read_only("a", text("1")).unwrap();
        metadata.insert_read_only("b", text("1")).unwrap();
        assert!(metadata.writable().is_empty());
    }

    #[test]
    fn incomplete_metadata_blocks_writes_unless_read_only() {
        let mut metadata = Metadata::new();
        metadata.mark_more_read_only();
        assert!(metadata.is_incomplete() && !metadata.writable().is_incomplete());
        metadata.check_complete().unwrap();
        metadata.mark_incomplete();
        assert!(metadata.writable().is_incomplete());
        assert!(metadata.check_complete().is_err() && metadata.check_writable().is_err());
    }
}

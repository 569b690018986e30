//! What a secret is made of: text, bytes, a credential, a map or JSON, held in memory that is
//! wiped when it is dropped.

mod codec;
mod json;

use std::fmt;

use secrecy::{ExposeSecret, SecretBox, SecretSlice};
use zeroize::Zeroize;

pub use json::{JsonText, MAX_JSON_DEPTH};

use crate::error::{Error, Result};

/// The most bytes a value may have in its encoded form ([`Value::encoded_len`]): 16 MiB, the
/// largest secret a vault must be able to take in one piece. A text or bytes have four fewer.
pub const MAX_VALUE_BYTES: usize = 16 * 1024 * 1024;

/// The most levels a value may have: a map of texts has two.
pub const MAX_VALUE_DEPTH: usize = 16;

/// The most entries a value may have over all of its maps.
pub const MAX_VALUE_ENTRIES: usize = 10_000;

/// Secret bytes: wiped on drop, never shown by `Debug`, cloned only by
/// [`SecretBytes::duplicate`].
///
/// # Examples
/// ```
/// use keystead_plugin_api::SecretBytes;
/// let bytes = SecretBytes::new(vec![1, 2, 3]);
/// assert_eq!(bytes.expose(), [1, 2, 3]);
/// assert_eq!(format!("{bytes:?}"), "[redacted]");
/// ```
pub struct SecretBytes(SecretSlice<u8>);

impl SecretBytes {
    /// Takes these bytes over; what the vector had beyond its length is wiped as well.
    pub fn new(mut bytes: Vec<u8>) -> Self {
        if bytes.len() == bytes.capacity() {
            return Self(bytes.into_boxed_slice().into());
        }
        // Shrinking would leave a copy behind where the allocator moves.
        let exact: Box<[u8]> = Box::from(bytes.as_slice());
        bytes.zeroize();
        Self(exact.into())
    }

    /// Copies these bytes; the caller's copy stays the caller's to wipe.
    pub fn copy_of(bytes: &[u8]) -> Self {
        Self(Box::<[u8]>::from(bytes).into())
    }

    /// Returns the bytes themselves. Whatever is copied from them is yours to wipe.
    pub fn expose(&self) -> &[u8] {
        self.0.expose_secret()
    }

    /// Returns how many bytes there are.
    pub fn len(&self) -> usize {
        self.expose().len()
    }

    /// Returns whether there are none. An empty secret is not an absent one.
    pub fn is_empty(&self) -> bool {
        self.expose().is_empty()
    }

    /// Returns a second copy of the secret: a word of its own, since every copy counts.
    pub fn duplicate(&self) -> Self {
        Self::copy_of(self.expose())
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl PartialEq for SecretBytes {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl Eq for SecretBytes {}

/// Secret text: UTF-8, checked once when it is made. Wiped on drop, as [`SecretBytes`] are.
///
/// # Examples
/// ```
/// use keystead_plugin_api::SecretText;
/// let text = SecretText::new("hunter2");
/// assert_eq!(text.expose(), "hunter2");
/// assert_eq!(format!("{text:?}"), "[redacted]");
/// ```
pub struct SecretText(SecretBox<str>);

impl SecretText {
    /// Takes this text over; what the string had beyond its length is wiped as well. A `&str` is
    /// copied, and the original stays the caller's.
    pub fn new(text: impl Into<String>) -> Self {
        let mut text = text.into();
        if text.len() == text.capacity() {
            return Self(SecretBox::new(text.into_boxed_str()));
        }
        // Shrinking would leave a copy behind where the allocator moves.
        let exact = Self::exact(&text);
        text.zeroize();
        exact
    }

    /// Returns the bytes as text.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) when they are not UTF-8.
    pub fn from_bytes(bytes: SecretBytes) -> Result<Self> {
        Self::copy_of(bytes.expose())
    }

    /// Copies these bytes as text; the caller's copy stays the caller's to wipe.
    pub(crate) fn copy_of(bytes: &[u8]) -> Result<Self> {
        checked(bytes).map(Self::exact)
    }

    fn exact(text: &str) -> Self {
        Self(SecretBox::new(Box::from(text)))
    }

    /// Returns the text itself, without reading it. Whatever is copied from it is yours to wipe.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// Returns the text's bytes, still wiped on drop.
    pub fn into_bytes(self) -> SecretBytes {
        SecretBytes::copy_of(self.expose().as_bytes())
    }

    /// Returns a second copy of the secret.
    pub fn duplicate(&self) -> Self {
        Self::exact(self.expose())
    }
}

/// Returns bytes as text. The only place that checks a secret's text: once for each.
fn checked(bytes: &[u8]) -> Result<&str> {
    #[cfg(test)]
    tests::CHECKED.with(|checked| checked.set(checked.get() + bytes.len()));
    std::str::from_utf8(bytes).map_err(|fault| {
        Error::invalid(format!("the text is not UTF-8 from byte {} on", fault.valid_up_to()))
    })
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl PartialEq for SecretText {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl Eq for SecretText {}

/// A user name and the password that goes with it. Only the password is secret.
#[non_exhaustive]
#[derive(Debug, PartialEq, Eq)]
pub struct Credential {
    /// The user's name.
    pub user: String,
    /// The password.
    pub password: SecretText,
}

impl Credential {
    /// Returns a credential.
    pub fn new(user: impl Into<String>, password: SecretText) -> Self {
        Self { user: user.into(), password }
    }
}

/// Values by key, in the order they were put in; each key once.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Map(Vec<(String, Value)>);

impl Map {
    /// Returns a map with nothing in it.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a value under a key and returns the one it replaced.
    pub fn insert(&mut self, key: impl Into<String>, value: Value) -> Option<Value> {
        let key = key.into();
        for (present, old) in &mut self.0 {
            if *present == key {
                return Some(std::mem::replace(old, value));
            }
        }
        self.0.push((key, value));
        None
    }

    /// Returns the value under this key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.iter().find(|(present, _)| present == key).map(|(_, value)| value)
    }

    /// Takes the value under this key out.
    pub fn remove(&mut self, key: &str) -> Option<Value> {
        let at = self.0.iter().position(|(present, _)| present == key)?;
        Some(self.0.remove(at).1)
    }

    /// Returns the keys and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// Returns how many keys there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Appends without looking for the key: for the decoder, which has checked.
    fn push(&mut self, key: String, value: Value) {
        self.0.push((key, value));
    }
}

impl IntoIterator for Map {
    type Item = (String, Value);
    type IntoIter = std::vec::IntoIter<(String, Value)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// The kinds of value. The numbers are part of the ABI.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum ValueKind {
    /// Text in UTF-8.
    Text = 1,
    /// Any bytes.
    Bytes = 2,
    /// A user name and a password.
    Credential = 3,
    /// Values by key.
    Map = 4,
    /// One JSON text.
    Json = 5,
    /// What a later minor version might add: a link to another secret.
    #[cfg(feature = "next")]
    Link = 6,
}

impl ValueKind {
    /// Every kind this version knows, in the order of their numbers.
    pub const ALL: &'static [Self] = &[
        Self::Text,
        Self::Bytes,
        Self::Credential,
        Self::Map,
        Self::Json,
        #[cfg(feature = "next")]
        Self::Link,
    ];

    /// Returns the kind of this number, or `None` where it is not known here.
    pub fn from_code(code: u32) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| *kind as u32 == code)
    }

    /// Returns the number that stands for this kind in the ABI and in the runner's frames.
    pub const fn code(self) -> u32 {
        self as u32
    }

    /// Returns the kind's name in manifests, JSON and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Bytes => "bytes",
            Self::Credential => "credential",
            Self::Map => "map",
            Self::Json => "json",
            #[cfg(feature = "next")]
            Self::Link => "link",
        }
    }

    /// Returns the kind of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == name)
    }
}

impl fmt::Display for ValueKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A secret's value.
///
/// Its encoded form has at most [`MAX_VALUE_BYTES`], [`MAX_VALUE_DEPTH`] levels and
/// [`MAX_VALUE_ENTRIES`] entries; the boundary refuses more, in both directions.
#[non_exhaustive]
#[derive(Debug, PartialEq, Eq)]
pub enum Value {
    /// Text in UTF-8, possibly empty.
    Text(SecretText),
    /// Any bytes, possibly none.
    Bytes(SecretBytes),
    /// A user name and a password.
    Credential(Credential),
    /// Values by key.
    Map(Map),
    /// One JSON text. A map's members may be of it, so that numbers, lists and the like stay what
    /// they are.
    Json(JsonText),
    /// What a later minor version might add: a link to another secret.
    #[cfg(feature = "next")]
    Link(SecretText),
}

impl Value {
    /// Returns a text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(SecretText::new(text))
    }

    /// Returns bytes.
    pub fn bytes(bytes: Vec<u8>) -> Self {
        Self::Bytes(SecretBytes::new(bytes))
    }

    /// Returns a credential.
    pub fn credential(user: impl Into<String>, password: impl Into<String>) -> Self {
        Self::Credential(Credential { user: user.into(), password: SecretText::new(password) })
    }

    /// Returns JSON.
    ///
    /// # Errors
    /// As for [`JsonText::parse`].
    pub fn json(text: impl Into<String>) -> Result<Self> {
        JsonText::parse(SecretText::new(text)).map(Self::Json)
    }

    /// Returns which kind of value this is.
    pub fn kind(&self) -> ValueKind {
        match self {
            Self::Text(_) => ValueKind::Text,
            Self::Bytes(_) => ValueKind::Bytes,
            Self::Credential(_) => ValueKind::Credential,
            Self::Map(_) => ValueKind::Map,
            Self::Json(_) => ValueKind::Json,
            #[cfg(feature = "next")]
            Self::Link(_) => ValueKind::Link,
        }
    }

    /// Returns a second copy of the value.
    pub fn duplicate(&self) -> Self {
        match self {
            Self::Text(text) => Self::Text(text.duplicate()),
            Self::Bytes(bytes) => Self::Bytes(bytes.duplicate()),
            Self::Credential(credential) => Self::Credential(Credential {
                user: credential.user.clone(),
                password: credential.password.duplicate(),
            }),
            Self::Map(map) => {
                let copy = map.iter().map(|(key, value)| (key.to_owned(), value.duplicate()));
                Self::Map(Map(copy.collect()))
            }
            Self::Json(json) => Self::Json(json.duplicate()),
            #[cfg(feature = "next")]
            Self::Link(text) => Self::Link(text.duplicate()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_redacts_secrets() {
        let mut map = Map::new();
        map.insert("k", Value::credential("bob", "canary-1"));
        map.insert("b", Value::bytes(b"canary-2".to_vec()));
        let shown = format!("{:?} {:?}", Value::Map(map), Value::text("canary-3"));
        assert!(!shown.contains("canary"), "{shown}");
        assert!(shown.contains("bob"));
    }

    #[test]
    fn map_keeps_order_and_unique_keys() {
        let mut map = Map::new();
        assert!(map.insert("b", Value::text("1")).is_none());
        assert!(map.insert("a", Value::text("2")).is_none());
        assert_eq!(map.insert("b", Value::text("3")), Some(Value::text("1")));
        assert_eq!(map.iter().map(|(key, _)| key).collect::<Vec<_>>(), ["b", "a"]);
        assert_eq!(map.remove("b"), Some(Value::text("3")));
        assert_eq!(map.get("b"), None);
    }

    #[test]
    fn text_without_utf8_is_rejected() {
        assert!(SecretText::from_bytes(SecretBytes::new(vec![0xff])).is_err());
    }

    std::thread_local! {
        /// How many bytes of secret texts this thread has checked.
        pub(super) static CHECKED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
    }

    /// An import exposes the file's whole text for each of its items.
    #[test]
    fn text_is_checked_for_utf8_only_once() {
        let before = CHECKED.with(std::cell::Cell::get);
        let text = SecretText::from_bytes(SecretBytes::new(vec![b'x'; 1_000])).unwrap();
        for _ in 0..300_000 {
            assert_eq!(text.expose().len(), 1_000);
        }
        let copy = text.duplicate();
        assert_eq!(copy.expose().len(), copy.into_bytes().len());
        assert_eq!(CHECKED.with(std::cell::Cell::get) - before, 1_000);
        // Nothing but a text is held: there is nothing to check when it is exposed.
        let _: &SecretBox<str> = &text.0;
    }
}

//! A plugin's id: safe as a file name, and never one that could be a hash.

use std::fmt;

use super::{Digest, Error};

/// A plugin's id: `[a-z0-9][a-z0-9-]{0,63}`, and not the text of a SHA-256 hash.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PluginId(String);

impl PluginId {
    /// Returns the id, if it keeps the rules.
    ///
    /// # Errors
    /// [`Error::Id`] when it does not.
    ///
    /// # Examples
    /// ```
    /// use keystead::trust::PluginId;
    ///
    /// assert_eq!(PluginId::parse("store").unwrap().as_str(), "store");
    /// assert!(PluginId::parse("../store").is_err());
    /// ```
    pub fn parse(text: &str) -> Result<Self, Error> {
        let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let well_formed = !text.is_empty()
            && text.len() <= 64
            && text.bytes().all(good)
            && !text.starts_with('-');
        // Denials of hashes and pins of ids lie in one directory.
        if !well_formed || Digest::parse(text).is_ok() {
            return Err(Error::Id { text: text.chars().take(80).collect() });
        }
        Ok(Self(text.to_owned()))
    }

    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PluginId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

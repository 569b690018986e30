//! Names of secrets and of vaults: parsed once into a type, never checked again.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use crate::error::{Error, Result};

/// The most bytes a secret's name may have, in UTF-8: long enough for any path-like
/// scheme in the field, short enough for every index.
pub const MAX_SECRET_NAME_BYTES: usize = 1_024;

/// The most characters a vault's name may have: it is a file name in the registry.
pub const MAX_VAULT_NAME_BYTES: usize = 64;

/// The name of a secret: UTF-8, 1 to 1,024 bytes, no control characters.
///
/// It is kept and given back exactly as it was written. Whether `Token` and `token`
/// are one secret is the vault's rule, declared in its
/// [`NameRule`](crate::manifest::NameRule).
///
/// # Examples
/// ```
/// use keystead_plugin_api::SecretName;
/// assert_eq!(SecretName::parse("db/password").unwrap().as_str(), "db/password");
/// assert!(SecretName::parse("").is_err());
/// assert!(SecretName::parse("two\nlines").is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretName(String);

impl SecretName {
    /// Returns the name, if it keeps the rules.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) when it is empty, longer than
    /// [`MAX_SECRET_NAME_BYTES`], or has a control character.
    pub fn parse(text: &str) -> Result<Self> {
        Self::check(text)?;
        Ok(Self(text.to_owned()))
    }

    pub(crate) fn check(text: &str) -> Result<()> {
        if text.is_empty() {
            return Err(Error::invalid("a secret's name is empty"));
        }
        if text.len() > MAX_SECRET_NAME_BYTES {
            return Err(Error::invalid(format!(
                "a secret's name has {} bytes; the most is {MAX_SECRET_NAME_BYTES}",
                text.len()
            )));
        }
        if let Some(found) = text.chars().find(|c| c.is_control()) {
            return Err(Error::invalid(format!(
                "a secret's name has the control character U+{:04X}",
                u32::from(found)
            )));
        }
        Ok(())
    }

    /// Returns the name as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of a vault: `[A-Za-z0-9][A-Za-z0-9._-]{0,63}`, compared without case.
///
/// # Examples
/// ```
/// use keystead_plugin_api::VaultName;
/// assert_eq!(VaultName::parse("Work").unwrap(), VaultName::parse("work").unwrap());
/// assert!(VaultName::parse("../work").is_err());
/// ```
#[derive(Debug, Clone)]
pub struct VaultName(String);

impl VaultName {
    /// Returns the name, if it keeps the rules.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) when it does not.
    pub fn parse(text: &str) -> Result<Self> {
        let mut bytes = text.bytes();
        let starts_well = bytes.next().map_or(false, |b| b.is_ascii_alphanumeric());
        let goes_on_well = bytes.all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        if !(starts_well && goes_on_well && text.len() <= MAX_VAULT_NAME_BYTES) {
            return Err(Error::invalid(
                "a vault's name is 1 to 64 letters, digits, dots, dashes or underscores, and \
                 starts with a letter or digit",
            ));
        }
        Ok(Self(text.to_owned()))
    }

    /// Returns the name as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the name in lower case: equal for names that are equal.
    pub fn folded(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

impl PartialEq for VaultName {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for VaultName {}

impl PartialOrd for VaultName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for VaultName {
    fn cmp(&self, other: &Self) -> Ordering {
        self.folded().cmp(&other.folded())
    }
}

impl Hash for VaultName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.folded().hash(state);
    }
}

impl fmt::Display for VaultName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_name_has_1_to_1024_bytes() {
        assert!(SecretName::parse("").is_err());
        assert!(SecretName::parse(&"x".repeat(1_024)).is_ok());
        assert!(SecretName::parse(&"x".repeat(1_025)).is_err());
        assert!(SecretName::parse(&"é".repeat(513)).is_err());
    }

    #[test]
    fn secret_name_like_pattern_or_path_is_accepted() {
        for name in ["a*", "?", "[x]", "../..", "a b", "ſ", "-rf"] {
            assert_eq!(SecretName::parse(name).unwrap().as_str(), name);
        }
    }

    #[test]
    fn secret_name_with_control_character_is_rejected() {
        for name in ["\0", "a\nb", "\u{1b}[0m", "\u{7f}", "\u{85}"] {
            assert!(SecretName::parse(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn vault_name_unsafe_as_file_name_is_rejected() {
        for name in ["a", "A1", "a.b-c_d", &"x".repeat(64)] {
            assert!(VaultName::parse(name).is_ok(), "{name}");
        }
        for name in ["", ".a", "-a", "_a", "a/b", "a b", "ä", "a\0", &"x".repeat(65)] {
            assert!(VaultName::parse(name).is_err(), "{name}");
        }
    }
}

//! What holds for all secrets of one open vault: which names are one, and what it can hold.

use crate::error::{Error, Result};
use crate::name::SecretName;
use crate::value::Value;

#[cfg(feature = "unicode")]
mod fold;

/// The version of Unicode's tables that a [`NameEquality`] goes by: case folding, then composition. What
/// the tables say of a character that they know never changes.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct UnicodeTables {
    /// The major version of Unicode whose simple case folding it is.
    pub folding: u8,
    /// The major version of Unicode whose composition (NFC) it is.
    pub composition: u8,
}

impl UnicodeTables {
    /// Returns the tables of these major versions.
    pub const fn new(folding: u8, composition: u8) -> Self {
        Self { folding, composition }
    }
}

/// Which names are one secret. The vault keeps the spelling; the rule says which spellings find it.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NameEquality {
    /// The vault cannot say: whoever needs to know looks up one name and sees whether it is there.
    Unknown,
    /// Names that are the same bytes.
    Exact,
    /// Names that are the same bytes once `A` to `Z` are `a` to `z`.
    AsciiCase,
    /// Names that are the same once composed (NFC).
    Composed(UnicodeTables),
    /// Names that are the same once composed, each character case-folded alone (simple folding),
    /// and composed again.
    ComposedCase(UnicodeTables),
    /// Names that are the same once characters of full width are of half. What a later minor version
    /// might add.
    #[cfg(feature = "next")]
    Width(UnicodeTables),
}

impl NameEquality {
    /// Returns the rule as one or two words, for people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Exact => "exact",
            Self::AsciiCase => "ascii-case",
            Self::Composed(_) => "composed",
            Self::ComposedCase(_) => "composed-case",
            #[cfg(feature = "next")]
            Self::Width(_) => "width",
        }
    }
}

/// The rules of one open vault.
///
/// # Examples
/// ```
/// use keystead_plugin_api::{NameEquality, Rules};
/// let mut rules = Rules::new(NameEquality::Exact);
/// rules.max_name_bytes = Some(255);
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// Which names are one.
    pub names: NameEquality,
    /// The most bytes of a name; absent: [`MAX_SECRET_NAME_BYTES`](crate::MAX_SECRET_NAME_BYTES).
    pub max_name_bytes: Option<usize>,
    /// Which names the vault takes, in words for people: `letters, digits and dashes`.
    pub name_grammar: Option<String>,
    /// The most bytes of a value: of a text, of bytes and of JSON those of the content, of a credential
    /// and of a map those of its byte form. Absent: [`MAX_VALUE_BYTES`](crate::MAX_VALUE_BYTES).
    pub max_value_bytes: Option<usize>,
}

impl Rules {
    /// Returns rules with no more limits than the contract has.
    pub fn new(names: NameEquality) -> Self {
        Self { names, max_name_bytes: None, name_grammar: None, max_value_bytes: None }
    }

    /// Checks a name, and a value if there is one, against the limits in bytes. The grammar is words for
    /// people: a vault checks that itself.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) with both numbers.
    pub fn check(&self, name: &SecretName, value: Option<&Value>) -> Result<()> {
        let length = name.as_str().len();
        match self.max_name_bytes {
            Some(most) if length > most => {
                let message = format!("its name has {length} bytes; this vault takes {most}");
                return Err(Error::unsupported(message));
            }
            _ => {}
        }
        let size = value.map(|value| match value {
            Value::Text(text) => Ok(text.expose().len()),
            Value::Bytes(bytes) => Ok(bytes.expose().len()),
            Value::Json(json) => Ok(json.expose().len()),
            other => other.encoded_len(),
        });
        match (self.max_value_bytes, size) {
            (Some(most), Some(Ok(size))) if size > most => {
                let message = format!("its value has {size} bytes; this vault takes {most}");
                Err(Error::unsupported(message))
            }
            _ => Ok(()),
        }
    }
}

//! Parameters of a vault or an action: the schema a plugin declares, and the values that
//! reach it after the host has checked them against it.

use std::collections::BTreeMap;

use crate::value::SecretText;

/// What a parameter's value must be.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum ParameterKind {
    /// A kind that is unknown here: of a parameter of an action, which a newer plugin lists. No value
    /// is one of it.
    Unknown = 0,
    /// Any text without control characters.
    Text = 1,
    /// A whole number.
    Integer = 2,
    /// `true` or `false`.
    Boolean = 3,
    /// An absolute path; the host expands `~/` and relative paths when it registers.
    Path = 4,
    /// An address. What a later minor version might add.
    #[cfg(feature = "next")]
    Url = 200,
}

impl ParameterKind {
    /// Every kind that is known, in the order of their numbers.
    pub const ALL: &'static [Self] = &[
        Self::Text,
        Self::Integer,
        Self::Boolean,
        Self::Path,
        #[cfg(feature = "next")]
        Self::Url,
    ];

    /// Returns the kind's name in manifests and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Text => "text",
            Self::Integer => "integer",
            Self::Boolean => "boolean",
            Self::Path => "path",
            #[cfg(feature = "next")]
            Self::Url => "url",
        }
    }

    /// Returns the kind of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == name)
    }

    /// Returns the kind of this number.
    pub fn from_code(code: u32) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| *kind as u32 == code)
    }

    /// Returns the number that stands for this kind in the ABI.
    pub fn code(self) -> u32 {
        self as u32
    }
}

/// One parameter in a schema: of a kind of vault in a manifest, or of an action.
///
/// A `secret` parameter is never kept as a value: its registration holds a reference
/// (`env:…`, `file:…`, `keystead://…`) that the host resolves when it opens the vault.
///
/// # Examples
/// ```
/// use keystead_plugin_api::{Parameter, ParameterKind};
/// const PATH: Parameter = Parameter::required("path", ParameterKind::Path, "the directory");
/// const PIN: Parameter = Parameter::optional("pin", ParameterKind::Text, "the PIN").secret();
/// assert!(PATH.required && PIN.secret);
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameter<Text = &'static str> {
    /// The name: lower-case letters, digits and dashes.
    pub name: Text,
    /// What a value must be.
    pub kind: ParameterKind,
    /// What it is for, in one line.
    pub description: Text,
    /// Whether a vault cannot do without it.
    pub required: bool,
    /// Whether its value is secret.
    pub secret: bool,
    /// Whether it has no part in the login: see [`Parameter::beside_login`].
    pub beside_login: bool,
    /// The value where none is given, as it would be typed; empty for none.
    pub default: Text,
}

/// A [`Parameter`] whose texts were made while the program runs.
pub type OwnedParameter = Parameter<String>;

impl Parameter {
    /// Returns a parameter that may be left out.
    pub const fn optional(
        name: &'static str,
        kind: ParameterKind,
        description: &'static str,
    ) -> Self {
        Self {
            name,
            kind,
            description,
            required: false,
            secret: false,
            beside_login: false,
            default: "",
        }
    }

    /// Returns a parameter that must be given.
    pub const fn required(
        name: &'static str,
        kind: ParameterKind,
        description: &'static str,
    ) -> Self {
        Self {
            name,
            kind,
            description,
            required: true,
            secret: false,
            beside_login: false,
            default: "",
        }
    }

    /// Returns a parameter that has this value where none is given, as it would be typed.
    ///
    /// A path may begin with `~/`, for the user's home, or with `{data}/`, for the directory
    /// where Keystead keeps the user's data, and hold `{vault}`, for the vault's name in
    /// lower case. What stands in braces the host puts in when it registers the vault.
    pub const fn defaulting(
        name: &'static str,
        kind: ParameterKind,
        default: &'static str,
        description: &'static str,
    ) -> Self {
        Self {
            name,
            kind,
            description,
            required: false,
            secret: false,
            beside_login: false,
            default,
        }
    }

    /// Returns the parameter as one whose value is secret.
    pub const fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    /// Returns the parameter as one that has no part in the login: a mount, a directory, a prefix. Vaults
    /// that differ only in such parameters share one session. Where in doubt, leave it out: each
    /// vault then has a session of its own.
    pub const fn beside_login(mut self) -> Self {
        self.beside_login = true;
        self
    }
}

impl OwnedParameter {
    /// Returns a parameter that may be left out, without a default.
    pub fn new(
        name: impl Into<String>,
        kind: ParameterKind,
        description: impl Into<String>,
    ) -> Self {
        Self {
            name: name.into(),
            kind,
            description: description.into(),
            required: false,
            secret: false,
            beside_login: false,
            default: String::new(),
        }
    }
}

impl From<Parameter> for OwnedParameter {
    fn from(parameter: Parameter) -> Self {
        Self {
            name: parameter.name.to_owned(),
            kind: parameter.kind,
            description: parameter.description.to_owned(),
            required: parameter.required,
            secret: parameter.secret,
            beside_login: parameter.beside_login,
            default: parameter.default.to_owned(),
        }
    }
}

/// One parameter's value.
#[non_exhaustive]
#[derive(Debug, PartialEq, Eq)]
pub enum ParameterValue {
    /// A text or a path.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// Yes or no.
    Boolean(bool),
    /// The value of a parameter that is secret.
    Secret(SecretText),
    /// An address. What a later minor version might add.
    #[cfg(feature = "next")]
    Url(String),
}

/// Parameter values by name, checked against the schema by the host.
///
/// # Examples
/// ```
/// use keystead_plugin_api::{ParameterValue, Parameters};
/// let mut parameters = Parameters::new();
/// parameters.insert("file", ParameterValue::Text("/srv/secrets.json".into()));
/// assert_eq!(parameters.text("file"), Some("/srv/secrets.json"));
/// assert_eq!(parameters.boolean("locked"), None);
/// ```
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Parameters(BTreeMap<String, ParameterValue>);

impl Parameters {
    /// Returns parameters with nothing in them.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a value under a name.
    pub fn insert(&mut self, name: impl Into<String>, value: ParameterValue) {
        self.0.insert(name.into(), value);
    }

    /// Returns the text or path of this name.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.0.get(name) {
            Some(ParameterValue::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// Returns the number of this name.
    pub fn integer(&self, name: &str) -> Option<i64> {
        match self.0.get(name) {
            Some(ParameterValue::Integer(number)) => Some(*number),
            _ => None,
        }
    }

    /// Returns the yes or no of this name.
    pub fn boolean(&self, name: &str) -> Option<bool> {
        match self.0.get(name) {
            Some(ParameterValue::Boolean(yes)) => Some(*yes),
            _ => None,
        }
    }

    /// Returns the secret of this name.
    pub fn secret(&self, name: &str) -> Option<&SecretText> {
        match self.0.get(name) {
            Some(ParameterValue::Secret(secret)) => Some(secret),
            _ => None,
        }
    }

    /// Returns names and values, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &ParameterValue)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns a copy: one more place in memory where secret parameters are, until it is wiped when
    /// it is dropped.
    pub fn duplicate(&self) -> Self {
        let copy = |value: &ParameterValue| match value {
            ParameterValue::Text(text) => ParameterValue::Text(text.clone()),
            ParameterValue::Integer(number) => ParameterValue::Integer(*number),
            ParameterValue::Boolean(yes) => ParameterValue::Boolean(*yes),
            ParameterValue::Secret(secret) => ParameterValue::Secret(secret.duplicate()),
            #[cfg(feature = "next")]
            ParameterValue::Url(url) => ParameterValue::Url(url.clone()),
        };
        Self(self.0.iter().map(|(name, value)| (name.clone(), copy(value))).collect())
    }
}

//! Parts of a manifest that are newer than this host, and the parts that it skips therefore.

use std::fmt;

/// A part of a vault kind's description that this host does not know. The host skips this part or,
/// if a vault cannot do without it, the vault kind.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unknown {
    /// A capability: its name, or its JSON, shortened. This also holds for the variants below.
    Capability(String),
    /// A value kind.
    ValueKind(String),
    /// A rule for names.
    NameRule(String),
    /// A parameter.
    Parameter {
        /// Its name.
        name: String,
        /// Its kind.
        kind: String,
        /// Whether a vault cannot do without it.
        required: bool,
    },
    /// A permission.
    Permission {
        /// The permission's text, shortened.
        permission: String,
        /// Whether a vault opens without it.
        optional: bool,
    },
}

impl Unknown {
    /// Returns whether the host skips the vault kind as a whole: it cannot open it.
    pub fn needs_newer_host(&self) -> bool {
        match self {
            Self::Capability(_) | Self::ValueKind(_) => false,
            Self::NameRule(_) => true,
            Self::Parameter { required, .. } => *required,
            Self::Permission { optional, .. } => !*optional,
        }
    }

    /// Returns one line of text that [`Unknown::parse`] reads.
    pub(in crate::plugin) fn text(&self) -> String {
        match self {
            Self::Capability(name) => format!("capability {name}"),
            Self::ValueKind(name) => format!("value {name}"),
            Self::NameRule(name) => format!("names {name}"),
            Self::Parameter { name, kind, required } => {
                format!("parameter {required} {name} {kind}")
            }
            Self::Permission { permission, optional } => {
                format!("permission {optional} {permission}")
            }
        }
    }

    /// Parses a line that [`Unknown::text`] wrote.
    pub(in crate::plugin) fn parse(text: &str) -> Option<Self> {
        let (what, rest) = text.split_once(' ')?;
        let flag = || rest.split_once(' ').and_then(|(yes, rest)| Some((yes.parse().ok()?, rest)));
        Some(match what {
            "capability" => Self::Capability(rest.to_owned()),
            "value" => Self::ValueKind(rest.to_owned()),
            "names" => Self::NameRule(rest.to_owned()),
            "parameter" => {
                let (required, rest) = flag()?;
                let (name, kind) = rest.split_once(' ')?;
                Self::Parameter { name: name.to_owned(), kind: kind.to_owned(), required }
            }
            "permission" => {
                let (optional, permission) = flag()?;
                Self::Permission { permission: permission.to_owned(), optional }
            }
            _ => return None,
        })
    }
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Capability(name) => write!(f, "the capability `{name}`"),
            Self::ValueKind(name) => write!(f, "values of the kind `{name}`"),
            Self::NameRule(name) => write!(f, "the rule for names `{name}`"),
            Self::Parameter { name, kind, .. } => {
                write!(f, "the parameter `{name}` of the kind `{kind}`")
            }
            Self::Permission { permission, .. } => write!(f, "the permission `{permission}`"),
        }
    }
}

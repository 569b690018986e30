//! Equality of names, by the rule in a vault's file.

use std::borrow::Cow;

use keystead_plugin_api::{NameEquality, UnicodeTables};

/// Unicode versions of the tables, stored in a vault's header: of the folding, then of the
/// composition.
pub(crate) const TABLES: [u8; 2] = [UnicodeTables::OURS.folding, UnicodeTables::OURS.composition];

/// Whether names that differ by case are one secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Case {
    /// Names that differ by case are one secret.
    Folded,
    /// Names that differ by case are two secrets, but are still composed.
    Sensitive,
}

impl Case {
    /// Returns the rule in the form of the plugin API.
    pub(crate) fn rule(self) -> NameEquality {
        match self {
            Self::Folded => NameEquality::ComposedCase(UnicodeTables::OURS),
            Self::Sensitive => NameEquality::Composed(UnicodeTables::OURS),
        }
    }
}

/// Returns the common form of all names of the same secret.
pub(crate) fn folded(name: &str, case: Case) -> Cow<'_, str> {
    case.rule().key(name).expect("the tables are ours")
}

//! When two names are one: the rule that a vault's file says.

use std::borrow::Cow;

use keystead_plugin_api::{NameEquality, UnicodeTables};

/// The tables' version of Unicode, kept in a vault's header: of the folding, then of the
/// composition.
pub(crate) const TABLES: [u8; 2] = [UnicodeTables::OURS.folding, UnicodeTables::OURS.composition];

/// Whether names that differ by case are one secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Case {
    /// They are one.
    Folded,
    /// They are two. They are composed all the same.
    Sensitive,
}

impl Case {
    /// Returns the rule as the contract has it.
    pub(crate) fn rule(self) -> NameEquality {
        match self {
            Self::Folded => NameEquality::ComposedCase(UnicodeTables::OURS),
            Self::Sensitive => NameEquality::Composed(UnicodeTables::OURS),
        }
    }
}

/// Returns what names have in common that mean the same secret.
pub(crate) fn folded(name: &str, case: Case) -> Cow<'_, str> {
    case.rule().key(name).expect("the tables are ours")
}

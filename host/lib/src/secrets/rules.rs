//! The rules of one vault, as it says them itself: which names are one secret, and what it can hold.

use std::borrow::Cow;

use keystead_plugin_api::{
    NameEquality, RulesRequest, SecretName, UnicodeTables, Value, VaultName,
};

use crate::error::Result;
use crate::host::{Host, VaultRef};
use crate::prompter::Prompter;

/// What a vault says of all of its secrets.
#[derive(Debug, Clone)]
pub(crate) struct Rules(keystead_plugin_api::Rules);

impl Default for Rules {
    /// Returns those of a vault that says nothing.
    fn default() -> Self {
        Self(keystead_plugin_api::Rules::new(NameEquality::Unknown))
    }
}

impl Rules {
    /// Returns those of a vault in which these names are one.
    #[cfg(test)]
    pub(super) fn of(names: NameEquality) -> Self {
        Self(keystead_plugin_api::Rules::new(names))
    }

    /// Returns what names have in common that are one secret; `None` where only the vault knows.
    pub(crate) fn key<'n>(&self, name: &'n SecretName) -> Option<Cow<'n, str>> {
        self.0.names.key(name.as_str())
    }

    /// Returns what names are sorted by.
    pub(crate) fn sort_key<'n>(&self, name: &'n SecretName) -> Cow<'n, str> {
        self.key(name).unwrap_or(Cow::Borrowed(name.as_str()))
    }

    /// Whether the host compares names as they are written: by that rule, or for want of one.
    pub(super) fn compares_as_written(&self) -> bool {
        matches!(self.0.names, NameEquality::Exact | NameEquality::Unknown)
    }

    /// Returns a name or a pattern as they are compared with each other. By other tables of Unicode
    /// than ours few characters differ.
    pub(super) fn pattern_key<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let names = match self.0.names {
            NameEquality::Composed(_) => NameEquality::Composed(UnicodeTables::OURS),
            NameEquality::ComposedCase(_) => NameEquality::ComposedCase(UnicodeTables::OURS),
            names => names,
        };
        names.key(text).unwrap_or(Cow::Borrowed(text))
    }

    /// Returns why the vault cannot hold a value under a name, by the limits that it has said.
    pub(crate) fn limit(&self, name: &SecretName, value: Option<&Value>) -> Option<String> {
        self.0.check(name, value).err().map(|error| error.message().to_owned())
    }
}

impl Host {
    /// Returns what a vault says of all of its secrets: which names are one, and what it can hold.
    ///
    /// # Errors
    /// What the vault answers, or that it cannot be opened.
    pub fn vault_rules(
        &self,
        vault: &VaultName,
        ask: &mut dyn Prompter,
    ) -> Result<keystead_plugin_api::Rules> {
        self.rules(vault.into(), ask).map(|rules| rules.0)
    }

    /// Asks a vault for its rules.
    pub(crate) fn rules(&self, vault: VaultRef<'_>, ask: &mut dyn Prompter) -> Result<Rules> {
        let rules =
            self.call(vault, ask, &mut |open, deadline| open.rules(&RulesRequest::new(deadline)));
        rules.map(Rules)
    }

    /// Returns how a vault spells a name that it has; `None` where it has no such secret.
    pub(crate) fn spelling(
        &self,
        vault: VaultRef<'_>,
        name: &SecretName,
        ask: &mut dyn Prompter,
    ) -> Result<Option<SecretName>> {
        use crate::error::Error;
        match self.described(vault, name, ask) {
            Ok(entry) => Ok(Some(entry.name)),
            Err(Error::NoSuchSecret { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

//! The rules of one vault, as it reports them: which names are one secret, and its limits.

use std::borrow::Cow;

use keystead_plugin_api::{
    NameEquality, RulesRequest, SecretName, UnicodeTables, Value, VaultName,
};

use crate::error::Result;
use crate::host::{Host, VaultRef};
use crate::prompter::Prompter;

/// Rules that a vault reports for all of its secrets.
#[derive(Debug, Clone)]
pub(crate) struct Rules(keystead_plugin_api::Rules);

impl Default for Rules {
    /// Returns the rules of a vault that reports none.
    fn default() -> Self {
        Self(keystead_plugin_api::Rules::new(NameEquality::Unknown))
    }
}

impl Rules {
    /// Returns the rules of a vault with this equality of names.
    #[cfg(test)]
    pub(super) fn of(names: NameEquality) -> Self {
        Self(keystead_plugin_api::Rules::new(names))
    }

    /// Returns the common form of names that are one secret; `None` if only the vault knows.
    pub(crate) fn key<'n>(&self, name: &'n SecretName) -> Option<Cow<'n, str>> {
        self.0.names.key(name.as_str())
    }

    /// Returns the sort key of a name.
    pub(crate) fn sort_key<'n>(&self, name: &'n SecretName) -> Cow<'n, str> {
        self.key(name).unwrap_or(Cow::Borrowed(name.as_str()))
    }

    /// Returns whether the host compares names as written: by that rule, or without a rule.
    pub(super) fn compares_as_written(&self) -> bool {
        matches!(self.0.names, NameEquality::Exact | NameEquality::Unknown)
    }

    /// Returns the form in which names and patterns are compared with each other. With other
    /// Unicode tables than ours few characters differ.
    pub(super) fn pattern_key<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let names = match self.0.names {
            NameEquality::Composed(_) => NameEquality::Composed(UnicodeTables::OURS),
            NameEquality::ComposedCase(_) => NameEquality::ComposedCase(UnicodeTables::OURS),
            names => names,
        };
        names.key(text).unwrap_or(Cow::Borrowed(text))
    }

    /// Returns why the vault cannot hold a value under a name, by its reported limits.
    pub(crate) fn limit(&self, name: &SecretName, value: Option<&Value>) -> Option<String> {
        self.0.check(name, value).err().map(|error| error.message().to_owned())
    }
}

impl Host {
    /// Returns a vault's rules for all of its secrets: which names are one, and its limits.
    ///
    /// # Errors
    /// The vault's error, or that it cannot be opened.
    pub fn vault_rules(
        &self,
        vault: &VaultName,
        ask: &mut dyn Prompter,
    ) -> Result<keystead_plugin_api::Rules> {
        self.rules(vault.into(), ask).map(|rules| rules.0)
    }

    /// Returns a vault's rules.
    pub(crate) fn rules(&self, vault: VaultRef<'_>, ask: &mut dyn Prompter) -> Result<Rules> {
        let rules =
            self.call(vault, ask, &mut |open, deadline| open.rules(&RulesRequest::new(deadline)));
        rules.map(Rules)
    }

    /// Returns the vault's spelling of a name; `None` if it has no such secret.
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

//! Operations on secrets, over one vault or many: which vault is meant, the order of a search, and
//! the effect of an unavailable vault.

mod action;
mod atomic;
mod field;
mod list;
mod many;
pub(crate) mod metadata;
mod pattern;
pub(crate) mod rules;
pub(crate) mod transfer;
mod write;

use std::sync::Arc;

use keystead_plugin_api::{
    DescribeRequest, Entry, Error as Answer, ErrorKind, GetRequest, Metadata, Secret, SecretName,
    Value, VaultName, WriteMode,
};

pub use action::PlannedAction;
pub use field::{FieldKind, NewField, NoField, single};
pub use many::BatchWrite;
pub use pattern::has_wildcards;

use crate::error::{Error, Result};
use crate::host::{Host, RunMode, VaultRef};
use crate::prompter::{NonInteractive, Prompter};
use crate::registry::OpenRegistry;
pub(crate) use list::Walk;
pub use write::unfit;

/// Scope of a search for a secret.
///
/// # Examples
/// ```
/// use keystead::SearchScope;
/// use keystead::api::VaultName;
///
/// let one = SearchScope::Vault(VaultName::parse("work").unwrap());
/// assert!(matches!(one, SearchScope::Vault(_)));
/// assert!(!matches!(SearchScope::anywhere(), SearchScope::Vault(_)));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SearchScope {
    /// This vault.
    Vault(VaultName),
    /// The default vault, then the other vaults by name. The first vault with the secret answers.
    Search(OnUnavailable),
}

impl SearchScope {
    /// Returns a search that stops at an unavailable vault.
    pub fn anywhere() -> Self {
        Self::Search(OnUnavailable::Fail)
    }
}

/// Effect of a vault that is locked, broken or timed out on a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnUnavailable {
    /// Stop: the same name in a later vault is not the answer.
    Fail,
    /// Continue: any vault's answer is accepted.
    Skip,
}

/// A secret, and the vault that has it.
#[derive(Debug)]
pub struct FoundSecret {
    /// The vault that has it.
    pub vault: VaultName,
    /// The secret.
    pub secret: Secret,
}

/// A secret without its value, and the vault that has it.
#[derive(Debug, Clone)]
pub struct ListedSecret {
    /// The vault that has it.
    pub vault: VaultName,
    /// The vault's information about the secret.
    pub entry: Entry,
}

/// Result of a listing.
#[derive(Debug)]
pub struct SecretListing {
    /// The secrets, sorted by name, then by vault.
    pub entries: Vec<ListedSecret>,
    /// The unavailable vaults, with their errors.
    pub failed: Vec<(VaultName, Error)>,
}

/// A secret to write.
#[derive(Debug)]
pub struct NewSecret {
    /// Name of the secret.
    pub name: SecretName,
    /// The vault; `None` for the default vault.
    pub vault: Option<VaultName>,
    /// The new value.
    pub value: Value,
    /// The field of a map that `value` is for; other fields stay. `None`: the whole secret.
    pub field: Option<NewField>,
    /// Metadata in place of all that exists; `None` leaves it unchanged.
    pub metadata: Option<Metadata>,
    /// What to do if the name exists, or does not exist.
    pub mode: WriteMode,
    /// Whether to write or only to check.
    pub run: RunMode,
}

impl FoundSecret {
    /// Returns one part of the value. An exact name comes first: a map's key, `user` and `password`
    /// of a credential, or a member of a JSON object. A text that is such an object counts as JSON.
    /// Otherwise a JSON pointer (`/hosts/0`, RFC 6901) leads through maps, JSON and such texts.
    ///
    /// A JSON string is returned as the text that it stands for.
    ///
    /// # Errors
    /// The reason why there is none. `null` counts as none.
    pub fn into_field(self, field: &str) -> std::result::Result<Value, NoField> {
        field::part(self.secret.value, field)
    }
}

impl Host {
    /// Returns a secret.
    ///
    /// # Errors
    /// [`Error::NoSuchSecret`] if all vaults of the search answered and none has it;
    /// [`Error::SearchIncomplete`] if one of several was unavailable. For a named vault, or the
    /// only vault, its own error.
    ///
    /// # Examples
    /// ```no_run
    /// # fn example(host: &keystead::Host) -> Result<(), keystead::Error> {
    /// use keystead::api::SecretName;
    /// use keystead::{Error, NonInteractive, SearchScope};
    ///
    /// let name = SecretName::parse("db/password").expect("it is a name");
    /// match host.get(&name, &SearchScope::anywhere(), &mut NonInteractive) {
    ///     Ok(found) => println!("it is in vault {}", found.vault),
    ///     Err(Error::NoSuchSecret { searched, .. }) => println!("{} vaults have none", searched.len()),
    ///     Err(error) => return Err(error),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn get(
        &self,
        name: &SecretName,
        place: &SearchScope,
        ask: &mut dyn Prompter,
    ) -> Result<FoundSecret> {
        let get = &mut |vault: VaultRef<'_>, ask: &mut dyn Prompter| self.read(vault, name, ask);
        let (vault, secret) = self.first(name, place, ask, get)?;
        Ok(FoundSecret { vault, secret })
    }

    /// Reads a secret of exactly this vault.
    pub(crate) fn read(
        &self,
        vault: VaultRef<'_>,
        name: &SecretName,
        ask: &mut dyn Prompter,
    ) -> Result<Secret> {
        let secret = self.call(vault, ask, &mut |open, deadline| {
            open.get(&GetRequest::new(name.clone(), deadline))
        });
        secret.map_err(|error| named(error, vault.name(), name))
    }

    /// Returns a vault's information about a secret, without its value.
    ///
    /// # Errors
    /// As [`Host::get`].
    ///
    /// # Examples
    /// ```no_run
    /// # fn example(host: &keystead::Host) -> Result<(), keystead::Error> {
    /// use keystead::api::{SecretName, VaultName};
    /// use keystead::{NonInteractive, SearchScope};
    ///
    /// let vault = VaultName::parse("work").expect("it is a name");
    /// let name = SecretName::parse("db/password").expect("it is a name");
    /// let described = host.describe(&name, &SearchScope::Vault(vault), &mut NonInteractive)?;
    /// println!("{} is in {}", described.entry.name, described.vault);
    /// # Ok(())
    /// # }
    /// ```
    pub fn describe(
        &self,
        name: &SecretName,
        place: &SearchScope,
        ask: &mut dyn Prompter,
    ) -> Result<ListedSecret> {
        let describe =
            &mut |vault: VaultRef<'_>, ask: &mut dyn Prompter| self.described(vault, name, ask);
        let (vault, entry) = self.first(name, place, ask, describe)?;
        Ok(ListedSecret { vault, entry })
    }

    /// Returns exactly this vault's information about a secret, without its value.
    pub(crate) fn described(
        &self,
        vault: VaultRef<'_>,
        name: &SecretName,
        ask: &mut dyn Prompter,
    ) -> Result<Entry> {
        let entry = self.call(vault, ask, &mut |open, deadline| {
            open.describe(&DescribeRequest::new(name.clone(), deadline))
        });
        entry.map_err(|error| named(error, vault.name(), name))
    }

    /// Returns another vault that has a secret, among the vaults that a search includes and that
    /// answer without a prompt.
    pub(crate) fn other_vault_with(
        &self,
        name: &SecretName,
        than: &VaultName,
    ) -> Option<VaultName> {
        let has = |vault: &VaultName| {
            let place = SearchScope::Vault(vault.clone());
            self.describe(name, &place, &mut NonInteractive).is_ok()
        };
        let registry = &Arc::new(self.registry().once());
        let is_searched = |vault: &VaultName| {
            self.layered_in(registry, vault).is_ok_and(|registered| registered.entry.search)
        };
        let mut others = self.names_in(registry).ok()?.into_iter();
        others.find(|vault| vault != than && is_searched(vault) && has(vault))
    }

    /// Sends a request to vaults in order until one answers.
    fn first<T>(
        &self,
        name: &SecretName,
        place: &SearchScope,
        ask: &mut dyn Prompter,
        run: &mut dyn FnMut(VaultRef<'_>, &mut dyn Prompter) -> Result<T>,
    ) -> Result<(VaultName, T)> {
        let unasked = match place {
            SearchScope::Vault(vault) => return Ok((vault.clone(), run(vault.into(), ask)?)),
            SearchScope::Search(unasked) => *unasked,
        };
        let registry = &Arc::new(self.registry().once());
        let default = self.default_in(registry)?;
        let mut search = Search { host: self, registry, name, unasked, missed: Missed::default() };
        // The default vault first: if it has the secret, the other vaults are not even looked up.
        if let Some(vault) = &default {
            match run(VaultRef::In(vault, registry), ask) {
                Ok(found) => return Ok((vault.clone(), found)),
                // The caller named it, as with [`SearchScope::Vault`].
                Err(error @ Error::NoSuchVault { .. })
                    if unasked == OnUnavailable::Fail
                        && self.options().default_vault.as_ref() == Some(vault) =>
                {
                    return Err(error);
                }
                Err(error) => search.miss(error, vault)?,
            }
        }
        for vault in self.names_in(registry)? {
            if Some(&vault) == default.as_ref() {
                continue;
            }
            let registered = self.layered_in(registry, &vault);
            let place = match &registered {
                Ok(registered) if !registered.entry.search => continue,
                Ok(registered) => VaultRef::Registered(&vault, registered),
                // The vault may have the secret, and its error shows its fault.
                Err(_) => VaultRef::In(&vault, registry),
            };
            match run(place, &mut NonInteractive) {
                Ok(found) => return Ok((vault, found)),
                Err(error) => search.miss(error, &vault)?,
            }
        }
        Err(search.missed.into_error(name))
    }
}

/// A search under way.
struct Search<'s> {
    host: &'s Host,
    registry: &'s OpenRegistry,
    name: &'s SecretName,
    unasked: OnUnavailable,
    missed: Missed,
}

impl Search<'_> {
    /// Decides the effect of a vault without the secret: the search continues, remembers the
    /// failure, or ends.
    fn miss(&mut self, error: Error, vault: &VaultName) -> Result<()> {
        match error {
            Error::NoSuchSecret { answers, .. } => {
                self.missed.searched.push(vault.clone());
                self.missed.answers.extend(answers);
            }
            // If no other vault could have the secret, the search is complete: return this error.
            error if self.is_alone(vault)? => return Err(error),
            error if self.unasked == OnUnavailable::Skip => {
                self.missed.failed.get_or_insert((vault.clone(), error));
            }
            error => {
                return Err(Error::SearchIncomplete {
                    name: self.name.clone(),
                    vault: vault.clone(),
                    source: Box::new(error),
                });
            }
        }
        Ok(())
    }

    /// Returns whether no other vault takes part. A vault with an unreadable registration does: it
    /// may have the secret.
    fn is_alone(&self, vault: &VaultName) -> Result<bool> {
        let is_searched = |other: &VaultName| {
            let registered = self.host.layered_in(self.registry, other);
            registered.map_or(true, |registered| registered.entry.search)
        };
        let names = self.host.names_in(self.registry)?;
        Ok(names.iter().all(|other| other == vault || !is_searched(other)))
    }
}

/// The vaults that do not have a secret, and their further answers.
#[derive(Default)]
struct Missed {
    searched: Vec<VaultName>,
    answers: Vec<(VaultName, Answer)>,
    /// The first unavailable vault.
    failed: Option<(VaultName, Error)>,
}

impl Missed {
    fn into_error(self, name: &SecretName) -> Error {
        let (name, Self { searched, answers, failed }) = (name.clone(), self);
        match failed {
            Some((vault, source)) => {
                Error::SearchIncomplete { name, vault, source: Box::new(source) }
            }
            None => Error::NoSuchSecret { name, searched, answers },
        }
    }
}

/// Adds the secret's name to a vault's error that lacks it.
fn named(error: Error, vault: &VaultName, name: &SecretName) -> Error {
    match &error {
        Error::Refused { answer, .. } if answer.kind() == ErrorKind::NotFound => {
            // The usual error text adds nothing.
            let says_more = answer.detail().is_some() || *answer != Answer::not_found();
            let answers = says_more.then(|| (vault.clone(), answer.clone())).into_iter().collect();
            Error::NoSuchSecret { name: name.clone(), searched: vec![vault.clone()], answers }
        }
        Error::Refused { answer, .. }
            if answer.kind() == ErrorKind::AlreadyExists && answer.detail().is_none() =>
        {
            Error::SecretExists { vault: vault.clone(), name: name.clone() }
        }
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keystead_plugin_api::ErrorDetail;

    #[test]
    fn only_plain_already_exists_becomes_secret_exists() {
        let vault = VaultName::parse("v").unwrap();
        let name = SecretName::parse("n").unwrap();
        let held =
            Answer::detailed(ErrorDetail::NameHeld, "`n` is removed and can be brought back");
        for (answer, code, text) in [
            (Answer::already_exists(), "E12.secret-exists", "n"),
            (Answer::conflict(), "E12.conflict", "another version"),
            (held, "E12.name-held", "`n` is removed and can be brought back"),
        ] {
            let error = named(Error::Refused { vault: vault.clone(), answer }, &vault, &name);
            assert_eq!(error.code(), code);
            assert!(error.to_string().contains(text), "{error}");
        }
    }

    #[test]
    fn missing_secret_error_keeps_vault_detail() {
        let vault = VaultName::parse("v").unwrap();
        let name = SecretName::parse("gone").unwrap();
        let until = "it was removed and can be brought back until\nFriday\u{1b}[2J";
        for (answer, text) in [
            (Answer::not_found(), "no secret `gone` in vault `v`"),
            (
                Answer::detailed(ErrorDetail::Recoverable, until),
                "no secret `gone` in vault `v`: it was removed and can be brought back until \
                 Friday\\u{1b}[2J",
            ),
            (
                Answer::detailed(ErrorDetail::NoSuchVersion, "it has no version 7"),
                "no secret `gone` in vault `v`: it has no version 7",
            ),
        ] {
            let error = named(Error::Refused { vault: vault.clone(), answer }, &vault, &name);
            assert_eq!((error.code(), error.to_string().as_str()), ("E12.no-such-secret", text));
        }
        let searched = vec![vault.clone(), VaultName::parse("w").unwrap()];
        let answers = vec![(vault, Answer::detailed(ErrorDetail::Recoverable, "it was removed"))];
        assert_eq!(
            Error::NoSuchSecret { name, searched, answers }.to_string(),
            "no secret `gone` in the vaults `v`, `w`; vault `v`: it was removed"
        );
    }
}

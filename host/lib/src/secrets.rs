//! What people do with secrets, over one vault or many: which vault is meant, in which
//! order they are asked, and what it means when one of them cannot answer.

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

/// Where a secret is looked for.
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
    /// In this vault.
    Vault(VaultName),
    /// In the default vault, then in the others by name. The first that has it answers.
    Search(OnUnavailable),
}

impl SearchScope {
    /// Returns a search that stops at a vault which cannot be asked.
    pub fn anywhere() -> Self {
        Self::Search(OnUnavailable::Fail)
    }
}

/// What a search does at a vault that is locked, broken or late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnUnavailable {
    /// It stops: what a later vault has under the same name is not the answer.
    Fail,
    /// It goes on: any vault's answer will do.
    Skip,
}

/// A secret, and where it was found.
#[derive(Debug)]
pub struct FoundSecret {
    /// The vault that has it.
    pub vault: VaultName,
    /// The secret.
    pub secret: Secret,
}

/// A secret without its value, and where it was found.
#[derive(Debug, Clone)]
pub struct ListedSecret {
    /// The vault that has it.
    pub vault: VaultName,
    /// What the vault tells of it.
    pub entry: Entry,
}

/// What a listing found.
#[derive(Debug)]
pub struct SecretListing {
    /// What there is, sorted by name, then by vault.
    pub entries: Vec<ListedSecret>,
    /// The vaults that could not be asked, and why.
    pub failed: Vec<(VaultName, Error)>,
}

/// A secret to be written.
#[derive(Debug)]
pub struct NewSecret {
    /// Its name.
    pub name: SecretName,
    /// The vault; `None` for the default one.
    pub vault: Option<VaultName>,
    /// Its value.
    pub value: Value,
    /// The one field of a map that `value` is for; the others stay.
    pub field: Option<NewField>,
    /// Its metadata, instead of all there was; `None` leaves it.
    pub metadata: Option<Metadata>,
    /// What to do when the name is there already, or is not.
    pub mode: WriteMode,
    /// Whether to write.
    pub run: RunMode,
}

impl FoundSecret {
    /// Returns one part of the value. It is that of exactly this name: a map's key, `user` and
    /// `password` of a credential, a member of JSON that is an object or of a text that is one. Or it
    /// is what a JSON pointer leads to (`/hosts/0`, RFC 6901), through maps, JSON and such texts.
    ///
    /// A JSON string is given as the text that it stands for.
    ///
    /// # Errors
    /// Why there is none. `null` is none.
    pub fn into_field(self, field: &str) -> std::result::Result<Value, NoField> {
        field::part(self.secret.value, field)
    }
}

impl Host {
    /// Returns a secret.
    ///
    /// # Errors
    /// [`Error::NoSuchSecret`] when every vault that was to be asked was asked and none has
    /// it; [`Error::SearchIncomplete`] when one of several could not be asked; what a named
    /// vault answers, or the only one there is.
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

    /// Returns what a vault tells of a secret besides its value.
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

    /// Returns what exactly this vault tells of a secret besides its value.
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

    /// Returns a vault other than this one that has a secret, of those that a search asks and that answer
    /// without a prompt.
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

    /// Asks vaults in order for the first answer.
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
        // The default vault first: the others are not even looked up if it has the secret.
        if let Some(vault) = &default {
            match run(VaultRef::In(vault, registry), ask) {
                Ok(found) => return Ok((vault.clone(), found)),
                // The caller named it, as it names one with [`SearchScope::Vault`].
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
                // It may be the one that has it, and says what is wrong with it.
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
    /// Decides what a vault without the secret means: the search goes on, remembers the failure, or
    /// ends.
    fn miss(&mut self, error: Error, vault: &VaultName) -> Result<()> {
        match error {
            Error::NoSuchSecret { answers, .. } => {
                self.missed.searched.push(vault.clone());
                self.missed.answers.extend(answers);
            }
            // Where no other vault could have it, nothing is incomplete: what it says is all.
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

    /// Whether no other vault takes part. A registration that cannot be read does: it may be the one
    /// that has it.
    fn is_alone(&self, vault: &VaultName) -> Result<bool> {
        let is_searched = |other: &VaultName| {
            let registered = self.host.layered_in(self.registry, other);
            registered.map_or(true, |registered| registered.entry.search)
        };
        let names = self.host.names_in(self.registry)?;
        Ok(names.iter().all(|other| other == vault || !is_searched(other)))
    }
}

/// The vaults that do not have a secret, and what they said of it beyond that.
#[derive(Default)]
struct Missed {
    searched: Vec<VaultName>,
    answers: Vec<(VaultName, Answer)>,
    /// The first that could not be asked.
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

/// Puts the secret's name where the vault's own words have none.
fn named(error: Error, vault: &VaultName, name: &SecretName) -> Error {
    match &error {
        Error::Refused { answer, .. } if answer.kind() == ErrorKind::NotFound => {
            // Its usual sentence says no more than that.
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

//! What people do with secrets, over one vault or many: which vault is meant, in which
//! order they are asked, and what it means when one of them cannot answer.

mod pattern;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use keystead_plugin_api::manifest::Capability;
use keystead_plugin_api::{
    ActRequest, Action, Credential, Entry, ErrorKind, GetRequest, ListRequest, Map, Metadata,
    Outcome, Secret, SecretName, SetRequest, Value, VaultName, WriteMode,
};

use crate::ask::{Ask, Nobody};
use crate::error::{Error, Result};
use crate::host::{Host, Run};
use crate::plugin::inspect::Kind;
use crate::registry::schema::{self, Base};
use pattern::Pattern;

/// How many empty pages in a row a listing may have: a vault that filters may well send
/// some; one that sends nothing else would keep its caller for ever.
const MAX_BARREN_PAGES: usize = 1_000;

/// Where a secret is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In this vault.
    Vault(VaultName),
    /// In the default vault, then in the others by name. The first that has it answers.
    Search(Unasked),
}

impl Place {
    /// Returns a search that stops at a vault which cannot be asked.
    pub fn anywhere() -> Self {
        Self::Search(Unasked::Stops)
    }
}

/// What a search does at a vault that is locked, broken or late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unasked {
    /// It stops: what a later vault has under the same name is not the answer.
    Stops,
    /// It goes on: any vault's answer will do.
    Skipped,
}

/// A secret, and where it was found.
#[derive(Debug)]
pub struct Found {
    /// The vault that has it.
    pub vault: VaultName,
    /// The secret.
    pub secret: Secret,
}

/// A secret without its value, and where it was found.
#[derive(Debug, Clone)]
pub struct Described {
    /// The vault that has it.
    pub vault: VaultName,
    /// What the vault tells of it.
    pub entry: Entry,
}

/// What a listing found.
#[derive(Debug)]
pub struct Listing {
    /// What there is, sorted by name, then by vault.
    pub entries: Vec<Described>,
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
    pub field: Option<String>,
    /// Its metadata, instead of all there was; `None` leaves it.
    pub metadata: Option<Metadata>,
    /// What to do when the name is there already, or is not.
    pub mode: WriteMode,
    /// Whether to write.
    pub run: Run,
}

impl Found {
    /// Returns one field of the value: a map's key, or `user` and `password` of a
    /// credential.
    ///
    /// # Errors
    /// The names of the fields there are, none for a value without fields.
    pub fn into_field(self, field: &str) -> std::result::Result<Value, Vec<String>> {
        match self.secret.value {
            Value::Credential(Credential { user, .. }) if field == "user" => Ok(Value::text(user)),
            Value::Credential(Credential { password, .. }) if field == "password" => {
                Ok(Value::Text(password))
            }
            Value::Credential(_) => Err(vec!["user".into(), "password".into()]),
            Value::Map(mut map) => match map.remove(field) {
                Some(value) => Ok(value),
                None => Err(map.iter().map(|(key, _)| key.to_owned()).collect()),
            },
            _ => Err(Vec::new()),
        }
    }
}

impl Host {
    /// Returns a secret.
    ///
    /// # Errors
    /// [`Error::NoSuchSecret`] when every vault that was to be asked was asked and none has
    /// it; [`Error::SearchIncomplete`] when one could not be asked; what a named vault
    /// answers.
    pub fn get(&self, name: &SecretName, place: &Place, ask: &mut dyn Ask) -> Result<Found> {
        let (vault, secret) = self.first(name, place, ask, &mut |vault, ask| {
            self.call(vault, ask, &mut |open, deadline| {
                open.get(&GetRequest::new(name.clone(), deadline))
            })
        })?;
        Ok(Found { vault, secret })
    }

    /// Returns what a vault tells of a secret besides its value.
    ///
    /// # Errors
    /// As [`Host::get`].
    pub fn describe(
        &self,
        name: &SecretName,
        place: &Place,
        ask: &mut dyn Ask,
    ) -> Result<Described> {
        let (vault, entry) = self.first(name, place, ask, &mut |vault, ask| {
            self.call(vault, ask, &mut |open, deadline| {
                open.describe(&GetRequest::new(name.clone(), deadline))
            })
        })?;
        Ok(Described { vault, entry })
    }

    /// Writes a secret, and returns the vault it went to.
    ///
    /// # Errors
    /// [`Error::NoDefaultVault`], [`Error::SecretExists`], or what the vault answers. What
    /// the vault cannot hold is refused before anything is written.
    pub fn set(&self, new: NewSecret, ask: &mut dyn Ask) -> Result<VaultName> {
        let vault = self.target(new.vault.as_ref())?;
        let kind = self.kind_to_write(&vault)?;
        let refuse = |what: String| Error::Refused {
            vault: vault.clone(),
            answer: keystead_plugin_api::Error::unsupported(what),
        };
        if !kind.capabilities.contains(&Capability::Write) {
            return Err(refuse("this vault cannot be written to".into()));
        }
        let has_metadata = new.metadata.as_ref().is_some_and(|metadata| !metadata.is_empty());
        if has_metadata && !kind.capabilities.contains(&Capability::Metadata) {
            return Err(refuse("this vault keeps no metadata".into()));
        }
        let value = match &new.field {
            None => new.value,
            Some(field) => self.with_field(&vault, &new.name, field, new.value, ask)?,
        };
        if !kind.values.contains(&value.kind()) {
            return Err(refuse(format!("this vault cannot hold a value of kind {}", value.kind())));
        }
        // Limits are the same for every vault, and are met before anything is sent.
        let refuse_value = |answer| Error::Refused { vault: vault.clone(), answer };
        value.encode().map_err(refuse_value)?;
        if new.run == Run::Dry {
            self.check_mode(&vault, &new.name, new.mode, ask)?;
            return Ok(vault);
        }
        let result = self.call(&vault, ask, &mut |open, deadline| {
            let mut request = SetRequest::new(new.name.clone(), value.duplicate(), deadline);
            request.metadata = new.metadata.clone();
            request.mode = new.mode;
            open.set(request)
        });
        result.map_err(|error| named(error, &vault, &new.name))?;
        Ok(vault)
    }

    /// Removes a secret, and returns the vault it was in.
    ///
    /// # Errors
    /// [`Error::NoDefaultVault`], [`Error::NoSuchSecret`], or what the vault answers.
    pub fn remove(
        &self,
        name: &SecretName,
        vault: Option<&VaultName>,
        run: Run,
        ask: &mut dyn Ask,
    ) -> Result<VaultName> {
        let vault = self.target(vault)?;
        let result = self.call(&vault, ask, &mut |open, deadline| {
            let request = GetRequest::new(name.clone(), deadline);
            match run {
                Run::Real => open.remove(&request),
                Run::Dry => open.describe(&request).map(drop),
            }
        });
        result.map_err(|error| named(error, &vault, name))?;
        Ok(vault)
    }

    /// Returns what the vaults have, without any value. A vault that cannot be asked hides
    /// no other.
    ///
    /// # Errors
    /// What is wrong with the registry; for a named vault, what it answers.
    pub fn list(
        &self,
        pattern: Option<&str>,
        vault: Option<&VaultName>,
        ask: &mut dyn Ask,
    ) -> Result<Listing> {
        let mut listing = Listing { entries: Vec::new(), failed: Vec::new() };
        if let Some(vault) = vault {
            listing.entries = self.list_one(pattern, vault, ask)?;
        } else {
            let default = self.default_vault()?;
            let (prompting, others): (Vec<_>, Vec<_>) =
                self.names()?.into_iter().partition(|name| Some(name) == default.as_ref());
            // At the same time, each with its own deadline; only the default may prompt.
            let mut results: Vec<(VaultName, Result<Vec<Described>>)> =
                std::thread::scope(|scope| {
                    let asked: Vec<_> = others
                        .into_iter()
                        .map(|name| {
                            let vault = name.clone();
                            let list = move || self.list_one(pattern, &vault, &mut Nobody);
                            (name, std::thread::Builder::new().spawn_scoped(scope, list))
                        })
                        .collect();
                    let mut results = Vec::new();
                    for name in prompting {
                        let found = self.list_one(pattern, &name, ask);
                        results.push((name, found));
                    }
                    results.extend(asked.into_iter().map(|(name, thread)| {
                        let found = match thread {
                            Ok(thread) => thread
                                .join()
                                .expect("`list_one` does not panic: plugins are guarded"),
                            // No thread is left to be had: one after another, then.
                            Err(_) => self.list_one(pattern, &name, &mut Nobody),
                        };
                        (name, found)
                    }));
                    results
                });
            results.sort_by(|a, b| a.0.cmp(&b.0));
            for (name, result) in results {
                match result {
                    Ok(entries) => listing.entries.extend(entries),
                    Err(error) => listing.failed.push((name, error)),
                }
            }
        }
        listing
            .entries
            .sort_by(|a, b| a.entry.name.cmp(&b.entry.name).then_with(|| a.vault.cmp(&b.vault)));
        Ok(listing)
    }

    /// Returns what only this vault can do.
    ///
    /// # Errors
    /// What the vault answers.
    pub fn actions(&self, vault: &VaultName, ask: &mut dyn Ask) -> Result<Vec<Action>> {
        self.call(vault, ask, &mut |open, deadline| open.actions(deadline))
    }

    /// Does one of a vault's actions, with parameters as they were typed; relative paths
    /// stand on `folder`.
    ///
    /// # Errors
    /// [`Error::NoSuchAction`], [`Error::Parameters`], or what the vault answers.
    pub fn act(
        &self,
        vault: &VaultName,
        action: &str,
        typed: &BTreeMap<String, String>,
        folder: &Path,
        ask: &mut dyn Ask,
    ) -> Result<Outcome> {
        let actions = self.actions(vault, ask)?;
        let Some(found) = actions.iter().find(|one| one.id == action) else {
            return Err(Error::NoSuchAction {
                vault: vault.clone(),
                action: action.to_owned(),
                actions: actions.into_iter().map(|one| one.id).collect(),
            });
        };
        let what = format!("action `{action}`");
        let home = self.home();
        let base = Base { folder, home: home.as_deref() };
        let settings = schema::validate(&found.parameters, typed, base)
            .map_err(|faults| Error::Parameters { what: what.clone(), faults })?;
        // References are followed before the vault is held: they may lead to it.
        let parameters = self.parameters(&settings, &found.parameters, &what)?;
        let mut request = ActRequest::new(action, parameters, self.deadline());
        self.call(vault, ask, &mut |open, deadline| {
            request.deadline = deadline;
            open.act(&request)
        })
    }

    /// Asks vaults in order for the first answer.
    fn first<T>(
        &self,
        name: &SecretName,
        place: &Place,
        ask: &mut dyn Ask,
        run: &mut dyn FnMut(&VaultName, &mut dyn Ask) -> Result<T>,
    ) -> Result<(VaultName, T)> {
        let unasked = match place {
            Place::Vault(vault) => {
                let result = run(vault, ask).map_err(|error| named(error, vault, name));
                return Ok((vault.clone(), result?));
            }
            Place::Search(unasked) => *unasked,
        };
        let default = self.default_vault()?;
        let mut searched = Vec::new();
        let mut failed = None;
        // The default vault first: the others are not even looked up if it has the secret.
        if let Some(vault) = &default {
            match run(vault, ask) {
                Ok(found) => return Ok((vault.clone(), found)),
                Err(error) => self.miss(error, vault, &mut searched, &mut failed, unasked, name)?,
            }
        }
        for vault in self.names()? {
            if Some(&vault) == default.as_ref() || !self.is_searched(&vault) {
                continue;
            }
            match run(&vault, &mut Nobody) {
                Ok(found) => return Ok((vault, found)),
                Err(error) => {
                    self.miss(error, &vault, &mut searched, &mut failed, unasked, name)?
                }
            }
        }
        Err(match failed {
            Some((vault, source)) => {
                Error::SearchIncomplete { name: name.clone(), vault, source: Box::new(source) }
            }
            None => Error::NoSuchSecret { name: name.clone(), searched },
        })
    }

    /// Decides what a vault without the secret means for a search: it goes on, remembers
    /// the failure, or ends.
    fn miss(
        &self,
        error: Error,
        vault: &VaultName,
        searched: &mut Vec<VaultName>,
        failed: &mut Option<(VaultName, Error)>,
        unasked: Unasked,
        name: &SecretName,
    ) -> Result<()> {
        match named(error, vault, name) {
            Error::NoSuchSecret { .. } => searched.push(vault.clone()),
            error if unasked == Unasked::Skipped => {
                failed.get_or_insert((vault.clone(), error));
            }
            error => {
                return Err(Error::SearchIncomplete {
                    name: name.clone(),
                    vault: vault.clone(),
                    source: Box::new(error),
                });
            }
        }
        Ok(())
    }

    /// A registration that cannot be read takes part: it may be the one that has it.
    fn is_searched(&self, vault: &VaultName) -> bool {
        self.entry(vault).map_or(true, |entry| entry.search)
    }

    /// Returns the kind of a vault, or the error that it answers every request with.
    fn kind_to_write(&self, vault: &VaultName) -> Result<Kind> {
        self.entry(vault).and_then(|entry| self.kind(&entry)).map_err(|error| match error {
            Error::NoSuchVault { .. } => error,
            error => Error::Faulty { vault: vault.clone(), source: Arc::new(error) },
        })
    }

    /// Returns the vault that a write goes to.
    fn target(&self, named: Option<&VaultName>) -> Result<VaultName> {
        if let Some(name) = named {
            return Ok(name.clone());
        }
        match self.default_vault()? {
            Some(name) => Ok(name),
            None => Err(Error::NoDefaultVault { vaults: self.names()? }),
        }
    }

    fn list_one(
        &self,
        pattern: Option<&str>,
        vault: &VaultName,
        ask: &mut dyn Ask,
    ) -> Result<Vec<Described>> {
        let wanted = pattern.map(Pattern::new);
        let mut entries = Vec::new();
        let mut after: Option<String> = None;
        let mut cursors = std::collections::HashSet::new();
        let mut barren = 0;
        loop {
            let page = self.call(vault, ask, &mut |open, deadline| {
                let mut request = ListRequest::new(deadline);
                request.after.clone_from(&after);
                request.filter = pattern.map(str::to_owned);
                let page = open.list(&request)?;
                if page.entries.len() > request.limit {
                    return Err(keystead_plugin_api::Error::internal(format!(
                        "a page has {} entries; {} were asked for",
                        page.entries.len(),
                        request.limit
                    )));
                }
                match &page.next {
                    Some(next) if cursors.contains(next) => {
                        Err(keystead_plugin_api::Error::internal(
                            "the cursor of a listing stands still",
                        ))
                    }
                    Some(_) if page.entries.is_empty() && barren == MAX_BARREN_PAGES => {
                        Err(keystead_plugin_api::Error::internal(format!(
                            "{MAX_BARREN_PAGES} pages of a listing in a row were empty"
                        )))
                    }
                    _ => Ok(page),
                }
            })?;
            barren = if page.entries.is_empty() { barren + 1 } else { 0 };
            let found = page.entries.into_iter();
            let found = found.filter(|entry| match &wanted {
                Some(wanted) => wanted.matches(entry.name.as_str()),
                None => true,
            });
            entries.extend(found.map(|entry| Described { vault: vault.clone(), entry }));
            match page.next {
                None => return Ok(entries),
                Some(next) => {
                    cursors.insert(next.clone());
                    after = Some(next);
                }
            }
        }
    }

    /// Returns the secret's map with one field changed; a secret that is not there becomes
    /// a map of that field alone.
    fn with_field(
        &self,
        vault: &VaultName,
        name: &SecretName,
        field: &str,
        value: Value,
        ask: &mut dyn Ask,
    ) -> Result<Value> {
        let mut map = match self.get(name, &Place::Vault(vault.clone()), ask) {
            Ok(found) => match found.secret.value {
                Value::Map(map) => map,
                _ => {
                    let (vault, name) = (vault.clone(), name.clone());
                    return Err(Error::NotAMap { vault, name });
                }
            },
            Err(Error::NoSuchSecret { .. }) => Map::new(),
            Err(error) => return Err(error),
        };
        map.insert(field, value);
        Ok(Value::Map(map))
    }

    /// Says what a write would say to the name being there or not.
    fn check_mode(
        &self,
        vault: &VaultName,
        name: &SecretName,
        mode: WriteMode,
        ask: &mut dyn Ask,
    ) -> Result<()> {
        let there = match self.describe(name, &Place::Vault(vault.clone()), ask) {
            Ok(_) => true,
            Err(Error::NoSuchSecret { .. }) => false,
            Err(error) => return Err(error),
        };
        let (vault, name) = (vault.clone(), name.clone());
        match mode {
            WriteMode::CreateOnly if there => Err(Error::SecretExists { vault, name }),
            WriteMode::Replace if !there => {
                Err(Error::NoSuchSecret { name, searched: vec![vault] })
            }
            _ => Ok(()),
        }
    }
}

/// Puts the secret's name where the vault's own words have none.
fn named(error: Error, vault: &VaultName, name: &SecretName) -> Error {
    match &error {
        Error::Refused { answer, .. } if answer.kind() == ErrorKind::NotFound => {
            Error::NoSuchSecret { name: name.clone(), searched: vec![vault.clone()] }
        }
        Error::Refused { answer, .. } if answer.kind() == ErrorKind::AlreadyExists => {
            Error::SecretExists { vault: vault.clone(), name: name.clone() }
        }
        _ => error,
    }
}

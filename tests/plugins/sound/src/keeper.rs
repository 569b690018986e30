//! A vault that stores its secrets as long as it is open. Tests can replace parts of its behaviour.

use std::collections::BTreeMap;

use keystead_plugin_api::manifest::{Capability, Kind, Manifest, NameRule};
use keystead_plugin_api::{
    Entry, Error, GetRequest, ListRequest, MetadataWritten, NameEquality, Page, RemoveRequest,
    Removed, Result, Rules, RulesRequest, Secret, SecretName, SetMetadataRequest, SetRequest,
    ValueKind, Vault, Written,
};

/// A correct vault, with metadata and every kind of value.
pub struct Keeper {
    secrets: BTreeMap<String, (SecretName, Secret)>,
    sets: usize,
    key: fn(&str) -> String,
    names: NameEquality,
    before_get: fn(&str) -> Result<()>,
    before_set: fn(usize, &mut SetRequest) -> Result<()>,
}

impl Default for Keeper {
    fn default() -> Self {
        Self {
            secrets: BTreeMap::new(),
            sets: 0,
            key: str::to_owned,
            names: NameEquality::Exact,
            before_get: |_| Ok(()),
            before_set: |_, _| Ok(()),
        }
    }
}

impl Keeper {
    /// Returns the manifest for this vault.
    pub const fn manifest(id: &'static str, kinds: &'static [Kind]) -> Manifest {
        crate::manifest(id).kinds(kinds)
    }

    /// Returns this vault's kind.
    pub const fn kind(names: NameRule) -> Kind {
        crate::kind()
            .can(&[Capability::Write, Capability::Metadata])
            .values(&[ValueKind::Text, ValueKind::Bytes, ValueKind::Credential, ValueKind::Map])
            .names(names)
    }

    /// Treats names with equal keys as one secret.
    pub fn key(mut self, key: fn(&str) -> String) -> Self {
        self.key = key;
        self
    }

    /// Sets the name rule that the vault reports.
    pub fn names(mut self, names: NameEquality) -> Self {
        self.names = names;
        self
    }

    /// Calls this before the vault returns a secret.
    pub fn before_get(mut self, run: fn(&str) -> Result<()>) -> Self {
        self.before_get = run;
        self
    }

    /// Calls this before the vault stores a secret; the number of the write counts from 1.
    pub fn before_set(mut self, run: fn(usize, &mut SetRequest) -> Result<()>) -> Self {
        self.before_set = run;
        self
    }

    /// Returns the vault in the type that `open` returns.
    pub fn boxed(self) -> Box<dyn Vault> {
        Box::new(self)
    }
}

impl Vault for Keeper {
    fn rules(&mut self, _: &RulesRequest) -> Result<Rules> {
        Ok(Rules::new(self.names))
    }

    fn get(&mut self, request: &GetRequest) -> Result<Secret> {
        (self.before_get)(request.name.as_str())?;
        let key = (self.key)(request.name.as_str());
        let (_, secret) = self.secrets.get(&key).ok_or_else(Error::not_found)?;
        Ok(Secret::with_metadata(secret.value.duplicate(), secret.metadata.clone()))
    }

    fn list(&mut self, _: &ListRequest) -> Result<Page> {
        let entry = |(name, secret): &(SecretName, Secret)| {
            // Some vaults cannot determine a kind without opening the value.
            Entry::new(name.clone(), None, secret.metadata.clone())
        };
        Ok(Page::new(self.secrets.values().map(entry).collect(), None))
    }

    fn set(&mut self, mut request: SetRequest) -> Result<Written> {
        self.sets += 1;
        (self.before_set)(self.sets, &mut request)?;
        let key = (self.key)(request.name.as_str());
        let old = self.secrets.get(&key);
        request.mode.check(old.is_some())?;
        let kept = old.map(|old| old.1.metadata.clone()).unwrap_or_default();
        let secret = Secret::with_metadata(request.value, request.metadata.unwrap_or(kept));
        self.secrets.insert(key, (request.name, secret));
        Ok(Written::new())
    }

    fn remove(&mut self, request: &RemoveRequest) -> Result<Removed> {
        let key = (self.key)(request.name.as_str());
        self.secrets.remove(&key).map(|_| Removed::new()).ok_or_else(Error::not_found)
    }

    fn set_metadata(&mut self, request: SetMetadataRequest) -> Result<MetadataWritten> {
        let key = (self.key)(request.name.as_str());
        self.secrets.get_mut(&key).ok_or_else(Error::not_found)?.1.metadata = request.metadata;
        Ok(MetadataWritten::new())
    }
}

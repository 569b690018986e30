//! Changing secrets: what a vault cannot hold is refused before anything is written.

use std::sync::Arc;

use keystead_plugin_api::manifest::Capability;
use keystead_plugin_api::{
    DescribeRequest, Map, Metadata, RemoveRequest, SecretName, SetRequest, Value, VaultName,
    WriteMode,
};

use super::{NewSecret, Place, named};
use crate::ask::Ask;
use crate::error::{Error, Result};
use crate::host::{Host, Run};
use crate::plugin::inspect::Kind;

impl Host {
    /// Writes a secret, and returns the vault it went to.
    ///
    /// # Errors
    /// [`Error::NoDefaultVault`], [`Error::SecretExists`], or what the vault answers. What
    /// the vault cannot hold is refused before anything is written.
    pub fn set(&self, new: NewSecret, ask: &mut dyn Ask) -> Result<VaultName> {
        let vault = self.target(new.vault.as_ref())?;
        let kind = self.kind_to_write(&vault)?;
        can_write(&vault, &kind, new.metadata.as_ref())?;
        let value = match &new.field {
            None => new.value,
            Some(field) => self.with_field(&vault, &new.name, field, new.value, ask)?,
        };
        can_hold(&vault, &kind, &value)?;
        if new.run == Run::Dry {
            self.check_mode(&vault, &new.name, new.mode, ask)?;
            return Ok(vault);
        }
        let result = self.call(&vault, ask, &mut |open, deadline| {
            let mut request = SetRequest::new(new.name.clone(), value.duplicate(), deadline);
            request.metadata = new.metadata.clone();
            request.mode = new.mode;
            open.set(request).map(drop)
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
            let name = name.clone();
            match run {
                Run::Real => open.remove(&RemoveRequest::new(name, deadline)).map(drop),
                Run::Dry => open.describe(&DescribeRequest::new(name, deadline)).map(drop),
            }
        });
        result.map_err(|error| named(error, &vault, name))?;
        Ok(vault)
    }

    /// Returns the kind of a vault, or the error that it answers every request with.
    pub(crate) fn kind_to_write(&self, vault: &VaultName) -> Result<Kind> {
        self.entry(vault).and_then(|entry| self.kind(&entry)).map_err(|error| match error {
            Error::NoSuchVault { .. } => error,
            error => Error::Faulty { vault: vault.clone(), source: Arc::new(error) },
        })
    }

    /// Returns the vault that a write goes to.
    pub(crate) fn target(&self, named: Option<&VaultName>) -> Result<VaultName> {
        if let Some(name) = named {
            return Ok(name.clone());
        }
        match self.default_vault()? {
            Some(name) => Ok(name),
            None => Err(Error::NoDefaultVault { vaults: self.names()? }),
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

/// Refuses a write to a vault of this kind that cannot be written to, or keeps no metadata.
pub(super) fn can_write(vault: &VaultName, kind: &Kind, metadata: Option<&Metadata>) -> Result<()> {
    if !kind.capabilities.contains(&Capability::Write) {
        return Err(unsupported(vault, "this vault cannot be written to".into()));
    }
    let has_metadata = metadata.is_some_and(|metadata| !metadata.is_empty());
    if has_metadata && !kind.capabilities.contains(&Capability::Metadata) {
        return Err(unsupported(vault, "this vault keeps no metadata".into()));
    }
    Ok(())
}

/// Refuses a value that a vault of this kind cannot hold, or that exceeds a limit of every
/// vault, and returns how many bytes its byte form has.
pub(super) fn can_hold(vault: &VaultName, kind: &Kind, value: &Value) -> Result<usize> {
    if !kind.values.contains(&value.kind()) {
        let what = format!("this vault cannot hold a value of kind {}", value.kind());
        return Err(unsupported(vault, what));
    }
    value.encoded_len().map_err(|answer| Error::Refused { vault: vault.clone(), answer })
}

fn unsupported(vault: &VaultName, what: String) -> Error {
    let answer = keystead_plugin_api::Error::unsupported(what);
    Error::Refused { vault: vault.clone(), answer }
}

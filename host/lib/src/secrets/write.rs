//! Changes to secrets: the host rejects values that a vault cannot hold before it writes.

use std::sync::Arc;

use keystead_plugin_api::manifest::Capability;
use keystead_plugin_api::{
    Error as Answer, Map, Metadata, RemoveRequest, Secret, SecretName, SetRequest, Value,
    ValueKind, VaultName, WriteMode,
};

use super::field::{self, Misfit, NewField};
use super::metadata::check_keys;
use super::{NewSecret, named};
use crate::error::{Error, Result};
use crate::host::{Host, Prepared, RunMode, VaultRef};
use crate::plugin::inspect::ParsedKind;
use crate::prompter::Prompter;
use crate::registry::OpenRegistry;

impl Host {
    /// Writes a secret, and returns its vault.
    ///
    /// # Errors
    /// [`Error::NoDefaultVault`], [`Error::SecretExists`], or the vault's error. The host rejects a
    /// value that the vault cannot hold before it writes.
    ///
    /// # Examples
    /// ```no_run
    /// # fn example(host: &keystead::Host) -> Result<(), keystead::Error> {
    /// use keystead::api::{SecretName, Value, WriteMode};
    /// use keystead::{NewSecret, NonInteractive, RunMode};
    ///
    /// let new = NewSecret {
    ///     name: SecretName::parse("db/password").expect("it is a name"),
    ///     vault: None,
    ///     value: Value::text("correct horse"),
    ///     field: None,
    ///     metadata: None,
    ///     mode: WriteMode::Upsert,
    ///     run: RunMode::Apply,
    /// };
    /// let vault = host.set(new, &mut NonInteractive)?;
    /// println!("written to {vault}");
    /// # Ok(())
    /// # }
    /// ```
    pub fn set(&self, new: NewSecret, ask: &mut dyn Prompter) -> Result<VaultName> {
        let prepared = self.prepare_target(new.vault.as_ref())?;
        let vault = prepared.name.clone();
        can_write(&vault, prepared.kind(), new.metadata.as_ref())?;
        self.check_metadata_keys(&prepared, &new, ask)?;
        if let Some(field) = &new.field {
            self.set_field(&prepared, &new, field, ask)?;
            return Ok(vault);
        }
        can_hold(&vault, prepared.kind(), &new.value)?;
        if new.run == RunMode::DryRun {
            self.check_mode(&prepared, &new.name, new.mode, ask)?;
            return Ok(vault);
        }
        let how = (new.mode, None);
        self.exclusively(&prepared, &[&new.name], ask, &mut |ask| {
            self.write(&prepared, &new, &new.value, how.clone(), ask)
        })?;
        Ok(vault)
    }

    /// Rejects metadata under a key that the vault reports as read-only for this secret. The vault
    /// itself accepts or rejects keys that it does not report yet.
    fn check_metadata_keys(
        &self,
        prepared: &Arc<Prepared>,
        new: &NewSecret,
        ask: &mut dyn Prompter,
    ) -> Result<()> {
        let Some(given) = new.metadata.as_ref().filter(|metadata| !metadata.is_empty()) else {
            return Ok(());
        };
        // The write reports any fault of the secret or the vault.
        let Ok(found) = self.described(prepared.into(), &new.name, ask) else {
            return Ok(());
        };
        check_keys(&found.metadata, given.iter().map(|(key, _)| key))
            .map_err(|answer| Error::Refused { vault: prepared.name.clone(), answer })
    }

    /// Writes a value by the mode; with `if_version`, only in place of this version.
    fn write(
        &self,
        prepared: &Arc<Prepared>,
        new: &NewSecret,
        value: &Value,
        (mode, if_version): (WriteMode, Option<String>),
        ask: &mut dyn Prompter,
    ) -> Result<()> {
        let result = self.call(prepared, ask, &mut |open, deadline| {
            let mut request = SetRequest::new(new.name.clone(), value.duplicate(), deadline);
            request.metadata = new.metadata.clone();
            request.mode = mode;
            request.if_version.clone_from(&if_version);
            open.set(request).map(drop)
        });
        result.map_err(|error| named(error, &prepared.name, &new.name))
    }

    /// Removes a secret, and returns its vault.
    ///
    /// # Errors
    /// [`Error::NoDefaultVault`], [`Error::NoSuchSecret`], or the vault's error.
    ///
    /// # Examples
    /// ```no_run
    /// # fn example(host: &keystead::Host) -> Result<(), keystead::Error> {
    /// use keystead::api::SecretName;
    /// use keystead::{NonInteractive, RunMode};
    ///
    /// let name = SecretName::parse("db/password").expect("it is a name");
    /// host.remove(&name, None, RunMode::Apply, &mut NonInteractive)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn remove(
        &self,
        name: &SecretName,
        vault: Option<&VaultName>,
        run: RunMode,
        ask: &mut dyn Prompter,
    ) -> Result<VaultName> {
        let registry = Arc::new(self.registry().once());
        let vault = self.target_in(&registry, vault)?;
        if run == RunMode::DryRun {
            self.described(VaultRef::In(&vault, &registry), name, ask)?;
            return Ok(vault);
        }
        let prepared = self.prepare_in(&registry, &vault)?;
        self.exclusively(&prepared, &[name], ask, &mut |ask| {
            let removed = self.call(&prepared, ask, &mut |open, deadline| {
                open.remove(&RemoveRequest::new(name.clone(), deadline)).map(drop)
            });
            removed.map_err(|error| named(error, &vault, name))
        })?;
        Ok(vault)
    }

    /// Returns the vault that a write goes to.
    pub(crate) fn target(&self, named: Option<&VaultName>) -> Result<VaultName> {
        self.target_in(&self.registry().once(), named)
    }

    fn target_in(&self, registry: &OpenRegistry, named: Option<&VaultName>) -> Result<VaultName> {
        if let Some(name) = named {
            return Ok(name.clone());
        }
        match self.default_in(registry)? {
            Some(name) => Ok(name),
            None => Err(Error::NoDefaultVault { vaults: self.names_in(registry)? }),
        }
    }

    /// Prepares the vault that a write goes to.
    pub(super) fn prepare_target(&self, named: Option<&VaultName>) -> Result<Arc<Prepared>> {
        let registry = self.registry().once();
        self.prepare_in(&registry, &self.target_in(&registry, named)?)
    }

    /// Changes one field of a secret's map, and keeps concurrent changes to other fields. A missing
    /// secret becomes a map of that field alone.
    fn set_field(
        &self,
        prepared: &Arc<Prepared>,
        new: &NewSecret,
        field: &NewField,
        ask: &mut dyn Prompter,
    ) -> Result<()> {
        let vault = &prepared.name;
        self.atomically(prepared, &new.name, new.run, ask, &mut |guard, ask| {
            let (map, version, mode) = match self.read(prepared.into(), &new.name, ask) {
                Ok(Secret { value: Value::Map(map), version, .. }) => {
                    (map, version, WriteMode::Replace)
                }
                Ok(_) => {
                    let (vault, name) = (vault.clone(), new.name.clone());
                    return Err(Error::NotAMap { vault, name });
                }
                Err(Error::NoSuchSecret { .. }) => (Map::new(), None, WriteMode::CreateOnly),
                Err(error) => return Err(error),
            };
            let value = field::changed(&map, field, &new.value).map_err(|misfit| {
                let (vault, name, field) = (vault.clone(), new.name.clone(), field.name.clone());
                match misfit {
                    Misfit::Type(present) => Error::FieldType { vault, name, field, present },
                    Misfit::Pointer => Error::FieldPointer { vault, name, field },
                }
            })?;
            let map = field::put(map, &field.name, value);
            let value = Value::Map(map);
            can_hold(vault, prepared.kind(), &value)?;
            if new.run == RunMode::DryRun {
                return Ok(());
            }
            let version = match mode {
                WriteMode::CreateOnly => None,
                _ => guard.version(vault, version)?,
            };
            let written = self.write(prepared, new, &value, (mode, version), ask);
            written.map_err(|error| match error {
                // The secret was created or removed since it was read.
                Error::SecretExists { .. } | Error::NoSuchSecret { .. } => {
                    Error::Refused { vault: vault.clone(), answer: Answer::conflict() }
                }
                error => error,
            })
        })
    }

    /// Checks that a write of this mode fits whether the name exists.
    fn check_mode(
        &self,
        prepared: &Arc<Prepared>,
        name: &SecretName,
        mode: WriteMode,
        ask: &mut dyn Prompter,
    ) -> Result<()> {
        let there = match self.described(prepared.into(), name, ask) {
            Ok(_) => true,
            Err(Error::NoSuchSecret { .. }) => false,
            Err(error) => return Err(error),
        };
        let (vault, name) = (prepared.name.clone(), name.clone());
        match mode {
            WriteMode::CreateOnly if there => Err(Error::SecretExists { vault, name }),
            WriteMode::Replace if !there => {
                Err(Error::NoSuchSecret { name, searched: vec![vault], answers: vec![] })
            }
            _ => Ok(()),
        }
    }
}

/// Rejects a write to a vault of this kind that is not writable, or keeps no metadata.
pub(super) fn can_write(
    vault: &VaultName,
    kind: &ParsedKind,
    metadata: Option<&Metadata>,
) -> Result<()> {
    if !kind.capabilities.contains(&Capability::Write) {
        return Err(unsupported(vault, "this vault cannot be written to".into()));
    }
    let has_metadata = metadata.is_some_and(|metadata| !metadata.is_empty());
    if has_metadata && !kind.capabilities.contains(&Capability::Metadata) {
        return Err(unsupported(vault, "this vault keeps no metadata".into()));
    }
    Ok(())
}

/// Rejects a value that a vault of this kind cannot hold, or that exceeds a limit of every vault.
/// Returns the length of its byte form.
pub(super) fn can_hold(vault: &VaultName, kind: &ParsedKind, value: &Value) -> Result<usize> {
    if let Some(what) = unfit(&kind.values, value) {
        return Err(unsupported(vault, what));
    }
    value.encoded_len().map_err(|answer| Error::Refused { vault: vault.clone(), answer })
}

/// Returns why a vault that holds these kinds of value cannot hold this one.
pub fn unfit(kinds: &[ValueKind], value: &Value) -> Option<String> {
    let kind = value.kind();
    if !kinds.contains(&kind) {
        return Some(format!("this vault cannot hold a value of kind {kind}"));
    }
    // A plugin that is older than JSON values does not know them in a map either.
    (!kinds.contains(&ValueKind::Json) && has_json(value))
        .then(|| "this vault cannot hold JSON, which a field of the map is".to_owned())
}

fn has_json(value: &Value) -> bool {
    match value {
        Value::Json(_) => true,
        Value::Map(map) => map.iter().any(|(_, value)| has_json(value)),
        _ => false,
    }
}

fn unsupported(vault: &VaultName, what: String) -> Error {
    let answer = keystead_plugin_api::Error::unsupported(what);
    Error::Refused { vault: vault.clone(), answer }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vault_without_json_rejects_map_with_json() {
        let map = |value: Value| {
            let mut map = Map::new();
            map.insert("a", value);
            Value::Map(map)
        };
        let json = || Value::json("5").unwrap();
        let old = [ValueKind::Text, ValueKind::Map];
        assert_eq!(unfit(&old, &map(Value::text("5"))), None);
        assert_eq!(unfit(ValueKind::ALL, &map(map(json()))), None);
        for value in [map(json()), map(map(json())), json(), Value::bytes(Vec::new())] {
            let why = unfit(&old, &value).unwrap();
            assert!(why.starts_with("this vault cannot hold"), "{why}");
        }
    }
}

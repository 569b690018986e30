//! Changes a secret's metadata while its value stays.

use keystead_plugin_api::manifest::Capability;
use keystead_plugin_api::{Metadata, SecretName, SetMetadataRequest, VaultName};

use crate::error::{Error, Result};
use crate::host::{Host, RunMode};
use crate::prompter::Prompter;
use crate::secrets::named;

/// A change to a secret's metadata.
#[derive(Debug, Clone)]
pub struct Change {
    /// The secret's name.
    pub name: SecretName,
    /// The vault; `None` for the default vault.
    pub vault: Option<VaultName>,
    /// The edit to apply.
    pub edit: MetadataEdit,
    /// Whether to write or only to check.
    pub run: RunMode,
}

/// An edit of metadata. Keys that the vault reports as read-only stay in any case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MetadataEdit {
    /// Sets these keys to these values; other keys stay.
    Merge(Metadata),
    /// Replaces all metadata except the read-only keys.
    Replace(Metadata),
    /// Removes these keys; other keys stay.
    Remove(Vec<String>),
    /// Removes all keys that are not read-only.
    Clear,
}

/// Result of a change.
#[derive(Debug, Clone)]
pub struct Changed {
    /// The vault that has the secret.
    pub vault: VaultName,
    /// The new metadata, without the read-only keys.
    pub metadata: Metadata,
    /// Whether the metadata differs from before. If not, nothing was written.
    pub differs: bool,
    /// Keys to remove that did not exist.
    pub missing: Vec<String>,
}

impl MetadataEdit {
    /// Returns the changed metadata, and the keys that were missing.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](keystead_plugin_api::ErrorKind::Invalid) above the limits or for a
    /// read-only key; [`ErrorKind::Unsupported`](keystead_plugin_api::ErrorKind::Unsupported) if
    /// unknown metadata would get lost.
    fn apply(&self, metadata: &Metadata) -> keystead_plugin_api::Result<(Metadata, Vec<String>)> {
        match self {
            Self::Merge(given) | Self::Replace(given) => {
                given.check_writable()?;
                check_keys(metadata, given.iter().map(|(key, _)| key))?;
            }
            Self::Remove(keys) => check_keys(metadata, keys.iter().map(String::as_str))?,
            Self::Clear => {}
        }
        let mut new = metadata.writable();
        let mut missing = Vec::new();
        match self {
            Self::Merge(more) => {
                // Remove replaced keys first, so that only the result counts.
                for (key, _) in more.iter() {
                    new.remove(key);
                }
                for (key, value) in more.iter() {
                    new.insert(key, value.clone())?;
                }
            }
            Self::Replace(all) => new = all.clone(),
            Self::Remove(keys) => {
                for key in keys {
                    new.remove(key);
                    if metadata.get(key).is_none() && !missing.contains(key) {
                        missing.push(key.clone());
                    }
                }
            }
            Self::Clear => new = Metadata::new(),
        }
        new.check_complete()?;
        Ok((new, missing))
    }
}

/// Checks that none of these keys is read-only in a secret's metadata.
pub(crate) fn check_keys<'k>(
    metadata: &Metadata,
    mut keys: impl Iterator<Item = &'k str>,
) -> keystead_plugin_api::Result<()> {
    match keys.find(|key| metadata.is_read_only(key)) {
        Some(key) => Err(keystead_plugin_api::Error::invalid(format!(
            "the metadata `{key}` is read-only: the vault itself reports it"
        ))),
        None => Ok(()),
    }
}

impl Host {
    /// Changes a secret's metadata. Its value is neither read nor written.
    ///
    /// The host reads the metadata, then writes it as a whole. If another writer came in between,
    /// the host makes the change anew. In a vault without the capability `conditional` that holds
    /// among the processes of one user.
    ///
    /// # Errors
    /// That the vault keeps no metadata, before it is opened; [`Error::NoDefaultVault`],
    /// [`Error::NoSuchSecret`], or the vault's error.
    ///
    /// # Examples
    /// ```no_run
    /// # fn example(host: &keystead::Host) -> Result<(), keystead::Error> {
    /// use keystead::api::{Metadata, MetadataValue, SecretName};
    /// use keystead::metadata::{Change, MetadataEdit};
    /// use keystead::{NonInteractive, RunMode};
    ///
    /// let mut metadata = Metadata::new();
    /// metadata.insert("owner", MetadataValue::Text("ada".into())).expect("it can be metadata");
    /// let name = SecretName::parse("db/password").expect("it is a name");
    /// let change = Change { name, vault: None, edit: MetadataEdit::Merge(metadata), run: RunMode::Apply };
    /// if host.change_metadata(&change, &mut NonInteractive)?.differs {
    ///     println!("written");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn change_metadata(&self, change: &Change, ask: &mut dyn Prompter) -> Result<Changed> {
        let prepared = self.prepare_target(change.vault.as_ref())?;
        let vault = prepared.name.clone();
        let refuse = |answer| Error::Refused { vault: vault.clone(), answer };
        if !prepared.kind().capabilities.contains(&Capability::Metadata) {
            let message = "this vault keeps no metadata";
            return Err(refuse(keystead_plugin_api::Error::unsupported(message)));
        }
        self.atomically(&prepared, &change.name, change.run, ask, &mut |guard, ask| {
            let old = self.described((&prepared).into(), &change.name, ask)?;
            let (metadata, missing) = change.edit.apply(&old.metadata).map_err(refuse)?;
            let differs = metadata != old.metadata.writable();
            if differs && change.run == RunMode::Apply {
                let version = guard.version(&vault, old.version)?;
                let written = self.call(&prepared, ask, &mut |open, deadline| {
                    let (name, metadata) = (change.name.clone(), metadata.clone());
                    let mut request = SetMetadataRequest::new(name, metadata, deadline);
                    request.if_version.clone_from(&version);
                    open.set_metadata(request).map(drop)
                });
                written.map_err(|error| named(error, &vault, &change.name))?;
            }
            Ok(Changed { vault: vault.clone(), metadata, differs, missing })
        })
    }
}

#[cfg(test)]
mod tests {
    use keystead_plugin_api::{MAX_METADATA_BYTES, MAX_METADATA_ENTRIES, MetadataValue};

    use super::*;

    fn metadata(entries: &[(&str, i64)]) -> Metadata {
        let mut metadata = Metadata::new();
        for (key, number) in entries {
            metadata.insert(*key, MetadataValue::Integer(*number)).unwrap();
        }
        metadata
    }

    #[test]
    fn metadata_edit_merges_replaces_removes_or_clears() {
        let old = metadata(&[("a", 1), ("b", 2)]);
        let owned = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
        for (edit, new, missing) in [
            (
                MetadataEdit::Merge(metadata(&[("b", 3), ("c", 4)])),
                metadata(&[("a", 1), ("b", 3), ("c", 4)]),
                owned(&[]),
            ),
            (MetadataEdit::Replace(metadata(&[("c", 4)])), metadata(&[("c", 4)]), owned(&[])),
            (MetadataEdit::Remove(owned(&["x", "a"])), metadata(&[("b", 2)]), owned(&["x"])),
            (
                MetadataEdit::Remove(owned(&["a", "a", "x", "x"])),
                metadata(&[("b", 2)]),
                owned(&["x"]),
            ),
            (MetadataEdit::Clear, metadata(&[]), owned(&[])),
        ] {
            assert_eq!(edit.apply(&old).unwrap(), (new, missing), "{edit:?}");
        }
    }

    #[test]
    fn metadata_edit_omits_and_rejects_read_only_keys() {
        let own = |mut metadata: Metadata| {
            metadata.insert_read_only("own", MetadataValue::Integer(9)).unwrap();
            metadata
        };
        let old = own(metadata(&[("a", 1), ("b", 2)]));
        let remove = |keys: &[&str]| {
            MetadataEdit::Remove(keys.iter().map(|key| (*key).to_owned()).collect())
        };
        for (edit, new) in [
            (MetadataEdit::Merge(metadata(&[("a", 3)])), metadata(&[("a", 3), ("b", 2)])),
            (MetadataEdit::Replace(metadata(&[("c", 4)])), metadata(&[("c", 4)])),
            (MetadataEdit::Replace(metadata(&[])), metadata(&[])),
            (remove(&["a"]), metadata(&[("b", 2)])),
            (MetadataEdit::Clear, metadata(&[])),
        ] {
            assert_eq!(edit.apply(&old).unwrap().0, new, "{edit:?}");
        }
        for edit in [
            MetadataEdit::Merge(metadata(&[("a", 3), ("own", 9)])),
            MetadataEdit::Replace(metadata(&[("own", 9)])),
            remove(&["a", "own"]),
        ] {
            let refused = edit.apply(&old).unwrap_err();
            let message = "the metadata `own` is read-only: the vault itself reports it";
            assert_eq!(refused.message(), message, "{edit:?}");
            // Without such a report of the vault, the key is an ordinary key.
            edit.apply(&metadata(&[("a", 1)])).unwrap();
        }
        // An edit cannot set read-only keys, and never loses unknown metadata.
        assert!(MetadataEdit::Merge(own(metadata(&[]))).apply(&metadata(&[])).is_err());
        let mut unknown = old.clone();
        unknown.mark_more_read_only();
        assert_eq!(remove(&["a"]).apply(&unknown).unwrap().0, metadata(&[("b", 2)]));
        unknown.mark_incomplete();
        assert!(remove(&["a"]).apply(&unknown).is_err());
        assert!(MetadataEdit::Clear.apply(&unknown).is_ok());
    }

    #[test]
    fn metadata_limits_apply_to_merge_result() {
        let long = |key: &str| {
            let mut metadata = Metadata::new();
            let text = MetadataValue::Text("x".repeat(MAX_METADATA_BYTES - 10));
            metadata.insert(key, text).unwrap();
            metadata
        };
        assert!(MetadataEdit::Merge(long("b")).apply(&long("a")).is_err());
        assert!(MetadataEdit::Merge(long("a")).apply(&long("a")).is_ok());
        let full: Vec<String> = (0..MAX_METADATA_ENTRIES).map(|n| n.to_string()).collect();
        let full: Vec<(&str, i64)> = full.iter().map(|key| (key.as_str(), 1)).collect();
        assert!(MetadataEdit::Merge(metadata(&[("new", 1)])).apply(&metadata(&full)).is_err());
        assert!(MetadataEdit::Merge(metadata(&[("0", 2)])).apply(&metadata(&full)).is_ok());
    }
}

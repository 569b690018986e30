//! The secrets of one open vault: a map, and where the vault has a file, the file's
//! contents as they are now.

use std::collections::BTreeMap;
use std::path::Path;

use keystead_plugin_api::{Deadline, Result, Secret, SecretName};

use crate::claim;
use crate::file::SecretFile;

/// Secrets by name.
pub(crate) type Map = BTreeMap<SecretName, Secret>;

/// Returns a version that no other write has: sixteen digits of chance.
pub(crate) fn new_version() -> String {
    format!("{:016x}", claim::random())
}

/// A vault's secrets, in memory only or in step with a file.
pub(crate) struct Secrets {
    map: Map,
    file: Option<SecretFile>,
}

impl Secrets {
    /// Returns no secrets, or those of this file, which need not exist yet.
    pub(crate) fn new(file: Option<&str>) -> Result<Self> {
        Ok(Self { map: Map::new(), file: file.map(SecretFile::new).transpose()? })
    }

    /// Returns the file, where there is one.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.file.as_ref().map(SecretFile::path)
    }

    /// Returns the secrets as they are now.
    pub(crate) fn read(&mut self) -> Result<&Map> {
        if let Some(file) = &mut self.file {
            file.refresh(&mut self.map)?;
        }
        Ok(&self.map)
    }

    /// Changes the secrets; where `edit` or writing fails, nothing is changed. `edit` must
    /// not fail after it has changed something.
    pub(crate) fn change<T>(
        &mut self,
        deadline: Deadline,
        edit: impl FnOnce(&mut Map) -> Result<T>,
    ) -> Result<T> {
        match &mut self.file {
            None => edit(&mut self.map),
            Some(file) => file.change(&mut self.map, deadline, edit),
        }
    }
}

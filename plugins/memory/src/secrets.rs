//! The secrets of one open vault: a map that, for a vault with a file, follows the file's content.

use std::collections::BTreeMap;
use std::path::Path;

use keystead_plugin_api::{Deadline, Result, Secret, SecretName};

use crate::claim;
use crate::file::SecretFile;

/// Secrets by name.
pub(crate) type Map = BTreeMap<SecretName, Secret>;

/// Returns a version that no other write has: sixteen random digits.
pub(crate) fn new_version() -> String {
    format!("{:016x}", claim::random())
}

/// A vault's secrets, in memory only or synchronised with a file.
pub(crate) struct Secrets {
    map: Map,
    file: Option<SecretFile>,
}

impl Secrets {
    /// Returns an empty set, or the secrets of this file, which can be missing.
    pub(crate) fn new(file: Option<&str>) -> Result<Self> {
        Ok(Self { map: Map::new(), file: file.map(SecretFile::new).transpose()? })
    }

    /// Returns the file's path; `None` without a file.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.file.as_ref().map(SecretFile::path)
    }

    /// Returns the current secrets.
    pub(crate) fn read(&mut self) -> Result<&Map> {
        if let Some(file) = &mut self.file {
            file.refresh(&mut self.map)?;
        }
        Ok(&self.map)
    }

    /// Changes the secrets. If `edit` or the write fails, nothing changes. `edit` must not fail
    /// after a change.
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

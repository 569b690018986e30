//! The registered vaults: layers of directories, with one file for each vault. Reading one
//! vault parses one file; no file is read before it is needed.

mod circle;
mod config;
mod edit;
mod entry;
mod error;
mod layer;
mod opened;
mod read;
mod render;
pub mod schema;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use keystead_plugin_api::VaultName;

pub use edit::{DefaultChoice, Edit, EditPlan, FileAction, FileChange, Replace};
pub use entry::{MAX_FILE_BYTES, Placement, Registration, SCHEMA, Setting};
pub use error::{Error, FilePosition};
pub(crate) use opened::OpenRegistry;

use crate::ids;
use crate::paths::{Layer, Paths};
use crate::plugin::trust::Privilege;

/// Registry of vaults: the user's layer overrides the administrator's.
///
/// A user's registration overrides the administrator's of the same name, unless the
/// administrator's is locked. Names are compared without case.
///
/// Nothing is kept between calls, so that each call reads the current files.
#[derive(Debug, Clone)]
pub struct Registry {
    paths: Arc<Paths>,
}

/// All vaults, and faults that hide none of them.
#[derive(Debug)]
pub struct RegistryListing {
    /// The vaults: each name once, sorted without case.
    pub vaults: Vec<RegisteredVault>,
    /// Further faults: a layer that cannot be read, a file whose name is not a vault name, a
    /// user's registration of a locked name.
    pub faults: Vec<Error>,
}

/// One vault in a [`RegistryListing`].
#[derive(Debug)]
pub struct RegisteredVault {
    /// The name.
    pub name: VaultName,
    /// The layer of the registration.
    pub layer: Layer,
    /// The registration, or why it cannot be read.
    pub entry: Result<Registration, Error>,
}

impl Registry {
    /// Returns the registry of these directories. Reads nothing.
    pub fn open(paths: &Paths) -> Self {
        let paths = match ids::privilege() {
            Privilege::Ordinary => paths.clone(),
            Privilege::SetId => paths.clone().of_the_system(),
        };
        Self { paths: Arc::new(paths) }
    }

    /// Returns the registry for one command. Reads nothing yet.
    pub(crate) fn once(&self) -> OpenRegistry {
        OpenRegistry::new(Arc::clone(&self.paths))
    }

    /// Returns the registration of a vault.
    ///
    /// # Errors
    /// [`Error::NoSuchVault`], or a fault of the vault's file. A damaged file of the
    /// administrator is an error also for users who registered the same name: it may have
    /// been locked.
    pub fn entry(&self, name: &VaultName) -> Result<Registration, Error> {
        self.once().entry(name)
    }

    /// Returns the names of all vaults, sorted without case.
    ///
    /// # Errors
    /// When a layer cannot be read. Faults of single files are ignored here.
    pub fn names(&self) -> Result<Vec<VaultName>, Error> {
        self.once().names()
    }

    /// Returns all vaults with their registrations; a fault hides no other vault.
    pub fn all(&self) -> RegistryListing {
        self.once().all()
    }

    /// Returns the default vault, if one is set. Does not check whether that vault is still
    /// registered.
    ///
    /// # Errors
    /// Faults of a layer's `config.toml`.
    pub fn default(&self) -> Result<Option<VaultName>, Error> {
        self.once().default()
    }
}

//! Which vaults are registered: layers of directories, one file a vault. Reading one vault
//! parses one file; nothing is read before it is asked for.

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

/// The registered vaults: the user's over the administrator's.
///
/// A user's registration takes the place of the administrator's of the same name, unless
/// that one is locked. Names are compared without case.
///
/// Nothing is kept between calls, so that each call sees what is there now.
#[derive(Debug, Clone)]
pub struct Registry {
    paths: Arc<Paths>,
}

/// All vaults, and what hides none of them.
#[derive(Debug)]
pub struct RegistryListing {
    /// Each name once, sorted without case.
    pub vaults: Vec<RegisteredVault>,
    /// What is wrong beside them: a layer that cannot be read, a file with a name that is
    /// no vault's, a user's registration of a locked name.
    pub faults: Vec<Error>,
}

/// One vault in a [`RegistryListing`].
#[derive(Debug)]
pub struct RegisteredVault {
    /// The name.
    pub name: VaultName,
    /// Where it is registered.
    pub layer: Layer,
    /// The registration, or why there is none.
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

    /// Returns the registry as one command uses it. Reads nothing yet.
    pub(crate) fn once(&self) -> OpenRegistry {
        OpenRegistry::new(Arc::clone(&self.paths))
    }

    /// Returns the registration of a vault.
    ///
    /// # Errors
    /// [`Error::NoSuchVault`], or what is wrong with its file. A damaged file of the
    /// administrator's is an error for users who registered the same name as well: it may
    /// have been locked.
    pub fn entry(&self, name: &VaultName) -> Result<Registration, Error> {
        self.once().entry(name)
    }

    /// Returns the names of all vaults, sorted without case.
    ///
    /// # Errors
    /// A layer that cannot be read. What is wrong with single files does not matter here.
    pub fn names(&self) -> Result<Vec<VaultName>, Error> {
        self.once().names()
    }

    /// Returns all vaults with their registrations; what is broken hides nothing else.
    pub fn all(&self) -> RegistryListing {
        self.once().all()
    }

    /// Returns the default vault, where there is one. Whether it is still registered shows
    /// when it is asked for.
    ///
    /// # Errors
    /// What is wrong with a layer's `config.toml`.
    pub fn default(&self) -> Result<Option<VaultName>, Error> {
        self.once().default()
    }
}

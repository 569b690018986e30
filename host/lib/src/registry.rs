//! Which vaults are registered: layers of directories, one file a vault. Reading one vault
//! parses one file; nothing is read before it is asked for.

mod circle;
mod config;
mod edit;
mod entry;
mod error;
mod layer;
mod read;
mod render;
pub mod schema;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::PathBuf;

use keystead_plugin_api::VaultName;

pub use edit::{DefaultChoice, Edit, EditPlan, FileAction, FileChange, Replace};
pub use entry::{MAX_FILE_BYTES, Placement, Registration, SCHEMA, Setting};
pub use error::{Error, FilePosition};

use crate::ids;
use crate::paths::{Layer, Paths};
use crate::plugin::trust::Privilege;
use crate::similar::similar;
use config::Default;
use layer::LayerDir;

/// The registered vaults: the user's over the administrator's.
///
/// A user's registration takes the place of the administrator's of the same name, unless
/// that one is locked. Names are compared without case.
///
/// Nothing is kept between calls, so that each call sees what is there now.
#[derive(Debug, Clone)]
pub struct Registry {
    paths: Paths,
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
        let paths = paths.clone();
        match ids::privilege() {
            Privilege::Ordinary => Self { paths },
            Privilege::SetId => Self { paths: paths.of_the_system() },
        }
    }

    /// Returns the registration of a vault.
    ///
    /// # Errors
    /// [`Error::NoSuchVault`], or what is wrong with its file. A damaged file of the
    /// administrator's is an error for users who registered the same name as well: it may
    /// have been locked.
    pub fn entry(&self, name: &VaultName) -> Result<Registration, Error> {
        Ok(self.layered(name)?.1)
    }

    /// Does what [`Registry::entry`] does, and says in which layer it was found.
    pub(crate) fn layered(&self, name: &VaultName) -> Result<(Layer, Registration), Error> {
        if let Some((shelf, file)) = self.find(Layer::System, name)? {
            let (entry, _) = shelf.read(&file)?;
            if entry.locked {
                return Ok((Layer::System, entry));
            }
            return match self.find(Layer::User, name)? {
                Some((shelf, file)) => Ok((Layer::User, shelf.read(&file)?.0)),
                None => Ok((Layer::System, entry)),
            };
        }
        match self.find(Layer::User, name)? {
            Some((shelf, file)) => Ok((Layer::User, shelf.read(&file)?.0)),
            None => Err(self.no_such_vault(name)),
        }
    }

    /// Returns the names of all vaults, sorted without case.
    ///
    /// # Errors
    /// A layer that cannot be read. What is wrong with single files does not matter here.
    pub fn names(&self) -> Result<Vec<VaultName>, Error> {
        let mut names = BTreeSet::new();
        // A user's spelling wins: the first of equal names stays.
        for layer in [Layer::User, Layer::System] {
            names.extend(self.names_in(layer)?);
        }
        Ok(names.into_iter().collect())
    }

    /// Returns all vaults with their registrations; what is broken hides nothing else.
    pub fn all(&self) -> RegistryListing {
        let mut listing = RegistryListing { vaults: Vec::new(), faults: Vec::new() };
        for layer in Layer::ALL {
            if let Err(fault) = self.list(*layer, &mut listing) {
                listing.faults.push(fault);
            }
        }
        listing.vaults.sort_by(|a, b| a.name.cmp(&b.name));
        listing
    }

    /// Returns the default vault, where there is one. Whether it is still registered shows
    /// when it is asked for.
    ///
    /// # Errors
    /// What is wrong with a layer's `config.toml`.
    pub fn default(&self) -> Result<Option<VaultName>, Error> {
        for layer in [Layer::User, Layer::System] {
            match self.default_in(layer)? {
                Default::Unsaid => {}
                Default::None => return Ok(None),
                Default::Vault(name) => return Ok(Some(name)),
            }
        }
        Ok(None)
    }

    /// Returns each user's registration that takes the place of the administrator's, with
    /// its file.
    pub(crate) fn shadowing(&self) -> Vec<(VaultName, PathBuf)> {
        // What cannot be listed is told where all vaults are.
        let Ok(system) = self.names_in(Layer::System) else { return Vec::new() };
        let shadowing = system.into_iter().filter_map(|name| {
            let (shelf, file) = self.find(Layer::User, &name).ok()??;
            let (below, below_file) = self.find(Layer::System, &name).ok()??;
            let is_locked = below.read(&below_file).map_or(true, |(entry, _)| entry.locked);
            (!is_locked).then(|| (name, shelf.path(&file)))
        });
        shadowing.collect()
    }

    /// Returns what each layer alone says of the default vault, lower layer first.
    pub(crate) fn defaults(&self) -> Vec<(Layer, Result<Option<VaultName>, Error>)> {
        let said = |layer: &Layer| {
            let name = self.default_in(*layer).map(|default| match default {
                Default::Vault(name) => Some(name),
                Default::Unsaid | Default::None => None,
            });
            (*layer, name)
        };
        Layer::ALL.iter().map(said).collect()
    }

    /// Checks that no reference of a registered vault leads back to it.
    pub(crate) fn check_circle(
        &self,
        entry: &Registration,
        default: Option<&VaultName>,
    ) -> Result<(), Error> {
        circle::check(self, entry, default)
    }

    /// Returns the registered name that looks most like this one.
    pub(crate) fn similar(&self, name: &VaultName) -> Option<VaultName> {
        match self.no_such_vault(name) {
            Error::NoSuchVault { similar, .. } => similar,
            _ => None,
        }
    }

    fn shelf(&self, layer: Layer) -> Result<Option<LayerDir>, Error> {
        LayerDir::open(&self.paths, layer)
    }

    fn find(&self, layer: Layer, name: &VaultName) -> Result<Option<(LayerDir, String)>, Error> {
        let Some(shelf) = self.shelf(layer)? else { return Ok(None) };
        Ok(shelf.find(name)?.map(|file| (shelf, file)))
    }

    fn names_in(&self, layer: Layer) -> Result<Vec<VaultName>, Error> {
        let Some(shelf) = self.shelf(layer)? else { return Ok(Vec::new()) };
        Ok(shelf.files()?.vaults.into_keys().collect())
    }

    fn default_in(&self, layer: Layer) -> Result<Default, Error> {
        Ok(self
            .shelf(layer)?
            .map(|shelf| shelf.default())
            .transpose()?
            .map_or(Default::Unsaid, |(default, _)| default))
    }

    /// Adds a layer's vaults to those of the layers below it.
    fn list(&self, layer: Layer, listing: &mut RegistryListing) -> Result<(), Error> {
        let Some(shelf) = self.shelf(layer)? else { return Ok(()) };
        let files = shelf.files()?;
        listing.faults.extend(files.faults);
        for (name, file) in files.vaults {
            let path = file.as_ref().map_or_else(|_| shelf.path(""), |file| shelf.path(file));
            let entry = file.and_then(|file| Ok(shelf.read(&file)?.0));
            // Unregistered since the directory was listed.
            if matches!(entry, Err(Error::NoSuchVault { .. })) {
                continue;
            }
            let Some(below) = listing.vaults.iter_mut().find(|below| below.name == name) else {
                listing.vaults.push(RegisteredVault { name, layer, entry });
                continue;
            };
            match &below.entry {
                Ok(system) if system.locked => {
                    let system = self.system_path(&name);
                    listing.faults.push(Error::Locked { name, system, user: path });
                }
                Ok(_) => *below = RegisteredVault { name, layer, entry },
                // It may have been locked.
                Err(_) => {}
            }
        }
        Ok(())
    }

    fn system_path(&self, name: &VaultName) -> PathBuf {
        match self.find(Layer::System, name) {
            Ok(Some((shelf, file))) => shelf.path(&file),
            _ => self.paths.system_config.clone(),
        }
    }

    fn no_such_vault(&self, name: &VaultName) -> Error {
        let names = self.names().unwrap_or_default();
        let texts: Vec<&str> = names.iter().map(VaultName::as_str).collect();
        let similar = similar(name.as_str(), texts.iter().copied());
        let similar = similar.and_then(|text| VaultName::parse(text).ok());
        Error::NoSuchVault { name: name.clone(), similar }
    }
}

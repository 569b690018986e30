//! The registry during one command. Each layer's directory is opened when it is first needed, and
//! at most once. Each call reads the current files.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use keystead_plugin_api::VaultName;

use super::config::Default;
use super::layer::LayerDir;
use super::{Error, RegisteredVault, Registration, RegistryListing, circle};
use crate::paths::{Layer, Paths};
use crate::similar::similar;

/// The registered vaults, with the open directories that were read so far.
pub(crate) struct OpenRegistry {
    paths: Arc<Paths>,
    user: OnceLock<Option<LayerDir>>,
    system: OnceLock<Option<LayerDir>>,
}

impl OpenRegistry {
    pub(super) fn new(paths: Arc<Paths>) -> Self {
        Self { paths, user: OnceLock::new(), system: OnceLock::new() }
    }

    /// Returns a layer's directory, if it exists.
    pub(super) fn dir(&self, layer: Layer) -> Result<Option<&LayerDir>, Error> {
        let dir = match layer {
            Layer::User => &self.user,
            Layer::System => &self.system,
        };
        match dir.get() {
            Some(opened) => Ok(opened.as_ref()),
            None => {
                let opened = LayerDir::open(&self.paths, layer)?;
                Ok(dir.get_or_init(|| opened).as_ref())
            }
        }
    }

    /// See [`Registry::entry()`](super::Registry::entry).
    pub(crate) fn entry(&self, name: &VaultName) -> Result<Registration, Error> {
        Ok(self.layered(name)?.1)
    }

    /// Returns the registration of a vault, and its layer.
    pub(crate) fn layered(&self, name: &VaultName) -> Result<(Layer, Registration), Error> {
        if let Some((dir, file)) = self.find(Layer::System, name)? {
            let (entry, _) = dir.read(&file)?;
            if entry.locked {
                return Ok((Layer::System, entry));
            }
            return match self.find(Layer::User, name)? {
                Some((dir, file)) => Ok((Layer::User, dir.read(&file)?.0)),
                None => Ok((Layer::System, entry)),
            };
        }
        match self.find(Layer::User, name)? {
            Some((dir, file)) => Ok((Layer::User, dir.read(&file)?.0)),
            None => Err(self.no_such_vault(name)),
        }
    }

    /// See [`Registry::names()`](super::Registry::names).
    pub(crate) fn names(&self) -> Result<Vec<VaultName>, Error> {
        let mut names = BTreeSet::new();
        // The user's spelling overrides the administrator's: the first of equal names stays.
        for layer in [Layer::User, Layer::System] {
            names.extend(self.names_in(layer)?);
        }
        Ok(names.into_iter().collect())
    }

    /// See [`Registry::all()`](super::Registry::all).
    pub(crate) fn all(&self) -> RegistryListing {
        let mut listing = RegistryListing { vaults: Vec::new(), faults: Vec::new() };
        for layer in Layer::ALL {
            if let Err(fault) = self.list(*layer, &mut listing) {
                listing.faults.push(fault);
            }
        }
        listing.vaults.sort_by(|a, b| a.name.cmp(&b.name));
        listing
    }

    /// See [`Registry::default()`](super::Registry::default).
    pub(crate) fn default(&self) -> Result<Option<VaultName>, Error> {
        for layer in [Layer::User, Layer::System] {
            match self.default_in(layer)? {
                Default::Unsaid => {}
                Default::None => return Ok(None),
                Default::Vault(name) => return Ok(Some(name)),
            }
        }
        Ok(None)
    }

    /// Returns each registration of the user that overrides the administrator's, with its
    /// file.
    pub(crate) fn shadowing(&self) -> Vec<(VaultName, PathBuf)> {
        // The listing of all vaults reports a layer that cannot be listed.
        let Ok(system) = self.names_in(Layer::System) else { return Vec::new() };
        let shadowing = system.into_iter().filter_map(|name| {
            let (dir, file) = self.find(Layer::User, &name).ok()??;
            let (below, below_file) = self.find(Layer::System, &name).ok()??;
            let is_locked = below.read(&below_file).map_or(true, |(entry, _)| entry.locked);
            (!is_locked).then(|| (name, dir.path(&file)))
        });
        shadowing.collect()
    }

    /// Returns each layer's own default vault, the lower layer first.
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

    pub(super) fn find(
        &self,
        layer: Layer,
        name: &VaultName,
    ) -> Result<Option<(&LayerDir, String)>, Error> {
        let Some(dir) = self.dir(layer)? else { return Ok(None) };
        Ok(dir.find(name)?.map(|file| (dir, file)))
    }

    pub(super) fn names_in(&self, layer: Layer) -> Result<Vec<VaultName>, Error> {
        let Some(dir) = self.dir(layer)? else { return Ok(Vec::new()) };
        Ok(dir.files()?.vaults.into_keys().collect())
    }

    pub(super) fn default_in(&self, layer: Layer) -> Result<Default, Error> {
        Ok(self
            .dir(layer)?
            .map(|dir| dir.default())
            .transpose()?
            .map_or(Default::Unsaid, |(default, _)| default))
    }

    /// Adds a layer's vaults to those of the layers below it.
    fn list(&self, layer: Layer, listing: &mut RegistryListing) -> Result<(), Error> {
        let Some(dir) = self.dir(layer)? else { return Ok(()) };
        let files = dir.files()?;
        listing.faults.extend(files.faults);
        for (name, file) in files.vaults {
            let path = file.as_ref().map_or_else(|_| dir.path(""), |file| dir.path(file));
            let entry = file.and_then(|file| Ok(dir.read(&file)?.0));
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
                // The damaged registration may have been locked.
                Err(_) => {}
            }
        }
        Ok(())
    }

    fn system_path(&self, name: &VaultName) -> PathBuf {
        match self.find(Layer::System, name) {
            Ok(Some((dir, file))) => dir.path(&file),
            _ => self.paths.system_config.clone(),
        }
    }

    pub(super) fn no_such_vault(&self, name: &VaultName) -> Error {
        let names = self.names().unwrap_or_default();
        let texts: Vec<&str> = names.iter().map(VaultName::as_str).collect();
        let similar = similar(name.as_str(), texts.iter().copied());
        let similar = similar.and_then(|text| VaultName::parse(text).ok());
        Error::NoSuchVault { name: name.clone(), similar }
    }
}

//! The directories of one call: administrator's, packages', user's. Each is opened when it is first
//! needed, and at most once.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};

use super::{Error, Privilege, file_name};
use crate::fs::{self, OpenedFile, Rule, SafeDir};
use crate::paths::Paths;
use crate::plugin::pins::{self, Digest, Pin, PinEntry, PinLayer, PinStore, PluginId};
use crate::similar::similar;

/// The directory of plugin files in each root.
pub(super) const PLUGINS: &str = "plugins";

/// All layers' directories, in the order in which they are searched.
pub(super) struct Roots<'paths> {
    all: Vec<Root<'paths>>,
}

/// One layer's directory: it contains `pins.d` and, except for the administrator's, `plugins`.
pub(super) struct Root<'paths> {
    pub(super) layer: PinLayer,
    pub(super) path: &'paths Path,
    pub(super) rule: Rule,
    dir: OnceCell<Option<SafeDir>>,
}

/// A pin and its location.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) pin: Pin,
    /// The pin's file.
    pub(super) path: PathBuf,
    /// Index of the root that contains the pin.
    at: usize,
}

impl<'paths> Roots<'paths> {
    pub(super) fn new(paths: &'paths Paths, privilege: Privilege) -> Self {
        let rule = match privilege {
            Privilege::Ordinary => Rule::User,
            Privilege::SetId => Rule::System,
        };
        let mut all = vec![Root::new(PinLayer::Administrator, &paths.system_config, Rule::System)];
        all.extend(paths.packaged.iter().map(|path| Root::new(PinLayer::Packaged, path, rule)));
        if let (Privilege::Ordinary, Some(path)) = (privilege, &paths.user_data) {
            all.push(Root::new(PinLayer::User, path, rule));
        }
        Self { all }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Root<'paths>> {
        self.all.iter()
    }

    /// Returns the administrator's directory, if it exists.
    pub(super) fn administrator(&self) -> Result<Option<&SafeDir>, fs::Error> {
        self.all[0].dir()
    }

    /// Returns the user's data directory, if it exists and this process can enter it. A process of
    /// another user that still has this user's paths works without it.
    pub(super) fn data(&self) -> Result<Option<&SafeDir>, fs::Error> {
        let Some(root) = self.all.iter().find(|root| root.layer == PinLayer::User) else {
            return Ok(None);
        };
        match root.dir() {
            Err(fs::Error::Io { source, .. })
                if source.kind() == std::io::ErrorKind::PermissionDenied =>
            {
                Ok(None)
            }
            done => done,
        }
    }

    /// Returns the path of the user's data directory, whether it exists or not.
    pub(super) fn data_path(&self) -> Option<&'paths Path> {
        self.all.iter().find(|root| root.layer == PinLayer::User).map(|root| root.path)
    }

    /// Returns the user's data directory, and creates a missing one: it also stores results about
    /// packaged plugins, for users who never installed a plugin. `None` if it cannot be created.
    pub(super) fn data_made(&self) -> Option<SafeDir> {
        SafeDir::create(self.data_path()?, Rule::User).ok()
    }

    /// Finds the pin that counts: the first, unless the administrator denies the id.
    pub(super) fn pin(&self, id: &PluginId) -> Result<Option<Found>, Error> {
        for (at, root) in self.all.iter().enumerate() {
            let Some(book) = root.book()? else { continue };
            match book.entry(id)? {
                None => {}
                Some(PinEntry::Denial) => {
                    let path = book.path(id.as_str());
                    return Err(pins::Error::Denied { id: id.clone(), path }.into());
                }
                Some(PinEntry::Pin(pin)) => {
                    return Ok(Some(Found { path: book.path(id.as_str()), pin, at }));
                }
            }
        }
        Ok(None)
    }

    /// Returns the error for an id without a pin.
    pub(super) fn not_pinned(&self, id: &PluginId) -> Error {
        // Layers that cannot be listed offer no similar id; the id is missing all the same.
        let books = self.all.iter().filter_map(|root| root.book().ok().flatten());
        let names: Vec<String> = books
            .flat_map(|book| book.entries().unwrap_or_default())
            .filter(|(_, entry)| matches!(entry, Ok(PinEntry::Pin(_))))
            .map(|(name, _)| name)
            .collect();
        let similar = similar(id.as_str(), names.iter().map(String::as_str));
        let similar = similar.and_then(|name| PluginId::parse(name).ok());
        pins::Error::NotPinned { id: id.clone(), similar }.into()
    }

    /// Refuses a hash that the administrator denies.
    pub(super) fn deny(&self, id: &PluginId, sha256: &Digest) -> Result<(), Error> {
        let Some(book) = self.all[0].book()? else { return Ok(()) };
        match book.denial(sha256)? {
            Some(path) => Err(pins::Error::Denied { id: id.clone(), path }.into()),
            None => Ok(()),
        }
    }

    /// Opens the pinned file: beside the pin, or else in any other root, since its name is
    /// its hash.
    pub(super) fn locate(&self, found: &Found) -> Result<OpenedFile, Error> {
        let name = file_name(&found.pin.sha256);
        let others = (0..self.all.len()).filter(|at| *at != found.at);
        for at in std::iter::once(found.at).chain(others) {
            let root = &self.all[at];
            if root.layer == PinLayer::Administrator {
                continue;
            }
            let Some(dir) = root.dir()? else { continue };
            let Some(plugins) = dir.dir(PLUGINS)? else { continue };
            if let Some(file) = plugins.file(&name)? {
                return Ok(file);
            }
        }
        Err(Error::FileMissing { id: found.pin.id.clone(), name })
    }

    /// Returns a pin of this root as the pin that was found.
    pub(super) fn found(&self, root: &Root<'_>, pin: Pin, path: PathBuf) -> Found {
        let at = self.all.iter().position(|one| std::ptr::eq(one.path, root.path)).unwrap_or(0);
        Found { pin, path, at }
    }
}

impl<'paths> Root<'paths> {
    fn new(layer: PinLayer, path: &'paths Path, rule: Rule) -> Self {
        Self { layer, path, rule, dir: OnceCell::new() }
    }

    pub(super) fn dir(&self) -> Result<Option<&SafeDir>, fs::Error> {
        if self.dir.get().is_none() {
            let opened = SafeDir::open_if_there(self.path, self.rule)?;
            let _ = self.dir.set(opened);
        }
        Ok(self.dir.get().expect("it was set above").as_ref())
    }

    pub(super) fn book(&self) -> Result<Option<PinStore>, Error> {
        match self.dir()? {
            Some(dir) => Ok(PinStore::open(self.layer, dir)?),
            None => Ok(None),
        }
    }
}

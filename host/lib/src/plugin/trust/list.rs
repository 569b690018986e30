//! All pins and their status: shown and verified, never run.

use std::path::PathBuf;

use super::roots::Roots;
use super::{Error, PluginStore, Policy, look_into, trusted};
use crate::plugin::pins::{self, Digest, PinEntry, PinLayer, PluginId};

/// One pin and its status.
#[derive(Debug)]
pub struct PinStatus {
    /// The pin's name without `.toml`: an id, or for some denials a hash.
    pub name: String,
    /// The layer it lies in.
    pub layer: PinLayer,
    /// The pin's file.
    pub path: PathBuf,
    /// Content of the pin; `None` if it cannot be understood, which is then the problem.
    pub entry: Option<PinEntry>,
    /// Layer whose pin of the same name overrides this pin; `None` if none does.
    pub shadowed_by: Option<PinLayer>,
    /// Why the plugin cannot be used now, as far as known without its file; `None` if it can.
    pub problem: Option<Error>,
}

/// One pin whose file was read and hashed afresh.
#[derive(Debug)]
pub struct PinVerification {
    /// The pin's name without `.toml`.
    pub name: String,
    /// The layer it lies in.
    pub layer: PinLayer,
    /// The file that was read; `None` if no file was read.
    pub path: Option<PathBuf>,
    /// The hash that file and pin share, or the error.
    pub outcome: Result<Digest, Error>,
}

impl PluginStore {
    /// Returns every pin of every layer, in order of precedence, and by name in each layer.
    ///
    /// # Errors
    /// When a layer's directory or the policy is unsafe or cannot be read. The error of a single
    /// pin is returned with that pin.
    #[doc(hidden)]
    pub fn list(&self) -> Result<Vec<PinStatus>, Error> {
        let roots = Roots::new(&self.paths, self.privilege);
        let policy = Policy::read(&roots)?;
        let mut all: Vec<PinStatus> = Vec::new();
        for root in roots.iter() {
            let Some(book) = root.book()? else { continue };
            for (name, entry) in book.entries()? {
                let path = book.path(&name);
                let shadowed_by = all.iter().find(|one| one.name == name).map(|one| one.layer);
                let (entry, problem) = match entry {
                    Err(error) => (None, Some(error.into())),
                    Ok(PinEntry::Denial) => (Some(PinEntry::Denial), None),
                    Ok(PinEntry::Pin(pin)) => {
                        let found = roots.found(root, pin.clone(), path.clone());
                        let stands =
                            super::permit(&roots, &policy, (&pin.id, &pin.sha256), pin.layer)
                                .and_then(|()| roots.locate(&found).map(|_| ()));
                        (Some(PinEntry::Pin(pin)), stands.err())
                    }
                };
                all.push(PinStatus { name, layer: root.layer, path, entry, shadowed_by, problem });
            }
        }
        Ok(all)
    }

    /// Reads and hashes the file of each pin afresh and ignores verdicts: pins of this id, or all.
    ///
    /// # Errors
    /// [`pins::Error::NotPinned`] when no layer has the id; or when a layer's directory is
    /// unsafe or cannot be read.
    #[doc(hidden)]
    pub fn verify(&self, id: Option<&PluginId>) -> Result<Vec<PinVerification>, Error> {
        let roots = Roots::new(&self.paths, self.privilege);
        let mut all = Vec::new();
        for root in roots.iter() {
            let Some(book) = root.book()? else { continue };
            for (name, entry) in book.entries()? {
                if id.is_some_and(|id| id.as_str() != name) {
                    continue;
                }
                let layer = root.layer;
                let (path, outcome) = match entry {
                    Ok(PinEntry::Denial) => continue,
                    Err(error) => (None, Err(error.into())),
                    Ok(PinEntry::Pin(pin)) => {
                        let found = roots.found(root, pin, book.path(&name));
                        match roots.locate(&found) {
                            Err(error) => (None, Err(error)),
                            Ok(file) => {
                                let path = file.path().to_owned();
                                (Some(path), verify(&found.pin, &file))
                            }
                        }
                    }
                };
                all.push(PinVerification { name, layer, path, outcome });
            }
        }
        match id {
            Some(id) if all.is_empty() => Err(roots.not_pinned(id)),
            _ => Ok(all),
        }
    }
}

fn verify(pin: &pins::Pin, file: &crate::fs::OpenedFile) -> Result<Digest, Error> {
    let (bytes, found) = trusted::read_and_hash(file)?;
    let path = || file.path().to_owned();
    if found != pin.sha256 {
        let (id, pinned) = (pin.id.clone(), pin.sha256);
        return Err(Error::HashMismatch { id, path: path(), pinned, found });
    }
    let inspected = look_into(&bytes, file)?;
    if inspected.manifest.id != pin.id.as_str() {
        let found = inspected.manifest.id;
        return Err(Error::IdDiffers { pinned: pin.id.clone(), found, path: path() });
    }
    Ok(found)
}

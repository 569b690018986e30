//! All plugins of all layers inspected afresh, for a diagnosis. Unlike everywhere else, a fault
//! hides no other fault, and no result is cached.

use std::path::PathBuf;

use super::roots::{PLUGINS, Root, Roots};
use super::{Error, PluginStore, Policy, Trusted, file_name, judge};
use crate::fs::{self, OpenedFile, SafeDir};
use crate::plugin::pins::{self, Pin, PinEntry, PinLayer};
use crate::plugin::runner::{Namespaces, SandboxLevel};

/// Result of a survey of all plugins.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    /// Faults of directories and of the policy.
    pub(crate) faults: Vec<Error>,
    /// The sandbox level that the policy requires.
    pub(crate) sandbox: SandboxLevel,
    /// The policy's setting for namespaces.
    pub(crate) namespaces: Namespaces,
    /// All pins and denials, in the order they count.
    pub(crate) pins: Vec<Surveyed>,
    /// Files in the plugin directories without a pin.
    pub(crate) unpinned: Vec<PathBuf>,
    /// Half-written files.
    pub(crate) left_over: Vec<PathBuf>,
}

/// One pin or denial.
#[derive(Debug)]
pub(crate) struct Surveyed {
    /// The name without `.toml`.
    pub(crate) name: String,
    /// The layer of the pin.
    pub(crate) layer: PinLayer,
    /// The pin's file.
    pub(crate) path: PathBuf,
    /// The pin; `None` for a denial, or if the pin is not understood.
    pub(crate) pin: Option<Pin>,
    /// Whether another pin or denial of this name counts instead.
    pub(crate) is_shadowed: bool,
    /// The plugin, verified afresh; `None` for a denial.
    pub(crate) outcome: Result<Option<Trusted>, Error>,
}

impl Survey {
    /// Returns the pin or denial that counts for this id.
    pub(crate) fn plugin(&self, id: &str) -> Option<&Surveyed> {
        self.pins.iter().find(|one| one.name == id)
    }
}

impl PluginStore {
    /// Inspects every pin, every plugin file and the policy. Runs nothing, changes nothing.
    pub(crate) fn survey(&self) -> Survey {
        let roots = Roots::new(&self.paths, self.privilege);
        let mut survey = Survey::default();
        let policy = Policy::read(&roots).unwrap_or_else(|fault| {
            survey.faults.push(fault);
            Policy::default()
        });
        survey.sandbox = policy.sandbox;
        survey.namespaces = policy.namespaces;
        for root in roots.iter() {
            if let Err(fault) = self.survey_pins(&roots, &policy, root, &mut survey) {
                survey.faults.push(fault);
            }
        }
        for root in roots.iter() {
            // The code above has reported why a directory cannot be opened.
            let Ok(Some(dir)) = root.dir() else { continue };
            if let Err(fault) = survey.files(root.layer, dir) {
                survey.faults.push(fault.into());
            }
        }
        survey
    }

    fn survey_pins(
        &self,
        roots: &Roots<'_>,
        policy: &Policy,
        root: &Root<'_>,
        survey: &mut Survey,
    ) -> Result<(), Error> {
        let Some(book) = root.book()? else { return Ok(()) };
        for (name, entry) in book.entries()? {
            let path = book.path(&name);
            let (pin, outcome) = match entry {
                Err(fault) => (None, Err(fault.into())),
                Ok(PinEntry::Denial) => (None, Ok(None)),
                Ok(PinEntry::Pin(pin)) => {
                    let found = roots.found(root, pin.clone(), path.clone());
                    let proven = super::permit(roots, policy, (&pin.id, &pin.sha256), pin.layer)
                        .and_then(|()| roots.locate(&found))
                        .and_then(|file| self.prove_afresh(roots, policy, pin.clone(), file));
                    (Some(pin), proven.map(Some))
                }
            };
            let is_shadowed = survey.plugin(&name).is_some();
            survey.pins.push(Surveyed { name, layer: root.layer, path, pin, is_shadowed, outcome });
        }
        Ok(())
    }

    fn prove_afresh(
        &self,
        roots: &Roots<'_>,
        policy: &Policy,
        pin: Pin,
        file: OpenedFile,
    ) -> Result<Trusted, Error> {
        let (bytes, verdict) = judge(&pin, &file)?;
        self.trusted(roots, policy, pin, file, verdict, Some(bytes))
    }
}

impl Survey {
    /// Finds files in a layer's directories that belong to nothing.
    fn files(&mut self, layer: PinLayer, dir: &SafeDir) -> Result<(), fs::Error> {
        self.left_over.extend(dir.left_over()?);
        if let Some(pins) = dir.dir(pins::DIR)? {
            self.left_over.extend(pins.left_over()?);
        }
        if layer == PinLayer::Administrator {
            return Ok(());
        }
        let Some(plugins) = dir.dir(PLUGINS)? else { return Ok(()) };
        self.left_over.extend(plugins.left_over()?);
        let pinned: Vec<String> =
            self.pins.iter().filter_map(|one| Some(file_name(&one.pin.as_ref()?.sha256))).collect();
        // A pin that is not understood may belong to any file.
        let is_certain = self.pins.iter().all(|one| one.pin.is_some() || one.outcome.is_ok());
        if is_certain {
            let names = plugins.names()?.into_iter();
            let stray = names.filter(|name| pinned.iter().all(|pinned| name != pinned.as_str()));
            self.unpinned.extend(stray.map(|name| plugins.path().join(name)));
        }
        Ok(())
    }
}

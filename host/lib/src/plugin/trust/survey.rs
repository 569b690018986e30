//! All plugins of all layers looked at afresh, for a diagnosis: unlike everywhere else, a
//! fault hides nothing beside it, and nothing that is found out is kept.

use std::path::PathBuf;

use super::roots::{PLUGINS, Root, Roots};
use super::{Error, PluginStore, Policy, Trusted, file_name, judge};
use crate::fs::{self, OpenedFile, SafeDir};
use crate::plugin::pins::{self, Pin, PinEntry, PinLayer};
use crate::plugin::runner::{Namespaces, SandboxLevel};

/// What a look at every plugin found.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    /// What is wrong with directories and with the policy.
    pub(crate) faults: Vec<Error>,
    /// What the policy demands of the sandbox.
    pub(crate) sandbox: SandboxLevel,
    /// What the policy says of namespaces.
    pub(crate) namespaces: Namespaces,
    /// Every pin and denial, in the order they count.
    pub(crate) pins: Vec<Surveyed>,
    /// Files in the plugin directories that no pin stands for.
    pub(crate) unpinned: Vec<PathBuf>,
    /// Half-written files.
    pub(crate) left_over: Vec<PathBuf>,
}

/// One pin or denial.
#[derive(Debug)]
pub(crate) struct Surveyed {
    /// The name without `.toml`.
    pub(crate) name: String,
    /// The layer it lies in.
    pub(crate) layer: PinLayer,
    /// Its file.
    pub(crate) path: PathBuf,
    /// What it says, where that is a pin that is understood.
    pub(crate) pin: Option<Pin>,
    /// Whether another one of this name counts instead.
    pub(crate) is_shadowed: bool,
    /// The plugin, proven afresh; nothing for a denial.
    pub(crate) outcome: Result<Option<Trusted>, Error>,
}

impl Survey {
    /// Returns the pin or denial that counts for this id.
    pub(crate) fn plugin(&self, id: &str) -> Option<&Surveyed> {
        self.pins.iter().find(|one| one.name == id)
    }
}

impl PluginStore {
    /// Looks at every pin, every plugin file and the policy. Runs nothing, changes nothing.
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
            // What keeps a directory from being opened was found out above.
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
    /// Looks for what lies in a layer's directories and belongs to nothing.
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
        // A pin that is not understood may be the one of any file.
        let is_certain = self.pins.iter().all(|one| one.pin.is_some() || one.outcome.is_ok());
        if is_certain {
            let names = plugins.names()?.into_iter();
            let stray = names.filter(|name| pinned.iter().all(|pinned| name != pinned.as_str()));
            self.unpinned.extend(stray.map(|name| plugins.path().join(name)));
        }
        Ok(())
    }
}

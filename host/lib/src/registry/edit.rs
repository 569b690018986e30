//! Changes to a layer: planned from the current files, applied under the layer's lock, and
//! rolled back when a step fails. A dry run only makes the plan.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use keystead_plugin_api::VaultName;

use super::config::Default;
use super::entry::{MAX_FILE_BYTES, Registration};
use super::error::shown;
use super::layer::{CONFIG, LayerDir, RULE, VAULTS, file_of};
use super::{Error, OpenRegistry, Registry, circle, render};
use crate::fs::{self, Lock, SafeDir};
use crate::paths::Layer;
use crate::reference::Reference;

/// The file whose lock is held while a layer is changed.
const LOCK: &str = ".lock";

/// How long a change waits for another change. A change takes milliseconds, so a process
/// that holds the lock for longer has been stopped.
const LOCK_WAIT: Duration = Duration::from_secs(10);

/// Whether a registration may replace an existing one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replace {
    /// A registered name is an error.
    Never,
    /// The whole registration is replaced. Whether the vault is the default stays unchanged.
    Whole,
}

/// Whether a registration becomes the default vault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DefaultChoice {
    /// The vault becomes the default if it is the first one.
    First,
    /// The vault becomes the default.
    Yes,
    /// The vault does not become the default.
    No,
}

/// A change to a layer that is not applied yet.
#[must_use = "nothing is changed before `apply`"]
#[derive(Debug)]
pub struct Edit<'r> {
    registry: &'r Registry,
    layer: Layer,
    change: Change,
}

#[derive(Debug)]
enum Change {
    Register { entry: Box<Registration>, replace: Replace, default: DefaultChoice },
    Unregister(VaultName),
    SetDefault(Option<VaultName>),
}

/// Plan of a change. Empty if no file has to change.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct EditPlan {
    /// The changes to files, in order.
    pub steps: Vec<FileChange>,
}

/// Change of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileChange {
    /// The file.
    pub path: PathBuf,
    /// Text of the file before; `None` if there is no file, or if it is removed unread.
    pub before: Option<String>,
    /// Text of the file after; `None` if the file is removed.
    pub after: Option<String>,
    place: At,
    file: String,
}

/// Effect of a [`FileChange`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileAction {
    /// The file is new.
    Create,
    /// The file has other text.
    Change,
    /// The file is removed.
    Remove,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Config,
    Vaults,
}

impl FileChange {
    /// Returns the effect of the change.
    pub fn action(&self) -> FileAction {
        match (&self.before, &self.after) {
            (_, None) => FileAction::Remove,
            (None, Some(_)) => FileAction::Create,
            (Some(_), Some(_)) => FileAction::Change,
        }
    }
}

impl Registry {
    /// Registers a vault in a layer. A replaced registration's file keeps its name and comments.
    pub fn register(
        &self,
        layer: Layer,
        entry: Registration,
        replace: Replace,
        default: DefaultChoice,
    ) -> Edit<'_> {
        let change = Change::Register { entry: Box::new(entry), replace, default };
        Edit { registry: self, layer, change }
    }

    /// Removes a vault's registration from a layer. If the vault was the layer's default, the
    /// layer has no default afterwards.
    pub fn unregister(&self, layer: Layer, name: VaultName) -> Edit<'_> {
        Edit { registry: self, layer, change: Change::Unregister(name) }
    }

    /// Sets a layer's default to a registered vault, or to none.
    pub fn set_default(&self, layer: Layer, name: Option<VaultName>) -> Edit<'_> {
        Edit { registry: self, layer, change: Change::SetDefault(name) }
    }
}

impl Edit<'_> {
    /// Returns the plan that [`Edit::apply`] carries out now. Changes nothing.
    ///
    /// # Errors
    /// As [`Edit::apply`], except for errors that only occur on writing.
    pub fn plan(&self) -> Result<EditPlan, Error> {
        let dir = self.registry.paths.config_dir(self.layer);
        let dir = dir.ok_or(Error::NoLayer { layer: self.layer })?;
        let planning = Planning {
            registry: self.registry.once(),
            layer: self.layer,
            dir,
            plan: EditPlan::default(),
        };
        match &self.change {
            Change::Register { entry, replace, default } => {
                planning.register(entry, *replace, *default)
            }
            Change::Unregister(name) => planning.unregister(name),
            Change::SetDefault(name) => planning.set_default(name.as_ref()),
        }
    }

    /// Applies the change, and returns the plan that was carried out.
    ///
    /// # Errors
    /// - [`Error::Exists`], [`Error::NoSuchVault`], [`Error::OtherLayer`], [`Error::Locked`],
    ///   [`Error::Cycle`], [`Error::Descriptor`]: the change does not fit the current files.
    /// - Faults of a file that the change affects: a damaged file is never rewritten.
    /// - [`Error::Busy`], [`Error::File`]: the change could not be written; all is as it was.
    pub fn apply(self) -> Result<EditPlan, Error> {
        // A change that is impossible or without effect leaves no directories behind.
        if self.plan()?.steps.is_empty() {
            return Ok(EditPlan::default());
        }
        let dir = self.registry.paths.config_dir(self.layer);
        let dir = dir.ok_or(Error::NoLayer { layer: self.layer })?;
        let modes = Modes::of(self.layer);
        let config = SafeDir::create_with(dir, RULE, modes.dir)?;
        let vaults = config.make_dir(VAULTS, modes.dir)?;
        let _lock = lock(&config, LOCK_WAIT)?;
        // Other processes may have made changes since.
        let plan = self.plan()?;
        let dir = |place: At| match place {
            At::Config => &config,
            At::Vaults => &vaults,
        };
        for (done, step) in plan.steps.iter().enumerate() {
            let made = write(dir(step.place), &step.file, step.after.as_deref(), modes.file);
            if let Err(error) = made {
                for undo in plan.steps[..done].iter().rev() {
                    // Best effort: the error to return is the first one.
                    let before = undo.before.as_deref();
                    let _ = write(dir(undo.place), &undo.file, before, modes.file);
                }
                return Err(error.into());
            }
        }
        Ok(plan)
    }
}

/// File modes: a user's registrations are private, and the administrator's are for all users.
struct Modes {
    dir: u32,
    file: u32,
}

impl Modes {
    fn of(layer: Layer) -> Self {
        match layer {
            Layer::System => Self { dir: 0o755, file: 0o644 },
            Layer::User => Self { dir: fs::PRIVATE_DIR, file: fs::PRIVATE_FILE },
        }
    }
}

fn write(dir: &SafeDir, file: &str, text: Option<&str>, mode: u32) -> Result<(), fs::Error> {
    match text {
        Some(text) => dir.write(file, text.as_bytes(), mode),
        None => dir.remove(file).map(|_| ()),
    }
}

pub(super) fn lock(config: &SafeDir, wait: Duration) -> Result<Lock, Error> {
    let end = Instant::now() + wait;
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(lock) = config.try_lock(LOCK)? {
            return Ok(lock);
        }
        if Instant::now() >= end {
            return Err(Error::Busy { path: config.path().join(LOCK) });
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

/// The current files, and the steps planned so far.
struct Planning<'a> {
    registry: OpenRegistry,
    layer: Layer,
    dir: &'a Path,
    plan: EditPlan,
}

impl Planning<'_> {
    fn register(
        mut self,
        entry: &Registration,
        replace: Replace,
        default: DefaultChoice,
    ) -> Result<EditPlan, Error> {
        let there = self.there(&entry.name, replace)?;
        let mut references = entry.references();
        if let Some((key, _)) = references.find(|(_, from)| matches!(from, Reference::Fd(_))) {
            return Err(Error::Descriptor { key: shown(key) });
        }
        let becomes_default = match default {
            DefaultChoice::First => there.is_none() && self.visible_names()?.is_empty(),
            DefaultChoice::Yes => true,
            DefaultChoice::No => false,
        };
        let default = match becomes_default {
            true => Some(entry.name.clone()),
            false => self.registry.default().unwrap_or_default(),
        };
        circle::check(&self.registry, entry, default.as_ref())?;

        let file = there.as_ref().map_or_else(|| file_of(&entry.name), |(file, _)| file.clone());
        let before = there.map(|(_, text)| text);
        let text = render::entry(entry, before.as_deref());
        let path = self.dir.join(VAULTS).join(&file);
        if text.len() as u64 > MAX_FILE_BYTES {
            let len = text.len() as u64;
            return Err(fs::Error::TooLarge { path, len, most: MAX_FILE_BYTES }.into());
        }
        // The caller may set any field of an entry: Keystead writes only text that it can
        // read again.
        Registration::parse(entry.name.clone(), self.layer, &path, &text)?;
        self.step(At::Vaults, file, before, text);
        if becomes_default {
            self.default_step(&Default::Vault(entry.name.clone()))?;
        }
        Ok(self.plan)
    }

    fn unregister(mut self, name: &VaultName) -> Result<EditPlan, Error> {
        // A damaged file can be removed: the caller names the vault.
        let file = self.registry.find(self.layer, name)?.map(|(_, file)| file);
        let Some(file) = file else { return Err(self.not_here(name)) };
        // The default is cleared first: a default that names no vault is an error everywhere.
        if self.default()?.0 == Default::Vault(name.clone()) {
            self.clear_default()?;
        }
        let path = self.dir.join(VAULTS).join(&file);
        self.plan.steps.push(FileChange {
            path,
            before: None,
            after: None,
            place: At::Vaults,
            file,
        });
        Ok(self.plan)
    }

    fn set_default(mut self, name: Option<&VaultName>) -> Result<EditPlan, Error> {
        let Some(name) = name else {
            self.clear_default()?;
            return Ok(self.plan);
        };
        let names = self.visible_names()?;
        let Some(name) = names.into_iter().find(|registered| registered == name) else {
            return Err(self.registry.no_such_vault(name));
        };
        if self.default()?.0 != Default::Vault(name.clone()) {
            self.default_step(&Default::Vault(name))?;
        }
        Ok(self.plan)
    }

    /// Returns the file and text of the registration to replace, if any.
    fn there(&self, name: &VaultName, replace: Replace) -> Result<Option<(String, String)>, Error> {
        let path = self.dir.join(VAULTS);
        if self.layer == Layer::User
            && let Some((below, file)) = self.registry.find(Layer::System, name)?
        {
            let system = below.path(&file);
            if below.read(&file)?.0.locked {
                let user = path.join(file_of(name));
                return Err(Error::Locked { name: name.clone(), system, user });
            }
            if replace == Replace::Never {
                return Err(Error::Exists { name: name.clone(), path: system });
            }
        }
        match self.registry.find(self.layer, name)? {
            Some((there, file)) if replace == Replace::Never => {
                Err(Error::Exists { name: name.clone(), path: there.path(&file) })
            }
            // A damaged file is an error here.
            Some((there, file)) => there.read(&file).map(|(_, text)| Some((file, text))),
            None => Ok(None),
        }
    }

    fn not_here(&self, name: &VaultName) -> Error {
        let found = match self.layer {
            Layer::System => Layer::User,
            Layer::User => Layer::System,
        };
        match self.registry.find(found, name) {
            Ok(Some((other, file))) => {
                Error::OtherLayer { name: name.clone(), found, path: other.path(&file) }
            }
            _ => self.registry.no_such_vault(name),
        }
    }

    /// Returns the names that a user of this layer sees. All users share the system layer, so
    /// a single user's registrations do not count there.
    fn visible_names(&self) -> Result<Vec<VaultName>, Error> {
        match self.layer {
            Layer::System => self.registry.names_in(Layer::System),
            Layer::User => self.registry.names(),
        }
    }

    fn default(&self) -> Result<(Default, Option<String>), Error> {
        self.registry.dir(self.layer)?.map_or(Ok((Default::Unsaid, None)), LayerDir::default)
    }

    /// Clears the default: with an explicit empty value if the layer below has a default.
    fn clear_default(&mut self) -> Result<(), Error> {
        let below = match self.layer {
            Layer::System => Default::Unsaid,
            Layer::User => self.registry.default_in(Layer::System)?,
        };
        let cleared = match below {
            Default::Vault(_) => Default::None,
            _ => Default::Unsaid,
        };
        if self.default()?.0 != cleared {
            self.default_step(&cleared)?;
        }
        Ok(())
    }

    fn default_step(&mut self, default: &Default) -> Result<(), Error> {
        let (_, before) = self.default()?;
        let text = render::config(default, before.as_deref());
        self.step(At::Config, CONFIG.to_owned(), before, text);
        Ok(())
    }

    fn step(&mut self, place: At, file: String, before: Option<String>, after: String) {
        if before.as_deref() == Some(&after) {
            return;
        }
        let path = match place {
            At::Config => self.dir.join(&file),
            At::Vaults => self.dir.join(VAULTS).join(&file),
        };
        self.plan.steps.push(FileChange { path, before, after: Some(after), place, file });
    }
}

//! Changes to a layer: planned from what is there, applied under its lock, taken back when
//! a step fails. A dry run is a plan that nobody applies.

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

/// How long a change waits for another one: a change takes milliseconds, so that whoever
/// holds the lock for longer has been stopped.
const LOCK_WAIT: Duration = Duration::from_secs(10);

/// Whether a registration may take the place of one that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replace {
    /// A name that is registered is an error.
    Never,
    /// The whole record is replaced. Whether it is the default stays as it was.
    Whole,
}

/// Whether a registration becomes the default vault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DefaultChoice {
    /// It does if it is the first one.
    First,
    /// It does.
    Yes,
    /// It does not.
    No,
}

/// A change to a layer that has not been made.
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

/// What a change does to files, in order. Empty where everything is as it should be.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct EditPlan {
    /// The files.
    pub steps: Vec<FileChange>,
}

/// What happens to one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileChange {
    /// The file.
    pub path: PathBuf,
    /// Its text before; `None` where there is no file, or it goes away unread.
    pub before: Option<String>,
    /// Its text after; `None` where the file is removed.
    pub after: Option<String>,
    place: At,
    file: String,
}

/// What a [`FileChange`] comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileAction {
    /// The file is new.
    Create,
    /// The file has other text.
    Change,
    /// The file is gone.
    Remove,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Config,
    Vaults,
}

impl FileChange {
    /// Returns what the step comes to.
    pub fn action(&self) -> FileAction {
        match (&self.before, &self.after) {
            (_, None) => FileAction::Remove,
            (None, Some(_)) => FileAction::Create,
            (Some(_), Some(_)) => FileAction::Change,
        }
    }
}

impl Registry {
    /// Registers a vault in a layer. The file of a replaced one keeps its name and comments.
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

    /// Takes a vault's registration away from a layer. Where it was the layer's default,
    /// there is none afterwards.
    pub fn unregister(&self, layer: Layer, name: VaultName) -> Edit<'_> {
        Edit { registry: self, layer, change: Change::Unregister(name) }
    }

    /// Makes a registered vault a layer's default, or none.
    pub fn set_default(&self, layer: Layer, name: Option<VaultName>) -> Edit<'_> {
        Edit { registry: self, layer, change: Change::SetDefault(name) }
    }
}

impl Edit<'_> {
    /// Returns what [`Edit::apply`] would do now. Changes nothing.
    ///
    /// # Errors
    /// As [`Edit::apply`], except for what only writing shows.
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

    /// Makes the change and returns what was done.
    ///
    /// # Errors
    /// - [`Error::Exists`], [`Error::NoSuchVault`], [`Error::OtherLayer`], [`Error::Locked`],
    ///   [`Error::Cycle`], [`Error::Descriptor`]: the change does not fit what is there.
    /// - What is wrong with a file that would be changed: a damaged one is never rewritten.
    /// - [`Error::Busy`], [`Error::File`]: it could not be written; all is as it was.
    pub fn apply(self) -> Result<EditPlan, Error> {
        // What cannot be done or needs nothing leaves no directories behind.
        if self.plan()?.steps.is_empty() {
            return Ok(EditPlan::default());
        }
        let dir = self.registry.paths.config_dir(self.layer);
        let dir = dir.ok_or(Error::NoLayer { layer: self.layer })?;
        let modes = Modes::of(self.layer);
        let config = SafeDir::create_with(dir, RULE, modes.dir)?;
        let vaults = config.make_dir(VAULTS, modes.dir)?;
        let _lock = lock(&config, LOCK_WAIT)?;
        // Others may have made changes since.
        let plan = self.plan()?;
        let dir = |place: At| match place {
            At::Config => &config,
            At::Vaults => &vaults,
        };
        for (done, step) in plan.steps.iter().enumerate() {
            let made = write(dir(step.place), &step.file, step.after.as_deref(), modes.file);
            if let Err(error) = made {
                for undo in plan.steps[..done].iter().rev() {
                    // Best effort: the error to tell is the first one.
                    let before = undo.before.as_deref();
                    let _ = write(dir(undo.place), &undo.file, before, modes.file);
                }
                return Err(error.into());
            }
        }
        Ok(plan)
    }
}

/// A user's registrations are nobody else's business; the administrator's are for all.
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

/// What is there now, and the steps so far.
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
        // The fields of an entry are open to the caller: nothing is written that could not
        // be read again.
        Registration::parse(entry.name.clone(), self.layer, &path, &text)?;
        self.step(At::Vaults, file, before, text);
        if becomes_default {
            self.default_step(&Default::Vault(entry.name.clone()))?;
        }
        Ok(self.plan)
    }

    fn unregister(mut self, name: &VaultName) -> Result<EditPlan, Error> {
        // A damaged file can be taken away: it is asked for by name.
        let file = self.registry.find(self.layer, name)?.map(|(_, file)| file);
        let Some(file) = file else { return Err(self.not_here(name)) };
        // The default goes first: one that names no vault would be an error everywhere.
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

    /// Returns the file and text of the registration that is to be replaced, if any.
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
            // A damaged file ends here.
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

    /// Returns the names that a user of this layer sees: the system layer is every user's,
    /// so that what one of them registered does not count there.
    fn visible_names(&self) -> Result<Vec<VaultName>, Error> {
        match self.layer {
            Layer::System => self.registry.names_in(Layer::System),
            Layer::User => self.registry.names(),
        }
    }

    fn default(&self) -> Result<(Default, Option<String>), Error> {
        self.registry.dir(self.layer)?.map_or(Ok((Default::Unsaid, None)), LayerDir::default)
    }

    /// Says that there is no default: in words where the layer below would have one.
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

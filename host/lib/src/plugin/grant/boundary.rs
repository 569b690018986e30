//! What no grant may reach, and what decides whether a link is followed: Keystead's own directories, and
//! the directories that registrations let their plugins write to.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use keystead_plugin_api::VaultName;
use rustix::io::Errno;

use super::Error;
use crate::fs;
use crate::fs::object::{
    HardLinked, Link, Object, Place, Shared, Target, look_up, name_of_one, shared_in,
};
use crate::platform::mount::Mounts;
use crate::plugin::exec;
use crate::plugin::inspect::{FileAccess, Permission};

/// The most names in a granted directory among which another name of a file of ours is looked for.
const MAX_SEARCHED: usize = 100_000;

/// Returns what registrations let their plugins write to: vault and path. The error is for people.
pub(crate) type Writable =
    dyn Fn() -> Result<Vec<(VaultName, PathBuf)>, String> + Send + Sync + 'static;

/// What the host itself does with a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HostUse {
    /// It reads the file, for a parameter or an answer.
    Read,
    /// It runs the program.
    Run,
}

/// Why a path is not looked up to its end.
enum Stop {
    /// It leads through this link of the kernel's own.
    Kernel(PathBuf),
    Error(Error),
}

impl From<fs::Error> for Stop {
    fn from(error: fs::Error) -> Self {
        Self::Error(error.into())
    }
}

/// What grants are checked against. A clone is the same.
#[derive(Clone, Default)]
pub(crate) struct Boundaries {
    own: Arc<[PathBuf]>,
    writable: Option<Arc<Writable>>,
}

impl fmt::Debug for Boundaries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Boundaries").field("own", &self.own).finish_non_exhaustive()
    }
}

impl Boundaries {
    /// Returns the boundaries of a host with these directories of its own, whose registrations let their
    /// plugins write to what `writable` says when it is asked.
    pub(crate) fn new(own: Vec<PathBuf>, writable: Arc<Writable>) -> Self {
        Self { own: own.into(), writable: Some(writable) }
    }

    /// Returns what is asked for beyond what was recorded as granted, as manifests write it. A path
    /// is granted under its own name, or where it leads into a directory that is.
    ///
    /// # Errors
    /// A path that is not granted under its own name and cannot be looked up.
    pub(crate) fn beyond(
        &self,
        asked: &[Permission],
        recorded: &[String],
    ) -> Result<Vec<String>, Error> {
        let mut missing = Vec::new();
        for permission in asked {
            let text = permission.text();
            // As a rule it is granted as it is asked for.
            if !recorded.contains(&text) && !self.is_covered(permission, recorded)? {
                missing.push(text);
            }
        }
        Ok(missing)
    }

    fn is_covered(&self, asked: &Permission, recorded: &[String]) -> Result<bool, Error> {
        let granted = recorded.iter().filter_map(|text| Permission::parse(text).ok());
        let (wanted, wants) = match asked {
            Permission::Files { template, access } => (template, access),
            // Who may write all in its directory may do that as well.
            Permission::Replace { template } => (template, &FileAccess::ReadWrite),
            _ => return Ok(granted.into_iter().any(|granted| granted.covers(asked))),
        };
        let in_dir_only = matches!(asked, Permission::Replace { .. });
        let mut place = None;
        for granted in granted {
            let Permission::Files { template, access } = granted else { continue };
            if access < *wants || in_dir_only && !template.ends_with('/') {
                continue;
            }
            // One name is one object; whether it is a directory says what is there.
            if template.trim_end_matches('/') == wanted.trim_end_matches('/') {
                return Ok(true);
            }
            let mounts = Mounts::read().map_err(|error| io(Path::new(&template), error))?;
            if place.is_none() {
                place = Some(self.place(Path::new(wanted), &mounts)?);
            }
            let granted = match self.place(Path::new(&template), &mounts) {
                Ok(granted) => granted,
                // What cannot be granted covers nothing.
                Err(_) => continue,
            };
            if place.as_ref().is_some_and(|place| place.is_within(&granted)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn place(&self, path: &Path, mounts: &Mounts) -> Result<Place, Error> {
        let target = look_up(path, &mut |link| self.follow(path, link))?;
        Place::of(&target, mounts).map_err(|error| io(path, error))
    }

    /// Checks whether a link on the way of a granted path is one that only root or the user could
    /// have put there, and no plugin.
    pub(super) fn follow(&self, path: &Path, link: &Link<'_>) -> Result<(), Error> {
        link.check(path)?;
        self.keep_off_link(path, link)
    }

    /// Checks that no plugin could have put a link there.
    fn keep_off_link(&self, path: &Path, link: &Link<'_>) -> Result<(), Error> {
        if !link.could_be_ours() {
            return Ok(());
        }
        match self.writer(path, |mounts| link.place(mounts))? {
            Some(vault) => {
                let (path, at) = (path.to_owned(), link.path.to_owned());
                Err(Error::Link { path, at, vault })
            }
            None => Ok(()),
        }
    }

    /// Checks that no plugin decides what the host itself reads or runs at a path: no link on the way
    /// is in a directory that a registration lets its plugin write to, nor is a program that is run.
    /// Returns what is there; `None` where a link of the kernel's own leads, as to a descriptor.
    ///
    /// # Errors
    /// [`Error::Link`], [`Error::Writable`], and what cannot be looked up.
    pub(crate) fn keep_plugins_off(
        &self,
        path: &Path,
        what: HostUse,
    ) -> Result<Option<Target>, Error> {
        let target = look_up(path, &mut |link| match (link.is_of_the_kernel(), what) {
            (false, _) => self.keep_off_link(path, link).map_err(Stop::Error),
            // What stands behind it is looked at like any other path.
            (true, HostUse::Read) if !link.is_last => Ok(()),
            // To be read, a descriptor, for example: nobody can put one there. To be run, what it leads
            // to depends on the process, and the one that runs the program is another.
            (true, _) => Err(Stop::Kernel(link.path.to_owned())),
        });
        let target = match target {
            Ok(target) => target,
            Err(Stop::Kernel(at)) => {
                return match what {
                    HostUse::Read => Ok(None),
                    HostUse::Run => Err(Error::KernelLink { path: path.to_owned(), at }),
                };
            }
            Err(Stop::Error(error)) => return Err(error),
        };
        if what == HostUse::Run {
            self.keep_plugins_off_target(path, &target)?;
        }
        Ok(Some(target))
    }

    /// Checks that no plugin could have put something else at a path that leads to this.
    ///
    /// # Errors
    /// [`Error::Writable`], and what cannot be looked up.
    pub(super) fn keep_plugins_off_target(
        &self,
        path: &Path,
        target: &Target,
    ) -> Result<(), Error> {
        match self.writer(path, |mounts| Place::of(target, mounts))? {
            Some(vault) => Err(Error::Writable { path: path.to_owned(), vault }),
            None => Ok(()),
        }
    }

    /// Checks that no plugin decides what is run where the host runs this program, a path or a name.
    ///
    /// # Errors
    /// As for [`Boundaries::keep_plugins_off`].
    pub(crate) fn keep_plugins_off_program(&self, program: &str) -> Result<(), Error> {
        let path = Path::new(program);
        if path.is_absolute() {
            return self.keep_plugins_off(path, HostUse::Run).map(drop);
        }
        match exec::find(program) {
            Ok(path) => self.keep_plugins_off(&path, HostUse::Run).map(drop),
            // There is nothing to run, as it will be told.
            Err(_) => Ok(()),
        }
    }

    /// Returns the same where this vault's plugin may write to these paths as well.
    pub(crate) fn with_writable(&self, vault: &VaultName, paths: Vec<PathBuf>) -> Self {
        let (before, vault) = (self.writable.clone(), vault.clone());
        let writable = move || {
            let mut all = before.as_ref().map_or_else(|| Ok(Vec::new()), |before| before())?;
            all.extend(paths.iter().map(|path| (vault.clone(), path.clone())));
            Ok(all)
        };
        Self { own: Arc::clone(&self.own), writable: Some(Arc::new(writable)) }
    }

    /// Returns the vault whose plugin may write to this place, if there is one.
    fn writer(
        &self,
        path: &Path,
        place: impl FnOnce(&Mounts) -> Result<Place, Errno>,
    ) -> Result<Option<VaultName>, Error> {
        let Some(writable) = &self.writable else { return Ok(None) };
        let unknown = |problem| Error::Registrations { path: path.to_owned(), problem };
        let mounts = Mounts::read().map_err(|error| unknown(error.to_string()))?;
        let place = place(&mounts).map_err(|error| io(path, error))?;
        for (vault, dir) in writable().map_err(unknown)? {
            match Place::at(&dir, &mounts) {
                Ok(dir) if place.is_within(&dir) => return Ok(Some(vault)),
                // Where we cannot get, no plugin that we run can write.
                Ok(_) => {}
                Err(error) if is_out_of_reach(&error) => {}
                Err(error) => return Err(unknown(error.to_string())),
            }
        }
        Ok(None)
    }

    /// Checks that who may write to this target can change nothing of Keystead's own.
    ///
    /// # Errors
    /// [`Error::OwnDir`], [`Error::OwnFile`], [`Error::OwnFileUnknown`], and what cannot be looked up.
    pub(super) fn keep_off_own(&self, path: &Path, target: &Target) -> Result<(), Error> {
        if self.own.is_empty() {
            return Ok(());
        }
        let mounts = Mounts::read().map_err(|error| io(path, error))?;
        let place = Place::of(target, &mounts).map_err(|error| io(path, error))?;
        let decides = |own: &Path| match place.decides(own, &mounts) {
            Err(error) if is_out_of_reach(&error) => Ok(false),
            done => done.map_err(Error::from),
        };
        let is_dir = target.object.as_ref().is_some_and(Object::is_dir);
        for own in self.own.iter() {
            let named = || place.is_named_in(own).map_err(|error| io(own, error));
            let shared = || match shared_in(own) {
                Err(Errno::ACCESS | Errno::LOOP | Errno::NAMETOOLONG) => Ok(Shared::default()),
                done => done.map_err(|error| io(own, error)),
            };
            let reaches = || Error::OwnDir { path: path.to_owned(), own: own.clone() };
            if decides(own)? || named()? {
                return Err(reaches());
            }
            let Shared { links, files } = shared()?;
            // Links that people keep there, as of a registration that lies among their other settings,
            // may lead to where the plugin decides.
            for link in links {
                if decides(&link)? {
                    return Err(reaches());
                }
            }
            if is_dir && !files.is_empty() {
                keep_off_names(path, &files, MAX_SEARCHED)?;
            }
        }
        Ok(())
    }
}

/// Checks that none of Keystead's own files, which have other names (hard links), has one in a directory
/// that is to be granted.
pub(super) fn keep_off_names(path: &Path, files: &[HardLinked], most: usize) -> Result<(), Error> {
    match name_of_one(files, path, most) {
        Ok(None) => Ok(()),
        Ok(Some((file, name))) => {
            Err(Error::OwnFile { path: path.to_owned(), own: file.path.clone(), name })
        }
        Err(source) => Err(Error::OwnFileUnknown {
            path: path.to_owned(),
            own: files[0].path.clone(),
            problem: match source {
                Errno::OVERFLOW => format!("there are more than {most} names in it"),
                source => source.to_string(),
            },
        }),
    }
}

/// Returns whether a plugin that this user runs could not get there either.
fn is_out_of_reach(error: &fs::Error) -> bool {
    match error {
        fs::Error::LinkLoop { .. } | fs::Error::NotADir { .. } | fs::Error::NotAbsolute { .. } => {
            true
        }
        fs::Error::Io { source, .. } => {
            matches!(Errno::from_io_error(source), Some(Errno::ACCESS | Errno::NAMETOOLONG))
        }
        _ => false,
    }
}

pub(super) fn io(path: &Path, error: Errno) -> Error {
    fs::Error::io("look up", path, error).into()
}

/// Returns the paths among these grants, as registrations record them, that may be written.
pub(crate) fn writable_in(grants: &[String]) -> impl Iterator<Item = PathBuf> + '_ {
    // Not as a manifest has it: a path that was put in has braces, or whatever else a name may have.
    let path = |text: &'_ String| match text.strip_prefix("replace:") {
        Some(path) => Some(PathBuf::from(path)),
        None => text.strip_prefix("files:")?.strip_suffix(":rw").map(PathBuf::from),
    };
    grants.iter().filter_map(path)
}

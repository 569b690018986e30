//! What no grant may reach, and what decides whether a link is followed: Keystead's own folders, and
//! the folders that registrations let their plugins write to.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use keystead_plugin_api::VaultName;
use rustix::io::Errno;

use super::Error;
use crate::fs;
use crate::fs::mount::Mounts;
use crate::fs::object::{Link, Place, Target, look_up};
use crate::plugin::inspect::{FileAccess, Permission};

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
    /// It leads through a link of the kernel's own.
    Kernel,
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
    /// Returns the boundaries of a host with these folders of its own, whose registrations let their
    /// plugins write to what `writable` says when it is asked.
    pub(crate) fn new(own: Vec<PathBuf>, writable: Arc<Writable>) -> Self {
        Self { own: own.into(), writable: Some(writable) }
    }

    /// Returns what is asked for beyond what was recorded as granted, as manifests write it. A path
    /// is granted under its own name, or where it leads into a folder that is.
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
        let Permission::Files { template: wanted, access: wants } = asked else {
            return Ok(granted.into_iter().any(|granted| granted.covers(asked)));
        };
        let mut place = None;
        for granted in granted {
            let Permission::Files { template, access } = granted else { continue };
            if access < *wants {
                continue;
            }
            // One name is one object; whether it is a folder says what is there.
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
    /// is in a folder that a registration lets its plugin write to, nor is a program that is run.
    /// Returns what is there; `None` where a link of the kernel's own leads, as to a descriptor.
    ///
    /// # Errors
    /// [`Error::Link`], [`Error::Writable`], and what cannot be looked up.
    pub(crate) fn keep_plugins_off(
        &self,
        path: &Path,
        what: HostUse,
    ) -> Result<Option<Target>, Error> {
        let target = look_up(path, &mut |link| match link.is_of_the_kernel() {
            // A descriptor, for example: nobody can put one there.
            true => Err(Stop::Kernel),
            false => self.keep_off_link(path, link).map_err(Stop::Error),
        });
        let target = match target {
            Ok(target) => target,
            Err(Stop::Kernel) => return Ok(None),
            Err(Stop::Error(error)) => return Err(error),
        };
        if what == HostUse::Run
            && let Some(vault) = self.writer(path, |mounts| Place::of(&target, mounts))?
        {
            return Err(Error::Writable { path: path.to_owned(), vault });
        }
        Ok(Some(target))
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
        for (vault, folder) in writable().map_err(unknown)? {
            match Place::at(&folder, &mounts) {
                Ok(folder) if place.is_within(&folder) => return Ok(Some(vault)),
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
    /// [`Error::OwnFolder`], and what cannot be looked up.
    pub(super) fn keep_off_own(&self, path: &Path, target: &Target) -> Result<(), Error> {
        if self.own.is_empty() {
            return Ok(());
        }
        let mounts = Mounts::read().map_err(|error| io(path, error))?;
        let place = Place::of(target, &mounts).map_err(|error| io(path, error))?;
        for own in self.own.iter() {
            let folder = match Place::at(own, &mounts) {
                Ok(folder) => folder,
                Err(error) if is_out_of_reach(&error) => continue,
                Err(error) => return Err(error.into()),
            };
            let named = || place.is_named_in(own).map_err(|error| io(own, error));
            if place.meets(&folder) || named()? {
                return Err(Error::OwnFolder { path: path.to_owned(), own: own.clone() });
            }
        }
        Ok(())
    }
}

/// Returns whether a plugin that this user runs could not get there either.
fn is_out_of_reach(error: &fs::Error) -> bool {
    match error {
        fs::Error::LinkLoop { .. }
        | fs::Error::NotAFolder { .. }
        | fs::Error::NotAbsolute { .. } => true,
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
    grants.iter().filter_map(|text| match Permission::parse(text) {
        Ok(Permission::Files { template, access: FileAccess::ReadWrite }) => Some(template.into()),
        _ => None,
    })
}

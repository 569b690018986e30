//! Limits of grants and of followed links: Keystead's own directories, and the directories that
//! registrations let their plugins write to.

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

/// Maximum names to search in a granted directory for hard links to Keystead's own files.
const MAX_SEARCHED: usize = 100_000;

/// Returns the paths that plugins may write to, each with its vault. The error is user text.
pub(crate) type Writable =
    dyn Fn() -> Result<Vec<(VaultName, PathBuf)>, String> + Send + Sync + 'static;

/// The host's own use of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HostUse {
    /// It reads the file, for a parameter or an answer.
    Read,
    /// It runs the program.
    Run,
}

/// Reason why a path is not looked up to its end.
enum Stop {
    /// The path leads through this link of the kernel's own.
    Kernel(PathBuf),
    Error(Error),
}

impl From<fs::Error> for Stop {
    fn from(error: fs::Error) -> Self {
        Self::Error(error.into())
    }
}

/// The limits that grants are checked against. A clone has the same limits.
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
    /// Returns the boundaries of a host with these directories of its own. `writable` returns the
    /// paths that registrations let their plugins write to.
    pub(crate) fn new(own: Vec<PathBuf>, writable: Arc<Writable>) -> Self {
        Self { own: own.into(), writable: Some(writable) }
    }

    /// Returns the requested permissions beyond the recorded grants, as manifests write them. A
    /// path is granted under its own name, or if it leads into a granted directory.
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
            // Usually the recorded grant has the requested text.
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
            // Write access to all of its directory includes this permission.
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
            // Equal names are one object; the file system decides whether it is a directory.
            if template.trim_end_matches('/') == wanted.trim_end_matches('/') {
                return Ok(true);
            }
            let mounts = Mounts::read().map_err(|error| io(Path::new(&template), error))?;
            if place.is_none() {
                place = Some(self.place(Path::new(wanted), &mounts)?);
            }
            let granted = match self.place(Path::new(&template), &mounts) {
                Ok(granted) => granted,
                // A path that cannot be granted covers nothing.
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

    /// Checks that a link on a granted path can only come from root or the user, never from a
    /// plugin.
    pub(super) fn follow(&self, path: &Path, link: &Link<'_>) -> Result<(), Error> {
        link.check(path)?;
        self.keep_off_link(path, link)
    }

    /// Checks that no plugin could have created a link.
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

    /// Checks that no plugin controls what the host reads or runs at a path. No link on it, and no
    /// program to run, may be in a plugin's writable directory. Returns the target; `None` after a
    /// link of the kernel's own, as to a descriptor.
    ///
    /// # Errors
    /// [`Error::Link`], [`Error::Writable`], and errors of the lookup.
    pub(crate) fn keep_plugins_off(
        &self,
        path: &Path,
        what: HostUse,
    ) -> Result<Option<Target>, Error> {
        let target = look_up(path, &mut |link| match (link.is_of_the_kernel(), what) {
            (false, _) => self.keep_off_link(path, link).map_err(Stop::Error),
            // The path behind the link is checked like any other path.
            (true, HostUse::Read) if !link.is_last => Ok(()),
            // For reading, a descriptor, for example: no plugin can create such a link. For
            // running, the target depends on the process, and another process runs the program.
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

    /// Checks that no plugin could have replaced this target of a path.
    ///
    /// # Errors
    /// [`Error::Writable`], and errors of the lookup.
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

    /// Checks that no plugin controls what the host runs for this program, a path or a name.
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
            // There is nothing to run: running it reports that.
            Err(_) => Ok(()),
        }
    }

    /// Returns the same boundaries, in which this vault's plugin may also write to these paths.
    pub(crate) fn with_writable(&self, vault: &VaultName, paths: Vec<PathBuf>) -> Self {
        let (before, vault) = (self.writable.clone(), vault.clone());
        let writable = move || {
            let mut all = before.as_ref().map_or_else(|| Ok(Vec::new()), |before| before())?;
            all.extend(paths.iter().map(|path| (vault.clone(), path.clone())));
            Ok(all)
        };
        Self { own: Arc::clone(&self.own), writable: Some(Arc::new(writable)) }
    }

    /// Returns the vault whose plugin may write to this position; `None` without such a vault.
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
                // Where the host has no access, no plugin that it runs can write.
                Ok(_) => {}
                Err(error) if is_out_of_reach(&error) => {}
                Err(error) => return Err(unknown(error.to_string())),
            }
        }
        Ok(None)
    }

    /// Checks that write access to this target changes nothing of Keystead's own.
    ///
    /// # Errors
    /// [`Error::OwnDir`], [`Error::OwnFile`], [`Error::OwnFileUnknown`], and errors of the lookup.
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
            // Links that users keep there, for example to a registration among their other
            // settings, may lead to where the plugin decides.
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

/// Checks that no file of Keystead's own that has hard links has another name in a directory to be
/// granted.
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

/// Returns whether a plugin that this user runs cannot get there either.
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
    // Not parsed like a manifest: a filled-in path may have braces, or any other character.
    let path = |text: &'_ String| match text.strip_prefix("replace:") {
        Some(path) => Some(PathBuf::from(path)),
        None => text.strip_prefix("files:")?.strip_suffix(":rw").map(PathBuf::from),
    };
    grants.iter().filter_map(path)
}

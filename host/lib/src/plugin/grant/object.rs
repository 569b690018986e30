//! The granted paths as open files and directories, and the missing writable paths that the host
//! creates.

use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::Error;
use super::boundary::{Boundaries, io};
use crate::fs::object::{Object, Place, Target, look_up};
use crate::platform::mount::Mounts;
use crate::plugin::inspect::{FileAccess, Permission};

/// A granted path and its target.
#[derive(Debug)]
pub(crate) struct GrantedPath {
    name: String,
    access: FileAccess,
    target: Target,
}

impl GrantedPath {
    /// Returns the path as granted, by which the plugin knows it. A directory's path ends with `/`.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Returns the granted access.
    pub(crate) fn access(&self) -> FileAccess {
        self.access
    }

    /// Returns the target's path, unless it equals the granted one.
    pub(super) fn elsewhere(&self) -> Option<PathBuf> {
        self.target.path().ok().filter(|path| path != Path::new(&self.name))
    }

    /// Returns the open target; `None` if nothing is there.
    pub(crate) fn object(&self) -> Option<&Object> {
        self.target.object.as_ref()
    }
}

/// Why a path is not opened.
enum Stop {
    /// The path lies in a directory that the plugin itself may write, where it could have put a
    /// link that leads out. The rule for that directory is all that covers the path.
    InOwnDir,
    Error(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl From<crate::fs::Error> for Stop {
    fn from(error: crate::fs::Error) -> Self {
        Self::Error(error.into())
    }
}

/// Returns the target of a file that the host replaces for a plugin, looked up like every grant.
///
/// # Errors
/// [`Error`]; the target exists and is no file.
pub(crate) fn replaced(path: &Path, boundaries: &Boundaries) -> Result<Target, Error> {
    let target = look_up(path, &mut |link| boundaries.follow(path, link))?;
    boundaries.keep_off_own(path, &target)?;
    let system = rustix::fs::fstatfs(target.holder.as_fd()).map_err(|error| io(path, error))?;
    // In `/proc` the host would read its own data.
    let found = match &target.object {
        _ if system.f_type == rustix::fs::PROC_SUPER_MAGIC => Some("something of the kernel's"),
        Some(object) => object.not_a_file().map_err(|error| io(path, error))?,
        None => None,
    };
    match found {
        Some(found) => Err(crate::fs::Error::NotAFile { path: path.to_owned(), found }.into()),
        None => Ok(target),
    }
}

/// Checks the files that the host replaces, and returns the targets of those that lead elsewhere
/// than their names say.
pub(super) fn check_replaced(
    permissions: &[Permission],
    boundaries: &Boundaries,
) -> Result<Vec<(String, PathBuf)>, Error> {
    let mut elsewhere = Vec::new();
    for permission in permissions {
        let Permission::Replace { template } = permission else { continue };
        let target = replaced(Path::new(template), boundaries)?;
        let path = target.path().ok().filter(|path| path != Path::new(template));
        elsewhere.extend(path.map(|path| (template.clone(), path)));
    }
    Ok(elsewhere)
}

/// Opens the targets of these permissions. Writable paths come first, as they decide about the
/// links of the other paths.
pub(super) fn resolve(
    permissions: &[Permission],
    boundaries: &Boundaries,
) -> Result<Vec<GrantedPath>, Error> {
    let mut files: Vec<(&str, FileAccess)> = Vec::new();
    for permission in permissions {
        if let Permission::Files { template, access } = permission {
            files.push((template, *access));
        }
    }
    files.sort_by_key(|(path, access)| (*access == FileAccess::Read, path.len()));
    let count = files.len();
    let mut paths: Vec<GrantedPath> = Vec::new();
    let mut dirs: Vec<Place> = Vec::new();
    for (path, access) in files {
        let target = match opened(Path::new(path), &dirs, boundaries) {
            Ok(target) => target,
            Err(Stop::InOwnDir) => continue,
            Err(Stop::Error(error)) => return Err(error),
        };
        if access == FileAccess::ReadWrite {
            boundaries.keep_off_own(Path::new(path), &target)?;
            let is_dir = target.object.as_ref().map_or(path.ends_with('/'), Object::is_dir);
            // Only if there are other paths: their links are checked.
            if is_dir && count > 1 {
                let mounts = Mounts::read().map_err(|error| io(Path::new(path), error))?;
                dirs.push(Place::of(&target, &mounts).map_err(|error| io(Path::new(path), error))?);
            }
        }
        paths.push(GrantedPath { name: path.to_owned(), access, target });
    }
    Ok(paths)
}

fn opened(path: &Path, dirs: &[Place], boundaries: &Boundaries) -> Result<Target, Stop> {
    let is_in_own = |place: &Place| dirs.iter().any(|dir| place.is_within(dir));
    let mounts = || Mounts::read().map_err(|error| Stop::Error(io(path, error)));
    let target = look_up(path, &mut |link| {
        if !dirs.is_empty() {
            let place = link.place(&mounts()?).map_err(|error| Stop::Error(io(path, error)))?;
            if is_in_own(&place) {
                return Err(Stop::InOwnDir);
            }
        }
        boundaries.follow(path, link).map_err(Stop::Error)
    })?;
    if !dirs.is_empty() {
        let place = Place::of(&target, &mounts()?).map_err(|error| Stop::Error(io(path, error)))?;
        if is_in_own(&place) {
            return Err(Stop::InOwnDir);
        }
    }
    Ok(target)
}

/// Paths created for a plugin, in order of creation. Dropping it removes those still empty.
#[derive(Debug, Default)]
pub(crate) struct CreatedPaths(Vec<MadeEntry>);

#[derive(Debug)]
struct MadeEntry {
    holder: OwnedFd,
    name: OsString,
    is_dir: bool,
}

impl Drop for CreatedPaths {
    fn drop(&mut self) {
        self.undo();
    }
}

impl super::Granted {
    /// Creates missing paths that the plugin may write, with the directories above them: a
    /// directory or an empty file. A path that cannot be created stays missing. The plugin then
    /// reports it, as it would without a sandbox.
    pub(crate) fn make_missing(&self) -> CreatedPaths {
        let mut made = CreatedPaths::default();
        for path in self.paths.iter() {
            if path.access == FileAccess::ReadWrite && path.target.object.is_none() {
                // A path created in part is removed again if it stays empty.
                let _ = made.make(&path.target, path.name.ends_with('/'));
            }
        }
        made
    }
}

impl CreatedPaths {
    /// Returns whether no path was created.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Creates the missing names of a target below the open directory, without a path: no other
    /// process can put a link in the way.
    fn make(&mut self, target: &Target, is_dir: bool) -> Result<(), Errno> {
        let Some((last, above)) = target.names.split_last() else { return Ok(()) };
        let mut holder = target.holder.as_fd().try_clone_to_owned().map_err(|_| Errno::MFILE)?;
        for name in above {
            holder = self.make_dir(holder, name)?;
        }
        if is_dir {
            return self.make_dir(holder, last).map(drop);
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        match rustix::fs::openat(&holder, last, flags, Mode::from_raw_mode(crate::fs::PRIVATE_FILE))
        {
            Ok(_) => self.0.push(MadeEntry { holder, name: last.clone(), is_dir: false }),
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn make_dir(&mut self, holder: OwnedFd, name: &OsString) -> Result<OwnedFd, Errno> {
        let mode = Mode::from_raw_mode(crate::fs::PRIVATE_DIR);
        let is_new = match rustix::fs::mkdirat(&holder, name, mode) {
            Ok(()) => true,
            Err(Errno::EXIST) => false,
            Err(error) => return Err(error),
        };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(&holder, name, flags, Mode::empty());
        if is_new {
            self.0.push(MadeEntry { holder, name: name.clone(), is_dir: true });
        }
        opened
    }

    /// Keeps the created paths for good.
    pub(crate) fn keep(&mut self) {
        self.0.clear();
    }

    /// Removes created paths that are still empty.
    pub(crate) fn undo(&mut self) {
        for MadeEntry { holder, name, is_dir } in self.0.drain(..).rev() {
            let _ = match is_dir {
                // The system does not remove a directory that has entries.
                true => rustix::fs::unlinkat(&holder, &name, AtFlags::REMOVEDIR),
                false if is_empty_file(holder.as_fd(), &name) => {
                    rustix::fs::unlinkat(&holder, &name, AtFlags::empty())
                }
                false => Ok(()),
            };
        }
    }
}

fn is_empty_file(holder: BorrowedFd<'_>, name: &OsString) -> bool {
    let found = rustix::fs::statat(holder, name, AtFlags::SYMLINK_NOFOLLOW);
    found.is_ok_and(|stat| {
        stat.st_size == 0
            && rustix::fs::FileType::from_raw_mode(stat.st_mode)
                == rustix::fs::FileType::RegularFile
    })
}

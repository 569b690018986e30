//! Files that the host reads for a plugin and replaces as a whole, by its permissions
//! `replace:PATH`, in either placement. Each call resolves the file anew, like a grant.

mod temporary;
#[cfg(test)]
mod tests;
mod version;

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::{File, TryLockError};
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::thread;
use std::time::Duration;

use keystead_plugin_api::{
    Deadline, Error, ErrorDetail, FileContent, FileRead, FileReplaced, MAX_FILE_BYTES,
    ReadFileRequest, ReplaceFileRequest, Result, SecretBytes,
};
use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags, StatxAttributes, StatxFlags};
use rustix::io::Errno;

use super::grant::{Boundaries, replaced};
use super::inspect::Permission;
use crate::error::{story, visible};
use crate::fs::object::{Object, Target};
use crate::host::BY_HOST;
use crate::ids;
use crate::platform::attributes;
use crate::platform::mount::Mounts;
use temporary::Temporary;
use version::Version;

/// Pause before the next try of a lock that another process holds.
const PAUSE: Duration = Duration::from_millis(10);

/// Maximum number of reads of a file that another program writes to meanwhile.
const TRIES: u32 = 5;

/// The files that the host replaces for one plugin, and their boundaries.
#[derive(Debug, Clone, Default)]
pub(crate) struct Files {
    granted: BTreeSet<String>,
    boundaries: Boundaries,
}

impl Files {
    /// Returns the files among these permissions, all of which are granted.
    pub(crate) fn among(granted: &[Permission], boundaries: impl FnOnce() -> Boundaries) -> Self {
        let path = |permission: &Permission| match permission {
            Permission::Replace { template } => Some(template.clone()),
            _ => None,
        };
        let granted: BTreeSet<_> = granted.iter().filter_map(path).collect();
        match granted.is_empty() {
            true => Self::default(),
            false => Self { granted, boundaries: boundaries() },
        }
    }

    /// Checks that a path is the granted path of one of the files.
    ///
    /// # Errors
    /// [`ErrorDetail::NotGranted`].
    pub(crate) fn permit(&self, path: &str) -> Result<()> {
        if self.granted.contains(path) {
            return Ok(());
        }
        let message = format!("replacing the file `{}` is not granted", visible(path));
        Err(Error::detailed(ErrorDetail::NotGranted, message))
    }

    /// Reads one of the files.
    ///
    /// # Errors
    /// As for [`keystead_plugin_api::Context::read_file`].
    pub(crate) fn read(&self, request: &ReadFileRequest) -> Result<FileRead> {
        self.permit(&request.path)?;
        let path = Path::new(&request.path);
        let Some(object) = self.find(path)?.object else { return Ok(FileRead::new(None)) };
        let file = object.reopened().map_err(|error| failed("read", path, error))?;
        let (content, version) = content_of(&file, path)?;
        Ok(FileRead::new(Some(FileContent::new(content, version.text()))))
    }

    /// Replaces one of the files, or creates it.
    ///
    /// # Errors
    /// As for [`keystead_plugin_api::Context::replace_file`].
    pub(crate) fn replace(&self, request: &ReplaceFileRequest) -> Result<FileReplaced> {
        self.permit(&request.path)?;
        ids::check().map_err(|refusal| Error::permission_denied(refusal.to_string()))?;
        let path = Path::new(&request.path);
        let content = request.content.expose();
        if content.len() > MAX_FILE_BYTES {
            return Err(too_large(path, content.len() as u64));
        }
        let expected = request.expected.as_deref().map(Version::parse).transpose()?;
        loop {
            let target = self.find(path)?;
            let new = New { path, content, deadline: request.deadline };
            let done = match (&target.object, &expected) {
                (Some(object), Some(expected)) => new.in_place_of(object, &target, expected)?,
                (None, None) => Some(new.where_nothing_is(&target)?),
                (Some(object), None) => {
                    let file = object.reopened().map_err(|error| failed("read", path, error))?;
                    return Err(changed(path, None, Some(&content_of(&file, path)?.1)));
                }
                (None, Some(expected)) => return Err(changed(path, Some(expected), None)),
            };
            if let Some(version) = done {
                return Ok(FileReplaced::new(version.text()));
            }
            // Another process replaced the file while this process waited.
        }
    }

    fn find(&self, path: &Path) -> Result<Target> {
        let found = replaced(path, &self.boundaries);
        found.map_err(|error| {
            let (path, why) = (path.display(), story(&error));
            Error::permission_denied(format!("{BY_HOST} use `{path}`: {why}"))
        })
    }
}

/// New content of a path.
struct New<'a> {
    path: &'a Path,
    content: &'a [u8],
    deadline: Deadline,
}

impl New<'_> {
    /// Replaces a file if it has the expected version. Returns `None` if the name stands for
    /// another file by now.
    fn in_place_of(
        &self,
        object: &Object,
        target: &Target,
        expected: &Version,
    ) -> Result<Option<Version>> {
        let path = self.path;
        let cannot = |error: Errno| failed("replace", path, error);
        let name = last(target, path)?;
        let dir = opened(&target.holder).map_err(cannot)?;
        // One replacement at a time. The file itself is locked, so no lock file is left.
        let held = Held::wait(object, path, self.deadline)?;
        if !is_at(&held.0, &dir, name).map_err(cannot)? {
            return Ok(None);
        }
        check_state(&held.0, path)?;
        let (_, now) = content_of(&held.0, path)?;
        if !now.has_content_of(expected) {
            return Err(changed(path, Some(expected), Some(&now)));
        }
        let owner = rustix::fs::fstat(&held.0).map_err(cannot)?.st_uid;
        let mut new = Temporary::make(&dir, name, owner, path, self.deadline)?;
        new.fill(self.content).map_err(cannot)?;
        attributes::keep(&held.0, new.file(), path)?;
        new.sync().map_err(cannot)?;
        match rustix::fs::renameat_with(&dir, new.name(), &dir, name, RenameFlags::EXCHANGE) {
            Ok(()) => {
                // The old file has the temporary name now. If it is not the compared file, another
                // program was faster, and its file goes back. The inode number proves nothing: a
                // file of a lower layer may get another number by a rename.
                let was = found_at(&dir, new.name(), path)?;
                if !was.is_some_and(|was| was.has_content_of(expected)) {
                    new.exchange_back(name).map_err(cannot)?;
                    let now = found_at(&dir, name, path)?;
                    return Err(changed(path, Some(expected), now.as_ref()));
                }
                new.remove_replaced();
            }
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                if !is_at(&held.0, &dir, name).map_err(cannot)? {
                    return Ok(None);
                }
                rustix::fs::renameat(&dir, new.name(), &dir, name).map_err(cannot)?;
                new.has_moved();
            }
            Err(error) => return Err(cannot(error)),
        }
        rustix::fs::fsync(&dir).map_err(cannot)?;
        let stat = rustix::fs::fstat(new.file()).map_err(cannot)?;
        Ok(Some(Version::of(self.content, &stat)))
    }

    /// Creates a file where none exists.
    fn where_nothing_is(&self, target: &Target) -> Result<Version> {
        let path = self.path;
        let cannot = |error: Errno| failed("create", path, error);
        let name = last(target, path)?;
        let dir = opened(&target.holder).map_err(cannot)?;
        let owner = rustix::process::geteuid().as_raw();
        let mut new = Temporary::make(&dir, name, owner, path, self.deadline)?;
        new.fill(self.content).map_err(cannot)?;
        new.sync().map_err(cannot)?;
        match new.move_where_nothing_is(name) {
            Ok(()) => {}
            Err(Errno::EXIST) => {
                let now = found_at(&dir, name, path)?;
                return Err(changed(path, None, now.as_ref()));
            }
            Err(error) => return Err(cannot(error)),
        }
        rustix::fs::fsync(&dir).map_err(cannot)?;
        let stat = rustix::fs::fstat(new.file()).map_err(cannot)?;
        Ok(Version::of(self.content, &stat))
    }
}

/// A file that this process alone replaces.
struct Held(File);

impl Held {
    fn wait(object: &Object, path: &Path, deadline: Deadline) -> Result<Self> {
        let mut file = object.reopened().map_err(|error| failed("read", path, error))?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self(file)),
                Err(TryLockError::WouldBlock) => wait(path, deadline)?,
                // A network file system locks only files that are open for writing.
                Err(TryLockError::Error(error))
                    if Errno::from_io_error(&error) == Some(Errno::BADF) =>
                {
                    file =
                        object.reopened_to_write().map_err(|error| failed("lock", path, error))?;
                }
                Err(TryLockError::Error(error)) => {
                    return Err(Error::unavailable(format!(
                        "{BY_HOST} lock `{}`: {error}",
                        path.display()
                    )));
                }
            }
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // A child that is being started may have the description for a moment.
        let _ = self.0.unlock();
    }
}

/// Waits a moment for another process.
///
/// # Errors
/// Timed out, at the deadline.
fn wait(path: &Path, deadline: Deadline) -> Result<()> {
    let left = deadline.remaining();
    if left.is_zero() {
        let path = path.display();
        let message = format!("another process is replacing `{path}`");
        return Err(Error::new(keystead_plugin_api::ErrorKind::TimedOut, message));
    }
    thread::sleep(left.min(PAUSE));
    Ok(())
}

/// Returns the name, existing or new, in the directory of a target.
fn last<'t>(target: &'t Target, path: &Path) -> Result<&'t OsString> {
    match target.names.as_slice() {
        [name] => Ok(name),
        _ => Err(Error::unavailable(format!("the directory of `{}` is not there", path.display()))),
    }
}

/// Opens a directory for reading, as needed to write its changes to the disk.
fn opened(dir: &Object) -> std::result::Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(dir.as_fd(), ".", flags, Mode::empty())
}

/// Returns whether a name of a directory stands for this very file.
fn is_at(file: &File, dir: &OwnedFd, name: &OsStr) -> std::result::Result<bool, Errno> {
    let there = match rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(there) => there,
        Err(Errno::NOENT) => return Ok(false),
        Err(error) => return Err(error),
    };
    let own = rustix::fs::fstat(file)?;
    Ok((there.st_dev, there.st_ino) == (own.st_dev, own.st_ino))
}

/// Checks that a file has one name and no mount on it, is mounted nowhere, and is no program with
/// its owner's rights. Another name or mount keeps the old content, and a mounted file cannot be
/// replaced. With such a program the plugin decides what runs with these rights.
fn check_state(file: &File, path: &Path) -> Result<()> {
    let cannot = |why: &str| {
        Err(Error::unavailable(format!("{BY_HOST} replace `{}`: {why}", path.display())))
    };
    let found = rustix::fs::statx(file, "", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS)
        .map_err(|error| failed("replace", path, error))?;
    if found.stx_nlink > 1 {
        return cannot("it has a second name (a hard link), which would keep the old content");
    }
    if found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT) {
        return cannot("it is a mount point");
    }
    if Mounts::read()
        .and_then(|mounts| mounts.is_mounted(file.as_fd()))
        .map_err(|error| failed("replace", path, error))?
    {
        return cannot("it is mounted at another place as well, which would keep the old content");
    }
    let has_capabilities = rustix::fs::fgetxattr_query(file, "security.capability").is_ok();
    if found.stx_mode & 0o6000 != 0 || has_capabilities {
        return cannot("it is a program that runs with rights of its own");
    }
    Ok(())
}

/// Returns a file's content and version. A file that changes meanwhile is read again.
fn content_of(file: &File, path: &Path) -> Result<(SecretBytes, Version)> {
    let failed = |error: std::io::Error| {
        Error::unavailable(format!("{BY_HOST} read `{}`: {error}", path.display()))
    };
    let state = || rustix::fs::fstat(file).map_err(|error| failed(error.into()));
    for _ in 0..TRIES {
        let before = state()?;
        let size = u64::try_from(before.st_size).unwrap_or(0);
        if size > MAX_FILE_BYTES as u64 {
            return Err(too_large(path, size));
        }
        // One byte more than expected: growth shows, and the buffer leaves no copy by growing.
        let mut content = Vec::with_capacity(size as usize + 1);
        let mut reader = file;
        rustix::fs::seek(reader, rustix::fs::SeekFrom::Start(0))
            .map_err(|error| failed(error.into()))?;
        let read = reader.by_ref().take(size + 1).read_to_end(&mut content);
        let content = SecretBytes::new(content);
        read.map_err(failed)?;
        let after = state()?;
        let times = |stat: &rustix::fs::Stat| (stat.st_mtime, stat.st_mtime_nsec, stat.st_size);
        if times(&before) == times(&after) && content.expose().len() as u64 == size {
            let version = Version::of(content.expose(), &after);
            return Ok((content, version));
        }
        thread::sleep(PAUSE);
    }
    Err(Error::unavailable(format!("another program is writing to `{}`", path.display())))
}

/// Returns, for an error, the version of the file that a name of a directory stands for. Returns
/// `None` if the name does not exist or is no file.
fn found_at(dir: &OwnedFd, name: &OsStr, path: &Path) -> Result<Option<Version>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    match rustix::fs::openat(dir, name, flags, Mode::empty()) {
        Ok(found) => Ok(content_of(&File::from(found), path).ok().map(|(_, version)| version)),
        Err(_) => Ok(None),
    }
}

/// Returns the error of a file that differs from what the plugin read, with its version now.
fn changed(path: &Path, read: Option<&Version>, now: Option<&Version>) -> Error {
    let was = match read {
        Some(version) => format!("it had {version}"),
        None => "it was not there".to_owned(),
    };
    let is = match now {
        Some(version) => format!("has {version}"),
        None => "is not there now".to_owned(),
    };
    let path = path.display();
    let message = format!("`{path}` is no longer what the vault read: {was}, and {is}");
    Error::detailed(ErrorDetail::Conflict, message)
}

fn too_large(path: &Path, size: u64) -> Error {
    let path = path.display();
    Error::invalid(format!("`{path}` has {size} bytes; the most is {MAX_FILE_BYTES}"))
}

fn failed(what: &str, path: &Path, error: Errno) -> Error {
    let message = format!("{BY_HOST} {what} `{}`: {error}", path.display());
    match error {
        Errno::ACCESS | Errno::PERM | Errno::ROFS => Error::permission_denied(message),
        _ => Error::unavailable(message),
    }
}

//! The new file before it has its final name. It lies in the same directory, under a name derived
//! from the file's, and is locked while its process lives. The next process finds and removes the
//! file of a killed one.

use std::ffi::{OsStr, OsString};
use std::fs::{File, TryLockError};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::Path;

use keystead_plugin_api::{Deadline, Error, Result};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

use super::{failed, is_at, wait};
use crate::host::BY_HOST;

/// Prefix of each temporary name.
const PREFIX: &str = ".keystead-replace-";

/// Number of temporary names of a file. The next name is used if another user's file has the first,
/// which this user may be unable to remove.
const NAMES: u32 = 8;

/// A new file; dropping it removes the file, unless it has its final name.
pub(super) struct Temporary<'f> {
    dir: &'f OwnedFd,
    name: OsString,
    file: File,
    /// Whether dropping this value removes the file by its temporary name.
    is_there: bool,
}

/// Returns a temporary name for the file with this name. File names may have the maximum length;
/// the hash is short.
pub(super) fn name_for(name: &OsStr, number: u32) -> OsString {
    let hash = Sha256::digest(name.as_encoded_bytes());
    let hash: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    match number {
        0 => format!("{PREFIX}{hash}").into(),
        _ => format!("{PREFIX}{hash}-{number}").into(),
    }
}

impl<'f> Temporary<'f> {
    /// Creates an empty file for its user alone. Removes a left-over of another process if it
    /// belongs to the user, to `owner` or to root. Waits for a process that still uses such a file.
    /// Skips a name whose file cannot be removed.
    ///
    /// # Errors
    /// Timed out; other users' files have all names; the system's errors.
    pub(super) fn make(
        dir: &'f OwnedFd,
        name: &OsStr,
        owner: u32,
        path: &Path,
        deadline: Deadline,
    ) -> Result<Self> {
        let cannot = |error: Errno| failed("replace", path, error);
        let (of, mut number) = (name, 0);
        let mut name = name_for(of, number);
        loop {
            let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
            let mode = Mode::from_raw_mode(crate::fs::PRIVATE_FILE);
            match rustix::fs::openat(dir, &*name, flags | OFlags::CLOEXEC, mode) {
                Ok(made) => {
                    let file = File::from(made);
                    let new = Self { dir, name: name.clone(), file, is_there: true };
                    // Meanwhile another process may have taken the new file for a left-over.
                    match new.file.try_lock() {
                        Ok(()) if is_at(&new.file, dir, &name).map_err(cannot)? => {
                            return Ok(new);
                        }
                        Ok(()) | Err(TryLockError::WouldBlock) => wait(path, deadline)?,
                        Err(TryLockError::Error(error)) => {
                            let path = path.display();
                            let message =
                                format!("{BY_HOST} lock a new file for `{path}`: {error}");
                            return Err(Error::unavailable(message));
                        }
                    }
                }
                Err(Errno::EXIST) => match remove_left_over(dir, &name, owner) {
                    LeftOver::Gone => {}
                    LeftOver::InUse => wait(path, deadline)?,
                    LeftOver::InTheWay(_) if number + 1 < NAMES => {
                        number += 1;
                        name = name_for(of, number);
                    }
                    LeftOver::InTheWay(why) => {
                        let (path, name) = (path.display(), name.display());
                        return Err(Error::unavailable(format!(
                            "{BY_HOST} replace `{path}`: `{name}` is in the way: {why}"
                        )));
                    }
                },
                Err(error) => return Err(cannot(error)),
            }
        }
    }

    /// Returns the file's temporary name.
    pub(super) fn name(&self) -> &OsStr {
        &self.name
    }

    /// Returns the file.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Writes the whole content.
    pub(super) fn fill(&mut self, content: &[u8]) -> std::result::Result<(), Errno> {
        let written = self.file.write_all(content);
        written.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
    }

    /// Flushes the file to the disk.
    pub(super) fn sync(&self) -> std::result::Result<(), Errno> {
        rustix::fs::fsync(&self.file)
    }

    /// Renames the file to a name that is free.
    pub(super) fn move_where_nothing_is(&mut self, name: &OsStr) -> std::result::Result<(), Errno> {
        let dir = self.dir;
        match rustix::fs::renameat_with(dir, &*self.name, dir, name, RenameFlags::NOREPLACE) {
            Ok(()) => self.has_moved(),
            // Some file systems support only links, which leave the first name for `drop`.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                rustix::fs::linkat(dir, &*self.name, dir, name, AtFlags::empty())?;
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Records that the file has its final name, and the temporary name is gone.
    pub(super) fn has_moved(&mut self) {
        self.is_there = false;
    }

    /// Removes the file that was replaced.
    pub(super) fn remove_replaced(&mut self) {
        // If this fails, the file is a left-over.
        let _ = rustix::fs::unlinkat(self.dir, &*self.name, AtFlags::empty());
        self.has_moved();
    }

    /// Exchanges the two names back, unless another program has replaced the new file already.
    pub(super) fn exchange_back(&mut self, name: &OsStr) -> std::result::Result<(), Errno> {
        let dir = self.dir;
        let exchange =
            || rustix::fs::renameat_with(dir, &*self.name, dir, name, RenameFlags::EXCHANGE);
        exchange()?;
        if !is_at(&self.file, dir, &self.name)? {
            // Another program has replaced the new file meanwhile: that program's file stays.
            exchange()?;
            self.remove_replaced();
        }
        Ok(())
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        // Not a file that another process put there.
        if self.is_there && is_at(&self.file, self.dir, &self.name).unwrap_or(false) {
            let _ = rustix::fs::unlinkat(self.dir, &*self.name, AtFlags::empty());
        }
        let _ = self.file.unlock();
    }
}

/// Result of removing a file with the temporary name.
enum LeftOver {
    Gone,
    InUse,
    /// The file stays; the text is the reason.
    InTheWay(String),
}

/// Removes a killed process's file; keeps those of running processes and possible user files.
fn remove_left_over(dir: &OwnedFd, name: &OsStr, owner: u32) -> LeftOver {
    let in_the_way = |error: Errno| LeftOver::InTheWay(error.to_string());
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let found = match rustix::fs::openat(dir, name, flags, Mode::empty()) {
        Ok(found) => File::from(found),
        Err(Errno::NOENT) => return LeftOver::Gone,
        Err(error) => return in_the_way(error),
    };
    let stat = match rustix::fs::fstat(&found) {
        Ok(stat) => stat,
        Err(error) => return in_the_way(error),
    };
    let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    let own = [rustix::process::geteuid().as_raw(), owner, 0];
    if !is_file || !own.contains(&stat.st_uid) {
        return LeftOver::InTheWay("it is not Keystead's".to_owned());
    }
    if found.try_lock().is_err() {
        return LeftOver::InUse;
    }
    if is_at(&found, dir, name).unwrap_or(false)
        && let Err(error) = rustix::fs::unlinkat(dir, name, AtFlags::empty())
    {
        return in_the_way(error);
    }
    let _ = found.unlock();
    LeftOver::Gone
}

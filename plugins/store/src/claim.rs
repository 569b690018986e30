//! Registry of this process's open files. POSIX locks belong to a process, and closing a file drops
//! all of them: SQLite respects this only for files that it opened itself. Two loaded copies of
//! this plugin, as after an upgrade in a running process, have two separate SQLites, so the second
//! one refuses.
//!
//! The process may also close a vault's file behind SQLite. The file's descriptor may then belong
//! to another file, which is neither written to nor closed.

use std::fs;
use std::ops::{Deref, DerefMut};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use keystead_plugin_api::{Error, Result};
use rusqlite::Connection;

/// Identity of a file, whatever its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileId {
    pub(crate) device: u64,
    pub(crate) inode: u64,
}

/// Number of an open file.
type Descriptor = u32;

/// Files that this copy of the plugin has open, once for each connection. This state belongs to the
/// process, not to a vault. Locked while a file is opened, to identify its descriptor.
static OPEN: Mutex<Vec<FileId>> = Mutex::new(Vec::new());

/// One open file, until dropped.
struct Claim {
    file: FileId,
    /// `None` if there is no `/proc`, or if SQLite reused an open file.
    descriptor: Option<Descriptor>,
}

impl Claim {
    /// Opens a file and registers it. `open` gets whether the file is not yet open in this process.
    ///
    /// # Errors
    /// `Unavailable` if another copy of this plugin has the file open in this process; errors of
    /// `open`.
    fn of<T>(file: FileId, path: &Path, open: impl FnOnce(bool) -> Result<T>) -> Result<(Self, T)> {
        let mut claims = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        let here = || descriptors().filter(|descriptor| is_of(*descriptor, file));
        let before: Vec<Descriptor> = here().collect();
        if !claims.contains(&file) && !before.is_empty() {
            return Err(Error::unavailable(format!(
                "{} is open already in this process, outside this copy of the plugin",
                path.display()
            )));
        }
        let opened = open(!claims.contains(&file))?;
        let descriptor = here().find(|descriptor| !before.contains(descriptor));
        claims.push(file);
        Ok((Self { file, descriptor }, opened))
    }

    /// Returns whether the descriptor still belongs to the file. If not, other code has closed it.
    fn is_open(&self) -> bool {
        self.descriptor.is_none_or(|descriptor| is_of(descriptor, self.file))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut claims = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = claims.iter().position(|file| *file == self.file) {
            claims.swap_remove(at);
        }
    }
}

/// Returns the descriptors of all open files of this process. Without `/proc` there are none, and a
/// runner has only one vault.
fn descriptors() -> impl Iterator<Item = Descriptor> {
    let entries = fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn is_of(descriptor: Descriptor, file: FileId) -> bool {
    fs::metadata(format!("/proc/self/fd/{descriptor}"))
        .is_ok_and(|found| found.dev() == file.device && found.ino() == file.inode)
}

/// A connection to a registered file.
pub(crate) struct Claimed {
    /// `None` only during the drop.
    connection: Option<Connection>,
    claim: Claim,
}

impl Claimed {
    /// Opens a file that only this copy of the plugin may have open in this process. `open` gets
    /// whether the file is not yet open at all.
    ///
    /// # Errors
    /// `Unavailable` if other code has the file open; errors of `open`.
    pub(crate) fn open(
        file: FileId,
        path: &Path,
        open: impl FnOnce(bool) -> Result<Connection>,
    ) -> Result<Self> {
        let (claim, connection) = Claim::of(file, path, open)?;
        Ok(Self { connection: Some(connection), claim })
    }

    /// Returns whether the connection's file is still open.
    pub(crate) fn is_open(&self) -> bool {
        self.claim.is_open()
    }
}

impl Deref for Claimed {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection.as_ref().expect("it is there until it is dropped")
    }
}

impl DerefMut for Claimed {
    fn deref_mut(&mut self) -> &mut Connection {
        self.connection.as_mut().expect("it is there until it is dropped")
    }
}

impl Drop for Claimed {
    fn drop(&mut self) {
        let connection = self.connection.take();
        if !self.claim.is_open() {
            // Closing the connection would close another owner's file.
            std::mem::forget(connection);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_opened_elsewhere_is_rejected_and_own_handle_shared() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let found = file.as_file().metadata().unwrap();
        let id = FileId { device: found.dev(), inode: found.ino() };
        // The test's own descriptor stands for that of another copy.
        assert!(Claim::of(id, file.path(), |_| Ok(())).is_err());
        let other = tempfile::NamedTempFile::new().unwrap();
        let path = other.into_temp_path();
        let found = fs::metadata(&path).unwrap();
        let id = FileId { device: found.dev(), inode: found.ino() };
        let open = |_| Ok(fs::File::open(&path).unwrap());
        let (first, one) = Claim::of(id, &path, open).unwrap();
        let (second, two) = Claim::of(id, &path, open).unwrap();
        assert!(first.is_open() && second.is_open());
        drop(one);
        assert!(!first.is_open() && second.is_open());
        drop(first);
        drop(second);
        // The remaining descriptor belongs to no claim.
        assert!(Claim::of(id, &path, open).is_err());
        drop(two);
        assert!(Claim::of(id, &path, open).is_ok());
    }
}

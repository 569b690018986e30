//! Which files this process has open. POSIX locks belong to a process, and closing a file takes
//! all of them away: SQLite minds that among the files that it opened itself. Two loaded copies
//! of this plugin, as after an upgrade in a process that stays, have two SQLites that know
//! nothing of each other, so the second one refuses.
//!
//! And a process may close what is not its own: what then has the number of a vault's file is
//! another file, which is neither written to nor closed.

use std::fs;
use std::ops::{Deref, DerefMut};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use keystead_plugin_api::{Error, Result};
use rusqlite::Connection;

/// Which file this is, whatever its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileId {
    pub(crate) device: u64,
    pub(crate) inode: u64,
}

/// The number of an open file.
type Descriptor = u32;

/// What this copy of the plugin has open, once for each connection. Not a vault's state: it is
/// about the process. Held while a file is opened, so that its number is known for certain.
static OPEN: Mutex<Vec<FileId>> = Mutex::new(Vec::new());

/// One open file, until it is dropped.
struct Claim {
    file: FileId,
    /// Not known where `/proc` is not there, or where SQLite took an open file up again.
    descriptor: Option<Descriptor>,
}

impl Claim {
    /// Opens a file and notes it. `open` is told whether nothing in this process has it open.
    ///
    /// # Errors
    /// `Unavailable` where another copy of this plugin has it open in this process; those of
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

    /// Says whether the number is still that file's. It was closed by somebody else, if not.
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

/// Returns the numbers of all open files of this process. Where `/proc` is not there it cannot be
/// said, and a runner has but one vault.
fn descriptors() -> impl Iterator<Item = Descriptor> {
    let entries = fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn is_of(descriptor: Descriptor, file: FileId) -> bool {
    fs::metadata(format!("/proc/self/fd/{descriptor}"))
        .is_ok_and(|found| found.dev() == file.device && found.ino() == file.inode)
}

/// A connection to a file that was claimed.
pub(crate) struct Claimed {
    /// Gone only when it is dropped.
    connection: Option<Connection>,
    claim: Claim,
}

impl Claimed {
    /// Opens a file that nothing but this copy of the plugin has open in this process. `open` is
    /// told whether that has not either.
    ///
    /// # Errors
    /// `Unavailable` where something has; those of `open`.
    pub(crate) fn open(
        file: FileId,
        path: &Path,
        open: impl FnOnce(bool) -> Result<Connection>,
    ) -> Result<Self> {
        let (claim, connection) = Claim::of(file, path, open)?;
        Ok(Self { connection: Some(connection), claim })
    }

    /// Says whether it still has its file open.
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
            // It would close the file of somebody else.
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
        // The descriptor of this test stands for another copy's.
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
        // What is still open is nobody's of ours.
        assert!(Claim::of(id, &path, open).is_err());
        drop(two);
        assert!(Claim::of(id, &path, open).is_ok());
    }
}

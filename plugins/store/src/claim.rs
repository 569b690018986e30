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

/// What this copy of the plugin has open, with its number where that is known. Not a vault's
/// state: it is about the process.
static OPEN: Mutex<Vec<(FileId, Option<Descriptor>)>> = Mutex::new(Vec::new());

/// One open file, until it is dropped.
pub(crate) struct Claim {
    file: FileId,
    descriptor: Option<Descriptor>,
}

impl Claim {
    /// Notes that a file is about to be opened.
    ///
    /// # Errors
    /// `Unavailable` where another copy of this plugin has it open in this process.
    pub(crate) fn of(file: FileId, path: &Path) -> Result<Self> {
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        let ours = open.iter().any(|(other, _)| *other == file);
        if !ours && descriptors().any(|descriptor| is_of(descriptor, file)) {
            return Err(Error::unavailable(format!(
                "{} is open already in this process, outside this copy of the plugin",
                path.display()
            )));
        }
        open.push((file, None));
        Ok(Self { file, descriptor: None })
    }

    /// Notes by which number it was opened: one of this file that was not noted before.
    fn opened(&mut self) {
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        let known = |descriptor| open.iter().any(|(_, other)| *other == Some(descriptor));
        self.descriptor = descriptors().find(|found| !known(*found) && is_of(*found, self.file));
        if let Some(claim) = open.iter_mut().find(|claim| **claim == (self.file, None)) {
            claim.1 = self.descriptor;
        }
    }

    /// Says whether the number is still that file's. It was closed by somebody else, if not.
    fn is_open(&self) -> bool {
        self.descriptor.is_none_or(|descriptor| is_of(descriptor, self.file))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = open.iter().position(|claim| *claim == (self.file, self.descriptor)) {
            open.swap_remove(at);
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
    pub(crate) fn new(connection: Connection, mut claim: Claim) -> Self {
        claim.opened();
        Self { connection: Some(connection), claim }
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
    fn a_file_that_something_else_has_open_is_refused_and_one_of_ours_is_shared() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let found = file.as_file().metadata().unwrap();
        let id = FileId { device: found.dev(), inode: found.ino() };
        // The descriptor of this test stands for another copy's.
        assert!(Claim::of(id, file.path()).is_err());
        let other = tempfile::NamedTempFile::new().unwrap();
        let path = other.into_temp_path();
        let found = fs::metadata(&path).unwrap();
        let id = FileId { device: found.dev(), inode: found.ino() };
        let first = Claim::of(id, &path).unwrap();
        *file.as_file_mut() = fs::File::open(&path).unwrap();
        let second = Claim::of(id, &path).unwrap();
        drop(first);
        drop(second);
        assert!(Claim::of(id, &path).is_err());
    }
}

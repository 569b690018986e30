//! Which files this process has open. POSIX locks belong to a process, and closing a file takes
//! all of them away: SQLite minds that among the files that it opened itself. Two loaded copies
//! of this plugin, as after an upgrade in a process that stays, have two SQLites that know
//! nothing of each other, so the second one refuses.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use keystead_plugin_api::{Error, Result};

/// Which file this is, whatever its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileId {
    pub(crate) device: u64,
    pub(crate) inode: u64,
}

/// What this copy of the plugin has open. Not a vault's state: it is about the process.
static OPEN: Mutex<Vec<FileId>> = Mutex::new(Vec::new());

/// One open file, until it is dropped.
pub(crate) struct Claim(FileId);

impl Claim {
    /// Notes that a file is about to be opened.
    ///
    /// # Errors
    /// `Unavailable` where another copy of this plugin has it open in this process.
    pub(crate) fn of(file: FileId, path: &Path) -> Result<Self> {
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        if !open.contains(&file) && is_open_here(file) {
            return Err(Error::unavailable(format!(
                "{} is open already in this process, outside this copy of the plugin",
                path.display()
            )));
        }
        open.push(file);
        Ok(Self(file))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = open.iter().position(|file| *file == self.0) {
            open.swap_remove(at);
        }
    }
}

/// Says whether any descriptor of this process is of this file. Where `/proc` is not there it
/// cannot be said, and a runner has but one vault.
fn is_open_here(file: FileId) -> bool {
    let Ok(descriptors) = fs::read_dir("/proc/self/fd") else { return false };
    descriptors.flatten().any(|descriptor| {
        fs::metadata(descriptor.path())
            .is_ok_and(|found| found.dev() == file.device && found.ino() == file.inode)
    })
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

//! A lock between processes, held on a separate file. The lock is released when it is dropped,
//! or when the process ends for any reason.

use std::fs::{File, TryLockError};
use std::path::Path;

use super::Error;

/// An exclusive lock of this process.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Lock {
    /// Waits for the lock on this file.
    pub(super) fn wait(file: File, path: &Path) -> Result<Self, Error> {
        file.lock().map_err(|source| Error::io("lock", path, source))?;
        Ok(Self { file })
    }

    /// Takes the lock on this file; returns `None` if another holder has it.
    pub(super) fn take(file: File, path: &Path) -> Result<Option<Self>, Error> {
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(Error::io("lock", path, source)),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing also releases the lock, unless a child inherited the file description.
        let _ = self.file.unlock();
    }
}

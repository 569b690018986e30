//! A lock between processes: held on a file of its own, let go when dropped or when the
//! process ends, however it ends.

use std::fs::{File, TryLockError};
use std::path::Path;

use super::Error;

/// A lock that this process holds alone.
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

    /// Takes the lock on this file if nobody has it.
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
        // Closing lets go as well; a child that inherited the description would keep it.
        let _ = self.file.unlock();
    }
}

//! The folder outside the checkout that keeps what is expensive to make again: tools,
//! other compilers, logs. Nothing in it is ever the only copy of anything.

use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::Result;

/// The cache folder: `$KEYSTEAD_CACHE`, else `$XDG_CACHE_HOME/keystead-ci`, else
/// `~/.cache/keystead-ci`.
pub(crate) struct Cache {
    root: PathBuf,
}

impl Cache {
    /// Finds the folder and creates it where it is missing.
    pub(crate) fn open() -> Result<Self> {
        let root = if let Some(own) = absolute("KEYSTEAD_CACHE") {
            own
        } else if let Some(xdg) = absolute("XDG_CACHE_HOME") {
            xdg.join("keystead-ci")
        } else if let Some(home) = absolute("HOME") {
            home.join(".cache/keystead-ci")
        } else {
            return Err(
                "no cache folder: set `KEYSTEAD_CACHE` or `HOME` to an absolute path".into()
            );
        };
        fs_err::create_dir_all(&root)?;
        Ok(Self { root })
    }

    /// Returns the folder itself.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Returns a folder in it, which is created where it is missing.
    pub(crate) fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.root.join(name);
        fs_err::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// Waits until no other run changes the cache, and keeps others waiting until dropped.
    pub(crate) fn lock(&self) -> Result<File> {
        let file = File::create(self.root.join("lock"))?;
        file.lock()?;
        Ok(file)
    }

    /// Returns the search path with the tools kept here before all others.
    pub(crate) fn tools_first(&self) -> OsString {
        let mut path = self.root.join("tools/bin").into_os_string();
        if let Some(inherited) = env::var_os("PATH") {
            path.push(":");
            path.push(inherited);
        }
        path
    }

    /// Returns an emptied folder for the logs of one checkout.
    pub(crate) fn fresh_logs(&self, checkout: &Path) -> Result<PathBuf> {
        let digest = hex(&Sha256::digest(checkout.as_os_str().as_encoded_bytes()));
        let logs = self.root.join("logs").join(&digest[..12]);
        if logs.exists() {
            fs_err::remove_dir_all(&logs)?;
        }
        fs_err::create_dir_all(&logs)?;
        Ok(logs)
    }
}

/// Returns a variable's value where it is an absolute path, as the XDG rules ask.
fn absolute(variable: &str) -> Option<PathBuf> {
    env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute())
}

/// Returns bytes as lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

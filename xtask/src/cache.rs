//! The directory outside the checkout that keeps what is expensive to make again: tools,
//! other compilers, logs. Nothing in it is ever the only copy of anything.

use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::Result;

/// The cache directory.
pub(crate) struct Cache {
    root: PathBuf,
}

impl Cache {
    /// Finds `$KEYSTEAD_CACHE`, else `$XDG_CACHE_HOME/keystead-ci`, else `~/.cache/keystead-ci`, and
    /// creates it where it is missing.
    pub(crate) fn open() -> Result<Self> {
        // As the XDG rules ask: only absolute paths count.
        let absolute =
            |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let root = absolute("KEYSTEAD_CACHE")
            .or_else(|| Some(absolute("XDG_CACHE_HOME")?.join("keystead-ci")))
            .or_else(|| Some(absolute("HOME")?.join(".cache/keystead-ci")))
            .ok_or("no cache directory: set `KEYSTEAD_CACHE` or `HOME` to an absolute path")?;
        fs_err::create_dir_all(&root)?;
        Ok(Self { root })
    }

    /// Returns a path below the directory.
    pub(crate) fn at(&self, name: impl AsRef<Path>) -> PathBuf {
        self.root.join(name)
    }

    /// Returns a directory in it, which is created where it is missing.
    pub(crate) fn dir(&self, name: &str) -> Result<PathBuf> {
        let dir = self.root.join(name);
        fs_err::create_dir_all(&dir)?;
        Ok(dir)
    }

    /// Makes a directory all at once: filled beside its place and renamed, so that one of the right
    /// name is complete.
    pub(crate) fn once(
        &self,
        name: &str,
        fill: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<PathBuf> {
        let done = self.root.join(name);
        if !done.is_dir() {
            println!("making {} once", done.display());
            let fresh = tempfile::Builder::new().prefix(".making-").tempdir_in(&self.root)?;
            fill(fresh.path())?;
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            fs_err::set_permissions(fresh.path(), mode)?;
            fs_err::rename(fresh.keep(), &done)?;
        }
        Ok(done)
    }

    /// Waits until no other run changes the cache, and keeps others waiting until dropped.
    pub(crate) fn lock(&self) -> Result<File> {
        let file = File::create(self.root.join("lock"))?;
        file.lock()?;
        Ok(file)
    }

    /// Returns the search path with the tools kept here before all others.
    pub(crate) fn search_path(&self) -> OsString {
        let inherited = env::var_os("PATH").unwrap_or_default();
        let paths = [self.root.join("tools/bin")].into_iter().chain(env::split_paths(&inherited));
        env::join_paths(paths).unwrap_or(inherited)
    }

    /// Returns an emptied directory for the logs of one checkout.
    pub(crate) fn fresh_logs(&self, checkout: &Path) -> Result<PathBuf> {
        let digest = hex(&Sha256::digest(checkout.as_os_str().as_encoded_bytes()));
        let logs = self.dir(&format!("logs/{}", &digest[..12]))?;
        fs_err::remove_dir_all(&logs)?;
        fs_err::create_dir(&logs)?;
        Ok(logs)
    }
}

/// Returns bytes as lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

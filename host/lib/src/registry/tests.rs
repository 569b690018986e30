//! Tests of the registry as a whole, in temporary directories.

mod changing;
mod processes;
mod reading;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use keystead_plugin_api::VaultName;
use tempfile::TempDir;

use super::*;
use crate::paths::{Layer, Paths};

/// Both layers in a temporary directory.
struct Sandbox {
    dir: TempDir,
    registry: Registry,
}

impl Sandbox {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let registry = Registry::open(&paths_in(dir.path()));
        let sandbox = Self { dir, registry };
        // Independent of the umask of the user who runs the tests.
        sandbox.mode("", 0o755);
        sandbox
    }

    fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    /// Writes a file as configuration management does.
    fn put(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        self.mode(&path, 0o644);
        for dir in path.ancestors().skip(1).take_while(|dir| *dir != self.dir.path()) {
            self.mode(dir, 0o755);
        }
    }

    fn mode(&self, path: impl AsRef<Path>, mode: u32) {
        let path = self.dir.path().join(path);
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn text(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap()
    }

    fn exists(&self, path: &str) -> bool {
        self.path(path).exists()
    }

    fn register(&self, layer: Layer, text: &str) -> Result<EditPlan, Error> {
        self.registry
            .register(
                layer,
                Registration::new(name(text), "memory"),
                Replace::Never,
                DefaultChoice::First,
            )
            .apply()
    }

    /// Returns the error of one vault, with the sandbox's directory shortened to `.`.
    fn fault(&self, vault: &str) -> String {
        let error = self.registry.entry(&name(vault)).unwrap_err();
        self.shown(&error)
    }

    fn shown(&self, error: &Error) -> String {
        let real = self.dir.path().canonicalize().unwrap();
        let text = format!("{}: {error}", error.code());
        text.replace(real.to_str().unwrap(), ".").replace(self.dir.path().to_str().unwrap(), ".")
    }
}

fn paths_in(dir: &Path) -> Paths {
    Paths {
        system_config: dir.join("system"),
        user_config: Some(dir.join("user")),
        user_data: None,
        packaged: Vec::new(),
    }
}

fn name(text: &str) -> VaultName {
    VaultName::parse(text).unwrap()
}

fn texts(names: &[VaultName]) -> Vec<&str> {
    names.iter().map(VaultName::as_str).collect()
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

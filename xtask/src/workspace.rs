//! The checkout this program was built from: where it is, its files, its packages, its cargo.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::{Result, process};

/// Folders that hold nothing anyone wrote: `contract` has copies of the contract's earlier versions.
const GENERATED: [&str; 5] = ["target", "corpus", "artifacts", "node_modules", "contract"];

/// The crates of first-party plugins are named this and the plugin's id.
pub(crate) const PLUGIN: &str = "keystead-plugin-";

/// The checkout.
pub(crate) struct Workspace {
    root: PathBuf,
}

impl Workspace {
    /// Returns the checkout that holds this crate's sources.
    pub(crate) fn here() -> Result<Self> {
        let own = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = own.parent().ok_or("xtask lies in no workspace")?.to_owned();
        if !root.join("Cargo.toml").is_file() {
            return Err(
                format!("{} is not there any more: build xtask again", root.display()).into()
            );
        }
        Ok(Self { root })
    }

    /// Returns the checkout's folder.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the folder cargo builds into.
    pub(crate) fn target(&self) -> PathBuf {
        match env::var_os("CARGO_TARGET_DIR") {
            Some(own) => self.root.join(own),
            None => self.root.join("target"),
        }
    }

    /// Returns a command for the cargo that runs us, started in the checkout.
    pub(crate) fn cargo(&self) -> Command {
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.current_dir(&self.root);
        // Set for us by `cargo run`: a cargo started by us must find its own.
        for name in ["CARGO_PKG_NAME", "CARGO_PKG_VERSION", "CARGO_MANIFEST_DIR"] {
            cargo.env_remove(name);
        }
        cargo
    }

    /// Returns all files under the checkout whose name ends in `.extension`, sorted, relative.
    pub(crate) fn files(&self, extension: &str) -> Result<Vec<PathBuf>> {
        let mut files = self.files_below("")?;
        files.retain(|file| file.extension().is_some_and(|own| own == extension));
        Ok(files)
    }

    /// Returns all files below a folder that someone wrote, sorted, relative to the checkout.
    pub(crate) fn files_below(&self, folder: &str) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        let mut folders = vec![self.root.join(folder)];
        while let Some(folder) = folders.pop() {
            for entry in fs_err::read_dir(&folder)? {
                let entry = entry?;
                let (name, path) = (entry.file_name(), entry.path());
                let hidden = name.as_encoded_bytes().starts_with(b".");
                if entry.file_type()?.is_file() {
                    found.push(path.strip_prefix(&self.root).unwrap_or(&path).to_owned());
                } else if entry.file_type()?.is_dir()
                    && !hidden
                    && !GENERATED.iter().any(|generated| name == *generated)
                {
                    folders.push(path);
                }
            }
        }
        found.sort();
        Ok(found)
    }

    /// Returns the manifests of the workspaces of this checkout, its own first: the fuzz targets
    /// and the plugins of the tests are built the way a stranger's would be.
    pub(crate) fn manifests(&self) -> Result<Vec<String>> {
        let mut folders: Vec<PathBuf> = Vec::new();
        for file in self.files("toml")? {
            let apart = file.starts_with("fuzz") || file.starts_with("tests");
            let Some(folder) = file.parent().filter(|_| apart && file.ends_with("Cargo.toml"))
            else {
                continue;
            };
            // Sorted: a workspace comes before its members, which it speaks for.
            if !folders.iter().any(|above| folder.starts_with(above)) {
                folders.push(folder.to_owned());
            }
        }
        let apart = folders.iter().map(|folder| format!("{}/Cargo.toml", folder.display()));
        Ok([String::from("Cargo.toml")].into_iter().chain(apart).collect())
    }

    /// Returns the crates of first-party plugins with their versions, sorted by name.
    pub(crate) fn plugins(&self) -> Result<Vec<(String, String)>> {
        let metadata = self.metadata("Cargo.toml")?;
        let mut plugins = Vec::new();
        for package in metadata["packages"].as_array().into_iter().flatten() {
            let (Some(name), Some(version)) =
                (package["name"].as_str(), package["version"].as_str())
            else {
                continue;
            };
            let folder = package["manifest_path"].as_str().map(Path::new).unwrap_or(Path::new(""));
            if name.starts_with(PLUGIN) && folder.starts_with(self.root.join("plugins")) {
                plugins.push((name.to_owned(), version.to_owned()));
            }
        }
        plugins.sort_unstable();
        Ok(plugins)
    }

    /// Returns `cargo metadata` of a workspace in this checkout, without its dependencies.
    pub(crate) fn metadata(&self, manifest: &str) -> Result<Value> {
        let mut command = self.cargo();
        command.args(["metadata", "--format-version=1", "--no-deps", "--manifest-path", manifest]);
        let output = process::output(&mut command)?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(format!("cargo metadata of {manifest}: {said}").into());
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}

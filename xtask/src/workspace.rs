//! The checkout this program was built from: where it is, its files, its packages, its cargo.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::Result;
use crate::process;

/// The library's package.
pub(crate) const HOST: &str = "keystead";

/// The package of readers and writers of other programs' files.
pub(crate) const EXCHANGE: &str = "keystead-exchange";

/// The command line's package: the binary `keystead`, and the tests of all.
pub(crate) const CLI: &str = "keystead-cli";

/// Directories of all that the host's binary is made of, beside `Cargo.toml` and `Cargo.lock`.
pub(crate) const HOST_DIRS: [&str; 2] = ["host", "plugin-api"];

/// The directory in which cargo runs the host's tests.
pub(crate) const HOST_TEST_DIR: &str = "host/lib";

/// Returns a path below the sources of the host's library.
macro_rules! host_lib {
    ($path:literal) => {
        concat!("host/lib/src/", $path)
    };
}
pub(crate) use host_lib;

/// The packages of first-party plugins are named this and the plugin's id.
pub(crate) const PLUGIN: &str = "keystead-plugin-";

/// Directories of files that nobody wrote: `contract` has copies of plugin-api's earlier versions.
const GENERATED: [&str; 5] = ["target", "corpus", "artifacts", "node_modules", "contract"];

/// The checkout.
pub(crate) struct Workspace {
    root: PathBuf,
}

impl Workspace {
    /// Returns the checkout that holds this crate's sources.
    pub(crate) fn here() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize();
        let root = root.map_err(|error| format!("build xtask again: its checkout: {error}"))?;
        Ok(Self { root })
    }

    /// Returns the checkout's directory.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the text of a file of the checkout.
    pub(crate) fn read(&self, file: impl AsRef<Path>) -> Result<String> {
        Ok(fs_err::read_to_string(self.root.join(file.as_ref()))?)
    }

    /// Returns the directory cargo builds into.
    pub(crate) fn target(&self) -> PathBuf {
        self.root.join(env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
    }

    /// Returns a command for the cargo that runs us, started in the checkout, with some words.
    pub(crate) fn cargo(&self, line: &str) -> Command {
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.current_dir(&self.root).args(line.split_whitespace());
        // Set for us by `cargo run`: a cargo started by us must find its own.
        for name in ["CARGO_PKG_NAME", "CARGO_PKG_VERSION", "CARGO_MANIFEST_DIR"] {
            cargo.env_remove(name);
        }
        cargo
    }

    /// Runs a build of cargo's, with its progress for all to see, and returns the artifacts it names.
    pub(crate) fn artifacts(&self, build: &mut Command) -> Result<Vec<Value>> {
        build.arg("--message-format=json-render-diagnostics").stderr(Stdio::inherit());
        let messages = process::stdout(build)?;
        let messages = messages
            .lines()
            .map(serde_json::from_str)
            .collect::<std::result::Result<Vec<Value>, _>>()?;
        Ok(messages.into_iter().filter(|one| one["reason"] == "compiler-artifact").collect())
    }

    /// Returns all files that someone wrote whose name ends in `.extension`, sorted, relative.
    pub(crate) fn files(&self, extension: &str) -> Result<Vec<PathBuf>> {
        let mut files = self.files_below("")?;
        files.retain(|file| file.extension().is_some_and(|own| own == extension));
        Ok(files)
    }

    /// Returns all files below a directory that someone wrote, sorted, relative to the checkout.
    pub(crate) fn files_below(&self, dir: &str) -> Result<Vec<PathBuf>> {
        let is_written = |name: &str| !name.starts_with('.') && !GENERATED.contains(&name);
        let files = files_below(&self.root.join(dir), is_written)?;
        Ok(files.into_iter().map(|file| Path::new(dir).join(file)).collect())
    }

    /// Returns the manifests of the workspaces of this checkout, its own first: the fuzz targets
    /// and the plugins of the tests are built the way a stranger's would be.
    pub(crate) fn manifests(&self) -> Result<Vec<String>> {
        let mut dirs: Vec<PathBuf> = Vec::new();
        for file in self.files("toml")? {
            let apart = file.starts_with("fuzz") || file.starts_with("tests");
            let dir = file.parent().filter(|_| apart && file.ends_with("Cargo.toml"));
            // Sorted: a workspace comes before its members, which it speaks for.
            dirs.extend(
                dir.filter(|dir| !dirs.iter().any(|above| dir.starts_with(above)))
                    .map(Path::to_owned),
            );
        }
        let apart = dirs.iter().map(|dir| format!("{}/Cargo.toml", dir.display()));
        Ok([String::from("Cargo.toml")].into_iter().chain(apart).collect())
    }

    /// Returns the packages of a workspace in this checkout, as `cargo metadata` describes them.
    pub(crate) fn packages(&self, manifest: &str) -> Result<Vec<Value>> {
        let mut metadata = self.cargo("metadata --format-version=1 --no-deps --manifest-path");
        let metadata: Value = serde_json::from_str(&process::stdout(metadata.arg(manifest))?)?;
        Ok(metadata["packages"].as_array().cloned().unwrap_or_default())
    }

    /// Returns the packages of first-party plugins with their versions, sorted by name.
    pub(crate) fn plugins(&self) -> Result<Vec<(String, String)>> {
        let own = self.root.join("plugins");
        let mut plugins = Vec::new();
        for package in self.packages("Cargo.toml")? {
            let text = |key: &str| package[key].as_str().unwrap_or_default().to_owned();
            if text("name").starts_with(PLUGIN)
                && Path::new(&text("manifest_path")).starts_with(&own)
            {
                plugins.push((text("name"), text("version")));
            }
        }
        plugins.sort_unstable();
        Ok(plugins)
    }
}

/// Returns all files below a directory, sorted, relative to it, but those below directories of some names.
pub(crate) fn files_below(top: &Path, is_entered: impl Fn(&str) -> bool) -> Result<Vec<PathBuf>> {
    let (mut found, mut dirs) = (Vec::new(), vec![top.to_owned()]);
    while let Some(dir) = dirs.pop() {
        for entry in fs_err::read_dir(&dir)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_file() {
                found.push(entry.path().strip_prefix(top)?.to_owned());
            } else if kind.is_dir() && is_entered(&entry.file_name().to_string_lossy()) {
                dirs.push(entry.path());
            }
        }
    }
    found.sort();
    Ok(found)
}

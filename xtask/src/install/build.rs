//! Builds the first-party plugins and, with their hashes inside, the host.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::Result;
use crate::cache::hex;
use crate::process;
use crate::workspace::{PLUGIN, Workspace};

/// A first-party plugin, built.
pub(super) struct Plugin {
    /// The id of its manifest.
    pub(super) id: String,
    /// The shared library.
    pub(super) file: PathBuf,
    /// The library's hash, in hexadecimal.
    pub(super) sha256: String,
    size: usize,
    version: String,
}

impl Plugin {
    /// Returns the pin that says who vouches for these bytes: the package that this
    /// installation is. Made from the host's own sources, it may run in the host's process.
    pub(super) fn pin(&self) -> String {
        let Self { id, sha256, size, version, .. } = self;
        format!(
            "schema = 1\nid = \"{id}\"\nsha256 = \"{sha256}\"\nvouched-by = \"packaged\"\n\
             in-process = true\nsize = {size}\nversion = \"{version}\"\n"
        )
    }
}

/// Builds every crate of `plugins/`, small, and hashes what came out.
pub(super) fn plugins(workspace: &Workspace) -> Result<Vec<Plugin>> {
    let packages = workspace.plugins()?;
    let mut build = workspace.cargo();
    build.args(["build", "--locked", "--profile", "plugin", "--lib"]);
    for (name, _) in &packages {
        build.args(["--package", name]);
    }
    let built = artifacts(&mut build)?;
    let mut plugins = Vec::new();
    for (name, version) in packages {
        let library = name.replace('-', "_");
        let file = built
            .iter()
            .find(|artifact| artifact["target"]["name"].as_str() == Some(&library))
            .and_then(library_of)
            .ok_or_else(|| format!("cargo built no shared library of {name}"))?;
        let bytes = fs_err::read(&file)?;
        let id = name.strip_prefix(PLUGIN).unwrap_or(&name).to_owned();
        let sha256 = hex(&Sha256::digest(&bytes));
        plugins.push(Plugin { id, file, sha256, size: bytes.len(), version });
    }
    Ok(plugins)
}

/// Builds the host, which vouches for these plugins itself, and returns its binary.
pub(super) fn host(workspace: &Workspace, plugins: &[Plugin], profile: &str) -> Result<PathBuf> {
    let hashes: Vec<String> =
        plugins.iter().map(|plugin| format!("{}={}", plugin.id, plugin.sha256)).collect();
    let mut build = workspace.cargo();
    build
        .args([
            "build",
            "--locked",
            "--profile",
            profile,
            "--package",
            "keystead-cli",
            "--bin",
            "keystead",
        ])
        .env("KEYSTEAD_BUILTIN_PLUGINS", hashes.join(","))
        .env("KEYSTEAD_BUILD_ID", build_id(workspace, plugins)?);
    artifacts(&mut build)?
        .iter()
        .find_map(|artifact| artifact["executable"].as_str().map(PathBuf::from))
        .ok_or_else(|| "cargo built no binary `keystead`".into())
}

/// Returns a hash over all that the host is made of: verdicts cached by another build are
/// not believed.
fn build_id(workspace: &Workspace, plugins: &[Plugin]) -> Result<String> {
    let mut hash = Sha256::new();
    let mut add = |name: &[u8], bytes: &[u8]| {
        // Lengths between them: two files cannot pass for one.
        for part in [name, bytes] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
    };
    let mut files = vec![PathBuf::from("Cargo.toml"), PathBuf::from("Cargo.lock")];
    for folder in ["host", "plugin-api"] {
        files.extend(workspace.files_below(folder)?);
    }
    for file in files {
        add(file.as_os_str().as_encoded_bytes(), &fs_err::read(workspace.root().join(&file))?);
    }
    let rustc = process::output(Command::new("rustc").arg("-vV").current_dir(workspace.root()))?;
    add(b"rustc", &rustc.stdout);
    for plugin in plugins {
        add(plugin.id.as_bytes(), plugin.sha256.as_bytes());
    }
    Ok(hex(&hash.finalize()))
}

/// Runs a build, with its progress for all to see, and returns what it says it made.
fn artifacts(build: &mut Command) -> Result<Vec<Value>> {
    build.arg("--message-format=json-render-diagnostics").stderr(Stdio::inherit());
    let output = process::output(build)?;
    if !output.status.success() {
        return Err(format!("the build failed ({})", output.status).into());
    }
    let lines = String::from_utf8(output.stdout)?;
    let messages =
        lines.lines().map(serde_json::from_str).collect::<std::result::Result<Vec<Value>, _>>()?;
    Ok(messages.into_iter().filter(|message| message["reason"] == "compiler-artifact").collect())
}

/// Returns the shared library among the files of an artifact.
fn library_of(artifact: &Value) -> Option<PathBuf> {
    let files = artifact["filenames"].as_array()?;
    files.iter().filter_map(Value::as_str).find(|file| file.ends_with(".so")).map(PathBuf::from)
}

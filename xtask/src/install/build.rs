//! Builds the first-party plugins and, with their hashes inside, the host.

use std::path::PathBuf;

use sha2::{Digest, Sha256};

use crate::Result;
use crate::cache::hex;
use crate::process::{command, stdout};
use crate::workspace::{CLI, HOST, HOST_DIRS, PLUGIN, Workspace};

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
    /// Returns its place below the prefix.
    pub(super) fn place(&self) -> String {
        format!("lib/keystead/plugins/{}.so", self.sha256)
    }

    /// Returns the pin that says who vouches for these bytes: the package that this
    /// installation is. Made from the host's own sources, it may run in the host's process.
    pub(super) fn pin(&self) -> String {
        let Self { id, sha256, size, version, .. } = self;
        format!(
            "schema = 1\nid = \"{id}\"\nsha256 = \"{sha256}\"\ntrust-source = \"packaged\"\n\
             in-process = true\nsize = {size}\nversion = \"{version}\"\n"
        )
    }
}

/// Builds every crate of `plugins/`, small, and hashes what came out.
pub(super) fn plugins(workspace: &Workspace) -> Result<Vec<Plugin>> {
    let packages = workspace.plugins()?;
    let mut build = workspace.cargo("build --locked --profile plugin --lib");
    build.args(packages.iter().flat_map(|(name, _)| ["--package", name]));
    let built = workspace.artifacts(&mut build)?;
    let mut plugins = Vec::new();
    for (name, version) in packages {
        let library = name.replace('-', "_");
        let own = built.iter().find(|artifact| artifact["target"]["name"] == library.as_str());
        let files = own.and_then(|artifact| artifact["filenames"].as_array()).into_iter().flatten();
        let file = files.filter_map(|file| file.as_str()).find(|file| file.ends_with(".so"));
        let file = PathBuf::from(file.ok_or_else(|| format!("cargo built no library of {name}"))?);
        let bytes = fs_err::read(&file)?;
        let id = name.strip_prefix(PLUGIN).unwrap_or(&name).to_owned();
        let sha256 = hex(&Sha256::digest(&bytes));
        plugins.push(Plugin { id, file, sha256, size: bytes.len(), version });
    }
    Ok(plugins)
}

/// Builds the host, which vouches for these plugins itself, and returns its binary.
pub(super) fn host(workspace: &Workspace, plugins: &[Plugin]) -> Result<PathBuf> {
    let hashes: Vec<String> =
        plugins.iter().map(|plugin| format!("{}={}", plugin.id, plugin.sha256)).collect();
    let hashes = hashes.join(",");
    let mut build =
        workspace.cargo(&format!("build --locked --release --package {CLI} --bin {HOST}"));
    build.env("KEYSTEAD_BUILD_ID", build_id(workspace, &hashes)?);
    build.env("KEYSTEAD_BUILTIN_PLUGINS", hashes);
    let built = workspace.artifacts(&mut build)?;
    let binary = built.iter().find_map(|artifact| artifact["executable"].as_str());
    Ok(binary.ok_or("cargo built no binary of the host")?.into())
}

/// Returns a hash over all that the host is made of: verdicts cached by another build are
/// not believed.
fn build_id(workspace: &Workspace, plugins: &str) -> Result<String> {
    let mut hash = Sha256::new();
    let mut files = vec![PathBuf::from("Cargo.toml"), PathBuf::from("Cargo.lock")];
    for dir in HOST_DIRS {
        files.extend(workspace.files_below(dir)?);
    }
    for file in files {
        let bytes = fs_err::read(workspace.root().join(&file))?;
        // With its length: two files cannot pass for one.
        hash.update(format!("{}\0{}\0", file.display(), bytes.len()));
        hash.update(bytes);
    }
    hash.update(stdout(command("rustc -vV").current_dir(workspace.root()))?);
    hash.update(plugins);
    Ok(hex(&hash.finalize()))
}

//! `cargo xtask contract`: the contract as plugins were built with it. For each of its versions there is
//! a copy of what `cargo package` makes of plugin-api, of the reference plugin, and of the vault in C:
//! the tests build plugins from them, and what was written down in them may only grow at its ends.

#[path = "../../plugin-api/tests/layout/growth.rs"]
mod growth;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use crate::Result;
use crate::process::captured;
use crate::workspace::Workspace;

/// Where the copies are, each in a folder of its version.
const COPIES: &str = "tests/fixtures/contract";

/// The versions that are frozen: their copies are never written again. All others are drafts.
const FROZEN: [&str; 0] = [];

/// What is written down of the boundary, below `tests` of plugin-api.
const WRITTEN: [&str; 3] = ["layout.golden", "numbers.golden", "header.golden"];

/// What a plugin is built from beside plugin-api, and its place in a copy: that of the tests of plugins
/// out of the tree.
const SOURCES: [(&str, &str); 5] = [
    ("plugins/memory/src", "plugins/outside/src"),
    ("tests/plugins/skew/src", "plugins/outside/skew"),
    ("tests/plugins/out-of-tree/Cargo.toml", "plugins/outside/Cargo.toml"),
    ("tests/plugins/out-of-tree/Cargo.lock", "plugins/outside/Cargo.lock"),
    ("tests/plugins/c-vault/c_vault.c", "c_vault.c"),
];

/// Compares, or writes the copy of today's version.
pub(crate) fn run(words: &[String]) -> Result<ExitCode> {
    let workspace = Workspace::here()?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] => {}
        ["--write"] => write(&workspace)?,
        _ => return Err("usage: cargo xtask contract [--write]".into()),
    }
    let faults = faults(&workspace)?;
    faults.iter().for_each(|fault| eprintln!("{fault}"));
    Ok(if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Returns what has changed since each copy was made and is no addition, one line a fault.
pub(crate) fn faults(workspace: &Workspace) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    let mut versions = Vec::new();
    for version in fs_err::read_dir(workspace.root().join(COPIES))? {
        versions.push(version?.file_name());
    }
    versions.sort();
    for version in &versions {
        for name in WRITTEN {
            let own = Path::new("plugin-api/tests").join(name);
            let kept = Path::new(COPIES).join(version).join(&own);
            let read = |file: &Path| fs_err::read_to_string(workspace.root().join(file));
            faults.extend(growth::faults(&kept.to_string_lossy(), &read(&kept)?, &read(&own)?));
        }
    }
    if versions.is_empty() {
        faults.push(format!("{COPIES}: no copy: run `cargo xtask contract --write`"));
    } else if !faults.is_empty() {
        faults.push(growth::HELP.to_owned());
    }
    Ok(faults)
}

/// Writes down the boundary as it is, and makes the copy of this version if that is a draft.
fn write(workspace: &Workspace) -> Result<()> {
    let mut layout = workspace.cargo();
    layout.args(["test", "--quiet", "--package", "keystead-plugin-api", "--test", "layout"]);
    succeed(layout.env("KEYSTEAD_REGENERATE_LAYOUT", "1"))?;
    println!("written: plugin-api/tests/{{{}}}", WRITTEN.join(","));

    let version = version(workspace)?;
    if FROZEN.iter().any(|frozen| *frozen == version) {
        println!("{version} is frozen: its copy stays as it is");
        return Ok(());
    }
    let mut package = workspace.cargo();
    package.args(["package", "--package", "keystead-plugin-api", "--locked", "--no-verify"]);
    succeed(package.args(["--allow-dirty", "--quiet"]))?;
    let name = format!("keystead-plugin-api-{version}");
    let archive = workspace.target().join("package").join(format!("{name}.crate"));
    let unpacked = tempfile::tempdir()?;
    succeed(Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(unpacked.path()))?;

    let copy = workspace.root().join(COPIES).join(&version);
    if copy.exists() {
        fs_err::remove_dir_all(&copy)?;
    }
    // All that is packed but the name of the commit, which a copy in that commit cannot know.
    fs_err::remove_file(unpacked.path().join(&name).join(".cargo_vcs_info.json")).or_else(
        |error| if error.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(error) },
    )?;
    copy_all(&unpacked.path().join(name), &copy.join("plugin-api"))?;
    for (from, to) in SOURCES {
        copy_all(&workspace.root().join(from), &copy.join(to))?;
    }
    println!("written: {COPIES}/{version}");
    Ok(())
}

/// Returns the version of the contract.
fn version(workspace: &Workspace) -> Result<String> {
    let metadata = workspace.metadata("plugin-api/Cargo.toml")?;
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let mut own = packages.filter(|package| package["name"] == "keystead-plugin-api");
    let version = own.next().and_then(|package| package["version"].as_str());
    Ok(version.ok_or("plugin-api has no version")?.to_owned())
}

fn succeed(command: &mut Command) -> Result<()> {
    match captured(command) {
        (true, _) => Ok(()),
        (false, said) => Err(said.into()),
    }
}

/// Copies a file, or a folder with all that is in it.
fn copy_all(from: &Path, to: &Path) -> Result<()> {
    if from.is_file() {
        fs_err::create_dir_all(to.parent().unwrap_or(Path::new("")))?;
        fs_err::copy(from, to)?;
        return Ok(());
    }
    let mut entries: Vec<PathBuf> = Vec::new();
    for entry in fs_err::read_dir(from)? {
        entries.push(entry?.path());
    }
    for entry in entries {
        copy_all(&entry, &to.join(entry.file_name().unwrap_or_default()))?;
    }
    Ok(())
}

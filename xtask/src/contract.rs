//! `cargo xtask contract`: the contract as plugins were built with it. For each of its versions there is
//! a copy of what `cargo package` makes of plugin-api, of the reference plugin, and of the vault in C:
//! the tests build plugins from them, and what was written down in them may only grow at its ends.

#[path = "../../plugin-api/tests/layout/growth.rs"]
mod growth;

use std::path::Path;
use std::process::ExitCode;

use crate::process::{command, succeed};
use crate::workspace::Workspace;
use crate::{Result, part};

/// Where the copies are, each in a directory of its version.
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
    match words {
        [] => {}
        [word] if word == "--write" => write(&workspace)?,
        _ => return Err("usage: cargo xtask contract [--write]".into()),
    }
    part::report(&faults(&workspace)?)
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
    for test in [
        // First the header, of which another one is written down.
        "test --quiet --package keystead --lib c_header_matches_record_description",
        "test --quiet --package keystead-plugin-api --test layout",
    ] {
        succeed(workspace.cargo(test).env("KEYSTEAD_REGENERATE_LAYOUT", "1"))?;
    }
    println!("written: plugin-api/tests/{{{}}}", WRITTEN.join(","));

    let packages = workspace.packages("plugin-api/Cargo.toml")?;
    let own = packages.iter().find(|package| package["name"] == "keystead-plugin-api");
    let version = own.and_then(|package| package["version"].as_str());
    let version = version.ok_or("plugin-api has no version")?;
    if FROZEN.contains(&version) {
        println!("{version} is frozen: its copy stays as it is");
        return Ok(());
    }
    let package =
        "package --package keystead-plugin-api --locked --no-verify --allow-dirty --quiet";
    succeed(&mut workspace.cargo(package))?;
    let name = format!("keystead-plugin-api-{version}");
    let archive = workspace.target().join("package").join(format!("{name}.crate"));
    let copy = workspace.root().join(COPIES).join(version);
    if copy.exists() {
        fs_err::remove_dir_all(&copy)?;
    }
    // All that is packed but the name of the commit, which a copy in that commit cannot know.
    let plugin_api = copy.join("plugin-api");
    fs_err::create_dir_all(&plugin_api)?;
    let mut unpack = command("tar -x -z --strip-components=1 --exclude=.cargo_vcs_info.json -f");
    succeed(unpack.arg(archive).arg("-C").arg(plugin_api))?;
    for (from, to) in SOURCES {
        fs_err::create_dir_all(copy.join(to).parent().unwrap_or(&copy))?;
        succeed(command("cp -r").arg(workspace.root().join(from)).arg(copy.join(to)))?;
    }
    println!("written: {COPIES}/{version}");
    Ok(())
}

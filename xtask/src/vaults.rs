//! `cargo xtask vaults`: the tables of docs/reference/vault-kinds.md, made from the manifests of the plugins of
//! this workspace as the host reads them from the built files.

use std::process::Command;

use serde_json::{Value, json};

use crate::Result;
use crate::part::{Part, rendered};
use crate::process::{stdout, succeed};
use crate::workspace::{CLI, HOST, Workspace};

/// What is made.
pub(crate) const PART: Part = Part {
    page: "docs/reference/vault-kinds.md",
    name: "manifests",
    command: "vaults",
    make: made,
};

/// The columns that are capabilities.
#[rustfmt::skip]
const CAPABILITIES: [&str; 12] = [
    "write", "rename", "conditional", "concurrent", "metadata", "unlock", "versions", "list-removed",
    "restore", "purge", "actions", "unregister",
];

/// Builds the plugins and returns the tables of what the host reads from each.
fn made(workspace: &Workspace) -> Result<String> {
    let plugins = workspace.plugins()?;
    let mut build = workspace.cargo(&format!("build --locked --quiet -p {CLI} --bin {HOST} --lib"));
    succeed(build.args(plugins.iter().flat_map(|(name, _)| ["-p", name])))?;
    let built = workspace.target().join("debug");
    let home = tempfile::tempdir()?;
    let mut manifests: Vec<Value> = Vec::new();
    for (name, _) in plugins {
        let mut show = Command::new(built.join(HOST));
        show.args(["plugin", "show", "--json"]).env_clear().env("HOME", home.path());
        let file = built.join(format!("lib{}.so", name.replace('-', "_")));
        manifests.push(serde_json::from_str(&stdout(show.arg(file))?)?);
    }
    let own = manifests.iter().flat_map(|manifest| manifest["kinds"].as_array()).flatten();
    let own = own.flat_map(|kind| kind["capabilities"].as_array()).flatten();
    let unknown = own.filter_map(Value::as_str).find(|one| !CAPABILITIES.contains(one));
    if let Some(unknown) = unknown {
        return Err(format!("{} has no column for `{unknown}`", PART.page).into());
    }
    let about = json!({ "capabilities": CAPABILITIES, "manifests": manifests });
    // An empty cell has one space.
    Ok(rendered(include_str!("vaults.md"), &about)?.replace("|  |", "| |").replace("|  |", "| |"))
}

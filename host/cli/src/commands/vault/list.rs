//! `keystead vault list`: every registration, the broken ones as well.

use std::time::Duration;

use keystead::Registration;
use keystead::VaultInfo;
use keystead::agent::SessionCache;
use serde::Serialize;

use super::super::CommandContext;
use crate::duration;
use crate::failure::{Exit, Failure, in_one_line};

/// List vaults
///
/// A vault that the agent keeps unlocked is listed with the time that is left. A registration
/// that cannot be read is listed without its plugin, a warning, and exit code 5.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_: &Args, scene: &CommandContext<'_>) -> Result<Exit, Failure> {
    let (vaults, faults) = scene.host.vaults()?;
    // Vaults are listed as well where the agent cannot be asked.
    let status = scene.agent().ok().filter(|agent| agent.any()).and_then(|a| a.status().ok());
    let held = status.flatten().map_or_else(Vec::new, |status| status.vaults);
    let left = |vault: &VaultInfo| {
        let mut ours = held.iter().filter(|held| held.vault == vault.name);
        ours.find(|held| Some(held.layer) == vault.layer).map(|held| held.left)
    };
    let mut lines = scene.ui.lines();
    if scene.ui.is_json() {
        for vault in &vaults {
            lines.json(&VaultListOutput::of(vault, left(vault)))?;
        }
    } else {
        let mut header = vec!["NAME", "DEFAULT", "LAYER", "PLUGIN", "DESCRIPTION"];
        let mut rows: Vec<Vec<String>> = vaults.iter().map(row).collect();
        if vaults.iter().any(|vault| left(vault).is_some()) {
            // Last, since scripts count the columns.
            header.push("UNLOCKED");
            for (row, vault) in rows.iter_mut().zip(&vaults) {
                row.push(left(vault).map_or_else(String::new, duration::words));
            }
        }
        lines.table(&header, &rows)?;
    }
    lines.finish()?;

    let mut exit = Exit::Done;
    for fault in &faults {
        scene.ui.warn(&in_one_line(fault));
        exit = Exit::Partly;
    }
    for vault in &vaults {
        if let Err(error) = &vault.entry {
            scene.ui.warn(&format!("vault `{}` is broken: {}", vault.name, in_one_line(error)));
            exit = Exit::Partly;
        }
    }
    Ok(exit)
}

fn row(vault: &VaultInfo) -> Vec<String> {
    let entry = vault.entry.as_ref().ok();
    vec![
        vault.name.to_string(),
        if vault.is_default { "default" } else { "" }.to_owned(),
        layer(vault).to_owned(),
        entry.map_or_else(String::new, plugin),
        entry.map_or_else(String::new, |entry| entry.description.clone()),
    ]
}

fn layer(vault: &VaultInfo) -> &'static str {
    vault.layer.map_or("process", |layer| layer.as_str())
}

/// Returns the plugin and the kind of vault, as `--plugin` takes them.
pub(crate) fn plugin(entry: &Registration) -> String {
    match &entry.kind {
        Some(kind) => format!("{}:{kind}", entry.plugin),
        None => entry.plugin.clone(),
    }
}

#[derive(Serialize)]
struct VaultListOutput<'a> {
    schema: u32,
    name: &'a str,
    default: bool,
    layer: &'static str,
    plugin: Option<&'a str>,
    kind: Option<&'a str>,
    description: Option<&'a str>,
    search: Option<bool>,
    unlocked_seconds: Option<u64>,
    error: Option<String>,
}

impl<'a> VaultListOutput<'a> {
    fn of(vault: &'a VaultInfo, left: Option<Duration>) -> Self {
        let entry = vault.entry.as_ref().ok();
        Self {
            schema: 1,
            name: vault.name.as_str(),
            default: vault.is_default,
            layer: layer(vault),
            plugin: entry.map(|entry| entry.plugin.as_str()),
            kind: entry.and_then(|entry| entry.kind.as_deref()),
            description: entry.map(|entry| entry.description.as_str()),
            search: entry.map(|entry| entry.search),
            unlocked_seconds: left.map(|left| left.as_secs()),
            error: vault.entry.as_ref().err().map(|error| in_one_line(error)),
        }
    }
}

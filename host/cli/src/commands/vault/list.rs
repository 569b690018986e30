//! `keystead vault list`: lists all registrations, including broken registrations.

use std::time::Duration;

use keystead::VaultInfo;
use keystead::agent::SessionCache;
use keystead::internals::PlacementReason;
use keystead::{Placement, Registration};
use serde::Serialize;

use super::super::CommandContext;
use crate::duration;
use crate::failure::{Exit, Failure, in_one_line};

/// List vaults
///
/// RUNS says where a vault's code runs, `in-process` or `isolated` in a sandbox, and why: because it
/// was registered so, because its plugin is built in, or by default.
///
/// A vault that the agent keeps unlocked is listed with the time that is left. A registration
/// that cannot be read is listed without its plugin, a warning, and exit code 5.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_: &Args, scene: &CommandContext<'_>) -> Result<Exit, Failure> {
    let (vaults, faults) = scene.host.vaults()?;
    // Vaults are listed even where the agent is unavailable.
    let status = scene.agent().ok().filter(|agent| agent.any()).and_then(|a| a.status().ok());
    let held = status.flatten().map_or_else(Vec::new, |status| status.vaults);
    let left = |vault: &VaultInfo| {
        let mut ours = held.iter().filter(|held| held.vault == vault.name);
        ours.find(|held| Some(held.layer) == vault.layer).map(|held| held.left)
    };
    let runs = |vault: &VaultInfo| {
        let entry = vault.entry.as_ref().ok()?;
        keystead::internals::placement(&scene.host, entry).ok()
    };
    let mut lines = scene.ui.lines();
    if scene.ui.is_json() {
        for vault in &vaults {
            lines.json(&VaultListOutput::of(vault, left(vault), runs(vault)))?;
        }
    } else {
        let mut header = vec!["NAME", "DEFAULT", "LAYER", "PLUGIN", "RUNS", "DESCRIPTION"];
        let mut rows: Vec<Vec<String>> =
            vaults.iter().map(|vault| row(vault, runs(vault))).collect();
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

/// Placement of a vault, with its reason.
pub(super) type Runs = (Placement, PlacementReason);

/// Returns the placement and its reason in words: `isolated (default)`.
pub(super) fn in_words((placement, reason): Runs) -> String {
    format!("{} ({})", placement.as_str(), reason.as_str())
}

fn row(vault: &VaultInfo, runs: Option<Runs>) -> Vec<String> {
    let entry = vault.entry.as_ref().ok();
    vec![
        vault.name.to_string(),
        if vault.is_default { "default" } else { "" }.to_owned(),
        layer(vault).to_owned(),
        entry.map_or_else(String::new, plugin),
        runs.map_or_else(String::new, in_words),
        entry.map_or_else(String::new, |entry| entry.description.clone()),
    ]
}

fn layer(vault: &VaultInfo) -> &'static str {
    vault.layer.map_or("process", |layer| layer.as_str())
}

/// Returns the plugin and the vault kind, as `--plugin` takes them.
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
    placement: Option<&'static str>,
    placement_reason: Option<&'static str>,
    search: Option<bool>,
    unlocked_seconds: Option<u64>,
    error: Option<String>,
}

impl<'a> VaultListOutput<'a> {
    fn of(vault: &'a VaultInfo, left: Option<Duration>, runs: Option<Runs>) -> Self {
        let entry = vault.entry.as_ref().ok();
        Self {
            schema: 1,
            name: vault.name.as_str(),
            default: vault.is_default,
            layer: layer(vault),
            plugin: entry.map(|entry| entry.plugin.as_str()),
            kind: entry.and_then(|entry| entry.kind.as_deref()),
            description: entry.map(|entry| entry.description.as_str()),
            placement: runs.map(|(placement, _)| placement.as_str()),
            placement_reason: runs.map(|(_, reason)| reason.as_str()),
            search: entry.map(|entry| entry.search),
            unlocked_seconds: left.map(|left| left.as_secs()),
            error: vault.entry.as_ref().err().map(|error| in_one_line(error)),
        }
    }
}

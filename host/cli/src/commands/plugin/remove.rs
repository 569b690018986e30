//! `keystead plugin remove`: removes an installed plugin. Vaults' secrets stay.

use keystead::internals::plugin::trust::PinStatus;
use keystead::trust::{InProcess, PluginId};
use serde::Serialize;

use super::super::CommandContext;
use super::{decision, id};
use crate::commands::get::listed;
use crate::failure::{Exit, Failure};

/// Remove a plugin you installed
///
/// The vaults that need it stay registered, and their secrets stay where they are. With `--system`, as
/// root, a plugin that was installed for all users.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The plugin's id
    #[arg(value_parser = id)]
    id: PluginId,
}

pub(super) fn run(args: &Args, scene: &CommandContext<'_>) -> Result<Exit, Failure> {
    let id = &args.id;
    let plugins = scene.host.plugins();
    let place = decision(scene, InProcess::Never)?.place;
    let is_there = |pin: &PinStatus| pin.name == id.as_str() && pin.layer == place.layer();
    // If the pin does not exist, the library reports why and removes nothing.
    if !scene.global.dry_run || !plugins.list()?.iter().any(is_there) {
        plugins.remove(id, &place)?;
    }
    let (vaults, _) = scene.host.vaults()?;
    let needed: Vec<&str> = vaults
        .iter()
        .filter(|vault| vault.entry.as_ref().is_ok_and(|entry| entry.plugin == id.as_str()))
        .map(|vault| vault.name.as_str())
        .collect();
    if scene.ui.is_json() {
        let dry_run = scene.global.dry_run;
        scene.ui.json(&PluginRemoveOutput {
            schema: 1,
            id: id.as_str(),
            needed_by: &needed,
            dry_run,
        })?;
    }
    scene.done(&format!("Removed plugin `{id}`."), &format!("Would remove plugin `{id}`"));
    if !needed.is_empty() {
        let vaults = listed(&needed).replace(" or ", " and ");
        scene.ui.warn(&format!("it is needed by vault {vaults}"));
    }
    Ok(Exit::Done)
}

#[derive(Serialize)]
struct PluginRemoveOutput<'a> {
    schema: u32,
    id: &'a str,
    needed_by: &'a [&'a str],
    dry_run: bool,
}

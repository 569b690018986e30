//! `keystead vault show`: shows a registration, with the current manifest of its plugin.

use std::collections::BTreeMap;

use keystead::OptionalPermission;
use keystead::{Registration, Setting};
use keystead_plugin_api::VaultName;
use serde::Serialize;

use super::super::CommandContext;
use super::super::get::vault_name;
use super::grant::{Optional, not_granted};
use super::list::{Runs, in_words, plugin};
use crate::failure::{Exit, Failure, in_one_line};

/// Show a vault's registration
///
/// The plugin is described from its file; nothing of it runs. A secret parameter is shown
/// as the reference it is taken from. Where the plugin cannot be used: exit code 5.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The vault
    #[arg(value_parser = vault_name)]
    name: VaultName,
}

pub(crate) fn run(args: &Args, scene: &CommandContext<'_>) -> Result<Exit, Failure> {
    let vault = scene.host.vault(&args.name)?;
    let info = vault.info;
    let layer = info.layer.map_or("process", |layer| layer.as_str());
    let entry = info.entry?;
    let capabilities: Option<Vec<&str>> = vault
        .kind
        .as_ref()
        .ok()
        .map(|kind| kind.capabilities.iter().map(|capability| capability.as_str()).collect());

    // The code below reports a plugin that cannot be used.
    let optional =
        keystead::internals::optional_permissions(&scene.host, &entry).unwrap_or_default();

    let runs = keystead::internals::placement(&scene.host, &entry).ok();

    if scene.ui.is_json() {
        scene.ui.json(&VaultShowOutput {
            schema: 1,
            name: entry.name.as_str(),
            default: info.is_default,
            layer,
            plugin: &entry.plugin,
            kind: entry.kind.as_deref(),
            description: &entry.description,
            placement: runs.map(|(placement, _)| placement.as_str()),
            placement_reason: runs.map(|(_, reason)| reason.as_str()),
            search: entry.search,
            keep_login: entry.keep_login,
            locked: entry.locked,
            capabilities: capabilities.as_deref(),
            grants: &entry.grants,
            optional: optional.iter().map(Optional::of).collect(),
            parameters: entry.parameters.iter().map(|(k, v)| (k.as_str(), json(v))).collect(),
            unlock: entry.unlock.iter().map(|(k, v)| (k.as_str(), v.to_string())).collect(),
        })?;
    } else {
        let shown = (info.is_default, layer, runs);
        print(scene, &entry, shown, capabilities.as_deref(), &optional)?;
    }
    match &vault.kind {
        Ok(_) => Ok(Exit::Done),
        Err(error) => {
            scene.ui.warn(&format!("its plugin cannot be used: {}", in_one_line(error)));
            Ok(Exit::Partly)
        }
    }
}

fn print(
    scene: &CommandContext<'_>,
    entry: &Registration,
    (is_default, layer, runs): (bool, &str, Option<Runs>),
    capabilities: Option<&[&str]>,
    optional: &[OptionalPermission],
) -> Result<(), Failure> {
    let mut lines = scene.ui.lines();
    let yes_no = |yes| if yes { "yes" } else { "no" };
    lines.line(&format!("Name:         {}", entry.name))?;
    if !entry.description.is_empty() {
        lines.line(&format!("Description:  {}", entry.description))?;
    }
    lines.line(&format!("Default:      {}", yes_no(is_default)))?;
    lines.line(&format!("Layer:        {layer}{}", if entry.locked { ", locked" } else { "" }))?;
    lines.line(&format!("Plugin:       {}", plugin(entry)))?;
    if let Some(runs) = runs {
        lines.line(&format!("Runs:         {}", in_words(runs)))?;
    }
    lines.line(&format!("Searched:     {}", yes_no(entry.search)))?;
    if entry.keep_login {
        lines.line("Keep login:   yes")?;
    }
    if let Some(capabilities) = capabilities {
        lines.line(&format!("Capabilities: {}", capabilities.join(", ")))?;
    }
    if !entry.parameters.is_empty() {
        lines.line("Parameters:")?;
    }
    for (name, setting) in &entry.parameters {
        lines.line(&format!("  {name} = {}", shown(setting)))?;
    }
    if !entry.unlock.is_empty() {
        lines.line("Unlocked with:")?;
    }
    for (field, reference) in &entry.unlock {
        lines.line(&format!("  {field} from {reference}"))?;
    }
    if !entry.grants.is_empty() {
        lines.line("Granted:")?;
    }
    for grant in &entry.grants {
        lines.line(&format!("  {grant}"))?;
    }
    if !optional.is_empty() {
        lines.line("Not granted:")?;
    }
    for line in optional.iter().map(not_granted) {
        lines.line(&format!("  {line}"))?;
    }
    lines.finish()
}

fn shown(setting: &Setting) -> String {
    match setting {
        Setting::Text(text) => text.clone(),
        Setting::Integer(number) => number.to_string(),
        Setting::Boolean(yes) => yes.to_string(),
        Setting::Reference(reference) => format!("from {reference}"),
    }
}

fn json(setting: &Setting) -> serde_json::Value {
    match setting {
        Setting::Text(text) => text.as_str().into(),
        Setting::Integer(number) => (*number).into(),
        Setting::Boolean(yes) => (*yes).into(),
        Setting::Reference(reference) => serde_json::json!({ "from": reference.to_string() }),
    }
}

#[derive(Serialize)]
struct VaultShowOutput<'a> {
    schema: u32,
    name: &'a str,
    default: bool,
    layer: &'a str,
    plugin: &'a str,
    kind: Option<&'a str>,
    description: &'a str,
    placement: Option<&'static str>,
    placement_reason: Option<&'static str>,
    search: bool,
    keep_login: bool,
    locked: bool,
    capabilities: Option<&'a [&'a str]>,
    grants: &'a [String],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    optional: Vec<Optional<'a>>,
    parameters: BTreeMap<&'a str, serde_json::Value>,
    unlock: BTreeMap<&'a str, String>,
}

//! `keystead vault grant`: shows and grants the permissions that a vault's plugin requests now.

use keystead::OptionalPermission;
use keystead_plugin_api::VaultName;
use serde::Serialize;

use super::super::CommandContext;
use super::super::get::vault_name;
use crate::failure::{Exit, Failure};

/// Grant the permissions that a vault's plugin requests
///
/// A plugin that was upgraded, or whose parameters were changed, may ask for more than was granted
/// when the vault was registered: the vault is not opened then. This shows what is new, and asks.
/// What is no longer asked for is no longer granted. An optional permission is granted where it is
/// named, and stays granted.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The vault
    #[arg(value_parser = vault_name)]
    name: VaultName,
    /// An optional permission to grant as well; `keystead vault show VAULT` lists them
    #[arg(value_name = "PERMISSION")]
    permissions: Vec<String>,
}

pub(crate) fn run(args: &Args, scene: &CommandContext<'_>) -> Result<Exit, Failure> {
    let name = &args.name;
    let plan = scene.host.plan_grant(name, scene.layer(), &args.permissions)?;
    let (more, plugin) = (plan.more().to_vec(), plan.entry().plugin.clone());
    let optional = plan.optional().to_vec();
    let answer = VaultGrantOutput {
        schema: 1,
        name: name.as_str(),
        plugin: &plugin,
        permissions: &more,
        optional: optional.iter().map(Optional::of).collect(),
        dry_run: scene.global.dry_run,
    };
    if more.is_empty() {
        // Revoking permissions needs no confirmation.
        if !scene.global.dry_run {
            scene.host.grant(plan)?;
        }
        if scene.ui.is_json() {
            scene.ui.json(&answer)?;
        }
        scene.ui.note(&format!("Vault `{name}` grants all that its plugin asks for."));
        for line in optional.iter().map(not_granted) {
            scene.ui.note(&format!("  {line}"));
        }
        return Ok(Exit::Done);
    }
    scene.ui.note(&format!("Plugin `{plugin}` as vault `{name}` asks for more:"));
    for permission in &more {
        scene.ui.note(&format!("  {permission}"));
    }
    if !scene.global.dry_run {
        scene.consent(
            &format!("Grant this to vault `{name}`?"),
            "add `--yes` to grant it without being asked",
        )?;
        scene.host.grant(plan)?;
    }
    if scene.ui.is_json() {
        scene.ui.json(&answer)?;
    }
    scene.done(
        &format!("Vault `{name}` grants what its plugin asks for."),
        &format!("Would grant this to vault `{name}`"),
    );
    Ok(Exit::Done)
}

#[derive(Serialize)]
struct VaultGrantOutput<'a> {
    schema: u32,
    name: &'a str,
    plugin: &'a str,
    permissions: &'a [String],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    optional: Vec<Optional<'a>>,
    dry_run: bool,
}

/// An optional permission that is not granted.
#[derive(Serialize)]
pub(super) struct Optional<'a> {
    permission: &'a str,
    text: &'a str,
    why: &'a str,
}

impl<'a> Optional<'a> {
    pub(super) fn of(optional: &'a OptionalPermission) -> Self {
        let OptionalPermission { permission, text, why, .. } = optional;
        Self { permission, text, why }
    }
}

/// Returns the line of text about an optional permission that is not granted.
pub(super) fn not_granted(optional: &OptionalPermission) -> String {
    let OptionalPermission { permission, text, why, .. } = optional;
    match why.is_empty() {
        true => format!("{permission} (optional, not granted): {text}"),
        false => format!("{permission} (optional, not granted): {text}: {why}"),
    }
}

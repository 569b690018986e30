//! `keystead vault unregister`: removes a registration, and keeps the vault's secrets.

use keystead::RunMode;
use keystead_plugin_api::VaultName;
use serde::Serialize;

use super::super::CommandContext;
use super::super::get::vault_name;
use crate::failure::{Exit, Failure, in_one_line};

/// Unregister a vault and keep its secrets
///
/// Its secrets stay where they are. Where it was the default vault there is none afterwards.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The vault
    #[arg(value_parser = vault_name)]
    name: VaultName,
}

pub(crate) fn run(args: &Args, scene: &CommandContext<'_>) -> Result<Exit, Failure> {
    let name = &args.name;
    let gone = scene.host.unregister(name, scene.layer(), scene.run())?;
    let locked = match (scene.run(), scene.agent()) {
        // Its session has no use any more, and ends by itself where this call fails.
        (RunMode::Apply, Ok(agent)) => agent.forget(Some(name)).unwrap_or_default(),
        _ => Vec::new(),
    };
    if let Some(warning) = &gone.warning {
        scene.ui.warn(&format!("the plugin was not told: {}", in_one_line(warning)));
    }
    if scene.ui.is_json() {
        scene.ui.json(&VaultUnregisterOutput {
            schema: 1,
            name: name.as_str(),
            layer: scene.layer().as_str(),
            was_default: gone.was_default,
            dry_run: scene.global.dry_run,
        })?;
    }
    scene.done(
        &format!("Unregistered vault `{name}`; its secrets stay where they are."),
        &format!("Would unregister vault `{name}`"),
    );
    for other in locked.iter().filter(|other| *other != name) {
        scene.ui.note(&format!("Vault `{other}` is locked: it shares the login."));
    }
    if gone.was_default && !scene.global.dry_run {
        scene.ui.note("There is no default vault now: `keystead vault default NAME` sets one.");
    }
    Ok(Exit::Done)
}

#[derive(Serialize)]
struct VaultUnregisterOutput<'a> {
    schema: u32,
    name: &'a str,
    layer: &'static str,
    was_default: bool,
    dry_run: bool,
}

//! `keystead vault default`: shows, sets or clears the vault that is used if none is named.

use keystead_plugin_api::VaultName;
use serde::Serialize;

use super::super::CommandContext;
use super::super::get::vault_name;
use crate::failure::{Exit, Failure};

/// Show, set or clear the default vault
///
/// Writes go to it where no vault is named, and searches begin with it. The variable
/// `KEYSTEAD_VAULT` goes before what is set here.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The vault to make the default one
    #[arg(value_parser = vault_name, conflicts_with = "clear")]
    name: Option<VaultName>,
    /// Have no default vault
    #[arg(long)]
    clear: bool,
}

pub(crate) fn run(args: &Args, scene: &CommandContext<'_>) -> Result<Exit, Failure> {
    if args.name.is_none() && !args.clear {
        return show(scene);
    }
    scene.host.set_default(args.name.as_ref(), scene.layer(), scene.run())?;
    if scene.ui.is_json() {
        let name = args.name.as_ref().map(VaultName::as_str);
        scene.ui.json(&VaultDefaultOutput {
            schema: 1,
            default: name,
            dry_run: scene.global.dry_run,
        })?;
    }
    match &args.name {
        Some(name) => scene.done(
            &format!("Vault `{name}` is the default vault."),
            &format!("Would make vault `{name}` the default vault"),
        ),
        None => scene.done("There is no default vault now.", "Would clear the default vault"),
    }
    Ok(Exit::Done)
}

fn show(scene: &CommandContext<'_>) -> Result<Exit, Failure> {
    let default = scene.host.default_vault()?;
    if scene.ui.is_json() {
        let name = default.as_ref().map(VaultName::as_str);
        scene.ui.json(&VaultDefaultOutput { schema: 1, default: name, dry_run: false })?;
        return Ok(Exit::Done);
    }
    match default {
        Some(name) => {
            scene.ui.line(name.as_str())?;
            Ok(Exit::Done)
        }
        None => Err(Failure::new(Exit::NoSuch, "there is no default vault")
            .hint("run `keystead vault default NAME` to set one")),
    }
}

#[derive(Serialize)]
struct VaultDefaultOutput<'a> {
    schema: u32,
    default: Option<&'a str>,
    dry_run: bool,
}

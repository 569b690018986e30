//! `keystead remove`: removes a secret from a vault.

use keystead_plugin_api::{SecretName, VaultName};

use super::CommandContext;
use super::get::{secret_name, vault_name};
use super::set::Changed;
use crate::failure::{Exit, Failure};

/// Remove a secret
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The secret's name
    #[arg(value_parser = secret_name)]
    name: SecretName,
    /// The vault to remove it from, instead of the default one
    #[arg(short = 'V', long, value_parser = vault_name)]
    vault: Option<VaultName>,
}

impl Args {
    /// Returns whether the vault is named.
    pub(crate) fn names_vault(&self) -> bool {
        self.vault.is_some()
    }
}

pub(crate) fn run(args: &Args, mut scene: CommandContext<'_>) -> Result<Exit, Failure> {
    let (name, run) = (&args.name, scene.run());
    let waiting = scene.waiting(args.vault.as_ref());
    let vault = scene.host.remove(name, args.vault.as_ref(), run, &mut scene.terminal)?;
    drop(waiting);

    if scene.ui.is_json() {
        let dry_run = scene.global.dry_run;
        scene.ui.json(&Changed {
            schema: 1,
            name: name.as_str(),
            vault: vault.as_str(),
            dry_run,
        })?;
    }
    scene.done(
        &format!("Removed `{name}` from vault `{vault}`."),
        &format!("Would remove `{name}` from vault `{vault}`"),
    );
    Ok(Exit::Done)
}

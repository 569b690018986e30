//! `keystead vault lock`: makes the agent discard the sessions that keep vaults unlocked.

use keystead::agent::UnlockedVault;
use keystead_plugin_api::VaultName;
use serde::Serialize;

use super::super::CommandContext;
use super::super::get::vault_name;
use crate::failure::{Exit, Failure};

/// Lock one or all unlocked vaults
///
/// The agent forgets at once what reopens it. Vaults that share its login are locked as well, and
/// named. A vault that was not unlocked is no error.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The vault
    #[arg(value_parser = vault_name, required_unless_present = "all", conflicts_with = "all")]
    name: Option<VaultName>,
    /// Every vault
    #[arg(long)]
    all: bool,
}

pub(crate) fn run(args: &Args, scene: &CommandContext<'_>) -> Result<Exit, Failure> {
    let agent = scene.agent()?;
    let name = args.name.as_ref();
    let vaults = if scene.global.dry_run {
        let held = agent.status()?.map_or_else(Vec::new, |status| status.vaults);
        affected(&held, name)
    } else {
        agent.forget(name)?
    };
    let forgotten = vaults.len();
    let others: Vec<&str> = vaults
        .iter()
        .filter(|vault| name.is_some_and(|name| *vault != name))
        .map(VaultName::as_str)
        .collect();
    if let Some(name) = name.filter(|_| forgotten == 0) {
        // Unregistered vaults can be locked too; a name that was never registered is an error.
        scene.host.vault(name)?;
    }
    if scene.ui.is_json() {
        scene.ui.json(&VaultLockOutput {
            schema: 1,
            vault: name.map(VaultName::as_str),
            forgotten,
            vaults: vaults.iter().map(VaultName::as_str).collect(),
            dry_run: scene.global.dry_run,
        })?;
    }
    match (name, forgotten) {
        (Some(name), 0) => scene.ui.note(&format!("Vault `{name}` was not unlocked.")),
        (Some(name), _) => {
            scene
                .done(&format!("Vault `{name}` is locked."), &format!("Would lock vault `{name}`"));
            for other in others {
                scene.done(
                    &format!("Vault `{other}` is locked: it shares the login."),
                    &format!("Would lock vault `{other}`: it shares the login"),
                );
            }
        }
        (None, 0) => scene.ui.note("No vault was unlocked."),
        (None, 1) => scene.done("1 vault is locked.", "Would lock 1 vault"),
        (None, many) => {
            scene.done(&format!("{many} vaults are locked."), &format!("Would lock {many} vaults"));
        }
    }
    Ok(Exit::Done)
}

/// Returns the vaults that locking this vault, or all vaults, locks.
fn affected(held: &[UnlockedVault], name: Option<&VaultName>) -> Vec<VaultName> {
    let used = |session: u64| {
        let mut users = held.iter().filter(|held| held.session == session);
        name.is_none_or(|name| users.any(|held| held.vault == *name))
    };
    let vaults = held.iter().filter(|held| used(held.session)).map(|held| held.vault.clone());
    let mut vaults: Vec<_> = vaults.collect();
    vaults.dedup();
    vaults
}

#[derive(Serialize)]
struct VaultLockOutput<'a> {
    schema: u32,
    vault: Option<&'a str>,
    forgotten: usize,
    vaults: Vec<&'a str>,
    dry_run: bool,
}

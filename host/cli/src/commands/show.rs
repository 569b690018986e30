//! `keystead show`: shows a secret's details without its value.

use keystead::internals::metadata::expires;
use keystead_plugin_api::{SecretName, VaultName};

use super::CommandContext;
use super::get::{place, secret_name, vault_name};
use super::list::ListOutput;
use crate::failure::{Exit, Failure};
use crate::metadata;

/// Show a secret's details without its value
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The secret's name
    #[arg(value_parser = secret_name)]
    name: SecretName,
    /// The vault to ask
    #[arg(short = 'V', long, value_parser = vault_name)]
    vault: Option<VaultName>,
    /// Take the first vault that answers, even if one before it cannot be asked
    #[arg(long, conflicts_with = "vault")]
    any: bool,
}

impl Args {
    /// Returns whether the vault is named.
    pub(crate) fn names_vault(&self) -> bool {
        self.vault.is_some()
    }
}

pub(crate) fn run(args: &Args, mut scene: CommandContext<'_>) -> Result<Exit, Failure> {
    let place = place(args.vault.as_ref(), args.any);
    let waiting = scene.waiting(args.vault.as_ref());
    let described = scene.host.describe(&args.name, &place, &mut scene.terminal)?;
    drop(waiting);

    if described.entry.metadata.is_incomplete() {
        scene.ui.warn("there is more metadata, of a kind that this version does not know");
    }
    if scene.ui.is_json() {
        scene.ui.json(&ListOutput::of(&described))?;
        return Ok(Exit::Done);
    }
    let mut lines = scene.ui.lines();
    lines.line(&format!("Name:  {}", described.entry.name))?;
    lines.line(&format!("Vault: {}", described.vault))?;
    if let Some(kind) = described.entry.kind {
        lines.line(&format!("Kind:  {kind}"))?;
    }
    if !described.entry.metadata.is_empty() {
        lines.line("Metadata:")?;
    }
    let expires = expires(&described.entry.metadata);
    for (key, value) in described.entry.metadata.iter() {
        let shown = metadata::shown(value);
        let mark = if described.entry.metadata.is_read_only(key) { " (read-only)" } else { "" };
        match (expires, key) {
            (Some(at), "expires") => {
                let (now, verb) = (metadata::now(), "expired ");
                let verb = if at <= now { verb } else { "" };
                let distance = metadata::distance(at, now);
                lines.line(&format!("  {key}: {shown} ({verb}{distance}){mark}"))?;
            }
            _ => lines.line(&format!("  {key}: {shown}{mark}"))?,
        }
    }
    lines.finish()?;
    Ok(Exit::Done)
}

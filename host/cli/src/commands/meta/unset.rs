//! `keystead meta unset`.

use keystead::metadata::MetadataEdit;
use keystead_plugin_api::{SecretName, VaultName};

use super::super::CommandContext;
use super::super::get::{secret_name, vault_name};
use crate::failure::{Exit, Failure};

/// Remove metadata without changing the value
///
/// A key that is not there is no error: afterwards it is not there.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The secret's name
    #[arg(value_parser = secret_name)]
    name: SecretName,
    /// The keys to remove
    #[arg(value_name = "KEY", required_unless_present = "all")]
    keys: Vec<String>,
    /// The vault it is in, instead of the default one
    #[arg(short = 'V', long, value_parser = vault_name)]
    vault: Option<VaultName>,
    /// Remove all metadata
    #[arg(long, conflicts_with = "keys")]
    all: bool,
}

pub(crate) fn run(args: Args, scene: CommandContext<'_>) -> Result<Exit, Failure> {
    let edit = if args.all { MetadataEdit::Clear } else { MetadataEdit::Remove(args.keys) };
    super::change(&args.name, args.vault, edit, scene)
}

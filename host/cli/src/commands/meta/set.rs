//! `keystead meta set`.

use keystead::metadata::MetadataEdit;
use keystead_plugin_api::{SecretName, VaultName};

use super::super::CommandContext;
use super::super::get::{secret_name, vault_name};
use crate::failure::{Exit, Failure};
use crate::metadata;

/// Set metadata without changing the value
///
/// Keys that are not given stay as they are, unless `--replace`. Metadata is not secret:
/// listings show it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The secret's name
    #[arg(value_parser = secret_name)]
    name: SecretName,
    /// `K=TEXT`, `K:=JSON` for numbers, `true` and `false`, `K@=TIME`; `expires`, `created`
    /// and `updated` are always times
    #[arg(required = true, value_name = "K=V")]
    metadata: Vec<metadata::Typed>,
    /// The vault it is in, instead of the default one
    #[arg(short = 'V', long, value_parser = vault_name)]
    vault: Option<VaultName>,
    /// Remove every key that is not given
    #[arg(long)]
    replace: bool,
}

pub(crate) fn run(args: Args, scene: CommandContext<'_>) -> Result<Exit, Failure> {
    let metadata = metadata::collect(args.metadata)?.unwrap_or_default();
    let edit =
        if args.replace { MetadataEdit::Replace(metadata) } else { MetadataEdit::Merge(metadata) };
    super::change(&args.name, args.vault, edit, scene)
}

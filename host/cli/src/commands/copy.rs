//! `keystead copy`: copies secrets to another vault or name.

use keystead::transfer::TransferMode;

use super::CommandContext;
use super::transfer::{self, TransferArgs};
use crate::failure::{Exit, Failure};

/// Copy secrets to another vault or name
///
/// `copy NAME NEW -V VAULT` makes a second secret in one vault.
///
/// Values go with their metadata. What the other vault cannot have is refused before
/// anything is written, every reason at once; what is written is read back and compared.
/// `--dry-run` shows the plan.
///
/// A secret whose name is exactly the pattern is the only one meant, even with `*` in it.
/// Running it again does the rest: what is there already stays as it is.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    which: TransferArgs,
}

impl Args {
    /// Returns the option that names the vault a secret is in.
    pub(crate) fn vault_option(&self) -> &'static str {
        self.which.vault_option()
    }
}

pub(crate) fn run(args: Args, scene: CommandContext<'_>) -> Result<Exit, Failure> {
    transfer::run(args.which, TransferMode::Copy, scene)
}

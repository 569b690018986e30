//! `keystead move`: moves secrets to another vault, or renames a secret.

use keystead::transfer::TransferMode;

use super::CommandContext;
use super::transfer::{self, TransferArgs};
use crate::failure::{Exit, Failure};

/// Move or rename secrets
///
/// `move OLD NEW` renames a secret in its vault.
///
/// As `copy`; and once a secret was read back from the other vault and is the same there, it
/// is removed from the first. Whenever it is stopped, each secret is whole in one of the two,
/// and running it again does the rest.
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
    transfer::run(args.which, TransferMode::Move, scene)
}

//! `keystead copy`: secrets from one vault to another.

use keystead::transfer::Source;

use super::Scene;
use super::transfer::{self, Which};
use crate::failure::{Exit, Failure};

/// Copy secrets from one vault to another
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
    which: Which,
}

pub(crate) fn run(args: Args, scene: Scene<'_>) -> Result<Exit, Failure> {
    transfer::run(args.which, Source::Kept, scene)
}

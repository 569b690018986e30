//! `keystead move`: secrets from one vault to another, or one to another name.

use keystead::transfer::Source;

use super::Scene;
use super::transfer::{self, Which};
use crate::failure::{Exit, Failure};

/// Move secrets from one vault to another, or give one another name
///
/// As `copy`; and once a secret was read back from the other vault and is the same there, it
/// is removed from the first. Whenever it is stopped, each secret is whole in one of the two,
/// and running it again does the rest.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    which: Which,
}

pub(crate) fn run(args: Args, scene: Scene<'_>) -> Result<Exit, Failure> {
    transfer::run(args.which, Source::Removed, scene)
}

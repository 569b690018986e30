//! `keystead plugin`: plugin files, from looking at one to trusting it.

use super::Scene;
use crate::failure::{Exit, Failure};

/// The commands about plugins.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List plugins
    List,
}

pub(crate) fn run(command: Command, scene: Scene<'_>) -> Result<Exit, Failure> {
    todo!()
}

//! `keystead man`: the manual's pages, from the one tree.

use std::path::PathBuf;

use crate::cli;
use crate::failure::{Exit, Failure};

/// Write the manual's pages into a folder
///
/// One page a command: `man -l DIR/keystead-get.1`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The folder, which is made where it is missing
    #[arg(long)]
    dir: PathBuf,
}

pub(crate) fn run(args: &Args) -> Result<Exit, Failure> {
    let written = fs_err::create_dir_all(&args.dir)
        .and_then(|()| clap_mangen::generate_to(cli::tree(), &args.dir));
    let dir = args.dir.display();
    written.map_err(|fault| Failure::act(format!("cannot write to `{dir}`")).because(fault))?;
    Ok(Exit::Done)
}

//! `keystead man`: man pages and docs/reference/cli.md, generated from the command tree.

mod markdown;

use std::path::PathBuf;

use keystead::RunMode;

use crate::cli;
use crate::failure::{Exit, Failure};
use crate::ui::Ui;

/// Write man pages to a directory
///
/// One page a command: `man -l DIR/keystead-get.1`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The directory, which is made where it is missing
    #[arg(long, required_unless_present = "markdown")]
    dir: Option<PathBuf>,
    /// Print docs/reference/cli.md instead
    #[arg(long, hide = true, conflicts_with = "dir")]
    markdown: bool,
}

pub(crate) fn run(args: &Args, run: RunMode, ui: &Ui) -> Result<Exit, Failure> {
    let Some(dir) = &args.dir else {
        ui.answer(markdown::page(cli::tree()).as_bytes())?;
        return Ok(Exit::Done);
    };
    if run == RunMode::DryRun {
        ui.note(&format!("Would write the pages into `{}`; nothing was changed", dir.display()));
        return Ok(Exit::Done);
    }
    let written =
        fs_err::create_dir_all(dir).and_then(|()| clap_mangen::generate_to(cli::tree(), dir));
    let dir = dir.display();
    written.map_err(|fault| Failure::act(format!("cannot write to `{dir}`")).because(fault))?;
    Ok(Exit::Done)
}

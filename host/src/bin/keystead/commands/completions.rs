//! `keystead completions`: what a shell needs to complete commands, from the one tree.

use clap_complete::Shell as Known;
use clap_complete_nushell::Nushell;

use crate::cli;
use crate::failure::{Exit, Failure};
use crate::ui::Ui;

/// Print completions for a shell
///
/// For bash: `source <(keystead completions bash)`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// The shells whose completions can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
    Powershell,
    Nushell,
}

pub(crate) fn run(args: &Args, ui: &Ui) -> Result<Exit, Failure> {
    let mut tree = cli::tree();
    let mut text = Vec::new();
    let name = tree.get_name().to_owned();
    let out = &mut text;
    match args.shell {
        Shell::Bash => clap_complete::generate(Known::Bash, &mut tree, name, out),
        Shell::Zsh => clap_complete::generate(Known::Zsh, &mut tree, name, out),
        Shell::Fish => clap_complete::generate(Known::Fish, &mut tree, name, out),
        Shell::Powershell => clap_complete::generate(Known::PowerShell, &mut tree, name, out),
        Shell::Nushell => clap_complete::generate(Nushell, &mut tree, name, out),
    }
    ui.answer(&text)?;
    Ok(Exit::Done)
}

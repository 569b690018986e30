//! `keystead completions`: completion scripts for shells, generated from the command tree.

use clap_complete_nushell::Nushell;

use crate::cli;
use crate::failure::{Exit, Failure};
use crate::ui::Ui;

/// Print a shell completion script
///
/// bash: `source <(keystead completions bash)`, zsh: `source <(keystead completions zsh)`,
/// fish: `keystead completions fish | source`. They complete commands, options, vaults,
/// plugins and the names of secrets: those from vaults that open without a prompt.
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
    match args.shell {
        Shell::Bash => ui.answer(include_bytes!("../completion/keystead.bash"))?,
        Shell::Zsh => ui.answer(include_bytes!("../completion/keystead.zsh"))?,
        Shell::Fish => ui.answer(include_bytes!("../completion/keystead.fish"))?,
        Shell::Powershell => ui.answer(include_bytes!("../completion/keystead.ps1"))?,
        Shell::Nushell => ui.answer(nushell().as_bytes())?,
    }
    Ok(Exit::Done)
}

/// Returns Nushell's script: declarations from the tree, where each text has the completer that
/// calls keystead.
fn nushell() -> String {
    const COMPLETER: &str = "nu-complete keystead";
    let mut tree = cli::tree();
    let mut text = Vec::new();
    clap_complete::generate(Nushell, &mut tree, "keystead", &mut text);
    let text = String::from_utf8_lossy(&text);
    let mut script = String::from("# Completion of keystead for Nushell.\n");
    for line in text.lines() {
        if line.starts_with("module completions {") {
            script.push_str(line);
            script.push_str(&format!(
                "\n\n  def \"{COMPLETER}\" [context: string] {{\n    \
                 ^keystead __complete nushell $context | from json\n  }}\n"
            ));
            continue;
        }
        // The completer goes ahead of the comment that describes the argument.
        let (declared, comment) = line.split_at(line.find('#').unwrap_or(line.len()));
        script.push_str(&declared.replace(": string ", &format!(": string@\"{COMPLETER}\" ")));
        if let Some(bare) = declared.strip_suffix(": string") {
            script.truncate(script.len() - declared.len());
            script.push_str(&format!("{bare}: string@\"{COMPLETER}\""));
        }
        script.push_str(comment);
        script.push('\n');
    }
    script
}

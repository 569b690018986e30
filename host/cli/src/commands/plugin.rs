//! `keystead plugin`: manages, tests and creates plugins.

mod describe;
mod install;
mod list;
mod new;
mod remove;
mod scratch;
mod show;
mod test;
mod trust;
mod upgrade;
mod verify;

use std::path::PathBuf;

use keystead::trust::{InProcess, InstallTarget, PluginId, TrustDecision};

use super::CommandContext;
use crate::environment;
use crate::failure::{Exit, Failure};

/// The commands about plugins.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    #[command(visible_alias = "ls")]
    List(list::Args),
    Show(show::Args),
    Install(install::Args),
    Upgrade(upgrade::Args),
    #[command(visible_alias = "rm")]
    Remove(remove::Args),
    Trust(trust::Args),
    Verify(verify::Args),
    Test(test::Args),
    New(new::Args),
}

pub(crate) fn run(command: Command, scene: &CommandContext<'_>) -> Result<Exit, Failure> {
    match command {
        Command::List(args) => list::run(&args, scene),
        Command::Show(args) => show::run(&args, scene),
        Command::Install(args) => install::run(&args, scene),
        Command::Upgrade(args) => upgrade::run(&args, scene),
        Command::Remove(args) => remove::run(&args, scene),
        Command::Trust(args) => trust::run(&args, scene),
        Command::Verify(args) => verify::run(&args, scene),
        Command::Test(args) => test::run(args, scene),
        Command::New(args) => new::run(&args, scene),
    }
}

/// Returns the trust decision: for this user, or with `--system` for all users.
fn decision(scene: &CommandContext<'_>, in_process: InProcess) -> Result<TrustDecision, Failure> {
    let place = match scene.global.system {
        true if !rustix::process::geteuid().is_root() => {
            return Err(Failure::act("only root can change the plugins of all users")
                .hint("run the command as root, for example with `sudo`"));
        }
        true => InstallTarget::System(environment::LOCAL.into()),
        false => InstallTarget::User,
    };
    Ok(TrustDecision { place, in_process })
}

/// Returns the end of a sentence: ` for all users` with `--system`, otherwise nothing.
fn for_whom(scene: &CommandContext<'_>) -> &'static str {
    if scene.global.system { " for all users" } else { "" }
}

/// An installed plugin, or a file that may be a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Wanted {
    Id(PluginId),
    File(PathBuf),
}

/// Parses an id for the command line.
fn id(text: &str) -> Result<PluginId, String> {
    PluginId::parse(text).map_err(|fault| fault.to_string())
}

/// Parses a plugin's id, or else a path; `./NAME` means a file in the current directory.
fn id_or_file(text: &str) -> Result<Wanted, String> {
    match PluginId::parse(text) {
        Ok(id) => Ok(Wanted::Id(id)),
        Err(_) if text.is_empty() => Err("expected a plugin's id or a file".to_owned()),
        Err(_) => Ok(Wanted::File(text.into())),
    }
}

/// Returns the absolute path, so that errors name the file unambiguously.
fn absolute(path: &std::path::Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path)
        .map_err(|fault| Failure::act(format!("cannot find `{}`", path.display())).because(fault))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plugin_argument_with_valid_id_is_id_otherwise_file() {
        assert!(matches!(id_or_file("memory"), Ok(Wanted::Id(_))));
        for file in ["./memory", "libmemory.so", "/usr/lib/x.so", "Memory", "-x"] {
            assert_eq!(id_or_file(file), Ok(Wanted::File(file.into())));
        }
        assert!(id_or_file("").is_err());
    }
}

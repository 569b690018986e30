//! `keystead plugin upgrade`: replaces an installed plugin with another file.

use std::path::PathBuf;

use keystead::trust::InProcess;

use super::super::CommandContext;
use super::install::PluginInstallOutput;
use super::trust::changes;
use super::{absolute, decision, describe, for_whom};
use crate::failure::{Exit, Failure};

/// Replace an installed plugin by another version of it
///
/// Shows what changes, permissions above all, and asks. Vaults keep their grants: what the new version
/// requests beyond them, `keystead vault grant` grants. With `--system`, as root, for all users of this
/// machine.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The file
    file: PathBuf,
}

pub(super) fn run(args: &Args, scene: &CommandContext<'_>) -> Result<Exit, Failure> {
    let decision = decision(scene, InProcess::Never)?;
    let plugins = scene.host.plugins();
    let candidate = plugins.examine(&absolute(&args.file)?)?;
    let (id, version) = (candidate.id().clone(), candidate.inspected().manifest.version.clone());
    let Some(pin) = candidate.existing() else {
        return Err(Failure::act(format!("plugin `{id}` is not installed"))
            .hint(format!("run `keystead plugin install {}`", args.file.display())));
    };
    describe::present(scene, &describe::lines(candidate.inspected(), candidate.sha256()));
    describe::present(scene, &changes(&candidate));
    let from = pin.version.as_ref().map_or(String::new(), |old| format!(" {old}"));
    if let Some(old) = pin.version.as_ref().filter(|old| **old > version) {
        scene.ui.warn(&format!("{version} is older than the installed version {old}"));
    }
    if pin.in_process == InProcess::Danger {
        scene.ui.warn(&format!(
            "the new file will not run in-process: `keystead plugin trust {id} --danger-in-process` allows it"
        ));
    }
    let answer = PluginInstallOutput::rendered(scene, &candidate);
    if !scene.global.dry_run {
        scene.consent(
            &format!("Upgrade plugin `{id}`{from} to {version}{}?", for_whom(scene)),
            "add `--yes` to upgrade it without being asked",
        )?;
        plugins.trust(candidate, &decision)?;
    }
    if let Some(answer) = answer {
        scene.ui.json(&answer)?;
    }
    scene.done(
        &format!("Upgraded plugin `{id}`{from} to {version}{}.", for_whom(scene)),
        &format!("Would upgrade plugin `{id}`{from} to {version}{}", for_whom(scene)),
    );
    Ok(Exit::Done)
}

//! `keystead plugin install`: a file is looked at, somebody agrees, and those very bytes are
//! kept.

use std::path::PathBuf;

use keystead::trust::InProcess;
use keystead::trust::{InstallTarget, OnIdConflict, TrustDecision};
use serde::Serialize;

use super::super::CommandContext;
use super::{absolute, describe};
use crate::failure::{Exit, Failure};

/// Install a plugin
///
/// Shows who made it and what it may do, and asks. Nothing of it runs. What is installed are
/// the bytes that were looked at, whatever happens to the file.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The file
    file: PathBuf,
}

pub(super) fn run(args: &Args, scene: &CommandContext<'_>) -> Result<Exit, Failure> {
    if scene.global.system {
        return Err(Failure::usage("plugins for all users come in packages, not with `--system`"));
    }
    let plugins = scene.host.plugins();
    let candidate = plugins.examine(&absolute(&args.file)?)?;
    describe::present(scene, &describe::lines(candidate.inspected(), candidate.sha256()));
    let (id, version) = (candidate.id().clone(), &candidate.inspected().manifest.version);
    let (done, would) = (
        format!("Installed plugin `{id}` {version}."),
        format!("Would install plugin `{id}` {version}"),
    );
    // Rendered before the bytes go where they are to stay.
    let answer = scene.ui.is_json().then(|| {
        let plugin = describe::PluginDescribeOutput::of(candidate.inspected(), candidate.sha256());
        let answer = PluginInstallOutput { schema: 1, plugin, dry_run: scene.global.dry_run };
        serde_json::to_value(answer).expect("our own types are JSON")
    });

    if !scene.global.dry_run {
        scene.consent(
            &format!("Install plugin `{id}`?"),
            "add `--yes` to install it without being asked",
        )?;
        let decision = TrustDecision { place: InstallTarget::User, in_process: InProcess::Never };
        plugins.install(candidate, &decision, OnIdConflict::Refuse)?;
    }
    if let Some(answer) = answer {
        scene.ui.json(&answer)?;
    }
    scene.done(&done, &would);
    Ok(Exit::Done)
}

/// What `install` and `trust` answer with `--json`.
#[derive(Serialize)]
pub(super) struct PluginInstallOutput<'a> {
    pub(super) schema: u32,
    #[serde(flatten)]
    pub(super) plugin: describe::PluginDescribeOutput<'a>,
    pub(super) dry_run: bool,
}

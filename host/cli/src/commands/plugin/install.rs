//! `keystead plugin install`: inspects a file, asks the user, and keeps exactly the inspected
//! bytes.

use std::path::PathBuf;

use keystead::trust::{Candidate, InProcess, OnIdConflict};
use serde::Serialize;

use super::super::CommandContext;
use super::{absolute, decision, describe, for_whom};
use crate::failure::{Exit, Failure};

/// Install a plugin
///
/// Shows who made it and what it may do, and asks. Nothing of it runs. Keystead installs exactly the
/// bytes it inspected. With `--system`, as root, for all users of this machine.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The file
    file: PathBuf,
}

pub(super) fn run(args: &Args, scene: &CommandContext<'_>) -> Result<Exit, Failure> {
    let decision = decision(scene, InProcess::Never)?;
    let plugins = scene.host.plugins();
    let candidate = plugins.examine(&absolute(&args.file)?)?;
    describe::present(scene, &describe::lines(candidate.inspected(), candidate.sha256()));
    let (id, version) = (candidate.id().clone(), &candidate.inspected().manifest.version);
    let (done, would) = (
        format!("Installed plugin `{id}` {version}{}.", for_whom(scene)),
        format!("Would install plugin `{id}` {version}{}", for_whom(scene)),
    );
    let answer = PluginInstallOutput::rendered(scene, &candidate);

    if !scene.global.dry_run {
        scene.consent(
            &format!("Install plugin `{id}`{}?", for_whom(scene)),
            "add `--yes` to install it without being asked",
        )?;
        plugins.install(candidate, &decision, OnIdConflict::Refuse)?;
    }
    if let Some(answer) = answer {
        scene.ui.json(&answer)?;
    }
    scene.done(&done, &would);
    Ok(Exit::Done)
}

/// Output of `install` and `upgrade` with `--json`.
#[derive(Serialize)]
pub(super) struct PluginInstallOutput<'a> {
    schema: u32,
    #[serde(flatten)]
    plugin: describe::PluginDescribeOutput<'a>,
    dry_run: bool,
}

impl PluginInstallOutput<'_> {
    /// Returns the output for `--json`, before the bytes go to their final path.
    pub(super) fn rendered(
        scene: &CommandContext<'_>,
        candidate: &Candidate,
    ) -> Option<serde_json::Value> {
        scene.ui.is_json().then(|| {
            let plugin =
                describe::PluginDescribeOutput::of(candidate.inspected(), candidate.sha256());
            let answer = PluginInstallOutput { schema: 1, plugin, dry_run: scene.global.dry_run };
            serde_json::to_value(answer).expect("our own types are JSON")
        })
    }
}

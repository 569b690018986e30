//! `keystead plugin trust`: pins a plugin's current file, after it changed or was quarantined.

use keystead::trust::InProcess;
use serde::Serialize;

use super::super::CommandContext;
use super::{Wanted, absolute, decision, describe, id_or_file};
use crate::failure::{Exit, Failure};

/// Pin a plugin's current file and lift its quarantine
///
/// For a plugin that has changed since it was installed, or was quarantined after crashes.
/// Given a file, it takes the place of the installed plugin of its id. With `--system`, as root, a plugin
/// that was installed for all users.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// An installed plugin's id, or a file; a file in the current directory is `./NAME`
    #[arg(value_name = "ID|FILE", value_parser = id_or_file)]
    plugin: Wanted,
    /// Let it run in keystead's own process, where it can do and read all that keystead can
    #[arg(long)]
    danger_in_process: bool,
}

pub(super) fn run(args: &Args, scene: &CommandContext<'_>) -> Result<Exit, Failure> {
    let plugins = scene.host.plugins();
    let candidate = match &args.plugin {
        Wanted::Id(id) => plugins.reexamine(id)?,
        Wanted::File(path) => plugins.examine(&absolute(path)?)?,
    };
    let id = candidate.id().clone();
    describe::present(scene, &describe::lines(candidate.inspected(), candidate.sha256()));
    describe::present(scene, &changes(&candidate));
    let (in_process, where_) = match args.danger_in_process {
        true => (InProcess::Danger, ", and let it run in keystead's own process"),
        false => (InProcess::Never, ""),
    };
    let decision = decision(scene, in_process)?;
    // Rendered before the bytes go to their final path.
    let answer = scene.ui.is_json().then(|| {
        let plugin = describe::PluginDescribeOutput::of(candidate.inspected(), candidate.sha256());
        let in_process = args.danger_in_process;
        let answer =
            PluginTrustOutput { schema: 1, plugin, in_process, dry_run: scene.global.dry_run };
        serde_json::to_value(answer).expect("our own types are JSON")
    });

    if !scene.global.dry_run {
        scene.consent(
            &format!("Trust plugin `{id}` as it is now{where_}?"),
            "add `--yes` to trust it without being asked",
        )?;
        plugins.trust(candidate, &decision)?;
    }
    if let Some(answer) = answer {
        scene.ui.json(&answer)?;
    }
    scene.done(
        &format!("Plugin `{id}` is trusted as it is now{where_}."),
        &format!("Would trust plugin `{id}` as it is now{where_}"),
    );
    Ok(Exit::Done)
}

/// Returns the changes since the pin, as lines of text.
pub(super) fn changes(candidate: &keystead::trust::Candidate) -> Vec<String> {
    let Some(pin) = candidate.existing() else { return Vec::new() };
    if pin.sha256 == *candidate.sha256() {
        return vec!["It has not changed since it was pinned.".to_owned()];
    }
    let mut lines = vec![format!("Pinned was SHA-256 {}", pin.sha256)];
    for permission in candidate.new_permissions() {
        lines.push(format!("  new:     {permission}"));
    }
    for permission in candidate.dropped_permissions() {
        lines.push(format!("  dropped: {permission}"));
    }
    lines
}

#[derive(Serialize)]
struct PluginTrustOutput<'a> {
    schema: u32,
    #[serde(flatten)]
    plugin: describe::PluginDescribeOutput<'a>,
    in_process: bool,
    dry_run: bool,
}

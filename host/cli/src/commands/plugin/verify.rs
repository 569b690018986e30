//! `keystead plugin verify`: reads and hashes installed plugins afresh. Nothing of them runs.

use keystead::internals::plugin::trust::PinVerification;
use keystead::trust::PluginId;
use serde::Serialize;

use super::super::CommandContext;
use super::id;
use crate::failure::{Exit, Failure, in_one_line};

/// Verify installed plugins against their pins
///
/// Without an id all plugins are verified, and exit code 5 says that some failed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The plugin's id
    #[arg(value_parser = id)]
    id: Option<PluginId>,
}

pub(super) fn run(args: &Args, scene: &CommandContext<'_>) -> Result<Exit, Failure> {
    let verified = scene.host.plugins().verify(args.id.as_ref())?;
    let mut failed = None;
    for one in verified {
        answer(scene, &one)?;
        failed = failed.or(one.outcome.err());
    }
    match failed {
        None => Ok(Exit::Done),
        Some(error) if args.id.is_some() => Err(error.into()),
        Some(_) => Ok(Exit::Partly),
    }
}

fn answer(scene: &CommandContext<'_>, one: &PinVerification) -> Result<(), Failure> {
    let (name, layer) = (&one.name, one.layer.as_str());
    let error = one.outcome.as_ref().err();
    if scene.ui.is_json() {
        return scene.ui.json(&PluginVerifyOutput {
            schema: 1,
            id: name,
            layer,
            ok: error.is_none(),
            sha256: one.outcome.as_ref().ok().map(ToString::to_string),
            path: one.path.as_ref().map(|path| path.display().to_string()),
            code: error.map(|error| error.code()),
            error: error.map(|error| in_one_line(error)),
        });
    }
    match &one.outcome {
        Ok(sha256) => {
            scene.ui.line(&format!("{name} ({layer}): ok, SHA-256 {sha256}"))?;
            let found =
                PluginId::parse(name).ok().and_then(|id| scene.host.plugins().find(&id).ok());
            // If another layer overrides this pin, `find` returns the other layer's plugin.
            let found = found.filter(|found| found.sha256() == sha256);
            for line in found.iter().flat_map(|found| found.manifest().left_out()) {
                scene.ui.warn(&format!("plugin `{name}`: {line}"));
            }
            Ok(())
        }
        Err(error) => scene.ui.line(&format!("{name} ({layer}): failed: {}", in_one_line(error))),
    }
}

#[derive(Serialize)]
struct PluginVerifyOutput<'a> {
    schema: u32,
    id: &'a str,
    layer: &'static str,
    ok: bool,
    sha256: Option<String>,
    path: Option<String>,
    code: Option<&'static str>,
    error: Option<String>,
}

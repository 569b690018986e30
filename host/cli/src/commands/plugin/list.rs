//! `keystead plugin list`: lists the pins of all layers, with their status.

use keystead::internals::plugin::pins::{Pin, PinEntry};
use keystead::internals::plugin::trust::PinStatus;
use serde::Serialize;

use super::super::CommandContext;
use crate::failure::{Exit, Failure, in_one_line};

/// List plugins
///
/// One that cannot be used now is a warning, and exit code 5. Nothing is run and no file is
/// read: `keystead plugin verify` reads them.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(super) fn run(_: &Args, scene: &CommandContext<'_>) -> Result<Exit, Failure> {
    let all = scene.host.plugins().list()?;
    let mut lines = scene.ui.lines();
    if scene.ui.is_json() {
        for one in &all {
            lines.json(&PluginListOutput::of(one))?;
        }
    } else {
        let rows: Vec<Vec<String>> = all.iter().map(row).collect();
        lines.table(&["PLUGIN", "VERSION", "LAYER", "STATE"], &rows)?;
    }
    lines.finish()?;

    let mut exit = Exit::Done;
    for one in &all {
        if let Some(problem) = &one.problem {
            scene.ui.warn(&format!("plugin `{}`: {}", one.name, in_one_line(problem)));
            exit = Exit::Partly;
        }
    }
    Ok(exit)
}

fn row(one: &PinStatus) -> Vec<String> {
    let version = pin(one).and_then(|pin| pin.version.as_ref());
    vec![
        one.name.clone(),
        version.map_or_else(String::new, ToString::to_string),
        one.layer.as_str().to_owned(),
        state(one),
    ]
}

fn pin(one: &PinStatus) -> Option<&Pin> {
    match &one.entry {
        Some(PinEntry::Pin(pin)) => Some(pin),
        _ => None,
    }
}

fn state(one: &PinStatus) -> String {
    match (&one.entry, &one.problem, one.shadowed_by) {
        (_, _, Some(layer)) => format!("overruled by {}", layer.as_str()),
        (Some(PinEntry::Denial), _, None) => "denied".to_owned(),
        (_, Some(_), None) => "cannot be used".to_owned(),
        (_, None, None) => "installed".to_owned(),
    }
}

#[derive(Serialize)]
struct PluginListOutput<'a> {
    schema: u32,
    id: &'a str,
    layer: &'static str,
    state: String,
    version: Option<String>,
    sha256: Option<String>,
    source: Option<&'a str>,
    pin: String,
    code: Option<&'static str>,
    error: Option<String>,
}

impl<'a> PluginListOutput<'a> {
    fn of(one: &'a PinStatus) -> Self {
        let pin = pin(one);
        Self {
            schema: 1,
            id: &one.name,
            layer: one.layer.as_str(),
            state: state(one),
            version: pin.and_then(|pin| pin.version.as_ref()).map(ToString::to_string),
            sha256: pin.map(|pin| pin.sha256.to_string()),
            source: pin.and_then(|pin| pin.source.as_deref()),
            pin: one.path.display().to_string(),
            code: one.problem.as_ref().map(|problem| problem.code()),
            error: one.problem.as_ref().map(|problem| in_one_line(problem)),
        }
    }
}

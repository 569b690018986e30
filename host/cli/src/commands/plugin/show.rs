//! `keystead plugin show`: prints the manifest of a plugin file without running it. The file may be
//! for another machine.

use std::io::Read;
use std::path::Path;

use fs_err::File;
use keystead::internals::fs::MAX_PLUGIN_BYTES;
use keystead::internals::plugin::inspect::{Inspected, inspect};
use keystead::trust::{Digest, PluginId};
use rustix::fs::{Mode, OFlags};
use serde::Serialize;

use super::super::CommandContext;
use super::{Wanted, absolute, describe, id_or_file};
use crate::failure::{Exit, Failure, in_one_line};

/// Show a plugin's manifest without running it
///
/// Nothing of it runs. A file may be for another machine: ELF, PE and Mach-O are read.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// An installed plugin's id, or a file; a file in the current directory is `./NAME`
    #[arg(value_name = "ID|FILE", value_parser = id_or_file)]
    plugin: Wanted,
}

pub(super) fn run(args: &Args, scene: &CommandContext<'_>) -> Result<Exit, Failure> {
    match &args.plugin {
        Wanted::File(path) => {
            let (inspected, sha256) = look_at(&absolute(path)?)?;
            let obstacle = describe::obstacle(&inspected);
            print(scene, &inspected, &sha256, None, obstacle)?;
            Ok(Exit::Done)
        }
        Wanted::Id(id) => installed(scene, id),
    }
}

/// Shows the plugin file that an id selects, and whether it can be used.
fn installed(scene: &CommandContext<'_>, id: &PluginId) -> Result<Exit, Failure> {
    let pinned = scene.host.plugins().verify(Some(id))?;
    let Some(first) = pinned.into_iter().next() else {
        return Err(keystead::internals::plugin::pins::Error::NotPinned {
            id: id.clone(),
            similar: None,
        }
        .into());
    };
    let Some(path) = &first.path else {
        return Err(match first.outcome {
            Err(error) => error.into(),
            Ok(_) => Failure::act(format!("plugin `{id}` has no file")),
        });
    };
    let (inspected, sha256) = look_at(path)?;
    // The checks of loading decide: pins, policy, hash, inspection.
    let problem = scene.host.plugins().find(id).err();
    let problem = problem.or_else(|| first.outcome.err());
    let obstacle = problem.as_ref().map(|problem| in_one_line(problem));
    print(scene, &inspected, &sha256, Some(first.layer.as_str()), obstacle)?;
    Ok(if problem.is_some() { Exit::Partly } else { Exit::Done })
}

fn print(
    scene: &CommandContext<'_>,
    inspected: &Inspected,
    sha256: &Digest,
    layer: Option<&str>,
    obstacle: Option<String>,
) -> Result<(), Failure> {
    if scene.ui.is_json() {
        return scene.ui.json(&PluginShowOutput {
            schema: 1,
            plugin: describe::PluginDescribeOutput::of(inspected, sha256),
            layer,
            problem: obstacle.as_deref(),
        });
    }
    let mut lines = scene.ui.lines();
    for line in describe::lines(inspected, sha256) {
        lines.line(&line)?;
    }
    if let Some(layer) = layer {
        lines.line(&format!("Installed:   {layer}"))?;
    }
    for line in describe::kinds(inspected) {
        lines.line(&line)?;
    }
    lines.finish()?;
    if let Some(obstacle) = obstacle {
        scene.ui.warn(&format!("it cannot be used here: {obstacle}"));
    }
    Ok(())
}

/// Reads and inspects a file. Its owner and mode do not matter: nothing is trusted.
fn look_at(path: &Path) -> Result<(Inspected, Digest), Failure> {
    let cannot = |why: String| {
        Failure::act(format!("`{}` cannot be looked at", path.display())).because(why)
    };
    // `NONBLOCK`: a pipe must not wait for its writer.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::empty())
        .map_err(|fault| cannot(std::io::Error::from(fault).to_string()))?;
    let file = File::from_parts(file.into(), path);
    let metadata = file.metadata().map_err(|fault| cannot(fault.to_string()))?;
    if !metadata.is_file() {
        return Err(cannot("it is not a file".to_owned()));
    }
    if metadata.len() > MAX_PLUGIN_BYTES {
        let len = metadata.len();
        return Err(cannot(format!("it has {len} bytes; the most is {MAX_PLUGIN_BYTES}")));
    }
    let mut bytes = Vec::new();
    file.take(MAX_PLUGIN_BYTES)
        .read_to_end(&mut bytes)
        .map_err(|fault| cannot(fault.to_string()))?;
    let inspected = inspect(&bytes).map_err(|source| {
        let path = path.to_owned();
        Failure::from(keystead::trust::Error::Unfit { path, source }).without_hints()
    })?;
    Ok((inspected, Digest::of(&bytes)))
}

#[derive(Serialize)]
struct PluginShowOutput<'a> {
    schema: u32,
    #[serde(flatten)]
    plugin: describe::PluginDescribeOutput<'a>,
    layer: Option<&'a str>,
    problem: Option<&'a str>,
}

//! `keystead plugin new`: the reference plugin as a project of one's own.

use std::path::{Path, PathBuf};

use keystead::plugin::new::{self, ApiDependency};
use keystead::plugin::pins::PluginId;
use serde::Serialize;

use super::super::Scene;
use super::{absolute, id};
use crate::failure::{Exit, Failure};

/// Write a plugin of your own, to start from
///
/// The folder gets the reference plugin, which keeps secrets in memory or in a file, under
/// an id of its own, with its tests and a README that says what comes next.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The folder, which must not be there yet or be empty
    dir: PathBuf,
    /// The plugin's id, instead of the folder's name
    #[arg(long, value_parser = id)]
    id: Option<PluginId>,
    /// The folder of the crate `keystead-plugin-api`, instead of the one that was installed
    /// with keystead or the published one
    #[arg(long, value_name = "DIR")]
    api_path: Option<PathBuf>,
}

pub(super) fn run(args: &Args, scene: &Scene<'_>) -> Result<Exit, Failure> {
    let dir = absolute(&args.dir)?;
    let id = match &args.id {
        Some(id) => id.clone(),
        None => named_by(&dir)?,
    };
    let shown = dir.display();
    if scene.global.dry_run {
        scene.done("", &format!("Would write plugin `{id}` to `{shown}`"));
        return Ok(Exit::Done);
    }
    let files = new::new(&dir, &id, &api(args.api_path.as_deref(), scene)?).map_err(|fault| {
        let code = Some(fault.code());
        Failure { error: Box::new(fault), code, ..Failure::act("") }
    })?;
    if scene.ui.is_json() {
        let files = files.iter().map(|path| path.display().to_string()).collect();
        let dir = dir.display().to_string();
        scene.ui.json(&Answer { schema: 1, id: id.as_str(), dir, files })?;
    }
    scene.done(
        &format!("Wrote plugin `{id}` to `{shown}`; its README.md says what comes next."),
        "",
    );
    Ok(Exit::Done)
}

fn named_by(dir: &Path) -> Result<PluginId, Failure> {
    let name = dir.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    PluginId::parse(name).map_err(|fault| {
        Failure::usage("the folder's name cannot be the plugin's id")
            .because(fault)
            .hint("add `--id ID`")
    })
}

/// Returns where the crate of the contract is taken from: what was named, what was installed
/// beside this program, else the published one.
fn api(given: Option<&Path>, scene: &Scene<'_>) -> Result<ApiDependency, Failure> {
    let is_api = |dir: &PathBuf| dir.join("Cargo.toml").is_file();
    Ok(match given {
        Some(dir) => ApiDependency::Path(absolute(dir)?),
        None => match scene.installed_api().filter(is_api) {
            Some(dir) => ApiDependency::Path(dir),
            None => ApiDependency::Version(keystead_plugin_api::manifest::API_VERSION.to_owned()),
        },
    })
}

#[derive(Serialize)]
struct Answer<'a> {
    schema: u32,
    id: &'a str,
    dir: String,
    files: Vec<String>,
}

//! `keystead plugin new`: creates a plugin project.

use std::path::{Path, PathBuf};

use crate::new_plugin::{ApiDependency, Project, Template};
use keystead::trust::PluginId;
use serde::Serialize;

use super::super::CommandContext;
use super::{absolute, id};
use crate::failure::{Exit, Failure};

/// Create a plugin project
///
/// The directory gets a vault in one file that is only read, with its test and a README that says what
/// comes next. It works as it is.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The directory, which must not be there yet or be empty
    dir: PathBuf,
    /// The plugin's id, instead of the directory's name
    #[arg(long, value_parser = id)]
    id: Option<PluginId>,
    /// Begin with the reference plugin, which has all that a vault can do
    #[arg(long)]
    full: bool,
    /// Write it in C
    #[arg(long, conflicts_with_all = ["full", "api_path"])]
    c: bool,
    /// The directory of the crate `keystead-plugin-api`, instead of the one that was installed
    /// with keystead or the published one
    #[arg(long, value_name = "DIR")]
    api_path: Option<PathBuf>,
}

pub(super) fn run(args: &Args, scene: &CommandContext<'_>) -> Result<Exit, Failure> {
    let dir = absolute(&args.dir)?;
    let id = match &args.id {
        Some(id) => id.clone(),
        None => named_by(&dir)?,
    };
    let template = match (args.full, args.c) {
        (_, true) => Template::C,
        (true, false) => Template::Full,
        (false, false) => Template::Small,
    };
    let api = api(args.api_path.as_deref(), scene)?;
    let project = Project::new(&id, template, &api)?;
    if scene.global.dry_run {
        project.check(&dir)?;
    } else {
        project.write(&dir)?;
    }
    if scene.ui.is_json() {
        let (dir, dry_run) = (dir.display().to_string(), scene.global.dry_run);
        let files = project.files().collect();
        scene.ui.json(&PluginNewOutput { schema: 1, id: id.as_str(), dir, files, dry_run })?;
    }
    let shown = dir.display();
    scene.done(
        &format!("Wrote plugin `{id}` to `{shown}`; its README.md says what comes next."),
        &format!("Would write plugin `{id}` to `{shown}`"),
    );
    if api == ApiDependency::Published && !args.c {
        scene.ui.note(
            "Its crate keystead-plugin-api comes from Cargo's registry: the first build needs the network, \
             or `--api-path DIR` with a copy of the crate.",
        );
    }
    Ok(Exit::Done)
}

fn named_by(dir: &Path) -> Result<PluginId, Failure> {
    let name = dir.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    PluginId::parse(name).map_err(|fault| {
        Failure::usage("the directory's name cannot be the plugin's id")
            .because(fault)
            .hint("add `--id ID`")
    })
}

/// Returns the source from which Cargo takes the plugin API's crate.
fn api(given: Option<&Path>, scene: &CommandContext<'_>) -> Result<ApiDependency, Failure> {
    if let Some(dir) = given {
        return Ok(ApiDependency::Path(absolute(dir)?));
    }
    let installed = scene.installed_api().filter(|dir| dir.join("Cargo.toml").is_file());
    Ok(installed.map_or(ApiDependency::Published, ApiDependency::Path))
}

#[derive(Serialize)]
struct PluginNewOutput<'a> {
    schema: u32,
    id: &'a str,
    dir: String,
    files: Vec<&'a str>,
    dry_run: bool,
}

//! `keystead plugin new`: the reference plugin as a project of one's own.

use std::path::{Path, PathBuf};

use fs_err as fs;
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
    api: Option<PathBuf>,
}

/// The reference plugin's sources, and where they go.
const SOURCES: &[(&str, &str)] = &[
    ("src/lib.rs", include_str!("../../../../../../plugins/memory/src/lib.rs")),
    ("src/secrets.rs", include_str!("../../../../../../plugins/memory/src/secrets.rs")),
    ("src/secrets/claim.rs", include_str!("../../../../../../plugins/memory/src/secrets/claim.rs")),
    ("src/secrets/file.rs", include_str!("../../../../../../plugins/memory/src/secrets/file.rs")),
    ("src/secrets/line.rs", include_str!("../../../../../../plugins/memory/src/secrets/line.rs")),
    ("src/session.rs", include_str!("../../../../../../plugins/memory/src/session.rs")),
    ("tests/conformance.rs", include_str!("../../../../../../plugins/memory/tests/conformance.rs")),
];

pub(super) fn run(args: &Args, scene: &Scene<'_>) -> Result<Exit, Failure> {
    let dir = absolute(&args.dir)?;
    let id = match &args.id {
        Some(id) => id.clone(),
        None => named_by(&dir)?,
    };
    let api = api(args.api.as_deref(), scene)?;
    check_empty(&dir)?;
    let files = files(&id, &api);
    if !scene.global.dry_run {
        write(&dir, &files).map_err(|fault| {
            Failure::act(format!("cannot write to `{}`", dir.display())).because(fault)
        })?;
    }
    if scene.ui.is_json() {
        let names = files.iter().map(|(name, _)| *name).collect();
        let (dir, dry_run) = (dir.display().to_string(), scene.global.dry_run);
        scene.ui.json(&Answer { schema: 1, id: id.as_str(), dir, files: names, dry_run })?;
    }
    let shown = dir.display();
    scene.done(
        &format!("Wrote plugin `{id}` to `{shown}`; its README.md says what comes next."),
        &format!("Would write plugin `{id}` to `{shown}`"),
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

fn check_empty(dir: &Path) -> Result<(), Failure> {
    let shown = dir.display();
    match std::fs::read_dir(dir).map(|mut entries| entries.next().is_none()) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Failure::act(format!("`{shown}` is not empty"))),
        Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(fault) => Err(Failure::act(format!("cannot use `{shown}`")).because(fault)),
    }
}

/// Returns what Cargo is told of the crate of the contract.
fn api(given: Option<&Path>, scene: &Scene<'_>) -> Result<String, Failure> {
    const VERSION: &str = keystead_plugin_api::manifest::API_VERSION;
    let is_api = |dir: &Path| dir.join("Cargo.toml").is_file();
    let dir = match given {
        Some(dir) => {
            let dir = absolute(dir)?;
            if !is_api(&dir) {
                return Err(Failure::usage(format!("`{}` has no crate in it", dir.display())));
            }
            Some(dir)
        }
        None => scene.installed_api().filter(|dir| is_api(dir)),
    };
    Ok(match dir {
        Some(dir) => {
            format!("{{ version = \"{VERSION}\", path = {} }}", quoted(&dir.display().to_string()))
        }
        None => quoted(VERSION),
    })
}

/// Returns a text as TOML writes it.
fn quoted(text: &str) -> String {
    toml_edit::value(text).to_string()
}

fn files(id: &PluginId, api: &str) -> Vec<(&'static str, String)> {
    let package = format!("keystead-plugin-{id}");
    let library = package.replace('-', "_");
    let fill = |template: &str| {
        template
            .replace("{{id}}", id.as_str())
            .replace("{{package}}", &package)
            .replace("{{library}}", &library)
            .replace("{{api}}", api)
    };
    let mut files = vec![
        ("Cargo.toml", fill(CARGO_TOML)),
        ("README.md", fill(README)),
        (".gitignore", "/target\n".to_owned()),
    ];
    for (name, source) in SOURCES {
        let source = source
            .replace("id: \"memory\"", &format!("id: \"{id}\""))
            .replace("vendor: \"Keystead\"", "vendor: \"Your name\"")
            .replace("keystead_plugin_memory", &library);
        files.push((name, source));
    }
    files
}

fn write(dir: &Path, files: &[(&str, String)]) -> std::io::Result<()> {
    for (name, text) in files {
        let path = dir.join(name);
        fs::create_dir_all(path.parent().expect("it is in the folder"))?;
        fs::write(path, text)?;
    }
    Ok(())
}

const CARGO_TOML: &str = include_str!("new/Cargo.toml.template");

const README: &str = include_str!("new/README.md.template");

#[derive(Serialize)]
struct Answer<'a> {
    schema: u32,
    id: &'a str,
    dir: String,
    files: Vec<&'static str>,
    dry_run: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_plugin_gets_the_new_id_everywhere() {
        let id = PluginId::parse("my-safe").unwrap();
        let files = files(&id, "\"1.0.0\"");
        let text = |name: &str| &files.iter().find(|(file, _)| *file == name).unwrap().1;
        assert!(text("src/lib.rs").contains("id: \"my-safe\""));
        assert!(text("tests/conformance.rs").contains("use keystead_plugin_my_safe::"));
        assert!(text("Cargo.toml").contains("name = \"keystead-plugin-my-safe\""));
        assert!(text("Cargo.toml").contains("keystead-plugin-api = \"1.0.0\""));
        for (name, text) in &files {
            assert!(!text.contains("keystead_plugin_memory"), "{name}");
            assert!(!text.contains("{{"), "{name}");
        }
    }

    #[test]
    fn every_source_of_the_reference_plugin_is_written() {
        fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => sources(&path, found),
                    false => found.push(path),
                }
            }
        }
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/memory");
        let mut found = Vec::new();
        sources(&root.join("src"), &mut found);
        for path in found {
            let name = path.strip_prefix(&root).unwrap().to_str().unwrap();
            assert!(SOURCES.iter().any(|(known, _)| *known == name), "{name}");
        }
    }
}

//! `keystead import --from vaultinfo`: prints commands that register the vaults of
//! SecretManagement. The command changes nothing; its output is a script for the user to read, and
//! then to run.

use std::fs::File;
use std::path::{Path, PathBuf};

use keystead::trust::PluginId;
use keystead_exchange::ImportSource;
use keystead_exchange::vaultinfo::{DIR, FILE, ForeignRegistry, Here, Proposal, STORE_DIR, read};
use keystead_plugin_api::VaultName;
use serde::Serialize;

use super::super::CommandContext;
use super::Args;
use super::origin::Origin;
use crate::failure::{Exit, Failure};
use crate::text;

/// Directory of SecretManagement's directories, below the home directory.
const SHARED: &str = ".secretmanagement";

/// Returns whether the path is the registry file, or a directory that contains the file.
pub(super) fn is_registry(path: &Path) -> bool {
    file(path).is_some() || path.file_name().is_some_and(|name| name == FILE)
}

/// Returns the registry file in a directory.
fn file(dir: &Path) -> Option<PathBuf> {
    let places = [dir.join(FILE), dir.join(DIR).join(FILE)];
    places.into_iter().find(|place| place.is_file())
}

pub(super) fn run(
    args: &Args,
    mut origin: Origin,
    scene: &CommandContext<'_>,
) -> Result<Exit, Failure> {
    for (option, given) in [
        ("--vault", args.vault.is_some()),
        ("--prefix", !args.prefix.is_empty()),
        ("--replace", args.replace),
        ("--skip-existing", args.skip_existing),
        ("--column", !args.columns.is_empty()),
        ("--delimiter", args.delimiter.is_some()),
        ("--user", args.user.is_some()),
    ] {
        if given {
            return Err(Failure::usage(format!(
                "`{option}` is not for `--from {}`",
                super::VAULTS
            ))
            .hint("it writes to no vault, and only shows what to do"));
        }
    }
    let found = file(&args.source);
    let registry = match &found {
        Some(path) => {
            let failed =
                |fault| Failure::act(format!("cannot open `{}`", path.display())).because(fault);
            read(ImportSource::File(File::open(path).map_err(failed)?))
        }
        None => read(origin.source()?),
    };
    let registry = registry?;
    let vaults: Vec<VaultName> =
        scene.host.vaults()?.0.into_iter().map(|vault| vault.name).collect();
    let plugin = |id: &str| {
        let found = scene.host.plugins().find(&PluginId::parse(id).ok()?).ok()?;
        let kind = found.manifest().kind(None)?;
        Some(kind.parameters.iter().map(|parameter| parameter.name.to_string()).collect())
    };
    let store = store(found.as_deref().unwrap_or(&args.source), scene);
    let proposals = registry.proposals(&Here { plugin: &plugin, vaults: &vaults, store: &store });
    if scene.ui.is_json() {
        scene.ui.json(&VaultinfoOutput::of(&registry, &proposals))?;
    } else {
        tell(&proposals, scene)?;
    }
    let broken: Vec<_> = registry.vaults.iter().filter_map(|one| one.as_ref().err()).collect();
    for bad in &broken {
        scene.ui.warn(&bad.to_string());
    }
    scene.ui.note(match registry.vaults.is_empty() {
        true => "No vault is registered there.",
        false => "Nothing was registered: read the commands, and run those that you want.",
    });
    Ok(if broken.is_empty() { Exit::Done } else { Exit::Partly })
}

/// Returns the directory of SecretStore: beside the registry's directory, or the default directory.
fn store(registry: &Path, scene: &CommandContext<'_>) -> PathBuf {
    let registry = std::path::absolute(registry).ok();
    let beside = registry.as_deref().and_then(|file| file.parent()?.parent());
    let beside = beside.map(|shared| shared.join(STORE_DIR)).filter(|dir| dir.is_dir());
    let usual = || Some(scene.home()?.join(SHARED).join(STORE_DIR));
    let found = beside.or_else(usual);
    // The user cannot paste a path that a terminal does not show.
    let is_plain = |path: &PathBuf| path.to_str().is_some_and(|path| text::visible(path) == path);
    found.filter(is_plain).unwrap_or_else(|| Path::new("FOLDER").join(STORE_DIR))
}

/// Prints a script, in which commands that cannot run here are comments.
fn tell(proposals: &[Proposal<'_>], scene: &CommandContext<'_>) -> Result<(), Failure> {
    let mut lines = scene.ui.lines();
    for (index, one) in proposals.iter().enumerate() {
        if index > 0 {
            lines.line("")?;
        }
        // A name may contain any character: escaped in a comment, it stays on a single line.
        let name = text::visible(&one.registered.name);
        let default = if one.registered.is_default { ", the default vault" } else { "" };
        let module = text::visible(&one.registered.module);
        lines.line(&format!("# {name}: module {module}{default}"))?;
        for note in &one.notes {
            lines.line(&format!("#   {note}"))?;
        }
        for left in &one.left_out {
            lines.line(&format!("#   without `{}`: {}", text::visible(left.name), left.why))?;
        }
        let comment = if one.is_ready { "" } else { "# " };
        for command in &one.commands {
            lines.line(&format!("{comment}{command}"))?;
        }
    }
    lines.finish()
}

/// Output of `--json`.
#[derive(Serialize)]
struct VaultinfoOutput<'a> {
    schema: u32,
    vaults: Vec<Vault<'a>>,
    broken: Vec<String>,
}

#[derive(Serialize)]
struct Vault<'a> {
    name: &'a str,
    module: &'a str,
    default: bool,
    vault: &'a str,
    plugin: Option<&'static str>,
    /// Whether the commands can be run as they are.
    ready: bool,
    commands: &'a [String],
    kept: &'a [&'a str],
    left_out: Vec<LeftOut<'a>>,
    notes: &'a [String],
}

#[derive(Serialize)]
struct LeftOut<'a> {
    name: &'a str,
    why: &'static str,
}

impl<'a> VaultinfoOutput<'a> {
    fn of(registry: &ForeignRegistry, proposals: &'a [Proposal<'a>]) -> Self {
        let vault = |one: &'a Proposal<'a>| Vault {
            name: &one.registered.name,
            module: &one.registered.module,
            default: one.registered.is_default,
            vault: one.vault.as_str(),
            plugin: one.plugin,
            ready: one.is_ready,
            commands: &one.commands,
            kept: &one.kept,
            left_out: one
                .left_out
                .iter()
                .map(|left| LeftOut { name: left.name, why: left.why })
                .collect(),
            notes: &one.notes,
        };
        Self {
            schema: 1,
            vaults: proposals.iter().map(vault).collect(),
            broken: registry
                .vaults
                .iter()
                .filter_map(|one| one.as_ref().err())
                .map(ToString::to_string)
                .collect(),
        }
    }
}

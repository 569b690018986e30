//! `keystead meta`: changes metadata, which is not secret, and keeps the value.

pub(crate) mod set;
pub(crate) mod unset;

use keystead::metadata::{Change, Changed, MetadataEdit};
use keystead_plugin_api::{SecretName, VaultName};
use serde::Serialize;

use super::CommandContext;
use crate::failure::{Exit, Failure};
use crate::metadata;

/// The commands about metadata.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Set(set::Args),
    Unset(unset::Args),
}

pub(crate) fn run(command: Command, scene: CommandContext<'_>) -> Result<Exit, Failure> {
    match command {
        Command::Set(args) => set::run(args, scene),
        Command::Unset(args) => unset::run(args, scene),
    }
}

/// Changes a secret's metadata, and prints the result.
fn change(
    name: &SecretName,
    vault: Option<VaultName>,
    edit: MetadataEdit,
    mut scene: CommandContext<'_>,
) -> Result<Exit, Failure> {
    let waiting = scene.waiting(vault.as_ref());
    let change = Change { name: name.clone(), vault, edit, run: scene.run() };
    let changed = scene.host.change_metadata(&change, &mut scene.terminal)?;
    drop(waiting);

    if scene.ui.is_json() {
        scene.ui.json(&MetaOutput::of(name, &changed, scene.global.dry_run))?;
    }
    let Changed { vault, missing, .. } = &changed;
    for key in missing {
        scene.ui.note(&format!("`{name}` in vault `{vault}` has no metadata `{key}`."));
    }
    if changed.differs {
        scene.done(
            &format!("Changed the metadata of `{name}` in vault `{vault}`."),
            &format!("Would change the metadata of `{name}` in vault `{vault}`"),
        );
    } else if missing.is_empty() {
        scene.ui.note(&format!("The metadata of `{name}` in vault `{vault}` is so already."));
    }
    Ok(Exit::Done)
}

#[derive(Serialize)]
struct MetaOutput<'a> {
    schema: u32,
    name: &'a str,
    vault: &'a str,
    metadata: metadata::Json<'a>,
    changed: bool,
    missing: &'a [String],
    dry_run: bool,
}

impl<'a> MetaOutput<'a> {
    fn of(name: &'a SecretName, changed: &'a Changed, dry_run: bool) -> Self {
        Self {
            schema: 1,
            name: name.as_str(),
            vault: changed.vault.as_str(),
            metadata: metadata::Json(&changed.metadata),
            changed: changed.differs,
            missing: &changed.missing,
            dry_run,
        }
    }
}

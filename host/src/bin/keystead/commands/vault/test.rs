//! `keystead vault test`: whether vaults could do their work. Changes nothing.

use keystead_plugin_api::VaultName;
use serde::Serialize;

use super::super::Scene;
use super::super::get::vault_name;
use crate::failure::{Exit, Failure, in_one_line};

/// Test whether a vault could do its work
///
/// Without a name all vaults are tested, and exit code 5 says that some failed. Nothing is
/// changed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The vault
    #[arg(value_parser = vault_name)]
    name: Option<VaultName>,
}

pub(crate) fn run(args: &Args, mut scene: Scene<'_>) -> Result<Exit, Failure> {
    if let Some(name) = &args.name {
        test(&mut scene, name)?;
        answer(&scene, name, None)?;
        return Ok(Exit::Done);
    }
    let mut exit = Exit::Done;
    let (vaults, faults) = scene.host.vaults()?;
    for fault in &faults {
        scene.ui.warn(&in_one_line(fault));
        exit = Exit::Partly;
    }
    for vault in vaults {
        let tested = vault.entry.and_then(|_| test(&mut scene, &vault.name));
        if tested.is_err() {
            exit = Exit::Partly;
        }
        answer(&scene, &vault.name, tested.err().as_ref())?;
    }
    Ok(exit)
}

fn test(scene: &mut Scene<'_>, name: &VaultName) -> Result<(), keystead::Error> {
    let waiting = scene.waiting(Some(name));
    let tested = scene.host.test(name, &mut scene.terminal);
    drop(waiting);
    tested
}

fn answer(
    scene: &Scene<'_>,
    name: &VaultName,
    error: Option<&keystead::Error>,
) -> Result<(), Failure> {
    if scene.ui.is_json() {
        return scene.ui.json(&Answer {
            schema: 1,
            vault: name.as_str(),
            ok: error.is_none(),
            code: error.map(keystead::Error::code),
            error: error.map(|error| in_one_line(error)),
        });
    }
    match error {
        None => scene.ui.line(&format!("{name}: ok")),
        Some(error) => scene.ui.line(&format!("{name}: failed: {}", in_one_line(error))),
    }
}

#[derive(Serialize)]
struct Answer<'a> {
    schema: u32,
    vault: &'a str,
    ok: bool,
    code: Option<&'static str>,
    error: Option<String>,
}

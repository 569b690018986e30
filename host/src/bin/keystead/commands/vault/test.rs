//! `keystead vault test`: whether vaults could do their work. Changes nothing.

use keystead::{Ask, Error, Nobody, Unanswered};
use keystead_plugin_api::VaultName;
use serde::Serialize;

use super::super::Scene;
use super::super::get::{listed, vault_name};
use crate::failure::{Exit, Failure, in_one_line};

/// Test whether a vault could do its work
///
/// Without a name all vaults are tested, and exit code 5 says that some failed. A vault that is
/// locked could not do its work; only the one that is named, or the default one, asks to be
/// unlocked. Nothing is changed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The vault
    #[arg(value_parser = vault_name)]
    name: Option<VaultName>,
}

pub(crate) fn run(args: &Args, mut scene: Scene<'_>) -> Result<Exit, Failure> {
    if let Some(name) = &args.name {
        test(&mut scene, name, Asked::Person)?;
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
        let name = &vault.name;
        let asked = if vault.is_default { Asked::Person } else { Asked::Nobody };
        let tested = vault.entry.and_then(|_| test(&mut scene, name, asked));
        if tested.is_err() {
            exit = Exit::Partly;
        }
        answer(&scene, &vault.name, tested.err().as_ref())?;
    }
    Ok(exit)
}

/// Who is asked where a vault is locked.
enum Asked {
    Person,
    Nobody,
}

fn test(scene: &mut Scene<'_>, name: &VaultName, asked: Asked) -> Result<(), Error> {
    let waiting = scene.waiting(Some(name));
    let ask: &mut dyn Ask = match asked {
        Asked::Person => &mut scene.terminal,
        Asked::Nobody => &mut Nobody,
    };
    let tested = scene.host.test(name, ask);
    drop(waiting);
    tested
}

fn answer(scene: &Scene<'_>, name: &VaultName, error: Option<&Error>) -> Result<(), Failure> {
    if scene.ui.is_json() {
        return scene.ui.json(&Answer {
            schema: 1,
            vault: name.as_str(),
            ok: error.is_none(),
            code: error.map(Error::code),
            error: error.map(|error| in_one_line(error)),
        });
    }
    match error {
        None => scene.ui.line(&format!("{name}: ok")),
        Some(Error::Locked { challenge, why: Unanswered::Nobody, .. }) => {
            let asked: Vec<&str> = challenge.prompts.iter().map(|prompt| &*prompt.name).collect();
            let asked = listed(&asked).replace(" or ", " and ");
            scene.ui.line(&format!(
                "{name}: locked: it asks for {asked}; run `keystead vault unlock {name}` first"
            ))
        }
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

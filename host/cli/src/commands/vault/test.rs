//! `keystead vault test`: checks that vaults are usable. Changes nothing.

use keystead::{Error, NonInteractive, PromptError, Prompter};
use keystead_plugin_api::{Rules, VaultName};
use serde::Serialize;

use super::super::CommandContext;
use super::super::get::{listed, vault_name};
use crate::failure::{Exit, Failure, in_one_line};
use crate::ui::Verbosity;

/// Check that vaults are usable
///
/// Without a name all vaults are tested, and exit code 5 says that some failed. A vault that is
/// locked could not do its work; only the one that is named, or the default one, asks to be
/// unlocked. Nothing is changed. `--verbose` and `--json` also print which names the vault takes, and
/// its limits.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The vault
    #[arg(value_parser = vault_name)]
    name: Option<VaultName>,
}

pub(crate) fn run(args: &Args, mut scene: CommandContext<'_>) -> Result<Exit, Failure> {
    if let Some(name) = &args.name {
        let rules = test(&mut scene, name, Asked::Person)?;
        answer(&scene, name, Ok(&rules))?;
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
        answer(&scene, &vault.name, tested.as_ref())?;
    }
    Ok(exit)
}

/// Whether the user is prompted where a vault is locked.
enum Asked {
    Person,
    Nobody,
}

/// Tests a vault, and returns its rules where they are needed.
fn test(
    scene: &mut CommandContext<'_>,
    name: &VaultName,
    asked: Asked,
) -> Result<Option<Rules>, Error> {
    let waiting = scene.waiting(Some(name));
    let ask: &mut dyn Prompter = match asked {
        Asked::Person => &mut scene.terminal,
        Asked::Nobody => &mut NonInteractive,
    };
    scene.host.test(name, ask)?;
    let rules = match scene.ui.is_json() || scene.ui.talk() >= Verbosity::More {
        true => Some(scene.host.vault_rules(name, ask)?),
        false => None,
    };
    drop(waiting);
    Ok(rules)
}

fn answer(
    scene: &CommandContext<'_>,
    name: &VaultName,
    tested: Result<&Option<Rules>, &Error>,
) -> Result<(), Failure> {
    let (rules, error) = match tested {
        Ok(rules) => (rules.as_ref(), None),
        Err(error) => (None, Some(error)),
    };
    if scene.ui.is_json() {
        return scene.ui.json(&VaultTestOutput {
            schema: 1,
            vault: name.as_str(),
            ok: error.is_none(),
            code: error.map(Error::code),
            error: error.map(|error| in_one_line(error)),
            rules: rules.map(|rules| JsonRules {
                names: rules.names.as_str(),
                max_name_bytes: rules.max_name_bytes,
                name_grammar: rules.name_grammar.as_deref(),
                max_value_bytes: rules.max_value_bytes,
            }),
        });
    }
    match error {
        None => {
            scene.ui.line(&format!("{name}: ok"))?;
            rules.map_or(Ok(()), |rules| scene.ui.line(&described(rules)))
        }
        Some(Error::Locked { challenge, why: PromptError::NonInteractive, .. }) => {
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
struct VaultTestOutput<'a> {
    schema: u32,
    vault: &'a str,
    ok: bool,
    code: Option<&'static str>,
    error: Option<String>,
    rules: Option<JsonRules<'a>>,
}

#[derive(Serialize)]
struct JsonRules<'a> {
    names: &'static str,
    max_name_bytes: Option<usize>,
    name_grammar: Option<&'a str>,
    max_value_bytes: Option<usize>,
}

/// Returns a line about the rules of a vault.
fn described(rules: &Rules) -> String {
    let mut names = Vec::new();
    if let Some(most) = rules.max_name_bytes {
        names.push(format!("at most {most} bytes"));
    }
    names.extend(rules.name_grammar.clone());
    let mut line = format!("  name equality: {}", rules.names.as_str());
    if !names.is_empty() {
        line.push_str(&format!("; names: {}", names.join(", ")));
    }
    if let Some(most) = rules.max_value_bytes {
        line.push_str(&format!("; values: at most {most} bytes"));
    }
    line
}

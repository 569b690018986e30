//! `keystead vault do`: lists or runs a vault's own actions, such as changing its password.

use keystead_plugin_api::{Action, ActionOutcome, VaultName};
use serde::Serialize;

use super::super::get::{self, vault_name};
use super::super::{CommandContext, current_dir};
use super::parameters;
use crate::failure::{Exit, Failure};
use keystead::internals::json::{escaped, write};

/// List or run a vault's own actions
///
/// Without an action the vault's actions are listed. One that loses something is asked about
/// first, or needs `--yes`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The vault
    #[arg(value_parser = vault_name)]
    name: VaultName,
    /// The action
    action: Option<String>,
    /// A parameter of the action
    #[arg(long, value_name = "NAME=VALUE", requires = "action")]
    param: Vec<String>,
}

pub(crate) fn run(args: Args, mut scene: CommandContext<'_>) -> Result<Exit, Failure> {
    let name = &args.name;
    let Some(wanted) = &args.action else {
        let waiting = scene.waiting(Some(name));
        let actions = scene.host.actions(name, &mut scene.terminal)?;
        drop(waiting);
        list(&scene, name, &actions)?;
        return Ok(Exit::Done);
    };
    let typed = parameters(args.param)?;
    // The library returns the error for an action that does not exist.
    let waiting = scene.waiting(Some(name));
    let dir = current_dir()?;
    let plan = scene.host.plan_action(name, wanted, &typed, &dir, &mut scene.terminal)?;
    drop(waiting);
    let permissions = plan.permissions();
    if !permissions.is_empty() {
        scene.ui.note(&format!("For this action the plugin of vault `{name}`:"));
        for permission in &permissions {
            scene.ui.note(&format!("  {permission}"));
        }
    }
    if scene.global.dry_run {
        if scene.ui.is_json() {
            let (vault, action) = (name.as_str(), wanted.as_str());
            let permissions = &permissions[..];
            scene.ui.json(&Would { schema: 1, vault, action, permissions, dry_run: true })?;
        }
        scene.done("", &format!("Would do `{wanted}` in vault `{name}`"));
        return Ok(Exit::Done);
    }
    if plan.leads_elsewhere() {
        scene.consent(
            &format!("Open what that leads to to the plugin of vault `{name}`?"),
            "name the path without links, or add `--yes`",
        )?;
    }
    if plan.action().destructive {
        scene.consent(
            &format!("Do `{wanted}` in vault `{name}` ({})?", plan.action().description),
            "this action is destructive: add `--yes` to run it",
        )?;
    }
    let waiting = scene.waiting(Some(name));
    let outcome = scene.host.act(plan, &mut scene.terminal)?;
    drop(waiting);
    answer(&scene, name, wanted, outcome)?;
    Ok(Exit::Done)
}

fn list(scene: &CommandContext<'_>, vault: &VaultName, actions: &[Action]) -> Result<(), Failure> {
    let mut lines = scene.ui.lines();
    if scene.ui.is_json() {
        for action in actions {
            lines.json(&VaultActionOutput {
                schema: 1,
                vault: vault.as_str(),
                action: &action.id,
                description: &action.description,
                destructive: action.destructive,
                parameters: action.parameters.iter().map(Parameter::of).collect(),
            })?;
        }
        return lines.finish();
    }
    let rows: Vec<Vec<String>> = actions
        .iter()
        .map(|action| {
            let parameters: Vec<String> = action
                .parameters
                .iter()
                .map(|parameter| match parameter.required {
                    true => parameter.name.to_string(),
                    false => format!("[{}]", parameter.name),
                })
                .collect();
            let loses = if action.destructive { "destructive" } else { "" };
            vec![
                action.id.clone(),
                parameters.join(" "),
                loses.to_owned(),
                action.description.clone(),
            ]
        })
        .collect();
    lines.table(&["ACTION", "PARAMETERS", "", "DESCRIPTION"], &rows)?;
    lines.finish()?;
    if actions.is_empty() {
        scene.ui.note(&format!("Vault `{vault}` has no actions."));
    }
    Ok(())
}

fn answer(
    scene: &CommandContext<'_>,
    vault: &VaultName,
    action: &str,
    outcome: ActionOutcome,
) -> Result<(), Failure> {
    if scene.ui.is_json() {
        let head = VaultActionHeader {
            schema: 1,
            vault: vault.as_str(),
            action,
            message: &outcome.message,
        };
        return match &outcome.value {
            None => scene.ui.json(&head),
            Some(value) => {
                let head = escaped::to_string(&head);
                scene.ui.answer(&write::object(&head, value))
            }
        };
    }
    for line in outcome.message.lines() {
        scene.ui.note(line);
    }
    match outcome.value {
        None => Ok(()),
        Some(value) => get::print(scene.ui, action, value),
    }
}

#[derive(Serialize)]
struct VaultActionHeader<'a> {
    schema: u32,
    vault: &'a str,
    action: &'a str,
    message: &'a str,
}

/// Output of a dry run.
#[derive(Serialize)]
struct Would<'a> {
    schema: u32,
    vault: &'a str,
    action: &'a str,
    permissions: &'a [String],
    dry_run: bool,
}

#[derive(Serialize)]
struct VaultActionOutput<'a> {
    schema: u32,
    vault: &'a str,
    action: &'a str,
    description: &'a str,
    destructive: bool,
    parameters: Vec<Parameter<'a>>,
}

/// A parameter of an action or a vault kind, as JSON.
#[derive(Serialize)]
pub(crate) struct Parameter<'a> {
    name: &'a str,
    kind: &'static str,
    description: &'a str,
    required: bool,
    secret: bool,
    default: Option<&'a str>,
}

impl<'a> Parameter<'a> {
    /// Returns the parameter's JSON form.
    pub(crate) fn of(parameter: &'a keystead_plugin_api::OwnedParameter) -> Self {
        let default = &*parameter.default;
        Self {
            name: &parameter.name,
            kind: parameter.kind.as_str(),
            description: &parameter.description,
            required: parameter.required,
            secret: parameter.secret,
            default: Some(default).filter(|default| !default.is_empty()),
        }
    }
}

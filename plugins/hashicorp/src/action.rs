//! Actions of the vault: operations on the versions of a secret of KV version 2.

use keystead_plugin_api::{
    Action, ActionOutcome, ActionRequest, Error, Parameter, ParameterKind, Result, SecretName,
};

use crate::kv::{Kv, number};
use crate::server::Server;

/// The most versions in one action.
const MOST: usize = 100;

/// Returns every action.
pub(crate) fn all() -> Vec<Action> {
    const NAME: Parameter = Parameter::required("name", ParameterKind::Text, "the secret");
    let versions =
        |words: &'static str| Parameter::optional("versions", ParameterKind::Text, words);
    let newest = "their numbers with commas between them; the newest where none is given";
    vec![
        Action::new("delete", "deletes versions so that they can be undeleted")
            .parameters(&[NAME, versions(newest)]),
        Action::new("undelete", "brings deleted versions back")
            .parameters(&[NAME, versions(newest)]),
        Action::new("destroy", "destroys versions for good")
            .parameters(&[
                NAME,
                Parameter::required(
                    "versions",
                    ParameterKind::Text,
                    "their numbers with commas between them",
                ),
            ])
            .destructive(),
        Action::new("erase", "removes a secret with all of its versions and its metadata")
            .parameters(&[NAME])
            .destructive(),
    ]
}

/// Runs an action.
pub(crate) fn act(
    server: &mut Server,
    kv: &mut Kv,
    request: &ActionRequest,
) -> Result<ActionOutcome> {
    let deadline = request.deadline;
    let name = SecretName::parse(request.parameters.text("name").unwrap_or_default())?;
    let path = kv.path(&name)?;
    let two = kv.two(server, "versions", deadline)?;
    let state = two.state(server, &path, deadline)?;
    let state = state.filter(|state| state.current_version > 0).ok_or_else(Error::not_found)?;
    if request.action == "erase" {
        two.erase(server, &path, deadline)?;
        return Ok(ActionOutcome::new(format!("`{name}` is removed with all of its versions")));
    }
    let versions = match request.parameters.text("versions") {
        None => vec![state.current_version],
        Some(text) => text.split(',').map(|one| number(one.trim())).collect::<Result<Vec<_>>>()?,
    };
    if versions.len() > MOST {
        return Err(Error::invalid(format!("more than {MOST} versions at once")));
    }
    // The server ignores versions that it does not have.
    if let Some(unknown) = versions.iter().find(|version| state.one(**version).is_none()) {
        return Err(Error::invalid(format!("`{name}` has no version {unknown}")));
    }
    two.change(server, &request.action, &path, &versions, deadline)?;
    let told: Vec<String> = versions.iter().map(u64::to_string).collect();
    let done = match &*request.action {
        "delete" => "deleted",
        "undelete" => "back",
        _ => "destroyed",
    };
    Ok(ActionOutcome::new(format!("version {} of `{name}`: {done}", told.join(", "))))
}

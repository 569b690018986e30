//! `keystead vault register`: registers a vault with its name, plugin and parameters.

use keystead::NewRegistration;
use keystead::paths::Layer;
use keystead::{DefaultChoice, Placement, Replace};
use keystead_plugin_api::VaultName;
use serde::Serialize;

use super::super::get::vault_name;
use super::super::{CommandContext, current_dir};
use super::grant::{Optional, not_granted};
use super::parameters;
use crate::failure::{Exit, Failure};

/// Register a vault
///
/// The first vault that is registered becomes the default one, unless told otherwise. What
/// the plugin may do there is shown; `--dry-run` shows it and changes nothing.
///
/// A secret parameter is given as a reference: `env:VAR`, `file:PATH`,
/// `command:["PROGRAM","ARGUMENT"]` or `keystead://VAULT/NAME`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What the vault is to be called
    #[arg(value_parser = vault_name)]
    name: VaultName,
    /// The plugin's id, and the kind of vault where it has several
    #[arg(long, value_name = "PLUGIN[:KIND]", value_parser = plugin)]
    plugin: Plugin,
    /// A parameter; `keystead plugin show PLUGIN` lists them
    #[arg(long, value_name = "NAME=VALUE")]
    param: Vec<String>,
    /// An optional permission to grant; `keystead plugin show PLUGIN` lists them
    #[arg(long, value_name = "PERMISSION")]
    grant: Vec<String>,
    /// What the vault is for, in a line
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    description: String,
    /// Make it the default vault
    #[arg(long, conflicts_with = "no_default")]
    default: bool,
    /// Do not make it the default vault, even if it is the first
    #[arg(long)]
    no_default: bool,
    /// Have the agent keep a login that needs no prompt, for all commands
    #[arg(long)]
    keep_login: bool,
    /// Keep it out of searches that name no vault
    #[arg(long)]
    no_search: bool,
    /// Take the place of a registration of this name, as a whole
    #[arg(long)]
    replace: bool,
    /// Where the plugin's code runs
    #[arg(long, value_name = "WHERE", value_enum)]
    placement: Option<Where>,
}

/// A plugin's id, and a vault kind of the plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Plugin {
    id: String,
    kind: Option<String>,
}

/// Where a plugin's code runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Where {
    /// In a process of its own
    Isolated,
    /// In keystead's own process
    InProcess,
}

impl From<Where> for Placement {
    fn from(where_: Where) -> Self {
        match where_ {
            Where::Isolated => Self::Isolated,
            Where::InProcess => Self::InProcess,
        }
    }
}

fn plugin(text: &str) -> Result<Plugin, String> {
    let (id, kind) = match text.split_once(':') {
        Some((id, kind)) => (id, Some(kind)),
        None => (text, None),
    };
    if id.is_empty() || kind == Some("") {
        return Err("expected a plugin's id, or `ID:KIND`".to_owned());
    }
    Ok(Plugin { id: id.to_owned(), kind: kind.map(str::to_owned) })
}

pub(crate) fn run(args: Args, scene: CommandContext<'_>) -> Result<Exit, Failure> {
    let registration = NewRegistration {
        name: args.name.clone(),
        plugin: args.plugin.id,
        kind: args.plugin.kind,
        parameters: parameters(args.param)?,
        grants: args.grant,
        unlock: scene.unlock.take(),
        description: args.description,
        default: match (args.default, args.no_default) {
            (true, _) => DefaultChoice::Yes,
            (false, true) => DefaultChoice::No,
            (false, false) => DefaultChoice::First,
        },
        keep_login: args.keep_login,
        search: !args.no_search,
        replace: if args.replace { Replace::Whole } else { Replace::Never },
        placement: args.placement.map(Placement::from),
        layer: scene.layer(),
        dir: current_dir()?,
    };
    let plan = scene.host.plan_registration(registration)?;
    let (permissions, is_default) = (plan.permissions().to_vec(), plan.becomes_default());
    let plugin = plan.entry().plugin.clone();
    let name = &args.name;
    let optional = plan.optional().to_vec();
    for line in plan.left_out() {
        scene.ui.warn(line);
    }

    if !permissions.is_empty() || !optional.is_empty() {
        scene.ui.note(&format!("Plugin `{plugin}` as vault `{name}`:"));
        for permission in &permissions {
            scene.ui.note(&format!("  {permission}"));
        }
        for line in optional.iter().map(not_granted) {
            scene.ui.note(&format!("  {line}"));
        }
    }
    if !scene.global.dry_run {
        if !plan.by_default().is_empty() {
            let named = plan.by_default().join(", ");
            scene.consent(
                &format!("Plugin `{plugin}` {named} by a default of its own: grant that?"),
                "add `--yes` to grant it, or give another path with `--param`",
            )?;
        }
        scene.host.register(plan)?;
    }
    if scene.ui.is_json() {
        scene.ui.json(&VaultRegisterOutput {
            schema: 1,
            name: name.as_str(),
            layer: scene.layer().as_str(),
            plugin: &plugin,
            permissions: &permissions,
            optional: optional.iter().map(Optional::of).collect(),
            default: is_default,
            dry_run: scene.global.dry_run,
        })?;
    }
    let for_whom = if scene.layer() == Layer::System { " for all users" } else { "" };
    scene.done(
        &format!("Registered vault `{name}`{for_whom}."),
        &format!("Would register vault `{name}`{for_whom}"),
    );
    if is_default && !scene.global.dry_run {
        scene.ui.note("It is the default vault.");
    }
    Ok(Exit::Done)
}

#[derive(Serialize)]
struct VaultRegisterOutput<'a> {
    schema: u32,
    name: &'a str,
    layer: &'static str,
    plugin: &'a str,
    permissions: &'a [String],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    optional: Vec<Optional<'a>>,
    default: bool,
    dry_run: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plugin_argument_accepts_vault_kind() {
        let parsed = |text| plugin(text).map(|Plugin { id, kind }| (id, kind));
        assert_eq!(parsed("memory"), Ok(("memory".into(), None)));
        assert_eq!(parsed("a:b"), Ok(("a".into(), Some("b".into()))));
        assert!(parsed("").is_err());
        assert!(parsed("a:").is_err());
        assert!(parsed(":b").is_err());
    }
}

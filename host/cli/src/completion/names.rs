//! The names that complete an argument: of vaults, secrets, plugins, kinds, parameters.

use std::any::TypeId;
use std::ops::ControlFlow;
use std::sync::mpsc;
use std::time::Instant;

use clap::{Arg, ValueHint};
use keystead::internals::plugin::inspect::ParsedManifest;
use keystead::trust::PluginId;
use keystead::{Host, Options};
use keystead_plugin_api::{SecretName, VaultName};

use super::line::Line;
use super::{Candidate, Candidates};
use crate::environment::{Environment, Sources};

/// Maximum number of names in an answer: users read no more, and a shell gets slow.
const MOST: usize = 2_000;

/// Returns the candidates for this argument.
pub(super) fn of(line: &Line<'_>, argument: &Arg, prefix: &str, until: Instant) -> Candidates {
    let possible = argument.get_possible_values();
    if !possible.is_empty() {
        let shown = possible.iter().filter(|value| !value.is_hide_set());
        return Candidates::Words(
            shown
                .map(|value| {
                    let help = value.get_help().map(ToString::to_string).unwrap_or_default();
                    Candidate::new(value.get_name(), help)
                })
                .collect(),
        );
    }
    let words = match Names::of(line, argument) {
        Names::Vaults => vaults(line),
        Names::Secrets => secrets(line, prefix, until),
        Names::Plugins => plugins(line),
        Names::Kinds => kinds(line, prefix),
        Names::PluginsOrFiles if prefix.contains(['/', '.', '~']) => None,
        Names::PluginsOrFiles => match plugins(line) {
            Some(found) if found.iter().any(|one| one.value.starts_with(prefix)) => Some(found),
            _ => return Candidates::Files,
        },
        Names::Parameters => parameters(line),
        Names::None => Some(Vec::new()),
        Names::Files => None,
    };
    match words {
        Some(words) => Candidates::Words(words),
        None if matches!(argument_hint(argument), Hint::Files) => Candidates::Files,
        None => Candidates::Words(Vec::new()),
    }
}

/// Kind of names that an argument takes, by its type, or for text by the argument's name.
enum Names {
    Vaults,
    Secrets,
    Plugins,
    PluginsOrFiles,
    Kinds,
    Parameters,
    Files,
    None,
}

impl Names {
    fn of(line: &Line<'_>, argument: &Arg) -> Self {
        let id = argument.get_id().as_str();
        let is = |other: TypeId| argument.get_value_parser().type_id() == other;
        let path = line.path();
        if is(TypeId::of::<VaultName>()) {
            // A new name, or the name of a replaced registration.
            return if path == ["vault", "register"] { Self::None } else { Self::Vaults };
        }
        if is(TypeId::of::<PluginId>()) {
            return if path == ["plugin", "new"] { Self::None } else { Self::Plugins };
        }
        if is(TypeId::of::<SecretName>()) && argument.is_positional() {
            return Self::Secrets;
        }
        match (id, argument.is_positional()) {
            ("wanted" | "name" | "pattern", true) => Self::Secrets,
            ("plugin", true) => Self::PluginsOrFiles,
            ("plugin", false) => Self::Kinds,
            ("param", false) if path == ["vault", "register"] || path == ["plugin", "test"] => {
                Self::Parameters
            }
            _ => Self::Files,
        }
    }
}

enum Hint {
    Files,
    None,
}

fn argument_hint(argument: &Arg) -> Hint {
    let names = argument.get_value_names().unwrap_or_default();
    let says_file = names.iter().any(|name| name.contains("FILE") || name.contains("DIR"));
    match argument.get_value_hint() {
        ValueHint::AnyPath | ValueHint::FilePath | ValueHint::DirPath => Hint::Files,
        _ if says_file => Hint::Files,
        _ => Hint::None,
    }
}

/// Returns a host with the options so far; this host never prompts and prints nothing.
fn host(line: &Line<'_>) -> Option<Host> {
    let config_dir = line.given("config_dir").map(std::path::Path::new);
    let environment = Environment::read(config_dir).ok()?;
    let mut options = Options::new(environment.paths, environment.program);
    options.max_handles = 1;
    options.privilege = environment.privilege;
    options.off_limits = environment.off_limits;
    options.default_vault = environment.default_vault;
    options.sources = std::sync::Arc::new(Sources { privilege: environment.privilege });
    Some(Host::new(options))
}

fn vaults(line: &Line<'_>) -> Option<Vec<Candidate>> {
    let (vaults, _) = host(line)?.vaults().ok()?;
    Some(
        vaults
            .into_iter()
            .map(|vault| {
                let help = vault.entry.map(|entry| entry.description).unwrap_or_default();
                Candidate::new(vault.name.as_str(), crate::text::visible(&help))
            })
            .collect(),
    )
}

/// Returns the names of secrets in the vaults that the command reads.
fn secrets(line: &Line<'_>, prefix: &str, until: Instant) -> Option<Vec<Candidate>> {
    let host = host(line)?;
    let asked = match line.given("vault").or_else(|| line.given("from")) {
        Some(named) => vec![VaultName::parse(named).ok()?],
        None => in_order(line, &host)?,
    };
    let (sender, names) = mpsc::channel();
    for vault in asked {
        let (host, sender, prefix) = (host.clone(), sender.clone(), prefix.to_owned());
        let work = move || {
            let mut left = MOST;
            // A vault that is locked, broken or timed out has no names here.
            let _ = keystead::internals::names_at_hand(
                &host,
                &vault,
                &prefix,
                &mut |name: SecretName| {
                    left -= 1;
                    let candidate = Candidate::new(name.as_str(), vault.as_str());
                    match sender.send(candidate).is_ok() && left > 0 {
                        true => ControlFlow::Continue(()),
                        false => ControlFlow::Break(()),
                    }
                },
            );
        };
        // Where no thread can be started, the vault is skipped.
        if std::thread::Builder::new().spawn(work).is_err() {
            break;
        }
    }
    drop(sender);
    let mut found = Vec::new();
    while found.len() < MOST {
        // Threads that run past the deadline end with the process; so do their vaults' runners.
        match names.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(candidate) => found.push(candidate),
            Err(_) => break,
        }
    }
    Some(found)
}

/// Returns the vaults that the command reads if none is named, the default vault first.
fn in_order(line: &Line<'_>, host: &Host) -> Option<Vec<VaultName>> {
    let default = host.default_vault().ok().flatten();
    let reads = match line.path() {
        ["list"] => Reads::All,
        ["get" | "show"] => Reads::Searched,
        _ if line.has("from") => Reads::All,
        _ => Reads::Default,
    };
    if reads == Reads::Default {
        return Some(default.into_iter().collect());
    }
    let (vaults, _) = host.vaults().ok()?;
    let mut names: Vec<(bool, VaultName)> = vaults
        .into_iter()
        .filter(|vault| {
            let is_searched = vault.entry.as_ref().is_ok_and(|entry| entry.search);
            vault.is_default || is_searched || reads == Reads::All
        })
        .map(|vault| (!vault.is_default, vault.name))
        .collect();
    names.sort();
    Some(names.into_iter().map(|(_, name)| name).collect())
}

/// Vaults that a command reads if none is named.
#[derive(PartialEq, Eq)]
enum Reads {
    All,
    Searched,
    Default,
}

fn plugins(line: &Line<'_>) -> Option<Vec<Candidate>> {
    let listed = host(line)?.plugins().list().ok()?;
    let ids = listed.into_iter().filter(|one| one.shadowed_by.is_none());
    Some(ids.map(|one| Candidate::new(one.name, one.layer.as_str())).collect())
}

/// Returns plugins, and after `PLUGIN:` its vault kinds.
fn kinds(line: &Line<'_>, prefix: &str) -> Option<Vec<Candidate>> {
    let Some((id, _)) = prefix.split_once(':') else { return plugins(line) };
    let manifest = manifest(line, id)?;
    let kinds = manifest.kinds.iter().filter(|kind| kind.needs_newer_host().is_none());
    Some(
        kinds
            .map(|kind| {
                let help = crate::text::visible(&kind.description);
                Candidate::new(format!("{id}:{}", kind.name), help)
            })
            .collect(),
    )
}

/// Returns the parameters of the plugin named before.
fn parameters(line: &Line<'_>) -> Option<Vec<Candidate>> {
    let (id, kind) = match line.given("plugin")?.split_once(':') {
        Some((id, kind)) => (id, Some(kind)),
        None => (line.given("plugin")?, line.given("kind")),
    };
    let manifest = manifest(line, id)?;
    let parameters = manifest.kind(kind)?.parameters.iter();
    Some(
        parameters
            .map(|parameter| {
                let help = crate::text::visible(&parameter.description);
                Candidate::new(format!("{}=", parameter.name), help)
            })
            .collect(),
    )
}

fn manifest(line: &Line<'_>, id: &str) -> Option<ParsedManifest> {
    let id = PluginId::parse(id).ok()?;
    Some(host(line)?.plugins().find(&id).ok()?.manifest().clone())
}

//! Commands that fix problems, quoted for a POSIX shell, with all known values filled in.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::fs;
use crate::paths::Layer;
use crate::plugin::inspect::ParsedKind;
use crate::registry::schema::{self, ParameterError};
use crate::registry::{Registration, Setting};
use crate::shell::word;

/// A command that fixes a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fix {
    /// The command, quoted for a POSIX shell. The user fills in words in capitals:
    /// `FILE`, `VALUE`, `REFERENCE`.
    pub command: String,
    /// Effect of the command.
    pub description: &'static str,
}

impl Fix {
    pub(super) fn new(command: impl Into<String>, description: &'static str) -> Self {
        Self { command: command.into(), description }
    }

    /// Returns a command of another program for a path, with `sudo` if needed.
    pub(super) fn about(command: &str, path: &Path, description: &'static str) -> Self {
        let command = format!("{command} {}", word(&path.to_string_lossy()));
        Self { command: as_owner(path, command), description }
    }

    /// Returns a command that renames a file, so that it is no longer used but kept.
    pub(super) fn put_away(path: &Path, description: &'static str) -> Self {
        let text = path.to_string_lossy();
        let command = format!("mv {} {}", word(&text), word(&format!("{text}.old")));
        Self { command: as_owner(path, command), description }
    }

    /// Returns a command that opens a file in an editor, so that the user can correct it.
    pub(super) fn edit(path: &Path, line: usize) -> Self {
        let path_word = word(&path.to_string_lossy());
        let command = format!("${{EDITOR:-vi}} +{line} {path_word}");
        Self { command: as_owner(path, command), description: "put it right there" }
    }
}

/// Returns fixes for a path that is not safe or cannot be used; empty where no command
/// helps.
pub(super) fn of_path(error: &fs::Error) -> Vec<Fix> {
    use fs::Error;
    match error {
        Error::OthersWrite { at, .. }
        | Error::GroupWrite { at, .. }
        | Error::AccessList { at, .. } => {
            vec![Fix::about(
                "chmod go-w",
                at,
                "look at what is in it first: others could change it",
            )]
        }
        Error::Owner { at, allowed, .. } => vec![Fix {
            command: format!("sudo chown {} {}", user(allowed), word(&at.to_string_lossy())),
            description: "look at what is in it first: its owner could change it",
        }],
        Error::LinkOwner { at, allowed, .. } => vec![Fix {
            command: format!("sudo chown -h {} {}", user(allowed), word(&at.to_string_lossy())),
            description: "look at where it leads first: its owner could point it elsewhere",
        }],
        Error::SharedDir { at, .. } => vec![Fix::new(
            format!("install -d -m 700 {}", word(&format!("{}/keystead", at.display()))),
            "have a directory of your own there, and name that one instead",
        )],
        Error::NotAFile { path, .. } | Error::TooLarge { path, .. } | Error::LinkLoop { path } => {
            vec![Fix::put_away(path, "put it out of the way")]
        }
        Error::NotADir { at, .. } => vec![Fix::put_away(at, "put it out of the way")],
        Error::Io { path, source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => {
            vec![Fix::about("chmod u+rwX", path, "let its owner use it")]
        }
        Error::Io { path, .. } | Error::Missing { path } | Error::Changed { path } => {
            vec![Fix::about("ls -ld", path, "see what is there")]
        }
        Error::NotAbsolute { .. } | Error::Name { .. } | Error::MixedIds(_) => Vec::new(),
    }
}

/// Returns the command that shows and grants the permissions that a plugin requests now.
pub(super) fn grant(name: &str, layer: Layer, path: Option<&Path>) -> Fix {
    let command = in_layer(format!("keystead vault grant {name}"), layer, path);
    Fix { command, description: "see what it asks for beyond that, and grant it" }
}

/// Returns the command that ends a registration.
pub(super) fn unregister(name: &str, layer: Layer, path: Option<&Path>) -> Fix {
    let command = in_layer(format!("keystead vault unregister {name}"), layer, path);
    Fix {
        command,
        description: "give the registration up; the vault's secrets stay where they are",
    }
}

/// Returns the command that registers a vault again. Parameters that no longer fit the
/// plugin's schema are skipped, and missing ones are for the user to fill in.
pub(super) fn register(
    entry: &Registration,
    kind: Option<&ParsedKind>,
    layer: Layer,
    path: Option<&Path>,
) -> Fix {
    let mut command = format!("keystead vault register {} --plugin {}", entry.name, entry.plugin);
    if let Some(kind) = &entry.kind {
        command += &format!(":{kind}");
    }
    for (name, text) in settings(entry, kind) {
        command += &format!(" --param {}", word(&format!("{name}={text}")));
    }
    for permission in kind.map(|kind| optional_grants(entry, kind)).unwrap_or_default() {
        command += &format!(" --grant {}", word(&permission));
    }
    for (name, reference) in &entry.unlock {
        command += &format!(" --unlock {}", word(&format!("{name}={reference}")));
    }
    if !entry.description.is_empty() {
        command += &format!(" --description {}", word(&entry.description));
    }
    if entry.keep_login {
        command += " --keep-login";
    }
    if !entry.search {
        command += " --no-search";
    }
    if let Some(placement) = entry.placement {
        command += &format!(" --placement {}", placement.as_str());
    }
    command += " --replace";
    Fix { command: in_layer(command, layer, path), description: "register it anew" }
}

/// Returns the optional permissions that a registration grants, as a user types them.
fn optional_grants(entry: &Registration, kind: &ParsedKind) -> Vec<String> {
    let mut values = BTreeMap::new();
    for (name, setting) in &entry.parameters {
        if let Setting::Text(text) = setting {
            values.insert(name.clone(), text.clone());
        }
    }
    let optional = kind.permissions.iter().filter(|request| request.optional);
    let granted = optional
        .filter(|request| entry.grants.contains(&request.permission.filled_in(&values).text()));
    granted.map(|request| request.permission.text()).collect()
}

/// Returns the valid parameters as a user types them. Wrong parameters, and required ones
/// without a value, get a word for the user to fill in.
fn settings(entry: &Registration, kind: Option<&ParsedKind>) -> Vec<(String, String)> {
    let faults = kind.map(|kind| schema::check(&kind.parameters, &entry.parameters, None));
    let faults = faults.unwrap_or_default();
    let wrong = |name: &str| faults.iter().any(|fault| named(fault) == Some(name));
    let mut settings = Vec::new();
    for (name, setting) in &entry.parameters {
        let text = match setting {
            _ if wrong(name) => continue,
            Setting::Text(text) => text.clone(),
            Setting::Integer(number) => number.to_string(),
            Setting::Boolean(yes) => yes.to_string(),
            Setting::Reference(reference) => reference.to_string(),
        };
        settings.push((name.clone(), text));
    }
    for parameter in kind.map(|kind| &kind.parameters[..]).unwrap_or_default() {
        let given = settings.iter().any(|(name, _)| *name == *parameter.name);
        let was_meant = parameter.required || entry.parameters.contains_key(&*parameter.name);
        if was_meant && !given {
            let word = if parameter.secret { "REFERENCE" } else { "VALUE" };
            settings.push((parameter.name.to_string(), word.to_owned()));
        }
    }
    settings
}

/// Returns the parameter that a fault is about, where omitting it helps.
fn named(fault: &ParameterError) -> Option<&str> {
    match fault {
        ParameterError::Unknown { name, .. }
        | ParameterError::Reserved { name }
        | ParameterError::WrongKind { name, .. }
        | ParameterError::ControlCharacter { name }
        | ParameterError::EmptyPath { name }
        | ParameterError::RelativePath { name }
        | ParameterError::NotAReference { name, .. }
        | ParameterError::Descriptor { name }
        | ParameterError::NotSecret { name }
        | ParameterError::NotAName { name } => Some(name),
        ParameterError::Missing { .. }
        | ParameterError::NoHome { .. }
        | ParameterError::NoDataDir { .. }
        | ParameterError::BadDefault { .. } => None,
    }
}

/// Returns a Keystead command for this layer, with `sudo` if needed.
pub(super) fn in_layer(command: String, layer: Layer, path: Option<&Path>) -> String {
    match (layer, path) {
        (Layer::User, _) => command,
        (Layer::System, Some(path)) => as_owner(path, command + " --system"),
        (Layer::System, None) => command + " --system",
    }
}

/// Returns a command, with `sudo` if the user neither owns the path nor is root.
fn as_owner(path: &Path, command: String) -> String {
    let own = rustix::process::geteuid().as_raw();
    let owner = std::fs::symlink_metadata(path).map_or(own, |metadata| metadata.uid());
    if own == 0 || owner == own { command } else { format!("sudo {command}") }
}

/// Returns the user id that must own a path: root's if only root is allowed.
fn user(allowed: &str) -> u32 {
    if allowed == "root" { 0 } else { rustix::process::geteuid().as_raw() }
}

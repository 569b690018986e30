//! Description of a plugin file for `show`, `install` and `trust`, as text and as JSON.

use keystead::internals::plugin::inspect::{
    Inspected, LocalPlatform, ParsedKind, Permission, Request,
};
use keystead::trust::Digest;
use serde::Serialize;

use super::super::CommandContext;
use super::super::vault::do_::Parameter;
use crate::failure::in_one_line;

/// Returns the reason why the file cannot be used on this machine; `None` where it can.
pub(super) fn obstacle(inspected: &Inspected) -> Option<String> {
    let here = LocalPlatform::current().granting(&inspected.manifest.permissions);
    inspected.check_here(&here).err().map(|error| in_one_line(&error))
}

/// Returns the description as lines of text.
pub(super) fn lines(inspected: &Inspected, sha256: &Digest) -> Vec<String> {
    let manifest = &inspected.manifest;
    let or_none = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
    let mut lines = vec![
        format!("Plugin:      {} {}", manifest.id, manifest.version),
        format!("Description: {}", or_none(&manifest.description)),
        format!("Vendor:      {}", or_none(&manifest.vendor)),
        format!("License:     {}", or_none(&manifest.license)),
    ];
    if !manifest.homepage.is_empty() {
        lines.push(format!("Homepage:    {}", manifest.homepage));
    }
    lines.push(format!("Contract:    {} ({})", manifest.api, inspected.abi));
    let glibc = match inspected.glibc {
        Some((major, minor)) => format!(", glibc {major}.{minor} or newer"),
        None => String::new(),
    };
    lines.push(format!("File:        {} for {}{glibc}", inspected.format, inspected.machine));
    lines.push(format!("SHA-256:     {sha256}"));
    lines.push("Permissions:".to_owned());
    let several = manifest.kinds.len() > 1;
    let mut said: Vec<_> = manifest.permissions.iter().map(|one| format!("  {one}")).collect();
    for kind in &manifest.kinds {
        for request in &kind.permissions {
            let of = if several { format!("as `{}` it ", kind.name) } else { String::new() };
            said.push(format!("  {of}{}", requested(request)));
        }
    }
    if said.is_empty() {
        said.push("  none".to_owned());
    }
    lines.append(&mut said);
    if !inspected.findings.is_empty() {
        lines.push("Findings:".to_owned());
        lines.extend(inspected.findings.iter().map(|finding| format!("  {finding}")));
    }
    let left_out = manifest.left_out();
    if !left_out.is_empty() {
        lines.push("Newer than this host:".to_owned());
        lines.extend(left_out.iter().map(|line| format!("  {line}")));
    }
    lines
}

/// Returns a vault kind's permission in plain words, and how to grant an optional permission.
fn requested(request: &Request) -> String {
    let mut line = request.permission.to_string();
    if request.optional {
        line += &format!(", if granted with `--grant {}`", request.permission.text());
    }
    if !request.why.is_empty() {
        line += &format!(": {}", request.why);
    }
    line
}

/// Returns the vault kinds as lines of text.
pub(super) fn kinds(inspected: &Inspected) -> Vec<String> {
    let mut lines = Vec::new();
    for kind in &inspected.manifest.kinds {
        lines.push(format!("Vault `{}`: {}", kind.name, kind.description));
        let names =
            |list: Vec<&str>| if list.is_empty() { "-".to_owned() } else { list.join(", ") };
        let can = kind.capabilities.iter().map(|capability| capability.as_str()).collect();
        let holds = kind.values.iter().map(|value| value.as_str()).collect();
        lines.push(format!("  Can:   {}", names(can)));
        lines.push(format!("  Holds: {}", names(holds)));
        lines.push(format!("  Names: {}", kind.names.as_str()));
        if !kind.parameters.is_empty() {
            lines.push("  Parameters:".to_owned());
        }
        for parameter in &kind.parameters {
            let mut notes = vec![parameter.kind.as_str().to_owned()];
            if parameter.required {
                notes.push("required".to_owned());
            }
            if parameter.secret {
                notes.push("secret: give a reference".to_owned());
            }
            if !parameter.default.is_empty() {
                notes.push(format!("default {}", parameter.default));
            }
            let (name, description) = (&parameter.name, &parameter.description);
            lines.push(format!("    {name} ({}): {description}", notes.join(", ")));
        }
    }
    lines
}

/// Shows lines to the user before a decision: a user who is prompted sees them even with `--quiet`
/// and `--json`.
pub(super) fn present(scene: &CommandContext<'_>, lines: &[String]) {
    let decided = scene.global.yes || scene.global.dry_run;
    for line in lines {
        if !decided && scene.terminal.is_interactive() {
            scene.terminal.tell(line);
        } else {
            scene.ui.note(line);
        }
    }
}

/// The description as JSON.
#[derive(Serialize)]
pub(super) struct PluginDescribeOutput<'a> {
    id: &'a str,
    version: String,
    api: String,
    description: &'a str,
    vendor: &'a str,
    license: &'a str,
    homepage: &'a str,
    format: &'static str,
    machine: String,
    abi: &'static str,
    glibc: Option<String>,
    sha256: String,
    needed: &'a [String],
    permissions: Vec<PermissionJson>,
    findings: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    left_out: Vec<String>,
    kinds: Vec<KindJson<'a>>,
}

#[derive(Serialize)]
struct PermissionJson {
    permission: String,
    text: String,
}

#[derive(Serialize)]
struct RequestJson<'a> {
    #[serde(flatten)]
    permission: PermissionJson,
    optional: bool,
    why: &'a str,
}

#[derive(Serialize)]
struct KindJson<'a> {
    name: &'a str,
    description: &'a str,
    names: &'static str,
    capabilities: Vec<&'static str>,
    values: Vec<&'static str>,
    parameters: Vec<Parameter<'a>>,
    permissions: Vec<RequestJson<'a>>,
}

impl<'a> PluginDescribeOutput<'a> {
    pub(super) fn of(inspected: &'a Inspected, sha256: &Digest) -> Self {
        let manifest = &inspected.manifest;
        let permission = |permission: &Permission| PermissionJson {
            permission: permission.text(),
            text: permission.to_string(),
        };
        let kind = |kind: &'a ParsedKind| KindJson {
            name: &kind.name,
            description: &kind.description,
            names: kind.names.as_str(),
            capabilities: kind.capabilities.iter().map(|one| one.as_str()).collect(),
            values: kind.values.iter().map(|one| one.as_str()).collect(),
            parameters: kind.parameters.iter().map(Parameter::of).collect(),
            permissions: kind
                .permissions
                .iter()
                .map(|request| RequestJson {
                    permission: permission(&request.permission),
                    optional: request.optional,
                    why: &request.why,
                })
                .collect(),
        };
        Self {
            id: &manifest.id,
            version: manifest.version.to_string(),
            api: manifest.api.to_string(),
            description: &manifest.description,
            vendor: &manifest.vendor,
            license: &manifest.license,
            homepage: &manifest.homepage,
            format: inspected.format.as_str(),
            machine: inspected.machine.to_string(),
            abi: inspected.abi.as_str(),
            glibc: inspected.glibc.map(|(major, minor)| format!("{major}.{minor}")),
            sha256: sha256.to_string(),
            needed: &inspected.needed,
            permissions: manifest.all_permissions().into_iter().map(permission).collect(),
            findings: inspected.findings.iter().map(ToString::to_string).collect(),
            left_out: manifest.left_out(),
            kinds: manifest.kinds.iter().map(kind).collect(),
        }
    }
}

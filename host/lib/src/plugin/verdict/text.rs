//! A verdict as lines of text: `key value`, in one order, with a checksum at the end. Every cold
//! start reads it, so it is no TOML and no JSON.

use std::fmt::Write;
use std::str::FromStr;

use keystead_plugin_api::manifest::{Capability, NameRule};
use keystead_plugin_api::{OwnedParameter, ParameterKind, ValueKind};

use super::{AbiCompatibility, Fnv, HostBuild, Verdict};
use crate::fs::Identity;
use crate::plugin::inspect::{Abi, ParsedKind, ParsedManifest, Permission, Request, Unknown};
use crate::plugin::pins::Digest;

/// The first line: a verdict of another version is ignored.
const FIRST: &str = "keystead-verdict 6";

/// Returns the verdict as text; `None` if a value in it is not a single line.
pub(super) fn write(verdict: &Verdict) -> Option<String> {
    let mut out = Writer { text: format!("{FIRST}\n"), one_line_each: true };
    let Identity { device, inode, len, modified, changed } = verdict.identity;
    let (seconds, changed_seconds) = (modified.0, changed.0);
    let (nanoseconds, changed_nanoseconds) = (modified.1, changed.1);
    out.line("host", verdict.host.0);
    out.line(
        "file",
        format_args!(
            "{device} {inode} {len} {seconds} {nanoseconds} {changed_seconds} {changed_nanoseconds}"
        ),
    );
    out.line("sha256", verdict.sha256);
    out.line("fit", verdict.fit.map_or("unknown", AbiCompatibility::as_str));
    out.line("abi", verdict.abi.as_str());
    let manifest = &verdict.manifest;
    out.line("id", &manifest.id);
    out.line("version", &manifest.version);
    out.line("api", &manifest.api);
    out.line("description", &manifest.description);
    out.line("vendor", &manifest.vendor);
    out.line("license", &manifest.license);
    out.line("homepage", &manifest.homepage);
    for permission in &manifest.permissions {
        out.line("permission", permission.text());
    }
    for kind in &manifest.kinds {
        out.line("kind", &kind.name);
        out.line("about", &kind.description);
        out.line("names", kind.names.as_str());
        for capability in &kind.capabilities {
            out.line("capability", capability.as_str());
        }
        for value in &kind.values {
            out.line("value", value.as_str());
        }
        for unknown in &kind.unknown {
            out.line("unknown", unknown.text());
        }
        for request in &kind.permissions {
            out.line("request", request.permission.text());
            out.line("optional", request.optional);
            out.line("why", &request.why);
        }
        for parameter in &kind.parameters {
            out.line("parameter", &parameter.name);
            out.line("type", parameter.kind.as_str());
            out.line("required", parameter.required);
            out.line("secret", parameter.secret);
            out.line("beside", parameter.beside_login);
            out.line("meaning", &parameter.description);
            out.line("default", &parameter.default);
        }
    }
    let mut sum = Fnv::new();
    sum.add(out.text.as_bytes());
    out.line("end", sum.0);
    out.one_line_each.then_some(out.text)
}

struct Writer {
    text: String,
    one_line_each: bool,
}

impl Writer {
    fn line(&mut self, key: &str, value: impl std::fmt::Display) {
        let start = self.text.len();
        write!(self.text, "{key} {value}").expect("a String takes any text");
        self.one_line_each &= !self.text[start..].contains('\n');
        self.text.push('\n');
    }
}

/// Returns the verdict that [`write`] wrote; `None` if a byte of it differs.
pub(super) fn read(bytes: &[u8]) -> Option<Verdict> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (body, end) = text.strip_suffix('\n')?.rsplit_once('\n')?;
    let body = &text[..=body.len()];
    let mut sum = Fnv::new();
    sum.add(body.as_bytes());
    if end.strip_prefix("end ")?.parse() != Ok(sum.0) {
        return None;
    }

    let mut lines = Lines { rest: body.strip_prefix(FIRST)?.strip_prefix('\n')? };
    let host = HostBuild(lines.parse("host")?);
    let mut numbers = lines.take("file")?.split(' ');
    let identity = Identity {
        device: next(&mut numbers)?,
        inode: next(&mut numbers)?,
        len: next(&mut numbers)?,
        modified: (next(&mut numbers)?, next(&mut numbers)?),
        changed: (next(&mut numbers)?, next(&mut numbers)?),
    };
    if numbers.next().is_some() {
        return None;
    }
    let sha256 = Digest::parse(lines.take("sha256")?).ok()?;
    let fit = match lines.take("fit")? {
        "unknown" => None,
        name => Some(AbiCompatibility::parse(name)?),
    };
    let abi = lines.take("abi")?;
    let abi = Abi::parse(abi)?;
    let mut manifest = ParsedManifest {
        id: lines.text("id")?,
        version: lines.parse("version")?,
        api: lines.parse("api")?,
        description: lines.text("description")?,
        vendor: lines.text("vendor")?,
        license: lines.text("license")?,
        homepage: lines.text("homepage")?,
        kinds: Vec::new(),
        permissions: Vec::new(),
    };
    while let Some(permission) = lines.take("permission") {
        manifest.permissions.push(Permission::parse(permission).ok()?);
    }
    while let Some(name) = lines.text("kind") {
        manifest.kinds.push(kind(name, &mut lines)?);
    }
    let complete = lines.rest.is_empty() && !manifest.kinds.is_empty();
    complete.then_some(Verdict { sha256, identity, host, abi, fit, manifest })
}

fn kind(name: String, lines: &mut Lines<'_>) -> Option<ParsedKind> {
    let mut kind = ParsedKind {
        name,
        description: lines.text("about")?,
        names: match lines.take("names")? {
            "case-sensitive" => NameRule::CaseSensitive,
            "case-insensitive" => NameRule::CaseInsensitive,
            _ => return None,
        },
        capabilities: Vec::new(),
        values: Vec::new(),
        parameters: Vec::new(),
        permissions: Vec::new(),
        unknown: Vec::new(),
    };
    while let Some(capability) = lines.take("capability") {
        kind.capabilities.push(Capability::parse(capability)?);
    }
    while let Some(value) = lines.take("value") {
        kind.values.push(ValueKind::parse(value)?);
    }
    while let Some(unknown) = lines.take("unknown") {
        kind.unknown.push(Unknown::parse(unknown)?);
    }
    while let Some(permission) = lines.take("request") {
        kind.permissions.push(Request {
            permission: Permission::parse(permission).ok()?,
            optional: lines.parse("optional")?,
            why: lines.text("why")?,
        });
    }
    while let Some(name) = lines.text("parameter") {
        let mut parameter =
            OwnedParameter::new(name, ParameterKind::parse(lines.take("type")?)?, "");
        parameter.required = lines.parse("required")?;
        parameter.secret = lines.parse("secret")?;
        parameter.beside_login = lines.parse("beside")?;
        parameter.description = lines.text("meaning")?;
        parameter.default = lines.text("default")?;
        kind.parameters.push(parameter);
    }
    Some(kind)
}

fn next<T: FromStr>(numbers: &mut std::str::Split<'_, char>) -> Option<T> {
    numbers.next()?.parse().ok()
}

struct Lines<'text> {
    rest: &'text str,
}

impl<'text> Lines<'text> {
    /// Takes the next line if it has this key.
    fn take(&mut self, key: &str) -> Option<&'text str> {
        let (value, rest) = self.rest.strip_prefix(key)?.strip_prefix(' ')?.split_once('\n')?;
        self.rest = rest;
        Some(value)
    }

    fn text(&mut self, key: &str) -> Option<String> {
        self.take(key).map(str::to_owned)
    }

    fn parse<T: FromStr>(&mut self, key: &str) -> Option<T> {
        self.take(key)?.parse().ok()
    }
}

//! The manifest as a file carries it, parsed once into types: what is in a [`Manifest`] has
//! been checked.

use std::borrow::Cow;
use std::collections::BTreeSet;

use keystead_plugin_api::manifest::section::{
    ABI_C, ABI_RUST, Header, MAGIC, MANIFEST_VERSION, MAX_JSON_BYTES,
};
use keystead_plugin_api::manifest::{Capability, NameRule};
use keystead_plugin_api::{Parameter, ParameterKind, ValueKind};
use object::{Endian, Endianness};
use serde::Deserialize;

use super::{Abi, Error, Permission, Result, text};

/// The version of the JSON's form that is read.
const SCHEMA: u32 = 1;

/// The most kinds of vault one plugin may have.
const MAX_KINDS: usize = 32;

/// The most parameters, capabilities, values or permissions in one list.
const MAX_LIST: usize = 64;

/// The most characters of a name: an id is also part of file names.
const MAX_NAME: usize = 64;

/// The most bytes of a text that people read.
const MAX_TEXT: usize = 1_024;

/// What a plugin says of itself: [`keystead_plugin_api::manifest::Manifest`] as it was
/// found in a file.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The plugin's id: `[a-z0-9][a-z0-9-]{0,63}`.
    pub id: String,
    /// The plugin's own version.
    pub version: semver::Version,
    /// The version of the plugin contract it was built with.
    pub api: semver::Version,
    /// What it is for, in one line.
    pub description: String,
    /// Who makes it.
    pub vendor: String,
    /// Its license.
    pub license: String,
    /// Where people read more; may be empty.
    pub homepage: String,
    /// The kinds of vault it has: at least one, each name once.
    pub kinds: Vec<Kind>,
    /// What every kind of vault requests, each once.
    pub permissions: Vec<Permission>,
}

/// A permission that one kind of vault requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The permission.
    pub permission: Permission,
    /// Whether a vault opens without it.
    pub optional: bool,
    /// What it is for, in one line; may be empty.
    pub why: String,
}

/// One kind of vault a plugin has.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kind {
    /// The kind's name, of the form of an id.
    pub name: String,
    /// What it is, in one line.
    pub description: String,
    /// Whether case matters in its names.
    pub names: NameRule,
    /// What it can do beyond reading.
    pub capabilities: Vec<Capability>,
    /// Which values it can hold.
    pub values: Vec<ValueKind>,
    /// What a registration may or must say; each name once.
    pub parameters: Vec<Parameter>,
    /// What its vaults request beside what those of every kind do, each once.
    pub permissions: Vec<Request>,
    /// Names of capabilities, values, optional parameters' kinds and optional permissions that
    /// are newer than this host: they are left out above and cannot be used.
    pub unknown: Vec<String>,
}

impl Manifest {
    /// Returns the kind of this name, or the first where none is named.
    pub fn kind(&self, name: Option<&str>) -> Option<&Kind> {
        match name {
            Some(name) => self.kinds.iter().find(|kind| kind.name == name),
            None => self.kinds.first(),
        }
    }

    /// Returns what a vault of this kind requests: each permission, and the request of the kind's
    /// own that it is of.
    pub fn requested_by<'m>(
        &'m self,
        kind: &'m Kind,
    ) -> impl Iterator<Item = (&'m Permission, Option<&'m Request>)> {
        let of_all = self.permissions.iter().map(|permission| (permission, None));
        of_all.chain(kind.permissions.iter().map(|own| (&own.permission, Some(own))))
    }

    /// Returns what any kind of vault requests, each once.
    pub fn all_permissions(&self) -> Vec<&Permission> {
        let own = self.kinds.iter().flat_map(|kind| &kind.permissions);
        let mut seen = BTreeSet::new();
        let all = self.permissions.iter().chain(own.map(|request| &request.permission));
        all.filter(|permission| seen.insert(*permission)).collect()
    }

    /// Parses and checks the JSON of a manifest. Members it does not know are left alone:
    /// a newer minor version of the contract may add some.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn parse(json: &[u8]) -> Result<Self> {
        let RawSchema { schema } = from_json(json)?;
        if schema != SCHEMA {
            return Err(Error::ManifestVersion { found: schema, here: SCHEMA });
        }
        let raw: RawManifest = from_json(json)?;
        let kinds = list("kinds", raw.kinds, MAX_KINDS, Kind::check)?;
        if kinds.is_empty() {
            return Err(Error::bad_manifest("`kinds` is empty"));
        }
        once("kinds", kinds.iter().map(|kind| kind.name.as_str()))?;
        let permissions = list("permissions", raw.permissions, MAX_LIST, |text| {
            Permission::parse_template(&text)
        })?;
        for permission in &permissions {
            check_parameters(permission, &kinds, "refers to a parameter that no kind has")?;
        }
        let mut seen = BTreeSet::new();
        let permissions = permissions.into_iter().filter(|p| seen.insert(p.clone())).collect();
        Ok(Self {
            id: name("id", raw.id)?,
            version: version("version", &raw.version)?,
            api: version("api", &raw.api)?,
            description: line("description", raw.description)?,
            vendor: line("vendor", raw.vendor)?,
            license: line("license", raw.license)?,
            homepage: line("homepage", raw.homepage)?,
            kinds,
            permissions,
        })
    }
}

/// Checks what a permission's template refers to: parameters of a kind of vault, or, as
/// `{ACTION.PARAMETER}`, what is typed for one action. What a path begins with is a parameter that is
/// a path, and a path stands nowhere else.
fn check_parameters(permission: &Permission, kinds: &[Kind], unknown: &str) -> Result<()> {
    let bad = |why: &str| {
        let permission = text::shown(&permission.text());
        Err(Error::bad_manifest(format!("permission `{permission}` {why}")))
    };
    for (at, wanted) in permission.parameters().enumerate() {
        if let Some((action, parameter)) = wanted.split_once('.') {
            if !is_action_id(action) || parameter.is_empty() || parameter.contains('.') {
                return bad("refers to an action's parameter that can have no such name");
            }
            let Permission::Files { template, .. } = permission else {
                return bad("refers to an action's parameter, and is not for files");
            };
            // Typing a path opens that path: neither its folder, nor what the manifest adds to it.
            if template.strip_suffix('/').unwrap_or(template) != format!("{{{wanted}}}") {
                return bad("has more of a path than what is typed for an action");
            }
            continue;
        }
        let mut declared =
            kinds.iter().flat_map(|kind| &kind.parameters).filter(|one| one.name == wanted);
        let Some(first) = declared.next() else {
            return bad(unknown);
        };
        if let Some(template) = permission.path() {
            let begins = at == 0 && template.starts_with('{');
            let is_path = |one: &Parameter| one.kind == ParameterKind::Path && !one.secret;
            if is_path(first) != begins || declared.any(|one| is_path(one) != begins) {
                return bad(match begins {
                    true => "begins with a parameter that is not a path",
                    false => "has a path in the middle of a path",
                });
            }
        }
    }
    Ok(())
}

/// Whether this can be the id of an action in a permission.
fn is_action_id(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

impl Kind {
    fn check(raw: RawKind) -> Result<Self> {
        let names = match raw.names.as_str() {
            "case-sensitive" => NameRule::CaseSensitive,
            "case-insensitive" => NameRule::CaseInsensitive,
            other => {
                let other = text::shown(other);
                return Err(Error::bad_manifest(format!("`names` is `{other}`")));
            }
        };
        let mut unknown = Vec::new();
        let capabilities =
            known("capabilities", raw.capabilities, Capability::parse, &mut unknown)?;
        let values = known("values", raw.values, ValueKind::parse, &mut unknown)?;
        let parameters =
            list("parameters", raw.parameters, MAX_LIST, |raw| parameter(raw, &mut unknown))?;
        let parameters: Vec<_> = parameters.into_iter().flatten().collect();
        once("parameters", parameters.iter().map(|parameter| parameter.name.as_ref()))?;
        let mut kind = Self {
            name: name("kinds.name", raw.name)?,
            description: line("kinds.description", raw.description)?,
            names,
            capabilities,
            values,
            parameters,
            permissions: Vec::new(),
            unknown: Vec::new(),
        };
        let requests =
            list("permissions", raw.permissions, MAX_LIST, |raw| kind.request(raw, &mut unknown))?;
        for request in requests.into_iter().flatten() {
            if !kind.permissions.iter().any(|other| other.permission == request.permission) {
                kind.permissions.push(request);
            }
        }
        kind.unknown = unknown;
        Ok(kind)
    }

    /// Checks a permission of this kind's own. One that is optional and not known is left out.
    fn request(&self, raw: RawRequest, unknown: &mut Vec<String>) -> Result<Option<Request>> {
        let (written, optional, why) = match raw {
            RawRequest::Text(permission) => (permission, false, String::new()),
            RawRequest::Whole { permission, optional, why } => (permission, optional, why),
        };
        let permission = match Permission::parse_template(&written) {
            Err(Error::UnknownPermission { permission }) if optional => {
                unknown.push(permission);
                return Ok(None);
            }
            parsed => parsed?,
        };
        if matches!(permission, Permission::Library(_)) {
            let permission = text::shown(&written);
            return Err(Error::bad_manifest(format!(
                "permission `{permission}` is of one kind of vault: a library is linked for all"
            )));
        }
        let unknown = "refers to a parameter that its kind does not have";
        check_parameters(&permission, std::slice::from_ref(self), unknown)?;
        Ok(Some(Request { permission, optional, why: line("permissions.why", why)? }))
    }
}

/// Returns the ABI and the JSON out of a manifest's block.
pub(super) fn block(block: &[u8], endian: Endianness) -> Result<(Abi, &[u8])> {
    let short = || Error::bad_manifest("its header is cut off");
    let (header, rest) = block.split_at_checked(size_of::<Header>()).ok_or_else(short)?;
    let (magic, header) = header.split_at(MAGIC.len());
    if magic != MAGIC {
        return Err(Error::bad_manifest("its header does not begin with `KEYSTEAD`"));
    }
    let number = |at: usize| {
        let bytes = header[at..at + 4].try_into().expect("a slice of four bytes");
        endian.read_u32(bytes)
    };
    let version = number(0);
    if version != MANIFEST_VERSION {
        return Err(Error::ManifestVersion { found: version, here: MANIFEST_VERSION });
    }
    let len = number(4) as usize;
    if len > MAX_JSON_BYTES {
        return Err(Error::bad_manifest(format!(
            "its header says {len} bytes; the most is {MAX_JSON_BYTES}"
        )));
    }
    let json = rest.get(..len).ok_or_else(|| {
        Error::bad_manifest(format!("its header says {len} bytes and there are {}", rest.len()))
    })?;
    let abi = &header[8..];
    if abi == ABI_RUST {
        return Ok((Abi::Rust, json));
    }
    if abi == ABI_C {
        return Ok((Abi::C, json));
    }
    let abi = abi.split(|&byte| byte == 0).next().unwrap_or_default();
    Err(Error::UnknownAbi { found: text::shown(&String::from_utf8_lossy(abi)) })
}

#[derive(Deserialize)]
struct RawSchema {
    schema: u32,
}

#[derive(Deserialize)]
struct RawManifest {
    id: String,
    version: String,
    api: String,
    description: String,
    vendor: String,
    license: String,
    homepage: String,
    kinds: Vec<RawKind>,
    permissions: Vec<String>,
}

#[derive(Deserialize)]
struct RawKind {
    name: String,
    description: String,
    names: String,
    capabilities: Vec<String>,
    values: Vec<String>,
    parameters: Vec<RawParameter>,
    /// Plugins that were built before do not have it.
    #[serde(default)]
    permissions: Vec<RawRequest>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a permission: a text, or an object with `permission`")]
enum RawRequest {
    Text(String),
    Whole {
        permission: String,
        #[serde(default)]
        optional: bool,
        #[serde(default)]
        why: String,
    },
}

#[derive(Deserialize)]
struct RawParameter {
    name: String,
    kind: String,
    description: String,
    required: bool,
    secret: bool,
    default: String,
}

fn from_json<'json, T: Deserialize<'json>>(json: &'json [u8]) -> Result<T> {
    // Its text quotes what it met: foreign text, so it is not kept as a source.
    serde_json::from_slice(json)
        .map_err(|fault| Error::ManifestNotJson { what: text::shown(&fault.to_string()) })
}

fn list<T, U>(
    member: &str,
    raw: Vec<T>,
    most: usize,
    mut check: impl FnMut(T) -> Result<U>,
) -> Result<Vec<U>> {
    if raw.len() > most {
        return Err(Error::bad_manifest(format!("`{member}` has more than {most} entries")));
    }
    raw.into_iter().map(&mut check).collect()
}

/// Keeps what is known, each once, and puts the names of the rest aside.
fn known<T: PartialEq>(
    member: &str,
    raw: Vec<String>,
    parse: impl Fn(&str) -> Option<T>,
    unknown: &mut Vec<String>,
) -> Result<Vec<T>> {
    let mut found = Vec::new();
    list(member, raw, MAX_LIST, |text| {
        match parse(&text) {
            Some(value) if found.contains(&value) => {}
            Some(value) => found.push(value),
            None => unknown.push(name(member, text)?),
        }
        Ok(())
    })?;
    Ok(found)
}

fn parameter(raw: RawParameter, unknown: &mut Vec<String>) -> Result<Option<Parameter>> {
    let name = name("parameters.name", raw.name)?;
    let Some(kind) = ParameterKind::parse(&raw.kind) else {
        let kind = self::name("parameters.kind", raw.kind)?;
        if raw.required {
            return Err(Error::UnknownParameterKind { parameter: name, kind });
        }
        unknown.push(kind);
        return Ok(None);
    };
    let default = line("parameters.default", raw.default)?;
    let fits = match kind {
        _ if default.is_empty() => true,
        _ if raw.secret || raw.required => false,
        ParameterKind::Integer => default.parse::<i64>().is_ok(),
        ParameterKind::Boolean => default.parse::<bool>().is_ok(),
        _ => true,
    };
    if !fits {
        return Err(Error::bad_manifest(format!("the default of parameter `{name}`")));
    }
    Ok(Some(Parameter {
        name: Cow::Owned(name),
        kind,
        description: Cow::Owned(line("parameters.description", raw.description)?),
        required: raw.required,
        secret: raw.secret,
        default: Cow::Owned(default),
    }))
}

fn once<'a>(member: &str, names: impl Iterator<Item = &'a str>) -> Result<()> {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(Error::bad_manifest(format!("`{member}` has `{name}` twice")));
        }
    }
    Ok(())
}

/// Checks a name: lower-case letters, digits and dashes.
fn name(member: &str, text: String) -> Result<String> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let starts_well = text.bytes().next().is_some_and(plain);
    if starts_well && text.len() <= MAX_NAME && text.bytes().all(|b| plain(b) || b == b'-') {
        return Ok(text);
    }
    Err(Error::bad_manifest(format!(
        "`{member}` is `{}`: 1 to {MAX_NAME} lower-case letters, digits and dashes are allowed",
        text::shown(&text)
    )))
}

fn version(member: &str, text: &str) -> Result<semver::Version> {
    // A version is shown and compared: nobody needs a long one.
    let short = if text.len() <= MAX_NAME { semver::Version::parse(text).ok() } else { None };
    short.ok_or_else(|| {
        let text = text::shown(text);
        Error::bad_manifest(format!("`{member}` is `{text}`: not a semantic version"))
    })
}

/// Checks a text that people read: one line, nothing in it that misleads.
fn line(member: &str, text: String) -> Result<String> {
    if text.len() > MAX_TEXT {
        return Err(Error::bad_manifest(format!("`{member}` has more than {MAX_TEXT} bytes")));
    }
    if let Some(c) = text.chars().find(|&c| text::misleads(c)) {
        return Err(Error::bad_manifest(format!(
            "`{member}` has the character U+{:04X}",
            u32::from(c)
        )));
    }
    Ok(text)
}

//! The manifest in a plugin file, parsed once into types: everything in a [`ParsedManifest`] has
//! been checked.

mod member;
mod passed_over;
mod unknown;

use std::collections::BTreeSet;

use keystead_plugin_api::manifest::section::{
    ABI_C, ABI_RUST, Header, MAGIC, MANIFEST_VERSION, MAX_JSON_BYTES,
};
use keystead_plugin_api::manifest::{Capability, NameRule};
use keystead_plugin_api::{OwnedParameter, ParameterKind, ValueKind};
use object::{Endian, Endianness};

use self::member::{Json, Member};
use super::{Abi, Error, Permission, Result, text};

pub use self::unknown::Unknown;

/// Version of the JSON form that the host reads.
const SCHEMA: u32 = 1;

/// Plugin API of a plugin that does not name one: the first.
const FIRST_API: semver::Version = semver::Version::new(1, 0, 0);

/// Maximum number of vault kinds of one plugin.
const MAX_KINDS: usize = 32;

/// The most parameters, capabilities, values or permissions in one list.
const MAX_LIST: usize = 64;

/// The most characters of a name: an id is also part of file names.
const MAX_NAME: usize = 64;

/// Maximum bytes of a text for the user.
const MAX_TEXT: usize = 1_024;

/// A plugin's manifest: [`keystead_plugin_api::manifest::Manifest`] as found in a file.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParsedManifest {
    /// The plugin's id: `[a-z0-9][a-z0-9-]{0,63}`.
    pub id: String,
    /// The plugin's own version.
    pub version: semver::Version,
    /// Version of the plugin API that the plugin was built with.
    pub api: semver::Version,
    /// Purpose of the plugin, in one line.
    pub description: String,
    /// Vendor of the plugin.
    pub vendor: String,
    /// Its license.
    pub license: String,
    /// Address of further information; may be empty.
    pub homepage: String,
    /// The plugin's vault kinds: at least one, each name once.
    pub kinds: Vec<ParsedKind>,
    /// Permissions that every vault kind requests, each once.
    pub permissions: Vec<Permission>,
}

/// A permission that one vault kind requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The permission.
    pub permission: Permission,
    /// Whether a vault opens without it.
    pub optional: bool,
    /// Purpose of the permission, in one line; may be empty.
    pub why: String,
}

/// A vault kind of a plugin.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParsedKind {
    /// The kind's name, of the form of an id.
    pub name: String,
    /// Description of the vault kind, in one line.
    pub description: String,
    /// Whether case matters in the names of its secrets.
    pub names: NameRule,
    /// Abilities beyond reading.
    pub capabilities: Vec<Capability>,
    /// Value kinds that its vaults can store.
    pub values: Vec<ValueKind>,
    /// Optional and required parameters of a registration; each name once.
    pub parameters: Vec<OwnedParameter>,
    /// Permissions that its vaults request in addition to those of every kind, each once.
    pub permissions: Vec<Request>,
    /// Members that this host does not know and skips above. The host does not open a kind that
    /// needs one of them ([`ParsedKind::needs_newer_host`]).
    pub unknown: Vec<Unknown>,
}

impl ParsedManifest {
    /// Returns the vault kind with this name, or the first if no name is given.
    pub fn kind(&self, name: Option<&str>) -> Option<&ParsedKind> {
        match name {
            Some(name) => self.kinds.iter().find(|kind| kind.name == name),
            None => self.kinds.first(),
        }
    }

    /// Returns the permissions that a vault of this kind requests, each with the kind's own
    /// request; `None` for requests of every kind.
    pub fn requested_by<'m>(
        &'m self,
        kind: &'m ParsedKind,
    ) -> impl Iterator<Item = (&'m Permission, Option<&'m Request>)> {
        let of_all = self.permissions.iter().map(|permission| (permission, None));
        of_all.chain(kind.permissions.iter().map(|own| (&own.permission, Some(own))))
    }

    /// Returns the permissions that any vault kind requests, each once.
    pub fn all_permissions(&self) -> Vec<&Permission> {
        let own = self.kinds.iter().flat_map(|kind| &kind.permissions);
        let mut seen = BTreeSet::new();
        let all = self.permissions.iter().chain(own.map(|request| &request.permission));
        all.filter(|permission| seen.insert(*permission)).collect()
    }

    /// Returns the members that this host skips because it does not know them: a sentence for each.
    pub fn left_out(&self) -> Vec<String> {
        self.kinds.iter().flat_map(ParsedKind::left_out).collect()
    }

    /// Parses and checks the JSON of a manifest. Skips unknown members, as a newer minor version of
    /// the plugin API may add some. Unknown parts of a vault kind go to [`ParsedKind::unknown`].
    ///
    /// # Errors
    /// The first fault of the manifest.
    pub fn parse(json: &[u8]) -> Result<Self> {
        Self::read(&Member::whole(&Json::parse(json)?))
    }

    /// Does the same as [`ParsedManifest::parse`], and also returns the paths of skipped members.
    ///
    /// # Errors
    /// As there.
    pub(super) fn parse_whole(json: &[u8]) -> Result<(Self, Vec<String>)> {
        let json = Json::parse(json)?;
        let whole = Member::whole(&json);
        Ok((Self::read(&whole)?, passed_over::in_whole(&whole)))
    }

    fn read(whole: &Member<'_>) -> Result<Self> {
        let schema = whole.member("schema")?.number_or(SCHEMA)?;
        if schema != SCHEMA {
            return Err(Error::ManifestVersion { found: schema, here: SCHEMA });
        }
        let id = name(&whole.member("id")?)?;
        let version = version(&whole.member("version")?)?;
        let api = whole.member("api")?;
        let api = if api.is_left_out() { FIRST_API } else { self::version(&api)? };
        let member = whole.member("kinds")?;
        let entries = member.list(MAX_KINDS)?;
        if entries.is_empty() {
            return Err(member.wrong("a list with a kind of vault"));
        }
        let mut kinds: Vec<ParsedKind> = Vec::with_capacity(entries.len());
        for entry in &entries {
            let kind = ParsedKind::read(entry)?;
            if kinds.iter().any(|other| other.name == kind.name) {
                return Err(entry.member("name")?.wrong("a name that no other kind has"));
            }
            kinds.push(kind);
        }
        let mut permissions = Vec::new();
        for entry in whole.member("permissions")?.list(MAX_LIST)? {
            let request = match Requested::read(&entry)? {
                Requested::Known(request) => request,
                Requested::Unknown { shown, optional, parameters } => {
                    // If no kind has its parameters, the braces mean something else.
                    let is_of_some = kinds.iter().any(|kind| kind.has_all(&parameters));
                    for kind in &mut kinds {
                        if !is_of_some || kind.has_all(&parameters) {
                            let permission = shown.clone();
                            kind.unknown.push(Unknown::Permission { permission, optional });
                        }
                    }
                    continue;
                }
            };
            let permission = &request.permission;
            check_parameters(permission, &kinds, "refers to a parameter that no kind has")
                .map_err(|error| entry.because(error))?;
            if request.optional && matches!(permission, Permission::Library(_)) {
                let why = "a library is linked, and cannot be optional";
                return Err(entry.because(Error::bad_manifest(why)));
            }
            if !request.optional && request.why.is_empty() {
                if !permissions.contains(permission) {
                    permissions.push(request.permission);
                }
                continue;
            }
            // Its details apply to each kind that requests it.
            let parameters: Vec<&str> = permission.parameters().collect();
            for kind in kinds.iter_mut().filter(|kind| kind.has_all(&parameters)) {
                kind.add(request.clone());
            }
        }
        Ok(Self {
            id,
            version,
            api,
            description: line(&whole.member("description")?)?,
            vendor: line(&whole.member("vendor")?)?,
            license: line(&whole.member("license")?)?,
            homepage: line(&whole.member("homepage")?)?,
            kinds,
            permissions,
        })
    }
}

/// Checks the references of a permission's template: parameters of a vault kind, or of one action
/// (`{ACTION.PARAMETER}`). A parameter at the beginning of a path must be a path, and a path stands
/// only there.
fn check_parameters(permission: &Permission, kinds: &[ParsedKind], unknown: &str) -> Result<()> {
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
            // Typing a path opens that path only: no directory, no addition of the manifest.
            if template.strip_suffix('/').unwrap_or(template) != format!("{{{wanted}}}") {
                return bad("has more of a path than what is typed for an action");
            }
            continue;
        }
        let mut declared =
            kinds.iter().flat_map(|kind| &kind.parameters).filter(|one| one.name == wanted);
        let Some(first) = declared.next() else {
            // A vault that cannot have the parameter does not request the permission.
            if kinds.iter().any(|kind| kind.has_left_out(wanted)) {
                continue;
            }
            return bad(unknown);
        };
        if let Some(template) = permission.path() {
            let begins = at == 0 && template.starts_with('{');
            let is_path = |one: &OwnedParameter| one.kind == ParameterKind::Path && !one.secret;
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

/// Returns whether this text can be the id of an action in a permission.
fn is_action_id(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

impl ParsedKind {
    /// Returns why this host cannot open vaults of this kind, if it cannot.
    pub fn needs_newer_host(&self) -> Option<&Unknown> {
        self.unknown.iter().find(|unknown| unknown.needs_newer_host())
    }

    /// Returns the parts of this kind that the host skips as unknown: a sentence for each.
    pub fn left_out(&self) -> Vec<String> {
        let name = &self.name;
        if let Some(unknown) = self.needs_newer_host() {
            return vec![format!(
                "vaults of kind `{name}` cannot be opened: this host does not know {unknown}"
            )];
        }
        let without = |unknown: &Unknown| {
            format!("vaults of kind `{name}` lack {unknown}: this host does not know it")
        };
        self.unknown.iter().map(without).collect()
    }

    fn read(member: &Member<'_>) -> Result<Self> {
        let mut unknown = Vec::new();
        let own = name(&member.member("name")?)?;
        let rule = member.member("names")?;
        let parse = |written: &str| match written {
            "case-sensitive" => Some(NameRule::CaseSensitive),
            "case-insensitive" => Some(NameRule::CaseInsensitive),
            _ => None,
        };
        let mut names = NameRule::CaseSensitive;
        if !rule.is_left_out() {
            match is_known(&rule, parse)? {
                Ok(rule) => names = rule,
                Err(shown) => unknown.push(Unknown::NameRule(shown)),
            }
        }
        let capabilities = member.member("capabilities")?;
        let capabilities =
            known(&capabilities, Capability::parse, Unknown::Capability, &mut unknown)?;
        let values = member.member("values")?;
        let values = if values.is_left_out() {
            vec![ValueKind::Text]
        } else {
            known(&values, ValueKind::parse, Unknown::ValueKind, &mut unknown)?
        };
        let mut parameters: Vec<OwnedParameter> = Vec::new();
        for entry in member.member("parameters")?.list(MAX_LIST)? {
            let Some(parameter) = parameter(&entry, &mut unknown)? else { continue };
            if parameters.iter().any(|other| other.name == parameter.name) {
                return Err(entry.member("name")?.wrong("a name that no other parameter has"));
            }
            parameters.push(parameter);
        }
        let mut kind = Self {
            name: own,
            description: line(&member.member("description")?)?,
            names,
            capabilities,
            values,
            parameters,
            permissions: Vec::new(),
            unknown,
        };
        for entry in member.member("permissions")?.list(MAX_LIST)? {
            if let Some(request) = kind.request(&entry)? {
                kind.add(request);
            }
        }
        Ok(kind)
    }

    /// Adds a request, unless the permission is requested already.
    fn add(&mut self, request: Request) {
        if !self.permissions.iter().any(|other| other.permission == request.permission) {
            self.permissions.push(request);
        }
    }

    /// Reads a permission of this kind's own. An unknown permission is put aside.
    fn request(&mut self, entry: &Member<'_>) -> Result<Option<Request>> {
        let request = match Requested::read(entry)? {
            Requested::Known(request) => request,
            Requested::Unknown { shown: permission, optional, .. } => {
                self.unknown.push(Unknown::Permission { permission, optional });
                return Ok(None);
            }
        };
        let permission = &request.permission;
        if matches!(permission, Permission::Library(_)) {
            return Err(entry.because(Error::bad_manifest(
                "a library is linked for vaults of every kind: expected it in `permissions` of the manifest",
            )));
        }
        let unknown = "refers to a parameter that its kind does not have";
        check_parameters(permission, std::slice::from_ref(self), unknown)
            .map_err(|error| entry.because(error))?;
        Ok(Some(request))
    }

    /// Returns whether this host skipped a parameter with this name.
    fn has_left_out(&self, wanted: &str) -> bool {
        self.unknown
            .iter()
            .any(|one| matches!(one, Unknown::Parameter { name, .. } if name == wanted))
    }

    /// Returns whether this kind can have all these parameters. All can have those of actions.
    fn has_all<S: AsRef<str>>(&self, parameters: &[S]) -> bool {
        parameters.iter().map(AsRef::as_ref).all(|name| {
            name.contains('.')
                || self.has_left_out(name)
                || self.parameters.iter().any(|one| one.name == name)
        })
    }
}

/// An entry of a list of permissions.
enum Requested {
    Known(Request),
    Unknown {
        /// The entry, shortened.
        shown: String,
        optional: bool,
        /// Parameters in the braces of its text.
        parameters: Vec<String>,
    },
}

impl Requested {
    /// Reads a text or an object. An object of another form counts as unknown.
    fn read(entry: &Member<'_>) -> Result<Self> {
        let (written, optional, why) = if entry.is_text() {
            (entry.text_or("")?, false, String::new())
        } else if entry.is_object() {
            let (written, optional) = (entry.member("permission")?, entry.member("optional")?);
            let optional = optional.boolean()?;
            if !written.is_text() {
                return Ok(Self::Unknown {
                    shown: entry.shown(),
                    optional,
                    parameters: Vec::new(),
                });
            }
            (written.text_or("")?, optional, line(&entry.member("why")?)?)
        } else {
            return Err(entry.wrong("a permission: a text, or an object with `permission`"));
        };
        match Permission::parse_template(written) {
            Ok(permission) => Ok(Self::Known(Request { permission, optional, why })),
            Err(Error::UnknownPermission { permission: shown }) => {
                let parameters = written.split('{').skip(1);
                let parameters =
                    parameters.filter_map(|part| part.split('}').next()).map(str::to_owned);
                Ok(Self::Unknown { shown, optional, parameters: parameters.collect() })
            }
            Err(error) => Err(entry.because(error)),
        }
    }
}

/// Returns the ABI and the JSON of a manifest's block.
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

/// Keeps known values, each once, and puts the rest aside.
fn known<T: PartialEq>(
    member: &Member<'_>,
    parse: impl Fn(&str) -> Option<T>,
    aside: impl Fn(String) -> Unknown,
    unknown: &mut Vec<Unknown>,
) -> Result<Vec<T>> {
    let mut found = Vec::new();
    for entry in member.list(MAX_LIST)? {
        match is_known(&entry, &parse)? {
            Ok(value) if found.contains(&value) => {}
            Ok(value) => found.push(value),
            Err(shown) => unknown.push(aside(shown)),
        }
    }
    Ok(found)
}

/// Returns a member's value, or the text that shows it if this host does not know it: any line of
/// text, and any object.
fn is_known<T>(
    member: &Member<'_>,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<std::result::Result<T, String>> {
    if member.is_object() {
        return Ok(Err(member.shown()));
    }
    let written = member.text("a text")?;
    Ok(match parse(written) {
        Some(value) => Ok(value),
        None if line(member)?.is_empty() => return Err(member.wrong("a text that is not empty")),
        None => Err(text::shown(written)),
    })
}

fn parameter(member: &Member<'_>, unknown: &mut Vec<Unknown>) -> Result<Option<OwnedParameter>> {
    let name = name(&member.member("name")?)?;
    let required = member.member("required")?.boolean()?;
    let secret = member.member("secret")?.boolean()?;
    let login = member.member("login")?.boolean_or(true)?;
    let kind = member.member("kind")?;
    let known = match kind.is_left_out() {
        true => Ok(ParameterKind::Text),
        false => is_known(&kind, ParameterKind::parse)?,
    };
    let kind = match known {
        Ok(kind) => kind,
        Err(kind) => {
            unknown.push(Unknown::Parameter { name, kind, required });
            return Ok(None);
        }
    };
    let default = member.member("default")?;
    let preset = line(&default)?;
    match kind {
        _ if preset.is_empty() => {}
        _ if required => return Err(default.wrong("none, for the parameter is required")),
        _ if secret => return Err(default.wrong("none, for the parameter is secret")),
        ParameterKind::Integer if preset.parse::<i64>().is_err() => {
            return Err(default.wrong("a whole number"));
        }
        ParameterKind::Boolean if preset.parse::<bool>().is_err() => {
            return Err(default.wrong("`true` or `false`"));
        }
        _ => {}
    }
    let mut parameter = OwnedParameter::new(name, kind, line(&member.member("description")?)?);
    parameter.required = required;
    parameter.secret = secret;
    parameter.beside_login = !login;
    parameter.default = preset;
    Ok(Some(parameter))
}

/// Reads a name: lower-case letters, digits and dashes.
fn name(member: &Member<'_>) -> Result<String> {
    let rule = format!("1 to {MAX_NAME} lower-case letters, digits and dashes");
    let text = member.text(&rule)?;
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let starts_well = text.bytes().next().is_some_and(plain);
    if starts_well && text.len() <= MAX_NAME && text.bytes().all(|b| plain(b) || b == b'-') {
        return Ok(text.to_owned());
    }
    Err(member.wrong(rule))
}

fn version(member: &Member<'_>) -> Result<semver::Version> {
    let rule = "a semantic version, such as `1.0.0`";
    let text = member.text(rule)?;
    // A version is shown and compared: a long version has no use.
    let short = if text.len() <= MAX_NAME { semver::Version::parse(text).ok() } else { None };
    short.ok_or_else(|| member.wrong(rule))
}

/// Reads an optional text for the user: one line, without misleading characters.
fn line(member: &Member<'_>) -> Result<String> {
    let text = member.text_or("")?;
    if text.len() > MAX_TEXT {
        return Err(member.has(format_args!("{} bytes: expected at most {MAX_TEXT}", text.len())));
    }
    if let Some(c) = text.chars().find(|&c| text::misleads(c)) {
        let code = u32::from(c);
        return Err(member.has(format_args!("the character U+{code:04X}: expected one plain line")));
    }
    Ok(text.to_owned())
}

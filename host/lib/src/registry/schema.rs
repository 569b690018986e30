//! Checks parameters against the schema that a plugin declares. Typed parameters become
//! registered ones, and registered parameters become those that the plugin receives. All
//! faults are reported at once.

use std::collections::BTreeMap;
use std::path::Path;

use keystead_plugin_api::{
    OwnedParameter, ParameterKind, ParameterValue, Parameters, SecretText, VaultName,
};

use super::entry::Setting;
use super::error::shown;
use crate::reference::{self, Reference, absolute};
use crate::similar::similar;

/// A name that no parameter may have, in any case: PowerShell's hosts give each command a
/// switch of this name.
const RESERVED: &str = "verbose";

/// Fault of one parameter.
///
/// The value itself is never repeated: it may be a secret under the wrong name.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParameterError {
    /// The plugin declares no parameter of this name.
    #[error("there is no parameter `{name}`")]
    Unknown {
        /// The name.
        name: String,
        /// A declared name that looks like it.
        similar: Option<String>,
    },
    /// The name is reserved.
    #[error("the parameter name `{name}` is reserved")]
    Reserved {
        /// The name.
        name: String,
    },
    /// A required parameter was not given.
    #[error("parameter `{name}` is required")]
    Missing {
        /// The name.
        name: String,
    },
    /// The value is of another kind.
    #[error("parameter `{name}` must be {}", expected(*.kind))]
    WrongKind {
        /// The name.
        name: String,
        /// The kind that the value must have.
        kind: ParameterKind,
    },
    /// The text has a control character, such as a line break.
    #[error("parameter `{name}` has a control character")]
    ControlCharacter {
        /// The name.
        name: String,
    },
    /// A path is empty.
    #[error("parameter `{name}` is an empty path")]
    EmptyPath {
        /// The name.
        name: String,
    },
    /// A registered path is relative: in another directory it means another file.
    #[error("parameter `{name}` must be an absolute path")]
    RelativePath {
        /// The name.
        name: String,
    },
    /// A path starts with `~/`, and there is no home directory.
    #[error("parameter `{name}` starts with `~`, and there is no home directory")]
    NoHome {
        /// The name.
        name: String,
    },
    /// A secret parameter was given as a value.
    #[error("parameter `{name}` is secret: it must be a reference, such as `env:NAME`")]
    NotAReference {
        /// The name.
        name: String,
        /// Why the text is not a reference; `None` if a plain value was registered.
        source: Option<reference::Error>,
    },
    /// A secret parameter refers to a file descriptor, which no later process has.
    #[error("parameter `{name}` cannot be `fd:`: a file descriptor ends with its process")]
    Descriptor {
        /// The name.
        name: String,
    },
    /// A reference was registered for a parameter that is not secret.
    #[error("parameter `{name}` is not secret: it must be a value, not a reference")]
    NotSecret {
        /// The name.
        name: String,
    },
    /// The plugin's default is in a user's data directory, but there is no such user, or the vault
    /// is for all users.
    #[error(
        "parameter `{name}` is in one user's data directory by default, and here there is none"
    )]
    NoDataDir {
        /// The name.
        name: String,
    },
    /// The value becomes a part of a path that the plugin is granted, but is not one name.
    #[error("parameter `{name}` becomes part of a path: it must be one name without `/`")]
    NotAName {
        /// The name.
        name: String,
    },
    /// The plugin's own default is not valid for the parameter: a fault of the plugin.
    #[error("the plugin's own default for parameter `{name}` is wrong")]
    BadDefault {
        /// The name.
        name: String,
    },
}

impl ParameterError {
    /// Returns the stable code of this cause.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unknown { .. } => "E01.parameter-unknown",
            Self::Reserved { .. } => "E01.parameter-reserved",
            Self::Missing { .. } => "E01.parameter-missing",
            Self::WrongKind { .. } => "E01.parameter-kind",
            Self::ControlCharacter { .. } => "E01.parameter-control-character",
            Self::EmptyPath { .. } => "E01.parameter-empty-path",
            Self::RelativePath { .. } => "E01.parameter-relative-path",
            Self::NoHome { .. } => "E01.parameter-no-home",
            Self::NotAReference { .. } => "E01.parameter-not-a-reference",
            Self::Descriptor { .. } => "E01.parameter-descriptor",
            Self::NotSecret { .. } => "E01.parameter-not-secret",
            Self::NoDataDir { .. } => "E01.parameter-no-data-folder",
            Self::NotAName { .. } => "E01.parameter-not-a-name",
            Self::BadDefault { .. } => "E01.parameter-bad-default",
        }
    }
}

/// Reason why a plugin cannot receive its parameters.
#[derive(Debug)]
pub enum Unready<E> {
    /// The registration does not fit the schema: every fault.
    Faults(Vec<ParameterError>),
    /// A reference could not be resolved.
    Unresolved {
        /// The parameter.
        name: String,
        /// Why.
        source: E,
    },
}

/// Base directories of relative paths and of `~/`.
#[derive(Debug, Clone, Copy)]
pub struct Base<'a> {
    /// Base of relative paths: an absolute path.
    pub dir: &'a Path,
    /// The user's home; `None` if there is no home.
    pub home: Option<&'a Path>,
    /// The directory of the user's data, `{data}` in a default; `None` if there is no such user.
    pub data: Option<&'a Path>,
    /// The vault that is registered: `{vault}` in a default.
    pub vault: Option<&'a VaultName>,
}

/// Returns typed parameters, `K=V` each, as they are registered. Defaults are checked but
/// not filled in, so that a plugin's later default takes effect. Only defaults that depend on
/// the vault or on the data directory are filled in, since they must not change.
///
/// # Errors
/// Every fault, sorted by the parameters' names; the missing ones last.
pub fn validate(
    schema: &[OwnedParameter],
    given: &BTreeMap<String, String>,
    base: Base<'_>,
) -> Result<BTreeMap<String, Setting>, Vec<ParameterError>> {
    let mut settings = BTreeMap::new();
    let mut faults = Vec::new();
    for (name, text) in given {
        match declared(schema, name).and_then(|parameter| typed(parameter, text, base)) {
            Ok(setting) => {
                settings.insert(name.clone(), setting);
            }
            Err(fault) => faults.push(fault),
        }
    }
    for parameter in schema.iter().filter(|parameter| depends(parameter)) {
        if given.contains_key(&*parameter.name) {
            continue;
        }
        match filled_in(parameter, base).and_then(|text| typed(parameter, &text, base)) {
            Ok(setting) => {
                settings.insert(parameter.name.clone(), setting);
            }
            Err(fault) => faults.push(fault),
        }
    }
    faults.extend(
        defaults(schema, |name| given.contains_key(name), base.home).filter_map(Result::err),
    );
    faults.extend(missing(schema, |name| {
        given.contains_key(name) || declared(schema, name).is_ok_and(depends)
    }));
    if faults.is_empty() { Ok(settings) } else { Err(faults) }
}

/// Returns registered parameters as the plugin receives them: references are resolved, and the
/// plugin's defaults are filled in (`~/` in them is `home`).
///
/// # Errors
/// Every fault of the registered parameters, as after a manual edit or a plugin's upgrade; no
/// reference is resolved then. Otherwise the first reference that could not be resolved.
pub fn to_parameters<E>(
    schema: &[OwnedParameter],
    registered: &BTreeMap<String, Setting>,
    home: Option<&Path>,
    resolve: &mut dyn FnMut(&Reference) -> Result<SecretText, E>,
) -> Result<Parameters, Unready<E>> {
    let (settings, faults) = settle(schema, registered, home);
    if !faults.is_empty() {
        return Err(Unready::Faults(faults));
    }
    let mut parameters = Parameters::new();
    for (name, setting) in settings {
        let value = match setting {
            Setting::Text(text) => ParameterValue::Text(text),
            Setting::Integer(number) => ParameterValue::Integer(number),
            Setting::Boolean(yes) => ParameterValue::Boolean(yes),
            Setting::Reference(reference) => match resolve(&reference) {
                Ok(secret) => ParameterValue::Secret(secret),
                Err(source) => return Err(Unready::Unresolved { name, source }),
            },
        };
        parameters.insert(name, value);
    }
    Ok(parameters)
}

/// Returns every fault of registered parameters, as after a plugin's upgrade. Resolves
/// nothing.
pub fn check(
    schema: &[OwnedParameter],
    registered: &BTreeMap<String, Setting>,
    home: Option<&Path>,
) -> Vec<ParameterError> {
    settle(schema, registered, home).1
}

/// Returns the registered parameters with the defaults filled in, and every fault.
fn settle(
    schema: &[OwnedParameter],
    registered: &BTreeMap<String, Setting>,
    home: Option<&Path>,
) -> (BTreeMap<String, Setting>, Vec<ParameterError>) {
    let mut settings = BTreeMap::new();
    let mut faults = Vec::new();
    for (name, setting) in registered {
        match declared(schema, name).and_then(|parameter| fits(parameter, setting)) {
            Ok(()) => {
                settings.insert(name.clone(), setting.clone());
            }
            Err(fault) => faults.push(fault),
        }
    }
    for default in defaults(schema, |name| registered.contains_key(name), home) {
        match default {
            Ok((name, setting)) => {
                settings.insert(name, setting);
            }
            Err(fault) => faults.push(fault),
        }
    }
    faults.extend(missing(schema, |name| registered.contains_key(name)));
    (settings, faults)
}

/// Returns the plugin's defaults for parameters that are not given, or the faults of defaults.
fn defaults<'a>(
    schema: &'a [OwnedParameter],
    given: impl Fn(&str) -> bool + 'a,
    home: Option<&'a Path>,
) -> impl Iterator<Item = Result<(String, Setting), ParameterError>> + 'a {
    // A default has no base directory.
    let base = Base { dir: Path::new(""), home, data: None, vault: None };
    schema
        .iter()
        .filter(|parameter| !parameter.default.is_empty() && !depends(parameter))
        .filter(move |parameter| !given(&parameter.name))
        .map(move |parameter| match typed(parameter, &parameter.default, base) {
            Ok(setting) => Ok((parameter.name.clone(), setting)),
            Err(fault @ ParameterError::NoHome { .. }) => Err(fault),
            Err(fault) if parameter.kind == ParameterKind::Unknown => Err(fault),
            Err(_) => Err(ParameterError::BadDefault { name: shown(&parameter.name) }),
        })
}

/// Returns the required parameters that are missing and have no default.
fn missing<'a>(
    schema: &'a [OwnedParameter],
    given: impl Fn(&str) -> bool + 'a,
) -> impl Iterator<Item = ParameterError> + 'a {
    schema
        .iter()
        .filter(|parameter| {
            parameter.required && parameter.default.is_empty() || depends(parameter)
        })
        .filter(move |parameter| !given(&parameter.name))
        .map(|parameter| ParameterError::Missing { name: shown(&parameter.name) })
}

/// Returns whether a default depends on the vault or on the data directory. Such a default is
/// filled in when the vault is registered, and is required from then on.
pub(crate) fn depends(parameter: &OwnedParameter) -> bool {
    parameter.kind == ParameterKind::Path && !parameter.secret && parameter.default.contains('{')
}

/// Returns a default with its placeholders filled in.
fn filled_in(parameter: &OwnedParameter, base: Base<'_>) -> Result<String, ParameterError> {
    let name = || shown(&parameter.name);
    let mut text = parameter.default.clone();
    if let Some(rest) = text.strip_prefix("{data}/") {
        let data = base.data.ok_or_else(|| ParameterError::NoDataDir { name: name() })?;
        let path = data.join(rest).into_os_string().into_string();
        text = path
            .map_err(|_| ParameterError::WrongKind { name: name(), kind: ParameterKind::Path })?;
    }
    let vault = base.vault.map_or_else(|| "vault".to_owned(), VaultName::folded);
    let text = text.replace("{vault}", &vault);
    // Any other placeholder in braces is unknown here.
    match text.contains(['{', '}']) && !base.data.is_some_and(has_braces) {
        true => Err(ParameterError::BadDefault { name: name() }),
        false => Ok(text),
    }
}

fn has_braces(path: &Path) -> bool {
    path.to_string_lossy().contains(['{', '}'])
}

fn declared<'s>(
    schema: &'s [OwnedParameter],
    name: &str,
) -> Result<&'s OwnedParameter, ParameterError> {
    if name.eq_ignore_ascii_case(RESERVED) {
        return Err(ParameterError::Reserved { name: name.to_owned() });
    }
    schema.iter().find(|parameter| parameter.name == name).ok_or_else(|| ParameterError::Unknown {
        name: shown(name),
        similar: similar(name, schema.iter().map(|parameter| &*parameter.name)).map(shown),
    })
}

/// Returns the setting of a typed text.
fn typed(
    parameter: &OwnedParameter,
    text: &str,
    base: Base<'_>,
) -> Result<Setting, ParameterError> {
    let name = || shown(&parameter.name);
    if parameter.secret {
        let reference = Reference::parse(text).map_err(|source| ParameterError::NotAReference {
            name: name(),
            source: Some(source),
        })?;
        let anchored = reference.anchored(base.dir, base.home);
        let setting =
            Setting::Reference(anchored.ok_or_else(|| ParameterError::NoHome { name: name() })?);
        return fits(parameter, &setting).map(|()| setting);
    }
    let wrong = || ParameterError::WrongKind { name: name(), kind: parameter.kind };
    let setting = match parameter.kind {
        ParameterKind::Integer => Setting::Integer(text.parse().map_err(|_| wrong())?),
        ParameterKind::Boolean => Setting::Boolean(text.parse().map_err(|_| wrong())?),
        ParameterKind::Text => Setting::Text(text.to_owned()),
        ParameterKind::Path => Setting::Text(path(parameter, text, base)?),
        // A kind of a later plugin API.
        _ => return Err(wrong()),
    };
    fits(parameter, &setting).map(|()| setting)
}

fn path(parameter: &OwnedParameter, text: &str, base: Base<'_>) -> Result<String, ParameterError> {
    let name = || shown(&parameter.name);
    if text.is_empty() {
        return Err(ParameterError::EmptyPath { name: name() });
    }
    let absolute = absolute(text, base.dir, base.home)
        .ok_or_else(|| ParameterError::NoHome { name: name() })?;
    // Texts are UTF-8: a home or directory that is not UTF-8 cannot be registered.
    match absolute.into_os_string().into_string() {
        Ok(path) => Ok(path),
        Err(_) => Err(ParameterError::WrongKind { name: name(), kind: ParameterKind::Path }),
    }
}

/// Checks that a setting is valid for this parameter.
fn fits(parameter: &OwnedParameter, setting: &Setting) -> Result<(), ParameterError> {
    let name = || shown(&parameter.name);
    match (setting, parameter.kind) {
        (_, kind @ ParameterKind::Unknown) => Err(ParameterError::WrongKind { name: name(), kind }),
        (Setting::Reference(reference), _) if parameter.secret => match reference {
            Reference::Fd(_) => Err(ParameterError::Descriptor { name: name() }),
            Reference::File(path) if !path.as_path().is_absolute() => {
                Err(ParameterError::RelativePath { name: name() })
            }
            _ => Ok(()),
        },
        (_, _) if parameter.secret => {
            Err(ParameterError::NotAReference { name: name(), source: None })
        }
        (Setting::Reference(_), _) => Err(ParameterError::NotSecret { name: name() }),
        (Setting::Integer(_), ParameterKind::Integer)
        | (Setting::Boolean(_), ParameterKind::Boolean) => Ok(()),
        (Setting::Text(text), ParameterKind::Text | ParameterKind::Path) => {
            let is_path = parameter.kind == ParameterKind::Path;
            if text.contains(char::is_control) {
                Err(ParameterError::ControlCharacter { name: name() })
            } else if is_path && text.is_empty() {
                Err(ParameterError::EmptyPath { name: name() })
            } else if is_path && !Path::new(text).is_absolute() {
                Err(ParameterError::RelativePath { name: name() })
            } else {
                Ok(())
            }
        }
        (_, kind) => Err(ParameterError::WrongKind { name: name(), kind }),
    }
}

fn expected(kind: ParameterKind) -> &'static str {
    match kind {
        ParameterKind::Integer => "a whole number",
        ParameterKind::Boolean => "`true` or `false`",
        ParameterKind::Path => "a path in UTF-8",
        ParameterKind::Text => "a text",
        _ => "of a kind that this version of keystead does not know",
    }
}

#[cfg(test)]
mod tests;

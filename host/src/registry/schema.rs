//! Parameters against the schema a plugin declares: what is typed becomes what is
//! registered, and what is registered becomes what the plugin is given. Every fault is
//! reported at once.

use std::collections::BTreeMap;
use std::path::Path;

use keystead_plugin_api::{
    Parameter, ParameterKind, ParameterValue, Parameters, SecretText, VaultName,
};

use super::entry::Setting;
use super::error::shown;
use crate::reference::{self, Reference, absolute};
use crate::similar::similar;

/// A name that no parameter may have, in any case: PowerShell's hosts give each command a
/// switch of this name.
const RESERVED: &str = "verbose";

/// What is wrong with one parameter.
///
/// The value itself is never repeated: it may be a secret under the wrong name.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
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
        /// What it must be.
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
    /// A registered path is relative: it would mean another file in another folder.
    #[error("parameter `{name}` must be an absolute path")]
    RelativePath {
        /// The name.
        name: String,
    },
    /// A path starts with `~/`, and there is no home to put in its place.
    #[error("parameter `{name}` starts with `~`, and there is no home folder")]
    NoHome {
        /// The name.
        name: String,
    },
    /// A secret parameter was given as a value.
    #[error("parameter `{name}` is secret: it must be a reference, such as `env:NAME`")]
    NotAReference {
        /// The name.
        name: String,
        /// Why it is not one.
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
    /// The plugin's default lies in a user's data folder, and there is no such user, or all of
    /// them are meant.
    #[error("parameter `{name}` is in one user's data folder by default, and here there is none")]
    NoDataFolder {
        /// The name.
        name: String,
    },
    /// The plugin's own default is no value for the parameter: a fault of the plugin.
    #[error("the plugin's own default for parameter `{name}` is wrong")]
    BadDefault {
        /// The name.
        name: String,
    },
}

impl Fault {
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
            Self::NoDataFolder { .. } => "E01.parameter-no-data-folder",
            Self::BadDefault { .. } => "E01.parameter-bad-default",
        }
    }
}

/// Why a plugin cannot be given its parameters.
#[derive(Debug)]
pub enum Unready<E> {
    /// The registration does not fit the schema: every fault.
    Faults(Vec<Fault>),
    /// A reference could not be resolved.
    Unresolved {
        /// The parameter.
        name: String,
        /// Why.
        source: E,
    },
}

/// The folders that relative paths and `~/` stand on.
#[derive(Debug, Clone, Copy)]
pub struct Base<'a> {
    /// Where relative paths begin: an absolute path.
    pub folder: &'a Path,
    /// The user's home, where there is one.
    pub home: Option<&'a Path>,
    /// The folder of the user's data, where there is such a user: `{data}` in a default.
    pub data: Option<&'a Path>,
    /// The vault that is registered: `{vault}` in a default.
    pub vault: Option<&'a VaultName>,
}

/// Returns typed parameters, `K=V` each, as they are registered. Defaults are checked but
/// not filled in, so that a plugin's later default takes effect; all but those that depend on
/// the vault or on where data is kept, which must stay what they are.
///
/// # Errors
/// Every fault, sorted by the parameters' names; the missing ones last.
pub fn validate(
    schema: &[Parameter],
    given: &BTreeMap<String, String>,
    base: Base<'_>,
) -> Result<BTreeMap<String, Setting>, Vec<Fault>> {
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
                settings.insert(parameter.name.clone().into_owned(), setting);
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

/// Returns registered parameters as the plugin is given them: references resolved, the
/// plugin's defaults filled in (`~/` in them stands on `home`).
///
/// # Errors
/// Every fault of what is registered, which a person or a newer plugin may have made wrong;
/// no reference is resolved then. Otherwise the first reference that could not be resolved.
pub fn to_parameters<E>(
    schema: &[Parameter],
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
    schema: &[Parameter],
    registered: &BTreeMap<String, Setting>,
    home: Option<&Path>,
) -> Vec<Fault> {
    settle(schema, registered, home).1
}

/// Returns what is registered with the defaults filled in, and every fault.
fn settle(
    schema: &[Parameter],
    registered: &BTreeMap<String, Setting>,
    home: Option<&Path>,
) -> (BTreeMap<String, Setting>, Vec<Fault>) {
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

/// Returns the plugin's defaults for what is not given, or what is wrong with them.
fn defaults<'a>(
    schema: &'a [Parameter],
    given: impl Fn(&str) -> bool + 'a,
    home: Option<&'a Path>,
) -> impl Iterator<Item = Result<(String, Setting), Fault>> + 'a {
    // A default has no folder to be relative to.
    let base = Base { folder: Path::new(""), home, data: None, vault: None };
    schema
        .iter()
        .filter(|parameter| !parameter.default.is_empty() && !depends(parameter))
        .filter(move |parameter| !given(&parameter.name))
        .map(move |parameter| match typed(parameter, &parameter.default, base) {
            Ok(setting) => Ok((parameter.name.clone().into_owned(), setting)),
            Err(fault @ Fault::NoHome { .. }) => Err(fault),
            Err(_) => Err(Fault::BadDefault { name: shown(&parameter.name) }),
        })
}

/// Returns the required parameters that are not there and have no default.
fn missing<'a>(
    schema: &'a [Parameter],
    given: impl Fn(&str) -> bool + 'a,
) -> impl Iterator<Item = Fault> + 'a {
    schema
        .iter()
        .filter(|parameter| {
            parameter.required && parameter.default.is_empty() || depends(parameter)
        })
        .filter(move |parameter| !given(&parameter.name))
        .map(|parameter| Fault::Missing { name: shown(&parameter.name) })
}

/// Whether a default depends on the vault, or on where data is kept: such a one is filled in
/// when the vault is registered, and has to be there from then on.
pub(crate) fn depends(parameter: &Parameter) -> bool {
    parameter.kind == ParameterKind::Path && !parameter.secret && parameter.default.contains('{')
}

/// Returns a default with what it depends on put in.
fn filled_in(parameter: &Parameter, base: Base<'_>) -> Result<String, Fault> {
    let name = || shown(&parameter.name);
    let mut text = parameter.default.clone().into_owned();
    if let Some(rest) = text.strip_prefix("{data}/") {
        let data = base.data.ok_or_else(|| Fault::NoDataFolder { name: name() })?;
        let path = data.join(rest).into_os_string().into_string();
        text = path.map_err(|_| Fault::WrongKind { name: name(), kind: ParameterKind::Path })?;
    }
    let vault = base.vault.map_or_else(|| "vault".to_owned(), VaultName::folded);
    let text = text.replace("{vault}", &vault);
    // Whatever else stands in braces is not known here.
    match text.contains(['{', '}']) && !base.data.is_some_and(has_braces) {
        true => Err(Fault::BadDefault { name: name() }),
        false => Ok(text),
    }
}

fn has_braces(path: &Path) -> bool {
    path.to_string_lossy().contains(['{', '}'])
}

fn declared<'s>(schema: &'s [Parameter], name: &str) -> Result<&'s Parameter, Fault> {
    if name.eq_ignore_ascii_case(RESERVED) {
        return Err(Fault::Reserved { name: name.to_owned() });
    }
    schema.iter().find(|parameter| parameter.name == name).ok_or_else(|| Fault::Unknown {
        name: shown(name),
        similar: similar(name, schema.iter().map(|parameter| &*parameter.name)).map(shown),
    })
}

/// Returns the setting that a typed text stands for.
fn typed(parameter: &Parameter, text: &str, base: Base<'_>) -> Result<Setting, Fault> {
    let name = || shown(&parameter.name);
    if parameter.secret {
        let reference = Reference::parse(text)
            .map_err(|source| Fault::NotAReference { name: name(), source: Some(source) })?;
        let anchored = reference.anchored(base.folder, base.home);
        let setting = Setting::Reference(anchored.ok_or_else(|| Fault::NoHome { name: name() })?);
        return fits(parameter, &setting).map(|()| setting);
    }
    let wrong = || Fault::WrongKind { name: name(), kind: parameter.kind };
    let setting = match parameter.kind {
        ParameterKind::Integer => Setting::Integer(text.parse().map_err(|_| wrong())?),
        ParameterKind::Boolean => Setting::Boolean(text.parse().map_err(|_| wrong())?),
        ParameterKind::Text => Setting::Text(text.to_owned()),
        ParameterKind::Path => Setting::Text(path(parameter, text, base)?),
        // A kind of a later contract.
        _ => return Err(wrong()),
    };
    fits(parameter, &setting).map(|()| setting)
}

fn path(parameter: &Parameter, text: &str, base: Base<'_>) -> Result<String, Fault> {
    let name = || shown(&parameter.name);
    if text.is_empty() {
        return Err(Fault::EmptyPath { name: name() });
    }
    let absolute =
        absolute(text, base.folder, base.home).ok_or_else(|| Fault::NoHome { name: name() })?;
    // Texts are UTF-8: a home or folder that is not cannot be registered.
    match absolute.into_os_string().into_string() {
        Ok(path) => Ok(path),
        Err(_) => Err(Fault::WrongKind { name: name(), kind: ParameterKind::Path }),
    }
}

/// Checks that a setting can be this parameter's.
fn fits(parameter: &Parameter, setting: &Setting) -> Result<(), Fault> {
    let name = || shown(&parameter.name);
    match (setting, parameter.kind) {
        (Setting::Reference(reference), _) if parameter.secret => match reference {
            Reference::Fd(_) => Err(Fault::Descriptor { name: name() }),
            Reference::File(path) if !path.as_path().is_absolute() => {
                Err(Fault::RelativePath { name: name() })
            }
            _ => Ok(()),
        },
        (_, _) if parameter.secret => Err(Fault::NotAReference { name: name(), source: None }),
        (Setting::Reference(_), _) => Err(Fault::NotSecret { name: name() }),
        (Setting::Integer(_), ParameterKind::Integer)
        | (Setting::Boolean(_), ParameterKind::Boolean) => Ok(()),
        (Setting::Text(text), ParameterKind::Text | ParameterKind::Path) => {
            let is_path = parameter.kind == ParameterKind::Path;
            if text.contains(char::is_control) {
                Err(Fault::ControlCharacter { name: name() })
            } else if is_path && text.is_empty() {
                Err(Fault::EmptyPath { name: name() })
            } else if is_path && !Path::new(text).is_absolute() {
                Err(Fault::RelativePath { name: name() })
            } else {
                Ok(())
            }
        }
        (_, kind) => Err(Fault::WrongKind { name: name(), kind }),
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
mod tests {
    use super::*;

    fn schema() -> Vec<Parameter> {
        let mut token = Parameter::required("token", ParameterKind::Text, "");
        token.secret = true;
        let mut cache = Parameter::optional("cache", ParameterKind::Path, "");
        cache.default = "~/cache".into();
        let mut port = Parameter::optional("port", ParameterKind::Integer, "");
        port.default = "8200".into();
        vec![
            Parameter::required("url", ParameterKind::Text, ""),
            token,
            cache,
            port,
            Parameter::optional("strict", ParameterKind::Boolean, ""),
            Parameter::optional("file", ParameterKind::Path, ""),
        ]
    }

    fn given(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    fn base() -> Base<'static> {
        Base {
            folder: Path::new("/srv/here"),
            home: Some(Path::new("/home/a")),
            data: Some(Path::new("/data/keystead")),
            vault: None,
        }
    }

    fn faults(pairs: &[(&str, &str)], base: Base<'_>) -> Vec<Fault> {
        validate(&schema(), &given(pairs), base).unwrap_err()
    }

    #[test]
    fn what_is_typed_becomes_values_of_the_right_kind() {
        let typed = [
            ("url", "https://x"),
            ("token", "env:TOKEN"),
            ("port", "-1"),
            ("strict", "true"),
            ("file", "~/a/./b"),
            ("cache", "c/../d"),
        ];
        let settings = validate(&schema(), &given(&typed), base()).unwrap();
        assert_eq!(settings["url"], Setting::Text("https://x".into()));
        let token = Reference::parse("env:TOKEN").unwrap();
        assert_eq!(settings["token"], Setting::Reference(token));
        assert_eq!(settings["port"], Setting::Integer(-1));
        assert_eq!(settings["strict"], Setting::Boolean(true));
        assert_eq!(settings["file"], Setting::Text("/home/a/a/b".into()));
        assert_eq!(settings["cache"], Setting::Text("/srv/here/c/../d".into()));
    }

    #[test]
    fn a_default_that_depends_on_the_vault_is_registered() {
        let path = Parameter::defaulting("path", ParameterKind::Path, "{data}/store/{vault}", "");
        let vault = VaultName::parse("Work").unwrap();
        let base = Base { vault: Some(&vault), ..base() };
        let settings = validate(std::slice::from_ref(&path), &BTreeMap::new(), base).unwrap();
        assert_eq!(settings["path"], Setting::Text("/data/keystead/store/work".into()));
        // A file of the registry that somebody wrote by hand has to say it.
        let schema = [path];
        let name = || "path".to_owned();
        let missing = vec![Fault::Missing { name: name() }];
        assert_eq!(check(&schema, &BTreeMap::new(), None), missing);
        let nobody = Base { data: None, ..base };
        let faults = validate(&schema, &BTreeMap::new(), nobody).unwrap_err();
        assert_eq!(faults, [Fault::NoDataFolder { name: name() }]);
        for bad in ["{other}/x", "{data}", "{data}x", "store/{vault}/{x}"] {
            let schema = [Parameter::defaulting("path", ParameterKind::Path, bad, "")];
            let faults = validate(&schema, &BTreeMap::new(), base).unwrap_err();
            assert_eq!(faults, [Fault::BadDefault { name: name() }], "{bad}");
        }
    }

    #[test]
    fn every_fault_is_reported_at_once() {
        let typed = [
            ("VERBOSE", "1"),
            ("file", ""),
            ("port", "80a"),
            ("prot", "80"),
            ("strict", "yes"),
            ("token", "canary"),
        ];
        let found = faults(&typed, base());
        let codes: Vec<_> = found.iter().map(|fault| fault.code()).collect();
        assert_eq!(
            codes,
            [
                "E01.parameter-reserved",
                "E01.parameter-empty-path",
                "E01.parameter-kind",
                "E01.parameter-unknown",
                "E01.parameter-kind",
                "E01.parameter-not-a-reference",
                "E01.parameter-missing",
            ]
        );
        let Fault::Unknown { similar, .. } = &found[3] else { panic!("{found:?}") };
        assert_eq!(similar.as_deref(), Some("port"));
        assert_eq!(found[6].to_string(), "parameter `url` is required");
    }

    #[test]
    fn a_value_is_never_repeated_in_a_fault() {
        let typed = [
            ("token", "canary"),
            ("tokn", "canary"),
            ("port", "canary"),
            ("strict", "canary"),
            ("url", "canary\n"),
            ("file", "canary\0"),
        ];
        let found = faults(&typed, base());
        assert_eq!(found.len(), 6, "{found:?}");
        for fault in found {
            assert!(!format!("{fault} {fault:?}").contains("canary"), "{fault:?}");
        }
    }

    #[test]
    fn the_reserved_name_is_refused_even_where_a_plugin_declares_it() {
        let schema = [Parameter::optional("verbose", ParameterKind::Boolean, "")];
        for name in ["verbose", "Verbose", "VERBOSE"] {
            let found = validate(&schema, &given(&[(name, "true")]), base()).unwrap_err();
            assert_eq!(found, [Fault::Reserved { name: name.into() }]);
        }
    }

    #[test]
    fn a_descriptor_cannot_be_registered() {
        let found = faults(&[("token", "fd:3"), ("url", "x")], base());
        assert_eq!(found, [Fault::Descriptor { name: "token".into() }]);
    }

    #[test]
    fn without_a_home_only_what_needs_it_is_a_fault() {
        let homeless = Base { folder: Path::new("/srv"), home: None, data: None, vault: None };
        let typed = [("token", "file:~/t"), ("url", "~/kept"), ("file", "~/f")];
        let names = |name: &str| Fault::NoHome { name: name.into() };
        assert_eq!(faults(&typed, homeless), [names("file"), names("token"), names("cache")]);
        let typed = [("token", "file:t"), ("url", "x"), ("cache", "/c")];
        let settings = validate(&schema(), &given(&typed), homeless).unwrap();
        let token = Reference::parse("file:/srv/t").unwrap();
        assert_eq!(settings["token"], Setting::Reference(token));
    }

    fn registered(pairs: &[(&str, Setting)]) -> BTreeMap<String, Setting> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect()
    }

    #[test]
    fn a_plugin_is_given_defaults_and_resolved_secrets() {
        let token = Reference::parse("env:TOKEN").unwrap();
        let settings = registered(&[
            ("url", Setting::Text("x".into())),
            ("token", Setting::Reference(token.clone())),
        ]);
        let mut asked = Vec::new();
        let parameters = to_parameters(&schema(), &settings, base().home, &mut |reference| {
            asked.push(reference.clone());
            Ok::<_, ()>(SecretText::new("resolved"))
        })
        .unwrap();
        assert_eq!(asked, [token]);
        assert_eq!(parameters.secret("token").unwrap().expose(), "resolved");
        assert_eq!(parameters.text("url"), Some("x"));
        assert_eq!(parameters.text("cache"), Some("/home/a/cache"));
        assert_eq!(parameters.integer("port"), Some(8200));
        assert_eq!(parameters.boolean("strict"), None);
    }

    #[test]
    fn a_hand_written_file_is_held_to_the_schema_before_anything_is_resolved() {
        let settings = registered(&[
            ("cache", Setting::Text("relative".into())),
            ("file", Setting::Integer(1)),
            ("other", Setting::Boolean(true)),
            ("port", Setting::Text("80".into())),
            ("token", Setting::Text("canary".into())),
            ("url", Setting::Reference(Reference::parse("env:URL").unwrap())),
        ]);
        let result = to_parameters(&schema(), &settings, base().home, &mut |_| {
            panic!("resolved before it was checked") as Result<_, ()>
        });
        let Err(Unready::Faults(found)) = result else { panic!("{result:?}") };
        let name = |name: &str| name.to_owned();
        assert_eq!(
            found,
            [
                Fault::RelativePath { name: name("cache") },
                Fault::WrongKind { name: name("file"), kind: ParameterKind::Path },
                Fault::Unknown { name: name("other"), similar: None },
                Fault::WrongKind { name: name("port"), kind: ParameterKind::Integer },
                Fault::NotAReference { name: name("token"), source: None },
                Fault::NotSecret { name: name("url") },
            ]
        );
        assert_eq!(check(&schema(), &settings, base().home), found);
    }

    #[test]
    fn a_reference_that_cannot_be_resolved_names_its_parameter() {
        let token = Reference::parse("env:TOKEN").unwrap();
        let settings =
            registered(&[("url", Setting::Text("x".into())), ("token", Setting::Reference(token))]);
        let result = to_parameters(&schema(), &settings, base().home, &mut |_| Err("unset"));
        let Err(Unready::Unresolved { name, source }) = result else { panic!("{result:?}") };
        assert_eq!((name.as_str(), source), ("token", "unset"));
    }

    #[test]
    fn a_default_that_is_no_value_is_the_plugins_fault() {
        for (kind, default) in [
            (ParameterKind::Integer, "x"),
            (ParameterKind::Boolean, "1"),
            (ParameterKind::Path, "relative"),
            (ParameterKind::Text, "a\nb"),
        ] {
            let mut parameter = Parameter::required("p", kind, "");
            parameter.default = default.into();
            let found = validate(&[parameter], &given(&[]), base()).unwrap_err();
            assert_eq!(found, [Fault::BadDefault { name: "p".into() }], "{default}");
        }
    }
}

//! The grants of a registration: the pinned manifest's requests with the user's parameters filled
//! in, the granted requests, and those that are never granted. [`crate::plugin::grant`] checks and
//! opens them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use keystead_plugin_api::{OwnedParameter, ParameterKind, VaultName};

use super::{Host, prepare};
use crate::error::{Error, Result, visible};
use crate::paths::{Layer, Paths};
use crate::plugin::grant::{self, Boundaries, Granted, writable_in};
use crate::plugin::inspect::{ParsedKind, ParsedManifest, Permission};
use crate::plugin::trust::Trusted;
use crate::registry::schema::ParameterError;
use crate::registry::{DefaultChoice, Registration, Replace, Setting, schema};

/// Parts of the user's data directory that decide which code runs: no plugin may reach them.
/// Built-in vaults keep their files in other directories there.
const OWN_DATA: [&str; 5] = ["plugins", "pins.d", "verdicts", "crashes", "agent"];

/// A permission that a vault opens without, and that its registration does not grant.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptionalPermission {
    /// The permission as registrations write it; also the name to grant it by.
    pub permission: String,
    /// The permission in plain words.
    pub text: String,
    /// Its purpose, in the plugin's words; may be empty.
    pub why: String,
}

/// The planned grants of a registration.
#[derive(Debug)]
pub struct PlannedGrant {
    layer: Layer,
    entry: Registration,
    more: Vec<String>,
    optional: Vec<OptionalPermission>,
}

impl PlannedGrant {
    /// Returns the requests of the plugin beyond its current grants, each in plain words.
    pub fn more(&self) -> &[String] {
        &self.more
    }

    /// Returns further permissions that the plugin could be granted.
    pub fn optional(&self) -> &[OptionalPermission] {
        &self.optional
    }

    /// Returns the registration as it will be written.
    pub fn entry(&self) -> &Registration {
        &self.entry
    }
}

impl Host {
    /// Finds the requests of a vault's plugin that its registration does not grant: the plugin was
    /// upgraded, or parameters were changed. `chosen` are optional permissions to grant as well.
    /// Changes nothing, and runs no plugin.
    ///
    /// # Errors
    /// The vault is not registered in that layer, or its plugin cannot be used;
    /// [`Error::ReachesOwn`], [`Error::NotRequested`].
    ///
    /// # Examples
    /// ```no_run
    /// # fn example(host: &keystead::Host) -> Result<(), keystead::Error> {
    /// use keystead::paths::Layer;
    ///
    /// let name = keystead::api::VaultName::parse("work").expect("it is a name");
    /// let plan = host.plan_grant(&name, Layer::User, &[])?;
    /// println!("it requests {}, too", plan.more().join(", "));
    /// host.grant(plan)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn plan_grant(
        &self,
        name: &VaultName,
        layer: Layer,
        chosen: &[String],
    ) -> Result<PlannedGrant> {
        // Fails like an unregistration if the vault is missing from this layer, or locked.
        self.0.registry.unregister(layer, name.clone()).plan()?;
        let mut entry = Arc::unwrap_or_clone(self.layered(name)?.entry);
        let trusted = self.trusted(&entry.plugin)?;
        let kind = prepare::kind_of(trusted.manifest(), entry.kind.as_deref())?;
        let home = self.home();
        let before = entry.grants.clone();
        choose(kind, &mut entry, chosen, home.as_deref())?;
        let asked = expand(trusted.manifest(), kind, &entry, home.as_deref())?;
        let new = self
            .boundaries()
            .beyond(&asked, &before)
            .map_err(|error| not_granted(&entry, error))?;
        let is_new = |asked: &&Permission| new.contains(&asked.text());
        entry.grants = asked.iter().map(Permission::text).collect();
        let granted = self.granted(&trusted, &entry, asked.clone())?;
        let more = granted.words(asked.iter().filter(is_new));
        let more = more.iter().map(|words| words.text().to_owned()).collect();
        let optional = optional(kind, &entry, home.as_deref());
        Ok(PlannedGrant { layer, entry, more, optional })
    }

    /// Returns the permissions that a vault's plugin could be granted beside those it needs.
    ///
    /// # Errors
    /// The plugin cannot be used, or has no such vault kind.
    pub(crate) fn optional_permissions(
        &self,
        entry: &Registration,
    ) -> Result<Vec<OptionalPermission>> {
        Ok(optional(&self.kind(entry)?, entry, self.home().as_deref()))
    }

    /// Applies planned grants. Removes grants that the plugin no longer requests.
    ///
    /// # Errors
    /// The fault of the registry; nothing is half-written.
    pub fn grant(&self, plan: PlannedGrant) -> Result<()> {
        let name = plan.entry.name.clone();
        let registry = &self.0.registry;
        registry.register(plan.layer, plan.entry, Replace::Whole, DefaultChoice::First).apply()?;
        self.close(&name);
        Ok(())
    }

    /// Returns the requests of a vault's plugin that its registration does not grant.
    ///
    /// # Errors
    /// As for [`Host::granted`].
    pub(crate) fn not_granted(
        &self,
        entry: &Registration,
        manifest: &ParsedManifest,
        kind: &ParsedKind,
    ) -> Result<Vec<String>> {
        let asked = expand(manifest, kind, entry, self.home().as_deref())?;
        let missing = self.boundaries().beyond(&asked, &entry.grants);
        missing.map_err(|error| not_granted(entry, error))
    }

    /// Checks all requests of a vault's plugin, as if they were granted.
    ///
    /// # Errors
    /// As for [`Host::granted`].
    pub(crate) fn check_grants(
        &self,
        trusted: &Trusted,
        entry: &Registration,
        kind: &ParsedKind,
    ) -> Result<()> {
        let asked = expand(trusted.manifest(), kind, entry, self.home().as_deref())?;
        let grants = asked.iter().map(Permission::text).collect();
        let entry = Registration { grants, ..entry.clone() };
        self.granted(trusted, &entry, asked).map(drop)
    }

    /// Checks and opens the requests of a vault's plugin.
    ///
    /// # Errors
    /// [`Error::NotGranted`], [`Error::ReachesOwn`], [`Error::Granting`].
    pub(super) fn granted(
        &self,
        trusted: &Trusted,
        entry: &Registration,
        asked: Vec<Permission>,
    ) -> Result<Granted> {
        Granted::check(trusted, asked, &entry.grants, &self.boundaries())
            .map_err(|error| not_granted(entry, error))
    }

    /// Returns the limits for grants: Keystead's own directories by their current paths, and, found
    /// on demand, the paths that registrations let plugins write to.
    pub(super) fn boundaries(&self) -> Boundaries {
        let host = Arc::downgrade(&self.0);
        let writable = move || -> Result<Vec<(VaultName, PathBuf)>, String> {
            let inner = host.upgrade().ok_or("the host is gone")?;
            Self(inner).writable_by_plugins()
        };
        let mut own = own_dirs(&self.options().paths);
        own.extend(self.options().sessions.dir());
        own.extend(self.options().off_limits.iter().cloned());
        own.sort();
        own.dedup();
        Boundaries::new(own, Arc::new(writable))
    }

    /// Returns the paths that registrations let their plugins write to.
    fn writable_by_plugins(&self) -> Result<Vec<(VaultName, PathBuf)>, String> {
        let (vaults, faults) = self.vaults().map_err(|error| error.to_string())?;
        if let Some(fault) = faults.first() {
            return Err(fault.to_string());
        }
        let mut writable = Vec::new();
        for vault in vaults {
            // The host does not open a vault whose registration cannot be read.
            let Ok(entry) = vault.entry else { continue };
            writable.extend(writable_in(&entry.grants).map(|path| (entry.name.clone(), path)));
        }
        Ok(writable)
    }
}

/// Returns the host's error for a plugin that is granted nothing.
pub(super) fn not_granted(entry: &Registration, error: grant::Error) -> Error {
    let (vault, plugin) = (entry.name.clone(), entry.plugin.clone());
    match error {
        grant::Error::NotGranted { missing } => Error::NotGranted { vault, plugin, missing },
        grant::Error::OwnDir { path, own } => Error::ReachesOwn { vault, plugin, path, own },
        source => Error::Granting { vault, plugin, source: Box::new(source) },
    }
}

/// Returns the directories that control plugin permissions.
fn own_dirs(paths: &Paths) -> Vec<PathBuf> {
    let mut own = vec![paths.system_config.clone()];
    own.extend(paths.user_config.clone());
    own.extend(paths.packaged.iter().cloned());
    if let Some(data) = &paths.user_data {
        own.extend(OWN_DATA.iter().map(|name| data.join(name)));
    }
    own
}

/// Returns a plugin's requests with a registration's parameters filled in. Omits a permission if
/// its parameter is missing, as there is nothing to permit. Omits an optional permission that the
/// registration does not grant.
///
/// # Errors
/// [`Error::Parameters`], if a parameter becomes a part of a path and is more than one name.
pub(super) fn expand(
    manifest: &ParsedManifest,
    kind: &ParsedKind,
    entry: &Registration,
    home: Option<&Path>,
) -> Result<Vec<Permission>> {
    let values = templates(kind, entry, home);
    let mut asked = Vec::new();
    let mut faults = Vec::new();
    for (permission, own) in manifest.requested_by(kind) {
        if !permission.parameters().all(|name| values.contains_key(name)) {
            continue;
        }
        faults.extend(faults_of(permission, &values));
        let filled = permission.filled_in(&values);
        // An optional permission is requested only if the user granted it by name.
        if own.is_none_or(|own| !own.optional) || entry.grants.contains(&filled.text()) {
            asked.push(filled);
        }
    }
    if !faults.is_empty() {
        return Err(Error::Parameters { what: format!("vault `{}`", entry.name), faults });
    }
    asked.sort();
    asked.dedup();
    Ok(asked)
}

/// Returns the optional permissions of a registration that it does not grant.
pub(super) fn optional(
    kind: &ParsedKind,
    entry: &Registration,
    home: Option<&Path>,
) -> Vec<OptionalPermission> {
    let values = templates(kind, entry, home);
    let optional = kind.permissions.iter().filter(|request| request.optional);
    let possible = optional
        .filter(|request| request.permission.parameters().all(|name| values.contains_key(name)));
    let filled = possible.map(|request| {
        let permission = request.permission.filled_in(&values);
        OptionalPermission {
            permission: permission.text(),
            text: permission.to_string(),
            why: request.why.clone(),
        }
    });
    filled.filter(|one| !entry.grants.contains(&one.permission)).collect()
}

/// Adds optional permissions that the user chose, each as the manifest writes it or with the
/// parameters filled in.
///
/// # Errors
/// [`Error::NotRequested`].
pub(super) fn choose(
    kind: &ParsedKind,
    entry: &mut Registration,
    chosen: &[String],
    home: Option<&Path>,
) -> Result<()> {
    let values = templates(kind, entry, home);
    for text in chosen {
        let found = kind.permissions.iter().find_map(|request| {
            let filled = request.permission.filled_in(&values).text();
            let is_meant = request.permission.text() == *text || filled == *text;
            let is_whole = request.permission.parameters().all(|name| values.contains_key(name));
            (is_meant && is_whole).then_some(filled)
        });
        match found {
            Some(permission) => entry.grants.push(permission),
            None => {
                let optional = kind.permissions.iter().filter(|request| request.optional);
                return Err(Error::NotRequested {
                    vault: entry.name.clone(),
                    plugin: entry.plugin.clone(),
                    permission: visible(text),
                    optional: optional.map(|request| request.permission.text()).collect(),
                });
            }
        }
    }
    Ok(())
}

/// Returns requests for a path that the user did not type: the plugin's own default. Omits paths in
/// this plugin's own directory among the user's data.
pub(super) fn by_default(
    manifest: &ParsedManifest,
    kind: &ParsedKind,
    entry: &Registration,
    typed: &BTreeMap<String, String>,
    home: Option<&Path>,
    data: Option<&Path>,
) -> Vec<Permission> {
    let values = templates(kind, entry, home);
    let own = data.map(|data| data.join(&entry.plugin));
    let is_own = |permission: &Permission| match (permission.path(), &own) {
        (Some(path), Some(own)) => Path::new(path).starts_with(own),
        _ => false,
    };
    let required =
        manifest.requested_by(kind).filter(|(_, own)| own.is_none_or(|own| !own.optional));
    let untyped = required.map(|(permission, _)| permission).filter(|permission| {
        permission.parameters().all(|name| values.contains_key(name))
            && permission.parameters().any(|name| !typed.contains_key(name))
    });
    let untyped = untyped.map(|permission| permission.filled_in(&values));
    untyped.filter(|permission| !is_own(permission)).collect()
}

/// Returns the permissions that an action's parameters, as the user typed them, open beyond the
/// grants. Uses only parameters that the pinned manifest names in a permission.
///
/// # Errors
/// As for [`expand`].
pub(super) fn expand_action(
    manifest: &ParsedManifest,
    kind: &ParsedKind,
    action: &str,
    typed: &BTreeMap<String, String>,
) -> Result<Vec<Permission>> {
    let key = |name: &str| format!("{action}.{name}");
    let values: BTreeMap<_, _> =
        typed.iter().map(|(name, path)| (key(name), path.clone())).collect();
    let mut asked = Vec::new();
    let mut faults = Vec::new();
    let requested = manifest.requested_by(kind).map(|(permission, _)| permission);
    for permission in requested.filter(|one| one.parameters().next().is_some()) {
        if permission.parameters().all(|name| values.contains_key(name)) {
            faults.extend(faults_of(permission, &values));
            asked.push(permission.filled_in(&values));
        }
    }
    match faults.is_empty() {
        true => Ok(asked),
        false => Err(Error::Parameters { what: format!("action `{action}`"), faults }),
    }
}

/// Returns the faults of a template's values. A value at the beginning must be an absolute path, a
/// later value a single name. Any other value changes the path that the user saw.
fn faults_of(permission: &Permission, values: &BTreeMap<String, String>) -> Vec<ParameterError> {
    let Some(template) = permission.path() else { return Vec::new() };
    let leading = template.strip_prefix('{').and_then(|rest| rest.split('}').next());
    let mut faults = Vec::new();
    for (at, name) in permission.parameters().enumerate() {
        let value = values.get(name).map_or("", String::as_str);
        let fits = match at == 0 && leading == Some(name) {
            true => value.starts_with('/'),
            false => !value.is_empty() && !value.contains('/') && value != "." && value != "..",
        };
        if !fits {
            faults.push(ParameterError::NotAName { name: name.to_owned() });
        }
    }
    faults
}

/// Returns the texts to fill templates in with: registered values, else the defaults.
pub(crate) fn templates(
    kind: &ParsedKind,
    entry: &Registration,
    home: Option<&Path>,
) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    for parameter in &kind.parameters {
        let value = match entry.parameters.get(&parameter.name) {
            Some(Setting::Text(text)) => text.clone(),
            Some(Setting::Integer(number)) => number.to_string(),
            Some(Setting::Boolean(yes)) => yes.to_string(),
            Some(Setting::Reference(_)) => continue,
            None if parameter.default.is_empty() || schema::depends(parameter) => continue,
            None => default(parameter, home),
        };
        values.insert(parameter.name.to_string(), value);
    }
    values
}

fn default(parameter: &OwnedParameter, home: Option<&Path>) -> String {
    let is_path = parameter.kind == ParameterKind::Path;
    match (parameter.default.strip_prefix("~/").filter(|_| is_path), home) {
        (Some(rest), Some(home)) => home.join(rest).display().to_string(),
        _ => parameter.default.to_string(),
    }
}

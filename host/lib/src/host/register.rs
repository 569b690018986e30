//! Registration of a vault: the host checks and shows everything before it writes anything.

use keystead_plugin_api::UnregisterRequest;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use keystead_plugin_api::VaultName;

use super::{Host, OptionalPermission, RunMode, VaultDetails, grant, prepare};
use crate::error::{Error, Result};
use crate::paths::Layer;
use crate::plugin::inspect::Permission;
use crate::plugin::pins::InProcess;
use crate::prompter::NonInteractive;
use crate::reference::Reference;
use crate::registry::schema::{self, Base, ParameterError};
use crate::registry::{DefaultChoice, Placement, Registration, Replace};

/// A vault to register, as the user typed it.
#[derive(Debug, Clone)]
pub struct NewRegistration {
    /// The vault's name.
    pub name: VaultName,
    /// The plugin's id.
    pub plugin: String,
    /// The vault kind; `None` for the plugin's first.
    pub kind: Option<String>,
    /// Parameters as typed.
    pub parameters: BTreeMap<String, String>,
    /// Optional permissions to grant, as the manifest writes them or with parameters filled in.
    pub grants: Vec<String>,
    /// Unlock references, by prompt.
    pub unlock: BTreeMap<String, Reference>,
    /// Purpose of the vault.
    pub description: String,
    /// Whether the agent keeps the session of a login without prompts.
    pub keep_login: bool,
    /// Whether searches include the vault.
    pub search: bool,
    /// Where the plugin's code runs; `None` for the host's choice.
    pub placement: Option<Placement>,
    /// Whether the vault becomes the default vault.
    pub default: DefaultChoice,
    /// Whether to replace a registration of this name.
    pub replace: Replace,
    /// The layer to write the registration to.
    pub layer: Layer,
    /// Absolute path that relative paths start from.
    pub dir: PathBuf,
}

impl NewRegistration {
    /// Returns a registration of a plugin's first vault kind in the user's layer, without
    /// parameters.
    ///
    /// # Examples
    /// ```
    /// use keystead::{Placement, NewRegistration};
    ///
    /// let name = keystead::api::VaultName::parse("work").unwrap();
    /// let mut new = NewRegistration::new(name, "store", "/home/ada".into());
    /// new.placement = Some(Placement::Isolated);
    /// assert!(new.search);
    /// ```
    pub fn new(name: VaultName, plugin: impl Into<String>, dir: PathBuf) -> Self {
        Self {
            name,
            plugin: plugin.into(),
            kind: None,
            parameters: BTreeMap::new(),
            grants: Vec::new(),
            unlock: BTreeMap::new(),
            description: String::new(),
            keep_login: false,
            search: true,
            placement: None,
            default: DefaultChoice::First,
            replace: Replace::Never,
            layer: Layer::User,
            dir,
        }
    }
}

/// A checked registration and its grants.
#[derive(Debug)]
pub struct PlannedRegistration {
    entry: Registration,
    permissions: Vec<String>,
    by_default: Vec<String>,
    optional: Vec<OptionalPermission>,
    left_out: Vec<String>,
    layer: Layer,
    default: DefaultChoice,
    replace: Replace,
    becomes_default: bool,
}

impl PlannedRegistration {
    /// Returns the permissions that the plugin will be granted, each in plain words.
    pub fn permissions(&self) -> &[String] {
        &self.permissions
    }

    /// Returns the permissions that come from the plugin's own defaults: the user did not type
    /// them, and has to confirm them. Excludes the plugin's own directory among the user's data.
    pub fn by_default(&self) -> &[String] {
        &self.by_default
    }

    /// Returns further permissions that the plugin could be granted.
    pub fn optional(&self) -> &[OptionalPermission] {
        &self.optional
    }

    /// Returns the parts of the manifest's vault kind that this host does not know, and so ignores,
    /// each in one line.
    pub fn left_out(&self) -> &[String] {
        &self.left_out
    }

    /// Returns the registration as it will be written.
    pub fn entry(&self) -> &Registration {
        &self.entry
    }

    /// Returns whether the vault will be the default vault.
    pub fn becomes_default(&self) -> bool {
        self.becomes_default
    }
}

/// Result of a registration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// The vault.
    pub name: VaultName,
    /// Whether the vault became the default vault.
    pub became_default: bool,
}

/// Result of an unregistration.
#[derive(Debug)]
pub struct Unregistered {
    /// Whether it was the default vault. No other vault becomes the default in its place.
    pub was_default: bool,
    /// Error of the plugin's own cleanup, if that failed: the vault is unregistered all the same.
    pub warning: Option<Error>,
}

impl Host {
    /// Checks a registration against its plugin and the existing registrations. Changes nothing,
    /// and runs no plugin.
    ///
    /// # Errors
    /// The plugin is missing, has no such kind, or is not allowed in that placement.
    /// [`Error::Parameters`] with every fault at once; [`Error::NotRequested`]; the name is
    /// registered already.
    ///
    /// # Examples
    /// ```no_run
    /// # fn example(host: &keystead::Host) -> Result<(), keystead::Error> {
    /// use keystead::NewRegistration;
    /// use keystead::api::VaultName;
    ///
    /// let name = VaultName::parse("work").expect("it is a name");
    /// let mut new = NewRegistration::new(name, "store", "/home/ada".into());
    /// new.parameters.insert("path".to_owned(), "work.store".to_owned());
    /// let plan = host.plan_registration(new)?;
    /// for permission in plan.permissions() {
    ///     println!("grants {permission}");
    /// }
    /// host.register(plan)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn plan_registration(&self, new: NewRegistration) -> Result<PlannedRegistration> {
        let trusted = self.trusted(&new.plugin)?;
        let manifest = trusted.manifest();
        let kind = prepare::kind_of(manifest, new.kind.as_deref())?;
        if new.placement == Some(Placement::InProcess) && trusted.in_process() == InProcess::Never {
            return Err(Error::InProcessForbidden { plugin: new.plugin });
        }
        let home = self.home();
        // A registration for all users uses no user's own data directory.
        let data = match new.layer {
            Layer::System => None,
            _ => self.options().paths.user_data.as_deref(),
        };
        let vault = new.name.clone();
        let base = Base { dir: &new.dir, home: home.as_deref(), data, vault: Some(&vault) };
        let what = format!("vault `{}`", new.name);
        let wrong = |faults| Error::Parameters { what: what.clone(), faults };
        let parameters =
            schema::validate(&kind.parameters, &new.parameters, base).map_err(wrong)?;
        let unlock = anchored(new.unlock, base).map_err(wrong)?;
        let mut entry = Registration::new(new.name, new.plugin);
        entry.kind = new.kind;
        entry.parameters = parameters;
        entry.unlock = unlock;
        entry.description = new.description;
        entry.keep_login = new.keep_login;
        entry.search = new.search;
        entry.placement = new.placement;
        grant::choose(kind, &mut entry, &new.grants, home.as_deref())?;
        let asked = grant::expand(manifest, kind, &entry, home.as_deref())?;
        let typed = &new.parameters;
        let by_default = grant::by_default(manifest, kind, &entry, typed, home.as_deref(), data);
        let by_default = by_default.iter().map(ToString::to_string).collect();
        entry.grants = asked.iter().map(Permission::text).collect();
        let granted = self.granted(&trusted, &entry, asked.clone())?;
        let permissions =
            granted.words(asked.iter()).iter().map(|words| words.text().to_owned()).collect();
        let optional = grant::optional(kind, &entry, home.as_deref());

        let before = self.default_vault()?;
        let is_first = before.is_none() && self.names()?.is_empty();
        let becomes_default = match new.default {
            DefaultChoice::Yes => true,
            DefaultChoice::First => is_first,
            DefaultChoice::No => false,
        };
        // Reject an invalid registration before prompting for consent.
        self.0.registry.register(new.layer, entry.clone(), new.replace, new.default).plan()?;
        Ok(PlannedRegistration {
            entry,
            permissions,
            by_default,
            optional,
            left_out: kind.left_out(),
            layer: new.layer,
            default: new.default,
            replace: new.replace,
            becomes_default,
        })
    }

    /// Registers a vault.
    ///
    /// # Errors
    /// The fault of the registry; nothing is half-written.
    pub fn register(&self, plan: PlannedRegistration) -> Result<Registered> {
        let name = plan.entry.name.clone();
        self.0.registry.register(plan.layer, plan.entry, plan.replace, plan.default).apply()?;
        self.forget(&name);
        let became_default = plan.becomes_default;
        Ok(Registered { name, became_default })
    }

    /// Registers a vault for this process only: writes nothing, and no other process sees the
    /// vault. It overrides a registered vault of the same name.
    pub fn register_for_this_process(&self, plan: PlannedRegistration) {
        let name = plan.entry.name.clone();
        super::lock(&self.0.temporary).insert(name.clone(), Arc::new(plan.entry));
        self.forget(&name);
    }

    /// Ends a vault's registration. Its data stays. The plugin's own cleanup runs first; its
    /// failure is a warning.
    ///
    /// # Errors
    /// [`Error::NoSuchVault`], or the fault of the registry.
    ///
    /// # Examples
    /// ```no_run
    /// # fn example(host: &keystead::Host) -> Result<(), keystead::Error> {
    /// use keystead::RunMode;
    /// use keystead::paths::Layer;
    ///
    /// let name = keystead::api::VaultName::parse("work").expect("it is a name");
    /// if let Some(warning) = host.unregister(&name, Layer::User, RunMode::Apply)?.warning {
    ///     println!("{warning}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn unregister(&self, name: &VaultName, layer: Layer, run: RunMode) -> Result<Unregistered> {
        if super::lock(&self.0.temporary).contains_key(name) {
            if run == RunMode::Apply {
                super::lock(&self.0.temporary).remove(name);
                self.forget(name);
            }
            return Ok(Unregistered { was_default: false, warning: None });
        }
        let edit = self.0.registry.unregister(layer, name.clone());
        edit.plan()?;
        let was_default = self.0.registry.default().ok().flatten().as_ref() == Some(name);
        if run == RunMode::DryRun {
            return Ok(Unregistered { was_default, warning: None });
        }
        let warning = self.tell_unregistered(name, layer).err();
        edit.apply()?;
        self.forget(name);
        Ok(Unregistered { was_default, warning })
    }

    /// Runs the plugin's own cleanup, if its vault kind has one. A registration that another layer
    /// overrides was never open.
    fn tell_unregistered(&self, name: &VaultName, layer: Layer) -> Result<()> {
        use keystead_plugin_api::manifest::Capability;
        // A plugin that is missing or broken runs no cleanup, and must not keep the user from
        // unregistering.
        let Ok(VaultDetails { info, kind: Ok(kind) }) = self.vault(name) else { return Ok(()) };
        if info.layer != Some(layer) || !kind.capabilities.contains(&Capability::Unregister) {
            return Ok(());
        }
        self.call(name, &mut NonInteractive, &mut |vault, deadline| {
            vault.unregister(&UnregisterRequest::new(deadline)).map(drop)
        })
    }

    fn forget(&self, name: &VaultName) {
        self.0.pools.close(name);
    }
}

/// Returns unlock references that mean the same in every current directory.
fn anchored(
    typed: BTreeMap<String, Reference>,
    base: Base<'_>,
) -> Result<BTreeMap<String, Reference>, Vec<ParameterError>> {
    let mut answers = BTreeMap::new();
    let mut faults = Vec::new();
    for (name, reference) in typed {
        match reference.anchored(base.dir, base.home) {
            Some(reference) => {
                answers.insert(name, reference);
            }
            None => faults.push(ParameterError::NoHome { name }),
        }
    }
    if faults.is_empty() { Ok(answers) } else { Err(faults) }
}

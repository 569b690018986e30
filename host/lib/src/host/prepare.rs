//! Facts about a vault that each command finds out once before opening it: its registration, its
//! verified plugin, and its vault kind. Runs no plugin.

use std::sync::Arc;

use keystead_plugin_api::VaultName;

use super::{Host, lock};
use crate::error::{Error, Result};
use crate::paths::Layer;
use crate::plugin::inspect::{ParsedKind, ParsedManifest};
use crate::plugin::pins::{InProcess, PluginId};
use crate::plugin::trust::{self, TrustSource, Trusted};
use crate::registry::{OpenRegistry, Placement, Registration};

/// A vault's registration.
#[derive(Debug, Clone)]
pub(crate) struct LayeredRegistration {
    /// Its layer; `None` for this process only, or if no session may be used.
    pub(super) layer: Option<Layer>,
    pub(crate) entry: Arc<Registration>,
}

/// A vault that is ready to be opened.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// The name in the caller's spelling.
    pub(crate) name: VaultName,
    pub(super) registered: LayeredRegistration,
    pub(super) trusted: Trusted,
}

impl Prepared {
    pub(crate) fn entry(&self) -> &Registration {
        &self.registered.entry
    }

    pub(crate) fn kind(&self) -> &ParsedKind {
        let kind = self.trusted.manifest().kind(self.entry().kind.as_deref());
        kind.expect("it was found when the vault was prepared")
    }

    /// Returns where the plugin's code runs.
    pub(super) fn placement(&self) -> Placement {
        self.entry().placement.unwrap_or_else(|| usual_placement(&self.trusted))
    }
}

/// The vault of a call, with the facts that its caller already has.
#[derive(Clone, Copy)]
pub(crate) enum VaultRef<'v> {
    Named(&'v VaultName),
    /// Its registration is looked up in this registry.
    In(&'v VaultName, &'v Arc<OpenRegistry>),
    Registered(&'v VaultName, &'v LayeredRegistration),
    Prepared(&'v Arc<Prepared>),
}

impl<'v> VaultRef<'v> {
    pub(crate) fn name(self) -> &'v VaultName {
        match self {
            Self::Named(name) | Self::In(name, _) | Self::Registered(name, _) => name,
            Self::Prepared(prepared) => &prepared.name,
        }
    }

    pub(super) fn known(self) -> Option<Known> {
        match self {
            Self::Named(_) => None,
            Self::In(_, registry) => Some(Known::In(Arc::clone(registry))),
            Self::Registered(_, registered) => Some(Known::Registered(registered.clone())),
            Self::Prepared(prepared) => Some(Known::Prepared(Arc::clone(prepared))),
        }
    }
}

impl<'v> From<&'v VaultName> for VaultRef<'v> {
    fn from(name: &'v VaultName) -> Self {
        Self::Named(name)
    }
}

impl<'v> From<&'v Arc<Prepared>> for VaultRef<'v> {
    fn from(prepared: &'v Arc<Prepared>) -> Self {
        Self::Prepared(prepared)
    }
}

/// Known facts about a vault before it is opened. Used once: reopening looks them up again.
pub(super) enum Known {
    In(Arc<OpenRegistry>),
    Registered(LayeredRegistration),
    Prepared(Arc<Prepared>),
}

impl Host {
    /// Finds the facts that opening a vault needs.
    ///
    /// # Errors
    /// [`Error::NoSuchVault`]; else the error with which the vault answers every request.
    pub(crate) fn prepare(&self, vault: &VaultName) -> Result<Arc<Prepared>> {
        self.prepare_in(&self.registry().once(), vault)
    }

    /// Prepares a vault like [`Host::prepare()`], with a registry that may be partly open.
    pub(crate) fn prepare_in(
        &self,
        registry: &OpenRegistry,
        vault: &VaultName,
    ) -> Result<Arc<Prepared>> {
        let registered = self.layered_in(registry, vault);
        let prepared = registered.and_then(|registered| self.prepared(vault, registered));
        prepared.map(Arc::new).map_err(|error| match error {
            Error::NoSuchVault { .. } => error,
            error => Error::Faulty { vault: vault.clone(), source: Arc::new(error) },
        })
    }

    /// Finds the plugin and the kind of a vault with this registration.
    pub(super) fn prepared(
        &self,
        name: &VaultName,
        registered: LayeredRegistration,
    ) -> Result<Prepared> {
        let entry = &registered.entry;
        let trusted = self.trusted(&entry.plugin)?;
        kind_of(trusted.manifest(), entry.kind.as_deref())?;
        Ok(Prepared { name: name.clone(), registered, trusted })
    }

    /// Returns a registered plugin, verified.
    pub(super) fn trusted(&self, plugin: &str) -> Result<Trusted> {
        let id = PluginId::parse(plugin).map_err(trust::Error::from)?;
        Ok(self.plugins().find(&id)?)
    }

    /// Returns a vault's registration.
    pub(crate) fn layered(&self, name: &VaultName) -> Result<LayeredRegistration> {
        self.layered_in(&self.registry().once(), name)
    }

    /// Returns a vault's registration, from a registry that may be partly open.
    pub(crate) fn layered_in(
        &self,
        registry: &OpenRegistry,
        name: &VaultName,
    ) -> Result<LayeredRegistration> {
        if let Some(entry) = lock(&self.0.temporary).get(name) {
            return Ok(LayeredRegistration { layer: None, entry: Arc::clone(entry) });
        }
        let (layer, entry) = registry.layered(name)?;
        Ok(LayeredRegistration { layer: Some(layer), entry: Arc::new(entry) })
    }

    /// Returns the vault kind of a registration, from its plugin's current manifest.
    pub(crate) fn kind(&self, entry: &Registration) -> Result<ParsedKind> {
        let trusted = self.trusted(&entry.plugin)?;
        kind_of(trusted.manifest(), entry.kind.as_deref()).cloned()
    }
}

/// Built-in plugins that run in-process unless a registration specifies otherwise: they were built
/// with this host. They keep secrets in the user's files, so that a process of their own would cost
/// time and protect nothing.
pub(super) const AT_HOME: [&str; 2] = ["store", "files"];

/// Returns the placement of a plugin's code if its registration specifies none.
pub(super) fn usual_placement(trusted: &Trusted) -> Placement {
    let ours = trusted.trust_source() == TrustSource::Builtin
        && trusted.in_process() != InProcess::Never
        && AT_HOME.contains(&trusted.id().as_str());
    if ours { Placement::InProcess } else { Placement::Isolated }
}

/// Returns the manifest's kind of this name, or its first.
///
/// # Errors
/// [`Error::NoSuchKind`]; [`Error::NewerKind`] if this host cannot open vaults of that kind.
pub(super) fn kind_of<'m>(
    manifest: &'m ParsedManifest,
    name: Option<&str>,
) -> Result<&'m ParsedKind> {
    let kind = manifest.kind(name).ok_or_else(|| Error::NoSuchKind {
        plugin: manifest.id.clone(),
        kind: name.unwrap_or_default().to_owned(),
        kinds: manifest.kinds.iter().map(|kind| kind.name.clone()).collect(),
    })?;
    match kind.needs_newer_host() {
        None => Ok(kind),
        Some(unknown) => Err(Error::NewerKind {
            plugin: manifest.id.clone(),
            kind: kind.name.clone(),
            unknown: unknown.to_string(),
        }),
    }
}

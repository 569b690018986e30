//! The host: one object for all registered vaults. Opens a vault at its first call, keeps it open,
//! and lets one caller at a time use each of its handles.

mod call;
mod completion;
mod conformance;
mod denied;
mod grant;
mod open;
mod placement;
mod pool;
mod prepare;
mod register;
mod resolve;
mod services;
mod session;
mod share;
mod unlock;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use keystead_plugin_api::manifest::Capability;
use keystead_plugin_api::{Deadline, ErrorKind, ListRequest, TestRequest, VaultName};

pub(crate) use call::OpenedForCall;
pub use conformance::Check;
pub(crate) use denied::BY_HOST;
pub use denied::{Denied, may_be_denial, tells_of_denial};
pub(crate) use grant::templates;
pub use grant::{OptionalPermission, PlannedGrant};
pub use placement::PlacementReason;
pub(crate) use prepare::{Prepared, VaultRef};
pub use register::{NewRegistration, PlannedRegistration, Registered, Unregistered};
pub use session::{IfUnlocked, UnlockOutcome, UnlockedSession};

use crate::error::{Error, Result};
use crate::options::Options;
use crate::paths::Layer;
use crate::plugin::inspect::ParsedKind;
use crate::plugin::trust::PluginStore;
use crate::prompter::Prompter;
use crate::registry::{OpenRegistry, Registration, Registry};
use open::Open;
use pool::Pools;
use share::Common;

/// Whether a function applies its changes or only checks them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunMode {
    /// Apply the changes.
    Apply,
    /// Check everything and change nothing.
    DryRun,
}

/// The host of all registered vaults.
///
/// It is `Send + Sync`, and a clone is the same host. Every function may be called from any thread
/// at any time. Calls to different vaults run at the same time. Calls to one vault run one after
/// another, in any order. If its kind declares `concurrent`, up to eight run at the same time, and
/// one of them prompts the user. Only the thread of a call uses its [`Prompter`], which may call
/// the host, but not the vault that it prompts for ([`Error::NeedsItself`]). The host never reads
/// the environment and never touches a terminal.
///
/// # Examples
/// ```no_run
/// use keystead::{Host, NonInteractive, Options, SearchScope};
/// use keystead::paths::Paths;
/// use keystead_plugin_api::{SecretName, Value};
///
/// # fn main() -> Result<(), keystead::Error> {
/// let paths = Paths {
///     system_config: "/etc/keystead".into(),
///     user_config: Some("/srv/app/keystead".into()),
///     user_data: Some("/srv/app/keystead-data".into()),
///     packaged: vec!["/usr/lib/keystead".into()],
/// };
/// let host = Host::new(Options::new(paths, "/usr/bin/keystead".into()));
/// let name = SecretName::parse("db/password").unwrap();
/// let found = host.get(&name, &SearchScope::anywhere(), &mut NonInteractive)?;
/// if let Value::Text(text) = &found.secret.value {
///     assert!(!text.expose().is_empty());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Host(Arc<Inner>);

struct Inner {
    options: Options,
    registry: Registry,
    plugins: PluginStore,
    pools: Pools<Box<Open>, Common>,
    temporary: Mutex<HashMap<VaultName, Arc<Registration>>>,
    /// How many secrets a batch wrote to each vault well within its time limit.
    paces: Mutex<HashMap<VaultName, usize>>,
}

/// A registered vault.
#[derive(Debug)]
pub struct VaultInfo {
    /// Name of the vault.
    pub name: VaultName,
    /// Layer of the registration; `None` if it is for this process only.
    pub layer: Option<Layer>,
    /// Whether it is the default vault.
    pub is_default: bool,
    /// Its registration, or the reason why it cannot be read.
    pub entry: Result<Registration>,
}

/// A registered vault, with its kind from the plugin's current manifest.
#[derive(Debug)]
pub struct VaultDetails {
    /// The registration.
    pub info: VaultInfo,
    /// The vault kind, from the plugin's current manifest, or the reason why it is not known.
    pub kind: Result<ParsedKind>,
}

impl Host {
    /// Returns a host. Opens nothing and reads nothing.
    ///
    /// If the kernel started the process with more rights than its user has, the host ignores the
    /// user's directories. In a set-user-ID or set-group-ID process it rejects every call
    /// ([`Error::MixedIds`]).
    ///
    /// # Examples
    /// ```
    /// use keystead::paths::Paths;
    /// use keystead::{Host, Options};
    ///
    /// let directory = tempfile::tempdir()?;
    /// let paths = Paths {
    ///     system_config: directory.path().join("etc"),
    ///     user_config: Some(directory.path().join("config")),
    ///     user_data: Some(directory.path().join("data")),
    ///     packaged: Vec::new(),
    /// };
    /// let host = Host::new(Options::new(paths, "/proc/self/exe".into()));
    /// let (vaults, faults) = host.vaults()?;
    /// assert!(vaults.is_empty() && faults.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(options: Options) -> Self {
        let options = options.for_this_process();
        let registry = Registry::open(&options.paths);
        let plugins = PluginStore::new(&options.paths, options.privilege);
        Self(Arc::new(Inner {
            options,
            registry,
            plugins,
            pools: Pools::default(),
            temporary: Mutex::default(),
            paces: Mutex::default(),
        }))
    }

    /// Closes open and faulty vaults: the next call to each reopens it by its registration at that
    /// time. A call under way ends first, on its old vault.
    pub fn reload(&self) {
        self.0.pools.close_all();
    }

    /// Returns the installed plugins.
    ///
    /// # Examples
    /// ```no_run
    /// # fn example(host: &keystead::Host) -> Result<(), keystead::Error> {
    /// use keystead::trust::{OnIdConflict, InProcess, InstallTarget, TrustDecision};
    ///
    /// let candidate = host.plugins().examine("/home/ada/libnotes.so".as_ref())?;
    /// for permission in candidate.new_permissions() {
    ///     println!("it requests {permission}");
    /// }
    /// // Whoever may decide has agreed.
    /// let decision = TrustDecision { place: InstallTarget::User, in_process: InProcess::Never };
    /// host.plugins().install(candidate, &decision, OnIdConflict::Refuse)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn plugins(&self) -> &PluginStore {
        &self.0.plugins
    }

    /// Returns the options of this host.
    pub(crate) fn options(&self) -> &Options {
        &self.0.options
    }

    /// Returns the registered vaults.
    pub(crate) fn registry(&self) -> &Registry {
        &self.0.registry
    }

    /// Returns the default vault.
    ///
    /// # Errors
    /// The fault of the registry.
    pub fn default_vault(&self) -> Result<Option<VaultName>> {
        self.default_in(&self.0.registry.once())
    }

    /// Returns the default vault, from a registry that may be partly open.
    pub(crate) fn default_in(&self, registry: &OpenRegistry) -> Result<Option<VaultName>> {
        match &self.0.options.default_vault {
            Some(name) => Ok(Some(name.clone())),
            None => Ok(registry.default()?),
        }
    }

    /// Makes a registered vault the default, or none.
    ///
    /// # Errors
    /// [`Error::NoSuchVault`], or the fault of the registry.
    pub fn set_default(&self, name: Option<&VaultName>, layer: Layer, run: RunMode) -> Result<()> {
        let edit = self.0.registry.set_default(layer, name.cloned());
        match run {
            RunMode::DryRun => edit.plan()?,
            RunMode::Apply => edit.apply()?,
        };
        Ok(())
    }

    /// Returns all vaults, sorted by name, and other faults of the registry. The vaults include
    /// broken registrations.
    ///
    /// # Errors
    /// The fault of the registry, if the host cannot list any vault.
    ///
    /// # Examples
    /// ```no_run
    /// # fn example(host: &keystead::Host) -> Result<(), keystead::Error> {
    /// let (vaults, faults) = host.vaults()?;
    /// for vault in vaults {
    ///     println!("{}{}", vault.name, if vault.is_default { " (default)" } else { "" });
    /// }
    /// for fault in faults {
    ///     println!("left out: {fault}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn vaults(&self) -> Result<(Vec<VaultInfo>, Vec<Error>)> {
        // A damaged setting hides no vault.
        let registry = self.0.registry.once();
        let (default, unsaid) = match self.default_in(&registry) {
            Ok(default) => (default, None),
            Err(error) => (None, Some(error)),
        };
        let is_default = |name: &VaultName| default.as_ref() == Some(name);
        let listing = registry.all();
        let temporary = lock(&self.0.temporary).clone();
        let mut vaults: Vec<_> = listing
            .vaults
            .into_iter()
            .filter(|listed| !temporary.contains_key(&listed.name))
            .map(|listed| VaultInfo {
                is_default: is_default(&listed.name),
                name: listed.name,
                layer: Some(listed.layer),
                entry: listed.entry.map_err(Error::from),
            })
            .collect();
        vaults.extend(temporary.into_iter().map(|(name, entry)| VaultInfo {
            is_default: is_default(&name),
            name,
            layer: None,
            entry: Ok(Arc::unwrap_or_clone(entry)),
        }));
        vaults.sort_by(|a, b| a.name.cmp(&b.name));
        let faults: Vec<_> = listing.faults.into_iter().map(Error::from).collect();
        match unsaid {
            Some(error) if vaults.is_empty() => Err(error),
            // Reports an unusable directory once only.
            Some(error) if faults.iter().all(|fault| fault.to_string() != error.to_string()) => {
                Ok((vaults, std::iter::once(error).chain(faults).collect()))
            }
            _ => Ok((vaults, faults)),
        }
    }

    /// Returns a vault's registration, and its kind from the plugin's manifest. Runs no plugin.
    ///
    /// # Errors
    /// [`Error::NoSuchVault`], or the fault of the registry.
    ///
    /// # Examples
    /// ```no_run
    /// # fn example(host: &keystead::Host) -> Result<(), keystead::Error> {
    /// let name = keystead::api::VaultName::parse("work").expect("it is a name");
    /// let details = host.vault(&name)?;
    /// println!("of plugin {}", details.info.entry?.plugin);
    /// # Ok(())
    /// # }
    /// ```
    pub fn vault(&self, name: &VaultName) -> Result<VaultDetails> {
        let (vaults, _) = self.vaults()?;
        let Some(info) = vaults.into_iter().find(|info| info.name == *name) else {
            // The registry finds similar names.
            return Err(self
                .layered(name)
                .err()
                .unwrap_or_else(|| Error::NoSuchVault { name: name.clone(), similar: None }));
        };
        let kind = match &info.entry {
            Ok(entry) => self.kind(entry),
            // Get the error again: the first one is in `info`.
            Err(_) => self.layered(name).and_then(|registered| self.kind(&registered.entry)),
        };
        Ok(VaultDetails { info, kind })
    }

    /// Checks whether a vault is usable. Changes nothing.
    ///
    /// # Errors
    /// The vault's fault, in its plugin's words if there are any. If the vault stays locked:
    /// [`Error::Locked`], [`Error::Refused`] and the like, as a plugin may test itself while it is
    /// locked.
    pub fn test(&self, vault: &VaultName, ask: &mut dyn Prompter) -> Result<()> {
        let prepared = self.prepare(vault).ok();
        let locks = prepared
            .as_ref()
            .is_some_and(|prepared| prepared.kind().capabilities.contains(&Capability::Unlock));
        let vault = prepared.as_ref().map_or(VaultRef::Named(vault), VaultRef::Prepared);
        let mut is_well = false;
        self.call(vault, ask, &mut |open, deadline| {
            // Test only once: its log messages appear, and this closure runs again after an unlock.
            if !is_well {
                open.test(&TestRequest::new(deadline))?;
                is_well = true;
            }
            if !locks {
                return Ok(());
            }
            let mut first = ListRequest::new(deadline);
            first.limit = 1;
            match open.list(&first) {
                Err(refusal) if refusal.kind() == ErrorKind::Locked => Err(refusal),
                // Listing may still fail: the vault has reported that it is usable.
                _ => Ok(()),
            }
        })
    }

    /// Returns the names of all vaults, sorted.
    pub(crate) fn names(&self) -> Result<Vec<VaultName>> {
        self.names_in(&self.0.registry.once())
    }

    /// Returns the names of all vaults, sorted, from a registry that may be partly open.
    pub(crate) fn names_in(&self, registry: &OpenRegistry) -> Result<Vec<VaultName>> {
        let mut names = registry.names()?;
        names.extend(lock(&self.0.temporary).keys().cloned());
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// Closes an open or faulty vault.
    fn close(&self, name: &VaultName) {
        self.0.pools.close(name);
    }

    /// Returns how many secrets a batch wrote to each vault.
    pub(crate) fn paces(&self) -> MutexGuard<'_, HashMap<VaultName, usize>> {
        lock(&self.0.paces)
    }

    /// Returns the time limit of a call.
    pub(crate) fn timeout(&self) -> Duration {
        self.0.options.timeout
    }

    /// Returns the deadline of a call that starts now.
    pub(crate) fn deadline(&self) -> Deadline {
        Deadline::after(self.0.options.timeout)
    }
}

/// Locks a mutex. A panic in another thread leaves plain data here, never half-changed.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

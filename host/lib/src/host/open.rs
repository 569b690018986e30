//! From a registration to an open vault: verifies the plugin, grants its permissions, resolves its
//! parameters, and places its code.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;

use keystead_plugin_api::abi::{Client, Guarded};
use keystead_plugin_api::manifest::Capability;
use keystead_plugin_api::{Context, Error as Refusal, HostInfo, OpenRequest, Vault, VaultName};

use super::call::Call;
use super::prepare::{AT_HOME, Known, LayeredRegistration, Prepared};
use super::services::VaultServices;
use super::session::{Binding, Offered};
use super::share::{Further, Template};
use super::{Host, grant, unlock::Given};
use crate::error::{Error, Result};
use crate::options::MAX_HANDLES;
use crate::plugin::exec::Programs;
use crate::plugin::grant::{Error as Ungranted, Granted, writable_in};
use crate::plugin::inspect::{ParsedKind, Permission};
use crate::plugin::pins::InProcess;
use crate::plugin::replace::Files;
use crate::plugin::runner::{CallError, Greeted, Image, Launch, Runner, Setup, Started};
use crate::plugin::trust::{CopyError, Trusted};
use crate::plugin::{self, loader, verdict};
use crate::reference::Reference;
use crate::registry::{Placement, Registration, Setting};
use crate::retry;

/// An open vault.
pub(super) struct Open {
    pub(super) name: VaultName,
    pub(super) entry: Arc<Registration>,
    /// Binding of the vault's sessions; `None` if it can have none.
    pub(super) binding: Option<Binding>,
    /// Serial number of the kept session that opened the vault; `None` without a kept session.
    pub(super) kept: Option<u64>,
    /// Whether an answer to one of its prompts came from this process's caller: from the user, or
    /// for this call alone.
    pub(super) by_caller: bool,
    /// Values of the unlock references, until they unlock the vault; `None` if the host resolves
    /// them on demand.
    pub(super) answers: Option<Given>,
    /// The plugin's reports about its session.
    pub(super) offered: Arc<Offered>,
    /// How to open a further handle; `None` if the vault has one handle.
    pub(super) template: Option<Arc<Template>>,
    /// Number of its session among those of the vault's handles; 0 for none.
    pub(super) session: u64,
    /// Whether the vault has answered a call.
    pub(super) answered: bool,
    /// Process id of the runner that the vault was opened in, if there is one.
    process: Option<u32>,
    code: Code,
}

/// Where the vault's code runs.
enum Code {
    InProcess(Box<dyn Vault>),
    Isolated(Box<Guarded<Client<Runner>>>),
}

/// A vault without the guard that limits calls to what its kind declares.
enum Unguarded {
    InProcess(Box<dyn Vault>),
    Isolated(Box<Client<Runner>>),
}

impl Code {
    fn of(vault: Unguarded, kind: &ParsedKind) -> Self {
        let (capabilities, values) = (kind.capabilities.clone(), kind.values.clone());
        match vault {
            Unguarded::InProcess(vault) => {
                Self::InProcess(Box::new(Guarded::new(vault, capabilities, values)))
            }
            Unguarded::Isolated(runner) => {
                Self::Isolated(Box::new(Guarded::new(*runner, capabilities, values)))
            }
        }
    }

    /// Returns the runner's process id, if there is one.
    fn process(&self) -> Option<u32> {
        match self {
            Self::InProcess(_) => None,
            Self::Isolated(vault) => vault.inner().carrier().process_id(),
        }
    }
}

impl Open {
    pub(super) fn vault(&mut self) -> &mut dyn Vault {
        match &mut self.code {
            Code::InProcess(vault) => &mut **vault,
            Code::Isolated(vault) => &mut **vault,
        }
    }

    /// Returns whether the host may keep a login by references.
    pub(super) fn keeps_login(&self) -> bool {
        self.entry.keep_login
            && self.binding.as_ref().is_some_and(|binding| binding.login.may_be_kept)
    }

    /// Returns whether the code runs in a sandbox.
    pub(super) fn is_isolated(&self) -> bool {
        matches!(self.code, Code::Isolated(_))
    }

    /// Returns whether the last call's answer was the runner's own error.
    pub(super) fn runner_failed(&self) -> bool {
        matches!(&self.code, Code::Isolated(vault) if vault.inner().carrier().has_failed())
    }

    /// Returns whether the process changed since the vault was opened: its unlock is gone.
    pub(super) fn has_restarted(&self) -> bool {
        self.code.process() != self.process
    }

    /// Returns the error for a refusal: by the vault itself, the plugin or the runner.
    pub(super) fn error(&mut self, answer: Refusal) -> Error {
        let (vault, plugin) = (self.name.clone(), self.entry.plugin.clone());
        if let Code::Isolated(guarded) = &mut self.code
            && let Some(source) = guarded.inner_mut().carrier_mut().failure()
        {
            return Error::Runner { vault, plugin, source };
        }
        if answer.kind() == keystead_plugin_api::ErrorKind::Internal {
            return Error::Misbehaved { vault, plugin, answer };
        }
        Error::Refused { vault, answer }
    }
}

impl Host {
    /// Opens a vault with the session that is kept for it: from what this call knows of it, else by
    /// its current registration.
    pub(super) fn open(&self, name: &VaultName, call: &mut Call) -> Result<Open> {
        let registered = match call.known.take() {
            Some(Known::Prepared(prepared)) => {
                let started = self.started(prepared.entry());
                return self.open_prepared(&prepared, started, call);
            }
            Some(Known::Registered(registered)) => registered,
            Some(Known::In(registry)) => self.layered_in(&registry, name)?,
            None => self.layered(name)?,
        };
        self.open_as(registered, call)
    }

    /// Opens a vault by this registration of a layer; without a layer, without a session.
    pub(super) fn open_as(&self, registered: LayeredRegistration, call: &mut Call) -> Result<Open> {
        let started = self.started(&registered.entry);
        let name = registered.entry.name.clone();
        self.open_prepared(&self.prepared(&name, registered)?, started, call)
    }

    fn open_prepared(
        &self,
        prepared: &Prepared,
        started: Option<Started>,
        call: &mut Call,
    ) -> Result<Open> {
        let Prepared { registered, trusted, .. } = prepared;
        let (layer, entry, kind) = (registered.layer, prepared.entry(), prepared.kind());
        let name = &entry.name;
        let further = call.further.take();
        if let Some(further) = &further
            && further.template.plugin != *trusted.sha256()
        {
            let (id, path) = (trusted.id().clone(), trusted.path().to_owned());
            let (pinned, found) = (further.template.plugin, *trusted.sha256());
            return Err(plugin::trust::Error::HashMismatch { id, path, pinned, found }.into());
        }

        let asked = grant::expand(trusted.manifest(), kind, entry, self.home().as_deref())?;
        let programs = Programs::among(&asked);
        let boundaries = (!programs.is_empty()).then(|| Arc::new(self.boundaries()));
        // Paths that the plugin may write to count even if the vault is not registered.
        let files = Files::among(&asked, || {
            self.boundaries().with_writable(name, writable_in(&entry.grants).collect())
        });
        let ready = self.ready(prepared, asked, started, call)?;
        let what = format!("vault `{name}`");
        let parameters = match &further {
            // A reference's value may change, need a prompt, or be readable only once.
            Some(further) => further.template.parameters.duplicate(),
            None => self.parameters(&entry.parameters, &kind.parameters, &what)?,
        };
        let unlocks = kind.capabilities.contains(&Capability::Unlock);
        let layer_bound = layer.filter(|_| unlocks || entry.keep_login);
        let beside = kind.parameters.iter().filter(|parameter| parameter.beside_login);
        let beside: Vec<String> = beside.map(|parameter| parameter.name.clone()).collect();
        let (login, answers) = match (&further, layer_bound) {
            (_, None) => (None, None),
            (Some(further), _) => (further.template.login, None),
            (None, Some(_)) => {
                let (login, answers) = self.login(entry, &beside, &parameters);
                (Some(login), answers)
            }
        };
        let most = MAX_HANDLES.min(self.options().max_handles);
        let template = match &further {
            Some(further) => Some(Arc::clone(&further.template)),
            None if most > 1 && kind.capabilities.contains(&Capability::Concurrent) => {
                let (registered, parameters) = (registered.clone(), parameters.duplicate());
                let plugin = *trusted.sha256();
                Some(Arc::new(Template { registered, plugin, parameters, login, most }))
            }
            None => None,
        };
        let mut request = OpenRequest::new(name.clone(), &kind.name, parameters, self.deadline());
        request.host = Some(this_host());
        let offered = Arc::new(Offered::default());
        let services = VaultServices {
            vault: name.clone(),
            offered: Arc::clone(&offered),
            programs,
            files,
            boundaries,
            home: self.home(),
            log: Arc::clone(&self.0.options.log),
        };
        let binding = layer_bound.zip(login).map(|(layer, login)| {
            let (plugin, kind) = (*trusted.sha256(), kind.name.clone());
            Binding { layer, plugin, kind, beside, login }
        });
        let is_further = further.is_some();
        let (mut by_caller, mut session) = (false, 0);
        let kept = match (further, &binding) {
            (Some(Further { session: Some(of_handles), kept, by_caller: by, number, .. }), _) => {
                request.session = Some(of_handles);
                (by_caller, session) = (by, number);
                kept.map(|serial| (None, serial))
            }
            (_, Some(binding)) => {
                self.kept_or_turn(entry, binding, &mut call.session).map(|(key, kept)| {
                    request.session = Some(kept.session);
                    (Some(key), kept.serial)
                })
            }
            (_, None) => None,
        };
        let placed = match ready {
            Some(ready) => self.isolated(entry, trusted, ready, request, services),
            None => self.in_process(entry, trusted, &request, services),
        };
        let placed = placed.map(|vault| Code::of(vault, kind));
        match (placed, kept) {
            (Err(error), Some((Some(key), serial))) if refuses_session(&error) => {
                self.0.options.sessions.refused(&key, serial);
                if is_further {
                    return Err(error);
                }
                call.session.without = true;
                self.open_prepared(prepared, self.started(entry), call)
            }
            (placed, kept) => {
                let kept = kept.map(|(_, serial)| serial);
                let (name, code) = (name.clone(), placed?);
                Ok(Open {
                    name,
                    entry: Arc::clone(&registered.entry),
                    binding,
                    kept,
                    by_caller,
                    answers,
                    offered,
                    template,
                    session,
                    // A vault that is never locked need not answer first.
                    answered: !unlocks,
                    process: code.process(),
                    code,
                })
            }
        }
    }

    /// Checks that the plugin's requests are granted, and opens them for an isolated plugin.
    /// Returns `None` for an in-process plugin.
    fn ready(
        &self,
        prepared: &Prepared,
        mut asked: Vec<Permission>,
        started: Option<Started>,
        call: &Call,
    ) -> Result<Option<Ready>> {
        let mut entry = Cow::Borrowed(prepared.entry());
        if prepared.placement() == Placement::InProcess {
            // As a rule all requests are granted verbatim, so that no path has to be resolved.
            if asked.iter().all(|one| entry.grants.contains(&one.text())) {
                return Ok(None);
            }
            let missing = self.boundaries().beyond(&asked, &entry.grants);
            let missing = missing.map_err(|error| grant::not_granted(&entry, error))?;
            if missing.is_empty() {
                return Ok(None);
            }
            let (vault, plugin) = (entry.name.clone(), entry.plugin.clone());
            return Err(Error::NotGranted { vault, plugin, missing });
        }
        if !call.opened.permissions.is_empty() {
            // By typing them, the user grants these permissions for this one call.
            entry.to_mut().grants.extend(call.opened.permissions.iter().map(Permission::text));
            self.keep_off_programs(&entry, &call.opened.permissions)?;
            asked.extend(call.opened.permissions.iter().cloned());
        }
        let granted = self.granted(&prepared.trusted, &entry, asked)?;
        if granted.words(call.opened.permissions.iter()) != call.opened.words {
            // Since the user saw the path, a link was created or changed.
            let path = path_among(&call.opened.permissions);
            let changed = Ungranted::Path(crate::fs::Error::Changed { path });
            return Err(grant::not_granted(&entry, changed));
        }
        Ok(Some(Ready::new(started, granted, &prepared.trusted)))
    }

    /// Checks that no path opened for one call contains a program that the host runs for any plugin
    /// or reference. This call could write it, and a later call run it.
    fn keep_off_programs(&self, entry: &Registration, more: &[Permission]) -> Result<()> {
        let more: Vec<String> = more.iter().map(Permission::text).collect();
        let writable: Vec<PathBuf> = writable_in(&more).collect();
        if writable.is_empty() {
            return Ok(());
        }
        let boundaries = self.boundaries().with_writable(&entry.name, writable);
        let (vaults, _) = self.vaults()?;
        let entries = vaults.into_iter().filter_map(|vault| vault.entry.ok());
        for program in entries.flat_map(|entry| programs_of(&entry)) {
            // The host reports other faults of a program when it runs the program.
            if let Err(error @ (Ungranted::Writable { .. } | Ungranted::Link { .. })) =
                boundaries.keep_plugins_off_program(&program)
            {
                return Err(grant::not_granted(entry, error));
            }
        }
        Ok(())
    }

    /// Starts the runner of a vault that will need one. The runner is this program and knows no
    /// plugin yet: it starts up while the host finds the plugin and makes its image. If it cannot
    /// start, the host tries again later.
    fn started(&self, entry: &Registration) -> Option<Started> {
        let isolated = match entry.placement {
            Some(placement) => placement == Placement::Isolated,
            None => !AT_HOME.contains(&entry.plugin.as_str()),
        };
        isolated.then(|| Started::start(&self.launch(entry)).ok()).flatten()
    }

    fn launch(&self, entry: &Registration) -> Launch {
        Launch::new(&self.0.options.runner).with_granted(&entry.grants)
    }

    fn isolated(
        &self,
        entry: &Registration,
        trusted: &Trusted,
        ready: Ready,
        request: OpenRequest,
        services: VaultServices,
    ) -> Result<Unguarded> {
        let (plugins, sha256) = (self.plugins().clone(), *trusted.sha256());
        let image = ready.image.map_or_else(|| copied(&entry.plugin, trusted), Ok)?;
        let setup = Setup {
            launch: self.launch(entry),
            image,
            known: trusted.fit(),
            granted: ready.granted,
            services: Arc::new(services),
            on_misbehaviour: Arc::new(move |_| {
                // If the crash cannot be counted, the host reports the call's own error.
                let _ = plugins.record_crash(&sha256);
            }),
        };
        match Runner::open_in(ready.greeted, setup, request) {
            Ok(runner) => {
                if trusted.fit().is_none() {
                    // A cache, as in-process.
                    verdict::record_layout(trusted, runner.carrier().fit());
                }
                Ok(Unguarded::Isolated(Box::new(runner)))
            }
            Err(CallError::Plugin(answer)) => {
                Err(Error::OpenRefused { plugin: entry.plugin.clone(), answer })
            }
            Err(CallError::Runner(source)) => Err(Error::Runner {
                vault: entry.name.clone(),
                plugin: entry.plugin.clone(),
                source,
            }),
        }
    }

    fn in_process(
        &self,
        entry: &Registration,
        trusted: &Trusted,
        request: &OpenRequest,
        services: VaultServices,
    ) -> Result<Unguarded> {
        if trusted.in_process() == InProcess::Never {
            return Err(Error::InProcessForbidden { plugin: entry.plugin.clone() });
        }
        let loaded = loader::load(trusted)?;
        if trusted.fit().is_none() {
            // A cache: if it cannot be written, the host repeats the check next time.
            verdict::record_layout(trusted, loaded.fit());
        }
        let open = || loaded.open(request, Context::new(Box::new(services.clone())));
        let vault = retry::again(request.deadline, open)
            .map_err(|answer| Error::OpenRefused { plugin: entry.plugin.clone(), answer })?;
        Ok(Unguarded::InProcess(vault))
    }
}

/// Returns this program's name and version, as plugins get them.
pub(super) fn this_host() -> HostInfo {
    HostInfo::new("keystead", env!("CARGO_PKG_VERSION"))
}

/// Returns the programs that the host runs for a registration: for its plugin and for references.
fn programs_of(entry: &Registration) -> Vec<String> {
    let granted = entry.grants.iter().filter_map(|text| match Permission::parse(text) {
        Ok(Permission::Exec { program, .. }) => Some(program),
        Ok(_) => None,
        // A path from a parameter may contain characters that no manifest has.
        Err(_) => text.strip_prefix("exec:").map(str::to_owned),
    });
    let settings = entry.parameters.values().filter_map(|setting| match setting {
        Setting::Reference(reference) => Some(reference),
        _ => None,
    });
    let commands = settings.chain(entry.unlock.values()).filter_map(|reference| match reference {
        Reference::Command(command) => command.argv().first().cloned(),
        _ => None,
    });
    granted.chain(commands).collect()
}

/// Returns a path that is opened for one call, for an error.
fn path_among(more: &[Permission]) -> PathBuf {
    let path = more.iter().find_map(|permission| match permission {
        Permission::Files { template, .. } => Some(PathBuf::from(template)),
        _ => None,
    });
    path.unwrap_or_default()
}

/// A plugin's grants, and the runner that will sandbox itself; the image, if it exists already.
struct Ready {
    granted: Granted,
    greeted: Option<Greeted>,
    image: Option<Image>,
}

impl Ready {
    fn new(started: Option<Started>, granted: Granted, trusted: &Trusted) -> Self {
        let image = Image::of_roots(trusted);
        // If the greeting fails, the host starts another runner when it is needed.
        let greeted = started.and_then(|started| started.greet(&granted, image.as_ref()).ok());
        Self { granted, greeted, image }
    }
}

/// Returns a copy of the plugin's bytes.
pub(super) fn copied(plugin: &str, trusted: &Trusted) -> Result<Image> {
    Image::copy_of(trusted).map_err(|error| match error {
        CopyError::From(error) => error.into(),
        CopyError::To(source) => Error::NoImage { plugin: plugin.to_owned(), source },
    })
}

/// Returns whether an `open` may have failed because of its session. A vault should then open
/// locked, but a vault that refuses a session must still open without it.
fn refuses_session(error: &Error) -> bool {
    use keystead_plugin_api::ErrorKind::{Invalid, Locked, PermissionDenied};
    matches!(error, Error::OpenRefused { answer, .. }
        if matches!(answer.kind(), Invalid | Locked | PermissionDenied))
}

//! The conformance suite for a plugin file: in a runner before it is trusted, or as it is
//! installed, in either placement.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use keystead_plugin_api::abi::{Guarded, Holds};
use keystead_plugin_api::testing::{self, Declared, Outcome, Places, Stop, Subject};
use keystead_plugin_api::{
    Answer, Context, Deadline, Error as Refusal, FileRead, FileReplaced, Level, OpenRequest,
    ParameterKind, ReadFileRequest, ReplaceFileRequest, Result as Reply, Services, Session, Vault,
    VaultName,
};

use super::{Host, grant, lock, open, prepare};
use crate::error::{Error, Result};
use crate::plugin::grant::{Granted, Proof, writable_in};
use crate::plugin::inspect::{ParsedKind, ParsedManifest};
use crate::plugin::loader::{self, Loaded};
use crate::plugin::pins::{InProcess, PluginId};
use crate::plugin::replace::Files;
use crate::plugin::runner::{CallError, Image, Launch, Runner, Setup};
use crate::plugin::trust::Unpinned;
use crate::reference::Reference;
use crate::registry::schema::{self, Base};
use crate::registry::{Placement, Registration};

/// Time limit of one call of the suite.
const CALL: Duration = Duration::from_secs(60);

/// Options for checking a vault kind.
#[derive(Debug, Clone)]
pub struct Check {
    /// The vault kind; `None` for the plugin's first.
    pub kind: Option<String>,
    /// Parameters as typed. `{vault}` in a value stands for the vault's name, so that two vaults
    /// have separate storage.
    pub parameters: BTreeMap<String, String>,
    /// Correct answers to the prompts of a vault that is locked when it is opened.
    pub unlock: BTreeMap<String, Reference>,
    /// Absolute path of a directory for this test alone. The plugin may write there; relative paths
    /// and defaults among the user's data start there.
    pub dir: PathBuf,
    /// Absolute path that relative paths in references start from.
    pub current: PathBuf,
    /// Further grants of an isolated plugin, as manifests write them.
    pub grants: Vec<String>,
    /// How many secrets the suite writes for a listing of many pages; `None` for its own number.
    pub many: Option<usize>,
    /// Time limit of the suite, which skips what does not fit. `None`: no limit.
    pub most: Option<Duration>,
    /// Stops the check from another thread.
    pub stop: Stop,
}

impl Check {
    /// Returns a check of the plugin's first vault kind without parameters. The plugin may write to
    /// this directory and do nothing else.
    pub fn new(dir: PathBuf) -> Self {
        let (parameters, unlock) = (BTreeMap::new(), BTreeMap::new());
        let current = dir.clone();
        Self {
            kind: None,
            parameters,
            unlock,
            dir,
            current,
            grants: Vec::new(),
            many: None,
            most: None,
            stop: Stop::new(),
        }
    }

    /// Returns all grants of an isolated plugin, as manifests write them.
    pub fn granted(&self) -> Vec<String> {
        let own = format!("files:{}/:rw", self.dir.display());
        std::iter::once(own).chain(self.grants.iter().cloned()).collect()
    }
}

impl Host {
    /// Runs the suite on a file that need not be installed, in a runner.
    ///
    /// # Errors
    /// The reason why the vault cannot be opened at all; a broken obligation is an outcome.
    pub(crate) fn check_file(
        &self,
        plugin: &Unpinned,
        check: &Check,
        report: &mut dyn FnMut(&Outcome),
    ) -> Result<()> {
        let manifest = &plugin.candidate().inspected().manifest;
        let image = Image::of_unpinned(plugin)
            .map_err(|source| Error::NoImage { plugin: manifest.id.clone(), source })?;
        self.check(manifest, Runs::Isolated(image, plugin.into()), check, report)
    }

    /// Runs the suite on an installed plugin, in this placement.
    ///
    /// # Errors
    /// As for [`Host::check_file`], or that the plugin is not allowed to run there.
    pub(crate) fn check_installed(
        &self,
        id: &PluginId,
        placement: Placement,
        check: &Check,
        report: &mut dyn FnMut(&Outcome),
    ) -> Result<()> {
        let trusted = self.plugins().find(id)?;
        let runs = match placement {
            Placement::Isolated => {
                Runs::Isolated(open::copied(id.as_str(), &trusted)?, (&trusted).into())
            }
            Placement::InProcess if trusted.in_process() == InProcess::Never => {
                return Err(Error::InProcessForbidden { plugin: id.to_string() });
            }
            Placement::InProcess => Runs::InProcess(loader::load(&trusted)?),
        };
        self.check(trusted.manifest(), runs, check, report)
    }

    fn check(
        &self,
        manifest: &ParsedManifest,
        runs: Runs,
        check: &Check,
        report: &mut dyn FnMut(&Outcome),
    ) -> Result<()> {
        let kind = prepare::kind_of(manifest, check.kind.as_deref())?;
        let mut declared =
            Declared::new(kind.capabilities.clone(), kind.values.clone(), kind.names);
        for (prompt, reference) in &check.unlock {
            let value = self.follow(prompt, reference, &check.current)?;
            declared.answers.push(Answer::new(prompt.clone(), value));
        }
        declared.many = check.many;
        declared.most = check.most;
        declared.stop = check.stop.clone();
        let (fault, heard) = (Mutex::default(), Arc::default());
        let subject = Opener { host: self, manifest, kind, runs, check, fault, heard };
        let result = testing::run(&subject, &declared, report);
        result.map_err(|answer| match lock(&subject.fault).take() {
            Some(error) => error,
            None => Error::OpenRefused { plugin: manifest.id.clone(), answer },
        })
    }
}

/// Where the plugin's code runs.
enum Runs {
    Isolated(Image, Proof),
    InProcess(Loaded),
}

/// Opens vaults for the suite.
struct Opener<'a> {
    host: &'a Host,
    manifest: &'a ParsedManifest,
    kind: &'a ParsedKind,
    runs: Runs,
    check: &'a Check,
    /// The host's own error, if the last attempt to open a vault failed with one.
    fault: Mutex<Option<Error>>,
    heard: Arc<Heard>,
}

impl Opener<'_> {
    /// Returns the vault with the guard that it has in use.
    fn guarded<V: Holds + 'static>(&self, vault: V) -> Box<dyn Vault> {
        let ParsedKind { capabilities, values, .. } = self.kind;
        Box::new(Guarded::new(vault, capabilities.clone(), values.clone()))
    }

    fn typed(&self, vault: &str) -> BTreeMap<String, String> {
        let is_secret = |name: &str| {
            self.kind.parameters.iter().any(|parameter| parameter.secret && parameter.name == name)
        };
        let anchored = |text: &str| {
            let reference = Reference::parse(text).ok()?;
            reference.anchored(&self.check.current, self.host.home().as_deref())
        };
        let value = |name: &str, text: &str| match is_secret(name).then(|| anchored(text)).flatten()
        {
            Some(reference) => reference.to_string(),
            None => text.replace("{vault}", vault),
        };
        let typed = self.check.parameters.iter();
        typed.map(|(name, text)| (name.clone(), value(name, text))).collect()
    }

    fn try_open(&self, vault: &str, session: Option<Session>) -> Result<Box<dyn Vault>, NotOpen> {
        let name = VaultName::parse(vault).map_err(NotOpen::Plugin)?;
        let home = self.host.home();
        let dir = &self.check.dir;
        let data = Some(dir.as_path());
        let base = Base { dir, home: home.as_deref(), data, vault: Some(&name) };
        let what = format!("kind `{}`", self.kind.name);
        let mut entry = Registration::new(name.clone(), &self.manifest.id);
        entry.parameters = schema::validate(&self.kind.parameters, &self.typed(vault), base)
            .map_err(|faults| Error::Parameters { what: what.clone(), faults })?;
        entry.grants = self.check.granted();
        let asked = grant::expand(self.manifest, self.kind, &entry, home.as_deref())?;
        let files = Files::among(&asked, || {
            let writable = writable_in(&entry.grants).collect();
            self.host.boundaries().with_writable(&name, writable)
        });
        let services = Shared { heard: Arc::clone(&self.heard), files };
        let parameters = self.host.parameters(&entry.parameters, &self.kind.parameters, &what)?;
        let deadline = Deadline::after(CALL);
        let mut request = OpenRequest::new(name.clone(), &self.kind.name, parameters, deadline);
        request.host = Some(super::open::this_host());
        request.session = session;
        match &self.runs {
            Runs::InProcess(loaded) => loaded
                .open(&request, Context::new(Box::new(services)))
                .map(|vault| self.guarded(vault))
                .map_err(NotOpen::Plugin),
            Runs::Isolated(image, proof) => {
                let granted = Granted::check(*proof, asked, &entry.grants, &self.host.boundaries())
                    .map_err(|error| grant::not_granted(&entry, error))?;
                let runner = &self.host.0.options.runner;
                let setup = Setup {
                    launch: Launch::new(runner)
                        .with_granted(&self.check.grants)
                        .with_grace(testing::MARGIN + Duration::from_secs(1)),
                    image: image.clone(),
                    known: None,
                    granted,
                    services: Arc::new(services),
                    on_misbehaviour: Arc::new(|_| {}),
                };
                match Runner::open(setup, request) {
                    Ok(runner) => Ok(self.guarded(runner)),
                    Err(CallError::Plugin(answer)) => Err(NotOpen::Plugin(answer)),
                    Err(CallError::Runner(source)) => {
                        let plugin = self.manifest.id.clone();
                        Err(NotOpen::Host(Error::Runner { vault: name, plugin, source }))
                    }
                }
            }
        }
    }
}

/// Reason why no vault was opened: the plugin's answer is for the suite, the rest for its caller.
enum NotOpen {
    Plugin(Refusal),
    Host(Error),
}

impl From<Error> for NotOpen {
    fn from(error: Error) -> Self {
        Self::Host(error)
    }
}

impl Subject for Opener<'_> {
    fn open(&self, vault: &str, session: Option<Session>) -> Reply<Box<dyn Vault>> {
        match self.try_open(vault, session) {
            Ok(vault) => {
                *lock(&self.fault) = None;
                Ok(vault)
            }
            Err(NotOpen::Plugin(answer)) => Err(answer),
            Err(NotOpen::Host(error)) => {
                let answer = Refusal::unavailable(error.to_string());
                *lock(&self.fault) = Some(error);
                Err(answer)
            }
        }
    }

    fn places(&self) -> Places {
        if self.check.parameters.values().any(|text| text.contains("{vault}")) {
            Places::Separate
        } else {
            Places::PerhapsShared
        }
    }

    fn paths(&self, vault: &str) -> Vec<PathBuf> {
        let typed = self.typed(vault);
        let schema = self.kind.parameters.iter();
        let paths = schema.filter(|parameter| parameter.kind == ParameterKind::Path);
        let paths = paths.filter_map(|parameter| typed.get(&parameter.name));
        paths.map(|path| self.check.dir.join(path)).collect()
    }

    fn kept_session(&self) -> Option<Session> {
        lock(&self.heard.session).take()
    }

    fn logged(&self) -> Vec<String> {
        std::mem::take(&mut *lock(&self.heard.log))
    }
}

/// Messages and sessions that the vaults sent to their host.
#[derive(Default)]
struct Heard {
    log: Mutex<Vec<String>>,
    session: Mutex<Option<Session>>,
}

/// The host's services for one vault.
struct Shared {
    heard: Arc<Heard>,
    files: Files,
}

impl Services for Shared {
    fn log(&self, _: Level, message: &str) {
        lock(&self.heard.log).push(message.to_owned());
    }

    fn keep_session(&self, session: Session) {
        *lock(&self.heard.session) = Some(session);
    }

    fn forget_session(&self) {
        *lock(&self.heard.session) = None;
    }

    fn read_file(&self, request: ReadFileRequest) -> Reply<FileRead> {
        self.files.read(&request)
    }

    fn replace_file(&self, request: ReplaceFileRequest) -> Reply<FileReplaced> {
        self.files.replace(&request)
    }
}

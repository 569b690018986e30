//! A host with its own directories, log and runners.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use keystead::Placement;
use keystead::api::{Level, SecretName, VaultName};
use keystead::paths::Paths;
use keystead::trust::{self, OnIdConflict, TrustDecision};
use keystead::trust::{InProcess, PluginId};
use keystead::{FoundSecret, Host, Log, NewRegistration, NonInteractive, Options, SearchScope};

/// A host. The path of its program identifies its runners.
pub(crate) struct Scene {
    dir: tempfile::TempDir,
    pub(crate) host: Host,
    pub(crate) log: Arc<Lines>,
}

/// Log lines of plugins.
#[derive(Default)]
pub(crate) struct Lines(Mutex<Vec<String>>);

impl Lines {
    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    /// Removes all lines, for tests that measure memory.
    pub(crate) fn forget(&self) {
        *self.0.lock().unwrap() = Vec::new();
    }
}

impl Log for Lines {
    fn line(&self, vault: &VaultName, level: Level, message: &str) {
        self.0.lock().unwrap().push(format!("{vault} {level:?}: {message}"));
    }
}

impl Scene {
    /// Returns a host with this timeout for calls.
    pub(crate) fn with_timeout(timeout: Duration) -> Self {
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let root = dir.path().to_path_buf();
        let (host, log) = Self::host_in(&root, timeout);
        Self { dir, host, log }
    }

    pub(crate) fn new() -> Self {
        Self::with_timeout(Duration::from_secs(20))
    }

    /// Returns a host in a directory that another process may share.
    pub(crate) fn host_in(root: &Path, timeout: Duration) -> (Host, Arc<Lines>) {
        let runner = root.join("keystead");
        if !runner.exists() {
            std::fs::hard_link(env!("CARGO_BIN_EXE_keystead"), &runner).unwrap();
        }
        let mut options = Options::new(
            Paths {
                system_config: root.join("etc"),
                user_config: Some(root.join("config")),
                user_data: Some(root.join("data")),
                packaged: Vec::new(),
            },
            runner,
        );
        options.timeout = timeout;
        let log = Arc::new(Lines::default());
        options.log = Arc::clone(&log) as Arc<dyn Log>;
        (Host::new(options), log)
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Returns a directory outside of the host's own ones.
    pub(crate) fn apart(&self) -> PathBuf {
        let dir = self.path().join("apart");
        std::fs::create_dir_all(&dir).unwrap();
        dir
    }

    /// Installs a plugin file and returns its id.
    pub(crate) fn install(&self, file: &Path) -> String {
        let candidate = self.host.plugins().examine(file).unwrap();
        let id = candidate.id().to_string();
        let decision =
            TrustDecision { place: trust::InstallTarget::User, in_process: InProcess::Danger };
        self.host.plugins().install(candidate, &decision, OnIdConflict::Refuse).unwrap();
        id
    }

    /// Installs a plugin file and returns the proof that the host may load it.
    pub(crate) fn trusted(&self, file: &Path) -> trust::Trusted {
        let id = PluginId::parse(&self.install(file)).unwrap();
        self.host.plugins().find(&id).unwrap()
    }

    /// Installs a plugin file and registers a vault of it.
    pub(crate) fn vault(&self, name: &str, file: &Path, placement: Placement) -> VaultName {
        let id = self.install(file);
        self.register(name, &id, placement)
    }

    pub(crate) fn register(&self, name: &str, id: &str, placement: Placement) -> VaultName {
        self.register_with(name, id, placement, &[])
    }

    /// Registers a vault with parameters.
    pub(crate) fn register_with(
        &self,
        name: &str,
        id: &str,
        placement: Placement,
        parameters: &[(&str, String)],
    ) -> VaultName {
        let name = VaultName::parse(name).unwrap();
        let mut new = NewRegistration::new(name.clone(), id, PathBuf::from("/"));
        let parameters = parameters.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        new.parameters.extend(parameters);
        new.placement = Some(placement);
        let plan = self.host.plan_registration(new).unwrap();
        self.host.register(plan).unwrap();
        name
    }

    pub(crate) fn get(&self, vault: &VaultName, name: &str) -> keystead::Result<FoundSecret> {
        let name = SecretName::parse(name).unwrap();
        self.host.get(&name, &SearchScope::Vault(vault.clone()), &mut NonInteractive)
    }

    pub(crate) fn list(&self, vault: &VaultName, pattern: Option<&str>) -> keystead::Result<usize> {
        let mut listing = self.host.list(pattern, Some(vault), &mut NonInteractive)?;
        match listing.failed.pop() {
            Some((_, error)) => Err(error),
            None => Ok(listing.entries.len()),
        }
    }

    /// Returns the number of this host's runners.
    pub(crate) fn runners(&self) -> usize {
        let own = self.dir.path().join("keystead");
        let processes = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
            let line = std::fs::read(entry.ok()?.path().join("cmdline")).ok()?;
            let program = line.split(|byte| *byte == 0).next()?.to_vec();
            (program == own.as_os_str().as_encoded_bytes()).then_some(())
        });
        processes.count()
    }

    /// Ends the host and checks that no runner is left.
    pub(crate) fn end(self) {
        self.host.reload();
        let until = Instant::now() + Duration::from_secs(5);
        while self.runners() > 0 {
            assert!(Instant::now() < until, "a runner outlives its host");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Returns an error as text: its code and every cause.
pub(crate) fn story(error: &keystead::Error) -> String {
    let mut story = error.code().to_owned();
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(one) = cause {
        story += &format!(": {one}");
        cause = one.source();
    }
    story
}

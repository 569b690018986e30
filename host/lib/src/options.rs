//! What a caller gives the host: directories, the program for runners, and the few things of
//! its surroundings that the library never looks up itself.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use keystead_plugin_api::{Level, SecretBytes, SecretText, Session, VaultName};

use crate::agent::{self, CachedSession, Patience, PromptLock, SessionCache, SessionKey};
use crate::ids;
use crate::paths::Paths;
use crate::plugin::trust::Privilege;

/// How long a call to a vault may take where the caller does not say: a server across the
/// world answers in one second, a person gives up after ten.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long unlocking may take, all of its steps together: key derivation is slow on purpose.
pub const UNLOCK_TIMEOUT: Duration = Duration::from_secs(30);

/// The most handles of one vault: the threads of a small program at a server that takes its time.
/// Each isolated one is a process with 3 MiB of its own and a connection to the server.
pub const MAX_HANDLES: usize = 8;

/// What a [`Host`](crate::Host) works with.
#[derive(Clone)]
pub struct Options {
    /// Where things are.
    pub paths: Paths,
    /// The program that serves isolated plugins: the `keystead` binary, or a program that
    /// calls [`runner::dispatch`](crate::runner::dispatch) first.
    pub runner: PathBuf,
    /// Whether the process has rights that its user has not.
    pub privilege: Privilege,
    /// The default vault, instead of the registered one.
    pub default_vault: Option<VaultName>,
    /// How long one call to a vault may take.
    pub timeout: Duration,
    /// Where references find what they name.
    pub sources: Arc<dyn Sources>,
    /// Where sessions are that reopen unlocked vaults: an
    /// [`agent::Client`](crate::agent::Client), or nowhere.
    pub sessions: Arc<dyn SessionCache>,
    /// Where plugins' log lines go.
    pub log: Arc<dyn Log>,
    /// What no plugin may write to, beside what is in `paths`: where the same user's other commands find
    /// their registrations and pins, and the program itself.
    pub off_limits: Vec<PathBuf>,
    /// How many handles of one concurrent vault may be open at once, 1 to [`MAX_HANDLES`]: as many
    /// requests are in flight then. With 1 no copy of what the vault is opened with is kept.
    pub max_handles: usize,
}

impl Options {
    /// Returns options for an ordinary process: nothing logged, no sessions, and references
    /// to the environment and to descriptors find nothing.
    pub fn new(paths: Paths, runner: PathBuf) -> Self {
        Self {
            paths,
            runner,
            privilege: Privilege::Ordinary,
            default_vault: None,
            timeout: DEFAULT_TIMEOUT,
            sources: Arc::new(Nothing),
            sessions: Arc::new(Nothing),
            log: Arc::new(Nothing),
            off_limits: Vec::new(),
            max_handles: MAX_HANDLES,
        }
    }
}

impl Options {
    /// Leaves out the user's directories where the kernel says that this process has more rights than
    /// its user has.
    pub(crate) fn for_this_process(mut self) -> Self {
        if ids::privilege() != Privilege::Ordinary {
            self.privilege = Privilege::SetId;
        }
        if self.privilege != Privilege::Ordinary {
            self.paths = self.paths.of_the_system();
        }
        self
    }
}

/// What references may name beyond files, commands and vaults.
pub trait Sources: Send + Sync {
    /// Returns an environment variable.
    fn variable(&self, name: &str) -> Option<SecretText>;

    /// Reads an open file descriptor to its end.
    ///
    /// # Errors
    /// When it is not open or cannot be read.
    fn descriptor(&self, number: u32) -> io::Result<SecretBytes>;

    /// Returns the user's home, for paths that start with `~/`.
    fn home(&self) -> Option<PathBuf>;
}

/// Takes what plugins log. The message has no control characters and at most 4,096 bytes.
///
/// # Examples
/// ```
/// use keystead::Log;
/// use keystead::api::{Level, VaultName};
///
/// struct Stderr;
///
/// impl Log for Stderr {
///     fn line(&self, vault: &VaultName, _: Level, message: &str) {
///         eprintln!("{vault}: {message}");
///     }
/// }
/// ```
pub trait Log: Send + Sync {
    /// Takes one line.
    fn line(&self, vault: &VaultName, level: Level, message: &str);
}

struct Nothing;

impl Sources for Nothing {
    fn variable(&self, _: &str) -> Option<SecretText> {
        None
    }

    fn descriptor(&self, _: u32) -> io::Result<SecretBytes> {
        Err(io::ErrorKind::NotFound.into())
    }

    fn home(&self) -> Option<PathBuf> {
        None
    }
}

impl Log for Nothing {
    fn line(&self, _: &VaultName, _: Level, _: &str) {}
}

impl SessionCache for Nothing {
    fn any(&self) -> bool {
        false
    }

    fn get(
        &self,
        _: &SessionKey,
        _: &VaultName,
        _: Patience,
    ) -> Result<Option<CachedSession>, agent::Error> {
        Ok(None)
    }

    fn renew(&self, _: &SessionKey, _: u64, _: &Session) -> Result<Option<u64>, agent::Error> {
        Ok(None)
    }

    fn keep_login(
        &self,
        _: &SessionKey,
        _: &VaultName,
        _: &Session,
    ) -> Result<Option<u64>, agent::Error> {
        Ok(None)
    }

    fn refused(&self, _: &SessionKey, _: u64) {}

    fn asking(&self, _: &SessionKey) -> Option<PromptLock> {
        Some(PromptLock::default())
    }
}

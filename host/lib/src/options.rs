//! Options that a caller gives the host: directories, the program for runners, and the parts
//! of the environment that the library never reads itself.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use keystead_plugin_api::{Level, SecretBytes, SecretText, Session, VaultName};

use crate::agent::{self, CachedSession, Patience, PromptLock, SessionCache, SessionKey};
use crate::ids;
use crate::paths::Paths;
use crate::plugin::trust::Privilege;

/// Default timeout of a call to a vault: a server on another continent replies within 1
/// second, and a user stops waiting after 10.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// Timeout of an unlock, for all of its steps together: key derivation is slow on purpose.
pub const UNLOCK_TIMEOUT: Duration = Duration::from_secs(30);

/// The maximum number of handles of one vault: the threads of a small program with a slow server.
/// Each isolated handle is a process with 3 MiB of its own and a connection to the server.
pub const MAX_HANDLES: usize = 8;

/// Options of a [`Host`](crate::Host).
#[derive(Clone)]
pub struct Options {
    /// Directories that the host works in.
    pub paths: Paths,
    /// The program that serves isolated plugins: the `keystead` binary, or a program that
    /// calls [`runner::dispatch`](crate::runner::dispatch) first.
    pub runner: PathBuf,
    /// Whether the process has rights that its user does not have.
    pub privilege: Privilege,
    /// The default vault, instead of the registered one.
    pub default_vault: Option<VaultName>,
    /// Timeout of one call to a vault.
    pub timeout: Duration,
    /// Source of the values that references name.
    pub sources: Arc<dyn Sources>,
    /// Cache of the sessions that reopen unlocked vaults, such as an
    /// [`agent::Client`](crate::agent::Client).
    pub sessions: Arc<dyn SessionCache>,
    /// Receiver of plugins' log lines.
    pub log: Arc<dyn Log>,
    /// Paths that no plugin may write to, in addition to `paths`: the registrations and pins of the
    /// same user's other commands, and the program itself.
    pub off_limits: Vec<PathBuf>,
    /// Maximum number of open handles of one concurrent vault, and so of parallel requests: 1 to
    /// [`MAX_HANDLES`]. With 1, the host keeps no copy of the data that opens the vault.
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
    /// Removes the user's directories if, according to the kernel, this process has more rights
    /// than its user.
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

/// Sources of references other than files, commands and vaults.
pub trait Sources: Send + Sync {
    /// Returns an environment variable.
    fn variable(&self, name: &str) -> Option<SecretText>;

    /// Reads an open file descriptor to its end.
    ///
    /// # Errors
    /// When the descriptor is not open or cannot be read.
    fn descriptor(&self, number: u32) -> io::Result<SecretBytes>;

    /// Returns the user's home, for paths that start with `~/`.
    fn home(&self) -> Option<PathBuf>;
}

/// Receiver of plugins' log lines. A message has no control characters and at most 4,096 bytes.
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
    /// Receives one line.
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

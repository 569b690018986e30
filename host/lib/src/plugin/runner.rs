//! A plugin in a process of its own: whatever it does there becomes an error of one vault.
//!
//! The host's end is a [`Runner`], which carries the calls of a
//! [`Vault`](keystead_plugin_api::Vault). The
//! other end is the keystead binary itself, started behind a hidden argument and picked
//! up by [`dispatch`] before any command line is parsed. For Linux.

mod child;
mod connect;
mod connection;
mod eager;
mod error;
#[doc(hidden)]
pub mod fuzzing;
mod link;
mod ownership;
mod parts;
mod process;
mod proto;
mod socket;
mod supervise;
mod words;

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::Duration;

use super::inspect::{Abi, Permission};
use super::trust::{CopyError, Trusted, Unpinned};
use crate::fs::{Identity, OpenedFile};
use crate::ids;
use crate::platform::memfd;

pub(crate) use child::close_inherited;
pub(crate) use process::timespec;

pub use crate::platform::sandbox::{Cage, Lack, Namespaces, Older, lacking};
pub use connection::{Greeted, Started};
pub use error::{CallError, During, Ended, Error};
pub use supervise::{Runner, Setup};

/// The first argument of a runner. No command has this name.
const ARGUMENT: &str = "__runner";

/// The second argument of a process that only tries whether it gets namespaces.
const TRIAL: &str = "namespaces";

/// The variables that say where the session bus is.
const BUS: [&str; 2] = ["DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR"];

/// How a runner is started.
#[derive(Clone)]
pub struct Launch {
    program: PathBuf,
    arguments: Vec<OsString>,
    /// All of the program's environment.
    environment: Vec<(String, OsString)>,
    /// How much later than its deadline a call may answer.
    grace: Duration,
}

impl fmt::Debug for Launch {
    /// Without the variables' values: a granted one may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&String> = self.environment.iter().map(|(name, _)| name).collect();
        f.debug_struct("Launch")
            .field("program", &self.program)
            .field("arguments", &self.arguments)
            .field("environment", &names)
            .finish()
    }
}

impl Launch {
    /// Starts this keystead binary, given by its absolute path. A running keystead gives
    /// `/proc/self/exe`, which stays what it is when an upgrade replaces the file.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            arguments: vec![ARGUMENT.into()],
            environment: Vec::new(),
            grace: connection::GRACE,
        }
    }

    /// Lets a call answer so much later than its deadline before the runner is ended.
    #[must_use]
    pub fn with_grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Gives it the variables of this process that are granted, where there are such, and with the
    /// session bus those that say where it is.
    #[must_use]
    pub fn with_granted(mut self, grants: &[String]) -> Self {
        if ids::check().is_err() {
            // Whoever started it chose the variables; it will not be started either.
            return self;
        }
        // Most grants are of files, and say so at once.
        let others = |grant: &&String| !grant.starts_with("files:");
        for grant in grants.iter().filter(others) {
            if grant == "network" {
                // Names are resolved over TCP: a socket of UDP would hear from everybody. Go asks
                // the C library then, which obeys.
                self.environment.push(("RES_OPTIONS".to_owned(), "use-vc".into()));
                continue;
            }
            let names = match Permission::parse(grant) {
                Ok(Permission::Env(name)) => vec![name],
                Ok(Permission::Dbus) => BUS.map(str::to_owned).into(),
                _ => Vec::new(),
            };
            for name in names {
                let value = std::env::var_os(&name);
                self.environment.extend(value.map(|value| (name, value)));
            }
        }
        self
    }
}

/// A plugin's bytes, as they were proven: read once and sealed, so that they are what is run,
/// whatever happens to the file; or the file itself, where nobody but root can change it. A clone
/// is the same bytes, for a further vault.
#[derive(Debug, Clone)]
pub struct Image {
    bytes: Bytes,
    sha256: [u8; 32],
    door: Abi,
    file: PathBuf,
}

impl Image {
    /// Returns a copy of a trusted plugin's bytes.
    ///
    /// # Errors
    /// The file is no longer what was proven; no memory or no descriptor is left.
    pub(crate) fn copy_of(trusted: &Trusted) -> Result<Self, CopyError> {
        let memfd = memfd::sealed_memfd_with(|to| trusted.copy_to(to))?;
        let (sha256, door) = (*trusted.sha256().as_bytes(), trusted.abi());
        let file = trusted.path().to_owned();
        Ok(Self { bytes: Bytes::Sealed(Arc::new(memfd)), sha256, door, file })
    }

    /// Returns a trusted plugin's file itself, neither copied nor to be freed; nothing where others than
    /// root could change it.
    pub(crate) fn of_roots(trusted: &Trusted) -> Option<Self> {
        let file = trusted.of_roots()?;
        Some(Self::of_file(file, *trusted.sha256().as_bytes(), trusted.abi()))
    }

    /// Returns the bytes of a plugin that is to be tested.
    ///
    /// # Errors
    /// No memory or no descriptor is left.
    pub fn of_unpinned(plugin: &Unpinned) -> io::Result<Self> {
        let candidate = plugin.candidate();
        let (sha256, door) = (*candidate.sha256().as_bytes(), candidate.inspected().abi);
        Self::seal(candidate.bytes(), sha256, door, candidate.path())
    }

    /// Messages name the file that the bytes were read from.
    fn seal(
        bytes: &[u8],
        sha256: [u8; 32],
        door: Abi,
        file: impl Into<PathBuf>,
    ) -> io::Result<Self> {
        let bytes = Bytes::Sealed(Arc::new(memfd::sealed_memfd(bytes)?));
        Ok(Self { bytes, sha256, door, file: file.into() })
    }

    fn of_file(file: OpenedFile, sha256: [u8; 32], door: Abi) -> Self {
        let identity = file.identity();
        let (opened, file) = file.into_parts();
        Self { bytes: Bytes::Roots(Arc::new(opened), identity), sha256, door, file }
    }

    /// Whether it has the bytes that were proven. What cannot be told counts as no.
    fn is_as_proven(&self) -> bool {
        match &self.bytes {
            Bytes::Sealed(_) => true,
            Bytes::Roots(file, proven) => proven.is_still_roots(file).unwrap_or(false),
        }
    }
}

/// Where an image's bytes are.
#[derive(Debug, Clone)]
enum Bytes {
    /// In memory that nobody can change.
    Sealed(Arc<OwnedFd>),
    /// In a file that only root can change, and the state in which they were proven.
    Roots(Arc<File>, Identity),
}

/// Runs the runner and returns its exit code where these are a runner's arguments.
/// Called first of all in `main`, before anything is opened and any thread is started.
///
/// # Examples
/// ```
/// use std::process::ExitCode;
///
/// fn main() -> ExitCode {
///     if let Some(code) = keystead::runner::dispatch(std::env::args_os()) {
///         return code;
///     }
///     // Here the program begins.
///     ExitCode::SUCCESS
/// }
/// ```
pub fn dispatch(mut arguments: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    if arguments.nth(1)? != ARGUMENT {
        return None;
    }
    if let Err(refusal) = ids::check_service() {
        return Some(ids::refuse(refusal));
    }
    Some(match arguments.next() {
        Some(trial) if trial == TRIAL => child::try_namespaces(),
        _ => child::run(&mut child::load),
    })
}

/// Tries, in a process of its own, whether runners get namespaces here, and returns why not.
///
/// # Errors
/// What the system answers where the program cannot be run.
pub fn no_namespaces(program: &Path) -> io::Result<Option<String>> {
    let mut trial = Command::new(program);
    trial.args([ARGUMENT, TRIAL]).env_clear().current_dir("/").stdin(Stdio::null());
    let ended = trial.stderr(Stdio::null()).output()?;
    if ended.status.success() {
        return Ok(None);
    }
    let why = crate::error::visible(&String::from_utf8_lossy(&ended.stdout));
    Ok(Some(if why.is_empty() { format!("the trial ended with {}", ended.status) } else { why }))
}

#[cfg(test)]
mod tests;

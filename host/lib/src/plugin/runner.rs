//! Runs a plugin in a process of its own: its faults become errors of one vault.
//!
//! The host's end is a [`Runner`], which carries the calls of a
//! [`Vault`](keystead_plugin_api::Vault). The
//! other end is the keystead binary itself, started behind a hidden argument and picked
//! up by [`dispatch`] before any command line is parsed. For Linux.

mod child;
mod connect;
mod connection;
mod error;
#[doc(hidden)]
pub mod fuzzing;
mod link;
mod ownership;
mod parts;
mod process;
mod proto;
mod socket;
mod spin;
mod stderr;
mod supervise;

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

pub use crate::platform::sandbox::{MissingFeature, Namespaces, Older, SandboxLevel, lacking};
pub use connection::{Greeted, Started};
pub use error::{CallError, During, Ended, Error};
pub use supervise::{Runner, Setup};

/// The first argument of a runner. No command has this name.
const ARGUMENT: &str = "__runner";

/// The second argument of a process that only tests whether it gets namespaces.
const TRIAL: &str = "namespaces";

/// The variables with the address of the session bus.
const BUS: [&str; 2] = ["DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR"];

/// Command that starts a runner.
#[derive(Clone)]
pub struct Launch {
    program: PathBuf,
    arguments: Vec<OsString>,
    /// The program's whole environment.
    environment: Vec<(String, OsString)>,
    /// Extra time for a reply after a call's deadline.
    grace: Duration,
}

impl fmt::Debug for Launch {
    /// Omits the variables' values: a granted value may be a secret.
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
    /// Returns the command for this keystead binary, given by its absolute path. A running keystead
    /// gives `/proc/self/exe`, which stays valid when an upgrade replaces the file.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            arguments: vec![ARGUMENT.into()],
            environment: Vec::new(),
            grace: connection::GRACE,
        }
    }

    /// Sets the extra time for a reply after a call's deadline; then the runner is ended.
    #[must_use]
    pub fn with_grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Adds the granted variables that this process has and, with the session bus, the variables
    /// with its address.
    #[must_use]
    pub fn with_granted(mut self, grants: &[String]) -> Self {
        if ids::check().is_err() {
            // The starting user chose the variables; the runner does not start either.
            return self;
        }
        // Most grants are for files, and their prefix shows it.
        let others = |grant: &&String| !grant.starts_with("files:");
        for grant in grants.iter().filter(others) {
            if grant == "network" {
                // Names are resolved over TCP: a UDP socket accepts packets from any sender. Go
                // asks the C library then, which obeys.
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

/// A plugin's verified bytes: read once and sealed, so that later changes of the file have no
/// effect. If only root can change the file, the file itself. A clone is the same bytes, for a
/// further vault.
#[derive(Debug, Clone)]
pub struct Image {
    bytes: Bytes,
    sha256: [u8; 32],
    abi: Abi,
    file: PathBuf,
}

impl Image {
    /// Returns a copy of a trusted plugin's bytes.
    ///
    /// # Errors
    /// The file changed since it was verified; no memory or no descriptor is left.
    pub(crate) fn copy_of(trusted: &Trusted) -> Result<Self, CopyError> {
        let memfd = memfd::sealed_memfd_with(|to| trusted.copy_to(to))?;
        let (sha256, abi) = (*trusted.sha256().as_bytes(), trusted.abi());
        let file = trusted.path().to_owned();
        Ok(Self { bytes: Bytes::Sealed(Arc::new(memfd)), sha256, abi, file })
    }

    /// Returns a trusted plugin's file itself, without a copy to free; `None` if a user other than
    /// root could change it.
    pub(crate) fn of_roots(trusted: &Trusted) -> Option<Self> {
        let file = trusted.of_roots()?;
        Some(Self::of_file(file, *trusted.sha256().as_bytes(), trusted.abi()))
    }

    /// Returns the bytes of a plugin under test.
    ///
    /// # Errors
    /// No memory or no descriptor is left.
    pub fn of_unpinned(plugin: &Unpinned) -> io::Result<Self> {
        let candidate = plugin.candidate();
        let (sha256, abi) = (*candidate.sha256().as_bytes(), candidate.inspected().abi);
        Self::seal(candidate.bytes(), sha256, abi, candidate.path())
    }

    /// Seals the bytes; messages name the file that the bytes were read from.
    fn seal(
        bytes: &[u8],
        sha256: [u8; 32],
        abi: Abi,
        file: impl Into<PathBuf>,
    ) -> io::Result<Self> {
        let bytes = Bytes::Sealed(Arc::new(memfd::sealed_memfd(bytes)?));
        Ok(Self { bytes, sha256, abi, file: file.into() })
    }

    fn of_file(file: OpenedFile, sha256: [u8; 32], abi: Abi) -> Self {
        let identity = file.identity();
        let (opened, file) = file.into_parts();
        Self { bytes: Bytes::Roots(Arc::new(opened), identity), sha256, abi, file }
    }

    /// Returns whether the image has the verified bytes. An unknown state counts as no.
    fn is_as_proven(&self) -> bool {
        match &self.bytes {
            Bytes::Sealed(_) => true,
            Bytes::Roots(file, proven) => proven.is_still_roots(file).unwrap_or(false),
        }
    }
}

/// Location of an image's bytes.
#[derive(Debug, Clone)]
enum Bytes {
    /// In memory that no process can change.
    Sealed(Arc<OwnedFd>),
    /// In a file that only root can change, with its state at verification.
    Roots(Arc<File>, Identity),
}

/// Runs the runner and returns its exit code if these are a runner's arguments. Call it first of
/// all in `main`, before a file is opened or a thread is started.
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

/// Tests in a process of its own whether runners get namespaces here; returns the reason if not.
///
/// # Errors
/// The system's error if the program cannot be run.
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

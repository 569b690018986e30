//! A plugin in a process of its own: whatever it does there becomes an error of one vault.
//!
//! The host's end is a [`Runner`], which is a [`Vault`](keystead_plugin_api::Vault). The
//! other end is the keystead binary itself, started behind a hidden argument and picked
//! up by [`dispatch`] before any command line is parsed. For Linux.

mod call;
mod child;
mod connection;
mod eager;
mod error;
#[doc(hidden)]
pub mod fuzzing;
mod granted;
mod link;
mod process;
mod proto;
mod sandbox;
mod socket;
mod supervise;
mod words;

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use super::inspect::{Abi, Permission};
use crate::fs::{Identity, OpenedFile};

pub(crate) use child::close_inherited;
pub(crate) use process::timespec;

pub use connection::{Greeted, Started};
pub use error::{CallError, During, Ended, Error};
pub use sandbox::{Cage, Lack, Older, lacking};
pub use supervise::{Runner, Setup};

/// The first argument of a runner. No command has this name.
const ARGUMENT: &str = "__runner";

/// The variables that say where the session bus is.
const BUS: [&str; 2] = ["DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR"];

/// How a runner is started.
#[derive(Clone)]
pub struct Launch {
    program: PathBuf,
    arguments: Vec<OsString>,
    /// All of the program's environment.
    environment: Vec<(String, OsString)>,
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
        Self { program: program.into(), arguments: vec![ARGUMENT.into()], environment: Vec::new() }
    }

    /// Gives it the variables of this process that are granted, where there are such, and with the
    /// session bus those that say where it is.
    #[must_use]
    pub fn with_granted(mut self, grants: &Grants) -> Self {
        // Most grants are of files and the network, and say so at once.
        let others = |grant: &&String| !grant.starts_with("files:") && *grant != "network";
        for grant in grants.0.iter().filter(others) {
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
    /// Returns an image of these bytes, which the caller has proven to have this hash and
    /// this door; messages name the file that they were read from.
    ///
    /// # Errors
    /// What the system answers where there is no memory or no descriptor left.
    pub fn seal(
        bytes: &[u8],
        sha256: [u8; 32],
        door: Abi,
        file: impl Into<PathBuf>,
    ) -> io::Result<Self> {
        let bytes = Bytes::Sealed(Arc::new(socket::sealed_memfd(bytes)?));
        Ok(Self { bytes, sha256, door, file: file.into() })
    }

    /// Does what [`Image::seal`] does, with the bytes that `fill` writes.
    ///
    /// # Errors
    /// The system's, and those of `fill`.
    pub(crate) fn seal_with<E: From<io::Error>>(
        sha256: [u8; 32],
        door: Abi,
        file: impl Into<PathBuf>,
        fill: impl FnOnce(&OwnedFd) -> Result<(), E>,
    ) -> Result<Self, E> {
        let bytes = Bytes::Sealed(Arc::new(socket::sealed_memfd_with(fill)?));
        Ok(Self { bytes, sha256, door, file: file.into() })
    }

    /// Returns the image that an open file of root's is: neither copied, nor to be freed.
    pub(crate) fn of_roots(file: OpenedFile, sha256: [u8; 32], door: Abi) -> Self {
        let identity = file.identity();
        let (opened, file) = file.into_parts();
        Self { bytes: Bytes::Roots(Arc::new(opened), identity), sha256, door, file }
    }
}

impl Image {
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

/// What a registration grants to its plugin, with its templates filled in:
/// `files:/srv/secrets:rw`, `network`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants(pub Vec<String>);

/// Runs the runner and returns its exit code where these are a runner's arguments.
/// Called first of all in `main`, before anything is opened and any thread is started.
pub fn dispatch(mut arguments: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    let is_runner = arguments.nth(1).is_some_and(|argument| argument == ARGUMENT);
    is_runner.then(|| child::run(&mut child::load))
}

#[cfg(test)]
mod tests;

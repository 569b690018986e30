//! Permissions of one plugin, from the user's grants for one vault: checked once, here, and open
//! from then on. Only a [`Granted`] starts a runner, and only this module makes one. The caller
//! turns a manifest's templates into permissions.

mod boundary;
mod object;
mod socket;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use keystead_plugin_api::VaultName;

use super::inspect::Permission;
use super::runner::{Namespaces, SandboxLevel};
use super::trust::{Trusted, Unpinned};
use crate::fs;

pub(crate) use boundary::{Boundaries, HostUse, writable_in};
pub(crate) use object::{CreatedPaths, GrantedPath, replaced};
use object::{check_replaced, resolve};
pub(crate) use socket::GrantedSocket;
use socket::resolve_sockets;

/// The most paths that one vault may be granted: their descriptors travel in one message.
pub const MAX_PATHS: usize = 150;

/// Maximum bytes of all their names together: one packet, which also holds other data.
const MAX_PATH_BYTES: usize = 48 * 1024;

/// Why a plugin gets no grants and is not started.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The plugin requests more than was granted.
    #[error("it is not granted {}", .missing.join(", "))]
    NotGranted {
        /// Requests beyond the grants, as manifests write them.
        missing: Vec<String>,
    },
    /// A path leads to a directory where Keystead stores the permissions of plugins.
    #[error("{path} leads to {own}, which controls plugin permissions", path = path.display(), own = own.display())]
    OwnDir {
        /// The granted path.
        path: PathBuf,
        /// Keystead's own directory.
        own: PathBuf,
    },
    /// A file in a granted directory is one of Keystead's own files under another name.
    #[error(
        "{name} in {path} is another name (a hard link) of {own}, a file of Keystead's own",
        name = name.strip_prefix(path).unwrap_or(name).display(),
        path = path.display(),
        own = own.display()
    )]
    OwnFile {
        /// The granted directory.
        path: PathBuf,
        /// Keystead's own file.
        own: PathBuf,
        /// The file's other name.
        name: PathBuf,
    },
    /// The host cannot check a granted directory for its own files under another name.
    #[error(
        "{own}, a file of Keystead's own, has another name (a hard link), which cannot be looked for in {path}: {problem}",
        path = path.display(),
        own = own.display()
    )]
    OwnFileUnknown {
        /// The granted directory.
        path: PathBuf,
        /// Keystead's own file.
        own: PathBuf,
        /// Reason why the check failed.
        problem: String,
    },
    /// A path leads through a link that a plugin could have put there.
    #[error(
        "{path} leads through the link {at}, which lies in a directory that vault `{vault}` lets its plugin write to",
        path = path.display(),
        at = at.display()
    )]
    Link {
        /// The granted path.
        path: PathBuf,
        /// The link.
        at: PathBuf,
        /// The vault.
        vault: VaultName,
    },
    /// A plugin could have changed a socket, or a program that the host would run.
    #[error(
        "{path} lies in a directory that vault `{vault}` lets its plugin write to",
        path = path.display()
    )]
    Writable {
        /// The program or the socket.
        path: PathBuf,
        /// The vault.
        vault: VaultName,
    },
    /// The path of a program that the host would run leads elsewhere in each process.
    #[error("{path} leads through {at}, which is not the same for each process", path = path.display(), at = at.display())]
    KernelLink {
        /// The program.
        path: PathBuf,
        /// The kernel's link.
        at: PathBuf,
    },
    /// A socket's path leads to no socket, or to one that this kind of permission excludes.
    #[error("{path} {problem}", path = path.display())]
    Socket {
        /// The granted path.
        path: PathBuf,
        /// Fault of the path.
        problem: String,
    },
    /// The host cannot check whether a plugin could have changed the target of a path.
    #[error(
        "{path} may be one that a plugin can change, and the registrations cannot be read: {problem}",
        path = path.display()
    )]
    Registrations {
        /// The path.
        path: PathBuf,
        /// Why the registrations cannot be read.
        problem: String,
    },
    /// A path cannot be looked up, or leads through a link that other users can change.
    #[error(transparent)]
    Path(#[from] fs::Error),
    /// There are more paths, or longer ones, than a greeting to a runner can hold.
    #[error("there are more than {MAX_PATHS} paths, or their names are too long")]
    TooManyPaths,
}

impl Error {
    /// Returns the stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotGranted { .. } => "E07.not-granted",
            Self::OwnDir { .. } => "E07.own-folder",
            Self::OwnFile { .. } | Self::OwnFileUnknown { .. } => "E07.own-file",
            Self::Link { .. } => "E07.link",
            Self::Writable { .. } => "E07.writable-program",
            Self::KernelLink { .. } => "E07.kernel-link",
            Self::Socket { .. } => "E07.socket",
            Self::Registrations { .. } => "E07.registrations",
            Self::Path(error) => error.code(),
            Self::TooManyPaths => "E07.too-many-paths",
        }
    }
}

/// The plugin that grants are for, with proof that it may run: policy and quarantine were checked
/// when its proof was made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Proof {
    sha256: [u8; 32],
    sandbox: SandboxLevel,
    namespaces: Namespaces,
}

impl From<&Trusted> for Proof {
    fn from(trusted: &Trusted) -> Self {
        Self {
            sha256: *trusted.sha256().as_bytes(),
            sandbox: trusted.sandbox(),
            namespaces: trusted.namespaces(),
        }
    }
}

impl From<&Unpinned> for Proof {
    fn from(unpinned: &Unpinned) -> Self {
        Self {
            sha256: *unpinned.sha256().as_bytes(),
            sandbox: unpinned.sandbox(),
            namespaces: unpinned.namespaces(),
        }
    }
}

/// Permissions of one plugin in one vault, with each path open. A clone shares the open files.
#[derive(Debug, Clone)]
pub struct Granted {
    proof: Proof,
    boundaries: Boundaries,
    permissions: Arc<[Permission]>,
    paths: Arc<Vec<GrantedPath>>,
    sockets: Arc<Vec<GrantedSocket>>,
    /// Targets of files that the host replaces, for files that lead elsewhere than their names say.
    replaced: Arc<Vec<(String, PathBuf)>>,
    /// System files that the plugin relies on while it runs, and that are replaced as a whole.
    system: Arc<Vec<(&'static Path, Option<fs::object::Object>)>>,
}

/// Text that shows a permission to the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Words {
    /// The permission as it is.
    Plain(String),
    /// The permission, with the target of its path if links lead there.
    Elsewhere(String),
}

impl Words {
    /// Returns the text.
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Plain(text) | Self::Elsewhere(text) => text,
        }
    }
}

/// Files that can change at any time and decide how names of the network are resolved.
const FOR_NETWORK: [&str; 2] = ["/etc/resolv.conf", "/etc/hosts"];

impl Granted {
    /// Checks a plugin's requests. The user has granted each (`recorded` holds the grants of a
    /// registration or a command line). No path may lead through other users' links or to
    /// Keystead's own directories.
    ///
    /// # Errors
    /// [`Error`].
    pub(crate) fn check(
        proof: impl Into<Proof>,
        asked: Vec<Permission>,
        recorded: &[String],
        boundaries: &Boundaries,
    ) -> Result<Self, Error> {
        let missing = boundaries.beyond(&asked, recorded)?;
        if !missing.is_empty() {
            return Err(Error::NotGranted { missing });
        }
        Self::open(proof.into(), asked.into(), boundaries.clone())
    }

    /// Returns the grants of a plugin that was granted nothing.
    pub fn nothing(plugin: &Unpinned) -> Self {
        Self {
            proof: plugin.into(),
            boundaries: Boundaries::default(),
            permissions: Arc::from([]),
            paths: Arc::default(),
            sockets: Arc::default(),
            replaced: Arc::default(),
            system: Arc::default(),
        }
    }

    fn open(
        proof: Proof,
        permissions: Arc<[Permission]>,
        boundaries: Boundaries,
    ) -> Result<Self, Error> {
        let paths = resolve(&permissions, &boundaries)?;
        let replaced = check_replaced(&permissions, &boundaries)?;
        let sockets = resolve_sockets(&permissions, &boundaries)?;
        let names = paths.iter().map(GrantedPath::name);
        let names = names.chain(sockets.iter().map(GrantedSocket::name));
        let (mut count, mut bytes) = (0, 0);
        names.for_each(|name| (count, bytes) = (count + 1, bytes + name.len() + 16));
        if count > MAX_PATHS || bytes > MAX_PATH_BYTES {
            return Err(Error::TooManyPaths);
        }
        let relied_on: &[&str] =
            if permissions.contains(&Permission::Network) { &FOR_NETWORK } else { &[] };
        let opened = |path| (Path::new(path), fs::object::Object::open(Path::new(path)).ok());
        let system = relied_on.iter().map(|path| opened(*path)).collect();
        Ok(Self {
            proof,
            boundaries,
            permissions,
            paths: Arc::new(paths),
            sockets: Arc::new(sockets),
            replaced: Arc::new(replaced),
            system: Arc::new(system),
        })
    }

    /// Checks the same paths again and opens their current targets.
    ///
    /// # Errors
    /// As for [`Granted::check`].
    pub(crate) fn renew(&self) -> Result<Self, Error> {
        Self::open(self.proof, Arc::clone(&self.permissions), self.boundaries.clone())
    }

    /// Returns whether a path leads to another file than the open one, or a missing file exists.
    pub(crate) fn is_outdated(&self) -> bool {
        let moved = |path: &Path, object: Option<&fs::object::Object>| match object {
            Some(object) => !object.is_at(path),
            None => rustix::fs::stat(path).is_ok(),
        };
        self.paths.iter().any(|path| moved(Path::new(path.name()), path.object()))
            || self.sockets.iter().any(|one| moved(Path::new(one.name()), one.object()))
            || self.system.iter().any(|(path, object)| moved(path, object.as_ref()))
    }

    /// Returns the hash of the plugin that these grants are for.
    pub(crate) fn sha256(&self) -> &[u8; 32] {
        &self.proof.sha256
    }

    /// Returns the required sandbox level.
    pub(crate) fn sandbox(&self) -> SandboxLevel {
        self.proof.sandbox
    }

    /// Returns whether the plugin's process gets namespaces of its own.
    pub(crate) fn namespaces(&self) -> Namespaces {
        self.proof.namespaces
    }

    /// Turns namespaces off from now on, after they worked only in part.
    pub(crate) fn do_without_namespaces(&mut self) {
        self.proof.namespaces = Namespaces::Off;
    }

    /// Returns the granted paths.
    pub(crate) fn paths(&self) -> &[GrantedPath] {
        &self.paths
    }

    /// Returns the granted sockets.
    pub(crate) fn sockets(&self) -> &[GrantedSocket] {
        &self.sockets
    }

    /// Returns whether the plugin's process asks the host for each connection: sockets are granted,
    /// but not the permission to connect to all of them.
    pub(crate) fn asks_to_connect(&self) -> bool {
        !self.sockets.is_empty() && !self.has(&Permission::Dbus)
    }

    /// Returns these permissions as text for the user, each path with the target of its links: the
    /// user must see which file is opened.
    pub(crate) fn words<'p>(
        &self,
        permissions: impl Iterator<Item = &'p Permission>,
    ) -> Vec<Words> {
        let words = |permission: &Permission| {
            let text = permission.to_string();
            let elsewhere = match permission {
                Permission::Files { template, .. } => {
                    let path = self.paths.iter().find(|path| path.name() == template);
                    path.and_then(GrantedPath::elsewhere)
                }
                Permission::Socket { template } => {
                    let socket = self.sockets.iter().find(|one| one.name() == template);
                    socket.and_then(GrantedSocket::elsewhere)
                }
                Permission::Replace { template } => {
                    let path = self.replaced.iter().find(|(name, _)| name == template);
                    path.map(|(_, path)| path.clone())
                }
                _ => None,
            };
            match elsewhere {
                None => Words::Plain(text),
                Some(path) => {
                    Words::Elsewhere(format!("{text}, which leads to {}", path.display()))
                }
            }
        };
        permissions.map(words).collect()
    }

    /// Returns whether exactly this permission is granted.
    pub(crate) fn has(&self, wanted: &Permission) -> bool {
        self.permissions.contains(wanted)
    }

    /// Returns whether this permission, or a wider one, is granted.
    pub(crate) fn covers(&self, wanted: &Permission) -> bool {
        let Permission::Files { template, access } = wanted else {
            return self.permissions.iter().any(|one| one.covers(wanted));
        };
        self.paths.iter().filter(|path| path.access() >= *access).any(|path| {
            let (name, wanted) = (Path::new(path.name()), Path::new(template));
            let is_dir = || match path.object() {
                Some(object) => object.is_dir(),
                None => path.name().ends_with('/'),
            };
            name == wanted || wanted.starts_with(name) && is_dir()
        })
    }

    /// Returns whether system libraries are granted.
    pub(crate) fn has_libraries(&self) -> bool {
        self.permissions.iter().any(|one| matches!(one, Permission::Library(_)))
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod for_tests {
    use super::*;

    impl Granted {
        /// Returns grants of these permissions, for a plugin without a proof.
        pub(crate) fn for_tests(
            permissions: &[&str],
            sha256: [u8; 32],
            sandbox: SandboxLevel,
        ) -> Self {
            let permissions: Vec<_> =
                permissions.iter().map(|text| Permission::parse(text).unwrap()).collect();
            let proof = Proof { sha256, sandbox, namespaces: Namespaces::BestEffort };
            Self::open(proof, permissions.into(), Boundaries::default()).unwrap()
        }

        /// Returns the same grants with these namespaces.
        pub(crate) fn with_namespaces(mut self, namespaces: Namespaces) -> Self {
            self.proof.namespaces = namespaces;
            self
        }

        /// Returns the same grants with this required sandbox level.
        pub(crate) fn with_sandbox(mut self, sandbox: SandboxLevel) -> Self {
            self.proof.sandbox = sandbox;
            self
        }
    }
}

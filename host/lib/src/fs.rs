//! Files that the host trusts. A walk checks who may change each component of a path. Files are
//! read once, and written as a whole or not at all. Not for a vault's own data.

mod lock;
mod maker;
pub(crate) mod object;
mod owner;
mod safe_dir;
#[cfg(test)]
pub(crate) mod tests;
pub mod walk;

use std::io;
use std::path::{Path, PathBuf};

use crate::ids::MixedIds;
pub use lock::Lock;
pub use safe_dir::SafeDir;
pub(crate) use walk::word;
pub use walk::{Identity, OpenedFile, Rule};

/// The maximum size of a plugin file in bytes: 256 MiB, 50 times the largest debug build
/// measured. Larger files are rejected before a byte is read.
pub const MAX_PLUGIN_BYTES: u64 = 256 * 1024 * 1024;

/// The maximum number of symbolic links that one walk follows: the kernel's limit.
pub const MAX_LINKS: u32 = 40;

/// The mode of a directory that is one user's own.
pub const PRIVATE_DIR: u32 = 0o700;

/// The mode of a file that is one user's own.
pub const PRIVATE_FILE: u32 = 0o600;

/// Error of a file or directory: why it is not used.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The path does not start at the root, so that its meaning depends on the directory in
    /// which the program was started.
    #[error("`{path}` is not an absolute path", path = path.display())]
    NotAbsolute {
        /// The path as given.
        path: PathBuf,
    },
    /// The path, or a directory on the way to it, does not exist.
    #[error("`{path}` does not exist", path = path.display())]
    Missing {
        /// The path as given.
        path: PathBuf,
    },
    /// The name of a directory entry has a slash, is empty, or is `.` or `..`.
    #[error("`{name}` is not a file name")]
    Name {
        /// The name as given.
        name: String,
    },
    /// Symbolic links lead to each other, or there are more than [`MAX_LINKS`] of them.
    #[error("`{path}` leads through more than {MAX_LINKS} symbolic links", path = path.display())]
    LinkLoop {
        /// The path as given.
        path: PathBuf,
    },
    /// A symbolic link on the way belongs to another user, who can change its target.
    #[error("`{path}` leads through the symbolic link `{at}`, which belongs to user id {owner}, not to {allowed}", path = path.display(), at = at.display())]
    LinkOwner {
        /// The path as given.
        path: PathBuf,
        /// The link.
        at: PathBuf,
        /// User id of the owner.
        owner: u32,
        /// The allowed owners, in words.
        allowed: String,
    },
    /// The file or a directory on the way belongs to another user.
    #[error("`{path}` is not safe to use: `{at}` belongs to user id {owner}, not to {allowed}", path = path.display(), at = at.display())]
    Owner {
        /// The path as given.
        path: PathBuf,
        /// The unsafe file or directory.
        at: PathBuf,
        /// User id of the owner.
        owner: u32,
        /// The allowed owners, in words.
        allowed: String,
    },
    /// All users can write the file or a directory on the way.
    #[error("`{path}` is not safe to use: `{at}` can be written by everyone (mode {mode:04o})", path = path.display(), at = at.display())]
    OthersWrite {
        /// The path as given.
        path: PathBuf,
        /// The unsafe file or directory.
        at: PathBuf,
        /// Permission bits of the unsafe file or directory.
        mode: u32,
    },
    /// A group other than the user's own private group can write the file or a directory on
    /// the way.
    #[error("`{path}` is not safe to use: `{at}` can be written by the group with id {group} (mode {mode:04o})", path = path.display(), at = at.display())]
    GroupWrite {
        /// The path as given.
        path: PathBuf,
        /// The unsafe file or directory.
        at: PathBuf,
        /// Id of the group.
        group: u32,
        /// Permission bits of the unsafe file or directory.
        mode: u32,
    },
    /// The file or a directory on the way has an access list, which may let more users
    /// write than its mode shows.
    #[error("`{path}` is not safe to use: `{at}` can be written by its group and has an access list that may name others", path = path.display(), at = at.display())]
    AccessList {
        /// The path as given.
        path: PathBuf,
        /// The unsafe file or directory.
        at: PathBuf,
    },
    /// The file is directly in a directory that all users may write to, such as `/tmp`.
    #[error("`{path}` lies directly in `{at}`, where everyone can put files", path = path.display(), at = at.display())]
    SharedDir {
        /// The path as given.
        path: PathBuf,
        /// The directory that all users may write to.
        at: PathBuf,
    },
    /// The object at the path is not a regular file.
    #[error("`{path}` is {found}, not a file", path = path.display())]
    NotAFile {
        /// The path as given.
        path: PathBuf,
        /// The type of the object, with its article.
        found: &'static str,
    },
    /// The object at the path, or on the way to it, is not a directory.
    #[error("`{at}` is {found}, not a directory", at = at.display())]
    NotADir {
        /// The path as given.
        path: PathBuf,
        /// The object that should be a directory.
        at: PathBuf,
        /// The type of the object, with its article.
        found: &'static str,
    },
    /// The file is larger than the limit for its type.
    #[error("`{path}` has {len} bytes; the most is {most}", path = path.display())]
    TooLarge {
        /// The path as given.
        path: PathBuf,
        /// Size of the file in bytes.
        len: u64,
        /// Maximum size in bytes.
        most: u64,
    },
    /// The file was replaced, or its size changed, while the host read it.
    #[error("`{path}` changed while it was read", path = path.display())]
    Changed {
        /// The path as given.
        path: PathBuf,
    },
    /// This process acts for two users at once.
    #[error(transparent)]
    MixedIds(#[from] MixedIds),
    /// The system reported an error.
    #[error("cannot {action} `{path}`", path = path.display())]
    Io {
        /// The attempted action, as a verb.
        action: &'static str,
        /// The path.
        path: PathBuf,
        /// Error of the system.
        source: io::Error,
    },
}

impl Error {
    /// Returns the error's stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotAbsolute { .. } => "E02.not-absolute",
            Self::Missing { .. } => "E02.missing",
            Self::Name { .. } => "E02.name",
            Self::LinkLoop { .. } => "E02.link-loop",
            Self::LinkOwner { .. } => "E02.link-owner",
            Self::Owner { .. } => "E02.owner",
            Self::OthersWrite { .. } => "E02.others-write",
            Self::GroupWrite { .. } => "E02.group-write",
            Self::AccessList { .. } => "E02.access-list",
            Self::SharedDir { .. } => "E02.shared-folder",
            Self::NotAFile { .. } => "E02.not-a-file",
            Self::NotADir { .. } => "E02.not-a-folder",
            Self::TooLarge { .. } => "E02.too-large",
            Self::Changed { .. } => "E02.changed",
            Self::MixedIds(error) => error.code(),
            Self::Io { .. } => "E02.io",
        }
    }

    /// Returns whether the only error is that the path does not exist.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Missing { .. })
    }

    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
        source: impl Into<io::Error>,
    ) -> Self {
        Self::Io { action, path: path.into(), source: source.into() }
    }
}

/// Returns all bytes of the file, read once from start to end.
///
/// # Errors
/// [`Error::TooLarge`] when the file has more than `most` bytes; [`Error::Changed`] when its
/// length differs from its length when it was opened.
pub fn read_once(file: OpenedFile, most: u64) -> Result<Vec<u8>, Error> {
    file.read(most)
}

/// Writes the file as a whole: after a crash or a full disk, either the old or the new file
/// exists. The directory is walked as [`Rule::User`]; the file gets exactly this mode.
///
/// # Errors
/// When the directory is not safe, or the system reports an error.
pub fn write_atomic(dir: &Path, name: &str, bytes: &[u8], mode: u32) -> Result<(), Error> {
    SafeDir::open(dir, Rule::User)?.write(name, bytes, mode)
}

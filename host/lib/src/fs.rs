//! Files as the host trusts them: found by a walk that checks who may change every
//! component, read once, written whole or not at all. Not for a vault's own data.

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

/// The most bytes a plugin file may have: 256 MiB, fifty times the largest debug build
/// measured; more is refused before a byte is read.
pub const MAX_PLUGIN_BYTES: u64 = 256 * 1024 * 1024;

/// The most symbolic links one walk follows: the kernel's own number.
pub const MAX_LINKS: u32 = 40;

/// The mode of a directory that is one user's own.
pub const PRIVATE_DIR: u32 = 0o700;

/// The mode of a file that is one user's own.
pub const PRIVATE_FILE: u32 = 0o600;

/// Why a file or directory is not used.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The path does not start at the root, so that what it means depends on where the
    /// program was started.
    #[error("`{path}` is not an absolute path", path = path.display())]
    NotAbsolute {
        /// The path as given.
        path: PathBuf,
    },
    /// There is nothing at the path, or a directory on the way does not exist.
    #[error("`{path}` does not exist", path = path.display())]
    Missing {
        /// The path as given.
        path: PathBuf,
    },
    /// A name that should stand for one entry of a directory has a slash, is empty, or is `.`
    /// or `..`.
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
    /// A symbolic link on the way belongs to someone else, who can point it elsewhere.
    #[error("`{path}` leads through the symbolic link `{at}`, which belongs to user id {owner}, not to {allowed}", path = path.display(), at = at.display())]
    LinkOwner {
        /// The path as given.
        path: PathBuf,
        /// The link.
        at: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Whose it may be, in words.
        allowed: String,
    },
    /// The file or a directory on the way belongs to someone else.
    #[error("`{path}` is not safe to use: `{at}` belongs to user id {owner}, not to {allowed}", path = path.display(), at = at.display())]
    Owner {
        /// The path as given.
        path: PathBuf,
        /// The file or directory that is wrong.
        at: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Whose it may be, in words.
        allowed: String,
    },
    /// The file or a directory on the way can be written by everyone.
    #[error("`{path}` is not safe to use: `{at}` can be written by everyone (mode {mode:04o})", path = path.display(), at = at.display())]
    OthersWrite {
        /// The path as given.
        path: PathBuf,
        /// The file or directory that is wrong.
        at: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file or a directory on the way can be written by a group that is not the user's
    /// own private one.
    #[error("`{path}` is not safe to use: `{at}` can be written by the group with id {group} (mode {mode:04o})", path = path.display(), at = at.display())]
    GroupWrite {
        /// The path as given.
        path: PathBuf,
        /// The file or directory that is wrong.
        at: PathBuf,
        /// The group.
        group: u32,
        /// Its permission bits.
        mode: u32,
    },
    /// The file or a directory on the way has an access list, which may let more people
    /// write than its mode says.
    #[error("`{path}` is not safe to use: `{at}` can be written by its group and has an access list that may name others", path = path.display(), at = at.display())]
    AccessList {
        /// The path as given.
        path: PathBuf,
        /// The file or directory that is wrong.
        at: PathBuf,
    },
    /// The file lies directly in a directory that everyone may write to, such as `/tmp`.
    #[error("`{path}` lies directly in `{at}`, where everyone can put files", path = path.display(), at = at.display())]
    SharedDir {
        /// The path as given.
        path: PathBuf,
        /// The directory that everyone may write to.
        at: PathBuf,
    },
    /// What is at the path is not an ordinary file.
    #[error("`{path}` is {found}, not a file", path = path.display())]
    NotAFile {
        /// The path as given.
        path: PathBuf,
        /// What it is, with its article.
        found: &'static str,
    },
    /// What is at the path, or on the way to it, is not a directory.
    #[error("`{at}` is {found}, not a directory", at = at.display())]
    NotADir {
        /// The path as given.
        path: PathBuf,
        /// What should have been a directory.
        at: PathBuf,
        /// What it is, with its article.
        found: &'static str,
    },
    /// The file is larger than anything of its sort has to be.
    #[error("`{path}` has {len} bytes; the most is {most}", path = path.display())]
    TooLarge {
        /// The path as given.
        path: PathBuf,
        /// How many bytes it has.
        len: u64,
        /// How many it may have.
        most: u64,
    },
    /// The file was exchanged, or grew or shrank, while it was looked at.
    #[error("`{path}` changed while it was read", path = path.display())]
    Changed {
        /// The path as given.
        path: PathBuf,
    },
    /// This process acts for two users at once.
    #[error(transparent)]
    MixedIds(#[from] MixedIds),
    /// The system refused.
    #[error("cannot {action} `{path}`", path = path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// The path.
        path: PathBuf,
        /// What the system said.
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

    /// Whether the error only says that there is nothing at the path.
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
/// [`Error::TooLarge`] when it has more than `most` bytes; [`Error::Changed`] when it does
/// not have the length it had when it was opened.
pub fn read_once(file: OpenedFile, most: u64) -> Result<Vec<u8>, Error> {
    file.read(most)
}

/// Writes the file as a whole: after a crash or a full disk there is the old file or the
/// new one. The directory is walked as [`Rule::User`]; the file gets exactly this mode.
///
/// # Errors
/// When the directory is not safe, or the system refuses.
pub fn write_atomic(dir: &Path, name: &str, bytes: &[u8], mode: u32) -> Result<(), Error> {
    SafeDir::open(dir, Rule::User)?.write(name, bytes, mode)
}

//! Errors of registrations: family E01 of the error list.

use std::path::PathBuf;

use keystead_plugin_api::VaultName;

use crate::paths::Layer;
use crate::{fs, reference};

/// The maximum number of characters of a foreign key that an error repeats.
const MAX_SHOWN: usize = 64;

/// Error of a registration: why it cannot be read or changed.
///
/// No variant holds the value of a parameter.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file is not TOML.
    #[error("{at}: {message}")]
    NotToml {
        /// File, line and column.
        at: FilePosition,
        /// Message of the parser.
        message: String,
    },
    /// The file has a key that this version does not know: most often a typing error.
    #[error("{at}: unknown key `{key}`")]
    UnknownKey {
        /// File, line and column.
        at: FilePosition,
        /// The key, escaped where needed, and cut.
        key: String,
        /// A known key that looks like it.
        similar: Option<&'static str>,
    },
    /// A key has a value of the wrong type, or a value that is not allowed there.
    #[error("{at}: `{key}` must be {expected}")]
    WrongValue {
        /// File, line and column.
        at: FilePosition,
        /// The key, escaped where needed, and cut.
        key: String,
        /// The allowed values, in words.
        expected: &'static str,
    },
    /// A value must be a reference, and is not.
    #[error("{at}: `{key}` must be a reference")]
    WrongReference {
        /// File, line and column.
        at: FilePosition,
        /// The key, escaped where needed, and cut.
        key: String,
        /// Why the value is not a reference.
        source: reference::Error,
    },
    /// The file lacks a key that every registration has.
    #[error("`{path}` has no key `{key}`", path = path.display())]
    MissingKey {
        /// The file.
        path: PathBuf,
        /// The key.
        key: &'static str,
    },
    /// The file was written for a later version of Keystead.
    #[error(
        "`{path}` has schema {found}; this version of keystead reads schemas up to {newest}",
        path = path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Schema of the file.
        found: i64,
        /// The newest schema that this version knows.
        newest: i64,
    },
    /// Two files of one layer register names that differ by case only.
    #[error(
        "`{first}` and `{second}` register the same vault: names are compared without case",
        first = first.display(),
        second = second.display()
    )]
    CaseCollision {
        /// The first file.
        first: PathBuf,
        /// The second file.
        second: PathBuf,
    },
    /// The name of a file among the registrations is not a vault name.
    #[error("`{path}` is not named after a vault", path = path.display())]
    BadFileName {
        /// The file.
        path: PathBuf,
    },
    /// A user registered a name that the administrator has locked.
    #[error(
        "vault `{name}` is locked by the administrator in `{system}`: `{user}` has no effect",
        system = system.display(),
        user = user.display()
    )]
    Locked {
        /// The vault.
        name: VaultName,
        /// The administrator's file.
        system: PathBuf,
        /// The user's file, which may not exist yet.
        user: PathBuf,
    },
    /// No vault of this name is registered.
    #[error("no vault `{name}` is registered")]
    NoSuchVault {
        /// The name.
        name: VaultName,
        /// A registered name that looks like it.
        similar: Option<VaultName>,
    },
    /// The vault is registered, but in the other layer.
    #[error("vault `{name}` is registered in the {found} layer, in `{path}`", path = path.display())]
    OtherLayer {
        /// The vault.
        name: VaultName,
        /// Layer of the registration.
        found: Layer,
        /// File of the registration.
        path: PathBuf,
    },
    /// A vault of this name is registered, and the caller did not request to replace it.
    #[error("vault `{name}` is already registered, in `{path}`", path = path.display())]
    Exists {
        /// The name.
        name: VaultName,
        /// File of the registration.
        path: PathBuf,
    },
    /// A registration refers to an open file descriptor, which no later process has.
    #[error("`{key}` cannot be `fd:`: a file descriptor ends with its process")]
    Descriptor {
        /// The parameter or field.
        key: String,
    },
    /// The references of some vaults form a cycle.
    #[error("references lead in a circle: {}", circle(.vaults))]
    Cycle {
        /// The vaults in order; the last one refers to the first.
        vaults: Vec<VaultName>,
    },
    /// The caller gave no directory for this layer.
    #[error("there is no directory for the {layer} layer")]
    NoLayer {
        /// The layer.
        layer: Layer,
    },
    /// Another process has held this layer's lock for too long.
    #[error("another process holds `{path}`", path = path.display())]
    Busy {
        /// The lock file.
        path: PathBuf,
    },
    /// An error of `fs`: a file or directory lacks permissions, is too large, has a wrong
    /// owner, or is on a full or read-only disk. A failed write leaves the old file
    /// unchanged.
    #[error(transparent)]
    File(#[from] fs::Error),
}

/// A position in a file. Line and column count from 1, columns in characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePosition {
    /// The file.
    pub path: PathBuf,
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl std::fmt::Display for FilePosition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}`, line {}, column {}", self.path.display(), self.line, self.column)
    }
}

impl Error {
    /// Returns the stable code of this cause: of family E02 for errors of the file itself.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotToml { .. } => "E01.not-toml",
            Self::UnknownKey { .. } => "E01.unknown-key",
            Self::WrongValue { .. } => "E01.wrong-value",
            Self::WrongReference { .. } => "E01.wrong-reference",
            Self::MissingKey { .. } => "E01.missing-key",
            Self::Newer { .. } => "E01.newer-version",
            Self::CaseCollision { .. } => "E01.case-collision",
            Self::BadFileName { .. } => "E01.bad-file-name",
            Self::Locked { .. } => "E01.locked",
            Self::NoSuchVault { .. } => "E01.no-such-vault",
            Self::OtherLayer { .. } => "E01.other-layer",
            Self::Exists { .. } => "E01.exists",
            Self::Descriptor { .. } => "E01.descriptor",
            Self::Cycle { .. } => "E01.cycle",
            Self::NoLayer { .. } => "E01.no-layer",
            Self::Busy { .. } => "E01.busy",
            Self::File(error) => error.code(),
        }
    }
}

fn circle(vaults: &[VaultName]) -> String {
    let names: Vec<_> =
        vaults.iter().chain(vaults.first()).map(|name| format!("`{name}`")).collect();
    names.join(" -> ")
}

/// Returns foreign text for a message: escaped where needed, and cut.
pub(super) fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(MAX_SHOWN).flat_map(char::escape_debug).collect();
    if text.chars().nth(MAX_SHOWN).is_some() {
        shown.push_str("...");
    }
    shown
}

//! What can be wrong with registrations: family E01 of the error list.

use std::path::PathBuf;

use keystead_plugin_api::VaultName;

use crate::paths::Layer;
use crate::{fs, reference};

/// The most characters of a foreign key that an error repeats.
const MAX_SHOWN: usize = 64;

/// Why a registration cannot be read or changed.
///
/// No variant holds the value of a parameter.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file is not TOML.
    #[error("{at}: {message}")]
    NotToml {
        /// Where in which file.
        at: FilePosition,
        /// What the parser met or expected.
        message: String,
    },
    /// The file has a key that this version does not know: most often a typing error.
    #[error("{at}: unknown key `{key}`")]
    UnknownKey {
        /// Where in which file.
        at: FilePosition,
        /// The key, escaped where it is not plain, and cut.
        key: String,
        /// A known key that looks like it.
        similar: Option<&'static str>,
    },
    /// A key has a value of the wrong kind, or one that is not allowed there.
    #[error("{at}: `{key}` must be {expected}")]
    WrongValue {
        /// Where in which file.
        at: FilePosition,
        /// The key, escaped where it is not plain, and cut.
        key: String,
        /// What would be right.
        expected: &'static str,
    },
    /// What must be a reference is not one.
    #[error("{at}: `{key}` must be a reference")]
    WrongReference {
        /// Where in which file.
        at: FilePosition,
        /// The key, escaped where it is not plain, and cut.
        key: String,
        /// Why it is none.
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
        /// Its schema.
        found: i64,
        /// The newest schema known here.
        newest: i64,
    },
    /// Two files of one layer register names that differ by case only.
    #[error(
        "`{first}` and `{second}` register the same vault: names are compared without case",
        first = first.display(),
        second = second.display()
    )]
    CaseCollision {
        /// One file.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// A file among the registrations is not named as a vault can be.
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
        /// The user's file, whether it exists or was to be written.
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
        /// Where it is.
        found: Layer,
        /// Its file.
        path: PathBuf,
    },
    /// A vault of this name is registered, and replacing it was not asked for.
    #[error("vault `{name}` is already registered, in `{path}`", path = path.display())]
    Exists {
        /// The name.
        name: VaultName,
        /// Its file.
        path: PathBuf,
    },
    /// A registration refers to an open file descriptor, which no later process has.
    #[error("`{key}` cannot be `fd:`: a file descriptor ends with its process")]
    Descriptor {
        /// The parameter or field.
        key: String,
    },
    /// The references of some vaults lead back to where they began.
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
    /// Another process has been changing this layer for too long.
    #[error("another process holds `{path}`", path = path.display())]
    Busy {
        /// The lock file.
        path: PathBuf,
    },
    /// A file or directory is missing rights, too large, in the wrong hands, or on a full or
    /// read-only disk: the errors of `fs`. What was there before a write is
    /// still there.
    #[error(transparent)]
    File(#[from] fs::Error),
}

/// A place in a file. Line and column count from 1, columns in characters.
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
    /// Returns the stable code of this cause: of family E02 where the file itself is the
    /// matter.
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

/// Returns foreign text fit for a message: escaped where it is not plain, and cut.
pub(super) fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(MAX_SHOWN).flat_map(char::escape_debug).collect();
    if text.chars().nth(MAX_SHOWN).is_some() {
        shown.push_str("...");
    }
    shown
}

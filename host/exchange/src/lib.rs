//! Imports secrets from files of other programs, and exports secrets to files.
//!
//! This crate reads the formats; the caller selects the vault. A file is hostile until it is read,
//! and secret: no error repeats any value of it.
#![forbid(unsafe_code)]

#[cfg(test)]
#[path = "../../lib/src/json/any.rs"]
mod any;
pub mod bitwarden;
pub mod csv;
mod distinct;
pub mod dotenv;
mod export;
mod fingerprint;
mod foreign;
mod format;
mod import;
mod input;
mod item;
pub mod json_lines;
pub mod keepass;
mod keeping;
mod left_out;
pub mod onepux;
mod output;
#[cfg(test)]
mod packed;
pub mod pass;
pub mod secretstore;
#[cfg(test)]
mod shown;
pub mod vaultinfo;
mod window;
mod zip;

use std::fmt;
use std::path::{Path, PathBuf};

use keystead::ErrorClass;
use keystead_plugin_api::{Metadata, SecretName, Value};

pub use export::{Export, ExportFormat, ExportOutcome};
pub use format::{HEAD, ImportFormat, ImportOptions, ImportSource, open};
pub use import::{Import, ImportConflict, ImportOutcome, Imported};
pub use keeping::Keeping;
pub use output::{Output, Overwrite};

/// A secret of a file.
#[derive(Debug)]
pub struct Row {
    /// Position in the source.
    pub at: Position,
    /// Name of the secret.
    pub name: SecretName,
    /// Its value.
    pub value: Value,
    /// Its metadata.
    pub metadata: Metadata,
}

/// A broken row in place of a secret. Later rows can still be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRow {
    /// Position in the source.
    pub at: Position,
    /// Reason, without any value: a lower-case fragment.
    pub why: String,
}

impl fmt::Display for BadRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.why)
    }
}

/// Position in the source of an import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Position {
    /// A line, from 1.
    Line(u64),
    /// An item of a list, from 1, with its title; `None` if there is no title to show.
    Item(u64, Option<String>),
    /// A file below the imported directory.
    File(PathBuf),
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(f, "line {line}"),
            Self::Item(number, None) => write!(f, "item {number}"),
            Self::Item(number, Some(title)) => {
                write!(f, "item {number}, `{}`", keystead::internals::visible(title))
            }
            Self::File(path) => f.write_str(&visible_path(path)),
        }
    }
}

/// A reader of a format, secret by secret.
///
/// A broken row is a separate item and does not end the reading; an error does, and nothing follows
/// it.
pub trait Rows: Iterator<Item = Result<std::result::Result<Row, BadRow>, Error>> {
    /// Returns information to show before the first row, in lines: the roles of columns.
    fn plan(&self) -> Vec<String> {
        Vec::new()
    }

    /// Returns whether a row's name is its key: of two rows with the same name the last counts.
    /// Otherwise the reader creates the names, and they are unique.
    fn is_keyed(&self) -> bool {
        false
    }

    /// Returns the data skipped so far, in lines: `2 items of the trash`. Complete after the last
    /// row.
    fn left_out(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Error of a file as a whole that cannot be read or written, or of a vault. No variant holds a
/// value of the file.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read what is to be imported")]
    Read(#[source] std::io::Error),
    /// The file is not of the stated format.
    #[error("this is not {form}: {why}")]
    NotOfForm {
        /// The format, with its article: `a Bitwarden export`.
        form: &'static str,
        /// Reason.
        why: String,
    },
    /// The file is encrypted, and only its own program can decrypt it.
    #[error("this is an encrypted {form}")]
    Encrypted {
        /// The format, without its article.
        form: &'static str,
    },
    /// The program that decrypts the file cannot be run.
    #[error("cannot run `{program}`: {why}")]
    NoProgram {
        /// The program.
        program: String,
        /// Reason.
        why: String,
    },
    /// A file needs a passphrase, and prompting is not allowed.
    #[error("`{path}` takes a passphrase", path = visible_path(path))]
    NoPassphrase {
        /// The file that needs the passphrase.
        path: PathBuf,
    },
    /// The user cancelled the prompt for a passphrase.
    #[error("unlocking a key was cancelled")]
    Cancelled,
    /// An encrypted store belongs to another account than stated, or is damaged.
    #[error("`storeconfig` is not that of account `{user}`, or it is damaged")]
    WrongAccount {
        /// The account.
        user: String,
    },
    /// A store or an export is locked with a password, and none was given.
    #[error("this is locked with a password")]
    NoPassword,
    /// The password of a store or an export is wrong, or the file is damaged.
    #[error("the password is wrong, or {file} is damaged: both look the same")]
    WrongPassword {
        /// The file that may be damaged.
        file: &'static str,
    },
    /// The file is of an unsupported type, known by its first bytes.
    #[error("this is {what}")]
    Foreign {
        /// Type of the file: `a zip archive`.
        what: &'static str,
        /// Remedy: an imperative.
        remedy: &'static str,
    },
    /// The caller gave no roles of columns, and the table's first row is not exactly the header row
    /// of a known export.
    #[error("its first row is not the header row of a known table")]
    UnknownTable {
        /// Its columns, if the first row is a header row: otherwise it may hold secrets.
        columns: Vec<String>,
    },
    /// Neither the name nor the first bytes determine the format.
    #[error("cannot detect the import format")]
    UnknownForm,
    /// The source changed between the two times it was read.
    #[error("the import source changed after the preview")]
    Changed,
    /// The output of an export cannot be written.
    #[error("cannot write what is exported")]
    Write(#[source] std::io::Error),
    /// The output file of an export cannot be created.
    #[error("cannot write `{path}`", path = path.display())]
    Output {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// The output file of an export exists already.
    #[error("`{path}` exists", path = path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The vault that secrets go to or come from cannot be used.
    #[error(transparent)]
    Host(Box<keystead::Error>),
}

/// Returns an imported path with escapes: its names are foreign text.
fn visible_path(path: &Path) -> String {
    keystead::internals::visible(&path.to_string_lossy())
}

impl From<keystead::Error> for Error {
    fn from(error: keystead::Error) -> Self {
        Self::Host(Box::new(error))
    }
}

impl Error {
    /// Returns the stable code of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Read(_) => "E13.unreadable",
            Self::NotOfForm { .. } => "E13.not-of-form",
            Self::Encrypted { .. } => "E13.encrypted",
            Self::NoProgram { .. } => "E13.no-program",
            Self::NoPassphrase { .. } => "E13.no-passphrase",
            Self::Cancelled => "E13.cancelled",
            Self::WrongAccount { .. } => "E13.wrong-account",
            Self::NoPassword => "E13.locked",
            Self::WrongPassword { .. } => "E13.wrong-password",
            Self::Foreign { .. } => "E13.foreign",
            Self::UnknownTable { .. } => "E13.unknown-table",
            Self::UnknownForm => "E13.unknown-form",
            Self::Changed => "E13.changed",
            Self::Write(_) | Self::Output { .. } => "E13.unwritable",
            Self::Exists { .. } => "E13.exists",
            Self::Host(error) => error.code(),
        }
    }

    /// Returns who must act.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::NoPassword | Self::NoPassphrase { .. } => ErrorClass::NeedsInput,
            Self::Host(error) => error.class(),
            _ => ErrorClass::CannotDo,
        }
    }
}

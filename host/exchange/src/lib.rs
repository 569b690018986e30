//! Secrets to and from the files of other programs: what an import reads and an export writes.
//!
//! The forms are read here; which vault the secrets go to is decided by the caller. A file is
//! hostile until it is read, and secret: no error repeats any value of it.
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

/// One secret of a file.
#[derive(Debug)]
pub struct Row {
    /// Where it stands.
    pub at: Position,
    /// What it is to be called.
    pub name: SecretName,
    /// Its value.
    pub value: Value,
    /// Its metadata.
    pub metadata: Metadata,
}

/// What stands where a secret was expected. The rows after it can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRow {
    /// Where it stands.
    pub at: Position,
    /// What is wrong, without any value: a lower-case fragment.
    pub why: String,
}

impl fmt::Display for BadRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.why)
    }
}

/// Where in what is imported something stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Position {
    /// A line, from 1.
    Line(u64),
    /// An item of a list, from 1, and its title where it has one that can be shown.
    Item(u64, Option<String>),
    /// A file below the directory that is imported.
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

/// Reads one form, secret by secret.
///
/// A broken row is an item of its own and does not end the reading; an error does, and
/// nothing follows it.
pub trait Rows: Iterator<Item = Result<std::result::Result<Row, BadRow>, Error>> {
    /// Returns what is to be known before the first row, in lines: which column is what.
    fn plan(&self) -> Vec<String> {
        Vec::new()
    }

    /// Returns whether a row's name is its key: of two rows with one name the last counts. Otherwise names
    /// are made here, and there are no two.
    fn is_keyed(&self) -> bool {
        false
    }

    /// Returns what has been left out so far, in lines: `2 items of the trash`. After the
    /// last row that is all.
    fn left_out(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Why a file as a whole cannot be read or written, or a vault cannot be used. No variant holds a
/// value of the file.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read what is to be imported")]
    Read(#[source] std::io::Error),
    /// The file is not of the form it was said to be.
    #[error("this is not {form}: {why}")]
    NotOfForm {
        /// The form, with its article: `a Bitwarden export`.
        form: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// The file is encrypted, and only its own program can decrypt it.
    #[error("this is an encrypted {form}")]
    Encrypted {
        /// The form, without its article.
        form: &'static str,
    },
    /// The program that has to decrypt it cannot be run.
    #[error("cannot run `{program}`: {why}")]
    NoProgram {
        /// The program.
        program: String,
        /// Why not.
        why: String,
    },
    /// It takes a passphrase, and nobody may be asked for it.
    #[error("`{path}` takes a passphrase", path = visible_path(path))]
    NoPassphrase {
        /// The file that takes it.
        path: PathBuf,
    },
    /// Whoever was asked for a passphrase did not want to answer.
    #[error("unlocking a key was cancelled")]
    Cancelled,
    /// An encrypted store belongs to another account than was said, or is damaged.
    #[error("`storeconfig` is not that of account `{user}`, or it is damaged")]
    WrongAccount {
        /// The account.
        user: String,
    },
    /// A store or an export is locked with a password, and none was given.
    #[error("this is locked with a password")]
    NoPassword,
    /// The password is not that of a store or an export, or it is damaged.
    #[error("the password is wrong, or {file} is damaged: both look the same")]
    WrongPassword {
        /// What may be damaged.
        file: &'static str,
    },
    /// It is nothing that is read here, and its first bytes tell what it is.
    #[error("this is {what}")]
    Foreign {
        /// What it is: `a zip archive`.
        what: &'static str,
        /// What to do about it: an imperative.
        remedy: &'static str,
    },
    /// Nobody said which column of a table is what, and its first row is not exactly that of a known
    /// export.
    #[error("its first row is not the header row of a known table")]
    UnknownTable {
        /// Its columns, where the first row is one of headers: otherwise it may be somebody's secret.
        columns: Vec<String>,
    },
    /// Neither its name nor its start tells the form.
    #[error("cannot detect the import format")]
    UnknownForm,
    /// It is read twice, and was changed meanwhile.
    #[error("the import source changed after the preview")]
    Changed,
    /// What is exported cannot be written.
    #[error("cannot write what is exported")]
    Write(#[source] std::io::Error),
    /// The file that an export writes cannot be made.
    #[error("cannot write `{path}`", path = path.display())]
    Output {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file that an export would write is there.
    #[error("`{path}` exists", path = path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The vault that secrets go to or come from cannot be used.
    #[error(transparent)]
    Host(Box<keystead::Error>),
}

/// Returns a path of what is imported: its names are a stranger's.
fn visible_path(path: &Path) -> String {
    keystead::internals::visible(&path.to_string_lossy())
}

impl From<keystead::Error> for Error {
    fn from(error: keystead::Error) -> Self {
        Self::Host(Box::new(error))
    }
}

impl Error {
    /// Returns the stable code of this cause.
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

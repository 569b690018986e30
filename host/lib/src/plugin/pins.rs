//! Pins: the file that a plugin's id stands for, by hash, and its trust source. Three layers of
//! directories, one TOML file for each id. The plugin's file is not inspected here.

mod digest;
mod id;
mod text;

use std::ffi::OsString;
use std::path::PathBuf;

use crate::fs::{self, SafeDir};

pub use digest::Digest;
pub use id::PluginId;

/// The directory of pins in each layer's own directory.
pub const DIR: &str = "pins.d";

/// Maximum bytes of a pin: a pin has eight short lines.
const MAX_BYTES: u64 = 16 * 1024;

/// Why there is no usable pin.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A directory of pins, or a pin, is not safe to use or cannot be read.
    #[error(transparent)]
    File(#[from] fs::Error),
    /// No layer has a pin for this id: the plugin was never installed.
    #[error("no plugin `{id}` is installed")]
    NotPinned {
        /// The id.
        id: PluginId,
        /// An installed plugin's id that looks like it.
        similar: Option<PluginId>,
    },
    /// The administrator denies the plugin, by its id or by its hash.
    #[error("the administrator denies plugin `{id}` in `{path}`", path = path.display())]
    Denied {
        /// The plugin's id.
        id: PluginId,
        /// The file that denies it.
        path: PathBuf,
    },
    /// The pin is not TOML, or has a key that pins do not have.
    #[error("the pin `{path}` is malformed in line {line}, column {column}: {what}", path = path.display())]
    Malformed {
        /// The pin.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// Fault of the pin.
        what: String,
    },
    /// A newer host wrote the pin, and may mean something else by it.
    #[error("the pin `{path}` has version {found}; this host knows version {known}", path = path.display(), known = text::SCHEMA)]
    Version {
        /// The pin.
        path: PathBuf,
        /// The version it has.
        found: i64,
    },
    /// The pin lacks a value, or has an invalid one.
    #[error("the pin `{path}` is not valid: {what}", path = path.display())]
    Invalid {
        /// The pin.
        path: PathBuf,
        /// The key and its fault.
        what: String,
    },
    /// The text is not a plugin's id.
    #[error("`{text}` is not a plugin's id: lower-case letters, digits and dashes, at most 64")]
    Id {
        /// The text.
        text: String,
    },
    /// The text is not a SHA-256 hash.
    #[error("`{text}` is not a SHA-256 hash: 64 hexadecimal digits in lower case")]
    Digest {
        /// The text.
        text: String,
    },
}

impl Error {
    /// Returns the error's stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::File(error) => error.code(),
            Self::NotPinned { .. } => "E03.not-pinned",
            Self::Denied { .. } => "E07.denied",
            Self::Malformed { .. } => "E03.pin-malformed",
            Self::Version { .. } => "E03.pin-version",
            Self::Invalid { .. } => "E03.pin-invalid",
            Self::Id { .. } => "E01.plugin-id",
            Self::Digest { .. } => "E03.digest",
        }
    }
}

/// Owner of a pin's directory; layers are searched in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PinLayer {
    /// The administrator's, `/etc/keystead/pins.d`.
    Administrator,
    /// A package's, such as `/usr/lib/keystead/pins.d`.
    Packaged,
    /// The user's own.
    User,
}

impl PinLayer {
    /// Returns the layer's name in pins and in output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Administrator => "administrator",
            Self::Packaged => "packaged",
            Self::User => "user",
        }
    }
}

/// Whether the trust source lets the plugin run in-process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InProcess {
    /// Never: a child process runs the plugin.
    Never,
    /// Allowed: the plugin's faults and reach are the host's own.
    Danger,
}

/// Content of a pin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// The plugin's id.
    pub id: PluginId,
    /// The hash of the only file that the id stands for.
    pub sha256: Digest,
    /// The layer the pin was found in or is written to.
    pub layer: PinLayer,
    /// Whether the plugin may run in-process.
    pub in_process: InProcess,
    /// Bytes of the file; `None` if the pin omits them.
    pub size: Option<u64>,
    /// The plugin's version; `None` if the pin omits it.
    pub version: Option<semver::Version>,
    /// Origin of the file; `None` if the pin omits it.
    pub source: Option<String>,
    /// Time at which the file was trusted; `None` if the pin omits it.
    pub trusted_at: Option<jiff::Timestamp>,
}

impl Pin {
    /// Returns the pin's file name.
    pub fn file_name(&self) -> String {
        file_name(self.id.as_str())
    }

    /// Returns the pin as TOML.
    pub fn to_toml(&self) -> String {
        text::write(self)
    }
}

/// A pin, or a denial by the administrator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PinEntry {
    /// The id stands for this file.
    Pin(Pin),
    /// The administrator denies the id or the hash that the file is named for.
    Denial,
}

/// An entry's name without `.toml`, and its content or the error of reading it.
pub type NamedEntry = (String, Result<PinEntry, Error>);

/// The directory of pins of one layer.
#[derive(Debug)]
pub struct PinStore {
    layer: PinLayer,
    dir: SafeDir,
}

impl PinStore {
    /// Returns the pins in the directory `pins.d` of this directory, if it has one.
    ///
    /// # Errors
    /// When the directory exists and is unsafe.
    pub fn open(layer: PinLayer, root: &SafeDir) -> Result<Option<Self>, Error> {
        Ok(root.dir(DIR)?.map(|dir| Self { layer, dir }))
    }

    /// Returns the layer's entry for this id.
    ///
    /// # Errors
    /// When the entry cannot be understood: the host never uses a lower layer instead.
    pub fn entry(&self, id: &PluginId) -> Result<Option<PinEntry>, Error> {
        self.read(id.as_str())
    }

    /// Returns the file in which the layer denies this hash, if it does.
    ///
    /// # Errors
    /// When the file named for the hash cannot be understood.
    pub fn denial(&self, sha256: &Digest) -> Result<Option<PathBuf>, Error> {
        let stem = sha256.to_string();
        Ok(self.read(&stem)?.map(|_| self.path(&stem)))
    }

    /// Returns the path of the entry for this id or hash, whether there is one or not.
    pub fn path(&self, stem: &str) -> PathBuf {
        self.dir.path().join(file_name(stem))
    }

    /// Returns every entry with its name without `.toml`; an entry that cannot be understood has
    /// its error.
    ///
    /// # Errors
    /// When the directory cannot be listed.
    pub fn entries(&self) -> Result<Vec<NamedEntry>, Error> {
        let mut entries = Vec::new();
        for name in self.dir.names()? {
            let Some(stem) = stem(&name) else { continue };
            match self.read(&stem) {
                Ok(Some(entry)) => entries.push((stem, Ok(entry))),
                // Removed since it was listed.
                Ok(None) => {}
                Err(error) => entries.push((stem, Err(error))),
            }
        }
        Ok(entries)
    }

    fn read(&self, stem: &str) -> Result<Option<PinEntry>, Error> {
        let Some(bytes) = self.dir.read(&file_name(stem), MAX_BYTES)? else { return Ok(None) };
        text::read(&bytes, stem, self.layer, &self.path(stem)).map(Some)
    }
}

/// Returns line and column, both from 1, of a byte of a text.
pub(super) fn position(text: &[u8], at: usize) -> (usize, usize) {
    let before = &text[..at.min(text.len())];
    let line_start = before.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
    let line = before.iter().filter(|b| **b == b'\n').count() + 1;
    (line, String::from_utf8_lossy(&before[line_start..]).chars().count() + 1)
}

fn file_name(stem: &str) -> String {
    format!("{stem}.toml")
}

/// Returns the name without `.toml`. A name that is not text is converted with losses, so that it
/// fails by name and is not skipped.
fn stem(name: &OsString) -> Option<String> {
    Some(name.to_string_lossy().strip_suffix(".toml")?.to_owned())
}

#[cfg(test)]
mod tests;

//! Why a plugin is not trusted, or cannot be.

use std::path::PathBuf;

use crate::fs;
use crate::plugin::inspect;
use crate::plugin::pins::{self, Digest, PinLayer, PluginId};

/// Why a plugin is not trusted, or cannot be installed, trusted or removed.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or directory on the path is unsafe, or cannot be read or written.
    #[error(transparent)]
    File(#[from] fs::Error),
    /// The pin is missing or cannot be understood, or the administrator denies the plugin.
    #[error(transparent)]
    Pin(#[from] pins::Error),
    /// The file is no plugin, or no plugin for this machine.
    #[error("`{path}` cannot be used as a plugin", path = path.display())]
    Unfit {
        /// The file.
        path: PathBuf,
        /// Error of the inspection.
        source: inspect::Error,
    },
    /// The file changed after it was pinned: an upgrade past the host, damage, or an attack.
    #[error("plugin `{id}` has changed since it was pinned: `{path}` has SHA-256 {found}, and {pinned} is pinned; if the change is meant, `keystead plugin trust {id}` accepts it", path = path.display())]
    HashMismatch {
        /// The plugin's id.
        id: PluginId,
        /// The file.
        path: PathBuf,
        /// The hash in the pin.
        pinned: Digest,
        /// The hash of the file as it is.
        found: Digest,
    },
    /// The plugin is pinned, and its file is in none of the plugin directories.
    #[error("plugin `{id}` is pinned, and its file `{name}` is in no plugin directory")]
    FileMissing {
        /// The plugin's id.
        id: PluginId,
        /// The file's name.
        name: String,
    },
    /// The pinned file's manifest has another id: the pin was made for the wrong file.
    #[error("`{path}` is pinned as plugin `{pinned}` and says that it is `{found}`", path = path.display())]
    IdDiffers {
        /// The id in the pin.
        pinned: PluginId,
        /// The id in the file.
        found: String,
        /// The file.
        path: PathBuf,
    },
    /// Another file is installed under the same id.
    #[error("the id `{id}` is taken by the {layer} pin `{path}` of another file (SHA-256 {sha256})", path = path.display(), layer = layer.as_str())]
    IdTaken {
        /// The id.
        id: PluginId,
        /// Layer of the pin that has the id.
        layer: PinLayer,
        /// Path of that pin.
        path: PathBuf,
        /// The hash that is pinned.
        sha256: Digest,
    },
    /// The pin belongs to a package or to the administrator, and only they can change it.
    #[error("plugin `{id}` is pinned in `{path}`, which only the {owner} can change", path = path.display(), owner = match layer { PinLayer::Packaged => "package that brought it", PinLayer::User => "user who installed it", PinLayer::Administrator => "administrator" })]
    NotYours {
        /// The plugin's id.
        id: PluginId,
        /// Layer of the pin.
        layer: PinLayer,
        /// The pin.
        path: PathBuf,
    },
    /// The policy does not let users install plugins of their own.
    #[error("the policy `{path}` forbids plugins that users installed, such as `{id}`", path = path.display())]
    UserPlugins {
        /// The plugin's id.
        id: PluginId,
        /// The policy's file.
        path: PathBuf,
    },
    /// The policy denies the plugin, by id or hash.
    #[error("the policy `{path}` denies plugin `{id}`", path = path.display())]
    Denied {
        /// The plugin's id.
        id: PluginId,
        /// The policy's file.
        path: PathBuf,
    },
    /// The policy lists what is allowed, and the plugin is not in the list.
    #[error("the policy `{path}` does not allow plugin `{id}`", path = path.display())]
    NotAllowed {
        /// The plugin's id.
        id: PluginId,
        /// The policy's file.
        path: PathBuf,
    },
    /// The plugin requests a permission that the policy gives to no plugin.
    #[error("plugin `{id}` asks for `{permission}`, which the policy `{path}` gives to no plugin", path = path.display())]
    Permission {
        /// The plugin's id.
        id: PluginId,
        /// The requested permission.
        permission: String,
        /// The policy's file.
        path: PathBuf,
    },
    /// The policy's file is not TOML, or has content that this host does not know.
    #[error("the policy `{path}` is malformed in line {line}, column {column}: {what}", path = path.display())]
    PolicyMalformed {
        /// The policy's file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// The fault.
        what: String,
    },
    /// The plugin crashed three times in ten minutes.
    #[error(
        "plugin `{id}` is quarantined after repeated crashes (SHA-256 {sha256}); `keystead plugin trust {id}` gives it another chance"
    )]
    Quarantined {
        /// The plugin's id.
        id: PluginId,
        /// The hash that is quarantined.
        sha256: Digest,
    },
    /// There is no directory for the user's data: a user without a home, or a set-id program.
    #[error("no user data directory for plugins")]
    NoDataDir,
    /// The directory to install into is not searched for plugins.
    #[error("`{path}` is not one of the directories that plugins are looked for in", path = path.display())]
    NotAPluginDir {
        /// The directory.
        path: PathBuf,
    },
}

impl Error {
    /// Returns whether no plugin of that id is installed.
    pub fn is_not_installed(&self) -> bool {
        matches!(self, Self::Pin(pins::Error::NotPinned { .. }))
    }

    /// Returns the error's stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::File(error) => error.code(),
            Self::Pin(error) => error.code(),
            Self::Unfit { source, .. } => source.code(),
            Self::HashMismatch { .. } => "E03.hash-mismatch",
            Self::FileMissing { .. } => "E03.file-missing",
            Self::IdDiffers { .. } => "E03.id-differs",
            Self::IdTaken { .. } => "E07.id-taken",
            Self::NotYours { .. } => "E07.not-yours",
            Self::UserPlugins { .. } => "E07.user-plugins",
            Self::Denied { .. } => "E07.policy-denied",
            Self::NotAllowed { .. } => "E07.not-allowed",
            Self::Permission { .. } => "E07.permission",
            Self::PolicyMalformed { .. } => "E07.policy-malformed",
            Self::Quarantined { .. } => "E07.quarantined",
            Self::NotAPluginDir { .. } => "E02.not-a-plugin-folder",
            Self::NoDataDir => "E02.no-data-folder",
        }
    }
}

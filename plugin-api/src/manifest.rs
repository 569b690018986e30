//! What a plugin file says of itself, readable without running it: who made it, which
//! kinds of vault it has, what it asks for. Written into the file by
//! [`export_plugin!`](crate::export_plugin).

mod json;
pub mod section;

use crate::parameters::Parameter;
use crate::value::ValueKind;

/// The version of the contract this crate is, as manifests carry it.
pub const API_VERSION: &str = env!("CARGO_PKG_VERSION");

/// What a kind of vault can do beyond `get`, `list` and `describe`.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Capability {
    /// `set` and `remove`.
    Write,
    /// Gives a secret another name in one step: `rename`.
    Rename,
    /// Keeps metadata: `set` with metadata and `set_metadata`.
    Metadata,
    /// May be locked: `unlock` and `lock`.
    Unlock,
    /// Keeps earlier versions of a secret.
    Versions,
    /// Has actions of its own.
    Actions,
    /// Wants to be told when a registration ends: `unregister`.
    Unregister,
}

impl Capability {
    /// Every capability, in the order they are listed for people.
    pub const ALL: &'static [Self] = &[
        Self::Write,
        Self::Rename,
        Self::Metadata,
        Self::Unlock,
        Self::Versions,
        Self::Actions,
        Self::Unregister,
    ];

    /// Returns the capability's name in manifests and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::Rename => "rename",
            Self::Metadata => "metadata",
            Self::Unlock => "unlock",
            Self::Versions => "versions",
            Self::Actions => "actions",
            Self::Unregister => "unregister",
        }
    }

    /// Returns the capability of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|capability| capability.as_str() == name)
    }
}

/// Whether names that differ only by case are one secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NameRule {
    /// `Token` and `token` are two secrets.
    CaseSensitive,
    /// `Token` and `token` are one.
    CaseInsensitive,
}

impl NameRule {
    /// Returns the rule's name in manifests.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CaseSensitive => "case-sensitive",
            Self::CaseInsensitive => "case-insensitive",
        }
    }
}

/// One kind of vault that a plugin has. Most plugins have one.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// The kind's name: lower-case letters, digits and dashes. The first kind is the one
    /// meant where none is named.
    pub name: &'static str,
    /// What it is, in one line.
    pub description: &'static str,
    /// What it can do beyond reading. One vault of it that cannot, since a server or a folder is
    /// so, answers [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported).
    pub capabilities: &'static [Capability],
    /// Which values it can hold; of one that is only read, which it may give.
    pub values: &'static [ValueKind],
    /// Whether case matters in names.
    pub names: NameRule,
    /// What a registration may or must say.
    pub parameters: &'static [Parameter],
    /// What a vault of this kind requests, beside what every kind of the plugin does
    /// ([`Manifest::permissions`]).
    pub permissions: &'static [PermissionRequest],
}

/// A permission that one kind of vault requests.
#[non_exhaustive]
#[derive(Debug, Clone, Copy)]
pub struct PermissionRequest {
    /// The permission, as [`Manifest::permissions`] writes it. No library, which is linked for every
    /// kind.
    pub permission: &'static str,
    /// Whether a vault opens without it. A user grants it by name, with `--grant`.
    pub optional: bool,
    /// What the vault does with it, in one line for the user who grants it; may be empty.
    pub why: &'static str,
}

impl PermissionRequest {
    /// Returns a permission that each vault of the kind needs.
    pub const fn required(permission: &'static str) -> Self {
        Self { permission, optional: false, why: "" }
    }

    /// Returns a permission that a vault opens without, and what it is for.
    pub const fn optional(permission: &'static str, why: &'static str) -> Self {
        Self { permission, optional: true, why }
    }
}

/// What a plugin says of itself.
///
/// # Examples
/// ```
/// use keystead_plugin_api::manifest::{Kind, Manifest, NameRule, PermissionRequest};
/// const MANIFEST: Manifest = Manifest {
///     id: "vendor-safe",
///     version: "2.1.0",
///     description: "Secrets in a Vendor Safe",
///     vendor: "Vendor Ltd",
///     license: "MIT",
///     homepage: "https://vendor.example/keystead",
///     kinds: &[Kind {
///         name: "safe",
///         description: "one safe",
///         capabilities: &[],
///         values: &[],
///         names: NameRule::CaseSensitive,
///         parameters: &[],
///         permissions: &[PermissionRequest::required("network")],
///     }],
///     permissions: &[],
/// };
/// assert!(MANIFEST.json_len() > 0);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Manifest {
    /// The plugin's id, unique on a machine: `[a-z0-9][a-z0-9-]{0,63}`.
    pub id: &'static str,
    /// The plugin's own version, a semantic version.
    pub version: &'static str,
    /// What it is for, in one line.
    pub description: &'static str,
    /// Who makes it.
    pub vendor: &'static str,
    /// Its license, as an SPDX expression.
    pub license: &'static str,
    /// Where people read more; may be empty.
    pub homepage: &'static str,
    /// The kinds of vault it has; at least one.
    pub kinds: &'static [Kind],
    /// What every vault requests, whatever its kind, as templates over the parameters:
    /// `files:{path}:rw`, `network`, `env:NAME`, `exec:PROGRAM`, `exec:PROGRAM:VAR,VAR` with
    /// variables that the plugin sets for the program, `dbus`, `library:SONAME`, and `replace:{path}`
    /// for one file that the host reads and replaces
    /// ([`Context::replace_file`](crate::Context::replace_file)). A vault requests those whose parameters its registration has. What one kind alone needs stands in
    /// [`Kind::permissions`].
    pub permissions: &'static [&'static str],
}

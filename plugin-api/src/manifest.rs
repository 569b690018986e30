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
    /// Writes and removes only what is still of a version that the caller has seen: `if_version`.
    Conditional,
    /// Several handles of one vault can be open and called at once: see
    /// [`Vault`](crate::Vault), **concurrent-calls** and what follows it.
    Concurrent,
    /// Keeps metadata: `set` with metadata and `set_metadata`.
    Metadata,
    /// May be locked: `unlock` and `lock`.
    Unlock,
    /// Keeps earlier versions of a secret.
    Versions,
    /// Lists what was removed and can be brought back: `list_removed`.
    ListRemoved,
    /// Brings back what was removed: `restore`.
    Restore,
    /// Removes for good: `purge`.
    Purge,
    /// Has actions of its own.
    Actions,
    /// Wants to be told when a registration ends: `unregister`.
    Unregister,
    /// Says when a secret changes. What a later minor version might add.
    #[cfg(feature = "next")]
    Watch,
}

impl Capability {
    /// Every capability, in the order they are listed for people.
    pub const ALL: &'static [Self] = &[
        Self::Write,
        Self::Rename,
        Self::Conditional,
        Self::Concurrent,
        Self::Metadata,
        Self::Unlock,
        Self::Versions,
        Self::ListRemoved,
        Self::Restore,
        Self::Purge,
        Self::Actions,
        Self::Unregister,
        #[cfg(feature = "next")]
        Self::Watch,
    ];

    /// Returns the capability's name in manifests and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::Rename => "rename",
            Self::Conditional => "conditional",
            Self::Concurrent => "concurrent",
            Self::Metadata => "metadata",
            Self::Unlock => "unlock",
            Self::Versions => "versions",
            Self::ListRemoved => "list-removed",
            Self::Restore => "restore",
            Self::Purge => "purge",
            Self::Actions => "actions",
            Self::Unregister => "unregister",
            #[cfg(feature = "next")]
            Self::Watch => "watch",
        }
    }

    /// Returns the capability of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|capability| capability.as_str() == name)
    }
}

/// Whether names that differ only by case are one secret.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NameRule {
    /// `Token` and `token` are two secrets.
    CaseSensitive,
    /// `Token` and `token` are one.
    CaseInsensitive,
    /// Names that differ by the width of characters are one, too. What a later minor version might add.
    #[cfg(feature = "next")]
    WidthInsensitive,
}

impl NameRule {
    /// Returns the rule's name in manifests.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CaseSensitive => "case-sensitive",
            Self::CaseInsensitive => "case-insensitive",
            #[cfg(feature = "next")]
            Self::WidthInsensitive => "width-insensitive",
        }
    }
}

/// One kind of vault that a plugin has. Most plugins have one.
#[non_exhaustive]
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// The kind's name: lower-case letters, digits and dashes. The first kind is the one
    /// meant where none is named.
    pub name: &'static str,
    /// What it is, in one line.
    pub description: &'static str,
    /// What it can do beyond reading. One vault of it that cannot, since a server or a directory is
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

impl Kind {
    /// Returns a kind of vault that is only read and gives texts, in whose names case matters.
    pub const fn new(name: &'static str, description: &'static str) -> Self {
        Self {
            name,
            description,
            capabilities: &[],
            values: &[ValueKind::Text],
            names: NameRule::CaseSensitive,
            parameters: &[],
            permissions: &[],
        }
    }

    /// Returns the kind with these capabilities.
    pub const fn can(mut self, capabilities: &'static [Capability]) -> Self {
        self.capabilities = capabilities;
        self
    }

    /// Returns the kind with these kinds of value.
    pub const fn values(mut self, values: &'static [ValueKind]) -> Self {
        self.values = values;
        self
    }

    /// Returns the kind with this rule for names.
    pub const fn names(mut self, names: NameRule) -> Self {
        self.names = names;
        self
    }

    /// Returns the kind with these parameters.
    pub const fn parameters(mut self, parameters: &'static [Parameter]) -> Self {
        self.parameters = parameters;
        self
    }

    /// Returns the kind with these permissions.
    pub const fn permissions(mut self, permissions: &'static [PermissionRequest]) -> Self {
        self.permissions = permissions;
        self
    }
}

/// What a plugin says of itself.
///
/// # Examples
/// ```
/// use keystead_plugin_api::manifest::{Kind, Manifest, PermissionRequest};
/// const MANIFEST: Manifest = Manifest::new("vendor-safe", "2.1.0")
///     .description("Secrets in a Vendor Safe")
///     .vendor("Vendor Ltd")
///     .kinds(&[Kind::new("safe", "one safe")
///         .permissions(&[PermissionRequest::required("network")])]);
/// assert!(MANIFEST.json_len() > 0);
/// ```
#[non_exhaustive]
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
    /// variables that the plugin sets for the program, `socket:{path}` for one Unix socket that it
    /// connects to, `dbus`, `library:SONAME`, and `replace:{path}`
    /// for one file that the host reads and replaces
    /// ([`Context::replace_file`](crate::Context::replace_file)). A vault requests those whose parameters its registration has. What one kind alone needs stands in
    /// [`Kind::permissions`].
    pub permissions: &'static [&'static str],
}

impl Manifest {
    /// Returns a manifest with nothing in it but this id and this version. A plugin has at least
    /// one kind of vault: see [`Manifest::kinds`].
    pub const fn new(id: &'static str, version: &'static str) -> Self {
        Self {
            id,
            version,
            description: "",
            vendor: "",
            license: "",
            homepage: "",
            kinds: &[],
            permissions: &[],
        }
    }

    /// Returns the manifest with this id.
    pub const fn id(mut self, id: &'static str) -> Self {
        self.id = id;
        self
    }

    /// Returns the manifest with this line about what the plugin is for.
    pub const fn description(mut self, description: &'static str) -> Self {
        self.description = description;
        self
    }

    /// Returns the manifest with the name of who makes the plugin.
    pub const fn vendor(mut self, vendor: &'static str) -> Self {
        self.vendor = vendor;
        self
    }

    /// Returns the manifest with this license, an SPDX expression.
    pub const fn license(mut self, license: &'static str) -> Self {
        self.license = license;
        self
    }

    /// Returns the manifest with this page about the plugin.
    pub const fn homepage(mut self, homepage: &'static str) -> Self {
        self.homepage = homepage;
        self
    }

    /// Returns the manifest with these kinds of vault.
    pub const fn kinds(mut self, kinds: &'static [Kind]) -> Self {
        self.kinds = kinds;
        self
    }

    /// Returns the manifest with these permissions.
    pub const fn permissions(mut self, permissions: &'static [&'static str]) -> Self {
        self.permissions = permissions;
        self
    }
}

/// Returns a package's name without `keystead-` and `plugin-` before it: the id of the plugin that
/// the package makes. Used by [`cargo_manifest!`](crate::cargo_manifest).
///
/// # Panics
/// When what is left can be no plugin's id: in a `const`, at compile time.
#[doc(hidden)]
pub const fn id_of_package(package: &'static str) -> &'static str {
    let package = package.as_bytes();
    let id = without_prefix(without_prefix(package, b"keystead-"), b"plugin-");
    let mut good = !id.is_empty() && id.len() <= 64 && id[0] != b'-';
    let mut i = 0;
    while i < id.len() {
        good = good && matches!(id[i], b'a'..=b'z' | b'0'..=b'9' | b'-');
        i += 1;
    }
    assert!(
        good,
        "the package's name cannot be the plugin's id, which is lower-case letters, digits and \
         dashes: use `Manifest::new(id, env!(\"CARGO_PKG_VERSION\"))` instead of `cargo_manifest!()`"
    );
    match std::str::from_utf8(id) {
        Ok(id) => id,
        Err(_) => unreachable!(),
    }
}

/// Returns a text without this before it, if it begins with it and has more.
const fn without_prefix(text: &'static [u8], prefix: &[u8]) -> &'static [u8] {
    let mut rest = text;
    let mut i = 0;
    while i < prefix.len() {
        rest = match rest {
            [first, rest @ ..] if *first == prefix[i] => rest,
            _ => return text,
        };
        i += 1;
    }
    match rest {
        [] => text,
        rest => rest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plugin_id_is_package_name_without_prefix() {
        for (package, id) in [
            ("keystead-plugin-notes", "notes"),
            ("keystead-notes", "notes"),
            ("notes", "notes"),
            ("keystead-", "keystead-"),
            ("keystead-plugin-", "plugin-"),
            ("keystead", "keystead"),
            ("plugin-notes", "notes"),
        ] {
            assert_eq!(id_of_package(package), id, "{package}");
        }
    }

    #[test]
    #[should_panic = "cannot be the plugin's id"]
    fn package_name_with_underscore_is_rejected_as_id() {
        id_of_package("my_notes");
    }

    #[test]
    fn cargo_manifest_macro_takes_fields_from_cargo() {
        const MANIFEST: Manifest = crate::cargo_manifest!().kinds(&[Kind::new("safe", "one safe")]);
        assert_eq!(MANIFEST.id, "api");
        assert_eq!(MANIFEST.version, env!("CARGO_PKG_VERSION"));
        assert_eq!(MANIFEST.license, "MIT OR Apache-2.0");
        assert!(MANIFEST.description.starts_with("Write a Keystead vault plugin"));
        assert_eq!((MANIFEST.vendor, MANIFEST.permissions.len()), ("", 0));
        assert_eq!(MANIFEST.kinds[0].values, [ValueKind::Text]);
    }
}

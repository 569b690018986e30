//! The administrator's policy for all plugins of a machine: `policy.toml` beside the pins. Small on
//! purpose. An unknown key is an error, since it was meant to forbid.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::roots::Roots;
use super::{Error, PinLayer};
use crate::plugin::inspect::Permission;
use crate::plugin::pins::{Digest, PluginId};
use crate::plugin::runner::{Namespaces, SandboxLevel};

/// The policy's file in the administrator's directory.
const FILE: &str = "policy.toml";

/// Maximum size of a policy, in bytes: ten thousand hashes.
const MAX_BYTES: u64 = 1024 * 1024;

/// Where plugins may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PlacementPolicy {
    /// As pin and registration specify.
    #[default]
    #[serde(skip)]
    AsRegistered,
    /// In a runner, whatever pin and registration specify.
    Isolated,
}

/// The administrator's limits for plugins. Without a file everything is allowed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    path: PathBuf,
    /// Where plugins may run.
    pub placement: PlacementPolicy,
    /// The required sandbox level of isolated plugins.
    pub sandbox: SandboxLevel,
    /// Whether isolated plugins have namespaces of their own.
    pub namespaces: Namespaces,
    user_plugins: UserPlugins,
    permissions: Option<Vec<Ability>>,
    allow: Option<Vec<Name>>,
    deny: Vec<Name>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum UserPlugins {
    #[default]
    Allowed,
    Forbidden,
}

/// A plugin by its id, or a file by its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Name {
    Id(PluginId),
    Hash(Digest),
}

/// A type of permission, for any file, variable or program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Ability {
    Files,
    Replace,
    Network,
    Env,
    Exec,
    Socket,
    Dbus,
    Library,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Text {
    #[serde(default = "yes")]
    user_plugins: bool,
    #[serde(default)]
    placement: PlacementPolicy,
    #[serde(default)]
    sandbox: SandboxLevel,
    #[serde(default)]
    namespaces: Namespaces,
    permissions: Option<Vec<Ability>>,
    allow: Option<Vec<toml::Spanned<String>>>,
    #[serde(default)]
    deny: Vec<toml::Spanned<String>>,
}

fn yes() -> bool {
    true
}

impl Policy {
    pub(super) fn read(roots: &Roots<'_>) -> Result<Self, Error> {
        let Some(dir) = roots.administrator()? else { return Ok(Self::default()) };
        match dir.read(FILE, MAX_BYTES)? {
            Some(bytes) => Self::parse(&bytes, &dir.path().join(FILE)),
            None => Ok(Self::default()),
        }
    }

    fn parse(bytes: &[u8], path: &Path) -> Result<Self, Error> {
        let malformed = |start: usize, what: String| {
            let (line, column) = crate::plugin::pins::position(bytes, start);
            Error::PolicyMalformed { path: path.to_owned(), line, column, what }
        };
        let text = std::str::from_utf8(bytes)
            .map_err(|error| malformed(error.valid_up_to(), "it is not UTF-8".to_owned()))?;
        let text: Text = toml::from_str(text).map_err(|error| {
            malformed(error.span().map_or(0, |span| span.start), error.message().to_owned())
        })?;
        let names = |list: Vec<toml::Spanned<String>>| {
            let parse = |one: toml::Spanned<String>| {
                let start = one.span().start;
                let text = one.into_inner();
                match (PluginId::parse(&text), Digest::parse(&text)) {
                    (Ok(id), _) => Ok(Name::Id(id)),
                    (_, Ok(hash)) => Ok(Name::Hash(hash)),
                    (Err(error), _) => {
                        Err(malformed(start, format!("{error}, nor a SHA-256 hash")))
                    }
                }
            };
            list.into_iter().map(parse).collect::<Result<Vec<_>, _>>()
        };
        Ok(Self {
            path: path.to_owned(),
            placement: text.placement,
            sandbox: text.sandbox,
            namespaces: text.namespaces,
            user_plugins: match text.user_plugins {
                true => UserPlugins::Allowed,
                false => UserPlugins::Forbidden,
            },
            permissions: text.permissions,
            allow: text.allow.map(names).transpose()?,
            deny: names(text.deny)?,
        })
    }

    /// Refuses a plugin that may not be used at all.
    pub(super) fn permit(
        &self,
        id: &PluginId,
        sha256: &Digest,
        layer: PinLayer,
    ) -> Result<(), Error> {
        let (id, path) = (id.clone(), self.path.clone());
        let listed = |list: &[Name]| {
            list.iter().any(|name| match name {
                Name::Id(one) => *one == id,
                Name::Hash(one) => one == sha256,
            })
        };
        if listed(&self.deny) {
            return Err(Error::Denied { id, path });
        }
        if self.allow.as_ref().is_some_and(|allow| !listed(allow)) {
            return Err(Error::NotAllowed { id, path });
        }
        if layer == PinLayer::User && self.user_plugins == UserPlugins::Forbidden {
            return Err(Error::UserPlugins { id, path });
        }
        Ok(())
    }

    /// Refuses a plugin that requests more than any plugin may have.
    pub(super) fn permit_permissions(
        &self,
        id: &PluginId,
        permissions: &[&Permission],
    ) -> Result<(), Error> {
        let Some(most) = &self.permissions else { return Ok(()) };
        let over = permissions.iter().find(|permission| {
            Ability::of(permission).is_none_or(|ability| !most.contains(&ability))
        });
        match over {
            Some(permission) => Err(Error::Permission {
                id: id.clone(),
                permission: permission.text(),
                path: self.path.clone(),
            }),
            None => Ok(()),
        }
    }
}

impl Ability {
    /// Returns the ability for a permission; `None` for a type that this list does not know yet.
    #[allow(unreachable_patterns, reason = "permissions are a list that grows")]
    fn of(permission: &Permission) -> Option<Self> {
        match permission {
            Permission::Files { .. } => Some(Self::Files),
            Permission::Replace { .. } => Some(Self::Replace),
            Permission::Network => Some(Self::Network),
            Permission::Env(_) => Some(Self::Env),
            Permission::Exec { .. } => Some(Self::Exec),
            Permission::Socket { .. } => Some(Self::Socket),
            Permission::Dbus => Some(Self::Dbus),
            Permission::Library(_) => Some(Self::Library),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(text: &str) -> Result<Policy, Error> {
        Policy::parse(text.as_bytes(), Path::new("/etc/keystead/policy.toml"))
    }

    fn permit(text: &str, layer: PinLayer) -> &'static str {
        let id = PluginId::parse("memory").unwrap();
        let done = policy(text).unwrap().permit(&id, &Digest::of(b"x"), layer);
        done.map_or_else(|e| e.code(), |()| "ok")
    }

    #[test]
    fn empty_policy_allows_everything() {
        assert_eq!(permit("", PinLayer::User), "ok");
        assert_eq!(policy("").unwrap().placement, PlacementPolicy::AsRegistered);
    }

    #[test]
    fn policy_denies_and_allows_by_id_and_hash() {
        let hash = Digest::of(b"x");
        assert_eq!(permit("deny = ['memory']", PinLayer::Administrator), "E07.policy-denied");
        assert_eq!(permit(&format!("deny = ['{hash}']"), PinLayer::Packaged), "E07.policy-denied");
        assert_eq!(permit("deny = ['other']", PinLayer::User), "ok");
        assert_eq!(permit("allow = ['other']", PinLayer::Administrator), "E07.not-allowed");
        assert_eq!(permit("allow = []", PinLayer::User), "E07.not-allowed");
        assert_eq!(permit(&format!("allow = ['other', '{hash}']"), PinLayer::User), "ok");
        let both = "allow = ['memory']\ndeny = ['memory']";
        assert_eq!(permit(both, PinLayer::User), "E07.policy-denied");
    }

    #[test]
    fn policy_forbids_only_user_installed_plugins() {
        assert_eq!(permit("user-plugins = false", PinLayer::User), "E07.user-plugins");
        assert_eq!(permit("user-plugins = false", PinLayer::Packaged), "ok");
        assert_eq!(permit("user-plugins = true", PinLayer::User), "ok");
    }

    #[test]
    fn policy_limits_requested_permissions() {
        let id = PluginId::parse("memory").unwrap();
        let asks: Vec<_> = ["files:{path}:rw", "network", "replace:{path}"]
            .iter()
            .map(|text| Permission::parse(text).unwrap())
            .collect();
        let check = |text: &str| {
            policy(text).unwrap().permit_permissions(&id, &asks.iter().collect::<Vec<_>>())
        };
        assert!(check("").is_ok());
        assert!(check("permissions = ['network', 'files', 'replace']").is_ok());
        assert_eq!(
            check("permissions = ['files']").unwrap_err().to_string(),
            "plugin `memory` asks for `network`, which the policy `/etc/keystead/policy.toml` \
             gives to no plugin"
        );
        assert!(check("permissions = ['files', 'network']").is_err());
        assert!(check("permissions = []").is_err());
    }

    #[test]
    fn unknown_policy_key_or_value_is_rejected() {
        let message = |text: &str| policy(text).unwrap_err().to_string();
        assert_eq!(
            message("# ours\nuser-plugin = false"),
            "the policy `/etc/keystead/policy.toml` is malformed in line 2, column 1: unknown \
             field `user-plugin`, expected one of `user-plugins`, `placement`, `sandbox`, \
             `namespaces`, `permissions`, `allow`, `deny`"
        );
        assert!(message("deny = ['A']").contains("line 1, column 9: `A` is not a plugin's id"));
        for text in [
            "placement = 'as-registered'",
            "sandbox = 'best-effort'",
            "placement = 'x'",
            "permissions = ['all']",
            "?",
        ] {
            assert_eq!(policy(text).unwrap_err().code(), "E07.policy-malformed", "{text}");
        }
        assert_eq!(policy("sandbox = 'full'").unwrap().sandbox, SandboxLevel::Full);
        assert_eq!(policy("").unwrap().sandbox, SandboxLevel::BestEffort);
        for (text, namespaces) in [
            ("", Namespaces::BestEffort),
            ("namespaces = 'off'", Namespaces::Off),
            ("namespaces = 'required'", Namespaces::Required),
        ] {
            assert_eq!(policy(text).unwrap().namespaces, namespaces, "{text}");
        }
        assert!(policy("namespaces = 'best-effort'").is_err());
        assert_eq!(policy("placement = 'isolated'").unwrap().placement, PlacementPolicy::Isolated);
    }
}

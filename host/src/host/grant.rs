//! What a registration grants to its plugin: what it asks for with the parameters put in, what of
//! that was granted, and what nobody can grant.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use keystead_plugin_api::VaultName;

use super::{Host, open};
use crate::error::{Error, Result};
use crate::paths::{Layer, Paths};
use crate::plugin::inspect::{FileAccess, Kind, Manifest, Permission};
use crate::registry::{DefaultChoice, Entry, Replace, Setting, schema};

/// How closely grants are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// At their text: they were looked at when they were registered.
    AtText,
    /// At where they lead as well.
    AtFiles,
}

/// What of the user's data folder decides which code runs, and is no plugin's.
const OWN_DATA: [&str; 5] = ["plugins", "pins.d", "verdicts", "crashes", "running"];

/// What a registration is to grant from now on.
#[derive(Debug)]
pub struct PlannedGrant {
    layer: Layer,
    entry: Entry,
    more: Vec<String>,
}

impl PlannedGrant {
    /// Returns what the plugin asks for beyond what is granted, each in plain words.
    pub fn more(&self) -> &[String] {
        &self.more
    }

    /// Returns the registration as it will be written.
    pub fn entry(&self) -> &Entry {
        &self.entry
    }
}

impl Host {
    /// Finds what a vault's plugin asks for now and its registration does not grant: the plugin
    /// was upgraded, or parameters were changed. Changes nothing, and runs no plugin.
    ///
    /// # Errors
    /// The vault is not registered in that layer, or its plugin cannot be used;
    /// [`Error::ReachesOwn`].
    pub fn plan_grant(&self, name: &VaultName, layer: Layer) -> Result<PlannedGrant> {
        // What is not there in this layer, or is locked, says so as when it were taken away.
        self.0.registry.unregister(layer, name.clone()).plan()?;
        let (_, mut entry) = self.layered(name)?;
        let trusted = self.plugins().find(&open::plugin_id(&entry.plugin)?)?;
        let kind = open::kind_of(trusted.manifest(), entry.kind.as_deref())?;
        let asked = expand(trusted.manifest(), kind, &entry, self.home().as_deref());
        self.keep_off_own_folders(&entry, &asked, Look::AtFiles)?;
        let is_new = |asked: &&Permission| !is_granted(asked, &entry);
        let more = asked.iter().filter(is_new).map(ToString::to_string).collect();
        entry.grants = asked.iter().map(Permission::text).collect();
        Ok(PlannedGrant { layer, entry, more })
    }

    /// Grants what was planned. What is no longer asked for is no longer granted.
    ///
    /// # Errors
    /// What is wrong with the registry; nothing is half-written.
    pub fn grant(&self, plan: PlannedGrant) -> Result<()> {
        let name = plan.entry.name.clone();
        let registry = &self.0.registry;
        registry.register(plan.layer, plan.entry, Replace::Whole, DefaultChoice::First).apply()?;
        self.close(&name);
        Ok(())
    }

    /// Returns what a vault's plugin asks for beyond what its registration grants.
    pub(crate) fn not_granted(
        &self,
        entry: &Entry,
        manifest: &Manifest,
        kind: &Kind,
    ) -> Vec<String> {
        beyond(&expand(manifest, kind, entry, self.home().as_deref()), entry)
    }

    /// Returns what is wrong with a registration whose plugin could grant itself the rest.
    pub(crate) fn reaches_own(
        &self,
        entry: &Entry,
        manifest: &Manifest,
        kind: &Kind,
    ) -> Option<Error> {
        let asked = expand(manifest, kind, entry, self.home().as_deref());
        self.keep_off_own_folders(entry, &asked, Look::AtFiles).err()
    }

    /// Refuses what would let a plugin write where Keystead keeps what plugins may do: it would
    /// grant itself the rest.
    ///
    /// # Errors
    /// [`Error::ReachesOwn`].
    pub(super) fn keep_off_own_folders(
        &self,
        entry: &Entry,
        asked: &[Permission],
        look: Look,
    ) -> Result<()> {
        for permission in asked {
            let Permission::Files { template, access: FileAccess::ReadWrite } = permission else {
                continue;
            };
            let path = Path::new(template);
            let paths = &self.options().paths;
            let written = own_folder_in_reach(paths, path);
            let found = || match look == Look::AtFiles {
                true => own_folder_in_reach(paths, &actual(path)),
                false => None,
            };
            if let Some(own) = written.or_else(found) {
                return Err(Error::ReachesOwn {
                    vault: entry.name.clone(),
                    plugin: entry.plugin.clone(),
                    path: template.into(),
                    own,
                });
            }
        }
        Ok(())
    }
}

/// Returns where a path leads, as far as there is something.
fn actual(path: &Path) -> PathBuf {
    let there = path.ancestors().find_map(|above| Some((above, above.canonicalize().ok()?)));
    let Some((above, mut actual)) = there else { return path.to_owned() };
    actual.extend(path.strip_prefix(above));
    actual
}

/// Whether a path is a folder or lies in it: both absolute and without `..`. By bytes, since it is
/// asked at each opening, and `Path` takes each apart anew.
fn is_within(path: &Path, folder: &Path) -> bool {
    let (path, folder) = (path.as_os_str().as_bytes(), folder.as_os_str().as_bytes());
    let folder = folder.strip_suffix(b"/").unwrap_or(folder);
    path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
}

/// Returns the folder of Keystead's own that somebody could change who may write to this path.
fn own_folder_in_reach(paths: &Paths, path: &Path) -> Option<PathBuf> {
    let meets = |own: &Path| is_within(own, path) || is_within(path, own);
    let settings = [Some(&paths.system_config), paths.user_config.as_ref()];
    let packaged = paths.packaged.iter().map(Some);
    if let Some(own) = settings.into_iter().chain(packaged).flatten().find(|own| meets(own)) {
        return Some(own.clone());
    }
    let data = paths.user_data.as_ref()?;
    if is_within(data, path) {
        return Some(data.clone());
    }
    if !is_within(path, data) {
        return None;
    }
    // Vaults of ours keep their files in other folders there.
    match path.strip_prefix(data).ok()?.components().next()? {
        Component::Normal(first) if OWN_DATA.iter().all(|own| first != *own) => None,
        first => Some(data.join(first)),
    }
}

/// Returns what a plugin asks for with a registration's parameters put in. A permission
/// whose parameter is not given is not asked for: there is nothing to permit.
pub(super) fn expand(
    manifest: &Manifest,
    kind: &Kind,
    entry: &Entry,
    home: Option<&Path>,
) -> Vec<Permission> {
    let values = templates(kind, entry, home);
    let mut asked = Vec::new();
    for permission in &manifest.permissions {
        if permission.parameters().all(|name| values.contains_key(name)) {
            asked.push(permission.filled_in(&values));
        }
    }
    asked.sort();
    asked.dedup();
    asked
}

/// The texts that templates are filled in with: what is registered, else the defaults.
fn templates(kind: &Kind, entry: &Entry, home: Option<&Path>) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    for parameter in &kind.parameters {
        let value = match entry.parameters.get(parameter.name.as_ref()) {
            Some(Setting::Text(text)) => text.clone(),
            Some(Setting::Integer(number)) => number.to_string(),
            Some(Setting::Boolean(yes)) => yes.to_string(),
            Some(Setting::Reference(_)) => continue,
            None if parameter.default.is_empty() || schema::depends(parameter) => continue,
            None => match (parameter.default.strip_prefix("~/"), home) {
                (Some(rest), Some(home)) => home.join(rest).display().to_string(),
                _ => parameter.default.to_string(),
            },
        };
        values.insert(parameter.name.to_string(), value);
    }
    values
}

/// Returns the right to write to the folder that a path is in.
pub(super) fn folder_of(path: &str) -> Option<Permission> {
    let asked = Permission::parse(&format!("files:{path}/..:rw")).ok()?;
    Some(asked.filled_in(&BTreeMap::new()))
}

/// Returns what is asked for beyond what a registration grants.
pub(super) fn beyond(asked: &[Permission], entry: &Entry) -> Vec<String> {
    let missing = asked.iter().filter(|asked| !is_granted(asked, entry));
    missing.map(Permission::text).collect()
}

fn is_granted(asked: &Permission, entry: &Entry) -> bool {
    // As a rule it is granted as it is asked for.
    entry.grants.contains(&asked.text())
        || entry
            .grants
            .iter()
            .any(|granted| Permission::parse(granted).is_ok_and(|granted| granted.covers(asked)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_is_above_or_in_keysteads_own_folders_is_in_reach() {
        let paths = Paths {
            system_config: "/etc/keystead".into(),
            user_config: Some("/home/ada/.config/keystead".into()),
            user_data: Some("/home/ada/.local/share/keystead".into()),
            packaged: vec!["/usr/lib/keystead".into()],
        };
        let reached = |path: &str| own_folder_in_reach(&paths, Path::new(path));
        for path in [
            "/",
            "/home/ada/",
            "/home/ada/.config/",
            "/home/ada/.config/keystead/vaults/x.toml",
            "/home/ada/.local/share/keystead/",
            "/home/ada/.local/share/keystead/plugins/",
            "/home/ada/.local/share/keystead/pins.d/memory.toml",
            "/etc/",
            "/usr/lib/keystead/plugins/x.so",
        ] {
            assert!(reached(path).is_some(), "{path}");
        }
        for path in [
            "/home/ada/notes/",
            "/home/ada/.local/share/keystead/store/work/",
            "/home/ada/.config/keystead-notes/",
            "/srv/x",
        ] {
            assert_eq!(reached(path), None, "{path}");
        }
    }

    #[test]
    fn a_path_is_followed_as_far_as_there_is_something() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        std::os::unix::fs::symlink(root.join("a/b"), root.join("link")).unwrap();
        for (path, leads_to) in [("link", "a/b"), ("link/none/x", "a/b/none/x")] {
            assert_eq!(actual(&root.join(path)), root.join(leads_to), "{path}");
        }
    }
}

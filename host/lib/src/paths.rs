//! Directories that a caller gives the host. Nothing here reads the environment.

use std::fmt;
use std::path::{Path, PathBuf};

use keystead_plugin_api::VaultName;

/// Layer of the configuration that a registration can come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Layer {
    /// The administrator's layer: `/etc/keystead`.
    System,
    /// The user's layer, which overrides the system layer.
    User,
}

impl Layer {
    /// Both layers, the lower one first.
    pub const ALL: &'static [Self] = &[Self::System, Self::User];

    /// Returns the layer's name in messages and in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
        }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Directories that the host works in. The caller sets them, from the environment or not.
///
/// Every path is absolute: a relative path depends on the current directory of the process.
/// A missing directory counts as empty.
///
/// # Examples
/// ```
/// use keystead::paths::{Layer, Paths};
/// let paths = Paths {
///     system_config: "/etc/keystead".into(),
///     user_config: None,
///     user_data: None,
///     packaged: vec!["/usr/lib/keystead".into()],
/// };
/// assert!(paths.vaults_dir(Layer::System).unwrap().ends_with("keystead/vaults"));
/// assert!(paths.vaults_dir(Layer::User).is_none());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// The administrator's settings, registrations and pins: `/etc/keystead`.
    pub system_config: PathBuf,
    /// The user's settings and registrations; `None` if there is no such user.
    pub user_config: Option<PathBuf>,
    /// The user's plugins, pins, verdicts and vaults; `None` if there is no such user.
    pub user_data: Option<PathBuf>,
    /// Directories of installed packages, most specific first; each may hold `plugins/`
    /// and `pins.d/`.
    pub packaged: Vec<PathBuf>,
}

impl Paths {
    /// Returns these directories without the user's.
    pub(crate) fn of_the_system(self) -> Self {
        Self { user_config: None, user_data: None, ..self }
    }

    /// Returns the directory of a layer's settings and registrations.
    pub fn config_dir(&self, layer: Layer) -> Option<&Path> {
        match layer {
            Layer::System => Some(&self.system_config),
            Layer::User => self.user_config.as_deref(),
        }
    }

    /// Returns the directory with one file per registered vault.
    pub fn vaults_dir(&self, layer: Layer) -> Option<PathBuf> {
        Some(self.config_dir(layer)?.join("vaults"))
    }

    /// Returns the file in which the host registers a vault of this name. The name of a file
    /// that another program created may differ in case.
    pub(crate) fn vault_file(&self, layer: Layer, name: &VaultName) -> Option<PathBuf> {
        Some(self.vaults_dir(layer)?.join(format!("{name}.toml")))
    }

    /// Returns the file that holds the layer's default vault.
    pub(crate) fn config_file(&self, layer: Layer) -> Option<PathBuf> {
        Some(self.config_dir(layer)?.join("config.toml"))
    }

    /// Returns the directory of the locks between this user's processes.
    pub(crate) fn locks_dir(&self) -> Option<PathBuf> {
        Some(self.user_data.as_deref()?.join("locks"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_without_user_have_only_system_files() {
        let paths = Paths {
            system_config: "/etc/keystead".into(),
            user_config: None,
            user_data: None,
            packaged: vec!["/usr/local/lib/keystead".into(), "/usr/lib/keystead".into()],
        };
        let name = VaultName::parse("Work").unwrap();
        assert_eq!(
            paths.vault_file(Layer::System, &name),
            Some("/etc/keystead/vaults/Work.toml".into())
        );
        assert_eq!(paths.vault_file(Layer::User, &name), None);
        assert_eq!(paths.config_file(Layer::User), None);
    }
}

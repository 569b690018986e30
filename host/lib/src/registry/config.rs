//! `config.toml`, beside the registrations of a layer: sets the layer's default vault.

use std::path::Path;

use keystead_plugin_api::VaultName;

use super::Error;
use super::read::Document;

/// A layer's setting of the default vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Default {
    /// Not set: the layer below decides.
    Unsaid,
    /// No default vault, whatever the layer below sets: `default = ""`.
    None,
    /// This vault.
    Vault(VaultName),
}

/// Returns the setting in the text of a `config.toml`.
pub(super) fn parse(path: &Path, text: &str) -> Result<Default, Error> {
    let mut table = Document::new(path, text).parse(&["schema", "default"])?;
    table.check_schema()?;
    let allowed = |text: &str| text.is_empty() || VaultName::parse(text).is_ok();
    let default = table.text("default", allowed, "a vault's name, or empty for none")?;
    table.finish()?;
    Ok(match default.as_deref().map(VaultName::parse) {
        None => Default::Unsaid,
        Some(Ok(name)) => Default::Vault(name),
        Some(Err(_)) => Default::None,
    })
}

//! `config.toml`, beside the registrations of a layer: which vault is its default.

use std::path::Path;

use keystead_plugin_api::VaultName;

use super::Error;
use super::read::Document;

/// What a layer says about the default vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Default {
    /// Nothing: the layer below decides.
    Unsaid,
    /// There is none, whatever the layer below says: `default = ""`.
    None,
    /// This one.
    Vault(VaultName),
}

/// Returns what the text of a `config.toml` says.
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

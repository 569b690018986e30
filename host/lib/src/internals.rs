//! For Keystead's own crates and tests only, without stability guarantees. The command line, import
//! and export, tests and fuzz targets need these items; programs that embed the host do not.

use std::ops::ControlFlow;
use std::path::Path;

use keystead_plugin_api::testing::Outcome;
use keystead_plugin_api::{SecretName, SecretText, VaultName};

use crate::doctor::Finding;
use crate::error::{Error, Result};
use crate::host::{Host, OptionalPermission};
use crate::plugin::inspect::ParsedKind;
use crate::plugin::pins::PluginId;
use crate::plugin::trust::Unpinned;
use crate::prompter::Prompter;
use crate::reference::Reference;
use crate::registry::{Placement, Registration};

pub use crate::error::visible;
pub use crate::host::{Check, Denied, PlacementReason, may_be_denial, tells_of_denial};
pub use crate::plugin::exec::run as execute;
pub use crate::secrets::transfer::same_value;
pub use crate::secrets::{has_wildcards, single, unfit};
pub use crate::shell::word;
pub use crate::similar::similar;

/// Items of the agent beyond [`Client`](crate::agent::Client).
pub mod agent {
    pub use crate::agent::*;
}

/// Findings and fixes of `doctor`.
pub mod doctor {
    pub use crate::doctor::*;
}

/// Escaping of foreign text.
pub mod escape {
    pub use crate::escape::*;
}

/// Files, directories and locks.
pub mod fs {
    pub use crate::fs::*;
}

/// The rights of this process.
pub mod ids {
    pub use crate::ids::*;
}

/// JSON texts.
pub mod json {
    pub use crate::json::*;
}

/// Metadata keys with the same meaning in every vault.
pub mod metadata {
    pub use crate::secrets::metadata::*;
}

/// Plugin files, from their bytes to their process.
pub mod plugin {
    pub use crate::plugin::*;
}

/// The registry's files.
pub mod registry {
    pub use crate::registry::*;
}

/// Returns the vault that a write goes to.
///
/// # Errors
/// [`NoDefaultVault`](Error::NoDefaultVault) if no vault is named and no default vault is set.
pub fn target(host: &Host, named: Option<&VaultName>) -> Result<VaultName> {
    host.target(named)
}

/// Returns the vault kind of a vault.
///
/// # Errors
/// The error of every request to the vault.
pub fn kind_to_write(host: &Host, vault: &VaultName) -> Result<ParsedKind> {
    Ok(host.prepare(vault)?.kind().clone())
}

/// Returns another vault that has a secret, among the vaults that a search covers and that answer
/// without a prompt.
pub fn other_vault_with(host: &Host, name: &SecretName, than: &VaultName) -> Option<VaultName> {
    host.other_vault_with(name, than)
}

/// Returns problems with directories, plugins and registrations.
pub fn diagnose(host: &Host) -> Vec<Finding> {
    host.diagnose()
}

/// Passes the names of a vault's secrets with this prefix to `each`, if that needs no prompt.
///
/// # Errors
/// Faults of the registration or the plugin, or that the vault is locked.
pub fn names_at_hand(
    host: &Host,
    vault: &VaultName,
    prefix: &str,
    each: &mut dyn FnMut(SecretName) -> ControlFlow<()>,
) -> Result<()> {
    host.names_without_prompt(vault, prefix, each)
}

/// Returns the names on the first page of a vault.
///
/// # Errors
/// Those of the vault.
pub fn first_names(
    host: &Host,
    vault: &VaultName,
    ask: &mut dyn Prompter,
) -> Result<Vec<SecretName>> {
    host.first_names(vault, ask)
}

/// Returns the grants of the vault that an error belongs to, if that error may come from its
/// plugin's sandbox.
pub fn denied(host: &Host, error: &Error) -> Option<Denied> {
    host.denied(error)
}

/// Returns the placement of a registered vault, and its reason.
///
/// # Errors
/// When the vault's plugin cannot be used.
pub fn placement(host: &Host, entry: &Registration) -> Result<(Placement, PlacementReason)> {
    host.placement(entry)
}

/// Returns the optional permissions that a vault's plugin requests.
///
/// # Errors
/// When the plugin cannot be used, or has no such vault kind.
pub fn optional_permissions(host: &Host, entry: &Registration) -> Result<Vec<OptionalPermission>> {
    host.optional_permissions(entry)
}

/// Returns the secret text that a reference stands for.
///
/// # Errors
/// When the reference cannot be resolved.
pub fn follow(host: &Host, what: &str, of: &Reference, dir: &Path) -> Result<SecretText> {
    host.follow(what, of, dir)
}

/// Runs the conformance tests on a file that need not be installed.
///
/// # Errors
/// When the vault cannot be opened.
pub fn check_file(
    host: &Host,
    plugin: &Unpinned,
    check: &Check,
    report: &mut dyn FnMut(&Outcome),
) -> Result<()> {
    host.check_file(plugin, check, report)
}

/// Runs the conformance tests on an installed plugin.
///
/// # Errors
/// As for [`check_file`], and when the plugin may not run with this placement.
pub fn check_installed(
    host: &Host,
    id: &PluginId,
    placement: Placement,
    check: &Check,
    report: &mut dyn FnMut(&Outcome),
) -> Result<()> {
    host.check_installed(id, placement, check, report)
}

//! For Keystead's own crates only, without any promise: what the command line and the import and
//! export need beyond what a program that embeds the host does.

use keystead_plugin_api::VaultName;

use crate::error::Result;
use crate::host::Host;
use crate::plugin::inspect::Kind;

pub use crate::error::visible;
pub use crate::plugin::exec::run as execute;
pub use crate::secrets::transfer::same_value;
pub use crate::secrets::unfit;
pub use crate::shell::word;

/// Returns the vault that a write goes to.
///
/// # Errors
/// [`NoDefaultVault`](crate::Error::NoDefaultVault) where none is named and there is none.
pub fn target(host: &Host, named: Option<&VaultName>) -> Result<VaultName> {
    host.target(named)
}

/// Returns the kind of a vault.
///
/// # Errors
/// The error that the vault answers every request with.
pub fn kind_to_write(host: &Host, vault: &VaultName) -> Result<Kind> {
    host.kind_to_write(vault)
}

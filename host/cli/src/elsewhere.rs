//! The hint that another vault has a secret which the only searched vault does not have.

use keystead::{Error, Host, transfer};
use keystead_plugin_api::{SecretName, VaultName};

use crate::failure::Failure;

/// Returns the failure with the vault that has the secret, and the option that names it.
pub(crate) fn with_other_vault(mut failure: Failure, host: &Host, option: &str) -> Failure {
    let Some((name, asked)) = missed(&failure) else { return failure };
    if let Some(vault) = keystead::internals::other_vault_with(host, &name, &asked) {
        failure.hints = vec![format!("vault `{vault}` has it: add `{option} {vault}`")];
    }
    failure
}

/// Returns the missing secret, and the only vault that was searched.
fn missed(failure: &Failure) -> Option<(SecretName, VaultName)> {
    match failure.error.downcast_ref::<Error>()? {
        Error::NoSuchSecret { name, searched, .. } => match searched.as_slice() {
            [only] => Some((name.clone(), only.clone())),
            _ => None,
        },
        Error::Transfer(transfer::Error::NoMatch { pattern, vault }) => {
            Some((SecretName::parse(pattern).ok()?, vault.clone()))
        }
        _ => None,
    }
}

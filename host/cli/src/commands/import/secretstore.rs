//! Owner of an imported SecretStore, and its password.

use std::path::Path;

use keystead_exchange::secretstore::{Owner, Store};

use super::super::CommandContext;
use super::locked;
use crate::environment;
use crate::failure::Failure;

/// Returns the owner of the store, with its password where the store has a password.
///
/// # Errors
/// The store belongs to another account, prompting is not possible, or the password is wrong.
pub(super) fn owner(
    dir: &Path,
    user: Option<String>,
    scene: &CommandContext<'_>,
) -> Result<Owner, Failure> {
    let user = user.or_else(environment::account).ok_or_else(|| {
        Failure::usage("cannot tell what your account is called").hint("add `--user NAME`")
    })?;
    let store = || Store::open(dir, &user).map_err(Failure::from);
    if !store()?.has_password() {
        return Ok(Owner { user, password: None });
    }
    let password = locked::password(scene, "Password of the SecretStore", &mut |password| {
        store()?.unlock(Some(password)).map(drop).map_err(Failure::from)
    })?;
    Ok(Owner { user, password: Some(password) })
}

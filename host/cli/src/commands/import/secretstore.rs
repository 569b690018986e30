//! Whose SecretStore is imported, and its password: from the command line's references, or
//! from whoever sits at the terminal.

use std::path::Path;

use keystead_exchange::Error;
use keystead_exchange::secretstore::{Owner, Store};
use keystead_plugin_api::SecretText;

use super::super::{CommandContext, current_dir};
use crate::environment;
use crate::failure::Failure;
use crate::terminal::InputError;

/// What `--unlock` calls the password.
const PASSWORD: &str = "password";

/// How often it may be typed wrongly: as often as a vault's.
const MAX_WRONG_ANSWERS: usize = 3;

/// Returns whose store it is, with the password that opens it where it has one.
///
/// # Errors
/// That it is not this account's store, that nobody can be asked, or that the password is
/// wrong.
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
    let given = scene.unlock.answer_once(PASSWORD, None, None);
    if let Some(reference) = given {
        let password =
            keystead::internals::follow(&scene.host, PASSWORD, &reference, &current_dir()?)?;
        store()?.unlock(Some(&password)).map_err(|error| {
            Failure::from(error).hint(format!("the answer to `{PASSWORD}` came from `{reference}`"))
        })?;
        return Ok(Owner { user, password: Some(password) });
    }
    let mut wrong = 0;
    loop {
        let password = ask(scene)?;
        match store()?.unlock(Some(&password)) {
            Ok(_) => return Ok(Owner { user, password: Some(password) }),
            Err(error @ Error::WrongPassword) => {
                wrong += 1;
                if wrong == MAX_WRONG_ANSWERS {
                    return Err(error.into());
                }
                scene.terminal.tell(&format!("{error}. Try again."));
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn ask(scene: &CommandContext<'_>) -> Result<SecretText, Failure> {
    scene.terminal.hidden("Password of the SecretStore").map_err(|why| match why {
        InputError::Nobody => Error::NoPassword.into(),
        why @ (InputError::TooLong | InputError::SeveralLines) => {
            Failure::from(why).hint(format!("add `--unlock {PASSWORD}=file:FILE`"))
        }
        why => why.into(),
    })
}

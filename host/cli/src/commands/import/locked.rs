//! The password of what is imported: from the command line's references, or from whoever sits at the
//! terminal.

use keystead_exchange::{Error, ImportFormat, ImportOptions, open};
use keystead_plugin_api::SecretText;

use super::super::{CommandContext, current_dir};
use super::origin::Origin;
use crate::failure::Failure;
use crate::terminal::InputError;

/// What `--unlock` calls the password.
const PASSWORD: &str = "password";

/// How often it may be typed wrongly: as often as a vault's.
const MAX_WRONG_ANSWERS: usize = 3;

/// Returns the password of an export, where it has one.
///
/// # Errors
/// That nobody can be asked, or that the password is wrong.
pub(super) fn export(
    origin: &mut Origin,
    form: ImportFormat,
    scene: &CommandContext<'_>,
) -> Result<Option<SecretText>, Failure> {
    if form != ImportFormat::Bitwarden {
        return Ok(None);
    }
    if origin.is_read_once() {
        // To try a password it would have to be read.
        return Ok(given(scene)?.map(|(password, _)| password));
    }
    let mut attempt = |password: Option<SecretText>| -> Result<Option<SecretText>, Failure> {
        let reading = ImportOptions { password, ..ImportOptions::default() };
        match open(form, origin.source()?, &reading) {
            Err(error @ (Error::NoPassword | Error::WrongPassword { .. })) => Err(error.into()),
            // Whatever else is wrong with it is told when it is read.
            _ => Ok(reading.password),
        }
    };
    match attempt(None) {
        Ok(_) => Ok(None),
        Err(_) => password(scene, "Password of the export", &mut |password| {
            attempt(Some(password.duplicate())).map(drop)
        })
        .map(Some),
    }
}

/// Returns the password that opens something.
///
/// # Errors
/// That nobody can be asked, that the password is wrong, or what else is the matter with it.
pub(super) fn password(
    scene: &CommandContext<'_>,
    question: &str,
    attempt: &mut dyn FnMut(&SecretText) -> Result<(), Failure>,
) -> Result<SecretText, Failure> {
    if let Some((password, reference)) = given(scene)? {
        attempt(&password).map_err(|failure| {
            failure.hint(format!("the answer to `{PASSWORD}` came from `{reference}`"))
        })?;
        return Ok(password);
    }
    let mut wrong = 0;
    loop {
        let password = ask(scene, question)?;
        match attempt(&password) {
            Ok(()) => return Ok(password),
            Err(failure) if failure.code == Some(WRONG) => {
                wrong += 1;
                if wrong == MAX_WRONG_ANSWERS {
                    return Err(failure);
                }
                scene.terminal.tell(&format!("{}. Try again.", failure.error));
            }
            Err(failure) => return Err(failure),
        }
    }
}

/// The code of a wrong password.
const WRONG: &str = "E13.wrong-password";

/// Returns the password that the command line refers to, and the reference.
fn given(scene: &CommandContext<'_>) -> Result<Option<(SecretText, String)>, Failure> {
    let Some(reference) = scene.unlock.answer_once(PASSWORD, None, None) else { return Ok(None) };
    let password = keystead::internals::follow(&scene.host, PASSWORD, &reference, &current_dir()?)?;
    Ok(Some((password, reference.to_string())))
}

fn ask(scene: &CommandContext<'_>, question: &str) -> Result<SecretText, Failure> {
    scene.terminal.hidden(question).map_err(|why| match why {
        InputError::Nobody => Error::NoPassword.into(),
        why @ (InputError::TooLong | InputError::SeveralLines) => {
            Failure::from(why).hint(format!("add `--unlock {PASSWORD}=file:FILE`"))
        }
        why => why.into(),
    })
}

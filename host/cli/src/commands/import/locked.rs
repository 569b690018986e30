//! The password of an import: from an unlock reference on the command line, or typed at the
//! terminal.

use keystead_exchange::{Error, ImportFormat, ImportOptions, open};
use keystead_plugin_api::SecretText;

use super::super::{CommandContext, current_dir};
use super::origin::Origin;
use crate::failure::Failure;
use crate::terminal::InputError;

/// Name of the password's field in `--unlock`.
const PASSWORD: &str = "password";

/// Number of wrong passwords that the user may type: the same as for a vault.
const MAX_WRONG_ANSWERS: usize = 3;

/// Returns the password of an export, where it has a password.
///
/// # Errors
/// Prompting is not possible, or the password is wrong.
pub(super) fn export(
    origin: &mut Origin,
    form: ImportFormat,
    scene: &CommandContext<'_>,
) -> Result<Option<SecretText>, Failure> {
    if form != ImportFormat::Bitwarden {
        return Ok(None);
    }
    if origin.is_read_once() {
        // Trying a password reads the input, which can be read only once.
        return Ok(given(scene)?.map(|(password, _)| password));
    }
    let mut attempt = |password: Option<SecretText>| -> Result<Option<SecretText>, Failure> {
        let reading = ImportOptions { password, ..ImportOptions::default() };
        match open(form, origin.source()?, &reading) {
            Err(error @ (Error::NoPassword | Error::WrongPassword { .. })) => Err(error.into()),
            // Reading the rows reports all other errors.
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

/// Returns the password that `attempt` accepts.
///
/// # Errors
/// Prompting is not possible, the password is wrong, or `attempt` fails for another reason.
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

/// Error code of a wrong password.
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

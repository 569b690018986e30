//! Unlocking a vault in a directory: opens the file, reads its header, and finds a key for one of
//! its slots.

use std::path::{Path, PathBuf};

use keystead_plugin_api::{Challenge, Deadline, Error, Prompt, Result, SecretText, Session};

use crate::database::{self, Database};
use crate::header::{Fault, Header};
use crate::kdf::Cost;
use crate::key::Key;
use crate::key_file;
use crate::keys::Keys;
use crate::name::Case;
use crate::recovery::{Code, Typed};
use crate::slot::{Opener, Slot};

/// Challenge of a vault that a password or a recovery code opens.
pub(crate) const PASSWORD: &str = "password";

/// Challenge of a vault that does not exist yet.
pub(crate) const NEW_VAULT: &str = "new-vault";

/// Keys of an unlocked vault.
pub(crate) struct OpenKeys {
    pub(crate) keys: Keys,
    /// The vault's id.
    pub(crate) store: [u8; 16],
    /// The vault's rule for names.
    pub(crate) case: Case,
    /// Number of the slot that was opened.
    pub(crate) slot: u32,
}

/// Returns the header of an open file, and its bytes.
pub(crate) fn header(database: &Database, deadline: Deadline) -> Result<(Header, Vec<u8>)> {
    let bytes = database.header(deadline)?;
    Ok((parse(database.path(), &bytes)?, bytes))
}

/// Returns the parsed header.
pub(crate) fn parse(path: &Path, bytes: &[u8]) -> Result<Header> {
    Header::read(bytes).map_err(|fault| match fault {
        Fault::Newer(version) => database::newer(path, u32::from(version)),
        Fault::NewerTables => Error::unsupported(format!(
            "{} was made with newer tables of Unicode than this plugin has: it could look for a \
             name in the wrong place",
            path.display()
        )),
        Fault::Excessive(slot) => {
            let which = slot.unwrap_or_else(|| "its passwords together".to_owned());
            Error::unsupported(format!(
                "{} asks for more work than this plugin does to open any vault of its own, and is \
                 not opened: {which}",
                path.display()
            ))
        }
        Fault::Damaged => Error::corrupt(format!("{} is damaged: its header", path.display())),
    })
}

/// Returns the keys for a data key, after a check that the header was written with it.
fn unlocked(path: &Path, header: &Header, bytes: &[u8], data: Key, slot: u32) -> Result<OpenKeys> {
    let keys = Keys::of(data);
    if !Header::is_by(&keys.header, bytes) {
        let message = format!("{} is damaged: its header was changed by others", path.display());
        return Err(Error::corrupt(message));
    }
    Ok(OpenKeys { keys, store: header.store, case: header.case, slot })
}

/// Unlocks without a prompt, by a session or by the key file; `None` if neither opens the vault.
///
/// # Errors
/// Faults of the file; faults of the key file if nothing else would open the vault.
pub(crate) fn unasked(
    path: &Path,
    header: &Header,
    bytes: &[u8],
    session: Option<&Session>,
    key_file: Option<&PathBuf>,
    warn: &dyn Fn(&str),
) -> Result<Option<OpenKeys>> {
    if let Some((keys, slot)) = session.and_then(|session| crate::session::keys(session, header))
        && Header::is_by(&keys.header, bytes)
    {
        return Ok(Some(OpenKeys { keys, store: header.store, case: header.case, slot }));
    }
    let Some(key_file) = key_file else { return Ok(None) };
    let shown = key_file.display();
    let is_typed = header.slots.iter().any(is_typed);
    let rest = if is_typed { "" } else { ", and this vault has no password" };
    let no = match key_file::read(key_file) {
        Ok(Some(key)) => {
            let slots = header.slots.iter().filter(|slot| slot.opener == Opener::KeyFile);
            for slot in slots {
                if let Some(data) = slot.open(&key, &header.store) {
                    return unlocked(path, header, bytes, data, slot.number).map(Some);
                }
            }
            Error::permission_denied(format!("the key file {shown} does not open this vault{rest}"))
        }
        Ok(None) => Error::unavailable(format!("the key file {shown} is not there{rest}")),
        Err(error) => error,
    };
    // A lost or new key file must not lock the user out.
    if is_typed {
        warn(no.message());
        return Ok(None);
    }
    Err(no)
}

/// Returns the challenge of a locked vault.
pub(crate) fn challenge(header: &Header) -> Result<Challenge> {
    let has = |wanted: fn(&Opener) -> bool| header.slots.iter().any(|slot| wanted(&slot.opener));
    let password = has(|opener| matches!(opener, Opener::Password { .. }));
    let code = has(|opener| *opener == Opener::RecoveryCode);
    let label = match (password, code) {
        (true, false) => "Password",
        (true, true) => "Password or recovery code",
        (false, true) => "Recovery code",
        (false, false) => {
            return Err(Error::permission_denied(
                "this vault is opened by a key file alone: register it with `key-file`",
            ));
        }
    };
    Ok(Challenge::new(PASSWORD, vec![Prompt::secret(PASSWORD, label)]))
}

/// Returns the challenge of a vault that does not exist yet.
pub(crate) fn new_vault() -> Challenge {
    Challenge::new(NEW_VAULT, vec![Prompt::new_secret(PASSWORD, "Password for the new vault")])
}

/// Unlocks with typed text: a password, or a recovery code.
///
/// # Errors
/// `PermissionDenied` if it opens no slot; `TimedOut`.
pub(crate) fn typed(
    path: &Path,
    header: &Header,
    bytes: &[u8],
    text: &SecretText,
    deadline: Deadline,
) -> Result<OpenKeys> {
    let code = Code::read(text);
    if let Typed::Code(code) = &code {
        let key = code.key();
        let slots = header.slots.iter().filter(|slot| slot.opener == Opener::RecoveryCode);
        for slot in slots {
            if let Some(data) = slot.open(&key, &header.store) {
                return unlocked(path, header, bytes, data, slot.number);
            }
        }
    }
    let mut passwords = false;
    for slot in &header.slots {
        let Opener::Password { salt, cost } = slot.opener else { continue };
        passwords = true;
        if let Some(data) = slot.open(&cost.key(text, &salt, deadline)?, &header.store) {
            return unlocked(path, header, bytes, data, slot.number);
        }
    }
    Err(Error::permission_denied(match code {
        Typed::Slip => "the recovery code is mistyped",
        Typed::Code(_) => "the recovery code is not one of this vault",
        Typed::Other if passwords => "the password is wrong",
        Typed::Other => "that is no recovery code",
    }))
}

/// Returns the cost of a slot if it is below today's floor.
pub(crate) fn cheap(slot: &Slot) -> Option<Cost> {
    slot.cost().filter(|cost| cost.is_below_the_floor())
}

fn is_typed(slot: &Slot) -> bool {
    slot.opener != Opener::KeyFile
}

/// Returns the user's new password.
///
/// # Errors
/// `PermissionDenied` for an empty one, so that the host prompts again.
pub(crate) fn chosen(password: Option<&SecretText>) -> Result<SecretText> {
    match password {
        Some(password) if !password.expose().is_empty() => Ok(password.duplicate()),
        _ => Err(Error::permission_denied("an empty password protects nothing")),
    }
}

//! Key slots: each holds the vault's data key, sealed under a separate key. Any slot opens the
//! vault; a new password replaces one slot and changes no secret.

use std::fmt;

use keystead_plugin_api::{Deadline, Result, SecretText};

use crate::bytes::{Reader, put_text};
use crate::kdf::{self, Cost, SALT_BYTES};
use crate::key::{KEY_BYTES, Key, TAG_BYTES, checksum};
use crate::seal::{self, SEALED_BYTES};

/// The most bytes of a slot's label.
pub(crate) const MAX_LABEL_BYTES: usize = 64;

/// Length of the sealed data key in bytes.
const WRAPPED_BYTES: usize = KEY_BYTES + SEALED_BYTES;

/// Opener of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opener {
    /// A password.
    Password {
        /// Salt of the password.
        salt: [u8; SALT_BYTES],
        /// Cost of a guess.
        cost: Cost,
    },
    /// A file that only its owner has.
    KeyFile,
    /// A code on paper.
    RecoveryCode,
}

/// One slot.
#[derive(Clone)]
pub(crate) struct Slot {
    /// The slot's number, which is never reused in one vault.
    pub(crate) number: u32,
    /// What opens it.
    pub(crate) opener: Opener,
    /// Time of creation in milliseconds since 1970.
    pub(crate) created: i64,
    /// The user's label; may be empty.
    pub(crate) label: String,
    wrapped: [u8; WRAPPED_BYTES],
}

impl Slot {
    /// Returns a slot that the password opens, with a cost measured on this machine.
    ///
    /// # Errors
    /// `TimedOut`.
    pub(crate) fn password(
        number: u32,
        label: &str,
        password: &SecretText,
        data_key: &Key,
        store: &[u8; 16],
        deadline: Deadline,
    ) -> Result<Self> {
        let cost = Cost::measured(deadline)?;
        let salt = kdf::salt()?;
        let key = cost.key(password, &salt, deadline)?;
        Self::new(number, Opener::Password { salt, cost }, label, &key, data_key, store)
    }

    /// Returns a slot that this key opens.
    pub(crate) fn new(
        number: u32,
        opener: Opener,
        label: &str,
        key: &Key,
        data_key: &Key,
        store: &[u8; 16],
    ) -> Result<Self> {
        let mut slot = Self {
            number,
            opener,
            created: crate::now(),
            label: label.to_owned(),
            wrapped: [0; WRAPPED_BYTES],
        };
        let sealed = seal::seal(key, &[store, &slot.head()], data_key.bytes())?;
        slot.wrapped.copy_from_slice(&sealed);
        Ok(slot)
    }

    /// Returns the data key if this key opens the slot.
    pub(crate) fn open(&self, key: &Key, store: &[u8; 16]) -> Option<Key> {
        Key::of(seal::open(key, &[store, &self.head()], &self.wrapped)?)
    }

    /// Returns the cost of a guess; `None` without a password.
    pub(crate) fn cost(&self) -> Option<Cost> {
        match self.opener {
            Opener::Password { cost, .. } => Some(cost),
            Opener::KeyFile | Opener::RecoveryCode => None,
        }
    }

    /// Returns a short mark that changes with each replacement of the slot.
    pub(crate) fn mark(&self) -> [u8; TAG_BYTES] {
        checksum(&[&self.wrapped])
    }

    /// Returns the byte form without the sealed key.
    fn head(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        out.extend_from_slice(&self.number.to_le_bytes());
        match self.opener {
            Opener::Password { salt, cost } => {
                out.push(1);
                out.extend_from_slice(&salt);
                cost.write(&mut out);
            }
            Opener::KeyFile => out.push(2),
            Opener::RecoveryCode => out.push(3),
        }
        out.extend_from_slice(&self.created.to_le_bytes());
        put_text(&mut out, &self.label);
        out
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.head());
        out.extend_from_slice(&self.wrapped);
    }

    /// Reads a slot; `None` if it is not valid.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let number = reader.u32()?;
        let opener = match reader.u8()? {
            1 => Opener::Password { salt: reader.array()?, cost: Cost::read(reader)? },
            2 => Opener::KeyFile,
            3 => Opener::RecoveryCode,
            _ => return None,
        };
        let created = reader.i64()?;
        let label = reader.text().filter(|label| label_fits(label))?.to_owned();
        Some(Self { number, opener, created, label, wrapped: reader.array()? })
    }
}

/// Returns whether a label is allowed.
pub(crate) fn label_fits(label: &str) -> bool {
    label.len() <= MAX_LABEL_BYTES && !label.chars().any(char::is_control)
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.opener {
            Opener::Password { cost, .. } => {
                write!(f, "slot {}: password (Argon2id, {})", self.number, cost.in_words())?;
            }
            Opener::KeyFile => write!(f, "slot {}: key file", self.number)?,
            Opener::RecoveryCode => write!(f, "slot {}: recovery code", self.number)?,
        }
        if self.label.is_empty() { Ok(()) } else { write!(f, ", `{}`", self.label) }
    }
}

//! From a password to a key: Argon2id, with a cost that this machine was measured for.

use std::time::{Duration, Instant};

use argon2::{Algorithm, Argon2, Params, Version};
use keystead_plugin_api::{Error, Result, SecretBytes, SecretText};
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use crate::bytes::Reader;
use crate::key::{KEY_BYTES, Key, fill};

/// How many random bytes go with a password: two people with the same one have two keys.
pub(crate) const SALT_BYTES: usize = 16;

/// How long one guess should take on the machine where the password was set: what a person
/// who unlocks does not mind, times every word a thief tries.
const AIM: Duration = Duration::from_millis(250);

/// The least memory a guess takes, in KiB: 64 MiB, as RFC 9106 recommends where memory is
/// scarce.
const LEAST_MEMORY_KIB: u32 = 64 * 1024;

/// The least passes over it, whatever was measured: RFC 9106's number for 64 MiB. A machine
/// that is busy while it is measured looks slower than it is.
const LEAST_PASSES: u32 = 3;

/// The most that a header may ask for: 2 GiB and 1,000 passes. More was not written by us,
/// and would only keep the machine busy.
const MOST_MEMORY_KIB: u32 = 2 * 1024 * 1024;
const MOST_PASSES: u32 = 1_000;

/// The most that both come to: 64 GiB written, minutes of work. A header is believed only after
/// the key is found, and asks for this before.
const MOST_WORK_KIB: u64 = 64 * 1024 * 1024;

/// What a guess costs. One lane: the readers of this format need no threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cost {
    memory_kib: u32,
    passes: u32,
}

impl Cost {
    /// Returns a cost that takes this machine at least [`AIM`], and never less than the floor.
    pub(crate) fn measured() -> Result<Self> {
        let once = Self { memory_kib: LEAST_MEMORY_KIB, passes: 1 };
        let salt = [0; SALT_BYTES];
        let mut fastest = Duration::MAX;
        // The faster of two: the first one also pays for the memory.
        for _ in 0..2 {
            let began = Instant::now();
            once.derive(b"how long does it take", &salt)?;
            fastest = fastest.min(began.elapsed());
        }
        let passes = AIM.as_nanos().div_ceil(fastest.as_nanos().max(1));
        let passes = u32::try_from(passes).unwrap_or(MOST_PASSES);
        // Later passes are a little faster than the first one: a tenth on top.
        let passes = (passes + passes.div_ceil(10)).clamp(LEAST_PASSES, MOST_PASSES);
        Ok(Self { memory_kib: LEAST_MEMORY_KIB, passes })
    }

    /// Says whether this is less than what a password is set with today.
    pub(crate) fn is_below_the_floor(self) -> bool {
        self.memory_kib < LEAST_MEMORY_KIB || self.passes < LEAST_PASSES
    }

    /// Returns the key that a password stands for.
    pub(crate) fn key(self, password: &SecretText, salt: &[u8; SALT_BYTES]) -> Result<Key> {
        // Keyboards differ in how they type an é.
        let typed = password.expose();
        if typed.is_ascii() {
            return self.derive(typed.as_bytes(), salt);
        }
        let mut composed = Zeroizing::new(String::with_capacity(typed.len() * 4));
        composed.extend(typed.nfc());
        self.derive(composed.as_bytes(), salt)
    }

    fn derive(self, password: &[u8], salt: &[u8; SALT_BYTES]) -> Result<Key> {
        let fault = |error: argon2::Error| Error::internal(format!("Argon2id: {error}"));
        let params =
            Params::new(self.memory_kib, self.passes, 1, Some(KEY_BYTES)).map_err(fault)?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        argon2.hash_password_into(password, salt, &mut key[..]).map_err(fault)?;
        Ok(Key::of(SecretBytes::copy_of(&key[..])).expect("it has 32 bytes"))
    }

    /// Writes the byte form: memory in KiB and passes, u32 each.
    pub(crate) fn write(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.memory_kib.to_le_bytes());
        out.extend_from_slice(&self.passes.to_le_bytes());
    }

    /// Reads a cost; `None` where it is out of any range.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let cost = Self { memory_kib: reader.u32()?, passes: reader.u32()? };
        let sane = (8..=MOST_MEMORY_KIB).contains(&cost.memory_kib)
            && (1..=MOST_PASSES).contains(&cost.passes)
            && u64::from(cost.memory_kib) * u64::from(cost.passes) <= MOST_WORK_KIB;
        sane.then_some(cost)
    }

    /// Returns the cost in words: `64 MiB, 4 passes`.
    pub(crate) fn in_words(self) -> String {
        format!("{} MiB, {} passes", self.memory_kib / 1024, self.passes)
    }

    /// A cost of almost nothing, for tests of what happens to old vaults.
    #[cfg(test)]
    pub(crate) const CHEAP: Self = Self { memory_kib: 64, passes: 1 };
}

/// Returns a new salt.
pub(crate) fn salt() -> Result<[u8; SALT_BYTES]> {
    let mut salt = [0; SALT_BYTES];
    fill(&mut salt)?;
    Ok(salt)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_measured_is_never_below_the_floor() {
        let cost = Cost::measured().unwrap();
        assert!(!cost.is_below_the_floor(), "{cost:?}");
        assert!(cost.memory_kib >= 64 * 1024);
        assert!(Cost::CHEAP.is_below_the_floor());
    }

    #[test]
    fn a_password_is_the_same_however_it_was_composed() {
        let salt = [1; SALT_BYTES];
        let key = |text: &str| Cost::CHEAP.key(&SecretText::new(text), &salt).unwrap();
        assert_eq!(key("caf\u{e9}").bytes(), key("cafe\u{301}").bytes());
        assert_ne!(key("café").bytes(), key("cafe").bytes());
        assert_ne!(key("Café").bytes(), key("café").bytes());
    }

    #[test]
    fn a_cost_beyond_reason_is_not_read() {
        for (memory, passes, sane) in [
            (64 * 1024, 3, true),
            (8, 1, true),
            (7, 1, false),
            (LEAST_MEMORY_KIB, MOST_PASSES, true),
            (MOST_MEMORY_KIB, 32, true),
            (MOST_MEMORY_KIB, 33, false),
            (MOST_MEMORY_KIB + 1, 1, false),
            (64, MOST_PASSES + 1, false),
            (64, 0, false),
            (u32::MAX, u32::MAX, false),
        ] {
            let mut bytes = Vec::new();
            Cost { memory_kib: memory, passes }.write(&mut bytes);
            assert_eq!(Cost::read(&mut Reader::new(&bytes)).is_some(), sane, "{memory} {passes}");
        }
    }
}

//! Derivation of a key from a password: Argon2id, with a cost measured on this machine.

use std::time::{Duration, Instant};

use argon2::{Algorithm, Argon2, Block, Params, Version};
use keystead_plugin_api::{Deadline, Error, Result, SecretBytes, SecretText};
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use crate::bytes::Reader;
use crate::key::{KEY_BYTES, Key, fill};
use crate::work;

/// Length of a salt: two users with the same password have two keys.
pub(crate) const SALT_BYTES: usize = 16;

/// Duration of one guess on the machine that sets the password: acceptable for a user's unlock, and
/// multiplied by every word that a thief tries.
const AIM: Duration = Duration::from_millis(250);

/// The least memory of a guess, in KiB: 64 MiB, as RFC 9106 recommends for little memory.
const LEAST_MEMORY_KIB: u32 = 64 * 1024;

/// The least passes, whatever the measurement: RFC 9106's number for 64 MiB. A busy machine seems
/// slower than it is.
const LEAST_PASSES: u32 = 3;

/// The most passes for a new password: no machine takes a quarter of a second for fewer than as
/// many again.
const MOST_PASSES_WRITTEN: u32 = 64;

/// The most memory in a header: four times what this plugin writes, with passes to match. The
/// header is trusted only with the key, and needs this work before.
const MOST_MEMORY_KIB: u32 = 256 * 1024;
const MOST_PASSES: u32 = 256;

// An abandoned derivation leaves room for another.
const _: () = assert!(MOST_MEMORY_KIB <= work::MOST_MEMORY_KIB / 2);

/// The most memory times passes: 8 GiB, twice this plugin's maximum and forty times its choice on
/// the machine of the measurement.
const MOST_WORK_KIB: u64 = 8 * 1024 * 1024;

/// The most work of all passwords in one vault: a wrong one is tried with each.
const MOST_WORK_OF_ALL_KIB: u64 = 32 * 1024 * 1024;

/// The least memory of Argon2, in KiB, with one lane.
const LEAST_OF_ARGON2_KIB: u32 = 8;

/// Cost of a guess. One lane: readers of this format need no threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cost {
    memory_kib: u32,
    passes: u32,
}

impl Cost {
    /// Returns a cost that takes at least [`AIM`] on this machine, and at least the floor.
    ///
    /// # Errors
    /// `TimedOut`.
    pub(crate) fn measured(deadline: Deadline) -> Result<Self> {
        let once = Self { memory_kib: LEAST_MEMORY_KIB, passes: 1 };
        let salt = [0; SALT_BYTES];
        let mut fastest = Duration::MAX;
        // The faster of two: the first one also allocates the memory.
        for _ in 0..2 {
            let began = Instant::now();
            once.derive(SecretBytes::copy_of(b"how long does it take"), salt, deadline)?;
            fastest = fastest.min(began.elapsed());
        }
        let passes = AIM.as_nanos().div_ceil(fastest.as_nanos().max(1));
        let passes = u32::try_from(passes).unwrap_or(MOST_PASSES_WRITTEN).min(MOST_PASSES_WRITTEN);
        // Later passes are a little faster than the first: add a tenth.
        let passes = (passes + passes.div_ceil(10)).clamp(LEAST_PASSES, MOST_PASSES_WRITTEN);
        Ok(Self { memory_kib: LEAST_MEMORY_KIB, passes })
    }

    /// Returns whether the cost is lower than that of a new password.
    pub(crate) fn is_below_the_floor(self) -> bool {
        self.memory_kib < LEAST_MEMORY_KIB || self.passes < LEAST_PASSES
    }

    /// Returns the key for a password.
    ///
    /// # Errors
    /// `TimedOut` at the deadline: the derivation, which cannot be interrupted, is then abandoned
    /// and runs for at most [`MOST_WORK_KIB`]. `Unavailable` if there is too little memory.
    pub(crate) fn key(
        self,
        password: &SecretText,
        salt: &[u8; SALT_BYTES],
        deadline: Deadline,
    ) -> Result<Key> {
        // Keyboards type an é in different ways.
        let typed = password.expose();
        if typed.is_ascii() {
            return self.derive(SecretBytes::copy_of(typed.as_bytes()), *salt, deadline);
        }
        let mut composed = Zeroizing::new(String::with_capacity(typed.len() * 4));
        composed.extend(typed.nfc());
        self.derive(SecretBytes::copy_of(composed.as_bytes()), *salt, deadline)
    }

    fn derive(
        self,
        password: SecretBytes,
        salt: [u8; SALT_BYTES],
        deadline: Deadline,
    ) -> Result<Key> {
        let fault = |error: argon2::Error| Error::internal(format!("Argon2id: {error}"));
        let params =
            Params::new(self.memory_kib, self.passes, 1, Some(KEY_BYTES)).map_err(fault)?;
        work::by(deadline, self.memory_kib, move || {
            let mut memory = blocks(params.block_count())?;
            let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
            let mut key = Zeroizing::new([0; KEY_BYTES]);
            argon2
                .hash_password_into_with_memory(
                    password.expose(),
                    &salt,
                    &mut key[..],
                    &mut *memory,
                )
                .map_err(fault)?;
            Ok(Key::of(SecretBytes::copy_of(&key[..])).expect("it has 32 bytes"))
        })?
    }

    /// Returns whether a header may not require this cost.
    pub(crate) fn is_excessive(self) -> bool {
        self.memory_kib > MOST_MEMORY_KIB
            || self.passes > MOST_PASSES
            || self.work_kib() > MOST_WORK_KIB
    }

    /// Returns the memory written in all passes, in KiB.
    fn work_kib(self) -> u64 {
        u64::from(self.memory_kib) * u64::from(self.passes)
    }

    /// Returns whether one vault may not require all these costs.
    pub(crate) fn are_excessive(costs: impl Iterator<Item = Self>) -> bool {
        costs.map(Self::work_kib).fold(0, u64::saturating_add) > MOST_WORK_OF_ALL_KIB
    }

    /// Writes the byte form: memory in KiB and passes, u32 each.
    pub(crate) fn write(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.memory_kib.to_le_bytes());
        out.extend_from_slice(&self.passes.to_le_bytes());
    }

    /// Reads a cost; `None` if Argon2 cannot use it. It may be [excessive](Self::is_excessive).
    pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let cost = Self { memory_kib: reader.u32()?, passes: reader.u32()? };
        (cost.memory_kib >= LEAST_OF_ARGON2_KIB && cost.passes >= 1).then_some(cost)
    }

    /// Returns the cost as text: `64 MiB, 4 passes`.
    pub(crate) fn in_words(self) -> String {
        format!("{} MiB, {} passes", self.memory_kib / 1024, self.passes)
    }

    /// A minimal cost, for tests with old vaults.
    #[cfg(test)]
    pub(crate) const CHEAP: Self = Self { memory_kib: 64, passes: 1 };
}

/// Returns memory for Argon2id that is wiped on drop: the crate wipes none.
///
/// # Errors
/// `Unavailable` if there is too little memory.
fn blocks(count: usize) -> Result<Zeroizing<Box<[Block]>>> {
    let mut blocks = Vec::new();
    blocks.try_reserve_exact(count).map_err(|_| {
        Error::unavailable(format!("there are no {} MiB of memory for a password", count / 1024))
    })?;
    blocks.resize(count, Block::new());
    Ok(Zeroizing::new(blocks.into_boxed_slice()))
}

/// Returns a new salt.
pub(crate) fn salt() -> Result<[u8; SALT_BYTES]> {
    let mut salt = [0; SALT_BYTES];
    fill(&mut salt)?;
    Ok(salt)
}

#[cfg(test)]
mod tests {
    use keystead_plugin_api::ErrorKind;

    use super::*;

    #[test]
    fn measured_cost_is_not_below_minimum() {
        let cost = Cost::measured(amply()).unwrap();
        assert!(!cost.is_below_the_floor(), "{cost:?}");
        assert!(cost.memory_kib >= 64 * 1024);
        assert!(Cost::CHEAP.is_below_the_floor());
    }

    #[test]
    fn password_key_ignores_unicode_composition() {
        let salt = [1; SALT_BYTES];
        let key = |text: &str| Cost::CHEAP.key(&SecretText::new(text), &salt, amply()).unwrap();
        assert_eq!(key("caf\u{e9}").bytes(), key("cafe\u{301}").bytes());
        assert_ne!(key("café").bytes(), key("cafe").bytes());
        assert_ne!(key("Café").bytes(), key("café").bytes());
    }

    fn amply() -> Deadline {
        Deadline::after(Duration::from_secs(3_600))
    }

    #[test]
    fn invalid_cost_is_rejected_and_large_cost_is_excessive() {
        for (memory, passes, read, excessive) in [
            (64 * 1024, 3, true, false),
            (8, 1, true, false),
            (7, 1, false, false),
            (0, 1, false, false),
            (64, 0, false, false),
            (LEAST_MEMORY_KIB, MOST_PASSES_WRITTEN, true, false),
            (LEAST_MEMORY_KIB, 128, true, false),
            (LEAST_MEMORY_KIB, 129, true, true),
            (MOST_MEMORY_KIB, 32, true, false),
            (MOST_MEMORY_KIB, 33, true, true),
            (MOST_MEMORY_KIB + 1, 1, true, true),
            (8, MOST_PASSES, true, false),
            (8, MOST_PASSES + 1, true, true),
            // This cost blocked the host for 107 seconds.
            (2 * 1024 * 1024, 32, true, true),
            (u32::MAX, u32::MAX, true, true),
        ] {
            let mut bytes = Vec::new();
            Cost { memory_kib: memory, passes }.write(&mut bytes);
            let cost = Cost::read(&mut Reader::new(&bytes));
            assert_eq!(cost.is_some(), read, "{memory} {passes}");
            assert_eq!(cost.is_some_and(Cost::is_excessive), excessive, "{memory} {passes}");
        }
        let most = Cost { memory_kib: MOST_MEMORY_KIB, passes: 32 };
        assert!(!Cost::are_excessive([most; 4].into_iter()));
        assert!(Cost::are_excessive([most; 5].into_iter()));
        assert!(Cost::are_excessive(
            [Cost { memory_kib: u32::MAX, passes: u32::MAX }; 64].into_iter()
        ));
    }

    /// The most in a header: no machine fills 8 GiB in a millisecond.
    #[test]
    fn key_derivation_times_out_at_deadline() {
        let most = Cost { memory_kib: MOST_MEMORY_KIB, passes: 32 };
        for deadline in [Duration::ZERO, Duration::from_millis(1)] {
            let key = most.key(&SecretText::new("x"), &[1; SALT_BYTES], Deadline::after(deadline));
            assert_eq!(key.err().map(|error| error.kind()), Some(ErrorKind::TimedOut));
        }
        let late = Cost::measured(Deadline::after(Duration::ZERO)).unwrap_err();
        assert_eq!(late.kind(), ErrorKind::TimedOut);
    }
}

//! The sessions that an agent keeps, and when each is over. Time is given to every call: how
//! long ago the machine was started, its sleep included.

use std::time::Duration;

use keystead_plugin_api::VaultName;
use zeroize::Zeroize;

use super::proto::HeldVault;
use super::{MAX_SESSION_BYTES, MAX_SESSIONS, SessionKey};

/// All that is kept. Secrets lie in the block it is given, a slot each.
pub(super) struct Keep<'m> {
    block: &'m mut [u8],
    slots: [Option<Held>; MAX_SESSIONS],
    next_serial: u64,
}

struct Held {
    key: SessionKey,
    serial: u64,
    len: usize,
    ends: Duration,
    idle: Duration,
    used: Duration,
}

impl Held {
    /// When it is over, unless it is used before.
    fn over(&self) -> Duration {
        self.ends.min(self.used.saturating_add(self.idle))
    }
}

/// There is no room.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

impl<'m> Keep<'m> {
    /// The bytes that the block has.
    pub(super) const BLOCK_BYTES: usize = MAX_SESSIONS * MAX_SESSION_BYTES;

    /// Returns an empty one.
    ///
    /// # Panics
    /// When the block has another size.
    pub(super) fn new(block: &'m mut [u8]) -> Self {
        assert_eq!(block.len(), Self::BLOCK_BYTES);
        Self { block, slots: [const { None }; MAX_SESSIONS], next_serial: 1 }
    }

    /// Keeps a session of at most [`MAX_SESSION_BYTES`], instead of the one of this key.
    pub(super) fn put(
        &mut self,
        key: SessionKey,
        secret: &[u8],
        whole: Duration,
        idle: Duration,
        now: Duration,
    ) -> Result<(), Full> {
        self.expire(now);
        self.forget(|held| held.key == key);
        let slot = self.slots.iter().position(Option::is_none).ok_or(Full)?;
        let place = self.memory(slot).get_mut(..secret.len()).ok_or(Full)?;
        place.copy_from_slice(secret);
        let serial = self.next_serial;
        self.next_serial += 1;
        let ends = now.saturating_add(whole);
        self.slots[slot] = Some(Held { key, serial, len: secret.len(), ends, idle, used: now });
        Ok(())
    }

    /// Returns the session of exactly this key: its serial number, its secret, and how much
    /// of its life is left.
    pub(super) fn get(
        &mut self,
        key: &SessionKey,
        now: Duration,
    ) -> Option<(u64, &[u8], Duration)> {
        self.expire(now);
        let is_it = |held: &Option<Held>| held.as_ref().is_some_and(|held| held.key == *key);
        let slot = self.slots.iter().position(is_it)?;
        let held = self.slots[slot].as_mut()?;
        held.used = now;
        let (serial, len, left) = (held.serial, held.len, held.ends.saturating_sub(now));
        Some((serial, &self.memory(slot)[..len], left))
    }

    /// Forgets one session, unless there is a newer one of its key.
    pub(super) fn refused(&mut self, key: &SessionKey, serial: u64) -> u32 {
        self.forget(|held| held.serial == serial && held.key == *key)
    }

    /// Forgets a vault's sessions.
    pub(super) fn forget_vault(&mut self, vault: &VaultName) -> u32 {
        self.forget(|held| held.key.vault == *vault)
    }

    /// Forgets everything.
    pub(super) fn forget_all(&mut self) -> u32 {
        self.forget(|_| true)
    }

    /// Forgets what is over.
    pub(super) fn expire(&mut self, now: Duration) {
        self.forget(|held| held.over() <= now);
    }

    /// Returns when the next session is over, unless it is used before.
    pub(super) fn next_over(&self) -> Option<Duration> {
        self.slots.iter().flatten().map(Held::over).min()
    }

    /// Returns what is kept, without secrets, by name.
    pub(super) fn vaults(&mut self, now: Duration) -> Vec<HeldVault> {
        self.expire(now);
        let mut vaults: Vec<_> = self
            .slots
            .iter()
            .flatten()
            .map(|held| HeldVault {
                vault: held.key.vault.clone(),
                layer: held.key.layer,
                left: held.ends.saturating_sub(now),
                idle_left: held.over().saturating_sub(now),
            })
            .collect();
        vaults.sort_by(|a, b| a.vault.cmp(&b.vault).then(a.layer.cmp(&b.layer)));
        vaults
    }

    fn forget(&mut self, which: impl Fn(&Held) -> bool) -> u32 {
        let mut count = 0;
        for slot in 0..self.slots.len() {
            if let Some(held) = self.slots[slot].take_if(|held| which(held)) {
                self.memory(slot)[..held.len].zeroize();
                count += 1;
            }
        }
        count
    }

    fn memory(&mut self, slot: usize) -> &mut [u8] {
        &mut self.block[slot * MAX_SESSION_BYTES..][..MAX_SESSION_BYTES]
    }
}

impl Drop for Keep<'_> {
    fn drop(&mut self) {
        self.forget_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paths::Layer;
    use crate::plugin::pins::Digest;

    const MINUTE: Duration = Duration::from_secs(60);

    fn key(vault: &str) -> SessionKey {
        SessionKey {
            vault: VaultName::parse(vault).unwrap(),
            layer: Layer::User,
            plugin: Digest::of(b"plugin"),
            kind: "memory".into(),
            registered: Digest::of(b"parameters"),
        }
    }

    fn block() -> Box<[u8]> {
        vec![0; Keep::BLOCK_BYTES].into_boxed_slice()
    }

    fn secret(keep: &mut Keep<'_>, key: &SessionKey, now: Duration) -> Option<Vec<u8>> {
        keep.get(key, now).map(|(_, secret, _)| secret.to_vec())
    }

    #[test]
    fn a_session_ends_after_its_whole_time_however_much_it_is_used() {
        let mut block = block();
        let mut keep = Keep::new(&mut block);
        keep.put(key("a"), b"s", MINUTE * 3, MINUTE * 2, MINUTE).unwrap();
        for minute in 1..4 {
            let (_, secret, left) = keep.get(&key("a"), MINUTE * minute).unwrap();
            assert_eq!((secret, left), (&b"s"[..], MINUTE * (4 - minute)));
        }
        assert_eq!(keep.next_over(), Some(MINUTE * 4));
        let last = MINUTE * 4 - Duration::from_nanos(1);
        assert!(keep.get(&key("a"), last).is_some());
        assert!(keep.get(&key("a"), MINUTE * 4).is_none());
        assert_eq!(keep.next_over(), None);
    }

    #[test]
    fn a_session_that_nobody_uses_ends_earlier() {
        let mut block = block();
        let mut keep = Keep::new(&mut block);
        keep.put(key("a"), b"s", MINUTE * 100, MINUTE * 2, Duration::ZERO).unwrap();
        assert!(keep.get(&key("a"), MINUTE).is_some());
        assert_eq!(keep.next_over(), Some(MINUTE * 3));
        // Looking at what is kept is no use.
        assert_eq!(keep.vaults(MINUTE * 2)[0].idle_left, MINUTE);
        assert!(keep.get(&key("a"), MINUTE * 3).is_none());
    }

    #[test]
    fn only_the_whole_key_fits() {
        let mut block = block();
        let mut keep = Keep::new(&mut block);
        keep.put(key("a"), b"s", MINUTE, MINUTE, Duration::ZERO).unwrap();
        let others = [
            key("b"),
            SessionKey { layer: Layer::System, ..key("a") },
            SessionKey { plugin: Digest::of(b"other"), ..key("a") },
            SessionKey { kind: "other".into(), ..key("a") },
            SessionKey { registered: Digest::of(b"other"), ..key("a") },
        ];
        for other in &others {
            assert_eq!(secret(&mut keep, other, Duration::ZERO), None, "{other:?}");
        }
        // Vaults' names are compared without case.
        assert_eq!(secret(&mut keep, &key("A"), Duration::ZERO).as_deref(), Some(&b"s"[..]));
    }

    #[test]
    fn a_refused_session_does_not_take_a_newer_one_with_it() {
        let mut block = block();
        let mut keep = Keep::new(&mut block);
        keep.put(key("a"), b"old", MINUTE, MINUTE, Duration::ZERO).unwrap();
        let old = keep.get(&key("a"), Duration::ZERO).unwrap().0;
        keep.put(key("a"), b"new", MINUTE, MINUTE, Duration::ZERO).unwrap();
        assert_eq!(keep.refused(&key("a"), old), 0);
        let (new, secret, _) = keep.get(&key("a"), Duration::ZERO).unwrap();
        assert_eq!(secret, b"new");
        assert_eq!(keep.refused(&key("b"), new), 0);
        assert_eq!(keep.refused(&key("a"), new), 1);
        assert!(keep.vaults(Duration::ZERO).is_empty());
    }

    #[test]
    fn what_is_forgotten_is_wiped() {
        let mut block = block();
        let mut keep = Keep::new(&mut block);
        let put = |keep: &mut Keep<'_>, name: &str, whole| {
            keep.put(key(name), &[0xaa; MAX_SESSION_BYTES], whole, MINUTE, Duration::ZERO).unwrap();
        };
        put(&mut keep, "expires", Duration::from_secs(1));
        put(&mut keep, "named", MINUTE);
        put(&mut keep, "left", MINUTE);
        keep.put(key("left"), b"shorter", MINUTE, MINUTE, Duration::ZERO).unwrap();
        let marks = |keep: &Keep<'_>| keep.block.iter().filter(|byte| **byte == 0xaa).count();
        assert_eq!(marks(&keep), 2 * MAX_SESSION_BYTES);
        keep.expire(Duration::from_secs(1));
        assert_eq!(marks(&keep), MAX_SESSION_BYTES);
        assert_eq!(keep.forget_vault(&VaultName::parse("NAMED").unwrap()), 1);
        assert_eq!(marks(&keep), 0);
        assert_eq!(keep.vaults(Duration::ZERO).len(), 1);
        drop(keep);
        assert!(block.iter().all(|byte| *byte == 0));
    }

    #[test]
    fn a_full_agent_takes_no_more_and_loses_nothing() {
        let mut block = block();
        let mut keep = Keep::new(&mut block);
        let whole = |number: usize| if number == 0 { MINUTE } else { MINUTE * 9 };
        for number in 0..MAX_SESSIONS {
            let key = key(&format!("v{number}"));
            keep.put(key, &[number as u8], whole(number), MINUTE * 9, Duration::ZERO).unwrap();
        }
        let put =
            |keep: &mut Keep<'_>, name: &str, now| keep.put(key(name), b"x", MINUTE, MINUTE, now);
        assert_eq!(put(&mut keep, "more", Duration::ZERO), Err(Full));
        assert_eq!(put(&mut keep, "v7", Duration::ZERO), Ok(()), "its own place is free for it");
        assert_eq!(put(&mut keep, "more", MINUTE), Ok(()), "what is over makes room");
        assert_eq!(secret(&mut keep, &key("v9"), MINUTE), Some(vec![9]));
        let too_large = [0; MAX_SESSION_BYTES + 1];
        assert_eq!(keep.put(key("v9"), &too_large, MINUTE, MINUTE, MINUTE), Err(Full));
    }
}

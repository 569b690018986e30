//! The sessions that an agent keeps, and when each expires. Callers pass the time to every call:
//! the time since the machine was started, sleep included.

use std::time::Duration;

use keystead_plugin_api::VaultName;
use zeroize::Zeroize;

use super::proto::UnlockedVault;
use super::{MAX_SESSION_BYTES, MAX_SESSIONS, MAX_VAULTS, SessionKey};

/// Table of all kept sessions. Each secret lies in its own slot of the block.
pub(super) struct SessionTable<'m> {
    block: &'m mut [u8],
    slots: [Option<Held>; MAX_SESSIONS],
    next_serial: u64,
}

struct Held {
    key: SessionKey,
    /// The vaults that the session was kept for or given to.
    vaults: Vec<VaultName>,
    serial: u64,
    len: usize,
    /// Latest end, whatever the plugin renews.
    limit: Duration,
    /// When the plugin no longer accepts it, but no later than `limit`.
    ends: Duration,
    idle: Duration,
    used: Duration,
}

impl Held {
    /// Returns when the session expires unless it is used before.
    fn over(&self) -> Duration {
        self.ends.min(self.used.saturating_add(self.idle))
    }
}

/// Time limits of a session.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    /// Maximum time, renewals included.
    pub(super) whole: Duration,
    /// Time during which the plugin accepts the secret.
    pub(super) lifetime: Duration,
    /// Maximum time without use.
    pub(super) idle: Duration,
}

/// The table has no room.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

impl<'m> SessionTable<'m> {
    /// Size of the block in bytes.
    pub(super) const BLOCK_BYTES: usize = MAX_SESSIONS * MAX_SESSION_BYTES;

    /// Returns an empty table.
    ///
    /// # Panics
    /// When the block has another size.
    pub(super) fn new(block: &'m mut [u8]) -> Self {
        assert_eq!(block.len(), Self::BLOCK_BYTES);
        Self { block, slots: [const { None }; MAX_SESSIONS], next_serial: 1 }
    }

    /// Keeps a session of at most [`MAX_SESSION_BYTES`], in place of the session of this key.
    /// Returns its serial number. The vaults of the old session use the new session.
    pub(super) fn put(
        &mut self,
        key: SessionKey,
        vault: VaultName,
        secret: &[u8],
        times: Times,
        now: Duration,
    ) -> Result<u64, Full> {
        self.expire(now);
        let old = self.slots.iter().flatten().find(|held| held.key == key);
        let mut vaults = old.map_or_else(Vec::new, |held| held.vaults.clone());
        if !vaults.contains(&vault) {
            if self.vault_count() == MAX_VAULTS {
                return Err(Full);
            }
            vaults.push(vault);
        }
        self.forget(|held| held.key == key);
        let slot = self.slots.iter().position(Option::is_none).ok_or(Full)?;
        let place = self.memory(slot).get_mut(..secret.len()).ok_or(Full)?;
        place.copy_from_slice(secret);
        let (serial, len) = (self.next_serial(), secret.len());
        let limit = now.saturating_add(times.whole);
        let ends = limit.min(now.saturating_add(times.lifetime));
        let held = Held { key, vaults, serial, len, limit, ends, idle: times.idle, used: now };
        self.slots[slot] = Some(held);
        Ok(serial)
    }

    /// Replaces the secret of a session; its latest end stays. Returns the new serial number;
    /// `None` if no session has this key and number, or if the secret is too large.
    pub(super) fn renew(
        &mut self,
        key: &SessionKey,
        serial: u64,
        secret: &[u8],
        lifetime: Duration,
        now: Duration,
    ) -> Option<u64> {
        self.expire(now);
        if secret.len() > MAX_SESSION_BYTES {
            return None;
        }
        let is_it = |held: &Held| held.serial == serial && held.key == *key;
        let slot = self.slots.iter().position(|held| held.as_ref().is_some_and(is_it))?;
        let new = self.next_serial();
        let memory = self.memory(slot);
        memory.zeroize();
        memory[..secret.len()].copy_from_slice(secret);
        let held = self.slots[slot].as_mut()?;
        (held.serial, held.len, held.used) = (new, secret.len(), now);
        held.ends = held.limit.min(now.saturating_add(lifetime));
        Some(new)
    }

    /// Returns the session of exactly this key, for this vault: serial number, secret and time
    /// left. Returns `None` if there is no room for the vault's name: each vault that uses a
    /// session can be locked by name.
    pub(super) fn get(
        &mut self,
        key: &SessionKey,
        vault: &VaultName,
        now: Duration,
    ) -> Option<(u64, &[u8], Duration)> {
        self.expire(now);
        let is_full = self.vault_count() == MAX_VAULTS;
        let is_it = |held: &Option<Held>| held.as_ref().is_some_and(|held| held.key == *key);
        let slot = self.slots.iter().position(is_it)?;
        let held = self.slots[slot].as_mut()?;
        if !held.vaults.contains(vault) {
            if is_full {
                return None;
            }
            held.vaults.push(vault.clone());
        }
        held.used = now;
        let (serial, len, left) = (held.serial, held.len, held.ends.saturating_sub(now));
        Some((serial, &self.memory(slot)[..len], left))
    }

    /// Discards one session, unless a newer session has its key.
    pub(super) fn refused(&mut self, key: &SessionKey, serial: u64) -> Vec<VaultName> {
        self.forget(|held| held.serial == serial && held.key == *key)
    }

    /// Discards the sessions that a vault uses.
    pub(super) fn forget_vault(&mut self, vault: &VaultName) -> Vec<VaultName> {
        self.forget(|held| held.vaults.contains(vault))
    }

    /// Discards all sessions.
    pub(super) fn forget_all(&mut self) -> Vec<VaultName> {
        self.forget(|_| true)
    }

    /// Discards expired sessions.
    pub(super) fn expire(&mut self, now: Duration) {
        self.forget(|held| held.over() <= now);
    }

    /// Returns when the next session expires, unless it is used before.
    pub(super) fn next_over(&self) -> Option<Duration> {
        self.slots.iter().flatten().map(Held::over).min()
    }

    /// Returns the vaults with a kept session, without secrets, by name.
    pub(super) fn vaults(&mut self, now: Duration) -> Vec<UnlockedVault> {
        self.expire(now);
        let mut vaults: Vec<_> = self
            .slots
            .iter()
            .flatten()
            .flat_map(|held| {
                held.vaults.iter().map(|vault| UnlockedVault {
                    vault: vault.clone(),
                    layer: held.key.layer,
                    session: held.serial,
                    left: held.ends.saturating_sub(now),
                    idle_left: held.over().saturating_sub(now),
                })
            })
            .collect();
        vaults.sort_by(|a, b| a.vault.cmp(&b.vault).then(a.layer.cmp(&b.layer)));
        vaults
    }

    fn next_serial(&mut self) -> u64 {
        let serial = self.next_serial;
        self.next_serial += 1;
        serial
    }

    fn vault_count(&self) -> usize {
        self.slots.iter().flatten().map(|held| held.vaults.len()).sum()
    }

    /// Discards sessions and returns the vaults that used them, by name.
    fn forget(&mut self, which: impl Fn(&Held) -> bool) -> Vec<VaultName> {
        let mut vaults = Vec::new();
        for slot in 0..self.slots.len() {
            if let Some(held) = self.slots[slot].take_if(|held| which(held)) {
                self.memory(slot)[..held.len].zeroize();
                vaults.extend(held.vaults);
            }
        }
        vaults.sort();
        vaults.dedup();
        vaults
    }

    fn memory(&mut self, slot: usize) -> &mut [u8] {
        &mut self.block[slot * MAX_SESSION_BYTES..][..MAX_SESSION_BYTES]
    }
}

impl Drop for SessionTable<'_> {
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
            layer: Layer::User,
            plugin: Digest::of(b"plugin"),
            kind: "memory".into(),
            registered: Digest::of(vault.to_ascii_lowercase().as_bytes()),
            account: Digest::of(b"account"),
        }
    }

    fn vault(name: &str) -> VaultName {
        VaultName::parse(name).unwrap()
    }

    fn times(whole: Duration, idle: Duration) -> Times {
        Times { whole, lifetime: whole, idle }
    }

    fn block() -> Box<[u8]> {
        vec![0; SessionTable::BLOCK_BYTES].into_boxed_slice()
    }

    fn secret(keep: &mut SessionTable<'_>, key: &SessionKey, now: Duration) -> Option<Vec<u8>> {
        keep.get(key, &vault("v"), now).map(|(_, secret, _)| secret.to_vec())
    }

    #[test]
    fn session_in_use_expires_at_time_limit() {
        let mut block = block();
        let mut keep = SessionTable::new(&mut block);
        keep.put(key("a"), vault("a"), b"s", times(MINUTE * 3, MINUTE * 2), MINUTE).unwrap();
        for minute in 1..4 {
            let (_, secret, left) = keep.get(&key("a"), &vault("a"), MINUTE * minute).unwrap();
            assert_eq!((secret, left), (&b"s"[..], MINUTE * (4 - minute)));
        }
        assert_eq!(keep.next_over(), Some(MINUTE * 4));
        let last = MINUTE * 4 - Duration::from_nanos(1);
        assert!(keep.get(&key("a"), &vault("a"), last).is_some());
        assert!(keep.get(&key("a"), &vault("a"), MINUTE * 4).is_none());
        assert_eq!(keep.next_over(), None);
    }

    #[test]
    fn unused_session_expires_at_idle_timeout() {
        let mut block = block();
        let mut keep = SessionTable::new(&mut block);
        keep.put(key("a"), vault("a"), b"s", times(MINUTE * 100, MINUTE * 2), Duration::ZERO)
            .unwrap();
        assert!(keep.get(&key("a"), &vault("a"), MINUTE).is_some());
        assert_eq!(keep.next_over(), Some(MINUTE * 3));
        // Listing the vaults does not count as use.
        assert_eq!(keep.vaults(MINUTE * 2)[0].idle_left, MINUTE);
        assert!(keep.get(&key("a"), &vault("a"), MINUTE * 3).is_none());
    }

    #[test]
    fn key_with_any_different_field_finds_no_session() {
        let mut block = block();
        let mut keep = SessionTable::new(&mut block);
        keep.put(key("a"), vault("a"), b"s", times(MINUTE, MINUTE), Duration::ZERO).unwrap();
        let others = [
            key("b"),
            SessionKey { layer: Layer::System, ..key("a") },
            SessionKey { plugin: Digest::of(b"other"), ..key("a") },
            SessionKey { kind: "other".into(), ..key("a") },
            SessionKey { registered: Digest::of(b"other"), ..key("a") },
            SessionKey { account: Digest::of(b"other"), ..key("a") },
        ];
        for other in &others {
            assert_eq!(secret(&mut keep, other, Duration::ZERO), None, "{other:?}");
        }
        assert_eq!(secret(&mut keep, &key("a"), Duration::ZERO).as_deref(), Some(&b"s"[..]));
    }

    #[test]
    fn refused_session_keeps_newer_session() {
        let mut block = block();
        let mut keep = SessionTable::new(&mut block);
        keep.put(key("a"), vault("a"), b"old", times(MINUTE, MINUTE), Duration::ZERO).unwrap();
        let old = keep.get(&key("a"), &vault("a"), Duration::ZERO).unwrap().0;
        keep.put(key("a"), vault("a"), b"new", times(MINUTE, MINUTE), Duration::ZERO).unwrap();
        assert_eq!(keep.refused(&key("a"), old), []);
        let (new, secret, _) = keep.get(&key("a"), &vault("a"), Duration::ZERO).unwrap();
        assert_eq!(secret, b"new");
        assert_eq!(keep.refused(&key("b"), new), []);
        assert_eq!(keep.refused(&key("a"), new), [vault("a")]);
        assert!(keep.vaults(Duration::ZERO).is_empty());
    }

    #[test]
    fn discarded_session_is_wiped_from_memory() {
        let mut block = block();
        let mut keep = SessionTable::new(&mut block);
        let put = |keep: &mut SessionTable<'_>, name: &str, whole| {
            keep.put(
                key(name),
                vault(name),
                &[0xaa; MAX_SESSION_BYTES],
                times(whole, MINUTE),
                Duration::ZERO,
            )
            .unwrap();
        };
        put(&mut keep, "expires", Duration::from_secs(1));
        put(&mut keep, "named", MINUTE);
        put(&mut keep, "left", MINUTE);
        keep.put(key("left"), vault("left"), b"shorter", times(MINUTE, MINUTE), Duration::ZERO)
            .unwrap();
        let marks =
            |keep: &SessionTable<'_>| keep.block.iter().filter(|byte| **byte == 0xaa).count();
        assert_eq!(marks(&keep), 2 * MAX_SESSION_BYTES);
        keep.expire(Duration::from_secs(1));
        assert_eq!(marks(&keep), MAX_SESSION_BYTES);
        assert_eq!(keep.forget_vault(&vault("NAMED")), [vault("named")]);
        assert_eq!(marks(&keep), 0);
        assert_eq!(keep.vaults(Duration::ZERO).len(), 1);
        drop(keep);
        assert!(block.iter().all(|byte| *byte == 0));
    }

    #[test]
    fn full_table_rejects_new_session_and_keeps_existing() {
        let mut block = block();
        let mut keep = SessionTable::new(&mut block);
        let whole = |number: usize| if number == 0 { MINUTE } else { MINUTE * 9 };
        for number in 0..MAX_SESSIONS {
            let name = format!("v{number}");
            let (key, times) = (key(&name), times(whole(number), MINUTE * 9));
            keep.put(key, vault(&name), &[number as u8], times, Duration::ZERO).unwrap();
        }
        let put = |keep: &mut SessionTable<'_>, name: &str, now| {
            keep.put(key(name), vault(name), b"x", times(MINUTE, MINUTE), now)
        };
        assert_eq!(put(&mut keep, "more", Duration::ZERO), Err(Full));
        assert!(put(&mut keep, "v7", Duration::ZERO).is_ok(), "its own place is free for it");
        assert!(put(&mut keep, "more", MINUTE).is_ok(), "what is over makes room");
        assert_eq!(secret(&mut keep, &key("v9"), MINUTE), Some(vec![9]));
        let too_large = [0; MAX_SESSION_BYTES + 1];
        assert_eq!(
            keep.put(key("v9"), vault("v9"), &too_large, times(MINUTE, MINUTE), MINUTE),
            Err(Full)
        );
    }

    #[test]
    fn vaults_with_same_key_share_session_and_lock_together() {
        let mut block = block();
        let mut keep = SessionTable::new(&mut block);
        let long = times(MINUTE, MINUTE);
        keep.put(key("a"), vault("one"), b"s", long, Duration::ZERO).unwrap();
        assert!(keep.get(&key("a"), &vault("two"), Duration::ZERO).is_some());
        keep.put(key("b"), vault("three"), b"t", long, Duration::ZERO).unwrap();
        let held = keep.vaults(Duration::ZERO);
        let names: Vec<_> = held.iter().map(|held| held.vault.as_str()).collect();
        assert_eq!(names, ["one", "three", "two"]);
        assert_eq!(held[0].session, held[2].session);
        assert_ne!(held[0].session, held[1].session);
        // The same vaults use the session that replaces the old one.
        keep.put(key("a"), vault("two"), b"u", long, Duration::ZERO).unwrap();
        assert_eq!(keep.forget_vault(&vault("two")), [vault("one"), vault("two")]);
        assert_eq!(keep.forget_all(), [vault("three")]);
    }

    #[test]
    fn renewed_session_expires_by_original_deadline() {
        let mut block = block();
        let mut keep = SessionTable::new(&mut block);
        let times = Times { whole: MINUTE * 10, lifetime: MINUTE * 4, idle: MINUTE * 60 };
        let old = keep.put(key("a"), vault("a"), b"longer", times, Duration::ZERO).unwrap();
        let new = keep.renew(&key("a"), old, b"new", MINUTE * 4, MINUTE * 3).unwrap();
        let (serial, secret, left) = keep.get(&key("a"), &vault("a"), MINUTE * 3).unwrap();
        assert_eq!((serial, secret, left), (new, &b"new"[..], MINUTE * 4));
        let last = keep.renew(&key("a"), new, b"last", MINUTE * 100, MINUTE * 6).unwrap();
        assert_eq!(keep.get(&key("a"), &vault("a"), MINUTE * 6).unwrap().2, MINUTE * 4);
        // Renews only the session of this serial number and key, while it is kept.
        assert_eq!(keep.renew(&key("a"), new, b"x", MINUTE, MINUTE * 6), None);
        assert_eq!(keep.renew(&key("b"), last, b"x", MINUTE, MINUTE * 6), None);
        let too_large = [0; MAX_SESSION_BYTES + 1];
        assert_eq!(keep.renew(&key("a"), last, &too_large, MINUTE, MINUTE * 6), None);
        assert_eq!(keep.renew(&key("a"), last, b"x", MINUTE, MINUTE * 10), None);
        drop(keep);
        assert!(block.iter().all(|byte| *byte == 0));
    }

    #[test]
    fn vault_above_table_limit_gets_no_session() {
        let mut block = block();
        let mut keep = SessionTable::new(&mut block);
        let long = times(MINUTE, MINUTE);
        keep.put(key("a"), vault("v0"), b"s", long, Duration::ZERO).unwrap();
        for number in 1..MAX_VAULTS {
            let name = vault(&format!("v{number}"));
            assert!(keep.get(&key("a"), &name, Duration::ZERO).is_some());
        }
        assert!(keep.get(&key("a"), &vault("more"), Duration::ZERO).is_none());
        assert!(keep.get(&key("a"), &vault("V7"), Duration::ZERO).is_some());
        assert_eq!(keep.put(key("b"), vault("b"), b"s", long, Duration::ZERO), Err(Full));
        assert!(keep.put(key("a"), vault("v1"), b"s", long, Duration::ZERO).is_ok());
        assert_eq!(keep.forget_vault(&vault("v127")).len(), MAX_VAULTS);
    }
}

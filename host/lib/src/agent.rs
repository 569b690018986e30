//! The agent: a small process of each user that keeps the sessions of unlocked vaults, in memory
//! only, until they expire. It runs no plugin's code and reads no file.
//!
//! [`Client`] is the host's end; [`dispatch`] is the agent itself, the same binary behind a hidden
//! argument. Callers pass the socket's directory to both. Only [`Client::keep`] and
//! [`SessionCache::keep_login`] start a process. Linux only.

mod client;
mod error;
#[doc(hidden)]
pub mod fuzzing;
mod key;
mod process;
mod proto;
mod server;
mod session_table;
mod socket_dir;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Duration;

use keystead_plugin_api::{Session, VaultName};

pub use client::Client;
pub use error::Error;
pub use key::SessionKey;
pub use process::dispatch;
pub use proto::{MemoryLock, Status, UnlockedVault};

use crate::fs::Lock;

/// Maximum size of a session's secret in bytes: the plugin API's own limit.
pub(crate) use keystead_plugin_api::MAX_SESSION_BYTES;

/// Maximum number of sessions in one agent.
pub(crate) const MAX_SESSIONS: usize = 64;

/// Maximum number of vaults that use one agent's sessions: all of their names fit into one reply.
pub(crate) const MAX_VAULTS: usize = 128;

/// How long an agent without sessions keeps running: long enough to unlock the next vault.
pub(crate) const LINGER: Duration = Duration::from_secs(60);

/// Time limits of a cached session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionLimits {
    /// Maximum time in all; the plugin's own limit may be shorter.
    pub whole: Duration,
    /// Maximum time without use.
    pub idle: Duration,
}

impl SessionLimits {
    /// 15 minutes, which users know from `sudo`.
    pub const DEFAULT_WHOLE: Duration = Duration::from_secs(15 * 60);

    /// 1 hour: an unlock for longer serves a day's work, and ends with it.
    pub const DEFAULT_IDLE: Duration = Duration::from_secs(60 * 60);
}

impl Default for SessionLimits {
    fn default() -> Self {
        Self { whole: Self::DEFAULT_WHOLE, idle: Self::DEFAULT_IDLE }
    }
}

/// A session that a [`SessionCache`] keeps.
#[derive(Debug)]
pub struct CachedSession {
    /// The session; its lifetime is the time that is left.
    pub session: Session,
    /// Number that differs for earlier and later sessions of the same key.
    pub serial: u64,
}

/// How long the host waits for the agent's reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// A hundred times what a healthy agent needs: a timeout costs at worst a prompt.
    Short,
    /// Long enough for a loaded machine: a timeout would cost a login.
    Long,
}

/// Cache of the sessions that reopen unlocked vaults.
pub trait SessionCache: Send + Sync {
    /// Returns whether the cache may hold sessions. The host checks this before it computes a key.
    fn any(&self) -> bool;

    /// Returns the session that is kept for exactly this key, for use by this vault.
    ///
    /// # Errors
    /// The reason why the cache cannot answer. The host continues without a session.
    fn get(
        &self,
        key: &SessionKey,
        vault: &VaultName,
        patience: Patience,
    ) -> Result<Option<CachedSession>, Error>;

    /// Records that the vault rejected this session.
    fn refused(&self, key: &SessionKey, serial: u64);

    /// Replaces the secret of the session with this serial number. Its latest end was fixed when it
    /// was first kept, and stays. Returns the new serial number; `None` if that session is no
    /// longer kept.
    ///
    /// # Errors
    /// The reason why the secret is not replaced.
    fn renew(&self, key: &SessionKey, serial: u64, session: &Session)
    -> Result<Option<u64>, Error>;

    /// Keeps the session of a login without prompts, unless a session of this key is kept already.
    /// Returns its serial number; `None` if it is not kept.
    ///
    /// # Errors
    /// The reason why the session is not kept.
    fn keep_login(
        &self,
        key: &SessionKey,
        vault: &VaultName,
        session: &Session,
    ) -> Result<Option<u64>, Error>;

    /// Takes the lock to log in with this key, or to prompt the user for it; `None` while another
    /// process holds the lock.
    fn asking(&self, key: &SessionKey) -> Option<PromptLock>;

    /// Returns the directory of the cache, if it has one: no plugin may write there.
    fn dir(&self) -> Option<PathBuf> {
        None
    }
}

/// Lock for prompting the user; released when dropped.
#[derive(Debug, Default)]
pub struct PromptLock(#[expect(dead_code, reason = "held, not used")] Option<Lock>);

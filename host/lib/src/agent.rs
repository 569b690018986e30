//! The agent: a small process of each user that keeps the sessions of unlocked vaults, in
//! memory only, until they run out. No plugin's code runs in it, and it reads no file.
//!
//! [`Client`] is the host's end; [`dispatch`] is the agent itself, the same binary behind a
//! hidden argument. Both are given the directory of the socket: nothing is looked up here, and
//! only [`Client::keep`] and [`SessionCache::keep_login`] start anything. For Linux.

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

/// The most bytes of a session's secret: the plugin API's own limit.
pub(crate) use keystead_plugin_api::MAX_SESSION_BYTES;

/// The most sessions that one agent keeps.
pub(crate) const MAX_SESSIONS: usize = 64;

/// The most vaults that use the sessions of one agent: all of their names fit into one answer.
pub(crate) const MAX_VAULTS: usize = 128;

/// How long an agent lives that keeps nothing: long enough to unlock the next vault.
pub(crate) const LINGER: Duration = Duration::from_secs(60);

/// How long a session is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionLimits {
    /// At most this long in all; the plugin's own limit may be shorter.
    pub whole: Duration,
    /// At most this long without being used.
    pub idle: Duration,
}

impl SessionLimits {
    /// A quarter of an hour: what people know of `sudo`.
    pub const DEFAULT_WHOLE: Duration = Duration::from_secs(15 * 60);

    /// An hour: a longer unlocking is for a day's work, and ends with it.
    pub const DEFAULT_IDLE: Duration = Duration::from_secs(60 * 60);
}

impl Default for SessionLimits {
    fn default() -> Self {
        Self { whole: Self::DEFAULT_WHOLE, idle: Self::DEFAULT_IDLE }
    }
}

/// A session that is kept somewhere.
#[derive(Debug)]
pub struct CachedSession {
    /// The session; its lifetime is what is left of it.
    pub session: Session,
    /// What tells it from earlier and later ones of the same key.
    pub serial: u64,
}

/// How long an agent may take to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// A hundred times what a healthy agent needs: what is lost is at worst a prompt.
    Short,
    /// Long enough for a loaded machine: what would be lost is a login.
    Long,
}

/// Where the host finds sessions that reopen unlocked vaults.
pub trait SessionCache: Send + Sync {
    /// Returns whether there may be any: asked before the work that a key costs.
    fn any(&self) -> bool;

    /// Returns the session that is kept for exactly this key, for use by this vault.
    ///
    /// # Errors
    /// Why that cannot be said. The host goes on without a session.
    fn get(
        &self,
        key: &SessionKey,
        vault: &VaultName,
        patience: Patience,
    ) -> Result<Option<CachedSession>, Error>;

    /// Takes note that the vault did not accept this session.
    fn refused(&self, key: &SessionKey, serial: u64);

    /// Replaces the secret of the session of this serial number. When it ends at the latest was
    /// decided when it was first kept, and stays. Returns the new serial number; `None` where that
    /// session is not kept any more.
    ///
    /// # Errors
    /// Why it is not replaced.
    fn renew(&self, key: &SessionKey, serial: u64, session: &Session)
    -> Result<Option<u64>, Error>;

    /// Keeps the session of a login that asked nobody, where one of this key is not kept yet.
    /// Returns its serial number; `None` where it is not kept.
    ///
    /// # Errors
    /// Why it is not kept.
    fn keep_login(
        &self,
        key: &SessionKey,
        vault: &VaultName,
        session: &Session,
    ) -> Result<Option<u64>, Error>;

    /// Takes the turn to log in with this key, or to ask a person for it; `None` while another
    /// process has it.
    fn asking(&self, key: &SessionKey) -> Option<PromptLock>;

    /// Returns the directory that they are reached through, where there is one: no plugin may write
    /// there.
    fn dir(&self) -> Option<PathBuf> {
        None
    }
}

/// The turn to ask a person; given back when dropped.
#[derive(Debug, Default)]
pub struct PromptLock(#[expect(dead_code, reason = "held, not used")] Option<Lock>);

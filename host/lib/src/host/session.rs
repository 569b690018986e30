//! Sessions in a call: finds one and discards one that the vault rejects. Of several processes, one
//! prompts the user while the rest check again.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use keystead_plugin_api::{Level, ListRequest, Parameters, Session, VaultName};

use super::call::Call;
use super::open::Open;
use super::share::Caller;
use super::unlock::Given;
use super::{Host, lock};
use crate::agent::{CachedSession, Patience, PromptLock, SessionKey};
use crate::error::{Error, Result, visible};
use crate::paths::Layer;
use crate::plugin::pins::Digest;
use crate::prompter::Prompter;
use crate::reference::Reference;
use crate::registry::Registration;

/// How long a command waits for another command that prompts for the same vault. Then it prompts as
/// well: the user may have left the other terminal.
const PATIENCE: Duration = Duration::from_secs(30);

/// Pause before the next check.
const PAUSE: Duration = Duration::from_millis(50);

/// Whether to unlock a vault again that a session keeps unlocked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfUnlocked {
    /// Yes: for a session of its own length.
    Yes,
    /// No: the existing session is enough.
    No,
}

/// Result of unlocking a vault.
#[derive(Debug)]
pub enum UnlockOutcome {
    /// The vault was locked, and this session reopens it.
    Unlocked(UnlockedSession),
    /// A kept session has unlocked the vault already.
    Already,
    /// The vault needs no unlock.
    NeverLocked,
}

/// A session and its purpose. While it lives, other processes wait that would prompt for the same
/// login: hand the session over, then drop it.
#[derive(Debug)]
pub struct UnlockedSession {
    /// The vault.
    pub vault: VaultName,
    /// Key that the session is bound to.
    pub key: SessionKey,
    /// The plugin's session.
    pub session: Session,
    _asking: Option<PromptLock>,
}

/// Binding of a vault's session, beside its registration.
pub(super) struct Binding {
    pub(super) layer: Layer,
    pub(super) plugin: Digest,
    pub(super) kind: String,
    /// Parameters that do not affect the login.
    pub(super) beside: Vec<String>,
    pub(super) login: Login,
}

/// The login of a vault, from its references.
#[derive(Clone, Copy)]
pub(super) struct Login {
    /// See [`SessionKey::account()`].
    pub(super) account: Digest,
    /// Whether `keep-login` may keep it: each unlock reference gave a value.
    pub(super) may_be_kept: bool,
}

/// The latest report of a vault's plugin on its session, until the host handles it.
#[derive(Default)]
pub(super) struct Offered(Mutex<Offer>);

#[derive(Default)]
pub(super) struct Offer {
    /// Whether the session that opened the vault is no longer valid.
    forgets: bool,
    /// A session that the plugin handed over since.
    pub(super) session: Option<Session>,
}

impl Offered {
    /// Stores a session in place of the one before.
    pub(super) fn keep(&self, session: Session) {
        lock(&self.0).session = Some(session);
    }

    /// Records that there is no session any more.
    pub(super) fn forget(&self) {
        *lock(&self.0) = Offer { forgets: true, session: None };
    }

    pub(super) fn take(&self) -> Offer {
        std::mem::take(&mut *lock(&self.0))
    }
}

/// State of the sessions in one call.
#[derive(Default)]
pub(super) struct CallSession {
    /// Whether to open the vault without a kept session.
    pub(super) without: bool,
    /// Whether the call has looked for a kept session.
    looked: bool,
    /// Held from a prompt until its answers have been used.
    asking: Option<PromptLock>,
    /// Whether the vault was unlocked.
    unlocked: bool,
    /// Whether this is `vault unlock`, which keeps its new session.
    keeps: bool,
    /// The session that the plugin handed over last, if this call keeps it.
    session: Option<Session>,
}

impl CallSession {
    /// Records that the vault was unlocked.
    pub(super) fn unlocked(&mut self) {
        self.unlocked = true;
    }
}

impl Host {
    /// Unlocks a vault, and returns the session that keeps it unlocked. The host does not keep it:
    /// the session is the caller's, for an [`agent::Client`](crate::agent::Client).
    ///
    /// # Errors
    /// [`Error::NoSession`] if the plugin gives none, and the errors of every call.
    ///
    /// # Examples
    /// ```no_run
    /// # fn example(host: &keystead::Host) -> Result<(), keystead::Error> {
    /// use keystead::agent::{Client, SessionLimits};
    /// use keystead::{NonInteractive, IfUnlocked, UnlockOutcome};
    ///
    /// let agent = Client::new("/run/user/1000/keystead");
    /// let name = keystead::api::VaultName::parse("work").expect("it is a name");
    /// if let UnlockOutcome::Unlocked(one) = host.unlock(&name, IfUnlocked::No, &mut NonInteractive)? {
    ///     let program = "/proc/self/exe".as_ref();
    ///     let span = SessionLimits { whole: SessionLimits::DEFAULT_WHOLE, idle: SessionLimits::DEFAULT_IDLE };
    ///     agent.keep(program, &one.key, &one.vault, &one.session, span)?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn unlock(
        &self,
        vault: &VaultName,
        renew: IfUnlocked,
        ask: &mut dyn Prompter,
    ) -> Result<UnlockOutcome> {
        let without = renew == IfUnlocked::Yes;
        let session = CallSession { without, keeps: true, ..CallSession::default() };
        let mut call = Call { session, ..Call::default() };
        // A vault that is open may be unlocked already, and gives no session then.
        self.close(vault);
        let mut key = None;
        let mut by_session = false;
        // A locked vault rejects every call on secrets; a listing of one secret is the cheapest.
        self.call_in(
            vault,
            ask,
            &mut |open, deadline| {
                let mut first = ListRequest::new(deadline);
                first.limit = 1;
                open.list(&first).map(drop)
            },
            &mut call,
            &mut |open| {
                key = self.session_key(open);
                by_session = open.kept.is_some();
            },
        )?;
        let course = call.session;
        match (course.session, key) {
            // A vault without prompts may have logged in as well.
            (Some(session), Some(key)) => {
                let vault = vault.clone();
                Ok(UnlockOutcome::Unlocked(UnlockedSession {
                    vault,
                    key,
                    session,
                    _asking: course.asking,
                }))
            }
            _ if course.unlocked => {
                let plugin = self.layered(vault)?.entry.plugin.clone();
                Err(Error::NoSession { vault: vault.clone(), plugin })
            }
            _ if by_session => Ok(UnlockOutcome::Already),
            _ => Ok(UnlockOutcome::NeverLocked),
        }
    }

    /// Returns a vault's login and, with `keep-login`, the values of its unlock references, without
    /// those that give none now. Other vaults resolve unlock references on demand: a program among
    /// them may prompt the user.
    pub(super) fn login(
        &self,
        entry: &Registration,
        beside: &[String],
        parameters: &Parameters,
    ) -> (Login, Option<Given>) {
        let answers = entry.keep_login.then(|| {
            let answer = |(prompt, from): (&String, &Reference)| {
                let value = self.resolve(prompt, from).ok()?;
                Some((prompt.clone(), (from.clone(), value)))
            };
            entry.unlock.iter().filter_map(answer).collect::<Given>()
        });
        let given = answers.iter().flatten().map(|(prompt, (_, answer))| (prompt, answer));
        let account = SessionKey::account(entry, beside, parameters, given);
        let count = answers.as_ref().map_or(0, Given::len);
        (Login { account, may_be_kept: count == entry.unlock.len() }, answers)
    }

    /// Returns the key of an open vault's session; `None` if the vault is registered for this
    /// process only, or never locked.
    pub(super) fn session_key(&self, open: &Open) -> Option<SessionKey> {
        open.binding.as_ref().map(|binding| self.key_of(&open.entry, binding))
    }

    /// Returns the session key of a vault with this registration.
    pub(super) fn key_of(&self, entry: &Registration, binding: &Binding) -> SessionKey {
        SessionKey {
            layer: binding.layer,
            plugin: binding.plugin,
            kind: binding.kind.clone(),
            registered: SessionKey::registered(entry, &binding.beside, self.home().as_deref()),
            account: binding.login.account,
        }
    }

    /// Returns the session that is kept for a vault, and its key. If there can be none, the only
    /// cost is a check for an agent.
    pub(super) fn kept(
        &self,
        entry: &Registration,
        course: &mut CallSession,
        key: impl FnOnce() -> Option<SessionKey>,
    ) -> Option<(SessionKey, CachedSession)> {
        course.looked = true;
        let sessions = &self.0.options.sessions;
        if course.without || !sessions.any() {
            return None;
        }
        let key = key()?;
        let patience = if entry.keep_login { Patience::Long } else { Patience::Short };
        match sessions.get(&key, &entry.name, patience) {
            Ok(kept) => kept.map(|kept| (key, kept)),
            Err(error) => {
                // If the agent fails, the call continues without it.
                let message = visible(&error.to_string());
                self.0.options.log.line(&entry.name, Level::Info, &message);
                None
            }
        }
    }

    /// Returns the kept session of a vault that logs in by itself, or takes the turn to log in. One
    /// process logs in; the rest wait for its session.
    pub(super) fn kept_or_turn(
        &self,
        entry: &Registration,
        binding: &Binding,
        course: &mut CallSession,
    ) -> Option<(SessionKey, CachedSession)> {
        let key = || Some(self.key_of(entry, binding));
        let until = Instant::now() + PATIENCE;
        loop {
            let kept = self.kept(entry, course, key);
            let waits = entry.keep_login && !course.without && course.asking.is_none();
            if kept.is_some() || !waits || Instant::now() >= until {
                return kept;
            }
            course.asking = self.0.options.sessions.asking(&self.key_of(entry, binding));
            if course.asking.is_none() {
                std::thread::sleep(PAUSE);
            }
            // Check again with the turn, too: its last holder may have logged in just now.
        }
    }

    /// Handles the plugin's reports on its session during the last call.
    pub(super) fn take_session(
        &self,
        open: &mut Open,
        course: &mut CallSession,
        caller: &Caller<'_>,
    ) {
        let offer = open.offered.take();
        if offer.forgets {
            self.session_failed(open);
            course.session = None;
            caller.shared(|common| common.forget(open.session));
        }
        let Some(session) = offer.session else { return };
        let has_others = open.template.is_some();
        let copy = has_others.then(|| Session::new(session.secret.duplicate(), session.lifetime));
        self.keep_session(open, course, session);
        if let Some(copy) = copy {
            let (kept, by_caller) = (open.kept, open.by_caller);
            let number = caller.shared(|common| common.keep(copy, kept, by_caller));
            open.session = number.unwrap_or_default();
        }
    }

    /// Decides where to keep a session beyond this host.
    fn keep_session(&self, open: &mut Open, course: &mut CallSession, session: Session) {
        let Some(key) = self.session_key(open) else { return };
        let sessions = &self.0.options.sessions;
        let kept = match open.kept {
            // A renewal. A session that is no longer kept was locked, and stays locked.
            Some(serial) => sessions.renew(&key, serial, &session),
            None if course.keeps => {
                course.session = Some(session);
                return;
            }
            None if open.keeps_login() && !open.by_caller => {
                sessions.keep_login(&key, &open.name, &session)
            }
            None => return,
        };
        match kept {
            Ok(Some(serial)) => open.kept = Some(serial),
            Ok(None) => {}
            Err(error) => {
                let message = visible(&error.to_string());
                self.0.options.log.line(&open.name, Level::Info, &message);
            }
        }
    }

    /// Handles an open vault that is locked: a session that opened it is no longer valid.
    pub(super) fn session_failed(&self, open: &mut Open) {
        if let Some(serial) = open.kept.take()
            && let Some(key) = self.session_key(open)
        {
            self.0.options.sessions.refused(&key, serial);
        }
    }

    /// Takes the turn to prompt the user, if there is a user. Returns whether a session exists by
    /// now: then the caller opens the vault with it instead.
    pub(super) fn session_came(
        &self,
        open: &Open,
        ask: &mut dyn Prompter,
        course: &mut CallSession,
    ) -> bool {
        if open.binding.is_none() {
            return false;
        }
        let waited =
            course.asking.is_none() && ask.is_interactive() && self.wait_to_ask(open, ask, course);
        if waited {
            // The process that had the turn may have unlocked the vault: accept its session.
            course.without = false;
        } else if course.looked {
            return false;
        }
        self.kept(&open.entry, course, || self.session_key(open)).is_some()
    }

    /// Takes the turn to prompt unless another process has it. Returns whether this call has it.
    pub(super) fn has_turn(&self, open: &Open, course: &mut CallSession) -> bool {
        match self.session_key(open) {
            Some(key) if course.asking.is_none() => {
                course.asking = self.0.options.sessions.asking(&key);
                course.asking.is_some()
            }
            _ => true,
        }
    }

    /// Waits for the turn to prompt. Returns whether another process had it.
    fn wait_to_ask(&self, open: &Open, ask: &mut dyn Prompter, course: &mut CallSession) -> bool {
        let sessions = &self.0.options.sessions;
        let Some(key) = self.session_key(open) else { return false };
        let until = Instant::now() + PATIENCE;
        let mut waited = false;
        while Instant::now() < until {
            course.asking = sessions.asking(&key);
            if course.asking.is_some() {
                break;
            }
            if !waited {
                ask.on_wait(&open.name);
            }
            waited = true;
            std::thread::sleep(PAUSE);
        }
        waited
    }
}

#[cfg(test)]
mod tests {
    use keystead_plugin_api::SecretBytes;

    use super::*;

    fn session(secret: &[u8]) -> Session {
        Session::new(SecretBytes::copy_of(secret), Duration::from_secs(60))
    }

    #[test]
    fn latest_offered_session_replaces_earlier_offers() {
        let offered = Offered::default();
        for number in 0..100_000_u32 {
            offered.keep(session(&number.to_le_bytes()));
        }
        let offer = offered.take();
        assert_eq!(offer.session.unwrap().secret.expose(), 99_999_u32.to_le_bytes());
        assert!(!offer.forgets && offered.take().session.is_none());
    }

    #[test]
    fn forget_drops_earlier_offered_session_and_keeps_later() {
        let offered = Offered::default();
        offered.keep(session(b"dead"));
        offered.forget();
        let offer = offered.take();
        assert!(offer.forgets && offer.session.is_none());
        offered.forget();
        offered.keep(session(b"new"));
        let offer = offered.take();
        assert!(offer.forgets);
        assert_eq!(offer.session.unwrap().secret.expose(), b"new");
    }
}

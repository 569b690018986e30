//! What the handles of one vault have in common, where its kind may have several: how the first one was
//! opened, and the session that the others are opened with. So a person is asked once, a reference is
//! resolved once, and all handles are of one account.

use std::sync::Arc;
use std::time::Instant;

use keystead_plugin_api::{Level, Parameters, Session};

use super::Host;
use super::call::Call;
use super::open::Open;
use super::pool::{self, Shared};
use super::prepare::LayeredRegistration;
use super::session::Login;
use crate::error::{Error, Result, visible};
use crate::plugin::pins::Digest;

/// One caller of a vault.
pub(super) type Caller<'p> = pool::Caller<'p, Box<Open>, Common>;

/// How the first handle was opened.
pub(super) struct Template {
    pub(super) registered: LayeredRegistration,
    /// The hash of the plugin.
    pub(super) plugin: Digest,
    pub(super) parameters: Parameters,
    /// What the handles log in with, where a session of theirs can be kept.
    pub(super) login: Option<Login>,
    /// How many handles there may be.
    pub(super) most: usize,
}

/// How a further handle is opened.
pub(super) struct Further {
    pub(super) template: Arc<Template>,
    pub(super) session: Option<Session>,
    /// The number that the agent keeps the session under.
    pub(super) kept: Option<u64>,
    /// Whether an answer to a prompt came from this process's caller.
    pub(super) by_caller: bool,
    /// The session's number among those of the vault's handles.
    pub(super) number: u64,
}

/// What the handles of one vault have in common.
#[derive(Default)]
pub(super) struct Common {
    /// Why the vault cannot be opened. It answers every request with that: skipping it in silence
    /// would let another vault answer for it.
    faulty: Option<Arc<Error>>,
    /// None where the kind allows one handle.
    template: Option<Arc<Template>>,
    /// Whether a handle has answered: until then it is unknown whether the vault is locked.
    answered: bool,
    /// Whether answers to prompts unlocked it.
    unlocked: bool,
    session: Option<Held>,
    /// How many sessions there have been.
    number: u64,
    /// Whether a further handle could not be opened, or was locked.
    refused: bool,
}

/// A session that a handle has handed over.
struct Held {
    session: Session,
    since: Instant,
    kept: Option<u64>,
    by_caller: bool,
}

impl Held {
    /// Returns the session with what is left of its time; none where that is over.
    fn left(&self) -> Option<Session> {
        let lifetime = self.session.lifetime.checked_sub(self.since.elapsed())?;
        Some(Session::new(self.session.secret.duplicate(), lifetime))
    }

    fn is_over(&self) -> bool {
        self.since.elapsed() >= self.session.lifetime
    }
}

impl Shared for Common {
    fn most(&self) -> usize {
        // Without a session each further handle would ask a person again.
        let opens = !self.unlocked || self.session.as_ref().is_some_and(|held| !held.is_over());
        match &self.template {
            Some(template) if self.answered && opens && !self.refused => template.most,
            _ => 1,
        }
    }
}

impl Common {
    /// Returns how a handle is opened other than as the vault is registered now.
    fn further(&self, is_further: bool) -> Option<Further> {
        let template = Arc::clone(self.template.as_ref()?);
        let held = self.session.as_ref();
        let session = held.and_then(Held::left);
        let kept = held.and_then(|held| held.kept).filter(|_| session.is_some());
        let by_caller = held.is_some_and(|held| held.by_caller);
        let number = self.number;
        let further = Further { template, session, kept, by_caller, number };
        (is_further || further.session.is_some()).then_some(further)
    }

    /// Begins anew, with a handle that was opened as the vault is registered now.
    fn begin(&mut self, open: &Open) {
        let (template, answered, number) = (open.template.clone(), open.answered, self.number);
        *self = Self { template, answered, number, ..Self::default() };
    }

    /// Takes note that answers to prompts unlocked the vault.
    fn unlock(&mut self) {
        (self.unlocked, self.session, self.refused) = (true, None, false);
    }

    /// Keeps a session for further handles, and returns its number.
    pub(super) fn keep(&mut self, session: Session, kept: Option<u64>, by_caller: bool) -> u64 {
        self.session = Some(Held { session, since: Instant::now(), kept, by_caller });
        self.number += 1;
        self.number
    }

    /// Forgets the session of this number.
    pub(super) fn forget(&mut self, number: u64) {
        if number == self.number {
            self.session = None;
        }
    }

    /// Returns whether a locked vault has to be unlocked by answers; `had` is the session of the
    /// handle that says that it is locked. One that has another session, or lost its own with its
    /// process, is opened anew with the one there is.
    fn needs_answers(&mut self, had: Option<u64>, is_further: bool) -> bool {
        match &self.session {
            Some(held) if had != Some(self.number) && !held.is_over() => return false,
            _ => self.session = None,
        }
        self.refused |= is_further;
        !is_further
    }
}

impl Host {
    /// Opens a handle for this caller; none where it has to wait for another one.
    pub(super) fn handle(
        &self,
        caller: &mut Caller<'_>,
        call: &mut Call,
    ) -> Result<Option<Box<Open>>> {
        let name = &caller.vault.clone();
        let is_further = caller.is_further;
        let common = caller.shared(|common| (common.faulty.clone(), common.further(is_further)));
        let (faulty, further) = common.unwrap_or_default();
        if let Some(source) = faulty {
            return Err(Error::Faulty { vault: name.clone(), source });
        }
        let further = further.filter(|_| !call.session.without);
        if is_further && further.is_none() {
            caller.shared(|common| common.refused = true);
            return Ok(None);
        }
        if let Some(further) = further {
            let Further { template, number, .. } = &further;
            let (registered, number) = (template.registered.clone(), *number);
            call.further = Some(further);
            let opened = self.open_as(registered, call);
            call.further = None;
            match opened {
                Ok(open) => {
                    caller.opened();
                    return Ok(Some(Box::new(open)));
                }
                Err(error) if is_further => {
                    let why = visible(&error.to_string());
                    let message = format!("a further handle cannot be opened: {why}");
                    self.0.options.log.line(name, Level::Info, &message);
                    caller.shared(|common| common.refused = true);
                    return Ok(None);
                }
                // As if there were no session.
                Err(_) => drop(caller.shared(|common| common.forget(number))),
            }
        }
        match self.open(name, call) {
            Ok(open) => {
                caller.unlocked(|common| common.begin(&open));
                caller.opened();
                Ok(Some(Box::new(open)))
            }
            // Nothing to keep: a name that is registered meanwhile is found.
            Err(error @ Error::NoSuchVault { .. }) => Err(error),
            Err(error) => {
                let source = Arc::new(error);
                caller.shared(|common| common.faulty = Some(Arc::clone(&source)));
                Err(Error::Faulty { vault: name.clone(), source })
            }
        }
    }

    /// Takes the turn to unlock the vault, which this handle of it says is locked. Returns false where
    /// the handle is of no use: another caller unlocks the vault, or there is a session for another
    /// handle.
    pub(super) fn may_unlock(&self, open: &Open, caller: &Caller<'_>) -> bool {
        let had = (!open.has_restarted()).then_some(open.session);
        let is_further = caller.is_further;
        caller.may_unlock(|common| common.needs_answers(had, is_further))
    }

    /// Takes note that the vault was unlocked with this caller's handle.
    pub(super) fn was_unlocked(&self, caller: &mut Caller<'_>) {
        caller.unlocked(Common::unlock);
    }

    /// Takes note that a handle has answered.
    pub(super) fn has_answered(&self, open: &mut Open, caller: &Caller<'_>) {
        if open.template.is_some() && !open.answered {
            open.answered = caller.shared(|common| common.answered = true).is_some();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use keystead_plugin_api::{SecretBytes, VaultName};

    use super::*;
    use crate::options::MAX_HANDLES;
    use crate::registry::Registration;

    fn session(seconds: u64) -> Session {
        Session::new(SecretBytes::copy_of(b"canary"), Duration::from_secs(seconds))
    }

    /// Returns what handles have in common of a vault whose kind allows several.
    fn concurrent() -> Common {
        let entry = Arc::new(Registration::new(VaultName::parse("v").unwrap(), "p"));
        let registered = LayeredRegistration { layer: None, entry };
        let (plugin, parameters) = (Digest::of(b"p"), Parameters::new());
        let most = MAX_HANDLES;
        let template = Template { registered, plugin, parameters, login: None, most };
        Common { template: Some(Arc::new(template)), answered: true, ..Common::default() }
    }

    #[test]
    fn vault_allows_more_handles_after_first_answer() {
        let mut common = concurrent();
        assert_eq!(common.most(), MAX_HANDLES);
        common.answered = false;
        assert_eq!(common.most(), 1);
        assert_eq!(Common { answered: true, ..Common::default() }.most(), 1);
    }

    #[test]
    fn unlocked_vault_allows_more_handles_while_session_lasts() {
        let mut common = concurrent();
        common.unlock();
        assert_eq!(common.most(), 1);
        common.keep(session(0), None, true);
        assert_eq!(common.most(), 1);
        let number = common.keep(session(60), None, true);
        assert_eq!(common.most(), MAX_HANDLES);
        common.forget(number - 1);
        assert_eq!(common.most(), MAX_HANDLES);
        common.forget(number);
        assert_eq!(common.most(), 1);
    }

    #[test]
    fn additional_handle_inherits_shared_session() {
        let mut common = concurrent();
        assert!(common.further(false).is_none());
        assert!(common.further(true).unwrap().session.is_none());
        common.keep(session(60), Some(7), true);
        for is_further in [true, false] {
            let further = common.further(is_further).unwrap();
            assert!(further.session.unwrap().lifetime <= Duration::from_secs(60));
            assert_eq!((further.kept, further.by_caller, further.number), (Some(7), true, 1));
        }
        common.keep(session(0), Some(8), true);
        let further = common.further(true).unwrap();
        assert!(further.session.is_none() && further.kept.is_none());
    }

    #[test]
    fn locked_handle_reopens_with_newer_session() {
        let mut common = concurrent();
        let old = common.keep(session(60), None, false);
        let new = common.keep(session(60), None, false);
        // Another session, or none since its process ended.
        assert!(!common.needs_answers(Some(old), false) && !common.needs_answers(None, false));
        assert!(common.session.is_some());
        // Its own is of no use any more.
        assert!(common.needs_answers(Some(new), false));
        assert!(common.session.is_none() && !common.refused);
    }

    #[test]
    fn locked_additional_handle_prompts_no_user_and_is_last() {
        let mut common = concurrent();
        let number = common.keep(session(60), None, false);
        assert!(!common.needs_answers(Some(number), true));
        assert_eq!(common.most(), 1);
        // Unlocking the vault gives it another chance.
        common.unlock();
        common.keep(session(60), None, false);
        assert_eq!(common.most(), MAX_HANDLES);
    }
}

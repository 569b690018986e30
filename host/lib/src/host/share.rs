//! State that the handles of one vault share, if its kind allows several: how the first was opened,
//! and the session that opens the others. So the user is prompted once, a reference is resolved
//! once, and all handles use one account.

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

/// Details of how the first handle was opened.
pub(super) struct Template {
    pub(super) registered: LayeredRegistration,
    /// The hash of the plugin.
    pub(super) plugin: Digest,
    pub(super) parameters: Parameters,
    /// Login of the handles, if a session of theirs can be kept.
    pub(super) login: Option<Login>,
    /// Maximum number of handles.
    pub(super) most: usize,
}

/// Details of how to open a further handle.
pub(super) struct Further {
    pub(super) template: Arc<Template>,
    pub(super) session: Option<Session>,
    /// Serial number of the session in the agent; `None` if the agent does not keep it.
    pub(super) kept: Option<u64>,
    /// Whether an answer to a prompt came from this process's caller.
    pub(super) by_caller: bool,
    /// Number of the session among those of the vault's handles.
    pub(super) number: u64,
}

/// State that the handles of one vault share.
#[derive(Default)]
pub(super) struct Common {
    /// Why the vault cannot be opened. It answers every request with this error: skipping it in
    /// silence would let another vault answer for it.
    faulty: Option<Arc<Error>>,
    /// `None` if the kind allows one handle.
    template: Option<Arc<Template>>,
    /// Whether a handle has answered: until then it is unknown whether the vault is locked.
    answered: bool,
    /// Whether answers to prompts unlocked it.
    unlocked: bool,
    session: Option<Held>,
    /// Number of sessions so far.
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
    /// Returns the session with its remaining lifetime; `None` if it has expired.
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
        // Without a session each further handle would prompt the user again.
        let opens = !self.unlocked || self.session.as_ref().is_some_and(|held| !held.is_over());
        match &self.template {
            Some(template) if self.answered && opens && !self.refused => template.most,
            _ => 1,
        }
    }
}

impl Common {
    /// Returns how to open a handle, if not by the vault's current registration.
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

    /// Starts anew, with a handle that was opened by the vault's current registration.
    fn begin(&mut self, open: &Open) {
        let (template, answered, number) = (open.template.clone(), open.answered, self.number);
        *self = Self { template, answered, number, ..Self::default() };
    }

    /// Records that answers to prompts unlocked the vault.
    fn unlock(&mut self) {
        (self.unlocked, self.session, self.refused) = (true, None, false);
    }

    /// Keeps a session for further handles, and returns its number.
    pub(super) fn keep(&mut self, session: Session, kept: Option<u64>, by_caller: bool) -> u64 {
        self.session = Some(Held { session, since: Instant::now(), kept, by_caller });
        self.number += 1;
        self.number
    }

    /// Discards the session of this number.
    pub(super) fn forget(&mut self, number: u64) {
        if number == self.number {
            self.session = None;
        }
    }

    /// Returns whether a locked vault needs answers to prompts; `had` is the session of the handle
    /// that is locked. A handle with another session, or without one since its process ended, is
    /// reopened with the current session.
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
    /// Opens a handle for this caller; `None` if it has to wait for another handle.
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
                // Continue as without a session.
                Err(_) => drop(caller.shared(|common| common.forget(number))),
            }
        }
        match self.open(name, call) {
            Ok(open) => {
                caller.unlocked(|common| common.begin(&open));
                caller.opened();
                Ok(Some(Box::new(open)))
            }
            // Not stored: a later registration of the name must be found.
            Err(error @ Error::NoSuchVault { .. }) => Err(error),
            Err(error) => {
                let source = Arc::new(error);
                caller.shared(|common| common.faulty = Some(Arc::clone(&source)));
                Err(Error::Faulty { vault: name.clone(), source })
            }
        }
    }

    /// Takes the turn to unlock the vault, which this handle reports as locked. Returns false if
    /// the handle is of no use: another caller unlocks the vault, or there is a session for another
    /// handle.
    pub(super) fn may_unlock(&self, open: &Open, caller: &Caller<'_>) -> bool {
        let had = (!open.has_restarted()).then_some(open.session);
        let is_further = caller.is_further;
        caller.may_unlock(|common| common.needs_answers(had, is_further))
    }

    /// Records that the vault was unlocked with this caller's handle.
    pub(super) fn was_unlocked(&self, caller: &mut Caller<'_>) {
        caller.unlocked(Common::unlock);
    }

    /// Records that a handle has answered.
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

    /// Returns the shared state of a vault whose kind allows several handles.
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
        // Its own session is no longer valid.
        assert!(common.needs_answers(Some(new), false));
        assert!(common.session.is_none() && !common.refused);
    }

    #[test]
    fn locked_additional_handle_prompts_no_user_and_is_last() {
        let mut common = concurrent();
        let number = common.keep(session(60), None, false);
        assert!(!common.needs_answers(Some(number), true));
        assert_eq!(common.most(), 1);
        // Unlocking the vault allows further handles again.
        common.unlock();
        common.keep(session(60), None, false);
        assert_eq!(common.most(), MAX_HANDLES);
    }
}

//! What the checks work with: the vaults under test and what is known of them, and how a check says
//! what it found.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::checks::Check;
use super::handle::texts;
pub(super) use super::handle::Handle;
use super::pages::Endless;
use super::{sample, Declared, Places, Subject, NAME_PREFIX};
use crate::error::{Error, ErrorKind, Result};
use crate::manifest::Capability;
use crate::name::SecretName;
use crate::vault::{Deadline, Entry, ListRequest, Session, MAX_PAGE_ENTRIES};

/// The name of the vault that most checks use.
pub(super) const VAULT: &str = "keystead-conformance";

/// The name of a second vault.
pub(super) const SECOND_VAULT: &str = "keystead-conformance-2";

/// How long an ordinary call may take: enough for a server at the other end of the world.
const CALL: Duration = Duration::from_secs(60);

/// How a check ends.
pub(super) type Verdict = Result<(), Fault>;

/// Why a check did not pass.
pub(super) enum Fault {
    /// The obligation is broken.
    Broken { expected: String, found: String },
    /// Something else stands in the way of checking it.
    Elsewhere { why: String },
    /// A call that the check needs beforehand did not work.
    Before { why: String },
}

/// Returns the verdict that an obligation is broken.
pub(super) fn broken<T>(expected: impl Into<String>, found: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::Broken { expected: expected.into(), found: found.into() })
}

/// Returns the verdict that an obligation cannot be checked.
pub(super) fn elsewhere<T>(why: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::Elsewhere { why: why.into() })
}

/// Says what a call answered, without the bytes of what it answered.
pub(super) fn answer_of<T>(result: &Result<T>) -> String {
    match result {
        Ok(_) => "success".to_owned(),
        Err(error) => format!("`{}` ({error})", error.kind()),
    }
}

/// Breaks the obligation unless the call failed with this kind.
pub(super) fn expect_error<T>(result: &Result<T>, kind: ErrorKind, call: &str) -> Verdict {
    match result {
        Err(error) if error.kind() == kind => Ok(()),
        other => broken(format!("`{kind}` from {call}"), answer_of(other)),
    }
}

/// Breaks the obligation unless the call succeeded.
pub(super) fn expect_success<T>(result: Result<T>, call: &str) -> Result<T, Fault> {
    match result {
        Ok(value) => Ok(value),
        Err(error) => broken(format!("success from {call}"), answer_of::<T>(&Err(error))),
    }
}

/// Goes no further where a step before the one in question did not work: another
/// obligation has that one's name.
pub(super) fn prepared<T>(result: Result<T>, call: &str) -> Result<T, Fault> {
    match result {
        Ok(value) => Ok(value),
        Err(error) => {
            let why = format!("{call} answered {}", answer_of::<T>(&Err(error)));
            Err(Fault::Before { why })
        }
    }
}

/// Says that a vault cannot do what a check is about.
fn not_declared(capability: Capability) -> String {
    format!("the vault does not declare `{}`", capability.as_str())
}

/// Returns the deadline of an ordinary call.
pub(super) fn soon() -> Deadline {
    Deadline::after(CALL)
}

/// What all handles of a run have in common.
#[derive(Default)]
pub(super) struct Watch {
    /// Everything that was ever heard of a vault: its messages.
    pub(super) heard: Mutex<Vec<String>>,
    /// Why the listing of the vault has no end, where that was found.
    pub(super) endless: Mutex<Option<Endless>>,
    /// How many calls were made.
    pub(super) calls: AtomicU32,
    /// Until when what was written is removed, once the check has been stopped.
    pub(super) cleans_until: Mutex<Option<Instant>>,
    /// Whether a vault did not come back from a call.
    hangs: AtomicBool,
    /// Whether calls that fail while they hold a secret were made.
    provoked: AtomicBool,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The vaults under test, and what is known of them so far.
pub(super) struct Bench<'a> {
    pub(super) declared: &'a Declared,
    pub(super) subject: &'a dyn Subject,
    /// The name of the vault that most checks use.
    pub(super) vault: String,
    pub(super) main: Option<Handle<'a>>,
    pub(super) watch: Arc<Watch>,
    pub(super) first_open: Arc<FirstOpen>,
    /// When the check began.
    pub(super) began: Instant,
    /// How long all openings took.
    pub(super) opening: Duration,
    /// Until when checks begin, where they do not go on until everything was tried.
    pub(super) until: Option<Instant>,
    /// Whether each obligation is tried with as little as shows it, however long calls take now.
    pub(super) slow: bool,
    /// How long a call takes, where that was measured before there were several lanes.
    pub(super) plan_pace: Option<Duration>,
    /// Secrets that checks only read, which stay until the end.
    pub(super) standing: Vec<SecretName>,
    /// With how many secrets the present check tries the vault, where that depends on its speed.
    pub(super) tried: Option<usize>,
}

/// What was seen when the vault was opened for the first time.
pub(super) struct FirstOpen {
    /// The answer, where it was that somebody must log in first.
    pub(super) refused: Option<Error>,
    /// What it made out of nothing.
    pub(super) created: Vec<PathBuf>,
    /// What the vault said when it was asked something before any unlocking.
    pub(super) locked: Option<Error>,
    /// Why answering did not unlock it.
    pub(super) stays_locked: Option<String>,
}

impl<'a> Bench<'a> {
    /// Opens the vault, unlocks it where it is locked, and removes what an earlier run may
    /// have left behind.
    pub(super) fn new(subject: &'a dyn Subject, declared: &'a Declared) -> Result<Self> {
        let watch = Arc::<Watch>::default();
        let began = subject.now();
        let absent: Vec<PathBuf> =
            subject.paths(VAULT).into_iter().filter(|path| !path.exists()).collect();
        let opened = subject.open(VAULT, None);
        let opening = subject.now().saturating_duration_since(began);
        let created = absent.into_iter().filter(|path| path.exists()).collect();
        let mut first_open = FirstOpen { refused: None, created, locked: None, stays_locked: None };
        let main = match opened {
            Ok(vault) => {
                let mut main = Handle::new(vault, declared, watch.clone());
                let asked = main.ask(|vault| vault.list(&ListRequest::new(soon())));
                if let Err(error) = asked {
                    if error.kind() == ErrorKind::Locked {
                        first_open.stays_locked = main.unlock(&error).err().map(|e| e.to_string());
                        first_open.locked = Some(error);
                    }
                }
                Some(main)
            }
            Err(error)
                if matches!(error.kind(), ErrorKind::Locked | ErrorKind::PermissionDenied) =>
            {
                lock(&watch.heard).extend(texts(&error));
                first_open.refused = Some(error);
                None
            }
            Err(error) => return Err(error),
        };
        let mut bench = Self {
            declared,
            subject,
            vault: VAULT.to_owned(),
            main,
            watch,
            first_open: Arc::new(first_open),
            began,
            opening,
            until: declared.most.map(|most| began + most),
            slow: false,
            plan_pace: None,
            standing: Vec::new(),
            tried: None,
        };
        bench.clean_up_after_earlier_runs();
        if let Some(locked) = bench.lock_by_first_write() {
            let first = Arc::get_mut(&mut bench.first_open).expect("there are no lanes yet");
            first.locked = Some(locked);
        }
        Ok(bench)
    }

    /// Returns why this obligation cannot be checked, whatever it is: the vault does not
    /// open, does not unlock, hangs, or cannot do what it is about.
    pub(super) fn obstacle(&self, check: &Check) -> Option<String> {
        let obligation = check.obligation;
        const WITHOUT_VAULT: &[&str] = &["open-no-login"];
        const WHILE_LOCKED: &[&str] =
            &["no-prompt", "unlock-right", "unlock-wrong", "unlock-stale", "open-no-effect"];
        if WITHOUT_VAULT.contains(&obligation) {
            return None;
        }
        if self.first_open.refused.is_some() {
            return Some("the vault does not open without a login: see open-no-login".to_owned());
        }
        if self.hangs_now() && obligation != "no-secret-in-error" {
            return Some("the vault hangs: see deadline".to_owned());
        }
        match &self.first_open.stays_locked {
            Some(_) if WHILE_LOCKED.contains(&obligation) => None,
            Some(why) => Some(format!("the vault is locked, and stays so: {why}")),
            None => {
                let missing =
                    check.needs.iter().find(|capability| !self.declared.can(**capability));
                missing.map(|capability| not_declared(*capability))
            }
        }
    }

    pub(super) fn first_open(&self) -> &FirstOpen {
        &self.first_open
    }

    pub(super) fn places(&self) -> Places {
        self.subject.places()
    }

    /// Returns the handle that most checks share.
    pub(super) fn main(&mut self) -> &mut Handle<'a> {
        self.main.as_mut().expect("`obstacle` lets nobody here while it is missing")
    }

    /// Takes the session that a vault handed over last.
    pub(super) fn kept_session(&mut self) -> Option<Session> {
        self.subject.kept_session()
    }

    /// Opens one more handle of the vault that most checks use, locked where the vault is.
    pub(super) fn open_own(&mut self, session: Option<Session>) -> Result<Handle<'a>> {
        let vault = self.vault.clone();
        self.open(&vault, session)
    }

    /// Opens one more handle, locked where the vault is.
    pub(super) fn open(&mut self, vault: &str, session: Option<Session>) -> Result<Handle<'a>> {
        let before = self.subject.now();
        let opened = self.subject.open(vault, session);
        self.opening += self.subject.now().saturating_duration_since(before);
        match opened {
            Ok(vault) => Ok(Handle::new(vault, self.declared, self.watch.clone())),
            Err(error) => {
                lock(&self.watch.heard).extend(texts(&error));
                Err(error)
            }
        }
    }

    /// Skips the check where the vault has no such capability.
    pub(super) fn needs(&self, capability: Capability) -> Verdict {
        if self.declared.can(capability) {
            return Ok(());
        }
        elsewhere(not_declared(capability))
    }

    /// Skips the check where the vault was not locked when it was opened.
    pub(super) fn needs_lock(&self) -> Verdict {
        self.needs(Capability::Unlock)?;
        match self.first_open.locked {
            Some(_) => Ok(()),
            None => elsewhere("the vault was not locked when it was opened"),
        }
    }

    /// Returns whether the vault did not come back from a call.
    pub(super) fn hangs_now(&self) -> bool {
        self.watch.hangs.load(SeqCst)
    }

    /// Returns whether calls that fail while they hold a secret were made.
    pub(super) fn has_provoked(&self) -> bool {
        self.watch.provoked.load(SeqCst)
    }

    /// Notes that such calls are made.
    pub(super) fn note_provoked(&self) {
        self.watch.provoked.store(true, SeqCst);
    }

    /// Notes that the vault did not come back from a call.
    pub(super) fn hangs(&mut self) {
        self.watch.hangs.store(true, SeqCst);
        // Another handle may hang the same way, with nobody to stop it.
        if let Some(main) = &mut self.main {
            main.written.clear();
            main.standing.clear();
        }
    }

    /// Removes what the main handle wrote.
    pub(super) fn clean(&mut self) {
        if let Some(main) = &mut self.main {
            main.clean();
        }
    }

    /// Returns every message so far.
    pub(super) fn heard(&mut self) -> Vec<String> {
        let logged = self.subject.logged();
        lock(&self.watch.heard).extend(logged);
        lock(&self.watch.heard).clone()
    }

    /// Returns the text without what a person would type to unlock the vault.
    pub(super) fn redact(&self, mut text: String) -> String {
        for answer in &self.declared.answers {
            if !answer.value.expose().is_empty() {
                text = text.replace(answer.value.expose(), "[redacted]");
            }
        }
        text
    }

    /// Writes to a vault that was open although it may be locked: one that its first write makes is
    /// locked from then on. Returns what it says then.
    fn lock_by_first_write(&mut self) -> Option<Error> {
        let declared = self.declared;
        let may_lock = declared.can(Capability::Unlock) && !declared.answers.is_empty();
        if !may_lock || self.first_open.locked.is_some() || !declared.can(Capability::Write) {
            return None;
        }
        self.main.as_mut()?.put(&sample::name("first")).ok()?;
        let mut again = self.open_own(None).ok()?;
        let asked = again.ask(|vault| vault.list(&ListRequest::new(soon())));
        asked.err().filter(|error| error.kind() == ErrorKind::Locked)
    }

    /// Removes what is left of an earlier run, and returns whether the vault could be listed.
    pub(super) fn clean_up_after_earlier_runs(&mut self) -> bool {
        if self.first_open.stays_locked.is_some() || !self.declared.can(Capability::Write) {
            return false;
        }
        let main = match &mut self.main {
            Some(main) => main,
            None => return false,
        };
        let listed = main.walk(MAX_PAGE_ENTRIES);
        let is_listed = listed.is_ok();
        let ours = |entry: &Entry| entry.name.as_str().starts_with(NAME_PREFIX);
        let listed = listed.map(|walk| walk.entries).unwrap_or_default().into_iter();
        main.written.extend(listed.filter(ours).map(|entry| entry.name));
        main.clean();
        is_listed
    }
}

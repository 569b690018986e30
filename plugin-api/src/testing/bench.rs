//! What the checks work with: open vaults that unlock themselves, remember what they wrote
//! so that it is removed again, and keep every message they heard.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::checks::Check;
use super::pages::{Endless, Walk};
use super::{sample, Declared, Places, Subject, NAME_PREFIX};
use crate::error::{Error, ErrorKind, Result};
use crate::manifest::Capability;
use crate::metadata::Metadata;
use crate::name::SecretName;
use crate::value::{SecretText, Value};
use crate::vault::{
    Answer, Deadline, DescribeRequest, Entry, GetRequest, ListRequest, RemoveRequest,
    RenameRequest, Secret, Session, SetMetadataRequest, SetRequest, UnlockRequest, Vault,
    WriteMode, MAX_PAGE_ENTRIES,
};

/// The name of the vault that most checks use.
pub(super) const VAULT: &str = "keystead-conformance";

/// The name of a second vault.
pub(super) const SECOND_VAULT: &str = "keystead-conformance-2";

/// How long an ordinary call may take: enough for a server at the other end of the world.
const CALL: Duration = Duration::from_secs(60);

/// How long a check that was stopped removes what it wrote.
const CLEANING: Duration = Duration::from_secs(3);

/// How many steps of unlocking are answered before the vault is taken to ask for ever.
const MAX_UNLOCK_STEPS: usize = 8;

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
    heard: Mutex<Vec<String>>,
    /// Why the listing of the vault has no end, where that was found.
    endless: Mutex<Option<Endless>>,
    /// How many calls were made.
    pub(super) calls: AtomicU32,
    /// Until when what was written is removed, once the check has been stopped.
    cleans_until: Mutex<Option<Instant>>,
    /// Whether a vault did not come back from a call.
    hangs: AtomicBool,
    /// Whether calls that fail while they hold a secret were made.
    provoked: AtomicBool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
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

/// One open vault.
pub(super) struct Handle<'a> {
    vault: Option<Box<dyn Vault>>,
    declared: &'a Declared,
    watch: Arc<Watch>,
    pub(super) written: BTreeSet<SecretName>,
    /// What it wrote for several checks, and removes last.
    pub(super) standing: BTreeSet<SecretName>,
    /// Whether it removes what it wrote, also where the check was stopped.
    cleans: bool,
}

impl<'a> Handle<'a> {
    fn new(vault: Box<dyn Vault>, declared: &'a Declared, watch: Arc<Watch>) -> Self {
        let (written, standing) = (BTreeSet::new(), BTreeSet::new());
        Self { vault: Some(vault), declared, watch, written, standing, cleans: false }
    }

    /// Calls the vault as it is, and keeps the message of a failure.
    pub(super) fn ask<T>(&mut self, call: impl FnOnce(&mut dyn Vault) -> Result<T>) -> Result<T> {
        let vault = match &mut self.vault {
            Some(vault) if self.cleans || !self.declared.stop.is_stopped() => vault,
            _ => return Err(Error::timed_out()),
        };
        self.watch.calls.fetch_add(1, SeqCst);
        let result = call(vault.as_mut());
        if let Err(error) = &result {
            lock(&self.watch.heard).extend(texts(error));
        }
        result
    }

    /// Calls the vault; where it is locked, unlocks it and calls once more.
    pub(super) fn call<T>(
        &mut self,
        mut call: impl FnMut(&mut dyn Vault) -> Result<T>,
    ) -> Result<T> {
        match self.ask(&mut call) {
            Err(error)
                if error.kind() == ErrorKind::Locked && !self.declared.answers.is_empty() =>
            {
                self.unlock(&error)?;
                self.ask(call)
            }
            result => result,
        }
    }

    /// Answers this challenge, and those that follow from it, with the right answers.
    pub(super) fn unlock(&mut self, locked: &Error) -> Result<()> {
        let mut locked = locked.clone();
        for _ in 0..MAX_UNLOCK_STEPS {
            let request = self.answers(&locked, |answer| answer.to_owned())?;
            match self.ask(|vault| vault.unlock(&request)) {
                Err(error) if error.kind() == ErrorKind::Locked => locked = error,
                result => return result.map(drop),
            }
        }
        Err(Error::internal(format!("it still asks after {MAX_UNLOCK_STEPS} right answers")))
    }

    /// Returns an answer to each prompt of this challenge, changed by `change`.
    pub(super) fn answers(
        &self,
        locked: &Error,
        change: impl Fn(&str) -> String,
    ) -> Result<UnlockRequest> {
        let challenge = match locked.challenge() {
            Some(challenge) => challenge,
            None => return Err(Error::internal("`locked` came without a challenge")),
        };
        let mut answers = Vec::with_capacity(challenge.prompts.len());
        for prompt in &challenge.prompts {
            let known = self.declared.answers.iter().find(|answer| answer.name == prompt.name);
            let value = match known {
                Some(answer) => SecretText::new(change(answer.value.expose())),
                None => {
                    let message = format!("no answer was given for its prompt `{}`", prompt.name);
                    return Err(Error::invalid(message));
                }
            };
            answers.push(Answer::new(prompt.name.clone(), value));
        }
        Ok(UnlockRequest::new(challenge.id.clone(), answers, soon()))
    }

    pub(super) fn get(&mut self, name: &SecretName) -> Result<Secret> {
        self.call(|vault| vault.get(&GetRequest::new(name.clone(), soon())))
    }

    /// Returns the value, or `None` where the vault gives none, for whatever reason.
    pub(super) fn peek(&mut self, name: &SecretName) -> Option<Value> {
        self.get(name).ok().map(|secret| secret.value)
    }

    pub(super) fn set(&mut self, name: &SecretName, value: &Value) -> Result<()> {
        self.set_with(name, value, None, WriteMode::Upsert)
    }

    pub(super) fn set_with(
        &mut self,
        name: &SecretName,
        value: &Value,
        metadata: Option<&Metadata>,
        mode: WriteMode,
    ) -> Result<()> {
        self.will_write(name);
        self.call(|vault| {
            let mut request = SetRequest::new(name.clone(), value.duplicate(), soon());
            request.metadata = metadata.cloned();
            request.mode = mode;
            vault.set(request).map(drop)
        })
    }

    /// Notes a name that is going to be written, for it to be removed at the end.
    pub(super) fn will_write(&mut self, name: &SecretName) {
        debug_assert!(name.as_str().starts_with(NAME_PREFIX));
        // Once the check is stopped, nothing is written any more.
        if !self.declared.stop.is_stopped() {
            self.written.insert(name.clone());
        }
    }

    /// Writes a value of a kind that the vault holds, for a check that is about something
    /// else, and returns it.
    pub(super) fn put(&mut self, name: &SecretName) -> Result<Value, Fault> {
        let value = sample::plain(self.declared, name.as_str());
        prepared(self.set(name, &value), "`set`")?;
        Ok(value)
    }

    pub(super) fn set_metadata(&mut self, name: &SecretName, metadata: &Metadata) -> Result<()> {
        self.call(|vault| {
            let request = SetMetadataRequest::new(name.clone(), metadata.clone(), soon());
            vault.set_metadata(request).map(drop)
        })
    }

    pub(super) fn rename(&mut self, from: &SecretName, to: &SecretName) -> Result<()> {
        self.will_write(to);
        self.call(|vault| {
            vault.rename(&RenameRequest::new(from.clone(), to.clone(), soon())).map(drop)
        })
    }

    pub(super) fn remove(&mut self, name: &SecretName) -> Result<()> {
        let request = RemoveRequest::new(name.clone(), soon());
        self.call(|vault| vault.remove(&request).map(drop))?;
        self.written.remove(name);
        Ok(())
    }

    pub(super) fn describe(&mut self, name: &SecretName) -> Result<Entry> {
        if let Some(endless) = *lock(&self.watch.endless) {
            // By default it is looked for in the listing, until the deadline.
            return Err(Error::unavailable(endless.why()));
        }
        self.call(|vault| vault.describe(&DescribeRequest::new(name.clone(), soon())))
    }

    /// Lists everything, page by page. Ends where the listing does not advance, and whatever a page
    /// has too many of is kept: what that breaks has a check of its own.
    pub(super) fn walk(&mut self, limit: usize) -> Result<Walk> {
        let mut walk = Walk::new(limit);
        while walk.step(self)? {}
        Ok(walk)
    }

    /// Lists everything, for a check that is about something else.
    pub(super) fn entries(&mut self) -> Result<Vec<Entry>, Fault> {
        self.needs_listing()?;
        let walk = prepared(self.walk(MAX_PAGE_ENTRIES), "`list`")?;
        walk.ended()?;
        Ok(walk.entries)
    }

    /// Skips the check where a listing was found to have no end.
    pub(super) fn needs_listing(&self) -> Verdict {
        self.endless().map_or(Ok(()), |endless| elsewhere(endless.why()))
    }

    /// Returns why a listing has no end, where that was found.
    pub(super) fn endless(&self) -> Option<Endless> {
        *lock(&self.watch.endless)
    }

    /// Notes that a listing has no end, so that no other check looks for it.
    pub(super) fn note_endless(&self, endless: Endless) {
        *lock(&self.watch.endless) = Some(endless);
    }

    /// Returns how many secrets the suite was told to write.
    pub(super) fn own(&self) -> usize {
        self.declared.many.unwrap_or(0)
    }

    /// Returns the entry of this name in a listing.
    pub(super) fn listed(&mut self, name: &SecretName) -> Result<Option<Entry>, Fault> {
        Ok(self.entries()?.into_iter().find(|entry| entry.name == *name))
    }

    /// Returns the vault itself, which is then no longer here.
    pub(super) fn take(&mut self) -> Option<Box<dyn Vault>> {
        self.vault.take()
    }

    /// Puts a vault back that was taken.
    pub(super) fn put_back(&mut self, vault: Box<dyn Vault>) {
        self.vault = Some(vault);
    }

    /// Removes what was written. Failures are of no interest, unless the check was stopped: what they
    /// break has a check.
    fn clean(&mut self) {
        self.cleans = true;
        for name in std::mem::take(&mut self.written) {
            if !self.declared.stop.is_stopped() {
                let _ = self.remove(&name);
                continue;
            }
            let now = Instant::now();
            let until = *lock(&self.watch.cleans_until).get_or_insert(now + CLEANING);
            let removed = match now < until {
                true => self.remove(&name),
                false => Err(Error::timed_out()),
            };
            if removed.map_or_else(|error| error.kind() != ErrorKind::NotFound, |()| false) {
                self.declared.stop.leave();
            }
        }
        self.cleans = false;
    }
}

impl Drop for Handle<'_> {
    fn drop(&mut self) {
        self.written.append(&mut self.standing);
        self.clean();
    }
}

/// Returns all text of an error.
fn texts(error: &Error) -> Vec<String> {
    let mut texts = vec![error.message().to_owned()];
    if let Some(challenge) = error.challenge() {
        texts.push(challenge.id.clone());
        for prompt in &challenge.prompts {
            texts.push(format!("{} {}", prompt.name, prompt.label));
        }
    }
    texts
}

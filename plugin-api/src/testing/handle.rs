//! One open vault: it unlocks itself, remembers what was written to it so that it is removed again, and
//! keeps every message it heard.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::bench::{elsewhere, lock, prepared, soon, Fault, Verdict, Watch};
use super::pages::{Endless, Walk};
use super::{sample, Declared, NAME_PREFIX};
use crate::error::{Error, ErrorKind, Result};
use crate::metadata::Metadata;
use crate::name::SecretName;
use crate::value::{SecretText, Value};
use crate::vault::{
    Answer, DescribeRequest, Entry, GetRequest, RemoveRequest, RenameRequest, Secret,
    SetMetadataRequest, SetRequest, UnlockRequest, Vault, WriteMode, MAX_PAGE_ENTRIES,
};

/// How long a check that was stopped removes what it wrote.
const CLEANING: Duration = Duration::from_secs(3);

/// How many steps of unlocking are answered before the vault is taken to ask for ever.
const MAX_UNLOCK_STEPS: usize = 8;

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
    pub(super) fn new(vault: Box<dyn Vault>, declared: &'a Declared, watch: Arc<Watch>) -> Self {
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
    pub(super) fn clean(&mut self) {
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
pub(super) fn texts(error: &Error) -> Vec<String> {
    let mut texts = vec![error.message().to_owned()];
    if let Some(challenge) = error.challenge() {
        texts.push(challenge.id.clone());
        for prompt in &challenge.prompts {
            texts.push(format!("{} {}", prompt.name, prompt.label));
        }
    }
    texts
}

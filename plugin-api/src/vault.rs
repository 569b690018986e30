//! The contract of a vault: what each call must do. Every bullet is an obligation with a
//! name; the conformance suite ([`testing`](crate::testing)) checks it under that name.

mod write;

#[cfg(feature = "next")]
use std::collections::BTreeMap;
use std::collections::HashSet;
use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind, Result};
use crate::metadata::Metadata;
use crate::name::SecretName;
use crate::parameters::{Parameter, Parameters};
use crate::value::{SecretBytes, SecretText, Value, ValueKind};

pub(crate) use write::one_by_one;
pub use write::{SetRequest, WriteMode, MAX_SET_MANY, MAX_SET_MANY_BYTES};

/// The most entries a [`Page`] may have.
pub const MAX_PAGE_ENTRIES: usize = 1_000;

/// The most names one [`Vault::get_many`] may be asked for.
pub const MAX_GET_MANY: usize = 10_000;

/// The most bytes a [`Page`]'s cursor may have.
pub const MAX_CURSOR_BYTES: usize = 4_096;

/// Until when a call should be done. In an isolated plugin the host ends the process
/// shortly after; in the host's own process the deadline is advisory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline(Instant);

impl Deadline {
    /// The longest a deadline may lie ahead, a day: no sum with it overflows.
    const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

    /// Returns the moment this long from now, at most a day.
    pub fn after(wait: Duration) -> Self {
        Self(Instant::now() + wait.min(Self::LONGEST))
    }

    /// Returns how long there is left: zero once it has passed.
    pub fn remaining(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// Returns whether it has passed.
    pub fn has_passed(self) -> bool {
        self.remaining() == Duration::ZERO
    }
}

/// Asks for one secret.
#[non_exhaustive]
#[derive(Debug, Clone)]
pub struct GetRequest {
    /// Its name.
    pub name: SecretName,
    /// Which version, as [`Vault::versions`] names it; the newest where absent.
    pub version: Option<String>,
    /// Until when.
    pub deadline: Deadline,
    /// What a later minor version might add: why the secret is wanted, for audits.
    #[cfg(feature = "next")]
    pub reason: Option<String>,
}

impl GetRequest {
    /// Asks for the newest version of this secret.
    pub fn new(name: SecretName, deadline: Deadline) -> Self {
        Self {
            name,
            version: None,
            deadline,
            #[cfg(feature = "next")]
            reason: None,
        }
    }
}

/// A secret as a vault gives it out.
#[non_exhaustive]
#[derive(Debug, PartialEq, Eq)]
pub struct Secret {
    /// The value.
    pub value: Value,
    /// What the vault keeps beside it; empty where it keeps nothing.
    pub metadata: Metadata,
    /// What a later minor version might add: until when the value is good, in
    /// milliseconds.
    #[cfg(feature = "next")]
    pub lease_millis: Option<u64>,
}

impl Secret {
    /// Returns a secret without metadata.
    pub fn new(value: Value) -> Self {
        Self::with_metadata(value, Metadata::new())
    }

    /// Returns a secret with metadata.
    pub fn with_metadata(value: Value, metadata: Metadata) -> Self {
        Self {
            value,
            metadata,
            #[cfg(feature = "next")]
            lease_millis: None,
        }
    }
}

/// Asks for one page of what the vault has.
#[non_exhaustive]
#[derive(Debug, Clone)]
pub struct ListRequest {
    /// The last page's `next`; absent for the first page.
    pub after: Option<String>,
    /// The most entries wanted, 1 to [`MAX_PAGE_ENTRIES`].
    pub limit: usize,
    /// A pattern with `*` and `?` that the host is going to apply: a vault may use it to
    /// send less, or ignore it.
    pub filter: Option<String>,
    /// Until when.
    pub deadline: Deadline,
}

impl ListRequest {
    /// Asks for the first page, as large as may be.
    pub fn new(deadline: Deadline) -> Self {
        Self { after: None, limit: MAX_PAGE_ENTRIES, filter: None, deadline }
    }
}

/// One secret in a listing: everything but its value.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: SecretName,
    /// Its kind, where the vault knows it without opening the value.
    pub kind: Option<ValueKind>,
    /// What the vault keeps beside the value.
    pub metadata: Metadata,
}

impl Entry {
    /// Returns an entry.
    pub fn new(name: SecretName, kind: Option<ValueKind>, metadata: Metadata) -> Self {
        Self { name, kind, metadata }
    }
}

/// One page of a listing, in the vault's own order.
#[non_exhaustive]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// At most as many entries as were asked for; possibly none although more follow.
    pub entries: Vec<Entry>,
    /// What to ask for next; absent on the last page.
    pub next: Option<String>,
}

impl Page {
    /// Returns a page.
    pub fn new(entries: Vec<Entry>, next: Option<String>) -> Self {
        Self { entries, next }
    }
}

/// One answer to a [`Prompt`](crate::Prompt).
#[derive(Debug)]
pub struct Answer {
    /// The prompt's name.
    pub name: String,
    /// What was typed.
    pub value: SecretText,
}

/// Answers a challenge.
#[non_exhaustive]
#[derive(Debug)]
pub struct UnlockRequest {
    /// The challenge's id.
    pub challenge: String,
    /// An answer to each of its prompts.
    pub answers: Vec<Answer>,
    /// Until when: unlocking has a deadline of its own, for key derivation.
    pub deadline: Deadline,
}

impl UnlockRequest {
    /// Answers this challenge.
    pub fn new(challenge: impl Into<String>, answers: Vec<Answer>, deadline: Deadline) -> Self {
        Self { challenge: challenge.into(), answers, deadline }
    }

    /// Returns the answer to the prompt of this name.
    pub fn answer(&self, name: &str) -> Option<&SecretText> {
        self.answers.iter().find(|answer| answer.name == name).map(|answer| &answer.value)
    }
}

/// An opaque secret that reopens an unlocked vault without asking again.
#[derive(Debug)]
pub struct Session {
    /// What [`Plugin::open`](crate::Plugin::open) may be given back.
    pub secret: SecretBytes,
    /// For how long the vault will take it.
    pub lifetime: Duration,
}

/// One earlier state of a secret.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// The vault's own name for it.
    pub id: String,
    /// When it was written, in milliseconds since 1970 UTC, where known.
    pub created: Option<i64>,
}

impl Version {
    /// Returns a version.
    pub fn new(id: impl Into<String>, created: Option<i64>) -> Self {
        Self { id: id.into(), created }
    }
}

/// Something only this vault can do, such as changing its password.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// Its id: lower-case letters, digits and dashes.
    pub id: String,
    /// What it does, in one line.
    pub description: String,
    /// What it may or must be told.
    pub parameters: Vec<Parameter>,
    /// Whether something is lost by it: the host asks first.
    pub destructive: bool,
}

impl Action {
    /// Returns an action that loses nothing and needs no parameters.
    pub fn new(id: impl Into<String>, description: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            description: description.into(),
            parameters: Vec::new(),
            destructive: false,
        }
    }
}

/// Runs an action.
#[non_exhaustive]
#[derive(Debug)]
pub struct ActRequest {
    /// The action's id.
    pub action: String,
    /// Its parameters, checked against its schema.
    pub parameters: Parameters,
    /// Until when.
    pub deadline: Deadline,
}

impl ActRequest {
    /// Runs this action.
    pub fn new(action: impl Into<String>, parameters: Parameters, deadline: Deadline) -> Self {
        Self { action: action.into(), parameters, deadline }
    }
}

/// What an action has to say.
#[non_exhaustive]
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    /// A sentence for people, or several lines of them; not secret.
    pub message: String,
    /// Something secret that is shown once, such as a recovery code.
    pub value: Option<Value>,
}

impl Outcome {
    /// Returns a sentence.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), value: None }
    }
}

/// One open vault.
///
/// One caller at a time calls it (`&mut self`); it may move between threads. Of all calls:
///
/// - **no-prompt**: it never asks a person, never reads a terminal, never writes to
///   standard output: it answers [`ErrorKind::Locked`] with what it needs.
/// - **locked-no-effect**: a call answered `Locked` has changed nothing.
/// - **not-found-only**: [`ErrorKind::NotFound`] means there is no such secret, and
///   nothing else.
/// - **unsupported**: what it cannot do it answers with [`ErrorKind::Unsupported`],
///   before anything is changed.
/// - **own-handle**: two open vaults share nothing; what one is told the other never
///   shows. Keep state in the vault, not in a `static`.
/// - **deadline**: it gives up with [`ErrorKind::Late`] soon after the deadline.
/// - **no-secret-in-error**: no message holds a secret's bytes.
pub trait Vault: Send {
    /// Returns a secret.
    ///
    /// - **get-what-was-set**: the value is equal to the one last set: same kind, same
    ///   bytes, same keys.
    /// - **get-missing**: a name that is not there is [`ErrorKind::NotFound`], also one that
    ///   this vault could never hold: whoever searches several vaults goes on to the next.
    /// - **get-empty**: an empty text, bytes or map is a value, not an absence.
    /// - **get-no-effect**: it changes nothing. A secret that is made for whoever asks is given
    ///   again by the same open vault as long as it is good.
    fn get(&mut self, request: &GetRequest) -> Result<Secret>;

    /// Returns one page of what is there.
    ///
    /// - **list-all**: the pages together have every secret once.
    /// - **list-limit**: a page has at most `limit` entries.
    /// - **list-advances**: each page's `next` differs from all before it.
    /// - **list-as-given**: names are as they were set.
    /// - **list-no-values**: no value is opened for it.
    ///
    /// Pages need not be of one moment: what others change meanwhile may be in the listing or
    /// not. An open vault may keep what it needs from one page to the next.
    fn list(&mut self, request: &ListRequest) -> Result<Page>;

    /// Returns a secret's entry. By default it is looked for page by page.
    ///
    /// - **describe-as-listed**: it is the entry a listing has.
    /// - **describe-missing**: a name that is not there is [`ErrorKind::NotFound`].
    fn describe(&mut self, request: &GetRequest) -> Result<Entry> {
        let mut page = ListRequest::new(request.deadline);
        let mut cursors = HashSet::new();
        loop {
            let found = self.list(&page)?;
            for entry in found.entries {
                if entry.name == request.name {
                    return Ok(entry);
                }
            }
            let next = found.next.ok_or_else(Error::not_found)?;
            // Not having seen every page is not the same as there being no such secret.
            if !cursors.insert(next.clone()) {
                return Err(Error::internal("the cursor of a listing stands still"));
            }
            if request.deadline.has_passed() {
                return Err(Error::late());
            }
            page.after = Some(next);
        }
    }

    /// Writes a secret. For [`Capability::Write`](crate::manifest::Capability::Write).
    ///
    /// - **set-atomic**: afterwards the old secret is there or the new one, never a mix. Where
    ///   a server takes value and metadata in two steps, the value is first, and an error after
    ///   it says that the metadata is missing.
    /// - **set-create-only**: with [`WriteMode::CreateOnly`] a present name is
    ///   [`ErrorKind::AlreadyExists`] and stays as it was.
    /// - **set-replace**: with [`WriteMode::Replace`] an absent name is
    ///   [`ErrorKind::NotFound`] and stays absent.
    /// - **set-kind**: a kind it cannot hold is [`ErrorKind::Unsupported`], before
    ///   anything is changed.
    /// - **set-metadata-with-value**: metadata that is given replaces all there was;
    ///   absent metadata leaves it; a vault without metadata refuses any but none.
    fn set(&mut self, request: SetRequest) -> Result<()> {
        let _ = request;
        Err(Error::unsupported("this vault cannot be written to"))
    }

    /// Writes several secrets, one result for each, in order. By default one by one; a vault
    /// that pays for each write, with a transaction or a round trip, does better. At most
    /// [`MAX_SET_MANY`] and [`MAX_SET_MANY_BYTES`] at once. For
    /// [`Capability::Write`](crate::manifest::Capability::Write).
    ///
    /// - **set-many-each**: each result is what [`Vault::set`] gives for that request, and
    ///   each secret is as after it: one that is refused hinders no other.
    /// - **set-many-order**: they take effect in the order in which they are given.
    /// - **set-many-kept**: what is answered with success is kept as well as after `set`.
    /// - **set-many-refused**: where the call as a whole is an error, nothing was written.
    ///   [`ErrorKind::Locked`] is such an error unless something was written before.
    fn set_many(&mut self, requests: Vec<SetRequest>) -> Result<Vec<Result<()>>> {
        one_by_one(requests, |request| self.set(request))
    }

    /// Removes a secret. For [`Capability::Write`](crate::manifest::Capability::Write).
    ///
    /// - **remove-then-missing**: afterwards it is [`ErrorKind::NotFound`].
    /// - **remove-missing**: a name that is not there is [`ErrorKind::NotFound`].
    /// - **remove-only-that**: every other secret stays as it was.
    fn remove(&mut self, request: &GetRequest) -> Result<()> {
        let _ = request;
        Err(Error::unsupported("this vault cannot be written to"))
    }

    /// Replaces all metadata of a secret. For
    /// [`Capability::Metadata`](crate::manifest::Capability::Metadata).
    ///
    /// - **set-metadata-replaces**: afterwards exactly this metadata is listed.
    /// - **set-metadata-missing**: a name that is not there is [`ErrorKind::NotFound`].
    /// - **set-metadata-only**: the value stays as it was.
    fn set_metadata(&mut self, request: &GetRequest, metadata: Metadata) -> Result<()> {
        let _ = (request, metadata);
        Err(Error::unsupported("this vault keeps no metadata"))
    }

    /// Takes answers to a challenge. For
    /// [`Capability::Unlock`](crate::manifest::Capability::Unlock).
    ///
    /// - **unlock-right**: after right answers the call that was refused works, or asks
    ///   for the next step with a further `Locked`.
    /// - **unlock-wrong**: wrong answers are [`ErrorKind::Denied`], and the vault stays
    ///   locked.
    /// - **unlock-stale**: a challenge it did not give is [`ErrorKind::Invalid`].
    fn unlock(&mut self, request: &UnlockRequest) -> Result<Option<Session>> {
        let _ = request;
        Err(Error::unsupported("this vault is never locked"))
    }

    /// Forgets what unlocked it. For
    /// [`Capability::Unlock`](crate::manifest::Capability::Unlock).
    ///
    /// - **lock-locks**: afterwards every call on secrets is `Locked`; locking twice is fine.
    fn lock(&mut self, deadline: Deadline) -> Result<()> {
        let _ = deadline;
        Err(Error::unsupported("this vault is never locked"))
    }

    /// Says whether the vault could do its work; details go to the context's log.
    ///
    /// - **test-read-only**: it changes nothing.
    fn test(&mut self, deadline: Deadline) -> Result<()> {
        let _ = deadline;
        Ok(())
    }

    /// Is told that its registration ends. For
    /// [`Capability::Unregister`](crate::manifest::Capability::Unregister).
    ///
    /// - **unregister-keeps**: the vault's data stays as it is.
    fn unregister(&mut self, deadline: Deadline) -> Result<()> {
        let _ = deadline;
        Ok(())
    }

    /// Returns several secrets, one result for each name, in order. By default one by one.
    /// At most [`MAX_GET_MANY`] at once.
    ///
    /// - **get-many-each**: each result is what [`Vault::get`] gives for that name.
    fn get_many(&mut self, requests: &[GetRequest]) -> Result<Vec<Result<Secret>>> {
        let mut results = Vec::with_capacity(requests.len());
        for request in requests {
            match self.get(request) {
                // The whole vault is locked: answering it once is enough.
                Err(error) if error.kind() == ErrorKind::Locked => return Err(error),
                result => results.push(result),
            }
        }
        Ok(results)
    }

    /// Returns the versions of a secret, newest first. For
    /// [`Capability::Versions`](crate::manifest::Capability::Versions).
    ///
    /// - **versions-gettable**: each can be asked for with [`GetRequest::version`].
    fn versions(&mut self, request: &GetRequest) -> Result<Vec<Version>> {
        let _ = request;
        Err(Error::unsupported("this vault keeps no earlier versions"))
    }

    /// Returns what only this vault can do, as it is now. For
    /// [`Capability::Actions`](crate::manifest::Capability::Actions).
    ///
    /// - **actions-named**: ids are lower-case letters, digits and dashes, each once.
    fn actions(&mut self, deadline: Deadline) -> Result<Vec<Action>> {
        let _ = deadline;
        Ok(Vec::new())
    }

    /// Does one of its actions. For
    /// [`Capability::Actions`](crate::manifest::Capability::Actions).
    ///
    /// - **act-unknown**: an action it does not have is [`ErrorKind::Unsupported`].
    fn act(&mut self, request: &ActRequest) -> Result<Outcome> {
        Err(Error::unsupported(format!("this vault has no action `{}`", request.action)))
    }

    /// Says how the vault is, by key. What a later minor version might add.
    #[cfg(feature = "next")]
    fn health(&mut self, deadline: Deadline) -> Result<BTreeMap<String, String>> {
        let _ = deadline;
        Ok(BTreeMap::new())
    }
}

//! The contract of a vault: what each call must do. Every bullet is an obligation with a
//! name; the conformance suite ([`testing`](crate::testing)) checks it under that name.

mod action;
mod life;
mod read;
mod rules;
mod write;

#[cfg(feature = "next")]
use std::collections::BTreeMap;
use std::collections::HashSet;
use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind, Result};

/// Gives each answer whose fields may all be absent a `new`.
macro_rules! bare_answers {
    ($($name:ident),*) => {$(
        impl $name {
            /// Returns the answer with nothing in it.
            pub fn new() -> Self {
                Self::default()
            }
        }
    )*};
}

bare_answers! {
    Locked, MetadataWritten, Purged, Removed, Renamed, Restored, TestReport, Unlocked, Unregistered,
    Written
}

/// Gives each answer to a write that may say its version a way to say it.
macro_rules! versioned_answers {
    ($($name:ident),*) => {$(
        impl $name {
            /// Says which version the secret has now.
            pub fn of_version(mut self, version: impl Into<String>) -> Self {
                self.version = Some(version.into());
                self
            }
        }
    )*};
}

versioned_answers! { MetadataWritten, Renamed, Restored, Written }

pub use action::*;
pub use life::*;
pub use read::*;
pub use rules::*;
pub(crate) use write::one_by_one;
pub use write::{
    check_version, MetadataWritten, PurgeRequest, Purged, RemoveRequest, Removed, RenameRequest,
    Renamed, RestoreRequest, Restored, SetManyRequest, SetManyResults, SetMetadataRequest,
    SetRequest, WriteMode, Written, MAX_SET_MANY, MAX_SET_MANY_BYTES,
};

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

/// One open vault.
///
/// One caller at a time calls it (`&mut self`); it may move between threads. Two vaults may be called
/// at the same time in one process, and of a kind that declares
/// [`Concurrent`](crate::manifest::Capability::Concurrent) two handles of one vault as well. Of all
/// calls:
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
/// - **deadline**: it gives up with [`ErrorKind::TimedOut`] soon after the deadline.
/// - **no-secret-in-error**: no message holds a secret's bytes.
/// - **concurrent-calls**: handles of one vault whose kind declares `concurrent` are called at the
///   same time, from several threads of one process and from several processes, and each call
///   answers as if it were alone.
/// - **concurrent-shows**: with `concurrent`, what a call of one handle has changed the next call of
///   every other handle shows.
/// - **concurrent-cursors**: with `concurrent`, a cursor that one handle gave is good in every other
///   handle.
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
    /// - **list-advances**: each page's `next_cursor` differs from all before it.
    /// - **list-as-given**: names are as they were set.
    /// - **list-no-values**: no value is opened for it.
    ///
    /// Pages need not be of one moment: what others change meanwhile may be in the listing or
    /// not. An open vault may keep what it needs from one page to the next.
    fn list(&mut self, request: &ListRequest) -> Result<Page>;

    /// Returns a secret's entry. By default it is looked for page by page.
    ///
    /// - **describe-as-listed**: it is the entry a listing has.
    /// - **describe-missing**: a name that is not there is [`ErrorKind::NotFound`], as for `get`.
    fn describe(&mut self, request: &DescribeRequest) -> Result<Entry> {
        let mut page = ListRequest::new(request.deadline);
        let mut cursors = HashSet::new();
        loop {
            let found = self.list(&page)?;
            for entry in found.entries {
                if entry.name == request.name {
                    return Ok(entry);
                }
            }
            let next = found.next_cursor.ok_or_else(Error::not_found)?;
            // Not having seen every page is not the same as there being no such secret.
            if !cursors.insert(next.clone()) {
                return Err(Error::internal("the cursor of a listing stands still"));
            }
            if request.deadline.has_passed() {
                return Err(Error::timed_out());
            }
            page.cursor = Some(next);
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
    /// - **set-metadata-with-value**: metadata that is given replaces all there was and is not
    ///   read-only; absent metadata leaves it; a vault without metadata refuses any but none.
    /// - **set-if-version**: with [`SetRequest::if_version`] a secret that has another version is
    ///   [`ErrorDetail::Conflict`](crate::ErrorDetail::Conflict), one that is not there is
    ///   [`ErrorKind::NotFound`], and nothing is changed. Of writers with the same version one
    ///   succeeds.
    ///
    /// A name that a removed secret still has, which could be brought back, is
    /// [`ErrorDetail::NameHeld`](crate::ErrorDetail::NameHeld).
    fn set(&mut self, request: SetRequest) -> Result<Written> {
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
    fn set_many(&mut self, request: SetManyRequest) -> Result<SetManyResults> {
        one_by_one(request.requests, |request| self.set(request))
    }

    /// Removes a secret. For [`Capability::Write`](crate::manifest::Capability::Write).
    ///
    /// - **remove-then-missing**: afterwards it is [`ErrorKind::NotFound`].
    /// - **remove-missing**: a name that is not there is [`ErrorKind::NotFound`], as for `get`.
    /// - **remove-only-that**: every other secret stays as it was.
    /// - **remove-if-version**: as **set-if-version**, with [`RemoveRequest::if_version`].
    fn remove(&mut self, request: &RemoveRequest) -> Result<Removed> {
        let _ = request;
        Err(Error::unsupported("this vault cannot be written to"))
    }

    /// Gives a secret another name, in one step: versions and whatever else the vault keeps of it
    /// move along. For [`Capability::Rename`](crate::manifest::Capability::Rename).
    ///
    /// - **rename-moves**: afterwards the new name has the value and the metadata, and the old name
    ///   is [`ErrorKind::NotFound`]. Where both names are one secret, it is spelt the new way.
    /// - **rename-missing**: an old name that is not there is [`ErrorKind::NotFound`].
    /// - **rename-taken**: a new name that another secret has is [`ErrorKind::AlreadyExists`], and
    ///   both stay as they were.
    fn rename(&mut self, request: &RenameRequest) -> Result<Renamed> {
        let _ = request;
        Err(Error::unsupported("this vault renames no secrets"))
    }

    /// Replaces all metadata of a secret. For
    /// [`Capability::Metadata`](crate::manifest::Capability::Metadata).
    ///
    /// - **set-metadata-replaces**: afterwards exactly this metadata is listed, beside what is
    ///   read-only.
    /// - **set-metadata-missing**: a name that is not there is [`ErrorKind::NotFound`], as for `get`.
    /// - **set-metadata-only**: the value stays as it was.
    /// - **set-metadata-read-only**: what the vault reports as read-only stays there. A key of it
    ///   that is given is [`ErrorKind::Invalid`], or becomes what was given and is no longer
    ///   read-only; success never drops it.
    /// - **set-metadata-if-version**: as **set-if-version**, with
    ///   [`SetMetadataRequest::if_version`].
    fn set_metadata(&mut self, request: SetMetadataRequest) -> Result<MetadataWritten> {
        let _ = request;
        Err(Error::unsupported("this vault keeps no metadata"))
    }

    /// Takes answers to a challenge. For
    /// [`Capability::Unlock`](crate::manifest::Capability::Unlock).
    ///
    /// - **unlock-right**: after right answers the call that was refused works, or asks
    ///   for the next step with a further `Locked`.
    /// - **unlock-wrong**: wrong answers are [`ErrorKind::PermissionDenied`], and the vault stays
    ///   locked.
    /// - **unlock-stale**: a challenge it did not give is [`ErrorKind::Invalid`].
    fn unlock(&mut self, request: &UnlockRequest) -> Result<Unlocked> {
        let _ = request;
        Err(Error::unsupported("this vault is never locked"))
    }

    /// Forgets what unlocked it. For
    /// [`Capability::Unlock`](crate::manifest::Capability::Unlock).
    ///
    /// - **lock-locks**: afterwards every call on secrets is `Locked`; locking twice is fine.
    fn lock(&mut self, request: &LockRequest) -> Result<Locked> {
        let _ = request;
        Err(Error::unsupported("this vault is never locked"))
    }

    /// Says whether the vault could do its work; details go to the context's log.
    ///
    /// - **test-read-only**: it changes nothing.
    fn test(&mut self, request: &TestRequest) -> Result<TestReport> {
        let _ = request;
        Ok(TestReport::new())
    }

    /// Is told that its registration ends. For
    /// [`Capability::Unregister`](crate::manifest::Capability::Unregister).
    ///
    /// - **unregister-keeps**: the vault's data stays as it is.
    fn unregister(&mut self, request: &UnregisterRequest) -> Result<Unregistered> {
        let _ = request;
        Ok(Unregistered::new())
    }

    /// Returns several secrets, one result for each name, in order. By default one by one.
    /// At most [`MAX_GET_MANY`] at once.
    ///
    /// - **get-many-each**: each result is what [`Vault::get`] gives for that name.
    fn get_many(&mut self, request: &GetManyRequest) -> Result<GetManyResults> {
        let mut results = Vec::with_capacity(request.requests.len());
        for request in &request.requests {
            match self.get(request) {
                // The whole vault is locked: answering it once is enough.
                Err(error) if error.kind() == ErrorKind::Locked => return Err(error),
                result => results.push(result),
            }
        }
        Ok(GetManyResults::new(results))
    }

    /// Returns one page of a secret's versions, newest first. For
    /// [`Capability::Versions`](crate::manifest::Capability::Versions).
    ///
    /// - **versions-gettable**: each can be asked for with [`GetRequest::version`], unless it says
    ///   that it is [`Version::unreadable`].
    /// - **version-missing**: a version that there is not is
    ///   [`ErrorDetail::NoSuchVersion`](crate::ErrorDetail::NoSuchVersion).
    fn versions(&mut self, request: &VersionsRequest) -> Result<VersionPage> {
        let _ = request;
        Err(Error::unsupported("this vault keeps no earlier versions"))
    }

    /// Returns one page of the secrets that were removed and can be brought back. For
    /// [`Capability::ListRemoved`](crate::manifest::Capability::ListRemoved).
    ///
    /// - **list-removed-restorable**: each can be brought back with [`Vault::restore`].
    fn list_removed(&mut self, request: &ListRemovedRequest) -> Result<RemovedPage> {
        let _ = request;
        Err(Error::unsupported("this vault does not list what was removed"))
    }

    /// Brings back a secret that was removed, or a version that was deleted. For
    /// [`Capability::Restore`](crate::manifest::Capability::Restore).
    ///
    /// - **restore-brings-back**: afterwards the secret is as it was when it was removed.
    /// - **restore-missing**: what was not removed, or is gone for good, is
    ///   [`ErrorKind::NotFound`].
    /// - **restore-taken**: where another secret has the name now it is
    ///   [`ErrorKind::AlreadyExists`], and both stay as they were.
    fn restore(&mut self, request: &RestoreRequest) -> Result<Restored> {
        let _ = request;
        Err(Error::unsupported("this vault brings nothing back"))
    }

    /// Removes a secret with all of its versions for good, removed before or not, or one of its
    /// versions. For [`Capability::Purge`](crate::manifest::Capability::Purge).
    ///
    /// - **purge-for-good**: afterwards nothing brings it back.
    /// - **purge-missing**: what is not there, not even removed, is [`ErrorKind::NotFound`].
    fn purge(&mut self, request: &PurgeRequest) -> Result<Purged> {
        let _ = request;
        Err(Error::unsupported("this vault removes nothing for good"))
    }

    /// Returns the rules of this open vault: which names are one secret, and what it can hold.
    /// Also a locked vault answers where it can.
    ///
    /// - **rules-names**: two names are one secret exactly where its [`NameEquality`] says so, unless it
    ///   is [`NameEquality::Unknown`].
    /// - **rules-limits**: a name or value beyond its limits is refused with
    ///   [`ErrorKind::Invalid`] or [`ErrorKind::Unsupported`], before anything is changed.
    fn rules(&mut self, request: &RulesRequest) -> Result<Rules> {
        let _ = request;
        Ok(Rules::new(NameEquality::Unknown))
    }

    /// Returns what only this vault can do, as it is now. For
    /// [`Capability::Actions`](crate::manifest::Capability::Actions).
    ///
    /// - **actions-named**: ids are lower-case letters, digits and dashes, each once.
    fn actions(&mut self, request: &ActionsRequest) -> Result<ActionList> {
        let _ = request;
        Ok(ActionList::default())
    }

    /// Does one of its actions. For
    /// [`Capability::Actions`](crate::manifest::Capability::Actions).
    ///
    /// - **run-action-unknown**: an action it does not have is [`ErrorKind::Unsupported`].
    fn run_action(&mut self, request: &ActionRequest) -> Result<ActionOutcome> {
        Err(Error::unsupported(format!("this vault has no action `{}`", request.action)))
    }

    /// Says how the vault is, by key. What a later minor version might add.
    #[cfg(feature = "next")]
    fn health(&mut self, deadline: Deadline) -> Result<BTreeMap<String, String>> {
        let _ = deadline;
        Ok(BTreeMap::new())
    }
}

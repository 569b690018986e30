//! What reads are told and answer.

#[cfg(doc)]
use super::Vault;
use super::{Deadline, MAX_PAGE_ENTRIES};
use crate::metadata::Metadata;
use crate::name::SecretName;
use crate::value::{Value, ValueKind};

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
    /// The version that it is, in the vault's own words, where the vault knows it: the one to
    /// compare with later ([`SetRequest::if_version`](super::SetRequest::if_version)). Not secret.
    pub version: Option<String>,
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
            version: None,
            #[cfg(feature = "next")]
            lease_millis: None,
        }
    }

    /// Says which version it is.
    pub fn of_version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into());
        self
    }
}

/// Asks for several secrets.
#[non_exhaustive]
#[derive(Debug, Clone)]
pub struct GetManyRequest {
    /// Each of them, at most [`MAX_GET_MANY`](super::MAX_GET_MANY).
    pub requests: Vec<GetRequest>,
}

impl GetManyRequest {
    /// Asks for these.
    pub fn new(requests: Vec<GetRequest>) -> Self {
        Self { requests }
    }
}

/// What came of asking for several secrets.
#[non_exhaustive]
#[derive(Debug, PartialEq, Eq)]
pub struct GetManyResults {
    /// One result for each request, in order.
    pub results: Vec<crate::Result<Secret>>,
}

impl GetManyResults {
    /// Returns these results.
    pub fn new(results: Vec<crate::Result<Secret>>) -> Self {
        Self { results }
    }
}

/// Asks for one page of what the vault has.
#[non_exhaustive]
#[derive(Debug, Clone)]
pub struct ListRequest {
    /// The last page's `next_cursor`; absent for the first page.
    pub cursor: Option<String>,
    /// The most entries wanted, 1 to [`MAX_PAGE_ENTRIES`].
    pub limit: usize,
    /// A pattern that the host is going to apply: a vault may use it to send less, or ignore it. `*`
    /// stands for any characters, also for none and for `/`, and `?` for one; all others stand for
    /// themselves.
    pub pattern: Option<String>,
    /// What every wanted name begins with, as it is written: a vault may use it to send less, or
    /// ignore it.
    pub prefix: Option<String>,
    /// Until when.
    pub deadline: Deadline,
}

impl ListRequest {
    /// Asks for the first page, as large as may be.
    pub fn new(deadline: Deadline) -> Self {
        Self { cursor: None, limit: MAX_PAGE_ENTRIES, pattern: None, prefix: None, deadline }
    }

    /// Returns the name behind which a page of [`Page::of`] begins; nothing for the first page.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for a cursor that is no name.
    pub fn after(&self) -> crate::Result<Option<SecretName>> {
        self.cursor.as_deref().map(SecretName::parse).transpose()
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
    /// The version that it is, where the vault knows it: as [`Secret::version`].
    pub version: Option<String>,
}

impl Entry {
    /// Returns an entry.
    pub fn new(name: SecretName, kind: Option<ValueKind>, metadata: Metadata) -> Self {
        Self { name, kind, metadata, version: None }
    }

    /// Says which version it is.
    pub fn of_version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into());
        self
    }
}

/// One page of a listing, in the vault's own order.
#[non_exhaustive]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// At most as many entries as were asked for; possibly none although more follow.
    pub entries: Vec<Entry>,
    /// What to ask for next; absent on the last page.
    pub next_cursor: Option<String>,
}

impl Page {
    /// Returns a page.
    pub fn new(entries: Vec<Entry>, next_cursor: Option<String>) -> Self {
        Self { entries, next_cursor }
    }

    /// Returns the page that is asked for of all entries, which come sorted by name. Its cursor is
    /// its last name: good whatever is written meanwhile. Entries up to the request's cursor are
    /// passed over, and so are those without its prefix.
    ///
    /// # Examples
    /// ```
    /// # use keystead_plugin_api::*;
    /// # fn main() -> Result<()> {
    /// let mut request = ListRequest::new(Deadline::after(std::time::Duration::from_secs(1)));
    /// request.limit = 2;
    /// let entry = |name| Ok(Entry::new(SecretName::parse(name)?, None, Metadata::new()));
    /// let sorted: Vec<Entry> = ["a", "b", "c"].into_iter().map(entry).collect::<Result<_>>()?;
    /// let first = Page::of(sorted.clone(), &request);
    /// assert_eq!((first.entries.len(), first.next_cursor.as_deref()), (2, Some("b")));
    /// request.cursor = first.next_cursor;
    /// assert_eq!(Page::of(sorted, &request).next_cursor, None);
    /// # Ok(())
    /// # }
    /// ```
    pub fn of(sorted: impl IntoIterator<Item = Entry>, request: &ListRequest) -> Self {
        let is_after = |entry: &Entry| match &request.cursor {
            Some(cursor) => entry.name.as_str() > cursor.as_str(),
            None => true,
        };
        let is_wanted = |entry: &Entry| match &request.prefix {
            Some(prefix) => entry.name.as_str().starts_with(prefix.as_str()),
            None => true,
        };
        let mut rest = sorted.into_iter().filter(|entry| is_after(entry) && is_wanted(entry));
        let entries: Vec<Entry> = rest.by_ref().take(request.limit).collect();
        let last = entries.last().map(|entry| entry.name.to_string());
        let next = rest.next().and(last);
        Self::new(entries, next)
    }
}

/// Asks for one page of the secrets that were removed and can be brought back.
#[non_exhaustive]
#[derive(Debug, Clone)]
pub struct ListRemovedRequest {
    /// The last page's `next_cursor`; absent for the first page.
    pub cursor: Option<String>,
    /// The most entries wanted, 1 to [`MAX_PAGE_ENTRIES`].
    pub limit: usize,
    /// Until when.
    pub deadline: Deadline,
}

impl ListRemovedRequest {
    /// Asks for the first page, as large as may be.
    pub fn new(deadline: Deadline) -> Self {
        Self { cursor: None, limit: MAX_PAGE_ENTRIES, deadline }
    }
}

/// A secret that was removed and can be brought back.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemovedSecret {
    /// Its name.
    pub name: SecretName,
    /// The vault's own name for this one of several that were removed under one name.
    pub id: Option<String>,
    /// When it was removed, in milliseconds since 1970 UTC, where known.
    pub removed: Option<i64>,
    /// Until when it can be brought back, where known.
    pub recoverable_until: Option<i64>,
}

impl RemovedSecret {
    /// Returns a removed secret of which nothing more is known.
    pub fn new(name: SecretName) -> Self {
        Self { name, id: None, removed: None, recoverable_until: None }
    }
}

/// One page of the secrets that were removed.
#[non_exhaustive]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RemovedPage {
    /// At most as many as were asked for.
    pub secrets: Vec<RemovedSecret>,
    /// What to ask for next; absent on the last page.
    pub next_cursor: Option<String>,
}

impl RemovedPage {
    /// Returns a page.
    pub fn new(secrets: Vec<RemovedSecret>, next_cursor: Option<String>) -> Self {
        Self { secrets, next_cursor }
    }
}

/// Asks for a secret's entry.
#[non_exhaustive]
#[derive(Debug, Clone)]
pub struct DescribeRequest {
    /// Its name.
    pub name: SecretName,
    /// Until when.
    pub deadline: Deadline,
}

impl DescribeRequest {
    /// Asks for the entry of this secret.
    pub fn new(name: SecretName, deadline: Deadline) -> Self {
        Self { name, deadline }
    }
}

/// Asks for one page of a secret's versions.
#[non_exhaustive]
#[derive(Debug, Clone)]
pub struct VersionsRequest {
    /// Its name.
    pub name: SecretName,
    /// The last page's `next_cursor`; absent for the first page.
    pub cursor: Option<String>,
    /// The most versions wanted, 1 to [`MAX_PAGE_ENTRIES`].
    pub limit: usize,
    /// Until when.
    pub deadline: Deadline,
}

impl VersionsRequest {
    /// Asks for the first page, as large as may be.
    pub fn new(name: SecretName, deadline: Deadline) -> Self {
        Self { name, cursor: None, limit: MAX_PAGE_ENTRIES, deadline }
    }
}

/// One earlier state of a secret.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// The vault's own name for it.
    pub id: String,
    /// When it was written, in milliseconds since 1970 UTC, where known.
    pub created: Option<i64>,
    /// Whether it cannot be read any more: it was deleted, and the vault still names it.
    pub unreadable: bool,
    /// What the vault keeps beside this version.
    pub metadata: Metadata,
}

impl Version {
    /// Returns a version that can be read, without metadata.
    pub fn new(id: impl Into<String>, created: Option<i64>) -> Self {
        Self { id: id.into(), created, unreadable: false, metadata: Metadata::new() }
    }

    /// Says that it cannot be read any more.
    pub fn unreadable(mut self) -> Self {
        self.unreadable = true;
        self
    }
}

/// One page of a secret's versions, newest first.
#[non_exhaustive]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VersionPage {
    /// At most as many as were asked for.
    pub versions: Vec<Version>,
    /// What to ask for next; absent on the last page.
    pub next_cursor: Option<String>,
}

impl VersionPage {
    /// Returns a page.
    pub fn new(versions: Vec<Version>, next_cursor: Option<String>) -> Self {
        Self { versions, next_cursor }
    }

    /// Returns the page that is asked for of all versions, newest first. A cursor is the id of the
    /// last version of the page before.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for a cursor that is no version's id.
    pub fn of(all: Vec<Version>, request: &VersionsRequest) -> crate::Result<Self> {
        let start = match &request.cursor {
            None => 0,
            Some(cursor) => match all.iter().position(|version| version.id == *cursor) {
                Some(last) => last + 1,
                None => return Err(crate::Error::invalid("this vault did not give that cursor")),
            },
        };
        let is_last = all.len() - start <= request.limit;
        let rest = all.into_iter().skip(start);
        let versions: Vec<_> = rest.take(request.limit).collect();
        let next = versions.last().filter(|_| !is_last).map(|version| version.id.clone());
        Ok(Self::new(versions, next))
    }
}

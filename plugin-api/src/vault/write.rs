//! What a write is told: one secret, and the limits of writing several at once.

use super::Deadline;
#[cfg(doc)]
use super::Vault;
use crate::error::{Error, ErrorKind, Result};
use crate::metadata::Metadata;
use crate::name::SecretName;
use crate::value::{Value, MAX_VALUE_BYTES};

/// The most secrets one [`Vault::set_many`] may be given: as many as a vault that writes one
/// after the other gets done within a call's deadline.
pub const MAX_SET_MANY: usize = 1_000;

/// The most bytes one [`Vault::set_many`] may be given: 17 MiB, room for any one secret.
/// Counted are names, values in their byte form, and keys and texts of metadata. A call is
/// held in memory a few times on its way to the vault.
pub const MAX_SET_MANY_BYTES: usize = MAX_VALUE_BYTES + 1024 * 1024;

/// What a write does when the name is there already, or is not.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum WriteMode {
    /// Only a new secret; [`ErrorKind::AlreadyExists`] otherwise.
    CreateOnly = 1,
    /// Only a present one; [`ErrorKind::NotFound`] otherwise.
    Replace = 2,
    /// Either.
    Upsert = 3,
    /// Keeps the members that are not written. What a later minor version might add.
    #[cfg(feature = "next")]
    Merge = 200,
}

impl WriteMode {
    /// Returns the mode of this number.
    pub fn from_code(code: u32) -> Option<Self> {
        let all = [
            Self::CreateOnly,
            Self::Replace,
            Self::Upsert,
            #[cfg(feature = "next")]
            Self::Merge,
        ];
        all.into_iter().find(|m| *m as u32 == code)
    }

    /// Returns the number that stands for this mode in the ABI.
    pub fn code(self) -> u32 {
        self as u32
    }

    /// Checks that this mode writes a secret whose name is there, or is not.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`], [`ErrorKind::NotFound`].
    ///
    /// # Examples
    /// ```
    /// use keystead_plugin_api::{ErrorKind, WriteMode};
    /// let exists = true;
    /// assert!(WriteMode::Upsert.check(exists).is_ok());
    /// let refused = WriteMode::CreateOnly.check(exists).unwrap_err();
    /// assert_eq!(refused.kind(), ErrorKind::AlreadyExists);
    /// ```
    pub fn check(self, exists: bool) -> Result<()> {
        match self {
            Self::CreateOnly if exists => Err(Error::already_exists()),
            Self::Replace if !exists => Err(Error::not_found()),
            _ => Ok(()),
        }
    }
}

/// Checks that a secret still has the version that a caller expects: a vault's first step where
/// `if_version` is given, in the same transaction as what follows. `now` is absent where there is no
/// such secret.
///
/// # Errors
/// [`ErrorDetail::Conflict`](crate::ErrorDetail::Conflict) where it has another;
/// [`ErrorKind::NotFound`] where there is none.
///
/// # Examples
/// ```
/// use keystead_plugin_api::{check_version, ErrorKind};
/// assert!(check_version(None, Some("7")).is_ok());
/// assert!(check_version(Some("7"), Some("7")).is_ok());
/// assert_eq!(check_version(Some("7"), Some("8")).unwrap_err().kind(), ErrorKind::AlreadyExists);
/// assert_eq!(check_version(Some("7"), None).unwrap_err().kind(), ErrorKind::NotFound);
/// ```
pub fn check_version(expected: Option<&str>, now: Option<&str>) -> Result<()> {
    match (expected, now) {
        (None, _) => Ok(()),
        (Some(_), None) => Err(Error::not_found()),
        (Some(expected), Some(now)) if expected == now => Ok(()),
        _ => Err(Error::conflict()),
    }
}

/// Writes one secret: value, metadata and mode in one step.
#[non_exhaustive]
#[derive(Debug)]
pub struct SetRequest {
    /// Its name.
    pub name: SecretName,
    /// Its new value.
    pub value: Value,
    /// Its new metadata, instead of all there was; absent: what there was stays. None of it is
    /// read-only, and what the vault reports of itself stays in any case.
    pub metadata: Option<Metadata>,
    /// What to do when the name is there already, or is not.
    pub mode: WriteMode,
    /// The version that it must still be, as [`Secret::version`](super::Secret::version) and
    /// [`Entry::version`](super::Entry::version) say it; absent: any. For
    /// [`Capability::Conditional`](crate::manifest::Capability::Conditional).
    pub if_version: Option<String>,
    /// Until when.
    pub deadline: Deadline,
}

impl SetRequest {
    /// Writes this value, whether the name is there or not, and keeps metadata.
    pub fn new(name: SecretName, value: Value, deadline: Deadline) -> Self {
        let mode = WriteMode::Upsert;
        Self { name, value, metadata: None, mode, if_version: None, deadline }
    }

    /// Returns how many bytes of [`MAX_SET_MANY_BYTES`] this secret takes.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] when the value exceeds a limit of its own.
    pub fn bytes(&self) -> Result<usize> {
        let metadata = self.metadata.as_ref().map_or(0, Metadata::bytes);
        Ok(self.name.as_str().len() + self.value.encoded_len()? + metadata)
    }

    /// Checks that this loses no metadata and writes none that is read-only.
    ///
    /// # Errors
    /// As for [`Metadata::check_writable`].
    pub fn check_metadata(&self) -> Result<()> {
        self.metadata.as_ref().map_or(Ok(()), Metadata::check_writable)
    }

    /// Checks that these may be one call of [`Vault::set_many`].
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] when they are more than [`MAX_SET_MANY`] or have more than
    /// [`MAX_SET_MANY_BYTES`]. A value that exceeds a limit of its own is not counted: it is
    /// refused alone.
    pub fn check_many(requests: &[Self]) -> Result<()> {
        if requests.len() > MAX_SET_MANY {
            return Err(Error::invalid(format!(
                "{} secrets were to be written at once; the most is {MAX_SET_MANY}",
                requests.len()
            )));
        }
        let bytes: usize = requests.iter().map(|request| request.bytes().unwrap_or(0)).sum();
        if bytes > MAX_SET_MANY_BYTES {
            return Err(Error::invalid(format!(
                "secrets of {bytes} bytes were to be written at once; the most is \
                 {MAX_SET_MANY_BYTES}"
            )));
        }
        Ok(())
    }
}

/// Writes several secrets.
#[non_exhaustive]
#[derive(Debug)]
pub struct SetManyRequest {
    /// Each of them, in the order in which they take effect.
    pub requests: Vec<SetRequest>,
}

impl SetManyRequest {
    /// Writes these.
    pub fn new(requests: Vec<SetRequest>) -> Self {
        Self { requests }
    }
}

/// What came of writing several secrets.
#[non_exhaustive]
#[derive(Debug, PartialEq, Eq)]
pub struct SetManyResults {
    /// One result for each request, in order.
    pub results: Vec<Result<Written>>,
}

impl SetManyResults {
    /// Returns these results.
    pub fn new(results: Vec<Result<Written>>) -> Self {
        Self { results }
    }
}

/// Removes a secret.
#[non_exhaustive]
#[derive(Debug, Clone)]
pub struct RemoveRequest {
    /// Its name.
    pub name: SecretName,
    /// The version that it must still be, as [`Secret::version`](super::Secret::version) and
    /// [`Entry::version`](super::Entry::version) say it; absent: any. For
    /// [`Capability::Conditional`](crate::manifest::Capability::Conditional).
    pub if_version: Option<String>,
    /// Until when.
    pub deadline: Deadline,
}

impl RemoveRequest {
    /// Removes this secret.
    pub fn new(name: SecretName, deadline: Deadline) -> Self {
        Self { name, if_version: None, deadline }
    }
}

/// A secret was removed.
#[non_exhaustive]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removed {
    /// Until when it can be brought back, in milliseconds since 1970 UTC; absent where it cannot, or
    /// where the vault does not know.
    pub recoverable_until: Option<i64>,
}

/// Gives a secret another name.
#[non_exhaustive]
#[derive(Debug, Clone)]
pub struct RenameRequest {
    /// Its name.
    pub from: SecretName,
    /// Its new name.
    pub to: SecretName,
    /// Until when.
    pub deadline: Deadline,
}

impl RenameRequest {
    /// Gives the secret `from` the name `to`.
    pub fn new(from: SecretName, to: SecretName, deadline: Deadline) -> Self {
        Self { from, to, deadline }
    }
}

/// A secret has another name.
#[non_exhaustive]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Renamed {
    /// The version that it has now, where the vault knows it.
    pub version: Option<String>,
}

/// Brings back a secret that was removed, or a version of it that was deleted.
#[non_exhaustive]
#[derive(Debug, Clone)]
pub struct RestoreRequest {
    /// Its name.
    pub name: SecretName,
    /// Which of the removed secrets of that name, as
    /// [`RemovedSecret::id`](super::RemovedSecret::id) has it; the one that was removed last where
    /// absent.
    pub id: Option<String>,
    /// Which version; absent: the secret as it was removed.
    pub version: Option<String>,
    /// Until when.
    pub deadline: Deadline,
}

impl RestoreRequest {
    /// Brings back the secret of this name that was removed last.
    pub fn new(name: SecretName, deadline: Deadline) -> Self {
        Self { name, id: None, version: None, deadline }
    }
}

/// A secret is back.
#[non_exhaustive]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Restored {
    /// The version that it has now, where the vault knows it.
    pub version: Option<String>,
}

/// Removes a secret with all of its versions, or one of its versions, for good.
#[non_exhaustive]
#[derive(Debug, Clone)]
pub struct PurgeRequest {
    /// Its name.
    pub name: SecretName,
    /// Which of the removed secrets of that name; absent: what there is of the name, removed or not.
    pub id: Option<String>,
    /// Which version alone; absent: all.
    pub version: Option<String>,
    /// Until when.
    pub deadline: Deadline,
}

impl PurgeRequest {
    /// Removes all there is of this name for good.
    pub fn new(name: SecretName, deadline: Deadline) -> Self {
        Self { name, id: None, version: None, deadline }
    }
}

/// What was to be removed for good is gone.
#[non_exhaustive]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Purged {}

/// Replaces all metadata of a secret.
#[non_exhaustive]
#[derive(Debug, Clone)]
pub struct SetMetadataRequest {
    /// The secret's name.
    pub name: SecretName,
    /// Its metadata, instead of all there was. None of it is read-only, and what the vault reports of
    /// itself stays.
    pub metadata: Metadata,
    /// The version that it must still be, as [`Secret::version`](super::Secret::version) and
    /// [`Entry::version`](super::Entry::version) say it; absent: any. For
    /// [`Capability::Conditional`](crate::manifest::Capability::Conditional).
    pub if_version: Option<String>,
    /// Until when.
    pub deadline: Deadline,
}

impl SetMetadataRequest {
    /// Gives this secret this metadata.
    pub fn new(name: SecretName, metadata: Metadata, deadline: Deadline) -> Self {
        Self { name, metadata, if_version: None, deadline }
    }
}

/// A secret was written.
#[non_exhaustive]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Written {
    /// The version that it has now, as [`Vault::versions`] names it, where the vault knows it.
    pub version: Option<String>,
}

/// The metadata of a secret was written.
#[non_exhaustive]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MetadataWritten {
    /// The version that the secret has now, where the vault knows it.
    pub version: Option<String>,
}

/// Writes one after the other: what [`Vault::set_many`] does by default.
pub(crate) fn one_by_one(
    requests: Vec<SetRequest>,
    mut set: impl FnMut(SetRequest) -> Result<Written>,
) -> Result<SetManyResults> {
    let mut results: Vec<Result<Written>> = Vec::with_capacity(requests.len());
    let mut locked: Option<Error> = None;
    for request in requests {
        let result = match &locked {
            Some(locked) => Err(locked.clone()),
            // Nobody waits any longer: better told than cut off in the middle of a write.
            None if request.deadline.has_passed() => Err(Error::timed_out()),
            None => set(request),
        };
        if let Err(error) = &result {
            if error.kind() == ErrorKind::Locked && locked.is_none() {
                if results.iter().all(Result::is_err) {
                    return Err(error.clone());
                }
                locked = Some(error.clone());
            }
        }
        results.push(result);
    }
    Ok(SetManyResults::new(results))
}

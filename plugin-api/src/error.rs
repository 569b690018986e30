//! What a vault answers when it cannot do what was asked.

use std::fmt;
use std::time::Duration;

use crate::challenge::Challenge;

/// The result of every call to a vault.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The most bytes of a message that cross the boundary; the rest is cut.
pub const MAX_MESSAGE_BYTES: usize = 4_096;

/// What kind of failure an [`Error`] is. The numbers are part of the ABI.
///
/// A host that receives a number it does not know treats it as [`ErrorKind::Internal`]
/// and keeps the message.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum ErrorKind {
    /// There is no secret of this name. Never for anything else.
    NotFound = 1,
    /// A create-only write met a secret of this name.
    AlreadyExists = 2,
    /// The vault is locked; the error carries a [`Challenge`]. The call had no effect.
    Locked = 3,
    /// The vault's own rules or server refuse this caller.
    PermissionDenied = 4,
    /// The vault cannot be reached now; the same call may work later.
    Unavailable = 5,
    /// This vault cannot do this, or cannot hold this kind of value.
    Unsupported = 6,
    /// The request itself is wrong: a parameter, a name, a value.
    Invalid = 7,
    /// What the vault keeps is damaged.
    Corrupt = 8,
    /// A fault of the plugin; a panic that was caught ends here.
    Internal = 9,
    /// The call's deadline passed before it was done.
    TimedOut = 10,
    /// The vault asks to slow down. What a later minor version might add.
    #[cfg(feature = "next")]
    Throttled = 11,
}

impl ErrorKind {
    const ALL: &'static [Self] = &[
        Self::NotFound,
        Self::AlreadyExists,
        Self::Locked,
        Self::PermissionDenied,
        Self::Unavailable,
        Self::Unsupported,
        Self::Invalid,
        Self::Corrupt,
        Self::Internal,
        Self::TimedOut,
        #[cfg(feature = "next")]
        Self::Throttled,
    ];

    /// Returns the kind of this number, or `None` where it is not known here.
    pub fn from_code(code: u32) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| *kind as u32 == code)
    }

    /// Returns the number that stands for this kind in the ABI and in the runner's frames.
    pub fn code(self) -> u32 {
        self as u32
    }

    /// Returns the kind as one lower-case word or two, for messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "not found",
            Self::AlreadyExists => "already exists",
            Self::Locked => "locked",
            Self::PermissionDenied => "permission denied",
            Self::Unavailable => "unavailable",
            Self::Unsupported => "unsupported",
            Self::Invalid => "invalid",
            Self::Corrupt => "corrupt",
            Self::Internal => "internal error",
            Self::TimedOut => "timed out",
            #[cfg(feature = "next")]
            Self::Throttled => "throttled",
        }
    }
}

/// What an error says beyond its kind. Each belongs to one kind; a host that does not know it takes
/// the error for one of that kind.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum ErrorDetail {
    /// [`ErrorKind::Unavailable`]: the server asks for fewer requests.
    Throttled = 1,
    /// [`ErrorKind::Unavailable`]: the server's certificate is not one that is trusted.
    Certificate = 2,
    /// [`ErrorKind::AlreadyExists`]: the secret has another version than the caller expects.
    Conflict = 3,
    /// [`ErrorKind::NotFound`]: the secret was removed, and can be brought back.
    Recoverable = 4,
    /// [`ErrorKind::NotFound`]: the secret has no such version.
    NoSuchVersion = 5,
    /// [`ErrorKind::PermissionDenied`]: the vault's registration does not grant what this needs.
    NotGranted = 6,
    /// [`ErrorKind::AlreadyExists`]: a secret that was removed, and can be brought back, still has the
    /// name: no other can be made before it is brought back or removed for good.
    NameHeld = 7,
    /// [`ErrorKind::PermissionDenied`]: another person has to approve it first. What a later minor version
    /// might add.
    #[cfg(feature = "next")]
    Approval = 200,
}

impl ErrorDetail {
    const ALL: &'static [Self] = &[
        Self::Throttled,
        Self::Certificate,
        Self::Conflict,
        Self::Recoverable,
        Self::NoSuchVersion,
        Self::NotGranted,
        Self::NameHeld,
        #[cfg(feature = "next")]
        Self::Approval,
    ];

    /// Returns the kind that it belongs to.
    pub fn kind(self) -> ErrorKind {
        match self {
            Self::Throttled | Self::Certificate => ErrorKind::Unavailable,
            Self::Conflict | Self::NameHeld => ErrorKind::AlreadyExists,
            Self::Recoverable | Self::NoSuchVersion => ErrorKind::NotFound,
            Self::NotGranted => ErrorKind::PermissionDenied,
            #[cfg(feature = "next")]
            Self::Approval => ErrorKind::PermissionDenied,
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A kind and perhaps a detail, as one number: the kind's in the low byte, the detail's above.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ErrorCode {
    kind: ErrorKind,
    detail: Option<ErrorDetail>,
}

impl ErrorCode {
    pub(crate) fn number(self) -> u32 {
        self.kind.code() | self.detail.map_or(0, |detail| (detail as u32) << 8)
    }

    /// Returns what a number stands for. An unknown kind is a fault of the plugin; an unknown detail,
    /// or one of another kind, counts as its kind alone.
    pub(crate) fn from_number(number: u32) -> Self {
        let kind = ErrorKind::from_code(number & 0xff).unwrap_or(ErrorKind::Internal);
        let known = ErrorDetail::ALL.iter().find(|detail| **detail as u32 == number >> 8);
        Self { kind, detail: known.copied().filter(|detail| detail.kind() == kind) }
    }
}

/// Why a vault could not do what was asked: a kind, a sentence, and for
/// [`ErrorKind::Locked`] what would unlock it.
///
/// The message is for people: a lower-case fragment without a full stop that names the
/// thing that is wrong. It must never hold a secret's bytes.
///
/// # Examples
/// ```
/// use keystead_plugin_api::{Error, ErrorKind};
/// let error = Error::unavailable("the server at vault.example did not answer");
/// assert_eq!(error.kind(), ErrorKind::Unavailable);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    pub(crate) code: ErrorCode,
    pub(crate) message: String,
    pub(crate) challenge: Option<Box<Challenge>>,
    pub(crate) retry_after: Option<Duration>,
}

impl Error {
    /// Returns an error of this kind; a long message is cut at [`MAX_MESSAGE_BYTES`].
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        let mut message = message.into();
        let kept = cut(&message, MAX_MESSAGE_BYTES).len();
        message.truncate(kept);
        let code = ErrorCode { kind, detail: None };
        Self { code, message, challenge: None, retry_after: None }
    }

    /// Returns an error with this detail, which is of the kind that it belongs to.
    pub fn detailed(detail: ErrorDetail, message: impl Into<String>) -> Self {
        let mut error = Self::new(detail.kind(), message);
        error.code.detail = Some(detail);
        error
    }

    /// Returns the error of this number, as the C ABI has it: a kind in the low byte, a detail above.
    #[doc(hidden)]
    pub fn of_number(number: u32, message: impl Into<String>) -> Self {
        let code = ErrorCode::from_number(number);
        Self { code, ..Self::new(code.kind, message) }
    }

    /// Returns the number of kind and detail.
    #[doc(hidden)]
    pub fn number(&self) -> u32 {
        self.code.number()
    }

    /// Returns [`ErrorKind::NotFound`]; the host adds the name that was asked for.
    pub fn not_found() -> Self {
        Self::new(ErrorKind::NotFound, "no such secret")
    }

    /// Returns [`ErrorKind::AlreadyExists`].
    pub fn already_exists() -> Self {
        Self::new(ErrorKind::AlreadyExists, "a secret of this name exists")
    }

    /// Returns [`ErrorDetail::Conflict`].
    pub fn conflict() -> Self {
        Self::detailed(ErrorDetail::Conflict, "the secret has another version by now")
    }

    /// Returns [`ErrorKind::Locked`] with what would unlock the vault.
    pub fn locked(challenge: Challenge) -> Self {
        let mut error = Self::new(ErrorKind::Locked, "the vault is locked");
        error.challenge = Some(Box::new(challenge));
        error
    }

    /// Returns [`ErrorKind::PermissionDenied`].
    pub fn permission_denied(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::PermissionDenied, message)
    }

    /// Returns [`ErrorKind::Unavailable`].
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unavailable, message)
    }

    /// Returns [`ErrorKind::Unsupported`].
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unsupported, message)
    }

    /// Returns [`ErrorKind::Invalid`].
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    /// Returns [`ErrorKind::Corrupt`].
    pub fn corrupt(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Corrupt, message)
    }

    /// Returns [`ErrorKind::Internal`].
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// Returns [`ErrorKind::TimedOut`] with its usual sentence; `Error::new(ErrorKind::TimedOut, ...)`
    /// says what was waited for.
    pub fn timed_out() -> Self {
        Self::new(ErrorKind::TimedOut, "the deadline passed")
    }

    /// Says after how long the same call may work: milliseconds are kept.
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// Returns the kind.
    pub fn kind(&self) -> ErrorKind {
        self.code.kind
    }

    /// Returns what the error says beyond its kind.
    pub fn detail(&self) -> Option<ErrorDetail> {
        self.code.detail
    }

    /// Returns the sentence for people.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Returns what would unlock the vault: present exactly with [`ErrorKind::Locked`].
    pub fn challenge(&self) -> Option<&Challenge> {
        self.challenge.as_deref()
    }

    /// Returns after how long the same call may work, where the vault said so.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// Returns as much of the text's beginning as fits, cut between characters.
pub(crate) fn cut(text: &str, limit: usize) -> &str {
    let mut end = text.len().min(limit);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_error_message_is_truncated_between_characters() {
        let error = Error::internal("é".repeat(MAX_MESSAGE_BYTES));
        assert_eq!(error.message().len(), MAX_MESSAGE_BYTES);
        let error = Error::internal(format!("a{}", "é".repeat(MAX_MESSAGE_BYTES)));
        assert_eq!(error.message().len(), MAX_MESSAGE_BYTES - 1);
    }

    #[test]
    fn error_kind_round_trips_through_code() {
        for code in 1..=10 {
            assert_eq!(ErrorKind::from_code(code).unwrap().code(), code);
        }
        assert_eq!(ErrorKind::from_code(0), None);
        assert_eq!(ErrorKind::from_code(4_000), None);
    }

    #[test]
    fn unknown_error_detail_falls_back_to_kind() {
        for detail in ErrorDetail::ALL {
            let error = Error::detailed(*detail, "x");
            assert_eq!((error.kind(), error.detail()), (detail.kind(), Some(*detail)));
            assert_eq!(Error::of_number(error.number(), "x"), error);
        }
        let unavailable = ErrorKind::Unavailable.code();
        // One of another kind, one that there is not, and kinds that there are not.
        for (number, kind) in [
            (unavailable | (ErrorDetail::NotGranted as u32) << 8, ErrorKind::Unavailable),
            (unavailable | 900 << 8, ErrorKind::Unavailable),
            (unavailable | u32::MAX << 8, ErrorKind::Unavailable),
            (200, ErrorKind::Internal),
            (0, ErrorKind::Internal),
        ] {
            let error = Error::of_number(number, "x");
            assert_eq!((error.kind(), error.detail()), (kind, None), "{number}");
        }
    }
}

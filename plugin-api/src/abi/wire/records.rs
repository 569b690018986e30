//! The byte form of each type of the contract: its fields and their numbers. A number is never used
//! again for something else; a new field has a number of its own, behind the others.

use std::time::Duration;

use super::{record, MAX_ITEMS, MAX_PART_BYTES, MUST_BE_KNOWN};
use crate::challenge::{Challenge, Prompt};
use crate::error::{Error, ErrorKind, Result, MAX_MESSAGE_BYTES};
use crate::metadata::{MAX_TIMESTAMP_MILLIS, MIN_TIMESTAMP_MILLIS};
use crate::parameters::OwnedParameter;
use crate::plugin::*;
use crate::value::MAX_VALUE_BYTES;
use crate::vault::*;

/// A record's name, and its fields.
pub type Record = (&'static str, &'static [Field]);

/// A field's number, its name, and what says its type.
pub type Field = (u16, &'static str, fn() -> &'static str);

/// Returns the name of a field's type.
fn type_of<T, F>(_: impl Fn(&T) -> &F) -> &'static str {
    std::any::type_name::<F>()
}

macro_rules! records {
    ($(
        $type:ident {
            $( $(#[$attribute:meta])* $number:literal $(| $flag:ident)? $field:ident $(<= $limit:expr)? ),* $(,)?
        }
        $(, most $most:expr)? $(, then $then:expr)? ;
    )*) => {
        $( record! {
            $type { $( $(#[$attribute])* $number $(| $flag)? $field $(<= $limit)? ),* }
            $(, most $most)? $(, then $then)?
        } )*

        /// All records, for the test that holds their numbers and types.
        pub const RECORDS: &[Record] = &[ $( (
            stringify!($type),
            &[ $( $(#[$attribute])* (
                $number $(| $flag)?,
                stringify!($field),
                || type_of(|record: &$type| &record.$field),
            ) ),* ],
        ) ),* ];
    };
}

records! {
    OpenRequest { 1 vault, 2 kind, 3 parameters, 4 session, 5 deadline, 6 host };
    HostInfo { 1 name, 2 version };
    Session { 1 secret <= MAX_SESSION_BYTES, 2 lifetime }, then session;
    GetRequest { 1 name, 2 version, 3 deadline, #[cfg(feature = "next")] 4 reason },
        most MAX_GET_MANY;
    Secret { 1 value, 2 metadata, 3 version, #[cfg(feature = "next")] 4 lease_millis },
        most MAX_GET_MANY;
    GetManyRequest { 1 requests };
    GetManyResults { 1 results };
    ListRequest { 1 cursor, 2 limit, 3 pattern, 4 prefix, 5 deadline }, then list_request;
    Entry { 1 name, 2 kind, 3 metadata, 4 version }, most MAX_PAGE_ENTRIES;
    Page { 1 entries, 2 next_cursor <= MAX_CURSOR_BYTES };
    DescribeRequest { 1 name, 2 deadline };
    SetRequest { 1 name, 2 value, 3 metadata, 4 mode, 5 deadline, 6 | MUST_BE_KNOWN if_version },
        most MAX_SET_MANY, then set_request;
    Written { 1 version }, most MAX_SET_MANY;
    SetManyRequest { 1 requests };
    SetManyResults { 1 results };
    RemoveRequest { 1 name, 2 deadline, 3 | MUST_BE_KNOWN if_version };
    Removed { 1 recoverable_until }, then removed;
    RenameRequest { 1 from, 2 to, 3 deadline };
    Renamed { 1 version };
    SetMetadataRequest { 1 name, 2 metadata, 3 deadline, 4 | MUST_BE_KNOWN if_version }, then set_metadata_request;
    MetadataWritten { 1 version };
    UnlockRequest { 1 challenge, 2 answers, 3 deadline };
    Answer { 1 name, 2 value }, most Challenge::MAX_PROMPTS;
    Unlocked {};
    LockRequest { 1 deadline };
    Locked {};
    TestRequest { 1 deadline };
    TestReport {};
    UnregisterRequest { 1 deadline };
    Unregistered {};
    VersionsRequest { 1 name, 2 cursor, 3 limit, 4 deadline }, then versions_request;
    Version { 1 id, 2 created, 3 unreadable, 4 metadata }, most MAX_PAGE_ENTRIES, then version;
    VersionPage { 1 versions, 2 next_cursor <= MAX_CURSOR_BYTES };
    ListRemovedRequest { 1 cursor, 2 limit, 3 deadline }, then list_removed_request;
    RemovedSecret { 1 name, 2 id, 3 removed, 4 recoverable_until },
        most MAX_PAGE_ENTRIES, then removed_secret;
    RemovedPage { 1 secrets, 2 next_cursor <= MAX_CURSOR_BYTES };
    RestoreRequest { 1 name, 2 id, 3 version, 4 deadline };
    Restored { 1 version };
    PurgeRequest { 1 name, 2 id, 3 version, 4 deadline };
    Purged {};
    RulesRequest { 1 deadline };
    Rules { 1 names, 2 max_name_bytes, 3 name_grammar <= MAX_MESSAGE_BYTES, 4 max_value_bytes };
    ActionsRequest { 1 deadline };
    Action { 1 id, 2 description, 3 parameters, 4 destructive };
    ActionList { 1 actions };
    OwnedParameter { 1 name, 2 kind, 3 description, 4 required, 5 secret, 6 default, 7 beside_login };
    ActionRequest { 1 action, 2 parameters, 3 deadline };
    ActionOutcome { 1 message <= MAX_MESSAGE_BYTES, 2 value };
    ExecRequest {
        1 program,
        2 arguments <= MAX_EXEC_ARGUMENT_BYTES,
        3 input <= MAX_VALUE_BYTES,
        4 environment,
        5 deadline,
    };
    ExecOutput { 1 status, 2 output <= MAX_VALUE_BYTES, 3 errors <= MAX_EXEC_ERRORS_BYTES };
    ReadFileRequest { 1 path <= MAX_PART_BYTES, 2 deadline };
    FileRead { 1 file };
    FileContent { 1 content <= MAX_FILE_BYTES, 2 version };
    ReplaceFileRequest {
        1 path <= MAX_PART_BYTES,
        2 expected,
        3 content <= MAX_FILE_BYTES,
        4 deadline,
    };
    FileReplaced { 1 version };
    Ownership { 1 owner, 2 is_read_only, 3 device, 4 inode };
    Challenge { 1 id, 2 prompts, 3 message <= MAX_MESSAGE_BYTES, 4 url, 5 wait }, then challenge;
    Error { 1 code, 2 message, 3 retry_after, 4 challenge }, most MAX_ITEMS, then error;
    Prompt {
        1 name, 2 label, 3 secret, 4 new, 5 kind, 6 choices,
        #[cfg(feature = "next")] 200 digits,
    },
        most Challenge::MAX_PROMPTS, then prompt;
    LogLine { 1 level, 2 message };
}

fn session(mut session: Session) -> Result<Session> {
    session.lifetime = session.lifetime.min(MAX_SESSION_LIFETIME);
    Ok(session)
}

fn list_request(mut request: ListRequest) -> Result<ListRequest> {
    request.limit = request.limit.clamp(1, MAX_PAGE_ENTRIES);
    Ok(request)
}

fn versions_request(mut request: VersionsRequest) -> Result<VersionsRequest> {
    request.limit = request.limit.clamp(1, MAX_PAGE_ENTRIES);
    Ok(request)
}

fn list_removed_request(mut request: ListRemovedRequest) -> Result<ListRemovedRequest> {
    request.limit = request.limit.clamp(1, MAX_PAGE_ENTRIES);
    Ok(request)
}

fn set_request(request: SetRequest) -> Result<SetRequest> {
    request.check_metadata()?;
    Ok(request)
}

fn set_metadata_request(request: SetMetadataRequest) -> Result<SetMetadataRequest> {
    request.metadata.check_writable()?;
    Ok(request)
}

fn removed(removed: Removed) -> Result<Removed> {
    check_time("the end of a removed secret", removed.recoverable_until)?;
    Ok(removed)
}

fn version(version: Version) -> Result<Version> {
    check_time("a version's time", version.created)?;
    Ok(version)
}

fn removed_secret(removed: RemovedSecret) -> Result<RemovedSecret> {
    check_time("the time of a removal", removed.removed)?;
    check_time("the end of a removed secret", removed.recoverable_until)?;
    Ok(removed)
}

/// Checks that a time that may be absent is one that timestamps can be.
fn check_time(what: &str, time: Option<i64>) -> Result<()> {
    match time {
        Some(at) if !(MIN_TIMESTAMP_MILLIS..=MAX_TIMESTAMP_MILLIS).contains(&at) => {
            Err(Error::invalid(format!("{what} is outside the years 1 to 9999")))
        }
        _ => Ok(()),
    }
}

fn challenge(challenge: Challenge) -> Result<Challenge> {
    challenge.check()?;
    Ok(challenge)
}

fn prompt(prompt: Prompt) -> Result<Prompt> {
    if prompt.choices.len() > Prompt::MAX_CHOICES {
        let most = Prompt::MAX_CHOICES;
        return Err(Error::invalid(format!("a prompt has more than {most} choices")));
    }
    Ok(prompt)
}

/// The longest wait before the same call may work that is believed: a day.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

fn error(mut error: Error) -> Result<Error> {
    error.retry_after = error.retry_after.map(|wait| wait.min(LONGEST_WAIT));
    if error.kind() != ErrorKind::Locked {
        // Nobody would answer it, and the error is worth more than what is wrong with it.
        error.challenge = None;
    } else if error.challenge.is_none() {
        return Err(Error::invalid("`locked` comes without what would unlock the vault"));
    }
    Ok(error)
}

/// A line for the log.
pub struct LogLine {
    /// How much it matters.
    pub level: Level,
    /// The line.
    pub message: String,
}

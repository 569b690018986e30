//! Each type of the contract as it crosses, in the Rust ABI and in the C ABI: its fields and their
//! numbers. A number is never used again for something else; a new field has a number of its own,
//! behind the others.

use std::time::Duration;

use super::{record, MAX_ITEMS, MUST_BE_KNOWN};
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

/// The one description of what crosses: a line for each type, as `callback` takes it. Each field has its
/// number. Behind `most` is how many there may be in a list, behind `then` what checks one that was read.
///
/// Behind `c` is the struct of the C ABI (`include/keystead_types.h`), behind its size and `present`:
/// `lent` by the host, or `told` to it, with the size of its first version and what it is in messages.
/// A field there is its names, its type (`host/lib/src/plugin/c_abi/field.rs`), its bit of `present`, and
/// its field here, unless that has its name; of flags, each flag and its field. The bits stand first.
///
/// A new field stands here once for both ABIs: in C at the end.
#[doc(hidden)]
#[macro_export]
macro_rules! keystead_records {
    ($callback:ident) => { $callback! {
    bits {
        VERSION = 1, IF_VERSION = 2, METADATA = 4, CURSOR = 8, PATTERN = 16, SESSION = 32, ID = 64,
        CREATED = 128, REMOVED = 256, RECOVERABLE_UNTIL = 512, EXPECTED = 1024, FILE = 2048,
        #[cfg(feature = "next")] LEASE = 0x10_0000,
    };
    OpenRequest { 1 vault, 2 kind, 3 parameters, 4 session, 5 deadline, 6 host },
        c lent keystead_open_request {
            deadline_millis: u64 = deadline, vault: Bytes, kind: Bytes,
            parameters + parameter_count: List<Parameter>,
            session: Bytes | SESSION, session_millis: u64 = session,
            host_name + host_version: Pair = host,
        };
    HostInfo { 1 name, 2 version };
    Session { 1 secret <= MAX_SESSION_BYTES, 2 lifetime }, then session;
    GetRequest { 1 name, 2 version, 3 deadline, #[cfg(feature = "next")] 4 reason },
        most MAX_GET_MANY,
        c lent keystead_get_request {
            deadline_millis: u64 = deadline, name: Bytes, version: Bytes | VERSION,
            #[cfg(feature = "next")] reason: Bytes,
        };
    Secret { 1 value, 2 metadata, 3 version, #[cfg(feature = "next")] 4 lease_millis },
        most MAX_GET_MANY,
        c told keystead_secret [24, "what is known of a secret"] {
            version: Bytes | VERSION, #[cfg(feature = "next")] lease_millis: u64 | LEASE,
        };
    GetManyRequest { 1 requests },
        c lent keystead_get_many_request { requests + request_count: List<GetRequest> };
    GetManyResults { 1 results };
    ListRequest { 1 cursor, 2 limit, 3 pattern, 4 prefix, 5 deadline }, then list_request,
        c lent keystead_list_request {
            deadline_millis: u64 = deadline, cursor: Bytes | CURSOR, pattern: Bytes | PATTERN,
            prefix: Bytes, limit + reserved: Padded,
        };
    Entry { 1 name, 2 kind, 3 metadata, 4 version }, most MAX_PAGE_ENTRIES,
        c told keystead_entry [48, "an entry"] {
            name: Bytes, kind + reserved: Opt<Padded>, version: Bytes | VERSION,
        };
    Page { 1 entries, 2 next_cursor <= MAX_CURSOR_BYTES };
    DescribeRequest { 1 name, 2 deadline },
        c lent keystead_describe_request { deadline_millis: u64 = deadline, name: Bytes };
    SetRequest { 1 name, 2 value, 3 metadata, 4 mode, 5 deadline, 6 | MUST_BE_KNOWN if_version },
        most MAX_SET_MANY, then set_request,
        c lent keystead_set_request {
            deadline_millis: u64 = deadline, name: Bytes, value: Bytes, value_kind: u32 = value,
            mode: u32, metadata + metadata_count: List<Metadata> | METADATA,
            if_version: Bytes | IF_VERSION,
        };
    Written { 1 version }, most MAX_SET_MANY,
        c told keystead_written [24, "a written version"] { version: Bytes | VERSION };
    SetManyRequest { 1 requests },
        c lent keystead_set_many_request { requests + request_count: List<SetRequest> };
    SetManyResults { 1 results };
    RemoveRequest { 1 name, 2 deadline, 3 | MUST_BE_KNOWN if_version },
        c lent keystead_remove_request {
            deadline_millis: u64 = deadline, name: Bytes, if_version: Bytes | IF_VERSION,
        };
    Removed { 1 recoverable_until }, then removed,
        c told keystead_removed [16, "a removal"] { recoverable_until: i64 | RECOVERABLE_UNTIL };
    RenameRequest { 1 from, 2 to, 3 deadline },
        c lent keystead_rename_request {
            deadline_millis: u64 = deadline, from: Bytes, to: Bytes,
        };
    Renamed { 1 version };
    SetMetadataRequest { 1 name, 2 metadata, 3 deadline, 4 | MUST_BE_KNOWN if_version },
        then set_metadata_request,
        c lent keystead_set_metadata_request {
            deadline_millis: u64 = deadline, name: Bytes,
            metadata + metadata_count: List<Metadata>, if_version: Bytes | IF_VERSION,
        };
    MetadataWritten { 1 version };
    UnlockRequest { 1 challenge, 2 answers, 3 deadline },
        c lent keystead_unlock_request {
            deadline_millis: u64 = deadline, challenge: Bytes,
            answers + answer_count: List<Answer>,
        };
    Answer { 1 name, 2 value }, most Challenge::MAX_PROMPTS,
        c lent keystead_answer { name: Bytes, value: Bytes };
    Unlocked {};
    LockRequest { 1 deadline }, c lent keystead_lock_request { deadline_millis: u64 = deadline };
    Locked {};
    TestRequest { 1 deadline }, c lent keystead_test_request { deadline_millis: u64 = deadline };
    TestReport {};
    UnregisterRequest { 1 deadline },
        c lent keystead_unregister_request { deadline_millis: u64 = deadline };
    Unregistered {};
    VersionsRequest { 1 name, 2 cursor, 3 limit, 4 deadline }, then versions_request,
        c lent keystead_versions_request {
            deadline_millis: u64 = deadline, name: Bytes, cursor: Bytes | CURSOR,
            limit + reserved: Padded,
        };
    Version { 1 id, 2 created, 3 unreadable, 4 metadata }, most MAX_PAGE_ENTRIES, then version,
        c told keystead_version [40, "a version"] {
            id: Bytes, created: i64 | CREATED, flags + reserved: Padded { 1 unreadable },
        };
    VersionPage { 1 versions, 2 next_cursor <= MAX_CURSOR_BYTES };
    ListRemovedRequest { 1 cursor, 2 limit, 3 deadline }, then list_removed_request,
        c lent keystead_list_removed_request {
            deadline_millis: u64 = deadline, cursor: Bytes | CURSOR, limit + reserved: Padded,
        };
    RemovedSecret { 1 name, 2 id, 3 removed, 4 recoverable_until },
        most MAX_PAGE_ENTRIES, then removed_secret,
        c told keystead_removed_secret [56, "a removed secret"] {
            name: Bytes, id: Bytes | ID, removed: i64 | REMOVED,
            recoverable_until: i64 | RECOVERABLE_UNTIL,
        };
    RemovedPage { 1 secrets, 2 next_cursor <= MAX_CURSOR_BYTES };
    RestoreRequest { 1 name, 2 id, 3 version, 4 deadline },
        c lent keystead_restore_request {
            deadline_millis: u64 = deadline, name: Bytes, id: Bytes | ID, version: Bytes | VERSION,
        };
    Restored { 1 version };
    PurgeRequest { 1 name, 2 id, 3 version, 4 deadline },
        c lent keystead_purge_request {
            deadline_millis: u64 = deadline, name: Bytes, id: Bytes | ID, version: Bytes | VERSION,
        };
    Purged {};
    RulesRequest { 1 deadline }, c lent keystead_rules_request { deadline_millis: u64 = deadline };
    Rules { 1 names, 2 max_name_bytes, 3 name_grammar <= MAX_MESSAGE_BYTES, 4 max_value_bytes },
        c told keystead_rules [56, "the rules"] {
            names + folding + composition + reserved: NameRule, max_name_bytes: Opt<u64>,
            max_value_bytes: Opt<u64>, name_grammar: Opt<Bytes>,
        };
    ActionsRequest { 1 deadline },
        c lent keystead_actions_request { deadline_millis: u64 = deadline };
    Action { 1 id, 2 description, 3 parameters, 4 destructive },
        c told keystead_action [48, "an action"] {
            id: Bytes, description: Bytes, flags + reserved: Padded { 1 destructive },
        };
    ActionList { 1 actions };
    OwnedParameter {
        1 name, 2 kind, 3 description, 4 required, 5 secret, 6 default, 7 beside_login,
    },
        c told keystead_parameter_schema [64, "a parameter's schema"] {
            kind: u32, flags: u32 { 1 required, 2 secret }, name: Bytes, description: Bytes,
            preset: Bytes = default,
        };
    ActionRequest { 1 action, 2 parameters, 3 deadline },
        c lent keystead_action_request {
            deadline_millis: u64 = deadline, action: Bytes,
            parameters + parameter_count: List<Parameter>,
        };
    ActionOutcome { 1 message <= MAX_MESSAGE_BYTES, 2 value };
    ExecRequest {
        1 program <= MAX_EXEC_ARGUMENT_BYTES,
        2 arguments <= MAX_EXEC_ARGUMENT_BYTES,
        3 input <= MAX_VALUE_BYTES,
        4 environment,
        5 deadline,
    },
        c told keystead_exec_request [80, "a request of exec"] {
            deadline_millis: u64 = deadline, program: Bytes,
            arguments + argument_count: Arguments, input: Bytes,
            variables + variable_count: Variables = environment,
        };
    ExecOutput { 1 status, 2 output <= MAX_VALUE_BYTES, 3 errors <= MAX_EXEC_ERRORS_BYTES };
    ReadFileRequest { 1 path, 2 deadline },
        c told keystead_read_file_request [32, "a request of read_file"] {
            deadline_millis: u64 = deadline, path: Bytes,
        };
    FileRead { 1 file };
    FileContent { 1 content <= MAX_FILE_BYTES, 2 version };
    ReplaceFileRequest { 1 path, 2 expected, 3 content <= MAX_FILE_BYTES, 4 deadline },
        c told keystead_replace_file_request [64, "a request of replace_file"] {
            deadline_millis: u64 = deadline, path: Bytes, expected: Bytes | EXPECTED,
            content: Bytes,
        };
    FileReplaced { 1 version };
    Ownership { 1 owner, 2 is_read_only, 3 device, 4 inode };
    Challenge { 1 id, 2 prompts, 3 message <= MAX_MESSAGE_BYTES, 4 url, 5 wait }, then challenge,
        c told keystead_challenge [80, "a challenge"] {
            id: Bytes, message: Opt<Bytes>, url: Opt<Bytes>,
            wait + reserved + interval_millis + expires_millis: Opt<Waiting>,
        };
    Error { 1 code, 2 message, 3 retry_after, 4 challenge }, most MAX_ITEMS, then error;
    Prompt {
        1 name, 2 label, 3 secret, 4 new, 5 kind, 6 choices,
        #[cfg(feature = "next")] 200 digits,
    },
        most Challenge::MAX_PROMPTS, then prompt,
        c told keystead_prompt [64, "a prompt"] {
            kind: Opt<u32>,
            flags: u32 { 1 secret, 2 new, #[cfg(feature = "next")] 0x100 digits },
            name: Bytes, label: Bytes, choices + choice_count: Choices,
        };
    LogLine { 1 level, 2 message };
    } };
}

macro_rules! records {
    (bits $bits:tt ; $(
        $type:ident {
            $( $(#[$attribute:meta])* $number:literal $(| $flag:ident)? $field:ident $(<= $limit:expr)? ),* $(,)?
        }
        $(, most $most:expr)? $(, then $then:expr)?
        $(, c $way:ident $c:ident $([ $($first:tt)* ])? { $($c_fields:tt)* })? ;
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

keystead_records! { records }

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

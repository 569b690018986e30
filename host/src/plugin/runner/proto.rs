//! What goes over the socket between the host and a runner: the kinds of frame and their
//! limits. Both ends are the same binary, and neither trusts the other's bytes.
//!
//! A frame is one packet: call id (`u64`), kind (`u8`), body; little-endian. A body that
//! does not fit lies in a sealed memfd that travels with the packet or, from a runner, is
//! in several packets, the first with its length (`u64`) in front; the kind has [`APART`]
//! set. Packets (`SOCK_SEQPACKET`) and not a stream: the kernel keeps a frame
//! whole and its file descriptor with it.

mod answer;
mod greeting;
mod request;
mod shape;

pub(super) use crate::codec::{Fault, Reader, Writer};
pub(super) use answer::{
    Answer, actions, entry, many, nothing, outcome, page, secret, session, versions, written,
};
pub(super) use greeting::{Greeting, Told, opened, plugin, write_plugin};
pub(super) use request::{Asked, Request, Write};
pub(super) use shape::{error, exec_output, exec_request, write_error, write_exec_output};
pub(super) use shape::{
    ownership, ownership_request, unwelcome, write_exec_request, write_ownership, write_unwelcome,
};

/// The number of this protocol. Frames of another number are never read: the greeting
/// is refused first.
pub(super) const PROTOCOL: u32 = 5;

/// Names this build to the other end.
pub(super) const BUILD: &str = env!("CARGO_PKG_VERSION");

/// The most bytes of one packet: far below the kernel's socket buffer (208 KiB), so that
/// three of them wait without blocking the sender.
pub(super) const MAX_FRAME_BYTES: usize = 64 * 1024;

/// The bytes before the body.
pub(super) const HEADER_BYTES: usize = 9;

/// Set in a kind whose body lies in the memfd beside it, or is in more packets than one.
pub(super) const APART: u8 = 0x80;

/// The most bytes of a body with one value: 16 MiB, and as much beside it as a call may
/// have (64 KiB of metadata, 1 MiB of arguments).
pub(super) const MAX_VALUE_BODY: usize = 18 * 1024 * 1024;

/// The most bytes of a body with several secrets to write: 17 MiB as the contract counts
/// them, and at most 29 bytes more for each of 1,000 and 9 for each of their 256 entries of
/// metadata.
pub(super) const MAX_WRITES_BODY: usize = 20 * 1024 * 1024;

/// The most bytes of a body with many things: a page of 1,000 entries with full names
/// and 64 KiB of metadata each has 71 MiB.
pub(super) const MAX_MANY_BODY: usize = 72 * 1024 * 1024;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    // To the host.
    /// The greeting was understood, and the runner has shut itself in.
    Ready = 1,
    /// The greeting was not understood, or the runner could not shut itself in.
    Unwelcome = 2,
    /// The answer to a call.
    Done = 3,
    /// The vault's error.
    Failed = 4,
    /// The plugin could not be loaded: a stable code, and a text.
    Unloadable = 5,
    /// The answer exceeds its limit; the call may be made in smaller pieces.
    TooMuch = 6,
    /// A line for the log. Answered by nothing.
    Log = 7,
    /// Asks for a granted program, within a call.
    Exec = 8,
    /// Asks who owns a granted file, within a call.
    Ownership = 9,

    // To the runner.
    /// The greeting: protocol, build, grants. The plugin's file may travel with it.
    Hello = 32,
    /// How the program ended.
    Executed = 33,
    /// Why the program was not run.
    NotExecuted = 34,
    Open = 35,
    Get = 36,
    Set = 37,
    Remove = 38,
    List = 39,
    Describe = 40,
    SetMetadata = 41,
    Unlock = 42,
    Lock = 43,
    Test = 44,
    Unregister = 45,
    GetMany = 46,
    Versions = 47,
    Actions = 48,
    Act = 49,
    SetMany = 50,
    /// The plugin, for a runner that has shut itself in: its bytes travel with the frame, unless
    /// its file came with the greeting.
    Plugin = 51,
    /// Who owns a granted file.
    Owned = 52,
    /// Why that is not told.
    NotOwned = 53,
}

impl Kind {
    const ALL: &'static [Self] = &[
        Self::Ready,
        Self::Unwelcome,
        Self::Done,
        Self::Failed,
        Self::Unloadable,
        Self::TooMuch,
        Self::Log,
        Self::Exec,
        Self::Ownership,
        Self::Hello,
        Self::Executed,
        Self::NotExecuted,
        Self::Open,
        Self::Get,
        Self::Set,
        Self::Remove,
        Self::List,
        Self::Describe,
        Self::SetMetadata,
        Self::Unlock,
        Self::Lock,
        Self::Test,
        Self::Unregister,
        Self::GetMany,
        Self::Versions,
        Self::Actions,
        Self::Act,
        Self::SetMany,
        Self::Plugin,
        Self::Owned,
        Self::NotOwned,
    ];

    /// Returns the kind of this number.
    pub(super) fn from_code(code: u8) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| *kind as u8 == code)
    }

    /// Returns the most bytes that a frame of this kind to the runner may have.
    pub(super) fn request_limit(self) -> usize {
        match self {
            Self::SetMany => MAX_WRITES_BODY,
            _ => MAX_VALUE_BODY,
        }
    }

    /// Returns the most bytes that the answer to a call of this kind may have.
    pub(super) fn answer_limit(self) -> usize {
        match self {
            Self::List | Self::Versions | Self::Actions => MAX_MANY_BODY,
            // Several secrets as well: what exceeds it is asked for one by one.
            _ => MAX_VALUE_BODY,
        }
    }

    /// Returns whether a vault may make what is not there for this call.
    pub(super) fn may_make(self) -> bool {
        matches!(self, Self::Set | Self::SetMany | Self::SetMetadata | Self::Act)
    }

    /// Returns the call's name in messages.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Get => "get",
            Self::Set => "set",
            Self::Remove => "remove",
            Self::List => "list",
            Self::Describe => "describe",
            Self::SetMetadata => "set_metadata",
            Self::Unlock => "unlock",
            Self::Lock => "lock",
            Self::Test => "test",
            Self::Unregister => "unregister",
            Self::GetMany => "get_many",
            Self::Versions => "versions",
            Self::Actions => "actions",
            Self::Act => "act",
            Self::SetMany => "set_many",
            _ => "a greeting",
        }
    }
}

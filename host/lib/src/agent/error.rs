//! Errors of the agent's client. A `get` continues without the agent.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::{MAX_SESSION_BYTES, MAX_SESSIONS};
use crate::fs;
use crate::ids::MixedIds;

/// Reason why the agent could not be used. No variant holds a secret.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Other users can read or write the directory of the socket.
    #[error("`{path}` is open to others (mode {mode:04o}): the agent's socket must not lie there", path = path.display())]
    OpenDir {
        /// The directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The directory of the socket is not safe, or cannot be created.
    #[error(transparent)]
    Dir(#[from] fs::Error),
    /// This process acts for two users at once.
    #[error(transparent)]
    MixedIds(#[from] MixedIds),
    /// The program could not be run as an agent.
    #[error("the agent cannot be started from `{program}`", program = program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The agent exited right after its start.
    #[error("the agent could not begin: {problem}")]
    GaveUp {
        /// The agent's own message.
        problem: String,
    },
    /// The agent is running but does not reply.
    #[error("the agent did not answer within {} ms", waited.as_millis())]
    Late {
        /// How long the client waited.
        waited: Duration,
    },
    /// The agent closed the connection before it replied: it ended, or had to make room.
    #[error("the agent closed the connection without replying")]
    HungUp,
    /// Another user's process serves the socket.
    #[error("the agent's socket `{path}` is served by user id {uid}", path = path.display())]
    Stranger {
        /// The socket.
        path: PathBuf,
        /// The user id of that process.
        uid: u32,
    },
    /// The agent is of another version of Keystead.
    #[error("the agent speaks another version of its protocol")]
    OtherVersion,
    /// The agent broke its protocol.
    #[error("the agent sent {what}")]
    Protocol {
        /// Description of what the agent sent.
        what: String,
    },
    /// The agent has no room for another session.
    #[error("the agent keeps {MAX_SESSIONS} sessions already")]
    Full,
    /// The plugin's session is larger than the agent's limit.
    #[error("the session has {len} bytes; the agent keeps at most {MAX_SESSION_BYTES}")]
    TooLarge {
        /// Size of the session in bytes.
        len: usize,
    },
    /// The system rejected an operation on the socket.
    #[error("cannot {action} the agent's socket `{path}`", path = path.display())]
    Socket {
        /// The operation, as a verb.
        action: &'static str,
        /// The socket.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

impl Error {
    /// Returns the error's stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::OpenDir { .. } => "E14.open-folder",
            Self::Dir(error) => error.code(),
            Self::MixedIds(error) => error.code(),
            Self::Start { .. } => "E14.start",
            Self::GaveUp { .. } => "E14.gave-up",
            Self::Late { .. } => "E14.late",
            Self::HungUp => "E14.hung-up",
            Self::Stranger { .. } => "E14.stranger",
            Self::OtherVersion => "E14.other-version",
            Self::Protocol { .. } => "E14.protocol",
            Self::Full => "E14.full",
            Self::TooLarge { .. } => "E14.too-large",
            Self::Socket { .. } => "E14.socket",
        }
    }
}

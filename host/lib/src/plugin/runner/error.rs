//! Errors of a runner, apart from its plugin's answers.

use std::fmt;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use keystead_plugin_api as api;

/// Code of a plugin that could not be loaded, from a runner that gives no reason: its plugin may
/// have written in its place.
pub(super) const UNLOADABLE: &str = "E11.unloadable";

/// An error of a runner. A plugin's own answer is never such an error.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The process could not be started: the program is missing or may not be run, or
    /// processes, descriptors or memory are exhausted.
    #[error("cannot start the runner {}", program.display())]
    Spawn {
        /// The program to start.
        program: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// The program is not the keystead that started it: another program, or a version
    /// that an upgrade has put in its place.
    #[error("{} is no runner of this keystead: {problem}", program.display())]
    Handshake {
        /// The started program.
        program: PathBuf,
        /// Its behaviour instead of a greeting.
        problem: String,
    },
    /// The runner could not enter its sandbox, so it did not load the plugin.
    #[error("the runner could not enter its sandbox: {problem}")]
    Sandbox {
        /// The failed step, and the system's error.
        problem: String,
    },
    /// The plugin passed every check on its file, and could not be loaded in the runner.
    #[error("{problem}")]
    Unloadable {
        /// The loader's own stable code, or `E11.unloadable` if the runner gave no code that the
        /// loader has.
        code: &'static str,
        /// The loader's message, with the plugin's path.
        problem: String,
    },
    /// The plugin's process ended: it exited, aborted or crashed, or another process ended it.
    #[error("the plugin's process ended {call}: {status}")]
    Died {
        /// The call, or the time between two calls.
        call: During,
        /// Exit status or signal of the process.
        status: Ended,
    },
    /// The call was not done at its deadline, and the host killed the process.
    #[error("the plugin process timed out {call} and was killed after {} ms", after.as_millis())]
    Late {
        /// The call, or the time between two calls.
        call: During,
        /// Time that the host waited.
        after: Duration,
    },
    /// The process sent data that no runner sends, and was killed: the plugin wrote to its
    /// connection, or broke a limit of the plugin API.
    #[error("the plugin's process broke the protocol {call} and was killed: it sent {what}")]
    Protocol {
        /// The call, or the time between two calls.
        call: During,
        /// Description of the data.
        what: String,
    },
    /// The plugin has ended its process several times in a row; the host starts it again after a
    /// pause.
    #[error(
        "the plugin's process ended {deaths} times in a row; it can be started again in {} ms",
        wait.as_millis()
    )]
    BackingOff {
        /// Number of ends since its last answer.
        deaths: u32,
        /// Remaining pause.
        wait: Duration,
    },
    /// The grants of the plugin cannot be granted any more, as their paths lead now.
    #[error("the plugin's process is not started again with what it was granted")]
    Granted(#[source] Box<super::super::grant::Error>),
    /// The system refused the host a resource on the way to the runner: descriptors or memory are
    /// exhausted.
    #[error("cannot talk to the plugin's process {call}")]
    System {
        /// The call, or the time between two calls.
        call: During,
        /// The system's error.
        #[source]
        source: io::Error,
    },
}

impl Error {
    /// Returns the stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Spawn { .. } => "E11.spawn",
            Self::Handshake { .. } => "E11.handshake",
            Self::Sandbox { .. } => "E11.sandbox",
            Self::Unloadable { code, .. } => code,
            Self::Died { .. } => "E11.died",
            Self::Late { .. } => "E11.late",
            Self::Protocol { .. } => "E11.protocol",
            Self::BackingOff { .. } => "E11.backing-off",
            Self::Granted(source) => source.code(),
            Self::System { .. } => "E11.system",
        }
    }

    /// Returns whether the plugin is to blame, which counts towards its quarantine. A timeout does
    /// not count: a slow server is no fault of the plugin's file. An end from outside does not
    /// count either.
    pub fn is_misbehaviour(&self) -> bool {
        match self {
            Self::Died { status, .. } => status.is_own_doing(),
            Self::Protocol { .. } => true,
            _ => false,
        }
    }
}

/// Time of an event: during the call of this name; `None` means between two calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct During(pub Option<&'static str>);

impl fmt::Display for During {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(call) => write!(f, "during `{call}`"),
            None => f.write_str("between calls"),
        }
    }
}

/// Error of a call on an isolated vault.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The vault's own error.
    #[error(transparent)]
    Plugin(#[from] api::Error),
    /// The runner's error.
    #[error(transparent)]
    Runner(#[from] Error),
}

/// The only error type of a [`Vault`](api::Vault): for callers that need not know who is to blame.
impl From<&Error> for api::Error {
    fn from(runner: &Error) -> Self {
        let kind = match runner {
            Error::Late { .. } => api::ErrorKind::TimedOut,
            Error::Died { .. } | Error::Protocol { .. } | Error::Unloadable { .. } => {
                api::ErrorKind::Internal
            }
            _ => api::ErrorKind::Unavailable,
        };
        let message = match std::error::Error::source(runner) {
            Some(cause) => format!("{runner}: {cause}"),
            None => runner.to_string(),
        };
        let flat = Self::new(kind, message);
        match runner {
            Error::BackingOff { wait, .. } => flat.with_retry_after(*wait),
            _ => flat,
        }
    }
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this status.
    Exit(i32),
    /// By this signal.
    Signal(i32),
}

impl Ended {
    /// Returns whether the process itself caused its end: it exited, or has a signal that a fault
    /// of its own or a broken limit sends. Any other signal comes from users, from service managers
    /// or, if memory runs out, from the kernel. A process that sends itself such a signal does not
    /// count as crashed.
    pub fn is_own_doing(self) -> bool {
        use rustix::process::Signal;
        const OWN: [Signal; 8] = [
            Signal::ABORT,
            Signal::BUS,
            Signal::FPE,
            Signal::ILL,
            Signal::SEGV,
            Signal::SYS,
            Signal::TRAP,
            Signal::XFSZ,
        ];
        match self {
            Self::Exit(_) => true,
            Self::Signal(number) => {
                Signal::from_named_raw(number).is_some_and(|signal| OWN.contains(&signal))
            }
        }
    }
}

impl From<ExitStatus> for Ended {
    fn from(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Exit(code),
            (None, signal) => Self::Signal(signal.unwrap_or_default()),
        }
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exit(status) => write!(f, "exit status {status}"),
            Self::Signal(number) => match signal_name(*number) {
                Some(name) => write!(f, "signal {number} ({name})"),
                None => write!(f, "signal {number}"),
            },
        }
    }
}

/// Returns the names of the signals that end a runner in practice.
fn signal_name(number: i32) -> Option<&'static str> {
    use rustix::process::Signal;
    let signal = Signal::from_named_raw(number)?;
    Some(match signal {
        Signal::ABORT => "SIGABRT",
        Signal::ALARM => "SIGALRM",
        Signal::BUS => "SIGBUS",
        Signal::FPE => "SIGFPE",
        Signal::HUP => "SIGHUP",
        Signal::ILL => "SIGILL",
        Signal::INT => "SIGINT",
        Signal::KILL => "SIGKILL",
        Signal::PIPE => "SIGPIPE",
        Signal::QUIT => "SIGQUIT",
        Signal::SEGV => "SIGSEGV",
        Signal::SYS => "SIGSYS",
        Signal::TERM => "SIGTERM",
        Signal::TRAP => "SIGTRAP",
        Signal::XCPU => "SIGXCPU",
        Signal::XFSZ => "SIGXFSZ",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signal_from_outside_is_no_plugin_misbehaviour() {
        let died = |status| Error::Died { call: During(Some("get")), status };
        for own in
            ["SIGSEGV", "SIGBUS", "SIGILL", "SIGFPE", "SIGABRT", "SIGSYS", "SIGTRAP", "SIGXFSZ"]
        {
            let number: nix::sys::signal::Signal = own.parse().unwrap();
            assert!(died(Ended::Signal(number as i32)).is_misbehaviour(), "{own}");
        }
        for other in ["SIGKILL", "SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGALRM"] {
            let number: nix::sys::signal::Signal = other.parse().unwrap();
            assert!(!died(Ended::Signal(number as i32)).is_misbehaviour(), "{other}");
        }
        // A real-time signal, and a signal that does not exist.
        assert!(!died(Ended::Signal(40)).is_misbehaviour());
        assert!(!died(Ended::Signal(0)).is_misbehaviour());
        assert!(died(Ended::Exit(0)).is_misbehaviour());
    }
}

//! What can go wrong with a runner, apart from what its plugin answers.

use std::fmt;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use keystead_plugin_api as api;

/// The code of a plugin that could not be loaded, by a runner that does not say why: its
/// plugin may have spoken in its place.
pub(super) const UNLOADABLE: &str = "E11.unloadable";

/// Why a runner could not do its work. A plugin's own answer is never one of these.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The process could not be started: the program is missing or may not be run, or
    /// processes, descriptors or memory are exhausted.
    #[error("cannot start the runner {}", program.display())]
    Spawn {
        /// What was to be started.
        program: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The program is not the keystead that started it: another program, or a version
    /// that an upgrade has put in its place.
    #[error("{} is no runner of this keystead: {problem}", program.display())]
    Handshake {
        /// What was started.
        program: PathBuf,
        /// What it did instead of a greeting.
        problem: String,
    },
    /// The runner could not enter its sandbox, so it did not load the plugin.
    #[error("the runner could not enter its sandbox: {problem}")]
    Sandbox {
        /// Which step, and what the system said.
        problem: String,
    },
    /// The plugin passed every check on its file, and could not be loaded in the runner.
    #[error("{problem}")]
    Unloadable {
        /// The loader's own stable code, or `E11.unloadable` where the runner gave none that
        /// the loader has.
        code: &'static str,
        /// What the loader said, with the plugin's path.
        problem: String,
    },
    /// The plugin ended its process, it exited, aborted or crashed; or somebody else did.
    #[error("the plugin's process ended {call}: {status}")]
    Died {
        /// When.
        call: During,
        /// How it ended.
        status: Ended,
    },
    /// The call was not done at its deadline, and the process was killed.
    #[error("the plugin process timed out {call} and was killed after {} ms", after.as_millis())]
    Late {
        /// When.
        call: During,
        /// How long it was waited for.
        after: Duration,
    },
    /// The process sent what no runner sends, and was killed: the plugin wrote to its
    /// connection, or broke a limit of the contract.
    #[error("the plugin's process broke the protocol {call} and was killed: it sent {what}")]
    Protocol {
        /// When.
        call: During,
        /// What it sent.
        what: String,
    },
    /// The plugin has ended its process several times in a row; it is started again after
    /// a pause.
    #[error(
        "the plugin's process ended {deaths} times in a row; it can be started again in {} ms",
        wait.as_millis()
    )]
    BackingOff {
        /// How often it ended since its last answer.
        deaths: u32,
        /// How long the pause still is.
        wait: Duration,
    },
    /// What the plugin was granted cannot be granted any more, as its paths lead now.
    #[error("the plugin's process is not started again with what it was granted")]
    Granted(#[source] Box<super::super::grant::Error>),
    /// The system refused the host something on the way to the runner: descriptors or
    /// memory are exhausted.
    #[error("cannot talk to the plugin's process {call}")]
    System {
        /// When.
        call: During,
        /// What the system said.
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

    /// Returns whether the plugin is to blame: what counts towards its quarantine. Being
    /// late does not: a slow server is no fault of the plugin's file. Neither does an end from
    /// outside.
    pub fn is_misbehaviour(&self) -> bool {
        match self {
            Self::Died { status, .. } => status.is_own_doing(),
            Self::Protocol { .. } => true,
            _ => false,
        }
    }
}

/// When something happened: during the call of this name, or between two calls.
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

/// How a call on an isolated vault ends where it has no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The vault's own error.
    #[error(transparent)]
    Plugin(#[from] api::Error),
    /// The runner's.
    #[error(transparent)]
    Runner(#[from] Error),
}

/// The one error type that a [`Vault`](api::Vault) has: for callers who do not ask who is
/// to blame.
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
    /// Returns whether it was the process's own doing: it exited, or has a signal that a fault
    /// of its own or a broken limit sends. Any other comes from people, from service managers or,
    /// where memory runs out, from the kernel. A process that sends itself one of those is taken
    /// for innocent.
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
        // A real-time signal, and one that there is not.
        assert!(!died(Ended::Signal(40)).is_misbehaviour());
        assert!(!died(Ended::Signal(0)).is_misbehaviour());
        assert!(died(Ended::Exit(0)).is_misbehaviour());
    }
}

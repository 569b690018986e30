//! The signals of a process that does nothing else: the agent.

use std::os::fd::OwnedFd;

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// Signals to the process: each descriptor becomes readable when its signal arrives.
pub(crate) struct Signals {
    /// Discard all sessions.
    pub(crate) hang_up: OwnedFd,
    /// Discard all sessions and end.
    pub(crate) end: OwnedFd,
}

/// Redirects the signals of this process, which is the agent and nothing else, to descriptors that
/// the agent can wait for.
pub(crate) fn of_this_process() -> std::io::Result<Signals> {
    let hang_up = SigSet::from_iter([Signal::SIGHUP]);
    let end = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM]);
    // Only these signals: `exec` passes on the signals that the starter has blocked.
    SigSet::from_iter(hang_up.iter().chain(&end)).thread_set_mask()?;
    let arriving = |signals| {
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        SignalFd::with_flags(signals, flags).map(OwnedFd::from)
    };
    Ok(Signals { hang_up: arriving(&hang_up)?, end: arriving(&end)? })
}

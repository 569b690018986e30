//! The signals of a process that does nothing else: the agent.

use std::os::fd::OwnedFd;

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// What the system tells the process; each end becomes readable.
pub(crate) struct Signals {
    /// Forget everything.
    pub(crate) hang_up: OwnedFd,
    /// Forget everything and end.
    pub(crate) end: OwnedFd,
}

/// Has the signals of this process, which is the agent and nothing else, arrive where they can be
/// waited for.
pub(crate) fn of_this_process() -> std::io::Result<Signals> {
    let hang_up = SigSet::from_iter([Signal::SIGHUP]);
    let end = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM]);
    // Only these: `exec` hands on which ones the starter has blocked.
    SigSet::from_iter(hang_up.iter().chain(&end)).thread_set_mask()?;
    let arriving = |signals| {
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        SignalFd::with_flags(signals, flags).map(OwnedFd::from)
    };
    Ok(Signals { hang_up: arriving(&hang_up)?, end: arriving(&end)? })
}

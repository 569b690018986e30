//! The peer of a socket: its user and its process. Killing the process never hits another one that
//! got its number.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::PeerCredentials;
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal};

use crate::ids;
use crate::plugin::runner::timespec;

/// User and process that created the other end of a socket.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer {
    /// User ID.
    pub(crate) user: u32,
    /// Process ID; `None` if the process is in a container that this one cannot see into.
    process: Option<Pid>,
}

impl Peer {
    /// Returns the peer of a socket.
    pub(crate) fn of(socket: &impl AsFd) -> io::Result<Self> {
        let found = getsockopt(&socket.as_fd(), PeerCredentials)?;
        // The kernel reports 0 for a process that is hidden from this one: a signal to 0 goes to
        // this process itself.
        Ok(Self { user: found.uid(), process: Pid::from_raw(found.pid()) })
    }

    /// Returns whether the peer has this process's user, with a number in this user namespace.
    pub(crate) fn is_us(&self) -> bool {
        use rustix::process::{geteuid, getuid};
        self.user == geteuid().as_raw()
            && self.user == getuid().as_raw()
            && !ids::is_nobodys(self.user)
    }

    /// Kills the process that holds the other end, if that process still exists.
    pub(crate) fn kill(&self, socket: &OwnedFd) -> io::Result<()> {
        let Some(process) = self.process else {
            return Err(io::Error::other("its process is in another container"));
        };
        let process = match rustix::process::pidfd_open(process, PidfdFlags::empty()) {
            Ok(process) => process,
            Err(Errno::SRCH) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        // A peer that still holds the socket lived at the lookup: its number is not reused.
        if has_hung_up(socket)? {
            return Ok(());
        }
        match rustix::process::pidfd_send_signal(&process, Signal::KILL) {
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Returns whether no process holds the other end any more.
fn has_hung_up(socket: &OwnedFd) -> io::Result<bool> {
    let mut watched = [PollFd::from_borrowed_fd(socket.as_fd(), PollFlags::IN)];
    rustix::event::poll(&mut watched, Some(&timespec(Duration::ZERO)))?;
    Ok(watched[0].revents().contains(PollFlags::HUP))
}

//! Who is at the other end of a socket: its user, and its process, which can be killed and no
//! other in its place.

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

/// Whose process made the other end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer {
    /// Its user.
    pub(crate) user: u32,
    /// Its number; none where it is in a container that this one cannot look into.
    process: Option<Pid>,
}

impl Peer {
    /// Returns who made the other end.
    pub(crate) fn of(socket: &impl AsFd) -> io::Result<Self> {
        let found = getsockopt(&socket.as_fd(), PeerCredentials)?;
        // The kernel says 0 for a process that it does not show us: a signal to that would
        // be one to ourselves.
        Ok(Self { user: found.uid(), process: Pid::from_raw(found.pid()) })
    }

    /// Returns whether it is this process's user, who has a number in this user namespace.
    pub(crate) fn is_us(&self) -> bool {
        use rustix::process::{geteuid, getuid};
        self.user == geteuid().as_raw()
            && self.user == getuid().as_raw()
            && !ids::is_nobodys(self.user)
    }

    /// Kills the process that holds the other end, where there still is one.
    pub(crate) fn kill(&self, socket: &OwnedFd) -> io::Result<()> {
        let Some(process) = self.process else {
            return Err(io::Error::other("its process is in another container"));
        };
        let process = match rustix::process::pidfd_open(process, PidfdFlags::empty()) {
            Ok(process) => process,
            Err(Errno::SRCH) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        // Who still holds it lived when the number was looked up: it is nobody else's yet.
        if has_hung_up(socket)? {
            return Ok(());
        }
        match rustix::process::pidfd_send_signal(&process, Signal::KILL) {
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Returns whether nobody holds the other end any more.
fn has_hung_up(socket: &OwnedFd) -> io::Result<bool> {
    let mut watched = [PollFd::from_borrowed_fd(socket.as_fd(), PollFlags::IN)];
    rustix::event::poll(&mut watched, Some(&timespec(Duration::ZERO)))?;
    Ok(watched[0].revents().contains(PollFlags::HUP))
}

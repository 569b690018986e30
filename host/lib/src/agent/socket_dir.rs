//! The agent's directory: its socket, the lock of a running agent, and a lock for each login that a
//! process makes or prompts for.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use super::{Error, SessionKey};
use crate::fs::{Lock, PRIVATE_FILE, Rule, SafeDir};

/// The socket's name.
const SOCKET: &str = "agent";

/// The name of the lock that a running agent holds.
const LOCK: &str = "agent.lock";

/// How many clients may wait for the agent to accept them: more than ever connect at once.
const BACKLOG: i32 = 64;

/// Returns the socket's path.
pub(super) fn socket(dir: &Path) -> PathBuf {
    dir.join(SOCKET)
}

/// Opens the directory, and creates it if it is missing: only its owner may access it.
pub(super) fn make(dir: &Path) -> Result<SafeDir, Error> {
    let dir = SafeDir::create(dir, Rule::User)?;
    let mode = dir.mode()?;
    if mode & 0o077 != 0 {
        return Err(Error::OpenDir { path: dir.path().to_owned(), mode });
    }
    Ok(dir)
}

/// Takes the lock that a running agent holds; `None` if an agent is running.
pub(super) fn lock(dir: &SafeDir) -> Result<Option<Lock>, Error> {
    Ok(dir.try_lock(LOCK)?)
}

/// Takes the lock to log in with a key; `None` if another process holds it.
pub(super) fn asking(dir: &SafeDir, key: &SessionKey) -> Result<Option<Lock>, Error> {
    Ok(dir.try_lock(&key.lock_name())?)
}

/// Creates a socket and connects it without waiting.
pub(super) fn connect(dir: &Path) -> io::Result<OwnedFd> {
    let ours = unix_socket()?;
    match SocketAddrUnix::new(socket(dir)) {
        Ok(address) => rustix::net::connect(&ours, &address)?,
        Err(Errno::NAMETOOLONG) => {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let opened = rustix::fs::open(dir, flags, Mode::empty())?;
            rustix::net::connect(&ours, &short(&opened)?)?;
        }
        Err(error) => return Err(error.into()),
    }
    Ok(ours)
}

/// A listening socket, which is removed when dropped. Its creator holds the lock.
#[derive(Debug)]
pub(super) struct Listener {
    socket: OwnedFd,
    dir: SafeDir,
    /// Device and inode of our socket: the directory may now hold another agent's socket.
    made: (u64, u64),
    /// Released last.
    _lock: Lock,
}

impl Listener {
    /// Creates the socket in the directory, in place of one that a killed agent left.
    pub(super) fn bind(dir: SafeDir, lock: Lock) -> Result<Self, Error> {
        let path = socket(dir.path());
        let io =
            |action, error: io::Error| Error::Socket { action, path: path.clone(), source: error };
        let ours = unix_socket().map_err(|e| io("make", e))?;
        // No other process creates a socket: we hold the lock.
        dir.remove(SOCKET)?;
        let put = || -> io::Result<(u64, u64)> {
            // Relative to the verified directory, whatever has become of its path.
            rustix::net::bind(&ours, &short(&dir)?)?;
            let mode = Mode::from_raw_mode(PRIVATE_FILE);
            rustix::fs::chmodat(&dir, SOCKET, mode, AtFlags::empty())?;
            rustix::net::listen(&ours, BACKLOG)?;
            Ok(identity(&dir)?)
        };
        let made = put().map_err(|e| io("put up", e))?;
        Ok(Self { socket: ours, dir, made, _lock: lock })
    }

    /// Returns whether clients still find the socket. If it is removed, alone or with its directory
    /// at the end of a login, clients must not reach this agent any more.
    pub(super) fn is_in_place(&self) -> bool {
        identity(&self.dir).is_ok_and(|found| found == self.made)
    }

    /// Accepts a client, if one waits.
    pub(super) fn accept(&self) -> io::Result<Option<OwnedFd>> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        match rustix::net::accept_with(&self.socket, flags) {
            Ok(client) => Ok(Some(client)),
            Err(Errno::AGAIN | Errno::INTR | Errno::CONNABORTED) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if self.is_in_place() {
            // The next agent replaces a socket that stays.
            let _ = self.dir.remove(SOCKET);
        }
    }
}

/// Creates a packet socket: the kernel keeps packets whole, so there is no length to lie about.
fn unix_socket() -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?)
}

/// Returns the socket's address through the descriptor of its open directory: a path may be longer
/// than an address can be.
fn short(dir: &impl AsFd) -> io::Result<SocketAddrUnix> {
    let number = dir.as_fd().as_raw_fd();
    Ok(SocketAddrUnix::new(format!("/proc/self/fd/{number}/{SOCKET}"))?)
}

fn identity(dir: &SafeDir) -> Result<(u64, u64), Errno> {
    let stat = rustix::fs::statat(dir, SOCKET, AtFlags::SYMLINK_NOFOLLOW)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Socket => Ok((stat.st_dev, stat.st_ino)),
        _ => Err(Errno::NOTSOCK),
    }
}

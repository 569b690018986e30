//! Connects an isolated plugin to its granted Unix sockets, and to no other. The plugin calls
//! `socket` and `connect` as any program does; the filter of system calls has the host answer.
//!
//! No process of a plugin ever has a Unix socket that could still be connected. `socket` gives it a
//! *placeholder*, one of a pair whose other end is closed: the kernel connects that nowhere any
//! more. `connect` replaces it with a socket that the host itself has connected to the granted open
//! object. So later changes of the path have no effect, nor have changes of the address by the
//! plugin's threads.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::net::sockopt::{self, Timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use super::super::grant::Granted;
use super::super::inspect::Permission;
use crate::platform::sandbox::{Listener, Outcome, Question};

/// Maximum number of known placeholders, which keep their options until they are connected.
const MAX_PENDING: usize = 64;

/// Maximum length of an address (`struct sockaddr_storage`), in bytes.
const MAX_ADDRESS: usize = 128;

/// Offset of the path in the address of a Unix socket, in bytes.
const PATH_AT: usize = size_of::<libc::sa_family_t>();

/// Pause before the next try of a listener that has no room.
const PAUSE: Duration = Duration::from_millis(2);

/// The descriptors that a runner sends so that the host can connect its plugin.
pub(super) struct Asking {
    listener: Listener,
    /// The memory of the runner's process, open for reading.
    memory: OwnedFd,
}

impl Asking {
    /// Takes the descriptors in the order in which a runner sends them.
    pub(super) fn new(descriptors: Vec<OwnedFd>) -> Option<Self> {
        let [listener, memory] = <[OwnedFd; 2]>::try_from(descriptors).ok()?;
        Some(Self { listener: Listener::new(listener), memory })
    }

    /// Starts to answer, in a thread that ends with the runner.
    pub(super) fn answer(self, granted: &Granted) -> io::Result<()> {
        let connector = Connector {
            listener: self.listener,
            memory: self.memory,
            granted: granted.clone(),
            pending: VecDeque::new(),
        };
        let thread = std::thread::Builder::new().name("keystead-connect".into());
        thread.spawn(move || connector.run()).map(drop)
    }
}

struct Connector {
    listener: Listener,
    memory: OwnedFd,
    granted: Granted,
    /// Placeholders by their numbers in the plugin's process, the oldest first.
    pending: VecDeque<(u32, OwnedFd)>,
}

/// Destination of a plugin's `connect`.
enum Target {
    /// A Unix socket: the bytes behind the family.
    Unix(Vec<u8>),
    /// Any other address.
    Other,
}

impl Connector {
    fn run(mut self) {
        while let Ok(Some(question)) = self.listener.next() {
            let outcome = match libc::c_long::from(question.call) {
                libc::SYS_socket => self.placeholder(&question),
                libc::SYS_connect => self.connected(&question),
                _ => Err(Errno::NOSYS),
            };
            self.listener.answer(&question, outcome.unwrap_or_else(Outcome::Fails));
        }
    }

    /// Creates a stream socket that cannot be connected. The filter asks for no other kind.
    fn placeholder(&mut self, question: &Question) -> Result<Outcome, Errno> {
        let mut flags = SocketFlags::CLOEXEC;
        if question.arguments[1] & libc::SOCK_NONBLOCK as u64 != 0 {
            flags |= SocketFlags::NONBLOCK;
        }
        let (ours, _closed) =
            rustix::net::socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        let number = self.listener.give(question, ours.as_fd(), None)?;
        self.pending.retain(|(other, _)| *other != number);
        if self.pending.len() >= MAX_PENDING {
            self.pending.pop_front();
        }
        self.pending.push_back((number, ours));
        Ok(Outcome::Returns(number))
    }

    fn connected(&mut self, question: &Question) -> Result<Outcome, Errno> {
        let path = match self.target(question)? {
            Target::Unix(path) => path,
            // Any such connection is allowed: it connects no socket to a Unix socket.
            Target::Other if self.granted.has(&Permission::Network) => return Ok(Outcome::Made),
            Target::Other => return Err(Errno::ACCESS),
        };
        let number = question.arguments[0] as u32;
        let at = self.pending.iter().position(|(other, _)| *other == number);
        let at = at.ok_or(Errno::ISCONN)?;
        let object = self.object(&path)?;
        let (socket, flags) = self.connect(question, object, &self.pending[at].1)?;
        rustix::fs::fcntl_setfl(&socket, flags)?;
        self.listener.give(question, socket.as_fd(), Some(number))?;
        self.pending.remove(at);
        Ok(Outcome::Returns(0))
    }

    /// Reads the address of a `connect`, once.
    fn target(&self, question: &Question) -> Result<Target, Errno> {
        let [_, address, length, ..] = question.arguments;
        // An `int`, as the kernel reads it.
        let length = length as u32 as usize;
        if !(PATH_AT..=MAX_ADDRESS).contains(&length) {
            return Err(Errno::INVAL);
        }
        let mut bytes = [0; MAX_ADDRESS];
        let mut read = 0;
        while read < length {
            let at = address.checked_add(read as u64).ok_or(Errno::FAULT)?;
            match rustix::io::pread(&self.memory, &mut bytes[read..length], at) {
                Ok(0) | Err(Errno::IO | Errno::INVAL) => return Err(Errno::FAULT),
                Ok(more) => read += more,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
        }
        let (family, path) = bytes[..length].split_at(PATH_AT);
        if family != (libc::AF_UNIX as libc::sa_family_t).to_ne_bytes() {
            return Ok(Target::Other);
        }
        // An abstract name begins with a zero, and is the name of nothing that is granted.
        let end = path.iter().position(|byte| *byte == 0).unwrap_or(path.len());
        Ok(Target::Unix(path[..end].to_vec()))
    }

    /// Returns the open object of a granted path, by its granted name or by its path without links.
    fn object(&self, path: &[u8]) -> Result<&crate::fs::object::Object, Errno> {
        let is_it = |socket: &&super::super::grant::GrantedSocket| {
            let elsewhere =
                || socket.elsewhere().is_some_and(|at| at.as_os_str().as_bytes() == path);
            socket.name().as_bytes() == path || elsewhere()
        };
        let granted = self.granted.sockets().iter().find(is_it).ok_or(Errno::ACCESS)?;
        granted.object().ok_or(Errno::NOENT)
    }

    /// Connects a new socket, and returns it with the placeholder's current flags.
    fn connect(
        &self,
        question: &Question,
        object: &crate::fs::object::Object,
        placeholder: &OwnedFd,
    ) -> Result<(OwnedFd, OFlags), Errno> {
        let asked = rustix::fs::fcntl_getfl(placeholder)?;
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (unix, stream) = (AddressFamily::UNIX, SocketType::STREAM);
        let socket = rustix::net::socket_with(unix, stream, flags, None)?;
        for which in [Timeout::Recv, Timeout::Send] {
            if let Some(time) = sockopt::socket_timeout(placeholder, which)? {
                sockopt::set_socket_timeout(&socket, which, Some(time))?;
            }
        }
        // Not by its path, where another object may lie by now.
        let name = format!("/proc/self/fd/{}", object.as_fd().as_raw_fd());
        let address = SocketAddrUnix::new(name)?;
        loop {
            match rustix::net::connect(&socket, &address) {
                Err(Errno::INTR) => {}
                // The listener accepts no more now.
                Err(Errno::AGAIN) if !asked.contains(OFlags::NONBLOCK) => {
                    std::thread::sleep(PAUSE);
                    if !self.listener.is_waiting(question) {
                        return Err(Errno::INTR);
                    }
                }
                done => return done.map(|()| (socket, asked)),
            }
        }
    }
}

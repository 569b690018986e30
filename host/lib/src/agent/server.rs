//! The agent's loop: accepts clients of its own user, answers them, and discards expired sessions.
//! One thread; a slow client delays no other client.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec,
};
use zeroize::Zeroize;

use super::MAX_SESSION_BYTES;
use super::proto::{MAX_FRAME_BYTES, MemoryLock, Reply, Request, Secret, Status};
use super::session_table::{SessionTable, Times};
use super::socket_dir::Listener;
use crate::codec::{Fault, Writer};
use crate::platform::peer::Peer;
use crate::platform::signals::Signals;

/// Maximum number of clients at once; a further client replaces the oldest.
const MAX_CLIENTS: usize = 64;

/// Time limit of a connection: each client sends one request.
const STAY: Duration = Duration::from_secs(10);

/// How often the agent checks that clients still find its socket.
const LOOK: Duration = Duration::from_secs(2);

/// The agent.
pub(super) struct Server<'m> {
    listener: Listener,
    /// Fires when something expires, also after the machine has slept.
    timer: OwnedFd,
    desk: RequestHandler<'m>,
    inbox: &'m mut [u8],
    outbox: &'m mut [u8],
    clients: Vec<ClientConnection>,
    linger: Duration,
}

/// A client and the deadline of its connection.
struct ClientConnection {
    socket: OwnedFd,
    until: Duration,
}

/// Whether the agent continues.
#[derive(PartialEq, Eq)]
pub(super) enum Then {
    GoOn,
    End,
}

impl<'m> Server<'m> {
    /// Returns an agent that keeps its secrets in this block: room for all sessions, and for one
    /// frame each way.
    pub(super) fn new(
        listener: Listener,
        block: &'m mut [u8],
        locked: MemoryLock,
        linger: Duration,
    ) -> io::Result<Self> {
        let (sessions, frames) = block.split_at_mut(SessionTable::BLOCK_BYTES);
        let (inbox, outbox) = frames.split_at_mut(MAX_FRAME_BYTES);
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let timer = rustix::time::timerfd_create(TimerfdClockId::Boottime, flags)?;
        let desk = RequestHandler { keep: SessionTable::new(sessions), locked, used: now() };
        Ok(Self { listener, timer, desk, inbox, outbox, clients: Vec::new(), linger })
    }

    /// Serves until a signal or a request ends it, or until it has kept nothing for `linger`.
    pub(super) fn run(&mut self, signals: &Signals) -> io::Result<()> {
        loop {
            let at = now();
            self.desk.keep.expire(at);
            self.clients.retain(|client| client.until > at);
            // Users cannot lock vaults through an agent that they cannot reach.
            if !self.listener.is_in_place() {
                return Ok(());
            }
            let Some(next) = self.next_event(at) else { return Ok(()) };
            set(&self.timer, next.min(at.saturating_add(LOOK)))?;
            let ready = self.wait(signals)?;
            if ready.end {
                return Ok(());
            }
            if ready.hang_up {
                // Reads all pending hang-ups: they mean the same.
                let _ = rustix::io::read(&signals.hang_up, &mut [0; 1024]);
                self.desk.keep.forget_all();
                self.desk.used = at;
            }
            // From the last client: removing a client shifts none that is still to be served.
            for at in ready.clients.into_iter().rev() {
                match self.serve(at) {
                    Ok(Then::GoOn) => {}
                    Ok(Then::End) => return Ok(()),
                    // The client is gone or broke the protocol: close the connection.
                    Err(Gone) => drop(self.clients.remove(at)),
                }
            }
            if ready.newcomers {
                self.let_in()?;
            }
        }
    }

    /// Returns the next expiry; `None` if the agent itself expires.
    fn next_event(&self, at: Duration) -> Option<Duration> {
        let client = self.clients.iter().map(|client| client.until).min();
        let next = match self.desk.keep.next_over() {
            Some(over) => over,
            None => Some(self.desk.used.saturating_add(self.linger)).filter(|end| *end > at)?,
        };
        Some(client.map_or(next, |until| until.min(next)))
    }

    fn wait(&self, signals: &Signals) -> io::Result<Ready> {
        let mut watched = vec![
            PollFd::new(&signals.end, PollFlags::IN),
            PollFd::new(&signals.hang_up, PollFlags::IN),
            PollFd::new(&self.listener, PollFlags::IN),
            PollFd::new(&self.timer, PollFlags::IN),
        ];
        let clients = watched.len();
        watched.extend(self.clients.iter().map(|c| PollFd::new(&c.socket, PollFlags::IN)));
        loop {
            match rustix::event::poll(&mut watched, None) {
                Ok(_) => break,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let ready: Vec<bool> = watched.iter().map(|fd| !fd.revents().is_empty()).collect();
        Ok(Ready {
            end: ready[0],
            hang_up: ready[1],
            newcomers: ready[2],
            clients: (0..self.clients.len()).filter(|at| ready[clients + at]).collect(),
        })
    }

    fn let_in(&mut self) -> io::Result<()> {
        let socket = match self.listener.accept() {
            Ok(Some(socket)) => socket,
            Ok(None) => return Ok(()),
            Err(error) if is_passing(&error) && !self.clients.is_empty() => {
                // Connected clients make room; the loop accepts the waiting client the next time.
                self.clients.clear();
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        // The directory and the socket are closed to other users already; this is the second check.
        if !Peer::of(&socket).is_ok_and(|peer| peer.is_us()) {
            return Ok(());
        }
        if self.clients.len() == MAX_CLIENTS {
            self.clients.remove(0);
        }
        self.clients.push(ClientConnection { socket, until: now() + STAY });
        Ok(())
    }

    /// Answers one request of a client.
    fn serve(&mut self, at: usize) -> Result<Then, Gone> {
        let socket = &self.clients[at].socket;
        let flags = RecvFlags::DONTWAIT | RecvFlags::TRUNC;
        let size = match rustix::net::recv(socket, &mut *self.inbox, flags) {
            Ok((_, 0)) => return Err(Gone),
            Ok((_, size)) => size,
            Err(Errno::AGAIN | Errno::INTR) => return Ok(Then::GoOn),
            Err(_) => return Err(Gone),
        };
        let Some(frame) = self.inbox.get_mut(..size) else {
            self.inbox.zeroize();
            return Err(Gone);
        };
        let (reply, then) = match self.desk.answer(frame, now()) {
            Ok(answer) => answer,
            Err(_) => {
                self.inbox.zeroize();
                return Err(Gone);
            }
        };
        let mut writer = Writer::new(self.outbox);
        reply.write(&mut writer);
        let len = writer.wanted();
        debug_assert!(len <= MAX_FRAME_BYTES, "names and sessions are bounded");
        let sent = rustix::net::send(
            socket,
            &self.outbox[..len],
            SendFlags::NOSIGNAL | SendFlags::DONTWAIT,
        );
        self.outbox[..len].zeroize();
        self.inbox[..size].zeroize();
        match (sent, then) {
            (_, Then::End) => Ok(Then::End),
            (Ok(_), then) => Ok(then),
            (Err(_), _) => Err(Gone),
        }
    }
}

/// Events that the agent can handle without waiting.
struct Ready {
    end: bool,
    hang_up: bool,
    newcomers: bool,
    /// Indices, in ascending order.
    clients: Vec<usize>,
}

/// The agent must close the client's connection.
struct Gone;

/// Answers requests from the session table.
pub(super) struct RequestHandler<'m> {
    pub(super) keep: SessionTable<'m>,
    pub(super) locked: MemoryLock,
    /// Time of the last use; a status request does not count.
    pub(super) used: Duration,
}

impl RequestHandler<'_> {
    /// Answers a request.
    pub(super) fn answer(
        &mut self,
        frame: &[u8],
        now: Duration,
    ) -> Result<(Reply<'_>, Then), Fault> {
        let Some(request) = Request::read(frame)? else {
            return Ok((Reply::OtherVersion, Then::GoOn));
        };
        if request != Request::Status {
            self.used = now;
        }
        let reply = match request {
            Request::Get { key, vault } => match self.keep.get(&key, &vault, now) {
                Some((serial, secret, left)) => {
                    Reply::Session { serial, secret: Secret(secret), left }
                }
                None => Reply::None,
            },
            Request::Keep { key, vault, secret, whole, lifetime, idle, replace } => {
                debug_assert!(secret.0.len() <= MAX_SESSION_BYTES);
                let times = Times { whole, lifetime, idle };
                if !replace && self.keep.get(&key, &vault, now).is_some() {
                    Reply::None
                } else {
                    match self.keep.put(key, vault, secret.0, times, now) {
                        Ok(serial) => Reply::Kept(serial),
                        Err(_) => Reply::Full,
                    }
                }
            }
            Request::Renew { key, serial, secret, lifetime } => {
                match self.keep.renew(&key, serial, secret.0, lifetime, now) {
                    Some(serial) => Reply::Kept(serial),
                    None => Reply::None,
                }
            }
            Request::Refused { key, serial } => Reply::Forgotten(self.keep.refused(&key, serial)),
            Request::Forget(vault) => Reply::Forgotten(self.keep.forget_vault(&vault)),
            Request::ForgetAll => Reply::Forgotten(self.keep.forget_all()),
            Request::Status => Reply::Is(Status {
                process: std::process::id(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                locked: self.locked,
                vaults: self.keep.vaults(now),
            }),
            Request::Stop => {
                self.keep.forget_all();
                return Ok((Reply::Stopping, Then::End));
            }
        };
        Ok((reply, Then::GoOn))
    }
}

/// Returns whether accepting a client fails now and may work later.
fn is_passing(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(errno, Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM))
}

/// Returns the time since the machine was started, sleep included.
pub(super) fn now() -> Duration {
    let now = rustix::time::clock_gettime(ClockId::Boottime);
    Duration::try_from(now).expect("it counts up from the start")
}

fn set(timer: &OwnedFd, at: Duration) -> io::Result<()> {
    // A zero would switch the timer off.
    let at = at.max(Duration::from_nanos(1));
    let it_value = Timespec::try_from(at).map_err(io::Error::other)?;
    let it_interval = Timespec { tv_sec: 0, tv_nsec: 0 };
    let new = Itimerspec { it_interval, it_value };
    rustix::time::timerfd_settime(timer.as_fd(), TimerfdTimerFlags::ABSTIME, &new)?;
    Ok(())
}

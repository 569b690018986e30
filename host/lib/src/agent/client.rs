//! The host's end of the agent's socket: one request and one reply a connection, by a deadline.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use keystead_plugin_api::{MAX_SESSION_LIFETIME, SecretBytes, Session, VaultName};
use rustix::event::{PollFd, PollFlags};
use rustix::fs::Access;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use zeroize::Zeroize;

use super::proto::{MAX_FRAME_BYTES, Reply, Request, Secret};
use super::{
    CachedSession, Error, MAX_SESSION_BYTES, Patience, PromptLock, SessionCache, SessionKey,
    SessionLimits, Status, process, socket_dir,
};
use crate::codec::Writer;
use crate::host::lock;
use crate::ids;
use crate::platform::peer::Peer;
use crate::plugin::runner::timespec;

/// Timeout of a `get`: a hundred times what a healthy agent needs.
const PATIENCE: Duration = Duration::from_millis(250);

/// Timeout of commands about the agent itself.
const LONG_PATIENCE: Duration = Duration::from_secs(5);

/// How long the client requests no sessions from an agent that failed: longer than one command, but
/// not for ever in a long-running program.
const GIVEN_UP: Duration = Duration::from_secs(60);

/// Pause before the next attempt to reach an agent that another process starts.
const PAUSE: Duration = Duration::from_millis(5);

/// How many agents the client offers a session to. An agent may end right after it has reported its
/// status, and its replacement may be stopped as well.
const OFFERS: usize = 3;

/// Client of the agent whose socket lies in a directory.
#[derive(Debug)]
pub struct Client {
    dir: PathBuf,
    /// When a `get` last failed: the next vault does not wait for the agent again.
    given_up: Mutex<Option<Instant>>,
    /// Program to start an agent from for a login without prompts. `None`: start no agent.
    program: Option<PathBuf>,
}

impl Client {
    /// Returns a client for the agent of this directory. Does not search for the agent.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into(), given_up: Mutex::default(), program: None }
    }

    /// Lets [`SessionCache::keep_login`] start an agent from this program, as for [`Client::keep`].
    pub fn starting(mut self, program: impl Into<PathBuf>) -> Self {
        self.program = Some(program.into());
        self
    }

    /// Creates the directory: commands that prompt for the same vault share a lock there.
    ///
    /// # Errors
    /// [`Error::OpenDir`], [`Error::Dir`].
    pub fn prepare(&self) -> Result<(), Error> {
        socket_dir::make(&self.dir).map(drop)
    }

    /// Gives the agent a session to keep. If no agent is running, starts one from this program: the
    /// `keystead` binary, or one that calls [`dispatch`](super::dispatch) first. Returns the
    /// session's limits and the agent's status.
    ///
    /// # Errors
    /// The reason why the session is not kept.
    pub fn keep(
        &self,
        program: &Path,
        key: &SessionKey,
        vault: &VaultName,
        session: &Session,
        span: SessionLimits,
    ) -> Result<(SessionLimits, Status), Error> {
        let kept = self.offer(Some(program), key, vault, session, span, Replace::Yes)?;
        kept.map(|kept| (kept.span, kept.status)).ok_or(Error::HungUp)
    }

    /// Gives the agent a session to keep. Returns `None` without an agent and a program to start,
    /// or if the agent keeps the old session of this key.
    fn offer(
        &self,
        program: Option<&Path>,
        key: &SessionKey,
        vault: &VaultName,
        session: &Session,
        span: SessionLimits,
        replace: Replace,
    ) -> Result<Option<Offered>, Error> {
        let secret = session.secret.expose();
        if secret.len() > MAX_SESSION_BYTES {
            return Err(Error::TooLarge { len: secret.len() });
        }
        let most = span.whole.min(MAX_SESSION_LIFETIME);
        let lifetime = session.lifetime.min(MAX_SESSION_LIFETIME);
        let whole = most.min(lifetime);
        let idle = span.idle.min(most);
        let request = Request::Keep {
            key: key.clone(),
            vault: vault.clone(),
            secret: Secret(secret),
            whole: most,
            lifetime,
            idle,
            replace: replace == Replace::Yes,
        };
        let started = Instant::now();
        for _ in 0..OFFERS {
            let status = match program {
                Some(program) => self.start(program, started)?,
                None => match self.status()? {
                    Some(status) => status,
                    None => return Ok(None),
                },
            };
            let kept = self.ask(&request, LONG_PATIENCE, |reply| match reply {
                Reply::Kept(serial) => Some(Ok(Some(serial))),
                Reply::None => Some(Ok(None)),
                Reply::Full => Some(Err(Error::Full)),
                _ => None,
            })?;
            // Otherwise the agent ended just now: it was idle for too long, or got a signal. The
            // session may have cost a prompt, so the client starts or joins another agent.
            if let Some(kept) = kept {
                let span = SessionLimits { whole, idle: idle.min(whole) };
                return Ok(kept?.map(|serial| Offered { serial, span, status }));
            }
        }
        Err(Error::HungUp)
    }

    /// Returns the agent's status; starts an agent unless one is running.
    fn start(&self, program: &Path, started: Instant) -> Result<Status, Error> {
        self.prepare()?;
        loop {
            if let Some(status) = self.status()? {
                return Ok(status);
            }
            if started.elapsed() > LONG_PATIENCE {
                return Err(Error::Late { waited: LONG_PATIENCE });
            }
            match process::start(program, &self.dir, LONG_PATIENCE)? {
                process::Started::Ready => {}
                process::Started::Another => std::thread::sleep(PAUSE),
            }
        }
    }

    /// Makes the agent discard the sessions that a vault uses; `None` means all sessions. Returns
    /// the vaults that used them, by name: several vaults can share a session.
    ///
    /// # Errors
    /// The reason why the request failed.
    pub fn forget(&self, vault: Option<&VaultName>) -> Result<Vec<VaultName>, Error> {
        let request = match vault {
            Some(vault) => Request::Forget(vault.clone()),
            None => Request::ForgetAll,
        };
        let forgotten = self.ask(&request, LONG_PATIENCE, |reply| match reply {
            Reply::Forgotten(vaults) => Some(vaults),
            _ => None,
        })?;
        Ok(forgotten.unwrap_or_default())
    }

    /// Returns the agent's status; `None` if no agent is running.
    ///
    /// # Errors
    /// The reason why the request failed.
    pub fn status(&self) -> Result<Option<Status>, Error> {
        self.ask(&Request::Status, LONG_PATIENCE, |reply| match reply {
            Reply::Is(status) => Some(status),
            _ => None,
        })
    }

    /// Makes the agent discard everything and exit. Kills an agent that does not reply or has
    /// another version. Returns whether an agent was running.
    ///
    /// # Errors
    /// The reason why the request failed.
    pub fn stop(&self) -> Result<bool, Error> {
        let mut was_there = false;
        loop {
            let Some((socket, peer)) = self.connect()? else { return Ok(was_there) };
            let said = self.converse(&socket, &Request::Stop, LONG_PATIENCE, |reply| match reply {
                Reply::Stopping => Some(()),
                _ => None,
            });
            match said {
                // The agent is gone by now, or it dropped this client to make room for another.
                Err(Error::HungUp) if !was_there => was_there = true,
                Err(
                    Error::HungUp
                    | Error::Late { .. }
                    | Error::OtherVersion
                    | Error::Protocol { .. },
                ) => {
                    let killed = peer.kill(&socket).map_err(|e| self.io("stop what serves", e));
                    return killed.map(|()| true);
                }
                said => return said.map(|()| true),
            }
        }
    }

    /// Sends one request. `read` accepts the replies that fit it. Returns `None` if no agent is
    /// running. The client may send every request twice.
    fn ask<T>(
        &self,
        request: &Request<'_>,
        patience: Duration,
        read: impl Fn(Reply<'_>) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        let mut again = true;
        let began = Instant::now();
        loop {
            let (socket, _) = match self.connect() {
                Ok(Some(connected)) => connected,
                Ok(None) => return Ok(None),
                // The queue of the socket is full of waiting clients.
                Err(Error::Late { .. }) if began.elapsed() < patience => {
                    std::thread::sleep(PAUSE);
                    continue;
                }
                Err(error) => return Err(error),
            };
            match self.converse(&socket, request, patience, &read) {
                // The agent ended before it read this request and is gone by now, or it dropped
                // this client to make room for other clients.
                Err(Error::HungUp) if again => again = false,
                said => return said.map(Some),
            }
        }
    }

    /// Connects to the agent; `None` if no process listens. Rejects another user's process.
    fn connect(&self) -> Result<Option<(OwnedFd, Peer)>, Error> {
        ids::check()?;
        let socket = match socket_dir::connect(&self.dir) {
            Ok(socket) => socket,
            Err(error) => {
                return match Errno::from_io_error(&error) {
                    // There is no socket, or a killed agent left it behind.
                    Some(Errno::NOENT | Errno::NOTDIR | Errno::CONNREFUSED) => Ok(None),
                    // The queue of the socket is full of waiting clients.
                    Some(Errno::AGAIN) => Err(Error::Late { waited: Duration::ZERO }),
                    _ => Err(self.io("connect to", error)),
                };
            }
        };
        let peer = Peer::of(&socket).map_err(|e| self.io("look at", e))?;
        if !peer.is_us() {
            return Err(Error::Stranger { path: socket_dir::socket(&self.dir), uid: peer.user });
        }
        Ok(Some((socket, peer)))
    }

    fn converse<T>(
        &self,
        socket: &OwnedFd,
        request: &Request<'_>,
        patience: Duration,
        read: impl Fn(Reply<'_>) -> Option<T>,
    ) -> Result<T, Error> {
        let mut frame = Frame::new();
        let mut writer = Writer::new(&mut frame.bytes);
        request.write(&mut writer);
        let len = writer.wanted();
        debug_assert!(len <= MAX_FRAME_BYTES, "names and sessions are bounded");
        frame.used = len;
        // The one packet of a new connection always has room.
        rustix::net::send(socket, &frame.bytes[..len], SendFlags::NOSIGNAL | SendFlags::DONTWAIT)
            .map_err(|error| self.broken("write to", error))?;
        let size = self.receive(socket, &mut frame, patience)?;
        let reply = Reply::read(&frame.bytes[..size])
            .map_err(|fault| Error::Protocol { what: fault.0.into_owned() })?;
        if reply == Reply::OtherVersion {
            return Err(Error::OtherVersion);
        }
        let odd = || Error::Protocol { what: "an answer of another kind".to_owned() };
        read(reply).ok_or_else(odd)
    }

    /// Receives one packet and returns its size.
    fn receive(
        &self,
        socket: &OwnedFd,
        frame: &mut Frame,
        patience: Duration,
    ) -> Result<usize, Error> {
        let until = Instant::now() + patience;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let mut watched = [PollFd::from_borrowed_fd(socket.as_fd(), PollFlags::IN)];
            match rustix::event::poll(&mut watched, Some(&timespec(left))) {
                Ok(0) => return Err(Error::Late { waited: patience }),
                Ok(_) => {}
                Err(Errno::INTR) => continue,
                Err(error) => return Err(self.io("read from", error.into())),
            }
            let flags = RecvFlags::DONTWAIT | RecvFlags::TRUNC;
            match rustix::net::recv(socket, &mut *frame.bytes, flags) {
                Ok((_, 0)) => return Err(Error::HungUp),
                // `size` is the packet's own size, of which `read` bytes were received.
                Ok((read, size)) => {
                    frame.used = frame.used.max(read);
                    if size > read {
                        let what = "a frame that is too large".to_owned();
                        return Err(Error::Protocol { what });
                    }
                    return Ok(size);
                }
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(error) => return Err(self.broken("read from", error)),
            }
        }
    }

    /// Returns the error of a connection that no longer works.
    fn broken(&self, action: &'static str, error: Errno) -> Error {
        match error {
            Errno::PIPE | Errno::CONNRESET | Errno::NOTCONN => Error::HungUp,
            error => self.io(action, error.into()),
        }
    }

    fn io(&self, action: &'static str, source: io::Error) -> Error {
        Error::Socket { action, path: socket_dir::socket(&self.dir), source }
    }

    pub(super) fn has_given_up(&self) -> bool {
        lock(&self.given_up).is_some_and(|since| since.elapsed() < GIVEN_UP)
    }
}

impl SessionCache for Client {
    fn any(&self) -> bool {
        let socket = socket_dir::socket(&self.dir);
        rustix::fs::access(&socket, Access::EXISTS).is_ok() && !self.has_given_up()
    }

    fn get(
        &self,
        key: &SessionKey,
        vault: &VaultName,
        patience: Patience,
    ) -> Result<Option<CachedSession>, Error> {
        if self.has_given_up() {
            return Ok(None);
        }
        let patience = match patience {
            Patience::Short => PATIENCE,
            Patience::Long => LONG_PATIENCE,
        };
        let request = Request::Get { key: key.clone(), vault: vault.clone() };
        let got = self.ask(&request, patience, |reply| match reply {
            Reply::Session { serial, secret, left } => {
                let secret = SecretBytes::copy_of(secret.0);
                Some(Some(CachedSession { session: Session::new(secret, left), serial }))
            }
            Reply::None => Some(None),
            _ => None,
        });
        if got.is_err() {
            *lock(&self.given_up) = Some(Instant::now());
        }
        Ok(got?.flatten())
    }

    fn refused(&self, key: &SessionKey, serial: u64) {
        let request = Request::Refused { key: key.clone(), serial };
        // If the agent does not get this request, the vault rejects the session once more.
        let _ = self.ask(&request, PATIENCE, |_| Some(()));
    }

    fn renew(
        &self,
        key: &SessionKey,
        serial: u64,
        session: &Session,
    ) -> Result<Option<u64>, Error> {
        let secret = session.secret.expose();
        if secret.len() > MAX_SESSION_BYTES {
            return Err(Error::TooLarge { len: secret.len() });
        }
        let lifetime = session.lifetime.min(MAX_SESSION_LIFETIME);
        let request = Request::Renew { key: key.clone(), serial, secret: Secret(secret), lifetime };
        let renewed = self.ask(&request, LONG_PATIENCE, |reply| match reply {
            Reply::Kept(serial) => Some(Some(serial)),
            Reply::None => Some(None),
            _ => None,
        })?;
        Ok(renewed.flatten())
    }

    fn keep_login(
        &self,
        key: &SessionKey,
        vault: &VaultName,
        session: &Session,
    ) -> Result<Option<u64>, Error> {
        if session.lifetime.is_zero() {
            return Ok(None);
        }
        let span = SessionLimits { whole: MAX_SESSION_LIFETIME, idle: SessionLimits::DEFAULT_IDLE };
        let program = self.program.as_deref();
        // Replaces nothing: another process may have been faster, or the user chose the end.
        let kept = self.offer(program, key, vault, session, span, Replace::No)?;
        Ok(kept.map(|kept| kept.serial))
    }

    fn asking(&self, key: &SessionKey) -> Option<PromptLock> {
        // If no lock is possible, each process prompts on its own.
        let Ok(dir) = socket_dir::make(&self.dir) else { return Some(PromptLock(None)) };
        match socket_dir::asking(&dir, key) {
            Ok(Some(lock)) => Some(PromptLock(Some(lock))),
            Ok(None) => None,
            Err(_) => Some(PromptLock(None)),
        }
    }

    fn dir(&self) -> Option<PathBuf> {
        Some(self.dir.clone())
    }
}

/// Whether a session replaces an existing session of its key.
#[derive(PartialEq, Eq)]
enum Replace {
    Yes,
    No,
}

/// A session that an agent accepted.
struct Offered {
    serial: u64,
    span: SessionLimits,
    status: Status,
}

/// A buffer for one packet; dropping it wipes the bytes that were used.
struct Frame {
    bytes: Box<[u8]>,
    used: usize,
}

impl Frame {
    fn new() -> Self {
        Self { bytes: vec![0; MAX_FRAME_BYTES].into_boxed_slice(), used: 0 }
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        self.bytes[..self.used].zeroize();
    }
}

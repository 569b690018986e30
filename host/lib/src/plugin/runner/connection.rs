//! One runner's life as the host sees it: the greeting, then calls, each bounded by its deadline.
//! The host trusts nothing that the other end sends.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use keystead_plugin_api as api;
use keystead_plugin_api::abi::wire::{self, LogLine, One};
use keystead_plugin_api::abi::{Service, cut_errors};
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;

use super::super::AbiCompatibility;
use super::super::grant::{Granted, GrantedPath, GrantedSocket};
use super::super::inspect::Permission;
use super::connect::Asking;
use super::ownership;
use super::process::{Process, Starting, timespec};
use super::proto::{
    Fault, Greeting, HEADER_BYTES, Kind, MAX_FRAME_BYTES, MAX_VALUE_BODY, Reader, Request, Writer,
    numbered, opened, unwelcome, write_plugin,
};
use super::socket::{Buffer, Outgoing, Received, Sent, Trouble, Wait, pair};
use super::spin::SpinWait;
use super::stderr::StderrReader;
use super::supervise::Setup;
use super::{Bytes, Image, Launch};

/// Time after its deadline in which a call may still answer: for the vault's own `timed out`.
pub(super) const GRACE: Duration = Duration::from_millis(50);

/// Maximum number of log lines that are taken during one call: more could fill a log or a terminal.
const MAX_LINES: u32 = 1_000;

/// A runner that was alive at the last check.
pub(super) struct Connection {
    pub(super) process: Process,
    socket: OwnedFd,
    inbox: Buffer,
    outbox: Buffer,
    words: StderrReader,
    /// Whether the runner has greeted back, which proves that it is a runner.
    pub(super) greeted: bool,
    eager: SpinWait,
    /// Whether this call may still poll before it waits: a plugin that sends a little again and
    /// again must not keep a processor busy.
    looks: bool,
    call: u64,
    lines: u32,
}

/// Result of a call.
pub(super) enum Answered {
    /// The vault is open; this is the compatibility of its plugin.
    Opened(AbiCompatibility),
    /// A reply; `Some` if it is the vault's error.
    Replied(Option<api::Error>),
    /// The plugin does not know the call.
    Unknown,
    /// The plugin cannot be loaded: code and text.
    Unloadable(String, String),
    /// The reply exceeds its limit.
    TooMuch,
}

/// Why the runner can serve no more calls.
#[derive(Debug)]
pub(super) enum Lost {
    /// The runner closed the socket before the call reached it.
    Before,
    /// The runner closed the socket.
    Closed,
    /// The runner timed out.
    Late,
    /// The runner sent a message that it must not send.
    Fault(Fault),
    /// The runner refused the greeting: code and text.
    Unwelcome(String, String),
    /// A system call of the host failed.
    System(io::Error),
}

impl From<Trouble> for Lost {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Fault(fault) => Self::Fault(fault),
            Trouble::Io(error) => Self::System(error),
        }
    }
}

impl From<Fault> for Lost {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<io::Error> for Lost {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}

fn fault<T>(what: &'static str) -> Result<T, Lost> {
    Err(Lost::Fault(Fault(what.into())))
}

/// A process that waits for its plugin. Dropping it kills and reaps the process.
pub struct Started {
    process: Starting,
    socket: OwnedFd,
    outbox: Buffer,
}

impl fmt::Debug for Started {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Started").field("process", &self.process).finish_non_exhaustive()
    }
}

impl Started {
    /// Starts the program, which initialises while the caller determines its grants.
    ///
    /// # Errors
    /// The system's error.
    pub fn start(launch: &Launch) -> io::Result<Self> {
        let (socket, theirs) = pair()?;
        let process = Starting::new(launch, theirs)?;
        Ok(Self { process, socket, outbox: Buffer::new() })
    }

    /// Greets the process, which enters its sandbox while the caller makes the plugin's image. An
    /// image that is root's file exists already and is sent now: nothing opens from within.
    ///
    /// # Errors
    /// The system's error; the file is no longer the proven one.
    pub fn greet(mut self, granted: &Granted, image: Option<&Image>) -> io::Result<Greeted> {
        if image.is_some_and(|image| !image.is_as_proven()) {
            return Err(io::Error::other("the plugin's file has changed since it was checked"));
        }
        let objects = granted.paths().iter().filter_map(GrantedPath::object);
        let objects = objects.chain(granted.sockets().iter().filter_map(GrantedSocket::object));
        let mut with: Vec<_> = objects.map(AsFd::as_fd).collect();
        if let Some(Bytes::Roots(file, _)) = image.map(|image| &image.bytes) {
            with.push(file.as_fd());
        }
        // The socket is empty, so there is room. The first call finds out if the program has
        // already ended.
        let limit = MAX_FRAME_BYTES - HEADER_BYTES;
        let hello = Outgoing { id: 0, kind: Kind::Hello, limit, with: &with };
        let sent = self.outbox.send(self.socket.as_fd(), &hello, Wait::Never, &|w| {
            Greeting::write(w, granted);
        })?;
        match sent {
            Sent::TooLarge(_) => Err(io::ErrorKind::InvalidInput.into()),
            _ => Ok(Greeted(self)),
        }
    }
}

/// A process that enters its sandbox. Dropping it kills and reaps the process.
#[derive(Debug)]
pub struct Greeted(Started);

impl Connection {
    /// Gives a runner its plugin without waiting for its answer to the greeting: the first call
    /// follows at once.
    pub(super) fn new(setup: &Setup, greeted: Greeted) -> io::Result<Self> {
        let Started { process, socket: ours, mut outbox } = greeted.0;
        let (process, stderr) = process.started()?;
        if setup.image.sha256 != *setup.granted.sha256() {
            return Err(io::Error::other("the grants are for another plugin"));
        }
        let with = match &setup.image.bytes {
            Bytes::Sealed(memfd) => &[memfd.as_fd()][..],
            Bytes::Roots(..) => &[],
        };
        let limit = MAX_FRAME_BYTES - HEADER_BYTES;
        let plugin = Outgoing { id: 0, kind: Kind::Plugin, limit, with };
        outbox.send(ours.as_fd(), &plugin, Wait::Never, &|w| {
            write_plugin(w, &setup.image, setup.known);
        })?;
        Ok(Self {
            process,
            socket: ours,
            inbox: Buffer::new(),
            outbox,
            words: StderrReader::new(stderr)?,
            greeted: false,
            eager: SpinWait::new(),
            looks: false,
            call: 0,
            lines: 0,
        })
    }

    /// Makes a call and waits for its reply until its deadline and the launch's grace are over.
    /// Passes the reply to `read`.
    pub(super) fn call(
        &mut self,
        setup: &Setup,
        request: &Request<'_>,
        read: &mut dyn FnMut(&[u8]),
    ) -> Result<Answered, Lost> {
        let until = Instant::now() + request.deadline().remaining() + setup.launch.grace;
        self.lines = 0;
        self.looks = true;
        if self.greeted {
            self.sweep(setup)?;
        }
        self.call += 1;
        let id = self.call;
        let sent = self.send(id, request.kind(), request.limit(), until, &|w| request.write(w))?;
        if let Sent::TooLarge(size) = sent {
            let error = api::Error::invalid(format!(
                "the request has {size} bytes; the most is {}",
                request.limit()
            ));
            read(wire::encode_reply::<()>(&Err(error.clone())).expose());
            return Ok(Answered::Replied(Some(error)));
        }
        let limit = |of: Kind| match of {
            Kind::Reply => request.reply_limit(),
            Kind::Ask => MAX_VALUE_BODY,
            _ => 0,
        };
        loop {
            self.wait(setup, PollFlags::IN, until)?;
            let mut frame = match self.inbox.receive(self.socket.as_fd(), Wait::Never, limit)? {
                Received::Frame(frame) => frame,
                Received::Nothing => continue,
                Received::Closed if sent == Sent::Closed && self.greeted => {
                    return Err(Lost::Before);
                }
                Received::Closed => return Err(Lost::Closed),
            };
            let descriptors = std::mem::take(&mut frame.descriptors);
            let r = &mut Reader::new(frame.body());
            let opens = request.method().is_none();
            match frame.kind {
                Kind::Ready if !self.greeted && frame.id == 0 => {
                    r.end()?;
                    match (setup.granted.asks_to_connect(), descriptors.is_empty()) {
                        (false, true) => {}
                        (true, false) => {
                            let asking = Asking::new(descriptors)
                                .ok_or(Fault::new("the wrong number of descriptors"))?;
                            asking.answer(&setup.granted)?;
                        }
                        _ => return fault("the wrong number of descriptors"),
                    }
                    self.greeted = true;
                }
                Kind::Unwelcome if !self.greeted && frame.id == 0 => {
                    let (code, text) = unwelcome(r)?;
                    return Err(Lost::Unwelcome(code, text));
                }
                _ if !self.greeted => return fault("something else than a greeting"),
                Kind::Ask => {
                    let (service, asked) = numbered(frame.body())?;
                    let service = Service::from_code(service);
                    if service == Some(Service::Log) {
                        log(setup, &mut self.lines, asked)?;
                        continue;
                    }
                    if frame.id != id {
                        return fault("a request within another call");
                    }
                    let asked = Asked::read(service, asked)?;
                    drop(frame);
                    self.reply(id, &asked.serve(setup, request.deadline()), until)?;
                }
                _ if frame.id != id => return fault("an answer to another call"),
                Kind::Reply => {
                    if !wire::is_reply(frame.body()) {
                        return fault("a reply that is none");
                    }
                    let error = wire::error_of(frame.body());
                    if opens && error.is_none() {
                        return fault("an answer of another kind");
                    }
                    read(frame.body());
                    return Ok(match error {
                        None if !wire::is_answer(frame.body()) => Answered::Unknown,
                        error => Answered::Replied(error),
                    });
                }
                Kind::TooMuch => {
                    r.end()?;
                    return Ok(Answered::TooMuch);
                }
                Kind::Opened if opens => {
                    let fit = opened(r)?;
                    r.end()?;
                    return Ok(Answered::Opened(fit));
                }
                Kind::Unloadable if opens => {
                    let (code, text) = unwelcome(r)?;
                    r.end()?;
                    return Ok(Answered::Unloadable(code, text));
                }
                _ => return fault("an answer of another kind"),
            }
        }
    }

    /// Takes messages sent between two calls: lines for the log, or the end of the runner.
    fn sweep(&mut self, setup: &Setup) -> Result<(), Lost> {
        while self.lines < MAX_LINES {
            match self.inbox.receive(self.socket.as_fd(), Wait::Never, |_| 0)? {
                Received::Frame(frame) if frame.kind == Kind::Ask => {
                    match numbered(frame.body())? {
                        (service, line) if service == Service::Log.code() => {
                            log(setup, &mut self.lines, line)?;
                        }
                        _ => return fault("a request within no call"),
                    }
                }
                Received::Frame(_) => return fault("an answer that nobody waits for"),
                Received::Nothing => break,
                Received::Closed => return Err(Lost::Before),
            }
        }
        Ok(())
    }

    fn send(
        &mut self,
        id: u64,
        kind: Kind,
        limit: usize,
        until: Instant,
        write: &dyn Fn(&mut Writer<'_>),
    ) -> Result<Sent, Lost> {
        let outgoing = Outgoing { id, kind, limit, with: &[] };
        loop {
            match self.outbox.send(self.socket.as_fd(), &outgoing, Wait::Never, write)? {
                Sent::NoRoom => self.wait_for_room(until)?,
                sent => return Ok(sent),
            }
        }
    }

    /// Sends a service's reply.
    fn reply(&mut self, id: u64, reply: &api::SecretBytes, until: Instant) -> Result<(), Lost> {
        let write = |w: &mut Writer<'_>| w.raw(reply.expose());
        if let Sent::TooLarge(size) = self.send(id, Kind::Served, MAX_VALUE_BODY, until, &write)? {
            let error = api::Error::unavailable(format!("the host's answer has {size} bytes"));
            let reply = wire::encode_reply::<()>(&Err(error));
            self.send(id, Kind::Served, MAX_VALUE_BODY, until, &|w| w.raw(reply.expose()))?;
        }
        Ok(())
    }

    /// Waits for a frame. Meanwhile reads the plugin's standard error, which would otherwise fill
    /// up and stop the plugin.
    fn wait(&mut self, setup: &Setup, flags: PollFlags, until: Instant) -> Result<(), Lost> {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Lost::Late);
            }
            let eager = self.eager.once(&mut self.looks);
            let socket = PollFd::new(&self.socket, flags);
            let (socket_ready, words_ready) = match self.words.descriptor() {
                Some(stderr) => {
                    let mut watched = [socket, PollFd::from_borrowed_fd(stderr, PollFlags::IN)];
                    poll(&mut watched, eager, left)?;
                    (!watched[0].revents().is_empty(), !watched[1].revents().is_empty())
                }
                None => {
                    let mut watched = [socket];
                    poll(&mut watched, eager, left)?;
                    (!watched[0].revents().is_empty(), false)
                }
            };
            if words_ready {
                self.words.take(setup.services.as_ref());
            }
            if socket_ready {
                return Ok(());
            }
        }
    }

    fn wait_for_room(&self, until: Instant) -> Result<(), Lost> {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Lost::Late);
        }
        poll(&mut [PollFd::new(&self.socket, PollFlags::OUT)], self.eager, left)?;
        Ok(())
    }

    /// Reads the rest of the plugin's standard error.
    pub(super) fn last_words(&mut self, setup: &Setup) {
        self.words.take(setup.services.as_ref());
        self.words.end(setup.services.as_ref());
    }
}

fn poll(watched: &mut [PollFd<'_>], eager: SpinWait, left: Duration) -> Result<(), Lost> {
    if eager.look(watched).map_err(io::Error::from)? {
        return Ok(());
    }
    match rustix::event::poll(watched, Some(&timespec(left))) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(Lost::System(error.into())),
    }
}

/// A plugin's request to the host.
enum Asked {
    Exec(api::ExecRequest),
    Ownership(String),
    ReadFile(api::ReadFileRequest),
    ReplaceFile(api::ReplaceFileRequest),
    IsGranted(String),
    KeepSession(api::Session),
    ForgetSession,
}

impl Asked {
    /// Reads the request. The runner is of this build: it sends no other request, in no other form.
    fn read(service: Option<Service>, asked: &[u8]) -> Result<Self, Fault> {
        let read = match service {
            Some(Service::Exec) => wire::decode(asked).map(Self::Exec),
            Some(Service::Ownership) => wire::decode(asked).map(|One(path)| Self::Ownership(path)),
            Some(Service::ReadFile) => wire::decode(asked).map(Self::ReadFile),
            Some(Service::ReplaceFile) => wire::decode(asked).map(Self::ReplaceFile),
            Some(Service::IsGranted) => wire::decode(asked).map(|One(text)| Self::IsGranted(text)),
            Some(Service::KeepSession) => wire::decode(asked).map(Self::KeepSession),
            Some(Service::ForgetSession) => wire::decode::<()>(asked).map(|()| Self::ForgetSession),
            // A line for the log has no reply.
            Some(Service::Log) | None => return Err(Fault::new("a request for no service")),
            // No runner forwards this request.
            #[cfg(feature = "next")]
            Some(Service::Notify) => return Err(Fault::new("a request for no service")),
        };
        read.map_err(|refused| Fault::value(&refused))
    }

    /// Serves the request by the call's deadline, and returns the reply.
    fn serve(self, setup: &Setup, deadline: api::Deadline) -> api::SecretBytes {
        let by = |own: api::Deadline| match own.remaining() > deadline.remaining() {
            true => deadline,
            false => own,
        };
        match self {
            Self::Exec(mut program) => {
                program.deadline = by(program.deadline);
                wire::encode_reply(&setup.services.exec(program).map(cut_errors))
            }
            Self::ReadFile(mut request) => {
                request.deadline = by(request.deadline);
                wire::encode_reply(&setup.services.read_file(request))
            }
            Self::ReplaceFile(mut request) => {
                request.deadline = by(request.deadline);
                wire::encode_reply(&setup.services.replace_file(request))
            }
            Self::IsGranted(permission) => {
                // A permission that is invalid or unknown here was granted to no vault.
                let granted = Permission::parse_filled_in(&permission)
                    .is_some_and(|permission| setup.granted.covers(&permission));
                wire::encode_reply(&Ok(One(granted)))
            }
            Self::Ownership(path) => {
                let owner = ownership::of(&setup.granted, &path);
                wire::encode_reply(&owner.map(|it| One(Some(it))))
            }
            Self::KeepSession(session) => {
                setup.services.keep_session(session);
                wire::encode_reply(&Ok(()))
            }
            Self::ForgetSession => {
                setup.services.forget_session();
                wire::encode_reply(&Ok(()))
            }
        }
    }
}

fn log(setup: &Setup, lines: &mut u32, line: &[u8]) -> Result<(), Lost> {
    let line: LogLine = wire::decode(line).map_err(|fault| Fault::value(&fault))?;
    *lines += 1;
    match (*lines).cmp(&MAX_LINES) {
        std::cmp::Ordering::Less => setup.services.log(line.level, &line.message),
        std::cmp::Ordering::Equal => setup.services.log(
            api::Level::Warning,
            "the plugin logs too much; the rest of this call is left out",
        ),
        std::cmp::Ordering::Greater => {}
    }
    Ok(())
}

//! One runner's life as the host sees it: the greeting, then calls, each bounded by its
//! deadline. Nothing the other end sends is believed.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use keystead_plugin_api as api;
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;

use super::super::grant::{Granted, GrantedPath};
use super::eager::Eager;
use super::ownership;
use super::process::{Process, Starting, timespec};
use super::proto::{
    self, Fault, Greeting, HEADER_BYTES, Kind, MAX_FRAME_BYTES, MAX_VALUE_BODY, Reader, Request,
    Writer, exec_request, ownership_request, unwelcome, write_error, write_exec_output,
    write_ownership, write_plugin,
};
use super::socket::{Buffer, Outgoing, Received, Sent, Trouble, Wait, pair};
use super::supervise::Setup;
use super::words::Words;
use super::{Bytes, Image, Launch};

/// How much later than its deadline a call may answer: time for the vault's own `late`.
pub(super) const GRACE: Duration = Duration::from_millis(50);

/// The most log lines that are taken during one call; a plugin that writes more would
/// fill a log, or a terminal.
const MAX_LINES: u32 = 1_000;

/// A runner that lives, or did when it was last asked.
pub(super) struct Connection {
    pub(super) process: Process,
    socket: OwnedFd,
    inbox: Buffer,
    outbox: Buffer,
    words: Words,
    /// Whether it has greeted back: whether it has proven to be a runner.
    pub(super) greeted: bool,
    eager: Eager,
    /// Whether this call has not looked yet: a plugin that says a little again and again keeps
    /// nobody awake.
    looks: bool,
    call: u64,
    lines: u32,
}

/// What came back from a call.
pub(super) enum Answered<T> {
    /// The answer.
    Done(T),
    /// The vault's error.
    Failed(api::Error),
    /// The plugin cannot be loaded: code and text.
    Unloadable(String, String),
    /// More than one answer may have.
    TooMuch,
}

/// Why the runner is of no more use.
#[derive(Debug)]
pub(super) enum Lost {
    /// It had closed before the call reached it.
    Before,
    /// It closed.
    Closed,
    /// It is late.
    Late,
    /// It sent what it must not.
    Fault(Fault),
    /// It refused the greeting: code and text.
    Unwelcome(String, String),
    /// The system refused us something.
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

/// A process that waits for its plugin. Dropped, it is killed and reaped.
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
    /// Starts the program. It comes up while the caller finds out what it may do.
    ///
    /// # Errors
    /// What the system answers.
    pub fn start(launch: &Launch) -> io::Result<Self> {
        let (socket, theirs) = pair()?;
        let process = Starting::new(launch, theirs)?;
        Ok(Self { process, socket, outbox: Buffer::new() })
    }

    /// Greets it: it shuts itself in while the caller makes the plugin's image. One that is a file
    /// of root's is there already, and has to be known now: nothing can be opened from within.
    ///
    /// # Errors
    /// What the system answers; the file is no longer what was proven.
    pub fn greet(mut self, granted: &Granted, image: Option<&Image>) -> io::Result<Greeted> {
        if image.is_some_and(|image| !image.is_as_proven()) {
            return Err(io::Error::other("the plugin's file has changed since it was checked"));
        }
        let objects = granted.paths().iter().filter_map(GrantedPath::object);
        let mut with: Vec<_> = objects.map(AsFd::as_fd).collect();
        if let Some(Bytes::Roots(file, _)) = image.map(|image| &image.bytes) {
            with.push(file.as_fd());
        }
        // Into an empty socket, so that there is room. A program that has ended already is found
        // out by the first call.
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

/// A process that shuts itself in. Dropped, it is killed and reaped.
#[derive(Debug)]
pub struct Greeted(Started);

impl Connection {
    /// Gives a runner its plugin, without waiting for its answer to the greeting: the first call
    /// goes out at once behind it.
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
            words: Words::new(stderr)?,
            greeted: false,
            eager: Eager::new(),
            looks: false,
            call: 0,
            lines: 0,
        })
    }

    /// Makes a call and waits for its answer until its deadline and [`GRACE`] are over.
    pub(super) fn call<T>(
        &mut self,
        setup: &Setup,
        request: &Request<'_>,
        read: impl FnOnce(&mut Reader<'_>) -> Result<T, Fault>,
    ) -> Result<Answered<T>, Lost> {
        let until = Instant::now() + request.deadline().remaining() + GRACE;
        self.lines = 0;
        self.looks = true;
        if self.greeted {
            self.sweep(setup)?;
        }
        self.call += 1;
        let (id, kind) = (self.call, request.kind());
        let sent = self.send(id, kind, until, &|w| request.write(w))?;
        if let Sent::TooLarge(size) = sent {
            return Ok(Answered::Failed(api::Error::invalid(format!(
                "the request has {size} bytes; the most is {}",
                kind.request_limit()
            ))));
        }
        let limit = |of: Kind| match of {
            Kind::Done => kind.answer_limit(),
            Kind::Failed | Kind::Exec => MAX_VALUE_BODY,
            _ => 0,
        };
        loop {
            self.wait(setup, PollFlags::IN, until)?;
            let frame = match self.inbox.receive(self.socket.as_fd(), Wait::Never, limit)? {
                Received::Frame(frame) => frame,
                Received::Nothing => continue,
                Received::Closed if sent == Sent::Closed && self.greeted => {
                    return Err(Lost::Before);
                }
                Received::Closed => return Err(Lost::Closed),
            };
            let r = &mut Reader::new(frame.body());
            let answered = match frame.kind {
                Kind::Ready if !self.greeted && frame.id == 0 => {
                    r.end()?;
                    self.greeted = true;
                    continue;
                }
                Kind::Unwelcome if !self.greeted && frame.id == 0 => {
                    let (code, text) = unwelcome(r)?;
                    return Err(Lost::Unwelcome(code, text));
                }
                _ if !self.greeted => return fault("something else than a greeting"),
                Kind::Log => {
                    log(setup, &mut self.lines, r)?;
                    continue;
                }
                _ if frame.id != id => return fault("an answer to another call"),
                Kind::Exec => {
                    let mut program = exec_request(r)?;
                    r.end()?;
                    drop(frame);
                    if program.deadline.remaining() > request.deadline().remaining() {
                        program.deadline = request.deadline();
                    }
                    self.exec(setup, id, program, until)?;
                    continue;
                }
                Kind::Ownership => {
                    let path = ownership_request(r)?;
                    r.end()?;
                    drop(frame);
                    match ownership::of(&setup.granted, &path) {
                        Ok(found) => {
                            self.send(id, Kind::Owned, until, &|w| write_ownership(w, &found))?
                        }
                        Err(error) => {
                            self.send(id, Kind::NotOwned, until, &|w| write_error(w, &error))?
                        }
                    };
                    continue;
                }
                Kind::Done => Answered::Done(read(r)?),
                Kind::Failed => Answered::Failed(proto::error(r)?),
                Kind::TooMuch => Answered::TooMuch,
                Kind::Unloadable if kind == Kind::Open => {
                    let (code, text) = unwelcome(r)?;
                    Answered::Unloadable(code, text)
                }
                _ => return fault("an answer of another kind"),
            };
            r.end()?;
            return Ok(answered);
        }
    }

    /// Takes what was sent between two calls: lines for the log, or the news of its end.
    fn sweep(&mut self, setup: &Setup) -> Result<(), Lost> {
        while self.lines < MAX_LINES {
            match self.inbox.receive(self.socket.as_fd(), Wait::Never, |_| 0)? {
                Received::Frame(frame) if frame.kind == Kind::Log => {
                    log(setup, &mut self.lines, &mut Reader::new(frame.body()))?;
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
        until: Instant,
        write: &dyn Fn(&mut Writer<'_>),
    ) -> Result<Sent, Lost> {
        let outgoing = Outgoing { id, kind, limit: kind.request_limit(), with: &[] };
        loop {
            match self.outbox.send(self.socket.as_fd(), &outgoing, Wait::Never, write)? {
                Sent::NoRoom => self.wait_for_room(until)?,
                sent => return Ok(sent),
            }
        }
    }

    /// Runs a granted program for the plugin and tells it how that ended.
    fn exec(
        &mut self,
        setup: &Setup,
        id: u64,
        program: api::ExecRequest,
        until: Instant,
    ) -> Result<(), Lost> {
        let sent = match setup.services.exec(program) {
            Ok(output) => {
                self.send(id, Kind::Executed, until, &|w| write_exec_output(w, &output))?
            }
            Err(error) => self.send(id, Kind::NotExecuted, until, &|w| write_error(w, &error))?,
        };
        if let Sent::TooLarge(size) = sent {
            let error = api::Error::unavailable(format!("the program's output has {size} bytes"));
            self.send(id, Kind::NotExecuted, until, &|w| write_error(w, &error))?;
        }
        Ok(())
    }

    /// Waits until there is a frame, and meanwhile takes what the plugin writes to its
    /// standard error, which would otherwise fill up and stop it.
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

    /// Takes the last of what the plugin wrote to its standard error.
    pub(super) fn last_words(&mut self, setup: &Setup) {
        self.words.take(setup.services.as_ref());
        self.words.end(setup.services.as_ref());
    }
}

fn poll(watched: &mut [PollFd<'_>], eager: Eager, left: Duration) -> Result<(), Lost> {
    if eager.look(watched).map_err(io::Error::from)? {
        return Ok(());
    }
    match rustix::event::poll(watched, Some(&timespec(left))) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(Lost::System(error.into())),
    }
}

fn log(setup: &Setup, lines: &mut u32, r: &mut Reader<'_>) -> Result<(), Lost> {
    // A level that a later contract adds is for whoever looks.
    let level = api::Level::from_code(r.u32()?).unwrap_or(api::Level::Information);
    let message = r.text(api::MAX_MESSAGE_BYTES, "a log line of more than 4096 bytes")?;
    r.end()?;
    *lines += 1;
    match (*lines).cmp(&MAX_LINES) {
        std::cmp::Ordering::Less => setup.services.log(level, message),
        std::cmp::Ordering::Equal => setup.services.log(
            api::Level::Warning,
            "the plugin logs too much; the rest of this call is left out",
        ),
        std::cmp::Ordering::Greater => {}
    }
    Ok(())
}

//! The runner's end: shuts itself in, loads one plugin, serves one vault until the socket
//! closes.
#![allow(unsafe_code, reason = "closing inherited descriptors, which no type owns")]

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use keystead_plugin_api as api;
use rustix::fs::{Mode, OFlags};

use super::super::abi_check::Fit;
use super::super::loader;
use super::Grants;
use super::proto::{
    Asked, BUILD, Fault, Greeting, Kind, MAX_VALUE_BODY, Reader, Writer, error, exec_output,
    write_error, write_exec_request, write_unwelcome,
};
use super::sandbox;
use super::socket::{Buffer, Outgoing, Received, Sent, Trouble, Wait};

/// The plugin, as the greeting brings it.
pub(super) struct Plugin {
    /// Where its bytes can be mapped.
    pub(super) path: PathBuf,
    /// The file they were read from, for messages.
    pub(super) file: String,
    pub(super) sha256: [u8; 32],
    /// What an earlier layout check of these bytes found.
    pub(super) known: Option<Fit>,
}

/// Loads a plugin and opens its vault.
pub(super) type Open<'a> =
    dyn FnMut(&Plugin, api::OpenRequest, api::Context) -> Result<Opened, NotOpened> + 'a;

/// A vault, and how its plugin fits.
pub(super) struct Opened {
    pub(super) vault: Box<dyn api::Vault>,
    pub(super) fit: Fit,
}

/// Why there is no vault.
#[derive(Debug)]
pub(super) enum NotOpened {
    /// The plugin cannot be loaded.
    Unloadable {
        /// The loader's stable code.
        code: &'static str,
        /// What the loader says, its causes included.
        problem: String,
    },
    /// The plugin does not open this vault.
    Plugin(api::Error),
}

impl From<api::Error> for NotOpened {
    fn from(error: api::Error) -> Self {
        Self::Plugin(error)
    }
}

/// Maps the plugin and opens a vault of it.
pub(super) fn load(
    plugin: &Plugin,
    request: api::OpenRequest,
    context: api::Context,
) -> Result<Opened, NotOpened> {
    let loaded = loader::load(&plugin.path, plugin.sha256, plugin.known).map_err(|fault| {
        // Its path means nothing outside this process.
        let problem = fault.to_string().replace(&plugin.path.display().to_string(), &plugin.file);
        NotOpened::Unloadable { code: fault.code(), problem }
    })?;
    let vault = loaded.open(&request, context)?;
    Ok(Opened { vault, fit: loaded.fit() })
}

/// The exit status where the other end is no keystead host, as for a wrong command line.
const NO_HOST: u8 = 2;

/// The exit status where the host breaks the protocol: our bug.
const CONFUSED: u8 = 70;

/// Serves the host at standard input; returns when it has gone.
pub(super) fn run(open: &mut Open<'_>) -> ExitCode {
    let Ok(socket) = prepare() else {
        return ExitCode::from(NO_HOST);
    };
    let shut_in = &mut |parent: u32, grants: &Grants| {
        sandbox::tie_to_parent()?;
        // It may have gone before that was asked for.
        let now = rustix::process::getppid().map_or(0, |pid| pid.as_raw_nonzero().get());
        if u32::try_from(now) != Ok(parent) {
            return Err("the host has gone".to_owned());
        }
        sandbox::enter(grants)
    };
    match serve(socket, shut_in, open) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(CONFUSED),
    }
}

/// Takes the socket from standard input to where the plugin does not stumble over it, and
/// leaves everything that was inherited beside it.
fn prepare() -> io::Result<OwnedFd> {
    let stdin = rustix::stdio::stdin();
    if rustix::net::sockopt::socket_type(stdin)? != rustix::net::SocketType::SEQPACKET {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    close_inherited()?;
    let socket = rustix::io::fcntl_dupfd_cloexec(stdin, 3)?;
    let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    rustix::stdio::dup2_stdin(&null)?;
    // No terminal to prompt on, and no keyboard signals: those are the host's.
    rustix::process::setsid()?;
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
    rustix::thread::set_name(c"keystead-runner")?;
    Ok(socket)
}

/// Closes what an embedding program left open across `exec`: a plugin would have it.
fn close_inherited() -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let listing = rustix::fs::open("/proc/self/fd", flags, Mode::empty())?;
    let own = listing.as_raw_fd();
    let mut inherited: Vec<RawFd> = Vec::new();
    for entry in rustix::fs::Dir::new(listing)? {
        let name = entry?;
        let number = name.file_name().to_str().ok().and_then(|name| name.parse::<RawFd>().ok());
        inherited.extend(number.filter(|number| *number > 2 && *number != own));
    }
    for number in inherited {
        // SAFETY: the process has just started, this is its only thread, and the listing
        // is the only descriptor that it has opened itself: nobody owns this one.
        unsafe { rustix::io::close(number) };
    }
    Ok(())
}

/// Why serving ended other than by the host's going.
#[derive(Debug)]
pub(super) struct Confused;

impl From<Trouble> for Confused {
    fn from(_: Trouble) -> Self {
        Self
    }
}

impl From<Fault> for Confused {
    fn from(_: Fault) -> Self {
        Self
    }
}

impl From<io::Error> for Confused {
    fn from(_: io::Error) -> Self {
        Self
    }
}

/// Greets, opens, and answers calls one at a time until the socket closes. `shut_in` is
/// told the host's process id and the grants, before anything else happens.
pub(super) fn serve(
    socket: OwnedFd,
    shut_in: &mut dyn FnMut(u32, &Grants) -> Result<(), String>,
    open: &mut Open<'_>,
) -> Result<(), Confused> {
    let link = Arc::new(Link::new(socket));
    // Open to the end of the process: dlopen knows the plugin by this descriptor's name.
    let Some((plugin, _memfd)) = greet(&link, shut_in)? else { return Ok(()) };
    let mut vault: Option<Box<dyn api::Vault>> = None;
    while let Some((id, kind, asked)) = link.next()? {
        match (&mut vault, asked) {
            (none @ None, Asked::Open(request)) => {
                let services = Box::new(Services(Arc::clone(&link)));
                match open(&plugin, request, api::Context::new(services)) {
                    Ok(Opened { vault, fit }) => {
                        *none = Some(vault);
                        link.reply(id, Kind::Done, MAX_VALUE_BODY, &|w| w.text(fit.as_str()))?;
                    }
                    Err(NotOpened::Plugin(refused)) => {
                        link.reply(id, Kind::Failed, MAX_VALUE_BODY, &|w| {
                            write_error(w, &refused)
                        })?;
                    }
                    Err(NotOpened::Unloadable { code, problem }) => {
                        link.reply(id, Kind::Unloadable, MAX_VALUE_BODY, &|w| {
                            write_unwelcome(w, code, &problem);
                        })?;
                    }
                }
            }
            (None, _) => return Err(Confused),
            (Some(vault), asked) => match asked.answer(vault.as_mut()) {
                Ok(answer) => {
                    link.reply(id, Kind::Done, kind.answer_limit(), &|w| answer.write(w))?;
                }
                Err(refused) => {
                    link.reply(id, Kind::Failed, MAX_VALUE_BODY, &|w| write_error(w, &refused))?;
                }
            },
        }
    }
    Ok(())
}

/// Reads the greeting and returns the plugin and its bytes, or nothing where the host has
/// gone or is refused.
fn greet(
    link: &Link,
    shut_in: &mut dyn FnMut(u32, &Grants) -> Result<(), String>,
) -> Result<Option<(Plugin, OwnedFd)>, Confused> {
    let mut inbox = link.inbox();
    let (greeting, memfd) = {
        let received = inbox.receive(link.socket.as_fd(), Wait::Forever, |_| 0)?;
        let Received::Frame(mut frame) = received else { return Ok(None) };
        let memfd = frame.descriptor.take().ok_or(Confused)?;
        (Greeting::read(&mut Reader::new(frame.body()))?, memfd)
    };
    let (code, problem) = match greeting {
        Greeting::Foreign { build } => {
            ("build", format!("it is keystead {BUILD}, and was started by keystead {build}"))
        }
        Greeting::Own { parent, grants, plugin } => match shut_in(parent, &grants) {
            Ok(()) => {
                link.reply(0, Kind::Ready, 0, &|_| {})?;
                let path = PathBuf::from(format!("/proc/self/fd/{}", memfd.as_raw_fd()));
                return Ok(Some((Plugin { path, ..plugin }, memfd)));
            }
            Err(problem) => ("sandbox", problem),
        },
    };
    link.reply(0, Kind::Unwelcome, MAX_VALUE_BODY, &|w| write_unwelcome(w, code, &problem))?;
    Ok(None)
}

/// The runner's end of the connection, shared with whatever threads the plugin has.
///
/// Who needs both locks takes `inbox` first.
struct Link {
    socket: OwnedFd,
    inbox: Mutex<Buffer>,
    outbox: Mutex<Outbox>,
}

struct Outbox {
    buffer: Buffer,
    /// The call that is being answered.
    call: Option<u64>,
}

impl Link {
    fn new(socket: OwnedFd) -> Self {
        Self {
            socket,
            inbox: Mutex::new(Buffer::new()),
            outbox: Mutex::new(Outbox { buffer: Buffer::new(), call: None }),
        }
    }

    fn inbox(&self) -> MutexGuard<'_, Buffer> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn outbox(&self) -> MutexGuard<'_, Outbox> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the next call; there is none where the host has gone.
    fn next(&self) -> Result<Option<(u64, Kind, Asked)>, Confused> {
        let mut inbox = self.inbox();
        match inbox.receive(self.socket.as_fd(), Wait::Forever, |_| MAX_VALUE_BODY)? {
            Received::Frame(frame) => {
                let asked = Asked::read(frame.kind, frame.body())?;
                // Before the inbox is let go: a thread of the plugin that waits for it to
                // ask for a program finds the call that it asks within.
                self.outbox().call = Some(frame.id);
                Ok(Some((frame.id, frame.kind, asked)))
            }
            Received::Nothing | Received::Closed => Ok(None),
        }
    }

    fn reply(
        &self,
        id: u64,
        kind: Kind,
        limit: usize,
        write: &dyn Fn(&mut Writer<'_>),
    ) -> Result<(), Confused> {
        let mut outbox = self.outbox();
        outbox.call = None;
        let outgoing = Outgoing { id, kind, limit, with: None };
        let socket = self.socket.as_fd();
        match outbox.buffer.send(socket, &outgoing, Wait::Forever, write)? {
            Sent::TooLarge(_) => {
                let outgoing = Outgoing { kind: Kind::TooMuch, ..outgoing };
                outbox.buffer.send(socket, &outgoing, Wait::Forever, &|_| {})?;
                Ok(())
            }
            // Where the host has gone, the next read says so.
            Sent::Whole | Sent::NoRoom | Sent::Closed => Ok(()),
        }
    }
}

/// The host's services, over the socket.
struct Services(Arc<Link>);

impl api::Services for Services {
    fn log(&self, level: api::Level, message: &str) {
        let mut end = message.len().min(api::MAX_MESSAGE_BYTES);
        while !message.is_char_boundary(end) {
            end -= 1;
        }
        let outgoing = Outgoing { id: 0, kind: Kind::Log, limit: usize::MAX, with: None };
        let mut outbox = self.0.outbox();
        // A line that cannot be sent is lost; there is nobody to tell.
        let _ = outbox.buffer.send(self.0.socket.as_fd(), &outgoing, Wait::Forever, &|w| {
            w.u32(level.code());
            w.text(&message[..end]);
        });
    }

    fn exec(&self, request: api::ExecRequest) -> api::Result<api::ExecOutput> {
        let gone = || api::Error::unavailable("the host has gone");
        let mut inbox = self.0.inbox();
        let call = {
            let mut outbox = self.0.outbox();
            let Some(call) = outbox.call else {
                return Err(api::Error::unavailable("a program is run only during a call"));
            };
            let outgoing =
                Outgoing { id: call, kind: Kind::Exec, limit: MAX_VALUE_BODY, with: None };
            let write = |w: &mut Writer<'_>| write_exec_request(w, &request);
            match outbox.buffer.send(self.0.socket.as_fd(), &outgoing, Wait::Forever, &write) {
                Ok(Sent::Whole) => call,
                Ok(Sent::TooLarge(size)) => {
                    return Err(api::Error::invalid(format!(
                        "the request to run `{}` has {size} bytes; the most is {MAX_VALUE_BODY}",
                        request.program
                    )));
                }
                Ok(Sent::NoRoom | Sent::Closed) | Err(_) => return Err(gone()),
            }
        };
        match inbox.receive(self.0.socket.as_fd(), Wait::Forever, |_| MAX_VALUE_BODY) {
            Ok(Received::Frame(frame)) if frame.id == call => {
                let r = &mut Reader::new(frame.body());
                match frame.kind {
                    Kind::Executed => exec_output(r).map_err(|_| gone()),
                    Kind::NotExecuted => Err(error(r).unwrap_or_else(|_| gone())),
                    _ => Err(gone()),
                }
            }
            _ => Err(gone()),
        }
    }
}

//! The runner's end: enters its sandbox, loads one plugin, and serves one vault until the socket
//! closes.
#![allow(unsafe_code, reason = "closing inherited descriptors, which no type owns")]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use keystead_plugin_api as api;
use keystead_plugin_api::abi::{Method, Serve, wire};
use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::PeerCredentials;
use rustix::fs::{Mode, OFlags};

use super::super::abi_check::AbiCompatibility;
use super::super::inspect::Abi;
use super::super::loader;
use super::link::{Link, ProtocolError, Services};
use super::proto::{
    BUILD, Greeting, Kind, MAX_VALUE_BODY, Reader, Told, numbered, plugin, write_unwelcome,
};
use super::socket::{Received, Wait};
use crate::ids;
use crate::platform::sandbox::{self, Entered, NotEntered, Object, Owners};

/// The plugin that the host sends to the runner.
pub(super) struct Plugin {
    /// Path at which its bytes can be mapped.
    pub(super) path: PathBuf,
    /// File that the bytes were read from, for messages.
    pub(super) file: String,
    pub(super) sha256: [u8; 32],
    pub(super) abi: Abi,
    /// Result of an earlier layout check of these bytes; `None` without one.
    pub(super) known: Option<AbiCompatibility>,
}

/// Puts the runner into its sandbox. Gets the host's process id, the grants with their descriptors,
/// and the plugin's file if it is opened again from within.
pub(super) type ShutIn<'a> =
    dyn FnMut(u32, &Told, &[OwnedFd], Option<BorrowedFd<'_>>) -> Result<Entered, NotEntered> + 'a;

/// Loads a plugin and opens its vault.
pub(super) type Open<'a> =
    dyn FnMut(&Plugin, api::OpenRequest, api::Context) -> Result<Opened, NotOpened> + 'a;

/// A vault, and the ABI compatibility of its plugin.
pub(super) struct Opened {
    pub(super) vault: Box<dyn Serve>,
    pub(super) fit: AbiCompatibility,
}

/// Why there is no vault.
#[derive(Debug)]
pub(super) enum NotOpened {
    /// The plugin cannot be loaded.
    Unloadable {
        /// The loader's stable code.
        code: &'static str,
        /// The loader's message and its causes.
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
    let loaded = loader::map(&plugin.path, plugin.sha256, plugin.abi, plugin.known);
    let loaded = loaded.map_err(|fault| {
        // The plugin's path here means nothing outside this process.
        let problem = fault.to_string().replace(&plugin.path.display().to_string(), &plugin.file);
        NotOpened::Unloadable { code: fault.code(), problem }
    })?;
    let vault = loaded.serve(&request, context)?;
    Ok(Opened { vault, fit: loaded.fit() })
}

/// The exit status where the other end is no keystead host, as for a wrong command line.
const NO_HOST: u8 = 2;

/// The code of a runner that could not set up its namespaces.
pub(super) const NAMESPACES: &str = "namespaces";

/// The exit status where the host breaks the protocol: a bug in Keystead.
const CONFUSED: u8 = 70;

/// Serves the host at standard input; returns when the host has gone.
pub(super) fn run(open: &mut Open<'_>) -> ExitCode {
    let Ok(socket) = prepare() else {
        return ExitCode::from(NO_HOST);
    };
    let shut_in =
        &mut |parent: u32, told: &Told, opened: &[OwnedFd], plugin: Option<BorrowedFd<'_>>| {
            sandbox::tie_to_parent()?;
            has_host(parent)?;
            let objects = told.paths.iter().zip(opened);
            let objects: Vec<_> = objects
                .map(|((path, access), fd)| Object {
                    path: Path::new(path),
                    found: fd.as_fd(),
                    access: *access,
                })
                .collect();
            let entered =
                sandbox::enter(&objects, told.reach, told.sandbox, told.namespaces, plugin)?;
            // In a user namespace the tie to the host had to be set again.
            has_host(parent)?;
            Ok(entered)
        };
    match serve(socket, shut_in, open) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(CONFUSED),
    }
}

/// Checks that the host still exists: it may have gone before this process was tied to it.
fn has_host(parent: u32) -> Result<(), String> {
    let now = rustix::process::getppid().map_or(0, |pid| pid.as_raw_nonzero().get());
    if u32::try_from(now) == Ok(parent) { Ok(()) } else { Err("the host has gone".to_owned()) }
}

/// Tries the namespaces of a runner; prints on standard output why there are none.
pub(super) fn try_namespaces() -> ExitCode {
    match sandbox::try_walls() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            // A caller that does not read the text sees the status.
            let _ = rustix::io::write(rustix::stdio::stdout(), why.as_bytes());
            ExitCode::FAILURE
        }
    }
}

/// Moves the socket from standard input to a descriptor that the plugin does not use by accident,
/// and closes all other inherited descriptors.
fn prepare() -> io::Result<OwnedFd> {
    let stdin = rustix::stdio::stdin();
    if rustix::net::sockopt::socket_type(stdin)? != rustix::net::SocketType::SEQPACKET {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // The socket's creator must have this process's user, with a number in this namespace.
    let peer = getsockopt(&stdin, PeerCredentials)?.uid();
    let own = [rustix::process::getuid(), rustix::process::geteuid()];
    if own.iter().any(|own| own.as_raw() != peer) || ids::is_nobodys(peer) {
        return Err(io::ErrorKind::PermissionDenied.into());
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

/// Closes descriptors that an embedding program left open across `exec`: a plugin could use them,
/// and an agent would keep them open. Only for a process of Keystead that has just started.
pub(crate) fn close_inherited() -> io::Result<()> {
    // SAFETY: the process has just started: both callers are the first thing that a hidden argument
    // runs. This is its only thread, and it has opened nothing: no type owns these.
    let closed = unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0) };
    // Before Linux 5.9, or under a filter that does not know the call.
    if closed == 0 { Ok(()) } else { close_listed() }
}

fn close_listed() -> io::Result<()> {
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
        // SAFETY: as above; the listing was opened since, and is not among them.
        unsafe { rustix::io::close(number) };
    }
    Ok(())
}

/// Greets, opens, and answers calls one at a time until the socket closes. Calls `shut_in` before
/// any data of the plugin arrives.
pub(super) fn serve(
    socket: OwnedFd,
    shut_in: &mut ShutIn<'_>,
    open: &mut Open<'_>,
) -> Result<(), ProtocolError> {
    let link = Arc::new(Link::new(socket));
    // Stays open until the process ends: dlopen knows the plugin by this descriptor's name.
    let Some((plugin, _bytes, owners)) = greet(&link, shut_in)? else { return Ok(()) };
    let mut vault: Option<Box<dyn Serve>> = None;
    while let Some((id, kind, body)) = link.next()? {
        match (&mut vault, kind) {
            (none @ None, Kind::Open) => {
                let services = Box::new(Services { link: Arc::clone(&link), owners });
                let opened = wire::decode(&body)
                    .map_err(NotOpened::from)
                    .and_then(|request| open(&plugin, request, api::Context::new(services)));
                match opened {
                    Ok(Opened { vault, fit }) => {
                        *none = Some(vault);
                        link.reply(id, Kind::Opened, MAX_VALUE_BODY, &|w| w.text(fit.as_str()))?;
                    }
                    Err(NotOpened::Plugin(refused)) => reply_error(&link, id, refused)?,
                    Err(NotOpened::Unloadable { code, problem }) => {
                        link.reply(id, Kind::Unloadable, MAX_VALUE_BODY, &|w| {
                            write_unwelcome(w, code, &problem);
                        })?;
                    }
                }
            }
            (Some(vault), Kind::Call) => {
                let (number, request) = numbered(&body)?;
                let limit = Method::from_code(number).map_or(MAX_VALUE_BODY, Method::max_reply);
                // Unchanged, as the plugin made it: only the host reads it.
                let mut sent = Ok(());
                let served = vault.serve(number, request, &mut |reply| {
                    sent = link.reply(id, Kind::Reply, limit, &|w| w.raw(reply));
                });
                sent?;
                if let Err(refused) = served {
                    reply_error(&link, id, refused)?;
                }
            }
            _ => return Err(ProtocolError),
        }
    }
    Ok(())
}

fn reply_error(link: &Link, id: u64, refused: api::Error) -> Result<(), ProtocolError> {
    let reply = wire::encode_reply::<()>(&Err(refused));
    link.reply(id, Kind::Reply, MAX_VALUE_BODY, &|w| w.raw(reply.expose()))
}

/// Reads the greeting, puts the runner into its sandbox, and returns the plugin and its bytes;
/// `None` if the host has gone or is refused.
fn greet(
    link: &Link,
    shut_in: &mut ShutIn<'_>,
) -> Result<Option<(Plugin, OwnedFd, Owners)>, ProtocolError> {
    let mut inbox = link.inbox();
    let (greeting, mut descriptors) = {
        let received = inbox.receive_greeting(link.socket.as_fd())?;
        let Received::Frame(mut frame) = received else { return Ok(None) };
        if frame.kind != Kind::Hello {
            return Err(ProtocolError);
        }
        let descriptors = std::mem::take(&mut frame.descriptors);
        (Greeting::read(&mut Reader::new(frame.body()))?, descriptors)
    };
    let (code, problem) = match greeting {
        Greeting::Foreign { build } => {
            ("build", format!("it is keystead {BUILD}, and was started by keystead {build}"))
        }
        Greeting::Own { parent, told } => {
            let file = match descriptors.len().checked_sub(told.paths.len()) {
                Some(0) => None,
                Some(1) => descriptors.pop(),
                _ => return Err(ProtocolError),
            };
            let done = shut_in(parent, &told, &descriptors, file.as_ref().map(AsFd::as_fd));
            // They lead out of the sandbox: the plugin has rules for them, and opens them itself.
            descriptors.clear();
            match done {
                Ok(Entered { owners, asking }) => {
                    link.ready(&asking)?;
                    // Only the host may have these: their holder answers the runner's own requests.
                    drop(asking);
                    let received = inbox.receive(link.socket.as_fd(), Wait::Forever, |_| 0)?;
                    let Received::Frame(mut frame) = received else { return Ok(None) };
                    if frame.kind != Kind::Plugin {
                        return Err(ProtocolError);
                    }
                    let bytes = match (file, frame.descriptors.pop()) {
                        (Some(bytes), None) | (None, Some(bytes)) => bytes,
                        _ => return Err(ProtocolError),
                    };
                    let path = PathBuf::from(format!("/proc/self/fd/{}", bytes.as_raw_fd()));
                    let plugin = plugin(&mut Reader::new(frame.body()))?;
                    return Ok(Some((Plugin { path, ..plugin }, bytes, owners)));
                }
                Err(NotEntered::Namespaces(problem)) => (NAMESPACES, problem),
                Err(NotEntered::Other(problem)) => ("sandbox", problem),
            }
        }
    };
    link.reply(0, Kind::Unwelcome, MAX_VALUE_BODY, &|w| write_unwelcome(w, code, &problem))?;
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::super::proto::{PROTOCOL, Writer, unwelcome};
    use super::super::socket::{Buffer, Frame, Outgoing, pair};
    use super::*;

    /// Greets a runner in a thread with these bytes. Returns the runner's answer, and whether it
    /// called `shut_in` with a host of process 7.
    fn greeted(hello: &[u8], refusal: Option<&str>) -> (Option<(Kind, String)>, bool) {
        let (ours, theirs) = pair().unwrap();
        let refusal = refusal.map(str::to_owned);
        let runner = std::thread::spawn(move || {
            let mut asked = false;
            let shut_in = &mut |parent: u32, _: &Told, _: &[OwnedFd], _: Option<BorrowedFd<'_>>| {
                asked = parent == 7;
                let entered = Entered { owners: Owners::Seen, asking: Vec::new() };
                refusal.clone().map_or(Ok(entered), |problem| Err(problem.into()))
            };
            let open = &mut |_: &Plugin, _: api::OpenRequest, _: api::Context| {
                Err(api::Error::unavailable("no plugin here").into())
            };
            let _ = serve(theirs, shut_in, open);
            asked
        });
        let outgoing = Outgoing { id: 0, kind: Kind::Hello, limit: 9_000, with: &[] };
        let mut buffer = Buffer::new();
        buffer.send(ours.as_fd(), &outgoing, Wait::Never, &|w| w.raw(hello)).unwrap();
        let text = |frame: &Frame<'_>| match frame.kind {
            Kind::Unwelcome => unwelcome(&mut Reader::new(frame.body())).unwrap().1,
            _ => String::new(),
        };
        let answer = match buffer.receive(ours.as_fd(), Wait::Forever, |_| 0).unwrap() {
            Received::Frame(frame) => Some((frame.kind, text(&frame))),
            _ => None,
        };
        drop(ours);
        (answer, runner.join().unwrap())
    }

    fn hello(protocol: u32, build: &str) -> Vec<u8> {
        let mut bytes = vec![0; 200];
        let mut w = Writer::new(&mut bytes);
        w.u32(protocol);
        w.text(build);
        w.u32(7);
        w.u32(3);
        w.count(0);
        let wanted = w.wanted();
        bytes.truncate(wanted);
        bytes
    }

    #[test]
    fn runner_enters_sandbox_before_ready_message() {
        let (answer, shut_in) = greeted(&hello(PROTOCOL, BUILD), None);
        assert_eq!((answer, shut_in), (Some((Kind::Ready, String::new())), true));
        let problem = "cannot become undumpable: no";
        let (answer, shut_in) = greeted(&hello(PROTOCOL, BUILD), Some(problem));
        assert_eq!((answer, shut_in), (Some((Kind::Unwelcome, problem.to_owned())), true));
    }

    #[test]
    fn host_of_other_build_is_rejected_before_sandbox() {
        let mut other = hello(PROTOCOL, "9.9.9");
        for (bytes, theirs) in [
            (other.clone(), "9.9.9".to_owned()),
            (other.drain(..13).collect(), "9.9.9".to_owned()),
            (hello(77, BUILD), format!("{BUILD} with protocol 77")),
        ] {
            let (answer, shut_in) = greeted(&bytes, None);
            let text = format!("it is keystead {BUILD}, and was started by keystead {theirs}");
            assert_eq!((answer, shut_in), (Some((Kind::Unwelcome, text)), false));
        }
    }

    #[test]
    fn malformed_greeting_ends_runner() {
        let good = hello(PROTOCOL, BUILD);
        for length in 0..good.len() {
            assert_eq!(greeted(&good[..length], None), (None, false), "{length} bytes");
        }
        assert_eq!(greeted(&[&good[..], b"x"].concat(), None), (None, false));
    }
}

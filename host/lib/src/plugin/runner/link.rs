//! The runner's end of the connection: calls in, answers out, and the host's services in between,
//! from any thread of the plugin.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use keystead_plugin_api as api;
use keystead_plugin_api::abi::Service;
use keystead_plugin_api::abi::wire::{self, LogLine, One, Wire};
use rustix::event::{PollFd, PollFlags};
use zeroize::Zeroizing;

use super::proto::{Fault, Kind, MAX_VALUE_BODY, Writer, write_numbered};
use super::socket::{Buffer, Outgoing, Received, Sent, Trouble, Wait};
use super::spin::SpinWait;
use crate::platform::sandbox::Owners;

/// Reason why serving ended, other than the end of the host.
#[derive(Debug)]
pub(super) struct ProtocolError;

impl From<Trouble> for ProtocolError {
    fn from(_: Trouble) -> Self {
        Self
    }
}

impl From<Fault> for ProtocolError {
    fn from(_: Fault) -> Self {
        Self
    }
}

impl From<io::Error> for ProtocolError {
    fn from(_: io::Error) -> Self {
        Self
    }
}

/// A call: its id, the frame's kind, its body.
pub(super) type Incoming = (u64, Kind, Zeroizing<Vec<u8>>);

/// The runner's end of the connection, shared with all threads of the plugin.
///
/// Code that needs both locks takes `inbox` first.
pub(super) struct Link {
    pub(super) socket: OwnedFd,
    eager: SpinWait,
    inbox: Mutex<Buffer>,
    outbox: Mutex<Outbox>,
}

struct Outbox {
    buffer: Buffer,
    /// The call that is being answered.
    call: Option<u64>,
}

impl Link {
    pub(super) fn new(socket: OwnedFd) -> Self {
        Self {
            socket,
            eager: SpinWait::new(),
            inbox: Mutex::new(Buffer::new()),
            outbox: Mutex::new(Outbox { buffer: Buffer::sending_in_parts(), call: None }),
        }
    }

    pub(super) fn inbox(&self) -> MutexGuard<'_, Buffer> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn outbox(&self) -> MutexGuard<'_, Outbox> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the next call; `None` if the host has gone.
    pub(super) fn next(&self) -> Result<Option<Incoming>, ProtocolError> {
        let mut inbox = self.inbox();
        // The result does not matter: the code below waits for a missing frame.
        let _ = self.eager.look(&mut [PollFd::new(&self.socket, PollFlags::IN)]);
        match inbox.receive(self.socket.as_fd(), Wait::Forever, Kind::request_limit)? {
            Received::Frame(frame) => {
                // Before the inbox is released: a thread of the plugin that waits for it to request
                // a service then finds the current call.
                self.outbox().call = Some(frame.id);
                Ok(Some((frame.id, frame.kind, frame.into_body())))
            }
            Received::Nothing | Received::Closed => Ok(None),
        }
    }

    /// Reports that the plugin may come, with the descriptors for the host's connections.
    pub(super) fn ready(&self, asking: &[OwnedFd]) -> Result<(), ProtocolError> {
        let with: Vec<_> = asking.iter().map(AsFd::as_fd).collect();
        self.send(&Outgoing { id: 0, kind: Kind::Ready, limit: 0, with: &with }, &|_| {})
    }

    pub(super) fn reply(
        &self,
        id: u64,
        kind: Kind,
        limit: usize,
        write: &dyn Fn(&mut Writer<'_>),
    ) -> Result<(), ProtocolError> {
        self.send(&Outgoing { id, kind, limit, with: &[] }, write)
    }

    fn send(
        &self,
        outgoing: &Outgoing<'_>,
        write: &dyn Fn(&mut Writer<'_>),
    ) -> Result<(), ProtocolError> {
        let mut outbox = self.outbox();
        outbox.call = None;
        let socket = self.socket.as_fd();
        match outbox.buffer.send(socket, outgoing, Wait::Forever, write)? {
            Sent::TooLarge(_) => {
                let outgoing = Outgoing { kind: Kind::TooMuch, ..*outgoing };
                outbox.buffer.send(socket, &outgoing, Wait::Forever, &|_| {})?;
                Ok(())
            }
            // If the host has gone, the next read reports it.
            Sent::Whole | Sent::NoRoom | Sent::Closed => Ok(()),
        }
    }
}

/// The host's services, over the socket.
pub(super) struct Services {
    pub(super) link: Arc<Link>,
    pub(super) owners: Owners,
}

impl api::Services for Services {
    fn log(&self, level: api::Level, message: &str) {
        let mut end = message.len().min(api::MAX_MESSAGE_BYTES);
        while !message.is_char_boundary(end) {
            end -= 1;
        }
        let line = LogLine { level, message: message[..end].to_owned() };
        let Ok(line) = wire::encode(&line) else { return };
        let outgoing = Outgoing { id: 0, kind: Kind::Ask, limit: usize::MAX, with: &[] };
        let mut outbox = self.link.outbox();
        // A line that cannot be sent is lost: there is no way to report it.
        let _ = outbox.buffer.send(self.link.socket.as_fd(), &outgoing, Wait::Forever, &|w| {
            write_numbered(w, Service::Log.code(), line.expose());
        });
    }

    fn exec(&self, request: api::ExecRequest) -> api::Result<api::ExecOutput> {
        self.ask(Service::Exec, &request)
    }

    fn is_granted(&self, permission: &str) -> api::Result<bool> {
        self.ask::<One<_>>(Service::IsGranted, &One(permission.to_owned())).map(|is| is.0)
    }

    fn read_file(&self, request: api::ReadFileRequest) -> api::Result<api::FileRead> {
        self.ask(Service::ReadFile, &request)
    }

    fn replace_file(&self, request: api::ReplaceFileRequest) -> api::Result<api::FileReplaced> {
        self.ask(Service::ReplaceFile, &request)
    }

    fn ownership(&self, path: &str) -> api::Result<Option<api::Ownership>> {
        if self.owners == Owners::Seen {
            return Ok(None);
        }
        self.ask::<One<_>>(Service::Ownership, &One(path.to_owned())).map(|found| found.0)
    }

    fn keep_session(&self, session: api::Session) {
        // Outside of a call it is lost: the plugin hands it over again when it next renews it.
        let _ = self.ask::<()>(Service::KeepSession, &session);
    }

    fn forget_session(&self) {
        let _ = self.ask::<()>(Service::ForgetSession, &());
    }
}

impl Services {
    /// Asks the host within the call that is being answered, and returns its answer.
    fn ask<Answer: Wire>(&self, service: Service, request: &impl Wire) -> api::Result<Answer> {
        let gone = || api::Error::unavailable("the host has gone");
        let name = service.as_str();
        let request = wire::encode(request)?;
        let mut inbox = self.link.inbox();
        let call = {
            let mut outbox = self.link.outbox();
            let Some(call) = outbox.call else {
                return Err(api::Error::unavailable(format!(
                    "`{name}` is answered only during a call"
                )));
            };
            let outgoing = Outgoing { id: call, kind: Kind::Ask, limit: MAX_VALUE_BODY, with: &[] };
            let write = |w: &mut Writer<'_>| write_numbered(w, service.code(), request.expose());
            match outbox.buffer.send(self.link.socket.as_fd(), &outgoing, Wait::Forever, &write) {
                Ok(Sent::Whole) => call,
                Ok(Sent::TooLarge(size)) => {
                    return Err(api::Error::invalid(format!(
                        "the request to `{name}` has {size} bytes; the most is {MAX_VALUE_BODY}"
                    )));
                }
                Ok(Sent::NoRoom | Sent::Closed) | Err(_) => return Err(gone()),
            }
        };
        match inbox.receive(self.link.socket.as_fd(), Wait::Forever, |_| MAX_VALUE_BODY) {
            Ok(Received::Frame(frame)) if frame.id == call && frame.kind == Kind::Served => {
                let unknown = || api::Error::unsupported(format!("this host has no `{name}`"));
                wire::decode_reply(frame.body())?.ok_or_else(unknown)
            }
            _ => Err(gone()),
        }
    }
}

//! The runner's end of the connection: calls in, answers out, and the host's services in
//! between, from whatever threads the plugin has.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use keystead_plugin_api as api;
use rustix::event::{PollFd, PollFlags};

use super::eager::Eager;
use super::proto::{
    Asked, Fault, Kind, MAX_VALUE_BODY, Reader, Writer, error, exec_output, ownership,
    write_exec_request,
};
use super::sandbox::Owners;
use super::socket::{Buffer, Outgoing, Received, Sent, Trouble, Wait};

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

/// The runner's end of the connection, shared with whatever threads the plugin has.
///
/// Who needs both locks takes `inbox` first.
pub(super) struct Link {
    pub(super) socket: OwnedFd,
    eager: Eager,
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
            eager: Eager::new(),
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

    /// Waits for the next call; there is none where the host has gone.
    pub(super) fn next(&self) -> Result<Option<(u64, Kind, Asked)>, Confused> {
        let mut inbox = self.inbox();
        // What it comes to does not matter: what is not there yet is waited for.
        let _ = self.eager.look(&mut [PollFd::new(&self.socket, PollFlags::IN)]);
        match inbox.receive(self.socket.as_fd(), Wait::Forever, Kind::request_limit)? {
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

    pub(super) fn reply(
        &self,
        id: u64,
        kind: Kind,
        limit: usize,
        write: &dyn Fn(&mut Writer<'_>),
    ) -> Result<(), Confused> {
        let mut outbox = self.outbox();
        outbox.call = None;
        let outgoing = Outgoing { id, kind, limit, with: &[] };
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
        let outgoing = Outgoing { id: 0, kind: Kind::Log, limit: usize::MAX, with: &[] };
        let mut outbox = self.link.outbox();
        // A line that cannot be sent is lost; there is nobody to tell.
        let _ = outbox.buffer.send(self.link.socket.as_fd(), &outgoing, Wait::Forever, &|w| {
            w.u32(level.code());
            w.text(&message[..end]);
        });
    }

    fn exec(&self, request: api::ExecRequest) -> api::Result<api::ExecOutput> {
        let write = |w: &mut Writer<'_>| write_exec_request(w, &request);
        let too_large = |size| {
            api::Error::invalid(format!(
                "the request to run `{}` has {size} bytes; the most is {MAX_VALUE_BODY}",
                request.program
            ))
        };
        self.ask("a program is run", Kind::Exec, &write, &too_large, |kind, r| match kind {
            Kind::Executed => Ok(exec_output(r)),
            Kind::NotExecuted => Err(error(r)),
            _ => Err(Err(Fault::new("an answer of another kind"))),
        })
    }

    fn ownership(&self, path: &str) -> api::Result<Option<api::Ownership>> {
        if self.owners == Owners::Seen {
            return Ok(None);
        }
        let write = |w: &mut Writer<'_>| w.text(path);
        let too_large = |size| api::Error::invalid(format!("a path of {size} bytes"));
        let ask = |kind, r: &mut Reader<'_>| match kind {
            Kind::Owned => Ok(ownership(r)),
            Kind::NotOwned => Err(error(r)),
            _ => Err(Err(Fault::new("an answer of another kind"))),
        };
        self.ask("an owner is told", Kind::Ownership, &write, &too_large, ask).map(Some)
    }
}

impl Services {
    /// Asks the host within the call that is being answered, and reads its answer or its error.
    fn ask<T>(
        &self,
        what: &str,
        kind: Kind,
        write: &dyn Fn(&mut Writer<'_>),
        too_large: &dyn Fn(usize) -> api::Error,
        read: impl FnOnce(Kind, &mut Reader<'_>) -> Result<Result<T, Fault>, Result<api::Error, Fault>>,
    ) -> api::Result<T> {
        let gone = || api::Error::unavailable("the host has gone");
        let mut inbox = self.link.inbox();
        let call = {
            let mut outbox = self.link.outbox();
            let Some(call) = outbox.call else {
                return Err(api::Error::unavailable(format!("{what} only during a call")));
            };
            let outgoing = Outgoing { id: call, kind, limit: MAX_VALUE_BODY, with: &[] };
            match outbox.buffer.send(self.link.socket.as_fd(), &outgoing, Wait::Forever, write) {
                Ok(Sent::Whole) => call,
                Ok(Sent::TooLarge(size)) => return Err(too_large(size)),
                Ok(Sent::NoRoom | Sent::Closed) | Err(_) => return Err(gone()),
            }
        };
        match inbox.receive(self.link.socket.as_fd(), Wait::Forever, |_| MAX_VALUE_BODY) {
            Ok(Received::Frame(frame)) if frame.id == call => {
                match read(frame.kind, &mut Reader::new(frame.body())) {
                    Ok(answer) => answer.map_err(|_| gone()),
                    Err(error) => Err(error.unwrap_or_else(|_| gone())),
                }
            }
            _ => Err(gone()),
        }
    }
}

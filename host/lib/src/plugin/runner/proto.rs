//! The protocol between the host and a runner: the kinds of frame and their limits. Both ends are
//! the same binary, and neither trusts the other's bytes.
//!
//! A frame is one packet: call id (`u64`), kind (`u8`), body; little-endian. From the host, a body
//! that does not fit is in a sealed memfd that travels with the packet. From a runner, it is in
//! several packets, the first with its length (`u64`) in front. In both cases the kind has
//! [`APART`] set. Packets (`SOCK_SEQPACKET`) keep a frame whole and its file descriptor with it; a
//! stream does not.

mod greeting;

use keystead_plugin_api::abi::{self, MAX_VALUE_BODY_BYTES, Method};
use keystead_plugin_api::{Deadline, MAX_MESSAGE_BYTES};

pub(super) use crate::codec::{Fault, Reader, Writer};
pub(super) use greeting::{Greeting, Told, opened, plugin, write_plugin};

/// The number of this protocol. Frames of another number are never read: the greeting
/// is refused first.
pub(super) const PROTOCOL: u32 = 6;

/// Version of this build, for the other end.
pub(super) const BUILD: &str = env!("CARGO_PKG_VERSION");

/// Maximum size of a packet, in bytes: far below the kernel's socket buffer (208 KiB), so that
/// three packets wait without blocking the sender.
pub(super) const MAX_FRAME_BYTES: usize = 64 * 1024;

/// Size of the header before the body, in bytes.
pub(super) const HEADER_BYTES: usize = 9;

/// Flag in the kind of a frame whose body is in the memfd beside it, or in several packets.
pub(super) const APART: u8 = 0x80;

/// Maximum size of a body without a limit of its own, in bytes.
pub(super) const MAX_VALUE_BODY: usize = MAX_VALUE_BODY_BYTES + CODE_BYTES;

/// Size of a call's or a service's number, before its request, in bytes.
const CODE_BYTES: usize = 4;

/// Maximum size of a body to the runner, in bytes: the largest request.
pub(super) const MAX_CALL_BODY: usize = 33 * 1024 * 1024;

/// Kind of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    // To the host.
    /// The greeting was understood, and the runner is in its sandbox.
    Ready = 1,
    /// The greeting was not understood, or the runner could not enter its sandbox.
    Unwelcome = 2,
    /// The reply to a call, or the error of a vault that is not opened.
    Reply = 3,
    /// The vault is open.
    Opened = 4,
    /// The plugin could not be loaded: a stable code, and a text.
    Unloadable = 5,
    /// The reply exceeds its limit; the call may be made in smaller pieces.
    TooMuch = 6,
    /// Requests a service of the host. A line for the log, also between two calls, gets no answer;
    /// any other service, within a call, gets [`Kind::Served`].
    Ask = 7,

    // To the runner.
    /// The greeting: protocol, build, grants. The plugin's file may travel with it.
    Hello = 32,
    /// The plugin, for a runner in its sandbox: its bytes travel with the frame, unless its file
    /// came with the greeting.
    Plugin = 33,
    /// Opens the vault.
    Open = 34,
    /// A call: its number and its request.
    Call = 35,
    /// The reply of a service.
    Served = 36,
}

impl Kind {
    /// Returns the kind of this number.
    pub(super) fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::Ready,
            2 => Self::Unwelcome,
            3 => Self::Reply,
            4 => Self::Opened,
            5 => Self::Unloadable,
            6 => Self::TooMuch,
            7 => Self::Ask,
            32 => Self::Hello,
            33 => Self::Plugin,
            34 => Self::Open,
            35 => Self::Call,
            36 => Self::Served,
            _ => return None,
        })
    }

    /// Returns the most bytes that a frame of this kind to the runner may have.
    pub(super) fn request_limit(self) -> usize {
        match self {
            Self::Call => MAX_CALL_BODY,
            _ => MAX_VALUE_BODY,
        }
    }
}

/// A request of the host to a runner.
#[derive(Clone, Copy)]
pub(super) enum Request<'a> {
    /// Opens the vault: the request's byte form.
    Open(&'a [u8], Deadline),
    /// Makes a call: the request's byte form.
    Call(Method, &'a [u8], Deadline),
}

impl Request<'_> {
    /// Returns the frame's kind.
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Open(..) => Kind::Open,
            Self::Call(..) => Kind::Call,
        }
    }

    /// Returns the deadline of the request.
    pub(super) fn deadline(&self) -> Deadline {
        match self {
            Self::Open(_, deadline) | Self::Call(_, _, deadline) => *deadline,
        }
    }

    /// Returns the called method; `None` when the request opens the vault.
    pub(super) fn method(&self) -> Option<Method> {
        match self {
            Self::Open(..) => None,
            Self::Call(method, ..) => Some(*method),
        }
    }

    /// Returns the maximum size of its body, in bytes.
    pub(super) fn limit(&self) -> usize {
        self.method().map_or(MAX_VALUE_BODY, |method| method.max_request() + CODE_BYTES)
    }

    /// Returns the maximum size of its reply, in bytes.
    pub(super) fn reply_limit(&self) -> usize {
        self.method().map_or(MAX_VALUE_BODY, Method::max_reply)
    }

    /// Writes the body.
    pub(super) fn write(&self, w: &mut Writer<'_>) {
        match self {
            Self::Open(request, _) => w.raw(request),
            Self::Call(method, request, _) => write_numbered(w, method.code(), request),
        }
    }
}

/// Writes a call's or a service's number, and its request.
pub(super) fn write_numbered(w: &mut Writer<'_>, number: u32, request: &[u8]) {
    w.u32(number);
    w.raw(request);
}

/// Reads a call's or a service's number, and returns it with its request.
pub(super) fn numbered(body: &[u8]) -> Result<(u32, &[u8]), Fault> {
    let (number, request) =
        body.split_first_chunk::<CODE_BYTES>().ok_or_else(|| Fault::new("a call that is none"))?;
    Ok((u32::from_le_bytes(*number), request))
}

/// Writes a code and a text: why a greeting is refused, or a plugin cannot be loaded.
pub(super) fn write_unwelcome(w: &mut Writer<'_>, code: &str, text: &str) {
    w.text(code);
    let mut end = text.len().min(MAX_MESSAGE_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    w.text(&text[..end]);
}

/// Reads a code and a text.
pub(super) fn unwelcome(r: &mut Reader<'_>) -> Result<(String, String), Fault> {
    let code = r.text(abi::wire::MAX_LINE_BYTES, "a code of more than 4096 bytes")?.to_owned();
    let text = r.text(MAX_MESSAGE_BYTES, "a message of more than 4096 bytes")?.to_owned();
    Ok((code, text))
}

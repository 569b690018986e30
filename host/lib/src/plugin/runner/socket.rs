//! Frames over a socket, one packet each. The host sends a large body in a sealed memfd beside the
//! packet; a runner sends it in several packets ([`parts`]). Buffers are reused and wiped after
//! each frame.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};
use zeroize::{Zeroize, Zeroizing};

use super::parts::{self, Partial};
use super::proto::{APART, Fault, HEADER_BYTES, Kind, MAX_FRAME_BYTES, Writer};
use crate::platform::memfd::{SEALS, sealed_memfd};

/// Size of an allocation with a mapping of its own, in bytes. All of it is zero, and only the part
/// that frames use is ever touched. A smaller allocation is zeroed byte by byte.
const MAPPED_BYTES: usize = 4 * MAX_FRAME_BYTES;

/// Maximum number of descriptors with a frame: of the 253 that the kernel takes.
pub(super) const MAX_DESCRIPTORS: usize = 200;

/// Number of descriptors that a runner sends so that the host connects its plugin.
pub(super) const ASKING: usize = 2;

/// Returns the two ends of a connection, neither inherited by a program that is run.
pub(super) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::net::socketpair(
        rustix::net::AddressFamily::UNIX,
        rustix::net::SocketType::SEQPACKET,
        rustix::net::SocketFlags::CLOEXEC,
        None,
    )?)
}

/// Reason why nothing could be read.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The other end broke the rules.
    Fault(Fault),
    /// The system refused.
    Io(io::Error),
}

impl From<Errno> for Trouble {
    fn from(error: Errno) -> Self {
        Self::Io(error.into())
    }
}

fn fault(what: &'static str) -> Trouble {
    Trouble::Fault(Fault(what.into()))
}

/// Whether a call waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// Until there is a frame, or room.
    Forever,
    /// Not at all.
    Never,
}

/// Result of a send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    /// The kernel has the whole frame.
    Whole,
    /// The body has this many bytes, more than the limit. Nothing was sent.
    TooLarge(usize),
    /// There is no room now, and the caller passed [`Wait::Never`].
    NoRoom,
    /// The other end is closed.
    Closed,
}

/// An outgoing frame, and its limit.
pub(super) struct Outgoing<'a> {
    pub(super) id: u64,
    pub(super) kind: Kind,
    /// Maximum size of the body, in bytes.
    pub(super) limit: usize,
    /// Descriptors that travel with the frame, whose body must then fit into a packet.
    pub(super) with: &'a [BorrowedFd<'a>],
}

/// A packet's worth of memory.
pub(super) struct Buffer {
    bytes: Box<[u8]>,
    /// Whether large bodies are sent in parts.
    in_parts: bool,
    /// The parts of a body so far; `None` if no body in parts is incomplete.
    partial: Option<Partial>,
}

impl Buffer {
    /// Returns an empty buffer.
    pub(super) fn new() -> Self {
        let bytes = vec![0; MAPPED_BYTES].into_boxed_slice();
        Self { bytes, in_parts: false, partial: None }
    }

    /// Returns a buffer that sends large bodies in parts, and waits for room for each.
    pub(super) fn sending_in_parts() -> Self {
        Self { in_parts: true, ..Self::new() }
    }

    fn packet(&mut self) -> &mut [u8] {
        &mut self.bytes[..MAX_FRAME_BYTES]
    }

    /// Sends a frame. `write` is called twice where the body does not fit into a packet.
    pub(super) fn send(
        &mut self,
        socket: BorrowedFd<'_>,
        outgoing: &Outgoing<'_>,
        wait: Wait,
        write: &dyn Fn(&mut Writer<'_>),
    ) -> io::Result<Sent> {
        let in_parts = self.in_parts;
        let packet = self.packet();
        let (header, body) = packet.split_at_mut(HEADER_BYTES);
        let mut writer = Writer::new(body);
        write(&mut writer);
        let wanted = writer.wanted();
        let sent = if wanted > outgoing.limit {
            Ok(Sent::TooLarge(wanted))
        } else if wanted <= body.len() {
            put_header(header, outgoing.id, outgoing.kind as u8);
            send_packet(socket, &packet[..HEADER_BYTES + wanted], outgoing.with, wait)
        } else {
            debug_assert!(outgoing.with.is_empty(), "it would be left out");
            put_header(header, outgoing.id, outgoing.kind as u8 | APART);
            let whole = whole(wanted, write);
            if in_parts {
                send_parts(socket, packet, &whole)
            } else {
                sealed_memfd(&whole).and_then(|memfd| {
                    send_packet(socket, &packet[..HEADER_BYTES], &[memfd.as_fd()], wait)
                })
            }
        };
        let used = (HEADER_BYTES + wanted).min(MAX_FRAME_BYTES);
        packet[..used].zeroize();
        sent
    }

    /// Receives a frame; `limit` is the most bytes that a body of its kind may have.
    pub(super) fn receive(
        &mut self,
        socket: BorrowedFd<'_>,
        wait: Wait,
        limit: impl Fn(Kind) -> usize,
    ) -> Result<Received<'_>, Trouble> {
        // Room for a descriptor more than any frame has: an excess is seen, not silently closed.
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(ASKING + 1))];
        self.receive_in(&mut space, socket, wait, limit)
    }

    /// Receives the first frame of a host, which brings the grants.
    pub(super) fn receive_greeting(
        &mut self,
        socket: BorrowedFd<'_>,
    ) -> Result<Received<'_>, Trouble> {
        const ROOM: usize = rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS + 1));
        let mut space = [MaybeUninit::uninit(); ROOM];
        self.receive_in(&mut space, socket, Wait::Forever, |_| 0)
    }

    fn receive_in(
        &mut self,
        space: &mut [MaybeUninit<u8>],
        socket: BorrowedFd<'_>,
        wait: Wait,
        limit: impl Fn(Kind) -> usize,
    ) -> Result<Received<'_>, Trouble> {
        loop {
            let (size, descriptors) = match receive_packet(space, socket, self.packet(), wait) {
                Ok(packet) => packet,
                // Sent when the other end closed with frames unread: its earlier frames can still
                // be read.
                Err(Trouble::Io(error)) if error.kind() == io::ErrorKind::ConnectionReset => {
                    continue;
                }
                Err(Trouble::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(Received::Nothing);
                }
                Err(trouble) => return Err(trouble),
            };
            if size == 0 {
                return Ok(Received::Closed);
            }
            let head = head(&self.bytes[..size], descriptors);
            let is_part = matches!(&head, Ok(head) if head.apart && head.descriptors.is_empty());
            if !is_part && self.partial.is_none() {
                let packet = Wiped(&mut self.bytes[..size]);
                let Head { id, kind, apart, mut descriptors } = head?;
                if !apart {
                    let body = Body::Inside(packet);
                    return Ok(Received::Frame(Frame { id, kind, body, descriptors }));
                }
                if size != HEADER_BYTES {
                    return Err(fault("a frame with two bodies"));
                }
                let memfd = descriptors.pop().expect("what has none is a part");
                let body = Body::Apart(read_sealed(&memfd, limit(kind))?);
                return Ok(Received::Frame(Frame { id, kind, body, descriptors }));
            }
            let packet = Wiped(&mut self.bytes[..size]);
            let Head { id, kind, .. } = head?;
            if !is_part {
                return Err(fault("a frame within another"));
            }
            let part = &packet.0[HEADER_BYTES..];
            let partial = match self.partial.take() {
                None => Partial::begin(id, kind, part, limit(kind)),
                Some(mut begun) => begun.add(id, kind, part).map(|()| begun),
            };
            let partial = partial.map_err(Trouble::Fault)?;
            if partial.is_whole() {
                let body = Body::Apart(partial.into_body());
                return Ok(Received::Frame(Frame { id, kind, body, descriptors: Vec::new() }));
            }
            self.partial = Some(partial);
        }
    }
}

/// The part of a packet in front of its body.
struct Head {
    id: u64,
    kind: Kind,
    apart: bool,
    descriptors: Vec<OwnedFd>,
}

/// Reads a packet's header, and checks its number of descriptors.
fn head(packet: &[u8], descriptors: Vec<OwnedFd>) -> Result<Head, Trouble> {
    let Some((header, _)) = packet.split_at_checked(HEADER_BYTES) else {
        return Err(fault("a frame without a header"));
    };
    let (id, code) = header.split_at(HEADER_BYTES - 1);
    let id = u64::from_le_bytes(id.try_into().expect("a header is 8 bytes and one"));
    let kind =
        Kind::from_code(code[0] & !APART).ok_or_else(|| fault("a frame of an unknown kind"))?;
    let apart = code[0] & APART != 0;
    // The reader of these frames knows their number.
    let most = match kind {
        _ if apart => 1,
        Kind::Hello => MAX_DESCRIPTORS,
        Kind::Plugin => 1,
        Kind::Ready => ASKING,
        _ => 0,
    };
    if descriptors.len() > most {
        return Err(fault("a frame with the wrong number of descriptors"));
    }
    Ok(Head { id, kind, apart, descriptors })
}

fn put_header(header: &mut [u8], id: u64, kind: u8) {
    let (at_id, at_kind) = header.split_at_mut(HEADER_BYTES - 1);
    at_id.copy_from_slice(&id.to_le_bytes());
    at_kind[0] = kind;
}

fn whole(wanted: usize, write: &dyn Fn(&mut Writer<'_>)) -> Zeroizing<Vec<u8>> {
    let mut whole = Zeroizing::new(vec![0; wanted]);
    let mut writer = Writer::new(&mut whole);
    write(&mut writer);
    debug_assert_eq!(writer.wanted(), wanted);
    whole
}

/// Sends a body in parts, each behind this packet's header.
fn send_parts(socket: BorrowedFd<'_>, packet: &mut [u8], whole: &[u8]) -> io::Result<Sent> {
    for (total, part) in parts::of(whole) {
        let mut at = HEADER_BYTES;
        for piece in [total.as_ref().map_or(&[][..], |total| total), part] {
            packet[at..at + piece.len()].copy_from_slice(piece);
            at += piece.len();
        }
        match send_packet(socket, &packet[..at], &[], Wait::Forever)? {
            Sent::Whole => {}
            other => return Ok(other),
        }
    }
    Ok(Sent::Whole)
}

fn send_packet(
    socket: BorrowedFd<'_>,
    packet: &[u8],
    with: &[BorrowedFd<'_>],
    wait: Wait,
) -> io::Result<Sent> {
    let mut flags = SendFlags::NOSIGNAL;
    flags.set(SendFlags::DONTWAIT, wait == Wait::Never);
    loop {
        // A runner has no descriptors to send, and may send none.
        let sent = match with {
            [] => rustix::net::send(socket, packet, flags),
            descriptors => send_with(socket, packet, descriptors, flags),
        };
        return match sent {
            Ok(_) => Ok(Sent::Whole),
            Err(Errno::INTR) => continue,
            Err(Errno::AGAIN) => Ok(Sent::NoRoom),
            Err(Errno::PIPE | Errno::CONNRESET | Errno::NOTCONN) => Ok(Sent::Closed),
            Err(error) => Err(error.into()),
        };
    }
}

fn send_with(
    socket: BorrowedFd<'_>,
    packet: &[u8],
    descriptors: &[BorrowedFd<'_>],
    flags: SendFlags,
) -> rustix::io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !ancillary.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(Errno::INVAL);
    }
    rustix::net::sendmsg(socket, &[IoSlice::new(packet)], &mut ancillary, flags)
}

fn receive_packet(
    space: &mut [MaybeUninit<u8>],
    socket: BorrowedFd<'_>,
    buffer: &mut [u8],
    wait: Wait,
) -> Result<(usize, Vec<OwnedFd>), Trouble> {
    let mut ancillary = RecvAncillaryBuffer::new(space);
    let mut flags = RecvFlags::CMSG_CLOEXEC;
    flags.set(RecvFlags::DONTWAIT, wait == Wait::Never);
    let message = loop {
        match rustix::net::recvmsg(socket, &mut [IoSliceMut::new(buffer)], &mut ancillary, flags) {
            Err(Errno::INTR) => {}
            received => break received?,
        }
    };
    let mut descriptors = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            descriptors.extend(rights);
        }
    }
    if message.flags.contains(ReturnFlags::TRUNC) {
        buffer.zeroize();
        return Err(fault("a frame of more than 64 KiB"));
    }
    if message.flags.contains(ReturnFlags::CTRUNC) {
        return Err(fault("a frame with the wrong number of descriptors"));
    }
    Ok((message.bytes, descriptors))
}

/// Reads a body from a memfd. The seals prove that it is memory, so that reading does not block,
/// and that its bytes stay unchanged.
fn read_sealed(memfd: &OwnedFd, limit: usize) -> Result<Zeroizing<Vec<u8>>, Trouble> {
    let sealed = rustix::fs::fcntl_get_seals(memfd).is_ok_and(|seals| seals.contains(SEALS));
    if !sealed {
        return Err(fault("a body that is not sealed"));
    }
    let size = rustix::fs::fstat(memfd)?.st_size;
    let size = usize::try_from(size)
        .ok()
        .filter(|size| *size <= limit)
        .ok_or_else(|| fault("a body that is too large"))?;
    let mut body = Zeroizing::new(vec![0; size]);
    let mut at = 0;
    while at < size {
        match rustix::io::pread(memfd, &mut body[at..], at as u64) {
            Ok(0) => return Err(fault("a body that ends too early")),
            Ok(count) => at += count,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(body)
}

/// Result of a receive.
pub(super) enum Received<'b> {
    /// A whole frame.
    Frame(Frame<'b>),
    /// There is no frame now, and the caller passed [`Wait::Never`].
    Nothing,
    /// The other end is closed, and all its frames have been read.
    Closed,
}

/// A received frame. Its bytes are wiped on drop.
pub(super) struct Frame<'b> {
    pub(super) id: u64,
    pub(super) kind: Kind,
    body: Body<'b>,
    /// Descriptors that travelled with it, for [`Kind::Hello`] and [`Kind::Plugin`].
    pub(super) descriptors: Vec<OwnedFd>,
}

impl Frame<'_> {
    /// Returns the body's bytes.
    pub(super) fn body(&self) -> &[u8] {
        match &self.body {
            Body::Inside(packet) => &packet.0[HEADER_BYTES..],
            Body::Apart(bytes) => bytes,
        }
    }

    /// Returns the body's bytes, outside of the buffer that they arrived in.
    pub(super) fn into_body(self) -> Zeroizing<Vec<u8>> {
        match self.body {
            Body::Inside(packet) => Zeroizing::new(packet.0[HEADER_BYTES..].to_vec()),
            Body::Apart(bytes) => bytes,
        }
    }
}

enum Body<'b> {
    Inside(Wiped<'b>),
    Apart(Zeroizing<Vec<u8>>),
}

struct Wiped<'b>(&'b mut [u8]);

impl Drop for Wiped<'_> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

#[cfg(test)]
mod tests;

//! Frames over a socket: one packet each, a large body in a sealed memfd beside it.
//! Buffers are reused and wiped after each frame.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::fs::{MemfdFlags, SealFlags};
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};
use zeroize::{Zeroize, Zeroizing};

use super::proto::{APART, Fault, HEADER_BYTES, Kind, MAX_FRAME_BYTES, Writer};

/// What makes a memfd's bytes stay as they are while we read them.
const SEALS: SealFlags =
    SealFlags::WRITE.union(SealFlags::SHRINK).union(SealFlags::GROW).union(SealFlags::SEAL);

/// What an allocation has that is mapped for itself: all of it is zero, and only what frames take
/// of it is ever touched. A smaller one would be zeroed byte by byte, when it is made.
const MAPPED_BYTES: usize = 4 * MAX_FRAME_BYTES;

/// The most descriptors that travel with a frame: of the 253 that the kernel takes.
pub(super) const MAX_DESCRIPTORS: usize = 200;

/// The pause after which sealing is given up; it doubles, so that all of them are twice as long.
const LONGEST_PAUSE: Duration = Duration::from_millis(800);

/// Returns the two ends of a connection, neither inherited by a program that is run.
pub(super) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::net::socketpair(
        rustix::net::AddressFamily::UNIX,
        rustix::net::SocketType::SEQPACKET,
        rustix::net::SocketFlags::CLOEXEC,
        None,
    )?)
}

/// Returns a memfd with these bytes that nobody can change any more.
pub(super) fn sealed_memfd(bytes: &[u8]) -> io::Result<OwnedFd> {
    sealed_memfd_with(|memfd| write_all(memfd, bytes))
}

/// Returns a memfd that nobody can change any more, with what is written to it before.
pub(super) fn sealed_memfd_with<E: From<io::Error>>(
    fill: impl FnOnce(&OwnedFd) -> Result<(), E>,
) -> Result<OwnedFd, E> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Not to be run as a program, where the kernel can say so (6.3); dlopen maps it anyway.
    let memfd = match rustix::fs::memfd_create(c"keystead", flags | MemfdFlags::NOEXEC_SEAL) {
        Err(Errno::INVAL) => rustix::fs::memfd_create(c"keystead", flags),
        made => made,
    }
    .map_err(io::Error::from)?;
    fill(&memfd)?;
    seal(|| rustix::fs::fcntl_add_seals(&memfd, SEALS)).map_err(io::Error::from)?;
    Ok(memfd)
}

/// Tries to seal until the kernel holds none of the pages any more: right after they were
/// written it may, for a moment, for work of its own (`EBUSY`).
fn seal(mut attempt: impl FnMut() -> rustix::io::Result<()>) -> rustix::io::Result<()> {
    let mut pause = Duration::from_micros(100);
    loop {
        match attempt() {
            Err(Errno::BUSY) if pause < LONGEST_PAUSE => std::thread::sleep(pause),
            done => return done,
        }
        pause *= 2;
    }
}

/// Writes all of these bytes.
fn write_all(file: &OwnedFd, bytes: &[u8]) -> io::Result<()> {
    let mut rest = bytes;
    while !rest.is_empty() {
        match rustix::io::write(file, rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => rest = &rest[written..],
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Why nothing could be read.
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
    /// Until there is something, or room.
    Forever,
    /// Not at all.
    Never,
}

/// What a send came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    /// The kernel has it.
    Whole,
    /// The body has this many bytes, more than the limit. Nothing was sent.
    TooLarge(usize),
    /// There is no room now, and [`Wait::Never`] was asked for.
    NoRoom,
    /// The other end is closed.
    Closed,
}

/// A frame on its way out: what is said, and under which limit.
pub(super) struct Outgoing<'a> {
    pub(super) id: u64,
    pub(super) kind: Kind,
    /// The most bytes of the body.
    pub(super) limit: usize,
    /// What else travels with it; the body of a frame that has this must fit into a packet.
    pub(super) with: &'a [BorrowedFd<'a>],
}

/// A packet's worth of memory.
pub(super) struct Buffer(Box<[u8]>);

impl Buffer {
    /// Returns an empty one.
    pub(super) fn new() -> Self {
        Self(vec![0; MAPPED_BYTES].into_boxed_slice())
    }

    fn packet(&mut self) -> &mut [u8] {
        &mut self.0[..MAX_FRAME_BYTES]
    }

    /// Sends a frame. `write` is called twice where the body does not fit into a packet.
    pub(super) fn send(
        &mut self,
        socket: BorrowedFd<'_>,
        outgoing: &Outgoing<'_>,
        wait: Wait,
        write: &dyn Fn(&mut Writer<'_>),
    ) -> io::Result<Sent> {
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
            memfd_of(wanted, write).and_then(|memfd| {
                send_packet(socket, &packet[..HEADER_BYTES], &[memfd.as_fd()], wait)
            })
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
        limit: impl FnOnce(Kind) -> usize,
    ) -> Result<Received<'_>, Trouble> {
        // Room for one more than any frame has: too many are seen, not silently closed.
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
        self.receive_in(&mut space, socket, wait, limit)
    }

    /// Receives the first frame of a host, which brings what is granted.
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
        limit: impl FnOnce(Kind) -> usize,
    ) -> Result<Received<'_>, Trouble> {
        let (size, mut descriptors) = loop {
            match receive_packet(space, socket, self.packet(), wait) {
                Ok(packet) => break packet,
                // Sent when the other end closed with frames unread: what it had sent
                // before is still to be had.
                Err(Trouble::Io(error)) if error.kind() == io::ErrorKind::ConnectionReset => {}
                Err(Trouble::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(Received::Nothing);
                }
                Err(trouble) => return Err(trouble),
            }
        };
        if size == 0 {
            return Ok(Received::Closed);
        }
        let packet = Wiped(&mut self.0[..size]);
        let Some((header, _)) = packet.0.split_at_checked(HEADER_BYTES) else {
            return Err(fault("a frame without a header"));
        };
        let (id, code) = header.split_at(HEADER_BYTES - 1);
        let id = u64::from_le_bytes(id.try_into().expect("a header is 8 bytes and one"));
        let kind =
            Kind::from_code(code[0] & !APART).ok_or_else(|| fault("a frame of an unknown kind"))?;
        let apart = code[0] & APART != 0;
        // How many these bring, their reader knows.
        let fits = match kind {
            _ if apart => descriptors.len() == 1,
            Kind::Hello => true,
            Kind::Plugin => descriptors.len() <= 1,
            _ => descriptors.is_empty(),
        };
        if !fits {
            return Err(fault("a frame with the wrong number of descriptors"));
        }
        if !apart {
            let body = Body::Inside(packet);
            return Ok(Received::Frame(Frame { id, kind, body, descriptors }));
        }
        if size != HEADER_BYTES {
            return Err(fault("a frame with two bodies"));
        }
        let memfd = descriptors.pop().expect("there is one, as was just seen");
        let body = Body::Apart(read_sealed(&memfd, limit(kind))?);
        Ok(Received::Frame(Frame { id, kind, body, descriptors }))
    }
}

fn put_header(header: &mut [u8], id: u64, kind: u8) {
    let (at_id, at_kind) = header.split_at_mut(HEADER_BYTES - 1);
    at_id.copy_from_slice(&id.to_le_bytes());
    at_kind[0] = kind;
}

fn memfd_of(wanted: usize, write: &dyn Fn(&mut Writer<'_>)) -> io::Result<OwnedFd> {
    let mut whole = Zeroizing::new(vec![0; wanted]);
    let mut writer = Writer::new(&mut whole);
    write(&mut writer);
    debug_assert_eq!(writer.wanted(), wanted);
    sealed_memfd(&whole)
}

fn send_packet(
    socket: BorrowedFd<'_>,
    packet: &[u8],
    with: &[BorrowedFd<'_>],
    wait: Wait,
) -> io::Result<Sent> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !with.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(with)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut flags = SendFlags::NOSIGNAL;
    flags.set(SendFlags::DONTWAIT, wait == Wait::Never);
    loop {
        return match rustix::net::sendmsg(socket, &[IoSlice::new(packet)], &mut ancillary, flags) {
            Ok(_) => Ok(Sent::Whole),
            Err(Errno::INTR) => continue,
            Err(Errno::AGAIN) => Ok(Sent::NoRoom),
            Err(Errno::PIPE | Errno::CONNRESET | Errno::NOTCONN) => Ok(Sent::Closed),
            Err(error) => Err(error.into()),
        };
    }
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

/// Reads a body that lies apart. The seals prove that it is memory, so that reading does
/// not block, and that it stays as it is.
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

/// What a receive came to.
pub(super) enum Received<'b> {
    /// A frame, whole.
    Frame(Frame<'b>),
    /// There is none now, and [`Wait::Never`] was asked for.
    Nothing,
    /// The other end is closed, and all it sent has been read.
    Closed,
}

/// A frame that came in. Its bytes are wiped when it goes.
pub(super) struct Frame<'b> {
    pub(super) id: u64,
    pub(super) kind: Kind,
    body: Body<'b>,
    /// What travelled with it, for [`Kind::Hello`] and [`Kind::Plugin`].
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
mod tests {
    use super::*;

    const LIMIT: usize = 1_000_000;

    #[test]
    fn sealing_is_tried_again_while_the_kernel_is_busy_and_not_for_ever() {
        let (mut busy, mut tries) = (3, 0);
        seal(|| {
            tries += 1;
            busy -= 1;
            if busy > 0 { Err(Errno::BUSY) } else { Ok(()) }
        })
        .unwrap();
        assert_eq!(tries, 3);
        assert_eq!(seal(|| Err(Errno::BUSY)), Err(Errno::BUSY));
        assert_eq!(seal(|| Err(Errno::PERM)), Err(Errno::PERM));
    }

    fn send(socket: &OwnedFd, bytes: &[u8], limit: usize) -> Sent {
        let outgoing = Outgoing { id: 7, kind: Kind::Get, limit, with: &[] };
        let mut buffer = Buffer::new();
        let sent = buffer.send(socket.as_fd(), &outgoing, Wait::Never, &|w| w.raw(bytes)).unwrap();
        assert!(buffer.0.iter().all(|byte| *byte == 0), "the buffer is not wiped");
        sent
    }

    fn receive_fault(socket: &OwnedFd) -> String {
        match Buffer::new().receive(socket.as_fd(), Wait::Never, |_| LIMIT) {
            Err(Trouble::Fault(fault)) => fault.0.into_owned(),
            Err(trouble) => panic!("{trouble:?}"),
            Ok(_) => panic!("it was taken"),
        }
    }

    fn raw(socket: &OwnedFd, packet: &[u8], descriptors: &[BorrowedFd<'_>]) {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() {
            assert!(ancillary.push(SendAncillaryMessage::ScmRights(descriptors)));
        }
        let flags = SendFlags::NOSIGNAL;
        rustix::net::sendmsg(socket, &[IoSlice::new(packet)], &mut ancillary, flags).unwrap();
    }

    fn header(kind: u8) -> Vec<u8> {
        let mut header = vec![0; HEADER_BYTES];
        put_header(&mut header, 7, kind);
        header
    }

    #[test]
    fn a_body_of_any_size_arrives_whole_and_is_wiped() {
        let (a, b) = pair().unwrap();
        let mut buffer = Buffer::new();
        let fits = MAX_FRAME_BYTES - HEADER_BYTES;
        for size in [0, 1, fits - 1, fits, fits + 1, LIMIT] {
            let bytes: Vec<u8> = (0..size).map(|n| n as u8 | 1).collect();
            assert_eq!(send(&a, &bytes, LIMIT), Sent::Whole);
            match buffer.receive(b.as_fd(), Wait::Never, |_| LIMIT).unwrap() {
                Received::Frame(frame) => {
                    assert_eq!((frame.id, frame.kind), (7, Kind::Get));
                    assert!(frame.body() == bytes, "size {size}");
                }
                _ => panic!("no frame of size {size}"),
            }
            assert!(buffer.0.iter().all(|byte| *byte == 0), "the buffer is not wiped");
        }
        assert_eq!(send(&a, &vec![1; LIMIT + 1], LIMIT), Sent::TooLarge(LIMIT + 1));
    }

    #[test]
    fn a_closed_end_is_told_after_what_it_had_sent() {
        let (a, b) = pair().unwrap();
        assert_eq!(send(&a, b"unread", LIMIT), Sent::Whole);
        assert_eq!(send(&b, b"last words", LIMIT), Sent::Whole);
        drop(b);
        let mut buffer = Buffer::new();
        match buffer.receive(a.as_fd(), Wait::Never, |_| LIMIT).unwrap() {
            Received::Frame(frame) => assert_eq!(frame.body(), b"last words"),
            _ => panic!("the last words are lost"),
        }
        let end = buffer.receive(a.as_fd(), Wait::Never, |_| LIMIT).unwrap();
        assert!(matches!(end, Received::Closed));
        assert_eq!(send(&a, b"to nobody", LIMIT), Sent::Closed);
    }

    #[test]
    fn a_receiver_that_never_reads_does_not_block_the_sender() {
        let (a, _b) = pair().unwrap();
        let sent = (0..1_000).map(|_| send(&a, &[1; 60_000], LIMIT)).find(|s| *s != Sent::Whole);
        assert_eq!(sent, Some(Sent::NoRoom));
    }

    #[test]
    fn packets_that_are_no_frames_are_refused() {
        let (a, b) = pair().unwrap();
        raw(&a, &[1; HEADER_BYTES - 1], &[]);
        assert_eq!(receive_fault(&b), "a frame without a header");
        raw(&a, &header(0x7f), &[]);
        assert_eq!(receive_fault(&b), "a frame of an unknown kind");
        raw(&a, &[1; MAX_FRAME_BYTES + 1], &[]);
        assert_eq!(receive_fault(&b), "a frame of more than 64 KiB");
    }

    #[test]
    fn descriptors_come_exactly_where_they_belong() {
        let (a, b) = pair().unwrap();
        let memfd = sealed_memfd(b"x").unwrap();
        let wrong = "a frame with the wrong number of descriptors";
        raw(&a, &header(Kind::Get as u8), &[memfd.as_fd()]);
        assert_eq!(receive_fault(&b), wrong);
        raw(&a, &header(Kind::Get as u8 | APART), &[]);
        assert_eq!(receive_fault(&b), wrong);
        for count in 2..=3 {
            raw(&a, &header(Kind::Get as u8 | APART), &vec![memfd.as_fd(); count]);
            assert_eq!(receive_fault(&b), wrong);
        }
        let mut two_bodies = header(Kind::Get as u8 | APART);
        two_bodies.push(1);
        raw(&a, &two_bodies, &[memfd.as_fd()]);
        assert_eq!(receive_fault(&b), "a frame with two bodies");
    }

    #[test]
    fn a_body_apart_must_be_sealed_memory_within_the_limit() {
        let (a, b) = pair().unwrap();
        let apart = header(Kind::Get as u8 | APART);
        let (read, _write) = rustix::pipe::pipe().unwrap();
        let unsealed =
            rustix::fs::memfd_create(c"x", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)
                .unwrap();
        for descriptor in [read.as_fd(), a.as_fd(), unsealed.as_fd()] {
            raw(&a, &apart, &[descriptor]);
            assert_eq!(receive_fault(&b), "a body that is not sealed");
        }
        rustix::fs::ftruncate(&unsealed, 1 << 40).unwrap();
        rustix::fs::fcntl_add_seals(&unsealed, SEALS).unwrap();
        raw(&a, &apart, &[unsealed.as_fd()]);
        assert_eq!(receive_fault(&b), "a body that is too large");
    }

    #[test]
    fn a_sealed_memfd_can_no_longer_be_changed() {
        let memfd = sealed_memfd(b"plugin").unwrap();
        assert!(rustix::io::pwrite(&memfd, b"other", 0).is_err());
        assert!(rustix::fs::ftruncate(&memfd, 0).is_err());
        assert!(rustix::fs::fcntl_add_seals(&memfd, SealFlags::FUTURE_WRITE).is_err());
    }
}

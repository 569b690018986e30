//! Frames that arrive whole, and packets that are no frames.

use rustix::fs::MemfdFlags;

use super::*;

const LIMIT: usize = 1_000_000;

fn send(socket: &OwnedFd, bytes: &[u8], limit: usize) -> Sent {
    let outgoing = Outgoing { id: 7, kind: Kind::Call, limit, with: &[] };
    let mut buffer = Buffer::new();
    let sent = buffer.send(socket.as_fd(), &outgoing, Wait::Never, &|w| w.raw(bytes)).unwrap();
    assert!(buffer.bytes.iter().all(|byte| *byte == 0), "the buffer is not wiped");
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
fn body_of_any_size_arrives_whole_and_is_wiped() {
    let (a, b) = pair().unwrap();
    let mut buffer = Buffer::new();
    let fits = MAX_FRAME_BYTES - HEADER_BYTES;
    for size in [0, 1, fits - 1, fits, fits + 1, LIMIT] {
        let bytes: Vec<u8> = (0..size).map(|n| n as u8 | 1).collect();
        assert_eq!(send(&a, &bytes, LIMIT), Sent::Whole);
        match buffer.receive(b.as_fd(), Wait::Never, |_| LIMIT).unwrap() {
            Received::Frame(frame) => {
                assert_eq!((frame.id, frame.kind), (7, Kind::Call));
                assert!(frame.body() == bytes, "size {size}");
            }
            _ => panic!("no frame of size {size}"),
        }
        assert!(buffer.bytes.iter().all(|byte| *byte == 0), "the buffer is not wiped");
    }
    assert_eq!(send(&a, &vec![1; LIMIT + 1], LIMIT), Sent::TooLarge(LIMIT + 1));
}

#[test]
fn split_body_arrives_whole_and_is_wiped() {
    let (a, b) = pair().unwrap();
    let bytes: Vec<u8> = (0..LIMIT).map(|n| n as u8 | 1).collect();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut buffer = Buffer::sending_in_parts();
            let outgoing = Outgoing { id: 7, kind: Kind::Call, limit: LIMIT, with: &[] };
            let write = |w: &mut Writer<'_>| w.raw(&bytes);
            // More than the socket has room for.
            buffer.send(a.as_fd(), &outgoing, Wait::Forever, &write).unwrap();
            assert!(buffer.bytes.iter().all(|byte| *byte == 0), "the buffer is not wiped");
        });
        let mut buffer = Buffer::new();
        let frame = loop {
            // Received parts are kept from one call to the next.
            match buffer.receive(b.as_fd(), Wait::Never, |_| LIMIT).unwrap() {
                Received::Frame(frame) => break frame,
                Received::Nothing => std::thread::yield_now(),
                Received::Closed => panic!("it is closed"),
            }
        };
        assert_eq!((frame.id, frame.kind), (7, Kind::Call));
        assert!(frame.body() == bytes);
        drop(frame);
        assert!(buffer.bytes.iter().all(|byte| *byte == 0), "the buffer is not wiped");
    });
}

#[test]
fn frame_between_body_parts_is_rejected() {
    let (a, b) = pair().unwrap();
    let mut first = [&header(Kind::Call as u8 | APART)[..], &(LIMIT as u64).to_le_bytes()].concat();
    first.resize(MAX_FRAME_BYTES, 1);
    let mut body = header(Kind::Call as u8);
    body.push(b'2');
    let mut buffer = Buffer::new();
    raw(&a, &first, &[]);
    assert!(matches!(buffer.receive(b.as_fd(), Wait::Never, |_| LIMIT), Ok(Received::Nothing)));
    raw(&a, &body, &[]);
    match buffer.receive(b.as_fd(), Wait::Never, |_| LIMIT) {
        Err(Trouble::Fault(fault)) => assert_eq!(fault.0, "a frame within another"),
        _ => panic!("it was taken"),
    };
}

#[test]
fn closed_socket_is_reported_after_pending_frames() {
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
fn full_socket_does_not_block_sender() {
    let (a, _b) = pair().unwrap();
    let sent = (0..1_000).map(|_| send(&a, &[1; 60_000], LIMIT)).find(|s| *s != Sent::Whole);
    assert_eq!(sent, Some(Sent::NoRoom));
}

#[test]
fn malformed_packet_is_rejected() {
    let (a, b) = pair().unwrap();
    raw(&a, &[1; HEADER_BYTES - 1], &[]);
    assert_eq!(receive_fault(&b), "a frame without a header");
    raw(&a, &header(0x7f), &[]);
    assert_eq!(receive_fault(&b), "a frame of an unknown kind");
    raw(&a, &[1; MAX_FRAME_BYTES + 1], &[]);
    assert_eq!(receive_fault(&b), "a frame of more than 64 KiB");
}

#[test]
fn unexpected_descriptors_are_rejected() {
    let (a, b) = pair().unwrap();
    let memfd = sealed_memfd(b"x").unwrap();
    let wrong = "a frame with the wrong number of descriptors";
    raw(&a, &header(Kind::Call as u8), &[memfd.as_fd()]);
    assert_eq!(receive_fault(&b), wrong);
    raw(&a, &header(Kind::Call as u8 | APART), &[]);
    assert_eq!(receive_fault(&b), wrong);
    for count in 2..=3 {
        raw(&a, &header(Kind::Call as u8 | APART), &vec![memfd.as_fd(); count]);
        assert_eq!(receive_fault(&b), wrong);
    }
    let mut two_bodies = header(Kind::Call as u8 | APART);
    two_bodies.push(1);
    raw(&a, &two_bodies, &[memfd.as_fd()]);
    assert_eq!(receive_fault(&b), "a frame with two bodies");
}

#[test]
fn unsealed_or_oversized_body_memfd_is_rejected() {
    let (a, b) = pair().unwrap();
    let apart = header(Kind::Call as u8 | APART);
    let (read, _write) = rustix::pipe::pipe().unwrap();
    let unsealed =
        rustix::fs::memfd_create(c"x", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
    for descriptor in [read.as_fd(), a.as_fd(), unsealed.as_fd()] {
        raw(&a, &apart, &[descriptor]);
        assert_eq!(receive_fault(&b), "a body that is not sealed");
    }
    rustix::fs::ftruncate(&unsealed, 1 << 40).unwrap();
    rustix::fs::fcntl_add_seals(&unsealed, SEALS).unwrap();
    raw(&a, &apart, &[unsealed.as_fd()]);
    assert_eq!(receive_fault(&b), "a body that is too large");
}

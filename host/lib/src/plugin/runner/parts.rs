//! A body in several packets, which a runner sends if one packet is not enough. A runner cannot
//! make memory that lies in a descriptor, since no limit of a process counts that.

use zeroize::Zeroizing;

use super::proto::{Fault, HEADER_BYTES, Kind, MAX_FRAME_BYTES};

/// Size of the body's length, at the start of the first packet's body, in bytes.
const TOTAL_BYTES: usize = 8;

/// Maximum bytes of a body in a packet that is not the first.
const PART: usize = MAX_FRAME_BYTES - HEADER_BYTES;

/// Maximum bytes of a body in the first packet.
const FIRST_PART: usize = PART - TOTAL_BYTES;

/// A body of which some packets have arrived.
pub(super) struct Partial {
    id: u64,
    kind: Kind,
    body: Zeroizing<Vec<u8>>,
    filled: usize,
}

impl Partial {
    /// Begins a body with the first packet's part.
    ///
    /// # Errors
    /// If the part does not have the body's length, or the length is over the limit.
    pub(super) fn begin(id: u64, kind: Kind, part: &[u8], limit: usize) -> Result<Self, Fault> {
        let Some((total, part)) = part.split_at_checked(TOTAL_BYTES) else {
            return Err(Fault("a frame with the wrong number of descriptors".into()));
        };
        let total = u64::from_le_bytes(total.try_into().expect("it was split there"));
        let total = usize::try_from(total).ok().filter(|total| *total <= limit);
        let total = total.ok_or_else(|| Fault("a body that is too large".into()))?;
        // At its full size from the start: growing would leave a copy behind.
        let body = Zeroizing::new(vec![0; total]);
        let mut partial = Self { id, kind, body, filled: 0 };
        partial.fill(part, FIRST_PART)?;
        Ok(partial)
    }

    /// Adds the next packet's part.
    ///
    /// # Errors
    /// If the part belongs to another frame, or has another size than [`of`] makes it.
    pub(super) fn add(&mut self, id: u64, kind: Kind, part: &[u8]) -> Result<(), Fault> {
        if (id, kind) != (self.id, self.kind) {
            return Err(Fault("a frame within another".into()));
        }
        self.fill(part, PART)
    }

    /// Adds a part; a packet holds at most `room` bytes of it.
    fn fill(&mut self, part: &[u8], room: usize) -> Result<(), Fault> {
        let missing = &mut self.body[self.filled..];
        // A part must be as large as possible. Packets of a byte each would keep the host busy long
        // after a call's deadline, which is not checked while packets come.
        if part.is_empty() || part.len() != missing.len().min(room) {
            return Err(Fault("a body in parts that do not fit".into()));
        }
        missing[..part.len()].copy_from_slice(part);
        self.filled += part.len();
        Ok(())
    }

    /// Returns whether the body is complete.
    pub(super) fn is_whole(&self) -> bool {
        self.filled == self.body.len()
    }

    pub(super) fn into_body(self) -> Zeroizing<Vec<u8>> {
        self.body
    }
}

/// Returns the parts of a body. Only the first part has the body's length in front of it.
pub(super) fn of(body: &[u8]) -> impl Iterator<Item = (Option<[u8; TOTAL_BYTES]>, &[u8])> {
    let (first, rest) = body.split_at(FIRST_PART.min(body.len()));
    let total = (body.len() as u64).to_le_bytes();
    let rest = rest.chunks(PART).map(|part| (None, part));
    std::iter::once((Some(total), first)).chain(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOTAL: usize = FIRST_PART + PART + 3;

    fn begin(total: u64, part: &[u8]) -> Result<Partial, Fault> {
        let packet = [&total.to_le_bytes()[..], part].concat();
        Partial::begin(7, Kind::Reply, &packet, TOTAL)
    }

    fn fault<T>(made: Result<T, Fault>) -> String {
        made.err().expect("it is refused").0.into_owned()
    }

    #[test]
    fn body_is_complete_after_last_part() {
        let mut partial = begin(TOTAL as u64, &[1; FIRST_PART]).unwrap();
        partial.add(7, Kind::Reply, &[2; PART]).unwrap();
        assert!(!partial.is_whole());
        partial.add(7, Kind::Reply, b"abc").unwrap();
        assert!(partial.is_whole());
        assert!(partial.into_body().ends_with(b"\x02abc"));
        assert!(begin(3, b"abc").unwrap().is_whole());
    }

    #[test]
    fn inconsistent_body_part_is_rejected() {
        let no_end = "a body in parts that do not fit";
        assert_eq!(fault(begin(TOTAL as u64 + 1, b"a")), "a body that is too large");
        assert_eq!(fault(begin(u64::MAX, b"a")), "a body that is too large");
        assert_eq!(fault(begin(1, b"ab")), no_end);
        assert_eq!(fault(begin(0, b"")), no_end);
        assert_eq!(fault(begin(1, b"")), no_end);
        let short = Partial::begin(7, Kind::Reply, &[1; TOTAL_BYTES - 1], 100);
        assert_eq!(fault(short), "a frame with the wrong number of descriptors");
        let mut partial = begin(TOTAL as u64, &[1; FIRST_PART]).unwrap();
        assert_eq!(fault(partial.add(7, Kind::Reply, b"")), no_end);
        assert_eq!(fault(partial.add(7, Kind::Reply, &[1; PART + 4])), no_end);
        assert_eq!(fault(partial.add(8, Kind::Reply, &[1; PART])), "a frame within another");
        assert_eq!(fault(partial.add(7, Kind::Ask, &[1; PART])), "a frame within another");
    }

    #[test]
    fn undersized_body_part_is_rejected() {
        let no_end = "a body in parts that do not fit";
        for (total, size) in [(2, 1), (FIRST_PART + 1, 1), (TOTAL, FIRST_PART - 1)] {
            assert_eq!(fault(begin(total as u64, &vec![1; size])), no_end, "{size} of {total}");
        }
        let mut partial = begin(TOTAL as u64, &[1; FIRST_PART]).unwrap();
        assert_eq!(fault(partial.add(7, Kind::Reply, &[1; PART - 1])), no_end);
        partial.add(7, Kind::Reply, &[1; PART]).unwrap();
        assert_eq!(fault(partial.add(7, Kind::Reply, b"ab")), no_end);
    }

    #[test]
    fn split_body_is_reassembled() {
        let packet = MAX_FRAME_BYTES - HEADER_BYTES;
        for size in [packet + 1, 2 * packet - TOTAL_BYTES, 2 * packet, 1_000_000] {
            let body: Vec<u8> = (0..size).map(|n| n as u8).collect();
            let mut partial: Option<Partial> = None;
            for (total, part) in of(&body) {
                match (&mut partial, total) {
                    (None, Some(total)) => {
                        let packet = [&total[..], part].concat();
                        assert!(packet.len() <= MAX_FRAME_BYTES - HEADER_BYTES);
                        partial = Some(Partial::begin(1, Kind::Reply, &packet, size).unwrap());
                    }
                    (Some(partial), None) => partial.add(1, Kind::Reply, part).unwrap(),
                    _ => panic!("the first says how many there are, and no other"),
                }
            }
            let partial = partial.unwrap();
            assert!(partial.is_whole());
            assert!(*partial.into_body() == body);
        }
    }
}

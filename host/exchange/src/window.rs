//! A window on a stream of secrets: as many bytes as a row needs, up to a limit, in memory that is
//! wiped. When the window grows, the smaller buffer is wiped.

use std::io::{self, Read};

use zeroize::Zeroizing;

/// Initial size in bytes: enough for nearly every row.
const FIRST: usize = 64 * 1024;

/// Bytes that were read after the last row.
pub(super) struct Window<R> {
    from: R,
    bytes: Zeroizing<Vec<u8>>,
    start: usize,
    end: usize,
    /// Maximum number of bytes held.
    most: usize,
    ended: bool,
}

/// Result of reading more bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum More {
    /// More bytes were read.
    Came,
    /// The stream has ended.
    Ended,
    /// The window has reached its limit.
    Full,
}

impl<R: Read> Window<R> {
    pub(super) fn new(from: R, most: usize) -> Self {
        let bytes = Zeroizing::new(vec![0; FIRST.min(most)]);
        Self { from, bytes, start: 0, end: 0, most, ended: false }
    }

    /// Returns the bytes that were read and not taken.
    pub(super) fn rest(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Moves the window past these bytes.
    pub(super) fn take(&mut self, len: usize) {
        debug_assert!(len <= self.end - self.start);
        self.start += len;
    }

    /// Reads until the window is full: then reading it repeatedly from its start costs no more than
    /// twice its length.
    ///
    /// # Errors
    /// The error of the stream.
    pub(super) fn more(&mut self) -> io::Result<More> {
        if self.ended {
            return Ok(More::Ended);
        }
        let len = self.end - self.start;
        if self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, len);
        } else if len == self.bytes.len() {
            if len == self.most {
                return Ok(More::Full);
            }
            let mut larger = Zeroizing::new(vec![0; (len * 4).min(self.most)]);
            larger[..len].copy_from_slice(&self.bytes[..len]);
            self.bytes = larger;
        }
        while self.end < self.bytes.len() {
            match self.from.read(&mut self.bytes[self.end..]) {
                Ok(0) => {
                    self.ended = true;
                    break;
                }
                Ok(read) => self.end += read,
                Err(fault) if fault.kind() == io::ErrorKind::Interrupted => {}
                Err(fault) => return Err(fault),
            }
        }
        Ok(if self.end == len { More::Ended } else { More::Came })
    }

    /// Moves the window past the next line break, however far that is.
    ///
    /// # Errors
    /// The error of the stream.
    pub(super) fn skip_line(&mut self) -> io::Result<()> {
        loop {
            if let Some(at) = self.rest().iter().position(|&byte| byte == b'\n') {
                self.take(at + 1);
                return Ok(());
            }
            self.take(self.end - self.start);
            if self.more()? != More::Came {
                return Ok(());
            }
        }
    }

    /// Moves the window past a byte order mark, if the stream begins with it.
    ///
    /// # Errors
    /// The error of the stream.
    pub(super) fn skip_mark(&mut self) -> io::Result<()> {
        const MARK: &[u8] = "\u{feff}".as_bytes();
        self.more()?;
        if self.rest().starts_with(MARK) {
            self.take(MARK.len());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a single byte for each read, as a slow pipe may.
    struct Drops<'a>(&'a [u8]);

    impl Read for Drops<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let (Some((first, rest)), false) = (self.0.split_first(), into.is_empty()) else {
                return Ok(0);
            };
            into[0] = *first;
            self.0 = rest;
            Ok(1)
        }
    }

    #[test]
    fn window_grows_to_limit_and_continues_after_taken_bytes() {
        let given: Vec<u8> = (0..200_000_u32).map(|at| (at % 251) as u8).collect();
        let mut window = Window::new(Drops(&given), 100_000);
        assert_eq!(window.more().unwrap(), More::Came);
        assert_eq!(window.more().unwrap(), More::Came);
        assert_eq!(window.rest(), &given[..100_000]);
        assert_eq!(window.more().unwrap(), More::Full);
        window.take(60_000);
        assert_eq!(window.more().unwrap(), More::Came);
        assert_eq!(window.rest(), &given[60_000..160_000]);
        window.take(100_000);
        assert_eq!(window.more().unwrap(), More::Came);
        assert_eq!(window.rest(), &given[160_000..]);
        assert_eq!(window.more().unwrap(), More::Ended);
    }

    #[test]
    fn line_longer_than_window_is_skipped() {
        let given = [vec![b'x'; 300_000], b"\nrest".to_vec()].concat();
        let mut window = Window::new(&given[..], 1_000);
        window.skip_line().unwrap();
        assert_eq!(window.rest(), b"rest");
        window.skip_line().unwrap();
        assert_eq!(window.rest(), b"");
    }
}

//! Reads secrets from standard input and files into a single buffer that is wiped.

use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use keystead_plugin_api::{Deadline, MAX_VALUE_BYTES, SecretBytes, SecretText};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::BorrowedFd;
use rustix::fs::{FileType, OFlags};
use rustix::io::Errno;
use zeroize::Zeroizing;

use crate::failure::Failure;

/// Maximum number of bytes read for a text: those of a value and of a line's end.
pub(crate) const MOST_TEXT: usize = MAX_VALUE_BYTES + "\r\n".len();

/// Initial size in bytes of the buffer: enough for every password and key.
const FIRST: usize = 16 * 1024;

/// Whether a text keeps its final newline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The text is unchanged.
    Exact,
    /// A final newline, `\n` or `\r\n`, belongs to the shell and is removed.
    LessOneNewline,
}

/// Returns all bytes of standard input.
///
/// # Errors
/// The input has more than `most` bytes, or cannot be read.
pub(crate) fn standard(most: usize) -> Result<SecretBytes, Failure> {
    read_all(Unbuffered::standard(), most)
        .map_err(|fault| Failure::act("cannot read the value from standard input").because(fault))
}

/// Returns whether standard input is a pipe, a socket or a file; not a terminal, and not a device
/// such as `/dev/null`.
pub(crate) fn is_piped() -> bool {
    let file = rustix::fs::fstat(rustix::stdio::stdin());
    file.is_ok_and(|file| {
        let kind = FileType::from_raw_mode(file.st_mode);
        matches!(kind, FileType::Fifo | FileType::Socket | FileType::RegularFile)
    })
}

/// Returns all bytes of a file; `limit` is the timeout for a pipe or device.
///
/// # Errors
/// The input has more than `most` bytes, or cannot be read.
pub(crate) fn file(path: &Path, most: usize, limit: Duration) -> Result<SecretBytes, Failure> {
    let failed = |fault: io::Error| {
        let why = format!("failed to open file `{}`: {fault}", path.display());
        io::Error::new(fault.kind(), why)
    };
    Patient::open(path, limit)
        .map_err(failed)
        .and_then(|file| read_all(file, most))
        .map_err(|fault| Failure::act("cannot read the value from its file").because(fault))
}

/// Returns the bytes as a text. `option` is the option for binary values, named in a hint.
///
/// # Errors
/// The bytes are not UTF-8.
pub(crate) fn text(
    bytes: SecretBytes,
    ending: Ending,
    option: &str,
) -> Result<SecretText, Failure> {
    let bytes = match (ending, bytes.expose().strip_suffix(b"\n")) {
        (Ending::LessOneNewline, Some(line)) => {
            SecretBytes::copy_of(line.strip_suffix(b"\r").unwrap_or(line))
        }
        _ => bytes,
    };
    SecretText::from_bytes(bytes).map_err(|fault| {
        Failure::act("the value is no text")
            .because(fault)
            .hint(format!("add `{option} bytes` to keep it as bytes"))
    })
}

/// Reads to the end. When the buffer grows, the smaller buffer is wiped.
///
/// # Errors
/// [`io::ErrorKind::FileTooLarge`] if there are more than `most` bytes.
pub(crate) fn read_all(mut from: impl Read, most: usize) -> io::Result<SecretBytes> {
    let room = most.saturating_add(1);
    let mut bytes = Zeroizing::new(vec![0_u8; FIRST.min(room)]);
    let mut len = 0;
    loop {
        if len == bytes.len() {
            if len == room {
                // A line's end is not part of the value.
                let most = if most == MOST_TEXT { MAX_VALUE_BYTES } else { most };
                return Err(io::Error::new(
                    io::ErrorKind::FileTooLarge,
                    format!("it has more than {most} bytes"),
                ));
            }
            let mut larger = Zeroizing::new(vec![0_u8; (len * 4).min(room)]);
            larger[..len].copy_from_slice(&bytes);
            bytes = larger;
        }
        match from.read(&mut bytes[len..]) {
            Ok(0) => return Ok(SecretBytes::copy_of(&bytes[..len])),
            Ok(read) => len += read,
            Err(fault) if fault.kind() == io::ErrorKind::Interrupted => {}
            Err(fault) => return Err(fault),
        }
    }
}

/// A file, pipe or device, opened at once, with a timeout for each read.
pub(crate) struct Patient {
    pub(crate) file: std::fs::File,
    limit: Duration,
}

impl Patient {
    /// Opens the path. A pipe needs no writer yet.
    ///
    /// # Errors
    /// The error of the operating system.
    pub(crate) fn open(path: &Path, limit: Duration) -> io::Result<Self> {
        let flags = OFlags::NONBLOCK.bits().cast_signed();
        let file = std::fs::OpenOptions::new().read(true).custom_flags(flags).open(path)?;
        Ok(Self { file, limit })
    }
}

impl Read for Patient {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let deadline = Deadline::after(self.limit);
        loop {
            let mut wait = [PollFd::new(&self.file, PollFlags::IN)];
            let left = Timespec::try_from(deadline.remaining()).expect("a limit is at most a day");
            match poll(&mut wait, Some(&left)) {
                Ok(0) => {
                    let why = format!("nothing came within {} s", self.limit.as_secs_f32());
                    return Err(io::Error::new(io::ErrorKind::TimedOut, why));
                }
                Ok(_) => {}
                Err(Errno::INTR) => continue,
                Err(fault) => return Err(fault.into()),
            }
            match rustix::io::read(&self.file, &mut *into) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                read => return Ok(read?),
            }
        }
    }
}

/// A standard stream without the buffer of std, which is never wiped.
pub(crate) struct Unbuffered(BorrowedFd<'static>);

impl Unbuffered {
    /// Returns the standard input.
    pub(crate) fn standard() -> Self {
        Self(rustix::stdio::stdin())
    }
}

impl Read for Unbuffered {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if crate::streams::was_closed(0) {
            return Err(Errno::BADF.into());
        }
        Ok(rustix::io::read(self.0, into)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_longer_than_limit_is_rejected() {
        for len in [0, 1, FIRST, FIRST + 1, 100_000] {
            let given = vec![7_u8; len];
            assert_eq!(read_all(&given[..], 100_000).unwrap().expose(), given);
        }
        let fault = read_all(&vec![7_u8; 100_001][..], 100_000).unwrap_err();
        assert_eq!(fault.kind(), io::ErrorKind::FileTooLarge);
    }

    #[test]
    fn pipe_without_writer_times_out() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, 0o600.into()).unwrap();
        let mut lonely = Patient::open(&path, Duration::from_millis(1)).unwrap();
        assert_eq!(lonely.read(&mut [0; 8]).unwrap_err().kind(), io::ErrorKind::TimedOut);
        let pipe = Patient::open(&path, Duration::from_secs(60)).unwrap();
        let writer = std::thread::spawn(move || std::fs::write(path, b"canary").unwrap());
        assert_eq!(read_all(pipe, 100).unwrap().expose(), b"canary");
        writer.join().unwrap();
    }

    #[test]
    fn text_input_loses_final_newline_unless_exact() {
        let given = || SecretBytes::copy_of(b"a\n\n");
        assert_eq!(text(given(), Ending::LessOneNewline, "--kind").unwrap().expose(), "a\n");
        assert_eq!(text(given(), Ending::Exact, "--kind").unwrap().expose(), "a\n\n");
        for (given, expected) in
            [("a\r\n", "a"), ("a\r\n\r\n", "a\r\n"), ("a\r", "a\r"), ("\r\n", "")]
        {
            let given = SecretBytes::copy_of(given.as_bytes());
            assert_eq!(text(given, Ending::LessOneNewline, "--kind").unwrap().expose(), expected);
        }
        let empty = text(SecretBytes::copy_of(b"\n"), Ending::LessOneNewline, "--kind").unwrap();
        assert_eq!(empty.expose(), "");
        assert!(text(SecretBytes::copy_of(&[0xff]), Ending::Exact, "--kind").is_err());
    }
}

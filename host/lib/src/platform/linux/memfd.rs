//! Memory as a file that nobody can change any more.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::fs::{MemfdFlags, SealFlags};
use rustix::io::Errno;

/// What makes a memfd's bytes stay as they are while we read them.
pub(crate) const SEALS: SealFlags =
    SealFlags::WRITE.union(SealFlags::SHRINK).union(SealFlags::GROW).union(SealFlags::SEAL);

/// The pause after which sealing is given up; it doubles, so that all of them are twice as long.
const LONGEST_PAUSE: Duration = Duration::from_millis(800);

/// Returns a memfd with these bytes that nobody can change any more.
pub(crate) fn sealed_memfd(bytes: &[u8]) -> io::Result<OwnedFd> {
    sealed_memfd_with(|memfd| write_all(memfd, bytes))
}

/// Returns a memfd that nobody can change any more, with what is written to it before.
pub(crate) fn sealed_memfd_with<E: From<io::Error>>(
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_seal_is_retried_up_to_limit() {
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

    #[test]
    fn sealed_memfd_cannot_be_changed() {
        let memfd = sealed_memfd(b"plugin").unwrap();
        assert!(rustix::io::pwrite(&memfd, b"other", 0).is_err());
        assert!(rustix::fs::ftruncate(&memfd, 0).is_err());
        assert!(rustix::fs::fcntl_add_seals(&memfd, SealFlags::FUTURE_WRITE).is_err());
    }
}

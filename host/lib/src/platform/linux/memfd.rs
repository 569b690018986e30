//! Memory as a sealed file: no process can change its bytes any more.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::fs::{MemfdFlags, SealFlags};
use rustix::io::Errno;

/// The seals that keep a memfd's bytes unchanged while they are read.
pub(crate) const SEALS: SealFlags =
    SealFlags::WRITE.union(SealFlags::SHRINK).union(SealFlags::GROW).union(SealFlags::SEAL);

/// Pause after which sealing gives up. Pauses double, so their sum is twice as long.
const LONGEST_PAUSE: Duration = Duration::from_millis(800);

/// Returns a sealed memfd with these bytes: no process can change them any more.
pub(crate) fn sealed_memfd(bytes: &[u8]) -> io::Result<OwnedFd> {
    sealed_memfd_with(|memfd| write_all(memfd, bytes))
}

/// Returns a sealed memfd with the bytes that `fill` writes to it first.
pub(crate) fn sealed_memfd_with<E: From<io::Error>>(
    fill: impl FnOnce(&OwnedFd) -> Result<(), E>,
) -> Result<OwnedFd, E> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Not executable where the kernel has the flag (Linux 6.3); dlopen maps it anyway.
    let memfd = match rustix::fs::memfd_create(c"keystead", flags | MemfdFlags::NOEXEC_SEAL) {
        Err(Errno::INVAL) => rustix::fs::memfd_create(c"keystead", flags),
        made => made,
    }
    .map_err(io::Error::from)?;
    fill(&memfd)?;
    seal(|| rustix::fs::fcntl_add_seals(&memfd, SEALS)).map_err(io::Error::from)?;
    Ok(memfd)
}

/// Seals a memfd and retries on `EBUSY`: right after a write the kernel may hold pages for a
/// moment, for work of its own.
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

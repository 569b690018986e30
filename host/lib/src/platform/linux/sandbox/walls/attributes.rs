//! `mount_setattr`, which no library that the project uses has.
#![allow(unsafe_code, reason = "one system call that no library has")]

use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::io::Errno;
use rustix::mount::MountAttrFlags;

/// Whether a change also applies to the mounts below a mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    One,
    All,
}

/// How later mounts outside reach this mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Propagation {
    /// An unmount outside also unmounts here; changes here never reach the outside.
    Slave,
    /// No propagation in either direction.
    Private,
}

/// Sets flags of the mount that a descriptor is the root of.
pub(super) fn set(
    mount: BorrowedFd<'_>,
    flags: MountAttrFlags,
    propagation: Propagation,
    depth: Depth,
) -> Result<(), Errno> {
    let propagation = match propagation {
        Propagation::Slave => libc::MS_SLAVE,
        Propagation::Private => libc::MS_PRIVATE,
    };
    change(mount, flags, MountAttrFlags::empty(), propagation, depth)
}

/// Makes a mount of this process's own writable again.
pub(super) fn make_writable(mount: BorrowedFd<'_>) -> Result<(), Errno> {
    let read_only = MountAttrFlags::MOUNT_ATTR_RDONLY;
    change(mount, MountAttrFlags::empty(), read_only, 0, Depth::One)
}

fn change(
    mount: BorrowedFd<'_>,
    set: MountAttrFlags,
    clear: MountAttrFlags,
    propagation: u64,
    depth: Depth,
) -> Result<(), Errno> {
    let attributes = libc::mount_attr {
        attr_set: u64::from(set.bits()),
        attr_clr: u64::from(clear.bits()),
        propagation,
        userns_fd: 0,
    };
    let recursive = if depth == Depth::All { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path is an empty C string and the structure has the passed size. Both live until
    // the call returns, and the kernel writes to neither.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | recursive,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    if answer == 0 {
        return Ok(());
    }
    let error = std::io::Error::last_os_error();
    Err(Errno::from_io_error(&error).unwrap_or(Errno::INVAL))
}

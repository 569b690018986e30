//! The root directory of a runner: an empty file system in memory, with mounts of what the plugin
//! may see.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags,
    fsconfig_create, fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
};

use super::attributes::{self, Depth, Propagation};

/// Flag of every mount: no program gains privileges of its own.
const NEVER: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_NOSUID;

/// Flags of read-only mounts.
pub(super) const READ: MountAttrFlags = WRITE.union(MountAttrFlags::MOUNT_ATTR_RDONLY);

/// Flags of writable mounts.
pub(super) const WRITE: MountAttrFlags =
    NEVER.union(MountAttrFlags::MOUNT_ATTR_NODEV).union(MountAttrFlags::MOUNT_ATTR_NOEXEC);

/// A copy of a mount, with all mounts below it, that is not attached anywhere yet.
pub(super) struct Tree {
    mount: OwnedFd,
    is_dir: bool,
}

impl Tree {
    /// Copies the mount that a descriptor of this mount namespace leads to. A device stays a device
    /// whatever the flags, as the device was named itself.
    pub(super) fn of(found: BorrowedFd<'_>, flags: MountAttrFlags) -> io::Result<Self> {
        let kind = FileType::from_raw_mode(rustix::fs::fstat(found)?.st_mode);
        let is_dir = kind == FileType::Directory;
        let (below, depth) = match is_dir {
            true => (OpenTreeFlags::AT_RECURSIVE, Depth::All),
            false => (OpenTreeFlags::empty(), Depth::One),
        };
        let copy = OpenTreeFlags::OPEN_TREE_CLONE
            | OpenTreeFlags::OPEN_TREE_CLOEXEC
            | OpenTreeFlags::AT_EMPTY_PATH;
        let mount = open_tree(found, "", copy | below)?;
        let flags = match kind {
            FileType::CharacterDevice => flags - MountAttrFlags::MOUNT_ATTR_NODEV,
            _ => flags,
        };
        attributes::set(mount.as_fd(), flags, Propagation::Private, depth)?;
        Ok(Self { mount, is_dir })
    }
}

/// A root directory under construction. It lies above the old root, and no process sees it yet.
pub(super) struct Root {
    dir: OwnedFd,
    device: u64,
}

impl Root {
    /// Creates an empty root. The old root can only be read from here on, and no mount made here
    /// reaches the outside.
    pub(super) fn new() -> io::Result<Self> {
        let old = open(rustix::fs::CWD, OsStr::new("/"))?;
        attributes::set(old.as_fd(), NEVER, Propagation::Slave, Depth::All)?;
        let files = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
        fsconfig_set_string(&files, "mode", "755")?;
        fsconfig_set_string(&files, "size", "1m")?;
        fsconfig_create(&files)?;
        let dir = fsmount(
            &files,
            FsMountFlags::FSMOUNT_CLOEXEC,
            NEVER | MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOEXEC,
        )?;
        let device = rustix::fs::fstat(&dir)?.st_dev;
        move_mount(&dir, "", rustix::fs::CWD, "/", MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
        rustix::process::fchdir(&dir)?;
        Ok(Self { dir, device })
    }

    /// Mounts an absolute path of this system at the same path, before any granted object is
    /// mounted: nothing here can lead elsewhere yet. A path that the system lacks is skipped.
    pub(super) fn mount_base(&self, path: &Path, kind: FileType) -> io::Result<()> {
        let name = relative(path);
        let is_dir = kind == FileType::Directory;
        self.make(name, is_dir)?;
        // Half the work of copying it and moving the copy. This process is in that directory.
        let mounted = match is_dir {
            true => rustix::mount::mount_bind_recursive(path, name),
            false => rustix::mount::mount_bind(path, name),
        };
        Ok(mounted?)
    }

    /// Makes all mounts so far read-only.
    pub(super) fn end_base(&self) -> io::Result<()> {
        let flags = NEVER | MountAttrFlags::MOUNT_ATTR_RDONLY;
        attributes::set(self.dir.as_fd(), flags, Propagation::Private, Depth::All)?;
        Ok(attributes::make_writable(self.dir.as_fd())?)
    }

    /// Creates a link at an absolute path of this system, under the same condition.
    pub(super) fn link(&self, target: &Path, path: &Path) -> io::Result<()> {
        let name = relative(path);
        self.make_above(name)?;
        Ok(rustix::fs::symlinkat(target, &self.dir, name)?)
    }

    /// Creates an empty file or a directory, with its parent directories.
    fn make(&self, name: &Path, is_dir: bool) -> io::Result<()> {
        let make = || match is_dir {
            true => rustix::fs::mkdirat(&self.dir, name, Mode::from_raw_mode(0o755)),
            false => {
                let (kind, mode) = (FileType::RegularFile, Mode::from_raw_mode(0o600));
                rustix::fs::mknodat(&self.dir, name, kind, mode, 0)
            }
        };
        match make() {
            Err(Errno::NOENT) => {
                self.make_above(name)?;
                Ok(make()?)
            }
            // One of the system's paths lies inside another.
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn make_above(&self, name: &Path) -> io::Result<()> {
        let above: Vec<&Path> = name.ancestors().skip(1).collect();
        for dir in above.into_iter().rev().filter(|dir| !dir.as_os_str().is_empty()) {
            match rustix::fs::mkdirat(&self.dir, dir, Mode::from_raw_mode(0o755)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Mounts a copy at this absolute path. Missing directories are created only in this root:
    /// inside another mount they must exist.
    ///
    /// # Errors
    /// `ENOENT` and `ENOTDIR` if the path does not exist there, or leads through a link.
    pub(super) fn mount(&self, tree: &Tree, path: &Path) -> io::Result<()> {
        let names: Vec<&OsStr> = path
            .components()
            .filter_map(|part| match part {
                Component::Normal(name) => Some(name),
                _ => None,
            })
            .collect();
        let Some((last, above)) = names.split_last() else {
            return Err(Errno::BUSY.into());
        };
        let mut at: Option<OwnedFd> = None;
        for name in above {
            let here = at.as_ref().map_or(self.dir.as_fd(), AsFd::as_fd);
            let next = self.entered(here, name, true)?;
            at = Some(next);
        }
        let here = at.as_ref().map_or(self.dir.as_fd(), AsFd::as_fd);
        let target = self.entered(here, last, tree.is_dir)?;
        let flags =
            MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
        Ok(move_mount(&tree.mount, "", &target, "", flags)?)
    }

    /// Opens a name, and creates it if needed.
    fn entered(&self, at: BorrowedFd<'_>, name: &OsStr, is_dir: bool) -> io::Result<OwnedFd> {
        let found = match open(at, name) {
            Err(Errno::NOENT) if rustix::fs::fstat(at)?.st_dev == self.device => {
                if is_dir {
                    rustix::fs::mkdirat(at, name, Mode::from_raw_mode(0o755))?;
                } else {
                    let regular = FileType::RegularFile;
                    rustix::fs::mknodat(at, name, regular, Mode::from_raw_mode(0o600), 0)?;
                }
                open(at, name)?
            }
            found => found?,
        };
        let kind = FileType::from_raw_mode(rustix::fs::fstat(&found)?.st_mode);
        if kind == FileType::Symlink || (kind == FileType::Directory) != is_dir {
            return Err(Errno::NOTDIR.into());
        }
        Ok(found)
    }

    /// Becomes the root of this process, which is read-only from then on.
    pub(super) fn enter(self) -> io::Result<()> {
        let read_only = MountAttrFlags::MOUNT_ATTR_RDONLY;
        attributes::set(self.dir.as_fd(), read_only, Propagation::Private, Depth::One)?;
        // Not `pivot_root`: the old root is out of reach without descriptors and capabilities, and
        // unmounting it waits for all processors.
        match rustix::process::chroot(".") {
            // Podman's filter for a container without `CAP_SYS_CHROOT` refuses this call, also in a
            // user namespace that has it, and refuses none of mounting.
            Err(Errno::PERM) => {
                rustix::process::pivot_root(".", ".")?;
                // The old root lies above the new one now.
                rustix::mount::unmount(".", UnmountFlags::DETACH)?;
            }
            entered => entered?,
        }
        Ok(rustix::process::chdir("/")?)
    }
}

/// Returns a path as it is below a root.
fn relative(path: &Path) -> &Path {
    path.strip_prefix("/").unwrap_or(path)
}

/// Opens this name without following a link.
fn open(at: impl AsFd, name: &OsStr) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(at, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
}

/// Opens in this mount namespace the object of a descriptor of another namespace, by its path
/// there. Returns `None` if another object is there by now.
pub(super) fn again(path: &OsString, is: &Stat) -> Option<OwnedFd> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let found = rustix::fs::openat2(rustix::fs::CWD, path, flags, Mode::empty(), resolve).ok()?;
    let stat = rustix::fs::statat(&found, "", AtFlags::EMPTY_PATH).ok()?;
    ((stat.st_dev, stat.st_ino) == (is.st_dev, is.st_ino)).then_some(found)
}

//! Checks of who could have written a file or directory. The plugin trusts root, this user and
//! read-only mounts.

use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;

use keystead_plugin_api::{Context, Error, Result};
use rustix::fs::{Mode, Stat, StatVfsMountFlags};

/// The owner that the kernel shows for every user unknown to the user namespace.
const OVERFLOW: u32 = 65_534;

/// Access to file states outside the sandbox, from the host. Inside, all other users' files may
/// show one owner, and readable paths are mounted read-only whatever the mount outside.
#[derive(Clone)]
pub(crate) struct Outside(Arc<Context>);

impl Outside {
    pub(crate) fn new(context: Arc<Context>) -> Self {
        Self(context)
    }

    /// Returns the state and mount outside the sandbox of a file opened at this path, or of a link
    /// in an open directory.
    ///
    /// # Errors
    /// The host's, if it does not answer; `Unavailable` if the path now leads to another file.
    pub(crate) fn seen(
        &self,
        place: &Path,
        mut stat: Stat,
        open: impl AsFd,
    ) -> Result<(Stat, Mount)> {
        // A file shown as ours is ours, and no other user may write it, however it is mounted.
        if stat.st_uid == us() && stat.st_uid != OVERFLOW && mode(&stat) & 0o022 == 0 {
            return Ok((stat, Mount::Writable));
        }
        let shown = place.display();
        let path = place.to_str().ok_or_else(|| {
            Error::unsupported(format!("the owner of {shown} cannot be asked: it is not UTF-8"))
        });
        let Some(outside) = self.0.ownership(path?)? else {
            let mount = Mount::of(open).map_err(|error| crate::failed("read", place, error))?;
            return Ok((stat, mount));
        };
        if (outside.device, outside.inode) != (stat.st_dev, stat.st_ino) {
            return Err(Error::unavailable(format!("{shown} was replaced while it was looked at")));
        }
        stat.st_uid = outside.owner;
        let read_only = outside.is_read_only;
        Ok((stat, if read_only { Mount::ReadOnly } else { Mount::Writable }))
    }
}

fn us() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Returns whether this user's number stands for all unknown users, so that it proves no owner.
fn is_nobody() -> bool {
    // An unreadable map means a sandbox, where the host has already checked.
    let all = |map: String| map.split_whitespace().eq(["0", "0", "4294967295"]);
    us() == OVERFLOW && std::fs::read_to_string("/proc/self/uid_map").is_ok_and(|map| !all(map))
}

/// Whether the file system is mounted read-only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mount {
    /// Mounted read-only: the content is what the mounting user provided.
    ReadOnly,
    /// Every user with write permission can write.
    Writable,
}

impl Mount {
    /// Returns how the file system of an open directory or file is mounted.
    fn of(open: impl AsFd) -> rustix::io::Result<Self> {
        let flags = rustix::fs::fstatvfs(open)?.f_flag;
        let read_only = flags.contains(StatVfsMountFlags::RDONLY);
        Ok(if read_only { Self::ReadOnly } else { Self::Writable })
    }
}

/// Returns the permission bits.
pub(crate) fn mode(stat: &Stat) -> u32 {
    Mode::from_raw_mode(stat.st_mode).bits()
}

/// Checks that only root and this user write a directory's entries. In a sticky one, as in
/// Kubernetes, other users may add entries but replace none: each entry's owner is checked.
pub(crate) fn dir(path: &Path, stat: &Stat, mount: Mount) -> Result<()> {
    owner(path, stat, mount)?;
    let sticky = Mode::from_raw_mode(stat.st_mode).contains(Mode::SVTX);
    if sticky { Ok(()) } else { writers(path, stat, mount, "go-w") }
}

/// Checks that only root and this user wrote a file.
pub(crate) fn file(path: &Path, stat: &Stat, mount: Mount) -> Result<()> {
    owner(path, stat, mount)?;
    writers(path, stat, mount, "go-w")
}

/// Checks that a writable directory is ours, and that no other user may write there.
pub(crate) fn own_dir(path: &Path, stat: &Stat) -> Result<()> {
    if stat.st_uid != us() || is_nobody() {
        return Err(not_ours(path, stat));
    }
    writers(path, stat, Mount::Writable, "700")
}

/// Checks only the owner of an entry: a link has no mode of its own.
pub(crate) fn owner(path: &Path, stat: &Stat, mount: Mount) -> Result<()> {
    let ours = stat.st_uid == 0 || (stat.st_uid == us() && !is_nobody());
    if ours || mount == Mount::ReadOnly { Ok(()) } else { Err(not_ours(path, stat)) }
}

fn not_ours(path: &Path, stat: &Stat) -> Error {
    Error::permission_denied(format!(
        "{} belongs to another user (number {}), who may write there",
        path.display(),
        stat.st_uid
    ))
}

fn writers(path: &Path, stat: &Stat, mount: Mount, remedy: &str) -> Result<()> {
    if mount == Mount::ReadOnly || mode(stat) & 0o022 == 0 {
        return Ok(());
    }
    let shown = path.display();
    Err(Error::permission_denied(format!(
        "others may write {shown} (mode {:03o}): run `chmod {remedy} {shown}` if that is not meant",
        mode(stat) & 0o7777
    )))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

    use super::*;

    /// Returns the state of something with this owner and mode.
    fn stat(uid: u32, mode: u32) -> Stat {
        let mut stat = rustix::fs::stat("/").unwrap();
        stat.st_uid = uid;
        stat.st_mode = (stat.st_mode & !0o7777) | mode;
        stat
    }

    #[test]
    fn file_of_another_user_is_trusted_only_on_read_only_mount() {
        let us = rustix::process::geteuid().as_raw();
        let path = Path::new("/run/secrets/token");
        for ours in [0, us] {
            file(path, &stat(ours, 0o400), Mount::Writable).unwrap();
            dir(path, &stat(ours, 0o1777), Mount::Writable).unwrap();
        }
        let other = us + 1;
        for check in [file, dir] {
            let error = check(path, &stat(other, 0o700), Mount::Writable).unwrap_err();
            let words = format!(
                "/run/secrets/token belongs to another user (number {other}), who may write there"
            );
            assert_eq!(error.message(), words);
            // The file that Compose mounts still belongs to its owner outside.
            check(path, &stat(other, 0o666), Mount::ReadOnly).unwrap();
        }
        own_dir(path, &stat(us, 0o755)).unwrap();
        own_dir(path, &stat(other, 0o755)).unwrap_err();
        own_dir(path, &stat(us, 0o1777)).unwrap_err();
    }
}

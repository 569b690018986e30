//! Who could have written what is read: only root and we ourselves, or whoever mounted it
//! read-only.

use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;

use keystead_plugin_api::{Context, Error, Result};
use rustix::fs::{Mode, Stat, StatVfsMountFlags};

/// The owner that the kernel shows for every user that a user namespace does not know.
const OVERFLOW: u32 = 65_534;

/// The host's eyes. In a sandbox every other user's file may show the same owner, and what may only be
/// read is mounted read-only whatever it is outside.
#[derive(Clone)]
pub(crate) struct Outside(Arc<Context>);

impl Outside {
    pub(crate) fn new(context: Arc<Context>) -> Self {
        Self(context)
    }

    /// Returns the state and the mount, as they are outside, of what was opened at this place, or of
    /// a link in what was opened.
    ///
    /// # Errors
    /// The host's where it does not tell; `Unavailable` where something else is there by now.
    pub(crate) fn seen(
        &self,
        place: &Path,
        mut stat: Stat,
        open: impl AsFd,
    ) -> Result<(Stat, Mount)> {
        // Shown as ours, it is ours, and nobody else may write it, however it is mounted.
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

/// Whether this user's number stands for every unknown user here, so that nothing is its own.
fn is_nobody() -> bool {
    // What cannot be read is a sandbox's, whose host has looked.
    let all = |map: String| map.split_whitespace().eq(["0", "0", "4294967295"]);
    us() == OVERFLOW && std::fs::read_to_string("/proc/self/uid_map").is_ok_and(|map| !all(map))
}

/// Whether what is read can be written where we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mount {
    /// It is mounted read-only: what is there is what the one who mounted it gave us.
    ReadOnly,
    /// Whoever has the right to may write.
    Writable,
}

impl Mount {
    /// Returns how the file system of an open directory or file is mounted there.
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

/// Checks that nobody but root and us put a directory's entries there. In a sticky directory others
/// may add entries, as in those of Kubernetes, but not replace one: each entry's own owner tells.
pub(crate) fn dir(path: &Path, stat: &Stat, mount: Mount) -> Result<()> {
    owner(path, stat, mount)?;
    let sticky = Mode::from_raw_mode(stat.st_mode).contains(Mode::SVTX);
    if sticky { Ok(()) } else { writers(path, stat, mount, "go-w") }
}

/// Checks that nobody but root and us wrote a file.
pub(crate) fn file(path: &Path, stat: &Stat, mount: Mount) -> Result<()> {
    owner(path, stat, mount)?;
    writers(path, stat, mount, "go-w")
}

/// Checks that a directory that is written to is ours, and that nobody else may write there.
pub(crate) fn own_dir(path: &Path, stat: &Stat) -> Result<()> {
    if stat.st_uid != us() || is_nobody() {
        return Err(not_ours(path, stat));
    }
    writers(path, stat, Mount::Writable, "700")
}

/// Checks who owns an entry, and nothing else of it: a link has no mode of its own.
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
            // A file that Compose mounts is still its owner's outside.
            check(path, &stat(other, 0o666), Mount::ReadOnly).unwrap();
        }
        own_dir(path, &stat(us, 0o755)).unwrap();
        own_dir(path, &stat(other, 0o755)).unwrap_err();
        own_dir(path, &stat(us, 0o1777)).unwrap_err();
    }
}

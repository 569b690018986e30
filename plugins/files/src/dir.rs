//! The directory of a vault at one moment. Kubernetes changes all files of a volume at once: it
//! creates a new directory beside the old one and switches the link `..data`. So this module reads
//! from one open directory, and reads again after a switch.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use keystead_plugin_api::{Deadline, Error, Result};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::failed;
use crate::kinds;
use crate::trust::{self, Outside};

/// Link of a Kubernetes volume to the directory that holds its current files.
const DATA: &str = "..data";

/// Pause before a directory is read again after a switch.
const SWAP: Duration = Duration::from_millis(1);

/// Flags for directories: no link is followed as the last path component, except the vault's own.
const OPEN: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Location of a vault's files.
pub(crate) struct SecretsDir {
    path: PathBuf,
    outside: Outside,
}

/// Layout of the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// The files are in the directory itself.
    Plain,
    /// The files are in the target directory of `..data`, which is switched as a whole.
    Kubernetes,
}

/// An open directory with its files at one moment.
pub(crate) struct Snapshot {
    /// The directory that holds the files.
    pub(crate) dir: OwnedFd,
    /// Path for messages.
    pub(crate) path: PathBuf,
    /// Actual path, without links below the vault's path.
    pub(crate) place: PathBuf,
    pub(crate) outside: Outside,
    pub(crate) layout: Layout,
    /// State of the directory itself.
    pub(crate) stat: Stat,
    /// Cached index of kinds.
    pub(crate) kinds: kinds::Cache,
}

/// Result of a read from a snapshot.
pub(crate) enum Read<T> {
    /// Complete, even if the snapshot was replaced since.
    Whole(T),
    /// Possibly incomplete, if the snapshot was being removed.
    Perhaps(T),
}

/// Content of the vault's path.
enum Found {
    Nothing,
    Snapshot(Box<Snapshot>),
    /// The snapshot was removed before it could be opened.
    Swapped,
}

impl SecretsDir {
    /// Returns the directory at this path without opening anything.
    ///
    /// # Errors
    /// `Invalid` if the path cannot be a directory's path.
    pub(crate) fn new(parameter: &str, path: &str, outside: Outside) -> Result<Self> {
        let path = PathBuf::from(path);
        if !path.is_absolute() {
            let shown = path.display();
            return Err(Error::invalid(format!("`{parameter}` is not an absolute path: {shown}")));
        }
        Ok(Self { path, outside })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads from one snapshot; `None` if there is no directory. Calls `read` again if the snapshot
    /// was switched during the read.
    ///
    /// # Errors
    /// Those of `read` from a snapshot that was not switched; `TimedOut` if every snapshot was.
    pub(crate) fn read<T>(
        &self,
        deadline: Deadline,
        mut read: impl FnMut(&Snapshot) -> Result<Read<T>>,
    ) -> Result<Option<T>> {
        loop {
            match self.find()? {
                Found::Nothing => return Ok(None),
                Found::Swapped => {}
                Found::Snapshot(snapshot) => match read(&snapshot) {
                    Ok(Read::Whole(answer)) => return Ok(Some(answer)),
                    Ok(Read::Perhaps(answer)) if self.is_still(&snapshot) => {
                        return Ok(Some(answer));
                    }
                    Err(error) if self.is_still(&snapshot) => return Err(error),
                    _ => {}
                },
            }
            if deadline.has_passed() {
                return Err(Error::timed_out());
            }
            std::thread::sleep(SWAP);
        }
    }

    /// Returns whether a snapshot is still current. While the snapshot is open, no other directory
    /// has its inode number.
    pub(crate) fn is_still(&self, snapshot: &Snapshot) -> bool {
        let id = |stat: &Stat| (stat.st_dev, stat.st_ino);
        matches!(self.find(), Ok(Found::Snapshot(now)) if id(&now.stat) == id(&snapshot.stat))
    }

    fn find(&self) -> Result<Found> {
        let path = &self.path;
        let dir = match rustix::fs::open(path, OPEN, Mode::empty()) {
            Ok(dir) => dir,
            Err(Errno::NOENT) => return Ok(Found::Nothing),
            Err(Errno::NOTDIR) => {
                return Err(Error::invalid(format!("{} is not a directory", path.display())));
            }
            Err(error) => return Err(failed("open", path, error)),
        };
        let outer = opened(dir, path, path.clone(), &self.outside, Layout::Plain)?;
        let Some(target) = data(&outer)? else { return Ok(Found::Snapshot(Box::new(outer))) };
        // Without following another link: the name is that of a directory beside the link.
        let flags = OPEN.union(OFlags::NOFOLLOW);
        match rustix::fs::openat(&outer.dir, target.as_slice(), flags, Mode::empty()) {
            Ok(dir) => {
                let place = path.join(OsStr::from_bytes(&target));
                let snapshot = opened(dir, path, place, &self.outside, Layout::Kubernetes)?;
                Ok(Found::Snapshot(Box::new(snapshot)))
            }
            Err(Errno::NOENT) => Ok(Found::Swapped),
            Err(Errno::LOOP | Errno::NOTDIR) => Err(leads_out(path)),
            Err(error) => Err(failed("open", &path.join(DATA), error)),
        }
    }
}

/// Returns the snapshot of an open directory, if the directory is trusted.
fn opened(
    dir: OwnedFd,
    path: &Path,
    place: PathBuf,
    outside: &Outside,
    layout: Layout,
) -> Result<Snapshot> {
    let stat = rustix::fs::fstat(&dir).map_err(|error| failed("read", path, error))?;
    let (stat, mount) = outside.seen(&place, stat, &dir)?;
    trust::dir(path, &stat, mount)?;
    let outside = outside.clone();
    let kinds = kinds::Cache::default();
    Ok(Snapshot { dir, path: path.to_owned(), place, outside, layout, stat, kinds })
}

/// Returns the target of the link `..data`, if there is one.
fn data(outer: &Snapshot) -> Result<Option<Vec<u8>>> {
    let path = outer.path.join(DATA);
    let stat = match rustix::fs::statat(&outer.dir, DATA, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => stat,
        Err(Errno::NOENT) => return Ok(None),
        Err(error) => return Err(failed("read", &path, error)),
    };
    if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
        return Ok(None);
    }
    let (stat, mount) = outer.outside.seen(&outer.place.join(DATA), stat, &outer.dir)?;
    trust::owner(&path, &stat, mount)?;
    let target = match rustix::fs::readlinkat(&outer.dir, DATA, Vec::new()) {
        Ok(target) => target.into_bytes(),
        Err(error) => return Err(failed("read", &path, error)),
    };
    // The form that Kubernetes writes: `..2026_11_26_02_23_32.1234567890`.
    let beside = target.starts_with(b"..") && target.len() > 2 && !target.contains(&b'/');
    if beside { Ok(Some(target)) } else { Err(leads_out(&outer.path)) }
}

fn leads_out(path: &Path) -> Error {
    Error::permission_denied(format!(
        "the link {} does not lead to a directory beside it, as those of Kubernetes do",
        path.join(DATA).display()
    ))
}

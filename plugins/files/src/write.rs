//! Writing: a new file atomically and permanently replaces the old one. A writer holds the
//! directory's lock; readers need none.

use std::cell::Cell;
use std::fs::{DirBuilder, File};
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use keystead_plugin_api::{
    Deadline, Error, Result, SecretBytes, WriteMode, Written, check_version,
};
use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags, RenameFlags, Stat};
use rustix::io::Errno;

use crate::content::Mark;
use crate::dir::{Layout, Read, SecretsDir, Snapshot};
use crate::entry::{self, Look};
use crate::failed;
use crate::kinds::{self, Kinds};
use crate::name::TEMPORARY;
use crate::trust;

/// Pause between attempts to lock the directory.
const LOCKED: Duration = Duration::from_millis(5);

/// Longest tick of the file clock, unless it counts whole seconds.
const TICK: Duration = Duration::from_millis(20);

/// Number of waits for the file clock: some clocks have ticks of two seconds.
const TICKS: usize = 1_000;

/// Number of attempts to open a directory that is repeatedly removed.
const TRIES: usize = 5;

/// Treatment of a missing directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IfMissing {
    /// Create the directory and its missing parents.
    Make,
    /// Do nothing.
    Leave,
}

/// New content of a file.
pub(crate) struct Content<'a> {
    pub(crate) bytes: &'a SecretBytes,
    pub(crate) mark: Mark,
    pub(crate) mode: WriteMode,
    /// Version that the current file must have; `None` for any.
    pub(crate) if_version: Option<&'a str>,
}

/// The right to write to a directory until it is dropped.
pub(crate) struct Writer {
    dir: Snapshot,
    /// Whether the index has lines for contents that no longer exist.
    is_untidy: Cell<bool>,
    /// Whether lines were added to the index.
    adds: Cell<bool>,
}

impl Writer {
    /// Waits for a directory's lock; `None` if there is no directory.
    ///
    /// # Errors
    /// `TimedOut` if another writer holds the lock; `PermissionDenied` if other users may write to
    /// the directory; `Unsupported` for a volume of Kubernetes.
    pub(crate) fn take(
        dir: &SecretsDir,
        if_missing: IfMissing,
        deadline: Deadline,
    ) -> Result<Option<Self>> {
        for _ in 0..TRIES {
            let opened = dir.read(deadline, |snapshot| open(snapshot).map(Read::Whole))?;
            let Some(opened) = opened else {
                if if_missing == IfMissing::Leave {
                    return Ok(None);
                }
                make(dir.path())?;
                continue;
            };
            lock(&opened, deadline)?;
            // Another process may have replaced the directory during the wait.
            if dir.is_still(&opened) {
                return Ok(Some(Self {
                    dir: opened,
                    is_untidy: Cell::new(false),
                    adds: Cell::new(false),
                }));
            }
        }
        // For example, a link without a target: no directory can be created there.
        let shown = dir.path().display();
        Err(Error::unavailable(format!("{shown} is no directory that stays, and none can be made")))
    }

    /// Writes one file. The write is permanent once [`Writer::finish`] succeeds.
    ///
    /// # Errors
    /// `AlreadyExists` and `NotFound` by the mode and the version; `PermissionDenied` if the name
    /// belongs to a link, a directory or a special file.
    pub(crate) fn write(&self, name: &str, new: &Content<'_>) -> Result<Written> {
        let old = match (entry::look(&self.dir, name)?, new.mode) {
            (Look::Nothing, WriteMode::Replace) => return Err(Error::not_found()),
            (Look::Nothing, _) => None,
            (_, WriteMode::CreateOnly) => return Err(Error::already_exists()),
            (Look::File(stat), _) => Some(stat),
            (Look::Link, _) => return Err(entry::link(&self.dir, name)),
            (Look::Special, _) => return Err(entry::special(&self.dir, name)),
            (Look::Dir, _) => {
                let shown = entry::path(&self.dir, name);
                return Err(Error::permission_denied(format!(
                    "{} is a directory",
                    shown.display()
                )));
            }
        };
        check_version(new.if_version, old.as_ref().map(entry::version).as_deref())?;
        let written = self.prepare(name, new, old.as_ref()).and_then(|stat| {
            self.publish(name, new.mode)?;
            Ok(Written::new().of_version(entry::version(&stat)))
        });
        if written.is_err() {
            let _ = rustix::fs::unlinkat(&self.dir.dir, TEMPORARY, AtFlags::empty());
        }
        written
    }

    /// Writes the temporary file and its line in the index.
    fn prepare(&self, name: &str, new: &Content<'_>, old: Option<&Stat>) -> Result<Stat> {
        let path = entry::path(&self.dir, name);
        let wrong = |error: io::Error| failed("write", &path, error);
        let write = || self.temporary(new.bytes);
        let kinds = match new.mark {
            Mark::Bytes => None,
            _ => Some(self.kinds()?),
        };
        let written = told_apart(kinds.as_deref(), name, old, TICKS, write).map_err(wrong)?;
        let Some(stat) = written else {
            let shown = path.display();
            return Err(Error::unavailable(format!(
                "cannot write {shown}: the clock of its files stands still"
            )));
        };
        match kinds {
            Some(kinds) => self.is_untidy.set(self.is_untidy.get() || kinds.knows(name)),
            None => {
                self.adds.set(true);
                // Before the rename, and permanent: if the rename fails, the line matches no file.
                kinds::add(&self.dir, name, &stat).map_err(wrong)?;
            }
        }
        Ok(stat)
    }

    fn kinds(&self) -> Result<Rc<Kinds>> {
        let kinds = Kinds::of(&self.dir);
        kinds.map_err(|error| failed("read", &self.dir.path, error))
    }

    /// Writes the temporary file and returns its state.
    fn temporary(&self, content: &SecretBytes) -> io::Result<Stat> {
        let mut file = created(&self.dir.dir, TEMPORARY)?;
        file.write_all(content.expose())?;
        file.sync_all()?;
        Ok(rustix::fs::fstat(&file)?)
    }

    /// Renames the temporary file.
    fn publish(&self, name: &str, mode: WriteMode) -> Result<()> {
        let dir = &self.dir.dir;
        let renamed = match mode {
            WriteMode::CreateOnly => {
                match rustix::fs::renameat_with(dir, TEMPORARY, dir, name, RenameFlags::NOREPLACE) {
                    // Without support for this rename, a hard link does the same.
                    Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
                        rustix::fs::linkat(dir, TEMPORARY, dir, name, AtFlags::empty())
                            .and_then(|()| rustix::fs::unlinkat(dir, TEMPORARY, AtFlags::empty()))
                    }
                    renamed => renamed,
                }
            }
            _ => rustix::fs::renameat(dir, TEMPORARY, dir, name),
        };
        match renamed {
            Ok(()) => Ok(()),
            Err(Errno::EXIST) => Err(Error::already_exists()),
            Err(error) => Err(failed("write", &entry::path(&self.dir, name), error)),
        }
    }

    /// Removes a file. The removal is permanent once [`Writer::finish`] succeeds.
    ///
    /// # Errors
    /// As for [`entry::file`], and by the version.
    pub(crate) fn remove(&self, name: &str, if_version: Option<&str>) -> Result<()> {
        let old = entry::file(&self.dir, name)?;
        check_version(if_version, Some(&entry::version(&old)))?;
        // Ensures that the next write under this name has another time than the removed file.
        if is_of_this_tick(&old) {
            std::thread::sleep(TICK);
        }
        self.is_untidy.set(self.is_untidy.get() || self.kinds()?.knows(name));
        match rustix::fs::unlinkat(&self.dir.dir, name, AtFlags::empty()) {
            Ok(()) => Ok(()),
            Err(Errno::NOENT) => Err(Error::not_found()),
            Err(error) => Err(failed("remove", &entry::path(&self.dir, name), error)),
        }
    }

    /// Waits until all names are on the disk.
    pub(crate) fn finish(self) -> Result<()> {
        if self.is_untidy.get() || (self.adds.get() && self.kinds()?.is_stale()) {
            // Removed names are not kept in the index.
            let tidied = kinds::tidy(&self.dir);
            tidied.map_err(|error| failed("write", &self.dir.path, error))?;
        }
        rustix::fs::fsync(&self.dir.dir).map_err(|error| failed("write", &self.dir.path, error))
    }
}

/// Writes a file until its time differs from that of the replaced content, and until the index does
/// not mistake a text for bytes. Both happen for writes within one tick of the file clock. `None`
/// if that clock stands still.
fn told_apart(
    kinds: Option<&Kinds>,
    name: &str,
    old: Option<&Stat>,
    ticks: usize,
    mut write: impl FnMut() -> io::Result<Stat>,
) -> io::Result<Option<Stat>> {
    let time = |stat: &Stat| (stat.st_mtime, stat.st_mtime_nsec);
    for _ in 0..ticks {
        let stat = write()?;
        let is_taken_for_bytes = kinds.is_some_and(|kinds| kinds.has(name, &stat));
        if !is_taken_for_bytes && old.map(time) != Some(time(&stat)) {
            return Ok(Some(stat));
        }
        std::thread::sleep(LOCKED);
    }
    Ok(None)
}

/// Returns whether a file may have been written within the current tick.
fn is_of_this_tick(stat: &Stat) -> bool {
    let age = u64::try_from(stat.st_mtime).ok().and_then(|seconds| {
        let written = UNIX_EPOCH + Duration::from_secs(seconds);
        SystemTime::now().duration_since(written).ok()
    });
    // Some file clocks have ticks of two seconds: those are not waited for.
    let nanoseconds = Duration::from_nanos(stat.st_mtime_nsec);
    age.and_then(|age| age.checked_sub(nanoseconds)).is_none_or(|age| age < TICK)
}

/// Creates a file for its owner alone, and replaces a leftover of a killed process.
pub(crate) fn created(dir: &OwnedFd, name: &str) -> io::Result<File> {
    match rustix::fs::unlinkat(dir, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => return Err(error.into()),
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
    let own = Mode::RUSR | Mode::WUSR;
    let file = rustix::fs::openat(dir, name, flags | OFlags::CLOEXEC, own)?;
    // The umask may have removed bits. The sandbox denies `fchmod` and removes no bits.
    let made = rustix::fs::fstat(&file)?;
    if Mode::from_raw_mode(made.st_mode) != own {
        rustix::fs::fchmod(&file, own)?;
    }
    Ok(File::from(file))
}

/// Duplicates a snapshot's open directory, if the directory is writable.
fn open(snapshot: &Snapshot) -> Result<Snapshot> {
    let path = &snapshot.path;
    if snapshot.layout == Layout::Kubernetes {
        return Err(Error::unsupported(format!(
            "{} is a volume of Kubernetes, which alone writes to it",
            path.display()
        )));
    }
    trust::own_dir(path, &snapshot.stat)?;
    let dir = rustix::io::fcntl_dupfd_cloexec(&snapshot.dir, 0);
    Ok(Snapshot {
        dir: dir.map_err(|error| failed("open", path, error))?,
        path: path.clone(),
        kinds: kinds::Cache::default(),
        place: snapshot.place.clone(),
        outside: snapshot.outside.clone(),
        ..*snapshot
    })
}

/// Waits for the lock of an open directory.
fn lock(dir: &Snapshot, deadline: Deadline) -> Result<()> {
    loop {
        match rustix::fs::flock(&dir.dir, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(()),
            Err(Errno::WOULDBLOCK) if deadline.has_passed() => return Err(Error::timed_out()),
            Err(Errno::WOULDBLOCK) => std::thread::sleep(LOCKED),
            Err(Errno::INTR) => {}
            Err(error) => return Err(failed("lock", &dir.path, error)),
        }
    }
}

/// Creates a directory and its missing parents permanently, for their owner alone.
fn make(dir: &Path) -> Result<()> {
    let wrong = |error: io::Error| failed("make", dir, error);
    let missing: Vec<&Path> = dir.ancestors().take_while(|dir| !dir.exists()).collect();
    for dir in missing.into_iter().rev() {
        match DirBuilder::new().mode(0o700).create(dir) {
            Ok(()) => {}
            // Another process was faster.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(wrong(error)),
        }
        if let Some(above) = dir.parent() {
            File::open(above).and_then(|above| above.sync_all()).map_err(wrong)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

    use super::*;

    #[test]
    fn text_is_rewritten_until_its_time_differs_from_bytes_entry() {
        let kinds = Some(&Kinds::parse("bytes 5 6 1700000000 7 key\n"));
        let written = |nanoseconds| {
            let mut stat = rustix::fs::stat("/").unwrap();
            (stat.st_size, stat.st_mtime, stat.st_mtime_nsec) = (6, 1_700_000_000, nanoseconds);
            Ok(stat)
        };
        let mut times = [7, 7, 8].into_iter();
        let told = told_apart(kinds, "key", None, 5, || written(times.next().unwrap())).unwrap();
        assert_eq!(told.unwrap().st_mtime_nsec, 8);
        assert_eq!(times.next(), None);
        assert!(told_apart(kinds, "key", None, 3, || written(7)).unwrap().is_none());
        assert!(told_apart(kinds, "other", None, 1, || written(7)).unwrap().is_some());
    }

    #[test]
    fn replaced_content_gets_different_modification_time() {
        let written = |nanoseconds| {
            let mut stat = rustix::fs::stat("/").unwrap();
            (stat.st_mtime, stat.st_mtime_nsec) = (1_700_000_000, nanoseconds);
            Ok(stat)
        };
        let old = written(7).unwrap();
        let mut times = [7, 7, 8].into_iter();
        let told =
            told_apart(None, "key", Some(&old), 5, || written(times.next().unwrap())).unwrap();
        assert_ne!(entry::version(&told.unwrap()), entry::version(&old));
        assert!(told_apart(None, "key", Some(&old), 3, || written(7)).unwrap().is_none());
    }
}

//! Writing: a new file takes the old one's place as a whole and for good. Who writes has the
//! folder's lock; readers need none.

use std::fs::{DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::Duration;

use keystead_plugin_api::{Deadline, Error, Result, SecretBytes, WriteMode};
use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use crate::content::Mark;
use crate::entry::{self, Look};
use crate::failed;
use crate::folder::{Folder, Layout, Read, Snapshot};
use crate::name::TEMPORARY;
use crate::trust;

/// How long to wait before the folder's lock is asked for again.
const LOCKED: Duration = Duration::from_millis(5);

/// How often a folder is looked for that is taken away again.
const TRIES: usize = 5;

/// What becomes of a folder that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IfMissing {
    /// It is made, with those above it.
    Make,
    /// There is nothing to do.
    Leave,
}

/// The right to write to a folder, as long as it lives.
pub(crate) struct Writer {
    folder: Snapshot,
}

impl Writer {
    /// Waits for a folder's lock; `None` where there is no folder.
    ///
    /// # Errors
    /// `Late` where another has the lock; `Denied` where the folder is not ours alone;
    /// `Unsupported` where it is a volume of Kubernetes.
    pub(crate) fn take(
        folder: &Folder,
        if_missing: IfMissing,
        deadline: Deadline,
    ) -> Result<Option<Self>> {
        for _ in 0..TRIES {
            let opened = folder.read(deadline, |snapshot| open(snapshot).map(Read::Whole))?;
            let Some(opened) = opened else {
                if if_missing == IfMissing::Leave {
                    return Ok(None);
                }
                make(folder.path())?;
                continue;
            };
            lock(&opened, deadline)?;
            // Somebody may have put another folder in its place while we waited.
            if folder.is_still(&opened) {
                return Ok(Some(Self { folder: opened }));
            }
        }
        // A link to nothing, for example: no folder can be made in its place.
        let shown = folder.path().display();
        Err(Error::unavailable(format!("{shown} is no folder that stays, and none can be made")))
    }

    /// Writes one file. It is there for good once [`Writer::finish`] has succeeded.
    ///
    /// # Errors
    /// `AlreadyExists` and `NotFound` by the mode; `Denied` where the name is a link's or
    /// something's that is no file; `Unsupported` where the file system keeps no marks.
    pub(crate) fn write(
        &self,
        name: &str,
        content: &SecretBytes,
        mark: Mark,
        mode: WriteMode,
    ) -> Result<()> {
        match (entry::look(&self.folder, name)?, mode) {
            (Look::Nothing, WriteMode::Replace) => return Err(Error::not_found()),
            (Look::Nothing, _) => {}
            (_, WriteMode::CreateOnly) => return Err(Error::already_exists()),
            (Look::File(_), _) => {}
            (Look::Link, _) => return Err(entry::link(&self.folder, name)),
            (Look::Special, _) => return Err(entry::special(&self.folder, name)),
            (Look::Folder, _) => {
                let shown = entry::path(&self.folder, name);
                return Err(Error::denied(format!("{} is a folder", shown.display())));
            }
        }
        let written = self.temporary(name, content, mark).and_then(|()| self.publish(name, mode));
        if written.is_err() {
            let _ = rustix::fs::unlinkat(&self.folder.dir, TEMPORARY, AtFlags::empty());
        }
        written
    }

    /// Writes a file that has no name yet that anybody looks for.
    fn temporary(&self, name: &str, content: &SecretBytes, mark: Mark) -> Result<()> {
        let path = entry::path(&self.folder, name);
        let wrong = |error: io::Error| failed("write", &path, error);
        let dir = &self.folder.dir;
        // One who was killed while writing left it.
        match rustix::fs::unlinkat(dir, TEMPORARY, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(wrong(error.into())),
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        let own = Mode::RUSR | Mode::WUSR;
        let file = rustix::fs::openat(dir, TEMPORARY, flags | OFlags::CLOEXEC, own)
            .map_err(|error| wrong(error.into()))?;
        // Where the umask took something away. The cage refuses it, and takes nothing of this.
        let made = rustix::fs::fstat(&file).map_err(|error| wrong(error.into()))?;
        if Mode::from_raw_mode(made.st_mode) != own {
            rustix::fs::fchmod(&file, own).map_err(|error| wrong(error.into()))?;
        }
        let mut file = File::from(file);
        file.write_all(content.expose()).map_err(wrong)?;
        mark.write(&file).map_err(|error| unmarked(&path, error))?;
        file.sync_all().map_err(wrong)
    }

    /// Gives the temporary file its name.
    fn publish(&self, name: &str, mode: WriteMode) -> Result<()> {
        let dir = &self.folder.dir;
        let renamed = match mode {
            WriteMode::CreateOnly => {
                match rustix::fs::renameat_with(dir, TEMPORARY, dir, name, RenameFlags::NOREPLACE) {
                    // A file system that knows no such renaming: a second name does the same.
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
            Err(error) => Err(failed("write", &entry::path(&self.folder, name), error)),
        }
    }

    /// Removes a file. It is gone for good once [`Writer::finish`] has succeeded.
    ///
    /// # Errors
    /// As for [`entry::file`].
    pub(crate) fn remove(&self, name: &str) -> Result<()> {
        entry::file(&self.folder, name)?;
        match rustix::fs::unlinkat(&self.folder.dir, name, AtFlags::empty()) {
            Ok(()) => Ok(()),
            Err(Errno::NOENT) => Err(Error::not_found()),
            Err(error) => Err(failed("remove", &entry::path(&self.folder, name), error)),
        }
    }

    /// Waits until all names are on the disk.
    pub(crate) fn finish(self) -> Result<()> {
        rustix::fs::fsync(&self.folder.dir)
            .map_err(|error| failed("write", &self.folder.path, error))
    }
}

/// Returns the error for a mark that could not be written.
fn unmarked(path: &Path, error: Errno) -> Error {
    match error {
        Errno::NOTSUP | Errno::PERM => Error::unsupported(format!(
            "these bytes are UTF-8 and would be read as a text: {} is on a file system that \
             cannot mark them as bytes",
            path.display()
        )),
        other => failed("write", path, other),
    }
}

/// Opens a folder of a snapshot once more, if it is one to write to.
fn open(snapshot: &Snapshot) -> Result<Snapshot> {
    let path = &snapshot.path;
    if snapshot.layout == Layout::Kubernetes {
        return Err(Error::unsupported(format!(
            "{} is a volume of Kubernetes, which alone writes to it",
            path.display()
        )));
    }
    trust::own_folder(path, &snapshot.stat)?;
    let dir = rustix::io::fcntl_dupfd_cloexec(&snapshot.dir, 0);
    Ok(Snapshot {
        dir: dir.map_err(|error| failed("open", path, error))?,
        path: path.clone(),
        place: snapshot.place.clone(),
        outside: snapshot.outside.clone(),
        ..*snapshot
    })
}

/// Waits for the lock of an open folder.
fn lock(folder: &Snapshot, deadline: Deadline) -> Result<()> {
    loop {
        match rustix::fs::flock(&folder.dir, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(()),
            Err(Errno::WOULDBLOCK) if deadline.has_passed() => return Err(Error::late()),
            Err(Errno::WOULDBLOCK) => std::thread::sleep(LOCKED),
            Err(Errno::INTR) => {}
            Err(error) => return Err(failed("lock", &folder.path, error)),
        }
    }
}

/// Makes a folder and those above it that are missing, for their owner alone and for good.
fn make(folder: &Path) -> Result<()> {
    let wrong = |error: io::Error| failed("make", folder, error);
    let missing: Vec<&Path> = folder.ancestors().take_while(|folder| !folder.exists()).collect();
    for folder in missing.into_iter().rev() {
        match DirBuilder::new().mode(0o700).create(folder) {
            Ok(()) => {}
            // Another process was faster.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(wrong(error)),
        }
        if let Some(above) = folder.parent() {
            File::open(above).and_then(|above| above.sync_all()).map_err(wrong)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

    use super::*;
    use keystead_plugin_api::ErrorKind;

    #[test]
    fn bytes_that_cannot_be_marked_are_refused_rather_than_changed_into_a_text() {
        // A device takes no attributes of users, as some file systems take none at all.
        let null = File::options().write(true).open("/dev/null").unwrap();
        let refused = Mark::Bytes.write(&null).unwrap_err();
        Mark::None.write(&null).unwrap();
        for error in [refused, Errno::NOTSUP] {
            let error = unmarked(Path::new("/srv/token"), error);
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            assert!(error.message().contains("/srv/token is on a file system that cannot mark"));
        }
        assert_eq!(unmarked(Path::new("/x"), Errno::NOSPC).kind(), ErrorKind::Unavailable);
    }
}

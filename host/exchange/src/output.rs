//! The output file of an export, which has no name until it is complete. No other user can read it.
//! An unfinished file is removed, even if the process is killed.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use super::Error;
use keystead::internals::fs::PRIVATE_FILE;

/// Whether an existing file may be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overwrite {
    /// Never.
    Never,
    /// When the new file is complete.
    WhenWhole,
}

/// A file that is being written.
#[derive(Debug)]
pub struct Output {
    path: PathBuf,
    dir: OwnedFd,
    file: File,
    /// Temporary name; `None` if the file system has files without a name.
    name: Option<String>,
    overwrite: Overwrite,
}

impl Output {
    /// Starts a file that gets this path at the end.
    ///
    /// # Errors
    /// [`Error::Exists`], or [`Error::Output`] for an error of the operating system.
    pub fn create(path: &Path, overwrite: Overwrite) -> Result<Self, Error> {
        let failed = |source: io::Error| Error::Output { path: path.to_owned(), source };
        let Some(name) = path.file_name() else {
            return Err(failed(io::ErrorKind::InvalidFilename.into()));
        };
        // Reported before any prompt; the check at the end decides.
        match std::fs::symlink_metadata(path) {
            Ok(_) if overwrite == Overwrite::Never => {
                return Err(Error::Exists { path: path.to_owned() });
            }
            Ok(found) if !found.is_file() => {
                return Err(failed(io::Error::other("it is there, and is no file")));
            }
            _ => {}
        }
        let dir = match path.parent() {
            Some(dir) if dir != Path::new("") => dir,
            _ => Path::new("."),
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let begin = || -> Result<_, Errno> {
            let dir = rustix::fs::open(dir, flags, Mode::empty())?;
            let (file, name) = begin(&dir, name)?;
            // The umask may have removed permission bits.
            rustix::fs::fchmod(&file, Mode::from_raw_mode(PRIVATE_FILE))?;
            Ok((dir, file, name))
        };
        let (dir, file, name) = begin().map_err(|fault| failed(fault.into()))?;
        Ok(Self { path: path.to_owned(), dir, file: file.into(), name, overwrite })
    }

    /// Gives the file its name, after its content is on the disk.
    ///
    /// # Errors
    /// [`Error::Exists`], or [`Error::Output`] for an error of the operating system; then there is
    /// no new file.
    pub fn finish(mut self) -> Result<(), Error> {
        self.publish().map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => Error::Exists { path: self.path.clone() },
            _ => Error::Output { path: self.path.clone(), source },
        })
    }

    fn publish(&mut self) -> io::Result<()> {
        self.file.sync_all()?;
        let target = self.path.file_name().expect("looked at when it was made");
        let place = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        let link = |name: &OsStr| {
            let flags = AtFlags::SYMLINK_FOLLOW;
            rustix::fs::linkat(rustix::fs::CWD, &*place, &self.dir, name, flags)
        };
        match (self.name.take(), self.overwrite) {
            (None, Overwrite::Never) => link(target)?,
            (None, Overwrite::WhenWhole) => {
                let name = (0..).map(|number| temporary(target, number));
                let named = name.map(|name| (link(OsStr::new(&name)), name));
                let (linked, name) = named
                    .into_iter()
                    .find(|(linked, _)| *linked != Err(Errno::EXIST))
                    .expect("numbers do not end");
                linked?;
                self.name = Some(name.clone());
                rustix::fs::renameat(&self.dir, &*name, &self.dir, target)?;
                self.name = None;
            }
            (Some(name), overwrite) => {
                self.name = Some(name.clone());
                match overwrite {
                    Overwrite::WhenWhole => {
                        rustix::fs::renameat(&self.dir, &*name, &self.dir, target)?;
                    }
                    Overwrite::Never => {
                        let flags = RenameFlags::NOREPLACE;
                        rustix::fs::renameat_with(&self.dir, &*name, &self.dir, target, flags)?;
                    }
                }
                self.name = None;
            }
        }
        Ok(rustix::fs::fsync(&self.dir)?)
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            // Best effort: the error has been reported already.
            let _ = rustix::fs::unlinkat(&self.dir, &**name, AtFlags::empty());
        }
    }
}

/// Creates a file without a name, or with a temporary name if that is not supported.
fn begin(dir: &OwnedFd, target: &OsStr) -> Result<(OwnedFd, Option<String>), Errno> {
    let mode = Mode::from_raw_mode(PRIVATE_FILE);
    let flags = OFlags::WRONLY | OFlags::TMPFILE | OFlags::CLOEXEC;
    match rustix::fs::openat(dir, ".", flags, mode) {
        Ok(file) => return Ok((file, None)),
        // Errors of systems without such files.
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL | Errno::NOENT) => {}
        Err(fault) => return Err(fault),
    }
    named(dir, target)
}

fn named(dir: &OwnedFd, target: &OsStr) -> Result<(OwnedFd, Option<String>), Errno> {
    let mode = Mode::from_raw_mode(PRIVATE_FILE);
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    for number in 0.. {
        let name = temporary(target, number);
        match rustix::fs::openat(dir, &*name, flags, mode) {
            Ok(file) => return Ok((file, Some(name))),
            Err(Errno::EXIST) => {}
            Err(fault) => return Err(fault),
        }
    }
    unreachable!("numbers do not end")
}

fn temporary(target: &OsStr, number: u32) -> String {
    // The name may have the maximum length, and may not be text.
    let target: String = target.to_string_lossy().chars().take(40).collect();
    format!(".{target}.{}-{number}.tmp", std::process::id())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(dir).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    /// Returns a file with a temporary name, as on file systems without unnamed files.
    fn with_a_name(path: &Path, overwrite: Overwrite) -> Output {
        let mut output = Output::create(path, overwrite).unwrap();
        let (file, name) = named(&output.dir, path.file_name().unwrap()).unwrap();
        (output.file, output.name) = (file.into(), name);
        output
    }

    #[test]
    fn export_file_appears_when_complete_with_mode_600() {
        for begin in [|path: &Path, how| Output::create(path, how).unwrap(), with_a_name] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("out");
            let mut output = begin(&path, Overwrite::Never);
            output.write_all(b"one").unwrap();
            assert!(!path.exists());
            output.finish().unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), b"one");
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);

            let mut output = begin(&path, Overwrite::WhenWhole);
            output.write_all(b"two").unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), b"one");
            output.finish().unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), b"two");
            assert_eq!(names(dir.path()), ["out"]);
        }
    }

    #[test]
    fn existing_file_is_not_replaced_without_overwrite() {
        for begin in [|path: &Path, how| Output::create(path, how).unwrap(), with_a_name] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("out");
            let output = begin(&path, Overwrite::Never);
            std::fs::write(&path, "another").unwrap();
            assert!(matches!(output.finish(), Err(Error::Exists { .. })));
            assert!(matches!(Output::create(&path, Overwrite::Never), Err(Error::Exists { .. })));
            assert_eq!(std::fs::read(&path).unwrap(), b"another");
            assert_eq!(names(dir.path()), ["out"]);
        }
    }

    #[test]
    fn unfinished_export_leaves_no_file() {
        for begin in [|path: &Path, how| Output::create(path, how).unwrap(), with_a_name] {
            let dir = tempfile::tempdir().unwrap();
            let mut output = begin(&dir.path().join("out"), Overwrite::Never);
            output.write_all(b"half").unwrap();
            drop(output);
            assert!(names(dir.path()).is_empty());
        }
    }

    #[test]
    fn dir_or_symlink_is_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink("/dev/null", &link).unwrap();
        for path in [dir.path(), &link] {
            assert!(Output::create(path, Overwrite::WhenWhole).is_err());
        }
    }
}

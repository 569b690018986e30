//! A directory that passed the walk. Entries are opened, written and removed relative to the
//! directory, so that its path is checked only once for all files.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Write;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir};
use rustix::io::Errno;

use super::walk::{self, Found, OpenedFile, Rule, Shared, Walker};
use super::{Error, Lock, PRIVATE_DIR, PRIVATE_FILE};
use crate::ids;

/// Size of the buffer for directory entries in bytes: some hundred names.
const NAMES_AT_ONCE_BYTES: usize = 8 * 1024;

/// A directory that only root and the user (or only root) can change.
#[derive(Debug)]
pub struct SafeDir {
    place: OwnedFd,
    path: PathBuf,
    rule: Rule,
    /// User id that the directory was checked for.
    uid: u32,
}

impl SafeDir {
    pub(super) fn proven(place: OwnedFd, path: PathBuf, rule: Rule, uid: u32) -> Self {
        Self { place, path, rule, uid }
    }

    /// Returns a walker that continues in this directory.
    fn walker<'path>(&self, path: &'path Path) -> Walker<'path> {
        Walker { asked: path, rule: self.rule, uid: self.uid }
    }

    /// Returns the directory's path without links.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the directory if it exists; costs one system call if it does not.
    ///
    /// # Errors
    /// Faults that the walk finds in a directory that exists.
    pub fn open_if_there(path: &Path, rule: Rule) -> Result<Option<Self>, Error> {
        ids::check()?;
        if path.is_absolute() && matches!(rustix::fs::stat(path), Err(Errno::NOENT)) {
            return Ok(None);
        }
        if_there(Self::open(path, rule))
    }

    /// Opens the directory. Creates it, and missing directories above it, with mode 0700.
    ///
    /// # Errors
    /// Faults that the walk finds, also in the existing part of the path, and those of the
    /// system when it creates a directory.
    pub fn create(path: &Path, rule: Rule) -> Result<Self, Error> {
        Self::create_with(path, rule, PRIVATE_DIR)
    }

    /// Does what [`SafeDir::create`] does, with this mode for new directories.
    ///
    /// # Errors
    /// As [`SafeDir::create`].
    pub fn create_with(path: &Path, rule: Rule, mode: u32) -> Result<Self, Error> {
        match Self::open(path, rule) {
            Err(error) if error.is_missing() => {}
            done => return done,
        }
        let (Some(above), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(Error::Missing { path: path.to_owned() });
        };
        // A new directory may be in one that all users can write to: it then belongs to the user.
        let walker = Walker::new(above, rule);
        let above = match walker.walk() {
            Ok(Found::Dir { place, .. }) => place,
            Ok(Found::Other { stat, real, .. }) => {
                let found = walk::word(walk::kind(&stat));
                return Err(Error::NotADir { path: path.to_owned(), at: real, found });
            }
            Err(error) if error.is_missing() => Self::create_with(above, rule, mode)?.place,
            Err(error) => return Err(error),
        };
        make(&above, name, mode).map_err(|e| Error::io("make the directory", path, e))?;
        Self::open(path, rule)
    }

    /// Opens a directory in this one, if it exists.
    ///
    /// # Errors
    /// Faults of a directory that exists.
    pub fn dir(&self, name: &str) -> Result<Option<Self>, Error> {
        let name = one_name(name)?;
        let path = self.path.join(name);
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let place = match rustix::fs::openat(&self.place, name, flags, Mode::empty()) {
            Ok(place) => place,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(Error::io("open", path, error)),
        };
        let stat = rustix::fs::fstat(&place).map_err(|e| Error::io("look at", &path, e))?;
        match walk::kind(&stat) {
            FileType::Directory => {}
            FileType::Symlink => return if_there(Self::open(&path, self.rule)),
            other => {
                let found = walk::word(other);
                return Err(Error::NotADir { path: path.clone(), at: path, found });
            }
        }
        if self.walker(&path).check(&stat, &path)? == Shared::Yes {
            return Err(Error::SharedDir { path: path.clone(), at: path });
        }
        Ok(Some(Self::proven(place, path, self.rule, self.uid)))
    }

    /// Opens a directory in this one, and creates it with this mode if it is missing.
    ///
    /// # Errors
    /// As [`SafeDir::dir`], and those of the system when it creates the directory.
    pub fn make_dir(&self, name: &str, mode: u32) -> Result<Self, Error> {
        if let Some(dir) = self.dir(name)? {
            return Ok(dir);
        }
        let path = self.path.join(name);
        make(&self.place, OsStr::new(name), mode)
            .map_err(|e| Error::io("make the directory", &path, e))?;
        self.dir(name)?.ok_or(Error::Missing { path })
    }

    /// Opens a file in this directory for reading, if it exists.
    ///
    /// # Errors
    /// Faults of a file that exists.
    pub fn file(&self, name: &str) -> Result<Option<OpenedFile>, Error> {
        let name = one_name(name)?;
        let path = self.path.join(name);
        let walker = self.walker(&path);
        match walker.open_file(self.place.as_fd(), name, path.clone()) {
            Err(Error::NotAFile { found: "a symbolic link", .. }) => {
                if_there(walk::open(&path, self.rule))
            }
            done => if_there(done),
        }
    }

    /// Reads a whole file in this directory, if it exists.
    ///
    /// # Errors
    /// As [`SafeDir::file`] and [`read_once`](super::read_once).
    pub fn read(&self, name: &str, most: u64) -> Result<Option<Vec<u8>>, Error> {
        self.file(name)?.map(|file| file.read(most)).transpose()
    }

    /// Returns the sorted names of the directory's entries. Skips names that start with a dot,
    /// which are half-written files and editors' temporary files.
    ///
    /// # Errors
    /// Those of the system.
    pub fn names(&self) -> Result<Vec<OsString>, Error> {
        let mut names = Vec::new();
        self.each_name(&mut |name| names.push(name.to_owned()))?;
        names.sort();
        Ok(names)
    }

    /// Passes the names that [`SafeDir::names`] returns to `each`, unsorted. Stores no names, so
    /// that a search among a thousand files costs little more than among few.
    ///
    /// # Errors
    /// As [`SafeDir::names`].
    pub fn each_name(&self, each: &mut dyn FnMut(&OsStr)) -> Result<(), Error> {
        let io = |e| Error::io("list", &self.path, e);
        let mut buffer = [MaybeUninit::uninit(); NAMES_AT_ONCE_BYTES];
        let mut entries = RawDir::new(self.readable().map_err(io)?, &mut buffer);
        while let Some(entry) = entries.next() {
            let entry = entry.map_err(io)?;
            let name = entry.file_name().to_bytes();
            if !name.starts_with(b".") {
                each(OsStr::from_bytes(name));
            }
        }
        Ok(())
    }

    /// Returns the half-written files of processes that ended during [`SafeDir::write`], without
    /// the files of processes that still run.
    ///
    /// # Errors
    /// Those of the system.
    pub fn left_over(&self) -> Result<Vec<PathBuf>, Error> {
        let io = |e| Error::io("list", &self.path, e);
        let mut left_over = Vec::new();
        let mut buffer = [MaybeUninit::uninit(); NAMES_AT_ONCE_BYTES];
        let mut entries = RawDir::new(self.readable().map_err(io)?, &mut buffer);
        while let Some(entry) = entries.next() {
            let entry = entry.map_err(io)?;
            let name = entry.file_name().to_bytes();
            if writer(name).is_some_and(|process| !is_running(process)) {
                left_over.push(self.path.join(OsStr::from_bytes(name)));
            }
        }
        left_over.sort();
        Ok(left_over)
    }

    /// Writes a file as a whole: writes and syncs a temporary file, renames it, and syncs the
    /// directory. The file gets exactly this mode, independent of the umask.
    ///
    /// # Errors
    /// Those of the system; the old file then stays unchanged.
    pub fn write(&self, name: &str, bytes: &[u8], mode: u32) -> Result<(), Error> {
        self.put(name, bytes, mode, Sync::Yes)
    }

    /// Does what [`SafeDir::write`] does, without waiting for the disk: for files that can be
    /// created again, such as a cache.
    ///
    /// # Errors
    /// As [`SafeDir::write`].
    pub fn write_cache(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        self.put(name, bytes, PRIVATE_FILE, Sync::No)
    }

    fn put(&self, name: &str, bytes: &[u8], mode: u32, sync: Sync) -> Result<(), Error> {
        one_name(name)?;
        let path = self.path.join(name);
        let io = |e: std::io::Error| Error::io("write", &path, e);
        let (temporary, file) = self.temporary(name).map_err(|e| io(e.into()))?;
        let written = fill(file, bytes, mode, sync).and_then(|()| {
            rustix::fs::renameat(&self.place, &*temporary, &self.place, name)?;
            if sync == Sync::Yes {
                rustix::fs::fsync(self.readable()?)?;
            }
            Ok(())
        });
        written.map_err(|e| {
            // Best effort: the write has failed already, and the caller reports its error.
            let _ = rustix::fs::unlinkat(&self.place, &*temporary, AtFlags::empty());
            io(e)
        })
    }

    fn temporary(&self, name: &str) -> Result<(String, OwnedFd), Errno> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let process = std::process::id();
        loop {
            let next = NEXT.fetch_add(1, Ordering::Relaxed);
            let temporary = format!(".{name}.{process}-{next}.tmp");
            let mode = Mode::from_raw_mode(PRIVATE_FILE);
            match rustix::fs::openat(&self.place, &*temporary, flags, mode) {
                Ok(file) => return Ok((temporary, file)),
                // Left by an earlier process with the same id.
                Err(Errno::EXIST) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Removes a file; returns whether there was one.
    ///
    /// # Errors
    /// Those of the system.
    pub fn remove(&self, name: &str) -> Result<bool, Error> {
        let name = one_name(name)?;
        match rustix::fs::unlinkat(&self.place, name, AtFlags::empty()) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(Error::io("remove", self.path.join(name), error)),
        }
    }

    /// Returns the directory's mode.
    ///
    /// # Errors
    /// Those of the system.
    pub fn mode(&self) -> Result<u32, Error> {
        match rustix::fs::fstat(&self.place) {
            Ok(stat) => Ok(stat.st_mode & 0o7777),
            Err(error) => Err(Error::io("look at", &self.path, error)),
        }
    }

    /// Sets the directory's mode.
    ///
    /// # Errors
    /// Those of the system.
    pub fn set_mode(&self, mode: u32) -> Result<(), Error> {
        let change =
            self.readable().and_then(|fd| rustix::fs::fchmod(fd, Mode::from_raw_mode(mode)));
        change.map_err(|e| Error::io("change the mode of", &self.path, e))
    }

    /// Waits for the lock of this name: a separate file, which stays.
    ///
    /// # Errors
    /// When the file cannot be created or locked.
    pub fn lock(&self, name: &str) -> Result<Lock, Error> {
        let (file, path) = self.lock_file(name)?;
        Lock::wait(file, &path)
    }

    /// Takes the lock of this name; returns `None` if another holder has it.
    ///
    /// # Errors
    /// As [`SafeDir::lock`].
    pub fn try_lock(&self, name: &str) -> Result<Option<Lock>, Error> {
        let (file, path) = self.lock_file(name)?;
        Lock::take(file, &path)
    }

    fn lock_file(&self, name: &str) -> Result<(File, PathBuf), Error> {
        let name = one_name(name)?;
        let path = self.path.join(name);
        let flags = OFlags::RDWR
            | OFlags::CREATE
            | OFlags::NOFOLLOW
            | OFlags::NONBLOCK
            | OFlags::NOCTTY
            | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(PRIVATE_FILE);
        let open = || -> Result<File, Errno> {
            let file = rustix::fs::openat(&self.place, name, flags, mode)?;
            // The umask may have created a file that cannot be opened again.
            if rustix::fs::fstat(&file)?.st_mode & 0o600 != 0o600 {
                rustix::fs::fchmod(&file, mode)?;
            }
            Ok(File::from(file))
        };
        match open() {
            Ok(file) => Ok((file, path)),
            Err(error) => Err(Error::io("open", path, error)),
        }
    }

    /// Opens the directory for reading: a descriptor with `O_PATH` cannot be listed or synced.
    fn readable(&self) -> Result<OwnedFd, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::openat(&self.place, ".", flags, Mode::empty())
    }
}

/// Returns the process id in a temporary file's name, `.NAME.PROCESS-N.tmp`.
fn writer(name: &[u8]) -> Option<i32> {
    let name = std::str::from_utf8(name).ok()?;
    let (_, number) = name.strip_prefix('.')?.strip_suffix(".tmp")?.rsplit_once('.')?;
    let (process, next) = number.split_once('-')?;
    next.parse::<u64>().ok()?;
    process.parse().ok().filter(|process| *process > 0)
}

/// Returns whether a process with this id exists. A new process with the id of an ended
/// one counts, since it may be writing the file.
fn is_running(process: i32) -> bool {
    let Some(pid) = rustix::process::Pid::from_raw(process) else { return false };
    !matches!(rustix::process::test_kill_process(pid), Err(Errno::SRCH))
}

impl AsFd for SafeDir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.place.as_fd()
    }
}

/// Whether a write waits until the data is on the disk.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sync {
    Yes,
    No,
}

fn fill(file: OwnedFd, bytes: &[u8], mode: u32, sync: Sync) -> std::io::Result<()> {
    rustix::fs::fchmod(&file, Mode::from_raw_mode(mode))?;
    let mut file = File::from(file);
    file.write_all(bytes)?;
    if sync == Sync::Yes {
        file.sync_all()?;
    }
    Ok(())
}

/// Creates a directory with exactly this mode; an existing directory stays unchanged.
fn make(holder: &OwnedFd, name: &OsStr, mode: u32) -> Result<(), Errno> {
    match rustix::fs::mkdirat(holder, name, Mode::from_raw_mode(mode)) {
        // The umask may have cleared bits.
        Ok(()) => rustix::fs::chmodat(holder, name, Mode::from_raw_mode(mode), AtFlags::empty()),
        Err(Errno::EXIST) => Ok(()),
        Err(error) => Err(error),
    }
}

fn if_there<T>(result: Result<T, Error>) -> Result<Option<T>, Error> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.is_missing() => Ok(None),
        Err(error) => Err(error),
    }
}

fn one_name(name: &str) -> Result<&OsStr, Error> {
    if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']) {
        return Err(Error::Name { name: name.to_owned() });
    }
    Ok(OsStr::new(name))
}

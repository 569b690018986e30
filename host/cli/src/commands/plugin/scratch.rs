//! Temporary directory of a command, removed when the command ends or a signal ends the process.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use keystead_plugin_api::testing::{NAME_PREFIX, Stop};
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// Number of attempts to remove a directory while a killed process still writes.
const TRIES: usize = 5;

/// Time limit for the end of a stopped check: longer than the removal of its secrets.
const PATIENCE: Duration = Duration::from_secs(5);

/// The directory; removed when dropped.
pub(super) struct Scratch {
    path: Option<PathBuf>,
    signal: Arc<AtomicUsize>,
}

impl Scratch {
    /// Creates the directory, for this user alone. The first terminating signal stops the check. A
    /// second signal, or a check that does not end, ends the process.
    ///
    /// # Errors
    /// The error of the operating system.
    pub(super) fn new(stop: Stop) -> io::Result<Self> {
        let directory = tempfile::Builder::new().prefix("keystead-test-").tempdir()?;
        let path = directory.path().canonicalize()?;
        let signal = Arc::default();
        stop_on_signal(path.clone(), stop, Arc::clone(&signal))?;
        // Removed by `remove_all` from here on: a plugin may create unusual directories in it.
        let _ = directory.keep();
        Ok(Self { path: Some(path), signal })
    }

    /// Returns the directory's path, without links.
    pub(super) fn path(&self) -> io::Result<PathBuf> {
        self.path.clone().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Removes the directory.
    ///
    /// # Errors
    /// The error of the operating system: a part of the directory remains.
    pub(super) fn remove(mut self) -> io::Result<()> {
        self.path.take().map_or(Ok(()), |path| remove_all(&path))
    }

    /// Returns the signal that has stopped the check.
    pub(super) fn signal(&self) -> Option<i32> {
        i32::try_from(self.signal.load(Ordering::SeqCst)).ok().filter(|signal| *signal != 0)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Some(path) = self.path.take() {
            // Callers that need the result call `remove` instead.
            let _ = remove_all(&path);
        }
    }
}

/// Removes a directory with all that a plugin created in it, even unreadable directories and trees
/// deeper than any path. Moves nested directories up until they are empty, so that neither
/// descriptors nor the stack grow.
fn remove_all(path: &Path) -> io::Result<()> {
    let dir = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let root = rustix::fs::open(path, dir, Mode::empty())?;
    let mut moved = 0_u64;
    loop {
        let names = names(&root)?;
        if names.is_empty() {
            return Ok(rustix::fs::rmdir(path)?);
        }
        for name in names {
            if removed(&root, &name)? {
                continue;
            }
            let inner = opened_up(&root, &name)?;
            for below in self::names(&inner)? {
                if removed(&inner, &below)? {
                    continue;
                }
                // Moving a directory needs the right to write to it.
                drop(opened_up(&inner, &below)?);
                loop {
                    moved += 1;
                    match rustix::fs::renameat(&inner, &below, &root, format!("moved-{moved}")) {
                        Err(Errno::EXIST | Errno::NOTEMPTY | Errno::NOTDIR) => {}
                        done => break done?,
                    }
                }
            }
            rustix::fs::unlinkat(&root, &name, AtFlags::REMOVEDIR)?;
        }
    }
}

/// Removes an entry, unless it is a directory that is not empty.
fn removed(dir: &OwnedFd, name: &CStr) -> Result<bool, Errno> {
    match rustix::fs::unlinkat(dir, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(true),
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(error) => return Err(error),
    }
    match rustix::fs::unlinkat(dir, name, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => Ok(true),
        Err(Errno::NOTEMPTY | Errno::EXIST) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Opens a directory inside `dir`, with all rights for its owner.
fn opened_up(dir: &OwnedFd, name: &CStr) -> Result<OwnedFd, Errno> {
    let place = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let held = rustix::fs::openat(dir, name, place, Mode::empty())?;
    // By its descriptor: if the name is a link by now, no other file gets these rights.
    rustix::fs::chmod(format!("/proc/self/fd/{}", held.as_raw_fd()), Mode::RWXU)?;
    rustix::fs::openat(&held, ".", OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

fn names(dir: &OwnedFd) -> Result<Vec<CString>, Errno> {
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(dir)? {
        let name = entry?.file_name().to_owned();
        if !matches!(name.to_bytes(), b"." | b"..") {
            names.push(name);
        }
    }
    Ok(names)
}

/// Stops the check at the first signal that would end this process. Where the check does not end, or a
/// second signal comes, removes the directory and ends the process by that signal.
fn stop_on_signal(path: PathBuf, stop: Stop, by: Arc<AtomicUsize>) -> io::Result<()> {
    let (mut caught, wake) = UnixStream::pair()?;
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        if is_ignored(signal) {
            continue;
        }
        signal_hook::flag::register_usize(signal, Arc::clone(&by), signal.unsigned_abs() as usize)?;
        signal_hook::low_level::pipe::register(signal, wake.try_clone()?)?;
    }
    std::thread::Builder::new().name("keystead-scratch".into()).spawn(move || {
        if stopped_twice(&mut caught, &stop, PATIENCE, &mut io::stderr()).is_err() {
            return;
        }
        for _ in 0..TRIES {
            match remove_all(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {}
                _ => break,
            }
        }
        let signal = i32::try_from(by.load(Ordering::SeqCst)).unwrap_or(SIGTERM);
        let _ = signal_hook::low_level::emulate_default_handler(signal);
    })?;
    Ok(())
}

/// Stops the check at the first byte. Reports the stop at the second byte or after `patience`: the
/// check does not end either way.
///
/// # Errors
/// The error of reading the first byte.
fn stopped_twice(
    caught: &mut UnixStream,
    stop: &Stop,
    patience: Duration,
    said: &mut impl io::Write,
) -> io::Result<()> {
    io::Read::read_exact(caught, &mut [0])?;
    stop.stop();
    if caught.set_read_timeout(Some(patience)).is_ok() {
        let _ = io::Read::read_exact(caught, &mut [0]);
    }
    let _ = said.write_all(format!("Stopped. {}\n", left("Secrets")).as_bytes());
    Ok(())
}

/// Returns a sentence about the secrets that a stopped check may have left in the vault.
pub(super) fn left(secrets: &str) -> String {
    format!(
        "{secrets} whose names begin with `{NAME_PREFIX}` may be left in the vault; \
         the next test of it removes them."
    )
}

/// Returns whether this process was started with a signal ignored, as by `nohup`.
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string(Path::new("/proc/self/status")).unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask & 1 << (signal - 1) != 0
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};

    use super::*;

    #[test]
    fn second_signal_aborts_check_and_warns_of_leftovers() {
        let (mut caught, mut wake) = UnixStream::pair().unwrap();
        let stop = Stop::new();
        let stopped = stop.clone();
        let waits = std::thread::spawn(move || {
            let (hour, mut said) = (Duration::from_secs(3_600), Vec::new());
            stopped_twice(&mut caught, &stopped, hour, &mut said).map(|()| said)
        });
        io::Write::write_all(&mut wake, &[0]).unwrap();
        while !stop.is_stopped() {
            std::thread::yield_now();
        }
        assert!(!waits.is_finished(), "one signal leaves the check its time");
        io::Write::write_all(&mut wake, &[0]).unwrap();
        let said = String::from_utf8(waits.join().unwrap().unwrap()).unwrap();
        assert_eq!(said, format!("Stopped. {}\n", left("Secrets")));
    }

    #[test]
    fn deep_or_unreadable_scratch_dir_is_removed() {
        let scratch = Scratch::new(Stop::new()).unwrap();
        let path = scratch.path().unwrap();
        let outside = tempfile::tempdir().unwrap();
        std::fs::set_permissions(outside.path(), PermissionsExt::from_mode(0o500)).unwrap();
        std::os::unix::fs::symlink(outside.path(), path.join("link")).unwrap();
        std::fs::write(path.join("moved-1"), "").unwrap();
        let dir = OFlags::DIRECTORY | OFlags::CLOEXEC;
        let mut at = rustix::fs::open(&path, dir, Mode::empty()).unwrap();
        for depth in 0..3_000 {
            rustix::fs::mkdirat(&at, "d", Mode::RWXU).unwrap();
            if depth == 7 {
                rustix::fs::mkdirat(&at, "e", Mode::RWXU).unwrap();
            }
            at = rustix::fs::openat(&at, "d", dir, Mode::empty()).unwrap();
        }
        std::fs::create_dir_all(path.join("shut/in/there")).unwrap();
        std::fs::set_permissions(path.join("shut/in"), PermissionsExt::from_mode(0o300)).unwrap();
        std::fs::set_permissions(path.join("shut"), PermissionsExt::from_mode(0o0)).unwrap();
        std::fs::DirBuilder::new().mode(0o0).create(path.join("empty")).unwrap();
        scratch.remove().unwrap();
        assert!(!path.exists());
        let mode = std::fs::metadata(outside.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o500, "a link leads nowhere");
    }
}

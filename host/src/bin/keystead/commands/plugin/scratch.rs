//! A temporary directory for one command, which leaves it behind neither when it ends nor when a
//! signal ends it.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// How often removing is tried again while a process that was killed still writes.
const TRIES: usize = 5;

/// The directory; removed when dropped.
pub(super) struct Scratch(Option<tempfile::TempDir>);

impl Scratch {
    /// Makes it, for this user alone.
    ///
    /// # Errors
    /// What the system answers.
    pub(super) fn new() -> io::Result<Self> {
        let directory = tempfile::Builder::new().prefix("keystead-test-").tempdir()?;
        let path = directory.path().canonicalize()?;
        remove_on_signal(path)?;
        Ok(Self(Some(directory)))
    }

    /// Returns its path, without links.
    pub(super) fn path(&self) -> io::Result<PathBuf> {
        self.0.as_ref().map_or_else(
            || Err(io::ErrorKind::NotFound.into()),
            |directory| directory.path().canonicalize(),
        )
    }

    /// Removes it.
    ///
    /// # Errors
    /// What the system answers: something is left.
    pub(super) fn remove(mut self) -> io::Result<()> {
        self.0.take().map_or(Ok(()), tempfile::TempDir::close)
    }
}

/// Removes the directory where a signal would end this process, and ends it by that signal then.
fn remove_on_signal(path: PathBuf) -> io::Result<()> {
    let (mut caught, wake) = UnixStream::pair()?;
    let by = Arc::new(AtomicUsize::new(0));
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        if is_ignored(signal) {
            continue;
        }
        signal_hook::flag::register_usize(signal, Arc::clone(&by), signal.unsigned_abs() as usize)?;
        signal_hook::low_level::pipe::register(signal, wake.try_clone()?)?;
    }
    std::thread::Builder::new().name("keystead-scratch".into()).spawn(move || {
        if io::Read::read_exact(&mut caught, &mut [0]).is_err() {
            return;
        }
        for _ in 0..TRIES {
            match std::fs::remove_dir_all(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {}
                _ => break,
            }
        }
        let signal = i32::try_from(by.load(Ordering::SeqCst)).unwrap_or(SIGTERM);
        let _ = signal_hook::low_level::emulate_default_handler(signal);
    })?;
    Ok(())
}

/// Returns whether this process was started with a signal ignored, as by `nohup`.
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string(Path::new("/proc/self/status")).unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask & 1 << (signal - 1) != 0
}

//! Crashes, counted by hash: three in ten minutes quarantine a file until it is trusted
//! again. A process that runs a plugin itself holds a locked marker meanwhile. One that is
//! left over and not locked is a crash where the process wrote evidence of one into it as it
//! ended ([`crate::plugin::evidence`]); an empty one tells of a `kill -9`, of Ctrl-C, of a machine
//! that went off, or of another's crash, and is swept away.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use super::roots::Roots;
use super::{Digest, Error, PluginStore, TrustSource, Trusted};
use crate::fs::{self, Lock, PRIVATE_DIR, PRIVATE_FILE, SafeDir};

/// How many crashes within [`CRASH_WINDOW`] quarantine a file.
pub const CRASHES_TO_QUARANTINE: usize = 3;

/// How far apart crashes may lie and still count together.
pub const CRASH_WINDOW: Duration = Duration::from_secs(600);

/// The directory of counts in the user's data directory.
const COUNTS: &str = "crashes";

/// The directory of markers in the user's data directory.
const MARKERS: &str = "running";

/// The lock that counts and markers are changed under.
const LOCK: &str = "crashes.lock";

/// What stands in a count instead of times.
const QUARANTINED: &str = "quarantined";

/// The most bytes a count has: three times.
const MAX_BYTES: u64 = 1024;

/// How a file stands after a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crashes {
    /// So many within the window, fewer than it takes.
    Counted(usize),
    /// It is quarantined.
    Quarantined,
    /// There is nowhere to count.
    NotKept,
}

impl PluginStore {
    /// Counts a crash of the plugin with this hash.
    ///
    /// # Errors
    /// When the count is not safe or cannot be kept.
    #[doc(hidden)]
    pub fn record_crash(&self, sha256: &Digest) -> Result<Crashes, Error> {
        let roots = Roots::new(&self.paths, self.privilege);
        let Some(data) = roots.data_made() else { return Ok(Crashes::NotKept) };
        let _lock = data.lock(LOCK)?;
        let now = now();
        Ok(record(&data, sha256, now, now)?)
    }

    /// Whether the plugin with this hash is quarantined.
    ///
    /// # Errors
    /// When the count is not safe or cannot be read.
    #[doc(hidden)]
    pub fn is_quarantined(&self, sha256: &Digest) -> Result<bool, Error> {
        let roots = Roots::new(&self.paths, self.privilege);
        match roots.data()? {
            Some(data) => Ok(is_quarantined(data, sha256)?),
            None => Ok(false),
        }
    }

    /// Marks that this process is about to run the plugin itself, and counts the crashes that
    /// earlier processes left evidence of, each at its own time. Nothing is marked for what the
    /// host was built with, and where
    /// there is no directory for it.
    ///
    /// # Errors
    /// [`Error::Quarantined`] when what was left behind was a crash too many; or when the
    /// marker cannot be kept.
    #[doc(hidden)]
    pub fn hold_marker(&self, trusted: &Trusted) -> Result<Option<CrashMarker>, Error> {
        if trusted.trust_source() == TrustSource::Builtin {
            return Ok(None);
        }
        let roots = Roots::new(&self.paths, self.privilege);
        let Some(data) = roots.data_made() else { return Ok(None) };
        let data = &data;
        // Held from before a marker is made until it is locked: none is ever seen between.
        let _lock = data.lock(LOCK)?;
        let dir = data.make_dir(MARKERS, PRIVATE_DIR)?;
        let sha256 = trusted.sha256();
        let mine = format!("{sha256}.");
        for name in dir.names()? {
            let Some(name) = name.to_str().filter(|name| name.starts_with(&mine)) else {
                continue;
            };
            if let Some(left_over) = dir.try_lock(name)? {
                if let Some(crashed) = evidence(&left_over) {
                    record(data, sha256, crashed, now())?;
                }
                dir.remove(name)?;
            }
        }
        if is_quarantined(data, sha256)? {
            return Err(Error::Quarantined { id: trusted.id().clone(), sha256: *sha256 });
        }
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{mine}{}-{next}", std::process::id());
        let lock = dir.lock(&name)?;
        Ok(Some(CrashMarker { dir, name, lock }))
    }
}

/// A plugin runs in this process. Dropped when it no longer does.
#[derive(Debug)]
pub struct CrashMarker {
    dir: SafeDir,
    name: String,
    lock: Lock,
}

impl AsFd for CrashMarker {
    /// Where evidence of a crash goes: a byte is enough.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.lock.file().as_fd()
    }
}

impl Drop for CrashMarker {
    fn drop(&mut self) {
        // Should it stay, it is empty and tells of nothing.
        let _ = self.dir.remove(&self.name);
    }
}

/// Whether this hash is quarantined.
pub(super) fn is_quarantined(data: &SafeDir, sha256: &Digest) -> Result<bool, fs::Error> {
    let Some(dir) = data.dir(COUNTS)? else { return Ok(false) };
    let count = dir.read(&sha256.to_string(), MAX_BYTES)?;
    Ok(count.is_some_and(|count| count == QUARANTINED.as_bytes()))
}

/// Forgets the crashes of this hash.
pub(super) fn forget(data: &SafeDir, sha256: &Digest) -> Result<(), fs::Error> {
    let _lock = data.lock(LOCK)?;
    match data.dir(COUNTS)? {
        Some(dir) => dir.remove(&sha256.to_string()).map(|_| ()),
        None => Ok(()),
    }
}

/// Returns when the process of a left-over marker crashed in the plugin, if it did.
fn evidence(left_over: &Lock) -> Option<u64> {
    // A file that does not tell accuses nobody.
    let metadata = left_over.file().metadata().ok().filter(|metadata| metadata.len() > 0)?;
    metadata.modified().ok().map(millis)
}

/// Counts a crash at this time, as it is now. One that is long past, or in a future that a clock
/// was set back from, is as old as it looks: the former counts no more, the latter is of now.
fn record(data: &SafeDir, sha256: &Digest, crashed: u64, now: u64) -> Result<Crashes, fs::Error> {
    let dir = data.make_dir(COUNTS, PRIVATE_DIR)?;
    let name = sha256.to_string();
    let text = dir.read(&name, MAX_BYTES)?.unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    if text == QUARANTINED {
        return Ok(Crashes::Quarantined);
    }
    let window = CRASH_WINDOW.as_millis() as u64;
    // A damaged line is no crash, and neither is one of a clock that was set back since.
    let mut times: Vec<u64> = text
        .lines()
        .filter_map(|line| line.parse().ok())
        .filter(|time| *time <= now && now - time < window)
        .collect();
    let crashed = crashed.min(now);
    if now - crashed >= window {
        return Ok(Crashes::Counted(times.len()));
    }
    times.push(crashed);
    let quarantined = times.len() >= CRASHES_TO_QUARANTINE;
    let text = if quarantined {
        QUARANTINED.to_owned()
    } else {
        times.iter().map(|time| format!("{time}\n")).collect()
    };
    dir.write(&name, text.as_bytes(), PRIVATE_FILE)?;
    Ok(if quarantined { Crashes::Quarantined } else { Crashes::Counted(times.len()) })
}

fn now() -> u64 {
    millis(SystemTime::now())
}

/// Milliseconds since 1970; 0 for a time before that.
fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::Rule;

    /// Counts a crash as it happens.
    fn crash(data: &SafeDir, sha256: &Digest, now: u64) -> Result<Crashes, fs::Error> {
        record(data, sha256, now, now)
    }

    #[test]
    fn three_crashes_in_ten_minutes_quarantine_a_file_until_they_are_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let data = SafeDir::open(&dir.path().canonicalize().unwrap(), Rule::User).unwrap();
        let (bad, good) = (Digest::of(b"bad"), Digest::of(b"good"));
        let window = CRASH_WINDOW.as_millis() as u64;
        assert_eq!(crash(&data, &bad, 1_000).unwrap(), Crashes::Counted(1));
        assert_eq!(crash(&data, &bad, 2_000).unwrap(), Crashes::Counted(2));
        assert_eq!(crash(&data, &bad, 1_000 + window).unwrap(), Crashes::Counted(2), "one is old");
        assert!(!is_quarantined(&data, &bad).unwrap());
        assert_eq!(crash(&data, &bad, 1_001 + window).unwrap(), Crashes::Quarantined);
        assert_eq!(crash(&data, &bad, 9 * window).unwrap(), Crashes::Quarantined, "it stays");
        assert!(is_quarantined(&data, &bad).unwrap());
        assert!(!is_quarantined(&data, &good).unwrap());
        forget(&data, &bad).unwrap();
        assert!(!is_quarantined(&data, &bad).unwrap());
        assert_eq!(crash(&data, &bad, 9 * window).unwrap(), Crashes::Counted(1));
    }

    #[test]
    fn a_crash_counts_at_its_own_time_and_not_when_it_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let data = SafeDir::open(&dir.path().canonicalize().unwrap(), Rule::User).unwrap();
        let hash = Digest::of(b"x");
        let window = CRASH_WINDOW.as_millis() as u64;
        let now = 5 * window;
        assert_eq!(record(&data, &hash, now - window, now).unwrap(), Crashes::Counted(0));
        assert_eq!(record(&data, &hash, now - window + 1, now).unwrap(), Crashes::Counted(1));
        assert_eq!(record(&data, &hash, now - 1, now).unwrap(), Crashes::Counted(2));
        // By then the first is old.
        assert_eq!(record(&data, &hash, now, now + 1).unwrap(), Crashes::Counted(2));
        // A clock that was set back since makes none that never ends to count.
        assert_eq!(record(&data, &hash, now + window, now + 2).unwrap(), Crashes::Quarantined);
    }

    #[test]
    fn a_damaged_count_is_begun_again() {
        let dir = tempfile::tempdir().unwrap();
        let data = SafeDir::open(&dir.path().canonicalize().unwrap(), Rule::User).unwrap();
        let hash = Digest::of(b"x");
        let counts = data.make_dir(COUNTS, PRIVATE_DIR).unwrap();
        counts
            .write(&hash.to_string(), b"\xff\n12x\n99999999999999999999\n-1\n500\n", 0o600)
            .unwrap();
        assert_eq!(crash(&data, &hash, 1_000).unwrap(), Crashes::Counted(2));
    }
}

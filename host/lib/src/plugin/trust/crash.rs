//! Crashes of plugins' runners, counted by hash: three in ten minutes quarantine a file until it is
//! trusted again. Other code decides whether the plugin caused a runner's end.

use std::time::{Duration, SystemTime};

use super::roots::Roots;
use super::{Digest, Error, PluginStore};
use crate::fs::{self, PRIVATE_DIR, PRIVATE_FILE, SafeDir};

/// Number of crashes within [`CRASH_WINDOW`] that quarantine a file.
pub const CRASHES_TO_QUARANTINE: usize = 3;

/// Period in which crashes count together.
pub const CRASH_WINDOW: Duration = Duration::from_secs(600);

/// The directory of crash counts in the user's data directory.
const COUNTS: &str = "crashes";

/// The lock for changes of crash counts.
const LOCK: &str = "crashes.lock";

/// Content of a quarantined file's count, in place of times.
const QUARANTINED: &str = "quarantined";

/// Maximum size of a count, in bytes: three times.
const MAX_BYTES: u64 = 1024;

/// State of a file after a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crashes {
    /// This many crashes within the window, fewer than a quarantine needs.
    Counted(usize),
    /// The file is quarantined.
    Quarantined,
    /// There is no directory for the count.
    NotKept,
}

impl PluginStore {
    /// Counts a crash of the plugin with this hash.
    ///
    /// # Errors
    /// If the count is not safe or cannot be kept.
    #[doc(hidden)]
    pub fn record_crash(&self, sha256: &Digest) -> Result<Crashes, Error> {
        let roots = Roots::new(&self.paths, self.privilege);
        let Some(data) = roots.data_made() else { return Ok(Crashes::NotKept) };
        let _lock = data.lock(LOCK)?;
        Ok(record(&data, sha256, now())?)
    }

    /// Returns whether the plugin with this hash is quarantined.
    ///
    /// # Errors
    /// If the count is not safe or cannot be read.
    #[doc(hidden)]
    pub fn is_quarantined(&self, sha256: &Digest) -> Result<bool, Error> {
        let roots = Roots::new(&self.paths, self.privilege);
        match roots.data()? {
            Some(data) => Ok(is_quarantined(data, sha256)?),
            None => Ok(false),
        }
    }
}

/// Returns whether this hash is quarantined.
pub(super) fn is_quarantined(data: &SafeDir, sha256: &Digest) -> Result<bool, fs::Error> {
    let Some(dir) = data.dir(COUNTS)? else { return Ok(false) };
    let count = dir.read(&sha256.to_string(), MAX_BYTES)?;
    Ok(count.is_some_and(|count| count == QUARANTINED.as_bytes()))
}

/// Removes the crash count of this hash.
pub(super) fn forget(data: &SafeDir, sha256: &Digest) -> Result<(), fs::Error> {
    let _lock = data.lock(LOCK)?;
    match data.dir(COUNTS)? {
        Some(dir) => dir.remove(&sha256.to_string()).map(|_| ()),
        None => Ok(()),
    }
}

/// Counts a crash at this time.
fn record(data: &SafeDir, sha256: &Digest, now: u64) -> Result<Crashes, fs::Error> {
    let dir = data.make_dir(COUNTS, PRIVATE_DIR)?;
    let name = sha256.to_string();
    let text = dir.read(&name, MAX_BYTES)?.unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    if text == QUARANTINED {
        return Ok(Crashes::Quarantined);
    }
    let window = CRASH_WINDOW.as_millis() as u64;
    // A damaged line does not count, nor does a later time from before the clock was set back.
    let mut times: Vec<u64> = text
        .lines()
        .filter_map(|line| line.parse().ok())
        .filter(|time| *time <= now && now - time < window)
        .collect();
    times.push(now);
    let quarantined = times.len() >= CRASHES_TO_QUARANTINE;
    let text = if quarantined {
        QUARANTINED.to_owned()
    } else {
        times.iter().map(|time| format!("{time}\n")).collect()
    };
    dir.write(&name, text.as_bytes(), PRIVATE_FILE)?;
    Ok(if quarantined { Crashes::Quarantined } else { Crashes::Counted(times.len()) })
}

/// Returns the milliseconds since 1970; 0 for a time before that.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::Rule;

    #[test]
    fn three_crashes_in_ten_minutes_quarantine_file_until_cleared() {
        let dir = tempfile::tempdir().unwrap();
        let data = SafeDir::open(&dir.path().canonicalize().unwrap(), Rule::User).unwrap();
        let (bad, good) = (Digest::of(b"bad"), Digest::of(b"good"));
        let window = CRASH_WINDOW.as_millis() as u64;
        assert_eq!(record(&data, &bad, 1_000).unwrap(), Crashes::Counted(1));
        assert_eq!(record(&data, &bad, 2_000).unwrap(), Crashes::Counted(2));
        assert_eq!(record(&data, &bad, 1_000 + window).unwrap(), Crashes::Counted(2), "one is old");
        assert!(!is_quarantined(&data, &bad).unwrap());
        assert_eq!(record(&data, &bad, 1_001 + window).unwrap(), Crashes::Quarantined);
        assert_eq!(record(&data, &bad, 9 * window).unwrap(), Crashes::Quarantined, "it stays");
        assert!(is_quarantined(&data, &bad).unwrap());
        assert!(!is_quarantined(&data, &good).unwrap());
        forget(&data, &bad).unwrap();
        assert!(!is_quarantined(&data, &bad).unwrap());
        assert_eq!(record(&data, &bad, 9 * window).unwrap(), Crashes::Counted(1));
    }

    #[test]
    fn count_of_the_future_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let data = SafeDir::open(&dir.path().canonicalize().unwrap(), Rule::User).unwrap();
        let hash = Digest::of(b"x");
        // A clock that was set back leaves no crash that counts for ever.
        assert_eq!(record(&data, &hash, 9_000).unwrap(), Crashes::Counted(1));
        assert_eq!(record(&data, &hash, 8_000).unwrap(), Crashes::Counted(1));
    }

    #[test]
    fn damaged_crash_count_lines_are_ignored() {
        let dir = tempfile::tempdir().unwrap();
        let data = SafeDir::open(&dir.path().canonicalize().unwrap(), Rule::User).unwrap();
        let hash = Digest::of(b"x");
        let counts = data.make_dir(COUNTS, PRIVATE_DIR).unwrap();
        counts
            .write(&hash.to_string(), b"\xff\n12x\n99999999999999999999\n-1\n500\n", 0o600)
            .unwrap();
        assert_eq!(record(&data, &hash, 1_000).unwrap(), Crashes::Counted(2));
    }
}

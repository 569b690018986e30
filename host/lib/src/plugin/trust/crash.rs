//! Crashes of plugins' runners, counted by hash: three in ten minutes quarantine a file until it is
//! trusted again. How a runner's end is told from one that somebody else caused is not decided here.

use std::time::{Duration, SystemTime};

use super::roots::Roots;
use super::{Digest, Error, PluginStore};
use crate::fs::{self, PRIVATE_DIR, PRIVATE_FILE, SafeDir};

/// How many crashes within [`CRASH_WINDOW`] quarantine a file.
pub const CRASHES_TO_QUARANTINE: usize = 3;

/// How far apart crashes may lie and still count together.
pub const CRASH_WINDOW: Duration = Duration::from_secs(600);

/// The directory of counts in the user's data directory.
const COUNTS: &str = "crashes";

/// The lock that counts are changed under.
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
        Ok(record(&data, sha256, now())?)
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
    // A damaged line is no crash, and neither is one of a clock that was set back since.
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

/// Milliseconds since 1970; 0 for a time before that.
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
        // A clock that was set back since makes none that never ends to count.
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

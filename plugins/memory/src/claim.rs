//! One writer at a time, without system locks: std has them only since Rust 1.89, and this plugin
//! builds with 1.63. A killed or suspended writer neither blocks the others forever nor overwrites
//! their writes.
//!
//! A writer's *claim* is the file `.NAME.<random>.new` beside `NAME`. The claim becomes the new
//! content: renaming it to `NAME` is the only way to write. A writer that makes a claim and sees no
//! other claim may read, change and rename. Of two concurrent writers, the later one sees the other
//! claim, or finds it renamed, and so written. A waiting writer removes an old claim. The claim's
//! owner, if still alive, then cannot rename it, and reports that nothing was written. So removing
//! a claim is always safe, and the age limit only decides how long a dead writer delays the next.

use std::collections::hash_map::RandomState;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, Hasher};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

use keystead_plugin_api::{Deadline, Error, Result};

use crate::file::failed;

/// Age after which a claim counts as abandoned. A write takes milliseconds, and each written piece
/// renews the claim's time.
const OLD: Duration = Duration::from_secs(5);

/// The right to write a file, until it is committed or dropped.
pub(crate) struct Claim {
    target: PathBuf,
    path: PathBuf,
    file: File,
}

impl Claim {
    /// Waits for the right to write, until the deadline.
    ///
    /// # Errors
    /// [`ErrorKind::TimedOut`](keystead_plugin_api::ErrorKind::TimedOut) if other writers held
    /// claims until the deadline; another kind if the directory cannot be read or written.
    pub(crate) fn take(target: &Path, deadline: Deadline) -> Result<Self> {
        loop {
            // Checked before, too: a useless claim would keep the other writers waiting.
            if !others(target, None)? {
                let claim = Self::new(target)?;
                if !others(target, Some(&claim.path))? {
                    return Ok(claim);
                }
            }
            if deadline.has_passed() {
                return Err(Error::timed_out());
            }
            thread::sleep(Duration::from_micros(500 + random() % 10_000));
        }
    }

    fn new(target: &Path) -> Result<Self> {
        let path = target.with_file_name(name(target, &format!("{:016x}", random())));
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&path).map_err(|error| failed("write", target, &error))?;
        Ok(Self { target: target.to_owned(), path, file })
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Writes the new content and syncs it to the disk.
    pub(crate) fn write(&mut self, content: &[u8]) -> Result<()> {
        let written = self.file.write_all(content).and_then(|()| self.file.sync_all());
        written.map_err(|error| failed("write", &self.target, &error))
    }

    /// Replaces the file with the written content.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`](keystead_plugin_api::ErrorKind::Unavailable) if another process
    /// took over after too long a delay; nothing is written then.
    pub(crate) fn commit(self) -> Result<()> {
        match fs::rename(&self.path, &self.target) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Error::unavailable(format!(
                    "writing {} took too long and another process took over: nothing was written",
                    self.target.display()
                )));
            }
            Err(error) => return Err(failed("write", &self.target, &error)),
        }
        // Without this a power failure could bring the old file back.
        #[cfg(unix)]
        File::open(dir(&self.target))
            .and_then(|dir| dir.sync_all())
            .map_err(|error| failed("write", &self.target, &error))?;
        Ok(())
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // Already gone after a commit. A claim that cannot be removed expires.
        let _ = fs::remove_file(&self.path);
    }
}

/// Returns whether there are claims other than `own`, after removing old ones.
fn others(target: &Path, own: Option<&Path>) -> Result<bool> {
    let unreadable = |error: io::Error| failed("read", dir(target), &error);
    let own_name = target.file_name().unwrap_or_default().to_string_lossy();
    let mut found = false;
    for entry in fs::read_dir(dir(target)).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let path = entry.path();
        if is_claim(&entry.file_name().to_string_lossy(), &own_name) && Some(path.as_path()) != own
        {
            let gone = is_old(&path) && fs::remove_file(&path).is_ok();
            found |= !gone;
        }
    }
    Ok(found)
}

/// Returns whether this is the name of a claim on the file `target`.
fn is_claim(name: &str, target: &str) -> bool {
    let rest = name.strip_prefix('.').and_then(|rest| rest.strip_prefix(target));
    match rest.and_then(|rest| rest.strip_prefix('.')?.strip_suffix(".new")) {
        Some(number) => number.len() == 16 && number.bytes().all(|b| b.is_ascii_hexdigit()),
        None => false,
    }
}

fn is_old(claim: &Path) -> bool {
    let modified = match fs::symlink_metadata(claim).and_then(|meta| meta.modified()) {
        Ok(modified) => modified,
        Err(_) => return false,
    };
    match SystemTime::now().duration_since(modified) {
        Ok(age) => age > OLD,
        // A time in the future: the clock was set back.
        Err(ahead) => ahead.duration() > OLD,
    }
}

/// Returns `.NAME.<number>.new`.
fn name(target: &Path, number: &str) -> OsString {
    let mut name = OsString::from(".");
    name.push(target.file_name().unwrap_or_default());
    name.push(format!(".{number}.new"));
    name
}

fn dir(target: &Path) -> &Path {
    target.parent().unwrap_or(target)
}

/// Returns a unique random number: std seeds its hash maps with randomness.
pub(crate) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use keystead_plugin_api::ErrorKind;

    #[test]
    fn lost_write_lock_cannot_commit() {
        let dir = std::env::temp_dir().join(format!("keystead-claim-{:016x}", random()));
        fs::create_dir(&dir).unwrap();
        let target = dir.join("secrets");
        let now = Deadline::after(Duration::ZERO);

        let mut asleep = Claim::take(&target, now).unwrap();
        asleep.write(b"of the sleeper").unwrap();
        assert_eq!(Claim::take(&target, now).err().unwrap().kind(), ErrorKind::TimedOut);

        // Five seconds later, the next writer would do this.
        fs::remove_file(&asleep.path).unwrap();
        let mut next = Claim::take(&target, now).unwrap();
        next.write(b"of the next").unwrap();
        assert_eq!(asleep.commit().unwrap_err().kind(), ErrorKind::Unavailable);
        next.commit().unwrap();

        assert_eq!(fs::read(&target).unwrap(), b"of the next");
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);
        fs::remove_dir_all(&dir).unwrap();
    }
}

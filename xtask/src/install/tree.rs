//! The files of an installation: staged in one hidden directory below the prefix, then renamed
//! into place one by one, so that no file is ever there in part.
//!
//! Every mode is set outright: what is installed does not depend on the umask.

use std::fs::{File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::Result;
use crate::workspace::files_below;

/// Begins the names of stages.
const STAGE: &str = ".keystead-install-";

/// Directories that are Keystead's alone: their mode is ours to set wherever they are found.
const OURS: [&str; 3] = ["lib/keystead", "lib/keystead/plugins", "lib/keystead/pins.d"];

/// Directories are for everyone to read and for their owner to change.
const DIR: u32 = 0o755;

/// A whole installation in a directory that nobody looks into yet.
pub(super) struct Stage {
    dir: TempDir,
    /// Held as long as this stage is alive: one that nobody holds was left by a killed run.
    _held: File,
}

impl Stage {
    /// Makes an empty stage below a prefix, on the same file system as the places to come.
    pub(super) fn below(prefix: &Path) -> Result<Self> {
        create_dirs(prefix)?;
        remove_stale(prefix)?;
        let dir = tempfile::Builder::new().prefix(STAGE).tempdir_in(prefix)?;
        let held = File::open(dir.path())?;
        held.lock()?;
        Ok(Self { dir, _held: held })
    }

    /// Returns the stage's directory, laid out as the prefix will be.
    pub(super) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Writes a file with a mode and returns its place in the stage.
    pub(super) fn put(&self, to: &str, bytes: &[u8], mode: u32) -> Result<PathBuf> {
        let place = self.path().join(to);
        create_dirs(place.parent().unwrap_or(&place))?;
        let mut file = fs_err::File::create_new(&place)?;
        std::io::Write::write_all(&mut file, bytes)?;
        file.set_permissions(Permissions::from_mode(mode))?;
        // Renamed files may reach the disk before their bytes do.
        file.sync_all()?;
        Ok(place)
    }

    /// Moves every file to its place and returns these places.
    ///
    /// Plugins go first and pins next, so that no pin names a file that is not there; files
    /// that no pin names any more go last.
    pub(super) fn install(self, prefix: &Path) -> Result<Vec<PathBuf>> {
        const ORDER: [&str; 3] = ["lib/keystead/plugins", "lib/keystead", "bin"];
        let mut files = files_below(self.path(), |_| true)?;
        // Those of no place of the order last.
        let rank = |file: &Path| ORDER.iter().position(|dir| file.starts_with(dir)).unwrap_or(9);
        files.sort_by_key(|file| rank(file));
        for dir in OURS {
            create_dirs(&prefix.join(dir))?;
            fs_err::set_permissions(prefix.join(dir), Permissions::from_mode(DIR))?;
        }
        for file in &files {
            let place = prefix.join(file);
            create_dirs(place.parent().unwrap_or(prefix))?;
            fs_err::rename(self.path().join(file), place)?;
        }
        remove_unpinned(&prefix.join("lib/keystead"))?;
        Ok(files.into_iter().map(|file| prefix.join(file)).collect())
    }
}

/// Creates the directories that are missing on the way to one, each with its mode set.
fn create_dirs(dir: &Path) -> Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    if let Some(parent) = dir.parent() {
        create_dirs(parent)?;
    }
    fs_err::create_dir(dir)?;
    fs_err::set_permissions(dir, Permissions::from_mode(DIR))?;
    Ok(())
}

/// Removes stages of runs that were killed: nobody holds their lock.
fn remove_stale(prefix: &Path) -> Result<()> {
    for entry in fs_err::read_dir(prefix)? {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().starts_with(STAGE.as_bytes())
            && entry.file_type()?.is_dir()
            && File::open(entry.path())?.try_lock().is_ok()
        {
            fs_err::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

/// Removes plugin files of earlier installations, which no pin names any more.
fn remove_unpinned(own: &Path) -> Result<()> {
    let mut pins = String::new();
    for pin in fs_err::read_dir(own.join("pins.d"))? {
        pins.push_str(&fs_err::read_to_string(pin?.path())?);
    }
    for plugin in fs_err::read_dir(own.join("plugins"))? {
        let file = plugin?.path();
        let stem = file.file_stem().unwrap_or_default().to_string_lossy();
        let is_hash = stem.len() == 64 && stem.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_hash && !pins.contains(&*stem) {
            fs_err::remove_file(file)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs_err::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn install_moves_staged_files_and_sets_their_modes() {
        let dir = tempfile::tempdir().unwrap();
        let prefix = dir.path().join("a/prefix");
        let stage = Stage::below(&prefix).unwrap();
        stage.put("lib/keystead/pins.d/memory.toml", b"sha256 = \"x\"", 0o644).unwrap();
        stage.put("share/doc", b"text", 0o444).unwrap();
        assert!(!prefix.join("lib").exists());
        stage.install(&prefix).unwrap();
        assert_eq!(mode(&prefix.join("share/doc")), 0o444);
        for own in ["", "lib", "lib/keystead", "lib/keystead/plugins", "lib/keystead/pins.d"] {
            assert_eq!(mode(&prefix.join(own)), 0o755, "{own}");
        }
        assert_eq!(fs_err::read_dir(&prefix).unwrap().count(), 2);
    }

    #[test]
    fn plugin_file_without_pin_is_removed() {
        let prefix = tempfile::tempdir().unwrap();
        let [old, kept] = ["a", "b"].map(|digit| digit.repeat(64));
        let own = prefix.path().join("lib/keystead");
        create_dirs(&own.join("plugins")).unwrap();
        create_dirs(&own.join("pins.d")).unwrap();
        let file = |hash: &str| own.join(format!("plugins/{hash}.so"));
        for hash in [&old, &kept] {
            fs_err::write(file(hash), "").unwrap();
        }
        fs_err::write(own.join("pins.d/other.toml"), format!("sha256 = \"{kept}\"")).unwrap();
        Stage::below(prefix.path()).unwrap().install(prefix.path()).unwrap();
        assert_eq!((file(&old).exists(), file(&kept).exists()), (false, true));
    }

    #[test]
    fn stage_of_killed_run_is_removed_and_running_stage_kept() {
        let prefix = tempfile::tempdir().unwrap();
        let stale = prefix.path().join(".keystead-install-stale");
        fs_err::create_dir(&stale).unwrap();
        let running = Stage::below(prefix.path()).unwrap();
        assert!(!stale.exists());
        let second = Stage::below(prefix.path()).unwrap();
        assert!(running.path().exists() && second.path().exists());
    }
}

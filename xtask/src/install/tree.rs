//! The files of an installation: staged in one hidden folder below the prefix, then renamed
//! into place one by one, so that no file is ever there in part.
//!
//! Every mode is set outright: what is installed does not depend on the umask.

use std::fs::{File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::Result;

/// Begins the names of stages.
const STAGE: &str = ".keystead-install-";

/// Folders that are Keystead's alone: their mode is ours to set wherever they are found.
const OURS: [&str; 3] = ["lib/keystead", "lib/keystead/plugins", "lib/keystead/pins.d"];

/// Folders are for everyone to read and for their owner to change.
const FOLDER: u32 = 0o755;

/// A whole installation in a folder that nobody looks into yet.
pub(super) struct Stage {
    folder: TempDir,
    /// Held as long as this stage is alive: one that nobody holds was left by a killed run.
    _held: File,
}

impl Stage {
    /// Makes an empty stage below a prefix, on the same file system as the places to come.
    pub(super) fn below(prefix: &Path) -> Result<Self> {
        create_folders(prefix)?;
        remove_stale(prefix)?;
        let folder = tempfile::Builder::new().prefix(STAGE).tempdir_in(prefix)?;
        let held = File::open(folder.path())?;
        held.lock()?;
        Ok(Self { folder, _held: held })
    }

    /// Returns the stage's folder, laid out as the prefix will be.
    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Copies a file into the stage.
    pub(super) fn copy(&self, from: &Path, to: &str, mode: u32) -> Result<PathBuf> {
        self.put(to, &fs_err::read(from)?, mode)
    }

    /// Writes a file that everyone may read.
    pub(super) fn write(&self, to: &str, bytes: &[u8]) -> Result<PathBuf> {
        self.put(to, bytes, 0o644)
    }

    fn put(&self, to: &str, bytes: &[u8], mode: u32) -> Result<PathBuf> {
        let place = self.path().join(to);
        create_folders(place.parent().unwrap_or(&place))?;
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
        let mut files = Vec::new();
        list(self.path(), &mut files)?;
        let rank = |file: &Path| match file {
            file if file.starts_with("lib/keystead/plugins") => 0,
            file if file.starts_with("lib/keystead") => 1,
            file if file.starts_with("bin") => 2,
            _ => 3,
        };
        let mut files: Vec<PathBuf> = files
            .iter()
            .filter_map(|file| file.strip_prefix(self.path()).ok().map(Path::to_owned))
            .collect();
        files.sort_by(|a, b| (rank(a), a).cmp(&(rank(b), b)));
        for folder in OURS {
            create_folders(&prefix.join(folder))?;
            fs_err::set_permissions(prefix.join(folder), Permissions::from_mode(FOLDER))?;
        }
        for file in &files {
            let place = prefix.join(file);
            create_folders(place.parent().unwrap_or(prefix))?;
            fs_err::rename(self.path().join(file), place)?;
        }
        remove_unpinned(&prefix.join("lib/keystead"))?;
        Ok(files.into_iter().map(|file| prefix.join(file)).collect())
    }
}

/// Creates the folders that are missing on the way to one, each with its mode set.
fn create_folders(folder: &Path) -> Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    if let Some(parent) = folder.parent() {
        create_folders(parent)?;
    }
    fs_err::create_dir(folder)?;
    fs_err::set_permissions(folder, Permissions::from_mode(FOLDER))?;
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
        let is_hash =
            |stem: &str| stem.len() == 64 && stem.bytes().all(|byte| byte.is_ascii_hexdigit());
        if file
            .file_stem()
            .and_then(|stem| stem.to_str())
            .is_some_and(|stem| is_hash(stem) && !pins.contains(stem))
        {
            fs_err::remove_file(file)?;
        }
    }
    Ok(())
}

/// Adds all files below a folder to a list.
fn list(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs_err::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            list(&entry.path(), files)?;
        } else {
            files.push(entry.path());
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
    fn nothing_is_in_place_until_all_is_staged_and_every_mode_is_ours() {
        let folder = tempfile::tempdir().unwrap();
        let prefix = folder.path().join("a/prefix");
        let stage = Stage::below(&prefix).unwrap();
        stage.write("lib/keystead/pins.d/memory.toml", b"sha256 = \"x\"").unwrap();
        stage.write("share/doc", b"text").unwrap();
        assert!(!prefix.join("lib").exists());
        stage.install(&prefix).unwrap();
        assert_eq!(fs_err::read(prefix.join("share/doc")).unwrap(), b"text");
        assert_eq!(mode(&prefix.join("share/doc")), 0o644);
        for own in ["", "lib", "lib/keystead", "lib/keystead/plugins", "lib/keystead/pins.d"] {
            assert_eq!(mode(&prefix.join(own)), 0o755, "{own}");
        }
        let left: Vec<_> =
            fs_err::read_dir(&prefix).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left.len(), 2, "{left:?}");
    }

    #[test]
    fn a_plugin_file_goes_when_no_pin_names_it_and_stays_when_another_does() {
        let prefix = tempfile::tempdir().unwrap();
        let [old, kept, new] = ["a", "b", "c"].map(|digit| digit.repeat(64));
        let own = prefix.path().join("lib/keystead");
        create_folders(&own.join("plugins")).unwrap();
        create_folders(&own.join("pins.d")).unwrap();
        for file in [&old, &kept] {
            fs_err::write(own.join("plugins").join(format!("{file}.so")), "").unwrap();
        }
        fs_err::write(own.join("pins.d/other.toml"), format!("sha256 = \"{kept}\"")).unwrap();
        let stage = Stage::below(prefix.path()).unwrap();
        stage.write(&format!("lib/keystead/plugins/{new}.so"), b"").unwrap();
        stage
            .write("lib/keystead/pins.d/memory.toml", format!("sha256 = \"{new}\"").as_bytes())
            .unwrap();
        stage.install(prefix.path()).unwrap();
        let there = |file: &str| own.join("plugins").join(format!("{file}.so")).exists();
        assert_eq!((there(&old), there(&kept), there(&new)), (false, true, true));
    }

    #[test]
    fn a_stage_left_by_a_killed_run_is_removed_and_a_running_one_is_not() {
        let prefix = tempfile::tempdir().unwrap();
        let stale = prefix.path().join(".keystead-install-stale");
        fs_err::create_dir(&stale).unwrap();
        let running = Stage::below(prefix.path()).unwrap();
        assert!(!stale.exists());
        let second = Stage::below(prefix.path()).unwrap();
        assert!(running.path().exists() && second.path().exists());
    }
}

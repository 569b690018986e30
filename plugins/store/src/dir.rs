//! The directory of a vault. Only its owner may enter it, it is on a local disk, and new files in
//! it appear complete or not at all.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use keystead_plugin_api::{Error, Result};
use rustix::fs::{CWD, RenameFlags};
use rustix::io::Errno;

use crate::key::fill;

/// File systems whose locks other machines may not see, by their numbers in `statfs(2)`.
const OF_A_NETWORK: [(u64, &str); 9] = [
    (0x6969, "NFS"),
    (0x517b, "SMB"),
    (0xff53_4d42, "SMB"),
    (0xfe53_4d42, "SMB"),
    (0x5346_414f, "AFS"),
    (0x7375_7245, "Coda"),
    (0x00c3_6400, "Ceph"),
    (0x0bd0_0bd0, "Lustre"),
    (0x0102_1997, "9P"),
];

/// Checks that a directory is ours, that no other user may enter it, and that it is local.
pub(crate) fn check(dir: &Path) -> Result<()> {
    let found = fs::metadata(dir).map_err(|error| failed("read", dir, &error))?;
    if !found.is_dir() {
        return Err(Error::invalid(format!("{} is not a directory", dir.display())));
    }
    private(dir, &found, "700")?;
    let system = rustix::fs::statfs(dir).map_err(|error| failed("read", dir, &error.into()))?;
    // The number's type differs between architectures; only 32 bits of it mean anything.
    let number = system.f_type as u64 & 0xffff_ffff;
    match OF_A_NETWORK.iter().find(|(known, _)| *known == number) {
        None => Ok(()),
        Some((_, name)) => Err(Error::unsupported(format!(
            "{} is on a network file system ({name}), whose locks cannot be relied on",
            dir.display()
        ))),
    }
}

/// Checks that a file or directory is ours, and that other users have no access.
pub(crate) fn private(path: &Path, found: &Metadata, mode: &str) -> Result<()> {
    let shown = path.display();
    if found.uid() != rustix::process::geteuid().as_raw() {
        return Err(Error::permission_denied(format!(
            "{shown} belongs to another user (number {}): a vault is opened by its owner alone",
            found.uid()
        )));
    }
    match found.mode() & 0o077 {
        0 => Ok(()),
        _ => Err(Error::permission_denied(format!(
            "others may use {shown} (mode {:03o}): run `chmod {mode} {shown}` if that is not meant",
            found.mode() & 0o777
        ))),
    }
}

/// Creates a directory and its missing parents permanently, for their owner alone.
pub(crate) fn make(dir: &Path) -> Result<()> {
    let missing: Vec<&Path> = dir.ancestors().take_while(|dir| !dir.exists()).collect();
    // Another process may have just created it, and been killed before syncing.
    if missing.is_empty() {
        return match sync_dir_of(dir) {
            // This user cannot have created a directory in an unreadable parent.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
            synced => synced.map_err(|error| failed("make", dir, &error)),
        };
    }
    for dir in missing.into_iter().rev() {
        match DirBuilder::new().mode(0o700).create(dir) {
            Ok(()) => {}
            // Another process was faster, and may be killed before syncing.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed("make", dir, &error)),
        }
        sync_dir_of(dir).map_err(|error| failed("make", dir, &error))?;
    }
    Ok(())
}

/// A new file that appears under its name once complete, and never replaces another.
pub(crate) struct NewFile {
    path: PathBuf,
    temporary: PathBuf,
}

impl NewFile {
    /// Creates an empty file with a temporary name, for its owner alone.
    pub(crate) fn make(path: &Path) -> Result<(Self, File)> {
        let mut random = [0; 8];
        fill(&mut random)?;
        let mut name = std::ffi::OsString::from(".");
        name.push(path.file_name().unwrap_or_default());
        name.push(format!(".{:016x}.new", u64::from_le_bytes(random)));
        let temporary = path.with_file_name(name);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)
            .map_err(|error| failed("write", path, &error))?;
        Ok((Self { path: path.to_owned(), temporary }, file))
    }

    /// Returns the file's temporary path.
    pub(crate) fn temporary(&self) -> &Path {
        &self.temporary
    }

    /// Gives the file its final name permanently; `false` if another file has that name.
    pub(crate) fn publish(self) -> Result<bool> {
        let written = |error: io::Error| failed("write", &self.path, &error);
        let renamed = rustix::fs::renameat_with(
            CWD,
            &self.temporary,
            CWD,
            &self.path,
            RenameFlags::NOREPLACE,
        );
        match renamed {
            Ok(()) => {}
            Err(Errno::EXIST) => return Ok(false),
            // Without support for this rename, a hard link does the same.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
                match fs::hard_link(&self.temporary, &self.path) {
                    Ok(()) => fs::remove_file(&self.temporary).map_err(written)?,
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
                    Err(error) => return Err(written(error)),
                }
            }
            Err(error) => return Err(written(error.into())),
        }
        sync_dir_of(&self.path).map_err(written)?;
        Ok(true)
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        // Already gone after publication.
        let _ = fs::remove_file(&self.temporary);
    }
}

/// Opens an existing empty file that is ours alone; `None` if there is none or it has content.
pub(crate) fn open_empty(path: &Path) -> Result<Option<File>> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_file() && found.len() == 0 => private(path, &found, "600")?,
        _ => return Ok(None),
    }
    let opened = OpenOptions::new().read(true).write(true).open(path);
    let file = opened.map_err(|error| failed("write", path, &error))?;
    let found = file.metadata().map_err(|error| failed("read", path, &error))?;
    Ok((found.len() == 0).then_some(file))
}

/// Writes a new file; `false` if there is one.
pub(crate) fn write_new(path: &Path, content: &[u8]) -> Result<bool> {
    let (new, mut file) = NewFile::make(path)?;
    let written = file.write_all(content).and_then(|()| file.sync_all());
    written.map_err(|error| failed("write", path, &error))?;
    new.publish()
}

/// Syncs the parent directory, so that a power failure cannot lose a new file's name.
fn sync_dir_of(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(dir) => File::open(dir)?.sync_all(),
        None => Ok(()),
    }
}

/// Returns the error for a failed system call.
pub(crate) fn failed(verb: &str, path: &Path, error: &io::Error) -> Error {
    let message = format!("cannot {verb} {}: {error}", path.display());
    match error.kind() {
        io::ErrorKind::PermissionDenied => Error::permission_denied(message),
        _ => Error::unavailable(message),
    }
}

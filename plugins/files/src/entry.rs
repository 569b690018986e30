//! One file of a directory: its type, without waiting for a pipe or following a link, and its
//! content at one moment.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use keystead_plugin_api::{
    Entry, Error, MAX_VALUE_BYTES, Metadata, MetadataValue, Result, Secret, SecretBytes,
    SecretName, keys,
};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use zeroize::Zeroizing;

use crate::content::{self, Mark, Newline};
use crate::dir::Snapshot;
use crate::failed;
use crate::kinds::Kinds;
use crate::name::INDEX;
use crate::trust;

/// Number of times a file is read again if another process writes to it during the read.
const TRIES: usize = 5;

/// Type of the file with a given name.
pub(crate) enum Look {
    Nothing,
    /// A directory, which is not a secret.
    Dir,
    File(Stat),
    /// A link.
    Link,
    /// A pipe, a socket or a device.
    Special,
}

/// Returns the type of the file with this name without opening anything.
pub(crate) fn look(snapshot: &Snapshot, name: &str) -> Result<Look> {
    match rustix::fs::statat(&snapshot.dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Look::File(stat),
            FileType::Directory => Look::Dir,
            FileType::Symlink => Look::Link,
            _ => Look::Special,
        }),
        Err(Errno::NOENT) => Ok(Look::Nothing),
        Err(error) => Err(failed("read", &path(snapshot, name), error)),
    }
}

/// Returns the state of the file with this name.
///
/// # Errors
/// `NotFound` for a missing file or a directory, `PermissionDenied` for a link or a special file.
pub(crate) fn file(snapshot: &Snapshot, name: &str) -> Result<Stat> {
    match look(snapshot, name)? {
        Look::File(stat) => Ok(stat),
        Look::Nothing | Look::Dir => Err(Error::not_found()),
        Look::Link => Err(link(snapshot, name)),
        Look::Special => Err(special(snapshot, name)),
    }
}

/// Returns the error for a link, which could lead anywhere.
pub(crate) fn link(snapshot: &Snapshot, name: &str) -> Error {
    let shown = path(snapshot, name);
    Error::permission_denied(format!("{} is a link, which is not followed", shown.display()))
}

/// Returns the error for a pipe, socket or device.
pub(crate) fn special(snapshot: &Snapshot, name: &str) -> Error {
    let shown = path(snapshot, name);
    Error::permission_denied(format!(
        "{} is a pipe, a socket or a device, not a file",
        shown.display()
    ))
}

pub(crate) fn path(snapshot: &Snapshot, name: &str) -> PathBuf {
    snapshot.path.join(name)
}

/// Returns a secret.
///
/// # Errors
/// As for [`file`]; `PermissionDenied` if other users may write the file; `Unsupported` if it is
/// too large; `Unavailable` if it changes during every read.
pub(crate) fn read(snapshot: &Snapshot, name: &str, newline: Newline) -> Result<Secret> {
    for _ in 0..TRIES {
        if let Some(secret) = try_read(snapshot, name, newline)? {
            return Ok(secret);
        }
    }
    let shown = path(snapshot, name);
    Err(Error::unavailable(format!("{} changes while it is read", shown.display())))
}

/// Opens a file.
///
/// # Errors
/// As for [`read`].
pub(crate) fn open(snapshot: &Snapshot, name: &str) -> Result<(File, Stat)> {
    // Checked first, since opening some devices has an effect.
    file(snapshot, name)?;
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NOCTTY;
    // Does not wait for a pipe that has replaced the file since the check.
    let flags = flags | OFlags::NONBLOCK;
    let opened = match rustix::fs::openat(&snapshot.dir, name, flags, Mode::empty()) {
        Ok(opened) => File::from(opened),
        Err(Errno::NOENT) => return Err(Error::not_found()),
        Err(Errno::LOOP) => return Err(link(snapshot, name)),
        Err(Errno::NXIO) => return Err(special(snapshot, name)),
        Err(error) => return Err(failed("read", &path(snapshot, name), error)),
    };
    let read = |error| failed("read", &path(snapshot, name), error);
    let stat = rustix::fs::fstat(&opened).map_err(read)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(special(snapshot, name));
    }
    let (stat, mount) = snapshot.outside.seen(&snapshot.place.join(name), stat, &opened)?;
    trust::file(&path(snapshot, name), &stat, mount)?;
    Ok((opened, stat))
}

/// Returns a secret, or `None` if the file changed during the read.
fn try_read(snapshot: &Snapshot, name: &str, newline: Newline) -> Result<Option<Secret>> {
    let (mut file, before) = open(snapshot, name)?;
    let shown = || path(snapshot, name);
    let large = |error: Error| {
        Error::new(error.kind(), format!("{} has {}", shown().display(), error.message()))
    };
    let size = usize::try_from(before.st_size).unwrap_or(usize::MAX);
    if size > MAX_VALUE_BYTES {
        return Err(large(content::too_large()));
    }
    let bytes = all(&mut file, size).map_err(|error| failed("read", &shown(), error))?;
    let mark = match Mark::of(&file) {
        Mark::None => marked(snapshot, name, &before)?,
        mark => mark,
    };
    // If the state is unchanged, the index line read above was for this file.
    let after = rustix::fs::fstat(&file).map_err(|error| failed("read", &shown(), error))?;
    if changes(&before) != changes(&after) {
        return Ok(None);
    }
    let Some(bytes) = bytes else { return Err(large(content::too_large())) };
    let value = content::value(bytes, mark, newline).map_err(large)?;
    Ok(Some(Secret::with_metadata(value, metadata(&before)).of_version(version(&before))))
}

/// Returns the mark of a file in the directory's index.
fn marked(snapshot: &Snapshot, name: &str, stat: &Stat) -> Result<Mark> {
    let kinds = Kinds::of(snapshot);
    let kinds = kinds.map_err(|error| failed("read", &path(snapshot, INDEX), error))?;
    Ok(if kinds.has(name, stat) { Mark::Bytes } else { Mark::None })
}

/// Reads a file to its end; `None` if the content exceeds the size limit of a secret.
fn all(file: &mut File, size: usize) -> io::Result<Option<SecretBytes>> {
    // One byte more than expected: the end is detected without growing.
    let mut buffer = Zeroizing::new(vec![0; size + 1]);
    let mut len = 0;
    loop {
        if len > MAX_VALUE_BYTES {
            return Ok(None);
        }
        if len == buffer.len() {
            let mut larger = Zeroizing::new(vec![0; (2 * len).min(MAX_VALUE_BYTES + 1)]);
            larger[..len].copy_from_slice(&buffer);
            buffer = larger;
        }
        match file.read(&mut buffer[len..]) {
            Ok(0) => return Ok(Some(SecretBytes::copy_of(&buffer[..len]))),
            Ok(more) => len += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Returns the parts of a file's state that change with each write.
fn changes(stat: &Stat) -> impl PartialEq + use<> {
    (stat.st_size, stat.st_mtime, stat.st_mtime_nsec, stat.st_ctime, stat.st_ctime_nsec)
}

/// Returns the list entry of a file, without its kind, which needs an open file.
pub(crate) fn listed(name: SecretName, stat: &Stat) -> Entry {
    Entry::new(name, None, metadata(stat)).of_version(version(stat))
}

/// Returns a version for a file's content: its modification time, inode number and size. A write by
/// this plugin never has the time of the content that it replaces.
pub(crate) fn version(stat: &Stat) -> String {
    let (number, size) = (stat.st_ino, stat.st_size);
    format!("{}.{:09}-{number:x}-{size}", stat.st_mtime, stat.st_mtime_nsec)
}

/// Returns the metadata of a file: when it was last written.
fn metadata(stat: &Stat) -> Metadata {
    let millis = i64::try_from(stat.st_mtime_nsec).unwrap_or(0) / 1_000_000;
    let at = stat.st_mtime.saturating_mul(1_000).saturating_add(millis);
    let mut metadata = Metadata::new();
    // A time outside the years 1 to 9999 is ignored.
    let _ = metadata.insert_read_only(keys::UPDATED, MetadataValue::Timestamp(at));
    metadata
}

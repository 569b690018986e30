//! Key files: a file of random bytes that opens a vault without a prompt.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use keystead_plugin_api::{Error, Result};
use zeroize::Zeroizing;

use crate::dir;
use crate::key::{KEY_BYTES, Key, fill};

/// Allowed length of a key file in bytes. All bytes are the key, so any random file works. A
/// shorter key can be guessed; a longer file is not a key file.
const SIZES: std::ops::RangeInclusive<usize> = KEY_BYTES..=4_096;

/// Returns the key of a file; `None` for a missing or empty file. In a sandbox, the plugin may have
/// an empty file to fill and no permission to create one.
///
/// # Errors
/// `PermissionDenied` if other users may read it, `Invalid` if it cannot be a key.
pub(crate) fn read(path: &Path) -> Result<Option<Key>> {
    let refused = |error: io::Error| dir::failed("read", path, &error);
    let found = match std::fs::metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(refused(error)),
    };
    // Opening a pipe would block forever.
    if !found.is_file() {
        return Err(Error::invalid(format!("the key file {} is not a file", path.display())));
    }
    let file = File::open(path).map_err(refused)?;
    dir::private(path, &file.metadata().map_err(refused)?, "600")?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(SIZES.end() + 1));
    file.take(*SIZES.end() as u64 + 1).read_to_end(&mut bytes).map_err(refused)?;
    if bytes.is_empty() {
        return Ok(None);
    }
    if !SIZES.contains(&bytes.len()) {
        return Err(Error::invalid(format!(
            "the key file {} has not between {} and {} bytes",
            path.display(),
            SIZES.start(),
            SIZES.end()
        )));
    }
    Ok(Some(Key::of_material("key file", &bytes)))
}

/// Returns the key of a file, and creates the file if it is missing.
pub(crate) fn read_or_make(path: &Path) -> Result<Key> {
    if let Some(key) = read(path)? {
        return Ok(key);
    }
    if let Some(parent) = path.parent() {
        dir::make(parent)?;
    }
    let mut random = Zeroizing::new([0; KEY_BYTES]);
    fill(&mut random[..])?;
    // In hexadecimal, which survives a clipboard and a final line break.
    let mut text = Zeroizing::new(Vec::with_capacity(2 * KEY_BYTES + 1));
    for byte in random.iter() {
        for half in [byte >> 4, byte & 15] {
            text.push(b"0123456789abcdef"[usize::from(half)]);
        }
    }
    text.push(b'\n');
    // If another process was faster, its file is the key.
    if !fill_empty(path, &text)? {
        dir::write_new(path, &text)?;
    }
    read(path)?
        .ok_or_else(|| Error::unavailable(format!("the key file {} is gone", path.display())))
}

/// Writes into an existing empty file; `false` if there is no file.
fn fill_empty(path: &Path, text: &[u8]) -> Result<bool> {
    let failed = |error: io::Error| dir::failed("write", path, &error);
    let mut file = match File::options().append(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(failed(error)),
    };
    // The first of several concurrent processes fills it, which takes no longer than a sync.
    file.lock().map_err(failed)?;
    if file.metadata().map_err(failed)?.len() == 0 {
        file.write_all(text).and_then(|()| file.sync_all()).map_err(failed)?;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use keystead_plugin_api::ErrorKind;

    use super::*;

    #[test]
    fn key_file_is_created_once_with_mode_600() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys/work.key");
        assert!(read(&path).unwrap().is_none());
        let key = read_or_make(&path).unwrap();
        assert_eq!(read_or_make(&path).unwrap().bytes(), key.bytes());
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn empty_key_file_is_filled_by_first_thread() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("work.key");
        std::fs::write(&path, "").unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        assert!(read(&path).unwrap().is_none());
        let inode = std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(&path).unwrap());
        let make = || {
            std::thread::spawn({
                let path = path.clone();
                move || read_or_make(&path).unwrap().bytes().to_vec()
            })
        };
        let all: Vec<_> = (0..8).map(|_| make()).collect();
        let mut keys: Vec<_> = all.into_iter().map(|one| one.join().unwrap()).collect();
        keys.dedup();
        assert_eq!(keys.len(), 1);
        let filled = std::fs::metadata(&path).unwrap();
        assert_eq!(std::os::unix::fs::MetadataExt::ino(&filled), inode);
        assert_eq!(filled.len(), 2 * KEY_BYTES as u64 + 1);
    }

    #[test]
    fn key_file_with_wrong_size_mode_or_type_is_rejected() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let kind = |mode: u32, bytes: usize| {
            std::fs::write(&path, vec![b'x'; bytes]).unwrap();
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            read(&path).map(|key| key.is_some()).map_err(|error| error.kind())
        };
        assert_eq!(kind(0o600, 31), Err(ErrorKind::Invalid));
        assert_eq!(kind(0o600, 32), Ok(true));
        assert_eq!(kind(0o400, 4_096), Ok(true));
        assert_eq!(kind(0o600, 4_097), Err(ErrorKind::Invalid));
        assert_eq!(kind(0o640, 64), Err(ErrorKind::PermissionDenied));
        assert_eq!(kind(0o604, 64), Err(ErrorKind::PermissionDenied));
        assert_eq!(read(dir.path()).err().unwrap().kind(), ErrorKind::Invalid);
    }
}

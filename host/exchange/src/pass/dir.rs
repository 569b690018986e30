//! The files of a password store, sorted by name. Links are followed only to files of the same
//! directory: any other link imports files that were never put there.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use keystead_plugin_api::MAX_VALUE_BYTES;

use super::super::Error;
use super::FORM;

/// Maximum number of files, and of directories: no user keeps so many by hand.
const MAX_FILES: usize = 100_000;

/// Maximum depth of nested directories.
const MAX_DEPTH: usize = 32;

/// Maximum size in bytes of an encrypted file: the largest value, in armour.
const MAX_FILE_BYTES: u64 = 3 * (MAX_VALUE_BYTES as u64) / 2;

/// Content of a directory.
#[derive(Debug, Default)]
pub(super) struct All {
    pub(super) found: Vec<Found>,
    /// Number of other files.
    pub(super) others: u64,
}

/// A file to decrypt, or a path that cannot be decrypted.
#[derive(Debug)]
pub(super) struct Found {
    /// Its path below the directory.
    pub(super) path: PathBuf,
    /// Path of its content, or the reason why it is not read.
    pub(super) place: Result<PathBuf, &'static str>,
}

/// Returns the files in a directory and its subdirectories. Skips names with a leading dot.
pub(super) fn all(dir: &Path) -> Result<All, Error> {
    let root = dir.canonicalize().map_err(Error::Read)?;
    let mut all = All::default();
    // Directories still to read, and the depth of each.
    let mut dirs = vec![(PathBuf::new(), 0)];
    let mut count = 0;
    while let Some((within, depth)) = dirs.pop() {
        let listed = match root.join(&within).read_dir() {
            Ok(listed) => listed,
            Err(fault) if depth == 0 => return Err(Error::Read(fault)),
            Err(_) => {
                all.found.push(Found { path: within, place: Err("the directory cannot be read") });
                continue;
            }
        };
        for entry in listed {
            let entry = entry.map_err(Error::Read)?;
            count += 1;
            if count > MAX_FILES {
                let why = format!("it has more than {MAX_FILES} files");
                return Err(Error::NotOfForm { form: FORM, why });
            }
            if entry.file_name().as_bytes().starts_with(b".") {
                continue;
            }
            let path = within.join(entry.file_name());
            let is_gpg = path.extension().is_some_and(|extension| extension == "gpg");
            let kind = entry.file_type().map_err(Error::Read)?;
            let place = root.join(&path);
            if kind.is_dir() {
                if depth < MAX_DEPTH {
                    dirs.push((path, depth + 1));
                } else {
                    let place = Err("its directory is nested too deep");
                    all.found.push(Found { path, place });
                }
            } else if kind.is_symlink() {
                match linked(&root, &place) {
                    Ok(_) if !is_gpg => all.others += 1,
                    place => all.found.push(Found { path, place }),
                }
            } else if !is_gpg {
                all.others += 1;
            } else if kind.is_file() {
                all.found.push(Found { path, place: Ok(place) });
            } else {
                all.found.push(Found { path, place: Err("it is no file") });
            }
        }
    }
    all.found.sort_by(|one, other| one.path.as_os_str().cmp(other.path.as_os_str()));
    Ok(all)
}

/// Returns the file that a link leads to, if it is in the same directory.
fn linked(root: &Path, link: &Path) -> Result<PathBuf, &'static str> {
    let target = link.canonicalize().map_err(|_| "it is a link that leads nowhere")?;
    match target.strip_prefix(root) {
        Err(_) => Err("it is a link that leads out of the directory"),
        Ok(_) if target.is_dir() => Err("it is a link to a directory"),
        Ok(_) => Ok(target),
    }
}

/// Reads an encrypted file.
pub(super) fn content(place: &Path) -> Result<Vec<u8>, String> {
    let read = || -> io::Result<Result<Vec<u8>, String>> {
        // If the file was exchanged meanwhile: neither follow a link nor wait for a pipe.
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        let flags = i32::try_from(flags.bits()).expect("flags of open have 32 bits");
        let file = OpenOptions::new().read(true).custom_flags(flags).open(place)?;
        let found = file.metadata()?;
        if !found.is_file() {
            return Ok(Err("it is no file".into()));
        }
        let too_long = || Ok(Err(format!("it has more than {MAX_FILE_BYTES} bytes")));
        if found.len() > MAX_FILE_BYTES {
            return too_long();
        }
        let mut bytes = Vec::new();
        file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_FILE_BYTES { too_long() } else { Ok(Ok(bytes)) }
    };
    read().unwrap_or_else(|fault| Err(format!("it cannot be read: {fault}")))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_out_of_password_store_are_not_followed() {
        let outside = tempfile::tempdir().unwrap();
        fs_err::write(outside.path().join("canary.gpg"), "x").unwrap();
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for name in [".git", ".extensions", "b", "b/c", "empty"] {
            fs_err::create_dir(at(name)).unwrap();
        }
        for name in
            [".gpg-id", ".git/x.gpg", "b/c/z.gpg", "b/y.gpg", "b.gpg", "README.md", "a.gpg.bak"]
        {
            fs_err::write(at(name), "x").unwrap();
        }
        symlink("b/y.gpg", at("inside.gpg")).unwrap();
        symlink("README.md", at("doc.md")).unwrap();
        symlink(outside.path().join("canary.gpg"), at("outside.gpg")).unwrap();
        symlink("../..", at("up")).unwrap();
        symlink("..", at("b/loop")).unwrap();
        symlink("nowhere", at("dangling.gpg")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, at("fifo.gpg"), 0o600.into()).unwrap();
        let all = all(dir.path()).unwrap();
        let shown: Vec<_> = all
            .found
            .iter()
            .map(|found| match &found.place {
                Ok(_) => format!("{}", found.path.display()),
                Err(why) => format!("{}: {why}", found.path.display()),
            })
            .collect();
        assert_eq!(
            shown,
            [
                "b.gpg",
                "b/c/z.gpg",
                "b/loop: it is a link to a directory",
                "b/y.gpg",
                "dangling.gpg: it is a link that leads nowhere",
                "fifo.gpg: it is no file",
                "inside.gpg",
                "outside.gpg: it is a link that leads out of the directory",
                "up: it is a link that leads out of the directory",
            ]
        );
        assert_eq!(all.others, 3);
    }

    #[test]
    fn fifo_link_or_oversized_file_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        rustix::fs::mkfifoat(rustix::fs::CWD, at("fifo"), 0o600.into()).unwrap();
        assert_eq!(content(&at("fifo")).unwrap_err(), "it is no file");
        symlink("fifo", at("link")).unwrap();
        assert!(content(&at("link")).unwrap_err().starts_with("it cannot be read: "));
        let large = fs_err::File::create(at("large")).unwrap();
        large.set_len(MAX_FILE_BYTES + 1).unwrap();
        assert_eq!(content(&at("large")).unwrap_err(), "it has more than 25165824 bytes");
    }

    #[test]
    fn too_deep_dir_nesting_is_reported() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("d/".repeat(MAX_DEPTH + 1));
        fs_err::create_dir_all(&deep).unwrap();
        fs_err::write(deep.join("x.gpg"), "x").unwrap();
        let all = all(dir.path()).unwrap();
        let [Found { place: Err(why), .. }] = all.found.as_slice() else { panic!("{all:?}") };
        assert_eq!(*why, "its directory is nested too deep");
    }
}

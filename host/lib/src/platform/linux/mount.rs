//! Position of an open file or directory in its file system, whatever mount it was reached by. A
//! bind mount shows a directory under a second path, and its `..` leads elsewhere.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags, StatxFlags};
use rustix::io::Errno;

/// Maximum length of the mount list, in bytes: enough for ten thousand mounts.
const MAX_LIST_BYTES: u64 = 4 * 1024 * 1024;

/// A position in a file system: the device, and the path from its own root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Position {
    device: Vec<u8>,
    path: PathBuf,
    /// Position that a write really reaches: on an overlay, in its upper directory.
    written: Option<Box<Position>>,
}

impl Position {
    /// Returns the position that these names lead to from this position.
    pub(crate) fn below(mut self, names: &[OsString]) -> Self {
        self.path.extend(names);
        self.written = self.written.map(|written| Box::new(written.below(names)));
        self
    }

    /// Returns whether this position is `other` or below it. Names that differ only by case count
    /// as equal, as they may name the same directory.
    pub(crate) fn is_within(&self, other: &Self) -> bool {
        let is_written_below = self.written.as_ref().is_some_and(|own| own.is_below(other));
        self.is_below(other)
            || is_written_below
            || other.written.as_ref().is_some_and(|other| self.is_below(other))
    }

    fn is_below(&self, other: &Self) -> bool {
        let mut own = self.path.components();
        self.device == other.device
            && other.path.components().all(|wanted| own.next().is_some_and(|one| same(one, wanted)))
    }
}

fn same(one: Component<'_>, other: Component<'_>) -> bool {
    is_same(one.as_os_str(), other.as_os_str())
}

/// Returns whether two names may name the same object in a directory that folds case.
pub(crate) fn is_same(one: &OsStr, other: &OsStr) -> bool {
    let folded = |name: &OsStr| {
        let seen: String = name.to_string_lossy().chars().filter(|c| !is_ignored(*c)).collect();
        // Both directions: the long s has no lower case of its own, and case folding makes it an s.
        seen.to_uppercase().to_lowercase()
    };
    one == other || folded(one) == folded(other)
}

/// Returns whether a directory that folds case ignores this character.
fn is_ignored(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{fff0}'..='\u{fff8}' | '\u{e0000}'..='\u{e0fff}')
}

/// The mounts of this process, as they were at one moment.
#[derive(Debug)]
pub(crate) struct Mounts(Vec<u8>);

impl Mounts {
    /// Reads the list of mounts.
    ///
    /// # Errors
    /// The system's error.
    pub(crate) fn read() -> Result<Self, Errno> {
        read("/proc/self/mountinfo").map(Self)
    }

    /// Returns the position of an open file or directory.
    ///
    /// # Errors
    /// The system's error.
    pub(crate) fn position(&self, fd: BorrowedFd<'_>) -> Result<Position, Errno> {
        self.position_by(fd, true)
    }

    /// Returns the positions of all mounts below an open directory: write access to the directory
    /// reaches them as well.
    ///
    /// # Errors
    /// The system's error.
    pub(crate) fn below(&self, fd: BorrowedFd<'_>) -> Result<Vec<Position>, Errno> {
        let dir = path_of(fd)?;
        let below = self.all().filter(|mount| {
            let point = unescaped(mount.point);
            point != dir && point.starts_with(&dir)
        });
        Ok(below.map(|mount| self.position_in(&mount, unescaped(mount.root), true)).collect())
    }

    /// Returns whether this very file or directory is mounted anywhere: a mounted parent does not
    /// count. Mounts in other mount namespaces are not visible.
    ///
    /// # Errors
    /// The system's error.
    pub(crate) fn is_mounted(&self, fd: BorrowedFd<'_>) -> Result<bool, Errno> {
        let own = self.position_by(fd, false)?;
        let is_own = |mount: Mount<'_>| {
            mount.device == own.device.as_slice() && unescaped(mount.root) == own.path
        };
        Ok(self.all().any(is_own))
    }

    fn all(&self) -> impl Iterator<Item = Mount<'_>> {
        self.0.split(|byte| *byte == b'\n').filter_map(Mount::parse)
    }

    fn position_by(&self, fd: BorrowedFd<'_>, is_outer: bool) -> Result<Position, Errno> {
        let wanted = mount_of(fd)?;
        let path = path_of(fd)?;
        let Some(mount) = self.all().find(|one| one.id == wanted) else {
            // In a `chroot` the list omits the mount that its root is a directory of.
            let device = format!("mount {wanted}").into_bytes();
            return Ok(Position { device, path, written: None });
        };
        let rest = path.strip_prefix(unescaped(mount.point)).unwrap_or(Path::new(""));
        Ok(self.position_in(&mount, unescaped(mount.root).join(rest), is_outer))
    }

    fn position_in(&self, mount: &Mount<'_>, path: PathBuf, is_outer: bool) -> Position {
        let written = mount.upper.filter(|_| is_outer).and_then(|upper| {
            // In a container the directory is out of sight, and then no path leads there either.
            let flags = OFlags::PATH | OFlags::CLOEXEC;
            let opened = rustix::fs::open(unescaped(upper), flags, Mode::empty()).ok()?;
            let mut written = self.position_by(opened.as_fd(), false).ok()?;
            written.path.extend(path.strip_prefix("/"));
            Some(Box::new(written))
        });
        Position { device: mount.device.to_owned(), path, written }
    }
}

/// Returns the path that an open file or directory has now.
pub(crate) fn path_of(fd: BorrowedFd<'_>) -> Result<PathBuf, Errno> {
    let link = format!("/proc/self/fd/{}", fd.as_raw_fd());
    let path = rustix::fs::readlink(link, Vec::new())?.into_bytes();
    Ok(PathBuf::from(OsString::from_vec(path)))
}

/// Returns the ID of the mount that a descriptor was reached by.
fn mount_of(fd: BorrowedFd<'_>) -> Result<u64, Errno> {
    match rustix::fs::statx(fd, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID) {
        Ok(found) if found.stx_mask & StatxFlags::MNT_ID.bits() != 0 => return Ok(found.stx_mnt_id),
        Ok(_) | Err(Errno::NOSYS) => {}
        Err(error) => return Err(error),
    }
    // Before Linux 5.8.
    let info = read(&format!("/proc/self/fdinfo/{}", fd.as_raw_fd()))?;
    let line = info.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"mnt_id:"));
    line.and_then(number).ok_or(Errno::NODEV)
}

fn read(path: &str) -> Result<Vec<u8>, Errno> {
    use std::io::Read;
    let said = |error: &std::io::Error| Errno::from_io_error(error).unwrap_or(Errno::IO);
    let file = std::fs::File::open(path).map_err(|error| said(&error))?;
    let mut bytes = Vec::with_capacity(8 * 1024);
    file.take(MAX_LIST_BYTES).read_to_end(&mut bytes).map_err(|error| said(&error))?;
    Ok(bytes)
}

/// A line of the list of mounts.
struct Mount<'l> {
    id: u64,
    device: &'l [u8],
    root: &'l [u8],
    point: &'l [u8],
    /// Upper directory of an overlay, which takes all writes.
    upper: Option<&'l [u8]>,
}

impl<'l> Mount<'l> {
    /// Reads `ID PARENT MAJOR:MINOR ROOT POINT … - TYPE SOURCE OPTIONS`.
    fn parse(line: &'l [u8]) -> Option<Self> {
        let mut words = line.split(|byte| *byte == b' ');
        let id = number(words.next()?)?;
        let (_parent, device) = (words.next()?, words.next()?);
        let (root, point) = (words.next()?, words.next()?);
        let mut kind = words.skip_while(|word| *word != b"-").skip(1);
        let upper = match kind.next() {
            Some(b"overlay") => kind.nth(1).and_then(|options| {
                let mut options = options.split(|byte| *byte == b',');
                options.find_map(|option| option.strip_prefix(b"upperdir="))
            }),
            _ => None,
        };
        Some(Self { id, device, root, point, upper })
    }
}

fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.trim().parse().ok()
}

/// Returns a path of the mount list without its octal escapes for blanks and backslashes.
fn unescaped(text: &[u8]) -> PathBuf {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, after)) = rest.split_first() {
        let octal = (first == b'\\').then(|| after.get(..3)).flatten();
        let octal = octal.and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                out.push(byte);
                rest = &after[3..];
            }
            None => {
                out.push(first);
                rest = after;
            }
        }
    }
    PathBuf::from(OsString::from_vec(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mountinfo_line_is_parsed_with_escapes() {
        let line = br"36 35 98:0 /a\040b /mnt\134x rw,noatime master:1 - ext3 /dev/root rw";
        let mount = Mount::parse(line).unwrap();
        assert_eq!((mount.id, mount.device), (36, &b"98:0"[..]));
        assert_eq!(unescaped(mount.root), Path::new("/a b"));
        assert_eq!(unescaped(mount.point), Path::new(r"/mnt\x"));
        assert_eq!(mount.upper, None);
        assert!(Mount::parse(b"").is_none());
        let line =
            br"66 63 0:40 / /m rw - overlay overlay rw,lowerdir=/l,upperdir=/u\040x,workdir=/w";
        assert_eq!(Mount::parse(line).unwrap().upper.map(unescaped), Some("/u x".into()));
    }

    #[test]
    fn position_containment_is_by_component_and_ignores_case() {
        let at = |device: &str, path: &str| Position {
            device: device.as_bytes().to_owned(),
            path: path.into(),
            written: None,
        };
        let own = at("8:1", "/home/ada/.config");
        assert!(at("8:1", "/home/ada/.config/keystead").is_within(&own));
        assert!(at("8:1", "/home/ADA/.Config").is_within(&own));
        assert!(own.is_within(&at("8:1", "/")));
        assert!(!at("8:1", "/home/ada/.config2").is_within(&own));
        assert!(!at("8:2", "/home/ada/.config").is_within(&own));
        assert!(!at("8:1", "/home/ada").is_within(&own));
    }

    #[test]
    fn names_equal_under_case_folding_are_same() {
        for other in
            ["KEYSTEAD", "keyſtead", "\u{212a}eystead", "key\u{200d}stead", "keystead\u{ad}"]
        {
            assert!(is_same(OsStr::new("keystead"), OsStr::new(other)), "{other}");
        }
        for other in ["keystea", "keystead2", "key-stead", ""] {
            assert!(!is_same(OsStr::new("keystead"), OsStr::new(other)), "{other}");
        }
    }

    #[test]
    fn dir_position_ends_with_dir_name() {
        let dir = tempfile::tempdir().unwrap();
        let opened = std::fs::File::open(dir.path()).unwrap();
        let found = Mounts::read().unwrap().position(std::os::fd::AsFd::as_fd(&opened)).unwrap();
        assert!(found.path.ends_with(dir.path().file_name().unwrap()), "{found:?}");
    }
}

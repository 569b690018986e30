//! The walk from the root to a file. Resolves each link, and checks who may change each
//! component before it looks up the next one.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::{Error, MAX_LINKS, MAX_PLUGIN_BYTES, SafeDir, owner};
use crate::ids;

/// Allowed owners of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Root and the user that this process acts for (effective user id). In a user namespace that
    /// does not map every user, a file whose owner is not mapped does not count as the user's.
    User,
    /// Root only; nothing group-writable.
    System,
}

/// Identity and state of a file: changes when the file is written to, replaced, or its times
/// are set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// The device.
    pub device: u64,
    /// The inode number on the device.
    pub inode: u64,
    /// The length in bytes.
    pub len: u64,
    /// Last change of the content: seconds and nanoseconds.
    pub modified: (i64, u32),
    /// Last change of content or attributes: seconds and nanoseconds.
    pub changed: (i64, u32),
}

impl Identity {
    /// Returns the identity and current state of an open file.
    ///
    /// # Errors
    /// Those of the system.
    pub fn of_file(file: &File) -> io::Result<Self> {
        Ok(Self::of(&rustix::fs::fstat(file)?))
    }

    /// Returns whether the last change is old enough that a further change sets another time.
    /// File times advance in steps of up to 10 ms on Linux.
    pub fn is_settled(&self) -> bool {
        let Ok(now) = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH) else {
            return false;
        };
        let changed = i128::from(self.changed.0) * 1_000 + i128::from(self.changed.1) / 1_000_000;
        i128::try_from(now.as_millis()).is_ok_and(|now| now - changed > 50)
    }

    /// Returns whether a file of root that was in this state has the same content, and still only
    /// root can change it. The file may have been renamed or removed since: only root can set its
    /// times.
    ///
    /// # Errors
    /// Those of the system.
    pub(crate) fn is_still_roots(&self, file: &File) -> io::Result<bool> {
        let stat = rustix::fs::fstat(file)?;
        let same = Self { changed: self.changed, ..Self::of(&stat) } == *self;
        Ok(same && stat.st_uid == 0 && stat.st_mode & 0o022 == 0)
    }

    #[allow(clippy::unnecessary_cast, reason = "the fields differ in width by platform")]
    fn of(stat: &Stat) -> Self {
        Self {
            device: stat.st_dev as u64,
            inode: stat.st_ino as u64,
            len: u64::try_from(stat.st_size).unwrap_or(0),
            modified: (stat.st_mtime as i64, stat.st_mtime_nsec as u32),
            changed: (stat.st_ctime as i64, stat.st_ctime_nsec as u32),
        }
    }
}

/// A file that passed the walk, open for reading.
#[derive(Debug)]
pub struct OpenedFile {
    file: File,
    path: PathBuf,
    identity: Identity,
}

impl OpenedFile {
    /// Returns the path without links; the walk checked each component.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the identity and state of the file when it was opened.
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// Returns the open file. Reads at an offset do not change its position.
    pub fn as_file(&self) -> &File {
        &self.file
    }

    /// Returns the open file and its path.
    pub fn into_parts(self) -> (File, PathBuf) {
        (self.file, self.path)
    }

    pub(super) fn read(mut self, most: u64) -> Result<Vec<u8>, Error> {
        let len = self.identity.len;
        if len > most {
            return Err(Error::TooLarge { path: self.path, len, most });
        }
        // One byte more than expected, so that growth is detected without a second read.
        let mut bytes = Vec::with_capacity(usize::try_from(len).unwrap_or(0) + 1);
        let read = self.file.by_ref().take(len + 1).read_to_end(&mut bytes);
        if let Err(source) = read {
            return Err(Error::io("read", self.path, source));
        }
        if bytes.len() as u64 != len {
            return Err(Error::Changed { path: self.path });
        }
        Ok(bytes)
    }
}

/// Opens a regular file of at most [`MAX_PLUGIN_BYTES`] for reading.
///
/// Devices, pipes, sockets and directories are rejected by their type, before they are opened.
///
/// # Errors
/// Faults that the walk finds: every variant of [`Error`] names the component.
pub fn open(path: &Path, rule: Rule) -> Result<OpenedFile, Error> {
    let walker = Walker::new(path, rule);
    match walker.walk()? {
        Found::Other { holder, name, real, .. } => walker.open_file(holder.as_fd(), &name, real),
        Found::Dir { .. } => {
            Err(Error::NotAFile { path: path.to_owned(), found: word(FileType::Directory) })
        }
    }
}

/// Object at the end of a walk.
pub(super) enum Found {
    /// A directory, checked.
    Dir { place: OwnedFd, shared: Shared, real: PathBuf },
    /// Another object, not yet checked, and the checked directory that directly holds it.
    Other { holder: OwnedFd, name: OsString, stat: Stat, real: PathBuf },
}

/// Whether all users may create files in a directory, but not replace each other's files.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shared {
    Yes,
    No,
}

/// One walk: the requested path, the rule and the user.
pub(super) struct Walker<'a> {
    pub(super) asked: &'a Path,
    pub(super) rule: Rule,
    pub(super) uid: u32,
}

impl<'a> Walker<'a> {
    pub(super) fn new(asked: &'a Path, rule: Rule) -> Self {
        Self { asked, rule, uid: rustix::process::geteuid().as_raw() }
    }

    /// Walks from the root to the last component, of any type.
    pub(super) fn walk(&self) -> Result<Found, Error> {
        ids::check()?;
        if !self.asked.is_absolute() {
            return Err(Error::NotAbsolute { path: self.asked.to_owned() });
        }
        // Capacity for the whole path if it has no links, so that it is not reallocated.
        let mut real = PathBuf::with_capacity(self.asked.as_os_str().len() + 1);
        real.push("/");
        let (mut place, mut shared) = self.root()?;
        let mut links = 0;
        let mut pending: Vec<_> = components(self.asked.as_os_str()).map(Cow::Borrowed).collect();

        while let Some(next) = pending.pop() {
            if next.as_bytes() == b".." {
                // The parent was checked on the way down; it is checked again, because a
                // walk may leave a directory by another way than it came.
                real.pop();
            } else {
                real.push(&next);
            }
            let entry =
                open_place(place.as_fd(), &next).map_err(|e| self.system("look up", &real, e))?;
            let entry_stat = self.stat(&entry, &real)?;
            let kind = kind(&entry_stat);
            if shared == Shared::Yes && pending.is_empty() && kind != FileType::Directory {
                real.pop();
                return Err(Error::SharedDir { path: self.asked.to_owned(), at: real });
            }
            match kind {
                FileType::Symlink => {
                    self.check_link(&entry_stat, &real)?;
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(Error::LinkLoop { path: self.asked.to_owned() });
                    }
                    let target = rustix::fs::readlinkat(&entry, "", Vec::new())
                        .map_err(|e| self.system("read the link", &real, e))?;
                    let target = OsString::from_vec(target.into_bytes());
                    real.pop();
                    if target.as_bytes().starts_with(b"/") {
                        real = PathBuf::from("/");
                        (place, shared) = self.root()?;
                    }
                    pending.extend(components(&target).map(|name| Cow::Owned(name.to_owned())));
                }
                FileType::Directory => {
                    shared = self.check(&entry_stat, &real)?;
                    place = entry;
                }
                // The type matters more than the owner: the caller rejects the wrong type
                // before any other check.
                _ if pending.is_empty() => {
                    let name = next.into_owned();
                    return Ok(Found::Other { holder: place, name, stat: entry_stat, real });
                }
                other => {
                    return Err(Error::NotADir {
                        path: self.asked.to_owned(),
                        at: real,
                        found: word(other),
                    });
                }
            }
        }
        Ok(Found::Dir { place, shared, real })
    }

    fn root(&self) -> Result<(OwnedFd, Shared), Error> {
        let root = Path::new("/");
        let place = open_place(rustix::fs::CWD, root.as_os_str())
            .map_err(|e| self.system("open", root, e))?;
        let stat = self.stat(&place, root)?;
        Ok((place, self.check(&stat, root)?))
    }

    /// Opens one entry of a checked directory for reading, if it is a file that passes the checks.
    pub(super) fn open_file(
        &self,
        holder: BorrowedFd<'_>,
        name: &OsStr,
        real: PathBuf,
    ) -> Result<OpenedFile, Error> {
        let seen = rustix::fs::statat(holder, name, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|e| self.system("look up", &real, e))?;
        match kind(&seen) {
            FileType::RegularFile => {}
            other => {
                return Err(Error::NotAFile { path: self.asked.to_owned(), found: word(other) });
            }
        }
        self.check(&seen, &real)?;
        // If the file was replaced since: follow no link, do not wait, and take no terminal.
        let flags =
            OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = rustix::fs::openat(holder, name, flags, Mode::empty())
            .map_err(|e| self.system("open", &real, e))?;
        let stat = self.stat(&file, &real)?;
        let identity = Identity::of(&stat);
        if identity != Identity::of(&seen) || stat.st_mode != seen.st_mode {
            return Err(Error::Changed { path: self.asked.to_owned() });
        }
        if identity.len > MAX_PLUGIN_BYTES {
            return Err(Error::TooLarge {
                path: self.asked.to_owned(),
                len: identity.len,
                most: MAX_PLUGIN_BYTES,
            });
        }
        Ok(OpenedFile { file: File::from(file), path: real, identity })
    }

    /// Checks who may change a directory or a file.
    pub(super) fn check(&self, stat: &Stat, at: &Path) -> Result<Shared, Error> {
        let path = || self.asked.to_owned();
        self.check_owner(stat, at)?;
        let mode = stat.st_mode & 0o7777;
        if mode & 0o022 == 0 {
            return Ok(Shared::No);
        }
        let sticky = mode & 0o1000 != 0 && kind(stat) == FileType::Directory && stat.st_uid == 0;
        if sticky {
            return Ok(Shared::Yes);
        }
        if mode & 0o002 != 0 {
            return Err(Error::OthersWrite { path: path(), at: at.to_owned(), mode });
        }
        let own_group = match stat.st_gid {
            0 => owner::is_alone_with_root(self.uid),
            group => stat.st_uid == self.uid && owner::private_group(self.uid) == Some(group),
        };
        if self.rule != Rule::User || !own_group {
            let group = stat.st_gid;
            return Err(Error::GroupWrite { path: path(), at: at.to_owned(), group, mode });
        }
        if has_access_list(at) {
            return Err(Error::AccessList { path: path(), at: at.to_owned() });
        }
        Ok(Shared::No)
    }

    /// Checks who owns a directory or a file.
    pub(super) fn check_owner(&self, stat: &Stat, at: &Path) -> Result<(), Error> {
        if self.allows(stat.st_uid) {
            return Ok(());
        }
        Err(Error::Owner {
            path: self.asked.to_owned(),
            at: at.to_owned(),
            owner: stat.st_uid,
            allowed: self.allowed(),
        })
    }

    pub(super) fn check_link(&self, stat: &Stat, at: &Path) -> Result<(), Error> {
        if self.allows(stat.st_uid) {
            return Ok(());
        }
        Err(Error::LinkOwner {
            path: self.asked.to_owned(),
            at: at.to_owned(),
            owner: stat.st_uid,
            allowed: self.allowed(),
        })
    }

    fn allows(&self, owner: u32) -> bool {
        owner == 0 || (self.rule == Rule::User && owner == self.uid && !ids::is_nobodys(owner))
    }

    fn allowed(&self) -> String {
        match self.rule {
            Rule::User if self.uid != 0 => format!("root or user id {}", self.uid),
            _ => "root".to_owned(),
        }
    }

    fn stat(&self, fd: &OwnedFd, at: &Path) -> Result<Stat, Error> {
        rustix::fs::fstat(fd).map_err(|e| self.system("look at", at, e))
    }

    pub(super) fn system(&self, action: &'static str, at: &Path, error: Errno) -> Error {
        match error {
            Errno::NOENT => Error::Missing { path: self.asked.to_owned() },
            _ => Error::io(action, at, error),
        }
    }
}

/// Opens an entry with `O_PATH`: has no effect on a device or a pipe, and opens a link
/// itself.
fn open_place(at: BorrowedFd<'_>, name: &OsStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(at, name, flags, Mode::empty())
}

/// Returns the components of a path, the last one first. Ignores a final slash.
pub(super) fn components(path: &OsStr) -> impl Iterator<Item = &OsStr> {
    path.as_bytes()
        .rsplit(|b| *b == b'/')
        .filter(|name| !name.is_empty() && *name != b".")
        .map(OsStr::from_bytes)
}

/// Returns whether a POSIX access list grants more than the mode. An error counts as yes.
fn has_access_list(at: &Path) -> bool {
    // Space for the smallest list; a longer list is an error, and so counts as yes.
    let mut list = [0_u8; 64];
    match rustix::fs::lgetxattr(at, "system.posix_acl_access", &mut list) {
        Ok(len) => len > 0,
        Err(Errno::NODATA | Errno::NOTSUP) => false,
        Err(_) => true,
    }
}

pub(super) fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

pub(crate) fn word(kind: FileType) -> &'static str {
    match kind {
        FileType::RegularFile => "a file",
        FileType::Directory => "a directory",
        FileType::Symlink => "a symbolic link",
        FileType::Fifo => "a pipe",
        FileType::Socket => "a socket",
        FileType::CharacterDevice | FileType::BlockDevice => "a device",
        FileType::Unknown => "something unknown",
    }
}

impl SafeDir {
    /// Opens a directory after the same walk as for a file. Rejects a directory in which all
    /// users may create files.
    ///
    /// # Errors
    /// Faults that the walk finds.
    pub fn open(path: &Path, rule: Rule) -> Result<Self, Error> {
        Self::open_as(Walker::new(path, rule))
    }

    pub(super) fn open_as(walker: Walker<'_>) -> Result<Self, Error> {
        let asked = walker.asked.to_owned();
        match walker.walk()? {
            Found::Dir { place, shared: Shared::No, real } => {
                Ok(Self::proven(place, real, walker.rule, walker.uid))
            }
            Found::Dir { real, .. } => Err(Error::SharedDir { path: asked, at: real }),
            Found::Other { stat, real, .. } => {
                Err(Error::NotADir { path: asked, at: real, found: word(kind(&stat)) })
            }
        }
    }
}

//! Resolves a path to an open descriptor, and checks whether one file or directory is in another.
//! Paths are resolved component by component, and the caller decides about each link. Comparisons
//! use only descriptors that are open at the same time, never names or stored numbers.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use super::walk::{Rule, Walker, components, kind, word};
use super::{Error, MAX_LINKS};
use crate::platform::mount::{self, Mounts, Position};

/// The maximum depth of a path in directories: more than fit into the longest path.
const MAX_DEPTH: usize = 2_048;

/// An open file or directory: its device and inode number stay its own while this is open.
#[derive(Debug)]
pub(crate) struct Object {
    fd: OwnedFd,
    is_dir: bool,
}

/// Device and inode number, comparable between objects that are open at the same time.
type Id = (u64, u64);

/// The object that a path leads to now.
#[derive(Debug)]
pub(crate) struct Target {
    /// The object at the path; `None` if there is no object.
    pub(crate) object: Option<Object>,
    /// The directory that holds the object, or the last directory on the way that exists.
    pub(crate) holder: Object,
    /// The names below `holder`: one name if the object exists, otherwise all missing names.
    pub(crate) names: Vec<OsString>,
}

impl Target {
    /// Returns the path of the object without links, even if the object does not exist.
    ///
    /// # Errors
    /// Those of the system.
    pub(crate) fn path(&self) -> Result<PathBuf, Errno> {
        match &self.object {
            Some(object) => mount::path_of(object.as_fd()),
            None => Ok(self
                .names
                .iter()
                .fold(mount::path_of(self.holder.as_fd())?, |path, name| path.join(name))),
        }
    }
}

/// A link on the way, and the directory that holds the link.
pub(crate) struct Link<'a> {
    holder: &'a Object,
    /// The path of the link.
    pub(crate) path: &'a Path,
    stat: Stat,
    holder_stat: Stat,
    /// Whether the link is the last component of the path.
    pub(crate) is_last: bool,
}

impl Link<'_> {
    /// Checks that only root and the user could have created the link.
    ///
    /// # Errors
    /// When another user could have, by the directory's mode and the owners of both.
    pub(crate) fn check(&self, asked: &Path) -> Result<(), Error> {
        let walker = Walker::new(asked, Rule::User);
        let holder = self.path.parent().unwrap_or(Path::new("/"));
        walker.check(&self.holder_stat, holder)?;
        walker.check_link(&self.stat, self.path)
    }

    /// Returns whether the kernel made the link, such as the links of open descriptors.
    pub(crate) fn is_of_the_kernel(&self) -> bool {
        rustix::fs::fstatfs(&self.holder.fd)
            .is_ok_and(|system| system.f_type == rustix::fs::PROC_SUPER_MAGIC)
    }

    /// Returns the location of the directory that holds the link.
    ///
    /// # Errors
    /// Those of the system.
    pub(crate) fn place(&self, mounts: &Mounts) -> Result<Place, Errno> {
        Ok(Place {
            ids: self.holder.ids_upwards()?,
            missing: Vec::new(),
            position: mounts.position(self.holder.as_fd())?,
            mounted: Vec::new(),
            is_linked: false,
        })
    }

    /// Returns whether this process, and so a plugin that it runs, could have created the link.
    pub(crate) fn could_be_ours(&self) -> bool {
        let can_write =
            rustix::fs::accessat(&self.holder.fd, ".", Access::WRITE_OK, AtFlags::EACCESS);
        !matches!(can_write, Err(Errno::ACCESS | Errno::ROFS))
    }
}

impl Object {
    fn new(fd: OwnedFd) -> Result<Self, Errno> {
        let is_dir = kind(&rustix::fs::fstat(&fd)?) == FileType::Directory;
        Ok(Self { fd, is_dir })
    }

    /// Opens the object that a path leads to through any links; for comparisons.
    ///
    /// # Errors
    /// Those of the system.
    pub(crate) fn open(path: &Path) -> Result<Self, Errno> {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        Self::new(rustix::fs::open(path, flags, Mode::empty())?)
    }

    /// Returns whether the object is a directory.
    pub(crate) fn is_dir(&self) -> bool {
        self.is_dir
    }

    /// Returns the type of the object.
    ///
    /// # Errors
    /// Those of the system.
    pub(crate) fn found(&self) -> Result<FileType, Errno> {
        Ok(kind(&rustix::fs::fstat(&self.fd)?))
    }

    /// Returns the type of the object, with its article; `None` for a regular file.
    ///
    /// # Errors
    /// Those of the system.
    pub(crate) fn not_a_file(&self) -> Result<Option<&'static str>, Errno> {
        let found = kind(&rustix::fs::fstat(&self.fd)?);
        Ok((found != FileType::RegularFile).then(|| word(found)))
    }

    /// Returns whether a path leads to this same object now.
    pub(crate) fn is_at(&self, path: &Path) -> bool {
        match (rustix::fs::stat(path), rustix::fs::fstat(&self.fd)) {
            (Ok(there), Ok(own)) => id(&there) == id(&own),
            _ => false,
        }
    }

    /// Opens the object for reading; does not wait for a pipe.
    ///
    /// # Errors
    /// Those of the system.
    pub(crate) fn reopened(&self) -> Result<File, Errno> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let path = format!("/proc/self/fd/{}", self.fd.as_raw_fd());
        rustix::fs::open(path, flags, Mode::empty()).map(File::from)
    }

    /// Opens a file for reading and writing.
    ///
    /// # Errors
    /// Those of the system.
    pub(crate) fn reopened_to_write(&self) -> Result<File, Errno> {
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let path = format!("/proc/self/fd/{}", self.fd.as_raw_fd());
        rustix::fs::open(path, flags, Mode::empty()).map(File::from)
    }

    fn id(&self) -> Result<Id, Errno> {
        Ok(id(&rustix::fs::fstat(&self.fd)?))
    }

    /// Returns the number of names (hard links) of the object.
    fn links(&self) -> Result<u64, Errno> {
        Ok(rustix::fs::fstat(&self.fd)?.st_nlink)
    }

    /// Opens the entry of this name, which may be a link itself.
    fn entry(&self, name: &OsStr) -> Result<OwnedFd, Errno> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(&self.fd, name, flags, Mode::empty())
    }

    /// Returns the ids of a directory and of all directories above it.
    fn ids_upwards(&self) -> Result<Vec<Id>, Errno> {
        let mut ids = vec![self.id()?];
        let mut below: Option<OwnedFd> = None;
        while ids.len() < MAX_DEPTH {
            let from = below.as_ref().unwrap_or(&self.fd);
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let above = rustix::fs::openat(from, "..", flags, Mode::empty())?;
            let next = id(&rustix::fs::fstat(&above)?);
            if ids.last() == Some(&next) {
                return Ok(ids);
            }
            ids.push(next);
            below = Some(above);
        }
        Err(Errno::NAMETOOLONG)
    }
}

impl AsFd for Object {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Returns the target of an absolute path. `follow` is called for each link before the link is
/// followed.
///
/// # Errors
/// Those of `follow` and of the system; more than [`MAX_LINKS`] links, or a file where a directory
/// should be.
pub(crate) fn look_up<E: From<Error>>(
    path: &Path,
    follow: &mut dyn FnMut(&Link<'_>) -> Result<(), E>,
) -> Result<Target, E> {
    if !path.is_absolute() {
        return Err(Error::NotAbsolute { path: path.to_owned() }.into());
    }
    match without_links(path) {
        Some(target) => Ok(target),
        None => by_links(path, follow),
    }
}

/// Resolves a path in two system calls if, as usual, it has no links and the object exists.
fn without_links(path: &Path) -> Option<Target> {
    let (parent, name) = (path.parent()?, path.file_name()?);
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let plain = ResolveFlags::NO_SYMLINKS;
    let holder = rustix::fs::openat2(rustix::fs::CWD, parent, flags, Mode::empty(), plain).ok()?;
    let holder = Object { fd: holder, is_dir: true };
    let entry = holder.entry(name).ok()?;
    let found = kind(&rustix::fs::fstat(&entry).ok()?);
    let object = Object { fd: entry, is_dir: found == FileType::Directory };
    let names = vec![name.to_owned()];
    (found != FileType::Symlink).then_some(Target { object: Some(object), holder, names })
}

fn by_links<E: From<Error>>(
    path: &Path,
    follow: &mut dyn FnMut(&Link<'_>) -> Result<(), E>,
) -> Result<Target, E> {
    let io = |at: &Path, error: Errno| E::from(Error::io("look up", at, error));
    let root = || Object::open(Path::new("/")).map_err(|error| io(Path::new("/"), error));
    let mut real = PathBuf::from("/");
    let mut holder = root()?;
    let mut links = 0;
    let mut pending: Vec<_> = components(path.as_os_str()).map(OsStr::to_owned).collect();
    while let Some(next) = pending.pop() {
        let at = if next == ".." { real.clone() } else { real.join(&next) };
        let entry = match holder.entry(&next) {
            Ok(entry) => entry,
            Err(Errno::NOENT) if !pending.iter().any(|name| name == "..") => {
                let names = std::iter::once(next).chain(pending.into_iter().rev()).collect();
                return Ok(Target { object: None, holder, names });
            }
            Err(error) => return Err(io(&at, error)),
        };
        let stat = rustix::fs::fstat(&entry).map_err(|error| io(&at, error))?;
        match kind(&stat) {
            FileType::Symlink => {
                links += 1;
                if links > MAX_LINKS {
                    return Err(Error::LinkLoop { path: path.to_owned() }.into());
                }
                let holder_stat = rustix::fs::fstat(&holder.fd).map_err(|e| io(&real, e))?;
                let is_last = pending.is_empty();
                follow(&Link { holder: &holder, path: &at, stat, holder_stat, is_last })?;
                let target = rustix::fs::readlinkat(&entry, "", Vec::new())
                    .map_err(|error| io(&at, error))?;
                let target = OsString::from_vec(target.into_bytes());
                if target.as_bytes().starts_with(b"/") {
                    real = PathBuf::from("/");
                    holder = root()?;
                }
                pending.extend(components(&target).map(OsStr::to_owned));
            }
            FileType::Directory if pending.is_empty() && next != ".." => {
                let object = Some(Object { fd: entry, is_dir: true });
                return Ok(Target { object, holder, names: vec![next] });
            }
            FileType::Directory => {
                match next == ".." {
                    true => drop(real.pop()),
                    false => real = at,
                }
                holder = Object { fd: entry, is_dir: true };
            }
            _ if pending.is_empty() => {
                let object = Some(Object { fd: entry, is_dir: false });
                return Ok(Target { object, holder, names: vec![next] });
            }
            other => {
                let (path, found) = (path.to_owned(), word(other));
                return Err(Error::NotADir { path, at, found }.into());
            }
        }
    }
    // The root itself, or the target of a last `..` of a link.
    let above = holder.entry(OsStr::new("..")).and_then(Object::new);
    let above = above.map_err(|error| io(&real, error))?;
    Ok(Target { object: Some(holder), holder: above, names: vec![OsString::from(".")] })
}

fn id(stat: &Stat) -> Id {
    (stat.st_dev, stat.st_ino)
}

/// Maximum depth of a search in Keystead's own directories, which have three levels.
const OWN_DEPTH: usize = 8;

/// Location of a target: the current ids of all directories above the target, and its position in
/// the file system. A second mount of the same files does not hide the position.
#[derive(Debug)]
pub(crate) struct Place {
    /// Ids upwards; the target's own id is first if the target exists.
    ids: Vec<Id>,
    /// The missing names below the first of `ids`.
    missing: Vec<OsString>,
    position: Position,
    /// Positions of the mounts below the target.
    mounted: Vec<Position>,
    /// Whether the target is a file with other names (hard links).
    is_linked: bool,
}

impl Place {
    /// Returns the location of a target.
    ///
    /// # Errors
    /// Those of the system.
    pub(crate) fn of(target: &Target, mounts: &Mounts) -> Result<Self, Errno> {
        match &target.object {
            Some(object) if object.is_dir => Ok(Self {
                ids: object.ids_upwards()?,
                missing: Vec::new(),
                position: mounts.position(object.as_fd())?,
                mounted: mounts.below(object.as_fd())?,
                is_linked: false,
            }),
            Some(object) => {
                let mut ids = vec![object.id()?];
                ids.extend(target.holder.ids_upwards()?);
                Ok(Self {
                    ids,
                    missing: Vec::new(),
                    position: mounts.position(object.as_fd())?,
                    mounted: Vec::new(),
                    is_linked: object.links()? > 1,
                })
            }
            None => Ok(Self {
                ids: target.holder.ids_upwards()?,
                missing: target.names.clone(),
                position: mounts.position(target.holder.as_fd())?.below(&target.names),
                mounted: Vec::new(),
                is_linked: false,
            }),
        }
    }

    /// Returns the location that a path leads to through any links, as far as the path exists.
    ///
    /// # Errors
    /// Those of the system.
    pub(crate) fn at(path: &Path, mounts: &Mounts) -> Result<Self, Error> {
        let target = look_up::<Error>(path, &mut |_| Ok(()))?;
        Self::of(&target, mounts).map_err(|error| Error::io("look up", path, error))
    }

    /// Returns whether write access here decides where a path leads or what its object contains. A
    /// link on the way is here, or the path's end is here or above.
    ///
    /// # Errors
    /// When the path cannot be looked up to its end.
    pub(crate) fn decides(&self, path: &Path, mounts: &Mounts) -> Result<bool, Error> {
        let io = |error| Error::io("look up", path, error);
        let mut is_by_link = false;
        let target = look_up::<Error>(path, &mut |link| {
            is_by_link |= link.place(mounts).map_err(io)?.is_within(self);
            Ok(())
        });
        if is_by_link {
            return Ok(true);
        }
        Ok(self.meets(&Self::of(&target?, mounts).map_err(io)?))
    }

    /// Returns whether this is the other location, or is inside that location.
    pub(crate) fn is_within(&self, other: &Self) -> bool {
        if other.positions().any(|other| self.position.is_within(other)) {
            return true;
        }
        match (&*other.missing, other.ids.first()) {
            ([], Some(id)) => self.ids.contains(id),
            // All names below a missing directory are missing, too.
            (names, Some(id)) => {
                self.ids.first() == Some(id)
                    && names.len() <= self.missing.len()
                    && names.iter().zip(&self.missing).all(|(one, two)| mount::is_same(one, two))
            }
            (_, None) => false,
        }
    }

    /// Returns whether either location is inside the other.
    pub(crate) fn meets(&self, other: &Self) -> bool {
        let by_mount = |one: &Self, other: &Self| {
            one.mounted.iter().any(|one| other.positions().any(|other| one.is_within(other)))
        };
        self.is_within(other)
            || other.is_within(self)
            || by_mount(self, other)
            || by_mount(other, self)
    }

    fn positions(&self) -> impl Iterator<Item = &Position> {
        std::iter::once(&self.position).chain(&self.mounted)
    }

    /// Returns whether this is a file that has another name in this directory, or in one below it.
    ///
    /// # Errors
    /// Those of the system for the directory.
    pub(crate) fn is_named_in(&self, dir: &Path) -> Result<bool, Errno> {
        match (self.is_linked, self.ids.first()) {
            (true, Some(id)) => has_entry(dir, *id),
            _ => Ok(false),
        }
    }
}

/// Entries of a directory that lead to files with another path.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// Its symbolic links.
    pub(crate) links: Vec<PathBuf>,
    /// The files with another name (a hard link), both direct entries and targets of symbolic
    /// links.
    pub(crate) files: Vec<HardLinked>,
}

/// A file that has more than one name.
#[derive(Debug)]
pub(crate) struct HardLinked {
    id: Id,
    /// One of its names.
    pub(crate) path: PathBuf,
}

impl HardLinked {
    fn of(path: &Path, stat: &Stat) -> Option<Self> {
        let is_linked = kind(stat) == FileType::RegularFile && stat.st_nlink > 1;
        is_linked.then(|| Self { id: id(stat), path: path.to_owned() })
    }
}

/// Returns the symbolic links and the files with several names in a directory and below it.
///
/// # Errors
/// Those of the system.
pub(crate) fn shared_in(dir: &Path) -> Result<Shared, Errno> {
    let mut shared = Shared::default();
    each_entry(dir, OWN_DEPTH, &mut |path, stat| {
        if kind(stat) == FileType::Symlink {
            shared.links.push(path.to_owned());
            let target = rustix::fs::stat(path);
            shared.files.extend(target.ok().and_then(|target| HardLinked::of(path, &target)));
        }
        shared.files.extend(HardLinked::of(path, stat));
        Ok(false)
    })?;
    Ok(shared)
}

/// Searches a directory and its subdirectories for a name of one of these files. Returns that file
/// and the name.
///
/// # Errors
/// Those of the system; [`Errno::OVERFLOW`] if there are more than `most` names.
pub(crate) fn name_of_one<'f>(
    files: &'f [HardLinked],
    dir: &Path,
    most: usize,
) -> Result<Option<(&'f HardLinked, PathBuf)>, Errno> {
    let (mut found, mut searched) = (None, 0);
    each_entry(dir, usize::MAX, &mut |path, stat| {
        searched += 1;
        let file = files.iter().find(|file| file.id == id(stat));
        found = file.map(|file| (file, path.to_owned()));
        if searched > most { Err(Errno::OVERFLOW) } else { Ok(found.is_some()) }
    })?;
    Ok(found)
}

fn has_entry(dir: &Path, wanted: Id) -> Result<bool, Errno> {
    each_entry(dir, OWN_DEPTH, &mut |_, stat| Ok(id(stat) == wanted))
}

/// Calls `is_wanted` for each entry of a directory and its subdirectories, `depth` levels deep.
/// Stops at the first wanted entry, and returns whether there was one.
fn each_entry(
    dir: &Path,
    depth: usize,
    is_wanted: &mut dyn FnMut(&Path, &Stat) -> Result<bool, Errno>,
) -> Result<bool, Errno> {
    let mut dirs = vec![(dir.to_owned(), depth)];
    while let Some((dir, depth)) = dirs.pop() {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = match rustix::fs::open(&dir, flags, Mode::empty()) {
            Ok(opened) => opened,
            Err(Errno::NOENT | Errno::NOTDIR) => continue,
            Err(error) => return Err(error),
        };
        for entry in rustix::fs::Dir::new(opened)? {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            let path = dir.join(name);
            let stat = match rustix::fs::lstat(&path) {
                Err(Errno::NOENT) => continue,
                stat => stat?,
            };
            if is_wanted(&path, &stat)? {
                return Ok(true);
            }
            if kind(&stat) == FileType::Directory && depth > 0 {
                dirs.push((path, depth - 1));
            }
        }
    }
    Ok(false)
}

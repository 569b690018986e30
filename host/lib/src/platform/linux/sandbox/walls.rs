//! Namespaces and a root directory of a runner's own. The root has only the plugin's grants and the
//! files that every program needs: the plugin can name no other file. Both work beside landlock and
//! the filter of system calls, and also without either.
//!
//! Best effort: if the machine does not allow namespaces, the runner continues without them.

mod attributes;
mod root;

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use nix::sched::CloneFlags;
use rustix::fs::{Access, AtFlags, FileType, Stat, StatxAttributes, StatxFlags};
use rustix::thread::CapabilitySet;
use serde::Deserialize;

use super::{Reach, files, told};
use crate::plugin::inspect::FileAccess;
use root::{Root, Tree};

/// The owner that the kernel shows for users that a user namespace does not know.
const OVERFLOW: u32 = 65_534;

/// Whether runners get namespaces of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Namespaces {
    /// Where the machine allows them.
    #[default]
    #[serde(skip)]
    BestEffort,
    /// Never.
    Off,
    /// Always; otherwise no plugin is loaded.
    Required,
}

/// Libraries that this program itself links: the loader finds them in memory.
const OWN_LIBRARIES: [&str; 2] = ["libgcc_s.so.1", "libm.so.6"];

/// A granted file or directory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Object<'a> {
    /// The absolute path at which the plugin knows it.
    pub(crate) path: &'a Path,
    /// The object itself.
    pub(crate) found: BorrowedFd<'a>,
    /// Granted access to the object.
    pub(crate) access: FileAccess,
}

/// The walls around a runner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Walls {
    /// A root of its own, and these capabilities.
    Own(CapabilitySet),
    /// None, with the reason.
    None(Unavailable),
}

/// Reason why a machine has no namespaces for a runner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unavailable(String);

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Root's privileges over files.
pub(super) const OVER_FILES: CapabilitySet =
    CapabilitySet::DAC_OVERRIDE.union(CapabilitySet::DAC_READ_SEARCH);

/// Moves this process, which has one thread, into namespaces and a root of its own. The process
/// keeps its capabilities there, or has all of them in a user namespace of its own.
///
/// # Errors
/// The system's error midway: this process is unusable then.
pub(super) fn enter(objects: &[Object<'_>], reach: Reach) -> Result<Walls, String> {
    let none = |why: &str| Ok(Walls::None(Unavailable(why.to_owned())));
    let Ok(places) = objects.iter().map(Place::of).collect::<io::Result<Vec<_>>>() else {
        return none("the granted files cannot be told apart without `/proc`");
    };
    if objects.iter().any(|object| object.path.parent().is_none()) {
        return none("the root directory itself is granted");
    }
    if is_chroot() {
        return none("the root directory is no mount point, as in a `chroot`");
    }
    let user = rustix::process::geteuid().as_raw();
    let group = rustix::process::getegid().as_raw();
    let has = rustix::thread::capabilities(None).map(|sets| sets.effective);
    let is_privileged = has.is_ok_and(|has| has.contains(CapabilitySet::SYS_ADMIN));
    let is_foreign = user == 0 && places.iter().any(|place| place.stat.st_uid != 0);
    if !is_privileged {
        if user == OVERFLOW {
            return none("this user's number is the one that stands for every unknown user");
        }
        if is_foreign {
            return none("a granted file is another user's, and root's privileges end there");
        }
        if is_disarmed() {
            return none("AppArmor takes all capabilities away in user namespaces of this program");
        }
        // Once begun, this step cannot be undone.
        if rustix::fs::accessat(rustix::fs::CWD, UID_MAP, Access::WRITE_OK, AtFlags::EACCESS)
            .is_err()
        {
            return none("`/proc/self/uid_map` cannot be written");
        }
    }
    let own = CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWCGROUP;
    let own = if is_privileged { own } else { own | CloneFlags::CLONE_NEWUSER };
    if let Err(error) = nix::sched::unshare(own) {
        return none(&format!("the kernel refuses {}", refusal(is_privileged, error)));
    }
    if !is_privileged {
        map(user, group).map_err(|error| told("name its user in a namespace", &error))?;
    }
    make_root(objects, &places, reach).map_err(|error| told("make its root directory", &error))?;
    Ok(Walls::Own(if is_foreign { OVER_FILES } else { CapabilitySet::empty() }))
}

/// Returns whether the root directory is only part of a mount: no other root can replace it. Before
/// Linux 5.8 the kernel does not report this, and the attempt fails midway.
fn is_chroot() -> bool {
    let flags = StatxFlags::BASIC_STATS;
    let root = rustix::fs::statx(rustix::fs::CWD, "/", AtFlags::empty(), flags);
    root.is_ok_and(|root| {
        root.stx_attributes_mask.contains(StatxAttributes::MOUNT_ROOT)
            && !root.stx_attributes.contains(StatxAttributes::MOUNT_ROOT)
    })
}

/// Returns whether a user namespace can be created but allows no mounts: Ubuntu's default for
/// programs without a profile of their own.
fn is_disarmed() -> bool {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns").trim() == "1"
        && read("/proc/self/attr/current").trim() == "unconfined"
}

/// Path of the user number map of this process's namespace.
const UID_MAP: &str = "/proc/self/uid_map";

fn refusal(is_privileged: bool, error: nix::errno::Errno) -> String {
    let what = match is_privileged {
        true => "a mount namespace",
        false => "user namespaces to this user",
    };
    format!("{what} ({error})")
}

/// Gives this process's user and group the numbers that they have outside. All other users and
/// groups appear as `nobody`.
fn map(user: u32, group: u32) -> io::Result<()> {
    // Without this the kernel accepts no group map: a group may exist to deny access.
    std::fs::write("/proc/self/setgroups", "deny")?;
    std::fs::write(UID_MAP, format!("{user} {user} 1"))?;
    std::fs::write("/proc/self/gid_map", format!("{group} {group} 1"))
}

/// A granted object outside: its path and its state.
struct Place {
    path: OsString,
    stat: Stat,
}

impl Place {
    fn of(object: &Object<'_>) -> io::Result<Self> {
        let link = format!("/proc/self/fd/{}", object.found.as_raw_fd());
        let path = rustix::fs::readlink(link, Vec::new())?;
        let path = OsString::from_vec(path.into_bytes());
        Ok(Self { path, stat: rustix::fs::fstat(object.found)? })
    }
}

fn make_root(objects: &[Object<'_>], places: &[Place], reach: Reach) -> io::Result<()> {
    let root = Root::new()?;
    make_base(&root, reach)?;
    let mut order: Vec<usize> = (0..objects.len()).collect();
    // An object inside another object is mounted upon it, so later.
    order.sort_by_key(|at| objects[*at].path.components().count());
    for at in order {
        let (object, place) = (&objects[at], &places[at]);
        // The object was replaced meanwhile: the host notices before the next call.
        let Some(found) = root::again(&place.path, &place.stat) else { continue };
        let flags = match object.access {
            FileAccess::Read => root::READ,
            FileAccess::ReadWrite => root::WRITE,
        };
        let tree = Tree::of(found.as_fd(), flags)?;
        if root.mount(&tree, object.path).is_err() {
            // Through a link in a granted directory, which leads on to where it is.
            let _ = root.mount(&tree, Path::new(&place.path));
        }
    }
    root.enter()
}

/// Mounts the parts of the system that a plugin with this reach sees. A mount costs some 12 µs.
fn make_base(root: &Root, reach: Reach) -> io::Result<()> {
    let mount = |path: &Path| match rustix::fs::stat(path) {
        Ok(stat) => root.mount_base(path, FileType::from_raw_mode(stat.st_mode)),
        // The system's programs do not need a path that the system lacks.
        Err(_) => Ok(()),
    };
    for path in ["/dev/null", "/dev/zero", "/dev/urandom"] {
        mount(Path::new(path))?;
    }
    // The same device since Linux 5.6.
    root.link(Path::new("urandom"), Path::new("/dev/random"))?;
    mount(Path::new(ZONES))?;
    let zone = Path::new("/etc/localtime");
    match std::fs::read_link(zone) {
        Ok(target) if target.starts_with(ZONES) => root.link(&target, zone)?,
        _ => mount(zone)?,
    }
    // The whole directory: the few names that landlock opens of it take four mounts more.
    mount(Path::new("/proc/self"))?;
    if reach.network {
        files::FOR_NETWORK.iter().try_for_each(|path| mount(Path::new(path)))?;
    }
    if reach.network || reach.libraries {
        files::LIBRARIES.iter().try_for_each(|path| mount(Path::new(path)))?;
    } else {
        let is_own = |path: &Path| OWN_LIBRARIES.iter().any(|name| path.ends_with(name));
        let others = files::base_libraries().into_iter().filter(|path| !is_own(path));
        others.into_iter().try_for_each(|path| mount(&path))?;
    }
    if reach.bus {
        session_buses().into_iter().try_for_each(|path| mount(&path))?;
    }
    root.end_base()
}

/// Directory of the time zones; the local time zone is a link into it.
const ZONES: &str = "/usr/share/zoneinfo";

/// Returns the paths of the session bus's sockets, from this process's variables.
pub(crate) fn session_buses() -> Vec<PathBuf> {
    let addresses = std::env::var("DBUS_SESSION_BUS_ADDRESS").unwrap_or_default();
    let named = addresses.split(';').filter_map(|address| address.strip_prefix("unix:"));
    let paths = named.flat_map(|address| address.split(',')).filter_map(|part| {
        let path = PathBuf::from(part.strip_prefix("path=")?);
        path.is_absolute().then_some(path)
    });
    let usual = std::env::var_os("XDG_RUNTIME_DIR").map(|dir| PathBuf::from(dir).join("bus"));
    let mut paths: Vec<PathBuf> = paths.chain(usual.filter(|path| path.is_absolute())).collect();
    paths.dedup();
    paths
}

//! Files that a sandboxed plugin can open and create: landlock rules from its grants and from the
//! needs of every program. A rule covers a file that exists now.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, PathBeneath, Ruleset, RulesetAttr, RulesetCreated,
    RulesetCreatedAttr, RulesetError, Scope, make_bitflags,
};
use rustix::fs::{Mode, OFlags};

use super::{Object, Reach};
use crate::plugin::inspect::{ELF_BASE, FileAccess};

/// Rights requested from the kernel, as far as the kernel has them: Linux 6.12 has all of them.
/// Later rights change what a plugin may do and are added after a test.
const RIGHTS: ABI = ABI::V6;

/// Rights to read a file.
const READ_FILE: BitFlags<AccessFs> = make_bitflags!(AccessFs::{ReadFile});

/// Rights to read a directory.
const READ: BitFlags<AccessFs> = make_bitflags!(AccessFs::{ReadFile | ReadDir});

/// Rights to write a file in place.
const WRITE_FILE: BitFlags<AccessFs> = make_bitflags!(AccessFs::{ReadFile | WriteFile | Truncate});

/// Rights below a writable directory: no devices, pipes or sockets are made, and nothing is run.
const WRITE: BitFlags<AccessFs> = make_bitflags!(AccessFs::{
    ReadFile | ReadDir | WriteFile | Truncate | MakeReg | MakeDir | MakeSym | RemoveFile
        | RemoveDir | Refer
});

/// Paths that every program may open.
const EVERYBODY: &[&str] =
    &["/dev/zero", "/dev/random", "/dev/urandom", "/etc/localtime", "/usr/share/zoneinfo"];

/// Entries of its `/proc` directory that a program reads. Excluded: `net`, which lists all sockets,
/// and `task`, which contains `net` again.
const OF_ITSELF: [&str; 5] = ["cgroup", "fd", "maps", "stat", "status"];

/// Files that are read to connect to a network name: how names are resolved, and the trusted
/// issuers of certificates.
pub(super) const FOR_NETWORK: &[&str] = &[
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/nsswitch.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/etc/protocols",
    "/run/systemd/resolve",
    "/etc/ssl/certs",
    "/etc/ssl/cert.pem",
    "/etc/ssl/openssl.cnf",
    "/etc/pki/tls/certs",
    "/etc/pki/tls/cert.pem",
    "/etc/pki/tls/openssl.cnf",
    "/etc/pki/ca-trust/extracted",
    "/etc/ca-certificates",
    "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates",
];

/// Paths of the system's libraries, for granted libraries and for those that resolve names.
pub(super) const LIBRARIES: &[&str] =
    &["/etc/ld.so.cache", "/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib"];

/// Library whose directory also holds the libraries that every program may need.
const C_LIBRARY: &str = "libc.so.6";

/// Returns the rules for a plugin with these grants, and for its own file if it is mapped from one.
pub(super) fn rules(
    objects: &[Object<'_>],
    reach: Reach,
    plugin: Option<BorrowedFd<'_>>,
) -> Result<RulesetCreated, RulesetError> {
    let mut ruleset = Ruleset::default()
        .handle_access(AccessFs::from_all(RIGHTS))?
        // No plugin is a server: no rule lets a port be bound.
        .handle_access(AccessNet::BindTcp)?
        .scope(Scope::Signal)?;
    if !reach.network {
        ruleset = ruleset.handle_access(AccessNet::ConnectTcp)?;
    }
    if !reach.bus {
        ruleset = ruleset.scope(Scope::AbstractUnixSocket)?;
    }
    let mut rules = ruleset.create()?;
    rules = allow(rules, Path::new("/dev/null"), WRITE_FILE, WRITE_FILE)?;
    if let Some(plugin) = plugin {
        rules = rules.add_rule(PathBeneath::new(plugin, READ_FILE))?;
    }
    for name in OF_ITSELF {
        rules = allow(rules, &Path::new("/proc/self").join(name), READ, READ_FILE)?;
    }
    for path in EVERYBODY {
        rules = allow(rules, Path::new(path), READ, READ_FILE)?;
    }
    for path in base_libraries() {
        rules = allow(rules, &path, READ, READ_FILE)?;
    }
    if reach.network {
        for path in FOR_NETWORK {
            rules = allow(rules, Path::new(path), READ, READ_FILE)?;
        }
    }
    if reach.network || reach.libraries {
        for path in LIBRARIES {
            rules = allow(rules, Path::new(path), READ, READ_FILE)?;
        }
    }
    for object in objects {
        let (dir, file) = match object.access {
            FileAccess::Read => (READ, READ_FILE),
            FileAccess::ReadWrite => (WRITE, WRITE_FILE),
        };
        rules = match is_dir(object.found) {
            Some(is_dir) => {
                rules.add_rule(PathBeneath::new(object.found, if is_dir { dir } else { file }))?
            }
            None => rules,
        };
    }
    Ok(rules)
}

/// Returns the paths of the libraries that need no permission, whichever of them this program
/// itself has.
pub(super) fn base_libraries() -> Vec<PathBuf> {
    let here = format!("/lib/{}-linux-gnu", std::env::consts::ARCH);
    let mut dirs = [here.as_str(), "/lib64", "/usr/lib"].into_iter().map(Path::new);
    let Some(dir) = dirs.find(|dir| dir.join(C_LIBRARY).exists()) else {
        return Vec::new();
    };
    // Both are there already in every process that loads a plugin.
    let others = ELF_BASE.iter().filter(|name| **name != C_LIBRARY && !name.starts_with("ld-"));
    others.map(|name| dir.join(name)).collect()
}

/// Allows the file or directory at a path, if there is one.
fn allow(
    rules: RulesetCreated,
    path: &Path,
    dir: BitFlags<AccessFs>,
    file: BitFlags<AccessFs>,
) -> Result<RulesetCreated, RulesetError> {
    let Some((opened, is_dir)) = opened(path) else { return Ok(rules) };
    rules.add_rule(PathBeneath::new(opened, if is_dir { dir } else { file }))
}

fn opened(path: &Path) -> Option<(OwnedFd, bool)> {
    let opened = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let is_dir = is_dir(opened.as_fd())?;
    Some((opened, is_dir))
}

fn is_dir(opened: BorrowedFd<'_>) -> Option<bool> {
    let kind = rustix::fs::FileType::from_raw_mode(rustix::fs::fstat(opened).ok()?.st_mode);
    Some(kind == rustix::fs::FileType::Directory)
}

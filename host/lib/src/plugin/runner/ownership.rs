//! The owner and the mount of a granted file, as the host sees them. A runner in a user namespace
//! sees the same owner for all other users' files, and the mounts of its sandbox.
//!
//! The plugin's claims decide nothing. It names a path that it could open itself. It gets the
//! object's numbers, to compare them with those of the object that it opened.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path};

use keystead_plugin_api as api;
use rustix::fs::{Mode, OFlags, ResolveFlags, StatVfsMountFlags};
use rustix::io::Errno;

use super::super::grant::{Granted, GrantedPath};

/// Returns the ownership of a granted path, or of a path below one, through the descriptor of that
/// grant.
pub(super) fn of(granted: &Granted, path: &str) -> api::Result<api::Ownership> {
    let path = Path::new(path);
    let Some(granted) = innermost(granted, path) else {
        return Err(api::Error::detailed(
            api::ErrorDetail::NotGranted,
            format!("{} is not granted", path.display()),
        ));
    };
    seen(granted, path).map_err(|error| {
        api::Error::unavailable(format!("cannot see who owns {}: {error}", path.display()))
    })
}

/// Returns the innermost granted path that equals or contains a path.
fn innermost<'g>(granted: &'g Granted, path: &Path) -> Option<&'g GrantedPath> {
    let is_plain = |part| matches!(part, Component::RootDir | Component::Normal(_));
    if !path.is_absolute() || !path.components().all(is_plain) {
        return None;
    }
    let above = granted.paths().iter().filter(|granted| path.starts_with(granted.name()));
    above.max_by_key(|granted| Path::new(granted.name()).components().count())
}

fn seen(granted: &GrantedPath, path: &Path) -> io::Result<api::Ownership> {
    let object = granted.object().ok_or(Errno::NOENT)?;
    let below = path.strip_prefix(granted.name()).unwrap_or(Path::new("")).as_os_str();
    match below.is_empty() {
        true => ownership(object.as_fd()),
        false => ownership(below_of(object.as_fd(), below)?.as_fd()),
    }
}

fn ownership(found: BorrowedFd<'_>) -> io::Result<api::Ownership> {
    let stat = rustix::fs::fstat(found)?;
    let mount = rustix::fs::fstatvfs(found)?.f_flag;
    let mut ownership = api::Ownership::new(stat.st_uid, stat.st_dev, stat.st_ino);
    ownership.is_read_only = mount.contains(StatVfsMountFlags::RDONLY);
    Ok(ownership)
}

fn below_of(dir: BorrowedFd<'_>, path: &OsStr) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    Ok(rustix::fs::openat2(dir, path, flags, Mode::empty(), resolve)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::runner::SandboxLevel;
    use api::ErrorKind;

    #[test]
    fn ownership_is_reported_only_for_granted_paths() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        std::fs::create_dir(root.join("granted")).unwrap();
        std::fs::write(root.join("granted/file"), "").unwrap();
        std::fs::write(root.join("beside"), "").unwrap();
        std::os::unix::fs::symlink("../beside", root.join("granted/out")).unwrap();
        std::os::unix::fs::symlink("..", root.join("granted/up")).unwrap();
        let grants = [
            format!("files:{}/granted/:r", root.display()),
            format!("files:{}/single:r", root.display()),
            "network".to_owned(),
        ];
        let grants: Vec<&str> = grants.iter().map(String::as_str).collect();
        let grants = Granted::for_tests(&grants, [0; 32], SandboxLevel::BestEffort);
        let of = |path: &str| of(&grants, &format!("{}/{path}", root.display()));
        let numbers = |path: &str| {
            let stat = rustix::fs::lstat(root.join(path)).unwrap();
            api::Ownership::new(stat.st_uid, stat.st_dev, stat.st_ino)
        };
        for path in ["granted", "granted/file", "granted/out"] {
            assert_eq!(of(path).unwrap(), numbers(path), "{path}");
        }
        for (path, kind) in [
            ("beside", ErrorKind::PermissionDenied),
            ("granted/../beside", ErrorKind::PermissionDenied),
            ("grantedfile", ErrorKind::PermissionDenied),
            ("granted/up/beside", ErrorKind::Unavailable),
            ("granted/file/below", ErrorKind::Unavailable),
            ("granted/none", ErrorKind::Unavailable),
            ("single", ErrorKind::Unavailable),
        ] {
            assert_eq!(of(path).unwrap_err().kind(), kind, "{path}");
        }
        assert_eq!(
            super::of(&grants, "granted/file").unwrap_err().kind(),
            ErrorKind::PermissionDenied
        );
    }
}

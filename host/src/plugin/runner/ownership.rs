//! Who owns a granted file, and how it is mounted, as the host sees it: a runner in a user namespace
//! is shown the same owner for every other user's files, and sees the mounts of its sandbox.
//!
//! The plugin's word decides nothing. It names what it could open itself, and is told the object's
//! numbers, to compare them with those of what it did open.

use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use keystead_plugin_api as api;
use rustix::fs::{Mode, OFlags, ResolveFlags, StatVfsMountFlags};

use super::super::inspect::Permission;
use super::Grants;

/// Returns what is at a path that is granted, or below one.
pub(super) fn of(grants: &Grants, path: &str) -> api::Result<api::Ownership> {
    let path = Path::new(path);
    let Some(granted) = granted(grants, path) else {
        return Err(api::Error::denied(format!("{} is not granted", path.display())));
    };
    seen(&granted, path).map_err(|error| {
        api::Error::unavailable(format!("cannot see who owns {}: {error}", path.display()))
    })
}

/// Returns the innermost granted path that a path is, or lies below.
fn granted(grants: &Grants, path: &Path) -> Option<PathBuf> {
    let is_plain = |part| matches!(part, Component::RootDir | Component::Normal(_));
    if !path.is_absolute() || !path.components().all(is_plain) {
        return None;
    }
    let granted = grants.0.iter().filter_map(|grant| match Permission::parse(grant) {
        Ok(Permission::Files { template, .. }) => Some(PathBuf::from(template)),
        _ => None,
    });
    let above = granted.filter(|granted| path.starts_with(granted));
    above.max_by_key(|granted| granted.components().count())
}

fn seen(granted: &Path, path: &Path) -> io::Result<api::Ownership> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let opened = rustix::fs::open(granted, flags, Mode::empty())?;
    let below = path.strip_prefix(granted).unwrap_or(Path::new(""));
    let found =
        if below.as_os_str().is_empty() { opened } else { below_of(&opened, below.as_os_str())? };
    let stat = rustix::fs::fstat(&found)?;
    let mount = rustix::fs::fstatvfs(&found)?.f_flag;
    let mut ownership = api::Ownership::new(stat.st_uid, stat.st_dev, stat.st_ino);
    ownership.is_read_only = mount.contains(StatVfsMountFlags::RDONLY);
    Ok(ownership)
}

fn below_of(folder: &OwnedFd, path: &OsStr) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    Ok(rustix::fs::openat2(folder, path, flags, Mode::empty(), resolve)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::ErrorKind;

    #[test]
    fn only_granted_objects_are_told_and_links_are_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        std::fs::create_dir(root.join("granted")).unwrap();
        std::fs::write(root.join("granted/file"), "").unwrap();
        std::fs::write(root.join("beside"), "").unwrap();
        std::os::unix::fs::symlink("../beside", root.join("granted/out")).unwrap();
        std::os::unix::fs::symlink("..", root.join("granted/up")).unwrap();
        let grants = Grants(vec![
            format!("files:{}/granted/:r", root.display()),
            format!("files:{}/single:r", root.display()),
            "network".to_owned(),
        ]);
        let of = |path: &str| of(&grants, &format!("{}/{path}", root.display()));
        let numbers = |path: &str| {
            let stat = rustix::fs::lstat(root.join(path)).unwrap();
            api::Ownership::new(stat.st_uid, stat.st_dev, stat.st_ino)
        };
        for path in ["granted", "granted/file", "granted/out"] {
            assert_eq!(of(path).unwrap(), numbers(path), "{path}");
        }
        for (path, kind) in [
            ("beside", ErrorKind::Denied),
            ("granted/../beside", ErrorKind::Denied),
            ("grantedfile", ErrorKind::Denied),
            ("granted/up/beside", ErrorKind::Unavailable),
            ("granted/file/below", ErrorKind::Unavailable),
            ("granted/none", ErrorKind::Unavailable),
            ("single", ErrorKind::Unavailable),
        ] {
            assert_eq!(of(path).unwrap_err().kind(), kind, "{path}");
        }
        assert_eq!(super::of(&grants, "granted/file").unwrap_err().kind(), ErrorKind::Denied);
    }
}

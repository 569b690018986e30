//! Tests of the walk's rules, each by the attack that the rule stops. Files of other users need
//! root, which CI has; tests as an ordinary user run in a child that dropped root.

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::walk::Walker;
use super::*;

/// User id without an account; the walk must not use its files for another user.
const STRANGER: u32 = 12_345;
const NOBODY: u32 = 65_534;

struct Place {
    _dir: tempfile::TempDir,
    path: PathBuf,
}

/// Returns a directory below the sticky `/tmp`, mode 0755, that holds a file `p.so`.
fn place() -> Place {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().canonicalize().unwrap().join("held");
    std::fs::create_dir(&path).unwrap();
    chmod(dir.path(), 0o755);
    chmod(&path, 0o755);
    std::fs::write(path.join("p.so"), b"plugin").unwrap();
    chmod(&path.join("p.so"), 0o644);
    Place { _dir: dir, path }
}

impl Place {
    fn file(&self) -> PathBuf {
        self.path.join("p.so")
    }
}

fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn code(path: &Path) -> &'static str {
    walk::open(path, Rule::User).map_or_else(|e| e.code(), |_| "ok")
}

fn must_be_root() {
    assert!(
        rustix::process::geteuid().is_root(),
        "this test gives files to others: run it as root"
    );
}

/// Runs the named test again in a child as an ordinary user; in the child, returns its directory.
pub(crate) fn as_nobody(test: &str, prepare: impl FnOnce(&Path)) -> Option<PathBuf> {
    if let Some(dir) = std::env::var_os("KEYSTEAD_TEST_AS_NOBODY") {
        assert_eq!(rustix::process::geteuid().as_raw(), NOBODY);
        return Some(dir.into());
    }
    must_be_root();
    let dir = tempfile::tempdir().unwrap();
    let binary = dir.path().join("tests");
    std::fs::copy(std::env::current_exe().unwrap(), &binary).unwrap();
    let own = dir.path().join("own");
    std::fs::create_dir(&own).unwrap();
    chmod(dir.path(), 0o755);
    prepare(&own);
    chown(&own, Some(NOBODY), Some(NOBODY)).unwrap();
    let output = Command::new(&binary)
        .args(["--exact", test, "--include-ignored", "--test-threads=1"])
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("KEYSTEAD_TEST_AS_NOBODY", &own)
        .uid(NOBODY)
        .gid(NOBODY)
        .current_dir("/")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    None
}

#[test]
fn file_below_sticky_dir_is_read() {
    let place = place();
    let opened = walk::open(&place.file(), Rule::User).unwrap();
    assert_eq!(opened.path(), place.file());
    assert_eq!(read_once(opened, 6).unwrap(), b"plugin");
}

#[test]
fn relative_path_is_rejected() {
    assert_eq!(code(Path::new("p.so")), "E02.not-absolute");
}

#[test]
fn missing_file_is_reported_as_missing() {
    let place = place();
    assert!(walk::open(&place.path.join("q.so"), Rule::User).unwrap_err().is_missing());
    assert!(walk::open(&place.path.join("q/r/s"), Rule::User).unwrap_err().is_missing());
    assert_eq!(code(&place.file().join("below")), "E02.not-a-folder");
}

#[test]
fn world_writable_file_is_rejected() {
    let place = place();
    chmod(&place.file(), 0o646);
    let error = walk::open(&place.file(), Rule::User).unwrap_err();
    assert_eq!(error.code(), "E02.others-write");
    let file = place.file();
    assert_eq!(
        error.to_string(),
        format!(
            "`{0}` is not safe to use: `{0}` can be written by everyone (mode 0646)",
            file.display()
        )
    );
}

#[test]
fn world_writable_dir_is_rejected_unless_sticky_ancestor() {
    let place = place();
    chmod(&place.path, 0o777);
    assert_eq!(code(&place.file()), "E02.others-write");
    chmod(&place.path, 0o1777);
    assert_eq!(code(&place.file()), "E02.shared-folder", "sticky, but it holds the file");
    std::fs::create_dir(place.path.join("below")).unwrap();
    std::fs::write(place.path.join("below/p.so"), b"").unwrap();
    chmod(&place.path.join("below"), 0o755);
    assert_eq!(code(&place.path.join("below/p.so")), "ok", "sticky and only an ancestor");
    symlink("below/p.so", place.path.join("link.so")).unwrap();
    assert_eq!(code(&place.path.join("link.so")), "E02.shared-folder", "a link there");
    assert!(SafeDir::open(&place.path.join("below"), Rule::User).is_ok());
    assert_eq!(SafeDir::open(&place.path, Rule::User).unwrap_err().code(), "E02.shared-folder");
}

#[test]
#[ignore = "needs root"]
fn sticky_dir_not_owned_by_root_is_rejected_needs_root() {
    must_be_root();
    let place = place();
    chown(&place.path, Some(NOBODY), None).unwrap();
    chmod(&place.path, 0o1777);
    std::fs::create_dir(place.path.join("below")).unwrap();
    std::fs::write(place.path.join("below/p.so"), b"").unwrap();
    let path = place.path.join("below/p.so");
    let walker = Walker { asked: &path, rule: Rule::User, uid: NOBODY };
    assert_eq!(walker.walk().err().unwrap().code(), "E02.others-write", "nobody's own");
    assert_eq!(code(&path), "E02.owner");
}

#[test]
#[ignore = "needs root"]
fn path_writable_by_foreign_group_is_rejected_needs_root() {
    must_be_root();
    let place = place();
    chmod(&place.file(), 0o664);
    chown(place.file(), None, Some(STRANGER)).unwrap();
    assert_eq!(code(&place.file()), "E02.group-write");
    chown(place.file(), None, Some(0)).unwrap();
    chown(&place.path, None, Some(STRANGER)).unwrap();
    chmod(&place.path, 0o775);
    assert_eq!(code(&place.file()), "E02.group-write");
}

#[test]
#[ignore = "needs root"]
fn private_group_write_is_accepted_in_user_rule_only_needs_root() {
    must_be_root();
    let place = place();
    chmod(&place.path, 0o775);
    chmod(&place.file(), 0o664);
    assert_eq!(code(&place.file()), "ok");
    assert_eq!(walk::open(&place.file(), Rule::System).unwrap_err().code(), "E02.group-write");
    // The group of root has no other member here.
    chown(place.file(), Some(NOBODY), None).unwrap();
    let path = place.file();
    let code = |uid| {
        let found = Walker { asked: &path, rule: Rule::User, uid }.walk();
        found.err().map_or("ok", |error| error.code())
    };
    assert_eq!(code(NOBODY), "ok");
    chown(&place.path, None, Some(STRANGER)).unwrap();
    assert_eq!(code(NOBODY), "E02.group-write");
}

#[test]
#[ignore = "needs root"]
fn plugin_owned_by_other_user_is_rejected_needs_root() {
    must_be_root();
    let place = place();
    chown(place.file(), Some(STRANGER), None).unwrap();
    assert_eq!(code(&place.file()), "E02.owner");
    chown(place.file(), Some(0), None).unwrap();
    chown(&place.path, Some(STRANGER), None).unwrap();
    let error = walk::open(&place.file(), Rule::User).unwrap_err();
    assert_eq!(error.code(), "E02.owner");
    assert!(error.to_string().contains("belongs to user id 12345, not to root"), "{error}");
}

#[test]
#[ignore = "needs root"]
fn system_rule_accepts_only_files_of_root_needs_root() {
    must_be_root();
    let place = place();
    assert!(walk::open(&place.file(), Rule::System).is_ok());
    chown(place.file(), Some(NOBODY), None).unwrap();
    let path = place.file();
    let open = |rule| {
        let walker = Walker { asked: &path, rule, uid: NOBODY };
        SafeDir::open_as(Walker { asked: path.parent().unwrap(), ..walker })?;
        let found = walker.walk()?;
        let walk::Found::Other { stat, real, .. } = found else { panic!("a directory") };
        walker.check(&stat, &real).map(|_| ())
    };
    assert!(open(Rule::User).is_ok());
    assert_eq!(open(Rule::System).unwrap_err().code(), "E02.owner");
}

#[test]
#[ignore = "needs root"]
fn link_owned_by_other_user_is_rejected_needs_root() {
    must_be_root();
    let place = place();
    let link = place.path.join("link.so");
    symlink(place.file(), &link).unwrap();
    assert_eq!(code(&link), "ok");
    std::os::unix::fs::lchown(&link, Some(STRANGER), None).unwrap();
    assert_eq!(code(&link), "E02.link-owner");
}

#[test]
fn link_target_is_checked_by_same_rules() {
    let place = place();
    let open = place.path.join("open");
    std::fs::create_dir(&open).unwrap();
    std::fs::write(open.join("p.so"), b"").unwrap();
    chmod(&open, 0o777);
    for (name, target) in
        [("a", open.join("p.so")), ("b", "open/p.so".into()), ("c", "../held/open/p.so".into())]
    {
        symlink(target, place.path.join(name)).unwrap();
        assert_eq!(code(&place.path.join(name)), "E02.others-write", "{name}");
    }
    chmod(&open, 0o755);
    for name in ["a", "b", "c"] {
        let opened = walk::open(&place.path.join(name), Rule::User).unwrap();
        assert_eq!(opened.path(), open.join("p.so"), "{name}");
    }
}

#[test]
fn link_loop_or_link_to_dir_is_rejected_as_file() {
    let place = place();
    symlink(place.path.join("b"), place.path.join("a")).unwrap();
    symlink("a", place.path.join("b")).unwrap();
    assert_eq!(code(&place.path.join("a")), "E02.link-loop");
    symlink(".", place.path.join("here")).unwrap();
    assert_eq!(code(&place.path.join("here")), "E02.not-a-file");
    symlink("/", place.path.join("root")).unwrap();
    assert_eq!(code(&place.path.join("root")), "E02.not-a-file");
    assert!(SafeDir::open(&place.path.join("root"), Rule::User).is_ok());
}

#[test]
fn home_dir_behind_link_is_followed() {
    let place = place();
    std::fs::create_dir_all(place.path.join("var/home/ada")).unwrap();
    symlink("var/home", place.path.join("home")).unwrap();
    std::fs::write(place.path.join("var/home/ada/p.so"), b"").unwrap();
    for dir in ["var", "var/home", "var/home/ada"] {
        chmod(&place.path.join(dir), 0o755);
    }
    let opened = walk::open(&place.path.join("home/ada/./p.so"), Rule::User).unwrap();
    assert_eq!(opened.path(), place.path.join("var/home/ada/p.so"));
    let dir = SafeDir::create(&place.path.join("home/ada/x/y"), Rule::User).unwrap();
    assert_eq!(dir.path(), place.path.join("var/home/ada/x/y"));
}

#[test]
fn special_file_is_rejected_without_blocking() {
    let place = place();
    assert_eq!(code(Path::new("/dev/null")), "E02.not-a-file");
    assert_eq!(code(&place.path), "E02.not-a-file");
    assert_eq!(code(Path::new("/")), "E02.not-a-file");
    let fifo = place.path.join("fifo");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, mode).unwrap();
    let error = walk::open(&fifo, Rule::User).unwrap_err();
    assert!(error.to_string().ends_with("is a pipe, not a file"), "{error}");
    let socket = place.path.join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    assert_eq!(code(&socket), "E02.not-a-file");
    let dir = SafeDir::open(&place.path, Rule::User).unwrap();
    assert_eq!(dir.file("fifo").unwrap_err().code(), "E02.not-a-file");
}

#[test]
fn oversized_file_is_rejected_before_read() {
    let place = place();
    std::fs::File::create(place.file()).unwrap().set_len(2 << 30).unwrap();
    assert_eq!(code(&place.file()), "E02.too-large");
    std::fs::File::create(place.file()).unwrap().set_len(MAX_PLUGIN_BYTES).unwrap();
    let opened = walk::open(&place.file(), Rule::User).unwrap();
    assert_eq!(read_once(opened, 1 << 20).unwrap_err().code(), "E02.too-large");
}

#[test]
fn file_that_grows_during_read_is_rejected() {
    let place = place();
    let opened = walk::open(&place.file(), Rule::User).unwrap();
    std::fs::write(place.file(), b"plugin and more").unwrap();
    assert_eq!(read_once(opened, 100).unwrap_err().code(), "E02.changed");
}

#[test]
#[ignore = "needs root"]
fn file_with_access_list_for_other_user_is_rejected_needs_root() {
    must_be_root();
    let place = place();
    chmod(&place.file(), 0o664);
    // Version 2; owner rw, user 12345 rw, group r, mask rw, others r.
    let mut list = vec![2, 0, 0, 0];
    for (tag, permission, id) in [
        (1u16, 6u16, u32::MAX),
        (2, 6, STRANGER),
        (4, 4, u32::MAX),
        (0x10, 6, u32::MAX),
        (0x20, 4, u32::MAX),
    ] {
        list.extend(tag.to_le_bytes());
        list.extend(permission.to_le_bytes());
        list.extend(id.to_le_bytes());
    }
    let flags = rustix::fs::XattrFlags::empty();
    match rustix::fs::setxattr(place.file(), "system.posix_acl_access", &list, flags) {
        Ok(()) => assert_eq!(code(&place.file()), "E02.access-list"),
        // A file system without access lists has no such hole.
        Err(error) => assert_eq!(error, rustix::io::Errno::NOTSUP),
    }
}

#[test]
#[ignore = "needs root"]
fn created_dirs_and_files_ignore_umask_needs_root() {
    let Some(own) = as_nobody("fs::tests::created_dirs_and_files_ignore_umask_needs_root", |_| {})
    else {
        return;
    };
    for mask in [0o000, 0o002, 0o077, 0o777] {
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(mask));
        let top = own.join(format!("{mask:o}"));
        let dir = SafeDir::create(&top.join("a"), Rule::User).unwrap();
        dir.write("f", b"x", 0o600).unwrap();
        dir.write("f", b"y", 0o400).unwrap();
        let plugins = dir.make_dir("plugins", 0o500).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().mode() & 0o7777;
        assert_eq!(mode(&top), 0o700);
        assert_eq!(mode(&top.join("a")), 0o700);
        assert_eq!(mode(plugins.path()), 0o500);
        assert_eq!(mode(&top.join("a/f")), 0o400);
        assert_eq!(dir.read("f", 10).unwrap().unwrap(), b"y");
        assert_eq!(dir.names().unwrap(), ["f", "plugins"]);
    }
}

#[test]
#[ignore = "needs root"]
fn ordinary_user_reads_only_own_and_root_files_needs_root() {
    let Some(own) =
        as_nobody("fs::tests::ordinary_user_reads_only_own_and_root_files_needs_root", |own| {
            for (name, owner) in [("root", 0), ("mine", NOBODY), ("theirs", STRANGER)] {
                std::fs::write(own.join(name), b"x").unwrap();
                chown(own.join(name), Some(owner), None).unwrap();
                chmod(&own.join(name), 0o644);
            }
        })
    else {
        return;
    };
    assert_eq!(code(&own.join("root")), "ok");
    assert_eq!(code(&own.join("mine")), "ok");
    let error = walk::open(&own.join("theirs"), Rule::User).unwrap_err();
    assert!(error.to_string().ends_with("belongs to user id 12345, not to root or user id 65534"));
    chmod(&own.join("mine"), 0o000);
    assert_eq!(code(&own.join("mine")), "E02.io");
}

#[test]
#[ignore = "needs root"]
fn failed_write_keeps_old_file_without_leftovers_needs_root() {
    let Some(own) =
        as_nobody("fs::tests::failed_write_keeps_old_file_without_leftovers_needs_root", |_| {})
    else {
        return;
    };
    let dir = SafeDir::open(&own, Rule::User).unwrap();
    dir.write("f", b"old", 0o600).unwrap();
    std::fs::create_dir(own.join("busy")).unwrap();
    assert_eq!(dir.write("busy", b"new", 0o600).unwrap_err().code(), "E02.io");
    dir.set_mode(0o500).unwrap();
    assert_eq!(dir.write("f", b"new", 0o600).unwrap_err().code(), "E02.io");
    assert_eq!(dir.read("f", 10).unwrap().unwrap(), b"old");
    assert_eq!(std::fs::read_dir(&own).unwrap().count(), 2);
}

#[test]
fn name_leading_out_of_dir_is_rejected() {
    let place = place();
    let dir = SafeDir::open(&place.path, Rule::User).unwrap();
    for name in ["", ".", "..", "a/b", "../p.so", "/etc/passwd", "a\0b"] {
        assert_eq!(dir.file(name).unwrap_err().code(), "E02.name", "{name:?}");
        assert_eq!(dir.write(name, b"", 0o600).unwrap_err().code(), "E02.name");
        assert_eq!(dir.remove(name).unwrap_err().code(), "E02.name");
        assert_eq!(dir.lock(name).unwrap_err().code(), "E02.name");
    }
}

#[test]
fn dir_lock_excludes_second_holder_until_dropped() {
    let place = place();
    let dir = SafeDir::open(&place.path, Rule::User).unwrap();
    let lock = dir.lock("lock").unwrap();
    assert!(dir.try_lock("lock").unwrap().is_none());
    drop(lock);
    assert!(dir.try_lock("lock").unwrap().is_some());
}

#[test]
fn missing_dir_in_unsafe_parent_is_none() {
    let place = place();
    chmod(&place.path, 0o777);
    assert!(SafeDir::open_if_there(&place.path.join("none"), Rule::User).unwrap().is_none());
    let error = SafeDir::open_if_there(&place.path, Rule::User).unwrap_err();
    assert_eq!(error.code(), "E02.others-write");
}

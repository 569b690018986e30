//! A file is replaced as a whole and keeps everything beside its content. A file that differs from
//! what the plugin read stays unchanged.

use std::ffi::CString;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::PathBuf;
use std::sync::Arc;

use keystead_plugin_api::{ErrorKind, VaultName};
use rustix::fs::XattrFlags;

use super::*;

/// A directory with one file, which is granted.
struct Home {
    dir: tempfile::TempDir,
    boundaries: Boundaries,
}

/// Returns the files with this file alone.
fn files(path: &str, boundaries: &Boundaries) -> Files {
    let granted = Permission::Replace { template: path.to_owned() };
    Files::among(&[granted], || boundaries.clone())
}

const NAME: &str = "safe.db";

impl Home {
    fn new() -> Self {
        let home = Self { dir: tempfile::tempdir().unwrap(), boundaries: Boundaries::default() };
        fs::write(home.file(), "old").unwrap();
        home
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn file(&self) -> PathBuf {
        self.at(NAME)
    }

    fn text(&self) -> String {
        fs::read_to_string(self.file()).unwrap()
    }

    /// Lets the plugin of vault `other` write to a path.
    fn with_writable(mut self, name: &str) -> Self {
        let vault = VaultName::parse("other").unwrap();
        self.boundaries = self.boundaries.with_writable(&vault, vec![self.at(name)]);
        self
    }

    fn read_at(&self, name: &str) -> Result<Option<(String, String)>> {
        let path = self.at(name).display().to_string();
        let files = files(&path, &self.boundaries);
        let read = files.read(&ReadFileRequest::new(path, soon()))?;
        Ok(read
            .file
            .map(|file| (String::from_utf8(file.content.expose().to_vec()).unwrap(), file.version)))
    }

    fn version(&self) -> Option<String> {
        self.read_at(NAME).unwrap().map(|(_, version)| version)
    }

    fn replace_at(&self, name: &str, expected: Option<String>, content: &str) -> Result<String> {
        let path = self.at(name).display().to_string();
        let content = SecretBytes::copy_of(content.as_bytes());
        let files = files(&path, &self.boundaries);
        let request = ReplaceFileRequest::new(path, expected, content, soon());
        Ok(files.replace(&request)?.version)
    }

    fn replace(&self, expected: Option<String>, content: &str) -> Result<String> {
        self.replace_at(NAME, expected, content)
    }

    /// Checks that a replacement is refused, and that the file is as it was.
    fn refuses(&self, expected: Option<String>, kind: ErrorKind, why: &str) {
        let before = fs::read(self.file()).ok();
        let error = self.replace(expected, "new").unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.message().contains(why), "{error}");
        assert_eq!(fs::read(self.file()).ok(), before);
        assert_eq!(self.left_overs(), 0);
    }

    fn left_overs(&self) -> usize {
        let entries = fs::read_dir(self.dir.path()).unwrap();
        let is_left = |name: OsString| name.to_str().unwrap().starts_with(".keystead-replace-");
        entries.filter(|entry| is_left(entry.as_ref().unwrap().file_name())).count()
    }
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(10))
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn replaced_file_has_new_content_and_version() {
    let home = Home::new();
    let inode = fs::metadata(home.file()).unwrap().ino();
    let first = home.version().unwrap();
    let second = home.replace(Some(first), "new").unwrap();
    assert_eq!(home.text(), "new");
    assert_ne!(fs::metadata(home.file()).unwrap().ino(), inode);
    assert_eq!(home.read_at(NAME).unwrap().unwrap(), ("new".to_owned(), second.clone()));
    home.replace(Some(second), "").unwrap();
    assert_eq!((home.text().as_str(), home.left_overs()), ("", 0));
}

#[test]
fn missing_file_is_created_with_mode_0600() {
    let home = Home::new();
    fs::remove_file(home.file()).unwrap();
    assert_eq!(home.version(), None);
    let version = home.replace(None, "new").unwrap();
    assert_eq!(fs::metadata(home.file()).unwrap().mode() & 0o7777, 0o600);
    assert_eq!((home.version(), home.left_overs()), (Some(version), 0));
    assert_eq!(home.read_at("none/below/it").unwrap(), None);
    let error = home.replace_at("none/it", None, "new").unwrap_err();
    assert!(error.message().contains("the directory of"), "{error}");
}

#[test]
fn changed_file_is_conflict_that_reports_both_versions() {
    let home = Home::new();
    let version = home.version();
    fs::write(home.file(), "written meanwhile").unwrap();
    let both = "is no longer what the vault read: it had 3 bytes of ";
    home.refuses(version.clone(), ErrorKind::AlreadyExists, both);
    let error = home.replace(version.clone(), "new").unwrap_err();
    assert_eq!(error.detail(), Some(ErrorDetail::Conflict));
    assert!(error.message().contains(", and has 17 bytes of 20"), "{error}");
    home.refuses(None, ErrorKind::AlreadyExists, "it was not there, and has 17 bytes of ");
    // Files with the same content are equal, whenever they were written.
    let earlier = version.clone().unwrap().replacen("3 ", "4 1", 1);
    fs::write(home.file(), "old").unwrap();
    home.replace(Some(earlier), "new").unwrap();
    fs::remove_file(home.file()).unwrap();
    home.refuses(version, ErrorKind::AlreadyExists, ", and is not there now");
    home.refuses(Some("any".to_owned()), ErrorKind::Invalid, "none that the host gave");
}

#[test]
fn link_is_kept_and_its_target_is_replaced() {
    let home = Home::new();
    fs::create_dir(home.at("real")).unwrap();
    fs::rename(home.file(), home.at("real/it")).unwrap();
    symlink("real/it", home.file()).unwrap();
    home.replace(home.version(), "new").unwrap();
    assert_eq!(fs::read_link(home.file()).unwrap(), PathBuf::from("real/it"));
    assert_eq!(fs::read_to_string(home.at("real/it")).unwrap(), "new");
    // Swapped since it was read: another file, with another content.
    let version = home.version();
    fs::write(home.at("elsewhere"), "another").unwrap();
    fs::remove_file(home.file()).unwrap();
    symlink("elsewhere", home.file()).unwrap();
    home.refuses(version, ErrorKind::AlreadyExists, "and has 7 bytes");
}

#[test]
fn link_in_plugin_writable_dir_is_rejected() {
    let home = Home::new().with_writable("shared/");
    fs::create_dir(home.at("shared")).unwrap();
    symlink("../safe.db", home.at("shared/it")).unwrap();
    let error = home.read_at("shared/it").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    assert!(error.message().contains("vault `other` lets its plugin write to"), "{error}");
    let error = home.replace_at("shared/it", home.version(), "new").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    assert_eq!(home.text(), "old");
}

#[test]
fn keystead_files_and_special_files_are_rejected() {
    let mut home = Home::new();
    fs::create_dir(home.at("keystead")).unwrap();
    fs::write(home.at("keystead/vault.toml"), "own").unwrap();
    let pipe = CString::new(home.at("pipe").to_str().unwrap()).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, Mode::RUSR | Mode::WUSR).unwrap();
    home.boundaries = Boundaries::new(vec![home.at("keystead")], Arc::new(|| Ok(Vec::new())));
    for (path, why) in [
        (home.at("keystead/vault.toml"), "which controls plugin permissions"),
        (home.at("keystead/none"), "which controls plugin permissions"),
        (home.at("keystead"), "which controls plugin permissions"),
        (home.at("pipe"), "is a pipe, not a file"),
        (PathBuf::from("/dev/null"), "is a device, not a file"),
        (PathBuf::from("/proc/self/environ"), "is something of the kernel's, not a file"),
        (PathBuf::from("/proc/1/none"), "is something of the kernel's, not a file"),
    ] {
        let path = path.display().to_string();
        let files = files(&path, &home.boundaries);
        let error = files.read(&ReadFileRequest::new(&*path, soon())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{path}: {error}");
        assert!(error.message().contains(why), "{path}: {error}");
        let content = SecretBytes::copy_of(b"new");
        let request = ReplaceFileRequest::new(&*path, None, content, soon());
        let error = files.replace(&request).unwrap_err();
        assert!(error.message().contains(why), "{path}: {error}");
    }
}

#[test]
fn hard_linked_file_is_rejected() {
    let home = Home::new();
    fs::hard_link(home.file(), home.at("second")).unwrap();
    home.refuses(home.version(), ErrorKind::Unavailable, "it has a second name (a hard link)");
}

#[test]
fn set_id_program_is_rejected() {
    let home = Home::new();
    for mode in [0o4755, 0o2755] {
        fs::set_permissions(home.file(), fs::Permissions::from_mode(mode)).unwrap();
        home.refuses(home.version(), ErrorKind::Unavailable, "runs with rights of its own");
    }
}

#[test]
fn only_exactly_granted_paths_are_permitted() {
    let granted = ["replace:/a/b", "files:/c:rw", "network"];
    let granted: Vec<_> = granted.iter().map(|text| Permission::parse(text).unwrap()).collect();
    let files = Files::among(&granted, Boundaries::default);
    assert!(files.permit("/a/b").is_ok());
    for path in ["/a", "/a/b/", "/a//b", "/a/../a/b", "/a/b/../c", "/c", "a/b", ""] {
        let refused = |error: Error| assert_eq!(error.detail(), Some(ErrorDetail::NotGranted));
        refused(files.permit(path).unwrap_err());
        refused(files.read(&ReadFileRequest::new(path, soon())).unwrap_err());
        let content = SecretBytes::copy_of(b"new");
        let request = ReplaceFileRequest::new(path, None, content, soon());
        refused(files.replace(&request).unwrap_err());
    }
}

#[test]
fn mode_owner_attributes_and_access_list_are_kept() {
    let home = Home::new();
    let file = home.file();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    if is_root() {
        chown(&file, Some(12_345), Some(54_321)).unwrap();
    }
    let set = |name: &str, value: &[u8]| {
        rustix::fs::setxattr(&file, name, value, XattrFlags::empty()).unwrap();
    };
    let of = |name: &str| {
        let mut value = [0; 100];
        let size = rustix::fs::getxattr(&file, name, &mut value[..]).ok()?;
        Some(value[..size].to_vec())
    };
    set("user.label", b"kept");
    set("user.empty", b"");
    let list = access_list();
    set("system.posix_acl_access", &list);
    if is_root() {
        set("trusted.label", b"kept");
        set("security.label", b"kept");
    }
    let before = fs::metadata(&file).unwrap();
    home.replace(home.version(), "new").unwrap();
    let after = fs::metadata(&file).unwrap();
    assert_ne!(before.ino(), after.ino());
    assert_eq!(before.mode(), after.mode());
    assert_eq!((before.uid(), before.gid()), (after.uid(), after.gid()));
    assert_eq!(of("user.label").unwrap(), b"kept");
    assert_eq!(of("user.empty").unwrap(), b"");
    assert_eq!(of("system.posix_acl_access").unwrap(), list);
    if is_root() {
        assert_eq!(of("trusted.label").unwrap(), b"kept");
        assert_eq!(of("security.label").unwrap(), b"kept");
    }
}

#[test]
fn default_access_list_of_dir_is_not_inherited() {
    let home = Home::new();
    let name = "system.posix_acl_default";
    rustix::fs::setxattr(home.dir.path(), name, &access_list(), XattrFlags::empty()).unwrap();
    assert!(fs::metadata(home.file()).is_ok());
    home.replace(home.version(), "new").unwrap();
    let mut value = [0; 100];
    let found = rustix::fs::getxattr(home.file(), "system.posix_acl_access", &mut value[..]);
    assert_eq!(found.unwrap_err(), Errno::NODATA);
}

/// Returns the access list `u::rw-,u:4242:rw-,g::r--,m::rw-,o::---` in the kernel's form.
fn access_list() -> Vec<u8> {
    let mut list = 2_u32.to_le_bytes().to_vec();
    let nobody = u32::MAX;
    for (tag, may, who) in
        [(1_u16, 6_u16, nobody), (2, 6, 4_242), (4, 4, nobody), (16, 6, nobody), (32, 0, nobody)]
    {
        list.extend(tag.to_le_bytes());
        list.extend(may.to_le_bytes());
        list.extend(who.to_le_bytes());
    }
    list
}

#[test]
fn leftover_of_killed_process_is_removed() {
    let home = Home::new();
    let left = home.at(temporary::name_for(NAME.as_ref(), 0).to_str().unwrap());
    // Killed before the new file had its name, or after that and before the old one was removed.
    for owner in [None, Some(12_345)] {
        fs::write(&left, "half").unwrap();
        if let Some(owner) = owner.filter(|_| is_root()) {
            chown(&left, Some(owner), None).unwrap();
            chown(home.file(), Some(owner), None).unwrap();
        }
        home.replace(home.version(), "new").unwrap();
        assert_eq!((home.text().as_str(), home.left_overs()), ("new", 0));
    }
}

#[test]
fn temporary_name_held_by_other_user_is_avoided() {
    let home = Home::new();
    let name = |number| home.at(temporary::name_for(NAME.as_ref(), number).to_str().unwrap());
    fs::create_dir(name(0)).unwrap();
    if is_root() {
        fs::write(name(1), "").unwrap();
        chown(name(1), Some(777), None).unwrap();
    }
    home.replace(home.version(), "new").unwrap();
    assert_eq!(home.text(), "new");
    assert!(name(0).exists() && name(1).exists() == is_root());
    // Not for ever.
    for number in 1..8 {
        let _ = fs::remove_file(name(number));
        fs::create_dir(name(number)).unwrap();
    }
    let error = home.replace(home.version(), "newer").unwrap_err();
    assert!(error.message().contains("is in the way: it is not Keystead's"), "{error}");
    assert_eq!(home.text(), "new");
}

#[test]
fn new_file_stays_private_if_attributes_cannot_be_kept() {
    let home = Home::new();
    let file = File::open(home.file()).unwrap();
    fs::set_permissions(home.file(), fs::Permissions::from_mode(0o644)).unwrap();
    rustix::fs::fsetxattr(&file, "user.mark", b"x", XattrFlags::empty()).unwrap();
    // A pipe has a mode, and takes no attributes.
    let (_, pipe) = rustix::pipe::pipe().unwrap();
    let pipe = File::from(pipe);
    assert_eq!(pipe.metadata().unwrap().mode() & 0o7777, 0o600);
    let error = attributes::keep(&file, &pipe, &home.file()).unwrap_err();
    assert!(error.message().contains("keep the attribute `user.mark`"), "{error}");
    assert_eq!(pipe.metadata().unwrap().mode() & 0o7777, 0o600);
}

#[test]
fn locked_file_is_waited_for_until_deadline() {
    let home = Home::new();
    let version = home.version();
    let other = File::open(home.file()).unwrap();
    other.lock().unwrap();
    let path = home.file().display().to_string();
    let content = SecretBytes::copy_of(b"new");
    let deadline = Deadline::after(Duration::from_millis(50));
    let request = ReplaceFileRequest::new(&*path, version.clone(), content, deadline);
    let error = files(&path, &home.boundaries).replace(&request).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    // And so is one that creates it.
    let left =
        File::create(home.at(temporary::name_for("new".as_ref(), 0).to_str().unwrap())).unwrap();
    left.lock().unwrap();
    thread::scope(|scope| {
        let replaced = scope.spawn(|| home.replace(version, "new"));
        let created = scope.spawn(|| home.replace_at("new", None, "new"));
        thread::sleep(Duration::from_millis(50));
        assert!(!replaced.is_finished() && !created.is_finished());
        other.unlock().unwrap();
        left.unlock().unwrap();
        replaced.join().unwrap().unwrap();
        created.join().unwrap().unwrap();
    });
    assert_eq!((home.text().as_str(), home.left_overs()), ("new", 0));
}

#[test]
fn concurrent_writers_lose_no_update() {
    let home = Home::new();
    fs::write(home.file(), "0").unwrap();
    let add = || {
        for _ in 0..20 {
            loop {
                let (text, version) = home.read_at(NAME).unwrap().unwrap();
                let next = (text.parse::<u32>().unwrap() + 1).to_string();
                match home.replace(Some(version), &next) {
                    Ok(_) => break,
                    Err(error) => {
                        assert_eq!(error.detail(), Some(ErrorDetail::Conflict), "{error}")
                    }
                }
            }
        }
    };
    thread::scope(|scope| (0..6).for_each(|_| drop(scope.spawn(add))));
    assert_eq!((home.text().as_str(), home.left_overs()), ("120", 0));
}

#[test]
fn concurrent_rename_by_other_program_is_never_lost() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let home = Home::new();
    fs::write(home.file(), "0").unwrap();
    // Other programs do not know the lock. Each of their files is read before it is replaced.
    let seen = AtomicUsize::new(0);
    let rounds = 200;
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for at in 1..=rounds {
                fs::write(home.at("theirs"), at.to_string()).unwrap();
                // At another moment of a replacement each time.
                thread::sleep(Duration::from_micros(at as u64 * 7 % 400));
                fs::rename(home.at("theirs"), home.file()).unwrap();
                let patience = soon();
                while seen.load(Ordering::Acquire) < at {
                    assert!(!patience.has_passed(), "{at} was lost: {}", home.text());
                    thread::sleep(Duration::from_micros(50));
                }
            }
        });
        while !writer.is_finished() {
            let (text, version) = home.read_at(NAME).unwrap().unwrap();
            let is_ours = text.is_empty();
            let replaced = home.replace(Some(version), "");
            if let (Ok(_), false) = (replaced, is_ours) {
                seen.store(text.parse().unwrap(), Ordering::Release);
            }
        }
    });
    assert_eq!(home.left_overs(), 0);
}

#[test]
fn file_name_and_content_limits_are_enforced() {
    let home = Home::new();
    let long = "n".repeat(255);
    home.replace_at(&long, None, "new").unwrap();
    assert_eq!(home.read_at(&long).unwrap().unwrap().0, "new");
    let most = "x".repeat(MAX_FILE_BYTES);
    home.replace(home.version(), &most).unwrap();
    assert_eq!(home.read_at(NAME).unwrap().unwrap().0.len(), MAX_FILE_BYTES);
    home.refuses(None, ErrorKind::AlreadyExists, "it was not there");
    let error = home.replace(home.version(), &(most + "x")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let file = File::options().write(true).open(home.file()).unwrap();
    file.set_len(MAX_FILE_BYTES as u64 + 1).unwrap();
    assert_eq!(home.read_at(NAME).unwrap_err().kind(), ErrorKind::Invalid);
}

//! Where granted paths lead, decided on open files: links, spellings and mounts are no way round.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::fs::object::{look_up, shared_in};

/// A test directory with a user's home, and the directories that are Keystead's own.
struct World {
    root: PathBuf,
    boundaries: Boundaries,
    _dir: tempfile::TempDir,
}

impl World {
    /// Returns a world in which other registrations may write to these directories below its root.
    fn new(writable: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        for below in ["home/.config/keystead/vaults", "home/.local/share/keystead/pins.d", "srv"] {
            fs::create_dir_all(root.join(below)).unwrap();
        }
        let own = [".config/keystead", ".local/share/keystead/pins.d", ".cache/keystead"];
        let own = own.iter().map(|below| root.join("home").join(below)).collect();
        let writable: Vec<_> = writable.iter().map(|below| root.join(below)).collect();
        let other = VaultName::parse("other").unwrap();
        let listed =
            move || Ok(writable.iter().map(|path| (other.clone(), path.clone())).collect());
        Self { root, boundaries: Boundaries::new(own, Arc::new(listed)), _dir: dir }
    }

    fn make(&self, dirs: &[&str]) {
        for below in dirs {
            fs::create_dir_all(self.root.join(below)).unwrap();
        }
    }

    fn permissions(&self, texts: &[&str]) -> Vec<Permission> {
        let text = |text: &&str| text.replace("ROOT", self.root.to_str().unwrap());
        texts.iter().map(|one| Permission::parse(&text(one)).unwrap()).collect()
    }

    /// Opens these paths, as if the user had granted the same requests.
    fn open(&self, texts: &[&str]) -> Result<Granted, Error> {
        let namespaces = Namespaces::BestEffort;
        let proof = Proof { sha256: [0; 32], sandbox: SandboxLevel::BestEffort, namespaces };
        Granted::open(proof, self.permissions(texts).into(), self.boundaries.clone())
    }

    /// Returns the code of the error, or the target of each path.
    fn opened(&self, texts: &[&str]) -> String {
        match self.open(texts) {
            Err(error) => error.code().to_owned(),
            Ok(granted) => {
                let there = granted.paths().iter().map(|path| {
                    let Some(object) = path.object() else { return "nothing".to_owned() };
                    let fd = std::os::fd::AsRawFd::as_raw_fd(&std::os::fd::AsFd::as_fd(object));
                    let path = fs::read_link(format!("/proc/self/fd/{fd}")).unwrap();
                    path.strip_prefix(&self.root).unwrap().display().to_string()
                });
                there.collect::<Vec<_>>().join(" ")
            }
        }
    }

    fn is_granted(&self, asked: &str, recorded: &str) -> bool {
        let recorded = recorded.replace("ROOT", self.root.to_str().unwrap());
        let beyond = self.boundaries.beyond(&self.permissions(&[asked]), &[recorded]);
        // A path that cannot be looked up is an error, and is not granted.
        beyond.is_ok_and(|missing| missing.is_empty())
    }
}

#[test]
fn link_in_plugin_writable_or_shared_dir_is_rejected() {
    let world = World::new(&["srv/other", "srv/missing"]);
    world.make(&["srv/other/deep", "srv/mine", "srv/target", "srv/open", "srv/sticky"]);
    for (dir, mode) in [("srv/open", 0o777), ("srv/sticky", 0o1777)] {
        fs::set_permissions(world.root.join(dir), fs::Permissions::from_mode(mode)).unwrap();
    }
    for below in ["srv/mine", "srv/other", "srv/other/deep", "srv/open", "srv/sticky"] {
        symlink(world.root.join("srv/target"), world.root.join(below).join("link")).unwrap();
    }
    symlink("link", world.root.join("srv/mine/again")).unwrap();
    symlink("../other/deep/link", world.root.join("srv/mine/by-other")).unwrap();
    symlink("../missing/x", world.root.join("srv/mine/to-nothing")).unwrap();
    symlink("loop", world.root.join("srv/mine/loop")).unwrap();
    for (path, leads_to) in [
        ("ROOT/srv/target/", "srv/target"),
        ("ROOT/srv/mine/link/", "srv/target"),
        ("ROOT/srv/mine/again/", "srv/target"),
        ("ROOT/srv/mine/to-nothing", "nothing"),
        ("ROOT/srv/mine/loop", "E02.link-loop"),
        ("ROOT/srv/other/", "srv/other"),
        ("ROOT/srv/other/link/", "E07.link"),
        ("ROOT/srv/other/deep/link", "E07.link"),
        ("ROOT/srv/mine/by-other", "E07.link"),
        ("ROOT/srv/open/link", "E02.others-write"),
        ("ROOT/srv/none/at/all/", "nothing"),
    ] {
        for access in ["r", "rw"] {
            let grant = format!("files:{path}:{access}");
            assert_eq!(world.opened(&[&grant]), leads_to, "{grant}");
        }
    }
    // Every user may put links there; the directories belong to root and to the test's user. A test
    // run by another user than root has a sticky directory of that user.
    let sticky = world.opened(&["files:ROOT/srv/sticky/link:r"]);
    let is_root = rustix::process::geteuid().is_root();
    assert_eq!(sticky, if is_root { "srv/target" } else { "E02.others-write" });
}

#[test]
fn link_in_own_writable_dir_is_not_opened() {
    let world = World::new(&[]);
    world.make(&["srv/own/sub", "srv/secret"]);
    symlink(world.root.join("srv/secret"), world.root.join("srv/own/link")).unwrap();
    for (texts, leads_to) in [
        (&["files:ROOT/srv/own/:rw", "files:ROOT/srv/own/link/:r"][..], "srv/own"),
        (&["files:ROOT/srv/own/:rw", "files:ROOT/srv/own/link/x:rw"], "srv/own"),
        (&["files:ROOT/srv/own/:rw", "files:ROOT/srv/own/sub/:rw"], "srv/own"),
        (&["files:ROOT/srv/new/:rw", "files:ROOT/srv/new/sub/:rw"], "nothing"),
        (&["files:ROOT/srv/own/:r", "files:ROOT/srv/own/link/:r"], "srv/own srv/secret"),
    ] {
        assert_eq!(world.opened(texts), leads_to, "{texts:?}");
    }
}

#[test]
fn dir_with_hard_link_to_keystead_file_is_not_writable() {
    let world = World::new(&[]);
    world.make(&["srv/backup/deep/er", "srv/notes", "settings", "home/.config/keystead/vaults"]);
    let vault = world.root.join("home/.config/keystead/vaults/a.toml");
    fs::write(&vault, "").unwrap();
    let name = world.root.join("srv/backup/deep/er/a.toml");
    fs::hard_link(&vault, &name).unwrap();
    let opened = |path: &str| world.opened(&[&format!("files:{path}:rw")]);
    let held = |told: &str| {
        (opened("ROOT/srv/backup/"), opened("ROOT/srv/notes/"))
            .eq(&(told.to_owned(), "srv/notes".to_owned()))
    };
    assert!(held("E07.own-file"));
    assert_eq!(world.opened(&["files:ROOT/srv/backup/:r"]), "srv/backup", "for reading");
    assert_eq!(
        world.open(&["files:ROOT/srv/backup/:rw"]).unwrap_err().to_string(),
        format!(
            "deep/er/a.toml in {root}/srv/backup/ is another name (a hard link) of {}, a file of \
             Keystead's own",
            vault.display(),
            root = world.root.display()
        )
    );
    // A file with its own content, as the documented fix makes it.
    let copy = name.with_extension("new");
    fs::copy(&name, &copy).unwrap();
    fs::rename(&copy, &name).unwrap();
    assert!(held("srv/backup"));
    // The registration is a symbolic link to a settings file, which has the second name.
    let settings = world.root.join("settings/b.toml");
    fs::write(&settings, "").unwrap();
    symlink(&settings, vault.with_file_name("b.toml")).unwrap();
    assert!(held("srv/backup"));
    fs::hard_link(&settings, name.with_file_name("b.toml")).unwrap();
    assert!(held("E07.own-file"));
}

#[test]
fn dir_too_large_for_hard_link_search_is_not_writable() {
    let world = World::new(&[]);
    world.make(&["srv/many/1", "srv/many/2", "srv/many/2/3", "srv/elsewhere"]);
    let vault = world.root.join("home/.config/keystead/vaults/a.toml");
    fs::write(&vault, "").unwrap();
    fs::hard_link(&vault, world.root.join("srv/elsewhere/a.toml")).unwrap();
    let files = shared_in(vault.parent().unwrap()).unwrap().files;
    let many = world.root.join("srv/many");
    boundary::keep_off_names(&many, &files, 3).unwrap();
    let error = boundary::keep_off_names(&many, &files, 2).unwrap_err();
    assert_eq!(error.code(), "E07.own-file");
    assert!(error.to_string().ends_with(": there are more than 2 names in it"), "{error}");
}

#[test]
fn writable_grant_reaching_keystead_dir_is_rejected() {
    let world = World::new(&[]);
    symlink(world.root.join("home"), world.root.join("ada")).unwrap();
    symlink("home/.config", world.root.join("settings")).unwrap();
    world.make(&["home/notes", "home/.local/share/keystead/store/work"]);
    let vault = world.root.join("home/.config/keystead/vaults/a.toml");
    fs::write(&vault, "").unwrap();
    fs::hard_link(&vault, world.root.join("srv/harmless")).unwrap();
    fs::write(world.root.join("srv/one"), "").unwrap();
    fs::hard_link(world.root.join("srv/one"), world.root.join("srv/two")).unwrap();
    for path in [
        "ROOT/",
        "ROOT/home/",
        "ROOT/ada/",
        "ROOT/ada/.config/keystead/vaults/",
        "ROOT/settings/",
        "ROOT/settings/keystead/new/",
        "ROOT/settings/keystead/vaults/new.toml",
        "ROOT/ada/.local/",
        "ROOT/home/.local/share/keystead/",
        "ROOT/home/.local/share/keystead/pins.d/a.toml",
        // Missing paths in several spellings.
        "ROOT/home/.cache/",
        "ROOT/home/.cache/keystead/",
        "ROOT/home/.cache/KEYSTEAD/x/",
        "ROOT/ada/.cache/keystead/x",
        "ROOT/srv/harmless",
    ] {
        let grant = format!("files:{path}:rw");
        assert_eq!(world.opened(&[&grant]), "E07.own-folder", "{grant}");
    }
    for path in [
        "ROOT/home/notes/",
        "ROOT/ada/.local/share/keystead/store/work/",
        "ROOT/home/.cache/other/",
        "ROOT/home/.cache2/",
        "ROOT/srv/two",
    ] {
        assert!(!world.opened(&[&format!("files:{path}:rw")]).contains("E0"), "{path}");
    }
    assert_eq!(world.opened(&["files:ROOT/home/.config/keystead/:r"]), "home/.config/keystead");
}

#[test]
fn writable_grant_on_link_path_to_keystead_dir_is_rejected() {
    let world = World::new(&[]);
    world.make(&["dot/keystead/vaults", "sets/deep", "away", "free"]);
    let own = world.root.join("home/.config/keystead");
    fs::remove_dir_all(&own).unwrap();
    symlink("../../dot/keystead", &own).unwrap();
    // One registration and one pin lie elsewhere, behind two links.
    fs::write(world.root.join("sets/deep/a.toml"), "").unwrap();
    symlink(world.root.join("sets/a.toml"), own.join("vaults/a.toml")).unwrap();
    symlink("deep/a.toml", world.root.join("sets/a.toml")).unwrap();
    let pins = world.root.join("home/.local/share/keystead/pins.d");
    symlink(world.root.join("away/new.toml"), pins.join("new.toml")).unwrap();
    symlink("loop", pins.join("loop")).unwrap();
    for path in [
        // A process that can write here can replace a link.
        "ROOT/home/.config/",
        "ROOT/sets/",
        "ROOT/dot/",
        "ROOT/dot/keystead/vaults/",
        "ROOT/sets/deep/",
        "ROOT/sets/deep/a.toml",
        "ROOT/away/",
        "ROOT/away/new.toml",
    ] {
        let grant = format!("files:{path}:rw");
        assert_eq!(world.opened(&[&grant]), "E07.own-folder", "{grant}");
    }
    for path in ["ROOT/free/", "ROOT/home/.config2/", "ROOT/away2/", "ROOT/sets/deep/b.toml"] {
        assert!(!world.opened(&[&format!("files:{path}:rw")]).contains("E0"), "{path}");
    }
}

#[test]
fn writable_paths_include_unusual_file_names() {
    let grants =
        ["files:/a{b/:rw", "files:/c\u{200b}d:rw", "files:/e:w:rw", "files:/f:r", "exec:rw"];
    let long = format!("files:/{}:rw", "x".repeat(9_000));
    let mut grants = grants.map(str::to_owned).to_vec();
    grants.push(long);
    let writable: Vec<PathBuf> = writable_in(&grants).collect();
    assert_eq!(writable[..3], ["/a{b/", "/c\u{200b}d", "/e:w"].map(PathBuf::from));
    assert_eq!(writable.len(), 4, "{writable:?}");
}

#[test]
fn host_rejects_plugin_writable_program_and_link() {
    let world = World::new(&["srv/other{"]);
    world.make(&["srv/other{", "srv/bin"]);
    let real = |below: &str| world.root.join(below).display().to_string();
    fs::write(world.root.join("srv/other{/tool"), "").unwrap();
    fs::write(world.root.join("srv/bin/tool"), "").unwrap();
    symlink(world.root.join("srv/bin/tool"), world.root.join("srv/other{/link")).unwrap();
    symlink(world.root.join("srv/other{/tool"), world.root.join("srv/bin/found")).unwrap();
    let code = |path: &str, what| match world.boundaries.keep_plugins_off(Path::new(path), what) {
        Ok(found) => if found.is_some() { "found" } else { "of the kernel" }.to_owned(),
        Err(error) => error.code().to_owned(),
    };
    use HostUse::{Read, Run};
    for (path, read, run) in [
        (real("srv/bin/tool"), "found", "found"),
        (real("srv/other{/tool"), "found", "E07.writable-program"),
        (real("srv/other{/link"), "E07.link", "E07.link"),
        (real("srv/bin/found"), "found", "E07.writable-program"),
        (format!("/proc/self/root{}", real("srv/other{/tool")), "found", "E07.kernel-link"),
        (format!("/proc/self/root{}", real("srv/other{/link")), "E07.link", "E07.kernel-link"),
        (format!("/proc/thread-self/root{}", real("srv/bin/tool")), "found", "E07.kernel-link"),
        ("/proc/self/exe".to_owned(), "of the kernel", "E07.kernel-link"),
        ("/dev/fd/0".to_owned(), "of the kernel", "E07.kernel-link"),
    ] {
        assert_eq!((&*code(&path, Read), &*code(&path, Run)), (read, run), "{path}");
    }
    assert!(world.boundaries.keep_plugins_off_program("sh").is_ok());
    let writable = vec![world.root.join("srv/bin")];
    let more = world.boundaries.with_writable(&VaultName::parse("a").unwrap(), writable);
    for (program, code) in
        [("srv/bin/tool", "E07.writable-program"), ("srv/other{/link", "E07.link")]
    {
        assert_eq!(more.keep_plugins_off_program(&real(program)).unwrap_err().code(), code);
    }
    assert!(more.keep_plugins_off_program("/bin/sh").is_ok());
}

#[test]
fn grant_covers_same_object_and_its_contents() {
    let world = World::new(&[]);
    world.make(&["srv/a/b", "srv/secret"]);
    symlink("srv", world.root.join("link")).unwrap();
    symlink(world.root.join("srv/secret"), world.root.join("srv/a/out")).unwrap();
    fs::write(world.root.join("srv/a/file"), "").unwrap();
    for (asked, recorded) in [
        ("files:ROOT/srv/a/:rw", "files:ROOT/srv/a/:rw"),
        ("files:ROOT/srv/a/:r", "files:ROOT/srv/a/:rw"),
        ("files:ROOT/srv/a/:rw", "files:ROOT/srv/a:rw"),
        ("files:ROOT/srv/a/b/:rw", "files:ROOT/srv/a/:rw"),
        ("files:ROOT/srv/a/new/deep:rw", "files:ROOT/srv/a/:rw"),
        ("files:ROOT/srv/a/b/:rw", "files:ROOT/link/a/:rw"),
        ("files:ROOT/link/a/file:r", "files:ROOT/srv/a/file:r"),
        ("network", "network"),
    ] {
        assert!(world.is_granted(asked, recorded), "{asked} {recorded}");
    }
    for (asked, recorded) in [
        ("files:ROOT/srv/a/:rw", "files:ROOT/srv/a/:r"),
        ("files:ROOT/srv/a/out/:r", "files:ROOT/srv/a/:rw"),
        ("files:ROOT/srv/a/out/x:r", "files:ROOT/srv/a/:rw"),
        ("files:ROOT/srv/:r", "files:ROOT/srv/a/:rw"),
        ("files:ROOT/srv/ab/:r", "files:ROOT/srv/a/:rw"),
        ("files:ROOT/srv/a/file/x:r", "files:ROOT/srv/a/b/:rw"),
        ("network", "dbus"),
        ("env:A", "env:B"),
    ] {
        assert!(!world.is_granted(asked, recorded), "{asked} {recorded}");
    }
}

#[test]
fn replaced_granted_file_is_detected_and_renewed() {
    let world = World::new(&[]);
    let token = world.root.join("srv/token");
    let grant = ["files:ROOT/srv/token:r"];
    let granted = world.open(&grant).unwrap();
    assert!(!granted.is_outdated() && granted.make_missing().is_empty());
    fs::write(&token, "1").unwrap();
    assert!(granted.is_outdated());
    let granted = granted.renew().unwrap();
    fs::write(&token, "2").unwrap();
    assert!(!granted.is_outdated(), "written in place");
    // A save, or a restored home: the inode number can even be the same again.
    for _ in 0..20 {
        let before = granted.renew().unwrap();
        fs::remove_file(&token).unwrap();
        fs::write(&token, "3").unwrap();
        assert!(before.is_outdated());
    }
    // A volume of Kubernetes: the name stays, and `..data` leads to another directory.
    fs::remove_file(&token).unwrap();
    world.make(&["srv/..1", "srv/..2"]);
    for generation in ["..1", "..2"] {
        fs::write(world.root.join("srv").join(generation).join("token"), generation).unwrap();
    }
    symlink("..1", world.root.join("srv/..data")).unwrap();
    symlink("..data/token", &token).unwrap();
    assert_eq!(world.opened(&grant), "srv/..1/token");
    let granted = world.open(&grant).unwrap();
    symlink("..2", world.root.join("srv/next")).unwrap();
    fs::rename(world.root.join("srv/next"), world.root.join("srv/..data")).unwrap();
    assert!(granted.is_outdated());
    assert_eq!(world.opened(&grant), "srv/..2/token");
}

#[test]
fn missing_writable_path_is_created_and_removed_if_empty() {
    let world = World::new(&[]);
    let texts = [
        "files:ROOT/srv/a/b/:rw",
        "files:ROOT/srv/a/b/c/:rw",
        "files:ROOT/srv/d/e:rw",
        "files:ROOT/srv/f/:r",
    ];
    let granted = world.open(&texts).unwrap();
    let mut made = granted.make_missing();
    let srv = world.root.join("srv");
    assert!(srv.join("a/b").is_dir() && !srv.join("a/b/c").exists() && !srv.join("f").exists());
    assert_eq!(fs::read(srv.join("d/e")).unwrap(), b"");
    assert!(granted.is_outdated());
    fs::write(srv.join("d/e"), "kept").unwrap();
    made.undo();
    assert!(!srv.join("a").exists(), "nothing came of it");
    assert_eq!(fs::read(srv.join("d/e")).unwrap(), b"kept");
    // A link that is put in the way later is not followed.
    let granted = world.open(&["files:ROOT/srv/later/x:rw"]).unwrap();
    world.make(&["srv/elsewhere"]);
    symlink("elsewhere", srv.join("later")).unwrap();
    assert!(granted.make_missing().is_empty());
    assert_eq!(fs::read_dir(srv.join("elsewhere")).unwrap().count(), 0);
}

#[test]
fn link_swapped_during_lookup_is_never_followed() {
    let world = World::new(&["srv/other"]);
    world.make(&["srv/other/real", "srv/secret"]);
    let name = world.root.join("srv/other/name");
    fs::create_dir(&name).unwrap();
    let (dir, link) = (world.root.join("srv/directory"), world.root.join("srv/link"));
    symlink(world.root.join("srv/secret"), &link).unwrap();
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !ended.load(Ordering::Relaxed) {
                fs::rename(&name, &dir).unwrap();
                fs::rename(&link, &name).unwrap();
                fs::rename(&name, &link).unwrap();
                fs::rename(&dir, &name).unwrap();
            }
        });
        for _ in 0..2_000 {
            // Looked up while nothing, a link or a directory is there: never the link's target.
            let found = world.opened(&["files:ROOT/srv/other/name/:rw"]);
            let is_fine = ["nothing", "srv/other/name", "srv/directory", "E07.link"];
            assert!(is_fine.contains(&&*found), "{found}");
        }
        ended.store(true, Ordering::Relaxed);
    });
}

#[test]
fn too_many_granted_paths_are_rejected() {
    let world = World::new(&[]);
    let texts: Vec<_> = (0..=MAX_PATHS).map(|at| format!("files:ROOT/srv/{at}:r")).collect();
    let texts: Vec<_> = texts.iter().map(String::as_str).collect();
    assert_eq!(world.opened(&texts), "E07.too-many-paths");
    assert_ne!(world.opened(&texts[1..]), "E07.too-many-paths");
}

#[test]
fn link_is_rejected_if_registrations_are_unreadable() {
    let world = World::new(&[]);
    symlink("srv", world.root.join("link")).unwrap();
    let broken = Boundaries::new(Vec::new(), Arc::new(|| Err("no such luck".to_owned())));
    let world = World { boundaries: broken, ..world };
    assert_eq!(world.opened(&["files:ROOT/link/:r"]), "E07.registrations");
    assert_eq!(world.opened(&["files:ROOT/srv/:r"]), "srv");
}

#[test]
fn path_lookup_without_links_finds_object_or_missing_names() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().canonicalize().unwrap();
    fs::write(path.join("file"), "").unwrap();
    for (wanted, names) in [("file", 1), ("none", 1), ("none/below", 2)] {
        let target = look_up::<crate::fs::Error>(&path.join(wanted), &mut |_| Ok(())).unwrap();
        assert_eq!((target.object.is_some(), target.names.len()), (wanted == "file", names));
    }
    let below = look_up::<crate::fs::Error>(&path.join("file/x"), &mut |_| Ok(()));
    assert_eq!(below.unwrap_err().code(), "E02.not-a-folder");
    let root = look_up::<crate::fs::Error>(Path::new("/"), &mut |_| Ok(())).unwrap();
    assert!(root.object.unwrap().is_dir());
}

#[test]
fn socket_replaceable_by_plugin_is_not_granted() {
    let world = World::new(&["srv/other"]);
    world.make(&["srv/other", "srv/mine"]);
    let listen = |at: &str| std::os::unix::net::UnixListener::bind(world.root.join(at)).unwrap();
    let _listening =
        ["srv/other/socket", "srv/mine/socket", "home/.cache/keystead/agent"].map(|at| {
            fs::create_dir_all(world.root.join(at).parent().unwrap()).unwrap();
            listen(at)
        });
    symlink("../mine/socket", world.root.join("srv/other/link")).unwrap();
    symlink("socket", world.root.join("srv/mine/link")).unwrap();
    symlink("../other/socket", world.root.join("srv/mine/by-other")).unwrap();
    symlink("../../home/.cache/keystead/agent", world.root.join("srv/mine/agent")).unwrap();
    for (path, expected) in [
        ("srv/mine/socket", "granted"),
        ("srv/mine/link", "granted"),
        ("srv/mine/none", "granted"),
        ("srv/other/socket", "E07.writable-program"),
        ("srv/other/none", "E07.writable-program"),
        ("srv/mine/by-other", "E07.writable-program"),
        ("srv/other/link", "E07.link"),
        ("srv/mine/agent", "E07.socket"),
        ("home/.cache/keystead/agent", "E07.socket"),
        ("home/.config/keystead/none", "E07.socket"),
        ("srv/mine", "E07.socket"),
    ] {
        let opened = world.open(&[&format!("socket:ROOT/{path}")]);
        let told = opened.as_ref().map_or_else(Error::code, |granted| {
            assert!(granted.asks_to_connect());
            "granted"
        });
        assert_eq!(told, expected, "{path}");
    }
    let words = |path: &str| {
        let permissions = world.permissions(&[&format!("socket:ROOT/{path}")]);
        let granted = world.open(&[&format!("socket:ROOT/{path}")]).unwrap();
        granted.words(permissions.iter())[0].clone()
    };
    let leads = format!("which leads to {}", world.root.join("srv/mine/socket").display());
    assert!(words("srv/mine/link").text().ends_with(&leads));
    assert!(matches!(words("srv/mine/socket"), Words::Plain(_)));
}

//! The effect of each permission on a sandboxed plugin, with real files, servers and programs. The
//! hostile plugins test actions that no permission allows.

use std::fs;
use std::io::Write;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use keystead::NewRegistration;
use keystead::Placement;
use keystead::api::{Value, VaultName};
use keystead::trust::PluginId;

use crate::cli::sandbox::Sandbox;
use crate::plugin_files::able;
use crate::scene::Scene;

/// A sandboxed vault of the plugin `able`, which performs the requested action.
pub(super) struct Able {
    pub(super) scene: Scene,
    pub(super) vault: VaultName,
    dir: PathBuf,
}

impl Able {
    /// Returns a vault whose plugin requests these permissions and its directory, all granted.
    pub(super) fn with(permissions: &[&str]) -> Self {
        let scene = Scene::new();
        let dir = scene.path().join("own");
        let file = able(scene.path(), permissions);
        let id = scene.install(&file);
        let vault = VaultName::parse("sandboxed").unwrap();
        let mut new = NewRegistration::new(vault.clone(), &id, PathBuf::from("/"));
        new.placement = Some(Placement::Isolated);
        // The `elsewhere` in this path is not granted, and need not exist for the plugin.
        let written = scene.path().join("elsewhere/../own");
        new.parameters.insert("folder".to_owned(), written.display().to_string());
        let plan = scene.host.plan_registration(new).unwrap();
        assert_eq!(plan.permissions().len(), permissions.len() + 1);
        scene.host.register(plan).unwrap();
        Self { scene, vault, dir }
    }

    /// Returns the result of this action.
    pub(super) fn does(&self, what: &str) -> String {
        match self.scene.get(&self.vault, what).unwrap().secret.value {
            Value::Text(text) => text.expose().to_owned(),
            value => panic!("{value:?}"),
        }
    }

    pub(super) fn on(&self, what: &str, path: &Path) -> String {
        self.does(&format!("{what}:{}", path.display()))
    }
}

/// Returns whether a result is landlock's refusal, or that of a root directory which is read-only
/// or lacks the name. The machine decides which comes first.
fn is_refusal(answer: &str) -> bool {
    matches!(answer, "EACCES" | "ENOENT" | "EROFS")
}

/// Returns a directory and its canonical path.
pub(super) fn elsewhere() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = dir.path().canonicalize().unwrap();
    (dir, path)
}

#[test]
fn granted_dir_is_writable_with_all_below() {
    let able = Able::with(&[]);
    assert_eq!(able.on("list", &able.dir), "ENOENT");
    assert!(!able.dir.exists(), "who only reads makes nothing");
    fs::create_dir(&able.dir).unwrap();
    assert_eq!(able.on("list", &able.dir), "nothing");
    let file = able.dir.join("file");
    for what in ["make", "write", "replace"] {
        assert_eq!(able.on(what, &file), "done", "{what}");
    }
    assert_eq!(able.on("read", &file), "replaced");
    assert_eq!(fs::read_to_string(&file).unwrap(), "replaced");
    let (_dir, other) = elsewhere();
    fs::write(other.join("file"), "outside").unwrap();
    for what in ["read", "write", "list", "make", "replace"] {
        let path = if what == "list" { other.clone() } else { other.join("file") };
        assert_ne!(able.on(what, &path), "done", "{what}");
    }
    assert!(is_refusal(&able.on("read", &other.join("file"))));
    assert_eq!(fs::read_to_string(other.join("file")).unwrap(), "outside");
    able.scene.end();
}

#[test]
fn read_grant_denies_writes() {
    let (_dir, other) = elsewhere();
    fs::create_dir(other.join("below")).unwrap();
    fs::write(other.join("below/file"), "outside").unwrap();
    let able = Able::with(&[&format!("files:{}:r", other.display())]);
    let file = other.join("below/file");
    assert_eq!(able.on("read", &file), "outside");
    assert_eq!(able.on("list", &other), "below");
    for (what, path) in
        [("write", file.clone()), ("make", other.join("new")), ("replace", file.clone())]
    {
        assert!(is_refusal(&able.on(what, &path)), "{what}");
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "outside");
    able.scene.end();
}

#[test]
fn granted_file_is_writable_in_place_siblings_denied() {
    let (_dir, other) = elsewhere();
    fs::write(other.join("beside"), "outside").unwrap();
    let file = other.join("new/file");
    let able = Able::with(&[&format!("files:{}:rw", file.display())]);
    assert_eq!(able.on("read", &file), "ENOENT");
    fs::create_dir(other.join("new")).unwrap();
    fs::write(&file, "").unwrap();
    assert_eq!(able.on("read", &file), "nothing");
    assert_eq!(able.on("write", &file), "done");
    assert_eq!(able.on("read", &file), "written");
    assert!(is_refusal(&able.on("replace", &file)));
    assert!(is_refusal(&able.on("read", &other.join("beside"))));
    able.scene.end();
}

#[test]
fn granted_file_stays_readable_after_replacement() {
    let (_dir, other) = elsewhere();
    let (token, fresh) = (other.join("token"), other.join("fresh"));
    let able = Able::with(&[&format!("files:{}:r", token.display())]);
    assert_eq!(able.on("read", &token), "ENOENT");
    for (round, text) in ["first", "second", "third"].into_iter().enumerate() {
        fs::write(&fresh, text).unwrap();
        fs::rename(&fresh, &token).unwrap();
        assert_eq!(able.on("read", &token), text, "round {round}");
    }
    // As Kubernetes does: the name stays, and the link leads to another directory.
    fs::remove_file(&token).unwrap();
    for generation in ["one", "two"] {
        fs::create_dir(other.join(generation)).unwrap();
        fs::write(other.join(generation).join("token"), generation).unwrap();
        std::os::unix::fs::symlink(generation, other.join("fresh")).unwrap();
        fs::rename(other.join("fresh"), other.join("..data")).unwrap();
        if !token.exists() {
            std::os::unix::fs::symlink("..data/token", &token).unwrap();
        }
        assert_eq!(able.on("read", &token), generation);
    }
    able.scene.end();
}

#[test]
fn only_root_owned_plugin_is_mapped_from_its_file() {
    let able = Able::with(&[]);
    let id = PluginId::parse("able").unwrap();
    let file = able.scene.host.plugins().find(&id).unwrap().path().to_owned();
    // With a root directory mounted elsewhere, the kernel's path of the file has a prefix.
    let mapped = able.does("mapped");
    assert!(mapped.ends_with(file.to_str().unwrap()), "{mapped}");
    assert!(is_refusal(&able.on("write", &file)));
    // A file of root that root's group can write is not writable by root alone.
    fs::set_permissions(&file, fs::Permissions::from_mode(0o664)).unwrap();
    able.scene.host.reload();
    assert_eq!(able.does("mapped"), "/memfd:keystead (deleted)");
    able.scene.end();
}

#[test]
fn network_grant_allows_tcp_and_denies_udp() {
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = tcp.local_addr().unwrap().port();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let asked = udp.local_addr().unwrap().port();
    thread::spawn(move || {
        for connection in tcp.incoming() {
            connection.unwrap().write_all(b"welcome").unwrap();
        }
    });
    let able = Able::with(&["network"]);
    assert_eq!(able.does(&format!("connect:{port}")), "welcome");
    // A process with such a socket could receive data from strangers.
    assert_eq!(able.does(&format!("ask:{asked}")), "EPERM");
    able.scene.end();
    let able = Able::with(&[]);
    assert_ne!(able.does(&format!("connect:{port}")), "welcome");
    assert_eq!(able.does(&format!("ask:{asked}")), "EPERM");
    udp.set_nonblocking(true).unwrap();
    assert!(udp.recv(&mut [0; 16]).is_err(), "it has heard from it");
    able.scene.end();
}

#[test]
fn exec_and_env_grants_allow_program_and_variable() {
    let able = Able::with(&["exec:/bin/echo", "env:PATH"]);
    assert_eq!(able.does("run:/bin/echo"), "granted\n");
    assert_eq!(able.does("run:/bin/cat"), "refused");
    assert_eq!(able.does("variable:PATH"), std::env::var("PATH").unwrap());
    able.scene.end();
    let able = Able::with(&[]);
    assert_eq!(able.does("run:/bin/echo"), "refused");
    assert_eq!(able.does("variable:PATH"), "none");
    assert_eq!(able.does("thread"), "done");
    able.scene.end();
}

#[test]
fn granted_system_library_is_loaded() {
    let able = Able::with(&["library:libz.so.1"]);
    assert_eq!(able.does("library"), "done");
    able.scene.end();
}

/// A D-Bus daemon that belongs to this test.
struct Bus(Child);

impl Bus {
    /// Starts a bus that listens at this path.
    fn at(path: &Path) -> Self {
        let program = std::env::var_os("KEYSTEAD_TEST_DBUS_DAEMON")
            .expect("KEYSTEAD_TEST_DBUS_DAEMON names dbus-daemon");
        let bus = Command::new(program)
            .args(["--session", "--nofork", "--nosyslog", "--nopidfile"])
            .arg(format!("--address=unix:path={}", path.display()))
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let bus = Self(bus);
        while std::os::unix::net::UnixStream::connect(path).is_err() {
            thread::sleep(std::time::Duration::from_millis(5));
        }
        bus
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
#[ignore = "needs dbus"]
fn session_bus_is_reached_only_with_grant_needs_dbus() {
    let (_dir, other) = elsewhere();
    let path = other.join("bus");
    let _bus = Bus::at(&path);
    for (permissions, greeted) in [(&["dbus"][..], true), (&[][..], false)] {
        let sandbox = Sandbox::empty();
        let file = able(sandbox.root(), permissions);
        sandbox.run("plugin install --yes", &[file.to_str().unwrap()]).succeeds();
        sandbox.run("vault register able --plugin able", &[]).succeeds();
        let mut get = sandbox.command("get bus", &[]);
        get.env("DBUS_SESSION_BUS_ADDRESS", format!("unix:path={}", path.display()));
        let answer = sandbox.answer(get, b"");
        let told = String::from_utf8_lossy(answer.succeeds()).into_owned();
        // `OK` and the id of the bus.
        assert_eq!(told.starts_with("OK "), greeted, "{told}");
    }
}

//! `socket:PATH` with real listeners. An isolated plugin connects to the granted socket as any
//! program does, and cannot connect to any other.

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use keystead::api::{Value, VaultName};
use keystead::{NewRegistration, Placement};

use super::sandbox::{Able, elsewhere};
use crate::cli::sandbox::Sandbox;
use crate::plugin_files::{able, able_with};
use crate::scene::{Scene, story};

/// Sandbox policies of the administrator: full, best effort, no namespaces.
const LEVELS: [&str; 3] =
    ["sandbox = \"full\"\nnamespaces = \"required\"", "", "namespaces = \"off\""];

/// Listens, sends this word on each connection, and counts the connections.
fn greets(listener: UnixListener, word: &'static str) -> Arc<AtomicUsize> {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    thread::spawn(move || {
        for connection in listener.incoming() {
            counted.fetch_add(1, Ordering::SeqCst);
            // A client may have closed the connection already.
            let _ = connection.unwrap().write_all(word.as_bytes());
        }
    });
    count
}

fn greets_at(path: &Path, word: &'static str) -> Arc<AtomicUsize> {
    greets(UnixListener::bind(path).unwrap(), word)
}

/// A directory with a granted socket and others.
struct Sockets {
    _dir: tempfile::TempDir,
    at: PathBuf,
    others: Vec<Arc<AtomicUsize>>,
    granted: Arc<AtomicUsize>,
    datagrams: UnixDatagram,
    abstract_name: String,
}

impl Sockets {
    fn new() -> Self {
        let (dir, at) = elsewhere();
        let granted = greets_at(&at.join("granted"), "granted");
        let mut others = vec![greets_at(&at.join("other"), "other")];
        let abstract_name = format!("keystead-test-{}", at.display()).replace('/', "-");
        let abstract_name = abstract_name[abstract_name.len().saturating_sub(80)..].to_owned();
        let address = SocketAddr::from_abstract_name(&abstract_name).unwrap();
        others.push(greets(UnixListener::bind_addr(&address).unwrap(), "abstract"));
        let datagrams = UnixDatagram::bind(at.join("datagrams")).unwrap();
        datagrams.set_nonblocking(true).unwrap();
        Self { _dir: dir, at, others, granted, datagrams, abstract_name }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.at.join(name)
    }

    fn permission(&self) -> String {
        format!("socket:{}", self.path("granted").display())
    }

    /// Checks that no other listener received anything from the plugin.
    fn is_quiet(&self) {
        for other in &self.others {
            assert_eq!(other.load(Ordering::SeqCst), 0);
        }
        assert!(self.datagrams.recv(&mut [0; 16]).is_err(), "it has sent a datagram");
    }
}

fn demand(able: &Able, policy: &str) {
    fs::create_dir_all(able.scene.path().join("etc")).unwrap();
    fs::write(able.scene.path().join("etc/policy.toml"), policy).unwrap();
    able.scene.host.reload();
}

#[test]
fn granted_socket_connects() {
    let sockets = Sockets::new();
    let able = Able::with(&[&sockets.permission()]);
    let granted = sockets.path("granted");
    for level in LEVELS {
        demand(&able, level);
        for what in ["stream", "nonblocking", "nonblocking-later", "exhaust"] {
            assert_eq!(able.on(what, &granted), "granted", "{what} {level}");
        }
        // Programs check whether the socket exists.
        assert_eq!(able.on("seen", &granted), "done", "{level}");
        assert_eq!(able.does("hold"), "none", "{level}");
    }
    assert_eq!(sockets.granted.load(Ordering::SeqCst), 4 * LEVELS.len());
    able.scene.end();
}

#[test]
fn ungranted_sockets_are_unreachable() {
    let sockets = Sockets::new();
    // A readable directory that contains the other sockets.
    let dir = format!("files:{}/:r", sockets.at.display());
    let able = Able::with(&[&sockets.permission(), &dir]);
    let own_root = format!("/proc/self/root{}", sockets.path("other").display());
    let first_root = format!("/proc/1/root{}", sockets.path("other").display());
    symlink(sockets.path("other"), sockets.path("link")).unwrap();
    let (granted, other) = (sockets.path("granted"), sockets.path("other"));
    let pair = |one: &Path, two: &Path| format!("{};;{}", one.display(), two.display());
    for level in LEVELS {
        demand(&able, level);
        for (attempt, expected) in [
            (format!("stream:{}", other.display()), "EACCES"),
            (format!("stream:{}", sockets.path("link").display()), "EACCES"),
            (format!("stream:{own_root}"), "EACCES"),
            (format!("stream:{first_root}"), "EACCES"),
            (format!("stream:{}/./granted", sockets.at.display()), "EACCES"),
            (format!("stream:{}", sockets.path("none").display()), "EACCES"),
            ("stream:other".to_owned(), "EACCES"),
            ("stream:".to_owned(), "EACCES"),
            (format!("by-descriptor:{}", other.display()), "EACCES"),
            (format!("abstract:{}", sockets.abstract_name), "EACCES"),
            ("abstract:".to_owned(), "EACCES"),
            (format!("datagram:{}", sockets.path("datagrams").display()), "EPERM"),
            (format!("datagram:{}", granted.display()), "EPERM"),
            (format!("packets:{}", other.display()), "EPERM"),
            (format!("send:{}", sockets.path("datagrams").display()), "refused"),
            (format!("send:{}", other.display()), "refused"),
            (format!("go-on:{}", pair(&granted, &other)), "EISCONN"),
            (format!("copy:{}", other.display()), "EACCES|EISCONN"),
        ] {
            let answer = able.does(&attempt);
            assert!(expected.split('|').any(|one| one == answer), "{attempt}: {answer} {level}");
        }
        let raced = able.does(&format!("race:{}", pair(&granted, &other)));
        assert_eq!(raced, "granted, refused, 0 others", "{level}");
        sockets.is_quiet();
    }
    able.scene.end();
}

#[test]
fn socket_and_network_grants_open_no_other_socket() {
    let sockets = Sockets::new();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    thread::spawn(move || {
        for connection in server.incoming() {
            let _ = connection.unwrap().write_all(b"welcome");
        }
    });
    let able = Able::with(&[&sockets.permission(), "network"]);
    let (granted, other) = (sockets.path("granted"), sockets.path("other"));
    for level in LEVELS {
        demand(&able, level);
        assert_eq!(able.does(&format!("connect:{port}")), "welcome", "{level}");
        assert_eq!(able.on("stream", &granted), "granted", "{level}");
        assert_eq!(able.on("stream", &other), "EACCES", "{level}");
        assert_eq!(able.does(&format!("abstract:{}", sockets.abstract_name)), "EACCES", "{level}");
        let raced = able.does(&format!("race:{port};;{}", other.display()));
        assert_eq!(raced, "none, refused, 0 others", "{level}");
        sockets.is_quiet();
    }
    able.scene.end();
}

#[test]
fn socket_without_socket_grant_is_denied() {
    let sockets = Sockets::new();
    for permissions in [&[][..], &["network"][..]] {
        let able = Able::with(permissions);
        assert_eq!(able.on("stream", &sockets.path("granted")), "EPERM");
        able.scene.end();
    }
    assert_eq!(sockets.granted.load(Ordering::SeqCst), 0);
}

#[test]
fn in_process_plugin_reaches_any_socket() {
    let sockets = Sockets::new();
    let scene = Scene::new();
    let file = able(scene.path(), &[&sockets.permission()]);
    let vault = scene.vault("free", &file, Placement::InProcess);
    for name in ["granted", "other"] {
        let asked = format!("stream:{}", sockets.path(name).display());
        let told = scene.get(&vault, &asked).unwrap().secret.value;
        assert!(matches!(told, Value::Text(text) if text.expose() == name), "{name}");
    }
    scene.end();
}

#[test]
fn granted_socket_path_is_resolved_anew_on_connect() {
    let sockets = Sockets::new();
    let able = Able::with(&[&sockets.permission()]);
    let granted = sockets.path("granted");
    assert_eq!(able.on("stream", &granted), "granted");
    // As for every grant, the next process follows the user's own link.
    fs::rename(&granted, sockets.path("moved")).unwrap();
    symlink("moved", &granted).unwrap();
    assert_eq!(able.on("stream", &granted), "granted");
    assert_eq!(able.on("stream", &sockets.path("moved")), "granted");
    // First the socket is missing, then it has no listener.
    fs::remove_file(&granted).unwrap();
    assert_eq!(able.on("stream", &granted), "ENOENT");
    drop(UnixListener::bind(&granted).unwrap());
    assert_eq!(able.on("stream", &granted), "ECONNREFUSED");
    fs::remove_file(&granted).unwrap();
    greets_at(&granted, "again");
    assert_eq!(able.on("stream", &granted), "again");
    // The path is a file instead of a socket.
    fs::remove_file(&granted).unwrap();
    fs::write(&granted, "text").unwrap();
    let error = able.scene.get(&able.vault, "hold").unwrap_err();
    assert!(story(&error).contains("is a file and no socket"), "{}", story(&error));
    able.scene.end();
}

/// Returns why a vault with this permission cannot be registered, or `None`.
fn refusal(scene: &Scene, id: &str) -> Option<String> {
    let mut new = NewRegistration::new(VaultName::parse(id).unwrap(), id, PathBuf::from("/"));
    new.placement = Some(Placement::Isolated);
    let dir = scene.path().join("own").display().to_string();
    new.parameters.insert("folder".to_owned(), dir);
    scene.host.plan_registration(new).err().map(|error| story(&error))
}

#[test]
fn non_socket_or_unsafe_path_is_rejected_on_grant() {
    let sockets = Sockets::new();
    let (_shared, shared) = elsewhere();
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o777)).unwrap();
    greets_at(&shared.join("planted"), "planted");
    fs::write(sockets.path("file"), "text").unwrap();
    for (path, why) in [
        (sockets.path("file"), "is a file and no socket"),
        (sockets.at.clone(), "is a directory and no socket"),
        (PathBuf::from("/dev/null"), "and no socket"),
        (PathBuf::from("/run/dbus/system_bus_socket"), "the permission for that is `dbus`"),
        (shared.join("planted"), "can be written by everyone"),
    ] {
        let scene = Scene::new();
        let id = scene.install(&able(scene.path(), &[&format!("socket:{}", path.display())]));
        let told = refusal(&scene, &id).unwrap_or_default();
        assert!(told.contains(why), "{}: {told}", path.display());
    }
}

#[test]
#[ignore = "needs root"]
fn other_user_socket_is_granted_only_in_root_dir_needs_root() {
    const SERVICE: u32 = 64_321;
    let is_root = rustix::process::geteuid().is_root();
    assert!(is_root, "this test gives files to others: run it as root");
    let (_dir, at) = elsewhere();
    fs::create_dir(at.join("shared")).unwrap();
    fs::set_permissions(at.join("shared"), fs::Permissions::from_mode(0o1777)).unwrap();
    for (name, why) in [("own", None), ("shared/planted", Some("belongs to user id 64321"))] {
        let path = at.join(name);
        fs::create_dir(&path).unwrap();
        greets_at(&path.join("socket"), "service");
        for owned in [path.clone(), path.join("socket")] {
            std::os::unix::fs::chown(owned, Some(SERVICE), Some(SERVICE)).unwrap();
        }
        let permission = format!("socket:{}", path.join("socket").display());
        match why {
            None => {
                let able = Able::with(&[&permission]);
                assert_eq!(able.on("stream", &path.join("socket")), "service");
                able.scene.end();
            }
            Some(why) => {
                let scene = Scene::new();
                let id = scene.install(&able(scene.path(), &[&permission]));
                let told = refusal(&scene, &id).unwrap_or_default();
                assert!(told.contains(why), "{told}");
            }
        }
    }
}

#[test]
fn agent_socket_is_never_granted() {
    let sandbox = Sandbox::empty();
    let agent = sandbox.here("run/keystead/agent");
    let file = able(sandbox.root(), &[&format!("socket:{}", agent.display())]);
    sandbox.run("plugin install --yes", &[file.to_str().unwrap()]).succeeds();
    let mut register = sandbox.command("vault register able --plugin able --yes", &[]);
    register.env("XDG_RUNTIME_DIR", sandbox.here("run"));
    let answer = sandbox.answer(register, b"");
    let told = &answer.ends_with(1).stderr;
    let why = format!("{} is Keystead's own: it lies in", agent.display());
    assert!(told.contains(&why) && told.contains("E07.socket"), "{told}");
}

#[test]
fn optional_socket_is_granted_by_name() {
    let sandbox = Sandbox::empty();
    let path = sandbox.here("reader");
    let listener = UnixListener::bind(&path).unwrap();
    greets(listener, "granted");
    let permission = format!("socket:{}", path.display());
    let request =
        format!("{{\"permission\":\"{permission}\",\"optional\":true,\"why\":\"card readers\"}}");
    let file = able_with(sandbox.root(), &[], &request);
    sandbox.run("plugin install --yes", &[file.to_str().unwrap()]).succeeds();
    let shown = sandbox.run("plugin show able", &[]);
    let words = format!(
        "may connect to the socket {}, and have the program that listens there do all that it does \
         for you",
        path.display()
    );
    assert!(String::from_utf8_lossy(shown.succeeds()).contains(&words), "{shown}");
    sandbox.run("vault register able --plugin able --yes", &[]).succeeds();
    let name = format!("stream:{}", path.display());
    assert_eq!(sandbox.run("get", &[&name]).succeeds(), b"EPERM");
    assert_eq!(sandbox.run("get", &[&format!("granted:{permission}")]).succeeds(), b"not granted");
    sandbox.run("vault grant able --yes", &[&permission]).succeeds();
    assert_eq!(sandbox.run("get", &[&name]).succeeds(), b"granted");
    assert_eq!(sandbox.run("get", &[&format!("granted:{permission}")]).succeeds(), b"granted");
    let elsewhere = format!("granted:{permission}2");
    assert_eq!(sandbox.run("get", &[&elsewhere]).succeeds(), b"not granted");
}

#[test]
#[ignore = "needs root"]
fn socket_grant_confines_non_root_user_needs_root() {
    const USER: u32 = 64_321;
    let is_root = rustix::process::geteuid().is_root();
    assert!(is_root, "this test runs Keystead as another user: run it as root");
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    let mode =
        |path: &Path, mode| fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    mode(root.path(), 0o755);
    for name in ["granted", "other"] {
        greets_at(&at(name), if name == "granted" { "granted" } else { "other" });
        mode(&at(name), 0o666);
    }
    greets_at(&at("closed"), "closed");
    mode(&at("closed"), 0o600);
    let grants = ["granted", "closed"].map(|name| format!("socket:{}", at(name).display()));
    let file = able(root.path(), &grants.each_ref().map(String::as_str));
    fs::copy(env!("CARGO_BIN_EXE_keystead"), at("keystead")).unwrap();
    for path in [at("keystead"), file.clone()] {
        mode(&path, 0o755);
    }
    fs::create_dir(at("home")).unwrap();
    std::os::unix::fs::chown(at("home"), Some(USER), Some(USER)).unwrap();
    let keystead = |words: &[&str]| {
        let mut command = Command::new(at("keystead"));
        command.args(words).env_clear().env("HOME", at("home"));
        let ended = command.uid(USER).gid(USER).current_dir("/").output().unwrap();
        let said = [&ended.stdout[..], &ended.stderr[..]].concat();
        (ended.status.success(), String::from_utf8(said).unwrap())
    };
    let (installed, told) = keystead(&["plugin", "install", "--yes", file.to_str().unwrap()]);
    assert!(installed, "{told}");
    let register =
        ["vault", "register", "able", "--plugin", "able", "--placement", "isolated", "--yes"];
    let (registered, told) = keystead(&register);
    assert!(registered, "{told}");
    for (name, expected) in [("granted", "granted"), ("other", "EACCES"), ("closed", "EACCES")] {
        let told = keystead(&["get", &format!("stream:{}", at(name).display())]).1;
        assert_eq!(told.trim_end(), expected, "{name}");
    }
}

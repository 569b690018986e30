//! The surroundings of a hostile plugin: files, sockets and a process outside its grants. All
//! belong to the test, which checks whether they changed.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::net::{TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The content of the files that a plugin must not read.
pub(super) const TOLD: &str = "outside";

/// Files, sockets and a process around a hostile plugin.
pub(super) struct Place {
    root: tempfile::TempDir,
    tcp: TcpListener,
    udp: UdpSocket,
    sockets: Vec<UnixListener>,
    datagram: UnixDatagram,
    name: String,
    victim: Child,
    before: BTreeMap<PathBuf, String>,
}

impl Place {
    pub(super) fn new() -> Self {
        let root = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let name = root.path().display().to_string();
        fs::create_dir(root.path().join("own")).unwrap();
        let listener = |name: &str| UnixListener::bind(root.path().join(name)).unwrap();
        let abstracted = SocketAddr::from_abstract_name(&name).unwrap();
        let sockets = vec![
            listener("socket"),
            listener("bus"),
            listener("agent"),
            UnixListener::bind_addr(&abstracted).unwrap(),
        ];
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let datagram = UnixDatagram::bind(root.path().join("datagram")).unwrap();
        tcp.set_nonblocking(true).unwrap();
        udp.set_nonblocking(true).unwrap();
        datagram.set_nonblocking(true).unwrap();
        sockets.iter().for_each(|socket| socket.set_nonblocking(true).unwrap());
        let before = BTreeMap::new();
        let victim = victim();
        let mut place = Self { root, tcp, udp, sockets, datagram, name, victim, before };
        place.renew();
        place
    }

    /// Renews everything that an attempt may have changed.
    pub(super) fn renew(&mut self) {
        let root = self.root.path();
        for dir in ["outside", "own"] {
            let _ = fs::remove_dir_all(root.join(dir));
        }
        for dir in ["outside", "outside/empty", "outside/vault", "outside/.ssh", "own"] {
            fs::create_dir_all(root.join(dir)).unwrap();
        }
        // A second granted directory in the granted one.
        fs::create_dir(root.join("own/sub")).unwrap();
        for file in ["outside/secret", "outside/vault/secret", "outside/.ssh/id"] {
            fs::write(root.join(file), TOLD).unwrap();
        }
        fs::write(root.join("own/here"), "own").unwrap();
        let secret = root.join("outside/secret");
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o640)).unwrap();
        // On a file system without extended attributes, no attempt can remove one.
        let _ = rustix::fs::setxattr(&secret, "user.keep", b"1", rustix::fs::XattrFlags::CREATE);
        if self.victim.try_wait().unwrap().is_some()
            || self.victim_seen() != self.before_of_victim()
        {
            self.end_victim();
            self.victim = victim();
        }
        self.heard();
        self.before = self.seen();
    }

    /// Returns the granted directory.
    pub(super) fn own(&self) -> PathBuf {
        self.root.path().join("own")
    }

    /// Returns the macros for a plugin that misbehaves before its first call.
    pub(super) fn macros(&self) -> Vec<String> {
        let path = |name: &str| self.root.path().join(name).display().to_string();
        vec![
            format!("OUTSIDE=\"{}\"", path("outside/secret")),
            format!("SOCKET=\"{}\"", path("socket")),
            format!("PORT={}", self.port()),
        ]
    }

    pub(super) fn port(&self) -> u16 {
        self.tcp.local_addr().unwrap().port()
    }

    /// Replaces the words in braces by paths and numbers.
    pub(super) fn filled_in(&self, what: &str) -> String {
        let path = |name: &str| self.root.path().join(name).display().to_string();
        [
            ("{secret}", path("outside/secret")),
            ("{empty}", path("outside/empty")),
            ("{dir}", path("outside")),
            ("{vault}", path("outside/vault/secret")),
            ("{ssh}", path("outside/.ssh/id")),
            ("{own}", path("own/here")),
            ("{granted}", path("own")),
            ("{unix}", path("socket")),
            ("{bus}", path("bus")),
            ("{agent}", path("agent")),
            ("{datagram}", path("datagram")),
            ("{name}", self.name.clone()),
            ("{tcp}", self.port().to_string()),
            ("{udp}", self.udp.local_addr().unwrap().port().to_string()),
            ("{victim}", self.victim.id().to_string()),
            ("{host}", std::process::id().to_string()),
        ]
        .iter()
        .fold(what.to_owned(), |text, (word, value)| text.replace(word, value))
    }

    /// Returns the first change since the last `renew`, or `None`.
    pub(super) fn changed(&mut self) -> Option<String> {
        let heard = self.heard();
        if !heard.is_empty() {
            return Some(format!("heard from: {heard:?}"));
        }
        if let Some(status) = self.victim.try_wait().unwrap() {
            return Some(format!("the process ended: {status}"));
        }
        let (now, before) = (self.seen(), &self.before);
        let keys = now.keys().chain(before.keys());
        let mut differ = keys.filter(|key| now.get(*key) != before.get(*key));
        differ.next().map(|key| {
            format!("{}: {:?} became {:?}", key.display(), before.get(key), now.get(key))
        })
    }

    /// Takes the data that was sent to the sockets, and returns which sockets received any.
    fn heard(&self) -> Vec<String> {
        let mut heard = Vec::new();
        let mut note = |name: String, answer: std::io::Result<()>| match answer {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            answer => heard.push(format!("{name} {answer:?}")),
        };
        note("tcp".into(), self.tcp.accept().map(drop));
        note("udp".into(), self.udp.recv(&mut [0; 9]).map(drop));
        note("datagram".into(), self.datagram.recv(&mut [0; 9]).map(drop));
        for socket in &self.sockets {
            note(format!("{:?}", socket.local_addr()), socket.accept().map(drop));
        }
        heard
    }

    /// Returns all properties of the outside files and the process that an attempt could change.
    fn seen(&self) -> BTreeMap<PathBuf, String> {
        let mut seen = BTreeMap::new();
        look(&self.root.path().join("outside"), &mut seen);
        seen.insert("victim".into(), self.victim_seen());
        seen
    }

    fn victim_seen(&self) -> String {
        let told = |name: &str| {
            let path = format!("/proc/{}/{name}", self.victim.id());
            fs::read_to_string(path).unwrap_or_default()
        };
        let stat = told("stat");
        let fields: Vec<_> = stat.split_whitespace().collect();
        let of_status = told("status");
        let word = |line: &&str| line.starts_with("Cpus_allowed") || line.starts_with("Tracer");
        let status: Vec<_> = of_status.lines().filter(word).collect();
        // Group and session, niceness, policy.
        let numbers = [4, 5, 18, 40].map(|at| fields.get(at).copied().unwrap_or_default());
        format!("{numbers:?} {status:?} {} {}", told("limits"), told("oom_score_adj"))
    }

    fn before_of_victim(&self) -> String {
        self.before.get(Path::new("victim")).cloned().unwrap_or_default()
    }

    fn end_victim(&mut self) {
        let _ = self.victim.kill();
        let _ = self.victim.wait();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.end_victim();
    }
}

/// Starts a process that only sleeps, as a target for attempts.
fn victim() -> Child {
    let mut command = Command::new("sleep");
    command.arg("1000").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap()
}

fn look(path: &Path, seen: &mut BTreeMap<PathBuf, String>) {
    let about = fs::symlink_metadata(path).unwrap();
    let content = if about.is_file() { fs::read_to_string(path).ok() } else { None };
    let mut names = [0; 256];
    let length = rustix::fs::llistxattr(path, &mut names).unwrap_or(0);
    let names = String::from_utf8_lossy(&names[..length]).into_owned();
    seen.insert(
        path.to_path_buf(),
        format!(
            "{:o} {}:{} {}.{} links {} {content:?} {names:?}",
            about.mode(),
            about.uid(),
            about.gid(),
            about.mtime(),
            about.mtime_nsec(),
            about.nlink()
        ),
    );
    if about.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            look(&entry.unwrap().path(), seen);
        }
    }
}

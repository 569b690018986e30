//! An agent in a thread, and its clients: valid clients, other users' clients, and false agents.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt, chown};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use keystead_plugin_api::{SecretBytes, Session, VaultName};
use rustix::net::{RecvFlags, SendFlags};
use rustix::process::{RawUid, Uid};

use super::proto::{MAX_FRAME_BYTES, MemoryLock, PROTOCOL};
use super::server::Server;
use super::session_table::SessionTable;
use super::socket_dir::{self, Listener};
use super::*;
use crate::paths::Layer;
use crate::platform::signals::Signals;
use crate::plugin::pins::Digest;

const LONG: Duration = Duration::from_secs(60);

/// The user that owns nothing.
const NOBODY: RawUid = 65_534;

/// These tests start no program: an attempt to start one is a fault.
const NO_PROGRAM: &str = "/nonexistent/keystead";

fn dir() -> (tempfile::TempDir, PathBuf) {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("agent");
    (root, path)
}

fn vault(name: &str) -> VaultName {
    VaultName::parse(name).unwrap()
}

fn key(vault: &str) -> SessionKey {
    SessionKey {
        layer: Layer::User,
        plugin: Digest::of(b"plugin"),
        kind: "memory".into(),
        registered: Digest::of(vault.to_ascii_lowercase().as_bytes()),
        account: Digest::of(b"account"),
    }
}

fn session(secret: &[u8]) -> Session {
    Session::new(SecretBytes::copy_of(secret), LONG)
}

struct Agent {
    hang_up: UnixStream,
    end: UnixStream,
    thread: Option<JoinHandle<()>>,
}

impl Agent {
    fn start(dir: &Path, linger: Duration) -> Self {
        Self::start_as(dir, linger, None)
    }

    /// Starts an agent in a thread, optionally as another user.
    fn start_as(dir: &Path, linger: Duration, user: Option<RawUid>) -> Self {
        let (hang_up, theirs) = UnixStream::pair().unwrap();
        let (end, end_theirs) = UnixStream::pair().unwrap();
        let signals = Signals { hang_up: theirs.into(), end: end_theirs.into() };
        let dir = dir.to_owned();
        let (ready, served) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            become_user(user);
            let dir = socket_dir::make(&dir).unwrap();
            let lock = socket_dir::lock(&dir).unwrap().unwrap();
            let listener = Listener::bind(dir, lock).unwrap();
            let mut block = vec![0; SessionTable::BLOCK_BYTES + 2 * MAX_FRAME_BYTES];
            let mut server = Server::new(listener, &mut block, MemoryLock::No, linger).unwrap();
            ready.send(()).unwrap();
            server.run(&signals).unwrap();
        });
        served.recv().unwrap();
        Self { hang_up, end, thread: Some(thread) }
    }

    fn join(&mut self) {
        self.thread.take().unwrap().join().unwrap();
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        use std::io::Write;
        let _ = self.end.write_all(&[1]);
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(std::thread::panicking() || ended.is_ok());
        }
    }
}

fn become_user(user: Option<RawUid>) {
    if let Some(uid) = user.map(Uid::from_raw) {
        rustix::thread::set_thread_res_uid(uid, uid, uid).unwrap();
    }
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + LONG;
    while !done() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn held(client: &Client) -> Vec<String> {
    let status = client.status().unwrap().unwrap();
    status.vaults.iter().map(|held| held.vault.to_string()).collect()
}

fn keep(client: &Client, name: &str, whole: Duration) {
    let span = SessionLimits { whole, idle: LONG };
    let program = Path::new(NO_PROGRAM);
    let (key, name) = (key(name), vault(name));
    client.keep(program, &key, &name, &session(b"canary-session"), span).unwrap();
}

#[test]
fn agent_returns_session_for_its_key_until_discarded() {
    let (_root, dir) = dir();
    let client = Client::new(&dir);
    assert!(!client.any());
    assert!(client.status().unwrap().is_none());
    assert!(client.get(&key("a"), &vault("a"), Patience::Short).unwrap().is_none());
    assert!(!client.stop().unwrap());

    let mut agent = Agent::start(&dir, LONG);
    assert!(client.any());
    keep(&client, "a", LONG);
    keep(&client, "b", LONG);
    let kept = client.get(&key("a"), &vault("a"), Patience::Short).unwrap().unwrap();
    assert_eq!(kept.session.secret.expose(), b"canary-session");
    assert!(kept.session.lifetime <= LONG && kept.session.lifetime > LONG / 2);
    let other = SessionKey { plugin: Digest::of(b"other"), ..key("a") };
    assert!(client.get(&other, &vault("a"), Patience::Short).unwrap().is_none());

    client.refused(&key("a"), kept.serial + 100);
    assert_eq!(held(&client), ["a", "b"]);
    client.refused(&key("a"), kept.serial);
    assert_eq!(held(&client), ["b"]);
    keep(&client, "a", LONG);
    assert_eq!(client.forget(Some(&vault("A"))).unwrap(), [vault("a")]);
    assert_eq!(client.forget(None).unwrap(), [vault("b")]);
    assert_eq!(client.forget(None).unwrap(), []);
    assert!(client.stop().unwrap());
    agent.join();
    assert!(!client.any(), "the socket is still there");
}

#[test]
fn session_is_kept_within_plugin_lifetime_and_size_limit() {
    let (_root, dir) = dir();
    let _agent = Agent::start(&dir, LONG);
    let client = Client::new(&dir);
    let span = SessionLimits { whole: LONG * 60, idle: LONG * 60 };
    let (kept, _) =
        client.keep(Path::new(NO_PROGRAM), &key("a"), &vault("a"), &session(b"s"), span).unwrap();
    assert_eq!(kept, SessionLimits { whole: LONG, idle: LONG });
    assert!(client.status().unwrap().unwrap().vaults[0].left <= LONG);

    let large = session(&[7; MAX_SESSION_BYTES]);
    client.keep(Path::new(NO_PROGRAM), &key("b"), &vault("b"), &large, span).unwrap();
    assert!(
        client.get(&key("b"), &vault("b"), Patience::Short).unwrap().unwrap().session.secret
            == large.secret
    );
    let larger = session(&[7; MAX_SESSION_BYTES + 1]);
    let error =
        client.keep(Path::new(NO_PROGRAM), &key("b"), &vault("b"), &larger, span).unwrap_err();
    assert_eq!(error.code(), "E14.too-large");
}

#[test]
fn idle_agent_expires_session_and_exits() {
    let (_root, dir) = dir();
    let mut agent = Agent::start(&dir, Duration::from_millis(1_500));
    let client = Client::new(&dir);
    keep(&client, "a", Duration::from_millis(300));
    // No client sends requests any more: the agent's own timer must end it.
    agent.join();
    assert!(client.status().unwrap().is_none());
    let names: Vec<_> =
        fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["agent.lock"]);
}

#[test]
fn agent_timers_use_boottime_clock() {
    let (_root, dir) = dir();
    let _agent = Agent::start(&dir, LONG);
    assert!(Client::new(&dir).status().unwrap().is_some());
    // Every timer of this process is an agent's. It uses the clock since the machine's start, sleep
    // included (`CLOCK_BOOTTIME`, 7), and absolute times.
    let mut timers = 0;
    for entry in fs::read_dir("/proc/self/fdinfo").unwrap() {
        // Descriptors of other tests come and go.
        let Ok(info) = fs::read_to_string(entry.unwrap().path()) else { continue };
        if let Some(clock) = info.lines().find_map(|line| line.strip_prefix("clockid: ")) {
            assert_eq!(clock, "7", "{info}");
            timers += 1;
        }
    }
    assert!(timers > 0);
    let clock = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let before = Duration::try_from(clock).unwrap();
    let now = super::server::now();
    assert!(now >= before && now - before < LONG, "{now:?}, {before:?}");
}

#[test]
fn hangup_signal_discards_sessions_and_keeps_agent() {
    use std::io::Write;
    let (_root, dir) = dir();
    let mut agent = Agent::start(&dir, LONG);
    let client = Client::new(&dir);
    for round in 0..3 {
        keep(&client, "a", LONG);
        agent.hang_up.write_all(&[1]).unwrap();
        until(&format!("it keeps it, round {round}"), || held(&client).is_empty());
    }
}

#[test]
fn second_agent_is_rejected_and_stale_socket_is_replaced() {
    let (_root, dir) = dir();
    let first = Agent::start(&dir, LONG);
    let place = socket_dir::make(&dir).unwrap();
    assert!(socket_dir::lock(&place).unwrap().is_none(), "a second one could begin");
    drop(first);

    // A socket without a listener, as after a kill -9.
    let socket = socket_dir::socket(&dir);
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let client = Client::new(&dir);
    assert!(client.any());
    assert!(client.get(&key("a"), &vault("a"), Patience::Short).unwrap().is_none());
    let _second = Agent::start(&dir, LONG);
    keep(&client, "a", LONG);
    let found = fs::symlink_metadata(&socket).unwrap();
    assert!(found.file_type().is_socket());
    assert_eq!(found.permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn socket_dir_open_to_other_users_is_rejected() {
    let (_root, dir) = dir();
    fs::create_dir(&dir).unwrap();
    for mode in [0o755, 0o701, 0o770] {
        fs::set_permissions(&dir, fs::Permissions::from_mode(mode)).unwrap();
        let error = Client::new(&dir).prepare().unwrap_err();
        assert!(["E14.open-folder", "E02.group-write"].contains(&error.code()), "{error}");
    }
}

#[test]
fn agent_serves_socket_path_above_address_limit() {
    let (_root, dir) = dir();
    let dir = dir.join("x".repeat(150));
    let _agent = Agent::start(&dir, LONG);
    let client = Client::new(&dir);
    keep(&client, "a", LONG);
    assert!(client.get(&key("a"), &vault("a"), Patience::Short).unwrap().is_some());
}

#[test]
fn agent_answers_despite_silent_or_malformed_clients() {
    let (_root, dir) = dir();
    let _agent = Agent::start(&dir, LONG);
    let client = Client::new(&dir);
    keep(&client, "a", LONG);
    let mut idle = Vec::new();
    for number in 0..200_u8 {
        if let Ok(socket) = socket_dir::connect(&dir) {
            let nonsense = vec![number; usize::from(number) * 100];
            let _ = rustix::net::send(&socket, &nonsense, SendFlags::NOSIGNAL);
            idle.push(socket);
        }
    }
    until("it has no time for us", || matches!(client.status(), Ok(Some(_))));
    assert_eq!(held(&client), ["a"]);
}

/// Answers the first client with this, and no other client.
fn pretender(dir: &Path, answer: Option<Vec<u8>>) -> JoinHandle<Vec<OwnedFd>> {
    let place = socket_dir::make(dir).unwrap();
    let lock = socket_dir::lock(&place).unwrap().unwrap();
    let listener = Listener::bind(place, lock).unwrap();
    let (ready, listening) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        ready.send(()).unwrap();
        let mut sockets = Vec::new();
        while let (Some(answer), true) = (&answer, sockets.is_empty()) {
            if let Some(socket) = listener.accept().unwrap() {
                let mut watched = [rustix::event::PollFd::from_borrowed_fd(
                    socket.as_fd(),
                    rustix::event::PollFlags::IN,
                )];
                rustix::event::poll(&mut watched, None).unwrap();
                let _ = rustix::net::send(&socket, answer, SendFlags::NOSIGNAL);
                sockets.push(socket);
            }
        }
        // Without an answer, the pretender does not accept the client.
        std::thread::sleep(Duration::from_millis(if answer.is_some() { 0 } else { 600 }));
        sockets
    });
    listening.recv().unwrap();
    thread
}

#[test]
fn unresponsive_or_malformed_agent_is_queried_once() {
    let answers = [
        (None, "E14.late"),
        (Some(vec![PROTOCOL]), "E14.protocol"),
        (Some(vec![PROTOCOL, 200]), "E14.protocol"),
        (Some(vec![PROTOCOL, 67]), "E14.protocol"),
        (Some([&[PROTOCOL, 65], &[0xff; 40][..]].concat()), "E14.protocol"),
        (Some(vec![PROTOCOL; MAX_FRAME_BYTES + 1]), "E14.protocol"),
        (Some(vec![PROTOCOL + 1, 65]), "E14.other-version"),
        (Some(vec![PROTOCOL, 255]), "E14.other-version"),
    ];
    for (answer, code) in answers {
        let (_root, dir) = dir();
        let thread = pretender(&dir, answer);
        let client = Client::new(&dir);
        let error = client.get(&key("a"), &vault("a"), Patience::Short).unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(!client.any(), "the next vault would wait as well");
        assert!(client.get(&key("a"), &vault("a"), Patience::Short).unwrap().is_none());
        thread.join().unwrap();
    }
}

/// Answers one client after another, each with the next of these; hangs up on a client that gets
/// `None`; then ends.
fn dying(dir: &Path, answers: Vec<Option<Vec<u8>>>) -> JoinHandle<()> {
    let place = socket_dir::make(dir).unwrap();
    let lock = socket_dir::lock(&place).unwrap().unwrap();
    let listener = Listener::bind(place, lock).unwrap();
    std::thread::spawn(move || {
        let mut last = None;
        let count = answers.len();
        for (at, answer) in answers.into_iter().enumerate() {
            let socket = loop {
                wait_for(&listener);
                if let Some(socket) = listener.accept().unwrap() {
                    break socket;
                }
            };
            wait_for(&socket);
            match answer {
                Some(answer) => {
                    // Unread data would break the connection before the answer.
                    let mut request = [0_u8; 1024];
                    rustix::net::recv(&socket, &mut request[..], RecvFlags::DONTWAIT).unwrap();
                    rustix::net::send(&socket, &answer, SendFlags::NOSIGNAL).unwrap();
                }
                None if at + 1 == count => last = Some(socket),
                None => {}
            }
        }
        // As when a process ends: the listener closes before the last connection.
        drop(listener);
        drop(last);
    })
}

fn wait_for(what: &impl AsFd) {
    let mut watched = [rustix::event::PollFd::new(what, rustix::event::PollFlags::IN)];
    rustix::event::poll(&mut watched, None).unwrap();
}

fn status() -> Vec<u8> {
    let version = "1".to_owned();
    let status = Status { process: 1, version, locked: MemoryLock::No, vaults: Vec::new() };
    let mut bytes = vec![0; MAX_FRAME_BYTES];
    let mut writer = crate::codec::Writer::new(&mut bytes);
    super::proto::Reply::Is(status).write(&mut writer);
    let len = writer.wanted();
    bytes.truncate(len);
    bytes
}

/// A program in place of the agent: prints `says`, and creates a file named `leaves`.
fn program(root: &Path, says: &str, leaves: &str) -> PathBuf {
    let path = root.join("program");
    let leaves = root.join(leaves);
    fs::write(&path, format!("#!/bin/sh\n: > {}\nprintf {says}", leaves.display())).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    path
}

#[test]
fn session_is_kept_after_agent_exits_between_requests() {
    let end_of_it: [&[Option<Vec<u8>>]; 3] = [
        // Before the status request, after its reply, and after the agent is gone.
        &[None],
        &[Some(status()), None],
        &[Some(status())],
    ];
    for answers in end_of_it {
        let (root, dir) = dir();
        let dies = dying(&dir, answers.to_vec());
        let program = program(root.path(), "another", "started");
        let (theirs, started) = (dir.clone(), root.path().join("started"));
        let next = std::thread::spawn(move || {
            dies.join().unwrap();
            until("none is started", || started.exists());
            Agent::start(&theirs, LONG)
        });
        let client = Client::new(&dir);
        let span = SessionLimits { whole: LONG, idle: LONG };
        client.keep(&program, &key("a"), &vault("a"), &session(b"canary-session"), span).unwrap();
        let _agent = next.join().unwrap();
        let kept = client.get(&key("a"), &vault("a"), Patience::Short).unwrap().unwrap();
        assert_eq!(kept.session.secret.expose(), b"canary-session");
    }
}

#[test]
fn repeated_agent_hang_up_fails_without_endless_wait() {
    let (root, dir) = dir();
    let dies = dying(&dir, vec![Some(status()), None, None]);
    let program = program(root.path(), "another", "started");
    let span = SessionLimits { whole: LONG, idle: LONG };
    let client = Client::new(&dir);
    let error = client.keep(&program, &key("a"), &vault("a"), &session(b"s"), span).unwrap_err();
    assert_eq!(error.code(), "E14.hung-up", "{error}");
    dies.join().unwrap();
    assert!(!root.path().join("started").exists(), "one was there");
}

#[test]
fn agent_exit_during_request_counts_as_no_sessions() {
    for hung_up in [1, 2] {
        let answers = vec![None; hung_up];
        let (_root, dir) = dir();
        let client = Client::new(&dir);
        let with = |ask: &dyn Fn(&Client)| {
            let dies = dying(&dir, answers.clone());
            ask(&client);
            dies.join().unwrap();
        };
        if hung_up == 1 {
            with(&|client| assert_eq!(client.forget(None).unwrap(), []));
            with(&|client| assert!(client.status().unwrap().is_none()));
            with(&|client| {
                assert!(client.get(&key("a"), &vault("a"), Patience::Short).unwrap().is_none())
            });
            with(&|client| assert!(client.stop().unwrap()));
            assert!(!client.has_given_up());
        } else {
            with(&|client| assert_eq!(client.forget(None).unwrap_err().code(), "E14.hung-up"));
        }
    }
}

#[test]
fn prompt_lock_admits_single_client_per_key() {
    let (_root, dir) = dir();
    let (one, other) = (Client::new(&dir), Client::new(&dir));
    let nowhere = Client::new(dir.join("x".repeat(300)));
    assert!(nowhere.asking(&key("a")).is_some(), "where there can be no directory nobody waits");
    let asking = one.asking(&key("Work"));
    assert!(asking.is_some());
    assert!(other.asking(&key("work")).is_none());
    assert!(other.asking(&key("home")).is_some());
    drop(asking);
    assert!(other.asking(&key("work")).is_some());
}

/// Runs a function as another user, if this process is root and can.
fn as_nobody<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> T {
    std::thread::spawn(move || {
        become_user(Some(NOBODY));
        run()
    })
    .join()
    .unwrap()
}

/// Opens the directories to all users, so that only the check of the peer is left.
fn open_wide(root: &Path, dir: &Path) {
    for path in [root, dir] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
    }
    let socket = socket_dir::socket(dir);
    fs::set_permissions(socket, fs::Permissions::from_mode(0o666)).unwrap();
}

#[test]
#[ignore = "needs root"]
fn agent_and_client_reject_other_user_needs_root() {
    let (root, dir) = dir();
    let agent = Agent::start(&dir, LONG);
    keep(&Client::new(&dir), "a", LONG);
    fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let theirs = dir.clone();
    let error = as_nobody(move || socket_dir::connect(&theirs).unwrap_err());
    assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);

    open_wide(root.path(), &dir);
    let theirs = dir.clone();
    let (told, heard) = as_nobody(move || {
        let told = Client::new(&theirs)
            .get(&key("a"), &vault("a"), Patience::Short)
            .unwrap_err()
            .to_string();
        // And a client that does not check the peer's user.
        let socket = socket_dir::connect(&theirs).unwrap();
        let _ = rustix::net::send(&socket, &[PROTOCOL, 6], SendFlags::NOSIGNAL);
        let mut watched = [rustix::event::PollFd::new(&socket, rustix::event::PollFlags::IN)];
        rustix::event::poll(&mut watched, None).unwrap();
        let mut buffer = [0_u8; 64];
        let heard = rustix::net::recv(&socket, &mut buffer[..], RecvFlags::DONTWAIT);
        (told, heard.map_or(0, |(_, size)| size))
    });
    assert!(told.ends_with("is served by user id 0"), "{told}");
    assert_eq!(heard, 0);
    assert_eq!(held(&Client::new(&dir)), ["a"]);
    drop(agent);

    fs::remove_dir_all(&dir).unwrap();
    fs::create_dir(&dir).unwrap();
    fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).unwrap();
    chown(&dir, Some(NOBODY), Some(NOBODY)).unwrap();
    chown(root.path(), Some(NOBODY), Some(NOBODY)).unwrap();
    let _agent = Agent::start_as(&dir, LONG, Some(NOBODY));
    let error = Client::new(&dir).get(&key("a"), &vault("a"), Patience::Short).unwrap_err();
    assert_eq!(error.code(), "E14.stranger");
    let error = Client::new(&dir).prepare().unwrap_err();
    assert_eq!(error.code(), "E02.owner", "root does not put a socket into somebody's directory");
}

//! OpenBao for tests: the real server, on a free port of this machine, until the test process ends.
//! Its own client stands for other programs.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Root token of every server here.
pub(crate) const ROOT: &str = "canary-root-5d1f";

/// A running OpenBao server.
pub(crate) struct Bao {
    /// Address without TLS: host and port.
    pub(crate) at: String,
    /// The shell that ends the server when its standard input ends.
    shell: Child,
}

impl Bao {
    /// Returns this process's development server: unsealed, in memory, KV version 2 at
    /// `secret`.
    pub(crate) fn shared() -> &'static Self {
        static SERVER: OnceLock<Bao> = OnceLock::new();
        SERVER.get_or_init(|| {
            let at = free();
            let listen = format!("-dev-listen-address={at}");
            let root = format!("-dev-root-token-id={ROOT}");
            let words = ["server", "-dev", "-dev-no-store-token", &root, &listen];
            let server = Self::start(at, &words);
            // The store is mounted a moment after the server answers.
            eventually("the mount `secret`", || {
                server.root("POST", "secret/data/ready", &json!({ "data": {} })).0 == 200
            });
            server
        })
    }

    /// Starts a server, and waits until it answers.
    pub(crate) fn start(at: String, words: &[&str]) -> Self {
        // The process that starts a server may be killed: the end of a pipe then ends the server.
        let shell = Command::new("/bin/sh")
            .args(["-c", "\"$@\" & read -r _; kill $!; wait $!", "sh"])
            .arg(program())
            .args(words)
            .env_clear()
            .env("HOME", "/nonexistent")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { at, shell };
        eventually("the server", || server.asked("GET", "sys/seal-status", None, "").is_ok());
        server
    }

    /// Starts a server with this configuration, which listens without TLS at `at`.
    pub(crate) fn configured(at: String, dir: &Path, configuration: &str) -> Self {
        let file = dir.join("server.hcl");
        std::fs::write(&file, configuration).unwrap();
        Self::start(at, &["server", &format!("-config={}", file.display())])
    }

    /// Makes a new server's keys. Returns the unseal key and the root token.
    pub(crate) fn init(&self) -> (String, String) {
        let shares = json!({ "secret_shares": 1, "secret_threshold": 1 });
        let (status, answer) = self.ask("PUT", "sys/init", None, &shares);
        assert_eq!(status, 200, "{answer}");
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (text(&answer["keys"][0]), text(&answer["root_token"]))
    }

    /// Unseals the server, and waits until the server is unsealed.
    pub(crate) fn unseal(&self, key: &str) {
        eventually("the unsealed server", || {
            let (_, answer) = self.ask("PUT", "sys/unseal", None, &json!({ "key": key }));
            answer["sealed"] == json!(false)
        });
    }

    /// Returns the address as written in a registration.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.at)
    }

    /// Sends a request as root, and returns status and reply.
    pub(crate) fn root(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        self.ask(method, path, Some(ROOT), body)
    }

    /// Sends a request as root that must succeed.
    #[track_caller]
    pub(crate) fn must(&self, method: &str, path: &str, body: &Value) -> Value {
        let (status, answer) = self.root(method, path, body);
        assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
        answer
    }

    /// Sends a request with this token.
    pub(crate) fn ask(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: &Value,
    ) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let (status, answer) = self.asked(method, path, token, &body).unwrap();
        (status, serde_json::from_str(&answer).unwrap_or(Value::Null))
    }

    fn asked(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: &str,
    ) -> std::io::Result<(u16, String)> {
        let mut stream = TcpStream::connect(&self.at)?;
        let token = token.map(|token| format!("X-Vault-Token: {token}\r\n")).unwrap_or_default();
        // HTTP 1.0: a reply ends with its connection.
        let head = format!(
            "{method} /v1/{path} HTTP/1.0\r\nHost: {}\r\n{token}Content-Length: {}\r\n\r\n",
            self.at,
            body.len()
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(body.as_bytes())?;
        let mut reply = String::new();
        stream.read_to_string(&mut reply)?;
        let (head, answer) = reply.split_once("\r\n\r\n").unwrap_or((&reply, ""));
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
        Ok((status, answer.to_owned()))
    }

    /// Returns a token that may do everything below this directory of a mount of version 2, and
    /// nothing else.
    pub(crate) fn token_for(&self, mount: &str, dir: &str) -> String {
        let name = format!("{mount}-{dir}").replace('/', "-");
        let rules = ["data", "metadata", "detailed-metadata", "delete", "undelete", "destroy"].map(
            |part| {
                format!(
                    "path \"{mount}/{part}/{dir}/*\" {{ capabilities = [\"create\", \"read\", \
                 \"update\", \"delete\", \"list\"] }}\n"
                )
            },
        );
        let policy = json!({ "policy": rules.concat() });
        self.must("PUT", &format!("sys/policies/acl/{name}"), &policy);
        self.token(&[&name], "1h")
    }

    /// Returns a token with these policies.
    pub(crate) fn token(&self, policies: &[&str], lifetime: &str) -> String {
        let body = json!({ "policies": policies, "ttl": lifetime, "no_parent": true });
        let answer = self.must("POST", "auth/token/create", &body);
        answer["auth"]["client_token"].as_str().unwrap().to_owned()
    }

    /// Runs the server's own client as root; it must succeed.
    #[track_caller]
    pub(crate) fn client(&self, words: &[&str]) -> String {
        let output = Command::new(program())
            .args(words)
            .env_clear()
            .env("HOME", "/nonexistent")
            .env("BAO_ADDR", self.url())
            .env("BAO_TOKEN", ROOT)
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{words:?}: {told}");
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Bao {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}

/// Returns the path of the server program.
pub(crate) fn program() -> PathBuf {
    let named = std::env::var_os("KEYSTEAD_TEST_BAO");
    let named = named.expect("`KEYSTEAD_TEST_BAO` names no `bao`: `cargo xtask test` provides it");
    assert!(Path::new(&named).is_file(), "{} is no file", named.display());
    named.into()
}

/// Returns a host and port that were free a moment ago. This process returns each port only once.
/// The system itself assigns none of these, for example to a client.
pub(crate) fn free() -> String {
    const FIRST: u16 = 20_000;
    const COUNT: u16 = 12_000;
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    // Processes that run at once start at different numbers.
    let begin = std::process::id() as usize * 97;
    loop {
        let at = (begin + NEXT.fetch_add(1, Ordering::Relaxed)) % usize::from(COUNT);
        let port = FIRST + u16::try_from(at).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return format!("127.0.0.1:{port}");
        }
    }
}

/// Returns a name that is unique in this process.
pub(crate) fn unique(start: &str) -> String {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    format!("{start}{}", COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Waits until a condition is true, at most a minute.
#[track_caller]
pub(crate) fn eventually(what: &str, mut is: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(60);
    while !is() {
        assert!(Instant::now() < until, "{what} did not come about within a minute");
        std::thread::sleep(Duration::from_millis(20));
    }
}

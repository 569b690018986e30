//! A server with a minimal KV interface, which counts requests. It delays replies for the secret
//! `held` until the test's number of such requests is in flight.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

/// Longest delay of a reply; after that the test fails by its counts.
const LONG: Duration = Duration::from_secs(60);

/// A server that lives until the test process ends.
#[derive(Clone)]
pub(super) struct Server {
    inner: Arc<Inner>,
    at: String,
}

#[derive(Default)]
struct Inner {
    seen: Mutex<Seen>,
    changed: Condvar,
}

/// Requests that the server received.
#[derive(Default)]
pub(super) struct Seen {
    in_flight: usize,
    /// Largest number of requests for `held` that were in flight at once.
    pub(super) most: usize,
    /// Number of requests for `held` to wait for.
    pub(super) wanted: usize,
    /// Users that logged in.
    pub(super) logins: Vec<String>,
    /// Tokens of requests for secrets.
    pub(super) tokens: Vec<String>,
    /// Tokens that the server no longer accepts.
    pub(super) revoked: Vec<String>,
}

impl Server {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap().to_string();
        let server = Self { inner: Arc::default(), at };
        let own = server.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (server, stream) = (own.clone(), stream.unwrap());
                // When the client closes its end, this connection ends.
                thread::spawn(move || while server.answer(&stream).is_some() {});
            }
        });
        server
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.at)
    }

    pub(super) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.inner.seen.lock().unwrap()
    }

    /// Resets the counts.
    pub(super) fn want(&self, wanted: usize) {
        let mut seen = self.seen();
        (seen.most, seen.wanted) = (0, wanted);
        seen.tokens.clear();
    }

    /// Answers one request; returns `None` if there is none.
    fn answer(&self, mut stream: &TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let path = line.split(' ').nth(1)?.to_owned();
        let (mut token, mut size) = (String::new(), 0);
        loop {
            line.clear();
            reader.read_line(&mut line).ok()?;
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            match name.to_ascii_lowercase().as_str() {
                "x-vault-token" => token = value.to_owned(),
                "content-length" => size = value.parse().unwrap(),
                _ => {}
            }
        }
        reader.read_exact(&mut vec![0; size]).ok()?;
        let (status, body) = self.reply(&path, &token);
        let body = body.to_string();
        write!(
            stream,
            "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .ok()
    }

    fn reply(&self, path: &str, token: &str) -> (u16, Value) {
        let mut seen = self.seen();
        if let Some(login) = path.strip_prefix("/v1/auth/") {
            if let Some(("login" | "userpass", user)) = login
                .rsplit_once('/')
                .map(|(before, last)| (before.split('/').next().unwrap(), last))
            {
                seen.logins.push(user.to_owned());
                let token = format!("token-{}-of-{user}", seen.logins.len());
                let auth = json!({ "client_token": token, "lease_duration": 3_600 });
                return (200, json!({ "auth": auth }));
            }
            if login == "approle/login" {
                seen.logins.push("approle".to_owned());
                let token = format!("token-{}-of-approle", seen.logins.len());
                let auth = json!({ "client_token": token, "lease_duration": 3_600 });
                return (200, json!({ "auth": auth }));
            }
        }
        if seen.revoked.iter().any(|revoked| revoked == token) || token.is_empty() {
            return (403, json!({ "errors": ["permission denied"] }));
        }
        let Some(name) = path.strip_prefix("/v1/secret/data/") else {
            return (200, json!({ "data": { "ttl": 3_600 } }));
        };
        seen.tokens.push(token.to_owned());
        if name == "held" {
            seen.in_flight += 1;
            seen.most = seen.most.max(seen.in_flight);
            self.inner.changed.notify_all();
            let held = |seen: &mut Seen| seen.most < seen.wanted;
            let waited = self.inner.changed.wait_timeout_while(seen, LONG, held);
            waited.unwrap().0.in_flight -= 1;
        }
        let data = json!({ "data": { "value": "canary" }, "metadata": { "version": 1 } });
        (200, json!({ "data": data }))
    }
}

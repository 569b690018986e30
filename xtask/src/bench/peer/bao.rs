//! OpenBao: the real server in development mode, and its own client.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use super::super::home::eventually;
use super::super::own::registration;
use super::super::row::Whose;
use super::{Beside, Peer, Ready, Result, on_search_path, secrets, wanted};

const TOKEN: &str = "root";

pub(super) const PEER: Peer = Peer {
    name: "bao",
    programs: &["bao"],
    version: &["bao", "version"],
    kept: "a development server beside it, without TLS, in memory; its own work is in the time, but not among the \
           instructions",
    most: super::MANY,
    hold: |home, count| {
        // A port that was free a moment ago.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        home.variables.push(("BAO_ADDR", format!("http://{address}").into()));
        home.variables.push(("BAO_TOKEN", TOKEN.into()));
        let listen = format!("-dev-listen-address={address}");
        let server =
            ["bao", "server", "-dev", "-dev-root-token-id=root", "-dev-no-store-token", &listen];
        let server = home.start(&server, None)?;
        let name = wanted(count);
        // The development server mounts its store a moment after it listens.
        let mut connection = eventually(|| {
            let mut connection = Connection::open(&address)?;
            connection.put("SECRET_PROBE", "value")?;
            Ok(connection)
        })?;
        for (name, value) in secrets(count) {
            connection.put(&name, &value)?;
        }
        let mut ready = Ready::new(["bao", "kv", "get", "-field=value", "-mount=secret", &name]);
        ready.started.push(server);
        if on_search_path(home.path(), "curl").is_some() {
            let (token, url) = (format!("X-Vault-Token: {TOKEN}"), url(&address, &name));
            let words = ["curl", "--silent", "--fail", "--header", &token, &url];
            let words = words.map(OsString::from).into();
            ready.beside.push(Beside { name: "curl", whose: Whose::Peer, words, plain: false });
        }
        for (placement, shown) in OURS {
            // The server's own variables stand for what a person would have there.
            let parameters = [format!("address=http://{address}"), "token=env:BAO_TOKEN".into()];
            home.run(&registration(placement, "hashicorp", placement, &parameters))?;
            let words = ["keystead", "get", &name, "--vault", placement].map(OsString::from).into();
            ready.beside.push(Beside { name: shown, whose: Whose::Ours, words, plain: true });
        }
        Ok(ready)
    },
};

/// Our own rows: the placement, which is the vault's name as well, and what the row is called.
const OURS: [(&str, &str); 2] = [
    ("in-process", "keystead get, hashicorp, in-process"),
    ("isolated", "keystead get, hashicorp, isolated"),
];

fn url(address: &str, name: &str) -> String {
    format!("http://{address}/v1/secret/data/{name}")
}

/// Just enough of HTTP to store secrets over one connection.
struct Connection(BufReader<TcpStream>);

impl Connection {
    fn open(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::new(stream)))
    }

    fn put(&mut self, name: &str, value: &str) -> Result<()> {
        let body = format!(r#"{{"data":{{"value":"{value}"}}}}"#);
        let request = format!(
            "POST /v1/secret/data/{name} HTTP/1.1\r\nHost: localhost\r\nX-Vault-Token: {TOKEN}\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.0.get_mut().write_all(request.as_bytes())?;
        let mut status = String::new();
        self.0.read_line(&mut status)?;
        let mut length = 0;
        loop {
            let mut header = String::new();
            if self.0.read_line(&mut header)? <= 2 {
                break;
            }
            if let Some(given) = header.to_ascii_lowercase().strip_prefix("content-length:") {
                length = given.trim().parse()?;
            }
        }
        let mut answer = vec![0; length];
        self.0.read_exact(&mut answer)?;
        if status.starts_with("HTTP/1.1 200") {
            return Ok(());
        }
        Err(format!("{}: {}", status.trim(), String::from_utf8_lossy(&answer)).into())
    }
}

//! OpenBao: the real server in development mode, and its own client.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use super::super::home::{Home, eventually};
use super::super::row::Whose;
use super::{Beside, Peer, Ready, Result, secrets, wanted, write};

const TOKEN: &str = "root";

pub(super) const PEER: Peer = Peer {
    name: "bao",
    programs: &["bao", "curl"],
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
        ready.beside = beside(home, &address, &name)?;
        ready.started.push(server);
        Ok(ready)
    },
};

/// Returns what else reads that secret: ours, in a process of its own and in the host's, and
/// `curl`, which does nothing but ask.
fn beside(home: &Home, address: &str, name: &str) -> Result<Vec<Beside>> {
    let mut beside = Vec::new();
    for (placement, shown) in [
        ("in-process", "keystead get, hashicorp, in-process"),
        ("isolated", "keystead get, hashicorp, isolated"),
    ] {
        let address = format!("address=http://{address}");
        home.run(&[
            "keystead",
            "vault",
            "register",
            placement,
            "--plugin",
            "hashicorp",
            "--placement",
            placement,
            "--param",
            &address,
            "--param",
            "token=env:BAO_TOKEN",
        ])?;
        let words = ["keystead", "get", name, "--vault", placement].map(OsString::from).into();
        let caged = placement == "isolated";
        beside.push(Beside { whose: Whose::Ours, name: shown, words, bare: true, caged });
    }
    write(home, "header", format!("X-Vault-Token: {TOKEN}"))?;
    let url = format!("http://{address}/v1/secret/data/{name}");
    let words = ["curl", "--silent", "--header", "@header", &url].map(OsString::from).into();
    let name = "curl of OpenBao";
    beside.push(Beside { whose: Whose::Peer, name, words, bare: false, caged: false });
    Ok(beside)
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

//! A test server with scripted behaviour, which counts its connections.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use keystead_plugin_api::{Deadline, Error, SecretBytes, SecretText};
use keystead_rest::{Address, Authorities, Client, Method, Reply, Request, Settings};

/// Secret in every request, which no error shows.
pub(crate) const CANARY: &str = "canary-81c4";

/// A listener with a thread for each connection; the threads end with the process.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    connections: Arc<AtomicUsize>,
    pub(crate) heads: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Passes each connection and its number, from 1, to `handle`.
    pub(crate) fn raw(
        handle: impl Fn(TcpStream, usize) -> std::io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let (count, handle) = (Arc::clone(&connections), Arc::new(handle));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let number = count.fetch_add(1, Ordering::SeqCst) + 1;
                let handle = Arc::clone(&handle);
                // A client that disconnects early is not a failure of the server.
                std::thread::spawn(move || drop(handle(stream, number)));
            }
        });
        Self { address, connections, heads: Arc::default() }
    }

    /// Answers each request, by its number, with these bytes, and closes the connection.
    pub(crate) fn answering(answer: impl Fn(usize) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let heads: Arc<Mutex<Vec<String>>> = Arc::default();
        let kept = Arc::clone(&heads);
        let mut server = Self::raw(move |stream, number| {
            let head = request(&stream)?;
            kept.lock().unwrap().push(head);
            (&stream).write_all(&answer(number))?;
            stream.shutdown(std::net::Shutdown::Write)
        });
        server.heads = heads;
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// Reads a request with its body, and returns its head.
pub(crate) fn request(stream: impl Read) -> std::io::Result<String> {
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line == "\r\n" {
            break;
        }
        if let Some(given) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = given.trim().parse().unwrap();
        }
        head.push_str(&line);
    }
    reader.read_exact(&mut vec![0; length])?;
    Ok(head)
}

/// Returns a response that gives its length and closes the connection.
pub(crate) fn response(status: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\n{headers}Connection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// The most bytes of a reply for these clients.
pub(crate) const MOST: usize = 64 * 1024;

pub(crate) fn settings(url: &str) -> Settings {
    Settings {
        address: Address::parse(url).unwrap(),
        authorities: Authorities::System,
        identity: None,
        proxy: None,
        agent: "keystead-test".into(),
        most: MOST,
    }
}

pub(crate) fn client(url: &str) -> Client {
    Client::new(settings(url)).unwrap()
}

/// Sends a request with a secret header, and checks that no error shows it.
pub(crate) fn ask(client: &Client, method: Method, within: Duration) -> Result<Reply, Error> {
    let token = SecretText::new(CANARY);
    let mut asked = Request::new(method, "/v1/thing?list=true", Deadline::after(within))
        .secret_header("x-token", &token);
    if method != Method::Get {
        asked = asked.json(SecretBytes::new(format!("{{\"x\":\"{CANARY}\"}}").into_bytes()));
    }
    let answer = client.send(&asked);
    if let Err(error) = &answer {
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains(CANARY) && !shown.contains("list=true"), "{shown}");
    }
    answer
}

pub(crate) fn get(client: &Client) -> Result<Reply, Error> {
    ask(client, Method::Get, AMPLE)
}

/// Longer than any test takes.
pub(crate) const AMPLE: Duration = Duration::from_secs(60);

/// Short timeout for a server that never answers.
pub(crate) const SOON: Duration = Duration::from_millis(300);

/// Returns an error's kind and text.
#[track_caller]
pub(crate) fn told(answer: Result<Reply, Error>) -> String {
    match answer {
        Ok(reply) => panic!("a reply, {}", reply.status),
        Err(error) => format!("{}: {error}", error.kind()),
    }
}

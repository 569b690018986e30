//! Rules for repeating a request, and proxies.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use keystead_rest::{Client, Method};

use crate::server::{AMPLE, Server, ask, client, get, request, response, settings, told};

#[test]
fn read_request_is_retried_until_success() {
    let server = Server::answering(|number| match number {
        1 => response("503 Unavailable", "", ""),
        2 => Vec::new(),
        3 => response("429 Too Many", "Retry-After: 0\r\n", ""),
        _ => response("200 OK", "", "at last"),
    });
    assert_eq!(get(&client(&server.url())).unwrap().body.expose(), b"at last");
    assert_eq!(server.connections(), 4);
}

#[test]
fn retries_stop_at_limit_and_return_last_reply() {
    let server = Server::answering(|_| response("500 Oops", "", "why"));
    let reply = get(&client(&server.url())).unwrap();
    assert_eq!((reply.status, reply.body.expose()), (500, &b"why"[..]));
    assert_eq!(server.connections(), 4);
}

#[test]
fn write_request_is_retried_only_after_429() {
    for first in [response("503 Unavailable", "", ""), response("500 Oops", "", ""), Vec::new()] {
        let answer = first.clone();
        let server = Server::answering(move |_| answer.clone());
        let _ = ask(&client(&server.url()), Method::Post, AMPLE);
        assert_eq!(server.connections(), 1, "{:?}", String::from_utf8_lossy(&first));
    }
    let server = Server::answering(|number| match number {
        1 => response("429 Too Many", "", ""),
        _ => response("204 No Content", "", ""),
    });
    assert_eq!(ask(&client(&server.url()), Method::Post, AMPLE).unwrap().status, 204);
    assert_eq!(server.connections(), 2);
}

#[test]
fn retry_after_is_obeyed_if_within_deadline() {
    let server = Server::answering(|number| match number {
        1 => response("429 Too Many", "Retry-After: 1\r\n", ""),
        _ => response("200 OK", "", ""),
    });
    let begun = Instant::now();
    assert_eq!(get(&client(&server.url())).unwrap().status, 200);
    assert!(begun.elapsed() >= Duration::from_secs(1));

    // A pause beyond the deadline is returned at once with the reply.
    let server = Server::answering(|_| response("429 Too Many", "Retry-After: 3000\r\n", ""));
    let reply = get(&client(&server.url())).unwrap();
    assert_eq!((reply.status, reply.wait), (429, Some(Duration::from_secs(3000))));
    assert_eq!(server.connections(), 1);
}

/// Returns a proxy that connects to this server for any requested host.
fn proxy(server: &Server) -> Server {
    let to = server.address;
    let heads: std::sync::Arc<std::sync::Mutex<Vec<String>>> = std::sync::Arc::default();
    let kept = std::sync::Arc::clone(&heads);
    let mut proxy = Server::raw(move |mut stream, _| {
        kept.lock().unwrap().push(request(&stream)?);
        stream.write_all(b"HTTP/1.1 200 Connected\r\n\r\n")?;
        let mut other = TcpStream::connect(to)?;
        let (mut from, mut into) = (stream.try_clone()?, other.try_clone()?);
        std::thread::spawn(move || std::io::copy(&mut from, &mut into));
        let mut bytes = Vec::new();
        other.read_to_end(&mut bytes)?;
        stream.write_all(&bytes)?;
        stream.shutdown(std::net::Shutdown::Both)
    });
    proxy.heads = heads;
    proxy
}

#[test]
fn proxy_receives_connect_without_credentials() {
    let server = Server::answering(|_| response("200 OK", "", "behind"));
    let proxy = proxy(&server);
    let mut settings = settings("http://vault.invalid:8200");
    settings.proxy = Some(proxy.url());
    let reply = get(&Client::new(settings).unwrap()).unwrap();
    assert_eq!(reply.body.expose(), b"behind");
    let heads = proxy.heads.lock().unwrap();
    assert!(heads[0].starts_with("CONNECT vault.invalid:8200 HTTP/1.1\r\n"), "{}", heads[0]);
    assert!(!heads[0].contains("canary"));
}

#[test]
fn refusing_or_invalid_proxy_is_reported() {
    let refusing = Server::answering(|_| response("407 Proxy Authentication", "", ""));
    let mut refused = settings("https://vault.invalid");
    refused.proxy = Some(refusing.url());
    assert_eq!(
        told(get(&Client::new(refused).unwrap())),
        "unavailable: the proxy does not connect to https://vault.invalid"
    );
    for wrong in ["", "socks5://p:1", "http://u:canary@p:1", "nonsense://x"] {
        let mut settings = settings("http://vault.invalid");
        settings.proxy = Some(wrong.into());
        let error = Client::new(settings).err().unwrap();
        assert_eq!(error.message(), "the proxy is not like `http://proxy.example:3128`");
    }
}

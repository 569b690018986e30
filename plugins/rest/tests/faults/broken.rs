//! Servers that are missing, do not answer, or send malformed replies.

use std::io::Write;
use std::net::TcpListener;
use std::time::Instant;

use keystead_rest::Method;

use crate::server::{AMPLE, MOST, SOON, Server, ask, client, get, request, response, told};

#[test]
fn working_server_returns_reply() {
    let server = Server::answering(|_| response("200 OK", "", "{\"a\":1}"));
    let reply = get(&client(&server.url())).unwrap();
    assert_eq!((reply.status, reply.body.expose()), (200, &b"{\"a\":1}"[..]));
    assert!(server.heads.lock().unwrap()[0].starts_with("GET /v1/thing?list=true HTTP/1.1\r\n"));
    for method in [Method::Post, Method::Put, Method::Delete] {
        assert!(ask(&client(&server.url()), method, AMPLE).unwrap().is_success());
    }
}

#[test]
fn closed_port_is_unavailable() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let words =
        format!("unavailable: http://{address} refuses the connection: nothing listens there");
    assert_eq!(told(get(&client(&format!("http://{address}")))), words);
}

#[test]
fn unknown_host_is_unavailable() {
    // A reserved name that no resolver knows.
    let words = told(get(&client("http://keystead.invalid")));
    // Without a resolver that answers, the lookup lasts until the connection timeout.
    let unknown = "unavailable: http://keystead.invalid is unknown: its host has no address";
    let silent = "unavailable: http://keystead.invalid takes no connection";
    assert!(words == unknown || words == silent, "{words}");
}

#[test]
fn silent_server_times_out_at_deadline() {
    let server = Server::raw(|stream, _| {
        request(&stream)?;
        std::thread::sleep(AMPLE);
        Ok(())
    });
    let begun = Instant::now();
    let words = format!("timed out: the deadline passed: {} does not answer in time", server.url());
    assert_eq!(told(ask(&client(&server.url()), Method::Get, SOON)), words);
    assert!(begun.elapsed() >= SOON && begun.elapsed() < AMPLE / 2);
    assert_eq!(server.connections(), 1);
}

#[test]
fn slow_byte_stream_times_out() {
    // Each byte arrives in time, but never all of them: in the headers, and in the body.
    for start in ["HTTP/1.1 200 OK\r\nX-Long: ", "HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n"]
    {
        let server = Server::raw(move |mut stream, _| {
            request(&stream)?;
            stream.write_all(start.as_bytes())?;
            loop {
                stream.write_all(b"x")?;
                std::thread::sleep(SOON / 10);
            }
        });
        let begun = Instant::now();
        assert!(told(ask(&client(&server.url()), Method::Get, SOON)).starts_with("timed out: "));
        assert!(begun.elapsed() < AMPLE / 2, "{start}");
    }
}

#[test]
fn connection_closed_mid_reply_is_unavailable() {
    for (cut, what) in [
        (&b""[..], "before a word"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", "in its headers"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", "in its body"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", "in a chunk"),
    ] {
        let server = Server::answering(move |_| cut.to_vec());
        let words = told(get(&client(&server.url())));
        assert!(words.starts_with(&format!("unavailable: {} ", server.url())), "{what}: {words}");
    }
}

#[test]
fn reply_that_is_not_http_is_unavailable() {
    for garbage in [
        &b"220 mail.example ESMTP\r\n"[..],
        b"\x00\x01\x02\x03\xff\xfe\r\n\r\n",
        b"HTTP/1.1 9999 What\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ] {
        let server = Server::answering(move |_| garbage.to_vec());
        let words = told(get(&client(&server.url())));
        let expected = format!("unavailable: {} answers with what is not HTTP", server.url());
        assert_eq!(words, expected, "{garbage:?}");
    }
}

#[test]
fn body_over_limit_is_rejected() {
    let words = |server: &Server| {
        format!("unavailable: {} answers with more than {MOST} bytes", server.url())
    };
    let long = || "x".repeat(MOST + 1);
    // A server that announces the length, one that does not, and one with an absurd length.
    let told_before = Server::answering(move |_| response("200 OK", "", &long()));
    assert_eq!(told(get(&client(&told_before.url()))), words(&told_before));
    let endless = Server::raw(|mut stream, _| {
        request(&stream)?;
        stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
        loop {
            stream.write_all(&[b'x'; 4096])?;
        }
    });
    assert_eq!(told(get(&client(&endless.url()))), words(&endless));
    let lying = Server::answering(|_| {
        b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\nx".to_vec()
    });
    assert_eq!(told(get(&client(&lying.url()))), words(&lying));
    let just = Server::answering(|_| response("200 OK", "", &"x".repeat(MOST)));
    assert_eq!(get(&client(&just.url())).unwrap().body.len(), MOST);
}

#[test]
fn endless_headers_are_rejected() {
    let server = Server::raw(|mut stream, _| {
        request(&stream)?;
        stream.write_all(b"HTTP/1.1 200 OK\r\n")?;
        loop {
            stream.write_all(b"X-Header: and another one of them\r\n")?;
        }
    });
    let words = told(get(&client(&server.url())));
    assert!(words.starts_with(&format!("unavailable: {} ", server.url())), "{words}");
}

#[test]
fn invalid_header_is_rejected_before_connecting() {
    use keystead_plugin_api::{Deadline, SecretText};
    let server = Server::answering(|_| response("200 OK", "", ""));
    let token = SecretText::new("canary\r\nX-Other: 1");
    let asked = keystead_rest::Request::new(Method::Get, "/", Deadline::after(AMPLE))
        .secret_header("x-token", &token);
    let error = client(&server.url()).send(&asked).err().unwrap();
    assert_eq!(error.message(), "what goes into the header `x-token` has control characters");
    let asked = keystead_rest::Request::new(Method::Get, "/", Deadline::after(AMPLE))
        .header("x-namespace", "t\u{e9}am\n");
    let error = client(&server.url()).send(&asked).err().unwrap();
    let words = "what is asked for has characters that no request can have";
    assert_eq!(error.message(), words);
    assert_eq!(server.connections(), 0);
}

//! Servers that redirect.

use keystead_rest::Method;

use crate::server::{AMPLE, CANARY, Server, ask, client, get, response, told};

#[test]
fn redirect_to_other_origin_is_not_followed() {
    let other = Server::answering(|_| response("200 OK", "", "stolen"));
    for (status, path) in [("301 Moved", "/x"), ("307 Temporary", "/x?y=1"), ("308 Permanent", "")]
    {
        let location = format!("Location: {}{path}\r\n", other.url());
        let server = Server::answering(move |_| response(status, &location, ""));
        let words = format!(
            "unavailable: {} sends to {}, which is not followed: what logs in goes to one server \
             only",
            server.url(),
            other.url()
        );
        assert_eq!(told(get(&client(&server.url()))), words);
    }
    assert_eq!(other.connections(), 0);
}

#[test]
fn redirect_within_origin_keeps_method_and_credentials() {
    let server = Server::answering(|number| match number {
        1 => response("307 Temporary", "Location: /v2/thing?a=b\r\n", ""),
        _ => response("200 OK", "", "there"),
    });
    let reply = ask(&client(&server.url()), Method::Post, AMPLE).unwrap();
    assert_eq!(reply.body.expose(), b"there");
    let heads = server.heads.lock().unwrap();
    assert!(heads[1].starts_with("POST /v2/thing?a=b HTTP/1.1\r\n"), "{}", heads[1]);
    assert!(heads[1].contains(CANARY));
}

#[test]
fn circular_or_invalid_redirect_fails() {
    for (location, words) in [
        ("/v1/again", "redirects in a circle"),
        ("", "redirects to what is no address"),
        ("//evil.example/x", "redirects to what is no address"),
        ("javascript:alert(1)", "redirects to what is no address"),
        ("x/../y", "redirects to what is no address"),
    ] {
        let header = format!("Location: {location}\r\n");
        let server = Server::answering(move |_| response("302 Found", &header, ""));
        let expected = format!("unavailable: {} {words}", server.url());
        assert_eq!(told(get(&client(&server.url()))), expected, "{location}");
        assert!(server.connections() <= 4, "{location}");
    }
}

#[test]
fn redirect_of_write_to_read_is_rejected() {
    let server = Server::answering(|_| response("302 Found", "Location: /x\r\n", ""));
    let words = told(ask(&client(&server.url()), Method::Post, AMPLE));
    assert_eq!(words, format!("unavailable: {} redirects a request that writes", server.url()));
    assert_eq!(server.connections(), 1);
}

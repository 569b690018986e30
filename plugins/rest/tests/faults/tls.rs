//! Untrusted server certificates, and client certificates.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::Arc;

use keystead_rest::{Authorities, Client, Identity, Method};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use crate::server::{AMPLE, SOON, Server, ask, get, request, response, settings, told};

/// A certificate authority.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    der: CertificateDer<'static>,
}

impl Authority {
    fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        let (pem, der) = (certificate.pem(), certificate.der().clone());
        Self { issuer: Issuer::new(params, key), pem, der }
    }

    /// Signs a certificate for this name, valid until this year.
    fn sign(&self, name: &str, until: i32) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2000, 1, 1);
        params.not_after = rcgen::date_time_ymd(until, 1, 1);
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }
}

/// Returns a server with a certificate of this authority, which may require a client certificate.
fn server(authority: &Authority, name: &str, until: i32, wants: Option<&Authority>) -> Server {
    let (certificate, key) = authority.sign(name, until);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match wants {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(authority.der.clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = builder.with_single_cert(vec![certificate.der().clone()], key).unwrap();
    let config = Arc::new(config);
    Server::raw(move |stream, _| {
        let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
        let mut stream = StreamOwned::new(connection, stream);
        request(&mut stream)?;
        stream.write_all(&response("200 OK", "", "over TLS"))?;
        stream.conn.send_close_notify();
        stream.flush()
    })
}

struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

/// Returns the reply or the error for a client that trusts this file.
fn asked(server: &Server, authorities: Authorities, identity: Option<Identity>) -> String {
    let url = format!("https://localhost:{}", server.address.port());
    let mut settings = settings(&url);
    (settings.authorities, settings.identity) = (authorities, identity);
    let answer = Client::new(settings).and_then(|client| get(&client));
    match answer {
        Ok(reply) => String::from_utf8(reply.body.expose().to_vec()).unwrap(),
        answer => told(answer).replace(&url, "URL"),
    }
}

#[test]
fn untrusted_server_certificate_is_rejected_with_reason() {
    let files = Files::new();
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    let path = files.write("ca.pem", &ours.pem);
    let believed = || Authorities::File(path.clone());
    let ask = |server: &Server| asked(server, believed(), None);
    assert_eq!(ask(&server(&ours, "localhost", 2200, None)), "over TLS");
    // An authority with another name, and one that only has the same name.
    for other in [&other, &Authority::new("ours")] {
        assert_eq!(
            ask(&server(other, "localhost", 2200, None)),
            format!(
                "unavailable: the certificate of URL is signed by no authority that is in {}",
                path.display()
            )
        );
    }
    assert_eq!(
        asked(&server(&ours, "localhost", 2200, None), Authorities::System, None),
        "unavailable: the certificate of URL is signed by no authority that this machine believes"
    );
    assert_eq!(
        ask(&server(&ours, "localhost", 2001, None)),
        "unavailable: the certificate of URL has expired"
    );
    assert_eq!(
        ask(&server(&ours, "vault.example", 2200, None)),
        "unavailable: the certificate of URL is for another name"
    );
    let plain = Server::raw(|mut stream, _| {
        stream.read_exact(&mut [0; 8])?;
        stream.write_all(&response("400 Bad Request", "", "not TLS"))?;
        std::io::copy(&mut stream, &mut std::io::sink()).map(drop)
    });
    assert_eq!(ask(&plain), "unavailable: URL does not speak TLS");
}

#[test]
fn endless_tls_handshake_times_out_at_deadline() {
    let files = Files::new();
    let path = files.write("ca.pem", &Authority::new("ours").pem);
    // A silent server, and one that sends each byte in time but never all of them.
    for drips in [false, true] {
        let server = Server::raw(move |mut stream, _| {
            if !drips {
                std::thread::sleep(AMPLE);
            }
            stream.write_all(&[22, 3, 3, 0x3f, 0xff])?;
            loop {
                stream.write_all(&[0])?;
                std::thread::sleep(SOON / 10);
            }
        });
        let mut settings = settings(&format!("https://localhost:{}", server.address.port()));
        settings.authorities = Authorities::File(path.clone());
        let begun = std::time::Instant::now();
        let answer = ask(&Client::new(settings).unwrap(), Method::Get, SOON);
        assert!(told(answer).starts_with("timed out: "), "{drips}");
        assert!(begun.elapsed() < AMPLE / 2, "{drips}");
    }
}

#[test]
fn client_certificate_is_presented_to_server() {
    let files = Files::new();
    let (ours, clients) = (Authority::new("ours"), Authority::new("clients"));
    let believed = || Authorities::File(files.write("ca.pem", &ours.pem));
    let server = server(&ours, "localhost", 2200, Some(&clients));
    let (certificate, key) = clients.sign("ann", 2200);
    let (_, other_key) = clients.sign("bob", 2200);
    let identity = |key: &KeyPair| {
        Some(Identity {
            certificate: files.write("client.pem", &certificate.pem()),
            key: files.write("client.key", &key.serialize_pem()),
        })
    };
    assert_eq!(asked(&server, believed(), identity(&key)), "over TLS");
    assert_eq!(
        asked(&server, believed(), None),
        "unavailable: URL does not take the client's certificate, or wants one"
    );
    let words = asked(&server, believed(), identity(&other_key));
    assert!(words.starts_with("invalid: the private key in "), "{words}");
    assert!(words.contains("does not go with the certificate in "), "{words}");
}

#[test]
fn invalid_ca_file_is_rejected_by_path() {
    let files = Files::new();
    let server = Server::answering(|_| response("200 OK", "", ""));
    let ask = |path: PathBuf| asked(&server, Authorities::File(path), None);
    let garbage = files.write("garbage.pem", "canary, but no certificate");
    assert_eq!(
        ask(garbage.clone()),
        format!("invalid: {} holds no certificate in PEM", garbage.display())
    );
    let hollow =
        files.write("hollow.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    assert_eq!(
        ask(hollow.clone()),
        format!("invalid: no certificate in {} can be used", hollow.display())
    );
    let missing = files.0.path().join("missing.pem");
    assert!(ask(missing).starts_with("unavailable: cannot read "));
    assert_eq!(server.connections(), 0);
}

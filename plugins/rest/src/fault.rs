//! Faults between client and server, as errors of the plugin API. They contain no part of a request
//! or a reply.

use std::io;

use keystead_plugin_api::{Deadline, Error, ErrorDetail, ErrorKind};
use rustls::{AlertDescription, CertificateError};

use crate::tls::Authorities;
use crate::{Address, Client};

/// Reason why a request has no reply.
pub(crate) struct Fault {
    pub(crate) error: Error,
    /// Whether the server may have received the request.
    pub(crate) sent: bool,
    /// Whether the fault may be temporary.
    pub(crate) passes: bool,
}

impl Fault {
    /// Returns a permanent fault.
    pub(crate) fn stays(error: Error) -> Self {
        Self { error, sent: true, passes: false }
    }

    /// Returns the fault for an error of the HTTP library.
    pub(crate) fn of(error: ureq::Error, client: &Client, deadline: Deadline) -> Self {
        let server = client.address();
        let unavailable = |words: &str| Error::unavailable(format!("{server} {words}"));
        let gone = |error, sent| Self { error, sent, passes: true };
        match error {
            ureq::Error::Timeout(which) => late(server, which, deadline),
            ureq::Error::Io(error) if is_lookup(&error) => unknown(&unavailable),
            ureq::Error::HostNotFound => unknown(&unavailable),
            ureq::Error::ConnectionFailed => gone(unavailable("cannot be connected to"), false),
            ureq::Error::ConnectProxyFailed(_) => {
                Self::stays(Error::unavailable(format!("the proxy does not connect to {server}")))
            }
            ureq::Error::Rustls(error) => Self::stays(tls(&error, client)),
            ureq::Error::Tls(_) => Self::stays(unavailable("has a name that no certificate has")),
            ureq::Error::Io(error) => of_io(&error, client),
            ureq::Error::BodyExceedsLimit(most) => Self::stays(Error::unavailable(format!(
                "{server} answers with more than {most} bytes"
            ))),
            ureq::Error::LargeResponseHeader(_, most) => Self::stays(Error::unavailable(format!(
                "{server} answers with more than {most} bytes of headers"
            ))),
            ureq::Error::Protocol(_) | ureq::Error::Http(_) => {
                Self::stays(unavailable("answers with what is not HTTP"))
            }
            _ => Self::stays(unavailable("cannot be asked")),
        }
    }
}

/// Returns whether the lookup of a host name failed: the standard library has no kind for it.
fn is_lookup(error: &io::Error) -> bool {
    error.to_string().starts_with("failed to lookup address")
}

fn unknown(unavailable: &dyn Fn(&str) -> Error) -> Fault {
    let error = unavailable("is unknown: its host has no address");
    Fault { error, sent: false, passes: false }
}

/// Returns the fault for a timeout: the call's deadline, or the limit for connecting.
fn late(server: &Address, which: ureq::Timeout, deadline: Deadline) -> Fault {
    use ureq::Timeout::{Connect, Resolve};
    let connecting = matches!(which, Connect | Resolve);
    if connecting && !deadline.has_passed() {
        let message = format!("{server} takes no connection");
        return Fault { error: Error::unavailable(message), sent: false, passes: true };
    }
    let what = if connecting { "takes no connection" } else { "does not answer" };
    let message = format!("the deadline passed: {server} {what} in time");
    Fault { error: Error::new(ErrorKind::TimedOut, message), sent: !connecting, passes: false }
}

fn of_io(error: &io::Error, client: &Client) -> Fault {
    let server = client.address();
    if let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return Fault::stays(tls(error, client));
    }
    let refused = error.kind() == io::ErrorKind::ConnectionRefused;
    let unreachable =
        matches!(error.kind(), io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable);
    let words = match error.kind() {
        io::ErrorKind::ConnectionRefused => "refuses the connection: nothing listens there",
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => "cannot be reached",
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::UnexpectedEof => "ended the connection before it had answered",
        _ => "cannot be talked to",
    };
    Fault {
        error: Error::unavailable(format!("{server} {words}")),
        sent: !refused && !unreachable,
        passes: true,
    }
}

/// Returns the error for a failed TLS handshake.
fn tls(error: &rustls::Error, client: &Client) -> Error {
    let server = client.address();
    let whose = match client.authorities() {
        Authorities::System => "this machine believes".to_owned(),
        Authorities::File(path) => format!("is in {}", path.display()),
    };
    let certificate = matches!(error, rustls::Error::InvalidCertificate(_));
    let message = match error {
        rustls::Error::InvalidCertificate(fault) => match fault {
            // An authority with the same name but another key is a different authority.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                format!("the certificate of {server} is signed by no authority that {whose}")
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                format!("the certificate of {server} has expired")
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                format!("the certificate of {server} is not valid yet")
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                format!("the certificate of {server} is for another name")
            }
            CertificateError::Revoked => format!("the certificate of {server} was revoked"),
            _ => format!("the certificate of {server} is not valid"),
        },
        rustls::Error::InvalidMessage(_) => format!("{server} does not speak TLS"),
        rustls::Error::AlertReceived(
            AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnknownCA
            | AlertDescription::CertificateUnknown
            | AlertDescription::AccessDenied
            | AlertDescription::HandshakeFailure,
        ) => format!("{server} does not take the client's certificate, or wants one"),
        _ => format!("no TLS with {server} came about"),
    };
    match certificate {
        true => Error::detailed(ErrorDetail::Certificate, message),
        false => Error::unavailable(message),
    }
}

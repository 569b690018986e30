//! The client of one server: sends requests, repeats them if that is safe, and reads replies up to
//! a limit.

use std::io::Read;
use std::time::{Duration, SystemTime};

use keystead_plugin_api::{Error, ErrorKind, Result, SecretBytes};
use ureq::http::{self, HeaderValue, StatusCode, header};
use ureq::{Agent, AsSendBody, Proxy};
use zeroize::Zeroize;

use crate::fault::Fault;
use crate::tls::{self, Authorities, Identity};
use crate::{Address, Method, Reply, Request, pause};

/// Time limit for a connection, if the deadline is further away.
const CONNECTING: Duration = Duration::from_secs(10);

/// The most redirects of one request: a server has no reason for more.
const REDIRECTS: u32 = 3;

/// The most bytes of headers.
const HEADERS: usize = 32 * 1024;

/// Settings of a client.
pub struct Settings {
    /// Address of the server.
    pub address: Address,
    /// Authorities that may sign the server's certificate.
    pub authorities: Authorities,
    /// Client certificate for TLS; `None` if the server requires none.
    pub identity: Option<Identity>,
    /// Proxy, such as `http://proxy.example:3128`. The client ignores proxy environment variables.
    pub proxy: Option<String>,
    /// Value of `User-Agent`.
    pub agent: String,
    /// The most bytes of a reply.
    pub most: usize,
}

/// A client of one server, which keeps connections open between requests.
pub struct Client {
    address: Address,
    authorities: Authorities,
    agent: Agent,
    most: usize,
}

impl Client {
    /// Returns a client without connecting.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for invalid files or an invalid proxy, and [`ErrorKind::Unavailable`]
    /// for unreadable files.
    pub fn new(settings: Settings) -> Result<Self> {
        let Settings { address, authorities, identity, proxy, agent, most } = settings;
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_response_header_size(HEADERS)
            .proxy(proxy.as_deref().map(read_proxy).transpose()?)
            .user_agent(agent);
        if address.is_tls() {
            config = config.tls_config(tls::config(&authorities, identity.as_ref())?);
        }
        let agent = Agent::new_with_config(config.build());
        Ok(Self { address, authorities, agent, most })
    }

    /// Returns the server's address.
    pub fn address(&self) -> &Address {
        &self.address
    }

    pub(crate) fn authorities(&self) -> &Authorities {
        &self.authorities
    }

    /// Sends a request, and repeats it if that is safe, until there is a final reply or the
    /// deadline is too near.
    ///
    /// # Errors
    /// [`ErrorKind::TimedOut`] if the deadline passed; [`ErrorKind::Unavailable`] if the server is
    /// unreachable or untrusted, or its reply is malformed. A reply with an error status is a
    /// reply.
    pub fn send(&self, request: &Request<'_>) -> Result<Reply> {
        let mut sent = 0;
        loop {
            if request.deadline.has_passed() {
                return Err(Error::new(
                    ErrorKind::TimedOut,
                    format!("the deadline passed before {} was asked", self.address),
                ));
            }
            let outcome = self.redirected(request);
            sent += 1;
            let pause = match &outcome {
                Ok(reply) => pause::after_reply(reply, request.repeat, sent),
                Err(fault) => pause::after_fault(fault, request.repeat, sent),
            };
            match pause {
                Some(pause) if pause < request.deadline.remaining() => std::thread::sleep(pause),
                _ => return outcome.map_err(|fault| fault.error),
            }
        }
    }

    /// Sends a request once, and follows redirects within the server's origin.
    fn redirected(&self, request: &Request<'_>) -> Result<Reply, Fault> {
        let mut target = format!("{}{}{}", self.address, self.address.path(), request.path);
        for _ in 0..=REDIRECTS {
            let response = self.once(request, &target)?;
            match self.next(request, &response)? {
                Some(next) => target = next,
                None => return self.read(request, response),
            }
        }
        let message = format!("{} redirects in a circle", self.address);
        Err(Fault::stays(Error::unavailable(message)))
    }

    fn once(
        &self,
        request: &Request<'_>,
        target: &str,
    ) -> Result<http::Response<ureq::Body>, Fault> {
        let method = match request.method {
            Method::Get => http::Method::GET,
            Method::Post => http::Method::POST,
            Method::Put => http::Method::PUT,
            Method::Delete => http::Method::DELETE,
        };
        let mut asked = http::Request::builder().method(method).uri(target);
        for (name, value) in &request.plain {
            asked = asked.header(*name, value);
        }
        for (name, value) in &request.headers {
            let mut value = HeaderValue::from_str(value.expose()).map_err(|_| {
                let message = format!("what goes into the header `{name}` has control characters");
                Fault::stays(Error::invalid(message))
            })?;
            value.set_sensitive(true);
            asked = asked.header(*name, value);
        }
        let remaining = request.deadline.remaining();
        let fault = |error| Fault::of(error, self, request.deadline);
        let asked_for = |_| {
            let message = "what is asked for has characters that no request can have";
            Fault::stays(Error::invalid(message))
        };
        match &request.body {
            Some(body) => self.run(asked.body(body.expose()).map_err(asked_for)?, remaining),
            None if matches!(request.method, Method::Post | Method::Put) => {
                self.run(asked.body(&[][..]).map_err(asked_for)?, remaining)
            }
            None => self.run(asked.body(()).map_err(asked_for)?, remaining),
        }
        .map_err(fault)
    }

    fn run(
        &self,
        asked: http::Request<impl AsSendBody>,
        remaining: Duration,
    ) -> Result<http::Response<ureq::Body>, ureq::Error> {
        let asked = self
            .agent
            .configure_request(asked)
            .timeout_global(Some(remaining))
            .timeout_connect(Some(CONNECTING.min(remaining)))
            .timeout_resolve(Some(CONNECTING.min(remaining)))
            .build();
        self.agent.run(asked)
    }

    /// Returns the target of a redirect; `None` for any other response.
    fn next(
        &self,
        request: &Request<'_>,
        response: &http::Response<ureq::Body>,
    ) -> Result<Option<String>, Fault> {
        let status = response.status();
        let kept =
            matches!(status, StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT);
        let changed = matches!(
            status,
            StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND | StatusCode::SEE_OTHER
        );
        if !kept && !changed {
            return Ok(None);
        }
        let stays = |words: String| Err(Fault::stays(Error::unavailable(words)));
        // These redirects would turn a write request into a read.
        if changed && request.method != Method::Get {
            return stays(format!("{} redirects a request that writes", self.address));
        }
        let location = response.headers().get(header::LOCATION);
        let location = location.and_then(|value| value.to_str().ok()).unwrap_or_default();
        if location.starts_with('/') && !location.starts_with("//") {
            return Ok(Some(format!("{}{location}", self.address)));
        }
        let origin = location.split(['?', '#']).next().and_then(Address::read);
        match origin {
            Some(other) if other.is_origin_of(&self.address) => Ok(Some(location.to_owned())),
            Some(other) => stays(format!(
                "{} sends to {other}, which is not followed: what logs in goes to one server only",
                self.address
            )),
            None => stays(format!("{} redirects to what is no address", self.address)),
        }
    }

    /// Reads a response up to the limit.
    fn read(
        &self,
        request: &Request<'_>,
        mut response: http::Response<ureq::Body>,
    ) -> Result<Reply, Fault> {
        let status = response.status().as_u16();
        let wait = response.headers().get(header::RETRY_AFTER);
        let wait = wait.and_then(|value| value.to_str().ok());
        let wait = wait.and_then(|value| pause::wait(value, SystemTime::now()));
        let too_much = || {
            let message = format!("{} answers with more than {} bytes", self.address, self.most);
            Fault::stays(Error::unavailable(message))
        };
        let told = response.body().content_length();
        if told.is_some_and(|told| told > self.most as u64) {
            return Err(too_much());
        }
        // The server's content length is only a hint for the first buffer.
        let first = told.map_or(4096, |told| (told as usize).min(64 * 1024)) + 1;
        let mut bytes = vec![0; first];
        let mut reader = response.body_mut().as_reader();
        let mut length = 0;
        loop {
            if length == bytes.len() {
                grow(&mut bytes);
            }
            match reader.read(&mut bytes[length..]) {
                Ok(0) => break,
                Ok(read) => length += read,
                Err(error) => {
                    bytes.zeroize();
                    let error = ureq::Error::from(error);
                    return Err(Fault::of(error, self, request.deadline));
                }
            }
            if length > self.most {
                bytes.zeroize();
                return Err(too_much());
            }
        }
        let body = SecretBytes::copy_of(&bytes[..length]);
        bytes.zeroize();
        Ok(Reply { status, body, wait })
    }
}

/// Doubles a buffer and wipes the old memory.
fn grow(bytes: &mut Vec<u8>) {
    let mut larger = vec![0; bytes.len() * 2];
    larger[..bytes.len()].copy_from_slice(bytes);
    bytes.zeroize();
    *bytes = larger;
}

fn read_proxy(text: &str) -> Result<Proxy> {
    // No password is allowed: registrations store the text as it is. No error shows it.
    let is_address = text.starts_with("http://") && Address::read(text).is_some();
    match Proxy::new(text) {
        Ok(proxy) if is_address => Ok(proxy),
        _ => Err(Error::invalid("the proxy is not like `http://proxy.example:3128`")),
    }
}

//! A vault behind an OpenID provider on this machine. A user logs in with a code in a browser (RFC
//! 8628), and a refresh token renews the login. The one secret is the user's id.
#![forbid(unsafe_code)]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use sound::api::manifest::Capability;
use sound::api::*;

export_plugin! {
    plugin: DeviceLogin,
    manifest: sound::manifest("device-login")
        .kinds(&[sound::kind().can(&[Capability::Unlock]).parameters(&[Parameter::required(
            "port",
            ParameterKind::Text,
            "where the provider listens",
        )])])
        .permissions(&["network"]),
}

struct DeviceLogin {
    port: u16,
    context: Context,
    pending: Option<Pending>,
    login: Option<Login>,
}

/// A code that a user has been shown.
struct Pending {
    device_code: String,
    challenge: Challenge,
    interval: Duration,
    expires: Duration,
}

struct Login {
    access: String,
    refresh: String,
    ends: Instant,
}

impl Plugin for DeviceLogin {
    fn open(request: OpenRequest, context: Context) -> Result<Box<dyn Vault>> {
        let port = request.parameters.text("port").and_then(|port| port.parse().ok());
        let port = port.ok_or_else(|| Error::invalid("`port` is no port"))?;
        Ok(Box::new(Self { port, context, pending: None, login: None }))
    }
}

impl DeviceLogin {
    /// Sends a request with a form, and returns status and body.
    fn ask(&self, method: &str, path: &str, body: &str, token: &str) -> Result<(u16, String)> {
        let fault = |error: std::io::Error| Error::unavailable(format!("the provider: {error}"));
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).map_err(fault)?;
        stream.set_read_timeout(Some(Duration::from_secs(10))).map_err(fault)?;
        let token = match token {
            "" => String::new(),
            token => format!("authorization: Bearer {token}\r\n"),
        };
        let request = format!(
            "{method} {path} HTTP/1.0\r\nhost: 127.0.0.1:{}\r\nx-forwarded-proto: https\r\n\
             {token}content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{body}",
            self.port,
            body.len(),
        );
        stream.write_all(request.as_bytes()).map_err(fault)?;
        let mut reply = String::new();
        stream.read_to_string(&mut reply).map_err(fault)?;
        let status = reply.get(9..12).and_then(|status| status.parse().ok()).unwrap_or(0);
        let body = reply.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        Ok((status, body.to_owned()))
    }

    /// Begins a login, and returns the instructions for the user.
    fn begin(&mut self) -> Result<Challenge> {
        if let Some(pending) = &self.pending {
            return Ok(pending.challenge.clone());
        }
        let (_, body) =
            self.ask("POST", "/device/auth", "client_id=cli&scope=openid%20offline_access", "")?;
        let text = |name: &str| {
            let found = text_of(&body, name);
            found.ok_or_else(|| Error::unavailable(format!("the provider sent no {name}")))
        };
        let interval = Duration::from_secs(number_of(&body, "interval").unwrap_or(5));
        let expires = Duration::from_secs(number_of(&body, "expires_in").unwrap_or(600));
        let challenge = Challenge::new("device", Vec::new())
            .message(format!("enter the code {}", text("user_code")?))
            .url(text("verification_uri")?)
            .poll(interval, expires);
        let device_code = text("device_code")?;
        let shown = challenge.clone();
        self.pending = Some(Pending { device_code, challenge, interval, expires });
        Ok(shown)
    }

    /// Asks the provider once whether the login is complete.
    fn poll(&mut self) -> Result<Unlocked> {
        let Some(mut pending) = self.pending.take() else {
            return Err(Error::invalid("this vault did not give that challenge"));
        };
        let body = format!(
            "client_id=cli&grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code\
             &device_code={}",
            pending.device_code
        );
        let (_, body) = self.ask("POST", "/token", &body, "")?;
        match text_of(&body, "error").as_deref() {
            None => {
                self.logged_in(&body)?;
                Ok(Unlocked::default())
            }
            Some(error @ ("authorization_pending" | "slow_down")) => {
                self.context.info(&format!("the provider says {error}"));
                if error == "slow_down" {
                    pending.interval += Duration::from_secs(1);
                }
                let again = pending.challenge.clone().poll(pending.interval, pending.expires);
                pending.challenge = again.clone();
                self.pending = Some(pending);
                Err(Error::locked(again))
            }
            Some("access_denied") => Err(Error::permission_denied("the login was refused")),
            Some("expired_token") => Err(Error::permission_denied("the code has expired")),
            Some(other) => Err(Error::unavailable(format!("the provider said {other}"))),
        }
    }

    fn logged_in(&mut self, body: &str) -> Result<()> {
        let token = |name: &str| {
            text_of(body, name).ok_or_else(|| Error::unavailable(format!("there is no {name}")))
        };
        let life = Duration::from_secs(number_of(body, "expires_in").unwrap_or(1));
        let (access, refresh) = (token("access_token")?, token("refresh_token")?);
        self.login = Some(Login { access, refresh, ends: Instant::now() + life });
        Ok(())
    }

    /// Returns a valid token, renewed if necessary.
    fn token(&mut self) -> Result<String> {
        let Some(login) = &self.login else {
            let challenge = self.begin()?;
            return Err(Error::locked(challenge));
        };
        if Instant::now() < login.ends {
            return Ok(login.access.clone());
        }
        let body =
            format!("client_id=cli&grant_type=refresh_token&refresh_token={}", login.refresh);
        let (status, body) = self.ask("POST", "/token", &body, "")?;
        if status != 200 {
            self.login = None;
            let challenge = self.begin()?;
            return Err(Error::locked(challenge));
        }
        self.context.info("the login was renewed");
        self.logged_in(&body)?;
        self.token()
    }
}

impl Vault for DeviceLogin {
    fn get(&mut self, request: &GetRequest) -> Result<Secret> {
        let token = self.token()?;
        if request.name.as_str() != "who" {
            return Err(Error::not_found());
        }
        let (status, body) = self.ask("GET", "/me", "", &token)?;
        match (status, text_of(&body, "sub")) {
            (200, Some(who)) => Ok(Secret::new(Value::text(who))),
            _ => Err(Error::unavailable(format!("the provider answered with status {status}"))),
        }
    }

    fn list(&mut self, _: &ListRequest) -> Result<Page> {
        self.token()?;
        let name = SecretName::parse("who")?;
        Ok(Page::new(vec![Entry::new(name, Some(ValueKind::Text), Metadata::new())], None))
    }

    fn unlock(&mut self, request: &UnlockRequest) -> Result<Unlocked> {
        match request.challenge.as_str() {
            "device" => self.poll(),
            _ => Err(Error::invalid("this vault did not give that challenge")),
        }
    }

    fn lock(&mut self, _: &LockRequest) -> Result<Locked> {
        self.login = None;
        Ok(Locked::new())
    }
}

/// Returns the text after a name in a JSON object without blanks.
fn after<'b>(body: &'b str, name: &str) -> Option<&'b str> {
    let key = format!("\"{name}\":");
    body.find(&key).map(|at| &body[at + key.len()..])
}

fn text_of(body: &str, name: &str) -> Option<String> {
    let rest = after(body, name)?.strip_prefix('"')?;
    rest.split('"').next().map(str::to_owned)
}

fn number_of(body: &str, name: &str) -> Option<u64> {
    let rest = after(body, name)?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

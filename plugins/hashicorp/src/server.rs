//! Access to the server with a token. The plugin gets a token before the first request, renews it,
//! and gets a new one if that needs no prompt.

use keystead_plugin_api::{
    Context, Deadline, Error, ErrorKind, OpenRequest, Result, SecretBytes, SecretText,
    UnlockRequest, Unlocked,
};
use keystead_rest::{Address, Client, Method, Repeat, Reply, Request};

use crate::answer::{Answer, Wanted, is_denied, no_answer, refused, words_without};
use crate::login::Proof;
use crate::settings::Settings;
use crate::ticket::{Known, Origin, Ticket};

/// A server and the login to it.
pub(crate) struct Server {
    settings: Settings,
    client: Option<Client>,
    ticket: Option<Ticket>,
    context: Context,
}

/// One request to the server.
pub(crate) struct Ask<'a> {
    pub(crate) method: Method,
    /// The path after `/v1/`, as in policies; not encoded.
    pub(crate) path: &'a str,
    /// The query after the `?`; encoded.
    pub(crate) query: &'a str,
    pub(crate) body: Option<&'a SecretBytes>,
    pub(crate) repeat: Repeat,
}

impl<'a> Ask<'a> {
    pub(crate) fn get(path: &'a str) -> Self {
        Self { method: Method::Get, path, query: "", body: None, repeat: Repeat::Harmless }
    }

    pub(crate) fn list(path: &'a str) -> Self {
        Self { query: "list=true", ..Self::get(path) }
    }

    pub(crate) fn post(path: &'a str, body: &'a SecretBytes) -> Self {
        let (method, repeat) = (Method::Post, Repeat::Never);
        Self { method, path, query: "", body: Some(body), repeat }
    }

    /// A repeated removal has the same effect as one.
    pub(crate) fn delete(path: &'a str) -> Self {
        Self { method: Method::Delete, ..Self::get(path) }
    }

    /// Marks the request as safe to repeat.
    pub(crate) fn harmless(mut self) -> Self {
        self.repeat = Repeat::Harmless;
        self
    }

    fn wanted(&self) -> Wanted<'a> {
        let verb = match self.method {
            Method::Get if self.query.starts_with("list") => "list",
            Method::Get => "read",
            Method::Delete => "delete",
            Method::Post | Method::Put => "write",
        };
        Wanted { verb, path: self.path, secret: self.body.is_some() }
    }
}

impl Server {
    /// Returns the server of a registration without connecting.
    pub(crate) fn new(request: &OpenRequest, context: Context) -> Result<Self> {
        let settings = Settings::read(&request.parameters)?;
        let ticket = request.session.as_ref().and_then(crate::session::read);
        Ok(Self { settings, client: None, ticket, context })
    }

    /// Returns the host services.
    pub(crate) fn context(&self) -> &Context {
        &self.context
    }

    pub(crate) fn address(&self) -> &Address {
        &self.settings.address
    }

    /// Returns the error for a reply that is not a success.
    pub(crate) fn refused(&self, ask: &Ask<'_>, reply: &Reply) -> Error {
        refused(reply, self.address(), &ask.wanted())
    }

    /// Returns the error with the server's text, for a request without secrets.
    pub(crate) fn refused_openly(&self, ask: &Ask<'_>, reply: &Reply) -> Error {
        refused(reply, self.address(), &Wanted { secret: false, ..ask.wanted() })
    }

    /// Sends a request and returns any reply, except one for an invalid token.
    pub(crate) fn ask(&mut self, ask: &Ask<'_>, deadline: Deadline) -> Result<Reply> {
        self.log_in(deadline)?;
        let reply = self.ask_once(ask, deadline)?;
        if !is_denied(&reply) || self.token_is_good(deadline)? {
            return Ok(reply);
        }
        // The token is invalid: retry once with another, if there is one.
        let Some(dead) = self.ticket.take() else { return Ok(reply) };
        if dead.origin != Origin::Registered {
            self.context.forget_session();
        }
        match dead.origin {
            Origin::LoggedIn | Origin::Session => {
                self.log_in(deadline)?;
                self.ask_once(ask, deadline)
            }
            Origin::Answered => Err(Error::locked(self.settings.login.challenge())),
            Origin::Registered => {
                // The file may have a new token by now: an agent of the server updates it.
                if let Some(Proof::Token(token)) = self.settings.login.proof()?
                    && token != dead.token
                {
                    self.ticket = Some(Ticket::unknown(token, Origin::Registered));
                    return self.ask_once(ask, deadline);
                }
                self.ticket = Some(dead);
                let message = format!(
                    "{} does not know the token: it has expired, was revoked, or is none",
                    self.address()
                );
                Err(Error::permission_denied(message))
            }
        }
    }

    /// Returns the parsed reply, or `None` if the server reports that the name does not exist.
    ///
    /// # Errors
    /// The server's refusal if the reply is not a success, and an error for a malformed reply.
    pub(crate) fn found<'r>(&self, ask: &Ask<'_>, reply: &'r Reply) -> Result<Option<Answer<'r>>> {
        let answer = Answer::read(reply, self.address());
        if answer.as_ref().is_ok_and(|answer| answer.is_nothing(reply)) {
            return Ok(None);
        }
        if !reply.is_success() {
            return Err(self.refused(ask, reply));
        }
        answer.map(Some)
    }

    /// Sends a request and returns the reply if it is a success.
    pub(crate) fn succeed(&mut self, ask: &Ask<'_>, deadline: Deadline) -> Result<Reply> {
        let reply = self.ask(ask, deadline)?;
        if reply.is_success() { Ok(reply) } else { Err(self.refused(ask, &reply)) }
    }

    fn ask_once(&mut self, ask: &Ask<'_>, deadline: Deadline) -> Result<Reply> {
        let token = self.ticket.as_ref().map(|ticket| ticket.token.duplicate());
        self.send(ask, token.as_ref(), deadline)
    }

    fn send(
        &mut self,
        ask: &Ask<'_>,
        token: Option<&SecretText>,
        deadline: Deadline,
    ) -> Result<Reply> {
        let mut path = format!("/v1/{}", keystead_rest::encoded(ask.path));
        if !ask.query.is_empty() {
            path = format!("{path}?{}", ask.query);
        }
        let mut request = Request::new(ask.method, path, deadline).repeat(ask.repeat);
        // This header shows the server that no browser was tricked into the request.
        request = request.header("x-vault-request", "true");
        if let Some(namespace) = &self.settings.namespace {
            request = request.header("x-vault-namespace", namespace);
        }
        if let Some(token) = token {
            request = request.secret_header("x-vault-token", token);
        }
        if let Some(body) = ask.body {
            request = request.json(body.duplicate());
        }
        let client = match &mut self.client {
            Some(client) => client,
            none => none.insert(self.settings.client()?),
        };
        client.send(&request)
    }

    /// Returns whether the server accepts the token.
    fn token_is_good(&mut self, deadline: Deadline) -> Result<bool> {
        let reply = self.ask_once(&Ask::get("auth/token/lookup-self"), deadline)?;
        Ok(!is_denied(&reply))
    }

    /// Ensures that there is a token, and renews it if it expires soon.
    fn log_in(&mut self, deadline: Deadline) -> Result<()> {
        if self.ticket.as_ref().is_some_and(Ticket::is_short) {
            self.renew(deadline)?;
        }
        if self.ticket.is_some() {
            return Ok(());
        }
        match self.settings.login.proof()? {
            None => Err(Error::locked(self.settings.login.challenge())),
            Some(Proof::Token(token)) => {
                self.ticket = Some(Ticket::unknown(token, Origin::Registered));
                Ok(())
            }
            Some(proof) => {
                let ticket = self.exchange(&proof, Origin::LoggedIn, deadline)?;
                // An expired token is not worth a session.
                if let Ok(session) = ticket.session() {
                    self.context.keep_session(session);
                }
                self.ticket = Some(ticket);
                Ok(())
            }
        }
    }

    /// Exchanges a proof for a token.
    fn exchange(&mut self, proof: &Proof, origin: Origin, deadline: Deadline) -> Result<Ticket> {
        let (path, body, secret) = match proof {
            Proof::Token(token) => return Ok(Ticket::unknown(token.duplicate(), origin)),
            Proof::Request { path, body, secret } => (path, body, secret),
        };
        let ask = Ask::post(path, body);
        let reply = self.send(&ask, None, deadline)?;
        let place = self.settings.login.place();
        match reply.status {
            200..=299 => {
                let answer = Answer::read(&reply, self.address())?;
                let ticket = answer.auth.and_then(|auth| Ticket::of_login(auth, origin));
                ticket.ok_or_else(|| no_answer(self.address()))
            }
            400 | 401 | 403 => {
                let error = self.refused(&ask, &reply);
                // A sealed server is unavailable; any other refusal means that the login failed.
                match error.kind() {
                    ErrorKind::Unavailable => Err(error),
                    _ => {
                        let said = words_without(&reply, secret);
                        let server = self.address();
                        Err(Error::permission_denied(format!(
                            "{server} refused the login at `{place}`{said}"
                        )))
                    }
                }
            }
            _ => {
                let mut wanted = ask.wanted();
                (wanted.path, wanted.verb) = (&place, "log in at");
                Err(refused(&reply, self.address(), &wanted))
            }
        }
    }

    /// Renews the token; one that is not renewable stays in use until it expires.
    fn renew(&mut self, deadline: Deadline) -> Result<()> {
        let body = SecretBytes::copy_of(b"{}");
        let reply =
            self.ask_once(&Ask::post("auth/token/renew-self", &body).harmless(), deadline)?;
        let Some(ticket) = &mut self.ticket else { return Ok(()) };
        ticket.renewable = false;
        if reply.is_success() {
            let answer = Answer::read(&reply, &self.settings.address)?;
            if let Some(auth) = answer.auth {
                ticket.renewed(auth);
                let is_ours = ticket.origin != Origin::Registered;
                if let Some(session) = ticket.session().ok().filter(|_| is_ours) {
                    self.context.keep_session(session);
                }
            }
        }
        Ok(())
    }

    /// Unlocks the vault with answers to the challenge.
    pub(crate) fn unlock(&mut self, request: &UnlockRequest) -> Result<Unlocked> {
        let proof = self.settings.login.answered(request)?;
        let mut ticket = self.exchange(&proof, Origin::Answered, request.deadline)?;
        if self.settings.login.is_token() {
            // Checks with the server that the typed text is a token.
            let ask = Ask::get("auth/token/lookup-self");
            let reply = self.send(&ask, Some(&ticket.token), request.deadline)?;
            if is_denied(&reply) {
                return Err(Error::permission_denied(format!(
                    "{} does not know that token",
                    self.address()
                )));
            }
            if !reply.is_success() {
                return Err(self.refused(&ask, &reply));
            }
            let answer = Answer::read(&reply, self.address())?;
            let known = answer.data.and_then(|data| serde_json::from_str::<Known>(data.get()).ok());
            ticket.known(&known.ok_or_else(|| no_answer(self.address()))?);
        }
        self.context.keep_session(ticket.session()?);
        self.ticket = Some(ticket);
        Ok(Unlocked::new())
    }

    /// Drops the token.
    pub(crate) fn lock(&mut self) -> Result<()> {
        if !self.settings.login.asks() {
            return Err(Error::unsupported(
                "this vault is never locked: its registration says all that logs in",
            ));
        }
        self.ticket = None;
        Ok(())
    }
}

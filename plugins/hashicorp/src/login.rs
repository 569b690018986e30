//! Login methods: their parameters, the source of the secret, and the prompts.

use std::io::Read;
use std::path::{Path, PathBuf};

use keystead_plugin_api::{
    Challenge, Error, Parameters, Prompt, Result, SecretBytes, SecretText, UnlockRequest,
};

use crate::json;
use crate::settings::folder;

/// The most bytes in a file with a token or a JWT.
const MOST_BYTES: u64 = 64 * 1024;

/// A login method with its parameters.
pub(crate) struct Login {
    method: Method,
    /// Mount path of the method, below `auth/`.
    mount: String,
    role: Option<String>,
    user: Option<String>,
    /// Source of the secret.
    given: Given,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    Token,
    AppRole,
    Userpass,
    Kubernetes,
    Jwt,
}

/// Source of the secret.
enum Given {
    Text(SecretText),
    File(PathBuf),
    Asked,
}

/// Proof of identity for the server.
pub(crate) enum Proof {
    /// A token, which needs no login.
    Token(SecretText),
    /// A login request with this path and body; `secret` is the secret part of the body.
    Request { path: String, body: SecretBytes, secret: SecretText },
}

impl Method {
    const ALL: [(Self, &'static str); 5] = [
        (Self::Token, "token"),
        (Self::AppRole, "approle"),
        (Self::Userpass, "userpass"),
        (Self::Kubernetes, "kubernetes"),
        (Self::Jwt, "jwt"),
    ];

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(method, _)| *method == self).map_or("", |(_, name)| name)
    }

    /// Returns the parameters for its secret: that of the text and that of the file.
    fn secrets(self) -> (Option<&'static str>, Option<&'static str>) {
        match self {
            Self::Token => (Some("token"), Some("token-file")),
            Self::AppRole => (Some("secret-id"), None),
            Self::Userpass => (None, None),
            Self::Kubernetes | Self::Jwt => (Some("jwt"), Some("jwt-file")),
        }
    }

    /// Returns the prompt for its secret.
    fn prompt(self) -> Prompt {
        match self {
            Self::Token => Prompt::secret("token", "Token"),
            Self::AppRole => Prompt::secret("secret-id", "Secret id"),
            Self::Userpass => Prompt::secret("password", "Password"),
            Self::Kubernetes | Self::Jwt => Prompt::secret("jwt", "JWT"),
        }
    }
}

impl Login {
    /// Returns the login method of a registration.
    ///
    /// # Errors
    /// `Invalid` for an unknown method, and for unusable or missing parameters.
    pub(crate) fn read(parameters: &Parameters) -> Result<Self> {
        let named = parameters.text("login").unwrap_or("token");
        let method = Method::ALL.iter().find(|(_, name)| *name == named);
        let Some((method, name)) = method.copied() else {
            let known = Method::ALL.map(|(_, name)| name).join(", ");
            return Err(Error::invalid(format!("there is no login `{named}`: {known}")));
        };
        let role = parameters.text("role").map(str::to_owned);
        let user = parameters.text("user").map(str::to_owned);
        if role.is_none() && matches!(method, Method::AppRole | Method::Kubernetes) {
            return Err(Error::invalid(format!("the login `{name}` needs `role`")));
        }
        let (secret, file) = method.secrets();
        for other in ["token", "token-file", "secret-id", "jwt", "jwt-file"] {
            let is_given = parameters.text(other).is_some() || parameters.secret(other).is_some();
            if is_given && secret != Some(other) && file != Some(other) {
                return Err(Error::invalid(format!("the login `{name}` has no use for `{other}`")));
            }
        }
        let secret = secret.and_then(|name| parameters.secret(name));
        let file = file.and_then(|name| parameters.text(name));
        let given = match (secret, file) {
            (Some(_), Some(_)) => {
                let message =
                    format!("the login `{name}` takes its secret from one place, not two");
                return Err(Error::invalid(message));
            }
            (Some(secret), None) => Given::Text(secret.duplicate()),
            (None, Some(file)) => Given::File(file.into()),
            (None, None) => Given::Asked,
        };
        let mount = folder("login-mount", parameters.text("login-mount").unwrap_or(name))?;
        Ok(Self { method, mount, role, user, given })
    }

    /// Returns whether the login needs an answer from the user.
    pub(crate) fn asks(&self) -> bool {
        matches!(self.given, Given::Asked)
    }

    /// Returns whether the method is a given token, which no login can replace.
    pub(crate) fn is_token(&self) -> bool {
        self.method == Method::Token
    }

    /// Returns the proof from the registration alone; `None` if the user must answer a prompt.
    pub(crate) fn proof(&self) -> Result<Option<Proof>> {
        let secret = match &self.given {
            Given::Text(secret) => secret.duplicate(),
            Given::File(path) => read(path)?,
            Given::Asked => return Ok(None),
        };
        self.prove(self.user.as_deref().unwrap_or_default(), &secret).map(Some)
    }

    /// Returns the proof from the user's answers.
    ///
    /// # Errors
    /// `Invalid` for another challenge; `PermissionDenied` for an empty answer.
    pub(crate) fn answered(&self, request: &UnlockRequest) -> Result<Proof> {
        if !self.asks() || request.challenge != self.challenge_id() {
            return Err(Error::invalid("this vault did not give that challenge"));
        }
        let answer = |name: &str| {
            let answer = request.answer(name).filter(|answer| !answer.expose().is_empty());
            answer
                .ok_or_else(|| Error::permission_denied(format!("the answer to `{name}` is empty")))
        };
        let secret = answer(&self.method.prompt().name)?;
        if self.method == Method::Userpass && self.user.is_none() {
            return self.prove(answer("user")?.expose(), secret);
        }
        self.prove(self.user.as_deref().unwrap_or_default(), secret)
    }

    /// Returns the challenge of a locked vault.
    pub(crate) fn challenge(&self) -> Challenge {
        let mut prompts = Vec::new();
        if self.method == Method::Userpass && self.user.is_none() {
            prompts.push(Prompt::plain("user", "User"));
        }
        prompts.push(self.method.prompt());
        Challenge::new(self.challenge_id(), prompts)
    }

    fn challenge_id(&self) -> String {
        format!("login-{}", self.method.name())
    }

    /// Returns the mount path of the login for messages.
    pub(crate) fn place(&self) -> String {
        format!("auth/{}", self.mount)
    }

    fn prove(&self, user: &str, secret: &SecretText) -> Result<Proof> {
        let role = self.role.as_deref();
        let (path, fields) = match self.method {
            Method::Token => {
                // A token must fit into a header.
                return match secret.expose().contains(|c: char| c.is_control() || !c.is_ascii()) {
                    true => Err(Error::permission_denied("that is no token")),
                    false => Ok(Proof::Token(secret.duplicate())),
                };
            }
            Method::AppRole => ("login".to_owned(), [("role_id", role), ("secret_id", None)]),
            Method::Userpass => {
                if !crate::settings::is_path(user) || user.contains('/') {
                    return Err(Error::permission_denied("that is no user's name"));
                }
                (format!("login/{user}"), [("", None), ("password", None)])
            }
            Method::Kubernetes | Method::Jwt => {
                ("login".to_owned(), [("role", role), ("jwt", None)])
            }
        };
        let body = json::written(|to| {
            let mut before: &[u8] = b"{";
            for (name, value) in fields {
                let value = match (name, value) {
                    ("" | "role", None) => continue,
                    (_, Some(value)) => value,
                    (_, None) => secret.expose(),
                };
                to.write_all(before)?;
                json::string(to, name)?;
                to.write_all(b":")?;
                json::string(to, value)?;
                before = b",";
            }
            to.write_all(b"}")
        })?;
        let path = format!("auth/{}/{path}", self.mount);
        Ok(Proof::Request { path, body, secret: secret.duplicate() })
    }
}

/// Reads a file with a token or a JWT, without the line end.
fn read(path: &Path) -> Result<SecretText> {
    let shown = path.display();
    let cannot = |error| Error::unavailable(format!("cannot read {shown}: {error}"));
    let file = std::fs::File::open(path).map_err(cannot)?;
    // Full capacity from the start: growing would leave copies behind.
    let mut bytes = Vec::with_capacity(MOST_BYTES as usize + 1);
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(cannot)?;
    let bytes = SecretBytes::new(bytes);
    if bytes.len() as u64 > MOST_BYTES {
        return Err(Error::invalid(format!("{shown} has more than {MOST_BYTES} bytes")));
    }
    let text = std::str::from_utf8(bytes.expose()).map(str::trim).unwrap_or_default();
    if text.is_empty() {
        return Err(Error::invalid(format!("{shown} holds no token")));
    }
    Ok(SecretText::new(text))
}

//! Replies of the server: the data, or the errors with text that suggests a fix.

use keystead_plugin_api::{Error, ErrorDetail, Result, SecretText};
use keystead_rest::{Address, Reply, refusal};
use serde::Deserialize;
use serde_json::value::RawValue;

/// The most characters of the server's text in a message.
const MOST_WORDS: usize = 300;

/// A parsed reply of the server: the fields that all replies share.
#[derive(Deserialize, Default)]
pub(crate) struct Answer<'a> {
    #[serde(borrow, default)]
    pub(crate) data: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(crate) auth: Option<&'a RawValue>,
    #[serde(default)]
    pub(crate) lease_id: String,
    #[serde(default)]
    pub(crate) lease_duration: u64,
    #[serde(default)]
    pub(crate) renewable: bool,
    /// Present if the server refused the request; present and empty if the name was not found.
    #[serde(default)]
    errors: Option<Vec<String>>,
}

impl<'a> Answer<'a> {
    /// Returns the parsed reply, whatever its status.
    pub(crate) fn read(reply: &'a Reply, server: &Address) -> Result<Self> {
        serde_json::from_slice(reply.body.expose()).map_err(|_| no_answer(server))
    }

    /// Returns whether an error of the reply contains this text.
    pub(crate) fn says(&self, words: &str) -> bool {
        self.errors.iter().flatten().any(|error| error.contains(words))
    }

    /// Returns whether the reply means "not found". A 404 alone is not enough, since any server on
    /// the network path may have sent it.
    pub(crate) fn is_nothing(&self, reply: &Reply) -> bool {
        reply.status == 404
            && match &self.errors {
                Some(errors) => errors.is_empty(),
                None => self.data.is_some(),
            }
    }
}

/// Returns the error for a reply that a server of this kind never sends.
pub(crate) fn no_answer(server: &Address) -> Error {
    Error::unavailable(format!("{server} answers what no such server does"))
}

/// Returns whether the server refused for its own reasons. Such a refusal is the same for every
/// request.
pub(crate) fn is_denied(reply: &Reply) -> bool {
    reply.status == 403
}

/// Returns the errors in the server's reply, joined; empty if the reply has no list of errors.
fn words(reply: &Reply) -> String {
    let errors = serde_json::from_slice::<Answer<'_>>(reply.body.expose())
        .ok()
        .and_then(|answer| answer.errors)
        .unwrap_or_default();
    errors.join("; ")
}

/// Description of a refused request.
pub(crate) struct Wanted<'a> {
    /// A verb such as `read`.
    pub(crate) verb: &'a str,
    /// The path, as in the server's policies.
    pub(crate) path: &'a str,
    /// Whether the request had a body, which the server's text might repeat.
    pub(crate) secret: bool,
}

/// Returns the error for a reply that is not a success.
pub(crate) fn refused(reply: &Reply, server: &Address, wanted: &Wanted<'_>) -> Error {
    let said = words(reply);
    let Wanted { verb, path, secret } = wanted;
    let unavailable = |words: &str| {
        let message = format!("{server} {words}");
        let error = match reply.status {
            429 => Error::detailed(ErrorDetail::Throttled, message),
            _ => Error::unavailable(message),
        };
        match reply.wait {
            Some(wait) => error.with_retry_after(wait),
            None => error,
        }
    };
    if said.contains("is sealed") {
        return unavailable("is sealed: whoever keeps its keys must unseal it");
    }
    if said.contains("not initialized") {
        return unavailable("is not initialized yet");
    }
    if said.contains("active cluster node not found") || said.contains("local node not active") {
        return unavailable("is a standby, and no server is active");
    }
    if said.contains("Upgrading from non-versioned") {
        return unavailable("is still making the mount ready");
    }
    if said.contains("namespace not found") {
        return Error::invalid(format!("{server} has no such namespace"));
    }
    if said.contains("no handler for route") {
        let mount = path.split('/').next().unwrap_or_default();
        let mount = if mount == "auth" { path } else { mount };
        return Error::invalid(format!("{server} has nothing mounted at `{mount}`"));
    }
    match reply.status {
        403 => Error::permission_denied(format!("the token may not {verb} `{path}`")),
        429 => unavailable("asks for fewer requests: a quota is used up"),
        413 => Error::invalid(format!("{server} takes no secret of that size")),
        _ if said.contains("value being too large") || said.contains("body too large") => {
            Error::invalid(format!("{server} takes no secret of that size"))
        }
        status => {
            let said = if *secret { known(&said) } else { said };
            let said = shown(&said);
            let rest = if said.is_empty() { format!("status {status}") } else { said };
            refusal(reply, format!("{server} refused to {verb} `{path}`: {rest}"))
        }
    }
}

/// Returns the server's text after a colon, unless it repeats a part of this secret.
pub(crate) fn words_without(reply: &Reply, secret: &SecretText) -> String {
    /// A match of this many characters is no coincidence.
    const PART: usize = 6;
    let said = words(reply);
    let secret = secret.expose().as_bytes();
    let part = secret.len().clamp(1, PART);
    let repeats = secret.windows(part).any(|part| {
        said.as_bytes().windows(part.len()).any(|window| window.eq_ignore_ascii_case(part))
    });
    let said = if repeats { String::new() } else { shown(&said) };
    if said.is_empty() { said } else { format!(": {said}") }
}

/// Returns the text if it is known to repeat no part of the request, and an empty text otherwise.
fn known(said: &str) -> String {
    const KNOWN: [&str; 4] = [
        "missing data fields",
        "check-and-set parameter",
        "relative paths not supported",
        "cannot write to a path",
    ];
    let found = KNOWN.iter().any(|known| said.starts_with(known));
    if found { said.to_owned() } else { String::new() }
}

/// Returns foreign text without control characters and shortened.
pub(crate) fn shown(said: &str) -> String {
    let mut shown = String::new();
    for word in said.split(|c: char| c.is_whitespace() || c.is_control()) {
        if !word.is_empty() && shown.len() < MOST_WORDS {
            if !shown.is_empty() {
                shown.push(' ');
            }
            shown.extend(word.chars().take(MOST_WORDS));
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use keystead_plugin_api::{ErrorKind, SecretBytes};

    use super::*;

    fn reply(status: u16, body: &str) -> Reply {
        Reply { status, body: SecretBytes::copy_of(body.as_bytes()), wait: None }
    }

    fn told(status: u16, body: &str, secret: bool) -> String {
        let server = Address::parse("https://v").unwrap();
        let wanted = Wanted { verb: "write", path: "secret/data/x", secret };
        let error = refused(&reply(status, body), &server, &wanted);
        assert_ne!(error.kind(), ErrorKind::NotFound);
        format!("{}: {error}", error.kind())
    }

    #[test]
    fn server_errors_map_to_distinct_messages() {
        let body = |words: &str| format!("{{\"errors\":[\"{words}\"]}}");
        for (status, words, expected) in [
            (
                503,
                "Vault is sealed",
                "unavailable: https://v is sealed: whoever keeps its keys must unseal it",
            ),
            (
                403,
                "permission denied",
                "permission denied: the token may not write `secret/data/x`",
            ),
            (
                404,
                "no handler for route \\\"secret/data/x\\\"",
                "invalid: https://v has nothing mounted at `secret`",
            ),
            (429, "", "unavailable: https://v asks for fewer requests: a quota is used up"),
            (
                400,
                "put failed due to value being too large; got 1",
                "invalid: https://v takes no secret of that size",
            ),
            (
                400,
                "bad \\u001b[1m thing",
                "invalid: https://v refused to write `secret/data/x`: bad [1m thing",
            ),
            (
                500,
                "local node not active but active cluster node not found",
                "unavailable: https://v is a standby, and no server is active",
            ),
        ] {
            assert_eq!(told(status, &body(words), false), expected);
        }
        assert_eq!(
            told(502, "<html>", false),
            "unavailable: https://v refused to write `secret/data/x`: status 502"
        );
        assert_eq!(
            told(404, "<html>", false),
            "unavailable: https://v refused to write `secret/data/x`: status 404"
        );
    }

    #[test]
    fn error_for_secret_request_omits_server_text() {
        let told = told(400, "{\"errors\":[\"cannot convert canary to a number\"]}", true);
        assert_eq!(told, "invalid: https://v refused to write `secret/data/x`: status 400");
    }

    #[test]
    fn login_error_omits_text_that_echoes_secret() {
        let said = |words: &str, secret: &str| {
            let reply = reply(400, &format!("{{\"errors\":[\"{words}\"]}}"));
            words_without(&reply, &SecretText::new(secret))
        };
        assert_eq!(
            said("invalid username or password", "hunter2"),
            ": invalid username or password"
        );
        for echoed in ["bad token `hunter2`", "bad token HUNTER…", "bad token unter2"] {
            assert_eq!(said(echoed, "hunter2"), "", "{echoed}");
        }
        assert_eq!(said("the pin 77 is wrong", "77"), "");
        assert_eq!(said("", "x"), "");
    }

    #[test]
    fn not_found_requires_server_reply_body() {
        let server = Address::parse("https://v").unwrap();
        let nothing = |status, body| {
            let reply = reply(status, body);
            Answer::read(&reply, &server).is_ok_and(|answer| answer.is_nothing(&reply))
        };
        assert!(nothing(404, "{\"errors\":[]}"));
        assert!(nothing(404, "{\"data\":{\"data\":null,\"metadata\":{}}}"));
        assert!(!nothing(404, "{\"errors\":[\"no handler for route\"]}"));
        assert!(!nothing(404, "{}"));
        assert!(!nothing(404, "Not Found"));
        assert!(!nothing(403, "{\"errors\":[]}"));
    }
}

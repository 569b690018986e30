//! What is asked of a server. There is no `Debug`: headers and bodies hold secrets.

use keystead_plugin_api::{Deadline, SecretBytes, SecretText};

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Does something.
    Post,
    /// Puts something in a place.
    Put,
    /// Removes.
    Delete,
}

/// Whether a request may be sent again after it may have been done.
///
/// Either way it is sent again where it surely was not: no connection came about, or the
/// server answered 429.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// Twice is the same as once.
    Harmless,
    /// Twice may be something else.
    Never,
}

/// One request.
pub struct Request<'a> {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: Vec<(&'static str, &'a SecretText)>,
    pub(crate) plain: Vec<(&'static str, String)>,
    pub(crate) body: Option<SecretBytes>,
    pub(crate) repeat: Repeat,
    pub(crate) deadline: Deadline,
}

impl<'a> Request<'a> {
    /// Returns a request for a path, percent-encoded ([`encoded`](crate::encoded)), with a
    /// slash at its beginning and perhaps a query. Reading may be repeated, nothing else.
    pub fn new(method: Method, path: impl Into<String>, deadline: Deadline) -> Self {
        let repeat = if method == Method::Get { Repeat::Harmless } else { Repeat::Never };
        Self {
            method,
            path: path.into(),
            headers: Vec::new(),
            plain: Vec::new(),
            body: None,
            repeat,
            deadline,
        }
    }

    /// Adds a header whose value is secret.
    pub fn secret_header(mut self, name: &'static str, value: &'a SecretText) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Adds a header that anybody may see.
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.plain.push((name, value.into()));
        self
    }

    /// Sends this body, which is JSON.
    pub fn json(mut self, body: SecretBytes) -> Self {
        self.body = Some(body);
        self.header("content-type", "application/json")
    }

    /// Says whether it may be repeated.
    pub fn repeat(mut self, repeat: Repeat) -> Self {
        self.repeat = repeat;
        self
    }
}

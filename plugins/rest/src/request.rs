//! A request to a server. There is no `Debug`: headers and bodies hold secrets.

use keystead_plugin_api::{Deadline, SecretBytes, SecretText};

/// HTTP method of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Reads a resource.
    Get,
    /// Runs an operation.
    Post,
    /// Stores a resource at a path.
    Put,
    /// Removes a resource.
    Delete,
}

/// Whether a request may be repeated after it may have taken effect.
///
/// In both cases the client repeats a request that certainly had no effect: the connection failed,
/// or the server answered 429.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// A repetition has the same effect as one request.
    Harmless,
    /// A repetition may have another effect.
    Never,
}

/// A request to a server.
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
    /// Returns a request for a percent-encoded path ([`encoded`](crate::encoded)) with a leading
    /// slash and an optional query. A read may be repeated; other methods may not.
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

    /// Adds a header whose value is not secret.
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.plain.push((name, value.into()));
        self
    }

    /// Sets the body, which is JSON.
    pub fn json(mut self, body: SecretBytes) -> Self {
        self.body = Some(body);
        self.header("content-type", "application/json")
    }

    /// Sets whether the request may be repeated.
    pub fn repeat(mut self, repeat: Repeat) -> Self {
        self.repeat = repeat;
        self
    }
}

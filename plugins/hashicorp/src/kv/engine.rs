//! The KV engine version of a mount.

use keystead_plugin_api::{Deadline, Error, ErrorKind, Result};
use serde::Deserialize;

use crate::answer::{Answer, no_answer};
use crate::server::{Ask, Server};

/// A version of the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    /// One value a name, without versions or metadata.
    One,
    /// Versions and metadata.
    Two,
}

/// A mounted engine.
#[derive(Deserialize)]
pub(crate) struct Mount {
    /// The engine's type: `kv`, `database`, `pki`.
    #[serde(rename = "type", default)]
    pub(crate) kind: String,
    #[serde(default)]
    options: Option<Options>,
}

#[derive(Deserialize)]
struct Options {
    #[serde(default)]
    version: Option<String>,
}

impl Engine {
    /// Returns the engine's version, as the server reports it.
    ///
    /// # Errors
    /// `Invalid` if there is no such mount or it has another type; `PermissionDenied` if the token
    /// has no access.
    pub(super) fn ask(server: &mut Server, mount: &str, deadline: Deadline) -> Result<Self> {
        let found = Mount::ask(server, mount, deadline)?;
        match (&*found.kind, found.options.and_then(|options| options.version).as_deref()) {
            ("kv", Some("2")) => Ok(Self::Two),
            ("kv" | "generic", _) => Ok(Self::One),
            (other, _) => Err(Error::invalid(format!(
                "the mount `{mount}` is of the kind `{}`, and not a KV engine",
                crate::answer::shown(other)
            ))),
        }
    }
}

impl Mount {
    /// Returns the mounted engine, as the server reports it.
    ///
    /// # Errors
    /// `Invalid` if there is no mount; `PermissionDenied` if the token has no access.
    pub(crate) fn ask(server: &mut Server, mount: &str, deadline: Deadline) -> Result<Self> {
        let path = format!("sys/internal/ui/mounts/{mount}");
        let ask = Ask::get(&path);
        let reply = server.ask(&ask, deadline)?;
        if !reply.is_success() {
            let error = server.refused(&ask, &reply);
            return Err(match error.kind() {
                ErrorKind::PermissionDenied => Self::unseen(server, mount, deadline)?,
                _ => error,
            });
        }
        let answer = Answer::read(&reply, server.address())?;
        let found = answer.data.and_then(|data| serde_json::from_str(data.get()).ok());
        found.ok_or_else(|| no_answer(server.address()))
    }

    /// Returns the error for an invisible mount: it does not exist, or the token has no access. The
    /// server does not reveal to most tokens which of the two is true.
    fn unseen(server: &mut Server, mount: &str, deadline: Deadline) -> Result<Error> {
        let path = format!("{mount}/config");
        let ask = Ask::get(&path);
        let reply = server.ask(&ask, deadline)?;
        let error = server.refused(&ask, &reply);
        Ok(match error.kind() {
            ErrorKind::Invalid => error,
            _ => Error::permission_denied(format!(
                "the token has no right in the mount `{mount}`, if there is one"
            )),
        })
    }
}

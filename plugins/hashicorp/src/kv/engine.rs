//! Which version of the KV engine a mount is.

use keystead_plugin_api::{Deadline, Error, ErrorKind, Result};
use serde::Deserialize;

use crate::answer::{Answer, no_answer};
use crate::server::{Ask, Server};

/// A version of the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    /// One value a name, and nothing beside it.
    One,
    /// Versions and metadata.
    Two,
}

/// What is mounted somewhere.
#[derive(Deserialize)]
pub(crate) struct Mount {
    /// The engine's kind: `kv`, `database`, `pki`.
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
    /// Asks the server.
    ///
    /// # Errors
    /// `Invalid` where there is no such mount, or it is of another kind; `Denied` where the
    /// token may not know.
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
    /// Asks the server what is mounted there.
    ///
    /// # Errors
    /// `Invalid` where nothing is; `Denied` where the token may not know.
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

    /// Returns why a mount is not seen: it is not there, or the token has no right in it. To
    /// most tokens the server does not tell which.
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

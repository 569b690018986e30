//! KV version 2: each write is a version, check-and-set keeps two writers apart, and custom
//! metadata stands beside.

use keystead_plugin_api::{
    Deadline, Error, ErrorKind, Metadata, Result, Secret, SecretBytes, SetRequest, WriteMode,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::state::{One, State};
use crate::answer::{Answer, no_answer};
use crate::metadata::{self, Custom};
use crate::server::{Ask, Server};
use crate::{field, json};

/// How often a write is tried again that others got in before.
const RACES: usize = 8;

/// A mount of version 2.
pub(crate) struct Two<'a> {
    pub(super) mount: &'a str,
}

/// What is read: the fields, and the version that they are.
#[derive(Deserialize)]
struct Read<'a> {
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    metadata: Head,
}

#[derive(Deserialize)]
struct Head {
    version: u64,
    #[serde(default)]
    custom_metadata: Option<Custom>,
    #[serde(flatten)]
    one: One,
}

/// What a write answers.
#[derive(Deserialize)]
struct Written {
    version: u64,
}

/// What is known of a secret before it is written.
enum Before {
    Known(Option<State>),
    /// The token may not read metadata.
    Hidden,
}

impl Two<'_> {
    fn at(&self, part: &str, path: &str) -> String {
        format!("{}/{part}/{path}", self.mount)
    }

    pub(super) fn get(
        &self,
        server: &mut Server,
        path: &str,
        version: Option<&str>,
        deadline: Deadline,
    ) -> Result<Secret> {
        let query = match version {
            None => String::new(),
            Some(version) => format!("version={}", number(version)?),
        };
        let data = self.at("data", path);
        let ask = Ask { query: &query, ..Ask::get(&data) };
        let reply = server.ask(&ask, deadline)?;
        let address = server.address();
        let Some(answer) = server.found(&ask, &reply)? else {
            return Err(missing(&Answer::read(&reply, address)?));
        };
        let read = answer.data.and_then(|data| serde_json::from_str::<Read<'_>>(data.get()).ok());
        let read = read.ok_or_else(|| no_answer(address))?;
        let Some(fields) = read.data else { return Err(Error::not_found()) };
        let metadata = metadata::metadata(&read.metadata.custom_metadata.unwrap_or_default())?;
        Ok(Secret::with_metadata(field::read(fields)?, metadata))
    }

    /// Returns what the server knows of a secret, or nothing where there is none.
    pub(crate) fn state(
        &self,
        server: &mut Server,
        path: &str,
        deadline: Deadline,
    ) -> Result<Option<State>> {
        let path = self.at("metadata", path);
        let ask = Ask::get(&path);
        let reply = server.ask(&ask, deadline)?;
        let Some(answer) = server.found(&ask, &reply)? else { return Ok(None) };
        let state = answer.data.and_then(|data| serde_json::from_str(data.get()).ok());
        Ok(Some(state.ok_or_else(|| no_answer(server.address()))?))
    }

    pub(super) fn set(&self, server: &mut Server, path: &str, request: &SetRequest) -> Result<()> {
        let given = request.metadata.as_ref().map(metadata::custom).transpose()?;
        let deadline = request.deadline;
        for _ in 0..RACES {
            let before = match self.state(server, path, deadline) {
                Ok(state) => Before::Known(state),
                Err(error) if is_denied(&error) && given.is_none() => Before::Hidden,
                Err(error) => return Err(error),
            };
            let cas = match &before {
                Before::Known(state) => {
                    let is_alive = state.as_ref().is_some_and(State::is_alive);
                    request.mode.check(is_alive)?;
                    Some(state.as_ref().map_or(0, |state| state.current_version))
                }
                Before::Hidden => self.hidden(server, path, request.mode, deadline)?,
            };
            let Some(version) = self.write(server, path, request, cas)? else {
                if matches!(before, Before::Hidden) && request.mode == WriteMode::CreateOnly {
                    return Err(Error::already_exists());
                }
                // Somebody was there in between: what is true now is looked at anew.
                continue;
            };
            if let Before::Known(state) = &before {
                self.after(server, path, (state.as_ref(), given, request, version))?;
            }
            return Ok(());
        }
        let message = format!("others keep writing `{path}`: it was not written");
        Err(Error::unavailable(message))
    }

    /// Returns what to check a write against where metadata cannot be read.
    fn hidden(
        &self,
        server: &mut Server,
        path: &str,
        mode: WriteMode,
        deadline: Deadline,
    ) -> Result<Option<u64>> {
        match mode {
            WriteMode::CreateOnly => Ok(Some(0)),
            WriteMode::Replace => self.get(server, path, None, deadline).map(|_| None),
            _ => Ok(None),
        }
    }

    /// Writes a version and returns its number, or nothing where another came in between.
    fn write(
        &self,
        server: &mut Server,
        path: &str,
        request: &SetRequest,
        cas: Option<u64>,
    ) -> Result<Option<u64>> {
        let body = json::written(|to| {
            match cas {
                Some(cas) => write!(to, "{{\"options\":{{\"cas\":{cas}}},\"data\":")?,
                None => to.write_all(b"{\"data\":")?,
            }
            field::write(to, &request.value)?;
            to.write_all(b"}")
        })?;
        let path = self.at("data", path);
        let ask = Ask::post(&path, &body);
        let reply = server.ask(&ask, request.deadline)?;
        if reply.is_success() {
            let answer = Answer::read(&reply, server.address())?;
            let written: Option<Written> =
                answer.data.and_then(|data| serde_json::from_str(data.get()).ok());
            return match written {
                Some(written) => Ok(Some(written.version)),
                None => Err(no_answer(server.address())),
            };
        }
        let error = server.refused(&ask, &reply);
        // Known words of the server: they repeat nothing of what was sent.
        if reply.status == 400 && error.message().contains("check-and-set parameter did not match")
        {
            return Ok(None);
        }
        Err(error)
    }

    /// Writes what stands beside a value that was just written.
    fn after(
        &self,
        server: &mut Server,
        path: &str,
        (before, given, request, version): (Option<&State>, Option<Custom>, &SetRequest, u64),
    ) -> Result<()> {
        let had = before.map(State::custom).unwrap_or_default();
        // What is written over a deleted secret is a new one.
        let kept = || if before.is_some_and(State::is_alive) { had.clone() } else { Custom::new() };
        let is_given = given.is_some();
        let mut custom = given.unwrap_or_else(kept);
        metadata::put_kind(&mut custom, version, request.value.kind());
        if custom == had {
            return Ok(());
        }
        match self.put_custom(server, path, &custom, request.deadline) {
            // The kind is a service to listings: without the right to keep it they do without.
            Err(error) if is_denied(&error) && !is_given => Ok(()),
            Err(error) => {
                let words = format!(
                    "the value is written, as version {version}, but not its metadata: {}",
                    error.message()
                );
                Err(Error::new(error.kind(), words))
            }
            Ok(()) => Ok(()),
        }
    }

    fn put_custom(
        &self,
        server: &mut Server,
        path: &str,
        custom: &Custom,
        deadline: Deadline,
    ) -> Result<()> {
        let body = serde_json::to_vec(&serde_json::json!({ "custom_metadata": custom }))
            .map_err(|_| Error::internal("metadata could not be written as JSON"))?;
        let body = SecretBytes::new(body);
        let path = self.at("metadata", path);
        server.succeed(&Ask::post(&path, &body).harmless(), deadline).map(drop)
    }

    pub(super) fn set_metadata(
        &self,
        server: &mut Server,
        path: &str,
        metadata: &Metadata,
        deadline: Deadline,
    ) -> Result<()> {
        let mut custom = metadata::custom(metadata)?;
        let state = self.state(server, path, deadline)?.filter(State::is_alive);
        let had = state.ok_or_else(Error::not_found)?.custom();
        metadata::keep_kind(&had, &mut custom);
        if custom == had {
            return Ok(());
        }
        self.put_custom(server, path, &custom, deadline)
    }

    /// Deletes the newest version: it can be undeleted.
    pub(super) fn remove(&self, server: &mut Server, path: &str, deadline: Deadline) -> Result<()> {
        match self.state(server, path, deadline) {
            Ok(state) => drop(state.filter(State::is_alive).ok_or_else(Error::not_found)?),
            Err(error) if is_denied(&error) => drop(self.get(server, path, None, deadline)?),
            Err(error) => return Err(error),
        }
        let path = self.at("data", path);
        server.succeed(&Ask::delete(&path), deadline).map(drop)
    }

    /// Does something to versions: `delete`, `undelete` or `destroy`.
    pub(crate) fn change(
        &self,
        server: &mut Server,
        what: &str,
        path: &str,
        versions: &[u64],
        deadline: Deadline,
    ) -> Result<()> {
        let body = SecretBytes::new(format!("{{\"versions\":{versions:?}}}").into_bytes());
        let path = self.at(what, path);
        server.succeed(&Ask::post(&path, &body).harmless(), deadline).map(drop)
    }

    /// Removes a secret with all of its versions and its metadata.
    pub(crate) fn erase(&self, server: &mut Server, path: &str, deadline: Deadline) -> Result<()> {
        let path = self.at("metadata", path);
        server.succeed(&Ask::delete(&path), deadline).map(drop)
    }
}

/// Returns a version's number.
pub(crate) fn number(text: &str) -> Result<u64> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number
        .ok_or_else(|| Error::invalid(format!("`{}` is no version's number", text.escape_debug())))
}

fn is_denied(error: &Error) -> bool {
    error.kind() == ErrorKind::PermissionDenied
}

/// Returns that there is no secret, and why where the server says so.
fn missing(answer: &Answer<'_>) -> Error {
    let read = answer.data.and_then(|data| serde_json::from_str::<Read<'_>>(data.get()).ok());
    match read {
        Some(read) if !read.metadata.one.is_alive() => Error::new(
            ErrorKind::NotFound,
            format!("no such secret: its version {} is deleted", read.metadata.version),
        ),
        _ => Error::not_found(),
    }
}

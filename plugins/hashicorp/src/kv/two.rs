//! KV version 2: each write creates a version, check-and-set separates concurrent writers, and each
//! secret has custom metadata.

use keystead_plugin_api::{
    Deadline, Error, ErrorDetail, ErrorKind, MetadataWritten, PurgeRequest, Purged, RemoveRequest,
    RestoreRequest, Restored, Result, Secret, SecretBytes, SetMetadataRequest, SetRequest,
    WriteMode, Written,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::state::{One, State};
use crate::answer::{Answer, no_answer};
use crate::metadata::{self, Custom};
use crate::server::{Ask, Server};
use crate::{field, json};

/// Number of attempts for a write that other writers overtake.
const RACES: usize = 8;

/// A mount of version 2.
pub(crate) struct Two<'a> {
    pub(super) mount: &'a str,
}

/// A read secret: its fields and their version.
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

/// Reply to a write.
#[derive(Deserialize)]
struct New {
    version: u64,
}

/// State of a secret before a write.
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
        let version = version.map(Expected::parse).transpose()?.map(|version| version.version);
        let query = version.map_or_else(String::new, |version| format!("version={version}"));
        let data = self.at("data", path);
        let ask = Ask { query: &query, ..Ask::get(&data) };
        let reply = server.ask(&ask, deadline)?;
        let address = server.address();
        let Some(answer) = server.found(&ask, &reply)? else {
            return Err(missing(&Answer::read(&reply, address)?, version));
        };
        let read = answer.data.and_then(|data| serde_json::from_str::<Read<'_>>(data.get()).ok());
        let read = read.ok_or_else(|| no_answer(address))?;
        let Some(fields) = read.data else { return Err(Error::not_found()) };
        let custom = read.metadata.custom_metadata.unwrap_or_default();
        let mut metadata = metadata::metadata(&custom)?;
        read.metadata.one.put_time(&mut metadata);
        let secret = Secret::with_metadata(field::read(fields)?, metadata);
        Ok(secret.of_version(read.metadata.version.to_string()))
    }

    /// Returns the server's state of a secret; `None` if there is no such secret.
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

    pub(super) fn set(
        &self,
        server: &mut Server,
        path: &str,
        request: &SetRequest,
    ) -> Result<Written> {
        let given = request.metadata.as_ref().map(metadata::custom).transpose()?;
        let expected = request.if_version.as_deref().map(Expected::parse).transpose()?;
        let deadline = request.deadline;
        for _ in 0..RACES {
            let before = match self.state(server, path, deadline) {
                Ok(state) => Before::Known(state),
                Err(error) if is_denied(&error) && given.is_none() => Before::Hidden,
                Err(error) => return Err(error),
            };
            // Of both servers, only OpenBao counts metadata versions and stores numbers as floats.
            if !matches!(&before, Before::Known(Some(state)) if !state.counts_metadata()) {
                field::check_numbers(&request.value)?;
            }
            let cas = match (&before, &expected) {
                (Before::Known(state), expected) => {
                    let alive = state.as_ref().filter(|state| state.is_alive());
                    request.mode.check(alive.is_some())?;
                    if let Some(expected) = expected {
                        expected.check(alive)?;
                    }
                    Some(state.as_ref().map_or(0, |state| state.current_version))
                }
                (Before::Hidden, Some(expected)) => Some(expected.version),
                (Before::Hidden, None) => self.hidden(server, path, request.mode, deadline)?,
            };
            let Some(version) = self.write(server, path, request, cas)? else {
                if expected.is_some() {
                    return Err(Error::conflict());
                }
                if matches!(before, Before::Hidden) && request.mode == WriteMode::CreateOnly {
                    return Err(Error::already_exists());
                }
                // Another writer was faster: read the state again.
                continue;
            };
            if let Before::Known(state) = &before {
                self.after(server, path, (state.as_ref(), given, request, version))?;
            }
            return Ok(Written::new().of_version(version.to_string()));
        }
        Err(others_write(path))
    }

    /// Returns the version for check-and-set if the metadata is not readable; `None` for no check.
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

    /// Writes a version and returns its number; `None` if another writer was faster.
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
            let written: Option<New> =
                answer.data.and_then(|data| serde_json::from_str(data.get()).ok());
            return match written {
                Some(written) => Ok(Some(written.version)),
                None => Err(no_answer(server.address())),
            };
        }
        let error = server.refused(&ask, &reply);
        // A known text of the server, which repeats no part of the request.
        if reply.status == 400 && error.message().contains("check-and-set parameter did not match")
        {
            return Ok(None);
        }
        Err(error)
    }

    /// Writes the metadata for a value that was just written. Reads the state again if another
    /// writer changed the metadata meanwhile.
    fn after(
        &self,
        server: &mut Server,
        path: &str,
        (before, given, request, version): (Option<&State>, Option<Custom>, &SetRequest, u64),
    ) -> Result<()> {
        let is_given = given.is_some();
        let written = (|| {
            let mut newer: Option<Option<State>> = None;
            for _ in 0..RACES {
                let before = newer.as_ref().map_or(before, Option::as_ref);
                let had = before.map(State::custom).unwrap_or_default();
                // A write over a deleted secret creates a new secret.
                let is_old = before.is_some_and(State::is_alive);
                let kept = || if is_old { had.clone() } else { Custom::new() };
                let mut custom = given.clone().unwrap_or_else(kept);
                metadata::put_kind(&mut custom, version, request.value.kind());
                // The metadata version of a new secret is 0 on servers that count it.
                let cas = before.and_then(|state| state.current_metadata_version);
                if custom == had || self.put_custom(server, path, &custom, cas, request.deadline)? {
                    return Ok(());
                }
                newer = Some(self.state(server, path, request.deadline)?);
            }
            Err(others_write(path))
        })();
        match written {
            // The kind only improves listings, so a missing permission to write it is not an error.
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

    /// Writes custom metadata; `false` if another writer changed it meanwhile.
    fn put_custom(
        &self,
        server: &mut Server,
        path: &str,
        custom: &Custom,
        cas: Option<u64>,
        deadline: Deadline,
    ) -> Result<bool> {
        let mut body = serde_json::json!({ "custom_metadata": custom });
        if let Some(cas) = cas {
            body["metadata_cas"] = cas.into();
        }
        let body = serde_json::to_vec(&body)
            .map_err(|_| Error::internal("metadata could not be written as JSON"))?;
        let body = SecretBytes::new(body);
        let path = self.at("metadata", path);
        let mut ask = Ask::post(&path, &body);
        if cas.is_none() {
            ask = ask.harmless();
        }
        let reply = server.ask(&ask, deadline)?;
        if reply.is_success() {
            return Ok(true);
        }
        let error = server.refused_openly(&ask, &reply);
        match reply.status == 400 && error.message().contains("metadata check-and-set") {
            true => Ok(false),
            false => Err(error),
        }
    }

    pub(super) fn set_metadata(
        &self,
        server: &mut Server,
        path: &str,
        request: &SetMetadataRequest,
    ) -> Result<MetadataWritten> {
        let given = metadata::custom(&request.metadata)?;
        let expected = request.if_version.as_deref().map(Expected::parse).transpose()?;
        let deadline = request.deadline;
        for _ in 0..RACES {
            let state = self.state(server, path, deadline)?.filter(State::is_alive);
            if let Some(expected) = &expected {
                if state.as_ref().is_some_and(|state| !state.counts_metadata()) {
                    return Err(Error::unsupported(
                        "this server does not count the versions of metadata",
                    ));
                }
                expected.check(state.as_ref())?;
            }
            let state = state.ok_or_else(Error::not_found)?;
            let (had, mut custom) = (state.custom(), given.clone());
            metadata::keep_kind(&had, &mut custom);
            let cas = state.current_metadata_version;
            if custom == had {
                return Ok(MetadataWritten::new().of_version(state.version()));
            }
            if self.put_custom(server, path, &custom, cas, deadline)? {
                // The server increments the version by one, and does not report it.
                let version = cas.map(|cas| format!("{}.{}", state.current_version, cas + 1));
                let mut written = MetadataWritten::new();
                written.version = version;
                return Ok(written);
            }
            if expected.is_some() {
                return Err(Error::conflict());
            }
        }
        Err(others_write(path))
    }

    /// Deletes the newest version, which can be undeleted.
    pub(super) fn remove(
        &self,
        server: &mut Server,
        path: &str,
        request: &RemoveRequest,
    ) -> Result<()> {
        let deadline = request.deadline;
        if let Some(expected) = &request.if_version {
            return self.remove_version(server, path, &Expected::parse(expected)?, deadline);
        }
        match self.state(server, path, deadline) {
            Ok(state) => drop(state.filter(State::is_alive).ok_or_else(Error::not_found)?),
            Err(error) if is_denied(&error) => drop(self.get(server, path, None, deadline)?),
            Err(error) => return Err(error),
        }
        let path = self.at("data", path);
        server.succeed(&Ask::delete(&path), deadline).map(drop)
    }

    /// Deletes the version that is expected to be the newest. If another writer adds a version
    /// meanwhile, that version stays and the deleted one is restored.
    fn remove_version(
        &self,
        server: &mut Server,
        path: &str,
        expected: &Expected,
        deadline: Deadline,
    ) -> Result<()> {
        expected.check(self.state(server, path, deadline)?.filter(State::is_alive).as_ref())?;
        let version = expected.version;
        self.change(server, "delete", path, &[version], deadline)?;
        let state = self.state(server, path, deadline)?;
        if state.is_some_and(|state| state.current_version != version) {
            self.change(server, "undelete", path, &[version], deadline)?;
            return Err(Error::conflict());
        }
        Ok(())
    }

    /// Restores the newest version, or another deleted one.
    pub(super) fn restore(
        &self,
        server: &mut Server,
        path: &str,
        request: &RestoreRequest,
    ) -> Result<Restored> {
        let deadline = request.deadline;
        let state = self.state(server, path, deadline)?.ok_or_else(Error::not_found)?;
        let version = match &request.version {
            Some(version) => number(version)?,
            None => state.current_version,
        };
        let one = state.one(version).ok_or_else(|| no_such_version(version))?;
        if one.destroyed {
            return Err(Error::new(
                ErrorKind::NotFound,
                format!("version {version} is destroyed for good"),
            ));
        }
        if one.is_alive() {
            return Err(Error::already_exists());
        }
        self.change(server, "undelete", path, &[version], deadline)?;
        Ok(Restored::new().of_version(state.current_version.to_string()))
    }

    /// Removes a secret, or one of its versions, permanently.
    pub(super) fn purge(
        &self,
        server: &mut Server,
        path: &str,
        request: &PurgeRequest,
    ) -> Result<Purged> {
        let deadline = request.deadline;
        let state = self.state(server, path, deadline)?;
        let state = state.filter(|state| state.current_version > 0);
        let state = state.ok_or_else(Error::not_found)?;
        match &request.version {
            None => self.erase(server, path, deadline)?,
            Some(version) => {
                let version = number(version)?;
                state.one(version).ok_or_else(|| no_such_version(version))?;
                self.change(server, "destroy", path, &[version], deadline)?;
            }
        }
        Ok(Purged::new())
    }

    /// Changes the state of versions with `delete`, `undelete` or `destroy`.
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
    number.ok_or_else(|| not_a_version(text))
}

fn not_a_version(text: &str) -> Error {
    Error::invalid(format!("`{}` is no version's number", text.escape_debug()))
}

/// An expected version: that of the value, and that of the metadata if the caller gave it.
struct Expected {
    version: u64,
    metadata: Option<u64>,
}

impl Expected {
    fn parse(text: &str) -> Result<Self> {
        let (version, metadata) = match text.split_once('.') {
            Some((version, metadata)) => (version, Some(metadata)),
            None => (text, None),
        };
        let metadata = metadata.map(|text| text.parse::<u64>()).transpose();
        let metadata = metadata.map_err(|_| not_a_version(text))?;
        Ok(Self { version: number(version)?, metadata })
    }

    /// Checks that a secret still has the expected version.
    fn check(&self, state: Option<&State>) -> Result<()> {
        let state = state.ok_or_else(Error::not_found)?;
        let is_metadata = match self.metadata {
            None => true,
            Some(expected) => state.current_metadata_version == Some(expected),
        };
        match state.current_version == self.version && is_metadata {
            true => Ok(()),
            false => Err(Error::conflict()),
        }
    }
}

fn others_write(path: &str) -> Error {
    Error::unavailable(format!("others keep writing `{path}`: it was not written"))
}

fn no_such_version(version: u64) -> Error {
    Error::detailed(ErrorDetail::NoSuchVersion, format!("the secret has no version {version}"))
}

fn is_denied(error: &Error) -> bool {
    error.kind() == ErrorKind::PermissionDenied
}

/// Returns the error for a missing secret, with the reason if the server gives one.
fn missing(answer: &Answer<'_>, version: Option<u64>) -> Error {
    let read = answer.data.and_then(|data| serde_json::from_str::<Read<'_>>(data.get()).ok());
    let deleted = read.filter(|read| !read.metadata.one.is_alive());
    match (deleted, version) {
        (Some(read), _) if !read.metadata.one.destroyed => Error::detailed(
            ErrorDetail::Recoverable,
            format!("its version {} is deleted", read.metadata.version),
        ),
        (Some(read), _) => Error::new(
            ErrorKind::NotFound,
            format!("its version {} is destroyed", read.metadata.version),
        ),
        (None, Some(version)) => no_such_version(version),
        (None, None) => Error::not_found(),
    }
}

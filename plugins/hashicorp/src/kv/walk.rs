//! A listing: the folders of a vault one after the other, in the order of the bytes of their
//! names, a page at a time.

use std::collections::BTreeMap;

use keystead_plugin_api::{Deadline, Error, MAX_PAGE_ENTRIES, Result, SecretName};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::engine::Engine;
use super::state::State;
use super::two::Two;
use crate::answer::no_answer;
use crate::server::{Ask, Server};

/// How deep folders may lie in each other: a name of 1,024 bytes has no more parts than half.
const DEEPEST: usize = 512;

/// Where what is listed is.
pub(super) struct Place<'a> {
    pub(super) mount: &'a str,
    pub(super) prefix: &'a str,
    pub(super) engine: Engine,
    /// Whether the server lists names with their metadata, once that is known.
    pub(super) detailed: &'a mut Option<bool>,
}

/// How far a listing has come.
pub(crate) struct Walk {
    /// The folders that are not done, innermost last.
    folders: Vec<Folder>,
    /// The folder to begin with, until it is begun.
    begin: Option<String>,
    /// The name that the listing goes on behind.
    after: Option<String>,
}

/// A folder: its name in the vault, and what is left of its keys, first at the end.
struct Folder {
    name: String,
    keys: Vec<Key>,
}

/// What the server knows of a name.
pub(super) enum Known {
    /// No more than the name: version 1, or no right to look.
    Nothing,
    /// Its versions, alive or not.
    State(State),
}

/// A name, and what is known of it.
pub(super) type Found = (SecretName, Known);

/// A key, with what the server tells of it.
type Key = (String, Option<State>);

#[derive(Deserialize)]
struct Listed<'a> {
    keys: Vec<String>,
    #[serde(borrow, default)]
    key_info: Option<BTreeMap<String, &'a RawValue>>,
}

impl Walk {
    /// Returns a walk through all that may match a filter, behind this name.
    pub(super) fn new(filter: Option<&str>, after: Option<&str>) -> Self {
        // What stands before the first wildcard, as far as that is a folder.
        let fixed = filter.unwrap_or("*").split(['*', '?']).next().unwrap_or_default();
        let folder = fixed.rfind('/').map_or("", |at| &fixed[..=at]);
        let folder = match crate::settings::is_path(folder.trim_end_matches('/')) {
            true => folder,
            false => "",
        };
        Self {
            folders: Vec::new(),
            begin: Some(folder.to_owned()),
            after: after.map(str::to_owned),
        }
    }

    /// Returns the next page of what is wanted. Names that are not wanted fill no page: of a vault in
    /// which much was removed, most would be empty.
    pub(super) fn page(
        &mut self,
        server: &mut Server,
        mut place: Place<'_>,
        (limit, wants): (usize, fn(&Known) -> bool),
        deadline: Deadline,
    ) -> Result<(Vec<Found>, Option<String>)> {
        // Half of the time is for this page: the next one has a deadline of its own.
        let half = Deadline::after(deadline.remaining() / 2);
        if let Some(folder) = self.begin.take() {
            self.enter(server, &mut place, folder, deadline)?;
        }
        let limit = limit.clamp(1, MAX_PAGE_ENTRIES);
        let mut found = Vec::new();
        while let Some(folder) = self.folders.last_mut() {
            let Some((key, state)) = folder.keys.pop() else {
                self.folders.pop();
                continue;
            };
            let full = format!("{}{key}", folder.name);
            if key.ends_with('/') {
                if self.folders.len() >= DEEPEST {
                    continue;
                }
                self.enter(server, &mut place, full, deadline)?;
                continue;
            }
            // Longer than a name may be, or with a character that it may not have.
            let Ok(name) = SecretName::parse(&full) else { continue };
            let known = known(server, &place, &name, state, deadline)?;
            if wants(&known) {
                found.push((name, known));
            }
            let done = self.folders.iter().all(|folder| folder.keys.is_empty());
            if found.len() == limit || half.has_passed() {
                return Ok((found, Some(full).filter(|_| !done)));
            }
        }
        Ok((found, None))
    }

    /// Lists a folder, and takes what is behind the name that the listing goes on behind.
    fn enter(
        &mut self,
        server: &mut Server,
        place: &mut Place<'_>,
        name: String,
        deadline: Deadline,
    ) -> Result<()> {
        let mut keys = listed(server, place, &name, deadline)?;
        if let Some(after) = &self.after {
            keys.retain(|(key, _)| {
                let full = format!("{name}{key}");
                full > *after || (key.ends_with('/') && after.starts_with(&full))
            });
        }
        keys.sort_unstable_by(|(one, _), (other, _)| other.cmp(one));
        keys.dedup_by(|(one, _), (other, _)| one == other);
        self.folders.push(Folder { name, keys });
        Ok(())
    }
}

/// Returns the keys of a folder, with what the server tells of them.
fn listed(
    server: &mut Server,
    place: &mut Place<'_>,
    folder: &str,
    deadline: Deadline,
) -> Result<Vec<Key>> {
    let Place { mount, prefix, engine, .. } = *place;
    if engine == Engine::One {
        let path = format!("{mount}/{prefix}{folder}");
        return Ok(keys(server, &path, deadline)?.unwrap_or_default());
    }
    let plain = format!("{mount}/metadata/{prefix}{folder}");
    if *place.detailed != Some(false) {
        // OpenBao's; HashiCorp Vault has nothing there, and a policy may not allow it.
        let path = format!("{mount}/detailed-metadata/{prefix}{folder}");
        match keys(server, &path, deadline) {
            Ok(Some(keys)) => {
                *place.detailed = Some(true);
                return Ok(keys);
            }
            Ok(None) if *place.detailed == Some(true) => return Ok(Vec::new()),
            Ok(None) => {}
            Err(error) if is_passing(&error) => return Err(error),
            Err(_) => *place.detailed = Some(false),
        }
    }
    Ok(keys(server, &plain, deadline)?.unwrap_or_default())
}

/// Says whether an error has nothing to do with what was asked.
fn is_passing(error: &Error) -> bool {
    use keystead_plugin_api::ErrorKind::{Locked, TimedOut};
    matches!(error.kind(), Locked | TimedOut)
}

/// Returns the keys at a path, or nothing where the server says that there are none.
fn keys(server: &mut Server, path: &str, deadline: Deadline) -> Result<Option<Vec<Key>>> {
    let ask = Ask::list(path);
    let reply = server.ask(&ask, deadline)?;
    let Some(answer) = server.found(&ask, &reply)? else { return Ok(None) };
    let read = answer.data.and_then(|data| serde_json::from_str::<Listed<'_>>(data.get()).ok());
    let Listed { keys, key_info } = read.ok_or_else(|| no_answer(server.address()))?;
    let mut info = key_info.unwrap_or_default();
    let with_state = |key: String| {
        let state = info.remove(&key).and_then(|raw| serde_json::from_str(raw.get()).ok());
        (key, state)
    };
    Ok(Some(keys.into_iter().map(with_state).collect()))
}

/// Returns what the server knows of a name.
fn known(
    server: &mut Server,
    place: &Place<'_>,
    name: &SecretName,
    state: Option<State>,
    deadline: Deadline,
) -> Result<Known> {
    if place.engine == Engine::One {
        return Ok(Known::Nothing);
    }
    if let Some(state) = state {
        return Ok(Known::State(state));
    }
    let path = format!("{}{name}", place.prefix);
    match (Two { mount: place.mount }).state(server, &path, deadline) {
        // A name without a state was erased a moment ago.
        Ok(state) => Ok(Known::State(state.unwrap_or_default())),
        // Who may list but not look is told the name.
        Err(error) if error.kind() == keystead_plugin_api::ErrorKind::PermissionDenied => {
            Ok(Known::Nothing)
        }
        Err(error) => Err(error),
    }
}

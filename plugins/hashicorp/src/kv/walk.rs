//! Listing: visits the folders of a vault one after another, in byte order of their names, page by
//! page.

use std::collections::BTreeMap;

use keystead_plugin_api::{Deadline, Error, MAX_PAGE_ENTRIES, Result, SecretName};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::engine::Engine;
use super::state::State;
use super::two::Two;
use crate::answer::no_answer;
use crate::server::{Ask, Server};

/// Deepest nesting of folders: a name of 1,024 bytes has at most half as many parts.
const DEEPEST: usize = 512;

/// Location of the listed secrets.
pub(super) struct Place<'a> {
    pub(super) mount: &'a str,
    pub(super) prefix: &'a str,
    pub(super) engine: Engine,
    /// Whether the server lists names with their metadata; `None` if not known yet.
    pub(super) detailed: &'a mut Option<bool>,
}

/// Progress of a listing.
pub(crate) struct Walk {
    /// Unfinished folders, innermost last.
    folders: Vec<Folder>,
    /// Folder to start with; `None` once started.
    begin: Option<String>,
    /// Name after which the listing continues.
    after: Option<String>,
}

/// A folder: its name in the vault, and its remaining keys, next one last.
struct Folder {
    name: String,
    keys: Vec<Key>,
}

/// Known state of a name.
pub(super) enum Known {
    /// Only the name: version 1, or a token without access to the metadata.
    Nothing,
    /// The secret's versions, deleted or not.
    State(State),
}

/// A name and its known state.
pub(super) type Found = (SecretName, Known);

/// A key, with its state if the server lists it.
type Key = (String, Option<State>);

#[derive(Deserialize)]
struct Listed<'a> {
    keys: Vec<String>,
    #[serde(borrow, default)]
    key_info: Option<BTreeMap<String, &'a RawValue>>,
}

impl Walk {
    /// Returns a walk over all names that may match a filter, starting after this name.
    pub(super) fn new(filter: Option<&str>, after: Option<&str>) -> Self {
        // The text before the first wildcard, up to its last slash.
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

    /// Returns the next page of wanted names. Other names do not count for the page size: otherwise
    /// a vault with many removed secrets would have mostly empty pages.
    pub(super) fn page(
        &mut self,
        server: &mut Server,
        mut place: Place<'_>,
        (limit, wants): (usize, fn(&Known) -> bool),
        deadline: Deadline,
    ) -> Result<(Vec<Found>, Option<String>)> {
        // This page uses half of the time: the next one has its own deadline.
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
            // Skips names that are too long or contain a forbidden character.
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

    /// Lists a folder, and keeps the keys after the name where the listing continues.
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

/// Returns the keys of a folder, with their states if the server lists them.
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
        // Only OpenBao has this path, and a policy may deny access.
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

/// Returns whether an error is independent of the request.
fn is_passing(error: &Error) -> bool {
    use keystead_plugin_api::ErrorKind::{Locked, TimedOut};
    matches!(error.kind(), Locked | TimedOut)
}

/// Returns the keys at a path; `None` if the server finds none.
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

/// Returns the known state of a name.
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
        // A name without a state was just erased.
        Ok(state) => Ok(Known::State(state.unwrap_or_default())),
        // A token that may list but not read metadata sees only the name.
        Err(error) if error.kind() == keystead_plugin_api::ErrorKind::PermissionDenied => {
            Ok(Known::Nothing)
        }
        Err(error) => Err(error),
    }
}

//! Secrets of a KV engine: the engine's version, the path of a name, and reads and writes in both
//! versions.

mod engine;
mod state;
mod two;
mod walk;

use keystead_plugin_api::{
    Deadline, DescribeRequest, Entry, Error, GetRequest, ListRemovedRequest, ListRequest, Metadata,
    MetadataWritten, Page, Parameters, PurgeRequest, Purged, RemoveRequest, Removed, RemovedPage,
    RestoreRequest, Restored, Result, Secret, SecretName, SetMetadataRequest, SetRequest,
    VersionPage, VersionsRequest, WriteMode, Written,
};

use crate::answer::Answer;
use crate::server::{Ask, Server};
use crate::settings::{folder, is_path};
use crate::{field, json};

pub(crate) use engine::{Engine, Mount};
pub(crate) use two::{Two, number};
use walk::{Found, Known, Walk};

/// Parameters of a listing.
struct Look<'a> {
    filter: Option<&'a str>,
    cursor: Option<&'a str>,
    limit: usize,
    deadline: Deadline,
    /// Returns whether a name belongs on the page.
    wants: fn(&Known) -> bool,
}

impl<'a> Look<'a> {
    fn at(
        cursor: &'a Option<String>,
        limit: usize,
        deadline: Deadline,
        wants: fn(&Known) -> bool,
    ) -> Self {
        Self { filter: None, cursor: cursor.as_deref(), limit, deadline, wants }
    }
}

/// One vault: a folder of a mount.
pub(crate) struct Kv {
    mount: String,
    /// Path prefix, with a final slash unless it is empty.
    prefix: String,
    engine: Option<Engine>,
    /// Position after the last page of a listing, with its cursor.
    walk: Option<(String, Walk)>,
    /// Whether the server lists names with their metadata; `None` if not known yet.
    detailed: Option<bool>,
}

impl Kv {
    /// Returns the vault for these parameters.
    ///
    /// # Errors
    /// `Invalid` if the mount, the prefix or the version is not valid.
    pub(crate) fn new(parameters: &Parameters) -> Result<Self> {
        let mount = folder("mount", parameters.text("mount").unwrap_or("secret"))?;
        if mount.is_empty() {
            return Err(Error::invalid("`mount` is empty"));
        }
        let mut prefix = folder("prefix", parameters.text("prefix").unwrap_or_default())?;
        if !prefix.is_empty() {
            prefix.push('/');
        }
        let engine = match parameters.integer("kv-version") {
            None => None,
            Some(1) => Some(Engine::One),
            Some(2) => Some(Engine::Two),
            Some(_) => return Err(Error::invalid("`kv-version` is 1 or 2")),
        };
        Ok(Self { mount, prefix, engine, walk: None, detailed: None })
    }

    /// Returns the engine's version, asking the server once.
    pub(crate) fn engine(&mut self, server: &mut Server, deadline: Deadline) -> Result<Engine> {
        if let Some(engine) = self.engine {
            return Ok(engine);
        }
        let engine = Engine::ask(server, &self.mount, deadline)?;
        self.engine = Some(engine);
        Ok(engine)
    }

    /// Returns the version 2 view of this vault.
    ///
    /// # Errors
    /// `Unsupported` if the engine is version 1.
    pub(crate) fn two(
        &mut self,
        server: &mut Server,
        what: &str,
        deadline: Deadline,
    ) -> Result<Two<'_>> {
        match self.engine(server, deadline)? {
            Engine::Two => Ok(Two { mount: &self.mount }),
            Engine::One => {
                let message =
                    format!("the mount `{}` is KV version 1: it keeps no {what}", self.mount);
                Err(Error::unsupported(message))
            }
        }
    }

    /// Returns the path of an existing secret.
    ///
    /// # Errors
    /// `NotFound` for a name that cannot be a path: no secret has that name.
    pub(crate) fn path(&self, name: &SecretName) -> Result<String> {
        self.new_path(name).map_err(|_| Error::not_found())
    }

    /// Returns the path of a name, relative to the mount's `data/` or `metadata/`.
    ///
    /// # Errors
    /// `Invalid` for a name that cannot be a path.
    fn new_path(&self, name: &SecretName) -> Result<String> {
        if is_path(name.as_str()) {
            return Ok(format!("{}{name}", self.prefix));
        }
        Err(Error::invalid(format!(
            "the server has no place for `{name}`: between slashes there is to be something, not \
             `.` and not `..`, and every character must be visible or a space"
        )))
    }

    pub(crate) fn get(&mut self, server: &mut Server, request: &GetRequest) -> Result<Secret> {
        let path = self.path(&request.name)?;
        let deadline = request.deadline;
        match self.engine(server, deadline)? {
            Engine::Two => {
                Two { mount: &self.mount }.get(server, &path, request.version.as_deref(), deadline)
            }
            Engine::One if request.version.is_some() => {
                self.two(server, "versions", deadline)?;
                Err(Error::not_found())
            }
            Engine::One => {
                let secret = self.one(server, &path, deadline)?;
                secret.ok_or_else(Error::not_found)
            }
        }
    }

    /// Reads a secret from a version 1 engine.
    fn one(&self, server: &mut Server, path: &str, deadline: Deadline) -> Result<Option<Secret>> {
        let path = format!("{}/{path}", self.mount);
        let ask = Ask::get(&path);
        let reply = server.ask(&ask, deadline)?;
        let Some(answer) = server.found(&ask, &reply)? else { return Ok(None) };
        let data = answer.data.ok_or_else(|| crate::answer::no_answer(server.address()))?;
        Ok(Some(Secret::new(field::read(data)?)))
    }

    pub(crate) fn set(&mut self, server: &mut Server, request: SetRequest) -> Result<Written> {
        let path = self.new_path(&request.name)?;
        field::check(&request.value)?;
        let deadline = request.deadline;
        if self.engine(server, deadline)? == Engine::Two {
            return Two { mount: &self.mount }.set(server, &path, &request);
        }
        if request.metadata.as_ref().is_some_and(|metadata| !metadata.is_empty()) {
            self.two(server, "metadata", deadline)?;
        }
        if request.if_version.is_some() {
            self.two(server, "versions", deadline)?;
        }
        // Version 1 cannot check and write in one step.
        if request.mode != WriteMode::Upsert {
            request.mode.check(self.one(server, &path, deadline)?.is_some())?;
        }
        let body = json::written(|to| field::write(to, &request.value))?;
        let path = format!("{}/{path}", self.mount);
        server.succeed(&Ask::post(&path, &body).harmless(), deadline).map(|_| Written::new())
    }

    pub(crate) fn remove(
        &mut self,
        server: &mut Server,
        request: &RemoveRequest,
    ) -> Result<Removed> {
        let path = self.path(&request.name)?;
        let deadline = request.deadline;
        if self.engine(server, deadline)? == Engine::Two {
            let two = Two { mount: &self.mount };
            return two.remove(server, &path, request).map(|()| Removed::new());
        }
        if request.if_version.is_some() {
            self.two(server, "versions", deadline)?;
        }
        // The server's reply is the same whether or not the secret exists.
        self.one(server, &path, deadline)?.ok_or_else(Error::not_found)?;
        let path = format!("{}/{path}", self.mount);
        server.succeed(&Ask::delete(&path), deadline).map(|_| Removed::new())
    }

    pub(crate) fn set_metadata(
        &mut self,
        server: &mut Server,
        request: &SetMetadataRequest,
    ) -> Result<MetadataWritten> {
        let path = self.path(&request.name)?;
        let two = self.two(server, "metadata", request.deadline)?;
        two.set_metadata(server, &path, request)
    }

    pub(crate) fn restore(
        &mut self,
        server: &mut Server,
        request: &RestoreRequest,
    ) -> Result<Restored> {
        let path = self.removed_path(&request.name, request.id.as_deref())?;
        self.two(server, "earlier versions", request.deadline)?.restore(server, &path, request)
    }

    pub(crate) fn purge(&mut self, server: &mut Server, request: &PurgeRequest) -> Result<Purged> {
        let path = self.removed_path(&request.name, request.id.as_deref())?;
        self.two(server, "earlier versions", request.deadline)?.purge(server, &path, request)
    }

    /// Returns the path of a removed secret. `NotFound` for a name that cannot be a path.
    fn removed_path(&self, name: &SecretName, id: Option<&str>) -> Result<String> {
        match id {
            None => self.path(name),
            Some(_) => Err(Error::invalid("this vault gives removed secrets no ids")),
        }
    }

    pub(crate) fn versions(
        &mut self,
        server: &mut Server,
        request: &VersionsRequest,
    ) -> Result<VersionPage> {
        let path = self.path(&request.name)?;
        let two = self.two(server, "earlier versions", request.deadline)?;
        let state = two.state(server, &path, request.deadline)?.ok_or_else(Error::not_found)?;
        if !state.is_alive() {
            return Err(Error::not_found());
        }
        VersionPage::of(state.versions(), request)
    }

    /// Returns the list entry of one secret.
    pub(crate) fn describe(
        &mut self,
        server: &mut Server,
        request: &DescribeRequest,
    ) -> Result<Entry> {
        let path = self.path(&request.name)?;
        let name = request.name.clone();
        if self.engine(server, request.deadline)? == Engine::One {
            self.one(server, &path, request.deadline)?.ok_or_else(Error::not_found)?;
            return Ok(Entry::new(name, None, Metadata::new()));
        }
        let two = Two { mount: &self.mount };
        let state = two.state(server, &path, request.deadline)?;
        let state = state.filter(state::State::is_alive).ok_or_else(Error::not_found)?;
        state.entry(name)
    }

    pub(crate) fn list(&mut self, server: &mut Server, request: &ListRequest) -> Result<Page> {
        let filter = request.prefix.as_deref().map(|prefix| format!("{prefix}*"));
        let filter = filter.as_deref().or(request.pattern.as_deref());
        let (found, next) = self.walk(
            server,
            Look {
                filter,
                ..Look::at(
                    &request.cursor,
                    request.limit,
                    request.deadline,
                    |known| !matches!(known, Known::State(state) if !state.is_alive()),
                )
            },
        )?;
        let entry = |(name, state): (SecretName, Known)| match state {
            Known::Nothing => Some(Ok(Entry::new(name, None, Metadata::new()))),
            Known::State(state) => state.is_alive().then(|| state.entry(name)),
        };
        let entries = found.into_iter().filter_map(entry).collect::<Result<_>>()?;
        Ok(Page::new(entries, next))
    }

    pub(crate) fn list_removed(
        &mut self,
        server: &mut Server,
        request: &ListRemovedRequest,
    ) -> Result<RemovedPage> {
        self.two(server, "removed secrets", request.deadline)?;
        let look = Look::at(
            &request.cursor,
            request.limit,
            request.deadline,
            |known| !matches!(known, Known::State(state) if !state.is_recoverable()),
        );
        let (found, next) = self.walk(server, look)?;
        let mut removed = Vec::new();
        for (name, state) in found {
            match state {
                Known::State(state) if state.is_recoverable() => removed.push(state.removed(name)),
                Known::State(_) => {}
                // Whether the secret was removed is unknown: skipping it would hide that.
                Known::Nothing => {
                    let message = format!("the token may not read the metadata of `{name}`");
                    return Err(Error::permission_denied(message));
                }
            }
        }
        Ok(RemovedPage::new(removed, next))
    }

    /// Returns one page of all names, and the cursor of the next page.
    fn walk(
        &mut self,
        server: &mut Server,
        look: Look<'_>,
    ) -> Result<(Vec<Found>, Option<String>)> {
        let engine = self.engine(server, look.deadline)?;
        let mut walk = match (self.walk.take(), look.cursor) {
            (Some((cursor, walk)), Some(after)) if cursor == *after => walk,
            _ => Walk::new(look.filter, look.cursor),
        };
        let place = walk::Place {
            mount: &self.mount,
            prefix: &self.prefix,
            engine,
            detailed: &mut self.detailed,
        };
        let (found, next) = walk.page(server, place, (look.limit, look.wants), look.deadline)?;
        self.walk = next.clone().map(|cursor| (cursor, walk));
        Ok((found, next))
    }

    /// Checks that secrets can be listed, and returns the engine's version.
    pub(crate) fn test(&mut self, server: &mut Server, deadline: Deadline) -> Result<Engine> {
        let engine = self.engine(server, deadline)?;
        let folder = match engine {
            Engine::One => format!("{}/{}", self.mount, self.prefix),
            Engine::Two => format!("{}/metadata/{}", self.mount, self.prefix),
        };
        let ask = Ask::list(&folder);
        let reply = server.ask(&ask, deadline)?;
        let is_nothing =
            Answer::read(&reply, server.address()).is_ok_and(|answer| answer.is_nothing(&reply));
        if reply.is_success() || is_nothing {
            Ok(engine)
        } else {
            Err(server.refused(&ask, &reply))
        }
    }

    /// Returns the mount for messages.
    pub(crate) fn mount(&self) -> &str {
        &self.mount
    }
}

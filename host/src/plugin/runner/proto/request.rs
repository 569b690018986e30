//! The calls of a vault on their way to the runner: borrowed where they are written,
//! owned where they are read.

use keystead_plugin_api as api;

use super::Kind;
use super::answer::Answer;
use super::shape::{self, Sealed};
use crate::codec::{Fault, Reader, Writer};

/// The most names that are asked for in one frame.
const MAX_MANY: usize = 100;

/// A call, as the host makes it.
pub(in crate::plugin::runner) enum Request<'a> {
    Open(&'a api::OpenRequest),
    Get(&'a api::GetRequest),
    Set(&'a api::SetRequest, Value),
    Remove(&'a api::GetRequest),
    List(&'a api::ListRequest),
    Describe(&'a api::GetRequest),
    SetMetadata(&'a api::GetRequest, &'a api::Metadata),
    Unlock(&'a api::UnlockRequest),
    Lock(api::Deadline),
    Test(api::Deadline),
    Unregister(api::Deadline),
    /// At most [`Request::MAX_MANY`] names, with the latest of their deadlines.
    GetMany(&'a [api::GetRequest], api::Deadline),
    Versions(&'a api::GetRequest),
    Actions(api::Deadline),
    Act(&'a api::ActRequest),
    /// Several, with the latest of their deadlines.
    SetMany(&'a [Write], api::Deadline),
}

/// One of several secrets to write, its value in its byte form.
pub(in crate::plugin::runner) struct Write {
    name: api::SecretName,
    value: Sealed,
    metadata: Option<api::Metadata>,
    mode: api::WriteMode,
    deadline: api::Deadline,
}

impl Write {
    /// Returns the secret with its value in its byte form, which takes the value's place.
    ///
    /// # Errors
    /// [`api::ErrorKind::Invalid`] when the value exceeds a limit.
    pub(in crate::plugin::runner) fn new(request: api::SetRequest) -> api::Result<Self> {
        Ok(Self {
            value: Sealed::new(&request.value)?,
            name: request.name,
            metadata: request.metadata,
            mode: request.mode,
            deadline: request.deadline,
        })
    }
}

/// The value of a [`Request::Set`], in its byte form.
pub(in crate::plugin::runner) struct Value(Sealed);

impl<'a> Request<'a> {
    /// The most names that are asked for in one frame.
    pub(in crate::plugin::runner) const MAX_MANY: usize = MAX_MANY;

    /// Returns the call that writes a secret.
    ///
    /// # Errors
    /// [`api::ErrorKind::Invalid`] when the value exceeds a limit.
    pub(in crate::plugin::runner) fn set(request: &'a api::SetRequest) -> api::Result<Self> {
        Ok(Self::Set(request, Value(Sealed::new(&request.value)?)))
    }

    /// Returns the frame's kind.
    pub(in crate::plugin::runner) fn kind(&self) -> Kind {
        match self {
            Self::Open(_) => Kind::Open,
            Self::Get(_) => Kind::Get,
            Self::Set(..) => Kind::Set,
            Self::Remove(_) => Kind::Remove,
            Self::List(_) => Kind::List,
            Self::Describe(_) => Kind::Describe,
            Self::SetMetadata(..) => Kind::SetMetadata,
            Self::Unlock(_) => Kind::Unlock,
            Self::Lock(_) => Kind::Lock,
            Self::Test(_) => Kind::Test,
            Self::Unregister(_) => Kind::Unregister,
            Self::GetMany(..) => Kind::GetMany,
            Self::Versions(_) => Kind::Versions,
            Self::Actions(_) => Kind::Actions,
            Self::Act(_) => Kind::Act,
            Self::SetMany(..) => Kind::SetMany,
        }
    }

    /// Returns until when the call should be done.
    pub(in crate::plugin::runner) fn deadline(&self) -> api::Deadline {
        match self {
            Self::Open(request) => request.deadline,
            Self::Get(request)
            | Self::Remove(request)
            | Self::Describe(request)
            | Self::SetMetadata(request, _)
            | Self::Versions(request) => request.deadline,
            Self::Set(request, _) => request.deadline,
            Self::List(request) => request.deadline,
            Self::Unlock(request) => request.deadline,
            Self::Act(request) => request.deadline,
            Self::Lock(deadline)
            | Self::Test(deadline)
            | Self::Unregister(deadline)
            | Self::GetMany(_, deadline)
            | Self::SetMany(_, deadline)
            | Self::Actions(deadline) => *deadline,
        }
    }

    /// Writes the body.
    pub(in crate::plugin::runner) fn write(&self, w: &mut Writer<'_>) {
        match self {
            Self::Open(request) => {
                w.deadline(request.deadline);
                w.text(request.vault.as_str());
                w.text(&request.kind);
                shape::write_parameters(w, &request.parameters);
                w.optional(request.session.as_ref(), shape::write_session);
            }
            Self::Get(request)
            | Self::Remove(request)
            | Self::Describe(request)
            | Self::Versions(request) => write_get(w, request),
            Self::Set(request, value) => write_set(
                w,
                &request.name,
                &value.0,
                request.metadata.as_ref(),
                request.mode,
                request.deadline,
            ),
            Self::List(request) => {
                w.deadline(request.deadline);
                w.optional(request.after.as_deref(), |w, after| w.text(after));
                w.count(request.limit);
                w.optional(request.filter.as_deref(), |w, filter| w.text(filter));
            }
            Self::SetMetadata(request, metadata) => {
                write_get(w, request);
                shape::write_metadata(w, metadata);
            }
            Self::Unlock(request) => {
                w.deadline(request.deadline);
                w.text(&request.challenge);
                shape::write_answers(w, &request.answers);
            }
            Self::GetMany(requests, _) => {
                w.count(requests.len());
                for request in *requests {
                    write_get(w, request);
                }
            }
            Self::SetMany(writes, _) => {
                w.count(writes.len());
                for write in *writes {
                    let metadata = write.metadata.as_ref();
                    let (name, value) = (&write.name, &write.value);
                    write_set(w, name, value, metadata, write.mode, write.deadline);
                }
            }
            Self::Act(request) => {
                w.deadline(request.deadline);
                w.text(&request.action);
                shape::write_parameters(w, &request.parameters);
            }
            Self::Lock(deadline)
            | Self::Test(deadline)
            | Self::Unregister(deadline)
            | Self::Actions(deadline) => w.deadline(*deadline),
        }
    }
}

fn write_get(w: &mut Writer<'_>, request: &api::GetRequest) {
    w.deadline(request.deadline);
    shape::write_name(w, &request.name);
    w.optional(request.version.as_deref(), |w, version| w.text(version));
}

fn write_set(
    w: &mut Writer<'_>,
    name: &api::SecretName,
    value: &Sealed,
    metadata: Option<&api::Metadata>,
    mode: api::WriteMode,
    deadline: api::Deadline,
) {
    w.deadline(deadline);
    shape::write_name(w, name);
    value.write(w);
    w.optional(metadata, shape::write_metadata);
    w.u32(mode.code());
}

fn get(r: &mut Reader<'_>) -> Result<api::GetRequest, Fault> {
    let deadline = r.deadline()?;
    let mut request = api::GetRequest::new(shape::name(r)?, deadline);
    request.version = r.optional(shape::text)?;
    Ok(request)
}

/// A call, as the runner has read it.
#[derive(Debug)]
pub(in crate::plugin::runner) enum Asked {
    Open(api::OpenRequest),
    Get(api::GetRequest),
    Set(api::SetRequest),
    Remove(api::GetRequest),
    List(api::ListRequest),
    Describe(api::GetRequest),
    SetMetadata(api::GetRequest, api::Metadata),
    Unlock(api::UnlockRequest),
    Lock(api::Deadline),
    Test(api::Deadline),
    Unregister(api::Deadline),
    GetMany(Vec<api::GetRequest>),
    Versions(api::GetRequest),
    Actions(api::Deadline),
    Act(api::ActRequest),
    SetMany(Vec<api::SetRequest>),
}

impl Asked {
    /// Reads the body of a frame of this kind.
    pub(in crate::plugin::runner) fn read(kind: Kind, body: &[u8]) -> Result<Self, Fault> {
        let r = &mut Reader::new(body);
        let asked = match kind {
            Kind::Open => Self::Open(open(r)?),
            Kind::Get => Self::Get(get(r)?),
            Kind::Set => Self::Set(set(r)?),
            Kind::Remove => Self::Remove(get(r)?),
            Kind::List => Self::List(list(r)?),
            Kind::Describe => Self::Describe(get(r)?),
            Kind::SetMetadata => {
                let request = get(r)?;
                Self::SetMetadata(request, shape::metadata(r)?)
            }
            Kind::Unlock => {
                let deadline = r.deadline()?;
                let challenge = shape::text(r)?;
                let answers = shape::answers(r)?;
                Self::Unlock(api::UnlockRequest::new(challenge, answers, deadline))
            }
            Kind::Lock => Self::Lock(r.deadline()?),
            Kind::Test => Self::Test(r.deadline()?),
            Kind::Unregister => Self::Unregister(r.deadline()?),
            Kind::GetMany => {
                let count = r.count(MAX_MANY, "more than 100 names at once")?;
                let mut requests = Vec::with_capacity(count);
                for _ in 0..count {
                    requests.push(get(r)?);
                }
                Self::GetMany(requests)
            }
            Kind::Versions => Self::Versions(get(r)?),
            Kind::Actions => Self::Actions(r.deadline()?),
            Kind::Act => {
                let deadline = r.deadline()?;
                let action = shape::text(r)?;
                Self::Act(api::ActRequest::new(action, shape::parameters(r)?, deadline))
            }
            Kind::SetMany => {
                let count =
                    r.count(api::MAX_SET_MANY, "more than 1000 secrets to write at once")?;
                let mut requests = Vec::with_capacity(count);
                for _ in 0..count {
                    requests.push(set(r)?);
                }
                Self::SetMany(requests)
            }
            _ => return Err(Fault::new("a frame that is no call")),
        };
        r.end()?;
        Ok(asked)
    }

    /// Makes the call.
    ///
    /// # Errors
    /// What the vault answers; [`api::ErrorKind::Internal`] where its answer exceeds the
    /// contract's limits; [`api::ErrorKind::Invalid`] for a second `open`.
    pub(in crate::plugin::runner) fn answer(
        self,
        vault: &mut dyn api::Vault,
    ) -> api::Result<Answer> {
        let done = |()| Answer::Nothing;
        match self {
            Self::Open(_) => Err(api::Error::invalid("the vault is open already")),
            Self::Get(request) => Answer::secret(vault.get(&request)?),
            Self::Set(request) => vault.set(request).map(done),
            Self::Remove(request) => vault.remove(&request).map(done),
            Self::List(request) => vault.list(&request).map(Answer::Page),
            Self::Describe(request) => vault.describe(&request).map(Answer::Entry),
            Self::SetMetadata(request, metadata) => {
                vault.set_metadata(&request, metadata).map(done)
            }
            Self::Unlock(request) => vault.unlock(&request).map(Answer::Session),
            Self::Lock(deadline) => vault.lock(deadline).map(done),
            Self::Test(deadline) => vault.test(deadline).map(done),
            Self::Unregister(deadline) => vault.unregister(deadline).map(done),
            Self::GetMany(requests) => vault.get_many(&requests).map(Answer::many),
            Self::Versions(request) => vault.versions(&request).map(Answer::Versions),
            Self::Actions(deadline) => vault.actions(deadline).map(Answer::Actions),
            Self::Act(request) => Answer::outcome(vault.act(&request)?),
            Self::SetMany(requests) => vault.set_many(requests).map(Answer::Written),
        }
    }
}

fn open(r: &mut Reader<'_>) -> Result<api::OpenRequest, Fault> {
    let deadline = r.deadline()?;
    let vault = r.text(api::MAX_VAULT_NAME_BYTES, "a vault's name of more than 64 bytes")?;
    let vault =
        api::VaultName::parse(vault).map_err(|_| Fault::new("a vault's name that is none"))?;
    let kind = shape::text(r)?;
    let parameters = shape::parameters(r)?;
    let mut request = api::OpenRequest::new(vault, kind, parameters, deadline);
    request.session = r.optional(shape::session)?;
    Ok(request)
}

fn set(r: &mut Reader<'_>) -> Result<api::SetRequest, Fault> {
    let deadline = r.deadline()?;
    let name = shape::name(r)?;
    let mut request = api::SetRequest::new(name, shape::value(r)?, deadline);
    request.metadata = r.optional(shape::metadata)?;
    request.mode = api::WriteMode::from_code(r.u32()?)
        .ok_or_else(|| Fault::new("an unknown mode of writing"))?;
    Ok(request)
}

fn list(r: &mut Reader<'_>) -> Result<api::ListRequest, Fault> {
    let mut request = api::ListRequest::new(r.deadline()?);
    request.after = r.optional(shape::text)?;
    request.limit = r.u32()? as usize;
    if !(1..=api::MAX_PAGE_ENTRIES).contains(&request.limit) {
        return Err(Fault::new("a page's limit outside 1 to 1000"));
    }
    request.filter = r.optional(shape::text)?;
    Ok(request)
}

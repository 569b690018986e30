//! The host's side of a vault that is behind a boundary: each call of the contract as bytes, and its
//! reply as what the contract says.

use super::call::Method;
use super::merged;
use super::wire::{self, encode, One, SetMetadata, Wire};
use crate::error::{Error, ErrorKind, Result};
use crate::metadata::Metadata;
use crate::vault::*;

/// Takes calls to a vault and brings its replies back: to a library in this process, or to another
/// process.
pub trait Carrier {
    /// Makes a call and hands its reply to `read`, once.
    ///
    /// # Errors
    /// What kept the call from being made, or its reply from coming back.
    fn carry(&mut self, call: Call<'_>, read: &mut dyn FnMut(&[u8])) -> Result<Carried>;
}

/// A call on its way to a vault.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    /// Which.
    pub method: Method,
    /// The request's byte form.
    pub request: &'a [u8],
    /// Until when.
    pub deadline: Deadline,
}

/// The most secrets that are asked for in one call.
const MAX_AT_ONCE: usize = 100;

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carried {
    /// `read` has the reply.
    Replied,
    /// The reply is larger than a reply may be; there is none.
    TooMuch,
}

/// A vault behind a carrier.
#[derive(Debug)]
pub struct Client<C>(C);

impl<C> Client<C> {
    /// Returns the vault that this carrier leads to.
    pub fn new(carrier: C) -> Self {
        Self(carrier)
    }

    /// Returns the carrier.
    pub fn carrier(&self) -> &C {
        &self.0
    }

    /// Returns the carrier.
    pub fn carrier_mut(&mut self) -> &mut C {
        &mut self.0
    }

    /// Returns the carrier.
    pub fn into_carrier(self) -> C {
        self.0
    }
}

impl<C: Carrier> Client<C> {
    /// Makes a call; `None` where the reply is too large.
    fn ask<Answer: Wire>(
        &mut self,
        method: Method,
        request: &impl Wire,
        deadline: Deadline,
    ) -> Result<Option<Answer>> {
        let request = encode(request)?;
        let mut reply = None;
        let call = Call { method, request: request.expose(), deadline };
        let carried = self.0.carry(call, &mut |bytes| reply = Some(wire::decode_reply(bytes)))?;
        match (carried, reply) {
            (Carried::Replied, Some(reply)) => match reply? {
                Some(answer) => Ok(Some(answer)),
                None => Err(unknown(method)),
            },
            (Carried::Replied, None) => Err(Error::internal("the vault did not answer")),
            (Carried::TooMuch, _) => Ok(None),
        }
    }

    fn call<Answer: Wire>(
        &mut self,
        method: Method,
        request: &impl Wire,
        deadline: Deadline,
    ) -> Result<Answer> {
        self.ask(method, request, deadline)?
            .ok_or_else(|| Error::internal("the vault's answer is larger than an answer may be"))
    }

    /// Makes a call that says nothing but its deadline.
    fn plain<Answer: Wire>(&mut self, method: Method, deadline: Deadline) -> Result<Answer> {
        self.call(method, &One(deadline), deadline)
    }
}

/// The error where the plugin is older than the call.
fn unknown(method: Method) -> Error {
    let name = method.as_str();
    Error::unsupported(format!("the plugin was built before there was the call `{name}`"))
}

/// Returns the latest of several deadlines.
fn latest<'a, T: 'a>(all: &'a [T], deadline: impl Fn(&T) -> Deadline) -> Option<Deadline> {
    all.iter().map(deadline).max_by_key(|deadline| deadline.remaining())
}

impl<C: Carrier + Send> Vault for Client<C> {
    fn get(&mut self, request: &GetRequest) -> Result<Secret> {
        self.call(Method::Get, request, request.deadline)
    }

    fn list(&mut self, request: &ListRequest) -> Result<Page> {
        let page: Page = self.call(Method::List, request, request.deadline)?;
        if page.entries.len() > request.limit {
            return Err(Error::internal(format!(
                "the page has {} entries; {} were asked for",
                page.entries.len(),
                request.limit
            )));
        }
        if page.next.is_some() && page.next == request.after {
            return Err(Error::internal("the page's cursor does not advance"));
        }
        Ok(page)
    }

    fn describe(&mut self, request: &GetRequest) -> Result<Entry> {
        self.call(Method::Describe, request, request.deadline)
    }

    fn set(&mut self, request: SetRequest) -> Result<()> {
        self.call(Method::Set, &request, request.deadline)
    }

    fn set_many(&mut self, requests: Vec<SetRequest>) -> Result<Vec<Result<()>>> {
        SetRequest::check_many(&requests)?;
        // A value that exceeds a limit is refused alone.
        let mut sent = Vec::with_capacity(requests.len());
        let results: Vec<Result<()>> = requests
            .into_iter()
            .map(|request| request.value.encoded_len().map(|_| sent.push(request)))
            .collect();
        let answers = match latest(&sent, |request| request.deadline) {
            Some(deadline) => {
                let sent = One(sent);
                self.call::<One<Vec<_>>>(Method::SetMany, &sent, deadline)?.0
            }
            None => Vec::new(),
        };
        merged(results, answers)
    }

    fn remove(&mut self, request: &GetRequest) -> Result<()> {
        self.call(Method::Remove, request, request.deadline)
    }

    fn set_metadata(&mut self, request: &GetRequest, metadata: Metadata) -> Result<()> {
        let request = SetMetadata { secret: request.clone(), metadata };
        self.call(Method::SetMetadata, &request, request.secret.deadline)
    }

    fn unlock(&mut self, request: &UnlockRequest) -> Result<Option<Session>> {
        self.call::<One<_>>(Method::Unlock, request, request.deadline).map(|session| session.0)
    }

    fn lock(&mut self, deadline: Deadline) -> Result<()> {
        self.plain(Method::Lock, deadline)
    }

    fn test(&mut self, deadline: Deadline) -> Result<()> {
        self.plain(Method::Test, deadline)
    }

    fn unregister(&mut self, deadline: Deadline) -> Result<()> {
        self.plain(Method::Unregister, deadline)
    }

    fn get_many(&mut self, requests: &[GetRequest]) -> Result<Vec<Result<Secret>>> {
        if requests.len() > MAX_GET_MANY {
            return Err(Error::invalid(format!(
                "{} secrets were asked for at once; the most is {MAX_GET_MANY}",
                requests.len()
            )));
        }
        let mut results = Vec::with_capacity(requests.len());
        for some in requests.chunks(MAX_AT_ONCE) {
            let deadline = latest(some, |request| request.deadline).expect("no chunk is empty");
            let request = One(some.to_vec());
            match self.ask::<One<Vec<Result<Secret>>>>(Method::GetMany, &request, deadline)? {
                Some(One(secrets)) if secrets.len() == some.len() => results.extend(secrets),
                Some(One(secrets)) => {
                    return Err(Error::internal(format!(
                        "{} secrets were asked for and {} came back",
                        some.len(),
                        secrets.len()
                    )))
                }
                // Too large together: one by one they are not.
                None => {
                    for request in some {
                        match self.get(request) {
                            Err(error) if error.kind() == ErrorKind::Locked => return Err(error),
                            result => results.push(result),
                        }
                    }
                }
            }
        }
        Ok(results)
    }

    fn versions(&mut self, request: &GetRequest) -> Result<Vec<Version>> {
        self.call::<One<_>>(Method::Versions, request, request.deadline).map(|versions| versions.0)
    }

    fn actions(&mut self, deadline: Deadline) -> Result<Vec<Action>> {
        self.plain::<One<_>>(Method::Actions, deadline).map(|actions| actions.0)
    }

    fn act(&mut self, request: &ActRequest) -> Result<Outcome> {
        self.call(Method::Act, request, request.deadline)
    }

    #[cfg(feature = "next")]
    fn health(&mut self, deadline: Deadline) -> Result<std::collections::BTreeMap<String, String>> {
        match self.plain::<One<Vec<(String, String)>>>(Method::Health, deadline) {
            // An older plugin: what the plain trait does by default.
            Err(error) if error == unknown(Method::Health) => Ok(Default::default()),
            health => Ok(health?.0.into_iter().collect()),
        }
    }
}

//! The host's side of a vault that is behind a boundary: each call of the contract as bytes, and its
//! reply as what the contract says.

use super::call::Method;
use super::merged;
#[cfg(feature = "next")]
use super::wire::One;
use super::wire::{self, encode, Wire};
use crate::error::{Error, ErrorKind, Result};
use crate::value::SecretBytes;
use crate::vault::*;

#[cfg(test)]
mod tests;

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
    /// Returns the request's byte form, with what is left of its deadline now.
    pub request: &'a dyn Fn() -> Result<SecretBytes>,
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
        let encoded = || {
            let bytes = encode(request)?;
            let (len, most) = (bytes.expose().len(), method.max_request());
            if len > most {
                let what = format!("the request has {len} bytes; the most is {most}");
                return Err(Error::invalid(what));
            }
            Ok(bytes)
        };
        let mut reply = None;
        let call = Call { method, request: &encoded, deadline };
        let carried = self.0.carry(call, &mut |bytes| {
            let read = wire::decode_reply(bytes);
            reply = Some(match read {
                // It was done: `Unsupported` would say that it was not.
                Err(unreadable) if wire::is_answer(bytes) && !method.only_reads() => {
                    Err(Error::internal(unreadable.message()))
                }
                read => read,
            });
        })?;
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
}

/// The error where the plugin is older than the call.
fn unknown(method: Method) -> Error {
    let name = method.as_str();
    Error::unsupported(format!("the plugin was built before there was the call `{name}`"))
}

/// Checks what every page keeps.
///
/// # Errors
/// [`ErrorKind::Internal`] where it has more than was asked for, or leads to itself.
pub fn check_page(
    found: usize,
    limit: usize,
    next: &Option<String>,
    cursor: &Option<String>,
) -> Result<()> {
    if found > limit {
        return Err(Error::internal(format!(
            "the page has {found} entries; {limit} were asked for"
        )));
    }
    if next.is_some() && next == cursor {
        return Err(Error::internal("the page's cursor does not advance"));
    }
    Ok(())
}

/// Checks that no more secrets are asked for at once than may be.
///
/// # Errors
/// [`ErrorKind::Invalid`] with both numbers.
pub fn check_get_many(asked: usize) -> Result<()> {
    if asked > MAX_GET_MANY {
        return Err(Error::invalid(format!(
            "{asked} secrets were asked for at once; the most is {MAX_GET_MANY}"
        )));
    }
    Ok(())
}

/// Checks that each request for a secret has an answer.
///
/// # Errors
/// [`ErrorKind::Internal`] with both numbers.
pub fn check_got_many(asked: usize, found: usize) -> Result<()> {
    if found != asked {
        return Err(Error::internal(format!(
            "{asked} secrets were asked for and {found} came back"
        )));
    }
    Ok(())
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
        check_page(page.entries.len(), request.limit, &page.next_cursor, &request.cursor)?;
        Ok(page)
    }

    fn describe(&mut self, request: &DescribeRequest) -> Result<Entry> {
        self.call(Method::Describe, request, request.deadline)
    }

    fn set(&mut self, request: SetRequest) -> Result<Written> {
        request.check_metadata()?;
        self.call(Method::Set, &request, request.deadline)
    }

    fn set_many(&mut self, request: SetManyRequest) -> Result<SetManyResults> {
        let requests = request.requests;
        SetRequest::check_many(&requests)?;
        // What may not be written is refused alone.
        let mut sent = Vec::with_capacity(requests.len());
        let mut check = |request: SetRequest| {
            request.value.encoded_len()?;
            request.check_metadata()?;
            sent.push(request);
            Ok(())
        };
        let results: Vec<Result<()>> = requests.into_iter().map(&mut check).collect();
        let answers = match latest(&sent, |request| request.deadline) {
            Some(deadline) => {
                let sent = SetManyRequest::new(sent);
                self.call::<SetManyResults>(Method::SetMany, &sent, deadline)?.results
            }
            None => Vec::new(),
        };
        merged(results, answers).map(SetManyResults::new)
    }

    fn remove(&mut self, request: &RemoveRequest) -> Result<Removed> {
        self.call(Method::Remove, request, request.deadline)
    }

    fn rename(&mut self, request: &RenameRequest) -> Result<Renamed> {
        self.call(Method::Rename, request, request.deadline)
    }

    fn set_metadata(&mut self, request: SetMetadataRequest) -> Result<MetadataWritten> {
        request.metadata.check_writable()?;
        self.call(Method::SetMetadata, &request, request.deadline)
    }

    fn unlock(&mut self, request: &UnlockRequest) -> Result<Unlocked> {
        self.call(Method::Unlock, request, request.deadline)
    }

    fn lock(&mut self, request: &LockRequest) -> Result<Locked> {
        self.call(Method::Lock, request, request.deadline)
    }

    fn test(&mut self, request: &TestRequest) -> Result<TestReport> {
        self.call(Method::Test, request, request.deadline)
    }

    fn unregister(&mut self, request: &UnregisterRequest) -> Result<Unregistered> {
        self.call(Method::Unregister, request, request.deadline)
    }

    fn get_many(&mut self, request: &GetManyRequest) -> Result<GetManyResults> {
        let requests = &request.requests;
        check_get_many(requests.len())?;
        let mut results = Vec::with_capacity(requests.len());
        for some in requests.chunks(MAX_AT_ONCE) {
            let deadline = latest(some, |request| request.deadline).expect("no chunk is empty");
            let request = GetManyRequest::new(some.to_vec());
            match self.ask::<GetManyResults>(Method::GetMany, &request, deadline)? {
                Some(many) => {
                    check_got_many(some.len(), many.results.len())?;
                    results.extend(many.results);
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
        Ok(GetManyResults::new(results))
    }

    fn versions(&mut self, request: &VersionsRequest) -> Result<VersionPage> {
        let page: VersionPage = self.call(Method::Versions, request, request.deadline)?;
        check_page(page.versions.len(), request.limit, &page.next_cursor, &request.cursor)?;
        Ok(page)
    }

    fn list_removed(&mut self, request: &ListRemovedRequest) -> Result<RemovedPage> {
        let page: RemovedPage = self.call(Method::ListRemoved, request, request.deadline)?;
        check_page(page.secrets.len(), request.limit, &page.next_cursor, &request.cursor)?;
        Ok(page)
    }

    fn restore(&mut self, request: &RestoreRequest) -> Result<Restored> {
        self.call(Method::Restore, request, request.deadline)
    }

    fn purge(&mut self, request: &PurgeRequest) -> Result<Purged> {
        self.call(Method::Purge, request, request.deadline)
    }

    fn rules(&mut self, request: &RulesRequest) -> Result<Rules> {
        match self.call(Method::Rules, request, request.deadline) {
            // An older plugin: what the plain trait does by default.
            Err(error) if error == unknown(Method::Rules) => Ok(Rules::new(NameEquality::Unknown)),
            rules => rules,
        }
    }

    fn actions(&mut self, request: &ActionsRequest) -> Result<ActionList> {
        self.call(Method::Actions, request, request.deadline)
    }

    fn run_action(&mut self, request: &ActionRequest) -> Result<ActionOutcome> {
        self.call(Method::RunAction, request, request.deadline)
    }

    #[cfg(feature = "next")]
    fn health(&mut self, deadline: Deadline) -> Result<std::collections::BTreeMap<String, String>> {
        match self.call::<One<Vec<(String, String)>>>(Method::Health, &One(deadline), deadline) {
            // An older plugin: what the plain trait does by default.
            Err(error) if error == unknown(Method::Health) => Ok(Default::default()),
            health => Ok(health?.0.into_iter().collect()),
        }
    }
}

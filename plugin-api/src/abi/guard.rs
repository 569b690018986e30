//! What a host refuses for a vault, so that not every vault has to: what its kind does not declare,
//! names and values beyond its limits, actions it does not have, and answers to a challenge it did not
//! give last.

#[cfg(feature = "next")]
use std::collections::BTreeMap;
use std::fmt;

use super::{merged, Client};
use crate::error::{Error, ErrorKind, Result};
use crate::manifest::Capability;
use crate::name::SecretName;
use crate::value::{Value, ValueKind};
use crate::vault::*;

/// What holds a vault.
pub trait Holds: Send {
    /// Returns the vault.
    fn vault(&mut self) -> &mut dyn Vault;
}

impl Holds for Box<dyn Vault> {
    fn vault(&mut self) -> &mut dyn Vault {
        &mut **self
    }
}

impl<C> Holds for Client<C>
where
    Client<C>: Vault,
{
    fn vault(&mut self) -> &mut dyn Vault {
        self
    }
}

/// A vault that is never asked for what it need not answer.
pub struct Guarded<V> {
    inner: V,
    capabilities: Vec<Capability>,
    values: Vec<ValueKind>,
    /// The challenge that it gave last, until it is unlocked.
    challenge: Option<String>,
    /// The actions that it had last.
    actions: Vec<String>,
    /// What it can hold, once it has said so.
    rules: Option<Rules>,
}

impl<V: Holds> Guarded<V> {
    /// Returns a vault of a kind that declares these.
    pub fn new(
        inner: V,
        capabilities: impl Into<Vec<Capability>>,
        values: impl Into<Vec<ValueKind>>,
    ) -> Self {
        Self {
            inner,
            capabilities: capabilities.into(),
            values: values.into(),
            challenge: None,
            actions: Vec::new(),
            rules: None,
        }
    }

    /// Returns what holds the vault.
    pub fn inner(&self) -> &V {
        &self.inner
    }

    /// Returns what holds the vault.
    pub fn inner_mut(&mut self) -> &mut V {
        &mut self.inner
    }

    /// Makes a call, and keeps the challenge that it may be answered with.
    fn call<T>(&mut self, call: impl FnOnce(&mut dyn Vault) -> Result<T>) -> Result<T> {
        let answer = call(self.inner.vault());
        if let Err(error) = &answer {
            self.note(error);
        }
        answer
    }

    fn note(&mut self, error: &Error) {
        if let Some(challenge) = error.challenge() {
            self.challenge = Some(challenge.id.clone());
        }
    }

    fn needs(&self, capability: Capability, otherwise: &str) -> Result<()> {
        if self.capabilities.contains(&capability) {
            return Ok(());
        }
        Err(Error::unsupported(otherwise))
    }

    fn check_get(&self, request: &GetRequest) -> Result<()> {
        match request.version {
            Some(_) => self.needs(Capability::Versions, NO_VERSIONS),
            None => Ok(()),
        }
    }

    /// A vault that does not look at the version would write whatever was there.
    fn check_version(&self, version: &Option<String>) -> Result<()> {
        match version {
            Some(_) => self.needs(Capability::Conditional, "this vault compares no versions"),
            None => Ok(()),
        }
    }

    /// A vault is asked for its limits before it is written to first. One that cannot say them now is
    /// asked again.
    fn check_limits(
        &mut self,
        name: &SecretName,
        value: Option<&Value>,
        deadline: Deadline,
    ) -> Result<()> {
        if self.rules.is_none() {
            let _ = self.rules(&RulesRequest::new(deadline));
        }
        self.rules.as_ref().map_or(Ok(()), |rules| rules.check(name, value))
    }

    fn check_set(&mut self, request: &SetRequest) -> Result<()> {
        self.needs(Capability::Write, NOT_WRITTEN)?;
        self.check_version(&request.if_version)?;
        let kind = request.value.kind();
        if !self.values.contains(&kind) {
            return Err(Error::unsupported(format!("this vault holds no value of kind {kind}")));
        }
        match &request.metadata {
            Some(metadata) if !metadata.is_empty() => {
                self.needs(Capability::Metadata, NO_METADATA)?;
            }
            _ => {}
        }
        self.check_limits(&request.name, Some(&request.value), request.deadline)
    }
}

const NO_VERSIONS: &str = "this vault keeps no earlier versions";
const NOT_WRITTEN: &str = "this vault cannot be written to";
const NO_METADATA: &str = "this vault keeps no metadata";
const NEVER_LOCKED: &str = "this vault is never locked";

impl<V: Holds> Vault for Guarded<V> {
    fn get(&mut self, request: &GetRequest) -> Result<Secret> {
        self.check_get(request)?;
        self.call(|vault| vault.get(request))
    }

    fn list(&mut self, request: &ListRequest) -> Result<Page> {
        self.call(|vault| vault.list(request))
    }

    fn describe(&mut self, request: &DescribeRequest) -> Result<Entry> {
        self.call(|vault| vault.describe(request))
    }

    fn set(&mut self, request: SetRequest) -> Result<Written> {
        self.check_set(&request)?;
        self.call(|vault| vault.set(request))
    }

    fn set_many(&mut self, request: SetManyRequest) -> Result<SetManyResults> {
        let checked: Vec<_> = request.requests.iter().map(|one| self.check_set(one)).collect();
        if checked.iter().all(Result::is_ok) {
            return self.call(|vault| vault.set_many(request));
        }
        let passed = request.requests.into_iter().zip(&checked).filter(|(_, one)| one.is_ok());
        let passed: Vec<_> = passed.map(|(request, _)| request).collect();
        let answers = if passed.is_empty() {
            Vec::new()
        } else {
            self.call(|vault| vault.set_many(SetManyRequest::new(passed)))?.results
        };
        Ok(SetManyResults::new(merged(checked, answers)?))
    }

    fn remove(&mut self, request: &RemoveRequest) -> Result<Removed> {
        self.needs(Capability::Write, NOT_WRITTEN)?;
        self.check_version(&request.if_version)?;
        self.call(|vault| vault.remove(request))
    }

    fn rename(&mut self, request: &RenameRequest) -> Result<Renamed> {
        self.needs(Capability::Rename, "this vault renames no secrets")?;
        self.check_limits(&request.to, None, request.deadline)?;
        self.call(|vault| vault.rename(request))
    }

    fn set_metadata(&mut self, request: SetMetadataRequest) -> Result<MetadataWritten> {
        self.needs(Capability::Metadata, NO_METADATA)?;
        self.check_version(&request.if_version)?;
        self.call(|vault| vault.set_metadata(request))
    }

    fn unlock(&mut self, request: &UnlockRequest) -> Result<Unlocked> {
        self.needs(Capability::Unlock, NEVER_LOCKED)?;
        if self.challenge.as_deref() != Some(&*request.challenge) {
            return Err(Error::invalid("this vault did not give that challenge last"));
        }
        let unlocked = self.call(|vault| vault.unlock(request))?;
        self.challenge = None;
        Ok(unlocked)
    }

    fn lock(&mut self, request: &LockRequest) -> Result<Locked> {
        self.needs(Capability::Unlock, NEVER_LOCKED)?;
        self.challenge = None;
        self.call(|vault| vault.lock(request))
    }

    fn test(&mut self, request: &TestRequest) -> Result<TestReport> {
        self.call(|vault| vault.test(request))
    }

    fn unregister(&mut self, request: &UnregisterRequest) -> Result<Unregistered> {
        self.call(|vault| vault.unregister(request))
    }

    fn get_many(&mut self, request: &GetManyRequest) -> Result<GetManyResults> {
        if request.requests.iter().any(|one| self.check_get(one).is_err()) {
            // As the contract's own does it: a vault that is locked says so once.
            let mut results = Vec::with_capacity(request.requests.len());
            for one in &request.requests {
                match self.get(one) {
                    Err(error) if error.kind() == ErrorKind::Locked => return Err(error),
                    result => results.push(result),
                }
            }
            return Ok(GetManyResults::new(results));
        }
        let answer = self.call(|vault| vault.get_many(request))?;
        for error in answer.results.iter().filter_map(|result| result.as_ref().err()) {
            self.note(error);
        }
        Ok(answer)
    }

    fn versions(&mut self, request: &VersionsRequest) -> Result<VersionPage> {
        self.needs(Capability::Versions, NO_VERSIONS)?;
        self.call(|vault| vault.versions(request))
    }

    fn actions(&mut self, request: &ActionsRequest) -> Result<ActionList> {
        if !self.capabilities.contains(&Capability::Actions) {
            return Ok(ActionList::default());
        }
        let answer = self.call(|vault| vault.actions(request))?;
        self.actions = answer.actions.iter().map(|action| action.id.clone()).collect();
        Ok(answer)
    }

    fn run_action(&mut self, request: &ActionRequest) -> Result<ActionOutcome> {
        if !self.actions.contains(&request.action) {
            self.actions(&ActionsRequest::new(request.deadline))?;
        }
        if !self.actions.contains(&request.action) {
            let message = format!("this vault has no action `{}`", request.action);
            return Err(Error::unsupported(message));
        }
        self.call(|vault| vault.run_action(request))
    }

    fn list_removed(&mut self, request: &ListRemovedRequest) -> Result<RemovedPage> {
        self.needs(Capability::ListRemoved, "this vault does not list what was removed")?;
        self.call(|vault| vault.list_removed(request))
    }

    fn restore(&mut self, request: &RestoreRequest) -> Result<Restored> {
        self.needs(Capability::Restore, "this vault brings nothing back")?;
        self.call(|vault| vault.restore(request))
    }

    fn purge(&mut self, request: &PurgeRequest) -> Result<Purged> {
        self.needs(Capability::Purge, "this vault removes nothing for good")?;
        self.call(|vault| vault.purge(request))
    }

    fn rules(&mut self, request: &RulesRequest) -> Result<Rules> {
        let rules = self.call(|vault| vault.rules(request))?;
        self.rules = Some(rules.clone());
        Ok(rules)
    }

    #[cfg(feature = "next")]
    fn health(&mut self, deadline: Deadline) -> Result<BTreeMap<String, String>> {
        self.call(|vault| vault.health(deadline))
    }
}

impl<V> fmt::Debug for Guarded<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Guarded")
    }
}

#[cfg(test)]
mod tests;

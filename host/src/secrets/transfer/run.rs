//! Running a plan, secret by secret: read, write, read back, compare, and only then, for a
//! move, remove. Killed at any point, every secret is whole in the source or the target: unless
//! both are one place that is registered in two ways (docs/limits.md).

use keystead_plugin_api::{
    ErrorKind, Metadata, RemoveRequest, RenameRequest, Secret, SecretName, SetRequest, Value,
    VaultName, WriteMode,
};

use super::{Action, Carried, Error, IfRefused, IfThere, Plan, Planned, Source, Transfer, compare};
use crate::ask::Ask;
use crate::error::{Error as HostError, Result};
use crate::host::Host;
use crate::secrets::named;

/// One secret of a run.
#[derive(Debug)]
pub struct Step<'a> {
    /// What was planned for it.
    pub planned: &'a Planned,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of one secret.
#[derive(Debug)]
pub enum Outcome {
    /// The target has it, as it was read back, and did not have it before.
    Written,
    /// The target has it, as it was read back, instead of another.
    Replaced,
    /// The target had it already.
    Same,
    /// It was refused, and left out as was asked for.
    Skipped,
    /// It is in the source as before; what the target has, the error says.
    Failed(HostError),
}

impl Host {
    /// Copies or moves what was planned, and tells of each secret as it is done. What fails
    /// with one secret is its outcome, and the others go on.
    ///
    /// Nothing holds another program off: one that changes a secret of the source between
    /// the last look at it and its removal, a moment later, loses that change.
    ///
    /// # Errors
    /// [`Error::Refused`] before anything is written, unless such secrets are to be left
    /// out. In the middle of a run what concerns all that follow as well: that a vault is
    /// locked again and nobody unlocks it, that it cannot be opened, [`Error::Vanished`].
    pub fn transfer(
        &self,
        plan: &Plan,
        ask: &mut dyn Ask,
        each: &mut dyn FnMut(Step<'_>),
    ) -> Result<()> {
        if plan.transfer.if_refused == IfRefused::Stop
            && let Some(refused) = plan.refused()
        {
            return Err(refused.into());
        }
        for planned in &plan.planned {
            let outcome = match plan.one(self, planned, ask) {
                Ok(outcome) => outcome,
                Err(error) if ends_a_run(&error) => return Err(error),
                Err(error) => Outcome::Failed(error),
            };
            each(Step { planned, outcome });
        }
        Ok(())
    }
}

impl Plan {
    fn one(&self, host: &Host, planned: &Planned, ask: &mut dyn Ask) -> Result<Outcome> {
        let Planned { name, target, action } = planned;
        let (from, to) = (&self.transfer.from, &self.transfer.to);
        if matches!(action, Action::Refused(_)) {
            return Ok(Outcome::Skipped);
        }
        if self.renames && matches!(action, Action::Write) {
            let renamed = host.call(from, ask, &mut |open, deadline| {
                open.rename(&RenameRequest::new(name.clone(), target.clone(), deadline))
            });
            match renamed.map_err(|error| named(error, from, name)) {
                Ok(_) => return Ok(Outcome::Written),
                // The new name came since: what is there decides, below.
                Err(HostError::SecretExists { .. }) => {}
                // Its kind of vault renames, and this one does not.
                Err(HostError::Refused { answer, .. })
                    if answer.kind() == ErrorKind::Unsupported => {}
                Err(error) => return Err(error),
            }
        }
        let secret = host.read(from, name, ask)?;
        if self.transfer.carried == Carried::All {
            // It came after the plan was made, or with the vault's refusal to rename.
            let refused = |answer| HostError::Refused { vault: from.clone(), answer };
            secret.metadata.check_complete().map_err(refused)?;
        }
        if self.transfer.carried == Carried::All
            && !secret.metadata.is_empty()
            && !self.keeps_metadata
        {
            // It came after the plan was made.
            let answer = keystead_plugin_api::Error::unsupported("this vault keeps no metadata");
            return Err(HostError::Refused { vault: to.clone(), answer });
        }
        let outcome = self.put(host, action, target, &secret, ask)?;
        if self.transfer.source == Source::Removed {
            self.take_away(host, name, &secret, ask)?;
            self.see_it_is_still_there(host, target, &secret, ask)?;
        }
        Ok(outcome)
    }

    /// Sees to it that the target has the secret.
    fn put(
        &self,
        host: &Host,
        action: &Action,
        target: &SecretName,
        secret: &Secret,
        ask: &mut dyn Ask,
    ) -> Result<Outcome> {
        let to = &self.transfer.to;
        let is_same = |there: &Secret| compare::same(secret, there, self.transfer.carried);
        // What was planned may be true no longer: nothing is replaced that was not to be.
        let mut outcome = Outcome::Written;
        let mut mode = WriteMode::CreateOnly;
        if !matches!(action, Action::Write) {
            match host.read(to, target, ask) {
                Ok(there) if is_same(&there) => return Ok(Outcome::Same),
                Ok(_) if self.transfer.if_there == IfThere::Refuse => {
                    return Err(exists(to, target));
                }
                Ok(_) => (outcome, mode) = (Outcome::Replaced, WriteMode::Upsert),
                Err(HostError::NoSuchSecret { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        match self.write(host, target, secret, mode, ask) {
            Err(HostError::SecretExists { .. }) => {
                // Another program was quicker, perhaps with the same.
                if is_same(&host.read(to, target, ask)?) {
                    return Ok(Outcome::Same);
                }
                return Err(exists(to, target));
            }
            written => written?,
        }
        match host.read(to, target, ask) {
            Ok(there) if is_same(&there) => Ok(outcome),
            Ok(_) | Err(HostError::NoSuchSecret { .. }) => {
                Err(Error::NotKept { vault: to.clone(), name: target.clone() }.into())
            }
            Err(error) => Err(error),
        }
    }

    fn write(
        &self,
        host: &Host,
        target: &SecretName,
        secret: &Secret,
        mode: WriteMode,
        ask: &mut dyn Ask,
    ) -> Result<()> {
        let carried = self.transfer.carried == Carried::All && self.keeps_metadata;
        let metadata = carried.then_some(&secret.metadata);
        write(host, &self.transfer.to, target, &secret.value, metadata, mode, ask)
    }

    /// Removes from the source what the target has, unless somebody changed it meanwhile.
    fn take_away(
        &self,
        host: &Host,
        name: &SecretName,
        secret: &Secret,
        ask: &mut dyn Ask,
    ) -> Result<()> {
        let from = &self.transfer.from;
        match host.read(from, name, ask) {
            Ok(now) if compare::same(secret, &now, Carried::All) => {}
            Ok(_) => {
                return Err(Error::Changed { vault: from.clone(), name: name.clone() }.into());
            }
            // Another program took it away, and the target has it.
            Err(HostError::NoSuchSecret { .. }) => return Ok(()),
            Err(error) => return Err(error),
        }
        let removed = host.call(from, ask, &mut |open, deadline| {
            open.remove(&RemoveRequest::new(name.clone(), deadline)).map(drop)
        });
        match removed.map_err(|error| named(error, from, name)) {
            Ok(()) | Err(HostError::NoSuchSecret { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Puts back what went from the target as it was removed from the source: two
    /// registrations may keep their secrets in one place, which only shows here, and two
    /// programs may move one secret in opposite directions.
    fn see_it_is_still_there(
        &self,
        host: &Host,
        target: &SecretName,
        secret: &Secret,
        ask: &mut dyn Ask,
    ) -> Result<()> {
        let Transfer { from, to, .. } = &self.transfer;
        match host.read(to, target, ask) {
            Err(HostError::NoSuchSecret { .. }) => {}
            Ok(_) => return Ok(()),
            Err(error) => return Err(error),
        }
        let metadata = self.keeps_metadata.then_some(&secret.metadata);
        let mode = WriteMode::CreateOnly;
        match write(host, to, target, &secret.value, metadata, mode, ask) {
            Ok(()) | Err(HostError::SecretExists { .. }) => {}
            Err(error) => return Err(error),
        }
        let (from, to, name) = (from.clone(), to.clone(), target.clone());
        Err(Error::Vanished { from, to, name }.into())
    }
}

fn write(
    host: &Host,
    vault: &VaultName,
    name: &SecretName,
    value: &Value,
    metadata: Option<&Metadata>,
    mode: WriteMode,
    ask: &mut dyn Ask,
) -> Result<()> {
    let written = host.call(vault, ask, &mut |open, deadline| {
        let mut request = SetRequest::new(name.clone(), value.duplicate(), deadline);
        request.metadata = metadata.cloned();
        request.mode = mode;
        open.set(request).map(drop)
    });
    written.map_err(|error| named(error, vault, name))
}

/// Whether the secrets that follow would meet the same, and a person the same question.
fn ends_a_run(error: &HostError) -> bool {
    matches!(
        error,
        HostError::Locked { .. }
            | HostError::Faulty { .. }
            | HostError::NoSuchVault { .. }
            | HostError::Transfer(Error::Vanished { .. })
    )
}

fn exists(vault: &VaultName, name: &SecretName) -> HostError {
    HostError::SecretExists { vault: vault.clone(), name: name.clone() }
}

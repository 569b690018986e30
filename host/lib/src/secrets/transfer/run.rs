//! Runs a plan, secret by secret: read, write, read back, compare, and only then, for a move,
//! remove. If the process is killed, the source or the target has every secret whole, unless both
//! are the same storage, registered in two ways (docs/reference/limitations.md).

use std::sync::Arc;

use keystead_plugin_api::{
    ErrorKind, Metadata, RemoveRequest, RenameRequest, Secret, SecretName, SetRequest, Value,
    VaultName, WriteMode,
};

use super::{
    Carried, Error, OnRejected, Planned, Renames, Transfer, TransferAction, TransferConflict,
    TransferMode, TransferPlan, compare,
};
use crate::error::{Error as HostError, Result};
use crate::host::{Host, Prepared, RunMode};
use crate::prompter::Prompter;
use crate::secrets::atomic::Guard;
use crate::secrets::named;

/// How often a move copies a secret again that another program changes meanwhile.
const ROUNDS: usize = 8;

/// Result for one secret of a run.
#[derive(Debug)]
pub struct Step<'a> {
    /// The plan for the secret.
    pub planned: &'a Planned,
    /// Result of that plan.
    pub outcome: Outcome,
}

/// Result for one secret.
#[derive(Debug)]
pub enum Outcome {
    /// The target has the secret, as reading it back showed, and did not have it before.
    Written,
    /// The target has the secret, as reading it back showed, in place of another secret.
    Replaced,
    /// The target had the secret already.
    Same,
    /// The secret was rejected, and skipped as requested.
    Skipped,
    /// The source has the secret as before; the error describes the target's state.
    Failed(HostError),
}

impl Host {
    /// Copies or moves the planned secrets, and reports each when it is done. An error with one
    /// secret is its outcome, and the run continues.
    ///
    /// If another program changes a secret of the source meanwhile, the host copies it again: it
    /// removes only the state that it copied. In a vault without the capability `conditional` that
    /// holds among the processes of one user.
    ///
    /// # Errors
    /// [`Error::Refused`] before anything is written, unless such secrets are skipped. During a
    /// run, errors that affect all later secrets: a vault is locked again without answers to its
    /// prompts, it cannot be opened, [`Error::Vanished`].
    pub fn transfer(
        &self,
        plan: &TransferPlan,
        ask: &mut dyn Prompter,
        each: &mut dyn FnMut(Step<'_>),
    ) -> Result<()> {
        if plan.transfer.if_refused == OnRejected::Stop
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

impl TransferPlan {
    fn one(&self, host: &Host, planned: &Planned, ask: &mut dyn Prompter) -> Result<Outcome> {
        let Planned { name, target, action } = planned;
        let from = &self.transfer.from;
        if matches!(action, TransferAction::Refused(_)) {
            return Ok(Outcome::Skipped);
        }
        if self.renames != Renames::No && matches!(action, TransferAction::Write) {
            let names = [name, target];
            let renamed = host.exclusively(&self.source, &names, ask, &mut |ask| {
                let renamed = host.call(&self.source, ask, &mut |open, deadline| {
                    open.rename(&RenameRequest::new(name.clone(), target.clone(), deadline))
                });
                renamed.map_err(|error| named(error, from, name))
            });
            match renamed {
                Ok(_) => return Ok(Outcome::Written),
                Err(error) if self.renames == Renames::Spelling => return Err(error),
                // The new name exists since then: its secret decides, below.
                Err(HostError::SecretExists { .. }) => {}
                // The vault kind renames, but this vault does not.
                Err(HostError::Refused { answer, .. })
                    if answer.kind() == ErrorKind::Unsupported => {}
                Err(error) => return Err(error),
            }
        }
        let mut copied: Option<Secret> = None;
        for _ in 0..ROUNDS {
            let secret = host.read((&self.source).into(), name, ask)?;
            self.check(&secret)?;
            let outcome = self.put(host, action, target, &secret, copied.as_ref(), ask)?;
            if self.transfer.source == TransferMode::Copy {
                return Ok(outcome);
            }
            match self.take_away(host, name, &secret, ask) {
                // Another program has changed the secret: copy its new state over our own copy.
                Err(HostError::Transfer(Error::Changed { .. })) => copied = Some(secret),
                taken => {
                    taken?;
                    self.see_it_is_still_there(host, target, &secret, ask)?;
                    return Ok(if copied.is_some() { Outcome::Written } else { outcome });
                }
            }
        }
        Err(Error::Changed { vault: from.clone(), name: name.clone() }.into())
    }

    /// Checks that the target can store all parts of a secret.
    fn check(&self, secret: &Secret) -> Result<()> {
        let (from, to) = (&self.transfer.from, &self.transfer.to);
        if self.transfer.carried == Carried::All {
            // The metadata is newer than the plan, or the vault rejected a rename.
            let refused = |answer| HostError::Refused { vault: from.clone(), answer };
            secret.metadata.check_complete().map_err(refused)?;
        }
        if self.transfer.carried == Carried::All
            && !secret.metadata.writable().is_empty()
            && !self.keeps_metadata()
        {
            // The metadata is newer than the plan.
            let answer = keystead_plugin_api::Error::unsupported("this vault keeps no metadata");
            return Err(HostError::Refused { vault: to.clone(), answer });
        }
        Ok(())
    }

    /// Makes sure that the target has the secret. Replaces an earlier copy that this run has made.
    fn put(
        &self,
        host: &Host,
        action: &TransferAction,
        target: &SecretName,
        secret: &Secret,
        copied: Option<&Secret>,
        ask: &mut dyn Prompter,
    ) -> Result<Outcome> {
        let to = &self.transfer.to;
        let is_same = |there: &Secret| compare::same(secret, there, self.transfer.carried);
        let is_ours = |there: &Secret| {
            copied.is_some_and(|copied| compare::same(copied, there, self.transfer.carried))
        };
        // The plan may be out of date: replace nothing that it does not allow.
        let looks = !matches!(action, TransferAction::Write) || copied.is_some();
        let mut put = |guard: Guard, ask: &mut dyn Prompter| {
            let (mut outcome, mut mode, mut version) =
                (Outcome::Written, WriteMode::CreateOnly, None);
            if looks {
                match host.read((&self.target).into(), target, ask) {
                    Ok(there) if is_same(&there) => return Ok(Outcome::Same),
                    Ok(there)
                        if is_ours(&there)
                            || self.transfer.if_there == TransferConflict::Replace =>
                    {
                        (outcome, mode) = (Outcome::Replaced, WriteMode::Replace);
                        version = guard.version(to, there.version)?;
                    }
                    Ok(_) => return Err(exists(to, target)),
                    Err(HostError::NoSuchSecret { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            match (self.write(host, target, secret, (mode, version), ask), mode) {
                (Err(HostError::SecretExists { .. }), _) => {
                    // Another program was quicker, perhaps with the same secret.
                    if is_same(&host.read((&self.target).into(), target, ask)?) {
                        return Ok(Outcome::Same);
                    }
                    return Err(exists(to, target));
                }
                // The secret to replace is gone.
                (Err(HostError::NoSuchSecret { .. }), WriteMode::Replace) => {
                    return Err(conflict(to));
                }
                (written, _) => written?,
            }
            // Before another process of this user can write there.
            match host.read((&self.target).into(), target, ask) {
                Ok(there) if is_same(&there) => Ok(outcome),
                Ok(_) | Err(HostError::NoSuchSecret { .. }) => {
                    Err(Error::NotKept { vault: to.clone(), name: target.clone() }.into())
                }
                Err(error) => Err(error),
            }
        };
        host.atomically(&self.target, target, RunMode::Apply, ask, &mut put)
    }

    fn write(
        &self,
        host: &Host,
        target: &SecretName,
        secret: &Secret,
        how: (WriteMode, Option<String>),
        ask: &mut dyn Prompter,
    ) -> Result<()> {
        let carried = self.transfer.carried == Carried::All && self.keeps_metadata();
        let metadata = carried.then(|| secret.metadata.writable());
        write(host, &self.target, target, (&secret.value, metadata), how, ask)
    }

    /// Removes a secret from the source that the target has, unless it was changed meanwhile.
    fn take_away(
        &self,
        host: &Host,
        name: &SecretName,
        secret: &Secret,
        ask: &mut dyn Prompter,
    ) -> Result<()> {
        let from = &self.transfer.from;
        host.atomically(&self.source, name, RunMode::Apply, ask, &mut |guard, ask| {
            let version = match host.read((&self.source).into(), name, ask) {
                Ok(now) if compare::same(secret, &now, Carried::All) => {
                    guard.version(from, now.version)?
                }
                Ok(_) => {
                    return Err(Error::Changed { vault: from.clone(), name: name.clone() }.into());
                }
                // Another program removed it, and the target has it.
                Err(HostError::NoSuchSecret { .. }) => return Ok(()),
                Err(error) => return Err(error),
            };
            let removed = host.call(&self.source, ask, &mut |open, deadline| {
                let mut request = RemoveRequest::new(name.clone(), deadline);
                request.if_version.clone_from(&version);
                open.remove(&request).map(drop)
            });
            match removed.map_err(|error| named(error, from, name)) {
                Ok(()) | Err(HostError::NoSuchSecret { .. }) => Ok(()),
                Err(error) => Err(error),
            }
        })
    }

    /// Restores a secret that vanished from the target when it was removed from the source. Two
    /// registrations may share their storage, which only shows here. Two programs may move one
    /// secret in opposite directions.
    fn see_it_is_still_there(
        &self,
        host: &Host,
        target: &SecretName,
        secret: &Secret,
        ask: &mut dyn Prompter,
    ) -> Result<()> {
        let Transfer { from, to, .. } = &self.transfer;
        match host.read((&self.target).into(), target, ask) {
            Err(HostError::NoSuchSecret { .. }) => {}
            Ok(_) => return Ok(()),
            Err(error) => return Err(error),
        }
        let metadata = self.keeps_metadata().then(|| secret.metadata.writable());
        let how = (WriteMode::CreateOnly, None);
        let written = host.exclusively(&self.target, &[target], ask, &mut |ask| {
            write(host, &self.target, target, (&secret.value, metadata.clone()), how.clone(), ask)
        });
        match written {
            Ok(()) | Err(HostError::SecretExists { .. }) => {}
            Err(error) => return Err(error),
        }
        let (from, to, name) = (from.clone(), to.clone(), target.clone());
        Err(Error::Vanished { from, to, name }.into())
    }
}

fn write(
    host: &Host,
    vault: &Arc<Prepared>,
    name: &SecretName,
    (value, metadata): (&Value, Option<Metadata>),
    (mode, version): (WriteMode, Option<String>),
    ask: &mut dyn Prompter,
) -> Result<()> {
    let written = host.call(vault, ask, &mut |open, deadline| {
        let mut request = SetRequest::new(name.clone(), value.duplicate(), deadline);
        request.metadata.clone_from(&metadata);
        request.mode = mode;
        request.if_version.clone_from(&version);
        open.set(request).map(drop)
    });
    written.map_err(|error| named(error, &vault.name, name))
}

fn conflict(vault: &VaultName) -> HostError {
    let answer = keystead_plugin_api::Error::conflict();
    HostError::Refused { vault: vault.clone(), answer }
}

/// Returns whether later secrets would meet the same error, and the user the same prompt.
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

//! One call to a vault: opens the vault if necessary, unlocks it if it is locked, and calls again.

use std::collections::BTreeMap;

use keystead_plugin_api::{Deadline, Result as Reply, Vault, VaultName};

use super::open::Open;
use super::pool::Checkout;
use super::prepare::{Known, Prepared, VaultRef};
use super::session::CallSession;
use super::share::{Caller, Further};
use super::{Host, grant};
use crate::error::{Error, Result};
use crate::ids;
use crate::plugin::grant::Words;
use crate::plugin::inspect::Permission;
use crate::prompter::Prompter;
use crate::registry::{Placement, Registration};

/// The state of one call.
#[derive(Default)]
pub(super) struct Call {
    /// Known facts about the vault, until a handle is opened.
    pub(super) known: Option<Known>,
    /// How the next handle is opened, if not by the vault's current registration.
    pub(super) further: Option<Further>,
    pub(super) opened: OpenedForCall,
    pub(super) session: CallSession,
}

/// Permissions that the user opened to an isolated vault's plugin for one call, beyond its grants,
/// and the texts that the user saw.
#[derive(Debug, Default)]
pub(crate) struct OpenedForCall {
    pub(crate) permissions: Vec<Permission>,
    pub(crate) words: Vec<Words>,
}

impl Call {
    /// Returns a call that opens the vault, if it is not open, from what is known of it already.
    fn of(vault: VaultRef<'_>) -> Self {
        Self { known: vault.known(), ..Self::default() }
    }
}

impl Host {
    /// Returns the permissions of an isolated vault's plugin that the user opens by typing these
    /// parameters of an action, and their texts. The pinned manifest defines them.
    ///
    /// # Errors
    /// [`Error::Parameters`], or the reason why a permission cannot be granted.
    pub(crate) fn opened_by_action(
        &self,
        prepared: &Prepared,
        action: &str,
        typed: &BTreeMap<String, String>,
    ) -> Result<OpenedForCall> {
        match prepared.placement() {
            Placement::Isolated => {
                let manifest = prepared.trusted.manifest();
                let permissions = grant::expand_action(manifest, prepared.kind(), action, typed)?;
                let grants = permissions.iter().map(Permission::text).collect();
                let typed = Registration { grants, ..prepared.entry().clone() };
                let granted = self.granted(&prepared.trusted, &typed, permissions.clone())?;
                let words = granted.words(permissions.iter());
                Ok(OpenedForCall { permissions, words })
            }
            Placement::InProcess => Ok(OpenedForCall::default()),
        }
    }

    /// Makes one call to a vault. Opens the vault if it is not open; unlocks it if it is locked and
    /// the prompts are answered, and then calls again.
    pub(crate) fn call<'v, T>(
        &self,
        vault: impl Into<VaultRef<'v>>,
        ask: &mut dyn Prompter,
        run: &mut dyn FnMut(&mut dyn Vault, Deadline) -> Reply<T>,
    ) -> Result<T> {
        let vault = vault.into();
        self.call_in(vault.name(), ask, run, &mut Call::of(vault), &mut |_| {})
    }

    /// Calls a vault like [`Host::call`]. An isolated plugin gets these further permissions for
    /// this call only.
    pub(crate) fn call_with<T>(
        &self,
        vault: VaultRef<'_>,
        opened: OpenedForCall,
        ask: &mut dyn Prompter,
        run: &mut dyn FnMut(&mut dyn Vault, Deadline) -> Reply<T>,
    ) -> Result<T> {
        let mut call = Call { opened, ..Call::of(vault) };
        self.call_in(vault.name(), ask, run, &mut call, &mut |_| {})
    }

    /// Calls a vault like [`Host::call`]. `done` gets the vault that has answered.
    pub(super) fn call_in<T>(
        &self,
        name: &VaultName,
        ask: &mut dyn Prompter,
        run: &mut dyn FnMut(&mut dyn Vault, Deadline) -> Reply<T>,
        call: &mut Call,
        done: &mut dyn FnMut(&Open),
    ) -> Result<T> {
        ids::check()?;
        loop {
            let Some(Checkout { handle, caller }) = &mut self.0.pools.enter(name) else {
                return Err(Error::NeedsItself { vault: name.clone() });
            };
            let called = self.call_with_handle(handle, caller, ask, run, call, done);
            if is_for_one_call(handle, call) {
                // Also after a failed call: a later call must not have this call's permissions.
                *handle = None;
            }
            if let Some(reply) = called? {
                return Ok(reply);
            }
        }
    }

    /// Makes a call with this caller's handle. Returns `None` if the caller has to wait for another
    /// handle.
    fn call_with_handle<T>(
        &self,
        handle: &mut Option<Box<Open>>,
        caller: &mut Caller<'_>,
        ask: &mut dyn Prompter,
        run: &mut dyn FnMut(&mut dyn Vault, Deadline) -> Reply<T>,
        call: &mut Call,
        done: &mut dyn FnMut(&Open),
    ) -> Result<Option<T>> {
        if is_for_one_call(handle, call) {
            // The sandbox of an open handle cannot change.
            *handle = None;
        }
        loop {
            if handle.is_none() {
                *handle = self.handle(caller, call)?;
            }
            let Some(open) = handle else { return Ok(None) };
            let called = self.call_unlocking(open, ask, run, &mut call.session, caller);
            // Also after a failed call: the vault may have logged in before it failed.
            self.take_session(open, &mut call.session, caller);
            if matches!(called, Ok(Called::Done(_)) | Err(Error::Refused { .. })) {
                self.has_answered(open, caller);
            }
            match called? {
                Called::Done(reply) => {
                    done(open);
                    return Ok(Some(reply));
                }
                // Closed before it is opened again: a vault may allow one handle at a time.
                Called::Reopen => *handle = None,
                Called::OnAnother => {
                    *handle = None;
                    return Ok(None);
                }
            }
        }
    }
}

/// Returns whether the handle's plugin may have more permissions in this call than in others.
fn is_for_one_call(handle: &Option<Box<Open>>, call: &Call) -> bool {
    !call.opened.permissions.is_empty() && handle.as_ref().is_some_and(|open| open.is_isolated())
}

/// Result of a call to an open vault.
pub(super) enum Called<T> {
    /// The vault answered.
    Done(T),
    /// A session exists to reopen the vault with.
    Reopen,
    /// The vault is locked, and another handle has to unlock it.
    OnAnother,
}

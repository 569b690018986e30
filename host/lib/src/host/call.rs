//! One call to a vault: it is opened if it is not open, unlocked if it is locked, and called once more.

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

/// What is particular to one call.
#[derive(Default)]
pub(super) struct Call {
    /// What is known of the vault, until a handle is opened.
    pub(super) known: Option<Known>,
    /// How the next handle is opened, where that is not as the vault is registered now.
    pub(super) further: Option<Further>,
    pub(super) opened: OpenedForCall,
    pub(super) session: CallSession,
}

/// What a person opened to an isolated vault's plugin for one call beyond what it was granted, and what
/// they were shown of that.
#[derive(Debug, Default)]
pub(crate) struct OpenedForCall {
    pub(crate) permissions: Vec<Permission>,
    pub(crate) words: Vec<Words>,
}

impl Call {
    /// Returns one that opens the vault, if it is not open, by what is known of it already.
    fn of(vault: VaultRef<'_>) -> Self {
        Self { known: vault.known(), ..Self::default() }
    }
}

impl Host {
    /// Returns what a person opens to an isolated vault's plugin by typing these parameters of an
    /// action, by the pinned manifest, and what it is called.
    ///
    /// # Errors
    /// [`Error::Parameters`]; what may not be granted.
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

    /// Makes one call to a vault: opens it where it is not open, unlocks it where it is
    /// locked and somebody answers, and then calls once more.
    pub(crate) fn call<'v, T>(
        &self,
        vault: impl Into<VaultRef<'v>>,
        ask: &mut dyn Prompter,
        run: &mut dyn FnMut(&mut dyn Vault, Deadline) -> Reply<T>,
    ) -> Result<T> {
        let vault = vault.into();
        self.call_in(vault.name(), ask, run, &mut Call::of(vault), &mut |_| {})
    }

    /// Does what [`Host::call`] does; an isolated plugin may do this as well, for this call and no
    /// other.
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

    /// Does what [`Host::call`] does. `done` is shown the vault that has answered.
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
                // Also of a call that failed: a later one may not do what this one might.
                *handle = None;
            }
            if let Some(reply) = called? {
                return Ok(reply);
            }
        }
    }

    /// Makes a call with this caller's handle. Returns `None` where the caller has to wait for another
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
            // Its sandbox is as it is.
            *handle = None;
        }
        loop {
            if handle.is_none() {
                *handle = self.handle(caller, call)?;
            }
            let Some(open) = handle else { return Ok(None) };
            let called = self.call_unlocking(open, ask, run, &mut call.session, caller);
            // Also of a call that failed: it may have logged in before.
            self.take_session(open, &mut call.session, caller);
            if matches!(called, Ok(Called::Done(_)) | Err(Error::Refused { .. })) {
                self.has_answered(open, caller);
            }
            match called? {
                Called::Done(reply) => {
                    done(open);
                    return Ok(Some(reply));
                }
                // Closed before it is opened again: a vault may allow one at a time.
                Called::Reopen => *handle = None,
                Called::OnAnother => {
                    *handle = None;
                    return Ok(None);
                }
            }
        }
    }
}

/// Returns whether a handle is of a plugin that may do more in this call than in others.
fn is_for_one_call(handle: &Option<Box<Open>>, call: &Call) -> bool {
    !call.opened.permissions.is_empty() && handle.as_ref().is_some_and(|open| open.is_isolated())
}

/// What a call to an open vault came to.
pub(super) enum Called<T> {
    /// It answered.
    Done(T),
    /// There is a session to open it with.
    Reopen,
    /// It is locked, and this handle is not the one to unlock it with.
    OnAnother,
}

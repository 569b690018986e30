//! The host: loads vault plugins that it has proven, and answers for all their vaults.
//!
//! [`Host`] is the door: it finds a registered vault's plugin, proves the file, runs it in
//! a process of its own or in this one, and speaks to it. This library never reads the
//! environment, never prints, never asks a person and never ends the process: what it needs
//! of these, its caller hands it ([`Options`], [`Ask`]).
#![deny(unsafe_code)]

pub mod agent;
mod ask;
mod codec;
pub mod doctor;
mod error;
pub mod escape;
pub mod fs;
mod host;
pub mod ids;
pub mod internals;
pub mod json;
mod options;
pub mod paths;
pub mod plugin;
pub mod reference;
pub mod registry;
mod retry;
mod secrets;
mod shell;
pub mod similar;

pub use ask::{Ask, Nobody, Unanswered};
pub use error::{Class, Error, Result};
pub use host::{
    Check, Denied, Host, OptionalPermission, PlannedGrant, PlannedRegistration, Registered,
    Registration, Renew, Run, Unlocked, Unlocking, Unregistered, VaultDetails, VaultInfo,
    may_be_denial, tells_of_denial,
};
pub use keystead_plugin_api as api;
pub use options::{DEFAULT_TIMEOUT, Log, MAX_HANDLES, Options, Sources, UNLOCK_TIMEOUT};
pub use secrets::{Described, FieldKind, Found, Listing, NewField, NewSecret, NoField};
pub use secrets::{Place, PlannedAction, Unasked, Write, has_wildcards};
pub use secrets::{metadata, transfer};

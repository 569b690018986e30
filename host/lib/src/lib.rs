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
mod doctor;
mod error;
mod escape;
mod fs;
mod host;
mod ids;
#[doc(hidden)]
pub mod internals;
mod json;
mod options;
pub mod paths;
mod platform;
mod plugin;
pub mod reference;
mod registry;
mod retry;
mod secrets;
mod shell;
mod similar;

/// Metadata of a secret that is there: changed without its value.
pub mod metadata {
    pub use crate::secrets::metadata::{Change, Changed, Edit};
}

/// The process of an isolated plugin: this program, started again.
pub mod runner {
    pub use crate::plugin::runner::dispatch;
}

/// Secrets from one vault to another: what is copied or moved, what is planned, what became of it.
pub mod transfer {
    pub use crate::secrets::transfer::{
        Action, Carried, Error, IfRefused, IfThere, Outcome, Plan, Planned, Reason, Refusal,
        Source, Step, Transfer,
    };
}

/// Installed plugins: a file is inspected, somebody vouches for it, and it is installed and pinned.
pub mod trust {
    pub use crate::plugin::inspect::{FileAccess, Permission};
    pub use crate::plugin::pins::{Digest, InProcess, PluginId};
    pub use crate::plugin::trust::{
        Candidate, Error, IfTaken, Place, Privilege, Store, Trusted, Vouch, VouchedBy,
    };
}

pub use ask::{Ask, Nobody, Unanswered};
pub use error::{Class, Error, Result};
pub use host::{
    Host, OptionalPermission, PlannedGrant, PlannedRegistration, Registered, Registration, Renew,
    Run, Unlocked, Unlocking, Unregistered, VaultDetails, VaultInfo,
};
pub use keystead_plugin_api as api;
pub use options::{DEFAULT_TIMEOUT, Log, MAX_HANDLES, Options, Sources, UNLOCK_TIMEOUT};
pub use plugin::inspect::{Kind, Request};
pub use registry::{DefaultChoice, Entry, Placement, Replace, Setting};
pub use secrets::{Described, FieldKind, Found, Listing, NewField, NewSecret, NoField};
pub use secrets::{Place, PlannedAction, Unasked, Write};

//! The host: loads vault plugins that it has proven, and answers for all their vaults.
//!
//! [`Host`] is where to begin: it finds a registered vault's plugin, proves the file, runs it in
//! a process of its own or in this one, and speaks to it. This library never reads the
//! environment, never prints, never asks a person and never ends the process: what it needs
//! of these, its caller hands it ([`Options`], [`Prompter`]).
#![deny(unsafe_code)]

pub mod agent;
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
mod prompter;
pub mod reference;
mod registry;
mod retry;
mod secrets;
mod shell;
mod similar;

/// Metadata of a secret that is there: changed without its value.
pub mod metadata {
    pub use crate::secrets::metadata::{Change, Changed, MetadataEdit};
}

/// The process of an isolated plugin: this program, started again.
pub mod runner {
    pub use crate::plugin::runner::dispatch;
}

/// Secrets from one vault to another: what is copied or moved, what is planned, what became of it.
pub mod transfer {
    pub use crate::secrets::transfer::{
        Carried, Error, OnRejected, Outcome, Planned, Reason, Refusal, Step, Transfer,
        TransferAction, TransferConflict, TransferMode, TransferPlan,
    };
}

/// Installed plugins: a file is inspected, somebody vouches for it, and it is installed and pinned.
pub mod trust {
    pub use crate::plugin::inspect::{FileAccess, Permission};
    pub use crate::plugin::pins::{Digest, InProcess, PluginId};
    pub use crate::plugin::trust::{
        Candidate, Error, InstallTarget, OnIdConflict, PluginStore, Privilege, TrustDecision,
        TrustSource, Trusted,
    };
}

pub use error::{Error, ErrorClass, Result};
pub use host::{
    Host, IfUnlocked, NewRegistration, OptionalPermission, PlannedGrant, PlannedRegistration,
    Registered, RunMode, UnlockOutcome, UnlockedSession, Unregistered, VaultDetails, VaultInfo,
};
pub use keystead_plugin_api as api;
pub use options::{DEFAULT_TIMEOUT, Log, MAX_HANDLES, Options, Sources, UNLOCK_TIMEOUT};
pub use plugin::inspect::{ParsedKind, Request};
pub use prompter::{NonInteractive, PromptError, Prompter};
pub use registry::{DefaultChoice, Placement, Registration, Replace, Setting};
pub use secrets::{BatchWrite, OnUnavailable, PlannedAction, SearchScope};
pub use secrets::{
    FieldKind, FoundSecret, ListedSecret, NewField, NewSecret, NoField, SecretListing,
};

//! The host: loads vault plugins that it has verified, and gives access to all their vaults.
//!
//! Start with [`Host`]: it finds a registered vault's plugin, verifies the file, runs it in a
//! runner or in this process, and calls it. This library never reads the environment, never
//! prints, never prompts the user and never ends the process. The caller provides what the
//! library needs of these ([`Options`], [`Prompter`]).
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

/// Changes of an existing secret's metadata, without its value.
pub mod metadata {
    pub use crate::secrets::metadata::{Change, Changed, MetadataEdit};
}

/// The runner of an isolated plugin: this program, started again.
pub mod runner {
    pub use crate::plugin::runner::dispatch;
}

/// Copies and moves of secrets between vaults: requests, plans and outcomes.
pub mod transfer {
    pub use crate::secrets::transfer::{
        Carried, Error, OnRejected, Outcome, Planned, Reason, Refusal, Step, Transfer,
        TransferAction, TransferConflict, TransferMode, TransferPlan,
    };
}

/// Installed plugins: a file is inspected, gets a trust source, and is installed and pinned.
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

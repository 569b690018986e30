//! Reasons why secrets are not copied or moved, all of them or a single secret.

use keystead_plugin_api::{SecretName, ValueKind, VaultName};

use crate::error::{Error as HostError, ErrorClass};

/// Reason why the target cannot store a secret.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum Reason {
    /// The target has another secret of this name.
    #[error("a different secret `{0}` exists")]
    Exists(SecretName),
    /// The target cannot hold a value of this kind.
    #[error("this vault cannot hold a value of kind {0}")]
    Kind(ValueKind),
    /// The secret has metadata, and the target keeps none.
    #[error("it has metadata, and this vault keeps none")]
    Metadata,
    /// The secret has metadata of an unknown kind, which a transfer loses.
    #[error("it has metadata of a kind that is unknown here")]
    Incomplete,
    /// The name or the value is larger than the target accepts.
    #[error("{0}")]
    Limit(String),
    /// These secrets of the same transfer are the same secret by the target's rule for names.
    #[error("it would be the same secret there as {}", quoted(.0))]
    Clash(Vec<SecretName>),
    /// The target reports an error for this name.
    #[error("{0}")]
    Target(Box<HostError>),
    /// The source does not return the secret.
    #[error("{0}")]
    Source(Box<HostError>),
}

/// A secret that the target cannot store.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// Name in the source.
    pub name: SecretName,
    /// Every reason, as a lower-case fragment.
    pub reasons: Vec<String>,
}

/// Reason why secrets are not copied or moved. No variant holds a value.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The vault has no secret whose name matches.
    #[error("no secret in vault `{vault}` matches `{pattern}`")]
    NoMatch {
        /// The pattern.
        pattern: String,
        /// The vault.
        vault: VaultName,
    },
    /// A new name fits only a single secret, and the pattern matches several.
    #[error("`{pattern}` matches {count} secrets, which cannot all have one new name")]
    Several {
        /// The pattern.
        pattern: String,
        /// Number of matches.
        count: usize,
    },
    /// Source and target are the same secret.
    #[error("`{what}` in vault `{vault}` is both source and destination")]
    OntoItself {
        /// The vault.
        vault: VaultName,
        /// The secret or the pattern.
        what: String,
    },
    /// Source and target use the same storage.
    #[error("the vaults `{from}` and `{to}` use the same storage")]
    OnePlace {
        /// The source vault.
        from: VaultName,
        /// The target vault.
        to: VaultName,
    },
    /// The target cannot store some of the secrets.
    #[error("nothing was written: vault `{to}` cannot have {} of {total} secrets", .refused.len())]
    Refused {
        /// The target.
        to: VaultName,
        /// Number of secrets in the plan.
        total: usize,
        /// Whether the target has other secrets of some of these names.
        by_others: bool,
        /// Whether some are rejected because of their metadata.
        by_metadata: bool,
        /// The rejected secrets.
        refused: Vec<Refusal>,
    },
    /// The target did not return the secret as written, or not at all. Another program may have
    /// changed it meanwhile, so the error blames no plugin.
    #[error("vault `{vault}` did not return `{name}` as written; the source still has it")]
    NotKept {
        /// The target.
        vault: VaultName,
        /// The secret's name in the target.
        name: SecretName,
    },
    /// The secret in the source changed between its copy and its removal.
    #[error("secret `{name}` in vault `{vault}` changed while it was moved, and stays there")]
    Changed {
        /// The source.
        vault: VaultName,
        /// The secret.
        name: SecretName,
    },
    /// The removal from the source also removed the target's secret; the host restored it.
    #[error(
        "`{name}` also vanished from vault `{to}` when removed from vault `{from}`, and was restored"
    )]
    Vanished {
        /// The source.
        from: VaultName,
        /// The target.
        to: VaultName,
        /// The secret's name in the target.
        name: SecretName,
    },
}

impl Error {
    /// Returns the stable code of this cause.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoMatch { .. } => "E12.no-match",
            Self::Several { .. } => "E12.several",
            Self::OntoItself { .. } => "E12.onto-itself",
            Self::OnePlace { .. } => "E12.one-place",
            Self::Refused { .. } => "E12.transfer-refused",
            Self::NotKept { .. } => "E12.not-kept",
            Self::Changed { .. } => "E12.changed",
            Self::Vanished { .. } => "E12.vanished",
        }
    }

    /// Returns who must act.
    pub(crate) fn class(&self) -> ErrorClass {
        match self {
            Self::NoMatch { .. } => ErrorClass::NoSuch,
            _ => ErrorClass::CannotDo,
        }
    }
}

fn quoted(names: &[SecretName]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

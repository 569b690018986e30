//! Why secrets are not copied or moved, all of them or one.

use keystead_plugin_api::{SecretName, ValueKind, VaultName};

use crate::error::{Error as HostError, ErrorClass};

/// Why the target cannot have a secret.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum Reason {
    /// It has another one of this name.
    #[error("a different secret `{0}` exists")]
    Exists(SecretName),
    /// It cannot hold a value of this kind.
    #[error("this vault cannot hold a value of kind {0}")]
    Kind(ValueKind),
    /// The secret has metadata, and the target keeps none.
    #[error("it has metadata, and this vault keeps none")]
    Metadata,
    /// The secret has metadata of a kind that is unknown here, which would be lost.
    #[error("it has metadata of a kind that is unknown here")]
    Incomplete,
    /// Its name or its value is larger than the target takes.
    #[error("{0}")]
    Limit(String),
    /// These, of the same transfer, would be the same secret by the target's rule for names.
    #[error("it would be the same secret there as {}", quoted(.0))]
    Clash(Vec<SecretName>),
    /// The target has something to say of this name.
    #[error("{0}")]
    Target(Box<HostError>),
    /// The source does not give the secret out.
    #[error("{0}")]
    Source(Box<HostError>),
}

/// A secret that the target cannot have.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// Its name in the source.
    pub name: SecretName,
    /// Every reason, as a lower-case fragment.
    pub reasons: Vec<String>,
}

/// Why secrets are not copied or moved. No variant holds a value.
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
    /// A new name is for one secret, and the pattern matches several.
    #[error("`{pattern}` matches {count} secrets, which cannot all have one new name")]
    Several {
        /// The pattern.
        pattern: String,
        /// How many it matches.
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
        /// The vault they are in.
        from: VaultName,
        /// The vault they were to go to.
        to: VaultName,
    },
    /// The target cannot have some of the secrets.
    #[error("nothing was written: vault `{to}` cannot have {} of {total} secrets", .refused.len())]
    Refused {
        /// The target.
        to: VaultName,
        /// How many secrets the plan has.
        total: usize,
        /// Whether some are refused because others are in their place.
        by_others: bool,
        /// Whether some are refused because of their metadata.
        by_metadata: bool,
        /// What is refused.
        refused: Vec<Refusal>,
    },
    /// The target gave back something else than was written to it, or nothing: another program may
    /// have been at it meanwhile, so that nobody is blamed.
    #[error("vault `{vault}` did not return `{name}` as written; the source still has it")]
    NotKept {
        /// The target.
        vault: VaultName,
        /// The secret's name there.
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
    /// The secret went from the target as it was removed from the source: it was put back.
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

//! Errors of the library. The variants show who must act; [`Error::class`] returns that in
//! one word, and [`Error::code`] returns a stable code of the cause.

use std::path::PathBuf;
use std::sync::Arc;

use keystead_plugin_api::{Challenge, MAX_MESSAGE_BYTES, SecretName, VaultName};

use crate::ids::MixedIds;
use crate::prompter::PromptError;
use crate::registry::schema;
use crate::{agent, fs, plugin, reference, registry, transfer};

/// The result of every call to the host.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Class of an error: who must act, and so with which exit code a program ends.
///
/// # Examples
/// ```
/// use keystead::{ErrorClass, Error};
///
/// fn exit_code(error: &Error) -> u8 {
///     match error.class() {
///         ErrorClass::NoSuch => 3,
///         ErrorClass::NeedsInput => 4,
///         _ => 1,
///     }
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// The request failed; the caller can act.
    CannotDo,
    /// There is no such secret, vault or plugin.
    NoSuch,
    /// Input from a user is needed, and no user is present.
    NeedsInput,
    /// Part of the request was done.
    Partial,
    /// A plugin misbehaved, or the host has a bug.
    Fault,
}

impl ErrorClass {
    /// Returns the class of an error whose cause has this class: the requested object exists,
    /// but a dependency of that object does not.
    fn of_need(self) -> Self {
        match self {
            Self::NoSuch | Self::Partial => Self::CannotDo,
            class => class,
        }
    }
}

/// Error of a request to the host. No variant holds a secret.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// None of the searched vaults has a secret of this name.
    #[error("no secret `{name}` in {}{}", vaults(.searched), said_of_missing(.searched, .answers))]
    NoSuchSecret {
        /// The name.
        name: SecretName,
        /// The vaults that were searched.
        searched: Vec<VaultName>,
        /// Further answers of vaults, such as that the secret can be restored.
        answers: Vec<(VaultName, keystead_plugin_api::Error)>,
    },
    /// No vault of this name is registered.
    #[error("no vault `{name}` is registered")]
    NoSuchVault {
        /// The name.
        name: VaultName,
        /// A registered name that looks like it.
        similar: Option<VaultName>,
    },
    /// The plugin has no vault kind of this name.
    #[error("plugin `{plugin}` has no kind of vault `{kind}`")]
    NoSuchKind {
        /// The plugin's id.
        plugin: String,
        /// The kind.
        kind: String,
        /// The vault kinds of the plugin.
        kinds: Vec<String>,
    },
    /// Vaults of this kind need a feature that this host does not know.
    #[error(
        "plugin `{plugin}` needs a newer Keystead for vaults of kind `{kind}`: this one does not know {unknown}"
    )]
    NewerKind {
        /// The plugin's id.
        plugin: String,
        /// The kind.
        kind: String,
        /// The features that the host does not know.
        unknown: String,
    },
    /// The vault has no action of this id.
    #[error("vault `{vault}` has no action `{action}`")]
    NoSuchAction {
        /// The vault.
        vault: VaultName,
        /// The action.
        action: String,
        /// The actions of the vault.
        actions: Vec<String>,
    },
    /// The request changes a field of a value that is not a map.
    #[error("secret `{name}` in vault `{vault}` is not a map: it has no field to change")]
    NotAMap {
        /// The vault.
        vault: VaultName,
        /// The secret.
        name: SecretName,
    },
    /// The request gives a field of a map a value of another type, and does not state that this is
    /// intended.
    #[error(
        "field `{field}` of secret `{name}` in vault `{vault}` is {present}, and the new value is not"
    )]
    FieldType {
        /// The vault.
        vault: VaultName,
        /// The secret.
        name: SecretName,
        /// The field.
        field: String,
        /// The type of the field now, in words.
        present: String,
    },
    /// The request creates a missing field with a name that looks like a JSON pointer.
    #[error("secret `{name}` in vault `{vault}` has no field of the name `{field}`")]
    FieldPointer {
        /// The vault.
        vault: VaultName,
        /// The secret.
        name: SecretName,
        /// The field.
        field: String,
    },
    /// The request names no vault, and there is no default vault.
    #[error("no vault given and no default vault set")]
    NoDefaultVault {
        /// The registered vaults.
        vaults: Vec<VaultName>,
    },
    /// A write that must not replace a secret found one of this name.
    #[error("secret `{name}` exists in vault `{vault}`")]
    SecretExists {
        /// The vault.
        vault: VaultName,
        /// The secret.
        name: SecretName,
    },
    /// The vault is locked, and its prompts were not answered.
    #[error("vault `{vault}` is locked{}{}", said(&.challenge.message), unanswered(.why))]
    Locked {
        /// The vault.
        vault: VaultName,
        /// The unanswered prompts, the vault's message, and how the vault waits.
        challenge: Box<Challenge>,
        /// Why the prompts were not answered.
        why: PromptError,
    },
    /// The vault was unlocked, but its plugin returned no session that keeps it unlocked.
    #[error("vault `{vault}` cannot stay unlocked: plugin `{plugin}` returned no session")]
    NoSession {
        /// The vault.
        vault: VaultName,
        /// The plugin's id.
        plugin: String,
    },
    /// The vault rejected the request.
    #[error("vault `{vault}` answered: {}", one_line(.answer))]
    Refused {
        /// The vault.
        vault: VaultName,
        /// The plugin's error.
        answer: keystead_plugin_api::Error,
    },
    /// The answer to a prompt of the vault was wrong.
    #[error("vault `{vault}` answered: {}", one_line(.answer))]
    WrongAnswer {
        /// The vault.
        vault: VaultName,
        /// The plugin's error.
        answer: keystead_plugin_api::Error,
        /// The prompts that were answered from references; the others were typed.
        from: Vec<(String, reference::Reference)>,
    },
    /// The plugin broke an obligation, or its process ended.
    #[error("plugin `{plugin}` misbehaved in vault `{vault}`: {}", one_line(.answer))]
    Misbehaved {
        /// The vault.
        vault: VaultName,
        /// The plugin's id.
        plugin: String,
        /// The plugin's fault.
        answer: keystead_plugin_api::Error,
    },
    /// The plugin's runner failed.
    #[error("plugin `{plugin}` failed in vault `{vault}`")]
    Runner {
        /// The vault.
        vault: VaultName,
        /// The plugin's id.
        plugin: String,
        /// Error of the runner.
        source: plugin::runner::Error,
    },
    /// No memory or descriptor is left to pass the plugin's file to a runner.
    #[error("plugin `{plugin}` cannot be handed to a runner")]
    NoImage {
        /// The plugin's id.
        plugin: String,
        /// Error of the system.
        source: std::io::Error,
    },
    /// The vault cannot be opened: each request fails with this error until that works.
    #[error("vault `{vault}` cannot be opened")]
    Faulty {
        /// The vault.
        vault: VaultName,
        /// Why.
        source: Arc<Error>,
    },
    /// The vault failed during a batch write, after some secrets were written.
    #[error("vault `{vault}` failed during a batch write: {}", if *.tried { "this secret may be written or not" } else { "this secret was not written" })]
    Stopped {
        /// The vault.
        vault: VaultName,
        /// Whether this secret was among those being written.
        tried: bool,
        /// Error of the vault.
        source: Arc<Error>,
    },
    /// A vault that comes earlier in the search is unavailable, so that a secret of the same
    /// name in another vault is not returned.
    #[error("vault `{vault}` could not be asked for `{name}`")]
    SearchIncomplete {
        /// The secret.
        name: SecretName,
        /// The first unavailable vault.
        vault: VaultName,
        /// Why.
        source: Box<Error>,
    },
    /// Parameters do not fit the schema.
    #[error("{} of {what} {} wrong", count(.faults.len(), "parameter"), if .faults.len() == 1 { "is" } else { "are" })]
    Parameters {
        /// The owner of the parameters, in words.
        what: String,
        /// Every fault.
        faults: Vec<schema::ParameterError>,
    },
    /// A reference could not be resolved.
    #[error("`{parameter}` could not be taken from `{reference}`: {why}")]
    Unresolved {
        /// The parameter or prompt that the reference stands for.
        parameter: String,
        /// The reference.
        reference: reference::Reference,
        /// Why.
        why: String,
    },
    /// A reference to a secret of another vault could not be resolved.
    #[error("`{parameter}` could not be taken from `{reference}`")]
    UnresolvedSecret {
        /// The parameter or prompt that the reference stands for.
        parameter: String,
        /// The reference.
        reference: reference::Reference,
        /// Error of the vaults.
        source: Box<Error>,
    },
    /// A request needs a vault that the same caller is opening or unlocking. References form a
    /// cycle, or a reference starts a search that reaches the vault itself.
    #[error("vault `{vault}` depends on itself")]
    NeedsItself {
        /// The vault.
        vault: VaultName,
    },
    /// The plugin requests more permissions than the registration grants.
    #[error("plugin `{plugin}` requests permissions that vault `{vault}` does not grant: {}", .missing.join(", "))]
    NotGranted {
        /// The vault.
        vault: VaultName,
        /// The plugin's id.
        plugin: String,
        /// The permissions that are not granted, in the syntax of manifests.
        missing: Vec<String>,
    },
    /// A user grants by name a permission that the vault kind does not request.
    #[error(
        "plugin `{plugin}` has no optional permission `{permission}` for vault `{vault}`: {}",
        if optional.is_empty() { "it has none".to_owned() } else { format!("it has {}", optional.join(", ")) }
    )]
    NotRequested {
        /// The vault.
        vault: VaultName,
        /// The plugin's id.
        plugin: String,
        /// The permission as typed.
        permission: String,
        /// The optional permissions of the vault kind, in the syntax of manifests.
        optional: Vec<String>,
    },
    /// The plugin could write to a directory with files that control plugin permissions.
    #[error(
        "vault `{vault}` would let plugin `{plugin}` write under {}, and so to {}, which \
         controls plugin permissions",
        path.display(),
        own.display()
    )]
    ReachesOwn {
        /// The vault.
        vault: VaultName,
        /// The plugin's id.
        plugin: String,
        /// The path that the plugin could write to.
        path: PathBuf,
        /// The directory that belongs to Keystead.
        own: PathBuf,
    },
    /// A path that the vault grants cannot be granted as it resolves now.
    #[error("vault `{vault}` cannot grant what plugin `{plugin}` asks for")]
    Granting {
        /// The vault.
        vault: VaultName,
        /// The plugin's id.
        plugin: String,
        /// Why.
        source: Box<plugin::grant::Error>,
    },
    /// The registration requests placement in-process, and no trust source allows that.
    #[error("plugin `{plugin}` is not allowed to run in-process")]
    InProcessForbidden {
        /// The plugin's id.
        plugin: String,
    },
    /// The plugin's `open` returned an error.
    #[error("plugin `{plugin}` refused to open it: {}", one_line(.answer))]
    OpenRefused {
        /// The plugin's id.
        plugin: String,
        /// The plugin's error.
        answer: keystead_plugin_api::Error,
    },
    /// A registration cannot be read or changed.
    #[error(transparent)]
    Registry(registry::Error),
    /// This process acts for two users at once.
    #[error(transparent)]
    MixedIds(#[from] MixedIds),
    /// A path is not safe to use.
    #[error(transparent)]
    Path(#[from] fs::Error),
    /// A plugin is not installed, does not match its pin, or is not allowed.
    #[error(transparent)]
    Trust(Box<plugin::trust::Error>),
    /// A plugin file cannot be loaded, or is not compatible with this host.
    #[error(transparent)]
    Load(#[from] plugin::loader::Error),
    /// Secrets are not copied or moved.
    #[error(transparent)]
    Transfer(#[from] transfer::Error),
    /// The agent could not be used.
    #[error(transparent)]
    Agent(#[from] agent::Error),
}

impl Error {
    /// Returns the stable code of the cause: `E` and the family's number, a dot, a word.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoSuchSecret { .. } => "E12.no-such-secret",
            Self::NoSuchVault { .. } => "E01.no-such-vault",
            Self::NoSuchKind { .. } => "E01.no-such-kind",
            Self::NewerKind { .. } => "E06.newer-kind",
            Self::NoSuchAction { .. } => "E12.no-such-action",
            Self::NotAMap { .. } => "E12.not-a-map",
            Self::FieldType { .. } => "E12.field-type",
            Self::FieldPointer { .. } => "E12.field-pointer",
            Self::NoDefaultVault { .. } => "E01.no-default-vault",
            Self::SecretExists { .. } => "E12.secret-exists",
            Self::Locked { .. } => "E12.locked",
            Self::NoSession { .. } => "E12.no-session",
            Self::Refused { answer, .. } | Self::WrongAnswer { answer, .. } => answer_code(answer),
            Self::Misbehaved { .. } => "E12.misbehaved",
            Self::Runner { source, .. } => source.code(),
            Self::NoImage { .. } => "E11.image",
            Self::Faulty { source, .. } | Self::Stopped { source, .. } => source.code(),
            Self::SearchIncomplete { .. } => "E12.search-incomplete",
            Self::Parameters { .. } => "E01.parameters",
            Self::Unresolved { .. } | Self::UnresolvedSecret { .. } => "E01.unresolved",
            Self::NeedsItself { .. } => "E12.needs-itself",
            Self::NotGranted { .. } => "E07.not-granted",
            Self::NotRequested { .. } => "E07.not-requested",
            Self::ReachesOwn { .. } => "E07.own-folder",
            Self::Granting { source, .. } => source.code(),
            Self::InProcessForbidden { .. } => "E07.in-process-forbidden",
            Self::OpenRefused { .. } => "E10.open",
            Self::Registry(error) => error.code(),
            Self::MixedIds(error) => error.code(),
            Self::Path(error) => error.code(),
            Self::Trust(error) => error.code(),
            Self::Load(error) => error.code(),
            Self::Transfer(error) => error.code(),
            Self::Agent(error) => error.code(),
        }
    }

    /// Returns who must act.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::NoSuchSecret { .. }
            | Self::NoSuchVault { .. }
            | Self::NoSuchKind { .. }
            | Self::NoSuchAction { .. } => ErrorClass::NoSuch,
            Self::Trust(error) if error.is_not_installed() => ErrorClass::NoSuch,
            Self::Locked { why: PromptError::NonInteractive | PromptError::Elsewhere, .. } => {
                ErrorClass::NeedsInput
            }
            Self::SearchIncomplete { .. } => ErrorClass::Partial,
            Self::Misbehaved { .. } => ErrorClass::Fault,
            Self::Runner { source, .. } if source.is_misbehaviour() => ErrorClass::Fault,
            Self::OpenRefused { answer, .. }
                if answer.kind() == keystead_plugin_api::ErrorKind::Internal =>
            {
                ErrorClass::Fault
            }
            Self::Faulty { source, .. } | Self::Stopped { source, .. } => source.class().of_need(),
            Self::UnresolvedSecret { source, .. } => source.class().of_need(),
            Self::Transfer(error) => error.class(),
            _ => ErrorClass::CannotDo,
        }
    }
}

impl From<plugin::trust::Error> for Error {
    fn from(error: plugin::trust::Error) -> Self {
        Self::Trust(Box::new(error))
    }
}

impl From<registry::Error> for Error {
    fn from(error: registry::Error) -> Self {
        match error {
            registry::Error::NoSuchVault { name, similar } => Self::NoSuchVault { name, similar },
            other => Self::Registry(other),
        }
    }
}

/// Returns the code of a vault's error.
fn answer_code(answer: &keystead_plugin_api::Error) -> &'static str {
    use keystead_plugin_api::{ErrorDetail, ErrorKind as Kind};
    match answer.detail() {
        Some(ErrorDetail::Throttled) => return "E12.throttled",
        Some(ErrorDetail::Certificate) => return "E12.certificate",
        Some(ErrorDetail::Conflict) => return "E12.conflict",
        Some(ErrorDetail::NotGranted) => return "E12.not-granted",
        Some(ErrorDetail::NameHeld) => return "E12.name-held",
        // Recoverable, or no such version: reported as a missing secret.
        _ => {}
    }
    match answer.kind() {
        Kind::NotFound => "E12.not-found",
        Kind::AlreadyExists => "E12.secret-exists",
        Kind::Locked => "E12.locked",
        Kind::PermissionDenied => "E12.denied",
        Kind::Unavailable => "E12.unavailable",
        Kind::Unsupported => "E12.unsupported",
        Kind::Invalid => "E12.invalid",
        Kind::Corrupt => "E12.damaged",
        Kind::TimedOut => "E12.late",
        _ => "E12.misbehaved",
    }
}

/// Returns a plugin's message as one line without characters that affect a terminal.
pub(crate) fn one_line(error: &keystead_plugin_api::Error) -> String {
    visible(error.message())
}

/// Returns an error with its causes, as one line.
pub(crate) fn story(error: &dyn std::error::Error) -> String {
    let mut story = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        story += &format!(": {error}");
        cause = error.source();
    }
    story
}

/// Returns foreign text as one line without characters that affect a terminal.
pub fn visible(text: &str) -> String {
    crate::escape::message(text.trim(), 1_000)
}

fn vaults(searched: &[VaultName]) -> String {
    match searched {
        [] => "any vault: none is registered".to_owned(),
        [one] => format!("vault `{one}`"),
        several => {
            let names: Vec<_> = several.iter().map(|name| format!("`{name}`")).collect();
            format!("the vaults {}", names.join(", "))
        }
    }
}

/// Returns the messages of vaults about a secret that they do not have.
fn said_of_missing(
    searched: &[VaultName],
    answers: &[(VaultName, keystead_plugin_api::Error)],
) -> String {
    let said = answers.iter().map(|(vault, answer)| match searched {
        [_] => format!(": {}", one_line(answer)),
        _ => format!("; vault `{vault}`: {}", one_line(answer)),
    });
    said.collect()
}

/// Returns a locked vault's message in full: it may tell the user which action is needed.
fn said(message: &Option<String>) -> String {
    let whole = |text: &String| crate::escape::message(text.trim(), MAX_MESSAGE_BYTES);
    message.as_ref().map_or_else(String::new, |message| format!(": {}", whole(message)))
}

fn unanswered(why: &PromptError) -> String {
    match why {
        PromptError::NonInteractive => String::new(),
        PromptError::Interrupted => ": unlocking was cancelled".to_owned(),
        PromptError::Elsewhere => ", and another command waits for its login".to_owned(),
        PromptError::Failed(why) => format!(", and the answer could not be read: {why}"),
    }
}

fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locked_vault_error_prints_full_challenge_message() {
        let sentence = "x".repeat(MAX_MESSAGE_BYTES);
        let challenge = Box::new(Challenge::new("c", Vec::new()).message(sentence.clone()));
        let vault = VaultName::parse("v").unwrap();
        let error = Error::Locked { vault, challenge, why: PromptError::NonInteractive };
        assert_eq!(error.to_string(), format!("vault `v` is locked: {sentence}"));
    }
}

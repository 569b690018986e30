//! Answers to the prompts of a locked vault: from a user at a terminal, or none.

use keystead_plugin_api::{Answer, Challenge, Prompt, VaultName};

use crate::reference::Reference;

/// Answers a locked vault's challenge. The binary prompts at the terminal; other callers of
/// the library are free to choose. A wrapper must forward every call, so methods with a
/// result have no default.
///
/// # Examples
/// ```
/// use keystead::api::{Answer, Challenge, Prompt, VaultName};
/// use keystead::reference::Reference;
/// use keystead::{Prompter, PromptError};
///
/// /// Answers every prompt from one variable, and shows nobody anything.
/// struct FromVariable;
///
/// impl Prompter for FromVariable {
///     fn answer_source(&mut self, _: &VaultName, _: &Prompt) -> Option<Reference> {
///         Reference::parse("env:WORK_PASSWORD").ok()
///     }
///
///     fn ask(&mut self, _: &VaultName, _: &Challenge) -> Result<Vec<Answer>, PromptError> {
///         Err(PromptError::NonInteractive)
///     }
///
///     fn show(&mut self, _: &VaultName, _: &Challenge) -> Result<(), PromptError> {
///         Err(PromptError::NonInteractive)
///     }
///
///     fn is_interactive(&self) -> bool {
///         false
///     }
/// }
/// ```
pub trait Prompter {
    /// Returns the reference for the answer to this prompt, if the caller set one for this call.
    /// The reference overrides the unlock reference of the vault's registration.
    fn answer_source(&mut self, vault: &VaultName, prompt: &Prompt) -> Option<Reference>;

    /// Returns an answer to each of these prompts of one step, which have no other answer.
    ///
    /// No deadline runs meanwhile. The vault that prompts is busy: a call to it from here is
    /// [`Error::NeedsItself`](crate::Error::NeedsItself). A call from a thread that this
    /// method waits for never ends.
    ///
    /// # Errors
    /// [`PromptError`], when no user is present or the user declines.
    fn ask(&mut self, vault: &VaultName, challenge: &Challenge)
    -> Result<Vec<Answer>, PromptError>;

    /// Shows the user a vault's message and the address to open. The host calls this before a vault
    /// waits for an action of the user elsewhere. It repeats the call each time before it asks the
    /// vault whether the action is done; an error ends the wait. The challenge has the prompts that
    /// [`Prompter::ask`] asks next, if any.
    ///
    /// # Errors
    /// [`PromptError`], when no user is present or the user cancels.
    fn show(&mut self, vault: &VaultName, challenge: &Challenge) -> Result<(), PromptError>;

    /// Returns whether a user is present who can answer.
    fn is_interactive(&self) -> bool;

    /// Called before the host waits for another process that is prompting for this vault.
    fn on_wait(&mut self, vault: &VaultName) {
        let _ = vault;
    }

    /// Called after a wrong answer, before the next prompt.
    fn on_wrong_answer(&mut self, vault: &VaultName, message: &str) {
        let _ = (vault, message);
    }
}

/// Reason why a prompt has no answer.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PromptError {
    /// No user can be prompted: there is no terminal, or the caller disabled prompts.
    NonInteractive,
    /// The user cancelled the prompt.
    Interrupted,
    /// Another command shows the user which action this vault waits for, until it is done.
    Elsewhere,
    /// The input could not be read.
    Failed(String),
}

/// Prompter that never prompts: every locked vault stays locked.
#[derive(Debug, Clone, Copy)]
pub struct NonInteractive;

impl Prompter for NonInteractive {
    fn answer_source(&mut self, _: &VaultName, _: &Prompt) -> Option<Reference> {
        None
    }

    fn ask(&mut self, _: &VaultName, _: &Challenge) -> Result<Vec<Answer>, PromptError> {
        Err(PromptError::NonInteractive)
    }

    fn show(&mut self, _: &VaultName, _: &Challenge) -> Result<(), PromptError> {
        Err(PromptError::NonInteractive)
    }

    fn is_interactive(&self) -> bool {
        false
    }
}

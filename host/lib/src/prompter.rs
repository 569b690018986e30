//! Who answers when a vault is locked: a person at a terminal, or nobody.

use keystead_plugin_api::{Answer, Challenge, Prompt, VaultName};

use crate::reference::Reference;

/// Answers a locked vault's challenge. The binary asks at the terminal; a library's caller
/// may do what it likes. Whoever wraps another one hands on every question: that is why
/// those with an answer have no default.
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
    /// Returns where the answer to this prompt is to come from, where that was said for this
    /// call. It goes before what the vault is registered with.
    fn answer_source(&mut self, vault: &VaultName, prompt: &Prompt) -> Option<Reference>;

    /// Returns an answer to each of these prompts: those of a step that nothing else answers.
    ///
    /// No deadline runs meanwhile. The vault that asks is busy: a call to it from here is
    /// [`Error::NeedsItself`](crate::Error::NeedsItself), and from a thread that this waits
    /// for it never ends.
    ///
    /// # Errors
    /// [`PromptError`], when nobody is there or somebody declines.
    fn ask(&mut self, vault: &VaultName, challenge: &Challenge)
    -> Result<Vec<Answer>, PromptError>;

    /// Shows a person what a vault says and waits for: its sentence, the address to open. The host
    /// does so before a vault waits for something that a person does elsewhere, and again before
    /// each time it asks the vault whether that is done; an error ends the waiting. The challenge has
    /// the prompts that [`Prompter::ask`] asks next, if any.
    ///
    /// # Errors
    /// [`PromptError`], when nobody is there or somebody breaks off.
    fn show(&mut self, vault: &VaultName, challenge: &Challenge) -> Result<(), PromptError>;

    /// Returns whether somebody is there who could answer.
    fn is_interactive(&self) -> bool;

    /// Is told that another process asks for this vault just now, before that is waited for.
    fn on_wait(&mut self, vault: &VaultName) {
        let _ = vault;
    }

    /// Is told that an answer was wrong, before it is asked again.
    fn on_wrong_answer(&mut self, vault: &VaultName, message: &str) {
        let _ = (vault, message);
    }
}

/// Why there is no answer.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PromptError {
    /// Nobody is there to ask: no terminal, or the caller said not to.
    NonInteractive,
    /// Somebody was asked and broke off.
    Interrupted,
    /// Another command shows a person what this vault waits for, until that is done.
    Elsewhere,
    /// What was typed could not be read.
    Failed(String),
}

/// Asks nobody: every locked vault stays locked.
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

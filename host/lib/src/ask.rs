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
/// use keystead::{Ask, Unanswered};
///
/// /// Answers every prompt from one variable, and shows nobody anything.
/// struct FromVariable;
///
/// impl Ask for FromVariable {
///     fn given(&mut self, _: &VaultName, _: &Prompt) -> Option<Reference> {
///         Reference::parse("env:WORK_PASSWORD").ok()
///     }
///
///     fn ask(&mut self, _: &VaultName, _: &Challenge) -> Result<Vec<Answer>, Unanswered> {
///         Err(Unanswered::Nobody)
///     }
///
///     fn show(&mut self, _: &VaultName, _: &Challenge) -> Result<(), Unanswered> {
///         Err(Unanswered::Nobody)
///     }
///
///     fn is_there(&self) -> bool {
///         false
///     }
/// }
/// ```
pub trait Ask {
    /// Returns where the answer to this prompt is to come from, where that was said for this
    /// call. It goes before what the vault is registered with.
    fn given(&mut self, vault: &VaultName, prompt: &Prompt) -> Option<Reference>;

    /// Returns an answer to each of these prompts: those of a step that nothing else answers.
    ///
    /// No deadline runs meanwhile. The vault that asks is busy: a call to it from here is
    /// [`Error::NeedsItself`](crate::Error::NeedsItself), and from a thread that this waits
    /// for it never ends.
    ///
    /// # Errors
    /// [`Unanswered`], when nobody is there or somebody declines.
    fn ask(&mut self, vault: &VaultName, challenge: &Challenge) -> Result<Vec<Answer>, Unanswered>;

    /// Shows a person what a vault says and waits for: its sentence, the address to open. The host
    /// does so before a vault waits for something that a person does elsewhere, and again before
    /// each time it asks the vault whether that is done; an error ends the waiting. The challenge has
    /// the prompts that [`Ask::ask`] asks next, if any.
    ///
    /// # Errors
    /// [`Unanswered`], when nobody is there or somebody breaks off.
    fn show(&mut self, vault: &VaultName, challenge: &Challenge) -> Result<(), Unanswered>;

    /// Returns whether somebody is there who could answer.
    fn is_there(&self) -> bool;

    /// Is told that another process asks for this vault just now, before that is waited for.
    fn waits(&mut self, vault: &VaultName) {
        let _ = vault;
    }

    /// Is told that an answer was wrong, before it is asked again.
    fn wrong(&mut self, vault: &VaultName, message: &str) {
        let _ = (vault, message);
    }
}

/// Why there is no answer.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unanswered {
    /// Nobody is there to ask: no terminal, or the caller said not to.
    Nobody,
    /// Somebody was asked and broke off.
    Interrupted,
    /// Another command shows a person what this vault waits for, until that is done.
    Elsewhere,
    /// What was typed could not be read.
    Failed(String),
}

/// Asks nobody: every locked vault stays locked.
#[derive(Debug, Clone, Copy)]
pub struct Nobody;

impl Ask for Nobody {
    fn given(&mut self, _: &VaultName, _: &Prompt) -> Option<Reference> {
        None
    }

    fn ask(&mut self, _: &VaultName, _: &Challenge) -> Result<Vec<Answer>, Unanswered> {
        Err(Unanswered::Nobody)
    }

    fn show(&mut self, _: &VaultName, _: &Challenge) -> Result<(), Unanswered> {
        Err(Unanswered::Nobody)
    }

    fn is_there(&self) -> bool {
        false
    }
}

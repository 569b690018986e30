//! Exports secrets of vaults, page by page, to JSON Lines or an environment file.

use std::cell::RefCell;
use std::collections::HashSet;
use std::io::Write;

use keystead_plugin_api::{Answer, Challenge, Prompt, Secret, SecretName, VaultName};

use super::dotenv::{self, Keys};
use super::fingerprint::Seal;
use super::import::fetch;
use super::{Error, json_lines};
use keystead::Host;
use keystead::reference::Reference;
use keystead::{PromptError, Prompter};

/// Maximum number of values read at once, as long as they are small.
pub(super) const MOST_AT_ONCE: usize = 64;

/// Approximate number of bytes of values held at once: after a larger batch, the next batch is
/// smaller.
const BATCH_BYTES: usize = 1024 * 1024;

/// Formats of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportFormat {
    /// One JSON object a line: every kind, with the metadata that can be written.
    JsonLines,
    /// `KEY=VALUE`: texts only.
    Dotenv(Keys),
    /// `KEY=VALUE` without quotes, for `docker run --env-file`: texts of a single line.
    EnvFile(Keys),
}

/// Result of exporting a secret.
#[derive(Debug)]
pub enum ExportOutcome {
    /// The secret was written.
    Written,
    /// The secret was listed, but no longer exists.
    Gone,
    /// The format cannot hold the secret, with the reason.
    Unfit(String),
    /// The vault refused to return the secret.
    Refused(keystead::Error),
}

/// An export of secrets, vault by vault.
pub struct Export<'a> {
    host: &'a Host,
    to: ExportFormat,
    out: &'a mut dyn Write,
    seal: Seal,
    keys: HashSet<[u32; 4]>,
}

impl<'a> Export<'a> {
    /// Returns an export in this format. Output is written at once and leaves no copy.
    pub fn new(host: &'a Host, to: ExportFormat, out: &'a mut dyn Write) -> Self {
        Self { host, to, out, seal: Seal::new(), keys: HashSet::new() }
    }

    /// Writes a vault's secrets that match the pattern, in the vault's order, and reports each.
    ///
    /// # Errors
    /// [`Write`](Error::Write), or the vault's error.
    pub fn vault(
        &mut self,
        vault: &VaultName,
        pattern: Option<&str>,
        ask: &mut dyn Prompter,
        each: &mut dyn FnMut(&SecretName, ExportOutcome),
    ) -> Result<(), Error> {
        let host = self.host;
        let mut at_once = MOST_AT_ONCE;
        let ask = RefCell::new(ask);
        host.each_page(pattern, vault, &mut InTurn(&ask), &mut |entries| {
            let names: Vec<SecretName> = entries.into_iter().map(|entry| entry.name).collect();
            let mut rest = names.as_slice();
            while !rest.is_empty() {
                let (batch, behind) = rest.split_at(at_once.min(rest.len()));
                rest = behind;
                let mut bytes = 0;
                let found = fetch(host, vault, batch, &mut InTurn(&ask))?;
                for (name, found) in batch.iter().zip(found) {
                    let exported = match found {
                        Ok(Some(secret)) => {
                            bytes += secret.value.encoded_len().unwrap_or_default();
                            self.write(vault, name, &secret)?
                        }
                        Ok(None) => ExportOutcome::Gone,
                        Err(error) => ExportOutcome::Refused(error),
                    };
                    each(name, exported);
                }
                let average = (bytes / batch.len()).max(1);
                at_once = (BATCH_BYTES / average).clamp(1, MOST_AT_ONCE);
            }
            Ok(())
        })
    }

    /// Writes a secret, if the format can hold it.
    fn write(
        &mut self,
        vault: &VaultName,
        name: &SecretName,
        secret: &Secret,
    ) -> Result<ExportOutcome, Error> {
        let line = match self.to {
            ExportFormat::JsonLines if secret.metadata.check_complete().is_err() => {
                let why = "it has metadata of a kind that is unknown here".to_owned();
                return Ok(ExportOutcome::Unfit(why));
            }
            ExportFormat::JsonLines => json_lines::write(name, vault, secret),
            ExportFormat::Dotenv(keys) | ExportFormat::EnvFile(keys) => {
                let key = match dotenv::key(name, keys) {
                    Ok(key) => key,
                    Err(why) => return Ok(ExportOutcome::Unfit(why.to_owned())),
                };
                let write = match self.to {
                    ExportFormat::EnvFile(_) => dotenv::write_bare,
                    _ => dotenv::write,
                };
                let line = match write(&key, &secret.value) {
                    Ok(line) => line,
                    Err(why) => return Ok(ExportOutcome::Unfit(why)),
                };
                if !self.keys.insert(self.seal.text(&key)) {
                    let why = format!("its key `{key}` is another secret's already");
                    return Ok(ExportOutcome::Unfit(why));
                }
                line
            }
        };
        self.out.write_all(&line).map_err(Error::Write)?;
        Ok(ExportOutcome::Written)
    }
}

/// Prompter that pages and the values between them share, never at the same time.
struct InTurn<'a, 'b>(&'a RefCell<&'b mut dyn Prompter>);

impl Prompter for InTurn<'_, '_> {
    fn answer_source(&mut self, vault: &VaultName, prompt: &Prompt) -> Option<Reference> {
        self.0.borrow_mut().answer_source(vault, prompt)
    }

    fn is_interactive(&self) -> bool {
        self.0.borrow().is_interactive()
    }

    fn on_wait(&mut self, vault: &VaultName) {
        self.0.borrow_mut().on_wait(vault);
    }

    fn ask(
        &mut self,
        vault: &VaultName,
        challenge: &Challenge,
    ) -> Result<Vec<Answer>, PromptError> {
        self.0.borrow_mut().ask(vault, challenge)
    }

    fn show(&mut self, vault: &VaultName, challenge: &Challenge) -> Result<(), PromptError> {
        self.0.borrow_mut().show(vault, challenge)
    }

    fn on_wrong_answer(&mut self, vault: &VaultName, message: &str) {
        self.0.borrow_mut().on_wrong_answer(vault, message);
    }
}

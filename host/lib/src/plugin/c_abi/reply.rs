//! Assembles and checks what a plugin reports during a call: which items belong to which call, how
//! many, how large. The first fault is kept and is the answer.

use std::time::Duration;

use keystead_plugin_api::abi::wire::{self, MAX_ITEMS, Wire};
use keystead_plugin_api::{
    Action, Challenge, Entry, Error, ErrorKind, MAX_MESSAGE_BYTES, Metadata, MetadataValue,
    OwnedParameter, Prompt, Removed, RemovedSecret, Result, Rules, Secret, SecretBytes, Value,
    Version, Written,
};

/// Longest accepted wait before the same call may work: a day.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// The request of a call, which decides the accepted answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// Only whether the call succeeded.
    Done,
    /// A value with its metadata.
    Secret,
    /// At most this many entries, and a cursor.
    Page(usize),
    /// One entry.
    Entry,
    /// The current version.
    Written,
    /// Moment until which the removed secret can be restored.
    Removed,
    /// At most this many versions, and a cursor.
    Versions(usize),
    /// At most this many removed secrets, and a cursor.
    RemovedPage(usize),
    Rules,
    Actions,
    /// State of the vault, by key.
    #[cfg(feature = "next")]
    Health,
    /// A message, and optionally a value.
    Outcome,
    /// This many secrets, or errors.
    Secrets(usize),
    /// This many results.
    Results(usize),
}

/// A plugin's answer to a call, during the call and afterwards.
#[derive(Debug, Default)]
pub(super) struct Reply {
    asked: Option<Asked>,
    fault: Option<Error>,
    // Of the call, or of one of its several parts.
    pub(super) message: Option<String>,
    challenge: Option<Challenge>,
    prompts: Vec<Prompt>,
    wait: Option<Duration>,
    pub(super) value: Option<Value>,
    metadata: Metadata,
    /// Fields of a secret beside its value and metadata; `None` for a secret without them.
    known: Option<Secret>,
    /// Record of a secret that was written.
    written: Option<SecretBytes>,
    #[cfg(feature = "next")]
    pub(super) health: std::collections::BTreeMap<String, String>,
    /// Why this one of several secrets cannot be accepted, although the others can.
    refused: Option<Error>,
    // Of the call.
    pub(super) entries: Vec<Entry>,
    pub(super) next: Option<String>,
    pub(super) versions: Vec<Version>,
    pub(super) removed: Option<Removed>,
    pub(super) removed_secrets: Vec<RemovedSecret>,
    pub(super) rules: Option<Rules>,
    pub(super) actions: Vec<Action>,
    /// Total number of the parameters of all actions.
    parameters: usize,
    pub(super) secrets: Vec<Result<Secret>>,
    pub(super) results: Vec<Result<Written>>,
}

impl Reply {
    /// Returns an empty reply to this request.
    pub(super) fn to(asked: Asked) -> Self {
        Self { asked: Some(asked), ..Self::default() }
    }

    /// Takes an item of the answer, unless the answer already has a fault. Returns whether it was
    /// taken.
    pub(super) fn take(&mut self, tell: impl FnOnce(&mut Self) -> Result<()>) -> bool {
        if self.fault.is_some() {
            return false;
        }
        if let Err(error) = tell(self) {
            self.spoil(error);
            return false;
        }
        true
    }

    /// Keeps a fault as the answer. Every fault in an answer belongs to the side that answers; a
    /// kind that is unknown here stays `Unsupported`.
    pub(super) fn spoil(&mut self, error: Error) {
        let error = match error.kind() {
            ErrorKind::Invalid => Error::internal(error.message()),
            _ => error,
        };
        self.fault.get_or_insert(error);
    }

    /// Ends the call with its status.
    pub(super) fn end(mut self, status: u32) -> Result<Self> {
        if let Some(fault) = self.fault.take() {
            return Err(fault);
        }
        match status {
            0 => Ok(self),
            status => Err(self.error(status)),
        }
    }

    /// Returns the value with its metadata, which every successful answer to this call has.
    pub(super) fn secret(&mut self) -> Result<Secret> {
        let metadata = std::mem::take(&mut self.metadata);
        let value = self.value.take();
        let value = value.ok_or_else(|| Error::internal("success was answered and no value"))?;
        Ok(match self.known.take() {
            Some(mut secret) => {
                (secret.value, secret.metadata) = (value, metadata);
                secret
            }
            None => Secret::with_metadata(value, metadata),
        })
    }

    /// Returns the record of the written secret, as this call's answer has it.
    pub(super) fn written<T: Wire>(&mut self) -> Result<T> {
        let written = self.written.take();
        wire::decode(written.as_ref().map_or(&[], SecretBytes::expose))
    }

    /// Returns the one requested entry.
    pub(super) fn entry_alone(&mut self) -> Result<Entry> {
        let entry = self.entries.pop();
        entry.ok_or_else(|| Error::internal("success was answered and no entry"))
    }

    /// Returns the error of this status, made from the reported items.
    fn error(&mut self, status: u32) -> Error {
        let message = self.message.take();
        let error = match ErrorKind::from_code(status & 0xff) {
            Some(ErrorKind::Locked) => match self.challenge.take() {
                Some(mut challenge) => {
                    challenge.prompts = std::mem::take(&mut self.prompts);
                    challenge.message = challenge.message.or(message);
                    match challenge.check() {
                        Ok(()) => Error::locked(challenge),
                        Err(fault) => Error::internal(fault.message()),
                    }
                }
                None => Error::internal("a challenge's id is missing"),
            },
            Some(kind) => match (kind, message) {
                (_, Some(message)) => Error::of_number(status, message),
                (ErrorKind::NotFound, None) if status == kind.code() => Error::not_found(),
                (ErrorKind::AlreadyExists, None) if status == kind.code() => {
                    Error::already_exists()
                }
                (ErrorKind::TimedOut, None) => Error::timed_out(),
                (kind, None) => Error::of_number(status, format!("{kind}, without a reason")),
            },
            None => Error::internal(message.unwrap_or_else(|| {
                format!("the status {status} was answered, which is unknown here")
            })),
        };
        match self.wait.take() {
            Some(wait) => error.with_retry_after(wait),
            None => error,
        }
    }

    fn belongs(&self, what: &str, to: impl FnOnce(Asked) -> bool) -> Result<()> {
        match self.asked {
            Some(asked) if to(asked) => Ok(()),
            _ => Err(Error::internal(format!("{what} was told to a call that asks for none"))),
        }
    }

    fn once<T>(place: &mut Option<T>, what: &str, value: T) -> Result<()> {
        match place.replace(value) {
            None => Ok(()),
            Some(_) => Err(Error::internal(format!("{what} was told twice"))),
        }
    }

    // The items of an answer, in the order of the host's table.

    pub(super) fn message(&mut self, text: &str) -> Result<()> {
        Self::once(&mut self.message, "a message", text.to_owned())
    }

    pub(super) fn challenge(&mut self, challenge: Challenge) -> Result<()> {
        Self::once(&mut self.challenge, "a challenge", challenge)
    }

    pub(super) fn prompt(&mut self, prompt: Prompt) -> Result<()> {
        if self.prompts.len() == Challenge::MAX_PROMPTS {
            let most = Challenge::MAX_PROMPTS;
            return Err(Error::internal(format!("a challenge has more than {most} prompts")));
        }
        self.prompts.push(prompt);
        Ok(())
    }

    pub(super) fn retry_after(&mut self, millis: u64) -> Result<()> {
        let wait = Duration::from_millis(millis).min(LONGEST_WAIT);
        Self::once(&mut self.wait, "a time to retry after", wait)
    }

    /// Takes a value; `read` runs only where a value belongs.
    pub(super) fn value(&mut self, read: impl FnOnce() -> Result<Value>) -> Result<()> {
        self.belongs("a value", |asked| {
            matches!(asked, Asked::Secret | Asked::Outcome | Asked::Secrets(_))
        })?;
        let value = match read() {
            Ok(value) => value,
            // A value of a later version: of several secrets, only this one is refused.
            Err(unknown)
                if unknown.kind() == ErrorKind::Unsupported
                    && matches!(self.asked, Some(Asked::Secrets(_))) =>
            {
                self.refused.get_or_insert(unknown);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        // A value that is reported in parts has the same limits as its byte form.
        value.encoded_len()?;
        Self::once(&mut self.value, "a value", value)
    }

    /// Takes a piece of metadata; `value` is `None` for a kind that is unknown here.
    pub(super) fn metadata(
        &mut self,
        key: &str,
        value: Option<MetadataValue>,
        flags: u32,
    ) -> Result<()> {
        self.belongs("metadata", |asked| {
            matches!(
                asked,
                Asked::Secret
                    | Asked::Secrets(_)
                    | Asked::Page(_)
                    | Asked::Entry
                    | Asked::Versions(_)
            )
        })?;
        let place = match self.asked {
            Some(Asked::Versions(_)) => match self.versions.last_mut() {
                Some(version) => &mut version.metadata,
                None => return Err(Error::internal("metadata was told before a version")),
            },
            Some(Asked::Page(_) | Asked::Entry) => match self.entries.last_mut() {
                Some(entry) => &mut entry.metadata,
                None => return Err(Error::internal("metadata was told before an entry")),
            },
            _ => &mut self.metadata,
        };
        if wire::take_metadata(place, key, value, flags)? {
            return Err(Error::internal(format!("the metadata `{key}` was told twice")));
        }
        Ok(())
    }

    /// Takes the further fields of a secret that was read.
    pub(super) fn known(&mut self, secret: Secret) -> Result<()> {
        let what = "what is known of a secret";
        self.belongs(what, |asked| matches!(asked, Asked::Secret | Asked::Secrets(_)))?;
        Self::once(&mut self.known, what, secret)
    }

    /// Takes the record of a secret that was written.
    pub(super) fn keep_written(&mut self, record: SecretBytes) -> Result<()> {
        let what = "a written version";
        self.belongs(what, |asked| matches!(asked, Asked::Written | Asked::Results(_)))?;
        wire::decode::<Written>(record.expose())?;
        Self::once(&mut self.written, what, record)
    }

    #[cfg(feature = "next")]
    pub(super) fn health(&mut self, key: &str, value: &str) -> Result<()> {
        self.belongs("health", |asked| asked == Asked::Health)?;
        self.health.insert(key.to_owned(), value.to_owned());
        Ok(())
    }

    pub(super) fn entry(&mut self, entry: Entry) -> Result<()> {
        self.belongs("an entry", |asked| matches!(asked, Asked::Page(_) | Asked::Entry))?;
        let most = match self.asked {
            Some(Asked::Page(limit)) => limit,
            _ => 1,
        };
        push(&mut self.entries, "the entries", most, entry)
    }

    pub(super) fn next(&mut self, cursor: &str) -> Result<()> {
        self.belongs("a cursor", |asked| {
            matches!(asked, Asked::Page(_) | Asked::Versions(_) | Asked::RemovedPage(_))
        })?;
        Self::once(&mut self.next, "a cursor", cursor.to_owned())
    }

    pub(super) fn removed(&mut self, removed: Removed) -> Result<()> {
        self.belongs("a removal", |asked| asked == Asked::Removed)?;
        Self::once(&mut self.removed, "a removal", removed)
    }

    pub(super) fn version(&mut self, version: Version) -> Result<()> {
        let Some(Asked::Versions(most)) = self.asked else {
            return self.belongs("a version", |_| false);
        };
        push(&mut self.versions, "the versions", most, version)
    }

    pub(super) fn removed_secret(&mut self, secret: RemovedSecret) -> Result<()> {
        let Some(Asked::RemovedPage(most)) = self.asked else {
            return self.belongs("a removed secret", |_| false);
        };
        push(&mut self.removed_secrets, "the removed secrets", most, secret)
    }

    pub(super) fn rules(&mut self, rules: Rules) -> Result<()> {
        self.belongs("rules", |asked| asked == Asked::Rules)?;
        Self::once(&mut self.rules, "rules", rules)
    }

    pub(super) fn action(&mut self, action: Action) -> Result<()> {
        self.belongs("an action", |asked| asked == Asked::Actions)?;
        push(&mut self.actions, "the actions", MAX_ITEMS, action)
    }

    pub(super) fn parameter(&mut self, parameter: OwnedParameter) -> Result<()> {
        if self.parameters == MAX_ITEMS {
            let most = MAX_ITEMS;
            return Err(Error::internal(format!("the actions' parameters are more than {most}")));
        }
        let Some(action) = self.actions.last_mut() else {
            return Err(Error::internal("a parameter was told before an action"));
        };
        action.parameters.push(parameter);
        self.parameters += 1;
        Ok(())
    }

    /// Ends one of several parts of the answer.
    pub(super) fn result(&mut self, status: u32) -> Result<()> {
        let (told, most) = match self.asked {
            Some(Asked::Secrets(count)) => (self.secrets.len(), count),
            Some(Asked::Results(count)) => (self.results.len(), count),
            _ => return self.belongs("a result", |_| false),
        };
        if told == most {
            return Err(Error::internal(format!("the results are more than {most}")));
        }
        let failed = (status != 0).then(|| self.error(status));
        match self.asked {
            Some(Asked::Secrets(_)) => {
                let failed = failed.or_else(|| self.refused.take());
                let result = failed.map_or_else(|| self.secret(), Err);
                self.secrets.push(result);
            }
            _ => {
                let result = failed.map_or_else(|| self.written(), Err);
                self.results.push(result);
            }
        }
        // Nothing of this part belongs to the next part.
        (self.message, self.challenge, self.wait) = (None, None, None);
        self.prompts.clear();
        (self.value, self.metadata, self.refused) = (None, Metadata::new(), None);
        (self.known, self.written) = (None, None);
        Ok(())
    }
}

fn push<T>(list: &mut Vec<T>, what: &str, most: usize, item: T) -> Result<()> {
    if list.len() == most {
        return Err(Error::internal(format!("{what} are more than {most}")));
    }
    list.push(item);
    Ok(())
}

/// Returns a message up to the size limit. A character that is cut in two is omitted.
pub(super) fn cut_message(message: &[u8]) -> Result<&str> {
    let whole = message.len() <= MAX_MESSAGE_BYTES;
    let kept = &message[..message.len().min(MAX_MESSAGE_BYTES)];
    match std::str::from_utf8(kept) {
        Ok(text) => Ok(text),
        // At most three bytes of a character are before the cut.
        Err(fault) if !whole && fault.error_len().is_none() => {
            Ok(std::str::from_utf8(&kept[..fault.valid_up_to()]).unwrap_or_default())
        }
        Err(_) => Err(Error::internal("a message is not UTF-8")),
    }
}

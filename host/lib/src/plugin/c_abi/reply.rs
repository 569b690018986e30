//! What a plugin tells during a call, put together and checked as it comes: which things
//! belong to which call, how many, how large. The first fault is kept and is the answer.

use std::time::Duration;

use keystead_plugin_api::{
    Action, Challenge, Credential, Entry, Error, ErrorKind, JsonText, MAX_CURSOR_BYTES,
    MAX_MESSAGE_BYTES, MAX_TIMESTAMP_MILLIS, MAX_VALUE_BYTES, MIN_TIMESTAMP_MILLIS, Metadata,
    MetadataValue, OwnedParameter, ParameterKind, Prompt, Removed, RemovedSecret, Result, Rules,
    Secret, SecretBytes, SecretName, SecretText, Value, ValueKind, Version, Written,
};

use super::table::READ_ONLY;

/// The most bytes of an id, a label, a description: one line of text.
pub(super) const MAX_LINE_BYTES: usize = 4_096;

/// The most actions in one answer, parameters of all its actions, and choices of a prompt.
pub(super) const MAX_ITEMS: usize = 10_000;

/// The longest wait before the same call may work that is believed: a day.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// What is asked, and so what may be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// Nothing but whether it was done.
    Done,
    /// A value with its metadata.
    Secret,
    /// At most so many entries, and a cursor.
    Page(usize),
    /// One entry.
    Entry,
    /// Which version there is now.
    Written,
    /// Until when what was removed can be brought back.
    Removed,
    /// At most so many versions, and a cursor.
    Versions(usize),
    /// At most so many removed secrets, and a cursor.
    RemovedPage(usize),
    Rules,
    Actions,
    /// How the vault is, by key.
    #[cfg(feature = "next")]
    Health,
    /// A message, and perhaps a value.
    Outcome,
    /// So many secrets, or errors.
    Secrets(usize),
    /// So many results.
    Results(usize),
}

/// What is being told, and then what was told.
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
    /// Which version the secret is that was read or written.
    pub(super) version: Option<String>,
    #[cfg(feature = "next")]
    pub(super) lease: Option<u64>,
    #[cfg(feature = "next")]
    pub(super) health: std::collections::BTreeMap<String, String>,
    /// Why this one of several secrets cannot be taken, although the others can.
    refused: Option<Error>,
    // Of the call.
    pub(super) entries: Vec<Entry>,
    pub(super) next: Option<String>,
    pub(super) versions: Vec<Version>,
    pub(super) removed: Option<Removed>,
    pub(super) removed_secrets: Vec<RemovedSecret>,
    pub(super) rules: Option<Rules>,
    pub(super) actions: Vec<Action>,
    /// How many parameters they have together.
    parameters: usize,
    pub(super) secrets: Vec<Result<Secret>>,
    pub(super) results: Vec<Result<Written>>,
}

impl Reply {
    /// Returns a reply to what is asked, to which nothing was told yet.
    pub(super) fn to(asked: Asked) -> Self {
        Self { asked: Some(asked), ..Self::default() }
    }

    /// Takes something that is told, unless the answer is spoilt already. Returns whether it
    /// was taken.
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

    /// Keeps a fault as the answer. Whatever is wrong with an answer is a fault of the side
    /// that answers; a kind that is unknown here stays `Unsupported`.
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

    /// Returns the value with its metadata, which a call that was answered with success has.
    pub(super) fn secret(&mut self) -> Result<Secret> {
        let metadata = std::mem::take(&mut self.metadata);
        let value = self.value.take();
        let value = value.ok_or_else(|| Error::internal("success was answered and no value"))?;
        let mut secret = Secret::with_metadata(value, metadata);
        secret.version = self.version.take();
        #[cfg(feature = "next")]
        {
            secret.lease_millis = self.lease.take();
        }
        Ok(secret)
    }

    /// Returns which version was written.
    pub(super) fn written(&mut self) -> Written {
        let mut written = Written::new();
        written.version = self.version.take();
        written
    }

    /// Returns the one entry that was asked for.
    pub(super) fn entry_alone(&mut self) -> Result<Entry> {
        let entry = self.entries.pop();
        entry.ok_or_else(|| Error::internal("success was answered and no entry"))
    }

    /// Returns the error of this status, made of what was told.
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

    // What can be told, in the order of the host's table.

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

    /// Takes a value: what reads it is run only where one belongs.
    pub(super) fn value(&mut self, read: impl FnOnce() -> Result<Value>) -> Result<()> {
        self.belongs("a value", |asked| {
            matches!(asked, Asked::Secret | Asked::Outcome | Asked::Secrets(_))
        })?;
        let value = match read() {
            Ok(value) => value,
            // Of a later version: of several, this one alone.
            Err(unknown)
                if unknown.kind() == ErrorKind::Unsupported
                    && matches!(self.asked, Some(Asked::Secrets(_))) =>
            {
                self.refused.get_or_insert(unknown);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        // A value that is told by its parts is as limited as one in its byte form.
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
        let read_only = flags & READ_ONLY != 0;
        if !read_only && (value.is_none() || flags != 0) {
            place.mark_incomplete();
        }
        let replaced = match value {
            Some(value) if read_only => place.insert_read_only(key, value)?,
            Some(value) => place.insert(key, value)?,
            None => {
                if read_only {
                    place.mark_more_read_only();
                }
                return Ok(());
            }
        };
        match replaced {
            None => Ok(()),
            Some(_) => Err(Error::internal(format!("the metadata `{key}` was told twice"))),
        }
    }

    /// Takes which version a secret is that was read.
    pub(super) fn secret_version(&mut self, version: Option<&str>) -> Result<()> {
        self.belongs("what is known of a secret", |asked| {
            matches!(asked, Asked::Secret | Asked::Secrets(_))
        })?;
        self.keep_version(version)
    }

    /// Takes which version a secret has that was written.
    pub(super) fn written_version(&mut self, version: Option<&str>) -> Result<()> {
        self.belongs("a written version", |asked| {
            matches!(asked, Asked::Written | Asked::Results(_))
        })?;
        self.keep_version(version)
    }

    fn keep_version(&mut self, version: Option<&str>) -> Result<()> {
        match version {
            Some(version) => Self::once(&mut self.version, "a version", version.to_owned()),
            None => Ok(()),
        }
    }

    #[cfg(feature = "next")]
    pub(super) fn health(&mut self, key: &str, value: &str) -> Result<()> {
        self.belongs("health", |asked| asked == Asked::Health)?;
        self.health.insert(key.to_owned(), value.to_owned());
        Ok(())
    }

    pub(super) fn entry(&mut self, name: &str, kind: u32, version: Option<&str>) -> Result<()> {
        let most = match self.asked {
            Some(Asked::Page(limit)) => limit,
            _ => 1,
        };
        self.belongs("an entry", |asked| matches!(asked, Asked::Page(_) | Asked::Entry))?;
        if self.entries.len() == most {
            return Err(Error::internal(format!("the entries are more than {most}")));
        }
        let name = SecretName::parse(name)?;
        let mut entry = Entry::new(name, ValueKind::from_code(kind), Metadata::new());
        entry.version = version.map(str::to_owned);
        self.entries.push(entry);
        Ok(())
    }

    pub(super) fn next(&mut self, cursor: &str) -> Result<()> {
        self.belongs("a cursor", |asked| {
            matches!(asked, Asked::Page(_) | Asked::Versions(_) | Asked::RemovedPage(_))
        })?;
        Self::once(&mut self.next, "a cursor", cursor.to_owned())
    }

    pub(super) fn removed(&mut self, recoverable_until: Option<i64>) -> Result<()> {
        self.belongs("a removal", |asked| asked == Asked::Removed)?;
        let mut removed = Removed::new();
        removed.recoverable_until = time("the end of a removed secret", recoverable_until)?;
        Self::once(&mut self.removed, "a removal", removed)
    }

    pub(super) fn version(
        &mut self,
        id: &str,
        created: Option<i64>,
        unreadable: bool,
    ) -> Result<()> {
        let Some(Asked::Versions(most)) = self.asked else {
            return self.belongs("a version", |_| false);
        };
        if self.versions.len() == most {
            return Err(Error::internal(format!("the versions are more than {most}")));
        }
        let mut version = Version::new(id, time("a version's time", created)?);
        version.unreadable = unreadable;
        self.versions.push(version);
        Ok(())
    }

    pub(super) fn removed_secret(
        &mut self,
        name: &str,
        id: Option<&str>,
        removed: Option<i64>,
        recoverable_until: Option<i64>,
    ) -> Result<()> {
        let Some(Asked::RemovedPage(most)) = self.asked else {
            return self.belongs("a removed secret", |_| false);
        };
        if self.removed_secrets.len() == most {
            return Err(Error::internal(format!("the removed secrets are more than {most}")));
        }
        let mut secret = RemovedSecret::new(SecretName::parse(name)?);
        secret.id = id.map(str::to_owned);
        secret.removed = time("the time of a removal", removed)?;
        secret.recoverable_until = time("the end of a removed secret", recoverable_until)?;
        self.removed_secrets.push(secret);
        Ok(())
    }

    pub(super) fn rules(&mut self, rules: Rules) -> Result<()> {
        self.belongs("rules", |asked| asked == Asked::Rules)?;
        Self::once(&mut self.rules, "rules", rules)
    }

    pub(super) fn action(&mut self, id: &str, description: &str, lossy: bool) -> Result<()> {
        self.belongs("an action", |asked| asked == Asked::Actions)?;
        let mut action = Action::new(id, description);
        action.destructive = lossy;
        push(&mut self.actions, "the actions", action)
    }

    pub(super) fn parameter(
        &mut self,
        name: &str,
        kind: u32,
        flags: u32,
        description: &str,
        preset: &str,
    ) -> Result<()> {
        if self.parameters == MAX_ITEMS {
            let most = MAX_ITEMS;
            return Err(Error::internal(format!("the actions' parameters are more than {most}")));
        }
        let Some(action) = self.actions.last_mut() else {
            return Err(Error::internal("a parameter was told before an action"));
        };
        // One that is unknown here is listed, and only that action cannot take it.
        let kind = ParameterKind::from_code(kind).unwrap_or(ParameterKind::Unknown);
        let mut parameter = OwnedParameter::new(name, kind, description);
        parameter.required = flags & 1 != 0;
        parameter.secret = flags & 2 != 0;
        parameter.default = preset.to_owned();
        action.parameters.push(parameter);
        self.parameters += 1;
        Ok(())
    }

    /// Ends one of several parts.
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
                let result = failed.map_or_else(|| Ok(self.written()), Err);
                self.results.push(result);
            }
        }
        // Nothing of this part belongs to the next one.
        (self.message, self.challenge, self.wait) = (None, None, None);
        self.prompts.clear();
        (self.value, self.metadata, self.version) = (None, Metadata::new(), None);
        self.refused = None;
        Ok(())
    }
}

/// Returns a time that timestamps can be.
fn time(what: &str, time: Option<i64>) -> Result<Option<i64>> {
    match time {
        Some(at) if !(MIN_TIMESTAMP_MILLIS..=MAX_TIMESTAMP_MILLIS).contains(&at) => {
            Err(Error::internal(format!("{what} is outside the years 1 to 9999")))
        }
        time => Ok(time),
    }
}

fn push<T>(list: &mut Vec<T>, what: &str, item: T) -> Result<()> {
    if list.len() == MAX_ITEMS {
        return Err(Error::internal(format!("{what} are more than {MAX_ITEMS}")));
    }
    list.push(item);
    Ok(())
}

/// Returns the value whose byte form this is.
pub(super) fn decoded(kind: u32, bytes: &[u8]) -> Result<Value> {
    Value::decode(kind, bytes)
}

/// Returns a text as a value.
pub(super) fn text_value(text: &[u8]) -> Result<Value> {
    Ok(Value::Text(SecretText::from_bytes(SecretBytes::copy_of(text))?))
}

/// Returns bytes as a value.
pub(super) fn bytes_value(bytes: &[u8]) -> Value {
    Value::Bytes(SecretBytes::copy_of(bytes))
}

/// Returns a JSON text as a value.
pub(super) fn json_value(text: &[u8]) -> Result<Value> {
    let text = SecretText::from_bytes(SecretBytes::copy_of(text))?;
    Ok(Value::Json(JsonText::parse(text)?))
}

/// Returns a credential as a value.
pub(super) fn credential_value(user: &str, password: &[u8]) -> Result<Value> {
    let password = SecretText::from_bytes(SecretBytes::copy_of(password))?;
    Ok(Value::Credential(Credential::new(user.to_owned(), password)))
}

/// Returns as much of a message as is kept. A character that is cut in two is left out.
pub(super) fn cut_message(message: &[u8]) -> Result<&str> {
    let whole = message.len() <= MAX_MESSAGE_BYTES;
    let kept = &message[..message.len().min(MAX_MESSAGE_BYTES)];
    match std::str::from_utf8(kept) {
        Ok(text) => Ok(text),
        // At most three bytes of a character are in front of where it was cut.
        Err(fault) if !whole && fault.error_len().is_none() => {
            Ok(std::str::from_utf8(&kept[..fault.valid_up_to()]).unwrap_or_default())
        }
        Err(_) => Err(Error::internal("a message is not UTF-8")),
    }
}

/// The most bytes of each thing that is told, beside those above.
pub(super) const MAX_VALUE: usize = MAX_VALUE_BYTES;
pub(super) const MAX_CURSOR: usize = MAX_CURSOR_BYTES;

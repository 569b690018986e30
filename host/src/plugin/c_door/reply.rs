//! What a plugin tells during a call, put together and checked as it comes: which things
//! belong to which call, how many, how large. The first fault is kept and is the answer.

use std::time::Duration;

use keystead_plugin_api::{
    Action, Challenge, Credential, Entry, Error, ErrorKind, MAX_CURSOR_BYTES, MAX_MESSAGE_BYTES,
    MAX_SESSION_LIFETIME, MAX_TIMESTAMP_MILLIS, MAX_VALUE_BYTES, MIN_TIMESTAMP_MILLIS, Metadata,
    MetadataValue, OwnedParameter, ParameterKind, Prompt, Result, Secret, SecretBytes, SecretName,
    SecretText, Session, Value, ValueKind, Version,
};

/// The most bytes of an id, a label, a description: one line of text.
pub(super) const MAX_LINE_BYTES: usize = 4_096;

/// The most bytes of a session: a key file may be one.
pub(super) const MAX_SESSION_BYTES: usize = 1024 * 1024;

/// The most versions or actions in one answer, and parameters of all its actions.
const MAX_ITEMS: usize = 10_000;

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
    /// A session, or none.
    Session,
    Versions,
    Actions,
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
    challenge: Option<String>,
    prompts: Vec<Prompt>,
    wait: Option<Duration>,
    pub(super) value: Option<Value>,
    metadata: Metadata,
    // Of the call.
    pub(super) entries: Vec<Entry>,
    pub(super) next: Option<String>,
    pub(super) session: Option<Session>,
    pub(super) versions: Vec<Version>,
    pub(super) actions: Vec<Action>,
    /// How many parameters they have together.
    parameters: usize,
    pub(super) secrets: Vec<Result<Secret>>,
    pub(super) results: Vec<Result<()>>,
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
        Ok(Secret::with_metadata(value, metadata))
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
                Some(_) if self.prompts.is_empty() => {
                    Error::internal("a challenge asks for nothing")
                }
                Some(id) => Error::locked(Challenge::new(id, std::mem::take(&mut self.prompts))),
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

    pub(super) fn challenge(&mut self, id: &str) -> Result<()> {
        Self::once(&mut self.challenge, "a challenge", id.to_owned())
    }

    pub(super) fn prompt(&mut self, name: &str, label: &str, flags: u32) -> Result<()> {
        if self.prompts.len() == Challenge::MAX_PROMPTS {
            let most = Challenge::MAX_PROMPTS;
            return Err(Error::internal(format!("a challenge has more than {most} prompts")));
        }
        // An answer is found by its prompt's name.
        if self.prompts.iter().any(|other| other.name == name) {
            return Err(Error::internal(format!("a challenge asks for `{name}` twice")));
        }
        let mut prompt = Prompt::plain(name, label);
        prompt.secret = flags & 1 != 0;
        prompt.new = flags & 2 != 0;
        self.prompts.push(prompt);
        Ok(())
    }

    pub(super) fn wait(&mut self, millis: u64) -> Result<()> {
        let wait = Duration::from_millis(millis).min(LONGEST_WAIT);
        Self::once(&mut self.wait, "a wait", wait)
    }

    /// Takes a value: what reads it is run only where one belongs.
    pub(super) fn value(&mut self, read: impl FnOnce() -> Result<Value>) -> Result<()> {
        self.belongs("a value", |asked| {
            matches!(asked, Asked::Secret | Asked::Outcome | Asked::Secrets(_))
        })?;
        let value = read()?;
        // A value that is told by its parts is as limited as one in its byte form.
        value.encoded_len()?;
        Self::once(&mut self.value, "a value", value)
    }

    /// Takes a piece of metadata; `value` is `None` for a kind that is unknown here.
    pub(super) fn metadata(&mut self, key: &str, value: Option<MetadataValue>) -> Result<()> {
        self.belongs("metadata", |asked| {
            matches!(asked, Asked::Secret | Asked::Secrets(_) | Asked::Page(_) | Asked::Entry)
        })?;
        let place = match self.asked {
            Some(Asked::Page(_) | Asked::Entry) => match self.entries.last_mut() {
                Some(entry) => &mut entry.metadata,
                None => return Err(Error::internal("metadata was told before an entry")),
            },
            _ => &mut self.metadata,
        };
        let Some(value) = value else {
            place.mark_incomplete();
            return Ok(());
        };
        match place.insert(key, value)? {
            None => Ok(()),
            Some(_) => Err(Error::internal(format!("the metadata `{key}` was told twice"))),
        }
    }

    pub(super) fn entry(&mut self, name: &str, kind: u32) -> Result<()> {
        let most = match self.asked {
            Some(Asked::Page(limit)) => limit,
            _ => 1,
        };
        self.belongs("an entry", |asked| matches!(asked, Asked::Page(_) | Asked::Entry))?;
        if self.entries.len() == most {
            return Err(Error::internal(format!("the entries are more than {most}")));
        }
        let name = SecretName::parse(name)?;
        self.entries.push(Entry::new(name, ValueKind::from_code(kind), Metadata::new()));
        Ok(())
    }

    pub(super) fn next(&mut self, cursor: &str) -> Result<()> {
        self.belongs("a cursor", |asked| matches!(asked, Asked::Page(_)))?;
        Self::once(&mut self.next, "a cursor", cursor.to_owned())
    }

    pub(super) fn session(&mut self, secret: &[u8], millis: u64) -> Result<()> {
        self.belongs("a session", |asked| asked == Asked::Session)?;
        let lifetime = Duration::from_millis(millis).min(MAX_SESSION_LIFETIME);
        let session = Session::new(SecretBytes::copy_of(secret), lifetime);
        Self::once(&mut self.session, "a session", session)
    }

    pub(super) fn version(&mut self, id: &str, created: Option<i64>) -> Result<()> {
        self.belongs("a version", |asked| asked == Asked::Versions)?;
        if created.is_some_and(|at| !(MIN_TIMESTAMP_MILLIS..=MAX_TIMESTAMP_MILLIS).contains(&at)) {
            return Err(Error::internal("a version's time is outside the years 1 to 9999"));
        }
        push(&mut self.versions, "the versions", Version::new(id, created))
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
        let kind = ParameterKind::from_code(kind).ok_or_else(|| {
            Error::unsupported(format!("the parameter `{name}` is of a kind unknown here"))
        })?;
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
                let result = failed.map_or_else(|| self.secret(), Err);
                self.secrets.push(result);
            }
            _ => self.results.push(failed.map_or(Ok(()), Err)),
        }
        // Nothing of this part belongs to the next one.
        (self.message, self.challenge, self.wait) = (None, None, None);
        self.prompts.clear();
        (self.value, self.metadata) = (None, Metadata::new());
        Ok(())
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

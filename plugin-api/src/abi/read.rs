//! From views to the plain types: everything the other side sent is checked here, and
//! nothing of it is kept as a view.
//!
//! # Safety
//! Every function here reads views, and so needs what [`AbiBytes::read`] needs of each:
//! that the other side told the truth about its own memory. Of what lies in that memory
//! nothing is believed.
// Each function is one read after another under the one promise above.
#![allow(clippy::missing_safety_doc)]

use std::borrow::Cow;
use std::time::Duration;

use abi_stable::std_types::{RErr, ROk, RResult};

use super::types::*;
use super::view::{AbiBytes, AbiSlice};
use crate::error::*;
use crate::metadata::*;
use crate::name::{SecretName, VaultName, MAX_SECRET_NAME_BYTES};
use crate::parameters::{Parameter, ParameterKind, ParameterValue, Parameters};
use crate::plugin::{
    ExecOutput, ExecRequest, OpenRequest, MAX_EXEC_ERRORS_BYTES, MAX_SESSION_LIFETIME,
};
use crate::value::{SecretBytes, SecretText, Value, ValueKind, MAX_VALUE_BYTES};
use crate::vault::*;

/// The most bytes of an id, a kind, a version, a label: one line of text.
const MAX_LINE_BYTES: usize = 4_096;

/// The most parameters, answers, versions or actions in one call.
const MAX_ITEMS: usize = 10_000;

/// The most bytes of one parameter, session or answer: a key file may be one.
const MAX_SECRET_PART_BYTES: usize = 1024 * 1024;

/// The longest wait before the same call may work that is believed: a day.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

fn after(millis: u64) -> Deadline {
    Deadline::after(Duration::from_millis(millis))
}

// Requests.

pub(super) unsafe fn open(request: AbiOpenRequestRef) -> Result<OpenRequest> {
    // SAFETY: the module's promise, for each read.
    unsafe {
        let vault = VaultName::parse(request.vault().text("the vault's name", MAX_LINE_BYTES)?)?;
        let kind = request.kind().text("the vault's kind", MAX_LINE_BYTES)?;
        let parameters = parameters(request.parameters())?;
        let mut plain = OpenRequest::new(vault, kind, parameters, after(request.deadline_millis()));
        plain.session = session(request.session(), request.session_millis())?;
        Ok(plain)
    }
}

pub(super) unsafe fn get(request: AbiGetRequestRef) -> Result<GetRequest> {
    // SAFETY: the module's promise, for each read.
    unsafe {
        let name = name(request.name())?;
        let mut plain = GetRequest::new(name, after(request.deadline_millis()));
        plain.version = request.version().optional("a version", MAX_LINE_BYTES)?.map(Into::into);
        #[cfg(feature = "next")]
        if let Some(reason) = request.reason() {
            plain.reason = reason.optional("a reason", MAX_LINE_BYTES)?.map(Into::into);
        }
        Ok(plain)
    }
}

pub(super) unsafe fn get_many(request: AbiGetManyRequestRef) -> Result<Vec<GetRequest>> {
    // SAFETY: the module's promise, for each read.
    unsafe {
        request.requests().read("the names", MAX_GET_MANY)?.iter().map(|each| get(*each)).collect()
    }
}

pub(super) unsafe fn set(request: AbiSetRequestRef) -> Result<SetRequest> {
    // SAFETY: the module's promise, for each read.
    unsafe {
        let mode = WriteMode::from_code(request.mode()).ok_or_else(|| {
            Error::unsupported(format!("the write mode {} is unknown here", request.mode()))
        })?;
        let value = value(request.value_kind(), request.value())?;
        let name = name(request.name())?;
        let mut plain = SetRequest::new(name, value, after(request.deadline_millis()));
        plain.mode = mode;
        if request.has_metadata() != 0 {
            plain.metadata = Some(metadata(request.metadata())?);
        }
        Ok(plain)
    }
}

pub(super) unsafe fn set_metadata(
    request: AbiSetMetadataRequestRef,
) -> Result<(GetRequest, Metadata)> {
    // SAFETY: the module's promise, for each read.
    unsafe { Ok((get(request.secret())?, metadata(request.metadata())?)) }
}

pub(super) unsafe fn list(request: AbiListRequestRef) -> Result<ListRequest> {
    // SAFETY: the module's promise, for each read.
    unsafe {
        let mut plain = ListRequest::new(after(request.deadline_millis()));
        plain.after = request.after().optional("a cursor", MAX_CURSOR_BYTES)?.map(Into::into);
        plain.limit = usize::try_from(request.limit()).unwrap_or(MAX_PAGE_ENTRIES);
        plain.limit = plain.limit.clamp(1, MAX_PAGE_ENTRIES);
        plain.filter = request.filter().optional("a pattern", MAX_LINE_BYTES)?.map(Into::into);
        Ok(plain)
    }
}

pub(super) unsafe fn unlock(request: AbiUnlockRequestRef) -> Result<UnlockRequest> {
    // SAFETY: the module's promise, for each read.
    unsafe {
        let challenge = request.challenge().text("a challenge's id", MAX_LINE_BYTES)?;
        let mut answers = Vec::new();
        for answer in request.answers().read("the answers", Challenge::MAX_PROMPTS)? {
            answers.push(Answer {
                name: answer.name.text("a prompt's name", MAX_LINE_BYTES)?.to_owned(),
                value: secret_text(answer.value, "an answer")?,
            });
        }
        Ok(UnlockRequest::new(challenge, answers, after(request.deadline_millis())))
    }
}

pub(super) fn plain(request: AbiPlainRequestRef) -> Deadline {
    after(request.deadline_millis())
}

pub(super) unsafe fn act(request: AbiActRequestRef) -> Result<ActRequest> {
    // SAFETY: the module's promise, for each read.
    unsafe {
        let action = request.action().text("an action's id", MAX_LINE_BYTES)?;
        let parameters = parameters(request.parameters())?;
        Ok(ActRequest::new(action, parameters, after(request.deadline_millis())))
    }
}

pub(super) unsafe fn exec(request: AbiExecRequestRef) -> Result<ExecRequest> {
    // SAFETY: the module's promise, for each read.
    unsafe {
        let mut arguments = Vec::new();
        for argument in request.arguments().read("the arguments", MAX_ITEMS)? {
            arguments.push(argument.text("an argument", MAX_SECRET_PART_BYTES)?.to_owned());
        }
        let program = request.program().text("a program's name", MAX_LINE_BYTES)?;
        let mut plain = ExecRequest::new(program, arguments, after(request.deadline_millis()));
        plain.input =
            SecretBytes::copy_of(request.input().read("a program's input", MAX_VALUE_BYTES)?);
        Ok(plain)
    }
}

// Replies.

/// Returns what making or reading a reply gave: whatever is wrong with one is a fault of the side
/// that answered, never of the request. A kind that is unknown here stays `Unsupported`.
pub(super) fn blaming_the_answerer<T>(result: Result<T>) -> Result<T> {
    result.map_err(|fault| match fault.kind() {
        ErrorKind::Invalid => Error::internal(fault.message()),
        _ => fault,
    })
}

/// Returns what reading a request gave: whatever is wrong with one is a fault of the side
/// that asked, never of the one that was asked.
pub(super) fn blaming_the_caller<T>(result: Result<T>) -> Result<T> {
    result.map_err(|fault| match fault.kind() {
        ErrorKind::Internal => Error::invalid(fault.message()),
        _ => fault,
    })
}

/// Reads a reply's answer, or its error.
pub(super) unsafe fn result<R: Copy, T>(
    result: &RResult<R, AbiErrorRef>,
    read: unsafe fn(R) -> Result<T>,
) -> Result<T> {
    match result {
        // SAFETY: passed on to the caller.
        ROk(view) => blaming_the_answerer(unsafe { read(*view) }),
        // SAFETY: passed on to the caller.
        RErr(view) => Err(unsafe { error(*view) }),
    }
}

pub(super) unsafe fn done(_: AbiDoneRef) -> Result<()> {
    Ok(())
}

pub(super) unsafe fn secret(view: AbiSecretRef) -> Result<Secret> {
    // SAFETY: the module's promise, for each read.
    unsafe {
        let value = value(view.value_kind(), view.value())?;
        #[allow(unused_mut)] // appended fields are read into it
        let mut plain = Secret::with_metadata(value, metadata(view.metadata())?);
        #[cfg(feature = "next")]
        {
            plain.lease_millis = view.lease_millis().filter(|lease| *lease > 0);
        }
        Ok(plain)
    }
}

pub(super) unsafe fn secrets(view: AbiSecretsRef) -> Result<Vec<Result<Secret>>> {
    // SAFETY: the module's promise, for each read.
    unsafe {
        let each = view.results().read("the secrets", MAX_GET_MANY)?;
        Ok(each.iter().map(|one| result(one, secret)).collect())
    }
}

pub(super) unsafe fn entry(view: AbiEntryRef) -> Result<Entry> {
    // SAFETY: the module's promise.
    let metadata = unsafe { metadata(view.metadata()) }?;
    // SAFETY: the module's promise.
    unsafe { entry_with(view, metadata) }
}

/// One of many: what is unknown here of one must not hide the others. It is listed
/// without; asked for alone, it is refused, so that nobody writes back less than there was.
unsafe fn listed_entry(view: AbiEntryRef) -> Result<Entry> {
    // SAFETY: the module's promise.
    let metadata = unsafe { known_metadata(view.metadata()) }?.0;
    // SAFETY: the module's promise.
    unsafe { entry_with(view, metadata) }
}

unsafe fn entry_with(view: AbiEntryRef, metadata: Metadata) -> Result<Entry> {
    let kind = ValueKind::from_code(view.value_kind());
    // SAFETY: the module's promise.
    Ok(Entry::new(unsafe { name(view.name()) }?, kind, metadata))
}

pub(super) unsafe fn page(view: AbiPageRef) -> Result<Page> {
    // SAFETY: the module's promise, for each read.
    unsafe {
        let each = view.entries().read("the page's entries", MAX_PAGE_ENTRIES)?;
        let entries: Result<Vec<_>> = each.iter().map(|one| listed_entry(*one)).collect();
        let next = view.next().optional("the page's cursor", MAX_CURSOR_BYTES)?;
        Ok(Page::new(entries?, next.map(Into::into)))
    }
}

pub(super) unsafe fn unlocked(view: AbiUnlockedRef) -> Result<Option<Session>> {
    // SAFETY: the module's promise, for each read.
    unsafe { session(view.session(), view.session_millis()) }
}

pub(super) unsafe fn versions(view: AbiVersionsRef) -> Result<Vec<Version>> {
    // SAFETY: the module's promise, for each read.
    unsafe {
        let each = view.versions().read("the versions", MAX_ITEMS)?.iter();
        each.map(|one| {
            let id = one.id().text("a version", MAX_LINE_BYTES)?;
            let created = (one.has_created() != 0).then(|| one.created_millis());
            match created {
                Some(at) if !(MIN_TIMESTAMP_MILLIS..=MAX_TIMESTAMP_MILLIS).contains(&at) => {
                    Err(Error::internal("a version's time is outside the years 1 to 9999"))
                }
                _ => Ok(Version::new(id, created)),
            }
        })
        .collect()
    }
}

pub(super) unsafe fn actions(view: AbiActionsRef) -> Result<Vec<Action>> {
    // SAFETY: the module's promise, for each read.
    unsafe {
        let each = view.actions().read("the actions", MAX_ITEMS)?.iter();
        each.map(|one| {
            let mut plain = Action::new(
                one.id().text("an action's id", MAX_LINE_BYTES)?,
                one.description().text("an action's description", MAX_LINE_BYTES)?,
            );
            plain.destructive = one.destructive() != 0;
            for parameter in one.parameters().read("an action's parameters", MAX_ITEMS)? {
                plain.parameters.push(parameter_schema(*parameter)?);
            }
            Ok(plain)
        })
        .collect()
    }
}

pub(super) unsafe fn outcome(view: AbiOutcomeRef) -> Result<Outcome> {
    // SAFETY: the module's promise, for each read.
    unsafe {
        let mut plain = Outcome::new(view.message().text("a message", MAX_MESSAGE_BYTES)?);
        if !view.value().is_none() {
            plain.value = Some(value(view.value_kind(), view.value())?);
        }
        Ok(plain)
    }
}

pub(super) unsafe fn exec_output(view: AbiExecOutputRef) -> Result<ExecOutput> {
    // SAFETY: the module's promise, for each read.
    unsafe {
        let output =
            SecretBytes::copy_of(view.output().read("a program's output", MAX_VALUE_BYTES)?);
        let errors = view.errors().text("a program's errors", MAX_EXEC_ERRORS_BYTES)?;
        Ok(ExecOutput::new(view.status(), output, errors.to_owned()))
    }
}

/// Reads an error; one that cannot be read is an error of the plugin.
pub(super) unsafe fn error(view: AbiErrorRef) -> Error {
    // SAFETY: the module's promise.
    blaming_the_answerer(unsafe { try_error(view) }).unwrap_or_else(|fault| fault)
}

unsafe fn try_error(view: AbiErrorRef) -> Result<Error> {
    // SAFETY: the module's promise, for each read.
    unsafe {
        let message = view.message().text("an error's message", MAX_MESSAGE_BYTES)?;
        let mut plain = match ErrorKind::from_code(view.kind()) {
            Some(ErrorKind::Locked) => {
                let id = view.challenge().text("a challenge's id", MAX_LINE_BYTES)?;
                Error::locked(Challenge::new(id, prompts(view.prompts())?))
            }
            Some(kind) => Error::new(kind, message),
            None => Error::internal(message),
        };
        if view.has_wait() != 0 {
            plain = plain.retry_after(Duration::from_millis(view.wait_millis()).min(LONGEST_WAIT));
        }
        Ok(plain)
    }
}

unsafe fn prompts(prompts: AbiSlice<AbiPrompt>) -> Result<Vec<Prompt>> {
    // SAFETY: the module's promise, for each read.
    unsafe {
        let each = prompts.read("a challenge's prompts", Challenge::MAX_PROMPTS)?;
        if each.is_empty() {
            return Err(Error::internal("a challenge asks for nothing"));
        }
        let mut plain: Vec<Prompt> = Vec::with_capacity(each.len());
        for one in each {
            let name = one.name.text("a prompt's name", MAX_LINE_BYTES)?;
            // An answer is found by its prompt's name.
            if plain.iter().any(|other| other.name == name) {
                return Err(Error::internal(format!("a challenge asks for `{name}` twice")));
            }
            plain.push(Prompt {
                name: name.to_owned(),
                label: one.label.text("a prompt's label", MAX_LINE_BYTES)?.to_owned(),
                secret: one.secret != 0,
            });
        }
        Ok(plain)
    }
}

// Parts.

unsafe fn name(name: AbiBytes) -> Result<SecretName> {
    // SAFETY: the module's promise.
    SecretName::parse(unsafe { name.text("a secret's name", MAX_SECRET_NAME_BYTES) }?)
}

unsafe fn value(kind: u32, bytes: AbiBytes) -> Result<Value> {
    // An unknown kind is refused before its bytes are looked at.
    if ValueKind::from_code(kind).is_none() {
        return Err(Error::unsupported(format!("the value is of kind {kind}, unknown here")));
    }
    // SAFETY: the module's promise.
    Value::decode(kind, unsafe { bytes.read("a value", MAX_VALUE_BYTES) }?)
}

unsafe fn secret_text(bytes: AbiBytes, what: &str) -> Result<SecretText> {
    // SAFETY: the module's promise.
    let bytes = unsafe { bytes.read(what, MAX_SECRET_PART_BYTES) }?;
    SecretText::from_bytes(SecretBytes::copy_of(bytes))
}

unsafe fn session(bytes: AbiBytes, millis: u64) -> Result<Option<Session>> {
    if bytes.is_none() {
        return Ok(None);
    }
    // SAFETY: the module's promise.
    let bytes = unsafe { bytes.read("a session", MAX_SECRET_PART_BYTES) }?;
    let lifetime = Duration::from_millis(millis).min(MAX_SESSION_LIFETIME);
    Ok(Some(Session { secret: SecretBytes::copy_of(bytes), lifetime }))
}

unsafe fn parameters(parameters: AbiSlice<AbiParameter>) -> Result<Parameters> {
    let mut plain = Parameters::new();
    // SAFETY: the module's promise.
    for one in unsafe { parameters.read("the parameters", MAX_ITEMS) }? {
        // SAFETY: the module's promise.
        let name = unsafe { one.name.text("a parameter's name", MAX_LINE_BYTES) }?;
        let value = match one.kind {
            1 => {
                // SAFETY: the module's promise.
                let text = unsafe { one.text.text("a parameter", MAX_SECRET_PART_BYTES) }?;
                ParameterValue::Text(text.to_owned())
            }
            2 => ParameterValue::Integer(one.integer),
            3 => ParameterValue::Boolean(one.integer != 0),
            // SAFETY: the module's promise.
            4 => ParameterValue::Secret(unsafe { secret_text(one.text, "a parameter") }?),
            kind => {
                return Err(Error::unsupported(format!(
                    "the parameter `{name}` is of kind {kind}, unknown here"
                )))
            }
        };
        plain.insert(name, value);
    }
    Ok(plain)
}

unsafe fn metadata(metadata: AbiSlice<AbiMetadata>) -> Result<Metadata> {
    // SAFETY: the module's promise.
    match unsafe { known_metadata(metadata) }? {
        (plain, None) => Ok(plain),
        (_, Some(unknown)) => Err(unknown),
    }
}

/// Reads what is known here, and says what is not.
unsafe fn known_metadata(metadata: AbiSlice<AbiMetadata>) -> Result<(Metadata, Option<Error>)> {
    let mut plain = Metadata::new();
    let mut unknown = None;
    // SAFETY: the module's promise.
    for one in unsafe { metadata.read("the metadata", MAX_METADATA_ENTRIES) }? {
        // SAFETY: the module's promise.
        let key = unsafe { one.key.text("a metadata key", MAX_METADATA_KEY_BYTES) }?;
        let value = match one.kind {
            1 => {
                // SAFETY: the module's promise.
                let text = unsafe { one.text.text("a metadata text", MAX_METADATA_BYTES) }?;
                MetadataValue::Text(text.to_owned())
            }
            2 => MetadataValue::Integer(one.integer),
            3 => MetadataValue::Boolean(one.integer != 0),
            4 => MetadataValue::Timestamp(one.integer),
            kind => {
                unknown.get_or_insert_with(|| {
                    Error::unsupported(format!(
                        "the metadata `{key}` is of kind {kind}, unknown here"
                    ))
                });
                continue;
            }
        };
        plain.insert(key, value)?;
    }
    Ok((plain, unknown))
}

unsafe fn parameter_schema(view: AbiParameterSchemaRef) -> Result<Parameter> {
    // SAFETY: the module's promise, for each read.
    unsafe {
        let name = view.name().text("a parameter's name", MAX_LINE_BYTES)?;
        let kind = ParameterKind::from_code(view.kind()).ok_or_else(|| {
            Error::unsupported(format!("the parameter `{name}` is of a kind unknown here"))
        })?;
        Ok(Parameter {
            name: Cow::Owned(name.to_owned()),
            kind,
            description: Cow::Owned(
                view.description().text("a parameter's description", MAX_LINE_BYTES)?.to_owned(),
            ),
            required: view.required() != 0,
            secret: view.secret() != 0,
            default: Cow::Owned(
                view.default().text("a parameter's default", MAX_LINE_BYTES)?.to_owned(),
            ),
        })
    }
}

#[cfg(test)]
mod tests;

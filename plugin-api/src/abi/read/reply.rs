//! What a plugin answers, and what a host answers to a plugin.
// One read after another, under the one promise of the module above.
#![allow(clippy::missing_safety_doc)]

use std::time::Duration;

use abi_stable::std_types::{RErr, ROk, RResult};

use super::part::{known_metadata, metadata, name, parameter_schema, session, value};
use super::{blaming_the_answerer, MAX_ITEMS, MAX_LINE_BYTES};
use crate::abi::types::*;
use crate::abi::view::AbiSlice;
use crate::error::{Challenge, Error, ErrorKind, Prompt, Result, MAX_MESSAGE_BYTES};
use crate::metadata::{Metadata, MAX_TIMESTAMP_MILLIS, MIN_TIMESTAMP_MILLIS};
use crate::plugin::{ExecOutput, Ownership, MAX_EXEC_ERRORS_BYTES};
use crate::value::{SecretBytes, ValueKind, MAX_VALUE_BYTES};
use crate::vault::*;

/// The longest wait before the same call may work that is believed: a day.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// Reads a reply's answer, or its error.
pub(in crate::abi) unsafe fn result<R: Copy, T>(
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

pub(in crate::abi) unsafe fn done(_: AbiDoneRef) -> Result<()> {
    Ok(())
}

pub(in crate::abi) unsafe fn secret(view: AbiSecretRef) -> Result<Secret> {
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

pub(in crate::abi) unsafe fn secrets(view: AbiSecretsRef) -> Result<Vec<Result<Secret>>> {
    // SAFETY: the module's promise, for each read.
    unsafe {
        let each = view.results().read("the secrets", MAX_GET_MANY)?;
        Ok(each.iter().map(|one| result(one, secret)).collect())
    }
}

pub(in crate::abi) unsafe fn written(view: AbiWrittenRef) -> Result<Vec<Result<()>>> {
    // SAFETY: the module's promise, for each read.
    unsafe {
        let each = view.results().read("the results", MAX_SET_MANY)?;
        Ok(each.iter().map(|one| result(one, done)).collect())
    }
}

pub(in crate::abi) unsafe fn entry(view: AbiEntryRef) -> Result<Entry> {
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

pub(in crate::abi) unsafe fn page(view: AbiPageRef) -> Result<Page> {
    // SAFETY: the module's promise, for each read.
    unsafe {
        let each = view.entries().read("the page's entries", MAX_PAGE_ENTRIES)?;
        let entries: Result<Vec<_>> = each.iter().map(|one| listed_entry(*one)).collect();
        let next = view.next().optional("the page's cursor", MAX_CURSOR_BYTES)?;
        Ok(Page::new(entries?, next.map(Into::into)))
    }
}

pub(in crate::abi) unsafe fn unlocked(view: AbiUnlockedRef) -> Result<Option<Session>> {
    // SAFETY: the module's promise, for each read.
    unsafe { session(view.session(), view.session_millis()) }
}

pub(in crate::abi) unsafe fn versions(view: AbiVersionsRef) -> Result<Vec<Version>> {
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

pub(in crate::abi) unsafe fn actions(view: AbiActionsRef) -> Result<Vec<Action>> {
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

pub(in crate::abi) unsafe fn outcome(view: AbiOutcomeRef) -> Result<Outcome> {
    // SAFETY: the module's promise, for each read.
    unsafe {
        let mut plain = Outcome::new(view.message().text("a message", MAX_MESSAGE_BYTES)?);
        if !view.value().is_none() {
            plain.value = Some(value(view.value_kind(), view.value())?);
        }
        Ok(plain)
    }
}

pub(in crate::abi) unsafe fn exec_output(view: AbiExecOutputRef) -> Result<ExecOutput> {
    // SAFETY: the module's promise, for each read.
    unsafe {
        let output =
            SecretBytes::copy_of(view.output().read("a program's output", MAX_VALUE_BYTES)?);
        let errors = view.errors().text("a program's errors", MAX_EXEC_ERRORS_BYTES)?;
        Ok(ExecOutput::new(view.status(), output, errors.to_owned()))
    }
}

pub(in crate::abi) unsafe fn ownership(view: AbiOwnershipRef) -> Result<Option<Ownership>> {
    let flags = view.flags();
    if flags & OWNERSHIP_KNOWN == 0 {
        return Ok(None);
    }
    let mut ownership = Ownership::new(view.owner(), view.device(), view.inode());
    ownership.is_read_only = flags & OWNERSHIP_READ_ONLY != 0;
    Ok(Some(ownership))
}

/// Reads an error; one that cannot be read is an error of the plugin.
pub(in crate::abi) unsafe fn error(view: AbiErrorRef) -> Error {
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
                secret: one.secret & 1 != 0,
                new: one.secret & 2 != 0,
            });
        }
        Ok(plain)
    }
}

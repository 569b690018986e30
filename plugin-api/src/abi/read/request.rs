//! What the host asks, and what a plugin asks of its host.
// One read after another, under the one promise of the module above.
#![allow(clippy::missing_safety_doc)]

use std::time::Duration;

use super::part::{metadata, name, parameters, secret_text, session, value};
use super::{blaming_the_caller, MAX_ITEMS, MAX_LINE_BYTES, MAX_SECRET_PART_BYTES};
use crate::abi::types::*;
use crate::error::{Challenge, Error, Result};
use crate::metadata::Metadata;
use crate::name::VaultName;
use crate::plugin::{ExecRequest, OpenRequest};
use crate::value::{SecretBytes, MAX_VALUE_BYTES};
use crate::vault::*;

fn after(millis: u64) -> Deadline {
    Deadline::after(Duration::from_millis(millis))
}

pub(in crate::abi) unsafe fn open(request: AbiOpenRequestRef) -> Result<OpenRequest> {
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

pub(in crate::abi) unsafe fn get(request: AbiGetRequestRef) -> Result<GetRequest> {
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

pub(in crate::abi) unsafe fn get_many(request: AbiGetManyRequestRef) -> Result<Vec<GetRequest>> {
    // SAFETY: the module's promise, for each read.
    unsafe {
        request.requests().read("the names", MAX_GET_MANY)?.iter().map(|each| get(*each)).collect()
    }
}

pub(in crate::abi) unsafe fn set(request: AbiSetRequestRef) -> Result<SetRequest> {
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

/// Reads several, each for itself: one that cannot be read is answered, and no other is
/// kept from being written.
pub(in crate::abi) unsafe fn set_many(
    request: AbiSetManyRequestRef,
) -> Result<Vec<Result<SetRequest>>> {
    // SAFETY: the module's promise, for each read.
    unsafe {
        let each = request.requests().read("the secrets", MAX_SET_MANY)?.iter();
        Ok(each.map(|one| blaming_the_caller(set(*one))).collect())
    }
}

pub(in crate::abi) unsafe fn set_metadata(
    request: AbiSetMetadataRequestRef,
) -> Result<(GetRequest, Metadata)> {
    // SAFETY: the module's promise, for each read.
    unsafe { Ok((get(request.secret())?, metadata(request.metadata())?)) }
}

pub(in crate::abi) unsafe fn list(request: AbiListRequestRef) -> Result<ListRequest> {
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

pub(in crate::abi) unsafe fn unlock(request: AbiUnlockRequestRef) -> Result<UnlockRequest> {
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

pub(in crate::abi) fn plain(request: AbiPlainRequestRef) -> Deadline {
    after(request.deadline_millis())
}

pub(in crate::abi) unsafe fn act(request: AbiActRequestRef) -> Result<ActRequest> {
    // SAFETY: the module's promise, for each read.
    unsafe {
        let action = request.action().text("an action's id", MAX_LINE_BYTES)?;
        let parameters = parameters(request.parameters())?;
        Ok(ActRequest::new(action, parameters, after(request.deadline_millis())))
    }
}

pub(in crate::abi) unsafe fn exec(request: AbiExecRequestRef) -> Result<ExecRequest> {
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
        for pair in request.environment().read("the variables", MAX_ITEMS)?.chunks(2) {
            // No `let ... else` before Rust 1.65.
            let (name, value) = match pair {
                [name, value] => (name, value),
                _ => return Err(Error::internal("a variable has no value")),
            };
            let name = name.text("a variable's name", MAX_LINE_BYTES)?.to_owned();
            let value = value.text("a variable's value", MAX_SECRET_PART_BYTES)?.to_owned();
            plain.environment.push((name, value));
        }
        Ok(plain)
    }
}

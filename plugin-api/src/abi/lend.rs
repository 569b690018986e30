//! From the plain types to views of them: requests by the host, replies by the plugin.

use std::time::Duration;

use abi_stable::std_types::{RErr, ROk};

use super::arena::Arena;
use super::read;
use super::types::*;
use super::view::{AbiBytes, AbiSlice};
use crate::error::{cut, Error, Result, MAX_MESSAGE_BYTES};
use crate::metadata::{Metadata, MetadataValue};
use crate::parameters::{Parameter, ParameterValue, Parameters};
use crate::plugin::{ExecOutput, ExecRequest, OpenRequest, Ownership, MAX_EXEC_ERRORS_BYTES};
use crate::value::SecretBytes;
use crate::vault::*;

/// Returns whole milliseconds; more than 584 million years is as good as that.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn left(deadline: Deadline) -> u64 {
    millis(deadline.remaining())
}

// Requests.

pub(super) fn open(request: &OpenRequest, arena: &mut Arena) -> AbiOpenRequestRef {
    let session = request.session.as_ref();
    let plain = AbiOpenRequest {
        vault: arena.text(request.vault.as_str()),
        kind: arena.text(&request.kind),
        parameters: parameters(&request.parameters, arena),
        session: session.map_or(AbiBytes::NONE, |s| arena.secret(s.secret.duplicate())),
        session_millis: session.map_or(0, |s| millis(s.lifetime)),
        deadline_millis: left(request.deadline),
    };
    AbiOpenRequestRef(arena.prefix(plain))
}

pub(super) fn get(request: &GetRequest, arena: &mut Arena) -> AbiGetRequestRef {
    let plain = AbiGetRequest {
        name: arena.text(request.name.as_str()),
        version: arena.optional(request.version.as_deref()),
        deadline_millis: left(request.deadline),
        #[cfg(feature = "next")]
        reason: arena.optional(request.reason.as_deref()),
    };
    AbiGetRequestRef(arena.prefix(plain))
}

pub(super) fn get_many(requests: &[GetRequest], arena: &mut Arena) -> AbiGetManyRequestRef {
    let each = requests.iter().map(|request| get(request, arena)).collect();
    let plain = AbiGetManyRequest { requests: arena.items(each) };
    AbiGetManyRequestRef(arena.prefix(plain))
}

pub(super) fn set(request: SetRequest, arena: &mut Arena) -> Result<AbiSetRequestRef> {
    let plain = AbiSetRequest {
        name: arena.text(request.name.as_str()),
        value_kind: request.value.kind().code(),
        mode: request.mode.code(),
        value: arena.secret(request.value.encode()?),
        has_metadata: u8::from(request.metadata.is_some()),
        metadata: metadata(&request.metadata.unwrap_or_default(), arena),
        deadline_millis: left(request.deadline),
    };
    Ok(AbiSetRequestRef(arena.prefix(plain)))
}

/// Lends all requests but those whose value exceeds a limit: of these, the second list has
/// the error, and of the others success.
pub(super) fn set_many(
    requests: Vec<SetRequest>,
    arena: &mut Arena,
) -> (AbiSetManyRequestRef, Vec<Result<()>>) {
    let mut each = Vec::with_capacity(requests.len());
    let lent = requests.into_iter().map(|request| set(request, arena).map(|view| each.push(view)));
    let lent = lent.collect();
    let plain = AbiSetManyRequest { requests: arena.items(each) };
    (AbiSetManyRequestRef(arena.prefix(plain)), lent)
}

pub(super) fn set_metadata(
    request: &GetRequest,
    new: &Metadata,
    arena: &mut Arena,
) -> AbiSetMetadataRequestRef {
    let plain =
        AbiSetMetadataRequest { secret: get(request, arena), metadata: metadata(new, arena) };
    AbiSetMetadataRequestRef(arena.prefix(plain))
}

pub(super) fn list(request: &ListRequest, arena: &mut Arena) -> AbiListRequestRef {
    let plain = AbiListRequest {
        after: arena.optional(request.after.as_deref()),
        limit: request.limit as u64,
        filter: arena.optional(request.filter.as_deref()),
        deadline_millis: left(request.deadline),
    };
    AbiListRequestRef(arena.prefix(plain))
}

pub(super) fn unlock(request: &UnlockRequest, arena: &mut Arena) -> AbiUnlockRequestRef {
    let answers = request.answers.iter().map(|answer| AbiAnswer {
        name: arena.text(&answer.name),
        value: arena.secret(SecretBytes::copy_of(answer.value.expose().as_bytes())),
    });
    let answers = answers.collect();
    let plain = AbiUnlockRequest {
        challenge: arena.text(&request.challenge),
        answers: arena.items(answers),
        deadline_millis: left(request.deadline),
    };
    AbiUnlockRequestRef(arena.prefix(plain))
}

pub(super) fn plain(deadline: Deadline, arena: &mut Arena) -> AbiPlainRequestRef {
    AbiPlainRequestRef(arena.prefix(AbiPlainRequest { deadline_millis: left(deadline) }))
}

pub(super) fn act(request: &ActRequest, arena: &mut Arena) -> AbiActRequestRef {
    let plain = AbiActRequest {
        action: arena.text(&request.action),
        parameters: parameters(&request.parameters, arena),
        deadline_millis: left(request.deadline),
    };
    AbiActRequestRef(arena.prefix(plain))
}

pub(super) fn exec(request: ExecRequest, arena: &mut Arena) -> AbiExecRequestRef {
    let arguments = request.arguments.iter().map(|text| arena.text(text)).collect();
    let variables = request.environment.iter().flat_map(|(name, value)| [name, value]);
    let environment = variables.map(|text| arena.text(text)).collect();
    let plain = AbiExecRequest {
        program: arena.text(&request.program),
        arguments: arena.items(arguments),
        input: arena.secret(request.input),
        environment: arena.items(environment),
        deadline_millis: left(request.deadline),
    };
    AbiExecRequestRef(arena.prefix(plain))
}

// Replies.

pub(super) fn done(_: (), arena: &mut Arena) -> Result<AbiDoneRef> {
    Ok(AbiDoneRef(arena.prefix(AbiDone { nothing: 0 })))
}

pub(super) fn secret(secret: Secret, arena: &mut Arena) -> Result<AbiSecretRef> {
    let plain = AbiSecret {
        value_kind: secret.value.kind().code(),
        value: arena.secret(secret.value.encode()?),
        metadata: metadata(&secret.metadata, arena),
        #[cfg(feature = "next")]
        lease_millis: secret.lease_millis.unwrap_or(0),
    };
    Ok(AbiSecretRef(arena.prefix(plain)))
}

pub(super) fn secrets(results: Vec<Result<Secret>>, arena: &mut Arena) -> Result<AbiSecretsRef> {
    let each = results.into_iter().map(|result| {
        match result.and_then(|found| read::blaming_the_answerer(secret(found, arena))) {
            Ok(view) => ROk(view),
            Err(fault) => RErr(error(&fault, arena)),
        }
    });
    let each = each.collect();
    let plain = AbiSecrets { results: arena.items(each) };
    Ok(AbiSecretsRef(arena.prefix(plain)))
}

pub(super) fn written(results: Vec<Result<()>>, arena: &mut Arena) -> Result<AbiWrittenRef> {
    // One for all: there is nothing in it.
    let nothing = done((), arena)?;
    let each = results.into_iter().map(|result| match result {
        Ok(()) => ROk(nothing),
        Err(fault) => RErr(error(&fault, arena)),
    });
    let each = each.collect();
    let plain = AbiWritten { results: arena.items(each) };
    Ok(AbiWrittenRef(arena.prefix(plain)))
}

pub(super) fn entry(entry: Entry, arena: &mut Arena) -> Result<AbiEntryRef> {
    let plain = AbiEntry {
        name: arena.text(entry.name.as_str()),
        value_kind: entry.kind.map_or(0, |kind| kind.code()),
        metadata: metadata(&entry.metadata, arena),
    };
    Ok(AbiEntryRef(arena.prefix(plain)))
}

pub(super) fn page(page: Page, arena: &mut Arena) -> Result<AbiPageRef> {
    let entries: Result<Vec<_>> =
        page.entries.into_iter().map(|found| entry(found, arena)).collect();
    let plain =
        AbiPage { entries: arena.items(entries?), next: arena.optional(page.next.as_deref()) };
    Ok(AbiPageRef(arena.prefix(plain)))
}

pub(super) fn unlocked(session: Option<Session>, arena: &mut Arena) -> Result<AbiUnlockedRef> {
    let plain = match session {
        None => AbiUnlocked { session: AbiBytes::NONE, session_millis: 0 },
        Some(session) => AbiUnlocked {
            session_millis: millis(session.lifetime),
            session: arena.secret(session.secret),
        },
    };
    Ok(AbiUnlockedRef(arena.prefix(plain)))
}

pub(super) fn versions(versions: Vec<Version>, arena: &mut Arena) -> Result<AbiVersionsRef> {
    let each = versions.iter().map(|version| {
        let plain = AbiVersion {
            id: arena.text(&version.id),
            has_created: u8::from(version.created.is_some()),
            created_millis: version.created.unwrap_or(0),
        };
        AbiVersionRef(arena.prefix(plain))
    });
    let each = each.collect();
    let plain = AbiVersions { versions: arena.items(each) };
    Ok(AbiVersionsRef(arena.prefix(plain)))
}

pub(super) fn actions(actions: Vec<Action>, arena: &mut Arena) -> Result<AbiActionsRef> {
    let each = actions.iter().map(|action| {
        let schema = action.parameters.iter().map(|p| parameter_schema(p, arena)).collect();
        let plain = AbiAction {
            id: arena.text(&action.id),
            description: arena.text(&action.description),
            parameters: arena.items(schema),
            destructive: u8::from(action.destructive),
        };
        AbiActionRef(arena.prefix(plain))
    });
    let each = each.collect();
    let plain = AbiActions { actions: arena.items(each) };
    Ok(AbiActionsRef(arena.prefix(plain)))
}

pub(super) fn outcome(outcome: Outcome, arena: &mut Arena) -> Result<AbiOutcomeRef> {
    let plain = AbiOutcome {
        // Cut, not refused: what the action did is done.
        message: arena.text(cut(&outcome.message, MAX_MESSAGE_BYTES)),
        value_kind: outcome.value.as_ref().map_or(0, |value| value.kind().code()),
        value: match &outcome.value {
            Some(value) => arena.secret(value.encode()?),
            None => AbiBytes::NONE,
        },
    };
    Ok(AbiOutcomeRef(arena.prefix(plain)))
}

pub(super) fn exec_output(output: ExecOutput, arena: &mut Arena) -> Result<AbiExecOutputRef> {
    let plain = AbiExecOutput {
        status: output.status,
        errors: arena.text(cut(&output.errors, MAX_EXEC_ERRORS_BYTES)),
        output: arena.secret(output.output),
    };
    Ok(AbiExecOutputRef(arena.prefix(plain)))
}

pub(super) fn ownership(
    ownership: Option<Ownership>,
    arena: &mut Arena,
) -> Result<AbiOwnershipRef> {
    let plain = match ownership {
        Some(ownership) => AbiOwnership {
            flags: OWNERSHIP_KNOWN | if ownership.is_read_only { OWNERSHIP_READ_ONLY } else { 0 },
            owner: ownership.owner,
            device: ownership.device,
            inode: ownership.inode,
        },
        None => AbiOwnership { flags: 0, owner: 0, device: 0, inode: 0 },
    };
    Ok(AbiOwnershipRef(arena.prefix(plain)))
}

pub(super) fn error(error: &Error, arena: &mut Arena) -> AbiErrorRef {
    let challenge = error.challenge();
    let prompts = challenge.map_or(&[][..], |challenge| &challenge.prompts).iter();
    let prompts = prompts.map(|prompt| AbiPrompt {
        name: arena.text(&prompt.name),
        label: arena.text(&prompt.label),
        secret: u8::from(prompt.secret) | u8::from(prompt.new) << 1,
    });
    let prompts = prompts.collect();
    let plain = AbiError {
        kind: error.kind().code(),
        message: arena.text(error.message()),
        challenge: arena.optional(challenge.map(|challenge| challenge.id.as_str())),
        prompts: arena.items(prompts),
        has_wait: u8::from(error.wait().is_some()),
        wait_millis: error.wait().map_or(0, millis),
    };
    AbiErrorRef(arena.prefix(plain))
}

// Parts.

fn parameters(parameters: &Parameters, arena: &mut Arena) -> AbiSlice<AbiParameter> {
    let each = parameters.iter().map(|(name, value)| {
        let name = arena.text(name);
        let (kind, integer, text) = match value {
            ParameterValue::Text(text) => (1, 0, arena.text(text)),
            ParameterValue::Integer(number) => (2, *number, AbiBytes::NONE),
            ParameterValue::Boolean(yes) => (3, i64::from(*yes), AbiBytes::NONE),
            ParameterValue::Secret(secret) => {
                let copy = SecretBytes::copy_of(secret.expose().as_bytes());
                (4, 0, arena.secret(copy))
            }
        };
        AbiParameter { name, kind, integer, text }
    });
    let each = each.collect();
    arena.items(each)
}

fn metadata(metadata: &Metadata, arena: &mut Arena) -> AbiSlice<AbiMetadata> {
    let each = metadata.iter().map(|(key, value)| {
        let key = arena.text(key);
        let (kind, integer, text) = match value {
            MetadataValue::Text(text) => (1, 0, arena.text(text)),
            MetadataValue::Integer(number) => (2, *number, AbiBytes::NONE),
            MetadataValue::Boolean(yes) => (3, i64::from(*yes), AbiBytes::NONE),
            MetadataValue::Timestamp(at) => (4, *at, AbiBytes::NONE),
        };
        AbiMetadata { key, kind, integer, text }
    });
    let each = each.collect();
    arena.items(each)
}

fn parameter_schema(parameter: &Parameter, arena: &mut Arena) -> AbiParameterSchemaRef {
    let plain = AbiParameterSchema {
        name: arena.text(&parameter.name),
        kind: parameter.kind.code(),
        description: arena.text(&parameter.description),
        required: u8::from(parameter.required),
        secret: u8::from(parameter.secret),
        default: arena.text(&parameter.default),
    };
    AbiParameterSchemaRef(arena.prefix(plain))
}

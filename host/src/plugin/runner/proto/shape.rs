//! The contract's types as bytes: one writer and one reader each, side by side.

use std::borrow::Cow;

use keystead_plugin_api as api;

use crate::codec::{Fault, Reader, Writer};

/// The most bytes of a text that is neither a name nor a message: a cursor, a version, a
/// label, a path.
const MAX_TEXT_BYTES: usize = api::MAX_CURSOR_BYTES;

/// The most bytes of one parameter, answer or argument: room for a key file or a
/// certificate chain.
const MAX_PARAMETER_BYTES: usize = 1024 * 1024;

/// The most parameters, arguments, versions or actions: as many as the loader takes from
/// a plugin.
pub(super) const MAX_ITEMS: usize = 10_000;

/// The most bytes of a program's standard error.
const MAX_ERRORS_BYTES: usize = 64 * 1024;

pub(super) fn text(r: &mut Reader<'_>) -> Result<String, Fault> {
    r.text(MAX_TEXT_BYTES, "a text of more than 4096 bytes").map(str::to_owned)
}

pub(super) fn message(r: &mut Reader<'_>) -> Result<String, Fault> {
    r.text(api::MAX_MESSAGE_BYTES, "a message of more than 4096 bytes").map(str::to_owned)
}

pub(super) fn write_name(w: &mut Writer<'_>, name: &api::SecretName) {
    w.text(name.as_str());
}

pub(super) fn name(r: &mut Reader<'_>) -> Result<api::SecretName, Fault> {
    let text = r.text(api::MAX_SECRET_NAME_BYTES, "a name of more than 1024 bytes")?;
    api::SecretName::parse(text)
        .map_err(|_| Fault::new("a name that is empty or has control characters"))
}

/// A value as it travels: its kind, and its own byte form.
pub(super) struct Sealed {
    kind: u32,
    bytes: api::SecretBytes,
}

impl Sealed {
    pub(super) fn new(value: &api::Value) -> api::Result<Self> {
        Ok(Self { kind: value.kind().code(), bytes: value.encode()? })
    }

    pub(super) fn write(&self, w: &mut Writer<'_>) {
        w.u32(self.kind);
        w.bytes(self.bytes.expose());
    }
}

pub(super) fn value(r: &mut Reader<'_>) -> Result<api::Value, Fault> {
    let kind = r.u32()?;
    let bytes = r.bytes(api::MAX_VALUE_BYTES, "a value of more than 16 MiB")?;
    api::Value::decode(kind, bytes).map_err(|refused| Fault::value(&refused))
}

pub(super) fn write_metadata(w: &mut Writer<'_>, metadata: &api::Metadata) {
    w.count(metadata.len());
    for (key, value) in metadata.iter() {
        w.text(key);
        match value {
            api::MetadataValue::Text(text) => {
                w.u8(1);
                w.text(text);
            }
            api::MetadataValue::Integer(number) => {
                w.u8(2);
                w.i64(*number);
            }
            api::MetadataValue::Boolean(yes) => {
                w.u8(3);
                w.flag(*yes);
            }
            api::MetadataValue::Timestamp(at) => {
                w.u8(4);
                w.i64(*at);
            }
            // A kind that a later contract adds gets its number with it; until then the
            // reader refuses it.
            _ => w.u8(0),
        }
    }
}

pub(super) fn metadata(r: &mut Reader<'_>) -> Result<api::Metadata, Fault> {
    let mut metadata = api::Metadata::new();
    for _ in 0..r.count(api::MAX_METADATA_ENTRIES, "more than 256 entries of metadata")? {
        let key = r.text(api::MAX_METADATA_KEY_BYTES, "a metadata key of more than 256 bytes")?;
        let value = match r.u8()? {
            1 => api::MetadataValue::Text(
                r.text(api::MAX_METADATA_BYTES, "metadata of more than 64 KiB")?.to_owned(),
            ),
            2 => api::MetadataValue::Integer(r.i64()?),
            3 => api::MetadataValue::Boolean(r.flag()?),
            4 => api::MetadataValue::Timestamp(r.i64()?),
            _ => return Err(Fault::new("metadata of an unknown kind")),
        };
        match metadata.insert(key, value) {
            Ok(None) => {}
            Ok(Some(_)) => return Err(Fault::new("a metadata key twice")),
            Err(_) => return Err(Fault::new("metadata outside its limits")),
        }
    }
    Ok(metadata)
}

pub(super) fn write_entry(w: &mut Writer<'_>, entry: &api::Entry) {
    write_name(w, &entry.name);
    w.u32(entry.kind.map_or(0, api::ValueKind::code));
    write_metadata(w, &entry.metadata);
}

pub(super) fn entry(r: &mut Reader<'_>) -> Result<api::Entry, Fault> {
    let name = name(r)?;
    let kind = match r.u32()? {
        0 => None,
        code => Some(
            api::ValueKind::from_code(code)
                .ok_or_else(|| Fault::new("an entry of an unknown kind"))?,
        ),
    };
    Ok(api::Entry::new(name, kind, metadata(r)?))
}

pub(super) fn write_parameters(w: &mut Writer<'_>, parameters: &api::Parameters) {
    w.count(parameters.iter().count());
    for (name, value) in parameters.iter() {
        w.text(name);
        match value {
            api::ParameterValue::Text(text) => {
                w.u8(1);
                w.text(text);
            }
            api::ParameterValue::Integer(number) => {
                w.u8(2);
                w.i64(*number);
            }
            api::ParameterValue::Boolean(yes) => {
                w.u8(3);
                w.flag(*yes);
            }
            api::ParameterValue::Secret(secret) => {
                w.u8(4);
                w.text(secret.expose());
            }
            _ => w.u8(0),
        }
    }
}

pub(super) fn parameters(r: &mut Reader<'_>) -> Result<api::Parameters, Fault> {
    const TOO_LONG: &str = "a parameter of more than 1 MiB";
    let mut parameters = api::Parameters::new();
    for _ in 0..r.count(MAX_ITEMS, "more than 10000 parameters")? {
        let name = text(r)?;
        let value = match r.u8()? {
            1 => api::ParameterValue::Text(r.text(MAX_PARAMETER_BYTES, TOO_LONG)?.to_owned()),
            2 => api::ParameterValue::Integer(r.i64()?),
            3 => api::ParameterValue::Boolean(r.flag()?),
            4 => api::ParameterValue::Secret(secret_text(r, TOO_LONG)?),
            _ => return Err(Fault::new("a parameter of an unknown kind")),
        };
        parameters.insert(name, value);
    }
    Ok(parameters)
}

fn secret_text(r: &mut Reader<'_>, too_long: &'static str) -> Result<api::SecretText, Fault> {
    Ok(api::SecretText::new(r.text(MAX_PARAMETER_BYTES, too_long)?))
}

pub(super) fn write_schema(w: &mut Writer<'_>, schema: &[api::Parameter]) {
    w.count(schema.len());
    for parameter in schema {
        w.text(&parameter.name);
        w.u32(parameter.kind.code());
        w.text(&parameter.description);
        w.flag(parameter.required);
        w.flag(parameter.secret);
        w.text(&parameter.default);
    }
}

pub(super) fn schema(r: &mut Reader<'_>) -> Result<Vec<api::Parameter>, Fault> {
    let count = r.count(MAX_ITEMS, "more than 10000 parameters")?;
    let mut schema = Vec::with_capacity(count);
    for _ in 0..count {
        schema.push(api::Parameter {
            name: Cow::Owned(text(r)?),
            kind: api::ParameterKind::from_code(r.u32()?)
                .ok_or_else(|| Fault::new("a parameter of an unknown kind"))?,
            description: Cow::Owned(message(r)?),
            required: r.flag()?,
            secret: r.flag()?,
            default: Cow::Owned(text(r)?),
        });
    }
    Ok(schema)
}

pub(super) fn write_answers(w: &mut Writer<'_>, answers: &[api::Answer]) {
    w.count(answers.len());
    for answer in answers {
        w.text(&answer.name);
        w.text(answer.value.expose());
    }
}

pub(super) fn answers(r: &mut Reader<'_>) -> Result<Vec<api::Answer>, Fault> {
    let count = r.count(api::Challenge::MAX_PROMPTS, "more than 16 answers")?;
    let mut answers = Vec::with_capacity(count);
    for _ in 0..count {
        let name = text(r)?;
        answers.push(api::Answer { name, value: secret_text(r, "an answer of more than 1 MiB")? });
    }
    Ok(answers)
}

pub(super) fn write_session(w: &mut Writer<'_>, session: &api::Session) {
    w.bytes(session.secret.expose());
    w.span(session.lifetime);
}

pub(super) fn session(r: &mut Reader<'_>) -> Result<api::Session, Fault> {
    let secret = r.bytes(MAX_PARAMETER_BYTES, "a session of more than 1 MiB")?;
    Ok(api::Session {
        secret: api::SecretBytes::copy_of(secret),
        lifetime: r.span()?.min(api::MAX_SESSION_LIFETIME),
    })
}

/// Writes a vault's error.
pub(in crate::plugin::runner) fn write_error(w: &mut Writer<'_>, error: &api::Error) {
    w.u32(error.kind().code());
    w.text(error.message());
    w.optional(error.wait(), |w, wait| w.span(wait));
    w.optional(error.challenge(), |w, challenge| {
        w.text(&challenge.id);
        w.count(challenge.prompts.len());
        for prompt in &challenge.prompts {
            w.text(&prompt.name);
            w.text(&prompt.label);
            w.flag(prompt.secret);
            w.flag(prompt.new);
        }
    });
}

/// Reads a vault's error.
pub(in crate::plugin::runner) fn error(r: &mut Reader<'_>) -> Result<api::Error, Fault> {
    // A kind that is not known here is a fault of the plugin, with its message kept.
    let kind = api::ErrorKind::from_code(r.u32()?).unwrap_or(api::ErrorKind::Internal);
    let message = message(r)?;
    let wait = r.optional(Reader::span)?;
    let challenge = r.optional(challenge)?;
    let error = match (kind, challenge) {
        (api::ErrorKind::Locked, Some(challenge)) => api::Error::locked(challenge),
        (api::ErrorKind::Locked, None) => {
            return Err(Fault::new("`locked` without what would unlock the vault"));
        }
        (_, Some(_)) => return Err(Fault::new("a challenge with another error than `locked`")),
        (_, None) => api::Error::new(kind, message),
    };
    // The longest wait that adds to any clock without overflow is far beyond a day.
    Ok(match wait {
        Some(wait) => error.retry_after(wait.min(api::MAX_SESSION_LIFETIME)),
        None => error,
    })
}

fn challenge(r: &mut Reader<'_>) -> Result<api::Challenge, Fault> {
    let id = text(r)?;
    let count = r.count(api::Challenge::MAX_PROMPTS, "a challenge of more than 16 prompts")?;
    if count == 0 {
        return Err(Fault::new("a challenge without a prompt"));
    }
    let mut prompts = Vec::with_capacity(count);
    for _ in 0..count {
        let (name, label) = (text(r)?, message(r)?);
        prompts.push(api::Prompt { name, label, secret: r.flag()?, new: r.flag()? });
    }
    Ok(api::Challenge::new(id, prompts))
}

/// Writes a request for a program.
pub(in crate::plugin::runner) fn write_exec_request(
    w: &mut Writer<'_>,
    request: &api::ExecRequest,
) {
    w.deadline(request.deadline);
    w.text(&request.program);
    w.count(request.arguments.len());
    for argument in &request.arguments {
        w.text(argument);
    }
    w.bytes(request.input.expose());
    w.count(request.environment.len());
    for (name, value) in &request.environment {
        w.text(name);
        w.text(value);
    }
}

/// Reads a request for a program.
pub(in crate::plugin::runner) fn exec_request(
    r: &mut Reader<'_>,
) -> Result<api::ExecRequest, Fault> {
    let deadline = r.deadline()?;
    let program = text(r)?;
    let count = r.count(MAX_ITEMS, "a program with more than 10000 arguments")?;
    let mut arguments = Vec::with_capacity(count);
    for _ in 0..count {
        let argument = r.text(MAX_PARAMETER_BYTES, "an argument of more than 1 MiB")?;
        arguments.push(argument.to_owned());
    }
    let mut request = api::ExecRequest::new(program, arguments, deadline);
    let input = r.bytes(api::MAX_VALUE_BYTES, "input of more than 16 MiB for a program")?;
    request.input = api::SecretBytes::copy_of(input);
    for _ in 0..r.count(MAX_ITEMS, "a program with more than 10000 variables")? {
        let name = text(r)?;
        let value = r.text(MAX_PARAMETER_BYTES, "a variable of more than 1 MiB")?;
        request.environment.push((name, value.to_owned()));
    }
    Ok(request)
}

/// Writes how a program ended.
pub(in crate::plugin::runner) fn write_exec_output(w: &mut Writer<'_>, output: &api::ExecOutput) {
    w.i64(i64::from(output.status));
    w.bytes(output.output.expose());
    w.text(&output.errors);
}

/// Reads how a program ended.
pub(in crate::plugin::runner) fn exec_output(r: &mut Reader<'_>) -> Result<api::ExecOutput, Fault> {
    let status = i32::try_from(r.i64()?).map_err(|_| Fault::new("an impossible exit status"))?;
    let output = r.bytes(api::MAX_VALUE_BYTES, "output of more than 16 MiB")?;
    let output = api::SecretBytes::copy_of(output);
    let errors = r.text(MAX_ERRORS_BYTES, "standard error of more than 64 KiB")?.to_owned();
    Ok(api::ExecOutput::new(status, output, errors))
}

/// Reads the path of which the owner is asked.
pub(in crate::plugin::runner) fn ownership_request(r: &mut Reader<'_>) -> Result<String, Fault> {
    text(r)
}

/// Writes who owns a file.
pub(in crate::plugin::runner) fn write_ownership(w: &mut Writer<'_>, found: &api::Ownership) {
    w.u32(found.owner);
    w.flag(found.is_read_only);
    w.u64(found.device);
    w.u64(found.inode);
}

/// Reads who owns a file.
pub(in crate::plugin::runner) fn ownership(r: &mut Reader<'_>) -> Result<api::Ownership, Fault> {
    let (owner, is_read_only) = (r.u32()?, r.flag()?);
    let mut found = api::Ownership::new(owner, r.u64()?, r.u64()?);
    found.is_read_only = is_read_only;
    Ok(found)
}

/// Writes a code and a text: why a greeting is refused, or a plugin cannot be loaded.
pub(in crate::plugin::runner) fn write_unwelcome(w: &mut Writer<'_>, code: &str, text: &str) {
    w.text(code);
    let mut end = text.len().min(api::MAX_MESSAGE_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    w.text(&text[..end]);
}

/// Reads a code and a text.
pub(in crate::plugin::runner) fn unwelcome(r: &mut Reader<'_>) -> Result<(String, String), Fault> {
    Ok((text(r)?, message(r)?))
}

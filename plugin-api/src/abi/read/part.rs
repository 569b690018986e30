//! What requests and replies are made of.
// One read after another, under the one promise of the module above.
#![allow(clippy::missing_safety_doc)]

use std::borrow::Cow;
use std::time::Duration;

use super::{MAX_ITEMS, MAX_LINE_BYTES, MAX_SECRET_PART_BYTES};
use crate::abi::types::*;
use crate::abi::view::{AbiBytes, AbiSlice};
use crate::error::{Error, Result};
use crate::metadata::*;
use crate::name::{SecretName, MAX_SECRET_NAME_BYTES};
use crate::parameters::{Parameter, ParameterKind, ParameterValue, Parameters};
use crate::plugin::MAX_SESSION_LIFETIME;
use crate::value::{SecretBytes, SecretText, Value, ValueKind, MAX_VALUE_BYTES};
use crate::vault::Session;

pub(super) unsafe fn name(name: AbiBytes) -> Result<SecretName> {
    // SAFETY: the module's promise.
    SecretName::parse(unsafe { name.text("a secret's name", MAX_SECRET_NAME_BYTES) }?)
}

pub(super) unsafe fn value(kind: u32, bytes: AbiBytes) -> Result<Value> {
    // An unknown kind is refused before its bytes are looked at.
    if ValueKind::from_code(kind).is_none() {
        return Err(Error::unsupported(format!("the value is of kind {kind}, unknown here")));
    }
    // SAFETY: the module's promise.
    Value::decode(kind, unsafe { bytes.read("a value", MAX_VALUE_BYTES) }?)
}

pub(super) unsafe fn secret_text(bytes: AbiBytes, what: &str) -> Result<SecretText> {
    // SAFETY: the module's promise.
    let bytes = unsafe { bytes.read(what, MAX_SECRET_PART_BYTES) }?;
    SecretText::copy_of(bytes)
}

pub(super) unsafe fn session(bytes: AbiBytes, millis: u64) -> Result<Option<Session>> {
    if bytes.is_none() {
        return Ok(None);
    }
    // SAFETY: the module's promise.
    let bytes = unsafe { bytes.read("a session", MAX_SECRET_PART_BYTES) }?;
    let lifetime = Duration::from_millis(millis).min(MAX_SESSION_LIFETIME);
    Ok(Some(Session { secret: SecretBytes::copy_of(bytes), lifetime }))
}

pub(super) unsafe fn parameters(parameters: AbiSlice<AbiParameter>) -> Result<Parameters> {
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

pub(super) unsafe fn metadata(metadata: AbiSlice<AbiMetadata>) -> Result<Metadata> {
    // SAFETY: the module's promise.
    match unsafe { known_metadata(metadata) }? {
        (plain, None) => Ok(plain),
        (_, Some(unknown)) => Err(unknown),
    }
}

/// Reads what is known here, and says what is not.
pub(super) unsafe fn known_metadata(
    metadata: AbiSlice<AbiMetadata>,
) -> Result<(Metadata, Option<Error>)> {
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

pub(super) unsafe fn parameter_schema(view: AbiParameterSchemaRef) -> Result<Parameter> {
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

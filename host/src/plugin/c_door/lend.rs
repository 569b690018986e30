//! From the plain requests to those of the C door. What is made here points into the plain
//! request: it is of use for as long as that lives, which is until the call has returned.

use std::time::Duration;

use keystead_plugin_api as api;
use keystead_plugin_api::{Deadline, MetadataValue, ParameterValue, Parameters};

use super::table::*;

/// Returns where these items are: nowhere, where there are none.
pub(super) fn items<T>(items: &[T]) -> *const T {
    if items.is_empty() { std::ptr::null() } else { items.as_ptr() }
}

/// Returns where metadata is that is given: somewhere, also where it is none.
pub(super) fn given(metadata: &[Item]) -> *const Item {
    /// Room for one, aligned as it is.
    static ROOM: [u64; size_of::<Item>() / 8] = [0; size_of::<Item>() / 8];
    if metadata.is_empty() { ROOM.as_ptr().cast() } else { metadata.as_ptr() }
}

/// Returns whole milliseconds; more than 584 million years is as good as that.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

pub(super) fn left(deadline: Deadline) -> u64 {
    millis(deadline.remaining())
}

pub(super) fn plain(deadline: Deadline) -> PlainRequest {
    PlainRequest { size: size_of::<PlainRequest>(), deadline_millis: left(deadline) }
}

pub(super) fn get(request: &api::GetRequest) -> GetRequest {
    GetRequest {
        size: size_of::<GetRequest>(),
        deadline_millis: left(request.deadline),
        name: Bytes::of(request.name.as_str().as_bytes()),
        version: Bytes::optional(request.version.as_deref()),
    }
}

/// Lends what is said of one secret and no version of it.
pub(super) fn one(name: &api::SecretName, deadline: Deadline) -> GetRequest {
    GetRequest {
        size: size_of::<GetRequest>(),
        deadline_millis: left(deadline),
        name: Bytes::of(name.as_str().as_bytes()),
        version: Bytes::NONE,
    }
}

/// Lends a write whose value's byte form is `value` and whose metadata are these items.
pub(super) fn set(request: &api::SetRequest, value: &[u8], items: &[Item]) -> SetRequest {
    SetRequest {
        size: size_of::<SetRequest>(),
        deadline_millis: left(request.deadline),
        name: Bytes::of(request.name.as_str().as_bytes()),
        value_kind: request.value.kind().code(),
        mode: request.mode.code(),
        value: Bytes::of(value),
        // Null means that none is given.
        metadata: request.metadata.as_ref().map_or(std::ptr::null(), |_| given(items)),
        metadata_count: items.len(),
    }
}

pub(super) fn parameters(parameters: &Parameters) -> Vec<Item> {
    let each = parameters.iter().map(|(name, value)| {
        let (kind, integer, text) = match value {
            ParameterValue::Text(text) => (1, 0, Bytes::of(text.as_bytes())),
            ParameterValue::Integer(number) => (2, *number, Bytes::NONE),
            ParameterValue::Boolean(yes) => (3, i64::from(*yes), Bytes::NONE),
            ParameterValue::Secret(secret) => (4, 0, Bytes::of(secret.expose().as_bytes())),
            // A kind of a later contract: its number is none of this door.
            _ => (0, 0, Bytes::NONE),
        };
        Item { name: Bytes::of(name.as_bytes()), kind, integer, text }
    });
    each.collect()
}

pub(super) fn metadata(metadata: &api::Metadata) -> Vec<Item> {
    let each = metadata.iter().map(|(key, value)| {
        let (kind, integer, text) = match value {
            MetadataValue::Text(text) => (1, 0, Bytes::of(text.as_bytes())),
            MetadataValue::Integer(number) => (2, *number, Bytes::NONE),
            MetadataValue::Boolean(yes) => (3, i64::from(*yes), Bytes::NONE),
            MetadataValue::Timestamp(at) => (4, *at, Bytes::NONE),
            _ => (0, 0, Bytes::NONE),
        };
        Item { name: Bytes::of(key.as_bytes()), kind, integer, text }
    });
    each.collect()
}

pub(super) fn answers(answers: &[api::Answer]) -> Vec<Answer> {
    let each = answers.iter().map(|answer| Answer {
        name: Bytes::of(answer.name.as_bytes()),
        value: Bytes::of(answer.value.expose().as_bytes()),
    });
    each.collect()
}

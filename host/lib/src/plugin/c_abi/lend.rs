//! From the plain requests to those of the C ABI. What is made here points into the plain
//! request: it is of use for as long as that lives, which is until the call has returned.

use std::time::Duration;

use keystead_plugin_api as api;
use keystead_plugin_api::{Deadline, MetadataValue, ParameterValue, Parameters};

use super::table::*;

/// Structs that are lent, and the pointers by which C gets them: a struct may grow, so that C knows
/// no distance between two.
pub(super) struct Lent<T> {
    /// Where the pointers lead: on the heap, and so in place when this moves.
    _structs: Vec<T>,
    pointers: Vec<*const T>,
    /// The lists that structs lead to.
    _lists: Vec<Vec<Bytes>>,
}

impl<T> Lent<T> {
    pub(super) fn new(structs: Vec<T>) -> Self {
        let pointers = structs.iter().map(std::ptr::from_ref).collect();
        Self { _structs: structs, pointers, _lists: Vec::new() }
    }

    /// Returns where the pointers are: null, where there are none.
    pub(super) fn start(&self) -> *const *const T {
        if self.pointers.is_empty() { std::ptr::null() } else { self.pointers.as_ptr() }
    }

    pub(super) fn count(&self) -> usize {
        self.pointers.len()
    }
}

/// Returns the bit of a field that may be absent.
pub(super) fn bit<T>(field: Option<&T>, bit: u32) -> u32 {
    if field.is_some() { bit } else { 0 }
}

/// Returns whole milliseconds; more than 584 million years is as good as that.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

pub(super) fn left(deadline: Deadline) -> u64 {
    millis(deadline.remaining())
}

fn name(name: &api::SecretName) -> Bytes {
    Bytes::of(name.as_str().as_bytes())
}

/// Returns a page's limit as the contract has it.
fn limit(limit: usize) -> u32 {
    limit.clamp(1, api::MAX_PAGE_ENTRIES) as u32
}

pub(super) fn plain(deadline: Deadline) -> PlainRequest {
    PlainRequest { size: size::<PlainRequest>(), present: 0, deadline_millis: left(deadline) }
}

pub(super) fn open(request: &api::OpenRequest, parameters: &Lent<Item>) -> OpenRequest {
    let session = request.session.as_ref();
    let host = request.host.as_ref();
    OpenRequest {
        size: size::<OpenRequest>(),
        present: bit(session, with::SESSION),
        deadline_millis: left(request.deadline),
        vault: Bytes::of(request.vault.as_str().as_bytes()),
        kind: Bytes::of(request.kind.as_bytes()),
        parameters: parameters.start(),
        parameter_count: parameters.count(),
        session: session.map_or(Bytes::NONE, |session| Bytes::of(session.secret.expose())),
        session_millis: session.map_or(0, |session| millis(session.lifetime)),
        host_name: Bytes::optional(host.map(|host| host.name.as_str())),
        host_version: Bytes::optional(host.map(|host| host.version.as_str())),
    }
}

pub(super) fn get(request: &api::GetRequest) -> GetRequest {
    GetRequest {
        size: size::<GetRequest>(),
        present: bit(request.version.as_ref(), with::VERSION),
        deadline_millis: left(request.deadline),
        name: name(&request.name),
        version: Bytes::optional(request.version.as_deref()),
        #[cfg(feature = "next")]
        reason: Bytes::optional(request.reason.as_deref()),
    }
}

pub(super) fn many<R>(requests: &Lent<R>) -> ManyRequest<R> {
    ManyRequest {
        size: size::<ManyRequest<R>>(),
        present: 0,
        requests: requests.start(),
        request_count: requests.count(),
    }
}

pub(super) fn list(request: &api::ListRequest) -> ListRequest {
    ListRequest {
        size: size::<ListRequest>(),
        present: bit(request.cursor.as_ref(), with::CURSOR)
            | bit(request.pattern.as_ref(), with::PATTERN),
        deadline_millis: left(request.deadline),
        cursor: Bytes::optional(request.cursor.as_deref()),
        pattern: Bytes::optional(request.pattern.as_deref()),
        prefix: Bytes::optional(request.prefix.as_deref()),
        limit: limit(request.limit),
        reserved: 0,
    }
}

pub(super) fn describe(request: &api::DescribeRequest) -> DescribeRequest {
    DescribeRequest {
        size: size::<DescribeRequest>(),
        present: 0,
        deadline_millis: left(request.deadline),
        name: name(&request.name),
    }
}

/// Lends a write whose value's byte form is `value` and whose metadata are these items.
pub(super) fn set(request: &api::SetRequest, value: &[u8], items: &Lent<Metadata>) -> SetRequest {
    SetRequest {
        size: size::<SetRequest>(),
        present: bit(request.metadata.as_ref(), with::METADATA)
            | bit(request.if_version.as_ref(), with::IF_VERSION),
        deadline_millis: left(request.deadline),
        name: name(&request.name),
        value: Bytes::of(value),
        value_kind: request.value.kind().code(),
        mode: request.mode.code(),
        metadata: items.start(),
        metadata_count: items.count(),
        if_version: Bytes::optional(request.if_version.as_deref()),
    }
}

pub(super) fn remove(request: &api::RemoveRequest) -> RemoveRequest {
    RemoveRequest {
        size: size::<RemoveRequest>(),
        present: bit(request.if_version.as_ref(), with::IF_VERSION),
        deadline_millis: left(request.deadline),
        name: name(&request.name),
        if_version: Bytes::optional(request.if_version.as_deref()),
    }
}

pub(super) fn rename(request: &api::RenameRequest) -> RenameRequest {
    RenameRequest {
        size: size::<RenameRequest>(),
        present: 0,
        deadline_millis: left(request.deadline),
        from: name(&request.from),
        to: name(&request.to),
    }
}

pub(super) fn set_metadata(
    request: &api::SetMetadataRequest,
    items: &Lent<Metadata>,
) -> SetMetadataRequest {
    SetMetadataRequest {
        size: size::<SetMetadataRequest>(),
        present: bit(request.if_version.as_ref(), with::IF_VERSION),
        deadline_millis: left(request.deadline),
        name: name(&request.name),
        metadata: items.start(),
        metadata_count: items.count(),
        if_version: Bytes::optional(request.if_version.as_deref()),
    }
}

pub(super) fn unlock(request: &api::UnlockRequest, answers: &Lent<Answer>) -> UnlockRequest {
    UnlockRequest {
        size: size::<UnlockRequest>(),
        present: 0,
        deadline_millis: left(request.deadline),
        challenge: Bytes::of(request.challenge.as_bytes()),
        answers: answers.start(),
        answer_count: answers.count(),
    }
}

pub(super) fn versions(request: &api::VersionsRequest) -> VersionsRequest {
    VersionsRequest {
        size: size::<VersionsRequest>(),
        present: bit(request.cursor.as_ref(), with::CURSOR),
        deadline_millis: left(request.deadline),
        name: name(&request.name),
        cursor: Bytes::optional(request.cursor.as_deref()),
        limit: limit(request.limit),
        reserved: 0,
    }
}

pub(super) fn list_removed(request: &api::ListRemovedRequest) -> ListRemovedRequest {
    ListRemovedRequest {
        size: size::<ListRemovedRequest>(),
        present: bit(request.cursor.as_ref(), with::CURSOR),
        deadline_millis: left(request.deadline),
        cursor: Bytes::optional(request.cursor.as_deref()),
        limit: limit(request.limit),
        reserved: 0,
    }
}

/// Lends what `restore` and `purge` say of one removed secret.
pub(super) fn removed_one(
    of: &api::SecretName,
    id: Option<&String>,
    version: Option<&String>,
    deadline: Deadline,
) -> RemovedOneRequest {
    RemovedOneRequest {
        size: size::<RemovedOneRequest>(),
        present: bit(id, with::ID) | bit(version, with::VERSION),
        deadline_millis: left(deadline),
        name: name(of),
        id: Bytes::optional(id.map(String::as_str)),
        version: Bytes::optional(version.map(String::as_str)),
    }
}

pub(super) fn action(request: &api::ActionRequest, parameters: &Lent<Item>) -> ActionRequest {
    ActionRequest {
        size: size::<ActionRequest>(),
        present: 0,
        deadline_millis: left(request.deadline),
        action: Bytes::of(request.action.as_bytes()),
        parameters: parameters.start(),
        parameter_count: parameters.count(),
    }
}

fn item(name: &str, (kind, integer, text): (u32, i64, Bytes)) -> Item {
    Item { size: size::<Item>(), kind, name: Bytes::of(name.as_bytes()), integer, text }
}

pub(super) fn parameters(parameters: &Parameters) -> Lent<Item> {
    let each = parameters.iter().map(|(name, value)| {
        let content = match value {
            ParameterValue::Text(text) => (1, 0, Bytes::of(text.as_bytes())),
            ParameterValue::Integer(number) => (2, *number, Bytes::NONE),
            ParameterValue::Boolean(yes) => (3, i64::from(*yes), Bytes::NONE),
            ParameterValue::Secret(secret) => (4, 0, Bytes::of(secret.expose().as_bytes())),
            #[cfg(feature = "next")]
            ParameterValue::Url(url) => (200, 0, Bytes::of(url.as_bytes())),
            // A kind of a later contract: its number is none of this ABI.
            _ => (0, 0, Bytes::NONE),
        };
        item(name, content)
    });
    Lent::new(each.collect())
}

pub(super) fn metadata(metadata: &api::Metadata) -> Lent<Metadata> {
    let mut lists = Vec::new();
    let each = metadata.iter().map(|(key, value)| {
        let mut lent = Metadata {
            size: size::<Metadata>(),
            kind: 0,
            key: Bytes::of(key.as_bytes()),
            integer: 0,
            text: Bytes::NONE,
            texts: std::ptr::null(),
            text_count: 0,
            flags: 0,
            reserved: 0,
        };
        match value {
            MetadataValue::Text(text) => (lent.kind, lent.text) = (1, Bytes::of(text.as_bytes())),
            MetadataValue::Integer(number) => (lent.kind, lent.integer) = (2, *number),
            MetadataValue::Boolean(yes) => (lent.kind, lent.integer) = (3, i64::from(*yes)),
            MetadataValue::Timestamp(at) => (lent.kind, lent.integer) = (4, *at),
            MetadataValue::TextList(texts) => {
                lent.kind = 5;
                if !texts.is_empty() {
                    let list: Vec<_> =
                        texts.iter().map(|text| Bytes::of(text.as_bytes())).collect();
                    (lent.texts, lent.text_count) = (list.as_ptr(), list.len());
                    lists.push(list);
                }
            }
            #[cfg(feature = "next")]
            MetadataValue::Digest(digest) => (lent.kind, lent.text) = (200, Bytes::of(digest)),
            _ => {}
        }
        lent
    });
    let lent = Lent::new(each.collect());
    Lent { _lists: lists, ..lent }
}

pub(super) fn answers(answers: &[api::Answer]) -> Lent<Answer> {
    let each = answers.iter().map(|answer| Answer {
        size: size::<Answer>(),
        present: 0,
        name: Bytes::of(answer.name.as_bytes()),
        value: Bytes::of(answer.value.expose().as_bytes()),
    });
    Lent::new(each.collect())
}

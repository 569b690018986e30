//! Views that no side of ours makes: read as hostile bytes.

use std::time::Duration;

use abi_stable::std_types::ROk;

use super::part::parameters;
use super::*;
use crate::abi::arena::Arena;
use crate::abi::lend;
use crate::abi::types::*;
use crate::abi::view::{AbiBytes, AbiSlice};
use crate::metadata::{Metadata, MAX_METADATA_ENTRIES};
use crate::name::{SecretName, MAX_SECRET_NAME_BYTES};
use crate::value::MAX_VALUE_BYTES;
use crate::vault::{Entry, Secret, WriteMode};

const TEXT: fn(&'static [u8]) -> AbiBytes = |bytes| AbiBytes::of(bytes);

fn no_metadata() -> AbiSlice<AbiMetadata> {
    AbiSlice::of(&[])
}

fn read_entry(name: AbiBytes, metadata: AbiSlice<AbiMetadata>) -> Result<Entry> {
    let mut arena = Arena::new();
    let view = AbiEntryRef(arena.prefix(AbiEntry { name, value_kind: 77, metadata }));
    // SAFETY: the arena outlives the call, and the parts are static.
    unsafe { result(&ROk(view), entry) }
}

#[test]
fn a_name_that_breaks_the_rules_is_the_plugins_fault() {
    let long = [b'x'; MAX_SECRET_NAME_BYTES + 1];
    for (name, message) in [
        (AbiBytes::NONE, "a secret's name is missing"),
        (TEXT(b""), "a secret's name is empty"),
        (TEXT(b"\xff"), "a secret's name is not UTF-8"),
        (TEXT(b"a\nb"), "a secret's name has the control character U+000A"),
        (AbiBytes::of(&long), "a secret's name has 1025 bytes; the most is 1024"),
    ] {
        assert_eq!(read_entry(name, no_metadata()), Err(Error::internal(message)));
    }
}

#[test]
fn a_wrong_request_is_the_callers_fault() {
    let mut arena = Arena::new();
    let (name, version) = (TEXT(b"\xff"), AbiBytes::NONE);
    let plain = AbiGetRequest {
        name,
        version,
        deadline_millis: u64::MAX,
        #[cfg(feature = "next")]
        reason: AbiBytes::NONE,
    };
    let view = AbiGetRequestRef(arena.prefix(plain));
    // SAFETY: the arena outlives the call, and the parts are static.
    let fault = blaming_the_caller(unsafe { get(view) }).unwrap_err();
    assert_eq!(fault, Error::invalid("a secret's name is not UTF-8"));
}

#[test]
fn an_entry_of_an_unknown_kind_is_listed_without_its_kind() {
    let found = read_entry(TEXT(b"a"), no_metadata()).unwrap();
    assert_eq!(found, Entry::new(SecretName::parse("a").unwrap(), None, Metadata::new()));
}

#[test]
fn unknown_metadata_is_left_out_of_a_page_and_refused_alone() {
    let metadata = |key, kind| AbiMetadata { key, kind, integer: 1, text: AbiBytes::NONE };
    let both = [metadata(TEXT(b"new"), 77), metadata(TEXT(b"yes"), 3)];
    let alone = read_entry(TEXT(b"a"), AbiSlice::of(&both)).unwrap_err();
    assert_eq!(alone, Error::unsupported("the metadata `new` is of kind 77, unknown here"));

    let mut arena = Arena::new();
    let plain = AbiEntry { name: TEXT(b"a"), value_kind: 1, metadata: AbiSlice::of(&both) };
    let entries = [AbiEntryRef(arena.prefix(plain))];
    let plain = AbiPage { entries: AbiSlice::of(&entries), next: AbiBytes::NONE };
    let view = AbiPageRef(arena.prefix(plain));
    // SAFETY: the arena and the arrays outlive the call.
    let found = unsafe { page(view) }.unwrap();
    let keys: Vec<_> = found.entries[0].metadata.iter().collect();
    assert_eq!(keys, [("yes", &crate::MetadataValue::Boolean(true))]);
}

#[test]
fn metadata_over_its_limits_is_the_plugins_fault() {
    let at = AbiMetadata { key: TEXT(b"at"), kind: 4, integer: i64::MAX, text: AbiBytes::NONE };
    let fault = read_entry(TEXT(b"a"), AbiSlice::of(&[at])).unwrap_err();
    assert_eq!(fault, Error::internal("the timestamp `at` is outside the years 1 to 9999"));
    let many = vec![at; MAX_METADATA_ENTRIES + 1];
    let fault = read_entry(TEXT(b"a"), AbiSlice::of(&many)).unwrap_err();
    assert_eq!(fault, Error::internal("the metadata are 257; the most is 256"));
}

#[test]
fn an_unknown_kind_of_error_keeps_its_message() {
    let mut arena = Arena::new();
    let plain = AbiError {
        kind: 4_000,
        message: TEXT(b"slow down"),
        challenge: AbiBytes::NONE,
        prompts: AbiSlice::of(&[]),
        has_wait: 2,
        wait_millis: 1,
    };
    let view = AbiErrorRef(arena.prefix(plain));
    // SAFETY: the arena outlives the call, and the parts are static.
    let found = unsafe { error(view) };
    assert_eq!(found, Error::internal("slow down").retry_after(Duration::from_millis(1)));
}

#[test]
fn an_unknown_kind_of_value_is_refused_before_its_bytes_are_read() {
    let mut arena = Arena::new();
    let plain = AbiSetRequest {
        name: TEXT(b"a"),
        value_kind: 77,
        mode: WriteMode::Upsert.code(),
        value: AbiBytes::NONE,
        has_metadata: 0,
        metadata: no_metadata(),
        deadline_millis: 1,
    };
    let view = AbiSetRequestRef(arena.prefix(plain));
    // SAFETY: the arena outlives the call, and the parts are static.
    let fault = unsafe { set(view) }.unwrap_err();
    assert_eq!(fault, Error::unsupported("the value is of kind 77, unknown here"));
}

#[test]
fn an_unknown_parameter_and_mode_are_unsupported() {
    let mut arena = Arena::new();
    let one = AbiParameter { name: TEXT(b"p"), kind: 77, integer: 0, text: AbiBytes::NONE };
    // SAFETY: the array outlives the call.
    let fault = unsafe { parameters(AbiSlice::of(&[one])) }.unwrap_err();
    assert_eq!(fault, Error::unsupported("the parameter `p` is of kind 77, unknown here"));

    let plain = AbiSetRequest {
        name: TEXT(b"a"),
        value_kind: 1,
        mode: 77,
        value: AbiBytes::NONE,
        has_metadata: 0,
        metadata: no_metadata(),
        deadline_millis: 1,
    };
    let view = AbiSetRequestRef(arena.prefix(plain));
    // SAFETY: the arena outlives the call, and the parts are static.
    let fault = unsafe { set(view) }.unwrap_err();
    assert_eq!(fault, Error::unsupported("the write mode 77 is unknown here"));
}

#[test]
fn an_error_that_cannot_be_read_is_an_error_still() {
    let mut arena = Arena::new();
    let plain = AbiError {
        kind: 1,
        message: TEXT(b"\xff"),
        challenge: AbiBytes::NONE,
        prompts: AbiSlice::of(&[]),
        has_wait: 0,
        wait_millis: 0,
    };
    let view = AbiErrorRef(arena.prefix(plain));
    // SAFETY: the arena outlives the call, and the parts are static.
    let found = unsafe { error(view) };
    assert_eq!(found, Error::internal("an error's message is not UTF-8"));
}

#[test]
fn a_reply_that_cannot_be_lent_is_given_as_an_error() {
    let large = Secret::new(crate::Value::bytes(vec![0; MAX_VALUE_BYTES]));
    let reply = Arena::new().reply(Ok(|arena: &mut Arena| lend::secret(large, arena)));
    // SAFETY: the reply lives until the end of this test.
    let fault = unsafe { result(&reply.result, secret) }.unwrap_err();
    assert_eq!(fault.kind(), ErrorKind::Internal);
}

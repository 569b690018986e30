//! Bytes that no side of ours writes: read as hostile ones.

use std::time::Duration;

use super::*;
use crate::metadata::{Metadata, MetadataValue, MAX_METADATA_ENTRIES};
use crate::name::{SecretName, MAX_SECRET_NAME_BYTES};
use crate::value::MAX_VALUE_BYTES;
use crate::{Entry, GetRequest, Parameters, Secret, SetRequest, Value};

/// A record in the making.
#[derive(Default)]
struct Bytes(Vec<u8>);

impl Bytes {
    fn field(mut self, number: u16, content: &[u8]) -> Self {
        self.0.extend_from_slice(&number.to_le_bytes());
        self.item(content)
    }

    fn item(mut self, content: &[u8]) -> Self {
        self.0.extend_from_slice(&(content.len() as u32).to_le_bytes());
        self.0.extend_from_slice(content);
        self
    }
}

fn record() -> Bytes {
    Bytes::default()
}

fn number(number: u32) -> [u8; 4] {
    number.to_le_bytes()
}

/// One piece of metadata or parameter.
fn tagged(name: &[u8], kind: u32, content: &[u8]) -> Vec<u8> {
    record().field(1, name).field(2, &number(kind)).field(3, content).0
}

fn answered<T: Wire>(record: Bytes) -> Result<T> {
    let reply = [&[0], &record.0[..]].concat();
    decode_reply(&reply).map(|answer| answer.expect("the call is known"))
}

const DEADLINE: [u8; 8] = 1_000_u64.to_le_bytes();

#[test]
fn invalid_name_in_reply_is_internal_error() {
    let long = [b'x'; MAX_SECRET_NAME_BYTES + 1];
    for (name, message) in [
        (&b""[..], "a secret's name is empty"),
        (b"\xff", "a secret's name is not UTF-8"),
        (b"a\nb", "a secret's name has the control character U+000A"),
        (&long, "a secret's name has 1025 bytes; the most is 1024"),
    ] {
        let entry = answered::<Entry>(record().field(1, name));
        assert_eq!(entry, Err(Error::internal(message)));
    }
    assert_eq!(answered::<Entry>(record()), Err(Error::internal("`name` is missing")));
}

#[test]
fn invalid_name_in_request_is_invalid_error() {
    let request = record().field(1, b"\xff").field(3, &DEADLINE);
    let fault = decode::<GetRequest>(&request.0).unwrap_err();
    assert_eq!(fault, Error::invalid("a secret's name is not UTF-8"));
}

#[test]
fn unknown_field_is_ignored_unless_mandatory() {
    let with = |number| {
        let request = record().field(1, b"a").field(3, &DEADLINE).field(number, b"new");
        decode::<GetRequest>(&request.0)
    };
    assert_eq!(with(900).unwrap().name.as_str(), "a");
    let fault = with(MUST_BE_KNOWN | 900).unwrap_err();
    assert_eq!(fault, Error::unsupported("`request` has the field 900, which is not known here"));
    // One that is known may be marked, too.
    let request = record().field(1, b"a").field(MUST_BE_KNOWN | 2, b"v").field(3, &DEADLINE);
    assert_eq!(decode::<GetRequest>(&request.0).unwrap().version.as_deref(), Some("v"));
}

#[test]
fn unordered_or_duplicate_fields_are_rejected() {
    for fields in [[3, 1], [1, 1], [2, 0x8002]] {
        let bytes = record().field(fields[0], b"a").field(fields[1], &DEADLINE);
        let fault = decode::<GetRequest>(&bytes.0).unwrap_err();
        assert_eq!(fault.kind(), ErrorKind::Invalid, "{fields:?}: {fault}");
    }
}

#[test]
fn oversized_length_is_rejected() {
    let mut bytes = record().field(1, b"a").0;
    bytes[2..6].copy_from_slice(&u32::MAX.to_le_bytes());
    let fault = decode::<GetRequest>(&bytes).unwrap_err();
    assert_eq!(fault, Error::invalid("`request` ends too early"));
    let entries = [&u32::MAX.to_le_bytes()[..], b"x"].concat();
    let fault = answered::<crate::Page>(record().field(1, &entries)).unwrap_err();
    assert_eq!(fault, Error::internal("`entries` ends too early"));
}

#[test]
fn entry_with_unknown_value_kind_is_listed_without_kind() {
    let found = answered::<Entry>(record().field(1, b"a").field(2, &number(77))).unwrap();
    assert_eq!(found, Entry::new(SecretName::parse("a").unwrap(), None, Metadata::new()));
}

#[test]
fn unknown_metadata_is_omitted_and_marked_incomplete() {
    let list = record().item(&tagged(b"new", 77, b"?")).item(&tagged(
        b"yes",
        3,
        &[1, 0, 0, 0, 0, 0, 0, 0],
    ));
    let found = answered::<Entry>(record().field(1, b"a").field(3, &list.0)).unwrap();
    let keys: Vec<_> = found.metadata.iter().collect();
    assert_eq!(keys, [("yes", &MetadataValue::Boolean(true))]);
    assert!(found.metadata.is_incomplete());
    // Also behind a further boundary, and as many as there may be.
    let mut more = found.clone();
    for n in 1..MAX_METADATA_ENTRIES {
        more.metadata.insert(n.to_string(), MetadataValue::Integer(0)).unwrap();
    }
    for entry in [found, more] {
        assert_eq!(decode::<Entry>(encode(&entry).unwrap().expose()).unwrap(), entry);
    }
}

/// One piece of metadata with flags.
fn flagged(name: &[u8], kind: u32, content: &[u8], flags: u32) -> Vec<u8> {
    [tagged(name, kind, content), record().field(4, &number(flags)).0].concat()
}

fn described(list: Bytes) -> Result<Metadata> {
    answered::<Entry>(record().field(1, b"a").field(3, &list.0)).map(|entry| entry.metadata)
}

#[test]
fn unknown_metadata_flag_marks_metadata_incomplete() {
    let text = |text: &str| MetadataValue::Text(text.into());
    let found = described(record().item(&flagged(b"k", 1, b"v", 1))).unwrap();
    assert_eq!((found.get("k"), found.is_read_only("k")), (Some(&text("v")), true));
    assert!(!found.is_incomplete());

    // An entry with a flag of later is shown, and a write might lose the flag.
    for flags in [2, 1 << 31, !1] {
        let found = described(record().item(&flagged(b"k", 1, b"v", flags))).unwrap();
        assert_eq!((found.get("k"), found.is_read_only("k")), (Some(&text("v")), false));
        assert!(found.is_incomplete() && found.check_complete().is_err());
    }
    // What is read-only is not written, whatever other flags it has and of whatever kind it is.
    let found = described(record().item(&flagged(b"k", 1, b"v", 3))).unwrap();
    assert!(found.is_read_only("k") && !found.is_incomplete());
    let found = described(record().item(&flagged(b"new", 77, b"?", 1))).unwrap();
    assert!(found.is_incomplete() && found.is_empty());
    found.check_complete().unwrap();
    assert_eq!(found.writable(), Metadata::new());
}

#[test]
fn read_only_and_incomplete_marks_survive_reencoding() {
    let mut metadata = Metadata::new();
    for n in 0..MAX_METADATA_ENTRIES {
        metadata.insert_read_only(n.to_string(), MetadataValue::TextList(Vec::new())).unwrap();
    }
    for round in 0..4 {
        if round & 1 != 0 {
            metadata.mark_incomplete();
        }
        if round & 2 != 0 {
            metadata.mark_more_read_only();
        }
        let entry = Entry::new(SecretName::parse("a").unwrap(), None, metadata.clone());
        assert_eq!(decode::<Entry>(encode(&entry).unwrap().expose()).unwrap(), entry);
    }
}

#[test]
fn request_with_read_only_metadata_is_rejected() {
    let list = record().item(&flagged(b"k", 1, b"v", 1));
    let alone = record().field(1, b"a").field(2, &list.0).field(3, &DEADLINE);
    let fault = decode::<crate::SetMetadataRequest>(&alone.0).unwrap_err();
    assert_eq!(fault, Error::invalid("the metadata `k` is read-only"));
}

#[test]
fn text_list_keeps_order_and_limits() {
    let texts = |texts: &[&[u8]]| texts.iter().fold(record(), |list, text| list.item(text)).0;
    let list = |content: &[u8]| described(record().item(&tagged(b"k", 5, content)));
    let found = list(&texts(&[b"b", b"", b"a", b"b"])).unwrap();
    let expected = ["b", "", "a", "b"].map(str::to_owned).to_vec();
    assert_eq!(found.get("k"), Some(&MetadataValue::TextList(expected)));
    let found = list(b"").unwrap();
    assert_eq!(found.get("k"), Some(&MetadataValue::TextList(Vec::new())));
    // More than a line may have, and less than metadata.
    let long = [b'x'; 50_000];
    assert!(list(&texts(&[&long])).is_ok());

    let faulty = |content: &[u8]| list(content).unwrap_err().message().to_owned();
    assert_eq!(faulty(&texts(&[b"\xff"])), "`list` is not UTF-8");
    assert_eq!(faulty(&texts(&[&[b'x'; 70_000]])), "`list` has 70000 bytes; the most is 65536");
    assert_eq!(faulty(b"text"), "`list` ends too early");
    assert_eq!(faulty(&u32::MAX.to_le_bytes()), "`list` ends too early");
    assert_eq!(faulty(&texts(&[&b""[..]; 1_001])), "the list `k` has more than 1000 texts");
    assert_eq!(faulty(&texts(&[&b""[..]; 100_000])), "`list` has more than 10000 items");
    let twice = record().item(&tagged(b"k", 5, b"")).item(&flagged(b"k", 1, b"", 1));
    assert_eq!(described(twice).unwrap_err().message(), "`metadata` has a key twice");
}

/// A list of metadata of a kind that nobody knows.
fn of_later() -> Bytes {
    record().item(&tagged(b"new", 77, b"?"))
}

#[test]
fn request_with_incomplete_metadata_is_rejected() {
    let lost = "metadata of a kind that is unknown here would be lost by this";
    let text = [&number(1)[..], &number(0)].concat();
    let set = |metadata: &[u8]| {
        let set = record().field(1, b"a").field(2, &text).field(3, metadata);
        set.field(4, &number(3)).field(5, &DEADLINE)
    };
    let bytes = set(&of_later().0).0;
    assert_eq!(decode::<SetRequest>(&bytes).unwrap_err(), Error::unsupported(lost));
    assert!(decode::<SetRequest>(&set(b"").0).is_ok());
    let alone = record().field(1, b"a").field(2, &of_later().0).field(3, &DEADLINE);
    let fault = decode::<crate::SetMetadataRequest>(&alone.0).unwrap_err();
    assert_eq!(fault, Error::unsupported(lost));
}

#[test]
fn unreadable_result_keeps_other_results() {
    let result = |status: u8, content: &[u8]| [&[status][..], content].concat();
    let unreadable = record().field(1, &number(1)).field(2, b"\xff");
    let list = record()
        .item(&result(0, b""))
        .item(&result(1, &unreadable.0))
        .item(&result(9, b"of later"))
        .item(&result(0, b"no record"))
        .item(b"")
        .item(&result(0, b""));
    let found = answered::<crate::SetManyResults>(record().field(1, &list.0));
    // What has no status is no result, and what comes behind cannot be told from it.
    assert_eq!(found.unwrap_err(), Error::internal("`results` ends too early"));
    let list = record()
        .item(&result(0, b""))
        .item(&result(1, &unreadable.0))
        .item(&result(9, b"of later"))
        .item(&result(0, b"no record"))
        .item(&result(0, b""));
    let found = answered::<crate::SetManyResults>(record().field(1, &list.0)).unwrap();
    let faults: Vec<_> = found.results.into_iter().map(Result::err).collect();
    let expected = [
        None,
        Some(Error::internal("`message` is not UTF-8")),
        Some(Error::unsupported("a result is of kind 9, unknown here")),
        Some(Error::internal("`results` ends too early")),
        None,
    ];
    assert_eq!(faults, expected);
}

#[test]
fn metadata_over_limits_in_reply_is_internal_error() {
    let entry = |list: Bytes| answered::<Entry>(record().field(1, b"a").field(3, &list.0));
    let at = tagged(b"at", 4, &i64::MAX.to_le_bytes());
    let fault = entry(record().item(&at)).unwrap_err();
    assert_eq!(fault, Error::internal("the timestamp `at` is outside the years 1 to 9999"));
    let many = (0..=MAX_METADATA_ENTRIES)
        .fold(record(), |list, n| list.item(&tagged(n.to_string().as_bytes(), 1, b"")));
    let fault = entry(many).unwrap_err();
    assert_eq!(fault, Error::internal("metadata has more than 256 entries"));
    let unknown = (0..=MAX_METADATA_ENTRIES + 2)
        .fold(record(), |list, n| list.item(&tagged(n.to_string().as_bytes(), 77, b"")));
    let fault = entry(unknown).unwrap_err();
    assert_eq!(fault, Error::internal("`metadata` has more than 258 items"));
    let twice = record().item(&tagged(b"a", 1, b"")).item(&tagged(b"a", 1, b""));
    assert_eq!(entry(twice).unwrap_err(), Error::internal("`metadata` has a key twice"));
}

#[test]
fn error_of_unknown_kind_keeps_message() {
    let error = record().field(1, &number(4_000)).field(2, b"slow down");
    let error = error.field(3, &1_u64.to_le_bytes());
    let reply = [&[1], &error.0[..]].concat();
    let expected = Error::internal("slow down").with_retry_after(Duration::from_millis(1));
    assert_eq!(decode_reply::<()>(&reply).unwrap_err(), expected);
    assert_eq!(error_of(&reply), Some(expected));
}

fn challenge_of(prompt: &[u8]) -> Bytes {
    let prompt = record().field(1, prompt).field(2, b"label");
    record().field(1, b"c").field(2, &record().item(&prompt.0).0)
}

#[test]
fn unreadable_error_is_internal_error() {
    let locked = record().field(1, &number(3)).field(2, b"");
    let prompt = record().field(1, b"p").field(2, b"label");
    let twice = record().item(&prompt.0).item(&prompt.0);
    let challenge = record().field(1, b"c").field(2, &twice.0);
    let nothing = record().field(1, b"c");
    let challenged = |kind: u32, challenge: &Bytes| {
        record().field(1, &number(kind)).field(2, b"").field(4, &challenge.0)
    };
    for (error, message) in [
        (record().field(1, &number(1)).field(2, b"\xff"), "`message` is not UTF-8"),
        (locked, "`locked` comes without what would unlock the vault"),
        (challenged(3, &challenge), "a challenge asks for `p` twice"),
        (challenged(3, &nothing), "a challenge asks for nothing and waits for nothing"),
    ] {
        let reply = [&[1], &error.0[..]].concat();
        assert_eq!(decode_reply::<()>(&reply), Err(Error::internal(message)));
    }
    // With another error a challenge is nothing, and the error is what it is.
    let error = record().field(1, &number(2)).field(2, b"").field(4, &challenge_of(b"p").0);
    let reply = [&[1], &error.0[..]].concat();
    let plain = decode_reply::<()>(&reply).unwrap_err();
    assert!(plain.kind() != ErrorKind::Locked && plain.challenge.is_none(), "{plain:?}");
    for reply in [&b""[..], b"\x03", b"\x02x"] {
        assert_eq!(decode_reply::<()>(reply), Err(Error::internal("the answer is no reply")));
    }
    assert_eq!(decode_reply::<()>(b"\x02"), Ok(None));
}

#[test]
fn unknown_value_kind_parameter_or_mode_is_unsupported() {
    let set = |value: &[u8], mode: u32| {
        let set = record().field(1, b"a").field(2, value).field(4, &number(mode));
        decode::<SetRequest>(&set.field(5, &DEADLINE).0).unwrap_err()
    };
    let unknown = [&number(77)[..], b"?"].concat();
    assert_eq!(set(&unknown, 3), Error::unsupported("the value is of kind 77, unknown here"));
    let text = [&number(1)[..], &number(0)].concat();
    assert_eq!(set(&text, 77), Error::unsupported("the write mode 77 is not known here"));
    let one = record().item(&tagged(b"p", 77, b""));
    let fault = decode::<Parameters>(&one.0).unwrap_err();
    assert_eq!(fault, Error::unsupported("the parameter `p` is of kind 77, unknown here"));
}

#[test]
fn reply_over_limit_is_encoded_as_error() {
    let large = Secret::new(Value::bytes(vec![0; MAX_VALUE_BYTES]));
    let reply = encode_reply(&Ok(large));
    let fault = decode_reply::<Secret>(reply.expose()).unwrap_err();
    assert_eq!(fault.kind(), ErrorKind::Internal);
}

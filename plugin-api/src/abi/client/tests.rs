//! What the host's side says of answers, whoever carries them.

use std::thread::sleep;
use std::time::Duration;

use super::*;
use crate::abi::wire::MUST_BE_KNOWN;
use crate::{Metadata, MetadataValue, SecretName, SecretText, Value};

/// Answers every call with the same bytes, and keeps what it was asked.
#[derive(Default)]
struct Parrot {
    reply: Vec<u8>,
    /// How often a request is encoded before it is answered.
    attempts: usize,
    requests: Vec<Vec<u8>>,
}

impl Carrier for Parrot {
    fn carry(&mut self, call: Call<'_>, read: &mut dyn FnMut(&[u8])) -> Result<Carried> {
        for _ in 0..self.attempts {
            self.requests.push((call.request)()?.expose().to_vec());
            sleep(Duration::from_millis(20));
        }
        read(&self.reply);
        Ok(Carried::Replied)
    }
}

fn answering(reply: Vec<u8>) -> Client<Parrot> {
    Client::new(Parrot { reply, attempts: 1, ..Parrot::default() })
}

fn name() -> SecretName {
    SecretName::parse("a").unwrap()
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(60))
}

#[test]
fn write_with_unreadable_reply_is_internal_not_unsupported() {
    // A field that this side must know, and does not.
    let mut reply = vec![0];
    reply.extend_from_slice(&(MUST_BE_KNOWN | 900).to_le_bytes());
    reply.extend_from_slice(&0_u32.to_le_bytes());
    let mut vault = answering(reply);
    let set = SetRequest::new(name(), Value::text(""), soon());
    let kinds = [
        vault.test(&TestRequest::new(soon())).map(drop),
        vault.set(set).map(drop),
        vault.remove(&RemoveRequest::new(name(), soon())).map(drop),
        vault.rename(&RenameRequest::new(name(), name(), soon())).map(drop),
        vault.set_metadata(SetMetadataRequest::new(name(), Metadata::new(), soon())).map(drop),
    ]
    .map(|answer| answer.unwrap_err().kind());
    let mut expected = [ErrorKind::Internal; 5];
    expected[0] = ErrorKind::Unsupported;
    assert_eq!(kinds, expected);
    // What the vault itself says stays what it is.
    let refused = wire::encode_reply::<()>(&Err(Error::unsupported("no")));
    let answer = answering(refused.expose().to_vec()).remove(&RemoveRequest::new(name(), soon()));
    assert_eq!(answer.unwrap_err(), Error::unsupported("no"));
}

#[test]
fn resent_request_carries_remaining_deadline() {
    let mut vault = answering(wire::encode_reply(&Ok(())).expose().to_vec());
    vault.carrier_mut().attempts = 2;
    let _ = vault.get(&GetRequest::new(name(), soon()));
    let left: Vec<_> = vault
        .into_carrier()
        .requests
        .iter()
        .map(|bytes| wire::decode::<GetRequest>(bytes).unwrap().deadline.remaining())
        .collect();
    assert!(left[0] >= left[1] + Duration::from_millis(15), "{left:?}");
}

#[test]
fn incomplete_metadata_is_not_sent_to_vault() {
    let mut incomplete = Metadata::new();
    incomplete.mark_incomplete();
    reaches_no_vault(&incomplete, ErrorKind::Unsupported);
}

#[test]
fn read_only_metadata_is_not_sent_to_vault() {
    let mut metadata = Metadata::new();
    metadata.insert("own", MetadataValue::Integer(1)).unwrap();
    metadata.insert_read_only("updated", MetadataValue::Timestamp(0)).unwrap();
    reaches_no_vault(&metadata, ErrorKind::Invalid);
}

fn reaches_no_vault(metadata: &Metadata, kind: ErrorKind) {
    let mut vault = answering(vec![0]);
    let set = || {
        let mut set = SetRequest::new(name(), Value::text(""), soon());
        set.metadata = Some(metadata.clone());
        set
    };
    let each = vault.set_many(SetManyRequest::new(vec![set()])).unwrap().results.remove(0);
    let change = SetMetadataRequest::new(name(), metadata.clone(), soon());
    let answers =
        [vault.set(set()).map(drop), vault.set_metadata(change).map(drop), each.map(drop)];
    for answer in answers {
        assert_eq!(answer.unwrap_err().kind(), kind);
    }
    assert!(vault.carrier().requests.is_empty());
}

#[test]
fn oversized_request_is_rejected_before_sending() {
    let mut vault = answering(vec![0]);
    let large = "x".repeat(1024 * 1024);
    let answer = |n: usize| Answer::new(n.to_string(), SecretText::new(&large));
    let answers = (0..18).map(answer).collect();
    let request = UnlockRequest::new("c", answers, soon());
    let refused = vault.unlock(&request).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
    assert!(refused.message().contains("the most is"), "{refused}");
    assert!(vault.carrier().requests.is_empty());
}

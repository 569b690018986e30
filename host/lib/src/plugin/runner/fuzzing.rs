//! For the fuzz target: both ends' reading of each other's messages, without a process. Not part of
//! the library's interface.

use std::fmt::Debug;
use std::os::fd::AsFd;

use keystead_plugin_api as api;
use keystead_plugin_api::Vault;
use keystead_plugin_api::abi::wire::{self, LogLine, One, Wire};
use keystead_plugin_api::abi::{Method, Service, serve};

use super::proto::{self, Greeting, Kind, MAX_VALUE_BODY, Reader};
use super::socket::{Buffer, Outgoing, Received, Sent, Wait, pair};

/// Reads these bytes as every frame that either end may get: the first byte chooses.
///
/// # Panics
/// If a reader panics, or reads back something else than was written.
pub fn read(bytes: &[u8]) {
    let Some((kind, body)) = bytes.split_first() else { return };
    if let Some(kind) = Kind::from_code(*kind) {
        through_a_socket(kind, body);
    }
    let _ = Greeting::read(&mut Reader::new(body));
    let _ = proto::plugin(&mut Reader::new(body));
    let _ = proto::unwelcome(&mut Reader::new(body));
    let _ = proto::opened(&mut Reader::new(body));
    let _ = proto::numbered(body);
    // To the runner: the call is made too, and its reply is read like in the host.
    let reply = serve(&mut Echo, u32::from(*kind), body);
    if let Some(error) = wire::error_of(reply.expose()) {
        assert!(error.message().len() <= api::MAX_MESSAGE_BYTES);
    }
    // Readable data can be written, and reads back the same.
    match kind % 13 {
        0 => again::<api::Page>(body),
        1 => again::<api::Entry>(body),
        2 => again::<api::VersionPage>(body),
        3 => again::<api::ActionList>(body),
        4 => again::<api::Error>(body),
        5 => again::<api::Secret>(body),
        6 => drop(wire::decode::<api::Unlocked>(body)),
        7 => again::<api::GetManyResults>(body),
        8 => again::<api::ActionOutcome>(body),
        9 => drop(wire::decode::<api::ExecRequest>(body)),
        10 => drop(wire::decode::<api::ExecOutput>(body)),
        11 => again::<api::SetManyResults>(body),
        _ => {
            let _ = wire::decode::<LogLine>(body);
            let _ = wire::decode::<One<String>>(body);
            again::<One<Option<api::Ownership>>>(body);
        }
    }
    let _ = Service::from_code(u32::from(*kind));
}

fn again<T: Wire + Debug + PartialEq>(bytes: &[u8]) {
    // Metadata with unknown parts is not written.
    let Ok(value) = wire::decode::<T>(bytes) else { return };
    if let Ok(written) = wire::encode(&value) {
        let read = wire::decode::<T>(written.expose()).expect("what was written can be read");
        assert_eq!(read, value);
    }
}

/// Returns valid seed inputs: a request or an answer of each type, after its first byte.
pub fn seeds() -> Vec<Vec<u8>> {
    let deadline = api::Deadline::after(std::time::Duration::from_secs(9));
    let name = api::SecretName::parse("name").expect("it keeps the rules");
    let mut metadata = api::Metadata::new();
    for (key, value) in [
        ("t", api::MetadataValue::Text("x".into())),
        ("i", api::MetadataValue::Integer(-1)),
        ("b", api::MetadataValue::Boolean(true)),
        ("at", api::MetadataValue::Timestamp(1)),
        ("l", api::MetadataValue::TextList(vec!["x".into(), String::new()])),
    ] {
        metadata.insert(key, value).expect("it keeps the rules");
    }
    let mut get = api::GetRequest::new(name.clone(), deadline);
    get.version = Some("v".into());
    let mut parameters = api::Parameters::new();
    parameters.insert("t", api::ParameterValue::Text("x".into()));
    parameters.insert("s", api::ParameterValue::Secret(api::SecretText::new("x")));
    let act = api::ActionRequest::new("dig", parameters, deadline);
    let mut list = api::ListRequest::new(deadline);
    list.cursor = Some("after".into());
    let answers = vec![api::Answer::new("pw", api::SecretText::new("x"))];
    let unlock = api::UnlockRequest::new("step", answers, deadline);
    let set = |value| {
        let mut set = api::SetRequest::new(name.clone(), value, deadline);
        set.metadata = Some(metadata.clone());
        set
    };

    let mut seeds = Vec::new();
    fn seed(seeds: &mut Vec<Vec<u8>>, first: u8, value: &impl Wire) {
        let written = wire::encode(value).expect("it is small");
        seeds.push([&[first], written.expose()].concat());
    }
    let call = |method: Method| u8::try_from(method.code()).expect("a small number");
    seed(&mut seeds, call(Method::Get), &get);
    seed(&mut seeds, call(Method::Set), &set(api::Value::credential("u", "p")));
    seed(&mut seeds, call(Method::List), &list);
    seed(&mut seeds, call(Method::Unlock), &unlock);
    seed(&mut seeds, call(Method::Test), &api::TestRequest::new(deadline));
    seed(&mut seeds, call(Method::GetMany), &api::GetManyRequest::new(vec![get.clone(), get]));
    seed(&mut seeds, call(Method::RunAction), &act);
    let many = vec![set(api::Value::text("x")), set(api::Value::bytes(vec![0]))];
    seed(&mut seeds, call(Method::SetMany), &api::SetManyRequest::new(many));
    // Numbers that are neither a frame nor a call: only the answers are read.
    let answer = |first: u8| first + 13 * 18;
    let mut about = metadata.clone();
    about.insert_read_only("own", api::MetadataValue::Integer(1)).expect("it keeps the rules");
    let entry = api::Entry::new(name.clone(), Some(api::ValueKind::Map), about);
    let page = api::Page::new(vec![entry.clone(), entry.clone()], Some("next".into()));
    seed(&mut seeds, answer(0), &page);
    seed(&mut seeds, answer(1), &entry);
    seed(
        &mut seeds,
        answer(2),
        &api::VersionPage::new(vec![api::Version::new("v", Some(1))], Some("v".into())),
    );
    let mut action = api::Action::new("dig", "digs");
    action.parameters.push(api::Parameter::required("p", api::ParameterKind::Path, "where").into());
    seed(&mut seeds, answer(3), &api::ActionList::new(vec![action]));
    let locked = api::Error::locked(api::Challenge::new("s", vec![api::Prompt::plain("a", "b")]));
    seed(&mut seeds, answer(4), &locked);
    let secret = || api::Secret::with_metadata(api::Value::text("x"), metadata.clone());
    seed(&mut seeds, answer(5), &secret());
    let secrets = vec![Ok(secret()), Err(api::Error::not_found()), Ok(secret())];
    seed(&mut seeds, answer(7), &api::GetManyResults::new(secrets));
    let mut exec = api::ExecRequest::new("op", vec!["read".into()], deadline);
    exec.environment = vec![("ACCOUNT".into(), "work".into())];
    seed(&mut seeds, answer(9), &exec);
    let written = vec![Ok(api::Written::new()), Err(api::Error::already_exists())];
    seed(&mut seeds, answer(11), &api::SetManyResults::new(written));
    seeds
}

fn through_a_socket(kind: Kind, body: &[u8]) {
    let Ok((ours, theirs)) = pair() else { return };
    let outgoing = Outgoing { id: 1, kind, limit: MAX_VALUE_BODY, with: &[] };
    let sent = Buffer::new().send(ours.as_fd(), &outgoing, Wait::Never, &|w| w.raw(body));
    let mut inbox = Buffer::new();
    let received = inbox.receive(theirs.as_fd(), Wait::Never, |_| MAX_VALUE_BODY);
    match (sent, received, kind) {
        // This frame must carry the plugin, and is refused without it.
        (_, Err(_), Kind::Plugin) => {}
        (Ok(Sent::Whole), Ok(Received::Frame(frame)), _) => assert!(frame.body() == body),
        _ => panic!("a frame of {} bytes is lost", body.len()),
    }
}

/// A vault that returns its request.
struct Echo;

impl Vault for Echo {
    fn get(&mut self, request: &api::GetRequest) -> api::Result<api::Secret> {
        match &request.version {
            Some(text) => Ok(api::Secret::new(api::Value::text(text.as_str()))),
            None => Err(api::Error::not_found()),
        }
    }

    fn list(&mut self, request: &api::ListRequest) -> api::Result<api::Page> {
        Ok(api::Page::new(Vec::new(), request.cursor.clone()))
    }

    fn set(&mut self, request: api::SetRequest) -> api::Result<api::Written> {
        assert_eq!(request.value.duplicate(), request.value);
        Ok(api::Written::new())
    }

    fn unlock(&mut self, request: &api::UnlockRequest) -> api::Result<api::Unlocked> {
        let prompt = |answer: &api::Answer| api::Prompt::secret(&answer.name, "again");
        let prompts: Vec<_> = request.answers.iter().map(prompt).collect();
        match prompts.is_empty() {
            true => Ok(api::Unlocked::new()),
            false => Err(api::Error::locked(api::Challenge::new(&request.challenge, prompts))),
        }
    }

    fn run_action(&mut self, request: &api::ActionRequest) -> api::Result<api::ActionOutcome> {
        Ok(api::ActionOutcome::new(request.action.clone()))
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn runner_fuzz_seeds_and_truncated_seeds_never_panic() {
        for seed in super::seeds() {
            for length in 0..=seed.len() {
                super::read(&seed[..length]);
            }
        }
    }
}

//! A door for the fuzz target: what each end reads of the other, without a process. Not
//! part of the library's interface.

use std::os::fd::AsFd;

use keystead_plugin_api as api;
use keystead_plugin_api::Vault;
use zeroize::Zeroizing;

use super::proto::{
    self, Answer, Asked, Fault, Greeting, Kind, MAX_VALUE_BODY, Reader, Request, Write, Writer,
};
use super::socket::{Buffer, Outgoing, Received, Sent, Wait, pair};

/// Reads these bytes as every frame that either end may get: the first byte says which.
///
/// # Panics
/// Where a reader panics, or reads back something else than was written.
pub fn read(bytes: &[u8]) {
    let Some((kind, body)) = bytes.split_first() else { return };
    // To the runner: a call is made as well, and its answer read as the host would.
    if let Some(kind) = Kind::from_code(*kind) {
        if let Ok(asked) = Asked::read(kind, body) {
            match asked.answer(&mut Echo) {
                Ok(answer) => drop(written(&|w| answer.write(w))),
                Err(error) => {
                    assert_eq!(reread(&|w| proto::write_error(w, &error), proto::error), error)
                }
            }
        }
        through_a_socket(kind, body);
    }
    let _ = Greeting::read(&mut Reader::new(body));
    let _ = proto::plugin(&mut Reader::new(body));
    // To the host: what can be read can be written, and is read again as the same.
    let r = || Reader::new(body);
    match kind % 13 {
        0 => {
            if let Ok(page) = proto::page(&mut r()) {
                let answer = Answer::Page(page.clone());
                assert_eq!(reread(&|w| answer.write(w), proto::page), page);
            }
        }
        1 => {
            if let Ok(entry) = proto::entry(&mut r()) {
                let answer = Answer::Entry(entry.clone());
                assert_eq!(reread(&|w| answer.write(w), proto::entry), entry);
            }
        }
        2 => {
            if let Ok(versions) = proto::versions(&mut r()) {
                let answer = Answer::Versions(versions.clone());
                assert_eq!(reread(&|w| answer.write(w), proto::versions), versions);
            }
        }
        3 => {
            if let Ok(actions) = proto::actions(&mut r()) {
                let answer = Answer::Actions(actions.clone());
                assert_eq!(reread(&|w| answer.write(w), proto::actions), actions);
            }
        }
        4 => {
            if let Ok(error) = proto::error(&mut r()) {
                assert_eq!(reread(&|w| proto::write_error(w, &error), proto::error), error);
            }
        }
        5 => drop(proto::secret(&mut r())),
        6 => drop(proto::session(&mut r())),
        7 => drop(proto::many(&mut r(), 3)),
        8 => drop(proto::outcome(&mut r())),
        9 => drop(proto::exec_request(&mut r())),
        10 => drop(proto::exec_output(&mut r())),
        11 => drop(proto::written(&mut r(), 3)),
        _ => {
            let _ = proto::unwelcome(&mut r());
            let _ = proto::opened(&mut r());
            let _ = proto::ownership(&mut r());
            let _ = proto::ownership_request(&mut r());
        }
    }
}

/// Returns good inputs to start from: a frame of each shape, behind its first byte.
pub fn seeds() -> Vec<Vec<u8>> {
    let deadline = api::Deadline::after(std::time::Duration::from_secs(9));
    let name = api::SecretName::parse("name").expect("it keeps the rules");
    let mut metadata = api::Metadata::new();
    for (key, value) in [
        ("t", api::MetadataValue::Text("x".into())),
        ("i", api::MetadataValue::Integer(-1)),
        ("b", api::MetadataValue::Boolean(true)),
        ("at", api::MetadataValue::Timestamp(1)),
    ] {
        metadata.insert(key, value).expect("it keeps the rules");
    }
    let mut get = api::GetRequest::new(name.clone(), deadline);
    get.version = Some("v".into());
    let mut parameters = api::Parameters::new();
    parameters.insert("t", api::ParameterValue::Text("x".into()));
    parameters.insert("s", api::ParameterValue::Secret(api::SecretText::new("x")));
    let act = api::ActRequest::new("dig", parameters, deadline);
    let mut list = api::ListRequest::new(deadline);
    list.after = Some("after".into());
    let answers = vec![api::Answer { name: "pw".into(), value: api::SecretText::new("x") }];
    let unlock = api::UnlockRequest::new("step", answers, deadline);
    let mut set = api::SetRequest::new(name.clone(), api::Value::credential("u", "p"), deadline);
    set.metadata = Some(metadata.clone());
    let mut again = api::SetRequest::new(name.clone(), api::Value::bytes(vec![0]), deadline);
    again.metadata = Some(metadata.clone());

    let mut seeds = Vec::new();
    let mut seed = |first: u8, write: &dyn Fn(&mut Writer<'_>)| {
        seeds.push([&[first], &written(write)[..]].concat());
    };
    let many = vec![get.clone(), get.clone()];
    let mut plain = api::SetRequest::new(name.clone(), api::Value::text("x"), deadline);
    plain.mode = api::WriteMode::Replace;
    let write = |request| Write::new(request).expect("it is small");
    let writes = [write(plain), write(again)];
    let requests = [
        Request::Get(&get),
        Request::set(&set).expect("it is small"),
        Request::List(&list),
        Request::SetMetadata(&get, &metadata),
        Request::Unlock(&unlock),
        Request::Test(deadline),
        Request::GetMany(&many, deadline),
        Request::Act(&act),
        Request::SetMany(&writes, deadline),
    ];
    for request in &requests {
        seed(request.kind() as u8, &|w| request.write(w));
    }
    let entry = api::Entry::new(name, Some(api::ValueKind::Map), metadata.clone());
    let page = api::Page::new(vec![entry.clone(), entry.clone()], Some("next".into()));
    let mut action = api::Action::new("dig", "digs");
    action.parameters.push(api::Parameter::required("p", api::ParameterKind::Path, "where"));
    let secret = || api::Secret::with_metadata(api::Value::text("x"), metadata.clone());
    let secrets = vec![Ok(secret()), Err(api::Error::not_found()), Ok(secret())];
    let secret = Answer::secret(secret()).expect("it is small");
    let locked = api::Error::locked(api::Challenge::new("s", vec![api::Prompt::plain("a", "b")]));
    let answers = [
        (0, Answer::Page(page)),
        (1, Answer::Entry(entry)),
        (2, Answer::Versions(vec![api::Version::new("v", Some(1))])),
        (3, Answer::Actions(vec![action])),
        (5, secret),
        (7, Answer::many(secrets)),
        (11, Answer::Written(vec![Ok(()), Err(api::Error::already_exists()), Ok(())])),
    ];
    for (first, answer) in &answers {
        // Numbers that are no kind of frame: the answers alone are read.
        seed(first + 13 * 18, &|w| answer.write(w));
    }
    seed(4 + 13 * 18, &|w| proto::write_error(w, &locked));
    let mut exec = api::ExecRequest::new("op", vec!["read".into()], deadline);
    exec.environment = vec![("ACCOUNT".into(), "work".into())];
    seed(9 + 13 * 18, &|w| proto::write_exec_request(w, &exec));
    seeds
}

/// Writes a body as both ends do: once to see its size, and once into exactly that.
fn written(write: &dyn Fn(&mut Writer<'_>)) -> Zeroizing<Vec<u8>> {
    let mut measure = Writer::new(&mut []);
    write(&mut measure);
    let mut body = Zeroizing::new(vec![0; measure.wanted()]);
    write(&mut Writer::new(&mut body));
    body
}

fn reread<T>(
    write: &dyn Fn(&mut Writer<'_>),
    read: impl Fn(&mut Reader<'_>) -> Result<T, Fault>,
) -> T {
    let body = written(write);
    let mut r = Reader::new(&body);
    let value = read(&mut r).expect("what was read can be read again");
    r.end().expect("nothing follows");
    value
}

fn through_a_socket(kind: Kind, body: &[u8]) {
    let Ok((ours, theirs)) = pair() else { return };
    let outgoing = Outgoing { id: 1, kind, limit: MAX_VALUE_BODY, with: &[] };
    let sent = Buffer::new().send(ours.as_fd(), &outgoing, Wait::Never, &|w| w.raw(body));
    let mut inbox = Buffer::new();
    let received = inbox.receive(theirs.as_fd(), Wait::Never, |_| MAX_VALUE_BODY);
    match (sent, received, kind) {
        // It has to bring the plugin, and is refused.
        (_, Err(_), Kind::Plugin) => {}
        (Ok(Sent::Whole), Ok(Received::Frame(frame)), _) => assert!(frame.body() == body),
        _ => panic!("a frame of {} bytes is lost", body.len()),
    }
}

/// A vault that gives back what it is asked with.
struct Echo;

impl Vault for Echo {
    fn get(&mut self, request: &api::GetRequest) -> api::Result<api::Secret> {
        match &request.version {
            Some(text) => Ok(api::Secret::new(api::Value::text(text.as_str()))),
            None => Err(api::Error::not_found()),
        }
    }

    fn list(&mut self, request: &api::ListRequest) -> api::Result<api::Page> {
        Ok(api::Page::new(Vec::new(), request.after.clone()))
    }

    fn set(&mut self, request: api::SetRequest) -> api::Result<()> {
        assert_eq!(request.value.duplicate(), request.value);
        Ok(())
    }

    fn unlock(&mut self, request: &api::UnlockRequest) -> api::Result<Option<api::Session>> {
        let prompt = |answer: &api::Answer| api::Prompt::secret(&answer.name, "again");
        let prompts: Vec<_> = request.answers.iter().map(prompt).collect();
        match prompts.is_empty() {
            true => Ok(None),
            false => Err(api::Error::locked(api::Challenge::new(&request.challenge, prompts))),
        }
    }

    fn act(&mut self, request: &api::ActRequest) -> api::Result<api::Outcome> {
        Ok(api::Outcome::new(request.action.clone()))
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_seeds_are_read_as_what_they_are_and_cut_short_as_nothing() {
        for seed in super::seeds() {
            for length in 0..=seed.len() {
                super::read(&seed[..length]);
            }
        }
    }
}

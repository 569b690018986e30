//! Vaults, opened as a host opens them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use keystead_plugin_api::{
    ActionRequest, Answer, Context, Deadline, Error, GetRequest, Level, Metadata, OpenRequest,
    ParameterValue, Parameters, Plugin, RemoveRequest, Result, Secret, SecretName, SecretText,
    Services, Session, SetRequest, UnlockRequest, Value, Vault, VaultName, WriteMode,
};
use keystead_plugin_hashicorp::{Hashicorp, MANIFEST};

/// Text in each value of these tests.
pub(crate) const CANARY: &str = "canary-5d1f";

pub(crate) fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(60))
}

pub(crate) fn name(text: &str) -> SecretName {
    SecretName::parse(text).unwrap()
}

/// Returns parameters: the manifest decides which are numbers and which are secrets.
pub(crate) fn parameters(kind: &str, pairs: &[(&str, &str)]) -> Parameters {
    let kind = MANIFEST.kinds.iter().find(|one| one.name == kind).unwrap();
    let mut parameters = Parameters::new();
    for schema in kind.parameters {
        let given = pairs.iter().find(|(name, _)| *name == schema.name);
        let text = given.map_or(schema.default, |(_, text)| text);
        if text.is_empty() && given.is_none() {
            continue;
        }
        let value = match schema.kind {
            _ if schema.secret => ParameterValue::Secret(SecretText::new(text)),
            keystead_plugin_api::ParameterKind::Integer => {
                ParameterValue::Integer(text.parse().unwrap())
            }
            _ => ParameterValue::Text(text.to_owned()),
        };
        parameters.insert(schema.name, value);
    }
    for (name, _) in pairs {
        assert!(kind.parameters.iter().any(|schema| schema.name == *name), "{name}");
    }
    parameters
}

/// One open vault.
pub(crate) struct Opened(pub(crate) Box<dyn Vault>, Host);

/// The host of a vault: the last session that the vault kept, and a record of each `keep` and
/// `forget`.
#[derive(Clone, Default)]
pub(crate) struct Host(Arc<Mutex<(Option<Session>, Vec<&'static str>)>>);

impl Services for Host {
    fn log(&self, _: Level, _: &str) {}

    fn keep_session(&self, session: Session) {
        let mut held = self.0.lock().unwrap();
        held.0 = Some(session);
        held.1.push("keep");
    }

    fn forget_session(&self) {
        let mut held = self.0.lock().unwrap();
        held.0 = None;
        held.1.push("forget");
    }
}

impl Opened {
    pub(crate) fn new(pairs: &[(&str, &str)]) -> Self {
        Self::with("kv", pairs, None).unwrap()
    }

    pub(crate) fn with(
        kind: &str,
        pairs: &[(&str, &str)],
        session: Option<Session>,
    ) -> Result<Self> {
        let vault = VaultName::parse("test").unwrap();
        let mut request = OpenRequest::new(vault, kind, parameters(kind, pairs), soon());
        request.session = session;
        let host = Host::default();
        let vault = Hashicorp::open(request, Context::new(Box::new(host.clone())))?;
        Ok(Self(vault, host))
    }

    pub(crate) fn get(&mut self, secret: &str) -> Result<Secret> {
        self.0.get(&GetRequest::new(name(secret), soon()))
    }

    pub(crate) fn value(&mut self, secret: &str) -> Value {
        self.get(secret).unwrap().value
    }

    pub(crate) fn set(&mut self, secret: &str, value: Value) -> Result<()> {
        self.0.set(SetRequest::new(name(secret), value, soon())).map(drop)
    }

    pub(crate) fn set_with(
        &mut self,
        secret: &str,
        value: Value,
        metadata: Option<Metadata>,
        mode: WriteMode,
    ) -> Result<()> {
        let mut request = SetRequest::new(name(secret), value, soon());
        (request.metadata, request.mode) = (metadata, mode);
        self.0.set(request).map(drop)
    }

    pub(crate) fn remove(&mut self, secret: &str) -> Result<()> {
        self.0.remove(&RemoveRequest::new(name(secret), soon())).map(drop)
    }

    /// Returns the names of a listing with pages of this size.
    pub(crate) fn names(&mut self, limit: usize, filter: Option<&str>) -> Vec<String> {
        let mut request = keystead_plugin_api::ListRequest::new(soon());
        (request.limit, request.pattern) = (limit, filter.map(str::to_owned));
        let mut names = Vec::new();
        loop {
            let page = self.0.list(&request).unwrap();
            assert!(page.entries.len() <= limit);
            names.extend(page.entries.into_iter().map(|entry| entry.name.to_string()));
            request.cursor = page.next_cursor;
            if request.cursor.is_none() {
                return names;
            }
        }
    }

    /// Runs an action with text parameters, and returns its output.
    pub(crate) fn act(&mut self, action: &str, pairs: &[(&str, &str)]) -> Result<String> {
        let mut parameters = Parameters::new();
        for (name, text) in pairs {
            parameters.insert(*name, ParameterValue::Text((*text).to_owned()));
        }
        let outcome = self.0.run_action(&ActionRequest::new(action, parameters, soon()))?;
        assert!(outcome.value.is_none());
        Ok(outcome.message)
    }

    /// Answers a challenge.
    pub(crate) fn unlock(
        &mut self,
        locked: &Error,
        answers: &[(&str, &str)],
    ) -> Result<Option<Session>> {
        let challenge = locked.challenge().expect("a challenge");
        let answer = |(name, text): &(&str, &str)| Answer::new(*name, SecretText::new(*text));
        let answers = answers.iter().map(answer).collect();
        let request = UnlockRequest::new(&challenge.id, answers, soon());
        self.0.unlock(&request)?;
        Ok(self.session())
    }

    /// Takes the session that the vault last gave to the host.
    pub(crate) fn session(&self) -> Option<Session> {
        self.1.0.lock().unwrap().0.take()
    }

    /// Takes the record of sessions: `keep` and `forget`.
    pub(crate) fn said(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.1.0.lock().unwrap().1)
    }
}

/// Returns an error's kind and text, after a check that it contains no secret.
#[track_caller]
pub(crate) fn told<T>(answer: Result<T>) -> String {
    match answer {
        Ok(_) => panic!("it succeeded"),
        Err(error) => {
            assert!(!format!("{error:?}").contains("canary"), "{error:?}");
            format!("{}: {error}", error.kind())
        }
    }
}

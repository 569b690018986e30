//! The host's part of these tests: services that note what they are asked, and short
//! ways to make requests.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use keystead_plugin_api::abi::{open_linked, Client, Library};
use keystead_plugin_api::*;

/// What a plugin asked of its host, in order.
#[derive(Clone, Default)]
pub(crate) struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    fn add(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }
}

impl Services for Notes {
    fn log(&self, level: Level, message: &str) {
        assert_ne!(message, "the host panics on purpose");
        self.add(format!("{level:?}: {message}"));
    }

    fn exec(&self, request: ExecRequest) -> Result<ExecOutput> {
        assert_ne!(request.program, "the host panics on purpose");
        if request.program != "granted" {
            return Err(Error::permission_denied(format!(
                "running `{}` is not granted",
                request.program
            )));
        }
        self.add(format!("exec {:?} {:?}", request.arguments, request.environment));
        let mut errors = "e".repeat(MAX_EXEC_ERRORS_BYTES);
        errors.push_str("cut");
        Ok(ExecOutput::new(-7, request.input, errors))
    }

    fn keep_session(&self, session: Session) {
        let secret = String::from_utf8_lossy(session.secret.expose()).into_owned();
        self.add(format!("keep {secret:?} for {:?}", session.lifetime));
    }

    fn forget_session(&self) {
        self.add("forget the session".to_owned());
    }
}

impl Drop for Notes {
    fn drop(&mut self) {
        if Arc::strong_count(&self.0) == 2 {
            self.add("context closed".to_owned());
        }
    }
}

pub(crate) fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(10))
}

pub(crate) fn name(text: &str) -> SecretName {
    SecretName::parse(text).unwrap()
}

pub(crate) fn get(text: &str) -> GetRequest {
    GetRequest::new(name(text), soon())
}

pub(crate) fn describe(text: &str) -> DescribeRequest {
    DescribeRequest::new(name(text), soon())
}

pub(crate) fn remove(text: &str) -> RemoveRequest {
    RemoveRequest::new(name(text), soon())
}

pub(crate) fn versions(text: &str) -> VersionsRequest {
    VersionsRequest::new(name(text), soon())
}

pub(crate) fn get_many(names: &[&str]) -> GetManyRequest {
    GetManyRequest::new(names.iter().map(|name| get(name)).collect())
}

pub(crate) fn set_metadata(text: &str, metadata: Metadata) -> SetMetadataRequest {
    SetMetadataRequest::new(name(text), metadata, soon())
}

pub(crate) fn set(text: &str, value: Value) -> SetRequest {
    SetRequest::new(name(text), value, soon())
}

pub(crate) fn request(parameters: Parameters) -> OpenRequest {
    OpenRequest::new(VaultName::parse("Work").unwrap(), "parrot", parameters, soon())
}

pub(crate) fn text_parameter(name: &str, value: &str) -> Parameters {
    let mut parameters = Parameters::new();
    parameters.insert(name, ParameterValue::Text(value.to_owned()));
    parameters
}

/// Opens a vault of `P` and returns it with what it asks of the host.
pub(crate) fn open<P: Plugin>(parameters: Parameters) -> (Result<Client<Library>>, Notes) {
    let notes = Notes::default();
    let context = Context::new(Box::new(notes.clone()));
    (open_linked::<P>(&request(parameters), context), notes)
}

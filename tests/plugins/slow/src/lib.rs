//! Takes as long for each call as its parameter sets, in milliseconds.
#![forbid(unsafe_code)]

use std::time::Duration;

use sound::api::manifest::Manifest;
use sound::api::{
    Entry, Error, GetRequest, ListRequest, Metadata, Page, Parameter, ParameterKind, Result,
    Secret, SecretName, ValueKind, Vault,
};

const MANIFEST: Manifest = sound::manifest("slow").kinds(&[sound::kind()
    .parameters(&[Parameter::required("wait", ParameterKind::Integer, "milliseconds of a call")])]);

struct Slow {
    wait: Duration,
}

impl Vault for Slow {
    fn get(&mut self, request: &GetRequest) -> Result<Secret> {
        std::thread::sleep(self.wait);
        match request.name.as_str() {
            "a" => Ok(sound::secret()),
            _ => Err(Error::not_found()),
        }
    }

    fn list(&mut self, _: &ListRequest) -> Result<Page> {
        std::thread::sleep(self.wait);
        let name = SecretName::parse("a")?;
        Ok(Page::new(vec![Entry::new(name, Some(ValueKind::Text), Metadata::new())], None))
    }
}

sound::plugin!(MANIFEST, |request, _| {
    let wait = request.parameters.integer("wait").unwrap_or_default();
    let wait = Duration::from_millis(u64::try_from(wait).unwrap_or_default());
    Ok(Box::new(Slow { wait }))
});

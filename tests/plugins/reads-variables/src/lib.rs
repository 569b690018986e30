//! Has the variables of its process for secrets; it asks for `PATH`.
#![forbid(unsafe_code)]

use sound::api::manifest::Manifest;
use sound::api::{Error, Secret, Value};
use sound::Odd;

const MANIFEST: Manifest =
    Manifest { permissions: &["env:PATH"], ..sound::manifest("reads-variables") };

sound::plugin!(MANIFEST, |_, context| {
    Ok(Odd::new(context)
        .get(|_, request| match std::env::var(request.name.as_str()) {
            Ok(value) => Ok(Secret::new(Value::text(value))),
            Err(_) => Err(Error::not_found()),
        })
        .boxed())
});

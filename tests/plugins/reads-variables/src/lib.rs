//! Has the environment variables of its process as secrets, and requests `PATH`.
#![forbid(unsafe_code)]

use sound::api::{Error, Secret, Value};
use sound::Odd;

sound::plugin!(sound::manifest("reads-variables").permissions(&["env:PATH"]), |_, context| {
    Ok(Odd::new(context)
        .get(|_, request| match std::env::var(request.name.as_str()) {
            Ok(value) => Ok(Secret::new(Value::text(value))),
            Err(_) => Err(Error::not_found()),
        })
        .boxed())
});

//! Answers the third call for a secret, and asks to wait a little at each before. For `long` it asks to
//! wait for an hour, for `again` it never answers.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sound::api::{Error, ErrorDetail};
use sound::Odd;

static CALLS: AtomicUsize = AtomicUsize::new(0);

sound::plugin!("asks-to-wait", |_, context| {
    let odd = Odd::new(context).get(|context, request| {
        context.info("asked");
        let wait = match request.name.as_str() {
            "long" => Duration::from_secs(60 * 60),
            "a" if CALLS.fetch_add(1, Ordering::Relaxed) == 2 => return Ok(sound::secret()),
            _ => Duration::from_millis(1),
        };
        Err(Error::detailed(ErrorDetail::Throttled, "not so fast").with_retry_after(wait))
    });
    Ok(odd.boxed())
});

//! Answers the third call for a secret, and requests a short delay in each call before. For `long`
//! it requests an hour, for `again` it never answers. In a batch it answers `slow` the second time,
//! and other secrets once: a second request fails.
#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Mutex;
use std::time::Duration;

use sound::api::{Error, ErrorDetail, GetRequest, Result, SecretName};
use sound::Odd;

static CALLS: AtomicUsize = AtomicUsize::new(0);

/// Names that a batch has already requested.
static SEEN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

fn one_of_several(name: &SecretName) -> Result<()> {
    let is_new = SEEN.lock().unwrap().insert(name.as_str().to_owned());
    match (name.as_str(), is_new) {
        ("slow", true) => Err(Error::detailed(ErrorDetail::Throttled, "not so fast")
            .with_retry_after(Duration::from_millis(1))),
        ("slow", false) | (_, true) => Ok(()),
        (_, false) => Err(Error::corrupt("it was answered before")),
    }
}

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
    let several: fn(&[GetRequest]) -> _ = |requests| {
        let one = |request: &GetRequest| one_of_several(&request.name).map(|()| sound::secret());
        Ok(requests.iter().map(one).collect())
    };
    let odd = odd.get_many(several).set_many(|requests| {
        Ok(requests.iter().map(|request| one_of_several(&request.name)).collect())
    });
    Ok(odd.boxed())
});

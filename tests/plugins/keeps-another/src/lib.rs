//! Stores another value than requested, and reports success.
#![forbid(unsafe_code)]

use sound::api::manifest::{Kind, NameRule};
use sound::api::Value;
use sound::Keeper;

const KINDS: &[Kind] = &[Keeper::kind(NameRule::CaseSensitive)];

sound::plugin!(Keeper::manifest("keeps-another", KINDS), |_, _| {
    let keeper = Keeper::default().before_set(|_, request| {
        request.value = Value::text("canary-another");
        Ok(())
    });
    Ok(keeper.boxed())
});

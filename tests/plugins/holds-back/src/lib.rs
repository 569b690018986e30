//! Fails to return the secret `bad`, and rejects names that start with `#`.
#![forbid(unsafe_code)]

use sound::api::manifest::{Kind, NameRule};
use sound::api::Error;
use sound::Keeper;

const KINDS: &[Kind] = &[Keeper::kind(NameRule::CaseSensitive)];

sound::plugin!(Keeper::manifest("holds-back", KINDS), |_, _| {
    let keeper = Keeper::default().before_get(|name| match name {
        "bad" => Err(Error::corrupt("the record of `bad` is torn")),
        _ if name.starts_with('#') => Err(Error::invalid("a name cannot start with `#` here")),
        _ => Ok(()),
    });
    Ok(keeper.boxed())
});

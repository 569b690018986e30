//! Fails to write the third secret.
#![forbid(unsafe_code)]

use sound::api::manifest::{Kind, NameRule};
use sound::api::Error;
use sound::Keeper;

const KINDS: &[Kind] = &[Keeper::kind(NameRule::CaseSensitive)];

sound::plugin!(Keeper::manifest("fails-third", KINDS), |_, _| {
    let keeper = Keeper::default().before_set(|number, _| match number {
        3 => Err(Error::unavailable("the disk is full")),
        _ => Ok(()),
    });
    Ok(keeper.boxed())
});

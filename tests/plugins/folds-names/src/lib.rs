//! A correct plugin: names that differ by case are one secret, as the manifest declares.
#![forbid(unsafe_code)]

use sound::api::manifest::{Kind, NameRule};
use sound::api::{NameEquality, UnicodeTables};
use sound::Keeper;

const KINDS: &[Kind] = &[Keeper::kind(NameRule::CaseInsensitive)];

sound::plugin!(Keeper::manifest("folds-names", KINDS), |_, _| {
    let names = NameEquality::ComposedCase(UnicodeTables::new(16, 18));
    Ok(Keeper::default().key(str::to_lowercase).names(names).boxed())
});

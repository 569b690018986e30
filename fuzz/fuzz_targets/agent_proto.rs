//! Frames between the agent and its clients as an enemy at either end would send them, one
//! after another, with time passing between them.
//!
//! An input is such a talk, or changes to a good one: its first byte says which.

#![no_main]

mod change;

use std::sync::LazyLock;

use keystead::internals::agent::fuzzing::{seeds, talk};

static GOOD: LazyLock<Vec<Vec<u8>>> = LazyLock::new(seeds);

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((which, rest)) = input.split_first() else { return };
    match GOOD.get(usize::from(*which)) {
        Some(good) => talk(&change::apply(good.clone(), rest)),
        None => talk(rest),
    }
});

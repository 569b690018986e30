//! Frames between host and runner as an enemy at either end would send them.
//!
//! An input is a frame, or changes to a good one: its first byte says which.

#![no_main]

mod change;

use std::sync::LazyLock;

use keystead::internals::plugin::runner::fuzzing::{read, seeds};

static GOOD: LazyLock<Vec<Vec<u8>>> = LazyLock::new(seeds);

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((which, rest)) = input.split_first() else { return };
    match GOOD.get(usize::from(*which)) {
        Some(good) => read(&change::apply(good.clone(), rest)),
        None => read(rest),
    }
});

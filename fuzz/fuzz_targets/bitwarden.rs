//! An export of Bitwarden, or what pretends to be one: whatever the text, each row is a secret
//! of its own name or is broken with a short reason, and a second run gives the same.

#![no_main]

mod change;
mod rows;

use keystead_exchange::bitwarden;

const GOOD: &str = include_str!("../../tests/fixtures/bitwarden.json");

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((which, rest)) = input.split_first() else { return };
    let text = match which % 2 {
        0 => change::apply(GOOD.as_bytes().to_vec(), rest),
        _ => rest.to_vec(),
    };
    rows::check(|| bitwarden::read(&text[..], None));
});

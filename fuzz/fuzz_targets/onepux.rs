//! An export of 1Password, or what pretends to be one: changes to the zip, to the text in it,
//! or to both.

#![no_main]

mod change;
#[path = "../../host/exchange/src/packed.rs"]
mod packed;
mod rows;

use std::io::Cursor;
use std::sync::LazyLock;

use keystead_exchange::onepux;
use packed::{Packed, zip};

const GOOD: &str = include_str!("../../tests/fixtures/1password.json");

fn export(data: &[u8]) -> Vec<u8> {
    zip(&[
        Packed::stored("export.attributes", b"{\"version\":3}"),
        Packed::stored("export.data", data),
        Packed::stored("files/docpassport__scan.pdf", b"%PDF"),
        Packed::deflated("files/docrecovery__codes.txt", b"codes codes codes codes"),
    ])
}

/// With a text that is short, so that changes meet the zip.
static SMALL: LazyLock<Vec<u8>> = LazyLock::new(|| {
    export(
        br#"{"accounts":[{"vaults":[{"items":[{"overview":{"title":"a"},"details":
        {"documentAttributes":{"documentId":"docrecovery","fileName":"b"}}}]}]}]}"#,
    )
});

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((which, rest)) = input.split_first() else { return };
    let bytes = match which % 4 {
        0 => export(&change::apply(GOOD.as_bytes().to_vec(), rest)),
        1 => change::apply(SMALL.clone(), rest),
        2 => export(rest),
        _ => rest.to_vec(),
    };
    rows::check(|| onepux::read(Cursor::new(&bytes)));
});

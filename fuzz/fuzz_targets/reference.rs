//! References as anybody writes them: whatever the text, it is a reference that is written
//! back the same, or a fault at a character that the text has.

#![no_main]

use std::path::Path;

use keystead::reference::{Error, Reference};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((which, rest)) = input.split_first() else { return };
    let Ok(rest) = std::str::from_utf8(rest) else { return };
    let scheme = ["", "keystead://", "env:", "file:", "command:", "fd:"][usize::from(*which) % 6];
    let text = format!("{scheme}{rest}");
    match Reference::parse(&text) {
        Ok(reference) => {
            let written = reference.to_string();
            assert_eq!(Reference::parse(&written).as_ref(), Ok(&reference));
            let dir = Path::new("/srv");
            let anchored = reference.anchored(dir, None);
            if let Some(Reference::File(path)) = anchored {
                assert!(path.as_path().is_absolute());
            }
        }
        Err(Error::Syntax { column, .. }) => {
            assert!(column >= 1 && column <= text.chars().count() + 1, "{column} in {text:?}");
        }
        Err(_) => {}
    }
});

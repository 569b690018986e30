//! Plugin files as an enemy would write them: whatever the bytes, `inspect` answers.
//!
//! An input is the bytes of a file, or changes to a good file: its first byte says which.
//! So every run begins deep inside the readers, and no seeds are kept.

#![no_main]

#[allow(dead_code)] // The tests use more of it.
#[path = "../../host/lib/src/plugin/inspect/fixture.rs"]
mod fixture;

mod change;

use std::sync::LazyLock;

use keystead::internals::plugin::inspect::{LocalPlatform, ParsedManifest, Permission, inspect};

/// The good files that are changed.
static GOOD: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let c_table = fixture::Elf {
        block: Some(fixture::block_of(
            1,
            fixture::json().len() as u32,
            b"c-1\0\0\0\0\0\0\0\0\0\0\0\0\0",
            &fixture::json(),
        )),
        code: "const void *keystead_plugin_v1(void) { return 0; }",
        ..fixture::Elf::default()
    };
    vec![
        fixture::Elf::default().build(),
        c_table.build(),
        fixture::pe(),
        fixture::macho(),
        fixture::json().into_bytes(),
        b"files:/srv/{path}:rw".to_vec(),
    ]
});

static HERE: LazyLock<LocalPlatform> = LazyLock::new(LocalPlatform::current);

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((which, rest)) = input.split_first() else { return };
    let changed = GOOD.get(usize::from(*which)).map(|good| change::apply(good.clone(), rest));
    let bytes = changed.as_deref().unwrap_or(rest);
    if let Ok(found) = inspect(bytes) {
        let _ = found.check_here(&HERE);
    }
    let _ = ParsedManifest::parse(bytes);
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(permission) = Permission::parse(text)
    {
        assert_eq!(Permission::parse(&permission.text()).as_ref(), Ok(&permission));
    }
});

//! Plugin files as an enemy would write them: whatever the bytes, `inspect` answers.
//!
//! An input is the bytes of a file, or changes to a good file: its first byte says which.
//! So every run begins deep inside the readers, and no seeds are kept.

#![no_main]

#[allow(dead_code)] // The tests use more of it.
#[path = "../../host/src/plugin/inspect/fixture.rs"]
mod fixture;

use std::sync::LazyLock;

use keystead::plugin::inspect::{Here, Manifest, Permission, inspect};

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

static HERE: LazyLock<Here> = LazyLock::new(Here::current);

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((which, rest)) = input.split_first() else { return };
    let changed = GOOD.get(usize::from(*which)).map(|good| change(good.clone(), rest));
    let bytes = changed.as_deref().unwrap_or(rest);
    if let Ok(found) = inspect(bytes) {
        let _ = found.check_here(&HERE);
    }
    let _ = Manifest::parse(bytes);
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(permission) = Permission::parse(text)
    {
        assert_eq!(Permission::parse(&permission.text()).as_ref(), Ok(&permission));
    }
});

/// Applies changes of seven bytes each: a place, what to do there, and a number to do it with.
fn change(mut file: Vec<u8>, changes: &[u8]) -> Vec<u8> {
    for change in changes.chunks_exact(7) {
        let place = usize::from(u16::from_le_bytes([change[0], change[1]]));
        let number = i32::from_le_bytes([change[3], change[4], change[5], change[6]]);
        let wide = i64::from(number).to_le_bytes();
        let at = place.min(file.len());
        match change[2] % 6 {
            0 => file.truncate(at),
            1 => file.splice(at..at, wide[..4].iter().copied()).for_each(drop),
            op => {
                let len = [1, 2, 4, 8][usize::from(op) - 2].min(file.len() - at);
                file[at..at + len].copy_from_slice(&wide[..len]);
            }
        }
    }
    file
}

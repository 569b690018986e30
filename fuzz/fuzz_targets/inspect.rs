//! Plugin files as an enemy would write them: whatever the bytes, `inspect` answers.

#![no_main]

use std::sync::LazyLock;

use keystead::plugin::inspect::{Here, Manifest, Permission, inspect};

static HERE: LazyLock<Here> = LazyLock::new(Here::current);

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(found) = inspect(bytes) {
        let _ = found.check_here(&HERE);
    }
    // A file's manifest is rarely hit by chance: the same bytes as JSON and as a permission.
    let _ = Manifest::parse(bytes);
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(permission) = Permission::parse(text)
    {
        assert_eq!(Permission::parse(&permission.text()).as_ref(), Ok(&permission));
    }
});

//! Both vault kinds keep every obligation.
#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::path::PathBuf;

use keystead_plugin_api::testing::{Linked, assert_kept};
use keystead_plugin_files::{Files, MANIFEST};

/// Returns an empty directory.
fn dir(test: &str) -> PathBuf {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(test);
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

/// Runs the suite and asserts that all obligations but these are checked.
#[track_caller]
fn conforms(linked: Linked<Files>, not_applicable: &[&str]) {
    assert_kept(&linked.outcomes().unwrap(), not_applicable);
}

/// More than a page; each write waits for the disk.
const MANY: usize = 1_100;

/// Obligations that do not apply. These vaults are never locked, keep no metadata and no versions,
/// have no actions, report no other names and ignore an unregistration.
const NEVER: [&str; 26] = [
    "actions-named",
    "list-removed-restorable",
    "lock-locks",
    "locked-no-effect",
    "no-prompt",
    "purge-for-good",
    "purge-missing",
    "rename-missing",
    "rename-moves",
    "rename-taken",
    "restore-brings-back",
    "restore-missing",
    "restore-taken",
    "rules-names",
    "set-many-refused",
    "set-metadata-if-version",
    "set-metadata-missing",
    "set-metadata-only",
    "set-metadata-read-only",
    "set-metadata-replaces",
    "unlock-right",
    "unlock-stale",
    "unlock-wrong",
    "unregister-keeps",
    "version-missing",
    "versions-gettable",
];

#[test]
fn read_write_vault_keeps_obligations() {
    for (test, trim) in [("kept", "false"), ("trimmed", "true")] {
        let linked = Linked::new(&MANIFEST)
            .kind(&MANIFEST, "read-write")
            .parameter("folder", dir(test).join("below/{vault}").to_str().unwrap())
            .parameter("trim-newline", trim)
            .many(MANY);
        conforms(linked, &NEVER);
    }
}

#[test]
fn read_only_vault_keeps_obligations() {
    let dir = dir("others");
    for name in ["one", "two", "three"] {
        std::fs::write(dir.join(name), format!("of {name}\n")).unwrap();
    }
    let linked = Linked::new(&MANIFEST).parameter("path", dir.to_str().unwrap());
    let written = [
        "concurrent-shows",
        "get-empty",
        "get-what-was-set",
        "list-as-given",
        "list-no-values",
        "own-handle",
        "remove-if-version",
        "remove-missing",
        "remove-only-that",
        "remove-then-missing",
        "set-atomic",
        "rules-limits",
        "set-create-only",
        "set-if-version",
        "set-kind",
        "set-many-each",
        "set-many-kept",
        "set-many-order",
        "set-metadata-with-value",
        "set-replace",
    ];
    conforms(linked, &[&NEVER[..], &written].concat());
}

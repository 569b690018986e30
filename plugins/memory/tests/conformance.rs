//! The reference plugin keeps every obligation with any parameters.

use std::path::Path;

use keystead_plugin_api::testing::{assert_kept, Linked};
use keystead_plugin_memory::{Memory, MANIFEST};

/// Returns a path in an empty directory, with `{vault}` for the vault's name.
fn file(test: &str) -> String {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).unwrap();
    dir.join("{vault}.secrets").to_str().unwrap().to_owned()
}

/// Runs the suite and asserts that all obligations but these are checked.
fn conforms(linked: Linked<Memory>, not_applicable: &[&[&str]]) {
    assert_kept(&linked.outcomes().unwrap(), &not_applicable.concat());
}

/// More than a page, but fewer than the default, since each write waits for the disk.
const MANY: usize = 1_100;

/// Obligations that do not apply to this vault kind.
const NEVER: [&str; 14] = [
    "concurrent-calls",
    "concurrent-cursors",
    "concurrent-shows",
    "list-removed-restorable",
    "purge-for-good",
    "purge-missing",
    "restore-brings-back",
    "restore-missing",
    "restore-taken",
    "rules-limits",
    "set-kind",
    "unregister-keeps",
    "version-missing",
    "versions-gettable",
];

/// Obligations that apply only to a vault that can be locked.
const WITHOUT_LOCK: [&str; 7] = [
    "no-prompt",
    "unlock-right",
    "unlock-wrong",
    "unlock-stale",
    "lock-locks",
    "locked-no-effect",
    "set-many-refused",
];

/// Obligations that apply only to secrets that outlive their handle.
const WITHOUT_FILE: [&str; 1] = ["set-many-kept"];

#[test]
fn memory_vault_keeps_obligations() {
    conforms(Linked::new(&MANIFEST).separate(), &[&NEVER, &WITHOUT_LOCK, &WITHOUT_FILE]);
}

#[test]
fn file_vault_keeps_obligations() {
    conforms(
        Linked::new(&MANIFEST).parameter("file", &file("plain")).many(MANY),
        &[&NEVER, &WITHOUT_LOCK],
    );
}

#[test]
fn locked_memory_vault_keeps_obligations() {
    let linked = Linked::new(&MANIFEST).separate().parameter("locked", "canary-password");
    conforms(linked.answer("password", "canary-password"), &[&NEVER, &WITHOUT_FILE]);
}

#[test]
fn locked_file_vault_keeps_obligations() {
    let linked = Linked::new(&MANIFEST)
        .parameter("file", &file("locked"))
        .parameter("locked", "canary-password")
        .many(20);
    conforms(linked.answer("password", "canary-password"), &[&NEVER]);
}

#[test]
fn conformance_check_for_plugin_authors_passes() {
    keystead_plugin_api::testing::check::<Memory>(&MANIFEST, &[]);
}

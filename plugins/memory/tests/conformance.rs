//! The reference plugin keeps every obligation, whatever its parameters.

use std::path::Path;

use keystead_plugin_api::testing::{Linked, Outcome};
use keystead_plugin_memory::{Memory, MANIFEST};

/// Returns a path in which `{vault}` stands for the vault, in an empty folder.
fn file(test: &str) -> String {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder.join("{vault}.secrets").to_str().unwrap().to_owned()
}

/// Runs the suite and asserts that all is checked but these obligations.
fn conforms(linked: Linked<Memory>, not_applicable: &[&str]) {
    let mut skipped = Vec::new();
    for outcome in linked.outcomes().unwrap() {
        assert!(!outcome.is_broken(), "{outcome}");
        if let Outcome::NotApplicable { obligation, .. } = outcome {
            skipped.push(obligation);
        }
    }
    assert_eq!(skipped, not_applicable);
}

/// More than a page. Fewer than by default, since each write waits for the disk.
const MANY: usize = 1_100;

const NEVER: [&str; 3] = ["versions-gettable", "set-kind", "unregister-keeps"];
const WITHOUT_LOCK: [&str; 9] = [
    "no-prompt",
    "unlock-right",
    "unlock-wrong",
    "unlock-stale",
    "lock-locks",
    "locked-no-effect",
    NEVER[0],
    NEVER[1],
    NEVER[2],
];

#[test]
fn in_memory() {
    conforms(Linked::new(&MANIFEST).separate(), &WITHOUT_LOCK);
}

#[test]
fn in_a_file() {
    conforms(Linked::new(&MANIFEST).parameter("file", &file("plain")).many(MANY), &WITHOUT_LOCK);
}

#[test]
fn locked_in_memory() {
    let linked = Linked::new(&MANIFEST).separate().parameter("locked", "canary-password");
    conforms(linked.answer("password", "canary-password"), &NEVER);
}

#[test]
fn locked_in_a_file() {
    let linked = Linked::new(&MANIFEST)
        .parameter("file", &file("locked"))
        .parameter("locked", "canary-password")
        .many(20);
    conforms(linked.answer("password", "canary-password"), &NEVER);
}

#[test]
fn the_way_the_author_of_a_plugin_writes_it() {
    keystead_plugin_api::testing::check::<Memory>(&MANIFEST, &[]);
}

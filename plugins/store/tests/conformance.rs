//! The local vault keeps every obligation, with a key file and with a password.
#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::path::PathBuf;

use keystead_plugin_api::manifest::Manifest;
use keystead_plugin_api::testing::{Linked, assert_kept};
use keystead_plugin_api::{
    Context, Deadline, OpenRequest, ParameterValue, Parameters, Plugin, SecretName, SecretText,
    SetRequest, UnlockRequest, Value, VaultName,
};
use keystead_plugin_store::{MANIFEST, Store};

/// Returns an empty directory.
fn dir(test: &str) -> PathBuf {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(test);
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

/// Runs the suite and asserts that all obligations but these are checked.
#[track_caller]
fn conforms(linked: Linked<Store>, not_applicable: &[&str]) {
    assert_kept(&linked.outcomes().unwrap(), not_applicable);
}

/// More than a page; each write waits for the disk.
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

#[test]
fn vault_with_key_file_keeps_obligations() {
    let dir = dir("key-file");
    let path = |name: &str| dir.join(name).to_str().unwrap().to_owned();
    let linked = Linked::new(&MANIFEST)
        .parameter("path", &path("{vault}"))
        .parameter("key-file", &path("{vault}.key"))
        .many(MANY);
    let without_lock = [
        "no-prompt",
        "unlock-right",
        "unlock-wrong",
        "unlock-stale",
        "lock-locks",
        "locked-no-effect",
        "set-many-refused",
    ];
    conforms(linked, &[&NEVER[..], &without_lock].concat());
}

#[test]
fn vault_with_password_keeps_obligations() {
    let dir = dir("password");
    for vault in ["keystead-conformance", "keystead-conformance-2"] {
        make(&dir, vault, "canary-password");
    }
    let linked = Linked::new(&MANIFEST)
        .parameter("path", dir.join("{vault}").to_str().unwrap())
        .answer("password", "canary-password")
        .many(20);
    conforms(linked, &NEVER);
}

/// As in `keystead plugin test`: no vault exists yet.
#[test]
fn vault_created_by_first_write_keeps_obligations() {
    let linked = Linked::new(&MANIFEST)
        .parameter("path", dir("first-write").join("{vault}").to_str().unwrap())
        .answer("password", "canary-password")
        .many(20);
    conforms(linked, &NEVER);
}

/// Creates a vault with a password.
fn make(dir: &std::path::Path, vault: &str, password: &str) {
    let mut parameters = Parameters::new();
    let path = dir.join(vault).to_str().unwrap().to_owned();
    parameters.insert("path", ParameterValue::Text(path));
    let _: &Manifest = &MANIFEST;
    let soon = Deadline::after(std::time::Duration::from_secs(60));
    let name = VaultName::parse(vault).unwrap();
    let request = OpenRequest::new(name, "store", parameters, soon);
    let mut vault = Store::open(request, Context::silent()).unwrap();
    let set = || SetRequest::new(SecretName::parse("x").unwrap(), Value::text("y"), soon);
    let locked = vault.set(set()).unwrap_err();
    let challenge = locked.challenge().unwrap();
    assert!(challenge.prompts[0].new);
    let answers = vec![keystead_plugin_api::Answer::new("password", SecretText::new(password))];
    vault.unlock(&UnlockRequest::new(&challenge.id, answers, soon)).unwrap();
    vault.set(set()).unwrap();
    let name = SecretName::parse("x").unwrap();
    vault.remove(&keystead_plugin_api::RemoveRequest::new(name, soon)).unwrap();
}

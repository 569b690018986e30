//! The golden files: every later version reads the files of an earlier version, with each of its
//! key slots. `examples/golden.rs` created them.
#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use keystead_plugin_api::{
    ActionRequest, Answer, Context, Deadline, DescribeRequest, ErrorKind, GetRequest, ListRequest,
    OpenRequest, ParameterValue, Parameters, Plugin, RemoveRequest, SecretName, SecretText,
    SetRequest, UnlockRequest, Value, Vault, VaultName,
};
use keystead_plugin_store::Store;

#[path = "golden/secrets.rs"]
mod secrets;

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(60))
}

fn name(text: &str) -> SecretName {
    SecretName::parse(text).unwrap()
}

/// A copy of the golden files: version control keeps no modes, and an unlock may renew an old slot.
struct Copy {
    dir: tempfile::TempDir,
}

impl Copy {
    fn new() -> Self {
        let own = PermissionsExt::from_mode(0o700);
        let dir = tempfile::Builder::new().permissions(own).tempdir().unwrap();
        for file in ["store.db", "golden.key"] {
            let to = dir.path().join(file);
            fs::copy(golden(file), &to).unwrap();
            fs::set_permissions(&to, PermissionsExt::from_mode(0o600)).unwrap();
        }
        Self { dir }
    }

    fn path(&self, name: &str) -> ParameterValue {
        ParameterValue::Text(self.dir.path().join(name).to_str().unwrap().to_owned())
    }

    fn open(&self, key_file: bool) -> Box<dyn Vault> {
        let mut parameters = Parameters::new();
        parameters.insert("path", self.path(""));
        if key_file {
            parameters.insert("key-file", self.path("golden.key"));
        }
        let vault = VaultName::parse("golden").unwrap();
        let request = OpenRequest::new(vault, "store", parameters, soon());
        Store::open(request, Context::silent()).unwrap()
    }

    /// Opens the vault with typed text.
    fn typed(&self, text: &str) -> Box<dyn Vault> {
        let mut vault = self.open(false);
        let locked = vault.get(&GetRequest::new(name("map"), soon())).unwrap_err();
        assert_eq!(locked.kind(), ErrorKind::Locked);
        let answer = Answer::new("password", SecretText::new(text));
        let challenge = locked.challenge().unwrap().id.clone();
        vault.unlock(&UnlockRequest::new(challenge, vec![answer], soon())).unwrap();
        vault
    }
}

fn golden(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1").join(file)
}

fn code() -> String {
    fs::read_to_string(golden("golden.code")).unwrap().trim().to_owned()
}

/// Asserts that all secrets are there, and no others.
#[track_caller]
fn is_whole(mut vault: Box<dyn Vault>) {
    let secrets = secrets::secrets();
    let mut listed = vault.list(&ListRequest::new(soon())).unwrap().entries;
    listed.sort_by(|a, b| a.name.cmp(&b.name));
    let mut names: Vec<_> = secrets.iter().map(|secret| secret.name).collect();
    names.sort_unstable();
    let found: Vec<_> = listed.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(found, names);
    for secret in secrets {
        for called in [secret.name, secret.also] {
            let found = vault.get(&GetRequest::new(name(called), soon())).unwrap();
            assert_eq!(found.value, secret.value, "{called}");
            assert_eq!(found.metadata, secret.metadata, "{called}");
            let entry = vault.describe(&DescribeRequest::new(name(called), soon())).unwrap();
            assert_eq!((entry.name.as_str(), entry.kind), (secret.name, Some(secret.value.kind())));
        }
    }
    for absent in ["gone", "\u{131}stanbul", "file", "cafe", "i\u{307}stanbul"] {
        let error = vault.get(&GetRequest::new(name(absent), soon())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{absent}");
    }
    let verify = ActionRequest::new("verify", Parameters::new(), soon());
    let said = vault.run_action(&verify).unwrap().message;
    assert_eq!(said, "everything is as it was written; secrets: 17");
}

#[test]
fn version_1_vault_opens_with_password_in_any_unicode_form() {
    let copy = Copy::new();
    is_whole(copy.typed(secrets::PASSWORD));
    is_whole(copy.typed(secrets::PASSWORD_ELSEWHERE));
}

#[test]
fn version_1_vault_opens_with_key_file() {
    is_whole(Copy::new().open(true));
}

#[test]
fn version_1_vault_opens_with_recovery_code() {
    let copy = Copy::new();
    is_whole(copy.typed(&code()));
    is_whole(copy.typed(&code().to_lowercase().replace('-', " ")));
}

/// The label, number and order of slots are part of the format.
#[test]
fn version_1_vault_lists_its_slots() {
    let copy = Copy::new();
    let mut vault = copy.open(true);
    let slots = ActionRequest::new("slots", Parameters::new(), soon());
    let Some(Value::Text(said)) = vault.run_action(&slots).unwrap().value else {
        panic!("no answer")
    };
    let said = said.expose();
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[0].starts_with("slot 1: password (Argon2id, 64 MiB, "), "{said}");
    assert_eq!(lines[1..], ["slot 2: key file, `b\u{fc}ro`", "slot 3: recovery code"]);
}

/// The vault accepts writes and keeps its content.
#[test]
fn version_1_vault_accepts_writes() {
    let copy = Copy::new();
    let mut vault = copy.open(true);
    vault.set(SetRequest::new(name("new"), Value::text("canary-5d1f new"), soon())).unwrap();
    vault.remove(&RemoveRequest::new(name("NEW"), soon())).unwrap();
    drop(vault);
    is_whole(copy.open(true));
}

//! Creates the golden files of this format version in a new directory:
//!
//! ```sh
//! cargo run -p keystead-plugin-store --example golden DIR
//! ```
//!
//! Committed files stay unchanged: they show what that version wrote. A later version runs this
//! again, into a separate directory.
#![allow(clippy::unwrap_used, reason = "whoever makes golden files looks at what happens")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use keystead_plugin_api::{
    ActionRequest, Answer, Context, Deadline, OpenRequest, ParameterValue, Parameters, Plugin,
    RemoveRequest, SecretName, SecretText, SetRequest, UnlockRequest, Value, Vault, VaultName,
};
use keystead_plugin_store::Store;

#[path = "../tests/golden/secrets.rs"]
mod secrets;

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(60))
}

fn text(path: &Path) -> ParameterValue {
    ParameterValue::Text(path.to_str().unwrap().to_owned())
}

fn act(vault: &mut dyn Vault, action: &str, parameters: Parameters) -> Option<Value> {
    vault.run_action(&ActionRequest::new(action, parameters, soon())).unwrap().value
}

fn main() {
    let dir = PathBuf::from(std::env::args().nth(1).expect("the directory is an argument"));
    std::fs::create_dir(&dir).unwrap();
    let dir = dir.canonicalize().unwrap();
    let place = dir.join("vault");
    let mut parameters = Parameters::new();
    parameters.insert("path", text(&place));
    let name = VaultName::parse("golden").unwrap();
    let request = OpenRequest::new(name, "store", parameters, soon());
    let mut vault = Store::open(request, Context::silent()).unwrap();

    // The first secret creates the vault, with this password.
    let password = Answer::new("password", SecretText::new(secrets::PASSWORD));
    vault.unlock(&UnlockRequest::new("new-vault", vec![password], soon())).unwrap();
    for secret in secrets::secrets() {
        let name = SecretName::parse(secret.name).unwrap();
        // Each secret is written twice, and one is removed, so that row numbers have gaps.
        for value in [Value::text("before"), secret.value] {
            let mut set = SetRequest::new(name.clone(), value, soon());
            set.metadata = Some(secret.metadata.clone());
            vault.set(set).unwrap();
        }
        let gone = SecretName::parse("gone").unwrap();
        vault.set(SetRequest::new(gone.clone(), Value::text("gone"), soon())).unwrap();
        vault.remove(&RemoveRequest::new(gone, soon())).unwrap();
    }

    let mut key_file = Parameters::new();
    key_file.insert("file", text(&dir.join("golden.key")));
    key_file.insert("label", ParameterValue::Text("b\u{fc}ro".into()));
    act(&mut *vault, "add-key-file", key_file);
    let Some(Value::Text(code)) = act(&mut *vault, "add-recovery-code", Parameters::new()) else {
        panic!("no code");
    };
    act(&mut *vault, "verify", Parameters::new());
    drop(vault);

    std::fs::rename(place.join("store.db"), dir.join("store.db")).unwrap();
    std::fs::remove_dir_all(place).unwrap();
    std::fs::write(dir.join("golden.code"), format!("{}\n", code.expose())).unwrap();
    std::fs::write(dir.join("golden.password"), secrets::PASSWORD).unwrap();
}

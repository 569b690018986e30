//! Missing or damaged secrets are reported, affect no others, and can be fixed by name.
#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use keystead_plugin_api::{
    ActionRequest, Answer, Context, Deadline, Error, ErrorKind, GetRequest, ListRequest,
    LockRequest, OpenRequest, ParameterValue, Parameters, Plugin, RemoveRequest, Result,
    SecretName, SecretText, SetRequest, UnlockRequest, Value, Vault, VaultName,
};
use keystead_plugin_store::Store;
use rusqlite::Connection;
use tempfile::TempDir;

/// A vault with a key file, in memory if there is such a file system.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        let memory = Path::new("/dev/shm");
        Self(match memory.is_dir() {
            true => tempfile::tempdir_in(memory).unwrap(),
            false => tempfile::tempdir().unwrap(),
        })
    }

    fn dir(&self) -> PathBuf {
        self.0.path().join("vault")
    }

    fn file(&self) -> PathBuf {
        self.dir().join("store.db")
    }

    fn open(&self) -> Box<dyn Vault> {
        open(&self.dir(), Some(&self.0.path().join("key")))
    }

    /// Changes the file, as a user with write access could.
    fn tamper(&self, sql: &str) {
        Connection::open(self.file()).unwrap().execute_batch(sql).unwrap();
    }
}

fn open(dir: &Path, key_file: Option<&Path>) -> Box<dyn Vault> {
    let mut parameters = Parameters::new();
    let text = |path: &Path| ParameterValue::Text(path.to_str().unwrap().to_owned());
    parameters.insert("path", text(dir));
    if let Some(key_file) = key_file {
        parameters.insert("key-file", text(key_file));
    }
    let name = VaultName::parse("test").unwrap();
    let request = OpenRequest::new(name, "store", parameters, soon());
    Store::open(request, Context::silent()).unwrap()
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(60))
}

fn name(text: &str) -> GetRequest {
    GetRequest::new(SecretName::parse(text).unwrap(), soon())
}

fn set(vault: &mut dyn Vault, key: &str, value: &str) -> Result<()> {
    vault.set(SetRequest::new(name(key).name, Value::text(value), soon())).map(drop)
}

fn get(vault: &mut dyn Vault, key: &str) -> Result<String, ErrorKind> {
    match vault.get(&name(key)).map(|secret| secret.value) {
        Ok(Value::Text(text)) => Ok(text.expose().to_owned()),
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error.kind()),
    }
}

fn names(vault: &mut dyn Vault) -> Result<usize, Error> {
    vault.list(&ListRequest::new(soon())).map(|page| page.entries.len())
}

fn act(vault: &mut dyn Vault, action: &str) -> Result<String> {
    let request = ActionRequest::new(action, Parameters::new(), soon());
    vault.run_action(&request).map(|outcome| outcome.message)
}

/// Otherwise another vault's value could pass for this one's.
#[test]
fn moved_file_is_unavailable_and_not_recreated() {
    let home = Home::new();
    let mut vault = home.open();
    assert_eq!(get(&mut *vault, "a"), Err(ErrorKind::NotFound));
    set(&mut *vault, "a", "canary-a").unwrap();

    let away = home.0.path().join("away");
    fs::rename(home.file(), &away).unwrap();
    assert_eq!(get(&mut *vault, "a"), Err(ErrorKind::Unavailable));
    assert_eq!(names(&mut *vault).unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(set(&mut *vault, "b", "x").unwrap_err().kind(), ErrorKind::Unavailable);
    assert!(!home.file().exists(), "no second vault in its place");
    fs::rename(&away, home.file()).unwrap();
    assert_eq!(get(&mut *vault, "a").as_deref(), Ok("canary-a"));

    // A new handle notices the other files in the directory.
    fs::rename(home.file(), home.dir().join("store.db.old")).unwrap();
    let mut other = home.open();
    let gone = format!("{} is gone", home.file().display());
    assert_eq!(names(&mut *other).unwrap_err().message(), gone);
    assert_eq!(set(&mut *other, "b", "x").unwrap_err().message(), gone);
}

#[test]
fn leftover_journal_is_not_replayed_into_other_file() {
    let home = Home::new();
    set(&mut *home.open(), "a", "canary-a").unwrap();
    fs::remove_file(home.file()).unwrap();
    let journal = home.dir().join("store.db-journal");
    fs::write(&journal, b"of another file").unwrap();
    let refused = set(&mut *home.open(), "b", "x").unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    assert!(!home.file().exists());
    fs::remove_file(&journal).unwrap();
    set(&mut *home.open(), "b", "x").unwrap();

    let to = home.0.path().join("copy.db");
    fs::write(home.0.path().join("copy.db-journal"), b"of another file").unwrap();
    let mut parameters = Parameters::new();
    parameters.insert("to", ParameterValue::Text(to.to_str().unwrap().to_owned()));
    let refused =
        home.open().run_action(&ActionRequest::new("backup", parameters, soon())).unwrap_err();
    assert!(refused.message().contains("copy.db-journal"), "{refused}");
    assert!(!to.exists());
}

#[test]
fn write_to_secret_with_foreign_value_keeps_other_secret() {
    let home = Home::new();
    let mut vault = home.open();
    for key in ["a", "b", "c", "d"] {
        set(&mut *vault, key, &format!("canary-{key}")).unwrap();
    }
    // `a` and `d` refer to the value of `c`.
    home.tamper(
        "UPDATE secret SET value = 3 WHERE value = 1; UPDATE secret SET value = 3 WHERE value = 4",
    );
    let mut vault = home.open();
    assert_eq!(get(&mut *vault, "a"), Err(ErrorKind::Corrupt));
    assert_eq!(act(&mut *vault, "verify").unwrap_err().kind(), ErrorKind::Corrupt);

    set(&mut *vault, "a", "mended").unwrap();
    vault.remove(&RemoveRequest::new(name("d").name, soon())).unwrap();
    assert_eq!(get(&mut *vault, "a").as_deref(), Ok("mended"));
    assert_eq!(get(&mut *vault, "b").as_deref(), Ok("canary-b"));
    assert_eq!(get(&mut *vault, "c").as_deref(), Ok("canary-c"));
    assert_eq!(get(&mut *vault, "d"), Err(ErrorKind::NotFound));

    let said = act(&mut *vault, "verify").unwrap();
    assert!(
        said.ends_with("secrets: 3; values of no secret, which `compact` removes: 2"),
        "{said}"
    );
    act(&mut *vault, "compact").unwrap();
    assert!(act(&mut *vault, "verify").unwrap().ends_with("secrets: 3"));
}

#[test]
fn damaged_overview_is_repaired_by_set_or_remove() {
    let home = Home::new();
    let mut vault = home.open();
    for key in ["a", "b"] {
        set(&mut *vault, key, &format!("canary-{key}")).unwrap();
    }
    let flipped = "UPDATE secret SET overview = CAST(x'00' || substr(overview, 2) AS BLOB) WHERE length(overview) > 0";
    home.tamper(flipped);
    assert_eq!(get(&mut *vault, "a"), Err(ErrorKind::Corrupt));
    let error = names(&mut *vault).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(
        error.message().ends_with("to set or remove that secret by its name mends it"),
        "{error}"
    );

    set(&mut *vault, "a", "mended").unwrap();
    vault.remove(&RemoveRequest::new(name("b").name, soon())).unwrap();
    assert_eq!(names(&mut *vault).unwrap(), 1);
    assert_eq!(get(&mut *vault, "a").as_deref(), Ok("mended"));
    assert_eq!(get(&mut *vault, "b"), Err(ErrorKind::NotFound));
}

#[test]
fn deleted_row_is_detected() {
    let home = Home::new();
    let mut vault = home.open();
    for key in ["a", "b", "c"] {
        set(&mut *vault, key, "x").unwrap();
    }
    home.tamper("DELETE FROM secret WHERE value = 2");
    assert_eq!(get(&mut *vault, "b"), Err(ErrorKind::Corrupt));
    assert_eq!(names(&mut *vault).unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(set(&mut *vault, "b", "y").unwrap_err().kind(), ErrorKind::Corrupt);
}

#[test]
fn unsolicited_unlock_answer_is_rejected() {
    let home = Home::new();
    let mut vault = home.open();
    set(&mut *vault, "a", "x").unwrap();
    let answer = |challenge: &str| {
        let value = SecretText::new("canary-password");
        let answers = ["password", "new-password"].map(|name| Answer::new(name, value.duplicate()));
        UnlockRequest::new(challenge, answers.into(), soon())
    };
    // A password never creates a vault with a key file.
    let mut fresh = open(&home.0.path().join("other"), Some(&home.0.path().join("key")));
    assert_eq!(fresh.unlock(&answer("new-vault")).unwrap_err().kind(), ErrorKind::Invalid);
    assert!(!home.0.path().join("other").exists());
    // Only a user who has unlocked the vault can set its next password.
    let mut locked = open(&home.dir(), None);
    assert_eq!(locked.unlock(&answer("new-password")).unwrap_err().kind(), ErrorKind::Invalid);
}

#[test]
fn vault_with_key_file_cannot_be_locked() {
    let home = Home::new();
    let mut vault = home.open();
    set(&mut *vault, "a", "canary-a").unwrap();
    assert_eq!(vault.lock(&LockRequest::new(soon())).unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!(get(&mut *vault, "a").as_deref(), Ok("canary-a"));
}

//! Wrong password, damage, a newer format, not a vault: four different errors.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;

use keystead_plugin_api::{
    Answer, Error, ErrorKind, Result, SecretText, TestRequest, UnlockRequest, Value, Vault,
};
use rusqlite::Connection;

use crate::vault::{self, Home, amply, chmod, get, list, remove, set, verify};

/// Returns an error's kind and message, without the temporary directory.
#[track_caller]
pub(crate) fn told<T>(home: &Home, result: Result<T>) -> String {
    match result {
        Ok(_) => "fine".to_owned(),
        Err(error) => tell(home, &error),
    }
}

/// Returns whether a secret is not there, or the vault itself is not yet: the process that makes it
/// writes the key file first.
pub(crate) fn is_not_made(error: &Error) -> bool {
    let is_missing = error.message().contains("is missing, although its key file");
    error.kind() == ErrorKind::NotFound || error.kind() == ErrorKind::Unavailable && is_missing
}

fn tell(home: &Home, error: &Error) -> String {
    let message = error.message().replace(home.path().to_str().unwrap(), "~");
    format!("{}: {message}", error.kind())
}

/// Asserts that each call returns this error and changes nothing.
#[track_caller]
pub(crate) fn all_say(home: &Home, expected: &str) {
    let before = fs::read(home.file()).ok();
    assert_eq!(told(home, get(&mut *home.open(), "a")), expected, "get");
    assert_eq!(told(home, list(&mut *home.open(), 10)), expected, "list");
    assert_eq!(told(home, set(&mut *home.open(), "b", Value::text("canary"))), expected, "set");
    assert_eq!(told(home, vault::remove(&mut *home.open(), "a")), expected, "remove");
    assert_eq!(told(home, home.open().test(&TestRequest::new(amply()))), expected, "test");
    assert_eq!(told(home, verify(&mut *home.open())), expected, "verify");
    assert_eq!(fs::read(home.file()).ok(), before, "it was changed");
}

/// Returns a vault with the secret `a`.
pub(crate) fn with_a() -> Home {
    let home = Home::new();
    set(&mut *home.open(), "a", Value::text("canary")).unwrap();
    home
}

fn password(id: &str, password: &str) -> UnlockRequest {
    let answer = Answer::new("password", SecretText::new(password));
    UnlockRequest::new(id, vec![answer], amply())
}

#[test]
fn wrong_password_damage_and_foreign_file_are_distinct_errors() {
    let home = Home::new();
    let open = || vault::open(&home.dir(), None);
    let ask = |vault: &mut dyn Vault| {
        let locked = set(vault, "a", Value::text("canary")).unwrap_err();
        locked.challenge().unwrap().id.clone()
    };
    let mut made = open();
    let id = ask(&mut *made);
    made.unlock(&password(&id, "canary right")).unwrap();
    set(&mut *made, "a", Value::text("canary")).unwrap();
    drop(made);

    let mut vault = open();
    let id = ask(&mut *vault);
    let wrong = vault.unlock(&password(&id, "canary wrong"));
    assert_eq!(told(&home, wrong), "permission denied: the password is wrong");
    assert_eq!(get(&mut *vault, "a").unwrap_err().kind(), ErrorKind::Locked);
    vault.unlock(&password(&id, "canary right")).unwrap();
    assert_eq!(get(&mut *vault, "a").unwrap().value, Value::text("canary"));
    drop(vault);

    // Damage is reported before any password prompt.
    let whole = fs::read(home.file()).unwrap();
    let body = whole.windows(14).position(|window| window == b"keystead-store").unwrap();
    let mut damaged = whole.clone();
    damaged[body + 40] ^= 4;
    home.put(&damaged);
    let said = told(&home, get(&mut *open(), "a"));
    assert_eq!(said, "corrupt: ~/vault/store.db is damaged: its header");

    home.put(b"canary");
    let said = told(&home, get(&mut *open(), "a"));
    assert_eq!(said, "invalid: ~/vault/store.db is not a vault's file");
}

const NOT_OURS: &str = "invalid: ~/vault/store.db is not a vault's file";

#[test]
fn foreign_file_is_never_taken_for_empty_vault() {
    let home = with_a();
    let junk = |len: usize| (0..len).map(|at| (at * 7 + at / 251) as u8).collect::<Vec<u8>>();
    let texts = [&b""[..], b"x", b"some text\n", b"SQLite format 3\0", &[0; 4_096], &[0; 100_000]];
    for content in texts.iter().map(|text| text.to_vec()).chain([junk(1_000), junk(50_000)]) {
        home.put(&content);
        all_say(&home, NOT_OURS);
    }
    for foreign in [
        "CREATE TABLE moz_places (id INTEGER PRIMARY KEY, url TEXT)",
        "CREATE TABLE header (id INTEGER PRIMARY KEY, body BLOB)",
        "PRAGMA user_version = 7",
        "CREATE TABLE other (a); PRAGMA user_version = 2",
    ] {
        fs::remove_file(home.file()).unwrap();
        Connection::open(home.file()).unwrap().execute_batch(foreign).unwrap();
        chmod(&home.file(), 0o600);
        all_say(&home, NOT_OURS);
    }
}

#[test]
fn path_that_is_no_file_is_rejected_without_blocking() {
    let home = with_a();
    let no_file = "invalid: ~/vault/store.db is not a file";
    fs::remove_file(home.file()).unwrap();
    fs::create_dir(home.file()).unwrap();
    all_say(&home, no_file);
    fs::remove_dir(home.file()).unwrap();
    let fifo = |path: &Path| {
        let made = std::process::Command::new("mkfifo").arg("-m600").arg(path).status().unwrap();
        assert!(made.success());
    };
    let socket = std::os::unix::net::UnixListener::bind(home.file()).unwrap();
    chmod(&home.file(), 0o600);
    all_say(&home, no_file);
    drop(socket);
    fs::remove_file(home.file()).unwrap();
    fifo(&home.file());
    all_say_of_no_file(&home, no_file);
    fs::remove_file(home.file()).unwrap();
    std::os::unix::fs::symlink(home.path().join("elsewhere"), home.file()).unwrap();
    all_say(&home, no_file);

    let other = with_a();
    fs::remove_file(other.key()).unwrap();
    fifo(&other.key());
    all_open(&other, "invalid: the key file ~/keys/key is not a file");
}

/// As [`all_say`], but without reading the file, which would block.
#[track_caller]
fn all_say_of_no_file(home: &Home, expected: &str) {
    assert_eq!(told(home, get(&mut *home.open(), "a")), expected);
    assert_eq!(told(home, list(&mut *home.open(), 10)), expected);
    assert_eq!(told(home, set(&mut *home.open(), "b", Value::text("canary"))), expected);
    assert_eq!(told(home, home.open().test(&TestRequest::new(amply()))), expected);
}

/// Asserts that every call that opens secrets returns this error.
#[track_caller]
fn all_open(home: &Home, expected: &str) {
    assert_eq!(told(home, get(&mut *home.open(), "a")), expected);
    assert_eq!(told(home, list(&mut *home.open(), 10)), expected);
    assert_eq!(told(home, set(&mut *home.open(), "b", Value::text("canary"))), expected);
    assert_eq!(told(home, verify(&mut *home.open())), expected);
}

const NEWER: &str = "unsupported: ~/vault/store.db was written by a later version of this plugin \
                     (format 2; this one reads up to 1)";

#[test]
fn newer_format_is_reported_with_any_tables() {
    let home = with_a();
    let whole = fs::read(home.file()).unwrap();
    let change = |sql: &str| {
        home.put(&whole);
        Connection::open(home.file()).unwrap().execute_batch(sql).unwrap();
    };
    change("PRAGMA user_version = 2; CREATE TABLE history (id INTEGER PRIMARY KEY, body BLOB)");
    all_say(&home, NEWER);
    change("PRAGMA user_version = 2; DROP TABLE value; DROP TABLE secret; DROP TABLE header");
    all_say(&home, NEWER);
    // An extra table in a file of the current version is damage.
    change("PRAGMA user_version = 1; CREATE TABLE history (id INTEGER PRIMARY KEY, body BLOB)");
    all_say(&home, "corrupt: ~/vault/store.db is damaged: its tables are not ours");
}

#[test]
fn truncated_file_never_hides_secrets() {
    let home = Home::new();
    vault::fill(&mut *home.open(), &vault::dozen());
    let whole = fs::read(home.file()).unwrap();
    for len in (0..whole.len()).step_by(512).chain([1, 50, 99, 101, whole.len() - 1]) {
        home.put(&whole[..len]);
        // Only unused parts of the last page may be missing.
        right_or_damaged(&home, &format!("{len} bytes"), |name| {
            vault::dozen()[name].value.duplicate()
        });
        if len <= whole.len() - 4_096 {
            assert!(list(&mut *home.open(), 100).is_err(), "{len} bytes");
            assert!(verify(&mut *home.open()).is_err(), "{len} bytes");
            assert!(set(&mut *home.open(), "new", Value::text("canary")).is_err(), "{len} bytes");
        }
    }
}

/// Asserts that each of the dozen secrets has this value or is damaged, and that no list is
/// incomplete.
#[track_caller]
fn right_or_damaged(home: &Home, what: &str, value: impl Fn(&str) -> Value) {
    let damaged = |error: Error| {
        let kind = error.kind();
        assert!(matches!(kind, ErrorKind::Corrupt | ErrorKind::Invalid), "{what}: {error}");
    };
    let mut vault = home.open();
    for name in vault::dozen().keys() {
        match get(&mut *vault, name) {
            Ok(found) => assert_eq!(found.value, value(name), "{what}"),
            Err(error) => damaged(error),
        }
    }
    match list(&mut *vault, 5) {
        Ok(listed) => assert_eq!(listed.len(), 12, "{what}"),
        Err(error) => damaged(error),
    }
}

#[test]
fn zeroed_or_outdated_page_is_damage() {
    let home = Home::new();
    vault::fill(&mut *home.open(), &vault::dozen());
    let old = fs::read(home.file()).unwrap();
    for (name, _) in vault::dozen() {
        set(&mut *home.open(), &name, Value::text(format!("canary new {name}"))).unwrap();
    }
    let new = fs::read(home.file()).unwrap();
    let zeros = vec![0; new.len()];
    for page in 0..new.len() / 4_096 {
        let at = page * 4_096..(page + 1) * 4_096;
        for other in [&zeros, &old] {
            let mut mixed = new.clone();
            mixed[at.clone()].copy_from_slice(other.get(at.clone()).unwrap_or(&zeros[at.clone()]));
            home.put(&mixed);
            let new = |name: &str| Value::text(format!("canary new {name}"));
            right_or_damaged(&home, &format!("page {page}"), new);
        }
    }
}

pub(crate) const NOT_ITS_KEY: &str = "permission denied: the key file ~/keys/key does not open \
                                      this vault, and this vault has no password";

#[test]
fn wrong_or_missing_key_file_is_not_damage() {
    let home = with_a();
    let other = with_a();
    fs::copy(other.key(), home.key()).unwrap();
    all_open(&home, NOT_ITS_KEY);
    let mut key = Vec::new();
    File::open(home.key()).unwrap().read_to_end(&mut key).unwrap();
    fs::remove_file(home.key()).unwrap();
    all_open(
        &home,
        "unavailable: the key file ~/keys/key is not there, and this vault has no password",
    );
    assert!(!home.key().exists(), "a key was made that opens nothing");
    fs::write(home.key(), &key[..20]).unwrap();
    chmod(&home.key(), 0o600);
    all_open(&home, "invalid: the key file ~/keys/key has not between 32 and 4096 bytes");
    fs::write(home.key(), &key).unwrap();
    File::options().write(true).open(home.key()).unwrap().write_all_at(b"#", 9).unwrap();
    all_open(&home, NOT_ITS_KEY);
}

#[test]
fn missing_vault_with_key_file_is_error_until_written() {
    let home = with_a();
    fs::remove_dir_all(home.dir()).unwrap();
    let mut vault = home.open();
    let missing = "store.db is missing, although its key file";
    for error in [
        get(&mut *vault, "a").map(drop).unwrap_err(),
        list(&mut *vault, 9).map(drop).unwrap_err(),
        remove(&mut *vault, "a").unwrap_err(),
        vault.test(&TestRequest::new(amply())).map(drop).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert!(error.message().contains(missing), "{error}");
    }
    // A key file may exist before its vault.
    set(&mut *vault, "b", Value::text("canary")).unwrap();
    assert_eq!(list(&mut *vault, 9).unwrap().len(), 1);
}

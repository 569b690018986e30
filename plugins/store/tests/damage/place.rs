//! One file under several paths and users: shared, replaced, removed, restored.

use std::fs;
use std::os::unix::fs::{lchown, symlink};

use keystead_plugin_api::{ErrorKind, ParameterValue, Parameters, Value};

use crate::error::{NOT_ITS_KEY, all_say, told, with_a};
use crate::vault::{self, Home, act, chmod, get, list, open, set, verify};

/// Another user than the one who runs the test.
const STRANGER: u32 = 12_345;

fn text(text: &str) -> Value {
    Value::text(text)
}

#[test]
fn two_registrations_in_process_share_same_file() {
    let home = with_a();
    let link = home.path().join("link");
    symlink(home.dir(), &link).unwrap();
    let mut one = home.open();
    let mut two = open(&link, Some(&home.key()));
    for round in 0..20 {
        set(&mut *one, &format!("one {round}"), text("canary")).unwrap();
        assert_eq!(get(&mut *two, &format!("one {round}")).unwrap().value, text("canary"));
        set(&mut *two, "a", text(&format!("canary {round}"))).unwrap();
        assert_eq!(get(&mut *one, "a").unwrap().value, text(&format!("canary {round}")));
        // Closing one handle does not drop the other's lock.
        drop(std::mem::replace(&mut two, open(&link, Some(&home.key()))));
    }
    assert_eq!(list(&mut *two, 7).unwrap().len(), 21);
    verify(&mut *one).unwrap();
}

#[test]
fn concurrent_threads_creating_vault_lose_no_secret() {
    for _ in 0..6 {
        let home = Home::new();
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let home = &home;
                scope.spawn(move || {
                    for round in 0..6 {
                        let mut vault = home.open();
                        set(&mut *vault, &format!("{thread} {round}"), text("canary")).unwrap();
                    }
                });
            }
        });
        assert_eq!(list(&mut *home.open(), 10).unwrap().len(), 8 * 6);
        verify(&mut *home.open()).unwrap();
        let entries = fs::read_dir(home.dir()).unwrap();
        let names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        assert!(names.iter().all(|name| !name.to_str().unwrap().ends_with(".new")), "{names:?}");
    }
}

#[test]
fn file_or_dir_accessible_to_other_users_is_rejected() {
    let home = with_a();
    for (mode, shown) in [(0o644, "644"), (0o660, "660"), (0o602, "602")] {
        chmod(&home.file(), mode);
        let expected = format!(
            "permission denied: others may use ~/vault/store.db (mode {shown}): run `chmod 600 \
             ~/vault/store.db` if that is not meant"
        );
        all_say(&home, &expected);
    }
    chmod(&home.file(), 0o600);
    for (mode, shown) in [(0o755, "755"), (0o710, "710"), (0o701, "701")] {
        chmod(&home.dir(), mode);
        let expected = format!(
            "permission denied: others may use ~/vault (mode {shown}): run `chmod 700 ~/vault` \
             if that is not meant"
        );
        all_say(&home, &expected);
    }
    chmod(&home.dir(), 0o700);
    assert_eq!(get(&mut *home.open(), "a").unwrap().value, text("canary"));
}

#[test]
#[ignore = "needs root"]
fn file_or_dir_of_another_user_is_rejected_needs_root() {
    assert!(rustix::process::geteuid().is_root(), "this test gives files away: run it as root");
    let home = with_a();
    lchown(home.file(), Some(STRANGER), None).unwrap();
    let expected = |what: &str| {
        format!(
            "permission denied: {what} belongs to another user (number 12345): a vault is \
             opened by its owner alone"
        )
    };
    all_say(&home, &expected("~/vault/store.db"));
    lchown(home.file(), Some(0), None).unwrap();
    lchown(home.dir(), Some(STRANGER), None).unwrap();
    all_say(&home, &expected("~/vault"));
    lchown(home.dir(), Some(0), None).unwrap();
    lchown(home.key(), Some(STRANGER), None).unwrap();
    assert_eq!(told(&home, get(&mut *home.open(), "a")), expected("~/keys/key"));
    lchown(home.key(), Some(0), None).unwrap();
    assert_eq!(get(&mut *home.open(), "a").unwrap().value, text("canary"));
}

#[test]
fn hard_linked_file_is_rejected() {
    let home = with_a();
    let other = home.path().join("other");
    fs::hard_link(home.file(), &other).unwrap();
    all_say(&home, "permission denied: ~/vault/store.db has another name (a hard link)");
    fs::remove_file(&other).unwrap();
    assert_eq!(get(&mut *home.open(), "a").unwrap().value, text("canary"));
    // The same for a hard link made while the vault is open.
    let mut vault = home.open();
    get(&mut *vault, "a").unwrap();
    fs::hard_link(home.file(), &other).unwrap();
    let said = told(&home, set(&mut *vault, "b", text("canary")));
    assert_eq!(said, "permission denied: ~/vault/store.db has another name (a hard link)");
    fs::remove_file(&other).unwrap();
    set(&mut *vault, "b", text("canary")).unwrap();
}

#[test]
fn file_removed_under_open_vault_is_unavailable() {
    let home = with_a();
    let mut vault = home.open();
    get(&mut *vault, "a").unwrap();
    let away = home.path().join("away");
    fs::rename(home.file(), &away).unwrap();
    let gone = "unavailable: ~/vault/store.db is gone";
    assert_eq!(told(&home, get(&mut *vault, "a")), gone);
    assert_eq!(told(&home, list(&mut *vault, 5)), gone);
    assert_eq!(told(&home, set(&mut *vault, "b", text("canary"))), gone);
    assert_eq!(told(&home, vault::remove(&mut *vault, "a")), gone);
    assert!(!home.file().exists(), "another vault was made");
    fs::rename(&away, home.file()).unwrap();
    assert_eq!(get(&mut *vault, "a").unwrap().value, text("canary"));
}

#[test]
fn file_replaced_by_other_vault_is_not_opened_with_old_key() {
    let home = with_a();
    let mut vault = home.open();
    get(&mut *vault, "a").unwrap();
    let other = with_a();
    fs::rename(other.file(), home.file()).unwrap();
    assert_eq!(told(&home, get(&mut *vault, "a")), NOT_ITS_KEY);
    assert_eq!(told(&home, set(&mut *vault, "b", text("canary"))), NOT_ITS_KEY);
}

#[test]
fn open_vault_reads_restored_backup() {
    let home = with_a();
    let backup = home.path().join("backup.db");
    let mut vault = home.open();
    let mut parameters = Parameters::new();
    parameters.insert("to", ParameterValue::Text(backup.to_str().unwrap().to_owned()));
    act(&mut *vault, "backup", parameters).unwrap();
    let put_back: [&dyn Fn(); 2] = [
        // By a rename, as most programs write.
        &|| {
            fs::copy(&backup, home.path().join("new")).unwrap();
            fs::rename(home.path().join("new"), home.file()).unwrap();
        },
        // Into the file itself, as `cp` does.
        &|| {
            fs::copy(&backup, home.file()).unwrap();
        },
    ];
    for put_back in put_back {
        for round in 0..30 {
            set(&mut *vault, "a", text(&format!("canary {round}"))).unwrap();
            set(&mut *vault, &format!("later {round}"), vault::bytes(round, 3_000)).unwrap();
        }
        put_back();
        assert_eq!(get(&mut *vault, "a").unwrap().value, text("canary"));
        assert_eq!(get(&mut *vault, "later 3").unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(list(&mut *vault, 10).unwrap().len(), 1);
        set(&mut *vault, "b", text("canary b")).unwrap();
        verify(&mut *vault).unwrap();
        assert_eq!(get(&mut *home.open(), "b").unwrap().value, text("canary b"));
    }
}

//! Eight concurrent processes: all of them see each secret and each new vault.

use std::process::Stdio;

use keystead_plugin_api::Value;

use crate::child::{in_role, say};
use crate::vault::{Home, get, list, set, verify};

const PROCESSES: usize = 8;

/// Number of names of each process.
const NAMES: usize = 100;

/// Sets its own names, and a shared one, in a vault that may not exist yet.
pub(crate) fn write(home: &Home, process: &str) {
    let (process, names) = process.split_once(' ').unwrap();
    for number in 0..names.parse().unwrap() {
        // Opens the vault for each call, as commands do.
        let mut vault = home.open();
        let value = || Value::text(format!("canary {process} {number}"));
        set(&mut *vault, &format!("{process}/{number}"), value()).unwrap();
        if number % 2 == 0 {
            set(&mut *vault, "shared", value()).unwrap();
        }
    }
    say("done");
}

/// Runs eight writers at the same time.
fn eight(home: &Home, names: usize) {
    let start = |process: usize| {
        let mut command = in_role(&format!("many {process} {names}"), home);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let children: Vec<_> = (0..PROCESSES).map(start).collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains("\ndone\n"), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn concurrent_processes_creating_vault_lose_no_secret() {
    // The vault, its directory and its key file do not exist yet.
    let home = Home::new();
    eight(&home, NAMES);
    let mut vault = home.open();
    for process in 0..PROCESSES {
        for number in 0..NAMES {
            let found = get(&mut *vault, &format!("{process}/{number}")).unwrap();
            assert_eq!(found.value, Value::text(format!("canary {process} {number}")));
        }
    }
    // The last write of any process.
    let last = get(&mut *vault, "shared").unwrap().value;
    let lasts = |process| Value::text(format!("canary {process} {}", NAMES - 2));
    assert!((0..PROCESSES).any(|process| last == lasts(process)));
    assert_eq!(list(&mut *vault, 99).unwrap().len(), PROCESSES * NAMES + 1);
    verify(&mut *vault).unwrap();
    let mut names: Vec<_> = std::fs::read_dir(home.dir())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["store.db", "store.db-journal"], "something is left of making it");
    let mut beside: Vec<_> = std::fs::read_dir(home.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    beside.sort();
    assert_eq!(beside, ["keys", "vault"]);
}

#[test]
fn concurrent_vault_creation_never_reports_missing_file() {
    for _ in 0..12 {
        let home = Home::new();
        eight(&home, 2);
        assert_eq!(list(&mut *home.open(), 5).unwrap().len(), PROCESSES * 2 + 1);
        verify(&mut *home.open()).unwrap();
    }
}

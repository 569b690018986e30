//! A full disk, a file size limit, a read-only disk, a failing system call: the error reports it,
//! and no acknowledged secret is lost.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use keystead_plugin_api::{Error, ErrorKind, Result, TestRequest, Value, Vault};

use crate::child::{arguments, environment, say};
use crate::error::{is_not_made, told};
use crate::vault::{self, Home, bytes, chmod, get, list, set, verify};

/// A user without privileges, for tests that run as root.
const NOBODY: u32 = 65_534;

/// Unit of free space on a disk.
const PAGE: u64 = 4_096;

/// Secrets that the vault must contain.
type Known = BTreeMap<String, Value>;

/// Asserts that a vault contains exactly these secrets.
#[track_caller]
fn has_all(vault: &mut dyn Vault, known: &Known, what: &str) {
    for (name, value) in known {
        let found = get(vault, name).unwrap_or_else(|error| panic!("{what}: `{name}`: {error}"));
        assert_eq!(found.value, *value, "{what}: `{name}`");
    }
    let listed = list(vault, 10).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!(listed.keys().eq(known.keys()), "{what}: {:?}", listed.keys());
    verify(vault).unwrap_or_else(|error| panic!("{what}: {error}"));
}

/// Makes a vault grow, and updates the known secrets.
fn grow(vault: &mut dyn Vault, known: &mut Known, how: usize) -> Result<()> {
    match how {
        0 => {
            set(vault, "new", bytes(1, 9_000))?;
            known.insert("new".into(), bytes(1, 9_000));
        }
        1 => {
            set(vault, "b", bytes(2, 30_000))?;
            known.insert("b".into(), bytes(2, 30_000));
        }
        2 => {
            let requests = (0..40).map(|n| vault::setting(&format!("many {n}"), bytes(n, 500)));
            vault::set_many(vault, requests)?;
            known.extend((0..40).map(|n| (format!("many {n}"), bytes(n, 500))));
        }
        _ => {
            vault::remove(vault, "long")?;
            known.remove("long");
        }
    }
    Ok(())
}

/// Creates a vault with some secrets.
fn filled(home: &Home) -> Known {
    let known: Known =
        vault::dozen().into_iter().map(|(name, secret)| (name, secret.value)).collect();
    let requests = known.iter().map(|(name, value)| vault::setting(name, value.duplicate()));
    vault::set_many(&mut *home.open(), requests).unwrap();
    known
}

/// Leaves this number of pages free on a disk.
fn leave(ballast: &Path, pages: u64) {
    let mut file = File::create(ballast).unwrap();
    let page = [b'x'; PAGE as usize];
    while file.write_all(&page).is_ok() {}
    let len = file.metadata().unwrap().len();
    file.set_len(len / PAGE * PAGE - pages * PAGE).unwrap();
}

#[track_caller]
fn is_full(error: &Error, what: &str) {
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{what}: {error}");
    let said = error.message();
    let says = said.contains("is full") || said.contains("No space left on device");
    assert!(said.starts_with("cannot write /") && says, "{what}: {error}");
}

/// Writes to a vault on a small disk with different numbers of free pages.
pub(crate) fn on_a_small_disk(disk: &Home) {
    let ballast = disk.path().join("ballast");
    let mut refused = [0; 4];
    for (how, refused) in refused.iter_mut().enumerate() {
        for pages in 0..60 {
            let what = format!("{how} with {pages} pages left");
            let home = Home::at(disk.path().join("home"));
            fs::create_dir(home.path()).unwrap();
            let mut known = filled(&home);
            leave(&ballast, pages);
            let mut vault = home.open();
            let done = grow(&mut *vault, &mut known, how);
            if let Err(error) = &done {
                is_full(error, &what);
                *refused += 1;
            }
            // The failed vault handle and a new one both see the expected secrets.
            has_all(&mut *vault, &known, &what);
            has_all(&mut *home.open(), &known, &what);
            fs::remove_file(&ballast).unwrap();
            if done.is_err() {
                grow(&mut *vault, &mut known, how).unwrap();
            }
            has_all(&mut *home.open(), &known, &what);
            fs::remove_dir_all(home.path()).unwrap();
        }
    }
    // Each write failed with some sizes and succeeded with others.
    assert!(refused.iter().all(|count| (1..60).contains(count)), "{refused:?}");
    let mut refused = 0;
    for pages in 0..40 {
        let home = Home::at(disk.path().join("home"));
        fs::create_dir(home.path()).unwrap();
        leave(&ballast, pages);
        let made = set(&mut *home.open(), "a", Value::text("canary"));
        if let Err(error) = &made {
            is_full(error, &format!("to make a vault with {pages} pages left"));
            refused += 1;
            let error = get(&mut *home.open(), "a").unwrap_err();
            assert!(is_not_made(&error), "{pages}: {error}");
        }
        fs::remove_file(&ballast).unwrap();
        set(&mut *home.open(), "b", Value::text("canary b")).unwrap();
        let mut known = Known::from([("b".to_owned(), Value::text("canary b"))]);
        if made.is_ok() {
            known.insert("a".to_owned(), Value::text("canary"));
        }
        has_all(&mut *home.open(), &known, "a new vault");
        fs::remove_dir_all(home.path()).unwrap();
    }
    assert!((1..40).contains(&refused), "{refused}");
    say("done");
}

/// Runs a script in a separate namespace, which allows mounting without privileges. `"$@"` is this
/// test binary in a role.
fn in_namespace(script: &str, role: &str, home: &Home) -> Output {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "--", "/bin/sh", "-ec", script, "sh"]);
    in_role_through(command, role, home)
}

fn in_role_through(mut command: Command, role: &str, home: &Home) -> Output {
    let path = std::env::var_os("PATH").unwrap_or_default();
    command.arg(std::env::current_exe().unwrap()).args(arguments()).env_clear();
    command.env("PATH", path).envs(environment(role, home)).stdin(Stdio::null());
    command.output().unwrap()
}

#[track_caller]
fn is_done(output: &Output) {
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("\ndone\n"), "{said}\n{errors}");
}

#[test]
fn full_disk_during_write_loses_no_secret() {
    let home = Home::new();
    let mount = format!("mount -t tmpfs -o size=600k,mode=700 small {}", home.path().display());
    is_done(&in_namespace(&format!("{mount}; \"$@\""), "small-disk", &home));
}

/// Makes a vault grow under a file size limit, which the test has set.
pub(crate) fn under_a_limit(home: &Home, how: usize) {
    let mut vault = home.open();
    match grow(&mut *vault, &mut Known::new(), how) {
        Ok(()) => say("ack"),
        Err(error) => say(told::<()>(home, Err(error))),
    }
    // Reading needs no space, unless an interrupted write cannot be undone under the limit.
    if let Err(error) = verify(&mut *vault) {
        let said = told::<()>(home, Err(error));
        assert!(said.starts_with("unavailable: cannot write ~/vault/store.db: "), "{said}");
    }
    say("done");
}

#[test]
fn file_size_limit_during_write_loses_no_secret() {
    let sound = Home::new();
    let known = filled(&sound);
    let pages = fs::metadata(sound.file()).unwrap().len() / PAGE;
    let mut refused = 0;
    for how in 0..3 {
        for limit in (1..pages + 16).step_by(3) {
            let home = sound.copied();
            let mut shell = Command::new("/bin/sh");
            // In blocks of 512 bytes; the signal is ignored, so that the write fails.
            let script = format!("trap '' XFSZ; ulimit -f {}; exec \"$@\"", limit * 8 + 1);
            shell.args(["-ec", &script, "sh"]);
            let output = in_role_through(shell, &format!("limited {how}"), &home);
            is_done(&output);
            let said = String::from_utf8(output.stdout).unwrap();
            let mut known: Known =
                known.iter().map(|(name, value)| (name.clone(), value.duplicate())).collect();
            if said.contains("\nack\n") {
                let scratch = sound.copied();
                grow(&mut *scratch.open(), &mut known, how).unwrap();
            } else {
                let expected = "\nunavailable: cannot write ~/vault/store.db: the system refuses it; a \
                                quota, a limit on the size of files or a fault of the disk (disk I/O \
                                error)\n";
                assert!(said.contains(expected), "{said}");
                refused += 1;
            }
            has_all(&mut *home.open(), &known, &format!("{how} limited to {limit} pages"));
        }
    }
    assert!(refused > 5, "{refused}");
}

/// Reads a read-only vault, and reports the error of each write.
pub(crate) fn reading(home: &Home) {
    let mut vault = home.open();
    assert_eq!(get(&mut *vault, "text").unwrap().value, Value::text("canary"));
    assert_eq!(list(&mut *vault, 5).unwrap().len(), 12);
    verify(&mut *vault).unwrap();
    vault.test(&TestRequest::new(vault::amply())).unwrap();
    for how in 0..4 {
        say(told(home, grow(&mut *vault, &mut Known::new(), how)));
    }
    say(told(home, vault::set_metadata(&mut *vault, "text", vault::metadata("x"))));
    assert_eq!(get(&mut *vault, "text").unwrap().value, Value::text("canary"));
    say("done");
}

#[track_caller]
fn each_write_says(output: &Output, expected: &str) {
    is_done(output);
    let said = String::from_utf8_lossy(&output.stdout);
    let lines: Vec<&str> = said.lines().filter(|line| line.contains(": cannot ")).collect();
    assert_eq!(lines, [expected; 5], "{said}");
}

/// Returns a command that runs as an ordinary user, and makes that user the owner of the home.
fn as_ordinary(home: &Home) -> Command {
    if !rustix::process::geteuid().is_root() {
        return Command::new("env");
    }
    fn give(path: &Path) {
        std::os::unix::fs::lchown(path, Some(NOBODY), Some(NOBODY)).unwrap();
        if path.is_dir() {
            fs::read_dir(path).unwrap().for_each(|entry| give(&entry.unwrap().path()));
        }
    }
    give(home.path());
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]);
    command
}

/// Returns the bytes of a vault's file.
fn content(home: &Home) -> Vec<u8> {
    fs::read(home.file()).unwrap()
}

#[test]
fn read_only_dir_or_file_is_readable_and_rejects_writes() {
    for (dir, file, expected) in [
        (
            0o500,
            0o600,
            "permission denied: cannot write beside ~/vault/store.db: its directory may only be read",
        ),
        (0o700, 0o400, "permission denied: cannot write ~/vault/store.db: it may only be read"),
        (0o500, 0o400, "permission denied: cannot write ~/vault/store.db: it may only be read"),
    ] {
        let home = Home::new();
        filled(&home);
        // Like a backup: without an earlier journal.
        let _ = fs::remove_file(home.dir().join("store.db-journal"));
        chmod(&home.file(), file);
        chmod(&home.dir(), dir);
        let command = as_ordinary(&home);
        let before = content(&home);
        each_write_says(&in_role_through(command, "reading", &home), expected);
        assert_eq!(content(&home), before);
        chmod(&home.dir(), 0o700);
    }
}

#[test]
fn read_only_file_system_is_readable_and_rejects_writes() {
    let home = Home::new();
    filled(&home);
    let at = home.path().display();
    let script = format!("mount --bind {at} {at}; mount -o remount,ro,bind {at}; \"$@\"");
    let before = content(&home);
    let output = in_namespace(&script, "reading", &home);
    each_write_says(
        &output,
        "permission denied: cannot write ~/vault/store.db: it may only be read",
    );
    assert_eq!(content(&home), before);
}

#[test]
fn interrupted_write_in_read_only_dir_gives_no_wrong_secret() {
    let home = Home::new();
    filled(&home);
    let broken = broken_off(&home);
    chmod(&broken.dir(), 0o500);
    let command = as_ordinary(&broken);
    let output = in_role_through(command, "broken-off", &broken);
    is_done(&output);
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = said.lines().filter(|line| line.contains("~/vault/store.db"));
    assert!(errors.clone().all(|line| line.starts_with("unavailable: cannot write")), "{said}");
}

/// Returns a copy of a vault in the middle of a write: its file is partly changed.
fn broken_off(home: &Home) -> Home {
    let mut raw = rusqlite::Connection::open(home.file()).unwrap();
    raw.pragma_update(None, "cache_size", 1).unwrap();
    raw.pragma_update(None, "cache_spill", 1).unwrap();
    let transaction = raw.transaction().unwrap();
    transaction.execute("UPDATE value SET sealed = zeroblob(length(sealed))", []).unwrap();
    let copy = home.copied();
    let journal = |home: &Home| -> PathBuf { home.dir().join("store.db-journal") };
    fs::copy(journal(home), journal(&copy)).unwrap();
    chmod(&journal(&copy), 0o600);
    assert_eq!(fs::read(journal(&copy)).unwrap()[0], 0xd9, "the journal is not in force yet");
    copy
}

/// Reads a vault after an interrupted write that cannot be undone.
pub(crate) fn reading_broken_off(home: &Home) {
    let mut vault = home.open();
    for name in ["text", "a", "long"] {
        match get(&mut *vault, name) {
            Ok(found) => assert_eq!(found.value, vault::dozen()[name].value),
            Err(error) => say(told::<()>(home, Err(error))),
        }
    }
    say("done");
}

#[test]
fn interrupted_write_is_rolled_back_by_next_read() {
    let home = Home::new();
    let known = filled(&home);
    let broken = broken_off(&home);
    assert_ne!(content(&broken), content(&Home::at(home.path().to_owned())), "nothing was changed");
    has_all(&mut *broken.open(), &known, "broken off");
}

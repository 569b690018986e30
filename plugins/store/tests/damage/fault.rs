//! System calls that fail in the middle of a write, once or from then on. The error reports it, and
//! each secret is the old one or the new one.

use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use keystead_plugin_api::{ErrorKind, Value};

use crate::child::{arguments, environment, say};
use crate::error::told;
use crate::vault::{self, Home, bytes, get, list, set, verify};

/// Old value of a secret, some pages long.
fn old(number: usize) -> Value {
    bytes(number, 6_000)
}

fn new(number: usize) -> Value {
    bytes(100 + number, 7_000)
}

const SECRETS: usize = 4;

/// Replaces the secrets one after another, and reports the result of each.
pub(crate) fn write(home: &Home) {
    let mut vault = home.open();
    for number in 0..SECRETS {
        match set(&mut *vault, &format!("s{number}"), new(number)) {
            Ok(()) => say(format_args!("ack {number}")),
            Err(error) => say(told::<()>(home, Err(error))),
        }
    }
    say("done");
}

fn with_old() -> Home {
    let home = Home::new();
    for number in 0..SECRETS {
        set(&mut *home.open(), &format!("s{number}"), old(number)).unwrap();
    }
    home
}

/// Runs the writer while the system refuses some calls, and returns whether it refused any.
fn refusing(home: &Home, rule: &str) -> bool {
    let strace = std::env::var_os("KEYSTEAD_TEST_STRACE")
        .expect("`KEYSTEAD_TEST_STRACE` is the path of strace");
    let output = Command::new(strace)
        .args(["-f", "-o", "/dev/null", "--seccomp-bpf", "-e"])
        .arg(format!("inject={rule}"))
        .arg(std::env::current_exe().unwrap())
        .args(arguments())
        .env_clear()
        .envs(environment("refused", home))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("\ndone\n"), "{rule}: {said}\n{errors}");
    let mut refused = false;
    let mut vault = home.open();
    for number in 0..SECRETS {
        let found = get(&mut *vault, &format!("s{number}")).unwrap().value;
        match said.contains(&format!("\nack {number}\n")) {
            true => assert_eq!(found, new(number), "{rule}: {number} was acknowledged"),
            false => {
                assert!(found == old(number) || found == new(number), "{rule}: {number}");
                refused = true;
            }
        }
    }
    for line in said.lines().filter(|line| line.contains("~/")) {
        let told = line.starts_with("unavailable: cannot ")
            || line.starts_with("permission denied: cannot ");
        assert!(told, "{rule}: {line}");
    }
    assert_eq!(list(&mut *vault, 3).unwrap().len(), SECRETS, "{rule}");
    verify(&mut *vault).unwrap_or_else(|error| panic!("{rule}: {error}"));
    set(&mut *vault, "later", Value::text("canary")).unwrap();
    refused
}

#[test]
#[ignore = "needs strace"]
fn failed_system_calls_lose_no_secret_needs_strace() {
    let mut rules = Vec::new();
    for (call, errors, calls) in [
        ("pwrite64", &["EDQUOT", "EIO", "ENOSPC"][..], 32),
        ("fsync", &["EIO"], 20),
        ("ftruncate", &["EIO"], 4),
        ("openat", &["EMFILE"], 0),
    ] {
        for error in errors {
            for first in (1..=calls).step_by(2) {
                for from_then_on in ["", "+"] {
                    rules.push(format!("{call}:error={error}:when={first}{from_then_on}"));
                }
            }
        }
    }
    let (next, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let work = || {
        while let Some(rule) = rules.get(next.fetch_add(1, Ordering::Relaxed)) {
            refused.fetch_add(usize::from(refusing(&with_old(), rule)), Ordering::Relaxed);
        }
    };
    std::thread::scope(|scope| (0..2).for_each(|_| drop(scope.spawn(work))));
    let refused = refused.into_inner();
    println!("{} rules, {refused} refused something", rules.len());
    assert!(refused > rules.len() / 2, "{refused} of {}", rules.len());
}

/// Closes all files of this process but standard input and outputs.
fn close_all() -> usize {
    let open = std::fs::read_dir("/proc/self/fd").unwrap();
    let numbers: Vec<i32> =
        open.map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().unwrap()).collect();
    numbers.into_iter().filter(|number| *number > 2 && nix::unistd::close(*number).is_ok()).count()
}

/// Uses a vault whose file other code in this process closes.
pub(crate) fn closed(home: &Home) {
    let mut vault = home.open();
    let value = |text: &str| Value::text(format!("canary {text}"));
    set(&mut *vault, "a", value("a")).unwrap();
    // The file's descriptor is unused now.
    assert!(close_all() > 0, "nothing was open");
    assert_eq!(get(&mut *vault, "a").unwrap().value, value("a"));
    close_all();
    set(&mut *vault, "b", value("b")).unwrap();
    close_all();
    vault::remove(&mut *vault, "b").unwrap();
    assert_eq!(list(&mut *vault, 5).unwrap().len(), 1);
    // The descriptor belongs to another file, which is neither written to nor closed.
    for (turn, text) in ["", "x", "some text\n"].into_iter().enumerate() {
        for content in [text.as_bytes().to_vec(), std::fs::read(home.file()).unwrap()] {
            close_all();
            let paths = [0, 1, 2, 3].map(|number| home.path().join(format!("other{turn}{number}")));
            let others = paths.clone().map(|path| {
                std::fs::write(&path, &content).unwrap();
                std::fs::File::options().read(true).write(true).open(path).unwrap()
            });
            set(&mut *vault, "b", value(&format!("b {turn}"))).unwrap();
            assert_eq!(get(&mut *vault, "a").unwrap().value, value("a"));
            drop(std::mem::replace(&mut vault, home.open()));
            assert_eq!(get(&mut *vault, "b").unwrap().value, value(&format!("b {turn}")));
            for (path, other) in paths.iter().zip(&others) {
                let number = other.metadata().unwrap().ino();
                assert_eq!(number, std::fs::metadata(path).unwrap().ino(), "it was closed");
                assert_eq!(std::fs::read(path).unwrap(), content, "it was written to");
            }
            // Only their opener closes the other files.
            drop(others);
        }
    }
    verify(&mut *vault).unwrap();
    assert_eq!(get(&mut *vault, "c").unwrap_err().kind(), ErrorKind::NotFound);
    say("done");
}

#[test]
fn externally_closed_file_is_reopened_safely() {
    let home = Home::new();
    let output = crate::child::in_role("closed", &home).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("\ndone\n") && output.status.success(), "{said}\n{errors}");
    let mut vault = home.open();
    assert_eq!(get(&mut *vault, "b").unwrap().value, Value::text("canary b 2"));
    verify(&mut *vault).unwrap();
}

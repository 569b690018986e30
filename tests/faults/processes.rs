//! Eight processes at once on one vault's file. Every acknowledged secret is in the vault and
//! complete, and no other.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::thread;

use crate::cli::sandbox::{CANARY, Sandbox};

const PROCESSES: usize = 8;

/// Number of commands that each of the eight processes runs, one after another.
const ROUNDS: usize = 12;

/// Runs eight lines of commands at the same time, each command with an input value. Returns the
/// exit codes of each line.
fn at_once(command: impl Fn(usize, usize) -> (Command, String) + Sync) -> Vec<Vec<i32>> {
    let line = |process: usize| {
        let rounds = (0..ROUNDS).map(|round| {
            let (mut command, value) = command(process, round);
            let mut child = command
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            std::io::Write::write_all(&mut child.stdin.take().unwrap(), value.as_bytes()).unwrap();
            let output = child.wait_with_output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(!said.contains(CANARY), "{said}");
            output.status.code().unwrap_or_else(|| panic!("it was killed: {said}"))
        });
        rounds.collect()
    };
    thread::scope(|scope| {
        let lines: Vec<_> =
            (0..PROCESSES).map(|process| scope.spawn(move || line(process))).collect();
        lines.into_iter().map(|line| line.join().unwrap()).collect()
    })
}

/// Returns all secrets of the vault `work`.
fn all(sandbox: &Sandbox) -> BTreeMap<String, String> {
    let listed = String::from_utf8(sandbox.run("list", &[]).succeeds().to_vec()).unwrap();
    let names = listed.lines().map(|line| line.split('\t').next().unwrap().to_owned());
    names
        .map(|name| {
            let value = sandbox.run(&format!("get {name}"), &[]).succeeds().to_vec();
            (name, String::from_utf8(value).unwrap())
        })
        .collect()
}

#[test]
fn parallel_sets_lose_nothing() {
    let sandbox = Sandbox::with_work();
    let value = |process: usize, round: usize| format!("{CANARY}-{process}-{round}");
    let codes = at_once(|process, round| {
        // Separate names, and one shared name.
        let name = if round % 3 == 2 { "shared".to_owned() } else { format!("n{process}-{round}") };
        (sandbox.command("set --stdin --quiet --timeout 5m", &[&name]), value(process, round))
    });
    assert!(codes.iter().flatten().all(|code| *code == 0), "{codes:?}");
    let mut found = all(&sandbox);
    let shared = found.remove("shared").unwrap();
    let mut expected = BTreeMap::new();
    let mut last = Vec::new();
    for process in 0..PROCESSES {
        for round in 0..ROUNDS {
            match round % 3 {
                2 => last.push(value(process, round)),
                _ => drop(expected.insert(format!("n{process}-{round}"), value(process, round))),
            }
        }
    }
    assert_eq!(found, expected);
    assert!(last.contains(&shared), "nobody wrote that");
    sandbox.check_files();
}

#[test]
fn parallel_no_clobber_sets_succeed_only_once() {
    let sandbox = Sandbox::with_work();
    let codes = at_once(|process, round| {
        let name = format!("n{round}");
        let command = sandbox.command("set --stdin --no-clobber --timeout 5m", &[&name]);
        (command, format!("{CANARY}-{process}"))
    });
    let found = all(&sandbox);
    for round in 0..ROUNDS {
        let winners: Vec<usize> = (0..PROCESSES).filter(|&p| codes[p][round] == 0).collect();
        assert_eq!(winners.len(), 1, "round {round}: {codes:?}");
        assert_eq!(found[&format!("n{round}")], format!("{CANARY}-{}", winners[0]));
    }
    assert!(codes.iter().flatten().all(|code| [0, 1].contains(code)), "{codes:?}");
}

#[test]
fn parallel_removes_delete_only_named_secrets() {
    let sandbox = Sandbox::with_work();
    for round in 0..ROUNDS {
        for name in [format!("shared{round}"), format!("kept{round}")] {
            sandbox.feed(CANARY, &format!("set {name} --stdin --quiet")).succeeds();
        }
    }
    let codes = at_once(|_, round| {
        (sandbox.command("remove --timeout 5m", &[&format!("shared{round}")]), String::new())
    });
    for round in 0..ROUNDS {
        let removed = codes.iter().filter(|line| line[round] == 0).count();
        let missed = codes.iter().filter(|line| line[round] == 3).count();
        assert_eq!((removed, missed), (1, PROCESSES - 1), "round {round}: {codes:?}");
    }
    let left: Vec<String> = all(&sandbox).into_keys().collect();
    let mut expected: Vec<String> = (0..ROUNDS).map(|round| format!("kept{round}")).collect();
    expected.sort();
    assert_eq!(left, expected);
}

/// Returns a home with the vaults `work`, which has these secrets, and `home`, empty.
fn two_vaults(names: &[&str]) -> Sandbox {
    let sandbox = Sandbox::with_work();
    sandbox.run("vault register home --plugin memory --param file=home.secrets", &[]).succeeds();
    for name in names {
        sandbox.feed(format!("{CANARY}-{name}"), &format!("set {name} --stdin -q")).succeeds();
    }
    sandbox
}

/// Returns whether the vault has the secret, and checks that its value is complete.
fn has(sandbox: &Sandbox, vault: &str, name: &str) -> bool {
    let got = sandbox.run(&format!("get {name} -V {vault}"), &[]);
    match got.status {
        0 => assert_eq!(got.stdout, format!("{CANARY}-{name}").as_bytes()),
        _ => drop(got.ends_with(3)),
    }
    got.status == 0
}

#[test]
fn parallel_copies_of_same_secrets_lose_nothing() {
    let names = ["a", "b", "c"];
    let sandbox = two_vaults(&names);
    let codes = at_once(|_, round| {
        if round == ROUNDS / 2 {
            return (sandbox.command("remove b -V home --timeout 5m", &[]), String::new());
        }
        let words = "copy ? --from work --to home --quiet --timeout 5m";
        (sandbox.command(words, &[]), String::new())
    });
    for line in codes {
        for (round, code) in line.into_iter().enumerate() {
            // A late `remove` finds no secret. A copy that reads back a secret which another
            // process removed reports this.
            assert!([0, 3, 5].contains(&code), "round {round}: {code}");
        }
    }
    for name in names {
        assert!(has(&sandbox, "work", name) && has(&sandbox, "home", name), "{name}");
    }
}

#[test]
fn parallel_moves_in_both_directions_lose_nothing() {
    let names = ["a", "b", "c", "d"];
    let sandbox = two_vaults(&names);
    let codes = at_once(|process, round| {
        let (from, to) =
            if (process + round) % 2 == 0 { ("work", "home") } else { ("home", "work") };
        let words = format!("move ? --from {from} --to {to} --quiet --timeout 5m");
        (sandbox.command(&words, &[]), String::new())
    });
    // Moved; put back, or moved by another process before the read-back; no secret to move; or some
    // secrets moved away before they were read.
    assert!(codes.iter().flatten().all(|code| [0, 1, 3, 5].contains(code)), "{codes:?}");
    for name in names {
        assert!(has(&sandbox, "work", name) || has(&sandbox, "home", name), "{name}: {codes:?}");
    }
}

//! Permissions of a plugin that is not installed in `plugin test`, and what the test leaves behind.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::prompt::{at_terminal, end};
use super::sandbox::{Sandbox, plugin as memory};
use crate::plugin_files::plugin;

fn file() -> &'static str {
    memory().to_str().unwrap()
}

fn entries(sandbox: &Sandbox, dir: &str) -> usize {
    std::fs::read_dir(sandbox.root().join(dir)).unwrap().count()
}

#[test]
fn plugin_test_confines_file_to_temporary_dir_and_grants() {
    let sandbox = Sandbox::empty();
    let relative = "plugin test --many 20 --param file=below/{vault}.secrets";
    let answer = sandbox.run(relative, &[file()]);
    answer.succeeds();
    let shown = "Plugin `memory` is tested isolated:\n  may read and write files under ";
    let shown = answer.stderr.strip_prefix(shown).unwrap_or_else(|| panic!("{answer}"));
    let own = sandbox.root().join("tmp/keystead-test-");
    assert!(shown.starts_with(own.to_str().unwrap()), "{answer}");
    for dir in ["tmp", "here", "home"] {
        assert_eq!(entries(&sandbox, dir), 0, "{dir}");
    }

    let outside = format!("file={}", sandbox.here("{vault}.secrets").display());
    let words = "plugin test --many 20 --param";
    let answer = sandbox.run(words, &[&outside, file()]);
    assert!(answer.ends_with(1).stderr.contains("E07.not-granted"), "{answer}");
    assert!(answer.stderr.contains("Hint: add `--grant 'files:"), "{answer}");
    assert_eq!((entries(&sandbox, "here"), entries(&sandbox, "tmp")), (0, 0));

    let grant = format!("files:{}/:rw", sandbox.here("").display());
    let answer = sandbox.run(words, &[&outside, "--grant", &grant, file()]);
    answer.succeeds();
    assert!(answer.stderr.contains("/here\n"), "{answer}");
    assert_eq!(entries(&sandbox, "tmp"), 0);
}

#[test]
fn plugin_test_resolves_references_from_current_dir() {
    let sandbox = Sandbox::empty();
    std::fs::write(sandbox.here("password.txt"), "a password\n").unwrap();
    let words = "plugin test --many 20 --param file={vault}.secrets --param locked=file:password.txt \
                 --unlock password=file:password.txt";
    let answer = sandbox.run(words, &[file()]);
    answer.succeeds();
    assert_eq!((entries(&sandbox, "tmp"), entries(&sandbox, "here")), (0, 1));
}

#[test]
fn plugin_test_shows_progress_only_on_terminal() {
    let sandbox = Sandbox::empty();
    let words = "plugin test --many 20 --param file={vault}.secrets";
    let mut command = sandbox.command(words, &[file()]);
    command.env("TERM", "xterm");
    let (shown, code) = end(at_terminal(command));
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("list-all: kept, tried with 20 secrets\n"), "{shown}");
    let all = keystead::api::testing::obligations().count();
    assert!(shown.contains(&format!("/{all}, ")), "{shown}");

    let answer = sandbox.run(words, &[file(), "--json"]);
    let json = String::from_utf8(answer.succeeds().to_vec()).unwrap();
    let expected = r#"{"schema":1,"obligation":"list-all","outcome":"kept","tried":20}"#;
    assert!(json.lines().any(|line| line == expected), "{json}");
    assert!(!answer.stderr.contains(&format!("/{all}, ")), "{answer}");
}

#[test]
fn plugin_test_of_slow_vault_reports_untried_and_exits_5() {
    let sandbox = Sandbox::empty();
    let slow = plugin("slow");
    // Ten calls take at least ten seconds, and there are more than ten obligations.
    let words = "plugin test --param wait=1000";
    let answer = sandbox.run(words, &[slow.to_str().unwrap(), "--json"]);
    let json = String::from_utf8_lossy(&answer.ends_with(5).stdout);
    let left = r#"{"schema":1,"obligation":"no-secret-in-error","outcome":"not tried"}"#;
    assert!(json.lines().any(|line| line == left), "{answer}");
    assert!(answer.stderr.contains("add `--all` to try every obligation"), "{answer}");
}

#[test]
fn plugin_test_rejects_invalid_grant_and_keystead_dirs() {
    let sandbox = Sandbox::installed();
    for wrong in ["moon", "files:here:rw", "files:{file}:rw", "env:LD_PRELOAD"] {
        sandbox.run("plugin test --grant", &[wrong, file()]).ends_with(2);
    }
    let config = sandbox.root().join("home/.local/share/keystead/pins.d");
    let parameter = format!("file={}/x", config.display());
    let grant = format!("files:{}/:rw", config.display());
    let more = [&parameter, "--grant", &grant, file()];
    let answer = sandbox.run("plugin test --param", &more);
    assert!(answer.ends_with(1).stderr.contains("E07.own-folder"), "{answer}");
}

/// Returns whether a process has a handler for this signal.
fn catches(pid: u32, signal: rustix::process::Signal) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
    let caught = u64::from_str_radix(caught.trim(), 16).unwrap();
    caught & 1 << (signal.as_raw() - 1) != 0
}

/// Returns this command with default signal handling, as an interactive shell starts it.
fn as_by_a_shell(command: &Command) -> Command {
    let mut with_signals = Command::new("/usr/bin/env");
    with_signals.arg("--default-signal").arg(command.get_program()).args(command.get_args());
    with_signals.env_clear().current_dir(command.get_current_dir().unwrap());
    with_signals.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    with_signals
}

#[test]
fn interrupted_plugin_test_removes_its_secrets() {
    let sandbox = Sandbox::empty();
    let kept = sandbox.here("kept.secrets");
    let grant = format!("files:{}/:rw", sandbox.here("").display());
    let parameter = format!("file={}", kept.display());
    let words = ["--param", &parameter, "--grant", &grant, file()];
    let mut command = as_by_a_shell(&sandbox.command("plugin test --many 100000", &words));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    // The file contains the names in hexadecimal digits.
    let prefix: String =
        keystead::api::testing::NAME_PREFIX.bytes().map(|byte| format!("{byte:02x}")).collect();
    let ours = || std::fs::read_to_string(&kept).unwrap_or_default().matches(&prefix).count();
    let until = Instant::now() + Duration::from_secs(60);
    while ours() < 8 {
        assert!(Instant::now() < until, "nothing is written");
        std::thread::sleep(Duration::from_millis(5));
    }
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.signal(), Some(rustix::process::Signal::INT.as_raw()));
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(!said.contains("Stopped."), "the check has not ended: {said}");
    // The command reports secrets that it cannot remove in time on a busy machine.
    let reported = said.contains(" secrets whose names begin with");
    assert!(ours() == 0 || reported, "{said}");
    assert_eq!(entries(&sandbox, "tmp"), 0);
}

#[test]
fn interrupted_plugin_test_removes_temporary_dir() {
    let sandbox = Sandbox::empty();
    let hangs = plugin("hangs");
    let [int, term] = [rustix::process::Signal::INT, rustix::process::Signal::TERM];
    // Two different signals: two equal ones may arrive as one.
    for [first, second] in [[term, int], [int, term]] {
        let mut command =
            as_by_a_shell(&sandbox.command("plugin test", &[hangs.to_str().unwrap()]));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        let until = Instant::now() + Duration::from_secs(60);
        while entries(&sandbox, "tmp") == 0 {
            assert!(Instant::now() < until, "there is no directory");
            std::thread::sleep(Duration::from_millis(5));
        }
        let pid = rustix::process::Pid::from_child(&child);
        while !(catches(child.id(), first) && catches(child.id(), second)) {
            assert!(Instant::now() < until, "nothing catches the signal");
            std::thread::sleep(Duration::from_millis(5));
        }
        // The vault hangs, so the check may not end; the second signal ends it.
        for signal in [first, second] {
            rustix::process::kill_process(pid, signal).unwrap();
        }
        let ended = child.wait_with_output().unwrap();
        let by = ended.status.signal();
        assert!([first, second].iter().any(|signal| by == Some(signal.as_raw())), "{by:?}");
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(said.contains("Stopped. Secrets whose names begin with `keystead-"), "{said}");
        assert_eq!(entries(&sandbox, "tmp"), 0);
    }
}

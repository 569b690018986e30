//! What happens at a terminal: questions, hidden input, and a terminal left as it was.

use std::process::Command;

use rexpect::process::WaitStatus;
use rexpect::session::{PtySession, spawn_command};

use super::sandbox::{CANARY, Sandbox, plugin};

/// How long a prompt may take: a machine that builds besides is slow.
const PATIENCE: Option<u64> = Some(30_000);

/// Starts a command at a terminal that shows what is typed, as people's terminals do.
pub(super) fn at_terminal(command: Command) -> PtySession {
    let mut shell = Command::new("sh");
    shell.args(["-c", "stty echo && exec \"$0\" \"$@\""]).env_clear();
    shell.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        shell.env(name, value.unwrap());
    }
    shell.current_dir(command.get_current_dir().unwrap());
    spawn_command(shell, PATIENCE).unwrap()
}

/// Waits for the end and returns the rest of what was shown, and the exit code.
pub(super) fn end(mut session: PtySession) -> (String, i32) {
    let rest = session.exp_eof().unwrap();
    match session.process().wait().unwrap() {
        WaitStatus::Exited(_, code) => (rest.replace('\r', ""), code),
        other => panic!("{other:?}: {rest}"),
    }
}

fn locked() -> Sandbox {
    let sandbox = Sandbox::installed();
    std::fs::write(sandbox.here("pass.given"), CANARY).unwrap();
    let words = "vault register safe --plugin memory --param file=safe.secrets \
                 --param locked=file:pass.given";
    sandbox.run(words, &[]).succeeds();
    sandbox
}

#[test]
fn set_asks_twice_and_shows_nothing() {
    let sandbox = Sandbox::with_work();
    let mut session = at_terminal(sandbox.command("set a", &[]));
    session.exp_string("Value of `a`: ").unwrap();
    session.send_line(&format!("{CANARY} typed")).unwrap();
    let between = session.exp_string("Once more: ").unwrap();
    assert!(!between.contains(CANARY), "{between}");
    session.send_line(&format!("{CANARY} typed")).unwrap();
    let (rest, code) = end(session);
    assert!(!rest.contains(CANARY), "{rest}");
    assert!(rest.contains("Set `a` in vault `work`."), "{rest}");
    assert_eq!(code, 0);
    assert_eq!(sandbox.run("get a", &[]).succeeds(), format!("{CANARY} typed").as_bytes());
    sandbox.check_files();
}

#[test]
fn set_writes_nothing_when_the_second_time_differs() {
    let sandbox = Sandbox::with_work();
    let mut session = at_terminal(sandbox.command("set a", &[]));
    session.exp_string("Value of `a`: ").unwrap();
    session.send_line("one").unwrap();
    session.exp_string("Once more: ").unwrap();
    session.send_line("two").unwrap();
    let (rest, code) = end(session);
    assert!(rest.contains("Error: What was typed differs; nothing was changed"), "{rest}");
    assert_eq!(code, 1);
    sandbox.run("get a", &[]).ends_with(3);
}

#[test]
fn a_credential_asks_for_the_user_name_openly() {
    let sandbox = Sandbox::with_work();
    let mut session = at_terminal(sandbox.command("set db --kind credential", &[]));
    session.exp_string("User name: ").unwrap();
    session.send_line("bob").unwrap();
    session.exp_string("bob").unwrap();
    session.exp_string("Password of `db`: ").unwrap();
    session.send_line(CANARY).unwrap();
    session.exp_string("Once more: ").unwrap();
    session.send_line(CANARY).unwrap();
    assert_eq!(end(session).1, 0);
    assert_eq!(sandbox.run("get db --field user", &[]).succeeds(), b"bob");
}

#[test]
fn a_locked_vault_asks_and_no_command_line_shows_the_answer() {
    let sandbox = locked();
    let mut session = at_terminal(sandbox.command("list", &[]));
    session.exp_string("Vault `safe` is locked.").unwrap();
    session.exp_string("Password: ").unwrap();
    // While it waits: neither the command nor its runner has the secret where others can read.
    for entry in std::fs::read_dir("/proc").unwrap() {
        if let Ok(line) = std::fs::read(entry.unwrap().path().join("cmdline")) {
            assert!(!String::from_utf8_lossy(&line).contains(CANARY));
        }
    }
    session.send_line(CANARY).unwrap();
    let (rest, code) = end(session);
    assert!(!rest.contains(CANARY), "{rest}");
    assert_eq!(code, 0, "{rest}");
    sandbox.check_files();
}

#[test]
fn a_wrong_password_is_asked_for_again_and_then_no_more() {
    let sandbox = locked();
    let mut session = at_terminal(sandbox.command("get a -V safe", &[]));
    for _ in 0..2 {
        session.exp_string("Password: ").unwrap();
        session.send_line("wrong").unwrap();
        session.exp_string("the password is wrong").unwrap();
    }
    session.exp_string("Password: ").unwrap();
    session.send_line("wrong").unwrap();
    let (rest, code) = end(session);
    assert!(rest.contains("Error: Vault `safe` answered: the password is wrong"), "{rest}");
    assert_eq!(code, 1);

    let mut session = at_terminal(sandbox.command("get nosuch -V safe", &[]));
    session.exp_string("Password: ").unwrap();
    session.send_line("wrong").unwrap();
    session.exp_string("Password: ").unwrap();
    session.send_line(CANARY).unwrap();
    let (rest, code) = end(session);
    assert_eq!(code, 3, "{rest}");
}

#[test]
fn an_answer_is_for_the_person_and_the_rest_for_the_pipe() {
    let sandbox = locked();
    let program = env!("CARGO_BIN_EXE_keystead");
    let mut shell = sandbox.command("", &[]);
    let script = format!("{program} set a --stdin < pass.given && {program} get a > out.given");
    let mut command = Command::new("sh");
    command.arg("-c").arg(script).env_clear().current_dir(sandbox.root().join("here"));
    for (name, value) in shell.get_envs() {
        command.env(name, value.unwrap());
    }
    shell.stdin(std::process::Stdio::null());
    let mut session = at_terminal(command);
    for _ in 0..2 {
        session.exp_string("Password: ").unwrap();
        session.send_line(CANARY).unwrap();
    }
    let (rest, code) = end(session);
    assert_eq!(code, 0, "{rest}");
    assert_eq!(std::fs::read(sandbox.here("out.given")).unwrap(), CANARY.as_bytes());
}

#[test]
fn breaking_off_leaves_the_terminal_as_it_was() {
    let sandbox = locked();
    let program = env!("CARGO_BIN_EXE_keystead");
    let script = format!(
        "before=$(stty -g); {program} get a -V safe; echo code $?; \
                          test \"$before\" = \"$(stty -g)\" && echo the same"
    );
    let mut command = Command::new("sh");
    command.arg("-c").arg(script).env_clear().current_dir(sandbox.root().join("here"));
    for (name, value) in sandbox.command("", &[]).get_envs() {
        command.env(name, value.unwrap());
    }
    let mut session = at_terminal(command);
    session.exp_string("Password: ").unwrap();
    session.send_control('c').unwrap();
    let (rest, _) = end(session);
    assert!(rest.contains("unlocking was broken off"), "{rest}");
    assert!(rest.contains("code 1\n"), "{rest}");
    assert!(rest.contains("the same"), "{rest}");
}

#[test]
fn no_input_asks_nobody_even_at_a_terminal() {
    let sandbox = locked();
    let session = at_terminal(sandbox.command("get a -V safe --no-input", &[]));
    let (rest, code) = end(session);
    assert!(rest.contains("--unlock password=env:VAR"), "{rest}");
    assert_eq!(code, 4);
}

#[test]
fn installing_asks_and_no_means_no() {
    let sandbox = Sandbox::empty();
    for (answer, code) in [("n", 1), ("", 1), ("yes", 0)] {
        let mut session =
            at_terminal(sandbox.command("plugin install -q", &[plugin().to_str().unwrap()]));
        session.exp_string("may read and write files under {file}").unwrap();
        session.exp_string("Install plugin `memory`? [y/N]: ").unwrap();
        session.send_line(answer).unwrap();
        assert_eq!(end(session).1, code);
    }
    sandbox.run("plugin verify memory", &[]).succeeds();
}

#[test]
fn a_terminal_gets_a_newline_and_nothing_it_would_obey() {
    let sandbox = Sandbox::with_work();
    sandbox.feed("plain", "set a --stdin").succeeds();
    sandbox.feed("\u{1b}]0;owned\u{7}", "set escape --stdin").succeeds();
    sandbox.feed([0xff], "set bytes --kind bytes --stdin").succeeds();
    let (shown, code) = end(at_terminal(sandbox.command("get a", &[])));
    assert!(shown.ends_with("plain\n"), "{shown:?}");
    assert_eq!(code, 0);
    for name in ["escape", "bytes"] {
        let (shown, code) = end(at_terminal(sandbox.command("get", &[name])));
        assert!(shown.contains("is not fit for a terminal"), "{shown:?}");
        assert!(!shown.contains("owned"), "{shown:?}");
        assert_eq!(code, 1);
    }
    let (shown, code) = end(at_terminal(sandbox.command("list", &[])));
    assert!(shown.contains("NAME"), "{shown:?}");
    assert_eq!(code, 0);
}

#[test]
fn whoever_waits_is_told_for_what() {
    let sandbox = Sandbox::empty();
    let file = crate::plugin_files::plugin("hangs");
    sandbox.run("plugin install --yes", &[file.to_str().unwrap()]).succeeds();
    sandbox.run("vault register slow --plugin hangs", &[]).succeeds();
    let (shown, code) = end(at_terminal(sandbox.command("get a --timeout 3s", &["-V", "slow"])));
    assert!(shown.contains("Waiting for vault `slow` (plugin `hangs`)...\n"), "{shown}");
    assert_eq!(code, 1, "{shown}");
    let (shown, _) = end(at_terminal(sandbox.command("get a -q --timeout 3s", &["-V", "slow"])));
    assert!(!shown.contains("Waiting"), "{shown}");
}

#[test]
fn replacing_several_asks_and_no_changes_nothing() {
    let sandbox = Sandbox::with_work();
    sandbox.run("vault register home --plugin memory --param file=home.secrets", &[]).succeeds();
    for name in ["a", "b"] {
        sandbox.feed(CANARY, &format!("set {name} --stdin")).succeeds();
        sandbox.feed("other", &format!("set {name} -V home --stdin")).succeeds();
    }
    for (answer, said, expected) in [
        ("n", "Error: Nothing was changed", (1, &b"other"[..])),
        (
            "yes",
            "Moved 2 secrets from vault `work` to vault `home`, 2 replaced.",
            (0, CANARY.as_bytes()),
        ),
    ] {
        let words = "move * --from work --to home --replace";
        let mut session = at_terminal(sandbox.command(words, &[]));
        session.exp_string("Replace 2 secrets in vault `home`? [y/N]: ").unwrap();
        session.send_line(answer).unwrap();
        let (rest, code) = end(session);
        assert!(rest.contains(said), "{rest}");
        assert_eq!((code, sandbox.run("get a -V home", &[]).succeeds()), expected);
    }
    sandbox.run("get a -V work", &[]).ends_with(3);
}

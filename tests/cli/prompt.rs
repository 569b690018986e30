//! Behaviour at a terminal: prompts, hidden input, and the terminal's state afterwards.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rexpect::process::WaitStatus;
use rexpect::session::{PtySession, spawn_command};

use super::sandbox::{CANARY, Sandbox, plugin};

/// Time limit of a prompt in milliseconds: a machine with other builds is slow.
const PATIENCE: Option<u64> = Some(30_000);

/// Starts a command at a terminal that echoes input, as usual.
pub(crate) fn at_terminal(command: Command) -> PtySession {
    let mut shell = Command::new("sh");
    // Tests that run in the background may inherit an ignored Ctrl-C.
    shell.args(["-c", "stty echo && exec env --default-signal=INT \"$0\" \"$@\""]).env_clear();
    shell.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        shell.env(name, value.unwrap());
    }
    shell.current_dir(command.get_current_dir().unwrap());
    spawn_command(shell, PATIENCE).unwrap()
}

/// Waits for the end and returns the rest of the output, and the exit code as in a shell: above 128
/// for a signal.
pub(crate) fn end(mut session: PtySession) -> (String, i32) {
    let rest = session.exp_eof().unwrap();
    match session.process().wait().unwrap() {
        WaitStatus::Exited(_, code) => (rest.replace('\r', ""), code),
        WaitStatus::Signaled(_, signal, _) => (rest.replace('\r', ""), 128 + signal as i32),
        other => panic!("{other:?}: {rest}"),
    }
}

pub(super) fn locked() -> Sandbox {
    let sandbox = Sandbox::installed();
    std::fs::write(sandbox.here("pass.given"), CANARY).unwrap();
    let words = "vault register safe --plugin memory --param file=safe.secrets \
                 --param locked=file:pass.given";
    sandbox.run(words, &[]).succeeds();
    sandbox
}

#[test]
fn set_prompts_twice_and_hides_input() {
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
fn set_asks_again_when_the_second_time_differs_and_then_writes_nothing() {
    let sandbox = Sandbox::with_work();
    let mut session = at_terminal(sandbox.command("set a", &[]));
    for attempt in 1..=3 {
        session.exp_string("Value of `a`: ").unwrap();
        session.send_line("one").unwrap();
        session.exp_string("Once more: ").unwrap();
        session.send_line("two").unwrap();
        if attempt < 3 {
            session.exp_string("The entries do not match. Try again.").unwrap();
        }
    }
    let (rest, code) = end(session);
    assert!(rest.contains("Error: The values do not match; nothing was changed"), "{rest}");
    assert_eq!(code, 1);
    sandbox.run("get a", &[]).ends_with(3);
}

#[test]
fn set_credential_shows_user_name_input() {
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
fn typed_password_appears_in_no_command_line() {
    let sandbox = locked();
    let mut session = at_terminal(sandbox.command("list", &[]));
    session.exp_string("Vault `safe` is locked.").unwrap();
    session.exp_string("Password: ").unwrap();
    // During the prompt, neither the command line of `keystead` nor of its runner has the secret.
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
fn wrong_password_is_prompted_for_three_times() {
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
fn prompt_uses_terminal_with_redirected_streams() {
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

/// Starts a shell script at a terminal, in the sandbox's environment.
pub(super) fn script(sandbox: &Sandbox, script: &str) -> PtySession {
    let mut command = Command::new("sh");
    let script = script.replace("keystead", env!("CARGO_BIN_EXE_keystead"));
    command.args(["-c", &script]).env_clear().current_dir(sandbox.root().join("here"));
    for (name, value) in sandbox.command("", &[]).get_envs() {
        command.env(name, value.unwrap());
    }
    at_terminal(command)
}

/// Prints the command's exit code, and whether the terminal's settings are unchanged.
const COMPARED: &str = "before=$(stty -g); sh -c 'echo pid $$.; exec keystead get a -V safe'; \
                        echo code $?; test \"$before\" = \"$(stty -g)\" && echo the same";

#[test]
fn cancelled_prompt_restores_terminal() {
    let sandbox = locked();
    let mut session = script(&sandbox, COMPARED);
    session.exp_string("Password: ").unwrap();
    session.send_control('d').unwrap();
    let (rest, _) = end(session);
    assert!(rest.contains("unlocking was cancelled"), "{rest}");
    assert!(rest.contains("code 1\n"), "{rest}");
    assert!(rest.contains("the same"), "{rest}");

    // The shell gets the interrupt as well, and must survive to print the result.
    let mut session = script(&sandbox, &format!("trap : INT; {COMPARED}"));
    session.exp_string("Password: ").unwrap();
    session.send("canary").unwrap();
    session.send_control('c').unwrap();
    let (rest, _) = end(session);
    assert!(rest.contains("code 130\n"), "{rest}");
    assert!(rest.contains("the same"), "{rest}");
    assert!(!rest.contains("Error") && !rest.contains("canary"), "{rest}");
}

#[test]
fn ctrl_c_at_prompt_ends_shell_loop() {
    let sandbox = locked();
    // A shell that starts with this signal ignored, as in the background, never reacts to it.
    for shell in ["sh", "bash"] {
        for more in ["", "set -m; "] {
            let words = format!(
                "exec env --default-signal=INT {shell} -c \
                 '{more}while ! keystead get a -V safe; do echo once more; done; \
                 echo after'"
            );
            let mut session = script(&sandbox, &words);
            session.exp_string("Password: ").unwrap();
            session.send_control('c').unwrap();
            let (rest, code) = end(session);
            assert_eq!(rest.trim(), "", "{shell}, {more}");
            assert_eq!(code, 130, "{shell}, {more}");
        }
    }
}

#[test]
fn interrupted_prompt_ends_command_without_output() {
    let sandbox = locked();
    let words = "vault register other --plugin memory --param file=other.secrets";
    sandbox.run(words, &[]).succeeds();
    sandbox.feed(CANARY, "set a -V other --stdin").succeeds();
    for words in ["get a --any", "list", "set b", "vault test"] {
        let mut session = at_terminal(sandbox.command(words, &[]));
        session.exp_regex("(Password|Value of `b`): ").unwrap();
        session.send_control('c').unwrap();
        let (rest, code) = end(session);
        assert_eq!((rest.trim(), code), ("", 130), "{words}");
    }
}

#[test]
fn interrupted_prompt_counts_no_crash() {
    let sandbox = locked();
    // Three crashes would quarantine the plugin.
    for signal in ["INT", "HUP", "TERM", "key"] {
        let mut session = script(&sandbox, COMPARED);
        session.exp_string("pid ").unwrap();
        let pid = session.exp_string(".").unwrap();
        session.exp_string("Password: ").unwrap();
        if signal == "key" {
            session.send_control('c').unwrap();
            session.exp_eof().unwrap();
            continue;
        }
        assert!(Command::new("kill").args(["-s", signal, &pid]).status().unwrap().success());
        end(session);
    }
    let mut session = at_terminal(sandbox.command("get a -V safe", &[]));
    session.exp_string("Password: ").unwrap();
    session.send_line(CANARY).unwrap();
    assert_eq!(end(session).1, 3);
}

#[test]
fn signal_during_prompt_restores_terminal() {
    let sandbox = locked();
    for (signal, code) in [("TERM", 143), ("INT", 130), ("HUP", 129)] {
        let mut session = script(&sandbox, COMPARED);
        session.exp_string("pid ").unwrap();
        let pid = session.exp_string(".").unwrap();
        session.exp_string("Password: ").unwrap();
        // The user has typed a part already.
        session.send("canary").unwrap();
        session.flush().unwrap();
        let kill = Command::new("kill").args(["-s", signal, &pid]).status().unwrap();
        assert!(kill.success(), "{pid}");
        let (rest, _) = end(session);
        assert!(rest.contains(&format!("code {code}\n")), "{signal}: {rest}");
        assert!(rest.contains("the same"), "{signal}: {rest}");
        assert!(!rest.contains("canary"), "{signal}: {rest}");
    }
}

#[test]
fn suspended_prompt_restores_terminal_and_prompts_again() {
    let sandbox = locked();
    let words = "set -m; before=$(stty -g); keystead get nosuch -V safe; \
                 test \"$before\" = \"$(stty -g)\" && echo the same; fg; echo code $?; \
                 test \"$before\" = \"$(stty -g)\" && echo the same";
    let mut session = script(&sandbox, words);
    session.exp_string("Password: ").unwrap();
    session.send("wrong").unwrap();
    session.send_control('z').unwrap();
    session.exp_string("the same").unwrap();
    session.exp_string("Password: ").unwrap();
    session.send_line(CANARY).unwrap();
    let (rest, _) = end(session);
    assert!(!rest.contains(CANARY), "{rest}");
    assert!(rest.contains("code 3\n"), "{rest}");
    assert!(rest.contains("the same"), "{rest}");
    assert!(!rest.contains("wrong"), "{rest}");
}

#[test]
fn prompt_ends_when_terminal_is_gone() {
    let sandbox = locked();
    // `script` makes an inner terminal, which disappears when `script` is killed.
    let words = "echo outer $$.; exec script -q -c \
                 'echo inner $$.; exec keystead get a -V safe' /dev/null";
    let mut session = script(&sandbox, words);
    session.exp_string("outer ").unwrap();
    let outer = session.exp_string(".").unwrap();
    session.exp_string("inner ").unwrap();
    let inner = session.exp_string(".").unwrap();
    session.exp_string("Password: ").unwrap();
    let process = Path::new("/proc").join(&inner);
    assert!(process.exists());
    assert!(Command::new("kill").args(["-s", "KILL", &outer]).status().unwrap().success());
    let until = Instant::now() + Duration::from_secs(20);
    while is_running(&process) {
        assert!(Instant::now() < until, "it still waits for a key");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Returns whether the process runs; a zombie does not.
fn is_running(process: &Path) -> bool {
    match std::fs::read_to_string(process.join("stat")) {
        Ok(stat) => !stat.rsplit(')').next().unwrap().trim_start().starts_with('Z'),
        Err(_) => false,
    }
}

#[test]
fn no_input_prevents_prompt_at_terminal() {
    let sandbox = locked();
    let session = at_terminal(sandbox.command("get a -V safe --no-input", &[]));
    let (rest, code) = end(session);
    assert!(rest.contains("--unlock password=env:VAR"), "{rest}");
    assert_eq!(code, 4);
}

#[test]
fn plugin_install_prompt_accepts_only_yes() {
    let sandbox = Sandbox::empty();
    for (answer, code) in [("n", 1), ("", 1), ("yes", 0)] {
        let mut session =
            at_terminal(sandbox.command("plugin install -q", &[plugin().to_str().unwrap()]));
        session.exp_string("may read and write files in the directory of {file}").unwrap();
        session.exp_string("Install plugin `memory`? [y/N]: ").unwrap();
        session.send_line(answer).unwrap();
        assert_eq!(end(session).1, code);
    }
    sandbox.run("plugin verify memory", &[]).succeeds();
}

#[test]
fn get_at_terminal_adds_newline_and_rejects_escapes() {
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
fn waiting_message_names_vault_and_plugin() {
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
fn replacement_prompt_answered_no_changes_nothing() {
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

#[test]
fn waiting_challenge_prints_text_and_url_before_prompt() {
    let sandbox = Sandbox::empty();
    let file = crate::plugin_files::plugin("waits");
    sandbox.run("plugin install --yes", &[file.to_str().unwrap()]).succeeds();
    std::fs::write(sandbox.here("count"), "").unwrap();
    let register = "vault register w --plugin waits --param how=code --param file=count --yes";
    sandbox.run(register, &[]).succeeds();
    let mut session = at_terminal(sandbox.command("get a -V w", &[]));
    let shown = session.exp_string("Code: ").unwrap().replace('\r', "");
    assert_eq!(shown.trim(), "Vault `w` is locked.\nlook\nOpen: https://a.example/");
    session.send_line("1234").unwrap();
    session.exp_string("Waiting until that is done; Ctrl-C ends it.").unwrap();
    let (rest, code) = end(session);
    assert_eq!(code, 0, "{rest}");
    assert!(!rest.contains("look") && !rest.contains("Code"), "shown once: {rest}");
}

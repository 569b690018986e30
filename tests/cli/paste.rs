//! Text that a user types or pastes at a hidden prompt. The command accepts one line or rejects the
//! whole text. No part reaches the shell.

use rexpect::session::PtySession;

use super::prompt::{at_terminal, end, locked, script};
use super::sandbox::{CANARY, Sandbox};

/// Runs a command, prints its exit code, and prints the next line that the shell reads.
fn before_a_shell(sandbox: &Sandbox, words: &str) -> PtySession {
    let words = format!("keystead {words}; echo code $?.; read line; echo \"next <$line>\"");
    script(sandbox, &words)
}

/// Returns the output until the command ended, its exit code, and the line that the shell read.
fn next_line(mut session: PtySession) -> (String, String, String) {
    let shown = session.exp_string("code ").unwrap();
    let code = session.exp_string(".").unwrap();
    session.send_line("end").unwrap();
    session.exp_string("next <").unwrap();
    let next = session.exp_string(">").unwrap();
    (shown.replace('\r', ""), code, next)
}

const REFUSED: &str = "Error: Several lines were pasted where one is asked for; nothing was changed\n\
                       Hint: add `--stdin` or `--file FILE`\n";

#[test]
fn paste_of_several_lines_is_refused_and_no_shell_runs_it() {
    let sandbox = Sandbox::with_work();
    sandbox.feed(CANARY, "set a --stdin").succeeds();
    let long = format!("{}\n", "echo pasted; ".repeat(30)).repeat(60);
    for paste in ["one\necho two\n", "one\n\necho three", "\none\n", &long] {
        let mut session = before_a_shell(&sandbox, "set a");
        session.exp_string("Value of `a`: ").unwrap();
        session.send(paste).unwrap();
        session.flush().unwrap();
        let (shown, code, next) = next_line(session);
        assert!(shown.ends_with(REFUSED), "{shown}");
        assert_eq!((&*code, &*next), ("1", "end"), "{paste}");
        assert_eq!(sandbox.run("get a", &[]).succeeds(), CANARY.as_bytes());
    }
}

#[test]
fn line_that_is_too_long_is_refused_and_no_shell_runs_it() {
    let sandbox = Sandbox::with_work();
    let mut session = before_a_shell(&sandbox, "set a");
    session.exp_string("Value of `a`: ").unwrap();
    session.send(&format!("{}\necho pasted\n", "x".repeat(80_000))).unwrap();
    session.flush().unwrap();
    let (shown, code, next) = next_line(session);
    assert!(shown.contains("Error: The line is too long to be typed\n"), "{shown}");
    assert_eq!((&*code, &*next), ("1", "end"));
}

#[test]
fn bracketed_paste_of_one_line_is_accepted() {
    let sandbox = Sandbox::with_work();
    let ask = || {
        let mut command = sandbox.command("set a --color never", &[]);
        command.env("TERM", "xterm");
        let mut session = at_terminal(command);
        // From this point the terminal marks a paste.
        session.exp_string("\u{1b}[?2004hValue of `a`: ").unwrap();
        session
    };
    let mut session = ask();
    for question in ["", "Once more: "] {
        session.exp_string(question).unwrap();
        session.send("\u{1b}[200~pasted value\u{1b}[201~").unwrap();
        session.send_line("").unwrap();
    }
    let (rest, code) = end(session);
    assert_eq!(code, 0, "{rest}");
    assert!(rest.contains("\u{1b}[?2004l"), "{rest}");
    assert_eq!(sandbox.run("get a", &[]).succeeds(), b"pasted value");

    let mut session = ask();
    session.send("\u{1b}[200~one\rtwo\u{1b}[201~").unwrap();
    session.flush().unwrap();
    let (rest, code) = end(session);
    assert!(rest.contains(REFUSED), "{rest}");
    assert_eq!(code, 1);
    assert_eq!(sandbox.run("get a", &[]).succeeds(), b"pasted value");
}

#[test]
fn paste_of_several_lines_answers_no_locked_vault_and_no_open_question() {
    let sandbox = locked();
    for (words, question) in [
        ("get a -V safe", "Password: "),
        ("set b --kind credential -V safe", "User name: "),
        ("plugin trust memory --danger-in-process", "[y/N]: "),
    ] {
        let mut session = before_a_shell(&sandbox, words);
        session.exp_string(question).unwrap();
        session.send("y\necho two\n").unwrap();
        session.flush().unwrap();
        let (shown, code, next) = next_line(session);
        assert!(shown.contains("everal lines were pasted"), "{words}: {shown}");
        assert_eq!((&*code, &*next), ("1", "end"), "{words}");
    }
    sandbox.run("vault show safe", &[]).succeeds();
}

#[test]
fn enter_twice_writes_no_empty_value() {
    let sandbox = Sandbox::with_work();
    sandbox.feed(CANARY, "set a --stdin").succeeds();
    for (options, code) in [("", 1), (" --user bob", 1), (" --allow-empty", 0)] {
        let mut session = at_terminal(sandbox.command(&format!("set a{options}"), &[]));
        session.exp_string("of `a`: ").unwrap();
        session.send_line("").unwrap();
        session.exp_string("Once more: ").unwrap();
        session.send_line("").unwrap();
        let (rest, ended) = end(session);
        assert_eq!(ended, code, "{rest}");
        assert_eq!(rest.contains("Caused by: none was typed\n"), code == 1, "{rest}");
        let kept: &[u8] = if code == 1 { CANARY.as_bytes() } else { b"" };
        assert_eq!(sandbox.run("get a", &[]).succeeds(), kept);
    }
}

#[test]
fn value_is_asked_for_wherever_there_is_a_terminal() {
    let sandbox = Sandbox::with_work();
    for streams in ["< /dev/null", "2> /dev/null", "> /dev/null 2>&1", "< /dev/null 2> /dev/null"] {
        let mut session = script(&sandbox, &format!("keystead set a {streams}; echo code $?"));
        session.exp_string("Value of `a`: ").unwrap();
        session.send_line("typed").unwrap();
        session.exp_string("Once more: ").unwrap();
        session.send_line("typed").unwrap();
        let (rest, _) = end(session);
        assert!(rest.contains("code 0\n"), "{streams}: {rest}");
    }
    let (rest, _) = end(script(&sandbox, "echo piped | keystead set a; echo code $?"));
    assert!(rest.contains("`--stdin` is missing") && rest.contains("code 2\n"), "{rest}");
}

#[test]
fn set_reports_vault_error_before_prompt() {
    let sandbox = Sandbox::with_work();
    sandbox.run("vault register lost --plugin memory --param file=lost.secrets", &[]).succeeds();
    let file = sandbox.root().join("home/.config/keystead/vaults/lost.toml");
    let registered = std::fs::read_to_string(&file).unwrap();
    let without = |what: &str| {
        let lines: Vec<&str> = registered.lines().filter(|line| !line.starts_with(what)).collect();
        lines.join("\n")
    };
    for (text, why, code) in [
        (without("grants"), "requests permissions that vault `lost` does not grant", 1),
        (registered.replace("\"memory\"", "\"gone\""), "no plugin `gone` is installed", 1),
    ] {
        std::fs::write(&file, text).unwrap();
        let (rest, ended) = end(at_terminal(sandbox.command("set a -V lost", &[])));
        assert!(rest.contains(why) && !rest.contains("Value of"), "{rest}");
        assert_eq!(ended, code, "{rest}");
    }
    let (rest, code) = end(at_terminal(sandbox.command("set a -V nosuch", &[])));
    assert!(!rest.contains("Value of"), "{rest}");
    assert_eq!(code, 3);
}

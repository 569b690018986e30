//! Layout of the output: with and without colours, in 80 columns, and suggestions for a wrong name.

use std::process::Command;

use rexpect::session::spawn_command;
use snapbox::{assert_data_eq, str};

use super::sandbox::{CANARY, Sandbox};

/// Runs a command at a terminal of 80 columns and returns its whole output.
fn shown(sandbox: &Sandbox, command: &Command) -> String {
    let mut shell = Command::new("sh");
    shell.args(["-c", "stty cols 80 -echo && exec \"$0\" \"$@\""]).env_clear();
    shell.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        shell.env(name, value.unwrap());
    }
    shell.env_remove("COLUMNS").current_dir(command.get_current_dir().unwrap());
    let mut session = spawn_command(shell, Some(30_000)).unwrap();
    let shown = session.exp_eof().unwrap().replace('\r', "");
    sandbox.check_files();
    shown
}

fn at_terminal(sandbox: &Sandbox, words: &str, variables: &[(&str, &str)]) -> String {
    let mut command = sandbox.command(words, &[]);
    command.env("TERM", "xterm-256color").envs(variables.iter().copied());
    shown(sandbox, &command)
}

#[test]
fn terminal_output_is_coloured_unless_disabled() {
    let sandbox = Sandbox::empty();
    let plain = "Error: No vault `nosuch` is registered\n\
                 Hint: run `keystead vault list` to see the vaults\n\
                 Code: E01.no-such-vault\n";
    let missing = "vault show nosuch";
    let coloured = at_terminal(&sandbox, missing, &[]);
    assert!(coloured.contains("\x1b["), "{coloured:?}");
    // The text carries all information that the colours carry.
    assert_eq!(anstream::adapter::strip_str(&coloured).to_string(), plain);
    for no in [("NO_COLOR", "1"), ("CLICOLOR", "0"), ("TERM", "dumb")] {
        assert_eq!(at_terminal(&sandbox, missing, &[no]), plain, "{no:?}");
    }
    assert_eq!(at_terminal(&sandbox, "vault show nosuch --color never", &[]), plain);
    let always = at_terminal(&sandbox, "vault show nosuch --color always", &[("NO_COLOR", "1")]);
    assert_eq!(always, coloured);
}

#[test]
fn piped_output_is_plain_unless_colour_is_forced() {
    let sandbox = Sandbox::empty();
    let piped = |words: &str, variables: &[(&str, &str)]| {
        let mut command = sandbox.command(words, &[]);
        command.env("TERM", "xterm-256color").envs(variables.iter().copied());
        sandbox.answer(command, b"").stderr
    };
    let missing = "vault show nosuch";
    assert!(!piped(missing, &[]).contains('\x1b'));
    assert!(piped("vault show nosuch --color always", &[]).contains("\x1b["));
    assert!(piped(missing, &[("CLICOLOR_FORCE", "1")]).contains("\x1b["));
    assert!(!piped(missing, &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]).contains('\x1b'));
    // Errors of the command line itself, and help.
    assert!(!piped("gte", &[]).contains('\x1b'));
    assert!(piped("gte --color always", &[]).contains("\x1b["));
    assert!(!piped("gte --color=never", &[("CLICOLOR_FORCE", "1")]).contains('\x1b'));
}

#[test]
fn help_and_tables_fit_80_columns() {
    let sandbox = Sandbox::with_work();
    let note = "n".repeat(200);
    let mut set = sandbox.command("set a-long-name/with-parts --stdin --meta", &[]);
    set.arg(format!("note={note}"));
    sandbox.answer(set, CANARY.as_bytes()).succeeds();
    let description = "d".repeat(100);
    sandbox.run("vault register other --plugin memory --description", &[&description]).succeeds();
    let help = ["", "vault", "vault register --help", "get --help", "plugin test -h", "--help"];
    for words in help.iter().chain(&["list", "vault list", "plugin list"]) {
        let shown = at_terminal(&sandbox, words, &[("NO_COLOR", "1")]);
        assert!(!shown.is_empty());
        for line in shown.lines() {
            assert!(line.chars().count() <= 80, "{words}: {line}");
        }
    }
    assert_data_eq!(
        at_terminal(&sandbox, "list", &[]),
        str![[r#"
NAME                    VAULT  KIND  METADATA
a-long-name/with-parts  work   text  note=nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn...

"#]]
    );
    // A pipe gets the whole text.
    let listed = sandbox.run("list", &[]);
    assert!(String::from_utf8_lossy(listed.succeeds()).contains(&note));
    let listed = sandbox.run("list --json", &[]);
    assert!(String::from_utf8_lossy(listed.succeeds()).contains(&note));
}

/// One of each kind: C1 and C0 (only in metadata: names have none), DEL, writing direction, Unicode
/// line break, and invisible.
const HARMFUL: [char; 8] =
    ['\u{9b}', '\u{1b}', '\u{7f}', '\u{202e}', '\u{2066}', '\u{2028}', '\u{200b}', '\u{e0041}'];

#[test]
fn foreign_text_is_escaped_on_terminal_and_kept_in_pipe() {
    let sandbox = Sandbox::with_work();
    let name = "gnp\u{202e}exe\u{2069}\u{200f}\u{2028}\u{e0041}";
    let note = format!("a\nb\t{}c", HARMFUL.iter().collect::<String>());
    let mut set = sandbox.command("set --stdin --meta", &[]);
    set.arg(format!("note={note}")).arg(name);
    sandbox.answer(set, format!("{CANARY}{note}").as_bytes()).succeeds();

    // A pipe gets the unchanged name, and one line of four columns.
    let listed = sandbox.run("list", &[]);
    let listed = std::str::from_utf8(listed.succeeds()).unwrap();
    let columns: Vec<&str> = listed.strip_suffix('\n').unwrap().split('\t').collect();
    assert_eq!(columns[..3], [name, "work", "text"]);
    assert!(columns[3].starts_with("note=a\\nb\\t\\u{9b}\\u{1b}\\u{7f}"), "{listed:?}");
    assert_eq!((columns.len(), listed.lines().count()), (4, 1));

    // A terminal gets no raw harmful character in any format; JSON still means the same texts.
    for words in ["list", "list --json", "show", "show --json", "get --json", "get"] {
        let mut command = sandbox.command(words, &[]);
        command.env("TERM", "xterm").env("NO_COLOR", "1");
        if !words.starts_with("list") {
            command.arg(name);
        }
        let shown = shown(&sandbox, &command);
        let raw = shown.chars().find(|c| keystead::internals::escape::is_harmful(*c) && *c != '\n');
        assert_eq!(raw, None, "{words}: {shown:?}");
        if let Ok(json) = serde_json::from_str::<serde_json::Value>(&shown) {
            assert_eq!(
                (&json["name"], &json["metadata"]["note"]),
                (&name.into(), &note.clone().into())
            );
            if words.starts_with("get") {
                assert_eq!(json["value"]["text"], format!("{CANARY}{note}"));
            }
        } else {
            assert!(!words.ends_with("json"), "{words}: {shown:?}");
            assert!(
                shown.contains("gnp\\u{202e}exe\\u{2069}\\u{200f}\\u{2028}\\u{e0041}"),
                "{shown:?}"
            );
        }
    }
    // An export, and names that do not exist.
    let export = sandbox.run("export --output - --yes", &[]);
    let export = std::str::from_utf8(export.succeeds()).unwrap();
    let json: serde_json::Value = serde_json::from_str(export).unwrap();
    assert_eq!((&json["name"], &json["metadata"]["note"]), (&name.into(), &note.into()));
    for words in ["get", "get --json", "vault do work", "list --tag", "vault show"] {
        let answer = sandbox.run(words, &[&format!("no{name}")]);
        let raw = answer
            .stderr
            .chars()
            .find(|c| keystead::internals::escape::is_harmful(*c) && *c != '\n');
        assert_eq!(raw, None, "{words}: {answer}");
    }
}

#[test]
fn misspelt_name_error_suggests_similar_name() {
    let sandbox = Sandbox::with_work();
    sandbox.feed(CANARY, "set db/password --stdin").succeeds();
    let variables = [("NO_COLOR", "1"), ("KEYSTEAD_NAMES_TIMEOUT", "60s")];
    let at = |words: &str| at_terminal(&sandbox, words, &variables);
    assert_data_eq!(
        at("get db/pasword"),
        str![[r#"
Error: No secret `db/pasword` in vault `work`
Hint: did you mean `db/password`?
Hint: run `keystead list` to see what there is
Code: E12.no-such-secret

"#]]
    );
    assert_data_eq!(
        at("show db/passwrod -V work"),
        str![[r#"
Error: No secret `db/passwrod` in vault `work`
Hint: did you mean `db/password`?
Hint: run `keystead list` to see what there is
Code: E12.no-such-secret

"#]]
    );
    assert_data_eq!(
        at("rm db/passwort --yes"),
        str![[r#"
Error: No secret `db/passwort` in vault `work`
Hint: did you mean `db/password`?
Hint: run `keystead list` to see what there is
Code: E12.no-such-secret

"#]]
    );
    assert_data_eq!(
        at("get nothing-like-it"),
        str![[r#"
Error: No secret `nothing-like-it` in vault `work`
Hint: run `keystead list` to see what there is
Code: E12.no-such-secret

"#]]
    );
    // For a pipe, the command does not search for suggestions.
    assert_data_eq!(
        sandbox.run("get db/pasword", &[]),
        str![[r#"
exit code 3
--- stderr
Error: No secret `db/pasword` in vault `work`
Hint: run `keystead list` to see what there is
Code: E12.no-such-secret

"#]]
    );
    assert_data_eq!(
        sandbox.run("get a -V wrok", &[]),
        str![[r#"
exit code 3
--- stderr
Error: No vault `wrok` is registered
Hint: did you mean `work`?
Hint: run `keystead vault list` to see the vaults
Code: E01.no-such-vault

"#]]
    );
    assert_data_eq!(
        sandbox.run("plugin show memroy", &[]),
        str![[r#"
exit code 3
--- stderr
Error: No plugin `memroy` is installed
Hint: did you mean `memory`?
Hint: run `keystead plugin list` to see the plugins
Hint: run `keystead plugin install FILE` to install one
Code: E03.not-pinned

"#]]
    );
    assert_data_eq!(
        sandbox.run("vault register a --plugin memory:memroy", &[]),
        str![[r#"
exit code 3
--- stderr
Error: Plugin `memory` has no kind of vault `memroy`
Hint: did you mean `memory`?
Hint: its kinds are `memory`
Code: E01.no-such-kind

"#]]
    );
    assert_data_eq!(
        sandbox.run("vault register a --plugin memory --param fiel=x", &[]),
        str![[r#"
exit code 1
--- stderr
Error: 1 parameter of vault `a` is wrong
Caused by: there is no parameter `fiel`
Hint: did you mean `file`?
Hint: run `keystead plugin show PLUGIN` to see the parameters
Code: E01.parameters

"#]]
    );
    assert_data_eq!(
        sandbox.run("vault do work compcat", &[]),
        str![[r#"
exit code 3
--- stderr
Error: Vault `work` has no action `compcat`
Hint: its actions are `clear`
Code: E12.no-such-action

"#]]
    );
    assert_data_eq!(
        sandbox.run("vault regsiter", &[]),
        str![[r#"
exit code 2
--- stderr
Error: unrecognized subcommand 'regsiter'

  tip: a similar subcommand exists: 'register'

Usage: keystead vault [OPTIONS] <COMMAND>

For more information, try '--help'.

"#]]
    );
}

#[test]
fn command_without_arguments_prints_first_steps() {
    let sandbox = Sandbox::empty();
    let alone = sandbox.run("", &[]);
    alone.ends_with(2);
    // `--help` lists the commands in between; another test compares the whole help.
    assert!(
        alone.stderr.starts_with("Get and set secrets in any vault through plugins\n\nUsage: "),
        "{alone}"
    );
    let (_, steps) = alone.stderr.rsplit_once("\n\n").unwrap();
    assert_data_eq!(
        steps,
        str![[r#"
First steps: `keystead plugin list`, `keystead vault register NAME --plugin
PLUGIN`, `keystead set NAME`, `keystead get NAME`. `keystead help COMMAND` says
more.

"#]]
    );
    let help = sandbox.run("help", &[]);
    assert_eq!(help.succeeds(), sandbox.run("--help", &[]).succeeds());
    let help = sandbox.run("help vault register", &[]);
    assert_eq!(help.succeeds(), sandbox.run("vault register --help", &[]).succeeds());
    assert_data_eq!(
        sandbox.run("help nosuch", &[]),
        str![[r#"
exit code 2
--- stderr
Error: unrecognized subcommand 'nosuch'

Usage: keystead [OPTIONS] <COMMAND>

For more information, try '--help'.

"#]]
    );
}

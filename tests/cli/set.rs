//! `set` and `remove`.

use std::process::{Command, Stdio};

use snapbox::{assert_data_eq, str};

use super::sandbox::{Answer, CANARY, Sandbox};

#[test]
fn set_rejects_value_on_command_line() {
    let sandbox = Sandbox::with_work();
    assert_data_eq!(
        sandbox.run("set a hunter2", &[]),
        str![[r#"
exit code 2
--- stderr
Error: `set` takes one name, and no value on the command line
Caused by: other users of this machine can read a program's arguments
Hint: give the value with `--stdin` or `--file`, or type it when asked

"#]]
    );
    assert_data_eq!(
        sandbox.run("set a hunter2 --json", &[]),
        str![[r#"
exit code 2
--- stderr
{"schema":1,"error":{"code":null,"exit":2,"message":"`set` takes one name, and no value on the command line","causes":["other users of this machine can read a program's arguments"],"hints":["give the value with `--stdin` or `--file`, or type it when asked"]}}

"#]]
    );
    sandbox.run("get a", &[]).ends_with(3);
}

/// Runs a command with `/dev/null` as its standard input.
fn at_null(sandbox: &Sandbox, words: &str) -> Answer {
    let mut shell = sandbox.command("", &[]);
    let words = format!("exec {} {words} < /dev/null", env!("CARGO_BIN_EXE_keystead"));
    let mut command = Command::new("sh");
    command.args(["-c", &words]).env_clear().current_dir(sandbox.root().join("here"));
    for (name, value) in shell.stdin(Stdio::null()).get_envs() {
        command.env(name, value.unwrap());
    }
    sandbox.answer(command, b"")
}

#[test]
fn value_that_is_piped_in_without_stdin_is_a_usage_error() {
    let sandbox = Sandbox::with_work();
    for words in ["set a", "set a --no-input", "set a --kind credential --user bob"] {
        assert_data_eq!(
            sandbox.feed(CANARY, words),
            str![[r#"
exit code 2
--- stderr
Error: The value is piped in, and `--stdin` is missing
Hint: add `--stdin` to read the value from standard input
Hint: add `< /dev/tty` to type it

"#]]
        );
    }
    sandbox.run("get a", &[]).ends_with(3);
}

#[test]
fn empty_value_is_refused_unless_it_is_meant() {
    let sandbox = Sandbox::with_work();
    sandbox.feed(CANARY, "set a --stdin").succeeds();
    std::fs::write(sandbox.here("empty.given"), "").unwrap();
    let ways = [
        ("", "--stdin", "standard input has none"),
        ("\n", "--stdin", "standard input has none"),
        ("\r\n", "--stdin", "standard input has none"),
        ("", "--stdin --exact", "standard input has none"),
        ("", "--stdin --kind bytes", "standard input has none"),
        ("\n", "--stdin --user bob", "standard input has none"),
        ("", "--stdin --dry-run", "standard input has none"),
        ("", "--stdin --meta k=v", "standard input has none"),
        ("", "--file empty.given", "file `empty.given` is empty"),
        ("", "--file empty.given --kind bytes", "file `empty.given` is empty"),
    ];
    for (input, options, why) in ways {
        let refused = sandbox.feed(input, &format!("set a {options}"));
        refused.ends_with(1);
        let expected = format!(
            "Error: The value is empty; nothing was changed\nCaused by: {why}\n\
             Hint: add `--allow-empty` to write an empty value\n"
        );
        assert_eq!(refused.stderr, expected, "{options}");
        assert_eq!(sandbox.run("get a", &[]).succeeds(), CANARY.as_bytes(), "{options}");
    }
    for kind in ["map", "json"] {
        sandbox.feed("", &format!("set a --stdin --kind {kind}")).ends_with(1);
    }
    for (input, options, _) in ways {
        sandbox.feed(input, &format!("set b {options} --allow-empty")).succeeds();
    }
    assert_eq!(sandbox.run("get b", &[]).succeeds(), b"");
    // A field may be empty, as in other programs; with `--exact`, a newline is kept.
    sandbox.feed("{\"a\":\"1\"}", "set m --kind map --stdin").succeeds();
    sandbox.feed("", "set m --field a --stdin").succeeds();
    assert_eq!(sandbox.run("get m --field a", &[]).succeeds(), b"");
    sandbox.feed("\n", "set a --stdin --exact").succeeds();
    assert_eq!(sandbox.run("get a", &[]).succeeds(), b"\n");
}

#[test]
fn set_non_interactive_without_value_exits_4() {
    let sandbox = Sandbox::with_work();
    assert_data_eq!(
        at_null(&sandbox, "set a"),
        str![[r#"
exit code 4
--- stderr
Error: The value is missing, and prompting is not possible
Caused by: there is no terminal
Hint: add `--stdin` or `--file FILE`

"#]]
    );
    assert_data_eq!(
        at_null(&sandbox, "set a --no-input"),
        str![[r#"
exit code 4
--- stderr
Error: The value is missing, and prompting is not possible
Caused by: `--no-input` was given
Hint: add `--stdin` or `--file FILE`

"#]]
    );
    assert_data_eq!(
        sandbox.feed(CANARY, "set a --kind credential --stdin"),
        str![[r#"
exit code 4
--- stderr
Error: The user name is missing, and prompting is not possible
Hint: add `--user NAME`

"#]]
    );
}

#[test]
fn set_prints_result_unless_quiet() {
    let sandbox = Sandbox::with_work();
    assert_data_eq!(
        sandbox.feed(CANARY, "set a --stdin"),
        str![[r#"
exit code 0
--- stderr
Set `a` in vault `work`.

"#]]
    );
    assert_data_eq!(
        sandbox.feed(CANARY, "set a --stdin --quiet"),
        str![[r#"
exit code 0

"#]]
    );
    assert_data_eq!(
        sandbox.feed(CANARY, "set a --stdin --json"),
        str![[r#"
exit code 0
--- stdout
{"schema":1,"name":"a","vault":"work","dry_run":false}

"#]]
    );
}

#[test]
fn set_strips_final_newline_unless_exact() {
    let sandbox = Sandbox::with_work();
    let get = || sandbox.run("get a", &[]).succeeds().to_vec();
    sandbox.feed("x\n\n", "set a --stdin").succeeds();
    assert_eq!(get(), b"x\n");
    sandbox.feed("x\r\n", "set a --stdin").succeeds();
    assert_eq!(get(), b"x");
    sandbox.feed("x\n", "set a --stdin --exact").succeeds();
    assert_eq!(get(), b"x\n");
    sandbox.feed("x\n", "set a --stdin --kind bytes").succeeds();
    assert_eq!(get(), b"x\n");
    std::fs::write(sandbox.here("a.given"), "x\n").unwrap();
    sandbox.run("set a --file a.given", &[]).succeeds();
    assert_eq!(get(), b"x\n");
    assert_data_eq!(
        sandbox.run("set a --file nosuch.given", &[]),
        str![[r#"
exit code 1
--- stderr
Error: Cannot read the value from its file
Caused by: failed to open file `nosuch.given`: No such file or directory (os error 2)

"#]]
    );
    assert_data_eq!(
        sandbox.run("set a --exact", &[]),
        str![[r#"
exit code 2
--- stderr
Error: the following required arguments were not provided:
  --stdin

Usage: keystead set --stdin --exact <NAME>

For more information, try '--help'.

"#]]
    );
}

#[test]
fn set_of_invalid_utf8_as_text_is_rejected() {
    let sandbox = Sandbox::with_work();
    assert_data_eq!(
        sandbox.feed([b'a', 0xff], "set a --stdin"),
        str![[r#"
exit code 1
--- stderr
Error: The value is no text
Caused by: the text is not UTF-8 from byte 1 on
Hint: add `--kind bytes` to keep it as bytes

"#]]
    );
}

#[test]
fn set_of_invalid_map_names_error_position() {
    let sandbox = Sandbox::with_work();
    assert_data_eq!(
        sandbox.feed("{\"port\":\n 05432}", "set a --kind map --stdin"),
        str![[r#"
exit code 1
--- stderr
Error: The map is no JSON object
Caused by: line 2, column 2: not JSON at byte 1: something follows the text

"#]]
    );
    let twice = format!("{{\"a\":\"{CANARY}\",\"a\":\"{CANARY}\"}}");
    assert_data_eq!(
        sandbox.feed(twice, "set a --kind map --stdin"),
        str![[r#"
exit code 1
--- stderr
Error: The map is no JSON object
Caused by: line 1, column 20: this name stands in the object twice

"#]]
    );
    let bare = format!("{{\"a\":{CANARY}}}");
    assert_data_eq!(
        sandbox.feed(bare, "set a --kind map --stdin"),
        str![[r#"
exit code 1
--- stderr
Error: The map is no JSON object
Caused by: line 1, column 6: a value must follow

"#]]
    );
}

#[test]
fn set_field_keeps_other_fields_and_metadata() {
    let sandbox = Sandbox::with_work();
    sandbox.feed("{\"a\":\"1\",\"b\":\"2\"}", "set m --kind map --stdin --meta k=v").succeeds();
    sandbox.feed("3", "set m --field b --stdin").succeeds();
    sandbox.feed("4", "set m --field c --stdin").succeeds();
    assert_data_eq!(
        sandbox.run("get m --json", &[]),
        str![[r#"
exit code 0
--- stdout
{"schema":1,"name":"m","vault":"work","kind":"map","metadata":{"k":"v"},"value":{"map":{"a":{"text":"1"},"b":{"text":"3"},"c":{"text":"4"}}}}

"#]]
    );
    sandbox.feed("t", "set text --stdin").succeeds();
    assert_data_eq!(
        sandbox.feed("1", "set text --field a --stdin"),
        str![[r#"
exit code 1
--- stderr
Error: Secret `text` in vault `work` is not a map: it has no field to change
Hint: leave `--field` out to replace the whole value
Code: E12.not-a-map

"#]]
    );
}

#[test]
fn set_with_no_clobber_keeps_existing_secret() {
    let sandbox = Sandbox::with_work();
    sandbox.feed("first", "set a --stdin --no-clobber").succeeds();
    assert_data_eq!(
        sandbox.feed("second", "set a --stdin --no-clobber"),
        str![[r#"
exit code 1
--- stderr
Error: Secret `a` exists in vault `work`
Hint: leave `--no-clobber` out to replace it
Code: E12.secret-exists

"#]]
    );
    assert_eq!(sandbox.run("get a", &[]).succeeds(), b"first");
}

#[test]
fn dry_run_of_set_and_remove_changes_nothing() {
    let sandbox = Sandbox::with_work();
    assert_data_eq!(
        sandbox.feed(CANARY, "set a --stdin --dry-run"),
        str![[r#"
exit code 0
--- stderr
Would set `a` in vault `work`; nothing was changed

"#]]
    );
    sandbox.run("get a", &[]).ends_with(3);
    sandbox.feed(CANARY, "set a --stdin").succeeds();
    assert_data_eq!(
        sandbox.run("remove a --dry-run", &[]),
        str![[r#"
exit code 0
--- stderr
Would remove `a` from vault `work`; nothing was changed

"#]]
    );
    assert_eq!(sandbox.run("get a", &[]).succeeds(), CANARY.as_bytes());
    let conflict = sandbox.feed("x", "set a --stdin --dry-run --no-clobber");
    assert_eq!(conflict.status, 1, "{conflict}");
}

#[test]
fn set_meta_replaces_all_metadata() {
    let sandbox = Sandbox::with_work();
    let words = "set a --stdin --meta t=x --meta n:=-3 --meta b:=false --meta at@=2030-01-31T06:00:00+01:00";
    sandbox.feed("v", words).succeeds();
    assert_data_eq!(
        sandbox.run("show a --json", &[]),
        str![[r#"
exit code 0
--- stdout
{"schema":1,"name":"a","vault":"work","kind":"text","metadata":{"at":{"timestamp":"2030-01-31T05:00:00Z"},"b":false,"n":-3,"t":"x"}}

"#]]
    );
    sandbox.feed("w", "set a --stdin").succeeds();
    assert_data_eq!(
        sandbox.run("show a --json", &[]),
        str![[r#"
exit code 0
--- stdout
{"schema":1,"name":"a","vault":"work","kind":"text","metadata":{"at":{"timestamp":"2030-01-31T05:00:00Z"},"b":false,"n":-3,"t":"x"}}

"#]]
    );
    sandbox.feed("w", "set a --stdin --meta only=this").succeeds();
    assert_data_eq!(
        sandbox.run("show a --json", &[]),
        str![[r#"
exit code 0
--- stdout
{"schema":1,"name":"a","vault":"work","kind":"text","metadata":{"only":"this"}}

"#]]
    );
    assert_data_eq!(
        sandbox.feed("w", "set a --stdin --meta expires=soon"),
        str![[r#"
exit code 2
--- stderr
Error: invalid value 'expires=soon' for '--meta <K=V>': expected a time such as `2030-01-31`, `2030-01-31T18:00:00Z` or `90d`

For more information, try '--help'.

"#]]
    );
    assert_data_eq!(
        sandbox.feed("w", "set a --stdin --meta k=1 --meta k=2"),
        str![[r#"
exit code 2
--- stderr
Error: The metadata key `k` is given twice

"#]]
    );
}

#[test]
fn set_rejects_conflicting_options_and_missing_vault() {
    let sandbox = Sandbox::with_work();
    assert_data_eq!(
        sandbox.feed("x", "set a --stdin --kind text --user bob"),
        str![[r#"
exit code 2
--- stderr
Error: A text has no user name
Hint: add `--kind credential`, or leave `--user` out

"#]]
    );
    assert_data_eq!(
        sandbox.feed("x", "set a --stdin --file b"),
        str![[r#"
exit code 2
--- stderr
Error: the argument '--stdin' cannot be used with '--file <FILE>'

Usage: keystead set --stdin <NAME>

For more information, try '--help'.

"#]]
    );
    assert_data_eq!(
        sandbox.feed("x", "set a --stdin -V nosuch"),
        str![[r#"
exit code 3
--- stderr
Error: No vault `nosuch` is registered
Hint: run `keystead vault list` to see the vaults
Code: E01.no-such-vault

"#]]
    );
    assert_data_eq!(
        Sandbox::installed().feed("x", "set a --stdin"),
        str![[r#"
exit code 1
--- stderr
Error: No vault given and no default vault set
Hint: run `keystead vault register --help` to see how to have a vault
Code: E01.no-default-vault

"#]]
    );
}

#[test]
fn unusual_names_are_accepted() {
    let sandbox = Sandbox::with_work();
    for name in ["*", "a?[b]", "Token", "token", "two words", "grün/鍵", "-dash", "\u{202e}x"] {
        let command = sandbox.command("set --stdin --", &[name]);
        sandbox.answer(command, name.as_bytes()).succeeds();
    }
    for name in ["*", "a?[b]", "Token", "token", "two words", "grün/鍵", "-dash", "\u{202e}x"] {
        assert_eq!(sandbox.run("get --", &[name]).succeeds(), name.as_bytes());
    }
    assert_data_eq!(
        sandbox.run("get", &["two\nlines"]),
        str![[r#"
exit code 2
--- stderr
Error: The argument is neither a secret's name nor a reference
Caused by: a secret's name has the control character U+000A

"#]]
    );
}

#[test]
fn remove_deletes_only_named_secret() {
    let sandbox = Sandbox::with_work();
    sandbox.feed(CANARY, "set a --stdin").succeeds();
    sandbox.feed(CANARY, "set b --stdin").succeeds();
    assert_data_eq!(
        sandbox.run("rm a", &[]),
        str![[r#"
exit code 0
--- stderr
Removed `a` from vault `work`.

"#]]
    );
    assert_data_eq!(
        sandbox.run("remove a", &[]),
        str![[r#"
exit code 3
--- stderr
Error: No secret `a` in vault `work`
Hint: run `keystead list` to see what there is
Code: E12.no-such-secret

"#]]
    );
    assert_data_eq!(
        sandbox.run("remove b --json", &[]),
        str![[r#"
exit code 0
--- stdout
{"schema":1,"name":"b","vault":"work","dry_run":false}

"#]]
    );
}

#[test]
fn set_warns_of_vault_without_file() {
    let sandbox = Sandbox::installed();
    sandbox.run("vault register brief --plugin memory", &[]).succeeds();
    assert_data_eq!(
        sandbox.feed(CANARY, "set a --stdin"),
        str![[r#"
exit code 0
--- stderr
vault `brief`: this vault has no file: what is set is gone when it is closed
Set `a` in vault `brief`.

"#]]
    );
}

//! `--unlock`: answers to unlock prompts in the command line, and the output for missing, wrong or
//! unused answers.

use std::process::Command;

use snapbox::{assert_data_eq, str};

use super::sandbox::{CANARY, Sandbox};

/// Returns a sandbox with a vault and a secret in it. The password of the vault is in the file
/// `pass.given`.
fn safe() -> Sandbox {
    let sandbox = Sandbox::installed();
    std::fs::write(sandbox.here("pass.given"), format!("{CANARY}\n")).unwrap();
    std::fs::write(sandbox.here("wrong.given"), format!("not {CANARY}")).unwrap();
    let words = "vault register safe --plugin memory --param file=safe.secrets \
                 --param locked=file:pass.given";
    sandbox.run(words, &[]).succeeds();
    let set = "set a --stdin --unlock password=file:pass.given";
    sandbox.feed(format!("{CANARY} kept"), set).succeeds();
    sandbox
}

/// Returns a sandbox with a vault that prompts for user and password, then for a code.
fn two_steps(unlock: &[&str]) -> Sandbox {
    let sandbox = Sandbox::empty();
    let file = crate::plugin_files::plugin("user-and-code");
    sandbox.run("plugin install --yes", &[file.to_str().unwrap()]).succeeds();
    sandbox.run("vault register odd --plugin user-and-code", unlock).succeeds();
    sandbox
}

fn with(sandbox: &Sandbox, words: &str, variables: &[(&str, &str)]) -> super::sandbox::Answer {
    let mut command = sandbox.command(words, &[]);
    command.envs(variables.iter().copied());
    sandbox.answer(command, b"")
}

#[test]
fn unlock_option_accepts_any_reference_and_position() {
    let sandbox = safe();
    let kept = format!("{CANARY} kept");
    let env = [("PASS", CANARY)];
    for words in [
        "get a --unlock password=env:PASS",
        "--unlock password=env:PASS get a",
        "get a --unlock=password=file:pass.given --no-input",
        "get a -V safe --unlock password=command:[\"/bin/cat\",\"pass.given\"]",
    ] {
        let words =
            words.replace("pass.given\"]", &format!("{}\"]", sandbox.here("pass.given").display()));
        assert_eq!(with(&sandbox, &words, &env).succeeds(), kept.as_bytes(), "{words}");
    }
    let script = format!(
        "{} get a --unlock password=fd:3 --no-input 3<pass.given",
        env!("CARGO_BIN_EXE_keystead")
    );
    let like = sandbox.command("", &[]);
    let mut shell = Command::new("sh");
    shell.args(["-c", &script]).env_clear().current_dir(like.get_current_dir().unwrap());
    shell.envs(like.get_envs().filter_map(|(name, value)| Some((name, value?))));
    assert_eq!(sandbox.answer(shell, b"").succeeds(), kept.as_bytes());
    for words in ["list", "show a", "vault test safe", "rm a --yes", "vault do safe clear --yes"] {
        let words = format!("{words} --unlock password=env:PASS");
        with(&sandbox, &words, &env).succeeds();
    }
}

#[test]
fn unlock_option_overrides_registered_unlock_reference() {
    let sandbox = safe();
    let words = "vault register safe --plugin memory --param file=safe.secrets --replace \
                 --param locked=file:pass.given --unlock password=file:wrong.given";
    sandbox.run(words, &[]).succeeds();
    assert_data_eq!(
        sandbox.run("get a -V safe", &[]),
        str![[r#"
exit code 1
--- stderr
Error: Vault `safe` answered: the password is wrong
Hint: the answer to `password` came from `file:[ROOT]/here/wrong.given`
Code: E12.denied

"#]]
    );
    sandbox.run("get a -V safe --unlock password=file:pass.given", &[]).succeeds();
}

#[test]
fn locked_error_suggests_missing_unlock_options() {
    let sandbox = two_steps(&["--unlock", "password=env:PASS"]);
    let env = [("PASS", "canary-password"), ("CODE", "canary-code"), ("NAME", "bob")];
    assert_data_eq!(
        with(&sandbox, "get a -V odd", &env),
        str![[r#"
exit code 4
--- stderr
Error: Vault `odd` is locked
Caused by: it asks for `user` (Your name), and prompting is not possible
Hint: run the command in a terminal, or pass `--unlock user=env:VAR` here or to `keystead vault register`
Hint: run `keystead vault unlock odd` in a terminal to unlock it for a limited time
Code: E12.locked

"#]]
    );
    let words = "get a -V odd --no-input --unlock user=env:NAME";
    assert_data_eq!(
        with(&sandbox, words, &env),
        str![[r#"
exit code 4
--- stderr
Error: Vault `odd` is locked
Caused by: it asks for `code` (The code on your device), and prompting is not possible
Hint: run the command in a terminal, or pass `--unlock code=env:VAR` here or to `keystead vault register`
Hint: run `keystead vault unlock odd` in a terminal to unlock it for a limited time
Code: E12.locked

"#]]
    );
    let all = format!("{words} --unlock code=env:CODE");
    assert_eq!(with(&sandbox, &all, &env).succeeds(), b"sound");
    let bare = two_steps(&[]);
    assert_data_eq!(
        bare.run("get a -V odd --json", &[]),
        str![[r#"
exit code 4
--- stderr
{"schema":1,"error":{"code":"E12.locked","exit":4,"message":"vault `odd` is locked","causes":["it asks for `user` (Your name)","it asks for `password`, and prompting is not possible"],"hints":["run the command in a terminal, or pass `--unlock user=env:VAR --unlock password=env:VAR` here or to `keystead vault register`","run `keystead vault unlock odd` in a terminal to unlock it for a limited time"]}}

"#]]
    );
}

#[test]
fn unused_unlock_option_warns_with_prompt_names() {
    let sandbox = safe();
    assert_data_eq!(
        sandbox.run("get a -V safe --unlock pasword=file:pass.given", &[]),
        str![[r#"
exit code 4
--- stderr
Warning: `pasword` of `--unlock` answered nothing: what was asked for is `password`
Error: Vault `safe` is locked
Caused by: it asks for `password`, and prompting is not possible
Hint: run the command in a terminal, or pass `--unlock password=env:VAR` here or to `keystead vault register`
Hint: run `keystead vault unlock safe` in a terminal to unlock it for a limited time
Code: E12.locked

"#]]
    );
    let words = "get a --unlock password=file:pass.given --unlock pin=env:PIN --json";
    assert_data_eq!(
        sandbox.run(words, &[]),
        str![[r#"
exit code 0
--- stdout
{"schema":1,"name":"a","vault":"safe","kind":"text","metadata":{},"value":{"text":"canary-5d1f kept"}}
--- stderr
{"schema":1,"warning":"`pin` of `--unlock` answered nothing: what was asked for is `password`"}

"#]]
    );
    assert_data_eq!(
        sandbox.run("vault list -q --unlock pin=env:PIN", &[]),
        str![[r#"
exit code 0
--- stdout
safe	default	user	memory	isolated (default)	
--- stderr
Warning: `pin` of `--unlock` answered nothing: nothing was asked for

"#]]
    );
}

#[test]
fn unlock_option_with_secret_is_rejected_unprinted() {
    let sandbox = safe();
    for wrong in ["hunter2", "password=hunter2"] {
        let answer = sandbox.run("get a --unlock", &[wrong]);
        answer.ends_with(2);
        assert!(!answer.stderr.contains("hunter2"), "{}", answer.stderr);
    }
    sandbox.run("get a --unlock password=env:A --unlock password=env:B", &[]).ends_with(2);
}

#[test]
fn search_applies_unlock_option_to_default_vault_only() {
    let sandbox = safe();
    let words = "vault register other --plugin memory --param file=other.secrets \
                 --param locked=file:pass.given";
    sandbox.run(words, &[]).succeeds();
    assert_data_eq!(
        sandbox.run("get nosuch --unlock password=file:pass.given", &[]),
        str![[r#"
exit code 5
--- stderr
Error: Vault `other` could not be asked for `nosuch`
Caused by:
  1: vault `other` is locked
  2: it asks for `password`, and prompting is not possible
Hint: run the command in a terminal, or pass `--unlock password=env:VAR` here or to `keystead vault register`
Hint: a search asks for the default vault only: run `keystead vault unlock other` first
Hint: name a vault with `-V VAULT`, or take any that answers with `--any`
Code: E12.search-incomplete

"#]]
    );
}

#[test]
fn unlock_option_works_with_import_and_export() {
    let sandbox = safe();
    let answer = "--unlock password=file:pass.given --no-input";
    let export = format!("export -V safe --yes --output all.given {answer}");
    sandbox.run(&export, &[]).succeeds();
    let import = format!("import all.given -V safe --prefix copy/ --yes {answer}");
    sandbox.run(&import, &[]).succeeds();
    let get = sandbox.run(&format!("get copy/a -V safe {answer}"), &[]);
    assert_eq!(get.succeeds(), format!("{CANARY} kept").as_bytes());
}

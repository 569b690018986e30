//! Operations of a vault itself: test, actions, lock.

use snapbox::{assert_data_eq, str};

use super::sandbox::{CANARY, Sandbox, files};

#[test]
fn vault_test_verbose_prints_vault_rules() {
    let sandbox = Sandbox::installed();
    sandbox.run("plugin install --yes", &[files().to_str().unwrap()]).succeeds();
    sandbox.run("vault register app --plugin files:read-write --yes --param folder=app", &[]);
    assert_data_eq!(
        sandbox.run("vault test app -v", &[]),
        str![[r#"
exit code 0
--- stdout
app: ok
  name equality: unknown; names: at most 255 bytes, what a file can be called
--- stderr
vault `app`: there is no directory yet: the first secret makes it

"#]]
    );
    let long = "n".repeat(256);
    assert_data_eq!(
        sandbox.feed("value", &format!("set {long} --stdin -V app")),
        str![[r#"
exit code 1
--- stderr
Error: Vault `app` answered: its name has 256 bytes; this vault takes 255
Code: E12.unsupported

"#]]
    );
}

#[test]
fn vault_test_checks_all_vaults_and_exits_5_on_failure() {
    let sandbox = Sandbox::with_work();
    sandbox.run("vault register home --plugin memory --param file=home.secrets", &[]).succeeds();
    assert_data_eq!(
        sandbox.run("vault test", &[]),
        str![[r#"
exit code 0
--- stdout
home: ok
work: ok
--- stderr
vault `home`: secrets are kept in clear text in [ROOT]/here/home.secrets
vault `work`: secrets are kept in clear text in [ROOT]/here/work.secrets

"#]]
    );
    std::fs::write(sandbox.here("home.secrets"), "no such format\n").unwrap();
    assert_data_eq!(
        sandbox.run("vault test", &[]),
        str![[r#"
exit code 5
--- stdout
home: failed: vault `home` answered: [ROOT]/here/home.secrets, line 1: it was not written by this plugin
work: ok
--- stderr
vault `home`: secrets are kept in clear text in [ROOT]/here/home.secrets
vault `work`: secrets are kept in clear text in [ROOT]/here/work.secrets

"#]]
    );
    assert_data_eq!(
        sandbox.run("vault test --json", &[]),
        str![[r#"
exit code 5
--- stdout
{"schema":1,"vault":"home","ok":false,"code":"E12.damaged","error":"vault `home` answered: [ROOT]/here/home.secrets, line 1: it was not written by this plugin","rules":null}
{"schema":1,"vault":"work","ok":true,"code":null,"error":null,"rules":{"names":"exact","max_name_bytes":null,"name_grammar":null,"max_value_bytes":null}}
--- stderr
{"schema":1,"log":"secrets are kept in clear text in [ROOT]/here/home.secrets","level":"warning","vault":"home"}
{"schema":1,"log":"secrets are kept in clear text in [ROOT]/here/work.secrets","level":"warning","vault":"work"}

"#]]
    );
    assert_data_eq!(
        sandbox.run("vault test home", &[]),
        str![[r#"
exit code 1
--- stderr
vault `home`: secrets are kept in clear text in [ROOT]/here/home.secrets
Error: Vault `home` answered: [ROOT]/here/home.secrets, line 1: it was not written by this plugin
Code: E12.damaged

"#]]
    );
    assert_data_eq!(
        sandbox.run("vault test nosuch", &[]),
        str![[r#"
exit code 3
--- stderr
Error: No vault `nosuch` is registered
Hint: run `keystead vault list` to see the vaults
Code: E01.no-such-vault

"#]]
    );
}

#[test]
fn destructive_action_requires_confirmation() {
    let sandbox = Sandbox::with_work();
    sandbox.feed(CANARY, "set a --stdin").succeeds();
    assert_data_eq!(
        sandbox.run("vault do work", &[]),
        str![[r#"
exit code 0
--- stdout
clear		destructive	removes every secret

"#]]
    );
    assert_data_eq!(
        sandbox.run("vault do work --json", &[]),
        str![[r#"
exit code 0
--- stdout
{"schema":1,"vault":"work","action":"clear","description":"removes every secret","destructive":true,"parameters":[]}

"#]]
    );
    assert_data_eq!(
        sandbox.run("vault do work clear", &[]),
        str![[r#"
exit code 4
--- stderr
Error: Confirmation needed: Do `clear` in vault `work` (removes every secret)?
Hint: this action is destructive: add `--yes` to run it

"#]]
    );
    assert_data_eq!(
        sandbox.run("vault do work claer", &[]),
        str![[r#"
exit code 3
--- stderr
Error: Vault `work` has no action `claer`
Hint: did you mean `clear`?
Hint: its actions are `clear`
Code: E12.no-such-action

"#]]
    );
    assert_data_eq!(
        sandbox.run("vault do work clear --param x=1 --yes", &[]),
        str![[r#"
exit code 1
--- stderr
Error: 1 parameter of action `clear` is wrong
Caused by: there is no parameter `x`
Hint: run `keystead vault do VAULT` to see the actions and their parameters
Code: E01.parameters

"#]]
    );
    assert_data_eq!(
        sandbox.run("vault do work clear --dry-run --json", &[]),
        str![[r#"
exit code 0
--- stdout
{"schema":1,"vault":"work","action":"clear","permissions":[],"dry_run":true}

"#]]
    );
    assert_data_eq!(
        sandbox.run("vault do work clear --dry-run", &[]),
        str![[r#"
exit code 0
--- stderr
Would do `clear` in vault `work`; nothing was changed

"#]]
    );
    assert_eq!(sandbox.run("get a", &[]).succeeds(), CANARY.as_bytes());
    assert_data_eq!(
        sandbox.run("vault do work clear --yes", &[]),
        str![[r#"
exit code 0
--- stderr
secrets removed: 1

"#]]
    );
    assert_data_eq!(
        sandbox.run("vault do work clear --yes --json", &[]),
        str![[r#"
exit code 0
--- stdout
{"schema":1,"vault":"work","action":"clear","message":"secrets removed: 0"}

"#]]
    );
    sandbox.run("get a", &[]).ends_with(3);
}

#[test]
fn vault_test_of_locked_vault_fails() {
    let sandbox = Sandbox::with_work();
    std::fs::write(sandbox.here("pass.given"), CANARY).unwrap();
    let words = "vault register safe --plugin memory --param file=safe.secrets \
                 --param locked=file:pass.given";
    sandbox.run(words, &[]).succeeds();
    assert_data_eq!(
        sandbox.run("vault test -q", &[]),
        str![[r#"
exit code 5
--- stdout
safe: locked: it asks for `password`; run `keystead vault unlock safe` first
work: ok

"#]]
    );
    assert_data_eq!(
        sandbox.run("vault test --json -q", &[]),
        str![[r#"
exit code 5
--- stdout
{"schema":1,"vault":"safe","ok":false,"code":"E12.locked","error":"vault `safe` is locked","rules":null}
{"schema":1,"vault":"work","ok":true,"code":null,"error":null,"rules":{"names":"exact","max_name_bytes":null,"name_grammar":null,"max_value_bytes":null}}

"#]]
    );
    assert_data_eq!(
        sandbox.run("vault test safe -q", &[]),
        str![[r#"
exit code 4
--- stderr
Error: Vault `safe` is locked
Caused by: it asks for `password`, and prompting is not possible
Hint: run the command in a terminal, or pass `--unlock password=env:VAR` here or to `keystead vault register`
Hint: run `keystead vault unlock safe` in a terminal to unlock it for a limited time
Code: E12.locked

"#]]
    );
    // An answer applies only to the named vault, or to the default vault.
    let answer = "--unlock password=file:pass.given";
    assert_eq!(sandbox.run(&format!("vault test safe -q {answer}"), &[]).succeeds(), b"safe: ok\n");
    sandbox.run(&format!("vault test -q {answer}"), &[]).ends_with(5);
    sandbox.run("vault default safe", &[]).succeeds();
    sandbox.run(&format!("vault test -q {answer}"), &[]).succeeds();

    // The test detects a wrong unlock reference.
    std::fs::write(sandbox.here("wrong.given"), "wrong").unwrap();
    let wrong = "--replace -q --unlock password=file:wrong.given";
    sandbox.run(&format!("{words} {wrong}"), &[]).succeeds();
    let answer = sandbox.run("vault test safe -q", &[]);
    assert!(answer.ends_with(1).stderr.contains("the password is wrong"), "{answer}");
    let right = "--replace -q --unlock password=file:pass.given";
    sandbox.run(&format!("{words} {right}"), &[]).succeeds();
    assert_eq!(sandbox.run("vault test -q", &[]).succeeds(), b"safe: ok\nwork: ok\n");
}

#[test]
fn locked_vault_non_interactive_error_suggests_unlock() {
    let sandbox = Sandbox::installed();
    std::fs::write(sandbox.here("pass.given"), CANARY).unwrap();
    let words = "vault register safe --plugin memory --param file=safe.secrets \
                 --param locked=file:pass.given";
    sandbox.run(words, &[]).succeeds();
    assert_data_eq!(
        sandbox.run("get a", &[]),
        str![[r#"
exit code 4
--- stderr
Error: Vault `safe` is locked
Caused by: it asks for `password`, and prompting is not possible
Hint: run the command in a terminal, or pass `--unlock password=env:VAR` here or to `keystead vault register`
Hint: run `keystead vault unlock safe` in a terminal to unlock it for a limited time
Code: E12.locked

"#]]
    );
    assert_data_eq!(
        sandbox.run("get a -V safe --no-input --json", &[]),
        str![[r#"
exit code 4
--- stderr
{"schema":1,"error":{"code":"E12.locked","exit":4,"message":"vault `safe` is locked","causes":["it asks for `password`, and prompting is not possible"],"hints":["run the command in a terminal, or pass `--unlock password=env:VAR` here or to `keystead vault register`","run `keystead vault unlock safe` in a terminal to unlock it for a limited time"]}}

"#]]
    );
    sandbox.run(&format!("{words} --replace --unlock password=file:pass.given"), &[]).succeeds();
    sandbox.feed(CANARY, "set a --stdin").succeeds();
    assert_eq!(sandbox.run("get a", &[]).succeeds(), CANARY.as_bytes());
    std::fs::write(sandbox.here("wrong.given"), format!("not {CANARY}")).unwrap();
    sandbox.run(&format!("{words} --replace --unlock password=file:wrong.given"), &[]).succeeds();
    assert_data_eq!(
        sandbox.run("get a", &[]),
        str![[r#"
exit code 1
--- stderr
Error: Vault `safe` answered: the password is wrong
Hint: the answer to `password` came from `file:[ROOT]/here/wrong.given`
Code: E12.denied

"#]]
    );
    sandbox.run(&format!("{words} --replace --unlock password=file:nosuch.given"), &[]).succeeds();
    assert_data_eq!(
        sandbox.run("get a", &[]),
        str![[r#"
exit code 1
--- stderr
Error: `password` could not be taken from `file:[ROOT]/here/nosuch.given`: failed to open file `[ROOT]/here/nosuch.given`: No such file or directory (os error 2)
Code: E01.unresolved

"#]]
    );
}

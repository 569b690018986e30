//! `vault register` and the rest of `vault`.

use snapbox::{assert_data_eq, str};

use super::sandbox::{CANARY, Sandbox};

#[test]
fn first_vault_becomes_default_and_is_not_replaced() {
    let sandbox = Sandbox::installed();
    assert_data_eq!(
        sandbox.run("vault default", &[]),
        str![[r#"
exit code 3
--- stderr
Error: There is no default vault
Hint: run `keystead vault default NAME` to set one

"#]]
    );
    assert_data_eq!(
        sandbox.run("vault register one --plugin memory", &[]),
        str![[r#"
exit code 0
--- stderr
Registered vault `one`.
It is the default vault.

"#]]
    );
    assert_data_eq!(
        sandbox.run("vault register two --plugin memory:memory", &[]),
        str![[r#"
exit code 0
--- stderr
Registered vault `two`.

"#]]
    );
    assert_data_eq!(
        sandbox.run("vault default", &[]),
        str![[r#"
exit code 0
--- stdout
one

"#]]
    );
    assert_data_eq!(
        sandbox.run("vault list", &[]),
        str![[r#"
exit code 0
--- stdout
one	default	user	memory	isolated (default)	
two		user	memory:memory	isolated (default)	

"#]]
    );
    assert_data_eq!(
        sandbox.run("vault unregister one", &[]),
        str![[r#"
exit code 0
--- stderr
Unregistered vault `one`; its secrets stay where they are.
There is no default vault now: `keystead vault default NAME` sets one.

"#]]
    );
    assert_data_eq!(
        sandbox.run("vault default --json", &[]),
        str![[r#"
exit code 0
--- stdout
{"schema":1,"default":null,"dry_run":false}

"#]]
    );
    assert_data_eq!(
        sandbox.run("vault default two", &[]),
        str![[r#"
exit code 0
--- stderr
Vault `two` is the default vault.

"#]]
    );
    assert_data_eq!(
        sandbox.run("vault default --clear", &[]),
        str![[r#"
exit code 0
--- stderr
There is no default vault now.

"#]]
    );
    assert_data_eq!(
        sandbox.run("vault default nosuch", &[]),
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
fn register_options_set_default_vault() {
    let sandbox = Sandbox::installed();
    sandbox.run("vault register one --plugin memory --no-default", &[]).succeeds();
    sandbox.run("vault default", &[]).ends_with(3);
    sandbox.run("vault register two --plugin memory --default", &[]).succeeds();
    assert_eq!(sandbox.run("vault default", &[]).succeeds(), b"two\n");
    let mut command = sandbox.command("vault default", &[]);
    command.env("KEYSTEAD_VAULT", "one");
    assert_eq!(sandbox.answer(command, b"").succeeds(), b"one\n");
    let mut command = sandbox.command("vault default", &[]);
    command.env("KEYSTEAD_VAULT", "../x");
    assert_data_eq!(
        sandbox.answer(command, b""),
        str![[r#"
exit code 2
--- stderr
Error: `KEYSTEAD_VAULT` is not a vault's name
Hint: run `keystead vault list` to see the names

"#]]
    );
}

#[test]
fn vault_show_prints_registration() {
    let sandbox = Sandbox::installed();
    let words = "vault register work --plugin memory:memory --param file=work.secrets \
                 --param locked=env:PASS --unlock password=file:/run/pass --no-search \
                 --placement isolated --description";
    assert_data_eq!(
        sandbox.run(words, &["the team's secrets"]),
        str![[r#"
exit code 0
--- stderr
Plugin `memory` as vault `work`:
  may read and write files under [ROOT]/here
Registered vault `work`.
It is the default vault.

"#]]
    );
    assert_data_eq!(
        sandbox.run("vault show work", &[]),
        str![[r#"
exit code 0
--- stdout
Name:         work
Description:  the team's secrets
Default:      yes
Layer:        user
Plugin:       memory:memory
Runs:         isolated (registered)
Searched:     no
Capabilities: write, rename, conditional, metadata, unlock, actions
Parameters:
  file = [ROOT]/here/work.secrets
  locked = from env:PASS
Unlocked with:
  password from file:/run/pass
Granted:
  files:[ROOT]/here/:rw

"#]]
    );
    assert_data_eq!(
        sandbox.run("vault show work --json", &[]),
        str![[r#"
exit code 0
--- stdout
{"schema":1,"name":"work","default":true,"layer":"user","plugin":"memory","kind":"memory","description":"the team's secrets","placement":"isolated","placement_reason":"registered","search":false,"keep_login":false,"locked":false,"capabilities":["write","rename","conditional","metadata","unlock","actions"],"grants":["files:[ROOT]/here/:rw"],"parameters":{"file":"[ROOT]/here/work.secrets","locked":{"from":"env:PASS"}},"unlock":{"password":"file:/run/pass"}}

"#]]
    );
    assert_data_eq!(
        sandbox.run("vault list --json", &[]),
        str![[r#"
exit code 0
--- stdout
{"schema":1,"name":"work","default":true,"layer":"user","plugin":"memory","kind":"memory","description":"the team's secrets","placement":"isolated","placement_reason":"registered","search":false,"unlocked_seconds":null,"error":null}

"#]]
    );
}

#[test]
fn register_reports_all_wrong_parameters_without_values() {
    let sandbox = Sandbox::installed();
    let words = "vault register work --plugin memory --param flie=x --param locked=hunter2";
    assert_data_eq!(
        sandbox.run(words, &[]),
        str![[r#"
exit code 1
--- stderr
Error: 2 parameters of vault `work` are wrong
Caused by:
  1: there is no parameter `flie`
  2: parameter `locked` is secret: it must be a reference, such as `env:NAME`: not a reference: it starts with none of `keystead://`, `env:`, `file:`, `command:`, `fd:`
Hint: did you mean `file`?
Hint: run `keystead plugin show PLUGIN` to see the parameters
Code: E01.parameters

"#]]
    );
    assert_data_eq!(
        sandbox.run("vault register work --plugin memory --param hunter2", &[]),
        str![[r#"
exit code 2
--- stderr
Error: `--param` number 1 is not `NAME=VALUE`

"#]]
    );
    assert_data_eq!(
        sandbox.run("vault register work --plugin memory --unlock password=hunter2", &[]),
        str![[r#"
exit code 2
--- stderr
Error: `--unlock password=...` needs a reference
Caused by: not a reference: it starts with none of `keystead://`, `env:`, `file:`, `command:`, `fd:`
Hint: a reference is `env:VAR`, `file:PATH` or `keystead://VAULT/NAME`

"#]]
    );
    assert_eq!(sandbox.run("vault list", &[]).succeeds(), b"");
}

#[test]
fn register_of_existing_name_requires_replace() {
    let sandbox = Sandbox::with_work();
    assert_data_eq!(
        sandbox.run("vault register WORK --plugin memory", &[]),
        str![[r#"
exit code 1
--- stderr
Error: Vault `WORK` is already registered, in `[ROOT]/home/.config/keystead/vaults/work.toml`
Hint: run `keystead vault show WORK` to see it
Hint: add `--replace` to take its place
Code: E01.exists

"#]]
    );
    assert_data_eq!(
        sandbox.run("vault register work --plugin memory --replace", &[]),
        str![[r#"
exit code 0
--- stderr
Registered vault `work`.

"#]]
    );
    assert_data_eq!(
        sandbox.run("vault show work", &[]),
        str![[r#"
exit code 0
--- stdout
Name:         work
Default:      yes
Layer:        user
Plugin:       memory
Runs:         isolated (default)
Searched:     yes
Capabilities: write, rename, conditional, metadata, unlock, actions

"#]]
    );
}

#[test]
fn register_with_unknown_plugin_kind_or_name_is_rejected() {
    let sandbox = Sandbox::installed();
    assert_data_eq!(
        sandbox.run("vault register a --plugin nosuch", &[]),
        str![[r#"
exit code 3
--- stderr
Error: No plugin `nosuch` is installed
Hint: run `keystead plugin list` to see the plugins
Hint: run `keystead plugin install FILE` to install one
Code: E03.not-pinned

"#]]
    );
    assert_data_eq!(
        sandbox.run("vault register a --plugin memory:nosuch", &[]),
        str![[r#"
exit code 3
--- stderr
Error: Plugin `memory` has no kind of vault `nosuch`
Hint: its kinds are `memory`
Code: E01.no-such-kind

"#]]
    );
    assert_data_eq!(
        sandbox.run("vault register ../a --plugin memory", &[]),
        str![[r#"
exit code 2
--- stderr
Error: invalid value '../a' for '<NAME>': a vault's name is 1 to 64 letters, digits, dots, dashes or underscores, and starts with a letter or digit

For more information, try '--help'.

"#]]
    );
    assert_data_eq!(
        sandbox.run("vault register a --plugin memory --placement in-process", &[]),
        str![[r#"
exit code 1
--- stderr
Error: Plugin `memory` is not allowed to run in-process
Hint: leave `--placement` out, or run `keystead plugin trust memory --danger-in-process`
Code: E07.in-process-forbidden

"#]]
    );
}

#[test]
fn register_dry_run_changes_nothing() {
    let sandbox = Sandbox::installed();
    let words = "vault register work --plugin memory --param file=x.secrets --dry-run";
    assert_data_eq!(
        sandbox.run(words, &[]),
        str![[r#"
exit code 0
--- stderr
Plugin `memory` as vault `work`:
  may read and write files under [ROOT]/here
Would register vault `work`; nothing was changed

"#]]
    );
    assert_data_eq!(
        sandbox.run(words, &["--json"]),
        str![[r#"
exit code 0
--- stdout
{"schema":1,"name":"work","layer":"user","plugin":"memory","permissions":["may read and write files under [ROOT]/here"],"default":true,"dry_run":true}

"#]]
    );
    assert_eq!(sandbox.run("vault list", &[]).succeeds(), b"");
    sandbox.run("vault register work --plugin memory", &[]).succeeds();
    assert_data_eq!(
        sandbox.run("vault unregister work --dry-run", &[]),
        str![[r#"
exit code 0
--- stderr
Would unregister vault `work`; nothing was changed

"#]]
    );
    assert_data_eq!(
        sandbox.run("vault default --clear --dry-run", &[]),
        str![[r#"
exit code 0
--- stderr
Would clear the default vault; nothing was changed

"#]]
    );
    assert_eq!(sandbox.run("vault default", &[]).succeeds(), b"work\n");
}

#[test]
fn unregister_keeps_secrets() {
    let sandbox = Sandbox::with_work();
    sandbox.feed(CANARY, "set a --stdin").succeeds();
    sandbox.run("vault unregister work", &[]).succeeds();
    sandbox.run("vault register again --plugin memory --param file=work.secrets", &[]).succeeds();
    assert_eq!(sandbox.run("get a", &[]).succeeds(), CANARY.as_bytes());
    assert_data_eq!(
        sandbox.run("vault unregister nosuch", &[]),
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
fn malformed_registration_hides_no_other_vault() {
    let sandbox = Sandbox::with_work();
    let file = sandbox.root().join("home/.config/keystead/vaults/broken.toml");
    std::fs::write(file, "plugin = \n").unwrap();
    assert_data_eq!(
        sandbox.run("vault list", &[]),
        str![[r#"
exit code 5
--- stdout
broken		user			
work	default	user	memory	isolated (default)	
--- stderr
Warning: vault `broken` is broken: `[ROOT]/home/.config/keystead/vaults/broken.toml`, line 1, column 10: string values must be quoted, expected literal string

"#]]
    );
    assert_data_eq!(
        sandbox.run("vault show broken", &[]),
        str![[r#"
exit code 1
--- stderr
Error: `[ROOT]/home/.config/keystead/vaults/broken.toml`, line 1, column 10: string values must be quoted, expected literal string
Code: E01.not-toml

"#]]
    );
    assert_data_eq!(
        sandbox.run("vault test", &[]),
        str![[r#"
exit code 5
--- stdout
broken: failed: `[ROOT]/home/.config/keystead/vaults/broken.toml`, line 1, column 10: string values must be quoted, expected literal string
work: ok
--- stderr
vault `work`: secrets are kept in clear text in [ROOT]/here/work.secrets

"#]]
    );
}

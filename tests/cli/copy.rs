//! `copy` and `move`.

use snapbox::{assert_data_eq, str};

use super::sandbox::{CANARY, Sandbox};
use crate::plugin_files;

/// Returns a home with the vaults `work`, which has three secrets, and `home`, empty.
fn two_vaults() -> Sandbox {
    let sandbox = Sandbox::with_work();
    sandbox.run("vault register home --plugin memory --param file=home.secrets", &[]).succeeds();
    sandbox.feed(CANARY, "set db/password --stdin --meta env=dev").succeeds();
    sandbox.feed(CANARY, "set db/user --stdin --user bob").succeeds();
    sandbox.feed(CANARY, "set token --kind bytes --stdin").succeeds();
    sandbox
}

fn get(sandbox: &Sandbox, words: &str) -> String {
    String::from_utf8(sandbox.run(&format!("get -q {words}"), &[]).succeeds().to_vec()).unwrap()
}

#[test]
fn copy_with_pattern_leaves_equal_secrets_unchanged() {
    let sandbox = two_vaults();
    assert_data_eq!(
        sandbox.run("cp db/* --from work --to home", &[]),
        str![[r#"
exit code 0
--- stderr
Copied 2 secrets from vault `work` to vault `home`.

"#]]
    );
    assert_data_eq!(
        sandbox.run("cp -q * --from work --to home --json", &[]),
        str![[r#"
exit code 0
--- stdout
{"schema":1,"name":"db/password","from":"work","to":"home","as":"db/password","action":"unchanged","replaced":false,"dry_run":false}
{"schema":1,"name":"db/user","from":"work","to":"home","as":"db/user","action":"unchanged","replaced":false,"dry_run":false}
{"schema":1,"name":"token","from":"work","to":"home","as":"token","action":"copy","replaced":false,"dry_run":false}

"#]]
    );
    assert_data_eq!(
        sandbox.run("ls -q", &[]),
        str![[r#"
exit code 0
--- stdout
db/password	home	text	env=dev
db/password	work	text	env=dev
db/user	home	credential	
db/user	work	credential	
token	home	bytes	
token	work	bytes	

"#]]
    );
    assert_eq!(get(&sandbox, "db/password -V home"), CANARY);
    assert_data_eq!(
        sandbox.run("cp db/* --from work --to home", &[]),
        str![[r#"
exit code 0
--- stderr
Copied nothing from vault `work` to vault `home`, 2 there already.

"#]]
    );
    assert_data_eq!(
        sandbox.run("cp token --from work --to home", &[]),
        str![[r#"
exit code 0
--- stderr
`token` is in vault `home` already.

"#]]
    );
}

#[test]
fn transfer_dry_run_prints_plan() {
    let sandbox = two_vaults();
    sandbox.feed("other-canary-5d1f", "set db/user -V home --stdin").succeeds();
    assert_data_eq!(
        sandbox.run("copy * --from work --to home --dry-run", &[]),
        str![[r#"
exit code 1
--- stdout
db/password	db/password	copy	
db/user	db/user	refused	a different secret `db/user` exists
token	token	copy	
--- stderr
Error: Nothing was written: vault `home` cannot have 1 of 3 secrets
Caused by: `db/user`: a different secret `db/user` exists
Hint: add `--replace` to replace what is there
Hint: add `--skip` to leave these out and do the rest
Code: E12.transfer-refused

"#]]
    );
    assert_data_eq!(
        sandbox.run("move * --from work --to home --dry-run --skip --json", &[]),
        str![[r#"
exit code 5
--- stdout
{"schema":1,"name":"db/password","from":"work","to":"home","as":"db/password","action":"move","replaced":false,"dry_run":true}
{"schema":1,"name":"db/user","from":"work","to":"home","as":"db/user","action":"refused","replaced":false,"reasons":["a different secret `db/user` exists"],"dry_run":true}
{"schema":1,"name":"token","from":"work","to":"home","as":"token","action":"move","replaced":false,"dry_run":true}

"#]]
    );
    assert_data_eq!(
        sandbox.run("move * --from work --to home --dry-run --replace", &[]),
        str![[r#"
exit code 0
--- stdout
db/password	db/password	move	
db/user	db/user	replace	
token	token	move	
--- stderr
Would move 3 secrets from vault `work` to vault `home`, 1 replaced; nothing was changed

"#]]
    );
    assert_data_eq!(
        sandbox.run("ls -q -V home", &[]),
        str![[r#"
exit code 0
--- stdout
db/user	home	text	

"#]]
    );
}

#[test]
fn rejected_secret_blocks_transfer_unless_skipped() {
    let sandbox = two_vaults();
    sandbox.feed("other-canary-5d1f", "set db/user -V home --stdin").succeeds();
    assert_data_eq!(
        sandbox.run("move * --from work --to home", &[]),
        str![[r#"
exit code 1
--- stderr
Error: Nothing was written: vault `home` cannot have 1 of 3 secrets
Caused by: `db/user`: a different secret `db/user` exists
Hint: add `--replace` to replace what is there
Hint: add `--skip` to leave these out and do the rest
Code: E12.transfer-refused

"#]]
    );
    assert_data_eq!(
        sandbox.run("move * --from work --to home --json", &[]),
        str![[r#"
exit code 1
--- stderr
{"schema":1,"error":{"code":"E12.transfer-refused","exit":1,"message":"nothing was written: vault `home` cannot have 1 of 3 secrets","causes":["`db/user`: a different secret `db/user` exists"],"hints":["add `--replace` to replace what is there","add `--skip` to leave these out and do the rest"]}}

"#]]
    );
    assert_data_eq!(
        sandbox.run("ls -q -V home", &[]),
        str![[r#"
exit code 0
--- stdout
db/user	home	text	

"#]]
    );
    assert_data_eq!(
        sandbox.run("move * --from work --to home --skip", &[]),
        str![[r#"
exit code 5
--- stderr
Warning: `db/user`: a different secret `db/user` exists
Moved 2 secrets from vault `work` to vault `home`, 1 refused.

"#]]
    );
    assert_data_eq!(
        sandbox.run("ls -q", &[]),
        str![[r#"
exit code 0
--- stdout
db/password	home	text	env=dev
db/user	home	text	
db/user	work	credential	
token	home	bytes	

"#]]
    );
}

#[test]
fn replacing_several_secrets_requires_confirmation() {
    let sandbox = two_vaults();
    for name in ["db/user", "token"] {
        sandbox.feed("other-canary-5d1f", &format!("set {name} -V home --stdin")).succeeds();
    }
    assert_data_eq!(
        sandbox.run("move * --from work --to home --replace", &[]),
        str![[r#"
exit code 4
--- stderr
Error: Confirmation needed: Replace 2 secrets in vault `home`?
Hint: add `--yes` to replace them, or `--dry-run` to see which they are

"#]]
    );
    assert_data_eq!(
        sandbox.run("move token --from work --to home --replace", &[]),
        str![[r#"
exit code 0
--- stderr
Moved `token` from vault `work` to vault `home`.

"#]]
    );
    assert_data_eq!(
        sandbox.run("move * --from work --to home --replace --yes --json", &[]),
        str![[r#"
exit code 0
--- stdout
{"schema":1,"name":"db/password","from":"work","to":"home","as":"db/password","action":"move","replaced":false,"dry_run":false}
{"schema":1,"name":"db/user","from":"work","to":"home","as":"db/user","action":"move","replaced":true,"dry_run":false}

"#]]
    );
    assert_eq!(get(&sandbox, "token"), CANARY);
    assert_data_eq!(
        sandbox.run("ls -q", &[]),
        str![[r#"
exit code 0
--- stdout
db/password	home	text	env=dev
db/user	home	credential	
token	home	bytes	

"#]]
    );
}

#[test]
fn copy_and_move_with_as_rename_secret() {
    let sandbox = two_vaults();
    assert_data_eq!(
        sandbox.run("mv db/user --as db/login", &[]),
        str![[r#"
exit code 0
--- stderr
Moved `db/user` to `db/login` in vault `work`.

"#]]
    );
    assert_data_eq!(
        sandbox.run("mv db/login -V work --as login", &[]),
        str![[r#"
exit code 0
--- stderr
Moved `db/login` to `login` in vault `work`.

"#]]
    );
    assert_data_eq!(
        sandbox.run("cp login --from work --to home --as user --without-metadata", &[]),
        str![[r#"
exit code 0
--- stderr
Copied `login` without metadata from vault `work` to `user` in vault `home`.

"#]]
    );
    assert_data_eq!(
        sandbox.run("cp login --from work --to home --as user --dry-run", &[]),
        str![[r#"
exit code 0
--- stdout
login	user	unchanged	
--- stderr
`user` is in vault `home` already; nothing was changed

"#]]
    );
    assert_data_eq!(
        sandbox.run("ls -q", &[]),
        str![[r#"
exit code 0
--- stdout
db/password	work	text	env=dev
login	work	credential	
token	work	bytes	
user	home	credential	

"#]]
    );
}

#[test]
fn transfer_with_unclear_vaults_or_names_is_rejected() {
    let sandbox = two_vaults();
    assert_data_eq!(
        sandbox.run("cp token", &[]),
        str![[r#"
exit code 2
--- stderr
Error: Both vaults must be named
Hint: add `--from VAULT --to VAULT`, or a new name for one secret in its vault

"#]]
    );
    assert_data_eq!(
        sandbox.run("cp token -V work", &[]),
        str![[r#"
exit code 2
--- stderr
Error: Both vaults must be named
Hint: add `--from VAULT --to VAULT`, or a new name for one secret in its vault

"#]]
    );
    assert_data_eq!(
        sandbox.run("cp token --from work", &[]),
        str![[r#"
exit code 2
--- stderr
Error: the following required arguments were not provided:
  --to <VAULT>

Usage: keystead copy --from <VAULT> --to <VAULT> <PATTERN> [NEW]

For more information, try '--help'.

"#]]
    );
    assert_data_eq!(
        sandbox.run("cp token --from work --to wrok", &[]),
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
        sandbox.run("cp token --from work --to work", &[]),
        str![[r#"
exit code 1
--- stderr
Error: `token` in vault `work` is both source and destination
Hint: add another name: `keystead copy NAME NEW`
Code: E12.onto-itself

"#]]
    );
    assert_data_eq!(
        sandbox.run("cp db/* --from work --to home --as x", &[]),
        str![[r#"
exit code 1
--- stderr
Error: `db/*` matches 2 secrets, which cannot all have one new name
Hint: leave the new name out, or name one secret
Code: E12.several

"#]]
    );
    assert_data_eq!(
        sandbox.run("cp x* --from work --to home", &[]),
        str![[r#"
exit code 3
--- stderr
Error: No secret in vault `work` matches `x*`
Hint: run `keystead list -V work` to see what there is
Code: E12.no-match

"#]]
    );
    assert_data_eq!(
        sandbox.run("cp x --from work --to home --json", &[]),
        str![[r#"
exit code 3
--- stderr
{"schema":1,"error":{"code":"E12.no-such-secret","exit":3,"message":"no secret `x` in vault `work`","causes":[],"hints":["run `keystead list` to see what there is"]}}

"#]]
    );
}

#[test]
fn destination_failing_midway_exits_5_with_warnings() {
    let sandbox = two_vaults();
    let full = plugin_files::plugin("fails-third");
    sandbox.run("plugin install --yes", &[full.to_str().unwrap()]).succeeds();
    sandbox.run("vault register full --plugin fails-third", &[]).succeeds();
    sandbox.feed(CANARY, "set z --stdin").succeeds();
    assert_data_eq!(
        sandbox.run("mv * --from work --to full", &[]),
        str![[r#"
exit code 5
--- stderr
Warning: `token`: vault `full` answered: the disk is full
Moved 3 secrets from vault `work` to vault `full`, 1 failed.

"#]]
    );
    assert_data_eq!(
        sandbox.run("ls -q -V work", &[]),
        str![[r#"
exit code 0
--- stdout
token	work	bytes	

"#]]
    );
    let lies = plugin_files::plugin("keeps-another");
    sandbox.run("plugin install --yes", &[lies.to_str().unwrap()]).succeeds();
    sandbox.run("vault register lies --plugin keeps-another", &[]).succeeds();
    assert_data_eq!(
        sandbox.run("mv token --from work --to lies", &[]),
        str![[r#"
exit code 1
--- stderr
Error: Vault `lies` did not return `token` as written; the source still has it
Hint: run `keystead show token -V lies` to see what is there
Code: E12.not-kept

"#]]
    );
    assert_data_eq!(
        sandbox.run("mv token --from work --to lies --json", &[]),
        str![[r#"
exit code 1
--- stdout
{"schema":1,"name":"token","from":"work","to":"lies","as":"token","action":"failed","replaced":false,"error":{"code":"E12.not-kept","message":"vault `lies` did not return `token` as written; the source still has it"},"dry_run":false}
--- stderr
{"schema":1,"error":{"code":"E12.not-kept","exit":1,"message":"vault `lies` did not return `token` as written; the source still has it","causes":[],"hints":["run `keystead show token -V lies` to see what is there"]}}

"#]]
    );
    assert_eq!(get(&sandbox, "token"), CANARY);
}

#[test]
fn unsupported_secrets_are_rejected_with_reason_each() {
    let sandbox = two_vaults();
    let little = plugin_files::plugin("in-order");
    sandbox.run("plugin install --yes", &[little.to_str().unwrap()]).succeeds();
    sandbox.run("vault register little --plugin in-order", &[]).succeeds();
    assert_data_eq!(
        sandbox.run("cp * --from work --to little", &[]),
        str![[r#"
exit code 1
--- stderr
Error: Nothing was written: vault `little` cannot have 2 of 3 secrets
Caused by:
  1: `db/password`: it has metadata, and this vault keeps none
  2: `db/user`: this vault cannot hold a value of kind credential
Hint: add `--without-metadata` to leave metadata behind
Hint: add `--skip` to leave these out and do the rest
Code: E12.transfer-refused

"#]]
    );
}

#[test]
fn transfer_with_locked_vault_non_interactive_exits_4() {
    let sandbox = two_vaults();
    std::fs::write(sandbox.here("password.given"), CANARY).unwrap();
    let locked = format!("locked=file:{}", sandbox.here("password.given").display());
    sandbox
        .run(
            "vault register locked --plugin memory --param file=locked.secrets",
            &["--param", &locked],
        )
        .succeeds();
    assert_data_eq!(
        sandbox.run("cp token --from work --to locked", &[]),
        str![[r#"
exit code 4
--- stderr
Error: Vault `locked` is locked
Caused by: it asks for `password`, and prompting is not possible
Hint: run the command in a terminal, or pass `--unlock password=env:VAR` here or to `keystead vault register`
Hint: run `keystead vault unlock locked` in a terminal to unlock it for a limited time
Code: E12.locked

"#]]
    );
    assert_data_eq!(
        sandbox.run("mv token --from locked --to work", &[]),
        str![[r#"
exit code 4
--- stderr
Error: Vault `locked` is locked
Caused by: it asks for `password`, and prompting is not possible
Hint: run the command in a terminal, or pass `--unlock password=env:VAR` here or to `keystead vault register`
Hint: run `keystead vault unlock locked` in a terminal to unlock it for a limited time
Code: E12.locked

"#]]
    );
}

#[test]
fn second_name_renames_or_copies_within_vault() {
    let sandbox = two_vaults();
    sandbox.feed(CANARY, "set token -V home --stdin").succeeds();
    assert_data_eq!(
        sandbox.run("mv db/password db/pass", &[]),
        str![[r#"
exit code 0
--- stderr
Moved `db/password` to `db/pass` in vault `work`.

"#]]
    );
    sandbox.run("get db/password -V work", &[]).ends_with(3);
    sandbox.run("cp db/pass db/copy -V work", &[]).succeeds();
    sandbox.run("mv token key -V home", &[]).succeeds();
    sandbox.run("cp db/user user --from work --to home", &[]).succeeds();
    for words in ["db/pass -V work", "db/copy -V work", "key -V home", "user -V home"] {
        assert_eq!(get(&sandbox, words), CANARY, "{words}");
    }
    let shown = sandbox.run("show db/copy --json", &[]);
    assert!(String::from_utf8_lossy(shown.succeeds()).contains("\"env\":\"dev\""), "{shown}");
    sandbox.feed("another", "set db/copy --stdin").succeeds();
    // An existing destination stays unchanged, however the command names it.
    for words in
        ["mv db/pass db/copy", "cp db/pass db/copy", "mv db/* one", "mv token other --as x"]
    {
        assert_ne!(sandbox.run(words, &[]).status, 0, "{words}");
    }
    assert_eq!(get(&sandbox, "db/pass"), CANARY);
}

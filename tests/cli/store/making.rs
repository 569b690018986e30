//! A registration makes no vault; the first secret does.

use std::path::Path;

use snapbox::{assert_data_eq, str};

use super::super::prompt::end;
use super::{CANARY, Home, answer};

#[test]
fn registered_vault_is_not_created_before_first_secret() {
    let home = Home::new();
    assert_data_eq!(
        home.0.run("vault register Safe --plugin store", &[]),
        str![[r#"
exit code 0
--- stderr
Plugin `store` as vault `Safe`:
  may read and write files under [ROOT]/home/.local/share/keystead/store/safe
Registered vault `Safe`.
It is the default vault.

"#]]
    );
    assert_data_eq!(
        home.0.run("vault show safe", &[]),
        str![[r#"
exit code 0
--- stdout
Name:         Safe
Default:      yes
Layer:        user
Plugin:       store
Runs:         isolated (default)
Searched:     yes
Capabilities: write, rename, conditional, metadata, unlock, actions
Parameters:
  path = [ROOT]/home/.local/share/keystead/store/safe
Granted:
  files:[ROOT]/home/.local/share/keystead/store/safe/:rw

"#]]
    );
    assert!(!home.dir("safe").exists());
    assert_data_eq!(
        home.0.run("list", &[]),
        str![[r#"
exit code 0

"#]]
    );
    assert_data_eq!(
        home.0.run("get a", &[]),
        str![[r#"
exit code 3
--- stderr
Error: No secret `a` in vault `Safe`
Hint: run `keystead list` to see what there is
Code: E12.no-such-secret

"#]]
    );
    assert_data_eq!(
        home.0.run("vault test safe", &[]),
        str![[r#"
exit code 0
--- stdout
safe: ok
--- stderr
vault `Safe`: there is no vault yet: the first secret makes it

"#]]
    );
    assert_data_eq!(
        home.0.run("vault do safe slots", &[]),
        str![[r#"
exit code 1
--- stderr
Error: Vault `Safe` answered: there is no vault yet: the first secret makes it
Code: E12.unavailable

"#]]
    );
    assert_data_eq!(
        home.0.run("vault unlock safe", &[]),
        str![[r#"
exit code 0
--- stderr
Vault `safe` does not need unlocking.

"#]]
    );
    assert_data_eq!(
        home.0.feed("x", "set a --stdin"),
        str![[r#"
exit code 4
--- stderr
Error: Vault `Safe` is locked
Caused by: it asks for `password` (Password for the new vault), and prompting is not possible
Hint: run the command in a terminal, or pass `--unlock password=env:VAR` here or to `keystead vault register`
Hint: run `keystead vault unlock Safe` in a terminal to unlock it for a limited time
Code: E12.locked

"#]]
    );
    assert!(!home.dir("safe").exists(), "nobody chose a password");
}

#[test]
fn new_password_is_prompted_until_equal_and_not_empty() {
    let home = Home::new();
    home.0.run("vault register safe --plugin store", &[]).succeeds();
    let mut session = home.terminal("set a --file secret.given");
    std::fs::write(home.0.here("secret.given"), CANARY).unwrap();
    answer(&mut session, "Password for the new vault: ", CANARY);
    answer(&mut session, "Password for the new vault again: ", "another");
    session.exp_string("The entries do not match.").unwrap();
    answer(&mut session, "Password for the new vault: ", "");
    answer(&mut session, "Password for the new vault again: ", "");
    session.exp_string("an empty password protects nothing. Try again.").unwrap();
    assert!(holds_nothing(&home.dir("safe")));
    answer(&mut session, "Password for the new vault: ", CANARY);
    answer(&mut session, "Password for the new vault again: ", CANARY);
    let (rest, code) = end(session);
    assert!(rest.contains("Set `a` in vault `safe`."), "{rest}");
    assert!(!rest.contains(CANARY), "{rest}");
    assert_eq!(code, 0, "{rest}");
    assert_eq!(home.with(CANARY, "get a").succeeds(), CANARY.as_bytes());
    home.0.check_files();

    // From now on there is one prompt.
    let mut session = home.terminal("get nosuch");
    session.exp_string("Vault `safe` is locked.").unwrap();
    answer(&mut session, "Password: ", CANARY);
    assert_eq!(end(session).1, 3);
}

#[test]
fn cancelled_password_prompt_creates_no_vault() {
    let home = Home::new();
    home.0.run("vault register safe --plugin store", &[]).succeeds();
    std::fs::write(home.0.here("secret.given"), CANARY).unwrap();
    let mut session = home.terminal("set a --file secret.given");
    session.exp_string("Password for the new vault: ").unwrap();
    session.send_control('c').unwrap();
    assert_eq!(end(session).1, 130);
    assert!(holds_nothing(&home.dir("safe")));
}

#[test]
fn new_password_is_taken_from_unlock_reference() {
    let home = Home::new();
    home.0.run("vault register safe --plugin store", &[]).succeeds();
    assert_data_eq!(
        home.with("", "set a --stdin --allow-empty"),
        str![[r#"
exit code 1
--- stderr
Error: Vault `safe` answered: an empty password protects nothing
Hint: the answer to `password` came from `env:PW`
Code: E12.denied

"#]]
    );
    assert!(!home.dir("safe").exists());
    assert_data_eq!(
        home.with(CANARY, "set a --stdin --allow-empty"),
        str![[r#"
exit code 0
--- stderr
Set `a` in vault `safe`.

"#]]
    );
    assert_eq!(home.with(CANARY, "get a").succeeds(), b"");
    assert_data_eq!(
        home.with(CANARY, "vault do safe slots --json"),
        str![[r#"
exit code 0
--- stdout
{"schema":1,"vault":"safe","action":"slots","message":"","value":{"text":"slot 1: password (Argon2id, 64 MiB, [..] passes)/n"}}

"#]]
    );
}

#[test]
fn key_file_is_created_with_vault_without_prompt() {
    let home = Home::new();
    let register = "vault register safe --plugin store --param key-file=keys/work.key";
    assert_data_eq!(
        home.0.run(register, &[]),
        str![[r#"
exit code 0
--- stderr
Plugin `store` as vault `safe`:
  may read and write files under [ROOT]/here/keys/work.key
  may read and write files under [ROOT]/home/.local/share/keystead/store/safe
Registered vault `safe`.
It is the default vault.

"#]]
    );
    home.0.feed(CANARY, "set a --stdin --no-input").succeeds();
    assert_eq!(home.0.run("get a --no-input", &[]).succeeds(), CANARY.as_bytes());
    assert_data_eq!(
        home.0.run("vault do safe slots", &[]),
        str![[r#"
exit code 0
--- stdout
slot 1: key file

"#]]
    );
    assert_data_eq!(
        home.0.run("vault lock safe", &[]),
        str![[r#"
exit code 0
--- stderr
Vault `safe` was not unlocked.

"#]]
    );
}

#[test]
fn case_sensitive_vault_stays_case_sensitive() {
    let home = Home::new();
    let register = "vault register safe --plugin store --param key-file=work.key \
                    --param case-sensitive=true";
    home.0.run(register, &[]).succeeds();
    home.0.feed("1", "set Token --stdin").succeeds();
    home.0.feed("2", "set TOKEN --stdin").succeeds();
    assert_eq!(home.0.run("get Token", &[]).succeeds(), b"1");
    assert_eq!(home.0.run("get TOKEN", &[]).succeeds(), b"2");
    home.0.run("get token", &[]).ends_with(3);
    // The rule for names was set when the vault was made.
    let otherwise = "vault register safe --plugin store --param key-file=work.key --replace";
    home.0.run(otherwise, &[]).succeeds();
    assert_eq!(home.0.run("get TOKEN", &[]).succeeds(), b"2");
    home.0.run("get token", &[]).ends_with(3);
}

/// Returns whether the vault was not made: its directory is missing or empty.
fn holds_nothing(dir: &Path) -> bool {
    std::fs::read_dir(dir).is_ok_and(|mut found| found.next().is_none()) || !dir.exists()
}

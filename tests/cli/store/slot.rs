//! Key slots are added, changed and removed, and the last one stays.

use snapbox::{assert_data_eq, str};

use super::super::prompt::end;
use super::{CANARY, Home, answer};

#[test]
fn changed_password_replaces_old_password() {
    let home = Home::with_password();
    let mut session = home.terminal("vault do safe change-password");
    answer(&mut session, "Password: ", CANARY);
    answer(&mut session, "New password: ", "canary-new");
    answer(&mut session, "New password again: ", "canary-newt");
    session.exp_string("The entries do not match.").unwrap();
    answer(&mut session, "New password: ", "");
    answer(&mut session, "New password again: ", "");
    session.exp_string("an empty password protects nothing. Try again.").unwrap();
    answer(&mut session, "New password: ", "canary-new");
    answer(&mut session, "New password again: ", "canary-new");
    let (rest, code) = end(session);
    assert!(rest.contains("the password was changed"), "{rest}");
    assert_eq!(code, 0, "{rest}");
    home.with(CANARY, "get a").ends_with(1);
    assert_eq!(home.with("canary-new", "get a").succeeds(), b"");
    assert_data_eq!(
        home.with("canary-new", "vault do safe slots --json"),
        str![[r#"
exit code 0
--- stdout
{"schema":1,"vault":"safe","action":"slots","message":"","value":{"text":"slot 2: password (Argon2id, 64 MiB, [..] passes)/n"}}

"#]]
    );
}

#[test]
fn cancelled_password_change_keeps_old_password() {
    let home = Home::with_password();
    let mut session = home.terminal("vault do safe change-password");
    answer(&mut session, "Password: ", CANARY);
    answer(&mut session, "New password: ", "canary-new");
    session.exp_string("New password again: ").unwrap();
    session.send_control('c').unwrap();
    assert_eq!(end(session).1, 130);
    home.with(CANARY, "get a").succeeds();
}

/// The answer for the old password must not answer the prompt for the new one. Otherwise the
/// command would report a change without making one.
#[test]
fn unlock_reference_never_answers_new_password_prompt() {
    let home = Home::with_password();
    std::fs::write(home.0.here("pass.given"), CANARY).unwrap();
    let register = "vault register safe --plugin store --unlock password=file:pass.given --replace";
    home.0.run(register, &[]).succeeds();
    for action in ["change-password", "add-password"] {
        let answer = home.0.run("vault do safe --no-input", &[action]);
        answer.ends_with(4);
        assert!(answer.stderr.contains("it asks for `new-password`"), "{answer}");
    }
    let change = "vault do safe change-password --unlock new-password=env:NEW";
    home.run_with(&[("NEW", "canary-new")], change).succeeds();
    home.0.run("get a", &[]).ends_with(1);
    home.with("canary-new", "get a").succeeds();
}

#[test]
fn last_key_slot_cannot_be_removed() {
    let home = Home::with_password();
    let new = [("PW", CANARY), ("NEW", "canary-second")];
    let run = |words: &str| {
        home.run_with(&new, &format!("vault do safe {words} --unlock password=env:PW"))
    };
    assert_data_eq!(
        run("add-password --param password=env:NEW --param label=ann"),
        str![[r#"
exit code 0
--- stderr
added slot 2: password (Argon2id, 64 MiB, [..] passes), `ann`

"#]]
    );
    assert_data_eq!(
        run("add-key-file --param file=work.key"),
        str![[r#"
exit code 0
--- stderr
added slot 3: key file; register the vault with `key-file=[ROOT]/here/work.key` so that it is used

"#]]
    );
    assert_data_eq!(
        run("add-key-file --param file=work.key"),
        str![[r#"
exit code 1
--- stderr
Error: Vault `safe` answered: this key file opens the vault already
Code: E12.invalid

"#]]
    );
    run("add-recovery-code").succeeds();
    assert_data_eq!(
        run("slots"),
        str![[r#"
exit code 0
--- stdout
slot 1: password (Argon2id, 64 MiB, [..] passes)
slot 2: password (Argon2id, 64 MiB, [..] passes), `ann`
slot 3: key file
slot 4: recovery code

"#]]
    );
    home.with("canary-second", "get a").succeeds();

    // The command changes the password that unlocked the vault.
    let change = "vault do safe change-password --param password=env:THIRD";
    let words = format!("{change} --unlock password=env:NEW");
    home.run_with(&[("NEW", "canary-second"), ("THIRD", "canary-third")], &words).succeeds();
    home.with("canary-second", "get a").ends_with(1);
    home.with(CANARY, "get a").succeeds();
    home.with("canary-third", "get a").succeeds();

    assert_data_eq!(
        run("remove-slot --param slot=1"),
        str![[r#"
exit code 4
--- stderr
Warning: `password` of `--unlock` answered nothing: nothing was asked for
Error: Confirmation needed: Do `remove-slot` in vault `safe` (takes away one of the ways in; never the last one)?
Hint: this action is destructive: add `--yes` to run it

"#]]
    );
    assert_data_eq!(
        run("remove-slot --param slot=99 --yes"),
        str![[r#"
exit code 1
--- stderr
Error: Vault `safe` answered: there is no slot 99: see the action `slots`
Code: E12.invalid

"#]]
    );
    assert_data_eq!(
        run("remove-slot --param slot=1 --yes"),
        str![[r#"
exit code 0
--- stderr
removed slot 1: password (Argon2id, 64 MiB, [..] passes)

"#]]
    );
    home.with(CANARY, "get a").ends_with(1);
    let third = |words: &str| home.with("canary-third", &format!("vault do safe {words} --yes"));
    for slot in [3, 4] {
        third(&format!("remove-slot --param slot={slot}")).succeeds();
    }
    assert_data_eq!(
        third("remove-slot --param slot=5"),
        str![[r#"
exit code 1
--- stderr
Error: Vault `safe` answered: it is the last way in: add another one first
Code: E12.denied

"#]]
    );
    home.with("canary-third", "get a").succeeds();
}

#[test]
fn key_slot_removal_prompts_at_terminal() {
    let home = Home::with_key_file();
    home.run_with(&[("NEW", CANARY)], "vault do safe add-password --param password=env:NEW")
        .succeeds();
    for (said, left, code) in [("n", 2, 1), ("y", 1, 0)] {
        let mut session = home.terminal("vault do safe remove-slot --param slot=2");
        answer(&mut session, "Do `remove-slot` in vault `safe`", said);
        assert_eq!(end(session).1, code);
        let slots = home.0.run("vault do safe slots", &[]);
        assert_eq!(slots.stdout.split(|byte| *byte == b'\n').count() - 1, left, "{slots}");
    }
}

#[test]
fn added_key_file_opens_vault_after_registration() {
    let home = Home::with_password();
    home.with(CANARY, "vault do safe add-key-file --param file=work.key").succeeds();
    home.0.run("get a --no-input", &[]).ends_with(4);
    let register = "vault register safe --plugin store --param key-file=work.key --replace";
    home.0.run(register, &[]).succeeds();
    assert_eq!(home.0.run("get a --no-input", &[]).succeeds(), b"");
}

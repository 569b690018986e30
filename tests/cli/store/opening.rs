//! Ways to unlock a vault: a password from any source, a key file, a recovery code, a session.

use snapbox::{assert_data_eq, str};

use super::super::prompt::end;
use super::{CANARY, Home, answer};

#[test]
fn vault_password_is_taken_from_other_vault() {
    let home = Home::with_key_file();
    let register = "vault register second --plugin store --no-search \
                    --unlock password=keystead://safe/a";
    home.0.run(register, &[]).succeeds();
    home.0.feed("kept", "set b -V second --stdin").succeeds();
    assert_eq!(home.0.run("get b -V second --no-input", &[]).succeeds(), b"kept");
    // Only that secret is the password.
    assert_eq!(home.with(CANARY, "get b -V second").succeeds(), b"kept");
    home.with("another", "get b -V second").ends_with(1);
}

#[test]
fn wrong_password_is_reported_and_prompted_again() {
    let home = Home::with_password();
    assert_data_eq!(
        home.with("wrong", "get a"),
        str![[r#"
exit code 1
--- stderr
Error: Vault `safe` answered: the password is wrong
Hint: the answer to `password` came from `env:PW`
Code: E12.denied

"#]]
    );
    let mut session = home.terminal("get nosuch");
    answer(&mut session, "Password: ", "wrong");
    session.exp_string("the password is wrong. Try again.").unwrap();
    answer(&mut session, "Password: ", CANARY);
    assert_eq!(end(session).1, 3);
}

#[test]
fn lost_key_file_is_reported_and_password_is_prompted() {
    let home = Home::with_key_file();
    let add = "vault do safe add-password --param password=env:NEW";
    home.run_with(&[("NEW", CANARY)], add).succeeds();
    std::fs::rename(home.0.here("work.key"), home.0.here("lost.given")).unwrap();
    assert_data_eq!(
        home.0.run("get a --no-input", &[]),
        str![[r#"
exit code 4
--- stderr
vault `safe`: the key file [ROOT]/here/work.key is not there
Error: Vault `safe` is locked
Caused by: it asks for `password`, and prompting is not possible
Hint: run the command in a terminal, or pass `--unlock password=env:VAR` here or to `keystead vault register`
Hint: run `keystead vault unlock safe` in a terminal to unlock it for a limited time
Code: E12.locked

"#]]
    );
    assert_data_eq!(
        home.with("wrong", "get a"),
        str![[r#"
exit code 1
--- stderr
vault `safe`: the key file [ROOT]/here/work.key is not there
Error: Vault `safe` answered: the password is wrong
Hint: the answer to `password` came from `env:PW`
Code: E12.denied

"#]]
    );
    assert_eq!(home.with(CANARY, "-q get a").succeeds(), CANARY.as_bytes());
    // A wrong key file does not unlock the vault, and does not lock the user out.
    std::fs::write(home.0.here("work.key"), [b'x'; 64]).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(home.0.here("work.key"), mode).unwrap();
    let mut session = home.terminal("get nosuch");
    session.exp_string("work.key does not open this vault").unwrap();
    answer(&mut session, "Password: ", CANARY);
    assert_eq!(end(session).1, 3);
    // The right key file is enough again.
    std::fs::rename(home.0.here("lost.given"), home.0.here("work.key")).unwrap();
    home.0.run("get a --no-input", &[]).succeeds();
}

#[test]
fn lost_sole_key_file_is_not_recreated() {
    let home = Home::with_key_file();
    std::fs::rename(home.0.here("work.key"), home.0.here("lost.given")).unwrap();
    for words in ["get a", "set b --stdin --allow-empty", "vault do safe slots"] {
        let answer = home.0.run(words, &[]);
        answer.ends_with(1);
        assert!(answer.stderr.contains("work.key is not there"), "{answer}");
        assert!(!home.0.here("work.key").exists(), "{words}: another one would not open it");
    }
    assert_data_eq!(
        home.0.run("get a", &[]),
        str![[r#"
exit code 1
--- stderr
Error: Vault `safe` answered: the key file [ROOT]/here/work.key is not there, and this vault has no password
Code: E12.unavailable

"#]]
    );
    std::fs::rename(home.0.here("lost.given"), home.0.here("work.key")).unwrap();
    assert_eq!(home.0.run("get a", &[]).succeeds(), CANARY.as_bytes());
}

#[test]
fn recovery_code_is_printed_once_and_opens_vault() {
    let home = Home::with_password();
    let added = home.with(CANARY, "vault do safe add-recovery-code --param label=drawer");
    let code = String::from_utf8(added.succeeds().to_vec()).unwrap().trim().to_owned();
    assert_eq!(code.split('-').map(str::len).collect::<Vec<_>>(), [4; 9], "{code}");
    assert!(!added.stderr.contains(&code));
    assert_data_eq!(
        added.stderr,
        str![[r#"
added slot 2: recovery code, `drawer`; write the code down, it is not shown again

"#]]
    );
    assert_eq!(home.with(&code, "get a").succeeds(), b"");
    assert_eq!(home.with(&code.replace('-', "").to_lowercase(), "get a").succeeds(), b"");

    let mut session = home.terminal("get nosuch");
    let last = if code.ends_with('7') { "8" } else { "7" };
    let mistyped = format!("{}{last}", &code[..code.len() - 1]);
    answer(&mut session, "Password or recovery code: ", &mistyped);
    session.exp_string("the recovery code is mistyped. Try again.").unwrap();
    answer(&mut session, "Password or recovery code: ", &code);
    assert_eq!(end(session).1, 3);

    // The code of another vault is not mistyped, and unlocks nothing here.
    let other = Home::with_password();
    assert_data_eq!(
        other.with(&code, "get a"),
        str![[r#"
exit code 1
--- stderr
Error: Vault `safe` answered: the recovery code is not one of this vault
Hint: the answer to `password` came from `env:PW`
Code: E12.denied

"#]]
    );
    let slots = home.with(CANARY, "-q vault do safe slots --json");
    assert!(!String::from_utf8_lossy(slots.succeeds()).contains(&code));
}

#[test]
fn password_change_ends_old_sessions() {
    let home = Home::with_password();
    home.with(CANARY, "vault unlock safe").succeeds();
    assert_eq!(home.0.run("get a --no-input", &[]).succeeds(), b"");
    // An unlocked vault needs no old password for a new one.
    let change = "vault do safe change-password --param password=env:NEW --no-input";
    assert_data_eq!(
        home.run_with(&[("NEW", "canary-new")], change),
        str![[r#"
exit code 0
--- stderr
the password was changed; sessions of the old one are at an end

"#]]
    );
    home.0.run("get a --no-input", &[]).ends_with(4);
    home.with(CANARY, "get a").ends_with(1);
    home.with("canary-new", "get a").succeeds();
    home.0.run("agent stop", &[]).succeeds();
}

#[test]
fn low_memory_for_password_is_reported_and_no_crash() {
    let home = Home::with_password();
    let command = home.0.command("get a --unlock password=env:PW", &[]);
    let limited = || {
        let mut shell = std::process::Command::new("/bin/sh");
        // The limit of the process's memory equals the amount that the password needs.
        shell.args(["-c", "ulimit -v 65536 && exec \"$0\" \"$@\""]);
        shell.arg(command.get_program()).args(command.get_args());
        shell.env_clear().envs(command.get_envs().filter_map(|(key, value)| Some((key, value?))));
        shell.env("PW", CANARY).current_dir(command.get_current_dir().unwrap());
        shell
    };
    // Three crashes would quarantine the plugin.
    for _ in 0..4 {
        let refused = home.0.answer(limited(), b"");
        refused.ends_with(1);
        let said = "Error: Vault `safe` answered: there are no 64 MiB of memory for a password\n";
        assert!(refused.stderr.starts_with(said), "{refused}");
    }
    let found = home.run_with(&[("PW", CANARY)], "get a --unlock password=env:PW");
    assert_eq!(found.succeeds(), b"");
}

//! Unusable registrations. Each is an error of its own vault, hides no other vault, and is never
//! rewritten.

use std::path::PathBuf;

use snapbox::{assert_data_eq, str};

use super::{STRANGER, chmod, give, must_be_root, session, session_as};
use crate::cli::sandbox::Sandbox;

/// Commands for each case: a list of vaults, the broken vault, a search, the good vault.
const LINES: [&str; 4] = ["vault list", "get -V broken a", "get a", "get -V work a"];

fn vaults(sandbox: &Sandbox) -> PathBuf {
    sandbox.root().join("home/.config/keystead/vaults")
}

/// Returns a home with the secret `a` in the vault `work`.
fn with_secret() -> Sandbox {
    let sandbox = Sandbox::with_work();
    sandbox.feed("v", "set a --stdin -V work --quiet").succeeds();
    sandbox
}

/// Returns the output for a vault `broken` with this registration, which must stay unchanged.
#[track_caller]
fn tell(text: &[u8]) -> String {
    let sandbox = with_secret();
    let file = vaults(&sandbox).join("broken.toml");
    std::fs::write(&file, text).unwrap();
    let told = session(&sandbox, &LINES);
    sandbox.run("vault register broken --plugin memory", &[]).ends_with(1);
    sandbox.run("vault default work", &[]).succeeds();
    assert_eq!(std::fs::read(&file).unwrap(), text, "it was rewritten");
    told
}

#[test]
fn registration_with_invalid_toml_is_error_of_its_vault() {
    assert_data_eq!(
        tell(b"schema = 1\nplugin = = \"memory\"\n"),
        str![[r#"
$ keystead vault list
exit code 5
--- stdout
broken		user			
work	default	user	memory	isolated (default)	
--- stderr
Warning: vault `broken` is broken: `[ROOT]/home/.config/keystead/vaults/broken.toml`, line 2, column 10: extra `=`, expected nothing
$ keystead get -V broken a
exit code 1
--- stderr
Error: Vault `broken` cannot be opened
Caused by: `[ROOT]/home/.config/keystead/vaults/broken.toml`, line 2, column 10: extra `=`, expected nothing
Hint: run `keystead vault show broken` to see its registration
Code: E01.not-toml
$ keystead get a
exit code 0
--- stdout
v<no newline>
$ keystead get -V work a
exit code 0
--- stdout
v<no newline>

"#]]
    );
}

#[test]
fn registration_with_unknown_key_is_error_of_its_vault() {
    assert_data_eq!(
        tell(b"schema = 1\nplugins = \"memory\"\nserch = true\n"),
        str![[r#"
$ keystead vault list
exit code 5
--- stdout
broken		user			
work	default	user	memory	isolated (default)	
--- stderr
Warning: vault `broken` is broken: `[ROOT]/home/.config/keystead/vaults/broken.toml`, line 2, column 1: unknown key `plugins`
$ keystead get -V broken a
exit code 1
--- stderr
Error: Vault `broken` cannot be opened
Caused by: `[ROOT]/home/.config/keystead/vaults/broken.toml`, line 2, column 1: unknown key `plugins`
Hint: did you mean `plugin`?
Hint: run `keystead vault show broken` to see its registration
Code: E01.unknown-key
$ keystead get a
exit code 0
--- stdout
v<no newline>
$ keystead get -V work a
exit code 0
--- stdout
v<no newline>

"#]]
    );
}

#[test]
fn registration_with_newer_schema_is_error_of_its_vault() {
    assert_data_eq!(
        tell(b"schema = 2\nplugin = \"memory\"\nnew = true\n"),
        str![[r#"
$ keystead vault list
exit code 5
--- stdout
broken		user			
work	default	user	memory	isolated (default)	
--- stderr
Warning: vault `broken` is broken: `[ROOT]/home/.config/keystead/vaults/broken.toml` has schema 2; this version of keystead reads schemas up to 1
$ keystead get -V broken a
exit code 1
--- stderr
Error: Vault `broken` cannot be opened
Caused by: `[ROOT]/home/.config/keystead/vaults/broken.toml` has schema 2; this version of keystead reads schemas up to 1
Hint: use the version of keystead that wrote it
Hint: run `keystead vault show broken` to see its registration
Code: E01.newer-version
$ keystead get a
exit code 0
--- stdout
v<no newline>
$ keystead get -V work a
exit code 0
--- stdout
v<no newline>

"#]]
    );
}

#[test]
fn registration_of_missing_plugin_is_error_of_its_vault() {
    assert_data_eq!(
        tell(b"schema = 1\nplugin = \"memroy\"\n"),
        str![[r#"
$ keystead vault list
exit code 0
--- stdout
broken		user	memroy		
work	default	user	memory	isolated (default)	
$ keystead get -V broken a
exit code 1
--- stderr
Error: Vault `broken` cannot be opened
Caused by: no plugin `memroy` is installed
Hint: did you mean `memory`?
Hint: run `keystead plugin list` to see the plugins
Hint: run `keystead plugin install FILE` to install one
Hint: run `keystead vault show broken` to see its registration
Code: E03.not-pinned
$ keystead get a
exit code 0
--- stdout
v<no newline>
$ keystead get -V work a
exit code 0
--- stdout
v<no newline>

"#]]
    );
}

#[test]
fn world_writable_registration_dir_fails_every_command() {
    let sandbox = with_secret();
    chmod(&vaults(&sandbox), 0o777);
    let lines = ["vault list", "get -V work a", "get a", "vault register new --plugin memory"];
    assert_data_eq!(
        session(&sandbox, &lines),
        str![[r#"
$ keystead vault list
exit code 1
--- stderr
Error: `[ROOT]/home/.config/keystead/vaults` is not safe to use: `[ROOT]/home/.config/keystead/vaults` can be written by everyone (mode 0777)
Hint: check its contents, then run `chmod go-w [ROOT]/home/.config/keystead/vaults`
Code: E02.others-write
$ keystead get -V work a
exit code 1
--- stderr
Error: Vault `work` cannot be opened
Caused by: `[ROOT]/home/.config/keystead/vaults` is not safe to use: `[ROOT]/home/.config/keystead/vaults` can be written by everyone (mode 0777)
Hint: check its contents, then run `chmod go-w [ROOT]/home/.config/keystead/vaults`
Hint: run `keystead vault show work` to see its registration
Code: E02.others-write
$ keystead get a
exit code 1
--- stderr
Error: `[ROOT]/home/.config/keystead/vaults` is not safe to use: `[ROOT]/home/.config/keystead/vaults` can be written by everyone (mode 0777)
Hint: check its contents, then run `chmod go-w [ROOT]/home/.config/keystead/vaults`
Code: E02.others-write
$ keystead vault register new --plugin memory
exit code 1
--- stderr
Error: `[ROOT]/home/.config/keystead/vaults` is not safe to use: `[ROOT]/home/.config/keystead/vaults` can be written by everyone (mode 0777)
Hint: check its contents, then run `chmod go-w [ROOT]/home/.config/keystead/vaults`
Code: E02.others-write

"#]]
    );
    assert!(!vaults(&sandbox).join("new.toml").exists());
}

#[test]
fn malformed_settings_fail_commands_using_default_vault() {
    let sandbox = with_secret();
    let file = sandbox.root().join("home/.config/keystead/config.toml");
    let text = "default = work\n";
    std::fs::write(&file, text).unwrap();
    let lines = [
        "vault list",
        "get -V work a",
        "get a",
        "set b --stdin --dry-run",
        "vault default",
        "vault default work",
    ];
    assert_data_eq!(
        session(&sandbox, &lines),
        str![[r#"
$ keystead vault list
exit code 5
--- stdout
work		user	memory	isolated (default)	
--- stderr
Warning: `[ROOT]/home/.config/keystead/config.toml`, line 1, column 11: string values must be quoted, expected literal string
$ keystead get -V work a
exit code 0
--- stdout
v<no newline>
$ keystead get a
exit code 1
--- stderr
Error: `[ROOT]/home/.config/keystead/config.toml`, line 1, column 11: string values must be quoted, expected literal string
Code: E01.not-toml
$ keystead set b --stdin --dry-run
exit code 1
--- stderr
Error: `[ROOT]/home/.config/keystead/config.toml`, line 1, column 11: string values must be quoted, expected literal string
Code: E01.not-toml
$ keystead vault default
exit code 1
--- stderr
Error: `[ROOT]/home/.config/keystead/config.toml`, line 1, column 11: string values must be quoted, expected literal string
Code: E01.not-toml
$ keystead vault default work
exit code 1
--- stderr
Error: `[ROOT]/home/.config/keystead/config.toml`, line 1, column 11: string values must be quoted, expected literal string
Code: E01.not-toml

"#]]
    );
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text, "it was rewritten");
}

#[test]
#[ignore = "needs root"]
fn config_dir_of_other_user_fails_every_command_needs_root() {
    must_be_root();
    let sandbox = with_secret();
    let dir = sandbox.root().join("home/.config/keystead");
    give(&dir, STRANGER);
    let lines = ["vault list", "get -V work a", "get a", "vault register new --plugin memory"];
    let told = session_as(&sandbox, &lines, |command| {
        command.env("KEYSTEAD_CONFIG_DIR", &dir);
    });
    assert_data_eq!(
        told,
        str![[r#"
$ keystead vault list
exit code 1
--- stderr
Error: `[ROOT]/home/.config/keystead` is not safe to use: `[ROOT]/home/.config/keystead` belongs to user id 12345, not to root
Hint: if you trust what is in it, copy it to a directory of your own
Code: E02.owner
$ keystead get -V work a
exit code 1
--- stderr
Error: Vault `work` cannot be opened
Caused by: `[ROOT]/home/.config/keystead` is not safe to use: `[ROOT]/home/.config/keystead` belongs to user id 12345, not to root
Hint: if you trust what is in it, copy it to a directory of your own
Hint: run `keystead vault show work` to see its registration
Code: E02.owner
$ keystead get a
exit code 1
--- stderr
Error: `[ROOT]/home/.config/keystead` is not safe to use: `[ROOT]/home/.config/keystead` belongs to user id 12345, not to root
Hint: if you trust what is in it, copy it to a directory of your own
Code: E02.owner
$ keystead vault register new --plugin memory
exit code 1
--- stderr
Error: `[ROOT]/home/.config/keystead` is not safe to use: `[ROOT]/home/.config/keystead` belongs to user id 12345, not to root
Hint: if you trust what is in it, copy it to a directory of your own
Code: E02.owner

"#]]
    );
    assert!(!vaults(&sandbox).join("new.toml").exists());
}

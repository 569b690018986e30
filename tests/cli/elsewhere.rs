//! A secret in another vault than the one the command uses.

use snapbox::{assert_data_eq, str};

use super::sandbox::{CANARY, Sandbox};

fn two_vaults() -> Sandbox {
    let sandbox = Sandbox::with_work();
    sandbox
        .run("vault register secure --plugin memory --param file=secure.secrets", &[])
        .succeeds();
    sandbox.feed(CANARY, "set token -V secure --stdin").succeeds();
    sandbox
}

#[test]
fn missing_secret_error_names_other_vault_with_it() {
    let sandbox = two_vaults();
    assert_data_eq!(
        sandbox.run("rm token", &[]),
        str![[r#"
exit code 3
--- stderr
Error: No secret `token` in vault `work`
Hint: vault `secure` has it: add `-V secure`
Code: E12.no-such-secret

"#]]
    );
    for words in [
        "rm token --dry-run",
        "mv token key",
        "mv token --as key",
        "cp token key",
        "meta set token k=v",
        "meta unset token k",
        "meta unset token --all",
        "get token -V work",
        "show token -V work",
    ] {
        let refused = sandbox.run(words, &[]);
        refused.ends_with(3);
        assert!(refused.stderr.contains("vault `secure` has it: add `-V secure`"), "{refused}");
    }
    let refused = sandbox.run("mv token --from work --to secure", &[]);
    refused.ends_with(3);
    assert!(refused.stderr.contains("vault `secure` has it: add `--from secure`"), "{refused}");
    assert_eq!(sandbox.run("get token", &[]).succeeds(), CANARY.as_bytes());
    // A name that is in no vault.
    let refused = sandbox.run("rm nosuch", &[]);
    assert!(refused.stderr.contains("Hint: run `keystead list`"), "{refused}");
}

#[test]
fn field_is_not_set_beside_a_secret_of_another_vault() {
    let sandbox = two_vaults();
    assert_data_eq!(
        sandbox.feed(CANARY, "set token --field user --stdin"),
        str![[r#"
exit code 3
--- stderr
Error: No secret `token` in vault `work`
Hint: vault `secure` has it: add `-V secure`
Code: E12.no-such-secret

"#]]
    );
    sandbox.run("get token -V work", &[]).ends_with(3);
    // A named vault gets the field. A name that is in no vault makes a new secret.
    sandbox.feed(CANARY, "set token --field user --stdin -V work").succeeds();
    sandbox.feed(CANARY, "set new --field user --stdin").succeeds();
}

#[test]
fn vault_that_is_left_out_of_searches_is_not_asked() {
    let sandbox = two_vaults();
    let file = sandbox.root().join("home/.config/keystead/vaults/secure.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let text = text.replacen("plugin =", "search = false\nplugin =", 1);
    std::fs::write(&file, text).unwrap();
    let refused = sandbox.run("rm token", &[]);
    assert!(!refused.stderr.contains("secure"), "{refused}");
    refused.ends_with(3);
}

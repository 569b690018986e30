//! `get` and `show`.

use snapbox::{assert_data_eq, str};

use super::sandbox::{CANARY, Sandbox};

fn secret(name: &str) -> String {
    format!("{CANARY} {name}")
}

#[test]
fn get_prints_exact_bytes() {
    let sandbox = Sandbox::with_work();
    for (kind, bytes) in [
        ("text", secret("text").into_bytes()),
        ("text", format!("{CANARY}\nof two lines\n").into_bytes()),
        ("text", Vec::new()),
        ("text", b"a\0\0b\0".to_vec()),
        ("bytes", [b"\0\xff\n".as_slice(), CANARY.as_bytes(), b"\n"].concat()),
        ("bytes", Vec::new()),
    ] {
        sandbox
            .feed(&bytes, &format!("set a --kind {kind} --stdin --exact --allow-empty"))
            .succeeds();
        assert_eq!(sandbox.run("get a", &[]).succeeds(), bytes);
    }
}

#[test]
fn get_prints_credential_password_or_field() {
    let sandbox = Sandbox::with_work();
    sandbox.feed(secret("password"), "set db --user bob --stdin").succeeds();
    assert_eq!(sandbox.run("get db", &[]).succeeds(), secret("password").as_bytes());
    assert_eq!(sandbox.run("get db --field user", &[]).succeeds(), b"bob");
    assert_eq!(
        sandbox.run("get db --field password", &[]).succeeds(),
        secret("password").as_bytes()
    );
    assert_data_eq!(
        sandbox.run("get db --field host", &[]),
        str![[r#"
exit code 3
--- stderr
Error: `db` has no field `host`
Hint: add `--field F`, F being `user` or `password`

"#]]
    );
}

#[test]
fn get_of_map_requires_field_or_json() {
    let sandbox = Sandbox::with_work();
    let json = format!("{{\"url\":\"{CANARY}\",\"key\":{{\"base64\":\"AP8=\"}}}}");
    sandbox.feed(&json, "set m --kind map --stdin").succeeds();
    assert_data_eq!(
        sandbox.run("get m", &[]),
        str![[r#"
exit code 2
--- stderr
Error: `m` is a map, which has no one value to print
Hint: add `--field F`, F being `url` or `key`
Hint: add `--json` for all of it

"#]]
    );
    assert_eq!(sandbox.run("get m --field url", &[]).succeeds(), CANARY.as_bytes());
    assert_eq!(sandbox.run("get m --field key", &[]).succeeds(), [0, 255]);
    assert_data_eq!(
        sandbox.run("get m --field nosuch", &[]),
        str![[r#"
exit code 3
--- stderr
Error: `m` has no field `nosuch`
Hint: add `--field F`, F being `url` or `key`

"#]]
    );
    sandbox.feed("{}", "set empty --kind map --stdin").succeeds();
    assert_data_eq!(
        sandbox.run("get empty", &[]),
        str![[r#"
exit code 2
--- stderr
Error: `empty` is a map, which has no one value to print
Caused by: it has no fields
Hint: add `--json` for all of it

"#]]
    );
}

#[test]
fn map_stands_for_its_password_or_else_its_value() {
    let sandbox = Sandbox::with_work();
    for (json, expected) in [
        (
            format!("{{\"user\":\"bob\",\"value\":\"no\",\"password\":\"{CANARY}\"}}"),
            CANARY.as_bytes(),
        ),
        (format!("{{\"Password\":\"no\",\"value\":\"{CANARY}\"}}"), CANARY.as_bytes()),
        (format!("{{\"password\":5,\"value\":\"{CANARY}\"}}"), CANARY.as_bytes()),
        ("{\"value\":{\"base64\":\"AP8=\"}}".to_owned(), &[0, 255]),
    ] {
        sandbox.feed(&json, "set m --kind map --stdin").succeeds();
        assert_eq!(sandbox.run("get m", &[]).succeeds(), expected, "{json}");
        assert_eq!(sandbox.run("get keystead://work/m", &[]).succeeds(), expected, "{json}");
        let whole = sandbox.run("get m --json", &[]);
        assert!(String::from_utf8_lossy(whole.succeeds()).contains("\"map\":{"), "{json}");
    }
    for json in ["{\"PASSWORD\":\"a\"}", "{\"password\":{\"a\":\"b\"}}", "{\"value\":null}"] {
        sandbox.feed(json, "set m --kind map --stdin").succeeds();
        sandbox.run("get m", &[]).ends_with(2);
    }
}

#[test]
fn get_field_of_text_is_rejected() {
    let sandbox = Sandbox::with_work();
    sandbox.feed(secret("a"), "set a --stdin").succeeds();
    assert_data_eq!(
        sandbox.run("get a --field b", &[]),
        str![[r#"
exit code 3
--- stderr
Error: `a` has no field `b`
Caused by: it is a text without fields

"#]]
    );
}

#[test]
fn get_json_has_kind_metadata_and_value() {
    let sandbox = Sandbox::with_work();
    sandbox.feed("bytes", "set b --kind bytes --stdin --meta env=dev --meta n:=3").succeeds();
    sandbox.feed("pass\"word\n", "set c --user bob --stdin").succeeds();
    sandbox.feed("{\"a\":{\"b\":\"c\"}}", "set m --kind map --stdin").succeeds();
    assert_data_eq!(
        sandbox.run("get b --json", &[]),
        str![[r#"
exit code 0
--- stdout
{"schema":1,"name":"b","vault":"work","kind":"bytes","metadata":{"env":"dev","n":3},"value":{"base64":"Ynl0ZXM="}}

"#]]
    );
    // Compared here: snapshots treat a backslash as part of a path.
    let json = sandbox.run("get c --json", &[]);
    assert_eq!(
        std::str::from_utf8(json.succeeds()).unwrap(),
        "{\"schema\":1,\"name\":\"c\",\"vault\":\"work\",\"kind\":\"credential\",\"metadata\":{},\
         \"value\":{\"user\":\"bob\",\"password\":\"pass\\\"word\"}}\n"
    );
    assert_data_eq!(
        sandbox.run("get m --json", &[]),
        str![[r#"
exit code 0
--- stdout
{"schema":1,"name":"m","vault":"work","kind":"map","metadata":{},"value":{"map":{"a":{"map":{"b":{"text":"c"}}}}}}

"#]]
    );
    assert_data_eq!(
        sandbox.run("get c --json --field user", &[]),
        str![[r#"
exit code 0
--- stdout
{"schema":1,"name":"c","vault":"work","field":"user","kind":"text","metadata":{},"value":{"text":"bob"}}

"#]]
    );
}

#[test]
fn get_accepts_vault_reference() {
    let sandbox = Sandbox::with_work();
    sandbox.feed(secret("x"), "set db/main --user bob --stdin").succeeds();
    let password = secret("x").into_bytes();
    assert_eq!(sandbox.run("get keystead://work/db/main", &[]).succeeds(), password);
    assert_eq!(sandbox.run("get keystead:///db%2Fmain", &[]).succeeds(), password);
    assert_eq!(sandbox.run("get keystead://work/db/main#user", &[]).succeeds(), b"bob");
    assert_data_eq!(
        sandbox.run("get keystead://work/db/main -V work", &[]),
        str![[r#"
exit code 2
--- stderr
Error: The vault is named twice: by an option and in the name

"#]]
    );
    assert_data_eq!(
        sandbox.run("get keystead://work", &[]),
        str![[r#"
exit code 2
--- stderr
Error: The argument is neither a secret's name nor a reference
Caused by: the reference is wrong at character 16: a `/` and a secret's name must follow the vault

"#]]
    );
}

#[test]
fn get_of_missing_secret_or_vault_exits_3() {
    let sandbox = Sandbox::with_work();
    assert_data_eq!(
        sandbox.run("get nosuch", &[]),
        str![[r#"
exit code 3
--- stderr
Error: No secret `nosuch` in vault `work`
Hint: run `keystead list` to see what there is
Code: E12.no-such-secret

"#]]
    );
    assert_data_eq!(
        sandbox.run("get a -V wrok", &[]),
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
        sandbox.run("get nosuch --json", &[]),
        str![[r#"
exit code 3
--- stderr
{"schema":1,"error":{"code":"E12.no-such-secret","exit":3,"message":"no secret `nosuch` in vault `work`","causes":[],"hints":["run `keystead list` to see what there is"]}}

"#]]
    );
    assert_data_eq!(
        Sandbox::empty().run("get a", &[]),
        str![[r#"
exit code 3
--- stderr
Error: No secret `a` in any vault: none is registered
Hint: run `keystead vault register --help` to see how to have a vault
Code: E12.no-such-secret

"#]]
    );
}

#[test]
fn search_with_unavailable_vault_fails_unless_any() {
    let sandbox = Sandbox::with_work();
    sandbox
        .run("vault register broken --plugin memory --param file=broken.secrets", &[])
        .succeeds();
    sandbox.run("vault register zero --plugin memory --param file=zero.secrets", &[]).succeeds();
    sandbox.feed(secret("z"), "set a -V zero --stdin").succeeds();
    std::fs::write(sandbox.here("broken.secrets"), "no such format\n").unwrap();
    assert_data_eq!(
        sandbox.run("get a", &[]),
        str![[r#"
exit code 5
--- stderr
Error: Vault `broken` could not be asked for `a`
Caused by: vault `broken` answered: [ROOT]/here/broken.secrets, line 1: it was not written by this plugin
Hint: name a vault with `-V VAULT`, or take any that answers with `--any`
Code: E12.search-incomplete

"#]]
    );
    assert_eq!(sandbox.run("get a --any", &[]).succeeds(), secret("z").as_bytes());
    assert_eq!(sandbox.run("get a -V zero", &[]).succeeds(), secret("z").as_bytes());
    assert_data_eq!(
        sandbox.run("get a -V broken", &[]),
        str![[r#"
exit code 1
--- stderr
Error: Vault `broken` answered: [ROOT]/here/broken.secrets, line 1: it was not written by this plugin
Code: E12.damaged

"#]]
    );
}

#[test]
fn show_prints_details_without_value() {
    let sandbox = Sandbox::with_work();
    sandbox
        .feed(secret("s"), "set a --stdin --meta env=dev --meta ok:=true --meta expires=2030-01-31")
        .succeeds();
    assert_data_eq!(
        sandbox.run("show a", &[]),
        str![[r#"
exit code 0
--- stdout
Name:  a
Vault: work
Kind:  text
Metadata:
  env: dev
  expires: 2030-01-31T00:00:00Z ([..])
  ok: true

"#]]
    );
    assert_data_eq!(
        sandbox.run("show a --json", &[]),
        str![[r#"
exit code 0
--- stdout
{"schema":1,"name":"a","vault":"work","kind":"text","metadata":{"env":"dev","expires":{"timestamp":"2030-01-31T00:00:00Z"},"ok":true}}

"#]]
    );
    assert_data_eq!(
        sandbox.run("show b", &[]),
        str![[r#"
exit code 3
--- stderr
Error: No secret `b` in vault `work`
Hint: run `keystead list` to see what there is
Code: E12.no-such-secret

"#]]
    );
}

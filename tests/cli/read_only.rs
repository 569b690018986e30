//! Metadata that a vault itself reports: shown with a mark, never written, copied or exported.
//! Lists of texts, in each command that reads or writes metadata.

use snapbox::{assert_data_eq, str};

use super::sandbox::{CANARY, Sandbox, hashicorp};
use crate::bao::{Bao, ROOT, unique};

/// Returns a sandbox with two vaults that stamp each secret with their name, `one` and `two`, and a
/// vault without stamps, `work`.
fn stamped() -> Sandbox {
    let sandbox = Sandbox::with_work();
    let ledger = crate::plugin_files::ledger();
    sandbox.run("plugin install --yes", &[ledger.to_str().unwrap()]).succeeds();
    for name in ["one", "two"] {
        let parameters = format!("--param ledger={name}.secrets --param stamped=true");
        let register = format!("vault register {name} --plugin ledger:book {parameters}");
        sandbox.run(&register, &[]).succeeds();
    }
    sandbox.feed(CANARY, "set token -V one --stdin --meta env=dev").succeeds();
    sandbox
}

#[test]
fn read_only_metadata_is_marked_in_output() {
    let sandbox = stamped();
    assert_data_eq!(
        sandbox.run("show token -V one", &[]),
        str![[r#"
exit code 0
--- stdout
Name:  token
Vault: one
Kind:  text
Metadata:
  env: dev
  stamp: one (read-only)

"#]]
    );
    assert_data_eq!(
        sandbox.run("list -V one --json", &[]),
        str![[r#"
exit code 0
--- stdout
{"schema":1,"name":"token","vault":"one","kind":"text","metadata":{"env":"dev","stamp":"one"},"read_only":["stamp"]}

"#]]
    );
    let shown = sandbox.run("show token -V one --json", &[]);
    assert_eq!(shown.succeeds(), sandbox.run("list -V one --json", &[]).succeeds());
    let got = sandbox.run("get token -V one --json", &[]);
    let got = String::from_utf8(got.succeeds().to_vec()).unwrap();
    assert!(got.contains(r#""metadata":{"env":"dev","stamp":"one"},"read_only":["stamp"],"#));
}

#[test]
fn write_of_read_only_metadata_key_is_rejected() {
    let sandbox = stamped();
    for command in [
        "meta set token -V one owner=ann stamp=mine",
        "meta set token -V one stamp=mine --dry-run",
        "meta set token -V one stamp=mine --replace",
        "meta unset token -V one env stamp",
    ] {
        assert_data_eq!(
            sandbox.run(command, &[]),
            str![[r#"
exit code 1
--- stderr
Error: Vault `one` answered: the metadata `stamp` is read-only: the vault itself reports it
Code: E12.invalid

"#]]
        );
    }
    for command in [
        "set token -V one --stdin --meta stamp=mine",
        "set token -V one --stdin --meta stamp=mine --dry-run",
    ] {
        let refused = sandbox.feed("another", command);
        refused.ends_with(1);
        let told = refused.to_string();
        assert!(told.contains("the metadata `stamp` is read-only"), "{told}");
    }
    // For a new secret, only the vault itself knows that the key is read-only.
    let refused = sandbox.feed(CANARY, "set new -V one --stdin --meta stamp=mine");
    refused.ends_with(1);
    assert!(refused.to_string().contains("only the book stamps"));
    sandbox.run("show new -V one", &[]).ends_with(3);

    let shown = |expected: &str| {
        let shown = sandbox.run("show token -V one --json", &[]).to_string();
        assert!(shown.contains(&format!("\"metadata\":{expected}")), "{shown}");
    };
    shown(r#"{"env":"dev","stamp":"one"}"#);
    assert_eq!(sandbox.run("get token -V one", &[]).succeeds(), CANARY.as_bytes());
    sandbox.run("meta set token -V one owner=ann", &[]).succeeds();
    shown(r#"{"env":"dev","owner":"ann","stamp":"one"}"#);
    assert_data_eq!(
        sandbox.run("meta set token -V one owner=bob --replace --json", &[]),
        str![[r#"
exit code 0
--- stdout
{"schema":1,"name":"token","vault":"one","metadata":{"owner":"bob"},"changed":true,"missing":[],"dry_run":false}

"#]]
    );
    shown(r#"{"owner":"bob","stamp":"one"}"#);
    sandbox.feed(CANARY, "set token -V one --stdin --meta owner=eve").succeeds();
    shown(r#"{"owner":"eve","stamp":"one"}"#);
    sandbox.run("meta unset token -V one --all", &[]).succeeds();
    shown(r#"{"stamp":"one"}"#);
    assert_data_eq!(
        sandbox.run("meta unset token -V one --all", &[]),
        str![[r#"
exit code 0
--- stderr
The metadata of `token` in vault `one` is so already.

"#]]
    );
}

#[test]
fn copy_ignores_read_only_metadata() {
    let sandbox = stamped();
    sandbox.run("copy token --from one --to two", &[]).succeeds();
    sandbox.run("copy token --from one --to work", &[]).succeeds();
    let shown = sandbox.run("list token --json", &[]).to_string();
    for (vault, metadata) in [
        ("one", r#"{"env":"dev","stamp":"one"},"read_only":["stamp"]"#),
        ("two", r#"{"env":"dev","stamp":"two"},"read_only":["stamp"]"#),
        ("work", r#"{"env":"dev"}"#),
    ] {
        let line = format!(r#""vault":"{vault}","kind":"text","metadata":{metadata}}}"#);
        assert!(shown.contains(&line), "{line}: {shown}");
    }
    for (from, to) in [("one", "two"), ("one", "work"), ("work", "two")] {
        let copy = format!("copy token --replace --yes --from {from} --to {to}");
        let told = sandbox.run(&copy, &[]).to_string();
        assert!(told.contains(&format!("is in vault `{to}` already")), "{from} {to}: {told}");
    }
    // A writable key of that name is ordinary metadata, and the `book` vault rejects it.
    sandbox.run("meta set token -V work stamp=mine", &[]).succeeds();
    let refused = sandbox.run("copy token --replace --yes --from work --to two", &[]);
    assert!(refused.to_string().contains("only the book stamps"), "{refused}");
    sandbox.run("meta unset token -V work stamp", &[]).succeeds();
    // A move to a vault without metadata loses no metadata here.
    sandbox.run("meta unset token -V one --all", &[]).succeeds();
    let slip = "vault register slip --plugin ledger:slip --param ledger=slip.secrets";
    sandbox.run(slip, &[]).succeeds();
    sandbox.run("move token --from one --to slip", &[]).succeeds();
    assert_eq!(sandbox.run("get token -V slip", &[]).succeeds(), CANARY.as_bytes());
}

#[test]
fn export_and_import_omit_read_only_metadata() {
    let sandbox = stamped();
    sandbox.run("export -V one --output out.given --yes", &[]).succeeds();
    let line = std::fs::read_to_string(sandbox.here("out.given")).unwrap();
    assert!(line.contains(r#""metadata":{"env":"dev"},"#), "{line}");
    std::fs::remove_file(sandbox.here("out.given")).unwrap();

    // The output of `get --json` is also a valid line, with the vault's own metadata and mark.
    let got = sandbox.run("get token -V one --json", &[]);
    for vault in ["two", "work"] {
        let got = got.succeeds().to_vec();
        sandbox.feed(got, &format!("import - --from jsonl --yes -V {vault}")).succeeds();
    }
    let shown = sandbox.run("list -V work --json", &[]).to_string();
    assert!(shown.contains(r#""metadata":{"env":"dev"}}"#), "{shown}");
    let shown = sandbox.run("list -V two --json", &[]).to_string();
    assert!(shown.contains(r#""metadata":{"env":"dev","stamp":"two"}"#), "{shown}");
}

#[test]
fn text_list_metadata_round_trips_through_commands() {
    let sandbox = stamped();
    let list = r#"urls:=["https://b/","","a\u001b,\"x\""]"#;
    sandbox.run("meta set token -V one none:=[]", &[list]).succeeds();
    assert_data_eq!(
        sandbox.run("show token -V one", &[]),
        str![[r#"
exit code 0
--- stdout
Name:  token
Vault: one
Kind:  text
Metadata:
  env: dev
  none: []
  stamp: one (read-only)
  urls: ["https://b/","","a/u001b,/"x/""]

"#]]
    );
    let json = r#""metadata":{"env":"dev","none":[],"#;
    let urls = r#""urls":["https://b/","","a\u001b,\"x\""]}"#;
    sandbox.run("copy token --from one --to work", &[]).succeeds();
    let shown = sandbox.run("show token -V work --json", &[]).to_string();
    assert!(shown.contains(json) && shown.contains(urls), "{shown}");

    sandbox.run("export -V work --output out.given --yes", &[]).succeeds();
    sandbox.run("remove token -V work", &[]).succeeds();
    sandbox.run("import out.given --from jsonl --yes -V work", &[]).succeeds();
    let again = sandbox.run("show token -V work --json", &[]).to_string();
    assert_eq!(again, shown);
    std::fs::remove_file(sandbox.here("out.given")).unwrap();

    for (list, told) in [
        ("l:=[1]", "a list is of texts"),
        (r#"l:=[["a"]]"#, "a list is of texts"),
        (r#"tags:=["a"]"#, "`tags` is always a text"),
    ] {
        let refused = sandbox.run("meta set token -V work", &[list]);
        refused.ends_with(2);
        assert!(refused.to_string().contains(told), "{refused}");
    }
    let many = format!("l:=[{}]", vec![r#""""#; 20_000].join(","));
    let refused = sandbox.run("meta set token -V work", &[&many]);
    refused.ends_with(2);
    assert!(refused.to_string().contains("The list `l` has more than 1000 texts"), "{refused}");
}

#[test]
#[ignore = "needs bao"]
fn needs_bao_server_times_are_read_only_metadata() {
    let sandbox = Sandbox::with_work();
    sandbox.run("plugin install --yes", &[hashicorp().to_str().unwrap()]).succeeds();
    std::fs::write(sandbox.here("token.given"), ROOT).unwrap();
    let register = format!(
        "vault register team --plugin hashicorp --param token-file=token.given --param prefix={} \
         --param address={}",
        unique("read-only"),
        Bao::shared().url()
    );
    sandbox.run(&register, &[]).succeeds();
    sandbox.feed(CANARY, "set x -V team --stdin --meta owner=ann").succeeds();
    sandbox.run("meta set x -V team", &[r#"urls:=["b","","a,ü"]"#]).succeeds();
    let shown = sandbox.run("show x -V team --json", &[]).to_string();
    assert!(shown.contains(r#""read_only":["created","updated"]"#), "{shown}");
    assert!(shown.contains(r#""owner":"ann","updated":{"timestamp":""#), "{shown}");
    for command in [
        "meta set x -V team updated=2020-01-01",
        "meta unset x -V team created",
        "set x -V team --file token.given --meta created=2020-01-01",
    ] {
        let refused = sandbox.run(command, &[]);
        refused.ends_with(1);
        assert!(refused.to_string().contains("is read-only: the vault itself"), "{refused}");
    }
    let long = format!("long:=[{}]", vec![r#""0123456789""#; 60].join(","));
    let refused = sandbox.run("meta set x -V team", &[&long]);
    refused.ends_with(1);
    assert!(refused.to_string().contains("at most 512 bytes of `long`"), "{refused}");

    sandbox.run("copy x --from team --to work", &[]).succeeds();
    let copied = sandbox.run("show x -V work --json", &[]).to_string();
    let metadata = r#""metadata":{"owner":"ann","urls":["b","","a,ü"]}}"#;
    assert!(copied.contains(metadata), "{copied}");
    for (from, to) in [("work", "team"), ("team", "work")] {
        let copy = format!("copy x --replace --yes --from {from} --to {to}");
        let told = sandbox.run(&copy, &[]).to_string();
        assert!(told.contains(&format!("is in vault `{to}` already")), "{told}");
    }
    assert_eq!(sandbox.run("get x -V team", &[]).succeeds(), CANARY.as_bytes());
}

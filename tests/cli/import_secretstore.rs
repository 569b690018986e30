//! `import` of PowerShell's SecretStore: stores that SecretStore wrote, and broken stores.

use std::path::Path;

use snapbox::{assert_data_eq, str};

use self::written::Written;
use super::prompt::{at_terminal, end};
use super::sandbox::{Answer, CANARY, Sandbox};

#[path = "../../host/exchange/src/secretstore/written.rs"]
mod written;

/// Copies a store that SecretStore wrote, as the account `root`, to `here/store`.
fn golden(sandbox: &Sandbox, kind: &str) {
    let from =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/secretstore").join(kind);
    std::fs::create_dir(sandbox.here("store")).unwrap();
    for name in ["storeconfig", "storeaux", "storefile"] {
        std::fs::copy(from.join(name), sandbox.here("store").join(name)).unwrap();
    }
}

/// Returns a store of `bob`, whose password contains the canary.
fn locked() -> Written {
    Written::new("BOB", Some(CANARY)).text("token", CANARY)
}

fn answer(sandbox: &Sandbox, words: &str) -> Answer {
    let mut command = sandbox.command(words, &[]);
    command.env("GOOD", CANARY).env("GOLDEN", "Correct-Horse 9").env("WRONG", "wrong");
    sandbox.answer(command, b"")
}

fn names(sandbox: &Sandbox) -> String {
    String::from_utf8(sandbox.run("list", &[]).succeeds().to_vec()).unwrap()
}

#[test]
fn import_of_secretstore_keeps_types_and_metadata() {
    for (kind, unlock) in [("no-password", ""), ("with-password", "--unlock password=env:GOLDEN")] {
        let sandbox = Sandbox::with_work();
        golden(&sandbox, kind);
        // Without `--from`: the command recognises the directory by its files.
        assert_data_eq!(
            answer(&sandbox, &format!("import store --user root --dry-run {unlock}")),
            str![[r#"
exit code 0
--- stderr
Would import into vault `work`: 6 new (1 bytes, 1 credential, 1 map, 3 text); nothing was changed

"#]]
        );
        assert_eq!(names(&sandbox), "");
        let words =
            format!("import store --from secretstore --user Root --vault work --yes {unlock}");
        assert_data_eq!(
            answer(&sandbox, &words),
            str![[r#"
exit code 0
--- stderr
To vault `work`: 6 new (1 bytes, 1 credential, 1 map, 3 text).
Imported into vault `work`: 6 new (1 bytes, 1 credential, 1 map, 3 text).

"#]]
        );
        assert_data_eq!(
            names(&sandbox),
            str![[r#"
bytes	work	bytes	
cred	work	credential	Env=dev
map	work	map	
plain	work	text	
secure	work	text	
withmeta	work	text	Count=42 Due=2022-05-01T00:00:00Z Note=text note

"#]]
        );
        for (words, value) in [
            ("get plain", "hunter2 \u{fc}"),
            ("get secure", "s3cure \u{20ac}"),
            ("get bytes", "\0\u{1}\u{2}"),
            ("get cred", "credpw"),
            ("get cred --field user", "bob"),
            ("get map --field A", "x"),
            ("get map --field B", "y"),
            ("get withmeta", "v"),
        ] {
            let got = sandbox.run(words, &[]);
            let got = got.succeeds();
            assert_eq!(got.strip_suffix(b"\xff").unwrap_or(got), value.as_bytes(), "{words}");
        }
        assert_data_eq!(
            sandbox.run("get map --json", &[]),
            str![[r#"
exit code 0
--- stdout
{"schema":1,"name":"map","vault":"work","kind":"map","metadata":{},"value":{"map":{"C":{"base64":"CQAJ"},"D":{"user":"eve","password":"evepw"},"B":{"text":"y"},"A":{"text":"x"}}}}

"#]]
        );
        assert_data_eq!(
            answer(&sandbox, &format!("{words} --json")),
            str![[r#"
exit code 0
--- stdout
{"schema":1,"vault":"work","form":"secretstore","dry_run":false,"new":0,"replaced":0,"unchanged":6,"skipped":0,"different":0,"broken":0,"unfit":0,"failed":0,"kinds":{}}

"#]]
        );
    }
}

#[test]
fn import_of_secretstore_skips_broken_entries_with_warning() {
    let sandbox = Sandbox::with_work();
    Written::new("BOB", None)
        .text("good", CANARY)
        .with("odd", "DoubleType", CANARY.as_bytes(), "{}")
        .with("noise", "StringType", b"\xff", "{}")
        .map("db", &["psht:dbprodpw"])
        .text("psht:dbprodpw", CANARY)
        .map("dbprod", &["psht:dbprodpw"])
        .map("gone", &["psht:gonea"])
        .text("psht:nobody", CANARY)
        .entry("{\"Name\":\"far\",\"Type\":\"StringType\",\"Offset\":9999,\"Size\":16}")
        .with(
            "due",
            "StringType",
            b"d",
            "{\"expires\":\"\\/Date(4102444800000+0100)\\/\",\"n\":null}",
        )
        .write(&sandbox.here("store"));
    // The canary is in the store, but not in readable form.
    sandbox.check_files();
    assert_data_eq!(
        answer(&sandbox, "import store --user bob --prefix old/ --yes"),
        str![[r#"
exit code 5
--- stderr
Warning: item 2, `odd`: its type `DoubleType` is not known
Warning: item 3, `noise`: its text is not UTF-8
Warning: item 4, `db`: its member `prodpw` may be one of the map `dbprod`: SecretStore calls both `psht:dbprodpw`
Warning: item 6, `dbprod`: its member `pw` may be one of the map `db`: SecretStore calls both `psht:dbprodpw`
Warning: item 7, `gone`: its member `a` is missing
Warning: item 9, `far`: its bytes are not in the file
To vault `work`: 2 new (2 text), 6 that cannot be imported, left out: 1 member that no map has, 1 value of metadata of no known kind.
Imported into vault `work`: 2 new (2 text), 6 not imported, left out: 1 member that no map has, 1 value of metadata of no known kind.

"#]]
    );
    assert_data_eq!(
        names(&sandbox),
        str![[r#"
old/due	work	text	expires=2100-01-01T00:00:00Z
old/good	work	text	

"#]]
    );
}

#[test]
fn import_of_secretstore_names_wrong_account_or_password() {
    let sandbox = Sandbox::with_work();
    locked().write(&sandbox.here("store"));
    assert_data_eq!(
        answer(&sandbox, "import store --user alice --yes --unlock password=env:GOOD"),
        str![[r#"
exit code 1
--- stderr
Warning: `password` of `--unlock` answered nothing: nothing was asked for
Error: `storeconfig` is not that of account `alice`, or it is damaged
Hint: name the account that SecretStore ran as with `--user NAME`
Code: E13.wrong-account

"#]]
    );
    assert_data_eq!(
        answer(&sandbox, "import store --user bob --yes --unlock password=env:WRONG"),
        str![[r#"
exit code 1
--- stderr
Error: The password is wrong, or `storefile` is damaged: both look the same
Hint: the answer to `password` came from `env:WRONG`
Code: E13.wrong-password

"#]]
    );
    assert_data_eq!(
        answer(&sandbox, "import store --user bob --yes --unlock password=env:NOSUCH"),
        str![[r#"
exit code 1
--- stderr
Error: `password` could not be taken from `env:NOSUCH`: there is no such environment variable
Code: E01.unresolved

"#]]
    );
    assert_data_eq!(
        answer(&sandbox, "import store --user bob --yes --unlock password=env:GOOD"),
        str![[r#"
exit code 0
--- stderr
To vault `work`: 1 new (1 text).
Imported into vault `work`: 1 new (1 text).

"#]]
    );
    assert_eq!(sandbox.run("get token", &[]).succeeds(), CANARY.as_bytes());
}

#[test]
fn import_of_locked_secretstore_non_interactive_exits_4() {
    let sandbox = Sandbox::with_work();
    locked().write(&sandbox.here("store"));
    let missing = str![[r#"
exit code 4
--- stderr
Error: This is locked with a password
Caused by: it asks for `password`, and prompting is not possible
Hint: run the command in a terminal, or add `--unlock password=env:VAR`
Code: E13.locked

"#]];
    assert_data_eq!(answer(&sandbox, "import store --user bob --no-input --yes"), missing.clone());
    assert_data_eq!(answer(&sandbox, "import store --user bob --dry-run"), missing);
    assert_data_eq!(
        answer(&sandbox, "import store --user bob --dry-run --unlock pasword=env:GOOD --json"),
        str![[r#"
exit code 4
--- stderr
{"schema":1,"warning":"`pasword` of `--unlock` answered nothing: what was asked for is `password`"}
{"schema":1,"error":{"code":"E13.locked","exit":4,"message":"this is locked with a password","causes":["it asks for `password`, and prompting is not possible"],"hints":["run the command in a terminal, or add `--unlock password=env:VAR`"]}}

"#]]
    );
    // The same at a terminal.
    let mut session = at_terminal(sandbox.command("import store --user bob --no-input --yes", &[]));
    session.exp_string("Error: This is locked with a password").unwrap();
    assert_eq!(end(session).1, 4);
}

#[test]
fn import_of_locked_secretstore_prompts_three_times() {
    let sandbox = Sandbox::with_work();
    locked().write(&sandbox.here("store"));
    let mut session = at_terminal(sandbox.command("import store --user bob", &[]));
    session.exp_string("Password of the SecretStore: ").unwrap();
    session.send_line("wrong").unwrap();
    session.exp_string("the password is wrong, or `storefile` is damaged").unwrap();
    session.exp_string("Password of the SecretStore: ").unwrap();
    session.send_line(CANARY).unwrap();
    let shown = session.exp_string("Import 1 secret into vault `work`? [y/N]").unwrap();
    assert!(!shown.contains(CANARY), "{shown}");
    session.send_line("y").unwrap();
    let (rest, code) = end(session);
    assert!(rest.contains("Imported into vault `work`: 1 new (1 text)."), "{rest}");
    assert_eq!(code, 0);
    sandbox.check_files();

    let mut session = at_terminal(sandbox.command("import store --user bob", &[]));
    for _ in 0..3 {
        session.exp_string("Password of the SecretStore: ").unwrap();
        session.send_line("wrong").unwrap();
    }
    let (rest, code) = end(session);
    assert!(rest.contains("Error: The password is wrong, or `storefile` is damaged"), "{rest}");
    assert!(rest.contains("Code: E13.wrong-password"), "{rest}");
    assert_eq!(code, 1);

    let mut session = at_terminal(sandbox.command("import store --user bob", &[]));
    session.exp_string("Password of the SecretStore: ").unwrap();
    session.send_control('c').unwrap();
    let (rest, code) = end(session);
    assert_eq!((rest.trim(), code), ("", 130));
}

#[test]
fn secretstore_unlock_answer_is_not_used_for_vault() {
    let sandbox = Sandbox::installed();
    std::fs::write(sandbox.here("pass.given"), "other").unwrap();
    let words = "vault register safe --plugin memory --param file=safe.secrets \
                 --param locked=file:pass.given";
    sandbox.run(words, &[]).succeeds();
    locked().write(&sandbox.here("store"));
    let words = "import store --user bob --yes --unlock password=env:GOOD --no-input";
    assert_data_eq!(
        answer(&sandbox, words),
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
    let words = "vault register safe --plugin memory --param file=safe.secrets --replace \
                 --param locked=file:pass.given --unlock password=file:pass.given";
    sandbox.run(words, &[]).succeeds();
    let words = "import store --user bob --yes --unlock password=env:GOOD --no-input";
    answer(&sandbox, words).succeeds();
}

#[test]
fn import_of_secretstore_defaults_to_current_user() {
    let sandbox = Sandbox::with_work();
    let name = std::process::Command::new("id").arg("-un").output().unwrap().stdout;
    let name = String::from_utf8(name).unwrap().trim().to_uppercase();
    Written::new(&name, None).text("a", "b").write(&sandbox.here("store"));
    sandbox.run("import store --yes", &[]).succeeds();
    assert_eq!(sandbox.run("get a", &[]).succeeds(), b"b");
}

#[test]
fn import_of_invalid_secretstore_is_rejected() {
    let sandbox = Sandbox::with_work();
    std::fs::create_dir(sandbox.here("empty")).unwrap();
    std::fs::write(sandbox.here("file"), "x").unwrap();
    assert_data_eq!(
        answer(&sandbox, "import empty --from secretstore --user bob --yes"),
        str![[r#"
exit code 1
--- stderr
Error: This is not a SecretStore: it has no `storeconfig`
Code: E13.not-of-form

"#]]
    );
    assert_data_eq!(
        answer(&sandbox, "import file --from secretstore --user bob --yes"),
        str![[r#"
exit code 1
--- stderr
Error: This is not a SecretStore: it is no directory
Code: E13.not-of-form

"#]]
    );
    assert_data_eq!(
        answer(&sandbox, "import file --from dotenv --user bob --yes"),
        str![[r#"
exit code 2
--- stderr
Error: `--user` is for a SecretStore
Hint: add `--from secretstore` if it is one

"#]]
    );
    let mut damaged = Written::new("BOB", None).text("a", CANARY).files();
    *damaged[2].last_mut().unwrap() ^= 1;
    for (name, bytes) in ["storeconfig", "storeaux", "storefile"].iter().zip(&damaged) {
        std::fs::write(sandbox.here("empty").join(name), bytes).unwrap();
    }
    assert_data_eq!(
        answer(&sandbox, "import empty --user bob --yes"),
        str![[r#"
exit code 1
--- stderr
Error: This is not a SecretStore: its `storefile` is damaged
Code: E13.not-of-form

"#]]
    );
}

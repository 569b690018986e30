//! `import` of files from other programs: each format as a whole, as a user sees it.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use snapbox::{assert_data_eq, str};

use self::packed::{Packed, zip};
use super::prompt::{at_terminal, end};
use super::sandbox::{Answer, CANARY, Sandbox};

#[path = "../../host/exchange/src/packed.rs"]
mod packed;

const BITWARDEN: &str = include_str!("../fixtures/bitwarden.json");
/// Made with Python's hashlib and OpenSSL; the password is `export pass`.
const ENCRYPTED: &str = include_str!("../fixtures/bitwarden-encrypted.json");
const ONEPASSWORD: &str = include_str!("../fixtures/1password.json");

fn import(sandbox: &Sandbox, content: impl AsRef<[u8]>, words: &str) -> Answer {
    std::fs::write(sandbox.here("x.given"), content).unwrap();
    sandbox.run(&format!("import x.given {words}"), &[])
}

fn get(sandbox: &Sandbox, name: &str, words: &str) -> String {
    let got = sandbox.run(&format!("get {words}"), &[name]);
    String::from_utf8(got.succeeds().to_vec()).unwrap()
}

fn names(sandbox: &Sandbox) -> String {
    String::from_utf8(sandbox.run("list", &[]).succeeds().to_vec()).unwrap()
}

#[test]
fn import_of_bitwarden_export_is_idempotent() {
    let sandbox = Sandbox::with_work();
    assert_data_eq!(
        import(&sandbox, BITWARDEN, "--dry-run"),
        str![[r#"
exit code 5
--- stderr
Would import into vault `work`: 8 new (1 credential, 4 map, 3 text), left out: 2 old passwords, 1 passkey, 1 field that repeats another, 1 item of the trash; nothing was changed

"#]]
    );
    assert_eq!(names(&sandbox), "");
    assert_data_eq!(
        import(&sandbox, BITWARDEN, "--yes --json"),
        str![[r#"
exit code 5
--- stdout
{"schema":1,"vault":"work","form":"bitwarden","dry_run":false,"new":8,"replaced":0,"unchanged":0,"skipped":0,"different":0,"broken":0,"unfit":0,"failed":0,"kinds":{"credential":1,"map":4,"text":3},"left_out":["2 old passwords","1 passkey","1 field that repeats another","1 item of the trash"]}

"#]]
    );
    assert_data_eq!(
        names(&sandbox),
        str![[r#"
Bank	work	map	category=login created=2022-03-04T05:06:07.08Z reprompt=1 updated=2024-05-06T07:08:09.1Z url=https://bank.example/
Card	work	map	category=card created=2022-03-04T05:06:07.08Z expires=2027-05-01T00:00:00Z updated=2024-05-06T07:08:09.1Z
Deploy key	work	map	category=ssh-key created=2022-03-04T05:06:07.08Z updated=2024-05-06T07:08:09.1Z
From the future	work	text	category=type-99 created=2022-03-04T05:06:07.08Z updated=2024-05-06T07:08:09.1Z
Me	work	map	category=identity created=2022-03-04T05:06:07.08Z updated=2024-05-06T07:08:09.1Z
Work/GitHub	work	credential	category=login created=2022-03-04T05:06:07.08Z favourite=true updated=2024-05-06T07:08:09.1Z url=https://github.com/login
Work/GitHub (2)	work	text	category=login created=2022-03-04T05:06:07.08Z updated=2024-05-06T07:08:09.1Z
Work/Servers/Alarm code	work	text	category=note created=2022-03-04T05:06:07.08Z updated=2024-05-06T07:08:09.1Z

"#]]
    );
    assert_eq!(get(&sandbox, "Work/GitHub", ""), format!("{CANARY}-github \u{e4}\"\\"));
    assert_eq!(get(&sandbox, "Bank", "--field PIN"), format!("{CANARY}-0815"));
    // The second import finds the same names.
    assert_data_eq!(
        import(&sandbox, BITWARDEN, "--yes"),
        str![[r#"
exit code 5
--- stderr
Imported into vault `work`: 0 new, 8 there already, left out: 2 old passwords, 1 passkey, 1 field that repeats another, 1 item of the trash.

"#]]
    );
}

#[test]
fn import_of_encrypted_export_is_rejected_with_hint() {
    let sandbox = Sandbox::with_work();
    let content = format!("{{\"encrypted\":true,\"data\":\"{CANARY}\"}}");
    assert_data_eq!(
        import(&sandbox, content, "--yes"),
        str![[r#"
exit code 1
--- stderr
Error: This is an encrypted Bitwarden export
Hint: export it again without encryption (with `bw export --format json`, or in the application), import that, and delete it
Code: E13.encrypted

"#]]
    );
}

#[test]
fn encrypted_bitwarden_export_opens_with_its_password() {
    let sandbox = Sandbox::with_work();
    std::fs::write(sandbox.here("right"), "export pass\n").unwrap();
    std::fs::write(sandbox.here("wrong"), "another\n").unwrap();
    import(&sandbox, ENCRYPTED, "--yes --no-input").ends_with(4);
    assert_data_eq!(
        import(&sandbox, ENCRYPTED, "--yes --unlock password=file:wrong"),
        str![[r#"
exit code 1
--- stderr
Error: The password is wrong, or the export is damaged: both look the same
Hint: the answer to `password` came from `file:wrong`
Code: E13.wrong-password

"#]]
    );
    import(&sandbox, ENCRYPTED, "--yes --unlock password=file:right").succeeds();
    assert_eq!(get(&sandbox, "Work/shop", ""), CANARY);
    let words = "import - --from bitwarden --prefix pipe/ --yes --unlock password=file:right";
    sandbox.feed(ENCRYPTED, words).succeeds();
    assert_eq!(get(&sandbox, "pipe/Work/shop", ""), CANARY);
    let mut session = at_terminal(sandbox.command("import x.given --prefix asked/ --yes", &[]));
    for typed in ["another", "export pass"] {
        session.exp_string("Password of the export").unwrap();
        session.send_line(typed).unwrap();
    }
    let (told, status) = end(session);
    assert_eq!(status, 0, "{told}");
    assert_eq!(get(&sandbox, "asked/Work/shop", ""), CANARY);
}

#[test]
fn pipe_without_a_writer_ends_at_the_time_limit() {
    let sandbox = Sandbox::with_work();
    assert!(Command::new("mkfifo").arg(sandbox.here("pipe")).status().unwrap().success());
    for words in ["import pipe --from dotenv --yes", "set a --file pipe"] {
        let answer = sandbox.run(&format!("{words} --timeout 200ms"), &[]);
        assert!(answer.stderr.contains("nothing came within 0.2 s"), "{}", answer.stderr);
        answer.ends_with(1);
    }
}

#[test]
fn import_of_1pux_export_includes_files() {
    let sandbox = Sandbox::with_work();
    let attributes = br#"{"version":3,"description":"1Password Unencrypted Export"}"#;
    let bytes = zip(&[
        Packed::stored("export.attributes", attributes),
        Packed::deflated("export.data", ONEPASSWORD.as_bytes()),
        Packed::stored("files/docpassport__scan.pdf", CANARY.as_bytes()),
    ]);
    assert_data_eq!(
        import(&sandbox, &bytes, "--yes --prefix old/"),
        str![[r#"
exit code 5
--- stderr
Warning: item 2, `Bank`: its file `codes.txt`: it is not in the export, or belongs to another item
To vault `work`: 7 new (1 bytes, 1 credential, 4 map, 1 text), 1 that cannot be imported, left out: 1 box or button of a web form, 1 old password, 1 link to another item, 1 sign-in by another account, 1 passkey, 1 deleted item.
Imported into vault `work`: 7 new (1 bytes, 1 credential, 4 map, 1 text), 1 not imported, left out: 1 box or button of a web form, 1 old password, 1 link to another item, 1 sign-in by another account, 1 passkey, 1 deleted item.

"#]]
    );
    assert_data_eq!(
        names(&sandbox),
        str![[r#"
old/Private/Alarm	work	text	category=note created=2021-02-26T00:22:36Z updated=2021-10-27T14:54:05Z
old/Private/Bank	work	map	category=login created=2021-02-26T00:22:36Z state=archived updated=2021-10-27T14:54:05Z
old/Private/Card	work	map	category=card created=2021-02-26T00:22:36Z expires=2028-01-01T00:00:00Z updated=2021-10-27T14:54:05Z
old/Private/GitHub	work	credential	category=login created=2021-02-26T00:22:36Z favourite=true tags=code,work  old updated=2021-10-27T14:54:05Z url=https://github.com/ url.2=https://api.github.com/
old/Private/Passport scan/scan.pdf	work	bytes	category=file created=2021-02-26T00:22:36Z updated=2021-10-27T14:54:05Z
old/Work/Deploy	work	map	category=api-credential created=2021-02-26T00:22:36Z expires=2027-01-01T00:00:00Z updated=2021-10-27T14:54:05Z
old/Work/deploy (2)	work	map	category=ssh-key created=2021-02-26T00:22:36Z updated=2021-10-27T14:54:05Z

"#]]
    );
    assert_eq!(get(&sandbox, "old/Private/Passport scan/scan.pdf", ""), CANARY);
    assert_data_eq!(
        sandbox.run("show", &["old/Work/Deploy"]).succeeds().to_vec(),
        str![[r#"
Name:  old/Work/Deploy
Vault: work
Kind:  map
Metadata:
  category: api-credential
  created: 2021-02-26T00:22:36Z
  expires: 2027-01-01T00:00:00Z ([..])
  updated: 2021-10-27T14:54:05Z

"#]]
    );
    // A pipe: the reader needs the end of a zip first, so the command reads the whole input.
    let answer = sandbox.feed(&bytes, "import - --from 1pux --yes --prefix old/");
    assert_data_eq!(
        answer,
        str![[r#"
exit code 5
--- stderr
Warning: item 2, `Bank`: its file `codes.txt`: it is not in the export, or belongs to another item
Imported into vault `work`: 0 new, 7 there already, 1 not imported, left out: 1 box or button of a web form, 1 old password, 1 link to another item, 1 sign-in by another account, 1 passkey, 1 deleted item.

"#]]
    );
}

#[test]
fn import_of_firefox_csv_maps_columns() {
    let sandbox = Sandbox::with_work();
    let table = format!(
        "url,username,password,httpRealm,formActionOrigin,guid,timeCreated,timeLastUsed,timePasswordChanged\n\
         https://a.example/,bob,{CANARY},,,1,1614298956000,,\n\
         https://a.example/,alice,{CANARY},,,2,1614298956000,,\n\
         https://b.example/,bob\n"
    );
    assert_data_eq!(
        import(&sandbox, &table, "--yes"),
        str![[r#"
exit code 5
--- stderr
Reading a table of Firefox: url from `url`, user from `username`, password from `password`, http-realm from `httpRealm`, form-origin from `formActionOrigin`, guid from `guid`, created from `timeCreated`, last-used from `timeLastUsed`, updated from `timePasswordChanged`.
Warning: line 4: it has 2 fields, and the header row 9
To vault `work`: 2 new (2 credential), 1 that cannot be imported.
Imported into vault `work`: 2 new (2 credential), 1 not imported.

"#]]
    );
    assert_data_eq!(
        names(&sandbox),
        str![[r#"
a.example	work	credential	created=2021-02-26T00:22:36Z guid=1 url=https://a.example/
a.example (2)	work	credential	created=2021-02-26T00:22:36Z guid=2 url=https://a.example/

"#]]
    );
}

#[test]
fn import_of_unknown_csv_requires_column_options() {
    let sandbox = Sandbox::with_work();
    let table = format!("Title;Secret;Team;Recovery code\ndeploy;{CANARY};core;{CANARY}\n");
    assert_data_eq!(
        import(&sandbox, &table, "--yes --from csv"),
        str![[r#"
exit code 1
--- stderr
Error: Its first row is not the header row of a known table
Caused by: its columns are `Title`, `Secret`, `Team`, `Recovery code`
Hint: say which column is what: add `--column name=HEADER --column password=HEADER`
Code: E13.unknown-table

"#]]
    );
    let words =
        "--yes --from csv --column name=Title --column value=Secret --column meta.team=Team";
    assert_data_eq!(
        import(&sandbox, &table, words),
        str![[r#"
exit code 5
--- stderr
Reading a table: name from `Title`, value from `Secret`, meta.team from `Team`.
Leaving out the columns `Recovery code` (sounds secret).
To vault `work`: 1 new (1 text), left out: the column `Recovery code`.
Imported into vault `work`: 1 new (1 text), left out: the column `Recovery code`.

"#]]
    );
    assert_eq!(get(&sandbox, "deploy", ""), CANARY);
    assert_data_eq!(
        import(&sandbox, &table, "--from csv --column colour=Title"),
        str![[r#"
exit code 2
--- stderr
Error: invalid value 'colour=Title' for '--column <ROLE=HEADER>': a column is no `colour`, but one of name, folder, value, user, password, notes, totp, url, tags, favourite, created, updated, expires, skip, field.LABEL, meta.KEY

For more information, try '--help'.

"#]]
    );
    assert_data_eq!(
        import(&sandbox, &table, "--from csv --delimiter pipe"),
        str![[r#"
exit code 2
--- stderr
Error: invalid value 'pipe' for '--delimiter <WORD>': expected `comma`, `semicolon` or `tab`

For more information, try '--help'.

"#]]
    );
    assert_data_eq!(
        import(&sandbox, "a=b\n", "--from dotenv --column name=a"),
        str![[r#"
exit code 2
--- stderr
Error: `--column` and `--delimiter` are for CSV tables
Hint: add `--from csv` if it is one

"#]]
    );
}

/// Runs gpg with the keys of this directory.
fn gpg(keys: &Path, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new("gpg")
        .arg("--homedir")
        .arg(keys)
        .args(["--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", ""])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("gpg is run: it is in Debian's package `gnupg`");
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), input).unwrap();
    let ended = child.wait_with_output().unwrap();
    assert!(ended.status.success());
    ended.stdout
}

#[test]
#[ignore = "needs gpg"]
fn import_of_pass_dir_warns_of_undecryptable_files_needs_gpg() {
    let sandbox = Sandbox::with_work();
    // The path of the gpg agent's socket is limited to 108 bytes.
    let keys = tempfile::tempdir().unwrap();
    std::fs::set_permissions(keys.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let who = "bob@example.com";
    gpg(keys.path(), &["--quick-generate-key", who, "future-default", "default", "never"], b"");
    let store = sandbox.here("store");
    std::fs::create_dir_all(store.join("web")).unwrap();
    std::fs::write(store.join(".gpg-id"), who).unwrap();
    for (name, text) in [
        ("wifi.gpg", format!("{CANARY}\n")),
        ("web/shop.gpg", format!("{CANARY}\nlogin: bob\nurl: https://shop.example\n")),
    ] {
        let to = ["--trust-model", "always", "--recipient", who, "--encrypt"];
        std::fs::write(store.join(name), gpg(keys.path(), &to, text.as_bytes())).unwrap();
    }
    std::fs::write(store.join("damaged.gpg"), "x").unwrap();
    std::fs::write(store.join("README"), "x").unwrap();
    let run = |keys: &Path| {
        let mut command = sandbox.command("import store --yes --no-input", &[]);
        command.env("GNUPGHOME", keys);
        sandbox.answer(command, b"")
    };
    let imported = run(keys.path());
    let no_keys = tempfile::tempdir().unwrap();
    std::fs::set_permissions(no_keys.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let without = run(no_keys.path());
    for keys in [&keys, &no_keys] {
        let mut end = Command::new("gpgconf");
        end.arg("--homedir").arg(keys.path()).args(["--kill", "gpg-agent"]).status().unwrap();
    }
    assert_data_eq!(
        imported,
        str![[r#"
exit code 5
--- stderr
Warning: damaged.gpg: it is not encrypted with gpg, or cut off
To vault `work`: 2 new (1 credential, 1 text), 1 that cannot be imported, left out: 1 file that is not encrypted with gpg.
Imported into vault `work`: 2 new (1 credential, 1 text), 1 not imported, left out: 1 file that is not encrypted with gpg.

"#]]
    );
    assert_eq!(get(&sandbox, "web/shop", ""), CANARY);
    assert_data_eq!(
        without,
        str![[r#"
exit code 5
--- stderr
Warning: damaged.gpg: it is not encrypted with gpg, or cut off
Warning: web/shop.gpg: gpg has no key that it is encrypted for
Warning: wifi.gpg: gpg has no key that it is encrypted for
Imported into vault `work`: 0 new, 3 not imported, left out: 1 file that is not encrypted with gpg.

"#]]
    );
}

#[test]
fn passphrase_that_may_not_be_asked_for_is_exit_code_4_needs_gpg() {
    let sandbox = Sandbox::with_work();
    let keys = tempfile::tempdir().unwrap();
    std::fs::set_permissions(keys.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let store = sandbox.here("store");
    std::fs::create_dir_all(&store).unwrap();
    std::fs::write(store.join(".gpg-id"), "x").unwrap();
    let locked = gpg(keys.path(), &["--passphrase", "x", "--symmetric"], CANARY.as_bytes());
    let end_agent = || {
        let mut end = Command::new("gpgconf");
        end.arg("--homedir").arg(keys.path()).args(["--kill", "gpg-agent"]).status().unwrap();
    };
    // Otherwise the gpg agent remembers the passphrase.
    end_agent();
    std::fs::write(store.join("locked.gpg"), locked).unwrap();
    let mut command = sandbox.command("import store --yes --no-input", &[]);
    command.env("GNUPGHOME", keys.path());
    let answer = sandbox.answer(command, b"");
    end_agent();
    assert_data_eq!(
        answer,
        str![[r#"
exit code 4
--- stderr
Error: `locked.gpg` takes a passphrase
Hint: run it in a terminal without `--no-input`, or unlock the key first: `gpg --decrypt locked.gpg`
Code: E13.no-passphrase

"#]]
    );
}

#[test]
fn unsupported_import_files_are_named_with_fix() {
    let sandbox = Sandbox::with_work();
    let table = format!("name,url,username,password,totp\na,,bob,{CANARY},x\n");
    assert_data_eq!(
        import(&sandbox, &table, "--from csv --yes"),
        str![[r#"
exit code 1
--- stderr
Error: Its first row is not the header row of a known table
Caused by: its columns are `name`, `url`, `username`, `password`, `totp`
Hint: say which column is what: add `--column name=HEADER --column password=HEADER`
Code: E13.unknown-table

"#]]
    );
    let wide: Vec<u8> = table.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_data_eq!(
        import(&sandbox, wide, "--yes"),
        str![[r#"
exit code 1
--- stderr
Error: This is a text in UTF-16
Hint: convert it: `iconv -f UTF-16 -t UTF-8 FILE > NEW`, and import that
Code: E13.foreign

"#]]
    );
    assert_data_eq!(
        import(&sandbox, "PK\u{3}\u{4} x", "--from dotenv --yes"),
        str![[r#"
exit code 1
--- stderr
Error: This is a zip archive
Hint: unpack it with `unzip FILE`, and import the file in it
Code: E13.foreign

"#]]
    );
}

#[test]
fn import_rejects_file_for_dir_and_dir_for_file() {
    let sandbox = Sandbox::with_work();
    assert_data_eq!(
        import(&sandbox, "x", "--from pass --yes"),
        str![[r#"
exit code 1
--- stderr
Error: This is not a password store: it is no directory
Code: E13.not-of-form

"#]]
    );
    std::fs::create_dir(sandbox.here("directory")).unwrap();
    assert_data_eq!(
        sandbox.run("import directory --yes", &[]),
        str![[r#"
exit code 1
--- stderr
Error: Cannot detect the import format
Hint: add `--from FORMAT`: `jsonl`, `dotenv`, `bitwarden`, `1pux`, `keepass-xml`, `csv`, `pass`, `secretstore` or `vaultinfo`
Code: E13.unknown-form

"#]]
    );
    assert_data_eq!(
        sandbox.run("import directory --yes --from 1pux", &[]),
        str![[r#"
exit code 1
--- stderr
Error: This is not a 1PUX export: it is a directory
Code: E13.not-of-form

"#]]
    );
}

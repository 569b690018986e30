//! The local vault's file matches docs/reference/store-format.md. A reader follows that page in
//! another language and with another cryptography library. It reads the files of the plugin and of
//! the plugin's first version.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::cli::sandbox::{CANARY, Sandbox, store};
use crate::plugin_files::repository;

fn golden(file: &str) -> PathBuf {
    repository().join("plugins/store/tests/golden/v1").join(file)
}

/// Runs the reader on a vault's directory, with the key material on its standard input.
fn run(dir: &Path, opener: &str, given: &[u8]) -> Output {
    let python = std::env::var_os("KEYSTEAD_TEST_PYTHON")
        .expect("KEYSTEAD_TEST_PYTHON names a Python that has PyNaCl; `cargo xtask test` sets it");
    let mut child = Command::new(python)
        .arg(repository().join("tests/read_store.py"))
        .args([dir.as_os_str(), opener.as_ref()])
        .env("PYTHONUTF8", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(given).unwrap();
    child.wait_with_output().unwrap()
}

/// Returns the reader's secrets, by name.
#[track_caller]
fn read(dir: &Path, opener: &str, given: &[u8]) -> BTreeMap<String, Value> {
    let output = run(dir, opener, given);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    by_name(&String::from_utf8(output.stdout).unwrap())
}

fn by_name(lines: &str) -> BTreeMap<String, Value> {
    let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.map(|secret| (secret["name"].as_str().unwrap().to_owned(), secret)).collect()
}

/// Returns a sandbox with the plugin, and the path `here/vault`.
fn sandbox() -> (Sandbox, PathBuf) {
    let sandbox = Sandbox::empty();
    sandbox.run("plugin install --yes", &[store().to_str().unwrap()]).succeeds();
    let dir = sandbox.here("vault");
    (sandbox, dir)
}

/// Copies the golden vault to a directory.
fn unpack(dir: &Path) {
    fs::create_dir(dir).unwrap();
    fs::set_permissions(dir, PermissionsExt::from_mode(0o700)).unwrap();
    let file = dir.join("store.db");
    fs::copy(golden("store.db"), &file).unwrap();
    fs::set_permissions(file, PermissionsExt::from_mode(0o600)).unwrap();
}

/// Returns the command's secrets, by name and in the reader's format.
fn told(sandbox: &Sandbox) -> BTreeMap<String, Value> {
    let listed = sandbox.run("list --json", &[]);
    let mut told = BTreeMap::new();
    for name in by_name(std::str::from_utf8(listed.succeeds()).unwrap()).into_keys() {
        let got = sandbox.run("get --json --", &[&name]);
        let mut secret: Value = serde_json::from_slice(got.succeeds()).unwrap();
        for ours in ["schema", "vault"] {
            secret.as_object_mut().unwrap().remove(ours).unwrap();
        }
        told.insert(name, secret);
    }
    told
}

#[test]
#[ignore = "needs pynacl"]
fn independent_reader_needs_pynacl_reads_golden_file_by_slots() {
    let (sandbox, dir) = sandbox();
    unpack(&dir);
    let expected = by_name(&fs::read_to_string(golden("secrets.jsonl")).unwrap());
    for opener in ["password", "key-file", "recovery-code"] {
        let file = match opener {
            "password" => "golden.password",
            "key-file" => "golden.key",
            _ => "golden.code",
        };
        let given = fs::read(golden(file)).unwrap();
        assert_eq!(read(&dir, opener, &given), expected, "{opener}");
    }
    // The command returns the same secrets.
    fs::copy(golden("golden.key"), sandbox.here("golden.key")).unwrap();
    fs::set_permissions(sandbox.here("golden.key"), PermissionsExt::from_mode(0o600)).unwrap();
    let register = "vault register golden --plugin store --param path=vault \
                    --param key-file=golden.key";
    sandbox.run(register, &[]).succeeds();
    assert_eq!(told(&sandbox), expected);
}

#[test]
#[ignore = "needs pynacl"]
fn independent_reader_needs_pynacl_reads_new_file() {
    let (sandbox, dir) = sandbox();
    fs::write(sandbox.here("pass.given"), format!("{CANARY} p\u{e4}ss")).unwrap();
    let register = "vault register safe --plugin store --param path=vault \
                    --unlock password=file:pass.given";
    sandbox.run(register, &[]).succeeds();
    let meta = "--meta text=dev --meta number:=-3 --meta no:=false \
                --meta at@=2026-11-22T10:00:00.25Z --meta none:=[] \
                --meta list:=[\"b\",\"\",\"\u{fc}\"]";
    sandbox.feed(format!("{CANARY} text\n"), &format!("set db/Text --stdin {meta}")).succeeds();
    sandbox.feed("", "set empty --stdin --allow-empty").succeeds();
    sandbox.feed([0, 255, 10], "set b\u{fc}tes --kind bytes --stdin").succeeds();
    sandbox.feed(CANARY, "set \u{130}login --user b\u{f6}b --stdin").succeeds();
    let map = format!("{{\"a\":\"{CANARY}\",\"deeper\":{{\"b\":\"c\"}}}}");
    sandbox.feed(map, "set map --kind map --stdin").succeeds();
    // The test overwrites a secret under another form of its name, and removes another.
    sandbox.feed(CANARY, "set CAFE\u{301} --stdin").succeeds();
    sandbox.feed(format!("{CANARY} again"), "set caf\u{e9} --stdin").succeeds();
    sandbox.feed(CANARY, "set gone --stdin").succeeds();
    sandbox.run("remove gone", &[]).succeeds();

    let told = told(&sandbox);
    let names: Vec<&str> = told.keys().map(String::as_str).collect();
    assert_eq!(names, ["b\u{fc}tes", "caf\u{e9}", "db/Text", "empty", "map", "\u{130}login"]);
    let pass = fs::read(sandbox.here("pass.given")).unwrap();
    assert_eq!(read(&dir, "password", &pass), told);

    // The reader accepts each new key slot.
    sandbox.run("vault do safe add-key-file --param file=new.given", &[]).succeeds();
    let key = fs::read(sandbox.here("new.given")).unwrap();
    assert_eq!(read(&dir, "key-file", &key), told);
    let added = sandbox.run("vault do safe add-recovery-code", &[]);
    assert_eq!(read(&dir, "recovery-code", added.succeeds()), told);
    assert!(!run(&dir, "password", b"wrong").status.success());

    // The reader does not accept every file: it detects a missing secret.
    let python = std::env::var_os("KEYSTEAD_TEST_PYTHON").unwrap();
    let script = "import sqlite3, sys; file = sqlite3.connect(sys.argv[1]); \
                  file.execute('DELETE FROM secret WHERE place = (SELECT max(place) FROM secret)'); \
                  file.commit()";
    let mut python = Command::new(python);
    python.args(["-c", script]).arg(dir.join("store.db"));
    assert!(python.status().unwrap().success());
    let output = run(&dir, "key-file", &key);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said, "not as it should be: a secret is missing\n");
}

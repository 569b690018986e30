//! Tests on a password store with real keys of gpg, created and removed here. They need Debian's
//! package `gnupg`.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::super::shown::shown;
use super::*;

/// Keys and a store. Dropping it ends its agent.
struct Store {
    dir: tempfile::TempDir,
}

impl Store {
    /// Creates keys, each with its user and its passphrase.
    fn new(keys: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Self { dir };
        for name in ["keys", "store"] {
            fs_err::create_dir(store.path(name)).unwrap();
        }
        use std::os::unix::fs::PermissionsExt;
        let private = std::fs::Permissions::from_mode(0o700);
        fs_err::set_permissions(store.path("keys"), private).unwrap();
        for (who, passphrase) in keys {
            // Not the default algorithm: RSA takes seconds.
            let key = ["--quick-generate-key", who, "future-default", "default", "never"];
            store.gpg(&[&["--passphrase", passphrase], &key[..]].concat(), b"");
        }
        // Otherwise the agent remembers the passphrase.
        store.end_agent();
        store
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn gpg(&self, arguments: &[&str], input: &[u8]) -> Vec<u8> {
        let mut command = Command::new("gpg");
        command.arg("--homedir").arg(self.path("keys"));
        command.args(["--batch", "--quiet", "--pinentry-mode", "loopback"]).args(arguments);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("gpg is run: it is in Debian's package `gnupg`");
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), input).unwrap();
        let ended = child.wait_with_output().unwrap();
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
        ended.stdout
    }

    fn encrypted(&self, to: &str, text: &[u8]) -> Vec<u8> {
        self.gpg(&["--trust-model", "always", "--recipient", to, "--encrypt"], text)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.path("store").join(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, bytes).unwrap();
    }

    fn how(&self) -> Gpg {
        Gpg {
            program: "gpg".into(),
            home: None,
            keys: Some(self.path("keys")),
            prompt: Prompt::Never,
            timeout: Duration::from_secs(60),
        }
    }

    fn end_agent(&self) {
        let mut command = Command::new("gpgconf");
        command.arg("--homedir").arg(self.path("keys")).args(["--kill", "gpg-agent"]);
        let _ = command.status();
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.end_agent();
    }
}

#[test]
#[ignore = "needs gpg"]
fn files_are_decrypted_and_failures_are_reported_needs_gpg() {
    let store = Store::new(&[("open@example.com", ""), ("locked@example.com", "canary-5d1f")]);
    let open = "open@example.com";
    store.write(".gpg-id", b"open@example.com\n");
    store.write(".git/config", b"");
    store.write("web/shop.gpg", &store.encrypted(open, b"canary-5d1f\nuser: bob\n"));
    store.write("web/mail.gpg", &store.encrypted(open, b"canary-5d1f\nuser: bob\nPIN: 12\n"));
    store.write("wifi.gpg", &store.encrypted(open, "canary-5d1f \u{e4}\n".as_bytes()));
    store.write("bytes.gpg", &store.encrypted(open, &[0xff; 300_000]));
    store.write("Wifi.gpg", &store.encrypted(open, b"canary-5d1f another\n"));
    let whole = store.encrypted(open, b"canary-5d1f");
    let mut changed = whole.clone();
    *changed.last_mut().unwrap() ^= 1;
    store.write("changed.gpg", &changed);
    store.write("cut.gpg", &whole[..whole.len() / 2]);
    store.write("clear.gpg", b"canary-5d1f in clear text");
    store.write("empty.gpg", b"");
    // Packed by gpg, but not encrypted.
    store.write("stored.gpg", &store.gpg(&["--store"], b"canary-5d1f"));
    store.write("README.md", b"");
    store.end_agent();

    let mut entries = read(&store.path("store"), store.how()).unwrap();
    snapbox::assert_data_eq!(
        shown(&mut entries).unwrap(),
        snapbox::str![[r#"
Wifi.gpg: Wifi
  "canary-5d1f another"
bytes.gpg: bytes
  300000 bytes
changed.gpg: BAD: it was damaged or changed since it was encrypted
clear.gpg: BAD: it is not encrypted with gpg, or cut off
cut.gpg: BAD: it is not encrypted with gpg, or cut off
empty.gpg: BAD: it is not encrypted with gpg, or cut off
stored.gpg: BAD: it is not encrypted
web/mail.gpg: web/mail
  password: "canary-5d1f"
  user: "bob"
  PIN: "12"
web/shop.gpg: web/shop
  "bob" / "canary-5d1f"
wifi.gpg: wifi (2)
  "canary-5d1f ä"

"#]]
    );
    let left_out: Vec<String> = entries.left_out();
    assert_eq!(left_out, ["1 file that is not encrypted with gpg"]);

    // A passphrase that cannot be prompted for ends the import.
    for locked in [
        store.encrypted("locked@example.com", b"canary-5d1f"),
        store.gpg(&["--passphrase", "canary-5d1f", "-c"], b"canary"),
    ] {
        store.write("a/locked.gpg", &locked);
        store.end_agent();
        let mut entries = read(&store.path("store"), store.how()).unwrap();
        let error = entries.find_map(Result::err).unwrap();
        assert_eq!(
            format!("{}: {error}", error.code()),
            "E13.no-passphrase: `a/locked.gpg` takes a passphrase"
        );
        assert!(entries.next().is_none());
    }
    fs_err::remove_file(store.path("store").join("a/locked.gpg")).unwrap();

    // Keys of another user.
    let other = Store::new(&[]);
    let how = Gpg { keys: Some(other.path("keys")), ..store.how() };
    let row = read(&store.path("store"), how).unwrap().find_map(|row| row.unwrap().err());
    assert_eq!(row.unwrap().why, "gpg has no key that it is encrypted for");
}

#[test]
fn import_without_working_gpg_fails_before_first_entry() {
    let dir = tempfile::tempdir().unwrap();
    fs_err::write(dir.path().join("a.gpg"), b"x").unwrap();
    let how = |program: &str| Gpg {
        program: program.into(),
        home: None,
        keys: None,
        prompt: Prompt::Never,
        timeout: Duration::from_secs(10),
    };
    let error = read(dir.path(), how("no-such-gpg")).unwrap_err();
    assert_eq!(
        format!("{}: {error}", error.code()),
        "E13.no-program: cannot run `no-such-gpg`: there is no `no-such-gpg` in /usr/local/bin, \
         /usr/bin, /bin"
    );
    let error = read(dir.path(), how("/bin/false")).unwrap_err();
    assert_eq!(error.to_string(), "cannot run `/bin/false`: it ended with exit code 1");
}

#[test]
fn dir_without_gpg_files_is_rejected() {
    let dir = tempfile::tempdir().unwrap();
    let how = Gpg {
        program: "gpg".into(),
        home: None,
        keys: None,
        prompt: Prompt::Never,
        timeout: Duration::from_secs(10),
    };
    let error = read(dir.path(), how.clone()).unwrap_err();
    assert_eq!(error.to_string(), "this is not a password store: there is no `.gpg` file in it");
    let error = read(&dir.path().join("none"), how).unwrap_err();
    assert_eq!(error.code(), "E13.unreadable");
}

/// Returns the reason from a gpg that runs this script.
fn reason_of(dir: &Path, prompt: Prompt, said: &str) -> gpg::Undecrypted {
    use std::os::unix::fs::PermissionsExt;
    let program = dir.join("gpg");
    let script = format!("#!/bin/sh\n[ \"$1\" = --version ] && exit 0\ncat >/dev/null\n{said}\n");
    fs_err::write(&program, script).unwrap();
    fs_err::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let how = Gpg {
        program: program.to_str().unwrap().into(),
        home: None,
        keys: None,
        prompt,
        timeout: Duration::from_secs(1),
    };
    how.decrypt(b"x".to_vec()).unwrap_err()
}

#[test]
fn gpg_failure_reason_comes_from_status_lines() {
    let dir = tempfile::tempdir().unwrap();
    let ask = Prompt::Pinentry { terminal: Some("/dev/tty".into()) };
    let status = |text: &str| format!("printf '[GNUPG:] {text}\\n' >&2; exit 2");
    for (prompt, said, why) in [
        (&ask, status("ERROR pkdecrypt_failed 67108875"), "the passphrase was wrong"),
        (
            &ask,
            status("ENC_TO 1 1 0\\n[GNUPG:] KEY_CONSIDERED 1 0"),
            "gpg could not unlock its key, or has no more than the public half",
        ),
        (&ask, "echo canary; exit 3".into(), "gpg gave up with exit code 3"),
        // gpg must report success itself.
        (&ask, "echo canary".into(), "gpg gave up with exit code 0"),
        (&ask, "exec sleep 30".into(), "gpg took longer than 1 s"),
    ] {
        assert_eq!(reason_of(dir.path(), prompt.clone(), &said), why.into());
    }
    for said in
        ["ERROR pkdecrypt_failed 83886179", "ERROR pkdecrypt_failed 83886278", "CANCELED_BY_USER"]
    {
        assert_eq!(reason_of(dir.path(), ask.clone(), &status(said)), gpg::Undecrypted::Cancelled);
    }
    for said in ["NEED_PASSPHRASE_SYM 9 3 2", "ENC_TO 1 1 0\\n[GNUPG:] KEY_CONSIDERED 1 0"] {
        let why = reason_of(dir.path(), Prompt::Never, &status(said));
        assert_eq!(why, gpg::Undecrypted::Locked);
    }
}

//! Credentials of systemd: `systemd-creds` encrypts them with a host's key and decrypts them to a
//! directory as a unit has it. Keystead and `systemd-creds` read them. No service manager runs
//! here: `systemd-creds` does the work of a unit's start.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use super::{answer, keystead, run, tool};
use crate::cli::sandbox;

/// The units' credentials, by name.
const CREDENTIALS: [(&str, &[u8]); 3] =
    [("db.password", b"canary-5d1f\n"), ("empty", b""), ("tls-key", b"canary\0\xff\x80")];

/// Returns `systemd-creds` with its own host key.
fn systemd_creds(root: &Path) -> Command {
    let mut command = Command::new(tool("KEYSTEAD_TEST_SYSTEMD_CREDS"));
    command.env_clear().env("SYSTEMD_CREDENTIAL_SECRET", root.join("host.secret"));
    command.env("CREDENTIALS_DIRECTORY", root.join("credentials"));
    command
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
#[ignore = "needs systemd"]
fn systemd_credentials_match_systemd_creds_needs_systemd() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    answer(systemd_creds(root).arg("setup"), b"");
    let dir = root.join("credentials");
    fs::create_dir(&dir).unwrap();
    for (name, content) in CREDENTIALS {
        let sealed = root.join(format!("{name}.cred"));
        let named = format!("--name={name}");
        let mut seal = systemd_creds(root);
        seal.args(["encrypt", "--with-key=host", &named, "-"]).arg(&sealed);
        answer(&mut seal, content);
        assert!(!fs::read(&sealed).unwrap().windows(6).any(|window| window == b"canary"));
        let mut open = systemd_creds(root);
        answer(open.args(["decrypt", &named]).arg(&sealed).arg(dir.join(name)), b"");
        mode(&dir.join(name), 0o400);
    }
    mode(&dir, 0o500);

    let home = root.join("home");
    fs::create_dir(&home).unwrap();
    let file = sandbox::files().to_str().unwrap();
    answer(keystead(&home, "plugin install --yes").arg(file), b"");
    // As the script of a unit registers the vault.
    let mut register = Command::new("/bin/sh");
    register.args([
        "-c",
        "exec \"$0\" vault register unit --plugin files --param path=\"$CREDENTIALS_DIRECTORY\"",
    ]);
    register.arg(env!("CARGO_BIN_EXE_keystead")).env_clear().env("HOME", &home);
    answer(register.env("CREDENTIALS_DIRECTORY", &dir), b"");

    for (name, content) in CREDENTIALS {
        let own = answer(&mut keystead(&home, &format!("get {name}")), b"");
        let theirs = answer(systemd_creds(root).args(["--newline=no", "cat", name]), b"");
        assert!(own == content && own == theirs, "{name}");
    }
    let listed = answer(&mut keystead(&home, "list --json"), b"");
    let listed = String::from_utf8(listed).unwrap();
    assert_eq!(listed.lines().count(), CREDENTIALS.len());
    for (line, (name, _)) in listed.lines().zip(CREDENTIALS) {
        assert!(line.contains(&format!("\"name\":\"{name}\"")), "{line}");
    }
    answer(&mut keystead(&home, "vault test"), b"");
    let (code, _, told) = run(&mut keystead(&home, "set new --stdin"), b"canary");
    assert_eq!(code, Some(1));
    assert!(told.contains("E12.unsupported") && !told.contains("canary"), "{told}");
    mode(&dir, 0o700);
}

//! The script of docs/guides/scripting.md, unchanged, with every kind of writable vault.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::bao::{self, Bao};
use crate::cli::sandbox;
use crate::plugin_files::repository;

/// Defines a test for each vault from the plugin and the words of its registration. A vault with a
/// server starts the server in its line, and returns a guard that keeps it running.
macro_rules! vaults {
    ($($(#[$ignored:meta])? $name:ident: $plugin:literal, $register:expr;)+) => { $(
        #[test]
        $(#[$ignored])?
        fn $name() {
            let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
            let register: fn(&Path) -> (_, String) = $register;
            let (_running, words) = register(home.path());
            rotates(home.path(), $plugin, &words);
        }
    )+ };
}

vaults! {
    memory_runs_the_script: "memory", |_| ((), "memory --param file=plain/secrets".into());
    store_runs_the_script: "store", |_| ((), "store --param path=safe --param key-file=safe.key".into());
    files_run_the_script: "files", |_| ((), "files:read-write --param folder=directory".into());
    files_with_ended_lines_run_the_script: "files",
        |_| ((), "files:read-write --param folder=directory --param trim-newline=true".into());
    #[ignore = "needs bao"]
    needs_bao_openbao_runs_the_script: "hashicorp", |home| {
        let (server, token) = (Bao::shared(), home.join("token"));
        fs::write(&token, bao::ROOT).unwrap();
        fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).unwrap();
        let (url, dir, token) = (server.url(), bao::unique("script"), token.display());
        (server, format!(
            "hashicorp --param address={url} --param prefix={dir} --param token=file:{token}"
        ))
    };
}

/// Returns the script as typed on the page.
fn script() -> String {
    let page = fs::read_to_string(repository().join("docs/guides/scripting.md")).unwrap();
    let (_, rest) = page.split_once("$ cat >rotate.sh <<'END'\n").unwrap();
    let (typed, _) = rest.split_once("> END\n").unwrap();
    let mut script = String::new();
    for line in typed.lines() {
        writeln!(script, "{}", line.strip_prefix("> ").unwrap()).unwrap();
    }
    script
}

/// Returns a command in a home, with Keystead on its path.
fn command(home: &Path, program: &str, words: &str) -> Command {
    let mut command = Command::new(program);
    command.args(words.split_whitespace()).env_clear().env("HOME", home).current_dir(home);
    command.env("PATH", format!("{}:/usr/bin:/bin", home.join("bin").display()));
    command
}

/// Runs a command with this on its standard input, and returns its whole output.
#[track_caller]
fn run(mut command: Command, input: &str) -> String {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A command that reads no input may end before this write.
    let _ = std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{told}", output.status);
    format!("{}{told}", String::from_utf8(output.stdout).unwrap())
}

/// Registers a vault and rotates its token twice.
#[track_caller]
fn rotates(home: &Path, plugin: &str, words: &str) {
    fs::create_dir(home.join("bin")).unwrap();
    symlink(env!("CARGO_BIN_EXE_keystead"), home.join("bin/keystead")).unwrap();
    let path = home.join("rotate.sh");
    fs::write(&path, script()).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let keystead = |words: &str| command(home, "keystead", words);

    let file = sandbox::built(plugin);
    run(keystead(&format!("plugin install --yes {}", file.display())), "");
    run(keystead(&format!("vault register work --yes --plugin {words}")), "");

    let rotate = |token| run(command(home, "./rotate.sh", "work"), token);
    assert_eq!(rotate("canary-1"), "app.key\napp.token\n");
    for (token, before) in [("canary-2", "canary-1"), ("canary-3", "canary-2")] {
        assert_eq!(rotate(token), "app.key\napp.token\napp.token.before\n");
        assert_eq!(run(keystead("get app.token --vault work"), ""), token);
        assert_eq!(run(keystead("get app.token.before --vault work"), ""), before);
    }
    assert!(!home.join("key").exists(), "the script leaves its key behind");
    for name in ["app.key", "app.token", "app.token.before"] {
        run(keystead(&format!("-q remove {name} --vault work")), "");
    }
    assert_eq!(run(keystead("list --vault work"), ""), "");
}

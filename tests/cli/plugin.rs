//! `plugin`.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use snapbox::{assert_data_eq, str};

use super::sandbox::{Sandbox, plugin};
use crate::plugin_files::able_with;

fn file() -> &'static str {
    plugin().to_str().unwrap()
}

/// Copies the plugin to the current directory.
fn copy(sandbox: &Sandbox, name: &str) {
    std::fs::copy(plugin(), sandbox.here(name)).unwrap();
}

#[test]
fn plugin_install_prints_manifest_and_requires_confirmation() {
    let sandbox = Sandbox::empty();
    assert_data_eq!(
        sandbox.run("plugin install", &[file()]),
        str![[r#"
exit code 4
--- stderr
Plugin:      memory [VERSION]
Description: Secrets in memory, or in a file in clear text: for tests and for plugin authors
Vendor:      Keystead
License:     MIT OR Apache-2.0
Contract:    1.0.0 (abi_stable-0.11)
File:        ELF for x86-64, glibc 2.34 or newer
SHA-256:     [SHA256]
Permissions:
  may read and write files in the directory of {file}
Findings:
  is not stripped: larger than it has to be
Error: Confirmation needed: Install plugin `memory`?
Hint: add `--yes` to install it without being asked

"#]]
    );
    assert_data_eq!(
        sandbox.run("plugin install --dry-run", &[file()]),
        str![[r#"
exit code 0
--- stderr
Plugin:      memory [VERSION]
Description: Secrets in memory, or in a file in clear text: for tests and for plugin authors
Vendor:      Keystead
License:     MIT OR Apache-2.0
Contract:    1.0.0 (abi_stable-0.11)
File:        ELF for x86-64, glibc 2.34 or newer
SHA-256:     [SHA256]
Permissions:
  may read and write files in the directory of {file}
Findings:
  is not stripped: larger than it has to be
Would install plugin `memory` [VERSION]; nothing was changed

"#]]
    );
    assert_eq!(sandbox.run("plugin list", &[]).succeeds(), b"");
    assert_data_eq!(
        sandbox.run("plugin install --yes", &[file()]),
        str![[r#"
exit code 0
--- stderr
Plugin:      memory [VERSION]
Description: Secrets in memory, or in a file in clear text: for tests and for plugin authors
Vendor:      Keystead
License:     MIT OR Apache-2.0
Contract:    1.0.0 (abi_stable-0.11)
File:        ELF for x86-64, glibc 2.34 or newer
SHA-256:     [SHA256]
Permissions:
  may read and write files in the directory of {file}
Findings:
  is not stripped: larger than it has to be
Installed plugin `memory` [VERSION].

"#]]
    );
    assert_data_eq!(
        sandbox.run("plugin install --yes --quiet", &[file()]),
        str![[r#"
exit code 0

"#]]
    );
    assert_data_eq!(
        sandbox.run("plugin list", &[]),
        str![[r#"
exit code 0
--- stdout
memory	[VERSION]	user	installed

"#]]
    );
    assert_data_eq!(
        sandbox.run("plugin verify", &[]),
        str![[r#"
exit code 0
--- stdout
memory (user): ok, SHA-256 [SHA256]

"#]]
    );
}

#[test]
fn plugin_show_describes_plugin_or_rejects_file() {
    let sandbox = Sandbox::installed();
    assert_data_eq!(
        sandbox.run("plugin show memory", &[]),
        str![[r#"
exit code 0
--- stdout
Plugin:      memory [VERSION]
Description: Secrets in memory, or in a file in clear text: for tests and for plugin authors
Vendor:      Keystead
License:     MIT OR Apache-2.0
Contract:    1.0.0 (abi_stable-0.11)
File:        ELF for x86-64, glibc 2.34 or newer
SHA-256:     [SHA256]
Permissions:
  may read and write files in the directory of {file}
Findings:
  is not stripped: larger than it has to be
Installed:   user
Vault `memory`: forgets all when it is closed, unless it has a file
  Can:   write, rename, conditional, metadata, unlock, actions
  Holds: text, bytes, credential, map, json
  Names: case-sensitive
  Parameters:
    file (path): keep secrets here, IN CLEAR TEXT
    locked (text, secret: give a reference): the password to ask for

"#]]
    );
    assert_data_eq!(
        sandbox.run("plugin show nosuch", &[]),
        str![[r#"
exit code 3
--- stderr
Error: No plugin `nosuch` is installed
Hint: run `keystead plugin list` to see the plugins
Hint: run `keystead plugin install FILE` to install one
Code: E03.not-pinned

"#]]
    );
    assert_data_eq!(
        sandbox.run("plugin show ./nosuch", &[]),
        str![[r#"
exit code 1
--- stderr
Error: `[ROOT]/here/nosuch` cannot be looked at
Caused by: No such file or directory (os error 2)

"#]]
    );
    std::fs::write(sandbox.here("text.so"), "hello\n").unwrap();
    assert_data_eq!(
        sandbox.run("plugin show text.so", &[]),
        str![[r#"
exit code 1
--- stderr
Error: `[ROOT]/here/text.so` cannot be used as a plugin
Caused by: the file is not a shared library: it is text
Code: E05.not-a-library

"#]]
    );
    assert_data_eq!(
        sandbox.run("plugin show .", &[]),
        str![[r#"
exit code 1
--- stderr
Error: `[ROOT]/here` cannot be looked at
Caused by: it is not a file

"#]]
    );
    let status = Command::new("mkfifo").arg(sandbox.here("pipe.so")).status().unwrap();
    assert!(status.success());
    assert_data_eq!(
        sandbox.run("plugin show pipe.so", &[]),
        str![[r#"
exit code 1
--- stderr
Error: `[ROOT]/here/pipe.so` cannot be looked at
Caused by: it is not a file

"#]]
    );
}

#[test]
fn plugin_show_json_has_manifest_and_layer() {
    let sandbox = Sandbox::installed();
    let answer = sandbox.run("plugin show --json memory", &[]);
    let json: serde_json::Value = serde_json::from_slice(answer.succeeds()).unwrap();
    assert_eq!(json["schema"], 1);
    assert_eq!(json["id"], "memory");
    assert_eq!(json["layer"], "user");
    assert_eq!(json["problem"], serde_json::Value::Null);
    assert_eq!(json["permissions"][0]["permission"], "files:{file}/..:rw");
    assert_eq!(json["kinds"][0]["parameters"][1]["secret"], true);
    let first = answer.stdout.iter().take(11).copied().collect::<Vec<u8>>();
    assert_eq!(first, b"{\"schema\":1");
}

#[test]
fn world_writable_plugin_is_shown_but_not_installed() {
    let sandbox = Sandbox::empty();
    copy(&sandbox, "open.so");
    let path = sandbox.here("open.so");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
    assert_data_eq!(
        sandbox.run("plugin install open.so --yes", &[]),
        str![[r#"
exit code 1
--- stderr
Error: `[ROOT]/here/open.so` is not safe to use: `[ROOT]/here/open.so` can be written by everyone (mode 0666)
Hint: check its contents, then run `chmod go-w [ROOT]/here/open.so`
Code: E02.others-write

"#]]
    );
    sandbox.run("plugin show open.so", &[]).succeeds();
}

#[test]
fn changed_plugin_file_is_rejected_until_trusted() {
    let sandbox = Sandbox::with_work();
    sandbox.feed("v", "set a --stdin").succeeds();
    let dir = sandbox.root().join("home/.local/share/keystead/plugins");
    let installed = std::fs::read_dir(&dir).unwrap().next().unwrap().unwrap().path();
    let mut bytes = std::fs::read(&installed).unwrap();
    bytes.extend_from_slice(b"one more byte");
    std::fs::set_permissions(&installed, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(&installed, bytes).unwrap();
    assert_data_eq!(
        sandbox.run("get a", &[]),
        str![[r#"
exit code 1
--- stderr
Error: Vault `work` cannot be opened
Caused by: plugin `memory` has changed since it was pinned: `[ROOT]/home/.local/share/keystead/plugins/[SHA256].so` has SHA-256 [SHA256], and [SHA256] is pinned; if the change is meant, `keystead plugin trust memory` accepts it
Hint: run `keystead vault show work` to see its registration
Code: E03.hash-mismatch

"#]]
    );
    assert_data_eq!(
        sandbox.run("plugin verify memory", &[]),
        str![[r#"
exit code 1
--- stdout
memory (user): failed: plugin `memory` has changed since it was pinned: `[ROOT]/home/.local/share/keystead/plugins/[SHA256].so` has SHA-256 [SHA256], and [SHA256] is pinned; if the change is meant, `keystead plugin trust memory` accepts it
--- stderr
Error: Plugin `memory` has changed since it was pinned: `[ROOT]/home/.local/share/keystead/plugins/[SHA256].so` has SHA-256 [SHA256], and [SHA256] is pinned; if the change is meant, `keystead plugin trust memory` accepts it
Code: E03.hash-mismatch

"#]]
    );
    assert_data_eq!(
        sandbox.run("plugin verify --json", &[]),
        str![[r#"
exit code 5
--- stdout
{"schema":1,"id":"memory","layer":"user","ok":false,"sha256":null,"path":"[ROOT]/home/.local/share/keystead/plugins/[SHA256].so","code":"E03.hash-mismatch","error":"plugin `memory` has changed since it was pinned: `[ROOT]/home/.local/share/keystead/plugins/[SHA256].so` has SHA-256 [SHA256], and [SHA256] is pinned; if the change is meant, `keystead plugin trust memory` accepts it"}

"#]]
    );
    assert_data_eq!(
        sandbox.run("plugin trust memory", &[]),
        str![[r#"
exit code 4
--- stderr
Plugin:      memory [VERSION]
Description: Secrets in memory, or in a file in clear text: for tests and for plugin authors
Vendor:      Keystead
License:     MIT OR Apache-2.0
Contract:    1.0.0 (abi_stable-0.11)
File:        ELF for x86-64, glibc 2.34 or newer
SHA-256:     [SHA256]
Permissions:
  may read and write files in the directory of {file}
Findings:
  is not stripped: larger than it has to be
Pinned was SHA-256 [SHA256]
  new:     may read and write files in the directory of {file}
Error: Confirmation needed: Trust plugin `memory` as it is now?
Hint: add `--yes` to trust it without being asked

"#]]
    );
    assert_data_eq!(
        sandbox.run("plugin trust memory --yes", &[]),
        str![[r#"
exit code 0
--- stderr
Plugin:      memory [VERSION]
Description: Secrets in memory, or in a file in clear text: for tests and for plugin authors
Vendor:      Keystead
License:     MIT OR Apache-2.0
Contract:    1.0.0 (abi_stable-0.11)
File:        ELF for x86-64, glibc 2.34 or newer
SHA-256:     [SHA256]
Permissions:
  may read and write files in the directory of {file}
Findings:
  is not stripped: larger than it has to be
Pinned was SHA-256 [SHA256]
  new:     may read and write files in the directory of {file}
Plugin `memory` is trusted as it is now.

"#]]
    );
    assert_eq!(sandbox.run("get a", &[]).succeeds(), b"v");
}

#[test]
fn danger_in_process_trust_allows_in_process_placement() {
    let sandbox = Sandbox::installed();
    assert_data_eq!(
        sandbox.run("plugin trust memory --danger-in-process --yes -q", &[]),
        str![[r#"
exit code 0

"#]]
    );
    let words = "vault register work --plugin memory --placement in-process --param file=w.secrets";
    sandbox.run(words, &[]).succeeds();
    sandbox.feed("v", "set a --stdin").succeeds();
    assert_eq!(sandbox.run("get a", &[]).succeeds(), b"v");
}

#[test]
fn plugin_trust_replaces_file_of_same_id() {
    let sandbox = Sandbox::installed();
    let mut bytes = std::fs::read(plugin()).unwrap();
    bytes.push(0);
    std::fs::write(sandbox.here("other.so"), bytes).unwrap();
    assert_data_eq!(
        sandbox.run("plugin install other.so --yes -q", &[]),
        str![[r#"
exit code 1
--- stderr
Error: The id `memory` is taken by the user pin `[ROOT]/home/.local/share/keystead/pins.d/memory.toml` of another file (SHA-256 [SHA256])
Hint: run `keystead plugin show memory` to see what is installed
Hint: run `keystead plugin upgrade FILE` to put the new file in its place
Code: E07.id-taken

"#]]
    );
    sandbox.run("plugin trust other.so --yes", &[]).succeeds();
    sandbox.run("plugin verify memory", &[]).succeeds();
}

#[test]
fn plugin_remove_warns_of_dependent_vaults() {
    let sandbox = Sandbox::with_work();
    assert_data_eq!(
        sandbox.run("plugin remove memory --dry-run", &[]),
        str![[r#"
exit code 0
--- stderr
Would remove plugin `memory`; nothing was changed
Warning: it is needed by vault `work`

"#]]
    );
    assert_data_eq!(
        sandbox.run("plugin remove memory", &[]),
        str![[r#"
exit code 0
--- stderr
Removed plugin `memory`.
Warning: it is needed by vault `work`

"#]]
    );
    assert_data_eq!(
        sandbox.run("plugin remove memory", &[]),
        str![[r#"
exit code 3
--- stderr
Error: No plugin `memory` is installed
Hint: run `keystead plugin list` to see the plugins
Hint: run `keystead plugin install FILE` to install one
Code: E03.not-pinned

"#]]
    );
    assert_data_eq!(
        sandbox.run("get a", &[]),
        str![[r#"
exit code 1
--- stderr
Error: Vault `work` cannot be opened
Caused by: no plugin `memory` is installed
Hint: run `keystead plugin list` to see the plugins
Hint: run `keystead plugin install FILE` to install one
Hint: run `keystead vault show work` to see its registration
Code: E03.not-pinned

"#]]
    );
    assert_data_eq!(
        sandbox.run("vault show work", &[]),
        str![[r#"
exit code 5
--- stdout
Name:         work
Default:      yes
Layer:        user
Plugin:       memory
Searched:     yes
Parameters:
  file = [ROOT]/here/work.secrets
Granted:
  files:[ROOT]/here/:rw
--- stderr
Warning: its plugin cannot be used: no plugin `memory` is installed

"#]]
    );
}

#[test]
fn plugin_test_reports_each_obligation() {
    let sandbox = Sandbox::empty();
    let answer = sandbox.run("plugin test --many 50 --param file={vault}.secrets", &[file()]);
    let lines = String::from_utf8(answer.succeeds().to_vec()).unwrap();
    assert!(lines.lines().any(|line| line.starts_with("get-what-was-set: kept")), "{lines}");
    assert!(!lines.contains("BROKEN"), "{lines}");
    assert!(answer.stderr.ends_with(" 0 broken, 21 not checked.\n"), "{}", answer.stderr);
    assert_data_eq!(
        sandbox.run("plugin test --kind no", &[file()]),
        str![[r#"
exit code 3
--- stderr
Plugin `memory` is tested isolated:
  may read and write files under [ROOT]/tmp/keystead-test-[..]
Error: Plugin `memory` has no kind of vault `no`
Hint: its kinds are `memory`
Code: E01.no-such-kind

"#]]
    );
}

#[test]
fn unknown_manifest_member_is_reported_with_path() {
    let sandbox = Sandbox::empty();
    let request = r#"{"permission":"network","optional":true,"wy":"greets"}"#;
    let file = able_with(sandbox.root(), &[], request);
    let file = file.to_str().unwrap();
    let expected = "its manifest has the member `kinds[0].permissions[0].wy`, which this host does \
        not know and passes over";
    let shown = sandbox.run("plugin show", &[file]);
    shown.succeeds();
    assert!(shown.to_string().contains(expected), "{shown}");
    let installed = sandbox.run("plugin install --yes", &[file]);
    installed.succeeds();
    assert!(installed.stderr.contains(expected), "{installed}");
    for tested in [file, "able"] {
        let tested = sandbox.run("plugin test", &[tested]);
        assert!(tested.stderr.contains(&format!("Warning: {expected}\n")), "{tested}");
    }
}

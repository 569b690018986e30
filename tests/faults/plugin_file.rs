//! `plugin show` of files that are not plugins, or for another machine, and the plugins that an
//! ordinary user may install. `boundary/file.rs` tests that each is rejected.

use std::fs::File;
use std::os::unix::fs::chown;

use snapbox::{assert_data_eq, str};

use super::{STRANGER, chmod, give_to_ordinary, must_be_root, ordinary, session, session_as};
use crate::cli::sandbox::{Sandbox, plugin as memory};
use crate::plugin_files::c_library;

/// Returns a home with the plugin `memory` as a file in the commands' directory.
fn with_memory() -> Sandbox {
    let sandbox = Sandbox::empty();
    std::fs::copy(memory(), sandbox.here("memory.so")).unwrap();
    chmod(&sandbox.here("memory.so"), 0o755);
    sandbox
}

#[test]
fn plugin_for_other_machine_is_shown_but_not_installed() {
    let sandbox = with_memory();
    let mut bytes = std::fs::read(memory()).unwrap();
    bytes[18..20].copy_from_slice(&183_u16.to_le_bytes());
    std::fs::write(sandbox.here("arm.so"), bytes).unwrap();
    let lines = ["plugin show arm.so", "plugin install --yes arm.so", "plugin test ./arm.so"];
    assert_data_eq!(
        session(&sandbox, &lines),
        str![[r#"
$ keystead plugin show arm.so
exit code 0
--- stdout
Plugin:      memory [VERSION]
Description: Secrets in memory, or in a file in clear text: for tests and for plugin authors
Vendor:      Keystead
License:     MIT OR Apache-2.0
Contract:    1.0.0 (abi_stable-0.11)
File:        ELF for aarch64, glibc 2.34 or newer
SHA-256:     [SHA256]
Permissions:
  may read and write files in the directory of {file}
Findings:
  is not stripped: larger than it has to be
Vault `memory`: forgets all when it is closed, unless it has a file
  Can:   write, rename, conditional, metadata, unlock, actions
  Holds: text, bytes, credential, map, json
  Names: case-sensitive
  Parameters:
    file (path): keep secrets here, IN CLEAR TEXT
    locked (text, secret: give a reference): the password to ask for
--- stderr
Warning: it cannot be used here: the plugin is for aarch64 and this machine is x86-64
$ keystead plugin install --yes arm.so
exit code 1
--- stderr
Error: `[ROOT]/here/arm.so` cannot be used as a plugin
Caused by: the plugin is for aarch64 and this machine is x86-64
Hint: run `keystead plugin show [ROOT]/here/arm.so` to look at it
Code: E05.other-machine
$ keystead plugin test ./arm.so
exit code 1
--- stderr
Error: `[ROOT]/here/arm.so` cannot be used as a plugin
Caused by: the plugin is for aarch64 and this machine is x86-64
Hint: run `keystead plugin show [ROOT]/here/arm.so` to look at it
Code: E05.other-machine

"#]]
    );
}

#[test]
fn plugin_show_of_invalid_file_names_reason() {
    let sandbox = Sandbox::empty();
    c_library("plain_library", &sandbox.here(""), &[]);
    std::fs::write(sandbox.here("empty.so"), "").unwrap();
    // The name keeps the sandbox from reading this file for secrets: only its length counts.
    File::create(sandbox.here("huge.given")).unwrap().set_len(2 << 30).unwrap();
    let lines = [
        "plugin show plain_library.so",
        "plugin show empty.so",
        "plugin show ./huge.given",
        "plugin show /dev/zero",
        "plugin test ./huge.given",
        "plugin test /dev/zero",
    ];
    assert_data_eq!(
        session(&sandbox, &lines),
        str![[r#"
$ keystead plugin show plain_library.so
exit code 1
--- stderr
Error: `[ROOT]/here/plain_library.so` cannot be used as a plugin
Caused by: the library has no manifest: it is not a plugin
Code: E05.no-manifest
$ keystead plugin show empty.so
exit code 1
--- stderr
Error: `[ROOT]/here/empty.so` cannot be used as a plugin
Caused by: the file is not a shared library: it is empty
Code: E05.not-a-library
$ keystead plugin show ./huge.given
exit code 1
--- stderr
Error: `[ROOT]/here/huge.given` cannot be looked at
Caused by: it has 2147483648 bytes; the most is 268435456
$ keystead plugin show /dev/zero
exit code 1
--- stderr
Error: `/dev/zero` cannot be looked at
Caused by: it is not a file
$ keystead plugin test ./huge.given
exit code 1
--- stderr
Error: `[ROOT]/here/huge.given` has 2147483648 bytes; the most is 268435456
Code: E02.too-large
$ keystead plugin test /dev/zero
exit code 1
--- stderr
Error: `/dev/zero` is a device, not a file
Code: E02.not-a-file

"#]]
    );
}

#[test]
#[ignore = "needs root"]
fn unprivileged_user_installs_only_safe_plugin_needs_root() {
    must_be_root();
    let sandbox = with_memory();
    give_to_ordinary(sandbox.root());
    let file = sandbox.here("memory.so");
    let install = ["plugin install --yes --quiet memory.so"];
    chown(&file, Some(STRANGER), None).unwrap();
    assert_data_eq!(
        session_as(&sandbox, &install, ordinary),
        str![[r#"
$ keystead plugin install --yes --quiet memory.so
exit code 1
--- stderr
Error: `[ROOT]/here/memory.so` is not safe to use: `[ROOT]/here/memory.so` belongs to user id 12345, not to root or user id 65534
Hint: if you trust what is in it, copy it to a directory of your own
Code: E02.owner

"#]]
    );
    chown(&file, Some(0), Some(STRANGER)).unwrap();
    chmod(&file, 0o775);
    assert_data_eq!(
        session_as(&sandbox, &install, ordinary),
        str![[r#"
$ keystead plugin install --yes --quiet memory.so
exit code 1
--- stderr
Error: `[ROOT]/here/memory.so` is not safe to use: `[ROOT]/here/memory.so` can be written by the group with id 12345 (mode 0775)
Hint: use a directory of your own: copy the file there, or name it in `KEYSTEAD_CONFIG_DIR` and `KEYSTEAD_DATA_DIR`
Code: E02.group-write

"#]]
    );
    chmod(&file, 0o700);
    assert_data_eq!(
        session_as(&sandbox, &install, ordinary),
        str![[r#"
$ keystead plugin install --yes --quiet memory.so
exit code 1
--- stderr
Error: Cannot open `[ROOT]/here/memory.so`
Caused by: Permission denied (os error 13)
Code: E02.io

"#]]
    );
    chmod(&file, 0o755);
    assert_data_eq!(
        session_as(&sandbox, &install, ordinary),
        str![[r#"
$ keystead plugin install --yes --quiet memory.so
exit code 0

"#]]
    );
}

//! Files that are not plugins. `plugin show` and `plugin install` reject each with one error that
//! names the fault, and run no code of the file.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, lchown, symlink};
use std::path::Path;
use std::process::Command;

use super::home::Home;
use crate::plugin_files::{plugin, succeed};

const SYMBOL: &str = "_1as_0lib_1header_0root_bmodule_bloader";

/// A user who is neither root nor the user that runs these tests.
const NOBODY: u32 = 65_534;

/// Installs the file and compares the whole output.
#[track_caller]
fn refused(home: &Home, file: &Path, expected: &str) {
    let shown = file.to_str().unwrap();
    let expected = expected.replace("[FILE]", &home.plain(shown));
    assert_eq!(home.run(&["plugin", "install", "--yes", shown]), expected);
    assert_eq!(home.run(&["plugin", "list"]), "exit 0\n");
    assert!(!home.mark().exists(), "code of {} ran", file.display());
}

/// Installs a file that can be inspected but not used.
#[track_caller]
fn no_plugin(home: &Home, file: &Path, cause: &str, code: &str) {
    // Only a readable file can be shown.
    let hint = match code {
        "E05.other-machine"
        | "E05.other-platform"
        | "E06.api"
        | "E06.glibc"
        | "E07.library-not-asked" => "Hint: run `keystead plugin show [FILE]` to look at it\n",
        _ => "",
    };
    let head = "exit 1\nError: `[FILE]` cannot be used as a plugin\nCaused by: ";
    refused(home, file, &format!("{head}{cause}\n{hint}Code: {code}\n"));
}

#[test]
fn plugin_file_that_is_no_library_is_rejected() {
    let home = Home::new();
    for (name, bytes, found) in
        [("empty", &b""[..], "empty"), ("script", b"#!/bin/sh\necho no plugin\n", "a script")]
    {
        let cause = format!("the file is not a shared library: it is {found}");
        no_plugin(&home, &home.file(name, bytes), &cause, "E05.not-a-library");
    }
}

#[test]
fn truncated_plugin_file_is_rejected() {
    let home = Home::new();
    let whole = fs::read(plugin("in-order")).unwrap();
    for tenth in 1..=10 {
        let file = home.file("cut.so", &whole[..whole.len() * tenth / 11]);
        let told = home.run(&["plugin", "install", "--yes", file.to_str().unwrap()]);
        assert!(told.contains("\nCaused by: the file is cut off: it has "), "{told}");
        assert!(told.ends_with("\nCode: E05.truncated\n"), "{told}");
    }
}

#[test]
fn library_without_manifest_is_rejected() {
    let home = Home::new();
    let cause = "the library has no manifest: it is not a plugin";
    no_plugin(&home, &home.plain_library(&[]), cause, "E05.no-manifest");
}

#[test]
fn plugin_for_other_machine_or_newer_glibc_is_rejected() {
    let home = Home::new();
    let here = b"\x03\x00\x3e\x00\x01\x00\x00\x00";
    let arm = home.altered("arm.so", here, b"\x03\x00\xb7\x00\x01\x00\x00\x00");
    let cause = "the plugin is for aarch64 and this machine is x86-64";
    no_plugin(&home, &arm, cause, "E05.other-machine");
    let newer = home.altered("glibc.so", b"GLIBC_2.34\0", b"GLIBC_9.99\0");
    let told = home.run(&["plugin", "install", "--yes", newer.to_str().unwrap()]);
    assert!(told.contains("\nCaused by: the plugin needs glibc 9.99; this system has "), "{told}");
    assert!(told.ends_with("\nCode: E06.glibc\n"), "{told}");
}

#[test]
fn invalid_manifest_is_rejected() {
    let home = Home::new();
    for (old, new, cause, code) in [
        (
            "{\"schema\":1,",
            "[\"schema\":1,",
            "the manifest is not JSON as expected: expected `,` or `]` at line 1 column 10",
            "E05.manifest-not-json",
        ),
        (
            "\"id\":\"in-order\"",
            "\"id\":\"In Order\"",
            "the manifest is not valid: `id` is `In Order`: expected 1 to 64 lower-case letters, \
             digits and dashes",
            "E05.bad-manifest",
        ),
        (
            "\"api\":\"1.0.0\"",
            "\"api\":\"2.0.0\"",
            "the plugin is built for plugin API 2.0.0; this host has 1.0.0",
            "E06.api",
        ),
        (
            "KEYSTEAD\x01\0\0\0",
            "KEYSTEAD\x02\0\0\0",
            "the manifest has version 2 and this host reads version 1",
            "E06.manifest-version",
        ),
    ] {
        let file = home.altered("altered.so", old.as_bytes(), new.as_bytes());
        no_plugin(&home, &file, cause, code);
    }
}

#[test]
fn newer_manifest_is_accepted_without_unknown_capability() {
    let home = Home::new();
    let newer = home.altered("newer.so", b"\"unlock\"", b"\"rotate\"");
    let lack = "vaults of kind `vault` lack the capability `rotate`: this host does not know it";
    let shown = home.run(&["plugin", "show", newer.to_str().unwrap()]);
    assert!(shown.contains(&format!("\nNewer than this host:\n  {lack}\n")), "{shown}");
    assert!(shown.contains("\n  Can:   write\n"), "{shown}");
    let installed = home.run(&["plugin", "install", "--yes", newer.to_str().unwrap()]);
    assert!(installed.starts_with("exit 0\n") && installed.contains(lack), "{installed}");
    let verified = home.run(&["plugin", "verify", "in-order"]);
    assert!(verified.starts_with("exit 0\n"), "{verified}");
    assert!(verified.contains(&format!("Warning: plugin `in-order`: {lack}\n")), "{verified}");
    let registered = home.run(&["vault", "register", "v", "--plugin", "in-order"]);
    assert!(registered.starts_with("exit 0\n"), "{registered}");
    assert!(registered.contains(&format!("Warning: {lack}\n")), "{registered}");
}

#[test]
fn vault_kind_needing_newer_host_is_not_registered() {
    let home = Home::new();
    let newer = home.altered("newer.so", b"\"case-sensitive\"", b"\"unicode-folded\"");
    let unknown = "this host does not know the rule for names `unicode-folded`";
    let installed = home.run(&["plugin", "install", "--yes", newer.to_str().unwrap()]);
    assert!(installed.starts_with("exit 0\n"), "{installed}");
    let cannot = format!("\n  vaults of kind `vault` cannot be opened: {unknown}\n");
    assert!(installed.contains(&cannot), "{installed}");
    assert_eq!(
        home.run(&["vault", "register", "v", "--plugin", "in-order"]),
        "exit 1\nError: Plugin `in-order` needs a newer Keystead for vaults of kind `vault`: this \
         one does not know the rule for names `unicode-folded`\nHint: run `keystead plugin show \
         in-order` to see what it needs\nCode: E06.newer-kind\n"
    );
}

#[test]
fn unknown_abi_is_rejected() {
    let home = Home::new();
    let old = "the plugin is built with abi_stable 0.10; this host needs 0.11";
    no_plugin(&home, &plugin("old-abi"), old, "E06.abi-stable");
    let other = home.fake("magic.so", &["-DMAGIC=\"not stable library for Rust      \""]);
    let cause = format!("the symbol `{SYMBOL}` is not a header of abi_stable");
    no_plugin(&home, &other, &cause, "E05.wrong-magic");
    let short = home.fake("short.so", &["-DPOINTERS=1"]);
    let cause = format!("the symbol `{SYMBOL}` has 48 bytes instead of 152");
    no_plugin(&home, &short, &cause, "E05.short-entry");
}

#[test]
fn runpath_execstack_or_unrequested_library_is_rejected() {
    let home = Home::new();
    let runpath = home.fake("runpath.so", &["-Wl,-rpath,/opt/lib"]);
    let cause = "the library brings its own search path: RUNPATH `/opt/lib`";
    no_plugin(&home, &runpath, cause, "E05.search-path");
    let stack = home.fake("stack.so", &["-Wl,-z,execstack"]);
    let cause = "the library asks for an executable stack";
    no_plugin(&home, &stack, cause, "E05.executable-stack");
    let needed = home.plain_library(&["-Wl,-soname,libunknown.so.1"]);
    let needs = home.fake("needs.so", &["-Wl,--no-as-needed", needed.to_str().unwrap()]);
    let cause = "the plugin needs the library `libunknown.so.1` and its manifest does not ask for \
                 it";
    no_plugin(&home, &needs, cause, "E07.library-not-asked");
}

#[test]
fn special_missing_or_oversized_file_is_rejected() {
    let home = Home::new();
    let device = Path::new("/dev/null");
    refused(
        &home,
        device,
        "exit 1\nError: `[FILE]` is a device, not a file\nCode: E02.not-a-file\n",
    );
    let pipe = home.path("pipe");
    succeed(Command::new("mkfifo").arg(&pipe));
    refused(&home, &pipe, "exit 1\nError: `[FILE]` is a pipe, not a file\nCode: E02.not-a-file\n");
    let dir = home.path("folder");
    fs::create_dir(&dir).unwrap();
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
    refused(
        &home,
        &dir,
        "exit 1\nError: `[FILE]` is a directory, not a file\nCode: E02.not-a-file\n",
    );
    let large = home.file("large.so", &fs::read(plugin("in-order")).unwrap());
    fs::File::options().write(true).open(&large).unwrap().set_len(2 << 30).unwrap();
    refused(
        &home,
        &large,
        "exit 1\nError: `[FILE]` has 2147483648 bytes; the most is 268435456\nCode: E02.too-large\n",
    );
    refused(
        &home,
        &home.path("nowhere.so"),
        "exit 1\nError: `[FILE]` does not exist\nCode: E02.missing\n",
    );
}

#[test]
fn world_writable_plugin_file_is_rejected() {
    let home = Home::new();
    let bytes = fs::read(plugin("in-order")).unwrap();
    let file = home.file("world.so", &bytes);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
    refused(
        &home,
        &file,
        "exit 1\nError: `[FILE]` is not safe to use: `[FILE]` can be written by everyone (mode \
         0666)\nHint: check its contents, then run `chmod go-w [FILE]`\n\
         Code: E02.others-write\n",
    );
    let open = home.path("open");
    fs::create_dir(&open).unwrap();
    let inside = home.file("open/inside.so", &bytes);
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
    refused(
        &home,
        &inside,
        "exit 1\nError: `[FILE]` is not safe to use: `[HOME]/open` can be written by everyone (mode \
         0777)\nHint: check its contents, then run `chmod go-w [HOME]/open`\nCode: E02.others-write\n",
    );
}

/// Only root can give a file away. The tests of `fs` cover an ordinary user: they drop to one.
#[test]
#[ignore = "needs root"]
fn plugin_file_or_link_of_other_user_is_rejected_needs_root() {
    let home = Home::new();
    let bytes = fs::read(plugin("in-order")).unwrap();
    let foreign = home.file("foreign.so", &bytes);
    chown(&foreign, Some(NOBODY), None).unwrap();
    refused(
        &home,
        &foreign,
        "exit 1\nError: `[FILE]` is not safe to use: `[FILE]` belongs to user id 65534, not to \
         root\nHint: if you trust what is in it, copy it to a directory of your own\n\
         Code: E02.owner\n",
    );
    let group = home.file("group.so", &bytes);
    chown(&group, None, Some(NOBODY)).unwrap();
    fs::set_permissions(&group, fs::Permissions::from_mode(0o664)).unwrap();
    refused(
        &home,
        &group,
        "exit 1\nError: `[FILE]` is not safe to use: `[FILE]` can be written by the group with id \
         65534 (mode 0664)\nHint: check its contents, then run `chmod go-w [FILE]`\nCode: E02.group-write\n",
    );
    let link = home.path("link.so");
    symlink(home.file("own.so", &bytes), &link).unwrap();
    lchown(&link, Some(NOBODY), None).unwrap();
    refused(
        &home,
        &link,
        "exit 1\nError: `[FILE]` leads through the symbolic link `[FILE]`, which belongs to user \
         id 65534, not to root\nHint: if you trust what is in it, copy it to a directory of \
         your own\nCode: E02.link-owner\n",
    );
}

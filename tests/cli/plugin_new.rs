//! Projects of `plugin new`, as the command writes them and as authors build and test them.

use std::path::Path;
use std::process::Command;

use snapbox::{assert_data_eq, str};

use super::sandbox::Sandbox;
use crate::plugin_files::{cargo, repository, succeed, target};

/// Tests a plugin's file with this parameter.
#[track_caller]
fn passes(sandbox: &Sandbox, file: &Path, words: &str) {
    let answer = sandbox.run("plugin test", &[file.to_str().unwrap(), "--param", words]);
    answer.succeeds();
    assert!(answer.stderr.contains(" 0 broken, "), "{answer}");
}

#[test]
fn new_rust_project_builds_and_passes_plugin_test() {
    let sandbox = Sandbox::empty();
    let api = repository().join("plugin-api");
    sandbox.run("plugin new my-notes --api-path", &[api.to_str().unwrap()]).succeeds();
    let target = target().join("new-plugin");
    let mut build = cargo(&sandbox.here("my-notes"));
    build.args(["build", "--offline", "--quiet"]).env("CARGO_TARGET_DIR", &target);
    assert_eq!(String::from_utf8_lossy(&succeed(&mut build).stderr), "");
    let file = target.join("debug/libkeystead_plugin_my_notes.so");

    std::fs::write(sandbox.here("notes.txt"), "greeting=hello\nempty=\n").unwrap();
    let notes = sandbox.here("notes.txt");
    let grant = format!("files:{}:r", notes.display());
    let words = format!("file={}", notes.display());
    let tested = [file.to_str().unwrap(), "--param", &words, "--grant", &grant];
    let answer = sandbox.run("plugin test", &tested);
    answer.succeeds();
    assert!(answer.stderr.contains(" 0 broken, "), "{answer}");

    sandbox.run("plugin install --yes", &[file.to_str().unwrap()]).succeeds();
    sandbox.run("vault register notes --plugin my-notes --param file=notes.txt", &[]).succeeds();
    assert_data_eq!(
        sandbox.run("get greeting", &[]),
        str![[r#"
exit code 0
--- stdout
hello<no newline>

"#]]
    );
}

#[test]
fn new_c_project_builds_and_passes_plugin_test() {
    let sandbox = Sandbox::empty();
    assert_data_eq!(
        sandbox.run("plugin new my-greeting --c --json", &[]),
        str![[r#"
exit code 0
--- stdout
{"schema":1,"id":"my-greeting","dir":"[ROOT]/here/my-greeting","files":["Makefile","README.md",".gitignore","plugin.c","keystead_plugin.h","keystead_types.h","keystead_value.h"],"dry_run":false}

"#]]
    );
    let made = succeed(
        Command::new("make")
            .arg("WARNINGS=-Wall -Wextra -Wpedantic -Werror")
            .current_dir(sandbox.here("my-greeting")),
    );
    assert_eq!(String::from_utf8_lossy(&made.stderr), "");
    passes(&sandbox, &sandbox.here("my-greeting/my-greeting.so"), "words=hello");
}

#[test]
fn slow_vault_keeps_deadline_obligation() {
    let sandbox = Sandbox::empty();
    sandbox.run("plugin new late --c", &[]).succeeds();
    let source = sandbox.here("late/plugin.c");
    let text = std::fs::read_to_string(&source).unwrap();
    let get = "    if (request->present & KEYSTEAD_WITH_VERSION) return KEYSTEAD_UNSUPPORTED;";
    assert!(text.contains(get));
    // Four times the host's wait for an ordinary call.
    let late = format!(
        "    if (request->deadline_millis < 100) nanosleep(&(struct timespec){{.tv_nsec = 200000000}}, 0);\n{get}"
    );
    std::fs::write(&source, format!("#include <time.h>\n{}", text.replace(get, &late))).unwrap();
    succeed(Command::new("make").arg("CFLAGS=-std=gnu11").current_dir(sandbox.here("late")));
    let file = sandbox.here("late/late.so");
    let answer = sandbox.run("plugin test --param words=hello", &[file.to_str().unwrap()]);
    let report = String::from_utf8_lossy(answer.succeeds());
    assert!(report.contains("deadline: kept"), "{answer}");
}

#[test]
fn plugin_new_rejects_full_with_c() {
    let answer = Sandbox::empty().run("plugin new x --full --c", &[]);
    assert!(answer.ends_with(2).stderr.contains("--full"), "{answer}");
}

#[test]
fn plugin_new_rejects_nonempty_dir_and_bad_id() {
    let sandbox = Sandbox::empty();
    assert_data_eq!(
        sandbox.run("plugin new my-safe", &[]),
        str![[r#"
exit code 0
--- stderr
Wrote plugin `my-safe` to `[ROOT]/here/my-safe`; its README.md says what comes next.
Its crate keystead-plugin-api comes from Cargo's registry: the first build needs the network, or `--api-path DIR` with a copy of the crate.

"#]]
    );
    assert_data_eq!(
        sandbox.run("plugin new my-safe", &[]),
        str![[r#"
exit code 1
--- stderr
Error: `[ROOT]/here/my-safe` is not an empty directory
Code: E02.not-empty

"#]]
    );
    assert_data_eq!(
        sandbox.run("plugin new My_Safe", &[]),
        str![[r#"
exit code 2
--- stderr
Error: The directory's name cannot be the plugin's id
Caused by: `My_Safe` is not a plugin's id: lower-case letters, digits and dashes, at most 64
Hint: add `--id ID`

"#]]
    );
    assert_data_eq!(
        sandbox.run("plugin new My_Safe --id other --dry-run --json", &[]),
        str![[r#"
exit code 0
--- stdout
{"schema":1,"id":"other","dir":"[ROOT]/here/My_Safe","files":["Cargo.toml","README.md",".gitignore","src/lib.rs"],"dry_run":true}

"#]]
    );
    assert!(!sandbox.here("My_Safe").exists());
}

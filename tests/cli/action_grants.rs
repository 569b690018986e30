//! The grants of an action to an isolated plugin: only a path that the user typed, for a parameter
//! that the pinned manifest names. The running plugin's own list of actions grants nothing.

use std::path::{Path, PathBuf};

use snapbox::{assert_data_eq, str};

use super::sandbox::Sandbox;
use crate::plugin_files::actor;

/// Returns a home with the vault `actor`, whose manifest requests these permissions, and a foreign
/// file that the plugin tries to access.
fn home(permissions: &[&str]) -> (Sandbox, PathBuf) {
    let sandbox = Sandbox::empty();
    let target = sandbox.here("private/key");
    std::fs::create_dir(target.parent().unwrap()).unwrap();
    std::fs::write(&target, "canary").unwrap();
    let file = actor(sandbox.root(), permissions, &target);
    sandbox.run("plugin install --yes", &[file.to_str().unwrap()]).succeeds();
    sandbox.run("vault register actor --plugin actor", &[]).succeeds();
    (sandbox, target)
}

/// Checks that reads, writes and new files were refused: by landlock, or by the runner's root.
fn refused(answer: &[u8]) {
    let answer = String::from_utf8_lossy(answer);
    let all = ["EACCES EACCES EACCES", "ENOENT ENOENT ENOENT"];
    assert!(all.contains(&answer.trim()), "{answer}");
}

fn untouched(target: &Path) {
    assert_eq!(std::fs::read_to_string(target).unwrap(), "canary");
    assert_eq!(std::fs::read_dir(target.parent().unwrap()).unwrap().count(), 1);
}

#[test]
fn action_default_path_of_plugin_grants_nothing() {
    // With and without a request in the manifest: the user typed no path.
    for permissions in [&[][..], &["files:{keep.to}:rw"]] {
        let (sandbox, target) = home(permissions);
        for action in ["preset", "keep"] {
            let answer = sandbox.run(&format!("vault do actor {action}"), &[]);
            refused(answer.succeeds());
            assert_eq!(answer.stderr, "");
        }
        untouched(&target);
    }
}

#[test]
fn action_text_not_declared_as_path_grants_nothing() {
    let (sandbox, target) = home(&["files:{keep.to}:rw"]);
    std::fs::write(sandbox.here("notes"), "canary").unwrap();
    for (action, parameter) in
        [("label", "label=notes".to_owned()), ("preset", format!("file={}", target.display()))]
    {
        let answer = sandbox.run(&format!("vault do actor {action} --param"), &[&parameter]);
        refused(answer.succeeds());
    }
    assert_eq!(std::fs::read_to_string(sandbox.here("notes")).unwrap(), "canary");
    untouched(&target);
}

#[test]
fn action_path_grants_single_file_for_single_action() {
    let (sandbox, target) = home(&["files:{keep.to}:rw"]);
    std::fs::write(sandbox.here("beside"), "canary").unwrap();
    let typed = format!("to={}", sandbox.here("kept").display());
    assert_data_eq!(
        sandbox.run("vault do actor keep --dry-run --param", &[&typed]),
        str![[r#"
exit code 0
--- stderr
For this action the plugin of vault `actor`:
  may read and write files under [ROOT]/here/kept
Would do `keep` in vault `actor`; nothing was changed

"#]]
    );
    assert!(!sandbox.here("kept").exists());
    assert_data_eq!(
        sandbox.run("vault do actor keep --param", &[&typed]),
        str![[r#"
exit code 0
--- stdout
read written E[..]
--- stderr
For this action the plugin of vault `actor`:
  may read and write files under [ROOT]/here/kept

"#]]
    );
    assert_eq!(std::fs::read_to_string(sandbox.here("kept")).unwrap(), "by the plugin");
    assert!(!sandbox.here("kept.beside").exists());
    // The next action no longer has the grant.
    let answer = sandbox.run("vault do actor preset --param", &[&typed.replace("to=", "file=")]);
    refused(answer.succeeds());
    untouched(&target);
}

#[test]
fn action_path_covering_runnable_program_is_rejected() {
    // Otherwise the plugin could write a program that the host then runs outside of the sandbox.
    let root = Sandbox::empty();
    let tools = root.here("tools");
    std::fs::create_dir(&tools).unwrap();
    let program = format!("exec:{}/tool", tools.display());
    let (sandbox, _) = home(&["files:{keep.to}:rw", &program]);
    for (typed, refused) in
        [(tools.clone(), true), (tools.join("tool"), true), (tools.join("x"), false)]
    {
        let typed = format!("to={}", typed.display());
        let answer = sandbox.run("vault do actor keep --param", &[&typed]);
        assert_eq!(
            answer.stderr.contains("E07.writable-program"),
            refused,
            "{typed} {}",
            answer.stderr
        );
    }
    assert!(!tools.join("tool").exists());
    // The same applies to a program that a reference of any vault runs.
    let (sandbox, _) = home(&["files:{keep.to}:rw"]);
    let answer = format!("password=command:[\"{}/tool\"]", sandbox.here("tools").display());
    std::fs::create_dir(sandbox.here("tools")).unwrap();
    let words = "vault register other --plugin actor --unlock";
    sandbox.run(words, &[&answer]).succeeds();
    let answer = sandbox.run("vault do actor keep --param to=tools", &[]);
    assert!(answer.stderr.contains("E07.writable-program"), "{}", answer.stderr);
}

#[test]
fn action_path_through_link_requires_confirmation() {
    // The plugin may have created the link when an earlier action granted the directory.
    let (sandbox, target) = home(&["files:{keep.to}:rw"]);
    std::os::unix::fs::symlink(&target, sandbox.here("out")).unwrap();
    let answer = sandbox.run("vault do actor keep --dry-run --param to=out", &[]);
    let shown = format!("{} which leads to {}", "[ROOT]/here/out,", "[ROOT]/here/private/key");
    let shown = shown.replace("[ROOT]", sandbox.root().to_str().unwrap());
    assert!(answer.stderr.contains(&shown), "{}", answer.stderr);
    let answer = sandbox.run("vault do actor keep --param to=out", &[]);
    assert!(answer.stderr.contains("--yes"), "{}", answer.stderr);
    untouched(&target);
    sandbox.run("vault do actor keep --yes --param to=out", &[]).succeeds();
    assert_eq!(std::fs::read_to_string(&target).unwrap(), "by the plugin");
}

#[test]
fn action_path_in_keystead_dirs_is_rejected() {
    let (sandbox, _) = home(&["files:{keep.to}:rw"]);
    let own = sandbox.root().join("home/.config/keystead/vaults/actor.toml");
    let before = std::fs::read(&own).unwrap();
    std::os::unix::fs::symlink(own.parent().unwrap(), sandbox.here("link")).unwrap();
    std::fs::hard_link(&own, sandbox.here("hard")).unwrap();
    for path in [own.clone(), sandbox.here("link/new.toml"), sandbox.here("hard")] {
        let typed = format!("to={}", path.display());
        let answer = sandbox.run("vault do actor keep --param", &[&typed]);
        assert!(answer.ends_with(1).stderr.contains("E07.own-folder"), "{answer}");
    }
    assert_eq!(std::fs::read(&own).unwrap(), before);
}

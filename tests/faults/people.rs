//! Users and environments: many at once, without a home, as `nobody`, with unusual umasks and
//! symbolic links.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::{Child, Command, Stdio};

use snapbox::{assert_data_eq, str};

use super::{give_to_ordinary, ordinary, session, session_as};
use crate::cli::sandbox::{Sandbox, plugin};

#[test]
fn parallel_registrations_lose_nothing() {
    let sandbox = Sandbox::installed();
    let start = |number: usize| -> Child {
        let name = format!("v{number:02}");
        let mut command = sandbox.command("vault register", &[&name, "--plugin", "memory"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let started: Vec<Child> = (0..20).map(start).collect();
    for child in started {
        let output = child.wait_with_output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{told}");
    }
    let listed = sandbox.run("vault list", &[]);
    let listed = String::from_utf8(listed.succeeds().to_vec()).unwrap();
    let names: Vec<_> = listed.lines().filter_map(|line| line.split_whitespace().next()).collect();
    let expected: Vec<_> = (0..20).map(|number| format!("v{number:02}")).collect();
    assert_eq!(names, expected);
}

/// From an empty home to a stored secret, with an isolated plugin.
const TOUR: [&str; 8] = [
    "plugin install --yes --quiet memory.so",
    "vault register work --plugin memory --param file=work.secrets",
    "set a --stdin --quiet",
    "list",
    "get a",
    "show a",
    "remove a --yes",
    "list",
];

fn with_memory() -> Sandbox {
    let sandbox = Sandbox::empty();
    std::fs::copy(plugin(), sandbox.here("memory.so")).unwrap();
    sandbox
}

#[test]
fn commands_work_for_unprivileged_user_without_home() {
    let sandbox = with_memory();
    for dir in ["config", "data"] {
        std::fs::create_dir(sandbox.root().join(dir)).unwrap();
    }
    give_to_ordinary(sandbox.root());
    let told = session_as(&sandbox, &TOUR, |command| {
        ordinary(command);
        command
            .env_remove("HOME")
            .env("KEYSTEAD_CONFIG_DIR", sandbox.root().join("config"))
            .env("KEYSTEAD_DATA_DIR", sandbox.root().join("data"));
    });
    assert_data_eq!(
        told,
        str![[r#"
$ keystead plugin install --yes --quiet memory.so
exit code 0
$ keystead vault register work --plugin memory --param file=work.secrets
exit code 0
--- stderr
Plugin `memory` as vault `work`:
  may read and write files under [ROOT]/here
Registered vault `work`.
It is the default vault.
$ keystead set a --stdin --quiet
exit code 0
$ keystead list
exit code 0
--- stdout
a	work	text	
$ keystead get a
exit code 0
--- stdout
v<no newline>
$ keystead show a
exit code 0
--- stdout
Name:  a
Vault: work
Kind:  text
$ keystead remove a --yes
exit code 0
--- stderr
Removed `a` from vault `work`.
$ keystead list
exit code 0

"#]]
    );
}

#[test]
fn inaccessible_home_is_reported_as_permission_error() {
    let sandbox = Sandbox::with_work();
    give_to_ordinary(&sandbox.root().join("here"));
    let closed = sandbox.root().join("home");
    std::fs::set_permissions(sandbox.root(), std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o000)).unwrap();
    let lines = ["vault list", "get a", "plugin list"];
    let told = session_as(&sandbox, &lines, ordinary);
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o755)).unwrap();
    assert_data_eq!(
        told,
        str![[r#"
$ keystead vault list
exit code 1
--- stderr
Error: Cannot look up `[ROOT]/home/.config`
Caused by: Permission denied (os error 13)
Code: E02.io
$ keystead get a
exit code 1
--- stderr
Error: Cannot look up `[ROOT]/home/.config`
Caused by: Permission denied (os error 13)
Code: E02.io
$ keystead plugin list
exit code 1
--- stderr
Error: Cannot look up `[ROOT]/home/.local`
Caused by: Permission denied (os error 13)
Code: E02.io

"#]]
    );
}

#[test]
fn commands_work_with_group_writable_umask() {
    let sandbox = with_memory();
    give_to_ordinary(sandbox.root());
    let mut told = String::new();
    for line in TOUR {
        let plain = sandbox.command(line, &[]);
        let mut command = Command::new("sh");
        command.args(["-c", "umask 0002; exec \"$0\" \"$@\""]).arg(plain.get_program());
        command.args(plain.get_args()).current_dir(sandbox.here("")).env_clear();
        command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
        ordinary(&mut command);
        told += &format!("$ keystead {line}\n{}", sandbox.answer(command, b"v"));
    }
    assert_data_eq!(
        told,
        str![[r#"
$ keystead plugin install --yes --quiet memory.so
exit code 0
$ keystead vault register work --plugin memory --param file=work.secrets
exit code 0
--- stderr
Plugin `memory` as vault `work`:
  may read and write files under [ROOT]/here
Registered vault `work`.
It is the default vault.
$ keystead set a --stdin --quiet
exit code 0
$ keystead list
exit code 0
--- stdout
a	work	text	
$ keystead get a
exit code 0
--- stdout
v<no newline>
$ keystead show a
exit code 0
--- stdout
Name:  a
Vault: work
Kind:  text
$ keystead remove a --yes
exit code 0
--- stderr
Removed `a` from vault `work`.
$ keystead list
exit code 0

"#]]
    );
}

#[test]
fn commands_work_with_home_behind_link() {
    let sandbox = with_memory();
    symlink("home", sandbox.root().join("link")).unwrap();
    symlink("here", sandbox.root().join("there")).unwrap();
    let told = session_as(&sandbox, &TOUR, |command| {
        command.env("HOME", sandbox.root().join("link")).current_dir(sandbox.root().join("there"));
    });
    assert_data_eq!(
        told,
        str![[r#"
$ keystead plugin install --yes --quiet memory.so
exit code 0
$ keystead vault register work --plugin memory --param file=work.secrets
exit code 0
--- stderr
Plugin `memory` as vault `work`:
  may read and write files under [ROOT]/here
Registered vault `work`.
It is the default vault.
$ keystead set a --stdin --quiet
exit code 0
$ keystead list
exit code 0
--- stdout
a	work	text	
$ keystead get a
exit code 0
--- stdout
v<no newline>
$ keystead show a
exit code 0
--- stdout
Name:  a
Vault: work
Kind:  text
$ keystead remove a --yes
exit code 0
--- stderr
Removed `a` from vault `work`.
$ keystead list
exit code 0

"#]]
    );
    assert_data_eq!(
        session(&sandbox, &["vault list"]),
        str![[r#"
$ keystead vault list
exit code 0
--- stdout
work	default	user	memory	isolated (default)	

"#]]
    );
}

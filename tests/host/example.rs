//! The example program with its own vaults.

use std::process::Command;

use super::{build, files, memory, target};

#[test]
fn embed_example_runs_without_environment_or_leftovers() {
    build(&["--package", "keystead", "--example", "embed"]);
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let run = |arguments: &[&str]| {
        let mut embed = Command::new(target().join("debug/examples/embed"));
        embed.args(arguments).env_clear().env("TMPDIR", dir.path()).current_dir(dir.path());
        let output = embed.output().unwrap();
        let told = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        (output.status.code(), told(&output.stdout), told(&output.stderr))
    };
    let listed = "worker/0\nworker/1\nworker/2\nworker/3\n".to_owned();
    assert_eq!(run(&[memory().to_str().unwrap()]), (Some(0), listed, String::new()));
    assert_eq!(run(&[]), (Some(1), String::new(), "usage: embed PLUGIN.so\n".to_owned()));
    assert!(files(dir.path()).is_empty(), "{:?}", files(dir.path()).keys());
}

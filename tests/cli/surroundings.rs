//! What the command finds around it: directories, variables, a reader that has gone.

use std::io::Read;
use std::process::Stdio;

use snapbox::{assert_data_eq, str};

use super::sandbox::{CANARY, Sandbox, plugin};

#[test]
fn all_works_without_a_home_where_both_dirs_are_given() {
    let sandbox = Sandbox::empty();
    let run = |words: &str, more: &[&str], input: &str| {
        let mut command = sandbox.command(words, more);
        command
            .env_remove("HOME")
            .env("KEYSTEAD_CONFIG_DIR", sandbox.root().join("config"))
            .env("KEYSTEAD_DATA_DIR", sandbox.root().join("data"));
        sandbox.answer(command, input.as_bytes())
    };
    run("plugin install --yes", &[plugin().to_str().unwrap()], "").succeeds();
    run("vault register w --plugin memory --param file=w.secrets", &[], "").succeeds();
    run("set a --stdin", &[], CANARY).succeeds();
    assert_eq!(run("get a", &[], "").succeeds(), CANARY.as_bytes());
    run("list", &[], "").succeeds();
    run("show a", &[], "").succeeds();
    run("vault test", &[], "").succeeds();
    run("rm a", &[], "").succeeds();
    run("plugin verify", &[], "").succeeds();
    run("vault unregister w", &[], "").succeeds();
    run("plugin remove memory", &[], "").succeeds();
    assert!(std::fs::read_dir(sandbox.root().join("home")).unwrap().next().is_none());
}

#[test]
fn without_any_dir_it_says_which_variable_to_set() {
    let sandbox = Sandbox::empty();
    let run = |words: &str, more: &[&str]| {
        let mut command = sandbox.command(words, more);
        command.env_remove("HOME");
        sandbox.answer(command, b"")
    };
    assert_data_eq!(
        run("plugin install --yes --quiet", &[plugin().to_str().unwrap()]),
        str![[r#"
exit code 1
--- stderr
Error: No user data directory for plugins
Hint: set `HOME`, or both `KEYSTEAD_CONFIG_DIR` and `KEYSTEAD_DATA_DIR`
Code: E02.no-data-folder

"#]]
    );
    assert_data_eq!(
        run("vault default --clear", &[]),
        str![[r#"
exit code 1
--- stderr
Error: There is no directory for the user layer
Hint: set `HOME`, or both `KEYSTEAD_CONFIG_DIR` and `KEYSTEAD_DATA_DIR`
Code: E01.no-layer

"#]]
    );
    assert_data_eq!(
        run("get a", &[]),
        str![[r#"
exit code 3
--- stderr
Error: No secret `a` in any vault: none is registered
Hint: run `keystead vault register --help` to see how to have a vault
Code: E12.no-such-secret

"#]]
    );
}

#[test]
fn a_relative_dir_in_a_variable_is_refused_and_on_the_command_line_it_is_not() {
    let sandbox = Sandbox::with_work();
    let mut command = sandbox.command("vault list", &[]);
    command.env("KEYSTEAD_CONFIG_DIR", "config");
    assert_data_eq!(
        sandbox.answer(command, b""),
        str![[r#"
exit code 2
--- stderr
Error: `KEYSTEAD_CONFIG_DIR` is `config`, which is not an absolute path

"#]]
    );
    assert_eq!(sandbox.run("vault list --config-dir other", &[]).succeeds(), b"");
    sandbox.run("vault register here --plugin memory --config-dir other", &[]).succeeds();
    assert!(sandbox.here("other/vaults/here.toml").exists());
    assert_eq!(
        sandbox.run("vault list --config-dir other", &[]).succeeds(),
        b"here\tdefault\tuser\tmemory\t\n"
    );
}

#[test]
fn a_reader_that_has_gone_is_no_error() {
    let sandbox = Sandbox::with_work();
    for n in 0..3 {
        sandbox.feed("v", &format!("set a-long-name-to-fill-the-pipe-{n} --stdin")).succeeds();
    }
    for words in ["list", "get a-long-name-to-fill-the-pipe-1", "--help", "completions bash"] {
        let mut command = sandbox.command(words, &["--quiet"]);
        if words == "--help" {
            command = sandbox.command(words, &[]);
        }
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::from(writer))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = String::new();
        child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        let stderr: String = stderr.lines().filter(|line| !line.contains("clear text")).collect();
        assert_eq!((child.wait().unwrap().code(), stderr.as_str()), (Some(0), ""), "{words}");
    }
}

#[test]
fn a_full_disk_is_an_error() {
    let sandbox = Sandbox::with_work();
    sandbox.feed("v", "set a --stdin").succeeds();
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let output = sandbox
        .command("get a", &[])
        .stdin(Stdio::null())
        .stdout(Stdio::from(full))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("Error: Cannot write to standard output\n"), "{stderr}");
}

#[test]
fn nothing_in_a_projects_dir_is_used() {
    let sandbox = Sandbox::empty();
    let registration = "plugin = \"memory\"\ngrants = []\n";
    // As many places as somebody could hope for.
    for dir in ["", ".keystead/", "keystead/", ".config/keystead/", "etc/keystead/"] {
        for (name, text) in [
            ("vaults/trap.toml", registration),
            ("config.toml", "default = \"trap\"\n"),
            ("keystead.toml", "default = \"trap\"\n"),
            ("pins.d/memory.toml", "in-process = \"danger\"\n"),
        ] {
            let path = sandbox.here(&format!("{dir}{name}"));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text).unwrap();
        }
        let plugins = sandbox.here(&format!("{dir}plugins"));
        std::fs::create_dir_all(&plugins).unwrap();
        std::fs::copy(super::sandbox::plugin(), plugins.join("memory.so")).unwrap();
    }
    assert_eq!(sandbox.run("vault list --json", &[]).succeeds(), b"");
    assert_eq!(sandbox.run("plugin list --json", &[]).succeeds(), b"");
    let answer = sandbox.run("vault register trap --plugin memory", &[]);
    assert!(answer.ends_with(3).stderr.contains("No plugin `memory` is installed"), "{answer}");
    let report = sandbox.run("doctor --json", &[]);
    assert!(String::from_utf8_lossy(report.succeeds()).contains("\"sound\":true"), "{report}");
}

//! The command's environment: directories, variables, a reader that has closed the pipe.

use std::io::Read;
use std::process::{Command, Stdio};

use snapbox::{assert_data_eq, str};

use super::sandbox::{CANARY, Sandbox, plugin};

#[test]
fn commands_work_without_home_with_both_dir_variables() {
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
fn missing_dirs_error_names_variables() {
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
exit code 1
--- stderr
Error: No secret `a` in any vault: none is registered
Caused by: your vaults cannot be looked up: `HOME` is not set
Hint: set `HOME`, or both `KEYSTEAD_CONFIG_DIR` and `KEYSTEAD_DATA_DIR`
Code: E12.no-such-secret

"#]]
    );
}

#[test]
fn relative_config_dir_is_rejected_in_variable_only() {
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
    sandbox.run("vault list --config-dir other", &[]).ends_with(1);
    sandbox.run("vault register here --plugin memory --config-dir other", &[]).succeeds();
    assert!(sandbox.here("other/vaults/here.toml").exists());
    assert_eq!(
        sandbox.run("vault list --config-dir other", &[]).succeeds(),
        b"here\tdefault\tuser\tmemory\tisolated (default)\t\n"
    );
}

#[test]
fn closed_pipe_reader_is_no_error() {
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
fn full_disk_on_stdout_is_error() {
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
fn files_in_current_dir_are_not_configuration() {
    let sandbox = Sandbox::empty();
    let registration = "plugin = \"memory\"\ngrants = []\n";
    // All directories that a program might search for configuration.
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
    assert!(String::from_utf8_lossy(report.succeeds()).contains("\"ok\":true"), "{report}");
}

/// Returns the command with a shell's redirections.
fn redirected(sandbox: &Sandbox, words: &str, redirections: &str) -> Command {
    let command = sandbox.command(words, &[]);
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg(format!("exec \"$0\" \"$@\" {redirections}"));
    shell.arg(command.get_program()).args(command.get_args());
    shell.env_clear().envs(command.get_envs().filter_map(|(key, value)| Some((key, value?))));
    shell.current_dir(command.get_current_dir().unwrap());
    shell
}

#[test]
fn closed_standard_stream_is_an_error_and_null_is_none() {
    let sandbox = Sandbox::with_work();
    sandbox.feed(CANARY, "set a --stdin").succeeds();
    for words in
        ["get a", "list", "get a --json", "vault list", "show a", "--help", "completions bash"]
    {
        let closed = sandbox.answer(redirected(&sandbox, words, ">&-"), b"");
        closed.ends_with(1);
        assert!(
            closed.stderr.to_lowercase().contains("cannot write to standard output"),
            "{closed}"
        );
        for null in ["> /dev/null", "1<> /dev/null"] {
            sandbox.answer(redirected(&sandbox, words, null), b"").succeeds();
        }
    }
    for words in ["set a --stdin", "set a --stdin --allow-empty"] {
        let closed = sandbox.answer(redirected(&sandbox, words, "<&-"), b"");
        closed.ends_with(1);
        assert!(closed.stderr.contains("Cannot read the value from standard input"), "{closed}");
    }
    assert_eq!(sandbox.run("get a", &[]).succeeds(), CANARY.as_bytes());
    // A command without output needs no standard output.
    sandbox.answer(redirected(&sandbox, "meta set a k=v", ">&-"), b"").succeeds();
}

#[test]
fn unreadable_layer_is_not_reported_as_missing() {
    let sandbox = Sandbox::with_work();
    sandbox.feed(CANARY, "set a --stdin").succeeds();
    let commands = [
        "get a",
        "get a -V work",
        "show a",
        "rm a",
        "mv a b",
        "meta set a k=v",
        "list",
        "list -V work",
        "export --to jsonl --output - --yes",
        "vault list",
        "vault show work",
        "vault test",
        "plugin show memory",
    ];
    for words in commands {
        let mut command = sandbox.command(words, &[]);
        command.env_remove("HOME");
        let lost = sandbox.answer(command, b"");
        lost.ends_with(1);
        assert!(lost.stderr.contains("`HOME` is not set"), "{words}: {lost}");
    }
    let mut others: Vec<&str> = commands.to_vec();
    others.retain(|words| *words != "plugin show memory");
    for words in &others {
        let lost = sandbox.run(&format!("{words} --config-dir typo"), &[]);
        lost.ends_with(1);
        let said = "`--config-dir` is `[ROOT]/here/typo`, which is not there";
        assert!(lost.to_string().contains(said), "{words}: {lost}");
        let mut command = sandbox.command(words, &[]);
        command.env("KEYSTEAD_CONFIG_DIR", sandbox.here("typo"));
        let lost = sandbox.answer(command, b"");
        lost.ends_with(1);
        assert!(lost.stderr.contains("`KEYSTEAD_CONFIG_DIR` is"), "{words}: {lost}");
    }
    sandbox.run("doctor --config-dir typo", &[]).ends_with(1);
    // A command that needs no registration still works.
    let mut command = sandbox.command("get env:TOKEN", &[]);
    command.env_remove("HOME").env("TOKEN", "t");
    assert_eq!(sandbox.answer(command, b"").succeeds(), b"t");
    assert!(!sandbox.here("typo").exists());
}

#[test]
fn unknown_vault_in_variable_exits_3() {
    let sandbox = Sandbox::with_work();
    sandbox.feed(CANARY, "set a --stdin").succeeds();
    for words in [
        "get a",
        "get keystead:///a",
        "show a",
        "rm a",
        "rm a --dry-run",
        "mv a b",
        "meta set a k=v",
    ] {
        let mut command = sandbox.command(words, &[]);
        command.env("KEYSTEAD_VAULT", "nosuch");
        let unknown = sandbox.answer(command, b"");
        unknown.ends_with(3);
        assert!(
            unknown.stderr.starts_with("Error: No vault `nosuch` is registered\n"),
            "{words}: {unknown}"
        );
    }
}

//! Programs that the host runs for a plugin: their environment, that they cannot reach a terminal,
//! and the output for a user with `-v`.

use std::process::Command;

use snapbox::{assert_data_eq, str};

use crate::cli::prompt::{at_terminal, end};
use crate::cli::sandbox::Sandbox;
use crate::plugin_files::able;

/// Secret that prints the environment at the start of the shell, one variable a line.
const ENVIRONMENT: &str = "shell:tr '\\0' '\\n' < /proc/$$/environ | sort";

/// Variables by which interpreters, libraries and loaders run other code.
const STEERING: [&str; 15] = [
    "BASH_ENV",
    "ENV",
    "GCONV_PATH",
    "GETCONF_DIR",
    "GIO_EXTRA_MODULES",
    "GIT_SSH_COMMAND",
    "JAVA_TOOL_OPTIONS",
    "LD_AUDIT",
    "LD_PRELOAD",
    "NODE_OPTIONS",
    "OPENSSL_CONF",
    "PERL5OPT",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "RUBYOPT",
];

/// Returns a home with a vault of a plugin that requests this permission.
fn home(permission: &str) -> Sandbox {
    let sandbox = Sandbox::empty();
    let file = able(sandbox.root(), &[permission]);
    sandbox.run("plugin install --yes", &[file.to_str().unwrap()]).succeeds();
    sandbox.run("vault register able --plugin able", &[]).succeeds();
    sandbox
}

fn get(sandbox: &Sandbox, what: &str) -> Command {
    sandbox.command("get", &[what])
}

fn told(sandbox: &Sandbox, what: &str) -> String {
    String::from_utf8(sandbox.answer(get(sandbox, what), b"").succeeds().to_vec()).unwrap()
}

#[test]
fn granted_program_gets_only_path_home_and_granted_variables() {
    let sandbox = home("exec:/bin/sh:CLUSTER,REGION");
    let home = sandbox.root().join("home").display().to_string();
    let without = format!("HOME={home}\nPATH=/usr/local/bin:/usr/bin:/bin\n");
    let mut command = get(&sandbox, ENVIRONMENT);
    // The program does not inherit the host's own variables.
    command.envs(STEERING.iter().filter(|name| !name.starts_with("LD_")).map(|name| (name, "/x")));
    command.env("CLUSTER", "of the host").env("PATH", "/nowhere:/usr/bin");
    let answer = sandbox.answer(command, b"");
    assert_eq!(String::from_utf8_lossy(answer.succeeds()), without);
    for name in ["CLUSTER", "REGION"] {
        let mut lines: Vec<String> = without.lines().map(str::to_owned).collect();
        lines.push(format!("{name}=chosen"));
        lines.sort();
        assert_eq!(told(&sandbox, &format!("{ENVIRONMENT};;{name}")), lines.join("\n") + "\n");
    }
    for name in STEERING.iter().chain(&["PATH", "HOME", "cluster"]) {
        assert_eq!(
            told(&sandbox, &format!("shell:echo ran;;{name}")),
            format!("setting the variable `{name}` for `/bin/sh` is not granted")
        );
    }
}

#[test]
fn plugin_requesting_ungranted_exec_variables_is_not_opened() {
    let sandbox = home("exec:/bin/sh:CLUSTER,REGION");
    let registration = sandbox.root().join("home/.config/keystead/vaults/able.toml");
    let text = std::fs::read_to_string(&registration).unwrap();
    assert!(text.contains("exec:/bin/sh:CLUSTER,REGION"), "{text}");
    for granted in ["exec:/bin/sh:CLUSTER", "exec:/bin/sh", "exec:sh:CLUSTER,REGION"] {
        std::fs::write(&registration, text.replace("exec:/bin/sh:CLUSTER,REGION", granted))
            .unwrap();
        let answer = sandbox.answer(get(&sandbox, "shell:echo ran"), b"");
        assert!(answer.ends_with(1).stderr.contains("Code: E07.not-granted"), "{answer}");
    }
    let more = "exec:/bin/sh:CLUSTER,MORE,REGION";
    std::fs::write(&registration, text.replace("exec:/bin/sh:CLUSTER,REGION", more)).unwrap();
    assert_eq!(told(&sandbox, "shell:echo ran"), "ran\n");
}

#[test]
fn plugin_requesting_loader_or_host_variable_is_rejected() {
    let sandbox = Sandbox::empty();
    for name in ["LD_PRELOAD", "LD_LIBRARY_PATH", "GLIBC_TUNABLES", "PATH", "HOME"] {
        let file = able(sandbox.root(), &[&format!("exec:/bin/sh:CLUSTER,{name}")]);
        let answer = sandbox.run("plugin install --yes", &[file.to_str().unwrap()]);
        assert!(answer.ends_with(1).stderr.contains("Code: E05.bad-manifest"), "{answer}");
    }
}

#[test]
fn exec_variables_are_shown_on_grant_arguments_with_verbose() {
    let sandbox = home("exec:/bin/sh:CLUSTER,REGION");
    assert_data_eq!(
        sandbox.run("vault register second --plugin able --dry-run", &[]),
        str![[r#"
exit code 0
--- stderr
Plugin `able` as vault `second`:
  may run the program /bin/sh and set its environment variables CLUSTER and REGION
Would register vault `second`; nothing was changed

"#]]
    );
    let answer = sandbox.answer(sandbox.command("get -v", &["shell:echo ran;;REGION"]), b"");
    assert_data_eq!(
        answer,
        str![[r#"
exit code 0
--- stdout
ran
--- stderr
vault `able`: runs `/bin/sh` with `-c` `echo ran`; sets REGION

"#]]
    );
}

#[test]
fn granted_program_has_no_controlling_terminal() {
    let sandbox = home("exec:/bin/sh");
    // The host itself has a controlling terminal.
    let mut own = Command::new("sh");
    own.args(["-c", "exec 3<> /dev/tty && echo opened"]).env_clear().current_dir(sandbox.root());
    assert_eq!(end(at_terminal(own)), ("opened\n".to_owned(), 0));
    let tried = "shell:(exec 3<> /dev/tty) 2>&1 && echo opened";
    let (shown, code) = end(at_terminal(get(&sandbox, tried)));
    assert!(shown.contains("No such device or address"), "{shown}");
    assert!(!shown.contains("opened"), "{shown}");
    assert_eq!(code, 0);
    let session = "shell:read -r pid name state parent group session terminal rest < /proc/$$/stat; \
                   echo $((session == pid)) $((group == pid)) $terminal";
    let (shown, _) = end(at_terminal(get(&sandbox, session)));
    assert!(shown.contains("1 1 0"), "{shown}");
}

#[test]
fn granted_program_writable_by_plugin_is_not_run() {
    let sandbox = Sandbox::empty();
    let tool = sandbox.here("own/tool");
    std::fs::create_dir(sandbox.here("own")).unwrap();
    std::fs::copy("/bin/echo", &tool).unwrap();
    let file = able(sandbox.root(), &[&format!("exec:{}", tool.display())]);
    sandbox.run("plugin install --yes", &[file.to_str().unwrap()]).succeeds();
    let register = "vault register able --plugin able";
    sandbox.run(register, &[]).succeeds();
    let run = format!("run:{}", tool.display());
    assert_eq!(told(&sandbox, &run), "granted\n");
    sandbox.run(register, &["--replace", "--param", "folder=own"]).succeeds();
    assert_eq!(told(&sandbox, &run), "refused");
}

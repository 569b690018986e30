//! References have one grammar: in `get`, in a vault's parameters, in unlock references. Some uses
//! are not allowed.

use std::process::Command;

use snapbox::{assert_data_eq, str};

use super::sandbox::{CANARY, Sandbox};

/// Writes a `*.given` file with a secret and a newline.
fn given(sandbox: &Sandbox, name: &str) {
    std::fs::write(sandbox.here(name), format!("{CANARY}-{name}\n")).unwrap();
}

/// Returns the command with a shell's redirection.
fn with_open(sandbox: &Sandbox, redirection: &str, words: &str) -> Command {
    let command = sandbox.command(words, &[]);
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg(format!("exec \"$0\" \"$@\" {redirection}"));
    shell.arg(command.get_program()).args(command.get_args());
    shell.env_clear().envs(command.get_envs().filter_map(|(key, value)| Some((key, value?))));
    shell.current_dir(command.get_current_dir().unwrap());
    shell
}

#[test]
fn get_resolves_every_reference_kind() {
    let sandbox = Sandbox::with_work();
    sandbox.feed(format!("{CANARY}-vault"), "set db/main --user bob --stdin").succeeds();
    given(&sandbox, "a.given");
    let of_file = format!("{CANARY}-a.given").into_bytes();

    let vault = sandbox.run("get keystead://work/db/main", &[]);
    assert_eq!(vault.succeeds(), format!("{CANARY}-vault").as_bytes());

    let mut env = sandbox.command("get env:TOKEN", &[]);
    env.env("TOKEN", format!("{CANARY}-env"));
    assert_eq!(sandbox.answer(env, b"").succeeds(), format!("{CANARY}-env").as_bytes());

    // A relative path starts at the current directory, `~` at the home directory.
    assert_eq!(sandbox.run("get file:a.given", &[]).succeeds(), of_file);
    assert_eq!(sandbox.run("get file:~/../here/a.given", &[]).succeeds(), of_file);

    // No shell: `$HOME` and `;` are ordinary characters.
    let command = sandbox.run("get", &[r#"command:["printf","%s|","a b","$HOME;id"]"#]);
    assert_eq!(command.succeeds(), b"a b|$HOME;id|");

    let standard = sandbox.feed(format!("{CANARY}-fd\n"), "get fd:0");
    assert_eq!(standard.succeeds(), format!("{CANARY}-fd").as_bytes());
    let other = sandbox.answer(with_open(&sandbox, "7<a.given", "get fd:7"), b"");
    assert_eq!(other.succeeds(), of_file);

    let json = sandbox.run("get --json", &[r#"command:["echo","x"]"#]);
    assert_data_eq!(
        json,
        str![[r#"
exit code 0
--- stdout
{"schema":1,"reference":"command:[/"echo/",/"x/"]","kind":"text","value":{"text":"x"}}

"#]]
    );
}

#[test]
fn get_with_vault_option_treats_reference_as_name() {
    let sandbox = Sandbox::with_work();
    for name in ["env:HOME", "file:/etc/hostname", "fd:0", r#"command:["touch","ran"]"#] {
        let mut set = sandbox.command("set --stdin -V work", &["--", name]);
        set.env_remove("KEYSTEAD_VAULT");
        sandbox.answer(set, format!("{CANARY}-{name}").as_bytes()).succeeds();
        let answer = sandbox.run("get -V work", &[name]);
        assert_eq!(answer.succeeds(), format!("{CANARY}-{name}").as_bytes());
    }
    assert!(!sandbox.here("ran").exists());
    let whole = sandbox.run("get keystead:///env:HOME", &[]);
    assert_eq!(whole.succeeds(), format!("{CANARY}-env:HOME").as_bytes());
}

#[test]
fn unresolvable_reference_error_names_source() {
    let sandbox = Sandbox::with_work();
    std::fs::write(sandbox.here("binary.given"), [0xff, 0xfe]).unwrap();
    std::fs::File::create(sandbox.here("huge.given")).unwrap().set_len(1_048_577).unwrap();
    let tell = |reference: &str| sandbox.run("get", &[reference]).to_string();
    let told: Vec<String> = [
        "env:NO_SUCH",
        "file:no-such",
        "file:binary.given",
        "file:huge.given",
        "file:.",
        r#"command:["no-such-program"]"#,
        r#"command:["sh","-c","echo canary; echo out >&2; exit 3"]"#,
        "fd:99",
    ]
    .iter()
    .map(|reference| tell(reference))
    .collect();
    assert_data_eq!(
        told.concat(),
        str![[r#"
exit code 1
--- stderr
Error: `value` could not be taken from `env:NO_SUCH`: there is no such environment variable
Code: E01.unresolved
exit code 1
--- stderr
Error: `value` could not be taken from `file:[ROOT]/here/no-such`: failed to open file `[ROOT]/here/no-such`: No such file or directory (os error 2)
Code: E01.unresolved
exit code 1
--- stderr
Error: `value` could not be taken from `file:[ROOT]/here/binary.given`: the text is not UTF-8 from byte 0 on
Code: E01.unresolved
exit code 1
--- stderr
Error: `value` could not be taken from `file:[ROOT]/here/huge.given`: it has 1048577 bytes; the most is 1048576
Code: E01.unresolved
exit code 1
--- stderr
Error: `value` could not be taken from `file:[ROOT]/here`: [ROOT]/here: Is a directory (os error 21)
Code: E01.unresolved
exit code 1
--- stderr
Error: `value` could not be taken from `command:["no-such-program"]`: there is no `no-such-program` in /usr/local/bin, /usr/bin, /bin
Code: E01.unresolved
exit code 1
--- stderr
Error: `value` could not be taken from `command:["sh","-c","echo canary; echo out >&2; exit 3"]`: it ended with status 3
Code: E01.unresolved
exit code 1
--- stderr
Error: `value` could not be taken from `fd:99`: no file of this number is open
Code: E01.unresolved

"#]]
    );
}

#[test]
fn pipe_reference_is_read_to_end_or_times_out() {
    let sandbox = Sandbox::with_work();
    let pipe = sandbox.here("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    assert_data_eq!(
        sandbox.run("get file:pipe --timeout 200ms", &[]),
        str![[r#"
exit code 1
--- stderr
Error: `value` could not be taken from `file:[ROOT]/here/pipe`: nobody wrote to it in time
Code: E01.unresolved

"#]]
    );

    let slow = "exec 3>pipe; printf '%s-' \"$1\" >&3; sleep 0.2; echo end >&3";
    let mut writer = Command::new("/bin/sh");
    writer.args(["-c", slow, "sh", CANARY]).current_dir(sandbox.here(""));
    let mut writer = writer.spawn().unwrap();
    let answer = sandbox.run("get file:pipe", &[]);
    assert_eq!(answer.succeeds(), format!("{CANARY}-end").as_bytes());
    assert!(writer.wait().unwrap().success());
}

#[test]
fn malformed_reference_is_usage_error() {
    let sandbox = Sandbox::with_work();
    let tell = |words: &str| sandbox.run(words, &[]).to_string();
    let told: Vec<String> = [
        "get keystead://work",
        "get keystead://w%/x",
        "get keystead:///%zz",
        "get env:",
        "get env:A=B",
        "get file:",
        "get command:rm",
        "get command:[]",
        "get fd:-1",
        "get fd:99999999999",
        "get env:HOME --field user",
    ]
    .iter()
    .map(|words| tell(words))
    .collect();
    assert_data_eq!(
        told.concat(),
        str![[r#"
exit code 2
--- stderr
Error: The argument is neither a secret's name nor a reference
Caused by: the reference is wrong at character 16: a `/` and a secret's name must follow the vault
exit code 2
--- stderr
Error: The argument is neither a secret's name nor a reference
Caused by: the reference is wrong at character 12: this is not a vault's name
exit code 2
--- stderr
Error: The argument is neither a secret's name nor a reference
Caused by: the reference is wrong at character 13: two hexadecimal digits must follow `%`; a `%` itself is `%25`
exit code 2
--- stderr
Error: The argument is neither a secret's name nor a reference
Caused by: the reference is wrong at character 5: the name of a variable must follow
exit code 2
--- stderr
Error: The argument is neither a secret's name nor a reference
Caused by: the reference is wrong at character 6: a variable's name has no `=` and no control characters
exit code 2
--- stderr
Error: The argument is neither a secret's name nor a reference
Caused by: the reference is wrong at character 6: a path must follow
exit code 2
--- stderr
Error: The argument is neither a secret's name nor a reference
Caused by: the reference is wrong at character 9: a JSON array of texts must follow, such as `["pass","show","x"]`
exit code 2
--- stderr
Error: The argument is neither a secret's name nor a reference
Caused by: the reference is wrong at character 9: the program to run is missing
exit code 2
--- stderr
Error: The argument is neither a secret's name nor a reference
Caused by: the reference is wrong at character 4: the number of an open file must follow
exit code 2
--- stderr
Error: The argument is neither a secret's name nor a reference
Caused by: the reference is wrong at character 4: the number of an open file must follow
exit code 2
--- stderr
Error: Only secrets of vaults have fields

"#]]
    );
}

#[test]
fn parameters_and_unlock_references_use_same_grammar() {
    let sandbox = Sandbox::with_work();
    std::fs::write(sandbox.here("password.given"), format!("{CANARY}-password\n")).unwrap();
    sandbox.feed(format!("{CANARY}-password"), "set password --stdin").succeeds();
    let path = sandbox.here("password.given").display().to_string();
    let command = format!(r#"command:["cat",{path:?}]"#);
    let references =
        ["keystead://work/password", "env:PASSWORD", "file:password.given", command.as_str()];
    for (index, parameter) in references.iter().enumerate() {
        // Each reference as a parameter, the next one as the unlock reference.
        let answer = references[(index + 1) % references.len()];
        let name = format!("v{index}");
        let more = [
            format!("--param=locked={parameter}"),
            format!("--param=file={name}.secrets"),
            format!("--unlock=password={answer}"),
        ];
        let more: Vec<&str> = more.iter().map(String::as_str).collect();
        sandbox.run(&format!("vault register {name} --plugin memory"), &more).succeeds();
        let with = |words: &str| {
            let mut command = sandbox.command(words, &[]);
            command.env("PASSWORD", format!("{CANARY}-password"));
            command
        };
        let set = sandbox.answer(with(&format!("set x -V {name} --stdin")), CANARY.as_bytes());
        set.succeeds();
        let get = sandbox.answer(with(&format!("get x -V {name} --no-input")), b"");
        assert_eq!(get.succeeds(), CANARY.as_bytes(), "{parameter} and {answer}");
    }
    // A descriptor belongs to one command line, not to a registration.
    assert_data_eq!(
        sandbox.run("vault register fd --plugin memory --param locked=fd:3", &[]),
        str![[r#"
exit code 1
--- stderr
Error: 1 parameter of vault `fd` is wrong
Caused by: parameter `locked` cannot be `fd:`: a file descriptor ends with its process
Hint: run `keystead plugin show PLUGIN` to see the parameters
Code: E01.parameters

"#]]
    );
    assert_data_eq!(
        sandbox.run("vault register fd --plugin memory --unlock password=fd:3", &[]),
        str![[r#"
exit code 1
--- stderr
Error: `password` cannot be `fd:`: a file descriptor ends with its process
Code: E01.descriptor

"#]]
    );
}

#[test]
fn reference_cycle_is_rejected() {
    let sandbox = Sandbox::with_work();
    let register = |name: &str, to: &str| {
        let more = [format!("--param=locked=keystead://{to}/password")];
        let words = format!("vault register {name} --plugin memory --replace");
        sandbox.run(&words, &[&more[0]])
    };
    register("a", "b").succeeds();
    register("b", "c").succeeds();
    assert_data_eq!(
        register("c", "a"),
        str![[r#"
exit code 1
--- stderr
Error: References lead in a circle: `c` -> `a` -> `b` -> `c`
Code: E01.cycle

"#]]
    );
    assert_data_eq!(
        register("own", "own"),
        str![[r#"
exit code 1
--- stderr
Error: References lead in a circle: `own` -> `own`
Code: E01.cycle

"#]]
    );

    // A cycle that a user made with an editor ends as well.
    sandbox.run("vault register c --plugin memory --param", &["locked=keystead://d/p"]).succeeds();
    let file = sandbox.root().join("home/.config/keystead/vaults/c.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("keystead://d/p", "keystead://a/p")).unwrap();
    assert_data_eq!(
        sandbox.run("get x -V a", &[]),
        str![[r#"
exit code 1
--- stderr
Error: Vault `a` cannot be opened
Caused by:
  1: `locked` could not be taken from `keystead://b/password`
  2: vault `b` cannot be opened
  3: `locked` could not be taken from `keystead://c/password`
  4: vault `c` cannot be opened
  5: `locked` could not be taken from `keystead://a/p`
  6: vault `a` depends on itself
Hint: run `keystead vault show c` to see its registration
Hint: run `keystead vault show b` to see its registration
Hint: run `keystead vault show a` to see its registration
Code: E01.unresolved

"#]]
    );
}

#[test]
fn parameter_from_a_map_is_its_password() {
    let sandbox = Sandbox::with_work();
    let map = format!("{{\"user\":\"bob\",\"password\":\"{CANARY}\"}}");
    sandbox.feed(&map, "set login --kind map --stdin").succeeds();
    std::fs::write(sandbox.here("pass.given"), CANARY).unwrap();
    let words = "vault register safe --plugin memory --param file=safe.secrets \
                 --param locked=file:pass.given --unlock password=keystead://work/login";
    sandbox.run(words, &[]).succeeds();
    sandbox.feed("v", "set a -V safe --stdin").succeeds();
    assert_eq!(sandbox.run("get a -V safe", &[]).succeeds(), b"v");
}

//! `export`.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use snapbox::{assert_data_eq, str};

use super::import::most_memory;
use super::prompt::{at_terminal, end};
use super::sandbox::{CANARY, Sandbox};

fn two_vaults() -> Sandbox {
    let sandbox = Sandbox::with_work();
    sandbox.run("vault register home --plugin memory --param file=home.secrets", &[]).succeeds();
    sandbox.feed(CANARY, "set TOKEN -V work --stdin --meta env=dev").succeeds();
    sandbox.feed(CANARY, "set db/login -V work --stdin --user bob").succeeds();
    sandbox.feed(CANARY, "set db/password -V home --stdin").succeeds();
    sandbox
}

fn names(sandbox: &Sandbox) -> Vec<String> {
    let entries = std::fs::read_dir(sandbox.here("")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| !name.ends_with(".secrets")).collect();
    names.sort();
    names
}

#[test]
fn export_requires_confirmation() {
    let sandbox = two_vaults();
    assert_data_eq!(
        sandbox.run("export --output x.given", &[]),
        str![[r#"
exit code 4
--- stderr
Error: Confirmation needed: Write the values of 1 secret of vault `home` and 2 secrets of vault `work` to `x.given`?
Hint: add `--yes` to export without being asked

"#]]
    );
    assert_data_eq!(
        sandbox.run("export db/* -V work --dry-run", &[]),
        str![[r#"
exit code 0
--- stderr
Would export 1 secret of vault `work` to standard output; nothing was changed

"#]]
    );
    sandbox.run("export --output x.given --yes --dry-run", &[]).succeeds();
    assert!(names(&sandbox).is_empty());
    let answer = sandbox.run("export --yes", &[]);
    assert_eq!(
        String::from_utf8(answer.succeeds().to_vec()).unwrap().replace(CANARY, "[CANARY]"),
        "{\"schema\":1,\"name\":\"db/password\",\"vault\":\"home\",\"kind\":\"text\",\"metadata\":{},\
         \"value\":{\"text\":\"[CANARY]\"}}\n\
         {\"schema\":1,\"name\":\"TOKEN\",\"vault\":\"work\",\"kind\":\"text\",\
         \"metadata\":{\"env\":\"dev\"},\"value\":{\"text\":\"[CANARY]\"}}\n\
         {\"schema\":1,\"name\":\"db/login\",\"vault\":\"work\",\"kind\":\"credential\",\
         \"metadata\":{},\"value\":{\"user\":\"bob\",\"password\":\"[CANARY]\"}}\n"
    );
    assert_eq!(answer.stderr, "Exported 3 secrets to standard output.\n");
}

#[test]
fn export_to_terminal_requires_output_option() {
    let sandbox = two_vaults();
    let (shown, status) = end(at_terminal(sandbox.command("export --yes", &[])));
    assert_eq!(status, 2);
    assert!(!shown.contains(CANARY), "{shown}");
    assert!(shown.contains("Error: Values would be shown on the terminal"), "{shown}");
    assert!(shown.contains("Hint: add `--output FILE`, or `--output -`"), "{shown}");
    let (shown, status) = end(at_terminal(sandbox.command("export --yes --output -", &[])));
    assert_eq!(status, 0);
    assert!(shown.contains(CANARY), "{shown}");

    let mut session = at_terminal(sandbox.command("export -V home --output x.given", &[]));
    session
        .exp_string("Write the values of 1 secret of vault `home` to `x.given`? [y/N]: ")
        .unwrap();
    session.send_line("y").unwrap();
    let (shown, status) = end(session);
    assert_eq!(status, 0, "{shown}");
    assert!(!shown.contains(CANARY), "{shown}");
}

#[test]
fn export_file_is_private_and_not_overwritten() {
    let sandbox = two_vaults();
    assert_data_eq!(
        sandbox.run("export -V home --output x.given --yes --json", &[]),
        str![[r#"
exit code 0
--- stdout
{"schema":1,"dry_run":false,"exported":1,"gone":0,"unfit":0,"refused":0}

"#]]
    );
    let file = sandbox.here("x.given");
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o7777, 0o600);
    let first = std::fs::read(&file).unwrap();
    assert_data_eq!(
        sandbox.run("export --output x.given --yes", &[]),
        str![[r#"
exit code 1
--- stderr
Error: `x.given` exists
Hint: add `--replace` to replace it
Code: E13.exists

"#]]
    );
    assert_eq!(std::fs::read(&file).unwrap(), first);
    sandbox.run("export -V work --output x.given --replace --yes", &[]).succeeds();
    assert_ne!(std::fs::read(&file).unwrap(), first);
    assert_eq!(names(&sandbox), ["x.given"]);
    assert_data_eq!(
        sandbox.run("export --output no/x.given --yes", &[]),
        str![[r#"
exit code 1
--- stderr
Error: Cannot write `no/x.given`
Caused by: No such file or directory (os error 2)
Code: E13.unwritable

"#]]
    );
}

#[test]
fn failed_or_killed_export_leaves_no_file() {
    let sandbox = two_vaults();
    sandbox.feed(vec![b'x'; 300_000], "set large -V work --stdin").succeeds();
    std::fs::create_dir(sandbox.here("small")).unwrap();
    // In a separate namespace, where a small disk can be mounted without privileges.
    let script = "mount -t tmpfs -o size=64k small small
        \"$@\" --output small/x.given --yes || echo \"exit code $?\"
        ls -A small";
    let mut disk = Command::new("unshare");
    disk.args(["--user", "--map-root-user", "--mount", "--", "/bin/sh", "-ec", script, "sh"]);
    assert_data_eq!(
        sandbox.answer(as_arguments(disk, &sandbox.command("export", &[])), b""),
        str![[r#"
exit code 0
--- stdout
exit code 1
--- stderr
Error: Cannot write what is exported
Caused by: No space left on device (os error 28)
Code: E13.unwritable

"#]]
    );

    let export = sandbox.command("export --output x.given", &[]);
    let mut shell = Command::new("sh");
    shell.args(["-c", "echo \"process $$.\"; exec \"$0\" \"$@\""]);
    let mut session = at_terminal(as_arguments(shell, &export));
    session.exp_string("process ").unwrap();
    let process = session.exp_string(".").unwrap();
    session.exp_string("[y/N]: ").unwrap();
    let killed = Command::new("kill").args(["-9", &process]).status().unwrap();
    assert!(killed.success());
    session.exp_eof().unwrap();
    assert_eq!(names(&sandbox), ["small"]);
}

/// Returns `program` with `command` as its arguments.
fn as_arguments(mut program: Command, command: &Command) -> Command {
    program.arg(command.get_program()).args(command.get_args()).env_clear();
    program.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    program.current_dir(command.get_current_dir().unwrap());
    program
}

#[test]
fn export_with_unavailable_vault_warns_and_exits_5() {
    let sandbox = two_vaults();
    std::fs::write(sandbox.here("home.secrets"), "no such format\n").unwrap();
    assert_data_eq!(
        sandbox.run("export --output x.given --yes", &[]),
        str![[r#"
exit code 5
--- stderr
Warning: vault `home` is not exported: vault `home` answered: [ROOT]/here/home.secrets, line 1: it was not written by this plugin
Exported 2 secrets to `x.given`.

"#]]
    );
    sandbox.run("export -V home --yes", &[]).ends_with(1);
}

#[test]
fn partial_export_does_not_replace_existing_file() {
    let sandbox = two_vaults();
    sandbox.run("export --output x.given --yes", &[]).succeeds();
    let whole = std::fs::read(sandbox.here("x.given")).unwrap();
    std::fs::write(sandbox.here("home.secrets"), "no such format\n").unwrap();
    assert_data_eq!(
        sandbox.run("export --output x.given --replace --yes -q", &[]),
        str![[r#"
exit code 5
--- stderr
Warning: vault `home` is not exported: vault `home` answered: [ROOT]/here/home.secrets, line 1: it was not written by this plugin
Error: Not everything could be exported: `x.given` stays as it was
Hint: name the vaults that can be asked with `-V`, or another file

"#]]
    );
    assert_eq!(std::fs::read(sandbox.here("x.given")).unwrap(), whole);
}

#[test]
fn dotenv_export_warns_of_unsupported_secrets() {
    let sandbox = two_vaults();
    assert_data_eq!(
        sandbox.run("export --to dotenv --output x.given --yes", &[]),
        str![[r#"
exit code 5
--- stderr
Warning: `db/password` in vault `home`: its name is no key of an environment file
Warning: `db/login` in vault `work`: its name is no key of an environment file
Exported 1 secret to `x.given`.

"#]]
    );
    assert_eq!(
        std::fs::read_to_string(sandbox.here("x.given")).unwrap(),
        format!("TOKEN={CANARY}\n")
    );
    sandbox.feed(CANARY, "set db.password -V work --stdin").succeeds();
    assert_data_eq!(
        sandbox.run("export --to dotenv --keys upper --output x.given --replace --yes", &[]),
        str![[r#"
exit code 5
--- stderr
Warning: `db.password` in vault `work`: its key `DB_PASSWORD` is another secret's already
Warning: `db/login` in vault `work`: an environment file cannot hold a value of kind credential
Exported 2 secrets to `x.given`.

"#]]
    );
    sandbox.run("export --keys upper --yes", &[]).ends_with(2);
}

/// Values that wrong quoting would change.
const VALUES: [&str; 12] = [
    "plain",
    "",
    " spaces ",
    "it's",
    "\"quoted\"",
    "$HOME ${HOME} $(id) `id` !x",
    "it's $HOME `id` \"x\" \\n \\\\",
    "ends with \\",
    "two\nlines\n\nand 'quotes'\n",
    "\ttab\rand\r\nreturns",
    "# no comment #",
    "grün 鍵 \u{1f511} ~ * ? [a] {b,c} a=b;c&d|e>f",
];

#[test]
fn dotenv_export_is_read_back_by_shell_and_import() {
    let sandbox = Sandbox::with_work();
    for (at, value) in VALUES.iter().enumerate() {
        sandbox.feed(format!("{CANARY}{value}"), &format!("set K{at} --stdin --exact")).succeeds();
    }
    sandbox.run("export --to dotenv --output x.given --yes", &[]).succeeds();
    for (at, value) in VALUES.iter().enumerate() {
        let mut shell = Command::new("bash");
        shell.env_clear().env("HOME", "/nowhere").current_dir(sandbox.here(""));
        shell.args(["-c", &format!("set -a; . ./x.given; exec /usr/bin/printenv -0 K{at}")]);
        let output = shell.output().unwrap();
        assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        let read = String::from_utf8(output.stdout).unwrap();
        assert_eq!(read, format!("{CANARY}{value}\0"), "K{at}");
    }
    sandbox.run("vault register again --plugin memory --param file=again.secrets", &[]).succeeds();
    sandbox.run("import x.given --from dotenv -V again --yes", &[]).succeeds();
    for (at, value) in VALUES.iter().enumerate() {
        let got = sandbox.run(&format!("get K{at} -V again"), &[]).succeeds().to_vec();
        assert_eq!(String::from_utf8(got).unwrap(), format!("{CANARY}{value}"));
    }
}

#[test]
fn export_and_import_round_trip() {
    let sandbox = two_vaults();
    let map =
        format!("{{\"a\":{{\"base64\":\"AAH/\"}},\"b\":{{\"map\":{{\"c\":\"{CANARY} 鍵\\n\"}}}}}}");
    sandbox
        .feed(
            map,
            "set map -V work --kind map --stdin --meta n:=-1 --meta at@=2030-01-31 --meta b:=true",
        )
        .succeeds();
    sandbox.feed([0, 255, 10], "set bytes -V work --kind bytes --stdin").succeeds();
    sandbox.feed("", "set empty -V work --stdin --allow-empty").succeeds();
    sandbox.run("export -V work --output x.given --yes", &[]).succeeds();
    sandbox.run("vault register again --plugin memory --param file=again.secrets", &[]).succeeds();
    sandbox.run("import x.given -V again --yes", &[]).succeeds();
    let all = |vault: &str| {
        let answer = sandbox.run("export --yes -V", &[vault]);
        String::from_utf8(answer.succeeds().to_vec()).unwrap().replace(vault, "work")
    };
    assert_eq!(all("again"), all("work"));
    assert_eq!(all("work").lines().count(), 5);
}

#[test]
fn export_to_closed_pipe_ends_quietly() {
    let sandbox = Sandbox::with_work();
    for at in 0..3 {
        sandbox.feed(vec![b'x'; 100_000], &format!("set a{at} --stdin")).succeeds();
    }
    let mut export = sandbox.command("export --yes -q", &[]);
    let mut child = export.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty());
}

/// Returns a vault's file as the plugin `memory` writes it: separate `set` commands would take most
/// of the test's time.
fn vault_file(secrets: impl Iterator<Item = (String, String)>) -> String {
    let hex = |text: &[u8]| text.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let mut file = format!("keystead-memory 2 {:016x}\n", 1);
    let mut count = 0;
    for (name, text) in secrets {
        let length = u32::try_from(text.len()).unwrap().to_le_bytes();
        let value = [&length, text.as_bytes()].concat();
        let line = format!("{} 1 {} - 37", hex(name.as_bytes()), hex(&value));
        let sum = line.as_bytes().chunks(8).fold(0xcbf2_9ce4_8422_2325_u64, |sum, chunk| {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            (sum ^ u64::from_le_bytes(word)).wrapping_mul(0x0100_0000_01b3).rotate_left(29)
        });
        file += &format!("{line} {sum:016x}\n");
        count += 1;
    }
    file + &format!("end {count}\n")
}

#[test]
fn export_of_100_000_secrets_uses_under_32_mib() {
    const SECRETS: usize = 100_000;
    let sandbox = Sandbox::with_work();
    let secrets =
        (0..SECRETS).map(|at| (format!("service/{at}/password"), format!("{CANARY} {at}")));
    std::fs::write(sandbox.here("work.secrets"), vault_file(secrets)).unwrap();
    let most = most_memory(sandbox.command("export --output y.given --yes --timeout 60s", &[]));
    let written = std::fs::read_to_string(sandbox.here("y.given")).unwrap();
    assert_eq!(written.lines().count(), SECRETS);
    // A page of 1,000 names and a batch of values; the program itself uses most of this.
    assert!(most < 32 * 1024, "{most} KiB for {} KiB", written.len() / 1024);
}

#[test]
fn env_file_for_docker_has_no_quotes_and_refuses_line_breaks() {
    let sandbox = Sandbox::with_work();
    sandbox.feed(format!("{CANARY} 'a' #b"), "set ONE --stdin").succeeds();
    sandbox.feed(format!("{CANARY}\nmore"), "set TWO --stdin").succeeds();
    assert_data_eq!(
        sandbox.run("export --to env-file --output x.given --yes", &[]),
        str![[r#"
exit code 5
--- stderr
Warning: `TWO` in vault `work`: its value has line breaks, which a file for `--env-file` cannot hold
Exported 1 secret to `x.given`.

"#]]
    );
    let written = std::fs::read_to_string(sandbox.here("x.given")).unwrap();
    assert_eq!(written, format!("ONE={CANARY} 'a' #b\n"));
}

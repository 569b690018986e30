//! Events that quarantine an isolated plugin, and others that do not: real signals and commands.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use snapbox::{assert_data_eq, str};

use super::{must_be_root, session};
use crate::cli::sandbox::Sandbox;
use crate::plugin_files::plugin;

/// Number of killed processes per test: three crashes would quarantine a plugin.
const ROUNDS: usize = 10;

fn install(sandbox: &Sandbox, file: &Path) {
    sandbox.run("plugin install --yes -q", &[file.to_str().unwrap()]).succeeds();
}

/// Returns a home with a vault `odd` of this plugin.
fn with(id: &str) -> Sandbox {
    let sandbox = Sandbox::empty();
    install(&sandbox, &plugin(id));
    register(&sandbox, "odd", id, "");
    sandbox
}

fn register(sandbox: &Sandbox, vault: &str, id: &str, more: &str) {
    let words = format!("vault register {vault} --plugin {id} --placement isolated -q {more}");
    sandbox.run(&words, &[]).succeeds();
}

/// Returns a home with a vault `odd` whose listing leaves a file in `here/meet` and does not end.
/// The vault finds no secret by name.
fn with_one_that_waits() -> Sandbox {
    let sandbox = Sandbox::empty();
    std::fs::create_dir(sandbox.here("meet")).unwrap();
    install(&sandbox, &plugin("waits-for-others"));
    let more = "--param folder=meet --param vaults=2";
    register(&sandbox, "odd", "waits-for-others", more);
    sandbox
}

fn data(sandbox: &Sandbox, name: &str) -> PathBuf {
    sandbox.root().join("home/.local/share/keystead").join(name)
}

/// Asserts that no crash was counted, and that the vault `odd` still works.
#[track_caller]
fn is_innocent(sandbox: &Sandbox) {
    sandbox.run("get -V odd nosuch", &[]).ends_with(3);
    assert!(!data(sandbox, "crashes").exists());
}

#[track_caller]
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < until, "{what} in vain");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Waits until the plugin is in its call.
#[track_caller]
fn wait_for_call(sandbox: &Sandbox) {
    let left = sandbox.here("meet/odd");
    wait_until("waited for the call", || left.exists());
    std::fs::remove_file(left).unwrap();
}

/// Returns the command with no signal ignored. Tests that run in the background may have some
/// ignored, and a child inherits that.
fn attentive(command: &Command) -> Command {
    let mut env = Command::new("env");
    env.arg("--default-signal=HUP,INT,QUIT").arg(command.get_program()).args(command.get_args());
    env.env_clear().current_dir(command.get_current_dir().unwrap());
    for (name, value) in command.get_envs() {
        env.env(name, value.unwrap());
    }
    env
}

/// Starts a call that does not end, and returns its command once the plugin is in the call.
#[track_caller]
fn in_call(sandbox: &Sandbox) -> Child {
    let mut command = attentive(&sandbox.command("list -V odd --timeout 10m", &[]));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    wait_for_call(sandbox);
    child
}

fn send(process: u32, signal: Signal) {
    let process = Pid::from_raw(i32::try_from(process).unwrap()).unwrap();
    kill_process(process, signal).unwrap();
}

/// Returns the runner of a command.
#[track_caller]
fn runner_of(command: &Child) -> u32 {
    let is_runner = |process: &PathBuf| {
        let line = std::fs::read(process.join("cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).nth(1) == Some(b"__runner")
    };
    let parent = |process: &PathBuf| {
        let status = std::fs::read_to_string(process.join("status")).unwrap_or_default();
        status.lines().find_map(|line| line.strip_prefix("PPid:")?.trim().parse::<u32>().ok())
    };
    let processes = std::fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
    let mut own = processes.filter(|one| is_runner(one) && parent(one) == Some(command.id()));
    own.next().expect("it has one").file_name().unwrap().to_str().unwrap().parse().unwrap()
}

#[test]
fn three_runner_crashes_quarantine_until_trusted_again() {
    let sandbox = with("segfaults");
    for _ in 0..3 {
        let answer = sandbox.run("get -V odd a", &[]);
        assert!(answer.ends_with(70).stderr.contains("Code: E11.died\n"), "{answer}");
    }
    assert_data_eq!(
        session(
            &sandbox,
            &["get -V odd a", "plugin trust segfaults --yes -q", "get -V odd a", "doctor"]
        ),
        str![[r#"
$ keystead get -V odd a
exit code 1
--- stderr
Error: Vault `odd` cannot be opened
Caused by: plugin `segfaults` is quarantined after repeated crashes (SHA-256 [SHA256]); `keystead plugin trust segfaults` gives it another chance
Hint: run `keystead vault show odd` to see its registration
Code: E07.quarantined
$ keystead plugin trust segfaults --yes -q
exit code 0
$ keystead get -V odd a
exit code 70
--- stderr
Error: Plugin `segfaults` failed in vault `odd`
Caused by: the plugin's process ended during `get`: signal 11 (SIGSEGV)
Hint: report this to the vendor shown by `keystead plugin show segfaults`
Code: E11.died
$ keystead doctor
exit code 0
--- stdout
No problems found.

"#]]
    );
}

#[test]
fn crash_counts_in_a_call_and_on_a_thread_of_the_plugin() {
    for id in ["aborts", "exits", "overflows", "thread-segfaults"] {
        let sandbox = with(id);
        for _ in 0..3 {
            let answer = sandbox.run("get -V odd a", &[]);
            assert!(answer.ends_with(70).stderr.contains("Code: E11.died\n"), "{id}: {answer}");
        }
        let answer = sandbox.run("get -V odd a", &[]);
        let told = &answer.ends_with(1).stderr;
        assert!(told.contains("Code: E07.quarantined\n"), "{id}: {answer}");
        assert!(told.contains(&format!("`keystead plugin trust {id}`")), "{id}: {answer}");
    }
}

#[test]
fn quarantine_is_bound_to_plugin_file() {
    let sandbox = with("segfaults");
    for _ in 0..3 {
        sandbox.run("get -V odd a", &[]).ends_with(70);
    }
    let mut bytes = std::fs::read(plugin("segfaults")).unwrap();
    bytes.extend(b"another");
    std::fs::write(sandbox.here("another.so"), bytes).unwrap();
    let old = plugin("segfaults");
    let old = old.to_str().unwrap();
    let refused = sandbox.run("plugin install --yes -q", &[old]);
    assert!(refused.ends_with(1).stderr.contains("Code: E07.quarantined\n"), "{refused}");
    sandbox.run("plugin remove --yes -q segfaults", &[]).succeeds();
    sandbox.run("plugin install --yes -q another.so", &[]).succeeds();
    for _ in 0..3 {
        sandbox.run("get -V odd a", &[]).ends_with(70);
    }
    let answer = sandbox.run("get -V odd a", &[]);
    assert!(answer.ends_with(1).stderr.contains("Code: E07.quarantined\n"), "{answer}");
}

#[test]
fn runner_killed_from_outside_counts_no_crash() {
    let sandbox = with_one_that_waits();
    let signals = [Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT];
    for signal in [Signal::KILL; ROUNDS].into_iter().chain(signals) {
        let command = in_call(&sandbox);
        send(runner_of(&command), signal);
        let output = command.wait_with_output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{told}");
        let number = signal.as_raw();
        let how = format!("the plugin's process ended during `list`: signal {number} (SIG");
        assert!(told.contains(&how), "{told}");
        assert!(told.contains("Hint: the process was killed from outside"), "{told}");
        assert!(told.contains("Code: E11.died\n"), "{told}");
    }
    is_innocent(&sandbox);
}

#[test]
fn interrupted_command_with_runner_counts_no_crash() {
    let sandbox = with_one_that_waits();
    for _ in 0..4 {
        let command = attentive(&sandbox.command("list -V odd --timeout 10m", &[]));
        let mut terminal = rexpect::session::spawn_command(command, Some(60_000)).unwrap();
        wait_for_call(&sandbox);
        terminal.send_control('c').unwrap();
        terminal.exp_eof().unwrap();
    }
    for signal in [Signal::KILL; 4] {
        let mut command = in_call(&sandbox);
        let runner = runner_of(&command);
        send(command.id(), signal);
        command.wait().unwrap();
        let runner = Path::new("/proc").join(runner.to_string());
        wait_until("waited for the runner's end", || !runner.exists());
    }
    is_innocent(&sandbox);
}

/// A control group with 64 MiB of memory, which needs root. Dropping it removes the group.
struct Small(PathBuf);

impl Small {
    fn new() -> Self {
        must_be_root();
        let root = Path::new("/sys/fs/cgroup");
        let (root, limit, swap, none) = match root.join("memory").is_dir() {
            true => (
                root.join("memory"),
                "memory.limit_in_bytes",
                "memory.memsw.limit_in_bytes",
                "67108864",
            ),
            false => (root.to_path_buf(), "memory.max", "memory.swap.max", "0"),
        };
        let small = Self(root.join(format!("keystead-test-{}", std::process::id())));
        std::fs::create_dir(&small.0).expect("this test limits memory by a group of processes");
        std::fs::write(small.0.join(limit), "67108864").expect("groups limit memory");
        // Without swap accounting, no swap limit is needed.
        let _ = std::fs::write(small.0.join(swap), none);
        small
    }

    fn command(&self, sandbox: &Sandbox, words: &str) -> Command {
        let command = sandbox.command(words, &[]);
        let mut shell = Command::new("sh");
        shell.args(["-c", "echo $$ > \"$0\" && exec \"$@\""]).arg(self.0.join("cgroup.procs"));
        shell.arg(command.get_program()).args(command.get_args()).env_clear();
        for (name, value) in command.get_envs() {
            shell.env(name, value.unwrap());
        }
        shell.current_dir(sandbox.here(""));
        shell
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // A reaped process may stay in the group for a moment.
        let until = Instant::now() + Duration::from_secs(5);
        while std::fs::remove_dir(&self.0).is_err() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

#[test]
#[ignore = "needs root"]
fn out_of_memory_counts_no_crash_needs_root() {
    let small = Small::new();
    let sandbox = with("hungry");
    for _ in 0..4 {
        let answer = sandbox.answer(small.command(&sandbox, "get -V odd a --timeout 10m"), b"");
        assert!(answer.ends_with(1).stderr.contains("signal 9 (SIGKILL)"), "{answer}");
    }
    assert!(!data(&sandbox, "crashes").exists());
}

#[test]
fn only_crashed_plugin_is_quarantined() {
    let sandbox = with("segfaults");
    install(&sandbox, crate::cli::sandbox::plugin());
    register(&sandbox, "early", "memory", "--param file=early.secrets --default");
    sandbox.feed("v", "set mine -V early --stdin").succeeds();
    for _ in 0..3 {
        // The search asks vault `early` first, which is still open when the other plugin crashes.
        let answer = sandbox.run("get a", &[]);
        let told = &answer.ends_with(5).stderr;
        assert!(told.contains("plugin `segfaults` failed in vault `odd`\n"), "{answer}");
    }
    assert_data_eq!(
        session(&sandbox, &["get -V odd a", "get mine", "get mine -V early"]),
        str![[r#"
$ keystead get -V odd a
exit code 1
--- stderr
Error: Vault `odd` cannot be opened
Caused by: plugin `segfaults` is quarantined after repeated crashes (SHA-256 [SHA256]); `keystead plugin trust segfaults` gives it another chance
Hint: run `keystead vault show odd` to see its registration
Code: E07.quarantined
$ keystead get mine
exit code 0
--- stdout
v<no newline>
$ keystead get mine -V early
exit code 0
--- stdout
v<no newline>

"#]]
    );
    assert_eq!(std::fs::read_dir(data(&sandbox, "crashes")).unwrap().count(), 1);
}

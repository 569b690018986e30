//! The agent as a process: inherited state, access by other processes, directories of its socket,
//! and locked memory.

use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::{Signal, kill_process};

use super::agent::{Home, SAFE, until};
use super::prompt::{at_terminal, end};
use super::sandbox::{Answer, CANARY};

/// A user that owns nothing.
const NOBODY: u32 = 65_534;

#[test]
fn agent_inherits_nothing_from_starting_command() {
    let home = Home::new("isolated");
    // An unlock reference makes a terminal unnecessary. This call waits until no process holds the
    // other end of its standard streams.
    answers_itself(&home);
    let given = home.0.here("pass.given");
    let script = "exec 9<pass.given; exec \"$0\" vault unlock safe";
    let mut command = like(&home.0.command("", &[]), "sh", &["-c", script, KEYSTEAD]);
    command.env("NOT_FOR_THE_AGENT", "1");
    home.0.answer(command, b"").succeeds();

    let agent = home.agent().unwrap().as_raw_nonzero().get();
    let of = |name: &str| std::fs::read(format!("/proc/{agent}/{name}"));
    let command = String::from_utf8(of("cmdline").unwrap()).unwrap();
    let arguments: Vec<&str> = command.split('\0').collect();
    assert_eq!(arguments[1], "__agent");
    assert!(arguments[2].ends_with(".local/share/keystead/agent"), "{arguments:?}");
    let stat = String::from_utf8(of("stat").unwrap()).unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    assert_eq!(fields[3], agent.to_string(), "it leads a session of its own: {stat}");
    assert_eq!(fields[4], "0", "it has no terminal: {stat}");
    let status = String::from_utf8(of("status").unwrap()).unwrap();
    assert!(status.contains("NoNewPrivs:\t1"), "{status}");
    let limits = String::from_utf8(of("limits").unwrap()).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{limits}");
    // The agent is not dumpable: most of its files in /proc belong to root.
    if is_root() {
        assert_eq!(of("environ").unwrap(), b"");
        let at = |name: &str| std::fs::read_link(format!("/proc/{agent}/{name}")).unwrap();
        assert_eq!(at("cwd").to_str(), Some("/"));
        for number in 0..3 {
            assert_eq!(at(&format!("fd/{number}")).to_str(), Some("/dev/null"));
        }
        for entry in std::fs::read_dir(format!("/proc/{agent}/fd")).unwrap() {
            let open = std::fs::read_link(entry.unwrap().path()).unwrap_or_default();
            assert_ne!(open, given, "it holds what its starter has open");
        }
    } else {
        assert!(of("environ").is_err());
    }
}

/// Minimum locked memory in KiB: all sessions (64 of 16 KiB) and a frame in each direction.
const BLOCK_KIB: u64 = 1_024 + 2 * 17;

#[test]
fn agent_with_low_memlock_limit_only_warns() {
    let home = Home::new("in-process");
    answers_itself(&home);
    let some = BLOCK_KIB..=u64::MAX;
    let none = 0..=0;
    for (limit, locked, kib) in [
        // For a process that may lock any amount.
        (None, "whole", &some),
        (Some(4096), "sessions", &some),
        (Some(64), "no", &none),
        (Some(0), "no", &none),
    ] {
        let keystead = home.0.command("vault unlock safe --for 5m", &[]);
        let limited = match limit {
            None if may_lock() => keystead,
            None => continue,
            Some(kib) => {
                let memlock = format!("--memlock={}", kib * 1024);
                let less = ["setpriv", "--bounding-set=-ipc_lock", "--inh-caps=-all"];
                // Root with this capability has no limit.
                let less = if is_root() { &less[..] } else { &[] };
                let words = [KEYSTEAD, "vault", "unlock", "safe", "--for", "5m"];
                like(&keystead, "prlimit", &[&[&*memlock], less, &words].concat())
            }
        };
        let answer = home.0.answer(limited, b"");
        answer.succeeds();
        let warned = answer.stderr.contains("may be written to swap");
        assert_eq!(warned, locked == "no", "{limit:?}: {answer}");
        let status = home.0.run("agent status --json", &[]);
        let status = String::from_utf8(status.succeeds().to_vec()).unwrap();
        assert!(status.contains(&format!("\"locked_memory\":\"{locked}\"")), "{limit:?}: {status}");
        assert!(kib.contains(&locked_kib(&home)), "{limit:?}: {} KiB", locked_kib(&home));
        assert_eq!(home.get(), 3);
        home.0.run("agent stop", &[]).succeeds();
        until("it lives", || home.agent().is_none());
    }
}

/// Returns whether this process may exceed the limit on locked memory.
fn may_lock() -> bool {
    const IPC_LOCK: u32 = 14;
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let may = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap();
    u64::from_str_radix(may.trim(), 16).unwrap() >> IPC_LOCK & 1 == 1
}

/// Returns how many KiB of the agent's memory the kernel keeps out of swap.
fn locked_kib(home: &Home) -> u64 {
    let agent = home.agent().unwrap().as_raw_nonzero().get();
    let status = std::fs::read_to_string(format!("/proc/{agent}/status")).unwrap();
    let locked = status.lines().find_map(|line| line.strip_prefix("VmLck:")).unwrap();
    locked.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
#[ignore = "needs root"]
fn agent_rejects_other_user_needs_root() {
    let home = Home::new("in-process");
    home.unlock("vault unlock safe");
    let dir = home.0.root().join("home/.local/share/keystead");
    let status = |words: &str| {
        let mut command = home.0.command(words, &[]);
        // The socket in the runtime directory decides which agent replies.
        command.env("XDG_RUNTIME_DIR", home.0.root().join("run")).uid(NOBODY).gid(NOBODY);
        command.output().unwrap()
    };
    let run = home.0.root().join("run");
    std::fs::create_dir(&run).unwrap();
    std::os::unix::fs::symlink(dir.join("agent"), run.join("keystead")).unwrap();
    for words in ["agent status", "agent stop", "vault lock --all"] {
        let output = status(words);
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{words}: {told}");
        assert!(told.contains("Code: E14.socket"), "{words}: {told}");
        assert_eq!(output.stdout, b"");
    }
    assert_eq!(home.get(), 3);
}

#[test]
fn agent_memory_is_unreadable_by_same_user() {
    let home = Home::new("in-process");
    answers_itself(&home);
    if is_root() {
        // Root may read everything: this test is about an ordinary user.
        give_to_nobody(home.0.root());
    }
    as_user(&home, home.0.command("vault unlock safe", &[])).succeeds();
    let status = as_user(&home, home.0.command("agent status --json", &[]));
    let status = String::from_utf8(status.succeeds().to_vec()).unwrap();
    let number = status.split("\"process\":").nth(1).unwrap().split(',').next().unwrap();

    let mut other = like(&home.0.command("", &[]), "sleep", &["600"]);
    if is_root() {
        other.uid(NOBODY).gid(NOBODY);
    }
    let mut other = other.stdin(Stdio::null()).spawn().unwrap();
    let plain = other.id().to_string();
    // Reading its memory and attaching to it need the same permission in the kernel.
    let looks = [
        "head -c 1 /proc/$0/environ",
        "head -c 1 /proc/$0/maps",
        "exec 3</proc/$0/mem",
        "ls /proc/$0/fd/",
        "readlink /proc/$0/exe",
    ];
    for look in looks {
        let at = |number: &str| {
            as_user(&home, like(&home.0.command("", &[]), "sh", &["-c", look, number])).status
        };
        assert_ne!(at(number), 0, "{look}");
        // Otherwise the test would also pass where no process may read another. A process that has
        // not started its program yet is not readable either.
        until(look, || at(&plain) == 0);
    }
    other.kill().unwrap();
    other.wait().unwrap();
    as_user(&home, home.0.command("agent stop", &[])).succeeds();
}

#[test]
fn prompting_command_memory_is_unreadable() {
    let home = Home::new("in-process");
    // Without this capability, root has only the rights of an ordinary user here.
    let less: &[&str] = match is_root() {
        true => &["--bounding-set=-sys_ptrace", "--inh-caps=-all"],
        false => &[],
    };
    let surroundings = home.0.command("", &[]);
    let weak = |words: &[&str]| like(&surroundings, "setpriv", &[less, words].concat());
    let script = "echo pid $$.; exec \"$0\" get nothing -V safe";
    let mut session = at_terminal(weak(&["sh", "-c", script, KEYSTEAD]));
    session.exp_string("pid ").unwrap();
    let number = session.exp_string(".").unwrap();
    session.exp_string("Password: ").unwrap();

    let mut other = weak(&["sleep", "600"]).stdin(Stdio::null()).spawn().unwrap();
    let look = |number: &str| {
        home.0.answer(weak(&["sh", "-c", "exec 3</proc/$0/mem", number]), b"").status
    };
    assert_ne!(look(&number), 0);
    until("nobody may look at anything", || look(&other.id().to_string()) == 0);
    other.kill().unwrap();
    other.wait().unwrap();
    session.send_line(CANARY).unwrap();
    assert_eq!(end(session).1, 3);
}

#[test]
fn signals_blocked_in_starter_reach_agent() {
    let home = Home::new("in-process");
    answers_itself(&home);
    let words = ["--block-signal=HUP", "--block-signal=TERM", KEYSTEAD, "vault", "unlock", "safe"];
    home.0.answer(like(&home.0.command("", &[]), "env", &words), b"").succeeds();
    assert_eq!(home.kept(), "safe (15 minutes)");
    home.signal(Signal::HUP);
    until("it does not hear the hang-up", || home.kept().is_empty());
    home.signal(Signal::TERM);
    until("it does not end", || home.agent().is_none());
}

#[test]
#[ignore = "needs root"]
fn hanging_agent_in_other_container_is_not_stopped_needs_root() {
    let home = Home::new("in-process");
    let inside = ["--pid", "--fork", KEYSTEAD];
    let container = |words: &[&str]| {
        let words = [&inside[..], words].concat();
        home.0.answer(like(&home.0.command("", &[]), "unshare", &words), b"")
    };
    container(&["--version"]).succeeds();
    answers_itself(&home);
    home.0.run("vault unlock safe", &[]).succeeds();
    let agent = home.agent().unwrap();
    kill_process(agent, Signal::STOP).unwrap();
    let answer = container(&["agent", "stop"]);
    assert_eq!(answer.status, 1, "{answer}");
    assert!(answer.stderr.contains("its process is in another container"), "{answer}");
    kill_process(agent, Signal::CONT).unwrap();
    assert_eq!(home.get(), 3);
    container(&["agent", "stop"]).succeeds();
    until("it lives", || home.agent().is_none());
}

#[test]
fn agent_socket_dir_open_to_other_users_is_rejected() {
    let home = Home::new("in-process");
    answers_itself(&home);
    let run = home.0.root().join("run");
    std::fs::create_dir(&run).unwrap();
    let dir = run.join("keystead");
    let elsewhere = home.0.root().join("elsewhere");
    let unlock = || {
        let mut command = home.0.command("vault unlock safe", &[]);
        command.env("XDG_RUNTIME_DIR", &run);
        home.0.answer(command, b"")
    };
    let refuses = |what: &str, code: &str| {
        let answer = unlock();
        assert_eq!(answer.status, 1, "{what}: {answer}");
        assert!(answer.stderr.contains(&format!("Code: {code}")), "{what}: {answer}");
        assert!(!dir.join("agent").exists(), "{what}");
    };
    let open = |mode| std::fs::set_permissions(&dir, PermissionsExt::from_mode(mode)).unwrap();

    std::fs::write(&dir, "").unwrap();
    refuses("a file", "E02.not-a-folder");
    std::fs::remove_file(&dir).unwrap();
    std::fs::create_dir(&dir).unwrap();
    open(0o755);
    refuses("a directory that others may read", "E14.open-folder");
    open(0o777);
    refuses("a directory that others may write", "E02.others-write");
    if is_root() {
        open(0o700);
        chown(&dir, Some(NOBODY), Some(NOBODY)).unwrap();
        refuses("another user's directory", "E02.owner");
        // As in /tmp, where every user can make links and directories.
        std::fs::remove_dir(&dir).unwrap();
        std::fs::create_dir(&elsewhere).unwrap();
        std::fs::set_permissions(&elsewhere, PermissionsExt::from_mode(0o700)).unwrap();
        std::fs::set_permissions(&run, PermissionsExt::from_mode(0o1777)).unwrap();
        symlink(&elsewhere, &dir).unwrap();
        std::os::unix::fs::lchown(&dir, Some(NOBODY), Some(NOBODY)).unwrap();
        refuses("another user's link where everybody makes some", "E02.shared-folder");
        std::fs::remove_file(&dir).unwrap();
        std::fs::set_permissions(&run, PermissionsExt::from_mode(0o700)).unwrap();
    } else {
        std::fs::remove_dir(&dir).unwrap();
    }
    // If the directory is missing, the agent makes its own.
    unlock().succeeds();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&dir), mode(&dir.join("agent"))), (0o700, 0o600));
    let mut stop = home.0.command("agent stop", &[]);
    stop.env("XDG_RUNTIME_DIR", &run);
    home.0.answer(stop, b"").succeeds();
}

const KEYSTEAD: &str = env!("CARGO_BIN_EXE_keystead");

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Registers the vault again with an unlock reference, so that it unlocks without a terminal.
fn answers_itself(home: &Home) {
    let words =
        format!("{SAFE} --unlock password=file:pass.given --placement in-process --replace");
    home.0.run(&words, &["-q"]).succeeds();
}

/// Returns another command with the environment and directory of a command of the sandbox.
fn like(command: &Command, program: &str, arguments: &[&str]) -> Command {
    let mut other = Command::new(program);
    other.args(arguments).env_clear().current_dir(command.get_current_dir().unwrap());
    other.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    other
}

/// Runs a command as the user that owns nothing, if this process is root.
fn as_user(home: &Home, mut command: Command) -> Answer {
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    home.0.answer(command, b"")
}

/// Gives a directory and its contents to the user that owns nothing.
fn give_to_nobody(dir: &Path) {
    chown(dir, Some(NOBODY), Some(NOBODY)).unwrap();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path: PathBuf = entry.unwrap().path();
        match path.is_dir() {
            true => give_to_nobody(&path),
            false => chown(&path, Some(NOBODY), Some(NOBODY)).unwrap(),
        }
    }
}
